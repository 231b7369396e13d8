"""Headers held by default that are read as a class which refines theirs, and are none: refused at first use of the class that holds them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from packetlab.codec.around.outer import is_around, is_contextual, look, outer_beside, read_with
from packetlab.codec.faults import Dissection
from packetlab.codec.objects import classes, is_pattern
from packetlab.codec.places.inner import HeldValues
from packetlab.codec.places.item_values import values_of
from packetlab.declare import registry
from packetlab.declare.expressions import Elsewhere
from packetlab.declare.refinement.registered import refinements
from packetlab.declare.transforms.raws import InnerValue
from packetlab.errors import BuildError, DeclareError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from packetlab.codec.objects import AnyHeader
    from packetlab.declare.declaration import Declaration
    from packetlab.declare.fields import Field

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
        if not f.kind.has_headers or is_contextual(f.kind.item) or not isinstance(default, tuple):
            continue
        some = {id(one): one for one in default if not isinstance(one, bytes) and not is_pattern(one)}.values()  # not by hash: one to be filled in has no values yet
        for one, found in _read_within(header, f) if is_around(f) else ((one, _read_as(one)) for one in some):
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
    name = _becomes(one, values)
    return (name, str(seen.faults[0])) if seen.faults and name else None


def _becomes(one: AnyHeader, values: HeldValues) -> str:
    """Return the name of the class that a header with such values is read as, "" for its own."""
    return next((said.name for said in refinements(one._declaration) if said.when is not None and said.when.evaluate(values)), "")


def _read_within(header: Declaration, f: Field) -> Iterator[tuple[AnyHeader, tuple[str, str]]]:
    """Give what is held by default and read as another class by what stands around it, where that is the holder, built of its defaults alone."""
    if not any(refinements(one) for one in read_with(f.kind.item)):
        return
    try:
        made = classes[header]()
        data, holder = bytes(made), made._resolved_alone()
    except BuildError:
        return
    seen = Dissection()
    read = made._decode(data, 0, len(data), seen)[0]
    fault = next((str(fault) for fault in seen.faults if fault.field == f.name), "")
    yield from _others(_held(holder, f), _held(read, f), (holder,), fault)


def _others(built: Sequence[Any], items: Sequence[Any], stack: tuple[AnyHeader, ...], fault: str) -> Iterator[tuple[AnyHeader, tuple[str, str]]]:
    """Give the first of some headers, or of those that they hold, that is read as another class."""
    for k, whole in enumerate(built):
        if isinstance(whole, bytes) or is_pattern(whole):
            continue
        found: Any = items[k] if k < len(items) else None
        own, whens = whole._declaration.outer_leaves, [said.when for said in refinements(whole._declaration) if said.when is not None]
        around = {leaf: look(leaf, stack, built[k - 1] if k else None) for leaf in (*own, *outer_beside(whens, own)) if type(leaf) is Elsewhere}
        if any(number is None and leaf.path for leaf, number in around.items()):
            continue  # what stands further out says it
        name = _becomes(whole, HeldValues({**values_of(whole), **{str(leaf): number or 0 for leaf, number in around.items()}}, b"", 0))
        if name and (fault or found != whole):
            yield whole, (name, fault or f"it is {found!r:.200}")
            return
        for g in whole._fields if type(found) is type(whole) else ():
            if g.kind.has_headers:
                yield from _others(_held(whole, g), _held(found, g), (*stack, whole), fault)


def _held(header: AnyHeader, f: Field) -> Sequence[Any]:
    """Return what a field of a header holds, also in what comes out of a transform; nothing where it is absent."""
    raw: Any = getattr(header, f.slot)
    items: Sequence[Any] = () if raw is None else header._items_of(f) if f.kind.wire == "items" else f.kind.raws(raw)
    return items
