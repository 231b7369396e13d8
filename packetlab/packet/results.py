"""What questions to a packet are answered with: differences, verdicts on checksums, decoded data, variations."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Protocol, TypeAlias

from packetlab.codec.faults import Fault
from packetlab.escaping import printable
from packetlab.hooks import Shown

Plain: TypeAlias = Any
"""A value as plain data: a dict by names, a list, a str, a number or bytes; a type checker cannot know which."""


class Verdict(IntEnum):
    """What is to be said of a checksum. The numbers are Wireshark's."""

    BAD = 0
    GOOD = 1
    UNVERIFIED = 2
    NOT_PRESENT = 3
    ILLEGAL = 4


@dataclass(frozen=True)
class Change:
    """One difference.

    Attributes:
        where: "IPv4.ttl", "payload", "layers". ours, theirs: what either side has, in words.
        because: names of the causes that it follows from, none for a cause. note: what else is to be said.
    """

    where: str
    ours: str
    theirs: str
    because: tuple[str, ...] = ()
    note: str = ""

    @property
    def follows(self) -> bool:
        """Whether the difference only follows from others."""
        return bool(self.because)

    def __str__(self) -> str:
        follows = f"  (follows from {' and '.join(self.because)})" if self.because else ""
        return f"{self.where}: {self.ours} != {self.theirs}{follows}" + (f"  ({self.note})" if self.note else "")


class Difference(tuple[Change, ...], Shown):
    """The changes between two packets, causes before what follows from them. False where there are none."""

    def __str__(self) -> str:
        return "\n".join(str(change) for change in self) or "no difference"

    __repr__ = __str__


class Deep:
    """What a decoder made of application data.

    Attributes:
        name: of the decoder ("dns"), "" where none was found. using: "scapy" or "dpkt", "" likewise.
        data: the bytes it was given. decoded: the library's own object, None where it gave none.
        fields: the same as plain data: dicts by field name, lists, str, int, bytes. A packet's dict has its class under
            "layer" and what it carries under "payload".
        faults: what went wrong, as `Packet.faults`; empty where all was understood.
        by: why this decoder: "name" (it was requested), "header" (a number below the data), "begin" (what the data begins
            with) or "port" (a guess by a port, which the data looks like); "" where none was found.
    """

    __slots__ = ("by", "data", "decoded", "faults", "fields", "name", "using")

    def __init__(
        self, name: str, using: str, data: bytes, decoded: Any, fields: Plain, faults: tuple[Fault, ...], by: str = ""
    ) -> None:
        self.name, self.using, self.data, self.by = name, using, data, by
        self.decoded, self.fields, self.faults = decoded, fields, faults

    def find(self, name: str) -> list[Plain]:
        """Return every value under that field name, at any depth, in order."""
        return list(_found(self.fields, name))

    def __getitem__(self, name: str) -> Plain:
        """Return the first value under a field name, at any depth. KeyError where there is none."""
        for value in _found(self.fields, name):
            return value
        raise KeyError(name)

    def __contains__(self, name: object) -> bool:
        return next(_found(self.fields, name), self) is not self

    def __str__(self) -> str:
        using = f" ({self.using}{', by its port' if self.by == 'port' else ''})" if self.using else ""
        lines = [f"{self.name or 'no decoder'}{using}: {len(self.data)} bytes"]
        lines += _lines(self.fields, "  ")
        return "\n".join([*lines, *(f"fault: {printable(str(fault))}" for fault in self.faults)])

    def __repr__(self) -> str:
        faults = f", {len(self.faults)} fault{'s' * (len(self.faults) != 1)}" * bool(self.faults)
        return f"<Deep {self.name or 'nothing'}{f' by {self.using}' if self.using else ''}: {len(self.data)} bytes{faults}>"


def _found(fields: object, name: object) -> Iterator[Plain]:
    if isinstance(fields, dict):
        for key, value in fields.items():
            if key == name:
                yield value
            yield from _found(value, name)
    elif isinstance(fields, list):
        for value in fields:
            yield from _found(value, name)


def _lines(fields: Plain, indent: str) -> Iterator[str]:
    pairs = fields.items() if isinstance(fields, dict) else [("-", value) for value in fields]
    for key, value in pairs:
        label = printable(str(key)) + ("" if key == "-" else ":")
        if isinstance(value, (dict, list)) and value:
            kind = f" {printable(str(value['layer']))}" if isinstance(value, dict) and "layer" in value else ""
            yield f"{indent}{label}{kind}"
            inner = {k: v for k, v in value.items() if k != "layer"} if isinstance(value, dict) else value
            yield from _lines(inner, indent + "  ")
        elif not isinstance(value, (dict, list)):
            yield f"{indent}{label} {_shown(value)}"


def _shown(value: object) -> str:
    if isinstance(value, bytes):
        return repr(value) if len(value) <= 80 else f"{value[:80]!r}... ({len(value)} bytes)"
    return printable(str(value))


class Varied(Protocol):
    """Packets made from one (see `Packet.vary`): a `Batch` of their bytes, and each of them as a packet."""

    template: Any
    targets: list[Any]

    def packet(self, row: int) -> Any:
        """Return one row as a packet, made from objects."""

    def __len__(self) -> int: ...
    def __getitem__(self, row: int) -> bytes: ...
    def __iter__(self) -> Iterator[bytes]: ...
