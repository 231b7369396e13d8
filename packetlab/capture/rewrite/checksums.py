"""Checksum updater: changes of bytes in many frames, and the checksums that have to follow (RFC 1071, RFC 1624).

A checksum that was right before is right after; one that was wrong stays as it is, unless all are to be put right; one
that cannot be computed, because what it covers is not all here, is changed by as much as what it covers was. Nothing is summed
twice: a change is the difference it makes to each sum around it. Checksums of other kinds (XNS, CRCs, those of a user's own
headers) are worked out one by one, before and after.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from packetlab.declare.checksums import ALGORITHMS, internet

if TYPE_CHECKING:
    from packetlab.capture.rewrite.sites import Sites
    from packetlab.capture.rewrite.sites_found import Rule

ONES = 65535


class ChecksumUpdater:
    """The checksums of one batch while its bytes are changed; `settle` ends it.

    `data` is changed in place. `fix`: put wrong ones right too.
    """

    def __init__(self, sites: Sites, fix: bool = False) -> None:
        import numpy as np

        self.np, self.sites, self.fix = np, sites, fix
        self.data, self.sums = sites.data, sites.sums
        count = len(self.sums.at)
        self.end = self.sums.end
        self.last: Any = None  # where the frames that are cut end, by sum
        self.delta = np.zeros(count, np.int64)
        self.moved = np.zeros(count, bool)
        self.level = np.zeros(count, np.int64)
        parents = self.sums.parent
        while (deeper := (parents >= 0) & (self.level <= self.level[np.maximum(parents, 0)])).any() if count else False:
            self.level[deeper] = self.level[parents[deeper]] + 1
        # Words are summed with their bytes exchanged, as they lie in memory here; `_region` puts that right.
        words = self.data[: len(self.data) & ~1].view("<u2")
        self.running = np.zeros(len(words) + 1, np.int64)
        np.cumsum(words, dtype=np.int64, out=self.running[1:])
        self.stored = sites.u16(self.sums.at) if count else self.delta
        self.total = self._totals()
        none = (self.sums.optional == 1) & (self.stored == 0)
        whole = self.sums.whole == 1
        valid = (self.total % ONES == 0) & (self.total > 0)
        plain = np.ones(count, bool)
        plain[list(sites.rules)] = False
        none |= ~plain
        self.rules = {number: (rule, rule) for number, rule in sites.rules.items()}  # before and after a cut
        self.before = self.data.copy() if self.rules else self.data
        self.right, self.wrong, self.unknown = whole & ~none & valid, whole & ~none & ~valid, ~whole & ~none

    def _region(self, first: Any, end: Any) -> Any:
        """Return the sum of the 16-bit words from `first` to `end`, an odd last byte with a zero after it."""
        np, data = self.np, self.data
        odd, cut = (first & 1) == 1, ((end & 1) == 1) & (end > first)
        total = self.running[np.maximum(end // 2, (first + 1) // 2)] - self.running[(first + 1) // 2]
        last = data[np.maximum(end - 1, 0)].astype(np.int64) if len(data) else 0
        begin = data[np.minimum(first, max(len(data) - 1, 0))].astype(np.int64) if len(data) else 0
        # Exchanging the bytes of a word is times 256 (RFC 1071 section 2B), and so is beginning at an odd place.
        total = total * 256 + np.where(odd & (end > first), begin, 0) + np.where(cut, last * 256, 0)
        return np.where(odd, total * 256, total)

    def _totals(self) -> Any:
        np, sums = self.np, self.sums
        total = self._region(sums.first, self.end)
        for width in (4, 16):
            here = np.flatnonzero(sums.width == width)
            for place in (sums.source[here], sums.target[here]):
                total[here] += self._region(place, place + width) % ONES
            total[here] += sums.protocol[here] + self.end[here] - sums.first[here]
        return total

    def cut(self, ends: Any) -> None:
        """Let what the checksums cover end where each row now ends (`ends`, by row); before any change."""
        self.last = ends[self.sums.row]
        shorter = self.np.minimum(self.end, self.last)
        self.moved = shorter != self.end
        self.end = self.np.maximum(shorter, self.sums.at + 2)
        self.total = self._totals()
        for number, (rule, _) in self.rules.items():
            left = _until(rule, int(self.last[number]))
            self.rules[number] = rule if rule.whole else left, left

    def change(self, at: Any, raw: Any, *, own: Any = None, pseudo: Any = None, around: Any = None) -> None:
        """Write rows of bytes at places. What follows: `own` sums cover them by position, `pseudo` ones as part of a
        pseudo-header, `around` by position, and all that these are in; arrays of numbers of sums, -1 for none.
        """
        np = self.np
        if not len(at):
            return
        width = raw.shape[1]
        where = at[:, None] + np.arange(width)
        difference = raw.astype(np.int64) - self.data[where]
        self.data[where] = raw
        for numbers in (own, around):
            if numbers is not None and self.last is not None and len(self.last):  # what is cut off counts no more
                difference[(numbers >= 0)[:, None] & (where >= self.last[numbers][:, None])] = 0
        weights = np.where(np.arange(width) % 2, 1, 256)
        even, odd = difference @ weights, difference @ (257 - weights)
        if pseudo is not None:
            keep = pseudo >= 0
            np.add.at(self.delta, pseudo[keep], even[keep])
        for numbers, up in ((own, False), (around, True)):
            if numbers is not None:
                self._spread(numbers, at, even, odd, up)

    def _spread(self, numbers: Any, at: Any, even: Any, odd: Any, up: bool) -> None:
        np = self.np
        keep = numbers >= 0
        while keep.any():
            numbers, at, even, odd = numbers[keep], at[keep], even[keep], odd[keep]
            np.add.at(self.delta, numbers, np.where((at - self.sums.first[numbers]) & 1, odd, even))
            if not up:
                return
            numbers = self.sums.parent[numbers]
            keep = numbers >= 0

    def settle(self) -> None:
        """Write the checksums that follow, the innermost first."""
        np = self.np
        by_level: dict[int, list[tuple[Rule, Rule]]] = {}
        for number, rules in self.rules.items():
            by_level.setdefault(int(self.level[number]), []).append(rules)
        for level in range(int(self.level.max(initial=-1)), -1, -1):
            here = self.level == level
            touched = (self.delta % ONES != 0) | self.moved
            exact = here & ((self.right & touched) | (self.fix & (self.wrong | (self.right & touched))))
            relative = here & self.unknown & (self.delta % ONES != 0)
            for rows, value in (
                (np.flatnonzero(exact), self.stored - self.total - self.delta),
                (np.flatnonzero(relative), self.stored - self.delta),
            ):
                found = value[rows] % ONES
                found[(found == 0) & (self.sums.optional[rows] == 1)] = ONES
                raw = np.stack([found >> 8, found & 255], axis=1).astype(np.uint8)
                self.change(self.sums.at[rows], raw, around=self.sums.parent[rows])
            for was, rule in by_level.get(level, ()):
                value = self._ruled(was, rule)
                if value is not None:
                    raw = value.to_bytes(rule.size, "little" if rule.little else "big")
                    self.change(np.array([rule.at]), np.array([list(raw)], np.uint8), around=np.array([rule.around]))

    def _ruled(self, before: Rule, rule: Rule) -> int | None:
        """Return what a checksum of another kind is to be, None where it stays."""
        stored = int.from_bytes(
            self.before[rule.at : rule.at + rule.size].tobytes(), "little" if rule.little else "big"
        )
        old, new = _covered(self.before, before), _covered(self.data, rule)
        if stored == rule.none or (old == new and not (self.fix and rule.whole)):
            return None
        was, value = _sum(rule, *old), _sum(rule, *new)
        if not rule.whole:
            # Without the bytes that are missing only an Internet checksum can be updated: by how much its sum changes.
            if rule.algorithm != "internet":
                return None
            moved = (stored - was + value) % ONES
            return rule.instead if moved == rule.none else moved
        same = stored == was or (rule.algorithm == "internet" and rule.none is None and (stored - was) % ONES == 0)
        return value if same or self.fix else None


def _until(rule: Rule, end: int) -> Rule:
    """Return a rule for what is left of what it covers where its frame now ends."""
    regions = tuple((min(first, end), min(last, end)) for first, last in rule.regions)
    size = sum(last - first for first, last in rule.regions) - sum(last - first for first, last in regions)
    return rule._replace(regions=regions, more=rule.more - size if rule.pseudo else rule.more)


def _covered(data: Any, rule: Rule) -> tuple[bytes, int]:
    """Return the bytes that a checksum is over, its own as zeros, and what is added to their sum."""
    parts = []
    for first, end in rule.regions:
        part = bytearray(data[first:end].tobytes())
        for place in range(max(first, rule.at), min(end, rule.at + rule.size)):
            part[place - first] = 0
        parts.append(bytes(part))
    raw = b"".join(parts)
    pseudo = sum(int.from_bytes(data[at : at + size].tobytes(), "big") for at, size in rule.pseudo)
    return raw, pseudo + rule.more


def _sum(rule: Rule, raw: bytes, more: int) -> int:
    value = internet(raw, more) if rule.algorithm == "internet" else ALGORITHMS[rule.algorithm](raw)
    return rule.instead if value == rule.none else value
