"""The packet filter machine over a batch, compiled by numba and kept on disk. Import it where numba is there."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from packetlab.capture.bpf_machine import MEMORY, Program, run

_run = numba.njit(cache=True, nogil=True)(run)


@numba.njit(cache=True, nogil=True)  # type: ignore[misc, untyped-decorator, unused-ignore]
def _loop(
    code: Any, jt: Any, jf: Any, k: Any, data: Any, starts: Any, sizes: Any, wire: Any, memory: Any, wanted: Any
) -> None:
    for row in range(len(starts)):
        wanted[row] = _run(code, jt, jf, k, data, starts[row], sizes[row], wire[row], memory) != 0


def run_all(program: Program, data: Any, batch: Any, wire: Any) -> Any:
    """Return which packets of a batch the program wants."""
    columns = [np.array(column, np.int64) for column in zip(*program, strict=True)]
    wanted = np.zeros(len(batch), np.bool_)
    _loop(*columns, data, batch.starts, batch.sizes, wire, np.zeros(MEMORY, np.int64), wanted)
    return wanted
