"""Texts, bytes and addresses of headers around, in rules: compared as a header's own are, by layers, items and headers in fields."""

from typing import Any

import pytest

from packetlab import (
    U8,
    UDP,
    BuildError,
    Bytes,
    Capture,
    DeclareError,
    Ether,
    Header,
    IPv4,
    Text,
    auto,
    before,
    bindings,
    choose,
    count_of,
    declare_from,
    describe,
    dissect,
    ended,
    field,
    many,
    sized,
    when,
)


@pytest.fixture(autouse=True)
def _scoped() -> Any:
    with bindings():
        yield


def reads_back(header: Any, first: Any) -> str:
    packet = header if not isinstance(header, Header) else header / b""
    data = bytes(packet)
    read = dissect(data, first)
    assert not read.faults
    assert read == packet
    return data.hex(" ")


def test_a_layer_asks_the_header_below() -> None:
    class Verb(Header):
        verb: Text = ended(b" ", "GET")
        kind: U8 = 1

    class Body(Header, under=Verb, when={"kind": 1}):
        posted: U8 | None = when(field("Verb.verb") == "POST", 9)
        other: U8 | None = when(field("^.verb") != "get", 8)

    shown = {verb: reads_back(Verb(verb=verb) / Body(), Verb)[-5:] for verb in ("GET", "POST", "post", "PUT")}
    assert shown == {"GET": "20 01", "POST": "09 08", "post": "09 08", "PUT": "01 08"}
    packet = dissect(bytes(Verb(verb="POST") / Body()), Verb)
    assert bytes(packet.replace(Verb, verb="GET")) == b"GET \x01"
    assert "present where Verb.verb == 'POST': yes" in packet.why(Body, "posted")
    (again,) = declare_from(describe(Body))
    assert describe(again) == describe(Body)
    with pytest.raises(BuildError, match=r"Body.posted: expected a field that is there, as it is where Verb.verb == 'POST', got 3 \(Verb.verb can be given so\)"):
        bytes(Verb() / Body(posted=3))


def test_items_and_headers_in_fields_ask_what_holds_them() -> None:
    class Item(Header):
        value: U8 = 0
        more: U8 | None = when(field("^.verb").one_of("POST", "PUT"), 9)
        data: Bytes = sized(choose(field("List.verb") == "PUT", 2, 0), b"")

    class List(Header):
        verb: Text = ended(b" ", "GET")
        count: U8 = auto(count_of("items"))
        items: tuple[Item, ...] = many(count=field("count"))
        one: Item = Item()

    assert reads_back(List(items=[Item(value=1)]), List) == "47 45 54 20 01 01 00"
    made = List(verb="put", items=[Item(value=1, more=2, data=b"ab"), Item(data=b"cd")], one=Item(data=b"ef"))
    assert reads_back(made, List) == "70 75 74 20 02 01 02 61 62 00 09 63 64 00 09 65 66"


def test_addresses_of_headers_further_down() -> None:
    class Far(Header, under=UDP, port=7777):
        near: U8 | None = when(field("IPv4.src") == "10.0.0.1", 9)
        station: U8 | None = when(field("Ether.dst") != "02:00:00:00:00:01", 8)
        rest: U8 = 1

    there, other = (Ether(dst="02:00:00:00:00:01") / IPv4(src=src, dst="10.0.0.9") / UDP() / Far() for src in ("10.0.0.1", "10.0.0.2"))
    assert [bytes(one)[42:].hex() for one in (there, other)] == ["0901", "01"]
    assert dissect(bytes(there)) == there
    capture = Capture.of([there, other])
    assert capture.where("far.near == 9").count() == 1
    assert capture.table("far.near").read().text("far.near") == ["9", ""]


def test_what_no_field_can_be_and_the_item_before_are_refused() -> None:
    with pytest.raises(DeclareError, match=r"Bad, IPv4.src == 'no', src ==: expected an IPv4 address"):

        class Bad(Header, under=IPv4, when={"protocol": 200}):
            x: U8 | None = when(field("IPv4.src") == "no", 1)

    with pytest.raises(DeclareError, match=r"Number, \^.ttl == 'no': expected a field of text, bytes, or an address"):

        class Number(Header, under=IPv4, when={"protocol": 200}):
            x: U8 | None = when(field("^.ttl") == "no", 1)

    with pytest.raises(DeclareError, match=r"expected a number of the item before, got before\(verb\) == 'PUT' \(a number beside it can: said: int = computed"):
        when(before("verb") == "PUT", 1)
    with pytest.raises(DeclareError, match=r"Holder.inner, for \^.number == 'PUT' of Inner: expected a field of text, bytes, or an address"):

        class Inner(Header):
            x: U8 | None = when(field("^.number") == "PUT", 1)

        class Holder(Header):
            number: U8 = 0
            inner: Inner = Inner()
