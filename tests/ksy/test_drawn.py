"""Headers of Kaitai's descriptions that are drawn are built, and read back as they were."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from packetlab import BuildError, Header, bindings, dissect, import_ksy, strategies
from tests.conftest import amount
from tests.ksy.again import ALL, FORMATS, LARGE, MISSING

INSIDE = {"ProtocolBodySizedWithIpv4Packet", "ProtocolBodySizedWithIpv6Packet", "ProtocolBodyWithIpv4Packet", "ProtocolBodyWithIpv6Packet"}
"""Classes that a header around them finds; they are drawn in that one."""
ONCE = ("packet_ppi", "pcap", "ipv4_packet", "ipv6_packet", "protocol_body")
"""Formats of which only what stands in their own file is drawn; ethernet_frame draws the rest."""
SLOW = (*LARGE, "bitcoin_transaction", "dns_packet", "ipv4_packet", "ipv6_packet", "rtpdump", "rtcp_payload", "some_ip/some_ip", "some_ip/some_ip_container", "some_ip/some_ip_sd", "some_ip/some_ip_sd_options", "microsoft_network_monitor_v2")


@pytest.mark.parametrize("name", [pytest.param(one, marks=[pytest.mark.slow] * (one in SLOW)) for one in ALL if one != MISSING])
def test_what_is_drawn_of_a_format_is_built_and_reads_back(name: str) -> None:
    with bindings():
        for cls in import_ksy(FORMATS / f"{name}.ksy").declare():
            if name in ONCE and f" {name}.ksy:" not in (cls.__doc__ or ""):
                continue
            if cls.__name__ in INSIDE:
                with pytest.raises(BuildError, match="draw the header that holds it"):
                    strategies.headers(cls)
            elif cls.__name__ == "SomeIpSdOptionsSdOptionSdConfigurationOption":  # its size is a number of the header around it less one
                with pytest.raises(BuildError, match=r"expected -1 bytes.*draw the header that holds it"):
                    drawn(cls, 1)
            else:
                drawn(cls, 4 if name in SLOW else 10)


def drawn(cls: type[Header], examples: int) -> None:
    @settings(max_examples=amount(examples, 10 * examples))
    @given(strategies.headers(cls))
    def reads_back(header: Header) -> None:
        packet = dissect(bytes(header), cls)
        assert not packet.faults and packet.payload == b"", f"{header}"
        assert packet.layers[0] == header

    reads_back()
