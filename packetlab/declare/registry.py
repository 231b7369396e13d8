"""Which header follows which: number spaces, conditions, and who is declared.

A binding stands with the class that comes on top (``under=``, ``when=``). A field equal to a number goes into its number
space, a dict that compiled codecs look into; all else is a condition, tried in the order declared. This module holds the
only mutable state of declarations, which `bindings()` scopes: who changes it holds `_lock`, readers go over copies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from os import register_at_fork
from threading import RLock
from typing import TYPE_CHECKING, Any

from packetlab.declare.classbody.options import Binding, in_texts, number_field, with_port, with_ports
from packetlab.declare.declaration import Declaration, Space, declaration_of, write_order
from packetlab.declare.expressions import Const, Expr, Next, Ref, expression
from packetlab.declare.intervals import words
from packetlab.declare.places.inner import with_inner
from packetlab.declare.refinement import registered
from packetlab.declare.validate import check_above, check_binding, field_of, filled_in
from packetlab.declare.values.said import Letters, constant
from packetlab.errors import BuildError, DeclareError
from packetlab.hooks import hook

if TYPE_CHECKING:
    from packetlab.declare.fields import Field


_lock = RLock()  # nothing that declares headers is imported while it is held, and a fork waits for it
register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)
_spaces: dict[str, Space] = {}
caches: list[dict[Any, Any]] = []  # what was worked out from bindings elsewhere; emptied whenever they change
listeners: list[Callable[[Declaration], object]] = []  # called with each declaration as it is entered
resets: list[Callable[[Declaration], object]] = []  # called where compiled code of a declaration is no longer right
_conditions: dict[str, list[tuple[Expr, dict[str, Expr], Declaration]]] = {}
_texts: dict[str, dict[str, Declaration]] = {}  # the same conditions as text -> what is bound by it
_declared: dict[str, Declaration] = {}
_classes: dict[Declaration, object] = {}  # of what is declared or bound: not looked into, but alive as long as that
scoped: list[dict[Any, Any]] = []  # what other modules have that `bindings()` scopes, such as link types
_numbered: list[Field] = []  # fields that a binding gave a number space of their own


@contextmanager
def _changing() -> Iterator[None]:
    with _lock:
        yield


def space(name: str) -> Space:
    """Return the number space of that name; a new one comes to be where there was none."""
    return _spaces.setdefault(name, Space(name))


def conditions(lower: Declaration) -> list[tuple[Expr, dict[str, Expr], Declaration]]:
    """Return the conditional bindings above `lower`: (condition, field values that make it true, header).

    A derived class has those of its bases too: its own come first, then those of the nearest base.
    """
    return [entry for one in (lower, *lower.bases) for entry in _conditions.get(one.key, ())]


def declared() -> list[Declaration]:
    """Return every header declared now, in order."""
    return list(_declared.values())


def header_named(name: str) -> Declaration | None:
    """Return the header of that name, in any case of letters, the one declared last; None if there is none."""
    return next((header for header in reversed(declared()) if header.name.lower() == name.lower()), None)


@_changing()
def declare(header: Declaration, cls: object) -> None:
    """Enter a header and its class; one declared again takes the place of its namesake, whose bindings go."""
    changed()
    old = _declared.pop(header.key, None)
    _declared[header.key], _classes[header] = header, cls
    for base in header.bases:
        base.derived.add(header)
    if old is not None:
        _classes.pop(old, None)
        unregister(old)
        _take_place(header)
    _take_after_bases(header)
    if header.refines is not None:
        registered.enter(header)
        _read_anew()
    for tell in listeners:
        tell(header)


def _take_place(lower: Declaration) -> None:
    """Keep above a class declared again what was bound above it, as far as it has the fields still."""
    entries = _conditions.get(lower.key, [])
    entries[:] = [entry for entry in entries if _can_stay(lower, *entry)]
    for f in lower.fields:
        numbers = _spaces.get(f"{f.owner.key}.{f.name}")
        bound = (numbers is not None and numbers.headers) or any(f.name in sets for _, sets, _ in entries)
        if bound and f.rule is None and isinstance(f.kind.zero, int | bytes):
            _own_space(f)


def _can_stay(lower: Declaration, condition: Expr, sets: dict[str, Expr], upper: Declaration) -> bool:
    """Whether a class declared again still has the fields that a binding above it speaks of."""
    try:
        check_binding(upper, lower, condition, sets)
    except DeclareError:
        return False
    return True


def _take_after_bases(header: Declaration) -> None:
    """Give a class the numbers of its nearest base where it has none of its own; its derived classes take after it."""
    bases = [base for base in header.bases if base.fields]
    for one in [*_spaces.values()] if bases else ():
        number = next((one.numbers[base] for base in bases if base in one.numbers), None)
        if number is not None and not one.owns(header):
            one.numbers[header] = number
            _refill(header, one.name)
    for lower, entries in _conditions.items() if bases else ():
        if any(upper in bases for _, _, upper in entries):
            _recompile(lower)  # what it fills in for a base, it fills in for this class
    for derived in _derived(header):
        _take_after_bases(derived)


def _derived(header: Declaration) -> list[Declaration]:
    """Return the headers declared now that have one as their next base."""
    below = header.derived
    return [one for one in declared() if one in below and below.isdisjoint(one.bases)] if below else []


def filled(lower: Declaration, name: str) -> dict[Declaration, Expr]:
    """Return what a field that names the next header has where conditional bindings fill it in: {header above: value}.

    The first binding of a header counts. A derived class has what its base has, unless it is bound itself.
    """
    rule, entries = lower.by_name[name].rule, conditions(lower)
    assert isinstance(rule, Next)
    numbers, values = space(rule.space), dict[Declaration, Expr]()
    for _, sets, upper in entries:
        if name in sets:
            values.setdefault(upper, sets[name])
    bound = {upper for _, _, upper in entries}
    for upper in bound:
        if upper not in values and upper in numbers.numbers and not numbers.owns(upper):
            values[upper] = rule.otherwise  # with the number of its base it would be read as that
    after = lower.fields[[f.name for f in lower.fields].index(name) + 1 :]
    later = [space(f.rule.space) for f in after if isinstance(f.rule, Next)]
    for one in [*numbers.numbers]:
        if one is not None and not numbers.owns(one) and any(other.owns(one) for other in later):
            values.setdefault(one, rule.otherwise)  # likewise: the number of its own is looked at only then
    todo = list(values)
    for upper in todo:
        heirs = [one for one in _derived(upper) if one not in values and one not in bound and not numbers.owns(one)]
        values.update(dict.fromkeys(heirs, values[upper]))
        todo += heirs
    return values


@_changing()
def unregister(upper: Declaration) -> None:
    """Remove the bindings of `upper` under other headers, and from those that it answers."""
    changed()
    for request in upper.answers:
        if request is not None:
            request.answered = tuple(one for one in request.answered if one is not upper)
    if registered.leave(upper):
        _read_anew()
    for one in [*_spaces.values()]:
        one.numbers.pop(upper, None)
        for number in [n for n, header in one.headers.items() if header is upper]:
            del one.headers[number]
            _refill(upper, one.name)
    _texts.clear()
    for lower, entries in _conditions.items():
        kept = [entry for entry in entries if entry[2] is not upper]
        if len(kept) != len(entries):
            entries[:] = kept
            _recompile(lower)


@_changing()
def bind(upper: object, under: object, when: object = None, sets: Mapping[str, object] | None = None, port: object = None) -> None:
    """Let the header class `upper` follow `under` where `when` holds.

    `when`: a dict {field: number or text, or several} (fields not given are filled in from it when building; letters of any case
    are read), an expression, or None for always. `port`: a number or numbers of which `sport` or `dport` of `under` is one, built as `dport`, so that replies
    are found too; {"port": ...} is the same. `sets`: what to fill in where an expression cannot tell: {field: number or expression}.
    What is bound above a class is above those derived from it too; its own conditions come first, then its nearest base's.
    DeclareError where another header has the number, and under a header that nothing can follow.
    """
    above = declaration_of(upper, "bind(...)")
    below = declaration_of(under, f"{above.name}, under")
    where = f"{above.name} under {below.name}"
    check_above(below, where, above)
    when, fixed = in_texts(below, with_port(below, when, port, where), where)
    for one, cls in ((above, upper), (below, under)):
        _classes.setdefault(one, cls)
    if isinstance(when, dict) and len(when) == 1 and not sets:
        ((name, some),) = when.items()
        numbers = tuple(some) if isinstance(some, (tuple, list, set, range)) else (some,)
        _bind_numbers(above, below, number_field(below, name), numbers)
        for number in numbers if name not in below.by_name else ():
            bind(above, below, Ref("sport") == number)
        return
    filled = {**filled_in(sets or {}, where, below), **fixed}
    if isinstance(when, dict):
        filled.update({n: expression(v) for n, v in when.items() if not isinstance(v, (tuple, list, set, range))})
    condition = with_inner(expression(1 if when is None else when), below.by_name, where)
    check_binding(above, below, condition, filled)
    if not all(isinstance(value, Const | Letters) for value in filled.values()):
        for one in [below, *below.derived]:
            write_order(one, [*(sets for _, sets, _ in conditions(one)), filled])
    for name in filled:
        if (declared_field := field_of(below, name, where)).rule is None:
            _own_space(declared_field)
    entries = _conditions.setdefault(below.key, [])
    if not (texts := _texts.setdefault(below.key, {})):
        texts.update({str(other): taken for other, _, taken in entries})
    if (taken := texts.setdefault(str(condition), above)) is not above:
        raise DeclareError(where, f"a free condition ({condition})", taken.name)
    entries.append((condition, filled, above))
    changed()
    _recompile(below.key)


def numeric_bindings(header: Declaration, filled: bool = False) -> list[tuple[Declaration, dict[str, int]]]:
    """Return where a header stands, as far as numbers tell: (lower header, {field: number}), {} where it is always.

    The number that is sent comes first for each lower header. Numbers that a binding only fills in, while a condition
    says where the header stands, tell nothing of what is read: they are there with `filled` alone.
    """
    found: list[tuple[Declaration, dict[str, int]]] = []
    for lower in declared():
        for f in lower.fields:
            if isinstance(f.rule, Next):
                headers = [*space(f.rule.space).headers.items()]
                numbers = [n for n, upper in headers if upper is header and _fits(n, f)]
                found += [(lower, {f.name: number}) for number in numbers]
        for condition, sets, upper in conditions(lower):
            fixed = {name: value.number for name, value in sets.items() if isinstance(value, Const)}
            exact = str(condition) == str(expression(fixed or 1))
            if upper is header and len(fixed) == len(sets) and (exact or (filled and fixed)):
                found.append((lower, fixed))
    return found


def _fits(number: int, declared_field: Field) -> bool:
    """Whether a field holds a number of the space that it shares with wider ones."""
    return declared_field.kind.low <= number <= declared_field.kind.high  # of digits and coded numbers too


def _own_space(declared_field: Field) -> None:
    """Give a field without a rule a number space of its own, with its default as what is sent otherwise.

    The field is the same in all classes derived from the one that declares it, so they have the space too.
    """
    changed()
    for one in [declared_field.owner, *declared_field.owner.derived]:
        f = one.by_name[declared_field.name]  # another one where a class has another default
        if f.rule is None:
            f.derive(Next(f"{f.owner.key}.{f.name}", constant(f.default if f.kind.is_number or isinstance(f.default, bytes) else b"")))
            _numbered.append(f)
        _reset(one)


def _bind_numbers(upper: Declaration, under: Declaration, name: str, numbers: Iterable[object]) -> None:
    declared_field = field_of(under, name, f"{upper.name} under {under.name}")
    rule, where = declared_field.rule, f"{upper.name} under {under.name}.{name}"
    if not isinstance(rule, Next):
        said = f"auto({words(rule)})" if rule is not None else f"computed({words(follows)})" if (follows := declared_field.computed) is not None else ""
        if said or declared_field.condition is not None:
            hint = f'when=field("{name}") == ... asks it, and fills in nothing'
            raise DeclareError(where, "a number field that is always there, without a rule of its own", said or "one that may be absent", hint)
        if not isinstance(declared_field.kind.zero, int):
            raise DeclareError(where, "a number field", "bytes")
        if not declared_field.kind.is_number:
            raise DeclareError(where, "a field of whole numbers", declared_field.kind.in_words(), "a field of its bits (U32, ...) can say what follows")
        _own_space(declared_field)
    assert isinstance(declared_field.rule, Next)
    numbers_of = space(declared_field.rule.space)
    try:
        raws = [declared_field.kind.raw(number, "") for number in numbers]
    except BuildError as error:
        raise DeclareError(where, error.expected, error.got) from None
    for number in raws:
        taken = numbers_of.headers.get(number)
        if taken is not None and taken is not upper:
            hint = "declare it again under that name to replace it, or inside `with bindings():`, which ends with the block"
            raise DeclareError(f"{upper.name} under {under.name}", f"a free number ({name} {number:#x})", f"{taken.key}, which has it", hint)
    changed()
    for number in raws:
        if not numbers_of.owns(upper):
            numbers_of.numbers[upper] = number  # before that of a base
        numbers_of.headers[number] = upper
    _refill(upper, numbers_of.name)
    _take_after_bases(upper)


def bindings_of(upper: Declaration) -> list[Binding]:
    """Return where a header is bound, as `bind` would be called for each: under, when (numbers or condition), sets.

    Where several headers share a number space, the first of them whose field holds the numbers stands for all.
    """
    found, headers = list[Binding](), dict(_declared)
    order = [*headers.values()]
    for one in [*_spaces.values()]:
        if upper not in one.numbers:  # as each header is that has a number there
            continue
        numbers = [number for number, header in [*one.headers.items()] if header is upper]
        numbers.sort(key=lambda number: number != one.numbers[upper])  # the number to send is bound first
        for lower in order if numbers else ():
            fields = [f for f in lower.fields if isinstance(f.rule, Next) and f.rule.space == one.name]
            if fields and _fits(min(numbers), fields[0]) and _fits(max(numbers), fields[0]):
                found.append((lower, {fields[0].name: tuple(numbers)}, {}))
                break
    for key, entries in [*_conditions.items()]:
        if (below := headers.get(key)) is not None:
            found += [(below, rule, sets) for rule, sets, header in [*entries] if header is upper]
    return sorted(with_ports(found), key=lambda one: order.index(one[0])) if len(found) > 1 else found


@_changing()
def answer(header: Declaration) -> None:
    """Note with other headers that `header` answers them."""
    for request in header.answers:
        if request is not None and header not in request.answered:
            request.answered = (*request.answered, header)


def changed() -> None:
    """Empty what was worked out from the bindings as they were."""
    for known in caches:
        known.clear()


def _reset(header: Declaration, *more: Declaration) -> None:
    """Have compiled code of some headers dropped."""
    for one in (header, *more):
        for reset in resets:
            reset(one)


def _read_anew() -> None:
    """Have the compiled code dropped that reads what is refined, or headers in fields."""
    for one in declared():
        if one.derived or one.repeated or one.refines:
            _reset(*one.with_inside)


def _recompile(lower: str) -> None:
    if lower in _declared:
        _reset(_declared[lower], *_declared[lower].derived)


def _refill(upper: Declaration, name: str) -> None:
    """Recompile what names `upper` in a field of a number space, for by now that may be its own number or that of a base."""
    if not any(base.fields for base in upper.bases):
        return
    for lower in _declared.values():
        if any(isinstance(f.rule, Next) and f.rule.space == name for f in lower.fields):
            _reset(lower)


@contextmanager
def bindings() -> Iterator[None]:
    """Scope bindings: what is bound or declared inside the `with` is forgotten after it."""
    # What packetlab itself declares must stand before, or it would be forgotten too where it is first used inside.
    hook("declare_all")()
    with _lock:
        before = AllBindings()
    try:
        yield
    finally:
        with _lock:
            before.restore()


@contextmanager
def all_or_none() -> Iterator[None]:
    """Keep what is bound or declared inside the `with` unless an error leaves it."""
    with _lock:
        before = AllBindings()
        try:
            yield
        except BaseException:
            before.restore()
            raise


class AllBindings:
    """All bindings, and what answers what, as they are now."""

    def __init__(self) -> None:
        self.spaces = {name: (dict(one.headers), dict(one.numbers)) for name, one in [*_spaces.items()]}
        self.conditions = {lower: list(entries) for lower, entries in _conditions.items()}
        self.numbered = {f: f.rule for f in _numbered}
        self.answered = [(header, header.answered) for header in _declared.values()]
        self.declared, self.classes = dict(_declared), dict(_classes)
        self.scoped = [(one, dict(one)) for one in scoped]
        self.refined = registered.entered()

    def restore(self) -> None:
        changed()
        _texts.clear()
        others = {*_declared.values()} ^ {*self.declared.values()}
        spaces = {name for name, one in [*_spaces.items()] if (one.headers, one.numbers) != self.spaces.get(name, ({}, {}))}
        stale = [lower for lower in _conditions if self._has_changed(lower, others, spaces)]
        for name, one in [*_spaces.items()]:
            headers, numbers = self.spaces.get(name, ({}, {}))
            one.headers.clear()  # in place: compiled codecs hold these very dicts
            one.headers.update(headers)
            one.numbers.clear()
            one.numbers.update(numbers)
        for f in {*_numbered} ^ {*self.numbered}:
            f.derive(self.numbered.get(f))
            _reset(f.owner, *f.owner.derived)
        _numbered[:] = self.numbered
        for lower, entries in _conditions.items():
            entries[:] = self.conditions.get(lower, [])
        for lower in stale:
            _recompile(lower)
        for there, before in [*self.scoped, (_declared, self.declared), (_classes, self.classes)]:
            there.clear()
            there.update(before)
        for header, answered in self.answered:
            header.answered = answered
        if registered.restore(self.refined):
            _read_anew()

    def _has_changed(self, lower: str, others: set[Declaration], spaces: set[str]) -> bool:
        """Whether compiled code of a header with conditional bindings, or of one derived from it, is out of date (see `filled`).

        `others`: the headers that are declared anew, or no longer; `spaces`: names of those whose numbers are others.
        """
        entries, header = _conditions[lower], _declared.get(lower)
        known = [header, *header.derived] if header is not None and spaces else []
        return (
            [*map(id, entries)] != [*map(id, self.conditions.get(lower, ()))]  # not ==, which of rules makes another rule
            or header in others
            or any(upper in one.bases for one in others for _, _, upper in entries)
            or any(isinstance(f.rule, Next) and f.rule.space in spaces for one in known for f in one.fields)
        )
