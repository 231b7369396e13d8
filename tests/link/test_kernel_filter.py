"""Filters on live sockets: only what passes arrives, what was queued before is gone, and tags are as in a file."""

from __future__ import annotations

import pytest

from packetlab import TCP, UDP, VLAN, BuildError, Ether, Interface, IPv4, Lab
from packetlab.link.interface import EVERY_PROTOCOL

TO = Ether(dst="02:00:00:00:00:02", src="02:00:00:00:00:01")
DNS = TO / IPv4(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=9, dport=53) / b"q"
WEB = TO / IPv4(src="10.0.0.1", dst="10.0.0.2") / TCP(sport=9, dport=80)
TAGGED = TO / VLAN(id=5) / IPv4(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=9, dport=53) / b"t"


def linked(lab: Lab, **options):
    """Return a port to send on, and one at the other end."""
    a, b = lab.host("a"), lab.host("b")
    if not a.ends:
        lab.link(a, b)
    sock = b.kernel_socket(17, 3, 0)
    return a.interface, Interface("eth0", socket=sock, protocol=EVERY_PROTOCOL, **options)


def arrived(port: Interface) -> list[bytes]:
    """What is there by the time that a last frame, which passes every filter here, has come."""
    return [frame.data for frame in port.capture(timeout=0.0)]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [("udp port 53", [DNS, TAGGED]), ("tcp", [WEB]), ("not udp", [WEB]), ("vlan 5", [TAGGED]), ("vlan 6", []),
     ("not vlan", [DNS, WEB]), ("vlan and udp", [TAGGED]), ("ip protochain 17", [DNS]), (None, [DNS, WEB, TAGGED])],
)  # fmt: skip
def test_only_what_passes_arrives(lab: Lab, expression: str | None, expected: list) -> None:
    port, other = linked(lab, filter=expression)
    with other:
        port.send_all([DNS, WEB, TAGGED])
        assert arrived(other) == [bytes(frame) for frame in expected]


@pytest.mark.parametrize("expression", ["tcp", "vlan"])
def test_frames_queued_before_are_gone_and_a_filter_can_be_changed(lab: Lab, expression: str) -> None:
    port, other = linked(lab)
    with other:
        port.send_all([DNS, WEB, TAGGED] * 50)
        other.filter(expression)
        assert arrived(other) == []
        port.send_all([DNS, WEB, TAGGED])
        assert arrived(other) == [bytes({"tcp": WEB, "vlan": TAGGED}[expression])]
        port.send_all([DNS, WEB])
        other.filter(None)
        port.send_all([WEB, DNS])
        assert arrived(other) == [bytes(WEB), bytes(DNS)]


def test_what_does_not_pass_costs_the_reader_nothing(lab: Lab) -> None:
    port, other = linked(lab, filter="tcp")
    with other:
        other.statistics()
        port.send_all([DNS] * 100 + [WEB])
        assert other.statistics() == (1, 0) and other.take() == [bytes(WEB)]


def test_a_filter_in_the_readers_hands_keeps_timeouts(lab: Lab) -> None:
    port, other = linked(lab, filter="vlan")
    with other:
        port.send_all([DNS] * 10)
        with pytest.raises(TimeoutError):
            other.receive(timeout=0.01)
        port.send(TAGGED)
        assert other.take() == [bytes(TAGGED)]


def test_a_wrong_filter_is_reported_and_leaves_no_socket_open(lab: Lab) -> None:
    with pytest.raises(BuildError, match="syntax error"):
        linked(lab, filter="tcp prt 80")
    b = lab.host("b")
    sock = b.kernel_socket(17, 3, 0)
    with pytest.raises(BuildError):
        Interface("eth0", socket=sock, filter="prt")
    assert sock.fileno() == -1
