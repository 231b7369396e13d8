"""The simulated network: virtual time, one seed one run, links as bad as they are set to be, and no hangs."""

from __future__ import annotations

import time

import pytest

from packetlab import IDP, PEX, U16, Capture, Ether, Header, PacketlabError, Rest, SimNetwork, Stalled
from packetlab.link.simnet import SimPort


class Ball(Header, under=Ether, when={"type": 0x9AB7}):
    """Something to throw."""

    number: U16 = 0
    note: Rest = b""


@pytest.fixture
def linked(simnet):
    """Link hosts a and b of the test's network; return network, hosts and link."""

    def make(**shape):
        a, b = simnet.host("a"), simnet.host("b")
        return simnet, a, b, simnet.link(a, b, **shape)

    return make


def throw(a, b, count=1, note=b""):
    for number in range(1, count + 1):
        a.interface.send(Ether(dst=b.mac, src=a.mac) / Ball(number=number, note=note))


def caught(b, seconds=10.0):
    return [frame.packet()[Ball].number for frame in b.interface.capture(timeout=seconds)]


def test_a_frame_takes_the_delay_of_its_link_in_virtual_time_alone(linked) -> None:
    net, a, b, _ = linked(delay=3600)
    start = time.monotonic()
    throw(a, b)
    assert b.interface.receive_frame(timeout=4000).time_ns == 3600 * 10**9 == net.now
    assert time.monotonic() - start < 5


def test_waiting_for_nothing_is_a_time_out_or_a_stall_never_a_hang(linked) -> None:
    net, _, b, _ = linked()
    with pytest.raises(TimeoutError):
        b.interface.receive(timeout=5)
    assert net.now == 5 * 10**9
    with pytest.raises(Stalled, match="nothing in flight"):
        b.interface.receive(timeout=None)


@pytest.mark.slow
def test_a_writer_whose_reader_never_reads_is_stalled(linked) -> None:
    _, a, b, _ = linked(delay=0.01)
    server = b.socket("seqpacket")
    server.bind(3000)
    server.listen()
    client = a.socket("seqpacket")
    client.connect(b.at(3000))
    with pytest.raises(Stalled, match="nothing but repeats and probes"):
        while True:
            client.write(b"more")


def test_two_that_answer_each_other_for_ever_are_stalled(linked, monkeypatch) -> None:
    """On a link without delay the clock stands still, and patience alone would not end it."""
    monkeypatch.setattr("packetlab.link.simnet.AT_ONCE", 1000)
    _, a, b, _ = linked()
    for host in (a, b):
        host.answer(4000, lambda data: data)
    raw = a.socket("raw")
    raw.write(IDP(dst=b.at(4000).xns(a), src=a.at(4000).xns(b)) / PEX(id=1) / b"ping")
    with pytest.raises(Stalled, match="1,000 things that happened at the same moment"):
        b.socket("datagram").read()


def test_frames_on_a_schedule_are_dropped_by_their_numbers_in_the_capture(linked) -> None:
    net, a, b, _ = linked(drop=[3, 5])
    throw(a, b, 6)
    assert caught(b) == [1, 2, 4, 6]
    assert {frame.number: frame.comment for frame in net.capture if frame.comment} == {
        3: "lost: frame 3 of the schedule",
        5: "lost: frame 5 of the schedule",
    }


def test_numbers_count_both_directions(linked) -> None:
    _, a, b, _ = linked(drop=[2])
    throw(a, b)
    throw(b, a)
    throw(a, b)
    assert caught(b) == [1, 1] and caught(a) == []


def test_frames_are_duplicated_and_reordered_by_number(linked) -> None:
    _, a, b, _ = linked(delay=0.01, duplicate=[1], reorder=[2])
    throw(a, b, 4)
    got = caught(b)
    assert sorted(got) == [1, 1, 2, 3, 4] and got.index(2) > got.index(4)


def test_a_frame_is_corrupted_by_number(linked) -> None:
    net, a, b, _ = linked(corrupt=[1])
    listener = SimPort(b.nics[0], promiscuous=True)  # the bit may be one of the address
    throw(a, b, 1, note=b"clean")
    arrived = listener.receive_frame(timeout=1).data
    wrong = int.from_bytes(net.capture[0].data, "big") ^ int.from_bytes(arrived, "big")
    assert wrong.bit_count() == 1 and net.capture[0].comment.startswith("corrupted: bit ")


def test_a_rate_spaces_frames_and_a_full_queue_loses_them(linked) -> None:
    net, a, b, _ = linked(rate=8000, queue=2)
    throw(a, b, 6, note=bytes(84))  # 100 bytes each: a tenth of a second
    frames = [*b.interface.capture(timeout=10)]
    assert [frame.time_ns for frame in frames] == [10**8, 2 * 10**8, 3 * 10**8]
    assert [frame.comment for frame in net.capture][3:] == ["lost: the queue is full"] * 3


def test_frames_longer_than_the_mtu_are_lost(linked) -> None:
    _, a, b, _ = linked(mtu=100)
    throw(a, b, 1, note=bytes(98))
    throw(a, b, 1, note=bytes(99))
    assert caught(b) == [1]


def test_a_partition_holds_until_it_heals(linked) -> None:
    _, a, b, link = linked()
    link.partition()
    throw(a, b)
    link.heal()
    throw(a, b)
    assert caught(b) == [1]


def test_one_direction_can_be_worse_than_the_other(linked) -> None:
    _, a, b, link = linked()
    link.sends["a"].change(loss=1)
    throw(a, b)
    throw(b, a)
    assert caught(b) == [] and caught(a) == [1]


def test_a_link_may_have_more_than_two_ends(simnet) -> None:
    a, b, c = (simnet.host(name) for name in "abc")
    simnet.link(a, b, c)
    throw(a, b)
    a.interface.send(Ether(dst="ff:ff:ff:ff:ff:ff", src=a.mac) / Ball(number=9))
    assert caught(b) == [1, 9] and caught(c) == [9]


@pytest.mark.parametrize(
    "shape",
    [
        {"loss": 2},
        {"loss": -0.1},
        {"delay": -1},
        {"drop": [0]},
        {"drop": 3},
        {"rate": 0},
        {"latency": 1},
        {"loss": "much"},
    ],
    ids=str,
)
def test_what_a_link_cannot_be_is_said(linked, shape) -> None:
    with pytest.raises(PacketlabError, match="link "):
        linked(**shape)


def conversation(seed):
    net = SimNetwork(seed)
    a, b = net.host("a"), net.host("b")
    net.link(a, b, delay=0.01, jitter=0.005, loss=0.2, duplicate=0.1, reorder=0.1, corrupt=0.1)
    server = b.socket("websocket")
    server.bind(80)
    server.listen()
    client = a.socket("websocket")
    client.connect(b.at(80))
    conn = server.accept()
    client.write("the same text")
    assert conn.read() == "the same text"
    client.close()
    conn.close()
    return net


def test_the_same_seed_gives_the_same_capture_byte_for_byte(tmp_path) -> None:
    for name, seed in (("one", 1), ("again", 1), ("other", 2)):
        conversation(seed).capture.write(tmp_path / f"{name}.pcapng")
    one, again, other = ((tmp_path / f"{name}.pcapng").read_bytes() for name in ("one", "again", "other"))
    assert one == again != other
    assert Capture(tmp_path / "one.pcapng").count() > 20


def test_perfect_settings_do_not_use_up_luck() -> None:
    """A setting that is off does not change what another one does."""
    fates = []
    for more in ({}, {"duplicate": 0.0, "jitter": 0.0}):
        net = SimNetwork(3)
        a, b = net.host("a"), net.host("b")
        net.link(a, b, loss=0.5, **more)
        throw(a, b, 50)
        fates.append([frame.comment for frame in net.capture])
    assert fates[0] == fates[1] and 10 < fates[0].count("lost") < 40
