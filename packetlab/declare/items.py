"""Kinds of fields that hold several values: headers one after the other, and values of any other kind.

What headers in a field are the readers of `codec` find out; values lie side by side, and stay the bytes they are until somebody
looks at them.
"""

from __future__ import annotations

from copy import copy
from struct import Struct

from packetlab.declare.kinds import Declared, Int, Kind, Raw, Wire
from packetlab.errors import BuildError, DeclareError
from packetlab.escaping import bytes_text
from packetlab.hooks import hook

DEEPEST = 64
"""Levels of headers in headers: more are a fault in what is read, and refused in what is built."""
_CODES = {8: "B", 16: "H", 32: "I", 64: "Q"}


def _stands_for(cls: type, item: Declared) -> bool:
    """Whether headers of a class may be items."""
    said = getattr(cls, "_declaration", None)
    return said is not None and (said is item or (item is not None and said.stands_for(item)))


def bounded(items: tuple[Raw, ...], where: str) -> tuple[Raw, ...]:
    """Refuse items that hold items of their own in too many levels."""
    level: Raw = items
    for _ in range(DEEPEST):
        inner: list[Raw] = []
        fields: list[Raw] = []
        known = bytes
        for one in level:
            if one.__class__ is not known:
                known = one.__class__
                fields = [] if known is bytes else one._declaration.repeated
            for f in fields:
                if (held := getattr(one, f.slot)) and isinstance(held, tuple):
                    inner += held
        if not inner:
            return items
        level = inner
        if len(level) > 64:  # one that stands in many places is looked at once
            level = [*{id(one): one for one in level}.values()]
    raise BuildError(where, f"{DEEPEST} levels of headers in headers at most", "more")


class Items(Kind):
    """A tuple of headers of one class, one after the other; with `one` a single header. Raw: the tuple, or the bytes not yet looked at."""

    zero: Raw = ()
    wire: Wire = "items"
    allows = "size count until align condition"
    words = "headers"

    def __init__(self, item: Declared, one: bool = False) -> None:
        self.item, self.one = item, one
        self.until: Raw = None  # and the item that is put last, where a sender need not give one
        self.last: Raw = None
        if item is not None and item.through:
            hint = "frame: Inner = through(...) has the transform at the field"
            raise DeclareError(item.name, "a header that is no frame of a link (through=) as a field", item.name, hint)
        if one:
            self.words, self.zero, self.allows = "a header", None, "size condition"

    @property
    def loose(self) -> bool:  # type: ignore[override]
        return self.item is not None and bool(self.item.in_bits)

    def in_words(self) -> str:
        return self.item.name if self.one else f"{self.item.name}, one after the other"

    def annotation(self) -> str:
        return self.item.name if self.one else f"tuple[{self.item.name}, ...]"

    def value(self, raw: Raw) -> Raw:
        """Return the items, or the one header; None where the bytes hold no whole one."""
        return raw if not self.one else raw[0] if raw else None

    def raw(self, value: Raw, where: str) -> bytes | tuple[object, ...]:
        if isinstance(value, (bytes, bytearray)) and not self.loose:
            return bytes(value)
        if _stands_for(type(value), self.item):
            return bounded(self.ended((value,)), where)
        if self.one:
            raise BuildError(where, f"a header ({self.item.name})", repr(value))
        try:
            items = tuple(value)
        except TypeError:
            raise BuildError(where, f"headers ({self.item.name})", repr(value)) from None
        wrong = {cls for cls in {*map(type, items)} if not _stands_for(cls, self.item)}
        for place, item in enumerate(items, 1) if wrong else ():
            # Bytes that are no whole item come last, as they were captured.
            if type(item) in wrong and not (type(item) is bytes and place == len(items) and not self.loose):
                again = type(item).__qualname__ == self.item.qualname
                form = f"{self.item.name}({', '.join(f'{f.name}=...' for f in self.item.fields)})"
                hint = "the class was declared again after the one that has the field" if again else form
                raise BuildError(where, f"headers ({self.item.name})", repr(item), hint)
        return bounded(self.ended(items), where)

    def kept(self, raw: Raw, like: Raw) -> Raw:
        """Return items that were read without the one that ends them as they were, where they are the same."""
        if self.last is None or type(raw) is not tuple or raw[-1:] != (self.last,) or not isinstance(like, (tuple, bytes)):
            return raw
        try:
            same = raw[:-1] == like if type(like) is tuple else hook("encode_items")(raw[:-1], 0) == like
        except BuildError:  # a prototype
            return raw
        return like if same else raw

    def ended(self, items: tuple[Raw, ...]) -> tuple[Raw, ...]:
        """Return items with the one that ends them, unless the last does, or may: bytes that are no item, and prototypes."""
        if self.last is None or (items and (type(items[-1]) is bytes or hook("is_end")(self.until, items[-1]))):
            return items
        return (*items, self.last)

    def ended_by(self, last: Raw, until: Raw) -> Items:
        """Return the same with an item that is put last."""
        made = copy(self)
        made.last, made.until = last, until
        return made


class Repeated(Kind):
    """A tuple of values of one kind, side by side: addresses, numbers, texts. Raw: their bytes.

    Elements of a fixed width are counted by their bytes; those that tell their own size are read one after the other.
    """

    zero = b""
    wire: Wire = "open"
    words = "values"
    judges = True
    element: Kind

    def __init__(self, element: Kind, where: str = "a list of values") -> None:
        if element.counted_from not in ("", "self") or getattr(element, "compress", False):
            hint = "a header class with that one field repeats, and follows pointers: tuple[ThatHeader, ...]"
            raise DeclareError(where, "names without pointers as values in a list: labels()", element.in_words(), hint)
        self.element = element
        self.width = element.fixed_bits // 8  # bytes of each, 0 where they tell their size themselves
        self.allows = "size count condition fixed"
        plain = element.wire == "number" and element.names is None and element.bits in _CODES
        self._code = element.letter
        if plain and type(element).value is Int.value:
            code = _CODES[element.fixed_bits]
            self._code = code.lower() if element.signed else code
        self._order = "<" if element.little else ">"

    def in_words(self) -> str:
        return f"{self.element.in_words()}, one after the other"

    def annotation(self) -> str:
        return f"tuple[{self.element.annotation()}, ...]"

    def raw(self, value: Raw, where: str) -> bytes:
        if isinstance(value, bytes | bytearray):
            raw = bytes(value)
            expected = self.wrong(raw) if self.element.counted_from else self.torn(raw)
            if expected:
                raise BuildError(where, expected, f"{len(raw)} bytes")
            return raw
        try:
            values = tuple(value)
        except TypeError:
            raise BuildError(where, f"a tuple of values ({self.element.in_words()})", repr(value)) from None
        return b"".join(self._packed(self.element.raw(one, where)) for one in values)

    def _packed(self, raw: Raw) -> bytes:
        if self.element.wire == "number":
            order = "little" if self.element.little else "big"
            packed: bytes = raw.to_bytes(self.width, order, signed=self.element.signed)
            return packed
        return raw if self.width else self.element.write(raw)

    def value(self, raw: bytes) -> tuple[Raw, ...]:
        if self._code:
            return Struct(f"{self._order}{len(raw) // self.width}{self._code}").unpack_from(raw)
        return tuple(map(self.element.value, self.raws(raw)))

    def raws(self, raw: bytes) -> list[Raw]:
        """Return the raw values of the elements, as far as there are whole ones."""
        found: list[Raw] = []
        if not self.width:
            pos, size = 0, len(raw)
            while pos < size and (read := self.element.read(raw, pos, size)) is not None and read[1] > pos:
                found.append(read[0])
                pos = read[1]
            return found
        parts = (raw[at : at + self.width] for at in range(0, len(raw) - self.width + 1, self.width))
        if self.element.wire != "number":
            return list(parts)
        order: Raw = "little" if self.element.little else "big"
        return [int.from_bytes(part, order, signed=self.element.signed) for part in parts]

    def count(self, raw: bytes) -> int:
        """Return how many elements there are in a raw value."""
        return len(raw) // self.width if self.width else len(self.raws(raw))

    def end(self, data: bytes, pos: int, limit: int, count: int) -> int | None:
        """Return where so many elements end that tell their size themselves; None where there are not so many."""
        for _ in range(count):
            read = self.element.read(data, pos, limit) if pos < limit else None
            if read is None or read[1] <= pos:
                return None
            pos = read[1]
        return pos

    def wrong(self, raw: bytes) -> str:
        expected = self.torn(raw)
        if expected or not self.element.judges:
            return expected
        return next(filter(None, map(self.element.wrong, self.raws(raw))), "")

    def torn(self, raw: bytes) -> str:
        """Say what bytes would have to be to be values one after the other, "" where they are."""
        if self.width:
            return f"a multiple of {self.width} bytes" if len(raw) % self.width else ""
        pos, size = 0, len(raw)
        while pos < size:
            read = self.element.read(raw, pos, size)
            if read is None or read[1] <= pos:
                return f"values ({self.element.in_words()}) up to the end"
            pos = read[1]
        return ""

    def sound(self, raw: bytes) -> bytes:
        if self.width and not self.element.judges:
            return raw[: len(raw) // self.width * self.width]
        return b"".join(self._packed(self.element.sound(one) if self.width else one) for one in self.raws(raw))

    def text(self, raw: bytes) -> str:
        if self.wrong(raw):
            return bytes_text(raw)
        return ", ".join(map(self.element.text, self.raws(raw))) or "none"
