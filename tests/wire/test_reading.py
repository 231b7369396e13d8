"""What reading a packet's fields costs and gives, however often and in whatever order it is done."""

from __future__ import annotations

import netaddr
import pytest

from packetlab import MAC, Ether, Header, IPv4, IPv4Address, IPv6Address, dissect


class Ends(Header):
    mac: MAC
    four: IPv4Address
    six: IPv6Address


@pytest.mark.parametrize(
    ("raw", "mac", "four", "six"),
    [
        (bytes(26), "00:00:00:00:00:00", "0.0.0.0", "::"),
        (bytes(range(26)), "00:01:02:03:04:05", "6.7.8.9", "a0b:c0d:e0f:1011:1213:1415:1617:1819"),
        (b"\xff" * 26, "ff:ff:ff:ff:ff:ff", "255.255.255.255", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ],
)
def test_an_address_read_is_the_one_that_its_library_makes_of_text(raw: bytes, mac: str, four: str, six: str) -> None:
    ends = dissect(raw, Ends)[Ends]
    made = netaddr.EUI(mac, dialect=netaddr.mac_unix_expanded), netaddr.IPAddress(four), netaddr.IPAddress(six)
    for got, wanted in zip((ends.mac, ends.four, ends.six), made, strict=True):
        assert type(got) is type(wanted)
        assert got == wanted
        assert hash(got) == hash(wanted)
        assert (str(got), repr(got), int(got)) == (str(wanted), repr(wanted), int(wanted))
        assert got.words == wanted.words
        assert got.version == wanted.version


def test_an_address_that_its_reader_changes_changes_nothing_else() -> None:
    packet = Ether() / IPv4(src="10.0.0.1", dst="10.0.0.1")
    mine = packet[IPv4].src
    mine += 1
    assert str(mine) == "10.0.0.2"
    assert str(packet[IPv4].src) == str(packet[IPv4].dst) == "10.0.0.1"
