"""Both ends closing at about the same time, and late copies of what opened a connection: nobody hears of a loss.

`python -m tests.conversations.test_closing 1500` counts failures over as many seeds of each link.
"""

from __future__ import annotations

import errno
import sys

import pytest

from packetlab import SimNetwork
from packetlab.engine.xns.spp_states import OVER

LINKS = {
    "loss 5 %": {"loss": 0.05},
    "loss 20 %": {"loss": 0.2},
    "jitter and reordering, no loss": {"jitter": 0.3, "reorder": 0.2},
    "all of it": {"jitter": 0.3, "loss": 0.2, "duplicate": 0.1, "reorder": 0.2},
}
LONGEST = 300  # virtual seconds that a close may take, at 20 % loss and more


def connected(net, a, b, number=3000):
    server, client = b.socket("seqpacket"), a.socket("seqpacket")
    server.bind(number)
    server.listen()
    client.connect(b.at(number))
    return server, client, server.accept()


def close_together(seed: int, *, confirmed: bool, **link) -> list[str]:
    """Close both ends within a round trip, all that was written read; return what was wrong."""
    net = SimNetwork(seed)
    a, b = net.host("a"), net.host("b")
    net.link(a, b, delay=0.05, **link)
    _, client, conn = connected(net, a, b)
    ends = client._connection, conn._connection  # one program holds both ends; two programs need no such trick
    client.write(b"x")
    assert conn.read() == b"x"
    if confirmed:
        a.until(lambda: not ends[0].sender.waiting, timeout=1000)
    ends[0].close(net.now)
    a.schedule(ends[0])
    net.run(0.05 * (seed % 7) / 3)
    ends[1].close(net.now)
    b.schedule(ends[1])
    start = net.now
    a.until(lambda: all(end.state in OVER for end in ends), timeout=4000)
    wrong = [f"seed {seed}: {end}: {end.error}" for end in ends if end.error is not None]
    return wrong if net.now - start < LONGEST * 10**9 else [*wrong, f"seed {seed}: {(net.now - start) / 1e9} s"]


@pytest.mark.parametrize("confirmed", [True, False], ids=["confirmed", "the confirmation under way"])
@pytest.mark.parametrize("link", LINKS)
def test_two_ends_that_close_together_hear_of_no_loss(link, confirmed) -> None:
    assert [wrong for seed in range(80) for wrong in close_together(seed, confirmed=confirmed, **LINKS[link])] == []


def test_a_late_copy_of_the_request_does_not_keep_the_client_from_closing() -> None:
    net = SimNetwork(1)
    a, b = net.host("a"), net.host("b")
    link = net.link(a, b, delay=0.01)
    server, client, conn = connected(net, a, b)
    request = next(iter(net.capture))
    conn._connection.close(net.now)
    sent = len(net.capture)
    b.schedule(conn._connection)
    link.change(drop=[sent + 3])  # after END and END-REPLY, the last END-REPLY
    net.run(0.05)
    assert (client.state.name, conn.state.name) == ("DALLYING", "CLOSED")
    a.interface._send(bytes(request.data))
    net.run(0.05)
    link.change(drop=())
    start, frames = net.now, len(net.capture)
    client.close()
    assert net.now - start < 2 * 10**9 and len(net.capture) - frames < 10
    assert server._listener._children == {} and not server._listener._waiting


def test_late_copies_of_requests_do_not_fill_a_listener() -> None:
    net = SimNetwork(1)
    a, b, other = net.host("a"), net.host("b"), net.host("other")
    link = net.link(a, b, other, delay=0.01)
    server = b.socket("seqpacket")
    server.bind(3000)
    server.listen()
    requests, pairs = [], []
    for _ in range(5):
        client, sent = a.socket("seqpacket"), len(net.capture)
        client.connect(b.at(3000))
        requests.append(bytes([*net.capture][sent].data))
        pairs.append((client, server.accept()))
    for _, conn in pairs:
        conn._connection.close(net.now)
        b.schedule(conn._connection)
    net.run(0.015)
    link.sends["b"].change(partitioned=True)  # the last words are lost
    net.run(0.02)
    link.sends["b"].change(partitioned=False)
    assert [conn.state.name for _, conn in pairs] == ["CLOSED"] * 5
    for request in requests:
        a.interface._send(request)
    net.run(0.05)
    client = other.socket("seqpacket")
    client.timeout = 5
    client.connect(b.at(3000))
    assert client.state.name == "OPEN"


def test_an_abort_has_to_the_other_end() -> None:
    net = SimNetwork(1)
    a, b = net.host("a"), net.host("b")
    net.link(a, b, delay=0.01)
    _, client, conn = connected(net, a, b)
    client.abort()
    with pytest.raises(ConnectionResetError, match="no longer knows"):
        conn.read()
    assert net.now < 10**9


# Data lost are never silence --------------------------------------------------------------------------------------


def with_two_packets_under_way(kind: str = "seqpacket"):
    """Return a network, its link, and both ends; what a says from now on is lost, and it has said something."""
    net = SimNetwork(1)
    a, b = net.host("a"), net.host("b")
    link = net.link(a, b, delay=0.01)
    server, client = b.socket(kind), a.socket(kind)
    server.bind(3000)
    server.listen()
    client.connect(b.at(3000))
    conn = server.accept()
    net.run(1)
    link.sends["a"].change(partitioned=True)
    client.write(b"order 1")
    client.write(b"order 2")
    return net, link, client, conn


@pytest.mark.parametrize("dead", [False, True], ids=["one way", "both ways"])
@pytest.mark.parametrize("kind", ["seqpacket", "stream"])
def test_a_close_with_data_lost_says_so_though_the_peer_has_ended(kind, dead) -> None:
    net, link, client, conn = with_two_packets_under_way(kind)
    conn._connection.close(net.now)
    conn.host.schedule(conn._connection)
    net.run(0.1)
    assert client.state.name == "DALLYING"  # the other end's END has come
    if dead:
        link.partition()
    with pytest.raises(ConnectionAbortedError, match="the peer"):
        client.close()
    assert conn._connection.receiver.expected == 0


@pytest.mark.parametrize("kind", ["seqpacket", "stream"])
def test_a_close_says_that_data_were_lost_before_it_unless_a_call_has_said_so(kind) -> None:
    for reported in (False, True):
        net, link, client, _ = with_two_packets_under_way(kind)
        link.partition()
        net.run(2000)  # the program computes, and the connection is given up meanwhile
        assert client.state.name == "ABORTED"
        if reported:
            with pytest.raises(ConnectionAbortedError, match="the peer is gone"):
                client.write(b"order 3")
            client.close()
        else:
            with pytest.raises(ConnectionAbortedError, match="the peer is gone"):
                client.close()
        client.close()  # and once is enough


def test_a_connection_lost_with_nothing_of_ours_closes_without_a_word() -> None:
    net, link, _client, conn = with_two_packets_under_way()
    link.partition()
    conn.timeout = 10_000
    with pytest.raises(TimeoutError):
        conn.read()
    conn.host.xns.node.release(3000)  # as if the connection had been lost there
    conn._connection.troubled(conn._connection._packet(0, 0, 0, b""), 2, net.now)
    assert conn._connection.error is not None
    conn.close()


def test_writing_on_a_connection_that_is_at_its_end_has_the_sockets_name() -> None:
    net, _, client, conn = with_two_packets_under_way()
    conn._connection.abort(net.now)
    client._connection.close(net.now)
    with pytest.raises(OSError, match="^seqpacket socket of a: write: expected an open connection") as caught:
        client.write(b"x")
    assert caught.value.errno == errno.EPIPE


def main(seeds: int) -> None:
    """Print how many seeds of each link fail."""
    for name, link in LINKS.items():
        for confirmed in (True, False):
            wrong = [each for seed in range(seeds) for each in close_together(seed, confirmed=confirmed, **link)]
            print(f"{name}, {'confirmed' if confirmed else 'unconfirmed'}: {len(wrong)} of {seeds}", *wrong[:3])


if __name__ == "__main__":
    main(int(sys.argv[1]))
