"""`packetlab send`: a packet from an expression."""

from __future__ import annotations

from argparse import Namespace

from packetlab.cli.arguments import OK, Command, complain, count


def add(command: Command) -> None:
    """Declare the command and its options."""
    send = command("send", _run, "build a packet from an expression and send it")
    send.add_argument(
        "packet", metavar="PACKET", help="""such as 'Ether() / IPv4(dst="10.0.0.2") / UDP(dport=9) / b"hi"'"""
    )
    send.add_argument(
        "-i", metavar="IFACE", dest="interface", help="the interface to send on; without it the packet is printed"
    )
    send.add_argument("-c", metavar="N", dest="count", type=count, default=1, help="how many times")
    send.add_argument("--interval", metavar="S", type=float, default=0.0, help="seconds between")
    send.add_argument("-x", action="store_true", dest="hex", help="print bytes too")


def _run(args: Namespace) -> int:
    import time

    from packetlab.link.interface import Interface
    from packetlab.schema.literal import read_packet
    from packetlab.view.hexdump import hexdump

    packet = read_packet(args.packet)
    if args.hex or not args.interface:
        print(packet.show())
        if args.hex:
            print(hexdump(bytes(packet)))
    if not args.interface:
        return OK
    with Interface(args.interface) as interface:
        for number in range(args.count):
            if number:
                time.sleep(args.interval)
            interface.send(packet)
    complain(f"sent {args.count} x {len(packet)} bytes on {args.interface}")
    return OK
