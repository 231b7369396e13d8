"""What packets tell those after them: tables by key, in packet order, in a context that is given or that a capture has."""

from __future__ import annotations

import pickle
from enum import IntEnum
from typing import Any

import pytest
from hypothesis import given, strategies as st

from packetlab import (
    U8,
    U16,
    UDP,
    BuildError,
    Bytes,
    Context,
    DeclareError,
    DissectError,
    Ether,
    Header,
    IPv4,
    IPv6,
    Packet,
    Rest,
    auto,
    before,
    bindings,
    computed,
    dissect,
    field,
    has,
    many,
    named,
    recalled,
    receiver,
    sender,
    size_of,
    sized,
    through,
    when,
)

with bindings():

    class Hello(Header, remembers={("size", field("id")): field("size")}):
        id: U8
        size: U8

    class Data(Header):
        id: U8
        body: Bytes = sized(recalled("size", field("id")))
        more: Rest = b""


class Length(IntEnum):
    ONE = 1


def read(context: Context | None, *packets: tuple[type[Header], str]) -> list[Packet]:
    return [dissect(bytes.fromhex(data), cls, context=context) for cls, data in packets]


def test_a_size_that_an_earlier_packet_told() -> None:
    _, found = read(Context(), (Hello, "07 02"), (Data, "07 41 42 43"))
    assert (found[Data].body, found[Data].more, found.faults) == (b"AB", b"C", ())
    assert bytes(found) == b"\x07ABC"


def test_a_later_value_counts_from_there_on() -> None:
    _, one, _, other = read(Context(), (Hello, "07 02"), (Data, "07 41 42 43"), (Hello, "07 01"), (Data, "07 41 42 43"))
    assert (one[Data].body, other[Data].body) == (b"AB", b"A")


@pytest.mark.parametrize("context", [None, Context()])
def test_what_nobody_told_is_a_fault_at_the_field(context: Context | None) -> None:
    (found,) = read(context, (Data, "08 41 42"))
    (fault,) = found.faults
    assert (fault.layer, fault.field, fault.offset) == ("Data", "body", 1)
    assert fault.expected == "size(id = 8), remembered from an earlier packet"
    assert fault.got == (
        "none"
        if context is not None
        else "no context: dissect(..., context=pl.Context()), or `with frame.context():` of a frame of a capture"
    )
    assert (found.payload, bytes(found)) == (b"AB", b"\x08AB")
    with pytest.raises(DissectError, match="remembered from an earlier packet"):
        dissect(b"\x08AB", Data, strict=True, context=context)


def test_a_header_with_faults_of_its_own_tells_nothing() -> None:
    with bindings():

        class Short(Header, remembers={("n", 1): field("n")}):
            n: U8
            much: U16

    context = Context()
    assert dissect(b"\x01", Short, context=context).faults
    assert context.recall("n", 1) is None
    dissect(b"\x01\0\0", Short, context=context)
    assert context.recall("n", 1) == 1


def test_building_goes_by_the_same_context() -> None:
    with Context() as context:
        bytes(Hello(id=3, size=2) / b"")
        assert bytes(Data(id=3, body=b"ab") / b"") == b"\x03ab"
        with pytest.raises(
            BuildError, match=r"Data.body: expected 2 bytes, as recalled\('size', id\) says, got 3 bytes"
        ):
            bytes(Data(id=3, body=b"abc") / b"")
        assert dissect(b"\x03abc", Data)[Data].body == b"ab"
    assert context.recall("size", 3) == 2
    assert bytes(Data(id=3, body=b"abc") / b"") == b"\x03abc"  # where nobody told it, what is given is sent


def test_defaults_presence_counts_and_numbers_that_are_recalled() -> None:
    with bindings():

        class Negotiation(Header, remembers={"opt": field("has_more"), "n": field("n") + 1, "own": size_of("name")}):
            has_more: U8
            n: U8
            name: Rest = b""

        class Item(Header):
            value: U8

        class Message(Header):
            known: int = computed(recalled("n", default=0))
            own: U8 = auto(recalled("own", default=9))
            more: U8 | None = when(recalled("opt", default=0) == 1)
            items: tuple[Item, ...] = many(count=recalled("n", default=1))

    context = Context()
    before = dissect(b"\1\2\3", Message, context=context)[Message]
    assert (before.known, before.more, [one.value for one in before.items]) == (0, None, [2])
    dissect(b"\1\2abc", Negotiation, context=context)
    after = dissect(b"\1\2\3\4\5", Message, context=context)
    assert not after.faults
    assert (after[Message].known, after[Message].more) == (3, 2)
    assert [one.value for one in after[Message].items] == [3, 4, 5]
    with context:
        assert bytes(Message(more=7, items=[Item(value=1), Item(value=2), Item(value=3)]) / b"") == b"\3\7\1\2\3"
    assert bytes(Message(items=[Item(value=1)]) / b"") == b"\x09\1"


@pytest.mark.parametrize(("network", "other"), [(IPv4, {"src": "10.0.0.2"}), (IPv6, {"src": "fe80::2"})])
def test_keys_of_headers_around_and_of_both_ends(network: Any, other: dict[str, str]) -> None:
    with bindings():

        class Long(Header, remembers={("cid", sender()): size_of("cid")}, under=UDP, when={"dport": 20551}):
            length: U8 = auto(size_of("cid"))
            cid: Bytes = sized(field("length"), b"")

        class Short(Header, under=UDP, when={"sport": 20551}):
            cid: Bytes = sized(recalled("cid", receiver()))
            rest: Rest = b""

        ends = {"src": other["src"].replace("2", "1"), "dst": other["src"]}
        back = {"src": ends["dst"], "dst": ends["src"]}
        context = Context()
        dissect(bytes(Ether() / network(**ends) / UDP(sport=5, dport=20551) / Long(cid=b"abc")), context=context)
        found = dissect(bytes(Ether() / network(**back) / UDP(sport=20551, dport=5) / b"abcdef"), context=context)
        assert (found[Short].cid, found[Short].rest, found.faults) == (b"abc", b"def", ())
        elsewhere = dissect(bytes(Ether() / network(**back) / UDP(sport=20551, dport=6) / b"abcdef"), context=context)
        assert [fault.field for fault in elsewhere.faults] == ["cid"]


def test_items_tell_later_items_and_choices_of_items_do_too() -> None:
    with bindings():

        class Entry(Header):
            kind: U8
            length: U8 = auto(size_of("self"))

        class Says(Entry, when={"kind": 1}, remembers={("e", field("Sheet.id"), field("what")): field("size")}):
            what: U8
            size: U8

        class Uses(Entry, when={"kind": 2}):
            what: U8
            body: Bytes = sized(recalled("e", field("Sheet.id"), field("what")))

        class Sheet(Header):
            id: U8
            entries: tuple[Entry, ...] = many()

        data = bytes.fromhex("09  01 04 05 02  02 05 05 61 62")
        found = dissect(data, Sheet, context=Context())
        assert not found.faults
        assert found[Sheet].entries == (Says(what=5, size=2), Uses(what=5, body=b"ab"))
        with Context():
            assert bytes(Sheet(id=9, entries=[Says(what=5, size=2), Uses(what=5, body=b"ab")]) / b"") == data
            with pytest.raises(BuildError, match="Uses.body: expected 2 bytes"):
                bytes(Sheet(id=9, entries=[Says(what=5, size=2), Uses(what=5, body=b"abc")]) / b"")
        unknown = dissect(bytes.fromhex("09  02 05 05 61 62"), Sheet, context=Context())
        assert [(fault.layer, fault.field) for fault in unknown.faults] == [("Sheet", "entries")]
        assert bytes(unknown) == bytes.fromhex("09 02 05 05 61 62")


def test_a_context_is_bounded_and_says_what_it_dropped() -> None:
    context = Context(most=2)
    read(context, (Hello, "01 01"), (Hello, "02 01"), (Hello, "02 01"), (Hello, "03 01"))
    assert (len(context), dict(context.dropped)) == (2, {"size": 1})
    (found,) = read(context, (Data, "01 41"))
    assert found.faults[0].got == "none, and 1 older values were dropped: Context(most=...) keeps more"
    with pytest.raises(ValueError, match="from 1"):
        Context(most=0)


def test_a_context_is_copied_and_pickled() -> None:
    context = Context()
    read(context, (Hello, "01 01"))
    other, third = context.copy(), pickle.loads(pickle.dumps(context))
    read(context, (Hello, "01 02"))
    for one, size in ((context, 2), (other, 1), (third, 1)):
        assert one.recall("size", 1) == size
        assert list(one.items()) == [("size", (1,), size)]
    assert repr(other) == "<Context of 1 packets: 1 values>"


@pytest.mark.parametrize("value", ["abc", 2.5, None, {1: 2}, [1, 2], Hello])
def test_what_nothing_could_recall_is_not_remembered(value: object) -> None:
    context = Context()
    with pytest.raises(TypeError, match="expected a whole number, headers or bytes as value, got"):
        context.remember("size", 4, value=value)
    assert len(context) == 0


def test_numbers_of_any_type_and_templates_in_lists_are_remembered() -> None:
    context = Context()
    context.remember("size", 4, value=Length.ONE)
    context.remember("rows", 4, value=[Hello(id=1, size=2)])
    (found,) = read(context, (Data, "04 41 42"))
    assert (found[Data].body, found.faults) == (b"A", ())
    assert context.recall("rows", 4) == (Hello(id=1, size=2),)


def test_what_no_packet_told_can_be_said() -> None:
    context = Context()
    context.remember("size", 4, value=1)
    (found,) = read(context, (Data, "04 41 42"))
    assert found[Data].body == b"A"
    assert pickle.loads(pickle.dumps(found[Data])) == found[Data]


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 3), st.binary(max_size=5)), max_size=12))
def test_any_order_reads_as_a_dictionary_says(said: list[tuple[bool, int, bytes]]) -> None:
    context, known = Context(), dict[int, int]()
    for tells, key, data in said:
        if tells:
            known[key] = len(data)
            dissect(bytes((key, len(data))), Hello, context=context)
            continue
        found = dissect(bytes((key,)) + data, Data, context=context)
        assert bytes(found) == bytes((key,)) + data
        if known.get(key, 9) > len(data):
            assert [fault.field for fault in found.faults] == ["body"]
        else:
            assert (found[Data].body, found.faults) == (data[: known[key]], ())
            with context:
                assert bytes(Data(id=key, body=found[Data].body, more=found[Data].more) / b"") == bytes(found)


@pytest.mark.parametrize(
    ("declare", "message"),
    [
        (lambda: recalled(""), "the name of a table"),
        (lambda: recalled("t", size_of("x")), r"fields, numbers, sender\(\) and receiver\(\) in a key, got size_of\(x\)"),
        (lambda: recalled("t", recalled("u")), "in a key"),
        (lambda: type("A", (Header,), {"__annotations__": {"n": U8, "x": Bytes}, "x": sized(recalled("t", field("m")))}), "a field of the header, got m"),
        (lambda: type("A", (Header,), {"__annotations__": {"x": Bytes, "n": U8}, "x": sized(recalled("t", field("n")))}), "read before"),
        (lambda: type("A", (Header,), {"__annotations__": {"n": U8}, "n": auto(recalled("t"))}), "default="),
        (lambda: type("A", (Header,), {"__annotations__": {"n": U8}}, payload_size=recalled("t")), "computed"),
        (lambda: type("A", (Header,), {"__annotations__": {"n": U8}}, under=UDP, when=recalled("t") == 1), "computed"),
        (lambda: type("A", (Header,), {"__annotations__": {"n": U8}}, remembers={"t": field("m")}), "a field of the header, got m"),
        (lambda: type("A", (Header,), {"__annotations__": {"n": U8}}, remembers=3), 'remembers=: expected {'),
        (lambda: type("A", (Header,), {"__annotations__": {"n": U8}}, remembers={"t": has("n")}), "as a value"),
        (lambda: type("A", (Header,), {"__annotations__": {"n": U8}}, remembers={"t": (field("n"), field("n"))}), "lists"),
        (lambda: type("A", (Header,), {"__annotations__": {"n": U8}}, remembers={"t": before("n")}), "as a value"),
        (lambda: type("A", (Header,), {"__annotations__": {"n": U8, "x": Bytes}, "x": sized(sender())}), r"got sender\(\)"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_when_it_is_said(declare: Any, message: str) -> None:
    with bindings(), pytest.raises(DeclareError, match=message):
        declare()


@pytest.mark.parametrize("wrong", ["Flwo.domain", "Flow.domian", "UDP.dprot", "TCP.seq", "^.domian", "^.^.src"])
@pytest.mark.parametrize("place", ["remembers", "recalled", "state", "item"])
def test_keys_of_what_is_not_around_are_refused_at_first_use(wrong: str, place: str) -> None:
    """As in rules; all packets would share one value."""
    with bindings():
        key = field(wrong if place != "item" or not wrong.startswith("^") else f"^.{wrong}")

        class Flow(Header, under=UDP, when={"dport": 20554}):
            domain: U8 = 0

        if place == "remembers":
            used = type("Used", (Header,), {"__module__": __name__, "__annotations__": {"n": U8}, "n": 1}, remembers={("kept", key): field("n")}, under=Flow)  # type: ignore[call-arg]
        elif place == "item":

            class Entry(Header, remembers={("kept", key): field("n")}):
                n: U8 = 1

            class Used(Header, under=Flow):
                entries: tuple[Entry, ...] = many()

            used = Used
        else:
            size = sized(recalled("kept", key, default=0), b"")
            if place == "state":
                size = through(named("kept", bytes, bytes, state=list, key=key), sized(1))
            used = type("Used", (Header,), {"__module__": __name__, "__annotations__": {"n": Bytes}, "n": size}, under=Flow)  # type: ignore[call-arg]
        said = "a header class that is declared|a field of (Flow|UDP)|a key of fields of the header, and of those that it stands above or in"
        with pytest.raises(DeclareError, match=said):
            dissect(bytes(Ether() / IPv4() / UDP(dport=20554) / b"\0\1\2\3"), context=Context())
        assert not dissect(b"\0", Flow).faults
        del used


def test_keys_of_what_may_be_below_are_not_refused() -> None:
    with bindings():

        class Free(Header, remembers={("kept", field("Session.id")): field("n")}):
            n: U8

        class Session(Header):
            id: U8

        context = Context()
        dissect(b"\3", Free, context=context, below=[Session(id=7)])
        assert context.recall("kept", 7) == 3


def test_values_of_headers_around_are_remembered() -> None:
    with bindings():

        class Probe(Header, under=UDP, when={"dport": 20555}, remembers={"hops": field("IPv4.ttl") + field("n"), "from": field("IPv4.src")}):
            n: U8

        packet = Ether() / IPv4(src="10.0.0.1", ttl=9) / UDP(dport=20555) / Probe(n=3)
        with Context() as built:
            data = bytes(packet)
        context = Context()
        dissect(data, context=context)
        for one in (built, context):
            assert (one.recall("hops"), one.recall("from")) == (12, bytes([10, 0, 0, 1]))


def test_why_says_which_packet_told_it() -> None:
    with bindings():

        class Body(Header):
            id: U8
            size: int = computed(recalled("size", field("id"), default=1))
            body: Bytes = sized(recalled("size", field("id"), default=1))

    _, found, other = read(Context(), (Hello, "07 02"), (Body, "07 41 42"), (Body, "08 41"))
    assert str(found.why(Body, "body")).splitlines()[1] == "  recalled('size', id, default=1) = 2, remembered from packet 1"
    assert "  rule: recalled('size', id, default=1) = 2" in str(found.why(Body, "size")).splitlines()
    assert "    recalled('size', id, default=1) = 2, remembered from packet 1" in str(found.why(Body, "size")).splitlines()
    assert str(other.why(Body, "body")).splitlines()[1] == "  recalled('size', id, default=1) = 1, the default"
    with Context():
        bytes(Hello(id=3, size=2) / b"")
        built = Body(id=3, body=b"ab") / b""
        assert "remembered from a packet that was built" in str(built.why(Body, "body"))


@pytest.mark.parametrize("key", [("a.b",), (1.5,), (4, "a.b"), (("10.0.0.1", 80),)])
def test_a_key_that_is_no_raw_value_is_refused(key: tuple[Any, ...]) -> None:
    context = Context()
    with pytest.raises(TypeError, match="expected raw values as key"):
        context.remember("size", *key, value=3)
    context.remember("size", b"\1a\1b\0", (b"\12\0\0\1", 80), value=3)
    assert context.recall("size", b"\1a\1b\0", (b"\12\0\0\1", 80)) == 3


def test_what_does_not_fit_what_was_remembered_is_told_with_the_way_out_and_why_says_each_value_once() -> None:
    with bindings():

        class Listing(Header):
            id: U8
            numbers: tuple[U16, ...] = many(count=recalled("size", field("id")))

    _, found = read(Context(), (Hello, "07 02"), (Listing, "07 0001 0002"))
    assert str(found.why(Listing, "numbers")).splitlines()[1:] == ["  recalled('size', id) = 2, remembered from packet 1", "  no rule: as it came"]
    with pytest.raises(BuildError, match=r"expected 4 bytes, as recalled\('size', id\) \* 2 says, got 2 bytes \(an earlier packet said so: as many, or build that one anew before it"):
        bytes(found.replace(Listing, numbers=(1,)))
    assert bytes(found.replace(Listing, numbers=(3, 4))) == bytes.fromhex("07 0003 0004")
