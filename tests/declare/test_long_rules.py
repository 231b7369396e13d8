"""Rules and declarations of any length: no limit of Python's on nesting shows, and the work grows in proportion."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from packetlab import (
    U8,
    U16,
    U32,
    U64,
    UDP,
    Bytes,
    Capture,
    DeclareError,
    Ether,
    Header,
    auto,
    bind,
    bindings,
    choose,
    dissect,
    field,
    size_of,
    sized,
    when,
)
from packetlab.capture.frame import Frame
from packetlab.codec.faults import Dissection
from packetlab.codec.lenient import walk
from packetlab.export.wireshark.rules import condition
from packetlab.schema.dump import describe
from tests.growth import is_linear

MANY = 5000


def made(**body: Any) -> Any:
    """Make a header class by a call: each field as its annotation, or as (annotation, right-hand side)."""
    annotations = {one: said[0] if isinstance(said, tuple) else said for one, said in body.items()}
    values = {one: said[1] for one, said in body.items() if isinstance(said, tuple)}
    place = {"__module__": __name__, "__qualname__": "Long", "__annotations__": annotations}
    return type(Header)("Long", (Header,), {**place, **values})


def one_of_many(n: int) -> Any:
    rule = field("a") == 1
    for i in range(n):
        rule = rule | (field("a") == i)
    return rule


def alternatives(n: int) -> Any:
    return made(a=(U16, 0), b=(U8, when(one_of_many(n), 0)))


def left_sum(n: int) -> Any:
    rule: Any = field("a")
    for _ in range(n):
        rule = rule + field("a")
    return made(a=(U16, 0), b=(U32, auto(rule)))


def right_sum(n: int) -> Any:
    rule: Any = field("a")
    for _ in range(n):
        rule = field("a") + rule
    return made(a=(U16, 0), b=(U32, auto(rule)))


def sum_with_a_size(n: int) -> Any:
    rule: Any = size_of("x")
    for _ in range(n):
        rule = rule + field("a")
    return made(a=(U8, 0), b=(U32, auto(rule)), x=(Bytes, b"abc"))


def table_of_choices(n: int) -> Any:
    rule: Any = field("a")
    for i in range(n):
        rule = choose(field("a") == i, i, rule)
    return made(a=(U8, 0), x=(Bytes, sized(rule, b"")))


def chain_of_rules(n: int) -> Any:
    rules = {f"f{i}": (U32, auto(field(f"f{i + 1}" if i < n - 1 else "a") + 1)) for i in range(n)}
    return made(a=(U8, 1), **rules)


def options(n: int) -> Any:
    some = {f"f{i}": (U8, when((field("a") >> (i % 64)) & 1, 0)) for i in range(n)}
    return made(a=(U64, 0), **some, length=(U16, auto(size_of("self"))))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "values"),
    [(alternatives, {"a": 5, "b": 3}), (left_sum, {"a": 5}), (right_sum, {"a": 5}), (sum_with_a_size, {"a": 1, "x": b"ab"}), (table_of_choices, {"a": 3, "x": b"abc"})],
)  # fmt: skip
def test_a_rule_of_thousands_of_terms_compiles_and_runs(make: Callable[[int], Any], values: dict[str, Any]) -> None:
    cls = make(MANY)
    data = bytes(cls(**values))
    packet = dissect(data, first=cls)
    assert not packet.faults and {name: getattr(packet.layers[0], name) for name in values} == values
    for cut in (len(data), len(data) - 1):
        seen, careful = Dissection(), Dissection()
        assert cls._decode(data[:cut], 0, cut, seen) == walk(cls._declaration, data[:cut], 0, cut, careful)
        assert seen.faults == careful.faults
    assert all(str(rule) for f in cls._fields for rule in (f.rule, f.condition, f.size) if rule is not None)


@pytest.mark.slow
@pytest.mark.parametrize(("make", "n"), [(chain_of_rules, 1200), (options, 2000)])
def test_thousands_of_fields_with_rules_compile_and_run(make: Callable[[int], Any], n: int) -> None:
    cls = make(n)
    data = bytes(cls(a=4))
    packet = dissect(data, first=cls)
    assert not packet.faults and packet.layers[0] == cls(a=4)._resolved_alone()


@pytest.mark.slow
@pytest.mark.parametrize("make", [alternatives, left_sum, right_sum, sum_with_a_size, table_of_choices, chain_of_rules, options])  # fmt: skip
def test_long_rules_take_steps_in_proportion(make: Callable[[int], Any]) -> None:
    def use(n: int) -> None:
        cls = make(n)
        dissect(bytes(cls(a=3, **({"x": b"abc"} if make is table_of_choices else {}))), first=cls)

    is_linear(use, lambda n: n, 30)


@pytest.mark.slow
def test_columns_of_a_header_with_a_long_condition_are_those_of_its_objects() -> None:
    with bindings():

        class Listed(Header, under=Ether, when={"type": 0x88B5}):
            a: U16 = 0
            b: U8 | None = when(one_of_many(1000), 0)
            c: U8 = 0

        packets = [Ether() / Listed(a=a, c=7) for a in (3, 999, 1000, 60000)]
        table = Capture.of([Frame(bytes(packet)) for packet in packets]).table("listed.a", "listed.c")
        assert table["listed.a"].tolist() == [3, 999, 1000, 60000] and table["listed.c"].tolist() == [7] * 4


def test_a_thousand_conditions_under_one_header_lead_where_they_say() -> None:
    def conditions(n: int) -> None:
        with bindings():
            for i in range(n):
                bind(
                    made(a=(U8, i % 256)),
                    under=UDP,
                    when=(field("sport") == 30000 + i) & (field("dport") != 0),
                    sets={"dport": 1},
                )
            last = dissect(bytes(UDP(sport=30000 + n - 1, dport=1) / b"x"), first=UDP).layers[-1]
            assert type(last).__name__ == "Long"
            assert bytes(UDP(sport=1, dport=2) / b"x")

    conditions(300)


def test_what_has_no_form_for_so_deep_a_rule_says_so() -> None:
    cls = alternatives(1000)
    with pytest.raises(DeclareError, match="a rule in a file: expected 32 levels at most, got 100"):
        describe(cls)
    with pytest.raises(Exception, match="a rule for Wireshark: expected 150 levels at most, got 100"):
        condition(cls._declaration.fields[1].condition, cls._declaration)


E_ = field("a")


@pytest.mark.parametrize(
    ("rule", "value"),
    [
        (E_ + 3, 8), (3 + E_, 8), (E_ - 3, 2), (9 - E_, 4), (E_ * 3, 15), (3 * E_, 15), (E_ // 2, 2), (11 // (E_ + 1), 1),
        (E_ % 3, 2), (13 % (E_ + 1), 1), (E_ << 1, 10), (1 << (E_ & 7), 32), (E_ >> 1, 2), (64 >> (E_ & 7), 2),
        (E_ & 6, 4), (6 & E_, 4), (E_ | 8, 13), (8 | E_, 13), (E_ ^ 1, 4), (1 ^ E_, 4), (20 - -E_, 25), (~E_ & 255, 250),
        (E_ < 6, 1), (E_ >= 6, 0), (E_ == 5, 1), (E_ != 5, 0),
    ],
    ids=str,
)  # fmt: skip
def test_a_number_may_stand_on_either_side_of_every_operator(rule: Any, value: int) -> None:
    cls = made(a=(U8, 0), b=(U16, auto(rule)), c=(U8, when(rule == value, 7)))
    assert bytes(cls(a=5)) == bytes([5]) + value.to_bytes(2, "big") + b"\7"
    with bindings():
        bind(cls, under=Ether, when={"type": 0x88B5})
        table = Capture.of([Frame(bytes(Ether() / cls(a=5)))]).table("long.c")
        assert table["long.c"].tolist() == [7]


def test_a_number_that_may_be_0_divides_where_the_rule_says_what_then() -> None:
    class Rows(Header):
        width: U8 = 0
        count: U8 = auto(size_of("data") // choose(field("width"), field("width"), 1))
        data: Bytes = sized(field("count") * field("width"), b"")

    assert bytes(Rows(width=3, data=b"abcdef")) == b"\3\2abcdef"
    assert dissect(b"\3\2abcdef", Rows)[Rows].data == b"abcdef"
    assert bytes(Rows()) == bytes(dissect(b"\0\0", Rows)) == b"\0\0"
