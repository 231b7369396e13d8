"""Faults: what in bytes does not fit a declaration, and what is known of a packet while it is read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from packetlab.declare.transforms.carried import OuterBytes
from packetlab.declare.values.said import OuterSays
from packetlab.escaping import printable

if TYPE_CHECKING:
    from packetlab.declare.expressions import Checksum, Elsewhere, Next
    from packetlab.declare.kinds import Raw
    from packetlab.declare.places.inner import Inner


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


class InnerFault(Fault):
    """A fault after which reading goes on: in what a header holds, or might have become, or in a value whose end is known."""

    __slots__ = ()

    def __repr__(self) -> str:
        return repr(Fault(*self))


class LastFault(InnerFault):
    """The fault at which the reading of a list ended that is read with the header that holds it: what follows in it stays bytes."""

    __slots__ = ()


def expected_within(fault: Fault) -> str:
    """What was expected, and of what field: once, however many headers of that sort it is in."""
    where = f" for {fault.layer}.{fault.field}"
    return fault.expected if where in fault.expected else fault.expected + where


class Dissection:
    """What is known of one packet while it is read.

    Attributes:
        missing: bytes that were on the wire after the last one here (the capture was cut).
        partial: whether the bytes at hand are rightly fewer than the lengths say (a fragment, a quoted packet).
        cut: whether a header or payload was found shorter for one of these reasons.
        wanted: with `partial` or `missing`, the offset up to which there would have to be bytes at the least.
        layers: the headers that stand around what is read now, the nearest last. before: the item before it in its list.
        place: where it stands, once that is wanted (see `codec.places`).
        unsized: where the payload begins of the last header that leaves its length out (offload), -1: of none.
    """

    missing = 0
    partial = cut = False
    wanted, unsized = 0, -1
    layers: Sequence[Any] = ()
    before: Any = None
    place: Any = None
    faults: list[Fault]

    def __init__(self, missing: int = 0, partial: bool = False) -> None:
        self.faults = []
        if missing or partial:
            self.missing, self.partial = missing, partial

    @property
    def clean(self) -> bool:
        """Whether nothing was noted."""
        return not (self.faults or self.partial or self.cut or self.missing)


class Values:
    """A scope of what has been read so far (see `expressions.Scope`)."""

    def __init__(self, values: dict[str, Raw], data: bytes, end: int) -> None:
        self.values, self.data, self.end = values, data, end
        self.pos = self.room = 0
        self.payload_end = end
        self.sizes: dict[str, int] = {}  # of values that tell their own
        self.after: dict[str, int] = {}  # bytes after fields that have to obey that

    def value(self, name: str) -> int:
        raw = self.values.get(name)
        return raw if isinstance(raw, int) else 0

    def size(self, part: str) -> int:
        raw = self.values.get(part)
        if part == "payload":
            return self.payload_end - self.pos
        return self.sizes.get(part, len(raw) if isinstance(raw, bytes) else 0)

    def count(self, name: str) -> int:
        return len(self.values.get(name) or ())

    def raw(self, name: str) -> object:
        return self.values.get(name)

    def has(self, name: str) -> int:
        return int(self.values.get(name) is not None)

    def number(self, rule: Next) -> int:
        return 0

    def inner(self, leaf: Inner) -> int:
        return 0  # see `places.inner`

    def left_for(self, name: str) -> int:
        return self.room

    def left_after(self, name: str) -> int:
        return self.after.get(name, 0)

    def ahead(self, bits: int) -> int:
        size = -(-bits // 8)
        if self.pos + size > self.end:
            return -1
        return int.from_bytes(self.data[self.pos : self.pos + size], "big") >> (size * 8 - bits)

    def sum(self, rule: Checksum) -> int:
        return 0

    def elsewhere(self, leaf: Elsewhere) -> Any:
        return self.values.get(str(leaf), 0) if isinstance(leaf, OuterBytes | OuterSays) else self.value(str(leaf))


def shortened(value: object) -> str:
    """Return a number, or whatever a fault is about, in words; what no packet comes near to in a few."""
    if isinstance(value, int) and value.bit_length() > 64:
        return "over 2**64" if value > 0 else "under -2**64"
    return str(value)
