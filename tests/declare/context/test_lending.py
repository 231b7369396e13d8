"""What a packet recalled counts for what is compared with it, looked for in it, or put in its place; what a capture knew, too."""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum
from typing import Annotated, Any

import pytest
from hypothesis import find, given, settings
from hypothesis.errors import NoSuchExample
from netaddr import IPAddress

from packetlab import (
    U8,
    U16,
    U32,
    UDP,
    BuildError,
    Bytes,
    Capture,
    Context,
    Ether,
    Header,
    IPv4,
    IPv4Address,
    Named,
    Packet,
    Records,
    Rest,
    TemplateRecord,
    auto,
    bits,
    contains,
    count_of,
    dissect,
    field,
    laid_out,
    malformed,
    many,
    recalled,
    size_of,
    sized,
    strategies,
)
from tests.protocols.scope import Scope

with (scope := Scope()):

    class Element(IntEnum):
        OCTETS, SOURCE, INTERFACE = 1, 8, 82

    class Specifier(Header):
        type: Annotated[Named[Element], bits(16)]
        length: U16

    class FlowSet(Header):
        id: U16
        length: U16 = auto(size_of("self"))

    KEY = "lent flows", field("Flows.domain")

    class Template(FlowSet, when={"id": 2}, remembers={(*KEY, field("template")): field("fields")}):
        template: U16 = 256
        count: U16 = auto(count_of("fields"))
        fields: tuple[Specifier, ...] = many(count=field("count"))

    class FlowData(FlowSet, when=field("id") > 255):
        records: Records = laid_out(
            recalled(*KEY, field("id")),
            size="length",
            align=4,
            kinds={Element.SOURCE: IPv4Address, Element.INTERFACE: str},
        )

    class Flows(Header, under=UDP, when={"dport": 20560}):
        domain: U32 = 0
        sets: tuple[FlowSet, ...] = many()

    class Told(Header, under=UDP, when={"dport": 20561}, remembers={("lent size", field("id")): field("size")}):
        id: U8 = 1
        size: U8 = 2

    class Used(Header, under=UDP, when={"dport": 20562}):
        total: U8 = auto(size_of("self"))
        id: U8 = 1
        body: Bytes = sized(recalled("lent size", field("id")), b"")
        more: Rest = b""

    class Layout(Header, remembers={("lent rows", field("id")): field("fields")}):
        id: U8 = 5
        count: U8 = auto(count_of("fields"))
        fields: tuple[Specifier, ...] = many(count=field("count"))

    class Rows(Header):
        id: U8 = 0
        length: U16 = auto(size_of("self"))
        rows: Records = laid_out(recalled("lent rows", field("id")), size="length", kinds={Element.SOURCE: IPv4Address})


@pytest.fixture(autouse=True)
def declared() -> Iterator[None]:
    with scope:
        yield


def sent(header: Header) -> Packet:
    return Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=4) / header


def flows(*sets: Header) -> Packet:
    return sent(Flows(sets=sets))


FIELDS = [Specifier(type=8, length=4), Specifier(type=1, length=3), Specifier(type=82, length=65535)]
ROW: dict[Any, Any] = {8: "10.0.0.9", 1: 70000, 82: "eth0"}
FORMS: list[Any] = [
    ROW, {"SOURCE": "10.0.0.9", "OCTETS": 70000, "INTERFACE": "eth0"}, {82: b"eth0", 1: b"\1\x11\x70", 8: IPAddress("10.0.0.9")},
    {Element.SOURCE: bytes([10, 0, 0, 9]), Element.OCTETS: 70000, Element.INTERFACE: "eth0"}, TemplateRecord(ROW),
]  # fmt: skip


@pytest.fixture
def capture(declared: None) -> Capture:
    with Context():
        other = [Specifier(type=1, length=8)]
        return Capture.of([
            bytes(flows(Template(fields=FIELDS), Template(template=300, fields=other))),
            bytes(flows(FlowData(id=256, records=[ROW, {**ROW, 1: 5}]))), bytes(flows(FlowData(id=256, records=[{**ROW, 1: 6}]))),
            bytes(sent(Told())), bytes(sent(Used(body=b"ab", more=b"cd"))), bytes(sent(Told(size=1))),
        ])  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_a_record_is_equal_to_all_that_would_be_built_as_it_is(capture: Capture, form: Any) -> None:
    first, second = capture[1].packet()[Flows].sets[0].records  # type: ignore[attr-defined]
    assert first == form and form == first and second != form
    assert hash(first) == hash(TemplateRecord(form))
    assert first != {**form, 99: 1} and first != dict(list(form.items())[:2])


def test_a_number_twice_wants_both_values() -> None:
    with Context() as context:
        bytes(flows(Template(fields=[Specifier(type=1, length=1)] * 2)))
        (row,) = (
            dissect(bytes(flows(FlowData(id=256, records=[TemplateRecord([(1, 1), (1, 2)])]))), context=context)[Flows]
            .sets[0]
            .records
        )  # type: ignore[attr-defined]
    assert row == TemplateRecord([("OCTETS", b"\2"), (1, 1)])
    assert row != TemplateRecord([("OCTETS", 1), (1, 1)])


@pytest.mark.parametrize("form", FORMS)
def test_patterns_take_records_in_every_form_that_building_takes(capture: Capture, form: Any) -> None:
    both, one = [form, {**form, 1: 5}], {key: value for key, value in form.items() if key not in (1, "OCTETS")}
    if 1 not in form:
        both = [form, {**one, 1: 5}]
    for pattern in (
        Flows(sets=[FlowData(id=256, records=both)]),
        Flows(sets=contains(FlowData(records=both))),
        Flows(sets=contains(FlowData(records=contains(form)))),
    ):
        assert [frame.number for frame in capture.where(pattern)] == [2]
        assert not pattern.why_not(capture[1].packet())
    assert [frame.number for frame in capture.where(Flows(sets=contains(FlowData(records=contains(one)))))] == [2, 3]
    wrong = Flows(sets=[FlowData(id=256, records=[form])])
    assert [*capture.where(wrong)] == [] and "Flows.sets: expected" in wrong.why_not(capture[1].packet())


def test_built_and_read_are_compared_and_never_raise(capture: Capture) -> None:
    packet = capture[1].packet()
    data = packet[Flows].sets[0]
    same, other = (FlowData(id=256, records=[ROW, {**ROW, 1: number}]) for number in (5, 6))
    misfit, unknown = FlowData(id=256, records=[{5: 1}]), FlowData(id=999, records=[ROW])
    for one, equal in ((same, True), (other, False), (misfit, False), (unknown, False)):
        assert (one == data, data == one, one in [data], data in {one}, one in {data}) == (equal,) * 5
        assert (Flows(sets=[one]) == packet[Flows], packet[Flows] == Flows(sets=[one])) == (equal,) * 2
        assert (flows(one) == packet, packet == flows(one), packet in [flows(one)]) == (equal,) * 3
        assert not packet.diff(flows(one)) if equal else packet.diff(flows(one))
        assert not flows(one).diff(packet) if equal else flows(one).diff(packet)
    assert "'OCTETS': 5" in str(packet.diff(flows(other))) and "'OCTETS': 6" in str(packet.diff(flows(other)))
    assert (
        same == FlowData(id=256, records=[ROW, {**ROW, 1: 5}]) and same != other
    )  # nobody knows more than what was given
    assert flows(same) == flows(FlowData(id=256, records=[ROW, {**ROW, 1: 5}])) != flows(other)
    with pytest.raises(BuildError, match="no context"):
        bytes(flows(same))  # comparing leaves nothing behind


def test_a_packet_is_edited_with_what_it_recalled(capture: Capture) -> None:
    packet = capture[1].packet()
    made = packet.replace(Flows, sets=[FlowData(id=256, records=[ROW])]).replace(UDP, sport=9)
    with Context() as context:
        dissect(capture[0].data, context=context)
        assert bytes(made) == bytes(flows(FlowData(id=256, records=[ROW])).replace(UDP, sport=9))
    assert made[Flows].sets[0].records == (ROW,)  # type: ignore[attr-defined]
    assert bytes(capture[4].packet().replace(Used, body=b"xy"))[-6:] == b"\6\1xycd"
    with pytest.raises(BuildError, match="2 bytes, as recalled"):
        bytes(capture[4].packet().replace(Used, body=b"x"))


def test_why_names_the_template_of_records_in_items_and_its_packet(capture: Capture) -> None:
    packet = capture[1].packet()
    lines = str(packet.why(Flows, "sets")).splitlines()
    said = "laid out as recalled('lent flows', Flows.domain, id) says, remembered from packet 1 at 0.000000000 s"
    assert lines[1:] == [f"  sets[0].records: {said}", "  no rule: as it came"]
    with Context():
        bytes(flows(Template(fields=FIELDS)))
        both = flows(FlowData(id=256, records=[ROW]), FlowData(id=256, records=[ROW]), FlowData(id=256, records=[]))
        (line,) = [
            line for line in str(both.why(Flows, "sets")).splitlines() if "sets[0]" in line and "recalled" in line
        ]
        assert (
            line
            == f"  sets[0].records and 2 more: {said.replace('packet 1 at 0.000000000 s', 'a packet that was built')}"
        )
    assert "recalled" not in capture[0].packet().why(Flows, "sets")


def test_what_is_drawn_in_a_context_fits_what_was_told(capture: Capture) -> None:
    seen = set[int]()

    @settings(max_examples=30, deadline=None, database=None)
    @given(strategies.headers(Rows), strategies.headers(Used))
    def reads_back(rows: Rows, used: Used) -> None:
        for header in (rows, used):
            assert dissect(bytes(header), type(header)).faults == ()
        assert (rows.id, used.id) in {(5, 1), (5, 9), (6, 1), (6, 9)} and len(used.body) == {1: 2, 9: 5}[used.id]
        seen.add(len(rows.rows))

    with Context() as context:
        for told in (Told(), Told(id=9, size=5), Layout(fields=FIELDS), Layout(id=6, fields=FIELDS[:1])):
            bytes(told)
        reads_back()
        with pytest.raises(NoSuchExample):
            find(strategies.headers(Rows), lambda header: header.id not in (5, 6), settings=settings(database=None))
    assert max(seen) > 1 and len(context) == 4
    assert find(strategies.headers(Rows), lambda header: True).rows == ()


def test_frame_context_has_what_was_known_before_a_packet(capture: Capture) -> None:
    packet = capture[2].packet()
    new = FlowData(id=300, records=[{1: 7}])
    with pytest.raises(BuildError, match=r"`with frame.context\(\):` of a frame of a capture"):
        bytes(packet.replace(Flows, sets=[new]))
    with capture[2].context() as context:
        assert bytes(packet.replace(Flows, sets=[new]))[-8:] == (7).to_bytes(8, "big")
    assert [capture[place].context().recall("lent size", 1) for place in (3, 4, 5)] == [None, 2, 2]
    dissect(capture[5].data, context=context)
    assert context.recall("lent size", 1) == 1 and capture[5].context().recall("lent size", 1) == 2
    assert len(Capture.of([capture[0].data])[0].context()) == 0


def test_a_packet_of_a_capture_is_damaged_with_what_it_recalled(capture: Capture) -> None:
    for place in (1, 4):
        cases = malformed(capture[place].packet())
        assert any(case.id.startswith(("flows.", "used.")) for case in cases)
        assert [said for case in cases if (said := case.disagreements())] == []
    assert "none" in dissect(capture[4].data, context=Context()).faults[0].got
    with pytest.raises(BuildError, match="without faults to begin with"):
        malformed(dissect(capture[4].data))
