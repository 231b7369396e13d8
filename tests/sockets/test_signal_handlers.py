"""What a signal's handler may do with the sockets that its own thread waits at.

Python runs it within the wait of the main thread; so each of these is a program of its own, that ends or is ended.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

PATIENCE = 60.0
BEGINNING = """
import os, signal, sys
from contextlib import ExitStack
from tests.sockets.test_background import connected, pair, socket_of

def tried(call):
    try:
        return repr(call())
    except OSError as error:
        return f"{type(error).__name__} {error.errno}"

def interrupted(handler, call):
    def run(*_):
        print("handler:", tried(handler), flush=True)
    signal.signal(signal.SIGALRM, run)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    print("call:", tried(call), flush=True)
    os._exit(0)

a, b = pair()
"""


def lines(program: str) -> list[str]:
    run = subprocess.run(
        [sys.executable, "-c", BEGINNING + program], capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert run.returncode == 0 and not run.stderr, run.stderr
    return run.stdout.splitlines()


@pytest.mark.parametrize("how", ["close", "abort"])
@pytest.mark.parametrize(
    ("family", "kind", "verb"),
    [
        *[("xns", kind, verb) for kind in ("seqpacket", "stream", "websocket") for verb in ("accept", "read")],
        ("xns", "datagram", "read"),
        ("inet", "stream", "read"),
        ("inet", "websocket", "read"),
    ],
)
def test_a_signal_handler_may_close_the_socket_its_own_thread_waits_at(
    family: str, kind: str, verb: str, how: str
) -> None:
    found = lines(f"""
stack = ExitStack()
sock = socket_of(stack, a, b, {family!r}, {kind!r}, {verb!r})
interrupted(sock.{how}, sock.{verb})
""")
    assert found == ["handler: None", "call: SocketMisuse 9"]


def test_a_signal_handler_may_exchange_and_time_out_within_its_threads_wait() -> None:
    found = lines("""
a.answer(8, lambda data: b"r" + data)
client, conn = connected(a, b)
def handler():
    answer = b.exchange((0x401, 0x020000000001, 8), b"q")
    print("answered", tried(lambda: b.exchange((0x401, 0x020000000099, 8), b"q", interval=0.05, tries=3)))
    client.write(b"what the call waits for")
    return answer
interrupted(handler, conn.read)
""")
    assert found == ["answered TimeoutError None", "handler: b'rq'", "call: b'what the call waits for'"]


def test_what_a_handler_takes_in_for_the_call_that_it_interrupts_is_seen_by_that() -> None:
    found = lines("""
client, conn = connected(a, b)
client.write(b"first")
def handler():
    client.write(b"second")
    a.until(lambda: not client._connection.sender.waiting)  # b has it, by the background of b or by nobody
    b.until(lambda: len(conn._connection.receiver.ready) == 1, timeout=10)
conn.read()
interrupted(handler, conn.read)
""")
    assert found == ["handler: None", "call: b'second'"]


def test_other_threads_are_served_while_a_handler_waits() -> None:
    found = lines("""
import threading
client, conn = connected(a, b)
other = b.socket("datagram", "xns")
other.bind(50)
got = []
thread = threading.Thread(target=lambda: got.append(other.read()), daemon=True)
def handler():
    thread.start()
    sender = a.socket("datagram", "xns")
    sender.write(b"to the thread", to=b.at(50))
    b.until(lambda: got, timeout=10)
    client.write(b"x")
    return got
interrupted(handler, conn.read)
""")
    assert found == ["handler: [b'to the thread']", "call: b'x'"]
