"""Names of values from elsewhere, checked as far as they can be: of the headers that hold others when the class is made, the others at first use."""

from __future__ import annotations

from packetlab.declare import registry
from packetlab.declare.computed import Computed
from packetlab.declare.declaration import Declaration
from packetlab.declare.expressions import Checksum, Elsewhere
from packetlab.declare.places.origins import OwnPlace
from packetlab.declare.transforms.carried import OuterBytes
from packetlab.declare.validate import ANYWHERE, described, field_of
from packetlab.errors import DeclareError, suggestion


def check_held(header: Declaration) -> None:
    """Refuse fields whose headers ask for what the one that holds them does not have."""
    for f in header.fields:
        if f.kind.wire == "items":
            _check(header, f.kind.item, 1, f"{header.name}.{f.name}", frozenset())


def _check(header: Declaration, item: Declaration, level: int, where: str, seen: frozenset[Declaration]) -> None:
    for leaf in item.outer_leaves:
        if leaf.path and {*leaf.path} <= {*"^."} and len(leaf.path.split(".")) == level:
            _check_number(header, leaf, f"{where}, for {leaf} of {item.name}")
    for f in item.fields if level < 8 and item not in seen else ():
        if f.kind.wire == "items":
            _check(header, f.kind.item, level + 1, where, seen | {item})


def check_asked(header: Declaration) -> None:
    """Refuse values of headers, and places in such, that nobody has declared, at first use."""
    for f in header.fields:
        if f.kind.counted_from not in ("", "self", "packet") and registry.header_named(f.kind.counted_from) is None:
            hint = suggestion(f.kind.counted_from, [one.name for one in registry.declared()])
            raise DeclareError(f"{header.name}.{f.name}, since", "a header class that is declared", f.kind.counted_from, hint)
    for leaf in header.outer_leaves:
        if isinstance(leaf, OwnPlace) and leaf.name != "packet" and registry.header_named(leaf.name) is None:
            hint = suggestion(leaf.name, [*header.by_name, *(one.name for one in registry.declared())])
            raise DeclareError(f"{header.name}, since", "a header class that is declared, or a field before it", leaf.name, hint)
        if leaf.path.isidentifier():
            found = registry.header_named(leaf.path)
            if found is None or found.name != leaf.path:
                names = [one.name for one in registry.declared()]
                raise DeclareError(header.name, f"a header class that is declared, in {leaf}", leaf.path, suggestion(leaf.path, names))
            _check_number(found, leaf, f"{header.name}, {leaf}")


def _check_number(header: Declaration, leaf: Elsewhere, where: str) -> None:
    f = field_of(header, leaf.name, where)
    if isinstance(leaf, OuterBytes):
        if isinstance(f.rule, Checksum) or f.kind.wire in ("items", "payload") or (isinstance(f.kind, Computed) and f.kind.like is None):
            hint = "a computed field has the width of its annotation: key: U32 = computed(...)"
            raise DeclareError(where, "field(...) of a number or bytes", f"{header.name}.{leaf.name}, {described(f.kind)}", hint)
        return
    if not f.kind.is_number:
        raise DeclareError(where, "field(...) of a number field", f"{header.name}.{leaf.name}, {described(f.kind)}")
    if not ANYWHERE[0] <= f.kind.low <= f.kind.high <= ANYWHERE[1]:
        raise DeclareError(where, "a number of up to 64 bits", f"{header.name}.{leaf.name}, {f.kind.in_words()}")
