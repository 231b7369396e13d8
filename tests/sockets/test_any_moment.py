"""A signal's handler closes the socket that its thread waits at, at each place of the wait in turn.

CPython runs handlers between two instructions; the trace function of a thread is called between any two of them too.
"""

from __future__ import annotations

import sys
import threading
import time
from contextlib import ExitStack, suppress

import pytest

from tests.sockets.test_background import PATIENCE, pair, socket_of
from tests.sockets.test_signal_handlers import lines

pytestmark = pytest.mark.slow

PROGRAM = """
from pathlib import Path

# Of the instructions: they are many, and neighbours are alike. Python 3.13 traces those of some functions only.
STRIDE = 9 if sys.version_info < (3, 13) else 1

def attempt(place):
    "Return whether the place was reached before the wait began, where that was, and how the call ended."
    a, b = pair()
    sock = socket_of(ExitStack(), a, b, {family!r}, {kind!r}, {verb!r})
    count, over, where, ended = 0, False, None, threading.Event()

    def trace(frame, event, arg):
        nonlocal count, where
        if where or over or Path(frame.f_code.co_filename).parent.name not in ("link", "sockets"):
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        count += event == "opcode"
        if count == place:
            where = f"{{frame.f_code.co_name}}:{{frame.f_lineno}}"
            sys.settrace(None)
            sock.{how}()
        return trace

    def end():
        "End a wait that no handler ended: from a thread, since a signal's handler that raises may do so within `trace`."
        nonlocal over
        for waits in range(400):
            if ended.wait(0.1):  # many short ones: a machine that stood still ends one only
                return
            if waits > 4 and not where:  # before the timers of a second
                over = True
                sock.abort()
        print("hangs", where, flush=True)
        os._exit(1)
    thread = threading.Thread(target=end)
    thread.start()
    sys.settrace(trace)
    try:
        found = sock.{verb}()
    except OSError as error:
        found = error.errno
    finally:
        sys.settrace(None)
        ended.set()
        thread.join()
        a.close()
        b.close()
    return where, found

place, ends = 1, Counter()
while (end := attempt(place))[0]:
    ends[end[1]] += 1
    if end[1] not in (errno.EBADF, errno.EDEADLK):
        print(*end)
    place += STRIDE
print(ends[errno.EBADF] > 50, flush=True)
os._exit(0)
"""


@pytest.mark.parametrize(
    ("family", "kind", "verb", "how"),
    [
        ("xns", "datagram", "read", "close"),
        ("xns", "stream", "read", "abort"),
        ("xns", "websocket", "accept", "close"),
        ("inet", "stream", "accept", "abort"),
        ("inet", "websocket", "read", "close"),
    ],
)
def test_a_wait_whose_socket_a_handler_closes_ends_wherever_that_happens(family, kind, verb, how) -> None:
    """With EBADF; the handler gets EDEADLK where it would wait in the midst of the network's own work."""
    program = "import errno\nimport threading\nfrom collections import Counter\n" + PROGRAM.format(
        family=family, kind=kind, verb=verb, how=how
    )
    assert lines(program) == ["True"]


PLACES = 60  # of a close, evenly spread


def aborted_within(family: str, kind: str, at: int) -> tuple[int, str]:
    """Close a socket, with a handler that aborts it at a place where CPython may run one; return how many there were, and
    how the close ended.
    """
    count, ended = 0, "closed"

    def look(frame, event, _) -> None:
        nonlocal count
        if event in ("call", "c_return") and "/packetlab/" in frame.f_code.co_filename:
            count += 1
            if count == at:
                sys.setprofile(None)
                conn.abort()

    a, b = pair()
    with a, b, ExitStack() as stack:
        conn = socket_of(stack, a, b, family, kind, "read")
        conn.timeout = PATIENCE
        sys.setprofile(look)
        try:
            conn.close()
        except OSError as error:
            ended = type(error).__name__
        finally:
            sys.setprofile(None)
    return count, ended


@pytest.mark.parametrize("kind", ["seqpacket", "websocket"])
def test_a_close_that_a_handler_aborts_ends_wherever_that_happens(kind: str) -> None:
    places, ended = aborted_within("xns", kind, 0)
    assert ended == "closed"
    for at in range(1, places, max(1, places // PLACES)):
        _, ended = aborted_within("xns", kind, at)
        assert ended in ("closed", "ConnectionAbortedError", "SocketMisuse"), at


class Interrupt(BaseException):
    """What a handler raises."""


def interrupted(call, at: int) -> int:
    """Call something, with an interrupt at a place where CPython may run a handler; return how many there were."""
    count = 0

    def look(frame, event, _) -> None:
        nonlocal count
        name = frame.f_code.co_filename
        if event in ("call", "c_return") and (
            "/packetlab/" in name or name.endswith(("threading.py", "contextlib.py"))
        ):
            count += 1
            if count == at:
                sys.setprofile(None)
                raise Interrupt

    sys.setprofile(look)
    try:
        call()
    except (Interrupt, TimeoutError):
        pass
    finally:
        sys.setprofile(None)
    return count


def test_a_turn_ends_with_its_call_wherever_that_is_interrupted() -> None:
    a, b = pair()
    with a, b, ExitStack() as stack:
        conn = socket_of(stack, a, b, "inet", "stream", "read")
        stack.callback(conn.abort)
        conn.timeout = PATIENCE
        places = interrupted(lambda: conn.write(b"x"), 0)
        for at in range(1, places + 1):
            interrupted(lambda: conn.write(b"x"), at)
            assert conn.write(b"y") == 1
            done: list[int] = []
            thread = threading.Thread(target=lambda done=done: done.append(conn.write(b"z")))
            thread.start()
            thread.join(PATIENCE)
            assert done == [1], at
        assert conn._turns == {}


def test_whoever_waits_for_a_turn_of_another_thread_may_be_interrupted_anywhere() -> None:
    a, b = pair()
    with a, b, ExitStack() as stack:
        conn = socket_of(stack, a, b, "xns", "stream", "read")
        conn.timeout = None

        def hold() -> None:
            with suppress(OSError):
                conn.write(bytes(1 << 20))

        holder = threading.Thread(target=hold)
        holder.start()
        while "write" not in conn._turns:
            time.sleep(0.001)
        conn.timeout = 0.05
        places = interrupted(lambda: conn.write(b"x"), 0)
        for at in range(1, places, max(1, places // PLACES)):
            interrupted(lambda: conn.write(b"x"), at)
            assert not conn.host.loop.lock._is_owned(), at
        conn.abort()
        holder.join(PATIENCE)
        assert not holder.is_alive()
