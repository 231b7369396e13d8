"""Rewriting of known headers where they are not expected: below, above and beside headers of one's own, and cut."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any

import pytest

import packetlab as pl
from packetlab import (
    ARP,
    ICMP,
    IDP,
    MAC,
    U8,
    U16,
    U32,
    UDP,
    AuthenticationHeader,
    Capture,
    DestinationOptions,
    Ether,
    Frame,
    Header,
    ICMPv6,
    ICMPv6Echo,
    IPOption,
    IPv4,
    IPv4Address,
    IPv6,
    IPv6Address,
    IPv6Option,
    LinuxSLL,
    LinuxSLL2,
    ListenerMessage,
    ListenerRecord,
    ListenerReport,
    NDOption,
    NeighborAdvertisement,
    NeighborSolicitation,
    Redirect,
    RouterAdvertisement,
    RouterSolicitation,
    Routing,
    auto,
    bind,
    bindings,
    default,
    field,
    internet_checksum,
    many,
    next_protocol,
)
from packetlab.bulk.batch import Batch
from packetlab.capture.flows.numbers import flow_numbers
from tests.conftest import amount

pytestmark = pytest.mark.slow

MAPS: dict[str, Any] = {
    "ip": {"10.0.0.0/8": "172.0.0.0/8", "2001:db8::/32": "2001:db9::/32"},
    "mac": {"02:00:00:00:00:09": "06:00:00:00:00:09"},
}
ALL = {"maps": MAPS, "anonymise": {"anonymise": "a secret"}}
E = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
FOUR, SIX = IPv4(src="10.0.0.1", dst="10.0.0.2"), IPv6(src="2001:db8::1", dst="2001:db8::2")
STATION = bytes.fromhex("020000000009")


def raw(*texts: str) -> bytes:
    return b"".join(ip_address(text).packed for text in texts)


def rewritten(packet: Any, linktype: int = 1, **how: Any) -> tuple[bytes, Capture]:
    """Return a packet rewritten, whose verdicts and size are to stay."""
    frame = Frame(bytes(packet), linktype=linktype)
    capture = Capture.of([frame]).rewrite(**how)
    (new,) = capture
    assert list(new.packet().verdicts().values()) == list(frame.packet().verdicts().values())
    assert len(new.data) == len(frame.data)
    return new.data, capture


def gone(packet: Any, *addresses: bytes, linktype: int = 1, **how: Any) -> bool:
    """Whether addresses that are in a packet are all rewritten, none left."""
    assert all(address in bytes(packet) for address in addresses)
    data, capture = rewritten(packet, linktype, **how)
    return not capture.left and not any(address in data for address in addresses)


class Net(Header, pseudo=("src", "dst")):
    protocol: U8 = auto(next_protocol("ip.protocol", otherwise=255))
    pad: U8 = 0
    src: IPv6Address = default("2001:db8::1")
    dst: IPv6Address = default("2001:db8::2")


class Shim(Header):
    note: U8 = 0
    next: U8 = auto(next_protocol("ip.protocol", otherwise=255))


class Talk(Header):
    sport: U16 = 0
    dport: U16 = 0
    checksum: U16 = auto(internet_checksum("pseudo", "self", "payload"))


class Mine(Header):
    """Fields that look like the messages that others would have here."""

    one: U16 = 0x2200
    two: U32 = 0x00000001
    three: U32 = 0x01000001
    four: U32 = 0x0A000007
    who: IPv4Address = default("10.0.0.77")


@pytest.fixture(autouse=True)
def mine() -> Iterator[None]:
    with bindings():
        bind(Net, under=Ether, when={"type": 0x88B6})
        bind(Shim, under=UDP, when={"dport": 7777})
        bind(Talk, under=IPv4, when={"protocol": 253})
        bind(ICMPv6, under=Net, when={"protocol": 58})
        yield


STATIONS = [NDOption(kind=1, data=STATION)]
QUOTED = IPv6(src="2001:db8::77", dst="2001:db8::78") / UDP()
ICMPV6: dict[str, tuple[Any, bytes]] = {
    "router solicitation": (ICMPv6(type=133) / RouterSolicitation(options=STATIONS), STATION),
    "router advertisement": (ICMPv6(type=134) / RouterAdvertisement(options=STATIONS), STATION),
    "solicitation": (ICMPv6(type=135) / NeighborSolicitation(target="2001:db8::9", options=STATIONS), STATION),
    "advertisement": (ICMPv6(type=136) / NeighborAdvertisement(target="2001:db8::9", options=STATIONS), STATION),
    "redirect": (
        ICMPv6(type=137) / Redirect(target="2001:db8::5", options=[NDOption(kind=4, data=bytes(6) + bytes(QUOTED))]),
        raw("2001:db8::77"),
    ),
    "query": (ICMPv6(type=130) / ListenerMessage(group="ff02::1") / (b"\2\x7d\0\1" + raw("2001:db8::97")), raw("2001:db8::97")),
    "report": (
        ICMPv6(type=143) / ListenerReport(records=[ListenerRecord(group="ff02::7", addresses=raw("2001:db8::97"))]),
        raw("2001:db8::97"),
    ),
}  # fmt: skip
BELOW: dict[str, Any] = {
    "IPv4": IPv4(src="10.0.0.1", dst="10.0.0.2", protocol=58), "own": Net(protocol=58),
    "UDP": FOUR / UDP(dport=7777) / Shim(next=58), "AH": FOUR / AuthenticationHeader(next_header=58),
}  # fmt: skip


@pytest.mark.parametrize("how", ALL)
@pytest.mark.parametrize("below", BELOW)
@pytest.mark.parametrize("name", ICMPV6)
def test_messages_of_icmpv6_are_rewritten_wherever_they_stand(how: str, below: str, name: str) -> None:
    message, address = ICMPV6[name]
    assert gone(E / BELOW[below] / bytes(message), address, **ALL[how])


ROUTERS = ICMP(type=9) / (b"\2\2\0\x10" + raw("10.0.0.7") + bytes(4) + raw("10.0.0.8") + bytes(4))
MEMBERS = bytes.fromhex("2200000000000001010000010a0000070a000008")


@pytest.mark.parametrize("how", ALL)
@pytest.mark.parametrize(
    "packet",
    [
        Net(protocol=1) / bytes(ROUTERS), FOUR / AuthenticationHeader(next_header=1) / bytes(ROUTERS),
        FOUR / UDP(dport=7777) / Shim(next=1) / bytes(ROUTERS), Net(protocol=2) / MEMBERS,
        IPv6(src="2001:db8::1", dst="2001:db8::2", next_header=2) / MEMBERS,
        FOUR / AuthenticationHeader(next_header=2) / MEMBERS, SIX / AuthenticationHeader(next_header=2) / MEMBERS,
    ],
)  # fmt: skip
def test_routers_and_groups_are_rewritten_wherever_they_stand(how: str, packet: Any) -> None:
    assert gone(E / packet, raw("10.0.0.7"), raw("10.0.0.8"), **ALL[how])


@pytest.mark.parametrize("how", ALL)
def test_options_and_routes_are_rewritten_wherever_they_stand(how: str) -> None:
    home = DestinationOptions(
        options=[IPv6Option(kind=1, data=bytes(2)), IPv6Option(kind=0xC9, data=raw("2001:db8::a"))]
    )
    route = Routing(segments_left=0, data=bytes(4) + raw("2001:db8::b"))
    for number, header, address in ((60, home, "2001:db8::a"), (43, route, "2001:db8::b")):
        for below in (Net(protocol=number), IPv4(protocol=number), FOUR / UDP(dport=7777) / Shim(next=number)):
            assert gone(E / below / bytes(header / UDP()), raw(address), **ALL[how])


@pytest.mark.parametrize("how", ALL)
def test_a_header_of_ones_own_above_any_message_is_rewritten(how: str) -> None:
    class Probe(Header, under=ICMPv6Echo):
        who: IPv6Address = default("2001:db8::77")
        station: MAC = default("02:00:00:00:00:09")

    assert gone(E / SIX / ICMPv6(type=128) / ICMPv6Echo() / Probe(), raw("2001:db8::77"), STATION, **ALL[how])


@pytest.mark.parametrize("how", ALL)
def test_what_is_derived_from_a_known_header_holds_addresses_as_that_does(how: str) -> None:
    class MyIP(IPv4, under=Ether, when={"type": 0x9ABC}):
        pass

    class MyARP(ARP, under=Ether, when={"type": 0x88B8}):
        pass

    class MyND(NeighborSolicitation, under=ICMPv6, when={"type": 200}):
        pass

    class Options(Header, under=Ether, when={"type": 0x9ABD}):
        options: tuple[NDOption, ...] = many()

    recorded = [IPOption(kind=1), IPOption(kind=7, data=b"\x0c" + raw("10.6.6.6", "10.5.5.5"))]
    my_ip = MyIP(src="10.0.0.1", dst="10.0.0.2", options=recorded, protocol=17)
    packets: list[tuple[Any, type[Header], list[bytes]]] = [
        (E / my_ip / bytes(UDP(checksum=0)), MyIP, [raw("10.6.6.6"), raw("10.5.5.5"), raw("10.0.0.1")]),
        (E / MyARP(hardware_size=0, addresses=raw("10.0.0.3", "10.0.0.4")), MyARP, [raw("10.0.0.3")]),
        (E / SIX / ICMPv6() / MyND(target="2001:db8::9", options=STATIONS), MyND, [STATION]),
        (E / Options(options=STATIONS), Options, [STATION]),
    ]
    for packet, read, addresses in packets:
        assert read in [type(layer) for layer in pl.dissect(bytes(packet)).layers]
        assert gone(packet, *addresses, **ALL[how])


@pytest.mark.parametrize("how", ALL)
def test_cooked_headers_above_others_are_rewritten(how: str) -> None:
    bind(LinuxSLL, under=Ether, when={"type": 0x88BA})
    bind(LinuxSLL2, under=Ether, when={"type": 0x88BB})
    for kind in (LinuxSLL, LinuxSLL2):
        assert gone(E / kind(address=STATION + bytes(2)) / FOUR / UDP(), STATION, raw("10.0.0.1"), **ALL[how])


@pytest.mark.parametrize("how", ["src_ip", "dst_ip", "ip"])
@pytest.mark.parametrize("before", [[], [IPOption(kind=1)], [IPOption(kind=1)] * 2])
@pytest.mark.parametrize("final", ["10.0.0.1", "10.0.0.2", "10.7.7.7"])
def test_a_checksum_of_ones_own_follows_the_final_destination_wherever_it_stands(
    how: str, before: list[Any], final: str
) -> None:
    route = IPOption(kind=0x83, data=b"\4" + raw("10.6.6.6", final))
    packet = E / IPv4(src="10.0.0.1", dst="10.0.0.2", options=[*before, route]) / Talk() / b"hello"
    rewritten(packet, **{how: MAPS["ip"]})
    routing = Routing(segments_left=1, data=bytes(4) + raw("2001:db8::6", final.replace("10.0.0.", "2001:db8::").replace("10.7.7.7", "2001:db8::7")))  # fmt: skip
    bind(Talk, under=IPv6, when={"next_header": 253})
    rewritten(E / SIX / routing / Talk() / b"hello", **{how: MAPS["ip"]})


def test_what_is_bound_by_a_condition_is_nothing_else() -> None:
    for lower, holds, packet in (
        (IPv4, (field("protocol") == 2) & (field("ttl") == 1), IPv4(src="10.0.0.1", protocol=2, ttl=1)),
        (ICMP, field("type") == 9, FOUR / ICMP(type=9)),
    ):
        for addressed in (True, False):
            with bindings():
                own: Any = Mine
                if not addressed:

                    class Plain(Header):
                        one: U16 = 0x0202
                        two: U32 = 0x00100A0B
                        three: U32 = 0x0A0B0C0D

                    own = Plain
                bind(own, under=lower, when=holds)
                data, capture = rewritten(E / packet / own() / b"payload!", anonymise="k")
                was, now = own(), pl.dissect(data)[own]
                same = [f.name for f in own._fields if getattr(was, f.slot) == getattr(now, f.slot)]
                assert same == [f.name for f in own._fields if f.name != "who"] and not capture.left


def test_fragments_of_transports_of_ones_own_are_of_one_conversation() -> None:
    bind(Talk, under=IPv6, when={"next_header": 253})
    first = E / SIX / pl.Fragment(more=1) / Talk(sport=80, dport=4000) / bytes(20)
    second = E / SIX / pl.Fragment(offset=3, next_header=253) / bytes(20)
    assert len(set(flow_numbers(Batch.of([bytes(first), bytes(second)])).tolist())) == 1
    four = IPv4(src="10.0.0.1", dst="10.0.0.2", protocol=253)
    first = E / four.replace(flags=1) / Talk(sport=80, dport=4000) / bytes(18)
    second = E / four.replace(fragment_offset=3) / bytes(20)
    assert len(set(flow_numbers(Batch.of([bytes(first), bytes(second)])).tolist())) == 1
    assert list(Capture.of([first, second]).sides("port")) == ["server", "server"]


def left(packet: Any, linktype: int = 1) -> list[str]:
    return list(rewritten(packet, linktype, **MAPS)[1].left)


def test_options_of_neighbour_discovery_are_rewritten_or_counted() -> None:
    def advertised(kind: int, data: bytes) -> Any:
        return E / SIX / ICMPv6(type=134) / RouterAdvertisement(options=[NDOption(kind=kind, data=data)])

    for kind in (9, 10, 25):
        assert gone(advertised(kind, bytes(6) + raw("2001:db8::51", "2001:db8::52")), raw("2001:db8::52"), **MAPS)
    assert left(advertised(1, STATION + bytes(8))) == ["a link-layer address that is no MAC address"]
    for kind, data in ((33, bytes(6) + STATION + bytes(2)), (34, bytes(14)), (38, bytes(14)), (200, bytes(6))):
        assert left(advertised(kind, data)) == [f"an option {kind} of neighbour discovery"]
    for kind in (5, 14, 31):
        assert not left(advertised(kind, bytes(6)))
    assert left(E / SIX / Routing(kind=3, data=bytes(4) + raw("2001:db8::9")) / UDP()) == [
        "a routing header of an unknown type"
    ]


def test_addresses_of_other_sizes_in_arp_are_counted() -> None:
    sizes = {"hardware_size": 6, "protocol_size": 16}
    ends = STATION + raw("2001:db8::3") + bytes(6) + raw("2001:db8::4")
    assert gone(E / ARP(**sizes, addresses=ends), STATION, raw("2001:db8::3"), **MAPS)
    eight = E / ARP(hardware=24, hardware_size=8, addresses=STATION + bytes(2) + raw("10.0.0.3") + bytes(12))
    data, capture = rewritten(eight, **MAPS)
    assert raw("10.0.0.3") not in data and list(capture.left) == ["hardware addresses in ARP that are no MAC addresses"]
    assert "protocol addresses in ARP that are no IP addresses" in left(E / ARP(protocol_size=3, addresses=bytes(18)))


LONG: dict[str, Any] = {
    "record": E / IPv4(src="10.0.0.1", options=[IPOption(kind=7, data=b"\x08" + raw("10.0.0.7", "10.0.0.8"))]) / UDP(sport=5000),
    "route": E / SIX / Routing(segments_left=2, data=bytes(4) + raw("2001:db8::7", "2001:db8::8")) / UDP(sport=5000),
    "home": E / SIX / DestinationOptions(options=[IPv6Option(kind=1, data=bytes(2)), IPv6Option(kind=0xC9, data=raw("2001:db8::a"))]) / UDP(),
    "advertisement": E / SIX / ICMPv6(type=134) / RouterAdvertisement(options=[*STATIONS, NDOption(kind=3, data=bytes(14) + raw("2001:db8::7"))]),
    "arp": E / ARP(sender_mac="02:00:00:00:00:09", sender_ip="10.0.0.5", target_ip="10.0.0.6"),
    "icmp": E / FOUR / ICMP(type=5, gateway="10.0.0.9") / IPv4(src="10.0.0.3", dst="10.0.0.4") / UDP(),
    "igmp": E / IPv4(src="10.0.0.1", protocol=2) / MEMBERS,
    "report": E / SIX / ICMPv6(type=143) / ListenerReport(records=[ListenerRecord(group="2001:db8::7", addresses=raw("2001:db8::8"))]),
    "xns": E / IDP(src="1#02:00:00:00:00:03#1", dst="1#02:00:00:00:00:09#1"),
    "query": E / BELOW["own"] / bytes(ICMPV6["query"][0]),
    "faulty": E / IPv4(src="10.0.0.1", options=[IPOption(kind=0x83, data=b"\4" + raw("10.0.0.3"))]) / Talk(),
    "own": E / Net(protocol=17) / bytes(UDP(checksum=1)),
}  # fmt: skip


@pytest.mark.parametrize("name", LONG)
def test_an_address_that_the_capture_cut_inside_is_counted(name: str) -> None:
    whole = bytes(LONG[name])
    ends = ("10.0.0.", "2001:db8::"), range(1, 11)
    known = [
        raw(start + f"{number:x}" if ":" in start else f"{start}{number}") for start in ends[0] for number in ends[1]
    ]
    places = {at: one for one in [*known, STATION] for at in range(14, len(whole)) if whole.startswith(one, at)}
    assert places
    # Around both ends of each address, and at some places between; a search tries all.
    near = {at + end + more for at, one in places.items() for end in (0, len(one)) for more in (-1, 0, 1, 2)}
    for size in range(14, len(whole) + 1):
        if size not in near and size % amount(4, 1):
            continue
        capture = Capture.of([Frame(whole[:size], wire_length=len(whole))]).rewrite(**MAPS)
        (frame,) = capture
        for at, address in places.items():
            if at + len(address) <= size:
                assert capture.left or not frame.data.startswith(address, at)
            elif at + 1 < size:
                assert capture.left
    assert not capture.left


def test_a_checksum_that_may_be_none_does_not_become_none_by_following_a_cut_packet() -> None:
    for src in range(1, 4):
        packet = bytes(E / Net(src="2001:db8::1", protocol=17) / bytes(UDP(sport=1, dport=2, checksum=src) / bytes(40)))
        (frame,) = Capture.of([Frame(packet[:70], wire_length=len(packet))]).rewrite(
            ip={"2001:db8::1/128": f"2001:db8::{1 + src:x}"}
        )
        assert frame.packet()[UDP].checksum == 0xFFFF


def test_a_route_of_ones_own_names_the_final_destination() -> None:
    class Route(Header, under=IPv6, when={"next_header": 252}, pseudo=("", "last")):
        next: U8 = auto(next_protocol("ip.protocol", otherwise=255))
        pad: pl.U24 = 0
        near: IPv6Address = default("2001:db8::3")
        last: IPv6Address = default("2001:db8::3")

    bind(Talk, under=Route, when={"next": 253})
    assert gone(E / SIX / Route() / Talk() / b"hello", raw("2001:db8::3"), **MAPS)


def test_items_that_a_cut_makes_unreadable_are_counted() -> None:
    class Leaf(Header):
        who: IPv4Address = default("10.0.0.50")

    class Tree(Header, under=Ether, when={"type": 0x88C0}):
        count: U8 = auto(pl.count_of("leaves"))
        leaves: tuple[Leaf, ...] = many(count=field("count"))

    whole = bytes(E / Tree(leaves=[Leaf(), Leaf(), Leaf()]))
    for size in range(16, len(whole) + 1):
        capture = Capture.of([Frame(whole[:size], wire_length=len(whole))]).rewrite(**MAPS)
        (frame,) = capture
        assert capture.left or raw("10.0.0.50") not in frame.data
        assert bool(capture.left) == (size < len(whole))


@pytest.mark.parametrize("how", ALL)
@pytest.mark.parametrize("kind", [0x83, 0x89])
@pytest.mark.parametrize("pointer", [4, 8, 12, 16, 40])
def test_every_address_of_a_source_route_is_rewritten_in_headers_of_ones_own(how: str, kind: int, pointer: int) -> None:
    with bindings():

        class Own(Header, under=Ether, when={"type": 0x9ABD}):
            n: U8 = auto(pl.size_of("options"))
            options: tuple[IPOption, ...] = many(size=field("n"))

        class OwnIP(IPv4, under=Ether, when={"type": 0x88B7}):
            pass

        route = ["10.1.1.1", "10.2.2.2", "10.3.3.3"]
        options = [IPOption(kind=kind, data=bytes([pointer]) + raw(*route))]
        for packet in (
            E / Own(options=options),
            Ether(type=0x88B7) / OwnIP(src="10.9.9.1", dst="10.9.9.2", options=options) / UDP(sport=1, dport=2) / b"x",
        ):
            data, capture = rewritten(packet, **ALL[how])
            assert not capture.left
            assert [one for one in route if raw(one) in data] == []
