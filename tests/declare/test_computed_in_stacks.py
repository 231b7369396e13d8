"""Headers with values that are not in the bytes, read by the function of their stack: the same as header by header."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, strategies as st

from packetlab import U4, U8, Header, auto, bindings, choose, computed, dissect, field, next_protocol, when
from packetlab.codec.stacks import stack_decoders
from packetlab.protocols.dissect import dissected


@pytest.fixture(autouse=True, scope="module")
def scoped() -> Iterator[None]:
    with bindings():
        yield


@pytest.fixture(scope="module")
def lower() -> Any:
    class WithStep(Header):
        first: U4 = auto(choose(field("step") < 13, field("step"), 13))
        kind: U4 = auto(next_protocol("steps", otherwise=0))
        more: U8 | None = when(field("first") == 13, auto(field("step") - 13))
        step: int = computed(choose(field("first") < 13, field("first"), field("more") + 13))

    class AboveStep(Header, under=WithStep, when={"kind": 7}):
        low: U8 = 0
        twice: int = computed(field("low") * 2)

    for step in (5, 200):
        for _ in range(100):
            assert dissect(bytes(WithStep(step=step) / AboveStep(low=9)), WithStep)[AboveStep].twice == 18
    assert WithStep in stack_decoders
    return WithStep


@given(data=st.binary(max_size=5) | st.binary(min_size=1, max_size=3).map(lambda rest: bytes([rest[0] & 0xF0 | 7]) + rest))
def test_the_same_as_header_by_header(lower: Any, data: bytes) -> None:
    packet, slow = dissect(data, lower), dissected(data, lower, None)
    assert packet.layers == slow.layers and packet.faults == slow.faults and packet.payload == slow.payload
    assert [packet.layers[0].step, bytes(packet)] == [slow.layers[0].step, data]
