"""The command line: one file a command. Only argparse is imported here; each command imports what it needs when it runs.

    arguments                  kinds of arguments, exit status, complaints: what commands share
    offline/                   commands that read a capture file: show, table, ladder, follow, rewrite
    capture, replay, send      commands that use a network interface
    malformed, declarations    damaged packets; declarations that captures carry
    importing, export          declarations out of other languages; dissectors and diagrams
    demo, completion           a first look; completion for shells

Letters mean what tcpdump, tshark and tcpreplay have taught. Exit status: 0 done, 1 nothing matched, a difference or a
damaged file, 2 a wrong call, or something that cannot be opened. Begin with `offline.ladder`, a short command.

>>> from packetlab.cli import main
>>> main(["show", "captures/beacon.pcapng", "-c", "1", "-q"])
0
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from importlib import import_module

from packetlab.cli.arguments import OK, WRONG, Parser
from packetlab.errors import PacketlabError
from packetlab.escaping import printable

COMMANDS = {
    "demo": "demo",
    "show": "offline.show",
    "table": "offline.table",
    "ladder": "offline.ladder",
    "follow": "offline.follow",
    "replay": "replay",
    "rewrite": "offline.rewrite",
    "send": "send",
    "capture": "capture",
    "malformed": "malformed",
    "declarations": "declarations",
    "import": "importing",
    "export": "export",
    "completion": "completion",
}
"""Each command's module here, in the order of the help; it has ``add(command)``."""


def parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command."""
    top = Parser(prog="packetlab", description="A laboratory for network protocols.")
    top.add_argument("--version", action="store_true", help="print the version and end")
    commands = top.add_subparsers(metavar="COMMAND", dest="command")

    def command(name: str, function: Callable[[object], int], help: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=help, description=help)
        sub.set_defaults(function=function)
        return sub

    for place in COMMANDS.values():
        import_module(f"packetlab.cli.{place}").add(command)
    return top


def main(argv: list[str] | None = None) -> int:
    """Run the command; return the exit status."""
    top = parser()
    args, more = top.parse_known_args(argv)
    # argparse takes words in one run only; tcpdump lets options stand between them.
    if more and (not hasattr(args, "words") or any(word.startswith("-") and word != "-" for word in more)):
        top.error(f"unrecognized arguments: {' '.join(more)}")
    if more:
        args.words += more
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
        # The reader of our output has seen enough. What Python would still flush goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except KeyboardInterrupt:
        return 130
    except (PacketlabError, OSError) as error:
        print(printable(f"packetlab {args.command}: {_words(error)}", "\n"), file=sys.stderr)
        return WRONG


def _words(error: Exception) -> str:
    """Return what is wrong; of the system's own errors without their number, the file first as in ours."""
    if isinstance(error, PacketlabError) or not isinstance(error, OSError) or not error.strerror:
        return str(error)
    return error.strerror if error.filename is None else f"{os.fsdecode(error.filename)}: {error.strerror}"
