"""Radiotap and IEEE 802.11: fields by bits of a mask, aligned to their size; bits lowest first; frames with and without a sum."""

from __future__ import annotations

from typing import Annotated

import pytest

from packetlab import (
    LLC,
    MAC,
    S8,
    SNAP,
    TCP,
    U1,
    U2,
    U3,
    U4,
    U8,
    U12,
    Bytes,
    Header,
    IPv4,
    Payload,
    U16le,
    U32le,
    U64le,
    auto,
    bind,
    bits,
    crc32,
    default,
    dissect,
    field,
    has,
    link_type,
    many,
    pad,
    scaled,
    size_of,
    when,
)
from tests.protocols.oracle import Ask, alike, cut, family, packets_of, sound, spoilt
from tests.protocols.reading import of
from tests.protocols.scope import Scope

with (scope := Scope()):

    class Word(Header, bit_order="low"):
        """A further word of the mask: what it speaks of stands in `more`."""

        present: Annotated[int, bits(31)] = 0
        goes_on: U1 = 0

    class Extended(Header):
        flags: U32le = 0
        frequency: U16le = 0
        channel: U8 = 0
        power: U8 = 0

    class MCS(Header):
        known: U8 = 7
        flags: U8 = 0
        index: U8 = 0

    class AMPDU(Header):
        reference: U32le = 0
        flags: U16le = 0
        delimiter: U8 = 0
        reserved: U8 = 0

    class VHT(Header):
        known: U16le = 0
        flags: U8 = 0
        bandwidth: U8 = 0
        streams: tuple[U8, ...] = many(count=4, value=(0, 0, 0, 0))
        coding: U8 = 0
        group: U8 = 0
        partial_id: U16le = 0

    class Stamp(Header):
        time: U64le = 0
        accuracy: U16le = 0
        place: U4 = 0
        unit: U4 = 0
        flags: U8 = 0

    class HEUsers(Header):
        flags: tuple[U16le, ...] = many(count=2, value=(0, 0))
        first: tuple[U8, ...] = many(count=4, value=(0, 0, 0, 0))
        second: tuple[U8, ...] = many(count=4, value=(0, 0, 0, 0))

    class HEUser(Header):
        users: tuple[U16le, ...] = many(count=2, value=(0, 0))
        place: U8 = 0
        known: U8 = 0

    class Radiotap(Header, bit_order="low"):
        version: U8 = 0
        padding: U8 = 0
        length: U16le = auto(size_of("self"))
        has_time: U1 = auto(has("time"))
        has_flags: U1 = auto(has("flags"))
        has_rate: U1 = auto(has("rate"))
        has_channel: U1 = auto(has("frequency"))
        has_hopping: U1 = auto(has("hopping"))
        has_signal: U1 = auto(has("signal"))
        has_noise: U1 = auto(has("noise"))
        has_quality: U1 = auto(has("quality"))
        has_attenuation: U1 = auto(has("attenuation"))
        has_below: U1 = auto(has("below"))
        has_power: U1 = auto(has("power"))
        has_antenna: U1 = auto(has("antenna"))
        has_strength: U1 = auto(has("strength"))
        has_floor: U1 = auto(has("floor"))
        has_receiving: U1 = auto(has("receiving"))
        has_sending: U1 = auto(has("sending"))
        has_requests: U1 = auto(has("requests"))
        has_retries: U1 = auto(has("retries"))
        has_extended: U1 = auto(has("extended"))
        has_mcs: U1 = auto(has("mcs"))
        has_ampdu: U1 = auto(has("ampdu"))
        has_vht: U1 = auto(has("vht"))
        has_stamp: U1 = auto(has("stamp"))
        has_he: U1 = auto(has("he"))
        has_he_mu: U1 = auto(has("he_mu"))
        has_he_user: U1 = auto(has("he_user"))
        has_empty: U1 = auto(has("empty"))
        has_lsig: U1 = auto(has("lsig"))
        further: U3 = 0
        goes_on: U1 = auto(has("words"))
        words: tuple[Word, ...] | None = when(field("goes_on"), many(until=field("goes_on") == 0))
        to_eight: Bytes | None = when(field("has_time"), pad(8))
        time: U64le | None = when(field("has_time"))
        flags: U8 | None = when(field("has_flags"))
        rate: Annotated[float, scaled(8, 0.5, unit="Mb/s")] | None = when(field("has_rate"))
        to_channel: Bytes | None = when(field("has_channel"), pad(2))
        frequency: U16le | None = when(field("has_channel"))
        channel: U16le | None = when(field("has_channel"), 0)
        hopping: U16le | None = when(field("has_hopping"))
        signal: S8 | None = when(field("has_signal"))
        noise: S8 | None = when(field("has_noise"))
        to_quality: Bytes | None = when(field("has_quality"), pad(2))
        quality: U16le | None = when(field("has_quality"))
        to_attenuation: Bytes | None = when(field("has_attenuation"), pad(2))
        attenuation: U16le | None = when(field("has_attenuation"))
        to_below: Bytes | None = when(field("has_below"), pad(2))
        below: U16le | None = when(field("has_below"))  # dB below the highest power
        power: S8 | None = when(field("has_power"))
        antenna: U8 | None = when(field("has_antenna"))
        strength: U8 | None = when(field("has_strength"))  # dB from an arbitrary mark, and the floor of noise
        floor: U8 | None = when(field("has_floor"))
        to_receiving: Bytes | None = when(field("has_receiving"), pad(2))
        receiving: U16le | None = when(field("has_receiving"))
        to_sending: Bytes | None = when(field("has_sending"), pad(2))
        sending: U16le | None = when(field("has_sending"))
        requests: U8 | None = when(field("has_requests"))
        retries: U8 | None = when(field("has_retries"))
        to_extended: Bytes | None = when(field("has_extended"), pad(4))
        extended: Extended | None = when(field("has_extended"))
        mcs: MCS | None = when(field("has_mcs"))
        to_ampdu: Bytes | None = when(field("has_ampdu"), pad(4))
        ampdu: AMPDU | None = when(field("has_ampdu"))
        to_vht: Bytes | None = when(field("has_vht"), pad(2))
        vht: VHT | None = when(field("has_vht"))
        to_stamp: Bytes | None = when(field("has_stamp"), pad(8))
        stamp: Stamp | None = when(field("has_stamp"))
        to_he: Bytes | None = when(field("has_he"), pad(2))
        he: tuple[U16le, ...] | None = when(field("has_he"), many(count=6))
        to_he_mu: Bytes | None = when(field("has_he_mu"), pad(2))
        he_mu: HEUsers | None = when(field("has_he_mu"))
        to_he_user: Bytes | None = when(field("has_he_user"), pad(2))
        he_user: HEUser | None = when(field("has_he_user"))
        empty: U8 | None = when(field("has_empty"))  # what a frame of no bytes was
        to_lsig: Bytes | None = when(field("has_lsig"), pad(2))
        lsig: tuple[U16le, ...] | None = when(field("has_lsig"), many(count=2))
        more: Bytes = b""

    class Dot11(Header, bit_order="low"):
        version: U2 = 0
        type: U2 = 2
        subtype: U4 = 0
        to_ds: U1 = 0
        from_ds: U1 = 0
        fragments: U1 = 0
        retry: U1 = 0
        power: U1 = 0
        more_data: U1 = 0
        protected: U1 = 0
        order: U1 = 0
        duration: U16le = 0
        receiver: MAC = default("ff:ff:ff:ff:ff:ff")
        sender: MAC | None = when((field("type") != 1) | (field("subtype") < 12))
        third: MAC | None = when(field("type") != 1)
        fragment: U4 | None = when(field("type") != 1, 0)
        sequence: U12 | None = when(field("type") != 1, 0)
        fourth: MAC | None = when((field("type") == 2) & field("to_ds") & field("from_ds"))
        quality: U16le | None = when((field("type") == 2) & (field("subtype") >= 8), 0)

    class Summed(Dot11, under=Radiotap, when=field("flags") & 0x10):
        """With the frame check sequence behind it, as radiotap's flag says."""

        body: Payload = b""
        fcs: U32le = auto(crc32("self", "payload"))

    bind(Dot11, under=Radiotap, when=(field("flags") & 0x10) == 0)
    data = (field("type") == 2) & (field("subtype").one_of(0, 1, 2, 3, 8)) & (field("protected") == 0)
    bind(LLC, under=Dot11, when=data)
    link_type(127, Radiotap)


READINGS = {
    "radiotap.length": of(Radiotap, lambda h: h.length),
    "radiotap.mactime": of(Radiotap, lambda h: h.time),
    "radiotap.datarate": of(Radiotap, lambda h: h.rate),
    "radiotap.channel.freq": of(Radiotap, lambda h: h.frequency),
    "radiotap.txattenuation": of(Radiotap, lambda h: h.attenuation),
    "radiotap.db_txattenuation": of(Radiotap, lambda h: h.below),
    "radiotap.txpower": of(Radiotap, lambda h: h.power),
    "radiotap.db_antsignal": of(Radiotap, lambda h: h.strength),
    "radiotap.db_antnoise": of(Radiotap, lambda h: h.floor),
    "radiotap.timestamp.ts": of(Radiotap, lambda h: h.stamp and h.stamp.time),
    "radiotap.timestamp.accuracy": of(Radiotap, lambda h: h.stamp and h.stamp.accuracy),
    "radiotap.timestamp.unit": of(Radiotap, lambda h: h.stamp and h.stamp.unit),
    "radiotap.timestamp.samplingpos": of(Radiotap, lambda h: h.stamp and h.stamp.place),
    "radiotap.he.data_1": of(Radiotap, lambda h: h.he and h.he[0]),
    "radiotap.he.data_2": of(Radiotap, lambda h: h.he and h.he[1]),
    "radiotap.mcs.index": of(Radiotap, lambda h: h.mcs and h.mcs.index),
    "wlan.fc.type": of(Dot11, lambda h: h.type),
    "wlan.fc.subtype": of(Dot11, lambda h: h.subtype),
    "wlan.duration": of(Dot11, lambda h: h.duration),
    "wlan.ra": of(Dot11, lambda h: h.receiver),
    "wlan.ta": of(Dot11, lambda h: h.sender),
    "wlan.seq": of(Dot11, lambda h: h.sequence),
    "wlan.fcs": of(Summed, lambda h: h.fcs),
}
CAPTURES = ["wlan/80211http.pcap", "wlan/ieee802.11_rx-stbc.pcap", "wlan/ieee802.11_meshid.pcap"]


@pytest.mark.parametrize("name", CAPTURES)
def test_captures_are_read_as_tshark_reads_them(tshark: Ask, name: str) -> None:
    told = {field: read for field, read in READINGS.items() if "stbc" not in name or field != "radiotap.datarate"}
    packets = alike(tshark, family(name), told)  # of MCS tshark works out a rate
    sound(packets, Radiotap, anew="stbc" not in name)  # those were decrypted, and kept their sums


def test_tshark_reads_what_we_build(tshark: Ask) -> None:
    frame = Summed(
        receiver="02:00:00:00:00:01", sender=MAC("02:00:00:00:00:02"), third=MAC("02:00:00:00:00:03"), sequence=7
    )
    made = [
        Radiotap(flags=0x10, time=5, frequency=2412, signal=-40) / frame / bytes(20),
        Radiotap(flags=0x10, rate=5.5, antenna=1) / frame.replace(to_ds=1, from_ds=1, fourth="02:00:00:00:00:04"),
        Radiotap(flags=0x10, receiving=0) / Summed(type=1, subtype=13, receiver="02:00:00:00:00:01"),
        Radiotap(flags=0x10, attenuation=3, power=-2, strength=40, floor=9) / frame / bytes(20),
        Radiotap(flags=0x10, hopping=1, below=5, antenna=1, stamp=Stamp(time=77, accuracy=8, unit=1, place=2, flags=2)) / frame / bytes(20),
        Radiotap(flags=0x10, antenna=1, he=(4, 8, 0, 0, 0, 0), lsig=(0, 0)) / frame / bytes(20),
        Radiotap(flags=0x10, power=1, he_mu=HEUsers(), he_user=HEUser(), empty=1) / frame / bytes(20),
        Radiotap(flags=0x10, noise=-90, mcs=MCS(index=7)) / frame.replace(subtype=8, quality=5) / bytes(30),
    ]
    told = {field: read for field, read in READINGS.items() if field != "radiotap.datarate"}
    packets = alike(tshark, made, told, linktype=127)
    sound(packets, Radiotap)
    assert [packet.verdict(Summed).name for packet in packets] == ["GOOD"] * 8


def test_ip_is_found_in_data() -> None:
    packets = packets_of("wlan/80211http.pcap")
    assert sum(TCP in packet for packet in packets) > 5
    without = (
        Radiotap(rate=1)
        / Dot11(sender=MAC("02:00:00:00:00:02"), third=MAC("02:00:00:00:00:03"))
        / LLC()
        / SNAP()
        / IPv4()
    )
    found = dissect(bytes(without), Radiotap)
    assert type(found[Dot11]) is Dot11 and IPv4 in found and not found.faults


def test_the_sums_of_others_are_good() -> None:
    packets = [packet for packet in packets_of("wlan/80211http.pcap") if Summed in packet]
    assert len(packets) == 26 and {packet.verdict(Summed).name for packet in packets} == {"GOOD"}


def test_cut_and_spoilt() -> None:
    packets = packets_of("wlan/ieee802.11_rx-stbc.pcap")[:1]
    assert "Radiotap.time" in cut(packets, Radiotap)
    assert spoilt(packets, Radiotap, times=100)
