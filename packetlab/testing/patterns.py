"""Patterns: what an expectation says of a packet, whether a packet fits it, and in which fields it does not.

Knows nothing of time and of who talks to whom.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from packetlab.wire.dissect import dissect
from packetlab.wire.fields import octets_text
from packetlab.wire.filter import compile_filter
from packetlab.wire.header import Header
from packetlab.wire.packet import Packet


def spoken(packet: Packet) -> tuple[Header, ...]:
    """Return the headers that speak themselves: not those of a packet that an error report quotes."""
    for place, header in enumerate(packet.layers, 1):
        if type(header)._quotes is not None:
            return packet.layers[:place]
    return packet.layers


class Pattern:
    """What a packet is to be.

    Args:
        what: a prototype header, headers stacked (a payload behind them counts too), a header class, a filter in words
            ("spp.seq == 0"), a function of the packet, bytes (a whole frame), or None for any packet.

    Raises TypeError for anything else, BuildError for a filter that cannot be read.
    """

    def __init__(self, what: Any = None) -> None:
        self.what = what
        self._headers: tuple[Header, ...] = ()
        self._classes: tuple[type[Header], ...] = ()
        self._test: Callable[[Packet], bool] | None = None
        if isinstance(what, (bytes, bytearray)):
            self.what = what = dissect(bytes(what))
        if isinstance(what, Header):
            self._headers = (what,)
        elif isinstance(what, Packet):
            self._headers = what._headers
        elif isinstance(what, type) and issubclass(what, Header):
            self._classes = (what,)
        elif isinstance(what, str):
            self._test = compile_filter(what)
        elif callable(what):
            self._test = what
        elif what is not None:
            raise TypeError(
                f"a pattern is a header, a class, a stack, a filter or a function of a packet, not {what!r}"
            )
        self._classes = self._classes or tuple(type(header) for header in self._headers)

    def fits(self, packet: Packet) -> bool:
        """Say whether the packet is what was meant."""
        if isinstance(self.what, Packet):
            return self.what.matches(packet)
        if self._headers:
            return any(self._headers[0].matches(header) for header in spoken(packet))
        if self._classes:
            return any(isinstance(header, self._classes[0]) for header in spoken(packet))
        return self._test is None or bool(self._test(packet))

    def resembles(self, packet: Packet) -> bool:
        """Say whether the packet has the headers that are wanted, whatever is in them."""
        found = spoken(packet)
        return bool(self._classes) and all(any(isinstance(header, cls) for header in found) for cls in self._classes)

    def differences(self, packet: Packet) -> list[str]:
        """Return in which fields the packet is not what was meant, one a line: where, expected, got."""
        lines: list[str] = []
        rest = [*spoken(packet)]
        for mine in self._headers:
            theirs = next((header for header in rest if isinstance(header, type(mine))), None)
            if theirs is None:
                lines.append(f"{type(mine).__name__}: expected, got none")
                continue
            rest = rest[rest.index(theirs) + 1 :]
            for f in mine._fields:
                if mine._state & f.bit and not mine._same(theirs, f):
                    lines.append(f"{type(mine).__name__}.{f.name}: expected {_shown(mine, f)}, got {_shown(theirs, f)}")
        if isinstance(self.what, type) and not self.resembles(packet):
            lines.append(f"{self}: expected, got none")
        if isinstance(self.what, Packet) and self.what.payload not in (b"", packet.payload):
            lines.append(f"payload: expected {octets_text(self.what.payload)}, got {octets_text(packet.payload)}")
        if self._test is not None and not self.fits(packet):
            lines.append(f"{self}: does not hold")
        return lines

    def __str__(self) -> str:
        if self.what is None:
            return "any packet"
        if isinstance(self.what, type):
            return self.what.__name__
        if isinstance(self.what, str):
            return f'"{self.what}"'
        if self._test is not None:
            code = getattr(self.what, "__code__", None)
            name = getattr(self.what, "__name__", type(self.what).__name__)
            return f"{name} (line {code.co_firstlineno})" if code is not None and name == "<lambda>" else str(name)
        return repr(self.what)


def _shown(header: Header, f: Any) -> str:
    raw = getattr(header, f.slot)
    if raw is None:
        return "absent"
    try:
        return str(f.kind.text(raw)) if isinstance(raw, (int, bytes)) else repr(getattr(header, f.name))
    except (TypeError, ValueError, AttributeError):
        return repr(raw)  # a value that says of itself what it takes
