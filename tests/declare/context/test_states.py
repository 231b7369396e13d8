"""States of transforms that go on: as many as a context keeps, and none that is begun again in silence."""

from __future__ import annotations

import pickle
import zlib

import pytest
from hypothesis import given, strategies as st

from packetlab import (
    U8,
    U16,
    BuildError,
    Bytes,
    Context,
    Header,
    Packet,
    auto,
    bindings,
    dissect,
    field,
    malformed,
    named,
    size_of,
    sized,
    through,
)


def summed(state: list[int], data: bytes) -> bytes:
    """Return bytes less what was seen before: a state that no checksum guards."""
    state[0] = (state[0] + 1) % 256
    return bytes((byte - state[0]) % 256 for byte in data)


GOES_ON = named("summed", summed, lambda state, data: data, state=lambda: [0], key=field("id"))

with bindings():

    class Going(Header):
        id: U16
        length: U8 = auto(size_of("body"))
        body: Bytes = through(GOES_ON, sized(field("length")))

    class Inflated(Header):
        id: U16
        length: U8 = auto(size_of("body"))
        body: Bytes = through(
            named(
                "inflated",
                lambda state, data: state[0].decompress(data),
                lambda state, data: state[1].compress(data) + state[1].flush(zlib.Z_SYNC_FLUSH),
                state=lambda: (zlib.decompressobj(), zlib.compressobj()),
                key=field("id"),
            ),
            sized(field("length")),
        )


def wire(number: int) -> bytes:
    return number.to_bytes(2, "big") + b"\2\x50\x60"


@given(st.lists(st.integers(0, 9), max_size=60), st.integers(1, 5))
def test_as_many_states_as_the_context_keeps(senders: list[int], most: int) -> None:
    context = Context(most=most)
    known, gone = dict[int, int](), set[int]()
    for sender in senders:
        packet = dissect(wire(sender), Going, context=context)
        if sender not in known and (sender in gone or len(gone) >= most):
            (fault,) = packet.faults
            assert (fault.field, fault.expected) == ("body", "what the packets before left")
            assert fault.got == f"a context that dropped {len(gone)} states: Context(most=...) keeps more"
        else:
            count = known.pop(sender, 0) + 1
            known[sender] = count
            if len(known) > most:
                oldest = next(iter(known))
                del known[oldest]
                gone.add(oldest)
            assert not packet.faults
            assert packet[Going].body == bytes([(0x50 - count) % 256, (0x60 - count) % 256])
        assert len(context._states) <= most and len(context._gone) <= most
        assert context.dropped["state of summed"] == len(gone)


def test_why_says_which_packet_left_the_state() -> None:
    context = Context()
    packets = [dissect(wire(number), Going, context=context) for number in (1, 2, 1, 1)]
    said = [str(packet.why(Going, "body")).rpartition(", ")[2] for packet in packets]
    assert said == ["in a new state", "in a new state", "in the state that packet 1 left", "in the state that packet 3 left"]


def test_a_copy_goes_on_by_itself_and_knows_what_went() -> None:
    context = Context(most=1)
    dissect(wire(1), Going, context=context)
    for other in (context.copy(), pickle.loads(pickle.dumps(context))):
        dissect(wire(2), Going, context=other)
        assert "dropped 1 states" in dissect(wire(1), Going, context=other.copy()).faults[0].got
    assert dissect(wire(1), Going, context=context)[Going].body == b"\x4e\x5e"


def test_bytes_that_were_read_with_a_state_are_not_built_with_a_new_one() -> None:
    context = Context(most=1)
    with context:
        first = bytes(Inflated(id=1, body=b"some words") / b"")
        bytes(Inflated(id=2, body=b"some words") / b"")
        with pytest.raises(BuildError, match="dropped 1 states"):
            bytes(Inflated(id=1, body=b"some words") / b"")
    assert dissect(first, Inflated, context=Context())[Inflated].body == b"some words"


def test_malformed_packets_are_read_with_the_state_before_the_sound_one() -> None:
    with Context() as context:
        dissect(bytes(Inflated(id=1, body=b"some words before") / b""), Inflated, context=context)
        cases = malformed(Inflated(id=1, body=b"some words before, and more"))
    assert cases and not [said for case in cases if (said := case.disagreements())]
    assert context.dropped.total() == 0


def connection() -> tuple[Context, list[Packet]]:
    """Three messages of one connection, read in order."""
    with Context():
        sent = [bytes(Inflated(id=1, body=b"the same words again")) for _ in range(3)]
    context = Context()
    return context, [dissect(data, Inflated, context=context) for data in sent]


def bodies(sent: list[bytes]) -> list[bytes]:
    """What a peer reads of messages, in order."""
    peer = Context()
    read = [dissect(data, Inflated, context=peer) for data in sent]
    assert not [packet.faults for packet in read if packet.faults]
    return [packet[Inflated].body for packet in read]


OUT_OF_ORDER = r"follows 2 that were read, where 0 were built \(with Context\(\): build all messages of the connection anew, in order"


def test_an_edit_of_one_message_is_refused_where_the_peer_could_not_read_it() -> None:
    context, packets = connection()
    for around, packet in ((context, packets[2]), (Context(), packets[2]), (Context(), pickle.loads(pickle.dumps(packets[2])))):
        with around, pytest.raises(BuildError, match=OUT_OF_ORDER):
            bytes(packet.replace(Inflated, body=b"other"))
    with context, pytest.raises(BuildError, match="follows 3 that were read, where 0 were built"):
        bytes(Inflated(id=1, body=b"one more"))
    alone = dissect(bytes(packets[2]), Inflated).replace(Inflated, body=b"other")
    with Context(), pytest.raises(BuildError, match="follows an unknown number of that were read"):
        bytes(alone)


def test_edits_of_all_messages_in_order_are_built_and_read_by_the_peer() -> None:
    for around in connection()[0], Context():
        _, packets = connection()
        with around:
            sent = [bytes(packet.replace(Inflated, body=b"other %d" % i)) for i, packet in enumerate(packets)]
            sent.append(bytes(Inflated(id=1, body=b"one more")))
        assert bodies(sent) == [b"other 0", b"other 1", b"other 2", b"one more"]


def test_messages_of_another_key_are_built_beside_those_that_were_read() -> None:
    context, packets = connection()
    with context:
        sent = [bytes(Inflated(id=2, body=b"an answer")), bytes(packets[1].replace(Inflated, id=3, body=b"another"))]
    assert bodies(sent) == [b"an answer", b"another"]


def test_other_fields_of_one_message_may_change() -> None:
    context, packets = connection()
    with context:
        assert bytes(packets[2].replace(Inflated, id=7)) == b"\0\7" + bytes(packets[2])[2:]
