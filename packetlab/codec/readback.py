"""What is built reads back: refused in the building where it would not, and tried once for each declaration of a user's.

Rules that can be solved are, and those that a reader needs and that cannot be are refused when the class is made (see
`declare.validate`). What is left depends on values: bytes whose size a plain field tells, a value for a field that is
not there, a size that a rounded rule does not give back. `checks` writes the lines that raise a `BuildError` for these.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from packetlab.codec.around.following import given_or, if_known, loses_bits
from packetlab.codec.around.outer import is_around, is_read_at_once, read_with
from packetlab.codec.faults import Dissection
from packetlab.codec.objects import classes, is_pattern
from packetlab.codec.places.gaps import placed_anew
from packetlab.codec.places.item_values import ItemValues
from packetlab.codec.refinement.careful import broken
from packetlab.codec.refinement.found_by import fitting, otherwise, unfound, was_said
from packetlab.declare.bits.stretches import Loose
from packetlab.declare.expressions import Const, Count, Elsewhere, Expr, Has, If, Next, Op, Ref, Size
from packetlab.declare.fields import REQUIRED, Field
from packetlab.declare.intervals import words
from packetlab.declare.places.inner import Inner
from packetlab.declare.plan import Counted, Listed, Open, Sized, When, needs
from packetlab.declare.refinement.registered import refinements
from packetlab.declare.remembering.recalled import Recalled
from packetlab.declare.transforms.raws import InnerValue
from packetlab.declare.values.said import OuterSays
from packetlab.errors import BuildError, DeclareError

if TYPE_CHECKING:
    from packetlab.codec.objects import AnyHeader
    from packetlab.codec.source import SourceWriter
    from packetlab.declare.declaration import Declaration


def checks(to: SourceWriter) -> list[str]:
    """Return lines that raise where what is packed would not be read back as it is. What is given on purpose is let through."""
    header, tag = to.cls, to.tag
    found: list[str] = []
    for step in header.plan.head:
        inner = step.step if isinstance(step, When) else step
        if isinstance(step, When):
            f = step.field
            if f.tells_itself:
                given = f.bit << len(header.fields) | sum(header.by_name[name].bit for name in needs(step.condition))
                read = step.condition.code(to)  # type: ignore[arg-type]
                test = f"not s{tag} & {given:#x} and bool({read}) is not bool({to.present(f)})"
                error = f"not_given(h{tag}, '{f.name}')"
                found.append(f"if {test}: {to.refuse(error)}")
            if not f.tells_itself or f.outer is not None:
                found += _absent(to, f, step.condition)
        for part in step.parts if isinstance(step, Loose) else ():
            f, said = part.field, part.field.count if part.counted else part.field.size if part.sized else None
            found += _absent(to, f, f.condition) if f.condition is not None else []
            if said is not None and not _comes_back(header, said, f.name):
                found += _compared(to, f, said, to.count(f.name) if part.counted else to.size(f.name), needs(said))
        if isinstance(inner, Sized | Listed | Counted):
            said = inner.field.size if isinstance(inner, Sized) else inner.field.count
            if said is not None and not _comes_back(header, said, inner.field.name):
                got = to.size(inner.field.name) if isinstance(inner, Sized) else to.count(inner.field.name)
                found += _compared(to, inner.field, said, got, needs(said))
    for f in header.endless:
        there, above = f"{to.present(f)} and " if f.condition is not None else "", to.size("payload")
        error = f"beyond(h{tag}, '{f.name}', {above})"
        found.append(f"if {there}{above}: {to.refuse(error)}")
    if (said := header.payload_size) is not None and follows_from(header, needs(said), "payload") and not _comes_back(header, said, "payload"):
        found += _compared(to, header.by_name[min(needs(said))], said, to.size("payload"), needs(said), f"({said.code(to)}) >= 0 and ")  # type: ignore[arg-type]
    if header.plan.bare and (header.payload_size is not None or header.exact) and not header.stream:
        uppers = None if to.stack is None else [one.name for one in to.stack[to.i + 1 : to.i + 2]]
        if uppers is None:
            found.append(f"if above is not None: {to.refuse(f'after_last(h{tag}, above.name)')}")
        elif uppers:
            found.append(to.refuse(f"after_last(h{tag}, {uppers[0]!r})"))
    for f, solved in header.plan.rounded:
        got = " + ".join(to.count(part[1:]) if part.startswith("#") else to.size(part) for part in solved.parts)
        # A field of no bytes lies nowhere, whatever its offset.
        gaps = [place for place, g in enumerate(header.before) if g.place is not None and g.name in solved.parts]
        found += _compared(to, f, solved.size, got, {f.name}, "".join(f"{to.size(header.before[place + 1].name)} and " for place in gaps))
    return found + fitting(to)


def follows_from(header: Declaration, names: set[str], part: str) -> bool:
    """Whether all of some fields follow from the size of a part, or how many it has."""
    rules = [header.by_name[name].rule for name in names]
    return bool(rules) and all(
        rule is not None and any(isinstance(leaf, Size | Count) and leaf.name == part for leaf in rule.leaves())
        for rule in rules
    )


def _comes_back(header: Declaration, said: Expr, part: str) -> bool:
    """Whether what is read is as large as what is built whatever its size, or `checks` compares that by the rule (`plan.rounded`)."""
    names = needs(said)
    if not follows_from(header, names, part):
        return False
    if any(str(solved.size) == str(said) and {part, f"#{part}"} & {*solved.parts} for _, solved in header.plan.rounded):
        return True
    rules = [said, *(rule for name in names if (rule := header.by_name[name].rule) is not None)]
    return not any(isinstance(one, If) or (isinstance(one, Op) and one.sign not in "+-*") for rule in rules for one in rule.parts())


def _absent(to: SourceWriter, f: Field, condition: Expr) -> list[str]:
    """Return the lines that refuse a value of a field that is not there, unless it tells itself whether it is."""
    if any(isinstance(leaf, Has) and leaf.name == f.name for leaf in condition.leaves()):
        return []
    anew = f"s{to.tag} & {f.bit | f.bit << len(to.cls.fields):#x} == {f.bit:#x}"
    error = f"absent(h{to.tag}, '{f.name}')"
    return [f"if not {to.present(f)} and {anew} and {to.own(f)} is not None: {to.refuse(error)}"]


def _compared(to: SourceWriter, f: Field, said: Expr, got: str, names: set[str], where: str = "") -> list[str]:
    code = said.code(to)  # type: ignore[arg-type]
    told, s, width = [to.cls.by_name[name] for name in names], f"s{to.tag}", len(to.cls.fields)
    part, given = f.bit << width, sum(g.bit for g in told)
    there = where + (f"{to.present(f)} and " if f.condition is not None else "")
    for leaf in said.leaves():
        if isinstance(leaf, Inner) and (loses_bits(said) or leaf.inner not in to.cls.fills.get(leaf.name, {})):
            given &= ~to.cls.by_name[leaf.name].bit  # whoever has such a field has to give it
    there += if_known(to.cls, said)
    free = f"not {s} & {given | part:#x}"  # what was captured is as it is
    if ruled := given & sum(g.bit for g in told if g.rule is not None and g is not f):  # on purpose is what is given anew, and what was captured with that which tells its size
        free = f"not {s} & ~({s} >> {width}) & {given:#x} and not ({s} & {part:#x} and {s} & {ruled << width:#x} == {ruled << width:#x})"
    error = f"differs(h{to.tag}, '{f.name}', {code}, {got})"
    return [f"if {there}{free} and {got} != {code}: {to.refuse(error)}"]


def differs(header: AnyHeader, name: str, said: int, got: int) -> BuildError:
    """Return the error for a size or count that is not the one a reader will go by."""
    f, where = header._by_name[name], f"{type(header).__name__}.{name}"
    rule, what = (f.size, "size_of") if f.size is not None else (f.count, "count_of")
    unit = "items" if rule is f.count else "bytes"
    if rule is None:
        assert f.rule is not None
        hint = f"give {name} too to send it so"
        return BuildError(where, f"a size that comes back from {words(f.rule)}", f"{got}, which is read as {said}", hint)
    hint = given_or(header._declaration, names, rule, f"{what}({name!r})") if (names := needs(rule)) else follows_around(rule)
    if follows_from(header._declaration, names, name):
        hint = f"{', '.join(sorted(names))} can be given too"
    if not loses_bits(rule) and (filled := [str(leaf) for leaf in rule.leaves() if isinstance(leaf, Inner) and leaf.inner in header._declaration.fills.get(leaf.name, {})]):
        hint = f"{', '.join(filled)} follows where nothing of it is given, in the default of the field neither"
    return BuildError(where, f"{said} {unit}, as {words(rule)} says", f"{got} {unit}", hint + ', or with since="self" the bytes before it count' * (f.align > 0 == f.lead))


def follows_around(rule: Expr) -> str:
    """Return how a number of another header that a rule names comes to fit; "" where it names none, or more than such numbers."""
    if not (leaves := [leaf for leaf in rule.leaves() if not isinstance(leaf, Const)]):
        return "give as many; value=(...) in many(...) has those that are built without"
    if all(isinstance(leaf, Recalled) for leaf in leaves):
        return "an earlier packet said so: as many, or build that one anew before it, in `with Context():`"
    texts = [leaf for leaf in leaves if isinstance(leaf, OuterSays)]
    if texts and len(texts) == len(leaves):
        return ", ".join(f"{Elsewhere.__str__(leaf)} can be given so" for leaf in texts)
    if not all(type(leaf) is Elsewhere and leaf.path for leaf in leaves):
        return ""
    return ", ".join(f"{leaf} can be given too, or follows where it is auto" for leaf in dict.fromkeys(map(str, leaves)))


def absent(header: AnyHeader, name: str) -> BuildError:
    """Return the error for a value of a field that is not there."""
    f = header._by_name[name]
    assert f.condition is not None
    hint = given_or(header._declaration, names, f.condition, f"has({name!r})") if (names := needs(f.condition)) else follows_around(f.condition)
    raw = getattr(header, f.slot)
    got = f.kind.text(raw) if f.kind.wire != "items" else f.kind.item.name if f.kind.one else f"items of {f.kind.item.name}"
    return BuildError(
        f"{type(header).__name__}.{name}", f"a field that is there, as it is where {words(f.condition)}", got, hint
    )


def not_given(header: AnyHeader, name: str) -> BuildError:
    """Return the error for a field that is None where its size or count says otherwise, or the other way round."""
    f, where = header._by_name[name], f"{type(header).__name__}.{name}"
    if f.left:
        assert f.condition is not None
        got, hint = ("None", f"give {name}=...") if getattr(header, f.slot) is None else ("a value of no bytes", f"leave {name} out")
        return BuildError(where, f"a value where {words(f.condition)}, and only there", got, hint)
    measure, what = (f.size, "size_of") if f.count is None else (f.count, "count_of")
    assert measure is not None
    hint = given_or(header._declaration, names, measure, f"{what}({name!r})") if (names := needs(measure)) else follows_around(measure)
    got = "None" if getattr(header, f.slot) is None else "a value"
    return BuildError(where, f"None where {words(measure)} is {f.none}, and only there", got, hint)


def beyond(header: AnyHeader, name: str, size: int) -> BuildError:
    """Return the error for a payload above a header of which a field goes on to the end."""
    what, hint = type(header).__name__, f"give the bytes as part of {name}, or declare {name} with a size"
    return BuildError(what, f"nothing above it, since {name} goes on to the end", f"{size} bytes", hint)


def after_last(header: AnyHeader, above: str) -> BuildError:
    """Return the error for a header above one that nothing follows."""
    hint = "bytes above it only fill the packet; last=True of its class says so"
    return BuildError(type(header).__name__, "no header above it, since it is the last", above, hint)


def unended(header: AnyHeader, name: str) -> BuildError:
    """Return the error for items of which none says that it is the last."""
    f = header._by_name[name]
    assert f.until is not None
    return BuildError(
        f"{type(header).__name__}.{name}", f"a last item for which {words(f.until)}, since more follows", "none"
    )


def after_end(field: Field, item: AnyHeader) -> BuildError:
    """Return the error for an item after the one that ends them."""
    assert field.until is not None
    return BuildError(
        f"{field.owner.name}.{field.name}",
        f"nothing after the item for which {words(field.until)}",
        repr(item),
        "give the items as bytes to send them so",
    )


def no_bytes(field: Field) -> BuildError:
    """Return the error for an item of no bytes, which no reader finds."""
    hint = "leave it out, or have a field in it that is always there"
    return BuildError(f"{field.owner.name}.{field.name}", "items of a byte or more", f"{field.kind.item.name} of none", hint)


def ends(field: Field, item: AnyHeader) -> bool:
    """Whether an item is the one that ends those of a repeated field."""
    assert field.until is not None
    return is_end(field.until, item)


def is_end(until: Expr, item: AnyHeader) -> bool:
    """Whether an item is one for which a list ends; so may be a prototype, which has no bytes yet."""
    if is_pattern(item):
        return True
    whole = type(item)._resolve(item, b"", (item,), 0, None)
    return bool(until.evaluate(ItemValues(whole, b"", 0)))


NAMES: dict[str, object] = {
    "differs": differs, "absent": absent, "not_given": not_given, "beyond": beyond, "after_last": after_last, "unfound": unfound,
    "otherwise": otherwise, "was_said": was_said,
}  # fmt: skip
"""What the lines of `checks` refer to."""


# Tried once ----------------------------------------------------------------------------------------------------------


def prove(cls: Declaration) -> None:
    """Build and read a handful of headers of a declaration of a user's. DeclareError where one does not come back as it was.

    The values are always the same: defaults, all bits set, and a few bytes or items in each field of varying size.
    """
    if any(isinstance(leaf, Recalled) for one in read_with(cls) for leaf in one.outer_leaves):
        return  # what comes back follows from other packets
    if cls.view is not None or cls.in_bits:
        return  # its base and the header inside prove themselves; an item of bits is none by itself
    for f in cls.fields:
        for raw in (f.kind.zero, f.default) if _is_own(f) else ():
            if raw is not None and raw is not REQUIRED:
                _comes_out(cls, f, raw)
    if _is_left_out(cls) and cls.has_trailer:
        return
    bodies = (b"",) if _reaches_end(cls) else (b"", b"\x5a\xa5\x5a")
    errors = [_come_back(cls, values, body) for values in _samples(cls) for body in bodies]
    varying = [f for f in cls.fields if f.kind.bits is None and f.kind.wire != "payload"]
    if errors and None not in errors and len(varying) == 1 and not (varying[0].kind.one and varying[0].default is REQUIRED):  # of several, each may want a size of its own
        errors += [_come_back(cls, values, b"") for values in _samples(cls, tuple((size,) for size in range(65)))]
        said = {**cls.plan.sizes, **cls.plan.counts}
        ruled = {name for name, rule in said.items() if _measures(cls, rule, name) and not cls.by_name[name].kind.transforms}
        wheres = {f"{cls.name}.{name}" for name in ruled}
        if errors[-1] is not None and all(error is not None and error.where in wheres for error in errors):
            raise DeclareError(errors[-1].where, f"{errors[-1].expected}, for some size", f"{errors[-1].got}")


def _measures(declaration: Declaration, rule: Expr, name: str) -> bool:
    """Whether the size that a rule tells for a field follows from the field's own size alone."""
    found: set[bool] = set()
    for leaf in rule.leaves():
        if isinstance(leaf, Size | Count):
            found.add(leaf.name == name)
        elif not isinstance(leaf, Const):
            below = declaration.by_name[leaf.name].rule if isinstance(leaf, Ref) else None
            found.add(below is not None and _measures(declaration, below, name))
    return found == {True}


def _is_own(f: Field) -> bool:
    kind = f.kind
    return kind.wire == "coded" or (not kind.verbatim if kind.wire == "bytes" else kind.wire == "number" and not kind.orders_raw)


def _comes_out(cls: Declaration, f: Field, raw: object) -> None:
    """Refuse a kind that takes the value of a raw form for another one."""
    value = f.kind.value(raw)
    try:
        again = f.kind.raw(value, f"{cls.name}.{f.name}")
    except (BuildError, TypeError, ValueError):
        return  # shown in a form that is not taken
    if again != raw:
        got = f"{value!r:.200}, whose raw form is {again!r:.200}"
        raise DeclareError(f"{cls.name}.{f.name}", f"a kind whose raw gives {raw!r:.200} again", got)


def _samples(
    cls: Declaration, sizes: tuple[tuple[int, ...], ...] = ((1, 2, 3), (8, 8, 8), (24,))
) -> list[dict[str, object]]:
    plan = cls.plan
    stated = [said.size for said in (plan.own, plan.total, plan.payload) if said is not None]
    stated += [f.place for f in cls.fields if f.place is not None]
    measures = set().union(*map(needs, (*plan.sizes.values(), *plan.counts.values(), *stated)))
    free = [f for f in cls.fields if f.rule is None and not f.pad and not f.fixed and f.heap is None and f.kind.wire != "payload"]
    if cls.when is not None:
        deciding = [cls.by_name[name] for name in needs(cls.when)]
        if any(f.default is REQUIRED or f.rule is not None or f.computed is not None for f in deciding) or _is_around(cls, cls.when):
            return []  # what makes it one is up to who builds it, or to what stands around it
        free = [f for f in free if f not in deciding]
    usual = {
        f.name: f.kind.zero
        for f in free
        if f.default is REQUIRED and f.condition is None and (f.kind.bits is not None or _is_own(f))
    }
    numbers = [f for f in free if f.kind.is_number and f.condition is None and f.name not in measures]
    full, least = {f.name: f.kind.high for f in numbers}, {f.name: f.kind.low for f in numbers}
    if usual.keys() & measures:
        return []  # sizes that only who builds it knows
    open_ended = [f for f in free if f.kind.bits is None and not _is_own(f) and not f.align and f.until is None]
    # Some cannot be built without what stands around, and a list that its last item ends needs one.
    open_ended = [f for f in open_ended if not is_read_at_once(f) and not (f.kind.one and _wants_an_end(f.kind.item))]
    open_ended = [f for f in open_ended if not (is_around(f) and all(g.condition is not None for g in f.kind.item.before))]
    open_ended = [f for f in open_ended if f.kind.wire != "items" or not _becomes(f.kind.item)]
    found = [usual, usual | full, usual | least]
    if plan.payload is not None:
        rule = plan.payload.size
        among = {1, *(leaf.number for leaf in rule.leaves() if isinstance(leaf, Const))}
        deciding = [f for f in free if f.name in needs(rule) - _followed(rule) and f.kind.is_number]
        found += [usual | {f.name: n} for f in deciding for n in among if f.kind.low <= n <= f.kind.high]
    for each in sizes:
        some = {f.name: _of_size(f, each[i % len(each)]) for i, f in enumerate(open_ended)}
        found += [usual | some] if some else []
    far = [(f, one.name) for f in free if f.kind.wire == "items" for one in f.kind.item.fields if one.heap is not None]
    found += [usual | {f.name: tuple(classes[f.kind.item](**{name: data}) for data in (b"\1\2\3", b"\4"))} for f, name in far]
    return found + [usual | {f.name: f.kind.zero} for f in free if f.condition is not None and f.kind.bits is not None][:8]


def _becomes(item: Declaration) -> bool:
    """Whether a header with nothing given is read as one that goes on from it (see `refinement.reading`)."""
    if not any(one.view is None for one in refinements(item)):
        return False
    try:
        data = bytes(classes[item]())
    except BuildError:
        return False
    return type(classes[item]._decode(data, 0, len(data), Dissection())[0]) is not classes[item]


def _wants_an_end(item: Declaration, inside: tuple[Declaration, ...] = ()) -> bool:
    """Whether a header has, at any depth, a list that one of its items ends."""
    held = [f.kind.item for f in item.fields if f.kind.wire == "items" and f.kind.item not in inside]
    return any(f.until is not None for f in item.fields) or any(_wants_an_end(one, (*inside, item)) for one in held if one is not item)


def _is_around(cls: Declaration, rule: Expr) -> bool:
    """Whether a rule follows from what stands around the header, directly or by way of computed values."""
    for leaf in rule.leaves():
        computed = cls.by_name[leaf.name].computed if isinstance(leaf, Ref) else None
        if isinstance(leaf, Elsewhere) or (computed is not None and _is_around(cls, computed)):
            return True
    return False


def _of_size(f: Field, size: int) -> object:
    """Return bytes, or an item for each eight of them."""
    if f.kind.transforms:
        inside: Field = f.kind.field  # type: ignore[attr-defined]
        some = _of_size(inside, size)
        return InnerValue((some,) if inside.kind.one else some)
    if f.kind.one:
        return classes[f.kind.item]()
    if f.kind.wire != "items":
        return f.kind.sound(bytes(range(1, size + 1)))
    return tuple(classes[f.kind.item]() for _ in range(-(-size // 8)))


def _reaches_end(header: Declaration, inside: tuple[Declaration, ...] = ()) -> bool:
    """Whether a header, or one that it holds, may leave no room for a payload, or its size is for the user to tell."""
    plan = header.plan
    held = [f.kind.item for f in header.before if f.kind.wire == "items" and f.name not in plan.sizes]
    if any(_reaches_end(item, (*inside, header)) for item in held if item is not header and item not in inside):
        return True
    return _is_left_out(header) or (any(isinstance(step, Open) for step in plan.steps) and plan.own is None)


def _is_left_out(header: Declaration) -> bool:
    """Whether an option of the class tells the payload's size, and by more than fields that follow from it."""
    said = header.plan.payload
    if said is None or said.field is not None:
        return False
    rules = [header.by_name[name].rule for name in _followed(said.size)]
    return not rules or any(rule is None or isinstance(rule, Next) for rule in rules)


def _followed(rule: Expr) -> set[str]:
    """Names of the fields that a size follows from, not only which of several it is."""
    deciding = set().union(*(needs(part.condition) for part in rule.parts() if isinstance(part, If)))
    return needs(rule) - deciding or needs(rule)


def _come_back(said: Declaration, values: dict[str, object], body: bytes) -> BuildError | None:
    cls = classes[said]
    try:
        own = {f: values[f.name] for f in said.fields if f.name in values and _is_own(f)}
        header = cls._copied(cls(**{name: value for name, value in values.items() if said.by_name[name] not in own}))
        for f, raw in own.items():
            setattr(header, f.slot, raw)
            header._state |= f.bit
        data = cls._encode(header, body, (header,), 0, None)
        whole = cls._resolve(header, body, (header,), 0, None)
    except BuildError as error:
        return error  # values that do not go together are refused, here as ever
    seen = Dissection()
    read, start, end, _ = cls._decode(data, 0, len(data), seen)
    if type(read) is not cls:
        return None  # one that it refines into, which proves itself
    for f in said.fields if whole._state < said.prototype_bit else ():
        if f.kind.wire == "items" and is_around(f) and refinements(f.kind.item):
            return None  # what is held may have to be one that goes by what stands around it
        built, got = (getattr(h, f.slot) for h in (whole, read))
        if built is not None and got is not None and f.kind.wire == "items":
            built, got = (h._items_of(f) for h in (whole, read))
        if built != got and f.heap is None:
            _refuse(said, f.name, built, got, data)
    if _is_left_out(said):
        return None  # nothing of what is built says how much there is
    if data[start:end] != body:
        _refuse(said, "", body, data[start:end], data)
    if broken(seen.faults):
        _refuse(said, seen.faults[0].field, "no fault", str(seen.faults[0]), data)
    return None


def _refuse(cls: Declaration, name: str, built: object, read: object, data: bytes) -> None:
    what = f"{cls.name}.{name}" if name else f"{cls.name}, the payload"
    short = data.hex() if len(data) <= 64 else data[:64].hex() + "..."
    gap = cls.by_name.get(name)
    hint = placed_anew(cls, gap) if gap is not None and gap.place is not None else ""
    if gap is not None and gap.condition is not None and read is None and (flags := sorted(name for name in needs(gap.condition) if cls.by_name[name].rule is not None)):
        hint = f'{", ".join(flags)}, and each flag before that leads there, follows from what it leads to: auto(has("{name}"))'
    raise DeclareError(
        what, f"a declaration that reads back what it builds: {built!r:.200} in {short}", f"{read!r:.200}", hint
    )
