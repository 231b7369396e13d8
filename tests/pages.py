"""Pages: what stands between the fences of our Markdown, run as a reader would, in the order of the page.

```python      runs, in one namespace down the page; a ```text block right after it is what it prints, all of it
```console     each line after "$ " runs in a shell; the lines below it are what it prints
<!-- skip -->  in front: not run (it needs a machine's own interface, say), but it has to compile, or be a right call
<!-- lab -->   in front: run where the kernel grants namespaces
<!-- file: NAME -->  in front: not run, but there under that name for what comes after

"..." in what is printed stands for anything. All of it runs in an empty folder in which `captures` is ours.
"""

from __future__ import annotations

import contextlib
import doctest
import io
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from packetlab import Lab, NeedsPrivilege, bindings

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "notebooks").glob("*.md"))]
REFERENCE = ROOT / "notebooks" / "reference.md"  # signatures and declarations, made from the code: not to be run
FENCED = re.compile(r"(?:<!-- ([^>\n]*) -->\n)?^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@dataclass
class Block:
    """What stands between two fences: the comment before them, the language, the text, its first line's number, and what is shown."""

    mark: str
    language: str
    text: str
    line: int
    shown: str = ""


def blocks(page: Path) -> list[Block]:
    """Return the fenced blocks of a page; the output that is shown of one belongs to it."""
    text = page.read_text(encoding="utf-8")
    found: list[Block] = []
    end = 0
    for match in FENCED.finditer(text):
        mark, language, body = match[1] or "", match[2], match[3]
        between = text[end : match.start()]
        if language == "text" and found and found[-1].language == "python" and not between.strip():
            found[-1].shown = body
        else:
            found.append(Block(mark, language, body, text.count("\n", 0, match.start(3)) + 1))
        end = match.end()
    return found


def same(shown: str, printed: str) -> bool:
    """Tell whether this is what the page shows, but for spaces at the ends of lines; "..." stands for anything."""
    shown, printed = (re.sub(r"[ \t]+$", "", text, flags=re.MULTILINE) for text in (shown, printed))
    return shown == printed or doctest.OutputChecker().check_output(shown, printed, doctest.ELLIPSIS)


class Reader:
    """Does what a page says, in the present folder. AssertionError for what comes out otherwise."""

    def __init__(self, page: Path, lab: bool) -> None:
        self.page, self.lab = page, lab
        self.names: dict[str, object] = {"__name__": "a_page"}
        self.ran = 0

    def read(self) -> None:
        """Run the whole page."""
        with bindings():
            for block in blocks(self.page):
                getattr(self, f"do_{block.language}", lambda block: None)(block)

    def do_python(self, block: Block) -> None:
        """Run a block, compare what it prints."""
        code = compile("\n" * (block.line - 1) + block.text, str(self.page), "exec")
        if block.mark.startswith("file: "):
            Path(block.mark.removeprefix("file: ")).write_text(block.text)
            return
        if block.mark == "skip" or (block.mark == "lab" and not self.lab):
            return
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(code, self.names)
        self.compare(block.line, block.shown, out.getvalue())

    def do_console(self, block: Block) -> None:
        """Run each command, compare what it prints."""
        for command, shown in commands(block.text):
            if block.mark == "skip" or (block.mark == "lab" and not self.lab):
                self.check_call(command)
                continue
            done = subprocess.run(
                ["bash", "-c", command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=surroundings(), check=False
            )  # fmt: skip
            self.compare(block.line, shown, done.stdout)

    def check_call(self, command: str) -> None:
        """Have the command line's own parser read what is not run."""
        from packetlab.cli import parser

        words = shlex.split(command, comments=True)
        if "packetlab" in words[:2]:
            words = words[words.index("packetlab") + 1 :]
            _, more = parser().parse_known_args(words[: words.index("|")] if "|" in words else words)
            assert not any(word.startswith("-") for word in more), f"{self.page.name}: {command}: no option {more}"
            self.ran += 1

    def compare(self, line: int, shown: str, printed: str) -> None:
        assert same(shown, printed), f"{self.page.name}:{line}: the page shows\n{shown}\nand this came\n{printed}"
        self.ran += 1


def commands(text: str) -> Iterator[tuple[str, str]]:
    """Yield each command of a console block with what is shown below it."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, _, shown = part.partition("\n")
        while command.endswith("\\"):
            more, _, shown = shown.partition("\n")
            command += "\n" + more
        yield command, shown


def surroundings() -> dict[str, str]:
    """Return the environment of a reader's shell, in which `packetlab` and `pytest` are those of this Python."""
    tools = Path(".bin").absolute()
    tools.mkdir(exist_ok=True)
    for name in ("packetlab", "pytest"):
        tool = tools / name
        plugin = " -p packetlab.pytest_plugin" if name == "pytest" else ""  # as its entry point does, and no other
        tool.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m {name}{plugin} "$@"\n')
        tool.chmod(0o755)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "COV", "CI"))}
    python = {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", "NO_COLOR": "1", "COLUMNS": "100", "TZ": "UTC"}
    python["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    return {**kept, **python, "PATH": f"{tools}:{os.environ['PATH']}"}


def a_lab_is_granted() -> bool:
    """Tell whether this kernel gives us namespaces."""
    try:
        with Lab() as lab:
            lab.host("a")
    except NeedsPrivilege:
        return False
    return True
