"""A declared header as a dpkt class: `__hdr__` where it fits, unpack, bytes.

Values have dpkt's own form: numbers, addresses as bytes, repeated headers as lists; `data` is what lies above. A field that
was not set is derived by the declaration's rules when the packet is packed, and reads as its default (0) until then.
"""

from __future__ import annotations

from contextvars import ContextVar
from functools import cache
from typing import Any

from packetlab.codec.bodies import measured
from packetlab.codec.compiler import prove_once
from packetlab.codec.faults import Dissection
from packetlab.codec.objects import AnyHeader, classes
from packetlab.declare import registry
from packetlab.declare.declaration import Declaration
from packetlab.declare.fields import REQUIRED, Field
from packetlab.declare.kinds import Kind, Raw
from packetlab.declare.plan import Fixed
from packetlab.declare.values.views import given
from packetlab.escaping import printable
from packetlab.export.bridges.counterparts import (
    COUNTERPARTS,
    becoming,
    counterpart,
    is_required,
    named_fields,
    native,
    read_items,
)
from packetlab.packet.foreign import Foreign
from packetlab.packet.packet import Header

LAYERS = 32
"""Headers of one packet that become packets of dpkt's; these are nested, and Python's stack is finite."""

_made: dict[str, tuple[type[AnyHeader], type[Foreign]]] = {}


def dpkt_class(header: type[AnyHeader]) -> type[Foreign]:
    """Return a subclass of dpkt.Packet for a declared header; the same one for the same declaration.

    Its fields have the header's names (with "_" after a name that dpkt keeps for itself: ``data_``). Fixed fields at the
    start stand in `__hdr__`, those that share bytes in `__bit_fields__`. dpkt.Ethernet and dpkt.IP learn the numbers that
    the header is bound to. Bytes that end inside the header raise dpkt.NeedData, as dpkt's classes do.
    """
    key = header._declaration.key
    known = _made.get(key)
    if known is not None and known[0] is header:
        return known[1]
    made = _make(header)
    _made[key] = (header, made)
    if header.__name__ not in COUNTERPARTS:
        _bind(header, made)
    return made


def names_of(header: type[AnyHeader]) -> dict[str, Field]:
    """Return dpkt's name -> declared field, in order."""
    import dpkt

    return named_fields(header, {*dir(dpkt.Packet), "data", "trailer"})


@cache
def fixed_part(header: type[AnyHeader]) -> tuple[str, list[tuple[str, str, Any]], dict[str, list[tuple[str, int]]]]:
    """Return what dpkt can say of a header itself: byte order, `__hdr__`, `__bit_fields__`."""
    first = next(iter(header._declaration.plan.head), None)
    order, hdr, shared = "", [], {}
    there = {f: name for name, f in names_of(header).items()}
    for unit in first.run.units if isinstance(first, Fixed) else ():
        wide = unit.number and unit.bits > 8
        signed_bits = len(unit.fields) > 1 and any(f.kind.wire == "number" and f.kind.signed for f in unit.fields)
        own = not unit.number and not unit.fields[0].kind.verbatim
        own = own or (len(unit.fields) > 1 and header._declaration.low)  # dpkt has the highest bits first
        if own or unit.by_bytes or signed_bits or (wide and order and (order == "<") != unit.little):
            break
        if wide:
            order = "<" if unit.little else ">"
        if len(unit.fields) == 1:
            f = unit.fields[0]
            hdr.append((there[f], unit.code, f.kind.zero if f.default in (None, REQUIRED) else f.default))
            continue
        name, value = "_" + "_".join(there[f] for f in unit.fields), 0
        for f in unit.fields:
            bits = f.kind.fixed_bits
            value = value << bits | (f.default if isinstance(f.default, int) else 0) & (1 << bits) - 1
        hdr.append((name, unit.code, value))
        shared[name] = [(there[f], f.kind.fixed_bits) for f in unit.fields]
    return order or ">", hdr, shared


def lift(kind: Kind, raw: Raw) -> Raw:
    """Return a raw value of ours in dpkt's form."""
    if raw is None:
        return None
    if kind.wire == "items":
        return [one if isinstance(one, bytes) else _item(one) for one in raw]
    return raw if kind.wire == "number" or kind.verbatim else kind.value(raw)


def _item(one: Header) -> Foreign:
    made = dpkt_class(type(one))
    if not (one._declaration.in_bits or one._declaration.outer_leaves):
        return made(bytes(one))
    names = names_of(type(one))
    return made(
        **{name: lift(f.kind, getattr(one, f.slot)) for name, f in names.items()}
    )  # alone it has no bytes, or others


def lower(kind: Kind, value: Raw) -> Raw:
    """Return a value in dpkt's form as one that a header of ours takes."""
    if kind.wire == "items":
        ours = all(hasattr(one, "declared_header") for one in value)
        return tuple(one.to_header() for one in value) if ours else b"".join(map(bytes, value))
    return given(kind, value)


class _Reading:
    """One packet being read: dpkt's classes and those made here lead to one another, nested as the headers are."""

    def __init__(self, own: bool) -> None:
        self.own, self.depth = own, 0
        # What dpkt's own class came to before it failed, the class made here has again: never read twice, since that
        # doubles with every header.
        self.known: dict[tuple[type[AnyHeader], bytes], Foreign] = {}

    def read(self, header: type[AnyHeader], data: bytes) -> Foreign:
        if (header, data) not in self.known:
            if self.depth >= LAYERS:
                return data
            self.depth += 1
            self.known[header, data] = self.made(header, data)
            self.depth -= 1
        return self.known[header, data]

    def made(self, header: type[AnyHeader], data: bytes) -> Foreign:
        for kind in (native(header, "dpkt") if self.own else None, dpkt_class(header)):
            try:
                made = kind(data) if kind is not None else None
                if made is not None and bytes(made) == data:
                    return made
            except Exception:
                pass  # dpkt's own classes raise whatever the bytes lead to; bytes are what is left then
        return data


_reading: ContextVar[_Reading | None] = ContextVar("_reading", default=None)


def read_above(header: type[AnyHeader] | None, data: bytes, own: bool = True) -> Foreign:
    """Return what lies above as dpkt's own packet (if `own`), else one of a class made here, else as bytes.

    The bytes are the same. What lies above more than `LAYERS` headers of classes made here is bytes.
    """
    if header is None or not data:
        return data
    reading = _reading.get()
    if reading is not None:
        return reading.read(header, data)
    reading = _Reading(own)
    outermost = _reading.set(reading)
    try:
        return reading.read(header, data)
    finally:
        _reading.reset(outermost)


def _above(data: object) -> Declaration | None:
    """Return what lies above is declared as."""
    found = counterpart(type(data))
    return None if found is None else found._declaration


def _make(header: Any) -> type[Foreign]:  # noqa: C901  methods of one class
    import dpkt

    prove_once(header._declaration)
    names = names_of(header)
    order, hdr, shared = fixed_part(header)
    described = {name for name, _, _ in hdr} - set(shared) | {n for parts in shared.values() for n, _ in parts}

    class DeclaredForDpkt(dpkt.Packet):  # type: ignore[misc]
        __hdr__ = tuple(hdr)
        __byte_order__ = order
        __bit_fields__ = {name: tuple(parts) for name, parts in shared.items()}
        declared_header = header

        def __new__(cls, *args: Any, **given: Any) -> Foreign:
            if args and (become := becoming(header, args[0])) is not header:
                return dpkt_class(become)(bytes(args[0]))
            return super().__new__(cls)

        def __init__(self, *args: Any, **given: Any) -> None:
            self._given: set[str] = set()
            self._read: Header | None = None
            self.trailer = b""
            for name, f in names.items():
                if name not in described:
                    setattr(
                        self,
                        name,
                        lift(f.kind, f.kind.zero if is_required(f) else None if f.default is REQUIRED else f.default),
                    )
            if args:
                super().__init__(bytes(args[0]))
            else:
                super().__init__()
                self._given.clear()
                for name, value in given.items():
                    if name not in names and name not in ("data", "trailer"):
                        raise AttributeError(f"{header.__name__} has no field {name!r}")
                    setattr(self, name, value)

        def __setattr__(self, name: str, value: object) -> None:
            object.__setattr__(self, name, value)
            if name in names:
                self._given.add(name)
                self._read = None

        def __delattr__(self, name: str) -> None:
            if name not in names:
                super().__delattr__(name)
            self._given.discard(name)  # derived again
            self._read = None

        def to_header(self) -> Any:
            """Return the header of ours with the fields given here."""
            if self._read is not None:
                return self._read
            given = {
                f.name: lower(f.kind, getattr(self, name))
                for name, f in names.items()
                if name in self._given or is_required(f)
            }
            return header(**{name: value for name, value in given.items() if value is not None})

        def unpack(self, buf: bytes) -> None:
            read, after, stop, above = header._decode(buf, 0, len(buf), Dissection())
            if read._is_partial:
                raise dpkt.NeedData(f"got {len(buf)} bytes, which end inside {header.__name__}")
            for name in shared:
                object.__setattr__(self, name, 0)  # the bytes that bit fields are written into
            for name, f in names.items():
                raw = read_items(read, f)
                if raw is None:
                    object.__setattr__(self, name, None)
                else:
                    setattr(self, name, lift(f.kind, raw))
            self.data = read_above(above and classes[above], buf[after:stop])
            self.trailer = buf[stop + measured(read, read._declaration.after) :]
            self._read = read

        def _packed(self, stack: tuple[Header, ...]) -> bytes:
            mine = self.to_header()
            stack = (*stack, mine)
            body = self.data._packed(stack) if hasattr(self.data, "declared_header") else bytes(self.data)
            packed: bytes = header._encode(mine, body, stack, len(stack) - 1, _above(self.data))
            return packed + self.trailer

        def pack_hdr(self) -> bytes:
            """Return the header alone, derived as it is with its data."""
            mine = self.to_header()
            body = bytes(self.data)
            whole = header._resolve(mine, body, (mine,), 0, _above(self.data))
            return bytes(whole)

        def __bytes__(self) -> bytes:
            return self._packed(())

        def __len__(self) -> int:
            return len(bytes(self))

    DeclaredForDpkt.__name__ = DeclaredForDpkt.__qualname__ = header.__name__
    DeclaredForDpkt.__doc__ = printable(header._declaration.doc, "\n")
    DeclaredForDpkt.__module__ = __name__
    return DeclaredForDpkt


def _bind(header: type[AnyHeader], made: object) -> None:
    from dpkt.ethernet import Ethernet
    from dpkt.ip import IP

    for below, numbers in registry.numeric_bindings(header._declaration):
        if below.name == "Ether" and set(numbers) == {"type"}:
            _while_declared(Ethernet._typesw, header, made, below, numbers)
            Ethernet._typesw_rev[made] = numbers["type"]
        elif below.name == "IPv4" and set(numbers) == {"protocol"}:
            _while_declared(IP._protosw, header, made, below, numbers)


_before: dict[tuple[int, int], Any] = {}  # (dpkt's table, number) -> what dpkt itself has there


def _while_declared(
    table: dict[int, Any], header: type[AnyHeader], made: Any, below: Declaration, numbers: dict[str, int]
) -> None:
    """Let a class stand at a number of dpkt's as long as the declarations say so, and then what dpkt has there."""
    (number,) = numbers.values()
    own = _before.setdefault((id(table), number), table.get(number))

    def read(data: bytes) -> Foreign:
        if (below, numbers) in registry.numeric_bindings(header._declaration):
            return made(data)
        if own is None:
            raise KeyError(number)  # bytes, to dpkt
        return own(data)

    table[number] = read
