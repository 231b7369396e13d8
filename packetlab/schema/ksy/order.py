"""The order in which headers are declared: what is held comes before what holds it.

Where types hold each other in a circle, one of them does so by a field at its end whose type depends, as a protocol's body does. What
is in such a field goes on after the fields of its header, and is declared later (see `declare.refinement`).
"""

from __future__ import annotations

from packetlab.schema.ksy.model import Attr
from packetlab.schema.ksy.plans import KsyPlan, Plans, Variant


class KsyOrder:
    """Headers in order (`sorted`), and which variants of which fields are declared later."""

    def __init__(self, plans: Plans) -> None:
        self.plans = plans
        self.reach = {plan: _reach(plan) for plan in plans.all}
        self.sorted: list[KsyPlan] = []
        done: dict[KsyPlan, bool] = {}
        for top in plans.all:
            self._visit(top, done)

    def _visit(self, top: KsyPlan, done: dict[KsyPlan, bool]) -> None:
        todo: list[tuple[KsyPlan, Attr | None, bool]] = [(top, None, False)]
        while todo:
            plan, attr, last = todo.pop()
            if last:
                done[plan] = True
                self.sorted.append(plan)
            elif plan not in done:
                done[plan] = False
                todo.append((plan, None, True))
                for held, by, variant in reversed(plan.edges):
                    if variant is not None and self.is_choice(plan, by, variant):
                        continue
                    if held is not plan:
                        todo.append((held, by, False))
                    elif by.condition is None and by.repeat is None:
                        raise by.refuse(
                            "type", "a type that may end", f"{plan.type.id}, which always holds another one"
                        )
            elif not done[plan] and attr is not None:
                expected = "types that hold each other by a switch-on at the end of one, or a type that holds itself"
                raise attr.refuse("type", expected, f"{attr.owner.id} and {plan.type.id}, in another way")

    def is_choice(self, plan: KsyPlan, attr: Attr, variant: Variant) -> bool:
        """Whether what is in a field holds the header that has the field, so that it is declared later."""
        at_end = attr.switch is not None and attr.repeat is None and plan.attr is None and plan.type.seq[-1] is attr
        return at_end and variant.plan is not None and bool(variant.cases) and plan in self.reach[variant.plan]

    def has_choices(self, plan: KsyPlan, attr: Attr) -> bool:
        """Whether a field is of a type that is declared later, in one case at least."""
        return any(self.is_choice(plan, attr, variant) for variant in plan.env.variants.get(attr.name, ()))


def _reach(plan: KsyPlan) -> set[KsyPlan]:
    """Return all headers that one holds, directly or by way of others, and itself."""
    found, todo = {plan}, [plan]
    while todo:
        for held, _, _ in todo.pop().edges:
            if held not in found:
                found.add(held)
                todo.append(held)
    return found
