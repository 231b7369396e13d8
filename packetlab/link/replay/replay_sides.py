"""Replay from both sides: clients' frames onto one port, servers' onto another, through what stands between them."""

from __future__ import annotations

import time
from array import array
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from packetlab.capture import Capture, Frame
from packetlab.capture.files.ending import taken
from packetlab.capture.flows.sides import Side, Sides
from packetlab.errors import above_zero
from packetlab.hooks import Shown
from packetlab.link.port import Port
from packetlab.link.replay.replay import _deadlines, _times_over
from packetlab.link.replay.report import SendReport, Tally
from packetlab.link.replay.send import Looking, wait_until
from packetlab.link.waits import Stop


@dataclass(frozen=True)
class SidesReport(Shown):
    """How both sides went. `lost`: frames that were waited for and did not arrive at the other side."""

    client: SendReport
    server: SendReport
    lost: int = 0

    @property
    def sent(self) -> int:
        """Frames of both sides."""
        return self.client.sent + self.server.sent

    @property
    def failed(self) -> int:
        """Frames that a port refused, of both sides."""
        return self.client.failed + self.server.failed

    def __str__(self) -> str:
        lines = [f"client\n{self.client}", f"server\n{self.server}"]
        return "\n".join(lines + ([f"lost      {self.lost} frames did not arrive"] if self.lost else []))


def replay_sides(
    capture: Capture | Sides[Capture],
    client: Port,
    server: Port,
    *,
    by: str | Callable[[object], object] = "first",
    servers: Iterable[object] | None = None,
    speed: float = 1.0,
    rate: float | None = None,
    mbps: float | None = None,
    topspeed: bool = False,
    count: int | None = None,
    loop: int = 1,
    wait: float | None = None,
    alike: Callable[[bytes, bytes], bool] | None = None,
    stop: Stop | None = None,
) -> SidesReport:
    """Send the frames of clients from one port and those of servers from another, in order, and report.

    Args:
        by, servers: how sides are distinguished (see `Capture.sides`), where `capture` is none that has been distinguished.
        speed, rate, mbps, topspeed, count, loop: as for `replay`.
        wait: seconds that a side waits at most for what the other sent before to arrive at its port, before it answers;
            the pace goes on from there. None: it does not wait.
        alike: whether a frame that arrived (second) is the one sent (first). By default it is where nothing differs but
            Ethernet addresses, time to live and the checksum over it, as after a router.
        stop: a `threading.Event`: ends it when set, within a fifth of a second; what a side waited for then is not lost.
    """
    above_zero("replay_sides", speed=speed, rate=rate, mbps=mbps, wait=wait)
    sides = capture if isinstance(capture, Sides) else capture.sides(by, servers)
    upcoming: deque[Side] = deque()
    ports = {"client": client, "server": server}
    tallies = {name: Tally() for name in ports}
    late = {name: array("q") for name in ports}
    moments: dict[str, list[int]] = {"client": [], "server": []}
    coming: dict[str, list[bytes]] = {"client": [], "server": []}  # what is to arrive at each port
    lost = 0
    frames = _times_over(_Noted(sides, upcoming, count), count, loop)
    clock = time.monotonic_ns
    start = clock()

    looking = Looking(stop, (client, server))

    def arrived(side: str) -> int:
        assert wait is not None
        return _arrived(ports[side], coming[side], wait, alike or same_behind_a_router, looking)

    deadlines = ((0, frame.data) for _, frame in frames) if topspeed else _deadlines(frames, speed, rate, mbps)
    for due, data in taken(deadlines, looking.is_set):
        side = upcoming.popleft()
        if wait is not None and coming[side]:
            lost += arrived(side)
            start = max(start, clock() - due)
        now = wait_until(clock, start + due, stop, client, server) - start
        if stop is not None and stop.is_set():
            break
        sent = tallies[side].send(ports[side], data, looking)
        if not sent and stop is not None and stop.is_set():
            break
        if sent and wait is not None:
            coming["client" if side == "server" else "server"].append(data)
        if not topspeed:
            late[side].append(max(0, now - due))
        moments[side] = [*moments[side][:1], start + now]
    for name in ports:
        if coming[name] and wait is not None and not (stop is not None and stop.is_set()):
            lost += arrived(name)
    reports = [
        tallies[name].report(moments[name][-1] - moments[name][0] if moments[name] else 0, late[name]) for name in ports
    ]
    return SidesReport(reports[0], reports[1], lost)


class _Noted:
    """The frames of a capture, the side of each noted as it is taken."""

    def __init__(self, sides: Sides[Capture], upcoming: deque[Side], count: int | None) -> None:
        self.sides, self.upcoming, self.count = sides, upcoming, count

    def __iter__(self) -> Iterator[Frame]:
        for frame, side in islice(self.sides.pairs(), self.count):
            self.upcoming.append(side)
            yield frame


def _arrived(
    port: Port, coming: list[bytes], wait: float, alike: Callable[[bytes, bytes], bool],
    stop: Stop | None = None,
) -> int:  # fmt: skip
    """Wait until all that is coming has arrived at a port; return how many did not in time."""
    for frame in port._arriving(wait, stop=stop) if coming else ():
        for place, sent in enumerate(coming):
            if alike(sent, frame.data):
                del coming[place]
                break
        if not coming:
            break
    lost = 0 if stop is not None and stop.is_set() else len(coming)
    coming.clear()
    return lost


def same_behind_a_router(sent: bytes, got: bytes) -> bool:
    """Whether two Ethernet frames are equal but for addresses, time to live, and zeros after the shorter one."""
    if sent == got:
        return True
    return min(len(sent), len(got)) > 12 and _blank(sent).rstrip(b"\0") == _blank(got).rstrip(b"\0")


def _blank(data: bytes) -> bytes:
    rest = bytearray(data[12:])
    if rest[:2] == b"\x08\x00" and len(rest) >= 14:
        rest[10] = rest[12] = rest[13] = 0  # RFC 791: time to live, header checksum
    elif rest[:2] == b"\x86\xdd" and len(rest) >= 10:
        rest[9] = 0
    return bytes(rest)
