"""A list of a stream message that ends with an item of a kind: without that item the next message would be read into it."""

from __future__ import annotations

import pytest

from packetlab import (
    TCP,
    U8,
    U16,
    BuildError,
    Header,
    Packet,
    Rest,
    SimNetwork,
    auto,
    count_of,
    dissect,
    field,
    many,
    size_of,
    sized,
)


class Reading(Header):
    kind: U8 = 0


class Readings(Header, under=TCP, port=7206, stream=True):
    rows: tuple[Reading, ...] = many(until=field("kind") == 9)


class Bounded(Header, under=TCP, port=7207, stream=True):
    size: U16 = auto(size_of("self") + size_of("payload"))
    rows: tuple[Reading, ...] = many(until=field("kind") == 9)


class Table(Header):
    rows: tuple[Reading, ...] = many(until=field("kind") == 9, value=(Reading(kind=9),))


class Framed(Header):
    table: Table = Table()


class Holding(Header, under=TCP, port=7208, stream=True):
    code: U8 = 1
    framed: Framed = Framed()


class Tables(Header, under=TCP, port=7209, stream=True):
    count: U8 = auto(count_of("tables"))
    tables: tuple[Table, ...] = many(count=field("count"))


class Before(Header):
    table: Table = Table()
    after: U8 = 5


class Sized(Header):
    size: U8 = auto(size_of("tables"))
    tables: tuple[Table, ...] = many(size=field("size"))


class Alone(Header):
    size: U8 = auto(size_of("table"))
    table: Table = sized(field("size"))
    text: Rest = b""


OPEN, ENDED = Table(rows=[Reading(kind=1)]), Table(rows=[Reading(kind=1), Reading(kind=9)])


@pytest.mark.parametrize(
    "one",
    [Holding(framed=Framed(table=OPEN)), Tables(tables=[OPEN]), Tables(tables=[OPEN, ENDED]), Before(table=OPEN), Sized(tables=[OPEN, ENDED]),
     Framed(table=OPEN) / b"x", Framed(table=OPEN) / Reading(), OPEN / b"x"],
)  # fmt: skip
def test_a_list_inside_a_header_in_a_field_is_not_read_on_into_what_follows(one: Header | Packet) -> None:
    with pytest.raises(BuildError, match=r"Table\.rows: expected a last item for which kind == 9, since more follows, got none"):
        bytes(one)


@pytest.mark.parametrize(
    "one",
    [Holding(framed=Framed(table=ENDED)), Tables(tables=[ENDED, ENDED]), Tables(), Before(table=ENDED), Sized(tables=[ENDED, OPEN]), Sized(), Framed(table=OPEN),
     Alone(table=OPEN, text=b"ab"), Before(table=Table(rows=[Reading(kind=9)]))],
)  # fmt: skip
def test_what_ends_or_has_nothing_after_it_reads_back(one: Header) -> None:
    read = dissect(bytes(one), type(one))
    assert not read.faults
    assert read[type(one)] == one


def test_what_came_without_its_end_goes_as_it_came() -> None:
    packet = dissect(b"\1\1\2", Holding)
    assert bytes(packet.replace(Holding, code=3)) == b"\3\1\2"


@pytest.mark.parametrize("rows", [(), (Reading(),), (Reading(), Reading(kind=1))])
def test_it_is_not_built_without_its_last_item(rows: tuple[Reading, ...]) -> None:
    with pytest.raises(BuildError, match=r"Readings\.rows: expected a last item for which kind == 9, since more follows, got none"):
        bytes(Readings(rows=rows))
    whole = dissect(bytes(Readings(rows=[*rows, Reading(kind=9)])), Readings)
    with pytest.raises(BuildError, match="a last item for which kind == 9"):
        bytes(whole.replace(Readings, rows=rows))


def test_what_came_in_part_or_as_bytes_goes_as_it_is() -> None:
    assert bytes(dissect(b"\0\1", Readings)) == b"\0\1"
    assert bytes(Readings(rows=[Reading(), b"ab"])) == b"\0ab"


def test_a_message_that_says_its_size_ends_its_list_by_that() -> None:
    data = bytes(Bounded(rows=[Reading()]))
    assert data == b"\0\3\0"
    assert not dissect(data, Bounded).faults


def test_nothing_of_it_is_sent() -> None:
    net = SimNetwork(seed=1)
    a, b = net.host("a"), net.host("b")
    net.link(a, b, delay=0.01)
    server, client = b.socket("stream"), a.socket("stream")
    server.bind(3000)
    server.listen()
    client.connect(b.at(3000))
    peer = server.accept()
    with pytest.raises(BuildError):
        client.write(Readings(rows=[Reading()]))
    client.write(Readings(rows=[Reading(kind=5), Reading(kind=9)]))
    assert peer.read_packet(Readings)[Readings].rows == (Reading(kind=5), Reading(kind=9))
