"""Lists whose items go by what stands around them are written by one function: the same bytes, and the same errors, as item by item."""

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
    size_of,
    when,
)
from packetlab.codec.around import writing


@pytest.fixture(autouse=True, scope="module")
def scoped() -> Iterator[None]:
    with bindings():
        yield


class AtOnceItem(Header):
    delta: U8 = 0
    size: U8 = auto(size_of("text"))
    number: int = computed(before("number") + field("delta"))
    wide: U16 | None = when(field("^.wide") == 1, 7)
    same: U8 = auto(before("same") + 1)
    text: Bytes = b""


class AtOnce(Header):
    wide: U8 = 0
    count: U8 = auto(count_of("items"))
    items: tuple[AtOnceItem, ...] = many()


ITEMS = st.fixed_dictionaries({}, optional={
    "delta": st.integers(0, 3), "number": st.integers(0, 9), "wide": st.integers(0, 9), "same": st.integers(0, 255), "text": st.binary(max_size=3),
})  # fmt: skip


def outcome(header: AtOnce) -> object:
    try:
        return bytes(header)
    except BuildError as error:
        return str(error)


@given(wide=st.integers(0, 1), items=st.lists(ITEMS, max_size=5), read=st.booleans())
def test_all_items_at_once_and_one_by_one(wide: int, items: list[dict[str, Any]], read: bool) -> None:
    made = [AtOnceItem(**one) for one in items]
    if read:
        made.append(dissect(b"\1\1\1\1\0\5ca", AtOnce)[AtOnce].items[0])
    header = AtOnce(wide=wide, items=made)
    at_once = outcome(header)
    assert writing._writers[AtOnce._by_name["items"]] is not None or not made
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(writing._writers, AtOnce._by_name["items"], None)
        assert outcome(header) == at_once
