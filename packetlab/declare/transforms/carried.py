"""A field that is another one, transformed: `through(...)`, its kind, and its values.

The raw value of such a field is what was captured, with what is inside (`Carried`), or what is inside alone, as a user gave it
(`InnerValue`). Captured bytes are written again as they were, until what is inside changes or a parameter does. Two values are equal
where what is inside is: another level of compression, or another masking key, is none of another value.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from packetlab.declare.checksums.parts import SumPart
from packetlab.declare.classbody.slips import ENDED, condition as checked_condition, not_called
from packetlab.declare.computed import Computed
from packetlab.declare.expressions import Elsewhere, expression
from packetlab.declare.fields import REQUIRED, Field, Spec, spec_of
from packetlab.declare.kinds import ByteString, Forms, Kind, Lines, Raw, Wire
from packetlab.declare.remembering.recalled import StateOf
from packetlab.declare.transforms.raws import Carried, EqualInside, InnerValue, bytes_inside
from packetlab.declare.transforms.transform import HEADERS, LIMIT, OwnTransform, Transform, UnfitError, ample
from packetlab.declare.values.text import TextKind, Undecoded
from packetlab.declare.values.views import RawValue
from packetlab.errors import BuildError, DeclareError
from packetlab.escaping import bytes_text
from packetlab.hooks import hook

room: ContextVar[int | None] = ContextVar("room", default=None)
"""How many bytes transforms may give yet in what another gave."""


class OuterBytes(Elsewhere):
    """The bytes of a field of what stands around, as a parameter of a transform: a tuple of them (None of a field that is absent), 0 where
    there is no such header."""

    def evaluate(self, scope: Raw) -> Raw:
        return scope.elsewhere(self)

    def __str__(self) -> str:
        return f"bytes of {super().__str__()}"

    def of(self, raw: Raw, kind: Kind) -> Raw:
        """Return what a field comes to."""
        raw = raw.inner if isinstance(raw, EqualInside) else raw
        return (None if raw is None else parameter_bytes(raw, kind, is_key=True),)


def parameter_bytes(value: Raw, kind: Kind, is_key: bool) -> Raw:
    """Return the value of a parameter: of a number of a fixed width its bytes, in its order; of a key, of a number of another width its own."""
    if not isinstance(value, int):
        return value
    if isinstance(kind, Computed) and kind.like is not None:
        kind = kind.like
    if kind.wire == "number":
        return (value & (1 << kind.fixed_bits) - 1).to_bytes(-(-kind.fixed_bits // 8), "little" if kind.little else "big")
    return kind.write(value) if is_key and kind.wire == "coded" else value


class Through(Kind):
    """What another kind has, as transforms give it: the kind of a field that is ``through(...)``.

    Attributes:
        inner: the kind of the value inside. transforms: those between the packet and it, the outermost first.
        late: their parameters that follow from fields, as (place of the transform, word, rule).
    """

    wire: Wire = "open"
    allows = "size condition"
    judges, surely = True, "(not {0}.expected)"

    def __init__(self, inner: Kind, transforms: tuple[Transform, ...], where: str = "through(...)") -> None:
        if inner.wire not in ("open", "items", "bytes") or inner.is_number or isinstance(inner, Through):
            hint = "a header with that one field: inner: Inner = through(...)"
            if inner.wire == "payload":
                hint = f"{where.rpartition('.')[2]}: Rest = through(...), whose layers dissect(packet[...].{where.rpartition('.')[2]}, IPv4) reads"
            raise DeclareError(where, "Bytes, Text, a header or a list through(...)", inner.in_words(), hint)
        self.inner, self.transforms, self.where, self.words = inner, transforms, where, inner.words
        self.shows_bytes, self.dtype = inner.shows_bytes, getattr(inner, "dtype", "O")
        self.rest = inner.rest or inner.wire == "items" or inner.element is not None  # as where it stands there by itself
        if inner.wire == "items":
            self.item = inner.item
        self.late = [(i, word, _late(one, word, rule)) for i, one in enumerate(transforms) for word, rule in one.late.items()]
        if hasattr(inner, "piece"):
            self.piece = inner.piece
        self.is_plain = inner.wire != "items" and inner.bits is None and not inner.judges  # whether any bytes are a value of it
        self.is_text = inner.surely == "{0}.isascii()"
        self.has_state = any(isinstance(rule, StateOf) for _, _, rule in self.late)
        self.uses_header = any(isinstance(rule, str | SumPart) for _, _, rule in self.late)  # "self", span(...)
        self.spreads = any(one.spreads for one in transforms)
        self.steps, self.is_list, self.sized_first = self._steps(), inner.wire == "items", self._sized_first()
        self.zero = None if inner.one else b"" if inner.zero is None else InnerValue(inner.zero)
        self.as_raw = ByteString()
        spec = Spec(REQUIRED, many=inner.wire == "items")
        self.field = Field(where.rpartition(".")[2], inner, spec)

    @property
    def inside(self) -> Kind:
        return self.inner

    def in_words(self) -> str:
        return f"{self.inner.in_words()} through {' and '.join(one.name for one in self.transforms)}"

    def annotation(self) -> str:
        return self.inner.annotation()

    @property
    def has_headers(self) -> bool:
        return self.inner.wire == "items"

    @property
    def names(self) -> None:  # type: ignore[override]
        return None

    # Between bytes and values ----------------------------------------------------------------------------------------

    def raw(self, value: Raw, where: str) -> Raw:
        if isinstance(value, RawValue):
            return Carried(ByteString().raw(value.form, where))
        if isinstance(value, Carried | InnerValue):
            return value
        if isinstance(value, Undecoded) and isinstance(value.raw, Carried):
            return value.raw
        return InnerValue(self.inner.raw(value, where))

    def value(self, raw: Raw) -> Raw:
        """Return what is inside; where that cannot be found, the bytes as they are (of text: `Undecoded`), or no header."""
        if isinstance(raw, EqualInside) and raw.opened:
            return self.inner.value(raw.inner)
        raw = raw if isinstance(raw, Carried) else Carried(raw)
        if isinstance(self.inner, TextKind):
            return Undecoded.of(raw.decode("ascii", "backslashreplace"), raw)
        return None if self.inner.one else () if self.inner.wire == "items" or self.inner.element is not None else raw

    def text(self, raw: Raw) -> str:
        if not (isinstance(raw, EqualInside) and raw.opened):
            return bytes_text(bytes(raw))
        if self.inner.wire == "items":
            shown = repr(raw.inner[0]) if self.inner.one and raw.inner else ", ".join(map(repr, raw.inner or ())) or "none"
        else:
            shown = self.inner.text(raw.inner)
        return shown

    def wrong(self, raw: Raw) -> str:
        return raw.expected if isinstance(raw, Carried) else ""

    def raws(self, raw: Raw) -> list[Raw]:
        """Return the headers or values inside, as far as these are known."""
        if not (isinstance(raw, EqualInside) and raw.opened):
            return []
        return self.inner.raws(raw.inner) if self.inner.element is not None else [*(raw.inner or ())] if self.has_headers else []

    def count(self, raw: Raw) -> int:
        return len(self.raws(raw))

    def remark(self, raw: Raw) -> str:
        size = f"{len(raw)} bytes " if isinstance(raw, bytes) else ""
        wrong = f", where {raw.expected} was expected" if isinstance(raw, Carried) and raw.expected else ""
        wrong += f", not known here ({raw.note})" if isinstance(raw, Carried) and raw.note else ""
        given = (raw.given or ()) if isinstance(raw, Carried) else ()
        wrong += "".join(f", {origin}" for value in given if (origin := getattr(value, "origin", "")))
        return f", {size}through {' and '.join(map(repr, self.transforms))}{wrong}"

    def kept(self, raw: Raw, like: Raw) -> Raw:
        """Return what was captured where another value has the same bytes inside."""
        if not (isinstance(raw, InnerValue) and isinstance(like, Carried) and like.opened):
            return raw
        if self.inner.wire != "items":
            return like if raw.inner == like.inner else raw
        try:
            encoded = [hook("encode_items")(one.inner, 0) for one in (raw, like)]
        except BuildError:  # a prototype
            return raw
        return like if encoded[0] == encoded[1] else raw

    def respelled(self, raw: Raw, like: Raw) -> Raw:
        return like if isinstance(like, Carried) and like.opened and raw == like else raw

    def argument(self, value: object, number: int, kind: Kind) -> object:
        """Return the value of the parameter `number`, which follows from a field of some kind."""
        place, word, _ = self.late[number]
        return parameter_bytes(value, kind, word in self.transforms[place].as_keys)

    def quick_value(self) -> Lines | None:
        quick, names = self.inner.quick_value(), dict[str, object](Carried=Carried, whole_value=self.value, value=self.inner.value)
        lines = ["made = value(raw.inner)"]
        if quick is not None and quick[0] == "bytes":
            lines, names = ["raw = raw.inner", *quick[1]], names | quick[2]
        elif type(self.inner).value is Kind.value:
            lines = ["made = raw.inner"]
        if self.has_headers:
            return None if self.inner.one else ("Carried", ["if not raw.opened: return whole_value(raw)", "made = raw.inner"], names)
        return ("Carried", ["if not raw.opened: return whole_value(raw)", *lines], names)

    def usual_forms(self) -> Forms:
        forms, names = self.inner.usual_forms()
        return [(test, f"{{InnerValue}}({raw})") for test, raw in forms], {**names, "InnerValue": InnerValue}

    def quick_raw(self) -> Callable[[object], InnerValue | None] | None:
        inner = self.inner.quick_raw()
        return None if inner is None else lambda value: None if (found := inner(value)) is None else InnerValue(found)

    def _steps(self) -> list[tuple[Transform, list[tuple[int, str, bool]]]]:
        """Return the transforms, and for each the places of its parameters among those given, their words, and whether they are of what stands around."""
        return [
            (one, [(n, word, isinstance(rule, OuterBytes)) for n, (i, word, rule) in enumerate(self.late) if i == place])
            for place, one in enumerate(self.transforms)
        ]  # fmt: skip

    def opened(self, data: bytes, given: tuple[object, ...], around: object = None) -> Carried:
        """Return bytes of a packet with what is inside, or with what is wrong with them; `around`: what is known of the header that holds these (see `parse_inside`)."""
        found = Carried(data)
        found.given = given
        try:
            for one, words in self.steps:
                if words or one.spreads:
                    worded = _worded(words, given) if given else {}
                    if one.spreads:
                        worded["most"] = self._most(len(found))
                    data = one.decode(data, **worded)
                else:
                    data = one.decode(data)
            if (left := room.get()) is not None:
                if (left := left - len(data)) < 0:
                    raise UnfitError(f"{LIMIT} bytes at most in what another transform gives", "more")
                room.set(left)
        except UnfitError as error:
            if error.is_elsewhere:
                found.note = f"{error.expected}: {error.got}"
            else:
                found.expected, found.got = error.expected, error.got
                if self.spreads and error.expected == f"{self._most(len(found))} bytes at most":
                    found.expected = self._bound(len(found))
            return found
        return self.entered(found, data, around)

    def entered(self, found: Carried, data: bytes, around: object = None) -> Carried:
        """Note what is inside, in the bytes that the transforms gave, or what is wrong with these; `around` as for `opened`."""
        if self.is_plain:
            found.inner, found.opened = data, True
            return found
        if self.inner.wire == "items":
            token = room.set(LIMIT) if room.get() is None else None
            try:
                found.inner, found.wrongs = hook("parse_inside")(self.field, data, around)
            finally:
                if token is not None:
                    room.reset(token)
            found.opened = True
            found.expected, found.got = found.wrongs[0] if found.wrongs else ("", "")
            return found
        if self.inner.bits is not None and len(data) * 8 != self.inner.bits:
            found.expected, found.got = f"{self.inner.bits // 8} bytes inside", f"{len(data)} bytes"
            return found
        found.inner, found.opened = data, True
        if self.inner.judges and not (self.is_text and data.isascii()) and (expected := self.inner.wrong(data)):
            found.expected, found.got = expected, self.inner.text(data)
        return found

    def _encoded(self, data: bytes, given: tuple[object, ...]) -> bytes:
        """Return the bytes of a packet for those inside. BuildError where there are none."""
        size = len(data)
        try:
            for one, words in reversed(self.steps):
                data = one.encode(data, **_worded(words, given)) if words and given else one.encode(data)
            if self.spreads and size > self._most(len(data)):
                raise UnfitError(self._bound(len(data)), f"{size} bytes")
        except UnfitError as error:
            raise BuildError(self.where, error.expected, error.got, error.hint) from None
        return data

    def packed(self, raw: Raw, given: tuple[object, ...]) -> bytes:
        """Return the bytes of `closed` alone."""
        if type(raw) is not InnerValue or self.has_state:
            return self.closed(raw, given)
        return self._encoded(bytes_inside(raw) if self.has_headers else raw.inner, given)

    def closed(self, raw: Raw, given: tuple[object, ...]) -> Carried:
        """Return the bytes for a value: those that were captured where nothing has changed. BuildError where there are none."""
        if isinstance(raw, Carried) and (not raw.opened or raw.given == given):
            return raw
        if not isinstance(raw, EqualInside):
            return Carried(raw)
        # Of a state, which goes on once for it.
        contexts = [value.context for value in given if hasattr(value, "context")] if given else None
        context = contexts[0] if contexts else None
        if isinstance(raw, InnerValue) and raw.made is not None and raw.made[0] is context:
            return raw.made[1]
        inner, data = raw.inner, bytes_inside(raw)
        found = Carried(self._encoded(data, given))
        if self.uses_header and isinstance(raw, Carried) and len(found) != len(raw):  # which sizes went by
            hint = f"{self.field.name} given anew, in replace(...) too, has the length that it is then"
            raise BuildError(self.where, f"{len(raw)} bytes, as what was captured has", f"{len(found)} bytes, compressed or stuffed here", hint)
        found.inner, found.opened, found.given = inner, True, given
        if isinstance(raw, InnerValue) and context is not None:
            raw.made = context, found
        return found

    def _most(self, packed: int) -> int:
        """Return how many bytes may be inside so many of a packet, where the declaration does not say."""
        return min(ample(packed), HEADERS if self.is_list else LIMIT)

    def _bound(self, packed: int) -> str:
        words = "of headers " * (self.inner.wire == "items")
        return f"{self._most(packed)} bytes {words}at most in {packed} bytes, as {next(one.name for one in self.transforms if one.spreads)}() has no most="

    def size_of(self, raw: Raw) -> int:
        """Return how many bytes there are for a value, whatever the parameters: of transforms that know."""
        if isinstance(raw, bytes):
            return len(raw)
        outer, inner = self.sized_first
        data = bytes_inside(raw)
        try:
            for one in reversed(inner):
                data = one.encode(data)
        except UnfitError as error:
            raise BuildError(self.where, error.expected, error.got, error.hint) from None
        size = len(data)
        for one in reversed(outer):
            size = one.size(size) or 0
        return size

    def _sized_first(self) -> tuple[tuple[Transform, ...], tuple[Transform, ...]]:
        """Return the transforms that know how many bytes they give, the outermost first, and those inside them."""
        known = [one.size(0) is not None and "when" not in one.late for one in self.transforms]
        first = [*known, False].index(False)
        return self.transforms[:first], self.transforms[first:]

    @property
    def is_sized(self) -> bool:
        """Whether it is known how many bytes there are before parameters are: from transforms that know, those inside them having no parameters."""
        return not any(one.late or isinstance(one, OwnTransform) for one in self.sized_first[1])


def _worded(words: list[tuple[int, str, bool]], given: tuple[Raw, ...]) -> dict[str, object]:
    """Return the parameters of a transform among those given, by their words."""
    return {word: (given[n][0] if isinstance(given[n], tuple) else b"") if outer else given[n] for n, word, outer in words}


def through(transform: Transform, value: Raw = REQUIRED, *, when: object = None) -> Any:
    """A field that is something else in the packet: compressed, masked, stuffed, encrypted.

    The annotation is that of what is inside: `Bytes`, `Text`, a header, a list. `value` is ``sized(...)`` (of the bytes in the
    packet, which `size_of` counts too), ``many(...)``, ``when(...)``, another ``through(...)`` inside, or a default. With `when`, a
    condition of fields as in ``when=field("compressed")``, it is transformed where that holds, and elsewhere stands there as it is.

    Captured bytes are written again as they were until what is inside changes, or a field that the transform goes by. Fields are equal
    where what is inside is. Bytes that the transform cannot take are a fault at the field, and stay; the field is then these bytes,
    or no header. ``raw(...)`` gives the bytes of the packet themselves.
    """
    if not isinstance(transform, Transform):
        not_called((transform,), "through(...)")
        raise DeclareError("through(...)", "a transform first: zlib(), xor(...), named(...)", f"{transform!r:.60}")
    spec = spec_of(value)
    if when is not None:
        if hasattr(transform, "carry"):
            raise DeclareError("through(...)", "a transform of bytes for when=", f"{transform!r:.60}")
        transform = transform.only(expression(checked_condition(when, "through(..., when=)")))
    spec.through = (transform, *spec.through)
    return spec


def carried(spec: Spec, kind: Kind, where: str) -> Through:
    """Return the kind of a field that is through transforms. DeclareError for right-hand sides that go with none."""
    for word, said in (("count=", spec.count), ("until=", spec.until), ("align=", spec.align or None), ("ended", spec.ended),
                       ("pad", spec.pad or None), ("auto", spec.rule), ("const", spec.fixed or None)):  # fmt: skip
        if said is not None:
            raise DeclareError(where, "sized(...), when(...) or a default in through(...)", word, _ways_out(where).get(word, ""))
    for one in spec.through:
        if hasattr(one, "carry"):
            if spec.through[1:]:
                hint = "a header with that one field: inner: Inner = through(...)"
                raise DeclareError(where, f"{one.name}(...) alone", " and ".join(other.name for other in spec.through), hint)
            made: Through = one.carry(kind, where)
            return made
    return Through(kind, spec.through, where)


def _ways_out(where: str) -> dict[str, str]:
    """Return how what does not stand in through(...) is said, by its word."""
    inside = "what says where a list ends is inside: a header with it and the list, as in body: Body = through(...)"
    name = where.rpartition(".")[2]
    return {"count=": inside, "until=": inside, "ended": ENDED.format(f"{name}: ... = through(...) in it")}


def link_transforms(header: str, said: object) -> tuple[Transform, ...] | None:
    """Return what a class says with ``through=``: transforms of whole frames, the outermost first. DeclareError for others."""
    found = said if isinstance(said, tuple) or said is None else (said,)
    for one in found or ():
        if not isinstance(one, Transform) or one.late:
            got = f"{one!r:.60}" + ", which goes by fields" * isinstance(one, Transform)
            raise DeclareError(f"{header}, through=", "a transform of whole frames: hdlc(), cobs(), ble_whitened(37)", got)
    return found or None


def _late(one: Transform, word: str, rule: Raw) -> Raw:
    """Return the rule for a parameter: of what stands around the bytes, unless it is a number."""
    plain = type(rule) is Elsewhere and rule.path and word != "when" and word not in one.as_numbers
    return OuterBytes(rule.path, rule.name) if plain else rule
