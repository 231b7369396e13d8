"""Declarations drawn with fields at any bit, and values for them, held to a reference that joins bits as text."""

from __future__ import annotations

from itertools import count
from typing import Annotated, Any

from hypothesis import given, settings, strategies as st

from packetlab import (
    U1,
    U2,
    U5,
    Bytes,
    Header,
    bindings,
    bits,
    dissect,
    field,
    fixed_bytes,
    many,
    sized,
    spare_bits,
    when,
)
from packetlab.codec.faults import Dissection
from packetlab.codec.lenient import walk
from tests.conftest import amount

NUMBERS = count(1)
Drawn = tuple[type[Header], dict[str, Any], list[tuple[str, str, int]]]
"""A class, values for its fields, and its fields as they lie: name, "number" or "list", and the bits of (each) value."""


@st.composite
def declared(draw: st.DrawFn) -> Drawn:
    """A header of numbers, optional numbers, numbers as wide as another says, lists of numbers, lists of headers."""
    low = draw(st.booleans())
    annotations: dict[str, Any] = {}
    body: dict[str, Any] = {}
    values: dict[str, Any] = {}
    lie: list[tuple[str, str, int]] = []

    def number(name: str, width: int, value: int | None = None) -> int:
        annotations[name], body[name] = Annotated[int, bits(width)], 0
        values[name] = draw(st.integers(0, (1 << width) - 1)) if value is None else value
        lie.append((name, "number", width))
        return int(values[name])

    for place in range(draw(st.integers(1, 5))):
        sort = draw(st.sampled_from(["number", "signed", "optional", "wide", "list", "pair", "items", "one", "bytes", "text"]))
        name = f"f{place}"
        width = draw(st.one_of(st.integers(1, 16), st.integers(1, 90)))
        width += low and width % 8 == 0  # numbers of whole bytes at a byte boundary have an order of bytes of their own
        if sort == "number":
            number(name, width)
        elif sort == "signed":
            annotations[name], body[name] = Annotated[int, bits(width, signed=True)], 0
            values[name] = draw(st.integers(-(1 << width - 1), (1 << width - 1) - 1))
            lie.append((name, "number", width))
        elif sort == "optional":
            there = number(f"has{place}", draw(st.integers(1, 3)))
            annotations[name], body[name] = Annotated[int, bits(width)], when(field(f"has{place}") & 1, 0)
            if there & 1:
                values[name] = draw(st.integers(0, (1 << width) - 1))
                lie.append((name, "number", width))
        elif sort == "wide":
            some = number(f"w{place}", draw(st.integers(1, 7)))
            signed = draw(st.booleans())
            annotations[name], body[name] = Annotated[int, bits(field(f"w{place}"), signed=signed)], 0
            least, most = (
                (-(1 << some - 1), (1 << some - 1) - 1) if signed and some else (0, 0 if signed else (1 << some) - 1)
            )
            values[name] = draw(st.integers(least, most))
            lie.append((name, "number", some))
        elif sort == "list":
            width = draw(st.integers(1, 20).filter(lambda n: n % 8))
            several = number(f"n{place}", draw(st.integers(1, 7)))
            annotations[name], body[name] = tuple[Annotated[int, bits(width)], ...], many(count=field(f"n{place}"))  # type: ignore[misc]
            values[name] = tuple(draw(st.lists(st.integers(0, (1 << width) - 1), min_size=several, max_size=several)))
            lie.append((name, "list", width))
        elif sort == "one":
            item = item_class(low)
            annotations[name], body[name] = item, item()
            flag = draw(st.integers(0, 1))
            values[name] = item(flag=flag, more=9 if flag else None, last=draw(st.integers(0, 3)))
            lie.append((name, "items", 0))
        elif sort == "bytes":
            number(f"lead{place}", draw(st.integers(1, 7)))
            size = draw(st.integers(0, 9))
            annotations[name], body[name] = Annotated[bytes, fixed_bytes(size)], bytes(size)
            values[name] = draw(st.binary(min_size=size, max_size=size))
            lie.append((name, "bytes", 8 * size))
            number(f"tail{place}", draw(st.integers(1, 7)))
        elif sort == "text" and place:
            size = number(f"n{place}", 3)
            annotations[name], body[name] = Bytes, sized(field(f"n{place}"), b"")
            values[name] = draw(st.binary(min_size=size, max_size=size))
            lie.append((name, "bytes", 8 * size))
        elif sort in ("pair", "text"):
            annotations[name], body[name] = tuple[Annotated[int, bits(3)], ...], many(count=2)
            values[name] = draw(st.tuples(st.integers(0, 7), st.integers(0, 7)))
            lie.append((name, "list", 3))
        else:
            several = number(f"n{place}", 2)
            item = item_class(low)
            annotations[name], body[name] = tuple[item, ...], many(count=field(f"n{place}"))  # type: ignore[valid-type]
            made = []
            for _ in range(several):
                flag = draw(st.integers(0, 1))
                made.append(
                    item(flag=flag, more=draw(st.integers(0, 31)) if flag else None, last=draw(st.integers(0, 3)))
                )
            values[name] = tuple(made)
            lie.append((name, "items", 0))
    annotations["spare"], body["spare"] = int, spare_bits()
    names = {"bit_order": "low"} if low else {}
    cls = type(Header)(f"Drawn{next(NUMBERS)}", (Header,), {"__annotations__": annotations, "__module__": __name__, **body}, **names)
    return cls, values, lie  # type: ignore[return-value]


def item_class(low: bool) -> Any:
    names = {"bit_order": "low"} if low else {}
    body = {"flag": 0, "more": when(field("flag"), 0), "last": 0}
    annotations = {"flag": U1, "more": U5, "last": U2}
    return type(Header)(
        f"Item{next(NUMBERS)}",
        (Header,),
        {"__annotations__": annotations, "__module__": __name__, **body},
        in_bits=True,
        **names,
    )


def text(number: int, width: int, low: bool) -> str:
    """The bits of a number in the order in which they lie."""
    found = f"{number & (1 << width) - 1:0{width}b}" if width else ""
    return found[::-1] if low else found


def reference(drawn: Drawn) -> bytes:
    """The bytes that fields come to: their bits as text, one after the other, filled up with zeros."""
    cls, values, lie = drawn
    low, found = cls._declaration.low, ""
    for name, sort, width in lie:
        if sort == "number":
            found += text(values[name], width, low)
        elif sort == "list":
            found += "".join(text(one, width, low) for one in values[name])
        elif sort == "bytes":
            found += text(int.from_bytes(values[name], "little" if low else "big"), width, low)
        else:
            for item in values[name] if isinstance(values[name], tuple) else (values[name],):
                found += (
                    text(item.flag, 1, low) + (text(item.more, 5, low) if item.flag else "") + text(item.last, 2, low)
                )
    found += "0" * (-len(found) % 8)
    parts = (found[at : at + 8] for at in range(0, len(found), 8))
    return bytes(int(part[::-1] if low else part, 2) for part in parts)


@settings(max_examples=amount(60, 600), deadline=None)
@given(drawn=declared())
def test_what_is_built_is_what_the_bits_come_to_and_reads_back(drawn: Drawn) -> None:
    cls, values, _ = drawn
    with bindings():
        header = cls(**values)
        data = bytes(header)
        assert data == reference(drawn)
        read = dissect(data + b"rest", first=cls)
        assert not read.faults
        assert bytes(read) == data + b"rest"
        assert read.payload == b"rest"
        for name, value in values.items():
            assert getattr(read[cls], name) == value
        assert read[cls] == header


@settings(max_examples=amount(60, 600), deadline=None)
@given(drawn=declared(), data=st.binary(max_size=40))
def test_any_bytes_come_back_and_both_readers_agree(drawn: Drawn, data: bytes) -> None:
    cls, _, _ = drawn
    with bindings():
        packet = dissect(data, first=cls)
        assert bytes(packet) == data
        ctx, careful = Dissection(), Dissection()
        header, start, end, _ = cls._decode(data, 0, len(data), ctx)
        other, began, stop, _ = walk(cls._declaration, data, 0, len(data), careful)
        assert (start, end, ctx.faults) == (began, stop, careful.faults)
        assert [getattr(header, f.slot) for f in cls._fields] == [getattr(other, f.slot) for f in cls._fields]
        assert header._state == other._state


@settings(max_examples=amount(30, 300), deadline=None)
@given(drawn=declared(), cut=st.integers(0, 200))
def test_what_is_cut_is_told_and_comes_back(drawn: Drawn, cut: int) -> None:
    cls, values, _ = drawn
    with bindings():
        whole = bytes(cls(**values))
        packet = dissect(whole[:cut], first=cls)
        assert bytes(packet) == whole[:cut]
        assert bool(packet.faults) == (cut < len(whole))
