"""PTP (IEEE 1588-2019, clause 13 and 14): bodies by type, fixed point, times of 48 + 32 bits, TLVs of many kinds."""

from __future__ import annotations

from enum import IntEnum, IntFlag
from fractions import Fraction
from typing import Annotated

import pytest

from packetlab import (
    S8,
    S16,
    U4,
    U8,
    U16,
    U24,
    U32,
    U48,
    U64,
    UDP,
    Bytes,
    Ether,
    Header,
    IPv4,
    Named,
    Rest,
    Text,
    auto,
    bind,
    bits,
    default,
    fixed_bytes,
    many,
    pad,
    scaled,
    size_of,
)
from tests.protocols.oracle import Ask, alike, cut, family, packets_of, sound, spoilt
from tests.protocols.reading import of
from tests.protocols.scope import Scope

with (scope := Scope()):

    class Type(IntEnum):
        SYNC = 0
        DELAY_REQUEST = 1
        PATH_DELAY_REQUEST = 2
        PATH_DELAY_RESPONSE = 3
        FOLLOW_UP = 8
        DELAY_RESPONSE = 9
        PATH_DELAY_FOLLOW_UP = 10
        ANNOUNCE = 11
        SIGNALLING = 12
        MANAGEMENT = 13

    class Flags(IntFlag):
        TWO_STEP = 0x200
        UNICAST = 0x400
        TIMESCALE = 8

    class PTPTime(Header):
        seconds: U48 = 0
        nanoseconds: U32 = 0

    class Port(Header):
        clock: U64 = 0
        number: U16 = 0

    class PTP(Header, under=Ether, when={"type": 0x88F7}):
        sdo: U4 = 0
        type: Annotated[Named[Type], bits(4)] = default(Type.SYNC)
        minor: U4 = 1
        version: U4 = 2
        length: U16 = auto(size_of("self") + size_of("payload"))
        domain: U8 = 0
        minor_sdo: U8 = 0
        flags: Annotated[Named[Flags], bits(16)] = default(Flags(0))
        correction: Annotated[Fraction, scaled(64, Fraction(1, 65536), signed=True, unit="ns")] = Fraction(0)
        specific: U32 = 0
        source: Port = Port()
        sequence: U16 = 0
        control: U8 = 5
        interval: S8 = 0

    class PTPSync(PTP, when={"type": (0, 1)}):
        origin: PTPTime = PTPTime()

    class PTPPathDelayRequest(PTP, when={"type": 2}):
        origin: PTPTime = PTPTime()
        reserved: Annotated[bytes, fixed_bytes(10)] = bytes(10)

    class PTPPathDelayResponse(PTP, when={"type": 3}):
        received: PTPTime = PTPTime()
        asking: Port = Port()

    class PTPFollowUp(PTP, when={"type": 8}):
        precise: PTPTime = PTPTime()

    class PTPDelayResponse(PTP, when={"type": 9}):
        received: PTPTime = PTPTime()
        asking: Port = Port()

    class PTPPathDelayFollowUp(PTP, when={"type": 10}):
        sent: PTPTime = PTPTime()
        asking: Port = Port()

    class PTPAnnounce(PTP, when={"type": 11}):
        origin: PTPTime = PTPTime()
        utc_offset: S16 = 37
        reserved: U8 = 0
        priority1: U8 = 128
        clock_class: U8 = 248
        accuracy: U8 = 0xFE
        variance: U16 = 0xFFFF
        priority2: U8 = 128
        grandmaster: U64 = 0
        steps: U16 = 0
        time_source: U8 = 0xA0

    class PTPManagement(PTP, when={"type": 13}):
        target: Port = Port(clock=0xFFFFFFFFFFFFFFFF, number=0xFFFF)
        starting_hops: U8 = 0
        hops: U8 = 0
        spare: U4 = 0
        action: U4 = 0
        spare2: U8 = 0

    class PTPTLV(Header, under=PTP):
        """What stands after the fields of a message, one after the other."""

        type: U16 = 1
        length: U16 = auto(size_of("data"))
        data: Bytes = b""

    class PathTrace(PTPTLV, inside="data", when={"type": 8}):
        clocks: tuple[U64, ...] = many()

    class Management(PTPTLV, inside="data", when={"type": 1}):
        id: U16 = 0
        value: Rest = b""

    class CurrentDataSet(Management, inside="value", when={"id": 0x2001}):
        steps: U16 = 0
        offset: Annotated[Fraction, scaled(64, Fraction(1, 65536), signed=True, unit="ns")] = Fraction(0)
        delay: Annotated[Fraction, scaled(64, Fraction(1, 65536), signed=True, unit="ns")] = Fraction(0)

    class ParentDataSet(Management, inside="value", when={"id": 0x2002}):
        parent: Port = Port()
        statistics: U8 = 0
        reserved: U8 = 0
        variance: U16 = 0xFFFF
        phase_change: U32 = 0x7FFFFFFF
        priority1: U8 = 128
        clock_class: U8 = 248
        accuracy: U8 = 0xFE
        clock_variance: U16 = 0
        priority2: U8 = 128
        grandmaster: U64 = 0

    class Text8(Header):
        length: U8 = auto(size_of("text"))
        text: Text = ""

    class ClockDescription(Management, inside="value", when={"id": 1}):
        kinds: U16 = 0x8000
        layer: Text8 = Text8()
        address_size: U16 = auto(size_of("address"))
        address: Bytes = b""
        protocol: U16 = 3
        protocol_size: U16 = auto(size_of("protocol_address"))
        protocol_address: Bytes = b""
        manufacturer: U24 = 0
        reserved: U8 = 0
        product: Text8 = Text8(text=";;")
        revision: Text8 = Text8(text=";;")
        user: Text8 = Text8()
        profile: U48 = 0
        padding: Bytes = pad(2)

    bind(PTPTLV, under=PTPTLV)
    bind(PTP, under=UDP, when={"port": (319, 320)})


CAPTURES = ["ptp/ptp.pcap", "ptp/ptp_management.pcap", "ptp/ptp_v2_1.pcap"]


READINGS = {
    "ptp.v2.messagetype": of(PTP, lambda h: int(h.type)),
    "ptp.v2.minorversionptp": of(PTP, lambda h: h.minor),
    "ptp.v2.versionptp": of(PTP, lambda h: h.version),
    "ptp.v2.messagelength": of(PTP, lambda h: h.length),
    "ptp.v2.domainnumber": of(PTP, lambda h: h.domain),
    "ptp.v2.flags": of(PTP, lambda h: int(h.flags)),
    "ptp.v2.flags.twostep": of(PTP, lambda h: Flags.TWO_STEP in h.flags),
    "ptp.v2.correction.ns": of(PTP, lambda h: h.correction // 1 % 2**64),
    "ptp.v2.correction.subns": of(PTP, lambda h: float(h.correction % 1)),
    "ptp.v2.clockidentity": of(PTP, lambda h: h.source.clock),
    "ptp.v2.sourceportid": of(PTP, lambda h: h.source.number),
    "ptp.v2.sequenceid": of(PTP, lambda h: h.sequence),
    "ptp.v2.controlfield": of(PTP, lambda h: h.control),
    "ptp.v2.logmessageperiod": of(PTP, lambda h: h.interval),
    "ptp.v2.sdr.origintimestamp.seconds": of(PTPSync, lambda h: h.origin.seconds),
    "ptp.v2.sdr.origintimestamp.nanoseconds": of(PTPSync, lambda h: h.origin.nanoseconds),
    "ptp.v2.pdrq.origintimestamp.seconds": of(PTPPathDelayRequest, lambda h: h.origin.seconds),
    "ptp.v2.pdrs.requestingportidentity": of(PTPPathDelayResponse, lambda h: h.asking.clock),
    "ptp.v2.fu.preciseorigintimestamp.seconds": of(PTPFollowUp, lambda h: h.precise.seconds),
    "ptp.v2.fu.preciseorigintimestamp.nanoseconds": of(PTPFollowUp, lambda h: h.precise.nanoseconds),
    "ptp.v2.dr.receivetimestamp.seconds": of(PTPDelayResponse, lambda h: h.received.seconds),
    "ptp.v2.dr.requestingsourceportidentity": of(PTPDelayResponse, lambda h: h.asking.clock),
    "ptp.v2.pdfu.responseorigintimestamp.nanoseconds": of(PTPPathDelayFollowUp, lambda h: h.sent.nanoseconds),
    "ptp.v2.an.origincurrentutcoffset": of(PTPAnnounce, lambda h: h.utc_offset),
    "ptp.v2.an.grandmasterclockclass": of(PTPAnnounce, lambda h: h.clock_class),
    "ptp.v2.an.grandmasterclockvariance": of(PTPAnnounce, lambda h: h.variance),
    "ptp.v2.an.grandmasterclockidentity": of(PTPAnnounce, lambda h: h.grandmaster),
    "ptp.v2.an.localstepsremoved": of(PTPAnnounce, lambda h: h.steps),
    "ptp.v2.timesource": of(PTPAnnounce, lambda h: h.time_source),
    "ptp.v2.an.pathsequence": of(PathTrace, lambda h: h.clocks),
    "ptp.v2.mm.targetportidentity": of(PTPManagement, lambda h: h.target.clock),
    "ptp.v2.mm.startingboundaryhops": of(PTPManagement, lambda h: h.starting_hops),
    "ptp.v2.mm.action": of(PTPManagement, lambda h: h.action),
    "ptp.v2.mm.managementId": of(Management, lambda h: h.id),
    "ptp.v2.mm.parentclockidentity": of(ParentDataSet, lambda h: h.parent.clock),
    "ptp.v2.mm.stepsRemoved": of(CurrentDataSet, lambda h: h.steps),
    "ptp.v2.mm.physicalLayerProtocol": of(ClockDescription, lambda h: [h.layer.text] * 2),
}


@pytest.mark.parametrize("name", CAPTURES)
def test_captures_are_read_like_tshark(tshark: Ask, name: str) -> None:
    sound(alike(tshark, family(name), READINGS), PTP)


def test_the_parts_of_management_are_fields() -> None:
    read = [one[Management] for one in packets_of(CAPTURES[1]) if Management in one]
    assert {type(one) for one in read} >= {CurrentDataSet, ParentDataSet, ClockDescription}


def test_tshark_reads_what_we_build(tshark: Ask) -> None:
    low, udp = Ether(), Ether() / IPv4(src="10.0.0.1", dst="224.0.1.129") / UDP(dport=320)
    at = PTPTime(seconds=1_700_000_000, nanoseconds=5)
    made = [
        low / PTPSync(flags=Flags.TWO_STEP, correction=Fraction(-3, 2), origin=at),
        udp / PTPFollowUp(precise=at, correction=Fraction(1, 65536)),
        low / PTPPathDelayRequest(origin=at),
        low / PTPPathDelayResponse(received=at, asking=Port(clock=7, number=2)),
        low / PTPPathDelayFollowUp(sent=at, asking=Port(clock=7, number=2)),
        low / PTPDelayResponse(received=at, asking=Port(clock=8, number=3)),
        udp / PTPAnnounce(steps=2, grandmaster=0x0123456789ABCDEF) / PathTrace(clocks=(1, 2)),
        low / PTPManagement() / CurrentDataSet(steps=3, delay=Fraction(1, 2)),
        low / PTPManagement(action=2) / ClockDescription(layer=Text8(text="IEEE 802.3")),
    ]
    sound(alike(tshark, made, READINGS), PTP)
    assert bytes(made[0])[22:30].hex() == "fffffffffffe8000"


def test_what_is_cut_or_spoilt_is_a_fault() -> None:
    read = [packet for name in CAPTURES for packet in packets_of(name)[:5]]
    assert {"PTP.length", "PTP.source", "PTP.clock"} & cut(read, PTP)
    spoilt(read, PTP)
