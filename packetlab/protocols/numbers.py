"""Names of numbers that say which protocol follows, where no header declared here has them; to be read, nothing goes by them.

Source: IANA, "IEEE 802 Numbers" and "Protocol Numbers".
"""

from __future__ import annotations

from packetlab.declare.registry import space

ETHERTYPE = "ethertype"
"""Numbers of what stands in a frame: those that Ethernet, 802.1Q and others after it share. Below 0x600 they are lengths."""
PROTOCOL = "ip.protocol"
"""Numbers of what stands in a packet of IP, of either version."""

ethertypes = space(ETHERTYPE)
ethertypes.hexadecimal, ethertypes.least = True, 0x600
ethertypes.known.update({
    0x0842: "wake-on-LAN", 0x22EA: "SRP", 0x22F0: "AVTP", 0x22F3: "TRILL", 0x6003: "DECnet", 0x8035: "RARP", 0x809B: "AppleTalk",
    0x80F3: "AARP", 0x8808: "Ethernet flow control", 0x8809: "slow protocols", 0x8863: "PPPoE discovery", 0x888E: "EAPOL",
    0x8892: "PROFINET", 0x88A4: "EtherCAT", 0x88AB: "Powerlink", 0x88B8: "GOOSE", 0x88BA: "sampled values", 0x88CC: "LLDP",
    0x88E5: "MACsec", 0x88E7: "PBB", 0x88F7: "PTP", 0x8902: "CFM", 0x8906: "FCoE", 0x8914: "FIP", 0x893A: "IEEE 1905.1",
    0x894F: "NSH", 0x9000: "loopback",
})  # fmt: skip
space(PROTOCOL).known.update({
    2: "IGMP", 3: "GGP", 5: "ST", 8: "EGP", 9: "IGP", 12: "PUP", 27: "RDP", 33: "DCCP", 46: "RSVP", 50: "ESP", 54: "NARP", 59: "no next header",
    88: "EIGRP", 89: "OSPF", 94: "IPIP", 103: "PIM", 108: "IPComp", 112: "VRRP", 115: "L2TP", 124: "IS-IS", 133: "FC", 135: "mobility",
    136: "UDP-Lite", 137: "MPLS", 138: "MANET", 139: "HIP", 140: "Shim6", 142: "ROHC", 143: "Ethernet", 253: "experiment", 254: "experiment",
})  # fmt: skip
