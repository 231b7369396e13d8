"""Answers of tshark that are kept: they stand for the same version, arguments and files alone, and are held to what tshark says."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from tests import answers
from tests.conftest import CORPUS, need


@pytest.fixture
def starts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[list[str]]:
    """In the place of tshark a program that prints how often it was started; an empty folder of answers."""
    made: list[list[str]] = []

    def start(arguments: Sequence[str]) -> tuple[int, str, str]:
        made.append([*arguments])
        return len(made) - 1, f"{len(made)}", "a complaint"

    monkeypatch.setattr(answers, "start", start)
    monkeypatch.setattr(answers, "version", lambda: "4.0")
    monkeypatch.setattr(answers, "FOLDER", tmp_path / "answers")
    monkeypatch.setattr(answers, "compare", [False])
    monkeypatch.setattr(answers, "PLAN", "keep")
    (tmp_path / "a.pcap").write_bytes(b"frames")
    (tmp_path / "a.lua").write_text("a = 1")
    return made


def test_an_answer_is_kept_whole_and_tshark_not_started_again(
    starts: list[list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = answers.tshark("-r", tmp_path / "a.pcap")
    monkeypatch.setattr(answers, "PLAN", "")
    again = answers.tshark("-r", tmp_path / "a.pcap")
    assert (again.returncode, again.stdout, again.stderr) == (first.returncode, first.stdout, first.stderr) == (0, "1", "a complaint")
    (tmp_path / "a.pcap").rename(tmp_path / "b.pcap")  # the same bytes by another name
    assert answers.tshark("-r", tmp_path / "b.pcap").stdout == "1" and len(starts) == 1
    with pytest.raises(subprocess.CalledProcessError):
        answers.tshark("-V")  # the second start, which fails
    assert answers.tshark("-V", check=False).returncode == 2


CHANGES: dict[str, Callable[[Path, pytest.MonkeyPatch], object]] = {
    "frames": lambda folder, _: (folder / "a.pcap").write_bytes(b"Frames"),
    "script": lambda folder, _: (folder / "a.lua").write_text("a = 2"),
    "no such file": lambda folder, _: (folder / "a.pcap").unlink(),
    "version": lambda _, patch: patch.setattr(answers, "version", lambda: "4.2"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_where_anything_is_another_tshark_is_started(
    change: str, starts: list[list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["-X", f"lua_script:{tmp_path / 'a.lua'}", "-r", str(tmp_path / "a.pcap"), "-Y", "ip"]
    answers.tshark(*words)
    monkeypatch.setattr(answers, "PLAN", "")
    assert answers.tshark(*words).stdout == "1"
    CHANGES[change](tmp_path, monkeypatch)
    assert answers.tshark(*words, check=False).stdout == "2"
    assert answers.tshark(*words, "-V", check=False).stdout == "3"


def test_an_answer_that_tshark_no_longer_gives_is_reported(
    starts: list[list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers.tshark("-r", tmp_path / "a.pcap")
    monkeypatch.setattr(answers, "PLAN", "fresh")
    with pytest.raises(AssertionError, match="tshark answers otherwise than .*json.gz: delete that file"):
        answers.tshark("-r", tmp_path / "a.pcap")


def test_the_whole_suite_compares_one_in_eight(starts: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    def start(arguments: Sequence[str]) -> tuple[int, str, str]:
        starts.append([*arguments])
        return 0, arguments[1], ""

    monkeypatch.setattr(answers, "start", start)
    numbers = [str(number) for number in range(200)]
    assert [answers.tshark("-c", number).stdout for number in numbers] == numbers and len(starts) == 200
    monkeypatch.setattr(answers, "PLAN", "")
    monkeypatch.setattr(answers, "compare", [True])
    assert [answers.tshark("-c", number).stdout for number in numbers] == numbers
    assert 10 < len(starts) - 200 < 50


def test_what_would_fill_the_repository_is_not_kept(starts: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "LARGEST", 10)
    answers.tshark("-V")
    assert not answers.FOLDER.exists() or not [*answers.FOLDER.iterdir()]


@given(st.integers())
def test_what_hypothesis_draws_is_not_kept(number: int) -> None:
    patch = pytest.MonkeyPatch()
    with patch.context() as only:
        only.setattr(answers, "start", lambda arguments: (0, str(number), ""))
        only.setattr(answers, "digest", None)  # nobody works out a digest
        assert answers.tshark("-c", "1").stdout == str(number)


@pytest.mark.slow
def test_of_the_same_frames_tshark_prints_the_same_whenever_and_of_whichever_file(tmp_path: Path) -> None:
    need("tshark")
    said = []
    for name in ("one.pcap", "two.pcap"):
        copy = tmp_path / name
        copy.write_bytes((CORPUS / "web.pcap").read_bytes())
        said.append(answers.start(["-n", "-r", str(copy), "-c", "2", "-T", "pdml"]))
        time.sleep(1.1)
    assert said[0] == said[1] and said[0][1].count("<packet>") == 2
