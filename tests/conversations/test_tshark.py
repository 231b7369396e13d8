"""What tshark makes of our conversations: every field as we see it, nothing malformed, every checksum right."""

from __future__ import annotations

import pytest

from packetlab import IDP, SPP, Capture, Frame, SimNetwork

from .scripts import CONVERSATIONS

FIELDS = {
    "idp.checksum": lambda p: f"0x{p[IDP].checksum:04x}",
    "idp.len": lambda p: str(p[IDP].length),
    "idp.packet_type": lambda p: str(int(p[IDP].packet_type)),
    "idp.dst.net": lambda p: f"0x{p[IDP].dst.net:08x}",
    "idp.dst.node": lambda p: p[IDP].dst.host.to_bytes(6, "big").hex(":"),
    "idp.dst.socket": lambda p: f"0x{p[IDP].dst.socket:04x}",
    "idp.src.socket": lambda p: f"0x{p[IDP].src.socket:04x}",
    "spp.ctl": lambda p: f"0x{int(p[SPP].control):02x}" if SPP in p else "",
    "spp.type": lambda p: f"0x{p[SPP].datastream:02x}" if SPP in p else "",
    "spp.src": lambda p: str(p[SPP].source_id) if SPP in p else "",
    "spp.dst": lambda p: str(p[SPP].destination_id) if SPP in p else "",
    "spp.seq": lambda p: str(p[SPP].seq) if SPP in p else "",
    "spp.ack": lambda p: str(p[SPP].ack) if SPP in p else "",
    "spp.alloc": lambda p: str(p[SPP].alloc) if SPP in p else "",
    "_ws.malformed": lambda p: "",
}


@pytest.mark.slow
@pytest.mark.parametrize("carrier", ["ethernet", "snap"])
def test_tshark_sees_every_field_of_our_sessions_as_we_do(tmp_path, tshark, carrier) -> None:
    frames: list[Frame] = []
    for number, talk in enumerate(CONVERSATIONS):
        net = SimNetwork(seed=number)
        a, b = net.host("a"), net.host("b")
        lossy = talk.__name__ not in ("datagrams_and_their_headers", "raw_sockets_see_everything")
        net.link(a, b, delay=0.01, carrier=carrier, loss=0.1 * lossy, duplicate=0.1)
        talk(a, b)
        frames += net.capture
    Capture.of(frames).write(path := tmp_path / "all.pcapng")  # one start of tshark for all of them
    packets = [frame.packet() for frame in frames]
    # An Error quotes a packet, and tshark then tells of nothing inside; it is compared up to its own header.
    expected = [[tell(packet) for tell in FIELDS.values()] for packet in packets if packet[IDP].packet_type != 3]
    errors = {n for n, packet in enumerate(packets) if packet[IDP].packet_type == 3}
    rows = [row + [""] * (len(FIELDS) - len(row)) for row in tshark(path, *FIELDS)]
    assert [row for n, row in enumerate(rows) if n not in errors] == expected
    assert not any(row[-1] for row in rows)
    for packet in packets:
        assert packet.verdict(IDP).name in ("GOOD", "NOT_PRESENT"), packet
    assert len(frames) > 200
