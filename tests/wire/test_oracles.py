"""scapy and dpkt build the same bytes, tshark reads the same fields. They are oracles; nothing here is theirs."""

from __future__ import annotations

import ipaddress
import itertools
import struct
import warnings

import dpkt
import pytest
from hypothesis import given, strategies as st

from packetlab import (
    ARP,
    GRE,
    ICMP,
    SCTP,
    TCP,
    UDP,
    VLAN,
    VXLAN,
    Capture,
    Ether,
    Frame,
    ICMPv6,
    ICMPv6Echo,
    IPOption,
    IPv4,
    IPv6,
    TCPOption,
    Verdict,
    dissect,
)  # fmt: skip

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from scapy.layers import inet, inet6, l2, sctp, vxlan

u8, u16, u32 = st.integers(0, 255), st.integers(0, 65535), st.integers(0, 2**32 - 1)
ip4 = u32.map(lambda n: str(ipaddress.IPv4Address(n)))
ip6 = st.integers(0, 2**128 - 1).map(lambda n: str(ipaddress.IPv6Address(n)))
mac = st.binary(min_size=6, max_size=6).map(lambda b: b.hex(":"))
payload = st.binary(max_size=60)


@pytest.mark.slow
@given(mac, mac, ip4, ip4, u8, u16, u16, u16, u32, u32, u8, u16, payload)
def test_tcp_over_ipv4_as_scapy_and_dpkt(dst, src, a, b, ttl, id, sport, dport, seq, ack, flags, window, data) -> None:
    ours = bytes(
        Ether(dst=dst, src=src) / IPv4(src=a, dst=b, ttl=ttl, id=id)
        / TCP(sport=sport, dport=dport, seq=seq, ack=ack, flags=flags, window=window) / data
    )  # fmt: skip
    theirs = l2.Ether(dst=dst, src=src) / inet.IP(src=a, dst=b, ttl=ttl, id=id) / inet.TCP(
        sport=sport, dport=dport, seq=seq, ack=ack, flags=flags, window=window
    ) / data  # fmt: skip
    assert ours == bytes(theirs)
    segment = dpkt.tcp.TCP(sport=sport, dport=dport, seq=seq, ack=ack, flags=flags, win=window, data=data)
    packet = dpkt.ip.IP(
        src=ipaddress.IPv4Address(a).packed, dst=ipaddress.IPv4Address(b).packed, ttl=ttl, id=id, p=6, data=segment
    )
    packet.len = len(packet)
    assert ours[14:] == bytes(packet)


@pytest.mark.slow
@given(ip4, ip4, u16, u16, payload)
def test_udp_over_ipv4_as_scapy(a, b, sport, dport, data) -> None:
    ours = bytes(IPv4(src=a, dst=b) / UDP(sport=sport, dport=dport) / data)
    # scapy's own default of id is 1.
    assert ours == bytes(inet.IP(src=a, dst=b, id=0) / inet.UDP(sport=sport, dport=dport) / data)


@pytest.mark.slow
@given(ip6, ip6, u16, u16, u8, st.integers(0, 2**20 - 1), payload)
def test_udp_over_ipv6_as_scapy(a, b, sport, dport, hops, flow, data) -> None:
    ours = bytes(IPv6(src=a, dst=b, hop_limit=hops, flow_label=flow) / UDP(sport=sport, dport=dport) / data)
    theirs = inet6.IPv6(src=a, dst=b, hlim=hops, fl=flow) / inet.UDP(sport=sport, dport=dport) / data
    assert ours == bytes(theirs)


@pytest.mark.slow
@given(ip6, ip6, u16, u16, payload)
def test_icmpv6_as_scapy(a, b, id, seq, data) -> None:
    ours = bytes(IPv6(src=a, dst=b, hop_limit=64) / ICMPv6() / ICMPv6Echo(identifier=id, sequence=seq) / data)
    assert ours == bytes(inet6.IPv6(src=a, dst=b, hlim=64) / inet6.ICMPv6EchoRequest(id=id, seq=seq, data=data))


@pytest.mark.slow
@given(ip4, ip4, u16, u16, payload)
def test_icmp_as_scapy_and_dpkt(a, b, id, seq, data) -> None:
    ours = bytes(ICMP(identifier=id, sequence=seq) / data)
    assert ours == bytes(inet.ICMP(id=id, seq=seq) / data)
    assert ours == bytes(dpkt.icmp.ICMP(type=8, data=dpkt.icmp.ICMP.Echo(id=id, seq=seq, data=data)))


@pytest.mark.slow
@given(mac, ip4, mac, ip4, st.sampled_from([1, 2]))
def test_arp_as_scapy(sender, a, target, b, operation) -> None:
    ours = bytes(ARP(operation=operation, sender_mac=sender, sender_ip=a, target_mac=target, target_ip=b))
    assert ours == bytes(l2.ARP(op=operation, hwsrc=sender, psrc=a, hwdst=target, pdst=b))


@pytest.mark.slow
@given(st.integers(0, 4095), st.integers(0, 7), u16, u16, payload)
def test_vlan_gre_vxlan_sctp_as_scapy(id, priority, port, key, data) -> None:
    assert bytes(VLAN(id=id, priority=priority, type=0x1234) / data) == bytes(
        l2.Dot1Q(vlan=id, prio=priority, type=0x1234) / data
    )
    assert bytes(GRE(key=key, protocol=0x800) / data) == bytes(l2.GRE(key_present=1, key=key, proto=0x800) / data)
    assert bytes(VXLAN(vni=id) / data) == bytes(vxlan.VXLAN(flags=8, vni=id) / data)
    assert bytes(SCTP(sport=port, dport=key, verification_tag=7) / data) == bytes(
        sctp.SCTP(sport=port, dport=key, tag=7) / data
    )


def test_options_as_scapy() -> None:
    options = [("MSS", 1460), ("NOP", None), ("WScale", 7), ("Timestamp", (1, 2))]
    theirs = bytes(inet.IP(src="1.2.3.4", dst="5.6.7.8", id=0) / inet.TCP(options=options))
    ours = IPv4(src="1.2.3.4", dst="5.6.7.8") / TCP(
        sport=20, dport=80, window=8192,
        options=[TCPOption(kind=2, data=struct.pack(">H", 1460)), TCPOption(kind=1), TCPOption(kind=3, data=b"\7"),
                 TCPOption(kind=8, data=struct.pack(">II", 1, 2))],
    )  # fmt: skip
    assert bytes(ours) == theirs
    route = bytes(inet.IP(src="1.2.3.4", dst="5.6.7.8", id=0, proto=1, options=[inet.IPOption_RR(routers=["9.9.9.9"])]))
    kept = dissect(theirs[:0] + route, IPv4)
    assert kept[IPv4].options[0] == IPOption(kind=7, data=kept[IPv4].options[0].data)


@pytest.mark.slow
def test_checksums_under_a_source_route_are_of_its_end_as_scapys(tmp_path, tshark) -> None:
    built = []
    for kind, pointer, (above, ours) in itertools.product(
        (inet.IPOption_LSRR, inet.IPOption_SSRR),
        (4, 8),
        ((inet.UDP(sport=1, dport=9), UDP), (inet.TCP(sport=1, dport=9), TCP)),
    ):
        route = [kind(routers=["3.3.3.3", "4.4.4.4"], pointer=pointer)]
        theirs = bytes(inet.IP(src="1.1.1.1", dst="2.2.2.2", options=route) / above / b"hello")
        packet = dissect(theirs, IPv4)
        assert packet.verdict(ours) is Verdict.GOOD and "-> 4.4.4.4 in the end" in packet.why(ours, "checksum")
        for _ in range(40):  # from the sixteenth on by a function compiled for the whole stack
            assert bytes(packet.replace(ours, sport=1)) == theirs
        assert packet.vary(3, {(ours, "sport"): range(5)}).packet(2) == packet.replace(ours, sport=2)
        built.append(theirs)
    path = tmp_path / "routes.pcap"
    Capture.of([Frame(theirs, 0, linktype=228) for theirs in built]).write(path)
    options = ("-o", "udp.check_checksum:TRUE", "-o", "tcp.check_checksum:TRUE")
    assert tshark(path, "udp.checksum.status", "tcp.checksum.status", options=options) == [["1", ""], ["", "1"]] * 4


def test_a_source_route_that_is_used_up_counts_no_more() -> None:
    arrived = IPOption(kind=131, data=bytes([12, 1, 1, 1, 2, 1, 1, 1, 3]))
    plain = IPv4(src="1.1.1.1", dst="4.4.4.4", options=[IPOption(kind=7, data=arrived.data)]) / UDP() / b"x"
    routed = IPv4(src="1.1.1.1", dst="4.4.4.4", options=[arrived]) / UDP() / b"x"
    assert dissect(bytes(routed), IPv4)[UDP].checksum == dissect(bytes(plain), IPv4)[UDP].checksum


@pytest.mark.slow
def test_tshark_reads_our_fields_and_finds_our_checksums_good(tmp_path, tshark) -> None:
    packets = [
        Ether() / VLAN(id=7) / IPv4(src="10.0.0.1", dst="10.0.0.2", ttl=9) / UDP(sport=7, dport=40000) / b"odd",
        Ether() / IPv6(src="fe80::1", dst="fe80::2") / TCP(sport=7, dport=40001, options=[TCPOption(kind=1)]) / b"x",
        Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2") / ICMP(identifier=5) / b"ping",
    ]
    path = tmp_path / "ours.pcapng"
    Capture.of([Frame(bytes(p), i) for i, p in enumerate(packets)]).write(path)
    checks = ("ip.check_checksum", "udp.check_checksum", "tcp.check_checksum")
    options = tuple(word for check in checks for word in ("-o", f"{check}:TRUE"))
    fields = ("vlan.id", "ip.ttl", "ip.checksum.status", "udp.dstport", "udp.checksum.status", "tcp.dstport",
              "tcp.checksum.status", "icmp.checksum.status", "_ws.malformed")  # fmt: skip
    rows = [row + [""] * (len(fields) - len(row)) for row in tshark(path, *fields, options=options)]
    assert rows[0] == ["7", "9", "1", "40000", "1", "", "", "", ""]
    assert rows[1] == ["", "", "", "", "", "40001", "1", "", ""]
    assert rows[2] == ["", "64", "1", "", "", "", "", "1", ""]


@pytest.mark.slow
@pytest.mark.parametrize("wrong", [1, 0xFFFE])
def test_tshark_finds_a_deliberately_bad_checksum_bad(tmp_path, tshark, wrong) -> None:
    good = dissect(bytes(Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2") / TCP(dport=40000) / b"x"))
    bad = good.replace(TCP, checksum=(good[TCP].checksum + wrong) % 65535)
    path = tmp_path / "bad.pcap"
    Capture.of([Frame(bytes(bad), 0)]).write(path)
    assert tshark(path, "tcp.checksum.status", options=("-o", "tcp.check_checksum:TRUE")) == [["0"]]
