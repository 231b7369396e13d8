"""XNS over a network that has failed: what would wait for it in vain is refused with ENETDOWN, and the log says why."""

from __future__ import annotations

import errno
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from packetlab import Engine, LocalHost, XNSAddress
from packetlab.errors import SocketMisuse
from packetlab.link.event_loop import RealTime
from tests.link.queues import end_of, started
from tests.link.test_full_hosts import Silent

FAR = XNSAddress(5, 0x020000000009, 9)
CAUSE = "the hub closed the line"


def opened(host: LocalHost, kind: str) -> Any:
    return host.socket(kind, "xns")  # type: ignore[arg-type]


def listener(host: LocalHost, kind: str, number: int) -> Any:
    made = opened(host, kind)
    made.bind(number)
    made.listen()
    return made


WAITS: dict[str, Callable[[LocalHost], Callable[[], object]]] = {
    "datagram socket of here: read": lambda host: opened(host, "datagram").read,
    "raw socket of here: read": lambda host: opened(host, "raw").read,
    "stream socket of here: accept": lambda host: listener(host, "stream", 7).accept,
    "seqpacket socket of here: accept": lambda host: listener(host, "seqpacket", 8).accept,
    "websocket socket of here: accept": lambda host: listener(host, "websocket", 9).accept,
    "stream socket of here: connect": lambda host: lambda stream=opened(host, "stream"): stream.connect(FAR),
    "here: exchange with": lambda host: lambda: host.exchange(FAR, b"x", tries=1000),
}
CALLS: dict[str, Callable[[LocalHost], Callable[[], object]]] = {
    **WAITS,
    "datagram socket of here: write": lambda host: lambda made=opened(host, "datagram"): made.write(b"x", to=FAR),
}


@pytest.fixture
def joined():
    """A host on a hub, and what ends the hub."""
    with socket.create_server(("127.0.0.1", 0)) as hub, LocalHost(mac="02:00:00:00:00:01", loop=RealTime()) as host:
        host.join(5, "nethub", address=hub.getsockname()[:2])
        line, _ = hub.accept()
        with line:
            yield host, lambda: line.shutdown(socket.SHUT_WR), hub


def refused(error: object, where: str) -> None:
    assert isinstance(error, SocketMisuse) and error.errno == errno.ENETDOWN, repr(error)
    assert str(error).startswith(where) and "expected a network that is up, got one that has failed" in str(error)
    assert CAUSE in str(error) and "join() the network anew" in str(error)


@pytest.mark.parametrize("where", WAITS)
def test_a_wait_ends_when_the_network_fails(joined, where: str) -> None:
    host, fail, _ = joined
    waits = threading.Event()
    call = WAITS[where](host)
    step = host.loop.step

    def stepping(*given: Any) -> bool:
        waits.set()
        return step(*given)

    host.loop.step = stepping
    thread = started(call)
    assert waits.wait(30)
    fail()
    refused(end_of(*thread), where)


@pytest.mark.parametrize("where", CALLS)
def test_a_call_is_refused_once_the_network_has_failed(joined, where: str) -> None:
    host, fail, _ = joined
    call = CALLS[where](host)  # its socket is there already
    fail()
    host.until(lambda: not host.xns.ports, 30)
    refused(end_of(*started(call)), where)
    assert all("not sent" not in str(event) or CAUSE in str(event) for event in host.log)
    with pytest.raises(OSError, match="a host on an XNS network") as caught:
        host.socket("datagram", "xns")
    assert caught.value.errno == errno.ENETDOWN


def test_a_network_that_is_joined_anew_is_one(joined) -> None:
    host, fail, hub = joined
    sender = opened(host, "datagram")
    fail()
    host.until(lambda: not host.xns.ports, 30)
    host.join(5, "nethub", address=hub.getsockname()[:2])
    line, _ = hub.accept()
    with line:
        sender.write(b"again", to=FAR)
        assert line.recv(2000).endswith(b"again" + b"\0")
        sender.timeout = 0
        with pytest.raises(BlockingIOError):
            sender.read()


def test_what_an_endpoint_sends_by_itself_over_what_has_failed_is_logged_with_the_cause(joined) -> None:
    host, fail, _ = joined
    client = opened(host, "stream")
    client.connect(FAR, wait=False)  # it repeats itself
    fail()
    host.until(lambda: not host.xns.ports, 30)
    host.log.clear()
    host.until(lambda: any("not sent" in str(event) for event in host.log), 30)
    assert CAUSE in str(next(event for event in host.log if "not sent" in str(event)))
    client.abort()


def test_a_socket_whose_interface_goes_down_is_told(lab) -> None:
    a, b = lab.host("a"), lab.host("b")
    lab.link(a, b)
    with a.socket("datagram", "xns") as sender, b.socket("datagram", "xns") as reader:
        reader.bind(500)
        sender.write(b"one", to=b.at(500))
        assert reader.read() == b"one"
        thread = started(sender.read)
        a.run("ip", "link", "set", "eth0", "down", check=True)
        error = end_of(*thread)
        assert isinstance(error, SocketMisuse) and error.errno == errno.ENETDOWN and "eth0: Network is down" in str(error)
        with pytest.raises(SocketMisuse, match="datagram socket of a: write: expected a network that is up") as caught:
            sender.write(b"two", to=b.at(500))
        assert caught.value.errno == errno.ENETDOWN


def test_the_log_of_an_engine_says_that_its_interface_has_failed(lab) -> None:
    a, b = lab.host("a"), lab.host("b")
    lab.link(a, b)
    runner = a.attach(Engine())
    a.run("ip", "link", "set", "eth0", "down", check=True)
    a.until(lambda: runner.log, 30)
    assert "eth0: Network is down" in str(runner.log[-1]) and not runner.ports


def test_the_log_of_a_host_can_be_read_after_its_end() -> None:
    with Silent() as hub:
        writer = hub.host.socket("datagram", "xns")
        writer.timeout = 0
        with suppress(BlockingIOError):
            hub.write(writer)
        hub.host.xns.outgoing.send(writer._packet(b"waits", (0x401, 0x020000000009, 500), None, False), b"x" * 60, hub.host.xns.ports[0], 0)
        hub.host.close()
        assert "the host was closed" in str(hub.host.log[-1])
        with pytest.raises(SocketMisuse, match="what happened is in its log"):
            _ = hub.host.xns
    with LocalHost() as never:
        pass
    assert never.log == []
