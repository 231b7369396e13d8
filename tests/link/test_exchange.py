"""One request and its reply: in virtual time, against the kernel in a lab, and what is said where none comes."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from packetlab import (
    ARP,
    ICMP,
    IDP,
    PEX,
    TCP,
    UDP,
    BuildError,
    Engine,
    Ether,
    IPv4,
    Lab,
    LocalHost,
    Packet,
    PacketlabError,
    SimNetwork,
    dissect,
    exchange,
    one_of,
)

ASK = IPv4(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=1000, dport=53) / b"q"


class Answering(Engine):
    """Answers the n-th packet with what a function makes of it and of n."""

    def __init__(self, answer: Callable[[Packet, int], list[Packet]]) -> None:
        self.answer, self.count, self.out = answer, 0, []  # type: ignore[var-annotated]

    def receive(self, packet: Packet, now: int) -> None:
        self.count += 1
        self.out += self.answer(packet, self.count)

    def packets_to_send(self, now: int) -> Sequence[Packet]:
        out, self.out = self.out, []
        return out


def two(answer: Callable[[Packet, int], list[Packet]]) -> tuple[SimNetwork, Any]:
    net = SimNetwork(seed=1)
    here, peer = net.host("here"), net.host("peer")
    net.link(here, peer, delay=0.01)
    peer.attach(Answering(answer), where=UDP)
    return net, here


def reported(sport: int, data: bytes) -> Packet:
    return IPv4(src="10.0.0.2", dst="10.0.0.1") / UDP(sport=sport, dport=1000) / data


def test_the_reply_comes_with_its_round_trip_in_virtual_time() -> None:
    net, here = two(lambda packet, n: [reported(53, b"yes")])
    result = exchange(ASK, via=here)
    assert result and result.reply is not None and result.reply.payload == b"yes"
    assert result.round_trip == pytest.approx(0.02) and net.now == 20_000_000
    assert (result.sent, result.retransmissions, result.others) == (1, 0, [])


def test_it_is_sent_again_and_what_came_otherwise_is_reported() -> None:
    _, here = two(lambda packet, n: [reported(54, b"no")] if n < 3 else [reported(53, b"yes")])
    result = exchange(ASK, via=here, timeout=0.5, retries=4)
    assert result and result.sent == 3 and result.retransmissions == 2 and result.round_trip == pytest.approx(0.02)
    assert [why for _, why in result.others] == [
        "UDP: reply.sport == request.dport does not hold: reply.sport = 54, request.dport = 53"
    ] * 2
    assert str(result).splitlines()[:2] == [
        "sent 3 times: Ether / IPv4 / UDP / 1 bytes, 10.0.0.1 > 10.0.0.2",
        "reply after 0.020000 s: Ether / IPv4 / UDP / 3 bytes, 10.0.0.2 > 10.0.0.1",
    ]


def test_no_reply_is_a_result_and_no_exception() -> None:
    net, here = two(lambda packet, n: [])
    result = exchange(ASK, via=here, timeout=0.25, retries=3)
    assert not result and result.sent == 4 and net.now == 1_000_000_000
    assert str(result).splitlines()[1] == "no reply"


def test_a_pattern_may_say_what_the_reply_is() -> None:
    _, here = two(lambda packet, n: [reported(53, b"yes"), reported(99, b"other")])
    result = exchange(ASK, UDP(sport=one_of(98, 99)), via=here)
    assert result.reply is not None and result.reply.payload == b"other"
    assert result.others[0][1] == "no match: UDP.sport: expected one_of(98, 99), got 53"
    result = exchange(ASK, TCP, via=here, timeout=0.1)
    assert not result and result.others[0][1].startswith("no match: no TCP in Ether / IPv4 / UDP")
    result = exchange(ASK, lambda packet: packet.payload == b"other", via=here)
    assert result and result.others[0][1] == "the function says no"


def test_a_port_will_do_as_well_as_a_host() -> None:
    _, here = two(lambda packet, n: [reported(53, b"yes")])
    with here.attachments[0].open() as port:
        assert exchange(Ether(src=here.attachments[0].mac) / ASK, via=port)


def test_without_a_rule_and_without_a_pattern_it_is_refused() -> None:
    _, here = two(lambda packet, n: [])
    with pytest.raises(BuildError, match="expect=, or a header with reply rules"):
        exchange(Ether() / b"x", via=here)


def test_an_engine_of_ours_is_queried_the_same_way() -> None:
    net = SimNetwork(seed=2)
    a, b = net.host("a"), net.host("b")
    net.link(a, b)
    b.answer(0x20, lambda data: data.upper())
    to, own = b.at(0x20).xns(a), a.at(0x900).xns(a)
    result = exchange(
        IDP(dst=to, src=own._replace(host=a.xns.node.host)) / PEX(id=7) / b"who", via=a, to=b.attachments[0].mac
    )
    assert result.reply is not None and result.reply.payload == b"WHO"


# Against the kernel -------------------------------------------------------------------------------------------------


def test_the_kernel_answers_arp_echo_and_connections(lab: Lab) -> None:
    a, b = lab.host("a"), lab.host("b")
    lab.link(a, b)
    mac, other = a.attachments[0].mac, b.attachments[0].mac
    ends = {"src": str(a.address), "dst": str(b.address)}
    arp = exchange(ARP(sender_mac=mac, sender_ip=ends["src"], target_ip=ends["dst"]), via=a)
    assert arp.reply is not None and bytes(arp.reply[ARP].sender_mac.packed) == other
    echo = exchange(IPv4(**ends) / ICMP(identifier=3, sequence=1) / b"hello", via=a, to=b.attachments[0].mac)
    assert echo.reply is not None and echo.reply.payload == b"hello"
    refused = exchange(IPv4(**ends) / TCP(sport=4000, dport=4001, seq=77), via=a, to=other)
    assert refused.reply is not None and refused.reply[TCP].ack == 78
    unreachable = exchange(IPv4(**ends) / UDP(sport=4000, dport=4001) / b"x", via=a, to=other, timeout=0.3)
    assert not unreachable and "ICMP reports an error, which is no answer" in [why for _, why in unreachable.others]


def test_a_program_in_the_lab_answers_over_its_own_socket(lab: Lab) -> None:
    a, b = lab.host("a"), lab.host("b")
    lab.link(a, b)
    server = b.kernel_socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((str(b.address), 5300))
    request = IPv4(src=str(a.address), dst=str(b.address)) / UDP(sport=4000, dport=5300) / b"x"
    # The kernel takes the request; nobody reads it, so nothing comes.
    assert not exchange(request, via=a, to=b.attachments[0].mac, timeout=0.2)
    data, peer = server.recvfrom(100)
    assert (data, peer[1]) == (b"x", 4000)
    server.close()
    assert dissect(bytes(Ether() / request)).payload == b"x"


def test_a_host_without_that_link_says_what_it_needs() -> None:
    net = SimNetwork()
    a, b, alone = net.host("a"), net.host("b"), net.host("alone")
    net.link(a, b)
    ping = IPv4(dst="10.0.0.1") / ICMP(type=8)
    for via in (LocalHost(), alone):
        with pytest.raises(
            PacketlabError, match=r"exchange: host \w+: expected a link, or an interface.*LocalHost\('eth0'\)"
        ):
            exchange(ping, via=via)
    for link in (1, -1):
        with pytest.raises(PacketlabError, match="exchange: host a: expected a link from 0 to 0, got"):
            exchange(ping, via=a, link=link)
    with pytest.raises(PacketlabError, match="attach: host a: expected a link from 0 to 0, got 3"):
        a.attach(Answering(lambda packet, count: []), link=3)
    with pytest.raises(PacketlabError, match="attach: to: host alone"):
        a.attach(Answering(lambda packet, count: []), to=alone)
    with pytest.raises(BuildError, match="expected a host, a port, or the name of an interface, got int"):
        exchange(ping, via=3)
