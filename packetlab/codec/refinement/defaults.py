"""Headers held by default that are read as a class which refines theirs, and are none: refused at first use of the class that holds them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packetlab.codec.around.outer import is_around, is_contextual
from packetlab.codec.faults import Dissection
from packetlab.codec.objects import is_pattern
from packetlab.codec.places.inner import HeldValues
from packetlab.codec.places.item_values import values_of
from packetlab.declare import registry
from packetlab.declare.refinement.registered import refinements
from packetlab.declare.transforms.raws import InnerValue
from packetlab.errors import BuildError, DeclareError

if TYPE_CHECKING:
    from packetlab.codec.objects import AnyHeader
    from packetlab.declare.declaration import Declaration

_known: dict[Declaration, bool] = {}
registry.caches.append(_known)


def check_defaults(header: Declaration) -> None:
    """Refuse headers held by default that are read as a class which refines theirs, and are none: nobody gave what stands in that."""
    if header in _known:
        return
    _known[header] = True  # what is built and read for that asks again
    try:
        _check(header)
    except BaseException:
        _known.pop(header, None)
        raise


def _check(header: Declaration) -> None:
    for f in header.fields:
        default = f.default.inner if isinstance(f.default, InnerValue) else f.default
        if not f.kind.has_headers or is_around(f) or is_contextual(f.kind.item) or not isinstance(default, tuple):
            continue
        for one in {id(one): one for one in default}.values():  # not by hash: one to be filled in has no values yet
            found = None if isinstance(one, bytes) or is_pattern(one) else _read_as(one)
            if found is not None:
                got = f"{one!r}, which is read as {found[0]}, and is none ({found[1]})"
                hint = f"{f.name}: {f.kind.item.name} = {found[0]}(...), or no default, so that it has to be given" if f.kind.one else ""
                raise DeclareError(f"{header.name}.{f.name}", "a default that reads back", got, hint)


def _read_as(one: AnyHeader) -> tuple[str, str] | None:
    """Return which class a header is read as, and the fault there; None where it reads back, or cannot be built by itself."""
    some = refinements(one._declaration)
    if not some:
        return None
    try:
        data = bytes(one)
        values = HeldValues(values_of(one._resolve(one, b"", (one,), 0, None)), b"", 0)
    except BuildError:
        return None
    seen = Dissection()
    one._decode(data, 0, len(data), seen)
    name = next((said.name for said in some if said.when is not None and said.when.evaluate(values)), "")
    return (name, str(seen.faults[0])) if seen.faults and name else None
