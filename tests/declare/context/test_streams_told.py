"""What messages of a stream told counts for those after them; frames are read one by one, with what those before told, and do not guess."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from packetlab import (
    TCP,
    U8,
    UDP,
    Bytes,
    Capture,
    Context,
    Ether,
    Frame,
    Header,
    IPv4,
    Packet,
    auto,
    bindings,
    dissect,
    field,
    recalled,
    sender,
    size_of,
    sized,
)


class Once(io.BytesIO):
    """A file that cannot be read from its beginning again."""

    def seekable(self) -> bool:
        return False


@pytest.fixture
def sized_by() -> Iterator[type[Header]]:
    with bindings():

        class Sized(Header, under=TCP, when={"dport": 7001}, stream=True, remembers={("size", sender()): field("next")}):
            next: U8 = 4
            size: U8 = auto(size_of("rest"))
            id: Bytes = sized(recalled("size", sender(), default=2), b"")
            rest: Bytes = sized(field("size"), b"")

        yield Sized


def capture(cls: type[Header]) -> Capture:
    with Context():
        sent = [Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2") / TCP(sport=4, dport=7001, seq=seq) / cls(id=id, rest=b"xyz")
                for seq, id in ((1, b"ab"), (8, b"abcd"))]  # fmt: skip
        return Capture.of([Frame(bytes(packet)) for packet in sent])


def test_frames_know_what_messages_of_their_stream_told(sized_by: type[Header]) -> None:
    frames = capture(sized_by)
    assert [message.packet[sized_by].id for message in frames.messages(sized_by)] == [b"ab", b"abcd"]
    assert [*frames.table("sized.id")["sized.id"]] == [b"ab", b"abcd"]
    for order in (0, 1), (1, 0, 1):
        frames = capture(sized_by)
        assert [frames[i].packet()[sized_by].id for i in order] == [(b"ab", b"abcd")[i] for i in order]
    why = str(frames[1].packet().why(sized_by, "id"))
    assert "default=2) = 4, remembered from packet 1" in why


def test_of_a_capture_that_is_read_once_too(sized_by: type[Header], tmp_path: Path) -> None:
    capture(sized_by).write(tmp_path / "sent.pcap")
    with open(tmp_path / "sent.pcap", "rb") as file:
        assert [frame.packet()[sized_by].id for frame in Capture(Once(file.read()))] == [b"ab", b"abcd"]


def test_a_default_is_no_guess_in_packets_that_are_read_one_by_one(sized_by: type[Header]) -> None:
    context = Context()
    read = [dissect(frame.data, context=context) for frame in capture(sized_by)]
    assert not [packet for packet in read if sized_by in packet]
    assert [len(packet.payload) for packet in read] == [7, 9]


def test_a_packet_without_others_has_the_default(sized_by: type[Header]) -> None:
    first, _ = capture(sized_by)
    assert dissect(first.data)[sized_by].id == b"ab"


def test_a_default_that_no_stream_tells_is_taken_in_frames() -> None:
    with bindings():

        class Teller(Header, under=UDP, when={"dport": 7002}, remembers={("width", sender()): field("next")}):
            next: U8 = 4

        class Told(Header, under=TCP, when={"dport": 7001}, stream=True):
            id: Bytes = sized(recalled("width", field("IPv4.src"), default=2), b"")

        sent = bytes(Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2") / TCP(sport=4, dport=7001) / Told(id=b"ab"))
        frames = Capture.of([Frame(sent)])
        (packet,) = (frame.packet() for frame in frames)
        assert isinstance(packet, Packet) and packet[Told].id == b"ab" and Teller not in packet
