"""`packetlab capture`: frames of an interface into a file."""

from __future__ import annotations

import sys
from argparse import Namespace

from packetlab.cli.arguments import DIFFERENT, OK, Command, above_zero, complain, count, matcher, pcap_filter


def add(command: Command) -> None:
    """Declare the command and its options."""
    capture = command("capture", _run, "capture frames of an interface into a file")
    capture.add_argument("-i", metavar="IFACE", dest="interface", required=True, help="the interface to listen on")
    capture.add_argument(
        "-w", metavar="FILE", dest="write", required=True, help="pcapng, or pcap by its ending; - is standard output"
    )
    capture.add_argument("-c", metavar="N", dest="count", type=count, help="stop after N frames")
    capture.add_argument(
        "-Y", metavar="FILTER", dest="filter", help="only packets that pass, by fields: 'udp.dport == 53'"
    )
    capture.add_argument(
        "-f", metavar="FILTER", dest="kernel_filter", help="only what passes in the kernel: 'tcp port 80'"
    )
    capture.add_argument("words", nargs="*", metavar="WORD", help="the same as -f, as tcpdump takes it: tcp port 80")
    capture.add_argument(
        "-B", metavar="MIB", dest="buffer", type=count, default=128, help="held while the disk is slow, in MiB (128)"
    )
    capture.add_argument("--seconds", metavar="S", type=above_zero, help="stop after so long")
    capture.add_argument("-p", action="store_true", dest="no_promiscuous", help="only frames for this machine")
    capture.add_argument("-q", action="store_true", dest="quiet", help="no summary")


def _run(args: Namespace) -> int:
    import signal
    import threading
    from types import SimpleNamespace

    from packetlab.link.interface import Interface
    from packetlab.link.replay.record import record

    test = matcher(args.filter)
    words = pcap_filter([*([args.kernel_filter] if args.kernel_filter else []), *args.words])
    # As tcpdump does: a request to end is a request to finish the file; an interrupt too where a script's & has it ignored.
    requests: list[int] = []

    def request(number: int, _: object) -> None:
        if requests:
            raise KeyboardInterrupt  # in a hurry
        requests.append(number)

    ours = threading.current_thread() is threading.main_thread()
    before = {number: signal.signal(number, request) for number in (signal.SIGTERM, signal.SIGINT) if ours}
    try:
        with Interface(args.interface, promiscuous=not args.no_promiscuous, outgoing=True, filter=words) as interface:
            where = sys.stdout.buffer if args.write == "-" else args.write
            done = record(
                interface, where, count=args.count, seconds=args.seconds, pattern=test,
                stop=SimpleNamespace(is_set=lambda: bool(requests)), ring=args.buffer << 20,
            )  # fmt: skip
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if not args.quiet:
        complain(done)
    return OK if done.frames or args.count is None else DIFFERENT
