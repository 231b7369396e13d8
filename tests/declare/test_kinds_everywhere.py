"""What a new kind of field takes: its class, a row in the table of descriptions, a public name. All else goes by what it says."""

from __future__ import annotations

import ast
import inspect
import os
import pathlib
import re
import shutil
import subprocess
import sys
from typing import Annotated, Any

import pytest
from hypothesis import given, settings

import packetlab as pl
from packetlab import (
    U8,
    BuildError,
    Bytes,
    Capture,
    Ether,
    Header,
    Kind,
    auto,
    bindings,
    count_of,
    declare_from,
    describe,
    dissect,
    field,
    many,
    size_of,
    sized,
    strategies,
)
from packetlab.bulk import scannable
from packetlab.codec.objects import classes
from packetlab.declare import kinds
from packetlab.declare.plan import Coded
from packetlab.export import dpkt_class, scapy_class
from packetlab.export.wireshark import wireshark
from packetlab.schema.source import class_body
from tests.conftest import amount

ROOT = pathlib.Path(pl.__file__).parent
KINDS = {name for name, one in vars(kinds).items() if isinstance(one, type) and issubclass(one, Kind)}


def trees() -> dict[str, ast.Module]:
    """Return what can ask a kind for its class: the modules that have a name of one."""
    texts = {str(path.relative_to(ROOT)): path.read_text("utf-8") for path in ROOT.rglob("*.py")}
    named = re.compile(rf"\b(?:{'|'.join(KINDS)})\b")
    return {name: ast.parse(text) for name, text in texts.items() if named.search(text)}


def called(node: ast.AST, *names: str) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names


@pytest.mark.slow
def test_nobody_asks_a_kind_for_its_class() -> None:
    """But those who tell annotations that are kinds from others, and the table by which kinds travel."""
    found: dict[str, int] = {}
    for name, tree in trees().items():
        for node in ast.walk(tree):
            asks = called(node, "isinstance", "issubclass")
            asks = asks or (isinstance(node, ast.Compare) and called(node.left, "type"))
            if asks and KINDS & {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}:
                found[name] = found.get(name, 0) + 1
    assert set(found) <= {"declare/annotations.py", "schema/kinds.py"}, found
    assert sum(found.values()) <= 12, found


class Twelve(Kind):
    """A number of 12 bits and four that are 0, as bytes: of a fixed width."""

    bits = 16
    zero = bytes(2)
    words = "twelve bits"

    def raw(self, value: Any, where: str) -> bytes:
        if not isinstance(value, int) or not 0 <= value < 1 << 12:
            raise BuildError(where, "0..4095", repr(value))
        return (value << 4).to_bytes(2, "big")

    def value(self, raw: bytes) -> int:
        return int.from_bytes(raw, "big") >> 4


class Length(Kind):
    """One byte up to 254, else 255 and two: of its own width."""

    zero = 0
    low, high = 0, 65535

    def raw(self, value: Any, where: str) -> int:
        if not isinstance(value, int) or not 0 <= value <= self.high:
            raise BuildError(where, "0..65535", repr(value))
        return int(value)

    def read(self, data: bytes, pos: int, limit: int) -> tuple[int, int] | None:
        if pos < limit and data[pos] < 255:
            return data[pos], pos + 1
        number = int.from_bytes(data[pos + 1 : pos + 3], "big")
        return (number, pos + 3) if pos + 3 <= limit and number >= 255 else None

    def write(self, raw: int) -> bytes:
        return bytes([raw]) if raw < 255 else b"\xff" + raw.to_bytes(2, "big")


def declared(twelve: Any = Annotated[int, Twelve()], length: Any = Annotated[int, Length()]) -> Any:
    class Piece(Header):
        tag: length = 300  # type: ignore[valid-type]
        mark: twelve = 7  # type: ignore[valid-type]
        size: U8 = auto(size_of("data"))
        data: Bytes = b""

    class Load(Header, under=Ether, when={"type": 0x88B5}):
        id: twelve = 0xABC  # type: ignore[valid-type]
        size: length = auto(size_of("text"))  # type: ignore[valid-type]
        text: Bytes = sized(field("size"), b"")
        count: U8 = auto(count_of("pieces"))
        pieces: tuple[Piece, ...] = many(count=field("count"))
        end: U8 = 1

    return Load


def made_of(load: Any) -> list[bytes]:
    """Return packets with such a header: of the first the pieces have data, of the second one, of the third none."""
    piece = classes[load._by_name["pieces"].kind.item]
    pieces = [[piece(tag=n, data=b"xy"), piece(mark=n)][:more] for n, more in ((1, 2), (300, 1), (5, 0))]
    return [
        bytes(Ether() / load(id=n, text=b"x" * n, pieces=some)) for n, some in zip((1, 300, 5), pieces, strict=True)
    ]


@pytest.mark.slow
def test_a_new_kind_of_the_tree_touches_three_files(tmp_path: pathlib.Path) -> None:
    """In a copy of the package two kinds are added, each with a row and a name in a file. Then they have everything."""
    copy = tmp_path / "packetlab"
    shutil.copytree(ROOT, copy)  # with what is compiled
    row = (
        '"{0}": Form("rule const when default", lambda one: type(one) is kinds.{1}, lambda one, where: {{}}, '
        'lambda row, where, maker: kinds.{1}(), lambda row, where, enums: "{1}Field"),\n'
    )
    more = {
        "declare/kinds.py": "".join(
            f"\n\n{inspect.getsource(one)}\n\n{one.__name__}Field = Annotated[int, {one.__name__}()]\n"
            for one in (Twelve, Length)
        ),
        "schema/kinds.py": f"FORMS = {{{row.format('twelve', 'Twelve')}{row.format('length', 'Length')}**FORMS}}\n",
        "__init__.pyi": "from packetlab.declare.kinds import TwelveField as TwelveField, LengthField as LengthField\n",
    }
    for name, text in more.items():
        (copy / name).write_text((copy / name).read_text("utf-8") + text, "utf-8")
    program = "import tests.declare.test_kinds_everywhere as here; here.of_the_tree()"
    env = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT.parent}"}
    done = subprocess.run(
        [sys.executable, "-c", program], env=env, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    changed = [str(path.relative_to(copy)) for path in copy.rglob("*.py*") if "__pycache__" not in path.parts
               and path.read_bytes() != ((ROOT / path.relative_to(copy)).read_bytes())]  # fmt: skip
    assert sorted(changed) == sorted(more) and len(more) == 3


def of_the_tree() -> None:
    """In a package that has these kinds: they are its own, and a declaration with them travels and is printed."""
    with bindings():
        load = declared(pl.TwelveField, pl.LengthField)
        data = [describe(load._by_name["pieces"].kind.item), describe(load)]
        wires = made_of(load)
    assert [row["kind"] for row in data[1]["fields"]] == ["twelve", "length", "bytes", "int", "items", "int"]
    assert '    id: TwelveField = 2748\n    size: LengthField = auto(size_of("text"))' in class_body(data[1])
    with bindings():
        works_everywhere(declare_from(data)[-1], wires)


def test_a_kind_of_a_users_file_touches_none() -> None:
    with bindings():
        load = declared()
        works_everywhere(load, made_of(load))


def works_everywhere(load: Any, wires: list[bytes]) -> None:
    read = [dissect(wire) for wire in wires]
    assert [packet[load].id for packet in read] == [1, 300, 5] and [packet[load].size for packet in read] == [1, 300, 5]
    assert not any(packet.faults for packet in read) and [packet.encode() for packet in read] == wires
    for cut in range(14, len(wires[0])):
        damaged = dissect(wires[0][:cut])
        assert bytes(damaged) == wires[0][:cut] and (damaged.faults or cut == 14)
    assert "size_of(text)" in str(read[0].why(load, "size")) and "id" in str(read[0].show())
    assert "Load" in str(read[0].diff(read[2])) and load(id=5).matches(read[2])
    assert "size ..." in str(pl.diagram(load)) and "twelve bits" in pl.diagram(load).markdown()
    captured = Capture.of(read)
    assert captured.table("load.size")["load.size"].tolist() == [1, 300, 5]
    assert captured.table("load.id").read().text("load.id") == ["1", "300", "5"]
    assert captured.where("load.size >= 5").count() == captured.where("load.id >= 5").count() == 2
    assert captured.where(load(id=5)).count() == captured.where(load(id=pl.between(2, 299))).count() == 1
    assert captured.where("load.pieces.tag > 255").count() == 2 and captured.where("load.pieces.mark < 5").count() == 1
    rows = read[2].vary(3, {"load.id": [7, 8, 9], "load.text": [b"", b"x"]}).batch()
    assert [dissect(row)[load].id for row in rows] == [7, 8, 9]
    for case in [case for packet in read for case in pl.malformed(packet)]:
        assert not case.disagreements(), case

    @settings(max_examples=amount(20, 1000), deadline=None)
    @given(strategies.headers(load))
    def drawn(header: Any) -> None:
        assert dissect(bytes(Ether() / header))[load] == header

    drawn()
    for made in (scapy_class(load), dpkt_class(load)):
        there = made(wires[0][14:])
        assert bytes(there) == wires[0][14:] and (there.id, there.size) == (1, 1)
        there.id = 7
        assert bytes(there) == bytes(read[0].replace(load, id=7))[14:]
        assert bytes(made(id=9, text=b"yz")) == bytes(load(id=9, text=b"yz"))
    with pytest.raises(BuildError, match=r"Load\.size: .*Length"):
        pl.wireshark(load)


@pytest.mark.parametrize("reasons", [scannable.CANNOT, wireshark.CANNOT])
def test_what_cannot_have_a_step_says_why_and_the_page_says_so_too(reasons: dict[type[object], str]) -> None:
    page = (ROOT.parent / "notebooks" / "design.md").read_text("utf-8")
    assert Coded in reasons
    for step, why in reasons.items():
        assert f"`{step.__name__}`" in page and why in page


def test_lua_shows_the_bytes_of_a_kind_of_a_fixed_width() -> None:
    with bindings():

        class Dozen(Header, under=Ether, when={"type": 0x88B5}):
            id: Annotated[int, Twelve()] = 5

        assert 'name = "id", abbr = "id", kind = "bytes", bits = 16' in str(pl.wireshark(Dozen))
