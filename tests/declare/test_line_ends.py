"""Text and bytes that end at either of several delimiters, CRLF or LF: both are read, and what was read goes out as it came."""

from __future__ import annotations

import copy
import pickle
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

import packetlab as pl
from packetlab import (
    TCP,
    U8,
    BuildError,
    Bytes,
    Capture,
    DeclareError,
    Digits,
    EndedBytes,
    EndedText,
    Ether,
    Header,
    IPv4,
    Text,
    Writer,
    auto,
    bindings,
    dissect,
    ended,
    field,
    many,
    sum8,
    value_of,
)
from packetlab.schema.source import class_body
from tests.careful import careful

EITHER = b"\r\n", b"\n"


class Named(Header):
    name: Text = ended(b":", "")
    value: Text = ended(EITHER, "")


class Verb(Header, under=TCP, port=7421, stream=True):
    verb: Bytes = ended(EITHER, b"GET")
    lines: tuple[Named, ...] = many(until=field("name") == "end")


@given(st.lists(st.tuples(st.text("ab\r é", max_size=5), st.sampled_from(["\r\n", "\n"])), min_size=1, max_size=4))
@settings(max_examples=50)
def test_both_are_read_as_a_text_in_words_splits_lines(lines: list[tuple[str, str]]) -> None:
    for text, end in lines:
        data = f"a:{text}{end}".encode()
        (wanted, found), *_ = re.findall(r"a:(.*?)(\r?\n)", data.decode(), re.S)
        packet = dissect(data, Named)
        assert (packet[Named].value, packet.faults, bytes(packet)) == (wanted, (), data)
        assert careful(Named, data)[0] == packet[Named]
        other = packet.replace(Named, name="other")
        assert bytes(other) == f"other:{wanted}{found}".encode()
        assert bytes(packet.replace(Named, value=wanted)) == data
        assert bytes(packet.replace(Named, value="new")) == b"a:new\r\n"
        for again in (pickle.loads(pickle.dumps(packet[Named])), copy.deepcopy(packet[Named]), eval(repr(packet[Named]))):
            assert bytes(again) == data
            assert again == packet[Named]


def test_the_first_is_written_and_another_one_named() -> None:
    assert bytes(Named(name="a", value="b")) == b"a:b\r\n"
    assert bytes(Named(name="a", value=EndedText("b", b"\n"))) == b"a:b\n"
    assert bytes(Verb(verb=EndedBytes(b"PUT", b"\n"), lines=[Named(name="end")])) == b"PUT\nend:\r\n"
    assert Named(value="b") == Named(value=EndedText("b", b"\n"))
    assert Named(value="b") in dissect(b":b\n", Named)
    with pytest.raises(BuildError, match=r"Named\.value: expected an end of b'\\r\\n' or b'\\n', got b'\\x00'"):
        Named(value=EndedText("b", b"\0"))
    for value in ("a\nb", EndedText("a\r", b"\n"), "a\r\n"):
        with pytest.raises(BuildError, match="expected a value without"):
            Named(value=value)


def test_messages_of_a_stream_end_at_either() -> None:
    sent = [b"GET\na:1\r\nend:\n", b"PUT\r\nend:x\r\n", b"\nb:2\nend:\n"]
    segment = Ether() / IPv4() / TCP(dport=7421, seq=100, flags="ACK") / b"".join(sent)
    for size in (1, 2, 3, 7, 100):
        capture = Capture.of([Ether() / IPv4() / TCP(dport=7421, seq=99, flags="SYN"), *segment.segments(size)])
        assert [message.data for message in capture.messages(Verb)] == sent
        assert [message.packet[Verb].verb for message in capture.messages(Verb)] == [b"GET", b"PUT", b""]


def test_they_travel() -> None:
    (again,) = pl.declare_from(pl.describe(Named))
    assert bytes(dissect(b"a:b\n", again)) == b"a:b\n"
    assert bytes(again(value="x")) == b":x\r\n"
    assert "ended((b'\\r\\n', b'\\n')" in class_body(pl.describe(Named))


@pytest.fixture
def shown() -> Iterator[type[Header]]:
    with bindings():

        class Posted(Header, under=TCP, port=7422):
            number: U8 = 0
            text: Text = ended(EITHER, "")
            after: U8 = 7

        yield Posted


def test_wireshark_reads_both(shown: type[Header], tshark: Callable[..., list[list[str]]], tmp_path: Path) -> None:
    script, file = tmp_path / "ends.lua", tmp_path / "ends.pcap"
    script.write_text(pl.wireshark(shown), "utf-8")
    bodies = [b"\0abc\n\x09", b"\1abc\r\n\x08", b"\2abc\r\r\n\x07", b"\3\n\x06", b"\4\r\n\x05", b"\5abc"]
    with Writer(file) as writer:
        for port, body in enumerate(bodies, 5000):
            writer.write(Ether() / IPv4() / TCP(sport=port, dport=7422, seq=1, flags="ACK") / body)
    rows = tshark(file, "posted.text", "posted.after", options=("-X", f"lua_script:{script}"))
    wanted = [dissect(body, shown)[shown] for body in bodies[:-1]]
    assert [(row + [""] * 2)[1] for row in rows] == [*(str(one.after) for one in wanted), ""]
    assert [row[0].replace("\\r", "\r") for row in rows[:5]] == [str(one.text) for one in wanted]


def test_what_it_cannot_be_is_refused() -> None:
    with pytest.raises(DeclareError, match=r"Apart\.text: expected delimiters of which the others end with the shortest"):

        class Apart(Header):
            text: Text = ended((b"\r\n", b"\0"), "")

    with pytest.raises(DeclareError, match=r"Number\.number: expected one delimiter for what is no text or bytes"):

        class Number(Header):
            number: Digits = ended(EITHER, 0)

    with pytest.raises(DeclareError, match=r"expected a field of one delimiter in value_of"):

        class Summed(Header):
            text: Text = ended(EITHER, "")
            check: U8 = auto(sum8(value_of("text")))
