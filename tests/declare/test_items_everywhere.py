"""What lists hold in columns, filters and patterns: one of them, any, all, how many."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import pytest
from hypothesis import given, strategies as st

from packetlab import (
    IDP,
    TCP,
    U8,
    U16,
    U32,
    UDP,
    BuildError,
    Bytes,
    Capture,
    Ether,
    Frame,
    Header,
    IPv4,
    IPv4Address,
    Rest,
    Verdict,
    Writer,
    auto,
    between,
    bindings,
    compile_filter,
    const,
    contains,
    count_of,
    dissect,
    field,
    fixed_bytes,
    internet_checksum,
    ladder,
    many,
    one_of,
    same_as,
    size_of,
    sized,
    when,
    wireshark,
)
from packetlab.errors import PacketlabError
from packetlab.pattern.paths import FieldPath
from packetlab.testing.volatile import Volatile
from tests.answers import tshark
from tests.conftest import CORPUS, need


class PortTable(Header, under=Ether, when={"type": 0x7AE1}):
    hosts: U8 = auto(count_of("sources"))
    size: U8 = auto(size_of("ports"))
    sources: tuple[IPv4Address, ...] = many()
    ports: tuple[U16, ...] = many()


class TableOption(Header):
    kind: U8
    size: U8 = auto(size_of("data"))
    data: Bytes = b""


class OptionTable(Header, under=Ether, when={"type": 0x7AE2}):
    mark: U8 = 1
    options: tuple[TableOption, ...] = many()


@pytest.fixture(autouse=True)
def scoped() -> Iterator[None]:
    with bindings():
        yield


def opts(*kinds: int) -> Any:
    return Ether() / OptionTable(options=[TableOption(kind=kind, data=bytes(kind - 1)) for kind in kinds])


def ports(*numbers: int) -> Any:
    return Ether() / PortTable(ports=numbers, sources=["10.0.0.1", "10.0.0.2"][: len(numbers)])


def capture(*packets: Any) -> Capture:
    return Capture.of([Frame(bytes(packet)) for packet in packets])


# Columns ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["web.pcap", "mixed-vlan-mpls.pcap", "two-binary-fragments.pcap", "example_websocket.pcap"])
def test_columns_of_items_are_what_tshark_reads(name: str) -> None:
    need("tshark")
    rows = tshark("-n", "-r", CORPUS / name, "-T", "fields", "-e", "tcp.option_kind", "-Y", "tcp && !icmp").stdout.splitlines()
    theirs = [tuple(map(int, row.split(","))) if row else () for row in rows]
    names = ("tcp.options[all].kind", "tcp.options.kind", "tcp.options.count", "tcp.options[-1].kind", "tcp.options[2].kind")
    found = Capture(CORPUS / name).where("tcp and not icmp").table(*names).read()
    assert found[names[0]].tolist() == theirs and found.valid(names[0]).all()
    assert found[names[2]].tolist() == [len(kinds) for kinds in theirs]
    for column, place in ((names[1], 0), (names[3], -1), (names[4], 2)):
        there = [kinds[place] if len(kinds) > (place if place >= 0 else 0) else None for kinds in theirs]
        assert found.masked(column).tolist() == there


def test_a_column_of_all_is_a_tuple_and_says_so_in_words() -> None:
    found = capture(opts(2, 1, 1), opts(), Ether() / IPv4()).table("optiontable.options[all].kind", "optiontable.options[all].data").read()
    assert found["optiontable.options[all].kind"].tolist() == [(2, 1, 1), (), None]
    assert found.text("optiontable.options[all].kind") == ["2, 1, 1", "none", ""]
    assert found["optiontable.options[all].data"].tolist()[0] == (b"\0", b"", b"")


def test_a_list_of_values_is_a_column_of_tuples_and_each_of_them_one_too() -> None:
    rows = capture(ports(80, 443), ports(22), ports())
    found = rows.table("porttable.ports", "porttable.ports[1]", "porttable.sources[0]", "porttable.ports.count").read()
    assert found["porttable.ports"].tolist() == [(80, 443), (22,), ()]
    assert found.masked("porttable.ports[1]").tolist() == [443, None, None]
    assert found.text("porttable.sources[0]") == ["10.0.0.1", "10.0.0.1", ""]
    assert found["porttable.ports.count"].tolist() == [2, 1, 0]


def test_what_is_no_list_has_no_places() -> None:
    nothing = Capture.of([])
    for name, complaint in {
        "tcp.seq[0]": r"a list before \[0\], got TCP.seq",
        "optiontable.options[x].kind": r"a number, all or any in \[...\], got 'options\[x\]'",
        "optiontable.options[].kind": r"a number, all or any",
        "optiontable.options[0": "header.field",
        "optiontable.options[any].kind": r"one value, or all, got any of them \(\[0\] is the first",
        "optiontable.options.count.x": "a field of TableOption, got 'count'",
        "optiontable.options.nosuch": "a field of TableOption",
        "porttable.ports.nosuch": "no part of PortTable.ports",
        "tcp.payload[0]": "a field of TCP",
    }.items():
        with pytest.raises(BuildError, match=complaint):
            nothing.table(name)
    with pytest.raises(PacketlabError, match="a whole field"):
        Volatile({"optiontable.options[0]"})
    with pytest.raises(BuildError, match="a field of OptionTable"):
        opts(1).vary(2, {"optiontable.options[0].kind": [1, 2]})


def test_a_path_into_a_list_has_a_name_that_means_it() -> None:
    for name in ("optiontable.options[all].kind", "optiontable.options[-1].data", "optiontable.options[3]", "optiontable.options.count", "porttable.ports[any]"):
        path = FieldPath.parse(name, "here")
        assert path.name == name and FieldPath.parse(path.name, "there") == path and path.deep
    assert "options[all].kind=2,1" in str(ladder([Frame(bytes(opts(2, 1)))], fields=["optiontable.options[all].kind"]))


# Filters ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "found"),
    {
        "optiontable.options.kind == 1": [0, 1], "optiontable.options[any].kind == 1": [0, 1], "optiontable.options[0].kind == 1": [1], "optiontable.options[all].kind == 1": [1],
        "not optiontable.options[all].kind == 1": [0, 2, 3], "optiontable.options.count == 0": [2], "optiontable.options.count > 2": [0], "optiontable.options[-1].kind == 8": [0],
        "optiontable.options[all].kind in {1, 2}": [1, 3], "optiontable.options[1].data contains 00": [], "optiontable.options[2]": [0],
        "optiontable.options.kind == 2 and optiontable.options.kind == 8": [0],
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
        "porttable.ports == 80": [0], "porttable.ports < 100": [0, 1], "porttable.ports[all] < 100": [1], "porttable.ports[1] == 8080": [0], "porttable.ports": [0, 1],
        "porttable.ports in {22, 23}": [1], "porttable.sources == 10.0.0.2": [0], "porttable.sources == 10.0.0.0/8": [0, 1], "porttable.ports.count == 1": [1],
        "porttable.sources[0] == 10.0.0.1": [0, 1],
    }.items():  # fmt: skip
        assert [frame.number - 1 for frame in capture(*packets).where(words)] == found, words
    with pytest.raises(BuildError, match="a value for PortTable.ports"):
        compile_filter("porttable.ports == 70000")


# Patterns -----------------------------------------------------------------------------------------------------


def test_a_pattern_for_a_list_asks_for_some_of_it() -> None:
    packets = [opts(2, 1, 8), opts(1, 1), opts(), opts(2)]
    for pattern, found in (
        (contains(TableOption(kind=2)), [0, 3]),
        (contains(TableOption(kind=8), TableOption(kind=2)), [0]),
        (contains(TableOption(kind=1), TableOption(kind=1)), [1]),
        (contains(TableOption(kind=between(1, 2)), TableOption(kind=1)), [0, 1]),
        (contains(TableOption), [0, 1, 3]),
        ([TableOption(kind=between(1, 3))], [3]),
    ):
        assert [frame.number - 1 for frame in capture(*packets).where(OptionTable(options=pattern))] == found
        assert [n for n, packet in enumerate(packets) if OptionTable(options=pattern).matches(packet)] == found


def test_it_says_which_item_is_missing_and_what_is_nearest() -> None:
    found = OptionTable(options=contains(TableOption(kind=2, data=b"x"), TableOption(kind=8))).why_not(opts(1, 2))
    assert found.splitlines() == [
        r"OptionTable.options: expected TableOption(kind=2, data=b'x') among 2 items; the nearest is [1]: "
        r"TableOption.data: expected b'x', got b'\x00'",
        "OptionTable.options: expected TableOption(kind=8) among 2 items; the nearest is [0]: TableOption.kind: expected 8, got 1",
    ]
    assert OptionTable(options=contains(TableOption)).why_not(opts()) == "OptionTable.options: expected TableOption among 0 items"
    assert "expected contains(80, 81)" in PortTable(ports=contains(80, 81)).why_not(ports(80))
    # Each is there, but not for two.
    twice = contains(TableOption(kind=1), TableOption(kind=1))
    assert "expected contains(TableOption(kind=1), TableOption(kind=1)), got" in OptionTable(options=twice).why_not(opts(1))


def test_names_in_items_have_one_meaning() -> None:
    pair = contains(TableOption(kind=1, data=same_as("x")), TableOption(kind=2, data=same_as("x")))
    options = [TableOption(kind=kind, data=data) for kind, data in ((1, b"a"), (1, b"b"), (2, b"b"))]
    known: dict[str, Any] = {}
    assert OptionTable(options=pair).matches(OptionTable(options=options), known) and known == {"x": b"b"}
    assert not OptionTable(options=pair).matches(OptionTable(options=options[::2]))


def test_pieces_of_values_bytes_and_text() -> None:
    assert PortTable(ports=contains(443, between(1, 99))).matches(ports(80, 443))
    assert not PortTable(ports=contains(443, between(1, 99))).matches(ports(443))
    assert PortTable(sources=contains("10.0.0.2")).matches(ports(1, 2))
    assert TableOption(data=contains(b"\0\0")).matches(TableOption(kind=9, data=bytes(3)))


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda: OptionTable(options=contains()), r"contains\(value, ...\), got no value"),
        (lambda: OptionTable(options=contains(IPv4())), r"OptionTable.options: expected a header to look for \(TableOption\), got IPv4\(\)"),
        (lambda: OptionTable(options=contains(5)), "a header to look for"),
        (lambda: TableOption(kind=contains(5)), r"contains\(...\) of a list, or of bytes or text a piece"),
        (lambda: IPv4(src=contains("10.")), r"contains\(...\) of a list"),
        (lambda: PortTable(ports=contains(70000)), r"0..65535, got 70000"),
        (lambda: bytes(OptionTable(options=contains(TableOption))), "OptionTable.options: expected one value to build from, got contains"),
    ],
)
def test_what_nothing_can_contain_is_refused(make: Any, complaint: str) -> None:
    with pytest.raises(BuildError, match=complaint):
        make()


@given(wanted=st.lists(st.integers(0, 3), min_size=1, max_size=4), there=st.lists(st.integers(0, 3), max_size=6))
def test_each_wanted_value_is_met_by_one_of_its_own(wanted: list[int], there: list[int]) -> None:
    enough = all(there.count(number) >= wanted.count(number) for number in wanted)
    packet = dissect(bytes(ports(*there)))
    assert bool(PortTable(ports=contains(*wanted)).matches(packet)) == enough
    loose = PortTable(ports=contains(*(one_of(number, 9) for number in wanted)))
    assert bool(loose.matches(packet)) == enough


def test_a_long_list_is_asked_in_no_more_than_all_pairs() -> None:
    # 12 that are wanted and 11 that all of them fit: 11! ways to fail, none of which is tried.
    packet = opts(*[1] * 11)
    assert not OptionTable(options=contains(*[TableOption(kind=1)] * 12)).matches(packet)


# Replacing ----------------------------------------------------------------------------------------------------


class OptionLine(Header, under=Ether, when={"type": 0x7AE3}):
    size: U8 = auto(size_of("options"))
    sender: TableOption = TableOption(kind=9)
    options: tuple[TableOption, ...] = sized(field("size"), (TableOption(kind=1), TableOption(kind=2, data=b"ab"), TableOption(kind=2)))
    check: U16 = auto(internet_checksum("self"))


def test_one_item_is_replaced_and_what_follows_is_derived() -> None:
    for packet in (Ether() / OptionLine(), dissect(bytes(Ether() / OptionLine()))):
        other = packet.replace({"optionline.options[1].data": b"longer", "optionline.sender.kind": 7, "ether.dst": "02:00:00:00:00:01"})
        line = other[OptionLine]
        assert (line.options[1].size, line.size, line.sender.kind, str(other[Ether].dst)) == (6, 12, 7, "02:00:00:00:00:01")
        again = dissect(bytes(other))
        assert not again.faults and set(again.verdicts().values()) == {Verdict.GOOD} and again[OptionLine] == line
        assert packet.replace({"optionline.options.kind": 5})[OptionLine].options[0].kind == 5
        assert [one.kind for one in packet.replace({"optionline.options[all].kind": 5})[OptionLine].options] == [5, 5, 5]
        assert packet.replace({"optionline.options[-1]": TableOption(kind=8)})[OptionLine].options[2] == TableOption(kind=8)
        both = packet.replace({"optionline.options[0].kind": 4, "optionline.options[2].kind": 6})
        assert [one.kind for one in both[OptionLine].options] == [4, 2, 6]
        assert packet.replace({"optionline.options[0].kind": 1}) == packet


def test_what_was_captured_wrong_stays() -> None:
    packet = dissect(bytes(Ether() / OptionLine(options=[TableOption(kind=3, data=b"b")], check=1)))
    other = packet.replace({"optionline.options[0].data": b"bcd"})
    assert (other[OptionLine].check, other[OptionLine].size, other[OptionLine].options[0].size) == (1, 5, 3)
    assert other.verdict(OptionLine, "check") is Verdict.BAD


def test_flags_parts_values_and_payloads_are_replaced_by_path() -> None:
    packet = Ether() / IPv4() / TCP(flags="ACK") / b"old"
    other = packet.replace({"tcp.flags.syn": 1, "tcp.payload": b"new"})
    assert (other[TCP].flags, other.payload) == (TCP.flags.kind.raw("SYN|ACK", ""), b"new")
    assert packet.replace({"ip.ttl": 2}, payload=b"x") == packet.replace(IPv4, ttl=2).replace(payload=b"x")
    assert other.replace({"tcp.flags.ack": 0})[TCP].flags == 2
    assert (Ether() / IDP()).replace({"idp.dst.socket": 5})[IDP].dst.socket == 5
    lists = ports(80, 443)
    assert lists.replace({"porttable.ports[1]": 8443})[PortTable].ports == (80, 8443)
    assert lists.replace({"porttable.ports[all]": 1, "porttable.sources[0]": "9.9.9.9"})[PortTable].ports == (1, 1)
    assert lists.replace({"porttable.ports": [1, 2, 3]})[PortTable].ports == (1, 2, 3)
    twice = Ether() / IPv4(ttl=1) / IPv4(ttl=2)
    assert [one.ttl for one in twice.replace({"ip#2.ttl": 9}).layers[1:]] == [1, 9]
    assert OptionLine().replace({"options[0].kind": 5}).options[0].kind == 5
    assert OptionLine().replace({"sender.data": b"x"}, size=3) == OptionLine(sender=TableOption(kind=9, data=b"x"), size=3)


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"optionline.options[3].kind": 1}, r"replace 'optionline.options\[3\].kind': expected a value \[3\] in OptionLine.options, got 3 of them"),
        ({"optionline.options.nosuch": 1}, "a field of TableOption, got 'nosuch'"),
        ({"optionline.options.count": 1}, "one of it or all, got how many there are"),
        ({"optionline.options[0].kind": 300}, "TableOption.kind: expected 0..255, got 300"),
        ({"optionline.options[0]": 5}, r"OptionLine.options: expected headers \(TableOption\), got 5"),
        ({"optionline": 5}, "a field, or the payload of the last header, got optionline"),
        ({"ether.payload": b""}, "a field, or the payload of the last header"),
    ],
)
def test_what_cannot_be_replaced_is_refused(values: dict[str, Any], complaint: str) -> None:
    with pytest.raises(BuildError, match=complaint):
        (Ether() / OptionLine()).replace(values)
    with pytest.raises(KeyError, match="no UDP in Ether / OptionLine"):
        (Ether() / OptionLine()).replace({"udp.sport": 1})


@given(place=st.integers(0, 2), data=st.binary(max_size=9), kind=st.integers(0, 255))
def test_replacing_an_item_is_building_with_it(place: int, data: bytes, kind: int) -> None:
    options = list(OptionLine().options)
    options[place] = TableOption(kind=kind, data=data)
    built = Ether() / OptionLine(options=options)
    captured = dissect(bytes(Ether() / OptionLine()))
    assert bytes(captured.replace({f"optionline.options[{place}].data": data, f"optionline.options[{place}].kind": kind})) == bytes(built)


# Showing ------------------------------------------------------------------------------------------------------


def test_each_item_has_a_line_and_long_ones_are_cut() -> None:
    packet = Ether() / OptionTable(options=[TableOption(kind=1), TableOption(kind=2, data=bytes(250))])
    lines = packet.show().splitlines()
    assert [line for line in lines if "options" in line] == ["  options            2 items                              given"]
    assert lines[-2] == "    [0] TableOption(kind=1)" and lines[-1].startswith(r"    [1] TableOption(kind=2, data=b'\x00\x00")
    assert len(lines[-1]) < 220 and lines[-1].endswith("...")
    html = packet._repr_mimebundle_()["text/html"]
    assert "[0] TableOption(kind=1)<br>[1] TableOption(kind=2, data=b" in html and r"\x00" * 100 not in html
    many_of_them = (Ether() / OptionTable(options=[TableOption(kind=1)] * 40)).show()
    assert "[31] TableOption" in many_of_them and "[32]" not in many_of_them and many_of_them.endswith("... 8 more")
    assert "options            -" in (Ether() / OptionTable()).show()
    assert "sender             TableOption(kind=9)" in (Ether() / OptionLine()).show()
    long = (Ether() / PortTable(ports=range(120))).show()
    assert max(map(len, long.splitlines())) < 280


def test_bytes_that_are_no_whole_item_are_shown_as_such() -> None:
    packet = dissect(bytes(Ether() / OptionTable(options=[TableOption(kind=1)])) + b"\x05\x09ab")
    assert packet.show().splitlines()[-3:-1] == ["    [0] TableOption(kind=1, size=0, data=b'')", r"    no whole item: b'\x05\tab'"]


def test_wireshark_says_in_an_items_line_what_is_in_it(tmp_path: Path) -> None:
    need("tshark")
    script, file = tmp_path / "optiontable.lua", tmp_path / "optiontable.pcap"
    script.write_text(str(wireshark(OptionTable, OptionLine)), encoding="ascii")
    with Writer(file) as writer:
        writer.write(bytes(Ether() / OptionTable(options=[TableOption(kind=1), TableOption(kind=2, data=bytes(250))])))
        writer.write(bytes(Ether() / OptionLine()))
    said = tshark("-n", "-V", "-X", f"lua_script:{script}", "-r", file).stdout
    assert "    options: 2\n        TableOption [tableoption]: kind: 1, size: 0, data: empty\n            kind: 1\n" in said
    assert "TableOption [tableoption]: kind: 2, size: 250, data: 0000" in said and max(map(len, said.splitlines())) < 160
    assert "    sender\n        TableOption [tableoption]: kind: 9" in said


# Items that a class takes apart -------------------------------------------------------------------------------


class LeaseOption(Header):
    kind: U8 = 1
    length: U8 = when(field("kind") > 1, auto(size_of("self")))
    data: Bytes = when(field("kind") > 1, sized(field("length") - 2, b""))


class LeaseLimit(LeaseOption, inside="data", when={"kind": 2}):
    value: U16


class LeaseServers(LeaseOption, inside="data", when={"kind": (5, 6)}):
    told: U8 = auto(count_of("hosts"))
    hosts: tuple[IPv4Address, ...] = many()


class LeaseTable(Header, under=Ether, when={"type": 0x7AE5}):
    size: U8 = auto(size_of("options"))
    options: tuple[LeaseOption, ...] = many()
    last: LeaseOption = LeaseOption()


class PingCarrier(Header, under=Ether, when={"type": 0x7AE6}):
    kind: U8 = 1
    rest: Rest = b""


class PingProbe(PingCarrier, inside="rest", when={"kind": 8}):
    seq: U16 = 3


LEASES = (
    LeaseTable(options=[LeaseOption(kind=1), LeaseLimit(value=1460), LeaseLimit(value=9), LeaseServers(kind=5, hosts=["10.0.0.1", "10.0.0.2"])]),
    LeaseTable(last=LeaseLimit(value=7)),
    LeaseTable(options=[LeaseOption(kind=9, data=b"x"), LeaseOption(kind=2, data=b"abc")]),
)


@pytest.fixture
def leases() -> Capture:
    return capture(*(Ether() / lease for lease in LEASES))


def test_fields_of_a_refined_item_are_columns(leases: Capture) -> None:
    wanted = {
        "leasetable.options.leaselimit.value": ["1460", "", ""], "leasetable.options.leaselimit[1].value": ["9", "", ""], "leasetable.last.leaselimit.value": ["", "7", ""],
        "leasetable.options.leaselimit[all].value": ["1460, 9", "none", "none"], "leasetable.options.leaselimit.count": ["2", "0", "0"],
        "leasetable.options.leaselimit.kind": ["2", "", ""], "leasetable.options.leaseservers.hosts": ["10.0.0.1, 10.0.0.2", "none", "none"],
        "leasetable.options.leaseservers.hosts[1]": ["10.0.0.2", "", ""], "leasetable.options.leaseservers.hosts.count": ["2", "", ""],
        "leasetable.options.leaselimit": [r"b'\x02\x04\x05\xb4'", "", ""],
    }  # fmt: skip
    found = leases.table(*wanted).read()
    assert {name: found.text(name) for name in wanted} == wanted
    assert found["leasetable.options.leaselimit.value"].dtype == "u2"
    for name in wanted:
        path = FieldPath.parse(name, "here")
        assert path.name == name and FieldPath.parse(path.name, "there") == path


def test_fields_of_a_refined_item_are_asked_for(leases: Capture) -> None:
    for words, found in {
        "leasetable.options.leaselimit.value > 1000": [1], "leasetable.options.leaselimit": [1], "not leasetable.options.leaselimit": [2, 3], "leasetable.options.leaselimit[all].value > 5": [1],
        "leasetable.options.leaselimit[1].value > 1000": [], "leasetable.last.leaselimit.value == 7": [2], "leasetable.options.leaseservers.hosts == 10.0.0.2": [1],
        "leasetable.options.leaselimit.count == 2": [1], "leasetable.options.kind == 2": [1, 3],
    }.items():  # fmt: skip
        assert [frame.number for frame in leases.where(words)] == found, words
    for pattern, found in (
        (contains(LeaseLimit(value=1460)), [1]), (contains(LeaseLimit), [1]), (contains(LeaseOption(kind=2)), [1, 3]), (contains(LeaseLimit(value=between(1, 10)), LeaseLimit), [1]),
        (contains(LeaseServers(hosts=contains("10.0.0.2"))), [1]), (contains(LeaseLimit(value=same_as("x")), LeaseLimit(value=same_as("x"))), []),
    ):  # fmt: skip
        assert [frame.number for frame in leases.where(LeaseTable(options=pattern))] == found, pattern
    said = LeaseTable(options=contains(LeaseLimit(value=1461))).why_not(Ether() / LEASES[0])
    assert said == "LeaseTable.options: expected LeaseLimit(value=1461) among 4 items; the nearest is [1]: LeaseLimit.value: expected 1461, got 1460"
    for wrong, complaint in {
        "leasetable.options.leaselimit.nosuch": "a field of LeaseLimit, got 'nosuch'.*value",
        "leasetable.options.leaselimitt.value": "did you mean 'leaselimit'",
        "leasetable.options[0].leaselimit[1].value": "one of leaselimit by a number after its name alone",
    }.items():
        with pytest.raises(BuildError, match=complaint):
            compile_filter(wrong)


def test_a_field_of_a_refined_item_is_replaced_and_what_follows_is_derived() -> None:
    for packet in (Ether() / LEASES[0], dissect(bytes(Ether() / LEASES[0]))):
        other = packet.replace({"leasetable.options.leaselimit[1].value": 5, "leasetable.options.leaseservers.hosts": ["1.1.1.1"], "leasetable.last.kind": 1})
        assert dissect(bytes(other))[LeaseTable] == other[LeaseTable] and not dissect(bytes(other)).faults
        first, second, servers = other[LeaseTable].options[1:]
        assert (first.value, second.value, servers.told, servers.length, other[LeaseTable].size) == (1460, 5, 1, 7, 1 + 4 + 4 + 7)
        assert packet.replace({"leasetable.options.leaseservers.hosts[0]": "9.9.9.9"})[LeaseTable].options[3].hosts[1].packed == b"\n\0\0\2"
    with pytest.raises(BuildError, match=r"expected LeaseLimit \[7\] in LeaseTable.options, got 2 of them"):
        (Ether() / LEASES[0]).replace({"leasetable.options.leaselimit[7].value": 5})


def test_a_refined_item_with_nothing_given_has_what_it_usually_has() -> None:
    class Term(LeaseOption, inside="data", when={"kind": 51}):
        seconds: U32 = 3600

    assert bytes(Term()) == b"3\6\0\0\x0e\x10" and Term() == Term(seconds=3600) and Term().seconds == 3600
    lease = dissect(bytes(Ether() / LeaseTable(options=[Term(), LeaseLimit(value=5)])))
    assert type(lease[LeaseTable].options[0]) is Term and not lease.faults
    assert LeaseTable(options=contains(Term(), LeaseLimit())).matches(lease)
    assert not LeaseTable(options=contains(Term(seconds=7))).matches(lease)
    with pytest.raises(BuildError, match="LeaseLimit.value: expected a value, got none"):
        bytes(LeaseTable(options=[LeaseLimit()]))


def test_a_layer_that_a_class_takes_apart_is_a_column_and_a_filter() -> None:
    rows = capture(Ether() / PingProbe(seq=7), Ether() / PingCarrier(rest=b"abc"), Ether() / PingProbe(seq=1))
    assert rows.table("pingprobe.seq").read().masked("pingprobe.seq").tolist() == [7, None, 1]
    found = rows.table("pingprobe", "pingprobe.kind", "pingcarrier.kind").read()
    assert found["pingprobe"].tolist() == [True, False, True] and found["pingcarrier.kind"].tolist() == [8, 1, 8]
    for words, count in {"pingprobe.seq == 7": 1, "pingprobe": 2, "pingprobe.kind == 8": 2, "pingcarrier.kind == 8": 2, "pingcarrier": 3}.items():
        assert rows.where(words).count() == count, words
    assert (rows.where(PingProbe).count(), rows.where(PingProbe(seq=7)).count()) == (2, 1)
    assert (Ether() / PingProbe(seq=7)).replace({"pingprobe.seq": 9})[PingProbe].seq == 9 and PingProbe().replace({"seq": 4}).seq == 4


# Any bytes, and another's reading -----------------------------------------------------------------------------

PATHS = [
    "options", "options[0]", "options[-1].kind", "options[all].kind", "options.count", "options.leaselimit.value", "options.leaselimit[all]", "options.leaseservers.hosts",
    "options.leaseservers.hosts[all]", "options.leaseservers.hosts[0]", "options.leaseservers.hosts.count", "options.data", "last.leaselimit.value", "last.leaseservers.count",
]  # fmt: skip


@given(data=st.binary(max_size=40), path=st.sampled_from(PATHS))
def test_no_bytes_make_a_path_fail(data: bytes, path: str) -> None:
    packet = dissect(bytes(12) + b"\x7a\xe5" + data)
    one = capture(packet)
    name = f"leasetable.{path}"
    found = one.table(name).read()
    assert len(found.text(name)) == 1
    there = bool(found.valid(name)[0])
    assert one.where(name).count() <= there or path == "options.leaseservers.hosts"
    LeaseTable(options=contains(LeaseLimit(value=5), LeaseServers)).why_not(packet)
    assert bytes(packet) == bytes(12) + b"\x7a\xe5" + data
    for value in (b"xyz", 5, LeaseLimit(value=1), ["1.1.1.1"]):
        try:
            other = packet.replace({name: value})
        except (BuildError, KeyError):
            continue
        assert other.show() and len(bytes(other)) >= 14


def test_options_of_dhcp_are_what_tshark_reads(tmp_path: Path) -> None:
    need("tshark")

    class DHCPChoice(Header):
        kind: U8 = 255
        length: U8 = when((field("kind") != 0) & (field("kind") != 255), auto(size_of("data")))
        data: Bytes = when((field("kind") != 0) & (field("kind") != 255), sized(field("length"), b""))

    class DHCPMessage(Header, under=UDP, when={"dport": 67}):
        op: U8 = 1
        hardware: U8 = 1
        size: U8 = 6
        fixed: Annotated[bytes, fixed_bytes(233)] = bytes(233)
        cookie: U32 = const(0x63825363)
        choices: tuple[DHCPChoice, ...] = many(until=field("kind") == 255, value=(DHCPChoice(),))

    rows = [[53, 61, 55, 255], [53, 0, 51, 255], [255]]
    packets = [
        Ether() / IPv4() / UDP(sport=68, dport=67) / DHCPMessage(choices=[
            DHCPChoice(kind=kind, data=b"\0\0\0\1" if kind == 51 else b"\1") if kind not in (0, 255) else DHCPChoice(kind=kind) for kind in kinds
        ])
        for kinds in rows
    ]  # fmt: skip
    file = tmp_path / "dhcp.pcap"
    with Writer(file) as writer:
        for packet in packets:
            writer.write(bytes(packet))
    said = tshark("-n", "-r", file, "-T", "fields", "-e", "dhcp.option.type").stdout.splitlines()
    theirs = [tuple(map(int, row.split(","))) for row in said]
    names = ("dhcpmessage.choices[all].kind", "dhcpmessage.choices.kind", "dhcpmessage.choices.count")
    found = Capture(file).table(*names).read()
    assert found[names[0]].tolist() == [tuple(row) for row in rows]
    assert theirs == [tuple(kind % 255 for kind in row) for row in rows]  # to tshark the end is of type 0
    assert [found[names[1]].tolist(), found[names[2]].tolist()] == [[53, 53, 255], [4, 4, 1]]
    lines = tshark("-n", "-r", file, "-Y", "dhcp.option.type == 51").stdout.splitlines()
    assert Capture(file).where("dhcpmessage.choices.kind == 51").count() == len(lines) == 1


def test_an_item_that_uses_what_surrounds_it_is_replaced() -> None:
    class Wideness(Header):
        tag: U8 = 0
        value: Bytes = sized(field("^.width"), b"")

    class Wides(Header, under=Ether, when={"type": 0x7AE9}):
        width: U8 = 2
        some: tuple[Wideness, ...] = many()

    packet = dissect(bytes(Ether() / Wides(some=[Wideness(tag=1, value=b"ab"), Wideness(tag=2, value=b"cd")])))
    other = packet.replace({"wides.some[1].value": b"xy", "wides.some[0].tag": 9})
    assert bytes(other)[14:] == b"\2\x09ab\2xy"
    assert capture(other).where("wides.some[1].value == 7879").count() == 1


def test_a_class_with_the_name_of_a_field_in_small_letters_is_named_as_it_is_spelled() -> None:
    with bindings():

        class Named(Header):
            kind: U8 = 0
            size: U8 = auto(size_of("data"))
            data: Bytes = b""

        class Kind(Named, inside="data", when={"kind": 1}):
            v: U16 = 5

        class Naming(Header, under=UDP, when={"dport": 7911}):
            named: tuple[Named, ...] = many()

        for asked in ("naming.named.Kind.v", "naming.named.Kind[1].v", "naming.named.kind"):
            path = FieldPath.parse(asked, "column")
            assert path.name == asked and FieldPath.parse(path.name, "column") == path
        capture = Capture.of([Ether() / IPv4() / UDP(dport=7911) / Naming(named=[Kind(v=9)])])
        assert [capture.where(f"{path} == {value}").count() for path, value in (("naming.named.Kind.v", 9), ("naming.named.kind", 1))] == [1, 1]
