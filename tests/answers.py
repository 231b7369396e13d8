"""tshark, and its answers that are kept: each start of it takes as long as a hundred other tests.

What tshark prints goes by its version, its arguments and the files that it reads. An answer is kept under the digest of these (in tests/oracle/answers),
so that tshark is started wherever anything is another: the version that is installed, the Lua that packetlab writes, a capture. Of those that are kept
the whole suite has tshark give one in eight again, and compares. TSHARK_ANSWERS=fresh has it give all again, TSHARK_ANSWERS=keep keeps what it says.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
from collections.abc import Sequence
from functools import cache
from hashlib import sha256
from pathlib import Path

from hypothesis import currently_in_test_context

FOLDER = Path(__file__).parent / "oracle" / "answers"
PLAN = os.environ.get("TSHARK_ANSWERS", "")
ENVIRONMENT = {"TZ": "UTC", "LC_ALL": "C.UTF-8"}
LARGEST = 200_000
"""Bytes of an answer that is kept."""
MOMENT = re.compile('(?<=<pdml )[^>]*(?=>)')
"""What PDML begins with: when it was written, of which file."""
compare = [True]
"""Whether kept answers are compared; tests/conftest.py takes that back where only what is quick is run."""


def tshark(*words: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Return what tshark prints with these arguments, but for its remark on the user it runs as.

    Raises: CalledProcessError: it fails, unless that is not checked.
    """
    arguments = [str(word) for word in words]
    # What Hypothesis draws is another at each run, and what -w writes is a file.
    path = None if "-w" in arguments or currently_in_test_context() else FOLDER / f"{digest(arguments)}.json.gz"
    kept = path.read_bytes() if path and PLAN != "keep" and path.exists() else b""
    if not path or not kept or PLAN == "fresh" or (compare[0] and path.name[0] in "08"):
        answer = start(arguments)
        written = gzip.compress(json.dumps(answer, indent=1).encode(), mtime=0)
        assert not kept or gzip.decompress(kept) == gzip.decompress(written), f"tshark answers otherwise than {path}: delete that file"
        if path and PLAN == "keep" and len(written) <= LARGEST:
            FOLDER.mkdir(exist_ok=True)
            path.write_bytes(written)
    else:
        answer = json.loads(gzip.decompress(kept))
    done = subprocess.CompletedProcess(["tshark", *arguments], *answer)
    if check:
        done.check_returncode()
    return done


def start(arguments: Sequence[str]) -> tuple[int, str, str]:
    """Return the return code of tshark, what it prints, and what it complains of."""
    done = subprocess.run(
        ["tshark", *arguments], capture_output=True, encoding="utf-8", errors="replace", env={**os.environ, **ENVIRONMENT}
    )
    said = [line for line in done.stderr.splitlines(True) if line.strip() and "Running as user" not in line]
    return done.returncode, MOMENT.sub("", done.stdout), "".join(said)


@cache
def version() -> str:
    return start(["--version"])[1].partition("\n")[0]


def digest(arguments: Sequence[str]) -> str:
    """Return the digest of arguments, with the bytes of files instead of their names: -r FILE, lua_script:FILE."""
    parts = [version()]
    for word in arguments:
        before, colon, after = word.partition(":")
        if os.path.isfile(word):
            parts.append(sha256(Path(word).read_bytes()).hexdigest())
        elif colon and os.path.isfile(after):
            parts += [before, sha256(Path(after).read_bytes()).hexdigest()]
        else:
            parts.append(word)
    return sha256(json.dumps(parts).encode()).hexdigest()[:24]
