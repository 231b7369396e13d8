"""One request over a port, and what was received: its reply, or why each other packet was none.

Works wherever a port is: on a simulated network in virtual time, in a lab, on an interface. Which packet answers is said
by the reply rules of its headers (`pattern.replies`), or by a pattern. `NetworkHost.exchange` is not this: it speaks PEX, and is
an engine.
"""

from __future__ import annotations

import select
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from packetlab.capture import Frame, matcher
from packetlab.declare.values.addresses import mac_bytes
from packetlab.engine.contract import nanoseconds
from packetlab.errors import BuildError
from packetlab.link.event_loop import EventLoop
from packetlab.link.interface import Interface
from packetlab.link.port import Port, place
from packetlab.link.waits import Stop
from packetlab.packet.coerce import as_packet
from packetlab.packet.diff_sequences import brief
from packetlab.packet.packet import Header, Packet
from packetlab.pattern.match import explain_match
from packetlab.pattern.replies import reasons, ruled
from packetlab.protocols.link import Ether

KEPT = 1000  # packets that did not match, remembered with their reasons


@dataclass
class Exchanged:
    """The outcome of a request. True where a reply came.

    Attributes:
        request: the packet sent. sent: how many times. reply: None where none came.
        round_trip: seconds from the last time it was sent to the reply. others: the packets that came and were no
            reply, each with why not.
    """

    request: Packet
    sent: int = 0
    reply: Packet | None = None
    round_trip: float | None = None
    others: list[tuple[Packet, str]] = field(default_factory=list)

    @property
    def retransmissions(self) -> int:
        """How many times it was sent again."""
        return max(0, self.sent - 1)

    def __bool__(self) -> bool:
        return self.reply is not None

    def __str__(self) -> str:
        times = "once" if self.sent == 1 else f"{self.sent} times"
        lines = [f"sent {times}: {brief(self.request)}"]
        if self.reply is not None:
            lines.append(f"reply after {self.round_trip:.6f} s: {brief(self.reply)}")
        else:
            lines.append("no reply")
        for packet, why in self.others:
            lines.append(f"not a reply: {brief(packet)}")
            lines += ["  " + line for line in why.splitlines()]
        return "\n".join(lines)


def exchange(
    send: Packet | Header, expect: object = None, *, via: Any, timeout: float = 1.0, retries: int = 0,
    to: object = "ff:ff:ff:ff:ff:ff", link: int = 0, stop: Stop | None = None,
) -> Exchanged:  # fmt: skip
    """Send a packet and wait for what answers it.

    Args:
        expect: what the reply is: a prototype, a header class or a function of a packet. None: what the reply rules
            of the headers sent say.
        via: a host (of a simulated network, a lab, or this machine), a port, or the name of an interface.
        timeout: seconds to wait after each time it is sent, by the clock of `via`. retries: times to send it again.
        to: MAC address it goes to, where it does not begin with Ether and goes by a host.
        link: which of the host's links, from 0. stop: a `threading.Event`: ends it when set, as without a reply.

    Raises:
        BuildError: nothing says what a reply is. PacketlabError: the host has no such link; a `LocalHost` that was given
        no interface sends nothing but through the kernel's sockets. OSError: the interface refuses. NeedsPrivilege: as `Interface`.
    """
    request = as_packet(send)
    if expect is None and not ruled(request):
        names = " / ".join(type(h).__name__ for h in request.layers) or "an empty packet"
        raise BuildError("exchange", "expect=, or a header with reply rules", names)
    if isinstance(via, Port):
        return _exchange(request, expect, via, None, timeout, retries, stop)
    loop: EventLoop | None = None
    if isinstance(via, str):
        port: Port = Interface(via)
    else:
        if not hasattr(via, "attachments"):
            raise BuildError("exchange: via", "a host, a port, or the name of an interface", type(via).__name__)
        attachment, loop = place(via, link, "exchange"), via.loop
        port = attachment.open()
        if not isinstance(request._headers[0] if request._headers else None, Ether):
            request = Ether(dst=mac_bytes(to), src=attachment.mac) / request
    try:
        return _exchange(request, expect, port, loop, timeout, retries, stop)
    finally:
        port.close()


def _exchange(
    request: Packet, expect: object, port: Port, loop: EventLoop | None, timeout: float, retries: int, stop: Stop | None
) -> Exchanged:  # fmt: skip
    result = Exchanged(request)
    data = bytes(request)
    fits = matcher(expect)
    nanoseconds(timeout, "exchange: timeout")  # refused before anything is sent
    receive = None if loop is None or port.virtual else partial(_next, port, loop)
    while result.sent <= retries and not (stop is not None and stop.is_set()):
        start = port._now()
        if not port._send_unless(data, stop):
            break
        result.sent += 1
        for frame in port._arriving(timeout, receive, stop):
            if frame.data == data:
                continue  # our own, from a port that hears itself
            packet = frame.packet()
            why = _why_not(packet, request, expect, fits)
            if not why:
                result.reply, result.round_trip = packet, (port._now() - start) / 1e9
                return result
            if len(result.others) < KEPT:
                result.others.append((packet, why))
    return result


def _why_not(packet: Packet, request: Packet, expect: object, fits: Callable[[Packet], object]) -> str:
    if expect is None:
        return "\n".join(reason.text for reason in reasons(packet, request))
    if fits(packet):
        return ""
    return "\n".join(explain_match(expect, packet) or ["the function says no"])


def _next(port: Port, loop: EventLoop, seconds: float | None) -> Frame | None:
    """Return the next frame; while it is waited for, the hosts of the same time go on living."""
    if port.fileno() < 0:
        return port._receive(seconds)
    try:
        return loop.wait(
            lambda: port._receive(0.0), f"{port.name}: exchange", seconds, [(port.fileno(), select.POLLIN)]
        )
    except TimeoutError:
        return None
