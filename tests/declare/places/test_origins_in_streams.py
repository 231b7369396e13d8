"""Places in a message of a stream are counted inside it: a message may begin anywhere in a packet, and goes on over several."""

from __future__ import annotations

from typing import Annotated, Any

import pytest

from packetlab import (
    TCP,
    U8,
    U16,
    Bytes,
    Capture,
    DeclareError,
    Ether,
    Header,
    IPv4,
    at,
    auto,
    bindings,
    field,
    labels,
    many,
    offset_of,
    pad,
    size_of,
)

LOW = Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2") / TCP(sport=4, dport=5302, flags="ACK", seq=1)
SIZE = auto(size_of("self"))


def message(**fields: Any) -> type[Header]:
    """Return a message with a length and some fields, as name=(annotation, right-hand side)."""
    body = {"length": SIZE, **{word: right for word, (_, right) in fields.items()}}
    annotations = {"length": U8, **{word: annotation for word, (annotation, _) in fields.items()}}
    meta: Any = type(Header)
    made: type[Header] = meta(
        "Msg",
        (Header,),
        {"__module__": __name__, "__annotations__": annotations, **body},
        under=TCP,
        port=5302,
        stream=True,
    )
    return made


@pytest.mark.parametrize("since", ["packet", "TCP", "IPv4"])
def test_counting_from_outside_is_refused_when_the_class_is_made(since: str) -> None:
    with bindings():

        class Item(Header):
            n: U8 = 0
            fill: Bytes = pad(4, since=since)

        for fields in (
            {"x": (U8, 7), "p": (Bytes, pad(4, since=since))},
            {"o": (U8, auto(offset_of("x", since=since))), "x": (U16, at(field("o"), 7, since=since))},
            {"items": (tuple[Item, ...], many(count=2))},
            {"name": (Annotated[str, labels(since=since)], "a.b")},
        ):
            with pytest.raises(
                DeclareError,
                match=rf'Msg, stream: expected places in (Msg|Item)\.\w+ .*got since="{since}" \(since="Msg"',
            ):
                message(**fields)


def test_a_header_above_a_message_does_not_count_from_the_packet_either() -> None:
    with bindings():

        class Low(Header, under=TCP, port=5303, stream=True):
            n: U8 = auto(size_of("payload"))

        with pytest.raises(DeclareError, match='Above under Low: .*got since="packet"'):

            class Above(Header, under=Low):
                x: U8 = 1
                fill: Bytes = pad(4, since="packet")


def test_counting_inside_is_the_same_in_a_frame_in_a_stream_and_by_itself() -> None:
    with bindings():

        class Item(Header):
            n: U8 = 0
            fill: Bytes = pad(4, since="Msg")

        made = message(
            x=(U8, 7), p=(Bytes, pad(4, since="Msg")), q=(Bytes, pad(8, since="x")), o=(U8, auto(offset_of("y", since="Msg"))),
            y=(U16, at(field("o"), 9, since="Msg")), items=(tuple[Item, ...], many(count=2, value=(Item(n=1), Item(n=2)))),
        )  # fmt: skip
        data = bytes(made()) * 2
        read = list(Capture.of([bytes(LOW / data)]).messages(made))
        assert [one.data for one in read] == [bytes(made())] * 2 and not any(one.faults for one in read)
        frame = Capture.of([bytes(LOW / data)])[0].packet()
        assert frame[made] == read[0].header == read[1].header == frame[made, 1] and not frame.faults
        pieces = [bytes(LOW.replace(TCP, seq=0, flags="SYN") / b""), *(LOW / data).segments(5)]
        assert [one.header for one in Capture.of(pieces).messages(made)] == [frame[made]] * 2
