"""WebSocket sockets over TCP and over SPP, against each other and against the `websockets` library, and frames made by hand."""

from __future__ import annotations

import threading

import pytest
from websockets.sync.client import connect as library_client
from websockets.sync.server import serve as library_server

from packetlab import LocalHost, RemoteProtocolError, SimNetwork, WebSocketFrame, mask
from packetlab.engine.websocket.events import Reply


@pytest.fixture(params=["SPP in virtual time", "TCP on this machine"])
def pair(request):
    """A connected client and server."""
    with_spp = request.param.startswith("SPP")
    client, conn, server = connected(with_spp)
    yield client, conn
    for each in (client, conn, server):
        each.abort()


def connected(with_spp, **options):
    if with_spp:
        net = SimNetwork(seed=1)
        a, b = net.host("a"), net.host("b")
        net.link(a, b, delay=0.01)
    else:
        a = b = LocalHost()
    family = "xns" if with_spp else "inet"
    server = b.socket("websocket", family=family, **options)
    server.bind(8080 if with_spp else ("127.0.0.1", 0))
    server.listen()
    client = a.socket("websocket", family=family)
    client.timeout = server.timeout = 20
    client.connect(b.at(8080) if with_spp else server.address)
    return client, server.accept(), server


def test_text_and_binary_of_every_size_go_both_ways(pair) -> None:
    client, conn = pair
    for message in ("", "é", "x" * 70_000, b"", bytes(65_536)):
        client.write(message)
        assert conn.read() == message
        conn.write(message, fragment=5000)
        assert client.read() == message


def test_a_close_has_its_code_and_reason_on_the_other_side(pair) -> None:
    client, conn = pair
    conn.close(4000, "enough")
    assert client.read() is None and (client.close_code, client.close_reason) == (4000, "enough")
    with pytest.raises(BrokenPipeError, match=r"closed \(close code 4000\)"):
        client.write("late")
    client.close()


def test_a_stream_that_just_ends_is_reported(pair) -> None:
    client, conn = pair
    conn.abort()
    with pytest.raises(ConnectionError):
        client.write("anybody?")
        client.read()
        client.read()


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (WebSocketFrame(rsv1=1, opcode=9, masking_key=b"abcd"), 1002),
        (WebSocketFrame(opcode=3, masking_key=b"abcd"), 1002),
        (WebSocketFrame(opcode=2) / b"not masked", 1002),
        (WebSocketFrame(opcode=9, masking_key=b"abcd", length=126, length16=126) / bytes(126), 1002),
        (WebSocketFrame(opcode=1, masking_key=b"abcd") / mask(b"abcd", b"\xff\xfe"), 1007),
        (WebSocketFrame(opcode=8, masking_key=b"abcd") / mask(b"abcd", b"\x03\xe7"), 1002),
    ],
    ids=["reserved bit", "reserved opcode", "no mask", "long ping", "bad UTF-8", "close code 999"],
)
def test_a_malformed_frame_made_by_hand_is_answered_with_its_code(pair, frame, code) -> None:
    client, conn = pair
    client.write_raw(frame)
    with pytest.raises(RemoteProtocolError):
        conn.read()
    client.read()
    assert client.close_code == code


def test_a_message_beyond_the_limit_closes_with_1009() -> None:
    client, conn, server = connected(True, largest_message=1000)
    client.write(b"x" * 1001)
    with pytest.raises(RemoteProtocolError):
        conn.read()
    client.read()
    assert client.close_code == 1009
    for each in (client, conn, server):
        each.abort()


def test_a_server_may_refuse_a_request() -> None:
    with pytest.raises(ConnectionRefusedError, match="status 403"):
        connected(True, accept=lambda request: Reply(403))


def test_a_request_that_is_no_websocket_is_answered_and_passed_over() -> None:
    here = LocalHost()
    server = here.socket("websocket", family="inet")
    server.bind(("127.0.0.1", 0))
    server.listen()
    with here.socket("stream", family="inet") as plain:
        plain.connect(server.address)
        plain.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert plain.read().startswith(b"HTTP/1.1 426 ")
    client = here.socket("websocket", family="inet")
    client.connect(server.address)
    conn = server.accept()
    client.write("after it")
    assert conn.read() == "after it"
    for each in (client, conn, server):
        each.abort()


def test_the_websockets_library_talks_to_our_server() -> None:
    here, heard = LocalHost(), []
    server = here.socket("websocket", family="inet", subprotocols=["chat"])
    server.bind(("127.0.0.1", 0))
    server.listen()
    port = server.address[1]

    def visit() -> None:
        with library_client(f"ws://127.0.0.1:{port}/path", subprotocols=["chat"]) as client:
            client.send("hello")
            heard.append(client.recv())
            client.send([b"in ", b"pieces"])
            heard.append(client.recv())
            heard.append(client.subprotocol)

    visitor = threading.Thread(target=visit)
    visitor.start()
    server.timeout = 20
    conn = server.accept()
    assert conn.opened.request.path == "/path" and conn.opened.subprotocol == "chat"
    while (message := conn.read()) is not None:
        conn.write(message)
    conn.close()
    server.close()
    visitor.join(10)
    assert heard == ["hello", b"in pieces", "chat"] and conn.close_code == 1000


def test_we_talk_to_a_server_of_the_websockets_library() -> None:
    def echo(connection) -> None:
        for message in connection:
            connection.send(message)

    with library_server(echo, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        client = LocalHost().socket("websocket", family="inet")
        client.timeout = 20
        client.connect(server.socket.getsockname())
        for message in ("text", b"binary", "long " * 20_000):
            client.write(message, fragment=4096)
            assert client.read() == message
        assert client.ping(b"still there?") >= 0
        client.close(1001)
        server.shutdown()
        thread.join(10)
    assert client.close_code == 1001
