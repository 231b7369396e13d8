"""Names of DNS: one value, read through pointers, kept as they were written, and compressed anew."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import pytest
from hypothesis import given, settings, strategies as st

import packetlab as pl
from packetlab import (
    U8,
    U16,
    U32,
    UDP,
    BuildError,
    Bytes,
    Capture,
    DeclareError,
    Ether,
    Header,
    IPv4,
    IPv4Address,
    Writer,
    at,
    auto,
    bindings,
    choose,
    count_of,
    declare_from,
    default,
    dissect,
    field,
    labels,
    many,
    offset_of,
    pad,
    raw,
    size_of,
    strategies,
)
from packetlab.codec.faults import Dissection
from packetlab.codec.lenient import walk
from packetlab.schema.dump import described
from packetlab.schema.source import class_body
from tests.conftest import amount

CORPUS = Path(__file__).parents[3] / "captures" / "corpus"


class Question(Header):
    name: Annotated[str, labels(since="Zone", compress=True)] = "."
    type: U16 = 1
    cls: U16 = 1


class Resource(Header):
    name: Annotated[str, labels(since="Zone", compress=True)] = "."
    type: U16 = 0
    cls: U16 = 1
    ttl: U32 = 0
    length: U16 = auto(size_of("data"))
    data: Bytes = b""


class Host(Resource, inside="data", when={"type": 1}):
    address: IPv4Address = default("0.0.0.0")


class Server(Resource, inside="data", when={"type": [2, 5, 12]}):
    host: Annotated[str, labels(since="Zone", compress=True)] = "."


class Authority(Resource, inside="data", when={"type": 6}):
    primary: Annotated[str, labels(since="Zone", compress=True)] = "."
    mail: Annotated[str, labels(since="Zone", compress=True)] = "."
    serial: U32 = 0
    times: Annotated[bytes, pl.fixed_bytes(16)] = bytes(16)


class Mail(Resource, inside="data", when={"type": 15}):
    preference: U16 = 10
    host: Annotated[str, labels(since="Zone", compress=True)] = "."


class Zone(Header):
    id: U16 = 0
    flags: U16 = 0x8180
    asked: U16 = auto(count_of("questions"))
    said: U16 = auto(count_of("answers"))
    known: U16 = auto(count_of("authorities"))
    more: U16 = auto(count_of("additional"))
    questions: tuple[Question, ...] = many()
    answers: tuple[Resource, ...] = many()
    authorities: tuple[Resource, ...] = many()
    additional: tuple[Resource, ...] = many()


HEAD = bytes.fromhex("0001 8180 0001 0002 0000 0000")
MESSAGE = (
    HEAD + b"\3www\7example\3com\0\0\1\0\1"
    b"\xc0\x0c\0\1\0\1\0\0\0\5\0\4\1\2\3\4"
    b"\xc0\x10\0\x0f\0\1\0\0\0\5\0\7\0\x0a\2mx\xc0\x10"
)


def zone() -> Zone:
    return Zone(
        id=1,
        questions=[Question(name="www.example.com")],
        answers=[
            Host(name="www.example.com", ttl=5, address="1.2.3.4"),
            Mail(name="example.com", ttl=5, host="mx.example.com"),
        ],
    )


def names(header: Any) -> list[str]:
    found = [one.name for one in (*header.questions, *header.answers, *header.authorities, *header.additional)]
    for one in (*header.answers, *header.authorities, *header.additional):
        found += [getattr(one, word) for word in ("host", "primary", "mail") if hasattr(one, word)]
    return found


def test_names_are_read_through_pointers_in_items_and_in_what_these_hold() -> None:
    packet = dissect(MESSAGE, Zone)
    assert packet.faults == ()
    found = packet[Zone]
    assert names(found) == ["www.example.com", "www.example.com", "example.com", "mx.example.com"]
    assert isinstance(found.answers[1], Mail) and found.answers[1].preference == 10
    assert bytes(packet) == bytes(found) == MESSAGE
    assert pickle.loads(pickle.dumps(found)) == found
    assert names(pickle.loads(pickle.dumps(found))) == names(found)
    assert eval(repr(found)) == found
    assert found.answers[1].replace(ttl=9).host == "mx.example.com"  # type: ignore[attr-defined]


def test_what_is_built_is_compressed_and_is_the_same_message() -> None:
    assert bytes(zone()) == MESSAGE
    packet = dissect(MESSAGE, Zone)
    assert packet[Zone] == zone() and packet == zone() / b""
    assert hash(packet[Zone]) == hash(dissect(bytes(zone()), Zone)[Zone])
    assert (zone() / b"").layers[0].answers[1].length == 7  # type: ignore[attr-defined]


def test_pointers_are_kept_while_they_are_right_and_made_anew_when_offsets_move() -> None:
    packet = dissect(MESSAGE, Zone)
    assert bytes(packet.replace(Zone, id=1)) == MESSAGE
    longer = packet.replace(Zone, questions=[Question(name="a.example.org")])
    again = dissect(bytes(longer), Zone)
    assert again.faults == () and again == longer
    assert names(again[Zone]) == ["a.example.org", "www.example.com", "example.com", "mx.example.com"]
    assert [one.length for one in again[Zone].answers] == [4, 7]
    less = packet.replace(Zone, answers=packet[Zone].answers[1:], questions=())
    again = dissect(bytes(less), Zone)
    assert again.faults == () and names(again[Zone]) == ["example.com", "mx.example.com"]


def test_a_captured_spelling_survives_a_change_elsewhere() -> None:
    plain = HEAD[:6] + bytes.fromhex("0001 0000 0000") + MESSAGE[12:33] + MESSAGE[12:29] + MESSAGE[35:49]
    packet = dissect(plain, Zone)
    assert packet.faults == () and packet[Zone].answers[0].name == "www.example.com"
    assert bytes(packet.replace(Zone, id=7))[2:] == plain[2:]  # not compressed, since it was not
    # A pointer to a part of the message that is no name of ours is kept as long as it leads to the same text.
    strange = (
        HEAD[:6]
        + bytes.fromhex("0002 0000 0000")
        + b"\0\0\1\0\1"
        + b"\0\0\x10\0\1\0\0\0\5\0\5\3com\0"
        + b"\xc0\x1c\0\1\0\1\0\0\0\5\0\4\1\2\3\4"
    )
    packet = dissect(strange, Zone)
    assert packet.faults == () and packet[Zone].answers[1].name == "com"
    assert bytes(packet.replace(Zone, id=7))[2:] == strange[2:]
    moved = packet.replace(Zone, questions=[Question(name="org")])
    assert dissect(bytes(moved), Zone)[Zone].answers[1].name == "com"


@pytest.mark.parametrize(
    ("name", "written"),
    [
        (".", b"\0"),
        ("com", b"\3com\0"),
        ("com.", b"\3com\0"),
        (r"a\.b.c", b"\3a.b\1c\0"),
        (r"\\", b"\1\\\0"),
        (r"\000\255", b"\2\0\xff\0"),
        (r"My\032Printer._ipp", b"\x0aMy Printer\4_ipp\0"),
    ],
)
def test_names_in_text(name: str, written: bytes) -> None:
    made = Question(name=name)
    assert bytes(made)[:-4] == written
    assert made.name == (name.rstrip(".") or ".") == dissect(bytes(made), Question)[Question].name


@pytest.mark.parametrize("name", ["a..b", ".a", "a" * 64, ".".join(["a" * 63] * 4), r"a\300b", "a\\", 5])
def test_what_is_no_name_is_refused(name: Any) -> None:
    with pytest.raises(BuildError, match=r"Question\.name"):
        Question(name=name)


def test_what_is_no_origin_is_refused() -> None:
    with pytest.raises(DeclareError):
        labels(since=Zone)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (b"\xc0\x0c", "a pointer to what stands before it"),  # to itself
        (b"\xc0\x40", "a pointer to what stands before it"),  # forward
        (b"\3www\xff\xff", "a pointer to what stands before it"),  # beyond the message
        (b"\xc0\x02", "a name where its pointer leads to"),  # to a label of an unknown type
        (b"\x3f" * 64 * 5 + b"\0", "a name of up to 255 bytes"),
    ],
)
def test_a_pointer_to_no_name_is_a_fault_at_the_field_and_the_rest_is_read(written: bytes, expected: str) -> None:
    data = HEAD[:6] + bytes(6) + written + b"\0\7\0\1"
    packet = dissect(data, Zone)
    assert packet[Zone].questions[0].type == 7 and bytes(packet) == data
    (fault,) = packet.faults
    assert (fault.layer, fault.field, fault.offset) == ("Zone", "questions", 12) and fault.expected.startswith(expected)
    assert repr(packet[Zone].questions[0].name) == repr(raw(written))
    assert bytes(Question(name=packet[Zone].questions[0].name)).startswith(written)  # and may be sent again


@pytest.mark.parametrize("written", [b"\3ww", b"\xc0", b"\x40abc", b""])
def test_a_name_without_an_end_ends_the_message(written: bytes) -> None:
    data = HEAD[:6] + bytes(6) + written
    packet = dissect(data, Zone)
    assert packet[Zone].questions == () and bytes(packet) == data
    assert packet.faults[0].layer == "Zone" and packet.faults[0].field == "questions"


def test_steps_are_linear_in_the_input() -> None:
    def steps(n: int) -> int:
        chain = b"\1a\xc0\x0c" + b"".join(b"\xc0" + (12 + 2 * k).to_bytes(1, "big") for k in range(1, 100))
        tail = chain[-2:]
        names = b"".join(tail + b"\0\1\0\1" for _ in range(n))
        data = bytes.fromhex("00018180") + n.to_bytes(2, "big") + bytes(6) + names
        deep = bytes.fromhex("00018180") + n.to_bytes(2, "big") + bytes(6) + b"\1a\0\0\1\0\1"
        at = 12
        for _ in range(n - 1):  # each points to the one before it
            deep, at = deep + (0xC000 | at).to_bytes(2, "big") + b"\0\1\0\1", len(deep)
        counted = 0

        def count(frame: Any, event: str, argument: Any) -> None:
            nonlocal counted
            counted += 1

        sys.setprofile(count)
        try:
            for one in (data, deep):
                packet = dissect(one, Zone)
                assert len(packet[Zone].questions) in (0, n)
                bytes(packet.replace(Zone, id=5))
        finally:
            sys.setprofile(None)
        return counted

    steps(8)
    few, many_, more = steps(200), steps(400), steps(800)
    assert more - many_ < 2.4 * (many_ - few)


def test_a_name_in_a_layer_above_counts_from_the_header_below() -> None:
    with bindings():

        class Below(Header):
            name: Annotated[str, labels()] = "example.com"
            kind: U8 = 1

        class Above(Header, under=Below, when={"kind": 1}):
            name: Annotated[str, labels(since="Below", compress=True)] = "www.example.com"
            whole: Annotated[str, labels(since="packet", compress=True)] = "x.www.example.com"

        data = bytes(Below() / Above())
        assert data == b"\7example\3com\0\1\3www\xc0\x00\1x\xc0\x0e"
        packet = dissect(data, Below)
        assert packet.faults == () and packet == Below() / Above() and packet[Above].name == "www.example.com"
        changed = packet.replace(Below, name="example.org")
        assert dissect(bytes(changed), Below)[Above].name == "www.example.com"


def test_a_header_that_is_its_own_origin_inside_a_list() -> None:
    with bindings():

        class Pair(Header):
            first: Annotated[str, labels(compress=True)] = "example.com"
            second: Annotated[str, labels(compress=True)] = "www.example.com"

        class Pairs(Header):
            count: U8 = auto(count_of("pairs"))
            pairs: tuple[Pair, ...] = many()

        assert bytes(Pair()) == b"\7example\3com\0\3www\xc0\0"
        made = Pairs(pairs=[Pair(), Pair(first="org", second="example.org")])
        assert bytes(made) == b"\2" + bytes(Pair()) + b"\3org\0\7example\xc0\0"
        packet = dissect(bytes(made), Pairs)
        assert packet.faults == () and packet[Pairs] == made and packet[Pairs].pairs[1].second == "example.org"
        assert bytes(packet.replace(Pairs, pairs=packet[Pairs].pairs[1:])) == b"\1\3org\0\7example\xc0\0"


def test_an_origin_that_nobody_declared_is_refused_at_first_use() -> None:
    with bindings():

        class Lost(Header):
            name: Annotated[str, labels(since="Zome")] = "."

        with pytest.raises(DeclareError, match="Zone"):
            bytes(Lost())


def test_a_name_taken_out_of_its_message_stays_and_one_read_alone_has_no_name() -> None:
    found = dissect(MESSAGE, Zone)[Zone].answers[1]
    assert bytes(found) == MESSAGE[49:] and found.name == "example.com"
    alone = dissect(b"\xc0\x0c\0\1\0\1", Question)
    assert "a header Zone around it" in alone.faults[0].expected


def test_descriptions_and_source_say_the_same() -> None:
    said = described([Zone])
    read = repr(dissect(MESSAGE, Zone)[Zone])
    source = "\n\n\n".join(map(class_body, said))
    for make in (lambda: declare_from(said)[-1], lambda: pasted(source)["Zone"]):
        with bindings():
            again: Any = make()
            assert described([again]) == said
            assert repr(dissect(MESSAGE, again)[again]) == read


def pasted(source: str) -> dict[str, Any]:
    found: dict[str, Any] = {name: getattr(pl, name) for name in dir(pl)} | {
        "__name__": "pasted",
        "Annotated": Annotated,
    }
    exec(source, found)
    return found


def test_columns_filters_and_patterns_take_names(tmp_path: Path) -> None:
    with bindings():
        pl.bind(Zone, under=UDP, when={"dport": 0x7A53})
        with Writer(tmp_path / "made.pcap") as out:
            for host in ("www.example.com", "example.org"):
                out.write(
                    Ether()
                    / IPv4()
                    / UDP(dport=0x7A53)
                    / Zone(questions=[Question(name=host)], answers=[Mail(name=host, host="mx." + host)])
                )
        capture = Capture(tmp_path / "made.pcap")
        assert [*capture.table("zone.questions.name")["zone.questions.name"]] == ["www.example.com", "example.org"]
        assert capture.where('zone.questions.name == "example.org."').count() == 1
        assert capture.where('zone.answers.mail.host == "mx.www.example.com"').count() == 1
        assert capture.where(Zone(questions=pl.contains(Question(name="example.org")))).count() == 1
        assert "example.org" in [*capture][1].packet().show()


@given(data=st.data())
@settings(max_examples=amount(60, 600), deadline=None)
def test_what_is_drawn_reads_back(data: st.DataObject) -> None:
    label = st.binary(min_size=1, max_size=12).map(
        lambda one: "".join(f"\\{byte:03d}" for byte in one)
    ) | st.sampled_from(["www", "example", "com", "a"])
    name = st.lists(label, max_size=5).map(".".join)
    question = st.builds(Question, name=name)
    resource = st.one_of(
        st.builds(Host, name=name),
        st.builds(Server, name=name, type=st.sampled_from([2, 5, 12]), host=name),
        st.builds(Authority, name=name, primary=name, mail=name),
        st.builds(Mail, name=name, host=name),
        st.builds(Resource, name=name, type=st.just(99), data=st.binary(max_size=20)),
    )
    some = st.lists(resource, max_size=4)
    made = data.draw(
        st.builds(Zone, questions=st.lists(question, max_size=3), answers=some, authorities=some, additional=some)
    )
    packet = dissect(bytes(made), Zone)
    assert packet.faults == () and packet[Zone] == made and names(packet[Zone]) == names(made)
    kept = packet[Zone].answers[1:]
    edited = dissect(bytes(packet.replace(Zone, answers=kept)), Zone)
    assert edited.faults == () and names(edited[Zone]) == [
        *[one.name for one in packet[Zone].questions],
        *names(packet[Zone].replace(questions=(), answers=kept)),
    ]


@given(data=st.binary(max_size=80), points=st.lists(st.tuples(st.integers(0, 79), st.integers(0, 90)), max_size=6))
@settings(max_examples=amount(200, 2000), deadline=None)
def test_any_bytes_come_back_and_both_readers_agree(data: bytes, points: list[tuple[int, int]]) -> None:
    some = bytearray(
        bytes.fromhex("00018180 0002 0002 0001 0000") + bytes(byte & 7 if byte < 128 else byte for byte in data)
    )
    for place, to in points:
        if place + 2 <= len(some):
            some[place : place + 2] = bytes([0xC0, to])
    one = bytes(some)
    packet = dissect(one, Zone)
    assert bytes(packet) == one
    careful = Dissection()
    header = walk(Zone._declaration, one, 0, len(one), careful)[0]
    assert header == packet[Zone] and [*careful.faults] == [*packet.faults]
    if not packet.faults:
        assert bytes(packet.replace(Zone, id=0x0101))[2:] == one[2:]


@given(strategies.headers(Zone))
@settings(max_examples=amount(30, 1000), deadline=None)
def test_strategies_draw_names(header: Any) -> None:
    assert dissect(bytes(header), Zone)[Zone] == header


def test_what_is_expected_of_malformed_packets_is_reported() -> None:
    for case in pl.malformed(dissect(MESSAGE, Zone)):
        assert (case.id, case.disagreements()) == (case.id, [])


def of_tshark(tshark: Callable[..., list[list[str]]], path: Path) -> list[list[str]]:
    fields = (
        "dns.qry.name",
        "dns.resp.name",
        "dns.ns",
        "dns.cname",
        "dns.ptr.domain_name",
        "dns.mx.mail_exchange",
        "dns.soa.mname",
        "dns.soa.rname",
    )
    rows = tshark(path, *fields, "_ws.malformed")
    assert all(row[-1] == "" for row in rows)
    return [[name for cell in row[:-1] for name in cell.split(",") if name] for row in rows]


@pytest.mark.parametrize("compressed", [True, False])
def test_tshark_reads_the_names_of_what_is_built(
    tshark: Callable[..., list[list[str]]], tmp_path: Path, compressed: bool
) -> None:
    made = zone().replace(
        authorities=[Server(type=2, name="example.com", host="ns1.example.com"), Server(type=5, name="a.b", host="b")],
        additional=[Authority(name="org", primary="ns1.example.com", mail="root.ns1.example.com")],
    )
    if not compressed:
        given_: dict[str, Any] = {}
        for word in ("questions", "answers", "authorities", "additional"):
            given_[word] = [one.replace(name=raw(_plain(one.name))) for one in getattr(made, word)]
        made = made.replace(**given_)
    packet = Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=53, dport=5000) / made
    with Writer(tmp_path / "made.pcap") as out:
        out.write(packet)
    (found,) = of_tshark(tshark, tmp_path / "made.pcap")
    assert sorted(found) == sorted(names(made))


def _plain(name: str) -> bytes:
    return bytes(Question(name=name))[:-4]


@pytest.mark.parametrize("file", ["dns53.pcap", "ipv6-fragmented-dns.pcap", "dns-badcookie.pcap"])
def test_captured_messages_have_the_names_that_tshark_reads(tshark: Callable[..., list[list[str]]], file: str) -> None:
    if not (CORPUS / file).exists():
        pytest.skip("no such capture")
    rows = of_tshark(tshark, CORPUS / file)
    compared = 0
    for frame, expected in zip(Capture(CORPUS / file), rows, strict=True):
        packet = frame.packet()
        if not expected or UDP not in packet or 53 not in (packet[UDP].sport, packet[UDP].dport):
            continue
        message = dissect(packet.payload, Zone)
        assert sorted(one for one in names(message[Zone]) if one != ".") == sorted(
            one for one in expected if one != "<Root>"
        )
        assert bytes(message.replace(Zone, id=message[Zone].id ^ 1))[2:] == packet.payload[2:]
        compared += 1
    assert compared


class OffsetEntry(Header):
    name: Annotated[str, labels(since="OffsetIndex", compress=True)] = "."


class OffsetIndex(Header):
    where: U16 = auto(choose(size_of("entries") > 0, offset_of("entries"), 0))
    size: U16 = auto(size_of("entries"))
    mark: Bytes = pad(4)
    entries: tuple[OffsetEntry, ...] = at(
        field("where"), many(size=choose(field("where") != 0, field("size"), 0)), align=4
    )


def test_pointers_count_what_was_filled_up_to_an_offset_that_is_given() -> None:
    names: Any = [OffsetEntry(name="lab.example.com"), OffsetEntry(name="box.example.com")]
    for numbers in ({}, {"where": 50}, {"mark": b"abc"}, {"entries_gap": b"12345"}, {"where": 50, "size": 23}):
        made = OffsetIndex(entries=names, **numbers)
        read = dissect(bytes(made), OffsetIndex)
        assert not read.faults and read[OffsetIndex].entries == tuple(names), numbers
        assert len(bytes(made)) == read[OffsetIndex].where + 23


def test_an_offset_of_0_says_that_there_is_nothing() -> None:
    assert bytes(OffsetIndex()) == bytes(4)
    packet = dissect(b"\0\0\0\3\3abc", OffsetIndex)
    assert packet[OffsetIndex].entries == () and packet.payload == b"\3abc" and not packet.faults
