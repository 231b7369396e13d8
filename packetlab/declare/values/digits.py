"""Numbers written as text: "42", "007", "1A". Rules use them as any number; a longer spelling is kept as it was read."""

from __future__ import annotations

import re
from enum import IntEnum, IntFlag
from typing import Annotated, TypeAlias

from packetlab.declare.kinds import Kind, Lines, explained
from packetlab.declare.values.varints import Spelled
from packetlab.declare.values.views import UNTYPED, View, _name, member_of, number_of
from packetlab.errors import BuildError, DeclareError
from packetlab.escaping import bytes_text, printable

LIMIT = 1 << 64
DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
WITHIN = DIGITS + DIGITS[10:].upper() + "+- \t"  # what a spelling of a number is made of


class SpelledDigits(Spelled):
    """A number in another spelling than packetlab would write: `spelled` has it. Equal to the number."""

    spelled: bytes

    def __repr__(self) -> str:
        return repr(self.spelled.decode("ascii"))

    @classmethod
    def of(cls, number: int, spelled: bytes) -> SpelledDigits:
        """Return a number that was written so."""
        made = cls(number, len(spelled))
        made.spelled = spelled
        return made

    def __reduce__(self) -> tuple[object, ...]:
        return SpelledDigits.of, (int(self), self.spelled)


class DigitsKind(View):
    """A number in digits: of `width` of them, or (with `ended`) of as many as it takes.

    Signs, zeros, and spaces and tabs around are read, and kept as they came; written are the fewest digits, or zeros in front up to `width`.
    So is what stands after the digits from `before` on, which is no part of the number.
    """

    function, user = "digits", "int"
    plain = True
    zero = 0
    words = "a number in digits"

    def __init__(
        self, base: int = 10, width: int | None = None, signed: bool = False, names: type[IntEnum | IntFlag] | None = None, upper: bool = False,
        before: bytes = b"", space: bytes = b"",
    ) -> None:  # fmt: skip
        if type(base) is not int or not 2 <= base <= 36:
            raise DeclareError("digits(...), base", "2 to 36", base)
        if width is not None and (type(width) is not int or not 1 <= width <= 64):
            raise DeclareError("digits(...), width", "1 to 64 digits", width)
        if not isinstance(before, bytes) or len(before) > 64 or not before.isascii() or before[:1].decode() in (WITHIN if before else ()):
            raise DeclareError("digits(...), before", "up to 64 bytes of ASCII, the first one none of a number", f"{before!r:.80}")
        if before and width is not None:
            raise DeclareError("digits(...), before", "digits without a width, up to what ended(...) says", f"width={width}")
        if not isinstance(space, bytes) or len(space) > 64 or space.strip(b" \t") or (space and width is not None):
            raise DeclareError("digits(...), space", "up to 64 spaces and tabs, as bytes, before digits without a width", f"{space!r:.80}")
        self.space = space
        self.base, self.width, self.signed, self.named, self.before = base, width, signed, names, before
        self.unended, self.always = width is None, width or 0
        self.allows = f"rule {'ended ' if width is None else ''}{'size ' if width is None else ''}condition fixed"
        most = LIMIT >> signed if width is None else min(base ** (width - signed), LIMIT >> signed)
        self.low, self.high = (1 - most if signed else 0), most - 1
        self.made_with = {"base": base} if base != 10 else {}
        self.made_with |= {"width": width} if width is not None else {}
        self.made_with |= {"signed": 1} if signed else {}
        self.made_with |= {"upper": 1} if upper else {}
        self.made_with |= {"before": before} if before else {}
        self.made_with |= {"space": space} if space else {}
        self.upper = bool(upper)
        self.letter = "" if space else {8: "o", 10: "d", 16: "X" if upper else "x"}.get(base, "")  # with which Python writes them
        letters = DIGITS[:base] + DIGITS[10:base].upper()
        self.pattern = re.compile(rf"[ \t]*[+-]?[{letters}]+[ \t]*".encode())

    def in_words(self) -> str:
        return f"{f'{self.width} ' if self.width else ''}digits" + (f", base {self.base}" if self.base != 10 else "") + (
            f", and maybe {self.before!r} and more" if self.before else ""
        )

    def annotation(self) -> str:
        return "int" if self.named is None else self.named.__name__

    def typed(self, wanted: object, where: str) -> Kind:
        if wanted in (int, *UNTYPED):
            return self
        if not (isinstance(wanted, type) and issubclass(wanted, IntEnum | IntFlag)):
            raise DeclareError(where, "Annotated[int, digits(...)], or an IntEnum", _name(wanted))
        return DigitsKind(self.base, self.width, self.signed, wanted, self.upper, self.before, self.space)

    def parsed(self, data: bytes) -> int | None:
        """Return the number that bytes spell, as itself or `SpelledDigits`; None where they spell none."""
        size, digits = len(data), data[1:] if self.signed and data[:1] == b"-" else data
        if self.base == 10 and not self.space and size < 20 and digits.isdigit() and (size == self.width or (size > (self.width or 0) and (digits[0] != 48 or size == 1))):
            number = int(data)  # which is spelled so, but for -0
            if number or digits is data:
                return number if self.low <= number <= self.high else None
        digits, more = self._parted(data)
        if len(digits) > 80 or not self.pattern.fullmatch(digits) or (more and not more.isascii()):
            return None
        number = int(digits, self.base)
        if not self.low <= number <= self.high:
            return None
        return number if self.spell(number) == data else SpelledDigits.of(number, data)

    def _parted(self, spelled: bytes) -> tuple[bytes, bytes]:
        """Return the digits, and what stands after them."""
        at = spelled.find(self.before) if self.before else -1
        return (spelled, b"") if at < 0 else (spelled[:at], spelled[at:])

    def spell(self, number: int) -> bytes:
        """Return a number as it is written."""
        if isinstance(number, SpelledDigits):
            return number.spelled
        if self.letter:
            return f"{number:0{self.width or 0}{self.letter}}".encode()
        digits, rest = "", abs(number)
        while rest or not digits:
            rest, digit = divmod(rest, self.base)
            digits = DIGITS[digit] + digits
        digits, sign = digits.upper() if self.upper else digits, "-" * (number < 0)
        return self.space + (sign + digits.rjust((self.width or 0) - len(sign), "0")).encode()

    @property
    def written(self) -> str:
        plain = f'b"%0{self.width or 0}{self.letter}" % {{0}} if {{0}}.__class__ is int else '
        return f"({plain}{{write}}({{0}}))" if self.letter else super().written

    def raw(self, value: object, where: str) -> int:
        found: int | None = None
        form = getattr(value, "form", value)
        if isinstance(form, SpelledDigits) or (isinstance(form, int) and not isinstance(form, bool)):
            found = form if isinstance(form, SpelledDigits) else int(form)
            found = found if self.low <= found <= self.high else None
        elif isinstance(form, str | bytes):
            found = number_of(self.named, form)
            found = self.parsed(form.encode() if isinstance(form, str) else form) if found is None else found
        if found is None or (self.width is not None and len(self.spell(found)) != self.width):
            raise BuildError(where, f"{self.low}..{self.high}, in {self.in_words()}", f"{value!r:.60}")
        return found

    def quick_value(self) -> Lines | None:
        return ("int", ["made = raw"], {}) if self.named is None and not self.before else None

    def value(self, raw: int) -> int:
        if self.before and isinstance(raw, SpelledDigits) and self.before in raw.spelled:
            return raw
        return member_of(self.named, int(raw))

    def compared(self, raw: int) -> int:
        return int(raw)

    def text(self, raw: int) -> str:
        name = getattr(self.value(raw), "name", None)
        spelled = f'"{raw.spelled.decode("ascii")}"' if isinstance(raw, SpelledDigits) else str(int(raw))
        return printable(f"{name} ({spelled})" if name else spelled)

    def respelled(self, raw: int, like: int) -> int:
        """Return a number with as many zeros in front as another one has, and the same after it."""
        if self.before and isinstance(like, SpelledDigits):
            digits, more = self._parted(like.spelled)
            made = self.respelled(raw, SpelledDigits.of(like, digits)) if more else raw
            if more:
                return SpelledDigits.of(raw, self.spell(made) + more)
        if isinstance(like, SpelledDigits) and (raw == like or like.spelled.isalnum()):
            wide = like.spelled if raw == like else self.spell(int(raw)).rjust(len(like.spelled), b"0")
            return SpelledDigits.of(raw, wide) if wide != self.spell(int(raw)) and wide.isalnum() else int(raw)
        return int(raw)

    def refused(self, data: bytes, pos: int, limit: int) -> str:
        return bytes_text(data[pos : limit if self.width is None else min(limit, pos + self.width)])

    def read(self, data: bytes, pos: int, limit: int) -> tuple[int, int] | None:
        end = limit if self.width is None else pos + self.width
        found = self.parsed(data[pos:end]) if end <= limit else None
        return None if found is None else (found, end)

    def quick_parse(self) -> tuple[list[str], dict[str, object]] | None:
        """Return lines that make a number of its bytes in "{v}" as `parsed` does (see `quick_read`)."""
        if not self.letter:
            return None
        wrong = f'b"%0{self.width or 0}{self.letter}" % {{v}} != x or not {self.low} <= {{v}} <= {self.high}'
        return [
            "x = {v}", f"try: {{v}} = int(x, {self.base}) if len(x) < 25 else None", "except {unspelled}: {v} = None",
            f"if {{v}} is None or {wrong}:", "    {v} = {parsed}(x)", "    if {v} is None: {away}",
        ], {"parsed": self.parsed, "unspelled": ValueError}  # fmt: skip

    def quick_read(self) -> tuple[list[str], dict[str, object]] | None:
        """Return lines that do what `read` does: with "{pos}" and "{limit}", they leave the value in "{v}" and where it ends in "{pos}", or do
        "{away}" where there is none; and what they refer to, by names in braces. None for a call of `read`."""
        parse = self.quick_parse()
        if parse is None or self.width is None:
            end = ["{v} = data[{pos}:{limit}]"], ["{pos} = {limit}"]
        else:
            end = [f"q = {{pos}} + {self.width}", "if q > {limit}: {away}", "{v} = data[{pos}:q]"], ["{pos} = q"]
        return None if parse is None else ([*end[0], *parse[0], *end[1]], parse[1])

    def write(self, raw: int) -> bytes:
        return self.spell(raw)


def digits(base: int = 10, *, width: int | None = None, signed: bool = False, upper: bool = False, before: bytes = b"", space: bytes = b"") -> Kind:
    """The kind of a number written as text, for ``Annotated[int, digits()]``: of `width` digits, or up to what `ended(...)` says.

    It is a number for rules, sizes and `payload_size`. Written are the fewest digits, or zeros in front up to `width`; text
    that is given, and what was read, keeps its spelling ("007", "+7", " 7", "\\t7", "1A"). Up to 64 bits; with `signed` there may be a minus before them.
    `upper` is whether letters are written as capitals; both are read. With a `width` a checksum may stand in them.

    With ``before=b";"`` there may be a semicolon after the digits, and more text: "1a;name=value" is 26, as the size of a chunk is in HTTP
    (RFC 9112 section 7.1.1). Such a value is the number, and has all that was written as `spelled`; a number that follows anew keeps it.
    What is built has `space`, spaces and tabs, before the digits: ``space=b" "`` after the colon of ``b"length: 7"``.
    """
    return DigitsKind(base, width, signed, upper=bool(upper), before=before, space=space)


Digits: TypeAlias = Annotated[int, DigitsKind()]
HexDigits: TypeAlias = Annotated[int, DigitsKind(16)]

explained({
    Digits: "A whole number from 0 written in decimal digits, up to what `ended(...)` says. Rules use it as any number.",
    HexDigits: "The same in hexadecimal digits.",
})  # fmt: skip
