"""UnansweredAddress: an address on a lab's link for which no kernel answers, to be a crafted peer with.

A kernel that has an address talks back by itself: it resets connections it knows nothing of, and answers echo requests.
It has a MAC and an IP address that no kernel has, so on the wire there is from it what you send and no more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from packetlab.declare.values.addresses import mac_value
from packetlab.link.interface import Interface
from packetlab.link.port import Port
from packetlab.packet.packet import Packet
from packetlab.protocols.ip import IPv4
from packetlab.protocols.link import Ether
from packetlab.renamed import old_names

if TYPE_CHECKING:
    import socket


class UnansweredAddress(Interface):
    """A port that receives what is sent to its own address alone; ``host.unanswered_address()`` makes one.

    Attributes:
        address: its IPv4 address. mac: its MAC address. Hosts on its link know both.

    ``peer.to(b) / TCP(dport=80)`` is a packet from it to a host; `send`, `receive` and `packetlab.exchange(via=peer)`
    are those of any port.
    """

    def __init__(self, name: str, socket: socket.socket, address: str, mac: bytes) -> None:
        import netaddr

        super().__init__(name, promiscuous=True, socket=socket)
        self.address, self.mac, self._mac = netaddr.IPAddress(address), mac_value(mac), mac

    def to(self, host: Any) -> Packet:
        """Return the headers that a packet to a host of the link begins with: Ether and IPv4.

        Args:
            host: a host, another unanswered address, or a packet that came from one (then it goes back there).
        """
        if isinstance(host, Packet):
            return Ether(dst=host[Ether].src, src=self.mac) / IPv4(dst=host[IPv4].src, src=self.address)
        return Ether(dst=host.mac, src=self.mac) / IPv4(dst=host.address, src=self.address)

    def _mine(self, data: bytes) -> bool:
        return data[:6] == self._mac or bool(data and data[0] & 1)

    def take(self) -> list[bytes]:
        """Return the frames that have come, without waiting."""
        return Port.take(self)

    def __str__(self) -> str:
        return f"unanswered {self.address}"


if not TYPE_CHECKING:
    __getattr__ = old_names(__name__)
