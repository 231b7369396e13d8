"""Series: what a field is in each row of a variation, worked out for many rows at once and for any row by itself.

Owns what users write for the values of a field (`sequence`, `seeded`, `filling`, and plain ranges, lists and arrays) and
how it becomes raw values in arrays. Randomness is a function of a seed and the row (splitmix64: Steele, Lea, Flood,
"Fast splittable pseudorandom number generators", 2014), so that a receiver can work out the same. Knows nothing
of packets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any
from zlib import crc32

from packetlab.declare.kinds import Int, Kind, Raw
from packetlab.errors import BuildError

if TYPE_CHECKING:
    from packetlab.bulk.batch import ByteArray, Numbers, Words

    Rows = Numbers
    Matrix = ByteArray

WORD = 1 << 64
SMALL = 1 << 16  # values of a range that may as well be listed


class Generator:
    """What a user wrote: values, and the order they are taken in."""

    def __init__(self, values: object, each: int = 1, seed: int | None = None) -> None:
        if each < 1:
            raise BuildError("sequence: each", "1 or more", each)
        self.values, self.each, self.seed = values, each, seed

    def __repr__(self) -> str:
        order = f"seed={self.seed}" if self.seed is not None else f"each={self.each}"
        return f"<Generator of {self.values!r}, {order}>"


class PayloadGenerator:
    """What a user wrote for bytes: how many in each row, and of what."""

    def __init__(self, sizes: object, pattern: bytes, seed: int | None) -> None:
        self.sizes, self.pattern, self.seed = sizes, pattern, seed


def sequence(values: object, each: int = 1) -> Generator:
    """Values one after the other, and again from the first when they are used up; `each` of them this many times in a row.

    `values`: a range, a list, an array, or for an address a network ("10.0.0.0/8", "2001:db8::/64",
    "02:00:00:00:00:00/24").
    """
    return Generator(values, each)


def seeded(seed: int, values: object = None) -> Generator:
    """Values drawn evenly from `values` (as for `sequence`; None: all that the field can hold), the same for a seed always.

    Each field draws for itself, also where two have the same seed.
    """
    return Generator(values, seed=seed)


def filling(sizes: object, pattern: bytes = b"\0", seed: int | None = None) -> PayloadGenerator:
    """Bytes for a payload or another field of varying size: in each row as many as `sizes` says.

    `sizes`: a number, or as for `sequence`, or what `sequence` and `seeded` give. The bytes are `pattern` over and over,
    or with `seed` random ones.
    """
    if not pattern:
        raise BuildError("filling: pattern", "a byte or more", "none")
    return PayloadGenerator(sizes, pattern, seed)


def mixed(seed: int, rows: Words, lane: int = 0) -> Words:
    """Return 64 random bits for each row: splitmix64 of `seed` at that place."""
    import numpy as np

    start = (seed * 0xD1342543DE82EF95 + lane * 0xDA942042E4DD58B5 + 0x9E3779B97F4A7C15) % WORD
    z = rows * np.uint64(0x9E3779B97F4A7C15) + np.uint64(start)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


# Values of one field ------------------------------------------------------------------------------------------------


class Order:
    """Which of `length` values each row takes."""

    def __init__(self, length: int, each: int, seed: int | None) -> None:
        self.length, self.each, self.seed = length, each, seed

    def low(self, rows: Rows) -> Words:
        """Return the place of each row's value (its low 64 bits)."""
        import numpy as np

        at = rows.astype(np.uint64)
        if self.seed is not None:
            at = mixed(self.seed, at)
        elif self.each > 1:
            at = at // np.uint64(self.each)
        return at % np.uint64(self.length) if self.length < WORD else at

    def high(self, rows: Rows) -> Words | None:
        """Return the bits of the place above 64; None where there are none."""
        import numpy as np

        if self.seed is None or self.length <= WORD:
            return None
        drawn, most = mixed(self.seed, rows.astype(np.uint64), 1), self.length // WORD
        return drawn % np.uint64(most) if most < WORD else drawn


class ValueColumn:
    """Raw values of one field by row."""

    def raw(self, row: int) -> Raw:
        raise NotImplementedError


class NumberColumn(ValueColumn):
    """Numbers of 64 bits at most, negative ones as two's complement; short addresses too."""

    def __init__(self, order: Order, start: int, step: int, table: Words | None, kind: Kind) -> None:
        self.order, self.start, self.step, self.table, self.kind = order, start, step, table, kind

    def words(self, rows: Rows) -> Words:
        import numpy as np

        at = self.order.low(rows)
        if self.table is not None:
            return self.table[at]
        return at * np.uint64(self.step % WORD) + np.uint64(self.start % WORD)

    def raw(self, row: int) -> Raw:
        import numpy as np

        number = int(self.words(np.array([row]))[0])
        if self.kind.wire == "number":
            return number - WORD if self.kind.signed and number >> 63 else number
        return number.to_bytes(self.kind.fixed_bits // 8, "big")


class BytesColumn(ValueColumn):
    """Bytes, of the same size in all rows or not."""

    size: int | None = None

    def sizes(self, rows: Rows) -> Rows:
        """Return the size of each row's bytes."""
        import numpy as np

        return np.full(len(rows), self.size, np.int64)

    def matrix(self, rows: Rows, size: int) -> Matrix:
        raise NotImplementedError

    def raw(self, row: int) -> bytes:
        import numpy as np

        rows = np.array([row])
        return self.matrix(rows, int(self.sizes(rows)[0])).tobytes()


class AddressColumn(BytesColumn):
    """Addresses one after the other, of up to 16 bytes: `start` and each `step` further."""

    def __init__(self, order: Order, start: int, step: int, size: int) -> None:
        self.order, self.start, self.step, self.size = order, start, step, size

    def matrix(self, rows: Rows, size: int) -> Matrix:
        import numpy as np

        add = self.order.low(rows) * np.uint64(self.step)
        low = add + np.uint64(self.start % WORD)
        high = (low < add).astype(np.uint64) + np.uint64(self.start // WORD)
        more = self.order.high(rows)
        if more is not None:
            high += more
        both = np.stack([high, low], axis=1).astype(">u8").view(np.uint8)
        return both[:, 16 - size :]


class ListColumn(BytesColumn):
    """Bytes from a list."""

    def __init__(self, order: Order, pieces: Sequence[bytes]) -> None:
        import numpy as np

        self.order, self.pieces = order, pieces
        self.lengths = np.fromiter(map(len, pieces), np.int64, len(pieces))
        self.ends = np.cumsum(self.lengths)
        self.joined = np.frombuffer(b"".join(pieces), np.uint8)
        same = len(set(self.lengths.tolist())) == 1
        self.size = len(pieces[0]) if same else None
        self.table: Matrix | None = self.joined.reshape(len(pieces), -1) if same and self.size else None

    def sizes(self, rows: Rows) -> Rows:
        return self.lengths[self.order.low(rows)]

    def matrix(self, rows: Rows, size: int) -> Matrix:
        import numpy as np

        at = self.order.low(rows)
        if self.table is not None:
            return self.table[at]
        picked: Matrix = self.joined[(self.ends[at] - size)[:, None] + np.arange(size)]
        return picked


class RandomColumn(BytesColumn):
    """Random bytes, or a pattern over and over, in the sizes that a row of numbers gives."""

    def __init__(self, sizes: NumberColumn | int, pattern: bytes, seed: int | None) -> None:
        self.count, self.pattern, self.seed = sizes, pattern, seed
        self.size = sizes if isinstance(sizes, int) else None

    def sizes(self, rows: Rows) -> Rows:
        import numpy as np

        if isinstance(self.count, int):
            return np.full(len(rows), self.count, np.int64)
        return self.count.words(rows).astype(np.int64)

    def matrix(self, rows: Rows, size: int) -> Matrix:
        import numpy as np

        if self.seed is None:
            one = (self.pattern * (size // len(self.pattern) + 1))[:size]
            return np.broadcast_to(np.frombuffer(one, np.uint8), (len(rows), size))
        words = -(-size // 8)
        at: Any = rows.astype(np.uint64)[:, None] * np.uint64(1 << 14) + np.arange(words, dtype=np.uint64)
        return mixed(self.seed, at, 2).astype("<u8").view(np.uint8)[:, :size]


class ChoiceColumn(ValueColumn):
    """Values from a list, as users write them; for fields that only objects can pack."""

    def __init__(self, order: Order, values: Sequence[Raw]) -> None:
        self.order, self.values = order, values

    def places(self, rows: Rows) -> Rows:
        """Return which of the values each row has."""
        import numpy as np

        return self.order.low(rows).astype(np.int64)

    def raw(self, row: int) -> Raw:
        import numpy as np

        return self.values[int(self.order.low(np.array([row]))[0])]


class WideColumn(ChoiceColumn):
    """Numbers of more than 64 bits, which objects pack too."""

    def places(self, rows: Rows) -> Rows:
        return super().places(rows) if self.order.length <= WORD else rows

    def raw(self, row: int) -> int:
        import numpy as np

        rows = np.array([row])
        high = self.order.high(rows)
        at = int(self.order.low(rows)[0]) + (0 if high is None else int(high[0]) * WORD)
        return int(self.values[at])


# From what a user wrote ---------------------------------------------------------------------------------------------


def values_of(written: object, kind: Kind, where: str, count: int, size: int = 0, *, absent: bool = False) -> ValueColumn:
    """Return the values that a user wrote for a field of `kind`. BuildError where they do not fit it.

    `count`: rows, `size`: bytes the field has in the template (for random ones of a numpy Generator). `absent`: whether None, among
    others in a list, says that the field is not there.
    """
    if isinstance(written, PayloadGenerator):
        return _filling(written, kind, where, count)
    source = written if isinstance(written, Generator) else Generator(written)
    wanted, seed = source.values, source.seed
    if seed is not None:
        seed = (seed * 0x100000001B3 + crc32(where.encode())) % WORD
    kind, wanted = _of_view(kind, wanted)
    if hasattr(wanted, "bit_generator") and hasattr(wanted, "integers"):
        wanted = _generated(wanted, kind, where, count, size)

    def order(length: int) -> Order:
        if not length:
            raise BuildError(where, "values", "none")
        return Order(length, source.each, seed)

    width = kind.bits // 8 if kind.bits is not None and kind.wire != "number" else 0
    if wanted is None and (kind.wire == "number" or kind.counted):
        wanted = range(1 << width * 8) if kind.counted else range(kind.low, kind.high + 1)
    elif wanted is None and kind.verbatim and seed is not None:
        return RandomColumn(width or size, b"\0", seed)
    elif isinstance(wanted, str) and kind.counted and "/" in wanted:
        wanted = _network(wanted, kind, where)
    if wanted is None:
        raise BuildError(where, "values to draw from", "none, and any bytes may be no value")
    if isinstance(wanted, range):
        return _of_range(wanted, kind, where, order, width)
    if type(wanted).__module__ == "numpy" and hasattr(wanted, "dtype"):
        found = _of_array(wanted, kind, where, order, width)
        if found is not None:
            return found
    if isinstance(wanted, (str, bytes, bytearray)) or not isinstance(wanted, Iterable) or hasattr(wanted, "_fields"):
        wanted = (wanted,)  # one value for all
    elif not isinstance(wanted, Sequence):
        wanted = list(islice(wanted, count))
    listed = [None if value is None and absent else kind.raw(value, where) for value in wanted]
    return _of_list(listed, kind, order(len(listed)), width)


def _of_view(kind: Kind, wanted: Raw) -> tuple[Kind, Raw]:
    """Return what values of a kind with two forms are drawn from: all raw ones, or those of a user one by one."""
    if kind.wire != "number" or kind.as_raw is None:
        return kind, wanted
    if wanted is None or hasattr(wanted, "bit_generator"):
        return kind.as_raw, wanted
    return kind, [*islice(wanted, SMALL)] if hasattr(wanted, "dtype") or isinstance(wanted, range) else wanted


def _of_list(listed: list[Raw], kind: Kind, order: Order, width: int) -> ValueColumn:
    import numpy as np

    if None in listed:  # which changes more than the bytes of the field
        return ChoiceColumn(order, listed if kind.transforms else [None if raw is None else kind.value(raw) for raw in listed])
    if _is_wide(kind):
        return WideColumn(order, listed)
    if kind.wire == "number":
        return NumberColumn(order, 0, 0, np.array([number % WORD for number in listed], np.uint64), kind)
    if kind.counted and width <= 8:
        return NumberColumn(order, 0, 0, np.array([int.from_bytes(raw, "big") for raw in listed], np.uint64), kind)
    if kind.transforms:
        return ChoiceColumn(order, listed)
    if kind.verbatim:
        return ListColumn(order, listed)
    return ChoiceColumn(order, [kind.value(raw) for raw in listed])


def _of_range(wanted: range, kind: Kind, where: str, order: Callable[[int], Order], width: int) -> ValueColumn:
    one = order(_length(wanted))
    first, last = wanted.start, wanted.start + (_length(wanted) - 1) * wanted.step
    for end in (first, last):
        kind.raw(end, where)
    if _is_wide(kind):
        return WideColumn(one, wanted)
    if kind.wire == "number" or (kind.counted and width <= 8):
        return NumberColumn(one, first, wanted.step, None, kind)
    if kind.counted and (wanted.step == 1 or (wanted.step > 0 and last - first < WORD)):
        return AddressColumn(one, first, wanted.step, width)
    if _length(wanted) <= SMALL:
        return _of_list([kind.raw(value, where) for value in wanted], kind, one, width)
    raise BuildError(where, "a range of step 1, or of fewer values", wanted)


def _is_wide(kind: Kind) -> bool:
    return kind.wire == "number" and kind.fixed_bits > 64


def _length(wanted: range) -> int:
    """Return how many numbers there are; len() ends at 2**63."""
    return max(0, (wanted.stop - wanted.start + wanted.step - (1 if wanted.step > 0 else -1)) // wanted.step)


def _of_array(wanted: Any, kind: Kind, where: str, order: Callable[[int], Order], width: int) -> ValueColumn | None:
    import numpy as np

    if wanted.ndim == 2 and wanted.dtype == np.uint8 and kind.wire != "number":
        if width not in (0, wanted.shape[1]):
            raise BuildError(where, f"rows of {width} bytes", wanted.shape[1])
        pieces = [row.tobytes() for row in np.ascontiguousarray(wanted)]
        return _of_list([kind.raw(piece, where) for piece in pieces], kind, order(len(pieces)), width)
    if wanted.ndim != 1:
        raise BuildError(where, "an array of one dimension, or rows of bytes", f"shape {wanted.shape}")
    if wanted.dtype.kind not in "iu" or _is_wide(kind) or not (kind.wire == "number" or (kind.counted and width <= 8)):
        return None
    one = order(len(wanted))
    for end in (int(wanted.min()), int(wanted.max())):
        kind.raw(end, where)
    return NumberColumn(one, 0, 0, wanted.astype(np.uint64), kind)


def _network(text: str, kind: Kind, where: str) -> range:
    base, _, length = text.partition("/")
    start = int.from_bytes(kind.raw(base, where), "big")
    if not (length.isdecimal() and len(length) < 4 and int(length) <= kind.fixed_bits):
        raise BuildError(where, f"a prefix length of 0..{kind.fixed_bits}", repr(text))
    size = 1 << (kind.fixed_bits - int(length))
    start -= start % size
    return range(start, start + size)


def _generated(rng: Any, kind: Kind, where: str, count: int, size: int) -> object:
    import numpy as np

    if _is_wide(kind):
        return [kind.low + int.from_bytes(rng.bytes(-(-kind.fixed_bits // 8))) % (kind.high - kind.low + 1) for _ in range(count)]
    if kind.wire == "number":
        return rng.integers(kind.low, kind.high, count, np.int64 if kind.signed else np.uint64, endpoint=True)
    if kind.verbatim:
        return rng.integers(0, 256, (count, kind.bits // 8 if kind.bits is not None else size), np.uint8)
    raise BuildError(where, "a list of values", "a random generator")


def _filling(written: PayloadGenerator, kind: Kind, where: str, count: int) -> ValueColumn:
    if kind.wire != "open":
        raise BuildError(where, "a payload or bytes of varying size to fill", "a field of fixed size")
    seed = written.seed
    if seed is not None:
        seed = (seed * 0x100000001B3 + crc32(where.encode())) % WORD
    if isinstance(written.sizes, int):
        sizes: NumberColumn | int = written.sizes
    else:
        numbers = values_of(written.sizes, Int(17), f"{where}: size", count)
        assert isinstance(numbers, NumberColumn)
        sizes = numbers
    if isinstance(sizes, int) and not 0 <= sizes < 1 << 17:
        raise BuildError(where, f"a size of 0..{(1 << 17) - 1}", sizes)
    return RandomColumn(sizes, written.pattern, seed)
