"""What imported headers read of captures, held against what tshark says of the same frames."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import pytest

from packetlab import Capture, dissect
from tests.conftest import ROOT, oracle
from tests.ksy.again import read

CORPUS = ROOT / "captures" / "corpus"
ETHERNET = [pytest.param("4KHttpRequests", marks=pytest.mark.slow), "802.1ad_QinQ", "arp-who-has", "dns53", "fragmented-1", "icmp-destunreach-udp", "options", "web", "vxlan",
            "one_http_stream_fin", "gre-sample"]  # fmt: skip


def ip(header: Any) -> Any:
    return header.body_ipv4_packet


def layer(name: str) -> Callable[[Any], Any]:
    def found(header: Any) -> Any:
        packet = ip(header)
        return None if packet is None else getattr(packet.body, name, None)

    return found


udp, tcp, icmp = layer("body_udp_datagram"), layer("body_tcp_segment"), layer("body_icmp_packet")
READINGS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "ip.version": (ip, lambda h: h.version),
    "ip.hdr_len": (ip, lambda h: h.ihl_bytes),
    "ip.len": (ip, lambda h: h.total_length),
    "ip.id": (ip, lambda h: h.identification),
    "ip.ttl": (ip, lambda h: h.ttl),
    "ip.proto": (ip, lambda h: h.protocol),
    "ip.checksum": (ip, lambda h: h.header_checksum),
    "ip.src": (ip, lambda h: ".".join(map(str, h.src_ip_addr))),
    "udp.srcport": (udp, lambda h: h.src_port),
    "udp.length": (udp, lambda h: h.length),
    "tcp.dstport": (tcp, lambda h: h.dst_port),
    "tcp.seq_raw": (tcp, lambda h: h.seq_num),
    "tcp.hdr_len": (tcp, lambda h: h.data_offset * 4),
    "tcp.flags": (tcp, lambda h: h.reserved << 8 | bytes(h.flags)[0]),
    "tcp.window_size_value": (tcp, lambda h: h.window_size),
    "icmp.type": (icmp, lambda h: h.icmp_type),
}


@pytest.mark.parametrize("name", ETHERNET)
def test_ethernet_ipv4_udp_tcp_icmp_are_read_as_tshark_reads_them(format: Any, name: str) -> None:
    cls, rows, seen = format("ethernet_frame"), oracle(f"{name}.pcap", ".fields"), 0
    for frame, row in zip(Capture(CORPUS / f"{name}.pcap"), rows, strict=True):
        if row["_ws.malformed"] or row["_ws.short"]:
            continue
        header = read(cls, bytes(frame.data))
        for field, (find, value) in READINGS.items():
            said = row[field].split(",")[0]
            if said and (there := find(header)) is not None:
                ours = value(there)
                assert ours == (int(said, 0) if isinstance(ours, int) else said), (frame.number, field)
                seen += 1
    assert seen or name in ("arp-who-has", "802.1ad_QinQ")


@pytest.mark.parametrize(
    "path",
    [pytest.param(path, id=path.stem, marks=[pytest.mark.slow] * (path.stem == "4KHttpRequests")) for path in sorted(CORPUS.glob("*.pcap"))],
)
def test_a_capture_file_is_read_with_its_frames_in_either_order_of_bytes(format: Any, path: Any) -> None:
    data = path.read_bytes()
    packet = dissect(data, format("pcap"))
    header: Any = packet[format("pcap")]
    assert bytes(packet) == data
    order = {b"\xd4\xc3\xb2\xa1": "<", b"\x4d\x3c\xb2\xa1": "<"}.get(data[:4], ">")
    packets = header.packets_le if order == "<" else header.packets_be
    offset = 24
    for packet in packets or ():
        if isinstance(packet, bytes):
            continue  # cut
        seconds, fraction, captured, length = struct.unpack_from(f"{order}IIII", data, offset)
        assert (packet.ts_sec, packet.ts_usec, packet.incl_len, packet.orig_len) == (
            seconds,
            fraction,
            captured,
            length,
        )
        offset += 16 + captured
