"""What is drawn so far of a header and of those around it: the values that its rules see, and numbers with which what they size can be drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packetlab.codec.around.outer import is_called, place_of, read_with
from packetlab.codec.context.recalling import recall
from packetlab.codec.objects import AnyHeader, classes, restored
from packetlab.codec.places.inner import HeldValues
from packetlab.declare import registry
from packetlab.declare.expressions import Checksum, Const, Elsewhere, Expr, Next, OneOf, Op
from packetlab.declare.plan import needs
from packetlab.declare.refinement.registered import refinements
from packetlab.declare.remembering.recalled import Recalled
from packetlab.export.whole_headers import worked_out

if TYPE_CHECKING:
    from collections.abc import Sequence

    from packetlab.declare.declaration import Declaration
    from packetlab.declare.fields import Field
    from packetlab.declare.kinds import Raw

NEAR = 256  # numbers that are tried
LARGEST, MOST = 64, 8  # bytes and items that a number may say where it may say fewer


class DrawnSoFar(HeldValues):
    """The fields drawn so far and what follows from them, with what is known in a ``with context:`` around.

    `around` are those of the headers that hold it, the nearest last; `alone` is whether nothing stands around the outermost of them.
    `promised` says of fields that are drawn later whether they are there, where others go by that. `required` are the slots of those
    from which numbers of the item before follow.
    """

    required: set[str]

    def __init__(self, cls: Declaration, around: tuple[DrawnSoFar, ...] = (), alone: bool = False) -> None:
        super().__init__({}, b"", 0)
        self.cls, self.around, self.alone = cls, around, alone
        self.promised, self.sought, self.required = dict[str, bool](), set[str](), set[str]()
        self._declaration, self._by_name = cls, cls.by_name  # by which `place_of` finds it

    def value(self, name: str) -> int:
        f = self.cls.by_name.get(name)
        rule = None if f is None else f.computed if f.rule is None else f.rule
        if f is None or rule is None or name in self.sought or self.values.get(name) is not None or isinstance(rule, Checksum | Next):
            return super().value(name)
        self.sought.add(name)
        try:
            return rule.evaluate(self) if f.condition is None or f.condition.evaluate(self) else 0
        finally:
            self.sought.discard(name)

    def has(self, name: str) -> int:
        return int(self.promised.get(name, super().has(name)))

    def elsewhere(self, leaf: Elsewhere) -> int:
        place = self._place(leaf)
        if place >= 0:
            return self.around[place].value(leaf.name)
        found = recall(leaf, (), self.values.get) if isinstance(leaf, Recalled) else super().elsewhere(leaf)
        return found if isinstance(found, int) else 0

    def _place(self, leaf: Elsewhere) -> int:
        return place_of(leaf, self.around) if type(leaf) is Elsewhere and leaf.path else -1  # type: ignore[arg-type]  # it has what is looked at

    def is_decided(self, rule: Expr) -> bool:
        """Whether a rule goes by nothing but numbers of the headers around, so that it is not for this one to say."""
        leaves = [leaf for leaf in worked_out(self.cls, rule).leaves() if not isinstance(leaf, Const)]
        return bool(leaves) and all(type(leaf) is Elsewhere and leaf.path and (self.alone or self._place(leaf) >= 0) for leaf in leaves)

    def held(self) -> AnyHeader:
        """Return a header of these values, as what it holds sees it."""
        values: list[Raw] = []
        for f in self.cls.fields:
            there = self.values.get(f.name) is None and f.kind.is_number and (f.condition is None or f.condition.evaluate(self))
            values.append(self.value(f.name) if there else self.values.get(f.name))
        made: AnyHeader = restored(classes[self.cls], self.cls.captured_state, tuple(values))
        return made


def may_stand(one: Declaration, around: tuple[DrawnSoFar, ...], alone: bool) -> bool:
    """Whether a header is of just this class here, as far as numbers of the headers around say it."""
    scope, up = DrawnSoFar(one, around, alone), one
    own, others = list[Expr](), [after.when for after in refinements(one) if after.when is not None and not after.is_deeper]
    while up.refines is not None and up.when is not None:
        own += _parts(up.when)
        up = up.refines
    holds = {rule: bool(rule.evaluate(scope)) for rule in (*own, *others) if scope.is_decided(rule)}
    return all(holds.get(rule, True) for rule in own) and not any(holds.get(rule, False) for rule in others)


def _parts(condition: Expr) -> list[Expr]:
    """Return what has to hold, all of it, for a condition to hold."""
    if isinstance(condition, Op) and condition.sign == "&":
        return [*_parts(condition.left), *_parts(condition.right)]
    return [condition]


def has_measure(f: Field) -> bool:
    """Whether a field has a size or a count, or ends with an item that nobody puts there by itself."""
    ends = f.until is not None and f.end is None and not f.align
    return f.size is not None or (not f.kind.one and (f.count is not None or ends))


def goes_on(f: Field, seen: DrawnSoFar) -> bool:
    """Whether more may follow after a list, so that it has to have its last item."""
    return bool(seen.around) or f is not seen.cls.before[-1]


# Numbers by which others go ------------------------------------------------------------------------------------

_sizing: dict[tuple[Declaration, str], list[tuple[Field | None, Declaration, Field]]] = {}
_named: dict[tuple[Declaration, str], list[int]] = {}
registry.caches += [_sizing, _named]


def with_computed(cls: Declaration, name: str) -> set[str]:
    """Return the name of a field, and of all that is computed from it."""
    names, before = {name}, set[str]()
    while names != before:
        before = names
        names = names | {f.name for f in cls.fields if f.computed is not None and needs(f.computed) & names}
    return names


def _goes_by(rule: Expr | None, held: Declaration, cls: Declaration, names: set[str]) -> bool:
    """Whether a rule of a header goes by one of these fields of the header that holds it."""
    leaves = () if rule is None else worked_out(held, rule).leaves()
    return any(isinstance(one, Elsewhere) and one.path and one.name in names and (one.out or is_called(cls, one)) for one in leaves)


def _sized_by(cls: Declaration, name: str) -> list[tuple[Field | None, Declaration, Field]]:
    """Return the fields of a header, and of those that its fields hold, whose size or count goes by a number; with what holds them."""
    if (cls, name) not in _sizing:
        names, found = with_computed(cls, name), list[tuple["Field | None", "Declaration", "Field"]]()
        for g in cls.fields:
            measure = g.size if g.count is None else g.count
            if g.name != name and measure is not None and needs(measure) & names:
                found.append((None, cls, g))
            for item in read_with(g.kind.item) if g.kind.has_headers else ():
                found += [(g, item, h) for h in item.fields if h.size is not h.count and _goes_by(h.size if h.count is None else h.count, item, cls, names)]
        _sizing[cls, name] = found
    return _sizing[cls, name]


def numbers_that_fit(f: Field, seen: DrawnSoFar) -> list[int]:
    """Return numbers of a field with which the sizes and counts that go by it can be had, and are small; none where any will do, or none does."""
    sized = _sized_by(seen.cls, f.name)
    if not sized:
        return []
    low = max(f.kind.low, 0)
    return [n for n in range(low, min(f.kind.high, low + NEAR - 1) + 1) if _fits(n, f, seen, sized)]


def _fits(number: int, f: Field, seen: DrawnSoFar, sized: Sequence[tuple[Field | None, Declaration, Field]]) -> bool:
    trial = DrawnSoFar(seen.cls, seen.around, seen.alone)
    trial.values, trial.promised = {**seen.values, f.name: number}, seen.promised
    for holder, item, g in sized:
        scope = trial if holder is None else DrawnSoFar(item, (*seen.around, trial), seen.alone)
        if holder is not None and ((holder.condition is not None and not holder.condition.evaluate(trial)) or not may_stand(item, scope.around, seen.alone)):
            continue
        measure = g.size if g.count is None or g.stride else g.count
        if measure is not None and (g.condition is None or g.condition.evaluate(scope)):
            if not 0 <= measure.evaluate(scope) <= (LARGEST if measure is g.size else MOST):
                return False
    return True


def named_by_rules(cls: Declaration, f: Field) -> list[int]:
    """Return the numbers that conditions compare a field with: of fields, of classes, and of what the header's fields hold."""
    if (cls, f.name) not in _named:
        names, found = with_computed(cls, f.name), set[int]()
        for one in {cls, *(held for g in cls.fields if g.kind.has_headers for held in read_with(g.kind.item))}:
            rules = [*(g.condition for g in one.fields), *(after.when for after in refinements(one))]
            for rule in rules:
                if rule is not None and (needs(rule) & names if one is cls else _goes_by(rule, one, cls, names)):
                    found |= {leaf.number for leaf in rule.leaves() if isinstance(leaf, Const)}
                    found |= {number for part in rule.parts() if isinstance(part, OneOf) for number in part.among}
        _named[cls, f.name] = sorted(number for number in found if f.kind.low <= number <= f.kind.high)
    return _named[cls, f.name]
