"""No decision is taken by inspecting generated text: what writes source keeps what it knows beside the text, as a flag or number."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "packetlab"
WRITERS = ("codec/*.py", "bulk/*.py", "export/wireshark/*.py", "capture/rewrite/loop.py")
# What declarations, plans and queries say, which is no generated text: the only names a text is compared with.
DATA = {
    "__module__", "algorithm", "among", "at_limit", "code", "dtype", "form", "key", "kind", "name", "over", "part", "parts", "path", "sign", "way",
    "wire", "word",
}  # fmt: skip
SOURCE = {"end", "lines", "limit", "outer", "payload", "pos", "rest", "start", "stop", "total"}
"""Attributes of what writes source that hold some of it."""
SEARCHES = {"startswith", "endswith", "find", "rfind", "isdigit", "isidentifier", "search", "match"}


def is_text(one: ast.expr) -> bool:
    """Whether an operand is text that stands in the program, or source just put together."""
    elements = one.elts if isinstance(one, ast.Tuple | ast.Set) else [one]
    return any(
        isinstance(e, ast.JoinedStr)
        or (isinstance(e, ast.Constant) and isinstance(e.value, str))
        or (isinstance(e, ast.Call) and isinstance(e.func, ast.Attribute) and e.func.attr in ("code", "written"))
        for e in elements
    )


def called(one: ast.AST) -> str:
    """The last name of an operand: of ``f.kind.wire`` it is ``wire``."""
    return one.attr if isinstance(one, ast.Attribute) else one.id if isinstance(one, ast.Name) else ""


def decisions(tree: ast.AST) -> Iterator[str]:
    """The comparisons and searches in a module that writes source which look into text that is no data of a declaration."""
    if not any(called(node) in ("code", "lines", "put") for node in ast.walk(tree)):
        return
    for function in [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.Module)]:
        made = {
            called(target)
            for node in ast.walk(function)
            if isinstance(node, ast.Assign) and isinstance(function, ast.FunctionDef) and is_text(node.value)
            for target in node.targets
        } - {""}
        for node in ast.walk(function):
            if isinstance(node, ast.Compare) and not isinstance(node.ops[0], ast.Is | ast.IsNot):
                keyed = isinstance(node.left, ast.Tuple)  # what is looked up in a table
                operands = [*([] if keyed else [node.left]), *node.comparators]
                names = {called(one) for one in operands if not is_text(one)}
                source = {one.attr for one in operands if isinstance(one, ast.Attribute)} & SOURCE | names & made
                source = source if isinstance(node.ops[0], ast.Eq | ast.NotEq) else set()
                if (any(map(is_text, operands)) and not names <= DATA) or source - DATA:
                    yield ast.unparse(node)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in SEARCHES:
                if called(node.func.value) not in DATA:
                    yield ast.unparse(node)


@pytest.mark.parametrize("modules", WRITERS)
def test_no_decision_is_taken_by_inspecting_generated_text(modules: str) -> None:
    found = {
        f"{path.name}: {decision}"
        for path in sorted(PACKAGE.glob(modules))
        for decision in decisions(ast.parse(path.read_text(encoding="utf-8")))
    }
    assert not found


@pytest.mark.parametrize(
    "decision",
    [
        "[line for line in lines if line.startswith(f'{stop} = ')]",
        "read.rest == \"b''\"",
        "value != '()'",
        "limit == self.end",
        "made == limit",
        "rule.code(self) == limit",
        "number in ('0', '1')",
        "'pos' in place",
    ],
)
def test_such_decisions_are_seen(decision: str) -> None:
    assert [*decisions(ast.parse(f"def write(self, lines):\n    made = f'{{lines}}'\n    return {decision}"))]
