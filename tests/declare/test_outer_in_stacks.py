"""Headers that ask for numbers of those below, or whose items ask for numbers of them, read and built by the function of their stack:
the same as header by header."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, strategies as st

from packetlab import (
    U8,
    U16,
    BuildError,
    Bytes,
    Header,
    auto,
    before,
    bindings,
    computed,
    count_of,
    dissect,
    field,
    many,
    pad,
    size_of,
    sized,
    through,
    when,
    xor,
)
from packetlab.codec.objects import AnyHeader
from packetlab.codec.stacks import build, stack_decoders, stack_encoders
from packetlab.protocols.dissect import dissected


@pytest.fixture(autouse=True, scope="module")
def scoped() -> Iterator[None]:
    with bindings():
        yield


@pytest.fixture(scope="module")
def headers() -> Any:
    class OutLower(Header):
        qos: U8 = 0
        size: U8 = 2
        kind: U8 = 3

    class OutUpper(Header, under=OutLower, when={"kind": 3}):
        number: U16 | None = when(field("OutLower.qos") > 0, 7)
        text: Bytes = sized(field("OutLower.size"), b"ab")
        more: U8 = 9

    class OutItem(Header):
        value: U8 = 0
        error: U16 | None = when(field("^.exact") == 1, 0)
        total: int = computed(before("total") + field("value"))
        fill: Bytes = pad(2, since="OutHolder")

    class OutSecret(Header):
        kind: U8 = 0
        more: U16 | None = when(field("^.long") == 1, 5)

    class OutHolder(Header, under=OutUpper, when={"more": 4}):
        exact: U8 = 0
        count: U8 = auto(count_of("items"))
        items: tuple[OutItem, ...] = many()

    class OutLast(Header, under=OutLower, when={"kind": 4}):
        value: U8 = 0

    class OutEnd(Header, under=OutLast, when=field("OutLower.qos") == 2):
        value: U8 = 0

    class OutInside(Header):
        long: U8 = 0
        size: U8 = auto(size_of("some"))
        some: tuple[OutSecret, ...] = through(xor(5), sized(field("size"), ()))

    for _ in range(100):
        for qos in (0, 1):
            assert bytes(OutLower(qos=qos, size=2) / OutUpper(text=b"xy") / b"z") == bytes([qos, 2, 3, *[0, 7] * qos]) + b"xy\x09z"
            assert dissect(bytes([qos, 1, 3, *[0, 5] * qos]) + b"x\x01zz", OutLower).payload == b"zz"
        assert dissect(b"\1\1\5\0\0\0", OutHolder)[OutHolder].items[0].total == 5
        assert len(dissect(bytes([2, 0, 4, 8, 9]), OutLower).layers) == 3 and len(dissect(bytes([1, 0, 4, 8, 9]), OutLower).layers) == 2
    assert OutLower in stack_decoders and OutHolder in stack_decoders and (OutLower, OutUpper) in stack_encoders
    return OutLower, OutUpper, OutItem, OutHolder, OutSecret, OutInside


def known(header: AnyHeader) -> Any:
    items = [known(one) for f in header._fields if f.kind.has_headers for one in getattr(header, f.name) or () if isinstance(one, AnyHeader)]
    return getattr(header, "__outer__", None), items


@given(data=st.binary(max_size=12) | st.binary(min_size=2, max_size=14).map(lambda rest: bytes([rest[0] & 3, rest[1] & 3, 3 + (rest[1] >> 7)]) + rest), first=st.sampled_from((0, 3, 5)))
def test_read_as_header_by_header(headers: Any, data: bytes, first: int) -> None:
    packet, slow = dissect(data, headers[first]), dissected(data, headers[first], None)
    assert packet.layers == slow.layers and packet.faults == slow.faults and packet.payload == slow.payload
    assert [*map(known, packet.layers)] == [*map(known, slow.layers)]
    assert bytes(packet) == data and packet.encode() == data


@given(
    lower=st.fixed_dictionaries({}, optional={"qos": st.integers(0, 2), "size": st.integers(0, 3), "kind": st.integers(0, 255)}),
    upper=st.fixed_dictionaries({}, optional={"number": st.integers(0, 65535), "text": st.binary(max_size=3), "more": st.just(1)}),
    again=st.booleans(),
)
def test_built_as_header_by_header(headers: Any, lower: Any, upper: Any, again: bool) -> None:
    def built(pack: Any) -> Any:
        try:
            return pack()
        except BuildError as error:
            return str(error)

    stack = headers[0](**lower), headers[1](**upper)
    if again and isinstance(built(lambda: bytes(stack[0] / stack[1])), bytes):  # of a header whose numbers were solved for another
        stack = (stack[0] / stack[1]).layers[0], headers[1]()
    assert built(lambda: bytes(stack[0] / stack[1])) == built(lambda: build(stack, b""))


@given(exact=st.integers(0, 2), some=st.lists(st.tuples(st.integers(0, 255), st.none() | st.integers(0, 65535)), max_size=4))
def test_items_are_written_as_they_are_one_by_one(headers: Any, exact: int, some: list[tuple[int, int | None]]) -> None:
    _, _, item, holder, _, _ = headers
    made = holder(exact=exact, items=[item(value=value, error=error if exact == 1 else None) for value, error in some])
    wire, at, total = [exact, len(some)], 2, 0
    for value, error in some:
        total += value
        own = [value, *(error or 0).to_bytes(2, "big")] if exact == 1 else [value]
        wire += [*own, *bytes(-(at + len(own)) % 2)]
        at = len(wire)
    assert bytes(made) == bytes(wire)
    read = dissect(bytes(wire), holder)[holder]
    assert read.items == made.items and [one.total for one in read.items] == [sum(value for value, _ in some[: n + 1]) for n in range(len(some))]
    assert read.replace(exact=exact) == read and bytes(holder(exact=exact, items=read.items)) == bytes(wire)  # items that were read are written too


@given(long=st.integers(0, 2), kinds=st.lists(st.integers(0, 255), max_size=4), more=st.none() | st.integers(0, 65535))
def test_items_inside_a_transform_are_written_as_they_are_one_by_one(headers: Any, long: int, kinds: list[int], more: int | None) -> None:
    secret, inside = headers[4:]
    made = inside(long=long, some=[secret(kind=kind, more=more if long == 1 else None) for kind in kinds])
    wire = b"".join(bytes([kind]) + (5 if more is None else more).to_bytes(2, "big") * (long == 1) for kind in kinds)
    assert bytes(made) == bytes([long, len(wire), *(byte ^ 5 for byte in wire)])
    read = dissect(bytes(made), inside)[inside]
    assert read == made and [one.more for one in read.some] == [one.more for one in made.some] == [(5 if more is None else more) if long == 1 else None for _ in kinds]
    assert bytes(inside(long=long, some=read.some)) == bytes(made)


def test_numbers_that_what_is_inside_requires_follow_from_it(headers: Any) -> None:
    secret, inside = headers[4:]
    assert bytes(inside(some=[secret(more=7)]))[:2] == b"\1\3"
    assert inside(some=[secret(more=7)]).long == 1
    with pytest.raises(BuildError, match="a field that is there"):
        bytes(inside(long=0, some=[secret(more=7)]))
