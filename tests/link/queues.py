"""Ports whose queues fill up, and threads that wait at them."""

from __future__ import annotations

import errno
import socket
import threading
import time

from packetlab import Ether, dissect
from packetlab.engine.contract import Engine
from packetlab.link.socket_port import SocketPort
from packetlab.link.waits import Waits

PATIENCE = 20  # seconds for what is over at once


class Own(Exception):
    """A handler's."""


class Paired(SocketPort):
    """A port that is one end of a pair of sockets, whose queue fills up as that of a slow interface."""

    name = "paired"
    parallel = True

    def __init__(self) -> None:
        self._socket, self.far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._waits = Waits(self.name)
        self.taken = 0

    def _hand_over(self, data: bytes, gone: list[int]) -> None:
        super()._hand_over(data, gone)
        self.taken += 1

    def fill(self) -> int:
        """Fill the queue; return how many frames it took."""
        count = 0
        while self._put(b"x" * 100, []):
            count += 1
        return count

    def __del__(self) -> None:
        self.far.close()  # not when this end is closed: that would end a wait for room by itself


class Dropping(Paired):
    """A port on a queue that drops what it has no room for, and whose descriptor is ready all the time."""

    room = 0
    tries = 0

    def _hand_over(self, data: bytes, gone: list[int]) -> None:
        self.tries += 1
        if not self.room:
            raise OSError(errno.ENOBUFS, "No buffer space available")
        self.room -= 1
        super()._hand_over(data, gone)


def frame(number: int) -> bytes:
    return bytes(Ether(dst="02:00:00:00:00:02", src="02:00:00:00:00:01", type=0x88B5) / number.to_bytes(4, "big"))


def started(function, *given):
    ends: list[object] = []

    def run() -> None:
        try:
            ends.append(function(*given))
        except Exception as error:
            ends.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread, ends


def end_of(thread, ends):
    thread.join(PATIENCE)
    assert not thread.is_alive()
    return ends[0]


def at_rest(count) -> None:
    """Wait until a count does not grow any more."""
    seen, since = count(), time.monotonic()
    while time.monotonic() - since < 0.1:
        time.sleep(0.01)
        if count() != seen:
            seen, since = count(), time.monotonic()


class Many(Engine):
    """Sends frames in one turn."""

    def __init__(self, count: int) -> None:
        self.count = count

    def packets_to_send(self, now: int):
        packets = [dissect(frame(number)) for number in range(self.count)]
        self.count = 0
        return packets


def long_frame(number: int) -> bytes:
    return frame(number).ljust(1000, b"x")


def slow_down(host) -> None:
    command = ["tc", "qdisc", "replace", "dev", "eth0", "root", "tbf", "rate", "80bit", "burst", "3000", "limit"]
    host.run(*command, "100000000", check=True)
