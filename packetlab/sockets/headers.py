"""What `write` takes: data, and prototype headers in front of it or beside it.

4.4BSD (idp(4), spp(4)): headers of outgoing packets are set "by writing a prototype header along with whatever data is to be
sent", or by a default header for all of them. A field counts where it is given, be it zero; what a packet's own prototype
gives goes before ``header=``, that before a group's (``with socket.header(...)``), and that before the default.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from errno import EINVAL
from typing import Any, NamedTuple, TypeAlias

from packetlab.codec.objects import refuse_pattern
from packetlab.codec.stacks import build
from packetlab.declare.kinds import utf8
from packetlab.declare.values.addresses import XNSAddress
from packetlab.engine.xns.spp_send import END, ENDS
from packetlab.errors import BuildError, LocalProtocolError, SocketMisuse, unbuildable
from packetlab.packet.foreign import is_packed
from packetlab.packet.packet import Header, Packet
from packetlab.protocols.xns import IDP, SPP, Control, PacketType

Data: TypeAlias = bytes | bytearray | memoryview | str | Header | Packet
Prototype: TypeAlias = IDP | SPP | Packet

NO_CHECKSUM = 0xFFFF
USERS_CONTROL = int(Control.END_OF_MESSAGE | Control.ATTENTION)
# What a prototype decides of a connection's packets; the rest belongs to the connection.
MAY_SAY_IDP, MAY_SAY_SPP = {"hops"}, {"datastream", "control"}
PROTOTYPES = "IDP(...), SPP(...) or IDP(...) / SPP(...)"
FORCE = "force=True puts anything on the wire"


def outgoing(data: object, where: str) -> bytes | Packet:
    """Return data as bytes, and headers as a packet; whatever is neither is a TypeError, on every kind of socket."""
    if type(data) is bytes:
        return data
    if isinstance(data, str):
        return utf8(data, where)
    if isinstance(data, Packet):
        return data
    if isinstance(data, Header):
        return Packet((data,))
    if is_packed(data):  # a captured frame, a packet of scapy or dpkt
        return bytes(data)
    try:
        view = memoryview(data)  # type: ignore[arg-type]
        if view.ndim:  # a number of numpy's has a buffer, and is no data
            return view.tobytes()
    except TypeError:
        pass
    raise TypeError(f"{where}: expected bytes, text or headers, got {type(data).__name__} {repr(data)[:60]}")


def built_over(packet: Packet, *below: Header) -> bytes:
    """Return the bytes of what a socket sends, built as it stands over headers with both ends' addresses: its rules may ask for these.

    What was read before has the bytes that it was read from.
    """
    headers = packet._headers
    is_read = all(header._state >= header._declaration.captured_state for header in headers)
    if is_read or not below or headers[0]._declaration.through:
        return bytes(packet)
    gaps = {place + len(below): gap for place, gap in packet._trailing_bytes.items()}
    return build((*below, *headers), packet.payload, gaps, first=len(below))


class Given(NamedTuple):
    """The fields that prototype headers give, by name; `spp` is None where there is no such header."""

    idp: Mapping[str, Any]
    spp: Mapping[str, Any] | None

    def over(self, other: Given) -> Given:
        """Return these, and where they say nothing the other's."""
        spp = other.spp if self.spp is None else {**(other.spp or {}), **self.spp}
        return Given({**other.idp, **self.idp}, spp)

    def header(self) -> Prototype:
        """Return the prototype that gives these."""
        spp = None if self.spp is None else SPP(**self.spp)
        return IDP(**self.idp) if spp is None else IDP(**self.idp) / spp if self.idp else spp

    def below(self, src: XNSAddress, dst: XNSAddress | None, kind: str) -> tuple[Header, ...]:
        """Return the headers that data of a connection stands over, as rules see them; a stream's merges in packets of its own."""
        idp = IDP(**{"src": src, "dst": dst or XNSAddress(), "packet_type": PacketType.SPP, **self.idp})
        return (idp,) if kind == "stream" else (idp, SPP(**(self.spp or {})))

    def check(self, where: str, idp: Collection[str], spp: Collection[str]) -> None:
        """Raise LocalProtocolError where a field is not one of those named: the rest belongs to the protocol."""
        for header, fields, may in (("IDP", self.idp, idp), ("SPP", self.spp or {}, spp)):
            for name, value in fields.items():
                if name not in may and (header, name, value) != ("IDP", "checksum", NO_CHECKSUM):
                    yours = ", ".join([*sorted(may), *["checksum=0xFFFF (none)"] * (header == "IDP")])
                    raise LocalProtocolError(
                        f"{where}: {header}.{name}", "not given", f"{value}", f"yours: {yours}; {FORCE}"
                    )

    def check_spp(self, where: str) -> Given:
        """Return these fields, for packets of a connection; LocalProtocolError where one is not the user's to say."""
        self.check(where, MAY_SAY_IDP, MAY_SAY_SPP)
        spp = self.spp or {}
        control, datastream = int(spp.get("control", 0)), int(spp.get("datastream", 0))
        if control & ~USERS_CONTROL:
            hint = f"the connection decides SYSTEM and SEND_ACK (BSD would ignore them); {FORCE}"
            raise LocalProtocolError(f"{where}: SPP.control", "END_OF_MESSAGE or ATTENTION", f"{control:#x}", hint)
        if datastream >= END:
            raise SocketMisuse(EINVAL, f"{where}: SPP.datastream", f"0..{END - 1}", f"{datastream}", ENDS)
        return self


NOTHING = Given({}, None)


def prototype(header: object, where: str) -> Given:
    """Return what ``IDP(...)``, ``SPP(...)`` or ``IDP(...) / SPP(...)`` gives."""
    if isinstance(header, (Header, Packet)):
        packet = header if isinstance(header, Packet) else Packet((header,))
        _need_values(packet, where)
        said, rest = _split(packet)
        if packet._headers and not rest._headers and not rest.payload:
            return said
    raise LocalProtocolError(f"{where}: header", f"a prototype: {PROTOTYPES}", f"{header!r}")


def parted(packet: Packet, where: str) -> tuple[Given, Packet]:
    """Return what the prototypes at the beginning of a packet give, and the rest: the data.

    LocalProtocolError where another IDP or SPP is left in there (in the wrong order, twice, after Ether), but for what an
    Error quotes: it would go out as data, and nobody would know.
    """
    _need_values(packet, where)
    said, rest = _split(packet)
    for header in rest._headers:
        if header._declaration.quotes is not None:
            break
        if type(header) in (IDP, SPP):
            hint = "bytes(packet) sends all of it as data"
            got = " / ".join(type(each).__name__ for each in packet._headers)
            raise LocalProtocolError(where, f"{PROTOTYPES} before the data", got, hint)
    return said, rest


def _need_values(packet: Packet, where: str) -> None:
    """Raise SocketMisuse for a pattern: what is queued has to be built, maybe long after this call."""
    for header in packet._headers:
        try:
            refuse_pattern(header)
        except BuildError as error:
            raise unbuildable(error, where) from None


def _split(packet: Packet) -> tuple[Given, Packet]:
    headers = packet._headers
    idp = _said(headers[0]) if headers and type(headers[0]) is IDP else None
    headers = headers if idp is None else headers[1:]
    spp = _said(headers[0]) if headers and type(headers[0]) is SPP else None
    return Given(idp or {}, spp), Packet(headers if spp is None else headers[1:], packet.payload)


def _said(header: Header) -> dict[str, Any]:
    return {name: getattr(header, name) for name in sorted((Header.given.__get__(header) | Header.captured.__get__(header)) - {"payload"})}
