"""What stands above a header by a number that is written in digits, or coded, is known as such wherever bindings are listed."""

from __future__ import annotations

from typing import Annotated, Any

import pytest

from packetlab import (
    S8,
    U8,
    UDP,
    Digits,
    Ether,
    Header,
    IPv4,
    VarInt,
    auto,
    bind,
    bindings,
    declare_from,
    digits,
    dissect,
    ended,
    next_protocol,
)
from packetlab.declare.registry import bindings_of, numeric_bindings
from packetlab.schema.dump import described


@pytest.mark.parametrize(
    ("kind", "default"),
    [(Annotated[int, digits(width=3)], 200), (Digits, ended(b" ", 200)), (VarInt, 200), (Annotated[int, digits(16, width=4)], 200)],
)
def test_a_binding_by_it_travels_in_a_file(kind: Any, default: Any) -> None:
    """They were left out, without a word."""
    with bindings():

        class Answer(Header, under=UDP, port=8823):
            __annotations__ = {"status": kind}
            status = default

        class Load(Header, under=Answer, when={"status": (200, 206)}):
            size: U8 = 7

        assert bindings_of(Load._declaration) == [(Answer._declaration, {"status": (200, 206)}, {})]
        assert [numbers for _, numbers in numeric_bindings(Load._declaration)] == [{"status": 200}, {"status": 206}]
        data: Any = described([Answer, Load])
        wire = bytes(Ether() / IPv4() / UDP() / Answer(status=206) / Load())
    with bindings():
        made = {cls.__name__: cls for cls in declare_from(data)}
        found = dissect(wire)
        assert found[made["Load"]].size == 7 and described([made["Answer"], made["Load"]]) == data
        assert bytes(Ether() / IPv4() / UDP() / made["Answer"](status=206) / made["Load"]()) == wire


def test_a_number_below_what_a_field_holds_is_no_binding_under_it() -> None:
    """As one above it is none: of two fields that share a number space."""
    with bindings():

        class Signed(Header):
            kind: S8 = auto(next_protocol("signs"))

        class Unsigned(Header):
            kind: U8 = auto(next_protocol("signs"))

        class Low(Header, under=Unsigned, when={"kind": 5}):
            size: U8 = 0

        bind(Low, under=Signed, when={"kind": -2})
        assert numeric_bindings(Low._declaration) == [(Signed._declaration, {"kind": 5}), (Signed._declaration, {"kind": -2}), (Unsigned._declaration, {"kind": 5})]
        assert bindings_of(Low._declaration) == [(Signed._declaration, {"kind": (5, -2)}, {})]
