"""One field of a type as a field of a header: its kind, and what tells its size, as in `schema.dump`."""

from __future__ import annotations

import re

from packetlab.schema.expressions import safe_repr
from packetlab.schema.ksy.expressions import KsyNode, parse_type
from packetlab.schema.ksy.model import Attr, camel
from packetlab.schema.ksy.plans import Env, Variant
from packetlab.schema.ksy.scopes import Rules, Term
from packetlab.schema.ksy.texts import encoding_of

Row = dict[str, Term]
_NUMBER = re.compile(r"([usf])([1248])(le|be)?", re.ASCII)
_BITS = re.compile(r"b([0-9]+)(le|be)?", re.ASCII)


def number_row(attr: Attr, builtin: str, endian: object) -> Row | None:
    """Return the kind of a number; None for other types."""
    found = _NUMBER.fullmatch(builtin)
    if found is None:
        bits = _BITS.fullmatch(builtin)
        return None if bits is None else {"kind": "int", "bits": int(bits[1])}
    sort, size, order = found[1], int(found[2]), found[3] or endian
    if size > 1 and order not in ("le", "be"):
        raise attr.refuse(
            "type",
            f"{builtin}le or {builtin}be, or meta/endian",
            f"{builtin}, and nothing says in which order its bytes are",
        )
    row: Row = {"kind": "float", "bits": size * 8} if sort == "f" else {"kind": "int", "bits": size * 8}
    row.update({"signed": 1} if sort == "s" else {})
    row.update({"little": 1} if order == "le" and size > 1 else {})
    return row


def is_bits(builtin: str) -> bool:
    """Whether a type is one of bits, which share bytes with others."""
    return _BITS.fullmatch(builtin) is not None


def enum_data(attr: Attr) -> Row:
    """Return the enum of a field as data. DeclareError where there is none such."""
    said = attr.said["enum"]
    path = tuple(str(said).split("::"))
    members = attr.owner.find(path, "enums") if isinstance(said, str) else None
    if members is None:
        raise attr.refuse("enum", "an enum that is there", safe_repr(said))
    owner = attr.owner
    while path[-1] not in owner.enums and owner.outer is not None:
        owner = owner.outer
    name = "".join(map(camel, (*owner.path, path[-1]))) if path[-1] in owner.enums else "".join(map(camel, path))
    return {"name": name[:64], "members": members}


def contents(attr: Attr) -> bytes:
    """Return the bytes that a field always is."""
    said, found = attr.said["contents"], b""
    if isinstance(said, str):
        return said.encode()
    for one in said if isinstance(said, list) else [None]:
        if isinstance(one, int) and not isinstance(one, bool) and 0 <= one < 256:
            found += bytes((one,))
        elif isinstance(one, str):
            found += one.encode()
        else:
            raise attr.refuse("contents", "a text, or a list of texts and bytes", safe_repr(one))
    if len(found) > 1 << 12:
        raise attr.refuse("contents", "4096 bytes at most", len(found))
    return found


WITHIN = "in a type of its own that has this size, {seq: [{id: value, type: strz}]}, what stands behind the end is kept as unread"


def check_end(attr: Attr) -> None:
    """Refuse an end of a value that stands beside another one: only one of them would be read.

    Kaitai cuts what a size gives at the terminator, and takes the padding off it; a header has such bytes as they are.
    """
    sized, types = attr.size is not None or attr.to_end, {*attr.types}
    ends = "terminator" if attr.said.get("terminator") is not None else "include" if attr.flag("include") else None
    if ends is None and "strz" in types:
        ends = "type"
    if sized and ends is not None:
        raise attr.refuse(ends, "one thing that says where a value ends", "a size, and an end that is looked for within it", WITHIN)
    if ends in ("terminator", "include") and (types - {"str", "strz"} or "contents" in attr.said):
        raise attr.refuse(ends, "a terminator of bytes or of text", "one of another type", "bytes up to it, or a size for the type")
    pad = attr.said.get("pad-right")
    if pad is not None and (types != {"str"} or attr.size is None or attr.size.word != "number" or "process" in attr.said):
        raise attr.refuse(
            "pad-right", "text of a size that is a number, which alone has its padding taken off", safe_repr(pad),
            "without pad-right the value has the bytes that fill it up",
        )  # fmt: skip


def open_row(attr: Attr, builtin: str, rules: Rules) -> Row:
    """Return bytes or text: where they end is said by a size, a delimiter, or the end of what holds them."""
    inner: Row = {"kind": "bytes"}
    if builtin in ("str", "strz"):
        inner = {"kind": "text", **encoding_of(attr)}
    end = attr.said.get("terminator", 0 if builtin == "strz" else None)
    if end is not None and (not isinstance(end, int) or isinstance(end, bool) or not 0 <= end < 256):
        raise attr.refuse("terminator", "one byte", safe_repr(end))
    pad = attr.said.get("pad-right")
    if pad is not None and (not isinstance(pad, int) or isinstance(pad, bool) or not 0 <= pad < 256):
        raise attr.refuse("pad-right", "one byte", safe_repr(pad))
    if pad is not None and str(inner.get("encoding", "")).startswith(("utf-16", "utf-32")):
        raise attr.refuse("pad-right", "text of an encoding whose letters are one byte, or no pad-right", safe_repr(inner["encoding"]))
    if attr.size is None and not attr.to_end:
        if end is None:
            raise attr.refuse(
                "type" if builtin else "id", "size, size-eos or terminator, which says where it ends", "none of them"
            )
        for key, usual in (("include", False), ("consume", True), ("eos-error", True)):
            if attr.flag(key, usual) is not usual:
                raise attr.refuse(
                    key,
                    f"{key}: {str(usual).lower()}",
                    str(not usual).lower(),
                    "a delimiter is no part of the value, and has to be there",
                )
        return {"kind": "ended", "of": inner, "by": f"{end:02x}"}
    if attr.size is not None and (multiple := padding(attr.size)):
        return {"kind": "bytes", "pad": multiple}
    if attr.size is None:
        return {"kind": "rest"} if inner["kind"] == "bytes" else {**inner, "rest": 1}
    size = rules.number(attr.size)
    if not isinstance(size, int):
        return {**inner, "size": size}
    if not 0 <= size <= 1 << 16:
        raise attr.refuse("size", "a size of up to 65536 bytes", size)
    if inner["kind"] == "bytes":
        return {"kind": "bytes", "bytes": size}
    return {**inner, "taken": size, **({} if pad is None else {"fill": f"{pad:02x}"})}


def transforms(attr: Attr, rules: Rules) -> list[Row]:
    """Return what stands between the bytes of a field and what they mean."""
    said = attr.said.get("process")
    if said is None:
        return []
    name, arguments = _process(attr, said)
    if name == "zlib" and not arguments:
        return [{"transform": "zlib"}]
    if name == "xor" and len(arguments) == 1:
        (key,) = arguments
        if (
            key.word == "list"
            and key.parts
            and all(part.word == "number" and 0 <= int(str(part.value)) < 256 for part in key.parts)
        ):
            return [{"transform": "xor", "key": {"bytes": bytes(int(str(part.value)) for part in key.parts).hex()}}]
        rule = rules.number(key)
        return [{"transform": "xor", "key": rule if isinstance(rule, int) else {"rule": rule}}]
    raise attr.refuse(
        "process",
        "zlib or xor(...)",
        safe_repr(said),
        "what else there is would be code: through(named(...)) in a class of your own",
    )


def _process(attr: Attr, said: object) -> tuple[str, tuple[KsyNode, ...]]:
    return parse_type(said, attr.said.at("process")) if isinstance(said, str) else ("", ())


def static_bits(env: Env) -> int | None:
    """Return how many bits a type takes, where that is always the same; None else."""
    total, before = 0, None
    for attr in env.type.seq:
        if attr.repeat is not None or attr.switch is not None:
            return None
        bits = _bits(attr, env.variants[attr.name][0])
        if bits is None:
            return None
        if attr.condition is not None and (before is None or not are_apart(before, attr, bits, env)):
            before = None if before is not None else attr
            if before is None:
                return None
            continue
        total, before = total + bits, None
    return None if before is not None else total


def are_apart(one: Attr, other: Attr, size: int, env: Env) -> bool:
    """Whether one of two fields of the same size in bits is there, and not both."""
    first, second = one.condition, other.condition
    row = number_row(one, env.variants[one.name][0].builtin, "be")
    if first is None or second is None or row is None or row["bits"] != size:
        return False
    return first.word == second.word == "==" and first.parts[0] == second.parts[0] and {*first.parts[1:], *second.parts[1:]} == {
        KsyNode("number", 0), KsyNode("number", 1)}  # fmt: skip


def _bits(attr: Attr, variant: Variant) -> int | None:
    if "contents" in attr.said:
        return len(contents(attr)) * 8
    if attr.size is not None:
        return int(attr.size.value) * 8 if attr.size.word == "number" else None  # type: ignore[arg-type]
    inner = variant.env if variant.env is not None else variant.plan.env if variant.plan is not None else None
    if inner is not None:
        return static_bits(inner)
    row = number_row(attr, variant.builtin, "be")
    return None if row is None else int(row["bits"])


def padding(size: KsyNode) -> int:
    """Return the multiple of bytes that a size fills up to, as in ``(-_io.pos) % 4``; 0 for other sizes."""
    pos = KsyNode("attribute", "pos", (KsyNode("name", "_io"),))
    if size.word != "%" or size.parts[1].word != "number" or not 0 < int(str(size.parts[1].value)) <= 1 << 12:
        return 0
    inner, number = size.parts
    forms = (
        KsyNode("-", "", (pos,)),
        KsyNode("-", "", (number, pos)),
        KsyNode("-", "", (number, KsyNode("%", "", (pos, number)))),
    )
    return int(str(number.value)) if inner in forms else 0
