"""Items whose bytes lie in another field of what holds them: handed out when that is read, and laid there when it is written.

``class Entry(Header): offset: U32 = auto(offset_of("blob", since="Load")); size: U32 = auto(size_of("blob")); blob: Bytes = at(field("offset"),
sized(field("size"), b""), since="Load", within="blobs")``: each item ends before its blob, and is read and written without it. The
header that holds the list gives each its bytes of `blobs` once that is read; where `blobs` is not given, it is made of the items'.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import deque
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple

from packetlab.codec.around.outer import Within, remember, remembered
from packetlab.codec.around.presence import is_derived
from packetlab.codec.faults import Dissection, InnerFault
from packetlab.codec.objects import AnyHeader, classes, restored
from packetlab.codec.places.inner import HeldValues
from packetlab.codec.places.item_values import ItemValues, values_of
from packetlab.codec.refinement.reading import deeper, views_of
from packetlab.codec.refinement.standing import Stood, goes_by_around, names_around, standing
from packetlab.codec.refinement.views import read_whole
from packetlab.declare import registry
from packetlab.declare.expressions import Ref
from packetlab.declare.fields import Field, Filled
from packetlab.declare.places.heaps import Begun, Heap, Lain, goes_by_size, heap_field
from packetlab.declare.plan import needs
from packetlab.declare.refinement.heaps import Heaped, heap_of
from packetlab.errors import BuildError
from packetlab.hooks import hook

if TYPE_CHECKING:
    from collections.abc import Callable

    from packetlab.declare.declaration import Declaration
    from packetlab.declare.kinds import Raw

FURTHEST = 1 << 24  # bytes that the field grows by, up to an offset, at the most; and bytes that items may have in common, all together
TRIES = 8
DEEPEST = 5  # headers in each other whose items have bytes that go by what is around: each level takes four to six times as long


class Shape(NamedTuple):
    """What there is to know of items of a class whose bytes lie elsewhere.

    Attributes:
        field: the one with the bytes. quick: the slots of the numbers that are their place and their size, where each is one and nothing else is said. numbers: the fields that say the place; following: those that follow
            from it. views: what may take the bytes apart. leaves: of each outer value whether it is where the bytes lie, or where what they lie in begins. bits: of all fields but that one, None where it varies.
    """

    field: Field
    quick: tuple[str, str] | None
    numbers: list[Field]
    following: list[Field]
    views: list[Declaration]
    leaves: tuple[type | None, ...]
    bits: int | None


_shapes: dict[Declaration, Shape | None] = {}
registry.caches.append(_shapes)


def shape_of(declaration: Declaration) -> Shape | None:
    """Return what there is to know of items declared so, None for those without such bytes."""
    if declaration not in _shapes:
        f = heap_field(declaration.fields)
        if f is None:
            _shapes[declaration] = None
            return None
        rules = [declaration.by_name[rule.name].slot if type(rule) is Ref else "" for rule in (f.heap.place, f.heap.size)]
        numbers = [declaration.by_name[one] for one in sorted(needs(f.heap.place))]
        views = [declaration] if declaration.view is not None else views_of(declaration)
        leaves = tuple(type(leaf) if isinstance(leaf, Lain | Heap) else None for leaf in declaration.outer_leaves)
        fixed = all(g is f or (g.kind.bits is not None and g.condition is None) for g in declaration.fields)
        _shapes[declaration] = Shape(
            f, (rules[0], rules[1]) if all(rules) and not f.heap.apart and f.heap.fill == b"\0" else None, numbers, [one for one in numbers if is_derived(one) and not goes_by_size(one)],
            [one for one in views if one.view is not None and one.view[0] == f.name], leaves, sum(g.kind.fixed_bits for g in declaration.fields) if fixed else None,
        )  # fmt: skip
    return _shapes[declaration]


# Reading -------------------------------------------------------------------------------------------------------


def handed_out(items: Raw, blobs: Raw, begin: int) -> Raw:
    """Return the items of a list with their bytes of a field that begins so many bytes after the header; None where the careful reader has to look."""
    found, room, end = [], len(blobs) + FURTHEST, begin + len(blobs)
    for item in items or ():
        if type(item) is bytes:
            return None
        shape = shape_of(item._declaration)
        if shape is None:
            found.append(item)
            continue
        at, size = (getattr(item, shape.quick[0]), getattr(item, shape.quick[1])) if shape.quick is not None else placed(item, shape.field, begin)
        room -= size
        if room < 0 or size < 0 or (size and not begin <= at <= end - size):
            return None
        data = blobs[at - begin : at - begin + size] if size else b""
        setattr(item, shape.field.slot, data)
        _stood(item, shape, at, begin, begin)
        one = _view(item, shape) if shape.views else None
        if one is not None and one.view is not None:
            inner = read_whole(one.view[1], data, item, quick=True)
            if inner is None:
                return None
            item = _as_view(item, deeper([one]).get(inner._declaration, one), inner)
        found.append(item)
    return Filled.of(found, items.fill) if type(items) is Filled else items if items is None else tuple(found)


def placed(item: AnyHeader, f: Field, begin: int | None = None) -> tuple[int, int]:
    """Return where the bytes of an item lie in what holds it, and how many there are, as its numbers say. `begin`: where the field that has them begins, None for where it did when the item was read."""
    scope = ItemValues(item, b"", 0)
    if begin is None:
        begin = abs(scope.values[str(f.heap)])
        scope.values.update({g.name: g.rule.evaluate(scope) for g in item._fields if g.rule is not None and scope.values[g.name] is None and goes_by_size(g)})
    return f.heap.place.evaluate(scope) + begin * f.heap.apart, f.heap.size.evaluate(scope)


def _stood(item: AnyHeader, shape: Shape, at: int, begin: int, first: int) -> None:
    """Have an item remember where its bytes lie, and where what they lie in began when it was read: less than 0 where they were not all there; `first`: where it begins now."""
    known = shape.leaves if None not in shape.leaves else [*zip(shape.leaves, remembered(item, item._declaration.outer_leaves), strict=True)]
    first = first if at else 0
    remember(item, tuple([at if one is Lain else begin if one is Heap else first if one is Begun else one[1] if one[0] is None else at if one[0] is Lain else begin if one[0] is Heap else first for one in known]))  # type: ignore[index]


def _view(item: AnyHeader, shape: Shape) -> Declaration | None:
    scope = ItemValues(item, b"", 0)
    return next((one for one in shape.views if one is item._declaration or (one.when is not None and one.when.evaluate(scope))), None)


def _as_view(item: AnyHeader, one: Declaration, inner: AnyHeader) -> AnyHeader:
    cls: Any = classes[one]
    return restored(cls, item._state, tuple(getattr(item, g.slot) for g in item._fields), getattr(item, "__outer__", None), inner)  # type: ignore[no-any-return]


def handed_carefully(header: Declaration, f: Field, items: Raw, blobs: Raw, places: tuple[int, int], ctx: Dissection, part: bool, refine: Callable[..., tuple[Declaration, AnyHeader | None]]) -> Raw:
    """The same by the careful reader: what of each lies there, with faults. `places`: where in the data the header and the field begin; `part`: whether what is missing is rightly elsewhere; `refine`: see `careful.refine`."""
    start, begin = places[0], places[1] - places[0]
    found, room = [], len(blobs) + FURTHEST
    for place, item in enumerate(items or ()):
        shape = None if type(item) is bytes else shape_of(item._declaration)
        if shape is None:
            found.append(item)
            continue
        g = shape.field
        at, size = placed(item, g, begin)
        name, end = f"{f.name}{'' if f.kind.one else f'[{place}]'}.{g.name}", begin + len(blobs)
        data = blobs[max(0, at - begin) : max(0, at + size - begin)] if size > 0 else b""
        room -= len(data)
        fits, much = size >= 0 and (not size or begin <= at <= at + size <= end) and room >= 0, room < 0
        expected, got = f"{name} within {g.heap.within}, bytes {begin} to {end} of {header.name}", f"bytes {at} to {at + size}"
        if much:
            expected, got = f"{name} to have no more than {FURTHEST} bytes in common with others", f"{size} more"
            data, room = b"", room + len(data)
        if not fits and not (part and at >= begin and not much):
            ctx.faults.append(InnerFault(header.name, f.name, start + min(max(at, 0), end), expected, got))
        setattr(item, g.slot, data)
        _stood(item, shape, at if fits else 0, begin if fits else -begin, begin)
        found.append(_carefully_refined(item, g, name, header, f, start + (max(at, begin) if size else begin), ctx, refine) if fits else item)
    return Filled.of(found, items.fill) if type(items) is Filled else items if items is None else tuple(found)


def _carefully_refined(item: AnyHeader, g: Field, name: str, header: Declaration, f: Field, at: int, ctx: Dissection, refine: Callable[..., tuple[Declaration, AnyHeader | None]]) -> AnyHeader:
    seen, raw = Dissection(), getattr(item, g.slot)
    seen.layers = ctx.layers
    cls, inner = refine(item._declaration, HeldValues(values_of(item), raw, len(raw)), {g.name: 0}, seen)
    ctx.faults += [InnerFault(header.name, f.name, at + fault.offset, f"{fault.expected} in {name}", fault.got) for fault in seen.faults]
    return item if inner is None else _as_view(item, cls, inner)


# Writing -------------------------------------------------------------------------------------------------------

_laying: ContextVar[tuple[AnyHeader, ...]] = ContextVar("_laying", default=())


class _Entry:
    """The bytes of one item: where they lie (`at`; None: where there is room), and whether they may lie elsewhere."""

    def __init__(self, item: AnyHeader, shape: Shape, holder: Field, place: int) -> None:
        self.item, self.shape, self.f, self.holder, self.place = item, shape, shape.field, holder, place
        raw, state, count = getattr(item, shape.field.slot), item._state, len(item._fields)
        self.data: bytes = raw if isinstance(raw, bytes) else b""
        outer = dict(zip(shape.leaves, remembered(item, item._declaration.outer_leaves), strict=True))
        self.begin = abs(outer.get(Heap, 0))  # 0 for one that was never read
        self.stood = (outer.get(Lain, 0) or None) if self.begin else None
        self.free = [one for one in shape.following if not state & one.bit]
        self.at: int | None = self.stood if self.free or raw is None else placed(item, shape.field)[0]
        self.wrong = outer.get(Heap, 0) < 0 and bool(state >> count & shape.field.bit)  # captured with a fault: it stays as it is
        captured = bool(shape.following) and all(state >> count & one.bit for one in shape.following if one not in self.free)
        if captured and self.data and self.begin and self.stood is None and not self.wrong:
            self.at = None  # it was read without bytes, or with a fault, and is given some
        self.moves = not self.wrong and (bool(self.free) or (captured and self.at == self.stood and (self.stood is not None or bool(self.data))))
        self.origin = self.begin
        inner = getattr(item, "__viewed__", None) if goes_by_around(item._declaration) and not state >> count & shape.field.bit else None
        self.inner: AnyHeader | None = inner if inner is not None and not names_around(inner._declaration).isdisjoint(one.name for one in self.free) else None

    def again(self, lain: AnyHeader, header: AnyHeader, stack: tuple[AnyHeader, ...], i: int) -> bool:
        """Have what is inside the bytes go by where they lie now; return whether they are others then."""
        if self.inner is None:
            return False
        made: AnyHeader = type(lain)._copied(lain)
        remember(made, tuple(remembered(lain, lain._declaration.outer_leaves)))
        made.__viewed__ = self.inner  # type: ignore[attr-defined]
        before, self.data = self.data, getattr(_standing(made, None, header, stack, i), self.f.slot)
        setattr(self.item, self.f.slot, self.data)
        return self.data != before

    def begins(self, begin: int) -> None:
        """Have it lie as far from where the bytes begin as before, where its place counts from there."""
        if self.f.heap.apart:
            moved, self.origin = begin - self.origin, begin
            self.at = None if self.at is None else self.at + moved
            self.stood = None if self.stood is None else self.stood + moved

    def fitting(self, at: int, begin: int) -> int:
        """Return the first place from `at` on that is a multiple, as it counts."""
        return int(at + (begin * self.f.heap.apart - at) % self.f.heap.align)

    @property
    def name(self) -> str:
        return f"{self.holder.name}{'' if self.holder.kind.one else f'[{self.place}]'}.{self.f.name}"

    def anywhere(self) -> AnyHeader:
        """Return the item with any numbers that say where its bytes lie: it is as long with these."""
        made: AnyHeader = type(self.item)._copied(self.item)
        for one in self.free:
            made._state |= one.bit
            setattr(made, one.slot, 1 if self.data else one.kind.zero)  # a 0 may say that a list ends
        if hasattr(self.item, "__viewed__") and not goes_by_around(made._declaration):  # else it is written: once, not at each level anew
            made.__viewed__ = self.item.__viewed__  # type: ignore[attr-defined]
        return made

    def lies(self, at: int, begin: int, blobs: bytes) -> AnyHeader:
        """Return the item where its bytes lie there."""
        made: AnyHeader = type(self.item)._copied(self.item)
        if at != self.at or self.free:
            for one in [one for one in self.shape.following if not made._state & one.bit or made._state >> len(made._fields) & one.bit] if self.moves else ():
                made._state &= ~(one.bit | one.bit << len(made._fields))
                setattr(made, one.slot, None)
        if hasattr(self.item, "__viewed__"):
            made.__viewed__ = self.item.__viewed__  # type: ignore[attr-defined]
        if self.wrong:  # it has what lies there
            size = max(0, self.f.heap.size.evaluate(ItemValues(made, b"", 0)))
            setattr(made, self.f.slot, blobs[max(0, at - begin) : max(0, at + size - begin)])
        _stood(made, self.shape, 0 if self.wrong else at, begin if self.begin and not self.wrong else -begin * self.wrong, begin)
        if goes_by_around(made._declaration):
            remember(made, Stood(remembered(made, made._declaration.outer_leaves)))
        return made


def heaped(header: AnyHeader, stack: tuple[AnyHeader, ...], i: int) -> AnyHeader:
    """Return header `i` of a stack with the bytes of its items laid in the field in which they lie, where that does not have them yet.

    BuildError where that field is given and has others than the items.
    """
    held = heap_of(header._declaration)
    if held is None or header._is_partial or any(one is header for one in _laying.get()):
        return header
    raws = {f: getattr(header, f.slot) for f in held.lists}
    entries = [
        _Entry(_standing(item, raw[place - 1] if place else None, header, stack, i), shape, f, place)
        for f, raw in raws.items() if isinstance(raw, tuple)
        for place, item in enumerate(raw) if type(item) is not bytes and (shape := shape_of(item._declaration)) is not None
    ]  # fmt: skip
    bit = held.within.bit
    given, captured = bool(header._state & bit), bool(header._state >> len(header._fields) & bit)
    base: bytes | None = (getattr(header, held.within.slot) or b"") if given else None
    if header._state >= header._declaration.captured_state or (given and not entries):
        return header
    sure = _surely_begins(header, held, raws)
    made, begin = _with(header, raws, [one.anywhere() for one in entries]) if sure is None else header, -1
    if sure is None and base is None:
        setattr(made, held.within.slot, b"")
    for _ in range(TRIES):
        now = _begins(made, held.within, stack, i) if sure is None else sure
        lain = zip(entries, _laid_items(made, held), strict=True) if now == begin else ()
        if now == begin and not [one for one, item in lain if one.again(item, made, stack, i)]:
            _check_places(made, held, entries, begin)
            return made
        begin = now
        for one in entries:
            one.begins(begin)
        places, data = _places(header, held.within, entries, begin, base, captured)
        made = _with(header, raws, [one.lies(at, begin, data) for one, at in zip(entries, places, strict=True)])
        setattr(made, held.within.slot, data)
    raise BuildError(f"{type(header).__name__}.{held.within.name}", "fields before it whose sizes do not go by where items lie", "ones that never come to rest")


def _standing(item: AnyHeader, before: AnyHeader | None, header: AnyHeader, stack: tuple[AnyHeader, ...], i: int) -> AnyHeader:
    """Return an item of header `i` of a stack with the bytes that what is inside its own has there."""
    if not goes_by_around(item._declaration):
        return item
    if type(outer := getattr(item, "__outer__", None)) is Stood:  # there, or in another header
        inner, item = getattr(item, "__viewed__", None), type(item)._copied(item)
        remember(item, tuple(outer))
        if inner is not None:
            item.__viewed__ = inner  # type: ignore[attr-defined]
    below = Within((*stack[:i], header, item))
    below.holders, below.before = i + 1, before
    if len(_laying.get()) > DEEPEST:
        raise BuildError(type(header).__name__, f"no more than {DEEPEST} in each other, where rules in the bytes of items name what is around", "more")
    token = _laying.set((*_laying.get(), header))
    try:
        return standing(item, b"", below, i + 1, None)
    finally:
        _laying.reset(token)


def _laid_items(header: AnyHeader, held: Heaped) -> list[AnyHeader]:
    return [item for f in held.lists for item in getattr(header, f.slot) or () if type(item) is not bytes and shape_of(item._declaration) is not None]


def _check_places(header: AnyHeader, held: Heaped, entries: list[_Entry], begin: int) -> None:
    """BuildError where the numbers that follow from where the bytes of an item lie say another place than that."""
    for one, item in zip(entries, _laid_items(header, held), strict=True):
        if not one.data or one.wrong or one.shape.quick is not None:
            continue
        scope = ItemValues(item, b"", 0)
        free = [f for f in one.shape.numbers if f.rule is not None and not item._state & f.bit]
        scope.values.update({f.name: f.rule.evaluate(scope) for f in free if f.rule is not None})
        said, lies = one.f.heap.place.evaluate(scope) + begin * one.f.heap.apart, remembered(item, item._declaration.outer_leaves)[one.shape.leaves.index(Lain)] if Lain in one.shape.leaves else one.at
        if said != lies:
            hint = f"align= of the multiple that {', '.join(f'{f.name} = {f.rule}' for f in free)} can say, or the number that is given" if free else ""
            raise BuildError(f"{type(header).__name__}.{held.within.name}, {one.name}", f"numbers that say where it lies, at {lies}", f"ones that say {said}", hint)


def _with(header: AnyHeader, raws: dict[Field, Raw], items: list[AnyHeader]) -> AnyHeader:
    """Return a header with other items in place of those that have bytes elsewhere."""
    made: AnyHeader = type(header)._copied(header)
    others = iter(items)
    for f, raw in raws.items():
        if isinstance(raw, tuple):
            new = [item if type(item) is bytes or shape_of(item._declaration) is None else next(others) for item in raw]
            setattr(made, f.slot, Filled.of(new, raw.fill) if type(raw) is Filled else tuple(new))
    return made


def _surely_begins(header: AnyHeader, held: Heaped, raws: dict[Field, Raw]) -> int | None:
    """Return how many bytes stand before a field, where all before it are of fixed sizes; None elsewhere."""
    bits = 0
    for f in header._fields[: header._fields.index(held.within)]:
        if isinstance(raws.get(f), tuple) and not f.align and f.condition is None:
            shapes = [None if type(item) is bytes else shape_of(item._declaration) for item in raws[f]]
            if not all(shape is not None and shape.bits is not None for shape in shapes):
                return None
            bits += sum([shape.bits or 0 for shape in shapes if shape is not None])
        elif f.kind.bits is None or f.condition is not None:
            return None
        bits += f.kind.fixed_bits
    return bits // 8


def _begins(header: AnyHeader, within: Field, stack: tuple[AnyHeader, ...], i: int) -> int:
    """Return how many bytes stand before a field."""
    inner = Within((*stack[:i], header, *stack[i + 1 :]))
    inner.holders, inner.before = (stack.holders, stack.before) if isinstance(stack, Within) else (i, None)
    token = _laying.set((*_laying.get(), header))
    try:
        whole: Any = type(header)._resolve(header, b"", inner, i, None)
    finally:
        _laying.reset(token)
    before = header._declaration.before
    return int(hook("measured")(whole, before[: before.index(within)]))


def _places(header: AnyHeader, within: Field, entries: list[_Entry], begin: int, base: bytes | None, captured: bool) -> tuple[list[int], bytes]:
    """Return where the bytes of items lie, and the field that they make."""
    where = f"{type(header).__name__}.{within.name}"
    if base is not None and not captured:
        made = _laid_out(entries, [None if one.free and one.stood is None else one.at for one in entries], begin, where, base)
        return made[0], base
    same = all(one.begin == begin or one.f.heap.apart for one in entries if one.stood is not None)
    if base is not None and same and (kept := _fitted(entries, begin, base)) is not None:
        return kept
    stay = [one.at if not one.moves or (same and base is None) else None for one in entries]
    if any(at is not None for one, at in zip(entries, stay, strict=True) if one.moves):
        try:
            return _laid_out(entries, stay, begin, where)
        except BuildError:
            stay = [None if one.moves else at for one, at in zip(entries, stay, strict=True)]
    return _laid_out(entries, stay, begin, where)


def _fitted(entries: list[_Entry], begin: int, base: bytes) -> tuple[list[int], bytes] | None:
    """Return a captured field with the bytes of items that are others now in their places; None where one has no room there."""
    image, lying = bytearray(base), [one for one in entries if one.at is not None and one.data and not one.wrong]
    begun, ended = sorted(one.at or 0 for one in lying), sorted((one.at or 0) + len(one.data) for one in lying)
    for one in entries:
        size = len(one.data)
        if not size or one.wrong or (one.at is not None and one.at >= begin and base[one.at - begin : one.at - begin + size] == one.data):
            continue
        if one.at is None or one.at < begin or one.at + size > begin + len(base):
            return None
        if bisect_left(begun, one.at + size) - bisect_right(ended, one.at) > 1:  # others have some of these bytes too
            return None
        image[one.at - begin : one.at - begin + size] = one.data
    return _all_places(entries, [one.at for one in entries], begin), bytes(image)


def _all_places(entries: list[_Entry], places: list[int | None], begin: int) -> list[int]:
    """Return where all lie: one without bytes and of no known place where the one before it ends."""
    found, end = list[int](), begin
    for one, at in zip(entries, places, strict=True):
        found.append(at or one.fitting(end, begin))
        end = found[-1] + len(one.data) if one.data else end
    return found


def _laid_out(entries: list[_Entry], places: list[int | None], begin: int, where: str, base: bytes | None = None) -> tuple[list[int], bytes]:
    """Lay bytes where they are to lie, and the others where there is room; `base` is what there is to be. BuildError where that cannot be."""
    found, made, owners = list[int | None](), bytearray(base or b""), list[tuple[int, int, _Entry]]()
    laid, most = bytearray(len(made)), FURTHEST + sum(len(one.data) for one in entries)
    for one, at in zip(entries, places, strict=True):
        if at is None or not one.data or one.wrong:
            continue
        first, last = at - begin, at - begin + len(one.data)
        if base is not None and (first < 0 or base[first:last] != one.data):
            raise BuildError(where, f"bytes that {one.name} has too, where its offset says that it lies ({at})", "others", f"give one of them: {where.partition('.')[2]} follows from the items")
        if first < 0 or last > most:
            hint = "" if first >= 0 else f"without {one.f.name}, offset and size are any numbers that are given"
            raise BuildError(f"{where}, {one.name}", f"an offset from {begin} to {begin + most - len(one.data)}", at, hint)
        made.extend(one.f.heap.fill * max(0, last - len(made)))
        laid.extend(bytes(max(0, last - len(laid))))
        if 1 in laid[first:last] and (place := next((k for k in range(first, last) if laid[k] and made[k] != one.data[k - first]), None)) is not None:
            other = next(other for low, high, other in owners if low <= place < high)
            raise BuildError(f"{where}, {one.name}", f"bytes at {begin + place} that {other.name} has there too", "others")
        owners.append((first, last, one))
        made[first:last], laid[first:last] = one.data, b"\1" * len(one.data)
    taken, cursor = deque(sorted((first + begin, last + begin) for first, last, _ in owners)), begin
    for one, at in zip(entries, places, strict=True):
        size = len(one.data)
        if at is not None or not size:
            found.append(at)
            continue
        cursor = one.fitting(cursor, begin)
        while taken and taken[0][0] < cursor + size:
            cursor = max(cursor, one.fitting(taken.popleft()[1], begin))
        if base is not None and base[cursor - begin : cursor - begin + size] != one.data:
            raise BuildError(where, f"bytes that {one.name} has too, which comes to lie at {cursor}", "others", f"give one of them, or its offset: {where.partition('.')[2]} follows from the items")
        made.extend(one.f.heap.fill * max(0, cursor - begin + size - len(made)))
        made[cursor - begin : cursor - begin + size] = one.data
        found.append(cursor)
        cursor += size
    return _all_places(entries, found, begin), bytes(made)
