"""A sample: a small declaration that stands for one mechanism, two packets or more with it, and bytes that it finds fault with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from packetlab import Context, Ether, Header, Packet, dissect


def on_ethernet(header: Header) -> Packet:
    return Ether() / header


@dataclass
class Sample:
    """One row of the table.

    Attributes:
        mechanism, title: "M3" and what it is. header: the class. values: headers of it, which differ.
        bad: bytes in the place of the header's, and the field that must have a fault.
        below: puts a header on what carries it. told: headers that are read before each, in a context of its own.
        open: whether fewer bytes may be a header too, of less. stateful: whether bytes hang on those built before.
        linktype: of captures that begin with the header itself.
    """

    mechanism: str
    title: str
    header: type[Header]
    values: Sequence[Header]
    bad: Sequence[tuple[str, str]] = ()
    below: Callable[[Any], Packet] = on_ethernet
    told: Sequence[Header] = ()
    open: bool = False
    stateful: bool = False
    linktype: int = 1

    def known(self) -> AbstractContextManager[object]:
        """Return what makes known inside a `with` what was told."""
        return self.context() if self.told else nullcontext()

    def wire(self, header: Header) -> bytes:
        """Return the bytes of a header on what carries it."""
        with self.known():
            return bytes(self.below(header))

    def wires(self) -> list[bytes]:
        return [self.wire(header) for header in self.values]

    def told_wires(self) -> list[bytes]:
        with Context():
            return [bytes(self.below(header)) for header in self.told]

    def context(self) -> Context:
        """Return a context that knows what was told."""
        context = Context()
        with context:
            for header in self.told:
                bytes(self.below(header))
        return context

    @cached_property
    def first(self) -> type[Header]:
        """The class of the outermost header."""
        return type(self.below(self.values[0]).layers[0])

    @cached_property
    def start(self) -> int:
        """Where the header begins."""
        with self.known():
            below = self.below(self.values[0]).layers
        return sum(len(bytes(one)) for one in below[: [type(one) for one in below].index(self.header)])

    def read(self, wire: bytes) -> Packet:
        return dissect(wire, self.first, context=self.context() if self.told else None)

    def again(self, wire: bytes) -> bytes:
        """Return the bytes as they are made of the fields that were read."""
        read = self.read(wire)
        with self.known():
            return read.encode()

    @property
    def alone(self) -> bool:
        """Whether the header is read without what stands below or came before."""
        return not self.told and not self.header._declaration.outer_leaves and not self.header._declaration.through

    @property
    def name(self) -> str:
        return self.header.__name__.lower()

    def __str__(self) -> str:
        return f"{self.mechanism}-{self.title.replace(' ', '-')}"
