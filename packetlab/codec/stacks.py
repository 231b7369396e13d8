"""Whole packets at once: functions compiled for the stacks of headers that keep coming.

Reading and packing a header at a time costs as much for going from one to the next as for the headers themselves. So
when a stack has been seen a few times, the same source that `decode` and `encode` write for its headers is put
together to one function: `stack_decoders` has a tree of such stacks for each first header, `stack_encoders` one for each stack.
Whatever does not fit goes the ordinary way. All of it is dropped when a binding changes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from packetlab.codec.around.bodiless import bodiless
from packetlab.codec.around.outer import asked_around, goes_by_outer, holds_contextual, is_read_at_once, place_of
from packetlab.codec.around.solving import from_below, solve_stack
from packetlab.codec.context.context import current
from packetlab.codec.context.recalling import remember_read
from packetlab.codec.decode import Decoding
from packetlab.codec.encode import Packing
from packetlab.codec.faults import Dissection
from packetlab.codec.objects import classes, on_link
from packetlab.codec.places.surroundings import is_placed
from packetlab.codec.refinement.reading import is_refined
from packetlab.codec.source import Compiled, PackedPiece, function
from packetlab.codec.way import Headers, Placed, is_open, made, maker, maker_of_all, placeable, unpacked, valued
from packetlab.declare import registry
from packetlab.declare.expressions import Elsewhere
from packetlab.declare.plan import needs
from packetlab.hooks import hook

if TYPE_CHECKING:
    from packetlab.codec.objects import AnyHeader
    from packetlab.declare.declaration import Declaration

One: TypeAlias = "tuple[Declaration, *tuple[tuple[str, int], ...]]"
"""A header of a stack that was seen: its declaration, and names of fields with the values that they had."""
Tree: TypeAlias = "dict[One | None, Tree]"
"""What was seen above a header, in turn with what was above it; None where the stack ends."""

class _Readers(dict["type[AnyHeader] | None", Compiled]):
    def __missing__(self, first: object) -> None:
        return None


stack_decoders = _Readers()
"""First header -> function(data) -> Packet, or None where the bytes are not of a stack it knows; None for a header without one."""

OFTEN = 16  # packets of one stack after which a function of its own pays
DEPTH = 8  # headers
STACKS = 32  # stacks under one first header
VARIANTS = 3  # of one stack with other values each

_seen: dict[tuple[One, ...], int] = {}
_placeable: dict[Declaration, bool] = {}
_paths: dict[tuple[One, ...], Path] = {}
_variants: dict[tuple[One, ...], int] = {}
_apart: dict[tuple[type[AnyHeader], ...], bool] = {}  # stacks of headers of which one is always read by itself
_counts: dict[type[AnyHeader], int] = {}  # stacks under each first header
_trees: dict[type[AnyHeader], Tree] = {}
_built: dict[tuple[type[AnyHeader], ...], int] = {}
stack_encoders: dict[tuple[type[AnyHeader], ...], Compiled | None] = {}
"""Stack of headers -> function(headers, payload) -> bytes, or None where some field has to go the ordinary way."""
_rebuilders: dict[object, Compiled | None] = {}
registry.caches += [
    stack_decoders, _seen, _placeable, _paths, _variants, _counts, _apart, _trees, _built, stack_encoders, _rebuilders,
]  # fmt: skip


# Building ------------------------------------------------------------------------------------------------------


def build(headers: tuple[AnyHeader, ...], payload: bytes, gaps: dict[int, bytes] | None = None, first: int = 0) -> bytes:
    """Return the bytes of a stack of headers with a payload and what fills the gaps after its layers.

    A header at a time; `Packet` asks `stack_encoders` first. Those before the place `first` are only what rules ask: they are not packed.
    """
    body: bytes = payload
    headers = solve_stack(headers)
    above, linked = None, False
    for i in range(len(headers) - 1, first - 1, -1):
        header = headers[i]
        body = header._encode(header, body, headers, i, above)
        above = header._declaration
        linked = linked or above.through is not None
        if gaps and i in gaps:
            body += gaps[i]
    if linked:
        return on_link(headers, body)
    if headers and not first:
        _count(tuple(map(type, headers)))
    return body


def _count(stack: tuple[type[AnyHeader], ...]) -> None:
    times = _built[stack] = _built.get(stack, 0) + 1
    if times == OFTEN and len(stack) <= DEPTH and from_below(stack) is not None:
        stack_encoders[stack] = _builder(declared_as(stack), read=False)
    elif len(_built) > 1000:
        _built.clear()


def rebuilder(stack: tuple[type[AnyHeader], ...], path: Path | None = None) -> Callable[..., Headers | None] | None:
    """Return ``again(headers, payload)``: headers that were read, with all fields derived that hold what follows for them.

    It gives None where one of them but a number of what is above does not. With a `path` it is ``again(packet)``, which makes no
    header but these. None for a stack that is not built often, or has numbers in held headers that follow: these are looked for.
    """
    key = stack if path is None else path
    again = _rebuilders.get(key)
    if again is None and stack in stack_encoders and not any(one.fills or goes_by_outer(one) for one in declared_as(stack)):
        again = _rebuilders[key] = _builder(declared_as(stack), read=True, parts=None if path is None else path.parts)
    return again


def declared_as(stack: tuple[type[AnyHeader], ...]) -> tuple[Declaration, ...]:
    """Return the declarations of classes."""
    return tuple(cls._declaration for cls in stack)


def _builder(stack: tuple[Declaration, ...], read: bool, parts: list[Decoding] | None = None) -> Compiled | None:
    """Return a function for packets of this stack; it has another for those with options and the like."""
    if parts is not None:
        placed = [part for part in parts if isinstance(part, Placed)]
        again = len(placed) == len(parts) and _written(stack, {}, plain=_has_items(stack), read=True, placed=placed)
        return again or (lambda packet: None)
    general = _written(stack, {}, plain=False, read=read)
    return _written(stack, {"general": general}, plain=True, read=read) if _has_items(stack) else general


def _has_items(stack: tuple[Declaration, ...]) -> bool:
    return any(f.kind.wire == "items" for cls in stack for f in cls.fields)


def _written(
    stack: tuple[Declaration, ...],
    names: dict[str, object],
    plain: bool,
    read: bool,
    placed: list[Placed] | None = None,
) -> Compiled | None:
    """Write ``build(headers, payload)``; with `placed` ``build(packet)``, for headers that are read of its bytes there.

    Where these have more than their places tell, that is None.
    """
    headers = [f"h_{i}" for i in range(len(stack))]
    parts: list[Packing] = []
    pieces: tuple[PackedPiece, ...] = (PackedPiece(("payload",), "len(payload)"),)
    numbers: set[str] = set()
    below = None if read else from_below(tuple(classes[one] for one in stack))
    for i, one in reversed([*enumerate(stack)]):
        part = Packing(one, pieces, numbers=numbers, tag=f"_{i}", stack=stack, i=i, plain=plain, read=read)
        found = {} if below is None else below.values[i]
        part.outer_known = {leaf: f"x{k}_{i}" for k, leaf in enumerate(found)}
        part.lines += [f"{part.outer_known[leaf]} = {source}" for leaf, source in found.items()]
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
    if placed:
        wanted, lines = {}, []
        for packing, place in zip(reversed(parts), placed, strict=True):
            some, stop, values = valued(place)
            wanted.update(some)
            own = [*zip(packing.cls.fields, values, strict=True)]
            if packing.needs_stack or (not place.bare and any(map(packing.is_left_out, packing.cls.fields))):
                return None
            lines += [*stop, *(f"{packing.own(f)} = {value}" for f, value in own)]
            lines.append(f"s{packing.tag} = {packing.cls.captured_state:#x}")
        first = ["data = stack._data", "payload = data[stack._start:stack._end]"]
        lines = [*first, *unpacked(wanted, names), *lines]
    else:
        lines = [f"{', '.join(headers)}, = stack", *(line for part in reversed(parts) for line in part.entry())]
        lines += [f"if {test}: return None" for test in below.unsolved] if below is not None else []
    lines += [*(line for part in parts for line in part.lines), *last]
    what = f"build {'again ' if read else ''}{'/'.join(cls.name for cls in stack)}"
    return function(["def build(stack, payload=None):", *("    " + line for line in lines)], names, what)


# Reading -------------------------------------------------------------------------------------------------------


class Path:
    """A stack of headers that was found in a packet, each of them made when somebody asks for it.

    Attributes:
        classes: of the headers. streams: whether one of them begins a message of a stream. place: class -> number of its first header.
        make: ``make(packet)`` -> that header, for each. make_all: ``make(packet)`` -> all headers.
    """

    def __init__(self, parts: list[Decoding]) -> None:
        self.classes: tuple[type[Any], ...] = tuple(classes[part.cls] for part in parts)
        self.parts = parts
        self.streams = any(part.cls.stream for part in parts)
        self.make_all: Callable[[object], Headers] = self._make_all
        self.place: dict[object, int] = {self.classes[i]: i for i in range(len(parts) - 1, -1, -1)}
        self.make: list[Callable[[object], object]] = [partial(self._make, i) for i in range(len(parts))]

    # Each is written when it is first called; a header that lies at no known place was made when it was read.

    def _make_all(self, packet: object) -> Headers:
        self.make_all = maker_of_all(self.parts)
        return self.make_all(packet)

    def _make(self, i: int, packet: object) -> object:
        part = self.parts[i]
        assert isinstance(part, Placed)
        self.make[i] = made = maker(part, i)
        return made(packet)


class _Step(NamedTuple):
    """One header of a stack: how it was seen, what reads it, and source for itself ("None" where it is made later)."""

    one: One
    part: Decoding
    header: str


def count_use(first: type[AnyHeader], headers: tuple[AnyHeader, ...]) -> None:
    """Count a packet without faults; a stack seen often gets its place in the reader of its first header."""
    kinds = tuple(map(type, headers))
    if kinds in _apart or first._declaration.through or len(headers) > DEPTH or _counts.get(first, 0) == STACKS:
        return
    stack = _stack(headers, exact=True)
    times = _seen[stack] = _seen.get(stack, 0) + 1
    if times == OFTEN and any(is_apart(kinds[: i + 1]) for i in range(len(kinds))):
        _apart[kinds] = True
    elif times == OFTEN:
        loose = _stack(headers, exact=False)
        _variants[loose] = _variants.get(loose, 0) + 1
        node = tree = _trees.setdefault(first, {})
        for one in stack if _variants[loose] <= VARIANTS else loose:
            node = node.setdefault(one, {})
        node[None] = {}
        count = _counts[first] = _counts.get(first, 0) + 1
        if count <= STACKS // 4 or count == STACKS:
            stack_decoders[first] = _reader(first, tree)
    elif (
        times == 4 * OFTEN and first in _trees
    ):  # one that waits for its place: all is written anew, which takes a while
        stack_decoders[first] = _reader(first, _trees[first])
    elif len(_seen) > 1000:
        _seen.clear()


def is_apart(kinds: tuple[type[AnyHeader], ...]) -> bool:
    """Whether the last one of some headers is read by itself always: it becomes another, or asks for more than numbers of those below, of earlier
    packets where it is the first, and of the header of which its items are."""
    declaration, below = kinds[-1]._declaration, kinds[:-1]
    if is_refined(declaration) or (below and (is_placed(declaration) or any(map(is_read_at_once, declaration.fields)))):
        return True
    if holds_contextual(declaration, itself=bool(below)):
        return True
    return any(type(leaf) is not Elsewhere or place_of(leaf, below) < 0 for leaf in asked_around(declaration))  # type: ignore[arg-type]  # classes have what is looked at


def _stack(headers: tuple[AnyHeader, ...], exact: bool) -> tuple[One, ...]:
    """Return the declaration of each header, and of those at known places the values that are to be known in what reads it.

    These are as few as can be, or, if `exact`, all that decide something and have few bits, which is faster to read.
    """
    found: list[One] = []
    known = True
    for header, above in zip(headers, (*headers[1:], None), strict=True):
        cls = header._declaration
        if known and cls not in _placeable:
            _placeable[cls] = placeable(cls)
        known = known and _placeable[cls]
        found.append((cls, *(_known(header, above, exact) if known else ())))
    return tuple(found)


def _known(header: AnyHeader, above: AnyHeader | None, exact: bool) -> list[tuple[str, int]]:
    declaration = header._declaration
    own, opaque, names = declaration.plan.own, declaration.opaque, set()
    if own is not None and (exact or above is not None or not is_open(declaration)):
        names = needs(own.size)
    if above is not None:
        for f, switch in declaration.plan.numbered[:1]:
            if registry.space(switch.space).headers.get(getattr(header, f.slot)) is above._declaration:
                names = names | {f.name}
    if exact:
        rules = [*declaration.shortened, *([] if opaque is None else [opaque])]
        names = names | {
            name for rule in rules for name in needs(rule) if declaration.by_name[name].kind.fixed_bits < 16
        }
    return [(f.name, getattr(header, f.slot)) for f in declaration.fields if f.name in names]


def _reader(first: type[AnyHeader], tree: Tree) -> Compiled:
    packet = hook("Packet")
    names: dict[str, object] = {"Anomalies": hook("Anomalies"), "new": packet.__new__, "P": (packet,)}
    lines = ["def read(data):", "    size = len(data)"]
    _branch([(one, above) for one, above in tree.items() if one is not None], [], 0, "size", lines, names, "    ")
    return function([*lines, "    return None"], names, f"read {first._declaration.name}")


def _branch(
    seen: list[tuple[One, Tree]],
    below: list[_Step],
    start: int | str,
    end: str,
    lines: list[str],
    names: dict[str, object],
    indent: str,
) -> None:
    """Write the reading of headers of one class, seen with other values and other headers above."""
    tag = f"_{len(names)}"
    parts = [_part(one, tag, start, end) for one, _ in seen]
    names.update(parts[0].names)
    placed = [part for part in parts if isinstance(part, Placed)]
    if not placed:
        ((one, tree),), (read,) = seen, parts
        kinds, values = tuple(classes[step.one[0]] for step in below), [step.part for step in below]
        if is_placed(read.cls):  # nothing is below it, and what is found of places is noted
            read.names["Dissection"] = Dissection
            read.lines.append("ctx = Dissection()")
        elif holds_contextual(read.cls):
            read.names["ctx"] = Dissection()
        read.outer_values = {str(leaf): f"({values[place_of(leaf, kinds)].v(leaf.name)} or 0)" for leaf in asked_around(read.cls)}
        stop = read.source()
        for short in read.cls.shortened:
            read.check(short.code(read))  # what is cut short by right is read the careful way
        _follow(read, read.lines, tree, [*below, _Step(one, read, f"h{tag}")], stop, lines, names, indent)
        return
    wanted: dict[str, tuple[int, str]] = {}
    blocks: list[str] = []
    for (one, tree), part in zip(seen, placed, strict=True):
        stop, path, chain = part.source(), [*below, _Step(one, part, "None")], [part]
        # As long as one header alone is known to follow, what decides the way through both is read by one call.
        while len(seen) == 1 and len(tree) == 1 and (upper := next(iter(tree))) is not None and not part.opaque():
            following = _part(upper, f"_{len(names)}", part.place(), stop)
            if not isinstance(following, Placed) or not part.leads_to(upper[0]):
                break
            until = following.source()
            if following.extent == part.extent:
                break
            names.update(following.names)
            path.append(_Step(upper, following, "None"))
            part, stop, tree = following, until, tree[upper]
            chain.append(part)
        inner: list[str] = []
        _follow(part, [], tree, path, stop, inner, names, "")
        least: dict[str, int] = {"size": part.extent}
        for link in chain:
            wanted.update(link.wanted)
            for limit, place in link.least.items():
                least[limit] = max(place, least.get(limit, 0))
        tests = [f"size >= {least['size']}"] if len(seen) > 1 else []
        tests += [test for link in chain for test in link.tests]
        del least["size"]
        checks = [line for link in chain for line in link.lines]
        checks += [f"if {limit} < {place}: return None" for limit, place in least.items()]
        blocks += [f"if {' and '.join(tests) or True}:", *("    " + line for line in [*checks, *inner])]
    lines.append(f"{indent}if size >= {part.extent if len(seen) == 1 else min(p.extent for p in placed)}:")
    lines += [f"{indent}    {line}" for line in [*unpacked(wanted, names), *blocks]]


def _part(one: One, tag: str, start: int | str, end: str) -> Decoding:
    declaration, *known = one
    if isinstance(start, int) and placeable(declaration):
        return Placed(declaration, tag, start, end, dict(known))
    return Decoding(declaration, tag, start, end, away="return None")


def _follow(
    part: Decoding, checks: list[str], tree: Tree, path: list[_Step], stop: str, lines: list[str],
    names: dict[str, object], indent: str,
) -> None:  # fmt: skip
    """Write what follows a header that was read: others, or the end of the way."""
    lookup = part.next_header()
    found: dict[Declaration | None, list[tuple[One, Tree]]] = {}
    for one, branch in tree.items():
        if one is not None:
            found.setdefault(one[0], []).append((one, branch))
    if None in tree:
        found[None] = []  # the end comes last
    tests = {following: part.follows(following) for following in found}
    for following, test in tests.items():
        if test is None:
            known = f"F{len(names)}{part.tag}"  # not its name: two classes may have the same
            names[known] = following
            tests[following] = f"n{part.tag} is {known}"
            checks, lookup = [*checks, *lookup], []
    checks = [*checks, *_stopped(part, names)]
    names.update(part.names)
    lines += [indent + line for line in checks]
    for following, seen in found.items():
        test = tests[following]
        if test:
            lines.append(f"{indent}if {test}:")
        deeper = indent + ("    " if test else "")
        if following is None:
            lines += [deeper + line for line in _finish(path, part.pos, stop, names)]
            continue
        # Those that do not lie at known places are all of one sort; the others share what is read of them.
        _branch(seen, path, part.place(), stop, lines, names, deeper)


def _stopped(part: Decoding, names: dict[str, object]) -> list[str]:
    """Return the lines that leave to others what a header of no bytes may follow."""
    known = bodiless(part.cls)
    if known is None:
        return []
    tests = [rule.code(part) for rule, _ in known.conditions]
    for f, headers in known.numbers:
        names[key := f"B_{f.name}{part.tag}"] = headers
        tests.append(f"{part.v(f.name)} in {key}")
    return [f"if {part.pos} >= {part.payload} and ({' or '.join(tests)}): return None"]


def _finish(path: list[_Step], start: str, stop: str, names: dict[str, object]) -> list[str]:
    key = tuple(step.one for step in path)
    if key not in _paths:
        _paths[key] = Path([step.part for step in path])
    known = f"W{len(names)}"
    names[known] = _paths[key]
    (first, *others), headers = path, [step.header for step in path]
    alone: list[str] = []
    if isinstance(first.part, Placed) and not others:  # whoever reads a header alone wants that
        alone, headers = made(first.part, "h", names), ["h"]
    if first.part.cls.remembers:  # once all fits: what does not is read anew
        names["remember_read"] = remember_read
        alone = [f"remember_read({first.header}, ())"]
    lines = [*alone, "p = new(*P)", "p._data = data", f"p._path = {known}", f"p._start = {start}", f"p._end = {stop}"]
    lines += [f"p._made = [{', '.join(headers)}]", "p._anomalies = None"]
    gaps = [(i, step.part.outer, step.part.end) for i, step in enumerate(path) if step.part.bounded]
    if gaps:
        lines += [f"if {' or '.join(f'{outer} != {end}' for _, outer, end in gaps)}:", "    g = {}"]
        lines += [f"    if {outer} != {end}: g[{i}] = data[{outer}:{end}]" for i, outer, end in gaps]
        lines += ["    p._anomalies = Anomalies(g)"]
    if _paths[key].streams:  # further messages in it are read in the context that it was read in
        names["current"] = current.get
        lines += ["now = current()", "if now is not None: p._now = now"]
    return [*lines, "return p"]
