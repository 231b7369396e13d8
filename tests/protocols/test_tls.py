"""TLS records and hellos (RFC 8446, RFC 6066, RFC 7301): several records in a segment, vectors, extensions by type."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeVar

import pytest

from packetlab import (
    TCP,
    U8,
    U16,
    U24,
    Bytes,
    Capture,
    Ether,
    Frame,
    Header,
    IPv4,
    Packet,
    Text,
    Writer,
    auto,
    const,
    fixed_bytes,
    has,
    left,
    many,
    named,
    receiver,
    sender,
    size_of,
    through,
    when,
)
from tests.protocols.oracle import Ask, alike, cut, family, packets_of, sound, spoilt
from tests.protocols.scope import Scope


class Pieces:
    """What is there of a message that goes on in the next record."""

    def __init__(self) -> None:
        self.read = b""


def joined(state: Pieces, data: bytes) -> bytes:
    """Return the messages that end in a record (RFC 8446 section 5.1)."""
    data, size = state.read + data, 0
    while len(data) >= size + 4 and len(data) >= (end := size + 4 + int.from_bytes(data[size + 1 : size + 4], "big")):
        size = end
    state.read = data[size:]
    return data[:size]


OVER_RECORDS = named("tls handshakes", joined, lambda state, data: data, state=Pieces, key=(sender(), receiver()))

with (scope := Scope()):

    class Record(Header, under=TCP, when={"port": 443}, stream=True):
        type: U8 = 22
        major: U8 = const(3)  # by which the middle of a record is known for that
        minor: U8 = 1
        length: U16 = auto(size_of("payload"))

    class ChangeCipher(Header, under=Record, when={"type": 20}):
        change: U8 = 1

    class Alert(Header, under=Record, when={"type": 21}):
        level: U8 = 2
        description: U8 = 40

    class Handshake(Header):
        type: U8 = 0
        length: U24 = auto(size_of("body"))
        body: Bytes = b""

    class Handshakes(Header, under=Record, when={"type": 22}):
        messages: tuple[Handshake, ...] = many()

    class Extension(Header):
        type: U16 = 0
        length: U16 = auto(size_of("data"))
        data: Bytes = b""

    class ServerName(Header):
        type: U8 = 0
        size: U16 = auto(size_of("name"))
        name: Text = ""

    class ServerNames(Extension, inside="data", when={"type": 0}):
        size: U16 = auto(size_of("names"))
        names: tuple[ServerName, ...] = many()

    class Groups(Extension, inside="data", when={"type": 10}):
        size: U16 = auto(size_of("groups"))
        groups: tuple[U16, ...] = many()

    class Signatures(Extension, inside="data", when={"type": 13}):
        size: U16 = auto(size_of("algorithms"))
        algorithms: tuple[U16, ...] = many()

    class Protocol(Header):
        size: U8 = auto(size_of("name"))
        name: Text = ""

    class Protocols(Extension, inside="data", when={"type": 16}):
        size: U16 = auto(size_of("protocols"))
        protocols: tuple[Protocol, ...] = many()

    class Versions(Extension, inside="data", when={"type": 43}):
        size: U8 = auto(size_of("versions"))
        versions: tuple[U16, ...] = many()

    class Modes(Extension, inside="data", when={"type": 45}):
        size: U8 = auto(size_of("modes"))
        modes: tuple[U8, ...] = many()

    class KeyShare(Header):
        group: U16 = 29
        size: U16 = auto(size_of("key"))
        key: Bytes = b""

    class KeyShares(Extension, inside="data", when={"type": 51}):
        size: U16 = auto(size_of("shares"))
        shares: tuple[KeyShare, ...] = many()

    class ClientHello(Handshake, inside="body", when={"type": 1}):
        version: U16 = 0x0303
        random: Annotated[bytes, fixed_bytes(32)] = bytes(32)
        session_size: U8 = auto(size_of("session"))
        session: Bytes = b""
        suites_size: U16 = auto(size_of("suites"))
        suites: tuple[U16, ...] = many()
        methods_size: U8 = auto(size_of("methods"))
        methods: tuple[U8, ...] = many(value=(0,))
        extensions_size: U16 | None = when(left(), auto(size_of("extensions")))  # old ones end before it
        extensions: tuple[Extension, ...] | None = when(has("extensions_size"), many())

    class Answer(Header):
        """An extension of a server, which has other contents."""

        type: U16 = 0
        length: U16 = auto(size_of("data"))
        data: Bytes = b""

    class ChosenVersion(Answer, inside="data", when={"type": 43}):
        version: U16 = 0x0304

    class ServerHello(Handshake, inside="body", when={"type": 2}):
        version: U16 = 0x0303
        random: Annotated[bytes, fixed_bytes(32)] = bytes(32)
        session_size: U8 = auto(size_of("session"))
        session: Bytes = b""
        suite: U16 = 0x1301
        method: U8 = 0
        extensions_size: U16 | None = when(left(), auto(size_of("extensions")))
        extensions: tuple[Answer, ...] | None = when(has("extensions_size"), many())

    class StreamRecord(Header, under=TCP, port=4433, stream=True):
        """A record for who reads whole streams (`Capture.messages`): a message over several records stands in that with its end."""

        type: U8 = 22
        major: U8 = const(3)
        minor: U8 = 1
        length: U16 = auto(size_of("payload"))

    class StreamHandshakes(Header, under=StreamRecord, when={"type": 22}):
        messages: tuple[Handshake, ...] = through(OVER_RECORDS, many())


M = TypeVar("M", bound=Handshake)
E = TypeVar("E", bound=Extension)


def hellos(packet: Packet, kind: type[M]) -> list[M]:
    some = [one[Handshakes].messages for one in packet.messages(Record) if Handshakes in one]
    return [one for messages in some for one in messages if isinstance(one, kind)]


def extensions(packet: Packet, kind: type[E]) -> list[E]:
    return [one for hello in hellos(packet, ClientHello) for one in hello.extensions or () if isinstance(one, kind)]


READINGS = {
    "tls.record.length": lambda p: [one[Record].length for one in p.messages(Record)],
    "tls.record.version": lambda p: [0x300 | one[Record].minor for one in p.messages(Record)],
    "tls.handshake.type": lambda p: [one.type for one in hellos(p, Handshake)],
    "tls.handshake.random": lambda p: [
        one.random for one in hellos(p, Handshake) if isinstance(one, ClientHello | ServerHello)
    ],
    "tls.handshake.ciphersuite": lambda p: [
        suite
        for one in hellos(p, Handshake)
        for suite in (
            one.suites if isinstance(one, ClientHello) else (one.suite,) if isinstance(one, ServerHello) else ()
        )
    ],
    "tls.handshake.extensions_server_name": lambda p: [
        name.name for one in extensions(p, ServerNames) for name in one.names
    ],
    "tls.handshake.extensions_supported_group": lambda p: [
        group for one in extensions(p, Groups) for group in one.groups
    ],
    "tls.handshake.extensions_alpn_str": lambda p: [
        protocol.name for one in extensions(p, Protocols) for protocol in one.protocols
    ],
    "tls.handshake.extensions.supported_version": lambda p: [
        *[version for one in extensions(p, Versions) for version in one.versions],
        *[
            one.version
            for hello in hellos(p, ServerHello)
            for one in hello.extensions or ()
            if isinstance(one, ChosenVersion)
        ],
    ],
}
CAPTURES = {"tls/hrr.pcap": (11,), "tls/tls13_psk_succesfull.pcap": ()}
"""Capture -> frames that end in the middle of a record, for which tshark waits for the rest."""


@pytest.mark.parametrize("name", CAPTURES)
def test_captures_are_read_as_tshark_reads_them(tshark: Ask, name: str) -> None:
    sound(alike(tshark, family(name), READINGS, given_up=CAPTURES[name]), Record)


def test_tshark_reads_what_we_build(tshark: Ask) -> None:
    below = Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2") / TCP(sport=50000, dport=443, flags="ACK")
    hello = ClientHello(
        random=bytes(range(32)),
        session=b"session",
        suites=(0x1301, 0x1302),
        extensions=(
            ServerNames(names=(ServerName(name="lab.example"),)),
            Groups(groups=(29, 23)),
            Signatures(algorithms=(0x0403, 0x0804)),
            Protocols(protocols=(Protocol(name="h2"), Protocol(name="http/1.1"))),
            Versions(versions=(0x0304, 0x0303)),
            Modes(modes=(1,)),
            KeyShares(shares=(KeyShare(key=bytes(32)), KeyShare(group=23, key=bytes(65)))),
            Extension(type=21, data=bytes(9)),
        ),
    )
    answer = ServerHello(extensions=(ChosenVersion(), Answer(type=51, data=bytes(36))))
    made = [
        below
        / (
            bytes(Record() / Handshakes(messages=(hello,)))
            + bytes(Record(type=20) / ChangeCipher())
            + bytes(Record() / Handshakes(messages=(answer,)))
            + bytes(Record(type=21) / Alert())
        )
    ]
    packets = alike(tshark, made, READINGS)
    assert len(packets[0].messages(Record)) == 4 and packets[0].messages(Record)[3][Alert].description == 40
    sound(packets, Record)


def test_a_hello_over_several_segments() -> None:
    capture = Capture(family("tls/hrr.pcap"))
    records = [one.packet for one in capture.messages(Record)]
    assert [one[Record].type for one in records[:4]] == [22, 22, 20, 20]
    (groups,) = extensions(records[0], Groups)
    hello = bytes(records[0])
    below = Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2") / TCP(sport=50000, dport=443, flags="ACK", seq=1)
    opening = below.replace(TCP, flags="SYN", seq=0)
    (again,) = Capture.of([opening, *(below / hello).segments(50)]).messages(Record)
    assert bytes(again.packet) == hello and extensions(again.packet, Groups) == [groups] and len(again.numbers) > 3


@pytest.mark.parametrize("size", [1, 3, 40, 100, 5000])
@pytest.mark.parametrize("segment", [60, 1400])
def test_messages_over_several_records(size: int, segment: int, tshark: Ask, tmp_path: Path) -> None:
    """However long the records are, and wherever segments end; several messages in a record too."""
    hello = ClientHello(random=bytes(range(32)), suites=(0x1301, 0x1302), extensions=(ServerNames(names=(ServerName(name="lab.example"),)),))
    messages = [hello, Handshake(type=11, body=bytes(300)), Handshake(type=14)]
    data = b"".join(map(bytes, messages))
    records = [Record() / data[at : at + size] for at in range(0, len(data), size)]
    below = Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2") / TCP(sport=50000, dport=4433, flags="ACK", seq=1)
    with Writer(tmp_path / "made.pcap") as writer:
        for number, one in enumerate([below.replace(TCP, flags="SYN", seq=0), *(below / b"".join(map(bytes, records))).segments(segment)]):
            writer.write(Frame(bytes(one), number * 1000))
    found = list(Capture(tmp_path / "made.pcap").messages(StreamRecord))
    assert [one.faults for one in found] == [()] * len(records) and [bytes(one.packet) for one in found] == list(map(bytes, records))
    read = [message for one in found if StreamHandshakes in one.packet for message in one.packet[StreamHandshakes].messages]
    assert read == messages and isinstance(read[0], ClientHello) and read[0].suites == (0x1301, 0x1302)
    rows = tshark(tmp_path / "made.pcap", "tls.handshake.type", "tls.handshake.ciphersuite", options=("-E", "aggregator=,", "-d", "tcp.port==4433,tls"))
    assert [value for row in rows for value in row[0].split(",") if value] == ["1", "11", "14"]
    assert [value for row in rows for value in row[1].split(",") if value] == ["0x1301", "0x1302"]


def test_cut_and_spoilt() -> None:
    packets = packets_of("tls/hrr.pcap")[3:4]
    assert "Handshakes.messages" in cut(packets, Handshakes)
    assert "Handshakes.messages" in spoilt(packets, Handshakes, times=200)
