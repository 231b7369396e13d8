"""Programs in a lab's hosts: what they are given, what they write, how they end; unanswered, which no kernel answers for."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from packetlab import ARP, ICMP, TCP, UDP, Engine, Ether, IPv4, Lab, PacketlabError, TCPFlags, exchange
from packetlab.link.event_loop import RealTime
from packetlab.link.lab.program import Program

PYTHON = sys.executable


def test_a_program_gets_input_environment_and_folder(lab: Lab, tmp_path: Path, monkeypatch) -> None:
    host = lab.host("a")
    monkeypatch.setenv("SAID_LATER", "since the lab was opened")
    script = "import os, sys; print(os.environ.get('X'), os.environ.get('SAID_LATER'), os.getcwd(), sys.stdin.read())"
    done = host.run(PYTHON, "-c", script, env={"X": "given"}, cwd=tmp_path, input="words")
    assert done.stdout == f"given since the lab was opened {tmp_path} words\n"
    done = host.run(PYTHON, "-c", script, env={"SAID_LATER": None}, cwd=tmp_path, input=b"")
    assert done.stdout == f"None None {tmp_path} \n"
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path)
    assert host.run("pwd", cwd="below").stdout == f"{tmp_path}/below\n"


def test_the_path_that_is_given_is_the_one_searched_and_roots_folders_behind_it(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("#!/bin/sh\necho mine\n")
    (tmp_path / "mine").chmod(0o755)
    host = lab.host("a")
    assert host.run("mine", env={"PATH": str(tmp_path)}).stdout == "mine\n"
    if os.path.exists("/usr/sbin/ldconfig"):
        assert host.run("ldconfig", "--version", env={"PATH": str(tmp_path)}).returncode == 0


def test_a_missing_folder_is_what_the_error_names(lab: Lab, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no-such-folder"):
        lab.host("a").run("true", cwd=tmp_path / "no-such-folder")


def test_more_arguments_than_fit_are_refused_and_the_lab_goes_on(lab: Lab) -> None:
    with pytest.raises(PacketlabError, match="65536 bytes of arguments at most"):
        lab.host("a").run("true", "x" * 70000)
    assert lab.host("a").run("true").returncode == 0


def test_much_input_and_output_go_through_together(lab: Lab) -> None:
    data = os.urandom(1_500_000).hex()
    assert lab.host("a").run("cat", input=data).stdout == data


def test_a_program_that_wants_no_input_is_no_trouble(lab: Lab) -> None:
    assert lab.host("a").run("true", input=b"x" * 1_000_000).returncode == 0


@pytest.mark.slow
def test_a_program_whose_output_nobody_reads_is_not_held_up_and_the_last_of_it_is_kept(lab: Lab) -> None:
    script = "import sys; [print(n) for n in range(400000)]; print('said', file=sys.stderr)"
    with lab.host("a").popen(PYTHON, "-c", script) as program:
        assert program.wait(timeout=60) == 0
        lines = program.stdout.text.splitlines()
        assert lines[-1] == "399999" and program.stderr.text == "said\n"
        assert program.stdout.dropped + len(program.stdout.text) == sum(len(str(n)) + 1 for n in range(400000))
        assert len(program.stdout.text) == 1 << 20
    assert program.stderr.text == "said\n"  # readable after its end


def test_output_is_taken_line_by_line(lab: Lab) -> None:
    script = "echo one; echo two; read line; echo got $line; printf rest"
    read, write = os.pipe()
    with lab.host("a").popen("sh", "-c", script, stdin=read) as program:
        assert program.stdout.readline() == b"one\n" and program.stdout.readline() == b"two\n"
        with pytest.raises(TimeoutError):
            program.stdout.readline(timeout=0.05)
        os.write(write, b"this\n")
        assert program.stdout.readline() == b"got this\n" and program.stdout.readline() == b"rest"
        assert program.stdout.readline() == b"" and program.stdout.text.startswith("one\ntwo\n")
    os.close(read)
    os.close(write)


@pytest.mark.parametrize("command", ["echo so far; exec sleep 60", "echo so far; sleep 60"])
def test_a_time_that_is_over_tells_what_was_written_until_then(lab: Lab, monkeypatch, command: str) -> None:
    host = lab.host("a")
    started = host.popen

    def popen(*given: object, **more: Any) -> Program:
        """Start a program; its time begins when it has written something."""
        program = started(*given, **more)
        program.until(lambda: program.stdout.text.endswith("\n"), 60)
        return program

    monkeypatch.setattr(host, "popen", popen)
    with pytest.raises(subprocess.TimeoutExpired) as caught:
        host.run("sh", "-c", command, timeout=0.1)
    assert caught.value.output == "so far\n"


def test_a_program_is_signalled_to_end_and_then_made_to(lab: Lab) -> None:
    host = lab.host("a")
    with host.popen("sh", "-c", "trap 'echo bye; exit 3' TERM; echo up; while :; do sleep 0.01; done") as polite:
        polite.stdout.readline()
        assert polite.end() == 3 and polite.stdout.text == "up\nbye\n"
    with host.popen("sh", "-c", "trap '' TERM; echo up; while :; do sleep 0.01; done") as stubborn:
        stubborn.stdout.readline()
        assert stubborn.end(patience=0.1) == -signal.SIGKILL


def test_what_a_program_wrote_is_there_after_the_lab(lab: Lab) -> None:
    with Lab() as fresh:
        program = fresh.host("a").popen("sh", "-c", "echo up; exec sleep 100")
        program.stdout.readline()
    assert program.stdout.text == "up\n" and program.returncode == -9 and program.wait() == -9
    assert threading.active_count() < 50


class Parrot(Engine):
    """Answers datagrams with themselves."""

    def __init__(self) -> None:
        self.answers: list = []

    def receive(self, packet, now) -> None:
        back = IPv4(src=packet[IPv4].dst, dst=packet[IPv4].src)
        self.answers.append(back / UDP(sport=packet[UDP].dport, dport=packet[UDP].sport) / packet.payload)

    def packets_to_send(self, now):
        out, self.answers = self.answers, []
        return out


def test_engines_of_the_lab_answer_while_a_program_is_waited_for(lab: Lab) -> None:
    a, b = lab.host("a"), lab.host("b")
    lab.link(a, b)
    unanswered = b.unanswered_address()
    b.attach(Parrot(), where=UDP(dport=4000), to=a, at=unanswered)
    script = "import socket, sys; s = socket.socket(2, 2); s.connect((sys.argv[1], 4000)); s.send(b'hello'); print(s.recv(9))"
    assert a.run(PYTHON, "-c", script, unanswered.address, timeout=20).stdout == "b'hello'\n"


def test_what_listens_in_a_host_is_reported(lab: Lab) -> None:
    host = lab.host("a")
    assert host.listening() == []
    kinds = (
        (socket.SOCK_STREAM, 8080, "127.0.0.1"),
        (socket.SOCK_STREAM, 80, "0.0.0.0"),
        (socket.SOCK_DGRAM, 53, "0.0.0.0"),
    )
    sockets = [host.kernel_socket(socket.AF_INET, kind) for kind, _, _ in kinds]
    for sock, (kind, port, address) in zip(sockets, kinds, strict=True):
        sock.bind((address, port))
        if kind == socket.SOCK_STREAM:
            sock.listen()
    assert sorted(host.listening()) == [("tcp", "0.0.0.0", 80), ("tcp", "127.0.0.1", 8080), ("udp", "0.0.0.0", 53)]
    assert lab.host("b").listening() == []
    for sock in sockets:
        sock.close()


def test_a_link_with_no_address_left_has_no_room_for_an_unanswered_address(lab: Lab) -> None:
    a = lab.host("a")
    lab.link(a, lab.host("b"))
    subnet = str(a.address).rpartition(".")[0]
    lab._ghosts.update(f"{subnet}.{last}" for last in range(255))
    with pytest.raises(PacketlabError, match="all 254 taken"):
        a.unanswered_address()


def test_an_unanswered_address_meets_a_kernel_and_no_kernel_speaks_for_it(lab: Lab) -> None:
    a, b = lab.host("a"), lab.host("b")
    lab.link(a, b)
    watcher = b.interface
    unanswered, other = a.unanswered_address(), a.unanswered_address()
    assert unanswered.address != other.address and unanswered.mac != other.mac
    pinged = exchange(unanswered.to(b) / ICMP(type=8) / b"ping", via=unanswered, timeout=5)
    assert pinged and pinged.reply[IPv4].src == b.address and pinged.reply[IPv4].dst == unanswered.address
    with b.kernel_socket() as server:
        server.bind((str(b.address), 80))
        server.listen()
        syn = unanswered.to(b) / TCP(sport=4000, dport=80, seq=100)
        answer = exchange(syn, via=unanswered, timeout=5).reply
        assert answer[TCP].flags == TCPFlags.SYN | TCPFlags.ACK and answer[TCP].ack == 101
        # A kernel would have reset that connection; and it requested from nobody the address.
        with pytest.raises(TimeoutError):
            watcher.receive(timeout=0.1, where=lambda packet: packet.get(TCP) and packet[TCP].flags & TCPFlags.RST)
        with pytest.raises(TimeoutError):
            unanswered.receive(timeout=0.05, where=ARP)
        back = unanswered.to(answer)
        assert (back[Ether].dst, back[IPv4].dst) == (b.mac, b.address)
    with pytest.raises(TimeoutError):
        other.receive(timeout=0.05, where=TCP)


def test_a_descriptor_whose_number_was_used_before_is_waited_for() -> None:
    loop = RealTime()

    def once() -> int:
        read, write = os.pipe()
        threading.Timer(0.05, os.write, (write, b"x")).start()
        loop.wait(
            lambda: os.read(read, 1) if select.select([read], [], [], 0)[0] else None, "x", 20, [(read, select.POLLIN)]
        )
        os.close(read)
        os.close(write)
        return read

    start = loop.now
    assert once() == once()
    assert loop.now - start < 10_000_000_000
