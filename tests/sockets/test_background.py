"""Sockets that live while the program computes, as the kernel's do; and what must not follow from the thread that does it."""

from __future__ import annotations

import errno
import gc
import os
import select
import socket as kernel
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from typing import Any

import pytest

from packetlab import LocalHost, SimNetwork, Timing
from packetlab.link.event_loop import RealTime

PATIENCE = 60.0  # seconds until a wait that should have ended is called a hang
HERE = ".".join(map(str, (127, *(os.getpid() + (1 << 16)).to_bytes(3, "big"))))
"""An address of this machine for the tests of this process alone: no other's takes a port that was found to be free."""


def threads(*hosts: LocalHost) -> list[threading.Thread]:
    """Return the threads that serve these hosts. Those of earlier tests may be there still, and end at any moment."""
    loops = [host.loop for host in hosts]
    return [
        thread
        for thread in threading.enumerate()
        if thread.name == "packetlab sockets"
        if (serving := getattr(getattr(thread, "_target", None), "__self__", None)) is not None and serving._loop() in loops
    ]


def ended(found: list[threading.Thread]) -> bool:
    for thread in found:
        thread.join(PATIENCE)
    return not any(thread.is_alive() for thread in found)


def free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(kernel.socket(kernel.AF_INET, kernel.SOCK_DGRAM)) for _ in range(count)]
        for sock in sockets:
            sock.bind((HERE, 0))
        return [sock.getsockname()[1] for sock in sockets]


def host(number: int, local: int, peer: int, loop: RealTime | None = None, timing: Timing | None = None) -> LocalHost:
    made = LocalHost(mac=f"02:00:00:00:00:{number:02x}", name=f"h{number}", loop=loop or RealTime())
    made.join(0x401, "udp", local=(HERE, local), peer=(HERE, peer))
    if timing is not None:
        made.timing = timing
    return made


def pair(timing: Timing | None = None) -> tuple[LocalHost, LocalHost]:
    """Two hosts that have nothing in common but the wire: what one waits for, the other's calls do not drive."""
    a, b = free_ports(2)
    return host(1, a, b, timing=timing), host(2, b, a, timing=timing)


@pytest.fixture
def hosts() -> Iterator[tuple[LocalHost, LocalHost]]:
    a, b = pair()
    with a, b:
        yield a, b
    assert ended(threads(a, b))


def connected(a: LocalHost, b: LocalHost) -> tuple[Any, Any]:
    server = b.socket("seqpacket", "xns")
    server.bind(7)
    server.listen()
    client = a.socket("seqpacket", "xns")
    client.connect(b.at(7))
    client.timeout = server.timeout = PATIENCE
    conn = server.accept()
    server.close()
    return client, conn


# A peer in another process: takes what comes and says when, the end included.
PEER = """
import sys, time
from packetlab import LocalHost, Timing
host = LocalHost(mac="02:00:00:00:00:02")
host.timing = Timing(keep_alive=1, give_up=3)
host.join(0x401, "udp", local=(sys.argv[3], int(sys.argv[1])), peer=(sys.argv[3], int(sys.argv[2])))
server = host.socket("seqpacket", "xns")
server.timeout = 30
server.bind(7)
server.listen()
print("ready", flush=True)
conn = server.accept()
try:
    while data := conn.read():
        print(data.decode(), flush=True)
        if data == b"compute":
            until = time.monotonic() + 4
            while time.monotonic() < until:
                pass
            conn.write(b"done")
    print("end", flush=True)
except OSError as error:
    print(repr(error), flush=True)
"""


@pytest.fixture
def peer() -> Iterator[tuple[LocalHost, Any]]:
    """A host, and what a peer in another process prints."""
    theirs, ours = free_ports(2)
    with (
        subprocess.Popen(
            [sys.executable, "-c", PEER, str(theirs), str(ours), HERE], stdout=subprocess.PIPE, text=True
        ) as process,
        host(1, ours, theirs, timing=Timing(keep_alive=1, give_up=3)) as made,
    ):
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield made, process.stdout
        process.kill()


def client_of(made: LocalHost) -> Any:
    client = made.socket("seqpacket", "xns")
    client.timeout = PATIENCE
    client.connect((0x401, 0x020000000002, 7))
    return client


@pytest.mark.slow
def test_what_was_written_leaves_while_the_program_does_something_else(peer) -> None:
    made, printed = peer
    client = client_of(made)
    words = [f"word {number}" for number in range(30)]
    for word in words:
        client.write(word)
    # The program waits for the other process in a way of its own, and calls nothing of ours.
    assert [printed.readline().strip() for _ in words] == words
    client.write("after a pause")
    assert printed.readline().strip() == "after a pause"
    client.close()
    assert printed.readline().strip() == "end"


@pytest.mark.slow
def test_a_quiet_connection_outlives_programs_that_compute_longer_than_a_peer_is_silent(peer) -> None:
    made, printed = peer
    client = client_of(made)
    client.write("one")
    until = time.monotonic() + 4  # give_up is 3 s
    while time.monotonic() < until:
        pass
    client.write("compute")  # and now the other one does
    assert client.read() == b"done"
    assert [printed.readline().strip() for _ in range(2)] == ["one", "compute"]
    client.close()
    assert printed.readline().strip() == "end"


def test_a_reader_that_is_slow_gets_all_without_being_driven(hosts) -> None:
    a, b = hosts
    client, conn = connected(a, b)
    for number in range(40):  # more than a window
        client.write(b"%d" % number)
    assert [conn.read() for _ in range(40)] == [b"%d" % number for number in range(40)]


@pytest.mark.parametrize("family", ["xns", "inet"])
def test_a_websocket_answers_pings_and_sends_the_rest_while_its_program_computes(hosts, family) -> None:
    a, b = hosts
    server = b.socket("websocket", family)
    server.bind(7 if family == "xns" else ("127.0.0.1", 0))
    server.listen()
    client = a.socket("websocket", family)
    client.timeout = server.timeout = PATIENCE
    client.connect(b.at(7) if family == "xns" else server.address)  # b is in no call: its background shakes hands
    conn = server.accept()
    assert client.ping(b"there?") >= 0
    conn.write(b"x" * 500_000)  # far more than fits on the way
    assert len(client.read()) == 500_000
    client.abort()
    conn.abort()
    server.close()


def test_requests_are_answered_and_what_goes_wrong_there_is_raised_by_the_next_call(hosts) -> None:
    a, b = hosts
    b.answer(8, lambda data: data[::-1] if data != b"fail" else 1 // 0)  # type: ignore[return-value]
    assert a.exchange(b.at(8), b"abc") == b"cba"
    with pytest.raises(TimeoutError):
        a.exchange(b.at(8), b"fail", tries=1)
    with pytest.raises(ZeroDivisionError):
        b.socket("datagram", "xns").bind(9)
        b.loop.run(0)
    assert a.exchange(b.at(8), b"again") == b"niaga"


def until_it_waits(made: LocalHost) -> None:
    while not made.loop._polling:
        time.sleep(0.001)


@pytest.mark.slow
def test_whoever_waits_drives_what_another_thread_begins_meanwhile(hosts) -> None:
    a, b = hosts
    client, conn = connected(a, b)
    waiter = threading.Thread(target=conn.read, daemon=True)
    waiter.start()
    until_it_waits(b)
    server = b.socket("websocket", "inet")
    server.bind(("127.0.0.1", 0))
    server.listen()
    guest = a.socket("websocket", "inet")
    guest.timeout = server.timeout = PATIENCE
    guest.connect(server.address)  # the thread that waits at b shakes hands
    answer = server.accept()
    answer.write(b"x" * 900_000)  # and sends on what did not fit at once
    assert len(guest.read()) == 900_000
    client.write(b"done")
    waiter.join(PATIENCE)
    for sock in (guest, answer, server):
        sock.abort()


@pytest.mark.parametrize("family", ["inet", "xns"])
def test_what_was_left_of_a_write_goes_on_from_the_deepest_rest(hosts, family) -> None:
    a, b = hosts
    server = b.socket("websocket", family)
    server.bind(7 if family == "xns" else ("127.0.0.1", 0))
    server.listen()
    client = a.socket("websocket", family)
    client.timeout = server.timeout = PATIENCE
    client.connect(b.at(7) if family == "xns" else server.address)
    conn = server.accept()
    while not b.loop.background._resting:
        time.sleep(0.001)
    conn.write(bytes(900_000))
    assert len(client.read()) == 900_000
    for sock in (client, conn, server):
        sock.abort()


# Threads ------------------------------------------------------------------------------------------------------


def test_there_is_one_thread_a_medium_while_it_has_something_to_serve() -> None:
    a, b = pair()
    c = host(3, *free_ports(2), loop=b.loop)
    (of_a,), (of_b,) = threads(a), threads(b, c)
    a.close()
    c.close()
    assert ended([of_a]) and threads(b) == [of_b]
    b.close()
    assert ended([of_b]) and threads(a, b, c) == []
    with LocalHost(loop=RealTime()) as plain, plain.socket("datagram", "inet") as sock:
        sock.bind(("127.0.0.1", 0))
        assert threads(plain) == []  # the kernel serves its own


def test_a_medium_that_nobody_has_any_more_takes_its_thread_along() -> None:
    made = host(1, *free_ports(2))
    (serving,) = threads(made)
    made._stack.ports[0].close()
    del made
    gc.collect()
    assert ended([serving])


def test_virtual_time_has_no_thread() -> None:
    before = {*threading.enumerate()}
    net = SimNetwork()
    a, b = net.host("a"), net.host("b")
    net.link(a, b)
    client, conn = connected(a, b)
    client.write(b"x")
    assert conn.read() == b"x"
    assert {*threading.enumerate()} <= before  # those of earlier tests may end meanwhile


@pytest.mark.slow
def test_many_media_and_many_threads_do_not_wait_for_each_other() -> None:
    with ExitStack() as stack:
        pairs = [pair() for _ in range(6)]
        ends = [connected(*(stack.enter_context(each) for each in both)) for both in pairs]

        def write(client: Any) -> None:
            for number in range(100):
                client.write(b"%d" % number)

        writers = [threading.Thread(target=write, args=[client]) for client, _ in ends for _ in range(2)]
        for writer in writers:
            writer.start()
        for _, conn in ends:
            assert sorted(int(conn.read()) for _ in range(200)) == sorted([*range(100), *range(100)])
        for writer in writers:
            writer.join(PATIENCE)
        assert not any(writer.is_alive() for writer in writers)
    assert ended(threads(*(each for both in pairs for each in both)))


# Forks and the end --------------------------------------------------------------------------------------------


def in_child(what: Any) -> str:
    """Return what a function says in a forked child."""
    read, write = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", DeprecationWarning
        )  # Python 3.12 warns of forks beside threads, such as a test's
        pid = os.fork()
    if not pid:
        with suppress(BaseException):
            try:
                said = what()
            except BaseException as error:
                said = repr(error)
            os.write(write, str(said).encode())
        os._exit(0)
    os.close(write)
    try:
        assert select.select([read], [], [], PATIENCE)[0], "the child hangs"
        return os.read(read, 65536).decode()
    finally:
        os.close(read)
        os.waitpid(pid, 0)


def test_a_forked_child_has_nothing_of_its_parents_connections_and_may_have_its_own(hosts) -> None:
    a, b = hosts
    client, conn = connected(a, b)
    conn.write(b"for the parent")

    def child() -> str:
        found = [str(len(threads(a, b)))]
        for call in (client.read, lambda: client.write(b"x"), lambda: a.socket("datagram", "xns").bind(0)):
            try:
                found.append(f"{call()}")
            except OSError as error:
                found.append(errno.errorcode[error.errno or 0])
        client.close()
        a.close()
        with a.loop.lock:
            found.append(str(len(a.loop.drivers)))
        mine, other = pair()
        ours, theirs = connected(mine, other)
        ours.write(b"own")
        found.append(theirs.read().decode())
        return " ".join(found)

    assert in_child(child) == "0 EBADF EBADF ENETDOWN 0 own"
    assert client.read() == b"for the parent"
    client.write(b"as ever")
    assert conn.read() == b"as ever"


def test_a_child_may_go_on_with_a_socket_of_the_kernel() -> None:
    with LocalHost() as here, here.socket("stream", "inet") as server:
        server.timeout = PATIENCE
        server.bind(("127.0.0.1", 0))
        server.listen()
        with kernel.create_connection(server.address) as client:
            client.sendall(b"hello")
            assert in_child(lambda: server.accept().read().decode()) == "hello"


@pytest.mark.slow
def test_forks_in_the_middle_of_everything_neither_hang_nor_harm(hosts) -> None:
    a, b = hosts
    client, conn = connected(a, b)
    writer = threading.Thread(target=lambda: [client.write(b"%d" % number) for number in range(300)])
    writer.start()
    for _ in range(10):
        assert in_child(lambda: "fine") == "fine"
    assert [conn.read() for _ in range(300)] == [b"%d" % number for number in range(300)]
    writer.join(PATIENCE)


@pytest.mark.slow
@pytest.mark.parametrize(
    "last",
    [
        "",
        "raise SystemExit(3)",
        "client.write(b'x' * 500)",
        "import threading; threading.Thread(target=conn.read, daemon=True).start()",
    ],
)
def test_a_program_that_ends_with_sockets_open_just_ends(last) -> None:
    a, b = free_ports(2)
    script = f"""
from packetlab import LocalHost
from packetlab.link.event_loop import RealTime
a, b = (LocalHost(mac=mac, loop=RealTime()) for mac in ("02:00:00:00:00:01", "02:00:00:00:00:02"))
a.join(0x401, "udp", local=("{HERE}", {a}), peer=("{HERE}", {b}))
b.join(0x401, "udp", local=("{HERE}", {b}), peer=("{HERE}", {a}))
server, client = b.socket("seqpacket", "xns"), a.socket("seqpacket", "xns")
server.bind(7); server.listen(); client.connect(b.at(7)); conn = server.accept()
for _ in range(20): client.write(b"unread")
{last}
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=PATIENCE)
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 3 if "Exit" in last else 0)


# What has come is taken before any timer ends -----------------------------------------------------------------


class Waiting:
    """A driver with a port and a timer; it keeps account of what came first."""

    served = False

    def __init__(self, loop: RealTime) -> None:
        self.seen: list[str] = []
        self.due: int | None = loop.now - 1
        self.line, self.far = kernel.socketpair(kernel.AF_UNIX, kernel.SOCK_DGRAM)
        self.name, self.mask, self.ports = "waiting", select.POLLIN, [self]

    def fileno(self) -> int:
        return self.line.fileno()

    def take(self, *args: Any) -> Any:  # of the port, and of the driver
        if args:
            return self.seen.append("input")
        taken = []
        with suppress(BlockingIOError):
            while len(taken) < 512:
                taken.append(self.line.recv(10, kernel.MSG_DONTWAIT))
        return taken

    def poll(self, now: int) -> None:
        if self.due is not None and self.due <= now:
            self.seen.append("timer")
            self.due = None

    def failed(self, port: Any, error: OSError) -> None:
        raise error

    def close(self) -> None:
        self.line.close()
        self.far.close()


@pytest.mark.parametrize("frames", [1, 3])
@pytest.mark.parametrize(
    "call",
    [
        lambda loop, driver: loop.poll(),
        lambda loop, driver: loop.poll(driver),
        lambda loop, driver: loop.run(0),
        lambda loop, driver: loop.step(loop.now, "x"),
        lambda loop, driver: loop.wait(lambda: driver.due is None or None, "x", 5),
        lambda loop, driver: loop.serve(),
    ],
    ids=["turn of all", "turn of one", "run", "step", "wait", "background"],
)
@pytest.mark.parametrize("others", [0, 1])
def test_input_that_waits_is_taken_before_a_timer_fires(call, frames, others) -> None:
    loop = RealTime()
    drivers = [Waiting(loop) for _ in range(1 + others)]
    driver = drivers[0]
    try:
        for each in drivers:
            each.served = call.__code__.co_names[-1] == "serve"
            loop.drivers.append(each)
            for _ in range(frames):
                each.far.send(b"x")
        if driver.served:
            loop.asleep()
        call(loop, driver)
        for each in drivers:
            if each is driver or each.seen:
                assert each.seen == ["input"] * frames + ["timer"]
    finally:
        loop.drivers.clear()
        for each in drivers:
            each.close()


class StoppedClock(RealTime):
    """Time that passes by hand."""

    clock = 10**18

    @property
    def now(self) -> int:
        return self.clock


class StoodStill:
    """What an event loop polls by, as it looks to a thread that stands still between the kernel's answer and what it does then.

    The first answer is stale: nothing had come then. Meanwhile 2.5 seconds pass, and something may come.
    """

    def __init__(self, loop: StoppedClock, meanwhile: Any = lambda: None) -> None:
        self.whole, self.loop, self.meanwhile, self.calls = loop._poll, loop, meanwhile, 0
        loop._poll = self

    def poll(self, wait: float | None = None, *most: int) -> list[tuple[int, int]]:
        self.calls += 1
        if self.calls > 1:
            return self.whole.poll(0, *most)
        self.loop.clock += 2_500_000_000
        self.meanwhile()
        return []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.whole, name)


@pytest.fixture
def stood_still() -> Iterator[tuple[StoppedClock, Waiting, StoodStill]]:
    loop = StoppedClock()
    driver = Waiting(loop)
    driver.due = loop.now + 1_000_000_000
    loop.drivers.append(driver)
    yield loop, driver, StoodStill(loop, lambda: driver.far.send(b"x"))
    loop.drivers.clear()
    driver.close()


@pytest.mark.parametrize("call", ["run", "step", "wait", "background"])
def test_a_thread_that_stood_still_takes_what_came_meanwhile_before_a_timer_fires(stood_still, call) -> None:
    loop, driver, _ = stood_still
    if call == "run":
        loop.run(2)
    elif call == "step":
        loop.step(None, "x")
    elif call == "wait":
        loop.wait(lambda: driver.due is None or None, "x", 5)
    else:
        driver.served = True
        loop.serve()
    assert driver.seen == ["input", "timer"]


@pytest.mark.parametrize("due", [None, 10**18 + 1_000_000_000])
def test_a_thread_that_stood_still_looks_once_more_before_its_time_is_over(stood_still, due) -> None:
    loop, driver, _ = stood_still
    driver.due = due
    assert loop.wait(lambda: "input" in driver.seen or None, "x", 1)


def test_a_timer_fires_only_if_it_was_due_when_the_kernel_was_last_asked(stood_still) -> None:
    """One that becomes due while input is handled has its turn after another look at the ports."""
    loop, driver, _ = stood_still
    other = Waiting(loop)
    other.due = loop.now + 3_000_000_000
    loop.drivers.append(other)
    taking = driver.take

    def take(*args: Any) -> Any:
        if args and args[0] is driver:
            loop.clock += 1_000_000_000
            other.far.send(b"late")
        return taking(*args)

    driver.take = take  # type: ignore[method-assign]
    loop.run(2)
    assert other.seen == []
    loop.poll()
    assert (driver.seen, other.seen) == (["input", "timer"], ["input", "timer"])
    other.close()


def test_a_driver_is_given_no_time_at_which_more_is_due_than_was_when_input_was_taken(stood_still) -> None:
    loop, driver, _ = stood_still
    times: list[int] = []
    first = driver.due

    def poll(now: int) -> None:
        times.append(now)
        driver.due = None if driver.due is None or driver.due <= now else driver.due
        loop.clock += 5_000_000_000  # as long as it takes, nothing else of it is due before input is taken

    driver.poll = poll  # type: ignore[method-assign]
    loop.followers.append(lambda: loop.drive(driver))
    driver.due = None
    loop.step(loop.now, "x")
    assert times == sorted(times)
    driver.due = first = loop.now + 1
    del times[:]
    loop.clock += 7
    loop.drive(driver)
    assert times == [first - 1]  # input was last taken before
    loop.poll(driver)
    assert times[1] >= first


def test_input_without_end_holds_up_no_timer(stood_still) -> None:
    loop, driver, _ = stood_still
    taken = 0

    def take(*args: Any) -> Any:
        nonlocal taken
        taken += bool(args)
        return None if args else [b"x"] * 512

    driver.take = take  # type: ignore[method-assign]
    loop.run(2)
    assert driver.seen == ["timer"]
    assert taken <= 512 * 40


def test_where_no_timer_is_due_the_kernel_is_asked_once(stood_still) -> None:
    loop, driver, still = stood_still
    driver.due, still.calls = None, 1
    driver.far.send(b"x")
    loop.step(None, "x")
    assert (driver.seen, still.calls) == (["input"], 2)


@pytest.mark.parametrize("timing", [None, Timing(keep_alive=0.5, give_up=1.5)], ids=["usual", "impatient"])
@pytest.mark.parametrize("timeout", [None, 1])
def test_an_answer_that_came_while_the_thread_stood_still_is_none_too_late(timing, timeout) -> None:
    """Neither repeats the packet, nor gives up the connection, nor ends the call."""
    loop, (here, there) = StoppedClock(), free_ports(2)
    loop.background.start = lambda: None  # type: ignore[method-assign]
    with host(1, here, there, loop, timing) as a, host(2, there, here) as b:
        client, conn = connected(a, b)
        client.write(b"first")
        assert conn.read() == b"first"
        conn.write(b"first answer")
        assert client.read() == b"first answer"
        sent: list[bytes] = []
        port = a.xns.ports[0]
        sending = port._put
        port._put = lambda data, gone: (sent.append(data), sending(data, gone))[1]  # type: ignore[method-assign]
        client.timeout = timeout
        client.write(b"question")
        assert conn.read() == b"question"
        conn.write(b"answer")
        StoodStill(loop)
        assert client.read() == b"answer"
        assert sum(b"question" in data for data in sent) == 1
        client.write(b"more")
        assert conn.read() == b"more"
        client.abort()
        conn.abort()


# A close in another thread ------------------------------------------------------------------------------------


def waits() -> Iterator[tuple[str, str, str]]:
    for kind in ("seqpacket", "stream", "websocket"):
        for verb in ("accept", "read"):
            yield "xns", kind, verb
    for kind, verb in (
        ("datagram", "read"),
        ("datagram", "read_packet"),
        ("raw", "read"),
        ("seqpacket", "read_attention"),
    ):
        yield "xns", kind, verb
    for kind, verb in (
        ("stream", "accept"),
        ("stream", "read"),
        ("datagram", "read"),
        ("websocket", "accept"),
        ("websocket", "read"),
    ):
        yield "inet", kind, verb


def socket_of(stack: ExitStack, a: LocalHost, b: LocalHost, family: str, kind: str, verb: str) -> Any:
    """Return a socket of b at which `verb` has to wait."""
    address: Any = 7 if family == "xns" else ("127.0.0.1", 0)
    if kind in ("datagram", "raw"):
        sock = b.socket(kind, family)
        if kind == "datagram":
            sock.bind(address)
        return sock
    server = b.socket(kind, family)
    server.bind(address)
    server.listen()
    if verb == "accept":
        return server
    client = a.socket(kind, family)
    client.connect(b.at(7) if family == "xns" else server.address)
    stack.callback(server.abort)
    stack.callback(client.abort)
    return server.accept()


def in_thread(loop: RealTime, call: Any) -> tuple[threading.Thread, list[BaseException]]:
    """Make a call that waits in another thread; return that, and where its error will be."""
    caught: list[BaseException] = []

    def wait() -> None:
        try:
            call()
        except BaseException as error:
            caught.append(error)

    waiter = threading.Thread(target=wait, daemon=True)
    waiter.start()
    while not loop._calls:
        time.sleep(0.001)
    return waiter, caught


@pytest.mark.slow
@pytest.mark.parametrize("how", ["close", "abort"])
@pytest.mark.parametrize(("family", "kind", "verb"), list(waits()))
def test_a_close_in_another_thread_ends_the_wait(hosts, family, kind, verb, how) -> None:
    a, b = hosts
    with ExitStack() as stack:
        sock = socket_of(stack, a, b, family, kind, verb)
        waiter, caught = in_thread(b.loop, getattr(sock, verb))
        sock.timeout = 10
        getattr(sock, how)()
        waiter.join(PATIENCE)
        assert not waiter.is_alive()
        (error,) = caught
        assert isinstance(error, OSError) and error.errno == errno.EBADF and "was closed" in str(error)
