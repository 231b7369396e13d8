"""The plugin as a user meets it: fixtures, marks, messages line by line, what failing tests leave behind."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest

from packetlab import Capture

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent.parent

FAILS = """
def test_game(pair, tape):
    a, b = pair
    tape.expect(a, b, Ball(number=1), at=0)
    tape.expect(a, b, Ball(number=2))
    throw(a, b, 1)
    throw(a, b, 3)
"""

PASSES = """
def test_game(pair, tape):
    a, b = pair
    tape.expect(a, b, Ball(number=1))
    throw(a, b, 1)
    assert b.interface.receive()[Ball].number == 1
"""


def test_a_passing_test_leaves_nothing(run, pytester) -> None:
    run(PASSES).assert_outcomes(passed=1)
    assert not (pytester.path / "packetlab-artifacts").exists()


def test_a_failing_test_says_what_differs_its_seed_and_where_its_capture_is(run, pytester) -> None:
    result = run(FAILS, "--junitxml=report.xml", "-o", "junit_family=xunit2")
    result.assert_outcomes(failed=1)  # a failure of the test, not an error of a fixture
    result.stdout.re_match_lines(
        [
            r"the tape and the network differ: 1 different",
            r"different: a -> b  Ball\(number=2\)  \(test_it\.py:\d+\)",
            r"  came as frame 2 at 0 s, a -> b  Ball number=3 on Ether:",
            r"    Ball\.number: expected 2, got 3",
            r"time \(s\) +a +b",
            r"0\.000000 +\|-+ Ball number=1 on Ether -+>\|",
            r"0\.000000 +\|-+ Ball number=3 on Ether -+>\|  <- different",
            r"-+ packetlab -+",
            r"seed \d+; --packetlab-seed=\d+ replays it",
            r"packetlab-artifacts/test_it\.py_test_game-[0-9a-f]{8}/simnet\.pcapng",
            r"packetlab-artifacts/.*/simnet\.ladder\.txt",
        ],
        consecutive=False,
    )
    folder = next((pytester.path / "packetlab-artifacts").iterdir())
    assert Capture(folder / "simnet.pcapng").count() == 2
    assert "Ball number=3" in (folder / "simnet.ladder.txt").read_text()
    report = (pytester.path / "report.xml").read_text()
    assert f'<property name="packetlab_capture" value="{folder / "simnet.pcapng"}"' in report
    assert '<property name="packetlab_ladder"' in report
    # Once the test passes what the failure left is gone.
    run(PASSES).assert_outcomes(passed=1)
    assert not folder.parent.exists()


def test_artifacts_go_where_the_option_says(run, pytester) -> None:
    run(FAILS, "--packetlab-artifacts=kept/here").assert_outcomes(failed=1)
    assert [*(pytester.path / "kept/here").glob("*/*.pcapng")]
    run(FAILS, "-o", "packetlab_artifacts=by_ini").assert_outcomes(failed=1)
    assert [*(pytester.path / "by_ini").glob("*/*.pcapng")]


def test_the_capture_of_a_test_that_fails_by_itself_is_kept_and_its_tape_is_silent(run) -> None:
    result = run("""
    def test_game(simnet, tape):
        a, b = simnet.host("a"), simnet.host("b")
        simnet.link(a, b)
        tape.expect(a, b, Ball(number=1))
        throw(a, b, 7)
        assert 1 == 2
    """)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*assert 1 == 2", "*simnet.pcapng"])
    result.stdout.no_fnmatch_line("*the tape and the network differ*")


def test_an_unexpected_packet_fails_and_the_switch_it_names_helps(run) -> None:
    test = """
    def test_game(pair, tape):
        a, b = pair
        tape.expect(a, b, Ball(number=1))
        throw(a, b, 1)
        throw(a, b, 2)
    """
    result = run(test)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "unexpected: frame 2 at 0 s, a -> b  Ball number=2 on Ether",
            "  let such pass: tape.allow(Ball); let all: allow_unexpected=True",
            "  (a switch of Tape(...), or of @pytest.mark.packetlab(...))",
        ]
    )
    run("@pytest.mark.packetlab(allow_unexpected=True)" + test.replace("\n    ", "\n")).assert_outcomes(passed=1)


def test_a_missing_packet_fails_and_the_switch_it_names_helps(run) -> None:
    test = """
    def test_game(pair, tape):
        tape.expect("a", "b", Ball(number=1))
    """
    result = run(test)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "missing: a -> b  Ball(number=1)  (test_it.py:*)",
            "  no packet came at all",
            "  let it stay away: expect(..., optional=True); let all: allow_missing=True",
        ]
    )
    run("@pytest.mark.packetlab(allow_missing=True)" + test.replace("\n    ", "\n")).assert_outcomes(passed=1)


def test_an_expected_failure_may_be_the_tapes(run) -> None:
    run("@pytest.mark.xfail(strict=True)" + FAILS).assert_outcomes(xfailed=1)


SEEDS = """
@pytest.mark.parametrize("n", range(3))
def test_seed(simnet, n):
    print(f"<{n}: {simnet.seed}>")

@pytest.mark.packetlab(seed="mine")
def test_mark(simnet):
    print(f"<{simnet.seed}>")
    assert 0
"""


def seeds(result: pytest.RunResult) -> list[str]:
    return [
        found
        for line in result.outlines
        for found in re.findall(r"<[^>]*>", line)
        if "object" not in found and "{" not in found
    ]


def test_each_test_has_a_seed_of_its_own_the_same_in_every_run(run) -> None:
    first, again = seeds(run(SEEDS, "-rP", "-s")), seeds(run(SEEDS, "-rP", "-s"))
    assert first == again and len({line.split(": ")[-1] for line in first}) == len(first) >= 3


def test_a_seed_can_be_said_and_a_mark_has_the_last_word(run) -> None:
    result = run(SEEDS, "-rP", "-s", "--packetlab-seed=77")
    assert {line.split(": ")[-1] for line in seeds(result)} == {"77>", "<mine>"}
    result.stdout.fnmatch_lines(["seed mine"])
    assert seeds(run(SEEDS, "-s", "--packetlab-seed=random")) != seeds(run(SEEDS, "-s", "--packetlab-seed=random"))


def test_the_printed_seed_replays_the_failure(run) -> None:
    test = """
    @pytest.mark.packetlab(loss=0.5)
    def test_luck(pair):
        a, b = pair
        for n in range(20):
            throw(a, b, n)
        got = [frame.packet()[Ball].number for frame in b.interface.capture(timeout=1)]
        print(f"<{got}>")
        assert not got
    """
    result = run(test, "--packetlab-seed=random")
    (line,) = (line for line in result.outlines if line.startswith("seed "))
    switch = line.split("; ")[1].split()[0]
    again = run(test, switch)
    again.assert_outcomes(failed=1)
    assert seeds(again) == seeds(result)


def test_marks_shape_the_link_and_a_wrong_option_is_reported(run) -> None:
    run("""
    @pytest.mark.packetlab(delay=0.25)
    class TestSlow:
        def test_it(self, pair):
            a, b = pair
            throw(a, b, 1)
            b.interface.receive()
            assert a.net.now == 250_000_000

        @pytest.mark.packetlab(delay=0.5)
        def test_nearer_marks_win(self, pair):
            a, b = pair
            throw(a, b, 1)
            b.interface.receive()
            assert a.net.now == 500_000_000
    """).assert_outcomes(passed=2)
    result = run("""
    @pytest.mark.packetlab(dellay=0.25)
    def test_it(simnet):
        pass
    """)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["mark packetlab: expected options by name (*), got dellay (did you mean 'delay'?)"])


def test_one_test_runs_on_a_simulated_network_and_in_a_lab(run, lab) -> None:
    result = run(
        """
    @pytest.mark.packetlab(on=("virtual", "lab"), delay=0.01)
    def test_it(pair, tape):
        a, b = pair
        tape.expect(a, b, Ball(number=1))
        throw(a, b, 1)
        assert b.interface.receive()[Ball].number == 1
        print("<", type(a).__name__, ">")
    """,
        "-rP",
        "-v",
    )
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["*test_it?virtual? PASSED*", "*test_it?lab? PASSED*"])


def test_a_failing_test_in_a_lab_leaves_what_crossed_its_links(run, pytester, lab) -> None:
    result = run("""
    def test_it(lab):
        a, b = lab.host("a"), lab.host("b")
        lab.link(a, b)
        assert a.run("ping", "-c1", str(b.address)).returncode == 0
        assert False
    """)
    result.assert_outcomes(failed=1)
    (path,) = (pytester.path / "packetlab-artifacts").glob("*/lab*.pcapng")
    assert path.name.startswith("lab_a_--_b") and Capture(path).count() == 2


REFUSED = """
@pytest.fixture(autouse=True)
def refused(monkeypatch):
    def refuse(self):
        raise NeedsPrivilege("Lab", "user.max_user_namespaces above 0", "no space", "as root: sysctl")
    monkeypatch.setattr("packetlab.sockets.networks.Lab.open", refuse)

def test_it(lab):
    pass

@pytest.mark.packetlab(on="lab")
def test_pair(pair):
    pass
"""


def test_where_labs_are_refused_tests_are_skipped_with_the_kernels_reason(run) -> None:
    result = run(REFUSED, "-rs")
    result.assert_outcomes(skipped=2)
    result.stdout.fnmatch_lines(
        ["*no lab: Lab: expected user.max_user_namespaces above 0, got no space (as root: sysctl)"]
    )


def test_a_required_lab_that_is_refused_is_a_failure(run) -> None:
    result = run(REFUSED, "-o", "packetlab_require_lab=true")
    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines(
        ["no lab, and packetlab_require_lab is set: Lab: expected user.max_user_namespaces above 0*"]
    )


# A test for each packet ----------------------------------------------------------------------------------------------


def write(path: Path, count: int) -> None:
    from packetlab import U16, Ether, Frame, Header, Rest, bindings

    with bindings():

        class Ball(Header, under=Ether, when={"type": 0x8AB7}):
            number: U16 = 0
            note: Rest = b""

        path.parent.mkdir(exist_ok=True)
        Capture.of(Frame(bytes(Ether() / Ball(number=n)), n) for n in range(count)).write(path)


def test_a_test_runs_for_each_packet_of_a_capture(run, pytester) -> None:
    write(pytester.path / "captures" / "balls.pcapng", 4)
    result = run(
        """
    @pytest.mark.packets("captures/balls.pcapng", where=Ball(number=2))
    @pytest.mark.packets("captures/balls.pcapng", where="ball.number < 2")
    def test_it(packet, frame):
        assert packet[Ball].number == frame.number - 1 != 1
    """,
        "-v",
    )
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(
        [
            "test_it.py::test_it?balls.pcapng#3? PASSED*",
            "test_it.py::test_it?balls.pcapng#1? PASSED*",
            "test_it.py::test_it?balls.pcapng#2? FAILED*",
        ]
    )


@pytest.mark.parametrize(
    ("mark", "line"),
    [
        ('"gone.pcap"', "mark packets: gone.pcap: no such file"),
        (
            '"x.pcapng", limit=3',
            "mark packets: x.pcapng has more than 3 packets; narrow where=, raise limit=, or loop*",
        ),
        ('"x.pcapng", where=Ball(number=9)', "mark packets: no packet of x.pcapng fits Ball(number=9)"),
        ('"damaged.pcapng", where=lambda packet: False', "mark packets: *damaged.pcapng*"),
    ],
)
def test_a_capture_that_cannot_be_had_is_one_failing_test(run, pytester, mark, line) -> None:
    write(pytester.path / "x.pcapng", 4)
    (pytester.path / "damaged.pcapng").write_bytes((pytester.path / "x.pcapng").read_bytes()[:-7])
    result = run(f"""
    @pytest.mark.packets({mark})
    def test_it(packet):
        pass

    def test_other():
        pass
    """)
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines([line])


def test_a_test_of_packets_takes_them(run) -> None:
    result = run("""
    @pytest.mark.packets("x.pcapng")
    def test_it():
        pass
    """)
    result.stdout.fnmatch_lines(["*test_it: a test with the mark `packets` takes `packet` or `frame`*"])


# Ways to run ---------------------------------------------------------------------------------------------------------


def test_packets_that_differ_are_explained(run) -> None:
    result = run("""
    def test_it():
        assert Ether() / Ball(number=1) == Ether() / Ball(number=2)
    """)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E*Ball.number*1*2*"])
    result = run("""
    def test_it():
        assert Ball(number=1) in [Ether() / Ball(number=2)]
    """)
    result.stdout.fnmatch_lines(["E*Ball.number: expected 1, got 2*"])


def test_in_parallel_and_in_any_order(run, pytester) -> None:
    write(pytester.path / "balls.pcapng", 6)
    test = """
    @pytest.mark.packets("balls.pcapng")
    def test_packets(packet):
        assert packet[Ball].number < 6

    @pytest.mark.parametrize("n", range(6))
    def test_game(pair, tape, n):
        a, b = pair
        tape.expect(a, b, Ball(number=n))
        throw(a, b, 5 if n == 4 else n)
    """
    shuffle = """
    from random import Random

    def pytest_collection_modifyitems(items):
        Random(3).shuffle(items)
    """
    for words, conftest in ((["-n2"], ""), ([], shuffle)):
        pytester.makeconftest(conftest)
        result = run(test, *words)
        result.assert_outcomes(passed=11, failed=1)
        result.stdout.fnmatch_lines(["*Ball.number: expected 4, got 5", "seed *", "packetlab-artifacts/*"])


def test_the_entry_point_loads_the_plugin(run, pytester, monkeypatch) -> None:
    """As installed: a distribution of the name in sys.path, whose entry point is that of pyproject.toml."""
    import tomllib

    points = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["pytest11"]
    info = pytester.path / "site" / "packetlab-0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: packetlab\nVersion: 0\n")
    (info / "entry_points.txt").write_text("[pytest11]\n" + "".join(f"{k} = {v}\n" for k, v in points.items()))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(info.parent), str(ROOT)]))
    result = run(PASSES, "-v", processes=True, plugin=False)
    result.assert_outcomes(passed=1)


def test_the_plugin_costs_nothing_until_it_is_used(pytester) -> None:
    code = (
        "import sys, pytest; before = set(sys.modules); import packetlab.pytest_plugin; "
        "print(sorted(m for m in set(sys.modules) - before if not m.startswith(('packetlab.codec', 'packetlab.declare', 'packetlab.packet', 'packetlab.pattern', 'packetlab.protocols')) "
        "and m.startswith(('packetlab', 'numpy', 'scapy', 'netaddr'))))"
    )
    done = pytester.run(sys.executable, "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r}); {code}")
    done.stdout.fnmatch_lines(["['packetlab', 'packetlab.hooks', 'packetlab.pytest_plugin']"])


def test_a_test_that_fails_by_itself_shows_the_last_rows_of_its_ladder(run) -> None:
    result = run("""
    def test_game(pair):
        a, b = pair
        for number in range(20):
            throw(a, b, number)
        assert not number
    """)
    lines = result.stdout.str().splitlines()
    at = next(i for i, line in enumerate(lines) if re.match(r"-+ packetlab: simnet -+", line))
    assert lines[at + 1] == "... 8 frames before" and lines[at + 2].startswith("time (s)")
    assert [line.split("number=")[1].split()[0] for line in lines[at + 3 : at + 15]] == [str(n) for n in range(8, 20)]


def test_the_ladder_of_a_complaint_is_not_shown_twice(run) -> None:
    assert run(FAILS).stdout.str().count("time (s)") == 1


def test_time_running_out_shows_the_users_line_and_no_inner_frames(run) -> None:
    result = run("""
    import packetlab as pl

    def test_game(pair):
        a, b = pair
        socket = a.socket("datagram")
        socket.timeout = 0.5
        socket.read()
    """)
    text = result.stdout.str()
    assert "TimeoutError" in text and ">       socket.read()" in text
    assert not re.search(r"^\S*packetlab/(sockets|link|host)\S*:\d+", text, re.MULTILINE)
