"""unbound under test, a resolver: the server it asks is made here, query by query, and does what servers should not."""

from __future__ import annotations

import socket
from itertools import pairwise
from typing import Any

import pytest

from packetlab import TCP, U1, U3, U4, U16, UDP, Header, Packet, Rest, bind, bindings, deep, dissect, malformed
from tests.conftest import need

from .by_hand import ACK, PSH, SYN, Connection

# Read from its standard input. Names below example. go to one server, an unanswered address; nobody else exists.
CONFIG = """
server:
  username: ""
  chroot: ""
  directory: ""
  pidfile: ""
  do-daemonize: no
  use-syslog: no
  do-ip6: no
  num-threads: 1
  interface: 0.0.0.0
  access-control: 10.0.0.0/8 allow
  module-config: "iterator"
  root-hints: ""
  use-caps-for-id: no
  minimal-responses: yes
  qname-minimisation: no
  unknown-server-time-limit: {patience}
remote-control:
  control-enable: no
stub-zone:
  name: "example."
  stub-addr: {upstream}
"""


class DNS(Header):
    """The header of a DNS message (RFC 1035 section 4.1.1)."""

    id: U16 = 0
    response: U1 = 0
    opcode: U4 = 0
    authoritative: U1 = 0
    truncated: U1 = 0
    recursion_desired: U1 = 0
    recursion_available: U1 = 0
    reserved: U3 = 0
    code: U4 = 0
    question_count: U16 = 1
    answer_count: U16 = 0
    authority_count: U16 = 0
    additional_count: U16 = 0
    records: Rest = b""


@pytest.fixture(autouse=True)
def bound():
    """Let DNS follow UDP in these tests; what others see after port 53 stays as it was."""
    with bindings():
        bind(DNS, under=UDP, when={"port": 53})
        yield


def question(name: str) -> bytes:
    """Return what asks for the address of a name: its labels, type A, class IN."""
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0\0\1\0\1"


def address_record(address: str) -> bytes:
    """Return a resource record: the name in question (a pointer to it), type A, class IN, an hour to live."""
    return bytes.fromhex("c00c 0001 0001 00000e10 0004") + socket.inet_aton(address)


class Client:
    """Asks the resolver through a socket of the kernel; the answer is fetched later."""

    def __init__(self, host: Any, resolver: Any) -> None:
        self.socket = host.kernel_socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.settimeout(30)
        self.socket.connect((str(resolver.address), 53))

    def ask(self, name: str, id: int = 7) -> None:
        self.socket.send(bytes(DNS(id=id, recursion_desired=1, records=question(name))))

    def answer(self) -> Any:
        return deep(self.socket.recv(4096), "dns", using="scapy")

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()


class Upstream:
    """The server that the resolver asks, at an unanswered address's address."""

    def __init__(self, unanswered: Any) -> None:
        self.unanswered = unanswered

    def query(self, name: str = "") -> Packet:
        """Return the next query that has come, for a name if one is given."""
        requested = question(name) if name else b""
        return self.unanswered.receive(
            5, where=lambda packet: DNS in packet and packet[DNS].records.startswith(requested)
        )

    def answer(self, query: Packet, address: str = "192.0.2.1", **header: Any) -> Packet:
        """Return what answers a query; whatever is given stands in its DNS header."""
        back = UDP(sport=53, dport=query[UDP].sport)
        return self.unanswered.to(query) / back / message(query[DNS], address, **header)


def message(requested: DNS, address: str = "192.0.2.1", **header: Any) -> DNS:
    """Return the message that answers another."""
    name = requested.records[: requested.records.index(b"\0") + 5]
    given = {"id": requested.id, "response": 1, "authoritative": 1, "answer_count": 1, **header}
    return DNS(**given, records=name + (address_record(address) if given["answer_count"] else b""))


@pytest.fixture
def resolver(request, lab, program):
    """A client of the resolver, and the server that it asks, on whose answer it waits 5 s, or what a test says (in ms)."""
    need("unbound")
    deep(
        bytes(DNS()), "dns", using="scapy"
    )  # loading scapy may take longer than the resolver waits before it asks again
    a, b = lab.host("a"), lab.host("b")
    lab.link(a, b)
    unanswered = a.unanswered_address()
    text = CONFIG.format(upstream=unanswered.address, patience=getattr(request, "param", 5000))
    program(b, "unbound", "-d", "-p", "-c", "/dev/stdin", input=text, ready=("udp", 53))
    with Client(a, b) as client:
        yield client, Upstream(unanswered)


@pytest.mark.slow
def test_a_name_is_requested_once_and_then_remembered(resolver) -> None:
    client, upstream = resolver
    client.ask("www.example", id=1)
    query = upstream.query()
    assert query.deep("dns", using="scapy")["qname"] == b"www.example." and query[DNS].recursion_desired == 0
    upstream.unanswered.send(upstream.answer(query))
    first = client.answer()
    client.ask("www.example", id=2)
    second = client.answer()
    assert (first["id"], second["id"]) == (1, 2) and first["rdata"] == second["rdata"] == "192.0.2.1"
    with pytest.raises(TimeoutError):
        upstream.unanswered.receive(0.05, where=DNS)


def test_ids_and_ports_cannot_be_guessed(resolver) -> None:
    client, upstream = resolver
    seen = []
    for number in range(12):
        client.ask(f"{number}.example")
        query = upstream.query()
        seen.append((query[DNS].id, query[UDP].sport))
        upstream.unanswered.send(upstream.answer(query))
        assert client.answer()["rdata"] == "192.0.2.1"
    ids, ports = (set(column) for column in zip(*seen, strict=True))
    # RFC 5452 section 9.2. Of twelve drawn from 60000, two are the same in one run of a thousand; three in none.
    assert len(ids) >= 11 and len(ports) >= 11
    steps = {later - sooner for (sooner, _), (later, _) in pairwise(seen)}
    assert len(steps) > 5  # nor do they count up


@pytest.mark.parametrize("resolver", [200], indirect=True)
def test_a_query_that_is_lost_is_queried_again_under_another_id_and_port(resolver) -> None:
    client, upstream = resolver
    client.ask("www.example")
    lost, again = upstream.query(), upstream.query()
    assert (lost[DNS].id, lost[UDP].sport) != (again[DNS].id, again[UDP].sport)
    assert lost[DNS].records[:17] == again[DNS].records[:17]
    upstream.unanswered.send(upstream.answer(again))
    assert client.answer()["rdata"] == "192.0.2.1"


def test_a_forged_answer_is_not_believed(resolver) -> None:
    client, upstream = resolver
    client.ask("www.example")
    query = upstream.query()
    right = query[DNS].id
    forged = upstream.answer(query, "203.0.113.9")
    for wrong in (
        forged.replace(DNS, id=right ^ 1),
        forged.replace(UDP, dport=query[UDP].sport ^ 1),
        forged.replace(UDP, sport=5353),
        forged.replace(UDP, checksum=0xDEAD),
    ):
        upstream.unanswered.send(wrong)
    upstream.unanswered.send(upstream.answer(query))
    assert client.answer()["rdata"] == "192.0.2.1"


def test_a_damaged_answer_does_no_harm(resolver) -> None:
    client, upstream = resolver
    ids = [case.id for case in malformed(message(DNS(records=question("0.example"))))]
    for number, id in enumerate(ids):
        client.ask(f"{number}.example", id=number)
        query = upstream.query(f"{number}.example")
        damaged = next(case for case in malformed(message(query[DNS])) if case.id == id)
        back = UDP(sport=53, dport=query[UDP].sport)
        upstream.unanswered.send(upstream.unanswered.to(query) / back / damaged.data)
    client.ask("sound.example", id=999)
    upstream.unanswered.send(upstream.answer(upstream.query("sound.example")))
    while (answer := client.answer())["id"] != 999:
        pass
    assert answer["rdata"] == "192.0.2.1"


def test_a_truncated_answer_is_requested_again_over_tcp(resolver) -> None:
    client, upstream = resolver
    client.ask("www.example")
    upstream.unanswered.send(upstream.answer(upstream.query(), answer_count=0, truncated=1))
    # RFC 7766 section 5: over TCP then, where two bytes of length go before the message (section 8).
    syn = upstream.unanswered.receive(5, where=TCP(dport=53, flags=SYN))
    server = Connection(upstream.unanswered, syn, 53, syn[TCP].sport)
    server.accept(syn)
    heard = server.read(2)
    while len(heard) < 2 + int.from_bytes(heard[:2], "big"):
        heard += server.read(1)
    requested = dissect(heard[2:], DNS)[DNS]
    assert requested.records.startswith(question("www.example"))
    reply = bytes(message(requested, "192.0.2.2"))
    server.send(len(reply).to_bytes(2, "big") + reply, ACK | PSH)
    assert client.answer()["rdata"] == "192.0.2.2"
