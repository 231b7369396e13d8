"""A list of a stream message that ends with an item of a kind: without that item the next message would be read into it."""

from __future__ import annotations

import pytest

from packetlab import TCP, U8, U16, BuildError, Header, SimNetwork, auto, dissect, field, many, size_of


class Reading(Header):
    kind: U8 = 0


class Readings(Header, under=TCP, port=7206, stream=True):
    rows: tuple[Reading, ...] = many(until=field("kind") == 9)


class Bounded(Header, under=TCP, port=7207, stream=True):
    size: U16 = auto(size_of("self") + size_of("payload"))
    rows: tuple[Reading, ...] = many(until=field("kind") == 9)


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
