"""What `valid` says of a field: one value that it always is, or a rule that it obeys."""

from __future__ import annotations

from packetlab.errors import DeclareError
from packetlab.schema.expressions import safe_repr
from packetlab.schema.ksy.expressions import KsyNode, parse
from packetlab.schema.ksy.fields import Row, enum_data
from packetlab.schema.ksy.model import Attr
from packetlab.schema.ksy.reading import Map
from packetlab.schema.ksy.scopes import Rules, Term, joined, one_of


def validated(attr: Attr, row: Row, rules: Rules) -> Row:
    """Return what a field's row has besides, by what `valid` says of it; DeclareError where it says more than a field can."""
    if row["kind"] == "int":
        value = _number(attr, rules)
        return {"must": obeyed(attr, rules)} if value is None else {"const": 1, "default": value}
    if row["kind"] in ("bytes", "text", "ended") and not row.keys() & {"const", "size", "rest", "fill", "pad"}:
        return {"const": 1, "default": _value(attr, row)}
    raise attr.refuse("valid", "a number, or bytes or text of a size that is a number or up to a terminator", row["kind"])


def _number(attr: Attr, rules: Rules) -> int | None:
    """Return the number that a field always is, where `valid` says one; None else."""
    said = _always(attr)
    if isinstance(said, str) and "::" in said:
        try:
            found = rules.number(parse(said, attr.said.at("valid")))
        except DeclareError:
            return None
        return found if isinstance(found, int) else None
    return int(said) if isinstance(said, int) else None


def _always(attr: Attr) -> object:
    said: object = attr.said.get("valid")
    return said.get("eq") if isinstance(said, Map) and [*said] == ["eq"] else said


def _value(attr: Attr, row: Row) -> Term:
    """Return what bytes or text always are, as data. DeclareError where `valid` says another thing, or what they cannot be."""
    said, inner = _always(attr), row.get("of", row)
    node = parse(said, attr.said.at("valid")) if isinstance(said, str) else KsyNode("", "")
    if inner["kind"] == "text" and node.word == "text" and "\\" not in str(node.value):  # which means another letter in double quotes
        value: Term = {"text": str(node.value)}
        try:
            found = str(node.value).encode(inner.get("encoding", "utf-8"))
        except ValueError:
            raise attr.refuse("valid", "a text that its encoding has", safe_repr(said)) from None
    elif inner["kind"] == "bytes" and node.word == "list" and all(one.word == "number" and 0 <= int(str(one.value)) < 256 for one in node.parts):
        found = bytes(int(str(one.value)) for one in node.parts)
        value = {"bytes": found.hex()} if inner is not row else found.hex()
    else:
        got = ", ".join(map(str, said)) if isinstance(said, Map) else said
        raise attr.refuse("valid", "the one value that it is, where it is no number", safe_repr(got))
    size, end = row.get("bytes", row.get("taken")), bytes.fromhex(row.get("by", ""))
    if (size is not None and len(found) != size) or (end and end in found):
        raise attr.refuse("valid", "a value that it can be", safe_repr(said))
    return value


def obeyed(attr: Attr, rules: Rules) -> Term:
    """Return the rule that a number obeys, by what valid says of it (`_` is the number); DeclareError where it says more than a rule can."""
    said: object = attr.said.get("valid")
    own, parts = KsyNode("name", attr.name), list[Term]()
    where = attr.said.at("valid")
    held, rules.can_end = rules.can_end, True  # what is left then is what stands after the number
    for key, value in (said if isinstance(said, Map) else {"that": said}).items():
        if key in ("min", "max", "eq"):
            parts.append(rules.truth(KsyNode({"min": ">=", "max": "<=", "eq": "=="}[str(key)], "", (own, parse(value, where)))))
        elif key == "any-of" and isinstance(value, list):
            parts.append(one_of(rules.number(own), [rules.number(parse(one, where)) for one in value], where))
        elif key == "in-enum" and value is True and "enum" in attr.said:
            members: object = enum_data(attr)["members"]
            parts.append(one_of(rules.number(own), [*members.values()] if isinstance(members, dict) else [], where))
        elif key == "expr":
            parts.append(rules.truth(_with_own(parse(value, where), own)))
        else:
            raise attr.refuse("valid", "min, max, eq, any-of, expr or in-enum", safe_repr(key))
    rules.can_end = held
    if not parts:
        raise attr.refuse("valid", "min, max, eq, any-of, expr or in-enum", "nothing")
    if all(isinstance(part, int) for part in parts):
        raise attr.refuse("valid", "what goes by a field", "numbers alone")
    return joined("&", parts)


def _with_own(node: KsyNode, own: KsyNode) -> KsyNode:
    """Return an expression in which `_` is a name."""
    return own if node == KsyNode("name", "_") else node._replace(parts=tuple(_with_own(part, own) for part in node.parts))
