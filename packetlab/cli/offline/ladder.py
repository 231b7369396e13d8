"""`packetlab ladder`: who sent what to whom in a capture file, as text or as a picture."""

from __future__ import annotations

from argparse import Namespace

from packetlab.cli.arguments import DIFFERENT, OK, WRONG, Command, complain, count, matcher, missed


def add(command: Command) -> None:
    """Declare the command and its options."""
    ladder = command("ladder", _run, "draw who sent what to whom in a capture file")
    ladder.add_argument("file", metavar="FILE", help="pcap or pcapng, packed or not; - is standard input")
    ladder.add_argument(
        "-o", metavar="OUT", dest="out", help="write here instead: .svg, .html, .md or .mmd (Mermaid), .txt"
    )
    ladder.add_argument("-Y", metavar="FILTER", dest="filter", help="only packets that pass")
    ladder.add_argument("-c", metavar="N", dest="count", type=count, help="stop after N packets")
    ladder.add_argument("--fields", metavar="NAMES", help="what to say of each packet, such as seq,ack,ip.ttl")
    ladder.add_argument(
        "--name", metavar="ADDRESS=NAME", action="append", default=[], help="name an end; may be given more than once"
    )
    ladder.add_argument("--time", default="compressed", choices=("even", "compressed", "scale"), help="of pictures")
    ladder.add_argument("--fold", action="store_true", help="runs of ordinary packets become one row")


def _run(args: Namespace) -> int:
    from itertools import islice

    from packetlab.capture import Capture, Frame
    from packetlab.errors import CaptureError
    from packetlab.view.ladder import ladder

    if any("=" not in name for name in args.name):
        complain("packetlab ladder: --name: expected ADDRESS=NAME")
        return WRONG
    names = dict(name.split("=", 1) for name in args.name)
    fields = [name for name in (args.fields or "").split(",") if name]
    capture = Capture(args.file)
    chosen = capture if args.filter is None else capture.where(matcher(args.filter))
    frames: list[Frame] = []
    damage = None
    try:
        frames.extend(islice(chosen, args.count))
    except CaptureError as fault:
        damage = fault
    if damage is not None and not frames:
        complain(f"packetlab ladder: {damage}")
        return WRONG
    drawn = ladder(frames, names, fields=fields, time=args.time, fold=args.fold)
    if args.out is None:
        print(drawn)
    else:
        drawn.save(args.out)
    if damage is not None:
        complain(f"packetlab ladder: {damage}")
        return DIFFERENT
    return OK if frames or args.filter is None else missed("ladder", args.file, "no packet passes")
