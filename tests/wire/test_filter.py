"""Filters and packets in words."""

from __future__ import annotations

from typing import Annotated

import pytest
from hypothesis import given, strategies as st

from packetlab import (
    ARP,
    F16,
    F32,
    IDP,
    TCP,
    U8,
    UDP,
    BuildError,
    Bytes,
    Capture,
    Ether,
    F64le,
    Header,
    IPv4,
    XNSAddress,
    auto,
    bindings,
    compile_filter,
    contains,
    dissect,
    many,
    scaled,
    size_of,
)
from packetlab.pattern.conditions import COMPARE
from packetlab.schema.literal import read_packet
from tests.conftest import CORPUS

UDP_PACKET = dissect(
    bytes(Ether(src="02:00:00:00:00:01") / IPv4(src="10.0.0.1", dst="10.0.0.2", ttl=9) / UDP(dport=53) / b"x")
)
SYN = dissect(bytes(Ether() / IPv4(src="10.0.0.3") / TCP(dport=80)))
XNS = dissect(bytes(Ether() / IDP(dst=XNSAddress(1, 2, 0x777))))


@pytest.mark.parametrize(
    "text",
    [
        "udp", "not arp", "ip.src == 10.0.0.1", "ip.src==10.0.0.1 and udp.dport == 53", "IPv4.TTL == 9".replace("TTL", "ttl"),
        "ip.ttl in {8, 9}", "ip.ttl in (8, 9)", "ip.ttl < 10 && !(tcp || arp)", "eth.src == 02:00:00:00:00:01", "udp.dport & 1", "ip.ttl >= 0x9",
        "ip.dst != 10.0.0.1", "tcp or udp and udp", "udp.checksum", 'eth.src == "02:00:00:00:00:01"',
    ],
)  # fmt: skip
def test_what_passes(text: str) -> None:
    assert compile_filter(text)(UDP_PACKET)


@pytest.mark.parametrize(
    "text", ["arp", "tcp.dport == 53", "ip.src == 10.0.0.2", "udp.dport & 2", "not udp", "ip.ttl in {1 2}"]
)
def test_what_does_not_pass(text: str) -> None:
    assert not compile_filter(text)(UDP_PACKET)


def test_flags_by_name_and_parts_of_addresses() -> None:
    assert compile_filter("tcp.flags == SYN")(SYN) and not compile_filter("tcp.flags & ACK")(SYN)
    assert compile_filter("idp.dst.socket == 0x777")(XNS)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("udp.dprot == 3", "column 1: expected a field of UDP, got 'dprot' .*did you mean 'dport'"),
        ("upd", "expected a header, got 'upd' .*did you mean 'udp'"),
        ("http", r"got 'http' \(only declared headers can be named, not what deep\(\) decodes"),
        ("ip.addr == 1.2.3.4", r"got 'addr' \(ip\.src or ip\.dst\)"),
        ("tcp.port == 80", r"got 'port' \(tcp\.sport or tcp\.dport\)"),
        ("udp.checksum.verdict == BAD", r"got 'verdict' \(capture\.where\(lambda packet: packet\.verdict\(UDP\) == Verdict\.BAD\)\)"),
        ("udp.checksum.bad", r"packet\.verdict\(UDP\) == Verdict\.BAD"), ("ip.verdict == BAD", r"packet\.verdict\(IPv4\) == Verdict\.BAD"),
        ("udp.checksum == good", r"got 'good' \(capture\.where\(lambda packet: packet\.verdict\(UDP\) == Verdict\.GOOD\)\)"),
        ("udp.bad", r"packet\.verdict\(UDP\) == Verdict\.BAD"), ("ip.ttl.verdict", r"no part of IPv4\.ttl, got 'verdict'$"),
        ("udp.nonsense", r"got 'nonsense' \(there is sport, dport, length, checksum, .*payload"),
        ("tcp.flags.nonsense", r"got 'nonsense' \(there is fin, syn, rst, psh, ack, urg, ece, cwr"),
        ("tcp.flags == NONSENSE", r"got 'NONSENSE' \(there is FIN, SYN, RST"),
        ("arp.operation == REPLI", r"got 'REPLI' \(did you mean 'REPLY'"),
        ("tcp.flags.syn == SYN", r"got 'SYN' \(0 or 1\)"),
        ("udp and", "column 8: expected a header or a field, got the end"),
        ("udp.dport == ", "expected a value, got the end"),
        ("(udp", "expected \\), got the end"),
        ("ip.src == 10.0.0", "column 11: expected a value for IPv4.src"),
        ("udp udp", "column 5: expected and, or, or the end"),
        ("ip.ttl in 3", "expected {"),
        ("number == -1", "column 11: expected a value for number, 0 or more, got '-1'"),
        ("frame.len in {1 -1}", "a value for wire_length, 0 or more, got '-1'"),
        ("(" * 500 + "udp", "100 levels"),
        ("", "the end"),
    ],
)
def test_a_filter_that_cannot_be_read_says_where(text: str, complaint: str) -> None:
    with pytest.raises(BuildError, match=complaint):
        compile_filter(text)


@pytest.mark.slow
@given(
    st.text(max_size=40)
    | st.lists(st.sampled_from(["udp", "ip.ttl", "==", "(", ")", "not", "and", "3", "{", "}", "in", '"', "&"])).map(
        " ".join
    )
)
def test_any_text_is_a_filter_or_an_error(text: str) -> None:
    try:
        compile_filter(text)(UDP_PACKET)
    except BuildError:
        pass


def test_a_filter_agrees_with_a_prototype_on_a_real_capture() -> None:
    capture = Capture(CORPUS / "web.pcap")
    for text, prototype in (("tcp.flags & SYN", None), ("ip.src == 141.42.64.125", IPv4(src="141.42.64.125"))):
        want = capture.where(prototype or (lambda p: TCP in p and bool(p[TCP].flags & 2)))
        assert [f.number for f in capture.where(compile_filter(text))] == [f.number for f in want]


def test_a_packet_in_words_is_the_packet_in_python() -> None:
    text = """Ether(dst="02:00:00:00:00:02") / IPv4(ttl=3) / UDP(dport=9) / b"hi" """
    assert bytes(read_packet(text)) == bytes(Ether(dst="02:00:00:00:00:02") / IPv4(ttl=3) / UDP(dport=9) / b"hi")
    assert read_packet("arp()") == ARP() / b""
    assert read_packet('TCP(options=[TCPOption(kind=2, data=b"ab")])')[TCP].data_offset == 6


@pytest.mark.parametrize(
    "text",
    ["__import__('os').system('true')", "Ether().__class__", "open('x')", "Ether(type=().__class__)", "Ether() if 1 else 2",
     "Ether(**{})", "[Ether() for x in y]", "b'x' / Ether()", "3", "", "Ether(", "Ether(5)", "Ether(typo=3)"],
)  # fmt: skip
def test_nothing_but_packets_can_be_said(text: str) -> None:
    with pytest.raises(BuildError):
        read_packet(text)


def test_what_is_never_a_layer_is_asked_for_in_the_list_where_it_stands() -> None:
    with bindings():

        class Reading(Header):
            type: U8 = 0
            size: U8 = auto(size_of("value"))
            value: Bytes = b""

        class Temperature(Reading, inside="value", when={"type": 1}):
            celsius: Annotated[float, scaled(16, 0.01, signed=True)] = 0

        class Telemetry(Header, under=Ether, when={"type": 0x88B5}):
            readings: tuple[Reading, ...] = many()

        capture = Capture.of([Ether() / Telemetry(readings=(Temperature(celsius=-3.25), Reading(type=7)))])
        for pattern in ("temperature.celsius < 0", "telemetry and not temperature", Temperature, Temperature(celsius=-3.25)):
            way = r'"telemetry\.readings\.temperature\.celsius", or Telemetry\(readings=contains\(Temperature\)\)'
            with pytest.raises(BuildError, match=way):
                capture.where(pattern).count()
        for pattern in ("reading.type == 7", Reading, Reading(type=7)):
            with pytest.raises(BuildError, match=r'"telemetry\.readings\.type", or Telemetry\(readings=contains\(Reading\)\)'):
                capture.where(pattern).count()
        for right in ("telemetry.readings.temperature.celsius < 0", "telemetry.readings.type == 7", Telemetry,
                      Telemetry(readings=contains(Temperature))):  # fmt: skip
            assert capture.where(right).count() == 1


def test_both_zeros_of_floats_are_found_by_zero_as_numbers_compare() -> None:
    class Reading(Header, under=Ether, when={"type": 0x7DA6}):
        x: F32 = 0.0
        y: F64le = 0.0
        several: tuple[F16, ...] = many(count=2)

    values = [0.0, -0.0, 1.5, -1.5]
    frames = [bytes(Ether() / Reading(x=value, y=value, several=(value, 2))) for value in values]
    for name in ("x", "y", "several[0]"):
        for zero in ("0", "0.0", "-0.0"):
            for sign in ("==", "!=", "<", "<=", ">", ">="):
                passing = [value for value in values if COMPARE[sign](value, float(zero))]
                found = Capture.of(frames).where(f"reading.{name} {sign} {zero}")
                assert [frame.packet()[Reading].x for frame in found] == passing, (name, sign, zero)
            assert Capture.of(frames).where(f"reading.{name} in {{{zero}, 1.5}}").count() == 3
        assert Capture.of(frames).where(f"reading.{name}.raw == 0").count() == 1  # the bits
