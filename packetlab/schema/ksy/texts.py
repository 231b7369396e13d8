"""Texts and bytes in expressions: what a field is compared with, as the bytes that it then is."""

from __future__ import annotations

from typing import Any

from packetlab.declare.values.text import TextKind
from packetlab.errors import DeclareError
from packetlab.schema.expressions import safe_repr
from packetlab.schema.ksy.expressions import KsyNode
from packetlab.schema.ksy.model import Attr

WORDS, LETTERS = 256, 256


def encoding_of(attr: Attr) -> dict[str, Any]:
    """Return how a field's text is written, as data. DeclareError for an encoding that Python does not have."""
    said = attr.said.get("encoding", attr.owner.encoding)
    if not isinstance(said, str) or len(said) > 40:
        raise attr.refuse("type", "encoding, here or in meta", safe_repr(said))
    name = {"UTF-16LE": "utf-16-le", "UTF-16BE": "utf-16-be", "SJIS": "shift_jis"}.get(said.upper(), said)
    try:
        return dict(TextKind(name).made_with)
    except DeclareError as error:
        raise attr.refuse("encoding", str(error.expected), safe_repr(said), error.hint) from None


def is_word(node: KsyNode) -> bool:
    """Whether an expression is a text, or bytes written as a list."""
    return node.word in ("text", "list")


def says(path: str, attr: Attr, builtin: str, words: list[KsyNode], where: str, item: bool = False) -> Any:
    """Return the rule that a field of text or bytes is one of some words, letter by letter; 0 where it can be none of them. `item`: it is one of a list.

    DeclareError where the field is neither, and for a word that is not written as its letters or bytes.
    """
    is_text = builtin in ("str", "strz")
    if not is_text and (builtin or "contents" in attr.said):
        raise DeclareError(where, "a field of text or bytes, to compare with text or bytes", attr.name)
    if (attr.repeat is not None and not item) or "process" in attr.said:
        raise DeclareError(where, "a field of text or bytes as they are", attr.name)
    found: list[Any] = []
    for node in words:
        raw = _filled(attr, builtin, _bytes(attr, is_text, node, where))
        if raw and [raw.hex()] not in found:
            found.append([raw.hex()])
    if len(found) > WORDS or any(len(one) > 2 * LETTERS for (one,) in found):
        raise DeclareError(where, f"{WORDS} words of {LETTERS} bytes at most", "more")
    return ["says", path, found] if found else 0


def _bytes(attr: Attr, is_text: bool, node: KsyNode, where: str) -> bytes:
    if is_text and node.word == "text" and "\\" not in str(node.value):  # which means another letter in double quotes
        try:
            word = str(node.value).encode(encoding_of(attr).get("encoding", "utf-8"))
        except ValueError:
            return b""  # a text that its encoding does not have
    elif not is_text and node.word == "list" and all(one.word == "number" and 0 <= int(str(one.value)) < 256 for one in node.parts):
        word = bytes(int(str(one.value)) for one in node.parts)
    else:
        raise DeclareError(where, "a text as its letters, for a field of text, or bytes as a list of numbers, for one of bytes", node.word)
    if not word:
        raise DeclareError(where, "letters or bytes to compare with", "none")
    return word


def _filled(attr: Attr, builtin: str, word: bytes) -> bytes:
    """Return the bytes that a field has where it is a word; none where it cannot be."""
    end, pad = attr.said.get("terminator", 0 if builtin == "strz" else None), attr.said.get("pad-right")
    if attr.size is not None and attr.size.word == "number":
        size = int(str(attr.size.value))
        if isinstance(pad, int) and 0 <= pad < 256:
            word = b"" if word.endswith(bytes((pad,))) else word.ljust(min(size, 1 << 16), bytes((pad,)))
        return word if len(word) == size else b""
    return b"" if attr.size is None and isinstance(end, int) and 0 <= end < 256 and bytes((end,)) in word else word
