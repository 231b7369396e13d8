"""The pseudo-header of transport checksums: addresses, length and protocol number of the network layer below."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packetlab.codec.around.outer import Within
from packetlab.codec.objects import refuse_pattern
from packetlab.declare import registry
from packetlab.declare.expressions import Next
from packetlab.declare.fields import slot_of

if TYPE_CHECKING:
    from packetlab.codec.objects import AnyHeader
    from packetlab.declare.declaration import Declaration


def pseudo_sum(stack: tuple[AnyHeader, ...], i: int, upper: Declaration, size: int) -> int | None:
    """Return what a pseudo-header adds to an Internet checksum, or None where no network layer is below.

    The nearest header below that names its addresses counts, but for the destination: a routing header or a source route
    that is not used up names the final one (RFC 8200 section 8.1, RFC 1122 section
    3.2.1.8). The sum is of both addresses, the protocol number and `size`. BuildError where a pattern stands for them.
    """
    destination = b""
    for below in range(i - 1, -1, -1):
        carrier = stack[below]
        names = carrier._declaration.pseudo
        if names is not None:
            refuse_pattern(carrier)
        if names is not None and not names[0]:
            destination = destination or getattr(carrier, names[1]) or b""
        elif names is not None:
            source = getattr(carrier, slot_of(names[0])) or b""
            destination = (
                destination or getattr(carrier, "final_destination", b"") or getattr(carrier, slot_of(names[1])) or b""
            )
            ends = int.from_bytes(source, "big") + int.from_bytes(destination, "big")
            number = protocol(carrier._declaration, upper)
            if not number and isinstance(stack, Within):  # of what a layer holds the layer has the number
                held = (protocol(carrier._declaration, stack[place]._declaration) for place in range(i - 1, below, -1))
                number = next(filter(None, held), 0)
            return ends + number + size
    return None


_protocols: dict[tuple[Declaration, Declaration], int] = {}
registry.caches.append(_protocols)


def protocol(carrier: Declaration, upper: Declaration) -> int:
    """Return the number of `upper` in the number space of a network header."""
    key = carrier, upper
    if key not in _protocols:
        spaces = [f.rule.space for f in carrier.fields if isinstance(f.rule, Next)]
        _protocols[key] = registry.space(spaces[0]).numbers.get(upper, 0) if spaces else 0
    return _protocols[key]
