"""Frames in files: pcap and pcapng, in and out, streaming."""

from packetlab.capture.capture import Capture, matcher
from packetlab.capture.frame import Extras, Frame, Interface
from packetlab.capture.pcapng import Block
from packetlab.capture.writer import Writer

__all__ = ["Block", "Capture", "Extras", "Frame", "Interface", "Writer", "matcher"]
