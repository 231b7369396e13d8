"""Declaring headers: what the class body may say, what comes of it, and what is refused."""

from __future__ import annotations

from enum import IntEnum, IntFlag
from typing import Annotated, Any

import pytest
from hypothesis import given, strategies as st

from packetlab import (
    ICMP,
    MAC,
    S8,
    S16,
    U1,
    U3,
    U4,
    U5,
    U7,
    U8,
    U12,
    U16,
    U24,
    U32,
    U64,
    UDP,
    BuildError,
    Bytes,
    DeclareError,
    Ether,
    Header,
    IPv4,
    IPv6Address,
    Payload,
    Rest,
    U16le,
    U24le,
    U32le,
    U64le,
    XNSAddress,
    auto,
    bind,
    bindings,
    bits,
    choose,
    const,
    count_of,
    crc32,
    crc32c,
    default,
    dissect,
    field,
    fixed_bytes,
    has,
    many,
    next_protocol,
    pad,
    sctp_checksum,
    size_of,
    sized,
    when,
    xns_checksum,
)  # fmt: skip


@pytest.fixture(autouse=True)
def scoped():
    with bindings():
        yield


def same(header: Header) -> Header:
    """Pack, read back with and without kept bytes, and return what came."""
    data = bytes(header)
    packet = dissect(data, type(header))
    assert not packet.faults
    assert packet.encode() == data
    return packet[type(header)]


def test_numbers_share_bytes_from_the_highest_bit_down() -> None:
    class Bits(Header):
        a: U1 = 0
        b: U7 = 0
        c: U4 = 0
        d: U12 = 0
        e: U3 = 0
        f: U5 = 0

    assert bytes(Bits(a=1, b=2, c=0xF, d=0xABC, e=5, f=1)).hex() == "82fabca1"
    back = same(Bits(a=1, b=2, c=0xF, d=0xABC, e=5, f=1))
    assert (back.a, back.b, back.c, back.d, back.e, back.f) == (1, 2, 0xF, 0xABC, 5, 1)


def test_byte_orders_and_signs() -> None:
    class Orders(Header):
        a: U16le = 0
        b: U24le = 0
        c: U32le = 0
        d: U64le = 0
        e: S8 = 0
        f: S16 = 0
        g: U24 = 0

    data = bytes(Orders(a=0x0102, b=0x010203, c=0x01020304, d=1, e=-1, f=-2, g=0x0A0B0C))
    assert data.hex() == "0201030201040302010100000000000000fffffe0a0b0c"
    back = same(Orders(a=0x0102, b=0x010203, c=0x01020304, d=1, e=-1, f=-2, g=0x0A0B0C))
    assert (back.e, back.f, back.g, back.b) == (-1, -2, 0x0A0B0C, 0x010203)


@pytest.mark.slow
@given(st.lists(st.integers(1, 64), min_size=1, max_size=12), st.data())
def test_every_width_keeps_every_value(widths: list[int], data: st.DataObject) -> None:
    widths = [*widths, *[w for w in [-sum(widths) % 8] if w]]
    while any(sum(group) > 64 for group in _groups(widths)):
        widths = [8 * -(-w // 8) for w in widths]
    body = {"__annotations__": {f"f{i}": Annotated[int, bits(w)] for i, w in enumerate(widths)}}
    body |= {f"f{i}": 0 for i in range(len(widths))}
    with bindings():
        made = type(Header)("Made", (Header,), {**body, "__module__": __name__, "__qualname__": "Made"})
        values = {f"f{i}": data.draw(st.integers(0, (1 << w) - 1)) for i, w in enumerate(widths)}
        number = 0
        for i, w in enumerate(widths):
            number = number << w | values[f"f{i}"]
        packed = bytes(made(**values))
        assert packed == number.to_bytes(sum(widths) // 8, "big")
        back = dissect(packed, made)[made]
        assert {name: getattr(back, name) for name in values} == values


def _groups(widths: list[int]) -> list[list[int]]:
    groups: list[list[int]] = [[]]
    for w in widths:
        groups[-1].append(w)
        if sum(groups[-1]) % 8 == 0:
            groups.append([])
    return groups


def test_names_for_numbers_come_back_as_members_and_others_as_numbers() -> None:
    class Kind(IntEnum):
        ASK = 1
        TELL = 2

    class Mark(IntFlag):
        RED = 1
        BLUE = 4

    class Named(Header):
        kind: Annotated[Kind, bits(4)] = Kind.ASK
        mark: Annotated[Mark, bits(4)] = Mark(0)

    back = same(Named(kind=Kind.TELL, mark=Mark.RED | Mark.BLUE))
    assert back.kind is Kind.TELL and back.mark == Mark.RED | Mark.BLUE
    assert Named(mark="RED|BLUE").mark == Mark.RED | Mark.BLUE
    assert same(Named(kind=9)).kind == 9


def test_addresses_take_many_forms_and_give_netaddr() -> None:
    import ipaddress

    import netaddr

    class Ends(Header):
        mac: MAC
        six: IPv6Address = default("::1")
        xns: XNSAddress = default((1, 2, 3))

    for form in (
        "02:00:00:00:00:07",
        "02-00-00-00-00-07",
        "0200.0000.0007",
        0x020000000007,
        b"\2\0\0\0\0\7",
        netaddr.EUI(0x020000000007),
    ):
        assert same(Ends(mac=form)).mac == netaddr.EUI("02-00-00-00-00-07")
    assert str(same(Ends(mac=0)).mac) == "00:00:00:00:00:00"
    for six in ("fe80::1", ipaddress.ip_address("fe80::1"), netaddr.IPAddress("fe80::1")):
        assert same(Ends(mac=0, six=six)).six == netaddr.IPAddress("fe80::1")
    assert same(Ends(mac=0)).xns == XNSAddress(1, 2, 3)


def test_bytes_of_fixed_and_said_size_and_the_rest() -> None:
    class Pieces(Header):
        length: U8 = auto(size_of("name"))
        name: Bytes = b""
        fixed: Annotated[bytes, fixed_bytes(3)] = b"abc"
        count: U8 = 0
        words: Bytes = sized(field("count") * 2, b"")
        rest: Rest = b""

    back = same(Pieces(name=b"hello", count=1, words=b"xy", rest=b"tail"))
    assert (back.length, back.name, back.words, back.rest) == (5, b"hello", b"xy", b"tail")


def test_repeated_headers_by_count_by_size_and_until_one() -> None:
    class Item(Header):
        kind: U8 = 0
        length: U8 = auto(size_of("value"))
        value: Bytes = b""

    class Counted(Header):
        count: U8 = auto(count_of("items"))
        items: tuple[Item, ...] = many()
        after: U8 = 7

    class Sized(Header):
        size: U16 = auto(size_of("items"))
        items: tuple[Item, ...] = many()
        after: U8 = 7

    class Until(Header):
        items: tuple[Item, ...] = many(until=field("kind") == 0)
        after: U8 = 7

    items = (Item(kind=1, value=b"a"), Item(kind=0))
    for cls in (Counted, Sized, Until):
        back = same(cls(items=items))
        assert [(i.kind, i.value) for i in back.items] == [(1, b"a"), (0, b"")] and back.after == 7


def test_conditional_fields_are_absent_or_there() -> None:
    class Maybe(Header):
        flagged: U8 = auto(has("extra"))
        extra: U16 = when(field("flagged") == 1)
        wide: U8 = 0
        more: U32 = when({"wide": (2, 3)}, 5)

    assert bytes(Maybe()).hex() == "0000" and Maybe().extra is None
    assert bytes(Maybe(extra=0x0102)).hex() == "01010200"
    assert bytes(Maybe(wide=3)).hex() == "000300000005"
    assert Maybe(wide=3).more == 5 and Maybe(wide=1).more is None
    assert same(Maybe(extra=9, wide=2)).more == 5


def test_padding_fills_up_and_given_padding_stays() -> None:
    class Padded(Header):
        length: U8 = auto(size_of("name"))
        name: Bytes = b""
        fill: Bytes = pad(4)
        after: U8 = 1

    assert bytes(Padded(name=b"ab")).hex() == "0261620001"
    assert same(Padded(name=b"ab", fill=b"\xff")).fill == b"\xff"


def test_fields_behind_the_payload_cover_it() -> None:
    class Framed(Header):
        kind: U8 = 1
        payload: Payload = b""
        fcs: U32 = auto(crc32("self", "payload"))

    data = bytes(Framed() / b"123")
    import zlib

    assert data == b"\x01123" + zlib.crc32(b"\x01123").to_bytes(4, "big")
    packet = dissect(data, Framed)
    assert packet.payload == b"123" and packet.verdict(Framed, "fcs").name == "GOOD" and packet.encode() == data
    assert packet.replace(payload=b"9")[Framed].fcs == zlib.crc32(b"\x019")


def test_rules_with_scale_offset_and_choice() -> None:
    class Scaled(Header):
        words: U8 = auto(size_of("self") // 4 - 1)
        small: U8 = auto(choose(size_of("payload") < 3, size_of("payload"), 255))
        body: Bytes = sized((field("words") + 1) * 4 - 2, b"xx")

    back = dissect(bytes(Scaled(body=b"123456") / b"hi"), Scaled)
    assert (back[Scaled].words, back[Scaled].small, back[Scaled].body, back.payload) == (1, 2, b"123456", b"hi")


def test_the_next_number_comes_from_the_binding_in_both_directions() -> None:
    class Base(Header):
        kind: U8 = 9

    class One(Header, under=Base, when={"kind": (1, 11)}):
        a: U8 = 0

    class Two(Header, under=Base, when=field("kind") > 200):
        a: U8 = 0

    assert bytes(Base()).hex() == "09" and bytes(Base() / One(a=3)).hex() == "0103"
    assert One in dissect(b"\x0b\x05", Base) and Two in dissect(b"\xc9\x05", Base)


def test_a_class_declared_again_takes_its_own_place() -> None:
    def declare() -> type[Header]:
        class Twice(Header, under=Ether, when={"type": 0x9999}):
            a: U8 = 0

        return Twice

    first, second = declare(), declare()
    packet = dissect(bytes(Ether() / second(a=3)))
    assert second in packet and first not in packet


def test_two_classes_cannot_have_one_number() -> None:
    with pytest.raises(DeclareError, match="Rival under Ether: expected a free number .*0x800.*, got .*IPv4"):

        class Rival(Header, under=Ether, when={"type": 0x0800}):
            a: U8 = 0


def test_bindings_are_scoped() -> None:
    with bindings():

        class Guest(Header, under=Ether, when={"type": 0x9998}):
            a: U8 = 0

        assert Guest in dissect(bytes(Ether() / Guest()))
    assert dissect(bytes(Ether(type=0x9998) / b"\0")).payload == b"\0"


def test_compiled_code_outlives_scopes_in_which_nothing_was_bound_above_a_header() -> None:
    packet = Ether() / IPv4() / UDP(dport=9) / b"x"
    bytes(packet)
    before = [vars(cls)["_encode"] for cls in (Ether, IPv4, UDP)]
    with bindings():

        class Visitor(Header, under=ICMP, when={"type": 250}):
            a: U8 = 0

        bytes(Ether() / IPv4() / ICMP() / Visitor())
    assert [vars(cls)["_encode"] for cls in (Ether, IPv4, UDP)] == before
    with bindings():

        class Other(Header, under=UDP, when=field("dport") > 60000):
            a: U8 = 0

    assert vars(UDP)["_encode"] is not before[2]


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ({"a": "U4"}, "expected fields that fill whole bytes, got 4 bits"),
        ({"a": "int"}, "expected U1..U64"),
        ({"a": "Bytes"}, "expected a size"),
        ({"a": "Nonesuch"}, "expected an annotation that can be read"),
        ({"pseudo": "U8"}, "expected a name that is free"),
    ],
)
def test_a_wrong_body_is_refused_when_the_class_is_made(body: dict[str, str], complaint: str) -> None:
    annotations = dict(body)
    with pytest.raises(DeclareError, match=complaint):
        type(Header)(
            "Wrong", (Header,), {"__annotations__": annotations, "__module__": __name__, "__qualname__": "Wrong"}
        )


def test_rules_that_name_no_field_or_go_round_in_a_circle_are_refused() -> None:
    with pytest.raises(DeclareError, match="did you mean 'name'"):

        class Typo(Header):
            length: U8 = auto(size_of("nmae"))
            name: Rest = b""

    with pytest.raises(DeclareError, match="without a circle, got a -> b -> a"):

        class Circle(Header):
            a: U8 = auto(field("b"))
            b: U8 = auto(field("a"))


@pytest.mark.parametrize("checksum", [xns_checksum, crc32, crc32c, sctp_checksum])
def test_only_internet_checksums_have_a_pseudo_header(checksum: Any) -> None:
    # It is a number that is added: a CRC has nothing to add it to, and in the sum of XNS each place counts otherwise.
    with bindings(), pytest.raises(DeclareError, match=r"Odd\.check: expected .* internet checksums, got \w+\(pseudo"):

        class Odd(Header, under=IPv4, when={"protocol": 253}):
            check: U32 = auto(checksum("pseudo", "self", "payload"))


def test_values_that_do_not_fit_say_where_expected_and_got() -> None:
    with pytest.raises(BuildError, match=r"^IPv4\.ttl: expected 0\.\.255, got 300$") as caught:
        IPv4(ttl=300)
    assert (caught.value.where, caught.value.expected, caught.value.got) == ("IPv4.ttl", "0..255", 300)
    with pytest.raises(BuildError, match=r"IPv4\.tll: .*did you mean 'ttl'"):
        IPv4(tll=3)
    with pytest.raises(BuildError, match=r"IPv4\.src: expected an IPv4 address"):
        IPv4(src="nowhere")
    with pytest.raises(BuildError, match=r"IPv4\.length: expected 0\.\.65535, got 70020"):
        bytes(IPv4() / bytes(70000))


def test_a_field_without_default_must_be_given_to_build_but_not_for_a_prototype() -> None:
    class Needy(Header):
        a: U8

    assert Needy().matches(Needy(a=3))
    with pytest.raises(BuildError, match=r"Needy\.a: expected a value, got none"):
        bytes(Needy())


def test_headers_do_not_change() -> None:
    header = IPv4(ttl=3)
    with pytest.raises(AttributeError, match="replace"):
        header.ttl = 4
    with pytest.raises(AttributeError):
        header.tll = 4
    assert header.replace(ttl=4).ttl == 4 and header.ttl == 3


def test_a_constant_that_differs_is_a_fault() -> None:
    class Magic(Header):
        magic: U16 = const(0xCAFE)

    assert str(dissect(b"\xca\xff", Magic).faults[0]).startswith("Magic.magic: expected 51966")


def test_a_number_space_of_ones_own() -> None:
    class Outer(Header):
        kind: U16 = auto(next_protocol("test.kinds", otherwise=0xEEEE))

    class Other(Header):
        a: U8 = 0
        kind: U16 = auto(next_protocol("test.kinds"))

    class Inner(Header, under=Outer, when={"kind": 5}):
        x: U64 = 0

    assert bytes(Outer() / b"?")[:2].hex() == "eeee"
    assert bytes(Other() / Inner(x=1))[:3].hex() == "000005" and Inner in dissect(bytes(Other() / Inner()), Other)
    bind(Inner, under=Ether, when={"type": 0x7777})
    assert Inner in dissect(bytes(Ether() / Inner()))


def test_what_a_reader_would_have_to_know_too_early_is_refused() -> None:
    with pytest.raises(
        DeclareError, match=r"Late.data: expected presence and size to follow from fields before it, got n"
    ):

        class Late(Header):
            data: Bytes = sized(field("n"), b"")
            n: U8 = 0

    with pytest.raises(DeclareError, match=r"Later.data: .* got n"):

        class Later(Header):
            data: Bytes
            n: U8 = auto(size_of("data"))

    with pytest.raises(DeclareError, match=r"Flagged.key: .* got flags"):

        class Flagged(Header):
            key: U8 = when(field("flags"))
            flags: U8 = 0

    with pytest.raises(DeclareError, match=r"Behind.after: expected a fixed field or pad\(\) after a payload"):

        class Behind(Header):
            n: U8 = 0
            payload: Payload = b""
            after: U8 = when(field("n") > 1)
