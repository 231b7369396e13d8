"""Messages of streams that are refined: which one comes first in a segment does not matter to those after it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations

import pytest

from packetlab import TCP, U8, U16, Bytes, Capture, Ether, Header, IPv4, Packet, auto, dissect, size_of
from tests.protocols.scope import Scope

with (scope := Scope()):

    class Remark(Header, under=TCP, port=7005, stream=True):
        kind: U8 = 0
        length: U8 = auto(size_of("data"))
        data: Bytes = b""

    class Figure(Remark, inside="data", when={"kind": 2}):
        number: U16 = 0

    class Going(Header, under=TCP, port=7006, stream=True, last=True):
        id: U8 = 0

    class Longer(Going, when={"id": 2}):
        x: U16 = 0

    class Longest(Longer, when={"x": 7}):
        y: U8 = 0


@pytest.fixture(autouse=True)
def declared() -> Iterator[None]:
    with scope:
        yield


LOW = Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2")
SENT: list[tuple[type[Header], list[Header]]] = [
    (Remark, [Figure(number=5), Remark(kind=9, data=b"abc"), Figure(number=6)]),
    (Going, [Longest(y=3), Going(id=1), Longer(x=6), Going(id=4)]),
]


def segment(messages: tuple[Header, ...], port: int) -> Packet:
    return LOW / TCP(dport=port, flags="ACK", seq=1) / b"".join(map(bytes, messages))


@pytest.mark.parametrize(("cls", "messages"), SENT, ids=lambda one: getattr(one, "__name__", ""))
def test_all_messages_of_a_segment_are_found_whichever_comes_first(cls: type[Header], messages: list[Header]) -> None:
    port = 7005 if cls is Remark else 7006
    for ordered in permutations(messages):
        packet = dissect(bytes(segment(ordered, port)))
        assert [bytes(one) for one in packet.messages(cls)] == [*map(bytes, ordered)]
        assert packet.summary() == "Ether / IPv4 / TCP / " + " + ".join(type(one).__name__ for one in ordered)
        assert [type(packet[cls, i]) for i in range(len(ordered))] == [*map(type, ordered)]
        assert "does not end here" not in packet.show()
        alone = dissect(b"".join(map(bytes, ordered)), type(ordered[0]))  # read as a refined class at once
        assert [bytes(one) for one in alone.messages(cls)] == [*map(bytes, ordered)]


def test_messages_of_a_refined_class_are_those_of_its_base_that_become_one() -> None:
    for cls, messages in SENT:
        port = 7005 if cls is Remark else 7006
        data = segment(tuple(messages), port)
        frames = [LOW / TCP(dport=port, flags="SYN", seq=0), *data.segments(2)]
        for wanted in {type(one) for one in messages}:
            expected = [bytes(one) for one in messages if isinstance(one, wanted)]
            assert [bytes(one) for one in dissect(bytes(data)).messages(wanted)] == expected
            assert [one.data for one in Capture.of(frames).messages(wanted)] == expected
