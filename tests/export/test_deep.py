"""Application data decoded by scapy and dpkt by name: what tshark sees, and faults where they fail."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from itertools import product

import dpkt
import pytest
from hypothesis import given, settings, strategies as st

from packetlab import (
    IDP,
    SCTP,
    TCP,
    UDP,
    BuildError,
    Capture,
    Ether,
    IPv4,
    IPv6,
    LinuxSLL,
    Packet,
    PPPoE,
    deep,
    deep_names,
    dissect,
)
from tests.conftest import CORPUS, amount

BOTH = ("scapy", "dpkt")
QUERY = bytes(dpkt.dns.DNS(id=7, qd=[dpkt.dns.DNS.Q(name="example.org", type=1)]))
REQUEST = b"GET /index.html HTTP/1.1\r\nHost: example.org\r\n\r\n"


def words(value: object) -> str:
    return (value.decode() if isinstance(value, bytes) else str(value)).rstrip(".")


def packets(name: str, *fields: str, tshark: Callable[..., list[list[str]]]) -> list[tuple[Packet, list[str]]]:
    """The whole packets in which tshark finds the first field and nothing reassembled, with its fields."""
    rows = tshark(CORPUS / name, *fields, "tcp.segments", "ip.fragments", "ipv6.fragments")
    rows = [row + [""] * (len(fields) + 3 - len(row)) for row in rows]
    both = [(frame.packet(), row) for frame, row in zip(Capture(CORPUS / name), rows, strict=True)]
    return [(p, row) for p, row in both if row[0] and not any(row[len(fields) :]) and not p.truncated]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dns53.pcap", "dns-badcookie.pcap", "ipv6-fragmented-dns.pcap", "raw_ip.pcap"])
def test_names_in_dns_are_tsharks(name: str, tshark) -> None:
    found = packets(name, "dns.qry.name", "dns.id", tshark=tshark)
    assert found
    for (packet, row), using in product(found, BOTH):
        made = packet.deep(using=using)
        assert (made.name, made.using, made["id"]) == ("dns", using, int(row[1], 16))
        assert words(made["qname" if using == "scapy" else "name"]) == row[0].replace("<Root>", "")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["4KHttpRequests.pcap", "web.pcap", "one_http_stream_fin.pcap"])
def test_requests_of_http_are_tsharks(name: str, tshark) -> None:
    found = packets(name, "http.request.method", "http.request.uri", "http.host", tshark=tshark)[:50]
    assert found
    for (packet, (method, uri, host, *_)), using in product(found, BOTH):
        made = packet.deep(using=using)
        keys = ("Method", "Path", "Host") if using == "scapy" else ("method", "uri", "host")
        assert made.name == "http" and tuple(words(made[key]) for key in keys) == (method, uri, host)


@pytest.mark.slow
def test_what_dhcp_asks_for_is_tsharks(tshark) -> None:
    count = 0
    for name in ("be_test008.pcapng", "raw_ip.pcap"):
        found = packets(name, "dhcp.id", "dhcp.ip.client", tshark=tshark)
        for (packet, (xid, client, *_)), using in product(found, BOTH):
            made = packet.deep("dhcp", using=using)
            assert made["xid"] == int(xid, 16)
            assert client in (
                made["ciaddr"],
                ".".join(map(str, int(made["ciaddr"]).to_bytes(4, "big"))) if using == "dpkt" else "",
            )
            count += 1
    assert count


def test_records_of_tls_are_tsharks(tshark) -> None:
    found = packets("pcapng-example.pcapng.zst", "tls.record.content_type", tshark=tshark)
    compared = 0
    for packet, (types, *_) in found:
        made = packet.deep("tls", using="dpkt")
        if made.decoded is not None and packet.payload[:1] in (b"\x14", b"\x15", b"\x16", b"\x17"):
            assert [r["type"] for r in made.fields["records"]] == [int(t) for t in types.split(",")][
                : len(made.fields["records"])
            ]
            compared += 1
    assert compared


@pytest.mark.parametrize(
    ("packet", "name"),
    [
        (IPv4() / UDP(sport=53, dport=4000) / QUERY, "dns"),
        (IPv6() / UDP(dport=5353) / QUERY, "dns"),
        (IPv4() / TCP(dport=53) / (len(QUERY).to_bytes(2, "big") + QUERY + b"the next one"), "dns"),
        (IPv4() / TCP(dport=49999) / REQUEST, "http"),  # by what it begins with, whatever the port
        (IPv4() / TCP(dport=443) / bytes.fromhex("15030300020100"), "tls"),
        (IPv4() / UDP(dport=123) / (b"\x23" + bytes(47)), "ntp"),
        (Ether() / IPv4() / SCTP() / bytes.fromhex("0400000c0001000800000000"), "SCTPChunkHeartbeatReq"),
        (Ether(type=0x8863) / PPPoE(code=9) / bytes.fromhex("01010000"), "PPPoED_Tags"),
    ],
    ids=lambda p: p if isinstance(p, str) else p.summary(),
)
def test_the_decoder_is_found(packet: Packet, name: str) -> None:
    made = packet.deep()
    assert made.name == name and not made.faults, made
    if name == "dns":
        assert made["qname"] == b"example.org."


@pytest.mark.parametrize("using", BOTH)
def test_bytes_of_a_stream_are_decoded(using: str) -> None:
    assert deep(REQUEST, using=using).name == "http"
    made = deep(bytearray(REQUEST) + b"body", "http", using=using)
    assert b"body" in (made.find("payload") + made.find("body")) or "body" in str(made)
    assert deep(QUERY, "dns", using=using)["id"] == 7
    assert deep(len(QUERY).to_bytes(2, "big") + QUERY, "dns", using=using)["id"] == 7


def test_a_class_is_named_with_its_module() -> None:
    assert deep(REQUEST, "http.HTTPRequest")["Path"] == b"/index.html"
    assert deep(QUERY, "dns.DNS", using="dpkt").decoded.id == 7
    assert deep(b"\x30\x00", "mqtt.MQTT").using == deep(b"\x30\x00", "mqtt").using == "scapy"


def test_fields_are_plain_data() -> None:
    def check(value: object) -> None:
        assert type(value) in (dict, list, str, int, bytes)
        for inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
            check(inner[1])

    for using in ("scapy", "dpkt"):
        for data, name in ((QUERY, "dns"), (REQUEST, "http"), (b"\x23" + bytes(47), "ntp"), (bytes(300), "dhcp")):
            made = deep(data, name, using=using)
            check(made.fields)
    made = deep(QUERY, "dns")
    assert made.fields["qd"][0]["qname"] == b"example.org." and made.fields["layer"] == "DNS"
    assert made.find("qtype") == [1] and "qtype" in made and "nothing" not in made
    with pytest.raises(KeyError):
        made["nothing"]
    assert "qname: b'example.org.'" in str(made) and repr(made) == f"<Deep dns by scapy: {len(QUERY)} bytes>"


def test_what_fails_is_a_fault_and_what_was_understood_is_kept() -> None:
    cut = deep(QUERY[:-3], "dns", using="scapy")
    assert cut["id"] == 7 and cut.faults and cut.faults[0].layer == "dns" and "fault: " in str(cut)
    none = deep(QUERY[:5], "dns", using="dpkt")
    assert none.decoded is None and none.fields == {} and "NeedData" in none.faults[0].got
    assert deep(QUERY[:-3], "dns").using == "scapy"  # neither reads it whole: what one did is better than nothing


@pytest.mark.parametrize(
    "packet",
    [IPv4() / UDP(dport=9) / b"who knows", IDP() / b"x", IPv4() / TCP(dport=80), LinuxSLL() / b"", Ether() / b""],
    ids=repr,
)
def test_where_no_decoder_is_found_a_fault_says_so(packet: Packet) -> None:
    made = packet.deep()
    assert made.decoded is None and made.name == "" and len(made.faults) == 1 and "no decoder" in str(made)


def test_a_wrong_name_is_reported_with_the_nearest() -> None:
    with pytest.raises(BuildError, match="did you mean 'dns'"):
        deep(b"x", "dnss")
    with pytest.raises(BuildError, match="scapy or dpkt"):
        deep(b"x", "dns", using="tshark")
    with pytest.raises(BuildError):
        deep(b"x", "mqtt", using="dpkt")
    with pytest.raises(TypeError):
        deep(7)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dns", "http", "tls", "dhcp", "ntp", "bgp", "radius", "rip", "smb", "tftp", "sip"])
@settings(max_examples=amount(15, 500))
@given(data=st.binary(max_size=120), cut=st.integers(0, 60), port=st.integers(0, 600))
def test_any_bytes_give_a_result_that_is_safe_to_print(name: str, data: bytes, cut: int, port: int) -> None:
    known = {"dns": QUERY, "http": REQUEST}.get(name, b"")
    for using in deep_names()[name]:
        for raw in (data, known[:cut] + data):
            shown = str(deep(raw, name, using=using))
            assert all(c.isprintable() or c == "\n" for c in shown)
    str((IPv4() / UDP(dport=port) / data).deep())


def test_hostile_names_and_values_are_escaped() -> None:
    for using in ("scapy", "dpkt"):
        made = deep(b"GET / HTTP/1.1\r\nX\x1b[31m: \x1b]0;owned\x07\r\n\r\n", "http", using=using)
        assert "\x1b" not in str(made) and "\x07" not in str(made)


def test_dissected_packets_of_any_kind_are_taken() -> None:
    packet = Ether() / IPv4() / UDP(dport=53) / QUERY
    for form in (packet, dissect(bytes(packet)), packet.to_scapy(), packet.to_dpkt()):
        assert deep(form)["id"] == 7


@pytest.mark.slow
def test_every_name_listed_has_a_decoder() -> None:
    # In a process of its own: scapy's modules bind layers when they are imported.
    code = """
import sys, packetlab as pl
names = pl.deep_names()
bad = []
for name, libraries in names.items():
    for using in libraries:
        for data in (bytes(64), bytes(range(64, 128))):
            made = pl.deep(data, name, using=using)
            str(made)
            bad += [name for f in made.faults if "LookupError" in f.got or "ModuleNotFound" in f.got]
assert not bad, bad
assert len(names) > 120 and {"dns", "http", "tls", "dhcp", "mqtt", "modbus", "bgp", "snmp", "quic", "sip"} <= set(names)
"""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout == "", done.stderr
