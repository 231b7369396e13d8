"""Numbers of more than 64 bits: cookies, keys, sums of 128 bits and more. Every part has them, or says that it does not."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import packetlab as pl
from packetlab import (
    U4,
    U8,
    BuildError,
    Capture,
    DeclareError,
    Ether,
    Frame,
    Header,
    auto,
    bindings,
    bits,
    declare_from,
    describe,
    dissect,
    field,
    many,
    strategies,
    when,
)
from packetlab.codec.faults import Dissection
from packetlab.codec.lenient import walk
from packetlab.schema.source import class_body
from tests.conftest import amount
from tests.export.pdml import Tshark, compare
from tests.export.test_wireshark_views import shown_fields

MOST = (1 << 128) - 1


@pytest.fixture(autouse=True, scope="module")
def alone() -> Iterator[None]:
    """What is declared here stays here."""
    with bindings():
        yield


def declared() -> Any:
    class WideNumbers(Header, under=Ether, when={"type": 0x7A21}):
        key: Annotated[int, bits(128)] = 5
        low: Annotated[int, bits(128, little=True)] = 0
        debt: Annotated[int, bits(96, signed=True)] = -3
        a: U4 = 1
        share: Annotated[int, bits(100)] = 0

    return WideNumbers


def test_struct_agrees() -> None:
    with bindings():
        wide = declared()(key=MOST - 1, low=0x1234, debt=-(1 << 90), share=1 << 99)
    share = (1 << 100 | 1 << 99).to_bytes(13, "big")
    sent = (MOST - 1).to_bytes(16, "big") + (0x1234).to_bytes(16, "little") + (-(1 << 90)).to_bytes(12, "big", signed=True)
    assert bytes(wide) == sent + share
    assert bytes(dissect(sent + share, type(wide))) == sent + share


def test_the_widest_is_4096_bits_and_what_fits_in_none_is_refused() -> None:
    class Key(Header):
        modulus: Annotated[int, bits(4096)] = (1 << 4096) - 1

    assert bytes(Key()) == b"\xff" * 512
    assert Key(modulus=1) / b"" == dissect(bytes(Key(modulus=1)), Key)
    with pytest.raises(BuildError, match="Key.modulus"):
        Key(modulus=1 << 4096)
    with pytest.raises(DeclareError, match="1 to 4096 bits"):
        bits(4097)
    with pytest.raises(BuildError, match="Key.modulus"):
        Key(modulus=-1)


def test_rules_speak_of_them() -> None:
    class Cookie(Header):
        magic: Annotated[int, bits(128)] = 1 << 100
        twice: Annotated[int, bits(136)] = auto(field("magic") * 2)
        more: U8 | None = when(field("magic") == 1 << 100, 7)

    assert Cookie().more == 7
    assert Cookie(magic=3).more is None
    for magic in (3, 1 << 100, MOST):
        sent = bytes(Cookie(magic=magic))
        assert sent[16:33] == (magic * 2).to_bytes(17, "big")
        assert bytes(dissect(sent, Cookie)) == sent


def test_columns_filters_patterns_and_variations_have_them_exactly() -> None:
    with bindings():
        wide = declared()
        values = [0, 5, MOST, MOST - 1, 1 << 64, (1 << 64) + 1]
        packets = [Ether() / wide(key=value) for value in values]
        capture = Capture.of([Frame(bytes(packet)) for packet in packets])
        assert capture.table("widenumbers.key", "widenumbers.a").read()["widenumbers.key"].tolist() == values
        for value in values:
            assert capture.where(f"widenumbers.key == {value}").count() == 1
            assert capture.where(f"widenumbers.key < {value}").count() == sum(one < value for one in values)
        assert capture.where("widenumbers.debt == -3").count() == len(values)
        assert capture.where(wide(key=MOST)).count() == capture.where(wide(key=pl.between(MOST, MOST))).count() == 1
        assert bytes(packets[0].replace(wide, key=MOST)) == bytes(packets[2])
        for some in ([7, MOST, 1 << 64], range(MOST - 2, MOST + 1), pl.seeded(3), np.random.default_rng(1)):
            varied = packets[0].vary(3, {"widenumbers.key": some, "widenumbers.share": [1 << 99]})
            rows = [dissect(row)[wide] for row in varied.batch()]
            assert [bytes(varied[row]) for row in range(3)] == [bytes(row) for row in varied.batch()]
            assert len({row.key for row in rows}) == 3
            assert max(row.key for row in rows) > 1 << 120 and {row.share for row in rows} == {1 << 99}


def test_bridges_diagrams_and_malformed_packets_have_them() -> None:
    with bindings():
        packet = Ether() / declared()(key=MOST, debt=-(1 << 90), share=1 << 99)
        assert bytes(packet.to_scapy()) == bytes(packet) == bytes(packet.to_dpkt())
        assert [case.id for case in pl.malformed(dissect(bytes(packet))) if case.disagreements()] == []
        assert "key" in str(pl.diagram(type(packet.layers[1])))


def test_a_description_is_the_same_class_again_and_so_is_its_source() -> None:
    with bindings():
        wide = declared()
    described = describe(wide)
    with bindings():
        (again,) = declare_from(described)
        assert bytes(again(key=MOST)) == bytes(wide(key=MOST)) and describe(again) == described
    assert "key: Annotated[int, bits(128)] = 5" in class_body(described)


@settings(max_examples=amount(50, 1000), deadline=None)
@given(st.data())
def test_readers_agree_and_what_is_built_is_read(data: st.DataObject) -> None:
    width = data.draw(st.sampled_from([65, 72, 96, 127, 128, 129, 256, 4095]))
    signed = data.draw(st.booleans())
    after = -width % 8

    class Drawn(Header):
        first: Annotated[int, bits(width, signed=signed)] = 0
        filler: Annotated[int, bits(after or 8)] = 0

    one = data.draw(strategies.headers(Drawn))
    sent = bytes(one)
    assert dissect(sent, Drawn) == one / b""
    noise = data.draw(st.binary(max_size=len(sent) + 2))
    read = dissect(noise, Drawn)
    assert bytes(read) == noise
    careful, quick = Dissection(), Dissection()
    assert Drawn._decode(noise, 0, len(noise), quick) == walk(Drawn._declaration, noise, 0, len(noise), careful)
    assert quick.faults == careful.faults


def test_lists_of_them() -> None:
    class Keys(Header):
        count: U8 = auto(pl.count_of("keys"))
        keys: tuple[Annotated[int, bits(128)], ...] = many(count=field("count"))

    assert dissect(bytes(Keys(keys=(1, MOST))), Keys)[Keys].keys == (1, MOST)


@pytest.mark.skipif(shutil.which("tshark") is None, reason="no tshark")
def test_lua_has_them_in_rules_and_where_they_share_bytes(tmp_path: Path) -> None:
    with bindings():

        class Odd(Header, under=Ether, when={"type": 0x7A22}):
            a: U4 = 1
            share: Annotated[int, bits(100, signed=True)] = -2
            low: U8 = 0

        class Ruled(Header, under=Ether, when={"type": 0x7A23}):
            key: Annotated[int, bits(128, little=True)] = 0
            more: U8 | None = when(field("key") == 7)
            large: U8 | None = when(field("key") >= 1 << 127)
            below: Annotated[int, bits(72, signed=True)] = pl.const(-7)
            less: U8 | None = when(field("below") < -(1 << 65))

        class Largest(Header, under=Ether, when={"type": 0x7A25}):
            key: Annotated[int, bits(256)] = 0
            more: U8 | None = when(field("key") == 7)

        packets = [
            Ether() / Odd(share=-(1 << 99)),
            Ether() / Odd(share=(1 << 99) - 1),
            Ether() / Ruled(key=7, more=1),
            Ether() / Ruled(key=(1 << 127) + 7, large=2),
            Ether() / Ruled(key=8, below=-(1 << 66), less=3),
        ]
        compare(Tshark(tmp_path, Odd, Ruled), [*map(bytes, packets), *(bytes(one)[:-2] for one in packets)])
        with pytest.raises(BuildError, match=r"Largest\.key: expected a number of up to 190 bits in a rule"):
            pl.wireshark(Largest)


@pytest.mark.skipif(shutil.which("tshark") is None, reason="no tshark")
def test_tshark_shows_what_was_built(tmp_path: Path) -> None:
    with bindings():

        class Key(Header, under=Ether, when={"type": 0x7A24}):
            magic: Annotated[int, bits(72)] = pl.const(0x1122334455667788_99)
            key: Annotated[int, bits(128, little=True)] = 1

        frames = [bytes(Ether() / Key()), bytes(Ether() / Key()).replace(b"\x11", b"\x12", 1)]
        script = str(pl.wireshark(Key))
    rows = shown_fields(script, frames, tmp_path, ["key.magic", "key.key", "_ws.expert.message"])
    assert [*rows[0].values()] == ["112233445566778899", "01" + "00" * 15, ""]
    assert "Key.magic" in rows[1]["_ws.expert.message"]
