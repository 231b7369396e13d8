"""Text from outside, made harmless for where it goes: a terminal, Python source, Lua source, HTML and SVG.

Names of classes, fields and enum members, docs, file names, names of hosts, comments and host names in captures may be anybody's.
Whatever writes them somewhere calls the one function here for that place; nothing else escapes.
"""

from __future__ import annotations

from html import escape


def printable(text: object, keep: str = "") -> str:
    """Return text for a terminal: all that is not printable is escaped, but for the characters in `keep`.

    Controls, newlines and characters that turn the direction of writing are not printable, nor are lone surrogates.
    """
    words = str(text)
    if words.isprintable():
        return words
    return "".join(c if c.isprintable() or c in keep else c.encode("unicode_escape").decode() for c in words)


def safe(text: object, keep: str = "") -> str:
    """Return text for HTML and SVG, as content and in quoted attributes: printable, and nothing in it is markup."""
    return escape(printable(text, keep), quote=True)


def python(text: str) -> str:
    """Return text as a Python string literal: one line of printable ASCII that evaluates to `text`."""
    return ascii(str(text))


def lua(text: str) -> str:
    """Return text as a Lua string literal: one line of printable ASCII, the UTF-8 of `text`."""
    return lua_bytes(text.encode("utf-8", "replace"))


def lua_bytes(raw: bytes) -> str:
    """Return bytes as a Lua string literal: one line of printable ASCII."""
    safe = set(range(0x20, 0x7F)) - {ord('"'), ord("\\")}
    return '"' + "".join(chr(b) if b in safe else f"\\{b:03d}" for b in raw) + '"'


def bytes_text(raw: bytes, most: int = 32) -> str:
    """Return bytes as text that is safe to print: a bytes literal, cut after `most` bytes."""
    shown = repr(bytes(raw[:most]))
    return shown if len(raw) <= most else f"{shown}... ({len(raw)} bytes)"
