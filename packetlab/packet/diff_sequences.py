"""Two rows of packets side by side: which were changed, which are missing, which came in between.

Takes packets, headers and whatever has a `packet()` (frames of a capture), from anything that can be iterated; both
are read only as far as needed, so captures of any size can be compared.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from itertools import islice, zip_longest
from typing import NamedTuple

from packetlab.declare.fields import slot_of
from packetlab.packet.diff import explain_packets
from packetlab.packet.packet import Header, Packet

WINDOW = 200  # packets of either side that are aligned, from the first difference on
LISTED = 20  # differences listed, each in a line; the first at length


class SequenceDifference(NamedTuple):
    """One difference: "changed", "missing" (only left) or "inserted" (only right); places from 0."""

    kind: str
    left: int
    right: int
    ours: Packet | None
    theirs: Packet | None


def explain_sequences(left: Iterable[object], right: Iterable[object]) -> list[str] | None:
    """Return in lines where two rows of packets differ, the first difference first; None where none is a packet."""
    ours, theirs = iter(left), iter(right)
    same = 0
    ended = object()
    for a, b in zip_longest(ours, theirs, fillvalue=ended):
        one, other = (None if side is ended else _packet(side) for side in (a, b))
        if (one is None and a is not ended) or (other is None and b is not ended):
            return None
        if one is None or other is None or one != other:
            break
        same += 1
    else:
        if not same or type(left) is type(right) is list:
            return None
        kinds = type(left).__name__, type(right).__name__
        return [f"the same {same} packets, but a {kinds[0]} does not equal a {kinds[1]}: compare list() of packets"]
    heads = ([] if one is None else [one]), ([] if other is None else [other])
    window = [head + _taken(rest) for head, rest in zip(heads, (ours, theirs), strict=True)]
    steps = list(differences(window[0], window[1], same))
    counts = {kind: sum(step.kind == kind for step in steps) for kind in ("changed", "missing", "inserted")}
    summary = ", ".join(f"{count} {kind}" for kind, count in counts.items() if count)
    beyond = next(ours, None) is not None or next(theirs, None) is not None
    within = f" (looking at {WINDOW} packets from there)" if beyond else ""
    lines = [f"packets differ from number {min(steps[0].left, steps[0].right) + 1} on: {summary}{within}"]
    for number, step in enumerate(steps[:LISTED]):
        step_lines = _step_lines(step)
        lines += step_lines if number == 0 else step_lines[:1]
    if len(steps) > LISTED:
        lines.append(f"... and {len(steps) - LISTED} more differences")
    return lines


def differences(left: list[Packet], right: list[Packet], start: int = 0) -> Iterator[SequenceDifference]:
    """Align two rows of packets, and yield what differs in order; places count from `start`."""
    keys = [[bytes(packet) for packet in side] for side in (left, right)]
    for kind, a, b, c, d in difflib.SequenceMatcher(None, keys[0], keys[1], autojunk=False).get_opcodes():
        if kind == "equal" and any(left[a + i] != right[c + i] for i in range(b - a)):
            kind = "replace"  # the same bytes, read from different first headers
        if kind != "equal":
            yield from _changed(left[a:b], right[c:d], a + start, c + start)


def _changed(left: list[Packet], right: list[Packet], a: int, c: int) -> Iterator[SequenceDifference]:
    """Pair packets of the same headers and ends; then those that stand in the same place between them."""
    keys = [[_likeness(packet) for packet in side] for side in (left, right)]
    for kind, i, j, k, n in difflib.SequenceMatcher(None, keys[0], keys[1], autojunk=False).get_opcodes():
        paired = j - i if kind == "equal" else min(j - i, n - k) if kind == "replace" else 0
        for p in range(paired):
            yield SequenceDifference("changed", a + i + p, c + k + p, left[i + p], right[k + p])
        for p in range(i + paired, j):
            yield SequenceDifference("missing", a + p, c + k + paired, left[p], None)
        for p in range(k + paired, n):
            yield SequenceDifference("inserted", a + j, c + p, None, right[p])


def _likeness(packet: Packet) -> tuple[object, ...]:
    ends = (
        getattr(h, slot_of(name)) for h in packet.layers for name in ("src", "dst", "sport", "dport") if name in h._by_name
    )
    return (*(type(h) for h in packet.layers), *ends)


def _step_lines(step: SequenceDifference) -> list[str]:
    if step.ours is not None and step.theirs is not None:
        place = f"#{step.left + 1}" if step.left == step.right else f"#{step.left + 1} left, #{step.right + 1} right"
        lines = explain_packets(step.ours, step.theirs) or ["read from different first headers"]
        return [f"{place} changed: {lines[0]}", *lines[1:]]
    packet = step.ours or step.theirs
    number = step.left if step.ours is not None else step.right
    side = "missing on the right" if step.ours is not None else "only on the right"
    return [f"#{number + 1} {side}: {brief(packet)}"] if packet is not None else []


def brief(packet: Packet) -> str:
    """Return the layers of a packet and its innermost ends, in a line."""
    text = packet.summary() or "an empty packet"
    for header in reversed(packet.layers):
        names = [name for name in ("src", "dst") if name in header._by_name]
        if len(names) == 2:
            ends = [header._by_name[n].kind.text(getattr(header, slot_of(n))) for n in names if getattr(header, slot_of(n))]
            return f"{text}, {' > '.join(ends)}"
    return text


def _packet(item: object) -> Packet | None:
    if isinstance(item, Packet):
        return item
    if isinstance(item, Header):
        return Packet((item,))
    found = item.packet() if hasattr(item, "packet") else None
    return found if isinstance(found, Packet) else None


def _taken(rest: Iterator[object]) -> list[Packet]:
    return [packet for packet in map(_packet, islice(rest, WINDOW - 1)) if packet is not None]
