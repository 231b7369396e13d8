"""Names of values from elsewhere, checked as far as they can be: of the headers that hold others when the class is made, the others at first use.

By then what stands below is declared and bound. What a rule names may be missing in a packet, and is 0 there; what a key names has to be
able to stand around the header: else all packets would share one value.
"""

from __future__ import annotations

from collections.abc import Iterator

from packetlab.declare import registry
from packetlab.declare.computed import Computed
from packetlab.declare.declaration import Declaration, outer_leaves, rules_of
from packetlab.declare.expressions import Checksum, Elsewhere, Expr, Next, Ref, Size
from packetlab.declare.fields import Field
from packetlab.declare.intervals import bounds, words
from packetlab.declare.places.from_end import is_ahead
from packetlab.declare.places.origins import OwnPlace
from packetlab.declare.refinement.heaps import check_heaps
from packetlab.declare.refinement.registered import refinements
from packetlab.declare.remembering.recalled import Recalled
from packetlab.declare.remembering.records import LaidOutBy
from packetlab.declare.transforms.carried import OuterBytes
from packetlab.declare.validate import ANYWHERE, READ, Leaves, described, field_of
from packetlab.declare.values.said import CountInside, FirstOf, OuterSays
from packetlab.errors import DeclareError, suggestion
from packetlab.hooks import hook


def _named(header: Declaration) -> Iterator[tuple[Elsewhere, bool, bool]]:
    """Yield what a header's rules, keys and remembered values name of others, whether it stands in a key, and whether it is to be a number."""
    yield from ((leaf, False, True) for leaf in header.outer_leaves if not isinstance(leaf, Recalled))
    remembered = header.remembers or ()
    keys = [leaf.key for leaf in header.outer_leaves if isinstance(leaf, Recalled)] + [one.key for one in remembered]
    for part in (part for key in keys for part in key):
        yield from ((leaf, True, leaf is not part) for leaf in part.leaves() if isinstance(leaf, Elsewhere))
    for rule in (rule for one in remembered for rule in one.values):
        yield from ((leaf, False, leaf is not rule) for leaf in rule.leaves() if isinstance(leaf, Elsewhere))


def check_held(header: Declaration) -> None:
    """Refuse fields whose headers ask for what the one that holds them does not have."""
    # A class may be declared later; what is written like a field, or a word, and is none is a slip.
    for where, name in _origins(header):
        if not name[:1].isupper():
            _check_origin(header, where, name, at_first_use=False)
    for leaf in header.outer_leaves:
        if leaf.path.isidentifier() and leaf.path[0].islower() and not isinstance(leaf, Recalled) and (twin := _twin(leaf.path)):
            raise DeclareError(header.name, f"a header class that is declared, in {leaf}", leaf.path, f"did you mean {twin!r}?")
    for f in header.fields:
        if f.kind.wire == "items":
            if f.count is not None and f.kind.item is header and f.condition is None:
                where = f"{header.name}.{f.name}, count"
                if bounds(f.count, Leaves(header, where, READ), where)[0] > 0:
                    raise DeclareError(where, "a count that may be 0, for a list of the class itself", words(f.count), "a field of its own counts: auto(count_of(...))")
        if f.kind.has_headers:
            _check(header, f, 1, f"{header.name}.{f.name}", frozenset())
    check_layouts(header)
    check_heaps(header)


def _origins(header: Declaration) -> Iterator[tuple[str, str]]:
    """Yield where a header says from where it counts, and the class that it names."""
    yield from ((f"{header.name}.{f.name}, since", f.kind.counted_from) for f in header.fields if f.kind.counted_from not in ("", "self", "packet"))
    yield from ((f"{header.name}, since", leaf.name) for leaf in header.outer_leaves if isinstance(leaf, OwnPlace) and leaf.name != "packet")


def _twin(name: str) -> str:
    """Return the name of a declared class that is another one in the case of its letters alone; "" where one is called just so, or none."""
    names = [one.name for one in registry.declared() if one.name.lower() == name.lower()]
    return "" if name in names or not names else names[-1]


def _check_origin(header: Declaration, where: str, name: str, at_first_use: bool) -> None:
    """Refuse to count from a class that nobody has declared: before its first use only what is near to a name that is known."""
    if at_first_use:
        hook("declare_all")()
    names, near, twin = [one.name for one in registry.declared()], ["packet", "self", *header.by_name], _twin(name)
    if name in names:
        return
    hint = f"did you mean {twin!r}?" if twin else suggestion(name, [*near, *names] if at_first_use else near)
    if hint or at_first_use:
        raise DeclareError(where, "a header class that is declared, or a field before it", name, hint)


def check_layouts(header: Declaration) -> None:
    """Refuse what `laid_out` names of templates, as far as headers are declared that remember such: lists of headers, and numbers in these."""
    for f in header.fields:
        for by in f.kind.transforms:
            if not isinstance(by, LaidOutBy):
                continue
            table, items = by.given["layout"].table, []
            for one in registry.declared():
                rules = [rule for entry in one.remembers or () if entry.table == table for rule in entry.values]
                kinds = [one.by_name[rule.name].kind if isinstance(rule, Ref) else None for rule in rules]
                items += [None if kind is None or not kind.has_headers else kind.item for kind in kinds]
            wrong = [by.misnamed(item) for item in items]
            if wrong and None not in wrong:
                word, name = next(one for one in wrong if one is not None)
                item = next((item for item in items if item is not None), None)
                expected = "a table of lists of headers" if item is None else f"a number of {item.name}, which is in templates, as {word}="
                hint = "" if item is None else suggestion(name, item.by_name)
                raise DeclareError(f"{header.name}.{f.name}, laid_out(...)", expected, repr(table if item is None else name), hint)


def _check(header: Declaration, held: Field, level: int, where: str, seen: frozenset[Declaration]) -> None:
    item: Declaration = held.kind.item
    for leaf, _, number in (*_named(item), *((leaf, False, True) for leaf in outer_leaves([held.until]))):
        if leaf.out == level:
            _check_field(header, leaf, f"{where}, for {leaf} of {item.name}", number)
    for leaf in outer_leaves([*_at_once(item), *(f.must for f in item.fields)]):
        named = leaf.out == level or leaf.path in (header.name, *(base.name for base in header.bases))
        rule = header.by_name[leaf.name].rule if named and leaf.name in header.by_name else None
        if rule is not None and not isinstance(rule, Checksum | Next) and any(type(one) is Size and one.name in ("self", held.name) for one in rule.leaves()):
            hint = f"that is for who reads {header.name} to ask, or for a number without auto(...)"
            raise DeclareError(f"{where}, for {leaf} of {item.name}", f"a number that is known before {held.name} is built", f"{leaf.name} = {rule}, which goes by the size of {held.name}", hint)
    for f in item.fields if level < 8 and item not in seen else ():
        if f.kind.has_headers:
            _check(header, f, level + 1, where, seen | {item})


def check_around(header: Declaration) -> None:
    """Refuse what a header that is declared and bound asks of those around it, where they do not have it, or not in time.

    Headers in fields, and what these become, would have to know a field of the header around before it is read.
    """
    _check_below(header)
    for one in (header, *(registry.declared() if header.refines is not None else ())):
        for f in one.fields:
            if f.kind.wire == "items" and (one is header or not one.is_own):
                _check_order(one, f, outer_leaves([f.until]), f"until= of {f.name}", 1)
                _check_orders(one, f, f.kind.item, 1, frozenset())


def _check_orders(header: Declaration, held: Field, item: Declaration, level: int, seen: frozenset[Declaration]) -> None:
    if level > 8 or item in seen:
        return
    _check_order(header, held, outer_leaves([*_at_once(item), item.when]), item.name, level)
    for f in item.fields:
        if f.kind.wire == "items":
            _check_order(header, held, outer_leaves([f.until]), item.name, level + 1)
            _check_orders(header, held, f.kind.item, level + 1, seen | {item})
    if item.view is not None:
        _check_orders(header, held, item.view[1], level + 1, seen | {item})
    for one in refinements(item):
        _check_orders(header, held, one, level, seen | {item})


def _at_once(item: Declaration) -> list[Expr | None]:
    """Return the rules of a header that are worked out while it is read: of presence, of sizes, and computed values."""
    plan = item.plan
    return [*(rule for f in item.fields for rule in (f.condition, f.computed, f.kind.wide, f.place)), *plan.sizes.values(), *plan.counts.values(), item.payload_size]


def _check_order(header: Declaration, held: Field, leaves: tuple[Elsewhere, ...], by: str, level: int) -> None:
    """Refuse values of a header that stand after the field whose headers ask for them, `level` levels further in."""
    order = [f.name for f in header.fields]
    for leaf in leaves:
        around = leaf.out == level if leaf.out else leaf.path in (header.name, *(base.name for base in header.bases))
        if around and leaf.name in order[order.index(held.name) :] and not is_ahead(header, held, leaf.name):
            where, hint = f"{header.name}.{held.name}, for {leaf} of {by}", f"{leaf.name} before {held.name} in the class body"
            raise DeclareError(where, "presence and size to follow from fields before it", leaf.name, hint)


def check_elsewhere(header: Declaration, seen: frozenset[Declaration] = frozenset()) -> None:
    """Refuse values of headers, and places in such, that nobody has declared, at first use; of the headers in its fields too."""
    for where, name in _origins(header):
        _check_origin(header, where, name, at_first_use=True)
    for f in header.fields:
        item = f.kind.item if f.kind.has_headers else None
        if item is not None and not item.is_own and item not in seen:
            check_elsewhere(item, seen | {header, item})
        if f.kind.transforms and item is not None:
            _check_places(f"{header.name}.{f.name}", item)
    check_layouts(header)
    _check_in_lists(header)
    ends = [(leaf, False, True) for leaf in outer_leaves(f.until for f in header.fields)]
    for leaf, in_key, number in (*_named(header), *ends):
        if leaf.path.isidentifier():
            hook("declare_all")()
            found = registry.header_named(leaf.path)
            if found is None or found.name != leaf.path:
                names = [one.name for one in registry.declared()]
                raise DeclareError(header.name, f"a header class that is declared, in {leaf}", leaf.path, suggestion(leaf.path, names))
            _check_field(found, leaf, f"{header.name}, {leaf}", number)
        if in_key:
            _check_around(header, leaf)


def _check_places(where: str, item: Declaration) -> None:
    """Refuse what counts places from a header that is not inside a field through a transform, where bytes begin anew."""
    held = [item]
    for one in held:
        more = [f.kind.item for f in one.fields if f.kind.has_headers]
        for refined in (one, *refinements(one)):
            more += [refined] if refined.view is None else [refined, refined.view[1]]
        held += [other for other in dict.fromkeys(more) if other not in held]
    inside = {"self", "packet", *(said.name for one in held for said in (one, *one.bases))}
    for one in held:
        named = [f.kind.counted_from for f in one.fields if f.kind.counted_from]
        for name in (*named, *(leaf.name for leaf in one.outer_leaves if isinstance(leaf, OwnPlace))):
            if name not in inside:
                expected = "places counted from a header inside, where the bytes that a transform gives begin anew"
                raise DeclareError(where, expected, f"since={name!r} of {one.name}", "since='self', or the class of a header inside")


def _check_below(header: Declaration) -> None:
    """Refuse rules of values that headers below do not have, of those that are known for good: what the class stands under, and packetlab's own."""
    leaves = [one for one in header.outer_leaves if not isinstance(one, Recalled) and one.path.isidentifier()]
    below = [lower for lower, _, _ in registry.bindings_of(header)] if leaves else []
    for one in below:
        below += [lower for lower, _, _ in registry.bindings_of(one) if lower not in below]
    for leaf in leaves:
        named = [one for one in below if leaf.path in (one.name, *(base.name for base in one.bases))]
        if not named:
            named = [one for one in (registry.header_named(leaf.path),) if one is not None and one.is_own and one.name == leaf.path]
        texts = [one for one in named if leaf.name in one.by_name and isinstance(leaf, OuterSays)]
        for one in texts if any(leaf.name in one.by_name for one in named) else named[:1]:
            _check_field(one, leaf, f"{header.name}, {leaf}", True)
    for leaf in (one for one in header.outer_leaves if isinstance(one, OuterSays) and one.out == 1):
        for lower in {lower: True for lower, _, _ in registry.bindings_of(header) if leaf.name in lower.by_name}:
            _check_field(lower, leaf, f"{header.name}, {leaf}", True)


def _with_inside(header: Declaration) -> list[Field]:
    """Return the fields of a header, and of what stands inside one of them."""
    return [*header.fields, *(() if header.view is None else _with_inside(header.view[1]))]


def _check_in_lists(header: Declaration) -> None:
    """Refuse names of what no item of a list has, of those that are declared."""
    for rule in (*rules_of(header.fields), header.payload_size):
        for leaf in rule.leaves() if rule is not None and not isinstance(rule, Checksum | Next) else ():
            if not isinstance(leaf, CountInside | FirstOf):
                continue
            kind = header.by_name[leaf.name].kind
            items = [kind.item]
            for one in items:
                items += [other for other in refinements(one) if other not in items]
            if isinstance(leaf, FirstOf):
                items = [one for one in items if leaf.item in [said.name.lower() for said in (one, *one.bases)]]
                if not items:
                    known = [one.name.lower() for one in (kind.item, *refinements(kind.item))]
                    raise DeclareError(header.name, f"a class of items of {leaf.name}, in {leaf}", leaf.item, suggestion(leaf.item, known))
            fields = [f for one in items for f in _with_inside(one)]
            some = [f for f in fields if isinstance(leaf, FirstOf) or f.kind.element is not None or f.kind.transforms or (f.kind.has_headers and not f.kind.one)]
            if leaf.part not in [f.name for f in some]:
                expected = f"a field of {items[0].name}" if isinstance(leaf, FirstOf) else f"a list of what {leaf.name} holds"
                raise DeclareError(header.name, f"{expected}, in {leaf}", leaf.part, suggestion(leaf.part, {f.name for f in some}))


def _check_field(header: Declaration, leaf: Elsewhere, where: str, number: bool) -> None:
    f = field_of(header, leaf.name, where)
    if isinstance(leaf, OuterSays):
        leaf.settled(f.kind, where)
        return
    if isinstance(leaf, OuterBytes):
        if isinstance(f.rule, Checksum) or f.kind.wire in ("items", "payload") or (isinstance(f.kind, Computed) and f.kind.like is None):
            hint = "a computed field has the width of its annotation: key: U32 = computed(...)"
            raise DeclareError(where, "field(...) of a number or bytes", f"{header.name}.{leaf.name}, {described(f.kind)}", hint)
        return
    if number and not f.kind.is_number:
        raise DeclareError(where, "field(...) of a number field", f"{header.name}.{leaf.name}, {described(f.kind)}")
    if number and not ANYWHERE[0] <= f.kind.low <= f.kind.high <= ANYWHERE[1]:
        raise DeclareError(where, "a number of up to 64 bits", f"{header.name}.{leaf.name}, {f.kind.in_words()}")


def _check_around(header: Declaration, leaf: Elsewhere) -> None:
    """Refuse a part of a key that names what never stands around a header, as far as all ways down from it are known."""
    ways, near, far = _ways(), {header}, set[Declaration]()
    for _ in range(leaf.out or len(ways)):
        below = [{lower for lower, above in ways.items() if not above.isdisjoint((one, *one.bases))} for one in near]
        if not all(some or one.is_own for some, one in zip(below, near, strict=True)):
            return  # it may be read below= anything
        near = set().union(*below) - (set() if leaf.out else far)
        far |= near
    there = near if leaf.out else {one for one in far if leaf.path in (one.name, *(base.name for base in one.bases))}
    if not any(leaf.name in one.by_name for one in there):
        names = sorted({one.name for one in (near if leaf.out else far)})
        got = f"{leaf}, of none of {', '.join(names[:6])}{', ...' * (len(names) > 6)}"
        raise DeclareError(header.name, "a key of fields of the header, and of those that it stands above or in", got)


def _ways() -> dict[Declaration, set[Declaration]]:
    """Return what may stand right above each header, or in it."""
    found = {}
    for lower in registry.declared():
        above = {upper for _, _, upper in registry.conditions(lower)}
        for f in lower.fields:
            above |= {*registry.space(f.rule.space).headers.values()} if isinstance(f.rule, Next) else set()
            above |= {f.kind.item} if f.kind.has_headers and f.kind.item is not None else set()
        found[lower] = above if lower.view is None else above | {lower.view[1]}
    return found
