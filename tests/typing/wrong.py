"""Uses that type checkers have to refuse, one a line. Checked by tests/test_typing.py; never run."""

from packetlab import TCP, U8, U16, Ether, Header, IPv4, Rest, SimNetwork, dissect


class Beacon(Header, under=Ether, when={"type": 0x88B5}):
    station: U16


class Kinded(Header):
    kind: U8 = 0
    data: Rest = b""


class Half(Kinded, inside="data", when={"kind": 5}):
    high: U8


Half(high="x")  # wrong
Half(high=1).hihg  # wrong
Beacon(statoin=7)  # wrong
Beacon(station="seven")  # wrong
IPv4(tll=3)  # wrong
TCP(sport=b"x")  # wrong
Ether(dst=2.5)  # wrong
IPv4(src=2.5)  # wrong
Beacon(station=1).station = 2  # wrong
dissect(b"")[IPv4].tll  # wrong
dissect(b"", "Ether")  # wrong
SimNetwork().host("a").socket("seqpacket").write(7)  # wrong
SimNetwork().host("a").socket("seqpacket").headers_on_inptu  # wrong
SimNetwork().link(1, 2)  # wrong
dissect(b"").deep(3)  # wrong
