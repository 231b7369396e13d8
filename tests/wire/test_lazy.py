"""A packet of a stack that keeps coming is read lazily, and nobody can tell but by the time it takes."""

from __future__ import annotations

import copy
import inspect
import pickle
import sys
import threading
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from packetlab import (
    S16,
    TCP,
    U2,
    U4,
    U8,
    U12,
    U16,
    U24,
    UDP,
    VLAN,
    Bytes,
    Capture,
    Ether,
    Header,
    IPv4,
    IPv6,
    Packet,
    Rest,
    auto,
    bindings,
    const,
    dissect,
    field,
    internet_checksum,
    next_protocol,
    size_of,
    sized,
    when,
)
from packetlab.codec import stacks
from packetlab.codec.stacks import OFTEN, stack_decoders, stack_encoders
from packetlab.declare import registry
from tests.conftest import amount

DISSECT = sys.modules["packetlab.protocols.dissect"]
FILES = sorted(path for path in Path("captures").rglob("*") if ".pcap" in path.name and "licences" not in path.parts)


class Tag(Header, under=Ether, when={"type": 0x9AD7}, payload_size=field("size"), opaque=field("mode") == 3):
    """Lies at known places: fixed fields, options up to an end that is reported, bits, 24 bits, both orders of bytes, signs."""

    words: U4 = auto(size_of("self") // 4)
    mode: U4 = 0
    marks: U24 = 7
    size: U16 = auto(size_of("payload"))
    balance: S16 = -5
    magic: U16 = const(0xBEEF)
    kind: U8 = auto(next_protocol("lazy.kind", otherwise=0))
    few: U8 = 3
    more: Bytes = b""


class Far(Header, under=Ether, when={"type": 0x9AD8}, payload_size=field("size") * 2):
    """Its payload is as long as a number of few bits says."""

    size: U8 = auto(size_of("payload") // 2)
    fill: U8 = 0


class Above(Header, under=Tag, when={"kind": 1}):
    sport: U16 = 0
    dport: U16 = auto(next_protocol("lazy.port", otherwise=0))
    sum: U16 = auto(internet_checksum("self", "payload"))
    flags: U16 = 0


class Guessed(Header, under=Tag, when=field("few") == 9):
    a: U8 = 1
    b: U16 | None = when(field("a") > 3, 7)
    name: Bytes = sized(field("a"), b"x")


class Last(Header, under=Above, when={"dport": (5, 70)}):
    x: U16 = 1
    rest: Rest = b""


STACKS = [
    Ether() / IPv4(src="1.2.3.4") / TCP(sport=1, dport=2) / b"data",
    Ether() / IPv4() / TCP(options=[]) / b"",
    Ether() / IPv4(flags=2, options=b"\x01\x01\x01\x00") / TCP(options=b"\x01\x01\x01\x00") / b"data",
    Ether() / VLAN(id=5) / IPv4() / UDP(sport=4, dport=5) / bytes(30),
    Ether() / IPv6() / UDP() / b"abc",
    Ether() / IPv4(fragment_offset=5) / b"abc",
    Ether() / Tag() / b"abc",
    Ether() / Tag(more=b"moremore") / Above(dport=4) / b"abc",
    Ether() / Tag(mode=2, balance=-9) / Above() / Last(rest=b"rest"),
    Ether() / Tag(mode=2) / Above(dport=70) / Last(rest=b"rest"),
    Ether() / Tag(few=9, kind=7) / Guessed(a=1) / b"p",
    Ether() / Tag(few=9, kind=7) / Guessed(a=5, name=b"12345") / b"p",
    Ether() / Tag(mode=3, kind=1) / b"nothing above",
    Ether() / Far() / b"four",
]
SEEDS = [bytes(packet) for packet in STACKS] + [bytes(STACKS[0]) + bytes(8), bytes(STACKS[3]) + b"\0\0"]


@pytest.fixture(autouse=True)
def nothing_came_yet() -> None:
    registry.changed()


def taught(frames: list[bytes], first: Any = Ether) -> None:
    """Let every stack among `frames` come often, and be built often."""
    for frame in frames:
        for _ in range(4 * OFTEN + 1):
            dissect(frame, first)
        for _ in range(OFTEN):
            dissect(frame, first).encode()


def carefully(data: bytes, first: Any = Ether) -> Packet:
    """Dissect header by header, whatever came before."""
    held = DISSECT.stack_decoders
    DISSECT.stack_decoders = type(held)()
    try:
        return dissect(data, first)
    finally:
        DISSECT.stack_decoders = held


def is_lazy(packet: Packet) -> bool:
    return packet._path is not None


QUESTIONS = {
    "layers": lambda p: [(type(h), h._state, h._raw_values()) for h in p.layers],
    "each by its class": lambda p: [(h, p[type(h)], p.get(type(h))) for h in p.layers],
    "payload": lambda p: p.payload,
    "trailer": lambda p: p.trailer,
    "faults": lambda p: p.faults,
    "bytes": bytes,
    "shown": lambda p: str(p.show()),
    "in words": lambda p: (repr(p), p.summary(), len(p), p.truncated, hash(p)),
    "packed anew": lambda p: p.encode(),
    "derived again": lambda p: [
        (h._state, [getattr(h, f.slot) is not None and getattr(h, f.name) for f in h._fields]) for h in p._rederived()
    ],
    "verdicts": lambda p: p.verdicts(),
    "what it has": lambda p: [cls in p for cls in (Ether, IPv4, TCP, UDP, Tag, Header)],
}


def same(data: bytes, first: Any = Ether, ways: list[str] | None = None) -> bool:
    """Hold a packet to the one read carefully, whatever is read first (or what `ways` names); say whether it was read lazily."""
    careful = carefully(data, first)
    wanted = {name: ask(careful) for name, ask in QUESTIONS.items()}
    for name in ways or QUESTIONS:
        packet = dissect(data, first)
        assert QUESTIONS[name](packet) == wanted[name], name
        assert {other: ask(packet) for other, ask in QUESTIONS.items()} == wanted, name
    packet = dissect(data, first)
    for cls in dict.fromkeys(map(type, careful.layers)):
        assert type(packet[cls]) is cls
        assert packet[cls] is packet[cls]
        assert [getattr(packet[cls], f.name) for f in cls._fields] == [
            getattr(careful[cls], f.name) for f in cls._fields
        ]
        assert packet[cls] is packet.layers[[type(h) for h in packet.layers].index(cls)]
    assert dissect(data, first) == careful and careful == dissect(data, first)
    return is_lazy(dissect(data, first))


@pytest.mark.parametrize("frame", SEEDS, ids=lambda frame: f"{len(frame)} bytes")
def test_a_stack_that_came_often_is_read_lazily_and_the_same(frame: bytes) -> None:
    taught([frame])
    assert same(frame)


@pytest.mark.slow
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_captures_hold_the_same_packets_read_lazily(path: Path) -> None:
    frames: dict[Any, list[bytes]] = defaultdict(list)
    for frame in Capture(path, strict=False):
        packet = frame.packet()
        if packet.layers:
            frames[type(packet.layers[0])].append(frame.data)
    for first, some in frames.items():
        some = list(dict.fromkeys(some))[: amount(40, 1000)]
        taught(some, first)
        for number, data in enumerate(some):
            same(data, first, [list(QUESTIONS)[(number * 2 + way) % len(QUESTIONS)] for way in range(2)])


@pytest.mark.slow
@given(st.data())
@settings(max_examples=amount(60, 2000))
def test_drawn_bytes_are_read_the_same(data: st.DataObject) -> None:
    taught([frame for frame in SEEDS if not is_lazy(dissect(frame))])
    frame = bytearray(data.draw(st.sampled_from(SEEDS)))
    for place in data.draw(st.lists(st.integers(0, len(frame) - 1), max_size=3)):
        frame[place] = data.draw(st.sampled_from([0, 1, 4, 0x40, 0x45, 0x50, 0x7F, 0x80, 255]) | st.integers(0, 255))
    cut = data.draw(st.just(len(frame)) | st.integers(0, len(frame)))
    same(bytes(frame[:cut]) + data.draw(st.binary(max_size=4)))


def test_no_header_is_made_that_nobody_asks_for() -> None:
    taught(SEEDS[:1])
    packet = dissect(SEEDS[0])
    assert packet._made == [None, None, None]
    assert packet.payload == b"data" and bytes(packet) == SEEDS[0] and TCP in packet
    assert packet._made == [None, None, None]
    assert packet[TCP].dport == 2
    assert packet._made == [None, None, packet[TCP]]
    assert packet.summary() == "Ether / IPv4 / TCP / 4 bytes" and packet == dissect(SEEDS[0])
    assert packet._made == [None, None, packet[TCP]]


def test_a_header_that_is_alone_is_made_at_once() -> None:
    data = bytes(UDP(sport=5, dport=6) / b"data")
    taught([data], UDP)
    packet = dissect(data, UDP)
    (made,) = packet._made
    assert packet[UDP] is made and packet.layers == (made,) and made == carefully(data, UDP)[UDP]
    assert packet.payload == b"data" and bytes(packet) == data
    same(data, UDP)
    same(data[:7], UDP)


def test_a_number_that_bits_share_is_made_once() -> None:
    class Low(Header, bit_order="low"):
        handle: U12 = 0x123
        boundary: U2 = 2
        more: U2 = 1
        kind: U4 = 5
        rest: U4 = 6

    data = bytes(Low())
    taught([data], Low)
    assert dissect(data, Low)[Low] == Low(handle=0x123, boundary=2, more=1, kind=5, rest=6)
    assert inspect.getsource(stack_decoders[Low]).count("from_bytes") == 1


@pytest.mark.parametrize("header", [UDP(sport=5), UDP(length=3), UDP(checksum=7), IPv4(options=b"\1\1\1\0"), TCP(window=9), VLAN(), Tag(more=b"abcd")])
def test_a_header_with_a_payload_is_packed_the_same_however_often(header: Header) -> None:
    cls = type(header)
    once = bytes(cls._encode(header, b"data", (header,), 0, None))
    for _ in range(2 * OFTEN):
        assert bytes(header / b"data") == once
    assert (cls,) in stack_encoders


def test_a_packet_and_two_of_its_fields_take_few_calls() -> None:
    taught(SEEDS[:1])
    calls = []

    def read() -> None:
        packet = dissect(SEEDS[0])
        assert (packet[IPv4].ttl, packet[TCP].dport) == (64, 2)

    read()  # what makes each header is written when it is first wanted
    sys.setprofile(lambda frame, event, of: calls.append(frame.f_code.co_name) if event == "call" else None)
    try:
        read()
    finally:
        sys.setprofile(None)
    # dissect, what reads the stack, each of the two headers looked up and made, and a field that may follow from a rule.
    assert len(calls) <= 9, calls


def test_what_follows_is_as_it_was_bound_when_the_packet_was_read() -> None:
    frame = bytes(Ether() / Tag() / Above(dport=4) / b"12345")
    taught([frame])
    before = dissect(frame)
    with bindings():

        class Above4(Header, under=Above, when={"dport": 4}):
            a: U16 = 0

        assert [type(h) for h in dissect(frame).layers] == [Ether, Tag, Above, Above4]
        assert [type(h) for h in before.layers] == [Ether, Tag, Above]
        taught([frame])
        within = dissect(frame)
        assert is_lazy(within)
    assert [type(h) for h in within.layers] == [Ether, Tag, Above, Above4]
    assert [type(h) for h in dissect(frame).layers] == [Ether, Tag, Above]


def test_a_lazy_packet_is_copied_pickled_and_edited_like_any_other() -> None:
    taught(SEEDS[:1])
    for made in (lambda p: pickle.loads(pickle.dumps(p)), copy.copy, copy.deepcopy):
        packet = made(dissect(SEEDS[0]))
        assert packet == carefully(SEEDS[0]) and packet.layers == carefully(SEEDS[0]).layers
    assert bytes(dissect(SEEDS[0]).replace(IPv4, ttl=9)) == bytes(carefully(SEEDS[0]).replace(IPv4, ttl=9))
    assert dissect(SEEDS[0]) / b"more" == carefully(SEEDS[0]) / b"more"
    assert bytes(dissect(SEEDS[1]) / UDP()) == bytes(carefully(SEEDS[1]) / UDP())
    assert Ether() / dissect(SEEDS[1]) == Ether() / carefully(SEEDS[1])
    assert not dissect(SEEDS[0]).diff(carefully(SEEDS[0]))


def test_threads_that_share_a_lazy_packet_see_one_packet() -> None:
    taught(SEEDS[:1])
    careful, wrong = carefully(SEEDS[0]), []

    def look(packets: list[Packet], turn: int) -> None:
        for packet in packets:
            got = (
                packet[(TCP, IPv4)[turn % 2]],
                packet.payload,
                packet.layers if turn > 1 else careful.layers,
                packet[Ether],
            )
            if got != (careful[(TCP, IPv4)[turn % 2]], b"data", careful.layers, careful[Ether]):
                wrong.append(got)

    pause = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for _ in range(5):
            packets = [dissect(SEEDS[0]) for _ in range(100)]
            threads = [threading.Thread(target=look, args=(packets, turn)) for turn in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    finally:
        sys.setswitchinterval(pause)
    assert not wrong


def test_readers_are_bounded_however_many_stacks_come() -> None:
    with bindings():
        for words in range(5, 16):
            for mode in range(3):
                taught([bytes(Ether() / Tag(mode=mode, words=words, more=bytes(4 * words - 12)) / b"abc")])
        assert stacks._counts[Ether] <= stacks.STACKS
        assert Ether in stack_decoders


def test_a_header_whose_end_takes_statements_to_work_out_is_made_of_its_bytes() -> None:
    with bindings():
        rule = size_of("self")
        for _ in range(50):  # too deep for one expression of Python's
            rule = rule + field("k") - field("k")

        class Deep(Header, under=Ether, when={"type": 0x88B5}):
            k: U8 = 1
            n: U16 = auto(rule)
            rest: Bytes = b""

        for k in range(9):  # more than are read each by itself
            for _ in range(40):
                read = dissect(bytes(Ether() / Deep(rest=b"xy", k=k) / b"abc"))
                assert (read[Deep].k, read[Deep].rest, read.payload) == (k, b"xy", b"abc")
