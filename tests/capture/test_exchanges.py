"""Requests and replies of a capture: paired as tshark pairs them, with repeats, times and what stays open."""

from __future__ import annotations

from typing import Any

import pytest

from packetlab import ICMP, TCP, UDP, Capture, Ether, Frame, IPv4, Packet, exchanges
from tests.conftest import CORPUS


def there(upper: Any) -> Packet:
    return Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2") / upper


def back(upper: Any) -> Packet:
    return Ether() / IPv4(src="10.0.0.2", dst="10.0.0.1") / upper


def frames(*timed: tuple[float, Packet]) -> list[Frame]:
    return [Frame(bytes(packet), int(at * 1e9), number=number) for number, (at, packet) in enumerate(timed, 1)]


ASK, TELL = there(UDP(sport=1000, dport=53) / b"q"), back(UDP(sport=53, dport=1000) / b"a")


def test_requests_repeats_replies_and_what_stays_open() -> None:
    found = exchanges(frames((0.0, ASK), (1.0, ASK.replace(IPv4, id=5)), (1.25, TELL), (2.0, ASK)))
    assert len(found) == 2 and len(found.answered) == 1 and len(found.unanswered) == 1
    first = found[0]
    assert first.request.number == 1 and [frame.number for frame in first.repeats] == [2]
    assert first.reply is not None and first.reply.number == 3
    assert first.round_trip == 0.25 and first.waited == 1.25
    assert found.retransmissions == 1 and found.round_trips == [0.25]
    assert str(found) == (
        "#1 Ether / IPv4 / UDP / 1 bytes, 10.0.0.1 > 10.0.0.2, sent 2 times: answered by #3 after 0.250000 s\n"
        "#4 Ether / IPv4 / UDP / 1 bytes, 10.0.0.1 > 10.0.0.2: no reply"
    )


def test_a_reply_that_asks_itself_is_both() -> None:
    syn = there(TCP(sport=1, dport=2, seq=100))
    syn_ack = back(TCP(sport=2, dport=1, seq=500, ack=101, flags="SYN|ACK"))
    ack = there(TCP(sport=1, dport=2, seq=101, ack=501, flags="ACK"))
    found = exchanges([syn, syn_ack, ack])
    assert [(one.request.number, one.reply.number if one.reply else None) for one in found] == [(1, 2), (2, 3)]
    assert found.round_trips == []  # packets without times


def test_replies_find_the_request_they_answer_in_any_order() -> None:
    query = [there(ICMP(identifier=1, sequence=n)) for n in range(20)]
    reported = [back(ICMP(type=0, identifier=1, sequence=n)) for n in reversed(range(20))]
    found = exchanges([*query, *reported])
    assert len(found.answered) == 20
    for one in found:
        assert one.reply is not None
        assert one.request.packet()[ICMP].sequence == one.reply.packet()[ICMP].sequence


@pytest.mark.slow
def test_many_that_are_never_answered_take_no_longer_each() -> None:
    stream = [there(UDP(sport=5, dport=6) / n.to_bytes(4, "big")) for n in range(3000)]
    found = exchanges(stream)
    assert len(found.unanswered) == 3000 and found.retransmissions == 0


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dns-badcookie", "gre-sample", "linux_dlt_sll2", "pppoe", "raw_ip", "vxlan"])
def test_tshark_pairs_the_same_frames(name: str, tshark: Any) -> None:
    fields = ("frame.number", "icmp.resp_to", "dns.response_to", "icmpv6.resp_to")
    rows = tshark(CORPUS / f"{name}.pcap", *fields)
    theirs = {int(number): int(to) for number, *several in rows for to in several if to}
    ours = {one.reply.number: one.request.number for one in exchanges(Capture(CORPUS / f"{name}.pcap")) if one.reply}
    assert theirs and theirs.items() <= ours.items()


def test_the_bsd_conversation_is_request_and_reply_throughout() -> None:
    found = exchanges(Capture(CORPUS / "bsd-bsd.pcap"))
    assert found.retransmissions == 0 and len(found.answered) >= 6
