"""What is no number of seconds is refused, in words, by whatever waits: before it waits, sends or kills."""

from __future__ import annotations

import io
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from math import inf, nan
from typing import Any

import pytest
from netaddr import IPAddress

from packetlab import (
    ARP,
    BuildError,
    Capture,
    Ether,
    Lab,
    LocalProtocolError,
    PacketlabError,
    SimNetwork,
    Tape,
    Timing,
    exchange,
    memory_wire,
    record,
    replay,
    send,
)
from packetlab.capture.reassembly.fragments import Fragments
from packetlab.capture.reassembly.tcp import Streams
from packetlab.engine.contract import nanoseconds
from packetlab.engine.websocket.connection import WebSocket
from packetlab.link.replay.replay_sides import replay_sides
from packetlab.testing import Programs
from packetlab.view.series import rate

WRONG = [b"input", "1", [1], nan, inf, None]


def refused(call: Callable[[Any], object], wrong: list[Any]) -> None:
    for value in wrong:
        with pytest.raises(LocalProtocolError, match="expected a number of seconds, got") as caught:
            call(value)
        assert len(str(caught.value)) < 200


def test_any_number_is_one() -> None:
    assert nanoseconds(2, "") == 2 * 10**9 and nanoseconds(-0.5, "") == -(10**9) // 2
    assert nanoseconds(Fraction(1, 4), "") == 10**9 // 4  # type: ignore[arg-type]


def test_waits_in_a_lab(lab: Lab) -> None:
    a, b = lab.host("a"), lab.host("b")
    lab.link(a, b)
    program = a.popen("sleep", "3600")
    waits: list[Callable[[Any], object]] = [
        program.communicate, program.wait, lambda value: program.until(lambda: True, value), program.stdout.read,
        program.stdout.readline, lambda value: a.run("true", timeout=value), lambda value: a.until(lambda: True, value),
        a.interface.receive, lambda value: next(a.interface.capture(timeout=value)),
        lambda value: record(a.interface, io.BytesIO(), seconds=value),
    ]  # fmt: skip
    for wait in waits:
        refused(wait, WRONG[:-1])
    with b.interface.ring(1 << 20) as ring:
        refused(lambda value: next(ring.batches(value)), WRONG[:-1])
    with pytest.raises(LocalProtocolError, match=r"a: sleep: timeout: .*got bytes \(popen\(input=\.\.\.\)"):
        program.communicate(b"input")  # type: ignore[arg-type]
    refused(program.end, WRONG)
    refused(lambda value: Programs()(a, "true", timeout=value), WRONG)
    assert program.returncode is None  # none of them has ended it


def test_waits_in_virtual_time() -> None:
    net = SimNetwork()
    a, b = net.host("a"), net.host("b")
    net.link(a, b)
    refused(net.run, WRONG)
    refused(lambda value: exchange(Ether() / ARP(), via=a, timeout=value), WRONG)
    tape = Tape(net)
    for refusing in (
        tape.nothing, lambda value: tape.expect(a, b, at=value), lambda value: tape.expect(a, b, after=value),
        lambda value: tape.expect(a, b, tolerance=value), lambda value: Tape(net, tolerance=value),
        lambda value: tape.send(a, b, Ether(), at=value), lambda value: tape.send(a, b, Ether(), after=value),
    ):  # fmt: skip
        refused(refusing, WRONG[:-1])
    refused(tape.nothing, [None])
    refused(a.interface.receive, WRONG[:-1])
    refused(memory_wire()[0].receive, WRONG[:-1])


@pytest.mark.parametrize(
    "make",
    [
        lambda value: WebSocket("client", open_timeout=value), lambda value: WebSocket("server", close_timeout=value),
        lambda value: Timing(first=value), lambda value: Timing(shut=value), lambda value: Fragments(timeout=value),
        lambda value: Streams(linger=value),
    ],
)  # fmt: skip
def test_times_that_things_are_made_with(make: Callable[[Any], object]) -> None:
    refused(make, WRONG)


def test_a_pace_is_a_number_above_0() -> None:
    capture, wire = Capture.of([bytes(Ether())]), memory_wire()
    for wrong in ("1", b"1", [1], nan, 0, -1):
        calls: list[Callable[[], object]] = [
            *(partial(replay, capture, wire[0], **{name: wrong}) for name in ("speed", "rate", "mbps")),
            *(partial(replay_sides, capture, *wire, **{name: wrong}) for name in ("speed", "rate", "mbps", "wait")),
            partial(send, capture, wire[0], rate=wrong), partial(send, capture, wire[0], workers=wrong),
            partial(rate, capture, every=wrong),
        ]  # fmt: skip
        for call in calls:
            with pytest.raises(BuildError, match="expected a number above 0, got"):
                call()


def test_a_lab_says_which_mtu_a_link_can_have_and_a_closed_one_how_its_links_were(lab: Lab) -> None:
    a, b = lab.host("a"), lab.host("b")
    for wrong in (0, 67, 65536, 1500.0, "1500", None, nan):
        with pytest.raises(PacketlabError, match="link mtu: expected 68 to 65535 bytes, got"):
            lab.link(a, b, mtu=wrong)  # type: ignore[arg-type]
    link = lab.link(a, b, mtu=68, delay=0.001)
    lab.close()
    assert repr(link) == "<Link a -- b>"
    with pytest.raises(PacketlabError, match="link a -- b: expected a lab that is open, got one that is closed"):
        link.change(delay=0)


def test_no_link_is_endless_and_an_address_is_no_packet() -> None:
    net = SimNetwork()
    a, b = net.host("a"), net.host("b")
    for name in ("delay", "jitter"):
        for endless in (inf, nan, 1e300, 10**400, "1"):
            with pytest.raises(PacketlabError, match=f"link {name}: expected 0 to 1e9 seconds, got"):
                net.link(a, b, **{name: endless})
    with pytest.raises(PacketlabError, match="link rate: expected bits per second above 0"):
        net.link(a, b, rate=1e-300)
    net.link(a, b)
    for nothing in (IPAddress("1.2.3.4"), 5, None):
        with pytest.raises(TypeError, match="a packet, a header, a frame, bytes"):
            exchange(nothing, ARP, via=a)  # type: ignore[arg-type]
