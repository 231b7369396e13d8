"""Paths: what a dotted name means. Filters, columns, ladders, volatile fields and variations all read names here.

    header               ip, tcp: a declared header by its name, in any case of letters, or by one that other tools use
    header#2             the second such header of a packet
    header.field         ip.ttl; "payload" is the bytes above a header
    header.field.raw     the raw value, where users see another form (ntp.delay.raw)
    header.field.part    a flag (tcp.flags.syn); net, host or socket of an XNS address
    list.field           of the items of a list: the first where one value is wanted, any of them where something is asked (tcp.options.kind)
    list[2], list[-1]    one item, from 0 and from the end; or one value of a list of values (l.ports[0])
    list[all], list[any] every item: in a column a tuple, in a filter all have to fit; any of them
    list.class           items that a class declared for them takes apart, and fields of it: tcp.options.mss.value, tcp.options.mss[1]
    list[2].class        the item with that number, where it is of the class: nothing where it is of another
    list.count           how many there are (of items that have a field `count`, that field)

A name that nothing declares is a BuildError with the name that was meant.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from enum import IntFlag
from typing import Any, NamedTuple, TypeVar

from packetlab.codec.encode import encode_items
from packetlab.codec.objects import AnyHeader, class_named, classes, declared_classes
from packetlab.codec.refinement.views import viewed
from packetlab.declare.checksums.bitwise import is_sum
from packetlab.declare.fields import Field
from packetlab.declare.kinds import Address, ByteString, Int, Kind, Raw
from packetlab.declare.refinement.registered import refinements
from packetlab.declare.registry import declared
from packetlab.declare.values.addresses import XNSAddress, mac_text
from packetlab.errors import BuildError, near_or_all, suggestion
from packetlab.packet.packet import Header, Packet
from packetlab.packet.results import Verdict

T = TypeVar("T")
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
COUNT = "count"
"""The part of a list that is how many it holds."""
_NAME = re.compile(r"([A-Za-z_]\w*)(?:#(\d+))?((?:\.\w+(?:\[[^\].]*\])?)*)")
_STEP = re.compile(r"(\w+)(?:\[(-?\d{1,9}|all|any)\])?")
_FLAG, _COUNTED = Int(1), Int(32)
HOST = Address(
    "the host of an XNS address", 6, lambda value: bytes(XNSAddress.of((0, value, 0)))[4:10], bytes, mac_text
)
"""The kind of the host in an XNS address: a MAC address, which may be written as a number too."""


class FieldPath(NamedTuple):
    """A header, and what of it is meant.

    Attributes:
        header: its class. occurrence: the how-manieth of its kind from 1, 0 where none was said.
        fields: the field, after it those of its items; empty for the header as a whole and for its payload.
        part: of the last field: a part of an address, a flag, "count"; or "payload" for the bytes above the header; or "".
        picks: for each field which of the values that it lists: a number in digits, "all", "any", or "".
        refined: for each field the class that its items have to be of, None for any.
        numbered: for each field whether the number stands before the class, and so counts all items and not those of the class.
    """

    header: type[AnyHeader]
    occurrence: int = 0
    fields: tuple[Field, ...] = ()
    part: str = ""
    picks: tuple[str, ...] = ()
    refined: tuple[type[AnyHeader] | None, ...] = ()
    numbered: tuple[bool, ...] = ()

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
        picks: list[str] = []
        refined: list[type[AnyHeader] | None] = []
        numbered: list[bool] = []
        inside, called = header, header.__name__
        for place, step in enumerate(names):
            found = _STEP.fullmatch(step)
            if found is None:
                raise BuildError(where, "a number, all or any in [...]", repr(step), "[0] is the first" * ("[first]" in step))
            name, pick = found[1], found[2] or ""
            own = field_in(inside, name) or inside._by_name.get(FIELDS.get(f"{inside.__name__.lower()}.{name}", ""))
            if not place and not pick and name == PAYLOAD and (own is None or own.kind.wire == "payload"):
                if len(names) > 1:
                    raise BuildError(where, "no part of a payload", ".".join(names[1:]))
                return cls(header, occurrence, (), PAYLOAD)
            if name == COUNT and own is None and fields and not pick and place + 1 == len(names):
                return cls(header, occurrence, tuple(fields), COUNT, tuple(picks), tuple(refined), tuple(numbered))
            if name.lower() == RAW and own is None and fields and fields[-1].kind.transforms and place + 1 == len(names) and not (pick or picks[-1]):
                return cls(header, occurrence, tuple(fields), RAW, tuple(picks), tuple(refined), tuple(numbered))
            among = {one.__name__.lower(): one for one in _refinements(inside)} if fields and own is None else {}
            if name.lower() in among:
                if pick and (picks[-1] or fields[-1].kind.one):
                    raise BuildError(where, f"one of {name} by a number after its name alone", f"{called}.{step}")
                if refined[-1] is not None and picks[-1] and not numbered[-1]:
                    raise BuildError(where, f"a number after {name}, or after {fields[-1].name}", f"{called}.{step}")
                numbered[-1], picks[-1] = bool(picks[-1]), picks[-1] or pick
                inside = refined[-1] = among[name.lower()]
                called += f".{step}"
                continue
            if own is None or own.kind.wire == "payload":
                known = [*inside._by_name, *_own_names(inside), *among, *_others(inside.__name__), *([] if place else [PAYLOAD])]
                summed = not place and any(is_sum(f) for f in inside._fields)
                verdicts = verdicts_of(inside.__name__, name) if summed else ""
                hint = _either(inside, name) or verdicts or near_or_all(name, known)
                raise BuildError(where, f"a field of {inside.__name__}", repr(name), hint)
            if pick and not lists(own.kind):
                hint = f"without [{pick}], which is all of it: {name} is one value, and is given anew as a whole"
                raise BuildError(where, f"a list before [{pick}]", f"{called}.{name}, {own.kind.in_words()}", hint)
            fields.append(own)
            picks.append(pick)
            refined.append(None)
            numbered.append(False)
            called += f".{name}" + f"[{pick}]" * bool(pick)
            if own.kind.has_headers:
                inside = classes[own.kind.item]
            elif place + 1 < len(names):
                part = _part(own, ".".join(names[place + 1 :]), called, where)
                return cls(header, occurrence, tuple(fields), part, tuple(picks), tuple(refined), tuple(numbered))
        return cls(header, occurrence, tuple(fields), "", tuple(picks), tuple(refined), tuple(numbered))

    @property
    def field(self) -> Field | None:
        """The field of the header itself; None for the header as a whole and for its payload."""
        return self.fields[0] if self.fields else None

    @property
    def pick(self) -> str:
        """Which of the values of the last field."""
        return self.picks[-1] if self.picks else ""

    @property
    def deep(self) -> bool:
        """Whether it means something inside a field: of items, of a header in it, of a list, of what a class takes apart."""
        refines = self.header._declaration.refines is not None
        return refines or len(self.fields) > 1 or any((*self.picks, *self.refined)) or self.part == COUNT

    @property
    def every(self) -> bool:
        """Whether it means all values that a list has."""
        return "all" in self.picks

    def of_each(self, pick: str) -> FieldPath:
        """Return the same of each value, where the last field is a list of values of which none is picked yet."""
        plain = self.fields and self._listed is not None and not self.part and not self.pick
        return self._replace(picks=(*self.picks[:-1], pick)) if plain else self

    @property
    def _listed(self) -> Kind | None:
        """The kind of the values that the last field lists, None where it is no list of values."""
        return self.fields[-1].kind.inside.element

    @property
    def _last(self) -> Kind:
        """The kind of the last field, or of the values in it that are meant."""
        kind = self.fields[-1].kind
        element = None if kind.transforms and self.part == RAW and not self.pick else kind.inside.element
        return element if element is not None and (self.pick or self.part) else kind

    @property
    def kind(self) -> Kind:
        """The kind of the value; of a header as a whole a number of one bit."""
        if not self.fields:
            return ByteString() if self.part else _FLAG
        kind = self._last
        if not self.part:
            return kind
        if self.part == COUNT:
            return _COUNTED
        if self.flag:
            return _FLAG
        if self.part == RAW and kind.as_raw is not None:
            return kind.as_raw
        return HOST if self.part == "host" else Int((self._slice.stop - self._slice.start) * 8)

    @property
    def flag(self) -> int:
        """The bits of a flag, 0 for all else."""
        return flags(self._last).get(self.part, 0) if self.fields else 0

    @property
    def _slice(self) -> slice:
        kind = self._last
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
        steps: list[str] = []
        for f, cls, pick, is_numbered in self.steps:
            steps.append(f.name)
            if cls is not None:  # as it is spelled where its items have a field of that name in small letters
                called = cls.__name__.lower()
                steps.append(called if field_in(classes[f.kind.item], called) is None else cls.__name__)
            steps[-2 if is_numbered else -1] += f"[{pick}]" * bool(pick)
        return (*steps, *([self.part] if self.part else []))

    @property
    def steps(self) -> list[tuple[Field, type[AnyHeader] | None, str, bool]]:
        """The fields, each with the class of items that is meant, with which of them, and whether that counts all items (see `numbered`)."""
        count = len(self.fields)
        parts = (self.refined or (None,) * count, self.picks or ("",) * count, self.numbered or (False,) * count)
        return [*zip(self.fields, *parts, strict=True)]

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
        for step in self.steps[:-1]:
            headers = [item._resolved_alone() for one in headers for item in _meant(one, *step)]
        return [raw for one in headers for raw in self._raws_in(one)]

    def _raws_in(self, header: Header) -> list[object]:
        """Return the raw values of the last field in the header that has it."""
        f, cls, pick, is_numbered = self.steps[-1]
        header = holder(header, f)
        raw = getattr(header, f.slot)
        if raw is None:
            return []
        listed = f.kind.inside.element is not None and not (f.kind.transforms and self.part == RAW and not pick)
        if self.part == COUNT:
            return [len(_meant(header, f, cls, pick if is_numbered else "", is_numbered)) if f.kind.has_headers else f.kind.count(raw)]
        if f.kind.wire == "items" or (f.kind.has_headers and (pick or cls is not None)):
            single: list[object] = [encode_items((one,), 0) for one in _meant(header, f, cls, pick, is_numbered)]
            return single if pick or cls is not None else [encode_items(raw, 0)]
        return [self._taken(one) for one in (_picked(f.kind.raws(raw), pick) if listed and (pick or self.part) else [raw])]

    def _taken(self, raw: Raw) -> object:
        if self.part == RAW and self._last.transforms:
            return bytes(raw)  # and not what is inside
        if self.flag:
            return int(raw & self.flag == self.flag)
        if self.part and self.part != RAW:
            data = raw[self._slice]
            return int.from_bytes(data, "big") if self.kind.wire == "number" else data
        return raw


def holder(header: Header, f: Field) -> Header:
    """Return the header that keeps a field of `header`: itself, or the one inside that it looks into."""
    inner: Any = header
    while f.name not in inner._by_name:
        inner = viewed(inner)
    return inner  # type: ignore[no-any-return]


def field_in(header: type[AnyHeader], name: str) -> Field | None:
    """Return the field of that name, of a header or of what stands inside it."""
    return header._by_name.get(name) or _own_names(header).get(name)


def _own_names(header: type[AnyHeader]) -> Mapping[str, Field]:
    """Return the fields of what stands inside a header that takes one of its fields apart."""
    return {f.name: f for f in header._declaration.inside}


def _refinements(header: type[AnyHeader]) -> list[type[AnyHeader]]:
    """Return the classes that a header may turn out to be of."""
    found = [header]
    for one in found:
        found += [classes[refined] for refined in refinements(one._declaration)]
    return found[1:]


def _items(header: Header, f: Field, cls: type[AnyHeader] | None) -> list[Header]:
    """Return the whole items of a field that are of a class, none where it is absent."""
    header = holder(header, f)
    raw = getattr(header, f.slot)
    some = () if raw is None else f.kind.raws(raw) if f.kind.transforms else header._items_of(f)
    items = [one for one in some if isinstance(one, Header)]
    return items if cls is None else [one for one in items if isinstance(one, cls)]


def _meant(header: Header, f: Field, cls: type[AnyHeader] | None, pick: str, is_numbered: bool) -> list[Header]:
    """Return the items of a field that a step of a path means."""
    if not is_numbered or cls is None:
        return _picked(_items(header, f, cls), pick)
    return [one for one in _picked(_items(header, f, None), pick) if isinstance(one, cls)]


def _picked(values: list[T], pick: str) -> list[T]:
    return values if pick in ("", "all", "any") else values[int(pick) :][:1] if int(pick) >= -len(values) else []


def lists(kind: Kind) -> bool:
    """Whether a field of a kind lists values or items."""
    return kind.inside.element is not None or (kind.has_headers and not kind.inside.one)


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
    if part == COUNT and field.kind.inside.element is not None:
        return COUNT
    if part.lower() == RAW and field.kind.transforms and called.endswith(field.name):
        return RAW
    kind = field.kind.inside.element or field.kind
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
        ) or _hidden(field, part) or (verdicts_of(called.partition(".")[0], part) if is_sum(field) and called.count(".") == 1 else "")
        raise BuildError(where, f"no part of {called}", repr(part), hint)
    raise BuildError(where, f"a part of {called}", repr(part), near_or_all(part.lower(), [*known, *_others(called)]))


def _hidden(field: Field, part: str) -> str:
    """Return how to ask a class of items whose name, in small letters, is that of a field beside it."""
    named = next((one.name for one in declared() if one.name.lower() == field.name and one.name != field.name), "")
    return f"{named}.{part} is of the class {named}" if named else ""


def verdicts_of(header: str, asked: str) -> str:
    """Return how frames are found by the verdict on a checksum of a header, if that is what is asked for; else ""."""
    if asked.upper() not in ("VERDICT", *Verdict.__members__):
        return ""
    return f"capture.where(lambda packet: packet.verdict({header}) == Verdict.{'BAD' if asked.lower() == 'verdict' else asked.upper()})"


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
