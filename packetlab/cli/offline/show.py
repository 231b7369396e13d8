"""`packetlab show`: the packets of a capture file, a line each or in full."""

from __future__ import annotations

import argparse
from argparse import Namespace
from itertools import chain
from typing import TYPE_CHECKING

from packetlab.cli.arguments import DIFFERENT, OK, WRONG, Command, complain, count, matcher, missed, pcap_filter

if TYPE_CHECKING:
    from packetlab.capture import Capture, Frame


def add(command: Command) -> None:
    """Declare the command and its options."""
    show = command("show", _run, "print the packets of a capture file")
    show.add_argument("file", nargs="?", metavar="FILE", help="pcap or pcapng, packed or not; - is standard input")
    show.add_argument("words", nargs="*", metavar="WORD", help="a filter for libpcap, as tcpdump takes it: tcp port 80")
    show.add_argument("-r", metavar="FILE", dest="read", help="the same as FILE")
    show.add_argument("-c", metavar="N", dest="count", type=count, help="stop after N packets")
    show.add_argument("-Y", metavar="FILTER", dest="filter", help="only packets that pass, as in 'ip.src == 10.0.0.1'")
    show.add_argument("-x", action="store_true", dest="hex", help="print bytes too")
    show.add_argument("-V", "-v", action="store_true", dest="detail", help="print every field")
    show.add_argument("-q", action="store_true", dest="quiet", help="print no packets, only set the exit status")
    show.add_argument("-n", action="store_true", help=argparse.SUPPRESS)  # names are never looked up


def _run(args: Namespace) -> int:
    from packetlab.capture import Capture
    from packetlab.errors import CaptureError
    from packetlab.escaping import printable
    from packetlab.view.conversation import ends, label
    from packetlab.view.hexdump import hexdump

    where, words = args.read or args.file, args.words
    if args.read and args.file:
        words = [args.file, *words]  # tcpdump's way: -r FILE WORD ...
    if where is None:
        complain("packetlab show: expected a FILE, got none")
        return WRONG
    test = matcher(args.filter)
    expression = pcap_filter(words)
    shown = 0
    try:
        # Times are counted from the first frame, also where that is not among those shown.
        capture, first = _begun(Capture(where).where(pcap=expression))
        start = None if first is None else first.time_ns
        for frame in capture.where(test):
            start = frame.time_ns if start is None else start
            shown += 1
            if not args.quiet:
                packet = frame.packet()
                moment = "" if frame.time_ns is None else f"{(frame.time_ns - (start or 0)) / 1e9:.9f}"
                source, destination = ends(packet)
                names = "/".join(type(header).__name__ for header in packet.layers[:-1])
                line = f"{frame.number:>5} {moment:>16}  {source} > {destination}  {names}{'/' if names else ''}"
                print(f"{line}{label(packet, 1)}  ({frame.wire_length} bytes)")
                for comment in frame.comments:
                    print(f"      comment: {printable(comment)}")
                if args.detail:
                    print("\n".join("      " + line for line in packet.show().splitlines()))
                if args.hex:
                    print(hexdump(frame.data, "      "))
            if shown == args.count:
                break
    except CaptureError as fault:
        complain(f"packetlab show: {fault}")
        return DIFFERENT if shown else WRONG
    if shown or (test is None and expression is None):
        return OK
    return DIFFERENT if args.quiet else missed("show", where, "no packet passes")


def _begun(capture: Capture) -> tuple[Capture, Frame | None]:
    """Return a capture with its first frame."""
    frames = iter(capture)
    first = next(frames, None)
    if capture.again or first is None:
        return capture, first
    return capture._part(lambda: chain([first], frames)), first
