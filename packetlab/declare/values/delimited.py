"""A value up to a delimiter: a line, a C string, a blank line. The delimiter is read and written, and no part of the value."""

from __future__ import annotations

from collections.abc import Callable

from packetlab.declare.kinds import Forms, Kind, Lines, Raw, utf8
from packetlab.errors import BuildError, DeclareError

LONGEST = 64  # bytes of a delimiter


class EndedBytes(bytes):
    """Bytes that end with another delimiter than the first of their field: ``EndedBytes(b"abc", b"\\n")``. They compare as the bytes."""

    end: bytes

    def __new__(cls, data: bytes, end: bytes) -> EndedBytes:
        made = super().__new__(cls, data)
        made.end = end
        return made

    def __repr__(self) -> str:
        return f"EndedBytes({bytes(self)!r}, {self.end!r})"

    def __reduce__(self) -> tuple[object, ...]:
        return EndedBytes, (bytes(self), self.end)


class EndedText(str):
    """Text that ends with another delimiter than the first of its field: ``EndedText("abc", b"\\n")``. It compares as the text."""

    end: bytes

    def __new__(cls, text: str, end: bytes) -> EndedText:
        made = super().__new__(cls, text)
        made.end = end
        return made

    def __repr__(self) -> str:
        return f"EndedText({str(self)!r}, {self.end!r})"

    def __str__(self) -> str:
        return str.__str__(self)

    def __reduce__(self) -> tuple[object, ...]:
        return EndedText, (str(self), self.end)


class Delimited(Kind):
    """What another kind has, up to a delimiter: the kind of a field that is ``ended(...)``.

    Attributes:
        inner: the kind of the value: bytes, text or digits. unit: places of a letter, where delimiters may begin.
        ends: the delimiters, the first of which is written; delimiter: the shortest, with which the others end.
    """

    def __init__(self, inner: Kind, delimiter: bytes | tuple[bytes, ...], where: str = "ended(...)") -> None:
        self.inner, self.zero, self.ends = inner, inner.zero, delimiter if isinstance(delimiter, tuple) else (delimiter,)
        self.unit, self._is_bytes = getattr(inner, "unit", 1), isinstance(inner.zero, bytes) and not hasattr(inner, "parsed")
        for one in self.ends or (b"",):
            if not isinstance(one, bytes) or not 0 < len(one) <= LONGEST or len(one) % self.unit:
                whole = f", of whole letters ({self.unit} bytes)" if self.unit > 1 else ""
                raise DeclareError(where, f"a delimiter of 1 to {LONGEST} bytes{whole}", f"{one!r:.80}")
        self.delimiter = min(self.ends, key=len)
        self._others = sorted((one for one in self.ends if one is not self.delimiter), key=len, reverse=True)
        if any(one == self.delimiter or not one.endswith(self.delimiter) for one in self._others):
            raise DeclareError(where, "delimiters of which the others end with the shortest, such as b'\\r\\n' and b'\\n'", f"{self.ends!r:.80}")
        if self._others and not self._is_bytes:
            raise DeclareError(where, "one delimiter for what is no text or bytes", f"{self.ends!r:.80}")
        self.low, self.high = inner.low, inner.high
        self.signed, self.judges, self.is_address = inner.signed, inner.judges, False
        self.as_raw, self.words, self.surely, self.shows_bytes = inner.as_raw, inner.words, inner.surely, inner.shows_bytes
        self.allows = " ".join(word for word in inner.allows.split() if word in ("rule", "condition", "fixed"))

    @property
    def orders_raw(self) -> bool:
        return self.inner.orders_raw

    def in_words(self) -> str:
        return f"{self.inner.in_words()} up to {' or '.join(map(repr, self.ends))}"

    def annotation(self) -> str:
        return self.inner.annotation()

    def typed(self, wanted: object, where: str) -> Kind:
        return Delimited(self.inner.typed(wanted, where), self.ends, where)

    def raw(self, value: object, where: str) -> Raw:
        found = self.inner.raw(value, where)
        data, end = self._written(found), getattr(value, "end", self.ends[0]) if isinstance(value, EndedBytes | EndedText) else self.ends[0]
        if end not in self.ends:
            raise BuildError(where, f"an end of {' or '.join(map(repr, self.ends))}", f"{end!r:.60}")
        if self._end(data + self.delimiter, 0) != len(data) or (self._others and self._last(data + end, 0, len(data + end)) != len(data)):
            hint = "the delimiter says where the value ends, and is written after it"
            raise BuildError(where, f"a value without {self.delimiter!r} in it", f"{value!r:.60}", hint)
        return found if end == self.ends[0] else EndedBytes(found, end)

    def kept(self, raw: Raw, like: Raw) -> Raw:
        """Return the value with the end that it had, where it is the same one."""
        return like if type(like) is EndedBytes and type(raw) is bytes and raw == like else self.inner.kept(raw, like)

    @property
    def plain(self) -> bool:  # type: ignore[override]
        return self.inner.plain and not any(byte in b"-0123456789abcdefghijklmnopqrstuvwxyz" for byte in self.delimiter)

    def quick_value(self) -> Lines | None:
        return ("bytes", ["made = raw"], {}) if type(self.inner).value is Kind.value else self.inner.quick_value()

    def usual_forms(self) -> Forms:
        (forms, names), end = self.inner.usual_forms(), self.delimiter
        if self.unit > 1 or not all(map(bytes.isascii, self.ends)) or any(end.startswith(end[n:]) for n in range(1, len(end))):
            return [], {}
        # It does not begin in the value and end after it where no end of it is how it begins.
        tests = [(test, raw, "text" if "{str}" in test else "end") for test, raw in forms]
        starts = tuple(one[: -len(end)] for one in self._others)  # what would be read as a part of the end
        more = " and not {{0}}.endswith({{{0}_starts}})" if starts else ""
        found = [(f"{test} and {{{key}}} not in {{0}}{more.format(key)}", raw) for test, raw, key in tests]
        return found, {**names, "end": end, "text": end.decode(), "end_starts": starts, "text_starts": tuple(one.decode() for one in starts)}

    def quick_raw(self) -> Callable[[object], Raw] | None:
        inner, delimiter = self.inner.quick_raw(), self.delimiter
        if inner is None or not isinstance(self.zero, bytes) or self.unit > 1:
            return None
        starts = tuple(one[: -len(delimiter)] for one in self._others)

        def quick(value: object) -> Raw:
            data = inner(value)
            # The delimiter may begin in the value and end in the one that stands after it.
            return data if data is not None and (data + delimiter).find(delimiter) == len(data) and not data.endswith(starts) else None

        return quick

    def edge(self, value: object, where: str, up: bool) -> Raw:
        return self.inner.edge(value, where, up)

    def value(self, raw: Raw) -> Raw:
        if type(raw) is not EndedBytes:
            return self.inner.value(raw)
        found = self.inner.value(bytes(raw))
        return raw if isinstance(found, bytes) else EndedText(found, raw.end) if type(found) is str else found

    def compared(self, raw: Raw) -> Raw:
        return self.inner.compared(raw)

    def text(self, raw: Raw) -> str:
        return self.inner.text(raw)

    def respelled(self, raw: Raw, like: Raw) -> Raw:
        return self.inner.respelled(raw, like)

    def refused(self, data: bytes, pos: int, limit: int) -> str:
        end = self._end(data, pos, limit)
        return self.inner.refused(data, pos, end) if end >= 0 else f"{limit - pos} bytes without it"

    def unfinished(self, data: bytes, pos: int, limit: int) -> bool:
        return self._end(data, pos, limit) < 0

    def wrong(self, raw: Raw) -> str:
        return self.inner.wrong(raw)

    def piece(self, text: str, where: str) -> bytes:
        """Return the bytes of a part of a value (see `TextKind.piece`)."""
        piece: bytes = self.inner.piece(text, where) if hasattr(self.inner, "piece") else utf8(text, where)
        return piece

    def _written(self, raw: Raw) -> bytes:
        written: bytes = raw if self._is_bytes else self.inner.write(raw)
        return written

    def _end(self, data: bytes, pos: int, limit: int | None = None) -> int:
        """Return where the delimiter begins, -1 where there is none."""
        start = pos
        while True:
            at = data.find(self.delimiter, pos, limit)
            if at < 0 or (at - start) % self.unit == 0:
                return at
            pos = at + 1

    def _last(self, data: bytes, start: int, end: int) -> int:
        """Return where the delimiter begins that ends at `end`, of a value that begins at `start`: the longest one that stands there."""
        return next((end - len(one) for one in self._others if end - len(one) >= start and data.startswith(one, end - len(one))), end - len(self.delimiter))

    def read(self, data: bytes, pos: int, limit: int) -> tuple[Raw, int] | None:
        end = data.find(self.delimiter, pos, limit) if self.unit == 1 else self._end(data, pos, limit)
        if end < 0:
            return None
        if self._others:
            after = end + len(self.delimiter)
            for one in self._others:
                if after - len(one) >= pos and data.startswith(one, after - len(one)):
                    break
            else:
                one = self.delimiter
            raw = data[pos : after - len(one)]
            return raw if one is self.ends[0] else EndedBytes(raw, one), after
        raw = data[pos:end]
        found = raw if self._is_bytes else self.inner.parsed(raw)  # type: ignore[attr-defined]
        return None if found is None else (found, end + len(self.delimiter))

    def quick_read(self) -> tuple[list[str], dict[str, object]] | None:
        """Return lines that do what `read` does (see `DigitsKind.quick_read`)."""
        parse: tuple[list[str], dict[str, object]] | None = ([], {}) if self._is_bytes else self.inner.quick_parse()  # type: ignore[attr-defined]
        if self.unit > 1 or parse is None or self._others[1:]:
            return None
        for other in self._others:
            more = len(other) - len(self.delimiter)
            pieces = [f"data[{{pos}}:q - {more}]", "data[{pos}:q]"]
            pieces = [piece if one is self.ends[0] else f"{{Ended}}({piece}, {{{word}}})" for piece, one, word in zip(pieces, (other, self.delimiter), ("other", "end"), strict=True)]
            lines = ["q = data.find({end}, {pos}, {limit})", "if q < 0: {away}", f"if q - {more} >= {{pos}} and data.startswith({{other}}, q - {more}): {{v}} = {pieces[0]}"]
            lines += [f"else: {{v}} = {pieces[1]}", f"{{pos}} = q + {len(self.delimiter)}"]
            return lines, {"end": self.delimiter, "other": other, "Ended": EndedBytes}
        found = ["q = data.find({end}, {pos}, {limit})", "if q < 0: {away}", "{v} = data[{pos}:q]"]
        return [*found, *parse[0], f"{{pos}} = q + {len(self.delimiter)}"], {**parse[1], "end": self.delimiter}

    @property
    def written(self) -> str:
        end = repr(self.ends[0]).replace("{", "{{").replace("}", "}}")
        if self._others:
            return f"({{0}} + ({end} if {{0}}.__class__ is bytes else {{0}}.end))"
        if self._is_bytes:
            return f"({{0}} + {end})"
        plain = self.inner.written
        return plain.replace(" if ", f" + {end} if ", 1) if " if " in plain else super().written

    def write(self, raw: Raw) -> bytes:
        written = self._written(raw)
        return written + (raw.end if type(raw) is EndedBytes else self.ends[0])
