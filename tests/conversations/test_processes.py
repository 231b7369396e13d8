"""Two processes that talk over a lab's link, and what one of them sees when the other is killed."""

from __future__ import annotations

import json
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from packetlab import SPP, Lab, LocalProtocolError

from .peer import IMPATIENT, SOCKET

pytestmark = pytest.mark.slow

PEER = (sys.executable, str(Path(__file__).with_name("peer.py")))
# What the documentation promises: silence is noticed after `give_up`, by a probe at most `keep_alive` later.
NOTICED = IMPATIENT.give_up + IMPATIENT.keep_alive + 1.0


def two_hosts(lab: Lab):
    a, b = lab.host("a"), lab.host("b")
    a.timing = IMPATIENT
    lab.link(a, b)
    return a, b


def heard(program) -> dict:
    line = program.stdout.readline()
    assert line, program.stderr.read().decode()
    return json.loads(line)


def address_of(host) -> str:
    return f"401H#{host.mac.value:X}H#{SOCKET}"


@pytest.mark.parametrize("kind", ["seqpacket", "stream"])
def test_two_processes_talk(lab, kind) -> None:
    a, b = two_hosts(lab)
    with b.popen(*PEER, "echo", kind) as peer:
        heard(peer)
        client = a.socket(kind)
        client.connect(address_of(b))
        sent = [bytes([n]) * n for n in range(1, 60)]
        for message in sent:
            client.write(message)
        if kind == "stream":
            back = b""
            while len(back) < sum(map(len, sent)):
                back += client.read()
            assert back == b"".join(sent)
        else:
            assert [client.read() for _ in sent] == sent
            client.write(b"", header=SPP(datastream=77))
            assert client.read_packet()[SPP].datastream == 77
        client.close()
        assert heard(peer) == {"count": len(sent) + (kind == "seqpacket")}


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "stopped"])
@pytest.mark.parametrize("moment", ["before it accepts", "idle", "while we write", "while we close"])
def test_a_peer_that_is_gone_is_noticed_in_time(lab, moment, number) -> None:
    a, b = two_hosts(lab)
    with b.popen(*PEER, "echo", "seqpacket") as peer:
        heard(peer)
        client = a.socket("seqpacket")
        if moment == "before it accepts":
            peer.kill(number)
            start = time.monotonic()
            with pytest.raises(TimeoutError, match=r"no answer for 1\.5 s"):
                client.connect(address_of(b))
        else:
            client.connect(address_of(b))
            client.write(b"once")
            assert client.read() == b"once"
            peer.kill(number)
            start = time.monotonic()
            with pytest.raises(ConnectionAbortedError, match="the peer is gone"):
                if moment == "idle":
                    client.read()
                elif moment == "while we write":
                    while True:
                        client.write(b"on and on")
                else:
                    client.write(b"last words")
                    client.close()
        assert time.monotonic() - start < NOTICED
        with pytest.raises((ConnectionAbortedError, TimeoutError, LocalProtocolError)):
            client.write(b"again")


def test_a_server_notices_that_its_client_was_killed(lab) -> None:
    a, b = two_hosts(lab)
    with b.popen(*PEER, "echo", "seqpacket") as server:
        heard(server)
        with a.popen(*PEER, "talk", address_of(b)) as client:
            heard(client)
            client.kill()
            start = time.monotonic()
            found = heard(server)
            assert found["error"] == "ConnectionAbortedError" and "the peer is gone" in found["text"]
            assert time.monotonic() - start < NOTICED


def test_two_threads_talk(lab) -> None:
    a, b = two_hosts(lab)
    server = b.socket("seqpacket")
    server.bind(SOCKET)
    server.listen()
    client = a.socket("seqpacket")

    def echo() -> None:
        conn = server.accept()
        while not conn.ended and (data := conn.read()):
            conn.write(data)
        conn.close()

    thread = threading.Thread(target=echo)
    thread.start()
    client.connect(b.at(SOCKET))
    for n in range(200):
        client.write(b"%d" % n)
        assert client.read() == b"%d" % n
    client.close()
    thread.join(5)
    assert not thread.is_alive()
