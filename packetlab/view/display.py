"""How things show themselves: text anywhere, HTML in notebooks, colour where rich prints.

`mimebundle` and `rich_text` are what the objects' own methods call (see `wire.above`).
"""

from __future__ import annotations

from html import escape
from typing import Any

from packetlab.view.hexdump import printable
from packetlab.wire.header import Header
from packetlab.wire.packet import Packet


def text_of(thing: Any) -> str:
    """Return a thing as plain text, of which a terminal shows every line as it is meant."""
    if isinstance(thing, Header):
        thing = Packet((thing,))
    if isinstance(thing, Packet):
        return str(thing.show())
    return "\n".join(printable(line) for line in str(thing).split("\n"))


def html_of(thing: Any) -> str:
    """Return a thing as HTML that needs no script, and no style sheet to be read."""
    return f"<pre>{escape(text_of(thing))}</pre>"


def mimebundle(thing: Any) -> dict[str, str]:
    """Return what a notebook may show a thing as, by MIME type."""
    return {"text/plain": text_of(thing), "text/html": html_of(thing)}


def rich_text(thing: Any) -> Any:
    """Return a thing as rich prints it."""
    from rich.text import Text

    return Text(text_of(thing))
