"""What is said where two packets differ: causes with what follows from them, the bytes, and rows of packets aligned."""

from __future__ import annotations

from enum import IntEnum
from pathlib import Path
from typing import Annotated, Any

import pytest
from hypothesis import given, settings, strategies as st

from packetlab import (
    GRE,
    ICMP,
    LLC,
    TCP,
    U8,
    U16,
    U32,
    UDP,
    VLAN,
    VXLAN,
    BuildError,
    Capture,
    Ether,
    Frame,
    Header,
    IPOption,
    IPv4,
    IPv6,
    Named,
    Packet,
    Payload,
    Rest,
    TCPOption,
    Verdict,
    Writer,
    auto,
    between,
    bindings,
    bits,
    crc32,
    default,
    dissect,
    explain,
    size_of,
)
from packetlab.packet.diff_bytes import hex_rows
from tests.conftest import amount

SENT = Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=1, dport=53) / b"hello"


def said(left: Any, right: Any) -> list[str]:
    lines = explain(left, right)
    assert lines is not None
    return lines


def test_a_consequence_stands_with_its_cause_and_the_bytes_below() -> None:
    assert said(SENT, SENT.replace(IPv4, ttl=63)) == [
        "Ether/IPv4/UDP: IPv4.ttl: 64 != 63; follows from it: IPv4.checksum (0x66ca != 0x67ca)",
        "  left  0010  00 21 00 00 00 00 40 11 66 ca 0a 00 00 01 0a 00",
        "  right 0010  00 21 00 00 00 00 3f 11 67 ca 0a 00 00 01 0a 00",
        "                                ^^    ^^",
    ]


def test_what_follows_from_several_causes_names_them() -> None:
    lines = said(SENT, SENT.replace(IPv4, src="10.0.0.3").replace(payload=b"hallo!"))
    assert lines[0] == "Ether/IPv4/UDP: 2 differences (IPv4.src, payload), 4 more follow"
    assert lines[1] == "IPv4.src: 10.0.0.1 != 10.0.0.3"
    assert lines[2] == (
        "payload: b'hello' != b'hallo!'  (from byte 1 on); "
        "follows from it: IPv4.length (33 != 34), UDP.length (13 != 14)"
    )
    assert lines[3].startswith("follows from IPv4.src and payload: IPv4.checksum (")
    assert "UDP.checksum (" in lines[3] and lines[4].startswith("  left  0010")


def test_a_checksum_that_is_wrong_is_a_cause_of_its_own() -> None:
    wrong = dissect(bytes(SENT.replace(IPv4, checksum=0xDEAD)))
    assert said(SENT, wrong)[0] == ("Ether/IPv4/UDP: IPv4.checksum: 0x66ca != 0xdead  (right: the rule gives 0x66ca)")
    both = said(wrong, SENT.replace(IPv4, ttl=3))
    assert both[1] == "IPv4.ttl: 64 != 3"
    assert both[2].startswith("IPv4.checksum: 0xdead != 0xa3ca  (left: the rule gives 0x66ca)")


def test_a_checksum_may_follow_from_a_length_that_is_wrong() -> None:
    assert said(SENT, SENT.replace(IPv4, length=34))[0] == (
        "Ether/IPv4/UDP: IPv4.length: 33 != 34  (right: the rule gives 33); "
        "follows from it: IPv4.checksum (0x66ca != 0x66c9)"
    )


def test_nothing_is_guessed_a_sum_that_happens_to_agree_is_no_difference() -> None:
    one, other = SENT.replace(IPv4, id=1, ttl=64), SENT.replace(IPv4, id=0x0101, ttl=63)
    assert one[IPv4].checksum == other[IPv4].checksum
    lines = said(one, other)
    assert lines[0] == "Ether/IPv4/UDP: 2 differences (IPv4.id, IPv4.ttl)" and "follows" not in "".join(lines)


def test_a_header_in_between_is_one_cause() -> None:
    tagged = Ether() / VLAN(id=3) / IPv4(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=1, dport=53) / b"hello"
    assert said(SENT, tagged) == [
        "Ether/IPv4/UDP: layers: Ether/IPv4/UDP != Ether/VLAN/IPv4/UDP; follows from it: Ether.type (0x0800 (IPv4) != 0x8100 (VLAN))",
        "  left  0000  ff ff ff ff ff ff 00 00 00 00 00 00 -- -- -- --",
        "  right 0000  ff ff ff ff ff ff 00 00 00 00 00 00 81 00 00 03",
        "                                                  ^^ ^^ ^^ ^^",
    ]


def test_headers_and_bytes_are_compared_as_packets() -> None:
    assert said(UDP(sport=3), UDP(sport=4))[0] == "UDP: UDP.sport: 3 != 4"
    changed = SENT.replace(IPv4, id=4)
    assert said(bytes(changed), SENT)[0].startswith("Ether/IPv4/UDP: IPv4.id: 4 != 0; follows from it: IPv4.checksum")
    assert said(SENT, bytes(changed))[0].startswith("Ether/IPv4/UDP: IPv4.id: 0 != 4")
    assert said(bytes(SENT), SENT) == ["the same bytes, but a bytes never equals a Packet: compare bytes() of both"]
    assert said(UDP() / b"", UDP())[0].startswith("the same bytes, but a Packet never equals a UDP")


@pytest.mark.parametrize(
    ("left", "right"), [(SENT, SENT), (1, 2), (b"a", b"b"), ("a", "b"), ([1], [2]), (SENT, 3), ([], []), ({}, {})]
)
def test_what_needs_no_explanation_gets_none(left: Any, right: Any) -> None:
    assert explain(left, right) is None


def test_a_prototype_that_admits_several_values_equals_nothing() -> None:
    said_so = "IPv4(ttl=between(1, 2)) stands for several values, so it equals no packet: use matches()"
    assert said(IPv4(ttl=between(1, 2)), IPv4(ttl=1)) == [said_so]
    assert said(bytes(IPv4()), IPv4(ttl=between(1, 2))) == [said_so]


def test_items_and_what_follows_from_their_size() -> None:
    with_option = SENT.replace(IPv4, options=(IPOption(kind=1),))
    first = said(with_option, SENT)[0]
    assert "IPv4.options: IPOption(kind=1), IPOption(kind=0)" in first and "!= none; follows from it: IPv4.ihl" in first


def test_a_presence_flag_follows_from_the_field_that_is_there() -> None:
    first = said(IPv4() / GRE(), IPv4() / GRE(key=7))[0]
    assert first.startswith("IPv4/GRE: GRE.key: absent != 7; follows from it: ") and "GRE.key_present (0 != 1)" in first


def test_a_field_that_is_there_because_another_says_so_follows_from_it() -> None:
    assert said(Ether() / LLC(), Ether() / LLC(control=0))[0] == (
        "Ether/LLC: LLC.control: 3 != 0; follows from it: Ether.type (3 != 4), LLC.sequence (absent != 0)"
    )
    lines = said(Ether() / LLC(), Ether() / LLC(control=0, sequence=7))
    assert lines[2] == "LLC.sequence: absent != 7"


def test_difference_is_in_bytes_that_are_not_shown() -> None:
    lines = said(SENT.replace(payload=bytes(50)), SENT.replace(payload=bytes(45) + b"x" + bytes(4)))
    assert "(from byte 45 on)" in lines[0]


def test_hex_rows_align_what_was_put_in() -> None:
    rows = hex_rows(bytes(range(20)), bytes(range(8)) + b"\xff\xff" + bytes(range(8, 20)))
    assert rows == [
        "  left  0000  00 01 02 03 04 05 06 07 -- -- 08 09 0a 0b 0c 0d",
        "  right 0000  00 01 02 03 04 05 06 07 ff ff 08 09 0a 0b 0c 0d",
        "                                      ^^ ^^",
    ]
    assert hex_rows(b"same", b"same") == []
    assert hex_rows(bytes(1000), b"\1" * 1000)[-1] == "  ... and 55 more rows with differences"


@given(st.binary(max_size=100), st.binary(max_size=100))
def test_hex_rows_show_each_byte_of_rows_that_differ(left: bytes, right: bytes) -> None:
    rows = hex_rows(left, right, most=1000)
    assert (rows == []) == (left == right)
    for side, data in (("  left ", left), ("  right", right)):
        for row in (row for row in rows if row.startswith(side)):
            offset, raw = row[8:].split(None, 1)
            shown = bytes.fromhex(raw.replace("--", ""))
            assert data[int(offset, 16) :].startswith(shown)


# Rows of packets --------------------------------------------------------------------------------------------------


def numbered(*ids: int) -> list[Packet]:
    return [SENT.replace(IPv4, id=n) for n in ids]


def test_packets_that_are_missing_or_came_in_between_are_distinguished() -> None:
    lines = said(numbered(1, 2, 3, 4), numbered(1, 3, 4))
    assert lines == [
        "packets differ from number 2 on: 1 missing",
        "#2 missing on the right: Ether / IPv4 / UDP / 5 bytes, 10.0.0.1 > 10.0.0.2",
    ]
    lines = said(numbered(1, 2), [*numbered(1), Ether() / IPv6() / UDP(), *numbered(2)])
    assert lines[1] == "#2 only on the right: Ether / IPv6 / UDP, :: > ::"


def test_the_first_changed_packet_is_explained_at_length_others_in_a_line() -> None:
    ours, theirs = numbered(1, 2, 3), numbered(1, 9, 8)
    lines = said(ours, theirs)
    assert lines[0] == "packets differ from number 2 on: 2 changed"
    assert lines[1].startswith("#2 changed: Ether/IPv4/UDP: IPv4.id: 2 != 9; follows from it: IPv4.checksum")
    assert lines[2].startswith("  left  0010") and lines[-1].startswith("#3 changed") and len(lines) == 6


def test_captures_are_compared_frame_by_frame_and_lazily(tmp_path: Path) -> None:
    for name, packets in (("a.pcap", numbered(*range(1000))), ("b.pcap", numbered(0, 1, *range(3, 1000)))):
        with Writer(tmp_path / name) as writer:
            for packet in packets:
                writer.write(Frame(bytes(packet)))
    lines = said(Capture(tmp_path / "a.pcap"), Capture(tmp_path / "b.pcap"))
    assert lines[0].startswith("packets differ from number 3 on: 1 missing") and "(looking at 200 packets" in lines[0]
    assert "the same 1000 packets" in said(Capture(tmp_path / "a.pcap"), Capture(tmp_path / "a.pcap"))[0]
    assert (
        said(Capture(tmp_path / "a.pcap"), numbered(*range(999)))[0] == "packets differ from number 1000 on: 1 missing"
    )


@pytest.mark.slow
@given(st.lists(st.integers(0, 3), max_size=8), st.lists(st.integers(0, 3), max_size=8))
def test_rows_are_explained_just_where_they_differ(ours: list[int], theirs: list[int]) -> None:
    lines = explain(numbered(*ours), numbered(*theirs))
    assert (lines is None) == (ours == theirs)
    if lines is not None:
        same = next((i for i, (a, b) in enumerate(zip(ours, theirs)) if a != b), min(len(ours), len(theirs)))
        first = int(lines[0].split("number ")[1].split()[0]) - 1
        # Which of several equal packets is missing cannot be known.
        assert first >= same - max(len(ours), len(theirs)) and lines[1].startswith("#")


# Any packets ------------------------------------------------------------------------------------------------------

FIELDS = st.one_of(
    st.tuples(st.just(IPv4), st.fixed_dictionaries({"ttl": st.integers(0, 255)})),
    st.tuples(st.just(IPv4), st.fixed_dictionaries({"id": st.integers(0, 65535)})),
    st.tuples(st.just(IPv4), st.fixed_dictionaries({"src": st.binary(min_size=4, max_size=4)})),
    st.tuples(st.just(IPv4), st.fixed_dictionaries({"checksum": st.integers(0, 65535)})),
    st.tuples(st.just(IPv4), st.fixed_dictionaries({"length": st.integers(0, 65535)})),
    st.tuples(st.just(TCP), st.fixed_dictionaries({"seq": st.integers(0, 2**32 - 1)})),
    st.tuples(st.just(TCP), st.fixed_dictionaries({"checksum": st.integers(0, 65535)})),
    st.tuples(st.just(TCP), st.fixed_dictionaries({"options": st.just((TCPOption(kind=2, data=b"ab"),))})),
)
BASE = Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2") / TCP(sport=1, dport=2) / b"data"


@pytest.mark.slow
@given(st.lists(FIELDS, max_size=4), st.lists(FIELDS, max_size=4), st.booleans())
def test_causes_set_in_one_packet_make_it_the_other(ours: Any, theirs: Any, caught: bool) -> None:
    packets = []
    for edits in (ours, theirs):
        packet = BASE
        for layer, change in edits:
            packet = packet.replace(layer, **change)
        packets.append(dissect(bytes(packet)) if caught else packet)
    one, other = packets
    changes = one.diff(other)
    assert bool(changes) == (bytes(one) != bytes(other))
    names = [change.where for change in changes if not change.follows]
    if all("." in name for name in names) and not (one.faults or other.faults):
        edited = one
        for name in names:
            layer, field = name.split(".")
            cls = {"Ether": Ether, "IPv4": IPv4, "TCP": TCP}[layer]
            edited = edited.replace(cls, **{field: getattr(other[cls], field)})
        assert bytes(edited) == bytes(other)


@pytest.mark.slow
@settings(max_examples=amount(40, 2000))
@given(st.binary(max_size=80), st.binary(max_size=80), st.sampled_from([Ether, IPv4, IPv6, TCP, ICMP, None]))
def test_whatever_the_bytes_there_is_an_explanation(left: bytes, right: bytes, first: Any) -> None:
    one, other = dissect(left, first), dissect(right, first)
    lines = explain(one, other)
    assert (lines is None) == (one == other)
    if lines is not None:
        assert all(line.isprintable() for line in lines)


@pytest.mark.slow
@settings(max_examples=amount(40, 2000))
@given(st.integers(0, 57), st.integers(0, 255), st.integers(0, 57))
def test_one_byte_changed_anywhere_is_explained(place: int, value: int, cut: int) -> None:
    data = bytes(BASE)
    changed = bytearray(data)
    changed[place] = value
    for other in (dissect(bytes(changed)), dissect(data[:cut])):
        assert (explain(dissect(data), other) is None) == (bytes(other) == data)


def test_a_declaration_of_ones_own_is_explained_the_same_way() -> None:
    with bindings():

        class Own(Header):
            kind: U8 = 0
            length: U8 = auto(size_of("self"))
            note: Rest = b""

        first = said(Own(note=b"ab"), Own(note=b"abc"))[0]
    assert first == "Own: Own.note: b'ab' != b'abc'; follows from it: Own.length (4 != 5)"


def test_why_says_what_the_verdict_says() -> None:
    whole = bytes(IPv4(src="1.1.1.1", dst="2.2.2.2") / UDP(sport=1, dport=9) / bytes(40))
    piece = dissect(bytes(IPv4(flags=1, protocol=17, src="1.1.1.1", dst="2.2.2.2") / whole[20:44]), IPv4)
    assert piece.verdict(UDP) is Verdict.UNVERIFIED
    said = piece.why(UDP, "checksum")
    assert said.endswith("cannot be verified: not all that it covers is here") and "differs" not in said
    alone = dissect(whole[20:], UDP)
    assert alone.why(UDP, "checksum").endswith("cannot be verified: no network layer is below")
    none = dissect(bytes(IPv4() / UDP(checksum=0)), IPv4)
    assert none.why(UDP, "checksum").endswith("says that there is no checksum")
    gone = dissect(whole[:26], IPv4, len(whole))  # the cut took the field itself
    assert gone.verdict(UDP) is Verdict.UNVERIFIED and gone[UDP].checksum is None
    assert gone.why(UDP, "checksum").endswith("cannot be verified: not all that it covers is here")
    illegal = dissect(bytes(IPv6() / UDP(checksum=0)), IPv6)
    assert illegal.why(UDP, "checksum").endswith("no checksum, which IPv6 does not allow")


def test_why_says_that_there_is_no_checksum_where_none_is() -> None:
    for packet in (IPv4() / GRE() / b"x", dissect(bytes(IPv4() / GRE() / b"x"), IPv4)):
        said = packet.why(GRE, "checksum")
        assert "checksum_present = 0" in said and said.endswith("there is no checksum") and "gives" not in said
    assert "gives" in (IPv4() / GRE(checksum_present=1) / b"x").why(GRE, "checksum")


def test_why_says_of_a_length_that_only_a_part_of_the_datagram_is_here() -> None:
    ends = {"src": "1.1.1.1", "dst": "2.2.2.2"}
    whole = bytes(IPv4(**ends) / UDP(sport=1, dport=9) / bytes(40))
    piece = dissect(bytes(IPv4(flags=1, protocol=17, **ends) / whole[20:44]), IPv4)
    cut = dissect(whole[:40], IPv4, len(whole))
    for packet in (piece, cut):
        said = packet.why(UDP, "length")
        assert "counts more than is here" in said and "differs" not in said
    assert piece.why(IPv4, "length").endswith("agrees with the rule")
    wrong = dissect(bytes(IPv4(**ends) / UDP(length=100) / bytes(40)), IPv4)
    assert "differs from the rule" in wrong.why(UDP, "length")


def test_a_verdict_is_on_the_only_checksum_there_is_whatever_it_is_called() -> None:
    with bindings():

        class Sealed(Header):
            kind: U8 = 0
            payload: Payload = b""
            crc: U32 = auto(crc32("self", "payload"))

        packet = dissect(bytes(Sealed() / b"abc"), Sealed)
        assert packet.verdict(Sealed) is packet.verdict(Sealed, "crc") is Verdict.GOOD
        with pytest.raises(
            BuildError, match=r"Sealed\.checksum: expected a checksum, got no such field \(there is crc\)"
        ):
            packet.verdict(Sealed, "checksum")
        with pytest.raises(
            BuildError, match=r"Ether\.checksum: expected a checksum, got no such field \(the header has none\)"
        ):
            dissect(bytes(Ether())).verdict(Ether)


def test_a_number_that_says_what_follows_is_shown_with_its_name() -> None:
    packet = Ether() / IPv4() / UDP(dport=4789) / VXLAN() / Ether(type=0x6A15) / b""
    lines = [" ".join(line.split()) for line in packet.show().splitlines()]
    assert {"type 0x0800 (IPv4) auto", "protocol 17 (UDP) auto", "dport 4789 (VXLAN) given"} < {*lines}
    assert "type 0x6a15 given" in lines and "sport 0 auto" in lines  # nothing is bound to that one; no binding goes by this
    assert packet.why(IPv4, "protocol").splitlines()[0] == "IPv4.protocol = 17 (UDP)  (auto)"
    assert "0x0800 (IPv4)" in packet._repr_mimebundle_()["text/html"]
    assert "IPv4.protocol: 17 (UDP) != 6 (TCP)" in str(packet.diff(packet.replace(IPv4, protocol=6)))
    assert "expected 6 (TCP), got 17 (UDP)" in str(IPv4(protocol=6).why_not(packet))
    # A fragment's payload is bytes, and the number says still of what.
    fragment = IPv4(protocol=1, fragment_offset=3) / b"12345678"
    assert "protocol 1 (ICMP) given" in [" ".join(line.split()) for line in fragment.show().splitlines()]


def test_the_name_is_that_of_now() -> None:
    packet = Ether(type=0x6A16) / b""
    with bindings():

        class Bound6A16(Header, under=Ether, when={"type": 0x6A16}):
            pass

        assert "0x6a16 (Bound6A16)" in packet.show()
    assert "0x6a16 (" not in packet.show()


def test_names_of_numbers_that_no_header_here_has_and_users_own_everywhere() -> None:
    class Kind(IntEnum):
        PING = 1

    lines = [" ".join(line.split()) for line in (Ether(type=0x88CC) / b"").show().splitlines()]
    assert "type 0x88cc (LLDP) given" in lines
    assert "type 46 given" in [" ".join(line.split()) for line in (Ether(type=46) / bytes(46)).show().splitlines()]
    assert "protocol 89 (OSPF) given" in [" ".join(line.split()) for line in (IPv4(protocol=89) / b"").show().splitlines()]
    assert dissect(bytes(IPv4(protocol=89) / b""), IPv4).why(IPv4, "protocol").startswith("IPv4.protocol = 89 (OSPF)")
    with bindings():

        class Lower(Header, under=UDP, port=17381):
            kind: Annotated[Named[Kind], bits(8)] = default(Kind.PING)
            more: U16 = 0

        class Upper(Header, under=Lower, when={"more": 9}):
            x: U8 = 0

        class Ping(Header, under=Lower, when={"kind": 1}):
            x: U8 = 0

        packet = Ether() / IPv4() / UDP() / Lower(kind=7) / Upper()
        shown = [" ".join(line.split()) for line in packet.show().splitlines()]
        assert {"dport 17381 (Lower) auto", "more 9 (Upper) auto", "kind 7 given"} <= {*shown}
        assert packet.why(Lower, "more").startswith("Lower.more = 9 (Upper)  (auto)")
        assert "9 (Upper)" in packet._repr_mimebundle_()["text/html"]
        assert "Lower.more: 9 (Upper) != 10" in str(packet.diff(packet.replace(Lower, more=10)))
        assert "kind PING (1) auto" in [" ".join(line.split()) for line in (Lower() / Ping()).show().splitlines()]
    assert "(Lower)" not in (Ether() / IPv4() / UDP(dport=17381) / b"").show()
