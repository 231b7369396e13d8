"""Declarations as data: what is described is declared again alike, and nothing that a description says is ever run."""

from __future__ import annotations

import copy
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import STRICT, IntEnum, IntFlag
from typing import Annotated, Any

import pytest
from hypothesis import example, given, settings, strategies as st

import packetlab
from packetlab import (
    ARP,
    U1,
    U4,
    U8,
    U16,
    U32,
    Bytes,
    DeclareError,
    Ether,
    Header,
    IPv4,
    PacketlabError,
    Rest,
    auto,
    bind,
    bindings,
    bits,
    const,
    dissect,
    field,
    fixed_bytes,
    many,
    reply,
    request,
    size_of,
    when,
)  # fmt: skip
from packetlab.capture import Capture
from packetlab.codec.objects import declared_classes
from packetlab.declare import fields as right_hand, kinds, registry as registry
from packetlab.declare.expressions import expression
from packetlab.protocols import websocket  # noqa: F401  the whole of wire is described
from packetlab.protocols.linktypes import first_header
from packetlab.schema.dump import describe, described
from packetlab.schema.load import HeaderDescription, declarations, declare_from, from_json, to_json
from tests.conftest import CORPUS, amount

OWN = [header for header in declared_classes() if header.__module__.startswith("packetlab.")]
CODE = {"Routing"}  # its pseudo-header's address is worked out by a property
SPELLING = {
    **{name: getattr(packetlab, name) for name in dir(packetlab) if name[:1] in "US" and name[1:2].isdigit()},
    **{name: getattr(kinds, name) for name in ("MAC", "IPv4Address", "IPv6Address", "XNSAddressField", "Bytes", "Rest", "Payload", "Named", "fixed_bytes")},
    "bits": bits,
    **{name: getattr(right_hand, name) for name in ("auto", "const", "default", "many", "pad", "sized", "when")},
    **{name: getattr(packetlab, name) for name in ("choose", "field", "has", "size_of", "count_of", "ahead", "next_protocol", "internet_checksum", "xns_checksum", "crc32", "crc32c", "sctp_checksum", "request", "reply")},
    "Annotated": Annotated, "IntEnum": IntEnum, "IntFlag": IntFlag, "Header": Header, "bind": bind, "expression": expression,
}  # fmt: skip


@contextmanager
def nothing_declared() -> Iterator[None]:
    """A registry without any header, for the length of a `with`."""
    with bindings():
        registry._declared.clear()
        for one in registry._spaces.values():
            one.headers.clear()
            one.numbers.clear()
        for entries in registry._conditions.values():
            entries.clear()
        yield


def spelled(some: Any) -> dict[str, Any]:
    """Run the class bodies of descriptions, as a person would who has read them; return the names they define."""
    namespace: dict[str, Any] = {**SPELLING, "__name__": "spelled"}
    text = "\n\n\n".join(str(one) for one in declarations(some))
    binds = [line for line in text.splitlines() if line.startswith("bind(")]
    for header in declared_classes():
        namespace.setdefault(header.__name__, header)
    exec("\n".join(line for line in text.splitlines() if line not in binds), namespace)
    exec("\n".join(binds), namespace)
    return namespace


def seen(packet: Any) -> Any:
    return [(type(h).__name__, h._raw_values(), h._state) for h in packet.layers], packet.payload, packet.faults


def same_reading(one: type[Header], other: type[Header], data: bytes) -> None:
    mine, theirs = dissect(data, one), dissect(data, other)
    assert [
        [(f.name, getattr(h, f.slot)) for f in h._fields if f.kind.wire != "items"] for h in mine.layers
    ] == [
        [(f.name, getattr(h, f.slot)) for f in h._fields if f.kind.wire != "items"] for h in theirs.layers
    ]
    assert (mine.payload, mine.faults) == (theirs.payload, theirs.faults)
    assert mine.encode() == theirs.encode() and bytes(mine) == data


@pytest.fixture(scope="module")
def wire() -> list[dict[str, Any]]:
    return described(header for header in OWN if header.__name__ not in CODE)


@pytest.mark.slow
def test_every_header_of_packetlab_comes_back_as_it_was(wire: list[dict[str, Any]]) -> None:
    with nothing_declared():
        again = declare_from(json.loads(json.dumps(wire)))
        assert [describe(header) for header in again] == wire


@pytest.mark.slow
def test_the_corpus_reads_alike_through_headers_that_came_as_data(wire: list[dict[str, Any]]) -> None:
    files = [
        "dodo_checksums.pcap",
        "web.pcap",
        "mixed-vlan-mpls.pcap",
        "vxlan.pcap",
        "icmpv6.pcap",
        "linux_dlt_sll2.pcap",
        "ip6_frag_asan.pcap",
    ]
    frames = [frame for file in files for frame in Capture(CORPUS / file)[:60]]

    def reported(packet: Any) -> Any:
        return [(type(h).__name__, repr(h)) for h in packet.layers], packet.payload, packet.faults

    before = [reported(frame.packet()) for frame in frames]
    with nothing_declared():
        again = {header.__name__: header for header in declare_from(json.loads(json.dumps(wire)))}
        firsts = [again[first_header(frame.linktype).__name__] for frame in frames]
        after = [
            reported(dissect(frame.data, first, frame.wire_length)) for frame, first in zip(frames, firsts, strict=True)
        ]
    assert after == before and len({header for row, _, _ in before for header, _ in row}) > 12


def test_the_text_of_a_declaration_is_the_class_body_it_came_from(wire: list[dict[str, Any]]) -> None:
    with nothing_declared():
        # One at a time where they follow each other in a circle: bodies first, then what binds them.
        flat = [{**one, "under": [{"header": one["name"], "when": 1}, *one.get("under", [])][1:]} for one in wire]
        for one in flat:
            one["under"] = sorted(one["under"], key=lambda entry: [d["name"] for d in wire].index(entry["header"]))
        namespace = spelled([{**one, "under": []} for one in wire])
        for one in wire:
            assert describe(namespace[one["name"]]) == {k: v for k, v in one.items() if k != "under"}


def test_a_class_that_needs_code_is_refused() -> None:
    with pytest.raises(DeclareError, match=r"Routing\.final_destination: expected a field of addresses"):
        describe(packetlab.Routing)

    with bindings():

        class Tight(IntFlag, boundary=STRICT):
            A = 1

        class WithFlags(Header):
            a: Annotated[kinds.Named[Tight], bits(8)]

        with pytest.raises(DeclareError, match="flags that keep bits"):
            describe(WithFlags)


# A protocol of one's own -----------------------------------------------------------------------------------------


def beacon() -> type[Header]:
    class Beacon(Header, under=Ether, when={"type": 0x88B5}):
        """A made-up beacon carried straight over Ethernet."""

        version: U4 = 1
        urgency: U4 = 0
        length: U16 = auto(size_of("self"))
        station: U32
        note: Rest = b""

    return Beacon


BEACON = '''class Beacon(Header, under=Ether, when={"type": 0x88b5}):
    """A made-up beacon carried straight over Ethernet."""

    version: U4 = 1
    urgency: U4 = 0
    length: U16 = auto(size_of("self"))
    station: U32
    note: Rest = b\'\''''


def test_a_declaration_is_offered_read_and_taken() -> None:
    with bindings():
        letters = to_json(described([beacon()]))
    (offered,) = from_json(letters)
    assert (offered.name, str(offered), repr(offered)) == ("Beacon", BEACON, "<HeaderDescription Beacon>")
    assert not any(header.__name__ == "Beacon" for header in declared_classes())
    with bindings():
        made = offered.declare()
        packet = dissect(bytes(Ether() / made(station=7, note=b"hello")))
        assert (packet[made].station, packet[made].note, packet[made].length) == (7, b"hello", 12)
        assert (
            made.__dict__["__doc__"] == "A made-up beacon carried straight over Ethernet." and offered.declare() is made
        )
    assert dissect(bytes(Ether(type=0x88B5) / b"\x10\0\x07\0\0\0\x07")).payload == b"\x10\0\x07\0\0\0\x07"


def test_a_class_that_is_there_already_is_taken_as_it_is() -> None:
    with bindings():
        mine = beacon()
        assert declare_from(describe(mine)) == [mine]
        assert declare_from(describe(IPv4)) == [IPv4]


def test_what_a_class_needs_travels_with_it_and_what_everyone_has_does_not() -> None:
    with bindings():

        class Kind(IntEnum):
            """What it is."""

            ASK = 1
            TELL = 2

        class Item(Header):
            kind: Annotated[kinds.Named[Kind], bits(8)] = Kind.ASK
            size: U8 = auto(size_of("value"))
            value: Bytes = b""

        class Base(Header, under=packetlab.UDP, when={"dport": 7777}):
            code: U8 = 9
            items: tuple[Item, ...] = many(until=field("kind") == 2, value=(Item(kind=2, value=b"x"),))

        class Top(Header, under=Base, when={"code": (3, 4)}):
            """On top."""

            flag: U1 = 0
            seven: Annotated[int, bits(7, signed=True)] = -3
            extra: U16 = when(field("flag") == 1, 5)
            magic: Annotated[bytes, fixed_bytes(2)] = const(b"ab")

        bind(Top, under=Base, when=field("code") > 200, sets={"code": 201})
        some = described([Top])
        assert [one["name"] for one in some] == ["Item", "Base", "Top"]
        data = bytes(Base(items=(Item(value=b"abc"), Item(kind=2))) / Top(flag=1))
        before = repr(dissect(data, Base))
    offered = from_json(json.dumps(some))
    with bindings():
        top = offered[2].declare()
        base = next(header for header in declared_classes() if header.__name__ == "Base")
        assert repr(dissect(data, base)) == before and dissect(data, base)[top].extra == 5
        assert [item.kind.name for item in base().items] == ["TELL"]
        assert described([top]) == some
    with bindings():
        assert [header.__name__ for header in offered.declare()] == ["Item", "Base", "Top"]


def test_a_number_or_a_name_that_is_taken_is_reported_with_both_names_and_nothing_stays() -> None:
    with bindings():
        some = described([beacon()])
    rival = copy.deepcopy(some)
    rival[0]["name"] = "Rival"
    rival[0]["under"] = [{"header": "Ether", "numbers": {"type": [0x9999, 0x0800]}}]
    with bindings():
        before = declared_classes()
        with pytest.raises(DeclareError, match="Rival under Ether: expected a free number .*0x800.*IPv4"):
            declare_from(rival)
        assert declared_classes() == before and 0x9999 not in registry.space("ethertype").headers
        other = copy.deepcopy(some)
        other[0]["fields"][0]["default"] = 2
        mine = beacon()
        with pytest.raises(
            DeclareError, match=r"Beacon: expected a free name, or the same declaration, got .*test_describe\.beacon"
        ):
            declare_from(other)
        assert dissect(bytes(Ether() / mine(station=1)))[mine].station == 1


def test_a_field_that_got_a_number_space_is_as_before_when_nothing_stays() -> None:
    bad = [
        {"name": "Fine", "fields": [], "under": [{"header": "UDP", "numbers": {"sport": [7]}}]},
        {"name": "Bad", "fields": [], "under": [{"header": "Nonesuch", "when": 1}]},
    ]
    with pytest.raises(DeclareError, match="a header that is declared, got Nonesuch"):
        declare_from(bad)
    assert packetlab.UDP._by_name["sport"].rule is None and packetlab.UDP(sport=9).sport == 9
    assert bytes(packetlab.UDP(sport=9))[:2] == b"\0\x09"


def test_what_a_header_answers_travels_with_it() -> None:
    with bindings():

        class Ask(Header, under=packetlab.UDP, when={"dport": 7777}):
            number: U16 = 0
            name: Annotated[bytes, fixed_bytes(4)] = b"    "

        class Tell(Header, under=packetlab.UDP, when={"sport": 7777}, answers={
            Ask: (reply.number == request.number + 1) & (reply.name == request.name) & request.number.one_of(1, 2, 3)
        }):  # fmt: skip
            number: U16 = 0
            name: Annotated[bytes, fixed_bytes(4)] = b"    "

        class Chat(Header, under=packetlab.UDP, when={"dport": 7778}, answers=reply.turn == request.turn * 2):
            turn: U8 = 0

        some = described([Tell, Chat])
        assert [one["name"] for one in some] == ["Ask", "Tell", "Chat"]
    query, answered = Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2"), Ether() / IPv4(src="10.0.0.2", dst="10.0.0.1")
    out, back = packetlab.UDP(sport=9, dport=7777), packetlab.UDP(sport=7777, dport=9)
    for again in (lambda: declare_from(json.loads(json.dumps(some))), lambda: [*spelled(some).values()]):
        with bindings():
            made = {getattr(one, "__name__", ""): one for one in again()}
            ask, tell, chat = made["Ask"], made["Tell"], made["Chat"]
            assert described([tell, chat]) == some and declare_from(some) == [ask, tell, chat]
            question = query / out / ask(number=2, name=b"door")
            assert (answered / back / tell(number=3, name=b"door")).answers(question)
            assert not (answered / back / tell(number=2, name=b"door")).answers(question)
            assert not (answered / back / tell(number=3, name=b"gate")).answers(question)
            turn = query / packetlab.UDP(sport=7778, dport=7778) / chat(turn=3)
            assert (answered / packetlab.UDP(sport=7778, dport=7778) / chat(turn=6)).answers(turn)
    assert not packetlab.UDP._declaration.answered


def test_a_class_that_answers_something_else_is_another_and_stays_as_it_is() -> None:
    with bindings():

        class Chat(Header, answers=reply.turn == request.turn):
            turn: U8 = 0

        other = describe(Chat)
        other["answers"][0]["rule"] = 1
        with pytest.raises(DeclareError, match=r"Chat, answers: expected what .*Chat answers, got something else"):
            declare_from(other)
        assert str(Chat._declaration.answers[None]) == "reply.turn == request.turn"
        taken = describe(IPv4)
        taken["answers"] = [{"rule": 1}]
        with pytest.raises(DeclareError, match="IPv4, answers: expected what"):
            declare_from(taken)


def test_whom_a_class_answers_is_as_before_when_nothing_stays() -> None:
    answering = {"name": "Fine", "fields": [], "answers": [{"header": "ARP", "rule": 1}]}
    with pytest.raises(DeclareError, match="a header that is declared, got Nonesuch"):
        declare_from([answering, {"name": "Bad", "fields": [], "answers": [{"header": "Nonesuch", "rule": 1}]}])
    with bindings():
        (made,) = declare_from(answering)
        assert ARP._declaration.answered == (made._declaration,)

        class Fine(Header, answers={ARP: reply.a == request.operation}):
            a: U8 = 0

        class Fine(Header):  # type: ignore[no-redef]  # noqa: F811  a notebook's cell run again
            a: U8 = 0

        assert ARP._declaration.answered == (made._declaration,)
    assert ARP._declaration.answered == ()


# Random declarations ---------------------------------------------------------------------------------------------

NAMES = ["alpha", "beta", "gamma", "delta", "size", "flags", "data", "type", "match", "v_alpha", "pos", "h", "cls"]


@st.composite
def random_descriptions(draw: Any) -> list[dict[str, Any]]:  # noqa: C901  a case a kind
    """Sound descriptions of one header, and maybe one of its items."""
    names = draw(st.permutations(NAMES))
    rows: list[dict[str, Any]] = []
    numbers: list[str] = []

    def term(depth: int = 0) -> Any:
        if depth > 2 or not numbers or draw(st.booleans()):
            return (
                ["field", draw(st.sampled_from(numbers))]
                if numbers and draw(st.booleans())
                else draw(st.integers(0, 40))
            )
        sign = draw(
            st.sampled_from(["+", "-", "*", "&", "|", "^", "==", "<", ">=", "!=", "<<", "//", "one_of", "choose"])
        )
        if sign == "one_of":
            return [sign, term(depth + 1), draw(st.lists(st.integers(0, 9), max_size=3))]
        if sign == "choose":
            return [sign, term(depth + 1), term(depth + 1), term(depth + 1)]
        return [sign, term(depth + 1), draw(st.integers(1, 8)) if sign in ("<<", "//") else term(depth + 1)]

    used = 0
    for _ in range(draw(st.integers(1, 5))):
        what = draw(
            st.sampled_from(["int", "int", "int", "pair", "bytes", "sized", "mac", "ipv4", "when", "pad", "items"])
        )
        name = names[used]
        used += 1
        if what == "int":
            width = draw(st.sampled_from([8, 16, 24, 32, 64]))
            row = {"name": name, "kind": "int", "bits": width}
            if draw(st.booleans()):
                row["signed"] = 1
            if width > 8 and draw(st.booleans()):
                row["little"] = 1
            if draw(st.booleans()):
                row["default"] = draw(st.integers(0, 127))
                if draw(st.integers(0, 3)) == 0:
                    row["const"] = 1
            rows.append(row)
            if "signed" not in row:
                numbers.append(name)
        elif what == "pair":
            width = draw(st.integers(1, 7))
            rows.append({"name": name, "kind": "int", "bits": width, "default": 0})
            rows.append({"name": names[used], "kind": "int", "bits": 8 - width, "default": 1})
            numbers += [name, names[used]]
            used += 1
        elif what == "bytes":
            size = draw(st.integers(1, 5))
            rows.append({"name": name, "kind": "bytes", "bytes": size, "default": bytes(size).hex()})
        elif what == "sized":
            rows.append(
                {
                    "name": name,
                    "kind": "bytes",
                    "default": "",
                    "size": ["+", term(), ["field", numbers[0]] if numbers else 0],
                }
            )
        elif what == "when":
            rows.append({"name": name, "kind": "int", "bits": 16, "default": 3, "when": term()})
        elif what == "pad":
            rows.append({"name": name, "kind": "bytes", "pad": draw(st.sampled_from([2, 4, 8]))})
        elif what == "items":
            row = {"name": name, "kind": "items", "of": "Item", "default": []}
            how = draw(st.sampled_from(["count", "until", "size", "align"]))
            row[how] = 4 if how == "align" else ["==", ["field", "kind"], 0] if how == "until" else term()
            rows.append(row)
        else:
            rows.append({"name": name, "kind": what, "default": bytes(6 if what == "mac" else 4).hex()})
    if draw(st.booleans()):
        rows.append({"name": names[used], "kind": "rest", "default": draw(st.sampled_from(["", "6162"]))})
    lengths = [row for row in rows if row["kind"] == "int" and len(row) == 3 and row["bits"] >= 16]
    if lengths and draw(st.booleans()):
        draw(st.sampled_from(lengths))["rule"] = draw(
            st.sampled_from(
                [
                    ["size_of", "self"],
                    ["size_of", "payload"],
                    ["+", ["size_of", "self"], ["size_of", "payload"]],
                    ["checksum", "internet", ["self", "payload"], None, 65535],
                ]
            )
        )
    header: dict[str, Any] = {"name": "Whole", "fields": rows}
    if draw(st.booleans()):
        header["doc"] = draw(
            st.sampled_from(["One line.", 'Two\n\nlines, "quoted" and \\escaped', "\x1b[31mred", 'ends with "'])
        )
    if draw(st.booleans()):
        header["payload_size"] = ["choose", term(), term(), -1]
    if draw(st.booleans()):
        header["under"] = [{"header": "Ether", "numbers": {"type": [0x9001, 0x9002]}}]
    if draw(st.booleans()):
        header["answers"] = [
            {"header": "IPv4", "rule": 1},
            {"rule": ["==", ["reply", names[0]], ["request", names[0]]]},
        ]
    item = {
        "name": "Item",
        "fields": [
            {"name": "kind", "kind": "int", "bits": 8, "default": 0},
            {"name": "more", "kind": "int", "bits": 8, "default": 0, "when": ["field", "kind"]},
        ],
    }
    return [item, header]


def sometimes(number: int) -> list[dict[str, object]]:
    """A description with a condition that is a number, as rules of numbers alone come to."""
    alpha = {"name": "alpha", "kind": "int", "bits": 16, "default": 3, "when": number}
    return [{"name": "Whole", "fields": [alpha], "under": [{"header": "Ether", "when": number}]}]


@pytest.mark.slow
@example(sometimes(0), [b"", b"abc"])
@example(sometimes(1), [b"", b"abc"])
@example(sometimes(6), [b"", b"abc"])
@given(random_descriptions(), st.lists(st.binary(max_size=60), min_size=1, max_size=4))
@settings(max_examples=amount(30, 1500))
def test_random_declarations_travel_and_read_alike(some: list[dict[str, Any]], data: list[bytes]) -> None:
    with bindings():
        try:
            whole = declare_from(some)[-1]
        except DeclareError:
            return  # such as a size that no field says
        travelled = described([whole, *(h for h in declared_classes() if h.__name__ == "Item")])
        assert sorted(map(str, travelled)) == sorted(map(str, some))
        with bindings():
            registry.unregister(whole._declaration)
            for header in [h for h in declared_classes() if h.__module__ == "described"]:
                del registry._declared[header._declaration.key]
            again = spelled(some)["Whole"]
            assert describe(again) == describe(again) and [describe(again)] == [some[-1]]
            for piece in data:
                same_reading(whole, again, piece)


# Hostile declarations --------------------------------------------------------------------------------------------

RUN = "__import__('sys').modules.setdefault('owned', 1)"
NASTY: list[Any] = [
    RUN, f"x=[{RUN}]", f"a\n    {RUN}\n    b", "x): pass\n" + RUN, "__class__", "__init__", "_state", "state", "if", "None", "self",
    "ｘ", "a b", "", "a" * 65, "é", "mro", "\x1b[2J", None, True, 1.5, float("nan"), -1, 1 << 64, 10**400, [], {}, ["field"],
    ["field", RUN], ["<<", 1, ["field", "alpha"]], ["<<", 1, 1 << 40], ["//", 1, 0], ["*", ["size_of", "payload"], 0], ["ahead", 0],
    ["ahead", 65], ["next_protocol", RUN, 0], ["checksum", RUN, ["self"], None, 0], ["checksum", "internet", [RUN], None, 0],
    ["count_of", "alpha"], ["size_of", "nowhere"], ["request", RUN], ["reply", "alpha"], ["==", ["reply", "__class__"], 1], ["one_of", 1, "abc"], {"kind": RUN}, "Whole", "Header", "IPv4", "Item",
]  # fmt: skip


def places(node: Any) -> Iterator[tuple[Any, Any]]:
    """Yield (container, key) of everything inside."""
    for key in list(node) if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ():
        yield node, key
        yield from places(node[key])


@pytest.mark.slow
@given(random_descriptions(), st.data())
@settings(max_examples=amount(50, 4000))
def test_a_hostile_declaration_is_refused_or_harmless(some: list[dict[str, Any]], data: Any) -> None:
    some = copy.deepcopy(some)
    for _ in range(data.draw(st.integers(1, 2))):
        container, key = data.draw(st.sampled_from(list(places(some))))
        if data.draw(st.booleans()):
            bad = data.draw(st.sampled_from(NASTY))
        else:  # something sound, in a wrong place
            there, other = data.draw(st.sampled_from(list(places(some))))
            bad = copy.deepcopy(there[other])
        if isinstance(container, dict) and isinstance(bad, str) and data.draw(st.booleans()):
            container[bad] = container.pop(key)
        else:
            container[key] = copy.deepcopy(bad)
    before = declared_classes(), dict(registry.space("ethertype").headers)
    with bindings():
        inside = declared_classes()
        try:
            texts = [str(one) for one in declarations(some)]
            assert all(line.isprintable() for one in texts for line in one.splitlines())
            made = declare_from(some)
        except DeclareError as error:
            refusal = str(error)
            assert refusal.isprintable() and declared_classes() == inside
        else:
            for header in made:
                for piece in (b"", b"\0" * 40, b"\xff" * 40, data.draw(st.binary(max_size=80))):
                    packet = dissect(piece, header)
                    assert bytes(packet) == piece
                    for _ in range(20):
                        dissect(piece, header)  # often enough for a reader of its own
                    try:
                        packet.encode()
                        bytes(header())
                    except PacketlabError:
                        pass
    assert "owned" not in sys.modules
    assert (declared_classes(), dict(registry.space("ethertype").headers)) == before


@pytest.mark.parametrize(
    ("letters", "complaint"),
    [
        ("[" * 100_000, "expected JSON"),
        ("[" + "1" * 5000 + "]", "expected JSON|a declaration"),
        ("{}", "a list of 0 to 64 items"),
        ("[" + ",".join(["{}"] * 65) + "]", "a list of 0 to 64 items"),
        ('[{"name": "A B"}]', "the name of a header: expected a name"),
        ('[{"name": "A", "eval": "1"}]', "a declaration: expected one of name"),
        (" " * (1 << 21), "letters at most"),
    ],
)
def test_what_is_no_list_of_declarations_is_refused(letters: str, complaint: str) -> None:
    with pytest.raises(DeclareError, match=complaint):
        from_json(letters)


def one(**parts: Any) -> list[dict[str, Any]]:
    return [{"name": "Evil", "fields": [{"name": "a", "kind": "int", "bits": 8}], **parts}]


def field_of(**parts: Any) -> list[dict[str, Any]]:
    return [{"name": "Evil", "fields": [{"name": "a", "kind": "int", "bits": 8}, {"name": "b", **parts}]}]


DEEP: Any = 1
for _ in range(40):
    DEEP = ["+", DEEP, 1]


@pytest.mark.parametrize(
    ("some", "complaint"),
    [
        (field_of(kind="int", bits=4097), "a number from 1 to 4096, got 4097"),
        (field_of(kind="int", bits=True), "a number from 1 to 4096, got True"),
        (field_of(kind="bytes", bytes=1 << 40), "a number from 0 to 65536"),
        (field_of(kind="bytes", pad=1 << 40), "a number from 1 to 4096"),
        (field_of(kind="int", bits=8, when=["<<", 1, ["*", 2, ["field", "a"]]]), "a number from 0 to 256 after <<"),
        (field_of(kind="bytes", size=["//", 8, ["field", "a"]]), "a number that is never 0 after //"),
        (field_of(kind="int", bits=8, rule=["*", ["size_of", "payload"], ["field", "a"]]), "a number that is never 0 after //"),
        (field_of(kind="int", bits=8, rule=DEEP), "32 levels at most"),
        (field_of(kind="int", bits=8, rule=["checksum", "internet", ["self"], None, 0]), "an unsigned field of 16 bits or more"),
        (field_of(kind="mac", rule=1), "expected one of const when default"),
        (field_of(kind="int", bits=8, const=1), "a value for a constant"),
        (field_of(kind="int", bits=8, default="1"), "a number from 0 to 255"),
        (field_of(kind="mac", default="00"), "a MAC address"),
        (field_of(kind="items", of="Nonesuch"), "a header that is declared"),
        (field_of(kind="int", bits=8, names={"name": "E", "members": {"mro": 1}}), "a name that is free, got mro"),
        (field_of(kind="int", bits=8, names={"name": "E", "members": {"__init__": 1}}), "a name of up to 64 letters"),
        (field_of(kind="int", bits=8, when=["has", "b"]), "presence and size to follow from fields before it"),
        (field_of(kind="int", bits=8, rule=["+", 1, ["next_protocol", "x", 0]]), "a word of rules"),
        (field_of(kind="int", bits=8, rule=["field", "b"]), "without a circle"),
        (one(payload_size=["field", "nope"]), "a field of Evil, got nope"),
        (one(pseudo=["a", "a"]), "fields of addresses"),
        (one(under=[{"header": "Ether", "when": ["field", "nope"]}]), "a field of Ether, got nope"),
        (one(under=[{"header": "Ether", "when": ["has", "payload"]}]), "a field of Ether, got payload"),
        (one(under=[{"header": "Ether", "when": 1, "sets": {"type": ["field", "type"]}}]), "without a circle"),
        (one(under=[{"header": "Ether", "when": 1, "sets": {"dst": 1}}]), "a number field"),
        (one(under=[{"header": "Ether", "numbers": {"type": [1 << 16]}}]), "a number from 0 to 65535"),
        (one(under=[{"header": "Evil", "when": i} for i in range(1, 70)]), "64 conditions at most"),
        (one(answers=1), "a list of 0 to 64 items"),
        (one(answers=[{"rule": 1}] * 65), "a list of 0 to 64 items"),
        (one(answers=[{"rule": 1}] * 2), "one rule for each header"),
        (one(answers=[{"rule": 1, "eval": 1}]), "expected one of header rule"),
        (one(answers=[{"header": "Nonesuch", "rule": 1}]), "a header that is declared"),
        (one(answers=[{}]), "a list of 2 to 4 items"),
        (one(answers=[{"rule": DEEP}]), "32 levels at most"),
        (one(answers=[{"rule": ["reply", "b"]}]), "a field of Evil, got b"),
        (one(answers=[{"header": "IPv4", "rule": ["request", "a"]}]), "a field of IPv4, got a"),
        (one(answers=[{"rule": ["field", "a"]}]), "a word of rules"),
        (one(answers=[{"rule": ["size_of", "payload"]}]), "a word of rules"),
        (one(answers=[{"rule": ["ahead", 8]}]), "a word of rules"),
        (one(answers=[{"rule": ["//", ["reply", "a"], ["request", "a"]]}]), "a number that is never 0 after //"),
        (one(answers=[{"rule": ["<<", ["reply", "a"], ["request", "a"]]}]), "numbers of up to 256 bits"),
        (one(payload_size=["reply", "a"]), "a word of rules"),
        (field_of(kind="int", bits=16, rule=["checksum", "xns", ["pseudo", "self"], None, 0]), "for internet checksums"),
    ],
)  # fmt: skip
def test_what_could_run_wild_is_refused_with_its_place(some: list[dict[str, Any]], complaint: str) -> None:
    before = declared_classes()
    with pytest.raises(DeclareError, match=complaint):
        declare_from(some)
    assert declared_classes() == before
    assert bytes(Ether() / IPv4())[12:14] == b"\x08\0" and ARP in dissect(bytes(Ether() / ARP()))


def test_items_inside_items_have_an_end() -> None:
    # What reads and writes them calls itself for each level. Each level that fails is read once more, not twice for each one
    # around it (tests/declare/test_nested_faults.py).
    def nested(levels: int) -> list[dict[str, Any]]:
        number = {"name": "n", "kind": "int", "bits": 8, "default": 0}
        items = [[number, {"name": "a", "kind": "header", "of": f"L{i - 1}"}] for i in range(1, levels)]
        return [{"name": f"L{i}", "fields": fields} for i, fields in enumerate([[number], *items])]

    with bindings():
        assert len(declare_from(nested(24))) == 24
    with pytest.raises(DeclareError, match="24 deep"):
        declare_from(nested(26))


def test_headers_of_no_bytes_that_follow_each_other_come_to_an_end() -> None:
    with bindings():
        made = declare_from([
            {"name": "Ping", "fields": [], "under": [{"header": "Pong", "when": 1}]},
            {"name": "Pong", "fields": [], "under": [{"header": "Ping", "when": 1}]},
        ])  # fmt: skip
        packet = dissect(b"data", made[0])
        assert packet.payload == b"data" and "take none" in str(packet.faults[0])


def test_names_that_headers_have_themselves_do_no_harm() -> None:
    for name in ("declaration", "fields", "same", "by_name", "state", "replace", "show"):
        with bindings():
            (evil,) = declare_from([{"name": "Evil", "fields": [{"name": name, "kind": "int", "bits": 8}]}])
            packet = dissect(b"\7", evil)
            assert getattr(packet[evil], name) == 7 and f"{name} = 7" in packet.why(evil, name) and bytes(packet.replace(evil, **{name: 8})) == b"\x08"
    with pytest.raises(DeclareError, match="a name that is free"):
        declare_from([{"name": "Evil", "fields": [{"name": "pseudo", "kind": "int", "bits": 8}]}])


def test_the_words_of_a_stranger_are_escaped() -> None:
    some = one(doc="\x1b]0;owned\x07 \u202e <script>")
    text = str(HeaderDescription(some, 0))
    assert "\x1b" not in text and "\u202e" not in text and "\\x1b]0;owned" in text
