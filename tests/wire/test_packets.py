"""Packets: stacking, the three states of a field, editing, patterns, differences, explanations."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from packetlab import (
    GRE,
    ICMP,
    TCP,
    UDP,
    VLAN,
    BuildError,
    Ether,
    IPOption,
    IPv4,
    IPv4Flags,
    IPv6,
    Packet,
    TCPFlags,
    TCPOption,
    Verdict,
    auto,
    dissect,
)  # fmt: skip


def tcp(payload: bytes = b"data"):
    return Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2") / TCP(sport=1, dport=2) / payload


@pytest.mark.slow
@pytest.mark.parametrize(
    "names", ["Ether, IPv4", "IPv4, Ether", "dissect, IPv4, Ether", "Header, IPv4, Ether", "Capture, IPv4, Ether"]
)
def test_names_may_be_imported_in_any_order(names: str) -> None:
    code = f"from packetlab import {names}; assert bytes(Ether() / IPv4())[12:14].hex() == '0800'"
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2]).returncode == 0


def test_stacking_is_associative_and_payload_comes_last() -> None:
    left = (Ether() / IPv4()) / (UDP(dport=9) / b"x")
    right = Ether() / (IPv4() / UDP(dport=9)) / "x"
    assert left == right and bytes(left) == bytes(right)
    with pytest.raises(BuildError):
        Ether() / b"x" / IPv4()
    with pytest.raises(BuildError):
        b"x" / Ether()


def test_every_field_is_in_one_of_three_states() -> None:
    built = tcp()
    assert built[TCP].state("sport") == "given" and built[TCP].state("checksum") == "auto"
    assert built[IPv4].given == {"src", "dst"}
    caught = dissect(bytes(built))
    assert caught[TCP].state("sport") == "captured" and caught[TCP].given == frozenset()
    edited = caught.replace(TCP, sport=7)
    states = {name: edited[TCP].state(name) for name in ("sport", "dport", "checksum")}
    assert states == {"sport": "given", "dport": "captured", "checksum": "auto"}


def test_editing_derives_what_was_right_and_keeps_what_was_wrong() -> None:
    caught = dissect(bytes(tcp()))
    edited = caught.replace(payload=b"something longer")
    assert edited[IPv4].length == 20 + 20 + 16
    assert dissect(bytes(edited)).verdicts() == {"IPv4.checksum": Verdict.GOOD, "TCP.checksum": Verdict.GOOD}

    lying = dissect(bytes(caught.replace(IPv4, length=999)))
    again = lying.replace(IPv4, ttl=3)
    assert again[IPv4].length == 999 and again.verdict(IPv4) is Verdict.GOOD
    assert again.replace(IPv4, length=auto)[IPv4].length == 44


def test_given_nonsense_is_built_as_it_is() -> None:
    packet = dissect(bytes(Ether() / IPv4(version=7, ihl=3, length=5, checksum=0x1234, protocol=6) / b"junk"))
    assert packet.faults and bytes(packet)[14:24].hex() == "73000005000000004006"


def test_replace_names_its_layer_and_its_field() -> None:
    with pytest.raises(KeyError, match="no UDP in Ether / IPv4 / TCP"):
        tcp().replace(UDP, sport=3)
    with pytest.raises(BuildError, match="did you mean 'sport'"):
        tcp().replace(TCP, sprot=3)
    double = Ether() / IPv4(ttl=1) / IPv4(ttl=2)
    assert double.replace((IPv4, 1), ttl=9)[IPv4, 1].ttl == 9 and double.replace((IPv4, 1), ttl=9)[IPv4].ttl == 1


def test_padding_of_the_link_is_kept_apart_and_kept() -> None:
    data = bytes(tcp(b"")) + bytes(6)
    packet = dissect(data)
    assert packet.payload == b"" and packet.trailer == bytes(6) and not packet.faults
    edited = packet.replace(IPv4, ttl=1)
    assert bytes(edited)[-6:] == bytes(6) and edited[IPv4].length == 40


def test_a_prototype_matches_its_given_fields_only() -> None:
    packet = dissect(bytes(tcp()))
    assert IPv4(src="10.0.0.1").matches(packet) and not IPv4(src="10.0.0.9").matches(packet)
    assert TCP(flags=TCPFlags.SYN) in packet and UDP() not in packet
    assert (IPv4(dst="10.0.0.2") / TCP(dport=2)).matches(packet)
    assert not (TCP() / IPv4()).matches(packet)
    assert IPv4(checksum=packet[IPv4].checksum).matches(tcp())  # derived fields count as what they come to


def test_differences_name_the_field_and_what_follows_from_it() -> None:
    one = dissect(bytes(tcp()))
    difference = one.diff(one.replace(IPv4, ttl=3))
    assert [(c.where, c.follows) for c in difference] == [("IPv4.ttl", False), ("IPv4.checksum", True)]
    assert not one.diff(one) and str(one.diff(one)) == "no difference"
    assert str(one.diff(Ether() / UDP())).startswith("layers: Ether/IPv4/TCP != Ether/UDP")
    assert one.diff(bytes(one.replace(payload=b"date")))[0].where == "payload"


def test_why_shows_rule_and_operands() -> None:
    packet = dissect(bytes(tcp()))
    text = packet.why(TCP, "checksum")
    assert "internet(pseudo, self, payload)" in text and "IPv4 10.0.0.1 -> 10.0.0.2" in text and "agrees" in text
    assert "which gives" in packet.replace(TCP, checksum=1).why(TCP, "checksum")
    assert "size_of(self) + size_of(payload) = 44" in packet.why(IPv4, "length")
    assert "TCP above" in packet.why(IPv4, "protocol")
    assert "set by the user" in IPv4(ttl=3).__truediv__(b"").why(IPv4, "ttl")


def test_show_and_repr_are_safe_to_print() -> None:
    nasty = b"\x1b[31m\x00\xff<script>"
    packet = dissect(bytes(tcp(nasty)))
    assert packet.show().isprintable() or "\x1b" not in packet.show()
    assert "\x1b" not in repr(packet) and "\x1b" not in packet.summary()


def test_repr_makes_the_same_header_again() -> None:
    header = IPv4(src="10.0.0.1", ttl=7, flags=IPv4Flags.DONT_FRAGMENT)
    assert eval(repr(header)) == header
    packet = dissect(bytes(tcp()))
    assert bytes(eval(repr(packet))) == bytes(packet)


def test_packets_can_be_copied_and_pickled() -> None:
    header = IPv4(src="10.0.0.1", ttl=7)
    assert pickle.loads(pickle.dumps(header)) == header and copy.deepcopy(header) is header


def test_a_header_alone_derives_as_if_it_were_the_packet() -> None:
    assert UDP(dport=1).length == 8 and IPv4().ihl == 5 and UDP().checksum == 0
    assert GRE(key=5).key_present == 1 and bytes(GRE(key=5))[0] == 0x20


def test_numbers_follow_the_header_above() -> None:
    assert (Ether() / IPv6())[Ether].type == 0x86DD
    assert (Ether() / VLAN(id=5) / IPv4())[VLAN].type == 0x0800
    assert (IPv4() / IPv4() / ICMP())[IPv4].protocol == 4
    assert (Ether() / b"?")[Ether].type == 0xFFFF


def test_items_are_headers_too() -> None:
    packet = dissect(bytes(Ether() / IPv4() / TCP(options=[TCPOption(kind=2, data=b"\x05\xb4"), TCPOption(kind=1)])))
    options = packet[TCP].options
    assert options[0] == TCPOption(kind=2, data=b"\x05\xb4") and options[0].length == 4
    assert packet[TCP].data_offset == 7
    plain = packet.replace(TCP, options=())
    assert plain[TCP].data_offset == 5 and len(plain) == len(packet) - 8


def test_a_stack_built_often_may_have_options_all_the_same() -> None:
    def packet(**options) -> Packet:
        return Ether() / IPv4(**options) / TCP() / b"data"

    with_options = packet(options=(IPOption(kind=7, data=b"ab"),))
    expected = with_options.encode()
    for _ in range(50):
        bytes(packet())
    assert bytes(packet(options=(IPOption(kind=7, data=b"ab"),))) == expected


def test_what_was_compiled_for_a_stack_follows_a_new_binding() -> None:
    from packetlab import U8, Header, bindings

    for _ in range(40):
        frame = bytes(Ether(type=0x9000) / b"\x05data")
        assert dissect(frame).payload == b"\x05data"
        bytes(Ether() / IPv4())
    with bindings():

        class Late(Header, under=Ether, when={"type": 0x9000}):
            a: U8 = 0

        assert dissect(frame)[Late].a == 5 and (Ether() / Late())[Ether].type == 0x9000
        for _ in range(40):
            assert dissect(frame)[Late].a == 5
    assert dissect(frame).payload == b"\x05data"
