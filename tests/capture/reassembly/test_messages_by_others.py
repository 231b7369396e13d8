"""Messages whose class, or size, goes by more than the ports: by their first bytes, the headers below, or earlier messages."""

import random
from collections.abc import Iterator, Sequence

import pytest

from packetlab import (
    TCP,
    U8,
    U16,
    Bytes,
    Capture,
    Ether,
    Header,
    IPv4,
    TCPFlags,
    Text,
    ahead,
    auto,
    bind,
    bindings,
    computed,
    ended,
    field,
    recalled,
    sender,
    size_of,
    sized,
    when,
)


@pytest.fixture(autouse=True)
def scoped() -> Iterator[None]:
    with bindings():
        yield


def capture(parts: Sequence[bytes], port: int = 4444, begun: bool = True) -> Capture:
    """Return a capture of one direction whose segments are these parts."""
    below = Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2")
    frames, at = [below / TCP(sport=5000, dport=port, seq=999, flags=TCPFlags.SYN)] if begun else [], 1000
    for part in parts:
        frames.append(below / TCP(sport=5000, dport=port, seq=at, flags=TCPFlags.ACK) / part)
        at += len(part)
    return Capture.of(frames)


class AheadShort(Header, stream=True, last=True):
    kind: U8 = 1
    size: U8 = auto(size_of("data"))
    data: Bytes = b""


class AheadLong(Header, stream=True, last=True):
    kind: U16 = 0x0200
    size: U16 = auto(size_of("data"))
    data: Bytes = b""


class AheadLine(Header, stream=True, last=True):
    text: Text = ended(b"\n", "")


@pytest.fixture
def by_first_bytes() -> None:
    bind(AheadShort, under=TCP, when=(field("dport") == 4444) & (ahead(8) == 1))
    bind(AheadLong, under=TCP, when=ahead(16) == 0x0200)
    bind(AheadLine, under=TCP, port=25)


SENT = (AheadShort(data=b"ab"), AheadLong(data=b"xyz"), AheadShort(), AheadLong(), AheadShort(data=b"\2\0" * 9), AheadLong(data=bytes(40)))


@pytest.mark.usefixtures("by_first_bytes")
@pytest.mark.parametrize("seed", range(8))
def test_a_message_is_of_the_class_that_its_first_bytes_say(seed: int) -> None:
    data, noise = b"".join(map(bytes, SENT)), random.Random(seed)
    cuts = sorted({0, len(data), *(noise.randrange(len(data)) for _ in range(seed * 4))}) if seed < 7 else range(len(data) + 1)
    made = capture([data[start:end] for start, end in zip(cuts, [*cuts][1:], strict=False)])
    for cls in (AheadShort, AheadLong):
        found = [*made.messages(cls)]
        assert [message.header for message in found] == [one for one in SENT if type(one) is cls]
        assert all(message.whole and not message.gap and not message.faults for message in found)
    assert [*made.messages(AheadLine)] == []


@pytest.mark.usefixtures("by_first_bytes")
def test_several_classes_in_one_segment() -> None:
    frame = capture([b"".join(map(bytes, SENT))])[1]
    packet = frame.packet()
    assert packet.summary() == "Ether / IPv4 / TCP / AheadShort + AheadLong + AheadShort + AheadLong + AheadShort + AheadLong"
    assert [one[AheadLong] for one in packet.messages(AheadLong)] == [one for one in SENT if type(one) is AheadLong]
    assert [one[AheadShort] for one in packet.messages(AheadShort)] == [one for one in SENT if type(one) is AheadShort]
    assert packet[AheadLong, 1] == SENT[3] and "message 6 of the segment, 44 bytes" in packet.show()


@pytest.mark.usefixtures("by_first_bytes")
def test_the_middle_of_such_a_message_is_payload_and_streams_of_others_are_left_alone() -> None:
    parts = [b"\2\0\0\x08abcd", b"\1\1ef", b"\1\1z"]
    made = capture(parts)
    assert [frame.packet().summary().partition("TCP")[2] for frame in made][1:] == [" / AheadLong", " / 4 bytes", " / AheadShort"]
    assert [one.header.data for one in made.messages(AheadLong)] == [b"abcd\1\1ef"]
    assert [one.header.data for one in made.messages(AheadShort)] == [b"z"]
    assert [*capture([b"GET / HTTP/1.1\r\n\r\n"]).messages(AheadShort)] == []
    late = capture([b"cd", b"\2\0\0\2ab\1\0", *parts], begun=False)  # a stream whose beginning was not captured
    assert [(one.header.data, one.gap and one.gap.size) for one in late.messages(AheadLong)] == [(b"ab", 2), (b"abcd\1\1ef", None)]
    assert [one.header.data for one in late.messages(AheadShort)] == [b"", b"z"]
    assert [one.header.text for one in capture([b"a\nb", b"c\n"], port=25).messages(AheadLine)] == ["a", "bc"]


def test_a_message_is_as_long_as_the_headers_below_say() -> None:
    class SidedMessage(Header, under=TCP, port=7447, stream=True, last=True):
        number: U8 = 1
        extra: U8 | None = when(field("TCP.dport") == 7447, 5)

    made = capture([b"\1\2\3\4", b"\5", b"\6"], port=7447)
    assert [(one.header.number, one.header.extra) for one in made.messages(SidedMessage)] == [(1, 2), (3, 4), (5, 6)]
    assert [one[SidedMessage].extra for one in made[1].packet().messages(SidedMessage)] == [2, 4]


def test_a_message_is_as_long_as_one_before_it_said() -> None:
    class SizedNext(Header, under=TCP, port=9000, stream=True, last=True, remembers={("next", sender()): field("give")}):
        give: U8 = 0
        known: int = computed(recalled("next", sender(), default=0))
        data: Bytes = sized(field("known"), b"")

    data = b"\2" + b"\0zz" + b"\1" + b"\3a" + b"\0bcd"
    for cuts in ([len(data)], [*range(1, len(data) + 1)], [4, 5, len(data)]):
        parts = [data[start:end] for start, end in zip([0, *cuts], cuts, strict=False)]
        found = [*capture(parts, port=9000).messages(SizedNext)]
        assert [(one.header.give, one.header.data) for one in found] == [(2, b""), (0, b"zz"), (1, b""), (3, b"a"), (0, b"bcd")]
        assert not any(one.faults for one in found)


def test_a_message_that_recalls_its_own_size_by_its_own_number() -> None:
    class Agreed(Header, under=TCP, port=9001, stream=True, last=True, remembers={("agreed", sender()): field("size")}):
        kind: U8 = 1
        size: U8 | None = when(field("kind") == 1, 3)
        body: Bytes | None = when(field("kind") == 2, sized(recalled("agreed", sender())))

    data = b"\1\2" + b"\2ab" + b"\1\3" + b"\2xyz"
    for cuts in ([len(data)], [*range(1, len(data) + 1)]):
        parts = [data[start:end] for start, end in zip([0, *cuts], cuts, strict=False)]
        found = [*capture(parts, port=9001).messages(Agreed)]
        assert [one.header.body for one in found] == [None, b"ab", None, b"xyz"] and all(one.whole for one in found)
