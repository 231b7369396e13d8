"""Verify: how frames that were received compare with the variation they were sent from.

Owns the matching (by a 64-bit digest of each frame, so a stretch at a time) and what is said of it: gaps, duplicates,
reorder as RFC 4737 defines it, frames that came damaged and in which fields, frames of others. What is received it only
knows as batches.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

from packetlab.bulk.batch import Batch
from packetlab.bulk.generators import mixed
from packetlab.bulk.report import Damage, VariationReport
from packetlab.bulk.vary import STRETCH, Variation, named
from packetlab.packet.offsets import field_offsets

if TYPE_CHECKING:
    from packetlab.bulk.batch import ByteArray, Numbers, Truths, Words
    from packetlab.bulk.template import Template

    Digests = Words
    Masks = dict[int, ByteArray]

SHORTEST = 60  # bytes of an Ethernet frame without check sequence: what is shorter may come filled up with zeros
LOOKED_INTO = 10_000  # damaged frames of which the fields are named
NEAR = 64  # rows before and after the place of a damaged frame that it may be of
LIKE = 0.75  # part of the bytes that stay which a damaged frame has kept at least; cut, it has half of all


def check(variation: Variation, received: object, ignoring: tuple[object, ...] = ()) -> VariationReport:
    """Return the report on what was received; see `Variation.check`."""
    return _Check(variation, ignoring).over(stretches(received))


def stretches(received: Any) -> Iterator[Batch]:
    """Yield what was received as batches: a batch, what has ``batches()``, or batches, frames or packets in order."""
    if hasattr(received, "batches"):
        yield from received.batches()
    elif isinstance(received, Batch):
        yield received
    else:
        several = iter(received)
        for first in several:
            if isinstance(first, Batch):
                yield first
            else:
                yield Batch.of(chain([first], islice(several, 4095)))


def gathered(batch: Batch, rows: Numbers, size: int) -> ByteArray:
    """Return the bytes of rows that all have `size` of them, as a matrix."""
    import numpy as np

    starts = batch.starts[rows]
    if not size or not len(starts):
        return np.zeros((len(starts), size), np.uint8)
    return np.lib.stride_tricks.sliding_window_view(batch.data, size)[starts]


def digests(batch: Batch, masks: Masks) -> Digests:
    """Return 64 bits for each packet that are equal for equal bytes; `masks`: size -> bytes to leave out as 0."""
    import numpy as np

    found = np.zeros(len(batch), np.uint64)
    for size in np.unique(batch.sizes).tolist():
        rows = np.flatnonzero(batch.sizes == size)
        step = max((1 << 16) // max(size, 1), 64)
        for first in range(0, len(rows), step):
            some = rows[first : first + step]
            found[some] = _digest(gathered(batch, some, size), masks.get(size))
    return found


def _digest(matrix: ByteArray, mask: ByteArray | None) -> Any:
    import numpy as np

    count, size = matrix.shape
    words = np.zeros((count, -(-size // 8) or 1), "<u8")
    words.view(np.uint8)[:, :size] = matrix if mask is None else matrix & mask
    lanes = np.arange(words.shape[1], dtype=np.uint64)
    mixing = words.astype(np.uint64) ^ mixed(size, lanes)
    mixing *= mixed(1, lanes) | np.uint64(1)
    mixing ^= mixing >> np.uint64(32)
    mixing *= np.uint64(0x9FB21C651E98DF25)
    mixing ^= mixing >> np.uint64(28)
    return mixing.sum(axis=1, dtype=np.uint64)


class _Check:
    def __init__(self, variation: Variation, ignoring: tuple[object, ...]) -> None:
        import numpy as np

        self.variation = variation
        self.count = len(variation)
        self.models = {plan.size: plan for plan in self._plans()}
        self.masks = self._masks(ignoring) if ignoring else {}
        expected = np.empty(self.count, np.uint64)
        at = 0
        sizes: set[int] = set()
        for batch in variation.batches():
            expected[at : at + len(batch)] = digests(batch, self.masks)
            at += len(batch)
            sizes |= set(np.unique(batch.sizes).tolist())
        self.sizes = sorted(sizes)
        self.order = np.argsort(expected, kind="stable")  # rows by digest
        self.keys, self.firsts, self.times = np.unique(expected[self.order], return_index=True, return_counts=True)
        self.taken = np.zeros(len(self.keys), np.int64)  # how often each came
        self.seen = np.zeros(self.count, bool)
        self.received = self.duplicates = self.reordered = self.extent = self.foreign = self.corrupted = 0
        self.latest: list[Numbers] = []  # for each frame matched: the latest row up to it
        self.top = -1
        self.unmatched: list[tuple[int, int, bytes]] = []  # (place, latest row before, bytes) of what matched nothing

    def _plans(self) -> Iterator[Template]:
        import numpy as np

        first = np.arange(min(self.count, STRETCH))
        for _, plan in self.variation._groups(first):
            if plan is not None:
                yield plan

    def _masks(self, ignoring: tuple[object, ...]) -> Masks:
        """Return size -> 0xFF for each byte that counts; bits of bytes shared with other fields too."""
        import numpy as np

        wanted = [named(self.variation.template, key) for key in ignoring]
        masks: Masks = {}
        rows = np.arange(self.count)
        for group, _ in self.variation._groups(rows):
            packet = self.variation.packet(int(rows[group][0]))
            size = len(packet)
            mask = masks.setdefault(size, np.full(size, 0xFF, np.uint8))
            whole = field_offsets(packet)
            for span in whole.spans:
                if any((layer, field) == (span.layer, span.field) for layer, field, _ in wanted):
                    mask[slice(*span.byte_range)] &= ~np.frombuffer(span.mask, np.uint8)
            if any(field is None for _, field, _ in wanted):
                mask[slice(*whole.payload)] = 0
        return masks

    # While frames come --------------------------------------------------------------------------------------

    def over(self, batches: Iterable[Batch]) -> VariationReport:
        for batch in batches:
            self.take(batch)
        return self.report()

    def take(self, batch: Batch) -> None:
        import numpy as np

        found = digests(batch, self.masks)
        if not len(found):
            return
        at = np.minimum(np.searchsorted(self.keys, found), max(len(self.keys) - 1, 0))
        known = self.keys[at] == found if len(self.keys) else np.zeros(len(found), bool)
        if not known.all():
            self._filled_up(batch, at, known)
        came = at[known]
        # Which time each of equal frames comes, counted from 0: rank within the stretch, and those in earlier ones.
        by_key = np.argsort(came, kind="stable")
        ordered = came[by_key]
        begins = np.concatenate([[True], ordered[1:] != ordered[:-1]]) if len(ordered) else np.zeros(0, bool)
        since = np.maximum.accumulate(np.where(begins, np.arange(len(ordered)), 0))
        rank = np.empty(len(came), np.int64)
        rank[by_key] = np.arange(len(ordered)) - since
        rank += self.taken[came]
        np.add.at(self.taken, came, 1)
        fresh = rank < self.times[came]
        self.duplicates += int((~fresh).sum())
        rows = self.order[self.firsts[came[fresh]] + rank[fresh]]
        self.seen[rows] = True
        single = self.times[came[fresh]] == 1
        latest = self._reorder(rows, single)
        if not known.all():
            before = np.full(len(found), self.top if not len(latest) else 0)
            place = np.cumsum(known) - 1
            before = np.where(place >= 0, self._at_most(fresh, latest)[np.maximum(place, 0)], before)
            self._unknown(batch, np.flatnonzero(~known), before)
        if len(latest):
            self.top = int(latest[-1])
        self.received += len(batch)

    def _at_most(self, fresh: Truths, latest: Numbers) -> Numbers:
        """Return for each frame known the latest row so far."""
        import numpy as np

        if not len(fresh):
            return np.array([self.top])
        place = np.cumsum(fresh) - 1
        return np.where(place >= 0, latest[np.maximum(place, 0)] if len(latest) else self.top, self.top)

    def _reorder(self, rows: Numbers, single: Truths) -> Numbers:
        """Count frames after one of a later row; return the latest row up to each."""
        import numpy as np

        counted = np.where(single, rows, -1)
        latest = np.maximum(np.maximum.accumulate(counted), self.top) if len(rows) else rows
        history = sum(map(len, self.latest))
        self.latest.append(latest)
        late = single & (rows < latest)
        if late.any():
            self.reordered += int(late.sum())
            whole = np.concatenate(self.latest)
            self.latest = [whole]
            # The latest row never goes down, so the first frame of a later row is found by bisection.
            first = np.searchsorted(whole, rows[late], side="right")
            self.extent = max(self.extent, int((np.flatnonzero(late) + history - first).max()))
        return latest

    def _filled_up(self, batch: Batch, at: Numbers, known: Truths) -> None:
        """Find frames that the link filled up with zeros to its shortest frame."""
        import numpy as np

        for size in [size for size in self.sizes if size < SHORTEST]:
            rows = np.flatnonzero(~known & (batch.sizes == SHORTEST))
            rows = rows[(gathered(batch, rows, SHORTEST)[:, size:] == 0).all(axis=1)]
            if len(rows):
                found = digests(Batch(batch.data, batch.starts[rows], np.full(len(rows), size)), self.masks)
                place = np.minimum(np.searchsorted(self.keys, found), len(self.keys) - 1)
                right = self.keys[place] == found
                at[rows[right]] = place[right]
                known[rows[right]] = True

    def _unknown(self, batch: Batch, rows: Numbers, before: Numbers) -> None:
        """Keep what may be a damaged frame of ours; count the rest as foreign."""
        import numpy as np

        like = np.zeros(len(rows), bool)
        for size in np.unique(batch.sizes[rows]).tolist():
            mine = np.flatnonzero(batch.sizes[rows] == size)
            longer = [known for known in self.models if known >= size]
            model = self.models.get(min(longer) if longer else max(self.models, default=0))
            if model is None:
                like[mine] = not self.models  # without a model all are looked into
                continue
            short = min(size, model.size)
            still = ~model.varying[:short]
            same = gathered(batch, rows[mine], short)[:, still] == model.row[:short][still]
            like[mine] = (same.sum(axis=1) >= LIKE * same.shape[1]) & (short * 2 >= model.size)
        self.foreign += int((~like).sum())
        for row in rows[like].tolist():
            if len(self.unmatched) < LOOKED_INTO:
                self.unmatched.append((self.received + row, int(before[row]), batch[row]))
            else:
                self.corrupted += 1

    # At the end ---------------------------------------------------------------------------------------------

    def report(self) -> VariationReport:
        import numpy as np

        damage = self._looked_into()
        differing = Counter(field for one in damage for field in one.fields)
        matched = int(self.seen.sum())
        for one in damage:
            self.seen[one.row] = True
        missing = np.flatnonzero(~self.seen)
        parts = np.split(missing, np.flatnonzero(np.diff(missing) != 1) + 1) if len(missing) else []
        return VariationReport(
            expected=self.count,
            received=self.received,
            matched=matched,
            missing=len(missing),
            gaps=tuple((int(part[0]), int(part[-1])) for part in parts),
            duplicates=self.duplicates,
            reordered=self.reordered,
            extent=self.extent,
            corrupted=self.corrupted + len(damage),
            damage=tuple(damage),
            differing=dict(differing.most_common()),
            foreign=self.foreign,
            ambiguous=int(self.times[self.times > 1].sum()),
        )

    def _looked_into(self) -> list[Damage]:
        """Find the row of each damaged frame: one whose varying fields it has kept, else the nearest like it."""
        keyed = self._by_key()
        left = set((~self.seen).nonzero()[0].tolist())
        damage = []
        for number, (place, before, raw) in enumerate(self.unmatched):
            rows = keyed.get(number, [])
            row = next((one for one in rows if one in left), rows[0] if rows else None)
            if row is None:
                near = [one for one in range(before - NEAR, before + NEAR + 1) if one in left]
                row = min(near, key=lambda one: (_apart(self.variation[one], raw), one), default=None)
            if row is None or _apart(self.variation[row], raw) > max(len(raw) // 2, 1):
                self.foreign += 1
                continue
            left.discard(row)
            damage.append(Damage(row, place, _fields(self.variation, row, raw)))
        return damage

    def _by_key(self) -> dict[int, list[int]]:
        """Return for damaged frames, by number, the rows whose varying fields they have."""
        import numpy as np

        if not self.unmatched or not self.models:
            return {}
        masks = {size: np.where(model.own, 0xFF, 0).astype(np.uint8) for size, model in self.models.items()}
        wanted: dict[int, list[int]] = {}
        batch = Batch.of(raw for _, _, raw in self.unmatched)
        for number, key in enumerate(digests(batch, masks).tolist()):
            if int(batch.sizes[number]) in masks and masks[int(batch.sizes[number])].any():
                wanted.setdefault(key, []).append(number)
        keys = np.array(sorted(wanted), np.uint64)
        found: dict[int, list[int]] = {}
        first = 0
        for rows in self.variation.batches() if len(keys) else ():
            mine = digests(rows, masks)
            for row in np.flatnonzero(np.isin(mine, keys)).tolist():
                for number in wanted[int(mine[row])]:
                    found.setdefault(number, []).append(first + row)
            first += len(rows)
        return found


def _apart(expected: bytes, got: bytes) -> int:
    import numpy as np

    short = min(len(expected), len(got))
    one, other = np.frombuffer(expected, np.uint8)[:short], np.frombuffer(got, np.uint8)[:short]
    return int((one != other).sum()) + abs(len(expected) - len(got))


def _fields(variation: Variation, row: int, got: bytes) -> tuple[str, ...]:
    """Return the names of the fields in which a frame differs from its row, "size" where it has another length."""
    packet = variation.packet(row)
    expected = bytes(packet)
    short = min(len(expected), len(got))
    changed = bytes(one ^ other for one, other in zip(expected, got, strict=False)) + bytes(len(expected) - short)
    found = ["size"] if len(expected) != len(got) else []
    names = [type(layer).__name__ for layer in packet.layers]
    where = field_offsets(packet)
    stretches = [(span.number(changed), span.layer, span.field.name) for span in where.spans]
    for differs, layer, name in [*stretches, (any(changed[slice(*where.payload)]), -1, "payload")]:
        if differs:
            number = names[: layer + 1].count(names[layer]) if layer >= 0 else 0
            place = f"{names[layer]}#{number}." if number > 1 else f"{names[layer]}." if number else ""
            found.append(place + name)
    return tuple(found) or ("trailer",)
