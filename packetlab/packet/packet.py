"""Packet: an immutable stack of headers with a payload.

Owns stacking (`/`), building, looking up layers, and editing with re-derivation. How one header is packed is
`codec`'s business, how bytes become a packet `dissect`'s, and how values are explained `explain`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, TypeVar, dataclass_transform, overload

from packetlab.codec.around.outer import has_context
from packetlab.codec.around.solving import solve_stack
from packetlab.codec.bodies import Bodies
from packetlab.codec.compiler import all_item_faults, replaced
from packetlab.codec.context.lending import lend, same_bytes
from packetlab.codec.faults import Fault
from packetlab.codec.rederive import rederived
from packetlab.codec.stacks import build, stack_encoders
from packetlab.declare.declaration import Declaration
from packetlab.declare.kinds import ByteString, utf8
from packetlab.declare.refinement.registered import refinements
from packetlab.declare.wildcards import Known, NoMatch
from packetlab.errors import BuildError
from packetlab.hooks import hook
from packetlab.packet.anomalies import Anomalies
from packetlab.packet.foreign import Foreign, is_foreign
from packetlab.packet.header import HeaderBase, HeaderType
from packetlab.packet.held import Held
from packetlab.packet.results import Deep, Difference, Varied, Verdict
from packetlab.packet.text import Text, headlines

H = TypeVar("H", bound="Header")
_new = object.__new__
_of: tuple[type[Packet]]  # (Packet,): new(*of) takes less than new(cls), which makes a tuple first


@dataclass_transform(kw_only_default=True, frozen_default=True)
class Header(HeaderBase):
    """Base of all headers. Subclass it with annotated fields; an instance is immutable.

    Class options (a derived class has its base's where it says nothing):
        under, when, port, sets: which header(s) it follows, on which numbers, port (either) or condition; see `registry.bind`.
        label: a text that says in one line what it is, with fields in braces: "{op} {name}", "{id:#06x}", "{sender.host}".
        payload_size: an expression for the payload's size in bytes where no length rule says it; negative: unknown.
        last: True where nothing can follow; what stands after it, built as a payload too, fills the frame (`Packet.trailer`). exact: True where that is a fault.
        opaque: a condition that the payload is not the start of the next header (a later fragment).
        unsized: a condition that the length of the whole is left out, so that all there is counts; no fault where that
            is more than a link's usual MTU (1,500 bytes), as in packets on their way to segmentation offload.
        partial: a condition that the payload is only the first part of what its headers speak of; quotes: that it is that of a packet quoted.
        pseudo: the (source, destination) fields that transport checksums of headers above cover; a property
            `final_destination` (bytes, none for the field's own) goes before the destination.
        stream: True where it begins a message of a stream of bytes: several may stand in one packet (`Packet.messages`), one may go on
            in others (`Capture.messages`), and a packet may begin inside one, which is payload then. It tells where it ends.
        through: of the first header of a link, a transform of whole frames (see `hdlc`, `link_type`).
        bit_order: "low" where the first field lies in the lowest bits of the first byte, and shared bytes come lowest first.
        in_bits: True where it takes any number of bits, at any bit: it stands in fields of other headers only, of its `bit_order`.
        remembers: what of it later packets recall: {("a table", field("key"), ...): field("value")}, of several lists a tuple; see `recalled`.
        answers: when it answers a header of its class, a condition on `request` and `reply`; {class: condition} for others.

    A header with only some fields given is a prototype: default header, pattern, filter.
    """

    __slots__ = ()
    _root: ClassVar[bool] = True
    _decode: ClassVar[Callable[..., tuple[Header, int, int, Declaration | None]]]

    def matches(self, packet: object, known: Known | None = None) -> bool:
        """Say whether `packet` has a header of this class whose fields fit the given ones of this prototype.

        `packet` is whatever is one: a header, ours, a captured frame, scapy's, dpkt's. A false answer says in its repr
        why; `why_not` says it at length. `known`: what `same_as` names stand for; a match adds to it.
        """
        headers = (packet,) if isinstance(packet, Header) else _packet(packet).layers
        if self._is_among(headers, known):
            return True
        return NoMatch(self, packet if isinstance(packet, Header) else _packet(packet), known)  # type: ignore[return-value]  # false, and equal to False

    def why_not(self, packet: object, known: Known | None = None) -> Text:
        """Return why `packet` does not match this prototype, the most telling line first; empty where it does."""
        reasons: Text = hook("why_not")(self, packet, known)
        return reasons

    def show(self) -> str:
        """Return the header as a table of field, value and state."""
        return (self / b"").show()

    def __truediv__(self, other: Any) -> Packet:
        if type(kind := type(other)) is not HeaderType and kind is not bytes:
            return Packet((self,)) / other  # type: ignore[no-any-return]
        packet = _new(*_of)
        packet._stack, packet._payload = ((self,), other) if kind is bytes else ((self, other), b"")
        packet._data = packet._resolved = packet._anomalies = packet._path = None
        return packet

    def __rtruediv__(self, other: object) -> Packet:
        return (self / b"").__rtruediv__(other)

    def __rdiv__(self, other: object) -> Foreign:
        return (self / b"").__rdiv__(other)


class Packet(Held):
    """Headers, a payload, and what link padding stands after.

    Made by stacking (``Ether() / IPv4() / b"data"``) or by `dissect`. Never changes: `replace` returns a new one.
    """

    __slots__ = ()

    # Looking ------------------------------------------------------------------------------------------------

    @property
    def layers(self) -> tuple[Header, ...]:
        """The headers from the outermost in, derived fields filled in."""
        if self._path is not None:
            return self._headers
        if self._resolved is None:
            self._resolved = self._resolve()
        return self._resolved

    @property
    def faults(self) -> tuple[Fault, ...]:
        """What does not fit the declarations, in the order found. Empty for a packet that was built."""
        found = list(self._anomalies.faults) if self._anomalies is not None else []
        if self._headers is self._resolved and not self.truncated:
            all_item_faults(self._headers, found, lambda: {(span.layer, span.field): span.bit // 8 for span in hook("field_offsets")(self).spans})
        return tuple(dict.fromkeys(found))

    @overload
    def __getitem__(self, wanted: type[H]) -> H: ...
    @overload
    def __getitem__(self, wanted: tuple[type[H], int]) -> H: ...
    def __getitem__(self, wanted: Any) -> Any:
        """Return the first header of a class, or with ``packet[IPv4, 1]`` the second, of further `messages` too. KeyError if none."""
        if (path := self._path) is not None:
            try:
                header = self._made[place := path.place[wanted]]
                return header if header is not None else path.make[place](self)
            except KeyError:
                pass  # none of just that class
        layers = (path is None and self._resolved) or self.layers
        for header in layers:
            if type(header) is wanted:
                return header
        cls, number = wanted if isinstance(wanted, tuple) else (wanted, 0)
        for header in layers:
            if isinstance(header, cls):
                if not number:
                    return header
                number -= 1
        if self._trailing_bytes and cls is not wanted and (found := hook("further_headers")(self, cls)[number:]):
            return found[0]
        raise KeyError(f"no {cls.__name__} in {self.summary()}")

    def messages(self, wanted: type[Header]) -> tuple[Packet, ...]:
        """Return the whole messages in this packet that begin with a header of a class with ``stream=True``, each by itself.

        The first is what the layers show. See `Capture.messages` for one that goes on in the next packet. A pickled packet has not kept what those after it recall: ``with frame.context():``.
        """
        return hook("messages_of")(self, wanted)  # type: ignore[no-any-return]

    def get(self, wanted: type[H]) -> H | None:
        """Return the first header of a class, or None."""
        return self[wanted] if wanted in self else None

    def __contains__(self, wanted: object) -> bool:
        if isinstance(wanted, Header):
            return bool(Header.matches(wanted, self))
        return isinstance(wanted, type) and any(issubclass(cls, wanted) for cls in self._classes)

    def __len__(self) -> int:
        return len(bytes(self))

    def __bool__(self) -> bool:
        return True

    # Building -----------------------------------------------------------------------------------------------

    def __truediv__(self, other: Any) -> Packet:
        # Stacking is a good part of what building costs, so the new packet is filled in right here.
        kind = type(other)
        headers = self._stack if self._path is None else self._headers
        if type(kind) is HeaderType:
            if self._payload:
                raise BuildError("/", "headers before the payload", kind.__name__)
            packet = _new(*_of)
            packet._stack = headers + (other,)
            packet._payload = b""
        elif kind is bytes:
            packet = _new(*_of)
            packet._stack = headers
            packet._payload = self._payload + other
        else:
            stacked: Packet = self._stacked(other)
            return stacked
        packet._data = packet._resolved = packet._path = None
        packet._anomalies = self._anomalies and self._kept()
        return packet

    def _stacked(self, other: object) -> Any:
        if isinstance(other, (bytes, bytearray, memoryview, str)):
            data = utf8(other, "payload") if isinstance(other, str) else bytes(other)
            return Packet(self._headers, self._payload + data, self._kept())
        if isinstance(other, Packet):
            if self.payload:
                raise BuildError("/", "headers before the payload", other.summary())
            count = len(self._headers)
            gaps = {**self._trailing_bytes, **{i + count: gap for i, gap in other._trailing_bytes.items()}}
            return Packet(self._headers + other._headers, other._payload, Anomalies(gaps) if gaps else None)
        return self._stacked(_packet(other)) if is_foreign(other) else NotImplemented

    def __rtruediv__(self, other: object) -> Packet:
        raise BuildError("/", "a header on the left", type(other).__name__)

    def __rdiv__(self, other: object) -> Foreign:
        # What scapy calls for `its_packet / ours`: the left side decides, so this gives a packet of scapy's.
        return hook("on_scapy")(other, self)

    def with_fault(self, fault: Fault, linktype: int | None = None) -> Packet:
        """Return this packet with one more thing to be said of it; of a link type that is not declared, its number."""
        said = (self._anomalies or Anomalies({})).with_fault(fault, linktype)
        more = Packet(self._headers, self._payload, said)
        more._data, more._resolved = self._data, self._resolved
        return more

    def __bytes__(self) -> bytes:
        data = self._data
        if data is None:
            headers, anomalies = self._stack, self._anomalies
            # A stack that comes often has a function of its own (see `stacks`), which may still pass.
            builder = stack_encoders.get(tuple(map(type, headers))) if anomalies is None else None
            data = builder(headers, self._payload) if builder is not None else None
            if data is None:
                data = build(headers, self._payload, anomalies.gaps if anomalies is not None else None)
            self._data = data
        return data

    def encode(self) -> bytes:
        """Pack from the fields, even where the bytes are known: what `bytes` returns once nothing is kept.

        Items that were not looked at yet are read first, so that nothing but field values goes in.
        """
        for header in self._headers:
            for f in type(header)._fields:
                if f.kind.wire == "items" and getattr(header, f.slot) is not None:
                    header._items_of(f)
        return build(self._headers, self._payload, self._trailing_bytes)

    def _build(self) -> tuple[Bodies, tuple[Header, ...]]:
        """Return what lies above each header in bytes, and the headers with derived fields filled in."""
        layers = self.layers
        return Bodies(bytes(self), layers, self._trailing_bytes), layers

    def _resolve(self) -> tuple[Header, ...]:
        headers, gaps = solve_stack(self._headers), self._trailing_bytes
        resolved = []
        body, above = self._payload, None
        for i in range(len(headers) - 1, -1, -1):
            header = headers[i]
            resolved.append(header._resolve(header, body, headers, i, above))
            above, body = header._declaration, header._encode(header, body, headers, i, above) + gaps.get(i, b"")
        if self._data is None and not (headers and headers[0]._declaration.through):
            self._data = body
        return tuple(resolved[::-1])

    # Editing ------------------------------------------------------------------------------------------------

    def replace(self, layer: type[Header] | tuple[type[Header], int] | Mapping[str, object] | None = None, /, **changes: object) -> Packet:
        """Return a packet with some fields of one layer given anew (``payload=`` alone needs no layer), or values by path.

        A path says what of a field: ``replace({"tcp.options[1].data": b"", "ip#2.ttl": 1})``; without a number the first of a list.
        Each captured field that follows from a rule and was right before the edit is derived again; one that was
        wrong stays as it is. KeyError where there is no such layer, BuildError where a value does not fit.
        """
        if layer is not None and type(layer) is not HeaderType and isinstance(layer, Mapping):
            return hook("edited")(self, {**layer, **changes})  # type: ignore[no-any-return]
        headers = list(self._rederived())
        payload = self.payload
        if layer is None and set(changes) != {"payload"}:
            raise BuildError("replace", "a layer, or payload= alone", ", ".join(changes) or "nothing")
        if "payload" in changes:  # None, which a captured header has where a mark stands, changes nothing
            field = None if layer is None else (layer[0] if isinstance(layer, tuple) else layer)._by_name.get("payload")
            if (field is None or changes["payload"] is not None) and (field is None or field.kind.wire == "payload"):
                payload = ByteString().raw(changes.pop("payload"), "payload")
        if layer is not None:
            place = self._place(layer)
            if (one := headers[place])._declaration.refines is None and not refinements(one._declaration):
                headers[place] = replaced(one, changes)
            else:
                headers[place], payload = hook("replaced_as_found")(one, changes, payload, place == len(headers) - 1)
        return self._edited(headers, payload)

    def _edited(self, headers: list[Header], payload: bytes) -> Packet:
        made = _new(*_of)
        if (now := getattr(self, "_now", None)) is not None:
            made._now = now
        made._stack, made._payload = lend(headers, self._headers) if has_context() else tuple(headers), payload
        made._anomalies = self._anomalies and self._kept()
        made._data = made._resolved = made._path = None
        for header in headers:
            if (own := header._declaration).coded or header._state & own.told:
                return hook("respelled")(self, made)  # type: ignore[no-any-return]
        return made

    def vary(self, count: int, fields: Mapping[object, object] | None = None, /, **named: object) -> Varied:
        """Return `count` packets made from this one, some fields varying from row to row: one batch, with right lengths
        and checksums.

        Args:
            fields: what varies -> its values. A field is named by itself (``UDP.sport``), in words ("ip.src", "ip#2.src"
                for the second IPv4, "idp.dst.net"), as ``(IPv4, 1, "src")``, or is "payload".
            named: the same with words as keywords.

        Values are a range, a list, an array, an iterator, or one of `sequence`, `seeded`, `filling`; they begin again when
        they are used up. A numpy Generator draws them. None in a list says that an optional field is not there. Fields that are given keep their values, derived ones follow; row i
        is what `replace` with the values of row i gives. BuildError where a field or a value does not fit.
        """
        rows: Varied = hook("vary")(self, count, fields, named)
        return rows

    def _rederived(self) -> tuple[Header, ...]:
        """Return the headers with every captured field that is consistent made derived again; worked out once."""
        if not hasattr(self, "_derived"):
            self._derived = rederived(self)
        return self._derived

    # Explaining ---------------------------------------------------------------------------------------------

    def why(self, layer: type[Header] | tuple[type[Header], int], name: str) -> Text:
        """Return how the value of a field comes about: state, rule and operands; "items[0].size" is one of what a field holds, by its path."""
        found: Text = hook("why")(self, self._place(layer), name)
        return found

    def verdict(self, layer: type[Header] | tuple[type[Header], int], name: str = "") -> Verdict:
        """Return what is to be said of a checksum: good, bad, unverified (bytes are missing), not present (as its header).

        Without a `name` it is "checksum", or the only one; "items[1].sum" is held in a field. Of a class that fields hold it is the worst. BuildError where there is none.
        """
        found: Verdict = hook("verdict")(self, layer, name)
        return found

    def verdicts(self) -> dict[str, Verdict]:
        """Return the verdict on every checksum, by "IPv4.checksum" ("#2" after the second of its kind), or "List.items[1].sum"."""
        found: dict[str, Verdict] = hook("verdicts")(self)
        return found

    def _place(self, layer: type[Header] | tuple[type[Header], int]) -> int:
        classes = self._classes
        if layer in classes:
            return classes.index(layer)
        target = self[layer]
        places = [i for i, header in enumerate(self.layers) if header is target]
        if not places:
            raise BuildError(type(target).__name__, "a layer", "one of a further message", "see packet.messages(...)")
        return places[0]

    def diff(self, other: object) -> Difference:
        """Return the fields in which two packets differ; it is false where there are none, and prints one a line.

        `other` is whatever is a packet: ours, a header, a captured frame, scapy's, dpkt's, or bytes.
        """
        found: Difference = hook("diff")(self, other)
        return found

    def matches(self, packet: object, known: Known | None = None) -> bool:
        """Say whether every header of this packet, as a prototype, matches one of `packet`, in order.

        `packet` is whatever is one: ours, a captured frame, scapy's, dpkt's. A false answer says in its repr why.
        `known`: what `same_as` names stand for; a match adds to it.
        """
        packet = _packet(packet)
        names = dict(known) if known else {}
        layers = iter(packet.layers)
        for mine in self._headers:
            if not any(Header.matches(mine, header, names) for header in layers):
                return NoMatch(self, packet, known)  # type: ignore[return-value]
        if self._payload not in (b"", packet.payload):
            return NoMatch(self, packet, known)  # type: ignore[return-value]
        if known is not None:
            known.update(names)
        return True

    def why_not(self, packet: object, known: Known | None = None) -> Text:
        """Return why `packet` does not match this one as a prototype; empty where it does."""
        found: Text = hook("why_not")(self, packet, known)
        return found

    def answers(self, request: Packet) -> bool:
        """Say whether this packet is the reply to `request` by the rules of its headers; see `pattern.replies`."""
        return not hook("reasons")(self, request)

    def show(self) -> Text:
        """Return the packet as a table: a line per layer, below it field, value and state."""
        found: Text = hook("show")(self)
        return found

    def dump(self) -> Text:
        """Return the bytes, sixteen a line as numbers and text, and the bits of those that several fields share."""
        return hook("dump")(self)  # type: ignore[no-any-return]

    def summary(self) -> str:
        """Return in one line the names of the layers, what their `label` says, the payload's size, and further messages after a "+"."""
        parts, payload = headlines(self), self.payload
        line = " / ".join([*parts, f"{len(payload)} bytes"] if payload else parts)
        return line + hook("further_summary")(self) if self._trailing_bytes else line

    # Other libraries ----------------------------------------------------------------------------------------

    def to_scapy(self) -> Foreign:
        """Return the packet as scapy's: its own classes where it has them, classes made from declarations elsewhere.

        The bytes are the same. scapy is imported by this call (about half a second, once).
        """
        return hook("to_scapy")(self)

    def to_dpkt(self) -> Foreign:
        """Return the packet as dpkt's: its own classes where it has them, classes made from declarations elsewhere."""
        return hook("to_dpkt")(self)

    def deep(self, name: str | None = None, *, using: str | None = None) -> Deep:
        """Return the application's data decoded by scapy or dpkt; see `packetlab.deep`.

        Args:
            name: of the decoder ("dns", "http", "tls"; `packetlab.deep_names()` lists them), None: by ports and bindings.
            using: "scapy" or "dpkt", None: whichever has the decoder.

        Never raises for what is in the packet: a decoder that fails leaves a fault on the result.
        """
        return hook("deep")(self, name, using=using)  # type: ignore[no-any-return]

    def __eq__(self, other: object) -> bool:
        return self._is_like(other) and same_bytes(self, other) if isinstance(other, Packet) else NotImplemented

    def __hash__(self) -> int:
        return hash(bytes(self))

    def __repr__(self) -> str:
        parts = [repr(header) for header in self._headers]
        if self._payload:
            parts.append(repr(self._payload))
        return " / ".join(parts) or "Packet()"


def _packet(packet: object) -> Packet:
    found: Packet = hook("as_packet")(packet)
    return found


_of = (Packet,)
