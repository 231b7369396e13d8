"""`packetlab table`: columns of one capture or of many, as text or Parquet."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from packetlab.cli.arguments import DIFFERENT, OK, WRONG, Command, complain, count, missed

if TYPE_CHECKING:
    from packetlab.capture.fleet.fleet import Fleet
    from packetlab.capture.tables.columns import Columns


def add(command: Command) -> None:
    """Declare the command and its options."""
    table = command("table", _run, "print columns of captures, a line a packet")
    table.add_argument("files", nargs="+", metavar="FILE", help="captures, folders or patterns of them")
    table.add_argument(
        "-e", metavar="COLUMN", dest="columns", action="append", required=True,
        help="such as ip.src, ip#2.src, idp.dst.net, time_ns, file; any number of times",
    )  # fmt: skip
    table.add_argument("-Y", metavar="FILTER", dest="filter", help="only packets that pass, as in 'ip.src == 10.0.0.1'")
    table.add_argument("-f", metavar="FILTER", dest="pcap", help="a filter for libpcap, as in 'tcp port 80'")
    table.add_argument("-c", metavar="N", dest="count", type=count, help="stop after N lines")
    table.add_argument("-E", choices=("tab", "comma"), default="tab", dest="separator", help="what divides the columns")
    table.add_argument("-H", action="store_true", dest="header", help="print the names first")
    table.add_argument(
        "-r", "--raw", action="store_true", help="numbers and bytes as they are, not as people read them"
    )
    table.add_argument(
        "-o", metavar="FOLDER", dest="parquet", help="write Parquet files and manifest.json there instead"
    )
    table.add_argument("-j", metavar="N", dest="workers", type=count, help="processes")


def _run(args: Namespace) -> int:
    from packetlab.capture.fleet.fleet import scan

    fleet = scan(args.files, workers=args.workers)
    if not len(fleet):
        complain("packetlab table: expected captures, got none")
        return WRONG
    if args.parquet:
        manifest = fleet.write_parquet(args.parquet, *args.columns, where=args.filter, pcap=args.pcap)
        print(manifest)
        return DIFFERENT if manifest.failures else OK
    lines = _lines(fleet, args)
    if args.header:
        print(_line(args.columns, args.separator))
    printed = 0
    for line in lines:
        print(line)
        printed += 1
        if printed == args.count:
            break
    sys.stdout.flush()
    for failure in fleet.failures:
        complain(f"packetlab table: {failure}")
    filtered = args.filter is not None or args.pcap is not None
    if fleet.failures:
        return DIFFERENT if printed else WRONG
    return OK if printed or not filtered else missed("table", ", ".join(args.files), "no packet passes")


def _lines(fleet: Fleet, args: Namespace) -> Iterator[str]:
    for block in fleet.table(*args.columns, where=args.filter, pcap=args.pcap):
        texts = [_raw(block, name) if args.raw else block.text(name) for name in block.names]
        for row in zip(*texts, strict=True):
            yield _line(row, args.separator)


def _raw(block: Columns, name: str) -> list[str]:
    values, valid = block[name].tolist(), block.valid(name).tolist()
    shown = [value.hex() if isinstance(value, bytes) else str(value) for value in values]
    return [text if there else "" for text, there in zip(shown, valid, strict=True)]


def _line(texts: Iterable[str], separator: str) -> str:
    from packetlab.escaping import printable

    if separator == "tab":
        return "\t".join(printable(text) for text in texts)
    quoted = (printable(text).replace('"', '""') for text in texts)
    return ",".join(f'"{text}"' if "," in text or '"' in text else text for text in quoted)
