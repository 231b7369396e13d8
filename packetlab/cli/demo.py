"""`packetlab demo`: the whole of it in a few seconds."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from packetlab.cli.arguments import Command


def add(command: Command) -> None:
    """Declare the command and its options."""
    demo = command("demo", _run, "declare, send, capture, check and replay packets in a lab, in a few seconds")
    demo.add_argument("-w", metavar="FILE", dest="write", help="keep the capture here")


def _run(args: Namespace) -> int:
    from packetlab.demo import run

    return run(args.write)
