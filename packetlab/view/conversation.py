"""Who speaks in a packet, and what its topmost headers say, in one line."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from packetlab.codec.objects import classes
from packetlab.declare.fields import Field
from packetlab.declare.registry import declared
from packetlab.declare.values.addresses import XNSAddress, ip_text, mac_text
from packetlab.errors import BuildError, suggestion
from packetlab.escaping import bytes_text, printable
from packetlab.packet.packet import Header, Packet
from packetlab.packet.text import headline
from packetlab.pattern.paths import PAYLOAD, FieldPath


def spoken(packet: Packet) -> tuple[Header, ...]:
    """Return the headers that speak themselves: not those of a packet that an error report quotes."""
    for place, header in enumerate(packet.layers, 1):
        if type(header)._declaration.quotes is not None:
            return packet.layers[:place]
    return packet.layers


def ends(headers: Packet | Sequence[Header]) -> tuple[str, str]:
    """Return source and destination as text: of the innermost header that has both, or "?" twice."""
    for header in reversed(spoken(headers) if isinstance(headers, Packet) else headers):
        # A header whose bytes ended inside it may lack either.
        source, destination = getattr(header, "_src", None), getattr(header, "_dst", None)
        if isinstance(source, bytes) and isinstance(destination, bytes):
            show = {4: ip_text, 6: mac_text, 16: ip_text}.get(len(source))
            return (show(source), show(destination)) if show else (str(header.src), str(header.dst))  # type: ignore[attr-defined]
    return "?", "?"


def hosts(packet: Packet) -> tuple[str, str]:
    """Return source and destination as `ends` does, but of XNS the hosts alone, whatever their sockets: "02:00:..."."""
    for header in reversed(spoken(packet)):
        if isinstance(getattr(header, "src", None), XNSAddress):
            source, destination = getattr(header, "_src", None), getattr(header, "_dst", None)
            if source is not None and destination is not None:
                return mac_text(source[4:10]), mac_text(destination[4:10])
    return ends(packet)


def label(packet: Packet, most: int = 2, also: Sequence[Field] = ()) -> str:
    """Return in one line what the topmost headers say, `most` of them (fields that are not zero), the uppermost first.

    `also`: fields to say whatever is in them, the first of their headers; these headers take the place of others.
    """
    headers = spoken(packet)
    shown = headers[-most:]
    if also:
        wanted = {id(header) for f in also for header in headers if header._declaration.is_a(f.owner)}
        if not wanted <= set(map(id, shown)):
            shown = tuple(header for header in headers if id(header) in wanted or header is headers[-1])
    text = " on ".join(_fields(header, also) for header in reversed(shown))
    return printable(text + _rest(packet))


def field_paths(fields: Sequence[str | Field]) -> list[str | FieldPath]:
    """Return what fields a reader asks for: names ("seq", "ip.ttl", "tcp.flags.syn") or fields (`SPP.seq`).

    BuildError for a name that no declared header has, for a payload, and for what is neither name nor field.
    """
    if isinstance(fields, str) or not isinstance(fields, Iterable):
        hint = f"write [{fields!r}]" if isinstance(fields, str) else ""
        raise BuildError("fields", "a list of names", repr(fields), hint)
    found: list[str | FieldPath] = []
    for wanted in fields:
        where = f"fields: {wanted!r}"
        if isinstance(wanted, Field):
            path = FieldPath(classes[wanted.owner], 0, (wanted,) if wanted.kind.wire != "payload" else ())
        elif not isinstance(wanted, str):
            raise BuildError(
                where, "a name such as 'seq' or 'ip.ttl', or a field such as SPP.seq", type(wanted).__name__
            )
        elif "." in wanted:
            path = FieldPath.parse(wanted, where)
        else:
            known = {f.name for header in declared() for f in header.fields if f.kind.wire != "payload"}
            if wanted not in known and wanted != PAYLOAD:
                hint = suggestion(wanted, sorted(known))
                raise BuildError(where, "a field such as 'seq' or 'ip.ttl'", repr(wanted), hint)
            if wanted in known:
                found.append(wanted)
                continue
            path = FieldPath(Header)
        if not path.fields:
            raise BuildError(where, "a field", "a payload")
        found.append(path)
    return found


def chosen(packet: Packet, fields: Sequence[str | FieldPath]) -> str:
    """Return in one line what the fields say of `fields`.

    A name is looked for from the uppermost header down. What a packet does not have is left out.
    """
    headers = spoken(packet)
    found = []
    for wanted in fields:
        for path, header in _having(headers, wanted):
            texts = [_text(path, header, raw) for raw in path.raws_of(header)]
            if texts:
                found.append(f"{'.'.join(path.names)}={','.join(texts)}")
                break
    name = headline(headers[-1]) if headers else ""
    return printable(" ".join([name, *found]) + _rest(packet))


def _having(headers: Sequence[Header], wanted: str | FieldPath) -> list[tuple[FieldPath, Header]]:
    """Return the headers that a name may mean, the uppermost first."""
    if isinstance(wanted, str):
        named = [(header, type(header)._by_name.get(wanted)) for header in reversed(headers)]
        return [(FieldPath(type(header), 0, (f,)), header) for header, f in named if f is not None]
    same = [header for header in headers if isinstance(header, wanted.header)]
    same = same[wanted.occurrence - 1 : wanted.occurrence] if wanted.occurrence else same[::-1]
    return [(wanted, header) for header in same]


def _text(path: FieldPath, header: Header, raw: Any) -> str:
    whole = path.kind.wire == "items" and not path.deep
    if whole:
        return str(getattr(header, path.fields[0].name))
    return bytes_text(raw) if path.kind.wire == "items" else path.kind.text(raw).split(" (")[0]


def _rest(packet: Packet) -> str:
    return (f" +{len(packet.payload)} B" if packet.payload else "") + (" (faulty)" if packet.faults else "")


def _fields(header: Header, also: Sequence[Field] = ()) -> str:
    shown = [type(header).__name__]
    if header._declaration.label and not also:
        return headline(header)
    first = [
        f for f in dict.fromkeys(also) if header._declaration.is_a(f.owner) and getattr(header, f.slot) is not None
    ]
    shown += [f"{f.name}={_value(header, f)}" for f in first]
    for f in header._fields:
        if f.rule is None and not f.fixed:
            raw = getattr(header, f.slot)
            if raw and isinstance(raw, int) and f not in first:
                shown.append(f"{f.name}={_value(header, f)}")
    return " ".join(shown)


def _value(header: Header, f: Field) -> str:
    raw = getattr(header, f.slot)
    if isinstance(raw, (int, bytes)):
        return f.kind.text(raw).split(" (")[0]
    return str(getattr(header, f.name))
