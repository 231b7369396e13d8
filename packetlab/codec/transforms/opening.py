"""Fields whose bytes stand for others, looked into by the careful reader, with what stands around what is inside."""

from __future__ import annotations

from typing import cast

from packetlab.codec.around.outer import is_around, within
from packetlab.codec.faults import Dissection, InnerFault, Values
from packetlab.codec.objects import classes, restored
from packetlab.declare.declaration import Declaration
from packetlab.declare.expressions import Ref
from packetlab.declare.transforms.arguments import parameters
from packetlab.declare.transforms.carried import Through


def open_carried(cls: Declaration, scope: Values, start: int, known: dict[str, int], ctx: Dissection) -> None:
    """Look into the fields whose bytes stand for others, as far as they were read; `known` says where each field is."""
    for f in cls.transformed:
        raw, kind, given = scope.values.get(f.name), cast("Through", f.kind), list[object]()
        if raw is None:
            continue
        for number, (rule, of) in enumerate(parameters(f, cls.by_name)):
            if isinstance(rule, str | slice):
                before = scope.data[start : known[f.name]]
                given.append(before[rule] if isinstance(rule, slice) else before)
                continue
            value = scope.values.get(rule.name) if of is not None and isinstance(rule, Ref) else rule.evaluate(scope)
            given.append(value if of is None else kind.argument(value, number, of))
        around = None
        if is_around(f):
            holder = restored(classes[cls], cls.captured_state, tuple(scope.values.get(g.name) for g in cls.fields))
            around = within(ctx, holder, scope.data, start)
        scope.values[f.name] = found = kind.opened(raw, tuple(given), around)
        noted = ctx.cut or any((one.layer, one.field) == (cls.name, f.name) and one.offset >= known[f.name] for one in ctx.faults)
        if found.expected and not noted:
            wrongs = found.wrongs or ((found.expected, found.got),)
            ctx.faults += [InnerFault(cls.name, f.name, known[f.name], expected, got) for expected, got in wrongs]
