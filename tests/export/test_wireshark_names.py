"""Dissectors for Wireshark of headers whose names, members and texts are not what Wireshark expects."""

from __future__ import annotations

from enum import IntEnum, IntFlag
from pathlib import Path
from typing import Annotated, Any

import pytest

from packetlab import (
    U8,
    U16,
    U64,
    BuildError,
    Ether,
    Header,
    Rest,
    Writer,
    auto,
    bindings,
    bits,
    count_of,
    field,
    many,
    when,
)
from packetlab.declare.kinds import Named
from packetlab.export.wireshark.wireshark import wireshark
from tests.answers import tshark
from tests.conftest import need
from tests.view.hostile import HOSTILE

REFUSED = ["E", "D", "LE", "GE", "LT", "GT", "EQ", "NE", "AND", "OR", "NOT", "IN", "CONTAINS", "MATCHES", "ALL", "ANY", "Any_Eq", "Bitwise_And", "XOR", "TRUE"]  # fmt: skip
TAKEN = ["Frame", "Data", "DNS", "TCP2", "Größe"]


def request(script: str, frame: Any, folder: Path, *fields: str) -> list[str]:
    """Let tshark read a frame with a dissector; return the values of some fields. No complaint may come with them."""
    (row,) = rows(script, [frame], folder, *fields)
    return row


def rows(script: str, frames: list[Any], folder: Path, *fields: str) -> list[list[str]]:
    """Return the same of many frames, a list for each."""
    need("tshark")
    (folder / "one.lua").write_text(script, encoding="ascii")
    with Writer(folder / "one.pcap") as writer:
        for frame in frames:
            writer.write(frame)
    words = ("-n", "-X", f"lua_script:{folder / 'one.lua'}", "-r", folder / "one.pcap", "-T", "fields")
    done = tshark(*words, *(one for name in fields for one in ("-e", name)), check=False)
    assert (done.stderr, done.returncode) == ("", 0)
    return [line.split("\t") for line in done.stdout.removesuffix("\n").split("\n")]


@pytest.mark.slow
def test_names_that_wireshark_refuses_or_has_are_distinguished(tmp_path: Path) -> None:
    with bindings():
        made = []
        for number, name in enumerate(REFUSED + TAKEN):
            body = {
                "__module__": __name__,
                "__qualname__": name,
                "__annotations__": {"le": U8, "d": U16},
                "le": 7,
                "d": number,
            }
            made.append(type(Header)(name, (Header,), body, under=Ether, when={"type": 0xB100 + number}))
        script = str(wireshark(*made))
        for name in REFUSED:
            assert f'--   packetlab_{name.lower()} (Wireshark takes no protocol called "{name.lower()}")\n' in script
        there = {"TCP2": "tcp2", "Größe": "gruf6udfe"}
        fields = []
        for header in made:
            prefix = there.get(header.__name__, f"packetlab_{header.__name__.lower()}")
            fields += [f"{prefix}.le", f"{prefix}.d"]
        found = rows(script, [Ether() / header() for header in made], tmp_path, *fields)
        for number, (header, row) in enumerate(zip(made, found, strict=True)):
            expected = [""] * len(fields)
            expected[2 * number : 2 * number + 2] = "7", str(number)
            assert row == expected, header


def names_of_wireshark(folder: Path) -> dict[str, str]:
    """Return the names that a class may have of which Wireshark has a dissector or fields, but no protocol; each with the name of a field."""
    need("tshark")
    (folder / "names.lua").write_text('for _, name in ipairs(Dissector.list()) do print("dissector", name) end', encoding="ascii")

    Writer(folder / "none.pcap").close()

    def lines(*words: str) -> list[list[str]]:
        return [line.split("\t") for line in tshark(*words).stdout.splitlines()]

    protocols = {row[2] for row in lines("-G", "protocols")}
    found = {row[1]: "a" for row in lines("-X", f"lua_script:{folder / 'names.lua'}", "-r", str(folder / "none.pcap")) if row[0] == "dissector"}
    for row in lines("-G", "fields"):
        if row[0] == "F" and row[2].count(".") == 1 and row[3] in ("FT_NONE", "FT_BYTES", "FT_STRING"):  # no number
            found.update([row[2].split(".")])
    return {name: f for name, f in found.items() if name not in protocols and name.isidentifier() and f.isidentifier() and name.islower() and f.islower()}


@pytest.mark.slow
def test_names_of_dissectors_and_of_fields_that_are_no_protocols_are_distinguished(tmp_path: Path) -> None:
    """BPDU is a dissector of the protocol "stp": a second one of that name ends Wireshark."""
    with bindings():
        names = names_of_wireshark(tmp_path)
        assert "bpdu" in names and len(names) > 100
        made, numbers = [], range(0x1000, 0x1000 + len(names))
        for number, (name, f) in zip(numbers, names.items(), strict=True):
            body = {"__module__": __name__, "__qualname__": name, "__annotations__": {f: U8, "q": U16}, f: 7, "q": number}
            made.append(type(Header)(name.upper(), (Header,), body, under=Ether, when={"type": number}))
        fields = [f"packetlab_{name}.{part}" for name, f in names.items() for part in (f, "q")]
        frames = [Ether() / header() for header in made]
        for at in range(0, len(made), 40):  # a command takes only so many fields
            found = rows(str(wireshark(*made[at : at + 40])), frames[at : at + 40], tmp_path, *fields[2 * at : 2 * at + 80])
            assert found == [[*[""] * 2 * i, "7", str(0x1000 + at + i), *[""] * 2 * (len(found) - 1 - i)] for i in range(len(found))]


def test_hostile_members_and_texts_are_only_shown(tmp_path: Path) -> None:
    with bindings():
        evil = '"]] os.execute("touch pwned") --[[\n\\'
        kinds = IntEnum("Kinds", {evil: 1, HOSTILE: 2, "plain": 3})  # type: ignore[misc]
        flags = IntFlag("Flags", {evil: 1, HOSTILE: 2})  # type: ignore[misc]
        body = {
            "__module__": __name__, "__qualname__": "Evil", "__doc__": f"{evil} {HOSTILE}",
            "__annotations__": {"kind": Annotated[Named[kinds], bits(8)], "flags": Annotated[Named[flags], bits(8)], "rest": Rest}, "rest": b"",
        }  # fmt: skip
        evil_header = type(Header)("Evil", (Header,), body, under=Ether, when={"type": 0xB1B1})
        script = str(wireshark(evil_header))
        assert script.isascii() and all(line.isprintable() for line in script.splitlines())
        frame = Ether() / evil_header(kind=1, flags=3)
        assert request(script, frame, tmp_path, "evil.kind", "evil.flags") == ["1", "0x03"]
        assert not list(tmp_path.rglob("pwned")) and not Path("pwned").exists()


@pytest.mark.slow
def test_what_fills_items_up_is_skipped(tmp_path: Path) -> None:
    with bindings():

        class Word(Header):
            v: U16 = 0

        class Row(Header, under=Ether, when={"type": 0xB1B2}):
            n: U8 = auto(count_of("words"))
            words: tuple[Word, ...] = many(count=field("n"), align=4)
            tail: U8 = 9

        script = str(wireshark(Row))
        frame = Ether() / Row(words=(Word(v=5), Word(v=6), Word(v=7)))
        assert request(script, frame, tmp_path, "word.v", "row.tail", "row.fault") == ["5,6,7", "9", ""]
        dirty = bytes(Ether() / Row(words=(Word(v=5),))).replace(b"\0\5\0\0", b"\0\5\0\1")
        assert request(script, dirty, tmp_path, "word.v", "row.tail") == ["5", "9"]
        (reported,) = request(script, dirty, tmp_path, "_ws.expert.message")
        assert reported.startswith(
            "Row.words: expected 2 zeros that fill the items up to a multiple of 4 bytes at offset 17"
        )


def test_numbers_beyond_what_the_script_can_hold_are_refused() -> None:
    with bindings():

        class Wide(Header, under=Ether, when={"type": 0xB1B3}):
            a: U64 = 0
            b: U8 = when(field("a") * field("a") * field("a") > 5, 0)

        with pytest.raises(
            BuildError, match="a rule for Wireshark: expected numbers of up to 190 bits, got up to 192 bits"
        ):
            wireshark(Wide)
