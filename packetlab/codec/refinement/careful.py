"""What the careful reader does about headers that others become; the oracle for `reading`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from packetlab.codec.around.outer import is_around, reaches_out
from packetlab.codec.faults import Dissection, Fault, InnerFault, LastFault, Values
from packetlab.codec.objects import classes, restored
from packetlab.codec.places.held import HeldBytes
from packetlab.codec.places.inner import said_count
from packetlab.codec.places.surroundings import around, is_placed
from packetlab.codec.refinement.reading import views_of
from packetlab.codec.refinement.views import unread
from packetlab.declare.plan import needs
from packetlab.declare.refinement.heaps import is_late
from packetlab.declare.refinement.registered import holder_of

if TYPE_CHECKING:
    from packetlab.codec.objects import AnyHeader, Decoded
    from packetlab.declare.declaration import Declaration
    from packetlab.declare.expressions import Scope


def broken(faults: Iterable[Fault]) -> bool:
    """Whether a header has faults of its own."""
    return any(not isinstance(fault, InnerFault) for fault in faults)


def lasting(
    faults: list[Fault], ctx: Dissection, end: int, data: bytes, items: object, stop: int, read: Callable[..., Decoded], held: Dissection | None,
    least: int = 0,
) -> list[Fault]:
    """Return the faults of items up to `end`, but for an item whose rest is rightly elsewhere.

    The items read so far end at `stop`. `read` reads one more, `held` is what it knows of what stands around. `least` is where
    the list ends at the least.
    """
    if not broken(faults):
        return faults
    if isinstance(items, tuple) and items and type(items[-1]) is bytes:
        stop -= len(items[-1])  # what is no item
    last = set[int]()  # where reading ends in the item of which the rest is elsewhere, whatever the rest is
    if stop < end:
        part = Dissection() if held is None else held
        part.partial = True
        read(data, stop, end, part)
        if part.wanted <= end:
            return faults  # more bytes would not make it one
        last = {f.offset for f in part.faults if isinstance(f, LastFault)}
    stays = [isinstance(f, InnerFault) and (not isinstance(f, LastFault) or f.offset < stop or f.offset in last) for f in faults]
    ctx.cut, ctx.wanted = True, max(ctx.wanted, end + 1, least)
    return [f if inner else f._replace(cut=True) for f, inner in zip(faults, stays, strict=True) if inner or not ctx.partial]


def chosen(choices: list[Declaration], known: set[str], scope: Scope) -> Declaration | None:
    """Return the header to read instead, once all is known that decides it."""
    if not set().union(*(needs(one.when) for one in choices if one.when is not None)) <= known:
        return None
    return next((one for one in choices if one.when is not None and one.when.evaluate(scope)), None)


def refine(
    header: Declaration, scope: Values, places: dict[str, int], ctx: Dissection, walk: Callable[..., Decoded],
    read_list: Callable[..., object], start: int, late: bool = False,
) -> tuple[Declaration, AnyHeader | None]:  # fmt: skip
    """Return what a header that was read is, and the header inside it; a fault where it should be more and is not. `late`: in bytes that lie elsewhere."""
    if not late and header.when is not None and not header.when.evaluate(scope):
        name = next((name for name in sorted(needs(header.when)) if name in places), "")
        got = ", ".join(f"{one} = {scope.value(one)}" for one in sorted(needs(header.when)))
        ctx.faults.append(Fault(header.name, name, places.get(name, 0), str(header.when), got))
    views = [header] if header.view is not None else views_of(header)
    for one in views:
        if one.view is None or is_late(one) is not late or one.when is None or not (one is header or one.when.evaluate(scope)):
            continue
        name, inner = one.view
        raw: object = scope.values.get(name)
        if not isinstance(raw, bytes):
            ctx.faults.append(_unfit(header, one, name, max(places.values(), default=0), f"{name} for {one.name}", "none"))
            return header, None
        seen = Dissection()
        if reaches_out(inner):
            values = tuple(scope.values[f.name] for f in header.fields)
            seen.layers = (*ctx.layers, restored(classes[header], header.captured_state, values))
        placed = is_placed(inner)
        seen.place = around(ctx, header, scope.data, start, places[name]) if placed else None
        found, end, _, _ = walk(inner, raw, 0, len(raw), seen)
        at = places[name]
        whole = not broken(seen.faults) and end == len(raw) and not (seen.partial or seen.cut)
        if whole:
            _read_lists(found, raw, read_list, seen.faults)
        if whole and not unread(found, seen.faults):
            ctx.faults += [_unfit(header, one, name, at + f.offset, f"{f.expected} for {f.layer}.{f.field}", f.got) for f in seen.faults]
            if placed:
                scope.values[name] = HeldBytes.of(raw, found)
            return holder_of(found._declaration) or one, found
        fault = next((f for f in seen.faults if type(f) is not InnerFault), None)  # one at which reading ended
        if fault is None:
            fault = Fault(inner.name, "", end, f"{end} bytes", f"{len(raw)} bytes")
        what = f"{fault.expected} for {fault.layer}.{fault.field}" if fault.field else f"{fault.expected} for {fault.layer}"
        ctx.faults.append(_unfit(header, one, name, at + fault.offset, what, fault.got))
        return header, None
    return header, None


def _read_lists(header: AnyHeader, data: bytes, read_list: Callable[..., Any], faults: list[Fault]) -> None:
    """Read the lists of a header, and of what it holds, that wait until somebody looks into them, the careful way and once."""
    for f in header._declaration.repeated:
        items: Any = () if f.kind.loose else getattr(header, f.slot) or ()
        if type(items) is bytes:
            around = Dissection()
            around.layers = (header,)
            at, count = max(0, data.rfind(items)), said_count(header, f)
            items, _ = read_list(f, items, 0, len(items), count, faults, at, True, f.owner.name, around if is_around(f) else None)
            setattr(header, f.slot, items)
        for item in items:
            if type(item) is not bytes:
                _read_lists(item, data, read_list, faults)


def _unfit(header: Declaration, one: Declaration, name: str, at: int, expected: str, got: str) -> Fault:
    """Return the fault of a field that is not what a refinement takes it for."""
    return (Fault if one is header else InnerFault)(header.name, name, at, expected, got)


