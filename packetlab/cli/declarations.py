"""`packetlab declarations`: the headers that a capture file offers, as class bodies. Nothing of them is run."""

from __future__ import annotations

from argparse import Namespace

from packetlab.cli.arguments import OK, Command, missed


def add(command: Command) -> None:
    """Declare the command and its options."""
    declarations = command("declarations", _run, "print the declarations of headers that travel in a capture file")
    declarations.add_argument("file", metavar="FILE", help="pcapng, packed or not")


def _run(args: Namespace) -> int:
    from packetlab.capture import Capture

    offered = Capture(args.file).declarations
    if offered:
        print(offered)
        return OK
    return missed("declarations", args.file, "no declarations")
