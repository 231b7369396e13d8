"""Engines face to face: two hosts whose packets are handed over as they are, with no link and no delay between."""

from __future__ import annotations

from collections import deque

from packetlab import Stalled
from packetlab.capture import Frame
from packetlab.link.event_loop import EventLoop, Files
from packetlab.link.port import Attachment, Port
from packetlab.network.host import IN_VIRTUAL_TIME
from packetlab.sockets.networks import Talker


class Pairwise(EventLoop):
    def __init__(self) -> None:
        super().__init__()
        self.time = 0
        self.handed: deque[tuple[Side, bytes]] = deque()
        a, b = Side(self, "a", 1), Side(self, "b", 2)
        a.other, b.other = b, a
        self.hosts = a, b

    @property
    def now(self) -> int:
        return self.time

    def step(self, until: int | None, what: str, files: Files = (), since: int | None = None) -> bool:
        if self.handed:
            side, data = self.handed.popleft()
            for port in side.ports:
                if port.driver is not None:
                    port.driver.take(port, data, self.time)
                    port.driver.poll(self.time)
            self._follow()
            return True
        due = self._next_due()
        if due is None and until is None:
            raise Stalled(what, "something that can still happen", "nothing")
        if due is None or (until is not None and due > until):
            self.time = max(self.time, until or 0)
            return False
        self.time = max(self.time, due)
        self._poll_due(self.time)
        return True


class Side(Talker):
    timing = IN_VIRTUAL_TIME

    def __init__(self, loop: Pairwise, name: str, number: int) -> None:
        self.loop, self.name = loop, name
        self.mac = b"\2\0\0\0\0" + bytes([number])
        self.ports: list[Line] = []
        self.other: Side

    @property
    def attachments(self) -> list[Attachment]:
        return [Attachment(0x401, "ethernet", self.mac, lambda **_: Line(self))]

    def _first_id(self) -> int:
        return 1


class Line(Port):
    def __init__(self, side: Side) -> None:
        self.side, self.name, self.driver = side, f"line of {side.name}", None
        side.ports.append(self)

    def _send(self, data: bytes) -> None:
        self.side.loop.handed.append((self.side.other, data))

    def _receive(self, timeout: float | None) -> Frame | None:
        return None

    def close(self) -> None:
        self.side.ports.remove(self)
