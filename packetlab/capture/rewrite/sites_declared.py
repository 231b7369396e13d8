"""Addresses, ports and checksums by declarations: of the frames of a batch with headers that the walk of `sites` does not know.

Each such frame is dissected. Where a header follows that the walk knows, the walk goes on from there; of all others every
field that is an address, a port (`sport`, `dport`) or a checksum is noted where it stands, in the items of `many()` too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise, takewhile
from typing import Any

from packetlab.capture.rewrite.sites_found import LATER, Ends, Found, Rule
from packetlab.capture.rewrite.sites_held import Note, after, held
from packetlab.capture.rewrite.unwalked import BEGUN, PORTS, WALKED, hides, holds, walks
from packetlab.codec.lenient import Values
from packetlab.codec.pseudo import protocol
from packetlab.declare.declaration import AnyHeader
from packetlab.declare.expressions import Checksum, NamedExpr, Next
from packetlab.declare.fields import Field
from packetlab.declare.plan import Listed
from packetlab.packet.explain import Derivation, all_here, verdict
from packetlab.packet.offsets import Span, field_spans, places
from packetlab.packet.packet import Header, Packet
from packetlab.packet.results import Verdict
from packetlab.protocols.ip import ARP, SOURCE_ROUTES, IPOption, IPv4, IPv6, Routing
from packetlab.protocols.link import LLC, MPLS, PPP, VLAN, Ether, PPPoE, RawIP, ShortPPP
from packetlab.protocols.transport import SCTP, TCP, UDP
from packetlab.protocols.tunnels import GRE
from packetlab.protocols.xns import IDP

STEPS: dict[type[AnyHeader], str] = {
    Ether: "ether", IPv4: "ip4", IPv6: "ip6", ARP: "arp", IDP: "idp", MPLS: "mpls", GRE: "gre", PPP: "ppp",
    ShortPPP: "ppp",
    PPPoE: "pppoe", LLC: "snap", RawIP: "nibble",
}  # fmt: skip
"""Headers from which the walk can go on, and its step."""

PLAIN: dict[int | None, type[AnyHeader]] = {6: TCP, 17: UDP, 132: SCTP}  # their ports are found without a declaration


def visit(sites: Found, frames: list[Declared], walk: Callable[[], None]) -> None:
    """Note what the declarations say of some frames. `walk` goes on from where they end."""
    seen, number = 0, 0
    while frames:
        # The sums that the walk has found since: what comes on top stands in them.
        by_row = {frame.row: frame for frame in frames}
        while seen < len(sites.found_sums):
            row, _, first, end, *_ = sites.found_sums[seen]
            for place, (one, a, b) in enumerate(zip(row.tolist(), first.tolist(), end.tolist(), strict=True)):
                if one in by_row:
                    by_row[one].sums.append((number + place, a, b))
            seen, number = seen + 1, number + len(row)
        frames = [frame for frame in frames if frame.go_on()]
        walk()


class Declared:
    """One frame: its packet, how far it has been looked at, and the sums found in it: (number, first, end)."""

    def __init__(self, sites: Found, row: int) -> None:
        self.sites, self.row = sites, row
        frame = sites.batch.frame(row)
        self.packet: Packet = frame.packet()
        self.layers = self.packet.layers
        self.start = int(sites.batch.starts[row])
        self.places = places(self.packet)
        self.spans: dict[int, list[Span]] = {}
        for span in self.places.spans:
            self.spans.setdefault(span.layer, []).append(span)
        # Whether the walk comes to each layer by itself, from the one below or the link type.
        self.walked = [bool(self.layers) and BEGUN.get(frame.interface.linktype) is type(self.layers[0])]
        for below, header in pairwise(self.layers):
            goes = self.walked[-1] or _goes_on(type(below))
            self.walked.append(goes and walks(type(below), below, type(header)))
        self.next = int(self.walked[0])
        self.networks = int(isinstance(self.layers[0], (IPv4, IPv6))) if self.next else 0
        self.framed = self.next == 1 and isinstance(self.layers[0], Ether)
        self.sums: list[tuple[int, int, int]] = []
        ends = _ends(self.packet)
        if ends is not None:
            sites.ends_of[row] = ends

    def claims(self) -> set[int]:
        """Return where headers begin to which the walk does not come by itself."""
        starts: tuple[set[int], set[int]] = set(), set()
        for (at, _), walked in zip(self.places.layers, self.walked, strict=True):
            starts[walked].add(self.start + at)
        return starts[False] - starts[True]  # a header without bytes begins where the next does

    def go_on(self) -> bool:
        """Note the headers up to one from which the walk goes on; return whether there is one."""
        while self.next < len(self.layers):
            place, header = self.next, self.layers[self.next]
            self.next += 1
            cls = type(header)
            depth = self.networks
            self.networks += isinstance(header, (IPv4, IPv6)) or bool(
                cls._declaration.pseudo and cls._declaration.pseudo[0]
            )
            framed, self.framed = self.framed, self.framed or isinstance(header, Ether)
            if self.walked[place]:
                continue
            if _goes_on(cls):
                self._walk_from(place, cls, depth, framed)
                return True
            self._note(place, header)
        return False

    def _walk_from(self, place: int, cls: type[AnyHeader], depth: int, framed: bool) -> None:
        np = self.sites.np
        at, end = (self.start + one for one in self.places.layers[place])
        numbers = [self.row, at, end, depth, self._around(at)]
        if cls is Ether and framed:
            numbers[3] = max(depth, 1)  # not the frame's own
        step = STEPS.get(cls, "ethertype")
        if cls is VLAN:
            if at + 4 > end:
                return
            numbers = [self.row, at + 4, end, depth, numbers[4], int(self.sites.u16(at + 2))]
        self.sites.start(step, *(np.array([number], np.int64) for number in numbers))

    def _around(self, at: int) -> int:
        """Return the innermost sum found that covers a place, -1 for none."""
        return next((number for number, first, end in reversed(self.sums) if first <= at < end), -1)

    def _note(self, place: int, header: Header) -> None:
        spans = self.spans.get(place, [])
        self._checksums(place, header, spans)
        pseudo = header._declaration.pseudo or ("", "")
        start, end = self._region(place, "self", spans)
        for span, note, at, stop in _addresses(header, spans, start - self.start, end - self.start):
            kind, name = span.field.kind, span.field.name
            if note is not None:
                self._held(note, at, stop)
            elif kind.wire == "number" and (kind.bits != 16 or kind.little):
                self._leave(header, name, "which is no port of 16 bits in network order")
            elif span.bit % 8:
                self._leave(header, name, "which does not begin with a byte")
            elif span.bits != kind.bits:
                self._leave(header, name, "which is cut off inside")
            elif kind.wire == "number":
                self._port(self.start + span.bit // 8)
            else:
                role = pseudo.index(name) if name in pseudo else 2
                frame = place == 0 and name in ("src", "dst")
                self._address(kind, self.start + span.bit // 8, ("src", "dst").index(name) if frame else role, frame)
        unread = _unread(self.packet, place, self._remains(place))
        if unread is not None:
            self._leave(header, unread, "which is cut off or faulty")
        opaque = header._declaration.opaque
        if opaque is not None and opaque.evaluate(Derivation(self.packet, place)):
            self.sites.left[LATER] += any(self.packet.payload) and hides(header)
        elif place == len(self.layers) - 1:
            below = self.layers[place - 1] if place else None
            last = self.start + self.places.trailers.get(place, self.places.layers[place])[1]
            after(self.sites, below, header, *self._arrays(start, end, last, self._around(end)))

    def _remains(self, place: int) -> bool:
        """Whether there are bytes after the head of a header, more than zeros where they only fill the frame."""
        inner = self.places.layers[place + 1] if place + 1 < len(self.layers) else self.places.payload
        data = bytes(self.packet)
        return inner[0] < self.places.layers[place][1] or any(
            any(data[one:last]) for one, last in self.places.trailers.values()
        )

    def _held(self, note: Note, at: int, end: int) -> None:
        at, end = at + self.start, min(end + self.start, int(self.sites.ends[self.row]))
        note(self.sites, *self._arrays(self.row, at, end, self.networks, self._around(at)))

    def _arrays(self, *numbers: int) -> list[Any]:
        return [self.sites.np.array([number], self.sites.np.int64) for number in numbers]

    def _leave(self, header: Header, name: str, why: str) -> None:
        self.sites.left[f"{type(header).__name__}.{name}, {why}"] += 1

    def _port(self, at: int) -> None:
        one = self.sites.np.array([at], self.sites.np.int64)
        self.sites.found_ports.append((one, one * 0 - 1, one * 0 + self._around(at)))

    def _address(self, kind: Any, at: int, role: int, frame: bool) -> None:
        sites, np = self.sites, self.sites.np
        size = kind.fixed_bits // 8
        at, size = (at + 4, 6) if size == 12 else (at, size)  # the host of an XNS address is a MAC address
        if size not in (4, 6, 16):
            return
        around = self._around(at)
        row, header = (self.row, 0) if frame and size == 6 else (-1, -1) if size == 6 else (-1, int(role < 2))
        one = [np.array([number], np.int64) for number in (row, at, role, header, -1, -1, around)]
        (sites.found_macs if size == 6 else sites.found_ips[size]).append(tuple(one))

    # Checksums ----------------------------------------------------------------------------------------------

    def _checksums(self, place: int, header: Header, spans: list[Span]) -> None:
        """Note the checksums of a header. Those later in it cover earlier ones, as they are worked out one by one."""
        cls, outer = type(header), self._around(self.start + self.places.layers[place][0])
        found = [f for f in cls._declaration.plan.sums if getattr(header, f.slot) is not None]
        for f in reversed(found):
            rule = f.rule
            assert isinstance(rule, Checksum) and f.kind.wire == "number"
            span = next((span for span in spans if span.field is f), None)
            if span is None or span.bits != f.kind.bits:
                continue  # cut off: there is nothing to put right
            if not span.whole:
                self._leave(header, f.name, "which does not fill whole bytes")
                continue
            pseudo, more = self._pseudo(place) if "pseudo" in rule.over else ((), 0)
            if pseudo is None:
                continue
            regions = tuple(self._region(place, part, spans) for part in rule.over if part != "pseudo")
            whole = verdict(self.packet, place, f.name) is not Verdict.UNVERIFIED
            if "pseudo" in rule.over:
                more += sum(end - first for first, end in regions)
            number = self.sites.count
            at = self.start + span.bit // 8
            first, end = min(one for one, _ in regions), max(one for _, one in regions)
            one = self.sites.np.array([True])
            row = self.sites.np.array([self.row], self.sites.np.int64)
            # Where it stands and what it covers is its rule's business.
            self.sites.add_sum(row, row * 0, row * 0, row * 0, one, row * 0 + outer, whole=1)
            self.sites.rules[number] = Rule(
                at, span.bits // 8, f.kind.little, rule.algorithm, regions, pseudo, more, rule.none, rule.instead,
                whole, outer,
            )  # fmt: skip
            self.sums.append((number, first, end))
            outer = number

    def _region(self, place: int, part: str, spans: list[Span]) -> tuple[int, int]:
        start, end = self.places.layers[place]
        inner = self.places.layers[place + 1] if place + 1 < len(self.layers) else self.places.payload
        if place + 1 in self.places.trailers:
            inner = inner[0], self.places.trailers[place + 1][1]
        if part == "self":
            end = inner[0]
        elif part == "payload":
            start, end = inner
        else:
            span = next((span for span in spans if span.field.name == part), None)
            start, end = span.byte_range if span is not None else (end, end)
        return self.start + start, self.start + end

    def _pseudo(self, place: int) -> tuple[tuple[tuple[int, int], ...] | None, int]:
        """Return where the addresses of the pseudo-header stand and the number added, as `codec.encode.pseudo_sum` has it."""
        destination: tuple[int, int] | None = None
        for below in range(place - 1, -1, -1):
            carrier = self.layers[below]
            names = carrier._declaration.pseudo
            if names is None:
                continue
            if not names[0]:
                destination = destination or self._final(below, names[1], getattr(carrier, names[1]))
                continue
            final = getattr(carrier, "final_destination", b"")
            destination = destination or self._final(below, "final_destination", final)
            by_name = {span.field.name: span for span in self.spans.get(below, [])}
            source = by_name.get(names[0])
            final = by_name.get(names[1])
            parts = [
                self._byte_range(source) if source else None,
                destination or (self._byte_range(final) if final else None),
            ]
            return tuple(part for part in parts if part is not None), protocol(carrier, type(self.layers[place]))
        return None, 0

    def _byte_range(self, span: Span) -> tuple[int, int]:
        return self.start + span.bit // 8, span.bits // 8

    def _final(self, place: int, name: str, value: Any) -> tuple[int, int] | None:
        """Return where the final destination of a packet stands that a header has under a name, None where it has none."""
        header = self.layers[place]
        spans = {span.field.name: span for span in self.spans.get(place, [])}
        if not value:
            return None
        if name in spans:
            return self._byte_range(spans[name])
        if isinstance(header, Routing) and "data" in spans:
            first, end = spans["data"].byte_range
            return self.start + (first + 4 if header.kind == 4 else end - 16), 16
        found = None
        if not isinstance(header, IPv4):  # what it is worked out from is not known: it stands where addresses may begin
            start, end = self.places.layers[place]
            data = bytes(self.packet)
            place = next((at for at in range(start, end, 4) if data.startswith(value, at)), -1)
            return None if place < 0 else (self.start + place, len(value))
        if "options" in spans:
            at = self.start + spans["options"].bit // 8
            for option in header.options:
                size = len(bytes(option))
                route = isinstance(option, IPOption) and option.kind in SOURCE_ROUTES  # else bytes, of a faulty one
                if route and option.data and option.data[0] <= size - 3 >= 4:
                    found = at + 3 + (size - 3) // 4 * 4 - 4, 4
                at += size
        return found


def _goes_on(cls: type[AnyHeader]) -> bool:
    return cls in STEPS or cls is VLAN


def _addresses(header: Header, spans: list[Span], at: int, end: int) -> Iterator[tuple[Span, Note | None, int, int]]:
    """Yield where the fields stand that are addresses or ports or hold some, of items too: with what notes them, and the
    header or item they are in, from `at` to `end`."""
    for span in spans:
        kind, note = span.field.kind, held(type(header), span.field)
        if note or kind.is_address or (span.field.name in PORTS and kind.wire == "number"):
            yield span, note, at, end
        elif kind.wire == "items" and not span.bit % 8:
            place = span.bit // 8
            for item in getattr(header, span.field.name) or ():
                size = len(bytes(item))
                if isinstance(item, Header):
                    yield from _addresses(item, field_spans(item, place * 8), place, place + size)
                place += size


def _unread(packet: Packet, place: int, remains: bool) -> str | None:
    """Return the name of the first field of a header that may hold an address which is here but was not read, None for none.

    `remains`: whether there are bytes after the header. Faults do not tell: a lower header may be at fault for all.
    """
    header, scope = packet.layers[place], Derivation(packet, place)
    trailer = header._declaration.after
    if trailer and not all_here(packet, scope.bodies, place + 1)[place]:
        return trailer[0].name  # of a part, what stands after the payload is read from where the part ends
    for f in header._fields:
        if not holds(type(header), f):
            continue
        raw = getattr(header, f.slot)
        if raw is None:
            missing = remains and _expected(header, f, scope)
        else:
            missing = f.kind.wire == "items" and (_unlike(header, f) or _more(header, f, scope))
        if missing:
            return f.name
    return None


def _expected(header: Header, f: Field, scope: Derivation) -> bool:
    """Whether a field is to be there, as far as what its condition asks for was read."""
    if f.condition is None:
        return True
    asked = [header._by_name.get(leaf.name) for leaf in f.condition.leaves() if isinstance(leaf, NamedExpr)]
    cut = header._state >> 2 * len(header._fields)
    lost = cut and any(one is not None and getattr(header, one.slot) is None for one in asked)
    return bool(lost or f.condition.evaluate(scope))


def _unlike(header: Header, f: Field) -> bool:
    """Whether among the items of a field, or in them, are bytes that are no item."""
    return any(
        not isinstance(item, Header)
        or any(_unlike(item, one) for one in item._fields if one.kind.wire == "items" and holds(type(item), one))
        for item in getattr(header, f.name) or ()
    )


def _more(header: Header, f: Field, scope: Derivation) -> bool:
    """Whether a field is to have more items than it has."""
    items, counts = getattr(header, f.name), header._declaration.plan.counts
    if f.name in counts:
        return counts[f.name].evaluate(scope) > len(items)
    if f.until is None or not any(
        isinstance(step, Listed) and f in step.fields for step in header._declaration.plan.steps
    ):
        return False  # its end is known otherwise
    last = {one.name: getattr(items[-1], one.slot) for one in items[-1]._fields} if items else {}
    return not items or not f.until.evaluate(Values(last, b"", 0))


def _ends(packet: Packet) -> Ends | None:
    """Return who speaks to whom, where walking alone does not tell it: by the outermost header that names two addresses."""
    for place, header in enumerate(packet.layers):
        names = _two(header)
        if names is None:
            continue
        source, destination = (getattr(header, "_" + name) for name in names)
        if source is None:
            continue
        ports, plain, piece = None, isinstance(header, (IPv4, IPv6)), False
        # Ports above another header that names two are of those.
        above = list(takewhile(lambda one: _two(one) is None, packet.layers[place + 1 :]))
        number = next((i for i, one in enumerate(above) if all(_is_port(one, name) for name in PORTS)), None)
        if number is not None:
            sport, dport = (getattr(above[number], name) for name in PORTS)
            ports = sport, dport
            piece = any(_partial(packet, i) for i in range(place, place + 1 + number))
            between = all(type(one) in WALKED[IPv6].values() for one in above[:number])
            told = PLAIN.get(_number(above[number - 1] if number else header))
            plain = plain and type(above[number]) is told and between and (number == 0 or type(header) is IPv6)
        return Ends(source, destination, ports, plain, piece, isinstance(header, (IPv4, IPv6)))
    return None


def _number(header: Header) -> int | None:
    """Return by which number a header says what follows, None where it has none."""
    return next((getattr(header, f.slot) for f in header._fields if isinstance(f.rule, Next)), None)


def _partial(packet: Packet, place: int) -> bool:
    partial = type(packet.layers[place])._declaration.partial
    return partial is not None and bool(partial.evaluate(Derivation(packet, place)))


def _two(header: Header) -> tuple[str, str] | None:
    """Return the names of the fields with which a header says who speaks to whom, None where it does not."""
    first, second = (
        header._declaration.pseudo if header._declaration.pseudo and header._declaration.pseudo[0] else ("src", "dst")
    )
    kinds = [header._by_name[name].kind if name in header._by_name else None for name in (first, second)]
    return (first, second) if all(kind is not None and kind.is_address and kind.bits != 48 for kind in kinds) else None


def _is_port(header: Header, name: str) -> bool:
    f = header._by_name.get(name)
    return f is not None and f.kind.wire == "number" and getattr(header, f.slot) is not None
