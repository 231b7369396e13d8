"""Parts of a packet under a checksum, besides "self", "payload", "pseudo" and the names of fields."""

from __future__ import annotations

from typing import NamedTuple

from packetlab.errors import DeclareError


class SumPart(NamedTuple):
    """SumPart of a packet under a checksum: `word` is "span", "but", "zeroed" or "value_of"."""

    word: str
    names: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.word}({', '.join(self.names)})"


def span(first: str, last: str) -> SumPart:
    """From the start of the field `first` to the end of `last`, which may be "payload"; for a checksum's parts.

    The checksum itself counts as zeros in it, as in "self".
    """
    return SumPart("span", _names("span", first, last))


def but(*fields: str) -> SumPart:
    """Leave the bytes of some fields out of what a checksum goes over, as OSPF does with its authentication (RFC 2328 appendix D.4)."""
    return SumPart("but", _names("but", *fields))


def zeroed(*fields: str) -> SumPart:
    """Let the bytes of some fields count as zeros in a checksum, as those of the checksum itself do."""
    return SumPart("zeroed", _names("zeroed", *fields))


def value_of(field: str) -> SumPart:
    """The bytes of a field's value, without the delimiter that ends it (see `ended`), as NMEA 0183 has its sum; for a checksum's parts."""
    return SumPart("value_of", _names("value_of", field))


def _names(word: str, *names: str) -> tuple[str, ...]:
    for name in names:
        if not isinstance(name, str):
            raise DeclareError(f"{word}(...)", "names of fields", repr(name)[:99])
    return names
