"""`packetlab import`: declarations out of other languages, as Python to keep. Nothing of a file is run."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from packetlab.cli.arguments import OK, Command


def add(command: Command) -> None:
    """Declare the command and its options."""
    top = command("import", _none, "turn a description in another language into Python: ksy, Kaitai Struct's")
    languages = top.add_subparsers(
        metavar="LANGUAGE", dest="language", required=True, help="what the file is written in"
    )
    help = "header classes of a Kaitai Struct description, and of those it imports"
    ksy = languages.add_parser("ksy", help=help, description=help)
    ksy.set_defaults(function=_ksy)
    ksy.add_argument("file", metavar="FILE", help="a .ksy file")
    ksy.add_argument(
        "-I",
        metavar="DIR",
        action="append",
        default=[],
        dest="folders",
        help="where to look for imports that begin with /",
    )
    ksy.add_argument("-o", metavar="FILE", dest="output", help="where it goes, instead of standard output")


def _none(args: object) -> int:
    raise AssertionError("argparse asks for a language")


def _ksy(args: Namespace) -> int:
    from packetlab.schema.ksy.importing import import_ksy

    source = str(import_ksy(args.file, args.folders))
    if args.output is None:
        print(source, end="")
    else:
        Path(args.output).write_text(source, encoding="utf-8")
    return OK
