"""Headers of many fields: making the class takes steps in proportion, from a class body, a call and a file alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import pytest

from packetlab import U8, U16, Bytes, DeclareError, Header, auto, bindings, bits, field, pad, size_of, when
from packetlab.schema.dump import described
from packetlab.schema.load import declare_from
from tests.growth import is_linear

Body = tuple[dict[str, Any], dict[str, Any]]


def plain(n: int) -> Body:
    return {f"f{i}": U16 for i in range(n)}, {}


def shared_bytes(n: int) -> Body:
    """No field but the last ends where a byte does."""
    return {"first": Annotated[int, bits(4)], **{f"f{i}": U8 for i in range(n)}, "last": Annotated[int, bits(4)]}, {}


def sizes_of_self(n: int) -> Body:
    return {f"f{i}": U16 for i in range(n)}, {f"f{i}": auto(size_of("self") + i) for i in range(n)}


def sizes_of_others(n: int) -> Body:
    names = {f"n{i}": U8 for i in range(n)} | {f"f{i}": Bytes for i in range(n)}
    return names, {f"n{i}": auto(size_of(f"f{i}")) for i in range(n)}


def chain(n: int) -> Body:
    return {f"f{i}": U16 for i in range(n)}, {f"f{i}": auto(field(f"f{i - 1}") & 7) for i in range(1, n)}


def conditions(n: int) -> Body:
    return {"flags": U16, **{f"f{i}": U16 | None for i in range(n)}}, {
        f"f{i}": when(field("flags") > i) for i in range(n)
    }


def padded(n: int) -> Body:
    return {f"f{i}": Bytes for i in range(n)}, {f"f{i}": pad(4) for i in range(n)}


def made(body: Body, base: type = Header) -> type:
    annotations, values = body
    return type(Header)("Many", (base,), {"__annotations__": annotations, "__module__": __name__, **values})


SHAPES = [plain, shared_bytes, sizes_of_self, sizes_of_others, chain, conditions, padded]


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES, ids=lambda one: one.__name__)
def test_a_class_of_many_fields_takes_steps_in_proportion(shape: Callable[[int], Body]) -> None:
    is_linear(made, shape, 24)


# One out of a file is tried as well; to build a field that is padded all before it is measured, for each again.
@pytest.mark.slow
@pytest.mark.parametrize("shape", [one for one in SHAPES if one is not padded], ids=lambda one: one.__name__)
def test_a_declaration_of_many_fields_out_of_a_file_takes_steps_in_proportion(shape: Callable[[int], Body]) -> None:
    def data(count: int) -> list[dict[str, Any]]:
        with bindings():
            return [{**one, "name": f"Many{count}"} for one in described([made(shape(count))])]

    def declared(some: list[dict[str, Any]]) -> None:
        with bindings():
            declare_from(some)

    is_linear(declared, data, 16)


def test_circles_through_sizes_are_named_by_their_fields() -> None:
    body = (
        {"size": U16, "data": Bytes, "more": Bytes},
        {"size": auto(size_of("self")), "data": pad(4), "more": pad(4)},
    )
    assert made(body)._fields[2].pad == 4
    body = {"a": U16, "b": U16}, {"a": auto(field("b")), "b": auto(field("a"))}
    with pytest.raises(DeclareError, match="a -> b -> a"):
        made(body)
