"""Diameter (RFC 6733): AVPs with a vendor or without, padded, typed by code, and groups of AVPs in each other."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import pytest

from packetlab import (
    TCP,
    U1,
    U4,
    U5,
    U8,
    U16,
    U24,
    U32,
    Bytes,
    Ether,
    Header,
    IPv4,
    IPv4Address,
    IPv6Address,
    Rest,
    Text,
    auto,
    const,
    default,
    field,
    has,
    many,
    pad,
    raw,
    size_of,
    timestamp,
    when,
)
from tests.protocols.oracle import Ask, alike, cut, family, packets_of, sound, spoilt
from tests.protocols.reading import of
from tests.protocols.scope import Scope

with (scope := Scope()):

    class AVP(Header):
        code: U32 = 1
        vendor_specific: U1 = auto(has("vendor"))
        mandatory: U1 = 1
        protected: U1 = 0
        reserved: U5 = 0
        length: U24 = auto(size_of("self") - size_of("padding"))
        vendor: U32 | None = when(field("vendor_specific"))
        data: Bytes = b""
        padding: Bytes = pad(4)

    class TextAVP(AVP, inside="data", when={"code": (263, 264, 283, 293, 296, 1, 269, 281, 415 + 1000)}):
        """UTF8String and DiameterIdentity: Session-Id, Origin-Host, Destination-Realm, ..."""

        text: Text = ""

    class NumberAVP(AVP, inside="data", when={"code": (258, 265, 266, 268, 415, 416, 420, 421, 450, 480, 485)}):
        """Unsigned32 and Enumerated: Auth-Application-Id, Vendor-Id, Result-Code, CC-Request-Number, ..."""

        number: U32 = 0

    class AddressAVP(AVP, inside="data", when={"code": 257}):
        family: U16 = 1
        address: Rest = b""

    class AddressOf4(AddressAVP, inside="address", when={"family": 1}):
        host: IPv4Address = default("0.0.0.0")

    class AddressOf6(AddressAVP, inside="address", when={"family": 2}):
        host: IPv6Address = default("::")

    class TimeAVP(AVP, inside="data", when={"code": 55}):
        time: Annotated[datetime, timestamp(32, epoch="1900-01-01")] = raw(0)

    class GroupedAVP(AVP, inside="data", when={"code": (260, 279, 284, 297, 443, 446, 456)}):
        avps: tuple[AVP, ...] = many()

    class Diameter(Header, under=TCP, when={"port": 3868}, stream=True):
        version: U8 = const(1)
        length: U24 = auto(size_of("self"))
        request: U1 = 1
        proxiable: U1 = 0
        error: U1 = 0
        retransmitted: U1 = 0
        reserved: U4 = 0
        command: U24 = 257
        application: U32 = 0
        hop_by_hop: U32 = 0
        end_to_end: U32 = 0
        avps: tuple[AVP, ...] = many()


def flat(avps: tuple[AVP, ...]) -> list[AVP]:
    """Return AVPs and those in them, in the order of their bytes."""
    return [one for avp in avps for one in [avp, *(flat(avp.avps) if isinstance(avp, GroupedAVP) else [])]]


READINGS = {
    "diameter.version": of(Diameter, lambda h: h.version),
    "diameter.length": of(Diameter, lambda h: h.length),
    "diameter.flags.request": of(Diameter, lambda h: h.request),
    "diameter.flags.proxyable": of(Diameter, lambda h: h.proxiable),
    "diameter.cmd.code": of(Diameter, lambda h: h.command),
    "diameter.applicationId": of(Diameter, lambda h: h.application),
    "diameter.hopbyhopid": of(Diameter, lambda h: h.hop_by_hop),
    "diameter.endtoendid": of(Diameter, lambda h: h.end_to_end),
    "diameter.avp.code": of(Diameter, lambda h: [one.code for one in flat(h.avps)]),
    "diameter.avp.len": of(Diameter, lambda h: [one.length for one in flat(h.avps)]),
    "diameter.flags.mandatory": of(Diameter, lambda h: [one.mandatory for one in flat(h.avps)]),
    "diameter.flags.vendorspecific": of(Diameter, lambda h: [one.vendor_specific for one in flat(h.avps)]),
    "diameter.avp.vendorId": of(Diameter, lambda h: [one.vendor for one in flat(h.avps) if one.vendor is not None]),
    "diameter.Origin-Host": of(Diameter, lambda h: texts(h, 264)),
    "diameter.Origin-Realm": of(Diameter, lambda h: texts(h, 296)),
    "diameter.Session-Id": of(Diameter, lambda h: texts(h, 263)),
    "diameter.Result-Code": of(Diameter, lambda h: numbers(h, 268)),
    "diameter.CC-Request-Type": of(Diameter, lambda h: numbers(h, 416)),
    "diameter.Vendor-Id": of(Diameter, lambda h: numbers(h, 266)),
    "diameter.Host-IP-Address.IPv4": of(
        Diameter, lambda h: [str(a.host) for a in flat(h.avps) if isinstance(a, AddressOf4)]
    ),
    "diameter.Host-IP-Address.IPv6": of(
        Diameter, lambda h: [str(a.host) for a in flat(h.avps) if isinstance(a, AddressOf6)]
    ),
}


def texts(header: Diameter, code: int) -> list[str]:
    return [one.text for one in flat(header.avps) if isinstance(one, TextAVP) and one.code == code]


def numbers(header: Diameter, code: int) -> list[int]:
    return [one.number for one in flat(header.avps) if isinstance(one, NumberAVP) and one.code == code]


def test_captures_are_read_like_tshark(tshark: Ask) -> None:
    packets = alike(tshark, family("diameter/diameter_synthetic.pcap"), READINGS, "--disable-protocol", "sctp")
    sound(packets, Diameter)
    assert {type(avp) for p in packets if Diameter in p for avp in p[Diameter].avps} >= {TextAVP, NumberAVP, AddressOf4}


def test_tshark_reads_what_we_build(tshark: Ask) -> None:
    low = Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2") / TCP(sport=50000, dport=3868, flags="ACK")
    other = low.replace(TCP, sport=50001)
    inner = GroupedAVP(code=456, avps=(NumberAVP(code=415, number=1), TextAVP(code=1, text="user")))
    avps = (
        TextAVP(code=263, text="a;1;2"),
        GroupedAVP(code=260, avps=(NumberAVP(code=266, number=10415), NumberAVP(code=258, number=4))),
        GroupedAVP(code=443, avps=(TextAVP(code=1, text="é"), inner)),
        AVP(code=9999, vendor=10415, data=b"abcde"),
        AddressOf4(host="10.0.0.1"),
        AddressOf6(host="2001:db8::1"),
        AddressAVP(family=8, address=b"4912345"),
        TimeAVP(time=datetime(2024, 1, 1, tzinfo=UTC)),
    )
    made = [low / Diameter(command=272, application=4, avps=avps), other / Diameter(request=0, avps=avps[:1])]
    packets = alike(tshark, made, READINGS)
    sound(packets, Diameter)
    first = packets[0][Diameter].avps
    assert isinstance(first[2], GroupedAVP) and isinstance(first[2].avps[1], GroupedAVP)
    assert first[2].avps[1].avps[1] == TextAVP(code=1, text="user")
    assert bytes(first[3])[-8:] == b"abcde\0\0\0" and first[3].length == 17


@pytest.mark.slow
def test_what_is_cut_or_spoilt_is_a_fault() -> None:
    read = [one for one in packets_of("diameter/diameter_synthetic.pcap") if Diameter in one]
    cut(read, Diameter)
    assert "Diameter.length" in spoilt(read, Diameter)
