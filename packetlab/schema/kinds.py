"""Kinds of fields as plain data: one row for each sort of kind, by which descriptions are written, read and spelled.

A kind of somebody's own travels by its import name and by what it was made with. The name imports nothing: who reads the
description passes the class in.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Flag, FlagBoundary, IntEnum, IntFlag
from inspect import cleandoc
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, get_args

from packetlab.declare import kinds
from packetlab.declare.bits.kinds import BitList, BitNumber, SpareBits
from packetlab.declare.computed import Computed, kind_for
from packetlab.declare.items import Items, Repeated
from packetlab.declare.kinds import WIDEST, Address, ByteString, Int, Kind, PayloadMark
from packetlab.declare.remembering.records import LaidOut
from packetlab.declare.transforms.carried import Through
from packetlab.declare.values import integers
from packetlab.declare.values.delimited import Delimited
from packetlab.declare.values.varints import WIDEST_SIZED, CodedNumber, LengthOfBER, Prefixed, SizedInt, Varint
from packetlab.errors import DeclareError
from packetlab.schema import views
from packetlab.schema.expressions import (
    dump_expression,
    expect_list,
    load_expression,
    name,
    number,
    safe_repr,
    table,
    text,
)
from packetlab.schema.own_kinds import arguments, import_name, own_data
from packetlab.schema.recalled import layout_data, layout_of_data
from packetlab.schema.transforms import data_of_transforms, transforms_of
from packetlab.schema.values import LONGEST, hexadecimal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from packetlab.declare.declaration import Declaration

MEMBERS, WORDS = 4096, 1 << 16
NESTING, HELD = 24, 1 << 12

ADDRESSES: dict[str, Address] = {
    word: get_args(annotation)[1]
    for word, annotation in {
        "mac": kinds.MAC, "ipv4": kinds.IPv4Address, "ipv6": kinds.IPv6Address, "xns": kinds.XNSAddressField,
    }.items()
}  # fmt: skip
"""Word of a description -> kind of address."""
_SPELLED = {"mac": "MAC", "ipv4": "IPv4Address", "ipv6": "IPv6Address", "xns": "XNSAddressField"}


class Maker(Protocol):
    """What knows the headers, enums and kinds of its own that a description may name (see `load`)."""

    kinds: tuple[type[Kind], ...]

    def known(self, called: object, where: str) -> Declaration: ...
    def enum(self, data: object, where: str) -> type[IntEnum | IntFlag]: ...


class Form(NamedTuple):
    """How one sort of kind travels.

    Attributes:
        says: what a field of it may say in addition to name, kind, condition and default. is_of: whether a kind is one.
        data: of a kind, what stands in its description. kind: the kind of a description (`maker` knows headers, enums and
            the reader's own kinds). spelled: the annotation of a description, enums that it needs being added to a dict.
    """

    says: str
    is_of: Callable[[Kind], bool]
    data: Callable[[Any, str], dict[str, object]]
    kind: Callable[[dict[str, object], str, Maker], Kind]
    spelled: Callable[[dict[str, object], str, dict[str, None]], str]


def data_of_kind(kind: Kind, where: str) -> dict[str, object]:
    """Return a kind as plain data. DeclareError where something of it is code alone."""
    word, form = next((word, form) for word, form in FORMS.items() if form.is_of(kind))
    return {"kind": word, **form.data(kind, where)}


def form_of(row: dict[str, object], where: str) -> Form:
    """Return the row for the kind that a description names."""
    word = row.get("kind")
    if type(word) is not str or word not in FORMS:
        raise DeclareError(where, f"a kind: one of {', '.join(FORMS)}", safe_repr(word))
    return FORMS[word]


# Numbers -------------------------------------------------------------------------------------------------------


def _number_data(kind: Int, where: str) -> dict[str, object]:
    found: dict[str, object] = {"bits": kind.bits, **{word: 1 for word in ("signed", "little") if getattr(kind, word)}}
    return found if kind.names is None else {**found, "names": _enum_data(kind.names, where)}


def _enum_data(names: type[IntEnum | IntFlag], where: str) -> dict[str, object]:
    if issubclass(names, Flag) and getattr(names, "_boundary_", None) is not FlagBoundary.KEEP:
        raise DeclareError(where, "flags that keep bits without a name", f"{names.__name__}, which does not")
    found: dict[str, object] = {"name": names.__name__}
    if issubclass(names, Flag):
        found["flags"] = 1
    if names.__doc__ and names.__doc__ not in (IntEnum.__doc__, IntFlag.__doc__):
        found["doc"] = cleandoc(names.__doc__)
    found["members"] = {member: int(value) for member, value in names.__members__.items()}
    return found


def _number(row: dict[str, object], where: str, maker: Maker) -> Kind:
    flags = {one: bool(number(row.get(one, 0), where, 0, 1)) for one in ("signed", "little")}
    names = maker.enum(row["names"], where) if "names" in row else None
    return Int(number(row.get("bits"), where, 1, WIDEST), names=names, **flags)


def _number_spelled(row: dict[str, object], where: str, enums: dict[str, None]) -> str:
    width = number(row.get("bits"), where, 1, WIDEST)
    signed, little = row.get("signed") == 1, row.get("little") == 1
    written = f"bits({width}{', signed=True' if signed else ''}{', little=True' if little else ''})"
    short = f"{'S' if signed else 'U'}{width}{'le' if little else ''}"
    return annotation(row, where, enums, written, short if hasattr(integers, short) else "")


def _wide_data(kind: BitNumber, where: str) -> dict[str, object]:
    found: dict[str, object] = {"width": dump_expression(kind.wide), **({"signed": 1} if kind.signed else {})}
    return found if kind.names is None else {**found, "names": _enum_data(kind.names, where)}


def _wide(row: dict[str, object], where: str, maker: Maker) -> Kind:
    kind = BitNumber(load_expression(row.get("width"), where), number(row.get("signed", 0), where, 0, 1) == 1)
    return kind.typed(maker.enum(row["names"], where), where) if "names" in row else kind


def annotation(row: dict[str, object], where: str, enums: dict[str, None], written: str, short: str) -> str:
    """Return the annotation of a kind of numbers: `written`, or the name `short` of it, if it has one and its values have none."""
    if "names" in row:
        called, source = _enum_spelled(row["names"], where)
        enums[source] = None
        return f"Annotated[Named[{called}], {written}]"
    return short or f"Annotated[int, {written}]"


_CODED: dict[str, tuple[type[CodedNumber], dict[str, object], str]] = {
    "varint": (Varint, {"signed": False, "zigzag": False, "high_first": False, "most": 10, "shortest": False}, "varint"),
    "prefixed": (Prefixed, {"prefix": 2, "sizes": (1, 2, 4, 8), "shortest": False}, "prefixed"),
    "ber_length": (LengthOfBER, {"indefinite": False, "shortest": False}, "ber_length"),
    "ber_integer": (SizedInt, {"most": 8, "shortest": False}, "ber_integer"),
    "sized_int": (SizedInt, {"most": 8, "shortest": False}, "sized_int"),
}
"""Word of a description -> its class, what that is made with unless told otherwise, and the function that makes it."""
_SHORT = {"varint": "VarInt", "varint signed": "SignedVarInt", "varint zigzag": "ZigZagInt", "varint most": "MQTTInt",
          "prefixed": "QuicInt", "ber_length": "BERLength"}  # fmt: skip


def _coded(word: str) -> Form:
    of, usual, function = _CODED[word]

    def data(kind: CodedNumber, where: str) -> dict[str, object]:
        given = {one: getattr(kind, one) for one, value in usual.items() if getattr(kind, one) != value}
        found: dict[str, object] = {one: [*v] if isinstance(v, tuple) else int(v) for one, v in given.items()}
        return found if kind.names is None else {**found, "names": _enum_data(kind.names, where)}

    def kind(row: dict[str, object], where: str, maker: Maker) -> Kind:
        made = plain(row, where)
        return made.typed(maker.enum(row["names"], where), where) if "names" in row else made

    def plain(row: dict[str, object], where: str) -> Kind:
        given = dict(usual)
        for one, value in usual.items():
            if one in row and isinstance(value, tuple):
                given[one] = tuple(number(size, where) for size in expect_list(row[one], where, 128, 1))
            elif one in row:
                given[one] = type(value)(number(row[one], where, 0, WIDEST_SIZED))  # type: ignore[call-arg]
        signed = (word == "ber_integer",) if of is SizedInt else ()
        made: Kind = of(*signed, *given.values())
        return made

    def spelled(row: dict[str, object], where: str, enums: dict[str, None]) -> str:
        kind, short = plain(row, where), _SHORT.get(" ".join([word, *(one for one in usual if one in row)]), "")
        given = [f"{'bits' if one == 'prefix' else one}={getattr(kind, one)!r}" for one in usual if one in row]
        if short == "MQTTInt" and row["most"] != 4:
            short = ""
        return annotation(row, where, enums, f"{function}({', '.join(given)})", short)

    says = f"{' '.join(usual)} names rule size none const when default"
    return Form(says, lambda one: type(one) is of and (of is not SizedInt or one.signed is (word == "ber_integer")),
                data, kind, spelled)  # fmt: skip


def _enum_spelled(data: object, where: str) -> tuple[str, str]:
    if type(data) is not dict or type(data.get("members")) is not dict:
        raise DeclareError(where, "names of values", safe_repr(data))
    called = name(data.get("name"), where)
    lines = [f"class {called}({'IntFlag' if data.get('flags') == 1 else 'IntEnum'}):"]
    if data.get("doc"):
        lines += [*("    " + line for line in docstring(text(data["doc"], where, WORDS))), ""]
    lines += [f"    {name(key, where)} = {number(value, where)}" for key, value in data["members"].items()]
    return called, "\n".join(lines)


def docstring(words: str) -> list[str]:
    """Return the lines of a docstring: plain where it can be, else with everything escaped that is not plain letters."""
    first, *more = words.split("\n")
    plain = all(c.isprintable() and c not in '"\\' for line in (first, *more) for c in line)
    if not plain or not words.isascii() or first.strip() != first or not first:
        return [ascii(words)]
    return [f'"""{first}"""'] if not more else [f'"""{first}', *more, '"""']


# Kinds of somebody's own ---------------------------------------------------------------------------------------


def classes(some: Iterable[type[Kind]]) -> tuple[type[Kind], ...]:
    """Return the reader's own kinds. TypeError for anything but classes of kinds."""
    found = tuple(some)
    for kind in found:
        if not (isinstance(kind, type) and issubclass(kind, Kind)):
            raise TypeError(f"kinds are classes derived from packetlab.Kind, as in kinds=[Varint], not {kind!r:.60}")
    return found


def _own(row: dict[str, object], where: str, maker: Maker) -> Kind:
    called = text(row.get("of"), where, 200)
    known = [kind for kind in maker.kinds if import_name(kind) == called]
    known = known or [kind for kind in maker.kinds if kind.__name__ == called.rpartition(".")[2]]
    if len(known) != 1:
        hint = "pass the class in: declare_from(descriptions, kinds=[ThatKind]); its name imports nothing"
        raise DeclareError(where, "a kind of field that is known here", safe_repr(called), hint)
    try:
        made: Kind = known[0](**arguments(row, where))
        return made
    except TypeError as error:
        raise DeclareError(where, f"what {known[0].__name__} is made with", str(error)) from None


def _own_spelled(row: dict[str, object], where: str, enums: dict[str, None]) -> str:
    called = name(text(row.get("of"), where, 200).rpartition(".")[2], where)
    given = ", ".join(f"{one}={value!a}" for one, value in arguments(row, where).items())
    return f"Annotated[Any, {called}({given})]"


# All of them ---------------------------------------------------------------------------------------------------


def _items(row: dict[str, object], where: str, maker: Maker) -> Kind:
    if row.get("of") == where.partition(".")[0]:
        return Items(None, row["kind"] == "header")  # of its own class
    item = maker.known(row.get("of"), where)
    levels, headers = _held(item, {})
    if levels >= NESTING or headers > HELD:
        got = "more" if levels >= NESTING else f"{headers} of them"
        raise DeclareError(where, f"headers inside headers, {NESTING} deep and {HELD} of them at most", got)
    return Items(item, row["kind"] == "header")


def _held(header: Declaration, known: dict[Declaration, tuple[int, int]]) -> tuple[int, int]:
    """Return how many levels of headers there are from one on, and how many headers a walk through all its fields meets."""
    if header not in known:
        known[header] = 0, 0  # of one that holds itself
        found = [_held(f.kind.item, known) for f in header.fields if f.kind.has_headers]
        known[header] = 1 + max((levels for levels, _ in found), default=0), 1 + sum(headers for _, headers in found)
    return known[header]


def _item_name(row: dict[str, object], where: str) -> str:
    called = name(row.get("of"), where)
    return "Self" if called == where.partition(".")[0] else called


def _values(row: dict[str, object], where: str, maker: Maker) -> Kind:
    element, form = _inner(row, where)
    kind = form.kind(element, where, maker)
    if kind.wire == "number" and kind.fixed_bits % 8:
        return BitList(kind)
    if kind.wire not in ("number", "bytes", "coded") or kind.loose:
        raise DeclareError(where, "values of whole bytes, or that tell their own size", kind.in_words())
    return Repeated(kind, where)


def _values_spelled(row: dict[str, object], where: str, enums: dict[str, None]) -> str:
    element, form = _inner(row, where)
    return f"tuple[{form.spelled(element, where, enums)}, ...]"


def _bytes(row: dict[str, object], where: str, maker: object) -> Kind:
    return ByteString(number(row["bytes"], where, 0, LONGEST) if "bytes" in row else None)


def _bytes_spelled(row: dict[str, object], where: str, enums: dict[str, None]) -> str:
    return f"Annotated[bytes, fixed_bytes({number(row['bytes'], where)})]" if "bytes" in row else "Bytes"


def _plain(says: str, is_of: Callable[[Kind], bool], make: Callable[[], Kind], written: str) -> Form:
    return Form(
        says, is_of, lambda kind, where: {}, lambda row, where, maker: make(), lambda row, where, enums: written
    )


def _address(word: str, kind: Address) -> Form:
    return Form(
        "const when default",
        lambda one: one is kind,
        lambda one, where: {},
        lambda row, where, maker: kind,
        lambda row, where, enums: _SPELLED[word],
    )


def _view(word: str) -> Form:
    return Form(
        views.SAYS[word] + " size", lambda kind: views.is_one(word, kind), lambda kind, where: views.arguments(word, kind),
        lambda row, where, maker: views.made(word, row, where, maker),
        lambda row, where, enums: views.spelled(word, row, where, enums),
    )  # fmt: skip


def _inner(row: dict[str, object], where: str) -> tuple[dict[str, object], Form]:
    inner = row.get("of")
    lists = row.get("kind") == "through"  # which may have a list inside, as a list may not
    if type(inner) is not dict or inner.get("kind") in ("ended", "through", "computed", *([] if lists else ["values"])):
        raise DeclareError(where, "the kind of what is inside, or of the values that repeat", safe_repr(inner))
    form = form_of(inner, where)
    table({key: value for key, value in inner.items() if key != "kind"}, where, form.says)
    return inner, form


def _ended(row: dict[str, object], where: str, maker: Maker) -> Kind:
    inner, form = _inner(row, where)
    kind = form.kind(inner, where, maker)
    if "ended" not in kind.allows.split() or kind.rest:
        raise DeclareError(where, "bytes, text or digits of no size of their own", safe_repr(inner))
    by = row.get("by")
    return Delimited(kind, tuple(hexadecimal(one, where) for one in by) if isinstance(by, list) else hexadecimal(by, where), where)


def _computed_data(kind: Computed, where: str) -> dict[str, object]:
    if kind.like is not None:
        return {"of": data_of_kind(kind.like, where)}
    return {} if kind.names is None else {"names": _enum_data(kind.names, where)}


def _computed(row: dict[str, object], where: str, maker: Maker) -> Kind:
    if "of" in row:
        inner, form = _inner(row, where)
        return kind_for(None, form.kind(inner, where, maker), where)
    return kind_for(maker.enum(row["names"], where) if "names" in row else int, None, where)


def _computed_spelled(row: dict[str, object], where: str, enums: dict[str, None]) -> str:
    if "of" in row:
        inner, form = _inner(row, where)
        return form.spelled(inner, where, enums)
    if "names" not in row:
        return "int"
    called, source = _enum_spelled(row["names"], where)
    enums[source] = None
    return called


def _through(row: dict[str, object], where: str, maker: Maker) -> Kind:
    inner, form = _inner(row, where)
    return Through(form.kind(inner, where, maker), transforms_of(row.get("by"), where), where)


FORMS: dict[str, Form] = {
    "int": Form(
        "bits signed little names rule const when default",
        lambda kind: type(kind) is Int, _number_data, _number, _number_spelled,
    ),
    "bytes": Form(
        "bytes size none pad to within align filling since const when default",
        lambda kind: type(kind) is ByteString and not kind.rest,
        lambda kind, where: {} if kind.bits is None else {"bytes": kind.bits // 8}, _bytes, _bytes_spelled,
    ),
    "rest": _plain("size none when default", lambda kind: type(kind) is ByteString and kind.rest, lambda: ByteString(rest=True), "Rest"),
    "payload": _plain("", lambda kind: type(kind) is PayloadMark, PayloadMark, "Payload"),
    "items": Form(
        "of size count until end none align filling since when default", lambda kind: type(kind) is Items and not kind.one,
        lambda kind, where: {"of": kind.item.name}, _items,
        lambda row, where, enums: f"tuple[{_item_name(row, where)}, ...]",
    ),
    "header": Form(
        "of size none when default", lambda kind: type(kind) is Items, lambda kind, where: {"of": kind.item.name}, _items,
        lambda row, where, enums: _item_name(row, where).replace("Self", "Self | None"),
    ),
    "values": Form(
        "of size count none const when default", lambda kind: type(kind) in (Repeated, BitList),
        lambda kind, where: {"of": data_of_kind(kind.element, where)}, _values, _values_spelled,
    ),
    "wide": Form(
        "width signed names rule const when default", lambda kind: type(kind) is BitNumber, _wide_data, _wide,
        lambda row, where, enums: annotation(row, where, enums, "bits(...)", ""),
    ),
    "spare": _plain("default", lambda kind: type(kind) is SpareBits, SpareBits, "int"),
    **{word: _coded(word) for word in _CODED},
    **{word: _view(word) for word in views.SAYS},
    "laid_out": Form(
        "by size when", lambda kind: isinstance(kind, LaidOut), lambda kind, where: layout_data(kind, where, dump_expression, data_of_kind),
        lambda row, where, maker: layout_of_data(row.get("by"), where, load_expression, form_of, maker), lambda row, where, enums: "Records",
    ),
    "through": Form(
        "of by size none when default", lambda kind: bool(kind.transforms),
        lambda kind, where: {"of": data_of_kind(kind.inner, where), "by": data_of_transforms(kind, where)}, _through,
        lambda row, where, enums: _inner(row, where)[1].spelled(_inner(row, where)[0], where, enums),
    ),
    "computed": Form(
        "of names computed", lambda kind: isinstance(kind, Computed), _computed_data, _computed, _computed_spelled,
    ),
    "ended": Form(
        "of by rule const when default", lambda kind: type(kind) is Delimited,
        lambda kind, where: {"of": data_of_kind(kind.inner, where), "by": [one.hex() for one in kind.ends] if kind.ends[1:] else kind.delimiter.hex()}, _ended,
        lambda row, where, enums: _inner(row, where)[1].spelled(_inner(row, where)[0], where, enums),
    ),
    **{word: _address(word, kind) for word, kind in ADDRESSES.items()},
    "own": Form("of given rule size none pad filling since const when default", lambda kind: True, own_data, _own, _own_spelled),
}  # fmt: skip
"""Word of a description -> how such a kind travels; the last one takes all that no other does."""
