"""Frames in files: pcap and pcapng, in and out, streaming; of large files any part at once."""

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
