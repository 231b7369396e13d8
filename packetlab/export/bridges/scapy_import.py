"""`import_scapy`: a scapy class of plain fields as a header class, and as Python source to keep.

`fields_desc` is data but for the functions in it: what tells a size, a count or a presence. These are called once, with a packet
whose values are rules of ours, and what they return is the rule; a function that does more than arithmetic with fields is refused
by name, and so is a class that has code of its own for building or reading. At the end both build the packet of all defaults: the same bytes.
"""

from __future__ import annotations

import dis
import keyword
import re
from collections.abc import Callable
from enum import IntEnum
from fractions import Fraction
from typing import Any, NoReturn, TypeAlias

from packetlab.declare import registry
from packetlab.declare.expressions import Count, Expr, Op, Ref, Size, expression
from packetlab.errors import BuildError, DeclareError
from packetlab.export.bridges.scapy_loaded import load
from packetlab.schema.expressions import dump_expression
from packetlab.schema.imported import ImportedHeaders
from packetlab.schema.load import declare_from

Theirs: TypeAlias = Any
"""A class, a field or a function of scapy's; and a rule as plain data."""
Row = dict[str, Theirs]
_CODE = ("__init__", "build", "build_done", "build_padding", "build_payload", "default_payload_class", "dispatch_hook", "dissect", "dissection_done",
         "do_build", "do_build_payload", "do_dissect", "do_dissect_payload", "extract_padding", "getfield_and_val", "getfieldval",
         "guess_payload_class", "post_build", "post_dissect", "pre_dissect", "self_build", "setfieldval")  # fmt: skip
"""Methods that say how a packet is built or read; scapy calls its own for plain classes."""
_NUMBERS = frozenset(
    f"{signed}{name}Field" for name in ("Byte", "Short", "Int", "Long", "ThreeBytes", "LEShort", "LEInt", "LELong", "LEThreeBytes")
    for signed in ("", "X")
) | {"SignedByteField", "SignedShortField", "SignedIntField", "SignedLongField", "LESignedShortField", "LESignedIntField", "LESignedLongField",
     "X3BytesField", "XLE3BytesField", "XLEShortField", "XLEIntField", "XLELongField", "EnumField", "ByteEnumField", "XByteEnumField", "ShortEnumField",
     "XShortEnumField", "IntEnumField", "LongEnumField", "LEShortEnumField", "XLEShortEnumField", "LEIntEnumField", "XLEIntEnumField", "LELongEnumField",
     "LenField", "FieldLenField", "LEFieldLenField"}  # fmt: skip
_BITS = frozenset(("BitField", "XBitField", "BitEnumField", "FlagsField", "BitFieldLenField", "BitLenEnumField"))
_STRINGS = (
    "StrFixedLenField",
    "XStrFixedLenField",
    "StrLenField",
    "XStrLenField",
    "StrField",
    "XStrField",
    "StrNullField",
    "StrLenFieldUtf16",
    "StrFixedLenEnumField",
)
_VIEWS = ("UUIDField", "IEEEFloatField", "IEEEDoubleField", "OUIField", "NBytesField", "XNBytesField", "UTCTimeField", "SecondsIntField",
          "ScalingField", "FixedPointField", "StrStopField", "LEMACField")  # fmt: skip
"""Fields that are another form of bytes and numbers, which a view of ours has too, or the bytes as they are."""
_LEVELS = 16


class _MoreThanArithmetic(Exception):
    """A function does more than arithmetic with fields."""


class _Value:
    """The value of a field, while a function of a class is read: it takes arithmetic and comparisons, and nothing else."""

    __slots__ = ("rule",)

    def __init__(self, rule: Expr) -> None:
        self.rule = rule

    def _no(self, *operands: object) -> NoReturn:
        raise _MoreThanArithmetic

    __bool__ = __hash__ = __int__ = __index__ = __len__ = __iter__ = __str__ = __repr__ = __format__ = __getitem__ = (
        __contains__
    ) = _no
    __float__ = __bytes__ = __getattr__ = __call__ = __truediv__ = __rtruediv__ = _no

    def __neg__(self) -> _Value:
        return _Value(0 - self.rule)

    def __pos__(self) -> _Value:
        return self


def _operation(sign: str, turned: bool) -> Callable[[_Value, object], _Value]:
    def apply(self: _Value, other: object) -> _Value:
        if not isinstance(other, int | _Value):
            raise _MoreThanArithmetic
        operand = other.rule if isinstance(other, _Value) else expression(other)
        return _Value(Op(sign, operand, self.rule) if turned else Op(sign, self.rule, operand))

    return apply


for _sign, _name in {"+": "add", "-": "sub", "*": "mul", "//": "floordiv", "%": "mod", "<<": "lshift", ">>": "rshift", "&": "and",
                     "|": "or", "^": "xor"}.items():  # fmt: skip
    setattr(_Value, f"__{_name}__", _operation(_sign, False))
    setattr(_Value, f"__r{_name}__", _operation(_sign, True))
for _sign, _name in {"==": "eq", "!=": "ne", "<": "lt", "<=": "le", ">": "gt", ">=": "ge"}.items():
    setattr(_Value, f"__{_name}__", _operation(_sign, False))


class _Values:
    """A packet whose fields are rules."""

    __slots__ = ("_numbers",)

    def __init__(self, numbers: set[str]) -> None:
        object.__setattr__(self, "_numbers", numbers)

    def __getattr__(self, name: str) -> object:
        if name == "getfieldval":
            return self.__getattr__
        if name not in object.__getattribute__(self, "_numbers"):
            raise _MoreThanArithmetic
        return _Value(Ref(plain(name)))

    def __setattr__(self, name: str, value: object) -> None:
        raise _MoreThanArithmetic


def plain(name: str) -> str:
    """Return the name of a field as it may stand in Python."""
    return f"{name}_" if keyword.iskeyword(name) else name


def import_scapy(cls: Theirs) -> ImportedHeaders:
    """Read a scapy class of plain fields, and the classes it holds; return its headers, yet to be declared.

    TypeError for what is no such class. DeclareError, which names field and reason, where a class holds code: field classes of its
    own, functions that do more than arithmetic with fields, `post_build`, `guess_payload_class` and the like. What is bound to it
    stays behind.
    """
    load()
    from scapy.packet import Packet

    if not (isinstance(cls, type) and issubclass(cls, Packet)):
        raise TypeError(f"import_scapy takes a class of scapy's packets, not {cls!r:.60}")
    found: dict[Theirs, Row] = {}
    _describe(cls, found, 0)
    descriptions: list[dict[str, object]] = [*found.values()]
    wanted = str(found[cls]["name"])
    with registry.bindings():
        made = dict(zip(found, declare_from(descriptions), strict=True))
        _compare(cls, made[cls])
    return ImportedHeaders.of(descriptions, wanted)


def _compare(cls: Theirs, made: Theirs) -> None:
    """Refuse a class whose packet of all defaults is built otherwise."""
    try:
        theirs = bytes(cls())
    except Exception as error:  # of a class of anybody's
        raise DeclareError(
            cls.__name__, "a packet that scapy builds", f"{type(error).__name__}: {error}"[:200]
        ) from None
    try:
        ours = bytes(made())
    except BuildError:
        return  # numbers that do not tell the sizes there are: scapy sends them as they are
    if ours != theirs:
        raise DeclareError(cls.__name__, f"bytes as scapy builds them, {theirs[:40].hex()}", ours[:40].hex())


def _describe(cls: Theirs, found: dict[Theirs, Row], depth: int) -> str:
    """Describe a class, and those it holds before it; return the name of the header."""
    if cls in found:
        return str(found[cls]["name"])
    if depth > _LEVELS:
        raise DeclareError(cls.__name__, f"packets inside packets, {_LEVELS} deep at most", "more")
    _check_code(cls)
    name = re.sub(r"\W", "_", cls.__name__, flags=re.ASCII)
    own = {one.name.lower() for one in registry.declared() if one.is_own}
    name = (
        f"Scapy{name}"
        if name.lower() in own
        or not name[0].isalpha()
        or any(one["name"].lower() == name.lower() for one in found.values())
        else name
    )
    rows: list[Row] = []
    numbers: set[str] = set()
    for f in cls.fields_desc:
        where = f"{cls.__name__}.{f.name}"
        row = _row(f, where, _Values(numbers), found, depth)
        if not isinstance(f.name, str) or not f.name.isidentifier():
            raise DeclareError(where, "a name that is an identifier of Python", f"{f.name!a:.60}")
        rows.append({"name": plain(f.name), **row})
        if row["kind"] == "int":
            numbers.add(f.name)
    doc = f"scapy: {cls.__module__}.{cls.__name__}"
    found[cls] = {"name": name, "fields": rows, "doc": doc}
    return name


def _check_code(cls: Theirs) -> None:
    """Refuse a class with code for building or reading; it may say that nothing follows it."""
    from scapy.packet import Packet

    for name in _CODE:
        owner = next((one for one in cls.__mro__ if name in vars(one)), None)
        if owner is None or owner in Packet.__mro__:
            continue
        if name in ("extract_padding", "default_payload_class") and _nothing_follows(cls):
            continue
        if name == "guess_payload_class" and _is_padding(vars(owner)[name]):
            continue
        raise DeclareError(
            cls.__name__, "a class without code for building and reading", f"{name}, of {owner.__name__}"
        )


def _nothing_follows(cls: Theirs) -> bool:
    """Whether what a class says of its payload is that it has none."""
    from scapy.config import conf

    try:
        left, rest = cls().extract_padding(b"abc")
        return (left in (b"", "", None) and rest == b"abc") or cls().default_payload_class(b"abc") is conf.padding_layer
    except Exception:  # of a class of anybody's
        return False


def _is_padding(guess: Theirs) -> bool:
    """Whether a function that guesses a payload's class looks at nothing, and returns that of padding."""
    from scapy.config import conf

    try:
        looks = any(one.opname.startswith(("LOAD_FAST", "POP_JUMP", "CALL")) for one in dis.get_instructions(guess))
        return not looks and guess(None, b"abc") is conf.padding_layer
    except Exception:  # of a class of anybody's
        return False


# Fields --------------------------------------------------------------------------------------------------------


def _row(f: Theirs, where: str, values: _Values, found: dict[Theirs, Row], depth: int) -> Row:
    from scapy import fields

    kind = type(f)
    word = kind.__name__
    if getattr(fields, word, None) is not kind:
        raise DeclareError(where, "a field class of scapy's own", f"{word}, which is code")
    if word == "ConditionalField":
        return {**_row(f.fld, where, values, found, depth), "when": _read(f.cond, where, "the condition", values)}
    if word in _NUMBERS or word in _BITS:
        return _number(f, word, where, values)
    default = getattr(f, "default", None)
    if word == "MACField":
        return {"kind": "mac", "default": _bytes(f, default, 6, where)}
    if word in ("IPField", "IP6Field"):
        return {
            "kind": "ipv4" if word == "IPField" else "ipv6",
            "default": _bytes(f, default, 4 if word == "IPField" else 16, where),
        }
    if word in _STRINGS:
        return _string(f, word, where, values)
    if word in _VIEWS:
        return _view(f, word, where)
    if word in ("PacketField", "PacketLenField", "PacketListField"):
        return _packets(f, word, where, values, found, depth)
    if word == "FieldListField":
        inner = _row(f.field, where, values, found, depth)
        if inner["kind"] not in ("int", "mac", "ipv4", "ipv6") or default:
            raise DeclareError(
                where, "a list of numbers or addresses, empty by default", f"{inner['kind']}, {default!r:.40}"
            )
        return {
            "kind": "values",
            "of": {word: one for word, one in inner.items() if word != "default"},
            "default": [],
            **_ends(f, where, values),
        }
    raise DeclareError(where, "numbers, bits, bytes, addresses, packets and lists of them", word)


def _view(f: Theirs, word: str, where: str) -> Row:
    """Describe a field whose values have another form; the default is the bytes that scapy builds."""
    try:
        raw = bytes(f.addfield(None, b"", f.default) if word != "FixedPointField" else b"")
    except Exception:  # of a class of anybody's
        raise DeclareError(where, "a default that can be built", f"{f.default!r:.60}") from None
    if word == "LEMACField":
        return {"kind": "bytes", "bytes": 6, "default": raw.hex()}
    if word == "UUIDField":
        if f.uuid_fmt not in (f.FORMAT_BE, f.FORMAT_LE):
            raise DeclareError(where, "a UUID whose fields are in the order of RFC 4122", "the bytes in reverse")
        return {"kind": "uuid", **({"little": 1} if f.uuid_fmt == f.FORMAT_LE else {}), "default": {"raw": raw.hex()}}
    if word == "StrStopField":
        if not f.stop or f.additional or not raw.endswith(f.stop) or f.stop in raw[: -len(f.stop)]:
            raise DeclareError(where, "a default that ends with the delimiter, and nothing after it", f"{raw!r:.60}")
        return {"kind": "ended", "of": {"kind": "bytes"}, "by": f.stop.hex(), "default": {"bytes": raw[: -len(f.stop)].hex()}}
    if word == "FixedPointField":
        return {"kind": "scaled", "bits": f.size, "scale": str(Fraction(1, 1 << f.frac_bits)), "default": {"raw": int(f.default or 0)}}
    little, signed = f.fmt[0] == "<" and word not in ("NBytesField", "XNBytesField"), f.fmt[-1] in "bhilq"
    number = int.from_bytes(raw, "little" if little else "big", signed=signed)
    row: Row = {"bits": len(raw) * 8, **({"signed": 1} if signed else {}), **({"little": 1} if little and len(raw) > 1 else {})}
    if word in ("IEEEFloatField", "IEEEDoubleField"):
        return {"kind": "float", **row, "default": {"raw": number}}
    if word == "ScalingField":
        if f.fmt[-1] in "efd":
            raise DeclareError(where, "a scaled whole number", "a scaled float")
        scale, offset = Fraction(str(f.scaling)), Fraction(str(f.offset))
        return {"kind": "scaled", **row, "scale": str(scale), **({"offset": str(offset)} if offset else {}), "default": {"raw": number}}
    return {"kind": "int", **row, "default": number}


def _string(f: Theirs, word: str, where: str, values: _Values) -> Row:
    default = _given(f.default, where)
    if word in ("StrFixedLenField", "XStrFixedLenField", "StrFixedLenEnumField"):
        size = _read(f.length_from, where, "length_from", values)
        if not isinstance(size, int):
            return {"kind": "bytes", "size": size, "default": default.hex()}
        return {"kind": "bytes", "bytes": size, "default": default[:size].ljust(size, b"\0").hex()}
    if word in ("StrLenField", "XStrLenField", "StrLenFieldUtf16"):
        if getattr(f, "max_length", None) is not None:
            raise DeclareError(where, "a size that its rule says", "max_length too")
        size = _read(f.length_from, where, "length_from", values)
        said = {"bytes": size} if isinstance(size, int) else {"size": size}
        return {"kind": "bytes", **said, "default": default.hex()}
    if word in ("StrField", "XStrField"):
        return {"kind": "rest", "default": default.hex()}
    return {
        "kind": "ended",
        "of": {"kind": "bytes"},
        "by": "00",
        "default": {"bytes": default.hex()},
    }


def _number(f: Theirs, word: str, where: str, values: _Values) -> Row:
    row: Row = {"kind": "int"}
    if word in _BITS:
        if f.size < 1 or (f.rev and (f.size % 8 or f.tot_size * 8 != f.size)):
            raise DeclareError(where, "bits in the order of the network", f"{word} of {f.size} bits in another one")
        row["bits"] = f.size
        row.update({"little": 1} if f.rev and f.size > 8 else {})
    else:
        row["bits"] = int(f.sz) * 8
        row.update({"signed": 1} if f.fmt[-1].islower() and f.fmt[-1] != "s" else {})
        row.update({"little": 1} if f.fmt[0] == "<" and row["bits"] > 8 else {})
    names = _names(f, word, row["bits"], where)
    row.update({"names": names} if names else {})
    default = f.default
    if default is None and word in ("FieldLenField", "LEFieldLenField", "BitFieldLenField", "LenField"):
        if word == "LenField":
            return {**row, "rule": _read(lambda _, size: f.adjust(size), where, "adjust", values, Size("payload"))}
        measured = Size(plain(f.length_of)) if f.length_of is not None else Count(plain(f.count_of))
        return {**row, "rule": _read(f.adjust, where, "adjust", values, measured)}
    if default is not None and not isinstance(default, int) and word != "FlagsField":
        raise DeclareError(where, "a default that is a number", f"{default!r:.60}")
    return {**row, "default": int(default or 0)}


def _names(f: Theirs, word: str, bits: int, where: str) -> Row | None:
    """Return the names of values, as far as they may stand in Python."""
    flags = word == "FlagsField"
    some = f.names if flags else getattr(f, "i2s", None)
    if flags and isinstance(some, str | list | tuple):
        some = {1 << place: name for place, name in enumerate(some)}
    if not isinstance(some, dict) or len(some) > 4096:
        return None
    members: dict[str, int] = {}
    for number, said in some.items():
        if not isinstance(number, int) or not isinstance(said, str) or not 0 <= number < 1 << bits:
            return None
        name = re.sub(r"\W+", "_", said, flags=re.ASCII).strip("_")[:60]
        name = f"n_{name}" if not name[:1].isalpha() else name
        name = f"{name}_" if keyword.iskeyword(name) or hasattr(IntEnum, name) else name
        members.setdefault(name if name not in members else f"{name}_{number}", number)
    called = re.sub(r"\W", "_", where.replace(".", "_"), flags=re.ASCII)[:60]
    return {"name": called, **({"flags": 1} if flags else {}), "members": members} if members else None


def _packets(f: Theirs, word: str, where: str, values: _Values, found: dict[Theirs, Row], depth: int) -> Row:
    item = getattr(f, "cls", None)
    if getattr(f, "next_cls_cb", None) is not None or not isinstance(item, type):
        raise DeclareError(where, "packets of one class", "a class by code")
    if word == "PacketListField" and f.default:
        raise DeclareError(where, "an empty list by default", "packets")
    of = _describe(item, found, depth + 1)
    if word != "PacketListField":
        row: Row = {"kind": "header", "of": of, "default": [{}]}
        return {**row, "size": _read(f.length_from, where, "length_from", values)} if word == "PacketLenField" else row
    if getattr(f, "max_count", None) is not None:
        raise DeclareError(where, "a list that a rule ends", "max_count")
    return {"kind": "items", "of": of, "default": [], **_ends(f, where, values)}


def _ends(f: Theirs, where: str, values: _Values) -> Row:
    if f.count_from is not None:
        return {"count": _read(f.count_from, where, "count_from", values)}
    return {} if f.length_from is None else {"size": _read(f.length_from, where, "length_from", values)}


def _read(function: Theirs, where: str, what: str, values: _Values, *more: Expr) -> Theirs:
    """Return what a function of a packet comes to, as a rule."""
    try:
        found = function(values, *map(_Value, more))
        if isinstance(found, _Value | int):
            return dump_expression(found.rule if isinstance(found, _Value) else expression(int(found)))
    except Exception:  # of a class of anybody's; one that reads what is no number of the packet
        pass
    raise DeclareError(where, f"{what} that is arithmetic with numbers of fields before it", "a function that is more")


def _given(default: object, where: str) -> bytes:
    if isinstance(default, str):
        return default.encode()
    if default is not None and not isinstance(default, bytes):
        raise DeclareError(where, "a default that is bytes", f"{default!r:.60}")
    return default or b""


def _bytes(f: Theirs, default: object, size: int, where: str) -> str:
    try:
        raw: bytes = f.i2m(None, default) if default is not None else bytes(size)
        raw = raw if isinstance(raw, bytes) else f.addfield(None, b"", default)
    except Exception:  # of a class of anybody's
        raw = b""
    if len(raw) != size:
        raise DeclareError(where, "a default that is an address", f"{default!r:.60}")
    return raw.hex()
