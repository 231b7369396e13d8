"""One suite of conversations, on every network: the same script, whatever the network."""

from __future__ import annotations

import pytest

from .conftest import NETWORKS
from .scripts import CONVERSATIONS, datagrams_and_their_headers, raw_sockets_see_everything

UNREPEATED = {datagrams_and_their_headers, raw_sockets_see_everything}  # on a bad link lost is lost
PAIRS = [
    pytest.param(talk, net, id=f"{talk.__name__} on {net}", marks=[pytest.mark.slow] * net.startswith("lab, "))
    for talk in CONVERSATIONS
    for net in NETWORKS
    if not ("bad" in net and talk in UNREPEATED)
]


@pytest.mark.parametrize(("talk", "hosts"), PAIRS, indirect=["hosts"])
@pytest.mark.packetlab(seed=4)
def test_the_same_script_runs(talk, hosts) -> None:
    talk(*hosts)
