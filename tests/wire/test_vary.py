"""Variations: one batch from a template, row by row what objects build; and what the receiver is reported of it."""

from __future__ import annotations

import itertools
import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from packetlab import (
    ARP,
    GRE,
    ICMP,
    IDP,
    S16,
    SCTP,
    SPP,
    TCP,
    U1,
    U3,
    U5,
    U7,
    U8,
    U16,
    U32,
    U64,
    UDP,
    VLAN,
    VXLAN,
    BuildError,
    Bytes,
    Capture,
    Ether,
    Frame,
    Header,
    ICMPv6,
    ICMPv6Echo,
    IPv4,
    IPv6,
    Packet,
    Payload,
    Rest,
    Routing,
    TCPOption,
    U24le,
    U32le,
    auto,
    bindings,
    choose,
    crc32,
    crc32c,
    dissect,
    field,
    filling,
    has,
    internet_checksum,
    pad,
    sctp_checksum,
    seeded,
    sequence,
    size_of,
    sized,
    through,
    when,
    xns_checksum,
    zlib,
)  # fmt: skip
from packetlab.bulk.batch import Batch
from tests.conftest import amount


def same(variation: Any, vectorised: bool = True) -> None:
    """Hold every row of a variation to the packet that objects build, in one batch and in stretches."""
    expected = [bytes(variation.packet(row)) for row in range(len(variation))]
    batch = variation.batch()
    assert [batch[row] for row in range(len(batch))] == expected
    assert [one for some in variation.batches(7) for one in some] == expected
    assert list(variation) == expected and len(variation) == len(expected)
    if vectorised:
        assert variation.by_objects == 0


udp = Ether(dst="02:00:00:00:00:02") / IPv4(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=1, dport=2) / b"hello"

TEMPLATES = {
    "udp": udp,
    "tcp with options": Ether() / IPv4() / TCP(options=(TCPOption(kind=8, data=bytes(8)),)) / b"odd",
    "udp over v6": Ether() / IPv6(src="2001:db8::1", dst="2001:db8::2") / UDP() / b"abc",
    "routed": Ether() / IPv6() / Routing(segments_left=1, data=bytes(4) + bytes(range(16))) / UDP(sport=5) / b"abc",
    "icmp": Ether() / IPv4() / ICMP(identifier=1, sequence=2) / b"ping!",
    "icmpv6": Ether() / IPv6() / ICMPv6() / ICMPv6Echo() / b"ping!",
    "vlan": Ether() / VLAN(id=5, priority=3) / IPv4() / UDP() / b"",
    "sctp": Ether() / IPv4() / SCTP(sport=1) / b"chunks",
    "vxlan": Ether() / IPv4() / UDP() / VXLAN(vni=7) / Ether() / IPv4() / TCP() / b"inner",
    "gre": Ether() / IPv4() / GRE(key=9, checksum_present=1) / IPv4() / UDP() / b"x",
    "ip in ip": IPv4(ttl=3) / IPv4(ttl=9) / UDP() / b"xyz",
    "spp": Ether() / IDP(src=(1, 2, 3), dst=(4, 5, 6)) / SPP(seq=1) / b"odd",
    "arp": Ether() / ARP(sender_mac=1, sender_ip=2, target_mac=3, target_ip=4),
    "captured": dissect(bytes(udp) + bytes(13)),
    "pinned": Ether() / IPv4(checksum=0x1234) / UDP(checksum=7, length=99) / b"kept",
}


def varying(draw: Any, packet: Packet) -> dict[Any, Any]:
    """Draw some fields of a packet and values for them."""
    numbers: list[tuple[str, Any]] = []
    seen: dict[str, int] = {}
    for header in packet.layers:
        name = type(header).__name__.lower()
        seen[name] = seen.get(name, 0) + 1
        for f in header._fields:
            raw = getattr(header, f.slot)
            if raw is not None and f.kind.bits is not None:
                numbers.append((f"{name}#{seen[name]}.{f.name}", f.kind))
    chosen = draw(st.lists(st.sampled_from(numbers), max_size=5, unique_by=lambda one: one[0]))
    fields: dict[Any, Any] = {}
    for name, kind in chosen:
        low, high = (kind.low, kind.high) if kind.is_number else (0, (1 << kind.bits) - 1)
        value = st.integers(low, high)
        written: Any = st.lists(value, min_size=1, max_size=6) | st.integers(0, 99).map(seeded)
        fields[name] = draw(written | value)
    fields["payload"] = draw(
        st.just(packet.payload)
        | st.lists(st.binary(max_size=9), min_size=1, max_size=5)
        | st.builds(lambda sizes, seed: filling(seeded(1, sizes), seed=seed), st.just(range(9)), st.integers(0, 9))
    )
    return fields


@pytest.mark.slow
@settings(max_examples=amount(10, 200))
@given(st.data())
@pytest.mark.parametrize("name", TEMPLATES)
def test_each_row_is_what_objects_build(name: str, data: st.DataObject) -> None:
    packet = TEMPLATES[name]
    try:
        variation = packet.vary(23, varying(data.draw, packet))
        same(variation, vectorised=False)
    except BuildError:  # a length or a size that does not fit is refused by objects too
        pass


@pytest.mark.parametrize("name", TEMPLATES)
def test_all_of_it_is_vectorised(name: str) -> None:
    packet = TEMPLATES[name]
    same(packet.vary(40, {"payload": [b"", b"odd", bytes(8), b"\xff" * 6, b"\xff\xff\0"]}))


@pytest.mark.slow
@pytest.mark.parametrize("rule", ["internet", "internet, zero is none", "xns", "crc32", "crc32c", "sctp"])
@settings(max_examples=amount(15, 300))
@given(st.data())
def test_every_algorithm_over_any_parts_of_a_users_own_header(rule: str, data: st.DataObject) -> None:
    make = {
        "internet": internet_checksum,
        "internet, zero is none": lambda *over: internet_checksum(*over, zero_is_none=True),
        "xns": xns_checksum,
        "crc32": crc32,
        "crc32c": crc32c,
        "sctp": sctp_checksum,
    }[rule]
    over = data.draw(st.lists(st.sampled_from(["self", "payload", "filler", "note"]), min_size=1, unique=True))
    width = data.draw(st.sampled_from([U32, U32le, U64] if rule in ("crc32", "crc32c", "sctp") else [U16, U24le]))
    with bindings():

        class Own(Header):
            a: U3 = 0
            b: U5 = 1
            c: S16 = -1
            d: U1 = 1
            e: U7 = 3
            length: U16 = auto(size_of("self") + size_of("payload"))
            check: width = auto(make(*over))  # type: ignore[valid-type]
            f: U24le = 0
            size: U8 = auto(size_of("note"))
            note: Bytes = b"n"
            payload: Payload = b""
            filler: Bytes = pad(4)

        filled = st.lists(st.integers(0, 7), min_size=1, max_size=4)
        fields = {
            Own.a: data.draw(filled),
            Own.b: seeded(data.draw(st.integers(0, 3))),
            "own.c": data.draw(st.lists(st.integers(-(2**15), 2**15 - 1), min_size=1, max_size=5)),
            "own.e": range(128),
            (Own, 0, "f"): seeded(3),
            "own.note": data.draw(st.lists(st.binary(max_size=5), min_size=1, max_size=3)),
            "payload": data.draw(st.lists(st.binary(max_size=6), min_size=1, max_size=3)),
        }
        chosen = data.draw(st.lists(st.sampled_from(list(fields)), unique=True))
        template = Own() / data.draw(st.binary(max_size=3))
        same(template.vary(60, {key: fields[key] for key in chosen}), vectorised=False)
        same(template.vary(60, {key: fields[key] for key in (Own.a, Own.b, "own.c", "own.e", (Own, 0, "f"))}))


def test_a_sum_that_is_zero_and_one_that_means_none() -> None:
    with bindings():

        class Plain(Header):
            number: U16 = 0
            check: U16 = auto(internet_checksum("self"))

        class Optional(Header):
            number: U16 = 0
            check: U16 = auto(internet_checksum("self", zero_is_none=True))

        for header, zero, ones in ((Plain, b"\xff\xff", b"\0\0"), (Optional, b"\xff\xff", b"\xff\xff")):
            rows = Packet((header(),)).vary(8, {header.number: [0, 0xFFFF]})
            assert rows.batch()[0][2:] == zero and rows.batch()[1][2:] == ones
            same(rows)


def test_a_sum_under_another_sum_and_two_in_one_header() -> None:
    with bindings():

        class Two(Header):
            number: U16 = 0
            first: U16 = auto(internet_checksum("payload"))
            second: U32 = auto(crc32("self", "payload"))
            third: U16 = auto(xns_checksum("payload"))

        class Above(Header, under=Two):
            value: U32 = 0
            check: U32le = auto(crc32c("self", "payload"))

        same((Two() / Above() / b"abc").vary(50, {Two.number: range(50), Above.value: seeded(1)}))
        same((Two() / Above() / b"abc").vary(50, {Above.value: seeded(1)}))


def test_fields_that_others_go_by_are_grouped() -> None:
    with bindings():

        class Shaped(Header, under=Ether, when={"type": 0x88B5}):
            flag: U1 = 0
            kind: U7 = auto(has("extra") + field("flag") * 2)
            wide: U32 = when(field("flag") == 1, 7)
            extra: U16 = when(field("kind") & 1)
            station: U32 = 0
            note: Rest = b""

        template = Ether() / Shaped()
        same(template.vary(60, {Shaped.flag: [0, 1], Shaped.station: seeded(2), Shaped.note: [b"", b"abc", b"de"]}))
        same((Ether() / Shaped(extra=1)).vary(60, {Shaped.extra: seeded(2), Shaped.station: range(60)}))
        same(template.vary(30, {Shaped.extra: range(30)}))  # giving it makes it be there
    types = (Ether() / IPv4() / ICMP() / b"x").vary(60, {ICMP.type: [0, 3, 5, 8, 12], "icmp.code": range(9)})
    same(types)
    with pytest.raises(BuildError, match=r"ICMP\.gateway: expected a field that is there"):
        (IPv4() / ICMP()).vary(3, {ICMP.gateway: range(3)})
    same((Ether() / IPv4() / TCP()).vary(6, {TCP.options: [[TCPOption(kind=1)], []]}), vectorised=False)


def test_values_of_every_form() -> None:
    rows = udp.vary(
        300,
        {
            IPv4.src: sequence("10.0.0.0/8"),
            "ip.dst": ["1.2.3.4", "5.6.7.8", 9],
            Ether.src: sequence("02:00:00:00:00:00/24", each=3),
            (IPv4, "ttl"): itertools.cycle([1, 2]),
            "ip.id": np.arange(7),
            "udp.sport": range(1024, 65535),
            "udp.dport": range(9, 0, -2),
            "ip.dscp": seeded(1, [8, 46]),
            "ip.ecn": np.random.default_rng(1),
            "payload": np.arange(24, dtype=np.uint8).reshape(4, 6),
        },
    )
    same(rows)
    packets = [rows.packet(row) for row in range(300)]
    assert [str(p[IPv4].src) for p in packets[:2]] == ["10.0.0.0", "10.0.0.1"]
    assert [p[UDP].dport for p in packets[:6]] == [9, 7, 5, 3, 1, 9]
    assert {str(p[Ether].src)[-1] for p in packets[:3]} == {"0"}
    assert {p[IPv4].dscp for p in packets} == {8, 46} and packets[299][UDP].sport == 1024 + 299
    assert udp.vary(2, udp_sport := {"udp.sport": 5})[0] == udp.vary(2, **udp_sport)[1]  # type: ignore[arg-type]


def test_wide_addresses() -> None:
    six = Ether() / IPv6() / UDP() / b"x"
    same(six.vary(50, {"ipv6.src": sequence("2001:db8::/32"), "ipv6.dst": seeded(1, "fe80::/10")}))
    same(six.vary(50, {"ipv6.src": seeded(7), "ipv6.dst": range(2**64 - 5, 2**64 + 5)}))
    over = six.vary(10, {"ipv6.dst": range(2**64 - 5, 2**80)})
    assert str(over.packet(6)[IPv6].dst) == "::1:0:0:0:1" and over.batch()[6] == bytes(over.packet(6))
    assert {str(p.dst) for p in (six.vary(9, {"ipv6.dst": seeded(1, "fe80::/10")}).packet(i)[IPv6] for i in range(9))}
    xns = Ether() / IDP(dst=(1, 2, 3)) / SPP() / b"odd"
    rows = xns.vary(50, {"idp.dst.net": range(9), "idp.dst.socket": seeded(1), "idp.src.host": ["02:00:00:00:00:07"]})
    same(rows)
    assert rows.packet(4)[IDP].dst.net == 4 and rows.packet(4)[IDP].dst.host == 2 and rows.packet(0)[IDP].src.host
    same(xns.vary(50, {IDP.dst: seeded(3), IDP.src: sequence([(1, 2, 3), (4, 5, 6)])}))


def test_tunnels_are_named_by_occurrence() -> None:
    rows = TEMPLATES["ip in ip"].vary(20, {"ip#2.src": range(20), (IPv4, 0, "src"): range(5)})
    same(rows)
    assert [int(header.src) for header in rows.packet(7).layers[:2]] == [2, 7]
    with pytest.raises(BuildError, match="ip#3"):
        TEMPLATES["ip in ip"].vary(2, {"ip#3.src": 1})


def test_a_seed_gives_the_same_always_and_each_field_its_own() -> None:
    one, two = (udp.vary(500, {"udp.sport": seeded(5), "udp.dport": seeded(5)}) for _ in range(2))
    assert one.batch().data.tobytes() == two.batch().data.tobytes()
    ports = [(p[UDP].sport, p[UDP].dport) for p in map(one.packet, range(500))]
    assert len(set(ports)) == 500 and all(a != b for a, b in ports[:50])
    assert 25_000 < sum(a for a, _ in ports) / 500 < 40_000  # drawn from the whole range


def test_payload_sizes_of_all_lengths_and_rows_in_order() -> None:
    rows = udp.vary(3000, {"payload": filling(range(1473), pattern=b"abc"), "ip.id": range(65536)})
    batch = rows.batch()
    assert rows.by_objects in (0, 3000 - 2 * 1473) or batch.total_bytes == sum(map(len, rows))
    for row in (0, 1, 700, 1472, 1473, 2999):
        assert batch[row] == bytes(rows.packet(row)) and len(batch[row]) == 42 + row % 1473
    assert [dissect(raw)[IPv4].id for raw in batch] == list(range(3000))


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"udp.sport": range(70000)}, r"UDP\.sport: expected 0\.\.65535, got 69999"),
        ({"udp.sport": np.array([1, -1])}, r"UDP\.sport: expected 0\.\.65535"),
        ({"udp.sport": np.array([1.5])}, r"UDP\.sport"),
        ({"udp.sport": []}, r"UDP\.sport: expected values, got none"),
        ({"udp.spot": 1}, "did you mean 'sport'|sport"),
        ({"upd.sport": 1}, "upd"),
        ({"ip.src": "10.0.0.0/40"}, "prefix length"),
        ({"ip.src.net": 1}, "no part of IPv4.src"),
        ({"ip.flags.dont_fragment": 1}, "XNS address"),
        ({"ip.src": filling(4)}, "fixed size"),
        ({TCP.sport: 1}, "TCP"),
        ({UDP.sport: 1, "udp.sport": 2}, "once"),
        ({7: 1}, "a name such as"),
        ({"payload": filling(-1)}, "size"),
        ({"payload": [1]}, "bytes"),
    ],
)
def test_what_cannot_be_is_refused_in_words(fields: Any, complaint: str) -> None:
    with pytest.raises(BuildError, match=complaint):
        udp.vary(5, fields)
    with pytest.raises(BuildError, match="0 or more"):
        udp.vary(-1)


def test_an_empty_variation_and_one_without_headers() -> None:
    assert list(udp.vary(0, {"udp.sport": range(3)})) == [] and udp.vary(0).batch().total_bytes == 0
    same(udp.vary(5))
    same((Ether() / b"").vary(3, {"ether.src": range(3)}), vectorised=False)
    assert list(Packet((), b"x").vary(2, {"payload": [b"a", b"bc"]})) == [b"a", b"bc"]
    with pytest.raises(IndexError):
        udp.vary(3)[3]
    assert udp.vary(3)[-1] == bytes(udp)


# What came -----------------------------------------------------------------------------------------------------------

rows = udp.vary(
    1000, {"ip.src": sequence("10.0.0.0/8"), "udp.sport": seeded(4), "payload": filling([4, 9, 30], seed=1)}
)


def test_all_that_came_once_and_in_order_is_right() -> None:
    report = rows.check(rows.batch())
    assert report and (report.expected, report.received, report.matched) == (1000, 1000, 1000)
    assert rows.check(rows.batches(100)) and rows.check(list(rows)) and rows.check(map(rows.packet, range(1000)))
    assert rows.check(Capture.of(Frame(raw) for raw in rows))
    assert str(report) == "expected   1000 frames, received 1000, 1000 whole"


@pytest.mark.slow
@settings(max_examples=amount(10, 200))
@given(st.randoms(use_true_random=False), st.integers(0, 40), st.integers(0, 40), st.integers(1, 300))
def test_losses_duplicates_and_strangers_are_counted(
    chance: random.Random, lost: int, doubled: int, stretch: int
) -> None:
    sent = list(range(1000))
    gone = set(chance.sample(sent, lost))
    twice = set(chance.sample([row for row in sent if row not in gone], doubled))
    came = [row for row in sent if row not in gone for _ in range(2 if row in twice else 1)]
    raw = [rows[row] for row in came] + [chance.randbytes(60) for _ in range(3)]
    report = rows.check(Batch.of(raw[at : at + stretch]) for at in range(0, len(raw), stretch))
    assert (report.missing, report.duplicates, report.foreign) == (lost, doubled, 3)
    assert (report.reordered, report.corrupted, report.matched) == (0, 0, 1000 - lost)
    assert {row for first, last in report.gaps for row in range(first, last + 1)} == gone
    assert not report


@settings(max_examples=amount(10, 200))
@given(st.randoms(use_true_random=False), st.integers(1, 300))
def test_reorder_is_that_of_rfc_4737(chance: random.Random, stretch: int) -> None:
    came = list(range(1000))
    for _ in range(chance.randrange(1, 9)):
        came.insert(chance.randrange(1000), came.pop(chance.randrange(1000)))
    late = [i for i in range(1000) if came[i] < max(came[: i + 1])]
    extent = max((i - next(j for j in range(i) if came[j] > came[i]) for i in late), default=0)
    raw = [rows[row] for row in came]
    report = rows.check(Batch.of(raw[at : at + stretch]) for at in range(0, 1000, stretch))
    assert (report.reordered, report.extent, report.missing) == (len(late), extent, 0)


def test_a_damaged_frame_tells_its_row_and_the_fields_that_differ() -> None:
    raw = list(rows)

    def flip(row: int, place: int) -> None:
        changed = bytearray(raw[row])
        changed[place] ^= 0x10
        raw[row] = bytes(changed)

    flip(3, 0)
    flip(10, 22)  # ttl, which is the same in all
    flip(20, 29)  # the source address, by which a row is known
    flip(31, 50)  # the payload
    raw[40] = raw[40][:-1]
    report = rows.check(raw)
    assert [(one.row, one.fields) for one in report.damage] == [
        (3, ("Ether.dst",)),
        (10, ("IPv4.ttl",)),
        (20, ("IPv4.src",)),
        (31, ("payload",)),
        (40, ("size",)),
    ]
    assert (report.corrupted, report.missing, report.foreign, report.matched) == (5, 0, 0, 995)
    assert report.differing == dict.fromkeys(["Ether.dst", "IPv4.ttl", "IPv4.src", "payload", "size"], 1)


@pytest.mark.slow
def test_fields_that_may_change_on_the_way_are_left_out() -> None:
    routed = [rows.packet(row).replace(IPv4, ttl=63).replace(Ether, src=5) for row in range(1000)]
    report = rows.check(routed)
    assert report.corrupted == 1000 and report.differing == {"Ether.src": 1000, "IPv4.ttl": 1000, "IPv4.checksum": 1000}
    assert rows.check(routed, ignoring=("ether.src", IPv4.ttl, "ip.checksum"))
    assert not rows.check(routed, ignoring="ip.ttl")


def test_short_frames_may_come_filled_up_by_the_link() -> None:
    short = (Ether() / IPv4() / UDP() / b"x").vary(100, {"ip.id": range(100), "payload": [b"", b"x", bytes(3)]})
    assert short.check(raw.ljust(60, b"\0") for raw in short)
    assert short.check(raw.ljust(60, b"\1") for raw in short).matched == 0


def test_rows_that_are_equal_are_counted_not_distinguished() -> None:
    twins = udp.vary(100, {"udp.sport": range(10)})
    assert twins.check(twins) and twins.check(twins).ambiguous == 100
    report = twins.check(list(twins)[:95] + [twins[0]] * 2)
    assert (report.missing, report.duplicates, report.reordered) == (5, 2, 0) or report.missing == 4


def test_what_stands_above_may_go_by_what_varies() -> None:
    with bindings():
        class Marked(Header):
            extra: U8 | None = when(field("^.kind") == 1, 7)

        class Tagged(Header, under=IPv4, when={"protocol": 253}):
            mark: U8 = auto(field("IPv4.dscp") + 1)
            kind: U8 = 0
            marks: Marked = Marked()
            check: U32 = auto(choose(field("IPv4.dscp") == 1, crc32("self"), 9))

        packet = Ether() / IPv4() / Tagged()
        same(packet.vary(41, {"ipv4.dscp": [0, 1, 0, 0], "tagged.mark": range(41)}))
        same(packet.vary(41, {"ipv4.dscp": [0, 1, 0, 0], "tagged.kind": [0, 0, 1]}), vectorised=False)
        same(packet.vary(41, {"tagged.kind": [0, 1, 0], "ipv4.ttl": range(41)}), vectorised=False)


def test_none_among_the_values_takes_an_optional_field_away() -> None:
    with bindings():

        class Kept(Header, under=Ether, when={"type": 0x7D61}):
            size: S16 = auto(size_of("data"))
            data: Bytes | None = sized(field("size"), none=-1)
            flag: U8 = auto(has("more"))
            more: U16 | None = when(field("flag") == 1, 5)
            packed: S16 = auto(size_of("inside"))
            inside: Bytes | None = through(zlib(), sized(field("packed"), none=-1))
            sum: U32 = auto(crc32("self"))

        packet = Ether() / Kept(data=b"q", more=7, inside=b"q" * 50)
        rows = {"kept.data": [b"a", None, b""], "kept.more": [None, 1], "kept.inside": [None, b"x" * 60, b"", None]}
        varied = packet.vary(48, rows)
        same(varied, vectorised=False)
        expected = [packet.replace({name: values[row % len(values)] for name, values in rows.items()}) for row in range(48)]
        assert [*varied] == [bytes(one) for one in expected] and expected[1][Kept].data is None and expected[0][Kept].more is None
        assert varied.check(expected).matched == 48
        with pytest.raises(BuildError, match=r"Kept.flag: expected 0..255, got None"):
            packet.vary(2, {"kept.flag": [1, None]})
