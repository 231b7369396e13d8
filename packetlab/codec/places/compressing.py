"""Names of DNS in a message that is written: pointers that were captured are kept as long as they are right, others made.

A header that is encoded by itself, with all it holds, is gone through once before: from then on each name is written as it is to
stand (`Compressed`), and its size is known to whoever asks for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from packetlab.codec.around.outer import Within, remember, remembered
from packetlab.codec.around.presence import is_derived
from packetlab.codec.bodies import width
from packetlab.codec.places.held import HeldBytes
from packetlab.codec.places.names import followed
from packetlab.codec.places.surroundings import is_called, is_placed, wanted
from packetlab.codec.refinement.views import viewed
from packetlab.declare import registry
from packetlab.declare.fields import Filled
from packetlab.declare.kinds import Raw
from packetlab.declare.places.origins import OwnPlace
from packetlab.declare.values.names import FURTHEST, LABEL, Compressed, Unnamed, pointer_of

if TYPE_CHECKING:
    from packetlab.codec.objects import AnyHeader
    from packetlab.declare.declaration import Declaration
    from packetlab.declare.fields import Field

Starts = tuple[tuple["Declaration", int], ...]
Straight = list[tuple["Field | None", int, str, bool]]
TRIES = 4


def settled(header: AnyHeader, stack: tuple[AnyHeader, ...], i: int) -> AnyHeader:
    """Return header `i` of a stack with all names in it written as they are to stand; one inside others is so already."""
    if isinstance(stack, Within) or header._is_partial:
        return header
    names, inside = wanted(header._declaration)
    first = (
        0
        if "packet" in names
        else next((k for k in range(i) if any(is_called(stack[k]._declaration, n) for n in names)), i)
    )
    if first == i and not inside:
        return header  # taken out of its message: as it was there
    doubtful: set[int] | None = set()
    for last in range(TRIES):
        message = _Message(None if last == TRIES - 1 else doubtful)
        made = message.layers(header, stack, first, i)
        wrong = message.wrong(made, stack, i)
        if not wrong:
            break
        doubtful = (doubtful or set()) | wrong
    return made


class _Names:
    """The names that stand in a message: by place from its beginning, and the place of each."""

    def __init__(self) -> None:
        self.at: dict[int, bytes] = {}
        self.of: dict[bytes, int] = {}

    def add(self, name: bytes, written: bytes, place: int) -> None:
        """Note a name, and all that it ends with."""
        at = 0
        while at < len(written) and written[at]:
            self.at[place + at] = name[at:]
            if written[at] > LABEL:
                return
            if place + at <= FURTHEST:
                self.of.setdefault(name[at:], place + at)
            at += written[at] + 1

    def shortest(self, name: bytes, place: int) -> bytes:
        """Return a name with a pointer to the longest end of it that stands before."""
        at = 0
        while name[at]:
            there = self.of.get(name[at:], place)
            if there < place:
                return Compressed.of(name, name[:at] + (0xC000 | there).to_bytes(2, "big"))
            at += name[at] + 1
        return name

    def shortened(self, name: bytes, place: int) -> bytes:
        """Do both of these at once: return a name as it is to stand at `place`, and note it there."""
        of, known, at = self.of, self.at, 0
        while size := name[at]:
            here = place + at
            known[here] = rest = name[at:]
            there = of.setdefault(rest, here) if here <= FURTHEST else of.get(rest, here)
            if there < place:
                made = Compressed(name)  # as `Compressed.of`
                made.written = name[:at] + (0xC000 | there).to_bytes(2, "big")
                return made
            at += size + 1
        return name


class _Message:
    """What is gone through. Of names that are `doubtful`, by their number, no pointer is kept that leads to no name; None: of all."""

    def __init__(self, doubtful: set[int] | None) -> None:
        self.doubtful, self.count, self.start = doubtful, 0, 0  # how many names there were; where the last layer begins
        self.names: dict[int, _Names] = {}
        self.kept: list[
            tuple[int, int, int, bytes]
        ] = []  # number, where pointers count from, where one leads to, the name there

    def layers(self, header: AnyHeader, stack: tuple[AnyHeader, ...], first: int, i: int) -> AnyHeader:
        """Go through the headers of a stack up to one of them; return that."""
        outside = Within(stack)
        outside.holders = i
        starts: Starts = ()
        end = 0
        for k in range(first, i):
            starts, (_, end) = (
                (*starts, (stack[k]._declaration, end)),
                self.header(stack[k], end, starts, outside, k, False),
            )
        self.start = end
        return self.header(header, end, starts, outside, i, False)[0]

    def wrong(self, made: AnyHeader, stack: tuple[AnyHeader, ...], i: int) -> set[int]:
        """Return the numbers of the names whose pointers, kept as they were, turn out to lead elsewhere."""
        if not self.kept:
            return set()
        inner, wrong = Within((*stack[:i], made, *stack[i + 1 :])), set[int]()
        inner.holders = i
        data = type(made)._encode(made, b"", inner, i, None)
        for number, origin, target, name in self.kept:
            origin -= self.start
            if origin < 0 or followed(data, origin, target + origin, len(data), {}) != name:
                wrong.add(number)
        return wrong

    def header(
        self, header: AnyHeader, at: int, starts: Starts, stack: Within, i: int, within: bool = True
    ) -> tuple[AnyHeader, int]:
        """Go through a header that begins at `at`; return it, and where its fields end before the payload."""
        own: Raw = header._declaration
        if (parts := _straight(own)) is not None and not header._state >> len(own.fields):
            return self.straight(header, parts, at, starts, {})
        starts = (*starts, (own, at))
        header = _placed(header, starts, stack, i)
        whole: Raw = (
            header
            if _is_plain(own) or header._state >= own.captured_state
            else type(header)._resolve(header, b"", stack, i, None)
        )
        bits = 0
        changes: dict[Field, Raw] = {}
        known = 0  # how many of them `whole` has
        new: Raw
        for f in own.before:
            raw, place = getattr(header, f.slot), at + bits // 8
            if f.condition is not None and getattr(whole, f.slot) is None:
                continue
            if f.pad and raw is None:
                if len(changes) > known:  # it follows from them
                    known = len(changes)
                    whole = type(header)._resolve(_changed(header, changes), b"", stack, i, None)
                fill = getattr(whole, f.slot)
                bits += 8 * (-(bits // 8) % f.pad if fill is None else len(fill))
            elif f.kind.counted_from:
                raw = getattr(whole, f.slot)
                new = (
                    self.name(f, raw, place, self.origin(f, starts), bool(header._state >> len(own.fields) & f.bit))
                    if raw is not None
                    else b""
                )
                if new is not raw:
                    changes[f] = new
                bits += 8 * len(f.kind.write(new))
            elif type(raw) in (tuple, Filled) and is_placed(f.kind.item):
                new, end = self.items(f, raw, place, starts, whole, stack, i)
                if new is not raw:
                    changes[f] = new
                bits += 8 * (end - place)
            elif (seen := _whole_view(header, f, raw)) is not None:
                new, _ = self.header(seen, place, starts, Within((*stack[: i + 1], seen)), i + 1)
                if new is not seen:
                    raw = changes[f] = HeldBytes.of(type(new)._encode(new, b"", _inside(header, new), 1, None), new)
                bits += 8 * len(raw)
            else:
                bits += f.kind.bits if f.kind.bits is not None else width(whole, f)
        if changes:
            made = _changed(header, changes)
            header = _followed(header, made, changes, stack, i) if within else made
        return header, at + bits // 8

    def straight(self, header: AnyHeader, parts: Straight, at: int, around: Starts, origins: dict[Field, int | None]) -> tuple[AnyHeader, int]:
        """The same for a header that is built, of names and fields of a fixed width. `origins`: where names count from, but for those that do from the header."""
        made, begin = header, at
        for f, size, slot, compress in parts:
            if f is None:
                at += size
                continue
            raw = new = getattr(header, slot)
            if (origin := origins.get(f, -1)) == -1:
                origin = self.origin(f, (*around, (header._declaration, begin)))
                if origin != begin:  # not from itself
                    origins[f] = origin
            if compress and raw.__class__ is bytes and origin is not None:
                if (names := self.names.get(origin)) is None:
                    names = self.names[origin] = _Names()
                self.count += 1
                new = names.shortened(raw, at - origin)
            elif raw is not None:
                new = self.name(f, raw, at, origin, False)
            if new is not raw:
                if made is header:
                    made = type(header)._copied(header)
                setattr(made, slot, new)
            if new is not None:
                at += len(new.written if new.__class__ is Compressed else new)
        return made, at

    def items(
        self, f: Field, raw: Raw, at: int, starts: Starts, holder: AnyHeader, stack: Within, i: int
    ) -> tuple[Raw, int]:
        """Go through the items of a field; return them, and where they end."""
        begin, before, same = at, None, True
        origins: dict[Declaration, dict[Field, int | None]] = {}
        made: list[AnyHeader | bytes] = []
        known: dict[Field, int | None] = {}
        own, parts, count = None, None, 0
        for item in raw:
            if type(item) is bytes:
                made.append(item)
                at += len(item)
                continue
            if item._declaration is not own:
                own = item._declaration
                parts, count, known = _straight(own), len(item._fields), origins.setdefault(own, {})
            if parts is not None and not item._state >> count:
                new, at = self.straight(item, parts, at, starts, known)
                made.append(new)
                same = same and new is item
                continue
            inner = Within((*stack[:i], holder, item))
            inner.holders, inner.before = stack.holders, before
            new, at = self.header(item, at, starts, inner, i + 1)
            made.append(new)
            same = same and new is item
            before = type(new)._resolve(new, b"", inner, i + 1, None) if item._declaration.outer_leaves else None
        if type(raw) is Filled:
            at += len(raw.fill)
        elif f.align and not holder._state >> len(holder._fields) & f.bit:
            at += -(at - begin + f.lead) % f.align
        if same:
            return raw, at
        return Filled.of(made, raw.fill) if type(raw) is Filled else tuple(made), at

    def origin(self, f: Field, starts: Starts) -> int | None:
        """Return where pointers of a field begin to count, None where nothing is called so."""
        if f.kind.counted_from == "self":
            return starts[-1][1]
        if f.kind.counted_from == "packet":
            return 0
        return next((begin for one, begin in reversed(starts) if is_called(one, f.kind.counted_from)), None)

    def name(self, f: Field, raw: bytes, at: int, origin: int | None, captured: bool) -> bytes:
        """Return a name as it is to stand at `at`, whose pointers count from `origin`."""
        kind: Raw = f.kind
        if origin is None or isinstance(raw, Unnamed):
            return raw
        names = self.names.get(origin)
        if names is None:
            names = self.names[origin] = _Names()
        place, number = at - origin, self.count
        self.count += 1
        if kind.compress and not captured and not isinstance(raw, Compressed):
            return names.shortened(raw, place)
        made = raw
        if isinstance(raw, Compressed):
            target, end = pointer_of(raw.written) or 0, bytes(raw)[len(raw.written) - 2 :]
            there = names.at.get(target)
            if target < place and there is None and self.doubtful is not None and number not in self.doubtful:
                self.kept.append((number, origin, target, end))
            elif target >= place or there != end:
                made = names.shortest(bytes(raw), place)
        names.add(bytes(made), kind.write(made), place)
        return made


def _whole_view(header: AnyHeader, f: Field, raw: Raw) -> AnyHeader | None:
    """Return the header inside a field that goes by its place; None elsewhere, and where there is none yet: it is being built."""
    view = header._declaration.view
    if view is None or f.name != view[0] or not isinstance(raw, bytes) or not is_placed(view[1]):
        return None
    seen = viewed(header)
    return None if seen._state >> 2 * len(seen._fields) & 1 else seen


def _inside(holder: AnyHeader, inner: AnyHeader) -> Within:
    stack = Within((holder, inner))
    stack.holders = 1
    return stack


_plain: dict[Declaration, bool] = {}
_parts: dict[Declaration, Straight | None] = {}
registry.caches += [_plain, _parts]


def _straight(declaration: Declaration) -> Straight | None:
    """Return the names of a header, and the bytes of the fields between them; None where it has others than those of a fixed width."""
    if declaration not in _parts:
        parts: Straight = []
        bits = 0
        for f in declaration.before:
            if f.condition is not None or f.rule is not None or f.pad or not (f.kind.counted_from or f.kind.bits is not None):
                bits = -1
                break
            bits += f.kind.fixed_bits
            if f.kind.counted_from and bits % 8:
                bits = -1
                break
            if f.kind.counted_from:
                parts += [*([(None, bits // 8, "", False)] if bits else []), (f, 0, f.slot, f.kind.compress)]  # type: ignore[attr-defined]
                bits = 0
        simple = bits >= 0 and not declaration.outer_leaves and declaration.view is None
        _parts[declaration] = [*parts, (None, bits // 8, "", False)] if simple else None
    return _parts[declaration]


def _is_plain(declaration: Declaration) -> bool:
    """Whether the sizes of a header's fields are known before those that follow from others are filled in."""
    if declaration not in _plain:
        _plain[declaration] = all(
            f.condition is None
            and not f.kind.transforms
            and (f.kind.bits is not None or (f.pad and f.place is f.size is None and f.since == "self") or not is_derived(f))
            for f in declaration.before
        )
    return _plain[declaration]


def _placed(header: AnyHeader, starts: Starts, stack: Within, i: int) -> AnyHeader:
    """Tell a header where it stands; what followed for it where it was read follows anew."""
    leaves, at, own = header._declaration.outer_leaves, starts[-1][1], header._declaration
    if not leaves or not any(isinstance(leaf, OwnPlace) for leaf in leaves):
        return header
    before = remembered(header, leaves)
    outer = list(before)
    for k, leaf in enumerate(leaves):
        if isinstance(leaf, OwnPlace):
            begin = (
                0
                if leaf.name == "packet"
                else next((b for one, b in reversed(starts) if is_called(one, leaf.name)), None)
            )
            outer[k] = before[k] if begin is None else at - begin
    if tuple(outer) == before and getattr(header, "__outer__", None) is not None:
        return header
    made: AnyHeader = type(header)._copied(header)
    count = len(header._fields)
    loose = [f for f in own.before if is_derived(f) and header._state >> count & f.bit]
    if loose and tuple(outer) != before and header._state >> 2 * count == 0:
        whole = type(header)._resolve(_loosened(header, loose), b"", stack, i, None)
        made = _loosened(header, [f for f in loose if getattr(whole, f.slot) == getattr(header, f.slot)])
    remember(made, tuple(outer))
    return made


def _changed(header: AnyHeader, changes: dict[Field, Raw]) -> AnyHeader:
    """Return a copy of a header in which some fields have other raw values."""
    made: AnyHeader = type(header)._copied(header)
    for f, new in changes.items():
        setattr(made, f.slot, new)
    return made


def _loosened(header: AnyHeader, fields: list[Field]) -> AnyHeader:
    """Return a copy of a header in which some fields follow from others."""
    made: AnyHeader = type(header)._copied(header)
    for f in fields:
        made._state &= ~(f.bit | f.bit << len(header._fields))
        setattr(made, f.slot, None)
    return made


def _followed(header: AnyHeader, made: AnyHeader, changes: dict[Field, Raw], stack: Within, i: int) -> AnyHeader:
    """Have captured fields follow again that hold what follows for them, where others are of another size now."""
    count, own = len(header._fields), header._declaration
    if not header._state >> count:
        return made
    loose = [f for f in own.before if is_derived(f) and header._state >> count & f.bit]
    same = all(
        len(f.kind.write(new)) == len(f.kind.write(getattr(header, f.slot)))
        for f, new in changes.items()
        if f.kind.counted_from
    )
    same = same and all(len(new) == len(getattr(header, f.slot)) for f, new in changes.items() if f.kind.wire == "open")
    if not loose or (same and all(f.kind.wire != "items" for f in changes)):
        return made
    whole = type(header)._resolve(_loosened(header, loose), b"", stack, i, None)
    for f in loose:
        if getattr(whole, f.slot) == getattr(header, f.slot):
            made._state &= ~(f.bit | f.bit << count)
            setattr(made, f.slot, None)
    return made
