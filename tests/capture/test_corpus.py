"""Every capture of the corpus against what tshark says of it."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from packetlab import (
    ARP,
    GRE,
    ICMP,
    IDP,
    IPX,
    MPLS,
    SCTP,
    SPP,
    TCP,
    UDP,
    VLAN,
    VXLAN,
    Capture,
    CaptureError,
    Ether,
    Frame,
    Header,
    ICMPv6,
    IPv4,
    IPv6,
    dissect,
)  # fmt: skip
from packetlab.protocols.linktypes import first_header
from tests.conftest import CORPUS, ORACLE, oracle

REFUSED = {"pcapng-invalid-vers-1.pcapng", "shb-option-too-long.pcapng"}
CUT = {"truncated_dns_2.pcap"}
FUZZED = ["snmp-heapoverflow-1.pcap", "ip6_frag_asan.pcap", "radiotap-heapoverflow.pcap"]
NAMES = sorted(p.name for p in CORPUS.iterdir() if ".pcap" in p.name and p.name not in REFUSED)

# tshark's field -> (header, what it is of the header). Several values in one cell run from the outer header in.
FIELDS = {
    "eth.src": (Ether, lambda h: str(h.src)), "eth.dst": (Ether, lambda h: str(h.dst)),
    "vlan.id": (VLAN, lambda h: h.id), "vlan.priority": (VLAN, lambda h: h.priority), "mpls.label": (MPLS, lambda h: h.label),
    "arp.opcode": (ARP, lambda h: int(h.operation)), "arp.src.hw_mac": (ARP, lambda h: str(h.sender_mac)),
    "arp.src.proto_ipv4": (ARP, lambda h: str(h.sender_ip)), "arp.dst.proto_ipv4": (ARP, lambda h: str(h.target_ip)),
    "ip.hdr_len": (IPv4, lambda h: h.ihl * 4), "ip.dsfield": (IPv4, lambda h: h.dscp << 2 | h.ecn),
    "ip.len": (IPv4, lambda h: h.length), "ip.id": (IPv4, lambda h: h.id), "ip.flags": (IPv4, lambda h: int(h.flags)),
    "ip.frag_offset": (IPv4, lambda h: h.fragment_offset), "ip.ttl": (IPv4, lambda h: h.ttl), "ip.proto": (IPv4, lambda h: h.protocol),
    "ip.checksum": (IPv4, lambda h: h.checksum), "ip.src": (IPv4, lambda h: str(h.src)), "ip.dst": (IPv4, lambda h: str(h.dst)),
    "ipv6.tclass": (IPv6, lambda h: h.traffic_class), "ipv6.flow": (IPv6, lambda h: h.flow_label),
    "ipv6.plen": (IPv6, lambda h: h.length), "ipv6.nxt": (IPv6, lambda h: h.next_header), "ipv6.hlim": (IPv6, lambda h: h.hop_limit),
    "ipv6.src": (IPv6, lambda h: str(h.src)), "ipv6.dst": (IPv6, lambda h: str(h.dst)),
    "tcp.srcport": (TCP, lambda h: h.sport), "tcp.dstport": (TCP, lambda h: h.dport), "tcp.seq_raw": (TCP, lambda h: h.seq),
    "tcp.ack_raw": (TCP, lambda h: h.ack), "tcp.hdr_len": (TCP, lambda h: h.data_offset * 4),
    "tcp.flags": (TCP, lambda h: h.reserved << 8 | int(h.flags)), "tcp.window_size_value": (TCP, lambda h: h.window),
    "tcp.checksum": (TCP, lambda h: h.checksum), "tcp.urgent_pointer": (TCP, lambda h: h.urgent),
    "udp.srcport": (UDP, lambda h: h.sport), "udp.dstport": (UDP, lambda h: h.dport), "udp.length": (UDP, lambda h: h.length),
    "udp.checksum": (UDP, lambda h: h.checksum), "icmp.type": (ICMP, lambda h: int(h.type)), "icmp.code": (ICMP, lambda h: h.code),
    "icmp.checksum": (ICMP, lambda h: h.checksum), "icmpv6.type": (ICMPv6, lambda h: int(h.type)),
    "icmpv6.code": (ICMPv6, lambda h: h.code), "icmpv6.checksum": (ICMPv6, lambda h: h.checksum),
    "sctp.srcport": (SCTP, lambda h: h.sport), "sctp.verification_tag": (SCTP, lambda h: h.verification_tag),
    "ipx.len": (IPX, lambda h: h.length), "ipx.packet_type": (IPX, lambda h: int(h.packet_type)), "ipx.hops": (IPX, lambda h: h.hops),
    "ipx.src.socket": (IPX, lambda h: h.src.socket), "ipx.dst.socket": (IPX, lambda h: h.dst.socket),
    "gre.proto": (GRE, lambda h: h.protocol), "vxlan.vni": (VXLAN, lambda h: h.vni),
    "idp.len": (IDP, lambda h: h.length), "idp.packet_type": (IDP, lambda h: int(h.packet_type)), "idp.hops": (IDP, lambda h: h.hops),
    "idp.src.socket": (IDP, lambda h: h.src.socket), "idp.dst.socket": (IDP, lambda h: h.dst.socket), "spp.seq": (SPP, lambda h: h.seq),
}  # fmt: skip
STATUS = {"ip": IPv4, "tcp": TCP, "udp": UDP, "icmp": ICMP, "icmpv6": ICMPv6}
# Where tshark looks at a frame another way than the declarations do:
ELSEWHERE = {
    "802.1ad_QinQ.pcap": ("vlan.",),  # the outer tag has fields of its own there
    "dodo_checksums.pcap": ("idp.",),  # packets quoted in Error packets stay data
    "radiotap.pcap": ("",),  # 802.11 is not declared
}


def frames_of(name: str) -> list[Frame]:
    return list(Capture(CORPUS / name, strict=False))


def rows_of(name: str, table: str = "") -> list[dict[str, str]]:
    """Rows a frame; tshark counts custom blocks of pcapng as frames, which have no time and no interface."""
    rows = oracle(name, table)
    if name.endswith(".pcapng") and (ORACLE / f"{name}.pcapng.tsv").exists():
        blocks = oracle(name, ".pcapng")
        rows = [row for row, block in zip(rows, blocks, strict=True) if block["frame.interface_id"]]
    return rows


def nanoseconds(text: str) -> int | None:
    if not text:
        return None
    seconds, _, fraction = text.partition(".")
    return int(seconds) * 10**9 + int(fraction.ljust(9, "0"))


@pytest.mark.parametrize("name", [n for n in NAMES if (ORACLE / f"{n}.tsv").exists()])
def test_frames_lengths_and_times_are_the_oracles(name: str) -> None:
    frames, rows = frames_of(name), rows_of(name)
    assert [f.number for f in frames] == list(range(1, len(rows) + 1))
    assert [(f.wire_length, len(f.data)) for f in frames] == [
        (int(r["frame.len"]), int(r["frame.cap_len"])) for r in rows
    ]
    times = [nanoseconds(r["frame.time_epoch"]) for r in rows]
    if name == "timestamp_invalid_micro.pcap":
        times[2] = 1418145370 * 10**9 + 2147483648 * 1000  # 2**31 microseconds overflow tshark's 32 bits
    assert [f.time_ns for f in frames] == times


@pytest.mark.parametrize("name", NAMES)
def test_every_frame_comes_back_byte_for_byte(name: str) -> None:
    for frame in frames_of(name):
        packet = frame.packet()
        assert bytes(packet) == frame.data and packet.encode() == frame.data
        again = dissect(frame.data, first_header(frame.linktype), wire_length=frame.wire_length, keep=False)
        assert bytes(again) == frame.data


def whole(packet, cls: type[Header]) -> list[Header]:
    return [h for h in packet.layers if isinstance(h, cls) and not h._state >> 2 * len(h._fields)]


@pytest.mark.parametrize("name", [n for n in NAMES if (ORACLE / f"{n}.fields.tsv").exists()])
def test_header_fields_and_checksum_verdicts_are_the_oracles(name: str) -> None:
    for frame, row in zip(frames_of(name), rows_of(name, ".fields"), strict=True):
        if row["_ws.malformed"] or row["_ws.short"]:
            continue
        packet = frame.packet()
        seen, reported = {}, {}
        for column, (cls, value) in FIELDS.items():
            if row[column] and not column.startswith(ELSEWHERE.get(name, ("-",))):
                reported[column] = [_number(text) for text in row[column].split(",")]
                seen[column] = [value(header) for header in whole(packet, cls)]
        for protocol, cls in STATUS.items():
            column = f"{protocol}.checksum.status"
            if row[column] and name != "radiotap.pcap":
                reported[column] = [int(text) for text in row[column].split(",")]
                count = sum(isinstance(header, cls) for header in packet.layers)
                seen[column] = [int(packet.verdict((cls, i))) for i in range(count)]
        assert seen == reported, f"frame {frame.number}"


def _number(text: str) -> int | str:
    try:
        return int(text, 0)
    except ValueError:
        return text


@pytest.mark.parametrize("name", FUZZED)
def test_fuzzed_captures_give_faults(name: str) -> None:
    assert any(frame.packet().faults for frame in frames_of(name))


@pytest.mark.parametrize(
    "name", [n for n in NAMES if n not in (*FUZZED, "radiotap.pcap") and (ORACLE / f"{n}.fields.tsv").exists()]
)
def test_a_frame_that_is_whole_and_well_formed_has_no_faults(name: str) -> None:
    for frame, row in zip(frames_of(name), rows_of(name, ".fields"), strict=True):
        if not row["_ws.malformed"] and not row["_ws.short"] and frame.wire_length == len(frame.data):
            assert frame.packet().faults == (), f"frame {frame.number}"


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_what_is_no_capture_is_refused(name: str) -> None:
    with pytest.raises(CaptureError, match=name):
        list(Capture(CORPUS / name))


@pytest.mark.parametrize("name", sorted(CUT))
def test_a_cut_file_gives_its_whole_frames_and_one_error(name: str) -> None:
    frames = []
    with pytest.raises(CaptureError, match="expected a record header of 16 bytes, got 7 bytes, then the end"):
        frames.extend(frame for frame in Capture(CORPUS / name))
    assert len(frames_of(name)) == len(rows_of(name)) == 1


@pytest.mark.parametrize("name", [n for n in NAMES if (ORACLE / f"{n}.pcapng.tsv").exists()])
def test_interfaces_and_options_are_the_oracles(name: str) -> None:
    rows = [row for row in oracle(name, ".pcapng") if row["frame.interface_id"]]
    for frame, row in zip(frames_of(name), rows, strict=True):
        if frame.interface.section == 0:  # tshark goes on to use the first section's names in later ones
            shown = frame.interface.name.replace("\r", "\\r").replace("\n", "\\n")
            assert shown == row["frame.interface_name"].replace("unknown", "")
        if row["frame.drop_count"]:
            assert frame.extras.drop_count == int(row["frame.drop_count"], 0)
        if row["frame.packet_flags"]:
            assert frame.extras.flags == int(row["frame.packet_flags"], 0)
        if row["frame.packet_id"]:
            assert frame.extras.packet_id == int(row["frame.packet_id"], 0)
        if row["frame.comment"]:
            assert ",".join(frame.comments).replace("\n", "\\n") == row["frame.comment"]


def test_the_corpus_is_whole() -> None:
    with open(CORPUS / "MANIFEST.tsv", newline="", encoding="utf-8") as file:
        listed = {Path(row[0]).name for row in csv.reader(file, delimiter="\t")}
    assert set(NAMES) | REFUSED <= listed | {"bsd-bsd.pcap", "encap.pcap"} and len(NAMES) >= 57
