"""`replace` of a captured header: lengths, counts and sums of its own that were right follow, as where a path says what is new."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from packetlab import (
    U8,
    U16,
    BERLength,
    Bytes,
    Header,
    Packet,
    any_value,
    auto,
    bindings,
    count_of,
    dissect,
    internet_checksum,
    many,
    size_of,
)
from tests.protocols.test_dns import DNS, A as Address, Alias, scope


@pytest.fixture(autouse=True, scope="module")
def _declared() -> Iterator[None]:
    global Inner, Outer, Option, Name, Group
    with bindings():

        class Inner(Header):
            n: BERLength = auto(size_of("d"))
            d: Bytes = b""

        class Option(Header):
            kind: U8 = 0
            size: U8 = auto(size_of("data"))
            data: Bytes = b""

        class Name(Option, inside="data", when={"kind": 1}):
            length: U8 = auto(size_of("text"))
            text: Bytes = b""
            more: U8 = 7

        class Group(Option, inside="data", when={"kind": 2}):
            count: U8 = auto(count_of("options"))
            options: tuple[Option, ...] = many()

        class Outer(Header):
            n: BERLength = auto(size_of("i"))
            i: Inner = Inner()
            sum: U16 = auto(internet_checksum("self"))
            options: tuple[Option, ...] = many()

        yield


def read() -> Packet:
    options = [Option(kind=9, data=b"abc"), Name(text=b"lab"), Group(options=[Option(kind=8), Name(text=b"net")])]
    return dissect(bytes(Outer(i=Inner(d=b"xy"), options=options)), Outer)


def test_what_an_item_is_put_back_as_is_what_the_path_form_gives() -> None:
    packet = read()
    outer = packet[Outer]
    a, b, c = outer.options
    for by_path, made in (
        ("outer.i.d", {"i": outer.i.replace(d=b"longer")}),
        ("outer.options[0].data", {"options": (a.replace(data=b"longer"), b, c)}),
        ("outer.options.name.text", {"options": (a, b.replace(text=b"longer"), c)}),
        ("outer.options.group.options.name.text", {"options": (a, b, c.replace(options=[c.options[0], c.options[1].replace(text=b"longer")]))}),
        ("outer.options.group.options[0].data", {"options": (a, b, c.replace({"options[0].data": b"longer"}))}),
    ):
        wanted, got = packet.replace({by_path: b"longer"}), packet.replace(Outer, **made)
        assert bytes(got) == bytes(wanted), by_path
        again = dissect(bytes(got), Outer)
        assert not again.faults and again.verdict(Outer).name == "GOOD" and len(bytes(got)) > len(bytes(packet))


def test_the_form_that_the_declaration_of_dns_is_edited_in() -> None:
    with scope:
        packet = dissect(bytes(DNS(answers=[Alias(type=5, name="a.org", host="b.org"), Address(name="b.org")])), DNS)
        a, b = packet[DNS].answers
        edited = dissect(bytes(packet.replace(DNS, answers=(a.replace(host="longer.name.example"), b))), DNS)
        assert [type(one) for one in edited[DNS].answers] == [Alias, Address]
        assert edited[DNS].answers[0].host == "longer.name.example" and not edited.faults


def test_what_was_wrong_stays_as_it_is() -> None:
    outer = read()[Outer].replace(n=9)
    assert outer.replace(i=Inner(d=b"longer")).n == 9  # given
    wrong = dissect(b"\x00\x05ab", Option)[Option]
    assert (wrong.size, wrong.replace(kind=3).size) == (5, 5)
    header = read()[Outer]
    assert bytes(header.replace()) == bytes(header)
    assert (header.state("n"), header.replace(sum=1).state("n"), header.replace(sum=1).state("sum")) == ("captured", "auto", "given")


def test_a_pattern_made_of_a_captured_header() -> None:
    pattern = read()[Outer].replace(i=any_value)
    assert pattern.replace(n=4).n == 4


def test_a_layer_that_takes_a_field_apart() -> None:
    """Lengths, counts and sums inside follow, whichever way a field in there is given anew; what was wrong stays."""
    for name, wrong in ((Name(text=b"lab"), Name(length=9, text=b"lab")), (Group(options=[Name(text=b"lab")]), Group(count=9, options=[Name(text=b"lab")]))):
        cls = type(name)
        value: object = b"longer" if cls is Name else [Name(text=b"longer"), Option(kind=8)]
        field = "text" if cls is Name else "options"
        expected = bytes(cls(**{field: value}))
        packet = dissect(bytes(name), Option)
        made = [
            packet.replace(cls, **{field: value}), packet.replace({f"{cls.__name__.lower()}.{field}": value}), packet[cls].replace(**{field: value}),
        ]  # fmt: skip
        assert [bytes(one) for one in made] == [expected] * 3
        assert bytes(dissect(bytes(wrong), Option)) == bytes(wrong)
    deep = dissect(bytes(Group(options=[Group(options=[Name(text=b"lab")])])), Option)
    path = "group.options.group.options.name.text"
    assert bytes(deep.replace({path: b"longer"})) == bytes(Group(options=[Group(options=[Name(text=b"longer")])]))
