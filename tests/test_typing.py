"""mypy --strict and pyright accept right uses of declared headers and refuse wrong ones, line by line; `Any` does not spread."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

TYPING = Path(__file__).parent / "typing"
PACKAGE = TYPING.parent.parent / "packetlab"


@pytest.fixture
def places(tmp_path: Path) -> list[str]:
    """Return what both check in one run each: the uses of tests/typing, every declaration of tests/protocols, and how-to-declare by sections."""
    first, *sections = re.split(r"^(?=## )", (PACKAGE.parent / "notebooks" / "how-to-declare.md").read_text("utf-8"), flags=re.MULTILINE)
    begin = "\n".join(blocks(first))
    for section in sections:
        name = re.sub(r"\W+", "_", section.partition("\n")[0].lower()).strip("_")
        (tmp_path / f"{name}.py").write_text("\n".join([begin, *blocks(section)]), "utf-8")
    assert len([*tmp_path.iterdir()]) == len(sections) > 40
    return [str(TYPING / "right.py"), str(TYPING / "wrong.py"), str(TYPING.parent / "protocols"), str(tmp_path)]


@pytest.mark.slow
@pytest.mark.timeout(600)  # without its cache mypy checks all of the package first
def test_mypy_accepts_right_uses_and_refuses_each_wrong_one(places: list[str]) -> None:
    # What the package itself is to be checked for is the other run of mypy's.
    options = ["--strict", "--no-error-summary", "--follow-imports=silent", f"--config-file={TYPING / 'mypy.ini'}", "--explicit-package-bases"]
    options += ["--cache-dir=.mypy_cache/typing"]  # its own: what was checked with other options is checked anew
    done = subprocess.run([sys.executable, "-m", "mypy", *options, *places], capture_output=True, text=True, cwd=PACKAGE.parent)
    said = (done.stdout + done.stderr).splitlines()
    assert [line for line in said if "wrong.py:" not in line and not re.match(r"tests/protocols/\S+ note: ", line)] == []
    assert {int(line) for line in re.findall(r"wrong\.py:(\d+): error", done.stdout)} == refused("# wrong")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_pyright_accepts_and_refuses_the_same(places: list[str]) -> None:
    words = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "--outputjson", *places]
    said = json.loads(subprocess.run(words, capture_output=True, text=True, cwd=PACKAGE.parent).stdout)
    assert said["summary"]["filesAnalyzed"] > 80
    wrong = {(Path(one["file"]).name, one["range"]["start"]["line"] + 1) for one in said["generalDiagnostics"] if one["severity"] == "error"}
    assert wrong == {("wrong.py", number) for number in refused("# wrong", "# wrong for pyright")}


def refused(*marks: str) -> set[int]:
    lines = (TYPING / "wrong.py").read_text().splitlines()
    return {number for number, line in enumerate(lines, 1) if line.endswith(marks)}


def blocks(section: str) -> list[str]:
    """Return the Python blocks of a part of a page."""
    return re.findall(r"^```python\n(.*?)^```", section, re.DOTALL | re.MULTILINE)


ANY = 10
"""Uses of `Any` for a type in 1,000 lines of a folder, at most."""
ANY_NUMBER = 2
"""Arrays of which no more is known than that they are arrays, `NDArray[Any]`, in 1,000 lines, at most."""


def uses_of_any(path: Path) -> tuple[int, int]:
    """Return how often `Any` stands for a type, and how often for that of the numbers in an array."""
    nodes = list(ast.walk(ast.parse(path.read_text("utf-8"))))
    every = sum(isinstance(node, ast.Name) and node.id == "Any" for node in nodes)
    arrays = [
        node
        for node in nodes
        if isinstance(node, ast.Subscript) and ast.unparse(node.value).endswith(("NDArray", "ndarray"))
    ]
    numbers = sum(isinstance(node, ast.Name) and node.id == "Any" for array in arrays for node in ast.walk(array.slice))
    return every - numbers, numbers


@pytest.mark.slow
@pytest.mark.parametrize("folder", sorted(path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists()))
def test_any_stands_for_a_type_no_more_often_than_it_did(folder: str) -> None:
    files = list((PACKAGE / folder).rglob("*.py"))
    lines = sum(len(path.read_text("utf-8").splitlines()) for path in files)
    types, numbers = map(sum, zip(*map(uses_of_any, files), strict=True))
    assert 1000 * types / lines <= ANY, "object, a Protocol or a type variable?"
    assert 1000 * numbers / lines <= ANY_NUMBER, "Numbers, Truths, ByteArray or Words of bulk.batch?"
