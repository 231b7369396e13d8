"""Answers of the bridges do not depend on what was read, declared or imported before: the order of calls is the variable."""

import itertools
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from scapy.layers.inet import IP as ScapyIP, UDP as ScapyUDP
from scapy.layers.l2 import Ether as ScapyEther

import packetlab as pl
from packetlab import TCP, U8, UDP, VLAN, Ether, Header, IPv4, ahead, bindings, dissect, field
from packetlab.protocols import link

QUERY = bytes.fromhex("1234010000010000000000000377777706676f6f676c6503636f6d0000010001")


def frame(body: bytes, sport: int = 4000, dport: int = 53) -> bytes:
    return bytes(Ether() / IPv4(src="192.0.2.1", dst="192.0.2.2") / UDP(sport=sport, dport=dport) / body)


DNS_FRAME, OURS_FRAME = frame(QUERY), frame(b"\xffhello", sport=6000)


def declared(name: str, under: Any = None, when: Any = None, sets: Any = None) -> type[Header]:
    body = {"__annotations__": {"a": U8}, "a": 1, "__module__": __name__, "__qualname__": name}
    made = type(Header)(name, (Header,), body)
    if under is not None:
        pl.bind(made, under=under, when=when, sets=sets)
    return made


def names(packet: Any) -> list[str]:
    return [layer.__name__ for layer in packet.layers()]


ASKED: dict[str, tuple[Callable[[], Any], Any]] = {
    "deep": (lambda: dissect(DNS_FRAME).deep().name, "dns"),
    "a query": (lambda: names(dissect(DNS_FRAME).to_scapy()), ["Ether", "IP", "UDP", "DNS"]),
    "ours": (lambda: names(dissect(OURS_FRAME).to_scapy()), ["Ether", "IP", "UDP", "Guarded", "Raw"]),
    "scapy itself": (lambda: names(ScapyEther(DNS_FRAME)), ["Ether", "IP", "UDP", "DNS"]),
    "dpkt": (lambda: type(dissect(OURS_FRAME).to_dpkt().data.data.data).__name__, "Guarded"),
}


@pytest.mark.slow
@pytest.mark.parametrize("order", list(itertools.permutations(ASKED)), ids=" / ".join)
def test_a_conditional_binding_changes_no_other_answer_in_any_order(order: tuple[str, ...]) -> None:
    with bindings():
        declared("Guarded", UDP, (field("dport") == 53) & (ahead(8) == 0xFF), {"dport": 53})
        for request in (*order, *order):
            call, expected = ASKED[request]
            assert call() == expected, request


def test_a_condition_is_a_condition_in_scapy_itself_too() -> None:
    with bindings():
        made = declared("Free", UDP, (field("dport") == 5999) & (ahead(8) == 0xFF), {"dport": 5999})
        theirs = pl.export.scapy_class(made)
        assert (ScapyUDP(sport=1) / theirs(a=9)).dport == 5999  # what is filled in when building
        assert names(ScapyEther(frame(b"\xff...", dport=5999))) == ["Ether", "IP", "UDP", "Free", "Raw"]
        assert names(ScapyEther(frame(b"\xfe...", dport=5999))) == ["Ether", "IP", "UDP", "Raw"]


def test_what_stands_always_takes_nothing_from_scapy() -> None:
    with bindings():
        always = declared("Always", UDP)
        assert names(dissect(frame(b"\x01\x02", dport=9999)).to_scapy()) == ["Ether", "IP", "UDP", "Always", "Raw"]
        assert names(ScapyEther(frame(b"\x01\x02", dport=9999)))[3] == "Always"
        assert names(ScapyEther(DNS_FRAME))[3] == "DNS" and always.__name__ == "Always"


def test_a_number_counts_as_long_as_it_is_declared() -> None:
    import dpkt

    sdp = bytes(12) + b"\x08\x06" + bytes(28)
    with bindings():
        made = declared("Taken", UDP, {"dport": 53})
        linked = declared("Linked", Ether, {"type": 0x88CC})
        assert names(dissect(DNS_FRAME).to_scapy())[3] == names(ScapyEther(DNS_FRAME))[3] == "Taken"
        assert type(dissect(bytes(Ether() / linked())).to_dpkt().data).__name__ == "Linked"
        pl.bind(made, under=TCP, when={"dport": 53})
        theirs = pl.export.scapy_class(made)
        assert type(ScapyIP(bytes(IPv4() / TCP(dport=53) / b"\1"))[2]) is theirs  # bound later, found all the same
    assert names(dissect(DNS_FRAME).to_scapy())[3] == names(ScapyEther(DNS_FRAME))[3] == "DNS"
    assert dpkt.ethernet.Ethernet(bytes(12) + b"\x88\xcc\1").data == b"\1"
    assert type(dpkt.ethernet.Ethernet(sdp).data).__name__ == "ARP"


def test_conditions_teach_dpkt_no_number() -> None:
    import dpkt

    with bindings():
        made = declared("Second", Ether, (field("type") == 0x0806) & (ahead(8) == 0xFF), {"type": 0x0806})
        pl.export.dpkt_class(made)
        assert type(dpkt.ethernet.Ethernet(bytes(12) + b"\x08\x06" + bytes(28)).data).__name__ == "ARP"


def test_headers_of_packetlab_stand_where_scapy_has_none() -> None:
    from scapy.layers.ppp import PPP, PPP_LCP_Configure

    lcp = bytes.fromhex("c0210101000a050607080900")
    dissect(bytes.fromhex("21") + bytes(IPv4() / UDP()), link.ShortPPP).to_scapy()
    dissect(b"\x0f\x00\x21" + bytes(IPv4()), link.PPPLink).to_scapy()
    assert PPP_LCP_Configure in PPP(lcp).layers()


def test_repeats_of_a_declaration_take_the_place_of_the_first() -> None:
    with bindings():
        for _ in range(2):
            made = declared("Twice", VLAN, {"type": 0xB0B7})
            packet = dissect(bytes(Ether() / VLAN() / made() / b"x"))
            assert packet.to_scapy()["Twice"].declared_header is made


@pytest.mark.slow
def test_scapys_reading_is_the_same_before_and_after_deep() -> None:
    # In a process of its own, where nothing of scapy was imported yet.
    code = """
import packetlab as pl
from packetlab import *
ospf = pl.dissect(bytes(Ether() / IPv4(protocol=89) / (bytes.fromhex("0201002c0a000001") + bytes(36))))
radius = pl.dissect(bytes(Ether() / IPv4() / UDP(sport=9, dport=1812) / bytes.fromhex("0101001400000000000000000000000000000000")))
def read(): return [[layer.__name__ for layer in p.to_scapy().layers()] for p in (ospf, radius)]
before = read()
assert ospf.deep().name == "ospf" and radius.deep().name == "radius"
assert read() == before, (read(), before)
assert before[1][-1] == "Radius", before
"""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
