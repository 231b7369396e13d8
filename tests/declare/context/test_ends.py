"""Whose packet it is, in keys: the address of whatever network layer stands below, and no key where nothing tells it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from packetlab import (
    IDP,
    IPX,
    MAC,
    U8,
    U12,
    UDP,
    Bytes,
    Capture,
    Context,
    Ether,
    Frame,
    Header,
    IPv4,
    Rest,
    Writer,
    bindings,
    default,
    dissect,
    field,
    link_type,
    recalled,
    receiver,
    sender,
    sized,
)
from packetlab.capture.frame import InterfaceDescription

with bindings():

    class Told(Header, remembers={("size", sender()): field("size")}):
        size: U8 = 1

    class Used(Header):
        body: Bytes = sized(recalled("size", sender()), b"")
        rest: Rest = b""

    class Answer(Header):
        body: Bytes = sized(recalled("size", receiver()), b"")
        rest: Rest = b""

    class Mesh(Header):
        src: U12 = 0
        dst: U12 = 0

    class Node(Header, pseudo=("source", "target")):
        source: MAC = default("02:00:00:00:00:01")
        target: MAC = default("02:00:00:00:00:02")



HOSTS: dict[str, tuple[Any, Any, Any]] = {
    "IDP": (IDP(src="1.1.5"), IDP(src="1.2.5"), IDP(dst="1.1.5")),
    "socket of IDP": (IDP(src="1.1.5"), IDP(src="1.1.6"), IDP(dst="1.1.5")),
    "IDP over Ether": (Ether() / IDP(src="1.1.5"), Ether() / IDP(src="1.2.5"), Ether() / IDP(dst="1.1.5")),
    "IPX": (IPX(src="1.1.5"), IPX(src="1.2.5"), IPX(dst="1.1.5")),
    "IPX in IPv4": (IPv4() / IPX(src="1.1.5"), IPv4() / IPX(src="1.2.5"), IPv4() / IPX(dst="1.1.5")),
    "Ether": (Ether(src="02:00:00:00:00:01"), Ether(src="02:00:00:00:00:02"), Ether(dst="02:00:00:00:00:01")),
    "numbers": (Mesh(src=1, dst=9), Mesh(src=2, dst=9), Mesh(src=9, dst=1)),
    "names of their own": (Node(), Node(source="02:00:00:00:00:09"), Node(target="02:00:00:00:00:01")),
    "numbers over UDP": (
        IPv4(src="10.0.0.1") / UDP(sport=7) / Mesh(src=5),
        IPv4(src="10.0.0.2") / UDP(sport=7) / Mesh(src=5),
        IPv4(dst="10.0.0.1") / UDP(dport=7) / Mesh(dst=6),
    ),
}


@pytest.mark.parametrize("what", HOSTS)
def test_each_host_has_said_its_own(what: str) -> None:
    one, other, back = HOSTS[what]
    with Context():
        bytes(one / Told(size=1))
        bytes(other / Told(size=3))
        assert b"abc" in bytes(one / Used(body=b"a", rest=b"bc"))
        assert b"abc" in bytes(other / Used(body=b"abc", rest=b""))
        assert b"abc" in bytes(back / Answer(body=b"a", rest=b"bc"))
        below = (one / Used(body=b"a")).layers[:-1]
        assert dissect(b"abc", Used, below=below)[Used].body == b"a"


def test_captures_of_idp_tell_hosts_apart() -> None:
    with bindings():

        class Asked(Header, under=IDP, when={"packet_type": 99}, remembers={("z", sender()): field("n")}):
            n: U8 = 1

        class Sent(Header, under=IDP, when={"packet_type": 98}):
            body: Bytes = sized(recalled("z", sender()), b"")
            rest: Rest = b""

        capture = Capture.of([
            Ether() / IDP(src="1.1.5") / Asked(n=1),
            Ether() / IDP(src="1.2.5") / Asked(n=3),
            Ether(type=0x600) / IDP(src="1.1.5", packet_type=98) / b"abcdef",
            Ether(type=0x600) / IDP(src="1.2.5", packet_type=98) / b"abcdef",
        ])
        assert [capture[i].packet()[Sent].body for i in (2, 3)] == [b"a", b"abc"]
        assert not capture[2].packet().faults


def test_lines_without_addresses_are_told_apart_by_the_interface_of_their_frames(tmp_path: Path) -> None:
    with bindings():

        class Serial(Header):
            kind: U8 = 0

        class Agreed(Header, under=Serial, when={"kind": 1}, remembers={("serial size", sender()): field("size")}):
            size: U8 = 1

        class Filled(Header, under=Serial, when={"kind": 2}):
            body: Bytes = sized(recalled("serial size", sender()), b"")
            rest: Rest = b""

        link_type(147, Serial)
        lines = [InterfaceDescription(147, name=f"line {n}", number=n) for n in range(3)]
        sent = [(0, Serial(kind=1) / Agreed(size=1)), (1, Serial(kind=1) / Agreed(size=3)), (0, b"\2abcdef"), (1, b"\2abcdef"), (2, b"\2abcdef")]
        frames = [Frame(bytes(packet), time, interface=lines[line]) for time, (line, packet) in enumerate(sent)]
        path = tmp_path / "lines.pcapng"
        with Writer(path) as writer:
            for frame in frames:
                writer.write(frame)
        for capture in (Capture.of(frames), Capture(path)):
            assert [capture[k].packet()[Filled].body for k in (3, 2)] == [b"abc", b"a"]
            assert [fault.field for fault in capture[4].packet().faults] == ["body"]
            with capture[3].context():
                assert bytes(Serial(kind=2) / Filled(body=b"xyz")) == b"\2xyz"
