"""Strategies from declarations: typed, readable again, and shrinking to what a person would write."""

from __future__ import annotations

import warnings
from functools import partial
from typing import Annotated, Any

import pytest
from hypothesis import HealthCheck, Phase, find as find_with, given, settings, strategies as st
from hypothesis.errors import NonInteractiveExampleWarning

import packetlab as pl
from packetlab import (
    ARP,
    ICMP,
    IDP,
    SPP,
    TCP,
    U8,
    U16,
    UDP,
    BuildError,
    Bytes,
    Control,
    Ether,
    Header,
    ICMPType,
    IPv4,
    ListenerReport,
    NDOption,
    Packet,
    TCPFlags,
    bindings,
    choose,
    computed,
    dissect,
    ended,
    field,
    sized,
    through,
    when,
)
from packetlab.codec.objects import declared_classes as declared
from tests.conftest import amount

DECLARED = [cls for cls in declared() if cls.__module__.startswith("packetlab.")]
RELAXED = settings(max_examples=amount(20, 500), suppress_health_check=list(HealthCheck))

# What is rare is looked for in as many examples as it takes, whatever an ordinary run tries.
find = partial(find_with, settings=settings(database=None, max_examples=2000))


def readable(packet: Packet) -> bool:
    back = dissect(bytes(packet), type(packet.layers[0]))
    return back == packet and back.layers == packet.layers and back.payload == packet.payload and not back.faults


@pytest.mark.slow
@pytest.mark.parametrize("values", ["valid", "any"])
@pytest.mark.parametrize("cls", DECLARED, ids=lambda cls: cls.__name__)
def test_every_declared_header_is_drawn_so_that_it_reads_back(cls: type[Header], values: Any) -> None:
    @settings(RELAXED, max_examples=amount(5, 200))
    @given(pl.strategies.packets(cls, values=values))
    def check(packet: Packet) -> None:
        assert type(packet.layers[0]) is cls and readable(packet)

    check()


@pytest.mark.slow
@settings(max_examples=amount(40, 2000), suppress_health_check=list(HealthCheck))
@given(pl.strategies.packets())
def test_any_stack_that_bindings_allow_reads_back(packet: Packet) -> None:
    assert readable(packet)


@pytest.mark.slow
def test_stacks_are_several_layers_deep() -> None:
    found = find(
        pl.strategies.packets(),
        lambda packet: len(packet.layers) >= 4,
        settings=settings(database=None, max_examples=1000),
    )
    assert readable(found)


@RELAXED
@given(pl.strategies.packets(Ether, IPv4, UDP))
def test_a_stack_named_is_the_stack_drawn_and_rules_are_left_to_derive(packet: Packet) -> None:
    assert [type(h) for h in packet.layers] == [Ether, IPv4, UDP]
    for header in packet._headers:
        derived = {f.name for f in header._fields if f.rule is not None} - {"dport"}
        assert not header.given & derived


@RELAXED
@given(
    pl.strategies.packets(Ether, IPv4(ttl=9), pl.strategies.headers(UDP, dport=st.integers(6000, 6010)), payload=b"x")
)
def test_prototypes_strategies_and_values_override(packet: Packet) -> None:
    assert packet[IPv4].ttl == 9 and 6000 <= packet[UDP].dport <= 6010 and packet.payload == b"x" and readable(packet)


@RELAXED
@given(pl.strategies.packets(IPv4, ICMP, IPv4))
def test_a_binding_by_condition_is_met(packet: Packet) -> None:
    assert packet[ICMP].type in (3, 4, 5, 11, 12)
    assert [type(h) for h in dissect(bytes(packet), IPv4).layers] == [IPv4, ICMP, IPv4]


def test_named_values_are_drawn_unless_any_is_requested() -> None:
    @RELAXED
    @given(pl.strategies.headers(ICMP), pl.strategies.headers(SPP))
    def valid(icmp: ICMP, spp: SPP) -> None:
        assert isinstance(icmp.type, ICMPType) and int(spp.control) & ~sum(Control) == 0

    valid()
    wild = find(pl.strategies.headers(ICMP, values="any"), lambda h: not isinstance(h.type, ICMPType))
    assert int(wild.type) not in list(ICMPType)


@pytest.mark.slow
def test_failures_shrink_to_what_one_would_write() -> None:
    quiet = settings(database=None, max_examples=200, phases=[Phase.generate, Phase.shrink])
    assert repr(find(pl.strategies.headers(TCP), lambda h: True, settings=quiet)) == "TCP()"
    assert (
        repr(find(pl.strategies.packets(Ether, IPv4, UDP), lambda p: True, settings=quiet))
        == "Ether() / IPv4() / UDP()"
    )
    small = find(pl.strategies.packets(Ether, IPv4, TCP), lambda p: p[TCP].seq > 1000, settings=quiet)
    assert repr(small) == "Ether() / IPv4() / TCP(seq=1001)"
    flagged = find(pl.strategies.headers(TCP), lambda h: TCPFlags.ACK in h.flags, settings=quiet)
    assert repr(flagged) == "TCP(flags=16)"


def test_sizes_that_come_in_units_are_kept() -> None:
    @RELAXED
    @given(pl.strategies.headers(NDOption), pl.strategies.headers(ListenerReport), pl.strategies.headers(ARP))
    def check(option: NDOption, report: ListenerReport, arp: ARP) -> None:
        assert len(bytes(option)) % 8 == 0
        for record in report.records:
            assert len(record.addresses) % 16 == 0 and len(record.auxiliary) % 4 == 0
        if arp.addresses is not None:
            assert len(arp.addresses) == 2 * (arp.hardware_size + arp.protocol_size)

    check()


@pytest.mark.slow
def test_types_give_strategies_those_declared_later_too() -> None:
    few = find(st.from_type(IPv4), lambda h: h.ttl < 64)  # one value alone would be looked for in hundreds of headers
    assert isinstance(few, IPv4) and few.ttl == 0
    with bindings():

        class Later(Header):
            kind: pl.U8 = 0

        assert find(st.from_type(Later), lambda h: h.kind > 4).kind == 5
        assert find(st.lists(st.from_type(Later), min_size=1), lambda found: found[0].kind > 7)[0].kind == 8


def test_a_field_that_is_none_is_refused() -> None:
    with pytest.raises(BuildError, match=r"IPv4.tll: .*did you mean 'ttl'"):
        pl.strategies.headers(IPv4, tll=3)


def test_drawn_headers_have_the_type_requested() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NonInteractiveExampleWarning)
        header: IDP = pl.strategies.headers(IDP, hops=3).example()
    assert header.hops == 3


@pytest.mark.slow
def test_a_declaration_of_ones_own_with_conditions_counts_and_units() -> None:
    with bindings():

        class Part(Header):
            size: pl.U8 = pl.auto(pl.size_of("note"))
            note: pl.Bytes = b""

        class Own(Header):
            kind: pl.U8 = 0
            words: pl.U8 = pl.auto(pl.size_of("self") // 4)
            count: pl.U8 = pl.auto(pl.count_of("parts"))
            flag: pl.U8 = pl.auto(pl.has("extra"))
            fixed: pl.U16 = pl.const(0xBEEF)
            extra: pl.U16 = pl.when(pl.field("flag") == 1)
            more: pl.U32 = pl.when(pl.field("kind") > 4)
            parts: tuple[Part, ...] = pl.many()
            tail: pl.Bytes = b""

        @settings(max_examples=amount(25, 2000), suppress_health_check=list(HealthCheck))
        @given(pl.strategies.packets(Own))
        def check(packet: Packet) -> None:
            assert readable(packet) and len(bytes(packet[Own])) % 4 == 0

        check()
        seen = find(
            pl.strategies.headers(Own), lambda h: h.extra is not None and h.more is not None and len(h.parts) > 1
        )
        assert seen.flag == 1 and seen.kind > 4


def test_text_that_another_class_takes_apart_is_read_where_what_is_in_it_cannot_be_built() -> None:
    with bindings():

        class Line(Header):
            name: pl.Text = pl.ended(b":", "Host")
            value: Annotated[str, pl.text(rest=True)] = "a"

        class Length(Line, inside="value", when={"name": "Content-Length"}):
            there: int = pl.computed(1)
            length: pl.Digits = 0

        wrong = Length(there=0)
        assert "there=0" in repr(wrong.value)
        with pytest.raises(BuildError, match=r"Length\.there: expected 1"):
            bytes(wrong)
        assert Length(length=5).value == "5"


def test_plain_numbers_tell_the_sizes_of_what_is_drawn() -> None:
    with bindings():

        class Held7D(Header):
            a: U16 = 0

        class Ended7D(Header):
            k: U8 = 0
            t: Bytes = ended(b"\0")

        class Plain7D(Header):
            n: U8 = 0
            i: Held7D = sized(field("n"), Held7D())

        class Masked7D(Header):
            n: U8 = 0
            i: Ended7D = sized(field("n") & 63)

        class Packed7D(Header):
            n: U8 = 0
            i: Bytes = through(pl.zlib(), sized(field("n")))

        class Long7D(Header):
            first: U8
            more: U8 | None = when(field("first") >= 128)
            size: int = computed(choose(field("first") >= 128, (field("first") & 127) + field("more") * 128, field("first")))
            i: Held7D | None = when(field("first") != 5, sized(field("size")))
            e: Bytes | None = when(field("first") == 5, sized(field("size")))

        for cls in (Plain7D, Masked7D, Packed7D, Long7D):
            assert len(_drawn_and_read(cls)) > 1


def _drawn_and_read(cls: type[Header]) -> set[bytes]:
    """Return the bytes of headers that are drawn, each of which reads back."""
    drawn = set()

    @settings(RELAXED, database=None, phases=[Phase.generate])
    @given(pl.strategies.headers(cls))
    def check(header: Header) -> None:
        packet = dissect(bytes(header), cls)
        assert packet[cls] == header
        assert not packet.faults
        drawn.add(bytes(header))

    check()
    return drawn
