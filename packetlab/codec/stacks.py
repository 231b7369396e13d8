"""Whole packets at once: functions compiled for the stacks of headers that keep coming.

Reading and packing a header at a time costs as much for going from one to the next as for the headers themselves. So
when a stack has been seen a few times, the same source that `decode` and `encode` write for its headers is put
together to one function: `stack_decoders` has a tree of such stacks for each first header, `stack_encoders` one for each stack.
Whatever does not fit goes the ordinary way. All of it is dropped when a binding changes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from packetlab.codec.decode import Reading
from packetlab.codec.encode import Packing
from packetlab.codec.source import function
from packetlab.declare import registry

if TYPE_CHECKING:
    from packetlab.declare.declaration import AnyHeader

stack_decoders: dict[Any, Any] = {}
"""First header -> function(data) -> Packet, or None where the bytes are not of a stack it knows."""

OFTEN = 16  # packets of one stack after which a function of its own pays
DEPTH = 8  # headers
STACKS = 16  # stacks under one first header

_seen: dict[tuple[type[AnyHeader], ...], int] = {}
_trees: dict[Any, dict[Any, Any]] = {}
_built: dict[tuple[type[AnyHeader], ...], int] = {}
stack_encoders: dict[tuple[Any, ...], Any] = {}
"""Stack of headers -> function(headers, payload) -> bytes, or None where some field has to go the ordinary way."""
registry.caches += [stack_decoders, _seen, _trees, _built, stack_encoders]

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
        stack_encoders[stack] = _builder(stack)
    elif len(_built) > 1000:
        _built.clear()


def _builder(stack: tuple[type[AnyHeader], ...]) -> Any:
    """Return a function for packets of this stack; it has another for those with options and the like."""
    general = _written(stack, {}, plain=False)
    if not any(f.kind.wire == "items" for cls in stack for f in cls._fields):
        return general
    return _written(stack, {"general": general}, plain=True)


def _written(stack: tuple[type[AnyHeader], ...], names: dict[str, Any], plain: bool) -> Any:
    lines = [
        "def build(stack, payload):",
        "    body = payload",
        f"    {', '.join(f'h_{i}' for i in range(len(stack)))}, = stack",
    ]
    declarations = tuple(cls._declaration for cls in stack)
    parts = [Packing(one, tag=f"_{i}", stack=declarations, i=i, plain=plain) for i, one in enumerate(declarations)]
    lines += ["    " + line for part in parts for line in part.entry()]
    for part in reversed(parts):
        lines += ["    " + line for line in part.source()]
        names.update(part.names)
    return function([*lines, "    return body"], names, "build " + "/".join(cls.__name__ for cls in stack))


# Reading -------------------------------------------------------------------------------------------------------


def count_use(first: type[AnyHeader], headers: tuple[AnyHeader, ...]) -> None:
    """Count a packet without faults; a stack seen often gets its place in the reader of its first header."""
    stack = tuple(map(type, headers))
    times = _seen[stack] = _seen.get(stack, 0) + 1
    if times == OFTEN and len(stack) <= DEPTH:
        tree = _trees.setdefault(first, {"stacks": 0})
        if tree["stacks"] < STACKS:
            tree["stacks"] += 1
            node = tree
            for cls in stack:
                node = node.setdefault(cls, {})
            node[None] = True
            stack_decoders[first] = _reader(tree[first])
    elif len(_seen) > 1000:
        _seen.clear()


def _reader(tree: dict[Any, Any]) -> Any:
    names: dict[str, Any] = dict(made)
    lines = ["def read(data):", "    size = len(data)"]
    root = next(cls for cls in _trees if _trees[cls].get(cls) is tree)
    _branch(root, tree, [], "0", "size", lines, names, "    ")
    return function([*lines, "    return None"], names, f"read {root.__name__}")


def _branch(
    cls: Any, tree: dict[Any, Any], below: list[tuple[str, str, str]], start: str, end: str, lines: list[str],
    names: dict[str, Any], indent: str,
) -> None:  # fmt: skip
    """Write the reading of one header, and under a condition each the headers known to follow."""
    tag = f"_{len(names)}"
    part = Reading(cls._declaration, tag=tag, start=start, end=end, away="return None")
    stop = part.source()
    for short in cls._declaration.shortened:
        part.check(short.code(part))  # what is cut short by right is read the careful way
    lines += [indent + line for line in part.lines]
    names.update(part.names)
    path = [*below, (f"h{tag}", f"{part.outer} != {end}", f"data[{part.outer}:{end}]")]
    looked_up = False
    for following, branch in sorted(tree.items(), key=lambda item: item[0] is None):
        test = part.leads_to(following) if following is not None else ""
        if not test and not looked_up:
            looked_up = True
            lines += [indent + line for line in part.next_header()]
        names.update(part.names)
        if following is None:
            lines.append(f"{indent}if n{tag} is None:")
            lines += [f"{indent}    {line}" for line in _finish(path, part.pos, stop)]
            continue
        known = f"F{len(names)}{tag}"  # not its name: two classes may have the same
        names[known] = following
        lines.append(f"{indent}if {test or f'n{tag} is {known}'}:")
        _branch(following, branch, path, part.pos, stop, lines, names, indent + "    ")


def _finish(path: list[Any], start: str, stop: str) -> list[str]:
    lines = ["p = new(Packet)", f"p._headers = p._resolved = ({', '.join(h for h, _, _ in path)},)"]
    lines += [f"p._payload = data[{start}:{stop}]", "p._data = data", "p._notes = None"]
    gaps = [(i, condition, source) for i, (_, condition, source) in enumerate(path) if condition != "size != size"]
    gaps = [gap for gap in gaps if gap[1].split(" != ")[0] != gap[1].split(" != ")[1]]
    if gaps:
        lines += [f"if {' or '.join(condition for _, condition, _ in gaps)}:", "    g = {}"]
        lines += [f"    if {condition}: g[{i}] = {source}" for i, condition, source in gaps]
        lines += ["    p._notes = Notes(g)"]
    return [*lines, "return p"]
