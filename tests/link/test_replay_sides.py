"""Replay from both sides: each frame leaves by its side's port, in order, and waits for the other side where requested."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from packetlab import TCP, UDP, BuildError, Capture, Ether, Frame, IPv4, IPv6, Lab
from packetlab.cli import main
from packetlab.link.port import Port
from packetlab.link.replay.replay_sides import replay_sides, same_behind_a_router
from tests.conftest import CORPUS


class Recorded(Port):
    """A port that notes on a list common to both what is sent, and gives what the other sent, changed or not at all."""

    def __init__(self, name: str, log: list[tuple[str, bytes]], loses: int = 0) -> None:
        self.name, self.log, self.loses = name, log, loses
        self.waiting: list[bytes] = []
        self.other: Recorded | None = None

    def _send(self, data: bytes) -> None:
        self.log.append((self.name, data))
        if self.loses:
            self.loses -= 1
        elif self.other is not None:
            self.other.waiting.append(data)

    def _receive(self, timeout: float | None) -> Frame | None:
        if self.waiting:
            self.log.append((f"{self.name} got", self.waiting[0]))
            return Frame(self.waiting.pop(0))
        return None

    def close(self) -> None:
        pass


def pair(loses: int = 0) -> tuple[Recorded, Recorded, list[tuple[str, bytes]]]:
    log: list[tuple[str, bytes]] = []
    one, other = Recorded("client", log, loses), Recorded("server", log)
    one.other, other.other = other, one
    return one, other, log


def conversation() -> list[Any]:
    there = Ether(src=1, dst=2) / IPv4(src="10.0.0.1", dst="10.0.0.2")
    back = Ether(src=2, dst=1) / IPv4(src="10.0.0.2", dst="10.0.0.1")
    return [(there if way == ">" else back) / UDP(sport=1, dport=2) / bytes([n]) for n, way in enumerate(">><><<>")]


FRAMES = [Frame(bytes(packet), n * 1000) for n, packet in enumerate(conversation())]


@pytest.mark.parametrize("pace", [{}, {"topspeed": True}, {"rate": 1e6}, {"mbps": 1000}])
def test_each_frame_leaves_by_its_own_side_in_order(pace: dict[str, Any]) -> None:
    client, server, log = pair()
    report = replay_sides(Capture.of(FRAMES), client, server, **pace)
    assert [data for _, data in log] == [frame.data for frame in FRAMES]
    assert "".join(name[0] for name, _ in log) == "ccscssc"
    assert (report.client.sent, report.server.sent, report.sent, report.failed, report.lost) == (4, 3, 7, 0, 0)
    assert bool(report.client.lateness_ns) != bool(pace.get("topspeed"))


def test_the_whole_of_a_file_twice_and_a_part_of_it() -> None:
    web = Capture(CORPUS / "web.pcap")
    client, server, log = pair()
    report = replay_sides(web.sides("port"), client, server, topspeed=True, loop=2)
    assert report.sent == 48 and {name for name, _ in log} == {"client", "server"}
    assert [data for _, data in log] == [frame.data for frame in web] * 2
    assert replay_sides(web, client, server, topspeed=True, count=5, loop=2).sent == 10


def test_a_side_waits_for_what_the_other_sent() -> None:
    client, server, log = pair()
    report = replay_sides(Capture.of(FRAMES), client, server, topspeed=True, wait=1.0)
    names = [name for name, _ in log]
    assert report.lost == 0 and names.count("server got") == 4 and names.count("client got") == 3
    seen: dict[str, int] = {"client": 0, "server": 0}
    sent: dict[str, int] = {"client": 0, "server": 0}
    for name in names:
        side, _, got = name.partition(" ")
        if got:
            seen[side] += 1
        else:
            # Before a side sends, all that the other has sent is there.
            assert seen[side] == sent["server" if side == "client" else "client"]
            sent[side] += 1


def test_what_does_not_arrive_is_counted_and_the_rest_goes_on() -> None:
    client, server, _ = pair(loses=1)
    report = replay_sides(Capture.of(FRAMES), client, server, topspeed=True, wait=0.001)
    assert report.lost == 1 and report.sent == 7 and "lost      1" in str(report)


def test_a_frame_is_known_behind_a_router_and_not_taken_for_another() -> None:
    for packet in (Ether() / IPv4(ttl=9) / UDP() / b"x", Ether() / IPv6(hop_limit=9) / TCP()):
        layer, name = (IPv4, "ttl") if IPv4 in packet else (IPv6, "hop_limit")
        sent, routed = bytes(packet), bytes(packet.replace(Ether, src=5).replace(layer, **{name: 8}))
        assert same_behind_a_router(sent, routed.ljust(60, b"\0")) and not same_behind_a_router(
            sent, routed[:-1] + b"\1"
        )
    assert not same_behind_a_router(b"", b"x") and same_behind_a_router(b"short", b"short")


def test_numbers_that_make_no_pace_are_refused() -> None:
    client, server, _ = pair()
    for wrong in ({"rate": 0}, {"speed": -1}, {"wait": 0}):
        with pytest.raises(BuildError, match="above 0"):
            replay_sides(Capture.of([]), client, server, **wrong)
    assert replay_sides(Capture.of([]), client, server).sent == 0


def test_both_sides_of_a_lab_wait_for_each_other(lab: Lab) -> None:
    a, b = lab.host("a"), lab.host("b")
    lab.link(a, b, delay=0.002)
    report = replay_sides(Capture.of(FRAMES), a.interface, b.interface, topspeed=True, wait=5.0)
    assert (report.client.sent, report.server.sent, report.failed, report.lost) == (4, 3, 0, 0)
    # Three times the direction changes, and the last frame is waited for too.
    assert report.client.duration_ns > 3 * 2_000_000


@pytest.mark.slow
def test_the_command_sends_by_two_interfaces(lab: Lab) -> None:
    tester, left, right = lab.host("tester"), lab.host("left"), lab.host("right")
    lab.link(tester, left)
    lab.link(tester, right)
    names = [interface.name for interface in tester.interfaces]
    words = ["-i", names[0], "-I", names[1], "--split", "port", "--topspeed"]
    done = tester.run(sys.executable, "-m", "packetlab", "replay", str(CORPUS / "web.pcap"), *words)
    assert done.returncode == 0, done.stderr
    sides = Capture(CORPUS / "web.pcap").sides("port")
    for host, side in ((left, sides.client), (right, sides.server)):
        expected = [frame.data for frame in side]
        got = [host.interface.receive_frame(timeout=5, where=TCP).data for _ in expected]
        assert got == expected
    assert done.stdout.startswith("client\nsent      ")


def test_the_command_refuses_half_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["replay", "x", "-i", "a", "-I", "b", "--split", "luck"])
    assert "first, port, cidr" in capsys.readouterr().err
    assert main(["replay", str(CORPUS / "web.pcap"), "--lab", "-I", "b"]) == 2
