"""Lists of headers that ask what stands around them, written: each item with what holds it and the item before it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from packetlab.codec.around.following import in_place
from packetlab.codec.around.lists import is_last
from packetlab.codec.around.outer import (
    Within,
    _number,
    handed,
    is_around,
    is_whole,
    look,
    names_before,
    outer_beside,
    outer_names,
    outer_values,
)
from packetlab.codec.context.recalling import recall_builder
from packetlab.codec.objects import classes
from packetlab.codec.places.surroundings import all_built, counting_list, is_placed
from packetlab.codec.readback import after_end, no_bytes, unended
from packetlab.codec.refinement.standing import goes_by_around, standing
from packetlab.declare import registry
from packetlab.declare.declaration import rules_of
from packetlab.declare.expressions import Elsewhere
from packetlab.declare.fields import Field, Filled, slot_of
from packetlab.declare.places.inner import Inner
from packetlab.declare.places.origins import OwnPlace
from packetlab.declare.plan import Listed
from packetlab.declare.refinement.heaps import heap_of
from packetlab.declare.remembering.recalled import Recalled
from packetlab.declare.transforms.raws import Carried, InnerValue
from packetlab.hooks import hook

if TYPE_CHECKING:
    from packetlab.codec.objects import AnyHeader
    from packetlab.declare.declaration import Declaration

_writers: dict[Field, Any] = {}
registry.caches.append(_writers)
FIRST = object()
"""What stands before the first item of a list."""


def around(stack: tuple[AnyHeader, ...], i: int, holder: AnyHeader, values: dict[str, object]) -> Within:
    """Return what stands around the items that header `i` of a stack holds, in which it has `values` for what they ask of it."""
    made: Any = type(holder).__new__(type(holder))
    for f in holder._fields:
        setattr(made, f.slot, values.get(f.name, getattr(holder, f.slot)))
    made._state = holder._state
    found = Within((*stack[:i], made))
    found.holders = stack.holders if isinstance(stack, Within) else i
    return found


def filled_in(field: Field, value: Any, outside: Within) -> Any:
    """Return the items of a field with what follows for each filled in; bytes as they are."""
    if type(value) is not tuple and type(value) is not Filled:
        return value
    items = []
    for item, one, stack in _each(field, value, outside):
        made: Any = item if type(item) is bytes else one._resolve(item, b"", stack, len(outside), None)
        if hasattr(item, "__viewed__") and made is not item and not hasattr(made, "__viewed__"):
            made.__viewed__ = item.__viewed__
        items.append(made)
    return Filled.of(items, value.fill) if type(value) is Filled else tuple(items)


def standing_by(raw: Any, write: Any, *handed: int) -> InnerValue | None:
    """Return headers inside transforms with their bytes where they stand, by a writer that is given what they ask for; None where it writes none of them."""
    data = write(raw.inner, None, *handed) if type(raw) is InnerValue and type(raw.inner) is tuple else None
    return None if data is None else raw.stood(raw.inner, data)


def standing_inside(field: Field, raw: Any, outside: Within, whole: bool = True) -> Any:
    """Return the value of a field through transforms with what follows for the headers inside it where it stands filled in; not `whole`: with their bytes.

    Captured bytes stay as they are where those inside are the same there.
    """
    if not (isinstance(raw, Carried | InnerValue) and raw.opened):
        return raw
    inner: Field = field.kind.field  # type: ignore[attr-defined]
    items = raw.inner
    if is_placed(inner.kind.item):  # places are counted from the beginning of what is inside
        items = tuple(one if type(one) is bytes else hook("settled")(one, (one,), 0) for one in items)
    data = encode_around(inner, items, 0, outside)
    filled = filled_in(inner, items, outside) if whole else raw.inner
    if isinstance(raw, InnerValue):
        return raw.stood(filled, data)
    return raw.holding(filled) if data == hook("encode_items")(raw.inner, 0) else InnerValue(raw.inner).stood(filled, data)


def encode_around(field: Field, value: Any, align: int, outside: Within, header: AnyHeader | None = None, quick: bool = True) -> bytes:
    """Pack the items of a field (see `encode.encode_items`). With `header` one of them has to say that it is the last; not `quick`: one by one."""
    if type(value) is bytes:
        return value + field.fill * (-(field.lead + len(value)) % align) if align else value
    if field not in _writers:
        _writers[field] = hook("around_writer")(field)
    if quick and (write := _writers[field]) is not None and type(value) is tuple and (whole := write(value, outside)) is not None:
        return whole + field.fill * (-(field.lead + len(whole)) % align) if align else whole  # type: ignore[no-any-return]
    data, ended, until = b"", False, field.until
    alone = until is not None and any(isinstance(s, Listed) and s.count is None and s.field is field for s in field.owner.plan.within)
    for item, one, stack in _each(field, value, outside):
        if ended and (alone or type(item) is not bytes):
            raise after_end(field, item)
        more = item if type(item) is bytes else one._encode(item, b"", stack, len(outside), None)
        if not more and type(item) is not bytes and not field.kind.one:
            raise no_bytes(field)
        data += more
        if until is not None and type(item) is not bytes:
            whole = one._resolve(item, b"", stack, len(outside), None)
            ended = ended or is_last(field, (stack.before, whole), stack[:-1])
    if until is not None and header is not None and not ended and not (value and type(value[-1]) is bytes):
        raise unended(header, field.name)
    if type(value) is Filled and not align:
        return data + value.fill
    return data + field.fill * (-(field.lead + len(data)) % align) if align else data


def _each(field: Field, items: Any, outside: Within) -> Any:
    """Give each item, its class and its stack."""
    before: Any = FIRST
    names = names_before(field.kind.item) | ({leaf.name for leaf in outer_beside([field.until], ()) if not leaf.path} if field.until is not None else set())
    slots = [*map(slot_of, names)]
    known: dict[Declaration, list[tuple[str, int]] | None] = {}
    for item in items:
        if type(item) is bytes:
            yield item, bytes, outside
            continue
        stack = Within((*outside, item))
        stack.holders, stack.before = outside.holders, before
        if item._declaration not in known:
            known[item._declaration] = _alike(item._declaration, outside)
        if alike := known[item._declaration]:
            stack.outer = tuple([value if not slot else _number(getattr(before, slot, None)) for slot, value in alike])
        if item._declaration.outer_leaves and is_whole(item):
            leaves = item._declaration.outer_leaves
            item = in_place(item, dict(zip(map(str, leaves), outer_values(item, leaves, stack, len(outside)), strict=True)))
        yield item, type(item), stack
        before = item
        for slot in slots:
            if getattr(item, slot, None) is None:
                before = type(item)._resolve(item, b"", stack, len(outside), None)
                break


def _alike(item: Declaration, outside: Within) -> list[tuple[str, int]] | None:
    """Return for each outer value of items of a list the slot that it has in the item before, or "" and what it is for all of them.

    None where there are none, or one of them is another for each.
    """
    found: list[tuple[str, int]] = []
    for leaf in item.outer_leaves:
        value = look(leaf, outside, None, outside.holders, item) if leaf.path and not isinstance(leaf, Recalled | OwnPlace) else None
        if value is None and (leaf.path or isinstance(leaf, Recalled | OwnPlace)):
            return None
        found.append(("", value) if value is not None else (slot_of(leaf.name), 0))
    return found


class OuterWriting:
    """The part of `derive.Deriving` that is about what stands around a header."""

    cls: Declaration
    tag: str
    lines: list[str]
    names: dict[str, object]
    stack: tuple[Declaration, ...] | None
    done: set[str]
    fill: bool
    direct: dict[str, str]
    needs_stack = False  # whether it needs the headers below themselves
    outer_known: Mapping[str, str] = MappingProxyType({})  # outer values -> the variables that have them, of the items of a list

    def value(self, name: str) -> str:
        raise NotImplementedError

    def present(self, f: Field) -> str:
        raise NotImplementedError

    def looked_up(self) -> list[str]:
        """Return the lines that look up the outer values."""
        self.names["outer_of"] = outer_values
        lines, at_once = ["outer = outer_of(h, cls.outer_leaves, stack, i)"], recall_builder(self.cls.outer_leaves, self.cls.by_name)
        if at_once is not None:
            self.names["recalled_now"] = at_once
            lines = ["outer = recalled_now(h) if type(stack) is tuple else None", f"if outer is None: {lines[0]}"]
        return lines if self.cls.outer_leaves else []

    def elsewhere(self, leaf: Elsewhere) -> str:
        """Source for a value from elsewhere; `outer` has those of the header."""
        if str(leaf) in self.outer_known:
            return self.outer_known[str(leaf)]
        leaves = [str(one) for one in self.cls.outer_leaves]
        if str(leaf) in leaves:
            outer = f"outer[{leaves.index(str(leaf))}]"
            return f"({outer} or 0)" if isinstance(leaf, Recalled) and leaf.is_number else outer
        key, self.needs_stack = f"L{len(self.names)}{self.tag}", True
        self.names.update({key: leaf, "look": look})
        return f"(look({key}, stack[:i], None, i) or 0)"

    def settling(self) -> list[str]:
        """Return the lines that give what is in a header the form in which it is to stand: names, and what asks what is around it."""
        if self.stack is not None:
            return []
        self.names.update(settled=hook("settled"), standing=standing, heaped=hook("heaped"))
        lay = None if heap_of(self.cls) is None else hook("laying")(self.cls)
        lines = ["h = heaped(h, stack, i)"] if heap_of(self.cls) is not None else []
        if lay is not None:
            self.names["lay"], lines = lay, ["w = lay(h)", "h = heaped(h, stack, i) if w is None else w"]
        lines += ["h = standing(h, body, stack, i, above)"] if goes_by_around(self.cls) else []
        if not is_placed(self.cls):
            return lines
        listed = None if self.fill else counting_list(self.cls)
        if listed is None or hook("around_writer")(listed) is None:
            return [*lines, "h = settled(h, stack, i)"]
        self.names.update(all_built=all_built, counted=classes[listed.kind.item])
        return [*lines, f"if not all_built(h.{listed.slot}, counted): h = settled(h, stack, i)"]  # else who writes the list counts

    def knowing(self) -> list[str]:
        """Return the lines that have a header with all values filled in know what stands around it and inside it."""
        inner = ["if hasattr(h, '__viewed__'): r.__viewed__ = h.__viewed__"] if goes_by_around(self.cls) else []
        return [*inner, *(["r.__outer__ = outer"] if self.cls.outer_leaves else [])]

    def stand_inside(self, f: Field, var: str) -> None:
        """Fill in what follows for headers inside a field through transforms from what stands around them, where they ask for that."""
        if not (f.kind.transforms and is_around(f)):
            return
        value, inner = self.direct.pop(f.name, var), f.kind.field  # type: ignore[attr-defined]
        self.names.update({f"F_{f.name}": f, "standing_inside": standing_inside, "standing_by": standing_by})
        # Where nothing but its bytes is asked for, no header inside it is made anew.
        asked = any(isinstance(leaf, Inner) for rule in rules_of(self.cls.fields) if rule is not None for leaf in rule.leaves())
        whole = self.fill or asked or f.kind.has_state  # type: ignore[attr-defined]
        leaves = None if whole or f.condition is not None or is_placed(inner.kind.item) else handed(inner, self.cls)
        write = hook("around_writer")(inner) if leaves is not None else None
        if leaves is None or write is None:
            code = f"standing_inside(F_{f.name}, {value}, {self.outside(f)}, {whole})"
        else:
            self.names[f"L_{f.name}{self.tag}"] = write
            operands, around = "".join(f", {self.value(leaf.name)}" for leaf in leaves), self.surroundings(f)
            code = f"standing_by({value}, L_{f.name}{self.tag}{operands}) or standing_inside(F_{f.name}, {value}, {around}, False)"
        self.lines.append(f"{var} = {code}" if f.condition is None else f"{var} = {code} if {self.present(f)} else {value}")

    def outside(self, f: Field) -> str:
        """Source for what stands around the items of a field."""
        var = f"o_{f.name}"
        if var not in self.done:
            self.lines.append(f"{var} = {self.surroundings(f)}")
            self.done.add(var)
        return var

    def surroundings(self, f: Field) -> str:
        """The same, made where it stands."""
        self.needs_stack = True
        values = {name: self.value(name) for name in sorted(outer_names(f))}
        self.names.update(around=around, encode_around=encode_around, filled_in=filled_in)
        return f"around(stack, i, h, {{{', '.join(f'{name!r}: {value}' for name, value in values.items())}}})"

    def packed_around(self, f: Field, value: str, align: str) -> str:
        """Source for the bytes of headers in a field that ask what stands around them; numbers of this header are handed to who writes the list."""
        key, leaves = f"F_{f.name}{self.tag}", None if self.fill or f.align or f.condition is not None else handed(f, self.cls)
        write = hook("around_writer")(f) if leaves is not None else None
        if leaves is None or write is None:
            return f"(encode_around({key}, {value}, {align}, {self.outside(f)}) if {value if not f.lead else True} else b'')"
        self.names[f"L_{f.name}{self.tag}"], var = write, f"l_{f.name}{self.tag}"
        operands, around = "".join(f", {self.value(leaf.name)}" for leaf in leaves if not isinstance(leaf, OwnPlace)), self.surroundings(f)
        self.lines.append(f"{var} = L_{f.name}{self.tag}({value}, None{operands}) if type({value}) is tuple else None")
        return f"({var} if {var} is not None else encode_around({key}, {value}, 0, {around}, quick=False) if {value} else b'')"
