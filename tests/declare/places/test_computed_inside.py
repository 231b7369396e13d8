"""A number that is computed in a header which a field holds says the size of the next field, or how many items it has."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from packetlab import (
    U8,
    U16,
    BuildError,
    Bytes,
    Header,
    U16le,
    auto,
    choose,
    computed,
    count_of,
    dissect,
    field,
    many,
    size_of,
    sized,
    when,
)
from packetlab.export import strategies
from tests.conftest import amount


class Same(Header):
    raw: U8 = 0
    number: int = computed(field("raw"))


class Compact(Header):
    """The CompactSize of Bitcoin, and MySQL's lenenc: one byte, or a mark and two."""

    first: U8 = auto(choose(field("value") < 253, field("value"), 253))
    two: U16le | None = when(field("first") == 253, auto(field("value")))
    value: int = computed(choose(field("first") < 253, field("first"), field("two")))


class Plain(Header):
    length: Same = Same()
    data: Bytes = sized(field("length.number"), b"")


class Script(Header):
    length: Compact = Compact()
    data: Bytes = sized(field("length.value"), b"")


class Transaction(Header):
    many_numbers: Compact = Compact()
    numbers: tuple[U16, ...] = many(count=field("many_numbers.value"))
    many_scripts: Compact = Compact()
    scripts: tuple[Script, ...] = many(count=field("many_scripts.value"))
    lock: U8 = 7


class Flat(Header):
    first: U8 = auto(size_of("data"))
    n: int = computed(field("first"))
    data: Bytes = sized(field("n"), b"")


class FlatList(Header):
    first: U8 = auto(count_of("xs"))
    n: int = computed(field("first"))
    xs: tuple[U8, ...] = many(count=field("n"))


@pytest.mark.parametrize("size", [0, 2, 252, 253, 300])
def test_it_follows_in_what_is_built(size: int) -> None:
    mark = bytes([size]) if size < 253 else b"\xfd" + size.to_bytes(2, "little")
    data = bytes(Script(data=bytes(size)))
    assert data == mark + bytes(size)
    assert dissect(data, Script)[Script] == Script(data=bytes(size))
    if size < 256:
        assert bytes(Plain(data=bytes(size))) == bytes([size]) + bytes(size)


@pytest.mark.parametrize(("before", "after"), [(b"ab", b"abc"), (bytes(300), b"z"), (b"z", bytes(300)), (b"z", b"")])
def test_it_follows_an_edit_of_what_was_read(before: bytes, after: bytes) -> None:
    packet = dissect(bytes(Script(data=before)), Script).replace(Script, data=after)
    assert bytes(packet) == bytes(Script(data=after))


def test_lists_are_counted_by_it() -> None:
    built = Transaction(numbers=[1, 2], scripts=[Script(data=b"z")])
    assert bytes(built).hex() == "02" "00010002" "01" "017a" "07"
    read = dissect(bytes(built), Transaction)
    assert read[Transaction] == built
    assert bytes(read.replace({"transaction.numbers": [9], "transaction.scripts": []})).hex() == "01" "0009" "00" "07"


def test_a_number_that_is_given_is_sent_or_refused() -> None:
    assert bytes(Plain(length=Same(raw=1), data=b"abc")) == b"\1abc"

    class Given(Header):
        length: Compact = Compact(value=0)
        data: Bytes = sized(field("length.value"), b"")

    assert bytes(Given()) == b"\0"
    with pytest.raises(BuildError, match=r"Given\.data: expected 0 bytes, as length\.value says, got 2 bytes \(length\.value follows where nothing of it is given"):
        bytes(Given(data=b"ab"))


@pytest.mark.parametrize(("cls", "name"), [(Plain, "data"), (Script, "data"), pytest.param(Transaction, "numbers", marks=pytest.mark.slow), (Transaction, "scripts"), (Flat, "data"), (FlatList, "xs")])
def test_strategies_draw_more_than_what_is_empty(cls: type[Header], name: str) -> None:
    sizes = set()

    @settings(max_examples=amount(100, 1000))
    @given(strategies.headers(cls))
    def draw(header: Header) -> None:
        assert dissect(bytes(header), cls)[cls] == header
        sizes.add(len(getattr(header, name)))

    draw()
    assert len(sizes) > 2
