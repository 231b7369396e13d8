"""Methods that layers above provide: how a packet is shown, drawn or converted is written there, and reached from here.

`packetlab/__init__.py` lists where each stands; nothing is imported before it is first called.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

TYPE_CHECKING = False  # as checkers know it: to import `typing` for it would be most of what `import packetlab` costs
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

HOOKS: dict[str, str] = {}
"""Name of a function -> the module it stands in."""
_modules: dict[str, ModuleType] = {}  # those that were imported: to ask the import system each time takes as long as a small header


def hook(name: str) -> Callable[..., Any]:
    """Return the function `name` of the layer above that has it."""
    module = _modules.get(name)
    if module is None:
        module = _modules[name] = import_module(HOOKS[name])
    found: Callable[..., Any] = getattr(module, name)
    return found


class Shown:
    """What shows itself: in notebooks as HTML with plain text beside it, in colour where rich prints it."""

    __slots__ = ()

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        bundle: dict[str, str] = hook("mimebundle")(self)
        return bundle

    def __rich__(self) -> Any:
        return hook("rich_text")(self)
