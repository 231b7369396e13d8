"""Public names of the first edition that have another one now. The old ones still work, and warn with the new one."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from functools import wraps
from operator import attrgetter
from typing import Any, TypeVar, cast

Function = TypeVar("Function", bound="Callable[..., Any]")

NAMES = {"Octets": "Bytes", "octets": "fixed_bytes"}
"""Old name in `packetlab` -> new name."""

_WEBSOCKET = {"Opened": "HandshakeCompleted", "Message": "MessageReceived", "Ignored": "Discarded"}
_REASSEMBLY = {"Kind": "EventKind", "Note": "ReassemblyEvent", "NoteKind": "EventKind"}
MODULES = {
    "packetlab.bulk.report": {"Report": "VariationReport"},
    "packetlab.capture": {"Interface": "InterfaceDescription"},
    "packetlab.capture.frame": {"Interface": "InterfaceDescription"},
    "packetlab.capture.reassembly": _REASSEMBLY,
    "packetlab.capture.reassembly.events": _REASSEMBLY,
    "packetlab.engine.websocket.connection": _WEBSOCKET,
    "packetlab.engine.websocket.events": _WEBSOCKET,
    "packetlab.link.interface": {"Statistics": "ReceiveStatistics"},
    "packetlab.link.lab.unanswered": {"Ghost": "UnansweredAddress"},
    "packetlab.link.replay.report": {"Report": "SendReport"},
    "packetlab.link.replay.replay": {"Report": "SendReport"},
    "packetlab.schema.load": {"Declaration": "HeaderDescription"},
}
"""Old and new names in other modules, each of which has ``__getattr__ = old_names(__name__)``."""


def warn(old: str, new: str, stacklevel: int = 3) -> None:
    """Warn the caller's caller that a name has changed."""
    warnings.warn(f"{old} is now {new}", DeprecationWarning, stacklevel=stacklevel)


def is_used(depth: int) -> bool:
    """Tell whether the code this many calls up means the name it looks up: a star import takes all, the import system only checks."""
    from opcode import opname  # seldom needed

    frame = sys._getframe(depth)
    operation = opname[frame.f_code.co_code[frame.f_lasti]]  # of a star import: one until Python 3.11, the other since
    return not (
        frame.f_globals.get("__name__") == "importlib._bootstrap" or operation in ("IMPORT_STAR", "CALL_INTRINSIC_1")
    )


def old_names(module: str) -> Callable[[str], Any]:
    """Return the `__getattr__` of a module in which names have changed."""

    def get(name: str) -> Any:
        new = MODULES[module].get(name)
        if new is None:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        if is_used(2):
            warn(f"{module}.{name}", new)
        return getattr(sys.modules[module], new)

    return get


def renamed(old: str, new: str) -> property:
    """An attribute under its old name: ``octets = renamed("octets", "total_bytes")``."""

    def get(self: Any) -> Any:
        warn(f"{type(self).__name__}.{old}", new)
        return attrgetter(new)(self)

    return property(get, doc=f"Now `{new}`.")


def renamed_arguments(**names: str) -> Callable[[Function], Function]:
    """Let a function take keyword arguments under their old names: ``renamed_arguments(octets="buffer_bytes")``."""

    def decorate(function: Function) -> Function:
        @wraps(function)
        def call(*args: Any, **given: Any) -> Any:
            for old in names.keys() & given.keys() if given else ():
                warn(f"{function.__qualname__}: {old}=", f"{names[old]}=")
                given[names[old]] = given.pop(old)
            return function(*args, **given)

        return cast("Function", call)

    return decorate
