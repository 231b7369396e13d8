"""What reading a packet's fields costs and gives, however often and in whatever order it is done."""

from __future__ import annotations

from typing import Annotated

import netaddr
import pytest
from hypothesis import given, settings, strategies as st

from packetlab import (
    MAC,
    S8,
    TCP,
    U4,
    U8,
    U16,
    Bytes,
    Ether,
    Header,
    IPv4,
    IPv4Address,
    IPv6Address,
    Rest,
    TCPOption,
    Verdict,
    auto,
    const,
    dissect,
    field,
    fixed_bytes,
    many,
    size_of,
    sized,
    when,
)
from packetlab.codec.decode import items_reader
from packetlab.codec.faults import Fault
from packetlab.codec.lenient import read_items
from tests.conftest import amount
from tests.growth import steps


class Ends(Header):
    mac: MAC
    four: IPv4Address
    six: IPv6Address


@pytest.mark.parametrize(
    ("raw", "mac", "four", "six"),
    [
        (bytes(26), "00:00:00:00:00:00", "0.0.0.0", "::"),
        (bytes(range(26)), "00:01:02:03:04:05", "6.7.8.9", "a0b:c0d:e0f:1011:1213:1415:1617:1819"),
        (b"\xff" * 26, "ff:ff:ff:ff:ff:ff", "255.255.255.255", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ],
)
def test_an_address_read_is_the_one_that_its_library_makes_of_text(raw: bytes, mac: str, four: str, six: str) -> None:
    ends = dissect(raw, Ends)[Ends]
    made = netaddr.EUI(mac, dialect=netaddr.mac_unix_expanded), netaddr.IPAddress(four), netaddr.IPAddress(six)
    for got, wanted in zip((ends.mac, ends.four, ends.six), made, strict=True):
        assert type(got) is type(wanted)
        assert got == wanted
        assert hash(got) == hash(wanted)
        assert (str(got), repr(got), int(got)) == (str(wanted), repr(wanted), int(wanted))
        assert got.words == wanted.words
        assert got.version == wanted.version


def test_an_address_that_its_reader_changes_changes_nothing_else() -> None:
    packet = Ether() / IPv4(src="10.0.0.1", dst="10.0.0.1")
    mine = packet[IPv4].src
    mine += 1
    assert str(mine) == "10.0.0.2"
    assert str(packet[IPv4].src) == str(packet[IPv4].dst) == "10.0.0.1"


class Option(Header):
    kind: U8
    length: U8 | None = when((field("kind") != 0) & (field("kind") != 255), auto(size_of("data")))
    data: Bytes | None = when((field("kind") != 0) & (field("kind") != 255), sized(field("length"), b""))


class Nested(Header):
    size: U4 = auto(size_of("inner") // 2)
    more: U4 = 0
    inner: tuple[Option, ...] = many(size=field("size") * 2)


class Signed(Header):
    size: S8 = auto(size_of("data"))
    data: Bytes = sized(field("size"), b"")
    fixed: U16 = const(5)


class Tail(Header):
    kind: U8 = 0
    rest: Rest = b""


class Three(Header):
    value: Annotated[bytes, fixed_bytes(3)]


class Lists(Header):
    """Repeated fields of every sort; each is read by itself here."""

    number: U8 = 0
    ended: tuple[Option, ...] = many(until=field("kind") == 255)
    longer: tuple[Option, ...] = many(until=size_of("data") > 1)
    lone: tuple[TCPOption, ...] = many(until=field("kind") == 0, align=4)
    threes: tuple[Three, ...] = many(size=field("number"), align=4)
    first: tuple[Nested, ...] = many(until=field("more") > field("size"))
    counted: tuple[Option, ...] = many(count=field("number"))
    filled: tuple[Option, ...] = many(count=field("number"), align=4)
    signed: tuple[Signed, ...] = many(count=2)
    tails: tuple[Tail, ...] = many()


BITS = st.lists(st.sampled_from([0, 0, 1, 2, 3, 5, 255, 0x12, 0x21]), max_size=24).map(bytes)


@pytest.mark.slow
@pytest.mark.parametrize("name", [f.name for f in Lists._fields[1:]])
@given(data=BITS, count=st.none() | st.integers(-1, 4), whole=st.booleans(), start=st.integers(0, 2))
@settings(max_examples=amount(50, 3000))
def test_items_are_read_as_the_careful_reader_reads_them(
    name: str, data: bytes, count: int | None, whole: bool, start: int
) -> None:
    one, start = Lists._by_name[name], min(start, len(data))
    whole = whole or (count is None and one.until is None)  # what nothing ends is all there is
    count = None if whole else count
    got = items_reader(one, count is not None)(data, start, len(data), count)
    if whole and (got is None or got[1] != len(data)):
        got = None, start
    elif got is None:
        got = read_items(one, data, start, len(data), count, None)
    faults: list[Fault] = []
    wanted = read_items(one, data, start, len(data), count, faults if whole else None, whole=whole)
    if whole and got[0] is None:  # left to the careful reader, which may still find that all is well with what fills up
        assert faults or one.align or any(type(item) is bytes for item in wanted[0])
    else:
        assert got == wanted
        assert not faults
        assert [repr(item) for item in got[0] or ()] == [repr(item) for item in wanted[0] or ()]
        assert getattr(got[0], "fill", b"") == getattr(wanted[0], "fill", b"")


def test_reading_a_list_takes_steps_by_the_item_and_few() -> None:
    def options(count: int) -> bytes:
        return b"\0" + b"\1\2ab" * count + b"\xff"

    class Message(Header):
        number: U8 = 0
        options: tuple[Option, ...] = many(until=field("kind") == 255)

    taken = []
    for count in (100, 200):
        for _ in range(40):
            assert len(dissect(options(count), Message)[Message].options) == count + 1
        taken.append(steps(lambda count=count: dissect(options(count), Message)))
    assert taken[1] - taken[0] < 100 * 30, taken


@pytest.mark.parametrize("header", [TCP, IPv4])
def test_options_of_one_byte_among_others_are_read_by_compiled_code(header: type[Header]) -> None:
    one, data = header._by_name["options"], bytes([1, 1, 8, 10, *range(8), 1, 5, 4, 1, 2, 1, 1, 0])
    faults: list[Fault] = []
    got = items_reader(one, False)(data, 0, len(data), None)
    assert got == read_items(one, data, 0, len(data), None, faults, whole=True) and not faults
    assert [len(bytes(option)) for option in got[0]] == [1, 1, 10, 1, 4, 1, 1, 1]
    packet = dissect(bytes(Ether() / IPv4() / TCP(options=got[0]) if header is TCP else Ether() / IPv4(options=got[0])))
    assert steps(lambda: packet[header].options) < 400 and packet[header].options == got[0]


def test_a_verdict_takes_few_steps() -> None:
    data = bytes(Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2") / TCP(sport=1, dport=2) / bytes(50))
    for _ in range(40):
        assert dissect(data).verdict(TCP) is Verdict.GOOD
    packet = dissect(data)
    assert steps(lambda: packet.verdict(TCP)) < 1200
    assert steps(lambda: packet.verdict(IPv4)) < 1200
