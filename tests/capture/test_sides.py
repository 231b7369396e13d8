"""Which side sent a frame, held to tcpprep 4.4.3 where it says it, and to what is meant where it does not."""

from __future__ import annotations

import csv
from typing import Any

import pytest

from packetlab import ARP, TCP, UDP, VLAN, BuildError, Capture, Ether, Frame, IPv4, IPv6, LinuxSLL, RawIP
from tests.conftest import CORPUS, ORACLE

with open(ORACLE / "tcpprep" / "SIDES.tsv", encoding="utf-8") as table:
    ROWS = [row for row in csv.DictReader(table, delimiter="\t") if "truncated" not in row["input"]]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['input']}-{row['way']}")
def test_sides_are_those_of_tcpprep(row: dict[str, str]) -> None:
    way = row["way"]
    servers = [one.strip("[]") for one in row["option"].split(",")] if way in ("cidr", "mac") else None
    # Its primary interface has what goes to well-known ports, and who is first seen sending, but also the servers named.
    primary = "client" if way in ("first", "port") else "server"
    for (frame, side), said in zip(
        Capture(CORPUS / row["input"]).sides(way, servers).pairs(), row["sides"], strict=True
    ):
        layers = [layer for layer in frame.packet().layers if not isinstance(layer, (Ether, VLAN, RawIP, LinuxSLL))]
        if not layers or not isinstance(layers[0], (IPv4, IPv6)):
            continue  # it does not look after other headers; nor does it say for frames without IP
        if way == "first" and isinstance(layers[0], IPv6):
            continue  # it calls each IPv6 host a client
        if way == "port" and not (
            len(layers) > 1 and isinstance(layers[1], (TCP, UDP)) and min(layers[1].sport, layers[1].dport) < 1024
        ):
            continue  # it calls the frames of both ends a server's where no port is well known
        assert (side == primary) == (said == "P"), frame.number


def between(a: str, b: str, sport: int, dport: int, macs: tuple[int, int] = (1, 2)) -> Any:
    return Ether(src=macs[0], dst=macs[1]) / IPv4(src=a, dst=b) / UDP(sport=sport, dport=dport)


def sides(*packets: Any, **ways: Any) -> str:
    reported = Capture.of(Frame(bytes(packet)) for packet in packets).sides(**ways)
    assert list(reported) == list(reported) == [side for _, side in reported.pairs()]
    return "".join(side[0] for side in reported)


there, back = between("10.0.0.1", "10.0.0.2", 5000, 6000), between("10.0.0.2", "10.0.0.1", 6000, 5000, (2, 1))


def test_who_is_first_seen_sending_is_a_client() -> None:
    assert sides(there, back, there) == "csc" and sides(back, there) == "cs"
    six = [Ether() / IPv6(src=a, dst=b) / TCP() for a, b in (("::1", "::2"), ("::2", "::1"), ("::3", "::2"))]
    assert sides(*six) == "csc"


def test_without_a_well_known_port_who_began_is_the_client() -> None:
    assert sides(back, there, back, by="port") == "csc"
    assert sides(between("1.1.1.1", "2.2.2.2", 53, 999), between("2.2.2.2", "1.1.1.1", 80, 5000), by="port") == "cs"


def test_servers_are_named_by_network_or_address() -> None:
    assert sides(there, back, by="cidr", servers="10.0.0.2/32") == "cs"
    assert sides(there, back, by="cidr", servers=["::/0"]) == "cc"
    assert sides(there, back, by="mac", servers=["00:00:00:00:00:01"]) == "sc"
    assert sides(there, back, by=lambda packet: packet[UDP].sport == 5000) == "sc"
    assert sides(there, by=lambda packet: "server") == "s"


def test_frames_without_ip_are_of_the_side_their_host_is_on() -> None:
    ask = Ether(src=1) / ARP(sender_mac=1, sender_ip="10.0.0.1", target_ip="10.0.0.2")
    answer = Ether(src=2, dst=1) / ARP(
        operation=2, sender_mac=2, sender_ip="10.0.0.2", target_mac=1, target_ip="10.0.0.1"
    )
    assert sides(ask, answer, there, back, answer, ask) == "cscssc"


def test_each_side_is_a_capture_of_its_own() -> None:
    capture = Capture(CORPUS / "web.pcap")
    reported = capture.sides()
    assert [f.number for f in reported.client] == [f.number for f, side in reported.pairs() if side == "client"]
    assert reported.client.count() + reported.server.count() == 24
    assert {str(f.packet()[IPv4].src) for f in reported.server} & {
        str(f.packet()[IPv4].src) for f in reported.client
    } == set()
    assert list(Capture.of([]).sides()) == [] and list(Capture.of([]).sides().server) == []


@pytest.mark.parametrize(
    "ways", [{"by": "luck"}, {"by": "cidr"}, {"by": "mac", "servers": ["x"]}, {"by": "cidr", "servers": ["x"]}]
)
def test_ways_that_are_none_are_refused(ways: dict[str, Any]) -> None:
    with pytest.raises(BuildError, match="sides"):
        Capture.of([]).sides(**ways)


def test_sides_say_what_they_tell_apart_and_how() -> None:
    capture = Capture(CORPUS / "web.pcap")
    assert repr(capture.sides("port")) == f"<Sides of {capture!r} by port>"
    assert repr(capture.sides(lambda packet: True)).endswith(" by <lambda>>")
