"""SPP conversations against what was written into them: simulated networks, Dodo's capture, any order of packets."""

from __future__ import annotations

import pytest
from hypothesis import given, settings, strategies as st

from packetlab import IDP, SPP, Capture, Control, Error, Ether, Frame, SimNetwork, XNSAddress
from packetlab.capture.reassembly import Conversation, Conversations, EventKind
from tests.conftest import CORPUS, oracle

EOM = Control.END_OF_MESSAGE
HERE, THERE, LISTENER = XNSAddress(1, 0xA, 3000), XNSAddress(1, 0xB, 4000), XNSAddress(1, 0xB, 777)


class Line:
    """Frames of one conversation from id 7 to id 9."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []

    def put(
        self, seq: int, data: bytes = b"", control: Control = EOM, datastream: int = 0, back: bool = False, ack: int = 0
    ) -> None:
        spp = SPP(
            control=control,
            datastream=datastream,
            source_id=9 if back else 7,
            destination_id=7 if back else 9,
            seq=seq % 65536,
            ack=ack,
        )
        self.add(IDP(src=THERE if back else HERE, dst=HERE if back else THERE) / spp / data)

    def add(self, packet) -> None:
        number = len(self.frames) + 1
        self.frames.append(Frame(bytes(Ether() / packet), number * 1_000_000, number=number))

    def open(self) -> None:
        """The client asks a listener, and is answered from another socket."""
        self.add(IDP(src=HERE, dst=LISTENER) / SPP(control=Control.SYSTEM, source_id=7))
        self.put(0, control=Control.SYSTEM, back=True)


def together(frames, **limits) -> list[Conversation]:
    return list(Capture.of(frames).conversations(**limits))


@settings(max_examples=8)
@given(st.integers(0, 1000), st.lists(st.tuples(st.integers(0, 200), st.booleans(), st.integers(0, 3)), max_size=30))
def test_what_was_written_over_a_bad_link_is_what_the_capture_holds(seed, writes) -> None:
    network = SimNetwork(seed=seed)
    a, b = network.host("a"), network.host("b")
    network.link(a, b, delay=0.01, loss=0.15, duplicate=0.1, jitter=0.02)
    server = b.socket("seqpacket")
    server.bind(3000)
    server.listen()
    client = a.socket("seqpacket")
    client.connect(b.at(3000))
    other = server.accept()
    for number, (size, ends, datastream) in enumerate(writes):
        control = EOM if ends else Control(0)
        client.write(bytes([number]) * size, header=SPP(datastream=datastream, control=control))
        other.read()
    client.close()
    (conversation,) = network.capture.conversations()
    expected: list[tuple[bytes, int, bool]] = []
    still_open = False
    for number, (size, ends, datastream) in enumerate(writes):
        data = bytes([number]) * size
        if still_open and expected[-1][1] == datastream:
            expected[-1] = (expected[-1][0] + data, datastream, ends)
        else:
            expected.append((data, datastream, ends))
        still_open = not ends
    assert [(m.data, m.datastream, m.ended) for m in conversation.client.messages] == expected
    assert all(m.whole and m.by == "client" for m in conversation.messages)
    assert conversation.over == "END" and not conversation.client.holes
    assert not [event for event in conversation.events if event.kind in (EventKind.CONFLICT, EventKind.HOLE)]


def test_dodos_conversations_are_found_whole() -> None:
    found = {c.number: c for c in Capture(CORPUS / "dodo_checksums.pcap").conversations()}
    rows = [row for row in oracle("dodo_checksums.pcap", ".xns") if row["spp.seq"]]
    assert sum(c.frames for c in found.values()) == len(rows)
    # By tshark's fields: what is no system packet has a number, and none is missing.
    for conversation in found.values():
        for end in (conversation.client, conversation.server):
            reported = {
                int(row["spp.seq"], 0)
                for row in rows
                if int(row["spp.src"], 0) == end.id and not int(row["spp.ctl"], 0) & 0x80
            }
            assert {record.seq for record in end.records} == reported and not end.holes
    first = found[0]
    assert (first.client.id, first.server.id) == (39014, 39861) and str(first.server.address).endswith("4000H")
    said = [message for message in first.messages if message.datastream == 5]
    assert [(len(m.data), m.ended, m.by) for m in said] == [(534, True, "client"), (534, True, "server")]
    assert [m.by for m in first.messages if m.attention] == ["server", "client"]
    assert [str(event.kind) for event in first.events][-3:] == ["end", "end reply", "end reply"]


numbers = st.lists(st.integers(0, 30), max_size=40)


@given(numbers, st.booleans())
def test_packets_in_any_order_give_each_once_and_exact_holes(seqs, keep) -> None:
    line = Line()
    line.open()
    for seq in seqs:
        line.put(seq, bytes([seq]))
    machine = Conversations(keep=keep)
    records = [record for frame in line.frames for _, record in machine.receive(frame)]
    (conversation,) = machine.end()
    records += [record for _, record in machine.late()]
    assert [record.data[0] for record in records] == sorted(set(seqs))
    missing = sorted(set(range(max(seqs, default=0))) - set(seqs))
    client = conversation.client
    assert [at for hole in client.holes for at in range(hole.offset, hole.offset + hole.size)] == missing
    doubled = [event for event in client.events if event.kind == EventKind.RETRANSMISSION]
    assert len(doubled) == len(seqs) - len(set(seqs))
    # A message after a hole may lack its beginning.
    assert [m.whole for m in client.messages] == [seq == 0 or seq - 1 in seqs for seq in sorted(set(seqs))]


def test_numbers_go_round_after_65536_packets() -> None:
    line = Line()
    for seq in range(65530, 65545):
        line.put(seq, bytes([seq & 0xFF]))
    line.frames[5], line.frames[7] = line.frames[7], line.frames[5]
    (conversation,) = together(line.frames)
    assert conversation.client.data == bytes(seq & 0xFF for seq in range(65530, 65545))
    assert {str(event.kind) for event in conversation.events} == {"midstream", "out of order", "sequence wrap"}


def test_messages_end_where_they_say_or_where_the_datastream_changes() -> None:
    line = Line()
    line.open()
    line.put(0, b"one ", Control(0))
    line.put(1, b"!", Control.ATTENTION)
    line.put(2, b"message", EOM)
    line.put(3, b"other", Control(0), datastream=3)
    line.put(4, b"third", Control(0), datastream=4)
    line.put(6, b"fourth", EOM, datastream=4)
    line.put(7, b"fifth", EOM)
    (conversation,) = together(line.frames)
    assert [(m.data, m.datastream, m.ended, m.attention, m.whole) for m in conversation.client.messages] == [
        (b"!", 0, True, True, True),
        (b"one message", 0, True, False, True),
        (b"other", 3, False, False, True),
        (b"third", 4, False, False, False),
        (b"fourth", 4, True, False, False),
        (b"fifth", 0, True, False, True),
    ]
    assert conversation.client.data == b"one messageotherthird"
    assert [(str(n.kind), n.number, n.offset) for n in conversation.events] == [("attention", 4, 1), ("hole", 0, 5)]


def test_a_packet_that_comes_again_with_other_bytes_is_reported_and_the_first_stays() -> None:
    line = Line()
    line.open()
    line.put(0, b"one")
    line.put(0, b"two")
    (conversation,) = together(line.frames)
    assert conversation.client.data == b"one"
    assert [(str(n.kind), n.detail) for n in conversation.events] == [("conflict", "the packet of frame 3 stays")]


def test_an_id_used_again_begins_another_conversation() -> None:
    line = Line()
    line.open()
    line.put(0, b"one")
    line.open()
    line.put(0, b"two")
    assert [(c.number, c.client.data) for c in together(line.frames)] == [(0, b"one"), (1, b"two")]


def test_a_capture_that_begins_late_gives_what_it_has() -> None:
    line = Line()
    line.put(100, b"hundred")
    line.put(50, b"fifty", back=True)
    (conversation,) = together(line.frames)
    assert [(m.data, m.whole, m.by) for m in conversation.messages] == [
        (b"hundred", False, "client"),
        (b"fifty", False, "server"),
    ]


def test_a_long_conversation_comes_in_parts_that_lack_nothing() -> None:
    line = Line()
    line.open()
    for seq in range(1000):
        line.put(seq, bytes([seq % 256]) * 500, Control(0))
    parts = together(line.frames, memory=100_000)
    assert len(parts) > 3 and [part.part for part in parts] == list(range(len(parts)))
    assert b"".join(part.client.data for part in parts) == b"".join(bytes([i % 256]) * 500 for i in range(1000))


@pytest.mark.slow
@given(st.data())
def test_no_bytes_whatever_make_it_fail(data) -> None:
    frames = []
    for frame in Capture(CORPUS / "dodo_checksums.pcap")[16:60]:
        raw = bytearray(frame.data)
        for _ in range(data.draw(st.integers(0, 2))):
            raw[data.draw(st.integers(12, 60) if len(raw) > 60 else st.just(13))] = data.draw(st.integers(0, 255))
        cut = data.draw(st.integers(20, len(raw))) if data.draw(st.booleans()) else len(raw)
        frames.append(Frame(bytes(raw[:cut]), frame.time_ns, wire_length=len(raw), number=frame.number))
    for conversation in together(frames, memory=30_000, window=4):
        assert all(str(event) for event in conversation.events)
        assert all(message.numbers for message in conversation.messages)
        assert all(hole.size > 0 for hole in conversation.client.holes)


@pytest.mark.parametrize("name", ["bsd-bsd.pcap", "encap.pcap"])
def test_captures_of_bsd_are_read(name: str) -> None:
    (conversation,) = Capture(CORPUS / name).conversations()
    assert conversation.frames == sum(SPP in p and Error not in p for p in Capture(CORPUS / name).packets())
