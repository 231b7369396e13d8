"""Numbers of a header that a field holds, for rules of the header around it: read, and filled in where they follow."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from packetlab.codec.faults import Dissection, Values
from packetlab.codec.objects import AnyHeader, classes
from packetlab.declare.fields import REQUIRED, Field
from packetlab.declare.plan import needs

if TYPE_CHECKING:
    from packetlab.declare.kinds import Raw
    from packetlab.declare.places.inner import Inner


def number_in(leaf: Inner, raw: Raw) -> int:
    """Return the number that a rule names in a header, given the raw value of the field that holds it; 0 for none."""
    if type(raw) is bytes and raw:  # not looked into yet
        raw = (classes[leaf.kind.item]._decode(raw, 0, len(raw), Dissection())[0],)
    header = raw[0] if raw else None
    if not isinstance(header, AnyHeader) or leaf.inner not in header._by_name:
        return 0
    return number_of(header, leaf.inner)


def number_of(header: AnyHeader, name: str) -> int:
    """Return a number of a header, as it is by itself."""
    slot = header._by_name[name].slot
    value = getattr(header, slot)
    if value is None:
        value = getattr(header._resolve(header, b"", (header,), 0, None), slot)
    return value if isinstance(value, int) else 0


def with_numbers(raw: Raw, numbers: dict[str, int]) -> Raw:
    """Return the raw value of a field that holds a header with numbers in it that follow from what is around, where they are not given."""
    if type(raw) is not tuple or not raw or not isinstance(raw[0], AnyHeader):
        return raw
    header = made = raw[0]
    for name, number in numbers.items():
        f = header._by_name[name]
        if (header._state | header._state >> len(header._fields)) & sources(header, f):
            continue
        if f.computed is not None:
            made = made.replace(**{name: number})  # type: ignore[attr-defined]  # what it is computed from follows from it
        else:
            made = header._copied(header) if made is header else made
            setattr(made, f.slot, f.kind.raw(number, f"{type(header).__name__}.{name}"))
    return (made,)


def sources(header: AnyHeader | type[AnyHeader], f: Field) -> int:
    """Return the bits of a number in a header, and of the fields it is computed from: where one is given, it does not follow."""
    bits, todo = 0, [f]
    while todo:
        one = todo.pop()
        if not bits & one.bit:
            bits |= one.bit
            todo += [] if one.computed is None else [header._by_name[name] for name in needs(one.computed) if name in header._by_name]
    return bits


def without_numbers(raw: Raw, numbers: dict[str, int | None]) -> Raw:
    """Return it with the numbers that are as they follow left to follow again."""
    if type(raw) is not tuple or not raw or not isinstance(raw[0], AnyHeader):
        return raw
    header = made = raw[0]
    for name, number in numbers.items():
        f = header._by_name[name]
        if number is not None and state_inside(raw, name) == CAPTURED and getattr(header, f.slot) == number:
            made = _left_to_follow(made, f, number)
    return (made,)


def _left_to_follow(header: AnyHeader, f: Field, number: int) -> AnyHeader:
    made: AnyHeader = header.replace(**{f.name: number}) if f.computed is not None else header._copied(header)  # type: ignore[attr-defined]  # frees what it is computed from
    made._state &= ~(f.bit | f.bit << len(header._fields))
    setattr(made, f.slot, None if f.computed is not None else f.kind.zero if f.default in (None, REQUIRED) else f.default)
    return made


FOLLOWS, GIVEN, CAPTURED = range(3)


def state_inside(raw: Raw, name: str) -> int:
    """Return whether a number in a header that a field holds follows, is given, or was captured; what is no header that was looked into is given."""
    header = raw[0] if type(raw) is tuple and raw else None
    if not isinstance(header, AnyHeader) or header._state >> 2 * len(header._fields):
        return GIVEN
    if header._state >> len(header._fields) & header._by_name[name].bit:
        return CAPTURED
    return GIVEN if header._state & sources(header, header._by_name[name]) else FOLLOWS


def following_inside(raw: Raw, name: str) -> Raw:
    """Return the raw value of a field that holds a header with a number in it that was captured left to follow."""
    f, number = raw[0]._by_name[name], number_of(raw[0], name)
    return (_left_to_follow(raw[0], f, number),)


def held_size(raw: Raw) -> int:
    """Return how many bytes a header takes that a field holds, whatever the numbers in it are."""
    header = raw[0] if type(raw) is tuple and raw else raw
    if not isinstance(header, AnyHeader):
        return len(header or b"")
    if header._state >> 2 * len(header._fields):
        return len(header._encode(header, b"", (header,), 0, None))
    return sum(f.kind.fixed_bits for f in header._fields) // 8


class HeldValues(Values):
    """A scope of what has been read so far, with the headers in it."""

    def inner(self, leaf: Inner) -> int:
        return number_in(leaf, self.values.get(leaf.name))


def said_count(header: AnyHeader, field: Field) -> int | None:
    """Return how many items of a field that is filled up its header says there are, None where nothing says so."""
    rule = header._declaration.plan.counts.get(field.name) if field.align else None
    values = {f.name: getattr(header, f.slot) for f in header._fields}
    return None if rule is None else rule.evaluate(HeldValues(values, b"", 0))


class HeldScope:
    """Part of a scope of a header in a packet: what its rules want to know of what its fields hold, and of what is left."""

    def raw(self, name: str) -> Raw:
        raise NotImplementedError

    def sizes(self, names: Collection[str]) -> int:
        raise NotImplementedError

    def inner(self, leaf: Inner) -> int:
        return number_in(leaf, self.raw(leaf.name))

    def left_for(self: Any, name: str) -> int:
        names = [f.name for f in self.cls._declaration.before]
        above = [] if self.cls._declaration.plan.own is not None else ["payload"]
        return int(self.sizes([*names[names.index(name) :], *above]))

    def left_after(self: Any, name: str) -> int:
        fields, i = self.cls._declaration.before, self.i
        whole = self.bodies.size(i - 1) if i else len(self.bodies.data)
        return int(whole - self.sizes([f.name for f in fields[: [f.name for f in fields].index(name) + 1]]))

    def ahead(self, bits: int) -> int:
        raise NotImplementedError("only a binding's condition looks ahead")
