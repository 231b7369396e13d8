"""Field: one declared field as data; and the right-hand sides that a declaration writes (`auto`, `when`, `sized`, `many`, ...)."""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy
from typing import Any, cast

from packetlab.declare.classbody.slips import condition as checked_condition, uninverted
from packetlab.declare.expressions import Const, Expr, Scope, expression
from packetlab.declare.kinds import Declared, Kind, Raw
from packetlab.declare.places.left import after_field, goes_by_left, of_field
from packetlab.declare.places.origins import OwnPlace, checked_origin
from packetlab.errors import DeclareError

REQUIRED: Raw = type("Required", (), {"__repr__": lambda self: "no default"})()


class Spec:
    """The right-hand side of a declared field: its default and its rules."""

    __slots__ = (
        "align", "computed", "condition", "count", "default", "end", "ended", "fill", "fixed", "from_end", "gap", "heap", "kind", "leads", "many", "must", "none", "pad", "place", "rule", "since", "size", "through", "until",
    )  # fmt: skip

    def __init__(self, default: object = REQUIRED, **rules: Any) -> None:
        self.default: Raw = default
        self.rule: Expr | None = rules.get("rule")
        self.condition: Expr | None = rules.get("condition")
        self.computed: Expr | None = rules.get("computed")
        self.size: Expr | None = rules.get("size")
        self.count: Expr | None = rules.get("count")
        self.until: Expr | None = rules.get("until")
        self.must: Expr | None = rules.get("must")
        self.end: Raw = rules.get("end")  # the item that a sender puts last
        self.align: int = rules.get("align", 0)
        self.leads: bool = rules.get("leads", False)  # what stands before the list counts too
        self.pad: int = rules.get("pad", 0)
        self.fill: bytes = rules.get("fill", b"\0")
        self.fixed: bool = rules.get("fixed", False)
        self.many: bool = rules.get("many", False)
        self.none: int | None = rules.get("none")
        self.from_end: int = rules.get("from_end", 0)
        self.place: Expr | None = rules.get("place")
        self.since: str = rules.get("since", "self")
        self.gap: Spec | None = None  # the bytes before it, where it lies at an offset
        self.heap: Any = rules.get("heap")  # where else in the holder its bytes lie (see `places.heaps`)
        self.ended: bytes | tuple[bytes, ...] | None = rules.get("ended")
        self.through: tuple[Any, ...] = rules.get("through", ())  # transforms, the outermost first
        self.kind: Kind | None = None  # what the field is then, in place of what its annotation says

    @property
    def written(self) -> str:
        """The function that a class body says it with."""
        rules = ((self.rule, "auto"), (self.condition, "when"), (None if self.many else self.size, "sized"))
        words = [word for rule, word in rules if rule is not None]
        words += ["computed"] if self.computed is not None else []
        words += ["must"] if self.must is not None else []
        words += ["ended"] if self.ended is not None else []
        words += ["through"] if self.through else []
        words += ["from_end"] if self.from_end else []
        words += [word for said, word in ((self.many, "many"), (self.pad, "pad"), (self.fixed, "const")) if said]
        return f"{[*words, 'default'][0]}(...)"


def spec_of(value: object) -> Spec:
    """Return a right-hand side as one of its own: what is written once may stand in several classes."""
    return copy(value) if isinstance(value, Spec) else Spec(value)


def words_for(value: object) -> str:
    """Return in words what a class body gives a name, where that is no plain value."""
    if isinstance(value, Spec):
        return value.written
    return repr(value) if isinstance(value, int | str | bytes | tuple) else f"a {type(value).__name__}"


def auto(rule: object) -> Any:
    """A field that follows from `rule` unless it is given (see `packetlab.declare.rules`)."""
    return Spec(None, rule=expression(rule))


def computed(rule: object) -> Any:
    """A number that is not in the bytes and follows from fields before it: ``number: int = computed(before("number") + field("delta"))``.

    Given when a header is built, it tells the one field of its rule that nothing else tells (here `delta`). Where the value is
    spread over several fields, each follows from it by an `auto` rule of its own. The annotation is int, an enum, or a kind of
    number such as U16, whose range it has then; none of times, durations or scaled numbers, and a checksum does not go over it. BuildError where what is given does not agree.
    """
    return Spec(computed=expression(rule))


def default(value: object) -> Any:
    """A field with this default; the same as ``= value``, for types where a checker wants the exact type."""
    return Spec(value)


def const(value: object) -> Any:
    """A field that always has this value: another one found when dissecting is a fault."""
    return Spec(value, fixed=True)


def when(condition: object, value: object = REQUIRED) -> Any:
    """A field that is there only where `condition` holds: an expression, or a dict {field: number or numbers}.

    `value` is its default, or `auto(...)`, `sized(...)`, `many(...)`. An absent field reads as None.
    """
    spec = spec_of(value)
    spec.condition = expression(checked_condition(condition, "when(...)"))
    return spec


def must(condition: object, value: object = REQUIRED) -> Any:
    """A number that obeys a rule, of itself, of other numbers and of what is `left` after it: another one found when dissecting is a fault there.

    ``version: U8 = must(field("version").one_of(1, 2), 1)``, ``reserved: U3 = must(field("reserved") == 0, 0)``; a dict {field: number
    or numbers} says it too. It is read on all the same. Building refuses nothing: what is given goes out, as anywhere. `value` is its
    default, or ``auto(...)``, ``sized(...)``, ``ended(...)``; around it may stand ``when(...)``. `const` is a number that is always the same.
    """
    spec = spec_of(value)
    if spec.pad:
        hint = 'padding that has to be zero is a number as wide as it: zeros: Annotated[int, bits(-field("size") % 4 * 8)] = must(field("zeros") == 0, 0)'
        raise DeclareError("must(...)", "a number", "pad(...), which is bytes", hint)
    spec.must = expression(checked_condition(condition, "must(...)"))
    return spec


def sized(size: object, value: object = None, *, none: int | None = None) -> Any:
    """Bytes (or items, a header, a number) that take `size` bytes: a number or an expression of fields before it.

    With `none` the field is absent, and None, where `size` comes to that number, and is None unless it is given. Then
    `size_of` of it is `none`, so that ``auto(size_of("data"))`` says so.
    """
    return Spec(REQUIRED if value is None else value, size=_measure(size), none=_none(none, size, value))


def ended(delimiter: bytes | tuple[bytes, ...], value: object = REQUIRED) -> Any:
    """Bytes, text or digits up to a delimiter, which is read and written again, and is no part of the value.

    ``ended(b"\\r\\n")`` is a line, ``ended(b"\\0")`` a C string. A size_of the field counts the delimiter. `value` is its default, or
    ``auto(...)`` for digits. BuildError for a value in which the delimiter is; without it in a packet, there is no such field.

    ``ended((b"\\r\\n", b"\\n"))`` ends at either: the first is written, and what was read with another goes out as it came, an `EndedText`
    or `EndedBytes`, which may be given too. The others end with the shortest of them.
    """
    spec = spec_of(value)
    spec.ended = delimiter
    return spec


def many(
    *, size: object = None, count: object = None, until: object = None, align: int = 0, value: tuple[object, ...] = (),
    none: int | None = None, fill: bytes = b"\0", end: object = None, since: str = "",
) -> Any:  # fmt: skip
    """Headers one after the other, of the class in the annotation ``tuple[Class, ...]``.

    They end after `size` bytes, after `count` of them, with the one for which `until` holds, or else where the header
    or its surroundings end. With `align` the whole is filled up to a multiple of this many bytes, with zeros or another byte,
    `fill`, and with ``since="self"`` up to a multiple from the header's start, of which fields of fixed sizes stand before them; where nothing counts the items and such bytes can be items (as zeros after a TCP option 1 alone), they read back as
    items, in a packet that was built too. `end` is an item for which `until` holds: it is put after those that are given where none of
    them is such a one, so that ``many(until=field("kind") == 255, end=Option(kind=255))`` wants no end from whoever builds. `value` is what is there unless something else is given. `none` is a size or count that says that
    there are no such items at all, as with `sized`: the field is None, and is so unless it is given.
    """
    if since not in ("", "self") or (since and not align):
        way = 'pad(8, since=...) is a field of such bytes, after a list that ends by itself'
        raise DeclareError("many(...)", 'since="self" with align=, where the bytes before the list count too', f"since={since!r:.60}", way)
    return Spec(
        value if none is None else REQUIRED,
        none=_none(none, size if count is None else count, value or None),
        size=None if size is None else _measure(size),
        count=None if count is None else _measure(count),
        until=None if until is None else expression(uninverted(until, "many(..., until=)")),
        end=end,
        align=align,
        leads=bool(since),
        fill=filler(fill, bool(align), "many(..., fill=)"),
        many=True,
    )


def filler(fill: object, needed: bool, where: str) -> bytes:
    if not isinstance(fill, bytes) or len(fill) != 1 or not (needed or fill == b"\0"):
        got = "no align" if isinstance(fill, bytes) and len(fill) == 1 else f"{fill!r:.60}"
        raise DeclareError(where, "one byte, such as b'\\xff', and a multiple that is filled up to", got)
    return fill


def _measure(number: object) -> Expr:
    """Return a size or count as an expression: a number, which no truth value is meant to be."""
    if isinstance(number, bool):
        raise DeclareError("a size or count", "a number or an expression of fields", number)
    return expression(number)


def _none(none: int | None, measure: object, value: object) -> int | None:
    if none is not None and (type(none) is not int or measure is None or value is not None):
        got = repr(none) if type(none) is not int else "neither size nor count" if measure is None else repr(value)
        raise DeclareError("none=", "a number that a size or count says, and no default: it is None unless given", got)
    return none


def from_end(distance: int, value: object = REQUIRED) -> Any:
    """A field that begins `distance` bytes before the end of what its header may fill, so that fields before it may go by it.

    As in RTP, whose last byte counts the padding (RFC 3550 section 5.1): after a `Payload`, or after a field that goes on to an end,
    ``padding: Bytes = sized(field("count") - 1)`` and ``count: U8 = from_end(1, auto(size_of("padding") + 1))``. What stands from
    there to the end has fixed sizes. `value` is a default, ``auto(...)`` or ``const(...)``; ``when(..., from_end(...))`` may be absent.
    """
    spec = spec_of(value)
    if type(distance) is not int or not 0 < distance <= 1 << 16:
        got, hint = (str(distance), 'of a size that fields before it tell: body: Rest, and then the field as sized(field("n"))') if isinstance(distance, Expr) else (repr(distance), "")
        raise DeclareError("from_end(...)", "1 to 65536 bytes", f"{got:.60}", hint)
    spec.from_end = distance
    return spec


def pad(multiple: int = 1, *, to: object = None, size: object = None, since: str = "self", fill: bytes = b"\0") -> Any:
    """Bytes that fill the packet from this header's start up to a multiple of `multiple` bytes; zeros, or the byte `fill`, unless given.

    `since` is where counting begins instead: the name of a class, for the nearest such header around this one, "packet" for the
    start of it all, or the name of a field of this header before it, which is always there. Where there is no such header
    around, as when one is built by itself, this header's start counts.

    With `to` they go up to an offset that fields before them tell, counted from the header's start: the field after them lies
    there (``offset: U32 = auto(offset_of("blob"))``, ``gap: Bytes = pad(8, to=field("offset"))``, ``blob: Bytes = sized(...)``). Where
    the field after them has a size of 0, there are none. An offset before them, or beyond the end, is a fault.

    With `size` they are as many as a rule of fields says that do not count them: ``n: U8 = auto(-(size_of("data") + 2) % 16)``,
    ``filler: Bytes = pad(size=field("n"))``. What was captured stays as long as it has that size.
    """
    if size is not None and (multiple != 1 or to is not None or since != "self"):
        raise DeclareError("pad(...)", "size= alone, which says how many bytes there are", "a multiple, to= or since= too")
    place, since = None if to is None else expression(to), checked_origin(since, "pad(...)")
    if place is not None and (type(multiple) is not int or not 1 <= multiple <= 1 << 16):
        raise DeclareError("a field at an offset", "a multiple of 1 to 65536 bytes", repr(multiple))
    return Spec(None, pad=multiple, place=place, size=None if size is None else _measure(size), since=since, fill=filler(fill, True, "pad(..., fill=)"))


class Filled(tuple[object, ...]):
    """Items as they were read, with the bytes after them that fill them up to a multiple (see `many`).

    Equal to the same items without: what fills up is no value, and what is built anew is filled up anew.
    """

    fill: bytes = b""

    @classmethod
    def of(cls, items: Iterable[object], fill: bytes) -> Filled:
        """Return items with what fills them up."""
        made = cls(items)
        made.fill = fill
        return made


PRIVATE = frozenset(
    ["by_name", "copied", "declaration", "decode", "encode", "extent", "field", "fields", "is_among", "is_partial", "items_of", "raw_values", "rederive", "repr_mimebundle_", "repr_pretty_", "resolve", "resolved_alone", "root", "same", "state"]
)
"""What classes of headers have for themselves, with a _ in front of it."""


def slot_of(name: str) -> str:
    """Return the attribute of a header that holds the raw value of a field."""
    return f"__{name}__" if name in PRIVATE else f"_{name}"


class Field:
    """One declared field.

    Attributes:
        name, kind: as declared. slot: the attribute of a header that holds the raw value.
        computed: what a value that is not in the bytes follows from when they are read. circular: fields in that rule which follow
            from the value when it is built. solved: whether the rule is such a one, solved for this field.
        rule: what the value follows from. condition: when it is there at all. size, count, until: where it ends; end: the item that is put last where it is not given.
        none: the size or count that says that it is absent. left: whether it is there if bytes are left. With either, who builds goes by
            its value, and by `outer`, the rest of its condition. said: the condition as it was declared.
        align, pad: multiples of bytes (see `many`, `pad`), lead: how many bytes before a list count too, and fill, the byte that fills up to them. from_end: how many bytes before the end it begins, 0 where that is not said. place: where padding ends,
            counted from the header's start. since: where padding and `place` begin to count; mark: the field where, origin: how far its
            own header lies after the one where. stride: bytes of each of several values. fixed: whether another value than the default is a fault; must: what
            another value has to obey, so as not to be one. heap: where in the holder its bytes lie (a `places.heaps.Heap`), None for here.
        default: REQUIRED for none. bit: which bit of a header's state is its own. owner: the declaration it stands in first.
    """

    name: str
    kind: Kind
    owner: Declared
    bit: int

    def __init__(self, name: str, kind: Kind, spec: Spec) -> None:
        self.name, self.kind, self.slot = name, kind, slot_of(name)
        self.rule, self.said, self.condition, self.outer, self.none = spec.rule, spec.condition, spec.condition, spec.condition, spec.none
        self.computed, self.circular, self.solved = spec.computed, frozenset[str](), False
        self.filled = False  # whether numbers in the header it holds follow from what is around it, in a class that has the field
        self.must = after_field(spec.must, name)
        self.size, self.count, self.until, self.end = spec.size, spec.count, spec.until, spec.end
        self.align, self.pad, self.fill, self.fixed = spec.align, spec.pad, spec.fill, spec.fixed
        self.leads, self.lead = spec.leads, 0
        self.default, self.from_end, self.place = spec.default, spec.from_end, spec.place
        self.since, self.mark = spec.since, cast("Field | None", None)
        self.heap = spec.heap
        self.origin = None if spec.since == "self" else OwnPlace(spec.since)
        self.left = goes_by_left(spec.condition)
        if self.left and spec.condition is not None:
            self.condition, self.outer = of_field(spec.condition, name)
            self.default = REQUIRED if self.default in ((), b"") else self.default  # nothing is None: no bytes, no field
        if kind.one and self.size is None:
            self.count = Const(1)
        self.stride = kind.element.fixed_bits // 8 if kind.element is not None and not kind.loose else 0
        if self.stride and self.count is not None:
            self.size = self.count * self.stride
        self.bit = 0
        measure = spec.size if spec.count is None else spec.count
        if self.none is not None and measure is not None:
            there = measure != self.none
            self.condition = there if self.condition is None else self.condition & there

    @property
    def is_counted_from_outside(self) -> bool:
        """Whether its padding is counted from another beginning than that of its header."""
        return self.since != "self"

    @property
    def is_filler(self) -> bool:
        """Whether it is bytes that fill up, as many as a rule says: they stay as they were while they are so many."""
        return bool(self.pad) and self.size is not None

    @property
    def may_fill(self) -> bool:
        """Whether pad(size=...), bytes that fill up, could stand in its place."""
        return self.size is not None and "pad" in self.kind.allows.split()

    @property
    def is_judged(self) -> bool:
        """Whether its value may be a fault by itself, besides one that is always the same."""
        return self.kind.judges or self.must is not None

    def broken(self, scope: Scope) -> str:
        """Return what its value has to obey and does not, "" for nothing; in a scope with the value of it and of what is before it."""
        return "" if self.must is None or self.must.evaluate(scope) else str(self.must)

    def got(self, raw: Raw) -> str:
        """Return a value that is a fault, in words: where it has to obey a rule the number that this speaks of."""
        return (self.kind if self.must is None or self.kind.plain else self.kind.as_raw or self.kind).text(raw)

    @property
    def declared_rule(self) -> Expr | None:
        """Its rule, unless that was solved for it."""
        return None if self.solved else self.rule

    @property
    def tells_itself(self) -> bool:
        """Whether it is there, in a header that is built, because it has a value."""
        return self.none is not None or self.left

    def derive(self, rule: Expr | None) -> None:
        """Let the field follow from `rule`, or from none; what was declared without one becomes so by a binding."""
        self.rule = rule
