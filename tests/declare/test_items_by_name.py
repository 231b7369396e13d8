"""Classes that are only items, where a header of a packet is meant: the way to their fields is named, in columns and labels as in filters; a port is a number."""

import pytest

from packetlab import (
    U8,
    U16,
    UDP,
    BuildError,
    Bytes,
    Capture,
    DeclareError,
    Ether,
    Header,
    auto,
    bindings,
    many,
    size_of,
)


def test_columns_and_labels_of_an_item_say_how_to_ask() -> None:
    with bindings():

        class Option(Header):
            kind: U8 = 0
            length: U8 = auto(size_of("data"))
            data: Bytes = b""

        class Size(Option, inside="data", when={"kind": 2}, label="of {value}"):
            value: U16 = 0

        class Hello(Header, under=Ether, when={"type": 0x7ABC}, label="with {first}"):
            first: Option = Option()
            size: U8 = auto(size_of("options"))
            options: tuple[Option, ...] = many()

        capture = Capture.of([Ether() / Hello(first=Size(value=4), options=[Size(value=5)])])
        with pytest.raises(BuildError, match=r'column Size: expected a header of a packet, got an item of Hello\.first \(ask for its fields in words: "hello\.first\.size\.value"'):
            capture.table("size.value")
        assert capture.table("hello.first.size.value", "hello.options.size.value").read().text("hello.options.size.value") == ["5"]
        assert "with Size of 4" in capture[0].packet().summary()
        for name in ("value", "size"):
            with pytest.raises(DeclareError, match=rf"Other, label: expected a field of Option, got {name} \(\{{first\}} shows what label= of Size says\)"):
                type(Header)("Other", (Header,), {"__annotations__": {"first": Option}, "first": Option()}, label=f"{{first.{name}}}")


@pytest.mark.parametrize("port", [True, (7, True)])
def test_a_port_is_no_truth_value(port: object) -> None:
    with bindings(), pytest.raises(DeclareError, match=r"Wrong under UDP, port=: expected a port, or several"):
        type(Header)("Wrong", (Header,), {"__annotations__": {"a": U8}, "a": 0}, under=UDP, port=port)
