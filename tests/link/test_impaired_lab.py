"""Impaired links of a lab: shaped in user space for every program, by the same object as in the simulated network."""

from __future__ import annotations

import os
import re
import socket
import sys
import time

import pytest

from packetlab import U16, Ether, Frame, Header, PacketlabError, Rest
from packetlab.link.lab import relay
from packetlab.link.port import BATCH
from tests.link.asleep import sleeps


class Marble(Header, under=Ether, when={"type": 0x9AB9}):
    """Something to roll."""

    number: U16 = 0
    note: Rest = b""


def roll(a, b, count):
    for number in range(1, count + 1):
        a.interface.send(Ether(dst=b.mac, src=a.mac) / Marble(number=number))


def rolled(b, count=0):
    """Return the numbers of the frames that arrive: wait for `count` of them, then a little for one too many."""
    frames = [*b.interface.capture(count=count, timeout=10, where=Marble)]
    frames += b.interface.capture(timeout=0.3, where=Marble)
    return [frame.packet()[Marble].number for frame in frames]


def test_real_programs_feel_the_delay(lab) -> None:
    a, b = lab.host("a"), lab.host("b")
    lab.link(a, b, delay=0.03)
    out = a.run("ping", "-c3", "-i0.2", str(b.address), check=True).stdout
    times = [float(text) for text in re.findall(r"time=([\d.]+) ms", out)]
    assert len(times) == 3 and all(60 <= taken < 500 for taken in times)


def test_frames_on_a_schedule_are_dropped(lab) -> None:
    a, b = lab.host("a"), lab.host("b")
    lab.link(a, b, drop=[2, 5])
    roll(a, b, 6)
    assert rolled(b, 4) == [1, 3, 4, 6]


@pytest.mark.slow
def test_loss_is_by_the_seed(lab) -> None:
    a, b, c = lab.host("a"), lab.host("b"), lab.host("c")
    lab.link(a, b, loss=0.5, seed=1)
    roll(a, b, 40)
    got = rolled(b, 8)
    assert 8 < len(got) < 32 and got == sorted(got)
    switch = lab.switch("s")
    lab.link(c, switch, loss=1)
    lab.link(b, switch)
    c.interface.send(Ether(dst="ff:ff:ff:ff:ff:ff", src=c.mac) / Marble())
    with pytest.raises(TimeoutError):
        b.interfaces[1].receive(timeout=0.2, where=Marble)


def test_a_partition_holds_until_it_heals_and_shapes_change_while_it_runs(lab) -> None:
    a, b = lab.host("a"), lab.host("b")
    link = lab.link(a, b, delay=0)
    link.partition()
    roll(a, b, 1)
    sleeps(f"/proc/{lab._relays[0]._process.pid}")  # it has seen that frame
    assert rolled(b) == []
    link.heal()
    roll(a, b, 2)
    assert rolled(b, 2) == [1, 2]
    link.change(duplicate=1.0)
    roll(a, b, 1)
    assert rolled(b, 2) == [1, 1]
    with pytest.raises(PacketlabError, match="link loss"):
        link.change(loss=7)


def test_a_plain_link_says_how_to_have_impairments(lab) -> None:
    a, b = lab.host("a"), lab.host("b")
    with pytest.raises(PacketlabError, match="delay=0"):
        lab.link(a, b).partition()


def test_what_a_link_cannot_be_is_said_before_anything_is_made(lab) -> None:
    a, b = lab.host("a"), lab.host("b")
    with pytest.raises(PacketlabError, match="did you mean 'loss'"):
        lab.link(a, b, lose=0.5)


@pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)  # it ends with its process
def test_a_relay_forwards_and_hears_changes_while_frames_keep_coming(monkeypatch) -> None:
    control, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    one, other = socket.socketpair()
    taken, sent = [], []

    class Flooded:
        """One end is always readable, and has always one more frame."""

        def __init__(self, name: str, **given: object) -> None:
            self.name = name

        def fileno(self) -> int:
            return readable if self.name == "eth0" else silent

        def _receive(self, timeout: float) -> Frame:
            taken.append(self.name)
            assert len(taken) < 100_000, "it takes frames for ever"
            if len(taken) == 1:
                control.send(b'{"delay": 0.0}')
            return Frame(b"x" * 60)

        def _send(self, data: bytes) -> None:
            sent.append(self.name)
            control.shutdown(socket.SHUT_WR)  # and so the relay ends, once it has heard the change

    monkeypatch.setattr(relay, "Interface", Flooded)
    monkeypatch.setattr(sys, "argv", ["relay", *(str(end.fileno()) for end in (far, one, other))])
    readable, silent = os.eventfd(1), os.eventfd(0)
    with far, one, other, control:
        control.send(b'{"names": ["a", "b"], "seed": "1", "shape": {}}')
        relay.main()
        assert [control.recv(99), control.recv(99)] == [b"ready", b"done"]
    os.close(readable)
    os.close(silent)
    assert set(taken) == {"eth0"} and set(sent) == {"eth1"} and len(sent) == 2 * BATCH


def test_the_relay_ends_with_the_lab(lab) -> None:
    a, b = lab.host("a"), lab.host("b")
    lab.link(a, b, delay=0.001)
    process = lab._relays[0]._process
    start = time.monotonic()
    lab.close()
    assert process.poll() is not None and time.monotonic() - start < 5
