"""`replace` takes back whatever a capture gave, and refuses everything else with one kind of error."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from packetlab import (
    ARP,
    IDP,
    TCP,
    U8,
    UDP,
    BuildError,
    Ether,
    Header,
    ICMPv6,
    IPOption,
    IPv4,
    IPv6,
    Packet,
    Payload,
    Routing,
    any_value,
    between,
    dissect,
    masked,
    one_of,
    same_as,
)
from packetlab.packet.explain import Derivation, follows
from packetlab.protocols.linktypes import first_header
from tests.capture.test_corpus import NAMES, frames_of
from tests.conftest import amount
from tests.growth import steps


def own_values(packet: Packet) -> list[tuple[tuple[type[Header], int], str, Any]]:
    times: Counter[type[Header]] = Counter()
    found = []
    for header in packet.layers:
        place = type(header), times[type(header)]
        times[type(header)] += 1
        found += [(place, f.name, getattr(header, f.name)) for f in header._fields]
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_captured_value_may_be_given_back(name: str) -> None:
    for frame in frames_of(name)[:60]:
        for size in {len(frame.data), min(len(frame.data), 50), min(len(frame.data), 67)}:
            packet = dissect(frame.data[:size], first_header(frame.linktype), wire_length=frame.wire_length)
            for layer, field, value in own_values(packet):
                assert bytes(packet.replace(layer, **{field: value})) == frame.data[:size], (frame.number, layer, field)


WHOLE = dissect(bytes(Ether() / IPv4(options=[IPOption(kind=7, data=b"x")]) / UDP() / b"data"))
PATTERNS = st.sampled_from(
    [any_value, between(1, 5), between("1.1.1.1", "2.2.2.2"), one_of(1, 2), one_of(b"x"), masked(3, 1), same_as("name")]
)
ANYTHING = st.one_of(
    PATTERNS, st.lists(st.builds(IPOption, kind=PATTERNS.filter(lambda p: p in (any_value, between(1, 5)))), min_size=1),
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary(), st.just(object()), st.just(print),
    st.lists(st.one_of(st.none(), st.integers(), st.binary(), st.just(IPOption()), st.just(TCP))), st.just(range(3)),
    st.dictionaries(st.text(), st.integers()), st.complex_numbers(), st.just(Ether), st.just(IPv4()), st.just(WHOLE),
)  # fmt: skip


@settings(max_examples=amount(50, 4000))
@given(st.sampled_from([(layer, name) for layer, name, _ in own_values(WHOLE)] + [(UDP, "payload")]), ANYTHING)
def test_whatever_does_not_fit_is_a_build_error(place: Any, value: Any) -> None:
    with suppress(BuildError):
        assert bytes(WHOLE.replace(place[0], **{place[1]: value}))


def test_the_mark_of_the_payload_is_given_back_as_the_none_it_is_and_takes_nothing_else() -> None:
    class Framed(Header):
        first: U8 = 0
        body: Payload
        last: U8 = 0

    for cls, name, header in ((IDP, "payload", IDP(src="1H.2H.3")), (Framed, "body", Framed(first=7))):
        packet = dissect(bytes(header / b"data"), cls)
        every = {f.name: getattr(packet[cls], f.name) for f in cls._fields}
        assert every[name] is None and packet.replace(cls, **every) == packet == cls(**every) / b"data"
        assert packet[cls].replace(**{name: None}) == packet[cls]
        for refused in (b"x", 0, any_value):
            for ask in (cls, packet[cls].replace):
                with pytest.raises(
                    BuildError, match=rf"{cls.__name__}\.{name}: expected None, since it only marks a place"
                ):
                    ask(**{name: refused})
    assert (
        packet.replace(payload=b"more").payload
        == dissect(bytes(IDP() / b"data"), IDP).replace(IDP, payload=b"more").payload
    )
    with pytest.raises(BuildError, match="only marks a place"):
        packet.replace(Framed, body=b"more")


ROUTE = b"\x04" + bytes([4, 4, 4, 4])
STACKS = [
    Ether() / IPv4(dst="1.2.3.4") / UDP() / b"x",
    IPv4(options=[IPOption(kind=131, data=ROUTE)]) / TCP(),
    Ether() / IPv6() / Routing(segments_left=1, data=bytes(20)) / UDP() / b"x",
    IPv6() / IPv6() / TCP() / b"x",
    IPv6() / ICMPv6(),
]
ASKING = [
    bytes, len, hash, Packet.verdicts, Packet.dump, Packet.to_scapy, Packet.to_dpkt, Packet.deep, lambda p: p.layers, lambda p: p == p,
    lambda p: p.diff(p), lambda p: p.replace(payload=b"y"), lambda p: p.vary(2, payload=[b"y", b"z"]),
]  # fmt: skip
SHOWING = [repr, str, Packet.show, Packet.summary, lambda p: p.faults, lambda p: p._repr_mimebundle_()]


def prototypes(packet: Packet) -> list[Packet]:
    found = [packet.replace(place, **{name: any_value}) for place, name, _ in own_values(packet)]
    if IPv4 in packet:
        for name in ("kind", "data", "length"):
            option = {"kind": 131, "data": ROUTE} | {name: any_value}
            found.append(packet.replace(IPv4, options=[IPOption(kind=1), IPOption(**option)]))
    return found


@pytest.mark.parametrize("packet", STACKS, ids=Packet.summary)
def test_a_pattern_in_any_field_has_no_bytes_and_shows_itself(packet: Packet) -> None:
    for _ in range(40):  # from the sixteenth on by a function compiled for the whole stack
        assert bytes(Packet(packet._headers, packet.payload)) == bytes(packet)
    for prototype in prototypes(packet):
        for show in SHOWING:
            assert show(prototype) is not None
        for ask in ASKING:
            with pytest.raises(BuildError, match="expected one value to build from, got any_value"):
                ask(prototype)


def test_a_pattern_among_the_items_of_a_header_is_known_however_it_came_there() -> None:
    option = IPOption(kind=131, data=any_value)
    for header in (IPv4(options=[option]), IPv4().replace(options=[option]), IPv4(options=option).replace(ttl=1)):
        with pytest.raises(BuildError, match="IPOption.data: expected one value"):
            bytes(header / UDP())
    assert bytes(IPv4(options=[option]).replace(options=[]) / UDP()) == bytes(IPv4() / UDP())


@pytest.mark.parametrize("value", [5, None, 2.5, object()])
def test_items_and_payloads_want_what_they_are_made_of(value: Any) -> None:
    with pytest.raises(BuildError, match=r"IPv4.options: expected headers \(IPOption\)"):
        WHOLE.replace(IPv4, options=value)
    with pytest.raises(BuildError, match="payload: expected bytes"):
        WHOLE.replace(payload=value)
    with pytest.raises(BuildError, match="expected headers"):
        IPv4(options=value) if value is not None else WHOLE[IPv4].replace(options=value)


@pytest.mark.parametrize(
    "make",
    [
        lambda text: UDP() / text,
        lambda text: (UDP() / b"x").replace(payload=text),
        lambda text: ARP(addresses=text),
        lambda text: (Ether() / ARP()).replace(ARP, addresses=text),
    ],
)
def test_text_that_utf8_cannot_carry_is_a_build_error(make) -> None:
    with pytest.raises(BuildError, match="text that UTF-8 can carry"):
        make("a\ud800b")


@pytest.mark.parametrize("name", NAMES)
def test_an_edit_derives_what_was_consistent_and_nothing_else(name: str) -> None:
    """Held to the rules evaluated in the open, a field at a time, on packets whole and cut."""
    for frame in frames_of(name)[:40]:
        for size in {len(frame.data), min(len(frame.data), 50), min(len(frame.data), 67)}:
            packet = dissect(frame.data[:size], first_header(frame.linktype), wire_length=frame.wire_length)
            edited = packet.replace(payload=packet.payload)
            for i, (before, after) in enumerate(zip(packet.layers, edited._headers, strict=True)):
                scope, cut = Derivation(packet, i), before._state >> 2 * len(before._fields)
                for f in before._fields:
                    ruled = (f.rule is not None or f.pad) and getattr(before, f.slot) is not None and not cut
                    derived = ruled and follows(scope, f)
                    assert after.state(f.name) == ("auto" if derived else "captured"), (frame.number, i, f.name)
            assert bytes(edited) == frame.data[:size]


@pytest.mark.parametrize("wrong", ["", "checksum"])
def test_an_edit_takes_few_steps_whether_or_not_all_was_consistent(wrong: str) -> None:
    whole = Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2", ttl=9) / TCP(sport=1, dport=2) / bytes(50)
    data = bytes(whole.replace(TCP, checksum=1) if wrong else whole)
    for _ in range(40):
        bytes(dissect(data).replace(IPv4, ttl=1))  # until its stack has functions of its own
    packet, edited = dissect(data), []
    taken = steps(lambda: edited.append(bytes(packet.replace(IPv4, ttl=1))))
    assert taken < 1000, taken
    assert dissect(edited[0])[TCP].checksum == (1 if wrong else whole[TCP].checksum)
