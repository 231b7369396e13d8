"""Filters in words: ``ip.src == 10.0.0.1 and udp.dport == 53`` becomes a test of packets.

    filter  = and { ("or" | "||") and }          and = not { ("and" | "&&") not }
    not     = ("not" | "!") not | "(" filter ")" | test
    test    = field [ ("==" | "!=" | "<" | "<=" | ">" | ">=" | "contains" | "&") value | "in" "{" value ... "}" ]
    field   = header [ "." name { "." name } ]

A header's name alone asks whether it is there; a field alone whether it is there and not zero. Where a header comes
more than once, one that passes is enough. Names are those of the declarations, in any case of letters, and a few that
other tools have made common (`ALIASES`).
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from typing import Any

from packetlab.errors import BuildError, suggestion
from packetlab.wire.bindings import declared, header_named
from packetlab.wire.fields import Address, Bytes, Int
from packetlab.wire.header import Header
from packetlab.wire.packet import Packet

ALIASES = {"ip": "ipv4", "eth": "ether", "sll": "linuxsll"}
_TOKEN = re.compile(
    r"\s*(?:(?P<text>\"(?:[^\"\\]|\\.)*\")|(?P<sign>&&|\|\||==|!=|<=|>=|[<>!&(){},])|(?P<word>[^\s<>!=&|(){},\"]+))"
)
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
    "&": lambda a, b: bool(a & b), "contains": lambda a, b: b in a,
}  # fmt: skip

Test = Callable[[Packet], bool]


def compile_filter(text: str) -> Test:
    """Return the test that `text` describes. BuildError names the column where it cannot be read."""
    return _Parser(text).parse()


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
        return tests[0] if len(tests) == 1 else lambda packet: any(test(packet) for test in tests)

    def both(self) -> Test:
        tests = [self.negation()]
        while self.take("and", "&&"):
            tests.append(self.negation())
        return tests[0] if len(tests) == 1 else lambda packet: all(test(packet) for test in tests)

    def negation(self) -> Test:
        self.depth += 1
        if self.depth > 100:
            raise self.error("100 levels at most", self.token)
        try:
            if self.take("not", "!"):
                test = self.negation()
                return lambda packet: not test(packet)
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
            return lambda packet: header in packet
        sign = self.take("in", *_COMPARE)
        if not sign:
            return lambda packet: any(bool(value) for value in _values(packet, header, path))
        if sign == "in":
            wanted = self.several(header, path)
            return lambda packet: any(value in wanted for value in _values(packet, header, path))
        value, compare = self.value(header, path, sign), _COMPARE[sign]
        return lambda packet: any(_holds(compare, got, value) for got in _values(packet, header, path))

    def several(self, header: type[Header], path: list[str]) -> list[Any]:
        if not self.take("{"):
            raise self.error("{", self.token)
        values = []
        while not self.take("}"):
            values.append(self.value(header, path, "=="))
            self.take(",")
        return values

    def value(self, header: type[Header], path: list[str], sign: str) -> Any:
        """Return the next token as the raw value of a field."""
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


def _values(packet: Packet, header: type[Header], path: list[str]) -> list[Any]:
    """The raw values of a field in every such header; the parts of an address by attribute."""
    found = []
    for layer in packet.layers:
        if isinstance(layer, header):
            value = getattr(layer, "_" + path[0]) if len(path) == 1 else getattr(layer, path[0])
            for name in path[1:]:
                value = getattr(value, name, None)
            if value is not None:
                found.append(value)
    return found


def _holds(compare: Callable[[Any, Any], bool], got: Any, value: Any) -> bool:
    try:
        return compare(got, value)
    except TypeError:
        return False
