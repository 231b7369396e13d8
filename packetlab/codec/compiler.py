"""What a header class can do once compiled: its constructor, its codec, copies with changes.

The compiled functions come from `encode` and `decode`; each is written when it is first called and dropped (`reset`)
when a binding changes what it says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Flag
from struct import Struct
from typing import Any, TypeVar
from weakref import WeakSet

from packetlab.codec.around.following import loosened
from packetlab.codec.around.lists import read_all
from packetlab.codec.around.outer import is_around, is_read_now
from packetlab.codec.around.presence import by_value, is_derived, is_key
from packetlab.codec.around.solving import solve, solvings
from packetlab.codec.bodies import width
from packetlab.codec.context.context import current
from packetlab.codec.decode import Decoding, items_reader
from packetlab.codec.encode import Packing, encode_items
from packetlab.codec.faults import Dissection, Fault
from packetlab.codec.lenient import read_items
from packetlab.codec.objects import AnyHeader, classes, is_pattern, wrong_name
from packetlab.codec.places.scattered import laid_out_anew, lying, moves
from packetlab.codec.readback import prove
from packetlab.codec.rederive import Rederiving
from packetlab.codec.refinement.defaults import check_defaults
from packetlab.codec.refinement.depth import is_recursive, trying
from packetlab.codec.refinement.views import is_looked_into, kept, split, viewed, with_view
from packetlab.codec.source import Compiled, function
from packetlab.declare import registry
from packetlab.declare.declaration import Declaration
from packetlab.declare.elsewhere import check_elsewhere
from packetlab.declare.fields import REQUIRED, Field, Filled, auto
from packetlab.declare.items import bounded
from packetlab.declare.transforms.raws import InnerValue
from packetlab.declare.wildcards import Tolerance
from packetlab.errors import BuildError

H = TypeVar("H", bound=AnyHeader)
_prototypes: dict[type[AnyHeader], dict[type[AnyHeader], int]] = {}  # of items, those that may stand where these do
registry.caches.append(_prototypes)
_packers: WeakSet[Compiled] = WeakSet()
"""What packs headers by themselves, as `__bytes__` of their classes."""
BITS_OF = {"e": "H", "f": "I", "d": "Q"}
"""Letters of `struct` for floats, and for the numbers that have their bits."""


_reset = WeakSet[Declaration]()  # of which nothing was compiled since


def reset(cls: Declaration) -> None:
    """Put functions in place on the class of a declaration that compile themselves when first called."""
    header: Any = classes.known.get(cls)
    if header is None or cls in _reset:
        return  # nobody has it any more, or it has them
    _reset.add(cls)
    packs = header.__bytes__
    packs_alone = packs is AnyHeader.__bytes__ or packs in _packers  # none that somebody wrote in a class body

    def init(self: Any, **given: object) -> None:
        _reset.discard(cls)
        compile_init(cls)
        self.__init__(**given)

    def encode(*args: object) -> object:
        _reset.discard(cls)
        prove_once(cls)
        if header._encode is encode:
            made = Packing(cls).compile()
            header._encode = staticmethod(made)
            if packs_alone and not cls.remembers and cls.through is None:
                made.__defaults__ = b"", None, 0, None  # what stands around a header by itself
                header.__bytes__ = made
                _packers.add(made)
        return header._encode(*args)

    def resolve(*args: object) -> object:
        _reset.discard(cls)
        header._resolve = staticmethod(Packing(cls, fill=True).compile())
        return header._resolve(*args)

    def decode(*args: object) -> object:
        _reset.discard(cls)
        prove_once(cls)
        if header._decode is decode:
            header._decode = staticmethod(Decoding(cls).compile())
        return header._decode(*args)

    def copied(one: object) -> object:
        _reset.discard(cls)
        header._copied = staticmethod(compile_copy(cls))
        return header._copied(one)

    def extent(*args: object) -> object:
        _reset.discard(cls)
        header._extent = staticmethod(Rederiving(cls).compile_extent())
        return header._extent(*args)

    def rederive(*args: object) -> object:
        _reset.discard(cls)
        header._rederive = staticmethod(Rederiving(cls).compile())
        return header._rederive(*args)

    header.__init__ = init
    if packs_alone:
        header.__bytes__ = AnyHeader.__bytes__
    header._encode, header._resolve, header._decode = staticmethod(encode), staticmethod(resolve), staticmethod(decode)
    header._rederive, header._copied = staticmethod(rederive), staticmethod(copied)
    header._extent = staticmethod(extent)


registry.resets.append(reset)


def prove_once(cls: Declaration) -> None:
    """Have a header that is not packetlab's own prove, when it is first used, that it reads back what it builds; what it holds whenever that may become more."""
    if cls.is_own:
        return
    token, alone = current.set(None), trying.set(False)  # what it builds and reads for that is part of nothing that is around
    proved = cls.proved
    try:
        check_defaults(cls)
        if not cls.proved:
            cls.proved = True  # the proof itself builds and reads, as the look at defaults does
            check_elsewhere(cls)
            prove(cls)
    except BaseException:
        cls.proved = proved
        reset(cls)
        raise
    finally:
        current.reset(token)
        trying.reset(alone)


def compile_init(cls: Declaration) -> None:
    """Write the constructor: each keyword checked, converted, and noted as given."""
    # A field may have any name without a leading underscore, so all other names here have one.
    header = classes[cls]
    names: dict[str, object] = {"_wrong_name": wrong_name, "_cls": header, "_type": type}
    names.update(_int=int, _str=str, _isinstance=isinstance, _Tolerance=Tolerance, _D=cls, _solvings=solvings, _solve=solve)
    names.update(_has_pattern=_has_pattern, _only_marked=only_marked, _other=_other, _plain=_plain, _tuple=tuple)
    keywords = "".join(f", {f.name}=None" for f in cls.fields)
    # Not with a bare *: filling in defaults of keyword-only parameters takes a dictionary lookup for each.
    lines = [f"def __init__(_self, _unnamed=None{keywords}, **_wrong):"]
    lines += ["    if _wrong or _unnamed is not None: raise _wrong_name(_cls, _wrong)"]
    numbers = [f for f in cls.fields if _plain_range(f) and f.rule is None and f.condition is None and f.kind.names is None]
    if len(numbers) > 1:  # all of them are mostly given, or few; where they are, and fit, one test says so
        lines += [f"    if {_all_fit(numbers)}:", f"        _s = {sum(f.bit for f in numbers):#x}"]
        lines += [f"        _self.{f.slot} = {f.name}" for f in numbers]
        lines += ["    else:", "        _s = 0"]
        lines += ["    " + line for f in numbers for line in _taken(cls, f, names)]
    else:
        lines, numbers = [*lines, "    _s = 0"], []
    floats = [f for f in cls.fields if f.kind.letter in BITS_OF and f.kind.as_raw is not None and f.condition is None]
    if len(floats) > 1:  # the same of them: both directions of `struct` take as long for all as for one
        letters = [f.kind.letter for f in floats]
        names.update(_pack=Struct(">" + "".join(letters)).pack, _unpack=Struct(">" + "".join(BITS_OF[letter] for letter in letters)).unpack, _float=float, _TooLarge=OverflowError)
        values, slots = ", ".join(f.name for f in floats), ", ".join(f"_self.{f.slot}" for f in floats)
        lines += ["    _v = None", f"    if {_alike(floats)} is _float:", f"        try: _v = {slots} = _unpack(_pack({values}))"]
        lines += ["        except _TooLarge: pass", f"    if _v is not None: _s |= {sum(f.bit for f in floats):#x}", "    else:"]
        lines += ["    " + line for f in floats for line in _taken(cls, f, names)]
    else:
        floats = []
    lines += [line for f in cls.fields if f not in numbers and f not in floats for line in _taken(cls, f, names)]
    lines += ["    _self._state = _s", *(["    _self.__outer__ = None"] if cls.outer_leaves else [])]
    if holding := [f for f in cls.fields if f.kind.has_headers]:
        given = f"_s & {sum(f.bit for f in holding)} and" if all(f.default == () for f in holding) else ""
        lines += [f"    if {given} _solvings.get(_D, _self) is not None: _solve(_self)"]
    made = header.__init__ = function(lines, names, f"{cls.name}.__init__")
    if cls.view is not None:
        header.__init__ = with_view(header, made)


def _plain_range(f: Field) -> bool:
    """Whether whole numbers in the field's range are its raw values."""
    return f.kind.plain or (f.kind.wire == "number" and f.kind.orders_raw)


def _all_fit(fields: list[Field]) -> str:
    """Source for whether numbers are given for all of some fields, and in their ranges; those of the same bits share a test."""
    bits: dict[int, list[str]] = {}
    tests = []
    for f in fields:
        low, high = f.kind.low, f.kind.high
        if low == 0 and not high & high + 1:
            bits.setdefault(high.bit_length(), []).append(f.name)
        else:
            tests.append(f"{low:#x} <= {f.name} <= {high:#x}")  # decimal text of thousands of digits is none of Python's
    for shift, some in bits.items():
        tests += [f"not ({' | '.join(some[n : n + 16])}) >> {shift}" for n in range(0, len(some), 16)]
    return f"{_alike(fields)} is _int and {' and '.join(tests)}"


def _alike(fields: list[Field]) -> str:
    """Source for what all given values are of the class of; where the first is not given, no other is looked at."""
    return f"{fields[0].name} is not None and {' is '.join(f'{f.name}.__class__' for f in fields)}"


def _taken(cls: Declaration, f: Field, names: dict[str, object]) -> list[str]:
    """Return the lines of a constructor that check and convert what is given for a field; `names` gets what they refer to."""
    name, kind, where = f.name, f.kind, f"'{cls.name}.{f.name}'"
    if kind.wire == "payload":
        names[f"_F_{name}"] = f
        return [f"    if {name} is not None: _only_marked(_cls, _F_{name}, {name})", f"    _self.{f.slot} = None"]
    initial = None if f.default is REQUIRED or (f.condition is not None and not is_key(cls, f)) or is_derived(f) else f.default
    names.update({f"_K_{name}": kind.raw, f"_D_{name}": initial, f"_F_{name}": kind})
    default = repr(initial) if initial is None or (type(initial) is int and abs(initial) < 1 << 64) else f"_D_{name}"
    lines = [f"    if {name} is None: _self.{f.slot} = {default}"]
    forms: list[tuple[str, str]] = []
    if kind.wire == "items":
        names.update({f"_I_{name}": classes[kind.item], "_bounded": bounded})
        items = f"({name},)" if kind.one else name
        made = items if kind.one else f"_tuple({name})"
        if kind.last is not None:  # type: ignore[attr-defined]
            names[f"_E_{name}"], made = kind.ended, f"_E_{name}({made})"  # type: ignore[attr-defined]
        recursive = kind.item.repeated and is_recursive(kind.item)
        plain = f"_type({name}) is _I_{name} and {name}._state < {kind.item.prototype_bit:#x} or " * kind.one
        plain += f"_plain({items}, _I_{name}, {kind.item.prototype_bit:#x})"
        forms = [(plain, f"_bounded({made}, {where})" if recursive else made)]
    elif kind.transforms and kind.inner.wire == "items" and not kind.inner.one and not is_recursive(kind.inner.item) and kind.inner.last is None:  # type: ignore[attr-defined]
        names.update({f"_I_{name}": classes[kind.item], "_InnerValue": InnerValue})
        forms = [(f"_plain({name}, _I_{name}, {kind.item.prototype_bit:#x})", f"_InnerValue(_tuple({name}))")]
    elif _plain_range(f):
        bits = kind.high.bit_length() if kind.low == 0 and not kind.high & kind.high + 1 else 0
        forms = [(f"{name}.__class__ is _int and " + (f"not {name} >> {bits}" if bits else f"{kind.low:#x} <= {name} <= {kind.high:#x}"), name)]
    else:
        usual, more = kind.usual_forms()
        names.update({f"_{key}_{name}": one for key, one in more.items()})
        known = {key: f"_{key}_{name}" for key in more}
        forms = [(test.format(name, **known), raw.format(name, **known)) for test, raw in usual]
    if kind.names is not None and all(kind.low <= member <= kind.high for member in kind.names) and not issubclass(kind.names, Flag):
        names[f"_N_{name}"] = kind.names
        forms.append((f"_type({name}) is _N_{name}", f"{name}._value_"))
    if quick := kind.quick_raw():
        names[f"_Q_{name}"] = quick
        forms.append((f"(_v := _Q_{name}({name})) is not None", "_v"))
    lines += [f"    elif {test}: _s += {f.bit:#x}; _self.{f.slot} = {raw}" for test, raw in forms]
    if forms and kind.names is None and kind.wire != "items" and not kind.is_address:  # others are few
        names[f"_O_{name}"] = f
        return [*lines, f"    else: _s |= _other(_self, _O_{name}, {name}, {where}, {cls.prototype_bit:#x})"]
    # Text is tried first: addresses are mostly written so.
    lines += [f"    elif _type({name}) is _str or not _isinstance({name}, _Tolerance):"]
    lines += [f"        _s |= {f.bit:#x}", f"        _self.{f.slot} = _K_{name}({name}, {where})"]
    if kind.wire == "items":
        lines += [f"        if _has_pattern(_self.{f.slot}): _s |= {cls.prototype_bit:#x}"]
    lines += ["    else:", f"        _s |= {f.bit | cls.prototype_bit:#x}"]
    return [*lines, f"        _self.{f.slot} = {name}.bound_to(_F_{name}, {where})"]


def _other(header: AnyHeader, f: Field, value: object, where: str, prototype: int) -> int:
    """Put a value into a field that is in none of its usual forms; return what the state has of it."""
    if isinstance(value, Tolerance):
        setattr(header, f.slot, value.bound_to(f.kind, where))
        return f.bit | prototype
    setattr(header, f.slot, f.kind.raw(value, where))
    return f.bit


def only_marked(cls: type[AnyHeader], f: Field, value: object) -> None:
    """Refuse a value for the mark where the payload stands; None, which is what it has, may be given back."""
    if value is not None:
        raise BuildError(
            f"{cls.__name__}.{f.name}",
            "None, since it only marks a place",
            repr(value),
            "stack the payload: header / b'...'",
        )


def compile_copy(cls: Declaration) -> Compiled:
    """Return ``copy(header)``."""
    header = classes[cls]
    lines = ["def copy(h):", "    r = new(*of)", *(f"    r.{slot} = h.{slot}" for slot in ("_state", *(f.slot for f in cls.fields)))]
    lines += ["    r.__outer__ = getattr(h, '__outer__', None)"] if cls.outer_leaves else []
    return function([*lines, "    return r"], {"new": header.__new__, "of": (header,)}, f"{cls.name}.copy")


def _auto_value(declaration: Declaration, f: Field, before: object) -> object:
    """Return what a field holds that is to be derived again."""
    if is_derived(f):
        return before if by_value(declaration, f) else None  # it stays as long as it is there
    return None if f.default is REQUIRED or f.condition is not None else f.default


def _inside(header: AnyHeader, changes: dict[str, object]) -> tuple[dict[str, object], AnyHeader | None]:
    """Return the changes of a refined header's own fields, and what it holds with the others made, None where there are none."""
    changes = {**changes}
    own = split(type(header), changes, True)
    return changes, replaced(viewed(header), own) if own else None


def replaced(header: H, changes: dict[str, object]) -> H:
    """Return a copy of `header` with `changes` given."""
    cls, declaration = type(header), header._declaration
    inside, view = None, declaration.view
    if view is not None:
        changes, inside = _inside(header, changes)
    state, count, prototype = header._state, len(cls._fields), declaration.prototype_bit
    made: H = cls._copied(header)
    patterns = False
    loose = loosened(declaration, {*changes}) if declaration.computes else 0
    if loose:
        state &= ~(loose | loose << count)
    for name, value in changes.items():
        f = cls._by_name.get(name)
        if f is None:
            raise wrong_name(cls, {name: value})
        kind = f.kind
        if type(value) is int and kind.wire == "number" and kind.as_raw is None and kind.low <= value <= kind.high:
            state = state & ~(f.bit << count) | f.bit
            setattr(made, f.slot, value)
            continue
        if kind.wire == "payload":
            only_marked(cls, f, value)
            continue
        before = getattr(header, f.slot)
        if value is None and before is None and state >> 2 * count:
            continue  # the bytes ended before it came, and so it stays
        state &= ~(f.bit << count)
        if value is auto:
            state &= ~f.bit
            raw = _auto_value(declaration, f, before)
        else:
            state |= f.bit
            where = f"{cls.__name__}.{name}"
            if isinstance(value, Tolerance):
                raw, patterns = value.bound_to(kind, where), True
            else:
                raw = None if value is None and f.condition is not None else kind.kept(kind.raw(value, where), before)
                patterns = patterns or (type(raw) is tuple and _has_pattern(raw))
                if f.align and header._state >> count & f.bit and _same_items(raw, before):
                    state |= f.bit << count  # as it was captured, and so not filled up
        setattr(made, f.slot, raw)
    patterns = patterns or bool(state & prototype and _has_patterns(made))
    if loose:
        _let_follow(made, loose)
    made._state = state | prototype if patterns else state & ~prototype
    if solvings.get(declaration, made) is not None:
        solve(made, inside, header)
    if moves.get(declaration, True):
        laid_out_anew(made, header, changes)
    if view is not None:
        kept(made, header, inside, changes)
    return made


def _plain(value: Any, item: type[AnyHeader], prototype: int) -> bool:
    """Whether a value for a repeated field is a list or tuple of headers of class `item`, none of them a prototype."""
    if type(value) is not list and type(value) is not tuple:
        return False
    one, known = item, None
    for h in value:
        if h.__class__ is not one:
            known, one = known or _prototypes.setdefault(item, {item: prototype}), type(h)
            if one not in known and (not isinstance(h, AnyHeader) or not one._declaration.stands_for(item._declaration)):
                return False
            prototype = known.get(one) or known.setdefault(one, one._declaration.prototype_bit)
        if h._state >= prototype:
            return False
    return True


def _has_pattern(raw: object) -> bool:
    """Whether a field's raw value is a pattern, or items with one."""
    for h in raw if isinstance(raw, tuple) else ():
        if isinstance(h, AnyHeader) and is_pattern(h):
            return True
    return isinstance(raw, Tolerance)


def _let_follow(header: AnyHeader, bits: int) -> None:
    for f in header._fields:
        if f.bit & bits:
            setattr(header, f.slot, None)


def _has_patterns(header: AnyHeader) -> bool:
    return any(_has_pattern(getattr(header, f.slot)) for f in header._fields)


def _same_items(one: object, other: object) -> bool:
    return one is not None and other is not None and encode_items(one, 0) == encode_items(other, 0)


def item_faults(header: AnyHeader, field: Field, faults: list[Fault], origin: int, below: tuple[AnyHeader, ...] = ()) -> None:
    """Add the faults of a repeated field whose bytes begin at `origin` of the packet, and of items inside its items.

    `below` are the headers that stand around the one that has the field.
    """
    if field.kind.loose:
        return  # they are read at once, and no further than they are sound
    around = (*below, header)
    raw, owner = getattr(header, field.slot), header._declaration.name
    bits = origin * 8
    raw = tuple(raw) if type(raw) is Filled else raw  # what is wrong with what fills up was noted when it was read
    noted = type(raw) is tuple and is_read_now(field)  # for all of it at once
    for item in raw if noted else parse_items(field, encode_items(raw, 0), faults, origin, owner=owner, around=around):
        if isinstance(item, bytes):
            return
        for f in lying(item, item._fields):
            if is_looked_into(item, f):
                item_faults(item, f, faults, bits // 8, around)
            bits += width(item, f)


def all_item_faults(headers: tuple[AnyHeader, ...], faults: list[Fault], places: Callable[[], Mapping[tuple[int, Field], int]]) -> None:
    """Add the faults of every repeated field of a packet's headers; only where there are items it is gone over the fields.

    `places` has the first bytes of the fields that stand after a payload, by layer.
    """
    behind = [(i, f) for i, header in enumerate(headers) for f in header._declaration.after if is_looked_into(header, f)]
    if not behind and not any(is_looked_into(header, f) for header in headers for f in header._declaration.repeated):
        return
    bits = 0
    for i, header in enumerate(headers):
        for f in lying(header, header._declaration.before):
            if is_looked_into(header, f):
                item_faults(header, f, faults, bits // 8, headers[:i])
            bits += width(header, f)
    for i, f in reversed(behind):  # the innermost payload ends first
        found, after = places(), headers[i]._declaration.after
        at = next((found[i, g] for g in after[after.index(f) :] if (i, g) in found), max(found.values()))  # one of no bytes has no place
        item_faults(headers[i], f, faults, at, headers[:i])


def parse_items(
    field: Field, raw: bytes, faults: list[Fault], origin: int = 0, count: int | None = None, owner: str = "",
    around: tuple[AnyHeader, ...] = (),
) -> tuple[AnyHeader | bytes, ...]:  # fmt: skip
    """Read the items of a repeated field; bytes that are no whole item come last, as they are.

    `count` tells items of zeros from what fills up; faults are in the name of the header `owner`. `around` are the headers
    that stand around them, the one that holds them last.
    """
    if is_around(field):
        ctx = Dissection()
        ctx.layers = around
        alone: tuple[AnyHeader | bytes, ...] = read_all(field, items_reader(field, False), raw, ctx, faults, origin, count)
        return alone
    found = None if count is not None else items_reader(field, False)(raw, 0, len(raw), None)
    if found is None or found[1] != len(raw):
        found = read_items(field, raw, 0, len(raw), count, faults, origin, whole=True, owner=owner)
    items: tuple[AnyHeader | bytes, ...] = found[0]
    return items
