"""Bytes that do not fit in the innermost of many headers: found where they are, in work that does not double with each level."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import pytest

from packetlab import (
    U8,
    Bytes,
    Header,
    Payload,
    Rest,
    auto,
    bindings,
    count_of,
    dissect,
    field,
    from_end,
    many,
    size_of,
    sized,
    text,
    through,
    xor,
)
from tests.careful import careful
from tests.growth import is_linear, steps


def made(name: str, base: Any = Header, *, named: dict[str, Any], given: dict[str, Any], **options: Any) -> Any:
    return type(name, (base,), {"__module__": __name__, "__annotations__": named, **given}, **options)


def one(level: int, inner: Any) -> Any:
    return made(f"L{level}", named={"k": U8, "a": inner}, given={})


def some(level: int, inner: Any) -> Any:
    given = {"k": auto(count_of("a")), "a": many(count=field("k"))}
    return made(f"L{level}", named={"k": U8, "a": tuple[inner, ...]}, given=given)


def chosen(level: int, inner: Any) -> Any:
    base = made(f"L{level}", named={"k": U8}, given={"k": 0})
    made(f"M{level}", base, named={"a": inner}, given={}, when={"k": 1})
    return base


def refined(level: int, inner: Any) -> Any:
    base = made(f"L{level}", named={"k": U8, "data": Rest}, given={"k": 0, "data": b""})
    made(f"M{level}", base, named={"a": inner}, given={}, inside="data", when={"k": 1})
    return base


def masked(level: int, inner: Any) -> Any:
    return made(f"L{level}", named={"k": U8, "a": inner}, given={"a": through(xor(b"\0"), sized(level + 2))})


@pytest.mark.parametrize(
    ("holds", "asks"),
    [
        (one, False),
        (some, False),
        (chosen, False),
        (refined, False),
        (masked, False),
        (one, True),
        (some, True),
        (chosen, True),
    ],
)
def test_work_does_not_double_with_each_level(holds: Callable[[int, Any], Any], asks: bool) -> None:
    """`asks`: the innermost has a rule that names a field of what holds it, so that it is read by its own reader."""

    def work(levels: int) -> int:
        with bindings():
            size = field("n") + field("^.k") - 1 if asks else field("n")
            top = made("L0", named={"n": U8, "a": Bytes}, given={"a": sized(size, b"")})
            for level in range(1, levels):
                top = holds(level, top)
            data = b"\1" * (levels - 1) + b"\x09ab"
            packet = dissect(data, top)
            assert packet.faults and bytes(packet) == data
            assert [str(fault) for fault in packet.faults] == [str(fault) for fault in careful(top, data)[1]]
            return steps(lambda: dissect(data, top))

    first, second, third = (work(levels) for levels in (4, 8, 16))
    assert third - second < 8 * (second - first)  # 2 where it grows with the levels, 4 with their square


def element(level: int = 0) -> Any:
    given = {"k": 0, "n": auto(size_of("data")), "data": b""}
    return made(f"E{level}", named={"k": U8, "n": U8, "data": Bytes}, given=given)


def in_list(base: Any) -> None:
    made("S", base, named={"a": tuple[base, ...]}, given={"a": many()}, inside="data", when={"k": 1})


def in_item(base: Any) -> None:
    item = made("I", named={"a": tuple[base, ...]}, given={"a": many()})
    made("S", base, named={"a": item}, given={}, inside="data", when={"k": 1})


def refined_again(base: Any) -> None:
    given = {"b": 127, "rest": b""}
    again = made("V", base, named={"b": U8, "rest": Rest}, given=given, inside="data", when={"k": 1})
    made("S", again, named={"a": tuple[base, ...]}, given={"a": many()}, inside="rest", when={"b": 127})


@pytest.mark.parametrize(
    ("refine", "unit"), [(in_list, b"\1\x7f"), (in_item, b"\1\x7f"), (refined_again, b"\1\x7f\x7f")]
)
def test_what_holds_its_own_sort_and_is_cut_takes_steps_in_proportion(refine: Callable[[Any], None], unit: bytes) -> None:
    with bindings():
        base = element()
        refine(base)
        for levels in (3, 12):
            packet = dissect(unit * levels, base)
            assert packet.faults and bytes(packet) == unit * levels
            assert [str(fault) for fault in packet.faults] == [str(fault) for fault in careful(base, unit * levels)[1]]
        is_linear(lambda data: dissect(data, base).faults, lambda levels: unit * levels, 5)


@pytest.mark.parametrize("inside", [True, False])
def test_lists_in_classes_that_take_others_apart_do_not_double(inside: bool) -> None:
    def work(levels: int) -> int:
        with bindings():
            top = base = element()
            for level in range(levels):
                base, item = element(level + 1), top
                if not inside:
                    item = made(f"I{level}", named={"a": tuple[top, ...]}, given={"a": many()})
                held = {"named": {"a": tuple[item, ...] if inside else item}, "given": {"a": many()} if inside else {}}
                made(f"S{level}", base, **held, inside="data", when={"k": 1})
                top = base
            return steps(lambda: (dissect(b"\1\x7f" * levels, top), dissect(b"\1\x7f" * levels, top).faults))

    first, second, third = (work(levels) for levels in (3, 6, 12))
    assert third - second < 8 * (second - first)


def test_faults_of_items_that_wait_are_those_of_what_takes_them_apart() -> None:
    with bindings():
        base = element()
        item = made("I", named={"t": Annotated[str, text(size=2)]}, given={})
        made("S", base, named={"a": tuple[item, ...]}, given={"a": many()}, inside="data", when={"k": 1})
        for raw in (b"\1\4ab\xff\xff", b"\1\2\xff\xff"):
            packet = dissect(raw, base)
            assert [fault.offset for fault in packet.faults] == [len(raw) - 2]
            assert "I.t" in str(packet.faults[0])
            assert packet.faults == tuple(careful(base, raw)[1]) and bytes(packet) == raw


@pytest.mark.parametrize("single", [True, False])
def test_faults_of_headers_after_a_payload_are_found(single: bool) -> None:
    with bindings():

        class Tail(Header):
            size: U8 = auto(size_of("text"))
            text: Bytes = b""

        def ended(name: str, **options: Any) -> Any:
            end = sized(field("many"), Tail()) if single else many(size=field("many"), value=(Tail(),))
            named = {"kind": U8, "body": Payload, "end": Tail if single else tuple[Tail, ...], "many": U8}
            return made(name, named=named, given={"kind": 0, "end": end, "many": from_end(1, auto(size_of("end")))}, **options)

        outer = ended("Ended")
        inner = ended("Within", under=outer, when={"kind": 0})
        sound = bytes(outer(end=Tail(text=b"xy") if single else [Tail(text=b"xy")]) / inner() / b"hello")
        assert not dissect(sound, outer).faults and sound.hex() == "00 00 68656c6c6f 00 01 02 7879 03".replace(" ", "")
        for at, number, layer, offset in ((9, 9, "Ended", 10), (7, 3, "Within", 8)):
            spoilt = sound[:at] + bytes([number]) + sound[at + 1 :]
            (fault,) = dissect(spoilt, outer).faults
            assert (fault.layer, fault.field, fault.offset) == (layer, "end", offset) and bytes(dissect(spoilt, outer)) == spoilt
