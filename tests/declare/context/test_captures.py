"""What packets told is known whenever a packet of a capture is read: in order, alone, chosen, in tables, side by side."""

from __future__ import annotations

import io
import pickle
from pathlib import Path

import pytest

from packetlab import (
    TCP,
    U8,
    UDP,
    Bytes,
    Capture,
    CaptureError,
    Context,
    Ether,
    Frame,
    Header,
    IPv4,
    Packet,
    Rest,
    Writer,
    auto,
    bind,
    bindings,
    field,
    recalled,
    scan,
    sender,
    size_of,
    sized,
)
from tests.protocols.scope import Scope

with (scope := Scope()):

    class Told(Header, under=UDP, when={"dport": 20552}, remembers={("size", sender(), field("id")): field("size")}):
        id: U8
        size: U8

    class Used(Header, under=UDP, when={"dport": 20553}):
        id: U8
        body: Bytes = sized(recalled("size", sender(), field("id")))
        more: Rest = b""


@pytest.fixture(autouse=True)
def declared() -> object:
    with scope:
        yield  # type: ignore[misc]


def told(key: int, size: int) -> Packet:
    return Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=4, dport=20552) / Told(id=key, size=size)


def used(key: int) -> Packet:
    return Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=4, dport=20553) / bytes((key,)) / b"abcdef"


NOISE = Ether() / IPv4() / UDP(sport=1, dport=2) / b"noise"


def packets() -> list[Packet]:
    return [used(1), told(1, 2), NOISE, used(1), told(1, 4), told(1, 4), used(1), NOISE, used(2), told(2, 1), used(2)]


BODIES = {0: None, 3: b"ab", 6: b"abcd", 8: None, 10: b"a"}


@pytest.fixture(params=["file", "memory"])
def capture(request: pytest.FixtureRequest, tmp_path: Path) -> Capture:
    frames = [Frame(bytes(packet), number * 10**9) for number, packet in enumerate(packets(), 1)]
    if request.param == "memory":
        return Capture.of(frames)
    with Writer(tmp_path / "told.pcapng") as writer:
        for frame in frames:
            writer.write(frame)
    return Capture(tmp_path / "told.pcapng")


def bodies(found: list[Packet]) -> dict[int, bytes | None]:
    return {i: packet[Used].body if not packet.faults else None for i, packet in enumerate(found) if Used in packet}


def test_in_order(capture: Capture) -> None:
    assert bodies(list(capture.packets())) == BODIES
    assert bodies([frame.packet() for frame in capture]) == BODIES
    assert bodies([frame.packet() for batch in capture.batches() for frame in batch]) == BODIES


@pytest.mark.parametrize("order", [[10, 3, 6, 8, 0], [3, 10, 3, 0, 6, 8], [6]])
def test_in_any_order(capture: Capture, order: list[int]) -> None:
    assert {i: bodies([capture[i].packet()])[0] for i in order} == {i: BODIES[i] for i in order}


def test_a_frame_that_was_kept_is_read_again_as_before(capture: Capture) -> None:
    frames = list(capture)
    for _ in range(2):
        assert bodies([frame.packet() for frame in frames]) == BODIES
        assert bodies([frame.packet() for frame in reversed(frames)][::-1]) == BODIES


def test_chosen_frames_recall_what_those_left_out_told(capture: Capture) -> None:
    for chosen in (
        capture.where(Used),
        capture.where("udp.dport == 20553"),
        capture.where(lambda packet: Used in packet),
    ):
        assert [packet[Used].body for packet in chosen.packets() if not packet.faults] == [b"ab", b"abcd", b"a"]
    assert [frame.number for frame in capture.where(Used(body=b"abcd"))] == [7]
    assert [frame.number for frame in capture.where("used.body == 61:62")] == [4]
    assert [packet[Used].body for packet in capture[5:7].packets() if Used in packet] == [b"abcd"]


def test_tables(capture: Capture) -> None:
    found = capture.table("number", "used.body", "told.size").to_numpy()
    assert [*found["used.body"].tolist()] == [BODIES.get(i) for i in range(len(packets()))]
    assert [*found["told.size"].tolist()] == [None, 2, None, None, 4, 4, None, None, None, 1, None]


def test_what_is_read_from_the_middle_or_side_by_side(tmp_path: Path) -> None:
    with Writer(tmp_path / "told.pcap") as writer:
        for number, packet in enumerate(packets(), 1):
            writer.write(Frame(bytes(packet), number * 10**9))
    index = Capture(tmp_path / "told.pcap").index()
    assert {i: bodies([index[i].packet()])[0] for i in (10, 3, 0)} == {i: BODIES[i] for i in (10, 3, 0)}
    found = scan(tmp_path / "told.pcap", workers=2, batch_bytes=100).table("number", "used.body").to_numpy()
    assert found["used.body"].tolist() == [BODIES.get(i) for i in range(len(packets()))]


def fragments(packet: Packet) -> list[bytes]:
    return [bytes(one) for one in packet.fragments(48)]


def data_of(found: list[Packet]) -> list[tuple[bytes | None, bytes] | None]:
    return [None if packet.faults else (packet[Used].body, packet[Used].more) for packet in found if Used in packet]


def test_datagrams_that_were_put_together_tell_and_recall_in_order(declared: None) -> None:
    told_in_parts = Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2", id=7) / UDP(sport=4, dport=20552) / Told(id=1, size=3) / bytes(90)
    long = used(1) / bytes(90)
    frames = [bytes(used(1)), bytes(told(1, 2)), bytes(used(1)), *fragments(told_in_parts), *fragments(long), bytes(told(1, 1)), bytes(used(1))]
    capture = Capture.of(frames)
    wanted = [None, (b"ab", b"cdef"), (b"abc", b"def" + bytes(90)), (b"a", b"bcdef")]
    datagrams = list(capture.datagrams())
    assert len(datagrams) == 7 and max(len(one.parts) for one in datagrams) > 1
    for _ in range(2):
        assert data_of([one.packet() for one in datagrams]) == wanted
        assert data_of([one.packet() for one in reversed(datagrams)]) == wanted[::-1]
    assert [one.context().recall("size", (bytes([10, 0, 0, 1]), 4), 1) for one in datagrams] == [None, None, 2, 2, 3, 3, 1]
    assert data_of([packet for packet in capture.packets() if Used in packet and not packet.faults][-1:]) == [(b"a", b"bcdef")]
    alone = pickle.loads(pickle.dumps(datagrams[2]))
    assert alone == datagrams[2] and "no context" in alone.packet().faults[0].got


def test_datagrams_and_messages_of_chosen_frames_recall_what_those_left_out_told(capture: Capture) -> None:
    chosen = capture.where("udp.dport == 20553")
    assert [packet[Used].body for packet in (one.packet() for one in chosen.datagrams()) if not packet.faults] == [b"ab", b"abcd", b"a"]
    assert [one.packet()[Used].body for one in capture[5:7].datagrams() if Used in one.packet()] == [b"abcd"]
    changed = capture.rewrite(ip={"10.0.0.0/24": "10.9.9.0/24"})
    assert bodies([one.packet() for one in changed.datagrams()]) == BODIES


def test_datagrams_begin_with_what_was_agreed_before(declared: None) -> None:
    context = Context()
    context.remember("size", (bytes([10, 0, 0, 1]), 4), 1, value=2)
    (one,) = Capture.of([bytes(used(1))], context=context).datagrams()
    assert one.packet()[Used].body == b"ab"


def test_messages_of_streams_recall_what_frames_told(declared: None) -> None:
    with bindings():

        class Call(Header, under=TCP, when={"dport": 20556}, stream=True):
            length: U8 = auto(size_of("payload"))

        bind(Used, under=Call)

        def segment(data: bytes, seq: int) -> bytes:
            return bytes(Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2") / TCP(sport=4, dport=20556, seq=seq, flags="ACK") / data)

        message = b"\5\1abcd"
        frames = [bytes(told(1, 1)), segment(message, 1), bytes(told(1, 3)), segment(message[:3], 7), segment(message[3:] + message, 10)]
        for capture in (Capture.of(frames), Capture.of(frames).where("tcp"), Capture.of(frames).where("tcp").where("tcp")):
            found = [one.packet for one in capture.messages(Call)]
            assert data_of(found) == [(b"a", b"bcd"), (b"abc", b"d"), (b"abc", b"d")]


def test_what_is_below_a_segment_goes_by_frames_before_it(declared: None) -> None:
    with bindings():

        class Tunnel(Header, under=UDP, when={"dport": 20557}):
            id: U8 = 1
            label: Bytes = sized(recalled("size", sender(), field("id")))

        bind(IPv4, under=Tunnel)
        with Context():
            first = bytes(told(1, 3))
            inner = IPv4(src="10.9.0.1", dst="10.9.0.2") / TCP(sport=5000, dport=80, seq=1, flags="ACK") / b"inside"
            outer = Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=4, dport=20557) / Tunnel(label=b"abc")
            frames = [first, bytes(outer / inner)]
        (stream,) = Capture.of(frames).streams()
        assert stream.client.data == b"inside"


def test_a_stream_that_is_read_once(tmp_path: Path) -> None:
    path = tmp_path / "told.pcap"
    with Writer(path) as writer:
        for number, packet in enumerate(packets(), 1):
            writer.write(Frame(bytes(packet), number * 10**9))

    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def seek(self, *where: object) -> int:
            raise io.UnsupportedOperation

        def tell(self) -> int:
            raise io.UnsupportedOperation

    assert bodies(list(Capture(Pipe(path.read_bytes())).packets())) == BODIES
    with pytest.raises(
        CaptureError,
        match=r"the packets before 4, .* read in order, got 0 of a stream that is read once \(read its packets",
    ):
        [frame.packet() for frame in Capture(Pipe(path.read_bytes())).where("udp.dport == 20553") if frame.number > 1]


def test_a_frame_that_goes_elsewhere_is_by_itself(capture: Capture) -> None:
    other = pickle.loads(pickle.dumps(capture[3]))
    assert (type(other), other) == (Frame, capture[3])
    assert "no context" in other.packet().faults[0].got
    again: Capture = pickle.loads(pickle.dumps(capture))
    assert bodies(list(again.packets())) == BODIES


def test_rewritten_captures_go_by_their_own_addresses(capture: Capture) -> None:
    changed = capture.rewrite(ip={"10.0.0.0/24": "10.9.9.0/24"})
    assert bodies(list(changed.packets())) == BODIES
    assert str(changed[3].packet()[IPv4].src) == "10.9.9.1"
    assert bodies([changed[3].packet()]) == {0: b"ab"}
