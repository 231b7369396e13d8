"""How things show themselves: text anywhere, HTML in notebooks, colour where rich prints.

`mimebundle` and `rich_text` are what the objects' own methods call (see `hooks`).
"""

from __future__ import annotations

import sys
from typing import Any

from packetlab.capture import Capture, Frame
from packetlab.escaping import printable, safe
from packetlab.export.diagram import diagram
from packetlab.packet.coerce import as_packet
from packetlab.packet.foreign import is_foreign
from packetlab.packet.header import HeaderType
from packetlab.packet.packet import Header, Packet
from packetlab.packet.results import Difference
from packetlab.view import captures, packets, topology
from packetlab.view.markup import pre


def text_of(thing: object) -> str:
    """Return a thing as plain text, of which a terminal shows every line as it is meant."""
    if isinstance(thing, HeaderType) and thing._fields:
        return str(diagram(thing))
    if isinstance(thing, Header):
        thing = Packet((thing,))
    if isinstance(thing, Packet):
        return str(thing.show()) or repr(thing)
    if isinstance(thing, Frame):
        return captures.frame_text(thing)
    if isinstance(thing, Capture):
        return captures.capture_text(thing)
    if _is_table(thing):
        return captures.table_text(thing)
    if hasattr(thing, "topology"):
        return topology.network_text(thing.topology())
    if hasattr(thing, "facts"):
        return topology.facts_text(thing.facts())
    return "\n".join(printable(line) for line in str(thing).split("\n"))


def html_of(thing: object) -> str:
    """Return a thing as HTML that needs no script, and no style sheet to be read."""
    if isinstance(thing, HeaderType) and thing._fields:
        return diagram(thing)._repr_mimebundle_()["text/html"]
    if isinstance(thing, Header):
        thing = Packet((thing,))
    if isinstance(thing, Packet):
        return packets.packet_html(thing)
    if isinstance(thing, Frame):
        return captures.frame_html(thing)
    if isinstance(thing, Capture):
        return captures.capture_html(thing)
    if isinstance(thing, Difference):
        return captures.difference_html(thing)
    if _is_table(thing):
        return captures.table_html(thing)
    if hasattr(thing, "topology"):
        return topology.network_html(thing.topology())
    if hasattr(thing, "facts"):
        return topology.facts_html(thing.facts())
    return pre(map(safe, text_of(thing).split("\n")))


def mimebundle(thing: object) -> dict[str, str]:
    """Return what a notebook may show a thing as, by MIME type."""
    return {"text/plain": text_of(thing), "text/html": html_of(thing)}


def class_pretty(header: HeaderType, printer: Any) -> None:
    """Write a header class for IPython, and see to it that its HTML is requested too.

    IPython calls no `_repr_*_` method of a class but this one, and calls it before it makes HTML. So here its formatter
    learns what to do with header classes, whichever of the two packages was imported first.
    """
    inside = len(printer.stack) > 1  # of a list, say
    printer.text(repr(header) if inside or not header._fields else text_of(header))
    session = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if session is not None:
        session.display_formatter.formatters["text/html"].for_type(HeaderType, html_of)


def rich_text(thing: object) -> Any:
    from rich.text import Text

    if isinstance(thing, Header):
        thing = Packet((thing,))
    if isinstance(thing, Packet):
        return packets.packet_rich(thing)
    if isinstance(thing, Difference):
        lines = [(text_of(change), "dim" if change.because else "bold") for change in thing] or [(text_of(thing), "")]
        return Text("\n").join(Text(line, style) for line, style in lines)
    return Text(text_of(thing))


def show(thing: object) -> None:
    """Show a thing: as a notebook would, in colour where a terminal and the package rich are there, else as text.

    Takes whatever shows itself, and whatever is a packet: packets of scapy and dpkt, and bytes (as `as_packet` has them).
    """
    if is_foreign(thing) or isinstance(thing, (bytes, bytearray, memoryview)):
        thing = as_packet(thing)
    interactive = sys.modules.get("IPython")
    session = interactive.get_ipython() if interactive is not None else None
    if session is not None and hasattr(session, "kernel"):
        interactive.display.display(thing)  # type: ignore[union-attr]
        return
    try:
        from rich.console import Console
    except ImportError:
        print(text_of(thing))
        return
    if sys.stdout.isatty():
        Console().print(thing, soft_wrap=True)
    else:
        print(text_of(thing))


def _is_table(thing: object) -> bool:
    return hasattr(thing, "names") and hasattr(thing, "head") and not isinstance(thing, type)
