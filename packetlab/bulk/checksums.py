"""Checksums of many packets at once, that differ in some bytes only.

Every sum that headers carry is a constant and something linear in the bytes: the Internet and the XNS checksum are
bytes times weights modulo 65535 (RFC 1071 section 2; the weights of XNS are powers of two, see `checksums.xns`), a CRC
is an exclusive or of one number for each byte and place. So the constant is worked out once from the bytes that stay,
and for each packet only those that vary are looked at. Knows nothing of headers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from packetlab.declare.checksums import ALGORITHMS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from packetlab.bulk.batch import ByteArray, Floats, Numbers, Truths, Words
    from packetlab.declare.expressions import Checksum

    Matrix = ByteArray

_POLYNOMIALS = {"crc32": 0xEDB88320, "crc32c": 0x82F63B78, "sctp": 0x82F63B78}


class Linear:
    """One checksum over rows of bytes that are equal but for some columns.

    `row`: the bytes that stay, 0 in the columns that vary (`varying`) and in those that count as 0 (`blank`).
    `covered`: columns the sum is over, in its order. `added`: (columns, weights) of a pseudo-header, None where there is
    none; `more`: what it adds as well.
    """

    def __init__(
        self, rule: Checksum, row: ByteArray, varying: Truths, blank: Truths, covered: Numbers,
        added: tuple[Numbers, Floats] | None, more: int,
    ) -> None:  # fmt: skip
        import numpy as np

        self.rule = rule
        data = np.where(blank | varying, 0, row)[covered].astype(np.uint8)
        moving = varying & ~blank
        if rule.algorithm in _POLYNOMIALS:
            self.constant: int = ALGORITHMS[rule.algorithm](data.tobytes())
            self.tables = _tables(rule.algorithm, covered, moving[covered])
            self.varies = bool(self.tables)
            return
        weights = np.zeros(len(row))
        # A column may be covered twice.
        np.add.at(weights, covered, _weights(rule.algorithm, len(covered)))
        weights[blank] = 0
        if added is not None:
            np.add.at(weights, added[0], added[1])
        still = np.where(varying, 0, row).astype(np.float64)
        constant = int(still @ weights) + more
        self.constant = constant and (constant % 65535 or 65535)  # 0 only where everything is
        used = np.flatnonzero(varying & (weights != 0))
        self.varies = bool(len(used))
        # Neighbouring columns go together.
        ends = np.flatnonzero(np.diff(used) != 1) + 1
        self.runs = [
            (slice(int(run[0]), int(run[-1]) + 1), weights[run[0] : run[-1] + 1].copy())
            for run in (np.split(used, ends) if len(used) else [])
        ]

    def values(self, rows: Matrix) -> Words:
        import numpy as np

        found: Any
        if self.rule.algorithm in _POLYNOMIALS:
            found = np.full(len(rows), self.constant, np.uint32)
            for column, table in self.tables:
                found ^= table[rows[:, column]]
        else:
            total = np.full(len(rows), float(self.constant))
            for columns, weights in self.runs:
                total += rows[:, columns].astype(np.float64) @ weights  # exact: below 2**53 up to 500 MB a row
            found = total.astype(np.int64) % 65535
            if self.rule.algorithm == "internet":
                found = (65535 - found) % 65535
                found[total == 0] = 65535  # only where everything is zero is the sum itself 0
        if self.rule.none is not None:
            found[found == self.rule.none] = self.rule.instead
        return found.astype(np.uint64)  # type: ignore[no-any-return]


def _weights(algorithm: str, size: int) -> Floats:
    import numpy as np

    place = np.arange(size)
    weights = np.where(place % 2, 1, 256)
    if algorithm == "xns":
        words = -(-size // 2)
        weights = weights * (1 << ((words - place // 2) % 16)) % 65535
    return weights.astype(np.float64)


def carried(size: int) -> Floats:
    """Return the weights of an address of `size` bytes that is added as one number."""
    import numpy as np

    return np.where((size - 1 - np.arange(size)) % 2, 256.0, 1.0)


def _tables(algorithm: str, covered: Numbers, moving: Truths) -> list[tuple[int, NDArray[np.uint32]]]:
    """Return for each column that varies what each value of its byte adds to the CRC."""
    import numpy as np

    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, (table >> 1) ^ np.uint32(_POLYNOMIALS[algorithm]), table >> 1).astype(np.uint32)
    found = []
    here = table
    for column, moves in zip(covered[::-1].tolist(), moving[::-1].tolist(), strict=True):
        if moves:
            found.append((column, here.byteswap() if algorithm == "sctp" else here))
        here = table[here & 0xFF] ^ (here >> np.uint32(8))  # one byte farther from the end
    return found
