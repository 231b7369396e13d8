"""The house rules that a program can check: who imports whom, what names are taken, how long a file may be."""

from __future__ import annotations

import ast
import re
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "packetlab"
TOP = {"pyproject.toml", "README.md", "LICENSE", "packetlab", "tests", "captures", "notebooks"}
TOP.add("packetlab-artifacts")  # what failing tests leave; git ignores it
LONGEST = 450  # lines
FILES = 15  # in a folder, its page too
GROWING = ("cli", "cli/offline", "protocols")
"""Folders to which CONTRIBUTING sends a new file."""

ORDER = [
    "escaping",
    "errors",
    "hooks",
    "renamed",
    "declare",
    "codec",
    "packet",
    "pattern",
    "protocols",
    "bulk",
    "schema",
    "engine",
    "capture",
    "export",
    "link",
    "view",
    "network",
    "sockets",
    "testing",
    "demo",
    "cli",
    "pytest_plugin",
    "__main__",
    "__init__",
]
"""Folders and files of the package; each imports itself and those before it, in functions and for type checkers too."""
PURE = ("declare", "codec", "packet", "pattern", "protocols", "bulk", "schema", "engine")
IMPURE = {"socket", "time", "random", "os", "threading", "asyncio", "subprocess", "select", "scapy", "dpkt"}
SHARED = {("packetlab.declare.registry", "threading"), ("packetlab.declare.registry", "os")}
"""What the threads of a program have in common: declarations, which take a lock."""
TWICE = {"Lab", "SimHost", "SimNetwork"}
"""Names that two classes have: networks below sockets and with them."""
VAGUE = {"utils", "common", "helpers", "misc", "base", "core", "compat"}


@cache
def imports(path: Path, package: Path) -> list[str]:
    """Return the dotted names that a file imports: in functions, for type checkers, relative, or by calls with a text, too."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Import():
                found += [alias.name for alias in node.names]
            case ast.ImportFrom():
                above = path.relative_to(package.parent).parts[: -node.level] if node.level else ()
                there = ".".join([*above, *filter(None, [node.module])])
                found += [there, *(f"{there}.{alias.name}" for alias in node.names)]
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name), args=[argument, *_]):
                match argument:
                    case ast.Constant(value=str(text)) | ast.JoinedStr(values=[ast.Constant(value=str(text)), *_]):
                        found += [text.rstrip(".")] if name in ("import_module", "__import__") else []
    return found


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
        for imported in imports(path, package):
            top = imported.split(".")[0]
            if top == package.name and "." in imported:
                there = layer(imported)
                if there == "__version__":
                    continue
                if not ((package / there).is_dir() or (package / f"{there}.py").is_file()):
                    there = "__init__"  # a public name, from wherever it is
                if here != "__init__" and ORDER.index(there) > ORDER.index(here):
                    found.append(f"{name} imports {imported}")
            elif (here in PURE and top in IMPURE and (name, top) not in SHARED) or (
                top == "scapy" and not re.fullmatch(r"\w+\.export\.bridges\.scapy\w*", name)
            ):
                found.append(f"{name} imports {imported}")
        text = path.read_text(encoding="utf-8")
        if name != f"{package.name}.link.lab.namespaces" and re.search(r"\b(unshare|setns)\(", text):
            found.append(f"{name} enters namespaces")
        if "import *" in text:
            found.append(f"{name} has a star import")
        if path.stem in VAGUE:
            found.append(f"{name} has a name that says nothing")
    return found


def cycles(package: Path) -> list[str]:
    """Return modules that import each other, through others, in functions or for type checkers too."""
    names = {module(path, package): path for path in package.rglob("*.py")}
    graph = {
        name: {target for target in imports(path, package) if target in names and target != name}
        for name, path in names.items()
    }
    for targets in graph.values():  # `from package import module` names both
        targets -= {one for one in targets if any(other.startswith(f"{one}.") for other in targets)}

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


@pytest.mark.slow
def test_imports_run_one_way() -> None:
    assert wrong_imports(PACKAGE) == []


@pytest.mark.slow
def test_no_module_imports_itself_through_others() -> None:
    assert cycles(PACKAGE) == []


def test_files_can_be_read_in_one_sitting() -> None:
    files = [path for path in PACKAGE.rglob("*.py*") if path.suffix in (".py", ".pyi")]
    assert {path: n for path in files if (n := len(path.read_text("utf-8").splitlines())) > LONGEST} == {}


def test_a_folder_can_be_taken_in_at_a_glance() -> None:
    folders = {path.parent for path in PACKAGE.rglob("*.py")} - {PACKAGE}
    assert {folder: n for folder in folders if (n := len([*folder.glob("*.py")])) > FILES} == {}
    assert [name for name in GROWING if len([*(PACKAGE / name).glob("*.py")]) >= FILES] == []


PAGES = sorted(path.relative_to(PACKAGE) for path in PACKAGE.rglob("__init__.py"))


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_a_folders_page_names_its_files_and_says_where_to_begin(page: Path) -> None:
    """Its docstring, with an example. A lab's is not run: few kernels grant one."""
    path = PACKAGE / page
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    there = {p.stem for p in path.parent.glob("[a-z]*.py")} | {p.name for p in path.parent.glob("*.lua")}
    there |= {p.parent.name for p in path.parent.glob("*/__init__.py")}
    assert {name for name in there if not re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text)} == set()
    assert "Begin with `" in text or path.parent == PACKAGE
    assert ">>> " in text or path.parent.name == "lab"


def test_one_name_is_one_class() -> None:
    """Also of classes in functions and in other classes."""
    texts = [path.read_text("utf-8") for path in PACKAGE.rglob("*.py")]
    lines = [re.findall(r"(?m)^[ \t]*class (\w+)", text) for text in texts]  # of classes, and of texts that look so
    several = {name for name, times in Counter(name for found in lines for name in found).items() if times > 1}
    trees = [ast.parse(text) for text, found in zip(texts, lines, strict=True) if several.intersection(found)]
    names = [node.name for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    assert {name for name, times in Counter(names).items() if times > 1} <= TWICE


def test_the_top_level_holds_what_it_should() -> None:
    assert {p.name for p in ROOT.iterdir() if not p.name.startswith(".")} <= TOP


def test_nothing_names_a_place_on_one_machine() -> None:
    places = re.compile(r"/(work|root|home)/")
    files = [*PACKAGE.rglob("*.py"), ROOT / "README.md", ROOT / "pyproject.toml"]
    assert [p.name for p in files if places.search(p.read_text(encoding="utf-8"))] == []


@pytest.mark.parametrize(
    ("path", "text", "complaint"),
    [
        ("declare/a.py", "import socket", "lab.declare.a imports socket"),
        ("declare/a.py", "def f():\n    from lab.link import b", "lab.declare.a imports lab.link"),
        ("declare/a.py", "if TYPE_CHECKING:\n    from lab.link import b", "lab.declare.a imports lab.link"),
        ("declare/a.py", "from lab import link", "lab.declare.a imports lab.link"),
        ("declare/a.py", "from lab import Capture", "lab.declare.a imports lab.Capture"),
        ("declare/a.py", "from ..link import b", "lab.declare.a imports lab.link"),
        ("declare/a.py", "from .. import link", "lab.declare.a imports lab.link"),
        ("declare/a.py", "import_module('lab.link.b')", "lab.declare.a imports lab.link.b"),
        ("declare/a.py", "importlib.import_module(f'lab.link.{b}')", "lab.declare.a imports lab.link"),
        ("declare/a.py", "__import__('socket')", "lab.declare.a imports socket"),
        ("capture/a.py", "import scapy.all", "lab.capture.a imports scapy.all"),
        ("link/a.py", "libc.unshare(1)", "lab.link.a enters namespaces"),
        ("link/a.py", "from os import *", "lab.link.a has a star import"),
        ("link/utils.py", "", "lab.link.utils has a name that says nothing"),
    ],
)
def test_the_check_sees_what_is_wrong(tmp_path: Path, path: str, text: str, complaint: str) -> None:
    package = tmp_path / "lab"
    for folder in ("declare", "capture", "link"):
        (package / folder).mkdir(parents=True)
    (package / path).write_text(text)
    assert complaint in wrong_imports(package)


def test_the_check_sees_a_cycle(tmp_path: Path) -> None:
    package = tmp_path / "lab" / "declare"
    package.mkdir(parents=True)
    (package / "a.py").write_text("from lab.declare import b")
    (package / "b.py").write_text("from lab.declare.a import c")
    assert cycles(package.parent) == ["lab.declare.a", "lab.declare.b"]
    (package / "b.py").write_text("from .a import c")
    imports.cache_clear()
    assert cycles(package.parent) == ["lab.declare.a", "lab.declare.b"]
