"""Checksum updater: changes of bytes in many frames, and the checksums that have to follow (RFC 1071, RFC 1624).

A checksum that was right before is right after; one that was wrong stays as it is, unless all are to be put right; one
that cannot be computed, because what it covers is not all here, is changed by as much as what it covers was. Nothing is summed
twice: a change is the difference it makes to each sum around it. Checksums of other kinds (XNS, CRCs, those of a user's own
headers) are worked out one by one, before and after; those over bits or what is not sent, or in digits, by header objects (see `built`).
"""

from __future__ import annotations

from functools import cache
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from packetlab.bulk.scan_rows import bytes_at, number_at
from packetlab.capture import loops
from packetlab.capture.rewrite.built import BuiltSums
from packetlab.declare.checksums.algorithms import internet

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from packetlab.bulk.batch import ByteArray, Numbers
    from packetlab.capture.rewrite.found import Rule
    from packetlab.capture.rewrite.link_layer import Room
    from packetlab.capture.rewrite.located import Located

ONES = 65535


class ChecksumUpdater:
    """The checksums of one batch while its bytes are changed; `settle` ends it.

    `data` is changed in place. `room`: for what is needed until then. `fix`: put wrong ones right too.
    """

    def __init__(self, sites: Located, room: Room, fix: bool = False) -> None:
        import numpy as np

        self.np, self.sites, self.fix = np, sites, fix
        self.data, self.sums = sites.data, sites.sums
        count = len(self.sums.at)
        self.end = self.sums.end
        self.last: Numbers | None = None  # where the frames that are cut end, by sum
        self.delta = np.zeros(count, np.int64)
        self.moved = np.zeros(count, bool)
        self.level = np.zeros(count, np.int64)
        parents, self.nested = self.sums.parent, bool((self.sums.parent >= 0).any())
        while self.nested and (deeper := (parents >= 0) & (self.level <= self.level[np.maximum(parents, 0)])).any():
            self.level[deeper] = self.level[parents[deeper]] + 1
        # Summed as they lie in memory here, four bytes at once: 2**16 = 1 modulo 65535, so halves may be added later.
        self.words = self.data.view("<u4")
        self.running: Any = None
        if not loops.in_use(loops.REGIONS):
            self.running = room("running", len(self.words) + 1, np.int64)
            self.running[0] = 0
            np.cumsum(self.words, dtype=np.int64, out=self.running[1:])
            # Addresses that pseudo-headers take: which sums, and where the parts of four bytes are that these add.
            self.carried: list[tuple[Numbers, list[Numbers]]] = []
            for width in (4, 16):
                here = np.flatnonzero(self.sums.width == width)
                ends = (self.sums.source[here], self.sums.target[here]) if len(here) else ()
                self.carried.append((here, [at + part if part else at for at in ends for part in range(0, width, 4)]))
        self.stored = number_at(self.data, self.sums.at, 0, 2, False)
        self.pseudo = self._pseudo()
        self.total = self._totals()
        none = (self.sums.optional == 1) & (self.stored == 0)
        whole = self.sums.whole == 1
        valid = (_left(self.total) == 0) & (self.total > 0)
        plain = np.ones(count, bool)
        plain[[*sites.rules, *(number for one in sites.built for number in one.numbers.tolist())]] = False
        none |= ~plain
        self.rules = {number: (rule, rule) for number, rule in sites.rules.items()}  # before and after a cut
        self.before = self.data.copy() if self.rules or sites.built else self.data
        self.built = BuiltSums(sites, self.before, self.level, fix) if sites.built else None
        self.right, self.wrong, self.unknown = whole & ~none & valid, whole & ~none & ~valid, ~whole & ~none

    def _region(self, first: Numbers, end: Numbers) -> Numbers:
        """Return the sum of the 16-bit words from `first` to `end`, an odd last byte with a zero after it."""
        if self.running is None:
            total: Numbers = self.np.empty(len(first), self.np.int64)
            self._looped(loops.REGIONS, self.words, first, end, total)
            return total
        # Exchanging the bytes of a word is times 256 (RFC 1071 section 2B).
        total = (self._before(end) - self._before(first)) * self.np.where(first & 1, 1, 256)
        return total

    def _looped(self, source: str, data: NDArray[Any], first: Numbers, *more: NDArray[Any] | int) -> None:
        """Go over `first` and what belongs to it by a compiled loop."""
        arrays = [one if isinstance(one, int) else self.np.ascontiguousarray(one) for one in (first, *more)]
        loops.compiled(source)(len(first), data, *arrays)

    def _before(self, place: Numbers) -> Any:
        """Return the sum of all that stands before a place."""
        four = place >> 2
        return self.running[four] + (self.words[four] & _masks()[place & 3])

    def _pseudo(self) -> Numbers:
        """Return what the addresses of the pseudo-headers add to each sum, as they are now."""
        np, sums = self.np, self.sums
        total: Numbers = np.zeros(len(self.delta), np.int64)
        if self.running is None:
            self._looped(loops.CARRIED, self.data, sums.source, sums.target, sums.width, total)
            return total
        for here, places in self.carried:
            if places:
                total[here] = sum(number_at(self.data, place, 0, 4, False) for place in places)
        return total

    def _totals(self) -> Numbers:
        sums = self.sums
        more = self.np.where(sums.width > 0, sums.protocol + self.end - sums.first, 0)
        return self._region(sums.first, self.end) + self.pseudo + more

    def cut(self, ends: Numbers) -> None:
        """Let what the checksums cover end where each row now ends (`ends`, by row); before any change."""
        self.last = ends[self.sums.row]
        shorter = self.np.minimum(self.end, self.last)
        self.moved = shorter != self.end
        self.end = self.np.maximum(shorter, self.sums.at + 2)
        self.total = self._totals()
        for number, (rule, _) in self.rules.items():
            left = _until(rule, int(self.last[number]))
            self.rules[number] = rule if rule.whole else left, left

    def change(self, at: Numbers, raw: ByteArray, around: Numbers) -> None:
        """Write rows of bytes at places. What follows: `around`, the numbers of the sums that cover them by position (-1 for
        none), and all that these are in."""
        np = self.np
        if not len(at):
            return
        width = raw.shape[1]
        if self.running is None and self.last is None:
            self._looped(
                loops.CHANGES, self.data, at, width, raw, around, self.sums.first, self.sums.parent, self.delta
            )
            return
        old = bytes_at(self.data, at, 0, width)
        np.ndarray((len(self.data) - width + 1,), f"V{width}", self.data, 0, (1,))[at] = (
            np.ascontiguousarray(raw).view(f"V{width}").reshape(-1)
        )
        if self.last is not None and len(self.last):  # what is cut off counts no more
            off = (around >= 0)[:, None] & (at[:, None] + np.arange(width) >= self.last[around][:, None])
            old, raw = np.where(off, 0, old), np.where(off, 0, raw)
        even = _words(raw) - _words(old)
        while (keep := around >= 0).any():
            if not keep.all():
                around, at, even = around[keep], at[keep], even[keep]
            np.add.at(self.delta, around, even * np.where((at - self.sums.first[around]) & 1, 256, 1))
            if not self.nested:
                break
            around = self.sums.parent[around]

    def settle(self) -> None:
        """Write the checksums that follow, the innermost first."""
        np = self.np
        by_level: dict[int, list[tuple[Rule, Rule]]] = {}
        for number, rules in self.rules.items():
            by_level.setdefault(int(self.level[number]), []).append(rules)
        self.delta += self._pseudo() - self.pseudo
        for level in range(int(self.level.max(initial=-1)), -1, -1):
            delta = _left(self.delta)
            changed = delta != 0
            due = self.right & (changed | self.moved) | self.unknown & changed
            if self.fix:
                due |= self.wrong
            if self.nested:
                due &= self.level == level
            rows = np.flatnonzero(due)
            value = _left(self.stored[rows] - np.where(self.unknown[rows], 0, self.total[rows]) - delta[rows])
            value[(value == 0) & (self.sums.optional[rows] == 1)] = ONES
            self.change(self.sums.at[rows], number_rows(value, 2), self.sums.parent[rows])
            for was, rule in by_level.get(level, ()):
                value = self._ruled(was, rule)
                if value is not None:
                    raw = value.to_bytes(rule.size, "little" if rule.little else "big")
                    self.change(np.array([rule.at]), np.array([list(raw)], np.uint8), np.array([rule.around]))
            for at, raw, number in self.built.due(level) if self.built is not None else ():
                self.change(np.array([at]), np.array([list(raw)], np.uint8), self.sums.parent[[number]])

    def _ruled(self, before: Rule, rule: Rule) -> int | None:
        """Return what a checksum of another kind is to be, None where it stays."""
        stored = int.from_bytes(
            self.before[rule.at : rule.at + rule.size].tobytes(), "little" if rule.little else "big"
        )
        old, new = _covered(self.before, before), _covered(self.data, rule)
        if stored == rule.none or (old == new and not (self.fix and rule.whole)):
            return None
        was, value = _sum(before, *old), _sum(rule, *new)
        if not rule.whole:
            # Without the bytes that are missing only an Internet checksum can be updated: by how much its sum changes.
            if rule.algorithm.word != "internet":
                self.sites.left[f"{rule.name}, which is over what is cut off or faulty"] += old != new
                return None
            moved = (stored - was + value) % ONES
            return rule.instead if moved == rule.none else moved
        same = stored == was or (rule.algorithm.is_loose(rule.none) and rule.algorithm.same(stored, was))
        return value if same or self.fix else None


def number_rows(numbers: Numbers, size: int) -> ByteArray:
    """Return numbers as rows of `size` bytes."""
    import numpy as np

    whole = size if size in (1, 2, 4) else 8
    return numbers.astype(f">u{whole}").view(np.uint8).reshape(-1, whole)[:, whole - size :]


@cache
def _masks() -> Numbers:
    import numpy as np

    return np.array([0, 0xFF, 0xFFFF, 0xFFFFFF], np.int64)


def _left(numbers: Numbers) -> Any:
    """Return what is left of numbers modulo 65535; numpy takes three times as long for the remainder as for a quotient."""
    return numbers - numbers // ONES * ONES


def _words(raw: ByteArray) -> Numbers:
    """Return the sums of the 16-bit words in rows of bytes."""
    import numpy as np

    if raw.shape[1] % 2:
        raw = np.pad(raw, ((0, 0), (0, 1)))
    words = np.ascontiguousarray(raw).view(">u2")
    total = words[:, 0].astype(np.int64)
    for place in range(1, words.shape[1]):
        total += words[:, place]
    return total


def _until(rule: Rule, end: int) -> Rule:
    """Return a rule for what is left of what it covers where its frame now ends."""
    regions = tuple((min(first, end), min(last, end)) for first, last in rule.regions)
    size = sum(last - first for first, last in rule.regions) - sum(last - first for first, last in regions)
    return rule._replace(regions=regions, more=rule.more - size if rule.pseudo else rule.more)


def _covered(data: ByteArray, rule: Rule) -> tuple[bytes, int]:
    """Return the bytes that a checksum is over, its own as zeros, and what is added to their sum."""
    parts = []
    for first, end in rule.regions:
        part = bytearray(data[first:end].tobytes())
        for start, stop in ((rule.at, rule.at + rule.size), *rule.blank):
            for place in range(max(first, start), min(end, stop)):
                part[place - first] = 0
        parts.append(bytes(part))
    raw = b"".join(parts)
    pseudo = sum(int.from_bytes(data[at : at + size].tobytes(), "big") for at, size in rule.pseudo)
    return raw, pseudo + rule.more


def _sum(rule: Rule, raw: bytes, more: int) -> int:
    if rule.algorithm.word == "internet":
        value = internet(raw, more)
    elif rule.algorithm.placed:
        starts = accumulate((end - first for first, end in rule.regions), initial=0)
        own = (at + rule.at - first for at, (first, end) in zip(starts, rule.regions) if first <= rule.at < end)
        value = rule.algorithm.sum(raw, next(own, 0))
    else:
        value = rule.algorithm.sum(raw)
    return rule.instead if value == rule.none else value
