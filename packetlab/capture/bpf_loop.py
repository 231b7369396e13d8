"""The packet filter machine over a batch, compiled by numba and kept on disk. Import it where numba is there."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from packetlab.capture.bpf_machine import MEMORY, Program, columns, run

_run = numba.njit(cache=True, nogil=True)(run)


def run_all(program: Program, data: Any, batch: Any, wire: Any) -> Any:
    """Return which packets of a batch the program wants."""
    code, jt, jf, k = (np.array(column, np.int64) for column in columns(program))
    wanted = np.zeros(len(batch), np.int64)
    _run(code, jt, jf, k, data, batch.starts, batch.sizes, wire, np.zeros(MEMORY, np.int64), wanted)
    return wanted != 0
