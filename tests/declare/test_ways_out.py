"""Right-hand sides and rules that say nothing here: the refusal says what was written and what to write; what pages list is what there is."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Any

import pytest

import packetlab as pl
from packetlab import (
    U8,
    U16,
    BuildError,
    Bytes,
    DeclareError,
    Ether,
    Header,
    Rest,
    auto,
    choose,
    computed,
    count_of,
    dissect,
    field,
    gzip,
    many,
    named,
    pad,
    size_of,
    sized,
    through,
    when,
    xor,
    zlib,
)
from packetlab.declare.checksums.catalogue import CRCS


class Item(Header):
    n: U8 = 0


def declared(**fields: tuple[Any, Any]) -> type[Header]:
    body = {name: value for name, (_, value) in fields.items()}
    return type(Header)("Made", (Header,), {"__annotations__": {name: kind for name, (kind, _) in fields.items()}, "__module__": __name__, **body})


@pytest.mark.parametrize(
    ("kind", "value", "said"),
    [
        (U8, enum.auto(), r"Made\.x: expected 0\.\.255, got auto\(\.\.\.\) of the module enum \(.*enum\.auto\(\)"),
        (Bytes, enum.auto(), r"Made\.x: expected bytes, got auto\(\.\.\.\) of the module enum"),
        (tuple[Item, ...], sized(3, many()), r"Made\.x: expected headers \(Item\), got many\(\.\.\.\) in sized\(\.\.\.\) \(many\(size=\.\.\.\) has the size of a list\)"),
        (tuple[Item, ...], through(gzip(), sized(3, many())), r"got many\(\.\.\.\) in sized\(\.\.\.\)|got many\(\.\.\.\) in through\(\.\.\.\)"),
        (Bytes, sized(field("n"), when(field("n") == 0)), r"got when\(\.\.\.\) in sized\(\.\.\.\) \(when\(\.\.\.\) stands around the others"),
    ],
)  # fmt: skip
def test_a_default_that_is_none_is_named_with_the_way_out(kind: Any, value: Any, said: str) -> None:
    with pytest.raises(DeclareError, match=said) as found:
        declared(n=(U8, 0), x=(kind, value))
    assert "object at" not in str(found.value)


def test_a_count_of_what_is_compressed_says_how_it_follows_and_does() -> None:
    class Items(Header):
        items: tuple[Item, ...] = many()

    with pytest.raises(DeclareError, match=r'many\(count=field\("\^\.count"\)\) in there says it, and count: U16 = 0 here follows by itself'):
        declared(count=(U16, auto(count_of("body.items"))), body=(Items, through(gzip(), Items())))

    class Counted(Header):
        items: tuple[Item, ...] = many(count=field("^.count"))

    whole = declared(count=(U16, 0), body=(Counted, through(gzip(), Counted())))
    assert dissect(bytes(whole(body=Counted(items=[Item(), Item()]))), whole)[whole].count == 2  # type: ignore[attr-defined]


def test_a_gap_at_the_end_that_does_not_come_back_is_refused_with_the_way_out() -> None:
    made = declared(end=(U8, auto(size_of("data") + 9)), data=(U16, 1), fill=(Bytes, pad(4, to=field("end"))))
    with pytest.raises(DeclareError, match=r'the field that says where fill ends follows it: auto\(\.\.\. \+ size_of\("fill"\)\)'):
        bytes(made())


def test_a_transform_of_ones_own_takes_a_key_for_a_state_alone() -> None:
    with pytest.raises(DeclareError, match=r"state= beside key=, which says whose state it is, got key=.* alone"):
        named("mine", bytes, bytes, key=field("n"))


def test_values_that_are_equal_inside_do_not_differ() -> None:
    class Flagged(Header, under=Ether, when={"type": 0x7F01}):
        packed: U8 = 0
        data: Rest = through(zlib(), b"", when=field("packed") == 1)

    class Masked(Header, under=Ether, when={"type": 0x7F02}):
        key: U8 = 0
        data: Rest = through(xor(field("key")), b"")

    for made, name in ((Flagged, "packed"), (Masked, "key")):
        one, other = (dissect(bytes(Ether() / made(**{name: k}, data=b"abc"))) for k in (0, 1))
        (raw, masked) = (getattr(packet[made], made._by_name["data"].slot) for packet in (one, other))
        assert (raw == masked, raw != masked) == (True, False)
        assert [change.where for change in one.diff(other)] == [f"{made.__name__}.{name}"]


def test_the_page_lists_every_crc() -> None:
    page = Path("notebooks/how-to-declare.md").read_text()
    rows = [line.split("|") for line in page[page.index("| bits | |") :].splitlines()[2:]]
    table = rows[: next(n for n, row in enumerate(rows) if len(row) != 4)]
    assert [f"CRC-{bits.strip()}/{name.strip()}" for _, bits, names, _ in table for name in names.split(",")] == [*CRCS]
    assert pl.crc("CRC-16/MODBUS", "self") is not None


class Sizes(Header):
    a: U8 = 1
    b: U16 = 0
    low: int = computed(choose(field("a") == 1, field("b"), 3))


@pytest.mark.parametrize(
    ("rule", "way"),
    [
        (choose(field("held.a") == 1, field("held.b"), 3), r"held=Sizes\(a=\.\.\., b=\.\.\.\) can be given too"),
        (choose(field("k") == 1, field("held.b"), 3), r"k, held=Sizes\(b=\.\.\.\) can be given too"),
        (choose(field("held.b") > 7, 7, field("held.b")), r"held=Sizes\(b=\.\.\.\) can be given too"),
        (field("held.b") & 63, r"held=Sizes\(b=\.\.\.\) can be given too"),
        (field("held.b") % 6, r"held=Sizes\(b=\.\.\.\) can be given too"),
        (field("held.low"), r"held=Sizes\(a=\.\.\., b=\.\.\.\) can be given too"),
        (field("worked"), r"held=Sizes\(a=\.\.\., b=\.\.\.\) can be given too"),
    ],
)
def test_the_way_out_of_a_size_that_goes_by_what_a_field_holds_works(rule: Any, way: str) -> None:
    class Holding(Header):
        k: U8 = 1
        held: Sizes = Sizes()
        worked: int = computed(choose(field("held.a") == 1, field("held.b"), 3))
        data: Bytes = sized(rule, b"")

    size = 70 if "63" in str(rule) else 6 if "%" in str(rule) else 4
    with pytest.raises(BuildError, match=rf"Holding\.data: expected {size % 64 if size > 6 else 0} bytes, as .*, got {size} bytes \({way}\)"):
        bytes(Holding(data=bytes(size)))
    data = bytes(Holding(held=Sizes(b=4), data=b"abcd"))
    assert dissect(data, Holding)[Holding].data == b"abcd" and data[-4:] == b"abcd"
