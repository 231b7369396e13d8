"""Threads import and declare at once: each finds what it declared, whatever fails beside it."""

from __future__ import annotations

import random
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from packetlab import U8, U16, Ether, Header, bindings
from packetlab.declare import registry
from packetlab.errors import DeclareError


@contextmanager
def at_every_line(does: Callable[[], object]) -> Iterator[None]:
    """Do this between any two lines and calls of the registry, as another thread might."""
    before, busy = sys.gettrace(), False

    def trace(frame: object, event: str, arg: object) -> object:
        nonlocal busy
        if frame.f_code.co_filename == registry.__file__ and not busy:  # type: ignore[attr-defined]
            busy = True
            does()
            busy = False
        return trace

    sys.settrace(trace)  # type: ignore[arg-type]
    try:
        yield
    finally:
        sys.settrace(before)


def test_spaces_that_come_to_be_meanwhile_disturb_no_declaration_and_no_question() -> None:
    number = 0

    def look() -> None:
        nonlocal number
        number += 1
        if random.random() < 0.5:
            registry._spaces["test"] = registry.Space("test")
        else:
            registry._spaces.pop("test", None)

    random.seed(1)
    try:
        with bindings(), at_every_line(look):

            class Lower(Header, under=Ether, when={"type": 0x88B7}):
                kind: U8 = 0
                number: U16 = 0

            class Upper(Header, under=Lower, when={"kind": 1}):
                x: U8 = 0

            class Derived(Upper):
                y: U8 = 0

            registry.bind(Derived, Lower, {"kind": 2, "number": 3})
            assert registry.bindings_of(Upper._declaration) == [(Lower._declaration, {"kind": (1,)}, {})]
            assert registry.numeric_bindings(Upper._declaration) == [(Lower._declaration, {"kind": 1})]
            registry.unregister(Upper._declaration)
            assert registry.bindings_of(Upper._declaration) == []
    finally:
        registry._spaces.pop("test", None)
    assert number > 100


def test_a_declaration_that_fails_forgets_none_of_another_thread() -> None:
    with bindings():
        begun, made = threading.Event(), []

        def declare() -> None:
            begun.set()

            class Beside(Header, under=Ether, when={"type": 0x88B7}):
                x: U8 = 0

            made.append(Beside)

        thread = threading.Thread(target=declare)
        with pytest.raises(DeclareError), registry.all_or_none():
            thread.start()
            begun.wait()
            thread.join(0.2)  # time to do it meanwhile, if that is possible
            raise DeclareError("here", "this", "that")
        thread.join()
        assert made[0]._declaration in registry.declared()
        assert registry.bindings_of(made[0]._declaration) == [(Ether._declaration, {"type": (0x88B7,)}, {})]


def test_a_fork_waits_until_nobody_declares() -> None:
    """A child that had the lock in a thread which it has not would wait for ever at its first declaration."""
    script = """
        import os, signal, threading
        from packetlab import Header, U8, bindings
        from packetlab.declare import registry
        held, go = threading.Event(), threading.Event()
        def declare():
            with registry._lock:
                held.set()
                go.wait(60)
        thread = threading.Thread(target=declare)
        thread.start()
        held.wait()
        threading.Timer(0.2, go.set).start()
        child = os.fork()
        if not child:
            signal.alarm(30)
            with bindings():
                os._exit(7)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(script)], capture_output=True, text=True, timeout=60
    )
    assert (done.stdout, done.stderr) == ("7\n", "")
