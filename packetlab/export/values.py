"""What the forms of a declaration share: how a header's values are read for another library."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from packetlab.declare.fields import REQUIRED, Field

if TYPE_CHECKING:
    from packetlab.declare.declaration import AnyHeader


def read_items(header: AnyHeader, f: Field) -> Any:
    """Return the raw value of a field of `header`, repeated headers looked into; None where it is absent."""
    raw = getattr(header, f.slot)
    return header._items_of(f) if f.kind.wire == "items" and raw is not None else raw


def is_required(f: Field) -> bool:
    """Whether a field has neither default nor rule nor condition: zero until it is given, as scapy and dpkt have it."""
    return f.default is REQUIRED and f.condition is None
