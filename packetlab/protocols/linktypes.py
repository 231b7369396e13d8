"""Link types of capture files and the header that each begins with (https://www.tcpdump.org/linktypes.html)."""

from __future__ import annotations

from typing import cast

from packetlab.codec.objects import AnyHeader
from packetlab.declare import registry
from packetlab.declare.declaration import Declaration, declaration_of
from packetlab.errors import DeclareError
from packetlab.packet.packet import Header
from packetlab.protocols import (
    icmp as _icmp,
    ip as _ip,
    ipx as _ipx,
    transport as _transport,
    tunnels as _tunnels,
    xns as _xns,
)
from packetlab.protocols.link import (
    PPPD,
    BSDLoop,
    BSDNull,
    CiscoHDLC,
    Ether,
    LinuxSLL,
    LinuxSLL2,
    PPPDirection,
    PPPLink,
    PPPoE,
    RawIP,
)

NULL, ETHERNET, RAW, LOOP, LINUX_SLL, IPV4, IPV6, LINUX_SLL2 = 0, 1, 101, 108, 113, 228, 229, 276

FIRST: dict[int, type[Header]] = {
    NULL: BSDNull,
    ETHERNET: Ether,
    9: PPPLink,
    12: RawIP,  # DLT_RAW as some systems number it in files
    14: RawIP,
    50: PPPLink,
    51: PPPoE,
    RAW: RawIP,
    104: CiscoHDLC,
    LOOP: BSDLoop,
    LINUX_SLL: LinuxSLL,
    166: PPPD,
    204: PPPDirection,
    IPV4: _ip.IPv4,
    IPV6: _ip.IPv6,
    LINUX_SLL2: LinuxSLL2,
}
"""Link type -> class of the outermost header. A user's own link type may be added."""
registry.scoped.append(FIRST)

_LOADED = (_icmp, _transport, _tunnels, _xns, _ipx)  # a capture may hold any of these: their bindings must stand


def link_type(number: int, first: type[AnyHeader]) -> None:
    """Say which header the frames of a link type begin with, from now on: ``link_type(147, Serial)`` for captures of USER0.

    147 to 162 are anybody's (USER0 to USER15). What is said inside `with bindings():` ends with it, and what is said of a class travels with its
    declaration. Files of packets with that header have this link type. DeclareError for a link type
    of packetlab's own, and for what is no header class.
    """
    where = f"link_type({number!r:.20}, ...)"
    if type(number) is not int or not 0 <= number < 1 << 16:
        raise DeclareError(where, "a link type from 0 to 65535", f"{number!r:.60}")
    if not declaration_of(first, where).fields:
        raise DeclareError(where, "a header class with fields", repr(first))
    known = FIRST.get(number)
    if known is not None and known._declaration.is_own and known is not first:
        raise DeclareError(where, "a link type that is free, as 147 to 162 are", f"{number}, which begins with {known.__name__}")
    FIRST[number] = cast("type[Header]", first)
    for cache in registry.caches:
        cache.clear()


def first_header(linktype: int) -> type[Header] | None:
    """Return the class of the outermost header of a link type, or None where it is not known."""
    return FIRST.get(linktype)


def said_types(first: Declaration) -> list[int]:
    """Return the link types whose frames begin with a header of somebody's own."""
    return [] if first.is_own else sorted(number for number, header in FIRST.items() if header._declaration is first)


def linktype_of(first: type[AnyHeader] | None) -> int | None:
    """Return the link type of captures whose frames begin with a header, or None where it has none."""
    return next((number for number, header in FIRST.items() if header is first), None)


def linktype_for(first: type[Header] | None) -> int:
    """Return the link type of captures whose frames begin with that header; Ethernet's (1) where there is none."""
    types = [number for number, header in FIRST.items() if header is first]
    # Tools read raw IP (101), whatever its version, where they do not know the types of one version alone.
    return RAW if types and types[0] in (IPV4, IPV6, 12) else types[0] if types else ETHERNET


def declare_all() -> None:
    """See to it that every header of ours is declared: importing this module does."""
