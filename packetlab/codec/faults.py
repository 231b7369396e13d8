"""Faults: what in bytes does not fit a declaration, and what is known of a packet while it is read."""

from __future__ import annotations

from typing import NamedTuple

from packetlab.escaping import printable


class Fault(NamedTuple):
    """Something in a packet that does not fit its declaration.

    Attributes:
        layer: name of the header ("UDP"). field: name of the field, "" for the header as a whole.
        offset: byte offset in the packet. expected, got: in words.
        cut: whether the bytes are only missing here: there were more on the wire than the capture kept.
    """

    layer: str
    field: str
    offset: int
    expected: str
    got: str
    cut: bool = False

    def __str__(self) -> str:
        name = f"{self.layer}.{self.field}" if self.field else self.layer
        text = f"{name}: expected {self.expected} at offset {self.offset}, got {self.got}"
        return printable(text) + ", cut by the capture" * self.cut  # the layer may be a foreign class, called anything


class Dissection:
    """What is known of one packet while it is read.

    Attributes:
        missing: bytes that were on the wire after the last one here (the capture was cut).
        partial: whether the bytes at hand are rightly fewer than the lengths say (a fragment, a quoted packet).
        cut: whether a header or payload was found shorter for one of these reasons.
        wanted: with `partial` or `missing`, the offset up to which there would have to be bytes at the least.
        unsized: where the payload begins of the last header that leaves its length out (offload), -1: of none.
    """

    __slots__ = ("cut", "faults", "missing", "partial", "unsized", "wanted")
    faults: list[Fault]

    def __init__(self, missing: int = 0, partial: bool = False) -> None:
        self.missing, self.partial = missing, partial
        self.cut, self.wanted = False, 0
        self.faults = []
        self.unsized = -1

    @property
    def clean(self) -> bool:
        """Whether nothing was noted."""
        return not (self.faults or self.partial or self.cut or self.missing)
