"""A program that is closed by another thread ends every wait for it with an error that says so, and can be ended still."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable

import pytest

from packetlab import Lab, PacketlabError
from packetlab.errors import Stalled
from packetlab.link.lab.program import Program
from packetlab.testing import Programs
from tests.conftest import amount
from tests.link.asleep import signalled, waiting

WAITS: dict[str, Callable[[Program], object]] = {
    "communicate": lambda program: program.communicate(),
    "wait": lambda program: program.wait(),
    "until": lambda program: program.until(lambda: False),
    "read": lambda program: program.stdout.read(),
    "readline": lambda program: program.stderr.readline(),
    "end": lambda program: program.end(3600),
}
CLOSED = "expected an open program, got one that was closed"


def gone(program: Program, lab: Lab) -> bool:
    """Whether no process of a program is there any more, as the host's own ps has it."""
    for _ in range(200):
        if lab.host("a").run("sh", "-c", f"kill -0 {program.pid}").returncode:
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize("verb", WAITS)
def test_a_wait_ends_and_what_was_read_stays(lab: Lab, verb: str) -> None:
    for _ in range(amount(10, 10)):  # who sleeps again just before the last word of it would not be woken any more
        program = lab.host("a").popen("sh", "-c", "trap '' TERM; echo one; printf two; while :; do sleep 3600; done")
        program.until(lambda program=program: program.stdout.text == "one\ntwo", 60)
        error = waiting(lambda program=program: WAITS[verb](program), program.close)
        assert isinstance(error, OSError) and error.errno == errno.EBADF, repr(error)
        assert str(error).startswith(f"a: sh: {verb}: {CLOSED}"), error
        # It runs on, unless it was to end, and nobody says that it ended.
        assert program.returncode is None and "closed before its end" in repr(program) and program.closed
        assert program.stdout.text == "one\ntwo" and program.stdout.readline() == b"one\n"
        for wait in WAITS.values():
            with pytest.raises(OSError, match=CLOSED):
                wait(program)
        assert gone(program, lab)  # by end() alone, of all these
        program.close()  # again does no harm


def test_a_program_that_has_ended_is_known_whatever_is_closed(lab: Lab) -> None:
    program = lab.host("a").popen("sh", "-c", "echo out; echo err >&2; exit 3")
    assert program.wait(60) == 3
    program.close()
    assert program.communicate() == ("out\n", "err\n") and program.wait() == 3 and program.end() == 3
    assert program.stdout.read() == b"" and program.until(lambda: False) is False


def test_one_that_was_closed_ends_with_its_with_and_with_the_test(lab: Lab) -> None:
    with lab.host("a").popen("sleep", "3600") as program:
        program.close()
    assert gone(program, lab)
    with Programs() as programs:
        program = programs(lab.host("a"), "sleep", "3600")
        program.close()
        assert programs.shown() == [("sleep 3600 on a: closed before its end", "it wrote nothing")]
    assert gone(program, lab)


def test_threads_that_close_one_at_once_close_nothing_else(lab: Lab) -> None:
    program = lab.host("a").popen("sleep", "3600")
    errors: list[BaseException] = []

    def close() -> None:
        try:
            program.close()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=close) for _ in range(8)]
    for thread in threads:
        thread.start()
    kept = [os.pipe() for _ in range(20)]
    for thread in threads:
        thread.join(60)
    assert not errors
    for read, write in kept:
        os.close(read)
        os.close(write)
    program.kill()


@pytest.mark.parametrize("verb", WAITS)
def test_a_lab_that_is_closed_says_so_to_who_waits_for_a_program(verb: str) -> None:
    with Lab() as lab:
        program = lab.host("a").popen("sh", "-c", "trap '' TERM; echo set; while :; do sleep 3600; done")
        program.until(lambda: program.stdout.text == "set\n", 60)  # end() would end it before that
        error = waiting(lambda: WAITS[verb](program), lab.close)
    assert isinstance(error, Stalled) and "one that was closed" in str(error), repr(error)
    assert program.returncode == -9 and program.wait() == -9 and program.communicate() == ("set\n", "")


def test_a_request_to_a_lab_that_another_thread_or_a_handler_closes_says_so() -> None:
    lab = Lab().open()
    host = lab.host("a")

    def starts() -> None:
        while True:
            host.run("true")

    error = waiting(starts, lab.close)
    assert isinstance(error, PacketlabError) and "closed" in str(error), repr(error)
    for act, said in ((Lab.close, "got a closed one"), (lambda lab: lab.host("b"), "within it, as a signal's")):
        lab = Lab().open()
        lab._helper.send_signal(signal.SIGSTOP)  # its answer takes a while
        # The helper itself is the child of that process.
        children = subprocess.run(["ps", "-o", "pid=", "--ppid", f"{lab._helper.pid}"], capture_output=True, text=True)
        helper = int(children.stdout)
        os.kill(helper, signal.SIGSTOP)

        def handler(*_: object, act: Callable[[Lab], object] = act, helper: int = helper, lab: Lab = lab) -> None:
            os.kill(helper, signal.SIGCONT)
            lab._helper.send_signal(signal.SIGCONT)
            act(lab)

        with pytest.raises(PacketlabError, match=said), signalled(handler):
            lab.host("a")
        lab.close()
