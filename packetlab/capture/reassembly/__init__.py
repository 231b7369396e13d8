"""What travelled in pieces, put together from captured frames: IP datagrams, TCP streams, SPP messages, WebSocket messages.

    events.py       what happened on the way, said in one form by all
    fragments.py   Fragments: frames in, whole datagrams out
    ordering.py    End: what one end of a TCP connection sent, byte by byte
    tcp.py         Streams: segments in, streams out
    spp.py         Conversations: SPP packets in, messages out
    frames.py      the frames of one direction of a WebSocket
    websocket.py   WebSockets: streams in, messages out
    messages.py    StreamMessages: the messages of a declared protocol in TCP streams
    beginnings.py  which segments begin with a message, for who reads the frames of a capture
    drive.py       a whole capture through one of them
    table.py       what Streams and Conversations share: who is over, and how much memory they may take

Each takes frames one by one (`receive`) from wherever they come, knows no file and no clock but the frames' own times,
and keeps a bounded number of bytes. Nothing that came in is dropped in silence. Begin with `tcp`.

>>> from packetlab import Capture
>>> [stream.client.data[:4] for stream in Capture("captures/tcp-http.pcapng").streams()]
[b'GET ']
"""

from typing import TYPE_CHECKING

from packetlab.capture.reassembly.drive import drive
from packetlab.capture.reassembly.events import EventKind, ReassemblyEvent
from packetlab.capture.reassembly.fragments import Datagram, Fragments
from packetlab.capture.reassembly.messages import StreamMessage, StreamMessages
from packetlab.capture.reassembly.ordering import End, Hole, Piece
from packetlab.capture.reassembly.spp import Conversation, Conversations, Message, Record, Speaker
from packetlab.capture.reassembly.tcp import Stream, Streams
from packetlab.capture.reassembly.websocket import WebSocketConnection, WebSocketMessage, WebSockets
from packetlab.renamed import old_names

__all__ = [
    "Conversation",
    "Conversations",
    "Datagram",
    "End",
    "EventKind",
    "Fragments",
    "Hole",
    "Message",
    "Piece",
    "ReassemblyEvent",
    "Record",
    "Speaker",
    "Stream",
    "StreamMessage",
    "StreamMessages",
    "Streams",
    "WebSocketConnection",
    "WebSocketMessage",
    "WebSockets",
    "drive",
]

if not TYPE_CHECKING:
    __getattr__ = old_names(__name__)
