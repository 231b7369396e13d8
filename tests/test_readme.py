"""The README names its two commands as the rules want them; its examples of a protocol do more than it shows.

That all of its code runs, and prints what it says, is in `test_pages`.
"""

from __future__ import annotations

import contextlib
import io
import re
from code import InteractiveConsole
from collections import deque
from pathlib import Path

import pytest

import packetlab as pl
from packetlab import Ether, bindings, dissect
from tests.pages import blocks

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")


def test_there_are_two_commands_and_both_make_their_own_environment() -> None:
    commands = re.findall(r"```bash\n(.*?)```", TEXT, re.DOTALL)
    assert len(commands) == 2
    assert all(command.startswith("python3 -m venv .venv") and command.count("\n") == 1 for command in commands)
    assert "packetlab demo" in commands[0] and "pytest" in commands[1]


@pytest.mark.slow
def test_the_blocks_can_be_pasted_into_a_plain_prompt(tmp_path, monkeypatch) -> None:
    """As the prompt of Python 3.11 and 3.12 reads: line by line, and an empty line ends what is indented."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "captures").symlink_to(ROOT / "captures")
    prompt = InteractiveConsole()
    said = io.StringIO()
    with bindings(), contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(said):
        for block in blocks(ROOT / "README.md"):
            if block.language == "python" and block.mark != "lab":
                waiting = [prompt.push(line) for line in [*block.text.split("\n"), ""]]
                assert not waiting[-1], f"README.md:{block.line}: the prompt waits for more"
                assert said.getvalue() == "", f"README.md:{block.line}"


def example(marker: str) -> str:
    """Return the code after `<!-- example: marker -->`."""
    found = re.search(rf"<!-- example: {marker} -->\n```python\n(.*?)```", TEXT, re.DOTALL)
    assert found, marker
    return found[1]


@pytest.mark.slow
def test_the_protocol_of_ones_own_is_short_and_runs_on_every_network(lab) -> None:
    code = example("stop and wait")
    start, end = code.index("class StopWait"), code.index("def say")
    assert len(code[start:end].splitlines()) < 60
    words = [b"%d" % n for n in range(8)]
    with bindings():
        names: dict[str, object] = {"pl": pl}
        exec(code, names)
        hosts = lab.host("a"), lab.host("b")
        lab.link(*hosts, loss=0.2, duplicate=0.2, corrupt=0.1, seed=2)
        assert names["say"](*hosts, words) == words  # type: ignore[operator]
        other_end = deque(words)
        assert face_to_face(names["StopAndWait"], other_end) == words


def test_its_first_test_passes(pair, tape) -> None:
    with bindings():
        names: dict[str, object] = {"pl": pl}
        exec(example("stop and wait") + example("tape"), names)
        names["test_a_message_is_repeated_until_it_is_acknowledged"](pair, tape)  # type: ignore[operator]


def face_to_face(engine, words):
    """Let two engines talk with nothing between them, but that every third packet is lost."""
    left, right = engine(), engine()
    left.queue.extend(words)
    sent = 0
    for now in range(0, 60 * 10**9, 10**8):
        for one, other in ((left, right), (right, left)):
            if one.next_timeout() is not None and one.next_timeout() <= now:
                one.on_time(now)
            for header in one.packets_to_send(now):
                sent += 1
                if sent % 3:
                    other.receive(dissect(bytes(Ether() / header)), now)
    assert not left.queue
    return right.received
