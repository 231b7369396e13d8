# No `from __future__ import annotations`: annotations that call functions are evaluated in the class body.
"""A field may have the name of a function of packetlab; what comes after it in the class body says then which of the two is meant."""

from collections.abc import Callable
from typing import Annotated, Any

import pytest

import packetlab as pl
from packetlab import U8, DeclareError, Header, auto, bits, count_of, field, many, text, when  # noqa: F401


def _text() -> Any:
    class Named(Header):
        text: Annotated[str, text("ascii", size=2)] = "ab"


def _bits() -> Any:
    class Named(Header):
        bits: Annotated[int, bits(4)] = 0


def _field() -> Any:
    class Named(Header):
        field: U8 = 0
        x: U8 | None = when(field("field") == 1)


def _count_of() -> Any:
    class Named(Header):
        count_of: U8 = 0
        n: U8 = auto(count_of("xs"))
        xs: tuple[U8, ...] = many()


def _many() -> Any:
    class Named(Header):
        many: U8 = 1
        xs: tuple[U8, ...] = many(count=2, value=(1, 2))


def _size_of() -> Any:
    from packetlab import size_of  # noqa: F401

    class Named(Header):
        size_of: U8 = 3
        n: U8 = auto(size_of("self"))


@pytest.mark.parametrize("made", [_text, _bits, _field, _count_of, _many, _size_of])
def test_a_field_called_like_a_function_is_named_where_the_function_is_meant(made: Callable[[], Any]) -> None:
    name = made.__name__[1:]
    words = rf"Named\.{name}: expected {name}\(\.\.\.\) of packetlab, got the field {name}, which is declared before it \(import packetlab as pl, and pl\.{name}\("
    with pytest.raises(DeclareError, match=words):
        made()


def test_the_way_out_leaves_the_field_its_name() -> None:
    class Called(Header):
        field: U8 = 0
        text: Annotated[str, pl.text("ascii", size=2)] = "ab"
        many: tuple[U8, ...] = pl.many(count=pl.field("field"))

    assert bytes(Called(field=2, many=(5, 6))) == b"\2ab\5\6"
