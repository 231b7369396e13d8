"""The README's code runs, prints what it says, and names its two commands as the rules want them."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

from packetlab import bindings

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_code_prints_what_the_readme_shows(monkeypatch) -> None:
    monkeypatch.chdir(ROOT)
    names: dict[str, object] = {"__name__": "readme"}
    checked = 0
    with bindings():
        for found in re.finditer(r"(<!-- skip -->\n)?```python\n(.*?)```\n(?:\n```text\n(.*?)```)?", TEXT, re.DOTALL):
            skip, code, shown = found.groups()
            if skip:
                compile(code, "README.md", "exec")
                continue
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                exec(code, names)
            assert out.getvalue() == (shown or "")
            checked += 1
    assert checked == 3


def test_there_are_two_commands_and_both_make_their_own_environment() -> None:
    commands = re.findall(r"```bash\n(.*?)```", TEXT, re.DOTALL)
    assert len(commands) == 2
    assert all(command.startswith("python3 -m venv .venv") and command.count("\n") == 1 for command in commands)
    assert "packetlab demo" in commands[0] and "pytest" in commands[1]
