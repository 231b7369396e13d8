"""nginx under test: by the kernel's sockets, by segments made by hand, by what is wrong, and by its recording."""

from __future__ import annotations

import sys

import pytest

from packetlab import TCP, IPv4, deep, exchange, malformed
from tests.conftest import need

from .by_hand import ACK, PSH, RST, SYN, Connection, TCPOption, mss

# One process, that stays who it is: root is the only user that a lab knows.
CONFIG = """
user root; daemon off; master_process off; pid {folder}/pid;
events {{ worker_connections 64; }}
http {{
  access_log /dev/stdout; default_type text/plain; keepalive_timeout 60;
  client_body_temp_path {folder}/1; proxy_temp_path {folder}/2; fastcgi_temp_path {folder}/3;
  uwsgi_temp_path {folder}/4; scgi_temp_path {folder}/5;
  server {{ listen 80; root {folder}/pages; server_tokens off; }}
}}
"""
PAGE = bytes(range(32, 122)) * 12
GET = b"GET /page HTTP/1.1\r\nHost: b\r\n\r\n"


def nginx(program, host, folder):
    need("nginx")
    (folder / "pages").mkdir()
    (folder / "pages/page").write_bytes(PAGE)
    (folder / "pages/word").write_bytes(b"word")
    (folder / "nginx.conf").write_text(CONFIG.format(folder=folder))
    return program(host, "nginx", "-e", "stderr", "-c", folder / "nginx.conf", ready=80)


@pytest.fixture
def hosts(lab):
    a, b = lab.host("a"), lab.host("b")
    lab.link(a, b)
    return a, b


@pytest.fixture
def web(hosts, program, tmp_path):
    """A host that serves pages, and an unanswered address on its link to ask for them."""
    a, b = hosts
    nginx(program, b, tmp_path)
    return a.unanswered_address(), b


def test_a_page_is_served_and_seen_on_the_wire(hosts, program, tape, tmp_path) -> None:
    a, b = hosts
    nginx(program, b, tmp_path)
    tape.watch(a)
    tape.allow(TCP)
    tape.expect(a, b, TCP(dport=80, flags=SYN))
    tape.expect(b, a, TCP(sport=80, flags=SYN | ACK))
    tape.expect(a, b, lambda packet: packet.deep("http").find("Path") == [b"/page"])
    tape.expect(b, a, lambda packet: packet.deep("http").find("Status_Code") == [b"200"])
    client = a.socket("stream", family="inet")
    client.connect(b.at(80))
    client.write(b"GET /page HTTP/1.1\r\nHost: b\r\nConnection: close\r\n\r\n")
    answer = b""
    while data := client.read():
        answer += data
    client.close()
    assert answer.endswith(PAGE) and deep(answer, "http")["Content_Length"] == b"%d" % len(PAGE)


def test_segments_are_as_small_as_the_client_asks(web) -> None:
    unanswered, server = web
    client = Connection(unanswered, server, 4000, 80)
    answer = client.connect(mss(200))
    assert [option.data for option in answer[TCP].options if option.kind == 2] == [(1460).to_bytes(2, "big")]
    client.send(GET)
    sizes, page = [], b""
    while not page.endswith(PAGE):
        packet = client.receive()
        sizes.append(len(packet.payload))
        page += client.heard(packet)
        client.send()
    assert max(sizes) == 200 and sum(sizes) == len(page)


def test_what_is_not_acknowledged_comes_again(web) -> None:
    unanswered, server = web
    client = Connection(unanswered, server, 4000, 80)
    client.connect()
    client.send(b"GET /word HTTP/1.0\r\n\r\n")
    segments = [packet for packet in (client.receive() for _ in range(4)) if packet.payload]
    first, again = segments[:2]  # the page, and the page again, since its acknowledgement is lost
    assert (again[TCP].seq, again.payload) == (first[TCP].seq, first.payload) and first.payload.endswith(b"word")
    assert again[IPv4].id != first[IPv4].id


def test_segments_in_disorder_are_put_in_order(web) -> None:
    unanswered, server = web
    client = Connection(unanswered, server, 4000, 80)
    client.connect(TCPOption(kind=4))  # selective acknowledgements (RFC 2018)
    start, pieces = client.seq, [(10, 20), (0, 12), (15, len(GET))]
    for begin, end in pieces:
        unanswered.send(client.segment(GET[begin:end], seq=start + begin))
    first = client.receive()
    blocks = [option.data for option in first[TCP].options if option.kind == 5]
    assert first[TCP].ack == start and blocks == [b"".join((start + n).to_bytes(4, "big") for n in (10, 20))]
    client.seq = start + len(GET)
    assert client.read(len(PAGE)).startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET\r\n\r\n", b"400"),
        (b"GET / HTTP/9.9\r\n\r\n", b"505"),
        (b"GET /page HTTP/1.1\r\n\r\n", b"400"),  # RFC 9112 section 3.2: a request without Host
        (b"GET /page HTTP/1.1\r\nHost: b\r\nHost: c\r\n\r\n", b"400"),
        (b"GET /../secret HTTP/1.1\r\nHost: b\r\n\r\n", b"400"),
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: b\r\n\r\n", b"414"),
        (b"POST /page HTTP/1.1\r\nHost: b\r\nContent-Length: -1\r\n\r\n", b"400"),
    ],
    ids=["no path", "version", "no host", "two hosts", "above the root", "too long", "length"],
)
def test_a_wrong_request_is_refused(web, request_, status) -> None:
    unanswered, server = web
    client = Connection(unanswered, server, 4000, 80)
    client.connect()
    for at in range(0, len(request_), 1400):
        client.send(request_[at : at + 1400], ACK | PSH)
    answer = client.read()
    assert deep(answer, "http")["Status_Code"] == status


def test_damaged_segments_change_nothing(web) -> None:
    unanswered, server = web
    client = Connection(unanswered, server, 4000, 80)
    client.connect()
    sound = client.segment(GET)
    damaged = [case for case in malformed(sound) if case.id in ("ipv4.checksum.wrong", "tcp.checksum.wrong")]
    assert len(damaged) == 2
    for case in damaged:
        unanswered.send(case.data)
    unanswered.send(sound)  # the first that is taken
    answer = client.receive()
    assert answer[TCP].ack == client.seq + len(GET)
    # Whatever else the catalogue has, the server goes on serving.
    for case in malformed(sound):
        if not case.id.startswith("ether."):  # the kernel sends no frame shorter than its header
            unanswered.send(case.data)
    other = Connection(unanswered, server, 4001, 80)
    other.connect()
    other.send(GET)
    assert other.read(len(PAGE)).startswith(b"HTTP/1.1 200 OK")


def test_a_port_where_nobody_is_resets(web) -> None:
    unanswered, server = web
    answer = exchange(Connection(unanswered, server, 4000, 81).segment(flags=SYN), via=unanswered)
    assert answer.reply[TCP].flags == RST | ACK


CLIENT = """
import http.client, sys
connection = http.client.HTTPConnection(sys.argv[1], timeout=30)
for path in "/word", "/nothing":
    connection.request("GET", path)
    answer = connection.getresponse()
    print(answer.status, len(answer.read()))
"""


def test_a_client_talks_to_the_recorded_server(hosts, program, golden, tmp_path) -> None:
    a, b = hosts
    with golden.peer(b, "stream", 80, live=lambda host: nginx(program, host, tmp_path)):
        done = a.run(sys.executable, "-c", CLIENT, str(b.address), check=True)
    assert done.stdout == "200 4\n404 146\n"
