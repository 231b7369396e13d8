"""Plain messages of streams: whole ones of one header, of which their own bytes say all. Several in a row are read in one loop."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from packetlab.codec.around.bodiless import bodiless
from packetlab.codec.around.outer import goes_by_outer, holds_contextual
from packetlab.codec.decode import Decoding
from packetlab.codec.faults import Dissection
from packetlab.codec.refinement.reading import is_refined
from packetlab.codec.source import Compiled, function
from packetlab.declare import registry
from packetlab.declare.expressions import Const
from packetlab.declare.plan import Fixed
from packetlab.hooks import hook

if TYPE_CHECKING:
    from packetlab.codec.objects import AnyHeader
    from packetlab.declare.declaration import Declaration


class SureOf(NamedTuple):
    """What is known of messages that begin with a class, whatever their bytes.

    Attributes:
        by_itself: whether such a header is the same without what stands around it, and remembers nothing. sized: whether it tells where it ends.
        goes_on: whether one that ends with the bytes at hand may go on (see `messages`).
    """

    by_itself: bool
    sized: bool
    goes_on: bool


_known: dict[Declaration, SureOf] = {}
_readers: dict[Declaration, Compiled | None] = {}
registry.caches += [_known, _readers]


def known(declaration: Declaration) -> SureOf:
    """Return what is known of messages that begin with a header."""
    if declaration not in _known:
        plan = declaration.plan
        by_itself = not goes_by_outer(declaration) and bodiless(declaration) is None and not holds_contextual(declaration)
        payload = plan.payload
        sized = payload is None or payload.field is not None or plan.bare or plan.total is not None
        sized = sized or (payload is not None and isinstance(payload.size, Const) and payload.size.number >= 0)
        _known[declaration] = SureOf(by_itself, sized and not declaration.has_trailer, bool(declaration.repeated))
    return _known[declaration]


def read_one(cls: type[AnyHeader], data: bytes, start: int) -> tuple[AnyHeader, int] | None:
    """Return a whole message of one header, and where it ends, that is the same wherever it stands; None for others."""
    by_itself, sized, goes_on = known(cls._declaration)
    if not (by_itself and sized):
        return None
    ctx = Dissection()
    header, after, end, following = cls._decode(data, start, len(data), ctx)
    if following is None and start < after == end and ctx.clean and type(header) is cls and not (goes_on and end == len(data)):
        return header, end
    return None


def reader_of(declaration: Declaration) -> Compiled | None:
    """Return ``read(data, pos, end, add)``, which adds the plain messages from a place on, each as a packet, and gives where they end.

    None for a class of which there are none, or others may become of it.
    """
    if declaration not in _readers:
        by_itself, sized, goes_on = known(declaration)
        _readers[declaration] = _written(declaration, goes_on) if by_itself and sized and not is_refined(declaration) else None
    return _readers[declaration]


def _written(declaration: Declaration, goes_on: bool) -> Compiled:
    part = Decoding(declaration, tag="_m", start="pos", away="return pos")
    stop, packet = part.source(), hook("Packet")
    after, following = part.pos, part.next_header()
    for short in declaration.shortened:
        part.check(short.code(part))
    wrong = {
        "n_m is not None": following != ["n_m = None"],
        f"{after} != {stop}": after != stop,
        f"{after} <= pos": not any(isinstance(step, Fixed) for step in declaration.plan.head),
        f"{after} == end": goes_on,
    }
    part.lines += following if wrong["n_m is not None"] else []
    for test, is_open in wrong.items():
        if is_open:
            part.check(test)
    part.lines += ["p = new(*P)", "p._stack = p._resolved = h_m,", f"p._data = data[pos:{after}]", "p._payload = b''"]
    part.lines += ["p._anomalies = p._path = None", "add(p)", f"pos = {after}"]
    lines = ["def read(data, pos, end, add):", "    while pos < end:", *("        " + line for line in part.lines), "    return pos"]
    return function(lines, {**part.names, "new": packet.__new__, "P": (packet,)}, f"{declaration.name} messages")
