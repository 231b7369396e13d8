"""What rules name from elsewhere, and values that are not in the bytes, as tshark reads them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from packetlab import (
    U4,
    U8,
    U16,
    BuildError,
    Bytes,
    Ether,
    Header,
    VarInt,
    auto,
    before,
    bindings,
    choose,
    computed,
    count_of,
    dissect,
    field,
    many,
    size_of,
    when,
    wireshark,
)  # fmt: skip
from tests.export.test_wireshark_views import shown_fields


@pytest.mark.skipif(shutil.which("tshark") is None, reason="no tshark")
def test_lua_reads_values_from_elsewhere(tmp_path: Path) -> None:
    with bindings():

        class LuaOption(Header):
            delta: U4 = auto(choose(field("step") < 13, field("step"), 13))
            length: U4 = auto(size_of("value"))
            more: U8 | None = when(field("delta") == 13, auto(field("step") - 13))
            step: int = computed(choose(field("delta") < 13, field("delta"), field("more") + 13))
            number: int = computed(before("number") + field("step"))
            tag: U8 | None = when(field("^.tagged") == 1, 7)
            value: Bytes = b""

        class LuaFixed(Header, under=Ether, when={"type": 0x7A64}):
            qos: VarInt = 0
            kind: U8 = 3

        class LuaPublish(Header, under=LuaFixed, when={"kind": 3}):
            identifier: U16 | None = when(field("LuaFixed.qos") > 0, 5)
            tagged: U8 = 0
            n: U8 = auto(count_of("options"))
            options: tuple[LuaOption, ...] = many(count=field("n"))
            last: U8 = 1

        class OverWireshark(Header, under=Ether, when={"type": 0x7A65}):
            x: U8 | None = when(field("Ether.type") == 0x7A65, 1)

        packets = [
            Ether() / LuaFixed(qos=qos) / LuaPublish(tagged=qos, options=[LuaOption(number=n, value=b"v") for n in (3, 60, 60)])
            for qos in (0, 1)
        ]
        names = ["luapublish.identifier", "luaoption.number", "luaoption.step", "luaoption.tag", "luapublish.last", "_ws.expert.message"]
        shown = shown_fields(str(wireshark(LuaPublish)), [bytes(packet) for packet in packets], tmp_path, names)
        for packet, row in zip(packets, shown, strict=True):
            header = dissect(bytes(packet))[LuaPublish]
            assert row["luapublish.identifier"] == ("" if header.identifier is None else str(header.identifier))
            for name in ("number", "step", "tag"):
                values = [getattr(option, name) for option in header.options]
                assert row[f"luaoption.{name}"] == ",".join(str(value) for value in values if value is not None)
            assert (row["luapublish.last"], row["_ws.expert.message"]) == ("1", "")
        with pytest.raises(BuildError, match=r"OverWireshark, Ether\.type: .* got Ether, which Wireshark dissects"):
            wireshark(OverWireshark)
