"""A replay whose source waits for the next frame: `stop` ends it with its report, and the end of its port with an error."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from packetlab import Capture, Frame, Lab, Writer, memory_wire, replay, send
from packetlab.link.replay.replay_sides import replay_sides
from tests.link.asleep import waiting
from tests.link.test_closing import FRAME

WAYS: dict[str, Callable[..., Any]] = {
    "replay": replay,
    "replay at a rate": lambda source, onto, stop=None: replay(source, onto=onto, rate=1000, stop=stop),
    "replay without pause": lambda source, onto, stop=None: replay(source, onto=onto, topspeed=True, stop=stop),
    "send": send,
    "send at a rate": lambda source, onto, stop=None: send(source, onto, rate=1000, stop=stop),
}


@pytest.fixture(params=["port", "port, by a generator", "interface", "ring", "pipe", "growing file"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Iterable[object]]:
    """Frames of which none comes any more."""
    if request.param in ("interface", "ring"):
        with Lab() as lab:
            host = lab.host("a")
            lab.link(host, lab.host("b"))
            port = host.attachments[0].open(protocol=0x88B5)
            if request.param == "interface":
                yield port.capture()
            else:
                with port.ring(1 << 20) as ring:
                    yield ring.batches()
    elif request.param.startswith("port"):
        here, there = memory_wire()
        there.send(FRAME)
        yield here.capture() if request.param == "port" else (frame for frame in here.capture())
        here.close()
    else:
        path = tmp_path / "x.pcap"
        Capture.of([FRAME]).write(path)
        if request.param == "growing file":
            yield Capture(path, follow=True)
        else:
            data = path.read_bytes()
            path.unlink()
            os.mkfifo(path)
            writer = os.open(path, os.O_RDWR)
            os.write(writer, data)
            yield Capture(path, follow=True)
            os.close(writer)


@pytest.mark.parametrize("way", WAYS)
def test_stop_ends_a_replay_whose_source_waits(source: Iterable[object], way: str) -> None:
    onto, other = memory_wire()
    stop = threading.Event()
    report: Any = waiting(lambda: WAYS[way](source, onto, stop=stop), stop.set)
    sent = 0
    while True:
        try:
            other.receive(timeout=0)
        except TimeoutError:
            break
        sent += 1
    assert report.sent == sent and report.failed == 0


@pytest.mark.parametrize("way", WAYS)
def test_closing_its_port_ends_a_replay_whose_source_waits(source: Iterable[object], way: str) -> None:
    onto, _ = memory_wire()
    error = waiting(lambda: WAYS[way](source, onto), onto.close)
    assert isinstance(error, OSError) and error.errno == errno.EBADF and "has been closed" in str(error), repr(error)
    assert onto.name in str(error)


@pytest.mark.parametrize("way", WAYS)
def test_a_replay_that_was_stopped_before_its_port_was_closed_ends_with_its_report(tmp_path: Path, way: str) -> None:
    path, (onto, _), stop = tmp_path / "x.pcap", memory_wire(), threading.Event()
    Capture.of([FRAME]).write(path)

    def end() -> None:
        stop.set()
        onto.close()

    report: Any = waiting(lambda: WAYS[way](Capture(path, follow=True), onto, stop=stop), end)
    assert report.sent == 1


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("name", ["x.pcap.gz", "x.pcap.zst", "x.pcap.lz4", "empty.pcap", "pipe.pcap"])
@pytest.mark.parametrize("way", ["replay", "send"])
def test_the_port_that_was_closed_is_no_trouble_of_the_file(tmp_path: Path, way: str, name: str, strict: bool) -> None:
    path, (onto, _) = tmp_path / name, memory_wire()
    with ExitStack() as stack:
        if name == "pipe.pcap":
            os.mkfifo(path)
            stack.callback(os.close, os.open(path, os.O_RDWR))
        elif name == "empty.pcap":
            path.touch()
        else:
            writer = stack.enter_context(Writer(path))
            writer.write(Frame(bytes(FRAME), 0))
            writer.flush()
        live = Capture(path, follow=True, strict=strict)
        error = waiting(lambda: WAYS[way](live, onto), onto.close)
    assert isinstance(error, OSError) and error.errno == errno.EBADF and onto.name in str(error), repr(error)


@pytest.mark.parametrize("then", ["ends", "breaks"])
@pytest.mark.parametrize("way", WAYS)
def test_a_port_that_is_closed_as_its_source_ends_is_said(tmp_path: Path, way: str, then: str) -> None:
    """What ends the source comes after the close, before the wait looks again: the close is what the error is about."""
    path, (onto, _) = tmp_path / "x.pcap", memory_wire()
    Capture.of([FRAME]).write(path)
    live = Capture(path, follow=True)

    def close() -> None:
        onto.close()
        if then == "ends":
            live.stop()
        else:
            with path.open("ab") as file:
                file.write(bytes(8) + b"\xff" * 8)  # the head of a record longer than any

    error = waiting(lambda: WAYS[way](live, onto), close)
    assert isinstance(error, OSError) and error.errno == errno.EBADF and onto.name in str(error), repr(error)


@pytest.mark.parametrize("end", ["stop", "client", "server"])
def test_a_replay_of_both_sides_whose_source_waits_ends(tmp_path: Path, end: str) -> None:
    path = tmp_path / "x.pcap"
    Capture.of([FRAME]).write(path)
    stop, (client, _), (server, _) = threading.Event(), memory_wire(), memory_wire()
    then = {"stop": stop.set, "client": client.close, "server": server.close}[end]
    live = Capture(path, follow=True)
    result: Any = waiting(lambda: replay_sides(live, client, server, by=lambda _: "client", stop=stop), then)
    if end == "stop":
        assert result.sent == 1
    else:
        assert isinstance(result, OSError) and result.errno == errno.EBADF and "has been closed" in str(result)


def test_what_waits_for_frames_elsewhere_is_not_ended() -> None:
    """The wait of another thread, and of the same thread for something else, is not the source's."""
    (source, far), (onto, out), (third, fourth) = memory_wire(), memory_wire(), memory_wire()
    stop = threading.Event()
    seen: list[object] = []

    def progress(_sent: int, _time: int) -> None:
        stop.set()
        fourth.send(FRAME)
        seen.extend(third.capture(count=1, timeout=60))

    far.send(FRAME)
    assert replay(source.capture(), onto=onto, stop=stop, progress=progress).sent == 1
    assert seen and out.receive(timeout=0)
    far.send(FRAME)  # and the port can be captured from as before
    assert len(list(source.capture(count=1, timeout=60))) == 1


def test_stop_ends_a_replay_from_a_simulated_port_to_which_nothing_comes() -> None:
    from tests.sockets.test_simulated_threads import closed_meanwhile, ticking

    for end in ("stop", "close"):
        net, _, b = ticking()
        onto, _ = memory_wire()
        stop = threading.Event()
        result: Any = closed_meanwhile(
            net, lambda b=b, onto=onto, stop=stop: replay(b.interface.capture(), onto=onto, stop=stop),
            stop.set if end == "stop" else onto.close,
        )  # fmt: skip
        if end == "stop":
            assert result.sent == 0
        else:
            assert isinstance(result, OSError) and result.errno == errno.EBADF
