"""What may stand right of the colon: one kind of field, a note or `| None` beside it, or headers that repeat."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, NamedTuple

import pytest

import packetlab as pl
from packetlab import (
    U4,
    U8,
    BuildError,
    Capture,
    DeclareError,
    Ether,
    Frame,
    Header,
    XNSAddress,
    auto,
    bindings,
    bits,
    count_of,
    field,
    many,
    when,
)


@pytest.fixture(autouse=True)
def scoped() -> Iterator[None]:
    with bindings():
        yield


class Morsel(Header):
    v: U8 = 0


class More(Morsel):
    w: U8 = 0


class Pair(NamedTuple):
    one: int


def made(annotation: Any, right: Any) -> Any:
    body = {"__module__": "m", "__annotations__": {"n": U8, "a": annotation}, "n": 1, "a": right}
    return type(Header)("X", (Header,), body, under=Ether, when={"type": 0x88B5})


@pytest.mark.parametrize(
    "annotation",
    [
        tuple[U4, ...],
        tuple[Pair, ...],
        Annotated[U8, Morsel],
        Annotated[Morsel, bits(8)],
        Annotated[Morsel, "note"],
        XNSAddress | U8,
    ],
    ids=["bits", "tuples", "number", "header", "noted", "either"],
)
def test_what_is_no_header_does_not_repeat_and_a_header_is_no_number(annotation: Any) -> None:
    with pytest.raises(DeclareError, match=r"^X\.a: expected"):
        made(annotation, many(count=field("n")))


@pytest.mark.parametrize(
    "annotation", [XNSAddress | None, Annotated[XNSAddress, "note"] | None, Annotated[XNSAddress | None, "note"]]
)
def test_an_address_that_may_be_absent_is_a_field(annotation: Any) -> None:
    here = made(annotation, when(field("n") == 1, "1.2.3"))
    packet = pl.dissect(bytes(Ether() / here()))
    assert packet[here].a == XNSAddress.of(bytes.fromhex("00000001 000000000002 0003".replace(" ", "")))
    assert pl.dissect(bytes(Ether() / here(n=0)))[here].a is None


def test_a_note_beside_repeated_headers_changes_nothing() -> None:
    noted = made(Annotated[tuple[Morsel, ...], "note"], many(count=field("n")))
    packet = pl.dissect(bytes(Ether() / noted(a=[Morsel(v=3)])))
    assert packet[noted].a == (Morsel(v=3),)
    assert Capture.of([Frame(bytes(packet))]).where("x.a.v == 3").count() == 1


@pytest.mark.parametrize("items", [[More(v=1)], [Pair(1)], Pair(1), [Ether()], More(), ["x"], [b"x", Morsel()]])
def test_items_are_of_the_class_that_is_declared(items: Any) -> None:
    class X(Header):
        n: U8 = auto(count_of("a"))
        a: tuple[Morsel, ...] = many(count=field("n"))

    assert X(a=[Morsel(v=1), b"\2"]).a == (Morsel(v=1), b"\2") and X(a=Morsel(v=1)).a == (Morsel(v=1),)
    with pytest.raises(BuildError, match=r"X\.a: expected headers \(Morsel\), got"):
        X(a=items)
