"""The house rules that a program can check: who imports whom, what names are taken, how long a file may be."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "packetlab"
TOP = {"pyproject.toml", "README.md", "LICENSE", "packetlab", "tests", "captures", "notebooks"}
TOP.add("packetlab-artifacts")  # what failing tests leave; git ignores it
LONGEST = 450  # lines
LISTS = {"__init__.py"}  # nothing but names

MAY_IMPORT = {
    "escaping": set(),
    "errors": set(),
    "wire": {"errors"},
    "capture": {"errors", "wire", "engine"},  # captured streams are put together by the rules of the engines
    "engine": {"errors", "wire"},
    "export": {"errors", "wire"},
    "link": {"errors", "wire", "capture", "engine", "export"},
    "view": {"errors", "wire", "capture", "engine", "export"},
}
MAY_IMPORT["host"] = {*MAY_IMPORT, "link", "view"}
MAY_IMPORT["sockets"] = {*MAY_IMPORT["host"], "host"}
MAY_IMPORT["networks"] = {*MAY_IMPORT["sockets"], "sockets"}
MAY_IMPORT["testing"] = {*MAY_IMPORT["networks"], "networks"}
for last in ("pytest_plugin", "cli", "demo", "__main__", "__init__"):
    MAY_IMPORT[last] = {*MAY_IMPORT["testing"], "testing", "cli", "demo"}
for may in MAY_IMPORT.values():
    may.add("escaping")
IMPURE = {"socket", "time", "random", "os", "threading", "asyncio", "subprocess", "select", "scapy", "dpkt"}
VAGUE = {"utils", "common", "helpers", "misc", "base", "core", "compat"}


def imports(path: Path) -> Iterator[str]:
    """Yield the dotted names that a file imports, those inside functions too, but not those for type checkers alone."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    guarded = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for child in node.body
        for inner in ast.walk(child)
    }
    for node in ast.walk(tree):
        if id(node) in guarded:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def module(path: Path, package: Path) -> str:
    parts = path.relative_to(package.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 2 else parts)


def layer(name: str) -> str:
    return name.split(".")[1] if "." in name else "__init__"


def wrong_imports(package: Path) -> list[str]:
    found = []
    for path in sorted(package.rglob("*.py")):
        name = module(path, package)
        here = layer(name)
        for imported in imports(path):
            top = imported.split(".")[0]
            if top == package.name and "." in imported:
                there = layer(imported)
                exists = (package / there).is_dir() or (package / f"{there}.py").is_file()
                if exists and there != here and there not in MAY_IMPORT.get(here, set()):
                    found.append(f"{name} imports {imported}")
            elif (here in ("wire", "engine") and top in IMPURE) or (
                top == "scapy" and not re.fullmatch(r"\w+\.export\.scapy\w*", name)
            ):
                found.append(f"{name} imports {imported}")
        text = path.read_text(encoding="utf-8")
        if name != f"{package.name}.link.keeper" and re.search(r"\b(unshare|setns)\(", text):
            found.append(f"{name} enters namespaces")
        if "import *" in text:
            found.append(f"{name} has a star import")
        if path.stem in VAGUE:
            found.append(f"{name} has a name that says nothing")
    return found


def cycles(package: Path) -> list[str]:
    """Return modules that import each other at their top level, through others too."""
    graph: dict[str, set[str]] = {}
    names = {module(path, package): path for path in package.rglob("*.py")}
    for name, path in names.items():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        graph[name] = set()
        for node in tree.body:
            if isinstance(node, ast.ImportFrom) and node.module:
                for target in (node.module, *(f"{node.module}.{alias.name}" for alias in node.names)):
                    if target in names and target != name:
                        graph[name].add(target)

    def reaches(start: str, goal: str) -> bool:
        seen, todo = set(), list(graph[start])
        while todo:
            node = todo.pop()
            if node == goal:
                return True
            if node not in seen:
                seen.add(node)
                todo += graph[node]
        return False

    return [name for name in graph if reaches(name, name)]


def test_imports_run_one_way() -> None:
    assert wrong_imports(PACKAGE) == []


def test_no_module_imports_itself_through_others() -> None:
    assert cycles(PACKAGE) == []


def test_files_can_be_read_in_one_sitting() -> None:
    long = {
        p.name: n
        for p in PACKAGE.rglob("*.py")
        if (n := len(p.read_text().splitlines())) > LONGEST and p.name not in LISTS
    }
    assert long == {}


def test_the_top_level_holds_what_it_should() -> None:
    assert {p.name for p in ROOT.iterdir() if not p.name.startswith(".")} <= TOP


def test_nothing_names_a_place_on_one_machine() -> None:
    places = re.compile(r"/(work|root|home)/")
    files = [*PACKAGE.rglob("*.py"), ROOT / "README.md", ROOT / "pyproject.toml"]
    assert [p.name for p in files if places.search(p.read_text(encoding="utf-8"))] == []


@pytest.mark.parametrize(
    ("path", "text", "complaint"),
    [
        ("wire/a.py", "import socket", "lab.wire.a imports socket"),
        ("wire/a.py", "def f():\n    from lab.link import b", "lab.wire.a imports lab.link"),
        ("capture/a.py", "import scapy.all", "lab.capture.a imports scapy.all"),
        ("link/a.py", "libc.unshare(1)", "lab.link.a enters namespaces"),
        ("link/a.py", "from os import *", "lab.link.a has a star import"),
        ("link/utils.py", "", "lab.link.utils has a name that says nothing"),
    ],
)
def test_the_check_sees_what_is_wrong(tmp_path: Path, path: str, text: str, complaint: str) -> None:
    package = tmp_path / "lab"
    for folder in ("wire", "capture", "link"):
        (package / folder).mkdir(parents=True)
    (package / path).write_text(text)
    assert complaint in wrong_imports(package)


def test_the_check_sees_a_cycle(tmp_path: Path) -> None:
    package = tmp_path / "lab" / "wire"
    package.mkdir(parents=True)
    (package / "a.py").write_text("from lab.wire import b")
    (package / "b.py").write_text("from lab.wire.a import c")
    assert cycles(package.parent) == ["lab.wire.a", "lab.wire.b"]
