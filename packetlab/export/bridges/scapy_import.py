"""`import_scapy`: a scapy class of plain fields as a header class, and as Python source to keep.

`fields_desc` is data but for the functions in it: what tells a size, a count or a presence, which become rules (see `scapy_rules`); a
function that does more than arithmetic and decisions with fields is refused by name, and so is a class that has code of its own for building or reading. At the end both build the packet of all defaults: the same bytes.
"""

from __future__ import annotations

import dis
import keyword
import re
from copy import copy
from enum import IntEnum
from fractions import Fraction

from packetlab.declare import registry
from packetlab.declare.expressions import Const, Count, Expr, Op, Size
from packetlab.errors import BuildError, DeclareError
from packetlab.export.bridges.scapy_loaded import load
from packetlab.export.bridges.scapy_rules import Numbers, Theirs, plain, rule_of, truth
from packetlab.schema.expressions import dump_expression, load_expression
from packetlab.schema.imported import ImportedHeaders
from packetlab.schema.load import declare_from

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


def import_scapy(cls: Theirs) -> ImportedHeaders:
    """Read a scapy class of plain fields, and the classes it holds; return its headers, yet to be declared.

    TypeError for what is no such class. DeclareError, which names field and reason, where a class holds code: field classes of its
    own, functions that do more than arithmetic and decisions with fields, `post_build`, `guess_payload_class` and the like. What is bound to it
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
    numbers = Numbers()
    for f in cls.fields_desc:
        if not isinstance(f.name, str) or not f.name.isidentifier():
            raise DeclareError(f"{cls.__name__}.{f.name!a:.60}", "a name that is an identifier of Python", f"{f.name!a:.60}")
        numbers.parts[f.name] = _parts(f)
    for f in cls.fields_desc:
        where = f"{cls.__name__}.{f.name}"
        some = _rows(f, where, numbers, found, depth)
        rows += some
        if len(some) == 1 and some[0]["kind"] == "int":
            numbers.flags[f.name] = _bits_of(f)
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
        return (left in (b"", "", None) and rest in (b"abc", None)) or cls().default_payload_class(b"abc") is conf.padding_layer
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


def _parts(f: Theirs) -> list[str]:
    """Return the names of the fields that one becomes: the last of several types has its own name, the others have a number."""
    inner = f.fld if type(f).__name__ in ("ConditionalField", "PadField") else f
    others = len(inner.flds) if type(inner).__name__ == "MultipleTypeField" else 0
    return [*(f"{plain(f.name).rstrip('_')}_{n}" for n in range(1, others + 1)), plain(f.name)]


def _bits_of(f: Theirs) -> dict[str, int]:
    """Return the bits of the flags of a field, by name."""
    names = getattr(f.fld if type(f).__name__ == "ConditionalField" else f, "names", None)
    return {one: 1 << n for n, one in enumerate(names)} if isinstance(names, str | list | tuple) else {}


def _rows(f: Theirs, where: str, values: Numbers, found: dict[Theirs, Row], depth: int) -> list[Row]:
    """Describe a field: one row for each of its types, and what fills it up."""
    from scapy import fields

    word, name = type(f).__name__, plain(f.name)
    if word not in ("ConditionalField", "PadField", "MultipleTypeField") or getattr(fields, word) is not type(f):
        return [{"name": name, **_row(f, where, values, found, depth)}]
    if word == "MultipleTypeField":
        return _several(f, where, values, found, depth)
    rows = _rows(f.fld, where, values, found, depth)
    if word == "ConditionalField":
        when = rule_of(f.cond, where, "the condition", values)
        return [{**row, "when": ["&", _truth(when), row["when"]] if "when" in row else when} for row in rows]
    multiple, fill = f._align, f._padwith or b"\0"
    if len(rows) > 1 or type(multiple) is not int or not 1 <= multiple <= 4096 or type(fill) is not bytes or len(fill) != 1:
        raise DeclareError(where, "a filler of one byte up to a multiple, after a field of one type", f"{multiple!r:.20}, {fill!r:.20}")
    filler = {"name": f"{name}_filler", "kind": "bytes", "pad": multiple, "since": name, **({"filling": fill[0]} if fill != b"\0" else {})}
    return [*rows, filler]


def _several(f: Theirs, where: str, values: Numbers, found: dict[Theirs, Row], depth: int) -> list[Row]:
    """Describe a field of several types: one field each, of which the first whose condition holds is there."""
    rows: list[Row] = []
    before: list[Theirs] = []
    for (field, said), name in zip(f.flds, values.parts[f.name], strict=False):
        test = _truth(rule_of(said[0] if isinstance(said, tuple) else said, where, "the condition", values))
        row = _row(field, where, values, found, depth)
        rows.append({"name": name, **row, "when": _all([*before, test])})
        before.append(["==", test, 0])
    usual = {"name": values.parts[f.name][-1], **_row(f.dflt, where, values, found, depth)}
    return [*rows, {**usual, "when": _all(before)} if before else usual]


def _truth(rule: Theirs) -> Theirs:
    return dump_expression(truth(load_expression(rule, ""))) if isinstance(rule, list) else int(bool(rule))


def _all(rules: list[Theirs]) -> Theirs:
    found = rules[0]
    for rule in rules[1:]:
        found = ["&", found, rule]
    return found


def _measured(kind: type[Size | Count], name: str, values: Numbers) -> Expr:
    """Return the size or count of a field, of several types that of whichever is there."""
    total: Expr = Const(0)
    for n, part in enumerate(values.parts.get(name, [plain(name)])):
        total = kind(part) if n == 0 else Op("+", total, kind(part))
    return total


def _like(f: Theirs, value: object, where: str) -> Theirs:
    """Return a value of a field as data of a default. DeclareError for one of several types, and for packets in packets."""
    if type(f).__name__ not in _NUMBERS | _BITS | {*_STRINGS, *_VIEWS, "MACField", "IPField", "IP6Field"}:
        raise DeclareError(where, "a default of packets with numbers, bytes and addresses of their own", f"{f.name}, of {type(f).__name__}")
    one = copy(f)
    one.default = value
    return _row(one, where, Numbers(anything=True), {}, 0)["default"]


def _packet(one: Theirs, item: Theirs, where: str) -> Row:
    """Return a packet in a default as the values that it was given."""
    if type(one) is not item or one.payload:
        raise DeclareError(where, f"packets of {item.__name__} with nothing behind", f"{one!r:.60}")
    given = {name: value for name, value in one.fields.items() if value != one.get_field(name).default}
    return {plain(name): _like(one.get_field(name), value, where) for name, value in given.items()}


def _row(f: Theirs, where: str, values: Numbers, found: dict[Theirs, Row], depth: int) -> Row:
    from scapy import fields

    kind = type(f)
    word = kind.__name__
    if getattr(fields, word, None) is not kind:
        raise DeclareError(where, "a field class of scapy's own", f"{word}, which is code")
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
        if inner["kind"] not in ("int", "mac", "ipv4", "ipv6") or not isinstance(default or [], list):
            raise DeclareError(where, "a list of numbers or addresses", f"{inner['kind']}, {default!r:.40}")
        return {
            "kind": "values",
            "of": {word: one for word, one in inner.items() if word != "default"},
            "default": [_like(f.field, one, where) for one in default or []],
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


def _string(f: Theirs, word: str, where: str, values: Numbers) -> Row:
    default = _given(f, where)
    if word in ("StrFixedLenField", "XStrFixedLenField", "StrFixedLenEnumField"):
        size = rule_of(f.length_from, where, "length_from", values)
        if not isinstance(size, int):
            return {"kind": "bytes", "size": size, "default": default.hex()}
        return {"kind": "bytes", "bytes": size, "default": default[:size].ljust(size, b"\0").hex()}
    if word in ("StrLenField", "XStrLenField", "StrLenFieldUtf16"):
        if getattr(f, "max_length", None) is not None:
            raise DeclareError(where, "a size that its rule says", "max_length too")
        size = rule_of(f.length_from, where, "length_from", values)
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


def _number(f: Theirs, word: str, where: str, values: Numbers) -> Row:
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
            return {**row, "rule": rule_of(lambda _, size: f.adjust(size), where, "adjust", values, Size("payload"))}
        measured = _measured(Size, f.length_of, values) if f.length_of is not None else _measured(Count, f.count_of, values)
        return {**row, "rule": rule_of(f.adjust, where, "adjust", values, measured)}
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
    called = re.sub(r"\W", "_", where.replace(".", "_"), flags=re.ASCII).lstrip("_")[:60]
    return {"name": called, **({"flags": 1} if flags else {}), "members": members} if members else None


def _packets(f: Theirs, word: str, where: str, values: Numbers, found: dict[Theirs, Row], depth: int) -> Row:
    item = getattr(f, "cls", None)
    if getattr(f, "next_cls_cb", None) is not None or not isinstance(item, type):
        raise DeclareError(where, "packets of one class", "a class by code")
    of = _describe(item, found, depth + 1)
    if word != "PacketListField":
        given = _packet(f.default, item, where) if type(f.default) is item else {}
        row: Row = {"kind": "header", "of": of, "default": [given]}
        return {**row, "size": rule_of(f.length_from, where, "length_from", values)} if word == "PacketLenField" else row
    if getattr(f, "max_count", None) is not None:
        raise DeclareError(where, "a list that a rule ends", "max_count")
    default = [_packet(one, item, where) for one in f.default or []]
    return {"kind": "items", "of": of, "default": default, **_ends(f, where, values)}


def _ends(f: Theirs, where: str, values: Numbers) -> Row:
    if f.count_from is not None:
        return {"count": rule_of(f.count_from, where, "count_from", values)}
    return {} if f.length_from is None else {"size": rule_of(f.length_from, where, "length_from", values)}


def _given(f: Theirs, where: str) -> bytes:
    try:
        default = f.i2m(None, f.default) if isinstance(f.default, int) else f.default
    except Exception:  # of a class of anybody's
        default = f.default
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
