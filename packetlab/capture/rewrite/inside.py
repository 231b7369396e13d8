"""What stands inside bytes: addresses that the declarations of `protocols` leave in fields and payloads of bytes.

Each is declared as any header is, but bound nowhere, so that `dissect` shows packets as before: `INSIDE` says where which
is read. Follows RFC 791 section 3.1, RFC 1122 section 3.2.1.8, RFC 8200 section 4, RFC 8754 section 2, RFC 6275 section 6.3,
RFC 1256, RFC 4861 section 4.6, RFC 8106 section 5.1, RFC 4191 section 2.3, RFC 3122 section 2, RFC 3810 section 5,
RFC 3376 section 4, RFC 826.
"""

from __future__ import annotations

from typing import Annotated

from packetlab.bulk.scan_places import Part
from packetlab.declare.declaration import Declaration
from packetlab.declare.expressions import Expr
from packetlab.declare.fields import auto, many, sized, when
from packetlab.declare.kinds import MAC, Bytes, IPv4Address, IPv6Address, Rest, fixed_bytes
from packetlab.declare.registry import bindings
from packetlab.declare.rules import ahead, field, internet_checksum, size_of
from packetlab.declare.values.integers import U8, U16, U32
from packetlab.packet.packet import Header
from packetlab.protocols.icmp import ICMP, ListenerMessage, ListenerRecord, NDOption
from packetlab.protocols.ip import ARP, PROTOCOL, SOURCE_ROUTES, IPOption, IPv6, IPv6Option, Routing
from packetlab.protocols.link import MPLS, BSDLoop, BSDNull, LinuxSLL, LinuxSLL2, RawIP

_SIX = field("hardware_size") == 6
_FOUR = (field("protocol_size") == 4) & (_SIX | (field("protocol") == 0x0800))
_SIXTEEN = field("protocol_size") == 16
_NEITHER = (_FOUR == 0) & (_SIXTEEN == 0)
_GROUPED = field("kind").one_of(0x11, 0x12, 0x16, 0x17)

with bindings():  # what is declared here nobody else knows

    class Four(Header):
        address: IPv4Address

    class Six(Header):
        address: IPv6Address

    class Station(Header):
        address: MAC

    class CookedSource(Header):
        """Of a cooked capture, whose frames have no other MAC address."""

        src: MAC

    class SourceRoute(Header):
        """A source route in an IPv4 option; the pointer counts from the option's first byte, at 1."""

        pointer: U8
        addresses: tuple[Four, ...] = many()

    class RecordedRoute(Header):
        pointer: U8
        addresses: tuple[Four, ...] = many()

    class Hops(Header):
        addresses: tuple[Four, ...] = many()

    class Origin(Header):
        numbers: Annotated[bytes, fixed_bytes(6)]
        address: IPv4Address

    class Stamp(Header):
        address: IPv4Address
        time: U32

    class Stamps(Header):
        stamps: tuple[Stamp, ...] = many()

    class Timestamp(Header):
        pointer: U8
        flags: U8
        stamps: Rest

    class Segments(Header):
        reserved: U32
        addresses: tuple[Six, ...] = many()

    class Object(Header):
        kind: U8
        length: U8 = when(field("kind") > 0, auto(size_of("data")))
        data: Bytes = when(field("kind") > 0)

    class SegmentList(Header):
        last: U8
        flags: U8
        tag: U16
        addresses: tuple[Six, ...] = many(size=(field("last") + 1) * 16)
        objects: tuple[Object, ...] = many()

    class Prefix(Header):
        about: Annotated[bytes, fixed_bytes(14)]
        prefix: IPv6Address

    class RoutePrefix(Header):
        about: Annotated[bytes, fixed_bytes(6)]
        prefix: IPv6Address

    class Servers(Header):
        about: Annotated[bytes, fixed_bytes(6)]
        addresses: tuple[Six, ...] = many()

    class Redirected(Header):
        reserved: Annotated[bytes, fixed_bytes(6)]

    class Sources(Header):
        addresses: tuple[Six, ...] = many()

    class Queried(Header):
        flags: U8
        interval: U8
        count: U16
        addresses: tuple[Six, ...] = many(size=field("count") * 16)

    class Queried4(Header):
        flags: U8
        interval: U8
        count: U16
        addresses: tuple[Four, ...] = many(size=field("count") * 4)

    class Record4(Header):
        kind: U8
        extra: U8 = auto(size_of("auxiliary") // 4)
        count: U16 = auto(size_of("addresses") // 4)
        group: IPv4Address
        addresses: tuple[Four, ...] = many(size=field("count") * 4)
        auxiliary: Bytes = b""

    class Records4(Header):
        reserved: U16
        count: U16
        records: tuple[Record4, ...] = many()

    class IGMP(Header):
        kind: U8
        code: U8
        checksum: U16 = auto(internet_checksum("self", "payload"))
        group: IPv4Address = when(_GROUPED)

    class Router(Header):
        address: IPv4Address
        preference: U32

    class Routers(Header):
        count: U8
        words: U8
        lifetime: U16
        routers: tuple[Router, ...] = many(size=field("count") * 8)

    class BareRouters(Header):
        count: U8
        words: U8
        lifetime: U16
        routers: tuple[Four, ...] = many(size=field("count") * 4)

    class AnyARP(Header):
        hardware: U16
        protocol: U16
        hardware_size: U8
        protocol_size: U8
        operation: U16
        sender_mac: MAC = when(_SIX)
        sender_other: Bytes = when(_SIX == 0, sized(field("hardware_size")))
        sender_four: IPv4Address = when(_FOUR)
        sender_six: IPv6Address = when(_SIXTEEN)
        sender_bytes: Bytes = when(_NEITHER, sized(field("protocol_size")))
        target_mac: MAC = when(_SIX)
        target_other: Bytes = when(_SIX == 0, sized(field("hardware_size")))
        target_four: IPv4Address = when(_FOUR)
        target_six: IPv6Address = when(_SIXTEEN)
        target_bytes: Bytes = when(_NEITHER, sized(field("protocol_size")))

    class Ported(Header):
        """What DCCP and UDP-Lite begin with (RFC 4340, RFC 3828)."""

        sport: U16
        dport: U16


def _part(name: str, header: type[Header] | None, condition: Expr | None = None, why: str = "") -> Part:
    return Part(name, None if header is None else header._declaration, condition, why)


_KIND, _WORDS = field("kind"), field("length")
# Neighbour discovery options without addresses: MTU, CGA, RSA signature, timestamp, nonce (RFC 3971), flags (RFC 5175),
# search list (RFC 8106), portal (RFC 8910).
_HARMLESS = _KIND.one_of(5, 11, 12, 13, 14, 26, 31, 37)
_NEITHER_IP = "what is neither IPv4 nor IPv6 where one of them is expected"
_COOKED = [
    _part("address", CookedSource, field("address_length") == 6),
    _part("address", None, field("address_length") > 0, "a sender's address in a Linux cooked header that is no MAC address"),
]  # fmt: skip

_INSIDE: dict[type[Header], list[Part]] = {
    IPOption: [
        _part("data", SourceRoute, _KIND.one_of(*SOURCE_ROUTES)),
        _part("data", RecordedRoute, _KIND == 7),
        _part("data", Hops, _KIND == 149),
        _part("data", Origin, _KIND == 82),
        _part("data", Timestamp, _KIND == 68),
    ],
    Timestamp: [_part("stamps", Stamps, (field("flags") & 15) != 0)],  # 0: times alone
    IPv6Option: [_part("data", Six, (_KIND == 0xC9) & (_WORDS >= 16))],
    Routing: [
        _part("data", SegmentList, _KIND == 4),
        _part("data", Segments, _KIND.one_of(0, 2)),
        _part("data", None, _WORDS > 0, "a routing header of an unknown type"),
    ],
    Object: [_part("self", None, _KIND.one_of(0, 4, 5) == 0, "what stands after the segments of a routing header")],
    NDOption: [
        _part("data", Station, _KIND.one_of(1, 2) & (_WORDS == 1)),
        _part("data", None, _KIND.one_of(1, 2), "a link-layer address that is no MAC address"),
        _part("data", Prefix, (_KIND == 3) & (_WORDS == 4)),
        _part("data", RoutePrefix, (_KIND == 24) & (_WORDS == 3)),
        _part("data", Servers, _KIND.one_of(9, 10, 25)),
        _part("data", Redirected, _KIND == 4),
        _part("data", None, (_KIND == 24) & (_WORDS == 2), "the prefix in a short route information option"),
        _part("data", None, (_HARMLESS | (_KIND == 24)) == 0, "an option {kind} of neighbour discovery"),
    ],
    Redirected: [_part("payload", IPv6)],  # RFC 4861 section 4.6.3
    ListenerRecord: [_part("addresses", Sources)],
    ListenerMessage: [_part("rest", Queried)],
    ARP: [
        _part("self", AnyARP, (field("hardware_size") != 6) | (field("protocol_size") != 4)),
    ],
    AnyARP: [
        _part("sender_other", None, None, "hardware addresses in ARP that are no MAC addresses"),
        _part("sender_bytes", None, None, "protocol addresses in ARP that are no IP addresses"),
    ],
    LinuxSLL: _COOKED,
    LinuxSLL2: _COOKED,
    IGMP: [
        _part("payload", Queried4, _KIND == 0x11),
        _part("payload", Records4, _KIND == 0x22),
        _part("self", None, (_GROUPED | (_KIND == 0x22)) == 0, "an IGMP message other than queries, reports and leaving"),
    ],
    ICMP: [
        _part("payload", Routers, (field("type") == 9) & ((ahead(16) & 0xFF) == 2)),
        _part("payload", BareRouters, (field("type") == 9) & ((ahead(16) & 0xFF) == 1)),
        _part("payload", None, (field("type") == 9) & (ahead(8) > 0), "routers in an advertisement with entries of another size"),
    ],
    **{key: [_part("payload", None, None, _NEITHER_IP)] for key in (MPLS, RawIP, BSDNull, BSDLoop)},
}  # fmt: skip
INSIDE = {cls._declaration: parts for cls, parts in _INSIDE.items()}
"""Header or item -> what stands in it, the first that holds."""

NUMBERS: dict[str, dict[int, Declaration]] = {
    PROTOCOL: {2: IGMP._declaration, 33: Ported._declaration, 136: Ported._declaration}
}
"""Number space -> what stands after numbers to which nothing is bound."""

KEPT = (Ported._declaration,)
"""Headers whose ports are read but not changed: their checksums are not known here."""
