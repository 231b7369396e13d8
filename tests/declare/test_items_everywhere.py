"""What lists hold in columns, filters and patterns: one of them, any, all, how many."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from packetlab import (
    IDP,
    TCP,
    U8,
    U16,
    BuildError,
    Bytes,
    Capture,
    Ether,
    Frame,
    Header,
    IPv4,
    IPv4Address,
    Verdict,
    Writer,
    auto,
    between,
    bindings,
    compile_filter,
    contains,
    count_of,
    dissect,
    field,
    internet_checksum,
    ladder,
    many,
    one_of,
    same_as,
    size_of,
    sized,
    wireshark,
)
from packetlab.errors import PacketlabError
from packetlab.pattern.paths import FieldPath
from packetlab.testing.volatile import Volatile
from tests.conftest import CORPUS, need


class Ports(Header, under=Ether, when={"type": 0x7A61}):
    hosts: U8 = auto(count_of("sources"))
    size: U8 = auto(size_of("ports"))
    sources: tuple[IPv4Address, ...] = many()
    ports: tuple[U16, ...] = many()


class Option(Header):
    kind: U8
    size: U8 = auto(size_of("data"))
    data: Bytes = b""


class Opts(Header, under=Ether, when={"type": 0x7A62}):
    mark: U8 = 1
    options: tuple[Option, ...] = many()


@pytest.fixture(autouse=True)
def scoped() -> Iterator[None]:
    with bindings():
        yield


def opts(*kinds: int) -> Any:
    return Ether() / Opts(options=[Option(kind=kind, data=bytes(kind - 1)) for kind in kinds])


def ports(*numbers: int) -> Any:
    return Ether() / Ports(ports=numbers, sources=["10.0.0.1", "10.0.0.2"][: len(numbers)])


def capture(*packets: Any) -> Capture:
    return Capture.of([Frame(bytes(packet)) for packet in packets])


# Columns ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["web.pcap", "mixed-vlan-mpls.pcap", "two-binary-fragments.pcap", "example_websocket.pcap"])
def test_columns_of_items_are_what_tshark_reads(name: str) -> None:
    need("tshark")
    command = ["tshark", "-n", "-r", str(CORPUS / name), "-T", "fields", "-e", "tcp.option_kind", "-Y", "tcp && !icmp"]
    rows = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    theirs = [tuple(map(int, row.split(","))) if row else () for row in rows]
    names = ("tcp.options[all].kind", "tcp.options.kind", "tcp.options.count", "tcp.options[-1].kind", "tcp.options[2].kind")
    found = Capture(CORPUS / name).where("tcp and not icmp").table(*names).read()
    assert found[names[0]].tolist() == theirs and found.valid(names[0]).all()
    assert found[names[2]].tolist() == [len(kinds) for kinds in theirs]
    for column, place in ((names[1], 0), (names[3], -1), (names[4], 2)):
        there = [kinds[place] if len(kinds) > (place if place >= 0 else 0) else None for kinds in theirs]
        assert found.masked(column).tolist() == there


def test_a_column_of_all_is_a_tuple_and_says_so_in_words() -> None:
    found = capture(opts(2, 1, 1), opts(), Ether() / IPv4()).table("opts.options[all].kind", "opts.options[all].data").read()
    assert found["opts.options[all].kind"].tolist() == [(2, 1, 1), (), None]
    assert found.text("opts.options[all].kind") == ["2, 1, 1", "none", ""]
    assert found["opts.options[all].data"].tolist()[0] == (b"\0", b"", b"")


def test_a_list_of_values_is_a_column_of_tuples_and_each_of_them_one_too() -> None:
    rows = capture(ports(80, 443), ports(22), ports())
    found = rows.table("ports.ports", "ports.ports[1]", "ports.sources[0]", "ports.ports.count").read()
    assert found["ports.ports"].tolist() == [(80, 443), (22,), ()]
    assert found.masked("ports.ports[1]").tolist() == [443, None, None]
    assert found.text("ports.sources[0]") == ["10.0.0.1", "10.0.0.1", ""]
    assert found["ports.ports.count"].tolist() == [2, 1, 0]


def test_what_is_no_list_has_no_places() -> None:
    nothing = Capture.of([])
    for name, complaint in {
        "tcp.seq[0]": r"a list before \[0\], got TCP.seq",
        "opts.options[x].kind": r"a number, all or any in \[...\], got 'options\[x\]'",
        "opts.options[].kind": r"a number, all or any",
        "opts.options[0": "header.field",
        "opts.options[any].kind": r"one value, or all, got any of them \(\[0\] is the first",
        "opts.options.count.x": "a field of Option, got 'count'",
        "opts.options.nosuch": "a field of Option",
        "ports.ports.nosuch": "no part of Ports.ports",
        "tcp.payload[0]": "a field of TCP",
    }.items():
        with pytest.raises(BuildError, match=complaint):
            nothing.table(name)
    with pytest.raises(PacketlabError, match="a whole field"):
        Volatile({"opts.options[0]"})
    with pytest.raises(BuildError, match="a field of Opts"):
        opts(1).vary(2, {"opts.options[0].kind": [1, 2]})


def test_a_path_into_a_list_has_a_name_that_means_it() -> None:
    for name in ("opts.options[all].kind", "opts.options[-1].data", "opts.options[3]", "opts.options.count", "ports.ports[any]"):
        path = FieldPath.parse(name, "here")
        assert path.name == name and FieldPath.parse(path.name, "there") == path and path.deep
    assert "options[all].kind=2,1" in str(ladder([Frame(bytes(opts(2, 1)))], fields=["opts.options[all].kind"]))


# Filters ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "found"),
    {
        "opts.options.kind == 1": [0, 1], "opts.options[any].kind == 1": [0, 1], "opts.options[0].kind == 1": [1], "opts.options[all].kind == 1": [1],
        "not opts.options[all].kind == 1": [0, 2, 3], "opts.options.count == 0": [2], "opts.options.count > 2": [0], "opts.options[-1].kind == 8": [0],
        "opts.options[all].kind in {1, 2}": [1, 3], "opts.options[1].data contains 00": [], "opts.options[2]": [0],
        "opts.options.kind == 2 and opts.options.kind == 8": [0],
    }.items(),
)  # fmt: skip
def test_filters_ask_for_one_any_or_all(words: str, found: list[int]) -> None:
    packets = [opts(2, 1, 8), opts(1, 1), opts(), opts(2)]
    test = compile_filter(words)
    assert [n for n, packet in enumerate(packets) if test(packet)] == found
    assert [frame.number - 1 for frame in capture(*packets).where(words)] == found


def test_filters_compare_values_of_a_list_one_by_one() -> None:
    packets = [ports(80, 8080), ports(22), ports()]
    for words, found in {
        "ports.ports == 80": [0], "ports.ports < 100": [0, 1], "ports.ports[all] < 100": [1], "ports.ports[1] == 8080": [0], "ports.ports": [0, 1],
        "ports.ports in {22, 23}": [1], "ports.sources == 10.0.0.2": [0], "ports.sources == 10.0.0.0/8": [0, 1], "ports.ports.count == 1": [1],
        "ports.sources[0] == 10.0.0.1": [0, 1],
    }.items():  # fmt: skip
        assert [frame.number - 1 for frame in capture(*packets).where(words)] == found, words
    with pytest.raises(BuildError, match="a value for Ports.ports"):
        compile_filter("ports.ports == 70000")


# Patterns -----------------------------------------------------------------------------------------------------


def test_a_pattern_for_a_list_asks_for_some_of_it() -> None:
    packets = [opts(2, 1, 8), opts(1, 1), opts(), opts(2)]
    for pattern, found in (
        (contains(Option(kind=2)), [0, 3]),
        (contains(Option(kind=8), Option(kind=2)), [0]),
        (contains(Option(kind=1), Option(kind=1)), [1]),
        (contains(Option(kind=between(1, 2)), Option(kind=1)), [0, 1]),
        (contains(Option), [0, 1, 3]),
        ([Option(kind=between(1, 3))], [3]),
    ):
        assert [frame.number - 1 for frame in capture(*packets).where(Opts(options=pattern))] == found
        assert [n for n, packet in enumerate(packets) if Opts(options=pattern).matches(packet)] == found


def test_it_says_which_item_is_missing_and_what_is_nearest() -> None:
    found = Opts(options=contains(Option(kind=2, data=b"x"), Option(kind=8))).why_not(opts(1, 2))
    assert found.splitlines() == [
        r"Opts.options: expected Option(kind=2, data=b'x') among 2 items; the nearest is [1]: "
        r"Option.data: expected b'x', got b'\x00'",
        "Opts.options: expected Option(kind=8) among 2 items; the nearest is [0]: Option.kind: expected 8, got 1",
    ]
    assert Opts(options=contains(Option)).why_not(opts()) == "Opts.options: expected Option among 0 items"
    assert "expected contains(80, 81)" in Ports(ports=contains(80, 81)).why_not(ports(80))
    # Each is there, but not for two.
    twice = contains(Option(kind=1), Option(kind=1))
    assert "expected contains(Option(kind=1), Option(kind=1)), got" in Opts(options=twice).why_not(opts(1))


def test_names_in_items_have_one_meaning() -> None:
    pair = contains(Option(kind=1, data=same_as("x")), Option(kind=2, data=same_as("x")))
    options = [Option(kind=kind, data=data) for kind, data in ((1, b"a"), (1, b"b"), (2, b"b"))]
    known: dict[str, Any] = {}
    assert Opts(options=pair).matches(Opts(options=options), known) and known == {"x": b"b"}
    assert not Opts(options=pair).matches(Opts(options=options[::2]))


def test_pieces_of_values_bytes_and_text() -> None:
    assert Ports(ports=contains(443, between(1, 99))).matches(ports(80, 443))
    assert not Ports(ports=contains(443, between(1, 99))).matches(ports(443))
    assert Ports(sources=contains("10.0.0.2")).matches(ports(1, 2))
    assert Option(data=contains(b"\0\0")).matches(Option(kind=9, data=bytes(3)))


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda: Opts(options=contains()), r"contains\(value, ...\), got no value"),
        (lambda: Opts(options=contains(IPv4())), r"Opts.options: expected a header to look for \(Option\), got IPv4\(\)"),
        (lambda: Opts(options=contains(5)), "a header to look for"),
        (lambda: Option(kind=contains(5)), r"contains\(...\) of a list, or of bytes or text a piece"),
        (lambda: IPv4(src=contains("10.")), r"contains\(...\) of a list"),
        (lambda: Ports(ports=contains(70000)), r"0..65535, got 70000"),
        (lambda: bytes(Opts(options=contains(Option))), "Opts.options: expected one value to build from, got contains"),
    ],
)
def test_what_nothing_can_contain_is_refused(make: Any, complaint: str) -> None:
    with pytest.raises(BuildError, match=complaint):
        make()


@given(wanted=st.lists(st.integers(0, 3), min_size=1, max_size=4), there=st.lists(st.integers(0, 3), max_size=6))
def test_each_wanted_value_is_met_by_one_of_its_own(wanted: list[int], there: list[int]) -> None:
    enough = all(there.count(number) >= wanted.count(number) for number in wanted)
    packet = dissect(bytes(ports(*there)))
    assert bool(Ports(ports=contains(*wanted)).matches(packet)) == enough
    loose = Ports(ports=contains(*(one_of(number, 9) for number in wanted)))
    assert bool(loose.matches(packet)) == enough


def test_a_long_list_is_asked_in_no_more_than_all_pairs() -> None:
    # 12 that are wanted and 11 that all of them fit: 11! ways to fail, none of which is tried.
    packet = opts(*[1] * 11)
    assert not Opts(options=contains(*[Option(kind=1)] * 12)).matches(packet)


# Replacing ----------------------------------------------------------------------------------------------------


class Line(Header, under=Ether, when={"type": 0x7A63}):
    size: U8 = auto(size_of("options"))
    sender: Option = Option(kind=9)
    options: tuple[Option, ...] = sized(field("size"), (Option(kind=1), Option(kind=2, data=b"ab"), Option(kind=2)))
    check: U16 = auto(internet_checksum("self"))


def test_one_item_is_replaced_and_what_follows_is_derived() -> None:
    for packet in (Ether() / Line(), dissect(bytes(Ether() / Line()))):
        other = packet.replace({"line.options[1].data": b"longer", "line.sender.kind": 7, "ether.dst": "02:00:00:00:00:01"})
        line = other[Line]
        assert (line.options[1].size, line.size, line.sender.kind, str(other[Ether].dst)) == (6, 12, 7, "02:00:00:00:00:01")
        again = dissect(bytes(other))
        assert not again.faults and set(again.verdicts().values()) == {Verdict.GOOD} and again[Line] == line
        assert packet.replace({"line.options.kind": 5})[Line].options[0].kind == 5
        assert [one.kind for one in packet.replace({"line.options[all].kind": 5})[Line].options] == [5, 5, 5]
        assert packet.replace({"line.options[-1]": Option(kind=8)})[Line].options[2] == Option(kind=8)
        both = packet.replace({"line.options[0].kind": 4, "line.options[2].kind": 6})
        assert [one.kind for one in both[Line].options] == [4, 2, 6]
        assert packet.replace({"line.options[0].kind": 1}) == packet


def test_what_was_captured_wrong_stays() -> None:
    packet = dissect(bytes(Ether() / Line(options=[Option(kind=3, data=b"b")], check=1)))
    other = packet.replace({"line.options[0].data": b"bcd"})
    assert (other[Line].check, other[Line].size, other[Line].options[0].size) == (1, 5, 3)
    assert other.verdict(Line, "check") is Verdict.BAD


def test_flags_parts_values_and_payloads_are_replaced_by_path() -> None:
    packet = Ether() / IPv4() / TCP(flags="ACK") / b"old"
    other = packet.replace({"tcp.flags.syn": 1, "tcp.payload": b"new"})
    assert (other[TCP].flags, other.payload) == (TCP.flags.kind.raw("SYN|ACK", ""), b"new")
    assert packet.replace({"ip.ttl": 2}, payload=b"x") == packet.replace(IPv4, ttl=2).replace(payload=b"x")
    assert other.replace({"tcp.flags.ack": 0})[TCP].flags == 2
    assert (Ether() / IDP()).replace({"idp.dst.socket": 5})[IDP].dst.socket == 5
    lists = ports(80, 443)
    assert lists.replace({"ports.ports[1]": 8443})[Ports].ports == (80, 8443)
    assert lists.replace({"ports.ports[all]": 1, "ports.sources[0]": "9.9.9.9"})[Ports].ports == (1, 1)
    assert lists.replace({"ports.ports": [1, 2, 3]})[Ports].ports == (1, 2, 3)
    twice = Ether() / IPv4(ttl=1) / IPv4(ttl=2)
    assert [one.ttl for one in twice.replace({"ip#2.ttl": 9}).layers[1:]] == [1, 9]
    assert Line().replace({"options[0].kind": 5}).options[0].kind == 5
    assert Line().replace({"sender.data": b"x"}, size=3) == Line(sender=Option(kind=9, data=b"x"), size=3)


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"line.options[3].kind": 1}, r"replace 'line.options\[3\].kind': expected a value \[3\] in Line.options, got 3 of them"),
        ({"line.options.nosuch": 1}, "a field of Option, got 'nosuch'"),
        ({"line.options.count": 1}, "one of it or all, got how many there are"),
        ({"line.options[0].kind": 300}, "Option.kind: expected 0..255, got 300"),
        ({"line.options[0]": 5}, r"Line.options: expected headers \(Option\), got 5"),
        ({"line": 5}, "a field, or the payload of the last header, got line"),
        ({"ether.payload": b""}, "a field, or the payload of the last header"),
    ],
)
def test_what_cannot_be_replaced_is_refused(values: dict[str, Any], complaint: str) -> None:
    with pytest.raises(BuildError, match=complaint):
        (Ether() / Line()).replace(values)
    with pytest.raises(KeyError, match="no UDP in Ether / Line"):
        (Ether() / Line()).replace({"udp.sport": 1})


@given(place=st.integers(0, 2), data=st.binary(max_size=9), kind=st.integers(0, 255))
def test_replacing_an_item_is_building_with_it(place: int, data: bytes, kind: int) -> None:
    options = list(Line().options)
    options[place] = Option(kind=kind, data=data)
    built = Ether() / Line(options=options)
    captured = dissect(bytes(Ether() / Line()))
    assert bytes(captured.replace({f"line.options[{place}].data": data, f"line.options[{place}].kind": kind})) == bytes(built)


# Showing ------------------------------------------------------------------------------------------------------


def test_each_item_has_a_line_and_long_ones_are_cut() -> None:
    packet = Ether() / Opts(options=[Option(kind=1), Option(kind=2, data=bytes(250))])
    lines = packet.show().splitlines()
    assert [line for line in lines if "options" in line] == ["  options            2 items                              given"]
    assert lines[-2] == "    [0] Option(kind=1)" and lines[-1].startswith(r"    [1] Option(kind=2, data=b'\x00\x00")
    assert len(lines[-1]) < 220 and lines[-1].endswith("...")
    html = packet._repr_mimebundle_()["text/html"]
    assert "[0] Option(kind=1)<br>[1] Option(kind=2, data=b" in html and r"\x00" * 100 not in html
    many_of_them = (Ether() / Opts(options=[Option(kind=1)] * 40)).show()
    assert "[31] Option" in many_of_them and "[32]" not in many_of_them and many_of_them.endswith("... 8 more")
    assert "options            -" in (Ether() / Opts()).show()
    assert "sender             Option(kind=9)" in (Ether() / Line()).show()
    long = (Ether() / Ports(ports=range(120))).show()
    assert max(map(len, long.splitlines())) < 280


def test_bytes_that_are_no_whole_item_are_shown_as_such() -> None:
    packet = dissect(bytes(Ether() / Opts(options=[Option(kind=1)])) + b"\x05\x09ab")
    assert packet.show().splitlines()[-3:-1] == ["    [0] Option(kind=1, size=0, data=b'')", r"    no whole item: b'\x05\tab'"]


def test_wireshark_says_in_an_items_line_what_is_in_it(tmp_path: Path) -> None:
    need("tshark")
    script, file = tmp_path / "opts.lua", tmp_path / "opts.pcap"
    script.write_text(str(wireshark(Opts, Line)), encoding="ascii")
    with Writer(file) as writer:
        writer.write(bytes(Ether() / Opts(options=[Option(kind=1), Option(kind=2, data=bytes(250))])))
        writer.write(bytes(Ether() / Line()))
    command = ["tshark", "-n", "-V", "-X", f"lua_script:{script}", "-r", str(file)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "    options: 2\n        Option [option]: kind: 1, size: 0, data: empty\n            kind: 1\n" in said
    assert "Option [option]: kind: 2, size: 250, data: 0000" in said and max(map(len, said.splitlines())) < 160
    assert "    sender\n        Option [option]: kind: 9" in said
