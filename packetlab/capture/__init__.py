"""Frames in files: pcap and pcapng, in and out, streaming; of large files any part at once.

    capture, reading    `Capture`: frames as they are needed; which reader a file gets
    frame, batch        one frame with its circumstances; a stretch of them in one buffer
    order               what packets tell those after them
    index               any frame of a large file at once, by number or time
    loops, elf          loops compiled by numba and kept on disk; what is checked of them before they are loaded
    files/              the formats, read and written
    filters/, tables/   which frames; columns of them
    flows/, reassembly/ who talks with whom; what travelled in pieces
    rewrite/, fleet/    captures with other addresses; many captures side by side

Begin with `capture`.

>>> from packetlab import Capture
>>> Capture("captures/tcp-http.pcapng")[0].packet().summary()
'Ether / IPv4 / TCP'
"""

from typing import TYPE_CHECKING

from packetlab.capture.capture import Capture
from packetlab.capture.files.blocks import Block, Custom, Names, Secrets, Section, Statistics
from packetlab.capture.files.writer import Writer
from packetlab.capture.filters.patterns import frame_matcher, matcher
from packetlab.capture.frame import Extras, Frame, InterfaceDescription
from packetlab.renamed import old_names

__all__ = [
    "Block",
    "Capture",
    "Custom",
    "Extras",
    "Frame",
    "InterfaceDescription",
    "Names",
    "Secrets",
    "Section",
    "Statistics",
    "Writer",
    "frame_matcher",
    "matcher",
]

if not TYPE_CHECKING:
    __getattr__ = old_names(__name__)
