"""Packets to scapy and dpkt and back, over the corpus: the same bytes, and the same values where both know a field."""

from __future__ import annotations

from collections import Counter

import pytest

from packetlab import Capture, Frame, Header, Packet, from_dpkt, from_scapy
from packetlab.export.bridges.counterparts import counterpart, native
from packetlab.export.bridges.scapy_declared import load
from packetlab.protocols import icmp, ip, link, transport, tunnels
from tests.capture.test_corpus import NAMES
from tests.conftest import CORPUS

load()

# Our field -> scapy's, where the names differ. Fields that scapy's class has under neither name are not compared.
THEIRS = {
    "Ether": "", "VLAN": "priority=prio drop_eligible=dei id=vlan", "LLC": "control=ctrl", "SNAP": "oui=OUI type=code",
    "MPLS": "traffic_class=cos bottom=s", "PPPoE": "kind=type session=sessionid length=len", "PPP": "protocol=proto",
    "LinuxSLL": "packet_type=pkttype hardware=lladdrtype address_length=lladdrlen address=src type=proto",
    "LinuxSLL2": "type=proto interface=ifindex hardware=lladdrtype packet_type=pkttype address_length=lladdrlen address=src",
    "ARP": "hardware=hwtype protocol=ptype hardware_size=hwlen protocol_size=plen operation=op sender_mac=hwsrc "
    "sender_ip=psrc target_mac=hwdst target_ip=pdst",
    "IPv4": "length=len fragment_offset=frag protocol=proto checksum=chksum options=",
    "IPv6": "traffic_class=tc flow_label=fl length=plen next_header=nh hop_limit=hlim",
    "HopByHop": "next_header=nh length=len options=", "DestinationOptions": "next_header=nh length=len options=",
    "Routing": "next_header=nh length=len kind=type segments_left=segleft",
    "Fragment": "next_header=nh reserved=res1 reserved2=res2 more=m",
    "AuthenticationHeader": "next_header=nh length=payloadlen sequence=seq",
    "ICMP": "checksum=chksum identifier=id sequence=seq pointer=ptr gateway=gw unused= next_hop_mtu=nexthopmtu",
    "ICMPv6": "checksum=cksum",
    "GRE": "checksum_present=chksum_present sequence_present=seqnum_present acknowledgment_present=acknum_present "
    "recursion=recursion_control reserved=flags protocol=proto checksum=chksum sequence=sequence_number",
    "UDP": "length=len checksum=chksum", "TCP": "data_offset=dataofs checksum=chksum urgent=urgptr options= flags=flags",
    "SCTP": "verification_tag=tag checksum=chksum", "VXLAN": "reserved=reserved1",
}  # fmt: skip
# (capture, field or layers) -> why scapy has another value, or other layers.
OTHERWISE = {
    ("icmp-destunreach-udp.pcap", "ours stands in"): "scapy loses 4 bytes that fill the frame after an ICMP extension",
    ("llc.pcap", "1 layers or 2"): "scapy takes the IPX of raw 802.3 for LLC",
    ("ip6_frag_asan.pcap", "3 layers or 2"): "a fragment header of 6 bytes: scapy takes none of it, we what is there",
    ("radiotap.pcap", "0 layers or 4"): "radiotap and 802.11 are scapy's alone: so is what they carry",
    ("linux_dlt_sll2.pcap", "2 layers or 1"): "scapy does not bind reverse ARP to cooked captures",
}  # fmt: skip


# Where dpkt's own class for the first header does not give the bytes back, and the class made of ours stands there.
PADDING = "dpkt drops what fills the frame after the datagram"
FILLED_IN = "dpkt takes a length or checksum of 0 for one to be filled in"
NOT_DPKT = {
    "be_test008.pcapng": FILLED_IN, "be_test102.pcapng": FILLED_IN, "dns-badcookie.pcap": FILLED_IN, "le_test009.pcapng": FILLED_IN,
    "le_test202.pcapng": FILLED_IN, "raw_ip.pcap": FILLED_IN, "retransmit-fast009.pcap": FILLED_IN, "fragmented-1.pcap": PADDING,
    "one_http_stream_fin.pcap": f"{PADDING}; {FILLED_IN}", "icmp-destunreach-udp.pcap": PADDING, "options.pcap": PADDING,
    "fake-syslog-with-padding.pcap": PADDING, "mixed-vlan-mpls.pcap": PADDING, "web.pcap": PADDING,
    "unidirectional_tcp_stream_with_missing_packet.pcap": PADDING, "encap.pcap": "dpkt takes 4 bytes after 802.3 for a check sequence",
    "ipv6_ext_headers.pcap": "a frame of more headers than become packets of dpkt's", "llc.pcap": "dpkt packs 802.3 without its LLC fields", "pppoe.pcap": "dpkt packs IPv6's extension headers otherwise",
}  # fmt: skip


def value(thing: object) -> object:
    """Numbers as numbers, addresses as text, bytes as they are."""
    if isinstance(thing, (bytes, str)) or thing is None:
        return thing.lower() if isinstance(thing, str) else thing
    return int(thing) if hasattr(thing, "__int__") and type(thing).__name__ not in ("EUI", "IPAddress") else str(thing)


def layers(packet: object) -> list[tuple[type[Header], object]]:
    """The layers of scapy's packet that stand for a header of ours."""
    found = []
    while packet:
        ours = counterpart(type(packet))
        if ours is not None and ours.__name__ in THEIRS:
            found.append((ours, packet))
        packet = packet.payload
    return found


def differences(packet: Packet, theirs: object) -> list[str]:
    """Names of the fields (or of the layer) that scapy sees otherwise."""
    found = []
    mine = [h for h in packet.layers if type(h).__name__ in THEIRS]
    for header, (kind, layer) in zip(mine, layers(theirs), strict=False):
        name = type(header).__name__
        if type(header) is not kind:
            return [*found, f"{name} or {kind.__name__}"]
        renamed = dict(pair.split("=") for pair in THEIRS[name].split())
        known = {f.name for f in layer.fields_desc}
        for f in header._fields:
            there = renamed.get(f.name, f.name)
            ours = getattr(header, f.name)
            if there in known and ours is not None and value(ours) != value(layer.getfieldval(there)):
                found.append(f"{name}.{f.name}")
    if len(mine) != len(layers(theirs)):
        found.append(f"{len(mine)} layers or {len(layers(theirs))}")
    return found


def frames(name: str) -> list[Frame]:
    return list(Capture(CORPUS / name, strict=False))


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_bytes_and_fields_are_the_same_in_scapy(name: str) -> None:
    other = Counter()
    for frame in frames(name):
        packet = frame.packet()
        theirs = packet.to_scapy()
        assert bytes(theirs) == frame.data
        first = next((h for h in packet.layers if h._fields), None)
        if frame.data and native(type(first), "scapy") is not None and hasattr(theirs, "declared_header"):
            other["ours stands in"] += 1
        back = from_scapy(theirs)
        if back.layers and packet.layers and type(back.layers[0]) is type(packet.layers[0]):
            assert back == packet
        if frame.data:  # of nothing, scapy has no layers
            other.update(differences(packet, theirs))
    assert set(other) == {what for capture, what in OTHERWISE if capture == name}


@pytest.mark.parametrize("name", NAMES)
def test_bytes_are_the_same_in_dpkt(name: str) -> None:
    ours = 0
    for frame in frames(name):
        packet = frame.packet()
        theirs = packet.to_dpkt()
        assert bytes(theirs) == frame.data
        first = next((h for h in packet.layers if h._fields), None)
        ours += frame.data != b"" and native(type(first), "dpkt") is not None and hasattr(theirs, "declared_header")
        back = from_dpkt(theirs)
        if back.layers and packet.layers and type(back.layers[0]) is type(packet.layers[0]):
            assert back == packet
    assert bool(ours) == (name in NOT_DPKT)


def test_dpkts_losses_are_known() -> None:
    assert set(NOT_DPKT) <= set(NAMES)


def test_every_header_that_has_a_counterpart_is_compared() -> None:
    from packetlab.export.bridges.counterparts import COUNTERPARTS

    assert set(THEIRS) == set(COUNTERPARTS) - {"HDLC", "BSDNull"}
    for name in THEIRS:
        cls = next(getattr(m, name) for m in (link, icmp, ip, transport, tunnels) if hasattr(m, name))
        renamed = dict(pair.split("=") for pair in THEIRS[name].split())
        assert set(renamed) <= {f.name for f in cls._fields}, name
