"""What the values of fields have to obey, `must(...)`: checked when a class is made."""

from __future__ import annotations

from typing import Any, cast

from packetlab.declare.declaration import Declaration
from packetlab.declare.expressions import Const, Expr, Ref
from packetlab.declare.places.leaves import rewritten
from packetlab.declare.places.left import goes_by_left
from packetlab.declare.plan import needs
from packetlab.errors import DeclareError


def check_obeyed(header: Declaration) -> None:
    """Refuse a rule of other things than the field, and a default that does not obey it. Its numbers are checked before."""
    for f in header.fields:
        if f.must is None:
            continue
        where, rule, kind = f"{header.name}.{f.name}", f.must, f.kind
        if f.fixed or not kind.is_number or kind.wire == "computed":
            got = "const(...)" if f.fixed else "a computed field" if kind.wire == "computed" else kind.words or type(kind).__name__
            hint = "" if kind.is_number else "a rule on the field that counts its bytes says how many; bytes that are all zero are a number, bits(...)"
            raise DeclareError(where, "a number for must(...), which may have several values", got, hint)
        if f.name not in needs(rule):
            raise DeclareError(where, "must(...) of the field itself, and of what stands around it", str(rule))
        if header.in_bits and f in header.late:
            raise DeclareError(where, "must(...) of the field itself, and of fields before it, in an item of bits", str(rule))
        if goes_by_left(rule):
            loose = any(f in step.fields for step in header.plan.loose)
            got = "stream=True, after which the next message stands" if header.stream else "a field after the payload" if f in header.after else "one at any bit"
            if header.stream or f in header.after or loose:
                raise DeclareError(where, "left() in must(...) of a field of whole bytes before the payload, of no message of a stream", got)
        alone = all(isinstance(leaf, Const) or (type(leaf) is Ref and leaf.name == f.name) for leaf in rule.leaves())
        if alone and type(f.default) is int and f.rule is None:
            if not _with_number(rule, f.default).evaluate(cast("Any", None)):
                raise DeclareError(where, f"a default for which {rule}", kind.text(f.default))


def _with_number(rule: Expr, number: int) -> Expr:
    """Return a rule with a number in place of a field."""
    return rewritten(rule, lambda leaf: Const(number) if isinstance(leaf, Ref) else leaf)
