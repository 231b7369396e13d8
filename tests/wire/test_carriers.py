"""What carries packets: PPP in all its framings, Cisco's HDLC, tunnels, Novell's frames; by hand, and as tshark has them."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

import pytest

from packetlab import (
    ARP,
    GRE,
    HDLC,
    IDP,
    IPX,
    L2TP,
    PPP,
    RIP,
    SLARP,
    UDP,
    Capture,
    CiscoHDLC,
    Ether,
    EtherIP,
    Frame,
    IPv4,
    Novell,
    Packet,
    PPPoE,
    ShortPPP,
    dissect,
)  # fmt: skip
from packetlab.bulk.columns import column
from packetlab.bulk.scan_loop import loop_source
from packetlab.bulk.scan_rows import row_scan
from packetlab.protocols.linktypes import FIRST
from tests.view.cells import cell

INNER = IPv4(src="1.1.1.1", dst="2.2.2.2") / UDP(sport=1000, dport=40000) / b"hi"
IP, SIZE = bytes(INNER).hex(), len(bytes(INNER))
FRAME = bytes(Ether() / INNER).hex()
NOVELL = "ffff001e0011" + "00000001" + "000000000001" + "5555" + "00000002" + "000000000002" + "5556"


def ether(kind: str, rest: str) -> str:
    return "020000000001020000000002" + kind + rest


def over_ip(protocol: int, rest: str) -> str:
    return bytes(IPv4(src="1.1.1.1", dst="2.2.2.2", protocol=protocol) / bytes.fromhex(rest)).hex()


def over_udp(sport: int, dport: int, rest: str) -> str:
    return over_ip(17, bytes(UDP(sport=sport, dport=dport, checksum=0) / bytes.fromhex(rest)).hex())


def session(rest: str) -> str:
    return ether("8864", f"11000001{len(rest) // 2:04x}{rest}")


# (link type, bytes, our headers up to the inner packet, what tshark has of it)
CASES = [
    (9, "0021" + IP, "PPPLink PPP IPv4 UDP", "ppp:ip:udp"),
    (9, "21" + IP, "PPPLink ShortPPP IPv4 UDP", "ppp:ip:udp"),
    (9, "ff030021" + IP, "PPPLink HDLC PPP IPv4 UDP", "ppp:ip:udp"),
    (9, "8f000800" + IP, "PPPLink CiscoHDLC IPv4 UDP", "ppp:chdlc:ip:udp"),
    (50, "ff0321" + IP, "PPPLink HDLC ShortPPP IPv4 UDP", "ppp:ip:udp"),
    (50, "0f000800" + IP, "PPPLink CiscoHDLC IPv4 UDP", "ppp:chdlc:ip:udp"),
    (204, "000021" + IP, "PPPDirection PPP IPv4 UDP", "ppp:ip:udp"),
    (204, "0121" + IP, "PPPDirection ShortPPP IPv4 UDP", "ppp:ip:udp"),
    (204, "01ff030021" + IP, "PPPDirection HDLC PPP IPv4 UDP", "ppp:ip:udp"),
    (104, "0f008847000641ff" + IP, "CiscoHDLC MPLS IPv4 UDP", "chdlc:mpls:ip:udp"),
    (104, "0f0080350000000001020304ffffff00ffff0000", "CiscoHDLC SLARP", "chdlc:slarp"),
    (104, "8f008035000000020000000500000002ffff0078f0a20000", "CiscoHDLC SLARP", "chdlc:slarp"),
    (104, "0f008137" + NOVELL, "CiscoHDLC IPX", "chdlc:ipx"),
    (0, "00000800" + IP, "BSDNull IPv4 UDP", "null:ip:udp"),
    (0, "00080000" + IP, "BSDNull IPv4 UDP", "null:ip:udp"),
    (0, "0f000800" + IP, "BSDNull IPv4 UDP", "null:ip:udp"),
    (1, session("21" + IP), "Ether PPPoE ShortPPP IPv4 UDP", "eth:ethertype:pppoes:ppp:ip:udp"),
    (1, session("0021" + IP), "Ether PPPoE PPP IPv4 UDP", "eth:ethertype:pppoes:ppp:ip:udp"),
    (1, session("002b" + NOVELL), "Ether PPPoE PPP IPX", "eth:ethertype:pppoes:ppp:ipx"),
    (1, ether("001e", NOVELL + "00" * 16), "Ether Novell IPX", "eth:ipx"),
    (1, ether("8100", "0001001e" + NOVELL), "Ether VLAN Novell IPX", "eth:ethertype:vlan:ipx"),
    (1, ether("8137", NOVELL), "Ether IPX", "eth:ethertype:ipx"),
    (1, ether("0021", "e0e003" + NOVELL), "Ether LLC IPX", "eth:llc:ipx"),
    (1, ether("0026", "aaaa030000008137" + NOVELL), "Ether LLC SNAP IPX", "eth:llc:ipx"),
    (113, "0000000100060200000000010000" + "0001" + NOVELL, "LinuxSLL Novell IPX", "sll:ipx"),
    (228, over_ip(47, f"2001880b{SIZE + 2:04x}12340021" + IP), "IPv4 GRE PPP IPv4 UDP", "ip:gre:ppp:ip:udp"),
    (228, over_ip(47, f"3081880b{SIZE + 4:04x}12340000000100000002ff030021" + IP),
     "IPv4 GRE HDLC PPP IPv4 UDP", "ip:gre:ppp:ip:udp"),
    (228, over_ip(47, "2081880b0000123400000002") + "0000", "IPv4 GRE", "ip:gre"),
    (228, over_ip(47, "0000880b0021" + IP), "IPv4 GRE PPP IPv4 UDP", "ip:gre:ppp:ip:udp"),
    (228, over_ip(97, "3000" + FRAME), "IPv4 EtherIP Ether IPv4 UDP", "ip:etherip:eth:ethertype:ip:udp"),
    (228, over_ip(143, FRAME), "IPv4 Ether IPv4 UDP", "ip:eth:ethertype:ip:udp"),
    (228, over_udp(1701, 1701, "000200010002ff030021" + IP), "IPv4 UDP L2TP HDLC PPP IPv4 UDP", "ip:udp:l2tp:ppp:ip:udp"),
    (228, over_udp(1701, 4000, f"4002{SIZE + 10:04x}000100020021" + IP), "IPv4 UDP L2TP PPP IPv4 UDP", "ip:udp:l2tp:ppp:ip:udp"),
    (228, over_udp(4000, 1701, f"4a02{SIZE + 18:04x}00010002000100020002ffff0021" + IP),
     "IPv4 UDP L2TP PPP IPv4 UDP", "ip:udp:l2tp:ppp:ip:udp"),
    (228, over_udp(4000, 1701, "c802000c0001000000000000"), "IPv4 UDP L2TP", "ip:udp:l2tp"),
]  # fmt: skip


@pytest.mark.parametrize(("linktype", "raw", "headers", "theirs"), CASES)
def test_what_carries_a_packet_is_reported_by_its_own_numbers(
    linktype: int, raw: str, headers: str, theirs: str
) -> None:
    data = bytes.fromhex(raw)
    packet = dissect(data, FIRST[linktype])
    assert " ".join(type(header).__name__ for header in packet.layers) == headers
    assert packet.faults == () and bytes(packet) == data == packet.encode()
    if headers.endswith("UDP") and not headers.endswith("IPv4 UDP L2TP"):
        assert packet.payload == b"hi" and str(packet[IPv4, packet.summary().count("IPv4") - 1].src) == "1.1.1.1"


@pytest.mark.slow
def test_tshark_has_the_same_headers(tmp_path: Path, tshark) -> None:
    for linktype in dict.fromkeys(case[0] for case in CASES):
        mine = [case for case in CASES if case[0] == linktype]
        path = tmp_path / f"{linktype}.pcap"
        records = [bytes.fromhex(raw) for _, raw, _, _ in mine]
        path.write_bytes(
            struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, linktype)
            + b"".join(struct.pack("<IIII", 0, 0, len(one), len(one)) + one for one in records)
        )
        reported = [row[0].removesuffix(":data") for row in tshark(path, "frame.protocols")]
        assert reported == [theirs for *_, theirs in mine]


def test_pppd_frames_are_as_tcpdump_reads_them(tmp_path: Path) -> None:
    frames = [bytes.fromhex("01030021" + IP), bytes.fromhex("000321" + IP)]
    assert [dissect(f, FIRST[166]).summary() for f in frames] == [
        "PPPD / PPP / IPv4 / UDP / 2 bytes", "PPPD / ShortPPP / IPv4 / UDP / 2 bytes",
    ]  # fmt: skip
    path = tmp_path / "pppd.pcap"
    Capture.of([Frame(f, 0, linktype=166) for f in frames]).write(path)
    said = subprocess.run(["tcpdump", "-nr", path], capture_output=True, text=True, check=True).stdout
    assert said.count("IP 1.1.1.1.1000 > 2.2.2.2.40000: UDP, length 2") == 2


def test_keep_alives_of_a_serial_line_are_slarp() -> None:
    packet = dissect(bytes.fromhex("8f008035000000020000000500000002ffff0078f0a20000"), CiscoHDLC)
    line = packet[SLARP]
    assert (line.my_sequence, line.your_sequence, line.reliability, line.address) == (5, 2, 0xFFFF, None)
    assert packet.payload == b"" and packet.trailer == bytes.fromhex("0078f0a20000")
    request = dissect(bytes.fromhex("0f0080350000000001020304ffffff00ffff"), CiscoHDLC)[SLARP]
    assert (str(request.address), str(request.mask), request.my_sequence) == ("1.2.3.4", "255.255.255.0", None)


def test_what_ends_a_frame_leaves_padding_to_the_trailer() -> None:
    whole = Ether() / ARP(sender_ip="1.2.3.4", target_ip="1.2.3.5")
    packet = dissect(bytes(whole) + bytes(18))
    assert packet.payload == b"" and packet.trailer == bytes(18) and packet.faults == ()
    assert packet.summary() == "Ether / ARP"
    table = Capture.of([Frame(bytes(packet))]).table("arp.payload", "ether.payload").read()
    assert table["arp.payload"].tolist() == [b""] and table["ether.payload"].tolist() == [bytes(packet)[14:]]


def test_novells_frames_have_a_length_and_are_built_so() -> None:
    packet = Ether() / Novell() / IPX(packet_type=17, dst="1H.2H.451H", src="2H.3H.4003H") / b"ask"
    data = bytes(packet)
    assert data[12:14] == (33).to_bytes(2, "big") and data[14:18] == b"\xff\xff\x00\x21"
    again = dissect(data + bytes(13))
    assert again[IPX].length == 33 and again.payload == b"ask" and again.trailer == bytes(13)
    assert bytes(again.replace(payload=b"asked"))[12:18] == b"\x00\x23\xff\xff\x00\x23"
    assert bytes(Ether() / IPX())[12:14] == b"\x81\x37"


def test_the_key_of_pptp_is_a_size_and_a_call() -> None:
    packet = IPv4() / GRE(call_id=7, sequence=1) / PPP() / INNER
    data = bytes(packet)
    assert data[20:28] == bytes.fromhex(f"3001880b{SIZE + 2:04x}0007")
    again = dissect(data + b"pad", IPv4)
    assert again[GRE].call_id == 7 and again[GRE].key is None and again.trailer == b"pad"
    plain = dissect(bytes(IPv4() / GRE(key=7) / INNER), IPv4)
    assert plain[GRE].key == 7 and plain[GRE].version == 0 and plain[GRE].call_id is None


def test_tunnels_build_what_they_read() -> None:
    for packet in (
        IPv4() / EtherIP() / Ether() / INNER,
        IPv4() / UDP() / L2TP(tunnel=1, session=2, length=None) / HDLC() / PPP() / INNER,
        IPv4() / UDP() / L2TP(tunnel=1, ns=3, nr=4, offset_pad=b"xy") / ShortPPP() / INNER,
        PPPoE(session=1) / PPP() / IDP() / RIP(),
    ):
        again = dissect(bytes(packet), type(packet.layers[0]))
        assert again == packet and again.faults == () and Packet(packet._headers, packet.payload) == again


def test_the_addresses_of_ipx_are_shown() -> None:
    from packetlab.view.conversation import ends, hosts

    packet = Ether() / IPX(src="2H.3H.4003H", dst="1H.2H.451H")
    assert ends(packet) == (str(packet[IPX].src), str(packet[IPX].dst))
    assert hosts(packet) == ("00:00:00:00:00:03", "00:00:00:00:00:02")
    assert cell(packet)["text/html"]


COLUMNS = (
    "ip.src", "ip#2.src", "udp.sport", "udp#2.sport", "udp.payload", "ppp.protocol", "shortppp.protocol", "gre.call_id", "gre.key",
    "gre.payload", "l2tp.length", "l2tp.payload", "ipx.length", "ipx.src.socket", "slarp.my_sequence", "slarp.payload",
    "ether.payload", "ciscohdlc.type", "etherip.version",
)  # fmt: skip


@pytest.mark.parametrize("linktype", dict.fromkeys(case[0] for case in CASES))
def test_columns_are_those_of_the_objects(linktype: int) -> None:
    whole = [bytes.fromhex(raw) for number, raw, _, _ in CASES if number == linktype]
    frames = [one[:size] for one in whole for size in (len(one), len(one) - 1, len(one) // 2, 20, 3)]
    packets = [dissect(frame, FIRST[linktype]) for frame in frames]
    columns = [column(name) for name in COLUMNS]
    capture = Capture.of([Frame(frame, linktype=linktype) for frame in frames])
    table = capture.table(*COLUMNS, engine="rows").read()
    for one in columns:
        objects = [one.value(packet) for packet in packets]
        there = [value is not None for value in objects]
        assert table.valid(one.name).tolist() == there, one.name
        reported = [value for value, valid in zip(table[one.name].tolist(), there, strict=True) if valid]
        assert reported == [value for value in objects if value is not None], one.name


@pytest.mark.parametrize("linktype", dict.fromkeys(case[0] for case in CASES))
def test_compiled_loops_find_what_arrays_do(linktype: int) -> None:
    import numpy as np

    frames = [bytes.fromhex(raw) for number, raw, _, _ in CASES if number == linktype]
    request = [column(name) for name in ("ip.src", "udp.sport", "ipx.length", "slarp.my_sequence")]
    data = np.frombuffer(b"".join(frames), np.uint8)
    sizes = np.array([len(frame) for frame in frames], np.int64)
    starts = np.cumsum(sizes) - sizes
    found = []
    names = {"int64": int}
    exec(loop_source(FIRST[linktype]._declaration, request), names)
    for scan in (row_scan(FIRST[linktype]._declaration, request), lambda *rest: names["scan"](len(frames), *rest)):  # type: ignore[operator]
        missing, unfit = np.zeros(len(frames), bool), np.zeros(len(frames), bool)
        arrays = [array for _ in request for array in (np.zeros(len(frames), np.int64), np.zeros(len(frames), bool))]
        scan(data, starts, sizes, missing, unfit, *arrays)
        found.append([unfit.tolist(), *(array.tolist() for array in arrays)])
    assert found[0] == found[1]
