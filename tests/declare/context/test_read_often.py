"""What recalls, remembers or goes on is read the same when its class has come so often that a function of its own reads it."""

from __future__ import annotations

import zlib
from typing import Any

import pytest

from packetlab import (
    U8,
    U16,
    Bytes,
    Context,
    DissectError,
    Header,
    auto,
    dissect,
    field,
    named,
    recalled,
    size_of,
    sized,
    through,
)
from packetlab.codec.stacks import stack_decoders

OFTEN = 100


def _states() -> Any:
    return zlib.decompressobj(), zlib.compressobj()


def _opened(state: Any, data: bytes) -> bytes:
    return bytes(state[0].decompress(data))


def _closed(state: Any, data: bytes) -> bytes:
    return bytes(state[1].compress(data) + state[1].flush(zlib.Z_SYNC_FLUSH))


class OftenSays(Header, remembers={("often", field("id")): size_of("text")}):
    id: U8 = 1
    length: U8 = auto(size_of("text"))
    text: Bytes = sized(field("length"), b"")
    end: U8 = 7


class OftenAsks(Header):
    id: U8 = 1
    text: Bytes = sized(recalled("often", field("id")))
    end: U8 = 7


class OftenGoesOn(Header):
    id: U8 = 1
    length: U16 = auto(size_of("body"))
    body: Bytes = through(named("often", _opened, _closed, state=_states, key=field("id")), sized(field("length")))
    end: U8 = 7


def test_what_is_remembered_counts_for_the_next_packet_however_often_one_came() -> None:
    context = Context()
    for n in range(OFTEN):
        told = dissect(bytes((1, n, *range(n), 7)), OftenSays, context=context)
        assert told[OftenSays].end == 7
        packet = dissect(bytes((1, *range(n), 7)), OftenAsks, context=context)
        assert (packet[OftenAsks].text, packet[OftenAsks].end, packet.payload, packet.faults) == (bytes(range(n)), 7, b"", ())
        assert context.recall("often", 1) == n
        assert context.number == 2 * n + 2
    assert stack_decoders[OftenSays] is not None
    assert stack_decoders[OftenAsks] is not None


def test_a_packet_that_is_cut_says_nothing_however_often_its_class_came() -> None:
    context = Context()
    for n in range(1, OFTEN):
        dissect(bytes((1, n, *range(n), 7)), OftenSays, context=context)
        cut = dissect(bytes((1, n + 1, *range(n))), OftenSays, context=context)
        assert cut.faults
        assert context.recall("often", 1) == n
        short = dissect(bytes((1, *range(n))), OftenAsks, context=context)
        assert short.faults
        assert dissect(bytes((1, *range(n), 7)), OftenAsks, context=context)[OftenAsks].text == bytes(range(n))
        with pytest.raises(DissectError):
            dissect(bytes((2, 0, 7)), OftenAsks, context=context, strict=True)
    assert dissect(bytes((1, 0, 7)), OftenAsks).faults, "without a context nothing is known"


def test_a_state_goes_on_once_a_packet_whether_what_stands_after_it_fits_or_not() -> None:
    bodies = [b"some words, the same words, number %d" % (n % 7) for n in range(OFTEN)]
    with Context():
        wires = [bytes(OftenGoesOn(body=body)) for body in bodies]
    context = Context()
    for n, (wire, body) in enumerate(zip(wires, bodies, strict=True)):
        data = wire[:-1] if n % 3 == 2 else wire  # its last byte was lost
        packet = dissect(data, OftenGoesOn, context=context)
        assert bool(packet.faults) is (n % 3 == 2)
        assert packet[OftenGoesOn].body == body
        assert context.number == n + 1


def test_what_is_built_in_a_context_recalls_what_is_known_then() -> None:
    for n in range(1, OFTEN):
        with Context():
            bytes(OftenSays(text=bytes(n)))
            assert bytes(OftenAsks(text=bytes(n))) == bytes((1, *bytes(n), 7))
            with pytest.raises(Exception, match="recalled"):
                bytes(OftenAsks(text=bytes(n + 1)))
