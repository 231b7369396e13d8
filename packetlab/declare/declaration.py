"""A header as data: its fields in order, and what its class body says of it as a whole.

Compilers, checkers and exporters take a `Declaration`. The class of a header (`packet.header`) is a face over one: it adds
attributes, operators and states. Nothing here knows it; `codec.objects` finds it where a header has to be made.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from weakref import WeakSet

from packetlab.declare.bits.shares import sharing
from packetlab.declare.bits.stretches import Loose
from packetlab.declare.checksums.bitwise import find_bit_sums
from packetlab.declare.computed import settle
from packetlab.declare.expressions import Checksum, Const, Count, Elsewhere, Expr, Next, Ref, Size
from packetlab.declare.fields import Field
from packetlab.declare.places.inner import Inner, settle_inner, with_inner
from packetlab.declare.places.left import goes_by_left
from packetlab.declare.places.offsets import OffsetOf, settle_offsets
from packetlab.declare.places.origins import OwnPlace, check_in_message
from packetlab.declare.plan import Bound, Open, Plan, When, counts_payload, needs
from packetlab.declare.remembering.recalled import Recalled, Remembered, check_recalled, check_remembered, remembers_of
from packetlab.declare.transforms.arguments import check_carried
from packetlab.declare.transforms.carried import link_transforms
from packetlab.declare.transforms.transform import Transform
from packetlab.errors import DeclareError

OPTIONS = ("payload_size", "opaque", "unsized", "partial", "quotes", "pseudo", "stream", "through", "bit_order", "label", "remembers", "in_bits", "exact")
"""What a class body says of the header as a whole."""


@dataclass(eq=False, repr=False, slots=True, weakref_slot=True)  # its attributes are more than what a dict of instances shares
class Declaration:
    """One header as data. For the options, see the class options of `Header`.

    Attributes:
        name, qualname, module, doc: of the class. bases: what it is derived from, the nearest first; derived: what is so from it.
        properties: names of what it works out besides its fields. answers: what it answers (None: headers of its own), and
            when. answered: what answers it by a rule of its own.
    """

    name: str
    qualname: str
    module: str
    fields: tuple[Field, ...]
    doc: str = ""
    bases: tuple[Declaration, ...] = ()
    properties: frozenset[str] = frozenset()
    payload_size: Expr | None = None
    opaque: Expr | None = None
    unsized: Expr | None = None
    partial: Expr | None = None
    quotes: Expr | None = None
    pseudo: tuple[str, str] | None = None
    stream: bool | None = None
    through: tuple[Transform, ...] | None = None
    bit_order: str | None = None
    label: str | None = None
    remembers: tuple[Remembered, ...] | None = None
    in_bits: bool | None = None
    exact: bool | None = None
    by_name: dict[str, Field] = field(init=False)
    fills: dict[str, dict[str, Expr]] = field(init=False)  # what follows for fields of headers that its fields hold
    before: list[Field] = field(init=False)  # the fields that stand before the payload: all, unless the class marks it
    after: list[Field] = field(init=False)  # ... and after it
    computes: bool = field(init=False)  # whether there are fields that are not in the bytes
    repeated: list[Field] = field(init=False)  # those before the payload that hold items
    transformed: list[Field] = field(init=False)  # those whose bytes stand for others
    coded: list[Field] = field(init=False)  # numbers whose size follows from their value
    told: int = field(init=False)  # captured fields by which `payload_size` and places since a header below go: their bits in the state of a header
    has_trailer: bool = field(init=False)
    order: list[str] = field(
        init=False, default_factory=list
    )  # the derived fields as they are worked out (see `write_order`)
    proved: bool = field(init=False, default=False)  # whether it is known to read back what it builds
    captured_state: int = field(init=False)  # of a header that was read whole
    prototype_bit: int = field(init=False)  # of a header that holds a value that several fit (see `wildcards`)
    outer_leaves: tuple[Elsewhere, ...] = field(init=False)  # the values from elsewhere that its rules name
    answers: dict[Declaration | None, Expr] = field(init=False, default_factory=dict)
    offsets: list[tuple[str, str]] = field(init=False)  # fields whose rules say where others begin, and which (see `places`)
    answered: tuple[Declaration, ...] = field(init=False, default=())
    derived: WeakSet[Declaration] = field(init=False, default_factory=WeakSet)
    # What it refines, and where: whoever reads that gets this one. view: the field that it takes apart, and the header inside.
    refines: Declaration | None = field(init=False, default=None)
    when: Expr | None = field(init=False, default=None)
    view: tuple[str, Declaration] | None = field(init=False, default=None)
    late: list[Field] = field(init=False, default_factory=list)  # with rules, must(...), that are known once all of it is read
    _plan: Plan | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        taken = set(self.bases[0].bases) if self.bases else set()  # of which the nearest base has all already
        for base in self.bases:
            if base not in taken:
                self.take_after(base)
        self.through = link_transforms(self.name, self.through)
        self.by_name = {f.name: f for f in self.fields}
        self.fills = settle_inner(self.name, self.fields, self.by_name)
        for word in ("payload_size", "opaque", "unsized", "partial", "quotes"):
            rule = getattr(self, word)
            setattr(self, word, None if rule is None else with_inner(rule, self.by_name, f"{self.name}, {word}"))
        self.captured_state = (1 << 2 * len(self.fields)) - 1
        self.prototype_bit = 1 << 2 * len(self.fields) + 1
        marks = [i for i, f in enumerate(self.fields) if f.kind.wire == "payload"]
        self.has_trailer = bool(marks)
        end = marks[0] if marks else len(self.fields)
        self.before, self.after = list(self.fields[:end]), list(self.fields[end + 1 :])
        self.offsets = settle_offsets(self.name, self.fields, self.before, self.fills)
        self.computes = any(f.computed is not None for f in self.fields)
        self.repeated = [f for f in self.before if f.kind.wire == "items"]
        self.transformed = [f for f in self.fields if f.kind.transforms]
        for f in self.transformed:
            check_carried(self.name, f, self.by_name, self.before)
        settle(self.fields)
        self.outer_leaves = outer_leaves([*rules_of(self.fields), self.payload_size, self.opaque, self.unsized, *self.shortened])
        self.remembers = remembers_of(self.remembers, self.name)
        check_remembered(self.name, self.remembers or (), self.by_name)
        for f in self.fields if any(isinstance(leaf, Recalled) for leaf in self.outer_leaves) else ():
            check_recalled(self.name, f, recalled_by([f]), self.by_name, self.before)
        self.late = late_rules(self.fields)
        self.coded = [f for f in self.before if f.kind.wire == "coded" and f.kind.is_number and not f.kind.loose]
        names = set() if self.payload_size is None else needs(self.payload_size)
        names = {name for name in names if name in self.by_name and (rule := self.by_name[name].rule) is not None and counts_payload(rule)}
        names = names.union(*({f.name} | needs(f.place) for f in self.before if f.place is not None and f.origin is not None))
        self.told = sum(1 << place for place, f in enumerate(self.fields, len(self.fields)) if f.name in names)

    def __repr__(self) -> str:
        return f"<declaration {self.key}>"  # what it is derived from, and what from it, would be pages

    def take_after(self, base: Declaration) -> None:
        """Take from a base what the class itself does not say of the header as a whole."""
        for option in OPTIONS:
            if getattr(self, option) is None:
                setattr(self, option, getattr(base, option))

    @property
    def low(self) -> bool:
        """Whether the first field lies in the lowest bits of the first byte."""
        return self.bit_order == "low"

    @property
    def key(self) -> str:
        """What stays the same when it is declared again."""
        return f"{self.module}.{self.qualname}"

    @property
    def is_own(self) -> bool:
        """Whether it is one of packetlab's own."""
        return self.module.startswith("packetlab.")

    @property
    def redirects(self) -> bool:
        """Whether it may name another destination than its field (see `Header`, pseudo)."""
        return "final_destination" in self.properties

    def is_a(self, base: Declaration) -> bool:
        """Whether it is `base`, or derived from it."""
        return self is base or base in self.bases

    def stands_for(self, base: Declaration) -> bool:
        """Whether its headers may stand where those of `base` do: it is `base`, or refines it."""
        one: Declaration | None = self
        while one is not None and one is not base:
            one = one.refines
        return one is base

    @property
    def inside(self) -> tuple[Field, ...]:
        """The fields of what stands in the field that it takes apart, and in a field of that."""
        return tuple([f for one in self.with_inside[1:] for f in one.fields])

    @property
    def with_inside(self) -> list[Declaration]:
        """The header, and those that stand inside it, inside that one, ..., where a field is taken apart."""
        found = [self]
        while (view := found[-1].view) is not None:
            found.append(view[1])
        return found

    @property
    def is_deeper(self) -> bool:
        """Whether it refines what stands in the field that its base takes apart already."""
        return self.view is not None and self.view[1].refines is not None

    @property
    def described_as(self) -> Declaration:
        """What its class body speaks of: itself, or where it is deeper the header inside."""
        return self.view[1].described_as if self.view is not None and self.view[1].refines is not None else self

    @property
    def plan(self) -> Plan:
        """How the header is read and written; worked out when first needed."""
        if self._plan is None:
            self._plan = Plan(self.fields, self.before, self.after, self.payload_size, self.low, bool(self.in_bits))
            if (self.stream or (self.exact and not self.has_trailer)) and self._plan.total is self._plan.payload is None:
                # It ends with its header: what stands after it is the next message, or is left over.
                self._plan = Plan(self.fields, self.before, self.after, Const(0), self.low)
        return self._plan

    @property
    def shortened(self) -> list[Expr]:
        """The conditions under which the bytes at hand are only the first part of what they speak of."""
        return [rule for rule in (self.partial, self.quotes) if rule is not None]

    def always_decides(self, rule: Expr) -> bool:
        """Whether a rule is one of numbers that are in every such header."""
        fields = [
            self.by_name.get(leaf.name) if isinstance(leaf, Ref) else None
            for leaf in rule.leaves()
            if not isinstance(leaf, Const)
        ]
        return all(f is not None and f.kind.is_number and f.condition is None for f in fields)

    @property
    def endless(self) -> list[Field]:
        """The fields that go on to the end of what surrounds the header, so that nothing can stand above it."""
        ends = [i for i, step in enumerate(self.plan.head) if isinstance(step, Bound) and step.part == "self"]
        steps = [step.step if isinstance(step, When) else step for step in self.plan.head[: ends[0] if ends else None]]
        loose = [f for step in steps if isinstance(step, Loose) for f in step.open]
        return [step.field for step in steps if isinstance(step, Open)] + loose


def rules_of(fields: Iterable[Field]) -> list[Expr | None]:
    """Return what fields say of their values, presence, sizes and counts."""
    return [
        rule for f in fields
        for rule in (f.rule, f.condition, f.size, f.count, f.computed, f.place, f.origin, f.must, f.heap, f.kind.wide, *(late[2] for late in getattr(f.kind, "late", ()) if isinstance(late[2], Expr)))
    ]  # fmt: skip


def recalled_by(fields: Iterable[Field]) -> list[Recalled]:
    """Return what the rules of fields recall of earlier packets."""
    return [leaf for leaf in outer_leaves(rules_of(fields)) if isinstance(leaf, Recalled)]


def outer_leaves(rules: Iterable[Expr | None]) -> tuple[Elsewhere, ...]:
    """Return the values from elsewhere that some rules name, each once."""
    found: dict[str, Elsewhere] = {}
    for rule in rules:
        if rule is None:
            continue
        for leaf in (rule.otherwise if isinstance(rule, Next) else rule).leaves():
            if isinstance(leaf, OffsetOf) and leaf.since != "self":  # not settled yet
                leaf = OwnPlace(leaf.since)
            if isinstance(leaf, Elsewhere):
                found[str(leaf)] = leaf
    return tuple(found.values())


def declaration_of(header: object, where: str) -> Declaration:
    """Return the declaration of a header class (or a declaration as it is). DeclareError for anything else."""
    found = header._declaration if isinstance(header, type) and hasattr(header, "_declaration") else header
    if isinstance(found, Declaration):
        return found
    hint = f"{header}, without quotes" if isinstance(header, str) else ""
    raise DeclareError(where, "a header class", repr(header), hint)


def check_bit_order(header: Declaration) -> None:
    """Refuse an order of bits that there is none of, and one that is not that of the base's fields."""
    where = f"{header.name}, bit_order"
    if header.bit_order not in (None, "high", "low"):
        raise DeclareError(where, '"high" or "low", the bits that the first field lies in', repr(header.bit_order))
    for base in header.bases:
        if base.fields and base.low is not header.low:
            raise DeclareError(where, f'"{base.bit_order or "high"}", as {base.name} has it', repr(header.bit_order))


def late_rules(fields: Sequence[Field]) -> list[Field]:
    """Return the fields that have to obey what stands after them: a later number, or how many bytes are left."""
    known, found = set[str](), []
    for f in fields:
        known.add(f.name)
        if f.must is not None and (goes_by_left(f.must) or needs(f.must) - known):
            found.append(f)
    return found


def check_stream(header: Declaration) -> None:
    """Refuse messages of a stream that do not tell where they end."""
    if header.stream not in (None, True, False):
        raise DeclareError(f"{header.name}, stream", "True or False", repr(header.stream))
    plan, where = header.plan, f"{header.name}, stream"
    if header.stream:
        check_in_message(header, header, where)
    if not header.stream or plan.total is not None:
        return
    way = 'a length that is auto(size_of("self") + size_of("payload")), or of "self" or "payload" alone, would tell it'
    for f in header.endless:
        hint = f"{way}; {f.name} may have an end too: sized(...), many(count=...), ended(...)"
        raise DeclareError(where, "a message that tells where it ends", f"{f.name}, which goes on to the end", hint)
    ended = (
        plan.own is not None
        or header.payload_size is not None
        or (plan.payload is not None and plan.payload.field is not None)
    )
    if header.has_trailer and (
        plan.payload is None or not (plan.payload.field is not None or header.payload_size is not None)
    ):
        raise DeclareError(where, "a message that tells where its payload ends", "one that does not", way)
    if not ended and all(f.kind.bits is not None for f in header.fields):
        hint = f"{way}; last=True says that these fields are all of it"
        raise DeclareError(where, "a message that tells where it ends", "fields of fixed sizes alone", hint)


class Space:
    """Numbers that name headers: `headers` finds the header of a number, `numbers` the first number of a header.

    `known` are names of numbers that no header here has; `hexadecimal` numbers are written as such, but those below `least`.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.known: dict[int, str] = {}
        self.hexadecimal, self.least = False, 0
        self.headers: dict[int, Declaration] = {}
        self.numbers: dict[Declaration | None, int] = {}

    def owns(self, header: Declaration) -> bool:
        """Whether the number of a header is its own, not that of a base."""
        return header in self.numbers and self.headers.get(self.numbers[header]) is header


# What follows from what ----------------------------------------------------------------------------------------


def settle_bits(header: Declaration) -> None:
    """Check the order of bits, and let checksums over parts of bytes be rules of fields, before anything goes by these."""
    check_bit_order(header)
    find_bit_sums(header.before, header.after, header.low, bool(header.in_bits))


def write_order(header: Declaration, sets: Iterable[Mapping[str, Expr]] = ()) -> list[str]:
    """Return the fields that follow from others, each after those it follows from; `sets` is what bindings fill in, too.

    DeclareError for fields that follow from each other in a circle.
    """
    filled = list(sets)
    over: dict[str, None] = {}
    parts = _Measured(header)
    for start in header.by_name:
        path: dict[str, None] = {}
        todo: list[tuple[str, bool]] = [(start, False)]
        while todo:
            name, done = todo.pop()
            if done:
                over[path.popitem()[0]] = None
            elif name in path:
                steps = [*path]
                names = [step for step in steps[steps.index(name) :] if step in header.by_name]
                circle = " -> ".join([*names, names[0]])
                hint = "one of them without auto(...), a value that is given, tells the others" if len(names) > 1 else "a field is there where bytes are left with when(left()), or as its size says with sized(..., none=...)"
                raise DeclareError(f"{header.name}.{names[0]}", "rules without a circle", circle, hint)
            elif name not in over:
                path[name] = None
                todo.append((name, True))
                f = header.by_name.get(name)
                needs_first = parts.follows(name) if f is None else _follows(header, f, filled, parts)
                todo += [(needed, False) for needed in sorted(needs_first)]
    return [name for name in over if (f := header.by_name.get(name)) is not None and (f.rule is not None or f.pad)]


class _Measured:
    """The parts of a header whose size others follow from: each part is the one before it and a field more, so that all
    of them together are no longer than the header. Parts have names that no field can have.
    """

    def __init__(self, header: Declaration) -> None:
        before, after = header.before, header.after
        self.fields = [*before, *after]
        self.places = {f.name: i for i, f in enumerate(self.fields)}
        self.head = len(before)

    def part(self, count: int) -> set[str]:
        """Return the name of the first `count` fields, in a set; none where there are none."""
        return {f"0:{count}"} if count else set()

    def follows(self, part: str) -> set[str]:
        """Names of the fields and the part that a part's size follows from."""
        count = int(part[2:])
        return self.part(count - 1) | self.of(self.fields[count - 1])

    def is_left(self, name: str, rule: Expr) -> bool:
        """Whether a rule only asks if a field has a value, which decides by itself whether it is there."""
        return any(f.name == name and f.left for f in self.fields) and not any(
            isinstance(leaf, Ref) and leaf.name == name for leaf in rule.leaves()
        )

    def of(self, f: Field) -> set[str]:
        """Names of the fields that a field's size follows from, itself among them."""
        # A number may count its own bytes: those that follow from its value are tried until it settles (see `Deriving`).
        coded = f.kind.wire == "coded" and f.kind.is_number and not f.kind.loose
        return ({f.name} if f.kind.bits is None and not coded else set()) | (
            {name for name in needs(f.outer) if not self.is_left(name, f.outer)} if f.outer is not None else set()
        )


def _follows(header: Declaration, f: Field, sets: list[Mapping[str, Expr]], parts: _Measured) -> set[str]:
    """Names of the fields, and parts, whose values or sizes a field needs when it is built."""
    rules = [f.rule.otherwise if isinstance(f.rule, Next) else f.rule] if f.rule is not None else []
    rules += [one[f.name] for one in sets if f.name in one]
    rules += [rule for _, _, rule in getattr(f.kind, "late", ()) if isinstance(rule, Expr)]
    found: set[str] = set()
    for rule in rules:
        for leaf in rule.leaves() if not isinstance(rule, Checksum) else ():
            name = getattr(leaf, "name", "")
            if isinstance(leaf, Ref | Count | Inner) and name in header.by_name:
                found.add(name)
            elif isinstance(leaf, Size) and (name == "self" or (name in parts.places)):
                fields = [] if leaf.name == "self" else sharing(header.plan, header.by_name[leaf.name])
                found |= parts.part(parts.head) if leaf.name == "self" else set().union(*map(parts.of, fields))
    return found | parts.part(parts.places[f.name]) if f.pad and f.size is None else found
