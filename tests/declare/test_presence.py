"""Fields that are there by a flag which says so: whatever was read stays, as long as nobody takes it away."""

import pytest

from packetlab import (
    GRE,
    S16,
    U1,
    U7,
    U8,
    U16,
    U32,
    UDP,
    Bytes,
    Ether,
    Header,
    IPv4,
    Text,
    auto,
    bind,
    bindings,
    count_of,
    crc32,
    dissect,
    field,
    has,
    many,
    pad,
    size_of,
    sized,
    when,
)


class Asked(Header):
    has_reply: U1 = auto(has("length"))
    zero: U7 = 0
    length: S16 | None = when(field("has_reply"), auto(size_of("reply")))
    reply: Text | None = when(field("has_reply"), sized(field("length"), none=-1))
    more: U8 = 0


class Summed(Header):
    has_sum: U1 = auto(has("sum"))
    zero: U7 = 0
    sum: U32 | None = when(field("has_sum"), auto(crc32("self")))
    more: U8 = 0


class Filled(Header):
    has_gap: U1 = auto(has("gap"))
    zero: U7 = 0
    gap: Bytes | None = when(field("has_gap"), pad(4))
    more: U8 = 0


class Listed(Header):
    has_list: U1 = auto(has("count"))
    zero: U7 = 0
    count: U8 | None = when(field("has_list"), auto(count_of("items")))
    items: tuple[U16, ...] | None = when(field("has_list"), many(count=field("count")))
    more: U8 = 0


READ = [
    Asked(has_reply=1, reply="rep"), Asked(has_reply=1), Asked(has_reply=1, length=-1), Asked(), Summed(has_sum=1), Summed(),
    Filled(has_gap=1), Filled(), Listed(has_list=1, items=[1, 2]), Listed(has_list=1), Listed(),
]  # fmt: skip


@pytest.mark.parametrize("made", READ, ids=repr)
def test_an_edit_elsewhere_keeps_what_was_read(made: Header) -> None:
    packet = dissect(bytes(made / b""), type(made))
    assert bytes(packet.replace(type(made), more=7)) == bytes(made.replace(more=7))
    assert dissect(bytes(packet.replace(type(made), more=7)), type(made))[type(made)].given == frozenset()


@pytest.mark.parametrize("made", READ, ids=repr)
def test_so_it_does_in_stacks_that_are_built_often(made: Header) -> None:
    stack = Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=1, dport=2)
    with bindings():
        bind(type(made), under=UDP, when={"dport": 31815})
        for number in range(40):
            whole = bytes(stack.replace(UDP, dport=31815) / made.replace(more=number))
            edited = dissect(whole).replace(IPv4, ttl=9)
            assert bytes(edited[type(made)]) == bytes(made.replace(more=number))
            assert bytes(edited) == bytes(dissect(bytes(edited), keep=False))


def test_a_length_is_there_when_what_it_counts_is_given() -> None:
    assert bytes(Asked(reply="hi")) == b"\x80\0\2hi\0"
    assert bytes(Listed(items=[5])) == b"\x80\1\0\5\0"
    assert bytes(Asked()) == b"\0\0"


def test_what_follows_again_is_worked_out_again() -> None:
    packet = dissect(bytes(Asked(has_reply=1, reply="rep")), Asked)
    assert bytes(packet.replace(Asked, reply="longer")) == b"\x80\0\6longer\0"
    assert bytes(packet.replace(Asked, length=auto)) == bytes(packet)
    packet = dissect(bytes(Summed(has_sum=1)), Summed)
    assert bytes(packet.replace(Summed, more=1)) == bytes(Summed(has_sum=1, more=1)) != bytes(packet)[:-1] + b"\1"


def test_none_takes_it_away() -> None:
    packet = dissect(bytes(Summed(has_sum=1)), Summed)
    assert bytes(packet.replace(Summed, sum=None)) == b"\0\0"
    packet = dissect(bytes(Asked(has_reply=1, reply="rep")), Asked)
    assert bytes(packet.replace(Asked, reply=None)) == b"\x80\xff\xff\0"
    assert bytes(packet.replace(Asked, reply=None, length=None)) == b"\0\0"


def test_a_flag_that_is_given_counts() -> None:
    packet = dissect(bytes(Asked(has_reply=1, reply="rep")), Asked)
    assert bytes(packet.replace(Asked, has_reply=0)) == b"\0\0"


@pytest.mark.parametrize("times", [1, 40])
def test_the_checksum_of_gre_stays(times: int) -> None:
    made = Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2") / GRE(checksum_present=1) / b"abc"
    for number in range(times):
        found = dissect(bytes(made.replace(IPv4, id=number))).replace(payload=b"abcd")
        assert found[GRE].checksum_present == 1
        assert found.verdict(GRE)
        assert bytes(found) == bytes(made.replace(IPv4, id=number).replace(payload=b"abcd"))
    assert found.replace(GRE, checksum=None)[GRE].checksum_present == 0
