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
from contextlib import suppress
from itertools import count
from pathlib import Path

from packetlab.errors import PacketlabError
from packetlab.link.impairment import both_ways
from packetlab.link.interface import Interface
from packetlab.link.port import BATCH
from packetlab.link.waits import explained, of_parent

LARGEST = 65536
START = """
import sys, importlib.util as util
found = util.spec_from_file_location("packetlab", sys.argv.pop(1))
sys.modules["packetlab"] = package = util.module_from_spec(found)
found.loader.exec_module(package)
from packetlab.link.lab.relay import main
main()
"""


class Relay:
    """The lab's side: starts the process, and tells it what to change.

    Args:
        names: of the two ends. sockets: packet sockets in the relay's namespace. shape: see `Impairment`.
    """

    def __init__(
        self,
        names: tuple[str, str],
        sockets: tuple[socket.socket, socket.socket],
        seed: int | str,
        shape: dict[str, object],
    ) -> None:
        self._names, self._trouble, self._owner = names, "", os.getpid()
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        numbers = [theirs.fileno(), *(each.fileno() for each in sockets)]
        # It imports this very package, and nothing from the folder that the lab's program happens to be in.
        place = Path(__file__).parents[2] / "__init__.py"
        paths = [str(Path(path).absolute()) for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", START, str(place), *map(str, numbers)],
                pass_fds=numbers, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd="/", start_new_session=True,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            )  # fmt: skip
        except OSError as error:
            self._control.close()
            raise explained(f"link {' -- '.join(names)}, its relay", error.errno, error.strerror) from None
        finally:
            for each in (theirs, *sockets):
                each.close()
        try:
            self._ask({"names": names, "seed": str(seed), "shape": shape})
        except BaseException:
            self.close()
            raise

    def tell(self, **changes: object) -> None:
        """Change attributes of the impairments of both directions, at once."""
        self._ask(changes)

    def trouble(self) -> PacketlabError | None:
        """Return how it has ended by itself, None while it runs, and in a forked child, which is told of no end."""
        if self._owner != os.getpid():
            return None
        errors = self._process.stderr
        if not self._trouble and errors is not None and not errors.closed and self._process.poll() is not None:
            last = errors.read().decode(errors="replace").strip().rpartition("\n")[2]
            self._trouble = f"one that has ended with status {self._process.returncode}" + (f": {last}" if last else "")
        if not self._trouble:
            return None
        return PacketlabError(f"link {' -- '.join(self._names)}", "a relay that carries its frames", self._trouble)

    def _ask(self, request: object) -> None:
        if self._control.fileno() < 0:
            raise PacketlabError(f"link {' -- '.join(self._names)}", "a lab that is open", "one that is closed")
        if self._owner != os.getpid():
            raise of_parent(f"link {' -- '.join(self._names)}", "a lab", "open a Lab() of its own")
        answer = b""
        with suppress(BrokenPipeError, ConnectionResetError):
            self._control.send(json.dumps(request, default=sorted).encode())
            answer = self._control.recv(LARGEST)
        if not answer:
            self._process.wait()
            raise self.trouble() or AssertionError("a relay ends its control socket by ending")

    def close(self) -> None:
        """End it."""
        if self._owner == os.getpid():
            with suppress(OSError):
                self._control.shutdown(socket.SHUT_RDWR)  # a forked child has it open too
        self._control.close()
        if self._owner == os.getpid():
            self._process.wait()
        if self._process.stderr is not None:
            self._process.stderr.close()


def main() -> None:
    """Relay frames between two packet sockets, given by their descriptors, until the control socket closes."""
    # By new numbers, which are low: select takes none above 1023.
    control, one, other = (socket.socket(fileno=os.dup(int(number))) for number in sys.argv[1:4])
    request = json.loads(control.recv(LARGEST))
    names = request["names"]
    shaped = both_ways(names, request["seed"], **request["shape"])
    ports = [Interface(f"eth{i}", promiscuous=True, socket=end) for i, end in enumerate((one, other))]
    control.send(b"ready")
    waiting: list[tuple[int, int, int, bytes]] = []  # when, order, to which port, frame
    order = count()
    while True:
        wait = max(0.0, (waiting[0][0] - time.monotonic_ns()) / 1e9) if waiting else None
        sources: list[socket.socket | Interface] = [control, *ports]
        ready, _, _ = select.select(sources, [], [], wait)  # poll counts in milliseconds; delays are to be exact
        if control in ready:
            changes = control.recv(LARGEST)
            if not changes:
                return
            for impairment in shaped.values():
                impairment.change(**json.loads(changes))
            control.send(b"done")
        for place, port in enumerate(ports):
            for _ in range(BATCH if port in ready else 0):  # then those that are due leave, and changes are heard
                if (frame := port._receive(0.0)) is None:
                    break
                arrivals, _ = shaped[names[place]].frame(frame.data, time.monotonic_ns())
                for at, data in arrivals:
                    heapq.heappush(waiting, (at, next(order), 1 - place, data))
        while waiting and waiting[0][0] <= time.monotonic_ns():
            _, _, place, data = heapq.heappop(waiting)
            try:
                ports[place]._send(data)
            except OSError:
                pass  # longer than the link allows: lost, as on any link
