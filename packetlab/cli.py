"""The command line. Only argparse is imported here; each command imports what it needs when it runs.

Letters mean what tcpdump, tshark and tcpreplay have taught. Exit status: 0 done, 1 nothing matched, a difference or a
damaged file, 2 a wrong call, or something that cannot be opened.
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

OK, DIFFERENT, WRONG = 0, 1, 2


def parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command."""
    top = argparse.ArgumentParser(prog="packetlab", description="A laboratory for network protocols.")
    top.add_argument("--version", action="store_true", help="print the version and end")
    commands = top.add_subparsers(metavar="COMMAND", dest="command")

    def command(name: str, function: Callable[[Any], int], help: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=help, description=help)
        sub.set_defaults(function=function)
        return sub

    demo = command("demo", _demo, "declare, send, capture, check and replay packets in a lab, in a few seconds")
    demo.add_argument("-w", metavar="FILE", dest="write", help="keep the capture here")

    show = command("show", _show, "print the packets of a capture file")
    show.add_argument("file", nargs="?", metavar="FILE", help="pcap or pcapng, packed or not; - is standard input")
    show.add_argument("-r", metavar="FILE", dest="read", help="the same as FILE")
    show.add_argument("-c", metavar="N", dest="count", type=_count, help="stop after N packets")
    show.add_argument("-Y", metavar="FILTER", dest="filter", help="only packets that pass, as in 'ip.src == 10.0.0.1'")
    show.add_argument("-x", action="store_true", dest="hex", help="print bytes too")
    show.add_argument("-V", "-v", action="store_true", dest="detail", help="print every field")
    show.add_argument("-q", action="store_true", dest="quiet", help="print no packets, only set the exit status")
    show.add_argument("-n", action="store_true", help=argparse.SUPPRESS)  # names are never looked up

    replay = command("replay", _replay, "send a capture's frames onto an interface, each at its time")
    replay.add_argument("file", metavar="FILE")
    where = replay.add_mutually_exclusive_group(required=True)
    where.add_argument("-i", metavar="IFACE", dest="interface", help="the interface to send on")
    where.add_argument("--lab", action="store_true", help="send inside a lab of two hosts, and count what arrives")
    pace = replay.add_mutually_exclusive_group()
    pace.add_argument("-m", "--multiplier", metavar="X", type=_above_zero, default=1.0, help="times the own pace")
    pace.add_argument("--pps", metavar="N", type=_above_zero, help="frames a second")
    pace.add_argument("--mbps", metavar="N", type=_above_zero, help="megabits a second")
    pace.add_argument("--topspeed", action="store_true", help="as fast as possible")
    replay.add_argument("--loop", "-l", metavar="N", type=_count, default=1, help="times over")
    replay.add_argument("-L", "--limit", "-c", metavar="N", dest="count", type=_count, help="frames at most")
    replay.add_argument("-q", action="store_true", dest="quiet", help="no progress line")

    send = command("send", _send, "build a packet from an expression and send it")
    send.add_argument(
        "packet", metavar="PACKET", help="""such as 'Ether() / IPv4(dst="10.0.0.2") / UDP(dport=9) / b"hi"'"""
    )
    send.add_argument(
        "-i", metavar="IFACE", dest="interface", help="the interface to send on; without it the packet is printed"
    )
    send.add_argument("-c", metavar="N", dest="count", type=_count, default=1, help="how many times")
    send.add_argument("--interval", metavar="S", type=float, default=0.0, help="seconds between")
    send.add_argument("-x", action="store_true", dest="hex", help="print bytes too")

    capture = command("capture", _capture, "capture frames of an interface into a file")
    capture.add_argument("-i", metavar="IFACE", dest="interface", required=True)
    capture.add_argument(
        "-w", metavar="FILE", dest="write", required=True, help="pcapng, or pcap by its ending; - is standard output"
    )
    capture.add_argument("-c", metavar="N", dest="count", type=_count, help="stop after N frames")
    capture.add_argument("-Y", metavar="FILTER", dest="filter", help="only packets that pass")
    capture.add_argument("--seconds", metavar="S", type=_above_zero, help="stop after so long")
    capture.add_argument("-p", action="store_true", dest="no_promiscuous", help="only frames for this machine")
    capture.add_argument("-q", action="store_true", dest="quiet", help="no summary")

    completion = command("completion", _completion, "print a completion script for a shell")
    completion.add_argument("shell", choices=("bash", "zsh", "tcsh", "fish"))
    return top


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected a number from 1 on, got {text}")
    return number


def _above_zero(text: str) -> float:
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a number above 0, got {text}")
    return number


def main(argv: list[str] | None = None) -> int:
    """Run the command; return the exit status."""
    top = parser()
    args = top.parse_args(argv)
    if args.version:
        from packetlab import __version__

        print(f"packetlab {__version__}")
        return OK
    if args.command is None:
        top.print_help()
        return WRONG
    try:
        status = int(args.function(args))
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        # Whoever read our output has seen enough. What Python would still flush goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except KeyboardInterrupt:
        return 130
    except _failures() as error:
        print(f"packetlab {args.command}: {error}", file=sys.stderr)
        return WRONG


def _failures() -> tuple[type[Exception], ...]:
    from packetlab.errors import PacketlabError

    return (PacketlabError, OSError)


def _matcher(text: str | None) -> Any:
    if text is None:
        return None
    from packetlab.wire import linktypes as _all_headers  # noqa: F401  a filter may name any of them
    from packetlab.wire.filter import compile_filter

    return compile_filter(text)


def _demo(args: Any) -> int:
    from packetlab.demo import run

    return run(args.write)


def _show(args: Any) -> int:
    from packetlab.capture import Capture
    from packetlab.errors import CaptureError
    from packetlab.view.hexdump import hexdump, printable
    from packetlab.view.ladder import _ends, label

    where = args.read or args.file
    if where is None:
        print("packetlab show: expected a FILE, got none", file=sys.stderr)
        return WRONG
    test = _matcher(args.filter)
    capture = Capture(where)
    shown = 0
    start = None
    try:
        for frame in capture:
            packet = frame.packet()
            start = frame.time_ns if start is None else start
            if test is not None and not test(packet):
                continue
            shown += 1
            if not args.quiet:
                moment = "" if frame.time_ns is None else f"{(frame.time_ns - (start or 0)) / 1e9:.9f}"
                source, destination = _ends(packet)
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
        sys.stdout.flush()
        print(f"packetlab show: {fault}", file=sys.stderr)
        return DIFFERENT if shown else WRONG
    return OK if shown or test is None else DIFFERENT


def _replay(args: Any) -> int:
    from packetlab.capture import Capture
    from packetlab.link.interface import Interface
    from packetlab.link.replay import replay
    from packetlab.networks import Lab

    capture = Capture(args.file)
    next(iter(capture), None)  # an unreadable file is told before anything is opened or sent
    pace = {"speed": args.multiplier, "rate": args.pps, "mbps": args.mbps, "topspeed": args.topspeed}
    pace |= {"count": args.count, "loop": args.loop, "progress": False if args.quiet else None}
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


def _send(args: Any) -> int:
    import time

    from packetlab.link.interface import Interface
    from packetlab.view.hexdump import hexdump
    from packetlab.wire.literal import read_packet

    packet = read_packet(args.packet)
    if args.hex or not args.interface:
        print(packet.show())
        if args.hex:
            print(hexdump(bytes(packet)))
    if not args.interface:
        return OK
    with Interface(args.interface) as interface:
        for number in range(args.count):
            if number:
                time.sleep(args.interval)
            interface.send(packet)
    print(f"sent {args.count} x {len(packet)} bytes on {args.interface}", file=sys.stderr)
    return OK


def _capture(args: Any) -> int:
    from packetlab.capture import Writer
    from packetlab.link.interface import Interface

    test = _matcher(args.filter)
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


def _completion(args: Any) -> int:
    try:
        import shtab
    except ImportError:
        print(
            "packetlab completion: expected the package shtab, got none (pip install 'packetlab[completion]')",
            file=sys.stderr,
        )
        return WRONG
    print(shtab.complete(parser(), args.shell))
    return OK
