"""Classes that take a field apart, used as layers of their own: built, shown and edited by what stands around them there."""

import pickle
from collections.abc import Iterator

import pytest

from packetlab import (
    U8,
    BuildError,
    Bytes,
    Header,
    Packet,
    Rest,
    auto,
    bindings,
    computed,
    dissect,
    field,
    many,
    size_of,
    when,
)


@pytest.fixture(autouse=True)
def scoped() -> Iterator[None]:
    with bindings():
        yield


class LayerBelow(Header):
    f: U8 = 0


class LayerOption(Header, under=LayerBelow):
    kind: U8 = 0
    length: U8 = auto(size_of("data"))
    up: int = computed(field("LayerBelow.f"))
    data: Bytes = b""


class LayerItem(Header):
    v: U8 = 0
    w: U8 | None = when(field("LayerBelow.f") == 1, 9)


class LayerList(LayerOption, inside="data", when={"kind": 2}):
    items: tuple[LayerItem, ...] = many()


class LayerFlagged(LayerOption, inside="data", when={"kind": 3}):
    v: U8 = 0
    w: U8 | None = when(field("^.up") == 1, 9)


class LayerCoded(LayerOption, inside="data", when={"kind": 4}):
    code: U8 = 0
    rest: Rest = b""


class LayerTwice(LayerCoded, inside="rest", when={"code": 5}):
    items: tuple[LayerItem, ...] = many()


class LayerOwn(Header):
    """What is inside asks the header that it is in."""

    flag: U8 = 0
    two: U8 = 0
    data: Rest = b""


class LayerAsks(LayerOwn, inside="data", when={"flag": 1}):
    v: U8 = 0
    w: U8 | None = when(field("^.two") == 1, 9)


def same(packet: Packet, wanted: str) -> Packet:
    """Hold a packet to its bytes, and to what is read of them; return what is read."""
    assert bytes(packet).hex() == wanted.replace(" ", "") and len(packet) == len(bytes(packet))
    read = dissect(bytes(packet), type(packet.layers[0]))
    assert not read.faults and read == packet and packet.layers == read.layers
    return read


@pytest.mark.parametrize(("f", "wanted"), [(1, "01 02 04 0109 0209"), (0, "00 02 02 01 02")])
def test_items_inside_are_built_by_the_layers_below(f: int, wanted: str) -> None:
    packet = LayerBelow(f=f) / LayerList(items=[LayerItem(v=1), LayerItem(v=2)])
    read = same(packet, wanted)
    assert [one.w for one in packet[LayerList].items] == [one.w for one in read[LayerList].items] == [9 * f or None] * 2
    assert packet[LayerList].length == 2 * (1 + f)
    for _ in range(40):  # a stack that comes often, whatever it came with
        assert bytes(LayerBelow(f=f) / LayerList(items=[LayerItem(v=1)])).hex() == ("0102020109" if f else "00020101")


def test_what_is_inside_asks_the_base_which_asks_further_out() -> None:
    same(LayerBelow(f=1) / LayerFlagged(v=3), "01 03 02 0309")
    same(LayerBelow(f=0) / LayerFlagged(v=3), "00 03 01 03")
    same(LayerBelow(f=1) / LayerFlagged(), "01 03 02 0009")
    same(LayerBelow(f=1) / LayerTwice(items=[LayerItem(v=1)]), "01 04 03 05 0109")
    packet = LayerBelow(f=1) / LayerFlagged(v=3)
    assert "w = 9" in packet.show() and "present where ^.up == 1: yes" in packet.why(LayerFlagged, "w")
    assert [bytes(one).hex() for one in packet.vary(2, {"layerbelow.f": [0, 1]})] == ["00030103", "0103020309"]


def test_values_that_only_stand_there() -> None:
    alone = LayerFlagged(v=3, w=7)
    assert alone == LayerFlagged(v=3, w=7) != LayerFlagged(v=3, w=8) and (alone.v, alone.w) == (3, 7) and hash(alone) == hash(LayerFlagged(v=3, w=7))
    same(LayerBelow(f=1) / alone, "01 03 02 0307")
    same(LayerBelow(f=1) / LayerList(items=[LayerItem(v=1, w=3)]), "01 02 02 0103")
    same((LayerBelow(f=1) / LayerFlagged(v=3)).replace(LayerFlagged, w=7), "01 03 02 0307")
    with pytest.raises(BuildError, match=r"LayerFlagged.w: expected a field that is there, as it is where \^.up == 1, got 7"):
        bytes(LayerBelow(f=0) / alone)
    with pytest.raises(BuildError, match=r"LayerFlagged.w: expected a field that is there"):
        bytes(alone)
    assert LayerFlagged(w=7).matches(LayerBelow(f=1) / alone) and not LayerFlagged(w=8).matches(LayerBelow(f=1) / alone)


def test_edits_and_copies_build_anew() -> None:
    built = LayerBelow(f=0) / LayerFlagged(v=3)
    same(built.replace(LayerBelow, f=1), "01 03 02 0309")
    same(built.replace(LayerBelow, f=1).replace(LayerFlagged, v=4), "01 03 02 0409")
    same(built.replace({"layerbelow.f": 1, "layerflagged.v": 4}), "01 03 02 0409")
    read = same(LayerBelow(f=1) / LayerList(items=[LayerItem(v=1), LayerItem(v=2)]), "01 02 04 0109 0209")
    same(read.replace(LayerList, items=[LayerItem(v=5)]), "01 02 02 0509")
    same(read.replace({"layerlist.items[0].w": 6}), "01 02 04 0106 0209")
    for header in (LayerFlagged(v=3), LayerFlagged(v=3, w=9), (LayerBelow(f=1) / LayerFlagged(v=3))[LayerFlagged]):
        same(LayerBelow(f=1) / pickle.loads(pickle.dumps(header)), "01 03 02 0309")
    same(pickle.loads(pickle.dumps(LayerBelow(f=1) / LayerFlagged(v=3))), "01 03 02 0309")


def test_a_header_alone_goes_by_itself() -> None:
    assert bytes(LayerAsks(v=1)).hex() == "01 00 01".replace(" ", "") and LayerAsks(v=1).w is None
    assert bytes(LayerAsks(two=1, v=1)).hex() == "01010109" == bytes(LayerAsks(v=1).replace(two=1)).hex()
    assert LayerAsks(two=1, v=1).w == LayerAsks(v=1).replace(two=1).w == 9
    assert dissect(b"\1\1\1\x09", LayerOwn)[LayerOwn] == LayerAsks(two=1, v=1)


def test_a_list_of_the_class_itself() -> None:
    class LayerLists(Header):
        n: U8 = auto(size_of("lists"))
        lists: tuple[LayerFlagged, ...] = many()

    packet = LayerBelow(f=1) / LayerLists(lists=[LayerFlagged(v=3), LayerFlagged(v=4, w=5)])
    assert bytes(packet).hex() == "01" "08" "03020309" "03020405"
