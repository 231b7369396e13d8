"""Declarations of a file that are bound only while its tests run."""

from __future__ import annotations

from contextlib import ExitStack
from types import TracebackType

from packetlab import bindings
from packetlab.declare import registry
from packetlab.declare.classbody.options import Binding
from packetlab.declare.declaration import Declaration
from packetlab.protocols import linktypes


class Scope:
    """`with scope:` forgets what is declared and bound inside once it ends; entered again, it binds it again."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._headers: list[tuple[Declaration, object]] = []
        self._bindings: list[tuple[Declaration, Binding]] = []
        self._link_types: dict[int, object] = {}
        self._known = False

    def __enter__(self) -> Scope:
        self._stack.enter_context(bindings())
        self._links = dict(linktypes.FIRST)
        self._before = {_words(upper, one) for upper, one in _all()}
        self._names = {one.key for one in registry.declared()}
        for header, cls in self._headers:
            registry.declare(header, cls)
            registry.answer(header)
        for upper, (lower, when, sets) in self._bindings:
            registry.bind(upper, lower, when, sets)
        linktypes.FIRST.update(self._link_types)  # type: ignore[arg-type]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._known and error is None:
            self._headers = [(one, registry._classes[one]) for one in registry.declared() if one.key not in self._names]
            self._bindings = [(upper, one) for upper, one in _all() if _words(upper, one) not in self._before]
            self._link_types = {n: cls for n, cls in linktypes.FIRST.items() if self._links.get(n) is not cls}
            self._known = True
        linktypes.FIRST.clear()
        linktypes.FIRST.update(self._links)
        self._stack.close()


def _all() -> list[tuple[Declaration, Binding]]:
    """Return all bindings, number by number."""
    return [
        (upper, (lower, {name: (number,) for name, number in one.items()} if isinstance(one, dict) else when, sets))
        for upper in registry.declared()
        for lower, when, sets in registry.bindings_of(upper)
        for one in (_numbers(when) if isinstance(when, dict) else [when])
    ]


def _numbers(when: dict[str, tuple[int, ...]]) -> list[dict[str, int]]:
    ((name, numbers),) = when.items()
    return [{name: number} for number in numbers]


def _words(upper: Declaration, one: Binding) -> str:
    lower, when, sets = one
    return f"{upper.key} {lower.key} {when} {sorted(sets)}"
