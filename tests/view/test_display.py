"""What shows itself in a notebook, and how it is reached."""

from __future__ import annotations

import packetlab as pl


def test_a_packet_has_text_and_html() -> None:
    packet = pl.Ether() / pl.IPv4(dst="10.0.0.2") / pl.UDP(dport=9) / b"hi"
    bundle = packet._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "text/html"}
    assert "10.0.0.2" in bundle["text/plain"]
    assert "10.0.0.2" in bundle["text/html"]
