"""What a class says of its payload's size: a negative size is an unknown one, whichever branch it comes from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import pytest

import packetlab as pl
from packetlab import (
    U8,
    Bytes,
    Capture,
    DeclareError,
    Ether,
    Frame,
    Header,
    Payload,
    ahead,
    auto,
    bindings,
    bits,
    choose,
    default,
    field,
    internet_checksum,
    many,
    next_protocol,
    pad,
    sized,
)
from packetlab.codec.lenient import walk
from packetlab.declare import registry
from packetlab.declare.expressions import expression


@pytest.fixture(autouse=True)
def scoped() -> Iterator[None]:
    with bindings():
        yield


def frame(raw: bytes) -> bytes:
    return bytes(Ether(type=0x88B5)) + raw


def read(header: Any, raw: bytes) -> tuple[str, bytes, bytes, list[str]]:
    packet = pl.dissect(frame(raw))
    assert bytes(packet) == frame(raw)
    return repr(packet[header]), packet.payload, packet.trailer, [str(fault) for fault in packet.faults]


FLAG, N = field("flag"), field("n")
SIZES = [
    choose(FLAG == 1, N - 4, -1),
    choose(FLAG == 1, -1, N - 4),
    choose(FLAG == 1, choose(N > 3, N, -1), -2),
    N - 2,
]


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("tail", [False, True])
def test_compiled_readers_and_columns_know_an_unknown_size_as_the_careful_reader_does(size: Any, tail: bool) -> None:
    class X(Header, under=Ether, when={"type": 0x88B5}, payload_size=size):
        flag: U8 = 1
        n: U8 = 4
        if tail:
            body: Payload
            z: U8 = 9

    raw_values = [
        bytes([flag, n]) + b"abcdef"[:more] for flag in (0, 1) for n in (0, 2, 3, 4, 6, 255) for more in range(4)
    ]
    compiled = [read(X, raw) for raw in raw_values]
    columns = Capture.of([Frame(frame(raw)) for raw in raw_values]).table("x.n", "faults", *(["x.z"] if tail else []))
    assert columns["faults"].tolist() == [len(faults) for _, _, _, faults in compiled]
    if tail:
        packets = [pl.dissect(frame(raw)) for raw in raw_values]
        assert columns["x.z"].tolist() == [packet[X].z or 0 for packet in packets]
    X._decode = staticmethod(lambda data, start, end, ctx: walk(X._declaration, data, start, end, ctx))
    for raw, found in zip(raw_values, compiled, strict=True):
        registry.changed()  # or what often came would be read by a function of its own
        assert found == read(X, raw)


def test_a_negative_size_leaves_all_to_the_payload_and_nothing_of_the_header() -> None:
    class X(Header, under=Ether, when={"type": 0x88B5}, payload_size=choose(field("flag") == 1, field("n") - 4, -1)):
        flag: U8 = 1
        n: U8 = 4

    for _ in range(40):  # by itself, and as a stack that came often
        assert read(X, b"\1\0abcd") == ("X(flag=1, n=0)", b"abcd", b"", [])
    assert read(X, b"\1\6abcd")[1:] == (b"ab", b"cd", [])


def test_a_frame_cut_before_its_trailer_has_a_fault_and_no_byte_of_the_header_as_trailer() -> None:
    class X(Header, under=Ether, when={"type": 0x88B5}, payload_size=choose(field("a") == 1, 2, -1)):
        a: U8 = 0
        body: Payload
        z: U8 = 9

    for _ in range(40):
        assert read(X, b"\0") == ("X(a=0)", b"", b"", ["X.z: expected 1 bytes at offset 15, got 0"])
    assert read(X, b"\0\5") == ("X(a=0, z=5)", b"", b"", [])


class Crumb(Header):
    v: U8 = 0


NEVER = [expression(3) - 4, choose(field("q") == 0, -1, -2), 0 - field("q") - 1, expression(-1) - field("q")]


@pytest.mark.parametrize("size", NEVER, ids=str)
def test_a_size_or_count_that_is_always_negative_is_refused(size: Any) -> None:
    for annotation, right in (
        (Bytes, sized(size, b"")),
        (tuple[Crumb, ...], many(size=size)),
        (tuple[Crumb, ...], many(count=size)),
    ):
        body = {"__module__": "m", "__annotations__": {"q": U8, "a": annotation}, "q": 0, "a": right}
        with pytest.raises(DeclareError, match=r"X\.a: expected a number from 0, got .*always less"):
            type(Header)("X", (Header,), body)
    with pytest.raises(DeclareError, match=r"X, payload_size: expected a number from 0 in one case at least"):
        type(Header)("X", (Header,), {"__module__": "m", "__annotations__": {"q": U8}, "q": 0}, payload_size=size)


@pytest.mark.parametrize(
    "write, complaint",
    [
        (lambda: many(size=True), "a number or an expression"),
        (lambda: many(count=True), "a number or an expression"),
        (lambda: sized(False), "a number or an expression"),
        (lambda: pad(None), "a multiple of 1 to 65536 bytes, got None"),
        (lambda: pad("4"), "a multiple of 1 to 65536 bytes, got '4'"),
        (lambda: pad(-1), "a multiple of 1 to 65536 bytes, got -1"),
        (lambda: many(align=None), "a multiple of 1 to 65536 bytes, got None"),
        (lambda: many(align=b"x"), "a multiple of 1 to 65536 bytes, got b'x'"),
        (lambda: many(align=1.5), "a multiple of 1 to 65536 bytes, got 1.5"),
        (lambda: many(align=10**5000), "a multiple of 1 to 65536 bytes"),
        (lambda: ahead("4"), "a whole number, got '4'"),
        (lambda: ahead(1.5), "a whole number, got 1.5"),
        (lambda: next_protocol("\x1b]0;x\7"), "a name that is printable"),
        (lambda: next_protocol(""), "a name that is printable"),
    ],
)
def test_what_is_no_size_or_name_is_refused_where_it_stands(write: Any, complaint: str) -> None:
    with pytest.raises(DeclareError, match=complaint):
        right = write()
        annotation = tuple[Crumb, ...] if right.many else Bytes
        type(Header)("X", (Header,), {"__module__": "m", "__annotations__": {"a": annotation}, "a": right})


@pytest.mark.parametrize("none", [[], (), set(), frozenset(), range(0)], ids=repr)
def test_a_binding_by_no_number_is_refused(none: Any) -> None:
    for when in ({"type": none}, {"type": none, "src": 0}):
        with pytest.raises(DeclareError, match=r"X under Ether\.type: expected a number at least"):
            type(Header)(
                "X", (Header,), {"__module__": "m", "__annotations__": {"a": U8}, "a": 0}, under=Ether, when=when
            )


def test_words_of_a_class_that_no_file_could_hold_are_refused() -> None:
    with pytest.raises(DeclareError, match=r"X\.__doc__: expected text that UTF-8 can carry"):
        type(Header)("X", (Header,), {"__module__": "m", "__doc__": "a \ud800", "__annotations__": {"a": U8}, "a": 0})


WIDTHS = [(4, 4), (4, 8, 4), (12, 4), (12, 12), (20, 20), (4, 32, 4), (1, 7, 8, 8), (4, 24, 4), (8, 8, 8)]


@pytest.mark.parametrize("widths", WIDTHS, ids=str)
def test_fields_behind_the_payload_may_share_bytes(widths: tuple[int, ...]) -> None:
    names = [f"b{number}" for number in range(len(widths))]
    kinds = {name: Annotated[int, bits(width)] for name, width in zip(names, widths, strict=True)}
    body = {
        "__module__": __name__,
        "__annotations__": {"who": pl.IPv4Address, "checksum": pl.U16, "body": Payload, **kinds},
        "who": default("0.0.0.0"), "checksum": auto(internet_checksum("self")), **dict.fromkeys(names, 0),
    }  # fmt: skip
    X: Any = type(Header)("X", (Header,), body, under=Ether, when={"type": 0x88B5})
    for payload in (b"", b"a", b"ab", b"abc"):
        raw = bytes(Ether() / X(who="10.77.0.1", **dict.fromkeys(names, 1)) / payload)
        packet = pl.dissect(raw)
        assert (packet.payload, packet.trailer, bytes(packet)) == (payload, b"", raw)
        changed = bytes(packet.replace(payload=payload + b"z"))
        assert len(changed) == len(raw) + 1 and pl.dissect(changed)[X] == packet[X]
        (frame,) = Capture.of([Frame(raw)]).rewrite(ip={"10.77.0.0/16": "172.16.0.0/16"})
        assert str(frame.packet()[X].who) == "172.16.0.1"
        assert frame.packet().verdict(X) is packet.verdict(X) is pl.Verdict.GOOD
