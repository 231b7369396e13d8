"""Offsets of fields in their header: `offset_of` in rules, and fields that lie at an offset, `at`."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from packetlab.declare.bits.shares import shares
from packetlab.declare.expressions import (
    SIGNS,
    Checksum,
    Const,
    Expr,
    If,
    NamedExpr,
    Next,
    Op,
    Ref,
    Scope,
    Size,
    expression,
)
from packetlab.declare.fields import REQUIRED, Spec, filler, pad, spec_of
from packetlab.declare.kinds import ByteString, Kind
from packetlab.declare.places.heaps import Heap, is_bytes, settle_heaps
from packetlab.declare.places.inner import Inner, solved_inside
from packetlab.declare.places.origins import OwnPlace, checked_origin
from packetlab.errors import DeclareError, suggestion

if TYPE_CHECKING:
    from packetlab.declare.fields import Field


class OffsetOf(NamedExpr):
    """Where a field begins, counted from its header's start, or another one's: the sizes before it, once the fields are known."""

    __slots__ = ("since",)

    verb = word = "offset_of"

    def __init__(self, name: str, since: str = "self") -> None:
        super().__init__(name)
        self.since = since


def offset_of(name: str, *, since: str = "self") -> Expr:
    """Where the field `name` begins, in bytes from its header's start: ``offset: U32 = auto(offset_of("blob"))``.

    It is the sum of the sizes before it. With ``since="SMB2"`` it counts from the beginning of the nearest header of that class
    around it, with ``since="packet"`` from that of the packet; ``offset_of("self", since="SMB2")`` is where the header itself
    begins. Where no such header is around it, its own start counts. A field that lies where another one says is
    ``blob: Bytes = at(field("offset"), ...)``.
    """
    return OffsetOf(name, checked_origin(since, "offset_of(...)", inside=True))


def at(offset: object, value: object = REQUIRED, *, align: int = 1, since: str = "self", within: str = "", fill: bytes = b"\0") -> Any:
    """A field that begins `offset` bytes from its header's start, as fields before it tell: ``at(field("offset"), sized(field("length")))``.

    `value` is ``sized(...)``, ``many(...)``, a default. Fields lie in the order in which they are declared; several in a row whose
    sizes earlier fields tell may lie in another one, which is kept while their offsets are given, or captured and what is edited fits
    in there; else captured offsets follow anew. The bytes between are a field of their own, called like it and ``_gap`` (see
    ``pad(to=...)``): kept as they were captured, and zeros up to a multiple of `align` where they are built. A field of a size of 0
    lies nowhere. An offset before the end of the field before it, or beyond what there is, is a fault at the gap. With
    ``since="SMB2"`` or ``since="packet"`` offset and multiple count from there, as in `offset_of`.

    With `within` the field, Bytes in an item of a list, lies in another one of the header that holds the list, which `since` names:
    ``blob: Bytes = at(field("offset"), sized(field("size"), b""), since="Load", within="blobs", align=8)``. The item ends before it.
    Blobs lie there in any order, with gaps, also on the same bytes; one of a size of 0 lies nowhere. One that does not lie there as a
    whole is a fault, its value what of it does. Where `blobs` is not given it follows from the items; BuildError where both are, and
    do not agree. With ``since="Load.blobs"`` offset and multiple count from where `blobs` begins, in `offset_of` too:
    ``position: U16 = auto(offset_of("blob", since="Load.blobs") // 4)`` is that in words. `fill` is the byte in the gaps that are built.
    """
    spec = spec_of(value)
    if within != "":
        spec.place, spec.since, spec.align = expression(offset), checked_origin(since, "at(...)", inside=True), align
        spec.fill = filler(fill, True, "at(..., fill=)")
        return lying_within(spec, within)
    spec.gap = pad(align, to=offset, since=checked_origin(since, "at(...)"), fill=fill)
    return spec


def lying_within(spec: Spec, within: str) -> Spec:
    """Return the right-hand side of a field that lies in one of the header that holds its own: at the `place` of `spec`, counted since what it says."""
    place, align, (since, _, inside) = spec.place, spec.align, spec.since.partition(".")
    hint = 'blob: Bytes = at(field("offset"), sized(field("size"), b""), since="Load", within="blobs")'
    if place is None or spec.size is None or spec.none is not None or spec.many or spec.through or spec.fixed:
        got = "through(...)" if spec.through else "fixed bytes" if spec.fixed else "none=" if spec.none is not None else spec.written
        raise DeclareError("at(..., within=)", "sized(...) bytes", got, hint)
    if spec.default not in (b"", REQUIRED):
        raise DeclareError("at(..., within=)", 'b"" as the default of bytes that lie elsewhere', f"{spec.default!r:.60}", hint)
    if not isinstance(within, str) or not within.isidentifier() or since in ("self", "packet"):
        raise DeclareError("at(..., within=)", "a field, of the header that since= names", f"within={within!r:.60}, since={since!r}", hint)
    if inside not in ("", within):
        raise DeclareError("at(..., within=)", f'since="{since}.{within}", to count from where {within} begins', f'since="{spec.since}"')
    if type(align) is not int or not 1 <= align <= 1 << 16:
        raise DeclareError("a field at an offset", "a multiple of 1 to 65536 bytes", repr(align))
    spec.heap, spec.size, spec.place, spec.since, spec.align, spec.leads = Heap(place, spec.size, since, within, align, bool(inside), spec.fill), None, None, "self", 0, False
    spec.fill = b"\0"
    return spec


def with_gap(make: Callable[[str, Kind, Spec], Any], name: str, kind: Kind, spec: Spec, taken: set[str]) -> list[Any]:
    """Return a field, with that of the bytes before it where it lies at an offset. DeclareError where the name of that is `taken`."""
    gap: Spec | None = spec.gap
    if spec.heap is not None and (not is_bytes(kind) or kind.rest or spec.condition is not None or spec.must is not None):
        got = "when(...)" if spec.condition is not None else "must(...)" if spec.must is not None else kind.in_words()
        raise DeclareError(f"{name}, within={spec.heap.within!r}", "Bytes that are always there: inside= takes them apart, and a size of 0 says that there are none", got)
    if gap is None:
        return [make(name, kind, spec)]
    gap.condition = spec.condition
    if f"{name}_gap" in taken:
        raise DeclareError(f"{name}_gap", f"a name that is free, for the bytes before {name}", "a field")
    return [make(f"{name}_gap", ByteString(), gap), make(name, kind, spec)]


def _settle_origins(header: str, fields: tuple[Field, ...]) -> None:
    """Let padding know where it counts from. DeclareError for a field at which no reader can begin to count."""
    by_name = {f.name: f for f in fields}
    for f in fields:
        if f.leads:
            f.lead = _lead(header, f, fields[: fields.index(f)])
        mark = by_name.get(f.since)
        if mark is None or f.since == "self":
            continue
        where, some = f"{header}.{f.name}, since", fields[: fields.index(mark)]
        bits = sum(g.kind.fixed_bits for g in some if g.condition is None)
        if f.place is not None:
            raise DeclareError(where, "a header for an offset to count from", f"{mark.name}, a field")
        if fields.index(f) <= fields.index(mark) or mark.condition is not None or mark.kind.loose or bits % 8:
            what = (
                "a later field"
                if fields.index(f) <= fields.index(mark)
                else "one that may be absent"
                if mark.condition is not None
                else "one among bits"
            )
            raise DeclareError(
                where, "a field before it that is always there and begins on a byte", f"{mark.name}, {what}"
            )
        f.mark, f.origin = mark, None


def _lead(header: str, f: Field, before: tuple[Field, ...]) -> int:
    """Return how many bytes stand before a list that is filled up to a multiple from its header's start."""
    if f.since != "self":
        raise DeclareError(f"{header}.{f.name}, since", '"self" for a list', repr(f.since))
    varying = next((g.name for g in before if g.kind.bits is None or g.condition is not None), None)
    bits = sum(g.kind.bits or 0 for g in before)
    if varying is not None or bits % 8:
        got = f"{bits} bits" if varying is None else varying
        raise DeclareError(f"{header}.{f.name}, since", "fields of fixed sizes before the list, in whole bytes", got, "a header in a field, before it or around it, has a start of its own")
    return bits // 8


def settle_offsets(header: str, fields: tuple[Field, ...], before: list[Field], fills: dict[str, dict[str, Expr]]) -> list[tuple[str, str]]:
    """Let rules say sizes where they say offsets; return the fields that ask for one, and of what. `fills` gets those in headers that fields hold.

    DeclareError for offsets of what is no field, or stands after a payload.
    """
    found: list[tuple[str, str]] = []
    settle_heaps(header, fields, OffsetOf)
    _settle_origins(header, fields)
    for f in fields:
        if f.place is not None and f not in before:
            where, hint = f"{header}.{f.name.removesuffix('_gap')}", "after a payload places count from the end: from_end(...)"
            raise DeclareError(where, "a field before the payload at an offset", "one after it", hint)
        if f.place is not None:
            _check_default(header, f, before)
            _follow_inside(header, f, before, fills)
        rule = f.rule
        if rule is not None and not isinstance(rule, Checksum | Next):
            names = [one.name for one in rule.leaves() if isinstance(one, OffsetOf)]
            if names:
                _check_same_origin(header, f, fields)
                _check_circle(header, f, names, before)
                f.rule = _sizes(rule, f"{header}.{f.name}", before)
                found += [(f.name, name) for name in names if name != "self"]
    return found


def _follow_inside(header: str, gap: Field, before: list[Field], fills: dict[str, dict[str, Expr]]) -> None:
    """Let an offset follow that is a number of a header in a field, of a class whose fields all take as many bytes whatever is in them."""
    after, inner = before[before.index(gap) + 1 :][:1], [leaf for leaf in gap.place.leaves() if isinstance(leaf, Inner)] if gap.place is not None else []
    if gap.place is None or not after or len(inner) != 1 or any(isinstance(leaf, NamedExpr) and leaf is not inner[0] for leaf in gap.place.leaves()):
        return
    (one,) = inner
    item = one.kind.item
    told = () if gap.condition is None else gap.condition.leaves()
    if item is None or any(isinstance(leaf, Inner) and leaf.name == one.name for leaf in told):
        return
    g = item.by_name.get(one.inner)
    solved = solved_inside(gap.place, _sizes(OffsetOf(after[0].name, gap.since), f"{header}.{gap.name}", before))
    always = all(f.kind.bits is not None and f.condition is None for f in item.fields)
    if g is not None and g.rule is None and not g.fixed and g.computed is None and always and solved is not None:
        fills.setdefault(one.name, {}).setdefault(one.inner, solved)


def _check_default(header: str, gap: Field, before: list[Field]) -> None:
    """Refuse an offset whose default lies in the fields before the first place, so that no header could be built as it stands."""
    if not before[before.index(gap) + 1 : before.index(gap) + 2] or not before[before.index(gap) + 1].kind.fixed_bits:
        return  # what may be of no bytes lies nowhere then
    if gap.condition is not None or not gap.name.endswith("_gap") or gap.since != "self" or (offset := _usual(gap.place, before[: before.index(gap)])) is None:
        return
    first = next(place for place, f in enumerate(before) if f.place is not None)
    always = [f for f in before[:first] if f.condition is None]
    ends = sum(f.kind.fixed_bits for f in always) // 8
    ends += sum(len(f.kind.write(f.default)) for f in always if f.kind.wire == "coded" and isinstance(f.default, int))
    if offset < ends and gap.place is not None:
        name, rule, by = gap.name.removesuffix("_gap"), str(gap.place), next(leaf.name for leaf in gap.place.leaves() if isinstance(leaf, Ref))
        hint = f'the field that says where {name} lies follows it: auto(offset_of("{name}")); without a default it has to be given'
        what = "a default of" if rule == by else f"defaults for which {rule} is"
        raise DeclareError(f"{header}.{by}", f"{what} {ends} or more, where the fields before {name} end", offset, hint)


def _usual(place: Expr | None, fields: list[Field]) -> int | None:
    """Return the number that a rule comes to where nothing is given; None where defaults of the fields before it do not tell."""
    leaves = () if place is None else place.leaves()
    known = {f.name: f.default for f in fields if f.rule is None and f.computed is None and isinstance(f.default, int)}
    if place is None or not any(isinstance(leaf, Ref) for leaf in leaves) or not all(isinstance(leaf, Const) or (type(leaf) is Ref and leaf.name in known) for leaf in leaves):
        return None
    try:
        return place.evaluate(cast("Scope", SimpleNamespace(value=known.__getitem__)))
    except (ArithmeticError, ValueError):  # by 0, or a shift by less than nothing: what is refused for itself
        return None


def _check_circle(header: str, f: Field, names: list[str], before: list[Field]) -> None:
    """Refuse an offset in a number that takes as many bytes as it needs, where what fills up before the place goes by these."""
    if f.kind.wire != "coded" or f.kind.always or f not in before:
        return
    for name in names:
        between = before[before.index(f) + 1 : next((place for place, g in enumerate(before) if g.name == name), 0)]
        filling = next((g.name for g in between if g.pad), None)
        if filling is not None:
            hint = "Annotated[int, digits(width=4)] and Annotated[int, bits(16)] always take as many"
            raise DeclareError(f"{header}.{f.name}", f"a number of a fixed size, as {filling} fills up by where it ends", f.kind.in_words(), hint)


def _check_same_origin(header: str, f: Field, fields: tuple[Field, ...]) -> None:
    """Refuse an offset that is counted from one place where it is built, and from another one where it is read."""
    by_name = {g.name: g for g in fields}
    for leaf in f.rule.leaves() if f.rule is not None else ():
        gap = by_name.get(f"{leaf.name}_gap") if isinstance(leaf, OffsetOf) else None
        if not isinstance(leaf, OffsetOf) or gap is None or not isinstance(gap.place, Ref) or gap.place.name != f.name:
            continue
        built, read = ("self" if since == header else since for since in (leaf.since, gap.since))
        if built != read:
            way = f'at(field("{f.name}"), ..., since="{built}")'
            raise DeclareError(f"{header}.{leaf.name}", f'an offset since="{built}", as {f.name} is built', f'since="{read}"', way)


def _sizes(rule: Expr, where: str, before: list[Field]) -> Expr:
    if isinstance(rule, Op):
        return _folded(rule.sign, _sizes(rule.left, where, before), _sizes(rule.right, where, before))
    if isinstance(rule, If):
        return If(*(_sizes(one, where, before) for one in (rule.condition, rule.yes, rule.no)))
    if not isinstance(rule, OffsetOf):
        return rule
    if "." in rule.since:
        raise DeclareError(where, f"since={rule.since!r} of a field that lies there: at(..., since={rule.since!r}, within=...)", rule.name, f'since="{rule.since.partition(".")[0]}" counts from the start of that header')
    origin: Expr = Const(0) if rule.since == "self" else OwnPlace(rule.since)
    if rule.name == "self":
        return origin
    names = [f.name for f in before]
    if rule.name not in names:
        held, _, inner = rule.name.partition(".")
        hint = f'offset_of("{held}") + n, where {inner} lies n bytes after the beginning of {held}' if inner and held in names else suggestion(rule.name, names)
        if held == "^":
            own = where.rpartition(".")[2]
            hint = f'without a rule it follows: in the header that has such a field, here called key, at(field("key.{own}"), ...) says where {inner} lies'
        raise DeclareError(where, "a field before the payload in offset_of(...)", rule.name, hint)
    some = before[: names.index(rule.name)]
    # Whether what fills up in front of it is there goes by the very offset, where the field is not always there.
    gap = some.pop() if some and some[-1].name == f"{rule.name}_gap" and some[-1].condition is not None else None
    loose = any(shares(f) and (f.condition is not None or f.kind.bits is None) for f in some)
    varying = [f for f in some if f.kind.bits is None or f.condition is not None or (loose and shares(f))]
    found: Expr = Const(sum(f.kind.fixed_bits for f in some if f not in varying) // 8)
    for f in varying:
        found = found + Size(f.name)
    found = found if isinstance(origin, Const) else found + origin
    if gap is None or gap.pad == 1:
        return found
    multiple = Const(gap.pad)
    return _folded("*", _folded("//", _folded("+", found, Const(gap.pad - 1)), multiple), multiple)


def _folded(sign: str, left: Expr, right: Expr) -> Expr:
    """Return an operation, or the number that it comes to where fields of fixed sizes leave nothing else."""
    if isinstance(left, Const) and isinstance(right, Const) and (sign in "+-*" or (sign == "//" and right.number)):
        return Const(SIGNS[sign](left.number, right.number))
    return Op(sign, left, right)
