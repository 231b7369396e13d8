"""Quarry, a protocol of nobody's (texts/quarry.txt): lines of text, then a body with a directory of blobs.

The blobs are one field: an item of a list cannot have bytes that lie behind the list, so who reads takes them by the directory.
"""

from __future__ import annotations

from typing import Annotated

from packetlab import (
    TCP,
    U1,
    U6,
    U8,
    U16,
    U32,
    Bytes,
    Digits,
    Header,
    Packet,
    Rest,
    Verdict,
    auto,
    but,
    const,
    count_of,
    digits,
    dissect,
    ended,
    field,
    fixed_bytes,
    from_end,
    many,
    must,
    size_of,
    sum8,
    text,
    when,
)
from tests.protocols.scope import Scope
from tests.protocols.texts import vectors

with (scope := Scope()):

    class Known(Header):
        """A line of name and value; the value of the length is a field after the list."""

        name: Annotated[str, text("ascii")] = ended(b": ", "Station")
        value: Annotated[str, text("ascii")] | None = when(field("name") != "Content-Length", ended(b"\r\n", ""))

    class Line(Header):
        line: Bytes = ended(b"\r\n", b"")

    class Quarry(Header, under=TCP, port=8823, stream=True, label="{status} {reason}"):
        version: Annotated[bytes, fixed_bytes(9)] = const(b"QUARRY/1 ")
        status: Annotated[int, digits(width=3)] = 200
        space: Annotated[bytes, fixed_bytes(1)] = const(b" ")
        reason: Annotated[str, text("ascii")] = ended(b"\r\n", "")
        fields: tuple[Known, ...] = many(until=field("name") == "Content-Length", end=Known(name="Content-Length"))
        content_length: Digits = ended(b"\r\n", auto(size_of("payload")))
        more: tuple[Line, ...] = many(until=size_of("line") == 2, end=Line())

    class Entry(Header):
        offset: U32 = 0
        size: U32 = 0
        kind: U8 = 2
        reserved: U6 = must(field("reserved") == 0, 0)
        partial: U1 = 0
        seen: U1 = 0
        zeros: U16 = must(field("zeros") == 0, 0)
        name: Annotated[str, text("ascii", size=12, pad=b"\0")] = ""

    class Load(Header, under=Quarry, when={"status": (200, 206)}, last=True):
        mark: Annotated[bytes, fixed_bytes(2)] = const(b"QD")
        revision: U8 = const(1)
        entries: U8 = auto(count_of("directory"))
        directory_size: U32 = must(field("directory_size") == field("entries") * 24 + 8, auto(field("entries") * 24 + 8))
        directory: tuple[Entry, ...] = many(count=field("entries"))
        blobs: Rest = b""
        sum: U8 = from_end(1, auto(sum8("self", but("sum"))))

    class Trouble(Header, under=Quarry, when=field("status") >= 400):
        words: Annotated[str, text(rest=True)] = ""


WHOLE, STREAM, DAMAGED = vectors("quarry")


def whole() -> Packet:
    """Return the first load, by its values."""
    entries = (
        Entry(offset=96, size=19, name="remarks", seen=1),
        Entry(offset=120, size=12, kind=3, name="geophone-001"),
        Entry(offset=80, size=10, kind=4, name="site"),
    )
    blobs = bytes.fromhex("2369d714f53aeab8ff83") + bytes(6) + b"Face wet, pump on.\n" + bytes(5)
    blobs += bytes.fromhex("00fa 0000 04b0 fb50 7fff 8000")
    fields = (Known(name="Station", value="Pit 7 East"), Known(name="Serial", value="00412"), Known(name="Content-Length"))
    return Quarry(reason="Whole load", fields=fields) / Load(directory=entries, blobs=blobs)


def test_a_load_is_built_and_read() -> None:
    with scope:
        assert bytes(whole()) == WHOLE
        found = dissect(WHOLE, Quarry)
        assert (found.faults, found, bytes(found)) == ((), whole(), WHOLE)
        quarry, load = found[Quarry], found[Load]
        assert (quarry.status, quarry.reason, quarry.content_length) == (200, "Whole load", 133)
        assert [(one.name, one.value) for one in quarry.fields[:2]] == [("Station", "Pit 7 East"), ("Serial", "00412")]
        assert (load.entries, load.directory_size, load.sum, found.verdict(Load)) == (3, 80, 0xE4, Verdict.GOOD)
        assert [(one.name, one.offset, one.size, one.kind, one.seen, one.partial) for one in load.directory] == [
            ("remarks", 96, 19, 2, 1, 0), ("geophone-001", 120, 12, 3, 0, 0), ("site", 80, 10, 4, 0, 0),
        ]  # fmt: skip


def test_three_messages_on_end() -> None:
    with scope:
        found = dissect(STREAM, Quarry)
        nothing, part, shut = found.messages(Quarry)
        assert found.faults == () and b"".join(map(bytes, (nothing, part, shut))) == STREAM
        assert (nothing[Quarry].status, nothing[Quarry].fields[1].name) == (304, "CONTENT-LENGTH")
        assert [one.value for one in part[Quarry].fields] == ["Pit 7 East", "414", "a:b", "", None]
        assert [(one.name, one.partial) for one in part[Load].directory] == [("core.bin", 1), ("empty", 0)]
        assert part[Load].blobs == b"\0\xff\r\n\r\n\x7f\0" and part.verdict(Load) is Verdict.GOOD
        fields = (Known(name="Retry-After", value="3600"), Known(name="Content-Length"))
        assert shut == Quarry(status=503, reason="Shut", fields=fields) / Trouble(words="Blasting until 14:00 – back soon")


def test_a_size_of_the_directory_that_is_wrong_is_a_fault() -> None:
    with scope:
        assert dissect(DAMAGED, Quarry).faults == ()  # its offset is of a blob: no part of the declaration
        spoilt = DAMAGED.replace(b"QD\1\1\0\0\0\x20", b"QD\1\1\0\0\0\x21")
        assert [fault.field for fault in dissect(spoilt, Quarry).faults] == ["directory_size"]
