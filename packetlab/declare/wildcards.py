"""Values that more than one value fits: what the fields of a prototype may hold other than values.

`IPv4(ttl=between(60, 64))`, `TCP(sport=same_as("client"))`. A header with one is a prototype and nothing else: it has no
bytes. Owns these values and `NoMatch`, the answer of a prototype that does not fit. Knows kinds of fields by their
`raw` only, and no headers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from packetlab.declare.kinds import utf8
from packetlab.errors import BuildError
from packetlab.hooks import hook

if TYPE_CHECKING:
    from packetlab.declare.kinds import Kind, Raw

Known: TypeAlias = "dict[str, Raw]"
"""What `same_as` names stand for so far: raw values of fields, by name."""


class Tolerance:
    """A value of a prototype that more than one value fits.

    Attributes:
        written: what the user gave. raw_values: the same in the raw form of the field it stands in.
    """

    __slots__ = ("raw_values", "written")
    name = ""

    def __init__(self, *written: Any, raw_values: tuple[Raw, ...] = ()) -> None:
        self.written, self.raw_values = written, raw_values

    def bound_to(self, kind: Kind, where: str) -> Tolerance:
        """Return it for a field of that kind. BuildError where no value of the field could ever fit."""
        made = type(self)(*self.written, raw_values=tuple(kind.raw(value, where) for value in self.written))
        made.check(kind, where)
        return made

    def check(self, kind: Kind, where: str) -> None:
        """Raise BuildError where nothing can ever fit."""

    def accepts(self, raw: object, known: Known, kind: Kind) -> bool:
        """Say whether a raw value of the field, of that kind, fits; None is that of an absent field."""
        raise NotImplementedError

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other.written == self.written

    def __hash__(self) -> int:
        return hash(type(self))  # what was written may be anything, lists too

    def __repr__(self) -> str:
        return f"{self.name}({', '.join(_shown(value) for value in self.written)})"


def _shown(value: object) -> str:
    if isinstance(value, type):
        return value.__name__
    return f"{value:#x}" if type(value) is int and value > 0xFFFF else repr(value)


class AnyValue(Tolerance):
    """Whatever the field has, even nothing."""

    __slots__ = ()

    def accepts(self, raw: object, known: Known, kind: Kind) -> bool:
        return True

    def __repr__(self) -> str:
        return "any_value"


class Between(Tolerance):
    """Any value from the first to the second, both included. Bytes and addresses count as numbers do."""

    __slots__ = ()
    name = "between"

    def bound_to(self, kind: Kind, where: str) -> Tolerance:
        low, high = self.written
        made = type(self)(low, high, raw_values=(kind.edge(low, where, True), kind.edge(high, where, False)))
        made.check(kind, where)
        return made

    def check(self, kind: Kind, where: str) -> None:
        hint = ""
        try:
            low, high = map(kind.compared, self.raw_values)
            wrong = low > high
            hint = "no value of the field lies between them"
        except TypeError:
            wrong = True
        if wrong or kind.wire == "items":
            raise BuildError(where, "between(low, high) of values that have an order", repr(self), hint)

    def accepts(self, raw: object, known: Known, kind: Kind) -> bool:
        low, high = map(kind.compared, self.raw_values)
        return raw is not None and bool(low <= kind.compared(raw) <= high)


class OneOfThese(Tolerance):
    """Any of some values."""

    __slots__ = ()
    name = "one_of"

    def check(self, kind: Kind, where: str) -> None:
        if not self.raw_values:
            raise BuildError(where, "one_of(value, ...)", "no value")

    def accepts(self, raw: object, known: Known, kind: Kind) -> bool:
        return raw in self.raw_values


class Masked(Tolerance):
    """A value whose bits under a mask are those given: ``masked(mask, bits)``."""

    __slots__ = ()
    name = "masked"

    def check(self, kind: Kind, where: str) -> None:
        mask, bits = (_number(kind, raw) for raw in self.raw_values)
        if len({type(raw) for raw in self.raw_values}) != 1 or mask is None or bits is None or bits & ~mask:
            raise BuildError(where, "masked(mask, bits) with no bit outside the mask", repr(self))

    def accepts(self, raw: object, known: Known, kind: Kind) -> bool:
        return raw is not None and under_mask(kind, raw, self.raw_values)


def under_mask(kind: Kind, raw: Raw, mask_and_bits: tuple[Raw, ...]) -> bool:
    """Whether the bits of a raw value under a mask are those given, which are raw values too."""
    value, mask, bits = (_number(kind, one) for one in (raw, *mask_and_bits))
    return value is not None and mask is not None and value & mask == bits


def _number(kind: Kind, raw: Raw) -> int | None:
    """Return the number whose bits masks speak of: the value if it is one, else the raw form's; None where neither is."""
    for form in (kind.compared(raw), raw):
        if isinstance(form, int | bytes):
            return form if isinstance(form, int) else int.from_bytes(form, "big")
    return None


class SameAs(Tolerance):
    """The value that was first met under a name."""

    __slots__ = ()
    name = "same_as"

    def bound_to(self, kind: Kind, where: str) -> Tolerance:
        return self

    def accepts(self, raw: object, known: Known, kind: Kind) -> bool:
        return raw is not None and bool(known.setdefault(self.written[0], raw) == raw)


class Contains(Tolerance):
    """A list that has some values, or headers that fit prototypes, wherever they stand; or bytes and text with a piece.

    Each that is wanted is met by a value of its own.
    """

    __slots__ = ()
    name = "contains"

    def bound_to(self, kind: Kind, where: str) -> Tolerance:
        if not self.written:
            raise BuildError(where, "contains(value, ...)", "no value")
        return type(self)(*self.written, raw_values=tuple(self._wanted(kind, one, where) for one in self.written))

    def _wanted(self, kind: Kind, one: Any, where: str) -> Raw:
        piece = isinstance(one, bytes | bytearray)
        if kind.has_headers and not getattr(kind, "inner", kind).one and not (kind.transforms and piece):
            said = getattr(one if isinstance(one, type) else type(one), "_declaration", None)
            if said is None or not said.stands_for(kind.item):
                raise BuildError(where, f"a header to look for ({kind.item.name})", repr(one))
            return one
        if kind.inside.element is not None and not (kind.transforms and piece):
            return one.bound_to(kind.inside.element, where) if isinstance(one, Tolerance) else kind.inside.element.raw(one, where)
        if hasattr(kind, "record") and isinstance(one, Mapping):
            return kind.record(one, where)
        if (type(kind.zero) is bytes or kind.transforms) and piece:
            return bytes(one)
        plain = kind.transforms or (kind.verbatim and not kind.is_address and kind.as_raw is None)
        if isinstance(one, str) and (hasattr(kind, "piece") or plain):
            return kind.piece(one, where) if hasattr(kind, "piece") else utf8(one, where)
        raise BuildError(where, "contains(...) of a list, or of bytes or text a piece", f"{one!r} for {kind.in_words()}")

    def accepts(self, raw: Any, known: Known, kind: Kind) -> bool:
        if raw is None:
            return False
        if kind.wire == "items":
            values = [one for one in raw if not isinstance(one, bytes)]
        elif kind.element is not None:
            values = kind.raws(raw)
        else:  # pieces are looked for in the whole, headers and records among those inside
            values = [*(kind.raws(raw) if kind.transforms else ()), *[raw] * len(self.raw_values)]
        near = [
            [place for place, value in enumerate(values) if self.fits(wanted, value, dict(known), kind)]
            for wanted in self.raw_values
        ]
        taken: dict[int, int] = {}
        if not all(_placed(number, near, taken, set()) for number in range(len(near))):
            return False
        places = {number: place for place, number in taken.items()}
        plain = [[places[number]] for number in range(len(near))]
        # What `same_as` names stand for may ask for other places.
        return self._agree(values, plain, known, kind, ()) or self._agree(values, near, known, kind, ())

    def fits(self, wanted: Raw, value: Raw, known: Known, kind: Kind) -> bool:
        """Whether a value is one that is wanted."""
        if (element := kind.inside.element) is not None and not (kind.transforms and isinstance(value, bytes) and hasattr(value, "inner")):
            return wanted.accepts(value, known, element) if isinstance(wanted, Tolerance) else bool(wanted == value)
        inside = hasattr(value, "_declaration") or isinstance(value, Mapping)
        if isinstance(wanted, bytes) or not inside:
            return isinstance(wanted, bytes) and not inside and wanted in value
        if isinstance(value, Mapping):
            return bool(value._has(wanted))  # type: ignore[attr-defined]
        return isinstance(value, wanted) if isinstance(wanted, type) else bool(wanted._is_among((value,), known))

    def _agree(self, values: list[Raw], near: list[list[int]], known: Known, kind: Kind, chosen: tuple[int, ...]) -> bool:
        """Whether each that is wanted has a place of its own among those near it, with one meaning for each name."""
        if len(chosen) == len(near):
            return True
        for place in near[len(chosen)]:
            names = dict(known)
            fits = place not in chosen and self.fits(self.raw_values[len(chosen)], values[place], names, kind)
            if fits and self._agree(values, near, names, kind, (*chosen, place)):
                known.update(names)
                return True
        return False


def _placed(number: int, near: list[list[int]], taken: dict[int, int], seen: set[int]) -> bool:
    """Give a place of its own to one more that is wanted, if need be by moving others (an augmenting path)."""
    for place in near[number]:
        if place not in seen:
            seen.add(place)
            if place not in taken or _placed(taken[place], near, taken, seen):
                taken[place] = number
                return True
    return False


def same_items(wanted: tuple[Raw, ...], items: tuple[Raw, ...], known: Known) -> bool:
    """Whether items are those wanted, in order: one that is a prototype fits, others are equal."""
    return len(wanted) == len(items) and all(
        one._is_among((item,), known) if not isinstance(one, bytes) and one._state & one._declaration.prototype_bit else one == item
        for one, item in zip(wanted, items, strict=True)
    )


any_value: Any = AnyValue()
"""Whatever the field has: ``IPv4(id=any_value)`` says that the field was thought of."""


def between(low: object, high: object) -> Any:
    """A value from `low` to `high`, both included: ``IPv4(ttl=between(60, 64))``. For numbers, bytes and addresses."""
    return Between(low, high)


def one_of(*values: object) -> Any:
    """One of the values: ``UDP(sport=one_of(53, 5353))``."""
    return OneOfThese(*values)


def masked(mask: object, bits: object) -> Any:
    """A value whose bits under `mask` are `bits`: ``IPv4(src=masked("255.0.0.0", "10.0.0.0"))``."""
    return Masked(mask, bits)


def same_as(name: str) -> Any:
    """The value that the name stands for; the first one met gives the name its meaning.

    ``TCP(sport=same_as("client"))`` and later ``TCP(dport=same_as("client"))``. Names hold within one call of
    `matches`, or as long as the dict lives that it is given as `known`.
    """
    return SameAs(name)


def contains(*values: object) -> Any:
    """A list that has these values, in whatever order and among whatever else: ``TCP(options=contains(TCPOption(kind=2)))``.

    Of headers in a list prototypes or classes, each of which a header of its own fits; of other values these, or `between`
    and the like: ``contains(80, between(8000, 8999))``. Of records mappings of some of their values: ``contains({"IN_BYTES": 44})``. Of bytes
    and text a piece: ``contains(b"GET")``.
    """
    return Contains(*values)


class NoMatch:
    """The answer of a prototype that does not match: false, equal to False, and its repr says why."""

    __slots__ = ("known", "packet", "prototype")

    def __init__(self, prototype: object, packet: object, known: Known | None) -> None:
        self.prototype, self.packet, self.known = prototype, packet, known

    def __bool__(self) -> bool:
        return False

    def __eq__(self, other: object) -> bool:
        return not other if isinstance(other, (bool, NoMatch)) else NotImplemented

    def __hash__(self) -> int:
        return hash(False)

    def __repr__(self) -> str:
        # One line: where a test fails, pytest shows the repr of what was false.
        return f"no match: {'; '.join(hook('why_not')(self.prototype, self.packet, self.known).splitlines())}"
