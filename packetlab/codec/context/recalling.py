"""How headers recall what was remembered from earlier packets, and have it remembered themselves: keys, values, and what is said where nothing is known."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from packetlab.codec.context.context import Context, ContextEntry, Moment, RecalledNumber, RunningState, current
from packetlab.codec.faults import Dissection, Values
from packetlab.codec.places.inner import HeldValues
from packetlab.declare.expressions import Const, Elsewhere, Expr, Ref
from packetlab.declare.fields import Field, slot_of
from packetlab.declare.remembering.recalled import NoEntry, PacketEnd, Recalled, Remembered, StateOf
from packetlab.declare.transforms.raws import Carried, InnerValue

if TYPE_CHECKING:
    from packetlab.codec.objects import AnyHeader
    from packetlab.declare.declaration import Declaration

Own = Callable[[str], object]
ENDS = "src", "dst"  # what the addresses of both ends are called, where pseudo= says no other names


class Unrecalled(Exception):
    """A rule needs what was remembered from no earlier packet."""

    def __init__(self, leaf: Recalled, layers: Sequence[AnyHeader], own: Own) -> None:
        super().__init__(str(leaf))
        self.expected, self.got = unknown(leaf, layers, own)


def unknown(leaf: Recalled, layers: Sequence[AnyHeader], own: Own) -> tuple[str, str]:
    """Return in words what was expected to be remembered from an earlier packet, and what there is."""
    key = ", ".join(_shown(part, value) for part, value in zip(leaf.key, key_of(leaf.key, layers, own), strict=True))
    expected = f"{leaf.table}({key}), remembered from an earlier packet"
    now = current.get()
    if now is None:
        return expected, "no context: dissect(..., context=pl.Context()), or `with frame.context():` of a frame of a capture"
    context = now.context if isinstance(now, Moment) else now
    dropped = context.dropped[leaf.table]
    return expected, "none" + (
        f", and {dropped} older values were dropped: Context(most=...) keeps more" if dropped else ""
    )


def _shown(part: Expr, value: object) -> str:
    if isinstance(value, tuple):
        value = ":".join(
            "none" if one is None else one.hex(".") if isinstance(one, bytes) else str(one) for one in value
        )
    return f"{part} = {value.hex(' ') if isinstance(value, bytes) else value}"


# Keys and values -----------------------------------------------------------------------------------------------


def key_of(key: tuple[Expr, ...], layers: Sequence[AnyHeader], own: Own) -> tuple[Hashable, ...]:
    """Return the values of a key: `layers` are the headers around, the nearest last; `own` has raw values of the header itself."""
    return tuple([_part(part, layers, own) for part in key])


def _key(leaf: Recalled, layers: Sequence[AnyHeader], own: Own) -> tuple[Hashable, ...]:
    """Return the values of the key of a leaf, at once where it is only fields of the header itself."""
    return tuple([plain(own(name)) for name in leaf.own]) if leaf.is_of_fields else key_of(leaf.key, layers, own)


def _part(part: Expr, layers: Sequence[AnyHeader], own: Own) -> object:
    if isinstance(part, Ref):
        return plain(own(part.name))
    if isinstance(part, Const):
        return part.number
    if isinstance(part, PacketEnd):
        return end_of(layers, part.to)
    if isinstance(part, Elsewhere):
        return plain(around(part, layers))
    return part.evaluate(_KeyScope(layers, own))


def plain(raw: object) -> object:
    """Return a raw value as one that is compared and kept: without how it was spelled, or its other side of a transform."""
    if type(raw) is int or type(raw) is bytes:
        return raw
    if isinstance(raw, Carried | InnerValue):
        return raw.inner
    return int(raw) if isinstance(raw, int) else raw


class _KeyScope(Values):
    def __init__(self, layers: Sequence[AnyHeader], own: Own) -> None:
        super().__init__({}, b"", 0)
        self.layers, self.own = layers, own

    def value(self, name: str) -> int:
        raw = self.own(name)
        return raw if isinstance(raw, int) else 0

    def elsewhere(self, leaf: Elsewhere) -> int:
        raw = around(leaf, self.layers)
        return raw if isinstance(raw, int) else 0


def around(leaf: Elsewhere, layers: Sequence[AnyHeader]) -> object:
    """Return the raw value of a field of a header around, None where there is no such header."""
    if leaf.path[0] == "^":
        place = len(layers) - len(leaf.path.split("."))
        found = layers[place] if place >= 0 else None
    else:
        found = next((one for one in reversed(layers) if is_named(one, leaf.path)), None)
    return _filled(found, leaf.name, layers) if found is not None and leaf.name in found._by_name else None


def is_named(header: AnyHeader, name: str) -> bool:
    """Whether a header is of a class of that name, or of one derived from it."""
    return any(one.name == name for one in (header._declaration, *header._declaration.bases))


def _filled(header: AnyHeader, name: str, layers: Sequence[AnyHeader]) -> object:
    """Return a raw value of one of some headers; what follows from others of one that is built, worked out."""
    raw = getattr(header, slot_of(name))
    if raw is None and not header._is_partial and header._by_name[name].rule is not None:
        i = next(i for i, one in enumerate(layers) if one is header)
        above = layers[i + 1]._declaration if i + 1 < len(layers) else None
        raw = getattr(header._resolve(header, b"", tuple(layers[: i + 1]), i, above), slot_of(name))
    return raw


def end_of(layers: Sequence[AnyHeader], to: bool) -> tuple[object, object]:
    """Return the address and the port that a packet comes from or goes to, None for what is not there.

    The address is that of the nearest header with addresses of both ends; where none has any, of the nearest with numbers of that name. Where there is
    neither, in a capture of several interfaces, it is the one that the frame came by (`Moment.link`): these are other lines.
    """
    port, word = None, "dport" if to else "sport"
    for header in reversed(layers):
        if port is None and word in header._by_name:
            port = plain(_filled(header, word, layers))
        if name := _end_field(header, to):
            return plain(_filled(header, name, layers)), port
    numbered = next((one for one in reversed(layers) if {*ENDS} <= one._by_name.keys()), None)
    if numbered is not None:
        return plain(_filled(numbered, ENDS[to], layers)), port
    now = current.get()
    return None if now is None else now.link, port


def _end_field(header: AnyHeader, to: bool) -> str | None:
    """Return the field that has the address of an end, where a header has both ends'."""
    pseudo, fields = header._declaration.pseudo, header._by_name
    if pseudo is not None:
        return pseudo[to] if all(pseudo) else None
    return ENDS[to] if all(name in fields and fields[name].kind.is_address for name in ENDS) else None


# Recalling -----------------------------------------------------------------------------------------------------


def recall(leaf: Recalled, layers: Sequence[AnyHeader], own: Own) -> object:
    """Return what was remembered: of numbers a number, else a `ContextEntry`; the default, or None, where nothing was."""
    now = current.get()
    if type(leaf) is StateOf:
        return _state(leaf, layers, own)
    if now is not None:
        key = leaf.table, _key(leaf, layers, own)
        found = now._find(key) if isinstance(now, Context) else now.find(key)
        if found is not None and not leaf.is_number:
            return found
        if found is not None and type(found.value) is int:
            return RecalledNumber.of(found)
    if leaf.is_number:
        return None if isinstance(now, Moment) and leaf.table in now.undecided else leaf.default
    return NoEntry(*unknown(leaf, layers, own), is_elsewhere=isinstance(now, Moment) and now.is_look and not now.is_again)


def _state(leaf: StateOf, layers: Sequence[AnyHeader], own: Own) -> RunningState | NoEntry:
    """Return the state of a transform where it is known."""
    now = current.get()
    if now is None or (isinstance(now, Moment) and now.is_look):
        expected, got = unknown(leaf, layers, own)
        if now is None:
            return NoEntry(expected, got)
        return NoEntry(expected, "a packet of a stream by itself: capture.messages(...) reads them in order", is_elsewhere=True)
    if isinstance(now, Moment):
        now.catch_up()
    return RunningState(now, (leaf.table, _key(leaf, layers, own)), leaf.factory)


def recall_reader(leaf: Recalled) -> Callable[[Dissection, tuple[object, ...]], object]:
    """Return the same for headers that are read, as a function of the values of the fields that the key names."""
    table, is_number, factory = leaf.table, leaf.is_number, leaf.factory if type(leaf) is StateOf else None

    def general(ctx: Dissection, values: tuple[object, ...]) -> object:
        return recall(leaf, ctx.layers, dict(zip(leaf.own, values, strict=True)).get)

    def of_fields(ctx: Dissection, values: tuple[object, ...]) -> object:
        if type(now := current.get()) is Moment:  # the most of them
            key = table, values if len(values) == 1 and type(values[0]) is int else tuple([one if type(one) is int else plain(one) for one in values])
            if factory is not None:
                if not now.is_look:
                    now.catch_up()
                    return RunningState(now, key, factory)
            elif (found := now.find(key) if not now.is_empty else known[-1] if (known := now.context._tables.get(key)) else None) is not None:
                if not is_number:
                    return found
                if type(found.value) is int:
                    return found.as_number if found.as_number is not None else RecalledNumber.of(found)
        return general(ctx, values)

    return of_fields if leaf.is_of_fields else general


def recall_builder(leaves: Sequence[Elsewhere], by_name: Mapping[str, Field]) -> Callable[[AnyHeader], tuple[Any, ...] | None] | None:
    """Return a function that gives what a new header that is built in a context recalls, None where only `recall_built` tells it; None where it always does."""
    parts = [
        (leaf.table, [by_name[name].slot for name in leaf.own], leaf.is_number, leaf.factory if type(leaf) is StateOf else None)
        for leaf in leaves if isinstance(leaf, Recalled) and leaf.is_of_fields
    ]  # fmt: skip

    def recalled_now(header: AnyHeader) -> tuple[Any, ...] | None:
        if type(now := current.get()) is not Context or getattr(header, "__outer__", None) is not None:
            return None
        found: list[object] = []
        for table, slots, is_number, factory in parts:
            values = tuple([getattr(header, slot) for slot in slots])
            for value in values:
                if type(value) is not int:
                    return None
            if factory is not None:
                found.append(RunningState(now, (table, values), factory))
                continue
            known = now._tables.get((table, values))
            if not known or (is_number and type(known[-1].value) is not int):
                return None
            entry = known[-1]
            found.append(entry if not is_number else entry.as_number if entry.as_number is not None else RecalledNumber.of(entry))
        return tuple(found)

    return recalled_now if len(parts) == len(leaves) else None


def recall_built(leaf: Recalled, header: AnyHeader, around: Sequence[AnyHeader], place: int) -> object:
    """The same for a header that is built; what it recalled before, in that place of its outer values, counts first."""
    known = getattr(header, "__outer__", None)
    if known is not None and place < len(known) and known[place] is not None and not isinstance(known[place], NoEntry | RunningState):
        return known[place]
    found = recall(leaf, around, lambda name: own_value(header, name))
    if isinstance(found, RunningState) and known is not None and place < len(known):  # an edit of what was read there
        before = known[place]
        if isinstance(before, NoEntry):
            found.place = -1
        elif isinstance(before, RunningState) and before.key == found.key:
            found.place = before.place
    return found


def own_value(header: AnyHeader, name: str) -> object:
    f = header._by_name[name]
    raw = getattr(header, f.slot)
    return f.default if raw is None and f.rule is None else raw


class Recalling(HeldValues):
    """The scope of a header that is read, with what it recalls."""

    def __init__(self, values: dict[str, Any], data: bytes, end: int, ctx: Dissection) -> None:
        super().__init__(values, data, end)
        self.ctx = ctx

    def elsewhere(self, leaf: Elsewhere) -> Any:
        if not isinstance(leaf, Recalled):
            return super().elsewhere(leaf)
        found = self.values[str(leaf)] = recall(leaf, self.ctx.layers, self.values.get)
        if leaf.is_number and found is None:
            raise Unrecalled(leaf, self.ctx.layers, self.values.get)
        return found


# Remembering ---------------------------------------------------------------------------------------------------


def marked() -> int:
    """Return how much the packet that is being read has said so far for later ones; for `rewind`."""
    now = current.get()
    return now.mark() if isinstance(now, Moment) else 0


def rewind(mark: int | None) -> None:
    """Forget what was remembered since, unless that is None: what stands there is read anew."""
    now = current.get()
    if isinstance(now, Moment) and mark is not None:
        now.rewind(mark)


def remember_read(header: AnyHeader, layers: Sequence[AnyHeader]) -> None:
    """Note what is remembered from a header that was read whole."""
    now = current.get()
    if isinstance(now, Context):
        _put(now, header, layers, "a packet that was read")
    elif now is not None:
        for one in header._declaration.remembers or ():
            now.put(
                (one.table, key_of(one.key, layers, lambda name: getattr(header, slot_of(name)))),
                value_of(one, header, layers),
            )


def remember_built(header: AnyHeader, body: bytes, stack: tuple[AnyHeader, ...], i: int, above: Declaration | None) -> None:
    """Note what is remembered from a header that was built, where that is in a context; of one that was read it was noted then."""
    now = current.get()
    if isinstance(now, Context) and header._state < header._declaration.captured_state:
        whole = type(header)._resolve(header, body, stack, i, above)
        _put(now, whole, stack[:i], "a packet that was built")


def remembering(encode: Callable[..., bytes]) -> Callable[..., bytes]:
    """Return what packs a header and notes what is remembered from it."""

    def packed(header: AnyHeader, body: bytes, stack: tuple[AnyHeader, ...], i: int, above: Declaration | None) -> bytes:
        data = encode(header, body, stack, i, above)
        remember_built(header, body, stack, i, above)
        return data

    return packed


def _put(now: Context, header: AnyHeader, layers: Sequence[AnyHeader], by: str) -> None:
    for one in header._declaration.remembers or ():
        key = key_of(one.key, layers, lambda name: getattr(header, slot_of(name)))
        now._put((one.table, key), ContextEntry(value_of(one, header, layers), now.number, by=by))


def value_of(one: Remembered, header: AnyHeader, layers: Sequence[AnyHeader]) -> object:
    """Return the value that a header above, or in, some others remembers."""
    if len(one.values) > 1:
        return tuple(item for rule in one.values for item in header_items(header, header._by_name[str(rule)]))
    (rule,) = one.values
    if isinstance(rule, Ref):
        f = header._by_name[rule.name]
        return header_items(header, f) if f.kind.wire == "items" else plain(getattr(header, f.slot))
    return plain(around(rule, layers)) if isinstance(rule, Elsewhere) else rule.evaluate(_Whole(header, layers))


class _Whole(Values):
    """The scope of a header that was read or built: its values, sizes and counts."""

    def __init__(self, header: AnyHeader, layers: Sequence[AnyHeader]) -> None:
        super().__init__({f.name: getattr(header, f.slot) for f in header._fields}, b"", 0)
        self.header, self.layers = header, layers

    def elsewhere(self, leaf: Elsewhere) -> int:
        raw = around(leaf, self.layers)
        return raw if isinstance(raw, int) else 0

    def size(self, part: str) -> int:
        f, raw = self.header._by_name[part], self.values[part]
        coded = f.kind.wire == "coded" and raw is not None
        return len(f.kind.write(raw)) if coded else f.kind.fixed_bits // 8 or super().size(part)

    def count(self, name: str) -> int:
        f, raw = self.header._by_name[name], self.values[name]
        return len(header_items(self.header, f)) if f.kind.wire == "items" else f.kind.count(raw or b"")


def header_items(header: AnyHeader, f: Field) -> tuple[AnyHeader, ...]:
    """Return the headers of a list."""
    found = getattr(header, f.slot)
    return tuple(header._items_of(f) if isinstance(found, bytes) else found or ())


# In words ------------------------------------------------------------------------------------------------------


def recalled_by(header: AnyHeader, leaf: Elsewhere) -> object:
    """Return what a header recalled, None where nothing was remembered."""
    found: tuple[object, ...] = getattr(header, "__outer__", None) or ()
    return next((value for one, value in zip(header._declaration.outer_leaves, found, strict=False) if str(one) == str(leaf)), None)


def recalled_number(header: AnyHeader, leaf: Elsewhere) -> int:
    """Return what a header recalled as a number, 0 where nothing was remembered."""
    found = recalled_by(header, leaf)
    return found if isinstance(found, int) else 0


def recalled_inside(header: AnyHeader, f: Field) -> list[str]:
    """Return a line for all that headers in a field recall: in which of their fields it counts, and which packet it is from."""
    found: dict[str, list[str]] = {}
    todo = [(f.name, header, f)]
    while todo:
        place, holder, g = todo.pop(0)
        for i, item in enumerate(header_items(holder, g)):
            where = place if g.kind.one else f"{place}[{i}]"
            for one in item._fields if not isinstance(item, bytes) else ():
                said = [line.strip() for line in recalled_lines(item, one.size, one.count, one.condition, one.computed)]
                remark = one.kind.remark(getattr(item, one.slot)) if _goes_by_others(one) else ""
                for text in [*said, *([remark.removeprefix(", ")] if remark else [])]:
                    found.setdefault(text, []).append(f"{where}.{one.name}")
                if one.kind.wire == "items":
                    todo.append((f"{where}.{one.name}", item, one))
    return [f"  {some[0]}{f' and {len(some) - 1} more' * bool(some[1:])}: {text}" for text, some in found.items()]


def _goes_by_others(f: Field) -> bool:
    """Whether what a field has in it follows from other packets."""
    return any(isinstance(rule, Recalled) for _, _, rule in getattr(f.kind, "late", ()))


def recalled_lines(header: AnyHeader, *rules: Expr | None) -> list[str]:
    """Return a line for each value that some rules recall: which it was, and which packet it is from."""
    lines = []
    for leaf in (leaf for rule in rules if rule is not None for leaf in rule.leaves() if isinstance(leaf, Recalled)):
        found = recalled_by(header, leaf)
        if isinstance(found, RecalledNumber):
            lines.append(f"  {leaf} = {found}, {found.entry.origin}")
        else:
            lines.append(f"  {leaf} = {found}, the default" if found is not None else f"  {leaf}: remembered from no packet before")
    return [*dict.fromkeys(lines)]  # one that stands in several rules, or several times in one, is told once
