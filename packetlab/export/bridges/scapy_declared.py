"""A declared header as a scapy class: fields_desc, build, dissect, show, bindings.

The class packs and reads through the declaration's own rules: a length, checksum or next-protocol number not given is
derived as in `Header`, whatever the bytes they are dissected, and conditions on payloads hold. scapy is imported by
the first call, and only here and in the modules named scapy* beside this one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from packetlab.codec.bodies import measured
from packetlab.codec.compiler import prove_once
from packetlab.codec.faults import Dissection, Values
from packetlab.codec.objects import AnyHeader, classes
from packetlab.declare import registry
from packetlab.declare.declaration import Declaration
from packetlab.declare.expressions import Elsewhere
from packetlab.declare.fields import slot_of
from packetlab.declare.kinds import Raw
from packetlab.declare.values.said import OuterSays
from packetlab.errors import BuildError
from packetlab.escaping import printable
from packetlab.export.bridges.counterparts import (
    COUNTERPARTS,
    DECLARED,
    becoming,
    counterpart,
    is_required,
    named_fields,
    native,
    read_items,
)
from packetlab.export.bridges.scapy_fields import from_scapy_value, scapy_field, to_scapy_value
from packetlab.export.bridges.scapy_loaded import bound_above, load
from packetlab.packet.foreign import Foreign
from packetlab.packet.packet import Header

if TYPE_CHECKING:
    from packetlab.declare.fields import Field

# What a field that selects the next header is called in scapy's own classes, where it has not our name.
SELECTORS = ("proto", "nh", "code")

_made: dict[str, tuple[type[AnyHeader], type[Foreign]]] = {}
_bound: dict[str, type[Foreign]] = {}  # those of them that are bound as the declarations say now
registry.caches.append(_bound)
_making: set[type[AnyHeader]] = set()


def scapy_class(header: type[AnyHeader]) -> type[Foreign]:
    """Return a subclass of scapy's Packet for a declared header; the same one for the same declaration.

    Its fields have the header's names (with "_" after a name that scapy's Packet keeps for itself, such as ``time_``). A
    field left out, or deleted, is derived by the declaration's rules. The class is bound (bind_layers) under scapy's own
    classes of the headers it stands under, and is found there where the declarations, as they are now, say so: before
    scapy's own for a number, after scapy's own for a condition. Classes of standard headers stay bound as they are.
    """
    key = header._declaration.key
    known = _made.get(key)
    if known is not None and known[0] is header and key in _bound:
        return known[1]
    if header in _making:  # one of its own items
        return cast("type[Foreign]", lambda *args, **given: scapy_class(header)(*args, **given))
    load()
    if known is not None:
        _unbind(known[1])
    if known is not None and known[0] is header:
        made = known[1]
    else:
        _making.add(header)
        try:
            made = _make(header)
        finally:
            _making.discard(header)
    _made[key] = (header, made)
    _bind(header, made)
    _bound[key] = made
    return made


def names_of(header: type[AnyHeader]) -> dict[str, Field]:
    """Return scapy's name -> declared field, in order."""
    from scapy.packet import Packet

    return named_fields(header, {*dir(Packet), "fields_desc"})


def _own(packet: Foreign, name: str) -> Raw:
    """Return what a field was given, or what a layer above has set it to."""
    value = packet.fields.get(name)
    return packet.overloaded_fields.get(name) if value is None else value


class _Scope(Values):
    """The values that expressions ask for, in a packet of scapy's; of fields that are not given what they resolve to."""

    def __init__(self, packet: Foreign) -> None:
        self.packet = packet
        names = names_of(packet.declared_header)
        super().__init__({f.name: _own(packet, name) for name, f in names.items()}, b"", 0)

    def raw(self, name: str) -> Raw:
        value = self.values.get(name)  # as scapy keeps it: text is a str there
        return self.packet.declared_header._by_name[name].kind.raw(value, name) if isinstance(value, str) else value

    def value(self, name: str) -> int:
        value = self.values[name]
        if value is None:
            try:
                value = getattr(_resolved(self.packet), slot_of(name))
            except BuildError:  # a field without a value yet: nothing follows from it
                value = None
        return value if isinstance(value, int) else int(value) if hasattr(value, "__int__") else 0

    def elsewhere(self, leaf: Elsewhere) -> int:
        around: Foreign | None = self.packet
        for _ in range(leaf.out):
            around = None if around is None else getattr(around, "parent", None) or around.underlayer
        if isinstance(leaf, OuterSays):
            return self._says(leaf, around)
        if leaf.out:
            return _Scope(around).value(leaf.name) if hasattr(around, DECLARED) else 0
        raws = [getattr(one, slot_of(leaf.name)) for one in _below(self.packet) if type(one).__name__ == leaf.path]
        return raws[-1] if raws and isinstance(raws[-1], int) else 0

    def _says(self, leaf: OuterSays, around: Foreign | None) -> int:
        """Whether a field of what stands around, or of the nearest header of a class around or below, is one of some words."""
        near = around if leaf.out else getattr(self.packet, "parent", None)
        while not leaf.out and near is not None and getattr(getattr(near, DECLARED, None), "__name__", "") != leaf.path:
            near = getattr(near, "parent", None)
        headers = [header_of(near)] if hasattr(near, DECLARED) else []
        if not leaf.out and not headers:
            headers = [one for one in _below(self.packet) if type(one).__name__ == leaf.path][-1:]
        return leaf.of(getattr(headers[0], slot_of(leaf.name)), headers[0]._by_name[leaf.name].kind) if headers else 0

    def size(self, part: str) -> int:
        return len(bytes(self.packet.payload)) if part == "payload" else super().size(part)


def header_of(packet: Foreign) -> Header:
    """Return the header of ours with the fields given in a packet of a class made here."""
    header: type[Header] = packet.declared_header
    given: dict[str, object] = {}
    for name, f in names_of(header).items():
        value = _own(packet, name)
        if value is None and is_required(f):
            value = packet.default_fields.get(name)
        if value is not None:
            given[f.name] = from_scapy_value(f.kind, value, header_of)
    return header(**given)


def _below(packet: Foreign) -> tuple[Header, ...]:
    """Return headers for the layers below: those that lend addresses to a pseudo-header have these."""
    stack: list[Header] = []
    below = packet.underlayer
    while below is not None:
        declared = getattr(type(below), DECLARED, None)
        ours: Any = counterpart(type(below))
        if declared is not None:
            stack.append(header_of(below))
        elif ours is not None and ours._declaration.pseudo == ("src", "dst"):
            stack.append(ours(src=str(below.src), dst=str(below.dst)))
        below = below.underlayer
    return tuple(reversed(stack))


def _context(packet: Foreign) -> tuple[tuple[Header, ...], int, Declaration | None]:
    """Return what the compiled codec wants to know of the neighbours: (stack, place in it, declaration of what is above)."""
    stack = (*_below(packet), header_of(packet))
    above = counterpart(type(packet.payload))
    return stack, len(stack) - 1, None if above is None else above._declaration


def _resolved(packet: Foreign) -> Header:
    stack, place, above = _context(packet)
    header: Header = stack[-1]._resolve(stack[-1], bytes(packet.payload), stack, place, above)
    return header


def following(header: type[AnyHeader], above: type[AnyHeader]) -> type[Foreign]:
    """Return the scapy class that reads what follows: scapy's own, but after a header that it has one for itself."""
    own = native(above, "scapy") if native(header, "scapy") is None else None
    return own or scapy_class(above)


def _make(header: type[AnyHeader]) -> type[Foreign]:  # noqa: C901  methods of one class
    from scapy.packet import Packet

    prove_once(header._declaration)
    shared = {f for unit in header._declaration.plan.units if len(unit.fields) > 1 for f in unit.fields}

    class DeclaredForScapy(Packet):  # type: ignore[misc]
        __slots__ = ["_cut", "_read"]  # what dissecting found: see do_dissect
        declared_header = header
        bound_under: list[type[Foreign]] = []
        name = header.__name__
        fields_desc = [scapy_field(f, name, f in shared, _Scope, scapy_class) for name, f in names_of(header).items()]

        @classmethod
        def dispatch_hook(cls, data: bytes = b"", *args: object, **given: object) -> type[Foreign]:
            below = given.get("_underlayer")
            found = cls if below is None else _standing(cls, below, data)
            if found is cls and data and (become := becoming(header, data)) is not header:
                return scapy_class(become)
            return (
                found
                if found is cls or "dispatch_hook" not in vars(found)
                else found.dispatch_hook(data, *args, **given)
            )

        def self_build(self) -> bytes:
            cached: bytes = super().self_build() if self.raw_packet_cache is not None else b""
            # The cache is given up where a list in it was changed; then, as without one, post_build packs all.
            return cached if self.raw_packet_cache is not None else b""

        def post_build(self, pkt: bytes, pay: bytes) -> bytes:
            stack, place, above = _context(self)
            read = getattr(self, "_cut", None)
            if read is not None and self.fields == read[0]:
                stack = (*stack[:-1], read[1])
            packed: bytes = header._encode(stack[-1], pay, stack, place, above)
            return packed

        def do_dissect(self, s: bytes) -> bytes:
            data = bytes(s)
            read, after, stop, above = header._decode(data, 0, len(data), Dissection())
            for name, f in names_of(header).items():
                raw = read_items(read, f)
                if raw is None:
                    self.fields.pop(name, None)
                else:
                    self.fields[name] = to_scapy_value(f.kind, raw, scapy_class)
                    for one in self.fields[name] if f.kind.has_headers and not f.kind.transforms else ():
                        one.parent = self
            self._read = (stop - after, measured(read, read._declaration.after), above)
            me: Foreign = self
            if header._declaration.has_trailer:
                # scapy keeps the bytes before a payload only; these are packed again from what was read.
                self._cut = (self.copy_fields_dict(self.fields), read)
            else:
                me.raw_packet_cache = data[:after]
                me.raw_packet_cache_fields = {
                    f.name: self._raw_packet_cache_field_value(f, self.fields[f.name], copy=True)
                    for f in self.fields_desc
                    if f.islist and f.name in self.fields
                }
            me.explicit = 1
            return data[after:]

        def copy(self) -> Foreign:
            return self._as_cut(super().copy())

        def clone_with(self, payload: object = None, **given: object) -> Foreign:
            return self._as_cut(super().clone_with(payload, **given))

        def _as_cut(self, clone: Foreign) -> Foreign:
            if hasattr(self, "_cut"):
                clone._cut = self._cut
            return clone

        def extract_padding(self, s: bytes) -> tuple[bytes, bytes]:
            size, after, _ = self._read
            return s[:size], s[size + after :]

        def guess_payload_class(self, payload: bytes) -> type[Foreign]:
            above = self._read[2]
            return following(header, classes[above]) if above is not None else super().guess_payload_class(payload)

    DeclaredForScapy.__name__ = DeclaredForScapy.__qualname__ = header.__name__
    DeclaredForScapy.__doc__ = printable(header._declaration.doc, "\n")
    DeclaredForScapy.__module__ = __name__
    return DeclaredForScapy


# Bindings ------------------------------------------------------------------------------------------------------


def selector(lower: type[Foreign], name: str) -> str:
    """Return what scapy's own class calls the field of ours that selects what follows; "" where it has none."""
    theirs = {f.name for f in lower.fields_desc}
    return next((n for n in (name, *SELECTORS) if n in theirs), "")


def is_own(header: type[AnyHeader]) -> bool:
    """Whether a header is declared by packetlab: where scapy has a class of its own for it, that one stands."""
    return header.__module__.startswith("packetlab.")


def _bind(header: type[AnyHeader], made: type[Foreign]) -> None:
    from scapy.packet import bind_top_down

    first: dict[type[Foreign], list[dict[str, int]]] = {}  # the numbers of each, the one that is sent at the front
    for lower, numbers in registry.numeric_bindings(header._declaration, filled=True):
        theirs = native(classes[lower], "scapy")
        values = {selector(theirs, name): number for name, number in numbers.items()} if theirs is not None else {}
        if theirs is not None and "" not in values:
            first.setdefault(theirs, []).append(values)
    for theirs, numbered in first.items():
        bind_top_down(theirs, made, **numbered[0])
    if header.__name__ in COUNTERPARTS:
        return
    certain = [] if is_own(header) else registry.numeric_bindings(header._declaration)
    made.bound_under = []
    for lower, _, _ in registry.bindings_of(header._declaration):
        theirs = native(classes[lower], "scapy")
        if theirs is None or theirs in made.bound_under:
            continue
        made.bound_under.append(theirs)
        # Who declares a header for a number means it: it is tried before what scapy has there.
        for numbers in reversed([numbers for one, numbers in certain if one is lower and numbers]):
            values = {selector(theirs, name): number for name, number in numbers.items()}
            if "" not in values:
                theirs.payload_guess.insert(0, (values, made))
        theirs.payload_guess.append(({}, made))  # whatever the numbers: `_standing` decides


def _unbind(made: type[Foreign]) -> None:
    """Take a class whose declaration was replaced, or is bound anew, out of every binding."""
    for lower in made.bound_under:
        lower.payload_guess[:] = [(values, upper) for values, upper in lower.payload_guess if upper is not made]


def _standing(made: type[Foreign], below: Foreign, data: bytes) -> Any:
    """Return the class for what follows a packet of scapy's own, whose bindings led to one made here.

    The declarations decide, as they are now, by the bytes of `below`; where they do not say that such a header follows,
    what scapy has without any. A header that only a condition finds never stands where scapy has something.
    """
    lower = counterpart(type(below))
    if lower is None or hasattr(type(below), DECLARED):
        return made
    whole = bytes(below.original)
    said = lower._decode(whole, 0, len(whole), Dissection())[3]
    above = None if said is None else classes[said]
    _, found = _made.get(above._declaration.key, (None, None)) if above is not None else (None, None)
    if above is not None and (found is None or found.declared_header is not above):
        found = None
    if found is not None and above is not None and not is_own(above):
        if any(on is lower._declaration and n for on, n in registry.numeric_bindings(above._declaration)):
            return found
    own = bound_above(below, data)
    return found if found is not None and own is below.default_payload_class(data) else own
