"""A kind of field of one's own: one class, and everything that walks a declaration has it, or says that it does not."""

from __future__ import annotations

import json
import pickle
from fractions import Fraction
from typing import Annotated, Any

import pytest
from hypothesis import given, settings, strategies as st

import packetlab as pl
from packetlab import (
    U8,
    U16,
    BuildError,
    Bytes,
    Capture,
    DeclareError,
    Ether,
    Frame,
    Header,
    Kind,
    Rest,
    auto,
    bindings,
    dissect,
    field,
    size_of,
    sized,
    when,
)
from packetlab.schema.source import class_body
from packetlab.testing.volatile import Volatile
from tests.conftest import amount


class Varint(Kind):
    """A whole number in groups of seven bits, the lowest first (Protocol Buffers)."""

    zero = 0
    low, high = 0, (1 << 64) - 1

    def raw(self, value: Any, where: str) -> int:
        if not isinstance(value, int) or not self.low <= value <= self.high:
            raise BuildError(where, f"{self.low}..{self.high}", repr(value))
        return int(value)

    def read(self, data: bytes, pos: int, limit: int) -> tuple[int, int] | None:
        number = 0
        for place in range(pos, min(limit, pos + 10)):
            number |= (data[place] & 127) << 7 * (place - pos)
            if data[place] < 128:
                short = self.write(number) == data[pos : place + 1]
                return (number, place + 1) if short and number <= self.high else None
        return None

    def write(self, raw: int) -> bytes:
        groups = bytearray()
        while raw > 127:
            groups.append(raw & 127 | 128)
            raw >>= 7
        return bytes([*groups, raw])


class EUI64(Kind):
    """Eight bytes, shown with dashes: a kind of a fixed width."""

    bits = 64
    zero = bytes(8)

    def raw(self, value: Any, where: str) -> bytes:
        try:
            found = bytes.fromhex(value.replace("-", "")) if isinstance(value, str) else bytes(value)
        except (TypeError, ValueError):
            found = b""
        if len(found) != 8:
            raise BuildError(where, "an EUI-64", repr(value))
        return found

    def value(self, raw: bytes) -> str:
        return raw.hex("-")


@pytest.fixture
def note():
    with bindings():

        class Note(Header, under=Ether, when={"type": 0x88B5}):
            kind: U8 = 1
            size: Annotated[int, Varint()] = auto(size_of("text"))
            text: Bytes = sized(field("size"), b"")
            key: U16 | None = when(field("size") > 200, 7)
            device: Annotated[str, EUI64()] = "00-00-00-00-00-00-00-01"
            rest: Rest = b""

        yield Note


def test_it_builds_and_reads_back(note) -> None:
    for size in (0, 3, 127, 128, 300, 20000):
        packet = Ether() / note(text=b"x" * size, rest=b"end")
        read = dissect(bytes(packet))
        assert read == packet and not read.faults
        assert read[note].size == size and read[note].key == (7 if size > 200 else None)
        assert read[note].device == "00-00-00-00-00-00-00-01" and read[note].rest == b"end"
        assert read.encode() == bytes(packet)
        assert bytes(read.replace(note, text=b"yz")) == bytes(Ether() / note(text=b"yz", rest=b"end"))


@given(st.binary(max_size=40))
def test_any_bytes_come_back(data: bytes) -> None:
    with bindings():

        class Twice(Header, under=Ether, when={"type": 0x88B5}):
            one: Annotated[int, Varint()]
            two: Annotated[int, Varint()] | None = when(field("one") != 0)

        whole = bytes(Ether(type=0x88B5)) + data
        for _ in range(20):
            read = dissect(whole)
            assert bytes(read) == whole and read.encode() == whole


def test_bytes_that_are_none_are_a_fault(note) -> None:
    read = dissect(bytes(Ether(type=0x88B5)) + b"\x01\x80\x80")
    assert [str(fault) for fault in read.faults] == [
        "Note.size: expected a whole Varint at offset 15, got 2 bytes that are none"
    ]
    assert bytes(read) == bytes(Ether(type=0x88B5)) + b"\x01\x80\x80"


def test_values_that_do_not_fit_are_build_errors(note) -> None:
    with pytest.raises(BuildError, match=r"Note\.size: expected 0\.\.18446744073709551615, got -1"):
        note(size=-1)
    with pytest.raises(BuildError, match=r"Note\.device: expected an EUI-64"):
        note(device="x")


def test_it_is_shown_explained_and_compared(note) -> None:
    packet = Ether() / note(text=b"abc")
    read = dissect(bytes(packet))
    assert "size" in str(read.show()) and "00-00-00-00-00-00-00-01" in str(read.show())
    assert "size_of(text)" in str(read.why(note, "size"))
    assert str(packet.diff(packet.replace(note, text=b"abcd"))).startswith("Note")
    assert note(size=3).matches(packet) and not note(size=4).matches(packet)
    assert note(size=pl.between(2, 5)).matches(packet)
    assert "size" in str(pl.diagram(note))
    for shown in (packet, read, read[note]):
        assert shown._repr_mimebundle_()["text/html"]
    assert str(read.dump())


def test_it_has_columns_and_filters_through_objects(note) -> None:
    packets = [Ether() / note(text=b"x" * n) for n in (1, 300, 5)]
    captured = Capture.of([Frame(bytes(packet)) for packet in packets])
    assert captured.table("note.size")["note.size"].tolist() == [1, 300, 5]
    assert captured.where("note.size > 4").count() == 2
    assert captured.where(note(size=5)).count() == 1


def test_strategies_draw_it(note) -> None:
    from packetlab import strategies

    @settings(max_examples=amount(25, 500))
    @given(strategies.headers(note))
    def drawn(header: Any) -> None:
        assert dissect(bytes(Ether() / header))[note] == header

    drawn()


def test_what_cannot_have_it_says_so_by_name(note) -> None:
    with pytest.raises(BuildError, match="Varint"):
        pl.wireshark(note)


def test_a_kind_that_says_nothing_of_its_bytes_is_refused() -> None:
    class Nothing(Kind):
        pass

    with pytest.raises(DeclareError, match="read and write"), bindings():

        class Bad(Header):
            a: Annotated[int, Nothing()]


class Text(Kind):
    """Text up to a zero."""

    zero = ""

    def raw(self, value: Any, where: str) -> str:
        if not isinstance(value, str) or "\0" in value:
            raise BuildError(where, "text", repr(value))
        return value

    def read(self, data: bytes, pos: int, limit: int) -> tuple[str, int] | None:
        end = data.find(b"\0", pos, limit)
        try:
            return (data[pos:end].decode(), end + 1) if end >= 0 else None
        except UnicodeDecodeError:
            return None

    def write(self, raw: str) -> bytes:
        return raw.encode() + b"\0"


def own(read: Any, write: Any, zero: Any, **said: Any) -> Any:
    """A kind of one or more bytes, whose raw values are whatever `read` makes of them."""
    size = len(write(zero))
    body = {
        "zero": zero,
        "raw": lambda self, value, where: value,
        "read": lambda self, data, pos, limit: (
            (read(data[pos : pos + size]), pos + size) if pos + size <= limit else None
        ),
        "write": lambda self, raw: write(raw),
        **said,
    }
    return type("Own", (Kind,), body)()


RAW = {
    "str": (Text(), ["hi", "", "é"]),
    "tuple": (own(tuple, bytes, (0, 0)), [(1, 2), (0, 0), (3, 4)]),
    "float": (own(lambda b: b[0] / 2, lambda r: bytes([int(r * 2)]), 0.0), [1.5, 0.0, 2.0]),
    "bool": (own(lambda b: bool(b[0]), lambda r: bytes([r]), False), [True, False, True]),
    "fraction": (own(lambda b: Fraction(b[0], b[1] or 1), lambda r: bytes([r.numerator, r.denominator]), Fraction(0)),
                 [Fraction(1, 2), Fraction(0), Fraction(3)]),
    "large": (own(int.from_bytes, lambda r: r.to_bytes(16, "big"), 0, low=0, high=(1 << 128) - 1), [1, 1 << 100, 0]),
    "number": (own(lambda b: b[0], lambda r: bytes([r]), 0), [3, 0, 5]),
    "bytes": (own(lambda b: b[:1], lambda r: r + b"!", b"\0"), [b"x", b"\0", b"y"]),
}  # fmt: skip


@pytest.mark.parametrize("kind, values", RAW.values(), ids=RAW)
def test_a_table_holds_raw_values_of_any_type(kind: Any, values: list[Any]) -> None:
    import polars

    with bindings():

        class X(Header, under=Ether, when={"type": 0x88B6}):
            a: Annotated[Any, kind]
            b: U8 = 3

        packets = [*(Ether() / X(a=value) for value in values), Ether() / b"none"]
        table = Capture.of([Frame(bytes(packet)) for packet in packets]).table("x.a", "x.b")
        whole = table.read()
        assert whole["x.a"].tolist() == [*values, None] and whole.valid("x.a").tolist() == [True, True, True, False]
        assert whole["x.b"].tolist() == [3, 3, 3, 0]
        texts = [X._by_name["a"].kind.text(value) for value in values]
        assert whole.text("x.a") == [*texts, ""] and whole.head(2)["x.a"].tolist() == values[:2]
        assert polars.DataFrame(table)["x.a"].to_list() == [*texts, None]
        assert pickle.loads(pickle.dumps(whole))["x.a"].tolist() == [*values, None]
        assert [batch.rows for batch in table.batches(2)] and bool(str(whole))


@pytest.mark.parametrize(
    "said, complaint",
    [
        ({"bits": 16, "zero": b"\0\0", "low": 0, "high": 9}, r"X\.a: expected no low and high in Odd"),
        ({"bits": 16.0, "zero": b"\0\0"}, r"whole bytes in Odd\.bits"),
        ({"bits": True, "zero": b""}, r"whole bytes in Odd\.bits"),
        ({"low": 9, "high": 3}, r"whole numbers in Odd\.low and \.high, the least and the greatest, got \(9, 3\)"),
        ({"low": "a", "high": "b"}, r"whole numbers in Odd\.low and \.high"),
        ({"low": None, "high": 5}, r"whole numbers in Odd\.low and \.high"),
        ({"low": 0, "high": 1.5}, r"whole numbers in Odd\.low and \.high"),
        ({"low": 0, "high": 9, "zero": "x"}, r"a number from low to high in Odd\.zero"),
        ({"low": 3, "high": 9}, r"a number from low to high in Odd\.zero"),
    ],
)
def test_a_kind_whose_numbers_cannot_be_is_refused(said: dict[str, Any], complaint: str) -> None:
    kind = type("Odd", (Varint,), {"low": 0, "high": -1, **said})()
    with pytest.raises(DeclareError, match=complaint), bindings():

        class X(Header):
            a: Annotated[int, kind]


def test_scapy_and_dpkt_have_it(note) -> None:
    packet = Ether() / note(text=b"abc")
    for there in (packet.to_scapy(), dissect(bytes(packet)).to_scapy()):
        assert bytes(there) == bytes(packet)
    above = dissect(bytes(packet)).to_scapy().payload
    assert (above.size, above.device) == (3, "00-00-00-00-00-00-00-01") and "00-00-00-00-00-00-00-01" in above.show2(
        dump=True
    )
    above.device = "00-00-00-00-00-00-00-02"
    assert bytes(above) == bytes(note(text=b"abc", device="00-00-00-00-00-00-00-02"))
    assert bytes(dissect(bytes(packet)).to_dpkt()) == bytes(packet)


def test_strategies_draw_text_without_throwing_most_away() -> None:
    from packetlab import strategies

    with bindings():

        class Words(Header, under=Ether, when={"type": 0x88B6}):
            size: Annotated[int, Varint()] = auto(size_of("bytes"))
            bytes: Bytes = b""
            one: Annotated[str, Text()] = "hi"
            device: Annotated[str, EUI64()] = "00-00-00-00-00-00-00-01"
            two: Annotated[str, Text()] = "hi"
            three: Annotated[str, Text()]

        seen = set()

        @settings(max_examples=max(50, amount(50, 500)), database=None)
        @given(strategies.headers(Words))
        def drawn(header: Any) -> None:
            seen.add(header.three)
            assert dissect(bytes(Ether() / header))[Words] == header

        drawn()
        assert len(seen) > 10


def test_a_condition_fills_in_a_number_of_its_own_width() -> None:
    with bindings():

        class Lower(Header, under=Ether, when={"type": 0x88B6}):
            kind: Annotated[int, Varint()] = 9

        class Upper(Header, under=Lower, when=field("kind") == 300, sets={"kind": 300}):
            x: U8 = 7

        for _ in range(40):
            read = dissect(bytes(Ether() / Lower() / Upper()))
            assert read[Upper].x == 7 and read[Lower].kind == 300 and not read.faults
        with pytest.raises(DeclareError, match=r"sets: expected a number field .*, not text, got Text"):

            class Wordy(Header):
                text: Annotated[str, Text()] = ""

            pl.bind(Upper, under=Wordy, when=None, sets={"text": 3})


def test_filters_take_text_in_double_quotes_and_values_of_its_type() -> None:
    with bindings():

        class X(Header, under=Ether, when={"type": 0x88B6}):
            name: Annotated[str, Text()] = ""
            half: Annotated[Any, RAW["float"][0]] = 0.0
            pair: Annotated[Any, RAW["tuple"][0]] = (0, 0)

        captured = Capture.of([Frame(bytes(Ether() / X(name=name, half=1.5))) for name in ("zz", "yy")])
        assert captured.where('x.name == "zz"').count() == captured.where('x.name contains "z"').count() == 1
        assert captured.where("x.half > 1").count() == 2
        for question, hint in (
            ("x.name == 'zz'", r'x\.name, got "\'zz\'" \(a text stands in double quotes: "zz"\)'),
            ("x.pair > 3", "X.pair, of type tuple"),
            ('x.pair contains "x"', "X.pair, of type tuple"),
            ("ip.src == '10.0.0.1'", "double quotes"),
        ):
            with pytest.raises(BuildError, match=f"(?i){hint}"):
                captured.where(question).count()


def test_what_a_kind_says_of_a_value_does_nothing_to_a_terminal() -> None:
    class Loud(Varint):
        def text(self, raw: int) -> str:
            return f"\x1b]0;{raw}\x07\u202e"

    class Louder(Loud):
        def text(self, raw: int) -> str:
            return "\x07" + super().text(raw)

    for kind in (Loud(), Louder()):
        with bindings():

            class X(Header, under=Ether, when={"type": 0x88B6}):
                a: Annotated[int, kind] = 3
                b: Annotated[int, kind] = pl.const(4)

            read = dissect(bytes(Ether() / X()))
            wrong = dissect(bytes(Ether() / X())[:-1] + b"\x05")
            table = Capture.of([Frame(bytes(read))]).table("x.a").read()
            for shown in (
                read.show(), read.why(X, "a"), read.diff(read.replace(X, a=9)), X(a=8).why_not(read), wrong.faults,
                table.text("x.a"), read, read.summary(), read._repr_mimebundle_()["text/html"], pl.diagram(X), table,
            ):  # fmt: skip
                assert not {"\x1b", "\x07", "\u202e"} & {*str(shown)}, shown
            assert "\\x1b]0;3\\x07\\u202e" in str(read.show())


class Reversed(Kind):
    """A number of 16 bits, the lowest first: of a fixed width, and its bytes are in another order than its values."""

    bits = 16
    zero = bytes(2)

    def raw(self, value: Any, where: str) -> bytes:
        if not isinstance(value, int) or not 0 <= value < 1 << 16:
            raise BuildError(where, "0..65535", repr(value))
        return int(f"{value:016b}"[::-1], 2).to_bytes(2, "big")

    def value(self, raw: bytes) -> int:
        return int(f"{int.from_bytes(raw, 'big'):016b}"[::-1], 2)


class Anything(Reversed):
    """The same, which says that all bytes are values."""

    verbatim = True

    def raw(self, value: Any, where: str) -> bytes:
        return value if isinstance(value, bytes) else super().raw(value, where)


class Negative(Varint):
    """A number that tells its own size, kept as what is missing to 1000."""

    def raw(self, value: Any, where: str) -> int:
        return super().raw(1000 - value, where)

    def value(self, raw: int) -> int:
        return 1000 - raw


@pytest.mark.parametrize("kind", [Reversed(), Anything(), Negative(), Varint()], ids=lambda kind: type(kind).__name__)
def test_order_and_truth_go_by_values_in_filters_and_prototypes_alike(kind: Any) -> None:
    """Raw forms may be in any order; what a buffer is asked and what objects are asked has one answer."""
    with bindings():

        class X(Header, under=Ether, when={"type": 0x88B6}):
            a: Annotated[int, kind] = 0
            b: U16 = 0

        numbers = [0, 1, 2, 3, 4, 5, 200, 300]
        captured = Capture.of([Frame(bytes(Ether() / X(a=n, b=n))) for n in numbers])
        for asked in ("> 3", ">= 3", "< 3", "<= 200", "== 3", "!= 3", "in {3, 300}", "== 0x3", "> 16"):
            assert captured.where(f"x.a {asked}").count() == captured.where(f"x.b {asked}").count(), asked
        assert captured.where("x.a").count() == captured.where("x.b").count() == 7
        for wanted in (pl.between(1, 6), pl.between(100, 250), pl.one_of(3, 4), pl.masked(6, 2)):
            expected = sum(bool(X(b=wanted).matches(Ether() / X(b=n))) for n in numbers)
            assert sum(bool(X(a=wanted).matches(Ether() / X(a=n))) for n in numbers) == expected, wanted
            assert captured.where(X(a=wanted)).count() == captured.where(X(b=wanted)).count() == expected, wanted
        with pytest.raises(BuildError, match=r"between\(low, high\) of values that have an order"):
            X(a=pl.between(5, 4))


def test_numbers_that_tell_their_own_size_have_bits_and_hold_no_bytes(note) -> None:
    captured = Capture.of([Frame(bytes(Ether() / note(text=b"x" * n))) for n in (1, 300, 5)])
    assert captured.where("note.size & 4").count() == 2
    with pytest.raises(BuildError, match="== != < <= > >= & or in after Note.size"):
        captured.where("note.size contains 05")


def test_values_without_an_order_have_none() -> None:
    with bindings():

        class X(Header, under=Ether, when={"type": 0x88B6}):
            a: Annotated[complex, Complex()] = 0

        captured = Capture.of([Frame(bytes(Ether() / X(a=n))) for n in (1, 2j)])
        assert captured.where("x.a == 1").count() == captured.where("x.a").count() - 1 == 1
        with pytest.raises(BuildError, match=r"== or != after X\.a, whose values have no order"):
            captured.where("x.a > 1")
        with pytest.raises(BuildError, match="values that have an order"):
            X(a=pl.between(1, 2))


class Complex(Kind):
    """Two bytes: a real part and an imaginary one."""

    bits = 16
    zero = bytes(2)

    def raw(self, value: Any, where: str) -> bytes:
        return bytes([int(complex(value).real), int(complex(value).imag)])

    def value(self, raw: bytes) -> complex:
        return complex(*raw)


@pytest.mark.parametrize("kind", [Reversed(), Anything(), Negative(), Varint()], ids=lambda kind: type(kind).__name__)
def test_it_varies_and_its_columns_say_what_it_says(kind: Any) -> None:
    with bindings():

        class X(Header, under=Ether, when={"type": 0x88B6}):
            a: Annotated[int, kind] = 1
            b: U8 = 2

        template = Ether() / X()
        for some, expected in (
            ([1, 2, 300], [1, 2, 300]), (pl.sequence(range(1, 4)), [1, 2, 3]), (pl.seeded(3, [7]), [7, 7, 7]),
        ):  # fmt: skip
            rows = [dissect(row) for row in template.vary(3, {"x.a": some}).batch()]
            assert [row[X].a for row in rows] == expected and not any(row.faults for row in rows)
            assert Capture.of(rows).table("x.a").read().text("x.a") == [str(n) for n in expected]
        if not kind.verbatim:
            with pytest.raises(BuildError, match="values to draw from"):
                template.vary(3, {"x.a": pl.seeded(3)}).batch()
        with pytest.raises(BuildError, match=r"X\.a"):
            template.vary(3, {"x.a": [1, 1 << 65]}).batch()


@pytest.mark.parametrize("kind", [Reversed(), Anything(), Negative(), Varint()], ids=lambda kind: type(kind).__name__)
def test_it_may_be_volatile(kind: Any) -> None:
    """What is recorded twice has one form, whatever its values were."""
    with bindings():

        class X(Header, under=Ether, when={"type": 0x88B6}):
            a: Annotated[int, kind] = 1

        forms = [
            [frame.data for frame in Volatile({"x.a"}).canonical([Frame(bytes(Ether() / X(a=n))) for n in some])]
            for some in ((5, 300, 5), (400, 7, 400))
        ]
        assert forms[0] == forms[1] and forms[0][0] == forms[0][2]


def address(size: int, **said: Any) -> Kind:
    """An address of so many bytes, written as numbers with dots between."""

    def raw(self: Kind, value: Any, where: str) -> bytes:
        if isinstance(value, str) and value.count(".") == size - 1:
            value = bytes(map(int, value.split(".")))
        if not isinstance(value, bytes) or len(value) != size:
            raise BuildError(where, f"{size} numbers", repr(value))
        return value

    body = {"raw": raw, "value": lambda self, raw: ".".join(map(str, raw)), "zero": bytes(size), "is_address": True}
    return type("Dotted", (Kind,), {**body, "bits": size * 8, **said})()


@pytest.mark.parametrize("verbatim", [False, True])
@pytest.mark.parametrize("size", [4, 6, 8, 12, 16, 20])
def test_an_address_of_ones_own_is_one_everywhere(size: int, verbatim: bool) -> None:
    kind, one, other = address(size, verbatim=verbatim), ".".join(["10"] * size), ".".join(["11"] * size)
    with bindings():

        class X(Header, under=Ether, when={"type": 0x88B6}):
            src: Annotated[str, kind] = one
            dst: Annotated[str, kind] = other

        wire = bytes(Ether() / X())
        read = dissect(wire)
        assert X().src == read[X].src == one and read[X].dst == other and one in str(read.show())
        captured = Capture.of([Frame(wire)])
        assert captured.table("x.src").read().text("x.src") == [one]
        assert captured.where(f"x.src == {one}").count() == captured.where(f"x.src < {other}").count() == 1
        assert one in str(pl.ladder(captured)) or size in (6, 16)  # written as addresses of that size are
        there = read.to_scapy().payload
        there.src = other
        assert there.src == other and bytes(there) == bytes(X(src=other)) and bytes(read.to_dpkt()) == wire
        rows = (Ether() / X()).vary(2, {"x.src": [one, other]}).batch()
        assert [dissect(row)[X].src for row in rows] == [one, other]
        anonymous = captured.rewrite(anonymise=1)
        changed = [bytes(frame.data) for frame in anonymous] != [wire]
        assert changed == (size in (4, 6, 16)) and bool(anonymous.left) != changed, anonymous.left


def test_a_kind_that_says_verbatim_takes_bytes() -> None:
    kind = type("Picky", (Reversed,), {"verbatim": True})()
    with pytest.raises(DeclareError, match="raw in Picky to take bytes as they are"), bindings():

        class X(Header):
            a: Annotated[int, kind]


class Line(Kind):
    """Bytes up to a line feed, kept as bytes."""

    zero = b""

    def raw(self, value: Any, where: str) -> bytes:
        if not isinstance(value, bytes) or b"\n" in value:
            raise BuildError(where, "a line", repr(value))
        return value

    def read(self, data: bytes, pos: int, limit: int) -> tuple[bytes, int] | None:
        end = data.find(b"\n", pos, limit)
        return (data[pos:end], end + 1) if end >= 0 else None

    def write(self, raw: bytes) -> bytes:
        return raw + b"\n"


@pytest.mark.parametrize("kind, value", [(Line(), b"hello"), (Text(), "hello")], ids=["bytes", "str"])
def test_a_rule_may_state_the_size_of_what_tells_its_own(kind: Any, value: Any) -> None:
    """The kind reads it all the same, and its bytes are those it writes, not those of its raw form."""
    with bindings():

        class X(Header, under=Ether, when={"type": 0x88B6}):
            n: U8 = auto(size_of("name"))
            name: Annotated[Any, kind] = value
            check: U16 = auto(pl.internet_checksum("name"))
            x: U8 = 1

        packet = Ether() / X()
        wire = bytes(packet)
        read = dissect(wire)
        assert read == packet and read[X].name == value and read[X].n == 6 and not read.faults
        assert "agrees with the rule" in str(read.why(X, "n")) and "agrees" in str(read.why(X, "check"))
        for cut in range(14, len(wire)):
            damaged = dissect(wire[:cut])
            assert bytes(damaged) == damaged.encode() == wire[:cut], cut
        assert bytes(read.replace(X, name=value[:2])) == bytes(Ether() / X(name=value[:2]))
        assert [case.id for case in pl.malformed(read) if case.disagreements()] == []
        assert Capture.of([read]).where('x.name == "hello"').count() == 1
        assert Capture.of([read]).where('x.name contains "ell"').count() == 1
        assert bytes(pl.export.dpkt_class(X)(wire[14:])) == wire[14:] == bytes(read.to_scapy().payload)


def test_a_printed_declaration_is_a_class_body() -> None:
    """Defaults travel as users write them, so what is printed can be copied into a program."""
    with bindings():

        class Piece(Header):
            name: Annotated[str, Text()] = "a"
            n: Annotated[int, Reversed()] = 5

        class X(Header, under=Ether, when={"type": 0x88B6}):
            name: Annotated[str, Text()] = "hé\x1b"
            line: Annotated[bytes, Line()] = b"hello"
            a: Annotated[int, Reversed()] = 3
            b: Annotated[int, Negative()] = 7
            c: Annotated[int, Varint()] = 9
            d: Annotated[int, Anything()] = 4
            device: Annotated[str, EUI64()] = "00-00-00-00-00-00-00-01"
            fixed: Annotated[str, Text()] = pl.const("x")
            n: U8 = auto(pl.count_of("pieces"))
            pieces: tuple[Piece, ...] = pl.many(count=field("n"), value=(Piece(name="b"), Piece(n=6)))

        data = [pl.describe(one) for one in (Piece, X)]
        assert data == json.loads(json.dumps(data))
        wire, printed = bytes(X()), "\n\n".join(class_body(one) for one in data)
    for line in (
        "name: Annotated[Any, Text()] = 'h\\xe9\\x1b'",
        "a: Annotated[Any, Reversed()] = 3",
        "Piece(name='b')",
    ):
        assert line in printed
    kinds = (Text, Line, Reversed, Negative, Varint, Anything, EUI64)
    with bindings():
        assert bytes(pl.declare_from(data, kinds=kinds)[1]()) == wire
    with bindings():
        words = ("Header", "U8", "auto", "const", "count_of", "field", "many")
        names: dict[str, Any] = {word: getattr(pl, word) for word in words} | {kind.__name__: kind for kind in kinds}
        names.update(Annotated=Annotated, Any=Any, Ether=Ether, __name__=__name__)
        exec(printed, names)
        assert bytes(names["X"]()) == wire
    with bindings():

        class Y(Header):
            half: Annotated[Any, RAW["float"][0]] = 1.5

        assert pl.describe(Y)["fields"][0]["default"] == {"packet": "03"}
        with pytest.raises(DeclareError, match="a default that is a number, a text or bytes"):
            class_body(pl.describe(Y))


@pytest.mark.parametrize(
    "kind, some", [(Text(), "abc"), (Line(), [b"a", b"b", b"c"]), (Reversed(), [1, 2, 3]), (Negative(), [1, 2, 3])],
    ids=["str", "bytes", "fixed", "number"],
)  # fmt: skip
def test_what_answers_what_goes_by_values(kind: Any, some: Any) -> None:
    one, two, three = some
    with bindings():
        rule = (pl.request.name == pl.reply.name) & (pl.reply.turn > pl.request.turn)

        class X(Header, under=Ether, when={"type": 0x88B6}, answers=rule):
            turn: Annotated[Any, kind] = one
            name: Annotated[Any, kind] = one

        asked = Ether() / X(turn=two)
        assert (Ether() / X(turn=three)).answers(asked)
        for other in (X(turn=three, name=two), X(turn=one), X(turn=two)):
            assert not (Ether() / other).answers(asked)


def test_what_a_binding_by_one_number_fills_in_is_filled_in() -> None:
    with pl.bindings():

        class Below(pl.Header):
            maker: pl.U8 = 0
            type: pl.U8 = 0

        class Above(pl.Header, under=Below, when={"type": 5}, sets={"maker": 12}):
            value: pl.U8 = 1

        assert bytes(Below() / Above()) == b"\x0c\5\1"
        assert [type(one) for one in pl.dissect(b"\0\5\1", Below).layers] == [Below, Above]


@pytest.mark.parametrize("size", [5, 200, 20000])
def test_a_value_is_packed_once_beside_a_number_that_counts_its_own_bytes(size: int) -> None:
    packed = []

    class Noted(Varint):
        def write(self, raw: int) -> bytes:
            packed.append(raw)
            return super().write(raw)

    class Counting(Header):
        size: Annotated[int, Varint()] = auto(size_of("self"))
        value: Annotated[int, Noted()] = 7
        data: Bytes = b""

    bytes(Counting())
    packed.clear()
    data = bytes(Counting(value=300, data=bytes(size)))
    assert packed == [300]
    assert dissect(data, Counting)[Counting].size == len(data)
