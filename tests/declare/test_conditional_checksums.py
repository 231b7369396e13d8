"""Checksums that are not always there: `auto(choose(condition, sum, number))`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

import pytest

import packetlab as pl
from packetlab import (
    U8,
    U16,
    U32,
    Bytes,
    Capture,
    DeclareError,
    Ether,
    Header,
    IPv4,
    IPv4Address,
    Payload,
    Verdict,
    auto,
    bindings,
    but,
    choose,
    crc,
    crc32,
    declare_from,
    describe,
    dissect,
    field,
    fixed_bytes,
    internet_checksum,
    malformed,
    size_of,
    sum8,
    when,
)
from packetlab.schema.source import class_body
from tests.answers import tshark
from tests.conftest import need
from tests.wire.test_vary import same


class OSPF(Header):
    """Version 2: with cryptographic authentication the checksum is 0 and not looked at (RFC 2328 appendix D.4.3)."""

    version: U8 = 2
    type: U8 = 1
    length: U16 = auto(24 + size_of("payload"))
    router: IPv4Address = "10.0.0.1"  # type: ignore[assignment]
    area: IPv4Address = "0.0.0.0"  # type: ignore[assignment]
    checksum: U16 = auto(choose(field("autype") == 2, 0, internet_checksum("self", "payload", but("authentication"))))
    autype: U16 = 0
    authentication: Annotated[bytes, fixed_bytes(8)] = bytes(8)
    body: Payload


HELLO = bytes.fromhex("ffffff00 000a 02 01 00000028 0a000001 00000000")


def test_a_checksum_is_left_out_where_its_condition_says_so() -> None:
    plain, signed = dissect(bytes(OSPF() / HELLO), OSPF), dissect(bytes(OSPF(autype=2) / HELLO), OSPF)
    assert plain[OSPF].checksum and plain.verdict(OSPF) is Verdict.GOOD
    assert signed[OSPF].checksum == 0 and signed.verdict(OSPF) is Verdict.NOT_PRESENT and not signed.faults
    spoilt = dissect(bytes(OSPF(checksum=5) / HELLO), OSPF)
    assert spoilt.verdict(OSPF) is Verdict.BAD
    unlooked = dissect(bytes(OSPF(autype=2, checksum=5) / HELLO), OSPF)
    assert unlooked.verdict(OSPF) is Verdict.NOT_PRESENT and bytes(unlooked) == bytes(OSPF(autype=2, checksum=5) / HELLO)


def test_it_follows_when_what_it_goes_by_is_changed() -> None:
    plain, signed = dissect(bytes(OSPF() / HELLO), OSPF), dissect(bytes(OSPF(autype=2) / HELLO), OSPF)
    assert bytes(plain.replace(OSPF, autype=2)) == bytes(signed)
    assert bytes(signed.replace(OSPF, autype=0)) == bytes(plain)
    # What was there without need stays, as a wrong checksum does.
    assert dissect(bytes(OSPF(autype=2, checksum=0xFFFF) / HELLO), OSPF).replace(OSPF, type=4)[OSPF].checksum == 0xFFFF


def test_why_says_what_it_goes_by() -> None:
    plain, signed = dissect(bytes(OSPF() / HELLO), OSPF), dissect(bytes(OSPF(autype=2, checksum=5) / HELLO), OSPF)
    why = plain.why(OSPF, "checksum").splitlines()
    assert "  rule: internet(self, payload, but(authentication)) if autype != 2 else 0" in why
    assert "    autype = 0" in why and why[-1] == "  agrees with the rule"
    assert signed.why(OSPF, "checksum").splitlines()[2:] == [
        "    autype = 2", "    gives 0x0000", "  is not checked, since there is no checksum then",
    ]  # fmt: skip
    assert "checksum           0x0005  not present" in str(signed.show())


def test_tshark_takes_both_for_right(tmp_path: Path) -> None:
    need("tshark")
    low = Ether() / IPv4(src="10.0.0.1", dst="224.0.0.5", protocol=89, ttl=1)
    with pl.Writer(tmp_path / "made.pcap") as out:
        for header in (OSPF(), OSPF(autype=2, authentication=bytes.fromhex("0000 01 10 00000001")), OSPF(checksum=5)):
            out.write(low / header / (HELLO + bytes(16) * (header.autype == 2)))
    done = tshark("-n", "-r", tmp_path / "made.pcap", "-V")
    assert re.findall(r"\n {8}Checksum: 0x\w+ [\[(](\w+)", done.stdout) == ["correct", "None", "incorrect"]


def test_variations_and_rewriting_go_by_it() -> None:
    with bindings():
        pl.bind(OSPF, under=IPv4, when={"protocol": 89})
        packet = Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2") / OSPF(router="10.0.0.1") / HELLO
        same(packet.vary(30, {"ospf.autype": [0, 2, 1], "ospf.router": pl.seeded(4)}))
        read = [dissect(bytes(packet.replace(OSPF, autype=kind, type=number))) for kind in (0, 2, 1) for number in (1, 2)]
        read += [dissect(bytes(packet.replace(OSPF, autype=2, checksum=77)))]
        new = [frame.packet() for frame in Capture.of(read).rewrite(ip={"10.0.0.0/24": "192.168.7.0/24"})]
        assert [str(one[OSPF].router) for one in new] == ["192.168.7.1"] * 7
        assert [one.verdict(OSPF).name for one in new] == ["GOOD", "GOOD", "NOT_PRESENT", "NOT_PRESENT", "GOOD", "GOOD", "NOT_PRESENT"]
        assert [one[OSPF].checksum for one in new][-1] == 77 and new[2][OSPF].checksum == 0
        for case in [case for one in (read[0], read[2]) for case in malformed(one)]:
            assert not case.disagreements(), case
        # By what stands below, which a scan does not make.
        class Trailed(Header, under=IPv4, when={"protocol": 253}):
            router: IPv4Address = "10.0.0.1"  # type: ignore[assignment]
            check: U32 = auto(choose(field("IPv4.dscp") == 1, crc32("self"), 9))

        made = [Ether() / IPv4(dscp=tos) / Trailed() for tos in (0, 1)]
        assert [dissect(bytes(one)).verdict(Trailed).name for one in made] == ["NOT_PRESENT", "GOOD"]
        new = [frame.packet() for frame in Capture.of(made).rewrite(ip={"10.0.0.0/24": "192.168.7.0/24"})]
        assert [(str(one[Trailed].router), one.verdict(Trailed).name) for one in new] == [("192.168.7.1", "NOT_PRESENT"), ("192.168.7.1", "GOOD")]
        assert new[0][Trailed].check == 9
        same(made[0].vary(12, {"ipv4.dscp": [0, 1], "trailed.router": pl.seeded(4)}), vectorised=False)


def test_a_field_of_a_held_header_may_decide_and_files_keep_it() -> None:
    with bindings():
        class Flags(Header):
            secured: U8 = 0

        class Telegram(Header):
            flags: Flags = Flags()
            size: U8 = auto(size_of("data"))
            data: Bytes = b""
            check: U16 | None = when(field("size") > 0, auto(choose(field("flags.secured") == 0, crc("CRC-16/ARC", "self"), 1)))

        for secured, verdict, there in ((0, "GOOD", b"abc"), (1, "NOT_PRESENT", b"abc"), (0, "NOT_PRESENT", b"")):
            read = dissect(bytes(Telegram(flags=Flags(secured=secured), data=there)), Telegram)
            assert read.verdict(Telegram).name == verdict and not read.faults
            assert read[Telegram].check == (1 if secured and there else read[Telegram].check)
        wire = bytes(Telegram(flags=Flags(secured=1), data=b"abc"))
        described = describe(OSPF)
        (again,) = declare_from(described)
        assert describe(again) == described and bytes(again(autype=2) / HELLO) == bytes(OSPF(autype=2) / HELLO)
        assert "choose(field('autype') != 2, internet_checksum(" in class_body(described).replace('"', "'")
        assert wire[-2:] == b"\0\1"


@pytest.mark.parametrize(
    ("rule", "complaint"),
    [
        (lambda: choose(field("a"), crc32("self"), sum8("self")), r"choose\(...\): expected one checksum and a number, got .* \(.*each is a field of its own"),
        (lambda: choose(field("a"), crc32("self"), field("a")), r"choose\(...\): expected one checksum and a number"),
        (lambda: choose(field("a"), choose(field("b"), crc32("self"), 0), 0), r"join conditions with &"),
        (lambda: choose(field("c"), crc32("self"), 0), r"Made\.check: expected a field of Made, got c"),
        (lambda: choose(size_of("self") > 3, crc32("self"), 0), r"Made\.check: expected .*no more is known where the field is read"),
        (lambda: choose(field("check"), crc32("self"), 0), r"Made\.check: expected fields other than sums, which are worked out last, got check"),
        (lambda: choose(field("a"), crc32("self"), 1 << 40), r"Made\.check: expected 0\.\.4294967295 where there is no checksum"),
        (lambda: choose(field("a"), crc32("self"), 0) + 1, r"Made\.check: expected numbers"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(rule: Any, complaint: str) -> None:
    def make() -> None:
        class Made(Header):
            a: U8 = 0
            b: U8 = 0
            check: U32 = auto(rule())

    with bindings(), pytest.raises(DeclareError, match=complaint):
        make()


def test_what_is_in_files_is_bounded() -> None:
    described: Any = describe(OSPF)
    rule = next(f["rule"] for f in described["fields"] if f["name"] == "checksum")
    for wrong in ([*rule[:5], 5], [*rule[:5], ["field", "autype"], 1 << 20], [*rule[:5], ["field", "nosuch"], 0], [*rule, 3]):
        rule[:] = wrong
        with bindings(), pytest.raises(DeclareError):
            declare_from(described)
