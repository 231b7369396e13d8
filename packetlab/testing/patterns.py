"""Patterns: what an expectation says of a packet, whether a packet fits it, and in which fields it does not.

Knows nothing of time and of who talks to whom.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from packetlab.capture import matcher
from packetlab.declare.fields import Field
from packetlab.declare.wildcards import Known
from packetlab.packet.coerce import as_packet
from packetlab.packet.foreign import is_foreign
from packetlab.packet.packet import Header, Packet
from packetlab.pattern.conditions import Match, Test
from packetlab.pattern.match import why_not
from packetlab.view.conversation import spoken


class Pattern:
    """What a packet is to be.

    Args:
        what: a prototype header, headers stacked (a payload after them counts too), a header class, a filter in words
            ("spp.seq == 0"), a function of the packet, bytes (a whole frame), a packet of scapy's or dpkt's, or None for any.

    Raises TypeError for anything else, BuildError for a filter that cannot be read.
    """

    def __init__(self, what: Any = None) -> None:
        self.what = what
        self._headers: tuple[Header, ...] = ()
        self._classes: tuple[type[Header], ...] = ()
        self._test: Callable[[Packet], bool] | None = None
        if isinstance(what, (bytes, bytearray)) or is_foreign(what):
            self.what = what = as_packet(what)
        if isinstance(what, Header):
            self._headers = (what,)
        elif isinstance(what, Packet):
            self._headers = what._headers
        elif isinstance(what, type) and issubclass(what, Header):
            self._classes = (what,)
        elif isinstance(what, str):
            self._test = matcher(what)
        elif callable(what):
            self._test = what
        elif what is not None:
            raise TypeError(
                f"a pattern is a header, a class, a stack, a filter or a function of a packet, not {what!r}"
            )
        self._classes = self._classes or tuple(type(header) for header in self._headers)

    @property
    def fields(self) -> list[Field]:
        """The fields that it says something of."""
        found = [header._field(name) for header in self._headers for name in sorted(Header.given.__get__(header))]
        if isinstance(self._test, Test):
            matches = [one for one in self._test.matches() if isinstance(one, Match)]
            found += [path.field for match in matches for path in match.paths if path.field is not None]
        return [f for f in found if f.kind.wire not in ("items", "payload")]

    def fits(self, packet: Packet, known: Known | None = None) -> bool:
        """Say whether the packet is what was meant. `known`: what names of `same_as` stand for; a fit adds to it."""
        if isinstance(self.what, Packet):
            return bool(self.what.matches(packet, known))
        if self._headers:
            return any(Header.matches(self._headers[0], header, known) for header in spoken(packet))
        if self._classes:
            return any(isinstance(header, self._classes[0]) for header in spoken(packet))
        return self._test is None or bool(self._test(packet))

    def resembles(self, packet: Packet) -> bool:
        """Say whether the packet has the headers that are wanted, whatever is in them."""
        found = spoken(packet)
        return bool(self._classes) and all(any(isinstance(header, cls) for header in found) for cls in self._classes)

    def differences(self, packet: Packet, known: Known | None = None) -> list[str]:
        """Return in which fields the packet is not what was meant, one a line: where, expected, got."""
        if self._headers:
            return why_not(self.what, Packet(spoken(packet), packet.payload), known).splitlines()
        if self.fits(packet):
            return []
        return [f"{self}: does not hold" if self._test is not None else f"no {self} in {packet.summary()}"]

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
