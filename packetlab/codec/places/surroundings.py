"""Where headers begin, while a message is read: kept in `Dissection.place` by lists whose items want to know it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from packetlab.declare import registry
from packetlab.declare.kinds import Declared
from packetlab.declare.places.origins import OwnPlace
from packetlab.declare.refinement.registered import refinements
from packetlab.hooks import hook

if TYPE_CHECKING:
    from packetlab.codec.faults import Dissection
    from packetlab.codec.objects import AnyHeader
    from packetlab.declare.declaration import Declaration
    from packetlab.declare.fields import Field

Known = dict[tuple[int, int], "bytes | tuple[str, str]"]
"""(where pointers begin to count, where one leads to) -> the name there, or what was expected and got."""


class Standing(NamedTuple):
    """Where what is read stands.

    Attributes:
        whole: all bytes there are. shift: where in them the first of the bytes at hand stands. starts: the headers that hold what is
            read, the nearest last, and where each begins. below: the layers below these. known: the names that pointers led to.
    """

    whole: bytes
    shift: int
    starts: tuple[tuple[Declaration, int], ...]
    below: Sequence[AnyHeader]
    known: Known


def around(ctx: Dissection | None, holder: Declaration, data: bytes, start: int, shift: int = 0) -> Standing:
    """Return the place of what a header holds that begins at ``data[start]``; `shift` is added to places of what is inside it."""
    place = here(ctx, data)
    return place._replace(shift=place.shift + shift, starts=(*place.starts, (holder, place.shift + start)))


def here(ctx: Dissection | None, data: bytes) -> Standing:
    """Return the place of what is read now."""
    if ctx is None:
        return Standing(data, 0, (), (), {})
    if ctx.place is None:
        ctx.place = Standing(data, 0, (), ctx.layers, {})
    found: Standing = ctx.place
    return found


def is_called(declaration: Declaration, name: str) -> bool:
    """Whether a header has a name, or a base of it has."""
    return declaration.name == name or (bool(declaration.bases) and name in [one.name for one in declaration.bases])


def begins(since: str, own: Declaration, start: int, place: Standing) -> int | None:
    """Return where in all bytes the header begins that is called `since`; None where there is none.

    `own` is the header whose rule it is, which that begins at `start` of the bytes at hand.
    """
    at = start + place.shift
    if since == "self" or is_called(own, since):
        return at
    if since == "packet":
        return 0
    for declaration, begin in reversed(place.starts):
        if is_called(declaration, since):
            return begin
        at = begin
    for header in reversed(place.below):
        at -= hook("measured")(header, header._declaration.before)
        if is_called(header._declaration, since):
            return at if at >= 0 else None
    return None


def begun(since: str, own: Declaration, data: bytes, start: int, ctx: Dissection | None) -> int:
    """Return how far after the beginning of what is called `since` a header begins that is read; 0 where there is none."""
    place = here(ctx, data)
    origin = begins(since, own, start, place)
    return 0 if origin is None else place.shift + start - origin


def counted_since(since: str, own: Declaration, data: bytes, start: int, ctx: Dissection | None) -> int | None:
    """Return the place in `data` from which all items of a list count where they begin, declared as `own`; None where each is to be looked at."""
    place = here(ctx, data)
    if since == "self" or is_called(own, since) or not place.starts:
        return None
    origin = begins(since, own, start, place)
    return None if origin is None else origin - place.shift


# Which headers hold such fields --------------------------------------------------------------------------------

_wanted: dict[Declaration, Wanted] = {}
registry.caches.append(_wanted)


class Wanted(NamedTuple):
    """What fields of a header, and of what is in it or becomes of it, go by: `names` of headers, of which `inside` has one or more."""

    names: frozenset[str]
    inside: bool


def wanted(declaration: Declaration) -> Wanted:
    """Return the names of the headers from which places are counted in a header and in what it holds."""
    found = _wanted.get(declaration)
    if found is None:
        seen, todo, names = set[Declared](), [declaration], set[str]()
        while todo:
            one = todo.pop()
            if one in seen:
                continue
            seen.add(one)
            names |= {f.kind.counted_from for f in one.fields if f.kind.counted_from}
            names |= {leaf.name for leaf in one.outer_leaves if isinstance(leaf, OwnPlace)}
            todo += [f.kind.item for f in one.fields if f.kind.wire == "items"]
            todo += [refined if refined.view is None else refined.view[1] for refined in refinements(one)]
            todo += [] if one.view is None else [one.view[1]]
        inside = bool(names & {"self", "packet"}) or any(is_called(one, name) for one in seen for name in names)
        found = _wanted[declaration] = Wanted(frozenset(names), inside)
    return found


def is_placed(declaration: Declaration) -> bool:
    """Whether a header, or what is in its fields or becomes of it, has fields that go by where something stands."""
    return bool(wanted(declaration).names)


def counting_list(declaration: Declaration) -> Field | None:
    """Return the one list of a header whose items count places from where it begins, and nothing else in it from anywhere; None in other cases.

    Places of such items follow from the sizes of those before, where nothing in these goes by anything else around.
    """
    placed = [f for f in declaration.fields if f.kind.wire == "items" and is_placed(f.kind.item)]
    if len(placed) != 1 or placed[0].kind.transforms or declaration.view is not None or any(f.kind.counted_from for f in declaration.fields):
        return None
    item: Declaration = placed[0].kind.item
    here = all(isinstance(leaf, OwnPlace) and is_called(declaration, leaf.name) and not is_called(item, leaf.name) for leaf in item.outer_leaves)
    others = refinements(declaration) or refinements(item) or any(f.kind.counted_from or f.kind.wire == "items" for f in item.fields)
    own = any(isinstance(leaf, OwnPlace) for leaf in declaration.outer_leaves)
    return placed[0] if here and not others and not own and bytes_before(placed[0]) is not None else None


def bytes_before(field: Field) -> int | None:
    """Return how many bytes stand before a field in its header, None where that is not always as many."""
    before = field.owner.before
    some = before[: before.index(field)] if field in before else ()
    fixed = field in before and all(f.kind.bits is not None and f.condition is None for f in some)
    bits = sum(f.kind.fixed_bits for f in some) if fixed else 1
    return bits // 8 if bits % 8 == 0 else None


def all_built(items: object, cls: type[AnyHeader]) -> bool:
    """Whether items are all of one class, and nothing in them was captured or is a pattern."""
    if type(items) is not tuple:
        return False
    count = len(cls._fields)
    for one in items:  # noqa: SIM110  a third of the time
        if type(one) is not cls or one._state >> count:
            return False
    return True
