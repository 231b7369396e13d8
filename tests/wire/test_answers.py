"""Which packet answers which: rules stated with headers, read layer by layer, and explained where they do not hold."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, strategies as st

import packetlab as pl
from packetlab import (
    ARP,
    GRE,
    ICMP,
    IDP,
    PEX,
    SPP,
    TCP,
    UDP,
    VXLAN,
    DeclareError,
    Echo,
    Ether,
    Header,
    ICMPv6,
    ICMPv6Echo,
    IPv4,
    IPv6,
    NeighborAdvertisement,
    NeighborSolicitation,
    Packet,
    bindings,
    reply,
    request,
)
from packetlab.pattern.replies import asks, demanding, keys, question, reasons


def there(upper: Any) -> Packet:
    return Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2") / upper


def back(upper: Any) -> Packet:
    return Ether() / IPv4(src="10.0.0.2", dst="10.0.0.1") / upper


SOLICITED = ICMPv6() / NeighborSolicitation(target="fe80::2")
PAIRS = {
    "udp": (there(UDP(sport=1000, dport=53)), back(UDP(sport=53, dport=1000))),
    "echo": (there(ICMP(identifier=1, sequence=2)), back(ICMP(type=0, identifier=1, sequence=2))),
    "timestamp": (there(ICMP(type=13, identifier=1, sequence=2)), back(ICMP(type=14, identifier=1, sequence=2))),
    "syn": (there(TCP(sport=1, dport=2, seq=9)), back(TCP(sport=2, dport=1, ack=10, flags="SYN|ACK"))),
    "syn refused": (there(TCP(sport=1, dport=2, seq=9)), back(TCP(sport=2, dport=1, ack=10, flags="RST|ACK"))),
    "data": (
        there(TCP(sport=1, dport=2, seq=2**32 - 2, flags="PSH|ACK") / b"data"),
        back(TCP(sport=2, dport=1, ack=2, flags="ACK")),
    ),
    "arp": (
        Ether() / ARP(sender_mac="02:00:00:00:00:01", sender_ip="10.0.0.1", target_ip="10.0.0.2"),
        Ether()
        / ARP(operation=2, sender_ip="10.0.0.2", target_ip="10.0.0.1", target_mac="02:00:00:00:00:01"),
    ),
    "multicast": (
        IPv4(src="10.0.0.1", dst="224.0.0.251") / UDP(sport=5353, dport=5353),
        IPv4(src="10.0.0.7", dst="10.0.0.1") / UDP(sport=5353, dport=5353),
    ),
    "echo6": (
        IPv6(src="::1", dst="::2") / ICMPv6(type=128) / ICMPv6Echo(identifier=1),
        IPv6(src="::2", dst="::1") / ICMPv6(type=129) / ICMPv6Echo(identifier=1),
    ),
    "neighbor": (
        IPv6(src="fe80::1", dst="ff02::1:ff00:2") / SOLICITED,
        IPv6(src="fe80::2", dst="fe80::1") / ICMPv6() / NeighborAdvertisement(target="fe80::2"),
    ),
    "pex": (IDP(src="1.2.3", dst="1.5.4") / PEX(id=7), IDP(src="1.5.4", dst="1.2.3") / PEX(id=7)),
    "xns echo": (IDP(src="1.2.3", dst="1.5.2") / Echo(), IDP(src="1.5.2", dst="1.2.3") / Echo(operation=2)),
    "spp": (
        IDP(src="1.2.3", dst="1.5.4") / SPP(source_id=7, control=0xC0),
        IDP(src="1.5.4", dst="1.2.3") / SPP(source_id=9, destination_id=7, control=0x80),
    ),
    "through a tunnel": (
        there(GRE() / there(UDP(sport=1, dport=2))[IPv4] / UDP(sport=1, dport=2)),
        there(GRE() / back(UDP(sport=2, dport=1))[IPv4] / UDP(sport=2, dport=1)),
    ),
    "through a tunnel whose ports do not change places": (
        there(UDP(sport=5000, dport=4789) / VXLAN() / there(ICMP(identifier=4, sequence=1))),
        back(UDP(sport=6000, dport=4789) / VXLAN() / back(ICMP(type=0, identifier=4, sequence=1))),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PAIRS)
def test_a_reply_answers_its_request_and_not_itself(name: str) -> None:
    one, other = PAIRS[name]
    assert other.answers(one) and reasons(other, one) == []
    assert pl.dissect(bytes(other), type(other.layers[0])).answers(pl.dissect(bytes(one), type(one.layers[0])))
    assert not one.answers(one) or name == "multicast"
    assert asks(one)


@pytest.mark.parametrize("name", PAIRS)
def test_a_request_is_found_by_what_its_reply_has_in_common(name: str) -> None:
    one, other = PAIRS[name]
    assert set(keys(one, "request")) & set(keys(other, "reply"))


@pytest.mark.parametrize(
    ("name", "layer", "changes", "said"),
    [
        ("udp", UDP, {"sport": 54}, ["UDP: reply.sport == request.dport does not hold: reply.sport = 54, request.dport = 53"]),
        (
            "echo", ICMP, {"sequence": 3},
            ["ICMP: reply.sequence == request.sequence does not hold: reply.sequence = 3, request.sequence = 2"],
        ),
        ("syn", TCP, {"ack": 9}, ["TCP: ((reply.ack - request.seq) & 4294967295) > 0 does not hold: reply.ack = 9, request.seq = 9"]),
        ("pex", PEX, {"id": 8}, ["PEX: reply.id == request.id does not hold: reply.id = 8, request.id = 7"]),
    ],
)  # fmt: skip
def test_each_rule_that_fails_is_reported_with_both_values(
    name: str, layer: Any, changes: Any, said: list[str]
) -> None:
    one, other = PAIRS[name]
    assert [reason.text for reason in reasons(other.replace(layer, **changes), one)] == said


def test_addresses_are_reported_as_addresses() -> None:
    one, other = PAIRS["udp"]
    (reason,) = reasons(other.replace(IPv4, dst="10.0.0.9"), one)
    assert reason.layer == "IPv4" and "reply.dst = 10.0.0.9, request.src = 10.0.0.1" in reason.text


def test_what_is_no_answer_for_other_reasons() -> None:
    one, other = PAIRS["udp"]
    assert [r.text for r in reasons(back(TCP()), one)] == ["TCP does not answer UDP"]
    assert [r.text for r in reasons(Ether() / b"x", one)] == ["nothing answers UDP in Ether"] or reasons(
        Ether() / b"x", one
    )
    error = back(ICMP(type=3)) / one[IPv4] / UDP(sport=1000, dport=53)
    assert [r.text for r in reasons(error, one)] == ["ICMP reports an error, which is no answer"]
    assert [r.text for r in reasons(other, Ether() / b"x")] == ["no rule says what answers Ether"]
    assert not asks(error) and not asks(there(b"opaque")) and not asks(Ether() / b"x")


def test_rules_tell_requests_from_what_may_be_one() -> None:
    echo, echoed = PAIRS["echo"]
    assert demanding(echo) and not asks(echoed)
    assert asks(PAIRS["udp"][0]) and not demanding(PAIRS["udp"][0])


def test_a_question_stays_the_same_where_others_fields_change() -> None:
    one, _ = PAIRS["udp"]
    assert question(one) == question(one.replace(IPv4, id=7, ttl=3))
    assert question(one) != question(one.replace(UDP, sport=1001)) and question(one) != question(one / b"x")


def test_rules_are_data_that_print() -> None:
    assert str(PEX._declaration.answers[None]) == "reply.id == request.id"
    assert str(Echo._declaration.answers[None]) == "(request.operation == 1) & (reply.operation == 2)"


def test_a_protocol_of_ones_own_states_its_rule() -> None:
    with bindings():

        class Query(
            Header,
            under=UDP,
            when={"dport": 7777},
            answers=(request.response == 0) & (reply.response == 1) & (reply.id == request.id),
        ):
            id: pl.U16 = 0
            response: pl.U8 = 0

        pl.bind(Query, under=UDP, when=pl.field("sport") == 7777)
        query = there(UDP(sport=5, dport=7777) / Query(id=3))
        assert back(UDP(sport=7777, dport=5) / Query(id=3, response=1)).answers(query)
        wrong = reasons(back(UDP(sport=7777, dport=5) / Query(id=4)), query)
        assert [r.text for r in wrong] == [
            "Query: reply.response == 1 does not hold: reply.response = 0",
            "Query: reply.id == request.id does not hold: reply.id = 4, request.id = 3",
        ]

        class Better(Query):
            """A subclass answers as its base does."""

        assert (Better(id=3, response=1) / b"").answers(Query(id=3) / b"")

        class Refusal(Header, answers={Query: reply.of == request.id}):
            of: pl.U16 = 0

        assert (Refusal(of=3) / b"").answers(Query(id=3) / b"") and not (Refusal(of=4) / b"").answers(Query(id=3) / b"")


def test_a_rule_that_names_no_field_is_refused_when_the_class_is_made() -> None:
    with bindings():
        with pytest.raises(
            DeclareError, match=r"Wrong, answers: expected a field of Wrong, got idd \(did you mean 'id'"
        ):

            class Wrong(Header, answers=reply.idd == request.id):
                id: pl.U16 = 0

        with pytest.raises(DeclareError, match="Other, answers: expected a field of Other, got nothing"):

            class Other(Header, answers={UDP: reply.nothing == request.sport}):
                id: pl.U16 = 0

        with pytest.raises(TypeError, match="no truth value"):

            class Truth(Header, answers=reply.id == request.id and reply.id == 1):
                id: pl.U16 = 0


@given(st.binary(max_size=80), st.binary(max_size=80))
def test_whatever_the_bytes_there_is_an_answer_to_whether_they_answer(one: bytes, other: bytes) -> None:
    for first in (Ether, IPv4, IDP):
        left, right = pl.dissect(one, first), pl.dissect(other, first)
        assert isinstance(right.answers(left), bool) and isinstance(asks(left), bool)
        hash(question(left))
