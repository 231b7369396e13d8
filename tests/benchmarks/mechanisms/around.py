"""Messages in streams, values from elsewhere (M2, M4)."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from mechanisms.line import Line
from packetlab import (
    TCP,
    U4,
    U8,
    U16,
    Bytes,
    Header,
    auto,
    before,
    choose,
    computed,
    count_of,
    field,
    has,
    many,
    size_of,
    when,
)  # fmt: skip

# M2: messages in a stream ----------------------------------------------------------------------------------------


class TimedMessage(Header, under=TCP, when={"dport": 7081}, stream=True):
    kind: U8 = 1
    flags: U8 = 0
    id: U16 = 0
    length: U8 = auto(size_of("text"))
    text: Bytes = b""


@dataclass(slots=True)
class PlainMessage:
    kind: int
    flags: int
    id: int
    length: int
    text: bytes


@dataclass(slots=True)
class PlainSegment:
    sport: int
    dport: int
    seq: int
    ack: int
    offset: int
    flags: int
    window: int
    checksum: int
    urgent: int
    messages: list[PlainMessage]


def messages(data: bytes) -> list[PlainMessage]:
    one = PlainSegment(*struct.unpack_from("!HHIIBBHHH", data), [])
    pos, found = one.offset >> 4 << 2, one.messages
    while pos < len(data):
        kind, flags, number, length = struct.unpack_from("!BBHB", data, pos)
        pos += 5 + length
        if pos > len(data):
            raise ValueError("no whole message")
        found.append(PlainMessage(kind, flags, number, length, data[pos - length : pos]))
    return found


def messages_built() -> bytes:
    made = [PlainMessage(1, 0, n, 20, bytes(20)) for n in range(8)]
    parts = [struct.pack("!BBHB", one.kind, one.flags, one.id, one.length) + one.text for one in made]
    return b"".join(parts)


def timed_messages() -> list[TimedMessage]:
    return [TimedMessage(id=n, text=bytes(20)) for n in range(8)]


SEGMENT = bytes(TCP(sport=60000, dport=7081, seq=1, flags="ACK", checksum=0))

# M4: a value of an outer header ----------------------------------------------------------------------------------


class TimedCarrier(Header):
    qos: U8 = 0
    kind: U8 = 3


class TimedOuter(Header, under=TimedCarrier, when={"kind": 3}):
    a: U16 | None = when(field("TimedCarrier.qos") > 0, 1)
    b: U16 | None = when(field("TimedCarrier.qos") > 1, 2)
    c: U16 | None = when(field("TimedCarrier.qos") > 2, 3)
    d: U16 | None = when(field("TimedCarrier.qos") > 3, 4)
    e: U16 | None = when(field("TimedCarrier.qos") > 4, 5)
    f: U16 | None = when(field("TimedCarrier.qos") > 5, 6)
    exact: U8 = 1


@dataclass(slots=True)
class PlainCarrier:
    qos: int
    kind: int


@dataclass(slots=True)
class PlainOuter:
    a: int | None
    b: int | None
    c: int | None
    d: int | None
    e: int | None
    f: int | None
    exact: int


def outer(data: bytes) -> PlainOuter:
    carrier, pos = PlainCarrier(data[0], data[1]), 2
    a = b = c = d = e = f = None
    if carrier.qos > 0:
        (a,) = struct.unpack_from("!H", data, pos)
        pos += 2
    if carrier.qos > 1:
        (b,) = struct.unpack_from("!H", data, pos)
        pos += 2
    if carrier.qos > 2:
        (c,) = struct.unpack_from("!H", data, pos)
        pos += 2
    if carrier.qos > 3:
        (d,) = struct.unpack_from("!H", data, pos)
        pos += 2
    if carrier.qos > 4:
        (e,) = struct.unpack_from("!H", data, pos)
        pos += 2
    if carrier.qos > 5:
        (f,) = struct.unpack_from("!H", data, pos)
        pos += 2
    return PlainOuter(a, b, c, d, e, f, data[pos])


def outer_built() -> bytes:
    carrier, one = PlainCarrier(4, 3), PlainOuter(1, 2, 3, 4, None, None, 1)
    parts = [bytes((carrier.qos, carrier.kind))]
    if carrier.qos > 0:
        parts.append(struct.pack("!H", one.a))
    if carrier.qos > 1:
        parts.append(struct.pack("!H", one.b))
    if carrier.qos > 2:
        parts.append(struct.pack("!H", one.c))
    if carrier.qos > 3:
        parts.append(struct.pack("!H", one.d))
    if carrier.qos > 4:
        parts.append(struct.pack("!H", one.e))
    if carrier.qos > 5:
        parts.append(struct.pack("!H", one.f))
    parts.append(bytes((one.exact,)))
    return b"".join(parts)


# M4: a value of what surrounds -----------------------------------------------------------------------------------


class TimedSample(Header):
    value: U16 = 0
    error: U8 | None = when(field("^.exact") == 1, 0)


class TimedHolder(Header):
    exact: U8 = 1
    count: U8 = auto(count_of("samples"))
    samples: tuple[TimedSample, ...] = many()


@dataclass(slots=True)
class PlainSample:
    value: int
    error: int | None


@dataclass(slots=True)
class PlainHolder:
    exact: int
    count: int
    samples: tuple[PlainSample, ...]


def holder(data: bytes) -> PlainHolder:
    exact, count, pos, found = data[0], data[1], 2, []
    for _ in range(count):
        (value,) = struct.unpack_from("!H", data, pos)
        pos += 2
        error = None
        if exact == 1:
            error = data[pos]
            pos += 1
        found.append(PlainSample(value, error))
    return PlainHolder(exact, count, tuple(found))


def holder_built() -> bytes:
    one = PlainHolder(1, 16, tuple([PlainSample(n, 2) for n in range(16)]))
    parts = [bytes((one.exact, one.count))]
    for sample in one.samples:
        parts.append(struct.pack("!H", sample.value))
        if one.exact == 1:
            parts.append(bytes((sample.error,)))  # type: ignore[arg-type]
    return b"".join(parts)


# M4: the item before ---------------------------------------------------------------------------------------------


class TimedDelta(Header):
    delta: U8 = 0
    size: U8 = auto(size_of("value"))
    number: int = computed(before("number") + field("delta"))
    value: Bytes = b""


class TimedDeltas(Header):
    count: U8 = auto(count_of("deltas"))
    deltas: tuple[TimedDelta, ...] = many()


@dataclass(slots=True)
class PlainDelta:
    delta: int
    size: int
    number: int
    value: bytes


@dataclass(slots=True)
class PlainDeltas:
    count: int
    deltas: tuple[PlainDelta, ...]


def deltas(data: bytes) -> PlainDeltas:
    count, pos, number, found = data[0], 1, 0, []
    for _ in range(count):
        delta, size = struct.unpack_from("BB", data, pos)
        number += delta
        pos += 2 + size
        if pos > len(data):
            raise ValueError("no whole delta")
        found.append(PlainDelta(delta, size, number, data[pos - size : pos]))
    return PlainDeltas(count, tuple(found))


def deltas_built() -> bytes:
    made, number = [], 0
    for n in range(16):
        made.append(PlainDelta(5 * n - number, 1, 5 * n, b"a"))
        number = 5 * n
    one = PlainDeltas(16, tuple(made))
    parts = [bytes((one.count,))]
    for delta in one.deltas:
        parts.append(struct.pack("BB", delta.delta, delta.size) + delta.value)
    return b"".join(parts)


def timed_deltas() -> TimedDeltas:
    return TimedDeltas(deltas=[TimedDelta(number=5 * n, value=b"a") for n in range(16)])


# M4: a computed value --------------------------------------------------------------------------------------------


class TimedComputed(Header):
    first: U4 = auto(choose(field("step") < 13, field("step"), 13))
    second: U4 = auto(choose(field("far") < 13, field("far"), 13))
    more: U8 | None = when(field("first") == 13, auto(field("step") - 13))
    beyond: U8 | None = when(field("second") == 13, auto(field("far") - 13))
    step: int = computed(choose(field("first") < 13, field("first"), field("more") + 13))
    far: int = computed(choose(field("second") < 13, field("second"), field("beyond") + 13))
    data: U16 = 5
    flag: U8 = auto(has("data"))


@dataclass(slots=True)
class PlainComputed:
    first: int
    second: int
    more: int | None
    beyond: int | None
    step: int
    far: int
    data: int
    flag: int


def computed_read(data: bytes) -> PlainComputed:
    step, far, pos = first, second, _ = data[0] >> 4, data[0] & 15, 1
    more = beyond = None
    if first == 13:
        more = data[pos]
        step, pos = more + 13, pos + 1
    if second == 13:
        beyond = data[pos]
        far, pos = beyond + 13, pos + 1
    return PlainComputed(first, second, more, beyond, step, far, *struct.unpack_from("!HB", data, pos))


def computed_built() -> bytes:
    step, far = 200, 5
    first, more = (step, None) if step < 13 else (13, step - 13)
    second, beyond = (far, None) if far < 13 else (13, far - 13)
    one = PlainComputed(first, second, more, beyond, step, far, 5, 1)
    parts = [bytes((one.first << 4 | one.second,))]
    if one.more is not None:
        parts.append(bytes((one.more,)))
    if one.beyond is not None:
        parts.append(bytes((one.beyond,)))
    parts.append(struct.pack("!HB", one.data, one.flag))
    return b"".join(parts)


LINES = [
    Line("M2", "messages in a stream", TimedMessage, timed_messages, messages, messages_built, first=TCP, carrier=SEGMENT,
         several=True),
    Line("M4", "a value of an outer header", TimedOuter, lambda: TimedCarrier(qos=4) / TimedOuter(a=1, b=2, c=3, d=4), outer, outer_built,
         first=TimedCarrier),
    Line("M4", "a value of what surrounds", TimedHolder, lambda: TimedHolder(samples=[TimedSample(value=n, error=2) for n in range(16)]),
         holder, holder_built),
    Line("M4", "the item before", TimedDeltas, timed_deltas, deltas, deltas_built),
    Line("M4", "a computed value", TimedComputed, lambda: TimedComputed(step=200, far=5), computed_read, computed_built),
]  # fmt: skip
