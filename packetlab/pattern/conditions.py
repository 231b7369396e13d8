"""Conditions: what a filter asks, as data. A packet answers by its fields, a buffer of many (`scan`) all at once.

`Match` asks about headers, `About` about the frame around the packet; `Every`, `Some` and `Not` put them together.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from functools import reduce
from typing import Any, NamedTuple, TypeVar

from packetlab.codec.objects import AnyHeader, class_named
from packetlab.declare.declaration import Declaration
from packetlab.declare.kinds import Kind, Raw
from packetlab.declare.wildcards import AnyValue, Between, Masked, OneOfThese, under_mask
from packetlab.errors import BuildError
from packetlab.packet.packet import Header, Packet
from packetlab.pattern.paths import FieldPath

A = TypeVar("A")  # answers: truth values, or arrays of them
COMPARE: dict[str, Callable[[Raw, Raw], bool]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
    "&": lambda a, b: bool(a & b), "contains": lambda a, b: b in a,
}  # fmt: skip
FRAME: dict[str, Callable[[Any], object]] = {
    "number": lambda frame: frame.number,
    "time_ns": lambda frame: frame.time_ns,
    "length": lambda frame: len(frame.data),
    "wire_length": lambda frame: frame.wire_length,
    "linktype": lambda frame: frame.linktype,
    "interface": lambda frame: frame.interface.number,
    "comment": lambda frame: frame.comments,
    "faults": lambda frame: len(frame.packet().faults),
}
"""What is known of a frame in addition to its packet; the same names are columns (see `Capture.table`)."""
_ANY = Kind()


class Test:
    """A question about packets: call it with one. Made of `Match` and `About` by `Every`, `Some` and `Not`."""

    __slots__ = ()

    def __call__(self, packet: Packet, frame: object = None) -> bool:
        """Whether a packet passes. `frame`: what it was captured in; BuildError where that is needed and not given."""
        raise NotImplementedError

    def matches(self) -> list[Match | About]:
        """Return the single questions it is made of."""
        return []

    def combined(self, answers: Iterator[A]) -> A:
        """Return the answer from those to its single questions, in order: truth values, or arrays of them."""
        raise NotImplementedError


class Condition(NamedTuple):
    """A test of one value.

    `path` is its name (field, then part), `value` raw: of `sign` "in" several, of "true" none, of "masked" and "unmasked"
    a mask and the bits that are to lie under it, or not.
    """

    path: tuple[str, ...]
    sign: str
    value: Raw = None

    def holds(self, raw: object, kind: Kind = _ANY) -> bool:
        """Whether it holds of a raw value of that kind, None being absent."""
        if raw is None:
            return False
        if self.sign == "true":
            return bool(kind.compared(raw))
        if self.sign == "in":
            return raw in self.value
        if self.sign in ("masked", "unmasked"):
            return under_mask(kind, raw, self.value) == (self.sign == "masked")
        if self.sign in ("==", "!=", "contains"):
            return COMPARE[self.sign](raw, self.value)
        return COMPARE[self.sign](kind.compared(raw), kind.compared(self.value))


    def holds_of(self, path: FieldPath, raws: list[object], kind: Kind) -> bool:
        """Whether it holds of the values that a path means: of any, or where it says so of all, and of one at least."""
        return bool(raws) and (all if path.every else any)(self.holds(raw, kind) for raw in raws)


class Match(Test):
    """Whether a packet has a header of a class in which every condition holds.

    Any one of these headers will do, unless `occurrence` says which; of what items hold any one value will do, unless its path says which or all.
    """

    __slots__ = ("conditions", "header", "kinds", "occurrence", "paths")
    form = "match"

    def __init__(self, header: type[AnyHeader], conditions: tuple[Condition, ...] = (), occurrence: int = 0) -> None:
        self.header, self.conditions, self.occurrence = header, conditions, occurrence
        self.paths = tuple(FieldPath.of(header, one.path, "filter", occurrence) for one in conditions)
        self.kinds = tuple(path.kind for path in self.paths)

    def __call__(self, packet: Packet, frame: object = None) -> bool:
        tests = list(zip(self.paths, self.conditions, self.kinds, strict=True))
        return any(
            all(one.holds_of(path, path.raw_values(packet, place), kind) for path, one, kind in tests)
            for place in FieldPath(self.header, self.occurrence).found(packet)
        )

    @property
    def declaration(self) -> Declaration:
        return self.header._declaration

    def _key(self) -> tuple[object, ...]:
        return self.header, self.conditions, self.occurrence

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Match) and other._key() == self._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __reduce__(self) -> tuple[object, ...]:
        # By the header's name, so that it means the same in another process, where the class is made anew.
        return _named_match, (self.header.__name__, self.conditions, self.occurrence)

    def matches(self) -> list[Match | About]:
        return [self]

    def combined(self, answers: Iterator[A]) -> A:
        return next(answers)


def _named_match(name: str, conditions: tuple[Condition, ...], occurrence: int) -> Match:
    header = class_named(name)
    if header is None:
        raise BuildError("filter", "a header", name)
    return Match(header, conditions, occurrence)


class About(Test):
    """Whether a condition holds of what is known of a frame (see `FRAME`); of its comments any one will do."""

    __slots__ = ("condition",)

    def __init__(self, condition: Condition) -> None:
        self.condition = condition

    @property
    def name(self) -> str:
        return self.condition.path[0]

    def __call__(self, packet: Packet, frame: object = None) -> bool:
        if self.name == "faults":
            return self.condition.holds(len(packet.faults))
        if frame is None:
            raise BuildError(f"filter: {self.name}", "frames, which have one", "a packet")
        return self.of_frame(frame)

    def of_frame(self, frame: object) -> bool:
        value = FRAME[self.name](frame)
        return any(map(self.condition.holds, value)) if isinstance(value, tuple) else self.condition.holds(value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, About) and other.condition == self.condition

    def __hash__(self) -> int:
        return hash(self.condition)

    def __reduce__(self) -> tuple[object, ...]:
        return About, (self.condition,)

    def matches(self) -> list[Match | About]:
        return [self]

    def combined(self, answers: Iterator[A]) -> A:
        return next(answers)


class Every(Test):
    """All of some tests."""

    __slots__ = ("tests",)

    def __init__(self, tests: list[Test]) -> None:
        self.tests = tests

    def __call__(self, packet: Packet, frame: object = None) -> bool:
        return all(test(packet, frame) for test in self.tests)

    def matches(self) -> list[Match | About]:
        return [match for test in self.tests for match in test.matches()]

    def combined(self, answers: Iterator[A]) -> A:
        return reduce(operator.and_, [test.combined(answers) for test in self.tests])


class Some(Every):
    """Any of some tests."""

    __slots__ = ()

    def __call__(self, packet: Packet, frame: object = None) -> bool:
        return any(test(packet, frame) for test in self.tests)

    def combined(self, answers: Iterator[A]) -> A:
        return reduce(operator.or_, [test.combined(answers) for test in self.tests])


class Not(Test):
    """The contrary of a test."""

    __slots__ = ("test",)

    def __init__(self, test: Test) -> None:
        self.test = test

    def __call__(self, packet: Packet, frame: object = None) -> bool:
        return not self.test(packet, frame)

    def matches(self) -> list[Match | About]:
        return self.test.matches()

    def combined(self, answers: Iterator[A]) -> A:
        contrary: A = operator.xor(self.test.combined(answers), True)
        return contrary


def prototype_test(prototype: Header) -> tuple[Test, bool]:
    """Return what a prototype asks of packets as data, and whether that is all; what is left out only it can tell."""
    conditions, whole = [], True
    for f in prototype._fields:
        if not prototype._state & f.bit:
            continue
        raw = getattr(prototype, f.slot)
        if isinstance(raw, AnyValue):
            continue
        if isinstance(raw, Between):
            conditions += [Condition((f.name,), ">=", raw.raw_values[0]), Condition((f.name,), "<=", raw.raw_values[1])]
        elif isinstance(raw, OneOfThese):
            conditions.append(Condition((f.name,), "in", raw.raw_values))
        elif isinstance(raw, Masked):
            conditions.append(Condition((f.name,), "masked", raw.raw_values))
        elif type(raw) in (int, bytes) and f.kind.wire != "items":
            conditions.append(Condition((f.name,), "==", raw))
        else:
            whole = False
    return Match(type(prototype), tuple(conditions)), whole
