"""A few signals at random moments, with everything counted before and after; many: ``python -m tests.link.signals``."""

from __future__ import annotations

import random
import subprocess

import pytest

from packetlab import Lab
from tests.conftest import ROOT, amount, need
from tests.link.signals import SCENARIOS, inside

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
]  # each run begins anew, which takes seconds where the machine is busy
SEED = random.randrange(1 << 30)  # printed where it fails


@pytest.mark.parametrize("name", SCENARIOS)
def test_an_interrupt_at_a_random_moment_leaves_nothing_behind(name: str, lab: Lab) -> None:
    campaign(lab, name, "INT", amount(1, 20))


@pytest.mark.parametrize("number", ["TERM", "KILL"])
def test_neither_does_a_sudden_end(number: str, lab: Lab) -> None:
    campaign(lab, "lab", number, 1)


def campaign(lab: Lab, name: str, number: str, count: int) -> None:
    need("unshare")
    command = inside(name, "--signal", number, "--count", str(count), "--seed", str(SEED))
    done: subprocess.CompletedProcess[str] = lab.host("a").run(*command, cwd=ROOT, timeout=280)
    assert done.returncode == 0, f"seed {SEED}\n{done.stdout}{done.stderr}"
    assert f"{count} runs, nothing left behind" in done.stdout
