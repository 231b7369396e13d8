"""The WebSocket frame header (RFC 6455 section 5.2), and the masking of section 5.3."""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated

from packetlab.declare.bits.kinds import bits
from packetlab.declare.fields import auto, default, when
from packetlab.declare.kinds import Named, fixed_bytes
from packetlab.declare.rules import choose, field, has, size_of
from packetlab.declare.transforms.masks import xored
from packetlab.declare.values.integers import U1, U7, U16, U64
from packetlab.packet.packet import Header


class Opcode(IntEnum):
    """RFC 6455 section 11.8."""

    CONTINUATION = 0
    TEXT = 1
    BINARY = 2
    CLOSE = 8
    PING = 9
    PONG = 10


_SIZE = size_of("payload")


class WebSocketFrame(
    Header,
    payload_size=choose(
        field("length") < 126, field("length"), choose(field("length") == 126, field("length16"), field("length64"))
    ),
):
    """A frame's header; the payload stands as it is sent, so masked where a key is given (see `mask`)."""

    fin: U1 = 1
    rsv1: U1 = 0
    rsv2: U1 = 0
    rsv3: U1 = 0
    opcode: Annotated[Named[Opcode], bits(4)] = default(Opcode.TEXT)
    masked: U1 = auto(has("masking_key"))
    length: U7 = auto(choose(_SIZE < 126, _SIZE, choose(_SIZE < 65536, 126, 127)))
    length16: U16 = when(field("length") == 126, auto(_SIZE))
    length64: U64 = when(field("length") == 127, auto(_SIZE))
    masking_key: Annotated[bytes, fixed_bytes(4)] = when(field("masked"))


def mask(key: bytes, data: bytes) -> bytes:
    """Return `data` masked with the 4 bytes of `key`; the same again unmasks.

    >>> mask(bytes.fromhex("37fa213d"), bytes.fromhex("7f9f4d5158"))
    b'Hello'
    """
    return xored(data, key)
