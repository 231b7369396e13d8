"""Whole packets at once: functions compiled for the stacks of headers that keep coming.

Reading and packing a header at a time costs as much for going from one to the next as for the headers themselves. So
when a stack has been seen a few times, the same source that `decode` and `encode` write for its headers is put
together to one function: `stack_decoders` has a tree of such stacks for each first header, `stack_encoders` one for each stack.
Whatever does not fit goes the ordinary way. All of it is dropped when a binding changes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from packetlab.codec.decode import Reading
from packetlab.codec.derive import Piece
from packetlab.codec.encode import Packing
from packetlab.codec.source import function
from packetlab.codec.way import Placed, deciding, maker, maker_of_all, placeable, unpacked
from packetlab.declare import registry

if TYPE_CHECKING:
    from packetlab.declare.declaration import AnyHeader

stack_decoders: dict[Any, Any] = {}
"""First header -> function(data) -> Packet, or None where the bytes are not of a stack it knows."""

OFTEN = 16  # packets of one stack after which a function of its own pays
DEPTH = 8  # headers
STACKS = 32  # stacks under one first header

_seen: dict[tuple[Any, ...], int] = {}
_deciding: dict[type[AnyHeader], list[str] | None] = {}
_trees: dict[Any, dict[Any, Any]] = {}
_built: dict[tuple[type[AnyHeader], ...], int] = {}
stack_encoders: dict[tuple[Any, ...], Any] = {}
"""Stack of headers -> function(headers, payload) -> bytes, or None where some field has to go the ordinary way."""
_rebuilders: dict[tuple[Any, ...], Any] = {}
registry.caches += [stack_decoders, _seen, _deciding, _trees, _built, stack_encoders, _rebuilders]

made: dict[str, Any] = {}
"""What a generated reader makes: `packet.packet` enters its classes here."""


# Building ------------------------------------------------------------------------------------------------------


def build(headers: tuple[AnyHeader, ...], payload: bytes, gaps: dict[int, bytes] | None = None) -> bytes:
    """Return the bytes of a stack of headers with a payload and what fills the gaps after its layers.

    A header at a time; `Packet` asks `stack_encoders` first.
    """
    stack: tuple[type[AnyHeader], ...] = tuple(map(type, headers))
    body: bytes = payload
    above = None
    for i in range(len(headers) - 1, -1, -1):
        body = stack[i]._encode(headers[i], body, headers, i, above)
        above = stack[i]
        if gaps and i in gaps:
            body += gaps[i]
    _count(stack)
    return body


def _count(stack: tuple[type[AnyHeader], ...]) -> None:
    times = _built[stack] = _built.get(stack, 0) + 1
    if times == OFTEN and 1 < len(stack) <= DEPTH:
        stack_encoders[stack] = _builder(stack, read=False)
    elif len(_built) > 1000:
        _built.clear()


def rebuilder(stack: tuple[type[AnyHeader], ...]) -> Any:
    """Return ``again(headers, payload)``: headers that were read, with all fields derived that hold what follows for them.

    It gives None where one of them but a number of what is above does not. None for a stack that is not built often.
    """
    again = _rebuilders.get(stack)
    if again is None and stack in stack_encoders:
        again = _rebuilders[stack] = _builder(stack, read=True)
    return again


def _builder(stack: tuple[type[AnyHeader], ...], read: bool) -> Any:
    """Return a function for packets of this stack; it has another for those with options and the like."""
    general = _written(stack, {}, plain=False, read=read)
    if not any(f.kind.wire == "items" for cls in stack for f in cls._fields):
        return general
    return _written(stack, {"general": general}, plain=True, read=read)


def _written(stack: tuple[type[AnyHeader], ...], names: dict[str, Any], plain: bool, read: bool) -> Any:
    declarations = tuple(cls._declaration for cls in stack)
    headers = [f"h_{i}" for i in range(len(stack))]
    parts: list[Packing] = []
    pieces: tuple[Piece, ...] = (Piece(("payload",), "len(payload)"),)
    numbers: set[str] = set()
    for i, one in reversed([*enumerate(declarations)]):
        part = Packing(one, pieces, numbers=numbers, tag=f"_{i}", stack=declarations, i=i, plain=plain, read=read)
        part.source()
        pieces = part.pieces
        parts.append(part)
    if read:
        last = [
            *(line for part in parts for line in part.loosened()),
            f"return {', '.join('r' + h[1:] for h in headers)},",
        ]
    else:
        last = part.tried(f"return {part.joined(pieces)}", ", ".join(f"({h}, '{h[1:]}')" for h in headers) + ",")
    for part in parts:
        names.update(part.names)
    lines = [f"{', '.join(headers)}, = stack", *(line for part in reversed(parts) for line in part.entry())]
    lines += [*(line for part in parts for line in part.lines), *last]
    what = f"build {'again ' if read else ''}{'/'.join(cls.__name__ for cls in stack)}"
    return function(["def build(stack, payload):", *("    " + line for line in lines)], names, what)


# Reading -------------------------------------------------------------------------------------------------------


class Path:
    """A stack of headers that was found in a packet, each of them made when somebody asks for it.

    Attributes:
        classes: of the headers. make_all: ``make(packet)`` -> all headers. first: class -> ``make`` of its first header.
    """

    __slots__ = ("classes", "first", "make_all")

    def __init__(self, path: list[_Step]) -> None:
        self.classes: tuple[Any, ...] = tuple(step.part.cls.header for step in path)
        self.make_all = maker_of_all([step.part for step in path])
        makers = [maker(step.part, i) if isinstance(step.part, Placed) else _taken(i) for i, step in enumerate(path)]
        self.first = dict(zip(self.classes[::-1], makers[::-1], strict=True))


class _Step(NamedTuple):
    """One header of a stack: what reads it, source for itself ("None" where it is made later) and for where it may end."""

    part: Reading
    header: str
    end: str


def count_use(first: type[AnyHeader], headers: tuple[AnyHeader, ...]) -> None:
    """Count a packet without faults; a stack seen often gets its place in the reader of its first header."""
    stack = tuple(map(_seen_as, headers, (*headers[1:], None)))
    times = _seen[stack] = _seen.get(stack, 0) + 1
    if times == OFTEN and len(stack) <= DEPTH:
        tree = _trees.setdefault(first, {})
        if _count_stacks(tree) < STACKS:
            node = tree
            for one in stack:
                node = node.setdefault(one, {})
            node[None] = {}
            stack_decoders[first] = _reader(first, tree)
    elif len(_seen) > 1000:
        _seen.clear()


def _count_stacks(tree: dict[Any, Any]) -> int:
    return sum(1 if one is None else _count_stacks(branch) for one, branch in tree.items())


def _seen_as(header: AnyHeader, above: AnyHeader | None) -> tuple[Any, ...]:
    """Return the class of a header, and its values that decide the way."""
    cls = type(header)
    if cls not in _deciding:
        _deciding[cls] = deciding(cls._declaration) if placeable(cls._declaration) else None
    names = _deciding[cls]
    if names is None:
        return (cls,)
    if above is not None:
        for f, switch in cls._declaration.plan.numbered[:1]:
            if f.name not in names and registry.space(switch.space).headers.get(getattr(header, f.slot)) is type(above):
                names = [*names, f.name]
    return cls, *((name, getattr(header, cls._by_name[name].slot)) for name in names)


def _reader(first: Any, tree: dict[Any, Any]) -> Any:
    names: dict[str, Any] = {**made, "P": (made["Packet"],)}
    lines = ["def read(data):", "    size = len(data)"]
    for one, branch in tree.items():
        _branch(one, branch, [], 0, "size", lines, names, "    ")
    return function([*lines, "    return None"], names, f"read {first.__name__}")


def _branch(
    one: tuple[Any, ...], tree: dict[Any, Any], below: list[_Step], start: int | str, end: str, lines: list[str],
    names: dict[str, Any], indent: str,
) -> None:  # fmt: skip
    """Write the reading of one header, and under a condition each the headers known to follow."""
    part = _part(one, start, end, names)
    if not isinstance(part, Placed):
        stop = part.source()
        for short in part.cls.shortened:
            part.check(short.code(part))  # what is cut short by right is read the careful way
        path = [*below, _Step(part, f"h{part.tag}", end)]
        _follow(part, part.lines, tree, path, stop, lines, names, indent)
        return
    # As long as one header alone is known to follow, what decides the way through both is read by one call.
    stop, path, chain = part.source(), [*below, _Step(part, "None", end)], [part]
    while len(tree) == 1 and None not in tree and not part.opaque():
        ((one, branch),) = tree.items()
        following = _part(one, part.place(), stop, names)
        if not isinstance(following, Placed) or not part.leads_to(one[0]):
            break
        until = following.source()
        if following.pos == part.pos:
            break
        path.append(_Step(following, "None", stop))
        part, stop, tree = following, until, branch
        chain.append(part)
    wanted: dict[str, tuple[int, str]] = {}
    least: dict[str, int] = {}
    inner: list[str] = []
    _follow(part, [], tree, path, stop, inner, names, "")
    for one_part in chain:
        wanted.update(one_part.wanted)
        for limit, place in one_part.least.items():
            least[limit] = max(place, least.get(limit, 0))
    tests = [test for one_part in chain for test in one_part.tests]
    checks = [line for one_part in chain for line in one_part.lines]
    checks += [f"if {limit} < {place}: return None" for limit, place in least.items() if limit != "size"]
    lines.append(f"{indent}if size >= {part.pos}:")
    lines += [f"{indent}    {line}" for line in unpacked(wanted, names)]
    deeper = indent + "    "
    if tests:
        lines.append(f"{deeper}if {' and '.join(tests)}:")
        deeper += "    "
    lines += [deeper + line for line in [*checks, *inner]]


def _part(one: tuple[Any, ...], start: int | str, end: str, names: dict[str, Any]) -> Reading:
    (cls, *known), tag = one, f"_{len(names)}"
    declaration = cls._declaration
    if isinstance(start, int) and placeable(declaration):
        part: Reading = Placed(declaration, tag, start, end, dict(known))
    else:
        part = Reading(declaration, tag, start, end, away="return None")
    names.update(part.names)
    return part


def _follow(
    part: Reading, checks: list[str], tree: dict[Any, Any], path: list[_Step], stop: str, lines: list[str],
    names: dict[str, Any], indent: str,
) -> None:  # fmt: skip
    """Write what follows a header that was read: others, or the end of the way."""
    lookup, branches = part.next_header(), []
    looked_up = False
    for one, branch in sorted(tree.items(), key=lambda item: item[0] is None):
        following = None if one is None else one[0]
        test = part.follows(following)
        if test is None:
            known = f"F{len(names)}{part.tag}"  # not its name: two classes may have the same
            names[known] = following
            test, looked_up = f"n{part.tag} is {known}", True
        branches.append((test, one, branch))
    names.update(part.names)
    lines += [indent + line for line in [*checks, *(lookup if looked_up else ())]]
    for test, one, branch in branches:
        if test:
            lines.append(f"{indent}if {test}:")
        deeper = indent + ("    " if test else "")
        if one is None:
            lines += [deeper + line for line in _finish(path, part.pos, stop, names)]
        else:
            _branch(one, branch, path, part.place(), stop, lines, names, deeper)


def _finish(path: list[_Step], start: str, stop: str, names: dict[str, Any]) -> list[str]:
    known = f"W{len(names)}"
    names[known] = Path(path)
    lines = ["p = new(*P)", "p._data = data", f"p._path = {known}", f"p._start = {start}", f"p._end = {stop}"]
    lines += [f"p._made = [{', '.join(step.header for step in path)}]", "p._notes = None"]
    gaps = [(i, step.part.outer, step.end) for i, step in enumerate(path) if step.part.outer != step.end]
    if gaps:
        lines += [f"if {' or '.join(f'{outer} != {end}' for _, outer, end in gaps)}:", "    g = {}"]
        lines += [f"    if {outer} != {end}: g[{i}] = data[{outer}:{end}]" for i, outer, end in gaps]
        lines += ["    p._notes = Notes(g)"]
    return [*lines, "return p"]


def _taken(i: int) -> Any:
    """Return ``make(packet)`` for a header that was made on the way."""
    return lambda packet: packet._made[i]
