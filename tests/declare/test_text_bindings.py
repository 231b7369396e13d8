"""Headers that follow by a text: `when={"verb": "PUT"}`, of text, an enum of texts, bytes; several, and together with numbers."""

from __future__ import annotations

from enum import IntEnum, StrEnum
from ipaddress import ip_address
from typing import Annotated, Any
from uuid import UUID as UUID_OF

import pytest

from packetlab import (
    TCP,
    U8,
    U16,
    UUID,
    Bytes,
    Capture,
    DeclareError,
    Ether,
    Header,
    IPv4,
    IPv4Address,
    Named,
    Rest,
    Text,
    auto,
    bcd,
    bind,
    bindings,
    bits,
    declare_from,
    describe,
    dissect,
    ended,
    field,
    fixed_bytes,
    size_of,
    sized,
    text,
    through,
    zlib,
)
from packetlab.schema.dump import described
from packetlab.schema.source import class_body
from tests.wire.test_vary import same


class Verb(StrEnum):
    PUT = "PUT"
    GET = "GET"


class Code(IntEnum):
    PUT, GET = 1, 2


KINDS: dict[str, tuple[Any, Any, Any]] = {
    "text": (Text, ended(b" ", "GET"), "PUT"),
    "enum": (Annotated[Named[Verb], text("ascii")], ended(b" ", Verb.GET), Verb.PUT),
    "enum by text": (Annotated[Named[Verb], text("ascii")], ended(b" ", Verb.GET), "PUT"),
    "padded": (Annotated[str, text("ascii", size=4, pad=b" ")], "GET", "PUT"),
    "bytes": (Annotated[bytes, fixed_bytes(3)], b"GET", b"PUT"),
    "ended bytes": (Bytes, ended(b" ", b"GET"), "PUT"),
    "packed digits": (Annotated[int, bcd(4)], 1, 12),
    "packed digits as text": (Annotated[int, bcd(4)], 1, "0012"),
    "UUID": (UUID, UUID_OF(int=1), UUID_OF(int=5)),
    "IPv4": (IPv4Address, "10.0.0.1", ip_address("224.0.0.5")),
    "enum of numbers": (Annotated[Named[Code], bits(8)], Code.GET, "PUT"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_text_says_what_follows_and_is_filled_in(kind: str) -> None:
    annotation, default, word = KINDS[kind]
    with bindings():
        request: Any = type("Request", (Header,), {"__annotations__": {"verb": annotation, "number": U8}, "verb": default, "number": 7})

        class Put(Header, under=request, when={"verb": word}):
            size: U8 = 1

        built = request() / Put()
        wire = bytes(built)
        assert wire == bytes(request(verb=word, number=7) / Put()) and bytes(request()) == bytes(request(verb=default if not hasattr(default, "default") else default.default))
        assert dissect(wire, request) == built and dissect(wire, request)[Put].size == 1
        assert Put not in dissect(bytes(request()) + b"\1", request)
        # What is given stays, and is read as what it is.
        other = request(verb=default if type(default) in (int, UUID_OF) or kind == "IPv4" else b"GET" if kind == "bytes" else "GET") / Put()
        assert bytes(other) == bytes(request()) + b"\1"
        read = dissect(wire, request)
        assert bytes(read.replace(request, number=9)) == bytes(request(number=9) / Put())
        assert str(read[request].verb if kind in ("UUID", "IPv4") or kind.startswith("packed") else "PUT") in str(read.why(request, "verb")) and "agrees with the rule" in str(read.why(request, "verb"))
        same(read.vary(9, {"request.number": range(9), "put.size": [1, 2]}), vectorised=False)
        assert Capture.of([Ether() / IPv4() / wire]).where(request).count() == 0


def test_letters_of_any_case_are_read_and_stay() -> None:
    with bindings():
        class Request(Header):
            verb: Text = ended(b" ", "GET")

        class Put(Header, under=Request, when={"verb": ("PUT", "POST")}):
            size: U8 = 1

        read = dissect(b"post \5", Request)
        assert read[Put].size == 5 and bytes(read.replace(Put, size=6)) == b"post \6"
        assert bytes(Request() / Put()) == b"PUT \1" and bytes(Request(verb="POST") / Put()) == b"POST \1"
        assert dissect(b"PATCH \5", Request).payload == b"\5"


def test_an_address_is_a_text_too() -> None:
    with bindings():
        class Hop(Header):
            to: IPv4Address = "10.0.0.1"  # type: ignore[assignment]

        class Group(Header, under=Hop, when={"to": "224.0.0.5"}):
            size: U8 = 1

        assert bytes(Hop() / Group()) == bytes([224, 0, 0, 5, 1]) and bytes(Hop() / b"") == bytes([10, 0, 0, 1])
        class Bridge(Header, under=Ether, when={"dst": "01:80:c2:00:00:00"}):
            size: U8 = 1

        assert bytes(Ether() / Bridge())[:6].hex() == "0180c2000000" and Bridge in dissect(bytes(Ether() / Bridge()))
        assert bytes(Ether() / b"")[:6] == bytes([255] * 6) and Bridge not in dissect(bytes(Ether() / b"x"))
        assert dissect(bytes([224, 0, 0, 5, 1]), Hop) == Hop() / Group() and Group not in dissect(bytes([10, 0, 0, 1, 1]), Hop)


def test_texts_and_numbers_together_and_further_forms() -> None:
    with bindings():
        class Request(Header):
            version: U8 = 1
            code: Annotated[Named[Code], bits(8)] = Code.GET
            verb: Text = ended(b" ", "GET")

        class Put(Header, under=Request, when={"verb": "PUT", "version": 2, "code": "PUT"}):
            size: U8 = 1

        class Late(Header, under=Request, when=field("version") > 2, sets={"version": 3, "verb": "LATE"}):
            size: U8 = 1

        class Other(Header):
            size: U8 = 1

        bind(Other, under=Request, when={"verb": "OTHER"})
        assert bytes(Request() / Put()) == b"\2\1PUT \1" and bytes(Request() / Late()) == b"\3\2LATE \1"
        assert bytes(Request() / Other()) == b"\1\2OTHER \1"
        for packet in (Request() / Put(), Request() / Late(), Request() / Other()):
            assert dissect(bytes(packet), Request) == packet
        assert dissect(b"\2\2PUT \1", Request).payload == b"\1"


def test_a_body_of_no_bytes_and_messages_of_a_stream() -> None:
    with bindings():
        class Line(Header, under=TCP, when={"port": 7412}, stream=True):
            verb: Annotated[Named[Verb], text("ascii")] = ended(b" ", Verb.GET)
            size: U8 = auto(size_of("payload"))

        class Nothing(Header, under=Line, when={"verb": "GET"}):
            pass

        class Put(Header, under=Line, when={"verb": Verb.PUT}):
            text: Rest = b""

        low = Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2") / TCP(sport=50000, dport=7412, flags="ACK", seq=1)
        data = bytes(Line() / Put(text=b"abc")) + bytes(Line() / Nothing()) + bytes(Line() / Put(text=b"d"))
        assert data == b"PUT \3abcGET \0PUT \1d"
        found = [message.packet.summary() for message in Capture.of([low / data]).messages(Line)]
        assert found == ["Line / Put", "Line / Nothing", "Line / Put"]


def test_it_goes_into_files_and_source() -> None:
    with bindings():
        class Request(Header):
            verb: Text = ended(b" ", "GET")
            mark: Annotated[bytes, fixed_bytes(2)] = b"ab"

        class Put(Header, under=Request, when={"verb": ("PUT", "POST"), "mark": b"\xff\0"}):
            size: U8 = 1

        data: Any = described([Put])
        wire = bytes(Request() / Put())
        assert wire == b"PUT \xff\0\1"
        source = "\n\n".join(class_body(one) for one in data)
    with bindings():
        made = {cls.__name__: cls for cls in declare_from(data)}
        assert described([made["Put"]]) == data
        assert bytes(made["Request"]() / made["Put"]()) == wire and made["Put"] in dissect(wire, made["Request"])
    with bindings():
        names: dict[str, Any] = dict(globals())
        exec(source, names)
        assert described([names["Put"]]) == data and bytes(names["Request"]() / names["Put"]()) == wire
    for place, wrong in (("verb", ["letters", "a b"]), ("verb", 5), ("verb", ["letters", ["zz"]]), ("mark", ["letters", "abc"]), ("mark", ["field", "verb"])):
        bad: Any = [dict(one) for one in data]
        put = next(one for one in bad if one["name"] == "Put")
        put["under"] = [{**put["under"][0], "sets": {**put["under"][0]["sets"], place: wrong}}]
        with bindings(), pytest.raises(DeclareError):
            declare_from(bad)


def test_what_is_bound_ends_with_the_bindings_and_stays_where_a_class_is_declared_again() -> None:
    class AskingAgain(Header):
        verb: Text = ended(b" ", "GET")

    with bindings():
        class Put(Header, under=AskingAgain, when={"verb": "PUT"}):
            size: U8 = 1

        class Longer(AskingAgain):
            more: U8 = 1

        class Other(AskingAgain):
            verb = "HEAD"

        assert bytes(AskingAgain() / Put()) == b"PUT \1" and bytes(Longer() / Put()) == b"PUT \1\1"
        assert bytes(Other()) == b"HEAD " and bytes(Other() / Put()) == b"PUT \1"

        class AskingAgain(Header):  # type: ignore[no-redef]
            verb: Text = ended(b" ", "GET")
            more: U16 = 0

        assert bytes(AskingAgain() / Put()) == b"PUT \0\0\1" and Put in dissect(b"PUT \0\0\1", AskingAgain)
    assert AskingAgain._by_name["verb"].rule is None and bytes(AskingAgain()) == b"GET \0\0"


@pytest.mark.parametrize(
    ("condition", "complaint"),
    [
        ({"verb": ()}, r"Put under Request\.verb: expected a number at least, or a text, got \(\)"),
        ({"verb": "no way"}, r"Put under Request\.verb: expected .*"),
        ({"verb": "größe"}, r"letters of ASCII, or bytes"),
        ({"verb": ""}, r"letters of ASCII, or bytes, one at least, got '' \(whether it has no bytes is size_of"),
        ({"verb": 5}, r"expected a number field, got bytes"),
        ({"code": "HEAD"}, r"Put under Request\.code: expected names of Code, got 'HEAD'"),
        ({"body": "PUT"}, r"Put under Request\.body: expected a field of text or bytes"),
        (field("code") == "PUT", r"to compare with text, got code, .* \(Code\.PUT is a number, to compare with\)"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(condition: Any, complaint: str) -> None:
    with bindings():
        class Request(Header):
            code: Annotated[Named[Code], bits(8)] = Code.GET
            verb: Annotated[str, text("utf-8")] = ended(b" ", "GET")
            size: U8 = auto(size_of("body"))
            body: Text = through(zlib(), sized(field("size"), ""))

        with pytest.raises(DeclareError, match=complaint):
            class Put(Header, under=Request, when=condition):
                size: U8 = 1


def test_described_alone_it_is_whole() -> None:
    with bindings():
        class Request(Header):
            verb: Text = ended(b" ", "GET")

        before = describe(Request)

        class Put(Header, under=Request, when={"verb": "PUT"}):
            size: U8 = 1

        assert describe(Request) == before
