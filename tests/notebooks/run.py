"""Runs the notebooks and writes what they show: python -m tests.notebooks.run [NAME...].

Owns the one form in which notebooks are kept, so that running one that has not changed makes the same bytes: cells are
called c01, c02, ..., nothing says when or with which version it ran, and texts of one stream are one text.
"""

from __future__ import annotations

import copy
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[2] / "notebooks"
PATHS = sorted(FOLDER.glob("*.ipynb"))
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
Notebook = Any  # nbformat has no types


def read(path: Path) -> Notebook:
    return nbformat.read(path, as_version=4)


def run(notebook: Notebook, before: str = "") -> Notebook:
    """Return a notebook run from a fresh kernel in its folder, in the form in which it is kept.

    `before` is code that runs first and is not kept. What fails shows in the outputs.
    """
    made = copy.deepcopy(notebook)
    if before:
        made.cells.insert(0, nbformat.v4.new_code_cell(before))
    with tempfile.TemporaryDirectory() as own:
        places = dict.fromkeys(
            ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "MPLCONFIGDIR", "HYPOTHESIS_STORAGE_DIRECTORY"), own
        )
        sources = os.pathsep.join([str(FOLDER.parent), *filter(None, [os.environ.get("PYTHONPATH")])])
        environment = {**os.environ, **places, "PYTHONPATH": sources, "PYTHONHASHSEED": "0", "NO_COLOR": "1"}
        client = NotebookClient(
            made, timeout=100, kernel_name=KERNEL["name"], allow_errors=True, record_timing=False,
            resources={"metadata": {"path": str(FOLDER)}},
        )  # fmt: skip
        client.execute(env=environment)
    if before:
        del made.cells[0]
    return canonical(made)


def canonical(notebook: Notebook) -> Notebook:
    """Return a notebook in the form in which it is kept."""
    made = copy.deepcopy(notebook)
    made.metadata = nbformat.from_dict({"kernelspec": KERNEL, "language_info": {"name": "python"}})
    made.nbformat, made.nbformat_minor = 4, 5
    count = 0
    for number, cell in enumerate(made.cells, 1):
        cell["id"] = f"c{number:02}"
        cell.metadata = nbformat.from_dict({"tags": cell.metadata.tags} if cell.metadata.get("tags") else {})
        if cell.cell_type == "code":
            count += 1
            cell.execution_count = count
            cell.outputs = _joined(cell.outputs)
            for output in cell.outputs:
                if output.output_type == "execute_result":
                    output.execution_count = count
    return made


def _joined(outputs: list[Any]) -> list[Any]:
    """Return outputs with the texts of each stream that follow each other as one: how they come is chance."""
    made: list[Any] = []
    for output in outputs:
        before = made[-1] if made else None
        if before and output.output_type == before.output_type == "stream" and output.name == before.name:
            before.text += output.text
        else:
            made.append(output)
    return made


def text(notebook: Notebook) -> str:
    return nbformat.writes(notebook) + "\n"


def main(names: list[str]) -> None:
    for path in PATHS:
        if not names or any(name in path.name for name in names):
            path.write_text(text(run(read(path))), encoding="utf-8")
            print(f"{path.name}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main(sys.argv[1:])
