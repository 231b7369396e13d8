"""Uses that type checkers have to refuse, one a line. Checked by tests/test_typing.py; never run.

Of class options mypy checks none where a class has a metaclass of its own.
"""

from packetlab import TCP, U8, U16, Ether, Header, IPv4, IPv4Address, Rest, SimNetwork, dissect, field, many, when


class Beacon(Header, under=Ether, when={"type": 0x88B5}):
    station: U16


class Kinded(Header):
    kind: U8 = 0
    data: Rest = b""


class Half(Kinded, inside="data", when={"kind": 5}):
    high: U8


class Present(Header):
    has: U8 = 0
    number: U16 | None = when(field("has") == 1)
    hosts: tuple[IPv4Address, ...] = many(count=1)


Present().number + 1  # wrong
Present(number="x")  # wrong
Present(hosts=(5.5,))  # wrong
Present().hosts[0].hots  # wrong
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


class Middle(Header, bit_order="middle"):  # wrong for pyright
    a: U8 = 0


class Misspelt(Header, bit_ordr="low"):  # wrong for pyright
    a: U8 = 0


class Remembering(Header, remembers=5):  # wrong for pyright
    a: U8 = 0


class Above(Header, under=5):  # wrong for pyright
    a: U8 = 0
