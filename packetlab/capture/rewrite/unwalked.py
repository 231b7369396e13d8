"""What `sites` does not know: bindings of declared headers with addresses, ports or checksums that its walk does not follow.

`WALKED` names what the walk follows; all else that is bound, by a user or by packetlab, is asked of a batch in one pass
over its buffer. Only the frames in which such a binding holds are then looked at one by one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from packetlab.bulk.scan import following
from packetlab.capture.rewrite.sites_held import IGMP, PROTOCOL, held
from packetlab.capture.tables.engines import FieldFilter
from packetlab.declare import registry
from packetlab.declare.declaration import AnyHeader
from packetlab.declare.expressions import Checksum, Next
from packetlab.declare.fields import Field
from packetlab.pattern.conditions import Condition, Match, Some
from packetlab.protocols.icmp import ICMP, ICMPv6, ICMPv6Error
from packetlab.protocols.ip import (
    ARP,
    AuthenticationHeader,
    DestinationOptions,
    Fragment,
    HopByHop,
    IPv4,
    IPv6,
    Routing,  # fmt: skip
)
from packetlab.protocols.link import (
    LLC,
    MPLS,
    PPP,
    SNAP,
    VLAN,
    BSDLoop,
    BSDNull,
    CiscoHDLC,
    Ether,
    LinuxSLL,
    LinuxSLL2,
    PPPoE,
    RawIP,
    ShortPPP,  # fmt: skip
)
from packetlab.protocols.linktypes import FIRST, first_header
from packetlab.protocols.transport import SCTP, TCP, UDP, VXLAN
from packetlab.protocols.tunnels import GRE
from packetlab.protocols.xns import IDP, Error

if TYPE_CHECKING:
    from packetlab.capture.batch import FrameBatch

PORTS = ("sport", "dport")
"""Names of the fields that are ports, in any header."""

_ETHERTYPES: dict[int, type[AnyHeader]] = {
    0x0800: IPv4, 0x86DD: IPv6, 0x0806: ARP, 0x8035: ARP, 0x0600: IDP, 0x8847: MPLS, 0x8848: MPLS, 0x6558: Ether,
    0x8863: PPPoE, 0x8864: PPPoE, 0x8100: VLAN, 0x88A8: VLAN, 0x9100: VLAN,
}  # fmt: skip
_UPPER: dict[int, type[AnyHeader]] = {4: IPv4, 6: TCP, 17: UDP, 22: IDP, 41: IPv6, 47: GRE}
_EXTENSIONS: dict[int, type[AnyHeader]] = {
    0: HopByHop, 43: Routing, 44: Fragment, 51: AuthenticationHeader, 60: DestinationOptions,
}  # fmt: skip
_UPPER6: dict[int, type[AnyHeader]] = {**_UPPER, **_EXTENSIONS, 58: ICMPv6}
_PPP: dict[int, type[AnyHeader]] = {0x21: IPv4, 0x57: IPv6, 0x25: IDP, 0x281: MPLS}

WALKED: dict[type[AnyHeader], dict[int, type[AnyHeader]]] = {
    **dict.fromkeys((Ether, VLAN, SNAP, LinuxSLL, LinuxSLL2, GRE), _ETHERTYPES),
    CiscoHDLC: {number: upper for number, upper in _ETHERTYPES.items() if number != 0x8035},  # SLARP there
    **dict.fromkeys((IPv6, *_EXTENSIONS.values()), _UPPER6),
    IPv4: {**_UPPER, 1: ICMP},
    LLC: {0xAA: SNAP},
    **dict.fromkeys((PPP, ShortPPP), _PPP),
    UDP: {4789: VXLAN},
    IDP: {3: Error},
    BSDNull: {}, BSDLoop: {}, ICMPv6: {}, TCP: {}, ARP: {},
}  # fmt: skip
"""Header -> numbers in it by which the walk goes on, and the header that follows."""

BESIDE: dict[type[AnyHeader], tuple[type[AnyHeader], ...]] = {
    Ether: (LLC,), VLAN: (LLC,), LinuxSLL: (LLC,), LinuxSLL2: (LLC,), MPLS: (MPLS, IPv4, IPv6), PPPoE: (PPP, ShortPPP),
    GRE: (PPP, ShortPPP),
    ICMP: (IPv4,), ICMPv6Error: (IPv6,), VXLAN: (Ether,), Error: (IDP,), RawIP: (IPv4, IPv6), BSDNull: (IPv4, IPv6),
    BSDLoop: (IPv4, IPv6),
}  # fmt: skip
"""Header -> what the walk takes to follow it whatever the number, or by a condition."""

BEGUN: dict[int, type[AnyHeader]] = {
    1: Ether, 113: LinuxSLL, 276: LinuxSLL2, 104: CiscoHDLC, 0: BSDNull, 108: BSDLoop, 101: RawIP, 12: RawIP, 14: RawIP,
    228: IPv4, 229: IPv6,
}  # fmt: skip
"""Link types whose frames the walk begins with, and the header that they are to have."""

_known: dict[Any, Any] = {}
registry.caches.append(_known)


def walks(lower: type[AnyHeader], header: Any, upper: type[AnyHeader]) -> bool:
    """Whether the walk goes on from the header `header` of class `lower`, which it walked, to one of class `upper`."""
    if _beside(lower, upper):
        return True
    numbers = WALKED.get(lower, {})
    return any(numbers.get(getattr(header, f.slot)) is upper for f in lower._fields if isinstance(f.rule, Next))


def _beside(lower: type[AnyHeader], upper: type[AnyHeader]) -> bool:
    # The messages of ICMPv6 are walked with it.
    return upper in BESIDE.get(lower, ()) or (lower is ICMPv6 and upper.__module__ == ICMPv6.__module__)


def concerned(cls: type[AnyHeader]) -> bool:
    """Whether a header has addresses, ports or checksums over a pseudo-header, or leads to one that does."""
    if "concerned" not in _known:
        reached: dict[type[AnyHeader], list[type[AnyHeader]]] = {}
        todo = [*registry.declared(), *FIRST.values()]
        for one in todo:
            if one not in reached:
                reached[one] = following(one)
                todo += reached[one]
        found = {one for one in reached if _holds(one, ())}
        before: dict[type[AnyHeader], list[type[AnyHeader]]] = {}
        for lower, uppers in reached.items():
            for upper in uppers:
                before.setdefault(upper, []).append(lower)
        todo = list(found)
        for one in todo:
            new = [lower for lower in before.get(one, ()) if lower not in found]
            found.update(new)
            todo += new
        _known["concerned"] = found
    return cls in _known["concerned"]


def _holds(cls: type[AnyHeader], inside: tuple[type[AnyHeader], ...]) -> bool:
    return any(holds(cls, f, inside) or (isinstance(f.rule, Checksum) and "pseudo" in f.rule.over) for f in cls._fields)


def holds(cls: type[AnyHeader], f: Field, inside: tuple[type[AnyHeader], ...] = ()) -> bool:
    """Whether a field of a header is an address or a port, or has such inside."""
    return (
        f.kind.is_address
        or (f.name in PORTS and f.kind.wire == "number")
        or held(cls, f) is not None
        or (f.kind.wire == "items" and _items_hold(f.kind.item, (*inside, cls)))
    )


def _items_hold(item: Any, inside: tuple[type[AnyHeader], ...]) -> bool:
    return hasattr(item, "_fields") and item not in inside and _holds(item, inside)


def divided() -> list[int]:
    """Return the numbers in IP whose packets may hold addresses or ports in later fragments, which nobody reads."""
    if "divided" not in _known:
        headers = registry.space(PROTOCOL).headers
        _known["divided"] = [number for number, upper in headers.items() if _reaches_on(upper)]
        _known["divided"] += [IGMP] * (IGMP not in headers)
    found: list[int] = _known["divided"]
    return found


def hides(header: Any) -> bool:
    """Whether what a header leaves unread, because it is no beginning, may hold addresses or ports."""
    for f in header._fields:
        if isinstance(f.rule, Next):
            number = getattr(header, f.slot)
            upper = registry.space(f.rule.space).headers.get(number)
            if (f.rule.space == PROTOCOL and number in divided()) or (upper is not None and _reaches_on(upper)):
                return True
    return any(_reaches_on(upper) for _, _, upper in registry.conditions(type(header)))


def _reaches_on(cls: type[AnyHeader]) -> bool:
    """Whether addresses or ports may lie beyond the first 8 bytes of a header, which are in the first fragment."""
    return (cls not in (TCP, UDP, SCTP) and _holds(cls, ())) or any(concerned(upper) for upper in following(cls))


def _test() -> FieldFilter | None:
    """Return the filter that frames with something unwalked pass; None where nothing is bound that is not walked."""
    if "test" not in _known:
        reached = list(dict.fromkeys(BEGUN.values()))
        for lower in reached:
            walked = WALKED.get(lower, {}).values()
            for upper in following(lower):
                if (upper in walked or _beside(lower, upper)) and upper not in reached:
                    reached.append(upper)
        tests = [match for lower in reached for match in _unwalked(lower)]
        _known["test"] = FieldFilter(Some(list(dict.fromkeys(tests)))) if tests else None
    found: FieldFilter | None = _known["test"]
    return found


def _unwalked(lower: type[AnyHeader]) -> list[Match]:
    tests = []
    for f in lower._fields:
        if isinstance(f.rule, Next):
            numbers = tuple(
                number
                for number, upper in registry.space(f.rule.space).headers.items()
                if WALKED.get(lower, {}).get(number) is not upper and not _beside(lower, upper) and concerned(upper)
            )
            if numbers:
                tests.append(Match(lower, (Condition((f.name,), "in", numbers),)))
    # Where the walk reads what nobody declared (IGMP, router advertisements), whatever is bound comes first.
    reads = lower is ICMP or any(isinstance(f.rule, Next) and f.rule.space == PROTOCOL for f in lower._fields)
    for _, _, upper in registry.conditions(lower):
        if not _beside(lower, upper) and (reads or concerned(upper)):
            # A header that is walked may stand elsewhere too: what is below it is looked for.
            tests.append(Match(lower if upper in WALKED or upper in BESIDE else upper))
    return tests


def unwalked_rows(batch: FrameBatch) -> Any:
    """Return the rows of a batch with headers that `sites` does not walk to, an array."""
    import numpy as np

    test = _test()
    found = np.zeros(len(batch), bool) if test is None else test.mask(batch)
    for place, interface in enumerate(batch.interfaces):
        first = first_header(interface.linktype)
        if first is not None and first is not BEGUN.get(interface.linktype) and concerned(first):
            found = found | (batch.which == place)
    return np.flatnonzero(found)
