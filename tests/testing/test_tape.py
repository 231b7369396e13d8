"""The tape: a timeline of expectations over simulated networks, labs and captures; what it says where they fail."""

from __future__ import annotations

import re

import pytest

from packetlab import (
    IDP,
    SPP,
    U16,
    Capture,
    Ether,
    Frame,
    Header,
    LocalProtocolError,
    Mismatch,
    PacketlabError,
    Rest,
    SimNetwork,
    between,
    same_as,
)
from packetlab.pattern.align import align
from packetlab.testing import Tape


class Throw(Header, under=Ether, when={"type": 0x8AB9}):
    """Something to throw."""

    number: U16 = 0
    note: Rest = b""


class Game:
    """Two hosts, a link of 50 ms, and a tape."""

    def __init__(self, **how) -> None:
        self.net = SimNetwork(1)
        self.a, self.b, self.c = (self.net.host(name) for name in "abc")
        self.net.link(self.a, self.b, self.c, delay=0.05)
        self.tape = Tape(self.net, **how)

    def throws(self, *numbers, sender=None, receiver=None, note=b"") -> None:
        a, b = sender or self.a, receiver or self.b
        for number in numbers:
            a.interface.send(Ether(dst=b.mac, src=a.mac) / Throw(number=number, note=note))

    def expects(self, *numbers, **how) -> None:
        for number in numbers:
            self.tape.expect(self.a, self.b, Throw(number=number), **how)

    def says(self) -> str:
        with pytest.raises(Mismatch) as caught:
            self.tape.check()
        return str(caught.value)


@pytest.fixture
def game() -> Game:
    return Game()


def test_what_comes_as_announced_passes(game) -> None:
    game.expects(1, at=0)
    game.expects(2, 3)
    game.throws(1, 2, 3)
    game.tape.check()


def test_a_tape_on_which_nothing_is_expected_lets_everything_pass(game) -> None:
    game.throws(1)
    game.tape.check()


def test_an_unexpected_packet_fails_and_the_message_names_the_switch(game) -> None:
    game.expects(1)
    game.throws(1, 2)
    lines = game.says().splitlines()
    assert lines[0] == "the tape and the network differ: 1 unexpected"
    assert lines[2] == "unexpected: frame 2 at 0 s, a -> b  Throw number=2 on Ether"
    assert lines[3] == "  let such pass: tape.allow(Throw); let all: allow_unexpected=True"
    assert lines[-1].startswith("0.000000") and lines[-1].endswith("<- unexpected")


def test_a_missing_packet_fails_with_the_nearest_that_came(game) -> None:
    game.expects(1, 2)
    game.throws(1)
    text = game.says()
    assert re.search(r"^missing: a -> b  Throw\(number=2\)  \(.*test_tape.py:\d+\)$", text, re.M)
    assert "  nearest is frame 1 at 0 s, a -> b  Throw number=1 on Ether:\n    Throw.number: expected 2, got 1" in text
    assert "let it stay away: expect(..., optional=True); let all: allow_missing=True" in text


def test_a_packet_with_other_fields_is_one_complaint_not_two(game) -> None:
    game.expects(1, 2, 3)
    game.throws(1, 7, 3)
    text = game.says()
    assert text.startswith("the tape and the network differ: 1 different\n")
    assert "  came as frame 2 at 0 s, a -> b  Throw number=7 on Ether:\n    Throw.number: expected 2, got 7" in text


def test_nothing_came_at_all(game) -> None:
    game.expects(1)
    assert "no packet came at all" in game.says()
    game.b.interface.send(Ether(dst=game.a.mac, src=game.b.mac) / b"other")
    assert "no packet like it came" in game.says()


@pytest.mark.parametrize(("late", "passes"), [(0.0, True), (0.0009, True), (0.0011, False), (-0.0011, False)])
def test_times_hold_within_the_tolerance(game, late, passes) -> None:
    game.expects(1, at=0.1)
    game.net.run(0.1 + late)
    game.throws(1)
    if passes:
        game.tape.check()
    else:
        text = game.says()
        assert text.startswith("the tape and the network differ: 1 at another time\n")
        assert re.search(r"Throw\(number=1\) at 0\.1 s \(\+-0\.001\)", text)


def test_after_counts_from_the_entry_before(game) -> None:
    game.expects(1)
    game.expects(2, after=0.2, tolerance=0.01)
    game.net.run(1)
    game.throws(1)
    game.net.run(0.205)
    game.throws(2)
    game.tape.check()
    game = Game()
    game.expects(1)
    game.expects(2, after=0.2, tolerance=0.01)
    game.throws(1)
    game.net.run(0.3)
    game.throws(2)
    assert "0.3 s after the packet before it" in game.says()


def test_order_matters_but_in_a_group(game) -> None:
    game.expects(1)
    with game.tape.any_order():
        game.expects(2, 3, 4)
    game.expects(5)
    game.throws(1, 4, 2, 3, 5)
    game.tape.check()
    other = Game()
    other.expects(1, 2)
    other.throws(2, 1)
    assert "missing" in other.says() or "different" in other.says()
    third = Game()
    with third.tape.any_order():
        third.expects(2, 3)
    third.throws(3)
    assert "missing: a -> b  Throw(number=2)" in third.says()


@pytest.mark.parametrize(
    ("how", "came", "passes"),
    [
        ({"optional": True}, 0, True),
        ({"optional": True}, 1, True),
        ({"optional": True}, 2, False),
        ({"times": 3}, 2, False),
        ({"times": 3}, 3, True),
        ({"times": 3}, 4, False),
        ({"at_least": 2}, 1, False),
        ({"at_least": 2}, 2, True),
        ({"at_least": 2}, 50, True),
        ({"at_most": 2}, 0, True),
        ({"at_most": 2}, 2, True),
        ({"at_most": 2}, 3, False),
        ({"at_least": 2, "at_most": 3}, 3, True),
        ({"at_least": 2, "at_most": 3}, 4, False),
        ({"at_least": 2, "at_most": 3}, 1, False),
    ],
)
def test_counts(game, how, came, passes) -> None:
    game.expects(1, **how)
    game.expects(9)
    game.throws(*[1] * came, 9)
    if passes:
        game.tape.check()
    else:
        game.says()


def test_what_is_optional_does_not_take_what_is_needed(game) -> None:
    game.expects(1, optional=True)
    game.expects(1)
    game.throws(1)
    game.tape.check()


def test_a_line_that_has_its_number_already_is_named(game) -> None:
    game.expects(1, at_most=2)
    game.throws(1, 1, 1)
    assert "the line that fits has its 2 already: a -> b  Throw(number=1), at most 2 times" in game.says()


def test_switches_loosen_the_tape() -> None:
    game = Game(allow_unexpected=True)
    game.expects(2)
    game.throws(1, 2, 3)
    game.tape.check()
    game = Game(allow_missing=True)
    game.expects(1, 2)
    game.throws(1)
    game.tape.check()
    game = Game()
    game.tape.allow(Throw(number=1), sender="a")
    game.expects(2)
    game.throws(1, 2, 1, 1)
    game.tape.check()
    game.throws(1, sender=game.b, receiver=game.a)
    assert "1 unexpected" in game.says()


def test_nothing_within_and_nothing_else() -> None:
    for pause, passes in ((0.4, False), (0.6, True)):
        game = Game()
        game.expects(1)
        game.tape.nothing(within=0.5)
        game.expects(2)
        game.throws(1)
        game.net.run(pause)
        game.throws(2)
        if passes:
            game.tape.check()
        else:
            text = game.says()
            assert "unexpected: nothing within 0.5 s" in text and "came frame 2 at 0.4 s" in text
    game = Game(allow_unexpected=True)
    game.expects(1)
    game.tape.nothing_else()
    game.throws(0, 1)
    game.tape.check()
    game.throws(2)
    assert "unexpected: nothing else" in game.says()
    with pytest.raises(LocalProtocolError, match=r"nothing after nothing_else\(\)"):
        game.expects(3)


def test_a_last_quiet_time_passes_before_the_check(game) -> None:
    """Or what comes in it would never be seen."""
    game.expects(1)
    game.tape.nothing(within=0.5)
    game.throws(1)
    game.tape.check()
    assert game.net.now == 5 * 10**8
    game.tape.allow(Throw(number=2))
    game.tape.nothing(within=1)
    game.throws(2)
    game.tape.check()
    assert game.net.now == 15 * 10**8


def test_ends_are_hosts_names_addresses_or_anyone(game) -> None:
    for sender, receiver in (
        (game.a, game.b),
        ("a", "b"),
        (game.a.mac, None),
        (None, "02:00:00:00:00:02"),
        (None, None),
    ):
        game.tape.expect(sender, receiver, Throw)
    game.throws(1, 2, 3, 4, 5)
    game.tape.check()
    with pytest.raises(PacketlabError, match="a host, an address, or a name: a, b, c"):
        game.tape.expect("d!", None)
    other = Game()
    other.tape.expect(other.a, other.c, Throw)
    other.throws(1)
    assert "goes a -> b: expected a -> c" in other.says()


def test_an_end_may_be_a_socket_of_a_host(game) -> None:
    server, client = game.b.socket("datagram"), game.a.socket("datagram")
    server.bind(3000)
    game.tape.expect(game.a, game.b.at(3000), IDP)
    client.write(b"x", to=game.b.at(3000))
    game.tape.check()
    game.tape.expect(game.a, game.b.at(3001), IDP)
    client.write(b"x", to=game.b.at(3000))
    assert "expected a -> b:3001" in game.says()


def test_patterns_are_headers_stacks_classes_filters_and_functions(game) -> None:
    for pattern in (
        Throw(number=1),
        Throw(number=1) / b"",
        Ether() / Throw(number=1),
        Throw,
        "throw.number == 1",
        lambda packet: packet[Throw].number == 1,
        None,
    ):
        game.tape.expect(game.a, game.b, pattern)
    game.throws(*[1] * 7)
    game.tape.check()
    with pytest.raises(TypeError, match="a pattern is"):
        game.tape.expect(game.a, game.b, 7)


def test_names_of_same_as_hold_along_the_timeline(game) -> None:
    for _ in range(2):
        game.tape.expect(game.a, game.b, Throw(number=between(1, 9), note=same_as("word")))
    game.throws(1, 2, note=b"x")
    game.tape.check()
    game.expects(3)
    game.tape.expect(game.a, game.b, Throw(note=same_as("word")))
    game.throws(3)
    game.throws(4, note=b"y")
    text = game.says()
    assert text.startswith("the tape and the network differ: 1 different\n")
    assert "    Throw.note: expected same_as('word'), which is b'x', got b'y'" in text


def test_the_tape_sends_in_its_turn_and_plays_a_side(game) -> None:
    ball = game.tape.expect(game.a, game.b, Throw)
    game.tape.send(game.b, game.a, lambda: Throw(number=ball.packet[Throw].number + 1), after=0.1)
    game.tape.expect(game.a, game.b, Throw(number=9), at=0.2)
    game.throws(4)
    answer = game.a.interface.receive(where=Throw)  # there 0.05, a pause of 0.1, back 0.05
    assert answer[Throw].number == 5 and game.net.now == 200_000_000
    game.throws(9)
    game.tape.play()


def test_the_tape_sends_at_a_time_and_plays_to_the_end(game) -> None:
    game.tape.send("a", "b", Throw(number=1), at=0.5)
    game.tape.send("b", None, Throw(number=2), at=0.75)
    game.tape.nothing(within=1)
    game.tape.play()
    assert [(frame.time_ns, frame.packet()[Throw].number) for frame in game.net.capture] == [
        (5 * 10**8, 1),
        (75 * 10**7, 2),
    ]
    assert game.net.now == 175 * 10**7


@pytest.mark.parametrize("at", [None, 0.0], ids=["each in its turn", "all at once"])
def test_a_tape_of_many_sends_is_read_in_steps_as_many_as_these(game, monkeypatch, at) -> None:
    read: list[int] = []

    def counted(blocks, *rest):
        read.append(len(blocks))
        return align(blocks, *rest)

    monkeypatch.setattr("packetlab.testing.tape.align", counted)
    for number in range(count := 200):
        game.tape.send(game.a, game.b, Throw(number=number), at=at)
    game.tape.play()
    assert [frame.packet()[Throw].number for frame in game.net.capture] == [*range(count)]
    assert count <= sum(read) <= 5 * count


def test_a_send_waits_for_what_stands_between_it_and_the_one_before(game) -> None:
    game.tape.send(game.a, game.b, Throw(number=1))
    game.tape.nothing(within=1)
    game.tape.send(game.b, game.a, Throw(number=2), after=0.5)
    game.tape.send(game.b, game.a, Throw(number=3), after=0.25)
    game.tape.expect(game.a, game.b, Throw(number=4))
    game.tape.send(game.b, game.a, Throw(number=5))
    with pytest.raises(Mismatch, match="1 missing, 1 not sent"):
        game.tape.play()
    times = {frame.packet()[Throw].number: frame.time_ns for frame in game.net.capture}
    assert times == {1: 0, 2: 15 * 10**8, 3: 175 * 10**7}


def test_a_send_that_never_had_its_turn_is_reported(game) -> None:
    game.expects(1)
    game.tape.send(game.b, game.a, Throw(number=2))
    with pytest.raises(Mismatch) as caught:
        game.tape.play()
    text = str(caught.value)
    assert "1 missing, 1 not sent" in text
    assert re.search(r"not sent: send b -> a  Throw\(number=2\).*\n  waited for a -> b  Throw\(number=1\)", text)


def test_a_client_is_tested_by_a_peer_that_the_tape_plays() -> None:
    """As with packetdrill: the script plays the other end of an SPP connection."""
    net = SimNetwork(1)
    client_host, peer = net.host("client"), net.host("peer")
    net.link(client_host, peer, delay=0.01)
    there = (0x401, peer.mac, 3000)
    from packetlab import IDP, Control, XNSAddress

    with Tape(net) as tape:
        request = tape.expect("client", "peer", SPP(control=Control.SYSTEM | Control.SEND_ACK), at=0)

        def answer(control, seq=0, ack=0, datastream=0):
            def make():
                idp, spp = request.packet[IDP], request.packet[SPP]
                head = IDP(dst=idp.src, src=XNSAddress.of(there))
                ids = {"source_id": 77, "destination_id": spp.source_id}
                return head / SPP(control=control, datastream=datastream, seq=seq, ack=ack, alloc=ack + 4, **ids)

            return make

        tape.send("peer", "client", answer(Control.SYSTEM | Control.SEND_ACK))
        tape.expect("client", "peer", SPP(control=Control.SYSTEM, destination_id=77), at=0.02)
        tape.expect("client", "peer", SPP(seq=0) / b"hello")
        tape.send("peer", "client", answer(Control.SYSTEM, ack=1))
        client = client_host.socket("seqpacket")
        client.connect(there)
        client.write(b"hello")
        tape.play()
    client.abort()


def test_a_capture_is_a_source_too(game, tmp_path) -> None:
    game.throws(1)
    game.net.run(1)
    game.throws(2)
    path = tmp_path / "x.pcapng"
    game.net.capture.write(path)
    with Tape(Capture(path)) as tape:
        tape.expect("02:00:00:00:00:01", "02:00:00:00:00:02", Throw(number=1), at=0)
        tape.expect(None, None, Throw(number=2), at=1)


def test_one_link_alone_is_watched() -> None:
    net = SimNetwork()
    a, b, c = (net.host(name) for name in "abc")
    net.link(a, b)
    link = net.link(b, c)
    with Tape() as tape:
        tape.watch(net, link=link)
        tape.expect(b, c, Throw(number=2))
        a.interface.send(Ether(dst=b.mac, src=a.mac) / Throw(number=1))
        b.interfaces[1].send(Ether(dst=c.mac, src=b.mac) / Throw(number=2))


def test_an_error_in_the_block_is_not_hidden_by_the_check(game) -> None:
    with pytest.raises(ZeroDivisionError), game.tape:
        game.expects(1)
        raise ZeroDivisionError


def test_misuse_is_reported(game) -> None:
    with pytest.raises(LocalProtocolError, match="times="):
        game.expects(1, times=1, at_least=1)
    with pytest.raises(LocalProtocolError, match="counts"):
        game.expects(1, at_least=3, at_most=2)
    with pytest.raises(LocalProtocolError, match="expectations alone"), game.tape.any_order():
        game.tape.nothing(within=1)
    with pytest.raises(PacketlabError, match="tape.send: sender"):
        game.tape.send("02:00:00:00:00:01", None, Throw())
    with pytest.raises(TypeError, match="a tape watches"):
        Tape(7)
    with pytest.raises(LocalProtocolError, match="a network to watch"):
        Tape(Capture.of([Frame(b"")])).play()
    ball = game.tape.expect(game.a, game.b, Throw)
    with pytest.raises(Mismatch, match="no packet has come yet"):
        _ = ball.packet


@pytest.mark.slow
def test_long_recordings_are_read_in_time(game) -> None:
    """Whether they fit or not: the work grows with their length, not with what could be left out of them."""
    count = 1000
    game.expects(*range(count))
    game.throws(*[n for n in range(count) if n not in (300, 600)])
    assert "2 missing" in game.says()
    other = Game()
    with other.tape.any_order():
        other.expects(*range(14))
    other.throws(*range(13, 2, -1), *range(100, 130))
    assert "3 " in other.says().splitlines()[0]


def test_a_lab_interface_is_watched_both_ways_and_played(lab) -> None:
    a, b = lab.host("a"), lab.host("b")
    lab.link(a, b)
    with Tape() as tape:
        tape.watch(a)
        one = tape.expect(a, b, Throw(number=1))
        tape.send(b, a, lambda: Throw(number=one.packet[Throw].number + 1))
        tape.expect(a, "b", Throw(number=3), after=0, tolerance=2)
        tape.nothing(within=0.05)
        a.interface.send(Ether(dst=b.mac, src=a.mac) / Throw(number=1))
        a.until(lambda: tape.capture.count() >= 2, timeout=5)
        assert a.interface.receive(where=Throw)[Throw].number == 2
        a.interface.send(Ether(dst=b.mac, src=a.mac) / Throw(number=3))
        tape.play()
    tape = Tape()
    tape.watch(b)
    tape.expect(a, b, Throw(number=5))
    a.interface.send(Ether(dst=b.mac, src=a.mac) / Throw(number=4))
    with pytest.raises(Mismatch, match="expected 5, got 4"):
        tape.play(timeout=0.2)
    tape.close()


# Clocks ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("second", [1, 2], ids=["a repetition", "another"])
def test_what_is_sent_after_a_packet_counts_from_that_packet(second: int) -> None:
    net = SimNetwork(1)
    a, b = net.host("a"), net.host("b")
    net.link(a, b, delay=0.05)
    with Tape(net) as tape:
        throw = Ether(dst=b.mac, src=a.mac)
        tape.expect(a, b, Throw(number=1), at=0)
        tape.expect(a, b, Throw(number=second), at=0.25)
        tape.send(b, a, Throw(number=9), after=0.1)
        a.interface.send(throw / Throw(number=1))
        net.run(0.25)
        a.interface.send(throw / Throw(number=second))
        tape.play()
        assert [seen.at / 1e9 for seen in tape.seen()] == [0, 0.25, pytest.approx(0.4)]


def test_what_is_sent_after_a_lost_packet_does_not_count_from_an_earlier_one_like_it() -> None:
    net = SimNetwork(1)
    a, b = net.host("a"), net.host("b")
    link = net.link(a, b, delay=0.05)
    tape = Tape(net)
    throw = Ether(dst=b.mac, src=a.mac) / Throw(number=1)
    tape.expect(a, b, Throw(number=1), times=2)
    tape.send(b, a, Throw(number=9), after=0.1)
    a.interface.send(throw)
    link.partition()
    a.interface.send(throw)
    with pytest.raises(Mismatch, match="not sent"):
        tape.play(timeout=5)


def test_drawn_and_reported_times_are_the_tapes_own(game) -> None:
    game.net.run(2)
    tape = Tape(game.net)
    tape.expect(game.a, game.b, Throw(number=2), at=0.1)
    game.net.run(0.5)
    game.throws(2)
    with pytest.raises(Mismatch) as caught:
        tape.check()
    text = str(caught.value)
    assert "came as frame 1 at 0.5 s" in text and re.search(r"^0\.500000 .*Throw", text, re.MULTILINE)


@pytest.mark.parametrize("pattern", [Throw(number=1, note=b"hi"), 'throw.number == 1 and throw.note == "hi"'])
def test_the_ladder_says_the_fields_that_were_expected(game, pattern) -> None:
    game.tape.expect(game.a, game.b, pattern)
    game.throws(0, note=b"ho")
    drawn = game.says().splitlines()[-1]
    assert "number=0" in drawn and "note=b'ho'" in drawn
