"""Fields inside a field that a class takes apart are fields as others: None for absent, their states, and what a class is called with."""

import inspect

import pytest

from packetlab import U8, Bytes, DeclareError, Header, auto, bindings, computed, dissect, field, left, size_of, when


def test_a_field_inside_may_be_none_and_has_a_state() -> None:
    with bindings():

        class Apart(Header):
            kind: U8 = 0
            length: U8 = auto(size_of("self"))
            data: Bytes = b""

        class Parts(Apart, inside="data", when={"kind": 10}):
            one: U8 = 1
            two: U8 | None = when(left())

        assert bytes(Parts(two=None)) == bytes(Parts()) == bytes.fromhex("0a0301")
        read = dissect(bytes(Parts(two=2)), Apart)[Parts]
        assert read.replace(two=None).two is None and bytes(read.replace(two=None, length=auto)) == bytes(Parts())
        assert (Header.state(Parts(one=5), "one"), Header.state(Parts(one=5), "two")) == ("given", "auto")
        assert Header.state(read, "one") == "captured" and Header.state(read, "kind") == "captured"
        with pytest.raises(DeclareError, match="no such name"):
            Header.state(read, "three")


def test_a_computed_field_is_not_required() -> None:
    with bindings():

        class Following(Header):
            a: U8 = 0
            k: int = computed(field("a") + 1)

        inspect.signature(Following).bind()
        assert str(inspect.signature(Following)) == "(*, a: int = auto, k: int = auto)"
        assert Following().k == 1
