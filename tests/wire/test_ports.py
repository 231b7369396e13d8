"""Protocols over ports: a reply comes from the port that the request went to."""

from __future__ import annotations

import json
from typing import Any

import pytest

from packetlab import (
    TCP,
    U8,
    UDP,
    Bytes,
    Capture,
    DeclareError,
    Ether,
    Frame,
    Header,
    IPv4,
    auto,
    bind,
    bindings,
    declare_from,
    describe,
    dissect,
    reply,
    request,
    size_of,
    wireshark,
)  # fmt: skip
from packetlab.declare.registry import header_named
from packetlab.schema.source import class_body

IP = Ether() / IPv4(src="10.0.0.2", dst="10.0.0.1")
BODY = b"\x01\x07"


@pytest.fixture
def names():
    with bindings():

        class Names(Header, under=UDP, when={"port": 17354}, answers=(request.answer == 0) & (reply.answer == 1)):
            answer: U8 = 0
            id: U8 = 0

        yield Names


def test_a_port_is_either_and_built_as_the_destination(names) -> None:
    query = bytes(IP / UDP(sport=40000) / names(id=7))
    assert query[36:38] == (17354).to_bytes(2, "big")
    answered = bytes(IP / UDP(sport=17354, dport=40000) / BODY)
    assert dissect(query)[names].id == dissect(answered)[names].id == 7
    assert dissect(bytes(IP / UDP(sport=1, dport=2) / BODY)).payload == BODY


def test_of_two_ports_the_destination_counts_first(names) -> None:
    class Other(Header, under=UDP, when={"port": (5355, 17356)}):
        kind: U8 = 0

    assert Other in dissect(bytes(IP / UDP(sport=17354, dport=17356) / BODY))
    assert names in dissect(bytes(IP / UDP(sport=17356, dport=17354) / BODY))
    with pytest.raises(DeclareError, match="a free number"):

        class Third(Header, under=UDP, when={"port": 17356}):
            kind: U8 = 0


@pytest.mark.parametrize("engine", ["rows", None])
def test_columns_and_filters_see_replies(names, engine: str | None) -> None:
    packets = [IP / UDP(sport=40000) / names(id=3), IP / UDP(sport=17354, dport=40000) / BODY]
    capture = Capture.of([Frame(bytes(packet)) for packet in packets])
    assert capture.table("names.id", engine=engine).read()["names.id"].tolist() == [3, 7]
    assert [frame.number for frame in capture.where("names.answer == 1")] == [2]


def test_a_description_says_port(names) -> None:
    data = describe(names)
    assert data["under"] == [{"header": "UDP", "numbers": {"port": [17354]}}]
    assert "under=UDP, port=17354," in class_body(json.loads(json.dumps(data)))
    with bindings():
        (again,) = declare_from(json.loads(json.dumps([data])))
        assert describe(again) == data
        assert dissect(bytes(IP / UDP(sport=17354, dport=9) / BODY)).layers[-1].id == 7


def test_wireshark_has_either(names) -> None:
    text = str(wireshark(names))
    assert 'put("udp.port"' in text and "number = 17354" in text and 'port = "dst_port"' not in text


@pytest.mark.parametrize("port", [17361, (17361, 17362)])
def test_port_is_an_option_of_a_class_and_of_a_binding(port: int | tuple[int, ...]) -> None:
    with bindings():

        class Query(Header, under=(UDP, TCP), port=port):
            kind: U8 = 0

        class Later(Header):
            kind: U8 = 0

        bind(Later, under=UDP, port=17363)
        assert bytes(UDP() / Query())[2:4] == bytes(TCP() / Query())[2:4] == (17361).to_bytes(2, "big")
        for lower in (UDP(sport=17361), UDP(dport=17361), TCP(sport=17361), TCP(dport=17361)):
            assert Query in dissect(bytes(IP / lower / b"x"))
        assert Later in dissect(bytes(IP / UDP(sport=17363, dport=9) / b"x"))
        assert (UDP in dissect(bytes(IP / UDP(sport=17363) / Later()))) and "port=17363" in class_body(describe(Later))


def test_messages_of_a_stream_have_a_port_too() -> None:
    with bindings():

        class Told(Header, under=TCP, port=17365, stream=True, label="says {text}"):
            size: U8 = auto(size_of("text"))
            text: Bytes = b""

        there = bytes(IP / TCP(sport=50000, flags="PSH|ACK", seq=1) / Told(text=b"one"))
        back = bytes(
            IP
            / TCP(sport=17365, dport=50000, flags="PSH|ACK", seq=1)
            / (bytes(Told(text=b"two")) + bytes(Told(text=b"three")))
        )
        capture = Capture.of([Frame(there), Frame(back)])
        assert [one.packet[Told].text for one in capture.messages(Told)] == [b"one", b"two", b"three"]
        assert dissect(back)[Told, 1].text == b"three"
        assert dissect(back).summary() == "Ether / IPv4 / TCP / Told says two + Told says three"
        assert [frame.number for frame in capture.where("told.size == 3")] == [1, 2]
        assert capture.table("told.text").read()["told.text"].tolist() == [b"one", b"two"]
        (again,) = declare_from(json.loads(json.dumps([describe(Told)])))
        assert describe(again) == describe(Told) and "port=17365" in class_body(describe(again))
        assert 'put("tcp.port"' in str(wireshark(Told))


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"port": 17367}, "Lost, port=: expected under= too, as in under=UDP, port=69, got port= alone"),
        (
            {"under": IPv4, "port": 17367},
            "Lost under IPv4, port=: expected a header with sport and dport, such as UDP, got IPv4",
        ),
        (
            {"under": UDP, "port": 17367, "when": {"dport": 1}},
            "Lost under UDP: expected port= alone, or when=, got both",
        ),
        ({"under": UDP, "port": 70000}, "Lost under UDP.dport: expected 0..65535, got 70000"),
        ({"under": UDP, "ports": 1}, "did you mean 'port'"),
    ],
)
def test_a_port_that_says_nothing_is_refused(options: dict[str, Any], complaint: str) -> None:
    with bindings(), pytest.raises(DeclareError) as caught:

        class Lost(Header, **options):
            kind: U8 = 0

    assert complaint in str(caught.value)
    assert header_named("Lost") is None


def test_an_exchange_sees_the_reply_or_says_where_the_bytes_came_from(names) -> None:
    class Deaf(Header, under=UDP, when={"dport": 5400}, answers=(request.answer == 0) & (reply.answer == 1)):
        answer: U8 = 0

    query = IP / UDP(sport=9) / Deaf()
    answered = dissect(bytes(Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=5400, dport=9) / BODY))
    from packetlab.pattern.replies import reasons

    assert [reason.text for reason in reasons(answered, query)] == [
        "nothing answers Deaf in Ether / IPv4 / UDP; its 2 bytes came from port 5400, and Deaf is bound to dport alone: "
        'when={"port": 5400} takes either'
    ]
    heard = dissect(bytes(Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=17354, dport=9) / BODY))
    assert reasons(heard, IP / UDP(sport=9) / names()) == []


def test_a_header_without_two_ports_has_no_such_name() -> None:
    with bindings(), pytest.raises(DeclareError, match="port"):

        class Lost(Header, under=IPv4, when={"port": 9}):
            kind: U8 = 0

    assert header_named("Lost") is None


def test_ports_of_tcp_and_of_a_users_own_transport() -> None:
    with bindings():

        class Mine(Header, under=IPv4, when={"protocol": 253}):
            sport: U8 = 0
            dport: U8 = 0

        class Above(Header, under=(TCP, Mine), when={"port": 77}):
            kind: U8 = 0

        for lower in (TCP(sport=77), Mine(sport=77, dport=1), Mine(dport=77)):
            assert Above in dissect(bytes(IP / lower / b"x"))
        assert bytes(Mine() / Above()) == b"\0\x4d\0"
