"""What stands in fields and follows from the headers around: built by them, and following when one of them is edited."""

from collections.abc import Iterator

import pytest

from packetlab import (
    F32,
    U8,
    U16,
    Bytes,
    DeclareError,
    Ether,
    Header,
    IPv4,
    Packet,
    Rest,
    Verdict,
    auto,
    before,
    bindings,
    computed,
    count_of,
    dissect,
    field,
    internet_checksum,
    many,
    size_of,
)
from packetlab.protocols.transport import UDP


@pytest.fixture(autouse=True)
def scoped() -> Iterator[None]:
    with bindings():
        yield


class SumItem(Header):
    v: U16 = 0
    sum: U16 = auto(internet_checksum("pseudo", "self"))


class SumList(Header, under=IPv4, when={"protocol": 253}):
    count: U8 = auto(count_of("items"))
    items: tuple[SumItem, ...] = many()
    one: SumItem = SumItem(v=5)


class SumOption(Header, under=IPv4, when={"protocol": 254}):
    kind: U8 = 0
    data: Rest = b""


class SumInside(SumOption, inside="data", when={"kind": 1}):
    v: U16 = 7
    sum: U16 = auto(internet_checksum("pseudo", "self"))


def by_hand(src: str, dst: str, protocol: int, v: int) -> int:
    """What the sum of an item is by RFC 1071: of addresses, protocol, size and value."""
    words = [int(part) for address in (src, dst) for part in address.split(".")]
    total = sum(high << 8 | low for high, low in zip(words[::2], words[1::2], strict=True)) + protocol + 4 + v
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def good(packet: Packet) -> Packet:
    """Hold all checksums of a packet to what is read of its bytes; return that."""
    read = dissect(bytes(packet), type(packet.layers[0]))
    assert {*packet.verdicts().values()} == {*read.verdicts().values()} == {Verdict.GOOD} and read == packet
    return read


@pytest.mark.parametrize("read", [False, True])
def test_sums_over_pseudo_headers_in_fields(read: bool) -> None:
    packet: Packet = IPv4(src="10.0.0.1", dst="10.0.0.2") / SumList(items=[SumItem(v=1), SumItem(v=2)])
    packet = good(packet) if read else packet
    found = packet[SumList]
    assert [one.sum for one in (*found.items, found.one)] == [by_hand("10.0.0.1", "10.0.0.2", 253, v) for v in (1, 2, 5)]
    for moved in (packet.replace(IPv4, src="10.9.9.9"), packet.replace({"ipv4.src": "10.9.9.9"})):
        seen = good(moved)[SumList]
        assert [one.sum for one in (*seen.items, seen.one)] == [by_hand("10.9.9.9", "10.0.0.2", 253, v) for v in (1, 2, 5)]
    good(packet.replace({"sumlist.items[1].v": 77}))
    good(packet.replace({"sumlist.one.v": 77, "ipv4.dst": "1.1.1.1"}))


@pytest.mark.parametrize("read", [False, True])
def test_sums_in_what_is_taken_apart(read: bool) -> None:
    packet: Packet = IPv4(src="10.0.0.1", dst="10.0.0.2") / SumInside(v=3)
    packet = good(packet) if read else packet
    assert packet[SumInside].sum == by_hand("10.0.0.1", "10.0.0.2", 254, 3)
    assert good(packet.replace(IPv4, dst="10.9.9.9"))[SumInside].sum == by_hand("10.0.0.1", "10.9.9.9", 254, 3)
    good(packet.replace(SumInside, v=9))


def test_what_was_wrong_stays() -> None:
    packet = dissect(bytes(IPv4(src="10.0.0.1", dst="10.0.0.2") / SumList(items=[SumItem(v=1, sum=7), SumItem(v=2)])), IPv4)
    moved = packet.replace(IPv4, src="10.9.9.9")
    assert [one.sum for one in moved[SumList].items] == [7, by_hand("10.9.9.9", "10.0.0.2", 253, 2)]
    assert bytes(packet.replace(IPv4)) == bytes(packet)
    wrong = dissect(bytes(IPv4(src="10.0.0.1", dst="10.0.0.2") / SumInside(v=3, sum=8)), IPv4)
    assert wrong.replace(IPv4, src="10.9.9.9")[SumInside].sum == 8


def test_other_values_follow_too() -> None:
    class FollowInner(Header):
        w: U8 = auto(field("FollowList.k") * 2)

    class FollowItem(Header):
        v: U8 = auto(field("^.k") + 1)
        inner: FollowInner = FollowInner()

    class FollowList(Header):
        k: U8 = 0
        items: tuple[FollowItem, ...] = many(count=2)

    read = dissect(bytes(FollowList(k=3, items=[FollowItem(), FollowItem(v=9)])), FollowList)
    assert bytes(read).hex() == "03" "0406" "0906" and bytes(read.replace(FollowList, k=5)).hex() == "05" "060a" "090a"


def test_sums_of_deltas_stay_where_nothing_around_them_changed() -> None:
    class StepItem(Header):
        delta: U8 = 0
        at: int = computed(before("at") + field("delta"))

    class StepList(Header, under=UDP, when={"port": 7}):
        k: U8 = 0
        items: tuple[StepItem, ...] = many()

    packet = Ether() / IPv4() / UDP() / StepList(items=[StepItem(at=3), StepItem(at=9)])
    read = dissect(bytes(packet))
    assert [one.at for one in read.replace(StepList, k=1)[StepList].items] == [3, 9]
    assert bytes(read.replace(StepList, k=1)).endswith(b"\1\3\6") and read.replace(UDP) == read


def test_a_float_says_nothing_of_what_follows() -> None:
    class Floating(Header, under=Ether, when={"type": 0x88B5}):
        x: F32 = 0.0
        n: U8 = auto(size_of("d"))
        d: Bytes = b""

    for value in (1.5, 2, 0):
        with pytest.raises(DeclareError, match=r"Above under Floating.x: expected a field of whole numbers, got float of 32 bits"):

            class Above(Header, under=Floating, when={"x": value}):
                y: U8 = 1
