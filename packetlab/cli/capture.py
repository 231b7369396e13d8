"""`packetlab capture`: frames of an interface into a file."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from packetlab.cli.arguments import DIFFERENT, OK, above_zero, count, matcher

if TYPE_CHECKING:
    from packetlab.cli.arguments import Command


def add(command: Command) -> None:
    """Declare the command and its options."""
    capture = command("capture", _run, "capture frames of an interface into a file")
    capture.add_argument("-i", metavar="IFACE", dest="interface", required=True)
    capture.add_argument(
        "-w", metavar="FILE", dest="write", required=True, help="pcapng, or pcap by its ending; - is standard output"
    )
    capture.add_argument("-c", metavar="N", dest="count", type=count, help="stop after N frames")
    capture.add_argument("-Y", metavar="FILTER", dest="filter", help="only packets that pass")
    capture.add_argument("--seconds", metavar="S", type=above_zero, help="stop after so long")
    capture.add_argument("-p", action="store_true", dest="no_promiscuous", help="only frames for this machine")
    capture.add_argument("-q", action="store_true", dest="quiet", help="no summary")


def _run(args: Any) -> int:
    from packetlab.capture import Writer
    from packetlab.link.interface import Interface

    test = matcher(args.filter)
    with Interface(args.interface, promiscuous=not args.no_promiscuous, outgoing=True) as interface:
        where = sys.stdout.buffer if args.write == "-" else args.write
        with Writer(where, linktype=interface.linktype) as writer:
            try:
                for frame in interface.capture(args.count, args.seconds, test):
                    writer.write(frame)
                    writer.flush()
            except KeyboardInterrupt:
                pass
        counts = interface.statistics()
    if not args.quiet:
        print(f"{writer.count} frames captured, {counts.dropped} dropped by the kernel", file=sys.stderr)
    return OK if writer.count or args.count is None else DIFFERENT
