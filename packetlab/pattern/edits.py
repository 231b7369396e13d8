"""Edits by path: a value inside a list, a header in a field, a flag, given anew; what holds it is made anew around it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from packetlab.codec.around.outer import read_with
from packetlab.codec.compiler import replaced
from packetlab.codec.faults import Dissection
from packetlab.codec.objects import restored
from packetlab.codec.places.inner import HeldValues
from packetlab.codec.places.item_values import values_of
from packetlab.codec.rederive import rederived_alone
from packetlab.codec.refinement.class_bodies import plain
from packetlab.codec.refinement.views import viewed
from packetlab.declare.declaration import outer_leaves, rules_of
from packetlab.declare.fields import Field, auto
from packetlab.declare.kinds import ByteString, Raw
from packetlab.declare.values.views import given, raw as in_raw_form
from packetlab.errors import BuildError
from packetlab.packet.packet import Header, Packet
from packetlab.pattern.paths import COUNT, PAYLOAD, RAW, FieldPath, holder, lists

H = TypeVar("H", bound=Header)


def edited(packet: Packet, values: Mapping[str, object]) -> Packet:
    """Return a packet with values given anew by path; see `Packet.replace`."""
    headers, payload, changed = list(packet._rederived()), packet.payload, set[int]()
    for text, value in values.items():
        where = f"replace {text!r}"
        if text == PAYLOAD:
            payload = ByteString().raw(value, where)
            continue
        path = FieldPath.parse(text, where, [type(header) for header in headers])
        found = path.found(packet)[:1]
        if not found:
            raise KeyError(f"no {path.header.__name__}{f'#{path.occurrence}' * bool(path.occurrence)} in {packet.summary()}")
        place = found[0]
        if path.part == PAYLOAD and not path.fields and place == len(headers) - 1:
            payload = ByteString().raw(value, where)
        elif not path.fields:
            raise BuildError(where, "a field, or the payload of the last header", text)
        else:
            item, name = headers[place], path.fields[0].name
            headers[place] = replaced(item, {**inner_derived(item, [name]), name: _anew(item, path, value, where)})
            changed.add(place)
    for place in changed:  # at the end, since the paths name the classes as they were
        headers[place], payload = _layer_as_found(headers[place], payload, place == len(headers) - 1)
    return packet._edited(headers, payload)


def replaced_as_found(header: Header, changes: Mapping[str, object], payload: bytes, is_last: bool) -> tuple[Header, bytes]:
    """Return a layer that refines another one, or may be refined, with changes of its fields, as the class that they say; and the payload of the packet, which the last may go on in."""
    return _layer_as_found(replaced(header, {**inner_derived(header, changes), **changes}), payload, is_last)


def edits(header: H, values: Mapping[str, object], changes: Mapping[str, object]) -> H:
    """Return a header with values given anew by path, and with changes of its fields; see `Header.replace`."""
    free = _free(header)
    for text, value in values.items():
        where = f"replace {text!r}"
        path = FieldPath.of(type(header), text.split("."), where)
        if not path.fields:
            raise BuildError(where, "a field", text)
        name = path.fields[0].name
        free = replaced(free, {**inner_derived(free, [name]), name: _anew(free, path, value, where)})
    return replaced(free, {**inner_derived(free, changes), **changes})


def _anew(header: Header, path: FieldPath, value: object, where: str) -> object:
    """Return what the first field of a path is in a header where the value at its end is another one.

    What is captured of the items on the way and follows from a rule is derived again.
    """
    f, rest = path.fields[0], path._replace(fields=path.fields[1:], picks=path.picks[1:], refined=path.refined[1:], numbered=path.numbered[1:])
    _, cls, pick, is_numbered = path.steps[0]
    if not rest.fields and not path.pick and cls is None and (not path.part or not lists(f.kind)):
        return _with_part(f, path, getattr(holder(header, f), f.slot), value, where)
    if path.part == COUNT and not rest.fields:
        raise BuildError(where, f"a value of {f.owner.name}.{f.name}, one of it or all", "how many there are")
    shown = getattr(header, f.name)
    alone = f.kind.inside.one or isinstance(shown, Header)
    values = [shown] if alone else [*(shown or ())]
    if f.kind.has_headers:
        whole = [isinstance(one, Header) and (cls is None or isinstance(one, cls)) for one in values]
    else:
        whole = [True] * len(values)
    if is_numbered and cls is not None:
        meant = _places([isinstance(one, Header) for one in values], pick)
        places = [place for place in meant if isinstance(values[place], cls)]
        if meant and not places:
            raise BuildError(where, f"a {cls.__name__} at [{pick}] of {f.owner.name}.{f.name}", type(values[meant[0]]).__name__, f"{cls.__name__.lower()}[{pick}] counts those")
    else:
        places = _places(whole, pick)
    if not places:
        which = f"{'a value' if cls is None else cls.__name__}" + f" [{pick}]" * bool(pick)
        hint = f"{f.name} is not there: give all of it, {f.name}={f.kind.inside.annotation()}(...)" if alone and shown is None else ""
        raise BuildError(where, f"{which} in {f.owner.name}.{f.name}", f"{sum(whole)} of them", hint)
    for place in places:
        if rest.fields:
            item, name = _free(values[place]), rest.fields[0].name
            values[place] = _as_found(replaced(item, {**inner_derived(item, [name]), name: _anew(item, rest, value, where)}))
        elif (element := f.kind.inside.element) is not None and path.part:
            values[place] = element.value(_part(f, path, element.raw(values[place], where), value, where))
        else:
            values[place] = value
    return values[0] if alone else tuple(values)


def _as_found(item: Header) -> Header:
    """Return an item that takes a field of its base apart as the class that its values say now, with the same bytes."""
    said = type(item)._declaration
    if said.view is None or said.when is None or item._is_partial or outer_leaves([said.when, *rules_of(item._fields)]):
        return item
    try:
        whole = item._resolved_alone()
    except BuildError:
        return item  # by itself it is nothing: what it holds is as large as numbers around it say, which may follow
    if said.when.evaluate(HeldValues(values_of(whole), b"", 0)):
        return item
    values = tuple(getattr(item, f.slot) for f in item._fields)
    base: Any = restored(plain(item), item._state, values)
    data, ctx = bytes(base), Dissection()
    read = type(base)._decode(data, 0, len(data), ctx)[0]
    alike = ctx.clean and len(read._fields) == len(base._fields)
    return restored(type(read), item._state, values) if alike else base  # type: ignore[no-any-return]


def _layer_as_found(header: Header, payload: bytes, is_last: bool) -> tuple[Header, bytes]:
    """Return a layer as the class that its values say now, with the same bytes; one that goes on after the fields of its base does so in the payload."""
    said = header._declaration
    if said.view is not None:
        return _as_found(header), payload
    first: Any = type(header)
    while first._declaration.refines is not None:
        first = next(base for base in first.__mro__ if base.__dict__.get("_declaration") is first._declaration.refines)
    some = {one for one in read_with(first._declaration) if one.when is not None and first._declaration in (one, *one.bases)}
    if header._is_partial or said.after or not some or outer_leaves([one.when for one in some if one.when is not None]):
        return header, payload
    above = payload if is_last else b""
    try:
        data = bytes(Packet((header,), above))
    except BuildError:
        return header, payload  # by itself it is nothing
    ctx = Dissection()
    read, start, end, _ = first._decode(data, 0, len(data), ctx)
    cls, values = type(read), tuple(getattr(header, f.slot) for f in header._fields)
    if cls is type(header) or not ctx.clean:
        return header, payload
    if plain(read) is type(header):  # a field of it is taken apart
        return restored(cls, header._state, values), payload
    if not is_last or read._declaration.view is not None or end != len(data):
        return header, payload
    for f in read._fields:  # what is the same in both is given, captured or follows as it did
        if (g := header._by_name.get(f.name)) is not None:
            setattr(read, f.slot, getattr(header, g.slot))
            own, count = header._state, len(header._fields)
            read._state &= ~(f.bit | f.bit << len(read._fields))
            read._state |= f.bit * bool(own & g.bit) | (f.bit << len(read._fields)) * bool(own >> count & g.bit)
    return read, data[start:end]


def _places(whole: list[bool], pick: str) -> list[int]:
    """Return the places of the values that a pick means; what is no whole item has none. Without a pick it is the first."""
    there = [place for place, one in enumerate(whole) if one]
    if pick == "all":
        return there
    number = int(pick or 0) if pick != "any" else 0
    return there[number:][:1] if number >= -len(there) else []


def _free(item: H) -> H:
    """Return an item with what is captured and consistent made derived again, as an edited packet has its headers."""
    found = rederived_alone(item)
    return Packet((item,))._rederived()[0] if found is None else found  # type: ignore[return-value]


def inner_derived(item: Header, names: Iterable[str]) -> dict[str, object]:
    """Return what is to be derived again of the header inside one that takes a field apart, where one of these names is in there."""
    if item._declaration.view is None or item._by_name.keys() >= {*names}:
        return {}
    inner: Any = viewed(item)
    free, count = _free(inner), len(inner._fields)
    return {f.name: auto for f in inner._fields if (inner._state & ~free._state) >> count & f.bit}


def _with_part(f: Field, path: FieldPath, raw: Raw, value: Any, where: str) -> object:
    """Return a value of a field for `replaced`: another one, or with another part."""
    if not path.part:
        return value
    if path.part == RAW and f.kind.as_raw is not None:
        return value if f.kind.orders_raw else in_raw_form(value)
    if raw is None:
        raise BuildError(where, f"{f.owner.name}.{f.name} with a part to replace", "none")
    return given(f.kind, _part(f, path, raw, value, where))


def _part(f: Field, path: FieldPath, raw: Raw, value: Any, where: str) -> Raw:
    """Return a raw value with another part: a flag, or the bytes of a part of an address."""
    if path.flag:
        if value not in (0, 1):
            raise BuildError(where, "0 or 1", repr(value))
        return raw & ~path.flag | (path.flag if value else 0)
    part = path.kind.raw(value, where)
    start, stop = path.skip, path.skip + path.kind.fixed_bits // 8
    piece = part.to_bytes(stop - start, "big") if isinstance(part, int) else part
    return raw[:start] + piece + raw[stop:]
