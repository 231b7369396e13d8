"""The careful reader by itself, beside which compiled readers are held."""

from __future__ import annotations

from typing import Any

import packetlab as pl
from packetlab.codec.faults import Dissection
from packetlab.codec.lenient import walk


def careful(header: type[pl.Header], data: bytes) -> tuple[Any, list[pl.Fault]]:
    """Return the header that the careful reader reads from bytes, and its faults."""
    ctx = Dissection()
    return walk(header._declaration, data, 0, len(data), ctx)[0], ctx.faults
