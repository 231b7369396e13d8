"""Items whose bytes lie in another field of what holds them: handed out when that is read, and laid there when it is written.

``class Entry(Header): offset: U32 = auto(offset_of("blob", since="Load")); size: U32 = auto(size_of("blob")); blob: Bytes = at(field("offset"),
sized(field("size"), b""), since="Load", within="blobs")``: each item ends before its blob, and is read and written without it. The
header that holds the list gives each its bytes of `blobs` once that is read; where `blobs` is not given, it is made of the items'.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from packetlab.codec.around.outer import Within, remember, remembered
from packetlab.codec.around.presence import is_derived
from packetlab.codec.faults import Dissection, InnerFault
from packetlab.codec.objects import AnyHeader, classes, restored
from packetlab.codec.places.inner import HeldValues
from packetlab.codec.places.item_values import ItemValues, values_of
from packetlab.codec.refinement.reading import deeper, views_of
from packetlab.codec.refinement.views import read_whole
from packetlab.declare.fields import Field, Filled
from packetlab.declare.places.heaps import Heap, Lain, heap_field
from packetlab.declare.plan import needs
from packetlab.declare.refinement.heaps import heap_of
from packetlab.errors import BuildError
from packetlab.hooks import hook

if TYPE_CHECKING:
    from collections.abc import Callable

    from packetlab.declare.declaration import Declaration
    from packetlab.declare.kinds import Raw

FURTHEST = 1 << 24  # bytes that the field grows by, up to an offset, at the most; and bytes that items may have in common, all together
TRIES = 8


# Reading -------------------------------------------------------------------------------------------------------


def handed_out(items: Raw, blobs: Raw, begin: int) -> Raw:
    """Return the items of a list with their bytes of a field that begins so many bytes after the header; None where the careful reader has to look."""
    found, room = [], _room(blobs)
    for item in items or ():
        if type(item) is bytes:
            return None
        f = heap_field(item._fields)
        if f is None:
            found.append(item)
            continue
        at, size = placed(item, f)
        if size and (at < begin or at + size > begin + len(blobs)):
            return None
        room -= size
        if room < 0 or size < 0:
            return None
        made = _refined(item, f, blobs[at - begin : at - begin + size] if size else b"", at if size else 0, begin)
        if made is None:
            return None
        found.append(made)
    return Filled.of(found, items.fill) if type(items) is Filled else items if items is None else tuple(found)


def _room(blobs: Raw) -> int:
    return len(blobs or b"") + FURTHEST


def placed(item: AnyHeader, f: Field) -> tuple[int, int]:
    """Return where the bytes of an item lie, from the beginning of what holds it, and how many there are, as its numbers say."""
    scope = ItemValues(item, b"", 0)
    return f.heap.place.evaluate(scope), f.heap.size.evaluate(scope)


def _stood(item: AnyHeader, at: int, begin: int) -> None:
    """Have an item remember where its bytes lie, and where what they lie in begins."""
    leaves = item._declaration.outer_leaves
    outer = zip(leaves, remembered(item, leaves), strict=True)
    remember(item, tuple(at if isinstance(leaf, Lain) else begin if isinstance(leaf, Heap) else known for leaf, known in outer))


def _view(item: AnyHeader, f: Field) -> Declaration | None:
    own = item._declaration
    views = [own] if own.view is not None else views_of(own)
    scope = ItemValues(item, b"", 0)
    return next((one for one in views if one.view is not None and one.view[0] == f.name and (one is own or (one.when is not None and one.when.evaluate(scope)))), None)


def _refined(item: AnyHeader, f: Field, data: bytes, at: int, begin: int) -> AnyHeader | None:
    """Return an item with its bytes; as what takes them apart where one does, None where it does not."""
    setattr(item, f.slot, data)
    _stood(item, at, begin)
    one = _view(item, f)
    if one is None or one.view is None:
        return item
    inner = read_whole(one.view[1], data, item, quick=True)
    return None if inner is None else _as_view(item, deeper([one]).get(inner._declaration, one), inner)


def _as_view(item: AnyHeader, one: Declaration, inner: AnyHeader) -> AnyHeader:
    cls: Any = classes[one]
    return restored(cls, item._state, tuple(getattr(item, g.slot) for g in item._fields), getattr(item, "__outer__", None), inner)  # type: ignore[no-any-return]


def handed_carefully(header: Declaration, f: Field, items: Raw, blobs: Raw, places: tuple[int, int], ctx: Dissection, part: bool, refine: Callable[..., tuple[Declaration, AnyHeader | None]]) -> Raw:
    """The same by the careful reader: what of each lies there, with faults. `places`: where in the data the header and the field begin; `part`: whether what is missing is rightly elsewhere; `refine`: see `careful.refine`."""
    start, begin = places[0], places[1] - places[0]
    found, room = [], _room(blobs)
    for place, item in enumerate(items or ()):
        g = None if type(item) is bytes else heap_field(item._fields)
        if g is None:
            found.append(item)
            continue
        at, size = placed(item, g)
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
        _stood(item, at if size and fits else 0, begin)
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
    """The bytes of one item: where they lie (None: where there is room), and whether they may lie elsewhere."""

    def __init__(self, item: AnyHeader, f: Field, name: str) -> None:
        self.item, self.f, self.name = item, f, name
        raw = getattr(item, f.slot)
        self.data: bytes = raw if isinstance(raw, bytes) else b""
        count, state = len(item._fields), item._state
        self.numbers = [item._by_name[one] for one in sorted(needs(f.heap.place))]
        following = [one for one in self.numbers if is_derived(one)]
        leaves = item._declaration.outer_leaves
        outer = dict(zip([type(leaf) for leaf in leaves], remembered(item, leaves), strict=True))
        self.begin = outer.get(Heap, 0)  # 0 for one that was never read
        self.stood = (outer.get(Lain, 0) or None) if self.begin else None
        self.free = [one for one in following if not state & one.bit]
        self.captured = bool(following) and all(state >> count & one.bit for one in following if one not in self.free)
        whole = getattr(item, f.slot) is not None and not self.free
        self.at: int | None = f.heap.place.evaluate(ItemValues(item, b"", 0)) if whole else None
        self.wrong = state >> count & f.bit and self.at is not None and self.stood is None  # captured with a fault: it stays as it is
        self.moves = bool(self.free) or (self.captured and self.stood is not None and self.at == self.stood)
        self.at = self.stood if self.at is None else self.at

    def anywhere(self) -> AnyHeader:
        """Return the item with any numbers that say where its bytes lie: it is as long with these."""
        made: AnyHeader = type(self.item)._copied(self.item)
        for one in self.free:
            made._state |= one.bit
            setattr(made, one.slot, one.kind.zero)
        if hasattr(self.item, "__viewed__"):
            made.__viewed__ = self.item.__viewed__  # type: ignore[attr-defined]
        return made

    def lies(self, at: int, begin: int, blobs: bytes) -> AnyHeader:
        """Return the item where its bytes lie there."""
        made: AnyHeader = type(self.item)._copied(self.item)
        if at != self.at or self.free:
            for one in self.numbers if self.moves else ():
                if is_derived(one):
                    made._state &= ~(one.bit | one.bit << len(made._fields))
                    setattr(made, one.slot, None)
        if hasattr(self.item, "__viewed__"):
            made.__viewed__ = self.item.__viewed__  # type: ignore[attr-defined]
        if self.wrong:  # it has what lies there
            size = max(0, self.f.heap.size.evaluate(ItemValues(made, b"", 0)))
            setattr(made, self.f.slot, blobs[max(0, at - begin) : max(0, at + size - begin)])
        _stood(made, 0 if self.wrong else at, begin if self.begin else 0)
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
        _Entry(item, g, f"{f.name}{'' if f.kind.one else f'[{place}]'}.{g.name}")
        for f, raw in raws.items() if isinstance(raw, tuple)
        for place, item in enumerate(raw) if type(item) is not bytes and (g := heap_field(item._fields)) is not None
    ]  # fmt: skip
    bit = held.within.bit
    given, captured = bool(header._state & bit), bool(header._state >> len(header._fields) & bit)
    base: bytes | None = (getattr(header, held.within.slot) or b"") if given else None
    if header._state >= header._declaration.captured_state or (given and not entries):
        return header
    made, begin = _with(header, raws, [one.anywhere() for one in entries]), -1
    for _ in range(TRIES):
        now = _begins(made, held.within, stack, i)
        if now == begin:
            return made
        begin = now
        places, data = _places(header, held.within, entries, begin, base, captured)
        made = _with(header, raws, [one.lies(at, begin, data) for one, at in zip(entries, places, strict=True)])
        setattr(made, held.within.slot, data)
    name = type(header).__name__
    raise BuildError(f"{name}.{held.within.name}", "fields before it whose sizes do not go by where items lie", "ones that never come to rest")


def _with(header: AnyHeader, raws: dict[Field, Raw], items: list[AnyHeader]) -> AnyHeader:
    """Return a header with other items in place of those that have bytes elsewhere."""
    made: AnyHeader = type(header)._copied(header)
    others = iter(items)
    for f, raw in raws.items():
        if isinstance(raw, tuple):
            new = [item if type(item) is bytes or heap_field(item._fields) is None else next(others) for item in raw]
            setattr(made, f.slot, Filled.of(new, raw.fill) if type(raw) is Filled else tuple(new))
    return made


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
        made = _laid_out(entries, [None if one.free and one.stood is None else one.at for one in entries], begin, b"", where, base)
        return made[0], base
    same = all(one.begin == begin for one in entries if one.stood is not None)
    if base is not None and same and (kept := _fitted(entries, begin, base)) is not None:
        return kept
    stay = [one.at if not one.moves or (same and base is None) else None for one in entries]
    if any(at is not None for one, at in zip(entries, stay, strict=True) if one.moves):
        try:
            return _laid_out(entries, stay, begin, b"", where)
        except BuildError:
            stay = [None if one.moves else at for one, at in zip(entries, stay, strict=True)]
    return _laid_out(entries, stay, begin, b"", where)


def _fitted(entries: list[_Entry], begin: int, base: bytes) -> tuple[list[int], bytes] | None:
    """Return a captured field with the bytes of items that are others now in their places; None where one has no room there."""
    image, spans = bytearray(base), [(one.at, one.at + len(one.data)) for one in entries if one.at is not None and one.data and not one.wrong]
    for one in entries:
        size = len(one.data)
        if not size or one.wrong or (one.at is not None and one.at >= begin and base[one.at - begin : one.at - begin + size] == one.data):
            continue
        if one.at is None or one.at < begin or one.at + size > begin + len(base):
            return None
        if sum(at < one.at + size and one.at < end for at, end in spans) > 1:
            return None
        image[one.at - begin : one.at - begin + size] = one.data
    return [one.at or 0 for one in entries], bytes(image)


def _laid_out(entries: list[_Entry], places: list[int | None], begin: int, image: bytes, where: str, base: bytes | None = None) -> tuple[list[int], bytes]:
    """Lay bytes where they are to lie, and the others where there is room; `base` is what there is to be. BuildError where that cannot be."""
    found, made, owners = list[int](), bytearray(base if base is not None else image), list[tuple[int, int, _Entry]]()
    for one, at in zip(entries, places, strict=True):
        if at is None or not one.data or one.wrong:
            continue
        end = at + len(one.data)
        if base is not None and (at < begin or base[at - begin : end - begin] != one.data):
            raise BuildError(where, f"bytes that {one.name} has too, where its offset says that it lies ({at})", "others", f"give one of them: {where.partition('.')[2]} follows from the items")
        if at < begin or end - begin > len(made) + FURTHEST:
            hint = "" if at >= begin else f"without {one.f.name}, offset and size are any numbers that are given"
            raise BuildError(f"{where}, {one.name}", f"an offset from {begin} on, at most {FURTHEST} bytes after the others", at, hint)
        made.extend(bytes(max(0, end - begin - len(made))))
        for first, last, other in owners:
            low, high = max(first, at), min(last, end)
            if low < high and other.data[low - first : high - first] != one.data[low - at : high - at]:
                raise BuildError(f"{where}, {one.name}", f"bytes at {low} that {other.name} has there too", "others")
        owners.append((at, end, one))
        made[at - begin : end - begin] = one.data
    taken, cursor = sorted((first, last) for first, last, _ in owners), begin
    for one, at in zip(entries, places, strict=True):
        size, align = len(one.data), one.f.heap.align
        if at is not None or not size:
            found.append(at or (-(-cursor // align) * align if not size else 0))
            continue
        cursor = -(-cursor // align) * align
        while taken and taken[0][0] < cursor + size:
            cursor = max(cursor, -(-taken.pop(0)[1] // align) * align)
        if base is not None and base[cursor - begin : cursor - begin + size] != one.data:
            raise BuildError(where, f"bytes that {one.name} has too, which comes to lie at {cursor}", "others", f"give one of them, or its offset: {where.partition('.')[2]} follows from the items")
        made.extend(bytes(max(0, cursor - begin + size - len(made))))
        made[cursor - begin : cursor - begin + size] = one.data
        found.append(cursor)
        cursor += size
    return found, bytes(made)
