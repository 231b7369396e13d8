"""What a WebSocket endpoint reports, and the two halves of its opening handshake (RFC 6455)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from packetlab.engine.contract import Event
from packetlab.errors import RemoteProtocolError
from packetlab.renamed import old_names

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Request:
    """The client's half of the opening handshake (RFC 6455 section 4.1); header names are in lower case."""

    host: str
    path: str
    headers: Headers
    subprotocols: tuple[str, ...] = ()

    def header(self, name: str) -> str | None:
        """Return the values of one header, joined by commas as HTTP allows, or None where it is missing."""
        values = [value for key, value in self.headers if key == name.lower()]
        return ", ".join(values) if values else None


@dataclass(frozen=True)
class Reply:
    """The server's half (section 4.2.2): 101 opens the WebSocket, any status from 200 to 599 refuses it."""

    status: int = 101
    subprotocol: str | None = None
    headers: Sequence[tuple[str, str]] = ()
    body: bytes = b""


@dataclass(frozen=True)
class HandshakeCompleted(Event):
    """The opening handshake is done; client and server report the same values."""

    request: Request
    headers: Headers  # of the server's reply
    subprotocol: str | None = None
    extensions: tuple[str, ...] = ()  # with their parameters, as agreed on


@dataclass(frozen=True)
class Refused(Event):
    """The last event, but for `Discarded`, of a WebSocket that was not opened: the HTTP response that the server gave instead."""

    status: int
    headers: Headers
    body: bytes = b""


@dataclass(frozen=True)
class MessageReceived(Event):
    """A whole message: text is `str`, binary is `bytes`."""

    data: str | bytes


@dataclass(frozen=True)
class Ping(Event):
    """A ping came; it has been answered, unless a close frame was sent before."""

    data: bytes


@dataclass(frozen=True)
class Pong(Event):
    """A pong came, requested or not."""

    data: bytes


@dataclass(frozen=True)
class Failed(Event):
    """The other side broke the rules, and is not read any further; `Closed` or `Refused` follows.

    `code` is what our close frame said, or None where no close frame could be sent.
    """

    error: RemoteProtocolError
    code: int | None = None


@dataclass(frozen=True)
class Closed(Event):
    """The last event, but for `Discarded`: the other side's close code and reason (sections 7.1.5 and 7.1.6).

    1005 says that its close frame had no code, 1006 that there was no close frame; `clean` that both sides sent one.
    """

    code: int
    reason: str
    clean: bool


@dataclass(frozen=True)
class Discarded(Event):
    """Something arrived that is not going to be delivered."""

    what: str
    why: str


if not TYPE_CHECKING:
    __getattr__ = old_names(__name__)
