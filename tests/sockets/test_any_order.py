"""Any calls on any sockets in any order, over bad links: nothing but documented errors, and never a hang."""

from __future__ import annotations

from random import Random

import pytest

from packetlab import IDP, SPP, Echo, PacketlabError, SimNetwork, Timing
from tests.conftest import amount

NUMBERS = (0, 5, 6, 7, 3000, 3001)
SIZES = (0, 1, 20, 500, 534)
KINDS = ("stream", "seqpacket", "datagram", "raw", "websocket", "seqpacket")


class Mess:
    """Three hosts in a row, and whatever sockets came to be on them."""

    def __init__(self, seed: int) -> None:
        self.draw = draw = Random(seed)
        self.net = net = SimNetwork(seed, patience=600)
        self.hosts = [net.host(name) for name in "abc"]
        self.sockets: list = []
        net.link(*self.hosts[:2], delay=0.01, loss=draw.choice([0, 0.2]), duplicate=0.1, corrupt=draw.choice([0, 0.1]))
        net.link(*self.hosts[1:], carrier=draw.choice(["ethernet", "snap"]))
        if draw.random() < 0.5:
            self.hosts[1].route()
        for host in self.hosts:
            host.timing = Timing(give_up=draw.choice([2, 20]), keep_alive=draw.choice([None, 1]))

    def made(self, host, other, number) -> None:
        socket = host.socket(self.draw.choice(KINDS))
        socket.timeout = self.draw.choice([0, 0.05, 1, 30])
        self.sockets.append(socket)

    def sent(self, host, other, number) -> None:
        raw = host.socket("raw")
        header = self.draw.choice(
            [
                Echo(operation=1),
                SPP(control=0xC0, source_id=self.draw.randrange(4)),
                SPP(seq=self.draw.randrange(3), source_id=1, destination_id=self.draw.randrange(3)),
            ]
        )
        raw.write(IDP(dst=other.at(number or 2).xns(host), src=host.at(4).xns(other)) / header)
        raw.close()

    def exchanged(self, host, other, number) -> None:
        host.exchange(other.at(number or 1), b"?", tries=2)

    def waited(self, host, other, number) -> None:
        self.net.run(self.draw.choice([0, 0.1, 5]))

    def called(self, host, other, number) -> None:
        if not self.sockets:
            return
        socket = self.draw.choice(self.sockets)
        data = self.draw.randbytes(self.draw.choice(SIZES))
        calls = {
            "bind": lambda: socket.bind(number),
            "listen": lambda: socket.listen(self.draw.choice([1, 5])),
            "connect": lambda: socket.connect(other.at(number or 5)),
            "accept": lambda: self.sockets.append(socket.accept()),
            "write": lambda: socket.write(data),
            "write to": lambda: socket.write(data, to=other.at(number)) if socket.kind == "datagram" else None,
            "attention": lambda: socket.attention(b"!") if hasattr(socket, "attention") else None,
            "read": lambda: socket.read(),
            "close": lambda: socket.close(),
            "abort": lambda: socket.abort(),
        }
        calls[self.draw.choice([*calls, "connect", "accept", "write", "read"])]()

    def run(self) -> None:
        steps = [self.made, self.called, self.called, self.called, self.called, self.sent, self.exchanged, self.waited]
        for _ in range(self.draw.randint(5, 60)):
            host, other = self.draw.choice(self.hosts), self.draw.choice(self.hosts)
            self.attempt(lambda host=host, other=other: self.draw.choice(steps)(host, other, self.draw.choice(NUMBERS)))
        for socket in self.sockets:
            socket.timeout = 60
            self.attempt(socket.close)
        self.net.run(100)

    def attempt(self, call) -> None:
        try:
            call()
        except (OSError, PacketlabError):
            pass  # what the documentation promises; anything else is a fault of ours


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, amount(240, 4000), 80))
def test_any_calls_in_any_order_give_documented_errors_alone(first) -> None:
    for seed in range(first, first + 80):
        Mess(seed).run()
