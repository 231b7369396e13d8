"""Four protocols of nobody's, each a text as RFCs are, with test vectors: what a reader of how-to-declare alone has to declare."""

from __future__ import annotations

import re
from pathlib import Path

_DUMP = re.compile(r"^ *[0-9a-f]{4} {2}((?:[0-9a-f]{2} ?)+)(?: .*)?$")


def vectors(name: str) -> list[bytes]:
    """Return the bytes of each hex dump of a text, in order."""
    found = list[bytearray]()
    inside = False
    for line in (Path(__file__).parent / f"{name}.txt").read_text("utf-8").splitlines():
        match = _DUMP.match(line)
        if match is not None:
            if not inside:
                found.append(bytearray())
            found[-1] += bytes.fromhex(match[1])
        inside = match is not None
    return [bytes(one) for one in found]
