"""What we start is held apart: no code from the current folder, no descriptors, no forged statuses, no hanging waits."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import textwrap
from pathlib import Path
from types import SimpleNamespace

import pytest

from packetlab import Lab, PacketlabError
from packetlab.link.event_loop import RealTime
from packetlab.link.lab.program import Pipes, Program
from tests.descriptors import none_stays_open

CORPUS = Path(__file__).parent.parent.parent / "captures" / "corpus"


def python(code: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a program that is elsewhere, in `folder`."""
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir(exist_ok=True)
    (elsewhere / "program.py").write_text(textwrap.dedent(code))
    return subprocess.run(
        [sys.executable, elsewhere / "program.py"], cwd=folder, capture_output=True, text=True, timeout=100,
        env={**os.environ, **environment}, check=False,
    )  # fmt: skip


@pytest.fixture
def trap(tmp_path: Path) -> Path:
    """A folder of files that are named as modules of the standard library and ours, and leave a mark when they run."""
    names = ("heapq", "json", "socket", "selectors", "signal", "multiprocessing", "threading", "packetlab", "numpy")
    for name in names:
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'marks')!r}, 'a').write('{name} ')\n")
    return tmp_path


@pytest.mark.slow
def test_the_relay_of_a_link_imports_nothing_from_the_current_folder(lab: Lab, trap: Path) -> None:
    code = """
        import os, packetlab as pl
        os.environ["PYTHONPATH"] = ":"  # an empty entry is the current folder
        with pl.Lab() as lab:
            a, b = lab.host("a"), lab.host("b")
            lab.link(a, b, delay=0.001)
            a.interface.send(pl.Ether(dst=b.mac, type=0x88B5) / b"through the relay")
            print(b.interface.receive(timeout=30).payload)
    """
    done = python(code, trap)
    assert done.stdout.startswith("b'through the relay"), done.stderr
    assert not (trap / "marks").exists()


@pytest.mark.slow
def test_the_workers_of_a_fleet_import_nothing_from_the_current_folder(trap: Path) -> None:
    code = f"""
        import threading, packetlab as pl
        threading.Thread(target=threading.Event().wait, daemon=True).start()  # with threads, workers are not forked
        if __name__ == "__main__":
            fleet = pl.scan({str(CORPUS / "d*.pcap")!r}, workers=2, batch_bytes=1)
            print(len(list(fleet.table("wire_length"))) == len(fleet) > 1)
    """
    done = python(code, trap)
    assert done.stdout == "True\n", done.stderr
    assert not (trap / "marks").exists()


def test_a_program_has_its_own_three_descriptors(lab: Lab) -> None:
    host = lab.host("a")
    seen = host.run("sh", "-c", "ls /proc/self/fd", check=True).stdout.split()
    assert len(seen) == 4  # 0, 1, 2 and the folder that is listed


def test_a_daemon_does_not_hold_up_who_started_it(lab: Lab) -> None:
    done = lab.host("a").run("sh", "-c", "setsid sleep 100 </dev/null >/dev/null 2>&1 & exit 5", timeout=60)
    assert done.returncode == 5


def test_a_program_cannot_forge_its_status(lab: Lab) -> None:
    # Neither through what it was given, nor through the namespace helper, the first process of its namespace.
    forge = "for fd in /proc/self/fd/* /proc/1/fd/*; do case $fd in */[012]) ;; *) echo 42 >$fd;; esac; done; exit 3"
    done = lab.host("a").run("sh", "-c", forge, timeout=60)
    assert done.returncode == 3
    assert lab.host("a").run("true", timeout=60).returncode == 0


@pytest.mark.parametrize("said", [b"hello", b"\xff\xfe", b"1.5"])
def test_a_status_that_is_none_ends_the_wait_with_an_error(said: bytes) -> None:
    (out, to_out), (err, to_err), (status, to_status) = (os.pipe() for _ in range(3))
    pipes = Pipes(out, err, status, None, b"", None)
    program = Program(SimpleNamespace(name="a", loop=RealTime(), programs=[]), ("program",), 1, pipes)
    os.write(to_out, b"so far")
    os.write(to_status, said)
    with pytest.raises(
        PacketlabError, match=r"a: program: expected its end, got .*exit status of the namespace helper"
    ):
        program.communicate(timeout=60)
    with pytest.raises(PacketlabError, match="expected its end"):
        program.wait(timeout=60)
    program.close()
    for fd in (to_out, to_err, to_status):
        os.close(fd)


@pytest.mark.slow
def test_garbage_on_the_line_to_the_namespace_helper_ends_in_an_error() -> None:
    for said in (b"hello", b"\xff", b"[]", b"null", b"{}", b'{"errno": 1}'):
        with Lab() as lab:
            ours, theirs = lab._control, None
            lab._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            theirs.send(said)
            with pytest.raises(PacketlabError, match="expected an answer of the namespace helper"):
                lab.host("a")
            lab._control.close()
            theirs.close()
            lab._control = ours
            for nonsense in (b"\xff", b"[]", b"{}", b'{"do": "nothing", "serial": 1}', b'{"do": "host", "serial": 1}'):
                lab._control.send(nonsense)
                assert b"error" in lab._control.recv(65536)
            assert lab.host("b").run("true").returncode == 0  # and the namespace helper goes on


def test_an_answer_to_an_interrupted_request_is_not_taken_for_the_next(lab: Lab) -> None:
    host = lab.host("a")
    lab._control.send(b'{"do": "socket", "serial": 0, "host": "a", "family": 2, "type": 1, "protocol": 0}')
    with none_stays_open():
        assert host.listening() == []


def test_errors_of_one_word_keep_it(lab: Lab) -> None:
    lab.host("a")
    with pytest.raises(OSError, match="illegal IP address string"):  # inet_aton raises it without a number
        lab._ask("neighbour", host="a", name="lo", address="nowhere", mac="020000000009")
    with pytest.raises(OSError, match="KeyError: 'nobody'"):
        lab._ask("listening", host="nobody")


@pytest.mark.slow
def test_programs_and_labs_say_so_where_descriptors_run_out(lab: Lab, tmp_path: Path) -> None:
    code = """
        import os, resource, time, packetlab as pl
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
        troubles = set()
        with pl.Lab() as lab:
            first = lab.host("first")
            for number in range(70):
                try:
                    host = lab.host(f"h{number}")
                    lab.link(first, host)
                except OSError as error:
                    troubles.add(error.errno)
                    assert "Too many open files" in str(error), error
            for host in lab.hosts.values():
                for interface in host.interfaces:
                    interface.close()
            used = []
            try:
                while True:
                    used.append(os.open("/dev/null", os.O_RDONLY))
            except OSError:
                pass
            for spare in (0, 3, 7):
                for fd in [used.pop() for _ in range(spare)]:
                    os.close(fd)
                before = len(os.listdir("/proc/self/fd")) if spare else None
                try:
                    first.popen("true")
                except OSError as error:
                    assert "Too many open files" in str(error), error
                    troubles.add(error.errno)
                end = time.monotonic() + 30  # threads close what is theirs when they get the processor
                while before is not None and len(os.listdir("/proc/self/fd")) != before:
                    assert time.monotonic() < end, os.listdir("/proc/self/fd")
                    time.sleep(0.01)
        print(sorted(troubles))
    """
    done = python(code, tmp_path)
    assert done.stdout == "[24]\n", done.stderr


@pytest.mark.slow
def test_a_link_whose_relay_has_ended_says_so(lab: Lab, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(PacketlabError, match=r"link a -- b: expected a relay .* status -9"), Lab() as ours:
        a, b = ours.host("a"), ours.host("b")
        link = ours.link(a, b, delay=0)
        assert "broken" not in f"{link}{ours.topology()}"
        relay = ours._relays[0]._process
        relay.kill()
        relay.wait()
        assert "broken" in repr(link) and "broken: its relay has ended" in str(ours.topology())
        for ask in (link.partition, lambda: a.run("ping", "-c1", str(b.address)), lambda: ours.host("c")):
            with pytest.raises(PacketlabError, match="link a -- b"):
                ask()
    with pytest.raises(TimeoutError) as caught, Lab() as ours:  # what failed for want of it says so too
        a, b = ours.host("a"), ours.host("b")
        ours.link(a, b, delay=0)
        ours._relays[0]._process.kill()
        b.interface.receive(timeout=0.1)
    assert "relay" in caught.value.__notes__[0]
    assert capfd.readouterr().err == ""


def test_a_relay_that_cannot_start_tells_why(lab: Lab, monkeypatch: pytest.MonkeyPatch, capfd) -> None:
    monkeypatch.setattr("packetlab.link.lab.relay.START", "import nothing_of_that_name")
    a, b = lab.host("a"), lab.host("b")
    with pytest.raises(PacketlabError, match=r"status 1: ModuleNotFoundError: No module named 'nothing_of_that_name'"):
        lab.link(a, b, delay=0)
    assert capfd.readouterr().err == ""


def test_a_program_that_outlives_its_outputs_is_waited_for(lab: Lab) -> None:
    with lab.host("a").popen("sh", "-c", "echo out; exec >&- 2>&-; sleep 0.3; exit 3") as program:
        assert program.communicate(timeout=60) == ("out\n", "")
        assert program.returncode == 3 and program.expected


def test_what_a_program_wrote_is_given_out_once(lab: Lab) -> None:
    with lab.host("a").popen("sh", "-c", "echo ready; echo more; echo trouble >&2") as program:
        assert program.stdout.readline(timeout=60) == b"ready\n"
        assert program.communicate(timeout=60) == ("more\n", "trouble\n")
        assert program.returncode == 0  # it is waited for too, as subprocess does
        assert program.communicate(timeout=60) == ("", "")
        assert program.stdout.text == "ready\nmore\n"
