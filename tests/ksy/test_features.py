"""What Kaitai's language has, each as it is read and built."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from packetlab import BuildError, DeclareError, bindings, describe, dissect, import_ksy
from tests.ksy.again import FORMATS, read

HEAD = "meta: {id: some, endian: be, encoding: ASCII}\n"


@pytest.fixture
def described(tmp_path: Path) -> Any:
    """Return a function of a description that gives its class."""

    def made(text: str) -> Any:
        path = tmp_path / "some.ksy"
        path.write_text(HEAD + text)
        return import_ksy(path).declare()[0]

    with bindings():
        yield made


FORMS: dict[str, tuple[str, str, Callable[[Any], Any], Any]] = {
    "numbers": (
        "seq: [{id: a, type: u2le}, {id: b, type: s4}, {id: c, type: f4le}, {id: d, type: f8}, {id: e, type: s1}, {id: f, type: u8le}]",
        "0100 fffffffe 0000c03f 4000000000000000 ff 0200000000000000", lambda h: (h.a, h.b, h.c, h.d, h.e, h.f), (1, -2, 1.5, 2.0, -1, 2)),
    "bits fill up to a byte": (
        "seq: [{id: a, type: b3}, {id: b, type: b4}, {id: c, type: u1}]", "b2 07", lambda h: (h.a, h.b, h.c), (5, 9, 7)),
    "bits, lowest first": (
        "seq: [{id: a, type: b3le}, {id: b, type: b13le}]",
        "2b 01", lambda h: (h.a, h.b), (3, 0x12B >> 3)),
    "wide bits": ("seq: [{id: a, type: b1}, {id: b, type: b71}]", "80 0000000000000003", lambda h: (h.a, h.b), (1, 3)),
    "text": (
        "seq: [{id: a, type: str, size: 4, pad-right: 0x20}, {id: b, type: strz}, {id: c, type: str, terminator: 10}, {id: d, type: str, size-eos: true}]",
        "61622020 6300 640a 6566", lambda h: (h.a, h.b, h.c, h.d), ("ab", "c", "d", "ef")),
    "text up to an end within a size": (
        "seq: [{id: n, type: u1}, {id: a, type: t, size: n}, {id: b, type: t, size: 3}]\ntypes: {t: {seq: [{id: value, type: strz}]}}",
        "05 6162007878 630000", lambda h: (h.a.value, h.a.unread, h.b.value, h.b.unread), ("ab", b"xx", "c", b"\0")),
    "text in two bytes": ("seq: [{id: a, type: str, size: 4, encoding: UTF-16LE}]", "61006200", lambda h: h.a, "ab"),
    "bytes up to a delimiter": ("seq: [{id: a, terminator: 0}, {id: b, size-eos: true}]", "0102 00 03", lambda h: (h.a, h.b), (b"\1\2", b"\3")),
    "numbers up to one of them": (
        "seq: [{id: a, type: u1, repeat: until, repeat-until: _ == 0}]", "0102 00", lambda h: [one.value for one in h.a], [1, 2, 0]),
    "items up to one of them": (
        "seq: [{id: a, type: t, repeat: until, repeat-until: _.last == 1}]\ntypes: {t: {seq: [{id: last, type: u1}, {id: n, type: u1}]}}",
        "0007 0108", lambda h: [one.n for one in h.a], [7, 8]),
    "a list of bytes of a size": (
        "seq: [{id: n, type: u1}, {id: s, type: u1}, {id: a, size: s, repeat: expr, repeat-expr: n}]", "02 03 616263 646566",
        lambda h: [one.value for one in h.a], [b"abc", b"def"]),
    "a list of texts": ("seq: [{id: a, type: strz, repeat: eos}]", "6100 6200", lambda h: [one.value for one in h.a], ["a", "b"]),
    "a list of types of a size": (
        "seq: [{id: n, type: u1}, {id: a, type: t, size: n, repeat: eos}]\ntypes: {t: {seq: [{id: x, type: u1}]}}", "02 0107 0208",
        lambda h: [(one.value.x, one.value.unread) for one in h.a], [(1, b"\7"), (2, b"\x08")]),
    "a list of what depends": (
        "seq: [{id: k, type: u1}, {id: a, type: {switch-on: k, cases: {1: u1, 2: u2}}, repeat: expr, repeat-expr: 2}]", "02 0001 0002",
        lambda h: [one.value_u2 for one in h.a], [1, 2]),
    "a number that depends": (
        "seq: [{id: k, type: u1}, {id: a, type: {switch-on: k, cases: {1: u1, 2: u2, _: u4}}}]", "05 00000009", lambda h: (h.a_u1, h.a_u4), (None, 9)),
    "what is around": (
        "seq: [{id: k, type: u1}, {id: a, type: t, repeat: eos}]\ntypes: {t: {seq: [{id: x, type: u1, if: _parent.k == 1}, {id: y, type: u1}]}}",
        "01 0203 0405", lambda h: [(one.x, one.y) for one in h.a], [(2, 3), (4, 5)]),
    "what is at the root": (
        "seq: [{id: k, type: u1}, {id: a, type: t}]\ntypes: {t: {seq: [{id: b, type: v, repeat: expr, repeat-expr: 2}]}, v: {seq: [{id: z, size: _root.k}]}}",
        "02 6162 6364", lambda h: [one.z for one in h.a.b], [b"ab", b"cd"]),
    "parameters": (
        "seq: [{id: k, type: u1}, {id: a, type: 't(k * 2)'}]\ntypes: {t: {params: [{id: size, type: u1}], seq: [{id: x, size: size}]}}",
        "02 61626364", lambda h: h.a.x, b"abcd"),
    "compressed": (
        "seq: [{id: n, type: u1}, {id: a, size: n, process: zlib, type: t}]\ntypes: {t: {seq: [{id: x, type: u2}]}}",
        f"{len(zlib.compress(bytes(2), 6)):02x} {zlib.compress(bytes(2), 6).hex()}", lambda h: h.a.x, 0),
    "masked": ("seq: [{id: k, type: u1}, {id: a, size: 3, process: xor(k)}]", "ff 9e9d9c", lambda h: h.a, b"abc"),
    "masked, and what is around": (
        "seq: [{id: k, type: u1}, {id: a, size: 3, process: xor(85), type: t}]\n"
        "types: {t: {seq: [{id: x, type: u1, if: _parent.k == 1}, {id: y, type: u1}, {id: z, size: _root.k}]}}",
        "01 545756", lambda h: (h.a.x, h.a.y, h.a.z), (1, 2, b"\3")),
    "masked with bytes": ("seq: [{id: a, size: 3, process: 'xor([1, 2])'}]", "606062", lambda h: h.a, b"abc"),
    "contents": ("seq: [{id: a, contents: [0x41, b, 3]}, {id: b, contents: hi}]", "416203 6869", lambda h: h.a, b"Ab\3"),
    "a number that is valid": ("seq: [{id: a, type: u2, valid: 5}, {id: b, type: u1, valid: {eq: 2}}]", "0005 02", lambda h: h.b, 2),
    "computed": (
        "seq: [{id: a, type: u1}]\ninstances: {twice: {value: a * 2}, big: {value: 'twice > 9 ? 1 : 0'}}", "07", lambda h: (h.twice, h.big), (14, 1)),
    "a type in itself": (
        "seq: [{id: n, type: u1}, {id: next, type: some, if: n > 0}]", "02 01 00", lambda h: (h.next.next.n, h.next.next.next), (0, None)),
    "trees": (
        "seq: [{id: t, type: u1}, {id: n, type: u1}, {id: b, size: n, type: {switch-on: t, cases: {1: nodes}}}]\ntypes: {nodes: {seq: [{id: all, type: some, repeat: eos}]}}",
        "01 05 0001ff 0100", lambda h: len(h.b_nodes.all), 2),
    "either order of bytes": (
        "seq: [{id: k, type: u1}, {id: a, type: t}]\ntypes:\n  t:\n    meta: {endian: {switch-on: _root.k, cases: {1: le, 2: be}}}\n    seq: [{id: x, type: u2}]",
        "01 0100", lambda h: (h.a_le.x, h.a_be), (1, None)),
    "text that another field goes by": (
        "seq: [{id: k, type: str, size: 2}, {id: a, type: u1, if: k == 'ab'}, {id: b, type: u2, if: 'k != \"ab\"'}]",
        "4142 0007", lambda h: (h.a, h.b), (None, 7)),
    "text that a type goes by": (
        "seq: [{id: k, type: strz}, {id: a, type: {switch-on: k, cases: {'\"ab\"': u1, '\"cd\"': u2, _: u4}}}]",
        "636400 0007", lambda h: (h.a_u1, h.a_u2, h.a_u4), (None, 7, None)),
    "text that none of the cases is": (
        "seq: [{id: k, type: strz}, {id: a, type: {switch-on: k, cases: {'\"ab\"': u1, '\"cd\"': u2, _: u4}}}]",
        "4344 00 00000007", lambda h: (h.a_u1, h.a_u2, h.a_u4), (None, None, 7)),
    "padded text that a type goes by": (
        "seq: [{id: k, type: str, size: 4, pad-right: 0x20}, {id: a, size: 1, type: {switch-on: k, cases: {'\"ab\"': t, '\"abcde\"': t}}}]\n"
        "types: {t: {seq: [{id: x, type: u1}]}}", "61622020 07", lambda h: (h.a_t.x, h.a), (7, None)),
    "text in two bytes that a field goes by": (
        "seq: [{id: k, type: str, size: 4, encoding: UTF-16LE}, {id: a, type: u1, if: '\"ab\" == k'}]", "61006200 07", lambda h: h.a, 7),
    "text that no field can be": (
        "seq: [{id: k, type: str, size: 2}, {id: a, type: u1, if: k == 'abc'}, {id: b, type: u1, if: k != 'abc'}]", "6162 07", lambda h: (h.a, h.b), (None, 7)),
    "bytes of what is around": (
        "seq: [{id: k, size: 2}, {id: a, type: t}]\ntypes: {t: {seq: [{id: x, type: u1, if: '_parent.k == [1, 2]'}, {id: y, type: u1}]}}",
        "0102 0304", lambda h: (h.a.x, h.a.y), (3, 4)),
    "texts up to one of them": (
        "seq: [{id: a, type: strz, repeat: until, repeat-until: _ == 'end'}, {id: b, type: u1}]", "6100 656e6400 07", lambda h: ([one.value for one in h.a], h.b),
        (["a", "end"], 7)),
    "items up to a text": (
        "seq: [{id: a, type: t, repeat: until, repeat-until: _.k == 'z' or _io.eof}, {id: b, type: u1}]\ntypes: {t: {seq: [{id: k, type: str, size: 1}]}}",
        "61 7a 07", lambda h: ([one.k for one in h.a], h.b), (["a", "z"], 7)),
    "text of a type that goes by text": (
        "seq: [{id: k, type: str, size: 2}, {id: b, size-eos: true, type: {switch-on: k, cases: {'\"ab\"': some}}}]", "6162 6364 ff",
        lambda h: (h.b_some.k, h.b_some.b), ("cd", b"\xff")),
    "text in what is worked out": (
        "seq: [{id: n, type: u1}, {id: k, type: str, size: n}]\ninstances: {is_abc: {value: 'k == \"abc\" or n == 0'}}", "03 616263", lambda h: h.is_abc, 1),
    "what is there if bytes are left": (
        "seq: [{id: k, type: u1}, {id: a, type: u1, if: not _io.eof and k == 1}, {id: b, type: u1, if: _io.eof == false}]", "02 07", lambda h: (h.a, h.b), (None, 7)),
    "what is not there if none are": (
        "seq: [{id: k, type: u1}, {id: a, type: u1, if: k == 1 and not _io.eof}, {id: b, type: t, if: not _io.eof}]\ntypes: {t: {seq: [{id: x, type: u1}]}}", "01",
        lambda h: (h.a, h.b), (None, None)),
    "what lies at a place": (
        "seq: [{id: n, type: u1}, {id: o, type: u2}]\ninstances: {x: {pos: o, size: n}}", "02 0003 6162", lambda h: (h.x_gap, h.x), (b"", b"ab")),
    "several that lie at places": (
        "seq: [{id: n, type: u1}, {id: o, type: u2}, {id: p, type: u2}]\n"
        "instances: {x: {pos: o, type: u4}, y: {pos: p, type: t, repeat: expr, repeat-expr: n}}\ntypes: {t: {seq: [{id: x, type: u1}, {id: y, type: u1}]}}",
        "02 0005 0009 00000007 01020304", lambda h: (h.x, [(one.x, one.y) for one in h.y]), (7, [(1, 2), (3, 4)])),
    "what lies at a place of a type that has a size": (
        "seq: [{id: n, type: u1}, {id: a, type: t, size: n}, {id: b, type: u1}]\n"
        "types: {t: {seq: [{id: o, type: u1}], instances: {z: {pos: o, type: strz}}}}", "05 01 616200 07 08", lambda h: (h.a.z, h.a.unread, h.b), ("ab", b"\7", 8)),
    "what lies at a place if a number says so": (
        "seq: [{id: o, type: u1}, {id: b, type: u1}]\ninstances: {x: {pos: o, type: u1, if: o > 0}}", "00 01", lambda h: (h.x, h.x_gap), (None, None)),
    "what lies behind all fields": ("seq: [{id: a, type: u1}]\ninstances: {x: {pos: 3, type: u2}}", "01 0000 0007", lambda h: h.x, 7),
    "the size of a type": (
        "seq: [{id: n, type: u1}, {id: a, size: 'n - sizeof<u1> + sizeof<t> + bitsizeof<b16> / 8 + sizeof<b3>'}]\n"
        "types: {t: {seq: [{id: x, type: u2}, {id: y, size: 3}]}}", "02 000102030405060708", lambda h: len(h.a), 9),
    "all that is left": ("seq: [{id: a, type: u1}, {id: b, size: _io.size - _io.pos}]", "01 6162", lambda h: h.b, b"ab"),
    "sizes of sizes": ("seq: [{id: a, type: u1}, {id: b, size: a * 2 + 1}]", "01 616263", lambda h: (h.a, h.b), (1, b"abc")),
    "names that Python has": ("seq: [{id: class, type: u1}, {id: size_of, type: u1}]", "01 02", lambda h: (h.class_, h.size_of_), (1, 2)),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_each_is_read_and_built_back(described: Any, form: str) -> None:
    text, data, value, expected = FORMS[form]
    cls = described(text)
    assert value(read(cls, bytes.fromhex(data))) == expected


def test_lengths_follow_where_one_field_tells_them(described: Any) -> None:
    cls = described(
        "seq: [{id: n, type: u1}, {id: a, size: n - 2}, {id: m, type: u2}, {id: b, type: u2, repeat: expr, repeat-expr: m / 2}]"
    )
    assert bytes(cls(a=b"abc", b=[1, 2])) == bytes.fromhex("05 616263 0004 0001 0002")


@pytest.mark.parametrize("size", ["n & 0x3f", "n & 15", "n & 7", "n % 4", "(n & 0x70) >> 4", "n * 2 - 1"])
def test_a_number_of_which_only_some_bits_tell_a_size_is_up_to_who_builds(described: Any, size: str) -> None:
    cls = described(f"seq: [{{id: n, type: u1}}, {{id: d, size: '{size}'}}]")
    data = bytes([0x72]) + bytes(range(227))
    read = dissect(data, cls)
    assert not read.faults
    assert bytes(read) == data
    count = len(read[cls].d)
    assert count == {"n & 0x3f": 50, "n & 15": 2, "n & 7": 2, "n % 4": 2, "(n & 0x70) >> 4": 7, "n * 2 - 1": 227}[size]
    for more in (70, 130):
        with pytest.raises(BuildError, match=r"Some\.[nd]: expected"):
            bytes(cls(d=b"x" * more))
    assert bytes(cls(n=0x72, d=read[cls].d)) == data[: 1 + count]


def test_places_follow_where_one_field_tells_them(described: Any) -> None:
    cls = described(
        "seq: [{id: o, type: u1}, {id: a, type: strz}, {id: n, type: u1}, {id: p, type: u1}]\n"
        "instances: {x: {pos: o, size: n}, y: {pos: p, type: u2}}"
    )
    assert bytes(cls(a="a", x=b"bc", y=7)) == bytes.fromhex("05 6100 02 07 6263 0007")
    assert bytes(cls(a="a", x=b"bc", y=7, o=6)) == bytes.fromhex("06 6100 02 08 00 6263 0007")
    packet = dissect(bytes(cls(a="a", x=b"bc", y=7)), cls)
    assert bytes(packet.replace({"some.x": b"long", "some.a": ""})) == bytes.fromhex("04 00 04 08 6c6f6e67 0007")


def test_places_in_any_order_with_other_bytes_between_are_kept(described: Any) -> None:
    cls = described(
        "seq: [{id: n, type: u1}, {id: o, type: u2}, {id: p, type: u2}]\n"
        "instances: {x: {pos: o, type: u4}, y: {pos: p, type: t, repeat: expr, repeat-expr: n}}\ntypes: {t: {seq: [{id: x, type: u1}, {id: y, type: u1}]}}"
    )
    data = bytes.fromhex("02 000b 0006 ff 01020304 ee 00000007")
    packet = dissect(data, cls)
    header = packet[cls]
    assert not packet.faults and bytes(packet) == data
    assert (header.x, [(one.x, one.y) for one in header.y]) == (7, [(1, 2), (3, 4)])


def test_a_place_among_other_fields_is_a_fault(described: Any) -> None:
    cls = described("seq: [{id: o, type: u1}, {id: b, type: u2}]\ninstances: {x: {pos: o, type: u1}}")
    assert [fault.field for fault in dissect(bytes([1, 2, 3, 4]), cls).faults] == ["x_gap"]


@pytest.mark.parametrize(
    "text",
    [
        "seq: [{id: o, type: u1}, {id: b, size-eos: true}]\ninstances: {x: {pos: o, type: u1}}",
        "seq: [{id: o, type: u1}]\ninstances: {x: {pos: o, type: 't(b)'}}\ntypes: {t: {params: [{id: k, type: u1}], seq: [{id: y, type: u1}]}}",
        "seq: [{id: o, type: u1}]\ninstances: {x: {pos: o + _io.pos, type: u1}}",
        "seq: [{id: o, type: u1}]\ninstances: {x: {io: _root._io, pos: o, type: u1}}",
    ],
)
def test_what_lies_at_a_place_is_left_out_where_it_cannot_be_said(described: Any, text: str) -> None:
    cls = described(text)
    assert "x: left out" in cls.__doc__ and not dissect(b"\1abc", cls).faults


def test_what_is_not_there_is_named_in_the_docstring(described: Any) -> None:
    cls = described(
        "seq: [{id: a, type: u1, valid: {odd: true}}]\n"
        'instances: {far: {pos: _io.size - a, type: u4}, words: {value: \'"x" + "y"\'}, twice: {value: words.length}}'
    )
    assert "a: what is valid is not checked" in cls.__doc__
    for name in ("far", "words", "twice"):
        assert f"{name}: left out, expected" in cls.__doc__


def test_what_is_left_out_is_named_with_its_own_line(described: Any) -> None:
    cls = described("seq:\n  - {id: a, type: u1, valid: {odd: true}}\ninstances:\n  far: {pos: _io.size - a, type: u4}\n  words: {value: '\"x\"'}")
    assert re.findall(r"(?m)^(\w+): .* \(some\.ksy:(\d+)\)$", cls.__doc__) == [("a", "3"), ("far", "5"), ("words", "6")]


@pytest.mark.parametrize(
    ("name", "missing"),
    [("hccap", ["eapol"]), ("dns_packet", ["contents"]), ("rtcp_payload", ["packet_status", "recv_delta"])],
)
def test_the_formats_name_the_line_of_each_instance_that_is_left_out(name: str, missing: list[str]) -> None:
    path = FORMATS / f"{name}.ksy"
    lines = path.read_text().splitlines()
    for word in missing:
        (line,) = re.findall(rf"(?m)^ *{word}: left out, .* \({name}\.ksy:(\d+)\)\W*$", str(import_ksy(path)))
        assert lines[int(line) - 1].strip() == f"{word}:"


@pytest.mark.parametrize("path", [None, 123, b"a.ksy", []])
def test_what_is_no_path_is_said(path: Any) -> None:
    with pytest.raises(TypeError, match=f"import_ksy takes the path of a .ksy file, not {re.escape(repr(path))}"):
        import_ksy(path)


VALID = {
    "{min: 3, max: 7}": ([3, 7], [2, 8]),
    "{any-of: [1, 2, 0x10]}": ([1, 2, 16], [0, 3]),
    "{max: n + 1}": ([0, 6], [7]),
    "{expr: _ % 2 == 0}": ([0, 4], [3]),
    "{expr: _ == 1 or _ == n}": ([1, 5], [2]),
    "{min: -2}": ([0, 9], []),
    f"{{any-of: {[*range(0, 200, 2)]}}}": ([0, 198], [1, 199]),
    "{in-enum: true}, enum: kinds": ([1, 40], [0, 2]),
}


@pytest.mark.parametrize("valid", VALID)
@pytest.mark.parametrize("kind", ["u1", "u2", "b8"])
def test_what_is_valid_is_a_rule_of_the_field(described: Any, valid: str, kind: str) -> None:
    """Another number is a fault there, as Kaitai Struct's parsers refuse it; it can be built all the same."""
    cls = described(f"seq: [{{id: n, type: u1}}, {{id: a, type: {kind}, valid: {valid}}}]\nenums: {{kinds: {{1: one, 40: forty}}}}")
    good, wrong = VALID[valid]
    assert "not checked" not in (cls.__doc__ or "")
    for number in (*good, *wrong):
        packet = dissect(bytes(cls(n=5, a=number)), cls)
        assert [(fault.field, packet[cls].a) for fault in packet.faults] == [("a", number)] * (number in wrong)


@pytest.mark.parametrize("valid", ["{expr: _ == _io.size - _io.pos}", "{eq: _io.size - _io.pos}", "{min: _io.size - _io.pos, max: _io.size - _io.pos}"])
def test_what_is_valid_may_go_by_all_that_is_left(described: Any, valid: str) -> None:
    """`_io.pos` is behind the number then."""
    cls = described(f"seq: [{{id: n, type: u2, valid: {valid}}}, {{id: body, size: n}}]")
    assert "not checked" not in (cls.__doc__ or "")
    assert dissect(b"\0\2ab", cls).faults == () and [fault.field for fault in dissect(b"\0\2abc", cls).faults] == ["n"]


@pytest.mark.parametrize(
    ("field", "good", "wrong"),
    [
        ("size: 2, valid: '[1, 2]'", "0102", "0103"),
        ("size: 2, valid: {eq: '[0x41, 0x42]'}", "4142", "4143"),
        ("terminator: 0, valid: '[1, 2]'", "010200", "0100"),
        ("type: str, size: 2, valid: '\"AB\"'", "4142", "4143"),
        ("type: str, size: 4, encoding: UTF-16LE, valid: '\"AB\"'", "41004200", "41004300"),
        ("type: strz, valid: {eq: '\"a\"'}", "6100", "6200"),
        ("type: u1, enum: e, valid: 'e::x'", "01", "02"),
        ("type: u1, enum: e, valid: {eq: 'e::y'}", "02", "01"),
        ("type: b1, valid: true", "80", "00"),
        ("type: b1, valid: false", "00", "80"),
        ("size: 2, repeat: eos, valid: '[1, 2]'", "01020102", "01020103"),
    ],
)
def test_a_value_that_is_no_plain_number_can_be_the_one_that_is_valid(described: Any, field: str, good: str, wrong: str) -> None:
    cls = described(f"seq: [{{id: a, {field}}}]\nenums: {{e: {{1: x, 2: y}}}}")
    assert "not checked" not in (cls.__doc__ or "")
    assert not dissect(bytes.fromhex(good), cls).faults
    assert [fault.field for fault in dissect(bytes.fromhex(wrong), cls).faults] == ["a"]


@pytest.mark.parametrize(
    "field",
    [
        "type: str, size: 2, valid: {any-of: ['\"AB\"', '\"CD\"']}", "type: strz, valid: {expr: '_ == \"a\"'}", "size: 2, valid: '[1]'", "size: 2, valid: 5",
        "type: str, size: 2, valid: '\"ABC\"'", "type: str, size-eos: true, valid: '\"AB\"'", "size: n, valid: '[1, 2]'", "type: strz, valid: '\"\\0\"'", "type: strz, valid: '\"\u00e9\"'",
        "type: f4, valid: {max: 1}", "type: f4, valid: {max: 1.5}", "type: f4, valid: 1.5", "type: u1, valid: {max: f}", "type: u1, repeat: expr, repeat-expr: 2, valid: {max: 1}",
        "type: t, valid: {expr: '_.x == 1'}", "type: t, size: 2, valid: {expr: '_.x == 1'}", "size: 2, process: xor(1), valid: '[1, 2]'", "contents: [1, 2], valid: '[1, 2]'",
        "type: t, valid: {expr: '_.x == 1'}}, {id: b, if: a.x == 1, type: u1",
    ],
)  # fmt: skip
def test_what_is_valid_of_no_number_is_named_where_it_is_not_checked(described: Any, field: str) -> None:
    cls = described(f"seq: [{{id: n, type: u1}}, {{id: f, type: f4}}, {{id: a, {field}}}]\ntypes: {{t: {{seq: [{{id: x, type: u1}}]}}}}")
    assert "a: what is valid is not checked" in cls.__doc__ and not dissect(b"\2\0\0\0\0\1\2\0\0", cls).faults


def test_what_is_valid_of_a_value_that_is_worked_out_is_named(described: Any) -> None:
    cls = described("seq: [{id: a, type: u1}]\ninstances: {twice: {value: a * 2, valid: 4}}")
    assert "twice: what is valid is not checked" in cls.__doc__ and read(cls, b"\3").twice == 6


@pytest.mark.parametrize("valid", ["{}", "{any-of: []}", "{min: b}", "{min: x + }", "{in-enum: true}", "[]", "text", "{any-of: [n]}"])
def test_what_no_rule_can_say_is_named(described: Any, valid: str) -> None:
    cls = described(f"seq: [{{id: n, type: u1}}, {{id: a, type: u1, valid: {valid}}}]")
    assert "a: what is valid is not checked" in cls.__doc__ and read(cls, b"\5\7").a == 7


def test_a_format_whose_import_is_found_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "windows").mkdir()
    names = ("year", "month", "weekday", "day", "hour", "min", "sec", "msec")
    fields = "".join(f"  - {{id: {name}, type: u2}}\n" for name in names)
    (tmp_path / "windows" / "windows_systemtime.ksy").write_text(
        f"meta: {{id: windows_systemtime, endian: le}}\nseq:\n{fields}"
    )
    with bindings():
        cls = import_ksy(FORMATS / "microsoft_network_monitor_v2.ksy", [tmp_path]).declare()[0]
        table = (72).to_bytes(4, "little") + (8).to_bytes(4, "little")
        header = read(cls, b"GMBU\0\2" + bytes.fromhex("0100") + b"\1\0" * 8 + table + bytes(40) + bytes.fromhex("48000000 50000000"))
        assert (header.mac_type.name, header.time_capture_start.msec) == ("ethernet", 1)
        assert [one.ofs for one in header.frame_table.entries] == [72, 80]
        assert "body: left out" in (type(header.frame_table.entries[0]).__doc__ or "")


def test_two_orders_of_bits_in_a_type_are_refused(described: Any) -> None:
    with pytest.raises(DeclareError, match="bits in one order"):
        described("seq: [{id: a, type: b3le}, {id: b, type: b5be}]")


@pytest.mark.parametrize(
    ("text", "data", "values"),
    [
        ("seq: [{id: a, type: u1, if: true}, {id: b, type: u1, if: false}, {id: c, type: u1, if: 16}, {id: d, type: u1, if: not 3}]", b"\1\2", [1, None, 2, None]),
        ("seq: [{id: a, type: u1, if: 1 == 1}, {id: b, type: u1, if: 3 < 2 or 2 > 1}, {id: c, type: u1, if: 1 == 1 and a == 1}]", b"\1\2\3", [1, 2, 3]),
        ("seq: [{id: a, type: u1}, {id: b, type: u1, if: 3 < a}, {id: c, type: u1, if: true and 4 != a}]", b"\4\5", [4, 5, None]),
        ("seq: [{id: a, type: {switch-on: 2, cases: {1: u1, 2: u2}}}, {id: c, type: {switch-on: 9, cases: {1: u2, _: u1}}}]", b"\0\1\2", [None, 1, None, 2]),
        ("seq: [{id: a, type: u1, valid: {expr: 1 == 1}}, {id: b, type: u1, repeat: until, repeat-until: true}]", b"\1\2", [1]),
        ("seq: [{id: a, type: u1, if: true}, {id: b, type: t, if: true}]\ntypes: {t: {seq: [{id: x, type: u1, if: _parent.a == 1}, {id: y, type: u1, if: true}]}}", b"\1\2\3", [1]),
    ],
)  # fmt: skip
def test_conditions_that_are_numbers_hold_or_not_in_the_module_too(tmp_path: Path, text: str, data: bytes, values: list[object]) -> None:
    path = tmp_path / "some.ksy"
    path.write_text(HEAD + text)
    found = import_ksy(path)
    with bindings():
        described = {cls.__name__: describe(cls) for cls in found.declare()}
    with bindings():
        names: dict[str, Any] = {"__name__": "described"}
        exec(compile(str(found), "some", "exec"), names)
        assert {name: describe(names[name]) for name in described} == described
        packet = dissect(data, names["Some"])
        seen = [getattr(packet[names["Some"]], str(row["name"])) for row in described["Some"]["fields"]]
        assert not packet.faults and seen[: len(values)] == values


@pytest.mark.parametrize(("magic", "faults"), [(1, []), (2, []), (3, ["k"]), (0, ["k"])])
def test_a_number_that_tells_no_order_of_bytes_is_a_fault(described: Any, magic: int, faults: list[str]) -> None:
    cls = described(
        "seq: [{id: k, type: u1}, {id: a, type: t}]\n"
        "types:\n  t:\n    meta: {endian: {switch-on: _root.k, cases: {1: le, 2: be}}}\n    seq: [{id: x, type: u2}]"
    )
    assert [fault.field for fault in dissect(bytes([magic, 1, 0]), cls).faults] == faults


def test_an_order_of_bytes_for_all_other_numbers_is_no_fault(described: Any) -> None:
    cls = described(
        "seq: [{id: k, type: u1}, {id: a, type: t}]\n"
        "types:\n  t:\n    meta: {endian: {switch-on: _root.k, cases: {1: le, _: be}}}\n    seq: [{id: x, type: u2}]"
    )
    packets = [dissect(bytes([k, 1, 0]), cls) for k in (1, 7)]
    assert not packets[0].faults and not packets[1].faults
    assert (packets[0][cls].a_le.x, packets[1][cls].a_be.x) == (1, 256)
