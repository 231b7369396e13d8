"""Numbers that wrap around, and the two queues that they order.

Inside an engine numbers do not wrap: one from the wire is taken as the number nearest to one already known that agrees
with it modulo 2**16 (half the circle counts as the past), so that plain comparisons are right.
"""

from __future__ import annotations


def unwrap(number: int, near: int, modulus: int = 1 << 16) -> int:
    """Return the number nearest to `near` that is `number` modulo `modulus`: 2**16, or 2**32 for TCP.

    >>> unwrap(2, near=65534), unwrap(65534, near=65538), unwrap(0x8000, near=0)
    (65538, 65534, -32768)
    """
    half = modulus >> 1
    return near + (number - near + half) % modulus - half
