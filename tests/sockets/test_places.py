"""A place, ``host.at(number)``, means that host: of another network, where its address is a stranger's, it is refused."""

from __future__ import annotations

import errno

import pytest

from packetlab import Lab, LocalHost, NeedsPrivilege, SimNetwork, XNSAddress
from packetlab.errors import SocketMisuse
from tests.sockets.test_background import pair


def twins():
    """Two hosts each of two simulated networks: the first of each have the same address, and so have the second."""
    for _ in range(2):
        net = SimNetwork(1)
        hosts = net.host("near"), net.host("far")
        net.link(*hosts)
        yield hosts


def refused(asker, place, why: str) -> None:
    verbs = [("connect", kind) for kind in ("seqpacket", "stream", "datagram", "websocket")]
    for verb, kind in (*verbs, ("write", "datagram")):
        sock = asker.socket(kind, "xns")
        call = sock.connect if verb == "connect" else lambda to, sock=sock: sock.write(b"secret", to=to)
        words = rf"socket of {asker.name}: {verb}: expected a place on the network of {asker.name}, got {why} \(ENETUNREACH: .+\)"
        with pytest.raises(SocketMisuse, match=words) as caught:
            call(place)
        assert caught.value.errno == errno.ENETUNREACH
    with pytest.raises(SocketMisuse, match=why):
        asker.exchange(place, b"secret", tries=1)


def test_a_place_of_another_simulated_network_is_not_taken_for_a_strangers() -> None:
    (p, q), (_, y) = twins()
    assert y.at(7).xns(y) == q.at(7).xns(p)
    strangers = q.socket("datagram")
    strangers.bind(7)
    refused(p, y.at(7), "far, which is in another simulation")
    p.socket("datagram").write(b"for q", to=q.at(7))
    assert strangers.read() == b"for q"


def test_an_address_goes_wherever_there_is_a_way() -> None:
    (p, q), (_, y) = twins()
    reader = q.socket("datagram")
    reader.bind(7)
    p.socket("datagram").write(b"x", to=y.at(7).xns(y))
    assert reader.read() == b"x"


def test_a_simulated_place_is_none_of_this_machine_nor_the_other_way_round() -> None:
    (p, _), _ = twins()
    a, b = pair()
    with a, b:
        refused(a, p.at(7), "near, which is simulated")
        refused(p, a.at(7), f"{a.name}, which is in no lab")
        assert b.at(7).xns(a).socket == 7  # two hosts of this machine, with an event loop each


def test_a_place_of_another_lab_is_refused() -> None:
    (_, y), _ = twins()
    try:
        first, second = Lab().__enter__(), Lab().__enter__()
    except NeedsPrivilege as error:
        pytest.skip(str(error))
    with first, second:
        hosts = [(lab.host("m"), lab.host("n")) for lab in (first, second)]
        for lab, (m, n) in zip((first, second), hosts, strict=True):
            lab.link(m, n)
        (m, n), (_, j) = hosts
        refused(m, j.at(7), "n, which is in another lab")
        refused(m, y.at(7), "far, which is simulated")
        assert n.at(7).xns(m) == XNSAddress.of(str(j.at(7).xns(hosts[1][0])))


def test_a_closed_hosts_place_is_not_taken_for_this_machine() -> None:
    gone = LocalHost(mac="02:00:00:00:00:0a", name="gone")
    gone.close()
    with LocalHost(mac="02:00:00:00:00:0b", name="here") as here:
        for kind in ("stream", "datagram"):
            with here.socket(kind, "inet") as sock:
                for verb in (sock.connect, sock.bind):
                    with pytest.raises(
                        SocketMisuse, match="here: .* got gone, which was closed .*make another"
                    ) as caught:
                        verb(gone.at(7))
                    assert caught.value.errno == errno.EADDRNOTAVAIL
