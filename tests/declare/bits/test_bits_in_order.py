"""A field that cannot begin inside a byte is refused among bits, and not moved before them."""

from __future__ import annotations

from typing import Annotated, Any

import pytest

from packetlab import (
    U3,
    U4,
    U8,
    Bytes,
    DeclareError,
    Digits,
    Header,
    Text,
    ended,
    field,
    labels,
    many,
    pad,
    spare_bits,
    through,
    when,
    xor,
)


class Held(Header):
    a: U8 = 0xAA


KINDS: dict[str, tuple[Any, Any]] = {
    "a header": (Held, Held()),
    "text up to a delimiter": (Text, ended(b"\0", "abc")),
    "digits up to a delimiter": (Digits, ended(b";", 17)),
    "names": (Annotated[str, labels()], "a.b"),
    "items up to the last": (tuple[Held, ...], many(until=field("a") == 1, end=Held(a=1))),
    "an optional header": (Held | None, when(field("f") == 5, Held())),
    "what fills up": (Bytes, pad(4)),
    "what goes through a transform": (Bytes, through(xor(5), b"abc")),
}


@pytest.mark.parametrize("order", ["high", "low"])
@pytest.mark.parametrize("kind", KINDS)
def test_what_begins_with_a_byte_is_refused_behind_bits(kind: str, order: str) -> None:
    annotation, default = KINDS[kind]
    names = {"f": U3, "x": annotation, "rest": U4 if kind == "what goes through a transform" else int}
    body = {"__annotations__": names, "f": 5, "x": default, "rest": spare_bits() if names["rest"] is int else 0}
    with pytest.raises(DeclareError, match=r"^T\.x: expected a (start on a byte boundary|size)"):
        type(Header)("T", (Header,), body, bit_order=order)
