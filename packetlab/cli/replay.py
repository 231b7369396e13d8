"""`packetlab replay`: a capture's frames onto an interface, or inside a lab."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from packetlab.cli.arguments import DIFFERENT, OK, above_zero, count

if TYPE_CHECKING:
    from packetlab.cli.arguments import Command


def add(command: Command) -> None:
    """Declare the command and its options."""
    replay = command("replay", _run, "send a capture's frames onto an interface, each at its time")
    replay.add_argument("file", metavar="FILE")
    where = replay.add_mutually_exclusive_group(required=True)
    where.add_argument("-i", metavar="IFACE", dest="interface", help="the interface to send on")
    where.add_argument("--lab", action="store_true", help="send inside a lab of two hosts, and count what arrives")
    pace = replay.add_mutually_exclusive_group()
    pace.add_argument("-m", "--multiplier", metavar="X", type=above_zero, default=1.0, help="times the own pace")
    pace.add_argument("--pps", metavar="N", type=above_zero, help="frames a second")
    pace.add_argument("--mbps", metavar="N", type=above_zero, help="megabits a second")
    pace.add_argument("--topspeed", action="store_true", help="as fast as possible")
    replay.add_argument(
        "--workers", metavar="N", type=count, default=1, help="threads at top speed; each conversation stays in order"
    )
    replay.add_argument("--loop", "-l", metavar="N", type=count, default=1, help="times over")
    replay.add_argument("-L", "--limit", "-c", metavar="N", dest="count", type=count, help="frames at most")
    replay.add_argument("-q", action="store_true", dest="quiet", help="no progress line")


def _run(args: Any) -> int:
    from packetlab.capture import Capture
    from packetlab.link.interface import Interface
    from packetlab.link.replay import replay
    from packetlab.networks import Lab

    capture = Capture(args.file)
    next(iter(capture), None)  # an unreadable file is told before anything is opened or sent
    pace = {"speed": args.multiplier, "rate": args.pps, "mbps": args.mbps, "topspeed": args.topspeed}
    pace |= {"count": args.count, "loop": args.loop, "workers": args.workers, "progress": False if args.quiet else None}
    if args.interface:
        with Interface(args.interface) as interface:
            report = replay(capture, onto=interface, **pace)
    else:
        with Lab() as lab:
            a, b = lab.host("a"), lab.host("b")
            lab.link(a, b)
            report = replay(capture, onto=a.interface, **pace)
            counts = b.interface.statistics()
            print(f"arrived   {counts.received + counts.dropped} frames at the other host")
    print(report)
    return DIFFERENT if report.failed else OK
