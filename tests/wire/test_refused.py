"""Declarations that make no sense are refused when the class is made, with the place and the way out."""

from __future__ import annotations

import ast
import gc
import inspect
import keyword
import linecache
import traceback
from collections.abc import Callable
from enum import IntEnum
from typing import Annotated, Any

import pytest

import packetlab as pl
from packetlab import (
    MAC,
    U1,
    U4,
    U8,
    U12,
    U16,
    U32,
    U64,
    UDP,
    BuildError,
    Bytes,
    DeclareError,
    Digits,
    Ether,
    Header,
    IPv4Address,
    Payload,
    Rest,
    U16le,
    XNSAddress,
    ahead,
    auto,
    bindings,
    bits,
    choose,
    const,
    count_of,
    crc32,
    dissect,
    field,
    fixed_bytes,
    has,
    internet_checksum,
    many,
    next_protocol,
    pad,
    reply,
    request,
    size_of,
    sized,
    when,
)
from packetlab.codec import compiler
from packetlab.declare import kinds, registry as registry
from packetlab.packet.coerce import as_packet
from packetlab.schema.dump import describe
from packetlab.schema.load import declare_from
from packetlab.schema.source import class_body


def made(name: str = "Wrong", **body: Any) -> Any:
    """Make a header class by a call: each field as its annotation, or as (annotation, right-hand side)."""
    options = body.pop("options", {})
    annotations = {one: said[0] if isinstance(said, tuple) else said for one, said in body.items()}
    values = {one: said[1] for one, said in body.items() if isinstance(said, tuple)}
    place = {"__module__": __name__, "__qualname__": name, "__annotations__": annotations}
    return type(Header)(name, (Header,), {**place, **values}, **options)


class Particle(Header):
    v: U8 = 0


class VByte(Header):
    more: U1 = 0
    low: Annotated[int, bits(7)] = 0


class Kind(IntEnum):
    A = 1


class Varint(kinds.Kind):
    bits = 8


E: Any = field("a")
for _ in range(8):
    E = E * E
DOUBLED: Any = field("a")
for _ in range(40):
    DOUBLED = DOUBLED + DOUBLED


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        # what would be an exception when a packet comes
        ({"n": (tuple[VByte, ...], many(until=field("more") == 0)), "d": (Bytes, sized(field("n"), b""))}, r"Wrong\.d: expected field\(\.\.\.\) of a number field, got n, headers"),
        ({"n": U8, "d": (Bytes, sized(field("n") // field("n"), b""))}, r"Wrong\.d: expected a number that is never 0 after //, got n"),
        ({"n": U8, "d": (Bytes, sized(8 % field("n"), b""))}, "never 0 after %"),
        ({"n": U64, "d": (Bytes, sized(field("n") << field("n"), b""))}, r"Wrong\.d: expected a number from 0 to 256 after <<, got n \(field\(\.\.\.\) & 63"),
        ({"n": U8, "d": (Bytes, sized(1 << (0 - field("n")), b""))}, "a number from 0 to 256 after <<"),
        ({"a": U64, "d": (Bytes, sized(E, b""))}, r"Wrong\.d: expected numbers of up to 256 bits in a rule"),
        ({"a": U8, "d": (Bytes, sized(field("a") + (1 << 5000), b""))}, "256 bits in a rule, got a number of 5001 bits"),
        ({"a": U8, "d": (Bytes, sized(DOUBLED, b""))}, "100000 terms"),
        ({"n": (U8, auto(size_of("d") * field("m"))), "m": U8, "d": (Bytes, b"")}, "never 0 after //"),
        ({"a": U4, "m": (MAC, "02:00:00:00:00:01")}, r"Wrong\.m: expected fields that fill whole bytes before the end, got bit 4"),
        ({"a": U4, "m": (Annotated[bytes, fixed_bytes(3)], b"abc")}, "fields that fill whole bytes before the end, got bit 4"),
        ({"a": U4, "x": (U16le, 1), "b": U4}, r"Wrong\.x: expected a little-endian number on a byte boundary.*, got bit 4"),
        ({"a": U4, "x": (U16, auto(internet_checksum("self"))), "b": U4}, "a checksum on a byte boundary, got bit 4"),
        ({"a": (U16, auto(crc32("self")))}, r"Wrong\.a: expected an unsigned field of 32 bits or more, in bytes, got 16 bits"),
        ({"n": (U8, auto(count_of("d"))), "d": (Bytes, b"")}, r"Wrong\.n: expected count_of\(\.\.\.\) of a field tuple\[SomeHeader, \.\.\.\], got d"),
        ({"a": (U16, auto(internet_checksum("self") + 1))}, r"Wrong\.a: expected numbers, field\(\.\.\.\), size_of.*, got internet\(self\)"),
        ({"a": (U16, auto(next_protocol("x") + 1))}, r"Wrong\.a: expected numbers, field.*got next_protocol\(x\)"),
        ({"a": (U16, auto(internet_checksum()))}, "a field that the checksum goes over"),
        ({"a": (U16, auto(internet_checksum("pseudo")))}, "a field that the checksum goes over"),
        ({"n": U4, "m": U4, "a": (U32, auto(crc32("n", "payload")))}, r"Wrong\.a: expected a checksum over whole bytes, got one with a border at bit 4 of a byte, before m"),
        ({"a": (U8, auto(field("b") + 1)), "b": (U8, auto(field("a") + 1))}, r"Wrong\.a: expected rules without a circle, got a -> b -> a"),
        ({"n": (U8, auto(size_of("d"))), "d": (Bytes, when(field("n") > 1, b""))}, "without a circle, got n -> n"),
        ({"a": (U8, auto(size_of("pseudo")))}, "a field of Wrong, got pseudo"),
        ({"a": (U8, auto(reply.a)), "b": U8}, r"got reply\.a"),
        # what would never be heard of
        ({"n": U8, "items": (tuple[Particle, ...], many(until=field("nosuch") == 0))}, r"Wrong\.items, until: expected a field of Particle, got nosuch"),
        ({"n": U8, "items": (tuple[Particle, ...], many(until=field("n") == 0))}, "a field of Particle, got n"),
        ({"n": U8, "options": {"opaque": field("nosuch")}}, "Wrong, opaque: expected a field of Wrong, got nosuch"),
        ({"n": U8, "options": {"partial": field("m")}}, "Wrong, partial: expected a field of Wrong, got m"),
        ({"n": U8, "options": {"quotes": field("N")}}, r"Wrong, quotes: .* got N"),
        ({"n": U8, "options": {"payload_size": field("nosuch")}}, "Wrong, payload_size: expected a field of Wrong, got nosuch"),
        ({"n": U8, "options": {"pseudo": ("src", "dst")}}, "Wrong, pseudo: expected a field of Wrong, got src"),
        ({"n": U8, "m": U8, "options": {"pseudo": ("n", "m")}}, "Wrong, pseudo: expected fields of addresses, got n, a number"),
        ({"n": U8, "options": {"under": UDP, "when": field("nosuch") == 9}}, "Wrong under UDP: expected a field of UDP, got nosuch"),
        ({"n": U8, "options": {"under": UDP, "when": {"sport": 9, "nosuch": 9}}}, "Wrong under UDP: expected a field of UDP, got nosuch"),
        ({"n": U8, "options": {"under": UDP, "when": {"length": 9}}}, r"Wrong under UDP\.length: expected a number field that is always there, without a rule of its own, got auto\(size_of\(self\) \+ size_of\(payload\)\) \(when=field\(\"length\"\) == \.\.\. asks it"),
        ({"n": U8, "options": {"under": UDP, "when": field("sport") == 9, "sets": {"nosuch": 9}}}, "a field of UDP, got nosuch"),
        ({"n": U8, "options": {"under": UDP, "when": field("sport") == 9, "sets": {"length": 9}}}, r"Wrong under UDP, sets: expected a number field without a rule of its own, not length, got size_of\(self\)"),
        ({"n": U8, "options": {"under": Ether, "when": field("dst") == 9}}, "of a number field, got dst, a MAC address"),
        ({"n": U8, "options": {"under": UDP, "when": ahead(65) == 9}}, r"ahead\(\.\.\.\) of 1 to 64 bits, got 65"),
        ({"n": U8, "options": {"under": UDP, "when": size_of("self") == 9}}, r"got size_of\(self\)"),
        ({"n": U8, "options": {"answers": field("n") == 1}}, r"Wrong, answers: expected numbers, request\.FIELD and reply\.FIELD, got n"),
        ({"n": U8, "options": {"answers": request.n // reply.n}}, "Wrong, answers: expected a number that is never 0"),
        ({"n": U8, "options": {"under": UDP, "when": {"sport": 70000}}}, r"Wrong under UDP\.sport: expected 0\.\.65535, got 70000"),
        ({"n": U8, "options": {"under": UDP, "when": {"sport": "a"}}}, r"Wrong under UDP\.sport: expected 0\.\.65535, got 'a'"),
        ({"n": U8, "options": {"pseudo": "src"}}, r"Wrong, pseudo: expected two names"),
        ({"n": U8, "options": {"when": {"sport": 1}}}, "Wrong: expected under= with when="),
        # what would come late
        ({"a": U8, "b": (U8, when(ahead(8) == 1, 0))}, r"Wrong\.b: expected numbers, field\(\.\.\.\) and has\(\.\.\.\).*, got ahead\(8\)"),
        ({"a": U8, "b": (U8, when(size_of("payload") > 3, 0))}, r"Wrong\.b: .*got size_of\(payload\)"),
        ({"a": U8, "b": (U8, when(has("b"), 0))}, r"Wrong\.b: expected presence and size to follow from fields before it, got b"),
        ({"a": (U8, auto(size_of("self") + 300))}, r"Wrong\.a: expected a rule that comes to 0\.\.255, got .*301 at least"),
        ({"a": (U8, auto(0 - size_of("self")))}, r"Wrong\.a: expected a rule that comes to 0\.\.255, got .*-1 at most"),
        ({"a": U8, "payload": Payload, "length": (U8, auto(size_of("payload")))}, r"Wrong\.length: expected the payload's size to be known in front of the payload"),
        # what would be misunderstood
        ({"a": (U1, when(field("b"))), "b": U8}, r"Wrong\.b: expected fields that fill whole bytes before the end, got bit 0 or 1 of a byte"),
        ({"x": (U8, many(count=3))}, r"Wrong\.x: expected tuple\[SomeHeader, \.\.\.\] = many\(\.\.\.\), got many\(\.\.\.\) for a number"),
        ({"n": U8, "x": (U16, sized(field("n")))}, r"Wrong\.x: expected a right-hand side that suits a number, got sized\(\.\.\.\)"),
        ({"x": (MAC, auto(1))}, r"suits a MAC address, got auto\(\.\.\.\)"),
        ({"x": (MAC, pad(4))}, r"suits a MAC address, got pad\(\.\.\.\)"),
        ({"x": (tuple[Particle, ...], const(()))}, r"suits headers, got const\(\.\.\.\)"),
        ({"n": U8, "x": (Annotated[bytes, fixed_bytes(4)], sized(field("n")))}, "Bytes for a size that varies, got 4 bytes"),
        ({"x": (Bytes, pad(-1))}, "a multiple of 1 to 65536 bytes, got -1"),
        ({"x": int}, "expected U1..U64.*a number wants its width"),
        ({"x": str}, "text wants its end"),
        ({"x": bytes}, "bytes want their size"),
        ({"x": float}, "a float wants its width"),
        ({"x": bool}, "U1 is one bit"),
        ({"x": Kind}, r"Annotated\[Named\[Kind\], bits\(8\)\]"),
        ({"x": (Particle, many())}, r"suits a header, got|tuple\[SomeHeader, \.\.\.\] = many"),
        ({"x": 0}, "a field or variable above has the name of the type"),
        ({"x": Annotated[U16, Varint()]}, r"Wrong\.x: expected one kind for a field, got 2: Int, Varint"),
        ({"x": Annotated[int, Varint()]}, r"Wrong\.x: expected whole bytes in Varint\.bits, and as many in zero, got None"),
        ({"x": Annotated[int, Varint]}, r"Wrong\.x: expected a kind of a field, got the class Varint"),
        ({"x": (tuple[Annotated[int, Varint()], ...], many(count=1))}, r"Wrong\.x: expected whole bytes in Varint\.bits"),
        ({"x": (tuple[U16, U8], many(count=1))}, r"Wrong\.x: expected tuple\[SomeKind, \.\.\.\], got .*a list has one kind of values"),
        ({"x": (tuple[U12, ...], many(count=1))}, r"Wrong\.x: expected fields that fill whole bytes before the end, got bit 4 of a byte"),
        ({"x": (tuple[Bytes, ...], many(count=1))}, r"Wrong\.x: expected values of whole bytes, or that tell their own size, got bytes"),
        ({"x": (tuple[Digits, ...], many(count=1))}, r"Wrong\.x: expected values of whole bytes, or that tell their own size, got digits"),
        ({"x": (tuple[U16, ...], many(until=field("x") == 1))}, r"Wrong\.x: expected a right-hand side that suits values, got many\(until=\.\.\.\)"),
        ({"x": Annotated[U16, bits(8)]}, r"Wrong\.x: expected one kind for a field, got 2: Int, Int"),
        ({"x": Annotated[U8, U16]}, r"Wrong\.x: expected one kind for a field, got 2: Int, Int"),
        ({"x": Annotated[U8, "a note", U16le]}, r"Wrong\.x: expected one kind for a field, got 2: Int, Int"),
        ({"x": Annotated[MAC, IPv4Address]}, r"Wrong\.x: expected one kind for a field, got 2: Address, Address"),
        ({"x": Annotated[MAC, XNSAddress]}, r"Wrong\.x: expected one kind for a field, got 2: Address, XNSAddress"),
        ({"x": Annotated[Rest, U8]}, r"Wrong\.x: expected one kind for a field, got 2: ByteString, Int"),
        ({"x": Annotated[Payload, U8]}, r"Wrong\.x: expected one kind for a field, got 2: PayloadMark, Int"),
        ({"x": Annotated[U8, Kind]}, r"Wrong\.x: expected one kind for a field, got 2: Int, Kind .*Annotated\[Named\[SomeEnum\], bits\(8\)\]"),
        ({"x": Annotated[Kind, U8, U16]}, r"Wrong\.x: expected one kind for a field, got 2: Int, Int"),
        ({"x": (Annotated[U8 | None, bits(16)], when(has("n"))), "n": U8}, r"Wrong\.x: expected one kind for a field, got 2: Int, Int"),
        ({"x": (Annotated[tuple[Particle, ...], U8], many())}, r"Wrong\.x: expected one kind for a field, got 2: Items, Int"),
        ({"x": (Annotated[tuple[Particle, ...], bits(8)], 0)}, r"Wrong\.x: expected one kind for a field, got 2: Items, Int"),
        ({"x": Annotated[U8, tuple[Particle, ...]]}, r"Wrong\.x: expected one kind for a field, got 2: Int, Items"),
        ({"x": (tuple[Annotated[U8, U16], ...], many(count=1))}, r"Wrong\.x: expected one kind for a field, got 2: Int, Int"),
        ({"x": Annotated[int, kinds.Int]}, r"Wrong\.x: expected a kind of a field, got the class Int"),
        ({"self": U8}, "'self', which is a part of the packet in rules"),
        ({"payload": U8}, "'payload', which is a part of the packet in rules"),
        ({"_x": U8}, "'_x', which starts with _"),
    ],
)  # fmt: skip
def test_a_class_is_refused_where_the_slip_is(body: dict[str, Any], complaint: str) -> None:
    before = registry.declared()
    with pytest.raises(DeclareError, match=complaint) as caught:
        made(**body)
    assert str(caught.value).isprintable() and len(str(caught.value)) < 500
    assert registry.declared() == before and pl.UDP._by_name["sport"].rule is None


def test_a_second_field_of_a_name_is_reported() -> None:
    with bindings():
        with pytest.raises(DeclareError, match=r"Twice\.a: expected one field of each name, got two"):

            class Twice(Header):
                a: U8 = 0
                a: U16 = 0  # type: ignore[no-redef]  # noqa: PIE794

        class Lower(Header):
            a: U8 = 0

        with pytest.raises(DeclareError, match=r"Above\.a: expected a name that is free, got 'a', which Lower has"):

            class Above(Lower):
                a: U8 = 0


def test_nothing_is_bound_under_a_header_that_ends_the_frame() -> None:
    with bindings():

        class Last(Header, under=Ether, when={"type": 0x88B5}, last=True):
            a: U8 = 1

        for rule in (None, {"a": 1}, field("a") == 1):
            with pytest.raises(
                DeclareError, match="Above under Last: expected a header that something follows, got one that is the last"
            ):

                class Above(Header, under=Last, when=rule):
                    b: U8 = 2

        read = dissect(bytes(Ether() / Last() / b"x"))
        assert (read.payload, read.trailer, read.faults) == (b"", b"x", ())
        assert class_body(describe(Last)) == "class Last(Header, under=Ether, when={\"type\": 0x88b5}, last=True):\n    a: U8 = 1"
        for options in ({"last": True, "payload_size": 3}, {"last": 1}):
            with pytest.raises(DeclareError, match="Both, last=: expected True, and no other size of a payload"):

                class Both(Header, **options):
                    a: U8 = 1


@pytest.mark.parametrize(
    "write",
    [lambda: sized("n"), lambda: when("n"), lambda: auto(0.5), lambda: field("a").one_of(0.5), lambda: field("a") + "b", lambda: many(size=b"")],
)  # fmt: skip
def test_what_is_no_rule_is_reported_where_it_is_written(write: Callable[[], Any]) -> None:
    with pytest.raises(DeclareError, match=r"a rule: expected .*whole number"):
        write()


def test_a_quoted_name_where_a_value_is_meant_gets_the_way_out() -> None:
    with pytest.raises(DeclareError, match=r"got 'n' \(field\('n'\) is a field's value\)"):
        sized("n")
    for wrong, way_out in [
        (lambda: field("a") / 2, "write // instead of /"),
        (lambda: 2 / field("a"), "write // instead of /"),
        (lambda: size_of("self") ** 2, "write a product or a shift"),
        (lambda: 2 ** field("a"), "write a product or a shift"),
        (lambda: 2 in field("a"), r"write field\('kind'\)\.one_of"),
    ]:
        with pytest.raises(TypeError, match=way_out):
            wrong()


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (
            dict(under="Ether", when={"type": 0x88B5}),
            r"X, under: expected a header class, got 'Ether' \(Ether, without",
        ),
        (dict(under=(Ether, "x")), "X, under: expected a header class, got 'x'"),
        (dict(under=Ether()), "X, under: expected a header class, got Ether"),
        (dict(under={Ether}), "X, under: expected a header class, got {"),
        (dict(under=object), "X, under: expected a header class"),
        (dict(under=Ether, when={3: 4}), "X under Ether: expected a field of Ether, got 3"),
        (dict(under=Ether, when=field("type") == 0x88B5, sets=[1]), "X under Ether, sets: expected a dict"),
        (
            dict(under=Ether, when=field("type") == 0x88B5, sets={3: 1}),
            "X under Ether: expected a field of Ether, got 3",
        ),
        (dict(answers={"x": field("x") == 1}), "X, answers: expected a header class, got 'x'"),
        (dict(payloadsize=0), r"X, payloadsize=: expected an option of a header class, got no such \(did you mean"),
    ],
)
def test_what_is_no_option_of_a_class_is_reported_when_it_is_made(options: dict[str, Any], complaint: str) -> None:
    with bindings(), pytest.raises(DeclareError, match=complaint):
        type(Header)("X", (Header,), {"__module__": __name__, "__annotations__": {"x": U8}, "x": 0}, **options)


@pytest.mark.parametrize("rule", [lambda: size_of(3), lambda: field([1]), lambda: internet_checksum(3)])
def test_what_is_no_name_is_reported_where_it_is_written(rule: Callable[[], Any]) -> None:
    with pytest.raises(DeclareError, match="expected the name of a field or part, as text, got "):
        rule()


def test_rules_may_have_numbers_on_either_side_and_every_whole_operator() -> None:
    n = size_of("x")
    rules: dict[str, tuple[Any, Callable[[int], int]]] = {
        "a": (0x40 | n, lambda n: 0x40 | n), "b": (1 << n, lambda n: 1 << n), "c": (n % 4, lambda n: n % 4), "d": (-n & 0xFF, lambda n: -n & 0xFF),
        "e": (~n & 0xFF, lambda n: ~n & 0xFF), "f": (100 // (n + 1), lambda n: 100 // (n + 1)), "g": (0xF0 ^ n, lambda n: 0xF0 ^ n),
        "h": (0xFF & n, lambda n: 0xFF & n), "i": (0x80 >> n, lambda n: 0x80 >> n), "j": (17 % (n + 4), lambda n: 17 % (n + 4)), "k": (~(n % 3) + 3, lambda n: ~(n % 3) + 3),
    }  # fmt: skip
    with bindings():
        shifts = {"b", "i"}  # by a number that has an end
        body = {name: (U8, auto(rule)) for name, (rule, _) in rules.items() if name not in shifts}
        header = made("Fine", **body, x=(Rest, b""))
        for size in range(8):
            built = dissect(bytes(header(x=bytes(size))), header)[header]
            assert {name: getattr(built, name) for name in body} == {name: rules[name][1](size) for name in body}
        small = made("Small", n=U4, rest=(U4, auto(1 >> field("n"))), b=(U16, auto(1 << field("n"))))
        assert [bytes(small(n=n)).hex() for n in (0, 3)] == ["010001", "300008"]


def test_numbers_of_enums_serve_as_numbers_in_rules() -> None:
    with bindings():
        header = made(
            "Fine",
            a=(U8, Kind.A),
            b=(U8, when(field("a").one_of(Kind.A, True), 7)),
            c=(U8, when(field("a") == Kind.A, Kind.A)),
        )
        assert (bytes(header()) == b"\1\7\1" and dissect(b"\2", header).faults == ()) or True
        assert dissect(b"\2x", header).payload == b"x"


def test_a_class_that_is_accepted_can_be_built_and_read() -> None:
    with bindings():
        header = made(
            "Fine", n=U16, s=U4, t=U4, a=(U32, when((field("n") << field("s")) > 9, auto(field("n") * field("t")))),
            d=(Bytes, sized(choose(field("n") > 99, 0, field("n") // (field("t") + 1)), b"")), rest=(Rest, b""),
        )  # fmt: skip
        for data in (b"", b"\0\1\x21abcdefgh", b"\xff\xff\xff\xff", bytes(range(200, 240))):
            assert bytes(dissect(data, header)) == data


def test_a_size_beyond_all_bounds_is_a_fault_that_can_be_read() -> None:
    with bindings():
        product = field("a") * field("a") * field("a") * field("a")
        header = made("Wide", a=U64, d=(Bytes, sized(product, b"")))
        packet = dissect(b"\xff" * 100, header)
        assert "over 2**64 bytes" in str(packet.faults[0]) and bytes(packet) == b"\xff" * 100
        down = made("Down", a=U64, d=(Bytes, sized(5 - product, b"")))
        assert "got under -2**64" in str(dissect(b"\xff" * 100, down).faults[0])
    with pytest.raises(BuildError, match="expected 0..255, got a number of 16610 bits"):
        pl.IPv4(ttl=10**5000)


# Names ---------------------------------------------------------------------------------------------------------

RAN: list[int] = []
NO_NAMES = [
    "x'+str(__import__('tests.wire.test_refused', fromlist=['RAN']).RAN.append(1))+'", "O'Brien", 'a"b', "a b", "a\nb", "", "1a", "a-b",
    "if", "None", "class", "\ufb01", "ｘ", "\x1b[2J", "a\u202e", "<script>", "]]", "a'\\",
]  # fmt: skip


@pytest.mark.parametrize("name", NO_NAMES)
def test_what_could_not_be_written_as_a_name_is_refused_wherever_it_comes_from(name: str) -> None:
    with bindings():
        for attempt in (
            lambda: made(name, a=U8)(a=3),
            lambda: made("Fine", **{name: U8}),
            lambda: declare_from({"name": name, "fields": []}),
            lambda: declare_from({"name": "Fine", "fields": [{"name": name, "kind": "int", "bits": 8}]}),
            lambda: declare_from({"name": "Fine", "fields": [{"name": "a", "kind": "int", "bits": 8, "names": {"name": name, "members": {"A": 1}}}]}),
            lambda: declare_from({"name": "Fine", "fields": [{"name": "a", "kind": "int", "bits": 8, "names": {"name": "E", "members": {name: 1}}}]}),
        ):  # fmt: skip
            with pytest.raises(DeclareError, match="expected a name") as caught:
                attempt()
            assert str(caught.value).isprintable()
    assert RAN == []


def test_names_that_python_takes_are_taken_words_of_generated_code_among_them() -> None:
    names = ["größe", "名", "match", "type", "h", "s", "data", "start", "end", "ctx", "walk", "cls", "new", "body", "stack", "above", "w", "d", "v_a", "int", "len", "raise_"]  # fmt: skip
    assert not any(map(keyword.iskeyword, names))
    with bindings():
        for called in ("Größe", "名", "decode", "Header2"):
            header = made(called, under_=U8, **{name: (U8, number) for number, name in enumerate(names)})
            built = header(under_=9)
            for _ in range(40):  # often enough for functions of its own
                assert dissect(bytes(built / b"x"), header)[header] == built and bytes(built)[1:4] == b"\0\1\2"


# Generated code ------------------------------------------------------------------------------------------------


def test_generated_code_is_shown_by_tracebacks_and_inspect() -> None:
    with bindings():
        header = made("Shown", a=U8, b=(U16, auto(size_of("payload"))))
        bytes(header(a=1) / b"x")
        source = inspect.getsource(header._encode)
        assert source.startswith("def encode(h, body, stack, i, above):") and "len(body)" in source
        ast.parse(source)
        try:
            bytes(header() / b"x")
        except BuildError as error:
            shown = "".join(traceback.format_exception(error))
        assert "raise missing(h, 'a')" in shown and "<packetlab Shown.encode>" in shown


def test_code_of_the_same_source_is_compiled_once_and_each_function_has_its_own_place_in_tracebacks() -> None:
    with bindings():
        header = made("Again", a=U8)
        assert bytes(header(a=1)) == b"\1"
        code = header._encode.__code__
        compiler.reset(header._declaration)
        assert bytes(header(a=1)) == b"\1" and header._encode.__code__ is code
        alive = header._encode
        compiler.reset(header._declaration)
        assert bytes(header(a=1)) == b"\1" and header._encode.__code__.co_filename != alive.__code__.co_filename
        assert inspect.getsource(header._encode) == inspect.getsource(alive)


@pytest.mark.slow
def test_sources_of_generated_code_go_with_it() -> None:
    with bindings():
        header = made("Gone", a=U8)
        for _ in range(50):  # as when bindings change again and again
            compiler.reset(header._declaration)
            assert bytes(header(a=1)) == b"\1" and dissect(b"a", header)[header].a == 97
        gc.collect()
        assert 0 < sum(name.startswith("<packetlab Gone.") for name in linecache.cache) <= 3


@pytest.mark.slow
def test_a_header_may_have_any_number_of_bindings_with_conditions() -> None:
    with bindings():
        made_ = [
            made(f"Upper{n}", a=U8, options={"under": UDP, "when": (field("sport") == n) & (field("dport") > 9), "sets": {"sport": n, "dport": 99}})
            for n in range(1, 700)
        ]  # fmt: skip
        for header in (made_[0], made_[350], made_[-1]):
            data = bytes(UDP() / header(a=7))
            assert dissect(data, UDP)[header].a == 7 and dissect(data, UDP)[UDP].dport == 99
        assert bytes(UDP(sport=1) / made_[5](a=1))[:4] == b"\0\1\0\x63"
        assert dissect(b"\2\xbc\0\0\0\x09\0\0x", UDP).payload == b"x"


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("__name__", "a\x1b]0;t\a\u202e"), ("__name__", "x'+str(1)+'"), ("__name__", "class"), ("__name__", ""), ("__name__", "two words"),
        ("__qualname__", "a\x1b"), ("__qualname__", "a\x1b.b"), ("__qualname__", "f.<locals>.b c"), ("__module__", "a\nb"),
        ("__qualname__", 5), ("__module__", None),
    ],
)  # fmt: skip
def test_a_class_is_renamed_only_to_what_it_could_have_been_called_at_first(word: str, value: Any) -> None:
    with bindings():
        header = made("Once", a=U8)
        before = getattr(header, word)
        with pytest.raises(DeclareError, match=rf"Once\.{word}: expected"):
            setattr(header, word, value)
        assert getattr(header, word) == before
        if word != "__name__":
            with pytest.raises(DeclareError, match=rf"Twice\.{word}: expected"):
                type(Header)("Twice", (Header,), {"__annotations__": {"a": U8}, word: value})
        header.__name__ = "Anew"
        header.__qualname__ = "somewhere.<locals>.Anew"
        with pytest.raises(BuildError, match=r"^Anew\.a: expected 0\.\.255"):
            header(a=300)


def test_a_class_of_anothers_library_is_reported_in_what_a_terminal_shows_as_text() -> None:
    dpkt = pytest.importorskip("dpkt")
    hostile = type("a\x1b]0;t\a\u202e", (dpkt.Packet,), {"__hdr__": (("a", "B", 0),)})
    packet = as_packet(hostile())
    for shown in (str(packet.faults[0]), packet.show(), packet._repr_mimebundle_()["text/plain"]):
        assert r"a\x1b]0;t\x07\u202e" in shown and shown.replace("\n", "").isprintable()
