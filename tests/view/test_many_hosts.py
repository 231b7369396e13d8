"""Ladders of many hosts: the busiest have lanes of their own, the others share one, and all grows with the packets only."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import pytest

import packetlab as pl
from packetlab import TCP, BuildError, Ether, Frame, Header, IPv4, TCPFlags
from packetlab.declare.kinds import fixed_bytes
from packetlab.view.flows import AGAIN, GAP, LATE, Remarks
from packetlab.view.ladder import LANES
from tests.growth import is_linear, peak, steps
from tests.view.cells import html_of


def scan(hosts: int) -> list[Frame]:
    """Return a SYN to as many hosts, and a talk with two of them."""

    def one(host: int, **fields: Any) -> bytes:
        address = f"10.1.{host >> 8}.{host & 255}"
        return bytes(Ether() / IPv4(src="10.0.0.1", dst=address) / TCP(sport=9, dport=80, **fields))

    found = [one(host, flags=TCPFlags.SYN, seq=1) for host in range(hosts)]
    found += [one(host, flags=TCPFlags.ACK, seq=2 + i) for i in range(5) for host in (hosts - 1, hosts - 2)]
    return [Frame(raw, i * 1000, number=i) for i, raw in enumerate(found, 1)]


@pytest.mark.slow
@pytest.mark.parametrize("measure", [steps, peak])
@pytest.mark.parametrize("form", [str, pl.view.ladder.Ladder.svg, pl.view.ladder.Ladder.mermaid, pl.view.ladder.Ladder._html],
                         ids=["text", "svg", "mermaid", "html"])  # fmt: skip
def test_a_scan_costs_as_much_a_host(form: Any, measure: Any) -> None:
    is_linear(lambda frames: form(pl.ladder(frames)), scan, 50, measure)


def test_the_busiest_have_lanes_and_who_shares_one_is_named() -> None:
    drawn = pl.ladder(scan(1000))
    assert len(drawn.columns) == LANES + 1
    assert drawn.columns[0] == "10.0.0.1"
    assert drawn.columns[-3:] == ("10.1.3.230", "10.1.3.231", f"{1001 - LANES} others")
    assert drawn.rows[500].destination == "10.1.1.244"  # what it stands for is still there
    head, *lines = str(drawn).split("\n")
    assert "989 others" in head
    assert "10.0.0.1 > 10.1.1.244: TCP" in lines[500]
    assert max(map(len, lines)) < 64 * (LANES + 2)
    for form in (drawn.svg(), html_of(drawn), drawn.mermaid()):
        assert "989 others" in form


def test_lanes_may_be_as_many_as_one_likes(tmp_path: Path) -> None:
    assert len(pl.ladder(scan(40), lanes=100).columns) == 41
    assert pl.ladder(scan(40), lanes=1).columns == ("10.0.0.1", "40 others")
    assert len(pl.ladder(scan(40)).part(0, 5).columns) == 6
    assert pl.ladder(scan(40), lanes=3).folded().columns[-1] == "38 others"
    with pytest.raises(BuildError, match="lanes: expected 1 or more"):
        pl.ladder([], lanes=0)


def test_a_host_may_be_called_as_the_others_are() -> None:
    drawn = pl.ladder(scan(13), {"10.0.0.1": "2 others"})
    assert drawn.columns[0] == "2 others"
    assert drawn.columns[-1] == "2 others more"


def test_addresses_of_any_width_are_named() -> None:
    class Wide(Header, under=Ether, when={"type": 0x4242}):
        src: Annotated[bytes, fixed_bytes(8)] = bytes(8)
        dst: Annotated[bytes, fixed_bytes(8)] = bytes(8)

    assert len(pl.ladder([Ether() / Wide(src=b"ABCDEFGH")]).columns) == 2


# Remarks ---------------------------------------------------------------------------------------------------------


def segments(numbers: list[int]) -> list[pl.Packet]:
    return [Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2") / TCP(sport=9, dport=80, seq=number, flags=TCPFlags.ACK) / bytes(10)
            for number in numbers]  # fmt: skip


def remarks(packets: list[pl.Packet]) -> list[list[str]]:
    heard = Remarks()
    return [heard.of(packet) for packet in packets]


def test_gaps_and_what_fills_them_cost_as_much_each() -> None:
    def make(count: int) -> list[pl.Packet]:
        return segments([20 * i for i in range(count)] + [20 * i + 10 for i in range(count)])

    is_linear(remarks, make, 80)
    assert remarks(make(3)) == [[], [GAP], [GAP], [LATE], [LATE], []]


def test_remarks_are_right_beyond_half_a_turn_of_the_numbers() -> None:
    third = 0x40000000
    at = [0, third, 2 * third, 3 * third, 4 * third % 2**32, 4 * third % 2**32]
    assert remarks(segments(at)) == [[], [GAP], [GAP], [GAP], [GAP], [AGAIN]]
    assert remarks(segments([100, 140, 120, 110, 120, 60, 60])) == [[], [GAP], [LATE], [LATE], [AGAIN], [LATE], [AGAIN]]
