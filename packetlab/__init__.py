"""packetlab: declare a header once; build, dissect, send, capture and replay packets with it.

wire      bytes <-> headers: declarations, packets, dissection
capture   frames in files: pcap and pcapng
link      moving frames: interfaces, a rootless lab, replay
view      ladders and dumps
"""

from packetlab.errors import (
    BuildError,
    CaptureError,
    DeclareError,
    DissectError,
    LocalProtocolError,
    NeedsPrivilege,
    PacketlabError,
    RemoteProtocolError,
    Stalled,
)
from packetlab.wire.bindings import bind, bindings
from packetlab.wire.dissect import dissect
from packetlab.wire.header import Header
from packetlab.wire.packet import Packet
__version__ = "0.1.0"
