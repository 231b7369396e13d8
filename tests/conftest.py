"""What all tests share: where the captures are, and the tools that serve as oracles."""

from __future__ import annotations

import csv
import gc
import os
import shutil
import signal
import sys
from collections import Counter
from collections.abc import Callable, Generator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings

from tests import answers

# Installed, the plugin was loaded by its entry point; in a copy that is not, it is named here.
pytest_plugins = ["pytester", "tests.registries", *([] if "packetlab.pytest_plugin" in sys.modules else ["packetlab.pytest_plugin"])]
collect_ignore = ["typing", "benchmarks"]  # read by type checkers; run by test_benchmarks.py
ROOT = Path(__file__).parent.parent
CORPUS = ROOT / "captures" / "corpus"
ORACLE = ROOT / "tests" / "oracle"
WAITING = {"link", "sockets", "conversations", "examples"}
"""Folders whose tests wait for the kernel, for programs or for time to pass."""

# The suite starts programs by the hundred. What is compiled is kept (in __pycache__, as Python does unless an environment
# forbids it), or each of them, and each worker, would compile the package and the tests anew: a quarter of all the time.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# Without `explain`, which says of an example that failed what in it could be anything: it traces each line that is run, and
# what `find` looks for is such an example, so that all its shrinking took twice as long.
phases = [phase for phase in Phase if phase is not Phase.explain]
settings.register_profile("default", max_examples=25, deadline=None, phases=phases, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("thorough", settings.get_profile("default"), max_examples=1000, phases=[*Phase])
settings.register_profile("quick", settings.get_profile("default"), max_examples=10)
settings.load_profile("default")
# Hypothesis draws constants of the sources that are loaded, too, and reads all of these anew in a fresh checkout, for five
# seconds in each worker. What a test draws would go by which tests its worker ran before it, even in CI, where the seeds are fixed.
if hasattr(providers := sys.modules.get("hypothesis.internal.conjecture.providers"), "_get_local_constants"):  # not in old ones
    providers._get_local_constants = providers.Constants


# Where a shell started the suite in the background, SIGINT is ignored in it; tests that interrupt themselves need it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """With `-n auto` one more worker than there are cores: many tests wait for other programs, or for time to pass."""
    return len(os.sched_getaffinity(0)) + 1


def amount(ordinary: int, thorough: int) -> int:
    """Return how many examples or seeds a search tries: the second number with `--hypothesis-profile=thorough`.

    Two fifths of the first, as of all else, where only what is quick is run.
    """
    if settings.default is settings.get_profile("quick"):
        return -(-ordinary * 2 // 5)
    return thorough if settings.default is settings.get_profile("thorough") else ordinary


def oracle(name: str, table: str = "") -> list[dict[str, str]]:
    """Return what tshark said of a capture: a row a frame, by field name."""
    with open(ORACLE / f"{name}{table}.tsv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def need(tool: str) -> None:
    """Skip a test whose oracle is missing; where CI is to have installed it, that is a failure."""
    if shutil.which(tool, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin") is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"{tool} is not installed")


@pytest.fixture
def tshark() -> Callable[..., list[list[str]]]:
    """Return a function of (file, field, ...) that gives a row of texts a frame, as tshark sees them."""
    need("tshark")

    def ask(path: Path | str, *fields: str, options: tuple[str, ...] = ()) -> list[list[str]]:
        words = [word for field in fields for word in ("-e", field)]
        done = answers.tshark("-n", "-r", path, "-T", "fields", "-E", "separator=/t", *options, *words)
        return [line.split("\t") for line in done.stdout.splitlines()]

    return ask


class Doctests:
    """Looks for doctests only where there are any: else each file of the package and of the tests is gone through for them."""

    @pytest.hookimpl(wrapper=True)
    def pytest_collect_file(self, file_path: Path) -> Generator[None, list[pytest.Collector], list[pytest.Collector]]:
        found = yield
        if (
            file_path.is_relative_to(ROOT / "packetlab")
            and file_path.suffix == ".py"
            and ">>> " in file_path.read_text("utf-8")
        ):
            return found
        return [one for one in found if not isinstance(one, pytest.Module) or type(one) is pytest.Module]


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Doctests())  # a hook of this file would not hear of the package's files
    if config.getoption("markexpr") == "not slow":
        answers.compare[0] = False  # the whole suite tries more
        if config.getoption("--hypothesis-profile") is None:
            settings.load_profile("quick")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Keep what is imported out of garbage collection, which else goes through all of it again and again.

    Where a test declares classes, what holds them is soon many objects, which are mostly in use: they are looked through less often.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.set_threshold(20_000, 20, 20)
        gc.enable()


def turns(items: list[pytest.Item]) -> Callable[[pytest.Item], tuple[bool, float]]:
    """Return what tests are sorted by: slow ones first; then files whose tests mostly wait evenly among those that compute.

    Workers take them in order: side by side in files that wait, they would leave the processors idle.
    """
    passed, first = Counter[bool](), dict[Path, tuple[bool, int]]()
    for item in items:
        waits = not WAITING.isdisjoint(item.nodeid.partition("::")[0].split("/"))
        first.setdefault(item.path, (waits, passed[waits]))
        passed[waits] += 1
    places = {path: place / passed[waits] for path, (waits, place) in first.items()}
    return lambda item: (item.get_closest_marker("slow") is None, places[item.path])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put what takes long first, so that workers end together.

    Of the cases that a test asks tshark about the first is quick: each is a start of a program.

    Refuse names of tests that differ from process to process: workers side by side have to agree on them.
    """
    asked = set[tuple[Path, str]]()
    for item in items:
        if isinstance(item, pytest.Function) and "tshark" in item.fixturenames and hasattr(item, "callspec"):
            test = (item.path, item.originalname)
            if test in asked:
                item.add_marker(pytest.mark.slow)
            asked.add(test)
    items.sort(key=turns(items))
    named_by_address = [item.nodeid for item in items if " at 0x" in item.nodeid]
    if named_by_address:
        raise pytest.UsageError(f"give these tests ids: {', '.join(named_by_address)}")
