"""A host that is closed, or whose lab is, ends the waits at all that was opened on it: ports, raw IP sockets, rings."""

from __future__ import annotations

import errno
import gc
import io
import sys
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from packetlab import Lab, LocalHost, RawIPSocket, record, replay, send
from packetlab.link.port import OpenedPorts
from tests.link.asleep import waiting
from tests.link.test_closing import FAR_APART, FRAME


def opened(host: Any) -> Any:
    return host.attachments[0].open(protocol=0x88B5)


def raw(host: Any) -> Any:
    return RawIPSocket(253, host)


WAITS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], object]]] = {
    "port": (opened, lambda port: port.receive(timeout=None)),
    "port with a timeout": (opened, lambda port: port.receive(timeout=3600)),
    "port, capture": (opened, lambda port: list(port.capture())),
    "port, ring": (opened, lambda port: list(port.ring(1 << 20).batches())),
    "port, record": (opened, lambda port: record(port, io.BytesIO())),
    "port, replay": (opened, lambda port: replay(FAR_APART, onto=port)),
    "port, send": (opened, lambda port: send([FRAME] * 10, port, rate=0.001)),
    "raw ip": (raw, lambda port: port.receive(timeout=None)),
    "raw ip, capture": (raw, lambda port: list(port.capture())),
}


def says_closed(error: object) -> None:
    assert isinstance(error, OSError) and error.errno == errno.EBADF and "closed" in str(error), repr(error)


@pytest.mark.parametrize("wait", WAITS)
def test_closing_a_lab_ends_waits_at_what_was_opened_on_its_hosts(wait: str) -> None:
    lab = Lab().open()
    a, b = lab.host("a"), lab.host("b")
    lab.link(a, b)
    make, call = WAITS[wait]
    port = make(b)
    says_closed(waiting(lambda: call(port), lab.close))


def on_this_machine() -> None:
    """Try all that with this machine as a host; it needs the capability CAP_NET_RAW."""
    for make, call in WAITS.values():
        host = LocalHost("lo", mac="02:00:00:00:00:07")
        port = make(host)
        says_closed(waiting(lambda call=call, port=port: call(port), host.close))
    with_the_ring_alone(LocalHost("lo", mac="02:00:00:00:00:07"))


def with_the_ring_alone(host: Any) -> None:
    """Try a ring whose port nobody else has."""

    def wait() -> None:
        with opened(host).ring(1 << 20) as ring:
            gc.collect()
            list(ring.batches())

    says_closed(waiting(wait, host.close))


@pytest.mark.slow
def test_closing_this_machine_as_a_host_ends_waits_at_what_was_opened_on_it(lab: Lab) -> None:
    """In a program on a virtual host, which may open raw sockets whoever runs the tests."""
    code = "from tests.link.test_closed_hosts import on_this_machine; on_this_machine(); print('all')"
    done = lab.host("a").run(sys.executable, "-c", code, timeout=120)
    assert (done.returncode, done.stdout) == (0, "all\n"), done.stderr


def test_a_port_that_nobody_has_is_let_go_and_one_that_is_opened_too_late_is_closed() -> None:
    with Lab() as lab:
        a, b = lab.host("a"), lab.host("b")
        lab.link(a, b)
        port = opened(b)
        port.close()
        reference = weakref.ref(port)
        del port
        gc.collect()
        assert reference() is None
        late = raw(b)
        ports = OpenedPorts()
        ports.close()
        ports.add(late)
        assert late in ports and late.fileno() < 0
