"""A header may hold others of its own class: ``tuple[Self, ...]``, ``Self | None``, a base that is refined by what holds it."""

import sys
from collections.abc import Iterator
from typing import Any, Self

import pytest
from hypothesis import given, strategies as st

from packetlab import (
    U8,
    U16,
    U32,
    BuildError,
    Bytes,
    DeclareError,
    Ether,
    Header,
    MQTTInt,
    auto,
    bindings,
    count_of,
    dissect,
    field,
    has,
    many,
    size_of,
    sized,
    when,
)
from tests.careful import careful


class TreeNode(Header, under=Ether, when={"type": 0x7A51}):
    name: U8
    size: U8 = auto(size_of("children"))
    children: tuple[Self, ...] = many()


class Counting(Header, under=Ether, when={"type": 0x7A52}):
    count: U8 = auto(count_of("children"))
    children: tuple[Self, ...] = many()


class Chain(Header, under=Ether, when={"type": 0x7A53}):
    more: U8 = auto(has("next"))
    next: Self | None = when(field("more") == 1)
    last: U8 = 7


class Nest(Header, under=Ether, when={"type": 0x7A54}):
    size: MQTTInt = auto(size_of("inner"))
    inner: tuple[Self, ...] = many()


class TreeValue(Header, under=Ether, when={"type": 0x7A55}):
    sort: U8


class TreeNumber(TreeValue, when={"sort": 1}):
    number: U32


class TreeArray(TreeValue, when={"sort": 4}):
    count: U8 = auto(count_of("values"))
    values: tuple[TreeValue, ...] = many()


class Element(Header, under=Ether, when={"type": 0x7A56}):
    tag: U8
    length: MQTTInt = auto(size_of("content"))
    content: Bytes = b""


class Sequence(Element, inside="content", when={"tag": 0x30}):
    elements: tuple[Element, ...] = many()


class Integer(Element, inside="content", when={"tag": 2}):
    number: U16


ALL: list[Any] = [TreeNode, Counting, Chain, Nest, TreeValue, Element]


@pytest.fixture(autouse=True)
def scoped() -> Iterator[None]:
    with bindings():
        yield


nodes = st.recursive(
    st.builds(TreeNode, name=st.integers(0, 255)),
    lambda inner: st.builds(TreeNode, name=st.integers(0, 255), children=st.lists(inner, max_size=3)),
    max_leaves=12,
)
countings = st.recursive(st.just(Counting()), lambda inner: st.builds(Counting, children=st.lists(inner, max_size=3)), max_leaves=12)
chains = st.recursive(st.builds(Chain, last=st.integers(0, 255)), lambda inner: st.builds(Chain, next=inner, last=st.integers(0, 255)), max_leaves=8)
values = st.recursive(
    st.one_of(st.builds(TreeValue, sort=st.integers(20, 255)), st.builds(TreeNumber, number=st.integers(0, 2**32 - 1))),
    lambda inner: st.builds(TreeArray, values=st.lists(inner, max_size=3)),
    max_leaves=12,
)
elements = st.recursive(
    st.one_of(st.builds(Integer, number=st.integers(0, 65535)), st.builds(Element, tag=st.integers(3, 40), content=st.binary(max_size=3))),
    lambda inner: st.builds(Sequence, elements=st.lists(inner, max_size=3)),
    max_leaves=12,
)


@given(st.one_of(nodes, countings, chains, values, elements))
def test_what_is_built_reads_back(header: Any) -> None:
    packet = Ether() / header
    read = dissect(bytes(packet))
    assert read == packet
    assert hash(read) == hash(packet)
    assert not read.faults
    assert type(read.layers[1]) is type(header)
    base = next(one for one in ALL if isinstance(header, one))
    assert careful(base, bytes(packet)[14:])[0] == read.layers[1]
    assert bytes(read.layers[1].replace()) == bytes(header)
    repr(read), read.show()


@given(st.sampled_from(ALL), st.binary(max_size=40) | st.lists(st.sampled_from([0, 1, 2, 3, 4, 0x30]), max_size=40).map(bytes))
def test_any_bytes_come_back_and_both_readers_agree(header: Any, data: bytes) -> None:
    packet = dissect(data, header)
    assert bytes(packet) == data
    read, faults = careful(header, data)
    assert read == packet.layers[0]
    assert {*faults} <= {*packet.faults}
    repr(packet), packet.show()


def nested(header: Any, levels: int) -> bytes:
    """Bytes of headers in headers, so many levels deep."""
    data = b""
    for _ in range(levels):
        if header is TreeNode:
            data = bytes((5, len(data) & 255)) + data
        elif header is Nest:
            data = MQTTInt.__metadata__[0].write(len(data)) + data if len(data) < 2**28 else data
        elif header is Element:
            data = b"\x30" + MQTTInt.__metadata__[0].write(len(data)) + data
    if header is Counting:
        data = b"\1" * levels + b"\0"
    elif header is Chain:
        data = b"\1" * levels + b"\0" + b"\7" * (levels + 1)
    elif header is TreeValue:
        data = b"\4\1" * levels + b"\5"
    return data


@pytest.mark.parametrize("header", [Counting, Chain, Nest, TreeValue, Element])
@pytest.mark.parametrize("levels", [60, 66, 500, 100_000])
def test_hostile_depth_is_a_fault(header: Any, levels: int) -> None:
    data = nested(header, min(levels, 20_000) if header in (Nest, Element) else levels)
    packet = dissect(data, header)
    assert bytes(packet) == data
    read, faults = careful(header, data)
    assert read == packet.layers[0]
    assert hash(read) == hash(packet.layers[0])
    assert {*faults} <= {*packet.faults}
    packet.show()
    repr(packet)
    bytes(packet.layers[0])
    if levels > 64:
        assert any("64 levels of headers in headers at most" in fault.expected for fault in packet.faults)
        assert {fault.layer for fault in packet.faults} == {"TreeArray" if header is TreeValue else header.__name__}
    else:
        assert not packet.faults


def test_what_is_too_deep_is_refused_where_it_is_built() -> None:
    one = Counting()
    for _ in range(64):
        one = Counting(children=[one])
    assert dissect(bytes(one), Counting)[Counting] == one
    with pytest.raises(BuildError, match=r"Counting\.children: expected 64 levels of headers in headers at most"):
        Counting(children=[one])
    chain = Chain()
    for _ in range(64):
        chain = Chain(next=chain)
    with pytest.raises(BuildError, match=r"Chain\.next: expected 64 levels"):
        Chain(next=chain)


@pytest.mark.parametrize("header", [Counting, Nest, TreeValue, Element])
def test_reading_takes_steps_in_proportion(header: Any) -> None:
    def steps(levels: int) -> int:
        data, count = nested(header, levels), 0

        def tell(*_: object) -> None:
            nonlocal count
            count += 1

        dissect(data, header)
        sys.setprofile(tell)
        try:
            dissect(data, header)
        finally:
            sys.setprofile(None)
        return count

    few, many_more = steps(500), steps(2000)
    assert many_more < few * 6


def test_self_alone_has_no_end() -> None:
    with pytest.raises(DeclareError, match=r"Endless\.one: expected Self \| None"):

        class Endless(Header):
            one: Self

    with pytest.raises(DeclareError, match=r"tuple\[Element, \.\.\.\]"):

        class Set(Element, inside="content", when={"tag": 0x31}):
            elements: tuple[Self, ...] = many()


def test_a_base_holds_itself_and_is_refined_later() -> None:
    data = bytes(TreeNode(name=9, children=[TreeNode(name=1), TreeNode(name=2)]))
    plain = dissect(data, TreeNode)
    with bindings():

        class Special(TreeNode, when={"name": 2}):
            pass

        read = dissect(data, TreeNode)[TreeNode]
        assert [type(one) for one in read.children] == [TreeNode, Special]
        assert bytes(read) == data
    assert dissect(data, TreeNode) == plain


def test_sized_by_a_field() -> None:
    with bindings():

        class Tree(Header):
            size: U16 = auto(size_of("trees"))
            flag: U8 = 0
            trees: tuple[Self, ...] = sized(field("size"), ())

        tree = Tree(flag=1, trees=[Tree(flag=2), Tree(trees=[Tree()])])
        assert dissect(bytes(tree), Tree)[Tree] == tree
        assert tree.trees[1].trees[0].flag == 0
