"""label=: what a header is, in one line, wherever packets are shown."""

from __future__ import annotations

import json
from collections.abc import Iterator
from enum import IntEnum
from typing import Annotated, Any

import pytest
from hypothesis import given, strategies as st

from packetlab import (
    U4,
    U8,
    U16,
    UDP,
    Bytes,
    Capture,
    DeclareError,
    Ether,
    Frame,
    Header,
    IPv4,
    Named,
    Text,
    any_value,
    auto,
    bindings,
    bits,
    computed,
    count_of,
    declare_from,
    default,
    describe,
    dissect,
    field,
    ladder,
    many,
    size_of,
    when,
)  # fmt: skip
from packetlab.packet.text import label_text
from packetlab.schema.source import class_body
from tests.view.cells import html_of
from tests.view.hostile import ALL, check_harmless, check_printable


class Operation(IntEnum):
    READ = 1
    WRITE = 2


@pytest.fixture
def declared() -> Iterator[dict[str, Any]]:
    with bindings():

        class Mark(Header):
            colour: U8 = 7

        class Option(Header, label="{kind}={data}"):
            kind: U8
            length: U8 = auto(size_of("self"))
            data: Bytes = b""

        class Block(Option, inside="data", when={"kind": 2}, label="of {size} bytes"):
            size: U16

        class Wish(
            Header, under=UDP, port=17371, label="{op} {name} {{{id:#06x}}} {mark.colour:02d}{extra} twice {double}"
        ):
            op: Annotated[Named[Operation], bits(16)] = default(Operation.READ)
            id: U16 = 7
            length: U8 = auto(size_of("name"))
            name: Bytes = b""
            mark: Mark = Mark()
            count: U8 = auto(count_of("options"))
            options: tuple[Option, ...] = many()
            double: int = computed(field("id") * 2)
            extra: U8 | None = when(field("id") == 9, 0)

        yield {"Option": Option, "Block": Block, "Wish": Wish}


def packet(declared: dict[str, Any], **values: Any) -> Any:
    options = [declared["Option"](kind=9, data=b"ab\n"), declared["Block"](size=512)]
    wish = declared["Wish"](**{"name": b"boot.img", "options": options, **values})
    return Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=9) / wish


def test_summary_show_ladder_table_and_html_say_it(declared: dict[str, Any]) -> None:
    said = "Wish READ boot.img {0x0007} 07 twice 14"
    for made in (packet(declared), dissect(bytes(packet(declared)))):
        assert made.summary() == f"Ether / IPv4 / UDP / {said}"
        lines = str(made.show()).splitlines()
        assert said in lines and "    [0] Option 9=b'ab\\n'" in lines and "    [1] Block of 512 bytes" in lines
        assert f"{said} on UDP" in str(ladder([made]))
        assert "READ boot.img {0x0007} 07 twice 14" in html_of(made)
        capture = Capture.of([Frame(bytes(made))])
        assert said in html_of(capture)
        assert capture.table("wish.options").read().text("wish.options") == ["Option 9=b'ab\\n', Block of 512 bytes"]


def test_a_field_that_is_absent_says_nothing_and_a_default_counts(declared: dict[str, Any]) -> None:
    wish = declared["Wish"]
    assert label_text(wish(id=9, extra=3, op=2)) == "WRITE {0x0009} 073 twice 18"
    assert (Ether() / wish(name=any_value)).summary() == "Ether / Wish READ any_value {} 07 twice"
    whole = bytes(wish(name=b"boot.img"))
    for end in range(len(whole)):
        check_printable(dissect(whole[:end], wish).summary())


def test_it_travels_and_is_taken_after(declared: dict[str, Any]) -> None:
    wish = declared["Wish"]
    data = json.loads(json.dumps(describe(wish)))
    assert data["label"] == wish._declaration.label and f"label={wish._declaration.label!r}" in class_body(data)

    class Own(wish):  # type: ignore[misc, valid-type]
        pass

    class Silent(wish, label=""):  # type: ignore[misc, valid-type]
        pass

    assert label_text(Own()) == label_text(wish()) and label_text(Silent()) == ""
    with bindings():
        (again,) = declare_from(
            {"name": "Elsewhere", "fields": [{"name": "a", "kind": "int", "bits": 8}], "label": "is {a}"}
        )
        assert label_text(again(a=4)) == "is 4"


def test_a_number_that_names_what_follows_says_that_name() -> None:
    with bindings():

        class Lower(Header, label="before {next} at {high:x}"):
            high: U4 = 10
            low: U4 = 0
            next: U8 = 0

        class Upper(Header, under=Lower, when={"next": 6}):
            x: U8 = 0

        assert (Lower() / Upper()).summary() == "Lower before Upper at a / Upper"
        assert (Lower(next=9) / b"").summary() == "Lower before 9 at a"


@pytest.mark.parametrize(
    ("label", "complaint"),
    [
        ("{nam}", "expected a field of X, got nam (did you mean 'name'"),
        ("{}", "a field of X, got nothing"),
        ("{name", "expected fields in braces"),
        ("name}", "expected fields in braces"),
        ("{name!r}", "got {name!r}"),
        ("{kind:>999999999}", "got {kind:>999999999}"),
        ("{kind:{kind}}", "expected fields in braces"),
        ("{name.__class__}", "a field that is a header, or a field alone"),
        ("{name[0]}", "a field of X"),
        ("{name:d}", "a number field for :d"),
        ("x" * 1001, "1000 letters at most"),
        (b"{name}", "a text of"),
        (7, "a text of"),
    ],
)
def test_what_is_no_label_is_refused_at_the_class(label: Any, complaint: str) -> None:
    with bindings(), pytest.raises(DeclareError) as caught:

        class X(Header, label=label):
            kind: U8 = 0
            length: U8 = auto(size_of("name"))
            name: Bytes = b""

    assert str(caught.value).startswith("X, label: ") and complaint in str(caught.value)


@pytest.mark.parametrize("hostile", [*ALL, "\n\r\x1b[31m"])
def test_hostile_labels_and_values_do_nothing(hostile: str) -> None:
    with bindings():
        words = hostile.replace("{", "{{").replace("}", "}}")

        class Note(Header, under=UDP, port=17373, label=f"{words} {{text}} {{data}}"):
            size: U8 = auto(size_of("text"))
            text: Text = ""
            length: U8 = auto(size_of("data"))
            data: Bytes = b""

        made = Ether() / IPv4() / UDP() / Note(text=hostile, data=hostile.encode())
        found = dissect(bytes(made))
        check_printable(found.summary())
        check_printable(str(ladder([found])))
        check_printable(str(found.show()))
        check_harmless(html_of(found))
        check_harmless(html_of(Capture.of([Frame(bytes(found))])))
        check_harmless(ladder([found])._html())


@given(st.binary(max_size=40))
def test_any_bytes_have_a_line(data: bytes) -> None:
    with bindings():

        class Any(Header, label="{size:x} {text} {data}"):
            size: U8 = auto(size_of("text"))
            text: Text = ""
            length: U8 = auto(size_of("data"))
            data: Bytes = b""

        check_printable(dissect(data, Any).summary())
