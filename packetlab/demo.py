"""The demonstration: declare a header, send it through a lab, check what arrived, keep it, replay it, check again."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from packetlab.capture import Capture, Frame
from packetlab.declare.fields import auto
from packetlab.declare.kinds import Rest
from packetlab.declare.registry import bindings
from packetlab.declare.rules import size_of
from packetlab.declare.values.integers import U4, U16, U32
from packetlab.errors import NeedsPrivilege
from packetlab.escaping import printable
from packetlab.link.memory import memory_wire
from packetlab.link.replay.replay import replay
from packetlab.packet.packet import Header, Packet
from packetlab.protocols.link import Ether
from packetlab.protocols.xns import IDP, SPP, Control
from packetlab.sockets.networks import Lab
from packetlab.view.ladder import ladder

if TYPE_CHECKING:
    from packetlab.link.port import Port

NET, SOCKET_A, SOCKET_B = 0x401, 0x0BB8, 0x0777
MACS = {"a": 0x020000000001, "b": 0x020000000002}
WAIT = 5.0  # seconds for a frame to arrive


def run(path: str | None = None) -> int:
    """Run the demonstration, telling on standard output; return the exit status: 0, or 1 with the first difference."""
    with bindings():
        return _run(path)


def _run(path: str | None) -> int:
    class Reading(Header, under=SPP, when={"datastream": 7}):
        """A made-up sensor reading, carried by the sequenced packets of Xerox NS."""

        version: U4 = 1
        urgency: U4 = 0
        length: U16 = auto(size_of("self"))
        station: U32
        note: Rest = b""

    print("A header of our own, over SPP over IDP over Ethernet:\n")
    notes = [b"all quiet", b"wind rising", b"storm", b""]
    packets = [_packet(Reading(station=7 + n, urgency=n, note=note), n) for n, note in enumerate(notes)]
    print(packets[0].show(), "\n")

    with _wire() as (port_a, port_b, kind):
        print(f"Sending {len(packets)} packets from host a to host b over {kind}.\n")
        for packet in packets:
            port_a.send(packet)
        arrived = list(port_b.capture(count=len(packets), timeout=WAIT, where=IDP()))
        print(ladder(arrived, _names()), "\n")
        if not _check("received", packets, arrived):
            return 1

        memory = io.BytesIO()  # so that nothing is left behind, whatever ends this
        count = Capture.of(arrived).write(path or memory)
        where = printable(path) if path else "a file in memory (-w FILE keeps it)"
        print(f"Wrote {count} frames to {where}.")
        memory.seek(0)
        report = replay(Capture(path or memory), onto=port_a, speed=1.0, progress=False)
        again = list(port_b.capture(count=len(packets), timeout=WAIT, where=IDP()))
        print(f"Replayed that file:\n{report}\n")
        return 0 if _check("replayed", packets, again) else 1


def _packet(header: Header, number: int) -> Packet:
    return (
        Ether(dst=MACS["b"], src=MACS["a"])
        / IDP(dst=(NET, MACS["b"], SOCKET_B), src=(NET, MACS["a"], SOCKET_A))
        / SPP(control=Control.END_OF_MESSAGE, datastream=7, source_id=1, destination_id=1, seq=number, alloc=4)
        / header
    )


def _names() -> dict[str, str]:
    names = {}
    for host, socket in (("a", SOCKET_A), ("b", SOCKET_B)):
        address = IDP(src=(NET, MACS[host], socket)).src
        names[str(address)] = f"{host}  {address}"
    return names


@contextmanager
def _wire() -> Iterator[tuple[Port, Port, str]]:
    """Two ports on one wire: in a lab, or in memory where the kernel refuses one."""
    try:
        lab = Lab().open()
    except NeedsPrivilege as refusal:
        print(f"No lab here: {refusal}.\nThe same goes over a wire in memory instead.\n")
        one, other = memory_wire()
        with one, other:
            yield one, other, "a wire in memory"
        return
    with lab:
        a, b = lab.host("a"), lab.host("b")
        lab.link(a, b)
        yield a.interface, b.interface, "a rootless lab"


def _check(what: str, packets: list[Packet], frames: list[Frame]) -> bool:
    """Compare field by field what was sent with what arrived; tell the verdict."""
    fields = 0
    for number, packet in enumerate(packets, 1):
        if number > len(frames):
            return _verdict(False, f"packet {number} of {len(packets)} never arrived")
        got = frames[number - 1].packet()
        if got.faults:
            return _verdict(False, f"packet {number}: {got.faults[0]}")
        difference = packet.diff(got)
        if difference:
            return _verdict(False, f"packet {number}: sent != {what}\n{difference}")
        fields += sum(len(header._fields) for header in got.layers)
        bad = [name for name, verdict in got.verdicts().items() if not verdict]
        if bad:
            return _verdict(False, f"packet {number}: {bad[0]} is wrong")
    return _verdict(True, f"{len(packets)} packets {what}, {fields} fields equal to what was sent, checksums good")


def _verdict(good: bool, text: str) -> bool:
    word = "PASS" if good else "FAIL"
    if sys.stdout.isatty():
        word = f"\x1b[{32 if good else 31};1m{word}\x1b[0m"
    print(f"{word}  {text}\n")
    return good
