"""What is worked out, or read elsewhere: instances of a type as computed fields."""

from __future__ import annotations

from typing import cast

from packetlab.schema.ksy.expressions import EOF, KsyNode
from packetlab.schema.ksy.fields import Row, are_apart, contents, enum_data, number_row
from packetlab.schema.ksy.model import Attr, plain_name
from packetlab.schema.ksy.plans import Env
from packetlab.schema.ksy.scopes import Rules, Term


def row_of(rules: Rules, env: Env, attr: Attr, name: str) -> Row:
    """Return an instance as a computed field. DeclareError where it is none."""
    if attr.value is not None:
        row: Row = {"name": name, "kind": "computed", "computed": rules.number(attr.value)}
        if "enum" in attr.said:
            row["names"] = enum_data(attr)
        return row
    if attr.pos is not None and attr.pos.word == "number" and attr.io is None and attr.condition is None:
        found = number_row(attr, attr.type, env.endian)
        if found is not None and found["kind"] == "int" and not found.get("signed") and not found.get("little"):
            return {
                "name": name,
                "kind": "computed",
                "computed": _again(env, attr, int(str(attr.pos.value)) * 8, found["bits"]),
            }
    raise attr.refuse(
        "pos" if "pos" in attr.said else "id",
        "a value, or a number at a fixed place among the type's own fields",
        "what is read elsewhere",
    )


def _again(env: Env, attr: Attr, start: int, bits: int) -> Term:
    """Return a number that is read from bytes which fields before it have: made of these."""
    at, before, found = 0, None, cast("Term", 0)
    for one in env.type.seq:
        (variant,) = env.variants[one.name]
        row = number_row(one, variant.builtin, env.endian) if variant.type is None and one.repeat is None else None
        size = row["bits"] if row is not None else len(contents(one)) * 8 if "contents" in one.said else None
        if size is None or (row is not None and (row.get("little") or row.get("signed") or row["kind"] != "int")):
            break
        if (
            before is not None
            and one.condition is not None
            and before.condition is not None
            and are_apart(before, one, size, env)
        ):
            at -= size
        if start <= at and at + size <= start + bits and row is not None:
            shift = start + bits - at - size
            term: Term = ["field", plain_name(env.prefix + one.name)]
            term = ["<<", term, shift] if shift else term
            found = term if found == 0 else ["+", found, term]
        at, before = at + size, one
        if at >= start + bits and not (one.condition is not None and one is not env.type.seq[-1]):
            break
    if at < start + bits:
        raise attr.refuse("pos", "a number at a fixed place among the type's own fields", "what is read elsewhere")
    return found


def end_of(node: KsyNode | None) -> KsyNode | None:
    """Return the condition that ends a list before its bytes end; None where it goes on to their end."""
    if node is not None and node.word == "or":
        left, right = map(end_of, node.parts)
        return None if left is None and right is None else right if left is None else left if right is None else node
    return None if node == EOF else node
