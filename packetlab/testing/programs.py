"""Programs: real clients and servers under test in a lab's hosts, started, awaited, shown when a test fails, and ended.

Usable without pytest: ``with Programs() as program: server = program(host, "nginx", ready=80)``. Which packets go over
the wire is none of its business.
"""

from __future__ import annotations

import os
import re
import select
import shlex
import signal
import time
from collections.abc import Callable, Mapping
from typing import Any

from packetlab.capture import frame_matcher
from packetlab.engine.contract import nanoseconds
from packetlab.errors import Mismatch, PacketlabError, suggestion
from packetlab.escaping import printable
from packetlab.link.interface import Interface
from packetlab.link.lab.program import Output, Program
from packetlab.testing.sources import both_ways

LINES = 30  # of each output that a report shows
WIDE = 80  # characters of a command line in a message
GLANCE = 0.005  # seconds between looks at what cannot be waited for, the kernel's list of sockets
Ready = Callable[[], bool]


class Programs:
    """Starts programs, as ``programs(host, "command", "argument", ready=...)``; ends them with its `with`."""

    def __init__(self) -> None:
        self._started: list[tuple[Program, bool]] = []

    def __call__(
        self, host: object, *argv: object, ready: object = None, timeout: float = 10.0, input: str | bytes | None = None,
        env: Mapping[str, str | None] | None = None, cwd: str | os.PathLike[str] | None = None,
    ) -> Program:  # fmt: skip
        """Start a program in a host and return when it is ready.

        Args:
            host: of a lab. input, env, cwd: as in `Host.popen`; Python's output comes as it is written.
            ready: how that shows. A number: the TCP port it listens at; ("udp", 53): the port of a protocol; a text or
                a compiled pattern: a regular expression, found in what it writes; a header, a class of headers or a
                function of a packet: what comes or goes on the host's first link. None: it is, once started.
            timeout: seconds that it may take.

        A program that has shown itself ready is to run until the test has it end, or the test ends: see `check`.

        Raises:
            FileNotFoundError: there is no such program. PacketlabError: it ended before it was ready, with its status
            and its last lines. TimeoutError: it is not ready in time, with the same.
        """
        __tracebackhide__ = True
        if not hasattr(host, "popen"):
            raise PacketlabError("program", "a host of a lab", repr(host), "the fixture `lab` has them")
        nanoseconds(timeout, "program: timeout")
        watch = _watch(host, ready)
        try:
            program: Program = host.popen(*argv, input=input, env={"PYTHONUNBUFFERED": "1", **(env or {})}, cwd=cwd)
            self._started.append((program, ready is not None))
            if not _wait(program, watch, timeout):
                raise PacketlabError(f"program {_words(program)}", watch.what, f"{state(program)}\n{_tail(program)}")
        except TimeoutError:
            late = f"program {_words(program)}: expected {watch.what}, got none in {timeout:g} s\n{_tail(program)}"
            raise TimeoutError(late) from None
        finally:
            watch.close()
        return program

    def __enter__(self) -> Programs:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def check(self) -> None:
        """Raise `Mismatch` where a program that was ready has ended by itself, and nobody looked at its end."""
        __tracebackhide__ = True
        for program, serves in self._started:
            if serves and program.returncode is not None and not program.expected:
                hint = "where it is to end, have the test wait for it: wait(), end() or kill()"
                raise Mismatch(f"program {_words(program)}", "one that runs", state(program), hint)

    def end(self) -> None:
        """End those that still run, and those alone."""
        for program, _ in self._started:
            if program.returncode is None:
                program.kill() if program.closed else program.end()

    def shown(self) -> list[tuple[str, str]]:
        """Return what each has written last, as (title, text), for a report."""
        return [(f"{_words(program)}: {state(program)}", _tail(program)) for program, _ in self._started]


class _Watch:
    """Something that shows that a program is ready: `what` it is in words, `holds(program)`, and what to look at meanwhile."""

    def __init__(
        self, what: str, holds: Callable[[Program], bool], port: Interface | None = None, glance: float | None = None
    ):
        self.what, self.holds, self.port, self.glance = what, holds, port, glance

    def close(self) -> None:
        if self.port is not None:
            self.port.close()


def _watch(host: Any, ready: object) -> _Watch:
    if ready is None:
        return _Watch("its start", lambda program: True)
    if isinstance(ready, (str, re.Pattern)):
        pattern = re.compile(ready)

        def written(program: Program) -> bool:
            return any(pattern.search(output.text) for output in (program.stdout, program.stderr))

        return _Watch(f"{pattern.pattern!r} in its output", written)
    if isinstance(ready, (int, tuple)):
        protocol, port = ("tcp", ready) if isinstance(ready, int) else ready
        if protocol not in ("tcp", "udp"):
            hint = suggestion(str(protocol), ("tcp", "udp"))
            raise PacketlabError("program: ready", "('tcp', port) or ('udp', port)", repr(ready), hint)
        where = f"a socket at {protocol.upper()} port {port}"

        def listening(_: Program | None) -> bool:
            return any((one.protocol, one.port) == (protocol, port) for one in host.listening())

        if listening(None):
            raise PacketlabError(f"program on {host.name}: ready", f"{where} of its own", "one that was there before")
        return _Watch(where, listening, glance=GLANCE)
    fits, interface = frame_matcher(ready), both_ways(host, 0)

    def seen(_: Program) -> bool:
        return any(map(fits, interface._arriving(0.0)))

    return _Watch(f"a packet that matches {ready!r}", seen, interface)


def _wait(program: Program, watch: _Watch, timeout: float) -> bool:
    """Wait until the program is ready or has ended; return which. Whatever drives the lab's engines goes on meanwhile."""
    found = False

    def look() -> bool:
        nonlocal found
        found = found or watch.holds(program)
        return found

    deadline = time.monotonic() + timeout
    while True:
        left = max(0.0, deadline - time.monotonic())
        try:
            also = [(watch.port.fileno(), select.POLLIN)] if watch.port is not None else []
            return program.until(look, left if watch.glance is None else min(left, watch.glance), also)
        except TimeoutError:
            if time.monotonic() >= deadline:
                raise


def state(program: Program) -> str:
    """Return how a program fares, in words."""
    status = program.returncode
    if status is None:
        return "closed before its end" if program.closed else "running"
    if status >= 0:
        return f"its end with status {status}"
    try:
        return f"its end by {signal.Signals(-status).name}"
    except ValueError:
        return f"its end by signal {-status}"


def _words(program: Program) -> str:
    line = printable(shlex.join(program.argv))
    return f"{line if len(line) <= WIDE else line[: WIDE - 3] + '...'} on {program.host.name}"


def _tail(program: Program) -> str:
    parts = []
    for name, output in (("stdout", program.stdout), ("stderr", program.stderr)):
        lines = _lines(output)
        if lines:
            parts += [f"{name}:", *(f"  {line}" for line in lines)]
    return "\n".join(parts) or "it wrote nothing"


def _lines(output: Output) -> list[str]:
    lines = [printable(line) for line in output.text.splitlines()]
    left = len(lines) - LINES
    return [f"... {left} lines before", *lines[-LINES:]] if left > 0 or output.dropped else lines
