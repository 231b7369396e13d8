"""A capture that begins with what was agreed before its first frame: lengths, options of a session, templates told elsewhere."""

from __future__ import annotations

import pickle
from pathlib import Path

from packetlab import (
    TCP,
    U8,
    Bytes,
    Capture,
    Context,
    Ether,
    Header,
    IPv4,
    Writer,
    auto,
    bind,
    bindings,
    field,
    recalled,
    size_of,
    sized,
)


class BegunTold(Header, remembers={("begun.size",): field("size")}):
    kind: U8 = 1
    size: U8 = 4


class BegunData(Header):
    kind: U8 = 0
    data: Bytes = sized(recalled("begun.size"))


class BegunMessage(Header, stream=True):
    length: U8 = auto(size_of("payload"))


def agreed(size: int) -> Context:
    context = Context()
    context.remember("begun.size", value=size)
    return context


def frames() -> list[bytes]:
    with agreed(2):
        first = bytes(Ether(type=0x7AE3) / BegunData(data=b"ab"))
    with agreed(4):
        return [
            first,
            bytes(Ether(type=0x7AE4) / BegunTold(size=4)),
            bytes(Ether(type=0x7AE3) / BegunData(data=b"abcd")),
        ]


def sizes(capture: Capture) -> list[int | None]:
    return [
        len(frame.packet()[BegunData].data) if not frame.packet().faults else None
        for frame in capture
        if frame.number != 2
    ]


def test_what_was_agreed_before_counts_until_a_packet_tells_another(tmp_path: Path) -> None:
    with bindings():
        bind(BegunData, under=Ether, when={"type": 0x7AE3})
        bind(BegunTold, under=Ether, when={"type": 0x7AE4})
        with Writer(tmp_path / "begun.pcap") as writer:
            for data in frames():
                writer.write(data)
        context = agreed(2)
        for capture in (Capture.of(frames(), context=context), Capture(tmp_path / "begun.pcap", context=context)):
            assert sizes(capture) == [2, 4] == sizes(capture)
            assert len(capture[2].packet()[BegunData].data) == 4 and len(capture[0].packet()[BegunData].data) == 2
            assert "remembered from a call of remember()" in str(capture[0].packet().why(BegunData, "data"))
            assert sizes(capture.where(BegunData)) == [2, 4]
            assert [*capture.table("begundata.data")["begundata.data"]][::2] == [b"ab", b"abcd"]
            assert sizes(pickle.loads(pickle.dumps(capture))) == [2, 4]
        assert context.recall("begun.size") == 2, "the context that was given stays as it is"
        assert sizes(Capture.of(frames()))[0] is None


def test_what_one_capture_told_goes_on_in_the_next() -> None:
    with bindings():
        bind(BegunData, under=Ether, when={"type": 0x7AE3})
        bind(BegunTold, under=Ether, when={"type": 0x7AE4})
        context = Context()
        with context:
            bytes(Ether(type=0x7AE4) / BegunTold(size=4))
        assert sizes(Capture.of(frames()[2:], context=context)) == [4]


def test_messages_of_streams_begin_with_it_too() -> None:
    with bindings():
        bind(BegunMessage, under=TCP, when={"dport": 7993})
        bind(BegunData, under=BegunMessage, when=field("length") > 0)
        with agreed(3):
            data = bytes(BegunMessage() / BegunData(data=b"abc"))
        frame = bytes(
            Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2") / TCP(sport=5000, dport=7993, flags="ACK") / (data * 2)
        )
        found = [one.packet for one in Capture.of([frame], context=agreed(3)).messages(BegunMessage)]
        assert [one[BegunData].data for one in found] == [b"abc", b"abc"] and not any(one.faults for one in found)
