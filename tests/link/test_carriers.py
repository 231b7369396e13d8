"""What carries XNS in addition to Ethernet: a NetHub, IP protocol 22, UDP; and how a broken line is reported."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from types import SimpleNamespace

import pytest

from packetlab import IDP, SPP, IPv4, LocalHost, PacketlabError, SimNetwork
from packetlab.link import waits
from packetlab.link.event_loop import RealTime
from packetlab.network.carriers import NetHubPort
from tests.conversations.scripts import CONVERSATIONS


class Hub:
    """A NetHub as small as can be: what one member sends goes to all the others."""

    def __init__(self, server: socket.socket | None = None) -> None:
        self.server = server or socket.create_server(("127.0.0.1", 0))
        self.address = self.server.getsockname()
        self.members: list[socket.socket] = []
        self.joined = threading.Semaphore(0)
        threading.Thread(target=self.let_in, daemon=True).start()

    def let_in(self) -> None:
        with suppress(OSError):
            while True:
                member, _ = self.server.accept()
                self.members.append(member)
                self.joined.release()
                threading.Thread(target=self.serve, args=(member,), daemon=True).start()

    def serve(self, member: socket.socket) -> None:
        with suppress(OSError), member.makefile("rb") as line:
            while len(head := line.read(2)) == 2:
                data = line.read(int.from_bytes(head, "big"))
                for other in [*self.members]:
                    if other is not member:
                        other.sendall(head + data)

    def close(self) -> None:
        with suppress(OSError):
            self.server.shutdown(socket.SHUT_RDWR)
        self.server.close()
        for member in self.members:
            with suppress(OSError):
                member.shutdown(socket.SHUT_RDWR)
            member.close()


@pytest.fixture
def hub() -> Iterator[Hub]:
    made = Hub()
    yield made
    made.close()


@pytest.fixture
def members(hub) -> Iterator[tuple[LocalHost, LocalHost]]:
    loop = RealTime()
    hosts = [LocalHost(mac=f"02:00:00:00:00:1{n}", name=f"member {n}", loop=loop) for n in (1, 2)]
    for host in hosts:
        host.join(0x41A, "nethub", address=hub.address)
        assert hub.joined.acquire(timeout=5)
    yield tuple(hosts)
    for host in hosts:
        host.close()


@pytest.mark.parametrize("talk", CONVERSATIONS, ids=lambda talk: talk.__name__)
def test_members_of_a_nethub_hold_every_conversation(talk, members) -> None:
    talk(*members)


def test_a_host_of_a_lab_joins_a_nethub(lab) -> None:
    a, b = lab.host("a"), lab.host("b")
    lab.link(a, b)
    server = b.kernel_socket()
    server.bind((str(b.address), 0))
    server.listen()
    hub = Hub(server)
    for host in (a, b):
        host.join(0x41A, "nethub", address=hub.address)
        assert hub.joined.acquire(timeout=5)
    listener, client = b.socket("seqpacket"), a.socket("seqpacket")
    listener.bind(3000)
    listener.listen()
    client.connect((0x41A, b.xns.node.host, 3000))
    client.write(b"by the hub")
    assert listener.accept().read() == b"by the hub"
    hub.close()


@pytest.mark.slow
def test_a_hub_that_is_gone_ends_connections_in_time_and_is_on_record(hub, members) -> None:
    from packetlab import Timing

    a, b = members
    a.timing = b.timing = Timing(give_up=1.5, keep_alive=0.4)
    server, client = b.socket("seqpacket"), a.socket("seqpacket")
    server.bind(3000)
    server.listen()
    client.connect(b.at(3000))
    hub.close()
    with pytest.raises(ConnectionAbortedError, match=r"no answer for 1\.5 s"):
        client.read()
    assert any("the hub closed the line" in str(event) for event in a.log)


def line(*pieces: bytes) -> NetHubPort:
    """Return a port at a hub that sends these pieces and then closes."""
    server = socket.create_server(("127.0.0.1", 0))

    def send() -> None:
        with server, server.accept()[0] as member:
            for piece in pieces:
                member.sendall(piece)

    threading.Thread(target=send, daemon=True).start()
    return NetHubPort(server.getsockname())


def test_frames_are_put_together_from_any_pieces_of_the_line() -> None:
    frames = [bytes([n]) * (14 + n) for n in range(20)]
    raw = b"".join(len(frame).to_bytes(2, "big") + frame for frame in frames)
    with line(*(raw[i : i + 7] for i in range(0, len(raw), 7))) as port:
        assert [port.receive_frame(timeout=5).data for _ in frames] == frames
        with pytest.raises(ConnectionError, match="the hub closed the line"):
            port.receive_frame(timeout=5)


@pytest.mark.parametrize("size", [0, 13, 1025, 65535])
def test_a_length_that_cannot_be_ends_the_line_with_what_was_expected(size) -> None:
    with line(b"\x00\x0e" + bytes(14) + size.to_bytes(2, "big") + bytes(20)) as port:
        assert port.receive_frame(timeout=5).data == bytes(14)
        with pytest.raises(ConnectionError, match=f"14 to 1024 bytes, got {size}"):
            port.receive_frame(timeout=5)


def test_no_hub_is_an_error_that_names_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()
    with pytest.raises(ConnectionRefusedError, match=f"NetHub 127.0.0.1:{address[1]}"):
        NetHubPort(address)


def test_ip_carries_idp_as_protocol_22_padded_to_an_even_length(lab) -> None:
    a, b = lab.host("a"), lab.host("b")
    lab.link(a, b)
    a.join(0x501, "ip", peer=b.address)
    b.join(0x501, "ip", peer=a.address)
    server, client = b.socket("seqpacket"), a.socket("seqpacket")
    server.bind(3000)
    server.listen()
    client.connect((0x501, b.xns.node.host, 3000))
    client.write(b"odd")
    assert server.accept().read() == b"odd"
    seen = [f.packet() for f in b.interface.capture(timeout=0.5, where=SPP)]
    assert all(packet[IPv4].protocol == 22 for packet in seen)
    (sent,) = [packet for packet in seen if packet.payload == b"odd"]
    assert sent[IDP].length == 45 and sent[IPv4].length == 20 + 46 and sent.verdict(IDP).name == "GOOD"


def test_a_carrier_that_is_none_is_said() -> None:
    with pytest.raises(PacketlabError, match="ip, udp or nethub"):
        LocalHost(mac="02:00:00:00:00:01").join(1, "pigeon")


@pytest.mark.parametrize(("carrier", "says"), [("ip", "peer="), ("udp", "local= and peer=")])
def test_a_carrier_that_lacks_its_addresses_says_which(carrier, says) -> None:
    with pytest.raises(PacketlabError, match=says):
        LocalHost(mac="02:00:00:00:00:01").join(1, carrier)


@pytest.mark.parametrize("carrier", ["ip", "udp", "nethub"])
def test_a_simulated_host_never_reaches_out_into_the_world(carrier) -> None:
    net = SimNetwork()
    a, b = net.host("a"), net.host("b")
    net.link(a, b)
    with pytest.raises(PacketlabError, match="a host with a kernel"):
        a.join(1, carrier, peer="127.0.0.1")


def test_what_came_while_a_thread_stood_still_is_received_though_its_time_is_over(monkeypatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(waits, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)

    class Looked:
        """A socket on which something comes just after the first look, and then two seconds pass."""

        def recv(self, *given: int) -> bytes:
            try:
                return here.recv(*given)
            except BlockingIOError:
                if not clock[0]:
                    there.send(b"came")
                    clock[0] = 2.0
                raise

        def fileno(self) -> int:
            return here.fileno()

    with here, there:
        assert waits.Waits("x").receive(Looked(), 1) == b"came"
        assert waits.Waits("x").receive(Looked(), 0) is None
