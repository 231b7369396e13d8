"""The `program` fixture: when a program is ready, and what is said where it is not or has ended."""

from __future__ import annotations

import sys

import pytest

from packetlab import ICMP, Lab, PacketlabError
from packetlab.testing import Programs

pytestmark = pytest.mark.usefixtures("lab")
SERVER = f"{sys.executable!r}, '-m', 'http.server', '80'"
LINKED = """
def linked(lab):
    a, b = lab.host("a"), lab.host("b")
    lab.link(a, b)
    return a, b
"""


@pytest.fixture
def hosts(lab: Lab):
    a, b = lab.host("a"), lab.host("b")
    lab.link(a, b)
    return a, b


@pytest.mark.slow
def test_ready_is_a_port_a_protocols_port_a_text_or_a_packet(hosts, program) -> None:
    a, b = hosts
    program(b, sys.executable, "-m", "http.server", "80", ready=80)
    assert ("tcp", "0.0.0.0", 80) in b.listening()
    script = "import socket; s = socket.socket(2, 2); s.bind(('', 53)); print('bound'); s.recv(1)"
    program(b, sys.executable, "-c", script, ready=("udp", 53))
    said = program(a, sys.executable, "-c", script, ready="^bound$")
    assert said.stdout.text.strip() == "bound" and said.returncode is None
    said.kill()
    ping = program(a, "ping", "-i", "0.2", str(b.address), ready=ICMP(type=0))
    assert ping.returncode is None


def test_only_what_was_started_ends(hosts) -> None:
    a, _ = hosts
    with a.popen("sleep", "100") as other:
        with Programs() as program:
            one = program(a, "sleep", "100")
        assert one.returncode == -15 and other.returncode is None


def test_a_port_that_is_taken_shows_nothing(hosts, program) -> None:
    _, b = hosts
    program(b, sys.executable, "-m", "http.server", "80", ready=80)
    with pytest.raises(
        PacketlabError, match="expected a socket at TCP port 80 of its own, got one that was there before"
    ):
        program(b, "sleep", "100", ready=80)
    with pytest.raises(PacketlabError, match=r"expected \('tcp', port\) or \('udp', port\)"):
        program(b, "sleep", "100", ready=("tpc", 80))


@pytest.mark.slow
def test_a_program_that_dies_early_fails_the_test_with_its_status_and_last_words(run) -> None:
    result = run(
        LINKED
        + """
def test_it(lab, program):
    a, b = linked(lab)
    program(b, "sh", "-c", "echo starting; printf 'no such \\033[31moption' >&2; exit 3", ready=80)
"""
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "E  *PacketlabError: program sh -c '*' on b: expected a socket at TCP port 80, got its end with status 3*",
            "E       stdout:",
            "E         starting",
            "E       stderr:",
            r"E         no such *31moption",
        ]
    )
    result.stdout.no_fnmatch_line("*programs.py:*")


@pytest.mark.slow
def test_a_program_that_is_not_ready_in_time_is_distinguished(run) -> None:
    result = run(
        LINKED
        + """
def test_it(lab, program, monkeypatch):
    a, b = linked(lab)
    start = b.popen

    def popen(*given, **more):  # its time begins when it has written something
        started = start(*given, **more)
        started.until(lambda: started.stdout.text == "waiting\\n", 60)
        return started

    monkeypatch.setattr(b, "popen", popen)
    program(b, "sh", "-c", "echo waiting; exec sleep 60", ready="ready", timeout=0.3)
"""
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["E  *TimeoutError: program sh * on b: expected 'ready' in its output, got none in 0.3 s", "E         waiting"]
    )


@pytest.mark.slow
def test_a_program_that_ends_by_itself_fails_the_test_unless_it_was_ended(run) -> None:
    test = (
        LINKED
        + """
def test_it(lab, program):
    a, b = linked(lab)
    server = program(b, "sh", "-c", "echo up; read x; kill -SEGV $$", ready="up")
    server.until(lambda: False, 10)
"""
    )
    result = run(test)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "program sh * on b: expected one that runs, got its end by SIGSEGV"
            " (where it is to end, have the test wait for it: wait(), end() or kill())",
            "-* program sh * on b: its end by SIGSEGV -*",
        ]
    )
    run(test + "    assert server.wait() == -11\n").assert_outcomes(passed=1)


@pytest.mark.slow
def test_a_failing_test_shows_what_its_programs_wrote(run) -> None:
    result = run(
        LINKED
        + f"""
def test_it(lab, program):
    a, b = linked(lab)
    program(b, {SERVER}, ready=80)
    get = "import urllib.request, sys; urllib.request.urlopen(f'http://{{sys.argv[1]}}/nothing')"
    assert a.run({sys.executable!r}, "-c", get, str(b.address)).returncode == 0
"""
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["-* program */python* -m http.server 80 on b: running -*", '*"GET /nothing HTTP/1.1" 404 -']
    )


def test_a_tape_takes_an_unanswered_address_for_an_end(hosts, tape) -> None:
    a, b = hosts
    unanswered = a.unanswered_address()
    tape.watch(b)
    tape.send(a, b, unanswered.to(b) / ICMP(type=8, sequence=1))
    tape.expect(b, unanswered, ICMP(type=0, sequence=1))
    tape.play()
    tape.expect(unanswered, b, ICMP(type=8, sequence=2))
    tape.expect(b, unanswered, ICMP(type=0, sequence=2))
    unanswered.send(unanswered.to(b) / ICMP(type=8, sequence=2))
    unanswered.receive(timeout=5, where=ICMP(type=0, sequence=2))
    assert str(unanswered) == "unanswered 10.0.0.254"


def test_a_simulated_host_runs_no_programs(simnet, program) -> None:
    with pytest.raises(
        PacketlabError, match=r"program: expected a host of a lab, got .*a.* \(the fixture `lab` has them\)"
    ):
        program(simnet.host("a"), "true")
