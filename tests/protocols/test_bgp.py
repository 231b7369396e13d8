"""BGP-4 (RFC 4271): several messages in a segment, path attributes by type, AS numbers of two or four bytes (RFC 6793)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, TypeVar

import pytest

from packetlab import (
    TCP,
    U1,
    U4,
    U6,
    U8,
    U16,
    U32,
    BuildError,
    Bytes,
    Capture,
    Context,
    Ether,
    Header,
    IPv4,
    IPv4Address,
    IPv6Address,
    Packet,
    Rest,
    auto,
    computed,
    const,
    count_of,
    default,
    dissect,
    field,
    fixed_bytes,
    many,
    recalled,
    receiver,
    sender,
    size_of,
    sized,
    when,
)
from tests.protocols.oracle import Ask, alike, cut, family, packets_of, sound, spoilt
from tests.protocols.reading import H, of
from tests.protocols.scope import Scope

with (scope := Scope()):
    AS4 = recalled("bgp.as4", sender(), receiver(), default=0) & recalled("bgp.as4", receiver(), sender(), default=0)

    class BGP(Header, under=TCP, when={"port": 179}, stream=True):
        marker: Annotated[bytes, fixed_bytes(16)] = const(b"\xff" * 16)
        length: U16 = auto(size_of("self") + size_of("payload"))
        type: U8 = 4

    class Capability(Header):
        code: U8 = 0
        length: U8 = auto(size_of("self") - 2)

    class OtherCapability(Capability, when=(field("code") != 1) & (field("code") != 65)):
        value: Bytes = b""

    class Multiprotocol(Capability, when={"code": 1}):
        family: U16 = 1
        reserved: U8 = 0
        subfamily: U8 = 1

    class FourByteAS(Capability, when={"code": 65}, remembers={("bgp.as4", sender(), receiver()): 1}):
        autonomous_system: U32 = 0

    class Parameter(Header):
        type: U8 = 2
        length: U8 = auto(size_of("value"))
        value: Bytes = b""

    class Capabilities(Parameter, inside="value", when={"type": 2}):
        capabilities: tuple[Capability, ...] = many()

    class Open(Header, under=BGP, when={"type": 1}):
        version: U8 = 4
        autonomous_system: U16 = 0
        hold: U16 = 180
        identifier: IPv4Address = default("0.0.0.0")
        size: U8 = auto(size_of("parameters"))
        parameters: tuple[Parameter, ...] = many()

    class Prefix(Header):
        """The first bits of an address, and how many."""

        bits: U8 = 0
        address: Bytes = sized((field("bits") + 7) // 8, b"")

    class Attribute(Header):
        optional: U1 = 0
        transitive: U1 = 1
        partial: U1 = 0
        extended: U1 = auto(size_of("value") > 255)
        unused: U4 = 0
        type: U8 = 0
        wide: int = computed(AS4)  # whether AS numbers have four bytes: where both sides can have them
        length: U8 | None = when(field("extended") == 0, auto(size_of("value")))
        long_length: U16 | None = when(field("extended"), auto(size_of("value")))
        value: Bytes = b""

    class Origin(Attribute, inside="value", when={"type": 1}):
        origin: U8 = 0

    class Segment2(Header):
        type: U8 = 2
        count: U8 = auto(count_of("systems"))
        systems: tuple[U16, ...] = many()

    class Segment4(Header):
        type: U8 = 2
        count: U8 = auto(count_of("systems"))
        systems: tuple[U32, ...] = many()

    class Path2(Attribute, inside="value", when=(field("type") == 2) & (field("wide") == 0)):
        segments: tuple[Segment2, ...] = many()

    class Path4(Attribute, inside="value", when=(field("type") == 2) & (field("wide") == 1)):
        segments: tuple[Segment4, ...] = many()

    class AS4Path(Attribute, inside="value", when={"type": 17}):
        segments: tuple[Segment4, ...] = many()

    class Hop(Attribute, inside="value", when={"type": (3, 9)}):
        """The next hop, or the originator."""

        address: IPv4Address = default("0.0.0.0")

    class Preference(Attribute, inside="value", when={"type": (4, 5)}):
        """MULTI_EXIT_DISC, LOCAL_PREF."""

        value_of: U32 = 100

    class Aggregator2(Attribute, inside="value", when=(field("type") == 7) & (field("wide") == 0)):
        system: U16 = 0
        address: IPv4Address = default("0.0.0.0")

    class Aggregator4(Attribute, inside="value", when=(field("type") == 7) & (field("wide") == 1)):
        system: U32 = 0
        address: IPv4Address = default("0.0.0.0")

    class AS4Aggregator(Attribute, inside="value", when={"type": 18}):
        system: U32 = 0
        address: IPv4Address = default("0.0.0.0")

    class Community(Header):
        system: U16 = 0
        value: U16 = 0

    class Communities(Attribute, inside="value", when={"type": 8}):
        communities: tuple[Community, ...] = many()

    class Clusters(Attribute, inside="value", when={"type": 10}):
        clusters: tuple[IPv4Address, ...] = many()

    class Reachable(Attribute, inside="value", when={"type": 14}):
        family: U16 = 1
        subfamily: U8 = 1
        hop_size: U8 = auto(size_of("hop"))
        hop: Bytes = b""
        reserved: U8 = 0
        prefixes: tuple[Prefix, ...] = many()

    class Unreachable(Attribute, inside="value", when={"type": 15}):
        family: U16 = 1
        subfamily: U8 = 1
        prefixes: tuple[Prefix, ...] = many()

    class ExtendedCommunity(Header):
        """RFC 4360: eight bytes, of which the last six go by the kind."""

        authority: U1 = 0
        local: U1 = 0
        kind: U6 = 3
        subtype: U8 = 2
        value: Annotated[bytes, fixed_bytes(6)] = bytes(6)

    class CommunityOfAS2(ExtendedCommunity, inside="value", when={"kind": 0}):
        system: U16 = 0
        number: U32 = 0

    class CommunityOfAddress(ExtendedCommunity, inside="value", when={"kind": 1}):
        address: IPv4Address = default("0.0.0.0")
        number: U16 = 0

    class CommunityOfAS4(ExtendedCommunity, inside="value", when={"kind": 2}):
        """RFC 5668."""

        system: U32 = 0
        number: U16 = 0

    class ExtendedCommunities(Attribute, inside="value", when={"type": 16}):
        communities: tuple[ExtendedCommunity, ...] = many()

    class LargeCommunity(Header):
        system: U32 = 0
        value: U32 = 0
        more: U32 = 0

    class LargeCommunities(Attribute, inside="value", when={"type": 32}):
        communities: tuple[LargeCommunity, ...] = many()

    class Update(Header, under=BGP, when={"type": 2}):
        withdrawn_size: U16 = auto(size_of("withdrawn"))
        withdrawn: tuple[Prefix, ...] = many()
        attributes_size: U16 = auto(size_of("attributes"))
        attributes: tuple[Attribute, ...] = many()
        routes: tuple[Prefix, ...] = many()

    class Notification(Header, under=BGP, when={"type": 3}):
        error: U8 = 6
        code: U8 = 0
        data: Rest = b""

    class Refresh(Header, under=BGP, when={"type": 5}):
        family: U16 = 1
        subtype: U8 = 0
        subfamily: U8 = 1


A = TypeVar("A", bound=Attribute)


def attributes(packet: Packet, kind: type[A]) -> list[A]:
    updates = [one[Update] for one in packet.messages(BGP) if Update in one]
    return [one for update in updates for one in update.attributes if isinstance(one, kind)]


def aggregators(packet: Packet) -> list[Aggregator2 | Aggregator4 | AS4Aggregator]:
    kinds = (Aggregator2, Aggregator4, AS4Aggregator)
    return [one for one in attributes(packet, Attribute) if isinstance(one, kinds)]


def extended(packet: Packet) -> list[ExtendedCommunity]:
    return [each for one in attributes(packet, ExtendedCommunities) for each in one.communities]


def each(wanted: type[H], read: Callable[[H], object]) -> Callable[[Packet], list[object]]:
    return lambda packet: [value for one in packet.messages(BGP) for value in of(wanted, read)(one)]


def prefixes(update: Update) -> list[Prefix]:
    """Return all prefixes of an update, in the order of their bytes."""
    inner = [each for one in update.attributes if isinstance(one, Reachable | Unreachable) for each in one.prefixes]
    return [*update.withdrawn, *inner, *update.routes]


def prefix(one: Prefix) -> str:
    return ".".join(map(str, one.address.ljust(4, b"\0")))


READINGS = {
    "bgp.type": each(BGP, lambda h: h.type),
    "bgp.length": each(BGP, lambda h: h.length),
    "bgp.open.myas": each(Open, lambda h: h.autonomous_system),
    "bgp.open.identifier": each(Open, lambda h: h.identifier),
    "bgp.cap.type": each(
        Open,
        lambda h: [c.code for one in h.parameters if isinstance(one, Capabilities) for c in one.capabilities],
    ),
    "bgp.cap.4as": each(
        Open,
        lambda h: [
            c.autonomous_system
            for one in h.parameters
            if isinstance(one, Capabilities)
            for c in one.capabilities
            if isinstance(c, FourByteAS)
        ],
    ),
    "bgp.update.withdrawn_routes.length": each(Update, lambda h: h.withdrawn_size),
    "bgp.update.path_attribute.type_code": lambda p: [one.type for one in attributes(p, Attribute)],
    "bgp.update.path_attribute.flags.partial": lambda p: [one.partial for one in attributes(p, Attribute)],
    "bgp.update.path_attribute.origin": lambda p: [one.origin for one in attributes(p, Origin)],
    "bgp.update.path_attribute.as_path_segment.as2": lambda p: [
        system for one in attributes(p, Path2) for some in one.segments for system in some.systems
    ],
    "bgp.update.path_attribute.as_path_segment.as4": lambda p: [
        system
        for one in attributes(p, Attribute)
        if isinstance(one, Path4 | AS4Path)
        for some in one.segments
        for system in some.systems
    ],
    "bgp.update.path_attribute.aggregator_as": lambda p: [one.system for one in aggregators(p)],
    "bgp.update.path_attribute.aggregator_origin": lambda p: [one.address for one in aggregators(p)],
    "bgp.update.path_attribute.mp_unreach_nlri.afi": lambda p: [one.family for one in attributes(p, Unreachable)],
    "bgp.mp_unreach_nlri_ipv6_prefix": lambda p: [
        IPv6Address(int.from_bytes(prefix.address.ljust(16, b"\0"), "big")) for one in attributes(p, Unreachable) for prefix in one.prefixes
    ],
    "bgp.ext_com.value_as2": lambda p: [one.system for one in extended(p) if isinstance(one, CommunityOfAS2)],
    "bgp.ext_com.value_an4": lambda p: [one.number for one in extended(p) if isinstance(one, CommunityOfAS2)],
    "bgp.ext_com.value_as4": lambda p: [one.system for one in extended(p) if isinstance(one, CommunityOfAS4)],
    "bgp.ext_com.value_IP4": lambda p: [one.address for one in extended(p) if isinstance(one, CommunityOfAddress)],
    "bgp.ext_com.value_an2": lambda p: [
        one.number for one in extended(p) if isinstance(one, CommunityOfAS4 | CommunityOfAddress)
    ],
    "bgp.update.path_attribute.next_hop": lambda p: [one.address for one in attributes(p, Hop) if one.type == 3],
    "bgp.update.path_attribute.local_pref": lambda p: [
        one.value_of for one in attributes(p, Preference) if one.type == 5
    ],
    "bgp.update.path_attribute.community_value": lambda p: [
        each.value for one in attributes(p, Communities) for each in one.communities
    ],
    "bgp.large_communities.ga": lambda p: [
        each.system for one in attributes(p, LargeCommunities) for each in one.communities
    ],
    "bgp.nlri_prefix": each(Update, lambda h: [prefix(one) for one in h.routes]),
    "bgp.prefix_length": each(Update, lambda h: [one.bits for one in prefixes(h)]),
    "bgp.notify.major_error": each(Notification, lambda h: h.error),
    "bgp.route_refresh.afi": each(Refresh, lambda h: h.family),
}
CAPTURES = ["bgp/bgp-4byte-asn.pcap", "bgp/BgpPackets.pcapng", "bgp/bgp-large-community.pcap", "bgp/bgp-role.pcapng"]


@pytest.mark.parametrize("name", CAPTURES)
def test_captures_are_read_as_tshark_reads_them(tshark: Ask, name: str) -> None:
    packets = alike(tshark, family(name), READINGS, context=None if "4byte" in name else agreed(name))
    sound(packets, BGP, anew="role" not in name)  # there a length of 6 stands in two bytes


def agreed(name: str) -> Context:
    """Return what was agreed on before a capture without openings: AS numbers of four bytes."""
    context = Context()
    for packet in packets_of(name):
        ip, tcp = packet[IPv4], packet[TCP]
        ends = (ip.src.packed, tcp.sport), (ip.dst.packed, tcp.dport)
        context.remember("bgp.as4", *ends, value=1)
        context.remember("bgp.as4", *ends[::-1], value=1)
    return context


UNREACHABLE = (Prefix(bits=32, address=bytes.fromhex("20010db8")), Prefix(bits=44, address=bytes.fromhex("20010db81230")))
EXTENDED = (
    CommunityOfAS2(subtype=2, system=65000, number=70000),
    CommunityOfAddress(subtype=3, address="10.0.0.7", number=9),
    CommunityOfAS4(subtype=2, local=1, system=70000, number=5),
    ExtendedCommunity(kind=3, subtype=12, value=b"\0\0\0\0\0\x08"),
)


def test_tshark_reads_what_we_build(tshark: Ask) -> None:
    below = [
        Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2") / TCP(sport=port, dport=179, flags="ACK")
        for port in (50000, 50001)
    ]
    routes = tuple(Prefix(bits=bits, address=bytes((10, 1, 128, 3))[: (bits + 7) // 8]) for bits in (0, 8, 17, 32))
    update = BGP() / Update(
        withdrawn=routes[1:3],
        attributes=(
            Origin(origin=2),
            Path2(segments=(Segment2(systems=(1, 2, 3)), Segment2(type=1, systems=(4,)))),
            Hop(type=3, address="10.0.0.9"),
            Preference(type=5, value_of=70000),
            Communities(optional=1, partial=1, communities=tuple(Community(system=1, value=n) for n in range(100))),
            LargeCommunities(optional=1, communities=(LargeCommunity(system=70000),)),
            Unreachable(optional=1, family=2, prefixes=UNREACHABLE),
            ExtendedCommunities(optional=1, communities=EXTENDED),
            Aggregator2(optional=1, system=23456, address="10.0.0.7"),
            AS4Aggregator(optional=1, system=70000, address="10.0.0.7"),
        ),
        routes=routes,
    )
    opening = BGP() / Open(
        autonomous_system=65000,
        identifier="10.0.0.1",
        parameters=(Capabilities(capabilities=(Multiprotocol(), OtherCapability(code=2))),),
    )
    made = [
        below[0] / bytes(opening),
        below[1] / (bytes(BGP()) + bytes(update) + bytes(BGP() / Notification(code=2)) + bytes(BGP() / Refresh())),
    ]
    packets = alike(tshark, made, READINGS)
    sound(packets, BGP)
    assert len(packets[1].messages(BGP)) == 4
    assert extended(packets[1]) == [*EXTENDED]
    assert attributes(packets[1], Communities)[0].extended == 1 and packets[1][BGP, 2].type == 3


def test_a_path_is_as_wide_as_both_sides_agreed_on_or_refused() -> None:
    there, back = ("10.0.0.1", 50000), ("10.0.0.2", 179)

    def segment(one: tuple[str, int], other: tuple[str, int], seq: int, message: Packet) -> bytes:
        return bytes(Ether() / IPv4(src=one[0], dst=other[0]) / TCP(sport=one[1], dport=other[1], flags="ACK", seq=seq) / message)

    opening = BGP() / Open(parameters=(Capabilities(capabilities=(FourByteAS(autonomous_system=70000),)),))
    wide, narrow = (BGP() / Update(attributes=(one,)) for one in (Path4(segments=(Segment4(systems=(70000,)),)), Path2(segments=(Segment2(systems=(7,)),))))
    with Context():
        frames = [segment(there, back, 1, opening), segment(back, there, 1, opening)]
        frames.append(segment(there, back, 1 + len(bytes(opening)), wide))
        with pytest.raises(BuildError, match=r"Path2: expected \(type == 2\) & \(wide == 0\)"):
            segment(there, back, 1, narrow)
    read = Capture.of(frames)[2].packet()
    assert [one.segments[0].systems for one in attributes(read, Path4)] == [(70000,)] and not read.faults


def test_cut_and_spoilt() -> None:
    packets = [one.packet for one in Capture(family("bgp/bgp-large-community.pcap")).messages(BGP)][:2]
    assert len(packets) == 2 and {"Update", "Update.attributes"} <= cut(
        [below_tcp(one) for one in packets], Update, step=3
    )
    assert "Update.attributes" in spoilt([below_tcp(one) for one in packets], Update, times=100)


def below_tcp(message: Packet) -> Packet:
    return dissect(bytes(Ether() / IPv4() / TCP(dport=179) / bytes(message)))
