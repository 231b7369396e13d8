"""A forked child has no say in its parent's lab: what it wants of it is refused, and nothing that it does harms the parent."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable

import pytest

from packetlab import Lab
from packetlab.link.lab.program import Program
from tests.link.asleep import signalled
from tests.link.forks import PARENTS, PATIENCE, forked_in_c, in_child, refusals

pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")


@pytest.fixture
def echo():
    """Return a command that says nothing until it is given a line, its input, and what gives it one.

    While C code forks nothing is to come from programs: a thread that took it might wait for Python's lock just then, and the
    child would have the lock as if it still waited.
    """
    read, write = os.pipe()
    yield ("sh", "-c", "echo 1; while read line; do echo $line; done"), read, lambda: os.write(write, b"more\n")
    os.close(read)
    os.close(write)


@pytest.fixture
def own():
    """Return a lab of the test's own, with an impaired link."""
    with Lab() as lab:
        lab.link(lab.host("a"), lab.host("b"), delay=0)
        yield lab


@pytest.mark.parametrize("fork", [os.fork, forked_in_c])
def test_what_a_child_wants_of_its_parents_lab_is_refused(own, fork) -> None:
    a, b = own.host("a"), own.host("b")
    (link,) = own.links

    def child() -> str:
        return refusals(
            lambda: a.run("true"), lambda: a.popen("true"), lambda: own.host("new"), lambda: own.switch("new"),
            lambda: own.link(a, b), lambda: link.change(loss=0.5), link.heal, a.kernel_socket, a.listening,
            a.unanswered_address, a.attachments[0].open, lambda: a.socket("stream", "inet"), own.open,
        )  # fmt: skip

    assert in_child(child, fork) == "refused"
    assert a.run("echo", "as ever", timeout=PATIENCE).stdout == "as ever\n"


@pytest.mark.slow
def test_a_child_and_its_parent_that_call_at_once_do_not_take_each_others_answers(own) -> None:
    """They hung, both of them, after some dozen calls."""
    a, answers = own.host("a"), list[str]()

    def asks() -> None:
        answers.extend(a.run("echo", f"{number}").stdout for number in range(60))

    thread = threading.Thread(target=asks, daemon=True)

    def child() -> str:
        return "\n".join({refusals(lambda: a.run("true", timeout=5)) for _ in range(60)})

    thread.start()
    assert in_child(child) == "refused"
    thread.join(PATIENCE)
    assert answers == [f"{number}\n" for number in range(60)]


@pytest.mark.parametrize("fork", [os.fork, forked_in_c])
@pytest.mark.parametrize("how", ["close", "with", "lose"])
def test_a_child_that_closes_its_parents_lab_does_no_harm(own, echo, fork, how) -> None:
    a, (link,), (command, stdin, give) = own.host("a"), own.links, echo
    program = a.popen(*command, stdin=stdin)
    program.stdout.readline(PATIENCE)

    def child() -> str:
        if how == "with":
            with own:
                raise AssertionError("a lab of the parent's is not to be opened")
        if how == "close":
            own.close()
        else:
            own.__exit__(None, None, None)
        with Lab() as mine:
            return mine.host("a").run("echo", "own").stdout + repr(own.trouble())

    said = in_child(child, fork)
    assert said == "own\nNone" if how != "with" else PARENTS in said
    give()
    program.until(lambda: program.stdout.text == "1\nmore\n", PATIENCE)
    assert program.returncode is None
    link.change(delay=0.001)
    ran = a.run("ping", "-c", "1", "-W", "20", str(own.host("b").address), timeout=PATIENCE)
    assert "1 received" in ran.stdout and own.trouble() is None
    assert a.popen("sh", "-c", "echo more").stdout.read(PATIENCE) == b"more\n"


def test_a_lab_can_be_closed_while_a_child_lives() -> None:
    """The child has the sockets to its helpers open, too."""
    lab = Lab().open()
    lab.link(lab.host("a"), lab.host("b"), delay=0)
    child = os.fork()
    if child == 0:
        signal.alarm(PATIENCE * 4)
        signal.pause()
        os._exit(0)
    closing = threading.Thread(target=lab.close, daemon=True)
    try:
        closing.start()
        closing.join(PATIENCE)
        assert not closing.is_alive()
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


WAITS: dict[str, Callable[[Program], object]] = {
    "wait": lambda program: program.wait(),
    "wait in time": lambda program: program.wait(0.01),  # which ended the parent's program
    "communicate": lambda program: program.communicate(0.01),
    "readline": lambda program: program.stdout.readline(),
    "read": lambda program: program.stderr.read(5),
    "until": lambda program: program.until(lambda: False),
    "kill": lambda program: program.kill(),
    "end": lambda program: program.end(0.01),
}


@pytest.mark.parametrize("fork", [os.fork, forked_in_c])
def test_a_wait_for_a_program_of_the_parent_is_refused_and_the_program_goes_on(lab, echo, fork) -> None:
    command, stdin, give = echo
    program = lab.host("a").popen(*command, stdin=stdin)
    assert program.stdout.readline(PATIENCE) == b"1\n"

    def child() -> str:
        program.stdout._take(None)  # what had come by now can be read there, too
        said = refusals(*(lambda wait=wait: wait(program) for wait in WAITS.values()))
        with program:
            pass
        program.close()
        return f"{said} {program.closed} {program.stdout.text[:2]!r} {program!r}"

    assert in_child(child, fork) == f"refused True {'1' + chr(10)!r} <Program sh on a, of the process that forked this one>"
    give()
    program.until(lambda: program.stdout.text == "1\nmore\n", PATIENCE)
    assert program.returncode is None
    assert program.end() < 0


@pytest.mark.parametrize("fork", [os.fork, forked_in_c])
def test_a_child_reads_what_came_while_the_thread_that_reads_was_taking_more(lab, fork) -> None:
    """It waited for a thread that is not there."""
    program = lab.host("a").popen("sh", "-c", "echo 1; sleep 1000")
    assert program.stdout.readline(PATIENCE) == b"1\n"
    held, over = threading.Event(), threading.Event()

    def taking() -> None:
        with program.stdout._lock:
            held.set()
            over.wait(PATIENCE * 2)

    thread = threading.Thread(target=taking, daemon=True)
    thread.start()
    held.wait(PATIENCE)
    try:
        assert in_child(lambda: f"{program.stdout.text!r} {program.stderr._take(None)!r}", fork) == r"'1\n' b''"
    finally:
        over.set()
        thread.join()
    assert program.end() < 0


def test_a_child_does_not_keep_the_input_of_a_program_open(lab) -> None:
    """Else the program waits for its end as long as the child lives."""
    program = lab.host("a").popen("sh", "-c", "sleep 0.3; wc -c", input=b"x" * 300_000, keep=None)
    child = os.fork()
    if child == 0:
        signal.alarm(PATIENCE * 4)
        signal.pause()
        os._exit(0)
    try:
        assert program.communicate(PATIENCE) == ("300000\n", "")
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_a_child_forked_by_a_handler_within_a_wait_leaves_it(lab) -> None:
    read, write = os.pipe()
    program, said = lab.host("a").popen("sh", "-c", "read line; echo done", stdin=read), list[str]()

    def fork(*_: object) -> None:
        said.append(in_child(lambda: refusals(lambda: program.wait())))
        os.write(write, b"end\n")

    with signalled(fork):
        assert program.wait(PATIENCE) == 0
    os.close(read)
    os.close(write)
    assert said == ["refused"]
