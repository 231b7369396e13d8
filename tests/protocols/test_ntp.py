"""NTP (RFC 5905; control messages RFC 9327): times, fixed point, a body by mode, extension fields, an authenticator at the end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import IntEnum
from typing import Annotated

import pytest

from packetlab import (
    S8,
    U1,
    U2,
    U3,
    U4,
    U5,
    U7,
    U8,
    U12,
    U16,
    U32,
    UDP,
    Bytes,
    Ether,
    Header,
    IPv4,
    Named,
    NTPShort,
    NTPTime,
    Rest,
    auto,
    bind,
    bits,
    choose,
    default,
    field,
    fixed_bytes,
    many,
    raw,
    size_of,
    sized,
)
from packetlab.declare.values.times import Elapsed, Instant
from tests.protocols.oracle import Ask, alike, cut, family, packets_of, sound, spoilt
from tests.protocols.reading import date, of
from tests.protocols.scope import Scope

with (scope := Scope()):

    class Mode(IntEnum):
        CLIENT = 3
        SERVER = 4
        CONTROL = 6

    class NTP(Header, under=UDP, when={"port": 123}):
        leap: U2 = 0
        version: U3 = 4
        mode: Annotated[Named[Mode], bits(3)] = default(Mode.CLIENT)

    class NTPTimes(NTP, when=(field("mode") >= 1) & (field("mode") <= 5)):
        stratum: U8 = 0
        poll: S8 = 6
        precision: S8 = -20
        root_delay: NTPShort = raw(0)
        root_dispersion: NTPShort = raw(0)
        reference_id: Annotated[bytes, fixed_bytes(4)] = bytes(4)
        reference: NTPTime = raw(0)
        origin: NTPTime = raw(0)
        receive: NTPTime = raw(0)
        transmit: NTPTime = raw(0)

    class NTPControl(NTP, when={"mode": 6}):
        response: U1 = 0
        error: U1 = 0
        more: U1 = 0
        opcode: U5 = 2
        sequence: U16 = 1
        status: U16 = 0
        association: U16 = 0
        offset: U16 = 0
        count: U16 = auto(size_of("data"))
        data: Bytes = b""

    class NTPPrivate(NTP, when={"mode": 7}):
        authenticated: U1 = 0
        sequence: U7 = 0
        implementation: U8 = 3
        request: U8 = 42
        error: U4 = 0
        number: U12 = auto(size_of("data") // choose(field("size"), field("size"), 1))
        reserved: U4 = 0
        size: U12 = 0
        data: Bytes = sized(field("number") * field("size"), b"")

    class Peer(Header):
        association: U16
        status: U16 = 0

    class NTPPeers(NTPControl, inside="data", when={"opcode": 1, "response": 1, "association": 0}):
        peers: tuple[Peer, ...] = many()

    class NTPExtension(Header, under=NTPTimes, when=size_of("payload") > 24):
        """RFC 7822: what is longer than the longest authenticator is a field."""

        type: U16 = 0x0104
        length: U16 = auto(size_of("self"))
        value: Bytes = bytes(24)

    class NTPAuthenticator(Header, under=NTPTimes):
        key: U32 = 1
        digest: Rest = b""

    bind(NTPExtension, under=NTPExtension, when=size_of("payload") > 24)
    bind(NTPAuthenticator, under=NTPExtension)


CAPTURES = ["ntp/ntp.pcap", "ntp/NTP-digest.pcap", "ntp/ntp-control.pcap", "ntp/ntpmode67.pcap"]


def moment(time: datetime) -> str:
    """Return a time as Wireshark writes it; 0 is none."""
    assert isinstance(time, Instant)
    if time.exact == 2085978496:  # 2036, when NTP begins again at 0
        return "NULL"
    nanoseconds = time.exact % 1 * 10**9 // 1
    return f"{date(time)}.{nanoseconds:09} UTC"


def units(delay: timedelta) -> int:
    assert isinstance(delay, Elapsed)
    return int(delay.exact * 65536)


def peers(header: NTPControl) -> list[int]:
    return [one.association for one in header.peers] if isinstance(header, NTPPeers) else []


READINGS = {
    "ntp.flags.li": of(NTP, lambda h: h.leap if h.mode < 7 else None),
    "ntp.flags.vn": of(NTP, lambda h: h.version),
    "ntp.flags.mode": of(NTP, lambda h: int(h.mode)),
    "ntp.stratum": of(NTPTimes, lambda h: h.stratum),
    "ntp.ppoll": of(NTPTimes, lambda h: h.poll),
    "ntp.precision": of(NTPTimes, lambda h: h.precision % 256),
    "ntp.rootdelay": of(NTPTimes, lambda h: units(h.root_delay)),
    "ntp.rootdispersion": of(NTPTimes, lambda h: units(h.root_dispersion)),
    "ntp.refid": of(NTPTimes, lambda h: h.reference_id),
    "ntp.reftime": of(NTPTimes, lambda h: moment(h.reference)),
    "ntp.org": of(NTPTimes, lambda h: moment(h.origin)),
    "ntp.rec": of(NTPTimes, lambda h: moment(h.receive)),
    "ntp.xmt": of(NTPTimes, lambda h: moment(h.transmit)),
    "ntp.ext.type": of(NTPExtension, lambda h: h.type),
    "ntp.ext.length": of(NTPExtension, lambda h: h.length),
    "ntp.ext.value": of(NTPExtension, lambda h: h.value),
    "ntp.keyid": of(NTPAuthenticator, lambda h: h.key.to_bytes(4, "big")),
    "ntp.mac": of(NTPAuthenticator, lambda h: h.digest or None),
    "ntp.ctrl.flags2.r": of(NTPControl, lambda h: h.response),
    "ntp.ctrl.flags2.error": of(NTPControl, lambda h: h.error),
    "ntp.ctrl.flags2.more": of(NTPControl, lambda h: h.more),
    "ntp.ctrl.flags2.opcode": of(NTPControl, lambda h: h.opcode),
    "ntp.ctrl.sequence": of(NTPControl, lambda h: h.sequence),
    "ntp.ctrl.associd": of(NTPControl, lambda h: [h.association, *peers(h)]),
    "ntp.ctrl.offset": of(NTPControl, lambda h: h.offset),
    "ntp.priv.seq": of(NTPPrivate, lambda h: h.sequence),
    "ntp.priv.impl": of(NTPPrivate, lambda h: h.implementation),
    "ntp.priv.reqcode": of(NTPPrivate, lambda h: h.request),
    "ntp.priv.numitems": of(NTPPrivate, lambda h: h.number),
    "ntp.priv.itemsize": of(NTPPrivate, lambda h: h.size),
    "ntp.ctrl.count": of(NTPControl, lambda h: h.count),
}


@pytest.mark.parametrize("name", CAPTURES)
def test_captures_are_read_like_tshark(tshark: Ask, name: str) -> None:
    packets = alike(tshark, family(name), READINGS)
    sound(packets, NTP)
    control = "control" in name or "67" in name
    assert any((NTPControl if control else NTPAuthenticator) in packet for packet in packets)


def test_tshark_reads_what_we_build(tshark: Ask) -> None:
    low = Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=50000)
    sent = NTPTimes(
        stratum=2, root_delay=timedelta(seconds=1.5), root_dispersion=timedelta(milliseconds=250),
        reference=datetime(2040, 1, 1, tzinfo=UTC), origin=datetime(2024, 2, 29, 12, 0, 0, 500000, UTC),
        transmit=datetime(1999, 12, 31, 23, 59, 59, 999999, UTC),
    )  # fmt: skip
    made = [
        low / sent,
        low / sent / NTPAuthenticator(key=7, digest=bytes(range(16))),
        low / sent / NTPExtension(value=bytes(28)) / NTPAuthenticator(digest=bytes(20)),
        low / sent / NTPExtension() / NTPExtension(type=0x0204, value=b"x" * 24) / NTPAuthenticator(digest=bytes(20)),
        low / NTPControl(version=2, response=1, more=1, association=3, data=b"a=1,b=2"),
        low / NTPPeers(version=2, peers=(Peer(association=8, status=0x9614), Peer(association=9))),
    ]
    packets = alike(tshark, made, READINGS)
    sound(packets, NTP)
    assert [type(one).__name__ for one in packets[3].layers[3:]] == [
        "NTPTimes", "NTPExtension", "NTPExtension", "NTPAuthenticator",
    ]  # fmt: skip
    assert bytes(sent)[4:12].hex(" ") == "00 01 80 00 00 00 40 00"
    assert bytes(sent)[24:32].hex(" ") == "e9 8a f0 40 80 00 00 00"


@pytest.mark.slow
def test_what_is_cut_or_spoilt_is_a_fault() -> None:
    read = [packet for name in CAPTURES for packet in packets_of(name)[:4]]
    assert {"NTPTimes.transmit", "NTPAuthenticator.key", "NTPControl.data"} <= cut(read, NTP)
    spoilt(read, NTP)
