"""Paths: what a dotted name means. Filters, columns, ladders, volatile fields and variations all read names here.

    header               ip, tcp: a declared header by its name, in any case of letters, or by one that other tools use
    header#2             the second such header of a packet
    header.field         ip.ttl; "payload" is the bytes above a header
    header.field.raw     the raw value, where users see another form (ntp.delay.raw)
    header.field.part    a flag (tcp.flags.syn); net, host or socket of an XNS address; a field of items (tcp.options.kind)

A name that nothing declares is a BuildError with the name that was meant.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from enum import IntFlag
from typing import NamedTuple

from packetlab.codec.encode import encode_items
from packetlab.codec.objects import AnyHeader, class_named, classes, declared_classes
from packetlab.declare.fields import Field
from packetlab.declare.kinds import Address, ByteString, Int, Kind, Raw
from packetlab.declare.values.addresses import XNSAddress, mac_text
from packetlab.errors import BuildError, near_or_all, suggestion
from packetlab.packet.packet import Header, Packet

HEADERS = {"ip": "ipv4", "eth": "ether", "sll": "linuxsll"}
"""Names of headers that other tools have made common."""
FIELDS = {
    "arp.opcode": "operation", "ipv4.len": "length", "ipv4.proto": "protocol", "ipv6.hlim": "hop_limit", "ipv6.nxt": "next_header",
    "ipv6.plen": "payload_length", "sctp.dstport": "dport", "sctp.srcport": "sport", "tcp.dstport": "dport", "tcp.srcport": "sport",
    "udp.dstport": "dport", "udp.srcport": "sport", "ipv4.flags.df": "dont_fragment", "ipv4.flags.mf": "more_fragments",
    "ipv4.flags.rb": "reserved", "tcp.flags.push": "psh", "tcp.flags.reset": "rst",
}  # fmt: skip
"""The same for fields and flags: only what means the very same values."""
PAYLOAD = "payload"
RAW = "raw"
"""The part of a field that is its raw value, where users see another form."""
_NAME = re.compile(r"([A-Za-z_]\w*)(?:#(\d+))?((?:\.\w+)*)")
_FLAG = Int(1)
HOST = Address(
    "the host of an XNS address", 6, lambda value: bytes(XNSAddress.of((0, value, 0)))[4:10], bytes, mac_text
)
"""The kind of the host in an XNS address: a MAC address, which may be written as a number too."""


class FieldPath(NamedTuple):
    """A header, and what of it is meant.

    Attributes:
        header: its class. occurrence: the how-manieth of its kind from 1, 0 where none was said.
        fields: the field, after it those of its items; empty for the header as a whole and for its payload.
        part: of the last field: a part of an address, a flag; or "payload" for the bytes above the header; or "".
    """

    header: type[AnyHeader]
    occurrence: int = 0
    fields: tuple[Field, ...] = ()
    part: str = ""

    @classmethod
    def parse(cls, text: str, where: str, among: Sequence[type[AnyHeader]] = ()) -> FieldPath:
        """Return what a name means; of headers `among` these before all others. BuildError, about `where`, if nothing."""
        found = _NAME.fullmatch(text)
        if found is None:
            raise BuildError(where, "header, header.field or header#2.field", repr(text))
        number = int(found[2] or 0) if len(found[2] or "") < 10 else 0
        if found[2] and not number:
            raise BuildError(where, "a number from 1 on after #", found[2][:20])
        header = named_header(found[1], where, among)
        return cls.of(header, found[3].split(".")[1:], where, number)

    @classmethod
    def of(cls, header: type[AnyHeader], names: Sequence[str], where: str, occurrence: int = 0) -> FieldPath:
        """Return what names of a field and of its parts mean in a header. BuildError, about `where`, for others."""
        fields: list[Field] = []
        inside, called = header, header.__name__
        for place, name in enumerate(names):
            own = inside._by_name.get(name) or inside._by_name.get(FIELDS.get(f"{inside.__name__.lower()}.{name}", ""))
            if not place and name == PAYLOAD and (own is None or own.kind.wire == "payload"):
                if len(names) > 1:
                    raise BuildError(where, "no part of a payload", ".".join(names[1:]))
                return cls(header, occurrence, (), PAYLOAD)
            if own is None or own.kind.wire == "payload":
                known = [*inside._by_name, *_others(inside.__name__), *([] if place else [PAYLOAD])]
                hint = _either(inside, name) or near_or_all(name, known)
                raise BuildError(where, f"a field of {inside.__name__}", repr(name), hint)
            fields.append(own)
            called += f".{own.name}"
            if own.kind.wire == "items":
                inside = classes[own.kind.item]
            elif place + 1 < len(names):
                return cls(header, occurrence, tuple(fields), _part(own, ".".join(names[place + 1 :]), called, where))
        return cls(header, occurrence, tuple(fields))

    @property
    def field(self) -> Field | None:
        """The field of the header itself; None for the header as a whole and for its payload."""
        return self.fields[0] if self.fields else None

    @property
    def several(self) -> bool:
        """Whether a header can have more than one such value: what items hold."""
        return any(not f.kind.one for f in self.fields[:-1])

    @property
    def kind(self) -> Kind:
        """The kind of the value; of a header as a whole a number of one bit."""
        if not self.fields:
            return ByteString() if self.part else _FLAG
        kind = self.fields[-1].kind
        if not self.part:
            return kind
        if self.flag:
            return _FLAG
        if self.part == RAW and kind.as_raw is not None:
            return kind.as_raw
        return HOST if self.part == "host" else Int((self._slice.stop - self._slice.start) * 8)

    @property
    def flag(self) -> int:
        """The bits of a flag, 0 for all else."""
        return flags(self.fields[-1].kind).get(self.part, 0) if self.fields else 0

    @property
    def _slice(self) -> slice:
        kind = self.fields[-1].kind
        if self.part == RAW and kind.as_raw is not None:
            return slice(0, kind.fixed_bits // 8)
        assert kind.is_address
        return slice(*kind.parts[self.part])

    @property
    def skip(self) -> int:
        """Bytes from the start of the field to the part."""
        return self._slice.start if self.fields and self.part and not self.flag else 0

    @property
    def name(self) -> str:
        mark = f"#{self.occurrence}" if self.occurrence > 1 else ""
        return ".".join([f"{self.header.__name__.lower()}{mark}", *self.names])

    @property
    def names(self) -> tuple[str, ...]:
        return (*(f.name for f in self.fields), *([self.part] if self.part else []))

    def found(self, packet: Packet) -> list[int]:
        """Return the places among the layers of a packet where such headers are."""
        places = [place for place, layer in enumerate(packet.layers) if isinstance(layer, self.header)]
        return places[self.occurrence - 1 : self.occurrence] if self.occurrence else places

    def raw_values(self, packet: Packet, place: int) -> list[object]:
        """Return the raw values in the header at a place among the layers: of items as many as there are, else one or none."""
        if not self.fields:
            return [packet._build()[0][place] if self.part else 1]
        return self.raws_of(packet.layers[place])

    def raws_of(self, header: Header) -> list[object]:
        """Return the raw values of a field in a header whose derived fields are filled in."""
        headers = [header]
        for f in self.fields[:-1]:
            lists = [one._items_of(f) for one in headers if getattr(one, f.slot) is not None]
            headers = [item._resolved_alone() for items in lists for item in items if isinstance(item, Header)]
        slot = self.fields[-1].slot
        return [self._taken(raw) for raw in (getattr(one, slot) for one in headers) if raw is not None]

    def _taken(self, raw: Raw) -> object:
        if self.flag:
            return int(raw & self.flag == self.flag)
        if self.part and self.part != RAW:
            data = raw[self._slice]
            return int.from_bytes(data, "big") if self.kind.wire == "number" else data
        return encode_items(raw, 0) if self.fields[-1].kind.wire == "items" else raw


def named_header(name: str, where: str, among: Sequence[type[AnyHeader]] = ()) -> type[AnyHeader]:
    """Return the header class of a name; of those `among` before all others. BuildError, about `where`, if there is none."""
    wanted = HEADERS.get(name.lower(), name.lower())
    found = next((cls for cls in among if cls.__name__.lower() == wanted), None) or class_named(wanted)
    if found is None:
        known = [*HEADERS, *(cls.__name__.lower() for cls in (*among, *declared_classes()))]
        hint = suggestion(name.lower(), known) or "only declared headers can be named, not what deep() decodes"
        raise BuildError(where, "a header", repr(name), hint)
    return found


def flags(kind: Kind) -> Mapping[str, int]:
    """Return the flags of a kind of numbers: name in small letters -> bits."""
    names = kind.names if kind.wire == "number" else None
    if names is None or not issubclass(names, IntFlag):
        return {}
    return {name.lower(): int(bits) for name, bits in names.__members__.items() if bits}


def _part(field: Field, part: str, called: str, where: str) -> str:
    kind = field.kind
    known = flags(kind) or (kind.parts if kind.is_address else {})
    meant = FIELDS.get(f"{called.lower()}.{part.lower()}", part.lower())
    if meant == RAW and kind.as_raw is not None:
        return RAW
    if meant in known:
        return meant
    if not known:
        names = getattr(kind, "names", None) or ()
        hint = (
            f"compare it: {field.name} == {part.upper()}" if part.upper() in getattr(names, "__members__", ()) else ""
        )
        raise BuildError(where, f"no part of {called}", repr(part), hint)
    raise BuildError(where, f"a part of {called}", repr(part), near_or_all(part.lower(), [*known, *_others(called)]))


def _either(header: type[AnyHeader], name: str) -> str:
    """Return which fields there are instead where other tools have one name for those of both ends."""
    ends = {"addr": ("src", "dst"), "host": ("src", "dst"), "port": ("sport", "dport")}.get(name.lower(), ())
    called = next(
        (short for short, long in HEADERS.items() if long == header.__name__.lower()), header.__name__.lower()
    )
    return " or ".join(f"{called}.{end}" for end in ends) if ends and {*ends} <= {*header._by_name} else ""


def _others(called: str) -> Iterable[str]:
    """Return the names that other tools use inside a header or a field."""
    return (name.rpartition(".")[2] for name in FIELDS if name.rpartition(".")[0] == called.lower())
