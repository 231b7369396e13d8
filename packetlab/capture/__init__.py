"""Frames in files: pcap and pcapng, in and out, streaming."""

from packetlab.capture.capture import Capture, Writer, matcher
from packetlab.capture.frame import Extras, Frame, Interface

__all__ = ["Capture", "Extras", "Frame", "Interface", "Writer", "matcher"]
