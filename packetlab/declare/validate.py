"""What a declaration may not be: names that are none, rules that make no sense at their place, layouts that cannot be read back.

One check for class bodies, for classes made by a call and for declarations out of files; bindings are checked alike. All
that is refused is a `DeclareError` when the class or the binding is made, never an exception when a packet comes.
"""

from __future__ import annotations

import keyword
from collections.abc import Iterable, Mapping
from unicodedata import normalize

from packetlab.declare.bits.checks import SPARE, beginning, check_items, check_stretches, not_counted, sized_by
from packetlab.declare.bits.sizes import check_sizes
from packetlab.declare.checksums.checks import check_sum, check_sums
from packetlab.declare.classbody.label import check_label
from packetlab.declare.classbody.obeyed import check_obeyed
from packetlab.declare.classbody.options import check_last
from packetlab.declare.classbody.slips import unsuited
from packetlab.declare.declaration import Declaration, check_stream, settle_bits, write_order
from packetlab.declare.expressions import Checksum, Const, Count, Elsewhere, Expr, Has, Next, Ref, Size, expression
from packetlab.declare.fields import Field, Spec
from packetlab.declare.intervals import Range, bounds, check_can_hold, hull, words
from packetlab.declare.kinds import WIDEST, Kind
from packetlab.declare.places.from_end import check_from_end, is_ahead
from packetlab.declare.places.inner import Inner
from packetlab.declare.places.left import Left
from packetlab.declare.places.origins import check_in_message
from packetlab.declare.plan import Open, needs
from packetlab.declare.remembering.recalled import Recalled
from packetlab.declare.rules import Ahead
from packetlab.declare.values.said import Letters, letters_of
from packetlab.errors import DeclareError, suggestion
from packetlab.hooks import hook

LONGEST = 1 << 40  # more bytes than anything has
ANYWHERE = -1 << 63, (1 << 64) - 1  # a number of a header that is not known where it is looked at
UNBOUNDED = 1 << 4096  # the number that bytes of any length are, where they are only compared

# Places of rules: the leaves they may have, and how to say so.
BUILT = (Ref, Size, Count, Has), "numbers, field(...), size_of(...), count_of(...) and has(...) in the rule of a value"
READ = (Ref, Has), "numbers, field(...) and has(...), since no more is known where the field is read"
SOLVED = (Ref, Has, Size), READ[1]
FOLLOWED = (Ref, Has, Size), 'numbers, field(...), has(...) and size_of("payload")'
BOUND = (Ref, Has, Size, Ahead), f"{FOLLOWED[1]} and ahead(...) in the condition of a binding"
ITEM = (Ref, Has, Size), "numbers, field(...), has(...) and size_of(...) of the item's fields"


def check_name(name: object, where: str) -> None:
    """Refuse what could not be written as a name in a class body, and what Python would read as another name."""
    good = isinstance(name, str) and name.isidentifier() and not keyword.iskeyword(name)
    if not good or normalize("NFKC", str(name)) != name:
        raise DeclareError(where, "a name that is an identifier of Python, and no keyword", repr(name))


def check_class_name(word: str, value: object, where: str) -> None:
    """Refuse a `__name__`, `__qualname__` or `__module__` that is none: a class's is written to terminals and programs."""
    if word != "__module__":
        check_name(value.rpartition(".")[2] if isinstance(value, str) and word == "__qualname__" else value, where)
    if not isinstance(value, str) or not value.isprintable():
        raise DeclareError(where, "text that is printable", repr(value))


class Leaves:
    """The numbers that the leaves of a rule can be at its place. DeclareError for what is not known there."""

    def __init__(
        self,
        header: Declaration,
        where: str,
        place: tuple[tuple[type[Expr], ...], str],
        derived: dict[str, Range] | None = None,
        recalls: bool = False,
    ) -> None:
        self.header, self.where = header, where
        self.allowed, self.words = place
        self.building = place is BUILT
        self.item, self.recalls = place is ITEM, recalls
        # What is known of the header's values (and of "self", its size) already; all its rules may have it in common.
        self.derived: dict[str, Range] = {} if derived is None else derived
        self.doing: set[str] = set()

    def __call__(self, leaf: Expr) -> Range:
        if isinstance(leaf, Const):
            return leaf.number, leaf.number
        if isinstance(leaf, Elsewhere):
            if isinstance(leaf, Recalled) and not (self.recalls and (leaf.default is not None or not self.building)):
                hint = f"a field has it: recalled_value: int = computed({leaf})" if not self.building else "default=, for where none was remembered"
                raise DeclareError(self.where, "recalled(...) in sizes, counts, presence and computed(...)", str(leaf), hint)
            return (0, 1) if leaf.is_truth else ANYWHERE if leaf.path else self.value(leaf.name)
        if isinstance(leaf, Left) and not leaf.name:
            raise DeclareError(self.where, "left() in when(...), for whether a field is there, or in must(...), for what stands after it", str(leaf))
        if isinstance(leaf, Left):
            return 0, LONGEST
        if isinstance(leaf, Inner):
            return self.inner(leaf)
        if not isinstance(leaf, self.allowed):
            hint = "a checksum is all of auto(...): xor= and init= of crc(...) change its bits, a computed field may be a part of it, and through(named(...)) has own code for what else there is" if isinstance(leaf, Checksum) else ""
            raise DeclareError(self.where, self.words, str(leaf), hint)
        if isinstance(leaf, Ref):
            return leaf.span(self) if hasattr(leaf, "span") else self.value(leaf.name)
        if isinstance(leaf, Size):
            return self.size(leaf.name)
        if isinstance(leaf, Count):
            if (kind := self.field(leaf.name).kind).wire != "items" and kind.element is None is kind.wide and self.field(leaf.name).heap is None:
                raise DeclareError(self.where, "count_of(...) of a field tuple[SomeHeader, ...]", leaf.name, not_counted(kind, leaf.name))
            return min(0, self.field(leaf.name).none or 0), LONGEST
        if isinstance(leaf, Ahead):
            if not 1 <= leaf.bits <= 64:
                raise DeclareError(self.where, "ahead(...) of 1 to 64 bits", leaf.bits)
            # It is only called where there is a byte at least; -1 says that there are fewer than it wants.
            return (0 if leaf.bits <= 8 else -1), (1 << leaf.bits) - 1
        assert isinstance(leaf, Has)
        self.field(leaf.name)
        return 0, 1

    def inner(self, leaf: Inner) -> Range:
        item = self.field(leaf.name).kind.item
        if item is None:  # typing.Self, of which no more is known yet
            raise DeclareError(self.where, "a field of another class's header", str(leaf))
        g = field_of(item, leaf.inner, self.where)
        if not g.kind.is_number:
            raise DeclareError(self.where, "field(...) of a number field", f"{leaf}, {described(g.kind)}")
        return hull(number_range(g), (0, 0)) if self.field(leaf.name).condition is not None else number_range(g)

    def field(self, name: str) -> Field:
        f = field_of(self.header, name, self.where)
        if f.kind.wire == "payload":
            raise DeclareError(self.where, 'the payload as "payload"', repr(name), f'size_of("payload") is its size; {name} says where it stands')
        return f

    def value(self, name: str) -> Range:
        f = self.field(name)
        if not f.kind.is_number:
            hint = getattr(f.kind, "as_number", "") or ("a text or bytes are compared with == and !=, in the field's own form" if f.kind.verbatim else "")
            raise DeclareError(self.where, "field(...) of a number field", f"{name}, {described(f.kind)}", hint)
        usual = number_range(f)
        if not self.building or f.rule is None or isinstance(f.rule, Checksum) or name in self.doing:
            return usual
        if name not in self.derived:
            # A derived value is used before it is known to fit its field.
            self.doing.add(name)
            rule = f.rule.otherwise if isinstance(f.rule, Next) else f.rule
            self.derived[name] = hull(usual, bounds(rule, self, f"{self.header.name}.{name}"))
            self.doing.discard(name)
        return self.derived[name]

    def size(self, part: str) -> Range:
        if self.item:
            kind = self.field(part).kind
            if not (kind.verbatim or type(kind.zero) is bytes):
                raise DeclareError(self.where, "size_of(...) of a field of bytes", part)
            return 0, LONGEST
        if part == "payload":
            return 0, LONGEST
        if not self.building and not (self.allowed is SOLVED[0] and part in self.header.plan.measured):
            raise DeclareError(self.where, self.words, f"size_of({part})")
        if part in self.derived:
            return self.derived[part]
        fields = self.header.before if part == "self" else [self.field(part)]
        fixed = [f for f in fields if f.kind.bits is not None]
        low = sum(f.kind.fixed_bits for f in fixed if f.condition is None) // 8
        low = low if part == "self" else min(low, fields[0].none or 0)
        size = low, LONGEST if len(fixed) < len(fields) else sum(f.kind.fixed_bits for f in fixed) // 8
        if part == "self":
            self.derived[part] = size
        return size


def number_range(f: Field) -> Range:
    """Return the range of a number field; one that is absent counts as 0."""
    usual = f.kind.low, f.kind.high
    return usual if f.condition is None else hull(usual, (0, 0))


def field_of(header: Declaration, name: str, where: str) -> Field:
    """Return a field by its name. DeclareError, with a suggestion, where there is none."""
    if name not in header.by_name:
        raise DeclareError(where, f"a field of {header.name}", name, suggestion(name, header.by_name))
    return header.by_name[name]


def described(kind: Kind) -> str:
    """Return a kind of field in words."""
    return kind.words or type(kind).__name__


# A field by itself ---------------------------------------------------------------------------------------------

_WRITTEN = {
    "rule": "auto(...)", "size": "sized(...)", "pad": "pad(...)", "count": "many(count=...)", "until": "many(until=...)",
    "align": "many(align=...)", "fixed": "const(...)", "condition": "when(...)", "computed": "computed(...)", "ended": "ended(...)",
}  # fmt: skip


def check_spec(spec: Spec, kind: Kind, where: str) -> None:
    """Refuse a right-hand side that says nothing about a field of this kind."""
    if spec.many and (kind.one or (kind.wire != "items" and kind.element is None)):
        raise DeclareError(where, "tuple[SomeHeader, ...] = many(...)", f"many(...) for {described(kind)}")
    for word, written in _WRITTEN.items():
        said, allowed = getattr(spec, word), kind.allows + " rule" * kind.is_number
        if (isinstance(said, Expr | bytes) or said) and word not in allowed.split():
            hint = "of values in a header: class Item(Header): v: U8 = 0, tuple[Item, ...] = many(until=field('v') == 0)" if word == "until" and kind.element else getattr(kind, "as_number", "") if word == "rule" else unsuited(word, kind)
            raise DeclareError(where, f"a right-hand side that suits {described(kind)}", written, hint)
    if kind.verbatim and kind.bits is not None and (spec.size is not None or spec.pad):
        raise DeclareError(where, "Bytes for a size that varies", kind.in_words())
    if isinstance(spec.size, Const) and kind.wire == "open" and kind.element is None and not (spec.through or kind.transforms):
        fixed = f"Annotated[{'bytes, fixed_bytes(n)' if kind.orders_raw else 'str, text(size=n)'}] for a fixed size"
        hint = 'sized(field("n")) is as long as the field n says'
        raise DeclareError(where, fixed, f"sized({words(spec.size)})", hint)
    if spec.ended is not None and (spec.size is not None or kind.rest):
        raise DeclareError(where, "ended(...) alone, which says where the field ends", spec.written)
    for multiple in (spec.align, spec.pad):
        if type(multiple) is not int or not 0 <= multiple <= 1 << 16:
            got = words(Const(multiple)) if isinstance(multiple, int) else repr(multiple)
            raise DeclareError(where, "a multiple of 1 to 65536 bytes", got)


# A header ------------------------------------------------------------------------------------------------------


def check_declaration(header: Declaration) -> None:
    """Refuse a header class whose rules make no sense, or whose layout cannot be read back."""
    settle_bits(header)
    derived: dict[str, Range] = {}
    header.order = write_order(header)
    for name in header.order:
        _check_rules(header, header.by_name[name], derived)  # each after those it follows from
    ordered = set(header.order)
    for f in header.fields:
        if f.name not in ordered:
            _check_rules(header, f, derived)
    check_sums(header)
    check_obeyed(header)
    check_label(header)
    check_last(header)
    _check_options(header)
    check_sizes(header)
    _check_layout(header)
    check_items(header)
    _check_ends(header)
    _check_order(header)
    _check_solved(header)
    check_stream(header)


def _check_rules(header: Declaration, f: Field, derived: dict[str, Range]) -> None:
    where = f"{header.name}.{f.name}"
    if isinstance(f.rule, Checksum):
        check_sum(header, f, f.rule, where)
        for operand in f.rule.operands():
            bounds(operand, Leaves(header, where, READ), where)
    elif isinstance(f.rule, Next) and not isinstance(f.rule.otherwise, Letters):
        bounds(f.rule.otherwise, Leaves(header, where, BUILT, derived), where)
    elif f.rule is not None and not isinstance(f.rule, Next):
        assert f.kind.low is not None and f.kind.high is not None
        low, high = bounds(f.rule, Leaves(header, where, BUILT, derived, recalls=True), where)
        if low > f.kind.high or high < f.kind.low:
            least, way = (f"{low} at least", "a wider field has room for it") if low > f.kind.high else (f"{high} at most", "signed=True has numbers below 0")
            raise DeclareError(where, f"a rule that comes to {f.kind.low}..{f.kind.high}", f"{words(f.rule)}, {least}", way)
    if f.kind.wide is not None:
        f.kind.reach(max(0, min(bounds(f.kind.wide, Leaves(header, where, READ), where)[1], WIDEST)))  # type: ignore[attr-defined]
    for rule in (f.condition, f.must if f.kind.is_number else None, f.size, f.count, f.place):
        if rule is not None and bounds(rule, Leaves(header, where, READ, recalls=rule is not f.must), where)[1] < 0 and rule is not f.condition and rule is not f.must:
            raise DeclareError(where, "a number from 0", f"{words(rule)}, which is always less")
    if f.computed is not None:
        low, high = bounds(f.computed, Leaves(header, where, READ, recalls=True), where)
        if low > f.kind.high or high < f.kind.low:
            raise DeclareError(where, f"a rule that comes to {f.kind.low}..{f.kind.high}", words(f.computed))
    if f.none is not None and (measure := f.size if f.count is None else f.count) is not None:
        low, high = bounds(measure, Leaves(header, where, READ, recalls=True), where)
        if not low <= f.none <= high:
            raise DeclareError(where, f"none={f.none} to be a number that {words(measure)} comes to", f"{low}..{high}")
    if f.until is not None:
        assert f.kind.wire == "items"
        bounds(f.until, Leaves(f.kind.item, f"{where}, until", ITEM), f"{where}, until")
        if f.end is not None and not hook("is_end")(f.until, f.end):
            raise DeclareError(f"{where}, end=", f"an item for which {words(f.until)}", repr(f.end)[:99])


def _check_options(header: Declaration) -> None:
    for word in ("payload_size", "opaque", "unsized", "partial", "quotes"):
        rule = getattr(header, word)
        if rule is not None:
            where = f"{header.name}, {word}"
            high = bounds(rule, Leaves(header, where, READ if word == "payload_size" else FOLLOWED), where)[1]
            if high < 0 and word == "payload_size":
                raise DeclareError(where, "a number from 0 in one case at least", f"{words(rule)}, which is always less")
    if header.pseudo is None:
        return
    where = f"{header.name}, pseudo"
    if type(header.pseudo) is not tuple or [type(part) for part in header.pseudo] != [str, str]:
        raise DeclareError(where, 'two names, as in ("src", "dst")', repr(header.pseudo))
    source, destination = header.pseudo
    for part in (source, destination):
        if part and not (not source and part in header.properties):  # of the final address a property may tell
            kind = field_of(header, part, where).kind
            if not kind.verbatim or kind.bits is None:
                raise DeclareError(where, "fields of addresses", f"{part}, {described(kind)}")


def _check_layout(header: Declaration) -> None:
    """Refuse fields that do not begin where a reader can find them."""
    width, among = 0, check_stretches(header)
    for f in header.fields:
        where = f"{header.name}.{f.name}"
        bits = f.kind.bits
        if f in among:
            continue
        if width % 8:
            for holds, expected in (
                (bits is None or f.condition is not None, "a start on a byte boundary"),
                (f.kind.wire == "number" and f.kind.little, "a little-endian number on a byte boundary: bits of a shared byte have no order of bytes"),
                (isinstance(f.rule, Checksum), "a checksum on a byte boundary"),
            ):  # fmt: skip
                if holds:
                    hint = "a plain number of that width, where bit_order=\"low\" has the lowest byte first" if f.kind.little else ""
                    raise DeclareError(where, expected, f"bit {width % 8}", hint)
        if f.condition is not None and (bits or 0) % 8:
            raise DeclareError(where, "whole bytes for a field that may be absent", f"{bits} bits")
        if bits is not None and f.condition is None:
            width += bits
    if width % 8:
        raise DeclareError(header.name, "fields that fill whole bytes", f"{width} bits", f"{SPARE}; in_bits=True is for items of bits; bits that go on in that byte by kind are fields here: x: U12 | None = when(field(...) == 1)")


def _check_ends(header: Declaration) -> None:
    """Refuse fields of which nothing tells a reader where they end."""
    plan = header.plan
    measuring = {
        leaf.name: f
        for f in reversed(plan.unsolved)
        if f.rule is not None
        for leaf in f.rule.leaves()
        if isinstance(leaf, Size | Count)
    }
    open_ended = {step.field.name for step in plan.steps if isinstance(step, Open)}
    open_ended |= {f.name for step in plan.loose for f in step.open}
    before: set[str] = set()
    alone = isinstance(header.payload_size, Const) and header.payload_size.number == 0  # nothing comes after it
    for f in header.fields:
        where = f"{header.name}.{f.name}"
        if f.kind.unended and f.name not in plan.sizes and not (alone and f is header.fields[-1]):
            raise DeclareError(where, "a size: sized(...) or a size_of rule", "none", "or ended(...)" * ("ended" in f.kind.allows))
        if f.name in open_ended and not f.kind.rest:
            ended = plan.own is not None and needs(plan.own.size) <= before
            by = measuring.get(f.name, measuring.get("self"))
            if by is not None and by.rule is not None and not ended:
                several = f.kind.wire == "items" or f.kind.element is not None
                one = "many(count=...) or many(size=...)" if several else "sized(...)"
                hint = f"say how it is read: {f.name} = {one}, made of field({by.name!r})"
                raise DeclareError(where, f"a rule that can be solved for the size of {f.name}", f"{by.name} = {words(by.rule)}", hint)
            if f.kind.wire == "open" and f.kind.element is None and not (ended or alone):
                hint = f'n: U8 = auto(size_of("{f.name}")) before it tells it, or {sized_by(f)}{f.name}: Rest, all that is left'
                raise DeclareError(where, "a size: sized(...), pad(...), Rest or a size_of rule", "none", hint)
        before.add(f.name)
    for f, other in plan.ends:
        where = f"{header.name}.{other.name}"
        if other.name in open_ended:
            raise DeclareError(where, "one field at most that takes the rest", f"{f.name} before it", 'sized(field("n")) or many(count=...) ends the one before')
        hint = f'many(align={other.pad}, since="self") fills it up itself, or auto(size_of("self") - size_of("{other.name}")) would tell' if other.pad and plan.own is not None else ""
        raise DeclareError(
            where, f"fields of known size after {f.name}, which goes on to the end", described(other.kind), hint
        )
    if plan.payload is None and plan.total is None and any(f.pad for f in header.after):
        raise DeclareError(header.name, "a payload whose size is known, since padding follows it", "none")


def _check_order(header: Declaration) -> None:
    """Refuse what a reader would have to know before it has come there."""
    plan = header.plan
    before: set[str] = set()
    for f in header.fields:
        said = (f.condition, plan.sizes.get(f.name), plan.counts.get(f.name), f.computed, f.kind.wide, f.place)
        for name in sorted(set().union(*(needs(rule) for rule in said if rule is not None))):
            if name not in before and not is_ahead(header, f, name):
                where = f"{header.name}.{f.name}"
                hint = f"{name} = from_end(...) is read first" if f in header.after else ""
                raise DeclareError(where, "presence and size to follow from fields before it", name, hint)
        before.add(f.name)
    after = {f.name for f in header.after}
    if plan.payload is not None:
        for name in sorted(needs(plan.payload[0]) & after):
            where = f"{header.name}.{name}"
            raise DeclareError(where, "the payload's size to be known in front of the payload", "a field after it")
    check_from_end(header)


def _values_in(rules: Iterable[Expr | None]) -> set[str]:
    """Names of the fields whose values rules ask for, not only whether they are there."""
    return {leaf.name for rule in rules if rule is not None for leaf in rule.leaves() if isinstance(leaf, Ref)}


def _check_solved(header: Declaration) -> None:
    """Refuse rules that are sound as they stand, but not when they are solved for a size."""
    plan = header.plan
    solved = [said for said in (plan.own, plan.total, plan.payload) if said is not None]
    for rule, by in solved:
        where = f"{header.name}.{by.name}" if by is not None else f"{header.name}, payload_size"
        bounds(rule, Leaves(header, where, SOLVED, recalls=True), where)
    for name, rule in (*plan.sizes.items(), *plan.counts.items()):
        where = f"{header.name}.{name}"
        bounds(rule, Leaves(header, where, SOLVED, recalls=True), where)


# Bindings ------------------------------------------------------------------------------------------------------


def check_above(under: Declaration, where: str, upper: Declaration) -> None:
    """Refuse anything above a header that leaves no room for it."""
    if upper.in_bits or under.in_bits:
        one = upper if upper.in_bits else under
        raise DeclareError(where, "headers of whole bytes; in_bits=True is for items of bits, in fields of others", one.name)
    if upper.through:
        hint = f"link_type(147, {upper.name}) says whose it is; over others it is a field: frame: Inner = through(...)"
        raise DeclareError(where, "a header that is no frame of a link (through=)", upper.name, hint)
    if under.stream:
        check_in_message(upper, under, where)
    if under.plan.bare:
        raise DeclareError(where, "a header that something follows", "one that is the last, or a message without payload")
    for f in under.endless:
        if f.condition is None:
            hint = f"where {f.name} has a size (or a count of items), there is room above it"
            raise DeclareError(where, "a header that something follows", f"{f.name}, which goes on to the end", hint)


def filled_in(sets: object, where: str, under: Declaration) -> dict[str, Expr]:
    """Return what a binding fills in: {field: expression, or letters}. DeclareError for what is no dict."""
    if not isinstance(sets, Mapping):
        raise DeclareError(f"{where}, sets", "a dict {field: number, text or expression}", repr(sets))
    return {
        name: letters_of(field_of(under, name, where), value, f"{where}, sets") if isinstance(value, str | bytes) else expression(value)
        for name, value in sets.items()
    }


def check_binding(upper: Declaration, under: Declaration, condition: Expr, sets: Mapping[str, Expr]) -> None:
    """Refuse a condition that the header below cannot tell, and values that it cannot be given."""
    where = f"{upper.name} under {under.name}"
    check_can_hold(condition, beginning(upper, Leaves(under, where, BOUND)), where)
    for name, rule in sets.items():
        f = field_of(under, name, where)
        letters = isinstance(rule, Letters)
        if f.kind.is_number is letters or not (f.rule is None or isinstance(f.rule, Next)):
            got = described(f.kind) if f.rule is None else words(f.rule)
            raise DeclareError(f"{where}, sets", f"a {'text' if letters else 'number'} field without a rule of its own, not {name}", got)
        if isinstance(rule, Letters):
            letters_of(f, rule.word, f"{where}.{name}")
        else:
            bounds(rule, Leaves(under, where, BUILT), f"{where}.{name}")
