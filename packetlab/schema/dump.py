"""Header classes as plain data that travels in a file: fields, kinds, defaults, rules, bindings, answers, enums, docstring.

A description is made of dicts, lists, texts and whole numbers, so JSON holds it; `declare_from` (in `declared`) makes a
class of it again. Code does not travel: a class whose wire format needs a property is refused, other methods stay behind,
and of a kind of its own the name goes along, for a reader that has that kind too.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from packetlab.codec.refinement.class_bodies import restated_held
from packetlab.declare.declaration import Declaration, declaration_of
from packetlab.declare.expressions import Expr, Next
from packetlab.declare.fields import REQUIRED, Field
from packetlab.declare.refinement.checks import restated
from packetlab.declare.refinement.registered import refinements
from packetlab.declare.registry import bindings_of
from packetlab.errors import DeclareError
from packetlab.protocols.linktypes import said_types
from packetlab.schema.expressions import dump_expression
from packetlab.schema.kinds import data_of_kind
from packetlab.schema.recalled import remembered_by
from packetlab.schema.transforms import data_of_transforms
from packetlab.schema.values import classes_in, data_of_value


def describe(cls: object) -> dict[str, object]:
    """Return a header class as plain data; headers that it names are named only.

    DeclareError where something of it is code. Give `declare_from` a list of the descriptions of those too where other classes have their names.
    """
    header = declaration_of(cls, "describe")
    found: dict[str, object] = {"name": header.name, "fields": [_field(f, header) for f in own_fields(header)]}
    if header.refines is not None and (said := header.described_as).when is not None:
        found.update(refines=header.refines.name, when=dump_expression(said.when))
        found.update({} if said.view is None else {"inside": said.view[0]})
        usual = {f.name: f.default for f in header.refines.fields} | restated(header.refines, said.when)
        usual |= {word: (one,) for word, one in restated_held(header.refines, said.when).items()}
        theirs = header.fields[: len(usual)]
        ruled = [f for f in theirs if f.default is None and usual[f.name] is not None]
        given = [f for f in theirs if f not in ruled and f.default != usual[f.name]]
        if ruled:
            found["rules"] = {f.name: dump_expression(f.rule) for f in ruled if f.rule is not None}
        if given:
            found["defaults"] = {f.name: data_of_value(f.kind, f.default, f"{header.name}.{f.name}") for f in given}
    if header.doc:
        found["doc"] = header.doc
    for option in ("payload_size", "opaque", "unsized", "partial", "quotes"):
        rule: Expr | None = getattr(header, option)
        if rule is not None:
            found[option] = dump_expression(rule)
    bits = header.with_inside[-1]
    found |= {"through": data_of_transforms(header, header.name)} if header.through else {}
    found |= remembered_by(header, dump_expression)
    found |= {"stream": 1} if header.stream else {}
    found |= {"bit_order": "low" if bits.low else "high"} if bits.low != (header.view is not None and header.low) else {}
    found |= {word: 1 for word in ("in_bits", "exact") if getattr(header, word)}
    found |= {"label": header.label} if header.label else {}
    if header.pseudo is not None:
        for part in header.pseudo:
            if part and part not in header.by_name:
                raise DeclareError(f"{header.name}.{part}", "a field of addresses", "a property, which is code")
        found["pseudo"] = list(header.pseudo)
    under = []
    for lower, when, sets in bindings_of(header):
        entry: dict[str, object] = {"header": lower.name}
        if isinstance(when, dict):
            entry["numbers"] = {field: list(numbers) for field, numbers in when.items()}
        else:
            entry["when"] = dump_expression(when)
            if sets:
                entry["sets"] = {field: dump_expression(rule) for field, rule in sets.items()}
        under.append(entry)
    found |= {word: said for word, said in (("under", under), ("linktypes", said_types(header))) if said}
    answers = [
        {**({} if request is None else {"header": request.name}), "rule": dump_expression(rule)}
        for request, rule in header.answers.items()
    ]
    if answers:
        found["answers"] = answers
    return found


def described(headers: Iterable[object]) -> list[dict[str, object]]:
    """Return descriptions of `headers` and of those they need, needed ones first.

    Headers of packetlab itself are not among them unless they are given: everyone who reads the descriptions has them.
    """
    wanted = [declaration_of(one, "describe") for one in headers]
    order: dict[Declaration, None] = {}
    later: list[Declaration] = []

    def needed(header: Declaration) -> list[Declaration]:
        # Its body names items and whom it answers; what it is bound to may come after.
        found = [*named_by(header), *[request for request in header.answers if request is not None]]
        lowers = [lower for lower, _, _ in bindings_of(header)]
        return [one for one in found if not one.is_own or one in wanted] + [one for one in lowers if not one.is_own and one not in wanted]

    def reaches(header: Declaration, path: tuple[Declaration, ...]) -> bool:
        seen, todo = set[Declaration](), [header]
        while todo:
            one = todo.pop()
            if one in path:
                return True
            if one not in seen:
                seen.add(one)
                todo += needed(one)
        return False

    def visit(header: Declaration, path: tuple[Declaration, ...] = ()) -> None:
        if header in order or header in path:
            return
        for one in needed(header):
            visit(one, (*path, header))
        order[header] = None
        for one in refinements(header):  # who reads it reads them
            if reaches(one, path):
                later.append(one)  # it holds what holds it
            else:
                visit(one, path)

    for header in wanted:
        visit(header)
    for header in later:
        visit(header)
    names: dict[str, Declaration] = {}
    for header in order:
        if names.setdefault(header.name, header) is not header:
            raise DeclareError(header.name, "one header of each name in descriptions", f"{names[header.name].key} and {header.key}", "another name for one of them")
    return [describe(header) for header in order]


def named_by(header: Declaration) -> list[Declaration]:
    """Return the headers that the body of one names: which it refines, and what its fields hold."""
    fields = own_fields(header)
    found = [] if header.refines is None else [header.refines]
    found += [f.kind.item for f in fields if f.kind.has_headers]
    found += [one._declaration for f in fields if f.kind.wire == "items" and type(f.default) is tuple for one in f.default]
    return found


def own_fields(header: Declaration) -> tuple[Field, ...]:
    """Return the fields that a class body says of a header: of one that refines another, those of its own."""
    header = header.described_as
    if header.view is not None:
        return header.view[1].fields
    return header.fields if header.refines is None else header.fields[len(header.refines.fields) :]


def _field(f: Field, header: Declaration) -> dict[str, object]:
    where = f"{header.name}.{f.name}"
    found: dict[str, object] = {"name": f.name, **data_of_kind(f.kind, where)}
    if f.default is not REQUIRED and f.default is not None and found["kind"] != "laid_out":  # these are none by default
        found["default"] = data_of_value(f.kind, f.default, where)
    # A number space of the field's own came with the first header that was bound to it, and will come so again.
    own = isinstance(f.rule, Next) and f.rule.space in (f"{header.key}.{f.name}", f"{f.owner.key}.{f.name}")
    for word, rule in (
        ("rule", f.declared_rule),
        ("computed", f.computed),
        ("when", f.said),
        ("size", f.heap.size if f.heap is not None else None if f.stride and f.count is not None else f.size),
        ("count", f.count),
        ("until", f.until),
        ("must", f.must),
        ("to", f.place if f.heap is None else f.heap.place),
    ):
        if rule is not None and not (own and word == "rule") and not (f.kind.one and word == "count"):
            found[word] = dump_expression(rule)
    found.update({word: number for word, number in (("align", f.align), ("pad", f.pad), ("from_end", f.from_end)) if number})
    if f.end is not None:
        found["end"] = data_of_value(f.kind, (f.end,), where)
    if f.fixed:
        found["const"] = 1
    if f.fill != b"\0":
        found["filling"] = f.fill[0]
    if f.since != "self" or f.leads:
        found["since"] = f.since
    if f.none is not None:
        found["none"] = f.none
    if f.heap is not None:
        found.update(since=f.heap.counted, within=f.heap.within, align=f.heap.align)
        found.update({"filling": f.heap.fill[0]} if f.heap.fill != b"\0" else {})
    return found


def needed_places(descriptions: list[Any], place: int) -> set[int]:
    """Return the places of a description and of all that it names, among its own set."""
    by_name = {
        one.get("name"): at
        for at, one in enumerate(descriptions)
        if isinstance(one, dict) and isinstance(one.get("name"), str)
    }
    needed: set[int] = set()
    todo = [place]
    while todo:
        at = todo.pop()
        if at in needed:
            continue
        needed.add(at)
        named: Iterable[object] = [
            row.get(word)
            for said, word in (("fields", "of"), ("under", "header"), ("answers", "header"))
            for rows in (descriptions[at].get(said),)
            if isinstance(rows, list)
            for row in rows
            if isinstance(row, dict)
        ]
        rows = descriptions[at].get("fields")
        named = [*named, descriptions[at].get("refines"), *classes_in(rows if isinstance(rows, list) else [])]
        todo += [by_name[one] for one in named if isinstance(one, str) and one in by_name]
    return needed
