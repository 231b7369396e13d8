"""Headers inside a field that a class takes apart whose rules name what stands around: written where they stand.

When such a header is made nobody knows yet what will stand around it. So its bytes are made again wherever it is written, as a
layer and as an item alike, by what stands there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from packetlab.codec.around.outer import Within, reach, reaches_out, read_with
from packetlab.codec.objects import AnyHeader, is_pattern
from packetlab.codec.places.surroundings import is_placed
from packetlab.declare import registry

if TYPE_CHECKING:
    from packetlab.declare.declaration import Declaration
    from packetlab.declare.fields import Field

ROUNDS = 8  # after which bytes whose number changes what is in them are as they came out last

_far: dict[Declaration, bool] = {}
_names: dict[Declaration, frozenset[str]] = {}
registry.caches += [_far, _names]


def goes_by_around(declaration: Declaration) -> bool:
    """Whether a header takes a field apart, and what is inside goes by what stands around it, the header itself among that."""
    return declaration.view is not None and reaches_out(declaration.view[1]) and not is_placed(declaration.view[1])


def goes_by_further(declaration: Declaration) -> bool:
    """The same of what stands around the header itself, or of what follows in it from there."""
    if declaration not in _far:
        found = goes_by_around(declaration) and (declaration.outer_leaves or reach(declaration.view[1]) > 1)  # type: ignore[index]
        _far[declaration] = bool(found)
    return _far[declaration]


def names_around(declaration: Declaration) -> frozenset[str]:
    """Return the names of what rules of a header, and of what is in it, name of what stands around."""
    if declaration not in _names:
        _names[declaration] = frozenset(leaf.name for one in read_with(declaration) for leaf in one.outer_leaves)
    return _names[declaration]


class Unwritten(bytes):
    """What stands in a field for a header inside that can only be written where it stands."""

    inner: AnyHeader

    @classmethod
    def of(cls, inner: AnyHeader) -> Unwritten:
        """Return what stands for a header."""
        made = cls()
        made.inner = inner
        return made

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Unwritten) and self.inner == other.inner

    def __hash__(self) -> int:
        return hash(self.inner)

    def __reduce__(self) -> tuple[object, ...]:
        return Unwritten.of, (self.inner,)


class Stood(tuple[int, ...]):
    """What a header remembers (see `around.outer.remember`) whose bytes are written where it stands: they are not written again."""


def standing(header: AnyHeader, body: bytes, stack: tuple[AnyHeader, ...], i: int, above: Declaration | None) -> AnyHeader:
    """Return header `i` of a stack with the bytes that the header inside it has there; one whose bytes were read, or are written already, as it is."""
    f, inner = _field(header), getattr(header, "__viewed__", None)
    if inner is None or header._is_partial or type(getattr(header, "__outer__", None)) is Stood or is_pattern(inner) or header._state >> len(header._fields) & f.bit:
        return header
    made: Any = header._copied(header)  # without the header inside: it is not written again for what follows in the one around it
    before: tuple[object, ...] | None = None
    for _ in range(ROUNDS):
        below = Within((*stack[:i], made))
        below.holders, below.before = (stack.holders, stack.before) if isinstance(stack, Within) else (i, None)
        holder = made._resolve(made, body, below, i, above)
        said = tuple(getattr(holder, one.slot) for one in header._fields if one.name in names_around(inner._declaration))
        if said == before:
            break  # the bytes change nothing for what is inside
        before, whole = said, Within((*stack[:i], holder, inner))
        whole.holders = below.holders
        seen: Any = type(inner)._resolve(inner, b"", whole, i + 1, None)
        alone: Any = type(inner)._copied(inner)
        if inner._declaration.view is not None:  # what is inside that is written there already
            setattr(alone, _field(inner).slot, getattr(seen, _field(inner).slot))
        setattr(made, f.slot, alone._encode(alone, b"", whole, i + 1, None))
    made.__viewed__ = seen
    return made  # type: ignore[no-any-return]


def parts(header: AnyHeader) -> tuple[object, ...]:
    """Return what a header is made of again by `objects.restored`."""
    values = tuple(getattr(header, f.slot) for f in header._fields)
    inner = getattr(header, "__viewed__", None) if goes_by_around(header._declaration) else None
    return type(header), header._state, values, getattr(header, "__outer__", None), inner


def keep(made: AnyHeader, header: AnyHeader) -> None:
    """Have a copy with the same bytes in the field that is taken apart keep the header inside, where it is not read of them again."""
    said, inner = header._declaration, getattr(header, "__viewed__", None)
    read = header._state >> len(header._fields) & _field(header).bit
    if inner is not None and goes_by_around(said) and (not read or goes_by_further(said)):
        made.__viewed__ = inner  # type: ignore[attr-defined]


def _field(header: AnyHeader) -> Field:
    assert header._declaration.view is not None
    return header._by_name[header._declaration.view[0]]
