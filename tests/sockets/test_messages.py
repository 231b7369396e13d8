"""Whole messages through stream sockets of every network: XNS in virtual time, TCP on this machine and in a lab."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from packetlab import (
    TCP,
    U8,
    U16,
    U32,
    Header,
    LocalHost,
    RemoteProtocolError,
    SimNetwork,
    Text,
    auto,
    bindings,
    choose,
    const,
    ended,
    field,
    size_of,
    when,
)
from packetlab.errors import SocketMisuse


@pytest.fixture(scope="module", autouse=True)
def declared() -> Iterator[None]:
    global Rec, Alert, Line, Total, File, Sided, Asked, Answered, Addressed
    with bindings():

        class Rec(Header, stream=True):
            type: U8 = 22
            version: U16 = const(0x0303)
            length: U16 = auto(size_of("payload"))

        class Alert(Header, under=Rec, when={"type": 21}):
            level: U8 = 1
            code: U8 = 0

        class Line(Header, stream=True):
            text: Text = ended(b"\r\n")

        class Total(Header, stream=True):
            size: U32 = auto(size_of("self") + size_of("payload"))

        class File(Header, stream=True, payload_size=choose(field("size") != 0, field("size"), -1)):
            size: U8 = 0

        class Sided(Header, stream=True):
            length: U8 = auto(size_of("payload"))

        class Asked(Header, under=Sided, when=field("TCP.sport") > field("TCP.dport")):
            a: U8 = 1

        class Answered(Header, under=Sided, when=field("TCP.sport") <= field("TCP.dport")):
            b: U8 = 1

        class Addressed(Header, stream=True):
            near: U8 | None = when(field("IDP.packet_type") == 5, 1)
            length: U8 = auto(size_of("payload"))

        yield


@pytest.fixture(params=["xns", "here", "lab"])
def pair(request: Any) -> Iterator[tuple[Any, Any]]:
    """Two ends of a stream."""
    if request.param == "xns":
        net = SimNetwork(1)
        a, b = net.host("a"), net.host("b")
        net.link(a, b, delay=0.01)
        server, family = b.socket("stream"), "xns"
        server.bind(3000)
        server.listen()
        client = a.socket("stream")
        client.connect(b.at(3000))
    else:
        if request.param == "lab":
            lab = request.getfixturevalue("lab")
            a, b = lab.host("a"), lab.host("b")
            lab.link(a, b)
        else:
            a = b = LocalHost()
        server, family = b.socket("stream", family="inet"), "inet"
        server.bind((str(b.address), 0))
        server.listen()
        client = a.socket("stream", family=family)
        client.connect(server.address)
    other = server.accept()
    with server, client, other:
        client.timeout = other.timeout = 5
        yield client, other


def test_messages_come_whole_whatever_the_segments(pair: Any) -> None:
    client, other = pair
    client.write(Rec(type=21) / Alert(code=9))
    packet = other.read_packet(Rec)
    assert packet[Alert].code == 9
    data = bytes(Rec() / b"abc") + bytes(Rec(type=23) / (b"x" * 20_000)) + bytes(Rec() / b"")
    for start in range(0, len(data), 1777):
        client.write(data[start : start + 1777])
    found = [other.read_packet(Rec) for _ in range(3)]
    assert b"".join(map(bytes, found)) == data
    client.write("one\r\ntwo\r\nthr")
    assert [other.read_packet(Line)[Line].text for _ in range(2)] == ["one", "two"]
    assert other.read(2) == b"th"
    assert other.read() == b"r"
    client.close()
    assert other.read_packet(Line) is None
    assert other.read() == b""


def test_a_message_that_does_not_come_in_time_is_not_lost(pair: Any) -> None:
    client, other = pair
    whole = bytes(Rec() / b"abcdef")
    client.write(whole[:4])
    other.timeout = 0.2
    with pytest.raises(TimeoutError):
        other.read_packet(Rec)
    with pytest.raises(TimeoutError):
        other.read_packet(Rec)
    other.timeout = 5
    client.write(whole[4:])
    assert bytes(other.read_packet(Rec)) == whole


def test_the_end_inside_a_message_says_what_was_read(pair: Any) -> None:
    client, other = pair
    client.write(bytes(Rec() / b"abc") + bytes(Rec() / b"abc")[:6])
    client.close()
    assert other.read_packet(Rec).payload == b"abc"
    for _ in range(2):
        with pytest.raises(RemoteProtocolError, match=r"a whole Rec, got the end of the stream after 6 bytes"):
            other.read_packet(Rec)
    assert other.read() == bytes(Rec() / b"abc")[:6]
    assert other.read() == b""


def test_rules_of_messages_ask_the_ports_of_the_socket(pair: Any) -> None:
    client, other = pair
    if client.family == "xns":
        for writer, reader in ((client, other), (other, client)):
            writer.write(b"\7\0")
            assert reader.read_packet(Addressed)[Addressed].near == 7
        return
    far, near = client.address[1], other.address[1]
    for writer, reader, asks in ((client, other, far > near), (other, client, near > far)):
        writer.write(b"\1\7" + b"\1\7")
        for _ in range(2):
            assert reader.read_packet(Sided).summary().split(" / ")[1] == ("Asked" if asks else "Answered")


def test_a_message_may_go_on_up_to_the_close(pair: Any) -> None:
    client, other = pair
    other.timeout = 0.2
    client.write(bytes(File(size=3) / b"abc") + b"\0" + b"x" * 5000)
    assert bytes(other.read_packet(File)) == b"\3abc"
    with pytest.raises(TimeoutError):
        other.read_packet(File)
    client.write(b"end")
    client.close()
    other.timeout = 5
    packet = other.read_packet(File)
    assert packet.payload == b"x" * 5000 + b"end" and not packet.faults
    assert other.read_packet(File) is None and other.read() == b""


def test_a_message_up_to_the_close_that_is_too_large_is_not_lost(pair: Any) -> None:
    client, other = pair
    client.write(b"\0" + b"x" * 50)
    client.close()
    for _ in range(2):
        with pytest.raises(RemoteProtocolError, match="a message of 40 bytes at most"):
            other.read_packet(File, largest=40)
    assert other.read_packet(File).payload == b"x" * 50


def test_sizes_that_nobody_has_and_what_is_no_message(pair: Any) -> None:
    client, other = pair
    client.write(b"\xff\xff\xff\xff" + b"more")
    with pytest.raises(RemoteProtocolError, match="1048576 bytes at most"):
        other.read_packet(Total)
    client.write(b"")
    assert other.read() == b"\xff\xff\xff\xffmore"
    client.write(b"\0\0\0\1rest")
    with pytest.raises(RemoteProtocolError, match=r"size: expected a size of 4 bytes or more.*rest"):
        other.read_packet(Total)
    assert other.read() == b"\0\0\0\1rest"
    client.write(Rec(type=23) / b"abc")
    with pytest.raises(RemoteProtocolError, match="7 bytes at most"):
        other.read_packet(Rec, largest=7)
    assert other.read_packet(Rec).payload == b"abc"
    client.write(b"\x16\x09\x09\0\1x")
    assert [fault.field for fault in other.read_packet(Rec).faults] == ["version"]


def test_misuse_is_said(pair: Any) -> None:
    client, _ = pair
    with pytest.raises(SocketMisuse, match="stream=True"):
        client.read_packet(TCP)
    with pytest.raises(SocketMisuse, match="stream=True"):
        client.read_packet("Rec")
    with pytest.raises(SocketMisuse, match="1 or more"):
        client.read_packet(Rec, largest=0)
