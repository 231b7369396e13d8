"""The dissector that is written for Wireshark, held against packetlab's own reading by tshark: every field of every frame."""

from __future__ import annotations

import random
from collections.abc import Iterator
from enum import IntEnum
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings, strategies as st

import packetlab as pl
from packetlab import (
    IDP,
    LLC,
    PEX,
    PPP,
    RIP,
    S64,
    SNAP,
    SPP,
    TCP,
    U8,
    U32,
    U64,
    UDP,
    VLAN,
    BuildError,
    Capture,
    Echo,
    Error,
    Ether,
    Frame,
    Header,
    IPv4,
    IPv6,
    Packet,
    PPPoE,
    RIPEntry,
    auto,
    bindings,
    bits,
    choose,
    field,
    malformed,
    size_of,
    when,
)
from packetlab.cli import main
from packetlab.cli.export import headers_of
from packetlab.codec.objects import declared_classes as declared
from packetlab.declare import registry
from packetlab.export.wireshark.wireshark import wireshark
from packetlab.protocols.linktypes import FIRST
from tests.conftest import CORPUS, amount, need
from tests.export.pdml import Tshark, compare, differences, prefix

HARBOUR = Path(__file__).with_name("harbour.py")
XNS = [header for header in declared() if header.__module__ == "packetlab.protocols.xns"]
IP = IPv4(src="10.0.0.1", dst="10.0.0.2")
FEW = settings(
    max_examples=3, derandomize=True, phases=(Phase.generate, Phase.shrink), suppress_health_check=list(HealthCheck)
)


@pytest.fixture(scope="module")
def harbour() -> Iterator[Any]:
    """The headers of harbour.py, as the command line reads them."""
    with bindings():
        yield SimpleNamespace(**{header.__name__: header for header in headers_of(str(HARBOUR))})


@pytest.fixture(scope="module")
def tshark(harbour: Any, tmp_path_factory: pytest.TempPathFactory) -> Tshark:
    """Wireshark with those."""
    need("tshark")
    return Tshark(tmp_path_factory.mktemp("harbour"), *vars(harbour).values())


@pytest.fixture(scope="module")
def with_xns(tmp_path_factory: pytest.TempPathFactory) -> Tshark:
    """Wireshark with the XNS family."""
    need("tshark")
    return Tshark(tmp_path_factory.mktemp("xns"), *XNS)


@pytest.fixture(scope="module")
def sound(harbour: Any) -> list[Packet]:
    """A packet of each kind, without a fault."""
    h = harbour
    full = h.Harbour(
        lights=5, cargo=1, name=b"bob", key=7, crew=3, marks=(h.Mark(at=1), h.Mark(at=2, height=-300)),
        tags=(h.Tag(kind=0), h.Tag(value=b"xyz")), id=2**64 - 1, id_little=2**64 - 2, deep=-(2**62), depth=1 << 40,
    )  # fmt: skip
    found = [
        Ether() / full,
        Ether() / full / h.Boat(tags=(h.Tag(value=b"a"),)) / b"rest",
        Ether() / h.Harbour() / h.Boat() / h.Barge() / b"odd",
        Ether() / h.Harbour() / h.Boat() / h.Raft(plank=2) / IP / UDP(sport=7000, dport=5600) / h.Radio() / b"",
        Ether() / IP / h.Pilot() / b"hello",
        Ether() / IPv6(src="fe80::1", dst="::2") / h.Pilot() / b"six",
        Ether() / VLAN(id=3) / IP / UDP(sport=1, dport=5600) / h.Radio(words=b"www"),
        Ether() / IP / UDP(sport=5600, dport=9) / b"\0\0\0\0",
        Ether() / IP / UDP(dport=5601) / h.Signal(),
        Ether() / IP / UDP(dport=5601) / b"\1\2",
        Ether() / IP / UDP(dport=1) / h.Horn(value=9),
        Ether() / IP / TCP(dport=5602) / h.Tide(note=b"n"),
    ]
    assert [packet.faults for packet in found] == [()] * len(found)
    return found


def idp(**given: Any) -> IDP:
    return IDP(dst="1H.2H.3H", src="41A.1000AA000001.3FFF", **given)


QUOTED = bytes(idp() / SPP(seq=9) / b"quoted data here")
OF_XNS = [
    idp() / SPP(control=0x50, seq=1, ack=2, alloc=3) / b"data!",
    idp() / PEX(id=7, client_type=1) / b"x",
    idp() / Echo() / b"echo",
    idp() / Error(number=2) / QUOTED,
    idp(packet_type=3) / (bytes(Error(number=0x203)) + QUOTED[:42]),
    idp() / RIP(operation=2, entries=(RIPEntry(net=1, hops=2), RIPEntry(net=5))),
    idp(packet_type=77) / b"none",
    idp(checksum=0xFFFF) / SPP(),
]
CARRIERS = {
    "ethernet": Ether() / b"",
    "vlan": Ether() / VLAN(id=5),
    "snap": Ether() / LLC() / SNAP(),
    "ip": Ether() / IP,
    "ppp": Ether() / PPPoE(session=3) / PPP(),
}
LOWER = ("Ether", "VLAN", "LLC", "SNAP", "PPPoE", "PPP", "IPv4", "IPv6", "UDP", "TCP")


def spoilt(sound: list[Packet], seed: int, count: int) -> list[Any]:
    """Return frames with bytes changed after what Wireshark dissects itself, ends missing, or more after."""
    rng = random.Random(seed)
    found: list[Any] = []
    for _ in range(count):
        packet = rng.choice(sound)
        data = bytearray(bytes(packet))
        first, at, free = 0, 0, []
        for layer in packet.layers:
            end = at + len(bytes(layer)) - len(getattr(layer, "payload", None) or b"")
            theirs = type(layer).__name__ in LOWER
            first = end if theirs and first == at else first
            free += [] if theirs else range(at, end)
            at = end
        free += range(at, len(data))
        how = rng.random()
        for _ in range(rng.randint(1, 3) if how < 0.75 and free else 0):
            data[rng.choice(free)] = rng.choice([0, 255, 1, rng.randrange(256), rng.randrange(256)])
        if how > 0.95:
            data += bytes(rng.randint(1, 9))
        elif how > 0.6:
            kept = rng.randint(min(first + 1, len(data)), len(data))
            wire = len(data) if rng.random() < 0.5 else kept
            found.append(Frame(bytes(data[:kept]), len(found), 1, wire_length=wire))
            continue
        found.append(bytes(data))
    return found


@pytest.mark.slow
def test_every_field_of_sound_packets(tshark: Tshark, sound: list[Packet]) -> None:
    compare(tshark, sound)


@pytest.mark.slow
def test_every_field_verdict_and_fault_of_spoilt_packets(tshark: Tshark, sound: list[Packet]) -> None:
    frames = spoilt(sound, 1, 900)
    compare(tshark, frames)
    said = [str(fault) for frame in Capture(tshark.folder / "query.pcapng") for fault in frame.packet().faults]
    assert len(set(said)) > 60 and any(text.endswith("cut by the capture") for text in said)


@pytest.mark.slow
def test_the_catalogue_of_malformed_packets(tshark: Tshark, harbour: Any, sound: list[Packet]) -> None:
    cases = [case for packet in (sound[1], sound[2], sound[4]) for case in malformed(packet)]
    names = {header.__name__.lower() for header in vars(harbour).values()}
    # What is wrong with the layers below is for Wireshark to say.
    mine = [case for case in cases if case.id.split(".")[0].split("#")[0] in names]
    assert len(mine) > 100
    compare(tshark, [case.data for case in mine])


@pytest.mark.slow
def test_drawn_packets(tshark: Tshark, harbour: Any) -> None:
    stack = (Ether, harbour.Harbour, harbour.Boat)

    @FEW
    @given(st.lists(pl.strategies.packets(*stack, values="any"), min_size=30, max_size=30))
    def check(packets: list[Packet]) -> None:
        compare(tshark, packets)

    check()


@pytest.mark.slow
def test_drawn_bytes(tshark: Tshark) -> None:
    head = bytes.fromhex("ffffffffffff000000000000b1b0")

    @FEW
    @given(st.lists(st.binary(min_size=1, max_size=200), min_size=100, max_size=100))
    def check(tails: list[bytes]) -> None:
        compare(tshark, [head + tail for tail in tails])

    check()


@pytest.mark.slow
@pytest.mark.parametrize("carrier", CARRIERS)
def test_xns_over_what_carries_it(with_xns: Tshark, carrier: str) -> None:
    packets = [CARRIERS[carrier] / packet for packet in OF_XNS]
    compare(with_xns, [*packets, *spoilt([pl.dissect(packet) for packet in packets], 2, 250)])


@pytest.mark.slow
def test_xns_in_udp_is_known_by_its_look(with_xns: Tshark) -> None:
    layers = with_xns.ask([Ether() / IP / UDP(sport=6000, dport=6001) / bytes(packet) for packet in OF_XNS[:6]])
    assert [differences(packet if isinstance(packet, Packet) else Packet((packet,)), found) for packet, found in zip([pl.dissect(bytes(p), IDP) for p in OF_XNS[:6]], layers, strict=True)] == [[]] * 6  # fmt: skip
    others = with_xns.ask([Ether() / IP / UDP() / bytes(size) for size in (1, 29, 30, 31, 60)])
    assert not any(one.get("name") == "xns_idp" for found in others for one in found)


def test_the_line_of_a_nethub(with_xns: Tshark) -> None:
    frames = [bytes(Ether() / packet) for packet in OF_XNS[:3]]
    line = b"".join(len(frame).to_bytes(2, "big") + frame for frame in frames)
    (layers,) = with_xns.ask([Ether() / IP / TCP(dport=3333, sport=4000, flags="ACK|PSH") / line])
    assert [one.get("name") for one in layers].count("nethub") == 3
    found = [one for one in layers if one.get("name", "").startswith("xns_")]
    assert [one.get("name") for one in found] == ["xns_idp", "xns_spp", "xns_idp", "xns_pex", "xns_idp", "xns_echo"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dodo_checksums.pcap", "bsd-bsd.pcap"])
def test_captures_of_others(with_xns: Tshark, name: str) -> None:
    packets = [frame.packet() for frame in Capture(CORPUS / name)]
    answers = with_xns.dissected(CORPUS / name)
    assert len(packets) == len(answers) > 0
    assert [differences(packet, layers) for packet, layers in zip(packets, answers, strict=True)] == [[]] * len(packets)
    assert any(IDP in packet for packet in packets)


@pytest.mark.slow
def test_numbers_of_64_bits_in_conditions(tmp_path: Path) -> None:
    need("tshark")
    f = field
    with bindings():

        class Wide(Header, under=Ether, when={"type": 0xB1B1}):
            a: U64 = 0
            b: U64 = 0
            c: S64 = 0
            d: U32 = 0
            e: U32 = 0
            s: Annotated[int, bits(54, signed=True)] = 0
            t: Annotated[int, bits(10)] = 0
            sum: U8 = when(f("a") + f("b") > 2**64, 0)
            quotient: U8 = when(f("a") * f("b") // (f("c") * f("c") + 1) > 5, 0)
            exclusive: U8 = when((f("a") ^ f("b")) & 0xFF == 3, 0)
            shifted: U8 = when((f("c") >> 3) | 1 == f("s"), 0)
            product: U8 = when(f("d") * f("e") == f("a"), 0)
            left: U8 = when(((f("a") << (f("t") & 63)) & (2**64 - 1)) >> 32 == f("d"), 0)
            negative: U8 = when((f("c") // 3 - f("s")) // -7 < 0, 0)
            listed: U8 = when(f("a").one_of(5, 2**64 - 1, 2**63), 0)
            floor: U8 = when((f("d") - f("e")) // (f("t") + 1) < -3, 0)
            wrapped: U8 = when(((f("d") - f("e")) & 0xFFFFFFFF) > 2**31, 0)
            chosen: U8 = when((choose(f("d") > f("e"), f("a"), f("d")) ^ -1) < -(2**40), 0)
            either: U8 = when((f("d") | f("e") | (f("d") - f("e"))) < 0, 0)
            size: U8 = auto(size_of("rest"))
            rest: pl.Bytes = b""

        rng = random.Random(5)

        def edge(n: int) -> int:
            return rng.choice(
                [0, 1, 3, 5, 2 ** (n - 1) - 1, 2 ** (n - 1), 2**n - 1, rng.getrandbits(n // 2), rng.getrandbits(n)]
            )

        frames = []
        for _ in range(amount(400, 4000)):
            d, e = edge(32), edge(32)
            values = ((rng.choice([edge(64), d * e]), 8), (edge(64), 8), (edge(64), 8), (d, 4), (e, 4))
            tail = (edge(54) << 10 | edge(10), 8)
            frames.append(
                bytes(Ether(type=0xB1B1)) + b"".join(n.to_bytes(size, "big") for n, size in (*values, tail)) + bytes(15)
            )
        compare(Tshark(tmp_path, Wide), frames)
        there = [
            {name for name in Wide._by_name if getattr(pl.dissect(frame)[Wide], "_" + name) is not None}
            for frame in frames
        ]
        assert {frozenset(names) for names in there} and all(
            any(name in names for names in there) and not all(name in names for names in there)
            for name in list(Wide._by_name)[7:-2]
        )


def test_names_and_texts_cannot_become_lua(tmp_path: Path) -> None:
    need("tshark")
    evil = '"]] os.execute("touch ' + str(tmp_path / "owned") + '") --[[ \n\0\x1b[31m\\ ünï'
    with bindings():
        names = IntEnum("Names", {'a"] = os.exit() --': 1, "]]": 2, "ünï\n": 3})
        body = {
            "__annotations__": {"größe": U8, "kind": Annotated[names, bits(8)]}, "__doc__": evil, "größe": 1, "kind": 1,
            "__module__": "evil", "__qualname__": "Böse",
        }  # fmt: skip
        evil_header: Any = type(Header)("Böse", (Header,), body, under=Ether, when={"type": 0xB1B2})
        script = wireshark(evil_header)
        assert script.isascii() and "\n\0" not in script
        shark = Tshark(tmp_path, lua=script)
        path = tmp_path / "one.pcap"
        with pl.Writer(path) as writer:
            writer.write(Frame(bytes(Ether() / evil_header()), 0, 1))
        assert shark.run(path, "-T", "fields", "-e", "buf6se.gruf6udfe").strip() == "1"
    assert not (tmp_path / "owned").exists()


def test_a_name_that_wireshark_has_gets_another_in_front(tmp_path: Path) -> None:
    need("tshark")
    with bindings():

        class DNS(Header, under=Ether, when={"type": 0xB1B3}):
            value: U8 = 7

        path = tmp_path / "one.pcap"
        with pl.Writer(path) as writer:
            writer.write(Frame(bytes(Ether() / DNS()), 0, 1))
        assert Tshark(tmp_path, DNS).run(path, "-T", "fields", "-e", "packetlab_dns.value").strip() == "7"


def test_a_link_type_of_the_users_own(tmp_path: Path) -> None:
    need("tshark")
    with bindings():

        class Wire(Header):
            value: U32 = 7

        FIRST[150] = Wire
        try:
            compare(Tshark(tmp_path, Wire), [Frame(bytes(Wire() / b"rest"), 0, 150), Frame(b"\1\2", 0, 150)], 150)
        finally:
            del FIRST[150]


@pytest.mark.slow
def test_headers_of_nothing_do_not_go_on_for_ever(tmp_path: Path) -> None:
    need("tshark")
    with bindings():

        class Empty(Header, under=Ether, when={"type": 0xB1B4}):
            pass

        registry.bind(Empty, under=Empty)

        class One(Header, under=Ether, when={"type": 0xB1B5}):
            byte: U8 = 0

        registry.bind(One, under=One)
        types = [t.to_bytes(2, "big") for t in (0xB1B4, 0xB1B5)]
        compare(Tshark(tmp_path, Empty, One), [bytes(12) + types[0] + b"abc", bytes(12) + types[1] + bytes(3000)])


def test_tunnels_through_wireshark_and_back_end(tmp_path: Path) -> None:
    need("tshark")
    with bindings():

        class Tube(Header, under=Ether, when={"type": 0xB1B6}):
            mark: U8 = 0

        registry.bind(Ether, under=Tube)
        deep = Ether() / Tube()
        for _ in range(60):
            deep = deep / Ether() / Tube()
        (layers,) = Tshark(tmp_path, Tube).ask([deep / b"end"])
        assert [one.get("name") for one in layers].count("tube") >= 20


def test_what_cannot_be_exported_is_said() -> None:
    with pytest.raises(BuildError, match="a header that Wireshark does not dissect itself, got UDP"):
        wireshark(UDP)
    with bindings():

        class Odd(Header, under=IPv4, when=(field("checksum") == 0) & (field("flags") == 0)):
            value: U8 = 0

        assert "-- Not said here, since Wireshark has no place for it: " in wireshark(Odd)


def test_the_command_writes_what_the_function_gives(tmp_path: Path) -> None:
    with bindings():
        assert main(["export", "wireshark", str(HARBOUR), "-o", str(tmp_path / "out.lua")]) == 0
        mine = [header for header in declared() if header.__module__ == "harbour"]
        assert [header.__name__ for header in mine][:3] == ["Tag", "Mark", "Harbour"]
        assert (tmp_path / "out.lua").read_text(encoding="ascii") == wireshark(*mine)


def test_the_command_says_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with bindings():
        assert main(["export", "wireshark", "--header", "SPP"]) == 0
        assert f"{prefix(SPP)}" in capsys.readouterr().out
        broken = tmp_path / "broken.py"
        broken.write_text("1 / 0\n")
        assert main(["export", "wireshark", str(broken)]) == 2
        assert "a file that runs, got ZeroDivisionError" in capsys.readouterr().err
        (tmp_path / "empty.py").write_text("x = 1\n")
        assert main(["export", "wireshark", str(tmp_path / "empty.py")]) == 2
        assert main(["export", "wireshark", "--header", "Becon"]) == 2
        assert main(["export", "wireshark"]) == 2
        assert main(["export", "wireshark", str(tmp_path / "none.py")]) == 2
