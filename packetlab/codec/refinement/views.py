"""The view of a field that a refinement takes apart: its bytes as the header inside, and values for that put into the bytes.

The bytes are what counts: `==`, `hash`, places and what is sent go by them. The header inside is kept beside them.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Any, cast

from packetlab.codec.around.solving import solve, solvings
from packetlab.codec.context.recalling import marked, rewind
from packetlab.codec.faults import Dissection, Fault
from packetlab.codec.objects import AnyHeader, classes, is_pattern
from packetlab.codec.places.held import HeldBytes
from packetlab.codec.refinement.depth import NeedsCare, trying
from packetlab.codec.refinement.standing import Unwritten, goes_by_around, goes_by_further, keep
from packetlab.codec.source import function
from packetlab.declare import registry
from packetlab.declare.declaration import Declaration
from packetlab.declare.expressions import Elsewhere
from packetlab.declare.fields import REQUIRED
from packetlab.declare.plan import Fixed
from packetlab.declare.wildcards import Known, Tolerance
from packetlab.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Callable

    from packetlab.declare.fields import Field
    from packetlab.declare.kinds import Kind


class Containing(Tolerance):
    """Bytes that a prototype of the header inside fits: what stands for them where they cannot be made of it."""

    __slots__ = ()

    def accepts(self, raw: object, known: Known, kind: Kind) -> bool:
        (inner,) = self.written
        if not isinstance(raw, bytes):
            return False
        return bool(inner._is_among((type(inner)._decode(raw, 0, len(raw), Dissection())[0],), known))

    def __repr__(self) -> str:
        (inner,) = self.written
        return repr(inner)


def read_whole(
    inner: Declaration, raw: object, holder: AnyHeader | None = None, place: Any = None, around: Dissection | None = None, quick: bool = False
) -> AnyHeader | None:
    """Return the header that some bytes of `holder` are from end to end, without a fault; None where they are none.

    `place` says where they stand, for fields that go by it; `around` what is known of what stands around the holder. With `quick`
    None is for those too that have to be read the careful way.
    """
    if type(raw) is not bytes:
        return None
    ctx = Dissection()
    ctx.place = place
    if holder is not None:
        ctx.layers = (*(() if around is None else around.layers), holder)
    mark = marked()
    token = trying.set(quick)  # in line, as each level of a chain takes frames of Python's stack
    try:
        header, end, _, _ = classes[inner]._decode(raw, 0, len(raw), ctx)
    except NeedsCare:
        rewind(mark)
        return None
    finally:
        trying.reset(token)
    return header if end == len(raw) and ctx.clean and not unread(header, ctx.faults) and ctx.clean else None


def is_looked_into(header: AnyHeader, f: Field) -> bool:
    """Whether a field has headers that may have faults: also one header of no bytes, which may need some."""
    return f.kind.wire == "items" and bool((raw := getattr(header, f.slot)) or (f.kind.one and raw is not None and not header._is_partial))


def unread(header: AnyHeader, faults: list[Fault]) -> bool:
    """Whether a list in a header, or in what it holds, ends in bytes that are no whole item; faults of lists read for that are added."""
    for f in header._declaration.repeated:
        if getattr(header, f.slot) is None or f.kind.loose:
            continue
        items = header._items_of(f, faults)
        if (f.kind.one and not items) or any(isinstance(item, bytes) or unread(cast("AnyHeader", item), faults) for item in items):
            return True
    return False


def viewed(header: AnyHeader) -> AnyHeader:
    """Return the header inside the field that a refinement takes apart; of bytes that are none, what can be read."""
    known: AnyHeader | None = getattr(header, "__viewed__", None)
    if known is not None:
        return known
    name, inner = header._declaration.view  # type: ignore[misc]
    raw = getattr(header, header._by_name[name].slot)
    plain = type(raw) is bytes  # as most of them
    if not plain and isinstance(raw, Containing):
        made: AnyHeader = raw.written[0]
    elif not plain and isinstance(raw, HeldBytes):
        made = raw.inner
    else:
        raw, ctx = raw if isinstance(raw, bytes) else b"", Dissection()
        ctx.layers = (header,)
        made = classes[inner]._decode(raw, 0, len(raw), ctx)[0]
    header.__viewed__ = made  # type: ignore[attr-defined]
    return made


def bytes_of(inner: AnyHeader, holder: AnyHeader) -> bytes | Containing:
    """Return the bytes of a header inside, or what stands for them in a prototype."""
    if not is_pattern(inner):
        try:
            holder = _measured(inner, holder)
            return type(inner)._encode(inner, b"", (holder, inner), 1, None)
        except BuildError:
            if goes_by_further(holder._declaration) and not any(f.default is REQUIRED and not inner._state & f.bit for f in inner._fields):
                return Unwritten.of(inner)  # there it may fit
            if inner._state & (1 << 2 * len(inner._fields)) - 1 == (1 << len(inner._fields)) - 1:
                raise  # nothing is left to give
    return Containing(inner)


def shown(header: AnyHeader) -> AnyHeader:
    """Return the header inside with what follows for it filled in, as far as the header that holds it says so."""
    inner = viewed(header)
    if inner._state >= inner._declaration.captured_state or not goes_by_around(header._declaration) or header._is_partial:
        return inner
    try:
        return viewed(header._resolve(header, b"", (header,), 0, None))
    except BuildError:
        return inner


_beyond: dict[Declaration, list[tuple[str, set[str]]]] = {}
_within: dict[Declaration, set[str]] = {}
registry.caches += [_beyond, _within]


def _sized_beyond(inner: Declaration) -> list[tuple[str, set[str]]]:
    """Return the fields whose size or count goes by values of headers around, and the names of these."""
    if inner not in _beyond:
        rules = {**inner.plan.sizes, **inner.plan.counts}
        found = [(name, {one.name for one in rule.leaves() if isinstance(one, Elsewhere)}) for name, rule in rules.items()]
        _beyond[inner] = [(name, needed) for name, needed in found if needed]
    return _beyond[inner]


def _measured(inner: AnyHeader, holder: AnyHeader) -> AnyHeader:
    """Return the holder with as many bytes as there will be, where fields inside are as long as a number says that follows from them."""
    said = holder._declaration
    named = _sized_beyond(inner._declaration)
    if not named:
        return holder
    derived = {f.name for f in said.fields if f.rule is not None and not holder._state & f.bit}
    beyond = [inner._by_name[name] for name, needed in named if needed & derived]
    if not beyond:
        return holder
    first: AnyHeader = type(inner)._copied(inner)
    made: AnyHeader = type(holder)._copied(holder)
    for f in beyond:
        first._state |= f.bit << len(inner._fields)  # as if it was captured: of whatever size
    f = made._by_name[said.view[0]]  # type: ignore[index]
    setattr(made, f.slot, type(first)._encode(first, b"", (made, first), 1, None))
    made._state |= f.bit
    return made


def split(header: type[AnyHeader], given: dict[str, Any], edited: bool = False) -> dict[str, Any]:
    """Take the values of the header inside out of those given, and return them. BuildError where its bytes are given too.

    None is a value where a header is `edited`: of a field that is to be absent. A new one has what it has without.
    """
    name, inner = header._declaration.view  # type: ignore[misc]
    names = _within.get(inner) or _within.setdefault(inner, {*inner.by_name, *(f.name for f in inner.inside)})
    own = {word: given.pop(word) for word in [*given] if word in names}
    own = {word: value for word, value in own.items() if edited or value is not None}
    if own and given.get(name) is not None:
        where, words = f"{header.__name__}.{name}", ", ".join(own)
        raise BuildError(where, f"the bytes, or values for {words} that are in them", "both")
    return own


def put(header: AnyHeader, inner: AnyHeader) -> None:
    """Have the bytes of a header inside stand in its field, given."""
    said = header._declaration
    f = said.by_name[said.view[0]]  # type: ignore[index]
    raw = bytes_of(inner, header)
    if isinstance(raw, bytes) and f.kind.wire == "coded":
        f.kind.raw(raw, f"{said.name}.{f.name}")  # which refuses the delimiter in them
    setattr(header, f.slot, raw)
    header._state = header._state & ~(f.bit << len(said.fields)) | f.bit
    if isinstance(raw, Containing):
        header._state |= said.prototype_bit
    header.__viewed__ = inner  # type: ignore[attr-defined]


def checked_view(header: AnyHeader) -> None:
    """Refuse bytes given for a field that are not what the refinement takes them for."""
    name, inner = header._declaration.view  # type: ignore[misc]
    raw = getattr(header, header._by_name[name].slot)
    if type(raw) is bytes and read_whole(inner, raw, header) is None:
        base = header._declaration.refines
        assert base is not None
        hint = f"{base.name}({name}=...) takes any bytes"
        raise BuildError(f"{type(header).__name__}.{name}", f"bytes that {inner.name} takes apart", repr(raw), hint)


def kept(made: AnyHeader, header: AnyHeader, inner: AnyHeader | None, changes: dict[str, Any]) -> None:
    """Put the header inside into a copy with changes: another one, that of other bytes, or the same."""
    if inner is not None:
        put(made, inner)
    elif header._declaration.view[0] in changes:  # type: ignore[index]
        checked_view(made)
    else:
        keep(made, header)


def _of_numbers(inner: Declaration, known: dict[str, object], lines: list[str], slot: str) -> list[str]:
    """Write what makes and packs a header inside at once where it is given a whole number in range for each field: of classes of nothing else. `lines` are of the one around."""
    runs = [step.run if isinstance(step, Fixed) else None for step in inner.plan.head]
    units = [unit for run in runs if run is not None for unit in run.units]
    fields, orders = [unit.fields[0] for unit in units], {"" if run is None else run.order for run in runs}
    plain = all(len(unit.fields) == 1 and unit.number and not unit.by_bytes for unit in units) and all(
        f.kind.orders_raw and f.kind.as_raw is None and f.kind.names is None and f.rule is f.condition is f.computed is None and not (f.fixed or f.is_judged)
        for f in fields
    )
    if not plain or None in runs or len(orders) != 1 or inner.plan.trailer or inner.outer_leaves or inner.view or inner.remembers or inner.shortened or fields != [*inner.fields]:
        return []
    known.update(_new=AnyHeader.__new__, _int=int, _pack=Struct(orders.pop() + "".join(unit.code for unit in units)).pack)
    own = [*(f"_held.{f.slot} = {f.name}" for f in fields), f"_held._state = {sum(f.bit for f in fields):#x}"]
    made = ["_held = _new(_inside)", *own, *lines, f"_self.{slot} = _pack({', '.join(f.name for f in fields)})", "return"]
    fits = " and ".join(f"{f.name}.__class__ is _int and {f.kind.low} <= {f.name} <= {f.kind.high}" for f in fields)
    return [f"    if {fits}:", *("        " + line for line in made)]


def with_view(header: type[AnyHeader], make: Callable[..., None]) -> Callable[..., None]:
    """Return a constructor that takes the fields of the header inside too; `make` is that of the fields of the base."""
    name, inner = header._declaration.view  # type: ignore[misc]
    f, plain = header._by_name[name], not _sized_beyond(inner) and header._by_name[name].kind.wire != "coded"

    declaration, inside, names, slot, bit = header._declaration, classes[inner], {*inner.by_name}, f.slot, f.bit

    def init(self: AnyHeader, *args: object, **given: object) -> None:
        if not args and given.keys() <= names and [value for value in given.values() if value is not None]:
            own = given
            make(self)
        else:
            own = split(header, given)
            make(self, *args, **given)
        if own:
            held = inside(**own)
            if solvings.get(declaration, self) is not None:
                solve(self, held)
            if plain and not held._state & inner.prototype_bit:
                try:
                    data = held._encode(held, b"", (self, held), 1, None)
                except BuildError:
                    put(self, held)  # which tells whether it is a prototype
                else:  # what `put` does
                    setattr(self, slot, data)
                    self._state |= bit
                    self.__viewed__ = held  # type: ignore[attr-defined]
                return
            put(self, held)
        elif name in given:
            checked_view(self)
        else:
            state = self._state
            put(self, classes[inner]())
            self._state = state | self._state & self._declaration.prototype_bit  # it is there, and not given

    if not plain or not inner.fields or any(f.kind.has_headers for f in declaration.fields) or any(one.name in declaration.by_name for one in inner.fields):
        return init
    first: Any = header.__new__(header)
    make(first)  # what each has that is given none of the fields of the base
    words = [one.name for one in inner.fields]
    handed, none = ", ".join(f"{word}={word}" for word in words), " and ".join(f"{word} is None" for word in words)
    known: dict[str, object] = {f"D{one.slot}": getattr(first, one.slot) for one in declaration.fields}
    known.update(_solvings=solvings, _declaration=declaration, _inside=inside, _init=init, _BuildError=BuildError)
    lines = [
        f"def __init__(_self, *_args, {', '.join(f'{word}=None' for word in words)}, **_given):",
        f"    if _args or _given or _solvings.get(_declaration, _self) is not None or ({none}): return _init(_self, *_args, {handed}, **_given)",
        *_of_numbers(inner, known, [*(f"_self.{one.slot} = D{one.slot}" for one in declaration.fields), *["_self.__outer__ = None"] * bool(declaration.outer_leaves),
                                    f"_self._state = {first._state | bit:#x}", "_self.__viewed__ = _held"], slot),
        f"    _held = _inside({handed})",
        f"    if _held._state & {inner.prototype_bit:#x}: return _init(_self, {handed})",
        *(f"    _self.{one.slot} = D{one.slot}" for one in declaration.fields),
        f"    _self._state = {first._state:#x}",
        *(["    _self.__outer__ = None"] if declaration.outer_leaves else []),
        f"    try: _self.{slot} = _inside._encode(_held, b'', (_self, _held), 1, None)",
        f"    except _BuildError: return _init(_self, {handed})",
        f"    _self._state = {first._state | bit:#x}",
        "    _self.__viewed__ = _held",
    ]
    return function(lines, known, f"{declaration.name}.__init__")
