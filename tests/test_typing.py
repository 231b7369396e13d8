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


@pytest.mark.slow
@pytest.mark.timeout(400)  # without its cache mypy checks all of the package first
def test_right_uses_are_accepted_and_each_wrong_one_is_refused() -> None:
    # What the package itself is to be checked for is the other run of mypy's.
    options = ["--strict", "--no-error-summary", "--follow-imports=silent", f"--config-file={TYPING / 'mypy.ini'}"]
    options += ["--cache-dir=.mypy_cache/typing"]  # its own: what was checked with other options is checked anew
    words = [sys.executable, "-m", "mypy", *options, str(TYPING / "right.py"), str(TYPING / "wrong.py")]
    said = subprocess.run(words, capture_output=True, text=True, cwd=TYPING.parent.parent).stdout
    assert [line for line in said.splitlines() if "wrong.py" not in line] == []
    refused = {int(line) for line in re.findall(r"wrong\.py:(\d+): error", said)}
    lines = (TYPING / "wrong.py").read_text().splitlines()
    assert refused == {number for number, line in enumerate(lines, 1) if line.endswith("# wrong")}


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_pyright_accepts_and_refuses_the_same() -> None:
    """The uses of tests/typing, and every declaration of tests/protocols."""
    words = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "--outputjson", str(TYPING), str(TYPING.parent / "protocols")]
    said = json.loads(subprocess.run(words, capture_output=True, text=True, cwd=TYPING.parent.parent).stdout)
    assert said["summary"]["filesAnalyzed"] > 40
    wrong = {(Path(one["file"]).name, one["range"]["start"]["line"] + 1) for one in said["generalDiagnostics"] if one["severity"] == "error"}
    lines = (TYPING / "wrong.py").read_text().splitlines()
    expected = {("wrong.py", number) for number, line in enumerate(lines, 1) if line.endswith(("# wrong", "# wrong for pyright"))}
    assert wrong == expected


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_each_section_of_how_to_declare_is_accepted_by_both(tmp_path: Path) -> None:
    first, *sections = re.split(r"^(?=## )", (PACKAGE.parent / "notebooks" / "how-to-declare.md").read_text("utf-8"), flags=re.MULTILINE)
    begin = "\n".join(blocks(first))
    for section in sections:
        name = re.sub(r"\W+", "_", section.partition("\n")[0].lower()).strip("_")
        (tmp_path / f"{name}.py").write_text("\n".join([begin, *blocks(section)]), "utf-8")
    files = sorted(map(str, tmp_path.iterdir()))
    assert len(files) == len(sections) > 40
    options = ["--strict", "--no-error-summary", "--follow-imports=silent", f"--config-file={TYPING / 'mypy.ini'}", "--cache-dir=.mypy_cache/typing"]
    said = subprocess.run([sys.executable, "-m", "mypy", *options, *files], capture_output=True, text=True, cwd=PACKAGE.parent)
    assert (said.stdout + said.stderr).splitlines() == []
    words = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "--outputjson", str(tmp_path)]
    found = json.loads(subprocess.run(words, capture_output=True, text=True, cwd=PACKAGE.parent).stdout)
    assert found["summary"]["filesAnalyzed"] == len(files)
    assert [(Path(one["file"]).name, one["range"]["start"]["line"] + 1, one["message"]) for one in found["generalDiagnostics"] if one["severity"] == "error"] == []


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


@pytest.mark.parametrize("folder", sorted(path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists()))
def test_any_stands_for_a_type_no_more_often_than_it_did(folder: str) -> None:
    files = list((PACKAGE / folder).rglob("*.py"))
    lines = sum(len(path.read_text("utf-8").splitlines()) for path in files)
    types, numbers = map(sum, zip(*map(uses_of_any, files), strict=True))
    assert 1000 * types / lines <= ANY, "object, a Protocol or a type variable?"
    assert 1000 * numbers / lines <= ANY_NUMBER, "Numbers, Truths, ByteArray or Words of bulk.batch?"
