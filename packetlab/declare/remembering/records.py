"""Records that lie as a template of an earlier packet says: ``records: Records = laid_out(recalled("netflow", ...))``.

A template is a list of headers, each with the number and the size of a field (RFC 3954 section 5.2, RFC 7011 section 3.4). A size
of 65,535 says that each value begins with its own size: one byte, or 255 and two more (RFC 7011 section 7).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from struct import Struct
from typing import Annotated, Any, NamedTuple, TypeAlias, get_origin

from packetlab.declare.annotations import kind_of
from packetlab.declare.fields import REQUIRED, Spec
from packetlab.declare.kinds import Kind, Raw, Wire
from packetlab.declare.remembering.recalled import NoEntry, Recalled
from packetlab.declare.transforms.carried import Carried, InnerValue, Through
from packetlab.declare.transforms.transform import Transform
from packetlab.declare.values.addresses import XNSAddress
from packetlab.declare.values.views import RawValue
from packetlab.errors import BuildError, DeclareError
from packetlab.escaping import bytes_text, printable

VARYING = 0xFFFF
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
    def least(self) -> int:
        """Bytes of a record at the least."""
        return sum(1 if place.size == VARYING else place.size for place in self)

    @cached_property
    def fixed(self) -> Struct | None:
        """What takes a record apart, None where sizes vary."""
        return None if any(place.size == VARYING for place in self) else Struct("".join(f"{place.size}s" for place in self))

    def read_all(self, data: bytes) -> tuple[tuple[TemplateRecord, ...], int]:
        """Return the records at the beginning of some bytes, and where they end."""
        records: list[TemplateRecord] = []
        if self.fixed is not None:
            end = len(data) // self.least * self.least
            return tuple([TemplateRecord._read(self, raws) for raws in self.fixed.iter_unpack(data[:end])]), end
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
        found = b""
        for place, value in zip(self, record._placed(self, where), strict=True):
            raw = place.raw(value, f"{where}[{place.name}]")
            if place.size == VARYING:
                found += bytes((len(raw),)) if len(raw) < 255 else b"\xff" + len(raw).to_bytes(2, "big")
            found += raw
        return found


class TemplateRecord(Mapping[Any, Any]):
    """Values by the numbers that a template gives them: ``record[1]``, ``record[FieldType.IN_BYTES]``, ``record["IN_BYTES"]``.

    A mapping of number, or (enterprise, number), to value. Of a number that stands in a template several times it has the first
    value; `pairs` has all, in order. To build one, give its values: ``TemplateRecord({1: 44, 8: "10.0.0.1"})``, or any mapping.
    """

    __slots__ = ("_layout", "_pairs", "_raws")
    _raws: tuple[bytes, ...]
    _pairs: tuple[tuple[Any, Any], ...] | None  # None until somebody looks at what was read
    _layout: RecordLayout | None

    def __init__(self, values: Mapping[Any, Any] | Iterable[tuple[Any, Any]]) -> None:
        pairs = values.items() if isinstance(values, Mapping) else values
        self._pairs, self._layout, self._raws = tuple((_number(number), value) for number, value in pairs), None, ()

    @classmethod
    def _read(cls, layout: RecordLayout, raws: tuple[bytes, ...]) -> TemplateRecord:
        made = cls.__new__(cls)
        made._layout, made._raws, made._pairs = layout, raws, None
        return made

    @property
    def pairs(self) -> tuple[tuple[Any, Any], ...]:
        """Each number with its value, in order."""
        if self._pairs is None:
            self._pairs = tuple([(place.number, place.value(raw)) for place, raw in zip(self._layout or (), self._raws, strict=True)])
        return self._pairs

    def __getitem__(self, number: Any) -> Any:
        number = _number(number)
        if self._pairs is None:
            for place, raw in zip(self._layout or (), self._raws, strict=True):
                if place.number == number or place.name == number:
                    return place.value(raw)
            raise KeyError(number)
        for i, (one, value) in enumerate(self._pairs):
            if one == number or (self._layout is not None and self._layout[i].name == number):
                return value
        raise KeyError(number)

    def __iter__(self) -> Iterator[Any]:
        return iter(dict.fromkeys(number for number, _ in self.pairs))

    def __len__(self) -> int:
        return len({number for number, _ in self.pairs})

    def __eq__(self, other: object) -> bool:
        if isinstance(other, TemplateRecord):
            if self._pairs is other._pairs is None and self._layout is other._layout:
                return self._raws == other._raws
            return self.pairs == other.pairs
        return Mapping.__eq__(self, other) if isinstance(other, Mapping) else NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(number for number, _ in self.pairs))

    def __repr__(self) -> str:
        names = (
            [place.name for place in self._layout]
            if self._layout is not None
            else [str(number) for number, _ in self.pairs]
        )
        shown = (
            f"{name}={bytes_text(v) if isinstance(v, bytes) else v}"
            for name, (_, v) in zip(names, self.pairs, strict=True)
        )
        return printable(f"TemplateRecord({', '.join(shown)})")

    def __reduce__(self) -> Any:
        places = None if self._layout is None else [(place.number, place.name, place.size) for place in self._layout]
        return _again, (self.pairs, places)

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


def _again(pairs: tuple[tuple[Any, Any], ...], places: list[tuple[Any, str, int]] | None) -> TemplateRecord:
    """Return a record out of a pickle; what kinds its values are of, the field knows that it is built in."""
    made = TemplateRecord(pairs)
    made._layout = None if places is None else RecordLayout(RecordPlace(*place, bytes) for place in places)
    return made


def _number(number: Any) -> Any:
    return int(number) if isinstance(number, int) else number


class RecordsKind(Kind):
    """Records one after the other. Raw: the tuple of them."""

    zero: Raw = ()
    wire: Wire = "open"
    allows = "size condition"
    words = "records as a template says"

    def annotation(self) -> str:
        return "tuple[TemplateRecord, ...]"

    def raw(self, value: Any, where: str) -> tuple[TemplateRecord, ...]:
        some = (value,) if isinstance(value, Mapping) else value
        try:
            found = tuple(one if isinstance(one, TemplateRecord) else TemplateRecord(one) for one in some)
        except (TypeError, ValueError):
            raise BuildError(where, "records: mappings of the template's numbers to values", repr(value)) from None
        return found

    def text(self, raw: Raw) -> str:
        return ", ".join(map(repr, raw)) or "none"


Records: TypeAlias = Annotated[tuple[TemplateRecord, ...], RecordsKind()]
"""Records whose layout an earlier packet gave (see `laid_out`)."""


class LaidOutBy(Transform):
    """What `laid_out` says: where the layout is recalled from, and which fields of a template say what."""

    name = "laid_out"
    usual = {"layout": None, "size": "size", "number": "type", "enterprise": "", "align": 0, "kinds": None}

    def check(self, where: str) -> None:
        if not isinstance(self.given["layout"], Recalled):
            raise DeclareError(where, 'recalled("table", key...), which is a template', repr(self.given["layout"]))
        for word in ("size", "number", "enterprise"):
            if not isinstance(self.given[word], str) or not (self.given[word] or word == "enterprise"):
                raise DeclareError(where, f"the name of a template's field as {word}=", repr(self.given[word]))
        if type(self.given["align"]) is not int or not 0 <= self.given["align"] <= 256:
            raise DeclareError(where, "a number of bytes from 0 as align=", repr(self.given["align"]))
        self.kinds = {
            _number(number): _kind(one, f"{where}, kinds") for number, one in (self.given["kinds"] or {}).items()
        }

    def carry(self, inner: Kind, where: str) -> Through:
        """Return the kind of the field."""
        return LaidOut(inner, (self,), where)

    def layout(self, template: object) -> RecordLayout | str:
        """Return the layout that a template says, or what is wrong with it."""
        found, given = [], self.given
        for one in template if isinstance(template, tuple) else (template,):
            size, number = (getattr(one, given[word], None) for word in ("size", "number"))
            if not isinstance(size, int) or not isinstance(number, int) or size < 0:
                return f"{type(one).__name__} without numbers {given['size']} and {given['number']}"
            other = getattr(one, given["enterprise"], None) if given["enterprise"] else None
            plain = int(number)
            key: Number = (int(other), plain) if isinstance(other, int) and other else plain
            name = getattr(number, "name", None) if key == plain else None
            name = name if isinstance(name, str) else f"{key[0]}/{key[1]}" if isinstance(key, tuple) else str(key)
            usual = int if size <= 8 else bytes
            found.append(RecordPlace(key, name, int(size), self.kinds.get(key, usual)))
        made = RecordLayout(found)
        return made if made.least else "a template of no bytes"


def _kind(said: object, where: str) -> Any:
    if said in PLAIN:
        return said
    found = kind_of(said, where) if get_origin(said) is Annotated or said is XNSAddress else said
    if isinstance(found, type) or getattr(found, "wire", "") not in ("number", "bytes"):
        raise DeclareError(where, "int, bytes, str, or a kind of field such as IPv4Address", f"{said!r:.60}")
    return found


class LaidOut(Through):
    """Records in the bytes of a packet, and the layout that they have."""

    transforms: tuple[LaidOutBy, ...]
    stays = True

    def __init__(self, inner: Kind, transforms: tuple[Transform, ...], where: str = "laid_out(...)") -> None:
        if not isinstance(inner, RecordsKind):
            raise DeclareError(where, "Records for laid_out(...)", inner.in_words())
        super().__init__(inner, transforms, where)
        self._layouts: dict[int, tuple[object, RecordLayout | str]] = {}

    def in_words(self) -> str:
        return self.inner.in_words()

    def value(self, raw: Raw) -> Raw:
        return raw.inner if isinstance(raw, Carried | InnerValue) and raw.opened else ()

    def remark(self, raw: Raw) -> str:
        given = raw.given[0] if isinstance(raw, Carried) and raw.given else None
        origin = getattr(given, "origin", "")
        return f", laid out as {self.late[0][2]} says" + (f", {origin}" if origin else "")

    def layout_of(self, entry: Any) -> RecordLayout | str:
        """Return the layout that was remembered, or why there is none."""
        template = entry.value
        key = id(template)
        if key not in self._layouts or self._layouts[key][0] is not template:
            if len(self._layouts) > 1000:
                self._layouts.clear()
            self._layouts[key] = template, self.transforms[0].layout(template)
        return self._layouts[key][1]

    def opened(self, data: bytes, given: tuple[object, ...]) -> Carried:
        found, (entry,) = Carried(data), given
        found.given = given
        if not data:
            found.inner, found.opened = (), True
            return found
        if isinstance(entry, NoEntry) and entry.waits:
            found.note = f"{entry.expected}: {entry.got}"
            return found
        if not hasattr(entry, "value"):
            found.expected, found.got = (entry.expected, entry.got) if isinstance(entry, NoEntry) else ("a layout", "none")
            return found
        layout = self.layout_of(entry)
        if isinstance(layout, str):
            found.expected, found.got = "a template of numbers and sizes", layout
            return found
        found.inner, pos = layout.read_all(data)
        found.opened = True
        left = data[pos:]
        if len(left) >= layout.least or any(left):
            found.expected, found.got = (
                f"whole records of {layout.least} bytes or more, and zeros",
                f"{len(left)} bytes: {bytes_text(left)}",
            )
        return found

    def closed(self, raw: Raw, given: tuple[object, ...]) -> Carried:
        (entry,) = given
        if isinstance(raw, Carried) and (not raw.opened or not hasattr(entry, "value") or raw.given == given):
            return raw
        if not isinstance(raw, Carried | InnerValue):
            return Carried(raw)
        layouts = {id(one._layout): one._layout for one in raw.inner}
        layout: Any = self.layout_of(entry) if hasattr(entry, "value") else None
        if layout is None and len(layouts) == 1:
            (layout,) = layouts.values()  # records that were read have theirs
        if layout is None and not raw.inner:
            return Carried(b"")
        if not isinstance(layout, RecordLayout):
            expected = entry.expected if isinstance(entry, NoEntry) else f"{self.late[0][2]}, remembered from an earlier packet"
            hint = "build it inside `with context:`, in which the template was built or read"
            raise BuildError(self.where, expected, layout or (entry.got if isinstance(entry, NoEntry) else "none"), hint)
        parts = [layout.write(one, f"{self.where}[{i}]") for i, one in enumerate(raw.inner)]
        data = b"".join(parts)
        fill = -len(data) % self.transforms[0].given["align"] if self.transforms[0].given["align"] else 0
        data += bytes(fill if fill < layout.least else 0)
        made = self.opened(data, given) if hasattr(entry, "value") else Carried(data)
        if not made.opened:
            made.inner, made.opened, made.given = raw.inner, True, given
        return made

    def raw(self, value: Raw, where: str) -> Raw:
        return (
            value
            if isinstance(value, Carried | InnerValue | RawValue) and not isinstance(value, RawValue)
            else super().raw(value, where)
        )


def laid_out(
    layout: object, *, size: str = "size", number: str = "type", enterprise: str = "", align: int = 0,
    kinds: Mapping[Any, Any] | None = None, value: Raw = REQUIRED,
) -> Any:  # fmt: skip
    """Records one after the other, each laid out as a template of an earlier packet says (NetFlow v9, IPFIX).

    ``records: Records = laid_out(recalled("netflow", field("id")), size="length")``. Up to where the field ends, what is less than
    a record being zeros that fill up.

    Args:
        layout: `recalled` from a table whose values are lists of headers. size, number, enterprise: the fields of these that say how
            many bytes a value has (65,535: it says so itself, RFC 7011 section 7), what it is called, and by whom, where not 0.
        align: records that are built are filled up with zeros to a multiple of this.
        kinds: number -> int, bytes, str, or a kind such as IPv4Address; otherwise values of up to 8 bytes are numbers, others bytes.
        value: ``sized(...)`` or ``when(...)``.

    Where no packet gave the template, the field is a fault, has no records, and keeps its bytes. Built they are in a context
    in which the template was built or read, or from records that were read.
    """
    if isinstance(layout, Recalled):
        layout = Recalled(layout.table, layout.key, None, is_number=False)
    spec = value if isinstance(value, Spec) else Spec(() if value is REQUIRED else value)
    spec.through = (
        LaidOutBy(layout=layout, size=size, number=number, enterprise=enterprise, align=align, kinds=kinds),
        *spec.through,
    )
    return spec
