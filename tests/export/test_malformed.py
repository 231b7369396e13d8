"""The catalogue of malformed packets: what it holds, and that dissector and tshark say of each what they must."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

import packetlab as pl
from packetlab import (
    ICMP,
    IDP,
    SPP,
    TCP,
    U8,
    U16,
    UDP,
    BuildError,
    Bytes,
    Capture,
    Ether,
    Header,
    IPv4,
    IPv6,
    ListenerRecord,
    ListenerReport,
    Malformed,
    NDOption,
    Packet,
    TCPOption,
    Verdict,
    auto,
    bindings,
    field,
    malformed,
    many,
    size_of,
)
from packetlab.cli import main
from packetlab.codec.objects import declared_classes as declared
from tests.conftest import amount

UDP_PACKET = Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=9999, dport=9998) / b"hello"
TCP_PACKET = (
    Ether()
    / IPv4(src="10.0.0.1", dst="10.0.0.2")
    / TCP(sport=9999, dport=9998, options=(TCPOption(kind=2, data=b"\5\xb4"),))
    / b"hello"
)
SPP_PACKET = Ether() / IDP(dst="1.2.3", src="1.4.5") / SPP(seq=1) / b"data"
EVERY = [cls for cls in declared() if cls.__module__.startswith("packetlab.")]
RELAXED = settings(max_examples=amount(5, 100), suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize("case", malformed(UDP_PACKET), ids=str)
def test_the_dissector_says_what_it_must_and_nothing_else(case: Malformed) -> None:
    assert case.disagreements() == []
    if case.exact:
        assert case.packet().faults == case.faults


@pytest.mark.slow
@pytest.mark.parametrize("cls", EVERY, ids=lambda cls: cls.__name__)
def test_for_every_declared_header_what_is_expected_is_what_is_reported(cls: type[Header]) -> None:
    @RELAXED
    @given(pl.strategies.packets(cls))
    def check(packet: Packet) -> None:
        for case in malformed(packet):
            assert (case.id, case.disagreements()) == (case.id, [])

    check()


@pytest.mark.slow
@settings(max_examples=amount(25, 1000), suppress_health_check=list(HealthCheck))
@given(pl.strategies.packets())
def test_for_any_stack_what_is_expected_is_what_is_reported(packet: Packet) -> None:
    for case in malformed(packet):
        assert (case.id, case.disagreements()) == (case.id, [])


def test_bytes_that_end_before_the_options_have_room_for_an_empty_payload() -> None:
    with bindings():

        class Optioned(Header, under=Ether, when={"type": 0x9AE1}, payload_size=field("size")):
            words: U8 = auto(size_of("self") // 4)
            size: U16 = auto(size_of("payload"))
            kind: U8 = 0
            more: Bytes = b""

        for above in (b"", b"above"):
            for case in malformed(Ether() / Optioned(more=b"four") / above):
                assert (case.id, case.disagreements()) == (case.id, [])


class Label(Header):
    kind: U8 = 1
    length: U8 = auto(size_of("text"))
    text: Bytes = b""


def test_items_in_a_list_of_so_many_bytes_reach_to_its_end_and_no_further() -> None:
    with bindings():

        class Labelled(Header, under=Ether, when={"type": 0x9AE2}):
            room: U8 = auto(size_of("labels"))
            labels: tuple[Label, ...] = many()
            after: U16 = 0

        found = {case.id: case for case in malformed(Ether() / Labelled(labels=(Label(text=b"x"), Label())))}
        assert "labelled.labels.overlong" in found
        for case in found.values():
            assert (case.id, case.disagreements()) == (case.id, [])


def ids(packet: Any) -> set[str]:
    return {case.id for case in malformed(packet)}


def test_names_stay_and_say_what_is_wrong() -> None:
    assert {
        "udp.length.plus-one", "udp.length.minus-one", "udp.length.zero", "udp.length.max", "udp.checksum.wrong",
        "udp.checksum.cut", "ipv4.version.wrong-constant", "ipv4.ihl.plus-one", "trailing-bytes",
    } <= ids(UDP_PACKET)  # fmt: skip
    assert {
        "tcp.options.overlong",
        "tcp.options.zero-length",
        "tcp.options.overlapping",
        "tcp.reserved.reserved-bits",
    } <= ids(TCP_PACKET)
    assert {"idp.packet_type.unknown-value", "spp.control.reserved-bits", "idp.checksum.wrong"} <= ids(SPP_PACKET)
    assert "icmp.type.unknown-value" in ids(IPv4() / ICMP())
    assert "listenerreport.count.plus-one" in ids(ListenerReport(records=(ListenerRecord(),)))
    assert "ipv4#2.ttl.cut" in ids(IPv4() / IPv4() / UDP())
    assert len(malformed(UDP_PACKET)) == len(ids(UDP_PACKET))
    assert [case.id for case in malformed(UDP_PACKET)] == [case.id for case in malformed(UDP_PACKET)]


def test_a_case_says_what_is_to_be_reported_in_full() -> None:
    (case,) = (case for case in malformed(UDP_PACKET) if case.id == "udp.length.plus-one")
    assert case.what == "UDP.length says 14, where 13 is right"
    assert [str(fault) for fault in case.faults] == ["UDP.length: expected 14 bytes at offset 34, got 13"]
    assert case.first is Ether and len(case.data) == len(UDP_PACKET) and case.packet()[UDP].length == 14
    (bad,) = (case for case in malformed(UDP_PACKET) if case.id == "ipv4.checksum.wrong")
    assert bad.verdicts == (("IPv4.checksum", Verdict.BAD),) and bad.faults == ()


def test_only_one_thing_is_wrong_all_that_follows_from_it_is_right() -> None:
    (case,) = (case for case in malformed(UDP_PACKET) if case.id == "ipv4.length.plus-one")
    assert case.packet().verdict(IPv4) is Verdict.GOOD


def test_another_dissection_is_held_to_the_same() -> None:
    (case,) = (case for case in malformed(UDP_PACKET) if case.id == "udp.length.max")
    lines = case.disagreements(pl.dissect(bytes(UDP_PACKET)))
    assert lines == ["the bytes were not kept", f"not reported: {case.faults[0]}"]


def test_a_packet_that_is_not_sound_has_no_catalogue() -> None:
    with pytest.raises(BuildError, match="a packet without faults to begin with"):
        malformed(Ether() / IPv4() / UDP(length=999))


def test_a_declaration_of_ones_own_has_its_catalogue() -> None:
    with bindings():

        class Own(Header):
            magic: pl.U16 = pl.const(0xBEEF)
            length: pl.U8 = pl.auto(pl.size_of("self") + pl.size_of("payload"))
            reserved: pl.U8 = 0
            count: pl.U8 = pl.auto(pl.count_of("parts"))
            parts: tuple[NDOption, ...] = pl.many(value=(NDOption(),))

        cases = {case.id: case for case in malformed(Own())}
        assert {
            "own.magic.wrong-constant",
            "own.length.minus-one",
            "own.reserved.reserved-bits",
            "own.count.plus-one",
            "own.parts.overlong",
        } <= set(cases)
        for case in cases.values():
            assert case.disagreements() == []
        assert str(cases["own.magic.wrong-constant"].faults[0]) == "Own.magic: expected 48879 at offset 0, got 48878"


# Against tshark -----------------------------------------------------------------------------------------------------

# A length of 0 is what segmentation offload leaves: Wireshark takes it silently in IPv4, and as no payload in IPv6.
OF_TWO_MINDS = {"ipv4.length.zero", "ipv6.length.zero"}


@pytest.mark.parametrize("packet", [UDP_PACKET, TCP_PACKET, Ether() / IPv6() / UDP(sport=9999, dport=9998) / b"hello"])
def test_tshark_complains_of_the_same_packets(packet: Packet, tmp_path: Path, tshark: Any) -> None:
    cases = {case.id: case for case in malformed(packet)}
    with pl.Writer(tmp_path / "m.pcapng") as writer:
        for case in cases.values():
            writer.write(pl.Frame(case.data, comment=case.id))
    check = ("-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE", "-o", "tcp.check_checksum:TRUE")
    fields = (
        "frame.comment",
        "_ws.malformed",
        "_ws.short",
        "_ws.expert.severity",
        "_ws.expert.message",
        "ip.checksum.status",
        "udp.checksum.status",
        "tcp.checksum.status",
    )
    rows = tshark(tmp_path / "m.pcapng", *fields, options=check)
    assert len(rows) == len(cases)
    for name, broken, short, severities, said, *statuses in rows:
        case = cases[name]
        if name in OF_TWO_MINDS:
            continue
        # Warnings have 6291456, errors 8388608; what is wrong with an option is a mere note.
        complains = bool(broken or short) or any(int(s) >= 6291456 for s in severities.split(",") if s)
        if case.faults:
            assert complains or "option length" in said, name
        if case.exact and not case.faults and not name.endswith(".cut") and not case.verdicts:
            assert not broken and not short, name
        for name_of_sum, status in zip(("IPv4.checksum", "UDP.checksum", "TCP.checksum"), statuses):
            if (name_of_sum, Verdict.BAD) in case.verdicts:
                assert status == "0", name


# On the command line -------------------------------------------------------------------------------------------------


def test_the_command_lists_explains_and_writes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = 'Ether() / IPv4(dst="10.0.0.2") / UDP(dport=9)'
    assert main(["malformed", words, "--list"]) == 0
    names = capsys.readouterr().out.splitlines()
    assert "udp.length.plus-one" in names
    assert main(["malformed", words]) == 0
    text = capsys.readouterr().out
    assert "to be reported: UDP.length: expected 9 bytes at offset 34, got 8" in text and "IPv4.checksum is bad" in text
    assert main(["malformed", words, "-w", str(tmp_path / "m.pcapng")]) == 0
    frames = list(Capture(tmp_path / "m.pcapng"))
    assert [frame.comment for frame in frames] == names
    assert "packets to" in capsys.readouterr().err
    assert main(["malformed", "UDP()", "-w", str(tmp_path / "u.pcapng")]) == 2
    assert "a first header that has a link type" in capsys.readouterr().err
    assert main(["malformed", "Ether() / IPv4() / UDP(length=99)"]) == 2
    assert "without faults to begin with" in capsys.readouterr().err
