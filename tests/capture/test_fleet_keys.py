"""Workers of a fleet know the keys that the program knows, as long as it knows them; elsewhere what needs one is an error."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from packetlab import UDP, BuildError, Ether, Header, IPv4, Rest, Writer, aead, bindings, scan, secret, secrets, through
from tests.capture.fleet_jobs import decrypted

pytest.importorskip("cryptography")

KEYS = {"lab": bytes(range(16))}
EXECUTORS: dict[str, Callable[[], Executor | None]] = {
    "own": lambda: None,
    "threads": lambda: ThreadPoolExecutor(2),
    **{how: lambda how=how: ProcessPoolExecutor(1, mp_context=get_context(how)) for how in ("fork", "spawn", "forkserver")},  # type: ignore[misc]
}


class Elsewhere(Executor):
    """Workers that may be anywhere: processes of this machine, of which nobody knows that."""

    def __init__(self) -> None:
        self.inner = ProcessPoolExecutor(1, mp_context=get_context("spawn"))

    def submit(self, work: Callable[..., Any], /, *args: Any, **named: Any) -> Future[Any]:
        return self.inner.submit(work, *args, **named)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self.inner.shutdown(wait, cancel_futures=cancel_futures)


def declared() -> Any:
    class Sealed(Header, under=UDP, port=6001):
        text: Rest = through(aead("AES-GCM", key=secret("lab"), nonce=bytes(12)), b"")

    return Sealed


def written(path: Path, header: Any) -> Path:
    with secrets(KEYS), Writer(path) as writer:
        writer.write(Ether() / IPv4() / UDP() / header(text=b"hello"))
    return path


@pytest.mark.slow
@pytest.mark.parametrize("beside", [False, True])
@pytest.mark.parametrize("name", EXECUTORS)
def test_columns_and_filters_are_those_of_the_program_itself(tmp_path: Path, name: str, beside: bool) -> None:
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    if beside:  # then workers of the fleet's own are no forks
        thread.start()
    try:
        with bindings():
            path = written(tmp_path / "sealed.pcap", declared())
            executor = EXECUTORS[name]()
            fleet = scan([path] * 3, executor=executor, workers=2, batch_bytes=1)
            sealed = fleet.table("sealed.text").read()["sealed.text"].tolist()
            with secrets(KEYS):
                opened = fleet.table("sealed.text", where="sealed.text == 68:65:6c:6c:6f").read()["sealed.text"].tolist()
            again = fleet.table("sealed.text").read()["sealed.text"].tolist()
            if executor is not None:
                executor.shutdown()
    finally:
        done.set()
    assert opened == [b"hello"] * 3
    assert list(map(repr, sealed)) == list(map(repr, again)) and sealed[0] != b"hello"


@pytest.mark.slow
def test_functions_know_them_too(tmp_path: Path) -> None:
    with bindings():
        header = declared()
        path = tmp_path / "bare.pcap"
        with secrets(KEYS):
            with Writer(path) as writer:
                writer.write(bytes(header(text=b"hello")))
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as executor:
                assert [*scan(path, executor=executor).map(decrypted)] == [(str(path), [b"hello"])]


@pytest.mark.slow
def test_workers_elsewhere_get_no_key_and_say_so(tmp_path: Path) -> None:
    with bindings():
        path = written(tmp_path / "sealed.pcap", declared())
        with Elsewhere() as executor:
            fleet = scan(path, executor=executor)
            with secrets({"another": bytes(16)}):
                assert len(fleet.table("sealed.text").read()["sealed.text"]) == 1  # which no declaration names
            with secrets(KEYS), pytest.raises(BuildError, match=r"scan: executor: expected workers that know a key named 'lab', got .*pl\.secrets"):
                fleet.table("sealed.text").read()
