"""The relay: stands in the middle of an impaired link of a lab, in a process of its own.

Frames that come in on one interface go out on the other when, and if, the link's `Impairment` lets them. It runs apart so
that the pace of the link does not depend on what the lab's program is doing. Its control socket brings changes;
when that closes, it ends.
"""

from __future__ import annotations

import heapq
import json
import os
import select
import socket
import subprocess
import sys
import time
from itertools import count
from pathlib import Path
from typing import Any

from packetlab.link.impairment import both_ways
from packetlab.link.interface import Interface

LARGEST = 65536


class Relay:
    """The lab's side: starts the process, and tells it what to change.

    Args:
        names: of the two ends. sockets: packet sockets in the relay's namespace. shape: see `Impairment`.
    """

    def __init__(
        self, names: tuple[str, str], sockets: tuple[socket.socket, socket.socket], seed: Any, shape: Any
    ) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        numbers = [theirs.fileno(), *(each.fileno() for each in sockets)]
        home = str(Path(__file__).parents[2])
        path = os.pathsep.join(filter(None, [home, os.environ.get("PYTHONPATH", "")]))
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-c", "from packetlab.link.relay import main; main()", *map(str, numbers)],
                pass_fds=numbers, stdin=subprocess.DEVNULL, start_new_session=True,
                env={**os.environ, "PYTHONPATH": path},
            )  # fmt: skip
        for each in sockets:
            each.close()
        self._ask({"names": names, "seed": str(seed), "shape": shape})

    def tell(self, **changes: Any) -> None:
        """Change attributes of the impairments of both directions, at once."""
        self._ask(changes)

    def _ask(self, request: Any) -> None:
        self._control.send(json.dumps(request, default=sorted).encode())
        if not self._control.recv(LARGEST):
            raise OSError("the relay of an impaired link has ended")

    def close(self) -> None:
        """End it."""
        self._control.close()
        self._process.wait()


def main() -> None:
    """Relay frames between two packet sockets, given by their descriptors, until the control socket closes."""
    control, one, other = (socket.socket(fileno=int(number)) for number in sys.argv[1:4])
    request = json.loads(control.recv(LARGEST))
    names = request["names"]
    shaped = both_ways(names, request["seed"], **request["shape"])
    ports = [Interface(f"eth{i}", promiscuous=True, socket=end) for i, end in enumerate((one, other))]
    control.send(b"ready")
    waiting: list[tuple[int, int, int, bytes]] = []  # when, order, to which port, frame
    order = count()
    while True:
        wait = max(0.0, (waiting[0][0] - time.monotonic_ns()) / 1e9) if waiting else None
        sources: list[Any] = [control, *ports]
        ready, _, _ = select.select(sources, [], [], wait)
        if control in ready:
            changes = control.recv(LARGEST)
            if not changes:
                return
            for impairment in shaped.values():
                impairment.change(**json.loads(changes))
            control.send(b"done")
        for place, port in enumerate(ports):
            while port in ready and (frame := port._receive(0.0)) is not None:
                arrivals, _ = shaped[names[place]].frame(frame.data, time.monotonic_ns())
                for at, data in arrivals:
                    heapq.heappush(waiting, (at, next(order), 1 - place, data))
        while waiting and waiting[0][0] <= time.monotonic_ns():
            _, _, place, data = heapq.heappop(waiting)
            try:
                ports[place]._send(data)
            except OSError:
                pass  # longer than the link allows: lost, as on any link
