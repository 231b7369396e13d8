"""Packet exchange: a request, repeated until its reply comes (Xerox's PEX; 4.4BSD leaves it to programs)."""

from __future__ import annotations

from collections.abc import Callable
from errno import EINVAL, EMSGSIZE, ENETUNREACH
from math import inf
from typing import Any

from packetlab.declare.values.addresses import XNSAddress
from packetlab.engine.contract import SECOND, Endpoint, Ignored
from packetlab.errors import PacketlabError, SocketMisuse, broken, unbuildable
from packetlab.packet.packet import Header, Packet
from packetlab.protocols.xns import IDP, PEX, ErrorNumber

LARGEST = 540  # bytes of data
DATA = (bytes, bytearray, memoryview, Packet, Header)


class Exchange(Endpoint):
    """One request and its reply.

    Args:
        data: 540 bytes at most. id: any number that the last requests did not have.
        interval: seconds between repeats. tries: requests sent at most, the last waited for as long as the others.
    """

    def __init__(
        self, local: XNSAddress, remote: XNSAddress, data: bytes, *,
        id: int, client_type: int = 0, interval: float = 1.0, tries: int = 5,
    ) -> None:  # fmt: skip
        super().__init__()
        data = check_request("PEX request", data, interval, tries)
        self.id = id
        self.reply: Packet | None = None
        self.error: OSError | None = None
        self._remote, self._interval, self._tries = remote, int(interval * SECOND), tries
        self._request = IDP(dst=remote, src=local) / PEX(id=id, client_type=client_type) / data
        self._due = True
        self._next_at: int | None = None

    def receive(self, packet: Packet, now: int) -> None:
        """Take in the reply, by the rules of the headers: same id, from where the request went, or from any that heard it."""
        if self.over or PEX not in packet or not packet.answers(self._request):
            self._events.append(Ignored(packet, f"PEX: not the reply to request {self.id}"))
        else:
            self.reply = packet

    def troubled(self, packet: Packet, number: int, now: int) -> None:
        """Take in an Error: nobody answers there."""
        if number == ErrorNumber.NO_SOCKET:
            self.error = broken(ConnectionRefusedError, f"PEX to {self._remote}: nobody has that socket")
        elif number == ErrorNumber.UNREACHABLE:
            self.error = OSError(ENETUNREACH, f"PEX to {self._remote}: no route to its network")
        else:
            self._events.append(Ignored(packet, f"PEX: Error {number:#x} changes nothing"))

    def unbuilt(self, error: PacketlabError, now: int) -> None:
        """Take in that the request cannot be built."""
        self.error = unbuildable(error, f"PEX to {self._remote}")

    def packets_to_send(self, now: int) -> list[Packet]:
        """Hand out the request when it is due."""
        if not self._due or self.over:
            return []
        self._due, self._tries, self._next_at = False, self._tries - 1, now + self._interval
        return [self._request]

    def next_timeout(self) -> int | None:
        """Return when the request is repeated."""
        return None if self.over else self._next_at

    def on_time(self, now: int) -> None:
        """Repeat, or give up."""
        if self._next_at is None or now < self._next_at:
            return
        if self._tries:
            self._due = True
        else:
            self.error = broken(TimeoutError, f"PEX to {self._remote}: no reply")

    @property
    def over(self) -> bool:
        """Whether the reply is there, or will not come."""
        return self.reply is not None or self.error is not None


def check_request(where: str, data: Any, interval: Any, tries: Any) -> bytes:
    """Return the data of a request. TypeError: they are none. SocketMisuse: too many, or no such interval or tries."""
    if not isinstance(data, DATA):
        raise TypeError(f"{where}: data: expected bytes, or a packet, got {type(data).__name__}")
    raw, number = bytes(data), isinstance(interval, (int, float)) and not isinstance(interval, bool)
    if len(raw) > LARGEST:
        hint = "a connection takes more"
        raise SocketMisuse(EMSGSIZE, where, f"at most {LARGEST} bytes of data", f"{len(raw)}", hint)
    if not (number and 0 < interval < inf):
        raise SocketMisuse(EINVAL, f"{where}: interval", "seconds, more than 0", f"{interval!r:.60}", "1.0 is usual")
    if not isinstance(tries, int) or isinstance(tries, bool) or tries < 1:
        raise SocketMisuse(EINVAL, f"{where}: tries", "1 or more requests", f"{tries!r:.60}", "5 is usual")
    return raw


class Responder(Endpoint):
    """Answers requests: `answer` gets the request packet and returns the reply's data, or None for no reply."""

    def __init__(self, answer: Callable[[Packet], bytes | None]) -> None:
        super().__init__()
        self._answer = answer
        self._outbox: list[Packet] = []

    def receive(self, packet: Packet, now: int) -> None:
        """Answer a request."""
        pex, idp = packet.get(PEX), packet[IDP]
        data = self._answer(packet) if pex is not None else None
        if data is not None and not isinstance(data, DATA):
            got = type(data).__name__
            raise TypeError(f"answer at {idp.dst}: expected bytes from its function, or None for no reply, got {got}")
        if pex is None or data is None:
            self._events.append(Ignored(packet, "PEX: no request, or one without an answer"))
        else:
            reply = PEX(id=pex.id, client_type=pex.client_type)
            # The node says who it is: the request may have gone to everybody, or to a network that the host is not on.
            self._outbox.append(IDP(dst=idp.src, src=XNSAddress(0, 0, idp.dst.socket)) / reply / data)

    def packets_to_send(self, now: int) -> list[Packet]:
        """Hand out replies."""
        out, self._outbox = self._outbox, []
        return out
