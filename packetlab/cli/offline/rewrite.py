"""`packetlab rewrite`: a capture into another, addresses, ports, tags and sizes changed. Options are tcprewrite's."""

from __future__ import annotations

import argparse
import re
from argparse import Namespace

from packetlab.cli.arguments import OK, Command, complain

PROTOCOLS = {"802.1q": 0x8100, "802.1ad": 0x88A8}


def add(command: Command) -> None:
    """Declare the command and its options."""
    rewrite = command("rewrite", _run, "write a capture anew, addresses, ports, tags and sizes changed")
    rewrite.add_argument("file", metavar="IN", help="pcap or pcapng, packed or not; - is standard input")
    rewrite.add_argument("output", metavar="OUT", help="pcapng, or pcap by its ending; - is standard output")
    option = rewrite.add_argument
    option(
        "-r", "--portmap", metavar="A:B,...", type=_ports, action="extend", default=[], help="ports; A may be a range"
    )
    for letter, name, what in (
        ("-N", "--pnat", "networks, at both ends and in ARP"), ("-S", "--srcipmap", "networks of sources"),
        ("-D", "--dstipmap", "networks of destinations"),
    ):  # fmt: skip
        option(letter, name, metavar="NET:NET,...", type=_nets, action="extend", default=[], help=what)
    option("-s", "--seed", "--anonymise", metavar="SEED", dest="anonymise", help="anonymise addresses")
    option("--enet-dmac", metavar="MAC", help="destination address of all frames")
    option("--enet-smac", metavar="MAC", help="source address of all frames")
    option("--enet-subsmac", metavar="OLD,NEW,...", type=_macs, action="extend", default=[], help="MAC addresses")
    option("--enet-vlan", choices=("add", "del"), help="push or pop a VLAN tag")
    option("--enet-vlan-tag", metavar="ID", type=_number, default=0, help="the tag's id, for add (0)")
    option("--enet-vlan-cfi", metavar="0|1", type=_number, default=0, help="its drop eligible bit (0)")
    option("--enet-vlan-pri", metavar="0..7", type=_number, default=0, help="its priority (0)")
    option("--enet-vlan-proto", choices=tuple(PROTOCOLS), default="802.1q", help="its kind (802.1q)")
    option("--ttl", metavar="N|+N|-N", help="time to live or hop limit: set, add or subtract")
    option("--tos", metavar="N", type=_number, help="type of service of IPv4")
    option("--tclass", metavar="N", type=_number, help="traffic class of IPv6")
    option("--flowlabel", metavar="N", type=_number, help="flow label of IPv6")
    option("--mtu", metavar="N", type=_number, default=1500, help="bytes of a packet for --mtu-trunc (1500)")
    option("--mtu-trunc", action="store_true", help="cut packets longer than the MTU")
    option("-F", "--fixlen", choices=("pad", "trunc", "del"), help="what to do with frames that the capture cut")
    option("--efcs", action="store_true", help="take the Ethernet check sequence away")
    option("-C", "--fixcsum", action="store_true", help="put wrong checksums right too")
    option("--dlt", choices=("enet", "hdlc", "raw", "user"), help="the link header instead")
    option("--hdlc-address", metavar="N", type=_number, default=0x0F, help="for --dlt=hdlc (15)")
    option("--hdlc-control", metavar="N", type=_number, default=0, help="for --dlt=hdlc (0)")
    option("--user-dlt", metavar="N", type=_number, help="link type for --dlt=user")
    option(
        "--user-dlink", metavar="N,N,...", type=_byte_list, default=b"", help="bytes of the link header for --dlt=user"
    )


def _run(args: Namespace) -> int:
    from packetlab.capture import Capture

    link = args.dlt
    if link == "user":
        link = (args.user_dlt, args.user_dlink)
    tag = {
        "id": args.enet_vlan_tag, "drop_eligible": args.enet_vlan_cfi, "priority": args.enet_vlan_pri,
        "type": PROTOCOLS[args.enet_vlan_proto],
    }  # fmt: skip
    capture = Capture(args.file).rewrite(
        ports=dict(args.portmap), ip=dict(args.pnat), src_ip=dict(args.srcipmap), dst_ip=dict(args.dstipmap),
        anonymise=args.anonymise, dst_mac=args.enet_dmac, src_mac=args.enet_smac, mac=dict(args.enet_subsmac),
        vlan_push=tag if args.enet_vlan == "add" else None, vlan_pop=args.enet_vlan == "del", ttl=args.ttl,
        tos=args.tos, tclass=args.tclass, flowlabel=args.flowlabel, mtu=args.mtu if args.mtu_trunc else None,
        fixlen=args.fixlen, fcs=args.efcs, fixcsum=args.fixcsum, link=link,
        hdlc=(args.hdlc_address, args.hdlc_control),
    )  # fmt: skip
    count = capture.write(args.output)
    print(f"{count} frames")
    for what, frames in capture.left.items():
        complain(f"packetlab rewrite: left as it was: {what} ({frames} frames)")
    return OK


def _number(text: str) -> int:
    return int(text, 0)


def _byte_list(text: str) -> bytes:
    return bytes(int(part, 0) for part in text.split(","))


def _ports(text: str) -> list[tuple[str, str]]:
    return [_pair(part.rpartition(":")) for part in text.split(",")]


def _macs(text: str) -> list[tuple[str, str]]:
    parts = text.split(",")
    if len(parts) % 2:
        raise argparse.ArgumentTypeError(f"expected pairs OLD,NEW, got {text}")
    return list(zip(parts[::2], parts[1::2], strict=True))


def _nets(text: str) -> list[tuple[str, str]]:
    """Read NET:NET,...; networks of IPv6 stand in brackets, as they have colons."""
    found = []
    for part in text.split(","):
        match = re.fullmatch(r"(?:\[(?P<a>[^\]]+)\]|(?P<b>[^:\[\]]+)):(?:\[(?P<c>[^\]]+)\]|(?P<d>[^:\[\]]+))", part)
        if match is None:
            raise argparse.ArgumentTypeError(f"expected NET:NET, or [NET]:[NET] for IPv6, got {part}")
        found.append((match["a"] or match["b"], match["c"] or match["d"]))
    return found


def _pair(parts: tuple[str, str, str]) -> tuple[str, str]:
    if not (parts[0] and parts[2]):
        raise argparse.ArgumentTypeError(f"expected A:B, got {''.join(parts)}")
    return parts[0], parts[2]
