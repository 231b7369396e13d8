"""Seeded runs over links that lose, double, reorder and corrupt: every message once, in order, whole."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from packetlab import SimNetwork
from tests.conftest import amount

TABLE = Path(__file__).parent.parent / "snapshots" / "spp_loss_delay.txt"
SIZES = (0, 1, 2, 7, 100, 534)
LONGEST = 1000  # virtual seconds
LOSSES, DELAYS = (0, 0.01, 0.05, 0.1, 0.2, 0.3), (0.001, 0.01, 0.05, 0.1, 0.5)


def run(seed: int) -> float:
    """Talk over a link drawn by the seed; return the virtual seconds until both sides had closed."""
    draw = Random(seed)
    net = SimNetwork(seed)
    a, b = net.host("a"), net.host("b")
    worst = ("loss", "duplicate", "reorder", "corrupt")
    net.link(
        a, b, delay=draw.choice([0, 0.001, 0.05, 0.5]), jitter=draw.choice([0, 0.02]),
        **{what: draw.uniform(0, 0.3) for what in worst},
    )  # fmt: skip
    server = b.socket("seqpacket")
    server.bind(3000)
    server.listen(own_sockets=draw.random() < 0.5)
    client = a.socket("seqpacket")
    client.connect(b.at(3000))
    conn = server.accept()
    there, back = ([draw.randbytes(draw.choice(SIZES)) for _ in range(draw.randint(1, 20))] for _ in range(2))
    for message in there:
        client.write(message)
    for message in back:
        conn.write(message)
    assert [conn.read() for _ in there] == there
    assert [client.read() for _ in back] == back
    first, last = (client, conn) if draw.random() < 0.5 else (conn, client)
    first.close()
    assert last.read() == b"" and last.ended
    last.close()
    taken = net.now / 1e9
    net.run(600)  # the dally goes on after a close, over this link
    assert first.state.name == last.state.name == "CLOSED"
    return taken


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, amount(300, 10_000), 100))
def test_every_message_arrives_once_in_order_and_both_sides_close(first) -> None:
    assert max(run(seed) for seed in range(first, first + 100)) < LONGEST


def seconds(loss: float, delay: float) -> float:
    """Return the virtual seconds that 200 packets and the close take."""
    net = SimNetwork(seed=11)
    a, b = net.host("a"), net.host("b")
    net.link(a, b, loss=loss, delay=delay)
    server = b.socket("seqpacket")
    server.bind(3000)
    server.listen()
    client = a.socket("seqpacket")
    client.connect(b.at(3000))
    conn = server.accept()
    for number in range(0, 200, 20):
        for _ in range(20):
            client.write(bytes(100))
        for _ in range(20):
            assert len(conn.read()) == 100, number
    client.close()
    return net.now / 1e9


def table() -> str:
    """Return the table of loss x delay as text."""
    lines = ["virtual seconds for 200 packets of SPP; loss down, delay of the link (s) across", ""]
    lines.append("loss    " + "".join(f"{delay:>10}" for delay in DELAYS))
    for loss in LOSSES:
        lines.append(f"{loss:<8}" + "".join(f"{seconds(loss, delay):>10.3f}" for delay in DELAYS))
    return "\n".join(lines) + "\n"


@pytest.mark.slow
def test_loss_and_delay_cost_what_they_did() -> None:
    """A change shows here; where it is meant, `python -m tests.conversations.test_bad_links` writes the table anew."""
    assert table() == TABLE.read_text()


if __name__ == "__main__":
    TABLE.write_text(table())
