"""Messages of streams of bytes (``stream=True``): where one begins, where it ends, and which stand in one packet.

What stands at the beginning of a packet is a message where it reads without a fault, or would if there were more bytes. Anything
else is the middle of one. The first message of a packet is among its layers; bytes after it are looked into when somebody asks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from packetlab.codec.around.lists import is_last
from packetlab.codec.around.outer import holds_contextual, remembered_in_streams
from packetlab.codec.bodies import measured
from packetlab.codec.context.context import Context, Moment, current, read_in
from packetlab.codec.faults import Dissection, Fault, InnerFault
from packetlab.codec.objects import classes
from packetlab.codec.places.item_values import ItemValues
from packetlab.codec.refinement.unsettled import is_unsettled
from packetlab.declare import registry
from packetlab.declare.plan import needs
from packetlab.declare.rules import Ahead
from packetlab.declare.values.said import FirstOf
from packetlab.escaping import bytes_text
from packetlab.hooks import hook
from packetlab.protocols.streams.plain import known, read_one, reader_of

if TYPE_CHECKING:
    from packetlab.codec.objects import AnyHeader
    from packetlab.declare.declaration import Declaration
    from packetlab.declare.expressions import Expr
    from packetlab.packet.packet import Header, Packet

R = TypeVar("R")
UNENDED = 1 << 62  # bytes that a message has at the most which goes on up to the end of its stream
SHOWN = 16  # further messages of one packet that are shown


def looking(read: Callable[..., Any], by_itself: bool = False) -> Callable[..., Any]:
    """Return a function that reads where it is not known yet whether a message stands there: what it tells is not kept.

    Of a packet that is read `by_itself` in a context, it is not known what messages before it in its stream told, unless a capture says so.
    """

    @wraps(read)
    def read_and_forget(cls: type[AnyHeader], *args: Any) -> Any:
        now = current.get()
        if now is None and not holds_contextual(cls._declaration):
            return read(cls, *args)
        context = Context() if now is None else now.context if isinstance(now, Moment) else now
        beside, before, is_placed, number = None, None, False, context.number
        if isinstance(now, Moment) and (now.is_placed or now.beside is not None):
            beside, is_placed, number = now.beside, now.is_placed, now.number
            before = now.catch_up if is_placed else None
        undecided = now.undecided if isinstance(now, Moment) else frozenset[str]()
        undecided = remembered_in_streams() if by_itself and now is not None and beside is None else undecided
        moment = Moment(context, number, before=before, is_look=True, is_placed=is_placed, beside=beside, undecided=undecided)
        if isinstance(now, Moment):
            moment.entries = {**now.entries}
        token = current.set(moment)
        try:
            return read(cls, *args)
        finally:
            current.reset(token)

    return read_and_forget


@partial(looking, by_itself=True)
def begin(
    cls: type[AnyHeader], data: bytes, start: int, end: int, ctx: Dissection, is_sure: bool = False
) -> tuple[Any, int, int, Declaration | None] | None:
    """Read the header of a message that begins at `start`; None where none does, so that it is the middle of one.

    Where it `is_sure` that one begins there, it is read with whatever faults it has.
    """
    own = Dissection(ctx.missing, ctx.partial)
    own.layers = ctx.layers
    found = cls._decode(data, start, end, own)
    if not _fits(found[0], own.faults):
        part = Dissection(ctx.missing, True)
        part.layers = ctx.layers
        cut = cls._decode(data, start, end, part)
        goes_on = part.wanted > end
        if not is_sure and not (goes_on and _fits(cut[0], part.faults)):
            return None
        own, found = (part, cut) if goes_on else (own, found)
    elif not own.cut and found[2] == end and _may_go_on(found[0], ctx.layers):
        own.cut = True
    ctx.faults += own.faults
    ctx.cut, ctx.partial, ctx.unsized = ctx.cut or own.cut, ctx.partial or own.partial, max(ctx.unsized, own.unsized)
    return found


def _fits(header: AnyHeader, faults: list[Fault]) -> bool:
    """Whether what was read, with these faults, may be a message: a field that ends where numbers say may be wrong inside."""

    def is_inside(fault: Fault) -> bool:
        f = header._by_name.get(fault.field)
        return isinstance(fault, InnerFault) and f is not None and not getattr(f.kind, "delimiter", b"")

    return all(fault.cut or is_inside(fault) for fault in faults)


class Beginning(NamedTuple):
    """What stands at a place of a stream.

    Attributes:
        header: the first one of the message. end: where the message ends, as far as that can be told.
        wanted: where the bytes must end for more to be known, 0 for a whole message. faults: what does not fit.
        alone: whether it is this header and nothing more, which stands before `end` and no payload.
        unended: whether only the end of the stream says where it ends.
    """

    header: AnyHeader
    end: int
    wanted: int
    faults: tuple[Fault, ...]
    alone: bool = False
    unended: bool = False

    @property
    def is_lost(self) -> bool:
        """Whether its faults leave it open where it ends."""
        return any(_loses(self.header, fault) for fault in self.faults)


def _loses(header: AnyHeader, fault: Fault) -> bool:
    """Whether a fault leaves it open where the message ends that begins with a header."""
    declaration, f = header._declaration, header._by_name.get(fault.field)
    if f is None or fault.layer not in (one.name for one in (declaration, *declaration.bases)):
        return True
    raw, plan = getattr(header, f.slot), declaration.plan
    if isinstance(fault, InnerFault) and type(raw) is bytes and f.kind.wire != "items":
        return False  # no text, but bytes that are compared and counted
    if rules := [rule for rule in _sizing(declaration) if f.name in needs(rule)]:
        leaves = [leaf for rule in rules for leaf in rule.leaves() if getattr(leaf, "name", "") == f.name]
        return not isinstance(fault, InnerFault) or any(not isinstance(leaf, FirstOf) or is_unsettled(leaf, raw) for leaf in leaves)
    ended = f.kind.wire == "items" and plan.own is None and plan.total is None  # the list did, and not where it says
    return not isinstance(fault, InnerFault) and not f.fixed and (raw is None or ended)


def _sizing(declaration: Declaration) -> tuple[Expr, ...]:
    """Return the rules by which a message ends where it does."""
    if declaration not in _known_sizing:
        plan = declaration.plan
        rules = [said.size for said in (plan.own, plan.total, plan.payload) if said is not None]
        _known_sizing[declaration] = (*rules, *plan.sizes.values(), *plan.counts.values())
    return _known_sizing[declaration]


@looking
def look(cls: type[AnyHeader], data: bytes, start: int, below: Sequence[AnyHeader] = ()) -> Beginning:
    """Read the header of a message at `start`, above some headers, and find its end."""
    ctx = Dissection()
    ctx.layers = below
    header, after, stop, following = cls._decode(data, start, len(data), ctx)
    declaration = header._declaration
    alone = after == stop and following is None
    stop += measured(header, declaration.after) if declaration.has_trailer else 0
    if not ctx.faults and stop == len(data) and _may_go_on(header, below):
        return Beginning(header, stop, stop + 1, (), unended=True)
    if not ctx.faults:
        payload = declaration.plan.payload
        if payload is None or payload.field is not None or declaration.plan.bare or declaration.plan.total is not None:
            return Beginning(header, stop, 0, (), alone)
        if payload.size.evaluate(ItemValues(header, data, len(data))) >= 0:
            return Beginning(header, stop, 0, (), alone)
        fault = Fault(declaration.name, "", start, "a message that tells where it ends", "a payload of unknown size")
        return Beginning(header, stop, 0, (fault,), unended=True)
    part = Dissection(partial=True)
    part.layers = below
    cut = cls._decode(data, start, len(data), part)[0]
    if part.wanted > len(data):
        return Beginning(cut, len(data), part.wanted, tuple(part.faults))
    return Beginning(header, stop, 0, tuple(ctx.faults))


def _may_go_on(header: AnyHeader, below: Sequence[AnyHeader]) -> bool:
    """Whether a list of a header ended with the bytes, and not by what its last item says."""
    plan = header._declaration.plan
    if plan.own is not None or plan.total is not None:
        return False
    for f in header._declaration.repeated:
        items = getattr(header, f.slot)
        if f.until is not None and f.count is None and isinstance(items, tuple):
            if not items or not is_last(f, items, (*below, header)):
                return True
    return False


_looking_ahead: dict[Declaration, int] = {}
_known_sizing: dict[Declaration, tuple[Expr, ...]] = {}
_carrying: dict[Declaration, bool] = {}  # whether messages of a stream may stand above
registry.caches += [_looking_ahead, _known_sizing, _carrying]


def _look_once(cls: type[AnyHeader], data: bytes, start: int) -> Beginning | None:
    """Return what `look` does for a whole message of one header that is the same wherever it stands; None for others."""
    found = read_one(cls, data, start)
    return None if found is None else tuple.__new__(Beginning, (*found, 0, (), True))  # without a call of what names its parts


def _bytes_ahead(header: Declaration) -> int:
    """Return how many of the first bytes of a message above a header say of which class it is: as many as conditions of bindings look ahead."""
    if header not in _looking_ahead:
        leaves = [leaf for rule, _, _ in registry.conditions(header) for leaf in rule.leaves()]
        _looking_ahead[header] = -(-max((leaf.bits for leaf in leaves if isinstance(leaf, Ahead)), default=0) // 8)
    return _looking_ahead[header]


class MessageClasses:
    """Says of which class a message above a header is, by as many of its first bytes, `size`, as conditions of bindings look ahead."""

    def __init__(self, lower: AnyHeader) -> None:
        self.lower, self.size = lower, _bytes_ahead(lower._declaration)

    def __call__(self, data: bytes) -> type[Any] | None:
        """Return the class of a message that begins so, None where none does."""
        one, first = self.lower, data[: self.size] or b"\0"
        whole = one._encode(one, first, (one,), 0, None)
        found = type(one)._decode(whole, 0, len(whole), Dissection())[3]
        return classes[found] if found is not None and found.stream else None


def whole_messages(
    cls: type[AnyHeader], data: bytes, below: Sequence[AnyHeader] = (), is_sure: bool = False
) -> Iterator[tuple[type[AnyHeader], int, Beginning]]:
    """Yield (class, start, what stands there) of the messages that stand whole in bytes, one after the other; `cls` is that of the first.

    One with a fault, and none after it, is none of them unless it `is_sure` that a message begins there, and its end is known.
    """
    following, start = MessageClasses(below[-1]) if below else None, 0
    while start < len(data):
        one = cls if not start or following is None or not following.size else following(data[start : start + following.size])
        found = None if one is None else _look_once(one, data, start) or look(one, data, start, below)
        if one is None or found is None or found.wanted or found.end <= start or (found.faults and not (is_sure and not found.is_lost)):
            return
        yield one, start, found
        start = found.end


def may_begin(packet: Packet) -> bool:
    """Whether the payload of a packet stands where a message of a stream may, whatever its bytes."""
    if not packet.payload or not packet._classes:
        return False
    lower = packet._classes[-1]._declaration
    if lower not in _carrying:
        uppers = *(upper for _, _, upper in registry.conditions(lower)), *(upper for _, one in lower.plan.numbered for upper in registry.space(one.space).headers.values())
        _carrying[lower] = any(upper.stream for upper in uppers)
    return _carrying[lower] and MessageClasses(packet.layers[-1])(packet.payload) is not None


# In one packet -------------------------------------------------------------------------------------------------


def _as_read(read: Callable[..., R]) -> Callable[..., R]:
    """Return what reads messages of a packet as it was read: with what was remembered before it, and from messages before them in it."""

    @wraps(read)
    def read_in_context(packet: Packet, *args: Any) -> R:
        now = getattr(packet, "_now", None)
        if now is None or current.get() is not None:
            return read(packet, *args)
        found: R = read_in(Moment.again(now, remembered_in_streams()), read, packet, *args)
        return found

    return read_in_context


@_as_read
def messages_of(packet: Packet, wanted: type[Header]) -> tuple[Packet, ...]:
    """Return the whole messages of a packet whose first header is a `wanted` one, each as a packet."""
    for i, cls in enumerate(packet._classes):
        if cls._declaration.stream:
            if not i and hasattr(packet, "_now") and not (packet.truncated or packet._trailing_bytes):  # it is a message itself
                header = packet.layers[0]
                return (packet,) if isinstance(header, wanted) and not any(_loses(header, fault) for fault in packet.faults) else ()
            found: list[Packet] = []
            start, end = _extent(packet, i)
            quick = reader_of(cls._declaration) if issubclass(cls, wanted) and not (i and _bytes_ahead(packet._classes[i - 1]._declaration)) else None
            if quick is not None:
                start = quick(bytes(packet), start, end, found.append)
            if start < end:
                messages = [*_packets(_general(cls), bytes(packet)[start:end], packet.layers[:i])]
                found += [one.read() for one in messages if issubclass(one.cls, wanted) or isinstance(one.header, wanted)]
            if found:
                return tuple(found)
    return ()


def _extent(packet: Packet, i: int) -> tuple[int, int]:
    """Return where the message begins and ends whose first header is the `i`-th of a packet, with further ones after it."""
    path = packet._path
    if path is not None and i + 1 == len(path.classes) and not path.classes[i]._declaration.has_trailer:  # no other header has to be made
        if (start := path.parts[i].origin) is None:
            header: Any = packet[path.classes[i]]
            start = packet._start - header._extent(header, 0, 0)[0]
        return start, packet._end + len(packet._trailing_bytes.get(i, b""))
    return packet._build()[0].extents[i - 1] if i else (0, len(packet))


@_as_read
def further_headers(packet: Packet, wanted: type[Header]) -> list[Header]:
    """Return the headers of a class in the whole messages after the first one."""
    return [header for _, _, found in _rests(packet) for one in found for header in one.read().layers if isinstance(header, wanted)]


class InPacket(NamedTuple):
    """A message that stands whole in a packet: of what class, its first header, where it ends; `read` gives it as a packet."""

    cls: type[AnyHeader]
    header: AnyHeader
    start: int
    end: int
    read: Callable[[], Packet]


def _packets(cls: type[AnyHeader], data: bytes, below: Sequence[Header]) -> Iterator[InPacket]:
    packet = hook("Packet")
    for one, start, found in whole_messages(cls, data, below, True):
        if found.alone and type(found.header) is one and known(one._declaration).by_itself:
            read = partial(_read_already, packet, found.header, data[start : found.end])
        else:
            read = partial(hook("dissect"), data[start : found.end], one, below=below)
            if current.get() is not None:  # those after it may recall what it tells
                made = read()
                read = partial(_itself, made)
        yield InPacket(one, found.header, start, found.end, read)


def _read_already(packet: Any, header: AnyHeader, data: bytes) -> Packet:
    made = packet.__new__(packet)
    made._stack = made._resolved = (header,)
    made._payload, made._data = b"", data
    made._anomalies = made._path = None
    return made  # type: ignore[no-any-return]


def _itself(packet: Packet) -> Packet:
    return packet


def _rests(packet: Packet) -> list[tuple[type[AnyHeader], int, list[InPacket]]]:
    """Return the messages that stand whole after others, with the class of these and how many bytes there are, the innermost first."""
    gaps, classes, rests = packet._trailing_bytes, packet._classes, []
    for i in (i for i in sorted(gaps, reverse=True) if classes[i]._declaration.stream):
        cls, data, below = _general(classes[i]), gaps[i], packet.layers[:i]
        if current.get() is not None:  # those after the first one may recall what it tells
            start, end = packet._build()[0].extents[i - 1] if i else (0, len(packet))
            hook("dissect")(bytes(packet)[start : end - len(data)], cls, below=below)
        following = MessageClasses(below[-1]) if below else None
        first = cls if following is None or not following.size or not data else following(data)
        rests.append((cls, len(data), [] if first is None else [*_packets(first, data, below)]))
    return rests


def _general(cls: type[AnyHeader]) -> type[AnyHeader]:
    """Return what messages of a stream are read as that became one of a class: what it refines, as far as that is a message of a stream."""
    found = cls._declaration
    while found.refines is not None and found.refines.stream:
        found = found.refines
    general: type[AnyHeader] = classes[found]
    return general


@_as_read
def further_summary(packet: Packet) -> str:
    """Return further messages for the end of a packet's summary: " + Rec + Rec / 5 bytes + 3 bytes of a Rec"."""
    words = []
    for cls, size, found in _rests(packet):
        words += [one.read().summary() for one in found[:SHOWN]]
        words += [f"{len(found) - SHOWN} more {cls.__name__}"] if len(found) > SHOWN else []
        end = found[-1].end if found else 0
        words += [f"{size - end} bytes of a {cls.__name__}"] if end < size else []
    return "".join(f" + {word}" for word in words)


@_as_read
def rest_lines(packet: Packet) -> list[str]:
    """Return further messages as `Packet.show` has them, a headline before each, and what fills the frame."""
    lines: list[str] = []
    for _, size, found in _rests(packet):
        for number, one in enumerate(found[:SHOWN], 2):
            lines.append(f"message {number} of the segment, {one.end - one.start} bytes")
            lines += one.read().show().splitlines()
        if len(found) > SHOWN:
            lines.append(f"{len(found) - SHOWN} more messages")
        end = found[-1].end if found else 0
        if end < size:
            lines.append(f"{size - end} bytes of a message that does not end here")
    if packet.trailer:
        lines.append(f"trailer {len(packet.trailer)} bytes: {bytes_text(packet.trailer)}")
    return lines
