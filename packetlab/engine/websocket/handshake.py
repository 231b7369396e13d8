"""The opening handshake of RFC 6455 section 4, both sides.

h11 reads and writes the HTTP, wsproto knows the accept token and the extensions. wsproto's own handshake is not used:
it lets pass (1.3.2) any key, repeated headers, HTTP/1.0 and several answered extensions, mixes up several offers, and
raises on bytes beyond ASCII.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Sequence
from ipaddress import ip_address
from typing import Literal, TypeVar

import h11
from wsproto.handshake import server_extensions_handshake
from wsproto.utilities import generate_accept_token, generate_nonce

from packetlab.engine.contract import Event
from packetlab.engine.websocket.deflate import Deflate, understood
from packetlab.engine.websocket.events import (
    Closed,
    Discarded,
    Failed,
    HandshakeCompleted,
    Headers,
    Refused,
    Reply,
    Request,
)
from packetlab.errors import LocalProtocolError, RemoteProtocolError

WHERE = "opening handshake"
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 section 5.6.2
_RESERVED = {"host", "upgrade", "connection", "content-length", "transfer-encoding"}  # and sec-websocket-*
_UPGRADE = (("Upgrade", "websocket"),)  # a 426 has to name what it asks for (RFC 9110 section 15.5.22)
_Sent = TypeVar("_Sent", bound=h11.Event)
_BODY = 1 << 16  # bytes kept of a refusal's body


def extra(headers: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return a user's headers, unless one is the handshake's own."""
    for name, _ in headers:
        if name.lower().startswith("sec-websocket-") or name.lower() in _RESERVED:
            raise LocalProtocolError("WebSocket headers", "none of the handshake's own", name)
    return list(headers)


def check_subprotocols(names: Sequence[str]) -> None:
    """Raise LocalProtocolError for names that the handshake cannot carry."""
    if isinstance(names, str) or not all(map(_TOKEN.fullmatch, names)) or len(set(names)) < len(names):
        raise LocalProtocolError(
            "WebSocket subprotocols", "tokens, each once", names if isinstance(names, str) else list(names)
        )


class Bad(Exception):
    """They broke a rule: what was expected and got, and the status and headers that tell them so."""

    def __init__(self, expected: object, got: object, status: int = 400, headers: Headers = (), hint: str = "") -> None:
        self.error = RemoteProtocolError(WHERE, expected, got, hint)
        self.reply = Reply(status, headers=headers, body=f"{self.error}\n".encode())


class _Handshake:
    """What both sides share: an HTTP connection, and a bound on the bytes before it becomes a WebSocket."""

    def __init__(self, role: type[h11.CLIENT] | type[h11.SERVER], subprotocols: Sequence[str], largest: int) -> None:
        check_subprotocols(subprotocols)
        self.subprotocols = tuple(subprotocols)
        self._http = h11.Connection(role, max_incomplete_event_size=largest)
        self._largest = largest
        self._taken = 0

    @property
    def rest(self) -> bytes:
        """Bytes that came after the handshake's own."""
        return self._http.trailing_data[0]

    def _feed(self, data: bytes) -> None:
        self._taken += len(data)
        self._http.receive_data(data)

    def _next(self) -> object:
        """Return h11's next event, or None until more has come.

        h11 bounds only what is incomplete, so that the verdict would hang on how the bytes were split.
        """
        too_long = Bad(f"at most {self._largest} bytes of header", "more", 431)
        try:
            event = self._http.next_event()
        except h11.RemoteProtocolError as error:
            raise (
                too_long
                if error.error_status_hint == 431
                else Bad("a head by the rules of RFC 9112", f"one that breaks them: {error}")
            ) from None
        if isinstance(event, h11.Request | h11.Response | h11.InformationalResponse):
            if self._taken - len(self.rest) > self._largest:
                raise too_long
            if event.http_version != b"1.1":
                raise Bad("HTTP/1.1", f"HTTP/{event.http_version.decode()}")
        return None if event is h11.NEED_DATA else event


class ServerOpening(_Handshake):
    """Reads a request, and answers it.

    Attributes:
        deflate: what was agreed on, once the WebSocket is open.
    """

    def __init__(
        self,
        subprotocols: Sequence[str],
        headers: Sequence[tuple[str, str]],
        compression: bool | Literal["afresh"],
        accept: Callable[[Request], Reply | None] | None,
        origins: Sequence[str] | None,
        local: bool,
        largest_head: int,
        largest_message: int,
    ) -> None:
        super().__init__(h11.SERVER, subprotocols, largest_head)
        self._origins, self._local = origins, local
        self.deflate = Deflate(largest_message)
        self._headers, self._compression, self._accept = extra(headers), compression, accept

    def receive(self, data: bytes) -> tuple[bytes, list[Event]]:
        """Take bytes; return the bytes to send and what happened, both empty while the request is incomplete."""
        self._feed(data)
        try:
            event = self._next()
            if not isinstance(event, h11.Request):
                return b"", []
            request = checked_request(event)
            check_origin(request, self._origins, self._local)
        except Bad as bad:
            return self.refuse(bad)
        reply = self._accept(request) if self._accept else None
        if reply is None:
            reply = Reply(subprotocol=next((name for name in request.subprotocols if name in self.subprotocols), None))
        extra(reply.headers)
        return self._open(request, reply) if reply.status == 101 else self._refuse(reply)

    def end(self, late: bool = False) -> tuple[bytes, list[Event]]:
        """Take the end of the stream, or (`late`) give up waiting."""
        return self.refuse(
            Bad("a whole request", "no more of it in time", 408)
            if late
            else Bad("a whole request", "the end of the stream")
        )

    def refuse(self, bad: Bad) -> tuple[bytes, list[Event]]:
        raw, events = self._refuse(bad.reply)
        return raw, [Failed(bad.error), *events]

    def _open(self, request: Request, reply: Reply) -> tuple[bytes, list[Event]]:
        if reply.subprotocol is not None and reply.subprotocol not in request.subprotocols:
            raise LocalProtocolError("Reply.subprotocol", f"one of {list(request.subprotocols)}", reply.subprotocol)
        if reply.body:
            raise LocalProtocolError("Reply.body", "nothing beside status 101", f"{len(reply.body)} bytes")
        headers = [
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            (
                "Sec-WebSocket-Accept",
                generate_accept_token((request.header("sec-websocket-key") or "").encode()).decode(),
            ),
        ]
        if reply.subprotocol is not None:
            headers.append(("Sec-WebSocket-Protocol", reply.subprotocol))
        extensions = self._agree(request) if self._compression else ()
        headers += [("Sec-WebSocket-Extensions", extension) for extension in extensions]
        headers += [*self._headers, *reply.headers]
        response = _made(
            h11.InformationalResponse, status_code=101, headers=_encoded(headers), reason="Switching Protocols"
        )
        return self._http.send(response) or b"", [
            HandshakeCompleted(request, headers_of(response), reply.subprotocol, extensions)
        ]

    def _agree(self, request: Request) -> tuple[str, ...]:
        """Take the first offer that can be met (RFC 7692 section 5.1); each is tried with a fresh extension."""
        for offer in listed(request.header("sec-websocket-extensions")):
            deflate = Deflate(self.deflate.largest)
            answer = server_extensions_handshake([offer], [deflate]) if understood(offer) else None
            if answer:
                self.deflate = deflate
                return (answer.decode(),)
        return ()

    def _refuse(self, reply: Reply) -> tuple[bytes, list[Event]]:
        headers = [("Connection", "close"), ("Content-Length", str(len(reply.body))), *self._headers, *reply.headers]
        response = _made(h11.Response, status_code=reply.status, headers=_encoded(headers))
        parts = (response, h11.Data(data=reply.body), h11.EndOfMessage())
        return b"".join(self._http.send(part) or b"" for part in parts), [
            Refused(reply.status, headers_of(response), reply.body)
        ]


class ClientOpening(_Handshake):
    """Sends a request, and checks the answer.

    Attributes:
        deflate: what was agreed on, once the WebSocket is open.
    """

    def __init__(
        self,
        host: str,
        path: str,
        subprotocols: Sequence[str],
        headers: Sequence[tuple[str, str]],
        compression: bool | Literal["afresh"],
        randomness: Callable[[int], bytes] | None,
        largest_head: int,
        largest_message: int,
    ) -> None:
        super().__init__(h11.CLIENT, subprotocols, largest_head)
        if not path.startswith("/"):  # RFC 9112 section 3.2.1
            raise LocalProtocolError("WebSocket path", 'one that begins with "/"', repr(path))
        self.deflate = Deflate(largest_message, afresh=compression == "afresh")
        self._compression = compression
        self._key = base64.b64encode(randomness(16)) if randomness else generate_nonce()
        self._refusal: Refused | None = None  # its outcome so far
        sent = [
            ("Host", host),
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Key", self._key.decode()),
            ("Sec-WebSocket-Version", "13"),
        ]
        if subprotocols:
            sent.append(("Sec-WebSocket-Protocol", ", ".join(subprotocols)))
        if compression:
            sent.append(("Sec-WebSocket-Extensions", f"{self.deflate.name}; {self.deflate.offer()}"))
        request = _made(h11.Request, method="GET", target=path, headers=_encoded([*sent, *extra(headers)]))
        self._request = request_of(request)
        self.request = (self._http.send(request) or b"") + (self._http.send(h11.EndOfMessage()) or b"")

    def receive(self, data: bytes) -> tuple[bytes, list[Event]]:
        """Take bytes of the response; return nothing to send, and what happened."""
        self._feed(data)
        events: list[Event] = []
        try:
            while (event := self._next()) is not None:
                if isinstance(event, h11.InformationalResponse):
                    if event.status_code == 101:
                        return b"", [*events, self._opened(event)]
                    events.append(Discarded(f"an HTTP response {event.status_code}", "it is not the final one"))
                elif isinstance(event, h11.Response):
                    self._refusal = Refused(event.status_code, headers_of(event))
                elif isinstance(event, h11.Data) and self._refusal:
                    body = self._refusal.body + bytes(event.data)
                    self._refusal = Refused(self._refusal.status, self._refusal.headers, body[:_BODY])
                    if len(body) > _BODY:
                        return b"", [
                            *events,
                            Discarded("the rest of the response", f"{_BODY} bytes came"),
                            self._refusal,
                        ]
                elif isinstance(event, h11.EndOfMessage) and self._refusal:
                    return b"", [*events, self._refusal]
                else:
                    break  # the connection is closed
        except Bad as bad:
            return b"", [*events, Failed(bad.error), self._refusal or Closed(1006, "", clean=False)]
        return b"", events

    def end(self, late: bool = False) -> tuple[bytes, list[Event]]:
        """Take the end of the stream, which may be that of a response's body; or (`late`) give up waiting."""
        if not late and (found := self.receive(b"")[1]):  # to h11 this is the end
            return b"", found
        error = Bad("a whole response", "no more of it in time" if late else "the end of the stream").error
        return b"", [Failed(error), self._refusal or Closed(1006, "", clean=False)]

    def _opened(self, response: h11.InformationalResponse) -> HandshakeCompleted:
        return checked_response(response, self._request, self._key, self.deflate if self._compression else None)


def checked_response(
    response: h11.InformationalResponse, request: Request, key: bytes, deflate: Deflate | None
) -> HandshakeCompleted:
    """Check the rules of section 4.1 on a response with status 101; set `deflate`, None for not offered, to what was agreed on.

    Raises:
        Bad: a rule is broken.
    """
    headers = headers_of(response)
    if (joined(headers, "upgrade") or "").lower() != "websocket":
        raise Bad("Upgrade: websocket", joined(headers, "upgrade"))
    if "upgrade" not in listed((joined(headers, "connection") or "").lower()):
        raise Bad("Connection: Upgrade", joined(headers, "connection"))
    token = generate_accept_token(key).decode()
    if joined(headers, "sec-websocket-accept") != token:  # two of them, joined, are no match either
        raise Bad(f"Sec-WebSocket-Accept: {token}", joined(headers, "sec-websocket-accept"))
    subprotocol = joined(headers, "sec-websocket-protocol")
    if subprotocol is not None and subprotocol not in request.subprotocols:
        raise Bad(f"a subprotocol out of {list(request.subprotocols)}", subprotocol)
    extensions = listed(joined(headers, "sec-websocket-extensions"))
    if extensions:
        (answer, *more) = extensions
        if deflate is None or more or not understood(answer) or answer.endswith("client_max_window_bits"):
            raise Bad("extensions that were offered", ", ".join(extensions))
        try:
            deflate.finalize(answer)
        except ValueError as error:  # 8, which zlib cannot do
            raise Bad(error, answer) from None
    return HandshakeCompleted(request, headers, subprotocol, tuple(extensions))


def checked_request(event: h11.Request) -> Request:
    """Check the rules of section 4.2.1 on a request."""
    request = request_of(event)
    if event.method != b"GET":
        raise Bad("method GET", event.method.decode(), 405, (("Allow", "GET"),))
    if not request.path.startswith("/"):  # RFC 9112 section 3.2.1
        raise Bad('a path that begins with "/"', request.path)
    if "websocket" not in listed((request.header("upgrade") or "").lower()):
        raise Bad("Upgrade: websocket", request.header("upgrade"), 426, _UPGRADE)
    if "upgrade" not in listed((request.header("connection") or "").lower()):
        raise Bad("Connection: Upgrade", request.header("connection"))
    version = request.header("sec-websocket-version")
    if version != "13":
        version_header = (("Sec-WebSocket-Version", "13"),)
        raise Bad(
            "Sec-WebSocket-Version: 13",
            version,
            426 if version else 400,
            (*_UPGRADE, *version_header) if version else version_header,
        )
    key = request.header("sec-websocket-key") or ""
    try:
        size = len(base64.b64decode(key.encode("latin-1"), validate=True))
    except binascii.Error:
        size = -1
    if size != 16 or len(key) != 24:
        raise Bad("one Sec-WebSocket-Key of 16 bytes in base64", key or None)
    names = request.subprotocols
    if len(set(names)) != len(names) or not all(map(_TOKEN.fullmatch, names)):
        raise Bad("subprotocols that are tokens, each once", list(names))
    if request.header("transfer-encoding") or request.header("content-length") not in (None, "0"):
        raise Bad("a request without body", "a body")
    return request


def check_origin(request: Request, origins: Sequence[str] | None, local: bool) -> None:
    """Check who asks (section 10.2): a page's origin, and the name by which it found a server for this machine alone."""
    allowed = [one.lower() for one in origins or ()]
    if "*" in allowed or (origins is None and not local):
        return
    hint = "a listener's origins=[...] allows others"
    hosts = [one.partition("://")[2] for one in allowed]
    if local and not is_local(request.host) and request.host.lower() not in hosts:
        raise Bad("a Host that names this machine", request.host or "none", 403, hint=hint)
    origin = request.header("origin")
    if origin is None or origin.lower() in allowed or (origins is None and is_local(origin.partition("://")[2])):
        return
    raise Bad(
        f"an Origin out of {list(origins)}" if origins else "an Origin of this machine",
        origin or "an empty one",
        403,
        hint=hint,
    )


def is_local(authority: str) -> bool:
    """Say whether "host" or "host:port" names this machine: localhost (RFC 6761 section 6.3), or a loopback address."""
    found = re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[^:\[\]]+)(?::\d*)?", authority)
    name = found[1].strip("[]").lower().rstrip(".") if found else ""
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def request_of(event: h11.Request) -> Request:
    headers = headers_of(event)
    subprotocols = tuple(listed(joined(headers, "sec-websocket-protocol")))
    return Request(joined(headers, "host") or "", event.target.decode("latin-1"), headers, subprotocols)


def headers_of(event: h11.Request | h11.Response | h11.InformationalResponse) -> Headers:
    return tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in event.headers)


def joined(headers: Headers, name: str) -> str | None:
    values = [value for key, value in headers if key == name]
    return ", ".join(values) if values else None


def listed(value: str | None) -> list[str]:
    return [part for part in map(str.strip, (value or "").split(",")) if part]


def _encoded(headers: Sequence[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    try:
        return [(name.encode("ascii"), value.encode("latin-1")) for name, value in headers]
    except UnicodeEncodeError as error:
        raise LocalProtocolError("WebSocket headers", "characters that HTTP can carry", error.object) from None


def _made(kind: Callable[..., _Sent], **parts: object) -> _Sent:
    try:
        return kind(**parts)
    except (h11.LocalProtocolError, UnicodeEncodeError) as error:
        raise LocalProtocolError("WebSocket handshake", "what HTTP can carry", error) from None
