"""A header class derived from another is a header of its own: its numbers, its options, its name in faults."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import packetlab as pl
from packetlab import (
    ICMP,
    TCP,
    U8,
    UDP,
    Bytes,
    DeclareError,
    DissectError,
    Ether,
    Header,
    IPv4,
    IPv6,
    auto,
    bind,
    bindings,
    choose,
    const,
    count_of,
    field,
    many,
    size_of,
    sized,
    when,
)
from packetlab.declare.expressions import expression
from packetlab.schema.dump import describe


@pytest.fixture(autouse=True)
def scoped() -> Iterator[None]:
    with bindings():
        yield


class Parent(Header):
    a: U8 = 0


class Child(Parent):
    b: U8 = 0


class Floor(Header):
    number: U8 = 0
    other: U8 = 0


def names(packet: Any) -> list[str]:
    return [type(layer).__name__ for layer in pl.dissect(bytes(packet)).layers]


def test_a_derived_class_is_sent_with_its_own_number_and_reads_back_as_itself() -> None:
    class First(Header, under=UDP, when={"dport": 7001}):
        a: U8 = 0

    class Second(First, under=UDP, when={"dport": (7002, 7003)}):
        b: U8 = 0

    class Third(Second):
        pass

    below = Ether() / IPv4() / UDP()
    assert [(below / one())[UDP].dport for one in (First, Second, Third)] == [7001, 7002, 7002]
    assert names(below / Second(a=1, b=2)) == ["Ether", "IPv4", "UDP", "Second"]
    assert pl.dissect(bytes(below / Second(a=1, b=2)))[Second] == Second(a=1, b=2)


def test_either_port_of_a_derived_class_is_its_own() -> None:
    class Asked(Header, under=UDP, when={"port": 7001}):
        a: U8 = 0

    class Other(Asked, under=UDP, when={"port": 7002}):
        pass

    assert names(Ether() / IPv4() / UDP() / Other()) == ["Ether", "IPv4", "UDP", "Other"]
    assert names(Ether() / IPv4() / UDP(sport=7002, dport=9) / Other())[-1] == "Other"


def test_a_number_reaches_derived_classes_without_one_in_any_order_and_leaves_with_its_scope() -> None:
    below = Ether() / IPv4() / UDP()
    bind(Parent, under=UDP, when={"dport": 7001})
    assert (below / Child())[UDP].dport == 7001
    with bindings():
        bind(Child, under=UDP, when={"dport": 7002})
        for _ in range(100):  # whole packets are compiled after a while
            assert ((below / Parent())[UDP].dport, (below / Child())[UDP].dport) == (7001, 7002)
        assert names(below / Child())[-1] == "Child"
    assert (below / Child())[UDP].dport == 7001


def test_what_a_condition_fills_in_for_derived_classes_ends_with_the_scope_that_declared_or_bound_them() -> None:
    bind(Parent, under=Floor, when=(field("number") > 5) & (field("other") == 1), sets={"number": 6, "other": 1})
    bind(Child, under=Floor, when={"number": 2})

    def floor(upper: type[Header]) -> bytes:
        return bytes(Floor() / upper())[:2]

    with bindings():

        class Heir(Parent):
            pass

        assert (floor(Heir), floor(Child)) == (b"\x06\x01", b"\x02\x01")
    assert floor(Heir) == b"\0\0"
    with bindings():
        bind(Child, under=Floor, when=field("number") > 8, sets={"number": 9})
        bind(Heir, under=Floor, when={"number": 3})
        assert (floor(Heir), floor(Child)) == (b"\x03\0", b"\x09\0")
    assert (floor(Heir), floor(Child)) == (b"\0\0", b"\x02\x01")


def test_a_derived_class_declared_again_has_its_new_number() -> None:
    bind(Parent, under=UDP, when={"dport": 7001})

    def declared(number: int) -> type[Parent]:
        class Again(Parent, under=UDP, when={"dport": number}):
            pass

        return Again

    declared(7002)
    again = declared(7003)
    assert names(Ether() / IPv4() / UDP() / again()) == ["Ether", "IPv4", "UDP", "Again"]
    assert (Ether() / IPv4() / UDP() / again())[UDP].dport == 7003


def test_what_a_conditional_binding_fills_in_is_filled_in_for_derived_classes_too() -> None:
    bind(Floor, under=Ether, when={"type": 0x88B5})
    bind(Parent, under=Floor, when={"number": 1, "other": 2})
    low = Ether() / Floor()

    def both(header: Header) -> tuple[int, int]:
        lower = pl.dissect(bytes(low / header))[Floor]
        return lower.number, lower.other

    assert both(Parent()) == both(Child()) == (1, 2)

    class C(Child):
        pass

    assert both(C()) == (1, 2)
    bind(Child, under=Floor, when={"number": 3, "other": 4})
    for _ in range(100):
        assert (both(Parent()), both(Child()), both(C())) == ((1, 2), (3, 4), (3, 4))
    assert names(low / Child()) == ["Ether", "Floor", "Child"]


def test_a_derived_class_bound_by_a_condition_is_not_sent_with_the_number_of_its_base() -> None:
    bind(Floor, under=Ether, when={"type": 0x88B5})
    bind(Parent, under=Floor, when={"number": 1})

    class Conditional(Parent, under=Floor, when=field("other") == 2):
        pass

    low = Ether() / Floor(other=2)
    for _ in range(100):
        assert names(low / Conditional()) == ["Ether", "Floor", "Conditional"]
        assert names(low / Parent()) == ["Ether", "Floor", "Parent"]


def test_the_first_of_several_bindings_is_filled_in_however_often_a_packet_is_built() -> None:
    bind(Floor, under=Ether, when={"type": 0x88B5})
    bind(Parent, under=Floor, when=field("other") == 1, sets={"number": 1})
    bind(Parent, under=Floor, when=field("other") == 2, sets={"number": 2})
    assert {bytes(Ether() / Floor() / Parent()) for _ in range(200)} == {bytes(Ether() / Floor(number=1) / Parent())}


# What a class says of the header as a whole --------------------------------------------------------------------


def test_checksums_above_a_derived_network_header_cover_its_addresses() -> None:
    class Network(IPv4):
        pass

    class Six(IPv6, under=Ether, when={"type": 0x88B6}):
        pass

    for below in (Ether() / Network(src="10.0.0.1", dst="10.0.0.2"), Ether() / Six(src="::1", dst="::2")):
        for above in (TCP(sport=1, dport=2), UDP(sport=1, dport=2)):
            for _ in range(100):
                packet = below / above / b"data"
                assert packet[type(above)].checksum
            assert set(pl.dissect(bytes(packet)).verdicts().values()) == {pl.Verdict.GOOD}
    plain = Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2") / TCP(sport=1, dport=2) / b"data"
    assert bytes(Ether() / Network(src="10.0.0.1", dst="10.0.0.2") / TCP(sport=1, dport=2) / b"data") == bytes(plain)


def test_a_later_fragment_of_a_derived_header_is_the_start_of_nothing() -> None:
    class Network(IPv4, under=Ether, when={"type": 0x88B7}):
        pass

    packet = pl.dissect(bytes(Ether() / Network(fragment_offset=2, protocol=17) / b"the rest of it"))
    assert [type(layer) for layer in packet.layers] == [Ether, Network]
    assert packet.payload == b"the rest of it" and not packet.faults


def test_a_first_fragment_and_a_quoted_packet_of_derived_headers_are_rightly_short() -> None:
    class Network(IPv4, under=Ether, when={"type": 0x88B7}):
        pass

    class Report(ICMP, under=IPv4, when={"protocol": 253}):
        pass

    datagram = bytes(UDP(sport=1, dport=2) / bytes(64))[:32]
    assert not pl.dissect(bytes(Ether() / Network(flags=1, protocol=17) / datagram)).faults
    quoted = bytes(IPv4(src="10.0.0.1", dst="10.0.0.2") / UDP() / bytes(64))[:28]
    assert not pl.dissect(bytes(Ether() / IPv4() / Report(type=3, code=1) / quoted)).faults


def test_what_ends_a_frame_ends_it_when_derived_and_a_class_may_say_otherwise() -> None:
    class Last(Header, under=Ether, when={"type": 0x88B8}, payload_size=0):
        a: U8 = 0

    class AlsoLast(Last, under=Ether, when={"type": 0x88B9}):
        b: U8 = 0

    class More(Last, under=Ether, when={"type": 0x88BA}, payload_size=2):
        pass

    read = pl.dissect(bytes(Ether() / AlsoLast()) + b"zz")
    assert type(read.layers[-1]) is AlsoLast and (read.payload, read.trailer) == (b"", b"zz")
    read = pl.dissect(bytes(Ether() / More()) + b"zzz")
    assert type(read.layers[-1]) is More and (read.payload, read.trailer) == (b"zz", b"z")


def test_a_length_that_is_left_out_is_left_out_of_derived_headers_too() -> None:
    class Network(IPv4, under=Ether, when={"type": 0x88B7}):
        pass

    whole = bytes(Ether() / Network(length=0) / UDP(sport=1, dport=2) / bytes(1600))
    assert not pl.dissect(whole).faults


def test_a_derived_class_travels_in_a_file_with_what_its_base_says() -> None:
    class Last(Header, payload_size=0, opaque=field("a") == 1):
        a: U8 = 0

    class Derived(Last):
        b: U8 = 0

    description = describe(Derived)
    assert description["payload_size"] == 0 and description["opaque"] == describe(Last)["opaque"]


@pytest.mark.parametrize("size", [-1, True, False, expression(-1)])
def test_a_payload_has_a_size_that_can_be(size: Any) -> None:
    with pytest.raises(DeclareError, match="Wrong, payload_size: expected a number of bytes or an expression"):

        class Wrong(Header, payload_size=size):
            a: U8 = 0


@pytest.mark.parametrize("word", ["size", "count"])
def test_items_have_a_number_that_can_be(word: str) -> None:
    with pytest.raises(DeclareError, match=r"Wrong\.items: expected a number from 0, got -1"):

        class Wrong(Header):
            items: tuple[Parent, ...] = many(**{word: -1})


def test_an_expression_for_the_size_of_a_payload_may_be_negative() -> None:
    class Known(Header, under=Ether, when={"type": 0x88BB}, payload_size=choose(field("a") == 1, 2, -1)):
        a: U8 = 0

    for a, payload in ((1, b"zz"), (0, b"zzz")):
        assert pl.dissect(bytes(Ether() / Known(a=a)) + b"zzz").payload == payload


# What it is called -----------------------------------------------------------------------------------------------


def test_faults_of_items_carry_the_name_of_the_class_that_was_read() -> None:
    class Record(Header):
        size: U8 = auto(size_of("self"))
        value: Bytes = sized(field("size") - 1, b"")

    class Outer(Header):
        size: U8 = auto(size_of("records"))
        records: tuple[Record, ...] = many(size=field("size"))

    class Inner(Outer):
        pass

    class Base(Header, under=Ether, when={"type": 0x88B5}):
        count: U8 = auto(count_of("records"))
        records: tuple[Record, ...] = many(count=field("count"))
        rest: tuple[Inner, ...] = many()

    class Derived(Base, under=Ether, when={"type": 0x88B6}):
        pass

    class Filled(Header, under=Ether, when={"type": 0x88B7}):
        records: tuple[Record, ...] = many(count=1, align=4)

    class DerivedFilled(Filled, under=Ether, when={"type": 0x88B8}):
        pass

    cases: list[tuple[type[Header], bytes, str]] = [
        (Derived, b"\1\5a", "Derived.records"),  # read at once
        (Derived, b"\0\5", "Derived.rest"),  # read when asked for
        (Derived, b"\0\2\1\5", "Inner.records"),  # ... inside items
        (Derived, b"\2\1", "Derived.records"),  # one is missing
        (DerivedFilled, b"\2axx", "DerivedFilled.records"),
    ]
    for cls, raw, where in cases:
        whole = bytes(Ether() / cls(records=(Record(),)))[:14] + raw
        read = pl.dissect(whole)
        reported = [f"{fault.layer}.{fault.field}" for fault in read.faults]
        assert where in reported and {fault.layer for fault in read.faults} <= {"Derived", "Inner", "DerivedFilled"}
        path = f"Ether/{reported[0]}" if reported[0].startswith("Derived") else f"Ether/Derived/{reported[0]}"
        with pytest.raises(DissectError, match=f"^{path}: expected"):
            pl.dissect(whole, strict=True)
    (fault, *_) = pl.dissect(bytes(Ether(type=0x88B5)) + b"\1\5a").faults
    assert fault.layer == "Base"


# What is bound above it ------------------------------------------------------------------------------------------


def shapes(lower: Any, upper: Any) -> set[tuple[str, tuple[str, ...]]]:
    """Return what the same stack is built to and read as, a header at a time and as a stack that came often."""
    built = [Ether() / lower() / upper() for _ in range(40)]
    return {(bytes(packet)[14:].hex(), tuple(names(packet)[1:])) for packet in built}


def test_a_number_bound_above_a_base_reaches_classes_that_were_used_before() -> None:
    class Base(Header, under=Ether, when={"type": 0x88B5}):
        kind: U8 = 12

    class Derived(Base, under=Ether, when={"type": 0x88B6}):
        b: U8 = 4

    class Twice(Derived, under=Ether, when={"type": 0x88B7}):
        pass

    raw_values = [bytes(Ether() / one()) for one in (Base, Derived, Twice)]
    with bindings():

        class Upper(Header, under=Base, when={"kind": 1}):
            x: U8 = 7

        assert shapes(Base, Upper) == {("0107", ("Base", "Upper"))}
        assert shapes(Derived, Upper) == {("010407", ("Derived", "Upper"))}
        assert shapes(Twice, Upper) == {("010407", ("Twice", "Upper"))}
    assert raw_values == [bytes(Ether() / one()) for one in (Base, Derived, Twice)]
    assert names(bytes(Ether() / Derived(kind=1)) + b"\7") == ["Ether", "Derived"]


def test_a_number_bound_above_a_derived_class_reaches_the_base_that_has_the_field() -> None:
    class Base(Header, under=Ether, when={"type": 0x88B5}):
        kind: U8 = 12

    class Derived(Base, under=Ether, when={"type": 0x88B6}):
        b: U8 = 4

    bytes(Ether() / Base())

    class Upper(Header, under=Derived, when={"kind": 1}):
        x: U8 = 7

    assert shapes(Base, Upper) == {("0107", ("Base", "Upper"))}


def test_a_number_of_its_own_bound_later_counts_in_a_lower_header_in_use() -> None:
    class Lower(Header, under=Ether, when={"type": 0x88B5}):
        number: U8 = 0
        other: U8 = 0

    class First(Header, under=Lower, when={"number": 1}):
        a: U8 = 0

    class Second(First, under=Lower, when=field("other") == 2):
        pass

    class Third(Second):
        pass

    assert shapes(lambda: Lower(other=2), Second) == {("000200", ("Lower", "Second"))}
    shapes(Lower, Third)
    with bindings():
        bind(Second, under=Lower, when={"number": 3})
        assert shapes(Lower, Second) == shapes(Lower, Third) == {("030000", ("Lower", "Second"))}
    assert shapes(lambda: Lower(other=2), Second) == {("000200", ("Lower", "Second"))}


def test_a_derived_class_bound_by_another_field_is_not_sent_with_the_number_of_its_base() -> None:
    class Lower(Header, under=Ether, when={"type": 0x88B5}):
        number: U8 = 0
        other: U8 = 0

    class First(Header, under=Lower, when={"number": 2}):
        a: U8 = 1

    assert shapes(Lower, First) == {("020001", ("Lower", "First"))}

    class Second(First, under=Lower, when={"other": 4}):
        pass

    assert shapes(Lower, Second) == {("000401", ("Lower", "Second"))}


def test_conditions_above_a_base_hold_above_derived_classes_after_their_own() -> None:
    class Base(Header, under=Ether, when={"type": 0x88B5}):
        a: U8 = 3

    class Derived(Base, under=Ether, when={"type": 0x88B6}):
        b: U8 = 4

    def read(a: int) -> list[str]:
        found = {tuple(names(bytes(Ether() / Derived(a=a)) + b"\7")) for _ in range(40)}
        (only,) = found
        assert pl.Capture.of([pl.Frame(bytes(Ether() / Derived(a=a)) + b"\7")]).where(only[-1].lower()).count() == 1
        return list(only[2:])

    assert read(1) == []

    class Always(Header, under=Base):
        x: U8 = 7

    class One(Header, under=Derived, when=field("a") == 1, sets={"a": 1}):
        x: U8 = 7

    class Two(Header, under=Base, when=field("a") == 2, sets={"a": 2}):
        x: U8 = 7

    assert read(1) == ["One"] and read(2) == read(3) == ["Always"]  # Always was bound before Two
    assert shapes(Derived, One) == {("010407", ("Derived", "One"))}
    with bindings():
        bind(Two, under=Derived, when=field("a") == 2, sets={"a": 2})
        assert shapes(Derived, Two) == {("020407", ("Derived", "Two"))}
    assert read(2) == ["Always"]


def test_the_reply_from_a_port_is_read_above_a_class_derived_from_udp() -> None:
    class MyUDP(UDP, under=IPv4, when={"protocol": 253}):
        pass

    class Query(Header, under=UDP, when={"port": 7777}):
        n: U8 = 0

    below = Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2")
    for udp in (MyUDP(), MyUDP(sport=7777, dport=1)):
        assert names(below / udp / Query()) == ["Ether", "IPv4", "MyUDP", "Query"]


def test_a_class_declared_again_keeps_what_was_bound_above_it() -> None:
    def lower(name: str = "kind") -> Any:
        body = {"__module__": __name__, "__annotations__": {name: U8}, name: 12}
        return type(Header)("Again", (Header,), body, under=Ether, when={"type": 0x88B5})

    first = lower()

    class ByNumber(Header, under=first, when={"kind": 1}):
        x: U8 = 7

    class ByCondition(Header, under=first, when=field("kind") == 2, sets={"kind": 2}):
        x: U8 = 7

    again = lower()
    assert shapes(again, ByNumber) == {("0107", ("Again", "ByNumber"))}
    assert shapes(again, ByCondition) == {("0207", ("Again", "ByCondition"))}
    other = lower("other")
    assert shapes(other, ByNumber) == shapes(other, ByCondition) == {("0c07", ("Again",))}


# Another default --------------------------------------------------------------------------------------------------


class Versioned(Header):
    version: U8 = 1
    kind: U8 = 4
    text: Bytes = sized(field("kind"), b"")
    size: U8 = auto(size_of("self"))


def test_a_plain_value_is_another_default_of_the_bases_field() -> None:
    class Base(Header, under=Ether, when={"type": 0x88B5}):
        version: U8 = 1
        kind: U8 = 4

    class Second(Base, under=Ether, when={"type": 0x88B6}):
        version = 2
        extra: U8 = 0

    class Third(Second, under=Ether, when={"type": 0x88B7}):
        kind = 7

    assert [bytes(one()).hex() for one in (Base, Second, Third)] == ["0104", "020400", "020700"]
    assert Second().version == 2 and Second(version=5).version == 5 and Second(version=5) != Second(version=6)
    assert Second(version=9).replace(version=pl.auto).version == 2
    raw = bytes(Ether(type=0x88B6)) + bytes([7, 4, 0])
    assert pl.dissect(raw)[Second].version == 7
    assert pl.Capture.of([pl.Frame(raw)]).table("second.version")["second.version"].tolist() == [7]
    assert pl.Capture.of([pl.Frame(raw)]).table(Second.version)["base.version"][0] == 7
    assert describe(Third)["fields"][0]["default"] == 2


@pytest.mark.parametrize("first", [True, False])
def test_numbers_bound_above_reach_a_field_with_another_default(first: bool) -> None:
    class Base(Header, under=Ether, when={"type": 0x88B5}):
        kind: U8 = 4

    def derived() -> Any:
        return type(Header)("Other", (Base,), {"__module__": "m", "kind": 9}, under=Ether, when={"type": 0x88B6})

    other = derived() if first else None
    with bindings():

        class Upper(Header, under=Base, when={"kind": 1}):
            x: U8 = 7

        other = other or derived()
        assert shapes(other, Upper) == {("0107", ("Other", "Upper"))}
        assert bytes(other()) == b"\x09" and bytes(Base()) == b"\x04"
    if first:
        assert bytes(Ether() / other() / b"\7")[14:] == b"\x09\x07"


@pytest.mark.parametrize(
    "body, complaint",
    [
        ({"version": const(3)}, r"B\.version: expected a plain value.*got const\(\.\.\.\) \(version = value"),
        ({"size": auto(1)}, r"B\.size: .*Versioned\.size has no default"),
        ({"version": when(field("kind"), 1)}, r"got when\(\.\.\.\)"),
        ({"version": property(lambda header: 1)}, "got a property"),
        ({"version": lambda header: 1}, "got a function"),
        ({"version": staticmethod(len)}, "got a "),
        ({"version": field("kind")}, "a plain value"),
        ({"version": 256}, r"B\.version: expected 0\.\.255, got 256"),
        ({"version": "x"}, r"B\.version: expected 0\.\.255"),
        ({"size": 3}, r"B\.size: .*Versioned\.size has no default"),
        ({"_version": 3}, r"B\._version: expected a name that is free"),
        ({"new": sized(field("kind"))}, r"B\.new: expected the kind of the field too \(new: U8"),
        ({"__annotations__": {"version": U8}, "version": 3}, r"version = value is another default"),
    ],
)
def test_anything_else_under_the_name_of_a_field_is_refused(body: dict[str, Any], complaint: str) -> None:
    with pytest.raises(DeclareError, match=complaint):
        type(Header)("B", (Versioned,), {"__module__": "m", **body})


def test_neither_a_class_besides_the_header_nor_a_later_value_hides_a_field() -> None:
    class Mixed:
        __slots__ = ()
        version = 3

    with pytest.raises(
        DeclareError, match=r"B\.version: expected the field version under that name, got what Mixed has"
    ):
        type(Header)("B", (Mixed, Versioned), {"__module__": "m"})
    with pytest.raises(DeclareError, match=r"Versioned\.version: expected a class body"):
        Versioned.version = 3  # type: ignore[misc, assignment]
    with pytest.raises(DeclareError, match=r"B: expected one base with fields, got Versioned, Parent"):
        type(Header)("B", (Versioned, Parent), {"__module__": "m"})
