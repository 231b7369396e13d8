"""Spanning trees: STP, RSTP and MSTP (IEEE 802.1Q-2018 clause 14)."""

from __future__ import annotations

from typing import Annotated

import pytest

from packetlab import (
    LLC,
    MAC,
    U1,
    U2,
    U4,
    U8,
    U12,
    U16,
    U32,
    Ether,
    Header,
    Rest,
    auto,
    const,
    default,
    field,
    fixed_bytes,
    many,
    scaled,
    size_of,
    sized,
    text,
    when,
)
from tests.protocols.oracle import Ask, alike, cut, family, packets_of, sound, spoilt
from tests.protocols.reading import of
from tests.protocols.scope import Scope

with (scope := Scope()):

    class Bridge(Header):
        priority: U4 = 8
        extension: U12 = 0
        mac: MAC = default("00:00:00:00:00:00")

    class Flags(Header):
        acknowledgment: U1 = 0
        agreement: U1 = 0
        forwarding: U1 = 0
        learning: U1 = 0
        role: U2 = 0
        proposal: U1 = 0
        change: U1 = 0

    class Instance(Header):
        flags: Flags = Flags()
        root: Bridge = Bridge()
        cost: U32 = 0
        priority: U8 = 0x80
        port_priority: U8 = 0x80
        remaining_hops: U8 = 20

    class Region(Header):
        format: U8 = const(0)
        name: Annotated[str, text("ascii", size=32, pad=b"\0")] = ""
        revision: U16 = 0
        digest: Annotated[bytes, fixed_bytes(16)] = bytes(16)
        cost: U32 = 0
        bridge: Bridge = Bridge()
        remaining_hops: U8 = 20
        instances: tuple[Instance, ...] = many()

    class BPDU(Header, under=LLC, when={"dsap": 0x42}):
        """As it is, a notice that the topology changes (type 0x80)."""

        protocol: U16 = 0
        version: U8 = 0
        type: U8 = 0x80

    class Configuration(BPDU, when={"type": (0, 2)}):
        flags: Flags = Flags()
        root: Bridge = Bridge()
        cost: U32 = 0
        bridge: Bridge = Bridge()
        port: U16 = 0x8001
        age: Annotated[float, scaled(16, 1 / 256, unit="s")] = 0.0
        maximum_age: Annotated[float, scaled(16, 1 / 256, unit="s")] = 20.0
        hello: Annotated[float, scaled(16, 1 / 256, unit="s")] = 2.0
        delay: Annotated[float, scaled(16, 1 / 256, unit="s")] = 15.0
        version1: U8 | None = when(field("version") >= 2, 0)
        region_size: U16 | None = when(field("version") >= 3, auto(size_of("region")))
        region: Region | None = when(field("version") >= 3, sized(field("region_size"), Region()))
        rest: Rest = b""


def flags(of_one: Configuration) -> list[Flags]:
    return [of_one.flags, *[one.flags for one in (of_one.region.instances if of_one.region else ())]]


READINGS = {
    "stp.version": of(BPDU, lambda h: h.version),
    "stp.type": of(BPDU, lambda h: h.type),
    "stp.flags.tc": of(Configuration, lambda h: [one.change for one in flags(h)]),
    "stp.flags.port_role": of(Configuration, lambda h: [one.role for one in flags(h)] if h.type == 2 else None),
    "stp.root.prio": of(Configuration, lambda h: h.root.priority << 12),
    "stp.root.ext": of(Configuration, lambda h: h.root.extension),
    "stp.root.hw": of(Configuration, lambda h: h.root.mac),
    "stp.root.cost": of(Configuration, lambda h: h.cost),
    "stp.port": of(Configuration, lambda h: h.port),
    "stp.msg_age": of(Configuration, lambda h: h.age),
    "stp.max_age": of(Configuration, lambda h: h.maximum_age),
    "stp.hello": of(Configuration, lambda h: h.hello),
    "stp.forward": of(Configuration, lambda h: h.delay),
    "mstp.version_3_length": of(Configuration, lambda h: h.region_size),
    "mstp.config_name": of(Configuration, lambda h: h.region and h.region.name),
    "mstp.config_digest": of(Configuration, lambda h: h.region and h.region.digest),
    "mstp.cist_remaining_hops": of(Configuration, lambda h: h.region and h.region.remaining_hops),
    "mstp.msti.msti_id": of(Configuration, lambda h: h.region and [one.root.extension for one in h.region.instances]),
    "mstp.msti.root_cost": of(Configuration, lambda h: h.region and [one.cost for one in h.region.instances]),
    "mstp.msti.remaining_hops": of(
        Configuration, lambda h: h.region and [one.remaining_hops for one in h.region.instances]
    ),
}
CAPTURES = ["stp/802.1D_spanning_tree.pcap", "stp/802.1w_rapid_STP.pcap", "stp/MSTP_Intra-Region_BPDUs.pcap"]


@pytest.mark.parametrize("name", CAPTURES)
def test_captures_are_read_as_tshark_reads_them(tshark: Ask, name: str) -> None:
    sound(alike(tshark, family(name), READINGS), BPDU)


def test_tshark_reads_what_we_build(tshark: Ask) -> None:
    below = Ether(src="02:00:00:00:00:01", dst="01:80:c2:00:00:00") / LLC(ssap=0x42)
    region = Region(name="lab", instances=(Instance(root=Bridge(extension=5)), Instance(cost=7)))
    made = [
        below / BPDU(),
        below / Configuration(type=0, age=1.5, hello=1 / 256),
        below / Configuration(type=2, version=2, flags=Flags(change=1, role=3), root=Bridge(mac="02:00:00:00:00:09")),
        below / Configuration(type=2, version=3, region=region),
    ]
    packets = alike(tshark, made, READINGS)
    sound(packets, BPDU)
    assert type(packets[0][BPDU]) is BPDU


def test_cut_and_spoilt() -> None:
    packets = packets_of("stp/MSTP_Intra-Region_BPDUs.pcap")[:2]
    assert {"Configuration.root", "Configuration.region"} <= cut(packets, BPDU)
    assert "Configuration.region" in spoilt(packets, BPDU, times=200)
