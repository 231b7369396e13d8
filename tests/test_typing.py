"""mypy --strict accepts right uses of declared headers and refuses wrong ones, line by line."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

TYPING = Path(__file__).parent / "typing"


@pytest.mark.slow
@pytest.mark.timeout(400)  # without its cache mypy checks all of the package first
def test_right_uses_are_accepted_and_each_wrong_one_is_refused() -> None:
    # What the package itself is to be told of is the other run of mypy's.
    options = ["--strict", "--no-error-summary", "--follow-imports=silent", "--config-file="]
    options += ["--cache-dir=.mypy_cache/typing"]  # its own: what was checked with other options is checked anew
    words = [sys.executable, "-m", "mypy", *options, str(TYPING / "right.py"), str(TYPING / "wrong.py")]
    said = subprocess.run(words, capture_output=True, text=True, cwd=TYPING.parent.parent).stdout
    assert [line for line in said.splitlines() if "wrong.py" not in line] == []
    refused = {int(line) for line in re.findall(r"wrong\.py:(\d+): error", said)}
    lines = (TYPING / "wrong.py").read_text().splitlines()
    assert refused == {number for number, line in enumerate(lines, 1) if line.endswith("# wrong")}
