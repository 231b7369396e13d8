"""Lines of text as items: taken apart by name, found by what a text says, and a message as long as one of them tells."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, strategies as st

from packetlab import (
    TCP,
    U8,
    U16,
    BuildError,
    Bytes,
    Capture,
    DeclareError,
    Digits,
    Ether,
    Header,
    IPv4,
    Rest,
    Text,
    auto,
    bindings,
    contains,
    dissect,
    ended,
    field,
    many,
    size_of,
    sized,
    when,
    wireshark,
)
from packetlab.export.strategies import headers, packets
from packetlab.schema.dump import described
from packetlab.schema.load import declare_from
from packetlab.schema.source import class_body
from tests.careful import careful
from tests.protocols.scope import Scope

with (scope := Scope()):

    class Line(Header):
        line: Bytes = ended(b"\r\n", b"")

    class NamedLine(Line, inside="line", when=size_of("line") > 2):
        name: Text = ended(b":", "Host")
        value: Rest = b" example.org"

    class ContentLength(NamedLine, inside="value", when={"name": "Content-Length"}):
        length: Digits = 0

    class Upgrade(NamedLine, inside="value", when={"name": ("Upgrade", b"UP")}):
        to: Text = ended(b";", "x")
        more: Rest = b""

    class Post(Header, under=TCP, when={"port": 8099}, stream=True, payload_size=field("lines.contentlength.length")):
        first: Text = ended(b"\r\n", "GET / HTTP/1.1")
        lines: tuple[Line, ...] = many(until=size_of("line") == 2, value=(Line(),))

    class Entry(Header):
        line: Bytes = ended(b"0", b"")

    class Counted(Entry, inside="line", when=size_of("line") > 0):
        count: Digits = ended(b";", 1)
        rest: Bytes = b""

    class Sized(Header, payload_size=field("lines.contentlength.length", default=-1)):
        size: U16 = auto(size_of("lines"))
        lines: tuple[Line, ...] = many()


@pytest.fixture(autouse=True)
def scoped() -> Iterator[None]:
    with scope:
        yield


words = st.text("abcXYZ-", min_size=1, max_size=8)
lines = st.one_of(
    st.builds(NamedLine, name=words, value=st.binary(max_size=5).filter(lambda one: b"\n" not in one)),
    st.builds(Upgrade, name=st.sampled_from(["Upgrade", "uPGRADE", "UP"]), to=words),
)


@given(st.lists(lines, max_size=4), st.none() | st.binary(max_size=5))
def test_what_is_built_reads_back(some: list[Line], body: bytes | None) -> None:
    packet = Post(lines=[*some, *([] if body is None else [ContentLength(length=len(body))]), Line()]) / (body or b"")
    read = dissect(bytes(packet), Post)
    assert read == packet and not read.faults and read.payload == (body or b"")
    assert [*map(type, read[Post].lines)] == [*map(type, packet[Post].lines)]
    assert careful(Post, bytes(packet))[0] == read[Post]


@given(
    st.lists(
        st.sampled_from([b"\r\n", b":", b"content-length", b"5", b" ", b"Upgrade", b";", b"a", b"\xff", b"UP", b"up"]),
        max_size=16,
    )
)
def test_any_bytes_come_back_and_both_readers_agree(parts: list[bytes]) -> None:
    data = b"".join(parts)
    for header in (Post, Sized):
        data = len(data).to_bytes(2) + data if header is Sized else data
        packet = dissect(data, header)
        read, _ = careful(header, data)
        assert bytes(packet) == data and read == packet.layers[0]
        assert [*map(type, read.lines or ())] == [*map(type, packet.layers[0].lines or ())]
        repr(packet), packet.show(), packet.summary()


def test_text_is_compared_in_any_case_and_bytes_as_they_are() -> None:
    def of(line: bytes) -> type[Any]:
        return type(dissect(line + b"\r\n", Line)[Line])

    assert [of(line) for line in (b"CONTENT-length: 7", b"Upgrade:x;", b"UP:x;", b"Up:x;", b"")] == [
        ContentLength, Upgrade, Upgrade, NamedLine, Line,
    ]  # fmt: skip
    assert type(dissect(b"content-length: x\r\n", Line)[Line]) is NamedLine  # and a fault says why
    assert (
        ContentLength(length=5).name == "Content-Length" and bytes(ContentLength(length=5)) == b"Content-Length:5\r\n"
    )


def test_an_item_says_how_long_the_payload_is() -> None:
    data = bytes(Post(lines=[NamedLine(), ContentLength(length=5), Line()]) / b"hello")
    assert dissect(data, Post).payload == b"hello"
    assert dissect(data.replace(b":5", b":9"), Post).payload == b"hello"
    sized_one = bytes(Sized(lines=[ContentLength(length=2)]))
    assert dissect(sized_one + b"abc", Sized).payload == b"ab"
    assert dissect(bytes(Sized(lines=[NamedLine()])) + b"abc", Sized).payload == b"abc"
    assert dissect(sized_one + b"a", Sized).faults


def test_messages_in_a_stream() -> None:
    one = bytes(Post(lines=[ContentLength(length=5), Line()]) / b"hello")
    stream = one + bytes(Post()) + one
    below = Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2")
    frames = [bytes(below / TCP(dport=8099, sport=5, flags="SYN", seq=0))]
    frames += [
        bytes(below / TCP(dport=8099, sport=5, flags="ACK", seq=1 + i) / stream[i : i + 7])
        for i in range(0, len(stream), 7)
    ]
    found = [*Capture.of(frames).messages(Post)]
    assert [len(bytes(message.packet)) for message in found] == [len(one), len(bytes(Post())), len(one)]
    packet = dissect(bytes(below / TCP(dport=8099, flags="ACK", seq=1) / stream))
    assert [message.payload for message in packet.messages(Post)] == [b"hello", b"", b"hello"] and not packet.faults


def test_columns_filters_and_patterns() -> None:
    capture = Capture.of(
        [Ether() / IPv4() / TCP(dport=8099) / Post(lines=[NamedLine(), ContentLength(length=5), Line()]) / b"hello"]
    )
    names = ("post.lines.contentlength.length", "post.lines.namedline[all].name")
    assert [capture.table(*names).read().text(name) for name in names] == [["5"], ['"Host", "Content-Length"']]
    assert capture.where("post.lines.contentlength.length == 5").count() == 1
    assert capture.where('post.lines.namedline.name == "Host"').count() == 1
    assert capture.where(Post(lines=contains(ContentLength(length=6)))).count() == 0


@given(st.data())
def test_strategies_draw_them(data: st.DataObject) -> None:
    packet = data.draw(packets(Post))
    assert bytes(dissect(bytes(packet), Post)) == bytes(packet)


@given(headers(Counted))
def test_what_is_drawn_inside_a_line_does_not_end_it(counted: Counted) -> None:
    assert dissect(bytes(counted), Entry).layers == (counted,)


def test_they_travel_as_data_and_as_source_and_wireshark_refuses_them() -> None:
    data = bytes(Post(lines=[Upgrade(), ContentLength(length=5), Line()]) / b"hello")
    read = repr(dissect(data, Post))
    descriptions = json.loads(json.dumps(described([Post])))
    source = "\n".join(map(class_body, descriptions))
    assert "when=field(\"name\").one_of('Upgrade', b'UP')" in source
    assert 'payload_size=field("lines.contentlength.length")' in source
    with bindings():
        assert repr(dissect(data, declare_from(descriptions)[-1])) == read
    with pytest.raises(BuildError, match=r"Post: expected rules of numbers of the header itself.*contentlength"):
        wireshark(Post)


def test_conditions_on_text_stand_elsewhere_too() -> None:
    with bindings():

        class Command(Header):
            verb: Text = ended(b" ", "GET")
            size: U8 = when((field("verb") == "put") | (field("verb") == b"POST"), auto(size_of("body")))
            body: Bytes = when(field("verb").one_of("put", b"POST"), sized(field("size"), b""))
            other: U8 = when(field("verb") != "PUT", 7)

        for header in (
            Command(),
            Command(verb="pUt", body=b"abc"),
            Command(verb="POST", body=b"a"),
            Command(verb="post"),
        ):
            read = dissect(bytes(header), Command)
            assert read[Command] == header and not read.faults and careful(Command, bytes(header))[0] == header
        assert bytes(Command(verb="pUt", body=b"abc")) == b"pUt \3abc" and bytes(Command(verb="post")) == b"post \7"


def test_what_cannot_stand_in_a_line_is_refused() -> None:
    with pytest.raises(BuildError, match=r"NamedLine.line: expected a value without"):
        NamedLine(name="A", value=b"x\r\ny")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: field("a") < "b", "a field that is == or != a text"),
        (lambda: size_of("a") == "b", "a field that is == or != a text"),
        (lambda: field("a").one_of("b", 1), "got 1"),
        (lambda: field("a", default=1), "a path into a list"),
        (
            lambda: type(Line)("X", (Line,), {"__module__": "x"}, inside="line", when={"lin": "a"}),
            "a field of Line, got lin",
        ),
        (
            lambda: type(Line)("X", (NamedLine,), {"__module__": "x"}, inside="value", when={"name": "CONTENT-LENGTH"}),
            "ContentLength",
        ),
        (
            lambda: type(Line)("X", (NamedLine,), {"__module__": "x"}, inside="value", when={"name": "é"}),
            "letters of ASCII",
        ),
        (
            lambda: type(Line)(
                "X", (Header,), {"__module__": "x", "__annotations__": {"a": U8}}, payload_size=field("a.b.c")
            ),
            "a list of headers",
        ),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(make: Any, words: str) -> None:
    with pytest.raises(DeclareError, match=words):
        make()
