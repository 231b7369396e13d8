"""A value up to a delimiter: a line, a C string, a blank line. The delimiter is read and written, and no part of the value."""

from __future__ import annotations

from collections.abc import Callable

from packetlab.declare.kinds import Forms, Kind, Lines, Raw, utf8
from packetlab.errors import BuildError, DeclareError

LONGEST = 64  # bytes of a delimiter


class Delimited(Kind):
    """What another kind has, up to `delimiter`: the kind of a field that is ``ended(...)``.

    Attributes:
        inner: the kind of the value: bytes, text or digits. unit: places of a letter, where delimiters may begin.
    """

    def __init__(self, inner: Kind, delimiter: bytes, where: str = "ended(...)") -> None:
        self.inner, self.delimiter, self.zero = inner, delimiter, inner.zero
        self.unit, self._is_bytes = getattr(inner, "unit", 1), isinstance(inner.zero, bytes)
        if not isinstance(delimiter, bytes) or not 0 < len(delimiter) <= LONGEST or len(delimiter) % self.unit:
            whole = f", of whole letters ({self.unit} bytes)" if self.unit > 1 else ""
            raise DeclareError(where, f"a delimiter of 1 to {LONGEST} bytes{whole}", f"{delimiter!r:.80}")
        self.low, self.high = inner.low, inner.high
        self.signed, self.judges, self.is_address = inner.signed, inner.judges, False
        self.as_raw, self.words, self.surely, self.shows_bytes = inner.as_raw, inner.words, inner.surely, inner.shows_bytes
        self.allows = " ".join(word for word in inner.allows.split() if word in ("rule", "condition", "fixed"))

    @property
    def orders_raw(self) -> bool:
        return self.inner.orders_raw

    def in_words(self) -> str:
        return f"{self.inner.in_words()} up to {self.delimiter!r}"

    def annotation(self) -> str:
        return self.inner.annotation()

    def typed(self, wanted: object, where: str) -> Kind:
        return Delimited(self.inner.typed(wanted, where), self.delimiter, where)

    def raw(self, value: object, where: str) -> Raw:
        found = self.inner.raw(value, where)
        data = self._written(found)
        if self._end(data + self.delimiter, 0) != len(data):
            hint = "the delimiter says where the value ends, and is written after it"
            raise BuildError(where, f"a value without {self.delimiter!r} in it", f"{value!r:.60}", hint)
        return found

    @property
    def plain(self) -> bool:  # type: ignore[override]
        return self.inner.plain and not any(byte in b"-0123456789abcdefghijklmnopqrstuvwxyz" for byte in self.delimiter)

    def quick_value(self) -> Lines | None:
        return self.inner.quick_value()

    def usual_forms(self) -> Forms:
        (forms, names), end = self.inner.usual_forms(), self.delimiter
        if self.unit > 1 or not end.isascii() or any(end.startswith(end[n:]) for n in range(1, len(end))):
            return [], {}
        # It does not begin in the value and end after it where no end of it is how it begins.
        tests = [(test, raw, "text" if "{str}" in test else "end") for test, raw in forms]
        return [(f"{test} and {{{key}}} not in {{0}}", raw) for test, raw, key in tests], {**names, "end": end, "text": end.decode()}

    def quick_raw(self) -> Callable[[object], Raw] | None:
        inner, delimiter = self.inner.quick_raw(), self.delimiter
        if inner is None or not isinstance(self.zero, bytes) or self.unit > 1:
            return None

        def quick(value: object) -> Raw:
            data = inner(value)
            # The delimiter may begin in the value and end in the one that stands after it.
            return data if data is not None and (data + delimiter).find(delimiter) == len(data) else None

        return quick

    def edge(self, value: object, where: str, up: bool) -> Raw:
        return self.inner.edge(value, where, up)

    def value(self, raw: Raw) -> Raw:
        return self.inner.value(raw)

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
        written: bytes = raw if isinstance(raw, bytes) else self.inner.write(raw)
        return written

    def _end(self, data: bytes, pos: int, limit: int | None = None) -> int:
        """Return where the delimiter begins, -1 where there is none."""
        start = pos
        while True:
            at = data.find(self.delimiter, pos, limit)
            if at < 0 or (at - start) % self.unit == 0:
                return at
            pos = at + 1

    def read(self, data: bytes, pos: int, limit: int) -> tuple[Raw, int] | None:
        end = data.find(self.delimiter, pos, limit) if self.unit == 1 else self._end(data, pos, limit)
        if end < 0:
            return None
        raw = data[pos:end]
        found = raw if self._is_bytes else self.inner.parsed(raw)  # type: ignore[attr-defined]
        return None if found is None else (found, end + len(self.delimiter))

    def quick_read(self) -> tuple[list[str], dict[str, object]] | None:
        """Return lines that do what `read` does (see `DigitsKind.quick_read`)."""
        parse: tuple[list[str], dict[str, object]] | None = ([], {}) if self._is_bytes else self.inner.quick_parse()  # type: ignore[attr-defined]
        if self.unit > 1 or parse is None:
            return None
        found = ["q = data.find({end}, {pos}, {limit})", "if q < 0: {away}", "{v} = data[{pos}:q]"]
        return [*found, *parse[0], f"{{pos}} = q + {len(self.delimiter)}"], {**parse[1], "end": self.delimiter}

    @property
    def written(self) -> str:
        end = repr(self.delimiter).replace("{", "{{").replace("}", "}}")
        if self._is_bytes:
            return f"({{0}} + {end})"
        plain = self.inner.written
        return plain.replace(" if ", f" + {end} if ", 1) if " if " in plain else super().written

    def write(self, raw: Raw) -> bytes:
        written: bytes = raw if type(raw) is bytes else self._written(raw)
        return written + self.delimiter
