"""`packetlab replay`: a capture's frames onto an interface, or inside a lab."""

from __future__ import annotations

import argparse
from argparse import Namespace

from packetlab.cli.arguments import DIFFERENT, OK, Command, above_zero, count


def add(command: Command) -> None:
    """Declare the command and its options."""
    replay = command("replay", _run, "send a capture's frames onto an interface, each at its time")
    replay.add_argument("file", metavar="FILE", help="pcap or pcapng, packed or not; - is standard input")
    where = replay.add_mutually_exclusive_group(required=True)
    where.add_argument(
        "-i", "--intf1", "--client-iface", metavar="IFACE", dest="interface", help="the interface to send on"
    )
    where.add_argument("--lab", action="store_true", help="send inside a lab of two hosts, and count what arrives")
    replay.add_argument(
        "-I", "--intf2", "--server-iface", metavar="IFACE", dest="server", help="send servers' frames on this one"
    )
    replay.add_argument(
        "--split", metavar="WAY", default=("first", None), type=_way,
        help="how servers are recognised with -I: first, port, cidr:NET,... or mac:MAC,...",
    )  # fmt: skip
    replay.add_argument(
        "--wait",
        metavar="S",
        type=above_zero,
        help="with -I: wait for what the other side sent to arrive, so long at most",
    )
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


def _way(text: str) -> tuple[str, list[str] | None]:
    way, _, servers = text.partition(":")
    if way not in ("first", "port", "cidr", "mac") or (way in ("cidr", "mac")) != bool(servers):
        raise argparse.ArgumentTypeError(f"expected first, port, cidr:NET,... or mac:MAC,..., got {text}")
    return way, [one.strip("[]") for one in servers.split(",")] if servers else None


def _run(args: Namespace) -> int:
    from packetlab.capture import Capture
    from packetlab.errors import BuildError
    from packetlab.link.interface import Interface
    from packetlab.link.replay.replay import replay
    from packetlab.sockets.networks import Lab

    if args.server and not args.interface:
        raise BuildError("replay -I", "-i for the clients' frames", "--lab")
    capture = Capture(args.file)
    next(iter(capture), None)  # an unreadable file is reported before anything is opened or sent
    pace = {"speed": args.multiplier, "rate": args.pps, "mbps": args.mbps, "topspeed": args.topspeed}
    pace |= {"count": args.count, "loop": args.loop, "workers": args.workers, "progress": False if args.quiet else None}
    if args.server:
        from packetlab.link.replay.replay_sides import replay_sides

        way, servers = args.split
        del pace["workers"], pace["progress"]
        with Interface(args.interface) as client, Interface(args.server) as server:
            both = replay_sides(capture, client, server, by=way, servers=servers, wait=args.wait, **pace)
        print(both)
        return DIFFERENT if both.failed or both.lost else OK
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
