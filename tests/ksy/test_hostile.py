"""A description may come from anybody: whatever stands in it, it is read as data, bounded, and refused with its place."""

from __future__ import annotations

import random
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from packetlab import DeclareError, bindings, import_ksy
from packetlab.cli import main
from packetlab.errors import PacketlabError
from packetlab.schema.ksy.reading import DEPTH, LETTERS, NODES
from tests.conftest import amount
from tests.ksy.again import ALL, FORMATS, LARGE

HEAD = "meta:\n  id: some\n  endian: be\n"


def refused(folder: Path, text: str | bytes) -> str:
    path = folder / "some.ksy"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with bindings(), pytest.raises(DeclareError) as caught:
        import_ksy(path)
    assert str(path) in str(caught.value) and len(str(caught.value)) < 2000
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", "expected a mapping with the keys of a Kaitai description"),
        ("- 1", "expected a mapping with the keys of a Kaitai description"),
        ("a: [1, 2", r":[12]: expected YAML"),
        ("a: 1\na: 2", r":2: expected each key once, got 'a'"),
        ("seq: []", "expected meta with an id"),
        ("meta: {id: '1; import os'}", r":1: expected a name of up to 48 small letters"),
        (f"meta: {{id: {'a' * 60}}}", r":1: expected a name of up to 48 small letters"),
        ("meta: !!python/object/apply:os.system [echo]", r":1: expected"),
        ("meta: {id: !!python/name:os.system ''}", r":1: expected a value without a tag"),
        (b"meta: {id: \xff}", "expected text in UTF-8, got other bytes"),
        (b"meta: {id: a\x00}", "expected YAML"),
        ("? [1]\n: 2", r":1: expected a name or a number for a key"),
        ("a: *b", r"expected"),
        ("a: &a [*a]", r":1: expected an alias of something before it"),
        ("a: " + "[" * (DEPTH + 2) + "]" * (DEPTH + 2), rf":1: expected {DEPTH} levels at most"),
        ("x" * (LETTERS + 1), f"expected {LETTERS} letters at most"),
        ("meta: {id: a, imports: [../b]}", r""":1: expected a file, as in "/network/udp_datagram", got '\.\./b'"""),
        ("meta: {id: a, imports: [/etc/passwd]}", r":1: expected the file that is imported, /etc/passwd"),
        (HEAD + "  imports:\n    - nothing\n", r":5: expected the file that is imported, nothing, got no .*nothing\.ksy"),
        (HEAD + "seq:\n  - id: a\n    type: nothing\n", r":6: some\.a: expected a type that is there, got 'nothing'"),
        (HEAD + "seq:\n  - id: a\n    typ: u1\n", r":6: expected a key of Kaitai fields, got 'typ' \(did you mean"),
        (HEAD + "seq:\n  - id: a\n    type: u2\n    enum: e\n", r":7: some\.a: expected an enum that is there"),
        ("meta: {id: some}\nseq:\n  - id: a\n    type: u2\n", r":4: some\.a: expected u2le or u2be, or meta/endian"),
        (HEAD + "seq:\n  - id: a\n", r":5: some\.a: expected size, size-eos or terminator"),
        (HEAD + "seq:\n  - id: a\n    size: 1\n  - id: a\n    size: 1\n", r"expected each name once"),
        (HEAD + "seq:\n  - {id: n, type: u1}\n  - {id: a, size: n, process: rot13}\n", r":6: some\.a: expected zlib or xor"),
        (HEAD + "seq:\n  - {id: a, type: str, size: 3, encoding: rot13}\n", r":5: some\.a: expected an encoding"),
        (HEAD + "seq:\n  - {id: a, size: 99999999}\n", r":5: some\.a: expected a size of up to 65536 bytes"),
        (HEAD + "seq:\n  - id: a\n    type: strz\n    size: 4\n    encoding: ASCII\n", r":6: some\.a: expected one thing that says where a value ends, got a size, "
         r"and an end that is looked for within it \(in a type of its own"),
        (HEAD + "seq:\n  - {id: n, type: u1}\n  - id: a\n    size: n\n    terminator: 0\n", r":8: some\.a: expected one thing that says where"),
        (HEAD + "seq:\n  - id: a\n    type: str\n    size-eos: true\n    terminator: 0\n", r":8: some\.a: expected one thing that says where"),
        (HEAD + "seq:\n  - id: a\n    size: 4\n    include: true\n", r":7: some\.a: expected one thing that says where"),
        (HEAD + "seq:\n  - id: a\n    type: b\n    terminator: 0\ntypes: {b: {seq: [{id: c, type: u1}]}}\n", r":7: some\.a: expected a terminator of bytes"),
        (HEAD + "seq:\n  - id: a\n    size: 4\n    pad-right: 0\n", r":7: some\.a: expected text of a size that is a number"),
        (HEAD + "seq:\n  - {id: n, type: u1}\n  - id: a\n    type: str\n    encoding: ASCII\n    size: n\n    pad-right: 0\n", r":10: some\.a: expected text of"),
        (HEAD + "seq:\n  - {id: n, type: u1}\n  - {id: a, size: n, process: zlib, pad-right: 0}\n", r":6: some\.a: expected text of a size"),
        (HEAD + "seq:\n  - {id: n, type: u1}\n  - {id: a, size: n, repeat: expr, repeat-expr: 2, pad-right: 0}\n", r":6: some\.a: expected text of"),
        (HEAD + "seq:\n  - id: k\n    type: u1\n  - id: a\n    size: 4\n    type: {switch-on: k, cases: {1: strz}}\n", r":9: some\.a: expected one thing"),
        (HEAD + "seq:\n  - {id: a, type: u1, repeat: expr}\n", r":5: expected repeat: expr together with repeat-expr"),
        (HEAD + "seq:\n  - {id: a, type: some}\n", r":5: some\.a: expected a type that may end"),
        (HEAD + "seq:\n  - {id: a, type: b}\ntypes:\n  b: {seq: [{id: c, type: some}]}\n", r":7: b\.c: expected types that hold each other"),
        (HEAD + "enums:\n  e: {1: a, 2: a}\n", r":5: expected each name once"),
        (HEAD + "enums:\n  e: {a: b}\n", r":5: expected a number of up to 64 bits"),
        (HEAD + "params:\n  - {id: a, type: str}\n", r":5: expected a parameter that is a number"),
        (HEAD + "seq:\n  - {id: a, size-eos: true}\n  - {id: b, size-eos: true}\n", r":6: Some\.b: expected"),
        (HEAD + "seq:\n  - {id: a, type: b3}\n  - {id: b, type: b5le}\n", r":6: some\.b: expected bits in one order"),
        (HEAD + "seq:\n  - {id: a, type: u1, valid: 300}\n", r":5: Some\.a: expected"),
        (HEAD + "seq:\n  - {id: a, type: u1}\n  - {id: b, type: u1, if: 'a == \"x\"'}\n", r":6: some.b, if: expected a field of text or bytes.*, got a"),
        (HEAD + "seq:\n  - {id: a, type: strz, encoding: ascii}\n  - {id: b, type: u1, if: 'a == \"\"'}\n", r":6: some.b, if: expected letters or bytes to compare with, got none"),
        (HEAD + "seq:\n  - {id: a, type: strz, encoding: ascii}\n  - {id: b, type: u1, if: 'a == [1]'}\n", r":6: some.b, if: expected a text as its letters.*, got list"),
        (HEAD + "seq:\n  - {id: a, type: strz, encoding: ascii}\n  - {id: b, type: u1, if: 'a + \"x\" == \"y\"'}\n", r":6: some.b, if: expected a field to compare with text or bytes, got \+"),
        (HEAD + "seq:\n  - {id: a, type: u1}\n  - {id: b, size: '_io.eof ? 1 : 2'}\n", r":6: some.b, size: expected numbers of fields, .*, got _io"),
        (HEAD + "seq:\n  - {id: a, type: t, if: not _io.eof}\n  - {id: b, size: a.x}\ntypes: {t: {seq: [{id: x, type: u1}]}}\n", r":5: some.a: expected no condition on _io.eof"),
        (HEAD + "seq:\n  - {id: a, size: 'sizeof<t>'}\ntypes: {t: {seq: [{id: x, size-eos: true}]}}\n", r":5: some.a, size: expected a type that always takes as many bytes, got sizeof<t>"),
        (HEAD + "seq:\n  - {id: a, size: 'sizeof<nothing>'}\n", r":5: some.a, size: expected a type that always takes as many bytes, got sizeof<nothing>"),
        (HEAD + "seq:\n  - {id: a, size: 'sizeof<u2'}\n", r":5: sizeof<u2: expected >, got 'the end'"),
        (HEAD + "seq:\n  - {id: a, type: str, size: 4, encoding: UTF-16LE, pad-right: 0}\n", r":5: some\.a: expected text of an encoding whose letters are one byte"),
    ],
)  # fmt: skip
def test_what_is_no_description_is_refused_with_its_place(tmp_path: Path, text: str | bytes, error: str) -> None:
    assert re.search(error, refused(tmp_path, text)), refused(tmp_path, text)


def test_bombs_of_aliases_are_counted_and_not_made(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 8)}]" for n in range(1, 20)]
    assert f"expected {NODES} keys and values at most" in refused(tmp_path, "\n".join(lines))


def test_files_that_import_each_other_are_read_once(tmp_path: Path) -> None:
    (tmp_path / "other.ksy").write_text("meta: {id: other, endian: be, imports: [some]}\nseq:\n  - {id: n, type: u1}\n")
    (tmp_path / "some.ksy").write_text(
        "meta: {id: some, endian: be, imports: [other, some]}\nseq:\n  - {id: o, type: other}\n"
    )
    assert [one.name for one in import_ksy(tmp_path / "some.ksy")] == ["Other", "Some"]
    for n in range(80):
        (tmp_path / f"f{n}.ksy").write_text(f"meta: {{id: f{n}, imports: [f{n + 1}]}}\n")
    with pytest.raises(DeclareError, match="expected 64 files at most"):
        import_ksy(tmp_path / "f0.ksy")
    (tmp_path / "same.ksy").write_text("meta: {id: some}\n")
    (tmp_path / "two.ksy").write_text("meta: {id: two, imports: [same, some]}\n")
    with pytest.raises(DeclareError, match="expected an id that no other file has, got some"):
        import_ksy(tmp_path / "two.ksy")


def test_names_and_texts_of_a_file_do_nothing_where_they_are_printed(tmp_path: Path, capsys: Any) -> None:
    doc = r'"A \"quoted\" text, \"\"\" and \\ \e[31m and {braces} \u202e"'
    text = HEAD + f"doc: {doc}\nseq:\n" + "".join(
        f"  - {{id: {name}, type: u1}}\n" for name in ("class", "field", "sized", "self", "payload", "state", "bits", "none", "print")
    )  # fmt: skip
    path = tmp_path / "some.ksy"
    path.write_text(
        text + "  - {id: text, size: sized}\nenums:\n  e: {1: name, 2: value, 3: mro, 4: none, 5: real}\n",
        encoding="utf-8",
    )
    found = import_ksy(path)
    source = str(found)
    assert source.isascii() and "\x1b" not in source
    with bindings():
        names: dict[str, Any] = {"__name__": "described"}
        exec(compile(source, "some", "exec"), names)
        made = names["Some"](class_=1, field_=2, self_=0, payload_=0, state=1, bits_=1, none=0, print=3, text_=b"ab")
        assert bytes(made)[2:3] == b"\2"  # how long the text is
    bad = tmp_path / "b\x1b[31mad.ksy"
    bad.write_text("meta: {id: 1}")
    assert main(["import", "ksy", str(bad)]) == 2
    assert "\x1b" not in capsys.readouterr().err


def test_a_file_that_is_not_there_is_the_systems_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        import_ksy(tmp_path / "nothing.ksy")
    assert main(["import", "ksy", str(tmp_path / "nothing.ksy")]) == 2


def mutated(text: str, chance: random.Random) -> str:
    """Return a text with a few of its lines, words or letters changed, doubled, dropped or moved."""
    lines = text.split("\n")
    for _ in range(chance.randrange(1, 5)):
        at, other = chance.randrange(len(lines)), chance.randrange(len(lines))
        what = chance.randrange(8)
        words = lines[at].split(" ")
        if what == 0:
            del lines[at : at + chance.randrange(1, 4)]
        elif what == 1:
            lines.insert(other, lines[at])
        elif what == 2:
            lines[at], lines[other] = lines[other], lines[at]
        elif what == 3 and words:
            words[-1] = chance.choice(["u1", "b3", "b1", "str", "0", "-1", "99999999999", "''", "[]", "{}", "null", "true", "_root", "_parent.x",
                                       "_io.pos", "a + 1", "1 ? 2 : 3", "eos", "until", "x::y", "[0x41, b]", "&a *a", "f8", "u8le", "strz"])  # fmt: skip
            lines[at] = " ".join(words)
        elif what == 4:
            pick = chance.choice(lines).split()
            lines[at] = " ".join([*words[:-1], *pick[-1:]])
        elif what == 5 and lines[at]:
            place = chance.randrange(len(lines[at]))
            lines[at] = (
                lines[at][:place]
                + chance.choice("{}[]:-'\"#&*!|>%@`\t\x00é09az ")
                + lines[at][place + chance.randrange(2) :]
            )
        elif what == 6:
            lines[at] = "  " + lines[at] if chance.random() < 0.5 else lines[at][2:]
        else:
            lines[at] += chance.choice([" + 1", ".x", " == 1", "_", ": 1", "(1)", " #"])
        lines = lines or [""]
    return "\n".join(lines)


VALUES: list[Any] = ["u1", "b3", "b1", "u8le", "f4be", "str", "strz", 0, -1, 1 << 70, "", [], {}, None, True, "_root", "_parent.x", "_io.pos", "1 + 1",
                     "a ? b : c", "eos", "until", "expr", "x::y", [65, "b"], "_", "_.x == 1", "name", "length", "le", "zlib", "xor(3)", "type", 255]  # fmt: skip
KEYS = ["size", "if", "repeat", "repeat-expr", "repeat-until", "enum", "contents", "terminator", "process", "size-eos", "encoding", "valid", "pos", "io",
        "value", "type", "pad-right", "consume", "include"]  # fmt: skip


def changed(tree: Any, chance: random.Random) -> None:
    """Change something of a description that has been read."""
    at, inside = tree, []
    while isinstance(at, dict | list) and at:
        inside.append(at)
        at = at[chance.choice([*at] if isinstance(at, dict) else range(len(at)))]
    for _ in range(chance.randrange(1, 4)):
        one = chance.choice(inside)
        key = chance.choice([*one] if isinstance(one, dict) else range(len(one))) if one else None
        match chance.randrange(5):
            case 0 if key is not None:
                del one[key]
            case 1 if key is not None:
                one[key] = chance.choice(VALUES)
            case 2 if isinstance(one, dict):
                one[chance.choice(KEYS)] = chance.choice(VALUES)
            case 3 if isinstance(one, list) and one:
                one.insert(chance.randrange(len(one)), chance.choice(one))
            case 4 if key is not None and isinstance(one[key], str):
                one[key] = chance.choice(
                    [
                        f"({one[key]}) + 1",
                        f"{one[key]}.x",
                        f"not {one[key]}",
                        f"{one[key]}_",
                        f"{one[key]}(1)",
                        one[key][1:],
                    ]
                )


@pytest.mark.parametrize("sort", ["letters", "values"])
@pytest.mark.parametrize(
    "name", [name for name in ALL if name not in LARGE]
)
def test_spoilt_descriptions_are_read_or_refused_and_nothing_else(tmp_path: Path, name: str, sort: str) -> None:
    text, chance = (FORMATS / f"{name}.ksy").read_text(), random.Random(f"{name} {sort}")
    path = tmp_path / "some.ksy"
    for _ in range(amount(8, 500)):
        if sort == "letters":
            path.write_text(mutated(text, chance), encoding="utf-8")
        else:
            tree = yaml.safe_load(text)
            changed(tree, chance)
            path.write_text(yaml.safe_dump(tree, sort_keys=False), encoding="utf-8")
        error = None
        try:
            with bindings():
                str(import_ksy(path, [FORMATS.parent]))
        except PacketlabError as found:
            error = found
        assert error is None or ".ksy" in str(error), f"{error}\n{path.read_text()}"


@pytest.mark.slow
def test_many_types_are_many_headers_up_to_a_bound(tmp_path: Path) -> None:
    def text(count: int) -> str:
        fields = "".join(f"  - {{id: f{n}, type: t{n}}}\n" for n in range(count))
        return (
            HEAD
            + f"seq:\n{fields}types:\n"
            + "".join(f"  t{n}: {{seq: [{{id: a, type: u1}}]}}\n" for n in range(count))
        )

    path = tmp_path / "some.ksy"
    path.write_text(text(100))
    with bindings():
        assert len(import_ksy(path).declare()) == 101
    assert "256 types at most" in refused(tmp_path, text(300))


def test_types_that_hold_two_of_the_next_again_and_again_are_counted(tmp_path: Path) -> None:
    types = "".join(f"  t{n}: {{seq: [{{id: a, type: t{n + 1}}}, {{id: b, type: t{n + 1}}}]}}\n" for n in range(20))
    text = HEAD + f"seq: [{{id: a, type: t0}}]\ntypes:\n{types}  t20: {{seq: [{{id: a, type: u1}}]}}\n"
    assert "headers inside headers, 24 deep and 4096 of them at most" in refused(tmp_path, text)


def test_types_that_are_taken_in_again_and_again_are_counted(tmp_path: Path) -> None:
    fields = " ".join(f"{{id: f{n}, type: t1}}," for n in range(20))
    text = HEAD + f"seq: [{fields} {{id: x, size: {' + '.join(f'f{n}.f0.f0.f0.a' for n in range(20))}}}]\ntypes:\n"
    for level in range(1, 4):
        fields = ", ".join(f"{{id: f{n}, type: t{level + 1}}}" for n in range(20))
        uses = " + ".join(f"f{n}{'.f0' * (3 - level)}.a" for n in range(20))
        text += f"  t{level}: {{seq: [{fields}, {{id: y, size: {uses}}}]}}\n"
    assert "1024 types at most that become part of others" in refused(
        tmp_path, text + "  t4: {seq: [{id: a, type: u1}]}\n"
    )
