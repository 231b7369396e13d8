"""Filters in words: ``ip.src == 10.0.0.1 and udp.dport == 53`` becomes a test of packets.

    filter  = and { ("or" | "||") and }          and = not { ("and" | "&&") not }
    not     = ("not" | "!") not | "(" filter ")" | test
    test    = field [ ("==" | "!=" | "<" | "<=" | ">" | ">=" | "contains" | "&") value | "in" ("{" value ... "}" | "(" value ... ")") ]
    value   = number | name | address | octets | text | network (10.0.0.0/8, for "==", "!=" and "in")
    field   = header [ "." name { "." name } ]

A header's name alone asks whether it is there; a field alone whether it is there and not zero. Where a header comes
more than once, one that passes is enough. Names are those of the declarations, in any case of letters, and a few that
other tools have made common (`ALIASES`).
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator
from functools import reduce
from ipaddress import ip_network
from typing import Any, NamedTuple

from packetlab.errors import BuildError, suggestion
from packetlab.wire.bindings import declared, header_named
from packetlab.wire.fields import Address, Bytes, Int, Items
from packetlab.wire.header import Header
from packetlab.wire.packet import Packet
from packetlab.wire.tolerance import AnyValue, Between, Masked, OneOfThese

ALIASES = {"ip": "ipv4", "eth": "ether", "sll": "linuxsll"}
_TOKEN = re.compile(
    r"\s*(?:(?P<text>\"(?:[^\"\\]|\\.)*\")|(?P<sign>&&|\|\||==|!=|<=|>=|[<>!&(){},])|(?P<word>[^\s<>!=&|(){},\"]+))"
)
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
    "&": lambda a, b: bool(a & b), "contains": lambda a, b: b in a,
}  # fmt: skip


class Test:
    """A question about packets: call it with one. Made of `Match` by `Every`, `Some` and `Not`."""

    __slots__ = ()

    def __call__(self, packet: Packet) -> bool:
        raise NotImplementedError

    def matches(self) -> list[Match]:
        """Return the matches it is made of."""
        return []

    def combined(self, answers: Iterator[Any]) -> Any:
        """Return the answer from those of its matches, in order: truth values, or arrays of them."""
        raise NotImplementedError


class Condition(NamedTuple):
    """What is asked of one field.

    `path` is its name (and of a part), `value` raw: of `sign` "in" several, of "true" none, of "masked" and "unmasked" a
    mask and the bits that are to lie under it, or not.
    """

    path: tuple[str, ...]
    sign: str
    value: Any = None

    def holds(self, header: Header) -> bool:
        """Whether it holds in a header."""
        value = getattr(header, "_" + self.path[0]) if len(self.path) == 1 else getattr(header, self.path[0])
        for name in self.path[1:]:
            value = getattr(value, name, None)
        if value is None:
            return False
        if self.sign == "true":
            return bool(value)
        if self.sign == "in":
            return value in self.value
        if self.sign in ("masked", "unmasked"):
            return under_mask(value, self.value) == (self.sign == "masked")
        try:
            return _COMPARE[self.sign](value, self.value)
        except TypeError:
            return False


def under_mask(value: Any, mask_and_bits: tuple[Any, Any]) -> bool:
    """Whether the bits of a raw value under a mask are those given: numbers, or octets of one size."""
    if isinstance(value, bytes):
        value, mask, bits = (int.from_bytes(one, "big") for one in (value, *mask_and_bits))
    else:
        mask, bits = mask_and_bits
    return bool(value & mask == bits)


class Match(Test):
    """Whether a packet has a header of a class in which every condition holds; any one of these headers will do."""

    __slots__ = ("conditions", "header")
    form = "match"

    def __init__(self, header: type[Header], conditions: tuple[Condition, ...] = ()) -> None:
        self.header, self.conditions = header, conditions

    def __call__(self, packet: Packet) -> bool:
        header = self.header
        return any(
            isinstance(layer, header) and all(condition.holds(layer) for condition in self.conditions)
            for layer in packet.layers
        )

    def __eq__(self, other: object) -> bool:
        return type(other) is Match and (other.header, other.conditions) == (self.header, self.conditions)

    def __hash__(self) -> int:
        return hash((self.header, self.conditions))

    def __reduce__(self) -> Any:
        # By the header's name, so that it means the same in another process, where the class is made anew.
        return _named_match, (self.header.__name__, self.conditions)

    def matches(self) -> list[Match]:
        return [self]

    def combined(self, answers: Iterator[Any]) -> Any:
        return next(answers)


def _named_match(name: str, conditions: tuple[Condition, ...]) -> Match:
    header = header_named(name)
    if header is None:
        raise BuildError("filter", "a header", name)
    return Match(header, conditions)


class Every(Test):
    """All of some tests."""

    __slots__ = ("tests",)

    def __init__(self, tests: list[Test]) -> None:
        self.tests = tests

    def __call__(self, packet: Packet) -> bool:
        return all(test(packet) for test in self.tests)

    def matches(self) -> list[Match]:
        return [match for test in self.tests for match in test.matches()]

    def combined(self, answers: Iterator[Any]) -> Any:
        return reduce(operator.and_, [test.combined(answers) for test in self.tests])


class Some(Every):
    """Any of some tests."""

    __slots__ = ()

    def __call__(self, packet: Packet) -> bool:
        return any(test(packet) for test in self.tests)

    def combined(self, answers: Iterator[Any]) -> Any:
        return reduce(operator.or_, [test.combined(answers) for test in self.tests])


class Not(Test):
    """The contrary of a test."""

    __slots__ = ("test",)

    def __init__(self, test: Test) -> None:
        self.test = test

    def __call__(self, packet: Packet) -> bool:
        return not self.test(packet)

    def matches(self) -> list[Match]:
        return self.test.matches()

    def combined(self, answers: Iterator[Any]) -> Any:
        return operator.xor(self.test.combined(answers), True)


def compile_filter(text: str) -> Test:
    """Return the test that `text` describes. BuildError names the column where it cannot be read."""
    return _Parser(text).parse()


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
            conditions += [Condition((f.name,), ">=", raw.raws[0]), Condition((f.name,), "<=", raw.raws[1])]
        elif isinstance(raw, OneOfThese):
            conditions.append(Condition((f.name,), "in", raw.raws))
        elif isinstance(raw, Masked):
            conditions.append(Condition((f.name,), "masked", raw.raws))
        elif type(raw) in (int, bytes) and not isinstance(f.kind, Items):
            conditions.append(Condition((f.name,), "==", raw))
        else:
            whole = False
    return Match(type(prototype), tuple(conditions)), whole


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens: list[tuple[str, int]] = []
        at = 0
        while text[at:].strip():
            found = _TOKEN.match(text, at)
            if found is None:
                raise self.error("a name, a value or a sign", text[at:].strip()[:10], at)
            self.tokens.append((found[0].strip(), found.start(found.lastgroup or 0)))
            at = found.end()
        self.tokens.append(("", len(text)))
        self.place = 0
        self.depth = 0

    def error(self, expected: str, got: str, at: int | None = None, hint: str = "") -> BuildError:
        column = (self.tokens[self.place][1] if at is None else at) + 1
        return BuildError(f"filter, column {column}", expected, repr(got) if got else "the end", hint)

    @property
    def token(self) -> str:
        return self.tokens[self.place][0]

    def take(self, *wanted: str) -> str:
        """Return the token and go on if it is one of those wanted, else return nothing."""
        if self.token.lower() in wanted:
            self.place += 1
            return self.tokens[self.place - 1][0].lower()
        return ""

    def parse(self) -> Test:
        test = self.either()
        if self.token:
            raise self.error("and, or, or the end", self.token)
        return test

    def either(self) -> Test:
        tests = [self.both()]
        while self.take("or", "||"):
            tests.append(self.both())
        return tests[0] if len(tests) == 1 else Some(tests)

    def both(self) -> Test:
        tests = [self.negation()]
        while self.take("and", "&&"):
            tests.append(self.negation())
        return tests[0] if len(tests) == 1 else Every(tests)

    def negation(self) -> Test:
        self.depth += 1
        if self.depth > 100:
            raise self.error("100 levels at most", self.token)
        try:
            if self.take("not", "!"):
                return Not(self.negation())
            if self.take("("):
                test = self.either()
                if not self.take(")"):
                    raise self.error(")", self.token)
                return test
            return self.test()
        finally:
            self.depth -= 1

    def test(self) -> Test:
        name = self.token
        if not re.fullmatch(r"[A-Za-z_][\w.]*", name):
            raise self.error("a header or a field", name)
        first, *path = name.split(".")
        header = header_named(ALIASES.get(first.lower(), first))
        if header is None:
            known = [*ALIASES, *(cls.__name__.lower() for cls in declared())]
            raise self.error("a header", first, hint=suggestion(first.lower(), known))
        if path and path[0] not in header._by_name:
            raise self.error(f"a field of {header.__name__}", path[0], hint=suggestion(path[0], header._by_name))
        self.place += 1
        if not path:
            return Match(header)
        sign = self.take("in", *_COMPARE)
        if not sign:
            return Match(header, (Condition(tuple(path), "true"),))
        if sign == "in":
            values = self.several(header, path)
            nets = [value for value in values if isinstance(value, tuple)]
            tests: list[Test] = [Match(header, (Condition(tuple(path), "masked", net),)) for net in nets]
            plain = tuple(value for value in values if not isinstance(value, tuple))
            if plain or not nets:
                tests.append(Match(header, (Condition(tuple(path), "in", plain),)))
            return tests[0] if len(tests) == 1 else Some(tests)
        value = self.value(header, path, sign)
        if isinstance(value, tuple):
            sign = "masked" if sign == "==" else "unmasked"
        return Match(header, (Condition(tuple(path), sign, value),))

    def several(self, header: type[Header], path: list[str]) -> list[Any]:
        closing = {"{": "}", "(": ")"}.get(self.take("{", "("), "")
        if not closing:
            raise self.error("{", self.token)
        values = []
        while not self.take(closing):
            values.append(self.value(header, path, "=="))
            self.take(",")
        return values

    def value(self, header: type[Header], path: list[str], sign: str) -> Any:
        """Return the next token as the raw value of a field; of a network its mask and bits."""
        token = self.token
        if not token or token in "(){},":
            raise self.error("a value", token)
        self.place += 1
        kind = header._by_name[path[0]].kind
        plain = token[1:-1].encode().decode("unicode_escape") if token.startswith('"') else token
        try:
            if isinstance(kind, Bytes):
                return plain.encode("latin-1") if token.startswith('"') else bytes.fromhex(plain.replace(":", ""))
            if len(path) == 1 and isinstance(kind, Address):
                if "/" in plain and kind.size in (4, 16) and sign in ("==", "!="):
                    net = ip_network(plain, strict=False)
                    if net.max_prefixlen == kind.size * 8:
                        return net.netmask.packed, net.network_address.packed
                return kind.raw(plain, header.__name__)
            number = re.fullmatch(r"0[xX][0-9a-fA-F]+|\d+", plain)
            if number:
                return int(plain, 0) if plain[:1] != "0" or plain[1:2] in "xX" else int(plain)
            if isinstance(kind, Int) and kind.names is not None:
                return kind.raw(plain, header.__name__)
        except (ValueError, BuildError):
            pass
        self.place -= 1
        raise self.error(f"a value for {header.__name__}.{'.'.join(path)}", token)
