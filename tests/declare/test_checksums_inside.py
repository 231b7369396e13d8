"""Checksums of headers that a field, a list, what is taken apart or a transform holds are judged as those of layers are."""

from __future__ import annotations

import shutil
import zlib as reference
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import pytest
from hypothesis import given, settings, strategies as st

from packetlab import (
    U8,
    U16,
    U32,
    BuildError,
    Bytes,
    Capture,
    Ether,
    Header,
    IPv4,
    Verdict,
    auto,
    bindings,
    choose,
    count_of,
    crc,
    crc32,
    dissect,
    field,
    internet_checksum,
    many,
    size_of,
    sized,
    through,
    xor8,
    zlib,
)
from packetlab.view.packets import packet_html
from tests.conftest import amount
from tests.export.pdml import Tshark

FREE = 0x7DA1


@pytest.fixture(autouse=True)
def _scope() -> Iterator[None]:
    with bindings():
        yield


class Body(Header):
    value: U16 = 7
    sum: U32 = auto(crc32("value"))


class Tree(Header):
    own: Body = Body()
    n: U8 = auto(count_of("below"))
    below: tuple[Self, ...] = many(count=field("n"))


class Packed(Header):
    n: U8 = auto(size_of("one"))
    one: Body = through(zlib(), sized(field("n"), Body()))
    more: tuple[Body, ...] = through(zlib(), many())


class Option(Header):
    kind: U8 = 0
    n: U8 = auto(size_of("data"))
    data: Bytes = b""


class Checked(Option, inside="data", when={"kind": 1}):
    value: U16 = 7
    sum: U32 = auto(crc32("value"))
    inner: Body = Body()


class All(Header):
    one: Body = Body()
    n: U8 = auto(count_of("several"))
    several: tuple[Body, ...] = many(count=field("n"))
    tree: Tree = Tree()
    m: U8 = auto(size_of("packed"))
    packed: Packed = sized(field("m"), Packed())
    options: tuple[Option, ...] = many()


def sums(header: Any, before: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the paths to the bodies in a header, by going over it as its user would."""
    if isinstance(header, Body | Checked):
        yield f"{before}sum", header
    for f in header._fields:
        value = getattr(header, f.name)
        for place, one in enumerate(value if isinstance(value, tuple) else [value]):
            if isinstance(one, Header):
                more = f"[{place}]" if isinstance(value, tuple) else ""
                yield from sums(one, f"{before}{f.name}{more}.")
    if isinstance(header, Checked):
        yield from sums(header.inner, f"{before}inner.")


BODIES = st.builds(
    lambda value, wrong: Body(value=value, **({"sum": wrong} if wrong else {})),
    st.integers(0, 65535),
    st.sampled_from([0, 0, 5]),
)
TREES = st.recursive(
    st.builds(lambda own: Tree(own=own), BODIES),
    lambda inner: st.builds(lambda own, below: Tree(own=own, below=below), BODIES, st.lists(inner, max_size=2)),
    max_leaves=4,
)
OPTIONS = st.one_of(
    st.builds(lambda value, inner: Checked(value=value, inner=inner), st.integers(0, 65535), BODIES),
    st.builds(lambda wrong: Checked(sum=wrong), st.integers(0, 9)),
    st.builds(lambda data: Option(kind=9, data=data), st.binary(max_size=3)),
)
ALL = st.builds(
    lambda one, several, tree, packed, options: All(one=one, several=several, tree=tree, packed=packed, options=options),
    BODIES, st.lists(BODIES, max_size=2), TREES,
    st.builds(lambda one, more: Packed(one=one, more=more), BODIES, st.lists(BODIES, max_size=2)), st.lists(OPTIONS, max_size=3),
)  # fmt: skip


@given(header=ALL)
@settings(max_examples=amount(40, 400))
def test_each_is_good_where_its_value_is_that_of_zlib(header: All) -> None:
    for packet in (dissect(bytes(header), All), header / b""):
        expected = {
            f"All.{path}": Verdict.GOOD if one.sum == reference.crc32(one.value.to_bytes(2, "big")) else Verdict.BAD
            for path, one in sums(dissect(bytes(header), All)[All])
        }
        assert packet.verdicts() == expected
        assert all(packet.verdict(All, key.partition(".")[2]) is said for key, said in expected.items())


def test_what_is_said_of_a_class_is_the_worst() -> None:
    packet = dissect(bytes(All(several=[Body(), Body(sum=1)])), All)
    assert packet.verdict(Body) is Verdict.BAD and packet.verdict(Body, "sum") is Verdict.BAD
    assert packet.verdict((Body, 0)) is Verdict.GOOD and packet.verdict((Body, 2)) is Verdict.BAD
    assert dissect(bytes(All()), All).verdict(Body) is Verdict.GOOD
    assert packet.verdict(IPv4) is packet.verdict((Body, 99)) is Verdict.NOT_PRESENT
    with pytest.raises(BuildError, match=r"All.several\[7\].sum.*there is one.sum, several\[0\].sum"):
        packet.verdict(All, "several[7].sum")


def test_show_and_html_name_those_that_are_wrong() -> None:
    packet = dissect(bytes(All(several=[Body(), Body(sum=1)], options=[Checked(sum=2)])), All)
    said = [line.strip() for line in str(packet.show()).splitlines() if "bad" in line]
    assert said == ["several[1].sum 0x00000001  bad checksum", "options[0].sum 0x00000002  bad checksum"]
    assert "several[1].sum bad" in packet_html(packet)
    assert "bad" not in str(dissect(bytes(All()), All).show())


def test_a_layer_that_is_taken_apart_has_those_inside_by_their_names() -> None:
    class Base(Header, under=Ether, when={"type": FREE}):
        kind: U8 = 0
        n: U8 = auto(size_of("data"))
        data: Bytes = b""

    class Sub(Base, inside="data", when={"kind": 1}):
        value: U16 = 7
        check: U16 = auto(crc("CRC-16/MODBUS", "value"))

    good, bad = Ether() / Sub(value=9), Ether() / Sub(check=1)
    assert good.verdict(Sub) is dissect(bytes(good)).verdict(Sub) is Verdict.GOOD
    assert bad.verdict(Sub, "check") is dissect(bytes(bad)).verdict(Sub) is Verdict.BAD
    assert dissect(bytes(bad)).verdicts() == {"Sub.check": Verdict.BAD}
    captured = Capture.of([good, bad, Ether() / Base()])
    assert captured.where(lambda packet: packet.verdict(Sub) == Verdict.BAD).count() == 1


def test_conditions_of_what_is_around_and_pseudo_headers_count() -> None:
    class Item(Header):
        value: U16 = 7
        sum: U16 = auto(choose(field("^.on"), internet_checksum("pseudo", "self"), 0))

    class Holds(Header, under=IPv4, when={"protocol": 253}):
        on: U8 = 1
        items: tuple[Item, ...] = many()

    stack = Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2")
    good = stack / Holds(items=[Item(), Item(value=9)])
    assert [*good.verdicts().values()] == [*dissect(bytes(good)).verdicts().values()] == [Verdict.GOOD] * 3
    moved = bytes(Ether() / IPv4(src="10.0.0.1", dst="10.0.0.3") / Holds(items=[Item(), Item(value=9)]))
    other = bytes(good)[:-4] + moved[-4:]
    assert [*dissect(other).verdicts().values()] == [Verdict.GOOD, Verdict.GOOD, Verdict.BAD]
    off = dissect(bytes(stack / Holds(on=0, items=[Item(), Item(sum=3)])))
    assert off.verdict(Item) is Verdict.NOT_PRESENT
    alone = dissect(bytes(Holds(items=[Item()])), Holds)
    assert alone.verdict(Item) is Verdict.UNVERIFIED


@pytest.mark.skipif(shutil.which("tshark") is None, reason="no tshark")
def test_wireshark_has_their_status(tmp_path: Path) -> None:
    class Item(Header):
        value: U16 = 7
        sum: U16 = auto(crc("CRC-16/MODBUS", "value"))

    class Paired(Header):
        value: U8 = 7
        sum: U8 = auto(xor8("value"))
        item: Item = Item()

    class List(Header, under=Ether, when={"type": FREE}):
        one: Paired = Paired()
        items: tuple[Item, ...] = many()

    class Over(Header, under=IPv4, when={"protocol": 253}):
        items: tuple[Pseudo, ...] = many()

    tshark = Tshark(tmp_path, List, Over)
    packets = [
        Ether() / List(items=[Item(), Item(sum=1), Item(value=9)]),
        Ether() / List(one=Paired(sum=3, item=Item(sum=4))),
        Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2") / Over(items=[Pseudo(), Pseudo(sum=1)]),
    ]
    answers = tshark.ask(packets)
    for packet, layers in zip(packets, answers, strict=True):
        theirs = [
            int(one.get("show", "")) for layer in layers for one in layer.iter("field")
            if one.get("name", "").endswith("sum.status") and not one.get("name", "").startswith("ip.")
        ]  # fmt: skip
        assert theirs == [
            int(said) for name, said in dissect(bytes(packet)).verdicts().items() if not name.startswith("IPv4")
        ]


class Pseudo(Header):
    value: U16 = 7
    sum: U16 = auto(internet_checksum("pseudo", "self"))
