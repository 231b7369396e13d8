"""Makes every capture of this folder, the same bytes each time: python captures/make.py [FOLDER].

Chance comes from seeds and time is virtual; nothing is asked of the machine. The tests make them again and compare.
`corpus/` and `families/` are not made here: each has a MANIFEST.tsv, which says of every capture where it comes from.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import packetlab as pl
from packetlab import (
    ARP,
    GRE,
    ICMP,
    IDP,
    LLC,
    MPLS,
    PPP,
    SNAP,
    SPP,
    TCP,
    U4,
    U16,
    U32,
    UDP,
    VLAN,
    VXLAN,
    Capture,
    Control,
    Ether,
    Fragment,
    Frame,
    Header,
    ICMPv6,
    ICMPv6Echo,
    IPv4,
    IPv4Flags,
    IPv6,
    Opcode,
    Packet,
    PPPoE,
    Rest,
    SimNetwork,
    TCPFlags,
    TCPOption,
    WebSocketFrame,
    Writer,
    auto,
    mask,
    size_of,
)  # fmt: skip

A, B = "02:00:00:00:00:01", "02:00:00:00:00:02"
TICK = 1_000_000  # nanoseconds between frames made by hand
MADE: dict[str, Callable[[Path], object]] = {}


def made(make: Callable[[Path], object]) -> Callable[[Path], object]:
    """Register what makes the capture that is called as it is."""
    MADE[f"{make.__name__.replace('_', '-')}.pcapng"] = make
    return make


def timed(packets: list[tuple[Packet, str]]) -> Iterator[Frame]:
    """Yield packets with comments as frames, one a millisecond."""
    for number, (packet, comment) in enumerate(packets):
        yield Frame(bytes(packet), number * TICK, comment=comment or None)


# Xerox NS, recorded from a simulated network -----------------------------------------------------------------------


def lossy(seed: int = 7) -> SimNetwork:
    """Two hosts talk SPP over a link that loses, doubles and reorders."""
    net = SimNetwork(seed=seed)
    a, b = net.host("a"), net.host("b")
    net.link(a, b, delay=0.05, loss=0.12, duplicate=0.05, reorder=0.05)
    server = b.socket("seqpacket")
    server.bind(3000)
    server.listen()
    client = a.socket("seqpacket")
    client.connect(b.at(3000))
    conn = server.accept()
    for number in range(24):
        client.write(b"line %d of a poem" % number, header=SPP(datastream=7))
        if number % 6 == 5:
            client.write(b"end of verse", header=SPP(datastream=9, control=Control.END_OF_MESSAGE))
            got = [conn.read() for _ in range(7)]
            conn.write(b"%d lines heard" % len(got[:-1]), header=SPP(datastream=8))
            client.read()
    client.attention(b"!")
    conn.read_attention()
    conn.read()
    client.close()
    conn.read()
    conn.close()
    return net


@made
def spp_lossy(path: Path) -> None:
    """SPP with what goes wrong on the way, said in the frames' comments."""
    lossy().capture.write(path)


@made
def xns_tour(path: Path) -> None:
    """Echo, Error, PEX, RIP, IDP datagrams and SPP, through a router."""
    net = SimNetwork(seed=11)
    a, middle, b = net.host("a"), net.host("middle"), net.host("b")
    net.link(a, middle, delay=0.002)
    net.link(middle, b, delay=0.010)
    middle.route()
    b.answer(4000, lambda data: data.upper())
    _ = a.xns, b.xns
    a.until(lambda: net.now >= 1_000_000_000, timeout=2)

    sender, receiver = a.socket("datagram"), b.socket("datagram")
    sender.write(pl.Echo(operation=1) / b"are you there?", to=b.at(2), header=IDP(packet_type=2))
    sender.read_packet()
    a.exchange(b.at(4000), b"what is your name?", client_type=1)
    receiver.bind(3001)
    sender.write(b"a datagram", to=b.at(3001))
    receiver.read()
    sender.connect(b.at(3999))
    sender.write(b"to nobody")
    with contextlib.suppress(ConnectionRefusedError):  # an Error says that there is no such socket
        sender.read()
    server, client = b.socket("seqpacket"), a.socket("seqpacket")
    server.bind(3000)
    server.listen()
    client.connect(b.at(3000))
    client.write(b"and a conversation")
    conn = server.accept()
    conn.read()
    client.close()
    conn.close()
    net.capture.write(path)


# A header of one's own ---------------------------------------------------------------------------------------------


@made
def beacon(path: Path) -> None:
    """Beacons, and the declaration of their header in the same file."""
    with pl.bindings():

        class Beacon(Header, under=Ether, when={"type": 0x88B5}):
            """A made-up beacon carried straight over Ethernet."""

            version: U4 = 1
            urgency: U4 = 0
            length: U16 = auto(size_of("self"))
            station: U32
            note: Rest = b""

        rng = Random(5)
        notes = [b"all quiet", b"wind rising", b"storm", b""]
        packets = [
            (Ether(dst=B, src=A) / Beacon(station=rng.randrange(7, 11), urgency=n % 4, note=notes[n % 4]), "")
            for n in range(12)
        ]
        packets.append((Ether(dst=B, src=A) / Beacon(station=7, length=99, note=b"I am longer"), "length is too large"))
        packets.append((Ether(dst=B, src=A) / Beacon(station=7, length=3), "length is too small"))
        with Writer(path, declare=[Beacon]) as writer:
            for frame in timed(packets):
                writer.write(frame)


# TCP, by hand: a simulated network has none --------------------------------------------------------------------------


class Conversation:
    """The segments of one TCP connection, as a client and a server would send them."""

    def __init__(self, sport: int, dport: int, mss: int = 1460) -> None:
        self.ports, self.seq, self.size = (sport, dport), [1000, 5000], mss
        self.packets: list[tuple[Packet, str]] = []
        option = (TCPOption(kind=2, data=mss.to_bytes(2, "big")),)
        self.segment(0, TCPFlags.SYN, options=option, ack=False)
        self.segment(1, TCPFlags.SYN, options=option)
        self.segment(0, TCPFlags(0))

    def segment(
        self, side: int, flags: TCPFlags, data: bytes = b"", *, options: tuple[TCPOption, ...] = (), ack: bool = True
    ) -> None:
        """Add a segment of the client (0) or the server (1)."""
        there, back = ("10.0.0.1", "10.0.0.2"), (A, B)
        self.packets.append((
            Ether(dst=back[1 - side], src=back[side])
            / IPv4(src=there[side], dst=there[1 - side], id=len(self.packets), flags=IPv4Flags.DONT_FRAGMENT)
            / TCP(
                sport=self.ports[side], dport=self.ports[1 - side], seq=self.seq[side],
                ack=self.seq[1 - side] if ack else 0, flags=flags | (TCPFlags.ACK if ack else TCPFlags(0)),
                window=29200, options=options,
            )
            / data,
            "",
        ))  # fmt: skip
        self.seq[side] += len(data) + bool(flags & (TCPFlags.SYN | TCPFlags.FIN))

    def say(self, side: int, data: bytes) -> None:
        """Add data, in segments, each acknowledged."""
        for at in range(0, len(data), self.size):
            self.segment(side, TCPFlags.PSH, data[at : at + self.size])
            self.segment(1 - side, TCPFlags(0))

    def end(self) -> None:
        """Close, the client first."""
        self.segment(0, TCPFlags.FIN)
        self.segment(1, TCPFlags.FIN)
        self.segment(0, TCPFlags(0))


@made
def tcp_http(path: Path) -> None:
    """A page in four segments, the second of which is lost, seen late and sent again."""
    talk = Conversation(40000, 80, mss=536)
    talk.say(0, b"GET /poem.txt HTTP/1.1\r\nHost: b.example\r\n\r\n")
    body = b"".join(b"line %02d of a poem that is read over TCP\n" % n for n in range(40))
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n" % len(body)
    talk.say(1, head + body)
    lost = next(n for n, (packet, _) in enumerate(talk.packets) if n > 6 and packet.payload)
    packet, _ = talk.packets[lost]
    del talk.packets[lost : lost + 2]  # it, and what acknowledged it
    answer, comment = talk.packets[lost + 1]
    talk.packets[lost + 1] = answer.replace(TCP, ack=packet[TCP].seq), comment  # says again where the gap begins
    talk.packets.insert(lost + 2, (packet, "sent again; the first was lost"))
    talk.packets.insert(lost + 3, (answer, ""))
    talk.end()
    Capture.of(timed(talk.packets)).write(path)


@made
def websocket(path: Path) -> None:
    """The handshake of RFC 6455 section 1.3, a text in two fragments with a ping between them, and a close."""
    talk = Conversation(40001, 80)
    talk.say(
        0,
        b"GET /chat HTTP/1.1\r\nHost: b.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
    )
    talk.say(
        1,
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
    )
    rng = Random(6455)

    def masked(opcode: Opcode, data: bytes, fin: int = 1) -> bytes:
        key = rng.randbytes(4)
        return bytes(WebSocketFrame(fin=fin, opcode=opcode, masking_key=key) / mask(key, data))

    def plain(opcode: Opcode, data: bytes) -> bytes:
        return bytes(WebSocketFrame(opcode=opcode) / data)

    talk.say(0, masked(Opcode.TEXT, b"hel", fin=0))
    talk.say(0, masked(Opcode.PING, b"?"))
    talk.say(1, plain(Opcode.PONG, b"?"))
    talk.say(0, masked(Opcode.CONTINUATION, b"lo"))
    talk.say(1, plain(Opcode.TEXT, b"hello yourself") + plain(Opcode.BINARY, bytes(range(200))))
    talk.say(0, masked(Opcode.CLOSE, b"\x03\xe8bye"))
    talk.say(1, plain(Opcode.CLOSE, b"\x03\xe8"))
    talk.end()
    Capture.of(timed(talk.packets)).write(path)


# What is odd -------------------------------------------------------------------------------------------------------


@made
def malformed(path: Path) -> None:
    """The catalogue of malformed packets of four sound ones."""
    ether = Ether(dst=B, src=A)
    ip = ether / IPv4(src="10.0.0.1", dst="10.0.0.2")
    sound: list[Packet] = [
        ip / UDP(sport=1024, dport=9) / b"sound",
        ip / TCP(sport=1024, dport=9, options=[TCPOption(kind=2, data=b"\x05\xb4")]) / b"sound",
        ether / IPv6(src="fd00::1", dst="fd00::2") / ICMPv6(type=128) / ICMPv6Echo(identifier=1) / b"sound",
        ether / IDP(dst=(0x401, B, 3000), src=(0x401, A, 3001)) / SPP(datastream=7) / b"sound",
    ]
    frames = [(case.data, f"{case.id}: {case.what}") for packet in sound for case in pl.malformed(packet)]
    Capture.of(Frame(data, n * TICK, comment=said) for n, (data, said) in enumerate(frames)).write(path)


@made
def fragments(path: Path) -> None:
    """Datagrams in fragments: in order, out of order, with an overlap, with a hole; IPv4 and IPv6."""
    udp = bytes(UDP(sport=1024, dport=9, checksum=0) / bytes(n & 255 for n in range(2992)))  # 3000 bytes

    def four(id: int, start: int, size: int, more: bool = True) -> Packet:
        flags = IPv4Flags.MORE_FRAGMENTS if more else IPv4Flags(0)
        return (
            Ether(dst=B, src=A)
            / IPv4(src="10.0.0.1", dst="10.0.0.2", id=id, protocol=17, flags=flags, fragment_offset=start // 8)
            / udp[start : start + size]
        )

    def six(id: int, start: int, size: int, more: bool = True) -> Packet:
        return (
            Ether(dst=B, src=A)
            / IPv6(src="fd00::1", dst="fd00::2", next_header=44)
            / Fragment(next_header=17, offset=start // 8, more=int(more), id=id)
            / whole_six[start : start + size]
        )

    sound = pl.dissect(bytes(Ether() / IPv6(src="fd00::1", dst="fd00::2") / UDP(sport=1024, dport=9) / udp[8:]))
    whole_six = bytes(sound)[54:]
    third = 1000
    Capture.of(timed([
        (four(1, 0, third), "in order"), (four(1, third, third), "in order"),
        (four(1, 2 * third, third, False), "in order"),
        (four(2, 2 * third, third, False), "the last one first"), (four(2, third, third), "the last one first"),
        (four(2, 0, third), "the last one first"),
        (four(3, 0, 1200), "reaches into the next"), (four(3, third, third), "overlaps with the one before"),
        (four(3, 2 * third, third, False), "overlaps no more"),
        (four(4, 0, third), "the middle one is missing"), (four(4, 2 * third, third, False), "the middle one is missing"),
        (six(5, 0, third), "IPv6"), (six(5, third, third), "IPv6"), (six(5, 2 * third, third, False), "IPv6"),
    ])).write(path)  # fmt: skip


@made
def tunnels(path: Path) -> None:
    """What a packet may travel in: VLAN tags, MPLS, PPPoE, SNAP, GRE, VXLAN, IP in IP in several ways."""
    ether = Ether(dst=B, src=A)
    inner = IPv4(src="192.168.0.1", dst="192.168.0.2") / UDP(sport=1024, dport=9) / b"inside"
    inner6 = IPv6(src="fd00::1", dst="fd00::2") / UDP(sport=1024, dport=9) / b"inside"
    outer = ether / IPv4(src="10.0.0.1", dst="10.0.0.2")
    Capture.of(timed([
        (ether / VLAN(id=5) / inner, "a VLAN tag"),
        (Ether(dst=B, src=A, type=0x88A8) / VLAN(id=5) / VLAN(id=7, priority=3) / inner, "two: 802.1ad"),
        (ether / MPLS(label=16, bottom=0) / MPLS(label=17, bottom=1) / inner, "two MPLS labels"),
        (ether / PPPoE(session=9) / PPP() / inner, "PPP over Ethernet"),
        (ether / LLC() / SNAP() / inner, "LLC and SNAP"),
        (outer / GRE() / inner, "GRE"),
        (outer / inner, "IPv4 in IPv4"),
        (outer / inner6, "IPv6 in IPv4"),
        (ether / IPv6(src="fd00::3", dst="fd00::4") / inner, "IPv4 in IPv6"),
        (outer / UDP(sport=5000, dport=4789) / VXLAN(vni=42) / Ether(dst=B, src=A) / inner, "VXLAN"),
        (ether / VLAN(id=5) / ARP(sender_mac=A, sender_ip="10.0.0.1", target_ip="10.0.0.2"), "ARP in a VLAN"),
        (outer / ICMP(type=3, code=3) / bytes(inner)[:28], "ICMP that quotes what it is about"),
    ])).write(path)  # fmt: skip


def main(folder: Path) -> None:
    """Make them all."""
    for name, make in MADE.items():
        make(folder / name)
        print(f"{name}: {(folder / name).stat().st_size} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
