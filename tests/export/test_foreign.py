"""Whatever is a packet is taken wherever a packet is: ours, frames, scapy's, dpkt's, bytes."""

from __future__ import annotations

import io
import subprocess
import sys

import dpkt
import pytest

import packetlab as pl
from packetlab import UDP, VLAN, Capture, Ether, Frame, Header, IPv4, IPv6, Packet, Writer, dissect, memory_wire, replay
from packetlab.bulk.batch import Batch
from packetlab.export.bridges.scapy_declared import load
from packetlab.packet.coerce import as_packet
from packetlab.packet.foreign import as_bytes

load()
from scapy.layers.dns import DNS  # noqa: E402
from scapy.layers.inet import IP, UDP as ScapyUDP  # noqa: E402
from scapy.layers.l2 import Ether as ScapyEther  # noqa: E402
from scapy.packet import Raw  # noqa: E402

OURS = Ether(dst="02:00:00:00:00:02") / IPv4(src="10.0.0.1", dst="10.0.0.2", id=1) / UDP(sport=7, dport=9) / b"hello"
DATA = bytes(OURS)
SCAPY = ScapyEther(DATA)
DPKT = dpkt.ethernet.Ethernet(DATA)
FORMS = [OURS, dissect(DATA), Frame(DATA), SCAPY, DPKT, DATA, bytearray(DATA), memoryview(DATA)]
NAMES = ["built", "dissected", "frame", "scapy", "dpkt", "bytes", "bytearray", "memoryview"]
anything = pytest.mark.parametrize("form", FORMS, ids=NAMES)


@anything
def test_it_has_bytes_and_is_a_packet(form: object) -> None:
    assert as_bytes(form) == DATA
    assert as_packet(form) == OURS == dissect(form)
    assert UDP(dport=9).matches(as_packet(form))


@anything
def test_it_is_sent_and_replayed(form: object) -> None:
    a, b = memory_wire()
    a.send(form)
    assert a.send_all([form, form]) == 2
    assert replay([form], onto=a, topspeed=True).sent == replay([form], onto=a).sent == 1
    assert pl.send(form, onto=a).sent == 1 and pl.send([form, form], onto=a, workers=1).sent == 2
    assert list(b.take()) == [DATA] * 8


@anything
def test_it_is_written_and_kept(form: object) -> None:
    file = io.BytesIO()
    with Writer(file, "pcap") as writer:
        writer.write(form)
    file.seek(0)
    held = Capture.of([form])
    held.append(form)
    assert [frame.data for frame in [*Capture(file), *held]] == [DATA] * 3
    assert list(Batch.of([form])) == [DATA]


@anything
def test_it_is_compared_and_matched(form: object) -> None:
    assert not OURS.diff(form)
    assert str(OURS.replace(IPv4, ttl=3).diff(form)).startswith("IPv4.ttl: 3 != 64")
    if not isinstance(form, (bytearray, memoryview, bytes)):
        assert UDP(dport=9).matches(form) and not UDP(dport=10).matches(form)
        assert (IPv4() / UDP(sport=7)).matches(form)


@pytest.mark.parametrize("wrong", [5, [1, 2], None, "text", object()])
def test_what_is_no_packet_is_refused(wrong: object) -> None:
    a, _ = memory_wire()
    for use in (as_bytes, as_packet, dissect, a.send, Frame.of, Frame):
        with pytest.raises(TypeError, match="packet"):
            use(wrong)
    for use in (pl.from_scapy, pl.from_dpkt):
        with pytest.raises(TypeError, match="packet of"):
            use(wrong)


def test_the_class_of_a_foreign_packet_says_what_it_begins_with() -> None:
    assert type(dissect(SCAPY[IP]).layers[0]) is IPv4 and type(as_packet(DPKT.data).layers[0]) is IPv4
    assert pl.from_scapy(SCAPY[ScapyUDP])[UDP].dport == pl.from_dpkt(DPKT.data.data)[UDP].dport == 9
    assert Frame.of(SCAPY[IP]).linktype == Frame.of(DPKT.data).linktype == Frame.of(OURS[IPv4] / b"").linktype == 101
    assert Frame.of(IPv6()).linktype == 101 and Frame.of(SCAPY).linktype == 1
    assert type(Capture.of([SCAPY[IP]])[0].packet().layers[-1]) is UDP


def test_a_class_that_nobody_declared_is_a_fault_that_names_it() -> None:
    packet = pl.from_scapy(DNS(id=7))
    assert packet.layers == () and packet.payload == bytes(DNS(id=7))
    assert "scapy.layers.dns.DNS" in str(packet.faults[0])
    assert not pl.from_scapy(Raw(b"x")).faults


def test_scapys_time_is_kept() -> None:
    frame = ScapyEther(DATA)
    frame.time = 1234567890.5
    assert Frame.of(frame).time_ns == 1234567890_500000000


def test_the_left_side_of_a_slash_decides() -> None:
    ours = VLAN(id=3) / SCAPY[IP]
    assert isinstance(ours, Packet) and ours[UDP].dport == 9 and bytes(ours)[4:] == DATA[14:]
    assert bytes(Ether() / DPKT.data)[14:] == DATA[14:]
    theirs = (
        ScapyEther(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / VLAN(id=3) / (IPv4(id=9) / UDP(dport=5) / b"x")
    )
    assert isinstance(theirs, ScapyEther)
    expected = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / VLAN(id=3) / IPv4(id=9) / UDP(dport=5) / b"x"
    assert bytes(theirs) == bytes(expected)
    padded = dissect(DATA + bytes(4))
    assert bytes(ScapyEther(DATA[:14]) / Packet(padded.layers[1:], padded.payload))[14:] == DATA[14:]


def test_a_header_that_only_a_condition_finds_is_found_by_scapy_and_dpkt_too() -> None:
    from packetlab import U16, ahead, bindings

    with bindings():
        body = {"__annotations__": {"magic": U16}, "magic": 0x1234, "__module__": __name__, "__qualname__": "Over"}
        over = type(Header)("Over", (Header,), body, under=UDP, when=ahead(16) == 0x1234)
        packet = Ether() / IPv4() / UDP(dport=4000) / over() / b"rest"
        theirs, others = packet.to_scapy(), packet.to_dpkt()
        assert theirs["Over"].magic == 0x1234 and bytes(theirs) == bytes(packet)
        assert others.data.data.data.magic == 0x1234 and bytes(others) == bytes(packet)
        cut = dissect(bytes(packet) + b"filled up").to_scapy()
        assert cut["Over"].payload.load == b"rest" and bytes(cut) == bytes(packet) + b"filled up"


def test_nothing_is_imported_before_it_is_requested() -> None:
    code = (
        "import sys, packetlab as pl; p = pl.dissect(bytes(60)); pl.Frame.of(p); p.diff(bytes(60)); pl.from_scapy;"
        "sys.exit(any(m.split('.')[0] in ('scapy', 'dpkt') for m in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize("form", [SCAPY, DPKT], ids=["scapy", "dpkt"])
def test_a_foreign_packet_is_a_pattern(form: object) -> None:
    a, b = memory_wire()
    a.send_all([Ether() / b"other", OURS])
    assert b.receive(where=form) == OURS
    assert [frame.data for frame in Capture.of([Ether() / b"other", form]).where(form)] == [DATA]
