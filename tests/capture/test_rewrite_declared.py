"""Rewriting, sides and flow numbers of frames with headers that only their declarations describe."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

import packetlab as pl
from packetlab import (
    ARP,
    GRE,
    ICMP,
    IDP,
    MAC,
    SCTP,
    SPP,
    TCP,
    U8,
    U16,
    U32,
    UDP,
    VLAN,
    VXLAN,
    AuthenticationHeader,
    Capture,
    DestinationOptions,
    Error,
    Ether,
    Frame,
    Header,
    ICMPv6,
    ICMPv6Error,
    IPOption,
    IPv4,
    IPv4Address,
    IPv6,
    IPv6Address,
    IPv6Option,
    ListenerMessage,
    ListenerRecord,
    ListenerReport,
    NDOption,
    Redirect,
    RouterAdvertisement,
    Routing,
    U32le,
    Verdict,
    auto,
    bindings,
    count_of,
    crc32,
    crc32c,
    default,
    field,
    internet_checksum,
    many,
    next_protocol,
    size_of,
    xns_checksum,
)
from packetlab.bulk.batch import Batch
from packetlab.capture.flows.numbers import flow_numbers
from packetlab.capture.rewrite.careful import MOST
from packetlab.cli import main
from packetlab.declare.items import Items
from packetlab.declare.kinds import Address
from tests.conftest import amount

FOUR, SIX, MACS = ip_network("10.0.0.0/8"), ip_network("2001:db8::/32"), "02:00:00:00:00"
MAPS: dict[str, Any] = {
    "ip": {"10.0.0.0/8": "172.0.0.0/8", "2001:db8::/32": "2001:db9::/32"},
    "mac": {f"{MACS}:{i:02x}": f"06:00:00:00:00:{i:02x}" for i in range(256)},
}
ALL = {"maps": MAPS, "anonymise": {"anonymise": "a secret"}}


def addresses(header: Header) -> Iterator[bytes]:
    """Yield the raw addresses of a header and of its items."""
    for f in header._fields:
        raw = getattr(header, f.slot)
        if isinstance(f.kind, Address) and raw is not None:
            yield raw[4:10] if len(raw) == 12 else raw
        elif isinstance(f.kind, Items):
            for item in getattr(header, f.name) or ():
                yield from addresses(item) if isinstance(item, Header) else ()  # bytes: one that is cut


def mapped(raw: bytes) -> bool:
    """Whether the maps, or the anonymiser, are to change an address."""
    if len(raw) == 6:
        return raw[:5] == bytes.fromhex(MACS.replace(":", ""))
    address = ip_address(raw)
    return address in (FOUR if address.version == 4 else SIX)


def verdicts(packet: Any) -> list[Verdict]:
    return list(packet.verdicts().values())


def one(packet: Any, **how: Any) -> Any:
    """Return a packet rewritten."""
    capture = Capture.of([packet]).rewrite(**how)
    (frame,) = capture
    assert not capture.left
    return frame.packet()


def stays(packet: Any, text: str, **how: Any) -> bool:
    new = one(packet, **how)
    assert verdicts(new) == verdicts(pl.dissect(bytes(packet))) and len(bytes(new)) == len(bytes(packet))
    return ip_address(text).packed in bytes(new)


class Shim(Header):
    colour: U16 = 7
    type: U16 = auto(next_protocol("ethertype"))


class Entry(Header):
    metric: U8 = 1
    hop: IPv4Address = default("10.0.0.9")
    via: MAC = default("02:00:00:00:00:09")


class Net(Header, pseudo=("src", "dst")):
    protocol: U8 = auto(next_protocol("ip.protocol", otherwise=255))
    count: U8 = auto(count_of("route"))
    checksum: U16 = auto(internet_checksum("self"))
    src: IPv4Address = default("0.0.0.0")
    dst: IPv4Address = default("0.0.0.0")
    gateway: IPv6Address = default("2001:db8::9")
    route: tuple[Entry, ...] = many(count=field("count"))


class Talk(Header):
    kind: U8 = 1
    sport: U16 = 0
    dport: U16 = 0
    size: U8 = auto(size_of("payload"))
    crc: U32 = auto(crc32("payload"))
    checksum: U16 = auto(internet_checksum("pseudo", "self", "payload"))


@pytest.fixture(autouse=True)
def mine() -> Iterator[None]:
    with bindings():
        pl.bind(Shim, under=Ether, when={"type": 0x88B5})
        pl.bind(Net, under=Ether, when={"type": 0x88B6})
        pl.bind(Talk, under=IPv4, when={"protocol": 253})
        yield


E = Ether(src=f"{MACS}:01", dst=f"{MACS}:02")

# Headers of one's own ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ALL)
def test_what_stands_above_a_header_of_ones_own_is_rewritten(how: str) -> None:
    packet = E / Shim() / IPv4(src="10.1.2.3", dst="10.9.9.9") / UDP(sport=5000, dport=9) / b"hi"
    for address in ("10.1.2.3", "10.9.9.9"):
        assert not stays(packet, address, **ALL[how])
    assert one(packet, ports={5000: 99})[UDP].sport == 99
    assert one(packet, ttl=9)[IPv4].ttl == 9


@pytest.mark.parametrize("how", ALL)
@pytest.mark.parametrize("payload", [b"even", b"odd"])
def test_a_network_header_of_ones_own_is_rewritten_with_the_checksums_above_it(how: str, payload: bytes) -> None:
    packet = E / Net(src="10.1.2.3", dst="10.9.9.9", route=(Entry(), Entry(hop="10.7.7.7"))) / UDP(sport=5000) / payload
    assert set(verdicts(packet)) == {Verdict.GOOD}
    for address in ("10.1.2.3", "10.9.9.9", "10.0.0.9", "10.7.7.7", "2001:db8::9"):
        assert not stays(packet, address, **ALL[how])
    new = one(packet, ports={5000: 99}, src_ip={"10.0.0.0/8": "11.0.0.0/8"})
    assert new[UDP].sport == 99 and str(new[Net].src) == "11.1.2.3" and str(new[Net].dst) == "10.9.9.9"
    assert set(verdicts(new)) == {Verdict.GOOD}


@pytest.mark.parametrize("how", ALL)
def test_wrong_checksums_of_ones_own_headers_stay_wrong_unless_put_right(how: str) -> None:
    packet = E / Net(src="10.1.2.3", dst="10.9.9.9", checksum=1) / UDP(sport=5000, checksum=2) / b"hi"
    new = one(packet, **ALL[how])
    assert (new[Net].checksum, new[UDP].checksum) == (1, 2)
    assert set(verdicts(one(packet, **ALL[how], fixcsum=True))) == {Verdict.GOOD}


def test_a_transport_header_of_ones_own_has_ports_and_follows_the_addresses_below() -> None:
    packet = E / IPv4(src="10.1.2.3", dst="10.9.9.9") / Talk(sport=5000, dport=6000) / b"words"
    new = one(packet, ports={5000: 1, 6000: 2}, **MAPS)
    assert (new[Talk].sport, new[Talk].dport) == (1, 2) and set(verdicts(new)) == {Verdict.GOOD}
    sctp = E / IPv4(src="10.1.2.3", dst="10.9.9.9") / SCTP(sport=5000) / bytes(16)
    assert one(sctp, ports={5000: 1})[SCTP].sport == 1 and set(verdicts(one(sctp, ports={5000: 1}))) == {Verdict.GOOD}


def test_a_binding_of_ones_own_between_known_headers_is_followed() -> None:
    pl.bind(IPv4, under=UDP, when={"dport": 7000})
    inner = IPv4(src="10.5.5.5", dst="10.6.6.6") / TCP() / b"x"
    packet = E / IPv4(src="10.1.2.3", dst="10.9.9.9") / UDP(sport=1, dport=7000) / inner
    assert not stays(packet, "10.5.5.5", **MAPS) and not stays(packet, "10.9.9.9", **MAPS)


def test_a_link_type_of_ones_own_is_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    from packetlab.protocols.linktypes import FIRST

    monkeypatch.setitem(FIRST, 147, Shim)
    packet = Shim() / VLAN(id=5) / IPv4(src="10.1.2.3", dst="10.9.9.9") / TCP() / b"x"
    (frame,) = Capture.of([Frame(bytes(packet), linktype=147)]).rewrite(**MAPS)
    assert str(frame.packet()[IPv4].src) == "172.1.2.3" and set(verdicts(frame.packet())) == {Verdict.GOOD}


def test_a_frame_that_the_capture_cut_is_rewritten_as_far_as_it_goes() -> None:
    packet = E / Net(src="10.1.2.3", dst="10.9.9.9") / UDP(sport=5000) / bytes(100)
    (frame,) = Capture.of([Frame(bytes(packet)[:-90], wire_length=len(bytes(packet)))]).rewrite(**MAPS)
    # What is not here changes neither: the checksum follows by what its addresses changed.
    whole = one(packet, **MAPS)
    assert frame.data == bytes(whole)[:-90]


def test_what_cannot_be_rewritten_is_counted_and_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    class Askew(Header, under=Ether, when={"type": 0x88CB}):
        sport: pl.U16le = 5

    capture = Capture.of([E / Askew(), E / Shim(), E / Askew()]).rewrite(**MAPS)
    capture.write(tmp_path / "new.pcap")
    assert capture.left == {"Askew.sport, which is no port of 16 bits in network order": 2}
    Capture.of([E / Askew()]).write(tmp_path / "old.pcap")
    assert (
        main(["rewrite", str(tmp_path / "old.pcap"), str(tmp_path / "new2.pcap"), "--pnat=10.0.0.0/8:11.0.0.0/8"]) == 0
    )
    assert "Askew.sport" in capsys.readouterr().err


@pytest.mark.slow
def test_towers_beyond_the_walk_are_counted() -> None:
    tower: Any = UDP()
    for _ in range(MOST + 5):
        tower = IPv4(src="10.0.0.1", dst="10.0.0.2", protocol=4) / bytes(tower)
    capture = Capture.of([E / tower]).rewrite(**MAPS)
    list(capture)
    assert list(capture.left.values()) == [1] and "1000 headers" in next(iter(capture.left))


FIELDS: list[tuple[Any, Any]] = [
    (MAC, default(f"{MACS}:03")), (IPv4Address, default("10.3.3.3")), (IPv6Address, default("2001:db8::3")),
    (pl.XNSAddressField, default(pl.XNSAddress.of(f"1#{MACS}:04#5"))), (U8, 5), (U8, auto(size_of("self"))),
]  # fmt: skip
SUMS: list[tuple[Any, Any]] = [
    (U16, auto(internet_checksum("self", "payload"))), (U32, auto(crc32("payload"))), (U32le, auto(crc32c("self"))),
    (U16, auto(xns_checksum("self", "payload"))),
]  # fmt: skip
FOUR_IN, SIX_IN = IPv4(src="10.8.8.8", dst="10.8.8.9"), IPv6(src="2001:db8::8", dst="2001:db8::a")
KNOWN: dict[str, list[Any]] = {
    "ip4": [FOUR_IN, UDP(sport=7)], "ip6": [SIX_IN, UDP(sport=7)], "vlan": [E, VLAN(id=3), FOUR_IN, UDP(sport=7)],
    "gre": [FOUR_IN, GRE(checksum=0), SIX_IN, UDP(sport=7)],
}  # fmt: skip


@st.composite
def made(draw: Any, number: int, under: tuple[type[Header], str]) -> Any:
    """Declare a header of drawn fields over another, and return one of it."""
    drawn = draw(st.lists(st.sampled_from(FIELDS), max_size=5)) + draw(st.lists(st.sampled_from(SUMS), max_size=1))
    fields = {f"f{place}": one for place, one in enumerate(draw(st.permutations(drawn)))} | {
        "count": (U8, auto(count_of("route"))),
        "route": (tuple[Entry, ...], many(count=field("count"))),
        "next": (U16, auto(next_protocol(f"drawn{number}"))),
    }
    body = {name: value for name, (_, value) in fields.items()}
    body |= {"__annotations__": {name: kind for name, (kind, _) in fields.items()}, "__module__": __name__}
    pseudo = {}
    if draw(st.booleans()):  # a network header
        body["__annotations__"] |= {"src": IPv4Address, "dst": IPv4Address}
        body |= {"src": default("10.1.1.1"), "dst": default("10.1.1.2")}
        pseudo = {"pseudo": ("src", "dst")}
    cls = type(Header)(f"Drawn{number}", (Header,), body, under=under[0], when={under[1]: 0x9990 + number}, **pseudo)
    for place, upper in enumerate((Ether, IPv4, IPv6, UDP)):
        pl.bind(upper, under=cls, when={"next": place + 1})
    return cls(route=[Entry()] * draw(st.integers(0, 3)))


@st.composite
def stacks(draw: Any) -> Any:
    """Draw a packet of headers that are declared for it and known ones, in turns."""
    packet: Any = E
    under: tuple[type[Header], str] = (Ether, "type")
    for number in range(draw(st.integers(1, 3))):
        header = draw(made(number, under))
        packet, under = packet / header, (type(header), "next")
        known = draw(st.sampled_from([[], [UDP(sport=7)], *KNOWN.values()]))
        for one in known:
            packet, under = packet / one, (UDP, "dport")
    return packet / draw(st.binary(max_size=20))


@pytest.mark.slow
@settings(max_examples=amount(25, 600), deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data(), st.sampled_from(sorted(ALL)), st.booleans())
def test_no_address_of_drawn_stacks_stays(data: st.DataObject, how: str, damaged: bool) -> None:
    with bindings():
        content = bytearray(bytes(data.draw(stacks())))
        content[-1] ^= 64 * damaged  # which no few addresses of the maps come to: a wrong sum stays as it is, and wrong
        packet = pl.dissect(bytes(content))
        (frame,) = Capture.of([packet]).rewrite(**ALL[how])
        new = frame.packet()
        before, after = ([raw for header in one.layers for raw in addresses(header)] for one in (packet, new))
        assert len(frame.data) == len(content)
        assert [type(header) for header in new.layers] == [type(header) for header in packet.layers]
        assert not [old for old, now in zip(before, after, strict=True) if mapped(old) and old == now]
        assert verdicts(new) == verdicts(packet)


# Options and messages ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ALL)
@pytest.mark.parametrize(
    ("kind", "before", "after"),
    [
        (0x83, b"\x04", 0),
        (0x89, b"\x04", 0),
        (0x83, b"\x08", 0),
        (0x89, b"\x08", 0),
        (7, b"\x08", 0),
        (0x44, b"\x09\x01", 4),
        (0x44, b"\x05\x03", 4),
        (82, bytes(6), 0),
    ],
)
def test_addresses_in_options_of_ipv4_do_not_stay(how: str, kind: int, before: bytes, after: int) -> None:
    option = IPOption(kind=kind, data=before + bytes([10, 0, 2, 77]) + bytes(after))
    packet = E / IPv4(src="10.0.0.1", dst="10.9.9.9", options=[IPOption(kind=1), option]) / UDP(sport=1, dport=2) / b"p"
    assert not stays(packet, "10.0.2.77", **ALL[how])


@pytest.mark.parametrize("how", ALL)
@pytest.mark.parametrize(
    ("rest", "address"),
    [
        (ICMPv6(type=134) / RouterAdvertisement(options=[NDOption(kind=3, data=bytes(14) + ip_address("2001:db8:1::").packed)]), "2001:db8:1::"),
        (ICMPv6(type=134) / RouterAdvertisement(options=[NDOption(kind=25, data=bytes(6) + ip_address("2001:db8::51").packed + ip_address("2001:db8::53").packed)]), "2001:db8::53"),
        (ICMPv6(type=134) / RouterAdvertisement(options=[NDOption(), NDOption(kind=24, data=bytes(6) + ip_address("2001:db8:7::").packed)]), "2001:db8:7::"),
        (ICMPv6(type=143) / ListenerReport(records=[ListenerRecord(group="ff02::1"), ListenerRecord(group="ff02::2", addresses=ip_address("2001:db8::98").packed + ip_address("2001:db8::99").packed)]), "2001:db8::99"),
        (ICMPv6(type=130) / ListenerMessage(group="ff02::1") / (b"\2\x7d\0\1" + ip_address("2001:db8::97").packed), "2001:db8::97"),
        (ICMPv6(type=131) / ListenerMessage(group="2001:db8::17"), "2001:db8::17"),
        (DestinationOptions(options=[IPv6Option(kind=0), IPv6Option(kind=1, data=bytes(1)), IPv6Option(kind=0xC9, data=ip_address("2001:db8::aa").packed)]) / UDP(), "2001:db8::aa"),
        (Routing(kind=0, segments_left=0, data=bytes(4) + ip_address("2001:db8::66").packed) / UDP(), "2001:db8::66"),
        (Routing(kind=4, segments_left=1, data=b"\1\0\0\0" + ip_address("2001:db8::66").packed + ip_address("2001:db8::67").packed) / UDP(), "2001:db8::66"),
        (ICMPv6(type=137) / Redirect(target="2001:db8::5", destination="2001:db8::6", options=[NDOption(kind=4, data=bytes(6) + bytes(IPv6(src="2001:db8::77", dst="2001:db8::78") / UDP()))]), "2001:db8::77"),
        (ICMPv6(type=3) / ICMPv6Error() / IPv6(src="2001:db8::5", dst="2001:db8::6") / UDP() / b"abc", "2001:db8::6"),
    ],
)  # fmt: skip
def test_addresses_in_messages_and_options_of_ipv6_do_not_stay(how: str, rest: Any, address: str) -> None:
    assert not stays(E / IPv6(src="2001:db8::1", dst="2001:db8::2") / rest, address, **ALL[how])


@pytest.mark.parametrize("how", ALL)
@pytest.mark.parametrize(
    ("rest", "address"),
    [
        (IPv4(src="10.0.0.1", dst="10.0.0.2") / ICMP(type=9) / b"", "10.0.0.1"),
        (IPv4(src="10.0.0.1", dst="10.0.0.2") / ICMP(type=9) / (b"\2\2\0\x10" + ip_address("10.0.0.7").packed + bytes(4) + ip_address("10.0.0.8").packed + bytes(4)), "10.0.0.8"),
        (IPv4(src="10.0.0.1", dst="10.0.0.2") / ICMP(type=5, gateway="10.0.0.3") / IPv4(src="10.0.0.2", dst="10.0.0.5") / UDP(), "10.0.0.3"),
        (IPv4(src="10.0.0.1", dst="10.0.0.2") / AuthenticationHeader() / UDP() / b"x", "10.0.0.2"),
        (ARP(hardware=6, sender_ip="10.0.0.3", target_ip="10.0.0.4"), "10.0.0.4"),
    ],
)  # fmt: skip
def test_addresses_in_messages_of_ipv4_do_not_stay(how: str, rest: Any, address: str) -> None:
    assert not stays(E / rest, address, **ALL[how])


def test_headers_that_are_cut_inside_lose_the_addresses_that_are_there() -> None:
    whole = bytes(E / IPv4(src="10.1.2.3", dst="10.9.9.9") / UDP(sport=5000))
    for size in range(6, len(whole)):
        (frame,) = Capture.of([Frame(whole[:size], wire_length=len(whole))]).rewrite(**MAPS, ports={5000: 99})
        old, new = Frame(whole[:size], wire_length=len(whole)).packet(), frame.packet()
        for a, b in zip(old.layers, new.layers, strict=True):
            for was, now in zip(addresses(a), addresses(b), strict=True):
                assert len(was) < 4 or not mapped(was) or was != now
        if UDP in new and new[UDP].sport is not None:
            assert new[UDP].sport == 99


# Sides and flow numbers --------------------------------------------------------------------------------------------


def conversations(there: Any, back: Any, other: Any) -> None:
    numbers = flow_numbers(Batch.of([bytes(p) for p in (there, back, other)])).tolist()
    assert numbers[0] == numbers[1] and numbers[0] != numbers[2]
    capture = Capture.of([there, back, there])
    assert list(capture.sides()) == ["client", "server", "client"]
    assert list(capture.sides("port")) == ["client", "server", "client"]


A, B = {"src": "10.0.0.1", "dst": "10.0.0.2"}, {"src": "10.0.0.2", "dst": "10.0.0.1"}


@pytest.mark.parametrize(
    "under",
    [
        lambda ends: E / Shim() / IPv4(**ends), lambda ends: E / Net(**ends), lambda ends: E / Shim() / E / IPv4(**ends),
        lambda ends: E / pl.MPLS() / IPv4(**ends), lambda ends: E / pl.PPPoE() / pl.PPP() / IPv4(**ends),
        lambda ends: E / IPv6(src=f"2001:db8::{ends['src'][-1]}", dst=f"2001:db8::{ends['dst'][-1]}") / DestinationOptions(),
        lambda ends: E / IPv4(**ends) / AuthenticationHeader(),
    ],
    ids=["shim", "network", "ethernet in it", "mpls", "pppoe", "extension", "ah"],
)  # fmt: skip
def test_a_conversation_has_one_number_and_two_sides(under: Any) -> None:
    conversations(
        under(A) / UDP(sport=5000, dport=6000),
        under(B) / UDP(sport=6000, dport=5000),
        under(A) / UDP(sport=5001, dport=6000),
    )


def test_conversations_of_transports_of_ones_own_are_distinguished() -> None:
    conversations(
        E / IPv4(**A) / Talk(sport=5000, dport=6000), E / IPv4(**B) / Talk(sport=6000, dport=5000),
        E / IPv4(**A) / Talk(sport=5001, dport=6000),
    )  # fmt: skip


@pytest.mark.parametrize("base", [UDP, TCP, pl.SCTP])
def test_conversations_of_derived_transports_are_distinguished(base: Any) -> None:
    class Own(base, under=IPv4, when={"protocol": 222}):  # type: ignore[misc]
        pass

    there, back, other = (
        E / IPv4(**ends) / Own(sport=sport, dport=dport) / b"xxxx"
        for ends, sport, dport in ((A, 6000, 53), (B, 53, 6000), (A, 6001, 53))
    )
    conversations(there, back, other)
    assert list(Capture.of([back, there, other]).sides("port")) == ["server", "client", "client"]


def test_a_protocol_bound_to_one_port_has_both_directions_in_one_conversation() -> None:
    class Query(Header, under=UDP, when={"dport": 17355}):
        server: IPv4Address = default("10.0.0.7")

    there, back = (
        E / IPv4(**A) / UDP(sport=9000, dport=17355) / Query(),
        E / IPv4(**B) / UDP(sport=17355, dport=9000) / b"x",
    )
    conversations(there, back, E / IPv4(**A) / UDP(sport=9001, dport=17355) / Query())
    assert not stays(there, "10.0.0.7", **MAPS)


def test_xns_conversations_go_by_their_addresses() -> None:
    def packet(src: str, dst: str) -> Any:
        return E / IDP(src=src, dst=dst) / SPP()

    ends = "1#02:00:00:00:00:01#3001", "2#02:00:00:00:00:02#5"
    numbers = flow_numbers(
        Batch.of([bytes(packet(*ends)), bytes(packet(*ends[::-1])), bytes(packet("1#02:00:00:00:00:01#3002", ends[1]))])
    ).tolist()
    assert numbers[0] == numbers[1] != numbers[2]


# Speed -------------------------------------------------------------------------------------------------------------


def test_ordinary_frames_are_never_dissected(monkeypatch: pytest.MonkeyPatch) -> None:
    """Headers of one's own are found by the scan too; what does not fit its declaration is looked at one by one."""
    from packetlab.capture.rewrite import careful

    seen = []
    known = careful.read
    monkeypatch.setattr(
        careful, "read", lambda batch, rows, left: (seen.extend(rows.tolist()), known(batch, rows, left))[1]
    )
    frames = [E / IPv4(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=i) / b"x" for i in range(50)]
    frames += [E / VXLAN() for _ in range(3)] + [E / Error(), E / Shim() / IPv4(src="10.0.0.1")]
    cut = bytes(frames[0])[:38]
    for frame in Capture.of([*frames, cut]).rewrite(**MAPS):
        if IPv4 in frame.packet():
            assert str(frame.packet()[IPv4].src) == "172.0.0.1"
    assert seen == [len(frames)]


@pytest.mark.slow
@settings(max_examples=amount(15, 600), deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data(), st.sampled_from(sorted(ALL)))
def test_any_bytes_of_drawn_stacks_go_through(data: st.DataObject, how: str) -> None:
    """Cut, with bits turned, of any link type: nothing raises, sizes stay, and what is said of checksums does."""
    with bindings():
        frames = []
        for _ in range(data.draw(st.integers(1, 3))):
            content = bytearray(bytes(data.draw(stacks())))
            for _ in range(data.draw(st.integers(0, 3))):
                content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
            kept = data.draw(st.integers(0, len(content)))
            linktype = data.draw(st.sampled_from([1, 1, 1, 0, 9, 51, 101, 104, 108, 113, 276]))
            frames.append(Frame(bytes(content[:kept]), wire_length=len(content), linktype=linktype))
        capture = Capture.of(frames)
        for old, new in zip(frames, capture.rewrite(**ALL[how], ports={7: 8}, fixcsum=False), strict=True):
            assert len(new.data) == len(old.data)
            before, after = ([raw for header in f.packet().layers for raw in addresses(header)] for f in (old, new))
            assert not [a for a, b in zip(before, after, strict=True) if mapped(a) and len(a) > 3 and a == b]
        assert len(flow_numbers(next(iter(capture.batches())))) == len(list(capture.sides())) == len(frames)


@pytest.mark.parametrize("how", ALL)
@pytest.mark.parametrize(
    ("link", "packet", "address"),
    [
        (104, pl.CiscoHDLC() / pl.SLARP(code=1, address="10.0.0.3"), "10.0.0.3"),
        (9, pl.HDLC() / pl.PPP() / FOUR_IN / UDP(), "10.8.8.8"),
        (1, E / FOUR_IN / UDP(dport=1701) / pl.L2TP() / pl.PPP() / IPv4(src="10.0.0.3") / UDP(), "10.0.0.3"),
        (1, E / FOUR_IN / pl.EtherIP() / E / IPv4(src="10.0.0.3") / UDP(), "10.0.0.3"),
        (1, E / FOUR_IN / GRE(call_id=1) / pl.PPP() / IPv4(src="10.0.0.3") / UDP(), "10.0.0.3"),
    ],
    ids=["slarp", "ppp", "l2tp", "etherip", "pptp"],
)  # fmt: skip
def test_addresses_behind_other_links_and_tunnels_do_not_stay(how: str, link: int, packet: Any, address: str) -> None:
    old = Frame(bytes(packet), linktype=link)
    (new,) = Capture.of([old]).rewrite(**ALL[how])
    assert ip_address(address).packed in old.data and ip_address(address).packed not in new.data
    assert verdicts(new.packet()) == verdicts(old.packet())


def test_ipx_hosts_are_mac_addresses_too() -> None:
    packet = E / pl.IPX(src=f"1#{MACS}:03#5", dst=f"2#{MACS}:04#5")
    assert bytes.fromhex("020000000003") not in bytes(one(packet, **MAPS))


def steps(work: Any) -> int:
    """Return how many calls of Python's a piece of work makes."""
    count = 0

    def called(frame: Any, event: str, arg: Any) -> None:
        nonlocal count
        count += event == "call"

    sys.setprofile(called)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.slow
@pytest.mark.parametrize("shape", ["frames", "tower", "tower with ethernet", "items"])
def test_work_grows_with_what_is_there_and_no_faster(shape: str) -> None:
    def frames(n: int) -> list[Frame]:
        ip: Any = IPv4(src="10.1.2.3") / UDP(sport=7)
        if shape == "frames":
            return [Frame(bytes(E / Shim() / ip))] * n
        if shape == "items":
            return [Frame(bytes(E / Net(route=[Entry()] * n) / UDP()))]
        for _ in range(n):
            ip = Shim() / (E / bytes(ip) if shape == "tower with ethernet" else bytes(ip))
            ip = pl.dissect(bytes(ip), Shim)
        return [Frame(bytes(E / ip))]

    def work(n: int) -> int:
        some = Capture.of(frames(n))
        return steps(lambda: (list(some.rewrite(**MAPS)), list(some.sides()), flow_numbers(next(iter(some.batches())))))

    work(2)  # what is compiled once
    few, more, most = (work(n) for n in (15, 30, 60))
    assert most - more <= 2.5 * (more - few) + 500
