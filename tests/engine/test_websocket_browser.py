"""A browser opens WebSockets to our server: headless Chromium, a page served on loopback."""

from __future__ import annotations

import json
import queue
import shutil
import socket
import subprocess
import threading
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from packetlab.engine.websocket.connection import (
    Closed,
    Event,
    Failed,
    HandshakeCompleted,
    MessageReceived,
    Pong,
    Reply,
    Request,
    WebSocket,
)
from tests.conftest import need
from tests.engine.loopback import events, serving
from tests.engine.pair import raw

pytestmark = pytest.mark.slow

PAGE = Path(__file__).with_name("page.html").read_bytes()
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-port=0",  # stay until ended
]
LARGE = "né€😀" * 100_000


@pytest.fixture(scope="module")
def said_and_seen(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[dict[str, dict[str, object]], dict[str, list[Event]]]:
    """Run the page once; return what it says of each WebSocket, and what our server saw of it, by path."""
    browser_name = next(filter(shutil.which, ["chromium", "google-chrome"]), "chromium")
    need(browser_name)
    seen: dict[str, list[Event]] = defaultdict(list)
    results: queue.Queue[bytes] = queue.Queue()

    def accept(request: Request) -> Reply | None:
        return Reply(403) if request.path == "/refused" else None

    def handle(sock: socket.socket) -> None:
        server, path = WebSocket("server", subprotocols=["lab"], accept=accept), ""
        for event in events(server, sock):
            if isinstance(event, HandshakeCompleted):
                path = event.request.path
            seen[path].append(event)
            if isinstance(event, HandshakeCompleted) and path == "/close":
                server.close(1001, "going")
            elif isinstance(event, HandshakeCompleted) and path == "/crafted":
                server.send("good", 0)
                server.send_raw(raw(b"bad", key=None, rsv2=1))
            elif isinstance(event, MessageReceived):
                server.ping(b"there?")
                server.send(event.data, 0)

    class Pages(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(PAGE)

        def do_POST(self) -> None:
            results.put(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    profile = tmp_path_factory.mktemp("profile")
    with serving(handle) as port, ThreadingHTTPServer(("127.0.0.1", 0), Pages) as pages:
        thread = threading.Thread(target=pages.serve_forever)
        thread.start()
        url = f"http://127.0.0.1:{pages.server_port}/?port={port}"
        command = [browser_name, *FLAGS, f"--user-data-dir={profile}", url]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as browser:
            try:
                said = json.loads(results.get(timeout=60))
            finally:
                browser.terminate()
                pages.shutdown()
                thread.join()
    return said, seen


Ran = tuple[dict[str, dict[str, object]], dict[str, list[Event]]]


def test_text_binary_and_a_large_message_come_back(said_and_seen: Ran) -> None:
    said, seen = said_and_seen
    assert said["echo"]["messages"] == [
        "né€😀",
        {"text": False, "same": True, "length": 256},
        {"text": True, "same": True, "length": 500_000},  # in UTF-16, as JavaScript counts
    ]
    messages = [event.data for event in seen["/echo"] if isinstance(event, MessageReceived)]
    assert messages == ["né€😀", bytes(range(256)), LARGE]


def test_the_browser_agrees_on_subprotocol_and_compression(said_and_seen: Ran) -> None:
    said, seen = said_and_seen
    opened = seen["/echo"][0]
    assert isinstance(opened, HandshakeCompleted)
    assert said["echo"]["protocol"] == opened.subprotocol == "lab"
    assert said["echo"]["extensions"] == opened.extensions[0] == "permessage-deflate; client_max_window_bits=15"


def test_the_browser_answers_pings(said_and_seen: Ran) -> None:
    assert Pong(b"there?") in said_and_seen[1]["/echo"]


def test_the_browsers_close_reaches_us_and_our_answer_the_browser(said_and_seen: Ran) -> None:
    said, seen = said_and_seen
    assert seen["/echo"][-1] == Closed(4001, "done", clean=True)
    assert (said["echo"]["code"], said["echo"]["wasClean"]) == (4001, True)


def test_our_close_reaches_the_browser(said_and_seen: Ran) -> None:
    said, seen = said_and_seen
    assert (said["close"]["code"], said["close"]["reason"], said["close"]["wasClean"]) == (1001, "going", True)
    assert seen["/close"][-1] == Closed(1001, "going", clean=True)


def test_the_browser_fails_a_frame_with_a_reserved_bit(said_and_seen: Ran) -> None:
    said, seen = said_and_seen
    assert said["crafted"]["messages"] == ["good"]
    assert (said["crafted"]["code"], said["crafted"]["wasClean"]) == (1006, False)
    closed = seen["/crafted"][-1]
    assert isinstance(closed, Closed)
    assert closed.code == 1002


def test_the_browser_sees_a_refusal_as_no_connection(said_and_seen: Ran) -> None:
    said, seen = said_and_seen
    assert (said["refused"]["code"], said["refused"]["messages"]) == (1006, [])
    assert not any(isinstance(event, Failed) for event in seen[""])
    assert seen[""]
