"""Numbers of a header in a field, in the conditions of classes, bindings and options: "key.kind" is found there as in rules of fields."""

from __future__ import annotations

import json
from typing import Any

import pytest

from packetlab import U8, U32, Capture, DeclareError, Ether, Header, Rest, bindings, dissect, field, many
from packetlab.schema.dump import described
from packetlab.schema.load import declare_from
from packetlab.schema.source import class_body
from tests.careful import careful
from tests.protocols.scope import Scope

with (scope := Scope()):

    class Key(Header):
        kind: U8 = 0
        size: U8 = 0

    class Note(Header):
        key: Key = Key(size=9)
        data: Rest = b""

    class Two(Note, inside="data", when={"key.kind": 2}):
        v: U8 = 1

    class Three(Note, inside="data", when=(field("key.kind") == 3) & field("key.size").one_of(7, 9, 8)):
        w: U8 = 5

    class Plain(Header, under=Ether, when={"type": 0x7D93}):
        key: Key = Key()

    class Longer(Plain, when={"key.kind": 4}):
        more: U8 = 1

    class Above(Header, under=Plain, when=field("key.kind") == 5):
        x: U8 = 7


@pytest.fixture(autouse=True)
def _declared() -> Any:
    with scope:
        yield


def test_what_is_built_by_such_a_number_has_it_when_it_is_asked_as_in_its_bytes() -> None:
    with bindings():

        class Deep(Note, inside="data", when={"key.kind": 12}):
            sort: U8 = 0
            left: Rest = b""

        class Deeper(Deep, inside="left", when={"sort": 7}):
            y: U8 = 1

        class Notes(Header):
            first: Longer = Longer()
            notes: tuple[Note, ...] = many()

        for one in (Two(), Three(), Deep(), Deeper(), Notes(notes=[Two()]).notes[0]):
            read: Any = dissect(bytes(one), Note).layers[0]
            assert type(read) is type(one) and read.key.kind == read.key.replace().kind != 0
            assert one.key.kind == read.key.kind and one.key == read.key and (one / b"")[Note].key.kind == read.key.kind
        assert Longer().key.kind == Notes().first.key.kind == 4 and Deeper().key == Key(kind=12, size=9)
        assert Two(key=Key(kind=5)).key.kind == 5 and Note().key.kind == 0
        assert str(dissect(bytes(Two()), Note).why(Two, "key.kind")).startswith("Two.key.kind = 2")


def test_a_class_refines_by_a_number_in_a_header_that_a_field_holds() -> None:
    for header, data in (
        (Two(), "020901"),
        (Three(w=6), "030706"),
        (Three(key=Key(size=8)), "030805"),
        (Two(key=Key(size=1)), "020101"),
    ):
        read = dissect(bytes.fromhex(data), Note)
        assert bytes(header).hex() == data
        assert read[Note] == header and type(read[Note]) is type(header) and not read.faults
        assert careful(Note, bytes.fromhex(data))[0] == header
    assert type(dissect(b"\3\1\1", Note)[Note]) is Note  # no size of Three's
    assert dissect(b"\3\1\1", Two).faults[0].expected == "key.kind == 2"


def test_a_class_goes_on_after_a_header_and_stands_above_it_by_such_a_number() -> None:
    assert type(dissect(bytes(Longer()), Plain)[Plain]) is Longer and bytes(Longer()) == b"\4\0\1"
    frames = [bytes(Ether() / Plain(key=Key(kind=kind)) / b"\7") for kind in (4, 5, 6)] * 40
    capture = Capture.of(frames)

    assert [Above in frame.packet() for frame in capture] == [False, True, False] * 40
    assert capture.where("above.x == 7").count() == 40 and capture.where(Longer).count() == 40


def test_options_and_ends_of_lists_go_by_such_numbers() -> None:
    with bindings():

        class Sized(Header, payload_size=field("key.size")):
            key: Key = Key()

        class Opaque(Header, opaque=field("key.kind") == 2):
            key: Key = Key()

        class Over(Header, under=Opaque):
            x: U8 = 1

        class Item(Header):
            key: Key = Key()

        class Lasting(Header):
            items: tuple[Item, ...] = many(until=field("key.kind") == 2)
            rest: Rest = b""

        class Quoted(Header, partial=field("key.kind") == 2):
            key: Key = Key()
            r: U32 = 1

        assert dissect(b"\0\2abcd", Sized).payload == b"ab"
        assert Over in dissect(b"\1\0abcd", Opaque) and Over not in dissect(b"\2\0abcd", Opaque)
        assert (
            len(dissect(b"\1\0\2\0\3\0", Lasting)[Lasting].items) == 2
            and dissect(b"\1\0\2\0\3\0", Lasting)[Lasting].rest == b"\3\0"
        )
        assert careful(Sized, b"\0\2abcd")[0].key.size == 2
        assert dissect(b"\2\0ab", Quoted).faults == dissect(b"\1\0ab", Quoted).faults


def test_they_come_back_from_data_and_source() -> None:
    descriptions = json.loads(json.dumps(described([Three, Above])))
    source = "\n".join(map(class_body, descriptions))
    assert 'when=(field("key.kind") == 3) & field("key.size").one_of(7, 9, 8)' in source
    with bindings():
        made = {cls.__name__: cls for cls in declare_from(descriptions)}
        assert bytes(made["Three"]()) == bytes(Three()) and dissect(bytes(Three()), made["Note"])[made["Three"]].w == 5


def test_a_derived_class_may_give_a_field_another_header() -> None:
    with bindings():

        class Other(Note):
            key = Key(kind=1, size=2)

        assert bytes(Other(data=b"x")) == b"\1\2x" and Other(key=Key()).key == Key()


def test_what_is_not_there_is_refused_when_the_class_is_made() -> None:
    meta: Any = type(Header)

    def made(base: type[Header], **options: Any) -> None:
        meta("Wrong", (base,), {"__module__": __name__, "__annotations__": {"z": U8}, "z": 1}, **options)

    class Listed(Header):
        keys: tuple[Key, ...] = many(count=1)
        data: Rest = b""

    with bindings():
        for base, options, words in (
            (Note, {"when": {"key.kand": 2}, "inside": "data"}, "a field of Key, got kand"),
            (Header, {"when": field("key.kand") == 2, "under": Plain}, "a field of Key, got kand"),
            (Header, {"when": {"key.kind": 9}, "under": Plain}, r"when=field\('key.kind'\) == 9 says where it stands"),
            (Listed, {"when": field("keys.kind") == 2, "inside": "data"}, "a field that holds a header"),
            (
                Header,
                {"when": field("data.kind") == 2, "under": Note},
                "a field that holds a header|which goes on to the end",
            ),
            (Header, {"payload_size": field("z.y")}, "a field that holds a header"),
            (
                Note,
                {"when": (field("key.kind") == 2) & (field("key.size") == 1), "inside": "data"},
                "a condition apart from that of",
            ),
        ):
            with pytest.raises(DeclareError, match=words):
                made(base, **options)
