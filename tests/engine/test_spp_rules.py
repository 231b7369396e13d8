"""The rules of SPP, one by one: a connection, and a peer played by hand (the sheet's "safe common behaviour")."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from packetlab import IDP, SPP, Error, LocalProtocolError, Timing, dissect
from packetlab.engine.xns.spp import Attention, Connection, Finished, Opened
from packetlab.engine.xns.spp_states import OVER, TABLE, Do, SPPState, Trigger
from tests.conftest import amount

from .spp_pair import ACK, ATTENTION, EOM, HERE, OURS, SECOND, SYSTEM, THEIRS, THERE, Peer, opened

END, END_REPLY = 254, 255


# Opening ---------------------------------------------------------------------------------------------------------


def test_a_request_is_repeated_with_growing_pauses_until_it_gives_up() -> None:
    peer = Peer(timing=Timing(give_up=60))
    peer.connection.connect(0)
    (request,) = peer.hears()
    assert (request.control, request.source_id, request.destination_id, request.seq, request.ack) == (
        0xC0,
        OURS,
        0,
        0,
        0,
    )
    times = [0.0]
    while peer.connection.state is SPPState.REQUESTED:
        again = peer.waits()
        times += [peer.now / SECOND] * len(again)
        assert all(header == request for header in again)
    assert times == [0, 1, 3, 7, 15, 23, 31, 39, 47, 55]
    assert peer.now == 60 * SECOND and isinstance(peer.connection.error, TimeoutError)


@pytest.mark.parametrize("socket", [777, 4444], ids=["same socket", "new socket"])
def test_the_peers_id_and_socket_are_learned_from_its_answer(socket) -> None:
    peer = Peer()
    peer.connection.connect(0)
    peer.hears()
    peer.source = THERE._replace(socket=socket)
    (third,) = peer.says(SYSTEM | ACK, alloc=3)
    assert (third.control, third.destination_id) == (SYSTEM, THEIRS)
    assert peer.connection.remote == peer.source and Opened() in peer.events
    peer.connection.send(b"x")
    peer.hears()
    assert peer.packets[0].layers[0].dst == peer.source


@pytest.mark.parametrize("did", [0, 0xFFFF], ids=hex)
def test_a_request_makes_an_answer_and_the_third_packet_opens(did) -> None:
    peer = Peer()
    (answer,) = peer.says(SYSTEM | ACK, did=did, alloc=4)
    assert (answer.control, answer.destination_id, answer.source_id) == (0xC0, THEIRS, OURS)
    assert peer.connection.state is SPPState.ANSWERED
    (again,) = peer.says(SYSTEM | ACK, did=did, alloc=4)
    assert again == answer and peer.connection.state is SPPState.ANSWERED
    assert peer.waits() == [answer]  # nobody answered: once more
    assert peer.says(SYSTEM, alloc=4) == [] and peer.connection.state is SPPState.OPEN
    # A repeat that comes late is answered, and changes nothing.
    (late,) = peer.says(SYSTEM | ACK, did=did, alloc=4)
    assert late.control == 0xC0 and peer.connection.state is SPPState.OPEN


def test_the_first_data_packet_may_open_and_is_not_lost() -> None:
    peer = Peer()
    (answer,) = peer.says(ACK | EOM, did=0, data=b"at once")
    assert answer.ack == 1
    peer.says(ACK, seq=1, data=b"then")
    assert peer.connection.state is SPPState.OPEN
    assert [peer.connection.read().payload for _ in range(2)] == [b"at once", b"then"]


def test_an_answer_from_another_host_or_for_another_id_is_ignored() -> None:
    peer = Peer()
    peer.connection.connect(0)
    peer.hears()
    peer.says(SYSTEM | ACK, did=OURS + 1)
    assert "ids" in peer.ignored()[0]
    peer.source = THERE._replace(host=0x02000000000C)
    peer.says(SYSTEM | ACK)
    assert peer.connection.state is SPPState.REQUESTED and "ids" in peer.ignored()[0]


def test_ids_are_checked_once_a_connection_is_open() -> None:
    peer = opened()
    for ids in ({"sid": THEIRS + 1}, {"did": OURS + 1}, {"sid": OURS, "did": THEIRS}):
        assert peer.says(ACK, data=b"not ours", **ids) == []
        assert len(peer.ignored()) == 1
    assert peer.connection.read() is None


def test_an_acknowledgement_of_what_was_never_sent_counts_for_nothing_also_when_opening() -> None:
    peer = Peer()
    peer.connection.connect(0)
    peer.hears()
    peer.says(SYSTEM | ACK, ack=1, alloc=7)  # Dodo says one too many
    peer.connection.send(b"first")
    assert [header.seq for header in peer.hears()] == [0]
    peer.says(SYSTEM, ack=2)
    peer.connection.send(b"second")
    assert [header.seq for header in peer.hears()] == [1] and len(peer.connection.sender.flight) == 1


# Data ------------------------------------------------------------------------------------------------------------


def test_system_packets_take_no_number_and_carry_the_next_one() -> None:
    peer = opened()
    peer.connection.send(b"x")
    assert [header.seq for header in peer.hears()] == [0]
    (answer,) = peer.says(SYSTEM | ACK, ack=1)
    assert (answer.control, answer.seq) == (SYSTEM, 1)


@pytest.mark.slow
def test_numbers_wrap_around() -> None:
    peer, first = opened(alloc=0), amount(65_000, 0)
    sender, receiver = peer.connection.sender, peer.connection.receiver
    sender.next = sender.acked = sender.alloc = receiver.expected = first  # as if so many had gone and come before
    receiver.alloc += first
    for number in range(first, 66_000):
        peer.connection.send(b"")
        (header,) = peer.hears()
        assert header.seq == number & 0xFFFF
        (ack,) = peer.says(ACK, seq=number, ack=number + 1, alloc=number + 1)
        assert ack.ack == (number + 1) & 0xFFFF
        assert peer.connection.read() is not None


def test_nothing_goes_beyond_the_allocation_but_attention_and_the_close_by_two() -> None:
    peer = opened(alloc=1)
    for n in range(4):
        peer.connection.send(b"%d" % n)
    peer.hears()
    assert peer.data() == [b"0", b"1"]
    peer = opened(alloc=-1)
    peer.connection.send(b"!", attention=True)
    peer.connection.send(b"?", attention=True)
    peer.connection.close(0)
    assert [header.seq for header in peer.hears()] == [0, 1]
    assert [header.datastream for header in peer.says(SYSTEM, alloc=0)] == [END]


def test_an_allocation_is_never_taken_back() -> None:
    peer = opened(alloc=5)
    peer.says(SYSTEM, alloc=0)
    for n in range(4):
        peer.connection.send(b"%d" % n)
    assert len(peer.hears()) == 4


def test_a_shut_window_is_probed_and_a_lost_update_found() -> None:
    peer = opened(alloc=-1)
    peer.connection.send(b"waiting")
    assert peer.hears() == []
    for _ in range(6):
        (probe,) = peer.waits()
        assert probe.control == SYSTEM | ACK and probe.seq == 0
        assert peer.says(SYSTEM, alloc=-1) == []  # alive, and still shut: this may go on for ever
    assert peer.connection.state is SPPState.OPEN
    assert [header.control for header in peer.says(SYSTEM, alloc=0)] == [ACK]


def test_the_window_closes_behind_the_reader_and_reading_opens_it() -> None:
    peer = opened(window=4)
    answers = [peer.says(ACK, seq=n, data=b"%d" % n)[0] for n in range(4)]
    assert [(header.ack, header.alloc) for header in answers] == [(1, 3), (2, 3), (3, 3), (4, 3)]
    (over,) = peer.says(ACK, seq=4, data=b"too much")
    assert (over.ack, over.alloc) == (4, 3) and "beyond the allocation" in peer.ignored()[0]
    assert peer.connection.read().payload == b"0"
    (update,) = peer.hears()
    assert (update.control, update.ack, update.alloc) == (SYSTEM, 4, 4)
    assert peer.says(ACK, seq=4, data=b"4")[0].ack == 5


def test_packets_out_of_turn_wait_and_each_is_answered_with_what_is_missing() -> None:
    peer = opened()
    for seq in (2, 1, 3):
        assert [header.ack for header in peer.says(ACK, seq=seq, data=b"%d" % seq)] == [0]
    assert [header.ack for header in peer.says(ACK, seq=0, data=b"0")] == [4]
    assert [peer.connection.read().payload for _ in range(4)] == [b"0", b"1", b"2", b"3"]


def test_a_duplicate_is_reported_but_its_acknowledgement_and_question_count() -> None:
    peer = opened(alloc=0)
    peer.says(ACK, seq=0, data=b"once", alloc=0)
    peer.connection.send(b"x")
    peer.connection.send(b"y")
    peer.hears()
    answers = peer.says(ACK, seq=0, ack=1, alloc=1, data=b"once")
    assert peer.data() == [b"y"] and answers[0].ack == 1 and "duplicate" in peer.ignored()[0]
    assert peer.connection.read().payload == b"once" and peer.connection.read() is None


def test_what_is_not_acknowledged_is_sent_again_with_growing_pauses_and_given_up() -> None:
    peer = opened(timing=Timing(give_up=20, shortest=1.0))
    peer.connection.send(b"lost")
    peer.hears()
    times, start = [], peer.now
    while peer.connection.state is SPPState.OPEN:
        peer.waits()
        times += [(peer.now - start) / SECOND for data in peer.data() if data == b"lost"]
    assert times == [1, 3, 7, 15]
    assert isinstance(peer.connection.error, ConnectionAbortedError) and "20 s" in str(peer.connection.error)
    assert Finished(peer.connection.error) in peer.events


def test_three_equal_acknowledgements_bring_the_missing_packet_at_once() -> None:
    peer = opened(alloc=20)
    for n in range(4):
        peer.connection.send(b"%d" % n)
    peer.hears()
    for _ in range(2):
        assert peer.says(SYSTEM, ack=0, alloc=20) == []
    peer.says(SYSTEM, ack=0, alloc=20)
    assert peer.data() == [b"0"]
    peer.says(SYSTEM, ack=2, alloc=20)  # 0 arrived; so 2 was lost as well
    assert peer.data() == [b"2"]


def test_round_trips_are_measured_where_it_is_clear_what_was_answered() -> None:
    peer = opened()
    peer.connection.send(b"x")
    peer.hears()
    peer.now += SECOND // 2
    peer.says(SYSTEM, ack=1)
    before = peer.connection.sender.round_trip.smooth
    assert before > 0
    peer.connection.send(b"y")
    peer.hears()
    peer.waits()
    peer.now += 5 * SECOND
    peer.says(SYSTEM, ack=2)
    assert peer.connection.sender.round_trip.smooth == before


def test_attention_is_reported_at_once_and_comes_in_its_place() -> None:
    peer = opened(window=4)
    peer.says(ACK | ATTENTION, seq=2, data=b"!")
    assert [event.data for event in peer.events if isinstance(event, Attention)] == [ord("!")]
    assert peer.connection.read() is None
    peer.says(ACK, seq=0, data=b"0")
    peer.says(ACK, seq=1, data=b"1")
    assert [peer.connection.read().payload for _ in range(3)] == [b"0", b"1", b"!"]
    assert list(peer.connection.attentions) == [ord("!")]


def test_attention_is_taken_two_beyond_the_window_and_no_further() -> None:
    peer = opened(window=4)
    peer.says(ACK | ATTENTION, seq=6, data=b"!")
    assert "beyond" in peer.ignored()[0]
    peer.says(ACK | ATTENTION, seq=5, data=b"!")
    assert peer.ignored() == [] and len(peer.connection.attentions) == 1


def test_an_attention_without_its_one_byte_is_reported() -> None:
    peer = opened()
    for data in (b"", b"two"):
        peer.says(ACK | ATTENTION, seq=0, data=data)
        assert "not one" in peer.ignored()[0]
    peer.says(ACK | ATTENTION, seq=0, data=b"1")
    assert peer.connection.read().payload == b"1"


# Closing ---------------------------------------------------------------------------------------------------------


def test_a_close_goes_behind_the_data_and_ends_with_the_last_end_reply() -> None:
    peer = opened()
    peer.connection.send(b"last")
    peer.connection.close(0)
    assert [header.datastream for header in peer.hears()] == [0, END]
    assert peer.says(SYSTEM, ack=2) == [] and peer.connection.state is SPPState.ENDING
    (last,) = peer.says(EOM | ACK, datastream=END_REPLY, seq=0, ack=2)
    assert (last.datastream, last.control, last.seq, last.ack) == (END_REPLY, EOM, 2, 1)
    assert peer.connection.state is SPPState.CLOSED and peer.connection.next_timeout() is None


@pytest.mark.parametrize("control", [0, EOM, ACK | EOM], ids=hex)
def test_an_end_is_answered_in_its_turn_and_dallies_five_seconds(control) -> None:
    peer = opened()
    peer.says(control, datastream=END, seq=1)  # ahead of its turn
    assert peer.connection.state is SPPState.OPEN
    (reply,) = peer.says(ACK, seq=0, data=b"before it")
    assert (reply.datastream, reply.ack) == (END_REPLY, 2) and peer.connection.ended
    assert peer.connection.read().payload == b"before it"
    assert peer.says(SYSTEM, ack=1) == [] and peer.connection.state is SPPState.DALLYING
    start = peer.now
    peer.waits()
    assert peer.now - start == 5 * SECOND and peer.connection.state is SPPState.CLOSED and peer.connection.error is None


def test_ends_that_cross_close_both_sides() -> None:
    peer = opened()
    peer.connection.close(0)
    peer.hears()
    (reply,) = peer.says(EOM | ACK, datastream=END, seq=0, ack=0)
    assert reply.datastream == END_REPLY and peer.connection.state is SPPState.DALLYING
    peer.says(EOM | ACK, datastream=END_REPLY, seq=1, ack=2)
    assert peer.connection.state is SPPState.CLOSED


def test_the_close_passes_the_congestion_window_as_it_passes_the_allocation() -> None:
    peer = opened(alloc=20)
    peer.connection.send(b"lost")
    peer.hears()
    peer.waits()  # unanswered: one packet at a time from now on
    peer.connection.close(peer.now)
    assert [header.datastream for header in peer.hears()] == [END]
    assert [header.datastream for header in peer.says(EOM, datastream=END, seq=0, alloc=20)] == [END_REPLY]


def test_an_end_reply_that_waits_or_is_lost_is_sent_once_more_as_the_last_word() -> None:
    peer = opened()
    peer.connection.close(0)
    peer.hears()
    # Theirs overtook their END: both are taken in one go, and nothing of ours has answered either yet.
    peer.says(EOM, datastream=END_REPLY, seq=1, ack=1)
    (last,) = peer.says(EOM, datastream=END, seq=0, ack=1)
    assert (last.datastream, last.seq, last.ack) == (END_REPLY, 1, 2) and peer.connection.state is SPPState.CLOSED
    other = opened()
    other.connection.close(0)
    other.hears()
    (reply,) = other.says(EOM, datastream=END, seq=0, ack=0)
    (again,) = other.says(EOM, datastream=END_REPLY, seq=1, ack=0)
    assert again.seq == reply.seq == 1 and other.connection.state is SPPState.CLOSED


@pytest.mark.parametrize("data", [b"", b"unconfirmed"], ids=["nothing", "data"])
def test_a_peer_that_has_ended_and_is_gone_has_left_in_order(data) -> None:
    """Who has ended leaves once our END-REPLY has come; data that it had not confirmed it no longer wanted."""
    peer = opened()
    if data:
        peer.connection.send(data)
    peer.connection.close(0)
    peer.hears()
    peer.says(EOM, datastream=END, seq=0, ack=0)
    peer.connection.troubled(peer.packets[0], 2, peer.now)
    assert peer.connection.state is SPPState.CLOSED and peer.connection.error is None


@pytest.mark.parametrize("ended", [True, False], ids=["after its END", "without one"])
@pytest.mark.parametrize("answers", [True, False], ids=["it answers", "silence"])
def test_a_close_that_is_given_up_has_lost_what_was_not_confirmed(answers, ended) -> None:
    """Of a peer that is just silent nobody knows whether it left in order: only its own host's Error says that."""
    peer = opened()
    peer.connection.send(b"one")
    peer.connection.send(b"two")
    if ended:
        peer.says(EOM, datastream=END, seq=0, ack=0)
    peer.connection.close(peer.now)
    peer.hears()
    while peer.connection.state not in OVER:
        peer.waits()
        if answers:
            peer.says(SYSTEM, ack=0)
    assert isinstance(peer.connection.error, ConnectionAbortedError) and peer.connection.lost == 2


@pytest.mark.parametrize("ended", [True, False], ids=["after its END", "without one"])
def test_a_close_that_is_given_up_with_all_data_confirmed_has_lost_nothing(ended) -> None:
    peer = opened()
    peer.connection.send(b"one")
    if ended:
        peer.says(EOM, datastream=END, seq=0, ack=0)
    peer.connection.close(peer.now)
    peer.hears()
    peer.says(SYSTEM, ack=1)
    while peer.connection.state not in OVER:
        peer.waits()
    assert peer.connection.error is None and peer.connection.lost == 0


@pytest.mark.parametrize("state", [SPPState.OPEN, SPPState.ENDING, SPPState.DALLYING])
@pytest.mark.parametrize("confirmed", [0, 1, 2])
def test_an_end_reply_that_confirms_less_than_all_data_is_no_close_in_order(state, confirmed) -> None:
    """Who answers an END has taken all before it (Internet Transport Protocols, section 7.5)."""
    peer = opened()
    peer.connection.send(b"one")
    peer.connection.send(b"two")
    if state is SPPState.DALLYING:
        peer.says(EOM, datastream=END, seq=0, ack=0)
    if state is SPPState.ENDING:
        peer.connection.close(peer.now)
    peer.hears()
    assert peer.connection.state is state
    said = peer.says(EOM, datastream=END_REPLY, seq=int(state is SPPState.DALLYING), ack=confirmed)
    if confirmed == 2:
        assert peer.connection.state is SPPState.CLOSED and peer.connection.error is None
    else:
        assert isinstance(peer.connection.error, ConnectionResetError) and "confirming" in str(peer.connection.error)
        assert peer.connection.lost == 2 - confirmed
    # The other end has its answer either way.
    assert [header.datastream for header in said] == ([END_REPLY] if state is not SPPState.OPEN else [])


def test_a_peer_that_is_gone_without_an_end_has_lost_what_it_did_not_confirm_and_no_more() -> None:
    peer = opened()
    peer.connection.send(b"x")
    peer.connection.close(0)
    peer.hears()
    peer.connection.troubled(peer.packets[0], 2, peer.now)
    assert isinstance(peer.connection.error, ConnectionResetError)
    other = opened()
    other.connection.send(b"x")
    other.hears()
    other.says(SYSTEM, ack=1)
    other.connection.close(0)
    other.hears()
    other.connection.troubled(other.packets[0], 2, other.now)
    assert other.connection.error is None


def test_an_abort_is_reported_as_an_error_about_the_peer() -> None:
    peer = opened()
    peer.connection.abort(0)
    (error,) = peer.connection.packets_to_send(0)
    error = dissect(bytes(error), IDP)
    assert error[Error].number == 2 and error[IDP].dst == THERE and error.verdict(IDP).name == "GOOD"
    assert (error[IDP, 1].src, error[IDP, 1].dst) == (THERE, HERE)
    assert (error[SPP].source_id, error[SPP].destination_id) == (THEIRS, OURS)
    assert peer.connection.packets_to_send(0) == []
    asking = query()
    asking.connection.abort(0)
    assert asking.hears() == []  # nobody to tell yet


def test_a_lost_end_and_a_lost_end_reply_are_repeated() -> None:
    peer = opened()
    peer.connection.close(0)
    peer.hears()
    assert [header.datastream for header in peer.waits()] == [END]
    peer.says(SYSTEM, ack=1)  # the END arrived, its reply does not: ask
    (probe,) = peer.waits()
    assert probe.control == SYSTEM | ACK and peer.connection.state is SPPState.ENDING
    other = opened()
    other.says(EOM, datastream=END, seq=0)
    assert [header.datastream for header in other.waits()] == [END_REPLY]


def test_data_written_after_the_end_and_data_that_comes_after_a_close_are_reported() -> None:
    peer = opened()
    peer.connection.close(0)
    peer.hears()
    with pytest.raises(LocalProtocolError, match="ending"):
        peer.connection.send(b"late")
    peer.says(ACK, seq=0, data=b"nobody reads")
    assert "closed by this side" in peer.ignored()[0]
    other = opened()
    other.says(EOM, datastream=END, seq=0)
    other.says(ACK, seq=1, data=b"behind")
    assert "after the END" in other.ignored()[0]


# Keeping alive ---------------------------------------------------------------------------------------------------


def test_a_quiet_link_is_kept_alive_for_a_day() -> None:
    peer = opened(timing=Timing(keep_alive=75, give_up=600))
    probes = 0
    while peer.now < 24 * 3600 * SECOND:
        (probe,) = peer.waits()
        assert probe.control == SYSTEM | ACK
        peer.says(SYSTEM)
        probes += 1
    assert probes == 24 * 3600 // 75 and peer.connection.state is SPPState.OPEN


def test_a_dead_peer_is_noticed_on_a_quiet_link() -> None:
    peer = opened(timing=Timing(keep_alive=10, give_up=30))
    start = peer.now
    while peer.connection.state is SPPState.OPEN:
        peer.waits()
    assert peer.now - start <= 30 * SECOND + 1 and isinstance(peer.connection.error, ConnectionAbortedError)


def test_time_in_which_nobody_drove_the_engine_is_no_silence_of_the_peer() -> None:
    """A program that computed for an hour finds its connections as they were."""
    for wish in ("", "data"):
        peer = opened(timing=Timing(keep_alive=10, give_up=30))
        if wish:
            peer.connection.send(b"x")
            peer.hears()
        peer.waits(3600)
        assert peer.connection.state is SPPState.OPEN
        peer.says(SYSTEM, ack=len(wish) and 1)
        peer.waits(9)
        assert peer.connection.state is SPPState.OPEN


# The table -------------------------------------------------------------------------------------------------------

WAYS = {
    SPPState.IDLE: lambda: Peer(),
    SPPState.REQUESTED: lambda: query(),
    SPPState.ANSWERED: lambda: was_asked(),
    SPPState.OPEN: lambda: opened(),
    SPPState.ENDING: lambda: ending(),
    SPPState.DALLYING: lambda: dallying(),
    SPPState.CLOSED: lambda: closed(),
    SPPState.ABORTED: lambda: aborted(),
}


def query() -> Peer:
    peer = Peer()
    peer.connection.connect(0)
    peer.hears()
    return peer


def was_asked() -> Peer:
    peer = Peer()
    peer.says(SYSTEM | ACK, did=0)
    return peer


def ending() -> Peer:
    peer = opened()
    peer.connection.close(0)
    peer.hears()
    return peer


def dallying() -> Peer:
    peer = opened()
    peer.says(EOM, datastream=END, seq=0)
    return peer


def closed() -> Peer:
    peer = ending()
    peer.says(EOM, datastream=END_REPLY, seq=0, ack=1)
    return peer


def aborted() -> Peer:
    peer = opened()
    peer.connection.abort(0)
    return peer


@pytest.mark.parametrize("step", Trigger, ids=lambda step: step.value)
@pytest.mark.parametrize("state", SPPState, ids=lambda state: state.value)
def test_the_table_says_what_every_step_does_in_every_state(state, step) -> None:
    connection: Connection = WAYS[state]().connection
    assert connection.state is state
    connection._step(step, 10 * SECOND)
    do, after = TABLE.get((state, step), (Do.NOTHING, state))
    if do is not Do.FAIL_UNLESS_DONE:
        assert connection.state is after
    assert (connection.error is not None) == (connection.state is SPPState.ABORTED)
    if connection.state in OVER:
        connection.packets_to_send(11 * SECOND)
        assert connection.next_timeout() is None


def test_the_local_end_has_its_own_address_and_id() -> None:
    connection = Connection(HERE, THERE, OURS)
    assert (connection.local, connection.remote, connection.source_id) == (HERE, THERE, OURS)


# How long a close waits ---------------------------------------------------------------------------------------


def lingers(peer: Peer, seconds: float, ack: int, alloc: int = 7) -> float:
    """Answer every probe for `seconds`, or until the close is settled; return the seconds that passed."""
    start = peer.now
    while not peer.connection.settled and peer.now < start + seconds * SECOND:
        peer.waits()
        peer.says(SYSTEM, ack=ack, alloc=alloc)
    return (peer.now - start) / SECOND


def test_a_close_waits_no_longer_than_it_may_for_a_peer_that_answers_but_never_ends() -> None:
    peer = ending()
    peer.says(SYSTEM, ack=1)  # our END
    assert not peer.connection.settled
    assert 15 <= lingers(peer, 100, ack=1) < 16
    assert peer.connection.state is SPPState.CLOSED and peer.connection.error is None


def test_how_long_a_close_lingers_can_be_set() -> None:
    peer = opened(timing=Timing(linger=2))
    peer.connection.close(peer.now)
    peer.hears()
    peer.says(SYSTEM, ack=1)
    assert 2 <= lingers(peer, 100, ack=1) < 3


def test_a_close_is_settled_once_both_have_ended_and_the_dally_goes_on_behind() -> None:
    peer = dallying()
    assert not peer.connection.settled  # our END-REPLY may get lost
    peer.says(SYSTEM, seq=1, ack=1)
    assert peer.connection.settled and peer.connection.state is SPPState.DALLYING
    peer.waits()
    assert peer.connection.state is SPPState.CLOSED


def test_a_close_is_settled_where_the_end_reply_was_repeated_and_nobody_answers() -> None:
    peer = dallying()
    assert [header.datastream for header in peer.waits()] == [END_REPLY]
    assert peer.connection.settled


def test_what_a_shut_window_holds_back_goes_on_waiting_when_the_close_does_not() -> None:
    peer = opened(alloc=0)
    for data in (b"one", b"two"):
        peer.connection.send(data)
    peer.hears()
    peer.connection.close(peer.now)
    peer.says(SYSTEM, ack=1, alloc=0)  # no room for the second
    assert 15 <= lingers(peer, 100, ack=1, alloc=0) < 16
    assert peer.connection.state is SPPState.ENDING
    peer.says(SYSTEM, ack=1, alloc=9)
    assert peer.data() == [b"two", b""] and not peer.connection.settled  # and our END


def over_after(peer: Peer, says: Callable[[], object], most: float = 1000) -> float:
    """Answer every packet in the same way, until the connection is over; return the seconds that passed."""
    start = peer.now
    while not peer.connection.over:
        peer.waits()
        says()
        assert peer.now < start + most * SECOND, "it goes on forever"
    return (peer.now - start) / SECOND


@pytest.mark.parametrize("closing", [True, False])
def test_a_peer_that_answers_but_confirms_nothing_is_given_up(closing) -> None:
    peer = opened()
    peer.connection.send(b"lost")
    if closing:
        peer.connection.close(peer.now)
    peer.hears()
    assert 30 <= over_after(peer, lambda: peer.says(SYSTEM, ack=0)) < 39
    assert isinstance(peer.connection.error, ConnectionAbortedError) and "answers" in str(peer.connection.error)


def test_what_a_shut_window_holds_back_is_given_up_some_time_after_the_close_and_never_before() -> None:
    peer = opened(alloc=0)
    for data in (b"one", b"two"):
        peer.connection.send(data)
    peer.hears()
    peer.says(SYSTEM, ack=1, alloc=0)
    for _ in range(1000):
        peer.waits()
        peer.says(SYSTEM, ack=1, alloc=0)
    assert peer.connection.state is SPPState.OPEN
    peer.connection.close(peer.now)
    peer.hears()
    assert 300 <= over_after(peer, lambda: peer.says(SYSTEM, ack=1, alloc=0)) < 317
    assert isinstance(peer.connection.error, ConnectionAbortedError) and "takes" in str(peer.connection.error)


def test_each_confirmation_gives_the_peer_new_time() -> None:
    peer = opened(alloc=100)
    for _ in range(20):
        peer.connection.send(b"x")
    peer.connection.close(peer.now)
    peer.hears()
    for ack in range(1, 21):
        for _ in range(3):
            peer.waits(8)
            peer.says(SYSTEM, ack=ack - 1, alloc=100)
        peer.says(SYSTEM, ack=ack, alloc=100)
    assert peer.connection.state is SPPState.ENDING


def test_a_close_waits_no_longer_for_a_peer_that_has_ended_and_takes_no_more() -> None:
    peer = opened(alloc=0)
    for data in (b"one", b"two"):
        peer.connection.send(data)
    peer.hears()
    peer.says(EOM, END, ack=1, alloc=0)
    peer.connection.close(peer.now)
    peer.hears()
    assert peer.connection.state is SPPState.DALLYING
    assert lingers(peer, 100, ack=1, alloc=0) < 24


@pytest.mark.parametrize("patient", [True, False])
def test_who_is_to_meet_the_other_end_goes_on_asking_where_it_is_not_there_yet(patient) -> None:
    peer = query()
    peer.connection.patient = patient
    nobody = IDP(src=THERE, dst=HERE) / Error(number=2) / bytes(IDP(src=HERE, dst=THERE) / SPP(source_id=OURS))
    peer.connection.troubled(dissect(bytes(nobody), IDP), 2, peer.now)
    assert peer.connection.state is (SPPState.REQUESTED if patient else SPPState.ABORTED)
    if patient:
        assert [header.control for header in peer.waits()] == [SYSTEM | ACK]
        assert [header.control for header in peer.says(SYSTEM | ACK, did=0)] == [SYSTEM | ACK]
        assert peer.connection.state is SPPState.ANSWERED
