"""Lantern, a protocol of nobody's over TCP (texts/lantern.txt), declared from its text and how-to-declare alone."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import IntEnum
from fractions import Fraction
from typing import Annotated, Any

import pytest

from packetlab import (
    TCP,
    U1,
    U4,
    U5,
    U8,
    Capture,
    Ether,
    Header,
    IPv4,
    Named,
    Packet,
    Text,
    U16le,
    U32le,
    U64le,
    auto,
    bits,
    count_of,
    default,
    dissect,
    exchanges,
    field,
    fixed_bytes,
    has,
    many,
    must,
    reply,
    request,
    scaled,
    size_of,
    sized,
    timestamp,
    varint,
    when,
)
from tests.protocols.scope import Scope
from tests.protocols.texts import vectors

with (scope := Scope()):

    class Op(IntEnum):
        GREET = 1
        READ = 2
        SET = 3

    class State(IntEnum):
        DARK = 0
        LIT = 1
        FLASHING = 2
        LOST = 3

    LanternVar = varint(most=5, shortest=True)
    Time = timestamp(64, epoch="2000-01-01", unit=Fraction(1, 2**32), little=True)

    def most32(name: str, value: Any) -> Any:
        """A varint of up to 2^32-1."""
        return must(field(name) <= 2**32 - 1, value)

    class Lantern(Header, under=TCP, port=6129, stream=True):
        """The Length: what stands above it ends there."""

        length: Annotated[int, varint(most=3, shortest=True)] = must((field("length") >= 6) & (field("length") <= 65536), auto(size_of("payload")))

    class Message(
        Header, under=Lantern, bit_order="low", label="{op} #{id}",
        answers=(request.response == 0) & (reply.response == 1) & (reply.id == request.id) & (reply.op == request.op),
    ):
        op: Annotated[Named[Op], bits(6)] = default(Op.GREET)
        error: U1 = 0
        response: U1 = must((field("error") == 0) | (field("response") == 1), 0)
        id: U32le = 0
        has_time: U1 = auto(has("time"))
        has_origin: U1 = auto(has("origin"))
        has_trace: U1 = auto(has("trace"))
        has_budget: U1 = auto(has("budget"))
        reserved: U4 = must(field("reserved") == 0, 0)
        time: Annotated[datetime, Time] | None = when(field("has_time"))
        origin_size: Annotated[int, LanternVar] | None = when(field("has_origin"), most32("origin_size", auto(size_of("origin"))))
        origin: Text | None = when(field("has_origin"), sized(field("origin_size"), ""))
        trace: Annotated[bytes, fixed_bytes(16)] | None = when(field("has_trace"))
        budget: Annotated[int, LanternVar] | None = when(field("has_budget"), most32("budget", 0))

    class Refusal(Header, under=Message, when={"error": 1, "reserved": 0}, exact=True):
        code: U16le = 0
        text_size: Annotated[int, LanternVar] = most32("text_size", auto(size_of("text")))
        text: Text = sized(field("text_size"), "")

    class Greet(Header, under=Message, when={"op": Op.GREET, "response": 0, "error": 0, "reserved": 0}, exact=True):
        version: U8 = 1
        name_size: Annotated[int, LanternVar] = most32("name_size", auto(size_of("name")))
        name: Text = sized(field("name_size"), "")

    class Greeted(Header, under=Message, when={"op": Op.GREET, "response": 1, "error": 0, "reserved": 0}, exact=True):
        session: U64le = 0
        name_size: Annotated[int, LanternVar] = most32("name_size", auto(size_of("name")))
        name: Text = sized(field("name_size"), "")

    class Lamp(Header, label="{name}"):
        size: Annotated[int, LanternVar] = most32("size", auto(size_of("name")))
        name: Text = sized(field("size"), "")

    class Read(Header, under=Message, when={"op": Op.READ, "response": 0, "error": 0, "reserved": 0}, exact=True):
        count: Annotated[int, LanternVar] = most32("count", auto(count_of("lamps")))
        lamps: tuple[Lamp, ...] = many(count=field("count"))

    class Reading(Header, bit_order="low"):
        lamp_size: Annotated[int, LanternVar] = most32("lamp_size", auto(size_of("lamp")))
        lamp: Text = sized(field("lamp_size"), "")
        state: Annotated[Named[State], bits(8)] = default(State.DARK)  # type: ignore[assignment]
        level: U16le = 0
        has_heat: U1 = auto(has("heat"))
        has_since: U1 = auto(has("since"))
        has_note: U1 = auto(has("note"))
        reserved: U5 = must(field("reserved") == 0, 0)
        heat: Annotated[float, scaled(16, Fraction(1, 256), signed=True, little=True, unit="°C")] | None = when(field("has_heat"))
        since: Annotated[datetime, Time] | None = when(field("has_since"))
        note_size: Annotated[int, LanternVar] | None = when(field("has_note"), most32("note_size", auto(size_of("note"))))
        note: Text | None = when(field("has_note"), sized(field("note_size"), ""))

    class Readings(Header, under=Message, when={"op": Op.READ, "response": 1, "error": 0, "reserved": 0}, exact=True):
        count: Annotated[int, LanternVar] = most32("count", auto(count_of("readings")))
        readings: tuple[Reading, ...] = many(count=field("count"))

    class Set(Header, under=Message, when={"op": Op.SET, "response": 0, "error": 0, "reserved": 0}, exact=True):
        lamp_size: Annotated[int, LanternVar] = most32("lamp_size", auto(size_of("lamp")))
        lamp: Text = sized(field("lamp_size"), "")
        level: U16le = 0
        fade: U32le = 0

    class SetDone(Header, under=Message, when={"op": Op.SET, "response": 1, "error": 0, "reserved": 0}, exact=True):
        pass


SEGMENT, READINGS, REFUSAL, DAMAGED = vectors("lantern")
NORTH, SODER, NOTE = "pier/north", "pier/söder", "no answer since the ice; boat ordered for the morning tide"
TRACE = bytes(range(0xA0, 0xB0))


def three() -> list[Packet]:
    """Return the messages of the first segment, by their values."""
    return [
        Lantern() / Message(id=0x1001, origin="desk-4", budget=1500) / Read(lamps=(Lamp(name=NORTH), Lamp(name=SODER))),
        Lantern() / Message(id=0x1002) / Set(lamp=NORTH, level=40000, fade=2500),
        Lantern() / Message(id=0x1003) / Greet(version=1, name=""),
    ]


def response() -> Packet:
    """Return the answer to the first of them."""
    readings = (
        Reading(lamp=NORTH, state=State.LIT, level=65535, heat=41.5, since=datetime(2025, 12, 31, microsecond=750000, tzinfo=UTC)),
        Reading(lamp=SODER, state=State.LOST, level=0, heat=-3.25, note=NOTE),
        Reading(lamp="mole", state=State.DARK),
    )
    return Lantern() / Message(id=0x1001, time=datetime(2026, 1, 1, microsecond=500000, tzinfo=UTC), trace=TRACE) / Readings(readings=readings)


def refusal() -> Packet:
    message = Message(op=Op.SET, response=1, id=0x1002, time=datetime(2026, 1, 1, 0, 0, 1, 250000, UTC))
    return Lantern() / message / Refusal(code=404, text="no such lamp")


def test_each_message_of_the_text_is_built_and_read() -> None:
    with scope:
        assert b"".join(map(bytes, three())) == SEGMENT
        for data, packet in ((READINGS, response()), (REFUSAL, refusal())):
            assert bytes(packet) == data
            found = dissect(data, Lantern)
            assert (found.faults, found.payload, found, bytes(found)) == ((), b"", packet, data)


def test_three_messages_in_a_segment() -> None:
    with scope:
        found = dissect(SEGMENT, Lantern)
        one, two, last = found.messages(Lantern)
        assert found.faults == () and [one, two, last] == three()
        assert [each[Lantern].length for each in (one, two, last)] == [39, 23, 8]
        assert (one[Message].op, one[Message].id, one[Message].origin, one[Message].budget) == (Op.READ, 0x1001, "desk-4", 1500)
        assert (one[Read].count, [lamp.name for lamp in one[Read].lamps]) == (2, [NORTH, SODER])
        assert (two[Set].lamp, two[Set].level, two[Set].fade) == (NORTH, 40000, 2500)
        assert (last[Greet].version, last[Greet].name) == (1, "")


def test_the_values_are_those_of_the_text() -> None:
    with scope:
        found = dissect(READINGS, Lantern)
        message = found[Message]
        assert (found[Lantern].length, message.op, message.response, message.error) == (142, Op.READ, 1, 0)
        assert (str(message.time), message.trace) == ("2026-01-01T00:00:00.5Z", TRACE)
        north, soder, mole = found[Readings].readings
        assert (north.lamp, north.state, north.level, north.heat, str(north.since)) == (
            NORTH, State.LIT, 65535, 41.5, "2025-12-31T00:00:00.75Z",
        )  # fmt: skip
        assert (soder.lamp, soder.state, soder.heat, soder.since, soder.note) == (SODER, State.LOST, -3.25, None, NOTE)
        assert (mole.lamp, mole.state, mole.level, mole.heat, mole.since, mole.note) == ("mole", 0, 0, None, None, None)
        found = dissect(REFUSAL, Lantern)
        assert (found[Message].error, found[Refusal].code, found[Refusal].text) == (1, 404, "no such lamp")


def test_a_damaged_message_is_skipped_by_its_length() -> None:
    with scope:
        found = dissect(DAMAGED, Lantern)
        assert (found.faults[0].layer, found.faults[0].field, found[Set].lamp_size) == ("Set", "lamp", 68)
        assert (found[Lantern].length, found[Message].id, found[Message].origin) == (24, 0x1004, "desk-4")
        assert bytes(Lantern() / Message(id=0x1004, origin="desk-4") / Set(lamp="mole", lamp_size=68, level=513)) == DAMAGED
        greeting = three()[2]
        assert dissect(DAMAGED + bytes(greeting), Lantern).messages(Lantern)[1] == greeting


def test_messages_over_segments_and_their_answers() -> None:
    with scope:
        there, back = Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2"), Ether() / IPv4(src="10.0.0.2", dst="10.0.0.1")
        syn, reply = TCP(sport=5000, dport=6129, flags="SYN", seq=99), TCP(sport=6129, dport=5000, flags="SYN|ACK", seq=99, ack=100)
        frames = [
            there / syn,
            *(there / TCP(sport=5000, dport=6129, flags="ACK", seq=100) / SEGMENT).segments(17),
            back / reply,
            *(back / TCP(sport=6129, dport=5000, flags="ACK", seq=100) / (REFUSAL + READINGS)).segments(31),
        ]
        found = [one.packet for one in Capture.of(frames).messages(Lantern)]
        assert [bytes(one) for one in found] == [*map(bytes, three()), REFUSAL, READINGS]
        asked = there / TCP(sport=5000, dport=6129, flags="PSH|ACK", seq=100, ack=100) / three()[0]
        told = back / TCP(sport=6129, dport=5000, flags="PSH|ACK", seq=100, ack=100 + len(bytes(three()[0]))) / response()
        assert told.answers(asked) and not told.replace(Message, id=1).answers(asked)
        (pair,) = exchanges([asked, told])
        assert pair.reply is not None


@pytest.mark.parametrize(
    ("data", "fields"),
    [
        ("0a 01 03 10 00 00 00 01 00 ff ff", [""]),
        ("07 83 03 10 00 00 00 ff", [""]),
        ("06 83 03 10 00 00 00", []),
        ("08 01 03 10 00 00 10 01 00", ["reserved"]),
        ("0d 01 03 10 00 00 08 ff ff ff ff 7f 01 00", ["budget"]),
        ("0d 01 03 10 00 00 08 ff ff ff ff 0f 01 00", []),
        ("0a 01 03 10 00 00 00 01 81 00 61", ["name_size"]),  # two octets for 1
        ("86 00 83 03 10 00 00 00", ["length"]),
    ],
)  # fmt: skip
def test_what_the_text_forbids_is_a_fault_at_its_field(data: str, fields: list[str]) -> None:
    with scope:
        assert [fault.field for fault in dissect(bytes.fromhex(data), Lantern).faults] == fields
