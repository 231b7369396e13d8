"""A protocol to test with, and pytest runs inside pytest."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path

import pytest

import packetlab

INSTALLED = any(point.value == "packetlab.pytest_plugin" for point in entry_points(group="pytest11"))
BALL = """
from packetlab import Ether, Header, Rest, U16

class Ball(Header, under=Ether, when={"type": 0x8AB7}):
    number: U16 = 0
    note: Rest = b""

def throw(a, b, number, note=b""):
    a.interface.send(Ether(dst=b.mac, src=a.mac) / Ball(number=number, note=note))
"""


@pytest.fixture(scope="session", autouse=True)
def loaded() -> None:
    """Load the package whole: pytester forgets modules that a test loads, and half of it loaded anew would not fit the other half."""
    for name in dir(packetlab):
        getattr(packetlab, name)
    for name in ("cli", "export.strategies", "testing.artifacts", "testing.sources", "pytest_plugin"):
        import_module(f"packetlab.{name}")
    import_module("numpy")  # is loaded once in a process, or not at all


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Callable[..., pytest.RunResult]:
    """Run a test file (after the declaration of a protocol, `Ball`) with the plugin alone, warnings being errors."""
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    monkeypatch.setenv("PYTHONPATH", str(Path(packetlab.__file__).parent.parent))

    def go(
        text: str,
        *arguments: str,
        processes: bool = False,
        plugin: bool = True,
        environment: dict[str, str] | None = None,
    ) -> pytest.RunResult:
        for name, value in (environment or {}).items():
            monkeypatch.setenv(name, value)
        pytester.makepyfile(ball=BALL)
        pytester.makepyfile(
            test_it=f"from ball import *\nimport pytest\nfrom packetlab import *\n\n{textwrap.dedent(text)}"
        )
        words = ["-p", "no:cacheprovider", "-p", "no:randomly", "-W", "error", "--strict-markers", *arguments]
        # Where the package is installed its entry point loads the plugin; else it is named.
        words += ["-p", "packetlab.pytest_plugin"] if plugin and not INSTALLED else []
        with packetlab.bindings():
            runner = pytester.runpytest_subprocess if processes else pytester.runpytest_inprocess
            return runner(*words)

    return go
