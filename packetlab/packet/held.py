"""What a packet holds: headers and payload, or bytes and the path that was found through them (see `codec.stacks`).

Headers on a path are made when somebody asks for them. As soon as all of them are wanted, a packet is like any other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from packetlab.hooks import Shown
from packetlab.renamed import renamed_arguments

if TYPE_CHECKING:
    from packetlab.codec.stacks import Path
    from packetlab.codec.way import Headers
    from packetlab.packet.anomalies import Anomalies


class Held(Shown):
    """Headers, a payload, and what is to be said of them, for `Packet`."""

    # As long as it has a path (see `codec.stacks`), only `_data`, `_anomalies`, `_made`, `_start` and `_end` are there too.
    __slots__ = (
        "_anomalies", "_data", "_derived", "_end", "_made", "_path", "_payload", "_resolved", "_stack", "_start",
    )  # fmt: skip
    _derived: Headers
    _made: list[object]
    _start: int
    _end: int

    @renamed_arguments(notes="anomalies")
    def __init__(self, headers: Headers = (), payload: bytes = b"", anomalies: Anomalies | None = None) -> None:
        self._stack = headers
        self._payload = payload
        self._data: bytes | None = None
        self._resolved: Headers | None = None
        self._anomalies = anomalies
        self._path: Path | None = None

    @property
    def _headers(self) -> Headers:
        """The headers as they were stacked, or as they were read."""
        path = self._path
        if path is not None:
            self._stack = self._resolved = path.make_all(self)
            self._payload = self.payload
            self._path = None
        return self._stack

    @property
    def _classes(self) -> tuple[type[Any], ...]:
        path = self._path
        return tuple(map(type, self._headers)) if path is None else path.classes

    @property
    def payload(self) -> bytes:
        """The bytes after the last header."""
        data: Any = self._data
        return self._payload if self._path is None else data[self._start : self._end]

    @property
    def _trailing_bytes(self) -> dict[int, bytes]:
        """Layer number -> the bytes after that layer, inside the one below."""
        return self._anomalies.gaps if self._anomalies is not None else {}

    @property
    def truncated(self) -> bool:
        """Whether there was more on the wire than is here: cut by the capture, a fragment, a quoted packet, a message that goes on."""
        return self._anomalies is not None and (self._anomalies.cut or self._anomalies.missing > 0)

    @property
    def linktype(self) -> int | None:
        """The link type of a captured frame whose first header is not declared; None for all other packets."""
        return self._anomalies.linktype if self._anomalies is not None else None

    @property
    def trailer(self) -> bytes:
        """The bytes that belong to no layer: what fills a short frame, from the innermost gap out.

        What stands after a message of a stream (``stream=True``) belongs to further ones: see `Packet.messages`.
        """
        gaps = self._trailing_bytes
        return b"".join(gaps[i] for i in sorted(gaps, reverse=True) if not self._classes[i]._declaration.stream)

    @property
    def _stream_rest(self) -> bytes:
        """The bytes after the first message of a stream."""
        gaps = self._trailing_bytes
        return b"".join(gaps[i] for i in sorted(gaps, reverse=True) if self._classes[i]._declaration.stream)

    def __getstate__(self) -> tuple[None, dict[str, object]]:
        # What is compiled does not travel.
        _, kept = self._headers, super().__getstate__()[1]  # type: ignore[index]
        return None, {name: value for name, value in kept.items() if name != "_made"}
