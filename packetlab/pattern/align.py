"""Alignment: which packet is which expectation's. The cheapest reading of a recording as what the timeline tells.

A reading takes packets and expectations in order and may leave out either at a cost, take a packet that came at the
wrong time, or one that only resembles what was wanted; so what is wrong is reported as few complaints that belong together.
Dijkstra's algorithm over (place in the timeline, packet, what of an any-order group has come): a recording that fits is
read in as many steps as it has packets.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cache
from math import inf

FITS, LEFT_TO_US, LATE, LEFT_OUT, OTHER = 0, 1, 4_000_000, 5_000_000, 9_000_000
"""Costs: a packet that fits; one that is allowed as well; one at the wrong time; one left out, or an expectation that
found none; a packet that only resembles what was wanted (less than the two left out apart)."""
TRIFLE = 1000
MOST = 200_000  # readings looked at, then the first that comes to an end is taken


class How(Enum):
    """How well a packet fits an expectation."""

    FITS = "fits"
    LATE = "came at another time"
    OTHER = "has other fields"


COST = {How.FITS: FITS, How.LATE: LATE, How.OTHER: OTHER}


@dataclass(eq=False)
class Member:
    """What one expectation wants: how many packets, `least` to `most`."""

    least: int
    most: float


Block = Sequence[Member]  # in any order among themselves; most blocks have one member

Comparison = Callable[[Member, int], How | None]


@dataclass
class Alignment:
    """What the cheapest reading says.

    Attributes:
        taken: for each member, the packets that are its own, and how. unexpected: packets that are nobody's.
        missing: members that did not get their least.
    """

    taken: dict[Member, list[tuple[int, How]]] = field(default_factory=dict)
    unexpected: list[int] = field(default_factory=list)
    missing: list[Member] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Whether nothing that was to come is missing."""
        return not self.missing and all(how is not How.OTHER for took in self.taken.values() for _, how in took)


Progress = tuple[int, int, tuple[int, ...]]
Move = tuple[Member | None, int, How | None]  # (whose, packet, how); whose None: nobody's; packet -1: a block is passed


def align(
    blocks: Sequence[Block], count: int, compare: Comparison, allowed: Callable[[int], bool], lenient: bool
) -> Alignment:
    """Read `count` packets as what `blocks` tell.

    Args:
        compare: how a packet fits a member; None: not at all. allowed: packets that may come as well, always.
        lenient: whether a missing packet costs next to nothing, since nobody will complain.
    """
    first: Progress = (0, 0, _nothing(blocks, 0))
    best: dict[Progress, float] = {first: 0}
    before: dict[Progress, tuple[Progress, Move]] = {}
    queue: list[tuple[float, int, int, int, Progress]] = [(0, 0, 0, 0, first)]
    order, done, missing_cost = 0, set[Progress](), LEFT_TO_US if lenient else LEFT_OUT
    compare = cache(compare)

    while queue:
        _, _, _, _, state = heapq.heappop(queue)
        if state in done:
            continue
        done.add(state)
        place, packet, have = state
        if place == len(blocks) and packet == count:
            return _traced(blocks, state, before)
        moves: list[tuple[float, Progress, Move]] = []
        fits = False
        if place < len(blocks):
            block = blocks[place]
            ways = [
                (i, m, compare(m, packet)) for i, m in enumerate(block if packet < count else ()) if have[i] < m.most
            ]
            fits = any(how is How.FITS for _, _, how in ways)
            others = False
            for i, member, how in ways:
                # One that only resembles goes to the first that lacks one: which of them it was cannot be known.
                if how is None or (how is How.OTHER and (fits or others)):
                    continue
                others = others or how is How.OTHER
                more = have[i] + 1 if member.most < inf else min(have[i] + 1, member.least)
                now = (*have[:i], more, *have[i + 1 :])
                full = all(n >= m.most for n, m in zip(now, block, strict=True))
                after = (place + 1, packet + 1, _nothing(blocks, place + 1)) if full else (place, packet + 1, now)
                moves.append((COST[how], after, (member, packet, how)))
            short = sum(n < m.least for n, m in zip(have, block, strict=True))
            passed = (place + 1, packet, _nothing(blocks, place + 1))
            moves.append((short * missing_cost, passed, (None, -1, None)))
        if packet < count:
            free = allowed(packet)
            # A packet that fits now is never better left for later, unless it alone may be left out for nothing.
            if not fits or free:
                # Of two alike the first is the one expected: to leave out a later one is a trifle cheaper.
                cost: float = LEFT_TO_US if free else LEFT_OUT + min(count - packet, TRIFLE)
                moves.append((cost, (place, packet + 1, have), (None, packet, None)))
        for price, after, move in moves:
            total = best[state] + price
            if total < best.get(after, inf):
                best[after], before[after] = total, (state, move)
                order += 1
                # Past MOST only how far a reading has come counts.
                urgency = total if len(done) < MOST else -1
                heapq.heappush(queue, (urgency, -after[1], -after[0], order, after))
    raise AssertionError("every reading comes to an end")  # leaving out all packets and all blocks is one


def _nothing(blocks: Sequence[Block], place: int) -> tuple[int, ...]:
    return (0,) * len(blocks[place]) if place < len(blocks) else ()


def _traced(blocks: Sequence[Block], state: Progress, before: dict[Progress, tuple[Progress, Move]]) -> Alignment:
    reading = Alignment()
    while state in before:
        previous, (member, packet, how) = before[state]
        if member is not None and how is not None:
            reading.taken.setdefault(member, []).insert(0, (packet, how))
        elif packet >= 0:
            reading.unexpected.insert(0, packet)
        else:
            block = blocks[previous[0]]
            reading.missing[:0] = [m for n, m in zip(previous[2], block, strict=True) if n < m.least]
        state = previous
    return reading
