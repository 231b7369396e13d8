"""The careful reader: one header, field by field, from bytes that need not fit its declaration.

What can be read is kept, what cannot becomes a `Fault`; nothing is ever lost, since what no field takes is left to
the payload. It goes by the same layout and rules as the compiled reader and is the oracle for it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from packetlab.codec.around.outer import is_around, is_read_now, outer_beside, read_outer, within
from packetlab.codec.bits.careful import BitWalking
from packetlab.codec.context.recalling import Recalling, Unrecalled, marked, remember_read, rewind
from packetlab.codec.faults import Dissection, Fault, InnerFault, LastFault, Values, expected_within, shortened
from packetlab.codec.objects import AnyHeader, Decoded, classes, restored
from packetlab.codec.places.careful_ends import CutShort as _Stop, EndsWalking
from packetlab.codec.places.heaps import handed_carefully
from packetlab.codec.places.item_values import ItemValues
from packetlab.codec.places.names import name_at
from packetlab.codec.places.scattered import ScatteredWalking
from packetlab.codec.refinement.careful import broken, chosen, lasting, refine
from packetlab.codec.refinement.depth import NeedsCare, counted, is_nested, is_recursive, too_deep, trying
from packetlab.codec.refinement.reading import choices_of
from packetlab.codec.transforms.opening import open_carried
from packetlab.declare import registry
from packetlab.declare.bits.stretches import Loose
from packetlab.declare.declaration import Declaration
from packetlab.declare.expressions import Expr
from packetlab.declare.fields import Filled
from packetlab.declare.kinds import Raw
from packetlab.declare.places.left import goes_by_left
from packetlab.declare.plan import (
    Bound,
    Coded,
    Counted,
    Fixed,
    Follows,
    Gap,
    Listed,
    Open,
    Padded,
    Sized,
    Step,
    When,
    needs,
)
from packetlab.declare.refinement.heaps import heaps_of
from packetlab.declare.refinement.registered import refinements

if TYPE_CHECKING:
    from packetlab.declare.fields import Field

USUAL = 1500
"""The usual MTU of a link, in bytes (RFC 894): what hands packets over without a length, for a card to cut, has more."""


def walk(cls: Declaration, data: bytes, start: int, end: int, ctx: Dissection, mark: int | None = None) -> Decoded:
    """Read one header of class `cls` from ``data[start:end]``; returns what compiled readers return. `mark`: of before it was tried."""
    rewind(mark)
    if trying.get():
        raise NeedsCare
    return _LenientParser(cls, data, start, end, ctx).read()


class _LenientParser(BitWalking, EndsWalking, ScatteredWalking):
    def __init__(self, cls: Declaration, data: bytes, start: int, end: int, ctx: Dissection) -> None:
        self.cls, self.data, self.start, self.end, self.ctx = cls, data, start, end, ctx
        self.plan = cls.plan
        self.values: dict[str, Raw] = {f.name: None for f in cls.fields}
        self.scope = Recalling(self.values, data, end, ctx)
        conditions = [rule for rule, _, _ in registry.conditions(cls)] + [one.when for one in refinements(cls) if one.when is not None]
        leaves = (*cls.outer_leaves, *outer_beside(conditions, cls.outer_leaves))
        self.outer_values = read_outer(leaves, ctx, cls, data, start)
        self.values.update(zip(map(str, leaves), self.outer_values, strict=True))
        self.bit = start * 8
        self.stop: int | None = None  # where the header ends by its own word
        self.total: int | None = None  # where the payload ends by its own word
        self.trusted = True  # whether what follows the header can be trusted
        self.short = ""  # the field of which bytes are rightly elsewhere
        self.known: set[str] = set()
        self.places: dict[str, int] = {}  # where fields begin
        self.choices = choices_of(cls)

    # Noting ------------------------------------------------------------------------------------------------

    def fault(self, field: str, offset: int, expected: str, got: object, sort: type[Fault] = Fault) -> None:
        self.ctx.faults.append(sort(self.cls.name, field, offset, expected, shortened(got)))

    def truncated_field(self, field: str, offset: int, expected: int, got: int, what: str = "bytes") -> None:
        """Note too few bytes, unless the rest is known to be elsewhere."""
        if self.is_part(self.end):
            self.short, self.ctx.cut, self.ctx.wanted = field, True, max(self.ctx.wanted, offset + expected)
            wanted = f"{shortened(expected)} {what}"
            self.ctx.faults += [Fault(self.cls.name, field, offset, wanted, str(got), True)][self.ctx.partial :]
        else:
            self.fault(field, offset, f"{shortened(expected)} {what}", got)

    def is_part(self, end: int) -> bool:  # that the bytes up to there are rightly fewer than the lengths say
        return self.ctx.partial or (end == len(self.data) and self.ctx.missing > 0)

    # Reading -----------------------------------------------------------------------------------------------

    def read(self) -> Decoded:
        cut, last, faults, mark = False, "", len(self.ctx.faults), marked()
        try:
            for step in self.plan.head:
                self.step(step)
                if self.choices and (other := chosen(self.choices, self.known, self.scope)):
                    del self.ctx.faults[faults:]  # which the other one finds again
                    return walk(other, self.data, self.start, self.end, self.ctx, mark)
                last = step.fields[-1].name if step.fields else last
        except _Stop:
            cut = self.forgotten()
        except Unrecalled as error:
            cut = True
            self.fault(step.fields[0].name if step.fields else last, self.bit // 8, error.expected, error.got)
        pos = self.bit // 8
        if cut:
            return self.header(True), pos, self.end, None
        if self.stop is not None and pos != self.stop:
            # Bytes inside the header by its own word that no field takes: left to the payload, unread.
            self.fault(last, pos, f"a header of {pos - self.start} bytes", self.stop - self.start)
            self.trusted = False
        payload_end = self.payload_end(pos) if self.plan.tail is None else self.tail_begins(pos, self.plan.tail)
        self.scope.pos, self.scope.payload_end = pos, payload_end
        tail_missing = self.trailer(payload_end)
        if not tail_missing:
            self.judge_whole()
        header = self.header(tail_missing, True)
        following = self.following(pos, payload_end) if self.trusted else None
        for rule in self.cls.shortened:
            if rule.evaluate(self.scope):
                self.ctx.partial = True
        if self.cls.unsized is not None and self.holds(self.cls.unsized):
            self.ctx.unsized = pos
        if self.cls.remembers and not tail_missing and not broken(self.ctx.faults[faults:]):
            remember_read(header, self.ctx.layers)
        return header, pos, payload_end, following

    def header(self, cut: bool, refined: bool = False) -> AnyHeader:
        if cut or refined:  # else it is not read yet what may stand around them
            open_carried(self.cls, self.scope, self.start, self.places, self.ctx)
            self.hand_out()
        state = self.cls.captured_state + (cut << 2 * len(self.cls.fields))
        cls, inner = refine(self.cls, self.scope, self.places, self.ctx, walk, read_items, self.start) if refined else (self.cls, None)
        outer = tuple(self.values[str(leaf)] for leaf in self.cls.outer_leaves) or None
        made: AnyHeader = restored(classes[cls], state, tuple(self.values[f.name] for f in self.cls.fields), outer, inner)
        return made

    def hand_out(self) -> None:
        """Give the items of lists their bytes that lie in a field of this header."""
        for f, g in heaps_of(self.cls):
            blobs, places = self.values[g.name] or b"", (self.start, self.places.get(g.name, self.bit // 8))
            self.values[f.name] = handed_carefully(self.cls, f, self.values[f.name], blobs, places, self.ctx, self.is_part(self.end), _refined_late)

    def limit(self) -> int:
        return self.end if self.stop is None else self.stop

    def step(self, step: Step) -> None:
        """Read one step of the header."""
        if isinstance(step, Bound):
            return  # looked at with the fields that tell it: bytes may end before all fields of a run
        if isinstance(step, Loose):
            if not self.loose(step):
                raise _Stop
        elif isinstance(step, When):
            self.scope.room = self.room()
            if step.condition.evaluate(self.scope):
                self.step(step.step)
        else:
            if isinstance(step, Gap):
                self.scattered(step)
            for f in step.fields if step.fields[0] not in self.taken else ():
                at, faults = self.bit // 8, len(self.ctx.faults)
                self.values[f.name] = self.fixed(f) if isinstance(step, Fixed) else self.varying(step)
                self.noted(f, at, faults)

    def noted(self, f: Field, at: int, faults: int) -> None:
        """Look at what was read for a field: at the byte `at`, with so many faults before."""
        self.places[f.name] = at
        self.known.add(f.name)
        if f in self.cls.late and goes_by_left(f.must):
            self.scope.after[f.name] = self.end + -self.bit // 8
        there = self.short != f.name  # the first bytes of a value tell nothing of it: half a letter is no fault
        if there and f.fixed and (raw := self.values[f.name]) != f.default:
            self.fault(f.name, at, f.kind.text(f.default), f.kind.text(int(raw) if isinstance(raw, int) and not f.kind.judges else raw))
        judged = f.kind.judges and len(self.ctx.faults) == faults
        wrong = there and ((f.kind.wrong(self.values[f.name]) if judged else "") or ("" if f in self.cls.late else f.broken(self.scope)))
        if wrong:  # where it ends is known, whatever is in it: what follows can be read
            self.fault(f.name, at, wrong, f.got(self.values[f.name]), InnerFault)
        for bound in self.plan.bounds:
            if f.name in bound.names <= self.known:
                self.bound(bound)

    def fixed(self, f: Field) -> int | bytes:
        bits = f.kind.bits
        assert bits is not None
        room = self.limit() * 8 - self.bit
        if bits > room:
            at = self.bit // 8
            self.truncated_field(f.name, at, -(-bits // 8), max(0, self.limit() - at))
            # Bits of a byte whose other half was read cannot be left to the payload.
            self.give_back()
            raise _Stop
        first, skip, last = self.bit // 8, self.bit % 8, -(-(self.bit + bits) // 8)
        chunk = self.data[first:last]
        self.bit += bits
        kind = f.kind
        if kind.wire != "number":
            return chunk
        if kind.little:
            return int.from_bytes(chunk, "little", signed=kind.signed)
        low = self.cls.low and (skip or bits % 8)
        number = int.from_bytes(chunk, "little" if low else "big") >> (skip if low else -self.bit % 8) & (1 << bits) - 1
        return number - (1 << bits) if kind.signed and number >> bits - 1 else number

    def varying(self, step: Sized | Padded | Gap | Open | Listed | Counted | Coded | Follows) -> object:
        f, pos, limit = step.field, self.bit // 8, self.limit()
        if isinstance(step, Listed):
            return self.items(f, pos, None if step.count is None else step.count.evaluate(self.scope))
        if isinstance(step, Follows):
            return step.rule.evaluate(self.scope)
        if isinstance(step, Coded):
            return self.coded(f, pos, limit)
        if isinstance(step, Counted):
            return self.counted(f, pos, limit, step.count.evaluate(self.scope))
        if isinstance(step, Open):
            if self.stop is None:
                limit = self.total if self.total is not None else max(pos, self.end - self.plan.trailing)
            size = limit - pos
            if step.after is not None:
                self.read_from_end(limit, pos)
                size = max(0, size - step.after.evaluate(self.scope))
        else:
            size = step.size.evaluate(self.scope) if isinstance(step, Sized) else self.filling(step, pos)
            fits = 0 <= size <= limit - pos
            if size < 0:
                self.fault(f.name, pos, *(self.pointing_back(step, size) if isinstance(step, Gap) else ("a size of 0 or more", size)))
                size, self.trusted = 0, False
            elif size > limit - pos:
                self.truncated_field(f.name, pos, size, limit - pos)
                size, self.trusted = limit - pos, False
            if isinstance(step, Sized) and f.kind.wire == "coded":
                if not fits:
                    raise _Stop
                return self.coded(f, pos, pos + size, True)
        self.bit = (pos + size) * 8
        return self.at_once(f, pos, pos + size) if is_read_now(f) else self.data[pos : pos + size]

    def held(self, f: Field) -> Dissection | None:
        """What is known while the items of a field are read that ask what stands around them."""
        return within(self.ctx, self.header(False), self.data, self.start) if is_around(f) else None

    def at_once(self, f: Field, pos: int, end: int) -> object:
        """Read all that is there of headers that cannot wait until somebody looks into them; what is none of them stays bytes."""
        faults: list[Fault] = []
        items, stop = read_items(f, self.data, pos, end, None, faults, whole=True, owner=self.cls.name, around=self.held(f))
        faults = self.lasting(f, faults, items, stop, end) if end == self.end else faults
        self.ctx.faults += [fault if isinstance(fault, InnerFault) else LastFault(*fault) for fault in faults]
        return items

    def items(self, f: Field, pos: int, count: int | None) -> object:
        limit = self.total if self.stop is None and self.total is not None else self.limit()
        faults: list[Fault] = []
        items, end = read_items(f, self.data, pos, limit, count, faults, owner=self.cls.name, around=self.held(f))
        self.ctx.faults += self.lasting(f, faults, items, end, limit, count)
        if f.kind.one and not items:
            raise _Stop
        self.bit = end * 8
        return items

    def size_of_items(self, f: Field, at: int, count: int | None) -> int | None:
        items, end = read_items(f, self.data, at, self.limit(), count, None, owner=self.cls.name, around=self.held(f))
        return None if items is None else end - at

    def lasting(self, f: Field, faults: list[Fault], items: object, stop: int, end: int, count: int | None = None) -> list[Fault]:
        if not self.is_part(end):
            return faults
        return lasting(faults, self.ctx, end, self.data, items, stop, _reader(f.kind.item, True), self.held(f), self.bit // 8 + (count or 0) * f.kind.item.plan.least)

    def counted(self, f: Field, pos: int, limit: int, count: int) -> object:
        found, end = 0, pos
        while found < count and (stop := f.kind.end(self.data, end, limit, 1)) is not None:
            found, end = found + 1, stop
        if found < count:
            self.truncated_field(f.name, end, count, found, "values")
            self.trusted = False
        self.bit = end * 8
        return self.data[pos:end]

    def coded(self, f: Field, pos: int, limit: int, sized: bool = False) -> object:
        """Read a value of a size of its own, or `sized`. What is none is left to the payload, like bytes that end too early."""
        found, name = f.kind.read(self.data, pos, limit), f.kind.counted_from
        if found is None or (sized and found[1] != limit):
            if not sized and self.is_part(self.end) and f.kind.unfinished(self.data, pos, limit):
                self.truncated_field(f.name, pos, limit - pos + 1, limit - pos)
            else:
                expected = f.kind.in_words() if f.kind.words else f"a whole {type(f.kind).__name__}"
                self.fault(f.name, pos, expected, f.kind.refused(self.data, pos, limit))
            raise _Stop
        self.bit, self.scope.sizes[f.name] = found[1] * 8, found[1] - pos
        return name_at(name, self.cls, found[0], self.data, pos, self.start, self.ctx) if name else found[0]

    def bound(self, step: Bound) -> None:
        pos, field = self.bit // 8, step.field
        end = self.start + step.size.evaluate(self.scope)
        # What must come at the least: all fixed fields of the header that have no condition.
        least = max(pos, self.start + self.plan.least)
        unsized = self.cls.unsized if self.end - self.start + self.ctx.missing > USUAL else None
        if step.part == "total" and unsized is not None and needs(unsized) <= self.known and self.holds(unsized):
            end = self.end
        elif end < least:
            wrong = self.values[field.name]
            # Who leaves out the length of a packet leaves out that of the datagram in it too (BIG TCP in VXLAN).
            if wrong or self.start != self.ctx.unsized:
                self.fault(field.name, self.start, f"a size of {least - self.start} bytes or more", f"{wrong} ({end - self.start} bytes)")
            # A length of 0 is what a sender leaves out (segmentation offload, jumbograms): all there is counts.
            self.trusted = self.trusted and wrong == 0
            end = self.end if step.part == "total" else max(pos, min(least, self.end))
        elif end > self.end:
            self.truncated_field(field.name, self.start, end - self.start, self.end - self.start, "bytes")
            if step.part == "total":
                self.ctx.partial = True
            end = self.end
        setattr(self, "total" if step.part == "total" else "stop", end)

    def payload_end(self, pos: int) -> int:
        tail = self.plan.trailing
        if self.total is not None:
            if self.total >= pos:
                return self.total
            field, expected = self.plan.total.field if self.plan.total else None, f"a size of {pos - self.start} bytes or more"
            self.fault(field.name if field else "", self.start, expected, self.total - self.start)
            self.trusted = False
            return self.end
        if self.plan.payload is not None:
            said, field = self.plan.payload
            size = said.evaluate(self.scope)
            if size < 0:
                if field is not None:
                    self.fault(field.name, self.start, "a payload of 0 bytes or more", size)
                    self.trusted = False
                return max(pos, self.end - tail)
            if pos + size > self.end:
                self.truncated_field(field.name if field else "payload", pos, size, self.end - pos, "bytes of payload")
                self.ctx.partial = True
                return self.end
            return pos + size
        if tail and self.end - tail < pos:
            self.truncated_field("", pos, tail, self.end - pos, "bytes after the payload")
            return self.end
        return self.end - tail

    def following(self, pos: int, end: int) -> Declaration | None:
        if pos >= end or (self.cls.opaque is not None and self.cls.opaque.evaluate(self.scope)):
            return None
        for f, switch in self.plan.numbered:
            found = registry.space(switch.space).headers.get(self.values[f.name])
            if found is not None:
                return found
        for rule, _, upper in registry.conditions(self.cls):
            if self.holds(rule):
                return upper
        return None

    def holds(self, rule: Expr) -> bool:
        return bool(rule.evaluate(self.scope))


def _refined_late(item: Declaration, scope: Values, places: dict[str, int], ctx: Dissection) -> tuple[Declaration, AnyHeader | None]:
    return refine(item, scope, places, ctx, walk, read_items, 0, late=True)


def _reader(item: Declaration, anew: bool) -> Callable[..., Decoded]:
    """Return what reads an item; `anew`: after a compiled reader could not."""
    careful = partial(walk, item)
    return counted(careful) if is_recursive(item) else careful if anew and is_nested(item) else classes[item]._decode


def read_items(
    field: Field, data: bytes, pos: int, limit: int, count: int | None, faults: list[Fault] | None, origin: int = 0,
    whole: bool = False, owner: str = "", around: Dissection | None = None,
) -> tuple[Raw, int]:  # fmt: skip
    """Read headers one after the other from ``data[pos:limit]``; returns (items, where they end).

    With `faults` None the first fault gives (None, pos); else faults are added there, in the name of the header `owner`,
    `origin` being added to their offsets. With `whole` the bytes up to `limit` are all this field's, however many items
    are said: those that are no item come last, as they are. What fills the items up to a multiple is no item and no
    fault, as long as it is `Field.fill` (see `Filled`). `around` is what is known of what holds the items, where they ask that.
    """
    kind, deep = field.kind, too_deep(field, pos + origin, owner) if (pos < limit or field.kind.one) and count != 0 else None
    if deep is not None:
        if faults is not None:
            faults.append(deep)
        return (None if faults is None else (data[pos:limit],) if whole else ()), limit if whole else pos
    read = _reader(kind.item, faults is not None)
    items: list[AnyHeader | bytes] = []
    ctx = Dissection() if around is None else around
    outer = outer_beside([] if field.until is None else [field.until], kind.item.outer_leaves)
    start, fill = pos, b""

    def fills(pos: int) -> bool:
        """Whether just the bytes follow that fill up what stands before."""
        wanted = -(pos - start + field.lead) % field.align if field.align else 0
        return 0 < wanted == limit - pos and data[pos:limit] == field.fill * wanted

    while pos < limit or (kind.one and not items):
        if count is not None and len(items) >= count and not (whole and (len(items) > count or not fills(pos))):
            break
        noted, (header, stop, _, _) = len(ctx.faults), read(data, pos, limit, ctx)
        empty = stop <= pos and not kind.one and not broken(ctx.faults[noted:])
        ctx.faults += [Fault(owner, field.name, pos, "items of a byte or more", f"{kind.item.name} of none")] * empty
        if broken(ctx.faults[noted:]):
            break
        more = dict(zip(map(str, outer), read_outer(outer, ctx), strict=True))
        items.append(header)
        pos, ctx.before = stop, header
        if kind.one or (field.until is not None and field.until.evaluate(ItemValues(header, data, limit, more))):
            break
    if kind.one and whole and items and pos < limit:
        ctx.faults.append(Fault(owner, field.name, pos, f"{kind.item.name} to end here", f"{limit - pos} bytes more"))
    wanted = -(pos - start + field.lead) % field.align if field.align else 0
    if whole and fills(pos):
        fill, pos = data[pos:limit], limit
        ctx.faults[:] = [fault for fault in ctx.faults if isinstance(fault, InnerFault)]
    elif wanted and not whole and not broken(ctx.faults) and (count is None or len(items) == count):
        fill = data[pos : min(pos + wanted, limit)]
        pos += len(fill)
        if fill != field.fill * wanted:
            with_ = "zeros" if field.fill == b"\0" else f"bytes 0x{field.fill.hex()}"
            expected = f"{wanted} {with_} that fill the items up to a multiple of {field.align} bytes"
            got = f"{len(fill)} bytes" if len(fill) < wanted else repr(fill)
            ctx.faults.append(Fault(owner, field.name, pos - len(fill), expected, got))
    short = count is not None and len(items) < count
    if ctx.faults or short:
        if faults is None:
            return None, pos
        inner = [
            f._replace(offset=f.offset + origin) if (f.layer, f.field) == (owner, field.name) else
            type(f)(owner, field.name, f.offset + origin, expected_within(f), f.got)
            for f in ctx.faults
        ]  # fmt: skip
        faults += inner if broken(inner) or not short else [*inner, Fault(owner, field.name, pos + origin, f"{count} items", str(len(items)))]
    if whole and pos < limit:
        items.append(data[pos:limit])
        pos = limit
    return Filled.of(items, fill) if fill else tuple(items), pos
