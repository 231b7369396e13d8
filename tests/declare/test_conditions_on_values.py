"""Conditions that compare a field with a text or bytes: in the field's own form, whatever its kind, or refused when the class is made."""

from __future__ import annotations

import uuid
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any

import pytest

from packetlab import (
    GUID,
    MAC,
    U8,
    U16,
    UUID,
    BuildError,
    Bytes,
    Capture,
    DeclareError,
    Ether,
    Header,
    IPv4Address,
    IPv6Address,
    Rest,
    Text,
    XNSAddress,
    auto,
    base64,
    bcd,
    bind,
    bindings,
    dissect,
    ended,
    field,
    fixed_bytes,
    labels,
    many,
    size_of,
    sized,
    text,
    through,
    when,
    wireshark,
)
from packetlab.declare.rules import apart
from packetlab.schema.dump import described
from packetlab.schema.load import declare_from
from tests.careful import careful
from tests.conftest import need
from tests.export.pdml import Tshark

NAMED = "6ba7b810-9dad-11d1-80b4-00c04fd430c8"
SPACES, ZEROS = Annotated[str, text("ascii", size=4, pad=b" ")], Annotated[str, text("ascii", size=4, pad=b"\0")]
WIDE = Annotated[str, text("utf-16-le", size=8, pad=b"\0\0")]

# Annotation and default, the word of the condition, values for which it holds, and such for which it does not.
KINDS: dict[str, tuple[Any, Any, Any, list[Any], list[Any]]] = {
    "IPv4": (IPv4Address, "0.0.0.0", "1.2.3.4", ["1.2.3.4", b"\1\2\3\4"], ["1.2.3.5", "0.0.0.0"]),
    "IPv4 as bytes": (IPv4Address, "0.0.0.0", b"\1\2\3\4", ["1.2.3.4"], ["1.2.3.5"]),
    "IPv6": (IPv6Address, "::", "2001:DB8:0::1", ["2001:db8::1"], ["2001:db8::2"]),
    "MAC": (MAC, "00:00:00:00:00:00", "01-80-C2-00-00-0A", ["01:80:c2:00:00:0a"], ["01:80:c2:00:00:0b"]),
    "XNS": (XNSAddress, "0", "401H.1000AA000077.4001H", ["401H.1000AA000077.4001H"], ["0"]),
    "UUID": (UUID, NAMED.replace("6", "7"), NAMED.upper(), [NAMED], [NAMED.replace("6", "5")]),
    "UUID as one": (UUID, NAMED.replace("6", "7"), uuid.UUID(NAMED), [NAMED], [NAMED.replace("6", "5")]),
    "IPv4 as one": (IPv4Address, "0.0.0.0", ip_address("1.2.3.4"), ["1.2.3.4"], ["1.2.3.5"]),
    "GUID": (GUID, NAMED.replace("6", "7"), NAMED, [NAMED], [NAMED.replace("6", "5")]),
    "bcd": (Annotated[str, bcd(4)], "0000", "1234", ["1234"], ["1243"]),
    "bcd with a filler": (Annotated[str, bcd(6, swapped=True, filler=15)], "", "123", ["123"], ["1234", "12", ""]),
    "bcd as a number": (Annotated[int, bcd(4)], 0, "0012", [12], [1200, 0]),
    "padded with spaces": (SPACES, "", "ab", ["ab", "AB", "aB"], ["ab c", "b", ""]),
    "padded with zeros": (ZEROS, "", "ab", ["ab", "AB"], ["abc", ""]),
    "padded, as bytes": (SPACES, "", b"ab  ", ["ab"], ["AB", ""]),
    "two bytes a letter": (WIDE, "", "ab", ["ab", "Ab"], ["abc", ""]),
    "EBCDIC": (Annotated[str, text("cp037")], ended(b"\x15", ""), "ab", ["ab", "AB"], ["abc", ""]),
    "EBCDIC of a fixed size": (Annotated[str, text("cp500", size=2)], "xx", "ab", ["ab", "Ab"], ["xx"]),
    "text": (Text, ended(b"\0", ""), "ab", ["ab", "aB"], ["abc", "", "a"]),
    "no other letter's lower case": (Text, ended(b"\0", ""), "k", ["k", "K"], ["\u212a", ""]),
    "bytes": (Bytes, ended(b"\0", b""), "ab", [b"ab", b"AB"], [b"abc", b""]),
    "bytes as they are": (Bytes, ended(b"\0", b""), b"ab", [b"ab"], [b"AB", b""]),
    "fixed bytes": (Annotated[bytes, fixed_bytes(2)], b"xx", b"ab", [b"ab"], [b"AB"]),
}


def _class(annotation: Any, default: Any, condition: Any, name: str = "Compared") -> type[Header]:
    """Return a header with a field of that kind, and one that is there where the condition holds."""
    body = {"n": auto(size_of("a")), "a": default, "b": when(condition, 1)}
    return type(Header)(
        name,
        (Header,),
        {"__module__": __name__, "__annotations__": {"n": U8, "a": annotation, "b": U8 | None}, **body},
    )


@pytest.mark.parametrize("name", KINDS)
def test_a_field_is_there_where_another_has_the_value_that_was_written(name: str) -> None:
    annotation, default, word, same, others = KINDS[name]
    with bindings():
        for condition, there in (
            (field("a") == word, True),
            ({"a": word}, True),
            (field("a").one_of(word), True),
            (field("a") != word, False),
        ):
            made: Any = _class(annotation, default, condition)
            for value in [*same, *others]:
                header = made(a=value)
                read = dissect(bytes(header), made)
                held = (value in same) is there
                assert not read.faults and read[made] == header and careful(made, bytes(header))[0] == header, value
                assert (read[made].b is not None) is held and (header.b is not None) is held, value


def test_tshark_reads_what_is_there_where_another_field_has_a_value(tmp_path: Path) -> None:
    need("tshark")
    with bindings():
        made: list[Any] = []
        frames: list[bytes] = []
        for name, (annotation, default, word, same, others) in KINDS.items():
            for condition in (field("a") == word, field("a") != word):
                header: Any = _class(annotation, default, condition, f"Compared{len(made)}")
                if name.startswith("EBCDIC"):
                    with pytest.raises(BuildError, match="a condition on text in an encoding of Wireshark's"):
                        wireshark(header)
                    continue
                bind(header, under=Ether, when={"type": 0x7B80 + len(made)})
                frames += [bytes(Ether(type=0x7B80 + len(made)) / header(a=value)) for value in [*same, *others]]
                made.append(header)
        tshark = Tshark(tmp_path, *made)
        for frame, layers in zip(frames, tshark.ask(frames), strict=True):
            read: Any = dissect(frame).layers[1]
            named = [one.get("name", "") for layer in layers for one in layer.iter("field")]
            assert (f"{type(read).__name__.lower()}.b" in named) is (read.b is not None), read


@pytest.mark.parametrize("name", KINDS)
def test_a_class_refines_another_and_stands_above_it_where_the_value_is_the_one_that_was_written(name: str) -> None:
    annotation, default, word, same, others = KINDS[name]
    meta: Any = type(Header)
    with bindings():
        fields = {"n": U8, "a": annotation, "data": Bytes}
        body = {"n": auto(size_of("a")), "a": default, "data": ended(b"\xff", b"x")}
        base = meta("Base", (Header,), {"__module__": __name__, "__annotations__": fields, **body})
        inside = meta(
            "Inside",
            (base,),
            {"__module__": __name__, "__annotations__": {"v": U8}, "v": 1},
            inside="data",
            when={"a": word},
        )
        above = meta(
            "Above",
            (Header,),
            {"__module__": __name__, "__annotations__": {"w": U8}, "w": 7},
            under=base,
            when=field("a") == word,
        )
        assert type(dissect(bytes(inside()), base)[base]) is inside  # whose field has the value unless it is given
        for value in [*same, *others]:
            read = dissect(bytes(base(a=value, data=b"\5") / above()), base)
            assert (type(read[base]) is inside) is (value in same) and (above in read) is (value in same), value


def test_what_a_field_can_never_be_is_refused_when_the_class_is_made() -> None:
    """Each would be accepted and never hold."""
    with bindings():
        for annotation, default, condition, words in (
            (IPv4Address, "0.0.0.0", field("a") == "1.2.3", r"a ==: expected an IPv4 address"),
            (IPv4Address, "0.0.0.0", field("a") == b"\1\2", r"a ==: expected an IPv4 address"),
            (IPv4Address, "0.0.0.0", field("a") == 0x01020304, "a text or bytes are compared"),
            (MAC, "00:00:00:00:00:00", field("a") == "1.2.3.4", "a MAC address"),
            (UUID, NAMED, field("a") == "one", "a UUID"),
            (Annotated[str, bcd(4)], "0000", field("a") == "12", "4 to 4 digits"),
            (SPACES, "", field("a") == "abcde", "up to 4 bytes"),
            (SPACES, "", field("a") == b"ab", "4 bytes"),
            (Text, ended(b"\0", ""), field("a") == b"a\0", "a value without"),
            (Annotated[bytes, fixed_bytes(4)], bytes(4), field("a") == "abc", "4 bytes, got 3"),
            (U16, 0, field("a") == "5", "a field of text, bytes, or an address"),
            (Annotated[str, labels()], "a.b", field("a") == "a.b", "a field of text, bytes, or an address"),
            (
                Text,
                through(base64(), sized(field("n"), "")),
                field("a") == "ab",
                "a field of text, bytes, or an address",
            ),
        ):
            with pytest.raises(DeclareError, match=words):
                _class(annotation, default, condition)
        for when_, words in (
            ({"dst": "01:80"}, "a MAC address"),
            (field("dst") == "01:80", "a MAC address"),
        ):
            with pytest.raises(DeclareError, match=words):
                type(Header)(
                    "Low",
                    (Header,),
                    {"__module__": __name__, "__annotations__": {"x": U8}, "x": 1},
                    under=Ether,
                    when=when_,
                )


def test_one_condition_is_not_taken_for_kinds_with_other_forms_of_a_text() -> None:
    said = field("a") == "ab"
    with bindings():
        _class(Text, ended(b"\0", ""), said)
        _class(Text, ended(b"\0", ""), said)
        with pytest.raises(DeclareError, match="write the condition out in each class"):
            _class(Annotated[str, text("cp037")], ended(b"\0", ""), said)


def test_items_lists_captures_and_data_go_by_it_too() -> None:
    with bindings():

        class Stop(Header):
            at: MAC = "00:00:00:00:00:00"

        class Way(Header, under=Ether, when={"type": 0x7D91}):
            stops: tuple[Stop, ...] = many(until=field("at") == "ff:ff:ff:ff:ff:ff")
            rest: Rest = b""

        way = Ether() / Way(stops=[Stop(at="02:00:00:00:00:01"), Stop(at="ff:ff:ff:ff:ff:ff")], rest=b"abcdefgh")
        assert [len(frame.packet()[Way].stops) for frame in Capture.of([bytes(way)])] == [2]
        assert Capture.of([bytes(way)]).table("way.stops.count").read()["way.stops.count"].tolist() == [2]

        class Known(Header, under=Ether, when={"type": 0x7D92}):
            ip: IPv4Address = "0.0.0.0"
            x: U8 | None = when(field("ip") == "1.2.3.4", 5)

        capture = Capture.of([bytes(Ether() / Known(ip=ip)) for ip in ("1.2.3.4", "1.2.3.5")])
        assert capture.where("known.x == 5").count() == 1
        (again,) = declare_from(described([Known]))
        assert dissect(bytes(again(ip="1.2.3.4")), again)[again].x == 5


def test_keys_and_values_that_are_remembered_are_fields_and_no_conditions_on_them() -> None:
    """The value of the field would be taken in place of whether it is the text."""
    said = field("a") == "ab"
    with bindings():
        for remembers in ({("t", said): 1}, {("t", field("n")): said}, {("t", said + 1): 1}):
            with pytest.raises(DeclareError, match=r"got a == 'ab'"):
                meta: Any = type(Header)
                annotations = {"n": U8, "a": Annotated[bytes, fixed_bytes(2)]}
                meta(
                    "Keyed",
                    (Header,),
                    {"__module__": __name__, "__annotations__": annotations, "n": 0, "a": b"xx"},
                    remembers=remembers,
                )


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (("ab",), ("ab",), True),
        ((b"ab",), (b"cd", b"ab"), True),
        (("ab", "cd"), ("ab",), False),
        (("ab",), (b"ab",), False),  # "AB" is the text, and is not those bytes
        ((b"AB",), (b"ab",), False),
    ],
)
def test_a_text_and_none_of_some_texts_are_apart_where_it_is_one_of_these(one: tuple[str], other: tuple[str], expected: bool) -> None:
    assert apart(field("k").one_of(*one), field("k").one_of(*other) == 0) is expected
    assert not apart(field("k").one_of(*one), field("j").one_of(*one) == 0)
    assert not apart(field("k").one_of(*one) == 0, field("k").one_of(*other) == 0)
