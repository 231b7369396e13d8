"""``label="{op} {name}"``: a text that says in one line what a header is, with the values of its fields in braces.

``{op}`` is a field, ``{sender.host}`` one of a header in a field, ``{id:#06x}`` a number as Python writes it. A label is data:
it is checked when the class is made, goes into files, and runs no code.
"""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

from packetlab.declare.declaration import Declaration
from packetlab.declare.fields import Field
from packetlab.declare.refinement.registered import refinements
from packetlab.errors import DeclareError, suggestion

LONGEST = 1000  # letters of a label
FORM = re.compile(r"#?0?[0-9]{0,2}[bdoxX]")


class LabelPart(NamedTuple):
    """A piece of a label: letters as they stand, and then a value (none after the last letters)."""

    before: str
    path: tuple[str, ...]
    form: str


@cache
def parse(label: str) -> tuple[LabelPart, ...]:
    """Return the pieces of a label. ValueError where its braces are none of a text with fields."""
    from string import Formatter  # importing it compiles an expression that takes longer than this file

    parts = []
    for before, name, form, conversion in Formatter().parse(label):
        if conversion or (form and FORM.fullmatch(form) is None):
            raise ValueError(f"{{{name}{'!' + conversion if conversion else ''}{':' + form if form else ''}}}")
        parts.append(LabelPart(before, tuple(name.split(".")) if name is not None else (), form or ""))
    return tuple(parts)


def check_label(header: Declaration) -> None:
    """Refuse a label that is no text with names of fields in braces."""
    label, where = header.label, f"{header.name}, label"
    if label is None:
        return
    if not isinstance(label, str) or len(label) > LONGEST:
        got = f"{len(label)} letters" if isinstance(label, str) else repr(label)
        raise DeclareError(where, f'a text of {LONGEST} letters at most, such as "{{op}} {{name}}"', got)
    try:
        parts = parse(label)
    except ValueError as error:
        hint = "{{ and }} are braces themselves"
        raise DeclareError(where, "fields in braces: {name}, {name:#06x}, {name:d}", str(error), hint) from None
    for part in parts:
        at: Declaration | None = header
        f: Field | None = None
        for place, name in enumerate(part.path):
            if at is None:
                raise DeclareError(where, "a field that is a header, or a field alone", ".".join(part.path))
            f = field_in(at, name)
            if f is None or f.kind.wire == "payload":
                known = [*at.by_name, *(f.name for f in at.inside)]
                becomes = [one.name for one in refinements(at) if name and (name == one.name.lower() or field_in(one, name) is not None)]
                hint = f"{{{'.'.join(part.path[:place])}}} shows what label= of {becomes[0]} says" if becomes and place else suggestion(name, known)
                raise DeclareError(where, f"a field of {at.name}", name or "nothing", hint)
            at = f.kind.item if f.kind.wire == "items" and f.kind.one else None
        if part.form and f is not None and not f.kind.is_number:
            raise DeclareError(where, f"a number field for :{part.form}", ".".join(part.path))


def field_in(header: Declaration, name: str) -> Field | None:
    """Return a field by its name, also of what the header takes apart; None where there is none."""
    if name in header.by_name:
        return header.by_name[name]
    return next((f for f in header.inside if f.name == name), None)
