"""What pytest prints of assertions about packets that fail."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import packetlab
from tests.testing.conftest import INSTALLED

TESTS = """
from packetlab import Capture, Ether, Frame, IPv4, TCP, UDP, between

SENT = Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=1, dport=53) / b"hello"

def test_equal(): assert SENT.replace(IPv4, ttl=63) == SENT
def test_bytes(): assert bytes(SENT.replace(UDP, dport=54)) == SENT
def test_rows(): assert [SENT, SENT.replace(IPv4, id=7)] == [SENT, SENT]
def test_header(): assert UDP(sport=1) == UDP(sport=2)
def test_in(): assert IPv4(ttl=between(60, 63)) in SENT
def test_class(): assert TCP in SENT
def test_matches(): assert IPv4(ttl=between(60, 63)).matches(SENT)
def test_frames(): assert list(Capture.of([Frame(bytes(SENT))])) == list(Capture.of([Frame(bytes(SENT.replace(IPv4, ttl=1)))]))
"""


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("explained")
    (folder / "test_it.py").write_text(TESTS)
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", str(folder)]
    words += [] if INSTALLED else ["-p", "packetlab.pytest_plugin"]
    environment = {**os.environ, "PYTHONPATH": str(Path(packetlab.__file__).parent.parent), "PYTEST_ADDOPTS": ""}
    environment.pop("CI", None)  # where pytest would not shorten what it prints
    return subprocess.run(words, capture_output=True, text=True, cwd=folder, env=environment).stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    "line",
    [
        "assert Ether/IPv4/UDP: IPv4.ttl: 63 != 64; follows from it: IPv4.checksum (0x67ca != 0x66ca)",
        "  left  0010  00 21 00 00 00 00 3f 11 67 ca 0a 00 00 01 0a 00",
        "                                ^^    ^^",
        "assert Ether/IPv4/UDP: UDP.dport: 54 != 53; follows from it: UDP.checksum",
        "assert packets differ from number 2 on: 1 changed",
        "#2 changed: Ether/IPv4/UDP: IPv4.id: 7 != 0; follows from it: IPv4.checksum",
        "assert UDP: UDP.sport: 1 != 2",
        "assert no match: IPv4.ttl: expected between(60, 63), got 64",
        "assert no match: no TCP in Ether / IPv4 / UDP / 5 bytes",
        "assert no match: IPv4.ttl: expected between(60, 63), got 64\n",
        "assert packets differ from number 1 on: 1 changed",
        "8 failed",
    ],
)
def test_a_failing_assertion_says(out: str, line: str) -> None:
    assert line in out
