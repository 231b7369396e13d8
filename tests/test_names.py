"""Names that docstrings quote (`name`, `module.name`) exist; a name of another library, or of an example, has two backticks."""

from __future__ import annotations

import ast
import builtins
import keyword
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.test_layers import PACKAGE, ROOT

EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
KNOWN = {*dir(builtins), *keyword.kwlist, *sys.stdlib_module_names, *EXTRAS}
QUOTED = re.compile(r"(?<![`\w])`([A-Za-z_][\w.]*)`(?!`)")


def defined(nodes: list[ast.AST]) -> set[str]:
    """Return the names of classes, functions, arguments, and what is assigned in modules, classes and objects."""
    found = set()
    for node in nodes:
        match node:
            case ast.ClassDef() | ast.FunctionDef():
                found.add(node.name)
            case ast.Attribute(ctx=ast.Store()):
                found.add(node.attr)
            case ast.arg() | ast.keyword():
                found.add(node.arg or "")
        if isinstance(node, (ast.ClassDef, ast.Module)):
            for line in node.body:
                targets = line.targets if isinstance(line, ast.Assign) else [getattr(line, "target", None)]
                found |= {name.id for one in targets if one for name in ast.walk(one) if isinstance(name, ast.Name)}
    return found


def used(nodes: list[ast.AST]) -> set[str]:
    """Return all names in the code of a file, strings that are one word too: generated code has names."""
    found = set()
    for node in nodes:
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name):
                found.add(name)
            case ast.alias(name=name):
                found |= {*name.split("."), node.asname or name}
            case ast.Constant(value=str(text)) if text.isidentifier():
                found.add(text)
    return found


def docstrings(nodes: list[ast.AST]) -> Iterator[tuple[int, str]]:
    """Yield the line and the text of each string that stands by itself."""
    for node in nodes:
        match node:
            case ast.Expr(value=ast.Constant(value=str(text))):
                yield node.lineno, text


def stale(package: Path) -> list[str]:
    """Return what docstrings quote that is not there."""
    trees = {path: [*ast.walk(ast.parse(path.read_text(encoding="utf-8")))] for path in package.rglob("*.py")}
    made = {path: defined(nodes) for path, nodes in trees.items()}
    uses = {path: used(nodes) for path, nodes in trees.items()}
    everywhere = KNOWN.union(*made.values())
    modules: dict[str, list[Path]] = {}
    for path in trees:
        parts = path.relative_to(package.parent).with_suffix("").parts
        parts = parts[:-1] if parts[-1] == "__init__" else parts
        for i in range(len(parts)):
            modules.setdefault(".".join(parts[i:]), []).append(path)
    found = []
    for path, nodes in sorted(trees.items()):
        known = everywhere | uses[path]
        for line, text in docstrings(nodes):
            for match in QUOTED.finditer(text):
                name = match[1].removeprefix(f"{package.name}.")
                place, _, last = name.rpartition(".")
                first = name.split(".")[0]
                if name in modules or name == "__init__.pyi" or (first in sys.stdlib_module_names - modules.keys()):
                    continue
                if place in modules:  # what a module has, and a folder takes over from its files
                    there = {word for p in modules[place] for word in (uses[p] if p.stem == "__init__" else made[p])}
                    right = last in there or (place == "packet" and last in everywhere)  # the object, not the folder
                else:
                    right = all(word in known or word in modules for word in name.split("."))
                if not right:
                    at = line + text[: match.start()].count("\n")
                    found.append(f"{path.relative_to(package)}:{at}: {name}")
    return found


@pytest.mark.slow
def test_names_in_docstrings_exist() -> None:
    assert stale(PACKAGE) == []


def test_a_name_that_is_gone_is_found(tmp_path: Path) -> None:
    package = tmp_path / "lab"
    package.mkdir()
    (package / "rules.py").write_text('"""See `solve`, `rules.solve`, `len`, ``gone``."""\ndef solve(): ...\n')
    assert stale(package) == []
    (package / "plan.py").write_text('"""\nSee `rules.Emitter`, `invert`."""\n')
    assert stale(package) == ["plan.py:2: rules.Emitter", "plan.py:2: invert"]
