"""Two packets side by side: which fields differ, and which of the differences only follow from others.

What follows is found by doing it: one packet is given the values of the other, cause by cause, and what its rules
then derive is looked at. `diff_sequences` compares many packets, `diff_bytes` bytes; `explain_difference` puts all of it into words.
"""

from __future__ import annotations

from itertools import takewhile
from typing import NamedTuple

from packetlab.codec.context.lending import knowing
from packetlab.codec.objects import restored
from packetlab.declare.checksums.bitwise import is_sum
from packetlab.declare.expressions import Next
from packetlab.declare.fields import Field
from packetlab.errors import BuildError, PacketlabError
from packetlab.escaping import bytes_text
from packetlab.packet.anomalies import Anomalies
from packetlab.packet.coerce import as_packet
from packetlab.packet.explain import Derivation, derive, follows
from packetlab.packet.packet import Header, Packet
from packetlab.packet.results import Change, Difference
from packetlab.packet.text import value_text


def diff(one: object, other: object) -> Difference:
    """Compare layer by layer and field by field, whatever is a packet; bytes are dissected from the same first header."""
    one = as_packet(one)
    other = as_packet(other, one)
    try:
        return Difference(_Comparison(one, other).changes())
    except BuildError as error:  # one cannot be built by itself: as if it stood where the other does, or else as they were given
        stacks = one._headers, other._headers
        found = knowing(error, stacks, lambda: Difference(_Comparison(_again(one), _again(other)).changes()))
        return Difference(_AsGiven(_again(one, True), _again(other, True)).changes()) if found is None else found


def _again(packet: Packet, as_given: bool = False) -> Packet:
    """Return a packet of which nothing is worked out yet, or nothing is to be."""
    if packet._data is not None and not as_given:
        return packet
    made = Packet(packet._headers, packet.payload, packet._anomalies)
    if as_given:
        made._resolved, made._data = packet._headers, b""
    return made


class ComparedField(NamedTuple):
    """A place where two packets may differ: field `field` of layer `left`, which is layer `right` of the other; or
    "layers", "payload", "trailer", "further" where there is no field."""

    name: str
    field: Field | None = None
    left: int = 0
    right: int = 0
    presence: bool = False  # one side has it, the other has not

    @property
    def derived(self) -> bool:
        """Whether it may follow from others: by a rule, or because others say that it is there."""
        return self.field is not None and (self.field.rule is not None or bool(self.field.pad) or self.presence)


class _Comparison:
    def __init__(self, one: Packet, other: Packet) -> None:
        self.one, self.other = one, other
        self.pairs = _aligned(one.layers, other.layers)
        self.spots = self._spots()

    def _spots(self) -> list[ComparedField]:
        found = []
        if len(self.pairs) != len(self.one.layers) or len(self.pairs) != len(self.other.layers):
            found.append(ComparedField("layers"))
        seen: dict[str, int] = {}
        for left, right in self.pairs:
            name = type(self.one.layers[left]).__name__
            seen[name] = seen.get(name, 0) + 1
            place = name if seen[name] == 1 else f"{name}#{seen[name]}"
            for f in type(self.one.layers[left])._fields:
                spot = ComparedField(f"{place}.{f.name}", f, left, right)
                ours, theirs = (None, None) if f.kind.wire == "payload" else self.values(spot)
                if ours != theirs:
                    found.append(spot._replace(presence=ours is None or theirs is None))
        if self.one.payload != self.other.payload:
            found.append(ComparedField("payload"))
        if self.one._trailing_bytes != self.other._trailing_bytes:
            further = self.one.further != self.other.further
            found.append(ComparedField("further" if further else "trailer"))
        return found

    def value(self, packet: Packet, spot: ComparedField) -> object:
        assert spot.field is not None
        header = packet.layers[spot.right if packet is self.other else spot.left]
        return header._items_of(spot.field) if spot.field.kind.wire == "items" else getattr(header, spot.field.slot)

    def values(self, spot: ComparedField) -> tuple[object, object]:
        return self.value(self.one, spot), self.value(self.other, spot)

    def changes(self) -> list[Change]:
        causes, consequences = self._grouped()
        found = [self._change(spot, (), self._note(spot)) for spot in causes]
        found += [self._change(spot, because) for spot, because in consequences]
        if not found:  # a number may be in more bytes than it needs
            coded = [(f, left, right) for left, right in self.pairs for f in self.one.layers[left]._declaration.coded]
            spots = [ComparedField(f"{type(self.one.layers[i]).__name__}.{f.name}", f, i, j) for f, i, j in coded]
            found = [self._change(spot, ()) for spot in spots if len({*map(repr, self.values(spot))}) > 1]
        if not found and bytes(self.one) != bytes(self.other):
            found.append(Change("bytes", bytes_text(bytes(self.one)), bytes_text(bytes(self.other))))
        return found

    def _change(self, spot: ComparedField, because: tuple[str, ...], note: str = "") -> Change:
        one, other = self.one, self.other
        if spot.field is not None:
            shown = [
                value_text(spot.field, self.value(packet, spot), packet.layers[place])
                for packet, place in ((one, spot.left), (other, spot.right))
            ]
        elif spot.name == "layers":
            shown = ["/".join(type(h).__name__ for h in packet.layers) or "none" for packet in (one, other)]
        else:
            raw = [getattr(packet, spot.name) for packet in (one, other)]
            shown = [bytes_text(side) for side in raw]
            same = _same_bytes(*raw)
            note = f"from byte {same} on" if same else ""
        return Change(spot.name, shown[0], shown[1], because, note)

    # Causes ------------------------------------------------------------------------------------------------

    def _grouped(self) -> tuple[list[ComparedField], list[tuple[ComparedField, tuple[str, ...]]]]:
        """Return the causes, and each other spot with the names of the causes that it follows from."""
        if any(h._is_partial for packet in (self.one, self.other) for h in packet.layers):
            return self.spots, []  # bytes that end inside a header follow from nothing
        causes = [spot for spot in self.spots if not spot.derived]
        derived = [spot for spot in self.spots if spot.derived]
        # What has no rule is a cause sooner than what has one; sums come last, each after those it covers.
        derived.sort(key=lambda spot: (_rank(spot), -spot.left))
        try:
            while True:
                agreeing = self._agreeing(causes, derived)
                alone = next((spot for spot in derived if spot not in agreeing), None)
                if alone is None:
                    break
                # It does not follow from the others, so it is a cause itself, and others may follow from it.
                derived.remove(alone)
                causes.append(alone)
            moved = [(cause, self._moved(cause, derived)) for cause in causes]
        except (PacketlabError, ValueError, OverflowError):
            # The values of one packet do not fit into the other: nothing can be derived there.
            return self.spots, []
        causes.sort(key=self.spots.index)
        names = {spot: tuple(cause.name for cause, touched in moved if spot in touched) for spot in derived}
        every = tuple(cause.name for cause in causes)
        return causes, [(spot, names[spot] or every) for spot in self.spots if spot in derived]

    def _agreeing(self, causes: list[ComparedField], derived: list[ComparedField]) -> set[ComparedField]:
        """Which derived fields are as in the other packet once all causes are."""
        if not derived:
            return set()
        changed = self._with(causes)
        return {
            spot
            for spot in derived
            if _raw(changed.layers[self._place(spot, causes)], spot) == self.value(self.other, spot)
        }

    def _moved(self, cause: ComparedField, derived: list[ComparedField]) -> set[ComparedField]:
        """Which derived fields one cause alone would change."""
        if not derived:
            return set()
        changed = self._with([cause])
        return {
            spot
            for spot in derived
            if _raw(changed.layers[self._place(spot, [cause])], spot) != self.value(self.one, spot)
        }

    def _place(self, spot: ComparedField, causes: list[ComparedField]) -> int:
        return spot.right if any(cause.name == "layers" for cause in causes) else spot.left

    def _with(self, causes: list[ComparedField]) -> Packet:
        """Return our packet with the causes as in theirs, and all that followed from rules derived anew."""
        headers = list(self.one._rederived())
        for cause in causes:
            if cause.field is not None:
                raw = getattr(self.other.layers[cause.right], cause.field.slot)
                headers[cause.left] = _given(headers[cause.left], cause.field, raw)
        names = {cause.name for cause in causes}
        if "layers" in names:
            ours = {right: headers[left] for left, right in self.pairs}
            headers = [ours.get(i, header) for i, header in enumerate(self.other._rederived())]
        payload = self.other.payload if "payload" in names else self.one.payload
        gaps = self.other._trailing_bytes if names & {"trailer", "further"} else self.one._trailing_bytes
        return Packet(tuple(headers), payload, Anomalies(gaps) if gaps else None)

    def _note(self, cause: ComparedField) -> str:
        """Say of a derived field that does not follow from the others which side breaks its rule."""
        if (
            cause.field is None
            or isinstance(cause.field.rule, Next)
            or (cause.field.rule is None and not cause.field.pad)
        ):
            return ""
        said = []
        for side, packet, place in (("left", self.one, cause.left), ("right", self.other, cause.right)):
            scope = Derivation(packet, place)
            if scope.raw(cause.field.name) is not None and not follows(scope, cause.field):
                said.append(f"{side}: the rule gives {value_text(cause.field, derive(scope, cause.field))}")
        return "; ".join(said)


def _rank(spot: ComparedField) -> int:
    if spot.field is None:
        return 0
    return 2 if is_sum(spot.field) else int(spot.field.rule is not None)


def _aligned(ours: tuple[Header, ...], theirs: tuple[Header, ...]) -> list[tuple[int, int]]:
    """Return the places of layers that go together."""
    classes = [type(h) for h in ours], [type(h) for h in theirs]
    if classes[0] == classes[1]:
        return [(i, i) for i in range(len(ours))]
    import difflib

    blocks = difflib.SequenceMatcher(None, *classes, autojunk=False).get_matching_blocks()
    return [(block.a + i, block.b + i) for block in blocks for i in range(block.size)]


def _same_bytes(one: bytes, other: bytes) -> int:
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def _raw(header: Header, spot: ComparedField) -> object:
    assert spot.field is not None
    return header._items_of(spot.field) if spot.field.kind.wire == "items" else getattr(header, spot.field.slot)


def _given(header: Header, f: Field, raw: object) -> Header:
    """Return a header with one raw value given (or a conditional field absent)."""
    cls, count = type(header), len(header._fields)
    state = header._state & ~(f.bit | f.bit << count)
    if raw is not None:
        state |= (
            f.bit if f.condition is None else f.bit | f.bit << count
        )  # as it came: left out where nothing says it is there
    return restored(cls, state, tuple(raw if g is f else getattr(header, g.slot) for g in cls._fields), getattr(header, "__outer__", None))


class _AsGiven(_Comparison):
    """Of packets that are not built."""

    def value(self, packet: Packet, spot: ComparedField) -> object:
        assert spot.field is not None
        raw = getattr(packet.layers[spot.right if packet is self.other else spot.left], spot.field.slot)
        return super().value(packet, spot) if isinstance(raw, bytes) else raw

    def values(self, spot: ComparedField) -> tuple[object, object]:
        ours, theirs = super().values(spot)
        return (None, None) if ours is None or theirs is None else (ours, theirs)


# In words ------------------------------------------------------------------------------------------------------


def explain_packets(one: Packet, other: Packet) -> list[str]:
    """Return the differences of two packets in lines, the summary first; nothing where there are none."""
    from packetlab.packet.diff_bytes import hex_rows

    changes = diff(one, other)
    if not changes:
        return []
    lines = grouped(changes)
    name = "/".join(type(h).__name__ for h in one.layers) or "packets without layers"
    causes = [change for change in changes if not change.because]
    if len(lines) == 1:
        first = f"{name}: {lines.pop()}"
    else:
        places = ", ".join(change.where for change in causes[:4]) + (", ..." if len(causes) > 4 else "")
        first = f"{name}: {len(causes)} difference{'s' * (len(causes) != 1)} ({places})"
        if len(changes) > len(causes):
            first += f", {len(changes) - len(causes)} more follow{'s' * (len(changes) - len(causes) == 1)}"
    return [first, *lines, *hex_rows(bytes(one), bytes(other))]


def grouped(changes: Difference) -> list[str]:
    """Return a line for each cause, with what follows from it alone, then one for what follows from several."""
    lines = []
    for cause in (change for change in changes if not change.because):
        line = f"{cause.where}: {cause.ours} != {cause.theirs}" + (f"  ({cause.note})" if cause.note else "")
        alone = [_short(change) for change in changes if change.because == (cause.where,)]
        lines.append(line + (f"; follows from it: {', '.join(alone)}" if alone else ""))
    shared: dict[tuple[str, ...], list[str]] = {}
    for change in changes:
        if len(change.because) > 1:
            shared.setdefault(change.because, []).append(_short(change))
    lines += [f"follows from {' and '.join(because)}: {', '.join(what)}" for because, what in shared.items()]
    return lines


def _short(change: Change) -> str:
    return f"{change.where} ({change.ours} != {change.theirs})"
