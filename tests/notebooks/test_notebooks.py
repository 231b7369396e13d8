"""The notebooks run, and show what is stored in them; what is stored can be read on a static page and says nothing of this machine."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from base64 import b64decode
from typing import Any

import pytest

from packetlab import Lab
from tests.notebooks.run import FOLDER, PATHS, canonical, read, run, text

pytestmark = pytest.mark.slow

ALL = 2_000_000  # bytes of all six
NAMES = [path.name for path in PATHS]
PATH = re.compile(r"(?:^|[\s'\"(=])/(?:\w[\w.-]*/)+\w|[A-Z]:\\\w", re.MULTILINE)
ADDRESS = re.compile(r"\bat 0x[0-9a-f]{6,}")
PICTURE = re.compile(r'src="data:image/svg\+xml;base64,([^"]*)"')
REFUSE = "import packetlab; packetlab.Lab.refusal = staticmethod(lambda: 'no lab here')"


def outputs(notebook: Any) -> list[Any]:
    return [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]


def shown(cell: Any) -> list[Any]:
    """Return what a cell shows, of a plot its size alone: another matplotlib draws other pixels."""
    found = []
    for output in cell.get("outputs", []):
        if output.output_type == "stream":
            found.append((output.name, output.text))
        elif output.output_type == "error":
            found.append(("error", re.sub(r"\x1b\[[\d;]*m", "", "\n".join(output.traceback))))
        else:
            found += [(kind, size(data) if kind == "image/png" else data) for kind, data in sorted(output.data.items())]
    return found


def size(png: str) -> tuple[int, int]:
    """Return the width and height of a PNG, from its first chunk."""
    raw = b64decode(png)
    assert raw[:8] == b"\x89PNG\r\n\x1a\n"
    return int.from_bytes(raw[16:20], "big"), int.from_bytes(raw[20:24], "big")


def compare(kept: Any, now: Any, *, lab: bool) -> None:
    assert len(kept.cells) == len(now.cells)
    for before, after in zip(kept.cells, now.cells, strict=True):
        reported = shown(after)
        assert not any(kind in ("error", "stderr") for kind, _ in reported), (after.id, reported)
        if lab or "lab" not in before.metadata.get("tags", ()):
            assert reported == shown(before), after.id


def test_there_are_six_each_leads_to_the_next_and_they_are_small() -> None:
    assert [name[0] for name in NAMES] == list("123456")
    assert sum(path.stat().st_size for path in PATHS) < ALL
    for path, following in zip(PATHS, NAMES[1:], strict=False):
        assert f"({following})" in read(path).cells[-1].source
    linked = re.findall(r"\(([\w.-]+\.ipynb)\)", read(PATHS[0]).cells[0].source)
    assert linked == NAMES[1:]


@pytest.mark.parametrize("name", NAMES)
def test_each_runs_and_shows_what_is_stored(name: str) -> None:
    kept = read(FOLDER / name)
    now = run(kept)
    compare(kept, now, lab=Lab.refusal() is None)
    if name == "1-declare.ipynb":  # which has no plot: running it again makes the same bytes
        assert text(now) == (FOLDER / name).read_text(encoding="utf-8")


def test_a_machine_that_refuses_a_lab_runs_the_one_that_wants_it_too() -> None:
    kept = read(FOLDER / "2-send-and-capture.ipynb")
    now = run(kept, before=REFUSE)
    compare(kept, now, lab=False)
    said = [output.text for cell in now.cells for output in cell.get("outputs", []) if output.output_type == "stream"]
    assert "no lab here\n" in said
    assert any("SimNetwork" in output.data.get("text/plain", "") for output in outputs(now) if "data" in output)


@pytest.mark.parametrize("name", NAMES)
def test_each_is_kept_in_the_one_form(name: str) -> None:
    path = FOLDER / name
    assert path.read_text(encoding="utf-8") == text(canonical(read(path)))


@pytest.mark.parametrize("name", NAMES)
def test_what_is_stored_is_safe_readable_without_html_and_of_no_machine(name: str) -> None:
    for output in outputs(read(FOLDER / name)):
        assert output.output_type in ("stream", "execute_result", "display_data")
        bundle = {"text/plain": output.text} if output.output_type == "stream" else dict(output.data)
        assert bundle["text/plain"].strip()
        assert set(bundle) <= {"text/plain", "text/html", "image/png"}
        page = bundle.get("text/html", "")
        for words in (bundle["text/plain"], PICTURE.sub("", page), *map(drawn, PICTURE.findall(page))):
            assert not PATH.search(words) and not ADDRESS.search(words)
            assert "<script" not in words.lower()


def drawn(picture: str) -> str:
    """Return the SVG in a picture's address, without the name of its format."""
    return b64decode(picture).decode().replace("http://www.w3.org/2000/svg", "")


@pytest.mark.parametrize(
    ("words", "found"),
    [("of /tmp/x1/a.pcapng", True), ("File '/usr/lib/x'", True), ("path=/chat", False), ("../captures/a.pcapng", False),
     ("Ether/IPv4/TCP", False), ("<b>Ether</b>/<b>IPv4</b>", False)],
)  # fmt: skip
def test_what_counts_as_a_path(words: str, found: bool) -> None:
    assert bool(PATH.search(words)) is found


def test_the_extra_for_notebooks_names_all_that_they_import() -> None:
    project = tomllib.loads((FOLDER.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    wanted = " ".join([*project["dependencies"], *extras["notebook"], *extras["plot"], *extras["strategies"]])
    assert "packetlab[plot,strategies]" in wanted
    given = set(re.findall(r"[\w-]+", wanted)) | {"packetlab"} | sys.stdlib_module_names
    for path in PATHS:
        code = "\n".join(cell.source for cell in read(path).cells if cell.cell_type == "code")
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [name.name for name in node.names]
                assert {name.partition(".")[0] for name in names} <= given, f"{path.name}: {names}"
