"""Programs that run inside a host of a lab: their output, their end."""

from __future__ import annotations

import os
import subprocess
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from packetlab.link.lab import Host


class Program:
    """A program running inside a host."""

    def __init__(self, host: Host, argv: tuple[str, ...], pid: int, out: int, err: int, status: int) -> None:
        self.host, self.argv, self._pid = host, argv, pid
        self.stdout, self.stderr = open(out, "rb"), open(err, "rb")
        self._status = open(status, "rb", buffering=0)
        self.returncode: int | None = None

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end; return the exit status, negative for a signal. subprocess.TimeoutExpired in time."""
        if self.returncode is None:
            self._ready([self._status], timeout)
            self.returncode = int(self._status.read() or -9)
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Read standard output and error to their ends; end the program where that takes longer than `timeout`."""
        deadline = None if timeout is None else time.monotonic() + timeout
        found: dict[Any, list[bytes]] = {self.stdout: [], self.stderr: []}
        waiting = list(found)
        while waiting:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            for stream in self._ready(waiting, left):
                piece = os.read(stream.fileno(), 65536)
                found[stream].append(piece)
                if not piece:
                    waiting.remove(stream)
        out, err = (b"".join(pieces).decode(errors="replace") for pieces in found.values())
        return out, err

    def _ready(self, streams: list[Any], timeout: float | None) -> list[Any]:
        import select

        ready, _, _ = select.select(streams, [], [], timeout)
        if not ready:
            self.kill()
            raise subprocess.TimeoutExpired(self.argv, timeout or 0.0)
        return ready

    def kill(self, number: int = 9) -> None:
        """Send a signal to the program and what it has started."""
        if self.returncode is None:
            self.host.lab._ask("kill", pid=self._pid, number=int(number))

    def __enter__(self) -> Program:
        return self

    def close(self) -> None:
        """Let go of its output."""
        for stream in (self.stdout, self.stderr, self._status):
            stream.close()

    def __exit__(self, *_: object) -> None:
        if self.returncode is None:
            self.kill()
        self.close()
        self.host.programs.remove(self)
