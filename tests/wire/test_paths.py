"""Names: one meaning in filters, columns, ladders, volatile fields and variations; what means nothing is an error everywhere."""

from __future__ import annotations

import io
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import pytest
from hypothesis import given, strategies as st

from packetlab import (
    IDP,
    TCP,
    U8,
    U16,
    U64,
    UDP,
    BuildError,
    Capture,
    Ether,
    Frame,
    Header,
    IPv4,
    IPv6,
    TCPOption,
    XNSAddress,
    bindings,
    bits,
    compile_filter,
    count_of,
    field,
    fixed_bytes,
    ladder,
    many,
)
from packetlab.capture.batch import FrameBatch
from packetlab.capture.tables.engines import FieldFilter
from packetlab.declare.fields import auto
from packetlab.errors import PacketlabError
from packetlab.pattern.paths import FieldPath
from packetlab.testing.volatile import Volatile
from tests.answers import tshark
from tests.conftest import CORPUS, need

WEB = Capture(CORPUS / "web.pcap")
SYN = (
    Ether()
    / IPv4(src="10.0.0.3", ttl=9)
    / TCP(dport=80, options=[TCPOption(kind=2, data=b"\x05\xb4"), TCPOption(kind=1)])
)

SOME = list(WEB[:3])

# Query here -> query of tshark.
SAME = {
    "tcp.flags.syn == 1": "", "tcp.flags.syn == 0": "", "tcp.flags.reset == 1": "", "not tcp.flags.push == 1": "",
    "tcp.flags.ack == 1 and tcp.flags.fin == 1": "", "ip.flags.df == 1": "", "ip.flags.mf == 0": "", "ip.proto == 6": "",
    "tcp.srcport == 80": "", "tcp.dstport == 80 or udp.srcport == 53": "", "frame.number > 5 and frame.len < 100": "",
    "frame.cap_len >= 1000": "", "tcp.options.kind == 2": "tcp.option_kind == 2", "tcp.options.length == 10": "tcp.option_len == 10",
    'tcp.payload contains "GET"': "", "ip.src == 141.42.64.0/24": "", "eth.src contains 00:b0": "",
    "tcp.flags & SYN and tcp.options.kind in {3 8}": "tcp.flags.syn == 1 and tcp.option_kind in {3, 8}",
}  # fmt: skip


TAPS = """
local function tap(number, words)
    local listener = Listener.new("frame", words)
    function listener.packet(info) print("passes " .. number .. " " .. info.number) end
end
"""


@pytest.mark.slow
def test_filters_find_what_tsharks_find(tmp_path: Path) -> None:
    need("tshark")
    path, script = CORPUS / "web.pcap", tmp_path / "taps.lua"
    request = [theirs or ours for ours, theirs in SAME.items()]
    script.write_text(TAPS + "".join(f"tap({number}, [[{words}]])\n" for number, words in enumerate(request)))
    said = tshark("-n", "-q", "-X", f"lua_script:{script}", "-r", path).stdout  # one start for all of them
    found = re.findall(r"^passes (\d+) (\d+)$", said, re.MULTILINE)
    assert len(found) > 100
    for number, ours in enumerate(SAME):
        wanted = [int(frame) for tap, frame in found if int(tap) == number]
        assert [frame.number for frame in Capture(path).where(ours)] == wanted, ours


def test_flags_and_items_are_requested_by_name() -> None:
    assert WEB.where("tcp.flags.syn == 1").count() == 3 == WEB.where("tcp.flags.syn").count()
    assert WEB.where("tcp.options.kind == 2").count() == 3
    assert WEB.table("tcp.flags.syn").read()["tcp.flags.syn"].sum() == 3
    assert compile_filter("tcp.options.data == 05b4")(SYN) and not compile_filter("tcp.options.kind == 8")(SYN)
    assert compile_filter("tcp.options contains 0204")(SYN) and not compile_filter("tcp.options contains 02:05")(SYN)
    assert "kind=2,1,0 flags.syn=1 ttl=9" in str(
        ladder([SYN], fields=["tcp.options.kind", "tcp.flags.syn", "ip.ttl"])
    ).replace("options.", "")


MEANINGLESS = [
    ("tcp.flags.nonsense", "a part of TCP.flags, got 'nonsense'"),
    ("tcp.flags.sin", "did you mean 'syn'"),
    ("tcp.flags.bit_length", "a part of TCP.flags"),
    ("ip.ttl.real", "no part of IPv4.ttl"),
    ("tcp.options.kid", "a field of TCPOption, got 'kid' .*did you mean 'kind'"),
    ("tcp.dstprt", "did you mean 'dstport'"),
    ("tpc.dport", " header.* got 'tpc.* .*did you mean 'tcp'"),
    ("idp.dst.sockets", "did you mean 'socket'"),
    ("idp.packet_type.spp", "packet_type == SPP"),
    ("udp.payload.x", "no part of a payload"),
]


@pytest.mark.parametrize(("name", "complaint"), MEANINGLESS)
def test_what_no_declaration_has_is_an_error_in_every_place(name: str, complaint: str) -> None:
    for ask in (
        lambda: compile_filter(f"{name} == 1"),
        lambda: compile_filter(f"not {name}"),
        lambda: Capture.of([]).table(name),
        lambda: ladder([], fields=[name]),
        lambda: Volatile({name}),
        lambda: (Ether() / IDP() / UDP() / TCP()).vary(3, {name: range(3)}),
    ):
        with pytest.raises(PacketlabError, match=complaint):
            ask()


@pytest.mark.parametrize(
    ("ask", "complaint"),
    [
        (lambda: ladder([], fields=["nosuch"]), "a field such as 'seq'"),
        (lambda: ladder([], fields=["seqq"]), "did you mean 'seq'"),
        (lambda: ladder([], fields=["tcp.payload"]), "a field, got a payload"),
        (lambda: ladder([], fields=["payload"]), "a field, got a payload"),
        (lambda: ladder([], fields=[3]), "fields: 3: expected a name such as .*, got int"),
        (lambda: ladder([], fields=[None]), "fields: None: expected a name such as .*, got NoneType"),
        (lambda: ladder([], fields="seq"), r"a list of names, got 'seq' \(write \['seq'\]"),
        (lambda: ladder([], fields=TCP.seq), "a list of names, got <field TCP.seq>"),  # type: ignore[arg-type]
        (lambda: Volatile(3), "a set of names, got 3"),  # type: ignore[arg-type]
        (lambda: Volatile({3}), "volatile 3: expected names such as .*, got int"),
        (lambda: Volatile({TCP}), "or fields such as IPv4.id, got HeaderType"),
        (lambda: Capture.of([]).where(TCPOption), r'an item of TCP.options \(ask .* in words: "tcp.options.kind", or TCP\(options=contains\(TCPOption\)\)\)'),
        (lambda: Volatile({"idp.src.socket"}), "a whole field.*idp.src"),
        (lambda: Volatile({"ip#2.id"}), "a whole field, of every such header"),
        (lambda: Volatile({"tcp"}), "a whole field"),
        (lambda: SYN.vary(3, {"tcp.flags.syn": (0, 1, 0)}), "a whole field, or net, host or socket"),
        (lambda: SYN.vary(3, {"tcp": (0, 1, 0)}), "a field of TCP, got the whole header"),
        (lambda: Capture.of([]).table("frame.nmber"), "a header, got 'frame'"),
    ],
)
def test_what_a_place_cannot_use_it_says(ask: Callable[[], Any], complaint: str) -> None:
    with pytest.raises(PacketlabError, match=complaint):
        ask()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('ip.ttl == "64"', "column 11: expected a value for IPv4.ttl, got '\"64\"' .without quotes: 64"),
        ("ip.ttl == 256", "expected a value for IPv4.ttl, 0..255, got '256'"),
        ("ip.ttl in {1, -1}", "0..255, got '-1'"),
        ("ip.ttl == 10.0.0.1", "a value for IPv4.ttl"),
        ("ip.ttl contains 6", "== != < <= > >= & or in after IPv4.ttl, got 'contains'"),
        ("ip.src & 255", "contains or in after IPv4.src, got '&'"),
        ("tcp.flags == SIN", "a value for TCP.flags, names of TCPFlags"),
        ("tcp.flags.syn == 2", "0..1"),
        ("tcp.options.kind == x", "a value for TCP.options.kind"),
        ("ether.dst == 0x0102", "a value for Ether.dst"),
        ("idp.dst.net == 02:00:00:00:00:01", "a value for IDP.dst.net"),
        ("udp.payload contains xyz", "a value for UDP.payload"),
        ('udp.payload contains "a\\q"', "a value for UDP.payload"),
        ("ip#0.ttl == 3", "a number from 1 on"),
        ("comment == x", "a text in quotes"),
        ("number == x", "a value for number"),
        ("nmber > 3", "did you mean 'number'"),
        ("length", "a header"),
        ("file == 3", "a header"),
    ],
)
def test_values_that_a_field_cannot_have_are_errors(text: str, complaint: str) -> None:
    if text == "length":
        assert compile_filter(text)(SYN, Frame(bytes(SYN)))  # of a frame: it is not empty
        return
    with pytest.raises(BuildError, match=complaint):
        compile_filter(text)


def test_bytes_of_the_size_of_an_address_have_none_of_its_parts() -> None:
    with bindings():

        class Keyed(Header, under=Ether, when={"type": 0x88B5}):
            key: Annotated[bytes, fixed_bytes(12)]
            fixed: Annotated[bytes, fixed_bytes(2)]

        for name in ("net", "host", "socket"):
            with pytest.raises(BuildError, match="no part of Keyed.key"):
                Capture.of([]).table(f"keyed.key.{name}")
        with pytest.raises(BuildError, match="2 bytes"):
            compile_filter("keyed.fixed == 010203")
        assert compile_filter("keyed.fixed > 0102")(Ether() / Keyed(key=bytes(12), fixed=b"\1\3"))


def test_what_is_known_of_frames_is_queried_like_fields(tmp_path: Any) -> None:
    late = (1 << 63) + 5
    frames = [
        Frame(bytes(SYN), time, wire_length=len(bytes(SYN)) + number, comment=comment)
        for number, (time, comment) in enumerate([(5, None), (late, "first"), (0, ("x", "a \u00e9 b"))])
    ]
    path = tmp_path / "seen.pcapng"
    Capture.of(frames).write(path)
    (size,) = {len(bytes(SYN))}
    for words, wanted in {
        "number == 2": [2], "frame.number in {1, 3}": [1, 3], f"length == {size}": [1, 2, 3], f"wire_length > {size}": [2, 3],
        f"time_ns == {late}": [2], f"time_ns > {late - 1}": [2], f"time_ns < {late}": [1, 3], "time_ns == 9223372036854775807": [],
        f"time_ns in {{5 {late}}}": [1, 2], "time_ns": [1, 2], 'comment == "first"': [2], 'comment contains "\u00e9"': [3],
        "comment": [2, 3], "not comment and tcp": [1], 'comment != "x"': [2, 3], "faults": [2, 3], "faults == 0": [1],
        "linktype == 1 and interface == 0": [1, 2, 3], "number & 1": [1, 3],
    }.items():  # fmt: skip
        assert [frame.number for frame in Capture(path).where(words)] == wanted, words
        test = compile_filter(words)
        assert [frame.number for frame in Capture(path) if test(frame.packet(), frame)] == wanted, words
    timeless = [Frame(bytes(SYN), None), Frame(bytes(SYN), -5)]
    for words in ("time_ns < 0", "time_ns != 7", "time_ns in {-5}", "time_ns"):
        assert [compile_filter(words)(frame.packet(), frame) for frame in timeless] == [False, True]
        assert FieldFilter(compile_filter(words)).mask(FrameBatch.of(timeless)).tolist() == [False, True]
    with pytest.raises(BuildError, match="frames, which have one"):
        compile_filter("number == 1")(SYN)


def test_a_header_of_a_frames_name_can_still_be_requested() -> None:
    with bindings():

        class Comment(Header, under=Ether, when={"type": 0x88B5}):
            length: U8 = 0

        assert compile_filter("comment")(Ether() / Comment()) and not compile_filter("comment")(SYN)
        assert compile_filter("comment.length == 3")(Ether() / Comment(length=3))
        assert compile_filter('comment == "x"')(SYN, Frame(b"", comment="x"))


def test_items_of_items_and_bits_of_large_numbers() -> None:
    with bindings():

        class Leaf(Header):
            value: U16 = 0

        class Twig(Header):
            count: U8 = auto(count_of("leaves"))
            leaves: tuple[Leaf, ...] = many()

        class Tree(Header, under=Ether, when={"type": 0x88B5}):
            mark: Annotated[int, bits(64)] = 0
            count: U8 = auto(count_of("twigs"))
            twigs: tuple[Twig, ...] = many()

        built = Ether() / Tree(mark=1 << 63, twigs=[Twig(leaves=[Leaf(value=1), Leaf(value=7)]), Twig()])
        for packet in (built, Frame(bytes(built)).packet()):
            for words, passes in {
                "tree.twigs.leaves.value == 7": True, "tree.twigs.leaves.value == 8": False, "tree.twigs.count == 0": True,
                "tree.mark == 0x8000000000000000": True, "tree.mark < 0x8000000000000000": False, "tree.twigs.leaves contains 0001": True,
            }.items():  # fmt: skip
                assert compile_filter(words)(packet) == passes, words


@pytest.mark.slow
def test_long_filters_are_answered_like_short_ones() -> None:
    ports = ", ".join(map(str, range(1, 5000)))
    assert WEB.where(f"tcp.dport in {{{ports}}}").count() == WEB.where("tcp.dport < 5000 and tcp.dport").count()
    either = " or ".join(f"tcp.dport == {port}" for port in range(2000))
    assert WEB.where(either).count() == WEB.where("tcp.dport < 2000").count()
    assert WEB.where(" or ".join(["tcp.dport == 80"] * 3000)).count() == WEB.where("tcp.dport == 80").count()


def test_paths_name_what_they_mean() -> None:
    path = FieldPath.parse("ip#2.flags.df", "here")
    assert path.name == "ipv4#2.flags.dont_fragment" and FieldPath.parse(path.name, "here") == path
    tunnel = Ether() / IPv4(ttl=1) / IPv4(ttl=2, flags=2) / IPv6()
    assert [path.raw_values(tunnel, place) for place in path.found(tunnel)] == [[1]]
    assert compile_filter("ip#2.ttl == 2 and ip#1.ttl == 1")(tunnel) and not compile_filter("ip#2.ttl == 1")(tunnel)
    assert compile_filter("idp.dst.host == 0x20000000001")(Ether() / IDP(dst=XNSAddress(1, 0x20000000001, 3)))
    assert compile_filter("idp.dst.host == 02:00:00:00:00:01")(Ether() / IDP(dst=XNSAddress(1, 0x20000000001, 3)))


WORDS = [
    "tcp",
    "udp",
    "ip",
    "ip#2",
    "idp",
    "frame",
    "number",
    "time_ns",
    "comment",
    "faults",
    ".",
    ".flags",
    ".syn",
    ".options",
    ".kind",
    ".payload",
    ".src",
    ".ttl",
    ".dst.net",
    "==",
    "!=",
    "<",
    ">",
    "&",
    "contains",
    "in",
    "{",
    "}",
    "(",
    ")",
    "not",
    "and",
    "or",
    "!",
    "&&",
    "||",
    "0",
    "1",
    "255",
    "256",
    "-1",
    "0x",
    "0xff",
    "99999999999999999999999",
    "10.0.0.1",
    "10.0.0.0/8",
    "fe80::1",
    "02:00:00:00:00:01",
    "SYN",
    '"a"',
    '"\\x00"',
    '"\\q"',
    '"',
    "#",
    "#0",
    "#99999999999",
    "é",
    "\u202e",
    "�",
    "__class__",
    ".__init__",
    "\\",
    "%",
    "{0}",
    "$(x)",
    "'",
    ";",
]


@given(st.lists(st.sampled_from(WORDS) | st.text(max_size=3), max_size=14), st.sampled_from(["", " "]))
def test_hostile_words_are_a_filter_or_an_error(words: list[str], between: str) -> None:
    try:
        test = compile_filter(between.join(words))
    except BuildError:
        return
    passed = [frame for frame in SOME if test(frame.packet(), frame)]
    if FieldFilter.able(test):
        assert [SOME[row] for row in FieldFilter(test).mask(FrameBatch.of(SOME)).nonzero()[0]] == passed


def test_volatile_fields_are_named_as_fields_too() -> None:
    by_field, by_name = (Volatile(names) for names in ({TCP.seq, IPv4.id}, {"tcp.seq", "ip.id"}))
    assert by_field.relative and by_field.fields == by_name.fields == {IPv4: ["id"]}
    with bindings():

        class UDP(Header):  # of a name that packetlab has, bound nowhere
            id: U8 = 0

        assert Volatile({UDP.id}).fields == {UDP: ["id"]}


@given(st.integers(0, 2**40))
def test_names_put_together_at_random_are_columns_or_errors(seed: int) -> None:
    noise = random.Random(seed)
    name = "".join(noise.choice(WORDS) for _ in range(noise.randint(1, 4)))
    for ask in (Capture.of([SYN]).table, lambda name: ladder([SYN], fields=[name]), lambda name: Volatile({name})):
        try:
            ask(name)
        except PacketlabError:
            pass


def test_a_condition_between_numbers_of_64_bits_finds_all_frames() -> None:
    with bindings():

        class Pair(Header, under=Ether, when={"type": 0x88B5}):
            a: U64 = 0
            b: U64 = 0

        class Near(Header, under=Pair, when=field("a") - field("b") == 1):
            x: U8 = 0

        numbers = [(1, 0), (0, 0), (1 << 63, (1 << 63) - 1), ((1 << 64) - 1, (1 << 64) - 2), (0, (1 << 64) - 1), (5, 4)]
        frames = [bytes(Ether(type=0x88B5) / Pair(a=a, b=b)) + b"\7" for a, b in numbers]
        file = io.BytesIO()
        Capture.of(frames).write(file)
        for engine in ("rows", None):
            file.seek(0)
            assert Capture(file).table("near", engine=engine)["near"].tolist() == [a - b == 1 for a, b in numbers]
        file.seek(0)
        assert [frame.number for frame in Capture(file).where("near.x == 7")] == [1, 3, 4, 6]
