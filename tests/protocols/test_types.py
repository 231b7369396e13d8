"""mypy --strict accepts every declaration of this folder, and what its tests do with the values."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_every_declaration_is_accepted() -> None:
    options = ["--strict", "--follow-imports=silent", f"--config-file={ROOT / 'tests/typing/mypy.ini'}"]
    options += ["--cache-dir=.mypy_cache/typing", "--explicit-package-bases"]
    words = [sys.executable, "-m", "mypy", *options, str(Path(__file__).parent)]
    said = subprocess.run(words, capture_output=True, text=True, cwd=ROOT).stdout.splitlines()
    assert [line for line in said if ": error:" in line] == []
