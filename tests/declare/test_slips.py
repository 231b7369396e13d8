"""What a beginner writes: each slip is told where the class is made, with the way out; what only looks like one works."""

from __future__ import annotations

import textwrap
from enum import IntEnum
from typing import Any

import pytest

import packetlab
from packetlab import (
    U8,
    UDP,
    BuildError,
    Bytes,
    DeclareError,
    Header,
    PacketlabError,
    bindings,
    dissect,
    many,
    through,
    zlib,
)

NAMES = {name: getattr(packetlab, name) for name in dir(packetlab) if not name.startswith("_")}


class Kind(IntEnum):
    A = 1


def declared(body: str, options: str = "") -> Any:
    """Return the class A with a body, as written in a module."""
    from typing import Annotated

    names: dict[str, Any] = {**NAMES, "IntEnum": IntEnum, "Annotated": Annotated, "Kind": Kind, "__name__": "slips"}
    text = textwrap.indent(textwrap.dedent(body).strip("\n"), "    ")
    source = f"class Item(Header):\n    v: U8 = 0\n\nclass A(Header{options}):\n{text}\n"
    exec(compile(source, "slips.py", "exec", dont_inherit=True), names)
    return names["A"]


SIZED = 'expected a size: sized(...), pad(...), Rest or a size_of rule, got none (n: U8 = auto(size_of("data")) before it tells it'
SLIPS = [
    ("x: int = 0", "", "A.x: ", "a number wants its width: U8, U16, ... or Annotated[int, bits(n)]"),
    ("x: U16 = lambda p: 1", "", "A.x: expected 0..65535", 'auto(...) is a rule, of field("name") and size_of("name")'),
    ("n: U8 = auto(size_of(data))\ndata: Bytes = b''", "", "A: expected a name that is defined, got data", 'size_of("data") its size'),
    ("n: U8 = auto(len('data'))\ndata: Bytes = b''", "", "A.data: ", SIZED),
    ("n: U8 = 0\ndata: Bytes = sized('n', b'')", "", "a rule: ", "field('n') is a field's value"),
    ("n: U8 = 0\ndata: Bytes = sized(n, b'')", "", "A.data: ", 'sized(field("n")) is as long as the field n says'),
    ("data: bytes = b''", "", "A.data: ", "bytes want their size: Bytes = sized(...), Rest, or Annotated[bytes, fixed_bytes(n)]"),
    ("data: Bytes = b''", "", "A.data: ", SIZED),
    ("name: str = ''", "", "A.name: ", "text wants its end: Text = sized(...)"),
    ("x: float = 0.5", "", "A.x: ", "a float wants its width: F16, F32, F64"),
    ("a: U8 = auto(-size_of('self'))", "", "A.a: expected a rule that comes to 0..255", "0 - size_of(self), -1 at most"),
    ("a: U8 = auto(field('b') + 1)\nb: U8 = auto(field('a') + 1)", "", "A.a: ", "rules without a circle, got a -> b -> a"),
    ("a: U8 = auto(size_of('self') + 300)", "", "A.a: ", "got size_of(self) + 300, 301 at least"),
    ("payload: Bytes = b''", "", "A.payload: expected a name that is free", "another name, such as payload_"),
    ("x: U8 = const(2)", ", under=UDP, when=ahead(1) != 0", "A under UDP: expected a condition that can hold, got ahead(1) != 0 (ahead(1) is 0..0)", "ahead(8) is the first byte"),
    ("x: U8 = 0", ", under=UDP, when=ahead(1) == 19", "A under UDP: expected a condition that can hold, got ahead(1) == 19 (ahead(1) is 0..1)", "ahead(8) is the first byte"),
    ("x: U8 = 0", ", under=UDP, when=field('dport') == 70000", "A under UDP: ", "a condition that can hold, got dport == 70000 (dport is 0..65535)"),
    ("x: U8 = 0", ", under=UDP, when=(field('sport') == 9) | (field('dport') > 65535)", "A under UDP: ", "that can hold, got dport > 65535 (dport is 0..65535)"),
    ("x: U8 = 0", ", under=UDP, when=field('dport').one_of(70000, 80000)", "A under UDP: ", "that can hold, got dport in (70000, 80000)"),
    ("a: U16 = auto(crc32('self'))", "", "A.a: ", "an unsigned field of 32 bits or more, in bytes, got 16 bits"),
    ("a: U16 = auto(internet_checksum('self') + 1)", "", "A.a: ", "in the rule of a value, got internet(self)"),
    ("a: U8 = 0\nb: U8 = when(ahead(8) == 1, 0)", "", "A.b: ", "got ahead(8)"),
    ("a: U8 = 0\nb: U8 = when(size_of('payload') > 3, 0)", "", "A.b: ", "got size_of(payload)"),
    ("items: tuple[U8, ...] = many(until=field('items') == 0)", "", "A.items: ", "many(until=...) (of values in a header: class Item(Header): v: U8 = 0"),
    ("n: U8 = 0\nitems: tuple[Item, ...] = many(until=field('nosuch') == 0)", "", "A.items, until: ", "a field of Item, got nosuch"),
    ("n: U8 = auto(count_of('data'))\ndata: Bytes = b''", "", "A.n: ", "count_of(...) of a field tuple[SomeHeader, ...], got data"),
    ("n: U8 = 0", ", payload_size=field('nosuch')", "A, payload_size: ", "a field of A, got nosuch"),
    ("n: U8 = 0", ", opaque=field('nosuch')", "A, opaque: ", "a field of A, got nosuch"),
    ("n: U8 = 0", ", partial=field('nosuch')", "A, partial: ", "a field of A, got nosuch"),
    ("n: U8 = 0", ", under=UDP, when={'prot': 9}", "A under UDP: ", "a field of UDP, got prot (did you mean 'sport'?)"),
    ("n: U8 = 0", ", under=UDP, when=field('nosuch') == 9", "A under UDP: ", "a field of UDP, got nosuch"),
    ("n: U8 = 0", ", under=UDP, when=UDP.dport == 9", "A under UDP, when=: ", 'a condition, such as field("kind") == 1, got False'),
    ("kind: Kind = Kind.A", "", "A.kind: ", "an enum wants its width: Annotated[Named[Kind], bits(8)]"),
    ("length: U8 = auto(size_of('body'))\nbody: Bytes = sized(5, b'')", "", "A.body: ", "expected Annotated[bytes, fixed_bytes(n)] for a fixed size, got sized(5)"),
    ("a: Annotated[bytes, fixed_bytes(4)] = sized(3, b'abc')", "", "A.a: ", "Bytes for a size that varies, got 4 bytes"),
    ("x: U8 = many(count=3)", "", "A.x: ", "tuple[SomeHeader, ...] = many(...), got many(...) for a number"),
    ("x: U16 = sized(3)", "", "A.x: ", "a right-hand side that suits a number, got sized(...)"),
    ("x: U8 = when(field('y'), 1)\ny: U8 = 0", "", "A.x: ", "presence and size to follow from fields before it, got y"),
    ("n: U8 = 0\nd: Bytes = sized(field('n') // field('n'), b'')", "", "A.d: ", "a number that is never 0 after //, got n"),
    ("n: U64 = 0\nd: Bytes = sized(1 * field('n') << field('n'), b'')", "", "A.d: ", "field(...) & 63 is such a number"),
    ("a: U8 = 0\na: U16 = 0", "", "A.a: ", "one field of each name, got two"),
    ("from_: U8 = 0\nU8: U8 = 0\nz: U8 = 0", "", "A.U8: ", "a field or variable above has the name of the type"),
    ("a: U8 = 0\nb: U8 = when(UDP.dport > 9, 1)", "", "UDP.dport: ", 'field("UDP.dport") that of a header around'),
    ("a: U8 = 0\nb: U8 = when(UDP.dport == 9, 1)", "", "when(...): ", 'a condition, such as field("kind") == 1, got False'),
    ("a: MACAddress = 0", "", "A: expected a name that is defined, got MACAddress", "did you mean 'MAC'?"),
    ("a: IPV4Address = 0", "", "A: expected a name that is defined, got IPV4Address", "did you mean 'IPv4Address'?"),
    ("a: U8 = 0\nb: U8 = when(nosuch == 9, 1)", "", "A: ", 'a name that is defined, got nosuch (rules name fields in quotes: field("nosuch")'),
    ("a: U8 = 0", ", whne={'a': 1}", "A, whne=: ", "did you mean 'when'?"),
    ("a: bits(4) = 0\nb: U4 = 0", "", "A.a: expected the type of the values too: Annotated[int, ...]", "got number of 4 bits alone"),
    ("a: labels() = 'a'", "", "A.a: expected the type of the values too: Annotated[str, ...]", "alone"),
    ("n: labels = 'a'", "", "A.n: ", "labels(...), which is called, got the function labels"),
    ("n: Annotated[str, labels] = 'a'", "", "A.n: ", "labels(...), which is called, got the function labels"),
    ("s: int = spare_bits", "", "A.s: ", "spare_bits(...), which is called, got the function spare_bits"),
    ("b: Bytes = sized", "", "A.b: ", "sized(...), which is called"),
    ("a: Annotated[int, bits('w')] = 0", "", "bits(...): ", 'got \'w\' (bits(field("w")) are as many as the field w says)'),
    ("a: Annotated[int, bits(0)] = 0", "", "bits(...): expected 1 to 4096 bits", "got 0"),
    ("o: U8 = offset_of('b')\nb: U8 = 1", "", "A.o: expected a value, got offset_of(b)", "auto(...) around it is a rule"),
    ("o: U8 = field('b') + 1\nb: U8 = 1", "", "A.o: expected a value, got b + 1", "auto(...) around it is a rule"),
    ("x: U8 = recalled('x')", "", "A.x: expected a value, got recalled('x')", "number: int = computed(...) has what is elsewhere"),
    ("n: U8 = 3\nt: Annotated[str, labels()] = sized(field('n'), 'a')", "", "A.t: ", "got sized(...) (it tells its own end)"),
    ("o: U8 = auto(offset_of('h.v'))\nh: Item = Item()", "", "A.o: ", 'got h.v (offset_of("h") + n, where v lies n bytes after the beginning of h)'),
    ("a: U8 = auto(field('b') + 1)\nb: U8 = auto(field('a') + 1)", "", "A.a: ", "one of them without auto(...), a value that is given, tells the others"),
    ("a: U8 = auto(size_of('self') + 300)", "", "A.a: ", "a wider field has room for it"),
    ("a: U8 = auto(-size_of('self'))", "", "A.a: ", "signed=True has numbers below 0"),
    ("x: U16 = sized(3)", "", "A.x: ", 'Annotated[int, sized_int()] = sized(field("n")) as another field says'),
    ("n: U8 = 0\nd: Bytes = sized(16 // field('n'), b'')", "", "A.d: ", 'choose(field("n"), field("n"), 1) is such a number'),
    ("o: U8 = 0\nb: U8 = at(field('o'), 1)", "", "A.o: ", 'auto(offset_of("b"))'),
    ("o: U8 = 0\nn: U8 = 0\nb: U8 = at(field('o') * 4 + field('n'), 1)", "", "A.o: ", "defaults for which (o * 4) + n is 2 or more, where the fields before b end, got 0"),
    ("a: U8 = 0\np: Bytes = pad(4, since='pakcet')", "", "A, since: ", "got pakcet (did you mean 'packet'?)"),
    ("head: U8 = 0\nn: U8 = 0\nb: U8 = at(field('n'), 1, since='haed')", "", "A, since: ", "got haed (did you mean 'head'?)"),
    ("n: Annotated[str, labels(since='sefl')] = 'a'", "", "A.n, since: ", "got sefl (did you mean 'self'?)"),
    ("a: U8 = 0\np: Bytes = pad(4, since='item')", "", "A, since: ", "got item (did you mean 'Item'?)"),
    ("n: Annotated[str, labels(since='item')] = 'a'", "", "A.n, since: ", "got item (did you mean 'Item'?)"),
    ("a: U8 = 0\nb: U8 = when(field('udp.dport') == 1, 0)", "", "A: expected a header class that is declared, in udp.dport", "did you mean 'UDP'?"),
    ("a: Self | None = when(left())", "", "A: expected a name that is defined, got Self", "(from typing import Self)"),
    ("a: 'Self | None' = when(left())", "", "A.a: expected an annotation that can be read", "(from typing import Self)"),
    ("a: Annotated[datetime, timestamp(32)] = 0", "", "A: expected a name that is defined, got datetime", "(from datetime import datetime)"),
    ("a: U8 = 0\nb: U8 = at(4, 5, since=Header)", "", "at(...): ", '(since="Header")'),
    ("a: U8 = 0\nb: Bytes = sized(recalled(field('a')), b'')", "", "recalled(...): ", 'the name of a table first, as "netflow", got a'),
    ("n: U8 = auto(size_of(field('b')))\nb: Bytes = b''", "", "a rule: ", 'got b ("b", in quotes alone)'),
    ("c: U16 = auto(internet_checksum)", "", "a rule: ", "got a function, internet_checksum (it is made of field(...), size_of(...) and the like, which are called)"),
    ("a: U8 = must(lambda a: a > 1, 3)", "", "a rule: ", "got a function, <lambda> (it is made of field(...)"),
    ("items: list[Item] = many()", "", "A.items: ", "a list is tuple[SomeHeader, ...] = many(...)"),
    ("items: tuple[Item] = many()", "", "A.items: ", "a list is tuple[SomeHeader, ...] = many(...)"),
    ("item: Item = Item", "", "A.item: expected a header (Item)", "Item() is one"),
    ("a: U8 | U16 = 0", "", "A.a: ", "got a union of two (a field of two kinds is two fields, each with when(...)"),
    ("d: Rest = zlib()", "", "A.d: expected bytes, got zlib()", "through(zlib(), ...) is a field that is something else in the packet"),
    ("d: Rest = through(zlib, b'')", "", "through(...): ", "zlib(...), which is called"),
    ("a: U8 = pad(4)", "", "A.a: ", "bytes fill up: filler: Bytes = pad(4)"),
    ("a: U8 = 0\nb: U8 = when(5, 0)", "", "when(...): ", "got 5 (a number is compared with a field"),
    ("a: U8 = 0", ", under=UDP, when=5", "A under UDP, when=: ", "got 5 (a number is compared with a field"),
    ("a: U8 = 0", ", sets={'a': 1}", "A, sets=: ", "under= too, as in under=UDP, port=69, got sets= alone"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("body", "options", "where", "way"), SLIPS, ids=[f"{body}{options}, {way}" for body, options, _, way in SLIPS]
)
def test_a_slip_is_told_at_the_class_with_the_way_out(body: str, options: str, where: str, way: str) -> None:
    with bindings(), pytest.raises(DeclareError) as caught:
        declared(body, options)
    assert str(caught.value).startswith(where) and way in str(caught.value)
    assert " at 0x" not in str(caught.value) or "lambda" in body


def test_where_to_count_from_may_be_a_class_that_is_declared_later() -> None:
    with bindings():
        item = declared("b: U8 = 0\np: Bytes = pad(4, since='Around')")

        class Around(Header):
            first: U8 = 7
            held: item = item()

        assert bytes(Around()) == b"\7\0\0\0"
    for name in ("Nosuch", "ITEM"):  # of letters in another case there may be one, which is not meant
        with bindings(), pytest.raises(DeclareError, match=f"A, since: expected a header class that is declared, or a field before it, got {name}"):
            bytes(declared(f"b: U8 = 0\np: Bytes = pad(4, since={name!r})")())


@pytest.mark.parametrize("condition", ["field('a') == 1 and field('a') == 2", "not field('a')", "0 < field('a') < 5"])
def test_a_condition_has_no_truth_value(condition: str) -> None:
    with (
        bindings(),
        pytest.raises(TypeError, match=r"combine conditions with & and \|, and write \(condition\) == 0 for not"),
    ):
        declared(f"a: U8 = 0\nb: U8 = when({condition}, 0)")


@pytest.mark.parametrize("condition", ["field('a') == 1", "(field('a') == 1) | (field('a') == 2)", "field('a').one_of(1, 3)", "has('b') & (field('a') < 2)"])
def test_the_other_of_a_condition_is_not(condition: str) -> None:
    with bindings():
        body = f"a: U8 = 0\nb: U8 | None = when(field('a') < 2, 0)\nc: U8 | None = when({{}}({condition}), 9)"
        there, other = declared(body.format("")), declared(body.format("~"))
        for a in range(5):
            data = bytes([a, 7, 8])
            assert (dissect(data, there)[there].c is None) is not (dissect(data, other)[other].c is None)
            assert bytes(other(a=a)) == bytes(dissect(bytes(other(a=a)), other))


@pytest.mark.parametrize("body", [
    "b: U8 | None = when(~field('a'), 0)", "b: U8 = must(~(field('a') & 1), 0)", "b: U8 = auto(choose(~field('a'), 1, 2))",
    "b: Bytes = through(zlib(), b'', when=~(field('a') & 4))",
])  # fmt: skip
def test_the_other_bits_of_a_number_are_no_condition(body: str) -> None:
    with bindings(), pytest.raises(DeclareError, match=r"expected \(a.*\) == 0 for not, got ~\(a.*\), the other bits of a number"):
        declared(f"a: U8 = 0\n{body}")
    with bindings(), pytest.raises(DeclareError, match=r"opaque=: expected \(a & 1\) == 0 for not"):
        declared("a: U8 = 0", ", opaque=~(field('a') & 1)")


WORK = [
    ("a: U8 = 0\nb: U8 = when(field('a') % 4 == 0, 7)", "", "0007"),
    ("a: U8 = 0\nb: U8 = when(~field('a') & 1, 7)", "", "0007"),
    ("a: U16 = auto(1 << size_of('self'))", "", "0004"),
    ("a: U32 = auto(crc32('a', 'payload'))", "", "2144df1c"),
    ("n: U8 = 0", ", under=UDP, when={'port': 17385}", "00"),
    ("state: U8 = 0\nanswers: U8 = 1\npartial: U8 = 2\nshow: U8 = 3\nreplace: U8 = 4", "", "0001020304"),
    ("class Inner(Header):\n    v: U8 = 0\nv: U8 = 9", "", "09"),
    ("kind: Annotated[Named[Kind], bits(8)] = default(Kind.A)", "", "01"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "options", "built"), WORK, ids=[body for body, *_ in WORK])
def test_what_only_looks_like_a_slip_works(body: str, options: str, built: str) -> None:
    with bindings():
        made = declared(body, options)
        assert bytes(made()).hex() == built
        assert bytes(dissect(bytes(made()), made)) == bytes(made()) and not dissect(bytes(made()), made).faults


def test_a_size_that_only_some_values_have_is_told_when_it_is_built() -> None:
    with bindings():
        made = declared("n: U8 = 0\nd: Bytes = sized(field('n') - 10, b'')")
        with pytest.raises(
            PacketlabError,
            match=r"A\.d: expected -10 bytes, as n - 10 says, got 0 bytes \(n can be given too, or follow by auto",
        ):
            bytes(made())
        assert bytes(made(n=12, d=b"ab")) == b"\x0cab" and dissect(b"\5", made).faults


def test_names_of_the_surroundings_are_found() -> None:
    width = 3
    with bindings():

        class Local(packetlab.Header):
            a: packetlab.U8 = width  # of this function
            b: packetlab.U8 = len("abc")
            c: packetlab.U8 = a + 1

        assert bytes(Local()) == b"\3\3\4"
    assert UDP.dport == UDP.dport and UDP.dport in {UDP.dport: 1}


def test_what_stands_for_no_item_is_refused_with_the_form_of_one() -> None:
    with bindings():

        class Pair(Header):
            key: U8 = 0
            value: U8 = 0

        class Pairs(Header):
            pairs: tuple[Pair, ...] = many()

        with pytest.raises(
            BuildError,
            match=r"Pairs\.pairs: expected headers \(Pair\), got \(1, 2\) \(Pair\(key=\.\.\., value=\.\.\.\)\)",
        ):
            Pairs(pairs=[(1, 2)])


def test_bytes_without_an_end_are_told_of_rest() -> None:
    with pytest.raises(DeclareError, match=r"or body: Rest, all that is left"):

        class Open(Header):
            body: Bytes = through(zlib(), b"")
            more: U8 = 0
