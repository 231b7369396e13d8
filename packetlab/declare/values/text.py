"""Text in a packet: in any encoding, of a rule's size or a fixed one with padding; enums of text.

The raw value is the bytes. What is not the encoding of any text is a fault, and is shown with escapes; such a value
(`Undecoded`) still gives the same bytes when a field is given it.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable
from enum import Enum
from typing import Annotated, Any, TypeAlias

from packetlab.declare.kinds import ByteString, Forms, Kind, Lines, Raw, Wire, explained
from packetlab.declare.values.views import UNTYPED, RawValue, View, _name, own_bytes
from packetlab.errors import BuildError, DeclareError
from packetlab.escaping import bytes_text, printable

ONE_WAY = {"utf-8", "ascii", "iso8859-1", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"}
"""Encodings that write each text in one way: what was decoded is encoded to the same bytes."""


BLANK = b" \t"


class Undecoded(str):
    """Text that stands for bytes which are no text, or not as packetlab would write it: `raw` has them."""

    raw: bytes

    @classmethod
    def of(cls, text: str, raw: bytes) -> Undecoded:
        """Return text for these bytes."""
        made = cls(text)
        made.raw = raw
        return made

    def __repr__(self) -> str:
        return own_bytes(self.raw)

    def __reduce__(self) -> tuple[object, ...]:
        return Undecoded.of, (str(self), self.raw)


class TextKind(View):
    """Text. Open-ended like bytes, or of `size` bytes, which `pad` fills up; `rest` is all up to the end.

    Attributes:
        encoding: as Python knows it. unit: bytes of its shortest letter. enum: names for some of the texts.
    """

    function, user = "text", "str"
    allows = "size ended condition fixed"
    verbatim = judges = True
    zero = b""
    words = "text"

    def __init__(
        self, encoding: str = "utf-8", size: int | None = None, pad: bytes | None = None, rest: bool = False,
        enum: type[Enum] | None = None,
    ) -> None:  # fmt: skip
        self.encoding, self.unit = _encoding(encoding)
        self.size, self.pad, self.rest, self.enum = size, pad, rest, enum
        self.made_with = {"encoding": self.encoding} if self.encoding != "utf-8" else {}
        if size is not None:
            if rest or type(size) is not int or not 0 <= size <= 1 << 16 or size % self.unit:
                raise DeclareError("text(...), size", f"a size of whole letters ({self.unit} bytes), to 65536", size)
            self.bits, self.made_with["size"] = size * 8, size
            self.allows = "condition fixed"
        if pad is not None:
            if size is None or not isinstance(pad, bytes) or len(pad) != self.unit:
                hint = 'text of a size that a field tells is ended(...), with a filler after it: pad(to=field("size") + 1)' if size is None else ""
                raise DeclareError("text(...), pad", f"{self.unit} bytes, and a size that they fill up", repr(pad), hint)
            self.made_with["pad"] = pad
        self.made_with |= {"rest": 1} if rest else {}
        self.as_raw = ByteString(size)
        self.zero = (pad or bytes(self.unit)) * ((size or 0) // self.unit)
        self.surely = "{0}.isascii()" if self.encoding in ("utf-8", "ascii", "iso8859-1") else ""
        if self.encoding in ("utf-16-le", "utf-16-be"):  # no half of such a letter is a surrogate
            self.surely = "({0}.isascii() and not len({0}) & 1)"
        self.members: dict[str, Enum] = {} if enum is None else {one.value: one for one in enum}

    @property
    def wire(self) -> Wire:
        return "open" if self.bits is None else "bytes"

    def in_words(self) -> str:
        return f"text, {self.encoding}" + (f", {self.size} bytes" if self.size is not None else "")

    def annotation(self) -> str:
        return "str" if self.enum is None else self.enum.__name__

    def typed(self, wanted: object, where: str) -> Kind:
        if wanted in (str, *UNTYPED):
            return self
        if not (isinstance(wanted, type) and issubclass(wanted, Enum)):
            raise DeclareError(where, "Annotated[str, text(...)], or Annotated[Named[SomeStrEnum], text(...)]", _name(wanted))
        made = TextKind(self.encoding, self.size, self.pad, self.rest, wanted)
        for member in wanted:
            if not isinstance(member.value, str):
                raise DeclareError(where, f"texts in {wanted.__name__}, a StrEnum", repr(member.value))
            made.checked(member, where)
        return made

    def checked(self, member: Enum, where: str) -> None:
        """Refuse a member of an enum that the field cannot hold."""
        try:
            if self.decoded(self.of(member, where)) == member.value:
                return
        except BuildError:
            pass
        raise DeclareError(where, f"members that are {self.in_words()}", repr(member.value))

    # Between bytes and text ----------------------------------------------------------------------------------------

    def raw(self, value: object, where: str) -> bytes:
        if isinstance(value, (bytes, bytearray, memoryview)):
            value = RawValue(bytes(value))
        found: bytes = super().raw(value, where)
        return found

    def of(self, value: object, where: str) -> bytes:
        if isinstance(value, Undecoded):
            assert self.as_raw is not None
            kept: bytes = self.as_raw.raw(value.raw, where)
            return kept
        value = value.value if isinstance(value, Enum) else value
        if not isinstance(value, str):
            raise BuildError(where, "text", f"{value!r:.60}")
        data = self.piece(value, where)
        if self.size is None:
            return data
        whole = data if self.pad is None else data + self.pad * ((self.size - len(data)) // self.unit)
        if len(whole) != self.size:
            expected = f"{self.size} bytes" if self.pad is None else f"up to {self.size} bytes"
            raise BuildError(where, f"text of {expected}", f"{len(data)} bytes")
        return whole

    def unpadded(self, raw: bytes) -> bytes:
        """Return bytes without what fills them up."""
        end = len(raw)
        while self.pad is not None and end and raw[end - self.unit : end] == self.pad:
            end -= self.unit
        return raw[:end]

    def decoded(self, raw: bytes) -> str | None:
        """Return bytes as text, None where they are none."""
        try:
            return (raw if self.pad is None else self.unpadded(raw)).decode(self.encoding)
        except UnicodeError:
            return None

    def value(self, raw: bytes) -> str | Enum:
        found = self.decoded(raw)
        if found is None:
            return Undecoded.of(self.unpadded(raw).decode(self.encoding, "backslashreplace"), raw)
        member = self.members.get(found)
        if member is not None:
            return member
        try:
            return found if self.of(found, "") == raw else Undecoded.of(found, raw)
        except BuildError:
            return Undecoded.of(found, raw)

    def quick_value(self) -> Lines | None:
        if self.encoding not in ONE_WAY or (self.pad is not None and self.unit > 1):
            return None
        bare = "raw" if self.pad is None else f"raw.rstrip({self.pad!r})"
        decoded = f"{bare}.decode({self.encoding!r})"
        found = f"members.get(found := {decoded}, found)" if self.members else decoded
        return "bytes", [f"try: made = {found}", "except UnicodeError: made = value(raw)"], {"members": self.members}

    def usual_forms(self) -> Forms:
        forms, names = super().usual_forms()
        if self.encoding not in ONE_WAY or (self.unit > 1 and self.size is not None):
            return forms, names
        test, raw = "{0}.__class__ is {str} and {0}.isascii()", "{0}.encode()" if self.surely == "{0}.isascii()" else f"{{0}}.encode({self.encoding!r})"
        if self.size is not None:
            test += f" and {{len}}({{0}}) {'==' if self.pad is None else '<='} {self.size}"
            raw += "" if self.pad is None else f".ljust({self.size}, {{pad}})"
        return [(test, raw), *forms], {**names, "str": str, "len": len, "pad": self.pad}

    def quick_raw(self) -> Callable[[object], bytes | None]:
        encoding, size, pad, unit, enum = self.encoding, self.size, self.pad, self.unit, self.enum

        def quick(value: object) -> bytes | None:
            if enum is not None and type(value) is enum:
                value = value._value_
            if type(value) is not str:
                return None
            try:
                data = value.encode(encoding)
            except UnicodeError:
                return None
            if size is None:
                return data
            data += b"" if pad is None else pad * ((size - len(data)) // unit)
            return data if len(data) == size else None

        return quick

    def text(self, raw: bytes) -> str:
        if len(raw) > 4096:
            return bytes_text(raw)
        found = self.decoded(raw)
        if found is None:
            return bytes_text(raw)
        shown = found if len(found) <= 64 else f"{found[:64]}... ({len(raw)} bytes)"
        return printable(f'"{shown}"')

    def wrong(self, raw: bytes) -> str:
        return "" if self.decoded(raw) is not None else f"text, {self.encoding}"

    def sound(self, raw: bytes) -> bytes:
        letters = raw[: len(raw) // self.unit * self.unit : self.unit]
        # Small letters have one unit in every encoding that there is; % has no bytes in cp864, + two in utf-7.
        return "".join(chr(97 + byte % 26) for byte in letters).encode(self.encoding)

    def piece(self, text: str, where: str) -> bytes:
        """Return the bytes of a part of a value. BuildError where it has none."""
        try:
            return text.encode(self.encoding)
        except UnicodeError:
            raise BuildError(where, f"text that {self.encoding} can carry", f"{text!a:.60}") from None


class SpacedBytes(bytes):
    """Text with other spaces and tabs around it than packetlab writes: `spelled` has them. It compares as the text."""

    spelled: bytes

    def __new__(cls, text: bytes, spelled: bytes) -> SpacedBytes:
        made = super().__new__(cls, text)
        made.spelled = spelled
        return made

    def __reduce__(self) -> tuple[object, ...]:
        return SpacedBytes, (bytes(self), self.spelled)


class SpacedText(TextKind):
    """Text around which spaces and tabs may stand, which are no part of it: they are kept as they came, and `space` is written before it.

    Raw values are the bytes without them, as `SpacedBytes` where others stood there than `space`.
    """

    verbatim = False
    unended = True

    def __init__(self, encoding: str, space: bytes, enum: type[Enum] | None = None) -> None:
        super().__init__(encoding, enum=enum)
        if not isinstance(space, bytes) or len(space) > 64 or space.strip(BLANK):
            raise DeclareError("text(...), space", "up to 64 spaces and tabs, as bytes", f"{space!r:.80}")
        if self.encoding not in ONE_WAY or self.unit > 1:
            raise DeclareError("text(...), space", "text in UTF-8, ASCII or Latin-1", self.encoding)
        self.space = space
        self.made_with = {**self.made_with, "space": space}

    @property
    def wire(self) -> Wire:
        return "coded"

    def in_words(self) -> str:
        return f"{super().in_words()}, with spaces and tabs around it or none"

    def typed(self, wanted: object, where: str) -> Kind:
        plain = super().typed(wanted, where)
        return self if plain is self else SpacedText(self.encoding, self.space, plain.enum)  # type: ignore[attr-defined]

    def raw(self, value: object, where: str) -> bytes:
        if type(value) is SpacedBytes:
            return value
        raw = super().raw(value, where)
        kept = isinstance(value, RawValue | Undecoded) or raw != raw.strip(BLANK)
        return self.parsed(raw) if kept else raw

    def parsed(self, data: bytes) -> bytes:
        """Return the text among these bytes, which knows what stood around it unless that is just what would be written."""
        text = data.strip(BLANK)
        return text if data == self.space + text else SpacedBytes(text, data)

    def kept(self, raw: bytes, like: Raw) -> bytes:
        return like if type(like) is SpacedBytes and type(raw) is bytes and raw == like else raw

    def value(self, raw: bytes) -> str | Enum:
        found = super().value(bytes(raw))
        return found if type(raw) is not SpacedBytes or isinstance(found, Enum) else Undecoded.of(str(found), raw.spelled)

    def quick_value(self) -> Lines | None:
        return None

    def usual_forms(self) -> Forms:
        return [], {}

    def quick_raw(self) -> Any:
        return None

    def quick_parse(self) -> None:
        return None

    def read(self, data: bytes, pos: int, limit: int) -> tuple[bytes, int] | None:
        return self.parsed(data[pos:limit]), limit

    def write(self, raw: bytes) -> bytes:
        return raw.spelled if type(raw) is SpacedBytes else self.space + raw


def _encoding(name: str) -> tuple[str, int]:
    """Return an encoding as it is called, and the bytes of its shortest letter. DeclareError for what is none."""
    where = "text(...), encoding"
    try:
        info = codecs.lookup(name)
        one, both = "a".encode(name), "ab".encode(name)
    except (LookupError, TypeError, ValueError):
        raise DeclareError(where, "an encoding that Python knows", f"{name!r:.60}") from None
    if not getattr(info, "_is_text_encoding", True) or not both.startswith(one) or len(both) != 2 * len(one):
        hint = "utf-16-le or utf-16-be" if "16" in info.name else "utf-32-le or utf-32-be" if "32" in info.name else ""
        raise DeclareError(where, "an encoding without a byte order mark", f"{name!r:.60}", hint)
    return info.name, len(one)


def text(
    encoding: str = "utf-8", *, size: int | None = None, pad: bytes | None = None, rest: bool = False, space: bytes | None = None
) -> Kind:  # fmt: skip
    """The kind of text, for ``Annotated[str, text("utf-16-le")]``; enums of text are ``Annotated[Named[SomeStrEnum], text()]``.

    Without `size` it is open-ended as `Bytes` are: `sized(...)`, `ended(...)` or a length says where it ends, or `rest`, that
    it is all that is left. With `size` it is so many bytes; shorter text is filled up with `pad`, which is no part of the value.
    Bytes that are no such text are a fault, and come back as they were.

    With ``space=b" "`` spaces and tabs around it are no part of the value, as around the values of header fields in HTTP (RFC 9110
    section 5.5): what was read keeps them until the value changes, and what is built has `space` before it. Such text goes up to
    what `ended(...)` or `sized(...)` says, or to the end of a header that is the last. ``raw(b"x ")`` gives it with just these.
    """
    if space is not None:
        if size is not None or pad is not None or rest:
            raise DeclareError("text(...), space", "no size=, pad= or rest=: it goes up to ended(...), sized(...) or the end", "them too")
        return SpacedText(encoding, space)
    return TextKind(encoding, size, pad, rest)


Text: TypeAlias = Annotated[str, TextKind()]

explained({Text: "Text in UTF-8, of varying size: as many bytes as `sized(...)`, `ended(...)` or a length field leaves for it."})
