"""The states of an SPP connection, as a table.

Follows Xerox's own code (Interlisp-D, for opening and for the END / END-REPLY close of section 7.5 of the standard) and,
where a passive side waits for the third packet before it calls itself open, 4.4BSD.
"""

from __future__ import annotations

from enum import Enum


class SPPState(Enum):
    """Where a connection is in its life."""

    IDLE = "idle"
    REQUESTED = "requested"  # our request is out
    ANSWERED = "answered"  # their request came, our answer is out
    OPEN = "open"
    ENDING = "ending"  # our END is queued or out
    DALLYING = "dallying"  # our END-REPLY is queued or out
    CLOSED = "closed"
    ABORTED = "aborted"


class Trigger(Enum):
    """What can happen to a connection."""

    CONNECT = "connect"
    REQUEST = "request"  # a packet of a peer that does not know our id yet
    CONFIRM = "confirm"  # a packet with both ids
    CLOSE = "close"
    END = "END"
    END_REPLY = "END-REPLY"
    DALLY_OVER = "dally over"
    REFUSED = "refused"  # Error 2: the peer's socket is gone
    GIVE_UP = "give up"
    ABORT = "abort"


class Do(Enum):
    """What a connection does on a step."""

    NOTHING = "nothing"
    REPEAT = "repeat"  # send request or answer (again)
    LEARN = "learn"  # take over the peer's id and socket, then as REPEAT
    OPENED = "opened"
    SEND_END = "send END"
    SEND_END_REPLY = "send END-REPLY"
    SEND_LAST = "send the last END-REPLY"  # which nobody confirms; where ours is under way, that one again
    FINISH = "finish"
    FAIL = "fail"
    FAIL_UNLESS_DONE = "fail unless done"  # no data of ours is missed: then it is a close like any other


S, T, D = SPPState, Trigger, Do

TABLE: dict[tuple[SPPState, Trigger], tuple[Do, SPPState]] = {
    (S.IDLE, T.CONNECT): (D.REPEAT, S.REQUESTED),
    (S.IDLE, T.REQUEST): (D.LEARN, S.ANSWERED),
    (S.REQUESTED, T.CONFIRM): (D.OPENED, S.OPEN),
    (S.REQUESTED, T.REQUEST): (D.LEARN, S.ANSWERED),  # rendezvous: requests from both sides
    (S.ANSWERED, T.REQUEST): (D.REPEAT, S.ANSWERED),
    (S.ANSWERED, T.CONFIRM): (D.OPENED, S.OPEN),
    (S.OPEN, T.CONFIRM): (D.NOTHING, S.OPEN),
    (S.OPEN, T.REQUEST): (D.REPEAT, S.OPEN),  # an old repeat, or our answer was lost
    (S.OPEN, T.CLOSE): (D.SEND_END, S.ENDING),
    (S.OPEN, T.END): (D.SEND_END_REPLY, S.DALLYING),
    # An END-REPLY that leaves data of ours unconfirmed ends the connection too, but as a failure.
    (S.OPEN, T.END_REPLY): (D.FINISH, S.CLOSED),  # out of turn; Interlisp closes too
    (S.ENDING, T.CONFIRM): (D.NOTHING, S.ENDING),
    (S.ENDING, T.REQUEST): (D.REPEAT, S.ENDING),
    (S.ENDING, T.CLOSE): (D.NOTHING, S.ENDING),
    (S.ENDING, T.END): (D.SEND_END_REPLY, S.DALLYING),  # the two ENDs crossed
    (S.ENDING, T.END_REPLY): (D.SEND_LAST, S.CLOSED),
    (S.ENDING, T.REFUSED): (D.FAIL_UNLESS_DONE, S.ABORTED),
    (S.ENDING, T.GIVE_UP): (D.FAIL_UNLESS_DONE, S.ABORTED),
    (S.DALLYING, T.CONFIRM): (D.NOTHING, S.DALLYING),
    (S.DALLYING, T.CLOSE): (D.NOTHING, S.DALLYING),
    (S.DALLYING, T.END): (D.NOTHING, S.DALLYING),
    (S.DALLYING, T.END_REPLY): (D.SEND_LAST, S.CLOSED),  # the other end may not have ours yet, and waits for it
    (S.DALLYING, T.DALLY_OVER): (D.FINISH, S.CLOSED),
    (S.DALLYING, T.REFUSED): (D.FAIL_UNLESS_DONE, S.ABORTED),
    (S.DALLYING, T.GIVE_UP): (D.FAIL_UNLESS_DONE, S.ABORTED),
    (S.IDLE, T.CLOSE): (D.FINISH, S.CLOSED),
    (S.REQUESTED, T.CLOSE): (D.FINISH, S.CLOSED),
    (S.ANSWERED, T.CLOSE): (D.SEND_END, S.ENDING),
    (S.CLOSED, T.CLOSE): (D.NOTHING, S.CLOSED),
    (S.ABORTED, T.CLOSE): (D.NOTHING, S.ABORTED),
    (S.CLOSED, T.ABORT): (D.NOTHING, S.CLOSED),
    (S.ABORTED, T.ABORT): (D.NOTHING, S.ABORTED),
    **{(state, step): (D.FAIL, S.ABORTED) for state in (S.REQUESTED, S.ANSWERED, S.OPEN) for step in (T.REFUSED, T.GIVE_UP)},
    **{(state, T.ABORT): (D.FAIL, S.ABORTED) for state in S if state not in (S.CLOSED, S.ABORTED)},
}  # fmt: skip

LIVE = frozenset({S.OPEN, S.ENDING, S.DALLYING})  # both sides know each other's id
CLOSING = frozenset({S.ENDING, S.DALLYING})
OVER = frozenset({S.CLOSED, S.ABORTED})
