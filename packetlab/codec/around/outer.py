"""The values that a header takes from what stands around it: those that `field("^.flags")`, `field("MQTT.qos")` and `before("number")` name.

They are looked up when it is read or written, in the headers around it from the nearest out. A header that was read, or whose
derived fields were filled in, remembers them (`__outer__`), so that by itself it is what it was there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from packetlab.codec.context.recalling import recall_built
from packetlab.codec.faults import Dissection
from packetlab.codec.objects import AnyHeader
from packetlab.codec.places.surroundings import around, begun, is_called as is_named, is_placed
from packetlab.codec.refinement.depth import is_nested, is_recursive
from packetlab.declare import registry
from packetlab.declare.declaration import Declaration, outer_leaves
from packetlab.declare.expressions import Checksum, Elsewhere, Expr
from packetlab.declare.fields import Field, slot_of
from packetlab.declare.places.heaps import Heap, Lain
from packetlab.declare.places.origins import OwnPlace
from packetlab.declare.refinement.heaps import item_heap
from packetlab.declare.refinement.registered import refinements
from packetlab.declare.remembering.recalled import Recalled
from packetlab.declare.transforms.carried import OuterBytes
from packetlab.declare.transforms.raws import InnerValue
from packetlab.declare.values.said import OuterSays
from packetlab.errors import BuildError


class Within(tuple[AnyHeader, ...]):
    """The stack of an item that is written: the headers below, what holds it from the outermost in, itself.

    `holders` is the place of the first of those that hold it: their values are as they are sent. `before` is the item before
    it in its list.
    """

    holders = 0
    before: AnyHeader | None = None
    outer: tuple[int, ...] | None = None  # its outer values, where they are known


class Alone(tuple[AnyHeader]):
    """The stack of a header that is looked into by itself, wherever it was filled in."""


def look(
    leaf: Elsewhere, around: Sequence[AnyHeader], before: AnyHeader | None, holders: int = 0, last: Declaration | None = None
) -> int | None:
    """Return a value from elsewhere, None where there is no such header; `around` ends with the nearest, `last` is the header whose rule it is.

    Of those that stand before `holders` what follows from others may not be filled in yet. It is then, but for sizes of payloads.
    """
    if not leaf.path:
        return None if before is None else _number(getattr(before, slot_of(leaf.name), None))
    found = place_of(leaf, around)
    if found < 0:
        return None
    header: Any = around[found]
    raw = getattr(header, slot_of(leaf.name))
    if raw is None and found < holders and not header._is_partial:
        above = around[found + 1]._declaration if found + 1 < len(around) else last
        raw = getattr(header._resolve(header, b"", tuple(around[: found + 1]), found, above), slot_of(leaf.name))
    if isinstance(leaf, OuterBytes | OuterSays):
        return leaf.of(raw, header._by_name[leaf.name].kind)
    return _number(raw)


def place_of(leaf: Elsewhere, around: Sequence[AnyHeader]) -> int:
    """Return the place of the header that a value from elsewhere is of, in those around from the outermost in; -1 where there is none."""
    if leaf.path[:1] == "^":
        return _out(leaf, around)
    found = len(around) - 1
    while found >= 0 and not is_called(around[found]._declaration, leaf):
        found -= 1
    return found


def _out(leaf: Elsewhere, around: Sequence[AnyHeader]) -> int:
    """Return the place of the header that "^", "^.^", ... stands for, -1 for none.

    The header inside of a refinement (see `codec.refinement.views`) and the one it is a part of are one.
    """
    place, levels = len(around), leaf.path.count("^")
    for level in range(1, levels + 1):
        place -= 1
        while place > 0 and is_inside(around[place]._declaration) and (level < levels or leaf.name not in around[place]._by_name):
            place -= 1
    return place if place >= 0 and leaf.name in around[place]._by_name else -1


def is_inside(declaration: Declaration) -> bool:
    """Whether its headers stand inside a field that a refinement takes apart."""
    return declaration.qualname.endswith(".__inside__")


def _number(raw: object) -> int:
    return raw if isinstance(raw, int) else 0


def is_called(declaration: Declaration, leaf: Elsewhere) -> bool:
    """Whether a header is of the class that a value from elsewhere names, and has it."""
    if leaf.name not in declaration.by_name:
        return False
    return declaration.name == leaf.path or any(one.name == leaf.path for one in declaration.bases)


def outer_values(header: Any, leaves: tuple[Elsewhere, ...], stack: tuple[AnyHeader, ...], i: int) -> tuple[int, ...]:
    """Return the outer values of header `i` of a stack when it is written."""
    before, holders = None, i
    if isinstance(stack, Within):
        if stack.outer is not None and i == len(stack) - 1:
            return stack.outer
        before, holders = stack.before, stack.holders
    below, own = stack[:i], header._declaration
    found: list[Any] = [
        recall_built(leaf, header, below, place) if isinstance(leaf, Recalled) else look(leaf, below, before, holders, own) for place, leaf in enumerate(leaves)
    ]  # fmt: skip
    if not [one for one in found if one is None]:  # `in` would compare, which states of transforms take for equal
        return tuple(found)
    if known := remembered(header, leaves):
        return tuple(one if value is None else value for value, one in zip(found, known, strict=True))
    return tuple(value if isinstance(leaf, Recalled) else value or 0 for leaf, value in zip(leaves, found, strict=True))


def remembered(header: Any, leaves: tuple[Elsewhere, ...]) -> tuple[int, ...]:
    """Return the outer values of a header where it was read or filled in; zeros where it was not, None of what is recalled."""
    known: tuple[int, ...] | None = getattr(header, "__outer__", None)
    if known is not None and len(known) == len(leaves):
        return known
    return tuple(None if isinstance(leaf, Recalled) else 0 for leaf in leaves)  # type: ignore[misc]


def remember(header: Any, outer: tuple[int, ...]) -> None:
    """Have a header remember its outer values."""
    header.__outer__ = outer


def read_outer(
    leaves: tuple[Elsewhere, ...], ctx: Dissection, own: Declaration | None = None, data: bytes = b"", start: int = 0
) -> tuple[int, ...]:
    """Return the outer values of a header that is read: one declared as `own`, which begins at ``data[start]``."""
    return tuple([
        None if isinstance(leaf, Recalled)  # type: ignore[misc]
        else begun(leaf.name, own, data, start, ctx) if isinstance(leaf, OwnPlace) and own is not None
        else look(leaf, ctx.layers, ctx.before) or 0
        for leaf in leaves
    ])  # fmt: skip


def within(ctx: Dissection | None, holder: AnyHeader, data: bytes, start: int) -> Dissection:
    """Return what is known while the items are read that a header holds, which begins at ``data[start]``."""
    inner = Dissection()
    inner.place = around(ctx, holder._declaration, data, start)
    inner.layers = (*(() if ctx is None else ctx.layers), holder)
    return inner


def outer_beside(conditions: Sequence[Expr], leaves: Sequence[Elsewhere]) -> tuple[Elsewhere, ...]:
    """Return the outer values that some conditions name beside those that the header's own rules name."""
    known = {str(leaf) for leaf in leaves}
    named = (leaf for rule in conditions for leaf in rule.leaves() if isinstance(leaf, Elsewhere))
    return tuple({str(leaf): leaf for leaf in named if str(leaf) not in known}.values())


def asked_around(declaration: Declaration) -> list[Elsewhere]:
    """Return the values that a header, and what decides what follows it, takes from headers around it."""
    beside = outer_beside([rule for rule, _, _ in registry.conditions(declaration)], declaration.outer_leaves)
    return [*(leaf for leaf in declaration.outer_leaves if not isinstance(leaf, Recalled)), *beside]


# Which fields hold such headers --------------------------------------------------------------------------------


def reach(declaration: Declaration, seen: frozenset[Declaration] = frozenset(), in_bytes: bool = True) -> int:
    """Return how many levels around it the rules of a header, or of what is in its fields, reach: 0 for none, `FAR` for any header below.

    `in_bytes`: whether it stands in the bytes of the packet; what comes out of a transform begins anew, and places are counted from there.
    """
    if declaration in seen:
        return 0
    pseudo = any(isinstance(f.rule, Checksum) and "pseudo" in f.rule.over for f in declaration.fields)
    found = FAR if declaration.remembers or pseudo or (in_bytes and is_placed(declaration)) else 0
    found = max(found, _levels((*declaration.outer_leaves, *outer_leaves(one.when for one in refinements(declaration)))))
    for f in declaration.fields:
        if f.kind.has_headers:
            inner = max(reach(f.kind.item, seen | {declaration}, in_bytes and not f.kind.transforms), _levels(outer_leaves([f.until])))
            found = max(found, inner if inner == FAR or is_inside(declaration) else inner - 1)
    for one in (*([declaration] if declaration.view is not None else []), *refinements(declaration)):  # who reads a list reads these
        inner = reach(one if one.view is None else one.view[1], seen | {declaration}, in_bytes)
        found = max(found, inner if inner == FAR or one.view is None else inner - 1)
    return found


FAR = 1 << 30


def _levels(leaves: Sequence[Elsewhere]) -> int:
    """Return how many levels out some values from elsewhere are."""
    return max((1 if not leaf.path or isinstance(leaf, Heap | Lain) else leaf.out or FAR for leaf in leaves), default=0)


_reaches: dict[Declaration, int] = {}
registry.caches.append(_reaches)


def reaches_out(declaration: Declaration) -> bool:
    """Whether rules of a header, or of what is in its fields, name what stands around it."""
    if declaration not in _reaches:
        _reaches[declaration] = reach(declaration)
    return _reaches[declaration] > 0


_held: dict[Field, int] = {}
registry.caches.append(_held)


def _reach(field: Field) -> int:
    if not field.kind.has_headers:
        return 0
    if field not in _held:
        inner = reach(field.kind.item, in_bytes=not field.kind.transforms)
        _held[field] = inner if field.until is None else max(inner, _levels(outer_leaves([field.until])))
    return _held[field]


def is_around(field: Field) -> bool:
    """Whether rules of what a field holds name what stands around it."""
    return _reach(field) > 0


def is_read_at_once(field: Field) -> bool:
    """Whether its rules name more than the header that holds it, so that it cannot wait until somebody looks into it."""
    return _reach(field) > 1 - is_inside(field.owner) or (field.kind.has_headers and item_heap(field.kind.item) is not None)


def is_read_now(field: Field) -> bool:
    """Whether what a field holds is read with the header that holds it, for either of these reasons."""
    return field.kind.wire == "items" and (is_recursive(field.kind.item) or is_read_at_once(field))


def handed(field: Field, holder: Declaration) -> list[Elsewhere] | None:
    """Return the outer values of items that are numbers of the header which holds them, or places in it: who reads or writes the list is given these.

    None where they ask for more than these, and for the item before.
    """
    item: Declaration = field.kind.item
    if field.until is not None or item.view is not None or is_nested(item) or refinements(item) or is_contextual(item):
        return None
    for leaf in item.outer_leaves:
        f = holder.by_name.get(leaf.name) if leaf.path == "^" or is_called(holder, leaf) else None
        own = f is not None and f.kind.is_number and not f.kind.transforms
        since = isinstance(leaf, OwnPlace) and is_named(holder, leaf.name) and not is_named(item, leaf.name)
        if not since and not is_lain(leaf) and not (type(leaf) is Elsewhere and (own or not leaf.path)):
            return None
    return None if any(f.kind.counted_from for f in item.fields) else [leaf for leaf in item.outer_leaves if leaf.path and not is_lain(leaf)]


def is_lain(leaf: Elsewhere) -> bool:
    """Whether it is of a header itself, where its bytes lie elsewhere: what it remembers, 0 before that."""
    return isinstance(leaf, Lain | Heap)


def goes_by_outer(declaration: Declaration) -> bool:
    """Whether a header is written with what stands around it, or has items that are, or values that are not in the bytes."""
    return bool(declaration.outer_leaves) or goes_by_more(declaration)


def goes_by_more(declaration: Declaration) -> bool:
    """The same, but for the outer values of its own rules."""
    conditions = [rule for rule, _, _ in registry.conditions(declaration)]
    placed = is_placed(declaration) or any(map(is_around, declaration.fields)) or any(f.computed is not None for f in declaration.fields)
    inside = declaration.view is not None and reaches_out(declaration.view[1])
    return bool(declaration.remembers) or placed or inside or bool(outer_beside(conditions, ()))


def outer_names(field: Field, level: int = 1) -> set[str]:
    """Return the names of the fields that rules of what a field holds name of the header around it."""
    return _names(field, field.owner, 1, frozenset()) if field.kind.has_headers else set()


def _names(field: Field, holder: Declaration, level: int, seen: frozenset[tuple[Declaration, int]]) -> set[str]:
    item: Declaration = field.kind.item
    if (item, level) in seen or level > 8:
        return set()
    leaves = (*item.outer_leaves, *outer_leaves([field.until]))
    found = {leaf.name for leaf in leaves if leaf.path and (leaf.out == level if leaf.out else is_called(holder, leaf))}
    for f in item.fields:
        if f.kind.has_headers:
            found |= _names(f, holder, level + 1, seen | {(item, level)})
    return found & holder.by_name.keys()


def is_whole(item: AnyHeader | bytes) -> bool:
    """Whether an item of a list has all its values, since it was read."""
    return isinstance(item, bytes) or item._state >= item._declaration.captured_state


def is_contextual(item: Declaration) -> bool:
    """Whether a header remembers something for later packets, or recalls what earlier ones did, so that it is read with care for order."""
    return bool(item.remembers) or any(isinstance(leaf, Recalled) for leaf in item.outer_leaves)


def follows_inside(field: Field, raw: object) -> bool:
    """Whether what is inside a field through transforms is yet to be filled in from what stands around it."""
    return type(raw) is InnerValue and is_around(field) and not all(map(is_whole, raw.inner))


_declared: dict[str, bool] = {}
_contextual: dict[Declaration, bool] = {}
_before: dict[Declaration, frozenset[str]] = {}
_streams: dict[str, frozenset[str]] = {}
registry.caches += [_declared, _contextual, _before, _streams]


def has_context() -> bool:
    """Whether a header is declared that remembers something for later packets, or recalls what earlier ones did."""
    return _declared["any"] if _declared else _declared.setdefault("any", any(map(is_contextual, registry.declared())))


def holds_contextual(declaration: Declaration, itself: bool = True) -> bool:
    """Whether a header (`itself`, or not), what becomes of it or what is in it remembers something for later packets, or recalls what earlier ones did."""
    if not itself:
        return any(is_contextual(one) for one in read_with(declaration) if one is not declaration)
    if declaration not in _contextual:
        _contextual[declaration] = any(map(is_contextual, read_with(declaration)))
    return _contextual[declaration]


def read_with(declaration: Declaration) -> set[Declaration]:
    """Return what may be read where a header is: itself, what it becomes, and what is in their fields."""
    seen, todo = set[Declaration](), [declaration]
    while todo:
        one = todo.pop()
        if one not in seen:
            seen.add(one)
            todo += [f.kind.item for f in one.fields if f.kind.has_headers]
            for refined in (one, *refinements(one)):
                todo += [refined] if refined.view is None else [refined, refined.view[1]]
    return seen


def remembered_in_streams() -> frozenset[str]:
    """Return the tables in which something is remembered from messages of streams, or from what stands above or in them."""
    if not _streams:
        declared = registry.declared() if any(one.remembers for one in registry.declared()) else []
        lowers = {one: {lower for lower, _, _ in registry.bindings_of(one)} for one in declared}
        found = set[Declaration]().union(*(read_with(one) for one in declared if one.stream))
        size = -1
        while size < len(found):
            size = len(found)
            found.update(*(read_with(one) for one in declared if one not in found and not found.isdisjoint(lowers[one])))
        _streams["all"] = frozenset(said.table for one in found for said in one.remembers or ())
    return _streams["all"]


def names_before(item: Declaration) -> frozenset[str]:
    """Return the names of what rules of an item, of what it becomes and of what is in it name of the item before it."""
    found = _before.get(item)
    if found is None:
        leaves = [leaf for one in read_with(item) for leaf in (*one.outer_leaves, *outer_leaves(refined.when for refined in refinements(one)))]
        found = _before[item] = frozenset(leaf.name for leaf in leaves if not leaf.path)
    return found


def items_alone(header: Any, field: Field) -> Any:
    """Return the items of a field by themselves: as they were given while what they are goes by what will stand around."""
    try:
        return getattr(header._resolved_alone(), field.slot)
    except BuildError:
        return getattr(header, field.slot)


def fills_in(header: AnyHeader, field: Field) -> bool:
    """Whether numbers of the header that a field holds follow from what is around it, in a header that is built."""
    built = not (header._is_partial or header._state >> len(header._fields) & field.bit)
    return built and field.name in header._declaration.fills
