"""What a signal's handler may do with the sockets that its own thread waits at.

Python runs it within the wait of the main thread; so each of these is a program of its own, that ends or is ended. They are
forked from one that has imported what they need.
"""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache

import pytest

pytestmark = pytest.mark.slow

PATIENCE = 60.0
BEGINNING = """
import os, signal, sys
from contextlib import ExitStack
from tests.link.asleep import signalled
from tests.sockets.test_background import connected, pair, socket_of

def tried(call):
    try:
        return repr(call())
    except OSError as error:
        return f"{type(error).__name__} {error.errno}"

def interrupted(handler, call):
    def run(*_):
        print("handler:", tried(handler), flush=True)
    with signalled(run):
        print("call:", tried(call), flush=True)
    os._exit(0)

a, b = pair()
"""


FORKING = """
import json, os, signal, sys, tests.sockets.test_background

for line in sys.stdin:
    source, patience = json.loads(line)
    read, write = os.pipe()
    child = os.fork()
    if not child:
        os.dup2(write, 1), os.dup2(write, 2), os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.close(read), os.close(write)
        signal.alarm(patience)  # ends one that hangs
        exec(compile(source, "<program>", "exec"), {"__name__": "__main__"})
        sys.stdout.flush()
        os._exit(0)
    os.close(write)
    with open(read) as said:
        text = said.read()
    print(json.dumps([os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), text]), flush=True)
"""


@cache
def forking() -> subprocess.Popen[str]:
    """Return what forks a program for each line it reads; it ends when its input does, with this process."""
    return subprocess.Popen(
        [sys.executable, "-c", FORKING], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    )


def lines(program: str) -> list[str]:
    server = forking()
    assert server.stdin is not None and server.stdout is not None
    server.stdin.write(json.dumps([BEGINNING + program, int(PATIENCE)]) + "\n")
    status, text = json.loads(server.stdout.readline())
    assert status == 0, text
    return text.splitlines()


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
    # On a slow machine the signal may come in the midst of the network's own work, where a close cannot wait.
    assert found[1:] == ["call: SocketMisuse 9"] and found[0] in ("handler: None", "handler: SocketMisuse 35")


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
    assert found == ["answered TimeoutError 110", "handler: b'rq'", "call: b'what the call waits for'"]


def test_what_a_handler_takes_in_for_the_call_that_it_interrupts_is_seen_by_that() -> None:
    found = lines("""
client, conn = connected(a, b)
client.write(b"first")
def handler():
    client.write(b"second")
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


# What follows calls the handler at a place of its own choosing, so that it hits that place in every run.


def test_a_handler_that_waits_while_its_thread_holds_the_lock_lets_go_of_all_of_it() -> None:
    found = lines("""
import threading
client, conn = connected(a, b)
other = b.socket("datagram", "xns")
other.bind(50)
got = []
loop = b.loop
with loop.lock, loop.lock:
    threading.Thread(target=lambda: got.append(other.read()), daemon=True).start()
    sender = a.socket("datagram", "xns")
    sender.write(b"to the thread", to=b.at(50))
    print(tried(lambda: b.until(lambda: got, timeout=10)), got, loop.lock._is_owned())
    loop.lock.release()
    loop.lock.acquire()
print(loop.lock._is_owned(), flush=True)
os._exit(0)
""")
    assert found == ["True [b'to the thread'] True", "False"]


def test_a_handler_within_the_work_of_the_network_may_write_and_must_not_wait() -> None:
    """Between the taking of a packet and its delivery, and between two packets that go out."""
    found = lines("""
from packetlab.engine.xns import idp, spp
a.answer(8, lambda data: data)
client, conn = connected(a, b)
sink = a.socket("datagram", "xns")
sink.bind(51)
sender = b.socket("datagram", "xns")
sender.bind(50)
places, errors = [], set()

def within(cls, name):
    plain = getattr(cls, name)
    def patched(self, *given):
        if self in (conn._connection, b.xns.node) and not places:
            places.append(name)
            errors.add(tried(lambda: b.exchange(a.at(8), b"q", tries=1)))
            sender.write(b"%d" % len(places), to=a.at(51))
        return plain(self, *given)
    setattr(cls, name, patched)

order = []
for cls, name in [(spp.Connection, "_deliver"), (spp.Connection, "packets_to_send"), (idp.Node, "packets_to_send")]:
    plain = getattr(cls, name)
    places.clear()
    within(cls, name)
    for number in range(40):
        client.write(b"%d" % number)
        order.append(int(conn.read()))
    setattr(cls, name, plain)
    print(places, sink.read())
print(order == [*range(40)] * 3, errors, flush=True)
os._exit(0)
""")
    assert found == [
        "['_deliver'] b'1'",
        "['packets_to_send'] b'1'",
        "['packets_to_send'] b'1'",
        "True {'SocketMisuse 35'}",
    ]


@pytest.mark.parametrize("place", ["poll", "_acquire_restore", "get_ident"])
def test_an_interrupt_at_any_place_of_the_wait_leaves_the_network_of_use(place: str) -> None:
    """The exception comes after a call of C, as Python itself raises it."""
    found = lines(f"""
import threading, time
from packetlab.link import event_loop as module
client, conn = connected(a, b)
loop, place = b.loop, {place!r}
plain_lock = loop.lock
armed = []

class Interrupting:
    def __init__(self, whole):
        self.whole = whole
    def __getattr__(self, name):
        found = getattr(self.whole, name)
        if name != place:
            return found
        def interrupted(*given):
            now = bool(armed) and threading.current_thread() is threading.main_thread()
            result = found(*given) if place != "poll" or not now else []
            if now:
                armed.clear()
                raise KeyboardInterrupt
            return result
        return interrupted
    def __enter__(self):
        return self.whole.__enter__()
    def __exit__(self, *error):
        return self.whole.__exit__(*error)

loop.lock = Interrupting(loop.lock)
loop._poll = Interrupting(loop._poll)
module.threading = Interrupting(threading)
armed.append(1)
def wake():
    while armed:
        loop.poke()
        time.sleep(0.01)
try:
    threading.Thread(target=wake, daemon=True).start()
    conn.read()
except KeyboardInterrupt:
    print("interrupted")
print(loop._polling, len(loop._calls), len(loop._files), plain_lock._is_owned())
got = []
thread = threading.Thread(target=lambda: got.append(conn.read()))
conn.timeout = 10
thread.start()
client.write(b"after")
thread.join(20)
print(got, flush=True)
os._exit(0)
""")
    assert found == ["interrupted", "None 0 0 False", "[b'after']"]


def test_a_thread_does_not_wait_for_one_that_polls_no_more() -> None:
    found = lines("""
import threading, time
client, conn = connected(a, b)
conn.timeout = 10
got = []
def handler():
    thread = threading.Thread(target=lambda: got.append(conn.read()), daemon=True)
    client.write(b"for the thread")
    thread.start()
    thread.join(10)  # this computes, within the poll of its own thread
    return got
interrupted(handler, lambda: b.until(lambda: got))
""")
    assert found == ["handler: [b'for the thread']", "call: True"]


def test_a_turn_that_an_interrupt_ended_is_made_up_for() -> None:
    found = lines("""
import threading
client, conn = connected(a, b)
stack, armed = b.xns, [1]
plain = stack.poll
def poll(now):
    if armed and threading.current_thread() is threading.main_thread():
        armed.clear()
        raise KeyboardInterrupt
    plain(now)
stack.poll = poll
def later():
    while not b.loop._polling:
        pass
    client.write(b"x")
threading.Thread(target=later, daemon=True).start()
try:
    b.until(lambda: not armed)
except KeyboardInterrupt:
    print("interrupted")
armed.clear()
b.loop.run(0)
print(conn.read(), b.loop._work.owed)
a.until(lambda: not client._connection.sender.waiting, timeout=5)
print("confirmed", flush=True)
os._exit(0)
""")
    assert found == ["interrupted", "b'x' {}", "confirmed"]
