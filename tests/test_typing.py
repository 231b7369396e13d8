"""mypy --strict accepts right uses of declared headers and refuses wrong ones, line by line."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

TYPING = Path(__file__).parent / "typing"


def mypy(name: str) -> str:
    # What the package itself is to be told of is the other run of mypy's.
    options = ["--strict", "--no-error-summary", "--follow-imports=silent", "--config-file="]
    words = [sys.executable, "-m", "mypy", *options, str(TYPING / name)]
    return subprocess.run(words, capture_output=True, text=True, cwd=TYPING.parent.parent).stdout


def test_right_uses_are_accepted() -> None:
    assert mypy("right.py") == ""


def test_each_wrong_use_is_refused() -> None:
    refused = {int(line) for line in re.findall(r"wrong\.py:(\d+): error", mypy("wrong.py"))}
    lines = (TYPING / "wrong.py").read_text().splitlines()
    assert refused == {number for number, line in enumerate(lines, 1) if line.endswith("# wrong")}
