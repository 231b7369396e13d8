"""Quarry, a protocol of nobody's (texts/quarry.txt): lines of text, then a body with a directory of blobs.

Each blob is a field of its entry, though it lies behind the directory, and what the entry's kind says that it is.
"""

from __future__ import annotations

from typing import Annotated

from packetlab import (
    S16,
    TCP,
    U1,
    U6,
    U8,
    U16,
    U32,
    Bytes,
    Header,
    Packet,
    Rest,
    Verdict,
    at,
    auto,
    but,
    choose,
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
    offset_of,
    scaled,
    size_of,
    sized,
    sum8,
    text,
    when,
)
from tests.protocols.scope import Scope
from tests.protocols.texts import vectors

with (scope := Scope()):

    class Known(Header):
        """A line of name and value; the value of the length is a field after the list."""

        name: Annotated[str, text("ascii")] = ended(b":", "Station")
        value: Annotated[str, text("ascii", space=b" ")] | None = when(field("name") != "Content-Length", ended(b"\r\n", ""))

    class Line(Header):
        line: Bytes = ended(b"\r\n", b"")

    class Quarry(Header, under=TCP, port=8823, stream=True, label="{status} {reason}"):
        version: Annotated[bytes, fixed_bytes(9)] = const(b"QUARRY/1 ")
        status: Annotated[int, digits(width=3)] = 200
        space: Annotated[bytes, fixed_bytes(1)] = const(b" ")
        reason: Annotated[str, text("ascii")] = ended(b"\r\n", "")
        fields: tuple[Known, ...] = many(until=field("name") == "Content-Length", end=Known(name="Content-Length"))
        content_length: Annotated[int, digits(space=b" ")] = ended(b"\r\n", auto(size_of("payload")))
        more: tuple[Line, ...] = many(until=size_of("line") == 2, end=Line())

    class Entry(Header):
        offset: U32 = auto(choose(size_of("blob") > 0, offset_of("blob", since="Load"), 0))
        size: U32 = auto(size_of("blob"))
        kind: U8 = 2
        reserved: U6 = must(field("reserved") == 0, 0)
        partial: U1 = 0
        seen: U1 = 0
        zeros: U16 = must(field("zeros") == 0, 0)
        name: Annotated[str, text("ascii", size=12, pad=b"\0")] = ""
        blob: Bytes = at(field("offset"), sized(field("size"), b""), since="Load", within="blobs", align=8)

    class Remark(Entry, inside="blob", when={"kind": 2}):
        words: Annotated[str, text(rest=True)] = ""

    class Samples(Entry, inside="blob", when={"kind": 3}):
        rate: U16 = 0
        samples: tuple[S16, ...] = many()

    class Place(Entry, inside="blob", when={"kind": 4}):
        latitude: Annotated[float, scaled(32, 1e-7, signed=True, unit="degrees")] = 0
        longitude: Annotated[float, scaled(32, 1e-7, signed=True, unit="degrees")] = 0
        height: Annotated[float, scaled(16, 0.1, signed=True, unit="m")] = 0

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


def whole(offsets: tuple[int, ...] = (96, 120, 80)) -> Packet:
    """Return the first load, by its values; without offsets its blobs lie in the order of the entries."""
    entries: tuple[Entry, ...] = (
        Remark(words="Face wet, pump on.\n", name="remarks", seen=1),
        Samples(rate=250, samples=(0, 1200, -1200, 32767, -32768), name="geophone-001"),
        Place(latitude=59.41389, longitude=-18.06882, height=-12.5, name="site"),
    )
    entries = tuple(one.replace(offset=at) for one, at in zip(entries, offsets, strict=True)) if offsets else entries
    fields = (Known(name="Station", value="Pit 7 East"), Known(name="Serial", value="00412"), Known(name="Content-Length"))
    return Quarry(reason="Whole load", fields=fields) / Load(directory=entries)


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
        remarks, geophone, site = load.directory
        assert isinstance(remarks, Remark) and remarks.words == "Face wet, pump on.\n"
        assert isinstance(geophone, Samples) and (geophone.rate, geophone.samples) == (250, (0, 1200, -1200, 32767, -32768))
        assert isinstance(site, Place) and (site.latitude, site.longitude, site.height) == (59.41389, -18.06882, -12.5)


def test_blobs_without_offsets_lie_in_the_order_of_the_entries() -> None:
    with scope:
        data = bytes(whole(()))
        found = dissect(data, Quarry)
        assert found.faults == () and [one.offset for one in found[Load].directory] == [80, 104, 120]
        assert len(data) == len(WHOLE) - 2 and found[Quarry].content_length == 131
        assert dissect(bytes(found.replace({"load.directory[0].remark.words": "dry"})), Quarry)[Load].directory[0].blob == b"dry"


def test_three_messages_on_end() -> None:
    with scope:
        found = dissect(STREAM, Quarry)
        nothing, part, shut = found.messages(Quarry)
        assert found.faults == () and b"".join(map(bytes, (nothing, part, shut))) == STREAM
        assert (nothing[Quarry].status, nothing[Quarry].fields[1].name) == (304, "CONTENT-LENGTH")
        assert [one.value for one in part[Quarry].fields] == ["Pit 7 East", "414", "a:b", "", None]
        core, empty = part[Load].directory
        assert (core.name, core.partial, core.kind, core.blob) == ("core.bin", 1, 1, b"\0\xff\r\n\r\n\x7f")
        assert isinstance(empty, Remark) and (empty.name, empty.offset, empty.size, empty.words) == ("empty", 0, 0, "")
        assert part[Load].blobs == b"\0\xff\r\n\r\n\x7f\0" and part.verdict(Load) is Verdict.GOOD
        fields = (Known(name="Retry-After", value="3600"), Known(name="Content-Length"))
        assert shut == Quarry(status=503, reason="Shut", fields=fields) / Trouble(words="Blasting until 14:00 – back soon")


def test_an_offset_that_is_wrong_is_a_fault_at_the_blob() -> None:
    with scope:
        found = dissect(DAMAGED, Quarry)
        (fault,) = found.faults
        assert str(fault) == "Load.directory: expected directory[0].blob within blobs, bytes 32 to 36 of Load at offset 94, got bytes 34 to 38"
        assert (found[Load].directory[0].blob, found.verdict(Load), bytes(found)) == (b" t", Verdict.GOOD, DAMAGED)
        collected = [message for message in dissect(WHOLE + DAMAGED + WHOLE, Quarry).messages(Quarry) if not message.faults]
        assert list(map(bytes, collected)) == [WHOLE, WHOLE]  # that message is dropped, and the next one read behind its body


def test_a_size_of_the_directory_that_is_wrong_is_a_fault() -> None:
    with scope:
        spoilt = DAMAGED.replace(b"QD\1\1\0\0\0\x20\0\0\0\x22", b"QD\1\1\0\0\0\x21\0\0\0\x20")
        assert [fault.field for fault in dissect(spoilt, Quarry).faults] == ["directory_size"]
