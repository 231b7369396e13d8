"""What is accepted reads back: a rule is solved, or refused with the form that works; what values alone decide is reported when building."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Annotated, Any

import pytest

import packetlab as pl
from packetlab import (
    S8,
    U4,
    U8,
    U16,
    U32,
    U64,
    UDP,
    BuildError,
    Bytes,
    Capture,
    DeclareError,
    Ether,
    Frame,
    Header,
    IPv4,
    IPv4Address,
    Kind,
    Payload,
    Rest,
    Text,
    U16le,
    Verdict,
    auto,
    bcd,
    bind,
    bindings,
    choose,
    count_of,
    crc32,
    default,
    dissect,
    ended,
    field,
    has,
    internet_checksum,
    many,
    must,
    pad,
    size_of,
    sized,
    through,
    when,
    xor,
)
from packetlab.codec.faults import Dissection
from packetlab.codec.lenient import walk
from packetlab.codec.objects import declared_classes
from packetlab.codec.readback import prove
from packetlab.declare.checksums.algorithms import internet
from packetlab.schema.load import declare_from
from tests.careful import careful


class Speck(Header):
    v: U8 = 0


class Labelled(Header):
    size: U8 = auto(size_of("text"))
    text: Bytes = b""


Items = tuple[Speck, ...]


def made(name: str = "Made", **body: Any) -> Any:
    """Make a header class by a call: each field as its annotation, or as (annotation, right-hand side)."""
    annotations = {one: said[0] if isinstance(said, tuple) else said for one, said in body.items()}
    values = {one: said[1] for one, said in body.items() if isinstance(said, tuple)}
    place = {"__module__": __name__, "__qualname__": name, "__annotations__": annotations}
    return type(Header)(name, (Header,), {**place, **values})


READ_BACK: list[tuple[dict[str, Any], dict[str, Any], bytes]] = [
    # a sum with parts of fixed size; "self" less the rest of it
    (dict(length=(U16, auto(size_of("kind") + size_of("length") + size_of("value"))), kind=(U16, 0), value=(Bytes, b"")), dict(value=b"abc"), b"\0\7\0\0abc"),
    (dict(length=(U8, auto(size_of("self") - size_of("length"))), x=(Bytes, b"")), dict(x=b"abc"), b"\3abc"),
    (dict(length=(U8, auto(size_of("self") - size_of("padding"))), x=(Bytes, b""), padding=(Bytes, pad(4))), dict(x=b"ab"), b"\3ab\0"),
    (dict(length=(U8, auto(size_of("self") - size_of("y"))), n=(U8, auto(size_of("y"))), x=(Bytes, b""), y=(Bytes, b"")), dict(x=b"ab", y=b"c"), b"\4\1abc"),
    # two parts, where another field tells the second one
    (dict(both=(U8, auto(size_of("x") + size_of("y"))), n=(U8, auto(size_of("y"))), x=(Bytes, b""), y=(Bytes, b"")), dict(x=b"ab", y=b"c"), b"\3\1abc"),
    (dict(both=(U8, auto(size_of("x") + size_of("payload"))), n=(U8, auto(size_of("x"))), x=(Bytes, b"")), dict(x=b"ab"), b"\x09\2ab"),
    (dict(flag=(U8, auto(has("o"))), n=(U8, auto(size_of("o") + size_of("x"))), o=(U16, when(field("flag"))), x=(Bytes, b"")), dict(o=7, x=b"ab"), b"\1\4\0\7ab"),
    # a number that the size is taken from, or that is taken from it; multiples; rounding
    (dict(n=(U8, auto(10 - size_of("x"))), x=(Bytes, b"")), dict(x=b"ab"), b"\x08ab"),
    (dict(n=(U8, auto(20 - (size_of("x") + 3) // 4)), x=(Bytes, b"")), dict(x=b"abcdefgh"), b"\x12abcdefgh"),
    (dict(n=(U8, auto(size_of("x") - 1)), x=(Bytes, b"x")), dict(x=b"abc"), b"\2abc"),
    (dict(n=(U8, auto(3 + 2 * size_of("x"))), x=(Bytes, b"")), dict(x=b"ab"), b"\7ab"),
    (dict(n=(U8, auto((size_of("x") + 3) // 4)), x=(Bytes, b"")), dict(x=b"abcdefgh"), b"\2abcdefgh"),
    (dict(n=(U8, auto((size_of("x") + 3) >> 2)), x=(Bytes, b"")), dict(x=b"abcd"), b"\1abcd"),
    (dict(n=(U8, auto(-(-size_of("x") // 4))), x=(Bytes, b"")), dict(x=b"abcd"), b"\1abcd"),
    (dict(n=(U8, auto((size_of("x") + size_of("n") + size_of("m")) // 4)), m=(U8, 0), x=(Bytes, b"ab")), dict(x=b"abcdef"), b"\2\0abcdef"),
    (dict(n=(U8, auto(count_of("items") * 2)), items=(Items, many())), dict(items=(Speck(v=1), Speck(v=2))), b"\4\1\2"),
    (dict(n=(U8, auto(size_of("x"))), k=(U8, auto(size_of("x") + 1)), x=(Bytes, b"")), dict(x=b"ab"), b"\2\3ab"),
    (dict(n=(S8, auto(size_of("x"))), x=(Bytes, b"")), dict(x=b"ab"), b"\2ab"),
    (dict(n=(U8, auto(size_of("x"))), x=(Bytes, b""), items=(Items, many(size=field("n")))), dict(x=b"ab", items=(Speck(v=1), Speck(v=2))), b"\2ab\1\2"),
    # what stands after a field that goes on to the end of its header
    (dict(length=(U8, auto(size_of("self"))), x=(Bytes, b""), next=(U8, 7)), dict(x=b"ab", next=9), b"\4ab\x09"),
    (dict(length=(U8, auto(size_of("self"))), items=(Items, many()), n=(U4, 1), m=(U4, 2)), dict(items=(Speck(v=1),), n=3), b"\3\1\x32"),
    (dict(length=(U8, auto(size_of("self"))), flag=(U8, auto(has("o"))), x=(Bytes, b""), o=(U16, when(field("flag")))), dict(x=b"ab", o=5), b"\6\1ab\0\5"),
    (dict(length=(U8, auto(size_of("self"))), n=(U8, auto(size_of("y"))), x=(Bytes, b""), y=(Bytes, b"")), dict(x=b"ab", y=b"c"), b"\5\2"[:1] + b"\1abc"),
    # whether a later field is there, which is known once it has been read
    (dict(a=(U8, 0), n=(U8, auto(size_of("self") - has("o") * 4)), o=(U32, when(field("a") == 1))), dict(a=1, o=5), b"\1\2\0\0\0\5"),
    (dict(a=(U8, 0), n=(U8, auto(size_of("self") + has("o") * 100)), o=(U32, when(field("a") == 1))), dict(a=1, o=5), b"\1\x6a\0\0\0\5"),
    # shared bytes
    (dict(a=U4, b=U8, c=U4, d=U64, e=U4, f=U64, g=U4), dict(a=1, b=255, c=3, d=2**64 - 1, e=5, f=2**63, g=9), b"\x1f\xf3" + b"\xff" * 8 + b"\x58" + bytes(7) + b"\x09"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("body", "values", "data"), READ_BACK, ids=lambda one: "".join(one) if type(one) is dict else ""
)
def test_a_rule_that_can_be_solved_reads_back(body: dict[str, Any], values: dict[str, Any], data: bytes) -> None:
    cls = made(**body)
    built = bytes(cls(**values) / b"PAYLOAD")
    assert built == data + b"PAYLOAD"
    packet = dissect(built, first=cls)
    read: Any = packet.layers[0]
    assert {name: getattr(read, name) for name in values} == values
    assert packet.payload == b"PAYLOAD" and not packet.faults


@pytest.mark.parametrize(
    ("body", "values", "data"), READ_BACK, ids=lambda one: "".join(one) if type(one) is dict else ""
)
def test_the_careful_reader_goes_by_the_same_solutions(
    body: dict[str, Any], values: dict[str, Any], data: bytes
) -> None:
    cls = made(**body)
    for cut in range(len(data) + 1):
        one, other = Dissection(), Dissection()
        assert cls._decode(data[:cut], 0, cut, one) == walk(cls._declaration, data[:cut], 0, cut, other)
        assert one.faults == other.faults


def test_what_stands_behind_the_rest_is_found_from_the_end() -> None:
    class Tailed(Header):
        kind: U8 = 0
        x: Rest = b""
        y: U16 = 7
        z: U8 = 1

    read: Any = dissect(b"\5abc\0\x09\2", first=Tailed).layers[0]
    assert (read.kind, read.x, read.y, read.z) == (5, b"abc", 9, 2)
    assert bytes(Tailed(kind=5, x=b"abc", y=9, z=2)) == b"\5abc\0\x09\2"
    assert [str(fault) for fault in dissect(b"\5\0\1", first=Tailed).faults] == [
        "Tailed.z: expected 1 bytes at offset 3, got 0"
    ]
    with pytest.raises(BuildError, match="Tailed: expected nothing above it, since x goes on to the end, got 3 bytes"):
        bytes(Tailed() / b"abc")


def test_nothing_stands_above_a_field_that_takes_the_rest() -> None:
    class Resting(Header):
        kind: U8 = 0
        text: Rest = b""

    class Perhaps(Header):
        kind: U8 = 0
        text: Rest | None = when(field("kind") == 1, b"")

    class Listing(Header):
        items: tuple[Speck, ...] = many()

    for header in (Resting(), Resting(text=b"ab"), Perhaps(kind=1), Listing(), Listing(items=(Speck(),))):
        for above in (b"abc", Speck()):
            with pytest.raises(
                BuildError, match=r"nothing above it, since (text|items) goes on.*give the bytes as part"
            ):
                bytes(header / above)
        assert dissect(bytes(header), first=type(header)).layers[0] == header
    assert dissect(bytes(Perhaps() / b"abc"), first=Perhaps).payload == b"abc"
    with bindings(), pytest.raises(DeclareError, match="above it") as refusal:
        bind(Speck, under=Resting, when={"kind": 1})
    assert "text, which goes on to the end" in str(refusal.value)
    with bindings():
        bind(Speck, under=Perhaps, when={"kind": 2})
        assert Speck in dissect(bytes(Perhaps() / Speck(v=3)), first=Perhaps)


class Tagged(Header):
    tag: U8
    size: U8 = auto(size_of("data"))
    data: Bytes = b""


END: Any = field("tag") == 0
LISTS: list[dict[str, Any]] = [
    dict(items=(tuple[Tagged, ...], many(until=END))),
    dict(items=(tuple[Tagged, ...], many(until=END)), last=(U8, 9)),
    dict(n=(U8, auto(size_of("self"))), items=(tuple[Tagged, ...], many(until=END, align=4))),
    dict(n=(U8, auto(size_of("items"))), items=(tuple[Tagged, ...], many(until=END))),
    dict(n=(U8, auto(count_of("items"))), items=(tuple[Tagged, ...], many(count=field("n"), until=END))),
]  # fmt: skip


@pytest.mark.parametrize("body", LISTS)
def test_the_item_that_ends_a_list_is_its_last(body: dict[str, Any]) -> None:
    cls = made(**body)
    one, end = Tagged(tag=5, data=b"ab"), Tagged(tag=0)
    for items in ((one, end), (one, one, end), (end,)):
        packet = dissect(bytes(cls(items=items) / b"PAYLOAD"), first=cls)
        assert packet[cls].items == items and packet.payload == b"PAYLOAD" and not packet.faults
    for items in ((end, one), (one, end, one), (end, end)):
        with pytest.raises(BuildError, match=r"items: expected nothing after the item for which tag == 0, got Tagged"):
            bytes(cls(items=items))
    wanted = b"\5\2ab\0\0\5\0"
    assert wanted in bytes(cls(items=wanted))  # bytes go as they are, on purpose
    derived = cls(items=(Tagged(tag=5, size=3, data=b"abc"), end))
    assert dissect(bytes(derived), first=cls)[cls].items == derived.items


def test_a_list_that_only_its_last_item_ends_has_one_where_more_follows() -> None:
    for body in LISTS[:2]:
        cls = made(**body)
        for items in ((), (Tagged(tag=5),)):
            with pytest.raises(BuildError, match="a last item for which tag == 0, since more follows, got none"):
                bytes(cls(items=items) / b"PAYLOAD")
    assert bytes(made(**LISTS[0])(items=(Tagged(tag=5),))) == b"\5\0"


def test_what_ends_a_list_may_follow_from_other_fields() -> None:
    class Counting(Header):
        more: U8 = auto(has("x"))
        x: U8 | None = when(field("more"))

    cls = made(items=(tuple[Counting, ...], many(until=field("x") == 0)))
    items = (Counting(x=3), Counting(x=2), Counting())
    packet = dissect(bytes(cls(items=items) / b"P"), first=cls)
    assert packet[cls].items == items and packet.payload == b"P"
    with pytest.raises(BuildError, match="nothing after the item for which x == 0"):
        bytes(cls(items=items[::-1]))


def test_open_fields_of_which_only_one_is_ever_there_are_accepted() -> None:
    class Either(Header):
        kind: U8 = 0
        items: tuple[Speck, ...] | None = when(field("kind") == 1, many())
        x: Rest | None = when(field("kind").one_of(2, 3), b"")
        names: tuple[Labelled, ...] | None = when(field("kind") == 4, many())

    for header in (
        Either(kind=1, items=(Speck(v=2),)),
        Either(kind=2, x=b"ab"),
        Either(kind=4, names=(Labelled(text=b"a"),)),
    ):
        assert dissect(bytes(header), first=Either).layers[0] == header


REFUSED: list[tuple[dict[str, Any], str]] = [
    (dict(n=(U8, auto(size_of("x") + size_of("y"))), x=(Bytes, b""), y=(Bytes, b"")), r"Made\.x: expected a rule that can be solved for the size of x, got n = size_of\(x\) \+ size_of\(y\) \(say how it is read: x = sized\(\.\.\.\), made of field\('n'\)\)"),
    (dict(n=(U8, auto(choose(size_of("x") < 10, size_of("x"), 255))), x=(Bytes, b"")), "solved for the size of x, got n = size_of.x. if size_of"),
    (dict(n=(U8, auto(size_of("x") & 0x7F)), x=(Bytes, b"")), "solved for the size of x, got n = size_of.x. & 127"),
    (dict(n=(U8, auto(size_of("x") % 16)), x=(Bytes, b"")), "solved for the size of x"),
    (dict(n=(U8, auto(count_of("a") + count_of("b"))), a=(Items, many()), b=(Items, many())), r"Made\.a: .* many\(count=\.\.\.\) or many\(size=\.\.\.\), made of field\('n'\)"),
    (dict(n=(U8, auto(size_of("self") * size_of("self"))), x=(Bytes, b"")), "solved for the size of x"),
    (dict(x=(Bytes, b""), n=(U8, auto(size_of("self")))), r"Made\.x: expected a size: sized"),
    (dict(n=(U8, auto(size_of("self") + size_of("payload"))), x=(Bytes, b"")), r"Made\.x: expected a size: sized\(\.\.\.\), pad\(\.\.\.\), Rest or"),
    (dict(a=(Items, many()), b=(Items, many())), r"Made\.b: expected one field at most that takes the rest, got a before it"),
    (dict(a=(Items, many()), b=(Rest, b"")), r"Made\.b: .*takes the rest, got a before it"),
    (dict(n=(U8, auto(size_of("self"))), a=(Bytes, b""), b=(Bytes, b"")), r"Made\.b: .*takes the rest, got a before it"),
    (dict(n=(U8, auto(size_of("self"))), x=(Bytes, b""), padding=(Bytes, pad(4))), r'Made\.padding: expected fields of known size after x, .*size_of\("self"\) - size_of\("padding"\)'),
    (dict(x=(Rest, b""), n=(U8, auto(size_of("y"))), y=(Bytes, b"")), r"Made\.n: expected fields of known size after x"),
    (dict(x=(Rest, b""), y=(tuple[Labelled, ...], many(count=2))), r"Made\.y: expected fields of known size after x"),
    (dict(payload=Payload, fill=(Bytes, pad(4))), "Made: expected a payload whose size is known, since padding follows it"),
    (dict(opt=(U8, when(field("flag"))), flag=(U8, auto(has("opt")))), r"Made\.opt: expected presence and size to follow from fields before it, got flag"),
    (dict(a=U4, x=(U16le, 0), b=U4), "a little-endian number on a byte boundary"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "complaint"), REFUSED)
def test_what_a_reader_could_not_find_is_refused_in_the_class_body(body: dict[str, Any], complaint: str) -> None:
    with pytest.raises(DeclareError, match=complaint):
        made(**body)


def _int(name: str, bits: int = 8, **more: Any) -> dict[str, Any]:
    return {"name": name, "kind": "int", "bits": bits, **({} if "rule" in more else {"default": 0}), **more}


@pytest.mark.parametrize(
    "fields",
    [
        [_int("n", rule=["+", ["size_of", "x"], ["size_of", "y"]]), {"name": "x", "kind": "octets", "default": ""}, {"name": "y", "kind": "octets", "default": ""}],
        [_int("n", rule=["&", ["size_of", "x"], 127]), {"name": "x", "kind": "octets", "default": ""}],
        [_int("a", 4), {"name": "m", "kind": "mac", "default": "020000000001"}],
    ],
)  # fmt: skip
def test_what_is_refused_in_a_class_body_is_refused_in_a_file(fields: list[dict[str, Any]]) -> None:
    with bindings(), pytest.raises(DeclareError):
        declare_from({"name": "Filed", "fields": fields})


# What values alone decide ----------------------------------------------------------------------------------------


class Plain(Header):
    n: U8 = 0
    x: Bytes = sized(field("n") * 2, b"")


class Counted(Header):
    n: U8 = 0
    items: tuple[Speck, ...] = many(count=field("n"))


class Flagged(Header):
    flag: U8 = 0
    opt: U8 | None = when(field("flag"))


class Words(Header):
    n: U8 = auto(size_of("x") // 4)
    x: Bytes = b""


class Labels(Header):
    labels: tuple[Labelled, ...] = many(until=field("size") == 0)
    kind: U8 = 0


@pytest.mark.parametrize(
    ("build", "complaint"),
    [
        (lambda: Plain(x=b"abcd"), r"Plain\.x: expected 0 bytes, as n \* 2 says, got 4 bytes \(n can be given too, or follow by auto\(size_of\('x'\)\)\)"),
        (lambda: Counted(items=(Speck(), Speck())), r"Counted\.items: expected 0 items, as n says, got 2 items"),
        (lambda: Flagged(opt=3), r"Flagged\.opt: expected a field that is there, as it is where flag, got 3 \(flag can be given too, or follow by auto\(has\('opt'\)\)\)"),
        (lambda: Flagged(flag=1, opt=3).replace(flag=0), r"Flagged\.opt: expected a field that is there"),
        (lambda: Words(x=b"abcde"), r"Words\.n: expected a size that comes back from size_of\(x\) // 4, got 5, which is read as 4"),
        (lambda: Labels(labels=(Labelled(text=b"a"),)), r"Labels\.labels: expected a last item for which size == 0, since more follows, got none"),
    ],
)  # fmt: skip
def test_values_that_would_not_read_back_are_reported_when_building(
    build: Callable[[], Header], complaint: str
) -> None:
    header = build()
    for packet in (header, header / b"x"):
        with pytest.raises(BuildError, match=complaint):
            bytes(packet)


def test_what_is_given_on_purpose_is_built_as_given() -> None:
    assert bytes(Plain(n=2, x=b"abcd")) == b"\2abcd"
    assert bytes(Plain(n=9, x=b"abcd")) == b"\x09abcd"
    assert bytes(Counted(n=7, items=(Speck(v=1),))) == b"\7\1"
    assert bytes(Words(n=1, x=b"abcde")) == b"\1abcde"
    assert bytes(Flagged(flag=1, opt=3)) == b"\1\3"
    assert bytes(Labels(labels=(Labelled(text=b"a"), Labelled()), kind=2)) == b"\1a\0\2"


def test_captured_values_that_are_there_no_more_are_left_out() -> None:
    read: Any = dissect(b"\1\3", first=Flagged).layers[0]
    assert bytes(read.replace(flag=0)) == b"\0"
    with pytest.raises(BuildError, match="a field that is there"):
        bytes(read.replace(flag=0, opt=4))


# Tried once -------------------------------------------------------------------------------------------------------


def test_every_header_of_packetlab_reads_back_what_it_builds() -> None:
    with bindings():
        for header in declared_classes():
            if header.__module__.startswith("packetlab."):
                prove(header._declaration)


def test_a_declaration_that_does_not_read_back_is_reported_at_its_first_use() -> None:
    class Nothing(Header):  # an item of no bytes cannot be counted by reading on
        x: Rest = b""

    class Holding(Header):
        items: tuple[Nothing, ...] = many()

    for use in (lambda: bytes(Holding()), lambda: dissect(b"abc", first=Holding), lambda: bytes(Holding())):
        with pytest.raises(DeclareError, match=r"Holding\.items: expected a declaration that reads back .* in "):
            use()


USES: dict[str, Callable[[Any, Any], Any]] = {
    "table": lambda frames, cls: [*Capture.of(frames).table("wrong.a")],
    "where": lambda frames, cls: Capture.of(frames).where("wrong.a == 1").count(),
    "rewrite": lambda frames, cls: [*Capture.of(frames).rewrite(ip={"10.0.0.0/8": "172.16.0.0/16"})],
    "wireshark": lambda frames, cls: pl.wireshark(cls),
    "scapy": lambda frames, cls: pl.export.scapy_class(cls),
    "dpkt": lambda frames, cls: pl.export.dpkt_class(cls),
}


def test_a_class_that_is_made_by_a_call_is_its_makers_and_tried_as_well() -> None:
    class Nothing(Header):
        x: Rest = b""

    made = type(Header)("Made", (Header,), {"__annotations__": {"items": tuple[Nothing, ...]}, "items": many()})
    assert (made.__module__, repr(made._declaration)) == (__name__, f"<declaration {__name__}.Made>")
    with pytest.raises(DeclareError, match=r"Made\.items: expected a declaration that reads back"):
        bytes(made())


@pytest.mark.parametrize("use", USES)
def test_every_use_tries_a_declaration_first(use: str) -> None:
    with bindings():

        class Wrong(Header, under=UDP, when={"port": 48123}):
            a: U8 = auto(size_of("d") + 1)
            d: Bytes = sized(field("a"))
            peer: IPv4Address = "10.0.0.1"

        raw = bytes(Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=9, dport=48123) / b"\1x\x0a\0\0\1")
        frames = [Frame(raw) for _ in range(4)]
        for _ in range(2):
            with pytest.raises(DeclareError, match=r"Wrong.* expected a declaration that reads back"):
                USES[use](frames, Wrong)


@pytest.mark.parametrize(
    ("rule", "size"),
    [
        (size_of("payload") + 1, field("n")),
        (size_of("self"), field("n")),
        (size_of("payload") + 1, choose(field("flag") == 7, field("n"), -1)),
    ],
)
def test_a_payload_size_that_the_rule_of_its_field_contradicts_is_refused(rule: Any, size: Any) -> None:
    class Told(Header, payload_size=size):
        flag: U8 = 0
        n: U8 = auto(rule)

    with pytest.raises(DeclareError, match=r"Told\.payload: expected a declaration that reads back"):
        bytes(Told() / b"xx")


def test_a_payload_size_that_a_plain_field_tells_is_the_users_to_give() -> None:
    class Plain(Header, payload_size=choose(field("flag") == 1, field("m"), field("n"))):
        flag: U8 = 0
        m: U8 = 0
        n: U8 = auto(size_of("payload"))

    assert bytes(Plain() / b"xx") == b"\0\0\2xx"
    assert dissect(bytes(Plain(flag=1, m=2) / b"xx"), first=Plain).payload == b"xx"


class Off(Kind):
    """A byte that is read as another one than was written."""

    zero, low, high = 0, 0, 255
    wrong = range(256)

    def raw(self, value: Any, where: str) -> int:
        return int(value)

    def read(self, data: bytes, pos: int, limit: int) -> tuple[int, int] | None:
        return (data[pos] ^ (data[pos] in self.wrong), pos + 1) if pos < limit else None

    def write(self, raw: int) -> bytes:
        return bytes([raw])


class OffAtTheEnd(Off):
    wrong = range(255, 256)


class Twisted(Kind):
    """Raw values that are shown as others than they were made of."""

    bits, zero = 8, b"\0"

    def raw(self, value: Any, where: str) -> bytes:
        return bytes([value]) if isinstance(value, int) else bytes(value)

    def value(self, raw: bytes) -> int:
        return raw[0] ^ 1


@pytest.mark.parametrize("kind", [Off(), OffAtTheEnd(), Twisted()], ids=lambda kind: type(kind).__name__)
@pytest.mark.parametrize("given", [{}, dict(a=4)])
def test_a_kind_that_does_not_read_what_it_writes_is_refused(kind: Kind, given: dict[str, Any]) -> None:
    for a in (Annotated[Any, kind], (Annotated[Any, kind], kind.zero)):
        with pytest.raises(DeclareError, match=r"Made\.a: expected a (declaration that reads back|kind whose raw)"):
            bytes(made(a=a)(**given))


def test_a_declaration_that_no_value_satisfies_is_refused() -> None:
    class Never(Header):
        a: U8 = auto(size_of("d"))
        f: U8 = auto(field("a") + 1)
        d: Bytes = sized(field("f"))

    class Tens(Header):  # satisfied by few
        a: U8 = auto(size_of("d") // 10)
        f: U8 = auto(field("a") * 10)
        d: Bytes = sized(field("f"))

    with pytest.raises(DeclareError, match=r"Never\.d: expected .* bytes, as f says, for some size"):
        dissect(b"\1\2ab", first=Never)
    assert bytes(Tens(d=bytes(20)))[:2] == b"\2\x14"


def test_a_declaration_is_tried_once() -> None:
    class Used(Header):
        n: U8 = auto(size_of("x"))
        x: Bytes = b""

    assert not Used._declaration.proved
    assert bytes(Used(x=b"a")) == b"\1a"
    assert Used._declaration.proved
    encode = Used._encode
    bytes(Used(x=b"ab"))
    assert Used._encode is encode


# Sums of sums -----------------------------------------------------------------------------------------------------


class Nested(Header):
    """The first sum covers the second, the last one both."""

    whole: U32 = auto(crc32("self"))
    inner: U16 = auto(internet_checksum("payload"))
    n: U8 = auto(size_of("x"))
    x: Bytes = b""
    of_x: U16 = auto(internet_checksum("x"))
    payload: Payload
    tail: U32 = auto(crc32("self", "payload"))


def test_sums_are_worked_out_innermost_first() -> None:
    with bindings():
        bind(Nested, under=UDP, when={"dport": 7777})
        for i in range(40):  # what often comes is built by a function of its own
            data = bytes(Ether() / IPv4() / UDP() / Nested(x=bytes([i])) / b"abcd")[42:]
            assert data[4:6] == internet(b"abcd").to_bytes(2, "big") and data[8:10] == internet(data[7:8]).to_bytes(
                2, "big"
            )
            assert data[:4] == zlib.crc32(bytes(4) + data[4:10]).to_bytes(4, "big")
            assert data[-4:] == zlib.crc32(data[:-4]).to_bytes(4, "big")
        read = dissect(data, first=Nested)
        assert {read.verdict(Nested, name) for name in ("whole", "inner", "of_x", "tail")} == {Verdict.GOOD}


def test_sums_of_packets_that_vary_are_worked_out_innermost_first() -> None:
    with bindings():
        bind(Nested, under=UDP, when={"dport": 7777})
        packet = Ether() / IPv4() / UDP() / Nested(x=b"a") / b"abcd"
        for one in packet.vary(3, {Nested.x: [b"a", b"b", b"c"]}):
            read = dissect(bytes(one))
            assert {read.verdict(Nested, name) for name in ("whole", "inner", "of_x", "tail")} == {Verdict.GOOD}


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (dict(a=(U32, auto(crc32("self"))), b=(U16, auto(internet_checksum("self", "payload")))), r'Made\.b: expected checksums of which none covers one that covers it, got a -> b -> a'),
        (dict(a=(U16, auto(internet_checksum("payload"))), b=(U16, auto(field("a") + 1))), r"Made\.b: expected fields other than sums, which are worked out last, got a"),
        (dict(a=(U16, auto(internet_checksum("payload"))), b=(U16, when(field("a") == 0, 1))), r"Made\.b: expected fields other than sums"),
    ],
)  # fmt: skip
def test_sums_that_follow_from_each_other_are_refused(body: dict[str, Any], complaint: str) -> None:
    with pytest.raises(DeclareError, match=complaint):
        made(**body)


def test_a_field_with_its_default_is_there_for_the_rules_of_others() -> None:
    class Flagged(Header):
        a: U8 = 0
        flag: U8 = auto(has("first"))
        first: U8 | None = when(field("a") > 1, 7)

    assert bytes(Flagged(a=5)) == b"\5\1\7" and bytes(Flagged(a=1)) == b"\1\0"
    assert dissect(b"\5\1\7", Flagged).replace(Flagged, a=0, first=None).encode() == b"\0\0"


def test_sizes_that_few_values_have_are_no_contradiction() -> None:
    with bindings():

        class Two(Header):
            n: U8 = auto(size_of("x"))
            x: Bytes = sized(field("n"))
            y: Bytes = sized(field("n") + 3)

        class Long(Header):
            m: U8 = 0
            n: U8 = auto(field("m") + 70)
            x: Bytes = sized(field("n"))

        class Above(Header):
            n: U8 = auto(size_of("payload"))
            x: Bytes = sized(field("n") + 70)

        assert bytes(Two(x=b"a", y=b"bcde")) == b"\1abcde"
        assert bytes(Long(m=3, x=bytes(73))) == bytes([3, 73]) + bytes(73)
        assert bytes(Above(x=bytes(71)) / b"p") == b"\1" + bytes(71) + b"p"


@pytest.mark.parametrize("size", [0, 1, 255, 256, 70_000])
def test_a_length_of_several_forms_is_that_of_the_form_that_is_there(size: int) -> None:
    with pl.bindings():

        class Field(pl.Header):
            form: pl.U8 = pl.auto((pl.size_of("data") > 255) + (pl.size_of("data") > 65_535))
            short: pl.U8 | None = pl.when(pl.field("form") == 0, pl.auto(pl.size_of("data")))
            middle: pl.U16 | None = pl.when(pl.field("form") == 1, pl.auto(pl.size_of("data")))
            long: pl.U32 | None = pl.when(pl.field("form") == 2, pl.auto(pl.size_of("data")))
            data: pl.Bytes = b""

        class Layer(pl.Header):
            form: pl.U8 = pl.auto(pl.size_of("payload") > 255)
            short: pl.U8 | None = pl.when(pl.field("form") == 0, pl.auto(pl.size_of("payload")))
            long: pl.U32 | None = pl.when(pl.field("form"), pl.auto(pl.size_of("payload")))

        data = bytes(Field(data=bytes(size))) + b"rest"
        found = pl.dissect(data, Field)
        assert len(found[Field].data) == size and found.payload == b"rest" and bytes(found) == data and not found.faults
        assert careful(Field, data)[0] == found[Field]
        data = bytes(Layer() / bytes(size)) + b"rest"
        found = pl.dissect(data, Layer)
        assert len(found.payload) == size and found.trailer == b"rest" and bytes(found) == data


class HeldOnce(Header):
    a: U8 = 1


RIGHT_HAND_SIDES: dict[str, tuple[Any, Any]] = {
    "a header that may be absent": (HeldOnce | None, when(field("f") == 5, HeldOnce())),
    "a list": (tuple[HeldOnce, ...], many(count=field("f") - 4, value=(HeldOnce(),))),
    "text up to a delimiter": (Text, ended(b"\0", "abc")),
    "bytes through a transform": (Bytes, through(xor(5), sized(1, b"a"))),
    "a number with a rule": (U8, must(field("x") < 9, 7)),
    "a number in packed digits": (Annotated[int, bcd(4)], default(17)),
}


@pytest.mark.parametrize("what", RIGHT_HAND_SIDES)
def test_a_right_hand_side_that_stands_in_two_classes_is_each_ones(what: str) -> None:
    annotation, given = RIGHT_HAND_SIDES[what]
    first, second = (
        type(Header)("T", (Header,), {"__annotations__": {"f": U8, "x": annotation}, "f": 5, "x": given}) for _ in range(2)
    )
    assert bytes(first()) == bytes(second())
    wrapped = type(Header)("W", (Header,), {"__annotations__": {"f": U8, "x": annotation}, "f": 5, "x": when(field("f") == 5, given)})
    assert bytes(wrapped()) == bytes(first())
    third = type(Header)("T", (Header,), {"__annotations__": {"f": U8, "x": annotation}, "f": 5, "x": given})
    assert bytes(third(f=5)) == bytes(first(f=5)) and str(third._field("x").condition) == str(first._field("x").condition)
