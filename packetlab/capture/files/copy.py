"""How a capture goes into a file: a pcapng file block by block as it is, chosen frames with what was said of them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from packetlab.capture.files.writer import Writer
from packetlab.capture.reading import Readable
from packetlab.errors import CaptureError

if TYPE_CHECKING:
    from packetlab.packet.packet import Header


def write(
    capture: Readable, where: str | Path | BinaryIO, format: str | None = None, declare: Iterable[type[Header]] = ()
) -> int:
    """Write a capture and return the number of frames; see `Capture.write`."""
    _refuse_own_file(capture, where)
    declared = list(declare)
    with Writer(where, format, declare=declared) as writer:
        if capture._source is not None and writer.format == "pcapng" and not declared:
            return _whole(capture, writer)
        root = capture._root
        root._listener = writer.write_block if writer.format == "pcapng" else None
        try:
            if capture._in_batches:
                for batch in capture.batches(lasting=False):
                    writer.write_batch(batch)
            else:
                for frame in capture:
                    writer.write(frame)
        finally:
            root._listener = None
        return writer.count


def _whole(capture: Readable, writer: Writer) -> int:
    copied = False

    def copy(block: bytes) -> None:
        nonlocal copied
        copied = True
        writer.copy(block)

    count = 0
    for frame in capture._read(capture._source, copy):
        if not copied:  # from pcap
            writer.write(frame)
        count += 1
    return count


def _refuse_own_file(capture: Readable, where: str | Path | BinaryIO) -> None:
    # Opening it for writing would empty it before the first frame is read.
    mine, theirs = capture._root._source, where
    named = isinstance(mine, (str, Path)) and isinstance(theirs, (str, Path)) and "-" not in (mine, theirs)
    try:
        same = named and os.path.samefile(str(mine), str(theirs))
    except OSError:
        same = False
    if same:
        raise CaptureError(str(where), "another file than the one being read", "the same")
