"""Which decoder is found, and that it is the right one: whatever was imported, whatever the ports say."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import Any

import dpkt
import pytest
from hypothesis import given, settings, strategies as st

import packetlab as pl
from packetlab import GRE, LLC, SNAP, TCP, UDP, VXLAN, Capture, Ether, Frame, IPv4, IPv6, Packet, deep
from packetlab.export.bridges.decoder_tables import _PLAUSIBLE, BEGINS, BY_NUMBER, BY_PORT, plausible, tls_records
from tests.conftest import CORPUS, amount

HEX = bytes.fromhex
OSPF = HEX("0201002c0a000001") + bytes(36)
LLDP = HEX("0207040200000000010403050a0b0602007800 00".replace(" ", ""))
CASES: dict[str, Any] = {
    "ospf": IPv4(protocol=89) / OSPF,
    "eigrp": IPv4(protocol=88) / (HEX("0205") + bytes(18)),
    "pim": IPv4(protocol=103) / HEX("2000 0000 0001 0002 0069".replace(" ", "")),
    "igmp": IPv4(protocol=2) / HEX("1600 0000 e0000016".replace(" ", "")),
    "lldp": Ether(type=0x88CC) / LLDP,
    "slow": Ether(type=0x8809, dst="01:80:c2:00:00:02") / (HEX("0101") + bytes(108)),
    "ptp": Ether(type=0x88F7) / (HEX("0002002c") + bytes(40)),
    "cdp": Ether() / LLC() / SNAP(oui=0xC, type=0x2000) / HEX("02b4000000010005 61".replace(" ", "")),
    "dtp": Ether() / LLC() / SNAP(oui=0xC, type=0x2004) / HEX("01000100 0500".replace(" ", "")),
    "isis": Ether() / LLC(dsap=0xFE, ssap=0xFE) / (HEX("831b0100110100 00".replace(" ", "")) + bytes(12)),
    "stp": Ether() / LLC(dsap=0x42, ssap=0x42) / (bytes(35)),
    "erspan": IPv4() / GRE(protocol=0x88BE, sequence=1) / (HEX("10010000 00000000".replace(" ", "")) + bytes(Ether() / b"x")),
    "geneve": IPv4() / UDP(dport=6081) / (HEX("00006558 00000100".replace(" ", "")) + bytes(Ether())),
    "gtp": IPv4() / UDP(dport=2152) / HEX("30ff0004 00000001 01020304".replace(" ", "")),
    "bgp": IPv4() / TCP(dport=179) / (b"\xff" * 16 + HEX("001304")),
    "enip": IPv4() / TCP(dport=44818) / (HEX("6300 0000".replace(" ", "")) + bytes(20)),
    "ldp": IPv4() / UDP(dport=646) / HEX("0001001a 0a000001 0000 0100 0012 00000001 0400 0004 000f0000".replace(" ", "") + "00000000"),
}  # fmt: skip


def said(packet: Any) -> list[Any]:
    made = packet.deep()
    return [made.name, made.using, made.by, str(made)]


@pytest.fixture(scope="module")
def answers() -> list[dict[str, list[Any]]]:
    """What two processes say: in one, all of scapy's contributions were imported before."""
    code = """
import importlib, json, pkgutil, sys, warnings
if sys.argv[1] == "all":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import scapy.all, scapy.contrib
        for module in pkgutil.iter_modules(scapy.contrib.__path__):
            try:
                importlib.import_module("scapy.contrib." + module.name)
            except BaseException:
                pass
else:
    warnings.simplefilter("error")
import packetlab as pl
result = {}
for name, digits in json.loads(sys.stdin.read()).items():
    first = pl.IPv4 if digits.startswith("45") else pl.Ether
    made = pl.dissect(bytes.fromhex(digits), first).deep()
    result[name] = [made.name, made.using, made.by, str(made)]
print(json.dumps(result))
"""
    raw = json.dumps({name: bytes(packet).hex() for name, packet in {**CASES, **WRONG}.items()})
    reported = []
    for what in ("nothing", "all"):
        done = subprocess.run(
            [sys.executable, "-W", "error" if what == "nothing" else "ignore", "-c", code, what],
            input=raw, capture_output=True, text=True, timeout=300,
        )  # fmt: skip
        assert done.returncode == 0 and (what == "all" or not done.stderr), done.stderr
        reported.append(json.loads(done.stdout))
    return reported


QUERY = bytes(dpkt.dns.DNS(id=0x4007, qd=[dpkt.dns.DNS.Q(name="example.org", type=1)]))
DTLS = HEX("16fefd000000000000000000200100001400000000000000140000000000000000")
RTP = HEX("80600001000000010000000a") + bytes(160)
WRONG: dict[str, Any] = {
    "dtls on 443": IPv4() / UDP(sport=50000, dport=443) / DTLS,
    "gquic on 443": IPv4() / UDP(sport=50000, dport=443) / (HEX("0d") + bytes(8) + b"Q043" + bytes(30)),
    "rtp on stun's port": IPv4() / UDP(sport=3478, dport=40000) / RTP,
    "ftp data on rpc's port": IPv4() / TCP(sport=20, dport=2049) / (b"-rw-r--r-- 1 ftp ftp 12345 file\r\n" * 3),
    "text on dns's port": IPv4() / UDP(dport=53) / b"hello there, this is no question at all",
    "anything on ntp's": IPv4() / UDP(dport=123) / bytes(60),
    "anything on tls's": IPv4() / TCP(dport=443) / b"\x16\x03\x01\xff\xffxyz",
    "anything on smb's": IPv4() / TCP(dport=445) / b"\x00\x00\x00\x10whatever this is",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_the_number_below_or_the_port_finds_the_decoder(name: str, answers: Any) -> None:
    assert answers[0][name][0] == name, answers[0][name]


@pytest.mark.slow
def test_the_answer_is_the_same_whatever_was_imported(answers: Any) -> None:
    assert answers[0] == answers[1]


@pytest.mark.slow
@pytest.mark.parametrize("name", WRONG)
def test_no_port_is_believed_against_the_data(name: str, answers: Any) -> None:
    assert answers[0][name][0] == "", answers[0][name]


def test_data_that_the_capture_cut_is_still_found() -> None:
    query = bytes(Ether() / IPv4() / UDP(dport=53) / QUERY)
    hello = bytes(Ether() / IPv4() / TCP(dport=443) / RECORD)
    for raw, name in ((query, "dns"), (hello, "tls")):
        made = Frame(raw[:-8], wire_length=len(raw)).packet().deep()
        assert made.name == name and made.faults
    assert {p.deep().name for p in Capture(CORPUS / "be_test008.pcapng").packets() if UDP in p} == {"dhcp"}


def test_dns_from_port_443_is_dns() -> None:
    made = (IPv4() / UDP(sport=53, dport=443) / QUERY).deep()
    assert (made.name, made.by) == ("dns", "port") and "by its port" in str(made)


def test_bgp_that_goes_to_port_443_is_bgp() -> None:
    packets = [
        p for p in Capture(CORPUS / "bgp_vpn_rt-oobr.pcap").packets() if TCP in p and p.payload[:16] == b"\xff" * 16
    ]
    assert packets
    for packet in packets:
        assert packet.replace(TCP, sport=443, dport=443).deep().name == "bgp"


def test_what_stands_in_a_tunnel_counts_and_not_the_ports_of_the_tunnel() -> None:
    inner = Ether() / IPv4(protocol=89) / OSPF
    assert (IPv4() / UDP() / VXLAN() / inner).deep().name == "ospf"
    assert (IPv6(next_header=89) / OSPF).deep().name == "ospf"


def test_every_name_in_the_tables_has_a_decoder_and_every_port_a_test() -> None:
    from packetlab.export.bridges.decoders import _finders

    names = {name for numbers in BY_NUMBER.values() for name in numbers[1].values()}
    names |= {name for ports in BY_PORT.values() for name in ports.values()} | {name for name, _ in BEGINS} - {"dtls"}
    assert [name for name in names if not _finders(name, None)] == []
    assert {name for ports in BY_PORT.values() for name in ports.values()} <= set(_PLAUSIBLE)


@pytest.mark.parametrize("transport", [TCP, UDP])
def test_bytes_that_say_nothing_are_believed_to_be_nothing(transport: Any) -> None:
    """Random bytes, one byte over and over, random text: a port alone makes no protocol of them."""
    random = Random(1)
    believed = []
    for name in BY_PORT[transport.__name__].values():
        for size in (20, 50, 120, 400):
            bodies = [random.randbytes(size) for _ in range(30)]
            bodies += [b"\x80\x60" + random.randbytes(size) for _ in range(10)]
            bodies += [bytes(random.choices(b"abcdefg HIJ\r\n0123", k=size)) for _ in range(10)]
            bodies += [bytes([byte]) * size for byte in (0, 1, 2, 0x20, 0x30, 0x40, 0x55, 0xFF)]
            believed += [name for body in bodies if plausible(name, body)]
    assert len(believed) <= 5, believed  # of 6,000 and more


def test_what_a_library_builds_is_believed() -> None:
    from scapy.contrib import bfd, coap, enipTCP, mqtt
    from scapy.layers import dhcp, dhcp6, hsrp, ntp, radius

    address = b"\x02\0\0\0\0\1" + bytes(10)
    client = dhcp6.DHCP6OptClientId(duid=dhcp6.DUID_LL(lladdr="02:00:00:00:00:01"))
    built = {
        "bfd": [bfd.BFD(my_discriminator=1)],
        "coap": [
            coap.CoAP(ver=1, code=1, msg_id=7, options=[("Uri-Path", b"a"), ("Uri-Query", b"x" * 20)]),
            coap.CoAP(ver=1, code=69, msg_id=7, options=[("Content-Format", b"\0")], paymark=b"\xff") / b"hello",
        ],
        "dhcp": [dhcp.BOOTP(chaddr=address, flags=0x8000) / dhcp.DHCP(options=[("message-type", 1), "end"])],
        "dhcp6": [
            dhcp6.DHCP6_Solicit() / client / dhcp6.DHCP6OptElapsedTime(),
            dhcp6.DHCP6_RelayForward() / dhcp6.DHCP6OptRelayMsg(message=dhcp6.DHCP6_Solicit() / client),
        ],
        "enip": [HEX("6500040000000000000000000000000000000000 00000000 01000000".replace(" ", ""))],
        "hsrp": [hsrp.HSRP()],
        "mqtt": [
            mqtt.MQTT() / mqtt.MQTTConnect(protoname=b"MQTT", protolevel=4, clientId=b"me"),
            mqtt.MQTT() / mqtt.MQTTPublish(topic=b"a/b", value=b"1"),
            mqtt.MQTT(type=8, QOS=1) / mqtt.MQTTSubscribe(msgid=1, topics=[mqtt.MQTTTopicQOS(topic=b"a", QOS=0)]),
            b"\xc0\0",
            b"\x20\2\0\0",
        ],
        "ntp": [ntp.NTPHeader()],
        "radius": [radius.Radius(code=1, attributes=[radius.RadiusAttr_User_Name(value=b"me")])],
    }
    assert enipTCP.ENIPTCP(built["enip"][0]).commandId == 0x65
    refused = [
        (name, bytes(one).hex()) for name, some in built.items() for one in some if not plausible(name, bytes(one))
    ]
    assert refused == []


@settings(max_examples=amount(50, 3000))
@given(
    st.sampled_from(sorted(_PLAUSIBLE)),
    st.binary(max_size=60),
    st.sampled_from([b"", b"\x30", b"\x05", b"\0", b"\x80", b"\xff" * 16]),
)
def test_no_test_raises(name: str, data: bytes, begin: bytes) -> None:
    for cut in range(len(begin + data)):
        assert plausible(name, (begin + data)[:cut]) in (True, False)
    tls_records(begin + data)


# TLS ---------------------------------------------------------------------------------------------------------------

HELLO = HEX("0200002e0303") + bytes(32) + b"\0" + HEX("c02f00") + HEX("0006ff01 0001 00".replace(" ", "")) + b"\0"
RECORD = HEX("160303") + len(HELLO).to_bytes(2, "big") + HELLO


@pytest.mark.parametrize("using", ["scapy", "dpkt", None])
def test_whole_records_are_read_where_the_segment_ends_inside_one(using: str | None) -> None:
    alert = HEX("15030300020100")
    cut = (IPv4() / TCP(sport=443) / (alert + RECORD + RECORD[:20])).deep(using=using)
    assert cut.name == "tls" and cut.data == alert + RECORD + RECORD[:20]
    assert "lack" in cut.faults[-1].got or "less" in cut.faults[-1].got
    if using == "dpkt":  # scapy, which takes itself for better with `cryptography`, has no such field
        assert [r["type"] for r in cut.fields["records"]] == [21, 22]


def test_the_fault_reported_is_of_the_library_that_got_farthest() -> None:
    made = deep(RECORD, "tls")
    assert made.decoded is not None and not any("NameError" in str(fault.got) for fault in made.faults)


def test_records_are_distinguished() -> None:
    assert tls_records(RECORD + RECORD) == (2 * len(RECORD), 0)
    assert tls_records(RECORD + RECORD[:-3]) == (len(RECORD), 3)
    assert tls_records(RECORD + b"GET") == tls_records(b"\x16\x03\x01\xff\xff") == (-1, -1)


def test_the_fault_of_a_record_that_is_cut_stands_where_it_begins() -> None:
    begun = HEX("17030300c8") + bytes(20)
    for before in (b"", RECORD, RECORD + RECORD):
        for made in ((IPv4() / TCP(dport=443) / (before + begun)).deep(), deep(before + begun, "tls")):
            assert [fault.offset for fault in made.faults if fault.expected == "whole records"] == [len(before)]


def handshake(kind: int, body: bytes) -> bytes:
    return bytes([kind]) + len(body).to_bytes(3, "big") + body


def record(body: bytes, kind: int = 22) -> bytes:
    return bytes([kind]) + HEX("0303") + len(body).to_bytes(2, "big") + body


NAME = HEX("0000000e000c000009") + b"abc.local"
CLIENT_HELLO = handshake(1, HEX("0303") + bytes(32) + HEX("000004 1301 002f 0100 0012".replace(" ", "")) + NAME)


def test_a_handshake_message_over_several_records_is_one() -> None:
    for cuts in ([30], [1], [3, 4, 5], [5, len(CLIENT_HELLO) - 1]):
        edges = [0, *cuts, len(CLIENT_HELLO)]
        data = b"".join(record(CLIENT_HELLO[a:b]) for a, b in itertools.pairwise(edges))
        made = deep(data, "tls")
        assert made.faults == () and made.using == "dpkt"
        assert b"abc.local" in bytes(made.decoded.records[0].handshake) and "handshake" in made


def test_every_message_of_a_record_is_read() -> None:
    status = handshake(22, b"\1\0\0\1\0")  # which dpkt has no class for
    made = deep(record(HELLO + status + handshake(14, b"")), "tls")
    assert made.faults == ()
    (first,) = made.fields["records"]
    assert first["handshake"]["type"] == 2 and [m["type"] for m in first["more_handshakes"]] == [22, 14]
    assert first["more_handshakes"][0]["payload"] == b"\1\0\0\1\0"


def test_what_is_encrypted_is_no_fault() -> None:
    random = Random(7)
    for _ in range(200):
        body = bytes([random.choice((100, 137, 188, 255))]) + random.randbytes(39)
        for before in (b"", record(b"\1", 20)):
            made = deep(before + record(body), "tls", using="dpkt")
            assert made.faults == () and "handshake" not in made.fields["records"][-1]
    after = deep(record(b"\1", 20) + record(HELLO), "tls", using="dpkt")  # whatever it looks like
    assert after.faults == () and "handshake" not in after.fields["records"][-1]


def test_a_message_that_goes_on_in_a_later_segment_is_reported() -> None:
    made = deep(record(HELLO[:-7]), "tls", using="dpkt")
    assert len(made.faults) == 1 and "7 bytes more" in made.faults[0].got


@pytest.mark.parametrize("using", ["scapy", "dpkt", None])
def test_one_cut_record_is_no_object_of_a_library(using: str | None) -> None:
    made = deep(HEX("1703030190") + bytes(95), "tls", using=using)
    assert (made.name, made.decoded, made.fields) == ("tls", None, {}) and len(made.faults) == 1
    assert deep(HEX("160303ffff") + bytes(50), "tls", using="scapy").decoded is None


# Later fragments -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", sorted({*BY_NUMBER["IPv4"][1], 1, 6, 17, 47, 132}))
def test_a_later_fragment_is_no_start_of_anything(number: int) -> None:
    ends = {"src": "1.1.1.1", "dst": "2.2.2.2"}
    for made in (
        Ether() / IPv4(**ends, protocol=number, fragment_offset=10) / bytes(44),
        Ether() / IPv6() / pl.Fragment(offset=10, next_header=number) / bytes(44),
        Ether() / IPv4() / IPv4(**ends, protocol=number, fragment_offset=10) / OSPF,
    ):
        for packet in (made, pl.dissect(bytes(made))):
            found = packet.deep()
            assert (found.name, found.decoded) == ("", None) and "later fragment" in str(found.faults[0])


def test_the_first_fragment_is_the_start() -> None:
    assert (Ether() / IPv4(protocol=89, flags=1) / OSPF).deep().name == "ospf"
    assert (Ether() / IPv6() / pl.Fragment(more=1, next_header=89) / OSPF).deep().name == "ospf"


def test_what_is_hidden_by_other_headers_is_not_claimed_either() -> None:
    # A list of routes begins what GRE carries; a type is an ether type under the organizations that say so alone.
    for made in (
        IPv4() / GRE(protocol=0x88CC, routing_present=1) / LLDP,
        Ether() / LLC() / SNAP(oui=0x123456, type=0x88CC) / LLDP,
        Ether() / LLC() / SNAP(oui=0, type=0x2000) / HEX("02b40000"),
    ):
        found = made.deep()
        assert (found.name, found.decoded) == ("", None) and len(found.faults) == 1
    assert (Ether() / LLC() / SNAP(type=0x88CC) / LLDP).deep().name == "lldp"


# Link types --------------------------------------------------------------------------------------------------------


def test_frames_of_undeclared_link_types_are_read_by_scapys_class_for_them() -> None:
    frame = next(iter(Capture(CORPUS / "radiotap.pcap")))
    packet = frame.packet()
    assert packet.linktype == frame.linktype == 127 and packet.layers == ()
    made = packet.deep()
    assert (made.name, made.using, made.by) == ("RadioTap", "scapy", "header")
    there = packet.to_scapy()
    assert type(there).__name__ == "RadioTap" and bytes(there) == frame.data
    assert deep(frame).name == "RadioTap"


def _registered() -> dict[int, set[str]]:
    """Return what scapy's sources register: link type -> names of classes."""
    import scapy
    import scapy.data

    found: dict[int, set[str]] = {}
    for source in sorted(Path(scapy.__path__[0]).glob("[lc]*/**/*.py")):
        text = source.read_text(encoding="utf-8")
        for number, cls in re.findall(r"^conf\.l2types\.register(?:_num2layer)?\((\w+), (\w+)\)", text, re.MULTILINE):
            found.setdefault(int(number) if number.isdigit() else getattr(scapy.data, number), set()).add(cls)
    return found


def test_every_link_type_that_scapy_has_a_class_for_is_read_by_it() -> None:
    registered = _registered()
    assert {104, 117, 127, 163, 227, 249, 272} <= set(registered)
    for linktype, names in registered.items():
        packet = Frame(bytes(160), linktype=linktype).packet()
        if packet.linktype is not None:  # no header here is declared for it
            made, there = packet.deep(), packet.to_scapy()
            assert made.name in names and (made.faults or type(there).__name__ != "Raw"), linktype
            assert bytes(there) == bytes(packet)
    can = Frame(_CAN + bytes(4), linktype=227).packet().to_scapy()
    assert (type(can).__name__, can.identifier, can.data) == ("CAN", 0x123, HEX("01020304"))


_CAN = HEX("0000012304000000 01020304".replace(" ", ""))
_CARRIED = HEX("00000800e3000000") + _CAN  # PPI, with frames of SocketCAN
_ASKED = f"""
from packetlab import Frame
print([[str(Frame(bytes.fromhex(data), linktype=n).packet().deep()) for data in {["00" * 64, _CAN.hex(), _CARRIED.hex()]}]
       for n in (104, 117, 163, 192, 227, 249, 272)])
"""
_IMPORTS = "import scapy.layers.usb, scapy.layers.can, scapy.layers.pflog, scapy.contrib.avs, scapy.contrib.bier\n"


@pytest.mark.slow
def test_link_types_are_read_the_same_whatever_was_imported() -> None:
    said = [
        subprocess.run([sys.executable, "-c", before + _ASKED], capture_output=True, text=True, check=True).stdout
        for before in ("", _IMPORTS)
    ]
    assert said[0] == said[1] and said[0].count("CAN (scapy)") == 3 and "layer: CAN" in said[0]


@pytest.mark.parametrize("linktype", [147, 249, 227, 117, 163, 272, 105, 230])
def test_any_bytes_of_any_link_type_give_an_answer(linktype: int) -> None:
    for data in (b"", b"\x08", bytes(40), bytes(range(64))):
        packet = Frame(data, linktype=linktype).packet()
        assert packet.linktype == linktype and bytes(packet.to_scapy()) == data
        assert isinstance(str(packet.deep()), str)


def test_packets_of_declared_link_types_have_no_number_of_their_own() -> None:
    assert (Ether() / b"x").linktype is None and pl.dissect(bytes(20)).linktype is None
    assert isinstance(Frame(b"x" * 20).packet(), Packet) and Frame(b"x" * 20).packet().linktype is None


def test_nothing_is_warned_of_and_nothing_of_scapys_is_changed() -> None:
    from scapy.packet import Packet as ScapyPacket

    before = ScapyPacket.guess_payload_class
    with __import__("warnings").catch_warnings(record=True) as warned:
        __import__("warnings").simplefilter("always")
        deep(RECORD, "tls", using="dpkt")
        (Ether() / IPv4(protocol=89) / OSPF).deep()
    assert not warned and ScapyPacket.guess_payload_class is before
