"""Names of DNS as one value: labels, and pointers to where the rest of a name stands already (RFC 1035 sections 3.1 and 4.1.4).

The raw value is the name without pointers, as bytes; one that was read through pointers remembers how it was written
(`Compressed`), and what gives no name is the bytes themselves (`Unnamed`). Where pointers lead to is found out by `codec.places`,
which knows the message.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

from packetlab.declare.kinds import ByteString, Kind
from packetlab.declare.places.origins import checked_origin
from packetlab.declare.values.text import Undecoded
from packetlab.declare.values.views import RawValue, View
from packetlab.errors import BuildError, DeclareError
from packetlab.escaping import printable

LABEL, NAME = 63, 255  # bytes at the most
SHOWN = 32
"""Bytes that are shown of what gives no name."""
FURTHEST = 0x3FFF
"""The furthest place that a pointer leads to."""
_PLAIN = re.compile(rb"[!-\[\]-~]*")  # and no dot, which `_label` looks for
_ESCAPED = re.compile(r"\\(\d\d\d|\D)|([^\\])", re.DOTALL)


class Compressed(bytes):
    """A name that was read through pointers: all of it, and in `written` the bytes that stood for it."""

    written: bytes

    @classmethod
    def of(cls, name: bytes, written: bytes) -> Compressed:
        """Return a name and how it is written."""
        made = cls(name)
        made.written = written
        return made

    def __reduce__(self) -> tuple[object, ...]:
        return Compressed.of, (bytes(self), self.written)


class Unnamed(bytes):
    """Bytes that give no name: what was expected, and got."""

    expected, got = "a header around it that its pointer counts from", "none"

    @classmethod
    def of(cls, written: bytes, expected: str = "", got: str = "") -> Unnamed:
        """Return bytes, and what is wrong with them."""
        made = cls(written)
        if expected:
            made.expected, made.got = expected, got
        return made

    def __reduce__(self) -> tuple[object, ...]:
        return Unnamed.of, (bytes(self), self.expected, self.got)


class Labels(View):
    """A name of DNS, ``www.example.com``.

    Attributes:
        counted_from: the name of the header at whose beginning pointers begin to count, "self" or "packet". compress: whether what is
            built has pointers to what stands before it.
    """

    function, user = "labels", "str"
    words = "a name in labels, as in DNS"
    zero = b"\0"
    allows = "condition fixed"
    judges = True
    surely = "type({0}) is not Unnamed"  # which who reads names knows

    def __init__(self, since: str = "self", compress: bool = False) -> None:
        where = "labels(...)"
        if not isinstance(compress, bool):
            raise DeclareError(where, "True or False as compress=", f"{compress!r:.60}")
        self.counted_from, self.compress = checked_origin(since, where), compress
        self.made_with = {"since": since, **({"compress": 1} if compress else {})}
        self.as_raw = ByteString()

    # Between bytes and text ----------------------------------------------------------------------------------------

    def raw(self, value: object, where: str) -> bytes:
        if isinstance(value, Undecoded) and isinstance(value.raw, Unnamed):
            return value.raw
        if isinstance(value, bytes | bytearray | memoryview):
            value = RawValue(bytes(value))
        if isinstance(value, RawValue):
            return self.of_bytes(ByteString().raw(value.form, where), where)
        return self.of(value, where)

    def quick_raw(self) -> Callable[[object], bytes | None]:
        @lru_cache(4096)
        def known(text: str) -> bytes:
            return self.of(text, "")

        def quick(value: object) -> bytes | None:
            try:
                return known(value) if type(value) is str else None
            except BuildError:
                return None

        return quick

    def of(self, value: object, where: str) -> bytes:
        if not isinstance(value, str):
            raise BuildError(where, "a name as text, as in 'www.example.com'", f"{value!r:.60}")
        found = b"".join(bytes([len(label)]) + label for label in self.labels(value, where)) + b"\0"
        if len(found) > NAME:
            raise BuildError(where, f"a name of up to {NAME} bytes", f"{len(found)} bytes")
        return found

    def of_bytes(self, data: bytes, where: str) -> bytes:
        """Return the raw value of a name that is given by its bytes; where they have a pointer it is sent as it is."""
        found = self.read(data, 0, len(data))
        if found is None or found[1] != len(data):
            raise BuildError(where, "the bytes of one name", data.hex(" ") if len(data) < 40 else f"{len(data)} bytes")
        return found[0]

    def labels(self, text: str, where: str) -> list[bytes]:
        """Return the labels of a name in text. BuildError for what is none."""
        if text in ("", "."):
            return []
        text = text[:-1] if text.endswith(".") and not text.endswith("\\.") else text
        labels, label = list[bytes](), b""
        for part in _ESCAPED.finditer(text) if "\\" in text else ():
            number, letter = part.groups()
            if letter == ".":
                labels.append(label)
                label = b""
                continue
            if number and len(number) == 3 and int(number) > 255:
                raise BuildError(where, "\\000 to \\255 in a name", f"\\{number}")
            label += bytes([int(number)]) if number and len(number) == 3 else _utf8(number or letter, where)
        if "\\" in text:
            if sum(len(part.group()) for part in _ESCAPED.finditer(text)) != len(text):
                raise BuildError(where, r"a letter or three digits after a \ ", f"{text!r:.60}")
            labels.append(label)
        else:
            labels = _utf8(text, where).split(b".")
        for one in labels:
            if not 0 < len(one) <= LABEL:
                raise BuildError(
                    where, f"labels of 1 to {LABEL} bytes between dots", f"{len(one)} bytes in {text!r:.80}"
                )
        return labels

    def value(self, raw: bytes) -> str:
        return Undecoded.of(raw.hex(), raw) if type(raw) is Unnamed else _shown(raw)

    def text(self, raw: bytes) -> str:
        if not isinstance(raw, Unnamed):
            return printable(_shown(bytes(raw)))
        return printable(f"{raw[:SHOWN].hex(' ')}{' ...' * (len(raw) > SHOWN)} ({raw.got})")

    def wrong(self, raw: object) -> str:
        return raw.expected if isinstance(raw, Unnamed) else ""

    def remark(self, raw: object) -> str:
        if isinstance(raw, Unnamed):
            return f", where {raw.expected} was expected, got {raw.got}"
        return f", written as {raw.written.hex(' ')}" if isinstance(raw, Compressed) else ""

    def respelled(self, raw: bytes, like: object) -> bytes:
        return like if isinstance(like, Compressed) and raw == like else raw

    def piece(self, text: str, where: str) -> bytes:
        """Return the bytes of a part of a value."""
        return b"".join(bytes([len(label)]) + label for label in self.labels(text, where))

    # In a packet -------------------------------------------------------------------------------------------------------

    def read(self, data: bytes, pos: int, limit: int) -> tuple[bytes, int] | None:
        """Return a name up to its end, or up to a pointer as `Unnamed`, which nobody has followed yet."""
        at = pos
        while at < limit:
            size = data[at]
            if size == 0:
                raw = data[pos : at + 1]
                if len(raw) > NAME:
                    raw = Unnamed.of(raw, f"a name of up to {NAME} bytes", f"{len(raw)} bytes")
                return raw, at + 1
            if size > LABEL:
                return (Unnamed(data[pos : at + 2]), at + 2) if size >= 192 and at + 2 <= limit else None
            at += size + 1
        return None

    def write(self, raw: bytes) -> bytes:
        return raw.written if isinstance(raw, Compressed) else bytes(raw)

    def unfinished(self, data: bytes, pos: int, limit: int) -> bool:
        return not self._strange(data, pos, limit)

    def refused(self, data: bytes, pos: int, limit: int) -> str:
        return self._strange(data, pos, limit) or f"{limit - pos} bytes without its end"

    def _strange(self, data: bytes, pos: int, limit: int) -> str:
        while pos < limit and data[pos] <= LABEL:
            pos += data[pos] + 1
        return f"a label of type 0x{data[pos] & 192:02x}" if pos < limit and data[pos] < 192 else ""


def pointer_of(written: bytes) -> int | None:
    """Return where the pointer leads to that ends a name, counted as it is; None where there is none."""
    at = 0
    while at < len(written) and written[at] <= LABEL:
        if not written[at]:
            return None
        at += written[at] + 1
    return int.from_bytes(written[at : at + 2], "big") & FURTHEST if at + 2 == len(written) else None


@lru_cache(4096)
def _shown(raw: bytes) -> str:
    """Return a whole name as text."""
    labels, at = list[str](), 0
    while raw[at : at + 1] not in (b"\0", b""):
        size = raw[at]
        labels.append(_label(raw[at + 1 : at + 1 + size]))
        at += size + 1
    return ".".join(labels) or "."


def _label(label: bytes) -> str:
    if _PLAIN.fullmatch(label) and b"." not in label:
        return label.decode("ascii")
    return "".join(
        f"\\{chr(byte)}" if byte in b".\\" else chr(byte) if 32 < byte < 127 else f"\\{byte:03d}" for byte in label
    )


def _utf8(text: str, where: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise BuildError(where, "a name that UTF-8 can carry", ascii(text)) from None


def labels(since: str = "self", *, compress: bool = False) -> Kind:
    """The kind of a name as DNS has it, for ``Annotated[str, labels(since="DNS")]`` (RFC 1035 sections 3.1 and 4.1.4).

    The value is a text without a dot at its end, ``www.example.com``; ``.`` is the root. It takes a dot at the end too. Dots and
    backslashes in labels are ``\\.`` and ``\\\\``, bytes that are not printable ASCII ``\\ddd``, as in master files. Labels have up to
    63 bytes, names up to 255.

    Pointers count from the beginning of the nearest header around or below that is called `since` ("self": the header that has the
    field, "packet": the packet), and lead back. Those that were captured are kept as long as they lead to the same name. With
    `compress` names that are built have pointers to names before them, else all labels. ``raw(...)`` gives a name by its bytes,
    whatever pointers they have. A pointer that leads to no name is a fault at the field, whose value is then its bytes.
    """
    return Labels(since, compress)
