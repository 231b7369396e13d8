"""Declarations are data: nothing that is worked out from one needs the class of the header.

The class is found in `codec.objects` where a header has to be made. So a declaration that was put together by hand, of
which there is no class, has a plan, is checked, scanned, drawn, written as Lua and dumped; and a codec of it makes
headers of whatever class it is given.
"""

from __future__ import annotations

import ast
import gc
import re
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

import pytest

from packetlab import U8, U16, UDP, Bytes, Header, auto, bindings, dissect, field, many, size_of, when
from packetlab.bulk.scan_loop import loop_source
from packetlab.bulk.scan_rows import RowScanner
from packetlab.codec.compiler import reset
from packetlab.codec.decode import Decoding, items_reader
from packetlab.codec.encode import Packing
from packetlab.codec.faults import Dissection
from packetlab.codec.lenient import walk
from packetlab.codec.objects import classes
from packetlab.declare import registry
from packetlab.declare.annotations import checked, kind_of
from packetlab.declare.declaration import Declaration
from packetlab.declare.fields import Field
from packetlab.declare.items import Items
from packetlab.declare.registry import bind
from packetlab.declare.validate import check_declaration
from packetlab.export.diagram import cells
from packetlab.export.wireshark.wireshark import wireshark
from packetlab.packet.header import HeaderType
from packetlab.protocols import linktypes as _all_headers  # noqa: F401
from packetlab.schema.dump import describe

PACKAGE = Path(__file__).parent.parent / "packetlab"
COMPILERS = [
    *sorted((PACKAGE / "declare").rglob("*.py")),
    *sorted(path for path in (PACKAGE / "codec").glob("*.py") if path.stem not in ("objects", "compiler", "stacks")),
    *sorted((PACKAGE / "bulk").glob("scan*.py")),
    *sorted((PACKAGE / "export" / "wireshark").glob("*.py")),
    *(PACKAGE / "export" / f"{name}.py" for name in ("diagram", "field_strategies", "expected_faults")),
    *(PACKAGE / "schema" / f"{name}.py" for name in ("dump", "kinds", "expressions", "source")),
    *(PACKAGE / "capture" / "rewrite" / f"{name}.py" for name in ("located", "loop")),
]
"""Who works from declarations. Of codec `objects` finds the class of one, `compiler` puts functions on it, and `stacks` looks
up by the classes of headers what it wrote from their declarations. `Header` of `packet` is a type of values to all."""


def declared(name: str, **body: Any) -> Declaration:
    """Return a declaration of which there is no class. `body`: annotation, or (annotation, right-hand side)."""
    fields = []
    for place, (called, said) in enumerate(body.items()):
        annotation, spec = said if isinstance(said, tuple) else (said, 0)
        kind = annotation if isinstance(annotation, Items) else kind_of(annotation, called)
        fields.append(Field(called, kind, checked(spec, kind, called)))
        fields[-1].bit = 1 << place
    found = Declaration(name, name, "by_hand", tuple(fields))
    for f in fields:
        f.owner = found
    check_declaration(found)
    found.proved = True  # which takes headers
    return found


@pytest.fixture
def note() -> Declaration:
    item = declared("Piece", tag=(U8, 1), data=(U8, 2))
    return declared(
        "Note", kind=(U8, 1), size=(U16, auto(size_of("text"))), key=(U16, when(field("kind") == 2, 7)),
        count=(U8, 2), text=(Bytes, b""), pieces=(Items(item), many(count=field("count"))),
    )  # fmt: skip


def test_a_declaration_without_a_class_is_planned_scanned_drawn_written_as_lua_and_dumped(note: Declaration) -> None:
    plain = declared("Plain", kind=(U8, 1), size=(U16, auto(size_of("text"))), text=(Bytes, b""))
    assert [type(step).__name__ for step in plain.plan.head] == ["Fixed", "Sized"]
    assert "def trace" in loop_source(plain, []) or "def scan" in loop_source(plain, [])
    assert not RowScanner(plain, {plain: 1}, []).refusal() and RowScanner(note, {note: 1}, []).refusal()
    assert [cell.name for cell in cells(note)] == ["kind", "size", "key", "count", "text", "pieces"]
    assert 'name = "Note"' in wireshark(note) and 'name = "Piece"' in wireshark(note)
    assert [row["name"] for row in describe(note)["fields"]][-1] == "pieces"  # type: ignore[attr-defined, index]


def test_a_codec_makes_headers_of_the_class_that_it_is_given() -> None:
    plain = declared("Plain", kind=(U8, 1), size=(U16, auto(size_of("text"))), text=(Bytes, b""))

    class Made:
        _fields = plain.fields

    with pytest.raises(KeyError):
        Decoding(plain).compile()
    reset(plain)  # nobody has a class of it: there is nothing to reset
    classes.known[plain] = Made  # type: ignore[assignment]
    data = b"\5\0\2hi!"
    for read in (Decoding(plain).compile()(data, 0, 6, Dissection()), walk(plain, data, 0, 6, Dissection())):
        assert type(read[0]) is Made and (read[0]._kind, read[0]._size, read[0]._text) == (5, 2, b"hi")  # type: ignore[attr-defined]
        assert read[1:] == (5, 6, None)
        assert Packing(plain).compile()(read[0], b"!", (read[0],), 0, None) == data[:5] + b"!"


def test_a_header_may_hold_items_of_its_own_sort() -> None:
    size, kind = Field("size", kind_of(U8, ""), auto(size_of("nodes"))), Items(None)
    nodes = Field("nodes", kind, many(size=field("size")))
    node = Declaration("Node", "Node", "by_hand", (size, nodes))
    size.owner = nodes.owner = kind.item = node
    size.bit, nodes.bit, node.proved = 1, 2, True
    check_declaration(node)

    class Made:
        _fields = node.fields

    classes.known[node] = Made  # type: ignore[assignment]
    data, depth = b"", 50
    for _ in range(depth):
        data = bytes([len(data)]) + data
    items, end = items_reader(nodes, False)(data, 0, len(data), None)
    assert end == len(data)
    for _ in range(depth):  # all levels at once
        (one,) = items
        assert type(one) is Made
        items = one._nodes  # type: ignore[attr-defined]
    assert items == () and wireshark(node).count("item = 1") == 1 and len(describe(node)["fields"]) == 2  # type: ignore[arg-type]


@pytest.mark.slow
def test_a_class_lives_as_long_as_it_is_declared_or_somebody_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "listeners", [])  # Hypothesis keeps all classes that it hears of
    with bindings():

        def declare() -> Declaration:
            class Inner(Header):
                tag: U8 = 0

            class Gone(Header, under=UDP, when={"dport": 7777}):
                inner: tuple[Inner, ...] = many(count=1)

            return Gone._declaration

        gone = declare()
        gc.collect()
        assert [type(one).__name__ for one in dissect(bytes(UDP(dport=7777) / b"\5"), UDP).layers] == ["UDP", "Gone"]
        registry.unregister(gone)
        inner = classes[gone].__item_classes__[0]
        bind(classes[gone], UDP, {"dport": 7778})
    gc.collect()
    assert gone not in classes.known and inner._declaration in classes.known
    del inner
    gc.collect()
    assert gone.by_name["inner"].kind.item not in classes.known


def inside(start: object) -> Iterator[object]:
    """Yield all that an object holds, and what that holds; not what code refers to, nor the class of a default value."""
    seen, todo = {id(start)}, [start]
    while todo:
        one = todo.pop()
        yield one
        if not isinstance(one, (type, FunctionType, CodeType, ModuleType)) and not isinstance(type(one), HeaderType):
            new = [other for other in gc.get_referents(one) if id(other) not in seen]
            seen.update(map(id, new))
            todo += new


@pytest.mark.slow
def test_no_declaration_holds_a_header_class() -> None:
    for declaration in registry.declared():
        if declaration.module.startswith("packetlab."):
            assert declaration.plan.steps or not declaration.fields  # worked out by now: it is walked too
            assert [one for one in inside(declaration) if isinstance(one, HeaderType)] == [], declaration.name


def classes_in(text: str) -> list[str]:
    """Return where the text of a module goes by the class of a header, or asks a class for what its declaration says."""
    found = []
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Subscript(value=ast.Name(id="type")) if re.search(r"\b(\w*Header|Any|H)\b", ast.unparse(node.slice)):
                found.append(ast.unparse(node))
            case ast.Name(id="HeaderType") | ast.Attribute(attr="__mro__" | "__subclasses__" | "header_class"):
                found.append(ast.unparse(node))
            case ast.Attribute(value=ast.Call(func=ast.Name(id="type")), attr="_fields" | "_by_name" | "_declaration"):
                found.append(ast.unparse(node))
            case ast.Attribute(value=ast.Name(id="cls"), attr="_fields" | "_by_name" | "header"):
                found.append(ast.unparse(node))
    return found


@pytest.mark.parametrize("path", COMPILERS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_who_works_from_declarations_takes_no_class(path: Path) -> None:
    assert classes_in(path.read_text("utf-8")) == []


@pytest.mark.parametrize("line", [
    "def f(cls: type[AnyHeader]): ...", "x: dict[type[Header], int]", "for f in cls._fields: pass",
    "type(header)._declaration.plan", "a.__mro__", "from packetlab.packet.header import HeaderType; HeaderType",
])  # fmt: skip
def test_the_check_sees_a_class(line: str) -> None:
    assert classes_in(line)
