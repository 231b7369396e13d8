"""How sending went, and what is reported while it goes on."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from packetlab.escaping import printable
from packetlab.hooks import Shown
from packetlab.link.port import Port, refusal
from packetlab.link.waits import Stop
from packetlab.renamed import old_names

SECOND = 1_000_000_000
PERCENTILES = (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("max", 1.0))


@dataclass(frozen=True)
class SendReport(Shown):
    """How a replay went.

    Attributes:
        sent, bytes: frames and bytes that went out. failed: frames the port refused; `first_failure` says why.
        duration_ns: from the first frame to the last. rate, mbps: frames and megabits a second achieved.
        lateness_ns: percentiles of how late frames went out, by "p50", "p90", "p99", "max" (empty at top speed).
        late_ns: how late each one went out, in nanoseconds and in order (empty at top speed).
        failures: each reason for which the port refused frames, and how many.
    """

    sent: int
    bytes: int
    failed: int
    first_failure: str
    duration_ns: int
    lateness_ns: dict[str, int]
    late_ns: Sequence[int] = field(default=(), repr=False, compare=False)
    failures: dict[str, int] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        """Frames a second."""
        return self.sent * SECOND / self.duration_ns if self.duration_ns else 0.0

    @property
    def mbps(self) -> float:
        """Megabits a second."""
        return self.bytes * 8 * 1000 / self.duration_ns if self.duration_ns else 0.0

    def __str__(self) -> str:
        lines = [
            f"sent      {self.sent} frames, {self.bytes} bytes in {self.duration_ns / SECOND:.6f} s",
            f"rate      {self.rate:.1f} frames/s, {self.mbps:.3f} Mbit/s",
        ]
        if self.lateness_ns:
            late = ", ".join(f"{name} {value / 1000:.1f}" for name, value in self.lateness_ns.items())
            lines.append(f"lateness  {late} us")
        if self.failed:
            lines.append(f"failed    {self.failed} frames, the first: {printable(self.first_failure)}")
            if len(self.failures) > 1:
                lines += [f"          {count} x {printable(reason)}" for reason, count in self.failures.items()]
        return "\n".join(lines)


class Tally:
    """Counts what goes out and what is refused."""

    def __init__(self) -> None:
        self.sent = self.bytes = 0
        self.failures: dict[str, int] = {}

    def send(self, onto: Port, data: bytes, stop: Stop | None = None) -> bool:
        """Send one frame, and count it; say whether it went out. Where `stop` was set before, it is not counted."""
        try:
            if not onto._send_unless(data, stop):
                return False
        except OSError as error:
            self.refused(refusal(error))
            return False
        self.sent += 1
        self.bytes += len(data)
        return True

    def refused(self, reason: str, count: int = 1) -> None:
        """Count frames that the port refused."""
        self.failures[reason] = self.failures.get(reason, 0) + count

    def add(self, other: Tally) -> None:
        """Take over what another has counted."""
        self.sent += other.sent
        self.bytes += other.bytes
        for reason, count in other.failures.items():
            self.refused(reason, count)

    def report(self, duration_ns: int, late_ns: Sequence[int] = ()) -> SendReport:
        late = sorted(late_ns)
        lateness = {name: late[max(0, -int(-len(late) * part // 1) - 1)] for name, part in PERCENTILES if late}
        first, failed = next(iter(self.failures), ""), sum(self.failures.values())
        return SendReport(self.sent, self.bytes, failed, first, duration_ns, lateness, late_ns, self.failures)


def progress(wanted: bool | Callable[[int, int], None] | None) -> Callable[[int, int], None]:
    """Return what is reported (frames sent, nanoseconds since the start), and (-1, 0) at the end.

    `wanted`: a function, or True for a line on a terminal; None is True where standard error is a terminal.
    """
    if callable(wanted):
        return wanted
    if wanted is False or not sys.stderr.isatty():
        return lambda sent, now: None
    shown = 0

    def tell(sent: int, now: int) -> None:
        nonlocal shown
        if sent < 0:
            if shown:
                sys.stderr.write("\r\x1b[K")
                sys.stderr.flush()
        elif now - shown > SECOND // 10:
            shown = now
            sys.stderr.write(f"\r{sent} frames, {sent * SECOND / now:.0f}/s\x1b[K")
            sys.stderr.flush()

    return tell


if not TYPE_CHECKING:
    __getattr__ = old_names(__name__)
