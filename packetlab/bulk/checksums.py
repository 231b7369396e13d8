"""Checksums of many packets at once, that differ in some bytes only.

Every sum that headers carry is a constant and something linear in the bytes: the Internet and the XNS checksum, plain sums,
Fletcher's and Adler's are bytes times weights by a modulus (RFC 1071 section 2; the weights of XNS are powers of two, see
`algorithms.xns`), a CRC is an exclusive or of one number for each byte and place. So the constant is worked out once from
the bytes that stay, and for each packet only those that vary are looked at. Knows nothing of headers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from packetlab.declare.checksums.crc import MIRROR, step_table
from packetlab.declare.checksums.simple import INVERTED, NEGATED

if TYPE_CHECKING:
    from packetlab.bulk.batch import ByteArray, Floats, Numbers, Truths, Words
    from packetlab.declare.checksums.algorithms import Algorithm
    from packetlab.declare.expressions import Checksum

    Matrix = ByteArray

EXACT = 1 << 53  # numbers that floats hold exactly lie below


class Linear:
    """One checksum over rows of bytes that are equal but for some columns.

    `row`: the bytes that stay, 0 in the columns that vary (`varying`) and in those that count as 0 (`blank`).
    `covered`: columns the sum is over, in its order. `added`: (columns, weights) of a pseudo-header, None where there is
    none; `more`: what it adds as well. `at`: where in `covered` its own columns begin. ValueError for sums too large.
    """

    def __init__(
        self, rule: Checksum, row: ByteArray, varying: Truths, blank: Truths, covered: Numbers,
        added: tuple[Numbers, Floats] | None, more: int, at: int = 0,
    ) -> None:  # fmt: skip
        import numpy as np

        self.rule, self.size, self.at = rule, len(covered), at
        self.terms: list[tuple[int, int, list[tuple[slice, Floats]]]] = []
        if rule.algorithm.bits > 64:
            raise ValueError("sums that numbers of numpy do not hold")
        if rule.algorithm.word in ("crc", "xor"):
            data = np.where(blank | varying, 0, row)[covered].astype(np.uint8)
            moving = varying & ~blank
            self.constant: int = rule.algorithm.sum(data.tobytes())
            self.tables = _tables(rule.algorithm, covered, moving[covered])
            self.varies = bool(self.tables)
            return
        still = np.where(varying, 0, row).astype(np.float64)
        for modulus, by_place in _weights(rule.algorithm, len(covered)):
            weights = np.zeros(len(row))
            # A column may be covered twice.
            np.add.at(weights, covered, by_place)
            weights[blank] = 0
            if added is not None:
                np.add.at(weights, added[0], added[1])
            if weights.sum() * 255 >= EXACT:
                raise ValueError("sums that floats do not hold exactly")
            constant = int(still @ weights) + more
            constant = constant and (constant % modulus or modulus)  # 0 only where everything is
            used = np.flatnonzero(varying & (weights != 0))
            # Neighbouring columns go together.
            ends = np.flatnonzero(np.diff(used) != 1) + 1
            self.terms.append((modulus, constant, [
                (slice(int(run[0]), int(run[-1]) + 1), weights[run[0] : run[-1] + 1].copy())
                for run in (np.split(used, ends) if len(used) else [])
            ]))  # fmt: skip
        self.varies = any(runs for _, _, runs in self.terms)

    def values(self, rows: Matrix) -> Words:
        import numpy as np

        if not self.terms:
            found = np.full(len(rows), self.constant, np.uint64)
            for column, table in self.tables:
                found ^= table[rows[:, column]]
        else:
            totals = []
            for _, constant, runs in self.terms:
                total = np.full(len(rows), float(constant))
                for columns, weights in runs:
                    total += rows[:, columns].astype(np.float64) @ weights
                totals.append(total.astype(np.int64))
            found = self._ended(totals[0], totals[-1]).astype(np.uint64)
        if self.rule.none is not None:
            found[found == self.rule.none] = self.rule.instead
        return found

    def _ended(self, first: Numbers, second: Numbers) -> Numbers:
        """Return checksums of what the bytes come to."""
        import numpy as np

        algorithm, modulus = self.rule.algorithm, self.terms[0][0]
        if algorithm.word == "internet":
            found = (65535 - first % 65535) % 65535
            found[first == 0] = 65535  # only where everything is zero is the sum itself 0
            return found
        if algorithm.word == "sum":
            end = algorithm.parameters[3]
            if algorithm.parameters[4]:  # with the carry brought round, 0 only where everything is zero
                first, modulus = np.where(first == 0, 0, (first - 1) % modulus + 1), modulus + 1
            return (~first if end == INVERTED else -first if end == NEGATED else first) % modulus
        if algorithm.word == "fletcher":
            return second % modulus << algorithm.bits // 2 | first % modulus
        if algorithm.word == "adler":
            return (second + self.size) % modulus << 16 | (first + 1) % modulus
        if algorithm.word == "iso":
            first, second = first % modulus, second % modulus
            x = ((self.size - self.at - 1) * first - second) % 255
            x = np.where(x == 0, 255, x)
            y = 510 - first - x
            return x << 8 | np.where(y > 255, y - 255, y)
        return first % modulus


def _weights(algorithm: Algorithm, size: int) -> list[tuple[int, Floats]]:
    """Return the sums of an algorithm: the modulus of each, and the weights of the bytes by their places."""
    import numpy as np

    place, word = np.arange(size), algorithm.word
    if word in ("internet", "xns"):
        weights = np.where(place % 2, 1, 256)
        if word == "xns":
            weights = weights * (1 << ((-(-size // 2) - place // 2) % 16)) % 65535
        return [(65535, weights.astype(np.float64))]
    unit, little, modulus = 1, 0, {"adler": 65521, "iso": 255}.get(word, 1 << algorithm.bits)
    if word == "sum":
        unit, little, modulus = algorithm.parameters[1] // 8, algorithm.parameters[2], modulus - algorithm.parameters[4]
    elif word == "fletcher":
        unit, little, modulus = algorithm.bits // 16, algorithm.parameters[1], (1 << algorithm.bits // 2) - (not algorithm.parameters[2])
    weights = np.exp2(8 * (place % unit if little else unit - 1 - place % unit))
    if word == "sum":
        return [(modulus, weights)]
    return [(modulus, weights), (modulus, weights * (-(-size // unit) - place // unit))]


def carried(size: int) -> Floats:
    """Return the weights of an address of `size` bytes that is added as one number."""
    import numpy as np

    return np.where((size - 1 - np.arange(size)) % 2, 256.0, 1.0)


def _tables(algorithm: Algorithm, covered: Numbers, moving: Truths) -> list[tuple[int, Words]]:
    """Return for each column that varies what each value of its byte adds to the CRC."""
    import numpy as np

    if algorithm.word == "xor":
        return [(column, np.arange(256, dtype=np.uint64)) for column in covered[moving].tolist()]
    bits, poly, _, low, out, _, swapped = algorithm.parameters
    table: Words = np.array(step_table(bits, poly), np.uint64)
    mirror, over = np.frombuffer(MIRROR, np.uint8), np.uint64(64 - bits)

    def turned(numbers: Words) -> Words:
        """Return numbers with the order of their bits as the CRC has it in the end."""
        if not out:
            numbers = mirror[(numbers << over).byteswap().view(np.uint8)].view(np.uint64)
        return numbers.byteswap() >> over if swapped else numbers

    found = []
    here: Words = table
    for column, moves in zip(covered[::-1].tolist(), moving[::-1].tolist(), strict=True):
        if moves:
            found.append((column, turned(here if low else here[mirror])))
        here = table[here & np.uint64(0xFF)] ^ (here >> np.uint64(8))  # one byte farther from the end
    return found
