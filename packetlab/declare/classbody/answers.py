"""What a class body says of the headers it answers: which packet answers which."""

from __future__ import annotations

from packetlab.declare.declaration import Declaration, declaration_of
from packetlab.declare.expressions import Const, Expr, expression
from packetlab.declare.intervals import Range, bounds
from packetlab.declare.rules import Side
from packetlab.declare.validate import UNBOUNDED, field_of, number_range
from packetlab.errors import DeclareError

ANSWERED = (Side,), "numbers, request.FIELD and reply.FIELD"


def check_answer(request: Declaration, reply: Declaration, rule: Expr) -> None:
    """Refuse a rule that names no fields of the two headers, or whose numbers run wild."""
    where = f"{reply.name}, answers"
    sides = {"request": request, "reply": reply}

    def leaf(one: Expr) -> Range:
        if isinstance(one, Const):
            return one.number, one.number
        if not isinstance(one, ANSWERED[0]):
            raise DeclareError(where, ANSWERED[1], str(one))
        assert isinstance(one, Side)
        f = field_of(sides[one.side], one.name, where)
        if f.kind.is_number:
            return number_range(f)
        return 0, 1 << f.kind.bits if f.kind.bits is not None else UNBOUNDED

    bounds(rule, leaf, where)


def parse_answers(header: Declaration, answers: object) -> dict[Declaration | None, Expr]:
    """Return what a class body says of the headers it answers: {declaration, None for its own: condition}.

    DeclareError for names that are no fields of the two.
    """
    if answers is None:
        return header.bases[0].answers if header.bases else {}
    rules = answers if isinstance(answers, dict) else {None: answers}
    where = f"{header.name}, answers"
    found = {one and declaration_of(one, where): expression(rule) for one, rule in rules.items()}
    for request, rule in found.items():
        check_answer(request or header, header, rule)
    return found
