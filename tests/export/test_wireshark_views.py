"""Values of another form than the packed one, as tshark shows them: what we say they are."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any

import pytest

import packetlab as pl
from packetlab import (
    F16,
    F64,
    GUID,
    U8,
    UUID,
    Bytes,
    Digits,
    Ether,
    F32le,
    Header,
    NTPShort,
    NTPTime,
    Text,
    UnixTimeNs,
    Writer,
    auto,
    bindings,
    const,
    digits,
    dissect,
    ended,
    field,
    scaled,
    size_of,
    text,
    timestamp,
)  # fmt: skip
from tests.answers import tshark


def shown_fields(script: str, frames: list[bytes], folder: Path, names: list[str]) -> list[dict[str, str]]:
    """Return what tshark shows of fields, a dict for each frame."""
    (folder / "one.lua").write_text(script, encoding="ascii")
    with Writer(folder / "one.pcap") as writer:
        for frame in frames:
            writer.write(frame)
    words = ("-n", "-X", f"lua_script:{folder / 'one.lua'}", "-r", folder / "one.pcap", "-T", "fields")
    done = tshark(*words, *(word for name in names for word in ("-e", name)))
    return [dict(zip(names, line.split("\t"), strict=True)) for line in done.stdout.removesuffix("\n").split("\n")]


@pytest.mark.skipif(shutil.which("tshark") is None, reason="no tshark")
def test_lua_reads_lines_and_numbers_in_digits_and_their_faults(tmp_path: Path) -> None:
    with bindings():

        class Ask(Header, under=Ether, when={"type": 0x88B6}, payload_size=field("length")):
            version: Bytes = ended(b" ", const(b"X/1"))
            target: Text = ended(b"\r\n", "/a")
            status: Annotated[int, digits(width=3)] = 200
            length: Digits = ended(b"\r\n", auto(size_of("payload")))

        class Inside(Header, under=Ask, when=field("length") > 0):
            a: Annotated[int, digits(16, signed=True)] = ended(b";", -10)
            wide: Annotated[str, text("utf-16-le")] = ended(b"\0\0", "wide")
            most: Digits = ended(b"\n", (1 << 64) - 1)

        good = bytes(Ether() / Ask() / Inside())
        frames = [good, good.replace(b"200", b"2x0"), good[:18], good.replace(b"X/1", b"X/2"), good.replace(b"20034", b"2000034")]
        script = str(pl.wireshark(Ask))
        faults: list[Any] = [[f"{fault.layer}.{fault.field}" for fault in dissect(frame).faults] for frame in frames]
    names = ["ask.version", "ask.target", "ask.status", "ask.length", "inside.a", "inside.wide", "inside.most", "_ws.expert.message"]
    rows = shown_fields(script, frames, tmp_path, names)
    assert [*rows[0].values()] == ["582f31", "/a", "200", "34", "-10", "wide", "18446744073709551615", ""]
    assert faults == [[], ["Ask.status"], ["Ask.target"], ["Ask.version"], []]
    for row, expected in zip(rows, faults, strict=True):
        assert all(name in row["_ws.expert.message"] for name in expected) and bool(row["_ws.expert.message"]) is bool(expected)
    assert rows[4]["ask.length"] == "34" and rows[4]["inside.wide"] == "wide"


@pytest.mark.skipif(shutil.which("tshark") is None, reason="no tshark")
def test_wireshark_shows_the_users_form(tmp_path: Path) -> None:
    with bindings():

        class Probe(Header, under=Ether, when={"type": 0x88B5}):
            half: F16 = -2.5
            level: F32le = 0.5
            exact: F64 = 1e300
            delay: Annotated[float, scaled(12, 1 / 256, unit="s")] = 1.5
            words: Annotated[int, scaled(4, 4)] = 20
            temp: Annotated[float, scaled(16, "0.01", offset=-40, signed=True)] = -40.25
            sent: NTPTime = "2024-01-01T00:00:00.123456789Z"  # type: ignore[assignment]
            late: NTPTime = datetime(2040, 1, 1, tzinfo=UTC)
            logged: UnixTimeNs = "2024-01-01T00:00:00.987654321Z"  # type: ignore[assignment]
            file: Annotated[datetime, timestamp(64, epoch="1601-01-01", unit=Fraction(1, 10**7), little=True)] = datetime(2024, 1, 1, tzinfo=UTC)
            spread: NTPShort = timedelta(seconds=1.5)
            id: UUID = "6ba7b810-9dad-11d1-80b4-00c04fd430c8"  # type: ignore[assignment]
            guid: GUID = "6ba7b810-9dad-11d1-80b4-00c04fd430c8"  # type: ignore[assignment]
            host: Annotated[str, text("ascii", size=8, pad=b"\0")] = "box"
            size: U8 = auto(size_of("name"))
            name: Text = "h\u00e9llo"
            wide: Annotated[str, text("utf-16-le", size=8)] = "wide"

        script, frame = str(pl.wireshark(Probe)), bytes(Ether() / Probe())
    names = ["half", "level", "exact", "delay", "words", "temp", "sent", "late", "logged", "file", "spread", "id", "guid", "host", "name", "wide"]
    (row,) = shown_fields(script, [frame], tmp_path, [f"probe.{name}" for name in names])
    shown = {name: row[f"probe.{name}"] for name in names}
    assert {name: float(shown[name]) for name in ("half", "level", "exact", "delay", "words", "temp", "spread")} == {
        "half": -2.5, "level": 0.5, "exact": 1e300, "delay": 1.5, "words": 20, "temp": -40.25, "spread": 1.5,
    }  # fmt: skip
    assert shown["sent"].startswith("Jan  1, 2024 00:00:00.123456789") and shown["late"].startswith("Jan  1, 2040 00:00:00.0")
    assert shown["logged"].startswith("Jan  1, 2024 00:00:00.987654321") and shown["file"].startswith("Jan  1, 2024 00:00:00.0")
    assert shown["id"] == shown["guid"] == "6ba7b810-9dad-11d1-80b4-00c04fd430c8"
    assert (shown["host"], shown["name"], shown["wide"]) == ("box", "h\u00e9llo", "wide")


@pytest.mark.skipif(shutil.which("tshark") is None, reason="no tshark")
def test_the_info_column_has_the_label(tmp_path: Path) -> None:
    class Colour(IntEnum):
        RED = 1

    with bindings():

        class Labelled(Header, under=pl.UDP, port=17377, label="{colour} of {name} at {host} ({id:#06x}, {wait}) {more} {data}"):
            colour: Annotated[pl.Named[Colour], pl.bits(8)] = pl.default(Colour.RED)
            id: pl.U16 = 0
            host: pl.IPv4Address = pl.default("10.0.0.7")
            wait: Annotated[float, scaled(8, 0.5, unit="s")] = 1.5
            name: Text = ended(b"\0", "")
            more: U8 | None = pl.when(field("id") == 9, 4)
            data: pl.Rest = b""

        made = [Labelled(name="one", data=b"x y"), Labelled(id=9, name="größe \x1b[2J\u202e", colour=5, data=b"\x00\xff")]
        frames = [bytes(Ether() / pl.IPv4() / pl.UDP(sport=4) / one) for one in made]
        found = [one["_ws.col.Info"] for one in shown_fields(str(pl.wireshark(Labelled)), frames, tmp_path, ["_ws.col.Info"])]
        assert found[0] == "Labelled RED of one at 10.0.0.7 (0x0000, 1.5 s) x y"
        assert dissect(frames[0]).summary().endswith(f" / {found[0]}")
        assert found[1].startswith("Labelled 5 of größe ") and found[1].endswith(" at 10.0.0.7 (0x0009, 1.5 s) 4 00ff")
        assert found[1].isprintable()
        whole = frames[0]
        cut = shown_fields(str(pl.wireshark(Labelled)), [whole[:end] for end in range(42, len(whole))], tmp_path, ["_ws.col.Info"])
        assert len(cut) == len(whole) - 42


@pytest.mark.skipif(shutil.which("tshark") is None, reason="no tshark")
def test_values_side_by_side_are_fields_of_their_own(tmp_path: Path) -> None:
    with bindings():

        class Several(Header, under=pl.UDP, port=17395):
            count: U8 = auto(pl.count_of("hosts"))
            hosts: tuple[pl.IPv4Address, ...] = pl.many()
            size: U8 = auto(size_of("low"))
            low: tuple[pl.U16le, ...] = pl.many()
            cards: tuple[pl.MAC, ...] = pl.many(size=6)
            deltas: tuple[pl.S32, ...] = pl.many()

        one = Several(hosts=["10.0.0.1", "10.0.0.2"], low=[1, 300], cards=["02:00:00:00:00:05"], deltas=[-5, 7, 2**31 - 1])
        names = [f"several.{name}.value" for name in ("hosts", "low", "cards", "deltas")] + ["several.hosts"]
        many = Several(deltas=range(3000), cards=[bytes(6)])
        frames = [bytes(Ether() / pl.IPv4() / pl.UDP() / some) for some in (one, many)]
        frames.append(frames[0][:-3])
        found = shown_fields(str(pl.wireshark(Several)), frames, tmp_path, names)
        assert [found[0][name] for name in names] == ["10.0.0.1,10.0.0.2", "1,300", "02:00:00:00:00:05", "-5,7,2147483647", "0a0000010a000002"]
        assert found[1][names[3]].split(",") == [str(number) for number in range(1000)]
        assert found[2][names[0]] == "10.0.0.1,10.0.0.2" and found[2][names[3]] == "-5,7"


@pytest.mark.skipif(shutil.which("tshark") is None, reason="no tshark")
@pytest.mark.parametrize("filters", [3, pytest.param(7, marks=pytest.mark.slow)])
def test_negative_durations_borders_of_eras_and_padding_are_in_wireshark_what_they_are_here(tmp_path: Path, filters: int) -> None:
    raws = [(-1, 0x7FFFFFFF_FFFFFFFF), (-4, 0x7FFFFFFF_00000000), (-5, 1 << 63), (1, (1 << 63) - 5), (-32768, 0)]
    with bindings():

        class Edge(Header, under=Ether, when={"type": 0x88B5}):
            ntp: NTPTime = pl.raw(0)
            waited: Annotated[timedelta, pl.duration(16, unit="1/4", signed=True)] = pl.raw(0)
            turned: Annotated[datetime, timestamp(32, unit="1/1000", since="1970-01-10T00:00:00.5Z")] = pl.raw(0)
            name: Annotated[str, text("ascii", size=4, pad=b" ")] = ""
            wide: Annotated[str, text("utf-16-le", size=6, pad=b" \0")] = ""

        names = ["ab", "", "abcd", " a", "b"]
        turns = [777600499, 777600500, 777600501, 0, (1 << 32) - 1]
        frames = [
            bytes(Ether() / Edge(ntp=pl.raw(n), waited=pl.raw(w), turned=pl.raw(t), name=name, wide=name[:3]))
            for (w, n), t, name in zip(raws, turns, names, strict=True)
        ]
        script = str(pl.wireshark(Edge))
        here: list[Any] = [dissect(frame)[Edge] for frame in frames]
    rows = shown_fields(script, frames, tmp_path, ["edge.ntp", "edge.waited", "edge.turned", "edge.name", "edge.wide"])

    def moment(value: datetime) -> str:
        return f"{value:%b} {value.day:2}, {value:%Y %H:%M:%S.%f}"

    for row, one, name in zip(rows, here, names, strict=True):
        assert row["edge.ntp"].startswith(moment(one.ntp)) and row["edge.turned"].startswith(moment(one.turned))
        assert Fraction(row["edge.waited"]) == one.waited.exact
        assert (row["edge.name"], row["edge.wide"]) == (name, name[:3]) == (one.name, one.wide)
    words = ("-n", "-X", f"lua_script:{tmp_path / 'one.lua'}", "-r", tmp_path / "one.pcap", "-T", "fields", "-e", "frame.number")
    matched = {
        "edge.waited < -0.6": "2 3 5", 'edge.wide == "b"': "5", 'edge.turned == "1970-02-28 17:02:47.795"': "1",
        "edge.waited == -0.25": "1", "edge.waited >= -1": "1 2 4", 'edge.name == "ab"': "1", 'edge.name == " a"': "4",
    }  # fmt: skip
    for asked, numbers in [*matched.items()][:filters]:
        found = tshark(*words, "-Y", asked)
        assert found.stdout.split() == numbers.split(), asked


@pytest.mark.skipif(shutil.which("tshark") is None, reason="no tshark")
@pytest.mark.parametrize("encoding", ["latin-1", "utf-16-be", "utf-16-le", "utf-32-be", "utf-32-le", "utf-8"])
def test_wireshark_shows_text_whole_that_is_longer_in_utf8(tmp_path: Path, encoding: str) -> None:
    """What Lua is given of a text in another encoding is cut to as many bytes as it has in that one."""
    words = "M\u00fcller\u00fc\u00fc" if encoding == "latin-1" else "\u6c34\u00f1\u2192\U0001f600\u07ff\u0800"
    data = words.encode(encoding)
    with bindings():

        class Card(Header, under=Ether, when={"type": 0x88B5}):
            size: U8 = auto(size_of("name"))
            name: Annotated[str, text(encoding)] = ""
            whole: Annotated[str, text(encoding, size=len(data))] = words
            line: Annotated[str, text(encoding)] = ended("\n".encode(encoding), words)

        script, frame = str(pl.wireshark(Card)), bytes(Ether() / Card(name=words))
    (row,) = shown_fields(script, [frame], tmp_path, ["card.name", "card.whole", "card.line"])
    assert set(row.values()) == {words}
    found = tshark("-n", "-X", f"lua_script:{tmp_path / 'one.lua'}", "-r", tmp_path / "one.pcap", "-Y", f'card.name == "{words}"')
    assert len(found.stdout.splitlines()) == 1
