"""Other formats: captures where there are some, held against tshark, else bytes made by hand from the format's document."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from typing import Any

import pytest

from packetlab import TCP, UDP, Capture, Frame, IPv4, dissect
from tests.conftest import ROOT
from tests.ksy.again import read

FAMILIES = ROOT / "captures" / "families"
CORPUS = ROOT / "captures" / "corpus"


def above(frame: Frame, layer: Any) -> bytes:
    """Return what UDP or TCP carries in a frame, without Ethernet's padding; nothing where there is no such layer."""
    packet = frame.packet()
    if layer not in packet or IPv4 not in packet:
        return b""
    below = frame.data.find(bytes(packet[IPv4]))
    whole = frame.data[below : below + packet[IPv4].length]
    at = whole.find(bytes(packet[layer])) + len(bytes(packet[layer]))
    return bytes(whole[at:])


# Captures ------------------------------------------------------------------------------------------------------


def name_of(name: Any, message: bytes, depth: int = 0) -> str:
    """Return a domain name as tshark writes it: pointers are followed by hand, for the file's own way is one of reading elsewhere."""
    labels = []
    for label in name.name:
        if label.pointer is None:
            labels += [label.name] * (label.length > 0)
        elif depth < 8:
            at = (label.length & 0x3F) << 8 | label.pointer.value
            while message[at] and message[at] < 192:
                labels.append(message[at + 1 : at + 1 + message[at]].decode())
                at += 1 + message[at]
            if message[at] >= 192:
                rest = struct.unpack_from(">H", message, at)[0] & 0x3FFF
                labels.append(_text_at(message, rest))
    return ".".join(labels)


def _text_at(message: bytes, at: int) -> str:
    labels = []
    while message[at]:
        if message[at] >= 192:
            at = struct.unpack_from(">H", message, at)[0] & 0x3FFF
            continue
        labels.append(message[at + 1 : at + 1 + message[at]].decode())
        at += 1 + message[at]
    return ".".join(labels)


@pytest.mark.parametrize(
    "path", [CORPUS / "dns53.pcap", FAMILIES / "dns" / "dns-wiresharkrepo.pcap"], ids=lambda path: path.stem
)
def test_dns_is_read_as_tshark_reads_it(format: Any, tshark: Any, path: Any) -> None:
    fields = (
        "dns.id",
        "dns.flags",
        "dns.count.queries",
        "dns.count.answers",
        "dns.qry.name",
        "dns.resp.type",
        "dns.a",
        "dns.resp.ttl",
    )
    asked = 0
    for frame, row in zip(Capture(path), tshark(path, *fields, options=("-E", "aggregator= ")), strict=True):
        data = above(frame, UDP)
        if not row[0]:
            continue
        header = read(format("dns_packet"), data)
        answers = [*header.answers, *header.authorities, *header.additionals]
        ours = [
            header.transaction_id, header.flags_flag, header.qdcount, header.ancount, name_of(header.queries[0].name, data),
            [int(one.type) for one in answers], [".".join(map(str, one.payload_address.ip)) for one in answers if one.type == 1],
            [one.ttl for one in answers],
        ]  # fmt: skip
        for mine, said in zip(ours, row, strict=True):
            values = said.split() if isinstance(mine, list) else [said]
            for one, theirs in zip(mine if isinstance(mine, list) else [mine], values, strict=True):
                assert one == (int(theirs, 0) if isinstance(one, int) else theirs)
        assert header.flags_qr == header.flags_flag >> 15
        asked += 1
    assert asked


def test_a_message_of_dns_is_built_from_what_it_says(format: Any) -> None:
    cls = format("dns_packet")
    with_pointer = bytes.fromhex(
        "0001 8180 0001 0001 0000 0000 0377 7777 0261 6200 0001 0001 c00c 0001 0001 0000 003c 0004 01020304"
    )
    header = read(cls, with_pointer)
    assert (header.answers[0].rdlength, header.answers[0].payload_address.ip) == (4, b"\1\2\3\4")
    assert header.answers[0].name.name[0].pointer.value == 12
    more = cls(transaction_id=1, flags_flag=0, qdcount=2)  # a count that is given is sent as it is
    assert dissect(bytes(more), cls).faults[0].field == "queries"


def test_client_hellos_are_read_as_tshark_reads_them(format: Any, tshark: Any) -> None:
    path = FAMILIES / "tls" / "openssl-tls1-tls1_2.pcap"
    fields = (
        "tls.handshake.type",
        "tls.handshake.ciphersuite",
        "tls.handshake.extension.type",
        "tls.handshake.session_id_length",
    )
    seen = 0
    for frame, row in zip(Capture(path), tshark(path, *fields, options=("-E", "aggregator= ")), strict=True):
        data = above(frame, TCP)
        if row[0] != "1":
            continue
        header = read(format("tls_client_hello"), data[9 : 9 + int.from_bytes(data[6:9])])
        assert [*header.cipher_suites.cipher_suites] == [int(one, 0) for one in row[1].split()]
        assert [one.type for one in header.extensions.extensions] == [int(one) for one in row[2].split()]
        assert header.session_id.len == int(row[3])
        seen += 1
    assert seen


def test_a_client_hello_without_extensions_ends_there(format: Any) -> None:
    cls = format("tls_client_hello")
    short = bytes.fromhex("0303 5f5e1000") + bytes(28) + bytes.fromhex("00 0002 002f 01 00")
    assert read(cls, short).extensions is None
    names = bytes.fromhex("0000 0008 0006 00 0003 61622e")
    sni = read(cls, short + len(names).to_bytes(2) + names).extensions.extensions[0].body_sni
    assert (sni.list_length, sni.server_names[0].host_name) == (6, b"ab.")


def test_ppi_is_read_as_tshark_reads_it(format: Any, tshark: Any) -> None:
    path = FAMILIES / "ppi" / "http_PPI.pcap"
    fields = (
        "ppi.length",
        "ppi.dlt",
        "ppi.80211-common.chan.freq",
        "ppi.80211-common.dbm.antsignal",
        "ppi.80211n-mac-phy.mcs",
        "ppi.80211-mac-phy.ext-chan.freq",
    )
    for frame, row in zip(Capture(path), tshark(path, *fields), strict=True):
        header = read(format("packet_ppi"), bytes(frame.data))
        common, *more = header.fields.entries
        high = more[0].body_radio_802_11n_mac_phy_ext_body if more else None
        ours = [header.header_pph_len, header.header_pph_dlt, common.body_radio_802_11_common_body.channel_freq]
        ours += [
            common.body_radio_802_11_common_body.dbm_antsignal,
            *([high.mcs, high.ext_channel_freq] if high is not None else []),
        ]
        assert ours == [int(one, 0) for one in row if one]


def rtcp_in(frame: Frame) -> bytes:
    """Return what a datagram to port 49121 carries, inside a tunnel of GTP."""
    at = frame.data.find(b"\xbf\xe1", 42)
    return bytes(frame.data[at + 6 : at - 2 + int.from_bytes(frame.data[at + 2 : at + 4])]) if at > 0 else b""


def test_rtcp_is_read_as_tshark_reads_it(format: Any, tshark: Any) -> None:
    path = FAMILIES / "rtcp" / "gtp-iphone.pcap"
    options = ("-d", "udp.port==49121,rtcp", "-E", "aggregator= ")
    seen = 0
    for frame, row in zip(
        Capture(path), tshark(path, "rtcp.pt", "rtcp.length", "rtcp.senderssrc", options=options), strict=True
    ):
        if not row[0] or not (data := rtcp_in(frame)):
            continue
        header = read(format("rtcp_payload"), data)
        assert [int(one.payload_type) for one in header.rtcp_packets] == [int(one) for one in row[0].split()]
        assert [one.length for one in header.rtcp_packets] == [int(one) for one in row[1].split()]
        sent = [one.body_sr_packet or one.body_rr_packet for one in header.rtcp_packets]
        assert [one.ssrc for one in sent if one is not None] == [int(one, 0) for one in row[2].split()]
        seen += 1
    assert seen


def test_rtp_is_read_as_tshark_reads_it(format: Any, tshark: Any) -> None:
    path = FAMILIES / "rtp" / "rtsp_short.pcap"
    fields, seen = ("rtp.seq", "rtp.timestamp", "rtp.ssrc", "rtp.p_type", "rtp.marker"), 0
    for frame, row in zip(
        Capture(path),
        tshark(path, *fields, options=("--enable-heuristic", "rtp_udp", "-d", "udp.port==1024,rtp")),
        strict=True,
    ):
        if row[0]:
            header = read(format("rtp_packet"), above(frame, UDP))
            ours = [header.sequence_number, header.timestamp, header.ssrc, header.payload_type, header.marker]
            assert ours == [int(one, 0) for one in row]
            seen += 1
    assert seen


def test_padding_of_rtp_is_counted_by_its_last_byte(format: Any) -> None:
    """RFC 3550 section 5.1."""
    plain = bytes.fromhex("80 60 0001 00000002 00000003") + b"media"
    assert read(format("rtp_packet"), plain).len_padding == 0
    padded = read(format("rtp_packet"), b"\xa0" + plain[1:] + bytes.fromhex("000003"))
    assert (padded.data, padded.padding, padded.len_padding_if_exists, padded.len_padding) == (b"media", bytes(2), 3, 3)


def test_rtpdump(format: Any) -> None:
    """rtptools: a line of text, a header, and packets with their times."""
    packet = bytes.fromhex("80 60 0001 00000002 00000003") + b"media"
    file = b"#!rtpplay1.0 10.0.0.1/5004\n" + struct.pack(">IIIHH", 1, 2, 0x0A000001, 5004, 0)
    for number, data in enumerate((packet, b"\xa0" + packet[1:] + b"\0\2")):
        file += struct.pack(">HHI", len(data) + 8, len(data), number * 20) + data
    header = read(format("rtpdump"), file)
    assert (header.file_header.ip, header.file_header.port, header.file_header.start_sec) == ("10.0.0.1", "5004", 1)
    assert [(one.body.data, one.packet_usec, one.length) for one in header.packets] == [
        (b"media", 0, 25),
        (b"media", 20, 27),
    ]


def test_websocket_frames_are_messages(format: Any) -> None:
    """RFC 6455 section 5.7; what is masked or compressed is bytes to the file, and no text."""
    cls = format("websocket")
    assert read(cls, bytes.fromhex("810548656c6c6f")).initial_frame_payload_text == "Hello"
    parts = read(cls, bytes.fromhex("010348656c 80026c6f"))
    assert [one.payload_text for one in parts.trailing_frames] == ["lo"]
    long = read(cls, bytes.fromhex("827e0100") + bytes(range(256)))
    assert (long.initial_frame_header_len_payload, long.initial_frame_payload_bytes[255]) == (256, 255)
    masked = read(cls, bytes.fromhex("818537fa213d7f9f4d5158"), faults=1)
    assert masked.initial_frame_header_mask_key == 0x37FA213D


def test_icmp_is_read(format: Any) -> None:
    (frame,) = Capture(CORPUS / "icmp-destunreach-udp.pcap")
    below = frame.data.find(bytes(frame.packet()[IPv4]))
    header = read(format("icmp_packet"), bytes(frame.data[below + 20 :]))
    assert (header.icmp_type, header.destination_unreachable.code) == (3, frame.data[below + 21])
    echo = read(format("icmp_packet"), bytes.fromhex("08 00 f7f6 0007 0001 6869"))
    assert (echo.echo.identifier, echo.echo.seq_num, echo.echo.data, echo.time_exceeded) == (7, 1, b"hi", None)


# By hand -------------------------------------------------------------------------------------------------------


def test_a_transaction_of_bitcoin(format: Any) -> None:
    """https://en.bitcoin.it/wiki/Transaction; the hash of what is built is that of these bytes."""
    signature = bytes.fromhex("30 44 02 20") + bytes(range(32)) + bytes.fromhex("02 20") + bytes(range(32, 64))
    key = b"\4" + bytes(64)
    script = bytes([len(signature) + 1]) + signature + b"\1" + bytes([len(key)]) + key
    data = struct.pack("<IB", 1, 1) + b"\x11" * 32 + struct.pack("<IB", 7, len(script)) + script + b"\xff" * 4
    data += b"\2" + struct.pack("<QB", 5_000_000_000, 2) + b"\x76\xa9" + struct.pack("<QB", 1, 0) + bytes(4)
    header = read(format("bitcoin_transaction"), data)
    assert [one.amount for one in header.vouts] == [5_000_000_000, 1]
    assert header.vins[0].script_sig.der_sig.sig_r == bytes(range(32))
    assert header.vins[0].script_sig.pubkey.type == 4
    assert hashlib.sha256(bytes(header)).digest() == hashlib.sha256(data).digest()


def test_dime_fills_up_to_four_bytes(format: Any) -> None:
    """draft-nielsen-dime-02 section 3: OPTIONS, ID, TYPE and DATA are each padded to a multiple of 4 bytes."""

    def record(flags: int, kind: int, options: bytes, name: bytes, type: bytes, data: bytes) -> bytes:
        head = struct.pack(">BBHHHI", 1 << 3 | flags, kind << 4, len(options), len(name), len(type), len(data))
        return head + b"".join(part + bytes(-len(part) % 4) for part in (options, name, type, data))

    data = record(4, 1, b"\0\1\0\1x", b"cid:1", b"text/xml", b"<a/>!") + record(2, 3, b"", b"", b"", b"12345678")
    header = read(format("dime_message"), data)
    one, other = header.records
    assert (one.is_first_record, one.id, one.type, one.data, one.data_padding_boundary_padding) == (
        1,
        "cid:1",
        "text/xml",
        b"<a/>!",
        bytes(3),
    )
    assert (one.options.option_elements[0].element_data, other.is_last_record, other.type_format.name) == (
        b"x",
        1,
        "unknown",
    )


def test_captures_of_hashcat(format: Any) -> None:
    """https://hashcat.net/wiki/doku.php?id=hccap and ?id=hccapx."""
    old = (
        b"lab".ljust(36, b"\0")
        + b"\1" * 6
        + b"\2" * 6
        + b"\3" * 32
        + b"\4" * 32
        + b"eapol".ljust(256, b"\0")
        + struct.pack("<II", 5, 2)
        + b"\5" * 16
    )
    header = read(format("hccap"), old * 2)
    assert [(one.essid[:3], one.len_eapol, one.keyver) for one in header.records] == [(b"lab", 5, 2)] * 2
    new = (
        b"HCPX"
        + struct.pack("<IBB", 4, 0x82, 3)
        + b"lab".ljust(32, b"\0")
        + b"\2"
        + b"\5" * 16
        + b"\1" * 6
        + b"\3" * 32
        + b"\2" * 6
        + b"\4" * 32
    )
    new += struct.pack("<H", 5) + b"eapol".ljust(256, b"\0")
    assert len(new) == 393
    header = read(format("hccapx"), new)
    (one,) = header.records
    assert (one.essid, one.padding1, one.eapol, one.ignore_replay_counter, one.message_pair) == (
        b"lab",
        bytes(29),
        b"eapol",
        1,
        2,
    )


def some_ip() -> Iterator[tuple[bytes, bytes]]:
    """AUTOSAR SOME/IP Service Discovery, sections 4.1.2.3 and 4.1.2.4: an offer with an endpoint, and a configuration."""
    entry = bytes.fromhex("01 00 00 10 1234 0001 01 000003 00000005")
    subscribe = bytes.fromhex("06 00 00 10 1234 0001 01 000003 00 0001")
    endpoint = bytes.fromhex("0009 04 00 0a000001 00 11 7725")
    words = b"\x05a=b=c\0"
    config = (len(words) + 1).to_bytes(2) + b"\1\0" + words
    yield entry, endpoint
    yield entry + subscribe + b"\0", endpoint + config


@pytest.mark.parametrize(("entries", "options"), [*some_ip()])
def test_some_ip(format: Any, entries: bytes, options: bytes) -> None:
    found = read(format("some_ip/some_ip_sd_entries"), entries)
    assert found.entries[0].content_sd_service_entry.minor_version == 5
    found = read(format("some_ip/some_ip_sd_options"), options)
    assert found.entries[0].content_sd_ipv4_endpoint_option.port == 0x7725
    discovery = b"\xc0\0\0\0" + len(entries).to_bytes(4) + entries + len(options).to_bytes(4) + options
    found = read(format("some_ip/some_ip_sd"), discovery)
    assert (found.flags.unicast, found.len_entries, found.len_options) == (1, len(entries), len(options))
    message = (
        bytes.fromhex("ffff8100") + (8 + len(discovery)).to_bytes(4) + bytes.fromhex("00000001 01 01 02 00") + discovery
    )
    found = read(format("some_ip/some_ip"), message)
    assert (found.header_message_id_value, found.header_is_valid_service_discovery) == (0xFFFF8100, 1)
    assert found.payload_some_ip_sd.entries.entries[0].header_service_id == 0x1234
    call = bytes.fromhex("1234 0005 0000000a 00010002 01 01 00 00 6869")
    several = read(format("some_ip/some_ip_container"), message + call)
    assert (several.some_ip_packages[1].header_message_id_method_id, several.some_ip_packages[1].payload_) == (5, b"hi")


def test_what_is_cut_is_a_fault_and_comes_back(format: Any) -> None:
    for name, data in (
        ("udp_datagram", "0035 0036 0020 0000 61"),
        ("tcp_segment", "0035 0036"),
        ("ipv6_packet", "6000 0000 0004 11 40"),
    ):
        packet = dissect(bytes.fromhex(data), format(name))
        assert packet.faults
        assert bytes(packet) == bytes.fromhex(data)
