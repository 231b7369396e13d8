"""A header is a kind of field (one of it), and so is a list of values of any kind."""

import struct
from collections.abc import Iterator
from ipaddress import IPv4Address as StandardAddress
from typing import Annotated, Any

import pytest
from hypothesis import given, strategies as st
from netaddr import EUI, IPAddress

import packetlab as pl
from packetlab import (
    MAC,
    S16,
    U8,
    U16,
    U32,
    BuildError,
    Capture,
    DeclareError,
    Ether,
    Frame,
    Header,
    IPv4,
    IPv4Address,
    Rest,
    U24le,
    auto,
    bindings,
    count_of,
    dissect,
    field,
    has,
    many,
    size_of,
    sized,
    when,
)
from packetlab.declare import registry
from packetlab.schema.dump import described
from packetlab.schema.load import declare_from
from packetlab.schema.source import class_body


class Endpoint(Header):
    addr: IPv4Address = pl.default("10.0.0.1")
    port: U16 = 5


class Call(Header, under=Ether, when={"type": 0x7A01}):
    size: U8 = auto(size_of("caller"))
    told: U8 = auto(has("third"))
    sender: Endpoint
    caller: Endpoint = sized(field("size"), Endpoint())
    third: Endpoint | None = when(field("told"))
    usual: Endpoint = Endpoint(addr="1.2.3.4")
    rest: Rest = b""


class Roster(Header, under=Ether, when={"type": 0x7A02}):
    hosts: U8 = auto(count_of("sources"))
    octets: U8 = auto(size_of("ports"))
    sources: tuple[IPv4Address, ...] = many()
    ports: tuple[U16, ...] = many()
    pair: tuple[U24le, ...] = many(count=2, value=(1, 2))
    levels: tuple[S16, ...] = many(size=field("hosts") * 2)
    stations: tuple[MAC, ...] = many()


@pytest.fixture(autouse=True)
def scoped() -> Iterator[None]:
    with bindings():
        yield


def call(**more: Any) -> pl.Packet:
    return Ether() / Call(sender=Endpoint(addr="9.9.9.9", port=7), **more)


endpoints = st.builds(
    Endpoint, addr=st.integers(0, 2**32 - 1).map(lambda n: n.to_bytes(4, "big")), port=st.integers(0, 65535)
)


@given(sender=endpoints, caller=endpoints, third=st.none() | endpoints, rest=st.binary(max_size=5))
def test_a_header_in_a_field_comes_back(sender, caller, third, rest) -> None:
    packet = Ether() / Call(sender=sender, caller=caller, third=third, rest=rest)
    found = dissect(bytes(packet))
    assert found == packet and not found.faults
    assert (found[Call].sender, found[Call].caller, found[Call].third) == (sender, caller, third)
    parts = [struct.pack(">4sH", one.addr.packed, one.port) for one in (sender, caller, third) if one is not None]
    usual = struct.pack(">4sH", StandardAddress("1.2.3.4").packed, 5)
    assert bytes(packet)[14:] == bytes([6, third is not None]) + b"".join(parts) + usual + rest


@given(st.binary(max_size=40))
def test_any_bytes_are_kept_and_say_what_is_wrong(data: bytes) -> None:
    for header in (0x7A01, 0x7A02):
        frame = bytes(12) + header.to_bytes(2, "big") + data
        packet = dissect(frame)
        assert bytes(packet) == frame
        packet.show()
        packet.encode()


def test_a_header_that_ends_early_is_a_fault_of_its_field_and_nothing_follows() -> None:
    whole = bytes(call())
    (fault,) = dissect(whole[:18]).faults
    assert (fault.layer, fault.field, fault.offset, fault.expected) == (
        "Call",
        "sender",
        16,
        "4 bytes for Endpoint.addr",
    )
    (fault,) = dissect(whole[:21]).faults
    assert (fault.field, fault.expected, fault.got) == ("sender", "2 bytes for Endpoint.port", "1")


def test_the_attribute_is_the_header_itself() -> None:
    header = call()[Call]
    assert (header.sender.port, header.third, str(header.usual.addr)) == (7, None, "1.2.3.4")
    assert dissect(bytes(call(third=Endpoint(port=9))))[Call].third.port == 9
    assert repr(header) == "Call(sender=Endpoint(addr='9.9.9.9', port=7))"


@pytest.mark.parametrize("wrong", [[Endpoint()], (Endpoint(), Endpoint()), Ether(), 5, "x"])
def test_what_is_no_such_header_is_refused(wrong: Any) -> None:
    with pytest.raises(BuildError, match=r"Call\.sender: expected a header \(Endpoint\)"):
        Call(sender=wrong)


def test_a_field_of_it_is_a_column_a_filter_and_part_of_a_pattern() -> None:
    packets = [call(), call(third=Endpoint(addr="8.8.8.8", port=53)), call(caller=Endpoint(port=80))]
    capture = Capture.of([Frame(bytes(packet)) for packet in packets])
    head = capture.table("call.sender.port", "call.caller.port", "call.third.addr").head(3)
    assert head["call.sender.port"].tolist() == [7, 7, 7] and head["call.caller.port"].tolist() == [5, 5, 80]
    assert capture.where("call.caller.port == 80").count() == 1
    assert capture.where("call.third.addr == 8.8.8.8").count() == 1
    assert capture.where(Call(caller=Endpoint(port=80))).count() == 1
    assert capture.where(Call(sender=Endpoint(port=80))).count() == 0


def test_replacing_it_derives_what_follows() -> None:
    class WideCall(Header):
        size: U8 = auto(size_of("inner"))
        inner: Endpoint = sized(field("size"))
        after: U8 = 1

    packet = dissect(bytes(call()))
    other = packet.replace(Call, third=Endpoint(port=1))
    assert other[Call].told == 1 and len(bytes(other)) == len(bytes(packet)) + 6
    assert WideCall(inner=Endpoint()).size == 6


def test_values_of_any_kind_repeat() -> None:
    lists = Roster(
        sources=["1.2.3.4", "5.6.7.8"], ports=[80, 443, 65535], levels=[-1, 300], stations=["02:00:00:00:00:01"]
    )
    packet = Ether() / lists
    wanted = struct.pack(">BB4s4s3H", 2, 6, b"\1\2\3\4", b"\5\6\7\x08", 80, 443, 65535)
    wanted += b"\1\0\0\2\0\0" + struct.pack(">2h", -1, 300) + bytes.fromhex("020000000001")
    assert bytes(packet)[14:] == wanted
    found = dissect(bytes(packet))
    assert found == packet and not found.faults
    assert (found[Roster].ports, found[Roster].levels, found[Roster].pair) == ((80, 443, 65535), (-1, 300), (1, 2))
    assert [str(one) for one in found[Roster].sources] == ["1.2.3.4", "5.6.7.8"]
    assert "sources            1.2.3.4, 5.6.7.8" in found.show()
    assert "count_of(sources) = 2" in found.why(Roster, "hosts")
    capture = Capture.of([Frame(bytes(packet)), Frame(bytes(packet.replace(Roster, ports=[1])))])
    assert capture.where(Roster(ports=[80, 443, 65535])).count() == 1
    assert capture.table("roster.ports").head(2).text("roster.ports") == ["80, 443, 65535", "1"]


@given(st.lists(st.integers(0, 2**32 - 1), max_size=9), st.lists(st.integers(0, 255), max_size=9))
def test_lists_of_numbers_come_back(wide: list[int], narrow: list[int]) -> None:
    class Numbers(Header):
        count: U8 = auto(count_of("wide"))
        wide: tuple[U32, ...] = many()
        narrow: tuple[U8, ...] = many()

    made = Numbers(wide=wide, narrow=narrow)
    assert bytes(made) == bytes([len(wide)]) + struct.pack(f">{len(wide)}I", *wide) + bytes(narrow)
    found = dissect(bytes(made), Numbers)
    assert (found[Numbers].wide, found[Numbers].narrow, found.faults) == (tuple(wide), tuple(narrow), ())


def test_bytes_that_are_no_whole_values_are_a_fault_and_stay() -> None:
    frame = bytes(Ether() / Roster(ports=[1], levels=[])) + b"\1\2"
    packet = dissect(frame)
    assert bytes(packet) == frame
    (fault,) = packet.faults
    assert (fault.field, fault.expected, fault.got) == ("stations", "a multiple of 6 bytes", r"b'\x01\x02'")
    with pytest.raises(BuildError, match=r"Roster\.ports: expected a multiple of 2 bytes, got 3 bytes"):
        Roster(ports=b"abc")
    with pytest.raises(BuildError, match=r"Roster\.ports: expected 0\.\.65535, got 70000"):
        Roster(ports=[70000])
    with pytest.raises(BuildError, match=r"Roster\.ports: expected a tuple of values"):
        Roster(ports=7)


def test_both_travel_as_data_and_as_source() -> None:
    for header in (Call, Roster):
        descriptions = described([header])
        with bindings():
            registry.unregister(header._declaration)
            again = {one.__name__: one for one in declare_from(descriptions)}
            assert described([again[header.__name__]]) == descriptions
        names: dict[str, Any] = {name: getattr(pl, name) for name in dir(pl)}
        with bindings():
            registry.unregister(header._declaration)
            for description in descriptions:
                exec(class_body(description), names)
            assert described([names[header.__name__]]) == descriptions


def test_a_list_of_addresses_says_so_in_help_and_in_the_diagram() -> None:
    assert "an IPv4 address, one after the other" in (Roster.__doc__ or "")
    assert "Endpoint" in (Call.__doc__ or "")
    wide = Annotated[int, pl.bits(pl.field("n"))]
    with pytest.raises(DeclareError, match=r"values of whole bytes, or that tell their own size"):
        type(Header)("X", (Header,), {"__annotations__": {"a": tuple[wide, ...]}, "a": many(count=2)})


def test_an_address_by_its_kind_is_the_value_that_a_field_gives() -> None:
    assert IPv4Address("10.0.0.1") == IPAddress("10.0.0.1") == IPv4(src="10.0.0.1").src
    assert MAC(b"\2\0\0\0\0\1") == EUI("02:00:00:00:00:01") == Ether(src=MAC("02:00:00:00:00:01")).src
    with pytest.raises(BuildError, match="an IPv4 address"):
        IPv4Address("10.0.0.256")


def test_values_that_are_seen_in_another_form_are_so_in_lists() -> None:
    class Floats(Header):
        count: U8 = auto(count_of("floats"))
        floats: tuple[pl.F32, ...] = many()
        halves: tuple[Annotated[float, pl.scaled(16, 0.5)], ...] = many(count=2)
        times: tuple[pl.UnixTime, ...] = many(count=1)

    made = Floats(floats=(1.5, -2), halves=(0.5, 7), times=("2024-01-01",))
    for header in (made, dissect(bytes(made), Floats)[Floats]):
        assert (header.floats, header.halves) == ((1.5, -2.0), (0.5, 7.0))
        assert [str(time) for time in header.times] == ["2024-01-01T00:00:00Z"]


def test_a_header_as_a_field_may_have_no_bytes() -> None:
    with bindings():

        class Entry7A(Header):
            number: U8

        class Entries7A(Header):
            entries: tuple[Entry7A, ...] = many()

        class Sized7A(Header):
            size: U8 = auto(size_of("entries"))
            entries: Entries7A = sized(field("size"))
            end: U8 = 3

        class Last7A(Header):
            number: U8
            entries: Entries7A

        for made in (
            Sized7A(entries=Entries7A()),
            Sized7A(entries=Entries7A(entries=[Entry7A(number=7)])),
            Last7A(number=1, entries=Entries7A()),
        ):
            packet = dissect(bytes(made), type(made))
            assert packet[type(made)] == made
            assert packet[type(made)].entries == made.entries
            assert not packet.faults


def test_a_header_as_a_field_that_is_there_has_to_be_given_and_ends_with_its_bytes() -> None:
    with bindings():

        class Inner7B(Header):
            number: U8

        class Outer7B(Header):
            kind: U8
            size: U8 = auto(size_of("inner"))
            inner: Inner7B | None = when(field("kind") == 0, sized(field("size")))
            other: Inner7B | None = when(field("kind") == 1)

        for kind, name in enumerate(("inner", "other")):
            with pytest.raises(BuildError, match=rf"Outer7B\.{name}: expected a value, got none"):
                bytes(Outer7B(kind=kind))
            made = Outer7B(kind=kind, **{name: Inner7B(number=9)})
            assert dissect(bytes(made), Outer7B)[Outer7B] == made
        packet = dissect(bytes.fromhex("00 03 09 09 09 ff"), Outer7B)
        assert packet[Outer7B].inner == Inner7B(number=9)
        assert str(packet.faults[0]) == "Outer7B.inner: expected Inner7B to end here at offset 3, got 2 bytes more"
        assert bytes(packet) == bytes.fromhex("00 03 09 09 09 ff")


def test_a_choice_may_go_by_what_stands_around_it() -> None:
    with bindings():

        class Body7C(Header):
            kind: int = pl.computed(field("^.kind"))

        class Frame7C(Header):
            kind: U8
            body: Body7C

        class Number7C(Body7C, when={"kind": 6}):
            number: U16

        class Frames7C(Body7C, when={"kind": 4}):
            inner: Frame7C

        made = Frame7C(kind=4, body=Frames7C(inner=Frame7C(kind=6, body=Number7C(number=5))))
        assert bytes(made) == bytes.fromhex("04 06 00 05")
        assert dissect(bytes(made), Frame7C)[Frame7C] == made


def test_a_header_behind_a_transform_is_tried_too() -> None:
    with bindings():

        class Inner7D(Header):
            number: U8

        class Packed7D(Header):
            size: U16 = auto(size_of("inner"))
            inner: Inner7D = pl.through(pl.zlib(), sized(field("size")))

        made = Packed7D(inner=Inner7D(number=9))
        assert dissect(bytes(made), Packed7D)[Packed7D] == made
