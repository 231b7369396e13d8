"""Rewriting messages of streams: the first of a segment is rewritten, and that there are further ones is said, never passed over."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import pytest

from packetlab import (
    TCP,
    U8,
    U16,
    Bytes,
    Capture,
    Ether,
    Frame,
    Header,
    IPv4,
    IPv4Address,
    Verdict,
    auto,
    bindings,
    crc,
    default,
    digits,
    size_of,
)

LOW = Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2") / TCP(sport=17391, dport=5, seq=1)


@pytest.fixture
def told() -> Iterator[Any]:
    with bindings():

        class Told(Header, under=TCP, port=17391, stream=True):
            size: U8 = auto(size_of("self"))
            who: IPv4Address = default("10.0.0.1")
            note: Bytes = b""

        yield Told


@pytest.mark.parametrize("how", [{"ip": {"10.0.0.0/8": "172.0.0.0/8"}}, {"anonymise": "a secret"}])
def test_further_messages_that_may_hold_addresses_are_counted(told: Any, how: dict[str, Any]) -> None:
    alone = LOW / told(note=b"x")
    several = LOW / (bytes(told(note=b"x")) + bytes(told(who="10.0.0.2")))
    capture = Capture.of([Frame(bytes(one)) for one in (alone, several, alone)]).rewrite(**how)
    packets = [frame.packet() for frame in capture]
    assert all(str(packet[told].who) != "10.0.0.1" for packet in packets)
    assert dict(capture.left) == {"Told: further messages in a segment": 1}
    assert all(check is Verdict.GOOD for packet in packets for check in packet.verdicts().values())


def test_messages_without_addresses_leave_nothing() -> None:
    with bindings():

        class Plain(Header, under=TCP, port=17393, stream=True):
            size: U8 = auto(size_of("self"))
            note: Bytes = b""

        packet = LOW.replace(TCP, sport=17393) / (bytes(Plain(note=b"x")) + bytes(Plain()))
        capture = Capture.of([Frame(bytes(packet))]).rewrite(ip={"10.0.0.0/8": "172.0.0.0/8"})
        assert [str(frame.packet()[IPv4].src) for frame in capture] == ["172.0.0.1"] and not capture.left


def _trailing() -> Any:
    class Trailing(Header, under=TCP, port=17394, stream=True):
        size: U8 = auto(size_of("body"))
        who: IPv4Address = default("10.0.0.1")
        body: Bytes = b""
        check: U16 = auto(crc("CRC-16/ARC", "who", "body"))

    return Trailing


def _leading() -> Any:
    class Leading(Header, under=TCP, port=17394, stream=True):
        size: U8 = auto(size_of("body"))
        who: IPv4Address = default("10.0.0.1")
        check: U16 = auto(crc("CRC-16/ARC", "who", "body"))
        body: Bytes = b""

    return Leading


def _leading_digits() -> Any:
    class Digital(Header, under=TCP, port=17394, stream=True):
        size: U8 = auto(size_of("body"))
        who: IPv4Address = default("10.0.0.1")
        check: Annotated[int, digits(16, width=4)] = auto(crc("CRC-16/ARC", "who", "body"))
        body: Bytes = b""

    return Digital


def _trailing_digits() -> Any:
    class Last(Header, under=TCP, port=17394, stream=True):
        size: U8 = auto(size_of("body"))
        who: IPv4Address = default("10.0.0.1")
        body: Bytes = b""
        check: Annotated[int, digits(16, width=4)] = auto(crc("CRC-16/ARC", "who", "body"))

    return Last


@pytest.mark.parametrize("make", [_trailing, _leading, _leading_digits, _trailing_digits])
def test_a_checksum_of_a_message_over_several_segments_is_counted(make: Any) -> None:
    """What it goes over is changed in one frame, and the rest stands in others."""
    with bindings():
        cls = make()
        low = LOW.replace(TCP, sport=17394)
        begin = low.replace(TCP, flags="SYN", seq=0)
        frames = [bytes(begin), *map(bytes, (low.replace(TCP, flags="ACK") / bytes(cls(body=b"a long one" * 4))).segments(20))]
        for changes, left in (({"ip": {"10.0.0.0/8": "172.0.0.0/8"}}, 1), ({"ttl": 9}, 0)):
            capture = Capture.of([Frame(one) for one in frames]).rewrite(**changes)
            new = [frame.data for frame in capture]
            (message,) = Capture.of([Frame(one) for one in new]).messages(cls)
            assert message.packet.verdict(cls) is (Verdict.BAD if left else Verdict.GOOD)
            some = [name for name in capture.left if name.startswith(f"{cls.__name__}.check, which ")]
            assert len(some) == 1 if left else all("segment" in name for name in some)
