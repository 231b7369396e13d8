"""What rules name from elsewhere, and values that are not in the bytes, as tshark reads them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from packetlab import (
    GRE,
    LLC,
    SNAP,
    TCP,
    U4,
    U8,
    U16,
    UDP,
    VLAN,
    VXLAN,
    BuildError,
    Bytes,
    Ether,
    Header,
    IPv4,
    IPv6,
    Packet,
    VarInt,
    auto,
    before,
    bind,
    bindings,
    choose,
    computed,
    count_of,
    dissect,
    field,
    many,
    size_of,
    when,
    wireshark,
)  # fmt: skip
from packetlab.export.wireshark.places import FIELDS
from tests.export.test_wireshark_views import shown_fields


@pytest.mark.skipif(shutil.which("tshark") is None, reason="no tshark")
def test_lua_reads_values_from_elsewhere(tmp_path: Path) -> None:
    with bindings():

        class LuaOption(Header):
            delta: U4 = auto(choose(field("step") < 13, field("step"), 13))
            length: U4 = auto(size_of("value"))
            more: U8 | None = when(field("delta") == 13, auto(field("step") - 13))
            step: int = computed(choose(field("delta") < 13, field("delta"), field("more") + 13))
            number: int = computed(before("number") + field("step"))
            tag: U8 | None = when(field("^.tagged") == 1, 7)
            value: Bytes = b""

        class LuaFixed(Header, under=Ether, when={"type": 0x7A64}):
            qos: VarInt = 0
            kind: U8 = 3

        class LuaPublish(Header, under=LuaFixed, when={"kind": 3}):
            identifier: U16 | None = when(field("LuaFixed.qos") > 0, 5)
            tagged: U8 = 0
            n: U8 = auto(count_of("options"))
            options: tuple[LuaOption, ...] = many(count=field("n"))
            last: U8 = 1

        class OverWireshark(Header, under=Ether, when={"type": 0x7A65}):
            x: U8 | None = when(field("IPv4.ihl") == 5, 1)

        packets = [
            Ether() / LuaFixed(qos=qos) / LuaPublish(tagged=qos, options=[LuaOption(number=n, value=b"v") for n in (3, 60, 60)])
            for qos in (0, 1)
        ]
        names = ["luapublish.identifier", "luaoption.number", "luaoption.step", "luaoption.tag", "luapublish.last", "_ws.expert.message"]
        shown = shown_fields(str(wireshark(LuaPublish)), [bytes(packet) for packet in packets], tmp_path, names)
        for packet, row in zip(packets, shown, strict=True):
            header = dissect(bytes(packet))[LuaPublish]
            assert row["luapublish.identifier"] == ("" if header.identifier is None else str(header.identifier))
            for name in ("number", "step", "tag"):
                values = [getattr(option, name) for option in header.options]
                assert row[f"luaoption.{name}"] == ",".join(str(value) for value in values if value is not None)
            assert (row["luapublish.last"], row["_ws.expert.message"]) == ("1", "")
        with pytest.raises(BuildError, match=r"OverWireshark, IPv4\.ihl: .* got IPv4, which Wireshark dissects \(of IPv4 it has dscp, "):
            wireshark(OverWireshark)


class TestValuesOfWhatWiresharkDissects:
    """Ports, types and other numbers of headers that Wireshark reads itself: in rules of fields and of what follows alike."""

    @pytest.mark.skipif(shutil.which("tshark") is None, reason="no tshark")
    @pytest.mark.parametrize("lower", ["UDP", "TCP", "TCP, a stream"])
    def test_which_header_follows_by_a_port(self, lower: str, tmp_path: Path) -> None:
        with bindings():

            class Head(Header, under=UDP if lower == "UDP" else TCP, port=5020, stream=lower.endswith("stream")):
                n: U8 = auto(size_of("payload"))
                to: U8 | None = when(field("IPv4.ttl") == 9, 7)

            class Ask(Header, under=Head, when=field(f"{lower[:3]}.dport") == 5020):
                a: U8 = 1

            class Reply(Header, under=Head, when=field(f"{lower[:3]}.dport") != 5020):
                b: U8 = 2

            def below(sport: int, dport: int, ttl: int = 64) -> Packet:
                low = UDP(sport=sport, dport=dport) if lower == "UDP" else TCP(sport=sport, dport=dport, flags="ACK", seq=1)
                return Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2", ttl=ttl) / low

            packets = [below(40000, 5020) / Head() / Ask(), below(5020, 40001) / Head() / Reply(), below(40002, 5020, 9) / Head() / Ask(a=5)]
            names = ["ask.a", "reply.b", "head.to", "_ws.expert.message"]
            shown = shown_fields(str(wireshark(Head, Ask, Reply)), [bytes(one) for one in packets], tmp_path, names)
            assert [dissect(bytes(one)).layers[-1] for one in packets] == [Ask(), Reply(), Ask(a=5)]
            assert [[*row.values()][:3] for row in shown] == [["1", "", ""], ["", "2", ""], ["5", "", "7"]]

    @pytest.mark.skipif(shutil.which("tshark") is None, reason="no tshark")
    def test_each_number_that_wireshark_has_is_ours(self, tmp_path: Path) -> None:
        with bindings():
            rules = {f"{header}_{name}".lower(): f"{header}.{name}" for header, name in FIELDS if header not in ("PPP", "SCTP")}
            body = {"__annotations__": dict.fromkeys(rules, int), **{name: computed(field(rule)) for name, rule in rules.items()}}
            Probe = type(Header)("Probe", (Header,), {**body, "__module__": __name__}, last=True)
            bind(Probe, under=UDP, when={"dport": 7000})
            bind(Probe, under=TCP, when={"dport": 7000})
            bind(Probe, under=SNAP, when={"type": 0x7A66})
            bind(Probe, under=GRE, when={"protocol": 0x7A66})
            bind(Probe, under=VLAN, when={"type": 0x7A66})
            ip = IPv4(dscp=5, ecn=1, id=77, ttl=33, src="10.0.0.1", dst="10.0.0.2")
            lows: list[Packet] = [
                Ether() / ip / UDP(sport=11, dport=7000),
                Ether() / VLAN(id=5, priority=3, drop_eligible=1) / ip / TCP(sport=12, dport=7000, seq=1 << 31, ack=5, window=9, flags="ACK|PSH"),
                Ether() / VLAN(id=6, drop_eligible=1, type=0x7A66),
                Ether() / LLC() / SNAP(oui=0xF8, type=0x7A66),
                Ether() / ip / GRE(protocol=0x7A66, key=99),
                Ether() / IPv6(traffic_class=3, flow_label=0x12345, hop_limit=4) / UDP(sport=1, dport=7000),
                Ether() / ip / UDP(sport=4789, dport=4789) / VXLAN() / Ether() / IPv4(ttl=2) / UDP(sport=3, dport=7000),
            ]
            shown = shown_fields(str(wireshark(Probe)), [bytes(low / b"abc") for low in lows], tmp_path, [f"probe.{name}" for name in rules])
            seen = set()
            for low, row in zip(lows, shown, strict=True):
                probe = dissect(bytes(low / b"abc"))[Probe]
                assert row == {f"probe.{name}": str(int(getattr(probe, name))) for name in rules}
                seen |= {name for name in rules if getattr(probe, name)}
            assert {*rules} - seen == {"icmp_type", "icmp_code", "ipv4_fragment_offset"}  # nothing stands above those

    @pytest.mark.skipif(shutil.which("tshark") is None, reason="no tshark")
    def test_a_header_of_ours_below_others_of_wireshark(self, tmp_path: Path) -> None:
        with bindings():

            class Tunnel(Header, under=Ether, when={"type": 0x7A67}):
                id: U16 = 5

            bind(IPv4, under=Tunnel, when=field("id") > 0)

            class App(Header, under=UDP, port=7001):
                extra: U8 | None = when(field("Tunnel.id") == 6, 1)
                last: U8 = 2

            packets = [Ether() / Tunnel(id=n) / IPv4() / UDP(dport=7001) / App() for n in (5, 6)]
            shown = shown_fields(str(wireshark(App, Tunnel)), [bytes(one) for one in packets], tmp_path, ["tunnel.id", "app.extra", "app.last"])
            assert [dissect(bytes(one))[App].extra for one in packets] == [None, 1]
            assert [[*row.values()] for row in shown] == [["5", "", "2"], ["6", "1", "2"]]

    def test_what_wireshark_has_no_name_for_is_refused_in_either_place(self) -> None:
        with bindings():

            class Head(Header, under=UDP, port=5021):
                n: U8 = auto(size_of("payload"))

            class Ask(Header, under=Head, when=field("UDP.checksum") == 5):
                a: U8 = 1

            with pytest.raises(BuildError, match=r"Head, UDP\.checksum: .* got UDP, which Wireshark dissects \(of UDP it has length, sport, dport\)"):
                wireshark(Head)
