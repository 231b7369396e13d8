"""The networks that conversations run on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from packetlab import Lab, LocalHost, SimNetwork, Timing
from packetlab.link.event_loop import RealTime
from tests.sockets.test_background import HERE, free_ports

from .pairwise import Pairwise

NETWORKS = (
    "pairwise",
    "simulated",
    "simulated, snap",
    "simulated, bad",
    "simulated, routed",
    "lab",
    "lab, bad",
    "lab, routed",
    "lab, ip",
    "udp",
)


@pytest.fixture
def hosts(request: pytest.FixtureRequest) -> Iterator[tuple]:
    """Two hosts of each network, with a link between that is good, or bad."""
    kind, _, manner = request.param.partition(", ")
    if kind == "pairwise":
        yield Pairwise().hosts
    elif kind == "simulated":
        yield simulated(request.getfixturevalue("simnet"), manner)
    elif kind == "udp":
        ports, loop = free_ports(2), RealTime()
        sides = [LocalHost(mac=f"02:00:00:00:00:0{n}", name=f"side {n}", loop=loop) for n in (1, 2)]
        for side, ours, theirs in zip(sides, ports, ports[::-1], strict=True):
            side.join(0x401, "udp", local=(HERE, ours), peer=(HERE, theirs))
        yield tuple(sides)
        for side in sides:
            side.close()
    else:
        yield in_lab(request.getfixturevalue("lab"), manner)


def in_lab(lab: Lab, manner: str) -> tuple:
    """Return two hosts of a lab."""
    a, b = lab.host("a"), lab.host("b")
    if manner == "routed":
        router = lab.host("router")
        lab.link(a, router)
        lab.link(router, b)
        router.route()
    elif manner == "bad":
        lab.link(a, b, delay=0.002, loss=0.1, duplicate=0.1, reorder=0.1, seed=5)
        a.timing = b.timing = Timing(first=0.1, shortest=0.03)
    else:
        lab.link(a, b)
    if manner == "ip":
        a.join(0x501, "ip", peer=b.address)
        b.join(0x501, "ip", peer=a.address)
    return a, b


def simulated(net: SimNetwork, manner: str) -> tuple:
    """Return two hosts of a simulated network."""
    a, b = net.host("a"), net.host("b")
    if manner == "routed":
        router = net.host("router")
        net.link(a, router, delay=0.01)
        net.link(router, b, delay=0.01)
        router.route()
    elif manner == "bad":
        net.link(a, b, delay=0.05, jitter=0.02, loss=0.15, duplicate=0.15, reorder=0.15, corrupt=0.15)
    else:
        net.link(a, b, carrier=manner or "ethernet")
    return a, b
