r"""Filters in words: ``ip.src == 10.0.0.1 and udp.dport == 53`` becomes a test of packets.

    filter  = and { ("or" | "||") and }          and = not { ("and" | "&&") not }
    not     = ("not" | "!") not | "(" filter ")" | test
    test    = name [ ("==" | "!=" | "<" | "<=" | ">" | ">=" | "contains" | "&") value | "in" ("{" value ... "}" | "(" value ... ")") ]
    value   = number | name | address | bytes (hexadecimal) | "text" | network (10.0.0.0/8, for "==", "!=" and "in")
    name    = header [ "#" number ] { "." field or part of it } | what is known of a frame

Names are those of `paths`: ``tcp.flags.syn == 1``, ``ip#2.src``, ``udp.payload contains "GET"``; of what items hold any
one will do (``tcp.options.kind == 2``, ``l.ports == 80``), unless one or all are meant (``tcp.options[0].kind``, ``l.ports[all] < 1024``). Of a frame there are number, time_ns, length, wire_length, linktype, interface,
comment and faults, as in tables. A header's name alone asks whether it is there; a name with a field, or of a frame,
whether it is there and neither zero nor empty. What a field
with steps (`scaled`, times, durations) is compared with by ``==``, ``!=`` and ``in`` is one of its values, as it is shown: of steps of
0.25, ``== 0.8`` is refused, and ``< 0.8`` is true of 0.75. Where a header comes more than once, one that passes is enough.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import ip_network
from numbers import Number

from packetlab.declare.kinds import Int, Kind, Raw
from packetlab.declare.registry import header_named
from packetlab.declare.values.views import NumberView
from packetlab.errors import BuildError, near_or_all, suggestion
from packetlab.pattern.conditions import COMPARE, FRAME, About, Condition, Every, Match, Not, Some, Test
from packetlab.pattern.paths import HOST, FieldPath, verdicts_of

OF_FRAMES = {
    "frame.cap_len": "length", "frame.comment": "comment", "frame.interface_id": "interface", "frame.len": "wire_length",
    "frame.number": "number",
}  # fmt: skip
"""Names that other tools have for what is known of a frame."""
_TOKEN = re.compile(
    r"\s*(?:(?P<text>\"(?:[^\"\\]|\\.)*\")|(?P<sign>&&|\|\||==|!=|<=|>=|[<>!&(){},])|(?P<word>[^\s<>!=&|(){},\"]+))",
    re.DOTALL,
)
_NUMBER = re.compile(r"-?(?:0[xX][0-9a-fA-F]+|[0-9]+)")
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|.)", re.DOTALL)
_ESCAPED = {"n": b"\n", "r": b"\r", "t": b"\t", "0": b"\0", "\\": b"\\", '"': b'"'}
# Of a comment; of a frame's time and of its other numbers, whose size is no matter.
_TEXT, _TIME, _COUNT = Kind(), Int(64), Int(64)


class _Masked(tuple[Raw, Raw]):
    """A mask and bits, as of a network or a zero with any sign; raw values of a user's kind may be tuples too."""


def compile_filter(text: str) -> Test:
    """Return the test that `text` describes: fields, parts, flags and items compared with values (``tcp.flags.syn == 1``).

    BuildError names the column where it cannot be read, unknown names, and values that a field cannot have.
    """
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

    def where(self, at: int | None = None) -> str:
        return f"filter, column {(self.tokens[self.place][1] if at is None else at) + 1}"

    def error(self, expected: str, got: str, at: int | None = None, hint: str = "") -> BuildError:
        return BuildError(self.where(at), expected, repr(got[:40]) if got else "the end", hint)

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
        if not re.match(r"[A-Za-z_]", name):
            raise self.error("a header or a field", name)
        of_frame = OF_FRAMES.get(name.lower(), name)
        sign = self.tokens[self.place + 1][0].lower()
        if of_frame in FRAME and (sign in ("in", *COMPARE) or header_named(name) is None):
            self.place += 1
            kind = {"comment": _TEXT, "time_ns": _TIME}.get(of_frame, _COUNT)
            return self.comparison((of_frame,), kind, of_frame, lambda condition: About(condition))
        try:
            path = FieldPath.parse(name, self.where())
        except BuildError as error:
            hint = ("" if "." in name else suggestion(name, FRAME)) or error.hint
            raise BuildError(error.where, error.expected, error.got, hint) from None
        self.place += 1
        if sign in ("in", *COMPARE) and not (sign == "contains" and path.fields and path.kind.transforms):
            path = path.of_each("any")  # a list of values is compared value by value; a piece is looked for in all that is inside
        if not path.names:
            return Match(path.header, (), path.occurrence)
        called = ".".join([path.header.__name__, *path.names])
        return self.comparison(
            path.names, path.kind, called, lambda condition: Match(path.header, (condition,), path.occurrence)
        )

    def comparison(self, names: tuple[str, ...], kind: Kind, called: str, make: Callable[[Condition], Test]) -> Test:
        """Return the test that follows a name: `make` makes one of a condition."""
        at = self.place
        sign = self.take("in", *COMPARE)
        if not sign:
            return make(Condition(names, "true"))
        if sign == ("contains" if kind.is_number else "&"):
            signs = " ".join(one for one in COMPARE if one != sign)
            raise self.error(f"{signs} or in after {called}", sign, self.tokens[at][1])
        if sign != "in":
            value = self.value(kind, called, sign)
            if isinstance(value, _Masked):
                sign = "masked" if sign == "==" else "unmasked"
            condition = Condition(names, sign, value)
            try:
                condition.holds(value[1] if isinstance(value, _Masked) else value, kind)
            except TypeError:
                raise self.error(
                    f"== or != after {called}, whose values have no order", sign, self.tokens[at][1]
                ) from None
            return make(condition)
        values = self.several(kind, called)
        nets = [value for value in values if isinstance(value, _Masked)]
        tests: list[Test] = [make(Condition(names, "masked", net)) for net in nets]
        plain = tuple(value for value in values if not isinstance(value, _Masked))
        if plain or not nets:
            tests.append(make(Condition(names, "in", plain)))
        return tests[0] if len(tests) == 1 else Some(tests)

    def several(self, kind: Kind, called: str) -> list[object]:
        closing = {"{": "}", "(": ")"}.get(self.take("{", "("), "")
        if not closing:
            raise self.error("{", self.token)
        values = []
        while not self.take(closing):
            values.append(self.value(kind, called, "=="))
            self.take(",")
        return values

    def value(self, kind: Kind, called: str, sign: str) -> object:
        """Return the next token as the raw value of a kind; of a network, and of a float's zero, a mask and bits."""
        token = self.token
        if not token or token in "(){},":
            raise self.error("a value", token)
        expected, hint = f"a value for {called}", ""
        if token.startswith("'"):
            raise self.error(expected, token, hint=f'a text stands in double quotes: "{token[1:40].rstrip(chr(39))}"')
        try:
            value = _raw(token, kind, sign)
            self.place += 1
            return value
        except BuildError as error:
            expected += f", {error.expected}" if error.expected else ""
        except ValueError:
            pass
        if kind.wire == "number" and kind.bits == 1 and kind.names is None:
            hint = "0 or 1"
        elif token.startswith('"') and kind.wire == "number" and _NUMBER.fullmatch(token[1:-1]):
            hint = f"without quotes: {token[1:-1]}"
        elif kind.wire == "number" and kind.names is not None:
            hint = near_or_all(token, kind.names.__members__)
        elif kind.wire == "number" and called.count(".") == 1:
            hint = verdicts_of(called.partition(".")[0], token)
        elif kind is _TEXT:
            hint = f'a text in quotes: "{token[:40]}"'
        elif kind.shows_bytes and not token.startswith('"'):
            hint = f'hexadecimal digits as 61:62, or letters in quotes: "{token[:40]}"'
        raise self.error(expected, token, hint=hint)


def _raw(token: str, kind: Kind, sign: str) -> object:
    """Return a token as the raw value of a kind; of a network, and of a float's zero, a mask and bits. ValueError or BuildError if it is none."""
    quoted = token.startswith('"')
    plain = _unquoted(token) if quoted else token.encode()
    if kind is _TEXT:
        if not quoted:
            raise ValueError(token)
        return plain.decode()
    if kind.shows_bytes and not kind.verbatim:  # bytes up to a delimiter, or behind a transform: written as all bytes are
        data = plain if quoted else bytes.fromhex(token.replace(":", ""))
        return data if sign == "contains" else kind.raw(data, "")
    of_bytes = type(kind.zero) is bytes
    if kind.as_raw is not None and not (kind.orders_raw or sign == "&"):
        return _in_users_form(plain, quoted, kind, sign)
    if kind.wire == "coded" and not kind.is_number and not (of_bytes and sign == "contains"):
        return _coded(plain, quoted, kind, sign)
    if sign == "contains" or (kind.verbatim and kind.orders_raw and not kind.is_address) or kind.wire == "items":
        value = plain if quoted else bytes.fromhex(token.replace(":", ""))
        if kind.bits is not None and len(value) * 8 != kind.bits and sign in ("==", "!="):
            raise BuildError("", f"{kind.bits // 8} bytes")
        return value
    word = plain.decode()
    number = None if quoted or not _NUMBER.fullmatch(word) else int(word, 16 if "x" in word.lower() else 10)
    if kind.counted:
        if "/" in word and kind.bits in (32, 128) and sign in ("==", "!="):
            net = ip_network(word, strict=False)
            if net.max_prefixlen == kind.bits:
                return _Masked((net.netmask.packed, net.network_address.packed))
        return kind.raw(number if number is not None and kind is HOST else word, "")
    if kind.wire != "number":
        return kind.raw(word if number is None else number, "")
    if number is not None:
        if kind is _COUNT and number < 0:
            raise BuildError("", "0 or more")
        return number if kind is _TIME or kind is _COUNT else kind.raw(number, "")
    if kind.names is None:
        raise ValueError(token)
    return kind.raw(word, "")


def _coded(plain: bytes, quoted: bool, kind: Kind, sign: str) -> object:
    """Return a value of a kind that tells its own size."""
    word = plain.decode()
    read = word if quoted or not _NUMBER.fullmatch(word) else int(word, 16 if "x" in word.lower() else 10)
    value = read if sign == "contains" else kind.raw(plain if type(kind.zero) is bytes and quoted and kind.orders_raw else read, "")
    numbers = isinstance(value, Number) and isinstance(kind.zero, Number)
    if kind.zero is not None and not numbers and not isinstance(value, type(kind.zero)):
        raise BuildError("", f"of type {type(kind.zero).__name__}")
    return value


def _in_users_form(plain: bytes, quoted: bool, kind: Kind, sign: str) -> object:
    """Return a value of a kind with two forms; between two values the one on the right side of it."""
    if sign == "contains" and not hasattr(kind, "piece"):
        return plain if quoted else bytes.fromhex(plain.decode().replace(":", ""))
    word = plain.decode()
    texts = None if quoted else getattr(getattr(kind, "inner", kind), "enum", None)
    if texts is not None and word in texts.__members__:  # the name of a text, as names of numbers
        word = texts[word].value
    if sign == "contains":
        return kind.piece(word, "")  # type: ignore[attr-defined]
    if sign in ("<", "<=", ">", ">="):
        return kind.edge(word, "", sign in ("<", ">="))
    below, above = (kind.edge(word, "", up) for up in (False, True))
    if below != above:
        raise BuildError("", f"{kind.text(below)} or {kind.text(above)}, between which it has none")
    raw = kind.raw(word, "")
    unseen = kind.unseen(raw) if isinstance(kind, NumberView) else 0
    mask = (1 << kind.fixed_bits) - 1 & ~unseen
    return _Masked((mask, raw & mask)) if unseen else raw


def _unquoted(token: str) -> bytes:
    r"""Return a text in quotes as bytes: UTF-8, ``\xNN`` for any other byte. ValueError for other escapes than C's."""
    pieces = _ESCAPE.split(token[1:-1])
    for place in range(1, len(pieces), 2):
        if len(pieces[place]) == 1 and pieces[place] not in _ESCAPED:
            raise ValueError(token)
    return b"".join(
        piece.encode() if place % 2 == 0 else _ESCAPED.get(piece) or bytes.fromhex(piece[1:])
        for place, piece in enumerate(pieces)
    )
