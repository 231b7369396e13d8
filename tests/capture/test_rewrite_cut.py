"""Rewriting of frames of which only a part is here: cut by the capture, or a fragment."""

from __future__ import annotations

from typing import Any

import pytest

from packetlab import (
    GRE,
    U8,
    U16,
    UDP,
    Capture,
    Ether,
    Frame,
    Header,
    IPOption,
    IPv4,
    Octets,
    Verdict,
    auto,
    bindings,
    field,
    internet_checksum,
    size_of,
    sized,
)

E = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
MAPS: dict[str, Any] = {"ip": {"10.77.0.0/16": "172.16.0.0/16", "2001:db8:7777::/48": "2001:dead:beef::/48"}}
ENDS = {"src": "10.77.1.1", "dst": "10.77.2.2"}


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
            note: Octets = sized(field("n"))

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
