"""Which packet answers which: the rules that headers state with ``answers=``, read layer by layer.

A rule is an expression over `request` and `reply`, two headers. The layers of two packets go together in order, those
without a rule left out, and every rule has to hold: the network layer's that the ends are exchanged, the transport's
that the ports are, and so on up. What an error report quotes does not count.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import product, zip_longest
from typing import NamedTuple

from packetlab.codec.encode import field_bytes
from packetlab.declare import registry
from packetlab.declare.declaration import Declaration
from packetlab.declare.expressions import Expr, If, OneOf, Op
from packetlab.declare.fields import slot_of
from packetlab.declare.rules import Side
from packetlab.packet.packet import Header, Packet

_COMPARISONS = {"==", "!=", "<", "<=", ">", ">="}


class Pair:
    """What the rule of a reply is evaluated against: two headers. Addresses and bytes count as numbers."""

    def __init__(self, request: Header | None, reply: Header | None) -> None:
        self.headers = {"request": request, "reply": reply}

    def side(self, side: str, name: str) -> int:
        """Return the value of a field as a number, 0 where it is absent."""
        header = self.headers[side]
        raw = _raw(header, name)
        if raw is None or header is None:
            return 0
        f = header._by_name[name]
        value = f.kind.compared(raw)
        return value if isinstance(value, int) else int.from_bytes(field_bytes(f, raw), "big")

    def text(self, leaf: Side) -> str:
        """Return a field and its value, for a person."""
        header = self.headers[leaf.side]
        raw = _raw(header, leaf.name)
        shown = "absent" if raw is None or header is None else header._by_name[leaf.name].kind.text(raw)
        return f"{leaf} = {shown}"


def _raw(header: Header | None, name: str) -> object:
    if header is None:
        return None
    raw = getattr(header, slot_of(name))
    return getattr(header._resolved_alone(), slot_of(name)) if raw is None else raw


class Reason(NamedTuple):
    """A rule that does not hold between two packets.

    Attributes:
        layer: name of the reply's header. rule: the part of the rule, as an expression; None where no rule relates the
            two headers. text: in words, with the values of both sides.
    """

    layer: str
    rule: Expr | None
    text: str


def ruled(packet: Packet) -> list[Header]:
    """Return the headers that rules speak of: from the innermost network layer on, since what carries a tunnel talks to
    somebody else; without those of a packet that is quoted."""
    found: list[Header] = []
    for header in packet.layers:
        if _carries(header):
            found = []
        if header._declaration.answers or header._declaration.answered:
            found.append(header)
        if _quotes(header):
            break
    return found


def _carries(header: Header) -> bool:
    """Whether it is of a network layer: it has a rule, and ends of its own."""
    return bool(header._declaration.answers) and {"src", "dst"} <= set(header._by_name)


def _quotes(header: Header) -> bool:
    quotes = header._declaration.quotes
    return quotes is not None and bool(quotes.evaluate(_Alone(header)))  # type: ignore[arg-type]


def is_opaque(header: Header) -> bool:
    """Whether what a header carries is not the start of the next one, as its declaration has it (a later fragment)."""
    opaque = header._declaration.opaque
    return opaque is not None and bool(opaque.evaluate(_Alone(header)))  # type: ignore[arg-type]


class _Alone:
    """The values of one header, for conditions on it."""

    def __init__(self, header: Header) -> None:
        self.header = header

    def value(self, name: str) -> int:
        raw = _raw(self.header, name)
        return raw if isinstance(raw, int) else 0


def reasons(reply: Packet, request: Packet) -> list[Reason]:
    """Return why `reply` does not answer `request`; nothing where it does."""
    requesting, answered = ruled(request), ruled(reply)
    if not requesting:
        names = " / ".join(type(h).__name__ for h in request.layers) or "an empty packet"
        return [Reason("", None, f"no rule says what answers {names}")]
    report = next((h for h in reply.layers if _quotes(h)), None)
    if report is not None:
        name = type(report).__name__
        return [Reason(name, None, f"{name} reports an error, which is no answer")]
    found = []
    for one, other in zip_longest(requesting, answered[: len(requesting)]):
        if other is None:
            names = " / ".join(type(h).__name__ for h in reply.layers) or "an empty packet"
            said = f"nothing answers {type(one).__name__} in {names}{_from_port(reply, one._declaration)}"
            found.append(Reason(type(one).__name__, None, said))
            break
        rule = rule_between(one._declaration, other._declaration)
        if rule is None:
            said = f"{type(other).__name__} does not answer {type(one).__name__}"
            found.append(Reason(type(other).__name__, None, said))
            break
        pair = Pair(one, other)
        for part in parts(rule):
            if not part.evaluate(pair):  # type: ignore[arg-type]
                sides = dict.fromkeys(pair.text(leaf) for leaf in part.leaves() if isinstance(leaf, Side))
                name = type(other).__name__
                found.append(Reason(name, part, f"{name}: {part} does not hold: {', '.join(sides)}"))
    return found


def _from_port(reply: Packet, wanted: Declaration) -> str:
    """Say from which port the bytes came that were not read as `wanted`, and where that is why."""
    top = reply.layers[-1] if reply.layers else None
    sport = getattr(top, "_sport", None)
    if top is None or sport is None or not reply.payload:
        return ""
    said = f"; its {len(reply.payload)} bytes came from port {sport}"
    if (top._declaration, {"dport": sport}) in registry.numeric_bindings(wanted, True):
        return f'{said}, and {wanted.name} is bound to dport alone: when={{"port": {sport}}} takes either'
    return said


def rule_between(request: Declaration, reply: Declaration) -> Expr | None:
    """Return the rule for two headers; None where the one does not answer the other."""
    for said in (reply, *reply.bases):
        for base, rule in said.answers.items():
            if request.is_a(base or said):
                return rule
    return None


@lru_cache(1024)
def parts(rule: Expr) -> tuple[Expr, ...]:
    """Return the conditions that all have to hold."""
    if isinstance(rule, Op) and rule.sign == "&" and _condition(rule.left) and _condition(rule.right):
        return parts(rule.left) + parts(rule.right)
    return (rule,)


def _condition(rule: Expr) -> bool:
    if isinstance(rule, Op):
        return rule.sign in _COMPARISONS or (rule.sign in "&|" and _condition(rule.left) and _condition(rule.right))
    return isinstance(rule, OneOf) or (isinstance(rule, If) and _condition(rule.yes) and _condition(rule.no))


# Who asks ----------------------------------------------------------------------------------------------------------


def demands(header: Header) -> list[Expr]:
    """Return the conditions that rules put on the request alone."""
    return [part for rule in _rules_for(header._declaration) for part in parts(rule) if _sides(part) == {"request"}]


def asks(packet: Packet) -> bool:
    """Say whether a packet may be a request by the rules: some speaks of more than its ends, and none refuses it."""
    headers = ruled(packet)
    if not headers or _carries(headers[-1]) or any(_quotes(header) for header in packet.layers):
        return False
    return all(_asks(header) for header in headers)


def _asks(header: Header) -> bool:
    pair = Pair(header, None)
    # One rule that takes it as a request is enough.
    return any(
        all(part.evaluate(pair) for part in parts(rule) if _sides(part) == {"request"})  # type: ignore[arg-type]
        for rule in _rules_for(header._declaration)
    )


def demanding(packet: Packet) -> bool:
    """Say whether a packet is one that rules name a request, not only one that nothing speaks against."""
    return asks(packet) and any(demands(header) for header in ruled(packet))


def _rules_for(cls: Declaration) -> list[Expr]:
    own = rule_between(cls, cls)
    return [rule for rule in (own, *(rule_between(cls, other) for other in cls.answered)) if rule is not None]


@lru_cache(4096)
def _sides(part: Expr) -> frozenset[str]:
    return frozenset(leaf.side for leaf in part.leaves() if isinstance(leaf, Side))


@lru_cache(1024)
def _looked_at(rule: Expr, side: str) -> frozenset[str]:
    return frozenset(leaf.name for leaf in rule.leaves() if isinstance(leaf, Side) and leaf.side == side)


def question(packet: Packet) -> tuple[object, ...]:
    """Return what makes two requests the same: the fields that rules look at, and what lies above the last of them.

    A retransmission has the same, even where a router or a counter has changed other fields.
    """
    headers = ruled(packet)
    looked_at = []
    for header in headers:
        names = frozenset().union(*(_looked_at(rule, "request") for rule in _rules_for(header._declaration)))
        looked_at.append(tuple(_raw(header, name) for name in sorted(names)))
    above = b""
    if headers:
        above = packet._build()[0][next(i for i, h in enumerate(packet.layers) if h is headers[-1])]
    return (*(type(h) for h in headers), *looked_at, above)


def keys(packet: Packet, side: str) -> list[tuple[object, ...]]:
    """Return what a request and its reply have in common by the rules' equalities, for finding one by the other.

    One such key for each stack of headers that may answer, or be answered. Where a rule asks for an equality or else
    for something of the request alone (sent to a group), requests of the second kind have None in its place, and a reply
    has keys of both kinds.
    """
    stacks: list[tuple[object, ...]] = [()]
    for header in ruled(packet):
        cls = header._declaration
        if side == "request":
            others = [cls, *cls.answered] if rule_between(cls, cls) is not None else list(cls.answered)
            related = [(cls, other) for other in others]
        else:
            requests = [one or cls for base in (cls, *cls.bases) for one in base.answers]
            related = [(one, cls) for one in dict.fromkeys(requests)]
        ends = []
        for one, other in related:
            rule = rule_between(one, other)
            pair = Pair(header, None) if side == "request" else Pair(None, header)
            choices: list[tuple[object, ...]] = []
            for name, instead in _equal(rule, side) if rule is not None else ():
                value: object = pair.side(side, name)
                if side == "reply" and instead:
                    choices.append((value, None))
                elif any(part.evaluate(pair) for part in instead):  # type: ignore[arg-type]
                    choices.append((None,))
                else:
                    choices.append((value,))
            ends += [(one, other, same) for same in product(*choices)]
        stacks = [(*stack, end) for stack in stacks for end in ends] or stacks
    return stacks


@lru_cache(1024)
def _equal(rule: Expr, side: str) -> list[tuple[str, tuple[Expr, ...]]]:
    """The fields of one side that have to equal a field of the other, in the order of the rule.

    With each come the conditions on the request of which one may hold instead.
    """
    found = []
    for part in parts(rule):
        ways = [(way, _equality(way, side)) for way in _ways(part)]
        names = [name for _, name in ways if name]
        instead = tuple(way for way, name in ways if not name)
        if len(names) == 1 and all(_sides(way) == {"request"} for way in instead):
            found.append((names[0], instead))
    return found


def _equality(way: Expr, side: str) -> str:
    """Return the field of one side that a condition compares with one of the other; nothing where it is of another kind."""
    if isinstance(way, Op) and way.sign == "==" and isinstance(way.left, Side) and isinstance(way.right, Side):
        if way.left.side != way.right.side:
            return (way.left if way.left.side == side else way.right).name
    return ""


def _ways(part: Expr) -> list[Expr]:
    """Return the conditions of which one has to hold."""
    if isinstance(part, Op) and part.sign == "|" and _condition(part.left) and _condition(part.right):
        return _ways(part.left) + _ways(part.right)
    return [part]
