"""`packetlab follow`: what was said in a TCP stream, an SPP conversation or over WebSockets of a capture file."""

from __future__ import annotations

import argparse
import sys
from argparse import Namespace
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, BinaryIO

from packetlab.cli.arguments import DIFFERENT, OK, WRONG, Command, complain, missed

if TYPE_CHECKING:
    from packetlab.capture import Capture

ARROWS = {"client": ">", "server": "<"}


def add(command: Command) -> None:
    """Declare the command and its options."""
    follow = command("follow", _run, "print what was said in a stream of a capture file")
    follow.add_argument("file", metavar="FILE", help="pcap or pcapng, packed or not; - is standard input")
    follow.add_argument(
        "what", nargs="?", choices=("tcp", "spp", "websocket"), default="tcp", help="what travelled in streams (tcp)"
    )
    follow.add_argument(
        "-n", metavar="N", dest="number", type=_number, help="stream N, counted from 0; else a list of all"
    )
    follow.add_argument("-w", metavar="FILE", dest="write", help="write the bytes as they are; - is standard output")
    follow.add_argument(
        "--from", dest="end", choices=("client", "server"), help="only what this end said (> client, < server)"
    )
    follow.add_argument("-x", action="store_true", dest="hex", help="print bytes too")
    follow.add_argument("-q", action="store_true", dest="quiet", help="do not tell what happened on the way")


def _number(text: str) -> int:
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"expected a number from 0 on, got {text}")
    return number


def _run(args: Namespace) -> int:
    from pathlib import Path

    from packetlab.capture import Capture
    from packetlab.errors import CaptureError

    if args.write is not None and args.number is None:
        complain("packetlab follow: expected -n N with -w, got none")
        return WRONG
    if args.write not in (None, "-") and args.file != "-" and Path(args.write).resolve() == Path(args.file).resolve():
        complain(f"packetlab follow: expected another file than {args.file} to write, got the same")
        return WRONG
    capture = Capture(args.file)
    found = 0
    sink: BinaryIO | None = None
    try:
        if args.write is not None:
            sink = sys.stdout.buffer if args.write == "-" else open(args.write, "wb")
        for stream, said in _WAYS[args.what](capture, args.number):
            found += 1
            if sink is not None:
                for by, data, _ in said:
                    if args.end in (None, by):
                        sink.write(data)
            elif args.number is not None:
                _print(said, args)
                if not args.quiet:
                    for event in getattr(stream, "events", ()):
                        print(f"! {event}")
            else:
                print(_summary(stream))
    except CaptureError as fault:
        complain(f"packetlab follow: {fault}")
        return DIFFERENT if found else WRONG
    finally:
        if sink is not None and args.write != "-":
            sink.close()
    if found:
        return OK
    which = f"no {args.what} stream" if args.number is None else f"expected {args.what} stream {args.number}, got none"
    return missed("follow", args.file, which)


Said = Iterable[tuple[str, bytes, str]]


def _tcp(capture: Capture, number: int | None) -> Iterator[tuple[object, Said]]:
    for stream in capture.streams():
        if number in (None, stream.number):
            yield stream, _turns(stream)


def _turns(stream: Any) -> Iterator[tuple[str, bytes, str]]:
    """Yield who said what, with a word where bytes are missing in between."""
    expected = {end.role: end.start for end in (stream.client, stream.server)}
    for end, offset, data in stream.turns():
        missing = offset - expected[end.role]
        yield end.role, data, f"{missing} bytes are missing here" if missing > 0 else ""
        expected[end.role] = offset + len(data)


def _spp(capture: Capture, number: int | None) -> Iterator[tuple[object, Said]]:
    for conversation in capture.conversations():
        if number in (None, conversation.number):
            yield conversation, ((m.by, m.data, _about(m)) for m in conversation.messages)


def _about(message: Any) -> str:
    words = [f"datastream {message.datastream}"] if message.datastream else []
    words += ["attention"] * message.attention + ["not whole"] * (not message.whole)
    return ", ".join(words)


def _websocket(capture: Capture, number: int | None) -> Iterator[tuple[object, Said]]:
    """Yield a connection and each message by itself, as they come; a list of all waits for the end."""
    known: dict[int, tuple[int, Any]] = {}  # the connections stay alive here, so no id is given twice
    for message in capture.websocket_messages():
        connection = message.connection
        place, _ = known.setdefault(id(connection), (len(known), connection))
        if number == place:
            data = message.data.encode() if isinstance(message.data, str) else message.data
            yield connection, [(message.by, data, ", ".join([message.kind, *map(str, message.faults)]))]
    if number is None:
        yield from ((connection, ()) for _, connection in known.values())


_WAYS = {"tcp": _tcp, "spp": _spp, "websocket": _websocket}


def _summary(stream: Any) -> str:
    from packetlab.escaping import printable

    if hasattr(stream, "request"):
        return printable(f"{stream.request.path}  {_summary(stream.stream)}")
    ends = []
    for end in (stream.client, stream.server):
        name = f"{end.address}:{end.port}" if hasattr(end, "port") else f"{end.address} id {end.id}"
        size = end.size if hasattr(end, "size") else len(end.data)
        ends.append(f"{name} ({size} bytes)")
    holes = len(stream.client.holes) + len(stream.server.holes)
    part = f" part {stream.part}" if stream.part else ""
    return f"{stream.number:>5}{part}  {' - '.join(ends)}  {stream.frames} frames, {stream.over}{f', {holes} holes' * (holes > 0)}"


def _print(said: Said, args: Namespace) -> None:
    """Print what was said line by line: who, and the bytes with all that could act on a terminal escaped."""
    from packetlab.escaping import printable
    from packetlab.view.hexdump import hexdump

    for by, data, about in said:
        if args.end not in (None, by):
            continue
        if about:
            print(f"{ARROWS[by]} [{printable(about)}]")
        if args.hex:
            print(hexdump(data, f"{ARROWS[by]} "))
            continue
        text = data.decode("utf-8", "backslashreplace").replace("\r\n", "\n")
        for line in text.removesuffix("\n").split("\n") if text else ():
            print(f"{ARROWS[by]} {printable(line)}")
