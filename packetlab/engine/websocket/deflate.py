"""permessage-deflate (RFC 7692) on wsproto's hooks, and the limit on a message's size.

wsproto 1.3.2 negotiates and deflates; its inflater has no bound, takes a compressed message for a plain one once a
control frame came between the fragments (python-hyper/wsproto#205), and falls silent after a final deflate block
(RFC 7692 section 7.2.3.4). So the receiving hooks are replaced here.
"""

from __future__ import annotations

import re
import zlib

from wsproto.extensions import PerMessageDeflate
from wsproto.frame_protocol import CloseReason, FrameDecoder, FrameProtocol, Opcode, RsvBits

_TAIL = b"\x00\x00\xff\xff"  # what a sender leaves off (section 7.2.1)
_WINDOW = 1 << 15
_PIECE = (
    1 << 12
)  # compressed bytes inflated at a time: what stands after a final block is copied, so it has to be short
_EMPTY = 16  # final blocks in a row that hold nothing; a sender needs none, and each costs a window
_PARAMETER = re.compile(
    r"(client|server)_no_context_takeover|(client|server)_max_window_bits=([89]|1[0-5])|client_max_window_bits"
)


def understood(offer: str) -> bool:
    """Whether an offer or an answer is permessage-deflate with parameters that section 7.1 knows, each once."""
    name, *parameters = (part.strip() for part in offer.split(";"))
    names = {parameter.partition("=")[0] for parameter in parameters}
    return (
        name == PerMessageDeflate.name
        and len(names) == len(parameters)
        and all(_PARAMETER.fullmatch(parameter) for parameter in parameters)
    )


class Deflate(PerMessageDeflate):
    """Every frame passes here, whether compression was agreed on or not.

    Args:
        afresh: as a client, offer to compress each message by itself.

    Attributes:
        largest: bytes that a message may have after inflation; one more and the frame is refused with 1009.
        size: bytes of the current message so far.
        complaint: what was wrong, as (expected, got), once a hook has refused a frame.
        left: bytes that stood after the last frame, or part of one, when it was taken.
    """

    def __init__(self, largest: int, afresh: bool = False) -> None:
        super().__init__(client_no_context_takeover=afresh)
        self.largest = largest
        self.size = 0
        self.complaint: tuple[str, str] | None = None
        self.left = 0
        self._control = False  # the current frame is a control frame
        self._deflated = False  # the current message is compressed
        self._inflater: zlib._Decompress | None = None
        self._window = b""
        self._empty = 0  # final blocks in a row that held nothing

    @property
    def negotiated(self) -> bool:
        """Whether compression was agreed on."""
        return super().enabled()

    def enabled(self) -> bool:
        return True

    def frame_outbound(
        self, proto: FrameDecoder | FrameProtocol, opcode: Opcode, rsv: RsvBits, data: bytes, fin: bool
    ) -> tuple[RsvBits, bytes]:
        return super().frame_outbound(proto, opcode, rsv, data, fin) if self.negotiated else (rsv, data)

    def frame_inbound_header(
        self, proto: FrameDecoder | FrameProtocol, opcode: Opcode, rsv: RsvBits, payload_length: int
    ) -> CloseReason | RsvBits:
        # Called again for the same header where its masking key has not come yet, so nothing is counted here.
        self._control = opcode.iscontrol()
        first = not self._control and opcode is not Opcode.CONTINUATION
        if first:
            self._deflated, self.size = self.negotiated and rsv.rsv1, 0
        if not self._control and not self._deflated and self.size + payload_length > self.largest:
            return self._too_big(self.size + payload_length)
        return RsvBits(first and self.negotiated, False, False)  # any other bit is refused by wsproto

    def frame_inbound_payload_data(self, proto: FrameDecoder | FrameProtocol, data: bytes) -> bytes | CloseReason:
        if isinstance(proto, FrameDecoder):
            self.left = len(proto.buffer)
        if self._control:
            return data
        if self._deflated:
            return self._inflate(proto, data)
        self.size += len(data)
        return data

    def frame_inbound_complete(self, proto: FrameDecoder | FrameProtocol, fin: bool) -> bytes | CloseReason | None:
        if self._control or not self._deflated or not fin:
            return None
        tail = self._inflate(proto, _TAIL)
        if self.client_no_context_takeover if not proto.client else self.server_no_context_takeover:
            self._inflater, self._window = None, b""
        return tail

    def _inflate(self, proto: FrameDecoder | FrameProtocol, data: bytes) -> bytes | CloseReason:
        bits = -(self.server_max_window_bits if proto.client else self.client_max_window_bits)
        whole = bytearray()
        try:
            for at in range(0, len(data), _PIECE):
                rest = data[at : at + _PIECE]
                while rest:
                    if self._inflater is None:
                        self._inflater = zlib.decompressobj(bits, zdict=self._window)
                    some = self._inflater.decompress(rest, self.largest - self.size + 1)
                    whole += some
                    self.size += len(some)
                    if self.size > self.largest:
                        return self._too_big(f"more, from {len(data)} compressed bytes")
                    self._window = (self._window + some[-_WINDOW:])[-_WINDOW:]
                    rest = b""
                    if some:
                        self._empty = 0
                    if self._inflater.eof:
                        # A final block ends zlib's stream but not the message: the next block may point back into the window.
                        rest, self._inflater = self._inflater.unused_data, None
                        self._empty += not some
                        if self._empty > _EMPTY:
                            self.complaint = (
                                f"at most {_EMPTY} final deflate blocks in a row that hold nothing",
                                "more",
                            )
                            return CloseReason.POLICY_VIOLATION
        except zlib.error as error:
            self.complaint = ("deflate blocks (RFC 1951)", str(error))
            return CloseReason.INVALID_FRAME_PAYLOAD_DATA
        return bytes(whole)

    def _too_big(self, got: object) -> CloseReason:
        self.complaint = (f"a message of at most {self.largest} bytes", str(got))
        return CloseReason.MESSAGE_TOO_BIG
