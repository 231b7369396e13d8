"""Kaitai's expression language, and what of it becomes rules; checked by a reader of the same expressions that is Python's own."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, strategies as st

from packetlab import DeclareError, bindings, import_ksy
from packetlab.schema.ksy.expressions import KsyNode, parse

NUMBERS = st.integers(0, 40).map(lambda number: (str(number), str(number)))
SIGNS = ["+", "-", "*", "&", "|", "^", "==", "!=", "<", "<=", ">", ">=", "and", "or", "/", "%", "<<"]
Both = tuple[str, str]
"""An expression as Kaitai has it, and as Python has it."""


def made(parts: st.SearchStrategy[Both]) -> st.SearchStrategy[Both]:
    def sign(first: Both, sign: str, other: Both) -> Both:
        pair = [f"{one} {sign} {two}" for one, two in zip(first, other, strict=True)]
        return f"({pair[0]})", f"({pair[1].replace(' / ', ' // ')})"

    def bare(first: Both, sign: str, other: Both) -> Both:
        python = f"{first[1]} {'//' if sign == '/' else sign} {other[1]}"
        return f"{first[0]} {sign} {other[0]}", python

    low = st.sampled_from(["+", "-", "*", "&", "|", "^", "<<", "and", "or", "/", "%"])
    return (
        st.builds(sign, parts, st.sampled_from(SIGNS), parts)
        | st.builds(bare, NUMBERS, low, NUMBERS)
        | st.tuples(parts, parts, parts).map(
            lambda p: (f"({p[0][0]} ? {p[1][0]} : {p[2][0]})", f"(({p[1][1]}) if ({p[0][1]}) else ({p[2][1]}))")
        )
        | parts.map(lambda p: (f"(not {p[0]})", f"(not {p[1]})"))
        | parts.map(lambda p: (f"(-({p[0]}))", f"(-({p[1]}))"))
    )


def value(node: KsyNode) -> int:
    """Work out an expression of numbers."""
    parts = [value(part) for part in node.parts]
    match node.word, parts:
        case "number", []:
            return int(str(node.value))
        case "choose", [condition, yes, no]:
            return yes if condition else no
        case "not", [one]:
            return int(not one)
        case "-", [one]:
            return -one
        case "and", [one, other]:
            return one and other
        case "or", [one, other]:
            return one or other
        case "/", [one, other]:
            return one // other
        case "<<", [one, other]:
            return one << other
        case sign, [one, other]:
            return int(eval(f"({one}) {sign} ({other})"))
    raise AssertionError(node)


@given(st.recursive(NUMBERS, made, max_leaves=8))
def test_levels_are_those_of_python(both: Both) -> None:
    try:
        expected = eval(both[1])
    except (ZeroDivisionError, ValueError, OverflowError, MemoryError):
        return
    assert int(value(parse(both[0], "here"))) == int(expected)


@pytest.mark.parametrize(
    "text",
    ["", "1 +", "(1", "a b", "1 ? 2", "a.", "a::", "1..2", "[1, 2", "'text", "a(1)", "0x", "1" * 300, "(" * 40 + "1" + ")" * 40, "- " * 40 + "1",
     "1" + " + 1" * 40, "a" + ".b" * 40, "a" * 5000, "\x00", "a; b", "__import__('os')"],
)  # fmt: skip
def test_what_is_no_expression_is_refused_with_its_place(text: str) -> None:
    with pytest.raises(DeclareError) as caught:
        found = parse(text, "some.ksy:3")
        assert found.word == "call"  # reads as one, and is refused where it is to be a rule
        raise DeclareError("some.ksy:3: call")
    assert str(caught.value).startswith("some.ksy:3")


FORMAT = """
meta:
  id: some
  endian: be
seq:
  - id: kind
    type: u1
    enum: kinds
  - id: bits
    type: b4
  - id: flag
    type: b1
  - id: rest
    type: b3
  - id: more
    type: inner
  - id: body
    size: |-
      {}
enums:
  kinds:
    1: one
    2: two
types:
  inner:
    seq:
      - id: number
        type: u2
    instances:
      twice:
        value: number * 2
"""


@pytest.mark.parametrize(
    ("said", "rule"),
    [
        ("kind == kinds::two ? 4 : more.number", 'choose(field("kind") == 2, 4, field("more_number"))'),
        ("more.twice", 'field("more_twice")'),
        ("flag.to_i + 1", 'field("flag") + 1'),
        ("(bits + 3) / 4 % 7", '((field("bits_") + 3) // 4) % 7'),
        ("not flag ? 1 : 2", 'choose(field("flag") == 0, 1, 2)'),
        ("flag and bits > 3 ? 1 : 2", 'choose(field("flag") & (field("bits_") > 3), 1, 2)'),
        ("bits or flag ? 1 : 2", 'choose((field("bits_") != 0) | field("flag"), 1, 2)'),
        ("2 * 3 + bits", '6 + field("bits_")'),
        ("more.number & 0b1111_1111", 'field("more_number") & 255'),
        ("_root.bits", 'field("bits_")'),
    ],
)
def test_expressions_become_rules(tmp_path: Any, said: str, rule: str) -> None:
    path = tmp_path / "some.ksy"
    path.write_text(FORMAT.format(said))
    source = str(import_ksy(path))
    assert f"body: Bytes = sized({rule})" in source


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ("more", r"some\.ksy:18: some\.body, size: expected a number, got more, which is none"),
        ("more.nothing", r":18: some\.body, size: expected a field that is there, got nothing"),
        ("nothing", r":18: some\.body, size: expected a field that is there, got nothing"),
        ("kinds::three", r":18: .*expected a name in kinds, got three"),
        ("others::one", r":18: .*expected an enum that is there, got others"),
        ('"text"', r":18: .*expected numbers of fields, since rules know nothing else, got a text"),
        ("more.number.to_s", r":18: .*expected"),
        ("_io.pos", r":18: .*expected numbers of fields, since rules know nothing else, got _io"),
        ("body.length", r":18: .*expected"),
        ("[1, 2][0]", r":18: .*got an item of a list"),
        ("_parent.x", r":18: .*expected a type that holds this one, got none"),
        ("more.number.f(1)", r":18: .*got f\(\.\.\.\)"),
        ("0 - 5", r":18: .*expected a size of up to 65536 bytes, got -5"),
    ],
)
def test_what_no_rule_can_say_is_refused_with_its_line(tmp_path: Any, said: str, error: str) -> None:
    path = tmp_path / "some.ksy"
    path.write_text(FORMAT.format(said))
    with bindings(), pytest.raises(DeclareError, match=error):
        import_ksy(path)
