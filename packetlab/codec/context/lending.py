"""What the headers of packets recalled, as a context: for what is compared with them, looked for in them, or put in their place.

A header that was read knows what it recalled. One that a user wrote knows nothing, and by itself could not even be built.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeVar

from packetlab.codec.around.outer import has_context, is_contextual, reaches_out
from packetlab.codec.context.context import Context, ContextEntry, Moment, RecalledNumber, current
from packetlab.codec.context.recalling import key_of, own_value
from packetlab.codec.objects import is_pattern
from packetlab.declare.fields import slot_of
from packetlab.declare.remembering.recalled import Recalled
from packetlab.declare.transforms.raws import Carried, InnerValue
from packetlab.errors import BuildError

if TYPE_CHECKING:
    from packetlab.codec.objects import AnyHeader
    from packetlab.declare.fields import Field

R = TypeVar("R")


class LentContext(Context):
    """A context of what headers recalled, beside what is known here."""


def lent(stacks: Iterable[Sequence[AnyHeader]], alone: bool = False) -> LentContext:
    """Return a context of what the headers of some stacks recalled, those in their fields too; unless `alone` what is known here counts first."""
    made, now = LentContext(), None if alone else current.get()
    for headers in stacks:
        for i, header in enumerate(headers):
            _collect(header, headers[:i], made)
    known = now.context if isinstance(now, Moment) else now
    if known is not None:
        here = known.copy()
        made._tables.update(here._tables)
        made.number, made.most, made.dropped, made._results = here.number, here.most, here.dropped, here._results
        made._states, made._gone = here._states, here._gone
    made._order.clear()
    made._order.extend(key for key, entries in made._tables.items() for _ in entries)
    return made


def _collect(header: AnyHeader, layers: Sequence[AnyHeader], into: Context) -> None:
    """Note what a header recalled, and those that it holds."""
    found: Sequence[Any] = getattr(header, "__outer__", None) or ()
    for leaf, value in zip(header._declaration.outer_leaves, found, strict=False):
        entry = value.entry if isinstance(value, RecalledNumber) else value
        if isinstance(leaf, Recalled) and isinstance(entry, ContextEntry):
            into._put((leaf.table, key_of(leaf.key, layers, lambda name: getattr(header, slot_of(name)))), entry)
    for item in _held(header):
        _collect(item, (*layers, header), into)


def _held(header: AnyHeader) -> Iterator[AnyHeader]:
    """Yield the headers in a header's fields."""
    for raw in (getattr(header, f.slot) for f in header._fields if f.kind.has_headers):
        items = raw.inner if isinstance(raw, Carried | InnerValue) else raw
        yield from (item for item in items if not isinstance(item, bytes)) if isinstance(items, tuple) else ()


def goes_by_others(header: AnyHeader) -> bool:
    """Whether a header, or one in its fields, remembers or recalls something."""
    return is_contextual(header._declaration) or any(map(goes_by_others, _held(header)))


def knowing(error: BuildError, stacks: Sequence[Sequence[AnyHeader]], do: Callable[[], R]) -> R | None:
    """Return what is done, which raised an error, where it is known what the headers of some stacks recalled, None where it raises one even so.

    The error is raised again where none of the headers goes by other packets, or one is a pattern.
    """
    headers = [*chain(*stacks)]
    if any(map(is_pattern, headers)) or not any(map(goes_by_others, headers)):
        raise error
    if isinstance(current.get(), LentContext):
        return None
    token = current.set(lent(stacks))
    try:
        return do()
    except BuildError:
        return None
    finally:
        current.reset(token)


# Comparing -----------------------------------------------------------------------------------------------------


def alike(one: Any, other: Any) -> bool:
    """Whether two headers of a class are equal; one that cannot be built by itself, as if it stood where the other does, or else as it was given."""
    try:
        return bool(one._raw_values() == other._raw_values())
    except BuildError as error:
        found = knowing(error, [(one,), (other,)], lambda: bool(one._raw_values() == other._raw_values()))
    return all(getattr(one, f.slot) == getattr(other, f.slot) for f in one._fields) if found is None else found


def same_bytes(one: Any, other: Any) -> bool:
    """Whether two packets with headers of the same classes have the same bytes; the same for those that cannot be built by themselves."""
    try:
        return bytes(one) == bytes(other)
    except BuildError as error:
        found = knowing(error, [one._headers, other._headers], lambda: bool(_bytes_now(one) == _bytes_now(other)))
    return bool(one._headers == other._headers and one.payload == other.payload) if found is None else found


def _bytes_now(packet: Any) -> bytes:
    """Return the bytes of a packet, which are not kept where they are built just for this."""
    known: bytes | None = packet._data
    return packet.encode() if known is None else known


def fits(prototype: Any, header: AnyHeader, wanted: Sequence[Field], known: dict[str, Any]) -> bool:
    """Whether some fields of a header are those of a prototype; `known` has then what `same_as` names stand for."""
    try:
        return all(prototype._same(header, f, known) for f in wanted)
    except BuildError as error:  # it may hold what cannot be built by itself
        return bool(knowing(error, [(header,)], lambda: all(prototype._same(header, f, known) for f in wanted)))


def hashed(header: Any) -> int:
    """Return a hash of a header; of one that goes by what stands around it, of what it has anyway."""
    if not reaches_out(header._declaration):
        return hash((type(header), header._raw_values()))
    plain = [
        f
        for f in header._fields
        if f.rule is f.condition is f.computed is None and f.kind.wire in ("number", "bytes") and not f.kind.transforms
    ]
    return hash((type(header), *(getattr(header, f.slot) for f in plain)))


# Editing -------------------------------------------------------------------------------------------------------


def lend(headers: Sequence[AnyHeader], recalled_by: Sequence[AnyHeader]) -> tuple[AnyHeader, ...]:
    """Return headers in which those that recalled nothing, since a user wrote them, have what others at their place recalled."""
    known = lent([recalled_by], alone=True) if has_context() else None
    if known is None or not known._tables:
        return tuple(headers)
    return tuple(_with(header, headers[:i], known) for i, header in enumerate(headers))


def _with(header: AnyHeader, layers: Sequence[AnyHeader], known: Context) -> AnyHeader:
    leaves, made = header._declaration.outer_leaves, header
    if getattr(header, "__outer__", None) is None:
        found = [_lent(header, leaf, layers, known) if isinstance(leaf, Recalled) else 0 for leaf in leaves]
        if any(isinstance(one, ContextEntry | RecalledNumber) for one in found):
            made = header._copied(header)
            made.__outer__ = tuple(found)
    for f in header._fields:
        if not f.kind.has_headers:
            continue
        raw = getattr(header, f.slot)
        items = raw.inner if isinstance(raw, InnerValue) else raw
        if type(items) is tuple:
            anew = tuple(item if isinstance(item, bytes) else _with(item, (*layers, header), known) for item in items)
            if any(one is not item for one, item in zip(anew, items, strict=True)):
                made = header._copied(made)
                setattr(made, f.slot, InnerValue(anew) if isinstance(raw, InnerValue) else anew)
    return made


def _lent(
    header: AnyHeader, leaf: Recalled, layers: Sequence[AnyHeader], known: Context
) -> ContextEntry | RecalledNumber | None:
    """Return what a header would recall of what others did; None where it is known here anyway, or nowhere."""
    key = leaf.table, key_of(leaf.key, layers, lambda name: own_value(header, name))
    here = current.get()
    found = known._find(key)
    if found is None or (isinstance(here, Context) and here._find(key) is not None):
        return None
    return RecalledNumber.of(found) if leaf.is_number and type(found.value) is int else found
