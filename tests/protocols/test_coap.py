"""CoAP (RFC 7252): option numbers as sums of deltas, lengths in three forms, options typed by their number."""

from __future__ import annotations

from typing import Annotated, Any

import pytest

from packetlab import (
    U2,
    U3,
    U4,
    U5,
    U8,
    U16,
    UDP,
    Bytes,
    Ether,
    Header,
    IPv4,
    Text,
    auto,
    before,
    choose,
    computed,
    dissect,
    field,
    many,
    must,
    size_of,
    sized,
    sized_int,
    when,
)
from tests.protocols.oracle import Ask, alike, cut, sound, spoilt
from tests.protocols.reading import of
from tests.protocols.scope import Scope

with (scope := Scope()):

    def by_size(number: Any) -> Any:
        """A nibble: the number itself, or how many bytes have the rest of it."""
        return choose(number < 13, number, choose(number < 269, 13, 14))

    def of_forms(name: str) -> Any:
        """The number that a nibble and the bytes after it make."""
        nibble, one, two = field(name), field(f"{name}8"), field(f"{name}16")
        return choose(nibble < 13, nibble, choose(nibble == 13, one + 13, choose(nibble == 14, two + 269, 0)))

    class Item(Header):
        """An option, or the marker that stands between options and a payload (section 3)."""

        delta: U4 = 15
        length: U4 = must((field("delta") == 15) == (field("length") == 15), 15)  # 15 is reserved elsewhere (section 3.1)

    class Marker(Item, when={"delta": 15}):
        pass

    class Option(Item, when=field("delta") != 15):
        delta = auto(by_size(field("step")))
        length = auto(by_size(size_of("value")))
        delta8: U8 | None = when(field("delta") == 13, auto(field("step") - 13))
        delta16: U16 | None = when(field("delta") == 14, auto(field("step") - 269))
        step: int = computed(of_forms("delta"))
        number: int = computed(before("number") + field("step"))
        length8: U8 | None = when(field("length") == 13, auto(size_of("value") - 13))
        length16: U16 | None = when(field("length") == 14, auto(size_of("value") - 269))
        size: int = computed(of_forms("length"))
        value: Bytes = sized(field("size"), b"")

    class Words(Option, inside="value", when=field("number").one_of(3, 8, 11, 15, 20, 35, 39)):
        """Uri-Host, Location-Path, Uri-Path, Uri-Query, Location-Query, Proxy-Uri, Proxy-Scheme."""

        words: Text = ""

    class Number(Option, inside="value", when=field("number").one_of(6, 7, 12, 14, 17, 60)):
        """Observe, Uri-Port, Content-Format, Max-Age, Accept, Size1."""

        amount: Annotated[int, sized_int()] = 0

    class CoAP(Header, under=UDP, when={"port": 5683}):
        version: U2 = 1
        type: U2 = 0
        token_size: U4 = auto(size_of("token"))
        code_class: U3 = 0
        code: U5 = 1
        id: U16 = 0
        token: Bytes = b""
        options: tuple[Item, ...] = many(until=field("delta") == 15)


READINGS = {
    "coap.type": of(CoAP, lambda h: h.type),
    "coap.code": of(CoAP, lambda h: h.code_class << 5 | h.code),
    "coap.mid": of(CoAP, lambda h: h.id),
    "coap.token": of(CoAP, lambda h: h.token or None),
    "coap.opt.uri_path": of(
        CoAP, lambda h: [one.words for one in h.options if isinstance(one, Words) and one.number == 11]
    ),
    "coap.opt.uri_host": of(
        CoAP, lambda h: [one.words for one in h.options if isinstance(one, Words) and one.number == 3]
    ),
    "coap.opt.max_age": of(
        CoAP, lambda h: [one.amount for one in h.options if isinstance(one, Number) and one.number == 14]
    ),
    "coap.payload_length": lambda p: [len(p.payload)] if CoAP in p and p.payload else [],
}


def test_tshark_reads_what_we_build(tshark: Ask) -> None:
    below = Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=5683, dport=5683)
    end = Marker()
    made = [
        below / CoAP(id=1),
        below / CoAP(id=2, token=b"12345678", options=(Words(number=11, words="a"), Words(number=11, words="b" * 300))),
        below / CoAP(id=2, options=(Words(number=3, words="lab"), Words(number=11, words="b" * 20), end)) / b"hello",
        below
        / CoAP(
            options=(Number(number=14, amount=70000), Number(number=60, amount=0), Option(number=2048, value=b"x"), end)
        )
        / b"hello",
    ]
    sound(alike(tshark, made, READINGS), CoAP)


def test_option_numbers_are_sums_of_deltas() -> None:
    made = CoAP(options=(Words(number=3, words="lab"), Words(number=11), Number(number=60), Option(number=2048)))
    read = dissect(bytes(made), CoAP)[CoAP]
    options = [one for one in read.options if isinstance(one, Option)]
    assert [one.number for one in options] == [3, 11, 60, 2048]
    assert [one.delta for one in read.options] == [3, 8, 13, 14]
    fewer = dissect(bytes(CoAP(options=(read.options[0], read.options[3]))), CoAP)[CoAP]
    assert [one.number for one in fewer.options if isinstance(one, Option)] == [3, 2048]


@pytest.mark.parametrize("size", [0, 12, 13, 268, 269, 1000])
def test_lengths_of_each_form(size: int) -> None:
    data = bytes(CoAP(options=(Words(number=11, words="x" * size), Marker())) / b"payload")
    found = dissect(data, CoAP)
    option, marker = found[CoAP].options
    assert isinstance(option, Option) and option.size == size and type(marker) is Marker
    assert found.payload == b"payload" and not found.faults


def test_the_marker_is_no_option() -> None:
    """It has no number; 0xf and another length are neither (section 3.1)."""
    read = dissect(bytes(CoAP(options=(Number(number=60, amount=5), Marker())) / b"x"), CoAP)
    assert [getattr(one, "number", None) for one in read[CoAP].options] == [60, None]
    assert bytes(read)[-2:] == b"\xffx" and bytes(Marker()) == b"\xff"
    wrong = dissect(bytes(read)[:-2] + b"\xf3x", CoAP)
    assert [(fault.field, fault.got) for fault in wrong.faults] == [("options", "3")] and bytes(wrong)[-2:] == b"\xf3x"


def test_cut_and_spoilt() -> None:
    packets = [
        dissect(bytes(Ether() / IPv4() / UDP(dport=5683) / one))
        for one in (
            CoAP(
                token=b"1234", options=(Words(number=11, words="b" * 20), Number(number=12, amount=50), Marker())
            )
            / b"hello",
        )
    ]
    assert {"CoAP.token", "CoAP.options"} <= cut(packets, CoAP)
    assert "CoAP.options" in spoilt(packets, CoAP, times=300)
