"""What a dissector must say of a packet of which one thing was changed: worked out from the declarations.

The careful reader (`codec.lenient`) reads bytes; here nothing is read. From where the fields of the sound packet stand, and
what the rules say of sizes, it follows which limit is the first to be crossed, and that is what has to be reported. Where
a change moves what lies above to other bytes, nothing can be predicted but that the bytes are kept: see `ExpectedFaults.exact`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from packetlab.codec.faults import Fault, Values
from packetlab.codec.lenient import USUAL
from packetlab.codec.objects import off_link
from packetlab.codec.places.inner import HeldValues
from packetlab.declare import registry
from packetlab.declare.declaration import Declaration
from packetlab.declare.expressions import Count, Expr, Next, Ref, Size
from packetlab.declare.fields import Field
from packetlab.declare.plan import Fixed, Open, Step, needs
from packetlab.packet.offsets import field_offsets
from packetlab.packet.packet import Packet
from packetlab.packet.results import Verdict


class ExpectedFaults(NamedTuple):
    """What is to be reported.

    Attributes:
        faults: in order. exact: whether there must be no others. verdicts: on checksums, by "UDP.checksum".
    """

    faults: tuple[Fault, ...] = ()
    exact: bool = True
    verdicts: tuple[tuple[str, Verdict], ...] = ()


NOTHING = ExpectedFaults()
ANYTHING = ExpectedFaults(exact=False)


def inside(packet: Packet) -> bytes:
    """Return the bytes of the headers and the payload of a packet, which a link may carry as others (see `Header`, through)."""
    return off_link(packet._headers[0]._declaration if packet._headers else None, bytes(packet))


class Ground:
    """A sound packet, measured: what the changes start from."""

    def __init__(self, packet: Packet) -> None:
        self.packet, self.layers = packet, packet.layers
        self.size = len(inside(packet))
        found = field_offsets(packet)
        self.spans = {(span.layer, span.field.name): span for span in found.spans}
        self.order = found.spans
        self.plans = [h._declaration.plan for h in self.layers]
        self.starts = [start for start, _ in found.layers]
        self.tails = [sum(self.width(i, f) for f in h._declaration.after) for i, h in enumerate(self.layers)]
        self.ends = [end - tail for (_, end), tail in zip(found.layers, self.tails, strict=True)]
        self.heads = [*self.starts[1:], found.payload[0]]
        self.limits = [self.size, *self.ends[:-1]]
        self.partial = [self.cut_by_right(i) for i in range(len(self.layers))]

    def width(self, i: int, f: Field) -> int:
        """The bytes that a field of layer `i` fills, those that it shares with others rounded up."""
        span = self.spans.get((i, f.name))
        return -(-span.bits // 8) if span else 0

    def scope(self, i: int, changes: dict[str, int]) -> Values:
        """The values of layer `i`, some changed, for rules to be evaluated in."""
        values = {f.name: getattr(self.layers[i], f.slot) for f in self.layers[i]._fields}
        found = HeldValues({**values, **changes}, b"", 0)
        late = [f for f in self.layers[i]._declaration.late if (i, f.name) in self.spans]
        found.after = {f.name: self.limits[i] - self.read_to(i, f) for f in late} if hasattr(self, "limits") else {}
        found.sizes = {name: self.width(i, f) for name in self.plans[i].measured if (f := self.layers[i]._by_name[name])}
        return found

    def fault(self, i: int, f: str, offset: int, expected: str, got: object) -> Fault:
        return Fault(type(self.layers[i]).__name__, f, offset, expected, str(got))

    def truncated_field(self, i: int, f: str, offset: int, expected: str, got: object) -> tuple[Fault, ...]:
        """Return the fault of layer `i` that bytes are missing; none where it is rightly only a part that is there."""
        return () if self.partial[i] else (self.fault(i, f, offset, expected, got),)

    def cut_by_right(self, i: int) -> bool:
        """Whether layer `i` stands in a quoted packet or a fragment."""
        for j, header in enumerate(self.layers[:i]):
            for rule in (header._declaration.partial, header._declaration.quotes):
                if rule is not None and rule.evaluate(self.scope(j, {})):
                    return True
        return False

    # What comes of other limits ------------------------------------------------------------------------------

    def fields_up_to(self, i: int, limit: int) -> Iterator[tuple[Field, Step]]:
        """Yield the fields of layer `i` with their steps, up to one that is there where bytes are left and begins beyond these."""
        for step in self.plans[i].within:
            for f in step.fields:
                span = self.spans.get((i, f.name))
                if f.left and span is not None and span.byte_range[0] >= limit:
                    return
                yield f, step

    def squeezed(self, first: int, limit: int) -> ExpectedFaults:
        """Layers from `first` on get bytes up to `limit` only."""
        if first and self.heads[first - 1] >= limit:
            return NOTHING  # no byte for them, so they are not there
        faults: list[Fault] = []
        for i in range(first, len(self.layers)):
            plan, scope, known = self.plans[i], self.scope(i, {}), set[str]()
            if plan.from_end and plan.tail is None:  # what is read first stands last
                return ExpectedFaults(tuple(faults), False)
            for f, step in self.fields_up_to(i, limit):
                span = self.spans.get((i, f.name))
                if span is not None and span.byte_range[1] > limit:
                    if isinstance(step, Fixed):
                        at = span.byte_range[0]
                        faults += self.truncated_field(i, f.name, at, f"{-(-span.bits // 8)} bytes", max(0, limit - at))
                        return ExpectedFaults(tuple(faults))
                    if not (isinstance(step, Open) and f.kind.wire == "open" and step.after is None):
                        return ExpectedFaults(tuple(faults), False)
                known.add(f.name)
                for bound in (bound for bound in plan.bounds if f.name in bound.names <= known):
                    wanted = bound.size.evaluate(scope)
                    if self.starts[i] + wanted > limit:
                        place = self.starts[i]
                        faults += self.truncated_field(i, bound.field.name, place, f"{wanted} bytes", limit - place)
                        if bound.part == "total":
                            return self.cut_from(i, faults)
            limit = min(limit, self.closed(i, limit))
            if plan.payload is not None and plan.total is None:
                # A field that goes on to the end of the header ends where the bytes do.
                size, head = plan.payload[0].evaluate(scope), min(self.heads[i], limit)
                if size >= 0 and head + size > limit:
                    name = plan.payload[1].name if plan.payload[1] else "payload"
                    faults += self.truncated_field(i, name, head, f"{size} bytes of payload", limit - head)
                    return self.cut_from(i, faults)
            if plan.trailer:
                return ExpectedFaults(tuple(faults), False)
            if self.heads[i] >= limit:
                break
        return ExpectedFaults(tuple(faults))

    def cut_from(self, i: int, faults: list[Fault]) -> ExpectedFaults:
        """Layers from `i` on are known to be cut: only items, which are read when somebody asks, may have more to say."""
        items = any(f.kind.wire == "items" for header in self.layers[i:] for f in header._fields)
        return ExpectedFaults(tuple(faults), not items)

    def closed(self, i: int, otherwise: int) -> int:
        """Where layer `i` ends by its own word, and `otherwise` where it says nothing."""
        scope = self.scope(i, {})
        total, payload = self.plans[i].total, self.plans[i].payload
        if total is not None:
            return self.starts[i] + total[0].evaluate(scope)
        size = payload[0].evaluate(scope) if payload is not None else -1
        return self.heads[i] + size if size >= 0 else otherwise

    def grown(self, first: int) -> ExpectedFaults:
        """Layers from `first` on may have bytes after them that were not theirs."""
        for i in range(first, len(self.layers)):
            plan = self.plans[i]
            if self.closed(i, -1) >= 0:
                return NOTHING
            for step in plan.within:
                if isinstance(step, Open) and plan.own is None:
                    return NOTHING if step.field.kind.wire == "open" else ANYTHING
            if plan.trailer:
                return ANYTHING
        last = self.layers[-1]._declaration if self.layers else None
        return NOTHING if self.packet.payload or last is None or not self.may_follow(last) else ANYTHING

    def moved(self, i: int, head: int) -> ExpectedFaults:
        """The header of layer `i` now ends at `head`."""
        return NOTHING if head == self.heads[i] else ANYTHING

    @staticmethod
    def may_follow(cls: Declaration) -> bool:
        """Whether any header is bound above."""
        spaces = [registry.space(f.rule.space).headers for f in cls.fields if isinstance(f.rule, Next)]
        return any(spaces) or bool(registry.conditions(cls))

    # What comes of another length ------------------------------------------------------------------------------

    def length(self, i: int, f: Field, value: int) -> ExpectedFaults:
        """Field `f` of layer `i`, which states a size, has another value."""
        plan = self.plans[i]
        if self.steers(i, f, except_rule=f.rule):
            return ANYTHING
        scope = self.scope(i, {f.name: value})
        if plan.own is not None and plan.own[1] is f:
            return self.header_length(i, f, value, self.starts[i] + plan.own[0].evaluate(scope))
        if plan.total is not None and plan.total[1] is f:
            return self.total_length(i, f, value, self.starts[i] + plan.total[0].evaluate(scope))
        if plan.payload is not None and f.name in needs(plan.payload[0]):
            return self.payload_length(i, plan.payload[1], plan.payload[0].evaluate(scope))
        for name, rule in plan.sizes.items():
            if f.name in needs(rule):
                if self.layers[i]._by_name[name].place is not None:
                    return ANYTHING  # bytes up to an offset, which are made anew where it moves
                return self.field_length(i, self.layers[i]._by_name[name], rule.evaluate(scope))
        for name, rule in plan.counts.items():
            if f.name in needs(rule):
                return self.item_count(i, self.layers[i]._by_name[name], rule.evaluate(scope))
        return ANYTHING

    def read_to(self, i: int, f: Field) -> int:
        """Where reading stands right after a field."""
        span = self.spans[i, f.name]
        return (span.bit + span.bits) // 8

    def least(self, i: int, f: Field) -> int:
        """Where layer `i` must not end before: after a field, and after all that has a fixed size."""
        return max(self.read_to(i, f), self.starts[i] + self.plans[i].least)

    def too_small(self, i: int, f: Field, value: int, end: int, least: int) -> Fault:
        start = self.starts[i]
        return self.fault(
            i, f.name, start, f"a size of {least - start} bytes or more", f"{value} ({end - start} bytes)"
        )

    def header_length(self, i: int, f: Field, value: int, end: int) -> ExpectedFaults:
        start, limit, least = self.starts[i], self.limits[i], self.least(i, f)
        if end < least:
            # A size of 0 is what a sender leaves out, so what follows is read all the same.
            follows = value == 0 and least != self.heads[i]
            return ExpectedFaults((self.too_small(i, f, value, end, least),), not follows and least == self.heads[i])
        if end > limit:
            return ExpectedFaults(self.truncated_field(i, f.name, start, f"{end - start} bytes", limit - start), False)
        return self.moved(i, end)

    def total_length(self, i: int, f: Field, value: int, end: int) -> ExpectedFaults:
        start, limit, head = self.starts[i], self.limits[i], self.heads[i]
        least, unsized = self.least(i, f), self.layers[i]._declaration.unsized
        plain = not self.plans[i].trailer
        if unsized is not None and limit - start > USUAL and unsized.evaluate(self.scope(i, {f.name: value})):
            return self.grown(i + 1) if plain and limit > self.ends[i] else NOTHING if plain else ANYTHING
        if end < least:
            fault = self.too_small(i, f, value, end, least)
            return ExpectedFaults((fault,), plain and (value != 0 or self.grown(i + 1).exact or limit == self.ends[i]))
        if end > limit:
            return ExpectedFaults(self.truncated_field(i, f.name, start, f"{end - start} bytes", limit - start), plain)
        if end < head and self.flexible(i):
            return ANYTHING
        if end < head:
            fault = self.fault(i, f.name, start, f"a size of {head - start} bytes or more", end - start)
            return ExpectedFaults((fault,), plain)
        if not plain:
            return ANYTHING
        return self.squeezed(i + 1, end) if end < self.ends[i] else self.grown(i + 1)

    def payload_length(self, i: int, f: Field | None, size: int) -> ExpectedFaults:
        start, limit, head = self.starts[i], self.limits[i], self.heads[i]
        if self.plans[i].trailer:
            return ANYTHING
        if size < 0:
            if f is not None:
                return ExpectedFaults((self.fault(i, f.name, start, "a payload of 0 bytes or more", size),))
            return self.grown(i + 1) if limit > self.ends[i] else NOTHING
        if head + size > limit:
            name = f.name if f is not None else "payload"
            return ExpectedFaults(self.truncated_field(i, name, head, f"{size} bytes of payload", limit - head))
        end = head + size
        return self.squeezed(i + 1, end) if end < self.ends[i] else self.grown(i + 1)

    def field_length(self, i: int, f: Field, size: int) -> ExpectedFaults:
        span = self.spans.get((i, f.name))
        limit = self.limits[i]
        plan = self.plans[i]
        if span is None or f.kind.wire == "items" or plan.total or plan.own or plan.from_end:
            return ANYTHING
        at = span.byte_range[0]
        if at + size <= limit:
            return ANYTHING
        plain = self.layers[i]._declaration.before[-1] is f and not self.tails[i]
        return ExpectedFaults(self.truncated_field(i, f.name, at, f"{size} bytes", limit - at), plain)

    def item_count(self, i: int, f: Field, count: int) -> ExpectedFaults:
        items = self.layers[i]._items_of(f)
        if self.layers[i]._declaration.before[-1] is not f or self.heads[i] != self.limits[i]:
            return ANYTHING
        if count > len(items):
            return ExpectedFaults((self.fault(i, f.name, self.heads[i], f"{count} items", len(items)),))
        return ANYTHING if self.may_follow(self.layers[i]._declaration) else NOTHING

    def flexible(self, i: int) -> bool:
        """Whether a field of the header has no fixed size, so that its surroundings bound it."""
        return any(f.kind.bits is None for step in self.plans[i].within for f in step.fields)

    # Other fields ------------------------------------------------------------------------------------------------

    def steers(self, i: int, f: Field, except_rule: Expr | None = None) -> bool:
        """Whether other parts of the layout hang on a field: presence, sizes, what follows by a condition."""
        cls = self.layers[i]._declaration
        rules: list[Any] = [cls.opaque, cls.partial, cls.quotes]
        for g in cls.fields:
            rules += [g.condition, g.size, g.count, None if g is f or g.rule is except_rule else g.rule]
        rules += [condition for condition, _, _ in registry.conditions(cls)]
        if except_rule is None:
            rules.append(cls.payload_size)
        looked_at = {leaf.name for rule in rules if rule is not None for leaf in rule.leaves() if isinstance(leaf, Ref)}
        return f.name in looked_at

    def looked_ahead(self, i: int) -> bool:
        """Whether the header below chooses by the first bits of layer `i`."""
        if not i:
            return False
        conditions = [condition for condition, _, _ in registry.conditions(self.layers[i - 1]._declaration)]
        return any("ahead" in str(condition) for condition in conditions)


def states_a_size(f: Field) -> bool:
    """Whether the value of a field is a size or a count by its rule."""
    if f.rule is None or isinstance(f.rule, Next) or f.kind.wire == "payload":
        return False
    return any(isinstance(leaf, (Size, Count)) for leaf in f.rule.leaves())
