"""What a class that refines another may not be: see `registered`."""

from __future__ import annotations

from packetlab.declare.declaration import Declaration
from packetlab.declare.expressions import Const, Expr, OneOf, Op, Ref
from packetlab.declare.fields import Field
from packetlab.declare.intervals import Range, bounds, check_can_hold, words
from packetlab.declare.places.inner import Inner, with_inner
from packetlab.declare.refinement.registered import numbers, refinements
from packetlab.declare.rules import apart
from packetlab.declare.validate import ITEM, Leaves, described, field_of
from packetlab.declare.values.delimited import Delimited
from packetlab.declare.values.said import FirstOf, Says
from packetlab.errors import DeclareError


def check_base(name: str, base: Declaration | None, inside: object, when: object) -> None:
    """Refuse `inside=` that names no bytes of a base, or says nothing of when they are such."""
    where = f"{name}, inside="
    if base is None:
        raise DeclareError(where, "a base that has the field", "none", f"class {name}(TheBase, inside=...)")
    if not isinstance(inside, str):
        raise DeclareError(where, f"the name of a field of {base.name}", repr(inside))
    if base.view is not None:
        return  # the header inside is checked, of which the class is a refinement there
    f = field_of(base, inside, where)
    kind = f.kind.inner if isinstance(f.kind, Delimited) else f.kind
    bare = kind.verbatim and not kind.counted and kind.wire in ("open", "bytes") and kind.element is None
    if not bare or f.pad or f.fixed:
        hint = "sized(...), Rest and a size_of rule end such bytes"
        if f.kind.transforms:
            hint = f"a field of what is inside may go through them: {inside} as plain bytes, and in this class body: Inner = through(...)"
        raise DeclareError(where, "a field of delimited bytes", f"{inside}, {described(f.kind)}", hint)
    if when is None:
        raise DeclareError(where, f"when= too, which says where {inside} is such", "none")


def check_refinement(header: Declaration) -> None:
    """Refuse a condition that the base cannot tell, and one that may hold together with another's."""
    base, rule = header.refines, header.when
    assert base is not None and rule is not None
    where = f"{header.name}, when="
    if header.view is not None and header.remembers is not base.remembers:
        hint = "a refinement without inside=, whose fields go on after the base's, may"
        raise DeclareError(f"{header.name}, remembers=", "no such thing of a class that takes a field apart", header.view[0], hint)
    if header.is_deeper:
        return  # its condition is one of the header inside
    beyond = next((one for one in rule.leaves() if isinstance(one, FirstOf) and one.name not in base.by_name), None)
    if beyond is not None:
        hint = "a number in a header that a field there holds: as a computed field of that outer header"
        raise DeclareError(where, f"a field of {base.name}, or a header around and one field of it", str(beyond), hint)
    check_can_hold(rule, Leaves(base, where, ITEM), where)
    later = {f.name for f in base.after}
    for leaf in rule.leaves():
        if getattr(leaf, "name", "") in later:
            raise DeclareError(where, f"fields of {base.name} before its payload", str(leaf))
    for other in refinements(base):
        if other.key != header.key and other.when is not None and not _apart(base, rule, other.when):
            hint = "declare it again under that name to replace it, or inside `with bindings():`, which ends with the block; numbers of one field: when={'name': range(first, end)}"
            raise DeclareError(where, f"a condition apart from that of {other.key.replace('.__inside__', '')} ({words(other.when)})", words(rule), hint)


def _apart(base: Declaration, one: Expr, other: Expr) -> bool:
    """Whether two conditions can be seen never to hold together."""
    return apart(one, other) or _excludes(base, one, other) or _excludes(base, other, one) or _never_both(base, one, other)


def _excludes(base: Declaration, exact: Expr, other: Expr) -> bool:
    """Whether a condition never holds where a field has one of the numbers that another one wants."""
    wanted = numbers(exact)
    if wanted is None or len(wanted[1]) > 256:
        return False
    leaves, (name, among) = Leaves(base, base.name, ITEM), wanted

    def holds(number: int) -> bool:
        def leaf(of: Expr) -> Range:
            return (number, number) if isinstance(of, Ref) and of.name == name else leaves(of)

        return bounds(other, leaf, base.name)[1] != 0

    return not any(map(holds, among))


def _never_both(base: Declaration, one: Expr, other: Expr) -> bool:
    """Whether for each number of a field that both name one of two conditions fails: its range is halved until that is plain."""
    leaves = Leaves(base, base.name, ITEM)
    shared = {leaf.name: leaf for leaf in one.leaves() if isinstance(leaf, Ref)}
    for leaf in other.leaves():
        if not isinstance(leaf, Ref) or leaf.name not in shared:
            continue
        todo, tries = [leaves(leaf)], 0
        while todo and tries < 4096:
            low, high = todo.pop()
            tries += 1

            def narrowed(of: Expr, name: str = leaf.name, within: Range = (low, high)) -> Range:
                return within if isinstance(of, Ref) and of.name == name else leaves(of)

            if all(bounds(rule, narrowed, base.name)[1] != 0 for rule in (one, other)):
                if low == high:
                    todo = [(low, high)]
                    break
                middle = (low + high) // 2
                todo += [(low, middle), (middle + 1, high)]
        if not todo:
            return True
    return False


def restated(base: Declaration, rule: Expr) -> dict[str, int | str | bytes]:
    """Return other defaults for the fields of a base: the first numbers, or texts, for which a condition alone holds."""
    found: dict[str, int | str | bytes] = {}
    for one in _joined(rule):
        said = numbers(one)
        if said is not None and said[1]:
            f = base.by_name.get(said[0])
            if f is None or f.default not in said[1]:
                found[said[0]] = said[1][0]
        elif isinstance(one, Says):
            found[one.name] = one.words[0]
    return {name: number for name, number in found.items() if _can_default(base.by_name.get(name))}


def settled(header: Declaration, rule: Expr) -> Expr:
    """Return the condition of a class that refines another, in which "key.kind" is a number in the header that `key` holds.

    Such a number follows from it then, in headers of the class that are built without.
    """
    base = header.refines
    assert base is not None
    for (name, inner), number in ({} if base.view else wanted_in_held(base, rule)).items():
        header.fills.setdefault(name, {}).setdefault(inner, Const(number))
    for name, numbers_in_held in base.fills.items():  # what the base says of itself holds for what refines it
        header.fills[name] = {**numbers_in_held, **header.fills.get(name, {})}
    for name in header.fills:
        f = header.by_name[name]
        f.filled = True
        f.derive(f.rule)  # the field may be that of the base too: it reads its header as each class fills it
    return base.when if base.view and base.when is not None else with_inner(rule, base.by_name, f"{header.name}, when=")


def wanted_in_held(base: Declaration, rule: Expr) -> dict[tuple[str, str], int]:
    """Return the first numbers, of headers that fields of a base hold, for which a condition holds: (field, field in it) -> number."""
    found = dict[tuple[str, str], int]()
    for one in _joined(with_inner(rule, base.by_name, f"what refines {base.name}, when=")):
        inner, number = next(iter(one.operands()), None), None
        if isinstance(one, OneOf) and one.among:
            number = one.among[0]
        elif isinstance(one, Op) and one.sign == "==" and isinstance(one.right, Const):
            number = one.right.number
        if isinstance(inner, Inner) and number is not None and inner.kind.item is not None:
            f = inner.kind.item.by_name.get(inner.inner)
            if f is not None and f.rule is None and not f.fixed:
                found[inner.name, inner.inner] = number
    return found


def _joined(rule: Expr) -> list[Expr]:
    """Return the conditions that are joined by & in one."""
    found, todo = list[Expr](), [rule]
    while todo:
        one = todo.pop()
        if getattr(one, "sign", "") == "&" and one.is_truth:
            todo += one.operands()
        else:
            found.append(one)
    return found


def _can_default(f: Field | None) -> bool:
    from_rule = f is not None and f.rule is not None and f.default is None
    return f is not None and not from_rule and not f.fixed and f.none is None and not isinstance(f.condition, Const)
