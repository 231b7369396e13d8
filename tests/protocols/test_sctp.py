"""SCTP's chunks and their parameters (RFC 9260, 3758), typed, padded to words of four bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import pytest

from packetlab import (
    SCTP,
    U8,
    U16,
    U32,
    Bytes,
    Ether,
    Header,
    IPv4,
    IPv4Address,
    IPv6Address,
    Packet,
    Rest,
    Text,
    auto,
    count_of,
    default,
    many,
    pad,
    size_of,
)
from tests.protocols.oracle import Ask, alike, cut, family, packets_of, sound, spoilt
from tests.protocols.scope import Scope

with (scope := Scope()):

    class Parameter(Header):
        """Padding stands before each but the first, since that of the last one is the chunk's, and not counted there (3.2)."""

        before: Bytes = pad(4, since="Chunk")
        type: U16 = 0
        length: U16 = auto(size_of("value") + 4)
        value: Bytes = b""

    class HeartbeatInformation(Parameter, inside="value", when={"type": 1}):
        information: Rest = b""

    class AddressIPv4(Parameter, inside="value", when={"type": 5}):
        address: IPv4Address = default("0.0.0.0")

    class AddressIPv6(Parameter, inside="value", when={"type": 6}):
        address: IPv6Address = default("::")

    class Cookie(Parameter, inside="value", when={"type": 7}):
        cookie: Rest = b""

    class Lifetime(Parameter, inside="value", when={"type": 9}):
        milliseconds: U32 = 0

    class Types(Parameter, inside="value", when={"type": 12}):
        types: tuple[U16, ...] = many()

    class Cause(Header):
        before: Bytes = pad(4, since="Chunk")
        code: U16 = 0
        length: U16 = auto(size_of("value") + 4)
        value: Bytes = b""

    class InvalidStream(Cause, inside="value", when={"code": 1}):
        stream: U16 = 0
        reserved: U16 = 0

    class Reason(Cause, inside="value", when={"code": (12, 13)}):
        text: Text = ""

    class Chunk(Header):
        type: U8 = 0
        flags: U8 = 0
        length: U16 = auto(size_of("self") - size_of("padding"))
        value: Bytes = b""
        padding: Bytes = pad(4)

    class Data(Chunk, inside="value", when={"type": 0}):
        number: U32 = 0
        stream: U16 = 0
        place: U16 = 0
        protocol: U32 = 0
        data: Rest = b""

    class Init(Chunk, inside="value", when={"type": (1, 2)}):
        """INIT and INIT ACK."""

        tag: U32 = 0
        window: U32 = 65536
        outbound: U16 = 1
        inbound: U16 = 1
        number: U32 = 0
        parameters: tuple[Parameter, ...] = many()

    class Gap(Header):
        start: U16 = 0
        end: U16 = 0

    class Sack(Chunk, inside="value", when={"type": 3}):
        number: U32 = 0
        window: U32 = 65536
        gap_count: U16 = auto(count_of("gaps"))
        duplicate_count: U16 = auto(count_of("duplicates"))
        gaps: tuple[Gap, ...] = many()
        duplicates: tuple[U32, ...] = many()

    class Heartbeat(Chunk, inside="value", when={"type": (4, 5)}):
        parameters: tuple[Parameter, ...] = many()

    class Abort(Chunk, inside="value", when={"type": (6, 9)}):
        """ABORT and ERROR."""

        causes: tuple[Cause, ...] = many()

    class Shutdown(Chunk, inside="value", when={"type": 7}):
        number: U32 = 0

    class CookieEcho(Chunk, inside="value", when={"type": 10}):
        cookie: Rest = b""

    class Skipped(Header):
        stream: U16 = 0
        place: U16 = 0

    class Forward(Chunk, inside="value", when={"type": 192}):
        number: U32 = 0
        streams: tuple[Skipped, ...] = many()

    class Chunks(Header, under=SCTP):
        chunks: tuple[Chunk, ...] = many()


C = TypeVar("C", bound=Chunk)


def chunks(kind: type[C], read: Callable[[C], object]) -> Callable[[Packet], list[object]]:
    def found(packet: Packet) -> list[object]:
        values = [read(one) for one in packet[Chunks].chunks if isinstance(one, kind)] if Chunks in packet else []
        return [value for some in values for value in (some if isinstance(some, list) else [some])]

    return found


def parameters(packet: Packet) -> list[Parameter]:
    some = [one for one in packet[Chunks].chunks if isinstance(one, Init | Heartbeat)] if Chunks in packet else []
    return [parameter for one in some for parameter in one.parameters]


READINGS = {
    "sctp.chunk_type": chunks(Chunk, lambda c: c.type),
    "sctp.chunk_flags": chunks(Chunk, lambda c: c.flags),
    "sctp.chunk_length": chunks(Chunk, lambda c: c.length),
    "sctp.data_tsn_raw": chunks(Data, lambda c: c.number),
    "sctp.data_sid": chunks(Data, lambda c: c.stream),
    "sctp.data_ssn": chunks(Data, lambda c: c.place),
    "sctp.data_payload_proto_id": chunks(Data, lambda c: c.protocol),
    "sctp.init_initiate_tag": chunks(Init, lambda c: c.tag if c.type == 1 else []),
    "sctp.initack_nr_out_streams": chunks(Init, lambda c: c.outbound if c.type == 2 else []),
    "sctp.sack_cumulative_tsn_ack_raw": chunks(Sack, lambda c: c.number),
    "sctp.sack_number_of_gap_blocks": chunks(Sack, lambda c: c.gap_count),
    "sctp.sack_gap_block_start": chunks(Sack, lambda c: [gap.start for gap in c.gaps]),
    "sctp.sack_duplicate_tsn": chunks(Sack, lambda c: list(c.duplicates)),
    "sctp.cookie": chunks(CookieEcho, lambda c: c.cookie),
    "sctp.forward_tsn_tsn": chunks(Forward, lambda c: c.number),
    "sctp.parameter_type": lambda p: [one.type for one in parameters(p)],
    "sctp.parameter_length": lambda p: [one.length for one in parameters(p)],
    "sctp.parameter_ipv4_address": lambda p: [one.address for one in parameters(p) if isinstance(one, AddressIPv4)],
    "sctp.parameter_state_cookie": lambda p: [one.cookie for one in parameters(p) if isinstance(one, Cookie)],
    "sctp.parameter_supported_address_type": lambda p: [
        kind for one in parameters(p) if isinstance(one, Types) for kind in one.types
    ],
    "_ws.expert.message": lambda p: [],
    "sctp.cause_code": chunks(Abort, lambda c: [one.code for one in c.causes]),
}
CAPTURES = ["sctp-sigtran/sctp-keywords-prefilter.pcap", "sctp-sigtran/forces2.pcap", "sctp-sigtran/isup.pcap"]


@pytest.mark.parametrize("name", CAPTURES)
def test_captures_are_read_as_tshark_reads_them(tshark: Ask, name: str) -> None:
    sound(alike(tshark, family(name), READINGS), Chunks)


def test_tshark_reads_what_we_build(tshark: Ask) -> None:
    below = Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2") / SCTP(sport=5000, dport=5001, verification_tag=7)
    made = [
        below / Chunks(chunks=some)
        for some in (
            (Init(type=1, tag=9, parameters=(AddressIPv4(address="10.0.0.9"), Types(types=(5, 6)))),),
            (Init(type=2, number=5, parameters=(Cookie(cookie=b"12345"), AddressIPv6(address="::1"))),),
            (CookieEcho(cookie=b"abc"), Data(flags=3, number=5, data=b"hello")),
            (Sack(number=5, gaps=(Gap(start=2, end=3),), duplicates=(7, 8)), Data(data=b"x" * 6), Data(data=b"y")),
            (Heartbeat(type=4, parameters=(HeartbeatInformation(information=b"12345678"),)),),
            (Abort(type=6, causes=(Reason(code=12, text="goodbye!"),)),),
            (Heartbeat(type=4, parameters=(HeartbeatInformation(information=b"12345"),)), Shutdown()),
            (Abort(type=9, causes=(Reason(code=13, text="a"), InvalidStream(stream=5), Reason(code=12, text="bye!!"))),),
            (Init(type=2, parameters=(Cookie(cookie=b"a"), AddressIPv4(address="10.0.0.9"), Cookie(cookie=b"abcdef"))), Data(number=9, data=b"x")),
            (Shutdown(number=4), Forward(number=3, streams=(Skipped(stream=1),)), Chunk(type=14)),
        )
    ]
    packets = alike(tshark, made, READINGS)
    sound(packets, Chunks)
    assert all(packet.verdict(SCTP).name == "GOOD" for packet in packets)
    assert [packet[Chunks].chunks[0].length for packet in packets[6:9]] == [4 + 9, 4 + 5 + 3 + 8 + 9, 20 + 5 + 3 + 8 + 10]  # 3.2: without the padding of the last one


def test_cut_and_spoilt() -> None:
    packets = packets_of("sctp-sigtran/sctp-keywords-prefilter.pcap")[:6]
    assert "Chunks.chunks" in cut(packets, Chunks, step=3)
    assert "Chunks.chunks" in spoilt(packets, Chunks, times=100)
