"""A kind of field of one's own: one class, and everything that walks a declaration has it, or says that it does not."""

from __future__ import annotations

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


@settings(max_examples=60)
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

    @settings(max_examples=50)
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
