"""Frames in files: pcap and pcapng, in and out, streaming."""

from packetlab.capture.capture import Capture
from packetlab.capture.frame import Extras, Frame, Interface
from packetlab.capture.notes import Block, Custom, Names, Secrets, Section, Statistics
from packetlab.capture.patterns import frame_matcher, matcher
from packetlab.capture.writer import Writer

__all__ = [
    "Block",
    "Capture",
    "Custom",
    "Extras",
    "Frame",
    "Interface",
    "Names",
    "Secrets",
    "Section",
    "Statistics",
    "Writer",
    "frame_matcher",
    "matcher",
]
