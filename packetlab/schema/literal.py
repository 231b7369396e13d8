"""Packets in words: the text ``Ether() / UDP(dport=9) / b"hi"`` becomes a packet, and nothing else can happen.

The text is parsed, never evaluated: it may call header classes by name with literal keywords, and stack with `/`.
"""

from __future__ import annotations

import ast

from packetlab.codec.objects import class_named, declared_classes
from packetlab.errors import BuildError, suggestion
from packetlab.packet.packet import Header, Packet
from packetlab.protocols import linktypes as _all_headers  # noqa: F401  the text may name any of them


def read_packet(text: str) -> Packet:
    """Return the packet that `text` describes. BuildError where it is anything but headers and payloads."""
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise BuildError("packet", "headers stacked with /", getattr(error, "msg", None) or str(error)) from None
    value = _value(tree.body, 0)
    if isinstance(value, Header):
        return Packet((value,))
    if isinstance(value, Packet):
        return value
    raise BuildError("packet", "a header", repr(value))


def _value(node: ast.expr, depth: int) -> object:
    if depth > 100:
        raise BuildError("packet", "100 levels at most", "more")
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        left, right = _value(node.left, depth + 1), _value(node.right, depth + 1)
        if not isinstance(left, (Header, Packet)) or not isinstance(right, (Header, Packet, bytes, str)):
            raise BuildError("packet", "a header left of /", ast.unparse(node.left))
        return left / right
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.args:
        cls = class_named(node.func.id)
        if cls is None:
            hint = suggestion(node.func.id, [known.__name__ for known in declared_classes()])
            raise BuildError("packet", "the name of a header", node.func.id, hint)
        if any(keyword.arg is None for keyword in node.keywords):
            raise BuildError(cls.__name__, "name=value", "**")
        return cls(**{str(keyword.arg): _value(keyword.value, depth + 1) for keyword in node.keywords})
    if isinstance(node, (ast.Tuple, ast.List)):
        return tuple(_value(item, depth + 1) for item in node.elts)
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError):
        raise BuildError("packet", "a header, a number, text or bytes", ast.unparse(node)) from None
