"""A host that another thread closes ends every wait for it with an error that says so."""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable

import pytest

from packetlab import LocalHost, XNSAddress
from packetlab.errors import SocketMisuse


@pytest.mark.parametrize("verb", ["exchange", "until"])
def test_a_wait_of_a_host_ends_when_the_host_is_closed(verb: str) -> None:
    waits, errors = threading.Event(), list[BaseException]()
    with LocalHost(mac="10:00:aa:00:00:01") as host:
        host.join(0x401, "udp", local=("127.0.0.1", 0), peer=("127.0.0.1", 9))

        def condition() -> bool:
            waits.set()
            return False

        calls: dict[str, Callable[[], object]] = {
            "exchange": lambda: host.exchange(XNSAddress(0x401, 0x99, 8), b"x", tries=1000, interval=60),
            "until": lambda: host.until(condition),
        }

        def run() -> None:
            try:
                calls[verb]()
            except BaseException as error:
                errors.append(error)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        if verb == "until":
            assert waits.wait(30)
        else:
            while not host.medium._polling and thread.is_alive():
                waits.wait(0.01)
        host.close()
        thread.join(30)
        assert not thread.is_alive()
    (error,) = errors
    assert isinstance(error, SocketMisuse) and error.errno == errno.EBADF and verb in str(error)
