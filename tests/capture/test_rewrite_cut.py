"""Rewriting of frames of which only a part is here: cut by the capture, or a fragment."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import pytest

from packetlab import (
    GRE,
    ICMP,
    IDP,
    L2TP,
    MAC,
    PPP,
    SCTP,
    TCP,
    U4,
    U8,
    U16,
    U32,
    UDP,
    VLAN,
    VXLAN,
    AuthenticationHeader,
    Bytes,
    Capture,
    DestinationOptions,
    Echo,
    Error,
    Ether,
    EtherIP,
    Fragment,
    Frame,
    Header,
    ICMPv6,
    ICMPv6Error,
    IPOption,
    IPv4,
    IPv4Address,
    IPv6,
    IPv6Address,
    ListenerRecord,
    ListenerReport,
    NDOption,
    NeighborSolicitation,
    Payload,
    Routing,
    Verdict,
    auto,
    bind,
    bindings,
    count_of,
    default,
    field,
    internet_checksum,
    many,
    next_protocol,
    size_of,
    sized,
    when,
)
from tests.conftest import amount

E = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
MACS = "02:77:66:00:00"
MAPS: dict[str, Any] = {
    "ip": {"10.77.0.0/16": "172.16.0.0/16", "2001:db8:7777::/48": "2001:dead:beef::/48"},
    "mac": {f"{MACS}:09": "06:11:22:00:00:09"},
}
OLD = [bytes([10, 77, 66]), bytes.fromhex("20010db87777000000"), bytes.fromhex("027766")]
SIX = {"src": "2001:db8::1", "dst": "2001:db8::2"}
ENDS = {"src": "10.77.1.1", "dst": "10.77.2.2"}


def six(*numbers: int) -> bytes:
    """Return addresses that are to change, one after the other."""
    return b"".join(ip_address(f"2001:db8:7777::{number}").packed for number in numbers)


def cuts(whole: bytes, first: int, last: int) -> list[Frame]:
    """Return a frame cut at every size, without and with its size on the wire."""
    return [
        frame
        for size in range(first, last)
        for frame in (Frame(whole[:size]), Frame(whole[:size], wire_length=len(whole)))
    ]


def rewritten(frame: Frame, **how: Any) -> tuple[bytes, Capture]:
    capture = Capture.of([frame]).rewrite(**how)
    (new,) = capture
    assert list(new.packet().verdicts().values()) == list(frame.packet().verdicts().values())
    assert len(new.data) == len(frame.data)
    return new.data, capture


# Addresses ----------------------------------------------------------------------------------------------------------


class Inner(Header):
    kind: U8 = 0
    who: IPv4Address = default("0.0.0.0")


class Outer(Header):
    n: U8 = auto(count_of("inner"))
    inner: tuple[Inner, ...] = many(count=field("n"), align=4)
    station: MAC = default("00:00:00:00:00:00")


class Deep(Header):
    flags: U8 = 0
    n: U8 = auto(count_of("outer"))
    outer: tuple[Outer, ...] = many(count=field("n"))
    maybe: IPv6Address = when(field("flags") & 1)
    payload: Payload = b""
    last: IPv6Address = default("::")
    checksum: U16 = auto(internet_checksum("self", "payload"))


class Chain(Header):
    links: tuple[Inner, ...] = many(until=field("kind") == 9)


class Extension(Header):
    next_header: U8 = auto(next_protocol("ip.protocol"))
    filling: U16 = 0
    reserved: U8 = 0
    more: U32 = 0


class Report(ListenerReport):
    pass


class Solicitation(NeighborSolicitation):
    pass


OUTER = [Outer(inner=[Inner(who=f"10.77.66.{n}") for n in numbers], station=f"{MACS}:09") for numbers in ((1, 2), (3,))]
GROUPS = [
    ListenerRecord(kind=1, group=f"2001:db8:7777::{n}", addresses=ip_address("2001:db8:7777::7").packed) for n in (1, 2)
]
INNER = IPv4(src="10.77.66.1", dst="10.77.66.2") / UDP(sport=1, dport=2) / b"hello you"
INNER6 = IPv6(src="2001:db8:7777::1", dst="2001:db8:7777::2") / TCP(sport=1, dport=2) / b"hello"
UDP4, UDP6 = (E / below / UDP(sport=1, dport=7777) for below in (IPv4(src="11.0.0.1", dst="11.0.0.2"), IPv6(**SIX)))
STACKS: dict[str, Any] = {
    "one": UDP4 / Inner(who="10.77.66.1"),
    "one over IPv6": UDP6 / Inner(who="10.77.66.1"),
    "a chain": UDP4 / Chain(links=[Inner(who="10.77.66.1"), Inner(who="10.77.66.2"), Inner(kind=9, who="10.77.66.3")]),
    "items in items": UDP4 / Deep(flags=1, outer=OUTER, maybe="2001:db8:7777::5", last="2001:db8:7777::6"),
    "after a payload": UDP6 / Deep(outer=OUTER, last="2001:db8:7777::6") / b"pay",
    "derived": E / IPv6(**SIX) / ICMPv6(type=212) / Report(records=GROUPS),
    "derived too": E / IPv6(**SIX) / ICMPv6(type=211)
    / Solicitation(target="2001:db8:7777::1", options=[NDOption(kind=1, data=bytes.fromhex(MACS.replace(":", "")) + b"\t")]),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", STACKS)
def test_an_address_that_a_cut_leaves_unread_is_counted(name: str) -> None:
    with bindings():
        for header in (Inner, Chain, Deep):
            if header in [type(one) for one in STACKS[name].layers]:
                bind(header, under=UDP, when={"dport": 7777})
        bind(Report, under=ICMPv6, when={"type": 212})
        bind(Solicitation, under=ICMPv6, when={"type": 211})
        whole = bytes(STACKS[name])
        data, capture = rewritten(Frame(whole), **MAPS)
        assert not capture.left and not any(old in data for old in OLD)
        for number, frame in enumerate(cuts(whole, 20, len(whole))):
            if number // 4 % 2 == number % 2 or amount(0, 1):  # with its size on the wire and without it, in turn
                data, capture = rewritten(frame, **MAPS)
                assert capture.left or not any(old in data for old in OLD), len(data)


def test_what_is_cut_elsewhere_is_no_address_left() -> None:
    with bindings():
        bind(Chain, under=UDP, when={"dport": 7777})
        whole = bytes(STACKS["a chain"] / b"words after the last of them")
        for frame in cuts(whole, len(bytes(STACKS["a chain"])), len(whole)):
            assert not rewritten(frame, **MAPS)[1].left


def pieces(below: Any, number: int, data: bytes, size: int = 24) -> list[Frame]:
    """Return the fragments of a datagram, `size` bytes each."""
    found = []
    for at in range(0, len(data), size):
        more, part = at + size < len(data), data[at : at + size]
        if isinstance(below, IPv4):
            ip: Any = below.replace(flags=int(more), fragment_offset=at // 8, protocol=number)
        else:
            ip = below / Fragment(more=int(more), offset=at // 8, next_header=number)
        found.append(Frame(bytes(E / ip / part)))
    return found


@pytest.mark.parametrize("below", [IPv4(src="11.0.0.1", dst="11.0.0.2"), IPv6(**SIX)], ids=["4", "6"])
def test_later_fragments_behind_headers_of_ones_own_are_counted(below: Any) -> None:
    datagram = bytes(UDP(sport=1, dport=7777) / Chain(links=[Inner(who=f"10.77.66.{n}") for n in range(12)]))
    frames = pieces(below, 17, datagram)
    echo = pieces(below, 1 if isinstance(below, IPv4) else 58, bytes(100))
    with bindings():
        bind(Chain, under=UDP, when={"dport": 7777})
        capture = Capture.of(frames[1:] + echo[1:]).rewrite(**MAPS)
        assert list(capture) and list(capture.left.values()) == [len(frames) - 1]
    streams = pieces(below, 6, bytes(TCP(sport=1) / bytes(range(1, 100))))
    capture = Capture.of(streams[1:] + echo[1:]).rewrite(**MAPS)
    assert list(capture) and not capture.left


IGMP3 = bytes.fromhex("2200000000000003") + b"".join(b"\1\0\0\0\n\x4d\x42" + bytes([n]) for n in range(3))
V4, V6 = IPv4(src="11.0.0.1", dst="11.0.0.2"), IPv6(**SIX)
OWN = UDP(sport=1, dport=7777) / Chain(links=[Inner(who=f"10.77.66.{n}") for n in range(12)])
DATAGRAMS: dict[str, tuple[Any, int, Any]] = {
    "IP in IP": (V4, 4, INNER), "6in4": (V4, 41, INNER6), "4in6": (V6, 4, INNER), "6in6": (V6, 41, INNER6),
    "gre": (V4, 47, GRE() / INNER), "etherip": (V4, 97, EtherIP() / E / INNER),
    "vxlan": (V4, 17, UDP(sport=1, dport=4789) / VXLAN() / E / INNER), "error": (V4, 1, ICMP(type=3) / INNER),
    "igmp": (V4, 2, IGMP3), "mld": (V6, 58, ICMPv6() / ListenerReport(records=GROUPS)),
    "nd": (V6, 58, ICMPv6() / NeighborSolicitation(
        target="2001:db8:7777::1", options=[NDOption(kind=1, data=bytes.fromhex(MACS.replace(":", "")) + b"\t")])),
    "options": (V6, 60, DestinationOptions(next_header=17) / OWN), "route": (V6, 43, Routing(next_header=17) / OWN),
    "own in a tunnel": (V4, 4, V4 / OWN), "own in gre": (V4, 47, GRE() / V4 / OWN), "own quoted": (V4, 1, ICMP(type=3) / V4 / OWN),
    "own extension": (V6, 253, Extension(next_header=17) / OWN),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", DATAGRAMS)
def test_later_fragments_keep_no_address_in_silence(name: str) -> None:
    below, number, datagram = DATAGRAMS[name]
    with bindings():
        bind(Chain, under=UDP, when={"dport": 7777})
        bind(Extension, under=IPv6, when={"next_header": 253})
        for size in (8, 16, 24, 48):
            for frame in pieces(below, number, bytes(datagram), size):
                capture = Capture.of([frame]).rewrite(**MAPS)
                (new,) = capture
                assert capture.left or not any(old in new.data for old in OLD)


@pytest.mark.parametrize("number", [2, 17], ids=["igmp", "udp"])
def test_later_fragments_of_a_derived_network_header_are_counted_and_left_alone(number: int) -> None:
    datagram = IGMP3 if number == 2 else bytes(OWN)
    with bindings():

        class OwnIP(IPv4, under=Ether, when={"type": 0x88B7}):
            pass

        bind(Chain, under=UDP, when={"dport": 7777})
        for at in range(8, len(datagram), 8):
            part = (
                OwnIP(src="11.0.0.1", dst="11.0.0.2", protocol=number, fragment_offset=at // 8, flags=1)
                / datagram[at : at + 8]
            )
            data, capture = rewritten(Frame(bytes(Ether(type=0x88B7) / part)), **MAPS)
            assert list(capture.left.values()) == [1] and data.endswith(datagram[at : at + 8])


def test_an_address_behind_the_segments_of_a_route_is_counted() -> None:
    below = E / IPv6(**SIX)
    for objects, left in (
        (b"\1\x12\0\0" + six(7) + b"\4\2\0\0", 1),
        (b"\4\4\0\0\0\0\0\0", 0),
        (b"\0\4\5" + bytes(5), 0),
    ):
        route = Routing(kind=4, segments_left=0, data=bytes([1, 0, 0, 0]) + six(5, 6) + objects)
        _, capture = rewritten(Frame(bytes(below / route / UDP() / b"x")), **MAPS)
        assert sum(capture.left.values()) == left


# Checksums ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [IPv4, "own"])
def test_the_checksum_of_a_header_cut_inside_its_options_is_unverified_and_follows_what_changes(kind: Any) -> None:
    with bindings():

        class OwnIP(IPv4, under=Ether, when={"type": 0x88B7}):
            pass

        cls = OwnIP if kind == "own" else IPv4
        header = cls(**ENDS, options=[IPOption(kind=148, data=b"\1\2")] * 4)
        whole = bytes(Ether(type=0x88B7 if kind == "own" else 0x0800) / header / UDP(sport=1, dport=2) / b"hello")
        right, _ = rewritten(Frame(whole), **MAPS)
        for frame in cuts(whole, 34, 50):
            assert frame.packet().verdict(cls) is Verdict.UNVERIFIED
            assert rewritten(frame, **MAPS)[0] == right[: len(frame.data)]
            # What stays as it is keeps its checksum.
            assert rewritten(frame, ip={"11.0.0.0/8": "12.0.0.0/8"})[0] == frame.data
        assert Frame(whole[:50]).packet().verdict(cls) is Verdict.GOOD


def test_a_verdict_is_unverified_where_a_field_that_the_checksum_covers_is_cut() -> None:
    with bindings():

        class Own(Header, under=Ether, when={"type": 0x88B9}):
            n: U8 = auto(size_of("note"))
            checksum: U16 = auto(internet_checksum("self"))
            note: Bytes = sized(field("n"))

        whole = bytes(E / Own(note=b"words and words"))
        assert Frame(whole).packet().verdict(Own) is Verdict.GOOD
        assert {frame.packet().verdict(Own) for frame in cuts(whole, 17, len(whole))} == {Verdict.UNVERIFIED}


def test_the_checksum_of_a_tunnel_that_is_cut_follows_what_changes() -> None:
    inner = IPv4(**ENDS) / UDP(sport=1, dport=2) / b"hello"
    whole = bytes(E / IPv4(src="11.0.0.1", dst="11.0.0.2") / GRE(checksum_present=1) / inner)
    assert set(Frame(whole).packet().verdicts().values()) == {Verdict.GOOD}
    right, _ = rewritten(Frame(whole), **MAPS)
    for frame in cuts(whole, 70, len(whole)):
        assert rewritten(frame, **MAPS)[0] == right[: len(frame.data)]


class Sum(Header):
    who: IPv4Address = default("0.0.0.0")
    checksum: U16 = auto(internet_checksum("self", "payload"))


FOUR = E / IPv4(**ENDS)
COVERING: dict[str, Any] = {
    "gre": FOUR / GRE(checksum_present=1) / INNER,
    "vxlan": FOUR / UDP(sport=1, dport=4789) / VXLAN() / E / INNER6,
    "l2tp": FOUR / UDP(sport=1) / L2TP() / PPP() / INNER,
    "error": FOUR / ICMP(type=3) / INNER,
    "error of IPv6": E / IPv6(**SIX) / ICMPv6(type=1) / ICMPv6Error() / INNER6,
    "report": E / IPv6(**SIX) / ICMPv6() / ListenerReport(records=GROUPS),
    "sctp": FOUR / SCTP(sport=1, dport=2) / b"abcdefgh",
    "authentication": FOUR / AuthenticationHeader() / TCP(sport=1) / b"hello",
    "one's own": UDP4 / Sum(who="10.77.66.1") / bytes(range(40)),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", COVERING)
def test_right_checksums_stay_right_where_packets_are_cut_to_the_mtu(name: str) -> None:
    with bindings():
        bind(Sum, under=UDP, when={"dport": 7777})
        whole = bytes(COVERING[name])
        assert set(Frame(whole).packet().verdicts().values()) == {Verdict.GOOD}
        ways: list[Any] = [{}, MAPS, {"anonymise": 4}]
        for mtu in range(28, len(whole) - 14):
            for how in ways if amount(0, 1) else [ways[mtu % 3]]:
                (new,) = Capture.of([Frame(whole)]).rewrite(mtu=mtu, **how)
                assert len(new.data) == mtu + 14
                assert Verdict.BAD not in new.packet().verdicts().values(), (mtu, how)


@pytest.mark.parametrize("first", [Routing(kind=0, segments_left=1, data=bytes(4) + six(5)), Routing(
    kind=4, segments_left=1, data=bytes([1, 0, 0, 0]) + six(5, 6))], ids=["source", "segment"])  # fmt: skip
def test_of_several_routes_that_are_not_used_up_the_last_names_the_destination(first: Any) -> None:
    last = Routing(kind=2, segments_left=1, data=bytes(4) + six(7))
    below = E / IPv6(src="2001:db8:7777::1", dst="2001:db8:7777::2")
    for packet in (below / first / last / UDP(sport=1, dport=2) / b"x", below / last / first / TCP() / b"x"):
        data, capture = rewritten(Frame(bytes(packet)), **MAPS)
        assert not capture.left and not any(old in data for old in OLD)


def test_a_source_is_rewritten_and_tells_the_side_where_a_cut_took_the_destination() -> None:
    four = bytes(E / IPv4(src="10.77.66.1", dst="10.0.0.2") / UDP(sport=1) / b"x"), 26, 4
    other = bytes(E / IPv6(src="2001:db8:7777::1", dst="2001:db8::2") / UDP(sport=1) / b"x"), 22, 16
    tagged = bytes(E / VLAN() / IPv4(src="10.77.66.1", dst="10.0.0.2") / UDP(sport=1) / b"x"), 30, 4
    for whole, at, size in (four, other, tagged):
        for end in range(at + size, at + 2 * size):
            frame = Frame(whole[:end], wire_length=len(whole))
            data, _ = rewritten(frame, src_ip=MAPS["ip"])
            assert not any(old in data for old in OLD)
            assert rewritten(frame, dst_ip=MAPS["ip"])[0] == frame.data
            for by, servers, side in (
                ("cidr", MAPS["ip"], "server"),
                ("cidr", ["11.0.0.0/8"], "client"),
                ("first", None, "client"),
            ):
                assert list(Capture.of([frame]).sides(by, servers)) == [side]


class Tailed(Header):
    n: U8 = 0
    payload: Payload = b""
    high: U4 = 0
    middle: U16 = 0
    low: U4 = 0


def test_a_trailer_that_a_cut_moves_onto_an_address_is_counted() -> None:
    with bindings():
        bind(Tailed, under=UDP, when={"dport": 7777})
        bind(IPv4, under=Tailed)
        whole = bytes(UDP4 / Tailed() / IPv4(src="10.77.66.1", dst="10.77.66.2") / b"abcdef")
        assert not rewritten(Frame(whole), **MAPS)[1].left
        for frame in cuts(whole, 46, len(whole)):
            data, capture = rewritten(frame, **MAPS)
            assert capture.left or not any(old in data for old in OLD), len(data)


# XNS ----------------------------------------------------------------------------------------------------------------

XNS = {"src": f"1#{MACS}:09#5", "dst": f"2#{MACS}:09#6"}


@pytest.mark.slow
def test_an_error_that_quotes_a_cut_packet_keeps_no_host() -> None:
    whole = bytes(E / IDP(**XNS) / Error(number=1) / IDP(**XNS) / Echo() / b"abcd")
    assert not rewritten(Frame(whole), **MAPS)[1].left
    for frame in cuts(whole, 14, len(whole)):
        data, capture = rewritten(frame, **MAPS)
        assert capture.left or not any(old in data for old in OLD), len(data)


def test_a_right_checksum_stays_right_where_the_byte_that_fills_up_is_missing() -> None:
    whole = bytes(E / IDP(**XNS) / b"abc")
    frame = Frame(whole[:47])
    assert len(whole) > 47 and frame.packet().verdict(IDP) is Verdict.GOOD
    data, capture = rewritten(frame, **MAPS)
    assert not capture.left and not any(old in data for old in OLD)
