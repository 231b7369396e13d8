"""Numbers that follow from what earlier packets said, in headers that are built where no packet did: what is given is sent."""

from __future__ import annotations

import pytest

from packetlab import (
    U1,
    U8,
    BuildError,
    Bytes,
    Context,
    Header,
    Packet,
    bindings,
    computed,
    dissect,
    field,
    many,
    recalled,
    sized,
    spare_bits,
    when,
)

with bindings():

    class Coils(Header):
        id: U8 = 1
        count: int = computed(recalled("count", field("id")))
        coils: tuple[U1, ...] = many(count=field("count"))
        spare: int = spare_bits()

    class Ruled(Header):
        id: U8 = 1
        size: int = computed(recalled("count", field("id")) * 2 + 1)
        body: Bytes = sized(field("size"), b"")

    class Twice(Header):
        id: U8 = 1
        count: int = computed(recalled("count", field("id")))
        size: int = computed(field("count") * 2)
        body: Bytes = sized(field("size"), b"")

    class There(Header):
        id: U8 = 1
        count: int = computed(recalled("count", field("id")))
        more: U8 | None = when(field("count") == 3, 5)

    class Usual(Header):
        id: U8 = 1
        count: int = computed(recalled("count", field("id"), default=2))
        body: Bytes = sized(field("count"), b"")


@pytest.mark.parametrize(
    ("header", "data"),
    [
        (Coils(coils=[1] * 3), "01e0"),
        (Coils(count=3, coils=[1] * 3), "01e0"),
        (Ruled(body=b"abc"), "01616263"),
        (Ruled(size=3, body=b"abc"), "01616263"),
        (Twice(body=b"ab"), "016162"),
        (Twice(count=1, body=b"ab"), "016162"),
        (There(count=3, more=4), "0104"),
        (There(count=2), "01"),
    ],
)
def test_what_is_given_is_sent_where_none_was_remembered(header: Header, data: str) -> None:
    assert bytes(header).hex() == data
    assert bytes(Packet((header,)).layers[0]).hex() == data
    with Context():
        assert bytes(header).hex() == data


def remembering(count: int) -> Context:
    context = Context()
    context.remember("count", 1, value=count)
    return context


def test_what_was_remembered_counts() -> None:
    with remembering(3) as context:
        assert bytes(Coils(coils=[1] * 3)) == bytes(Coils(count=3, coils=[1] * 3)) == b"\1\xe0"
        assert dissect(b"\1\xe0", Coils, context=context)[Coils].coils == (1, 1, 1)
        assert bytes(There()) == b"\1\5"
    with remembering(4):
        for header in (Coils(coils=[1] * 3), Coils(count=3, coils=[1] * 3), Ruled(size=3, body=b"abc"), There(more=1)):
            with pytest.raises(BuildError, match=r"an earlier packet said so \(recalled\('count', id\)\): as many, or build .*; where none did, "):
                bytes(header)


def test_a_default_counts_as_remembered() -> None:
    for header in (Usual(body=b"abc"), Usual(count=3, body=b"abc")):
        with pytest.raises(BuildError, match=r"expected 2.*an earlier packet said so .*`with Context\(\):`\)$"):
            bytes(header)
    assert bytes(Usual(body=b"ab")) == b"\1ab"
