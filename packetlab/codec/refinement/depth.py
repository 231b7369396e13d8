"""How deep headers hold headers of their own sort: as deep as `declare.items.DEEPEST` says, whatever the bytes.

Lists that can hold what holds them are read at once, so that the level of each is known; deeper bytes stay bytes.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from packetlab.codec.faults import Fault
from packetlab.declare import registry
from packetlab.declare.items import DEEPEST
from packetlab.declare.refinement.registered import refinements

if TYPE_CHECKING:
    from collections.abc import Callable

    from packetlab.declare.declaration import Declaration
    from packetlab.declare.fields import Field

_state: ContextVar[int] = ContextVar(
    "state", default=0
)  # twice the level, and one where a compiled reader is around it
_known: dict[Declaration, bool] = {}
_nested: dict[Declaration, bool] = {}
registry.caches += [_known, _nested]


def is_recursive(item: Declaration) -> bool:
    """Whether headers of a declaration may hold others of it, in whatever they hold or become."""
    found = _known.get(item)
    if found is None:
        seen, todo = set[Any](), _next(item)
        while todo:
            one = todo.pop()
            if one not in seen:
                seen.add(one)
                todo += _next(one)
        found = _known[item] = item in seen
    return found


def is_nested(item: Declaration) -> bool:
    """Whether headers of a declaration, or what they become, hold others: what fails there is read with care once, not once a level."""
    found = _nested.get(item)
    if found is None:
        found = _nested[item] = any(f.kind.has_headers for f in item.fields) or any(
            refined.view is not None or is_nested(refined) for refined in refinements(item)
        )
    return found


def _next(one: Declaration) -> list[Declaration]:
    """Return the declarations of what a header holds, and of what it becomes."""
    found = [f.kind.item for f in one.fields if f.kind.has_headers]
    for refined in refinements(one):
        found.append(refined if refined.view is None else refined.view[1])
    return found


class _Unread(Exception):
    """Somewhere in a list something has to be read the careful way, and so all of it has."""


trying: ContextVar[bool] = ContextVar("trying", default=False)  # whether what is read is tried by compiled code that is around it


class NeedsCare(Exception):
    """What compiled code tries has to be read the careful way, and so what is around it has: once, and not at each level."""


def quick(read: Callable[..., Any]) -> Callable[..., Any]:
    """Return a compiled reader of a list that reads one level deeper, and gives None where something in it is not so quick."""

    def deeper(*args: Any) -> Any:
        state = _state.get()
        if state >= 2 * DEEPEST:
            found = None
        else:
            token = _state.set(state + 2 | 1)
            try:
                found = read(*args)
            except _Unread:
                found = None
            finally:
                _state.reset(token)
        if found is None and state & 1:
            raise _Unread  # no list around it has to be read so far the careful way first
        return found

    return deeper


def counted(read: Callable[..., Any]) -> Callable[..., Any]:
    """Return a careful reader of an item that reads one level deeper."""

    def deeper(*args: Any) -> Any:
        token = _state.set(_state.get() + 2)
        try:
            return read(*args)
        finally:
            _state.reset(token)

    return deeper


def too_deep(field: Field, at: int, owner: str) -> Fault | None:
    """Return the fault of a list that would be one level too deep."""
    if _state.get() < 2 * DEEPEST or not is_recursive(field.kind.item):
        return None
    return Fault(owner, field.name, at, f"{DEEPEST} levels of headers in headers at most", "more")
