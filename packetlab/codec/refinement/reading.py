"""What compiled readers do about headers that others become: choices as soon as they are known, refinements at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from packetlab.codec.around.outer import reach
from packetlab.codec.objects import classes, restored
from packetlab.codec.places.held import HeldBytes
from packetlab.codec.places.surroundings import around, is_placed
from packetlab.codec.refinement.views import read_whole
from packetlab.codec.source import Extents
from packetlab.declare.declaration import Declaration
from packetlab.declare.places.left import goes_by_left
from packetlab.declare.plan import Fixed, needs
from packetlab.declare.refinement.heaps import heap_of, is_late
from packetlab.declare.refinement.registered import numbers, refinements

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from packetlab.codec.objects import AnyHeader
    from packetlab.declare.expressions import Expr


def choices_of(header: Declaration) -> list[Declaration]:
    """Return the headers that go on after the fields of a header."""
    return [one for one in refinements(header) if one.view is None]


def views_of(header: Declaration) -> list[Declaration]:
    """Return the headers that take a field of a header apart."""
    return [one for one in refinements(header) if one.view is not None and not one.is_deeper]


def deeper(views: Iterable[Declaration]) -> dict[Declaration, Declaration]:
    """Return what headers that take a field apart become, by what the header inside has become."""
    found: dict[Declaration, Declaration] = {}
    for one in views:
        more = [after for after in refinements(one) if after.is_deeper]
        found |= {after.view[1]: after for after in more if after.view is not None} | deeper(more)
    return found


def is_refined(header: Declaration) -> bool:
    """Whether a header may become another, or is one that others become."""
    return header.refines is not None or bool(refinements(header))


def plain_size(header: Declaration) -> int | None:
    """Return how many bytes the field has that a refinement takes apart, where any bytes of that size will do; None elsewhere."""
    assert header.view is not None
    inner = header.view[1]
    plan, fields = inner.plan, inner.fields
    plain = all(isinstance(step, Fixed) for step in plan.head) and not (plan.trailer or inner.shortened or is_refined(inner))
    plain = plain and not inner.outer_leaves and not any(f.fixed or f.is_judged for f in fields)
    return plan.least if plain and plan.payload is not None and plan.total is None else None


def looker(header: Declaration) -> Callable[..., AnyHeader | bool | None]:
    """Return what says of raw bytes whether a refinement can take them apart: the header inside, True, or None for no.

    Where fields inside ask what stands around them (see `asking`), it is called with what is known of that, and with the values
    of the base's fields too.
    """
    assert header.view is not None
    inner = header.view[1]
    if (size := plain_size(header)) is not None:
        return lambda raw, *values, place=None, ctx=None: True if type(raw) is bytes and len(raw) == size else None
    if asking([header]):
        return lambda raw, *values, place=None, ctx=None: read_whole(
            inner, raw, restored(classes[header], header.captured_state, values), place, ctx, quick=True
        )
    return lambda raw, *values, place=None, ctx=None: read_whole(inner, raw, None, place, quick=True)


def asking(views: list[Declaration]) -> bool:
    """Whether fields inside one of some refinements name fields of the base."""
    return any(one.view is not None and reach(one.view[1]) > 0 for one in views)


class Refining(Extents):
    """Writes what `decode.Decoding` reads of a header that others become.

    `became` is what a reader of items does with one that is read by another class, `y`.
    """

    became: list[str]
    names: dict[str, object]
    _decided = False

    def is_marked(self, name: str) -> bool:
        """Whether something wants to know where a field begins."""
        if any(f.mark is not None and f.mark.name == name for f in self.cls.fields) or ((held := heap_of(self.cls)) is not None and held.within.name == name):
            return True
        if any(f.name == name and goes_by_left(f.must) for f in self.cls.late):
            return True
        return any(one.view is not None and one.view[0] == name for one in (self.cls, *self.views) if is_placed(one))

    @property
    def choices(self) -> list[Declaration]:
        return choices_of(self.cls)

    @property
    def views(self) -> list[Declaration]:
        return [one for one in views_of(self.cls) if not is_late(one)]

    def chosen(self) -> None:
        """Let another class read the header as soon as it is known which."""
        found = self.choices
        if self._decided or not found or not set().union(*(needs(one.when) for one in found if one.when is not None)) <= self.read:
            return
        self._decided = True
        self.find("y", found, lambda one: classes[one])
        became = self.became or [f"return y._decode(data, {self.start}, {self.end}, ctx)"]
        self.lines += ["if y is not None:", *("    " + line for line in became)]

    def new_header(self) -> None:
        """Make the header: one of a refinement's class where its condition holds and the bytes are what it says they are."""
        tag, own = self.tag, self.cls
        plain = f"h{tag} = new{tag}(*of{tag})"
        if own.when is not None and own.refines is not None:
            self.lines.append(f"if not {own.when.code(self)}: {self.away}")
        if own.view is not None and not is_late(own):
            self.names[f"L{tag}"] = looker(own)
            raw = self.v(own.view[0])
            made = self.made_of([own], f"new{tag}", f"of{tag}")
            self.lines += [f"w = L{tag}({raw}{self.values([own])})", f"if w is None: {self.away}", *made]
            self.lines += [f"if w is not True: h{tag}.__viewed__ = w", *self.held_in([own], own.view[0])]
            return
        views = self.views
        if not views:
            self.lines.append(plain)
            return
        self.find("x", views, lambda one: (looker(one), one.view and one.view[0], (classes[one],), classes[one].__new__, plain_size(one)))
        names = {one.view[0] for one in views if one.view is not None}
        raw = self.v([*names][0]) if len(names) == 1 else "{" + ", ".join(f"{n!r}: {self.v(n)}" for n in names) + "}[x[1]]"
        quick = any(plain_size(one) is not None for one in views) and len(names) == 1 and own.by_name[[*names][0]].condition is None
        quickly = f"len({raw}) == x[4] or " if quick else ""
        self.lines += [
            f"if x is None: {plain}", "else:", f"    w = {quickly}x[0]({raw}{self.values(views)})", f"    if w is None: {self.away}",
            *(f"    {line}" for line in self.made_of(views, "x[3]", "x[2]")), f"    if w is not True: h{tag}.__viewed__ = w",
            *(f"    {line}" for name in sorted(names) for line in self.held_in(views, name)),
        ]  # fmt: skip

    def made_of(self, views: list[Declaration], new: str, of: str) -> list[str]:
        """Return lines that make the header of a refinement, or of what refines it by the header inside it."""
        found, tag = deeper(views), self.tag
        if not found:
            return [f"h{tag} = {new}(*{of})"]
        self.names[f"D{tag}"] = {classes[inner]: (classes[one].__new__, (classes[one],)) for inner, one in found.items()}
        return [f"y = D{tag}.get(type(w)) or ({new}, {of})", f"h{tag} = y[0](*y[1])"]

    def held_in(self, views: list[Declaration], name: str) -> list[str]:
        """Return lines that have the bytes of a field keep the header inside them, where that goes by where they stand."""
        if not any(map(is_placed, views)):
            return []
        self.names["hold"], var = HeldBytes.of, self.v(name)
        several = len({one.view[0] for one in views if one.view is not None}) > 1
        return [f"if w is not True{f' and x[1] == {name!r}' if several else ''}: {var} = hold({var}, w)"]

    def values(self, views: list[Declaration]) -> str:
        """Source for the values of the base's fields where one of some refinements wants them."""
        place = ""
        if any(map(is_placed, views)):
            self.names.update(place_around=around)
            names = sorted({one.view[0] for one in views if one.view is not None})
            at = f"o_{names[0]}{self.tag}" if len(names) == 1 else "{" + ", ".join(f"{n!r}: o_{n}{self.tag}" for n in names) + "}[x[1]]"
            place = f", place=place_around(ctx, declaration{self.tag}, data, {self.start}, {at})"
        if not asking(views):
            return place
        self.names.setdefault("ctx", None)
        return "".join(f", {'None' if f.kind.wire == 'payload' else self.v(f.name)}" for f in self.cls.fields) + place + ", ctx=ctx"

    def find(self, var: str, among: list[Declaration], entry: Callable[[Declaration], Any]) -> None:
        """Write the lines that find the first of some headers whose condition holds, or what stands for it."""
        rules: list[Expr] = [one.when for one in among if one.when is not None]
        said = [numbers(rule) for rule in rules]
        fields = {one[0] for one in said if one is not None}
        if None not in said and len(fields) == 1:
            table = {number: entry(one) for one, known in zip(among, said, strict=True) if known for number in known[1]}
            self.names[f"T{var}{self.tag}"] = table
            self.lines.append(f"{var} = T{var}{self.tag}.get({self.v(fields.pop())})")
            return
        self.lines.append(f"{var} = None")
        for number, (one, rule) in enumerate(zip(among, rules, strict=True)):
            self.names[f"T{var}{number}{self.tag}"] = entry(one)
            self.lines.append(f"if {var} is None and {rule.code(self)}: {var} = T{var}{number}{self.tag}")
