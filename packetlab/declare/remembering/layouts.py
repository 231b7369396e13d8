"""Records and what they are laid out as: the fields that a template says, each with a number, a size and a kind of value."""

from __future__ import annotations

from collections.abc import Callable, ItemsView, Iterable, Iterator, Mapping, ValuesView
from functools import cached_property
from struct import Struct, error as struct_error
from typing import Any, NamedTuple, TypeAlias

from packetlab.declare.values.addresses import as_written
from packetlab.errors import BuildError
from packetlab.escaping import printable

VARYING = 0xFFFF
_LETTERS = {1: "B", 2: "H", 4: "I", 8: "Q"}
PLAIN = (int, bytes, str)
"""What values of a template's field can be of without a kind."""
Number: TypeAlias = "int | tuple[int, int]"
"""What a template calls a field: its number, or (enterprise, number)."""


class RecordPlace(NamedTuple):
    """One field of a layout.

    Attributes:
        number: as the template has it. name: of an enum of such numbers, or the number as text. size: in bytes, `VARYING` for one of its
            own. kind: of its values: a `Kind`, or one of `PLAIN`.
    """

    number: Number
    name: str
    size: int
    kind: Any

    @property
    def is_of_its_kind(self) -> bool:
        """Whether values are those of a kind of just so many bytes."""
        return self.kind not in PLAIN and self.kind.wire == "bytes" and self.kind.bits == self.size * 8

    def value(self, raw: bytes) -> Any:
        """Return the value of some bytes; the bytes where they are none of that kind, or would not be written for it."""
        value = self._value(raw)
        return raw if self.size == VARYING and not isinstance(value, bytes) and self.raw(value, self.name) != raw else value

    def _value(self, raw: bytes) -> Any:
        kind = self.kind
        if kind is int:
            return int.from_bytes(raw, "big")
        if kind is str:
            words = (raw if self.size == VARYING else raw.rstrip(b"\0")).decode("utf-8", "replace")
            return words if words.encode().ljust(len(raw), b"\0") == raw else raw
        if kind is bytes:
            return raw
        if kind.wire == "number" and raw:
            number = int.from_bytes(raw, "little" if kind.little else "big", signed=kind.signed)
            return kind.value(number) if kind.low <= number <= kind.high else number
        return kind.value(raw) if kind.bits == len(raw) * 8 else raw

    def both_ways(self) -> tuple[Callable[[Any], bytes], Callable[[bytes], Any]]:
        """Return what makes bytes of a value that is none (ValueError or BuildError where it does not fit), and a value of bytes."""
        kind = self.kind
        if not self.is_of_its_kind or not getattr(kind, "is_address", False):
            return lambda value: self.raw(value, self.name), self.value
        return kind.parse, kind.convert

    def raw(self, value: Any, where: str) -> bytes:
        """Return the bytes of a value. BuildError where it does not fit."""
        kind, size, little, signed = self.kind, self.size, False, False
        if not isinstance(value, bytes | bytearray):
            if kind not in PLAIN:
                value, little, signed = kind.raw(value, where), kind.little, kind.signed
            if isinstance(value, int):
                least = max(1, -(-(value.bit_length() + signed) // 8))
                try:
                    value = value.to_bytes(
                        least if size == VARYING else size, "little" if little else "big", signed=signed
                    )
                except OverflowError:
                    raise BuildError(where, f"a number of {size} bytes", value) from None
            elif isinstance(value, str):
                value = value.encode()
                value += bytes(max(0, size - len(value))) if size != VARYING else b""
        if not isinstance(value, bytes | bytearray):
            raise BuildError(where, "bytes, a number or text", repr(value))
        if size != VARYING and len(value) != size:
            raise BuildError(where, f"{size} bytes, as the template says", f"{len(value)} bytes")
        if len(value) > 0xFFFF:
            raise BuildError(where, "65535 bytes at most", f"{len(value)} bytes")
        return bytes(value)


class RecordLayout(tuple[RecordPlace, ...]):
    """The fields of a record in order."""

    @cached_property
    def numbers(self) -> list[Number]:
        """What the fields are called."""
        return [place.number for place in self]

    @cached_property
    def beyond(self) -> list[int]:
        """The least number that a field of plain numbers does not hold, 0 of other fields."""
        return [1 << 8 * place.size if place.size != VARYING and place.kind in PLAIN else 0 for place in self]

    @cached_property
    def least(self) -> int:
        """Bytes of a record at the least."""
        return sum(1 if place.size == VARYING else place.size for place in self)

    @cached_property
    def fixed(self) -> Struct | None:
        """What takes a record apart, None where sizes vary."""
        return None if any(place.size == VARYING for place in self) else Struct("".join(f"{place.size}s" for place in self))

    @cached_property
    def packing(self) -> tuple[Struct, list[int], list[tuple[int, Callable[[Any], bytes], Callable[[bytes], Any]]]] | None:
        """What packs a record of plain numbers and of other values, the places of those, and of these with what makes bytes of one and
        one of bytes; None where sizes vary."""
        if self.fixed is None:
            return None
        letters = [_LETTERS.get(place.size, "") if place.kind is int else "" for place in self]
        numbers = [i for i, letter in enumerate(letters) if letter]
        whole = Struct(">" + "".join(letter or f"{place.size}s" for place, letter in zip(self, letters, strict=True)))
        return whole, numbers, [(i, *place.both_ways()) for i, place in enumerate(self) if i not in numbers]

    def taken_apart(self, raws: tuple[bytes, ...]) -> tuple[tuple[Any, Any], ...]:
        """Return the numbers of the fields with the values of their bytes."""
        if self.packing is None:
            return tuple([(place.number, place.value(raw)) for place, raw in zip(self, raws, strict=True)])
        whole, _, others = self.packing
        row = [*whole.unpack(b"".join(raws))]
        for i, _, value in others:
            row[i] = value(row[i])
        return tuple(zip(self.numbers, row, strict=True))

    def packed(self, record: TemplateRecord) -> bytes | None:
        """Return the bytes of a record that has just these fields in order, of values that fit; None where that is for `write` to say."""
        if self.packing is None or not (pairs := record.pairs):
            return None
        keys, values = zip(*pairs, strict=True)
        whole, numbers, others = self.packing
        if [*keys] != self.numbers or [i for i in numbers if values[i].__class__ is not int]:
            return None
        row = [*values]
        try:
            for i, raw, _ in others:
                value = row[i]
                if value.__class__ is not bytes:
                    row[i] = raw(value)
                elif len(value) != self[i].size:
                    return None
            return whole.pack(*row)
        except (struct_error, BuildError, ValueError, TypeError):
            return None

    def read_all(self, data: bytes) -> tuple[tuple[TemplateRecord, ...], int]:
        """Return the records at the beginning of some bytes, and where they end."""
        new, records, of = object.__new__, [], (TemplateRecord,)
        if self.fixed is not None:
            end = len(data) // self.least * self.least
            for raws in self.fixed.iter_unpack(data[:end]):
                records.append(made := new(*of))
                made._layout, made._raws, made._pairs = self, raws, None
            return tuple(records), end
        pos = 0
        while (read := self.read(data, pos)) is not None:
            records.append(read[0])
            pos = read[1]
        return tuple(records), pos

    def read(self, data: bytes, pos: int) -> tuple[TemplateRecord, int] | None:
        """Return the record at `pos` and where it ends; None where there is no whole one."""
        found, end = [], len(data)
        for place in self:
            size = place.size
            if size == VARYING:
                if pos >= end:
                    return None
                size, pos = data[pos], pos + 1
                if size == 255:
                    if pos + 2 > end:
                        return None
                    size, pos = int.from_bytes(data[pos : pos + 2], "big"), pos + 2
            if pos + size > end:
                return None
            found.append(data[pos : pos + size])
            pos += size
        return TemplateRecord._read(self, tuple(found)), pos

    def write(self, record: Mapping[Any, Any], where: str) -> bytes:
        """Return the bytes of a record. BuildError where it has not just these fields, or one does not fit."""
        record = record if isinstance(record, TemplateRecord) else TemplateRecord(record)
        pairs = record.pairs
        in_order = [number for number, _ in pairs] == self.numbers
        values = [value for _, value in pairs] if in_order else record._placed(self, where)
        found = b""
        for place, value, beyond in zip(self, values, self.beyond, strict=True):
            if type(value) is int and 0 <= value < beyond:
                found += value.to_bytes(place.size, "big")
                continue
            raw = place.raw(value, f"{where}[{place.name}]")
            if place.size == VARYING:
                found += bytes((len(raw),)) if len(raw) < 255 else b"\xff" + len(raw).to_bytes(2, "big")
            found += raw
        return found


class TemplateRecord(Mapping[Any, Any]):
    """Values by the numbers that a template gives them: ``record[1]``, ``record[FieldType.IN_BYTES]``, ``record["IN_BYTES"]``.

    A mapping of number, or (enterprise, number), to value. Of a number that stands in a template several times it has the first
    value; `pairs` has all, in order. To build one, give its values: ``TemplateRecord({1: 44, 8: "10.0.0.1"})``, or any mapping.
    One that was read is equal to all that would be built as it is.
    """

    __slots__ = ("_layout", "_pairs", "_raws")
    _raws: tuple[bytes, ...]
    _pairs: tuple[tuple[Any, Any], ...] | None  # None until somebody looks at what was read
    _layout: RecordLayout | None

    def __init__(self, values: Mapping[Any, Any] | Iterable[tuple[Any, Any]]) -> None:
        self._layout, self._raws = None, ()
        if type(values) is dict and {*map(type, values)} == {int}:  # the most of them
            self._pairs = tuple(values.items())
            return
        pairs = values.items() if isinstance(values, Mapping) else values
        self._pairs = tuple([(number_of(number), value) for number, value in pairs])

    @classmethod
    def _read(cls, layout: RecordLayout, raws: tuple[bytes, ...]) -> TemplateRecord:
        made = cls.__new__(cls)
        made._layout, made._raws, made._pairs = layout, raws, None
        return made

    @property
    def pairs(self) -> tuple[tuple[Any, Any], ...]:
        """Each number with its value, in order."""
        if self._pairs is None:
            self._pairs = () if self._layout is None else self._layout.taken_apart(self._raws)
        return self._pairs

    def __getitem__(self, number: Any) -> Any:
        number = number_of(number)
        if self._pairs is None:
            for place, raw in zip(self._layout or (), self._raws, strict=True):
                if place.number == number or place.name == number:
                    return place.value(raw)
            raise KeyError(number)
        for i, (one, value) in enumerate(self._pairs):
            if one == number or (self._layout is not None and self._layout[i].name == number):
                return value
        raise KeyError(number)

    def _known(self) -> dict[object, object]:
        pairs = self.pairs
        known: dict[object, object] = dict(pairs)
        if len(known) < len(pairs):
            known.clear()
            for number, value in pairs:
                known.setdefault(number, value)
        return known

    def values(self) -> ValuesView[object]:
        """The values, of a number that stands in a template several times the first."""
        return self._known().values()

    def items(self) -> ItemsView[object, object]:
        """The numbers with their values."""
        return self._known().items()

    def __iter__(self) -> Iterator[Any]:
        return iter(dict.fromkeys(number for number, _ in self.pairs))

    def __len__(self) -> int:
        return len({number for number, _ in self.pairs})

    def __eq__(self, other: object) -> bool:
        if isinstance(other, TemplateRecord):
            if self._pairs is other._pairs is None and self._layout is other._layout:
                return self._raws == other._raws
            if self._raws and not other._raws:
                return len(other.pairs) == len(self._raws) and self._has(other)
            return other == self if other._raws and not self._raws else self.pairs == other.pairs
        if not isinstance(other, Mapping):
            return NotImplemented
        return Mapping.__eq__(self, other) or (bool(self._raws) and self == TemplateRecord(other))

    def __hash__(self) -> int:
        return hash(len(self.pairs))  # numbers may be given by their names

    def __repr__(self) -> str:
        numbers = [number for number, _ in self.pairs]
        named = [f"{place.name!r}" if place.name.isidentifier() else f"{place.number!r}" for place in self._layout or ()]
        keys = named or [f"{number!r}" for number in numbers]
        shown = [(key, f"{as_written(value)!r}") for key, (_, value) in zip(keys, self.pairs, strict=True)]
        if len({*numbers}) < len(numbers):
            return printable(f"TemplateRecord([{', '.join(f'({key}, {value})' for key, value in shown)}])")
        return printable(f"TemplateRecord({{{', '.join(f'{key}: {value}' for key, value in shown)}}})")

    def __reduce__(self) -> Any:
        places = None if self._layout is None else [(place.number, place.name, place.size) for place in self._layout]
        return _again, (self.pairs, places)

    def _has(self, wanted: TemplateRecord) -> bool:
        """Whether it has some values, given in any form, each at a place of its own."""
        left = [*range(len(self.pairs))]
        for number, value in wanted.pairs:
            place = next((i for i in left if self._is(i, number, value)), None)
            if place is None:
                return False
            left.remove(place)
        return True

    def _is(self, i: int, number: Any, value: Any) -> bool:
        """Whether the value at a place has a number, or a name, and is a given one."""
        (own, mine), place = self.pairs[i], None if self._layout is None else self._layout[i]
        if own != number and (place is None or place.name != number):
            return False
        return bool(mine == value) or (place is not None and bool(self._raws) and _raw(place, value) == self._raws[i])

    def _placed(self, layout: RecordLayout, where: str) -> list[Any]:
        """Return the values in the order of a layout."""
        left = [*self.pairs]
        found = []
        for place in layout:
            i = next((i for i, (number, _) in enumerate(left) if number in (place.number, place.name)), None)
            if i is None:
                raise BuildError(where, f"a value for {place.name}, which the template has", repr(self))
            found.append(left.pop(i)[1])
        if left:
            names = ", ".join(place.name for place in layout)
            raise BuildError(where, f"fields of the template: {names}", repr(left[0][0]))
        return found


def _raw(place: RecordPlace, value: Any) -> bytes | None:
    try:
        return place.raw(value, place.name)
    except BuildError:
        return None


def _again(pairs: tuple[tuple[Any, Any], ...], places: list[tuple[Any, str, int]] | None) -> TemplateRecord:
    """Return a record out of a pickle; what kinds its values are of, the field knows that it is built in."""
    made = TemplateRecord(pairs)
    made._layout = None if places is None else RecordLayout(RecordPlace(*place, bytes) for place in places)
    return made


def number_of(number: Any) -> Any:
    return number if type(number) is int else int(number) if isinstance(number, int) else number
