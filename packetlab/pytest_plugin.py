"""pytest plugin: fixtures, marks and switches for tests of network protocols (entry point ``packetlab`` of pytest11).

It is loaded in every run of pytest where packetlab is installed, so it imports pytest and the standard library alone;
what a fixture needs is imported when that fixture is used. What the fixtures give is in `packetlab.testing`.
"""

from __future__ import annotations

import os
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from packetlab.network.host import NetworkHost
    from packetlab.sockets.networks import Lab, SimNetwork
    from packetlab.testing import Golden, Programs, Tape
    from packetlab.testing.artifacts import Artifact

MODES = ("none", "once", "new", "all")
LIMIT = 500  # packets that a test is run for
ON = ("virtual", "lab")
LINK = tuple(
    ["delay", "jitter", "loss", "drop", "duplicate", "reorder", "corrupt", "rate", "queue", "mtu", "carrier", "network"]
)
OPTIONS = ("seed", "on", "tolerance", "allow_unexpected", "allow_missing", "record", *LINK)
MARKS = (
    "packetlab(seed=, on='virtual'|'lab'|('virtual', 'lab'), delay=, loss=, ..., tolerance=, allow_unexpected=, "
    "allow_missing=, record=): what packetlab's fixtures are to be like for this test",
    "packets(path, where=None, limit=500): run the test for each packet of a capture, given as `packet` or `frame`",
)

RECORDINGS = pytest.StashKey[list[Any]]()  # functions that give the recordings of a test
TAPES = pytest.StashKey[list[Any]]()  # what is checked when a test has run: tapes, programs
PROGRAMS: pytest.StashKey[Programs] = pytest.StashKey()
SEED = pytest.StashKey[str]()
KNOWN = pytest.StashKey[dict[Path, set[str]]]()  # folder of goldens -> their tests
UNUSED: pytest.StashKey[set[str]] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("packetlab", "packetlab: tests of network protocols")
    group.addoption(
        "--packetlab-seed", metavar="SEED",
        help="seed of every simulated network, as a failing test printed it; 'random' draws one for each test",
    )  # fmt: skip
    group.addoption(
        "--packetlab-artifacts", metavar="DIR", help="where failing tests leave captures and ladders",
    )  # fmt: skip
    group.addoption(
        "--packetlab-record", choices=MODES,
        help="golden captures: compare only; record missing ones; also append new packets; record all anew",
    )  # fmt: skip
    parser.addini("packetlab_require_lab", "fail, not skip, where the kernel refuses a lab", type="bool", default=False)
    parser.addini(
        "packetlab_artifacts", "where failing tests leave captures and ladders", default="packetlab-artifacts"
    )
    parser.addini("packetlab_record", "golden captures: none, once, new or all", default="none")


def pytest_configure(config: pytest.Config) -> None:
    for mark in MARKS:
        config.addinivalue_line("markers", mark)
    if config.getini("packetlab_record") not in MODES:
        raise pytest.UsageError(f"packetlab_record: expected one of {', '.join(MODES)}")
    if _mode(config) != "none" and os.environ.get("CI", "").lower() not in ("", "0", "false"):
        raise pytest.UsageError(
            f"packetlab record mode {_mode(config)!r}: refused where CI is set, since it would bless whatever happens; "
            "record at your desk and commit the captures"
        )
    config.stash[KNOWN], config.stash[UNUSED] = {}, set()


def _mode(config: pytest.Config) -> str:
    return str(config.getoption("--packetlab-record") or config.getini("packetlab_record"))


def _options(item: Any) -> dict[str, Any]:
    """Return the options of a test's `packetlab` marks, those nearest to it first."""
    found: dict[str, Any] = {}
    for mark in item.iter_markers("packetlab"):
        unknown = sorted(set(mark.kwargs) - set(OPTIONS))
        if unknown or mark.args:
            from packetlab.errors import suggestion

            got = unknown[0] if unknown else repr(mark.args[0])
            hint = suggestion(got, OPTIONS)
            text = f"mark packetlab: expected options by name ({', '.join(OPTIONS)}), got {got}"
            pytest.fail(text + (f" ({hint})" if hint else ""), pytrace=False)
        found = {**mark.kwargs, **found}
    return found


# Fixtures ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def packetlab_options(request: pytest.FixtureRequest) -> dict[str, Any]:
    """What the `packetlab` marks of the test say."""
    return _options(request.node)


@pytest.fixture
def packetlab_seed(request: pytest.FixtureRequest, packetlab_options: dict[str, Any]) -> int | str:
    """The seed of the test: its mark's, else the command line's, else one that belongs to its name."""
    said = request.config.getoption("--packetlab-seed")
    seed: int | str = packetlab_options.get("seed", said)
    if seed is None:
        seed = zlib.crc32(request.node.nodeid.encode())
    elif seed == "random" and "seed" not in packetlab_options:
        seed = int.from_bytes(os.urandom(4), "big")
    seed = int(seed) if isinstance(seed, str) and seed.isdecimal() else seed
    replay = "" if "seed" in packetlab_options else f"; --packetlab-seed={seed} replays it"
    request.node.stash[SEED] = f"seed {seed}{replay}"
    return seed


@pytest.fixture
def simnet(request: pytest.FixtureRequest, packetlab_seed: int | str) -> SimNetwork:
    """A simulated network in virtual time, with a seed of the test's own."""
    from packetlab.sockets.networks import SimNetwork
    from packetlab.testing.artifacts import Artifact

    net = SimNetwork(packetlab_seed)
    _keep(request.node, lambda: [Artifact("simnet", lambda: net.capture, lambda: net.hosts, 0)])
    return net


@pytest.fixture
def lab(request: pytest.FixtureRequest, packetlab_options: dict[str, Any]) -> Iterator[Lab]:
    """A lab of kernel namespaces. Where the kernel refuses one the test is skipped, or fails (`packetlab_require_lab`)."""
    from packetlab.errors import NeedsPrivilege
    from packetlab.sockets.networks import Lab
    from packetlab.testing.artifacts import RecordedLab

    made: Lab = RecordedLab() if packetlab_options.get("record", True) else Lab()
    try:
        made.open()
    except NeedsPrivilege as error:
        if request.config.getini("packetlab_require_lab"):
            pytest.fail(f"no lab, and packetlab_require_lab is set: {error}", pytrace=False)
        pytest.skip(f"no lab: {error}")
    if isinstance(made, RecordedLab):
        recorded = made
        _keep(request.node, lambda: recorded.recordings)
    with made:
        yield made


@pytest.fixture
def pair(request: pytest.FixtureRequest, packetlab_options: dict[str, Any]) -> tuple[NetworkHost, NetworkHost]:
    """Two linked hosts "a" and "b": of a simulated network, or of a lab where the mark says ``on="lab"``.

    The link is as the mark says (``delay=0.05, loss=0.1``). With ``on=("virtual", "lab")`` the test runs on both.
    """
    where = getattr(request, "param", None) or packetlab_options.get("on", "virtual")
    shape = {name: value for name, value in packetlab_options.items() if name in LINK}
    net = request.getfixturevalue("lab" if where == "lab" else "simnet")
    if where == "lab" and set(shape) - {"mtu", "carrier", "network"}:
        shape["seed"] = request.getfixturevalue("packetlab_seed")
    a, b = net.host("a"), net.host("b")
    net.link(a, b, **shape)
    return a, b


@pytest.fixture
def tape(request: pytest.FixtureRequest, packetlab_options: dict[str, Any]) -> Iterator[Tape]:
    """A tape: expectations as a timeline, checked when the test has run.

    It watches `pair`, or `simnet`, where the test uses one of these; anything else ``tape.watch(...)`` adds.
    """
    from packetlab.testing import Tape
    from packetlab.testing.artifacts import Artifact

    said = {
        n: packetlab_options[n] for n in ("tolerance", "allow_unexpected", "allow_missing") if n in packetlab_options
    }
    made = Tape(**said)
    if "pair" in request.fixturenames:
        a, _ = request.getfixturevalue("pair")
        made.watch(getattr(a, "net", a))
    elif "simnet" in request.fixturenames:
        made.watch(request.getfixturevalue("simnet"))
    elif "lab" in request.fixturenames:
        request.getfixturevalue("lab")  # so that it is closed after the tape
    request.node.stash.setdefault(TAPES, []).append(made)
    known = len(made.sources)  # kept as the network's own recording
    _keep(
        request.node,
        lambda: [Artifact("tape", lambda: made.capture if made.sources[known:] else (), made._hosts, made.start)],
    )
    yield made
    made.close()


@pytest.fixture
def program(request: pytest.FixtureRequest) -> Iterator[Programs]:
    """Starts a real program in a lab's host and waits until it is ready: ``program(b, "nginx", ready=80)``.

    A failing test shows what its programs wrote. They end with the test; one that ends before fails it.
    """
    from packetlab.testing import Programs

    for network in ("lab", "pair"):  # so that it is closed after the programs
        if network in request.fixturenames:
            request.getfixturevalue(network)
    with Programs() as made:
        request.node.stash[PROGRAMS] = made
        request.node.stash.setdefault(TAPES, []).append(made)
        yield made


@pytest.fixture(scope="module")
def capture_dir(request: pytest.FixtureRequest) -> Path:
    """The folder of a module's captures: ``captures/NAME OF THE MODULE`` beside it. A conftest may give another."""
    return request.path.parent / "captures" / request.path.stem


@pytest.fixture
def golden(request: pytest.FixtureRequest, capture_dir: Path) -> Iterator[Golden]:
    """The test's golden capture: recorded once, compared or replayed from then on (``--packetlab-record``)."""
    from packetlab.testing import Golden

    made = Golden(capture_dir / f"{_golden_name(request.node)}.pcapng", _mode(request.config))
    yield made
    if made.recorded:
        name = os.path.relpath(made.recorded, request.config.invocation_params.dir)
        request.node.add_report_section("call", "packetlab", f"golden capture recorded: {name}")


def _golden_name(item: pytest.Item) -> str:
    from packetlab.testing.artifacts import file_name

    parent = item.parent
    within = f"{parent.name}." if isinstance(parent, pytest.Class) else ""
    return file_name(within + item.name)


def _keep(item: pytest.Item, recordings: Any) -> None:
    item.stash.setdefault(RECORDINGS, []).append(recordings)


# A test for each packet ----------------------------------------------------------------------------------------------


class Trouble:
    """Stands for the packets of a capture that cannot be had: the test fails with the reason."""

    def __init__(self, reason: str) -> None:
        self.reason = reason

    def __repr__(self) -> str:
        return "no packet"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "pair" in metafunc.fixturenames:
        where = _options(metafunc.definition).get("on", "virtual")
        several = (where,) if isinstance(where, str) else tuple(where)
        if not set(several) <= set(ON) or not several:
            pytest.fail(f"mark packetlab: on= expected 'virtual', 'lab' or both, got {where!r}", pytrace=False)
        if len(several) > 1:
            metafunc.parametrize("pair", several, ids=several, indirect=True)
    marks = [*metafunc.definition.iter_markers("packets")]
    if not marks:
        return
    arguments = [name for name in ("packet", "frame") if name in metafunc.fixturenames]
    if not arguments:
        pytest.fail(
            f"{metafunc.definition.name}: a test with the mark `packets` takes `packet` or `frame`", pytrace=False
        )
    rows, ids = [], []
    for mark in reversed(marks):
        for name, frame in _frames(metafunc, *mark.args, **mark.kwargs):
            wrong = isinstance(frame, Trouble)
            rows.append([frame if wrong or argument == "frame" else frame.packet() for argument in arguments])
            ids.append(name)
    metafunc.parametrize(arguments, rows, ids=ids)


def _frames(metafunc: pytest.Metafunc, path: Any, where: Any = None, limit: int = LIMIT) -> list[tuple[str, Any]]:
    """Return id and frame of each packet of a capture that a mark wants, or the one trouble with it."""
    from packetlab.capture import Capture
    from packetlab.errors import CaptureError
    from packetlab.testing.patterns import Pattern

    config, own = metafunc.config, metafunc.definition.path.parent
    places = [own / path, config.rootpath / path]
    file = next((place for place in places if place.is_file()), None)
    name = Path(path).name
    if file is None:
        near = " or ".join(dict.fromkeys(os.path.relpath(place, config.rootpath) for place in places))
        return [(name, Trouble(f"mark packets: {near}: no such file"))]
    fits, found = Pattern(where).fits, []
    try:
        for frame in Capture(file):
            if where is None or fits(frame.packet()):
                found.append((f"{name}#{frame.number}", frame))
                if len(found) > limit:
                    text = f"mark packets: {name} has more than {limit} packets" + (
                        f" that fit {where!r}" if where else ""
                    )
                    hint = "narrow where=, raise limit=, or loop over Capture(...) within one test"
                    return [(name, Trouble(f"{text}; {hint}"))]
    except CaptureError as error:
        return [*found, (f"{name}#damaged", Trouble(f"mark packets: {error}"))]
    return found or [
        (name, Trouble(f"mark packets: no packet of {name} fits {where!r}" if where else f"{name} is empty"))
    ]


# Running -------------------------------------------------------------------------------------------------------------


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    for value in getattr(getattr(item, "callspec", None), "params", {}).values():
        if isinstance(value, Trouble):
            pytest.fail(value.reason, pytrace=False)
    result = yield
    for made in item.stash.get(TAPES, []):
        complaint = None
        try:
            made.check()
        except AssertionError as error:
            complaint = str(error)
        if complaint is not None:  # outside of the handler, or pytest shows it twice
            pytest.fail(complaint, pytrace=False)
    return result


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[pytest.TestReport]:
    report: pytest.TestReport = yield  # type: ignore[assignment,misc]
    recordings = item.stash.get(RECORDINGS, None)
    if report.failed and PROGRAMS in item.stash:
        report.sections += [(f"program {title}", text) for title, text in item.stash[PROGRAMS].shown()]
    if recordings is not None and (report.failed or call.when == "teardown"):
        _leave(item, report, recordings, call)
    return report  # type: ignore[return-value]


def _leave(item: pytest.Item, report: pytest.TestReport, recordings: list[Any], call: pytest.CallInfo[None]) -> None:
    """Leave the recordings of a failed test behind, and say where; remove those of an earlier run of one that passed."""
    from packetlab.testing.artifacts import file_name, forget

    config = item.config
    folder = config.rootpath / str(config.getoption("--packetlab-artifacts") or config.getini("packetlab_artifacts"))
    folder = folder / file_name(item.nodeid)
    if not report.failed:
        if not item.stash.get(FAILED, False):
            forget(folder)
        return
    lines = [item.stash[SEED]] if SEED in item.stash else []
    forget(folder)
    item.stash[FAILED] = True
    kept: list[Artifact] = [recording for give in recordings for recording in give()]
    for recording in kept if call.when != "teardown" and LADDER not in report.longreprtext else ():
        if drawn := recording.last():
            report.sections.append((f"packetlab: {recording.name}", drawn))
    for recording in kept:
        for path in recording.leave(folder):
            shown = os.path.relpath(path, config.invocation_params.dir)
            lines.append(shown)
            kind = "packetlab_ladder" if path.name.endswith(".txt") else "packetlab_capture"
            item.user_properties.append((kind, str(path)))
            report.user_properties.append((kind, str(path)))
    if lines:
        report.sections.append(("packetlab", "\n".join(lines)))


FAILED = pytest.StashKey[bool]()
LADDER = "time (s)  "  # what a ladder in a report begins with: a complaint of a tape has its own


def pytest_assertrepr_compare(op: str, left: object, right: object) -> list[str] | None:
    """Explain why packets are not equal, or why none of them matches: field by field."""
    if "packetlab.packet.packet" not in sys.modules:
        return None  # nobody has a packet where the module was never loaded
    if op == "==":
        from packetlab.packet.explain_difference import explain

        return explain(left, right)
    if op == "in":
        from packetlab.pattern.match import explain_match

        return explain_match(left, right)
    return None


# Goldens that no test has any more -----------------------------------------------------------------------------------


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    _known(config, items)


def pytest_deselected(items: list[pytest.Item]) -> None:
    if items:
        _known(items[0].config, items)


def _known(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Note which goldens tests have: those left out of this run have theirs too."""
    of_file: dict[Path, set[str]] = {}
    for item in items:
        if item.path not in of_file:
            folder = item.path.parent / "captures" / item.path.stem
            of_file[item.path] = config.stash[KNOWN].setdefault(folder, set())
        names = of_file[item.path]
        if "golden" in getattr(item, "fixturenames", ()):
            names.add(_golden_name(item))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    config = session.config
    if any("::" in argument for argument in config.args):
        return  # not all tests of a module were collected
    unused: set[str] = config.stash[UNUSED]
    for folder, names in config.stash[KNOWN].items():
        for path in sorted(folder.glob("*.pcapng")) if folder.is_dir() else ():
            if not any(path.stem == name or path.stem.startswith(f"{name}.") for name in names):
                unused.add(os.path.relpath(path, config.rootpath))
    output = getattr(config, "workeroutput", None)
    if output is not None:
        output["packetlab_unused"] = sorted(unused)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    node.config.stash[UNUSED].update(getattr(node, "workeroutput", {}).get("packetlab_unused", ()))


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    unused: set[str] = config.stash[UNUSED]
    if unused:
        from packetlab.escaping import printable

        terminalreporter.section("packetlab")
        terminalreporter.write_line(f"golden captures that no test uses ({len(unused)}):")
        for path in sorted(unused):
            terminalreporter.write_line(f"  {printable(path)}")
