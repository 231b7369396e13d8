"""Rewriting, sides and flow numbers of frames whose headers are faulty: what dissecting reads on, rewriting changes."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

import packetlab as pl
from packetlab import (
    GRE,
    LLC,
    MPLS,
    PPP,
    SNAP,
    TCP,
    UDP,
    VLAN,
    AuthenticationHeader,
    BSDLoop,
    BSDNull,
    Capture,
    Ether,
    Frame,
    Header,
    ICMPv6,
    IPv4,
    IPv6,
    LinuxSLL,
    ListenerRecord,
    ListenerReport,
    NeighborAdvertisement,
    PPPoE,
    RawIP,
    Verdict,
    auto,
    bindings,
    next_protocol,
)
from packetlab.bulk.batch import Batch
from packetlab.capture.flows.numbers import flow_numbers
from packetlab.declare.items import Items
from packetlab.declare.kinds import Address, Int
from tests.conftest import amount
from tests.growth import is_linear

IP = {"0.0.0.0/1": "128.0.0.0/1", "128.0.0.0/1": "0.0.0.0/1", "::/1": "8000::/1", "8000::/1": "::/1"}
KEPT = {port ^ flip for port in (4789, 1701, 8472) for flip in (0, 0x8000)}  # ports that say what follows
# The ports of the frames here, and what any change of one byte makes of them: a map of all 65,536 takes its time each time.
NEAR = {
    near for port in (5000, 53, 80) for byte in range(256) for near in (port & 0xFF00 | byte, byte << 8 | port & 0xFF)
}
PORTS = {port: port ^ 0x8000 for port in sorted(NEAR - KEPT)}
FOUR, SIX = {"src": "10.1.2.3", "dst": "10.9.9.9"}, {"src": "2001:db8::1", "dst": "2001:db8::2"}


def found(header: Header) -> list[Any]:
    """Return the IP addresses (raw) and ports (numbers) of a header and its items."""
    some: list[Any] = []
    for f in header._fields:
        value = getattr(header, f.slot)
        if value is None:
            continue
        if (isinstance(f.kind, Address) and len(value) in (4, 16)) or (
            f.name in ("sport", "dport") and isinstance(f.kind, Int)
        ):
            some.append(value)
        elif isinstance(f.kind, Items):
            some += [one for item in getattr(header, f.name) if isinstance(item, Header) for one in found(item)]
    return some


def flipped(value: Any) -> Any:
    if isinstance(value, int):
        return PORTS.get(value, value)
    return bytes([value[0] ^ 0x80]) + value[1:]


def changed(data: bytes, linktype: int) -> tuple[pl.Packet, pl.Packet, Capture]:
    """Rewrite a frame so that each address and port changes; return it before and after, and the capture."""
    capture = Capture.of([Frame(data, linktype=linktype)]).rewrite(ip=IP, ports=PORTS)
    (frame,) = capture
    return Frame(data, linktype=linktype).packet(), frame.packet(), capture


def all_changed(data: bytes, linktype: int = 1) -> Capture:
    before, after, capture = changed(data, linktype)
    same_but_changed(before, after)
    return capture


def same_but_changed(before: pl.Packet, after: pl.Packet) -> None:
    assert [type(header) for header in after.layers] == [type(header) for header in before.layers]
    for old, new in zip(before.layers, after.layers, strict=True):
        assert [flipped(one) for one in found(old)] == found(new)


def with_byte(packet: Any, at: int, value: int) -> bytes:
    data = bytearray(bytes(packet))
    data[at] = value
    return bytes(data)


UPPER4 = IPv4(**FOUR) / UDP(sport=5000, dport=53) / b"hi"
UPPER6 = IPv6(**SIX) / UDP(sport=5000, dport=53) / b"hi"
BELOW: dict[str, tuple[Any, int]] = {
    "ethernet": (Ether(), 1), "vlan": (Ether() / VLAN(id=3), 1), "ip": (Ether() / IPv4(src="11.0.0.1", dst="11.0.0.2"), 1),
    "ipv6": (Ether() / IPv6(src="2001:db8::5", dst="2001:db8::6"), 1),
    "gre": (Ether() / IPv4(src="11.0.0.1", dst="11.0.0.2") / GRE(checksum=0), 1), "pppoe": (Ether() / PPPoE() / PPP(), 1),
    "snap": (Ether() / LLC() / SNAP(), 1), "null": (BSDNull(), 0), "loop": (BSDLoop(), 108), "cooked": (LinuxSLL(), 113),
}  # fmt: skip


@pytest.mark.parametrize("version", [0, 4, 5, 6, 9])
@pytest.mark.parametrize("below", BELOW)
@pytest.mark.parametrize("upper", [UPPER4, UPPER6], ids=["4", "6"])
def test_a_wrong_version_hides_no_address_and_no_port(below: str, upper: Any, version: int) -> None:
    stack, linktype = BELOW[below]
    whole = stack / upper
    at = len(bytes(whole)) - len(bytes(upper))
    data = with_byte(whole, at, version << 4 | bytes(whole)[at] & 15)
    assert UDP in Frame(data, linktype=linktype).packet()
    assert not all_changed(data, linktype).left


@pytest.mark.parametrize("first", [0x55, 0x05, 0x95, 0x40, 0x41])
def test_what_stands_in_a_faulty_header_is_rewritten_too(first: int) -> None:
    assert not all_changed(with_byte(BELOW["ip"][0] / UPPER4, 14, first)).left
    target = NeighborAdvertisement(target="2001:db8::7")
    report = ListenerReport(records=[ListenerRecord(group="2001:db8::9")])
    for message in (ICMPv6(type=136) / target, ICMPv6(type=143) / report):
        all_changed(with_byte(Ether() / IPv6(**SIX) / message, 14, first))


@pytest.mark.parametrize("linktype", [228, 229])
@pytest.mark.parametrize("version", [0, 4, 5, 6])
def test_a_link_type_of_one_ip_version_is_read_as_that(linktype: int, version: int) -> None:
    upper = UPPER4 if linktype == 228 else UPPER6
    all_changed(with_byte(upper, 0, version << 4 | bytes(upper)[0] & 15), linktype)


@pytest.mark.parametrize(("stack", "linktype"), [(Ether() / MPLS(), 1), (RawIP(), 101), (RawIP(), 12)])
def test_what_is_no_ip_where_it_is_expected_is_counted(stack: Any, linktype: int) -> None:
    data = with_byte(stack / UPPER4, len(bytes(stack)), 0x55)
    capture = all_changed(data, linktype)
    assert capture.left == {"what is neither IPv4 nor IPv6 where one of them is expected": 1}


@pytest.mark.parametrize("family", ["00000002", "02000000", "00000800", "08000000", "00080000", "ffff0800"])
def test_loopback_families_say_the_version(family: str) -> None:
    for upper in (UPPER4, UPPER6):
        all_changed(bytes.fromhex(family) + bytes(upper), 0)
        all_changed(bytes.fromhex(family) + with_byte(upper, 0, 0x65), 0)


@pytest.mark.parametrize("length", range(7))
@pytest.mark.parametrize("below", [IPv4(**FOUR), IPv6(**SIX)], ids=["4", "6"])
def test_authentication_headers_of_any_length_are_read_as_dissecting_does(below: Any, length: int) -> None:
    packet = Ether() / below / AuthenticationHeader() / UDP(sport=5000, dport=53) / bytes(range(30))
    all_changed(with_byte(packet, 14 + len(bytes(below)) + 1, length))


def test_a_tunnel_of_ones_own_above_a_faulty_header_keeps_its_checksums() -> None:
    with bindings():

        class Tunnel(Header, under=UDP, when={"dport": 7002}):
            kind: pl.U16 = auto(next_protocol("ethertype"))

        packet = (
            Ether() / IPv4(**FOUR) / UDP(dport=7002) / Tunnel() / IPv4(src="10.5.5.5", dst="10.6.6.6") / UDP() / b"x"
        )
        (frame,) = Capture.of([with_byte(packet, 14, 0x55)]).rewrite(ip={"10.0.0.0/8": "172.0.0.0/8"})
        before = pl.dissect(with_byte(packet, 14, 0x55)).verdicts()
        assert list(frame.packet().verdicts().values()) == list(before.values())
        assert Verdict.GOOD in before.values() and str(frame.packet().layers[4].src) == "172.5.5.5"


def test_sides_of_faulty_frames_go_by_their_addresses_and_ports() -> None:
    there = Ether() / IPv4(**FOUR) / UDP(sport=5000, dport=53)
    back = Ether() / IPv4(src=FOUR["dst"], dst=FOUR["src"]) / UDP(sport=53, dport=5000)
    capture = Capture.of([with_byte(one, 14, 0x55) for one in (there, back)])
    assert list(capture.sides("port")) == list(capture.sides("first")) == ["client", "server"]


WHOLE = [
    *((bytes(stack / upper), linktype) for stack, linktype in BELOW.values() for upper in (UPPER4, UPPER6)),
    (bytes(Ether() / IPv6(**SIX) / AuthenticationHeader() / TCP(sport=5000, dport=80) / b"words"), 1),
    (bytes(Ether() / MPLS() / UPPER4), 1),
    (bytes(Ether() / pl.ARP(sender_ip="10.0.0.1", target_ip="10.0.0.2")), 1),
    (bytes(Ether() / IPv6(**SIX) / pl.HopByHop() / pl.Fragment() / UDP(sport=5000, dport=53)), 1),
    (bytes(Ether() / IPv6(**SIX) / ICMPv6(type=136) / NeighborAdvertisement(target="2001:db8::7")), 1),
    (bytes(Ether() / IPv4(**FOUR) / pl.ICMP(type=3) / UPPER4), 1),
    (bytes(Ether() / IPv4(**FOUR) / UDP(dport=4789) / pl.VXLAN() / Ether() / UPPER6), 1),
]
BYTE_VALUES = st.one_of(st.sampled_from([0, 1, 4, 5, 6, 17, 41, 47, 58, 0x45, 0x60, 43, 44, 50, 51, 60, 132, 143, 255]), st.integers(0, 255))  # fmt: skip


@pytest.mark.slow
@settings(max_examples=amount(50, 3000), deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.sampled_from(WHOLE),
    st.lists(st.tuples(st.integers(0, 89), BYTE_VALUES), min_size=1, max_size=3),
    st.integers(0, 200),
)
def test_whatever_is_changed_in_a_frame_no_address_that_dissecting_finds_stays(
    whole: tuple[bytes, int], changes: list[tuple[int, int]], size: int
) -> None:
    data, linktype = bytearray(whole[0]), whole[1]
    for at, byte in changes:
        data[at % len(data)] = byte
    cut = bytes(data[: max(size, 40)])
    before, after, capture = changed(cut, linktype)
    if not capture.left:
        same_but_changed(before, after)


# Cooked captures, ARP of IPv6, sides and numbers --------------------------------------------------------------------

SENDER = bytes.fromhex("0250010203ab")


def cooked(kind: type[Header], length: int = 6) -> tuple[bytes, int]:
    header = kind(address_length=length, address=SENDER + b"\x77\x88")  # type: ignore[call-arg]
    return bytes(header / UPPER4), 113 if kind is LinuxSLL else 276


@pytest.mark.parametrize("kind", [LinuxSLL, pl.LinuxSLL2])
@pytest.mark.parametrize(
    "how", [{"anonymise": "k"}, {"mac": {"02:50:01:02:03:ab": "06:00:00:00:00:01"}}, {"src_mac": "06:00:00:00:00:01"}]
)
def test_the_sender_in_a_cooked_capture_is_rewritten(kind: type[Header], how: dict[str, Any]) -> None:
    data, linktype = cooked(kind)
    for size in (len(data), 20):
        capture = Capture.of([Frame(data[:size], linktype=linktype)]).rewrite(**how)
        (frame,) = capture
        assert SENDER not in frame.data and not capture.left
        assert frame.data[(at := data.index(SENDER) + 6) : at + 2] == data[at : at + 2]  # no part of the address


@pytest.mark.parametrize("kind", [LinuxSLL, pl.LinuxSLL2])
def test_other_senders_in_cooked_captures_are_counted(kind: type[Header]) -> None:
    for length, count in ((0, 0), (4, 1), (8, 1), (255, 1)):
        data, linktype = cooked(kind, length)
        capture = Capture.of([Frame(data, linktype=linktype)]).rewrite(anonymise="k")
        (frame,) = capture
        assert SENDER in frame.data and sum(capture.left.values()) == count


def test_arp_of_ipv6_is_rewritten() -> None:
    ends = [bytes.fromhex("20010db8") + bytes(11) + bytes([n]) for n in (1, 2)]
    arp = bytes.fromhex("000186dd06100001") + SENDER + ends[0] + bytes(6) + ends[1]
    (frame,) = Capture.of([bytes(Ether(type=0x0806)) + arp]).rewrite(anonymise="k")
    assert SENDER not in frame.data and not any(end in frame.data for end in ends)


@pytest.mark.parametrize("transport", [pl.SCTP, 33, 136])
def test_every_transport_with_ports_shows_its_server(transport: Any) -> None:
    def over(source: str, target: str, sport: int, dport: int) -> bytes:
        if isinstance(transport, int):
            ip = IPv4(src=source, dst=target, protocol=transport)
            return bytes(Ether() / ip / (sport.to_bytes(2, "big") + dport.to_bytes(2, "big") + bytes(12)))
        return bytes(Ether() / IPv4(src=source, dst=target) / transport(sport=sport, dport=dport) / bytes(8))

    frames = [over("10.0.0.2", "10.0.0.1", 80, 5000), over("10.0.0.1", "10.0.0.2", 5000, 80)]
    assert list(Capture.of(frames).sides("port")) == ["server", "client"]


def test_ports_are_taken_of_the_header_whose_addresses_are() -> None:
    outer = Ether() / IPv4(src="11.0.0.1", dst="11.0.0.2", protocol=143)
    frames = [outer / Ether() / IPv4(**FOUR) / UDP(sport=port, dport=53) for port in (5000, 5001)]
    numbers = flow_numbers(Batch.of([bytes(frame) for frame in frames])).tolist()
    plain = flow_numbers(Batch.of([bytes(Ether() / IPv4(src="11.0.0.1", dst="11.0.0.2", protocol=143) / b"x")]))
    assert numbers == plain.tolist() * 2
    assert list(Capture.of([frames[0], frames[0]]).sides("port")) == ["client", "client"]


# IGMP ---------------------------------------------------------------------------------------------------------------


def summed(message: bytes) -> bytes:
    """Return an IGMP message with its checksum right (RFC 1071)."""
    total = sum(struct.unpack(f">{len(message) // 2}H", message[:2] + bytes(2) + message[4:]))
    return message[:2] + (0xFFFF - (total % 0xFFFF or 0xFFFF)).to_bytes(2, "big") + message[4:]


GROUP, SOURCES = "e0010203", "0a0000070a000008"
MESSAGES = {
    "query": f"11640000{GROUP}", "query 3": f"11640000{GROUP}02000002{SOURCES}", "report 1": f"12000000{GROUP}",
    "report 2": f"16000000{GROUP}", "leave": f"17000000{GROUP}",
    "report 3": f"220000000000000201010002{GROUP}{SOURCES}0000000005000001{GROUP}0a000009",
}  # fmt: skip


@pytest.mark.parametrize("name", MESSAGES)
@pytest.mark.parametrize("wrong", [False, True])
def test_groups_and_sources_in_igmp_are_rewritten(name: str, wrong: bool) -> None:
    message = summed(bytes.fromhex(MESSAGES[name]))
    if wrong:
        message = message[:2] + bytes([message[2] ^ 0x40]) + message[3:]
    packet = Ether() / IPv4(**FOUR, protocol=2) / message
    capture = Capture.of([packet]).rewrite(ip={"10.0.0.0/8": "172.0.0.0/8", "224.0.0.0/8": "225.0.0.0/8"})
    (frame,) = capture
    new = frame.data[34:]
    assert not capture.left and new[4:] == message[4:].replace(b"\x0a\0\0", b"\xac\0\0").replace(b"\xe0", b"\xe1")
    assert (summed(new) == new) != wrong
    (hidden,) = Capture.of([packet]).rewrite(anonymise="k")
    assert not any(bytes.fromhex(source) in hidden.data[34:] for source in ("0a000007", "0a000008", "0a000009"))


def test_other_igmp_messages_are_counted_and_cut_ones_read_as_far_as_they_go() -> None:
    capture = Capture.of([Ether() / IPv4(**FOUR, protocol=2) / bytes.fromhex(f"13000000{GROUP}")]).rewrite(
        anonymise="k"
    )
    assert list(capture) and list(capture.left.values()) == [1]
    whole = bytes(Ether() / IPv4(**FOUR, protocol=2) / bytes.fromhex(MESSAGES["report 3"]))
    for size in range(34, len(whole)):
        (frame,) = Capture.of([Frame(whole[:size], wire_length=len(whole))]).rewrite(anonymise="k")
        assert len(frame.data) == size and bytes.fromhex("0a000007") not in frame.data


def test_a_header_of_ones_own_for_igmp_speaks_for_itself() -> None:
    with bindings():

        class Membership(Header, under=IPv4, when={"protocol": 2}):
            kind: pl.U16 = 0x1600
            checksum: pl.U16 = auto(pl.internet_checksum("self"))
            group: pl.IPv4Address = pl.default("10.0.0.9")

        capture = Capture.of([Ether() / IPv4(**FOUR) / Membership()]).rewrite(ip={"10.0.0.0/8": "172.0.0.0/8"})
        (frame,) = capture
        assert str(frame.packet()[Membership].group) == "172.0.0.9"
        assert set(frame.packet().verdicts().values()) == {Verdict.GOOD}


def test_an_acknowledgment_in_gre_is_stepped_over_whatever_the_version() -> None:
    inner = IPv4(src="10.1.2.3", dst="10.9.9.9") / UDP(sport=5000, dport=53) / b"hi"
    for version in range(8):
        flags, key = (0x2080, len(bytes(inner)).to_bytes(2, "big") + b"\0\5") if version == 1 else (0x80, b"")
        gre = (flags | version).to_bytes(2, "big") + b"\x08\x00" + key + b"\0\0\0\7" + bytes(inner)
        frame = bytes(Ether() / IPv4(src="11.0.0.1", dst="11.0.0.2", protocol=47) / gre)
        (made,) = Capture.of([frame]).rewrite(ip={"10.0.0.0/8": "192.168.0.0/16"})
        assert bytes(made.data)[: len(frame) - len(bytes(inner))] == frame[: len(frame) - len(bytes(inner))]
        ends = made.packet()[IPv4, 1]
        assert (str(ends.src), str(ends.dst)) == ("192.168.2.3", "192.168.9.9")


@pytest.mark.slow
@pytest.mark.parametrize("lower", [VLAN(id=1), IPv4(**FOUR)], ids=["tags", "tunnels"])
def test_a_frame_read_as_objects_costs_as_much_as_it_has_headers(lower: Header) -> None:
    def make(count: int) -> Capture:
        packet = IPv4(**FOUR, protocol=17) / b"cut"  # in the middle of the ports, so no scan goes over it
        for _ in range(count):
            packet = lower / pl.dissect(bytes(packet), type(packet.layers[0]))
        return Capture.of([Ether() / packet])

    is_linear(lambda capture: list(capture.rewrite(ttl=5)), make, 80)
