"""What stands right of the colon in a class body becomes the kind of a field, or an error that says what to write instead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum, auto as enum_auto
from types import NoneType, UnionType
from typing import Annotated, Self, Union, get_args, get_origin

from packetlab.declare.bits.kinds import ONE_WIDTH, BitList, SpareBits
from packetlab.declare.classbody.slips import imported, no_rule, not_called, wide_number, wrong_default
from packetlab.declare.computed import kind_for as computed_kind
from packetlab.declare.declaration import declaration_of
from packetlab.declare.expressions import Const, Elsewhere
from packetlab.declare.fields import REQUIRED, Spec, spec_of
from packetlab.declare.items import Items, Repeated
from packetlab.declare.kinds import ByteString, Kind, XNSAddressField
from packetlab.declare.places.offsets import with_gap as with_gap
from packetlab.declare.transforms.carried import carried
from packetlab.declare.transforms.transform import Transform
from packetlab.declare.validate import check_spec
from packetlab.declare.values.addresses import XNSAddress
from packetlab.declare.values.delimited import Delimited
from packetlab.errors import BuildError, DeclareError


def resolved(annotation: object, globals_: dict[str, object], locals_: Mapping[str, object], where: str) -> object:
    """Return an annotation that may be written as text, as under ``from __future__ import annotations``."""
    if not isinstance(annotation, str):
        return annotation
    try:
        return eval(annotation, globals_, dict(locals_))
    except Exception as error:
        name = str(getattr(error, "name", ""))
        own = "Self (from typing) stands for the class in its own body: tuple[Self, ...] = many(...)" if name == where.partition(".")[0] else ""
        raise DeclareError(where, "an annotation that can be read", annotation, own or wide_number(name) or imported(name) or str(error)) from None


def is_optional(annotation: object) -> bool:
    """Say whether an annotation is ``U16 | None``, as type checkers want it where the field may be absent."""
    args = get_args(annotation)
    if get_origin(annotation) is Annotated:
        return is_optional(args[0])
    return get_origin(annotation) in (Union, UnionType) and len(args) == 2 and NoneType in args


def is_header(one: object) -> bool:
    """Say whether something is a header class."""
    return isinstance(one, type) and hasattr(one, "_declaration")


def kind_with(annotation: object, given: object, where: str) -> Kind:
    """Return the kind of field that an annotation stands for where its right-hand side is `given`."""
    not_called((given, annotation, *get_args(annotation)), where)
    if isinstance(given, Spec) and isinstance(given.kind, SpareBits):
        if annotation is not int:
            raise DeclareError(where, "spare: int = spare_bits(), as wide as there is need", annotation)
        return given.kind
    if not (isinstance(given, Spec) and given.computed is not None):
        return _as_long_as(given, kind_of(annotation, where))
    plain = isinstance(annotation, type) and issubclass(annotation, int)
    return computed_kind(annotation, None if plain else kind_of(annotation, where), where)


def _as_long_as(given: object, kind: Kind) -> Kind:
    """Return the kind of bytes that are always the same: of their size."""
    if type(kind) is not ByteString or kind.bits is not None or kind.rest or not (isinstance(given, Spec) and given.fixed):
        return kind
    has_end = given.size is not None or given.ended is not None or given.through or not isinstance(given.default, bytes)
    return kind if has_end or not given.default else ByteString(len(given.default))


def kind_of(annotation: object, where: str) -> Kind:
    """Return the kind of field that an annotation stands for. DeclareError for what is none."""
    if annotation is Self:
        raise DeclareError(where, "Self | None = when(...), or tuple[Self, ...] = many(...), which have an end", "Self")
    if get_origin(annotation) in (Union, UnionType) and is_optional(annotation):
        if Self in get_args(annotation):
            return Items(None, one=True)
        (annotation,) = (one for one in get_args(annotation) if one is not NoneType)
    if annotation is XNSAddress:
        annotation = XNSAddressField
    if get_origin(annotation) is Annotated:
        wanted, *extra = get_args(annotation)
        # An enum or an address class is the type of the values where it stands first, and a field of its own elsewhere.
        misplaced = [one for one in extra if isinstance(one, type) and issubclass(one, (Enum, XNSAddress))]
        headers = [one for one in (wanted, *extra) if is_header(one)]
        _check_kinds([*_inside(annotation), *misplaced, *headers], where)
        for kind in extra:
            if isinstance(kind, Kind):
                _check_kind(kind, where)
                return kind.typed(wanted, where)
        return kind_of(wanted, where)
    if is_header(annotation):
        return Items(declaration_of(annotation, where), one=True)
    if get_origin(annotation) is tuple:
        item = get_args(annotation)
        if item == (Self, ...):
            return Items(None)
        if len(item) == 2 and item[1] is Ellipsis and is_header(item[0]):
            return Items(item[0]._declaration)
        for one in item:
            if get_origin(one) is Annotated or one is XNSAddress:
                _check_kinds(_inside(one), where)
                if len(item) != 2 or item[1] is not Ellipsis:
                    raise DeclareError(where, "tuple[SomeKind, ...]", annotation, "a list has one kind of values, then ...")
                return _values(kind_of(one, where), where)
    _not_alone(annotation, where)
    expected = "U1..U64, MAC, Bytes, Rest, tuple[SomeHeader, ...] or another field kind"
    got = "a union of two" if get_origin(annotation) in (Union, UnionType) else annotation
    raise DeclareError(where, expected, got, _hint(annotation))


def _values(element: Kind, where: str) -> Kind:
    """Return the kind of values of one kind, side by side. DeclareError where their ends cannot be known."""
    if element.wire == "number" and element.fixed_bits % 8:
        return BitList(element)
    if element.wire not in ("number", "bytes", "coded") or element.loose or element.unended:
        hint = ONE_WIDTH if element.wide is not None else "a header with that one field repeats: tuple[ThatHeader, ...]"
        raise DeclareError(where, "values of whole bytes, or that tell their own size", element.in_words(), hint)
    return Repeated(element, where)


def _check_kind(kind: Kind, where: str) -> None:
    """Refuse a kind of the user's own that cannot be read back."""
    own = type(kind)
    if kind.wire not in ("coded", "bytes"):
        return
    numbers = kind.low, kind.high
    if [*map(type, numbers)] != [int, int] or (kind.low > kind.high and numbers != (Kind.low, Kind.high)):
        raise DeclareError(where, f"whole numbers in {own.__name__}.low and .high, the least and the greatest", numbers)
    if kind.bits is None:
        if kind.is_number and not (isinstance(kind.zero, int) and kind.low <= kind.zero <= kind.high):
            raise DeclareError(where, f"a number from low to high in {own.__name__}.zero", repr(kind.zero))
        if own.read is Kind.read or own.write is Kind.write or own.raw is Kind.raw:
            raise DeclareError(where, f"raw, read and write in {own.__name__}, or bits", "a kind without them")
    else:
        if kind.is_number:
            hint = "numbers of a fixed width are bits(...); others have read and write, and no bits"
            raise DeclareError(where, f"no low and high in {own.__name__}, whose raw values are bytes", numbers, hint)
        if (
            type(kind.bits) is not int
            or kind.bits % 8
            or type(kind.zero) is not bytes
            or len(kind.zero) * 8 != kind.bits
        ):
            raise DeclareError(where, f"whole bytes in {own.__name__}.bits, and as many in zero", repr(kind.zero))
        if own.raw is Kind.raw:
            raise DeclareError(where, f"raw in {own.__name__}", "a kind without it")
        try:
            some = bytes(place % 256 for place in range(kind.bits // 8)) if kind.verbatim else b""
            kept = not kind.verbatim or kind.raw(some, where) == some
        except BuildError:
            kept = False
        if not kept:
            raise DeclareError(
                where, f"raw in {own.__name__} to take bytes as they are, which verbatim says", repr(some)
            )


def _inside(annotation: object) -> list[object]:
    """Return the kinds of fields, and classes of kinds, that are anywhere in an annotation."""
    if isinstance(annotation, Kind) or (isinstance(annotation, type) and issubclass(annotation, Kind)):
        return [annotation]
    args = get_args(annotation)
    if get_origin(annotation) is tuple and args and is_header(args[0]):
        return [Items(args[0]._declaration)]
    return [kind for one in args for kind in _inside(one)]


def _check_kinds(kinds: Sequence[object], where: str) -> None:
    """DeclareError for kinds that are not packetlab's own, for the class of a kind, and for more kinds than one."""
    for kind in kinds:
        if isinstance(kind, type) and issubclass(kind, Kind):
            raise DeclareError(
                where, "a kind of a field", f"the class {kind.__name__}", "bits(16) and fixed_bytes(4) make one"
            )
    if len(kinds) > 1:
        names = [kind.__name__ if isinstance(kind, type) else type(kind).__name__ for kind in kinds]
        hint = "U16 has its kind already; write int or bytes where another is meant"
        if any(isinstance(kind, type) and issubclass(kind, Enum) for kind in kinds):
            hint = "an enum stands first, with its width: Annotated[Named[SomeEnum], bits(8)]"
        raise DeclareError(where, "one kind for a field", f"{len(kinds)}: {', '.join(names)}", hint)


def _not_alone(annotation: object, where: str) -> None:
    """Refuse a kind of field that stands by itself as an annotation. DeclareError."""
    if isinstance(annotation, Kind):
        form = annotation.annotation()
        form = form if form.isidentifier() else "int" if annotation.is_number else "bytes"
        expected = f"the type of the values too: Annotated[{form}, ...], with the kind in place of the dots"
        raise DeclareError(where, expected, f"{annotation.in_words()} alone")


def _hint(annotation: object) -> str:
    """What to write instead of an annotation that looks as if it should do."""
    from datetime import datetime, timedelta  # here, for it takes as long to import `uuid` as ten files of ours
    from uuid import UUID

    if get_origin(annotation) in (list, tuple, set, Sequence) or annotation in (list, tuple):
        return "a list is tuple[SomeHeader, ...] = many(...), or of a kind of values, tuple[U16, ...]"
    if get_origin(annotation) in (Union, UnionType):
        return "a field of two kinds is two fields, each with when(...); U16 | None may be absent"
    if isinstance(annotation, int | bytes | str):
        return "a value, so a field or variable above has the name of the type"
    if not isinstance(annotation, type):
        return ""
    if issubclass(annotation, Enum):
        return f"an enum wants its width: Annotated[Named[{annotation.__name__}], bits(8)]"
    for known, words in (
        (bool, "U1 is one bit"),
        (int, "a number wants its width: U8, U16, ... or Annotated[int, bits(n)]"),
        (float, "a float wants its width: F16, F32, F64, or Annotated[float, scaled(16, 1/256)]"),
        (str, "text wants its end: Text = sized(...), Text = ended(...), or Annotated[str, text(size=n)]"),
        (UUID, "UUID and GUID of packetlab are such fields"),
        (datetime, "a time wants its width and epoch: UnixTime, NTPTime, or Annotated[datetime, timestamp(32)]"),
        (timedelta, "a duration wants its width: Annotated[timedelta, duration(32)]"),
        (bytes, "bytes want their size: Bytes = sized(...), Rest, or Annotated[bytes, fixed_bytes(n)]"),
    ):
        if issubclass(annotation, known):
            return words
    return ""


def with_end(spec: Spec, kind: Kind, where: str) -> Kind:
    """Return the kind of headers of which one is put last. DeclareError where it cannot be known that it is the last."""
    until, said = spec.until, getattr(spec.end, "_declaration", None)
    if not isinstance(kind, Items) or kind.item is None or until is None:
        raise DeclareError(f"{where}, end=", "many(until=...) of headers of another class", spec.written)
    if said is None or isinstance(spec.end, type) or not said.stands_for(kind.item):
        raise DeclareError(f"{where}, end=", f"a header ({kind.item.name}) for which {until}", repr(spec.end)[:99])
    if any(isinstance(leaf, Elsewhere) for leaf in until.leaves()) or said.outer_leaves:
        raise DeclareError(f"{where}, end=", "an end that the item tells by itself", f"{until}, which goes by what stands around it")
    return kind.ended_by(spec.end, until)


def checked(given: object, kind: Kind, where: str) -> Spec:
    """Return the right-hand side of a field, its default in raw form. DeclareError where it does not suit the kind."""
    spec = spec_of(given)
    check_spec(spec, kind, where)
    if kind.wants and not any(hasattr(one, "carry") for one in spec.through):
        raise DeclareError(where, kind.wants, "a default" if spec.written == "default(...)" else spec.written)
    if spec.through:
        spec.kind = kind = carried(spec, kind, where)
    elif spec.ended is not None:
        spec.kind = kind = Delimited(kind, spec.ended, where)
    elif spec.end is not None:
        spec.kind = kind = with_end(spec, kind, where)
    for number in (spec.size, spec.count):
        if isinstance(number, Const) and number.number < 0:
            raise DeclareError(where, "a number from 0", number.number)
    if kind.wire == "payload":
        spec.default = None
    elif spec.default is not None and spec.default is not REQUIRED:
        no_rule(spec.default, where)
        try:
            spec.default = kind.raw(spec.default, where)
        except BuildError as error:
            hint = f"through({spec.default}, ...) is a field that is something else in the packet" if isinstance(spec.default, Transform) else wrong_default(spec.default)
            got = error.got
            if isinstance(spec.default, Spec):
                got, size = f"{spec.default.written} in {spec.written}", "many(size=...) has the size of a list" if spec.default.many else ""
                hint = size or "when(...) stands around the others, through(...) around sized(...) and many(...)"
            elif isinstance(spec.default, enum_auto):
                got = "auto(...) of the module enum"
            raise DeclareError(where, error.expected, got, hint) from None
    return spec
