"""LLDP (IEEE 802.1AB-2016): TLVs of 7 + 9 bits, each typed, those of organizations too."""

from __future__ import annotations

import pytest

from packetlab import (
    MAC,
    U1,
    U6,
    U7,
    U8,
    U9,
    U16,
    U24,
    U32,
    Bytes,
    Ether,
    Header,
    IPv4Address,
    Packet,
    Rest,
    Text,
    auto,
    contains,
    default,
    field,
    many,
    size_of,
    sized,
)
from tests.protocols.oracle import Ask, alike, cut, family, packets_of, sound, spoilt
from tests.protocols.reading import of
from tests.protocols.scope import Scope

with (scope := Scope()):

    class TLV(Header):
        type: U7 = 0
        length: U9 = auto(size_of("value"))
        value: Bytes = b""

    class ChassisName(Header):
        subtype: U8 = 7
        name: Rest = b""

    class ChassisMAC(ChassisName, inside="name", when={"subtype": 4}):
        mac: MAC = default("00:00:00:00:00:00")

    class PortName(Header):
        subtype: U8 = 7
        name: Rest = b""

    class PortMAC(PortName, inside="name", when={"subtype": 3}):
        mac: MAC = default("00:00:00:00:00:00")

    class Chassis(TLV, inside="value", when={"type": 1}):
        id: ChassisName = ChassisName()

    class Port(TLV, inside="value", when={"type": 2}):
        id: PortName = PortName()

    class TimeToLive(TLV, inside="value", when={"type": 3}):
        seconds: U16 = 120
        more: Rest = b""

    class Words(TLV, inside="value", when={"type": (4, 5, 6)}):
        """The description of the port, the name of the system, its description."""

        words: Text = ""

    class Capabilities(TLV, inside="value", when={"type": 7}):
        has: U16 = 0
        enabled: U16 = 0

    class Address(Header):
        family: U8 = 1
        address: Rest = b""

    class AddressIPv4(Address, inside="address", when={"family": 1}):
        host: IPv4Address = default("0.0.0.0")

    class Management(TLV, inside="value", when={"type": 8}):
        size: U8 = auto(size_of("address"))
        address: Address = sized(field("size"), AddressIPv4())
        numbering: U8 = 2
        interface: U32 = 0
        object_size: U8 = auto(size_of("object"))
        object: Bytes = b""

    class Extension(Header):
        organization: U24 = 0
        subtype: U8 = 0
        information: Rest = b""

    class Organization(TLV, inside="value", when={"type": 127}):
        extension: Extension = Extension()

    class PortVLAN(Extension, inside="information", when={"organization": 0x0080C2, "subtype": 1}):
        vlan: U16 = 1

    class VLANName(Extension, inside="information", when={"organization": 0x0080C2, "subtype": 3}):
        vlan: U16 = 1
        size: U8 = auto(size_of("name"))
        name: Text = ""

    class Autonegotiation(Extension, inside="information", when={"organization": 0x00120F, "subtype": 1}):
        reserved: U6 = 0
        enabled: U1 = 0
        supported: U1 = 0
        capabilities: U16 = 0
        mau: U16 = 0

    class FrameSize(Extension, inside="information", when={"organization": 0x00120F, "subtype": 4}):
        largest: U16 = 1518

    class LLDP(Header, under=Ether, when={"type": 0x88CC}):
        tlvs: tuple[TLV, ...] = many(until=field("type") == 0, end=TLV())
        padding: Rest = b""


def extensions(packet: Packet) -> list[Extension]:
    return [one.extension for one in packet[LLDP].tlvs if isinstance(one, Organization)] if LLDP in packet else []


READINGS = {
    "lldp.tlv.type": of(LLDP, lambda h: [one.type for one in h.tlvs]),
    "lldp.tlv.len": of(LLDP, lambda h: [one.length for one in h.tlvs]),
    "lldp.chassis.subtype": of(LLDP, lambda h: [one.id.subtype for one in h.tlvs if isinstance(one, Chassis)]),
    "lldp.chassis.id.mac": of(
        LLDP, lambda h: [one.id.mac for one in h.tlvs if isinstance(one, Chassis) and isinstance(one.id, ChassisMAC)]
    ),
    "lldp.port.id.mac": of(
        LLDP, lambda h: [one.id.mac for one in h.tlvs if isinstance(one, Port) and isinstance(one.id, PortMAC)]
    ),
    "lldp.time_to_live": of(LLDP, lambda h: [one.seconds for one in h.tlvs if isinstance(one, TimeToLive)]),
    "lldp.tlv.system.name": of(
        LLDP, lambda h: [one.words.rstrip("\0") for one in h.tlvs if isinstance(one, Words) and one.type == 5]
    ),
    "lldp.tlv.system.desc": of(
        LLDP, lambda h: [one.words.rstrip("\0") for one in h.tlvs if isinstance(one, Words) and one.type == 6]
    ),
    "lldp.tlv.system_cap": of(LLDP, lambda h: [one.has for one in h.tlvs if isinstance(one, Capabilities)]),
    "lldp.tlv.enable_system_cap": of(LLDP, lambda h: [one.enabled for one in h.tlvs if isinstance(one, Capabilities)]),
    "lldp.mgn.addr.ip4": of(
        LLDP,
        lambda h: [
            one.address.host for one in h.tlvs if isinstance(one, Management) and isinstance(one.address, AddressIPv4)
        ],
    ),
    "lldp.mgn.interface.number": of(LLDP, lambda h: [one.interface for one in h.tlvs if isinstance(one, Management)]),
    "lldp.orgtlv.oui": lambda p: [one.organization for one in extensions(p)],
    "lldp.ieee.802_1.port_vlan.id": lambda p: [one.vlan for one in extensions(p) if isinstance(one, PortVLAN)],
    "lldp.ieee.802_1.vlan.name": lambda p: [
        one.name.rstrip("\0") for one in extensions(p) if isinstance(one, VLANName)
    ],
    "lldp.ieee.802_3.max_frame_size": lambda p: [one.largest for one in extensions(p) if isinstance(one, FrameSize)],
    "lldp.ieee.802_3.pmd_mau_type": lambda p: [one.mau for one in extensions(p) if isinstance(one, Autonegotiation)],
}
CAPTURES = {"lldp/wireshark-lldp.pcap": (1,), "lldp/dcb_pfc.pcap": (), "lldp/lldp_mudurl.pcap": ()}
"""Capture -> frames in which tshark stops at a TLV that stands there twice."""


@pytest.mark.parametrize("name", CAPTURES)
def test_captures_are_read_as_tshark_reads_them(tshark: Ask, name: str) -> None:
    sound(alike(tshark, family(name), READINGS, given_up=CAPTURES[name]), LLDP)


def test_tshark_reads_what_we_build(tshark: Ask) -> None:
    made = [
        Ether(src="02:00:00:00:00:01", dst="01:80:c2:00:00:0e")
        / LLDP(
            tlvs=(
                Chassis(id=ChassisMAC(mac="02:00:00:00:00:01")),
                Port(id=PortName(subtype=5, name=b"eth0")),
                TimeToLive(seconds=60),
                Words(type=5, words="lab" * times),
                Capabilities(has=20, enabled=4),
                Management(address=AddressIPv4(host="10.0.0.1"), interface=7),
                Organization(extension=PortVLAN(vlan=5)),
                Organization(extension=VLANName(vlan=5, name="five")),
                Organization(extension=Autonegotiation(supported=1, mau=30)),
                Organization(extension=FrameSize(largest=9000)),
            )
        )
        for times in (1, 100)
    ]
    packets = alike(tshark, made, READINGS)
    sound(packets, LLDP)
    named = LLDP(tlvs=contains(Words(type=5, words="lab")))
    assert [named.matches(packet) for packet in packets] == [True, False]


@pytest.mark.slow
def test_cut_and_spoilt() -> None:
    packets = packets_of("lldp/wireshark-lldp.pcap")[1:]
    assert "LLDP.tlvs" in cut(packets, LLDP)
    assert "LLDP.tlvs" in spoilt(packets, LLDP, times=100)
