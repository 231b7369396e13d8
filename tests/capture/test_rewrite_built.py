"""Rewriting puts checksums right that no scan works out: over bits, over what is not sent, in digits, in many bytes."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator
from functools import reduce
from pathlib import Path
from typing import Annotated, Any

import pytest
from hypothesis import given, settings, strategies as st

import packetlab as pl
from packetlab import (
    U3,
    U4,
    U5,
    U8,
    U16,
    UDP,
    Bytes,
    Capture,
    Ether,
    Header,
    IPv4,
    IPv4Address,
    Packet,
    Payload,
    U16le,
    Verdict,
    Writer,
    auto,
    bits,
    choose,
    computed,
    crc,
    default,
    digits,
    dissect,
    field,
    many,
    size_of,
    span,
    xor8,
)
from packetlab.capture.batch import FrameBatch
from packetlab.capture.files import source
from packetlab.capture.frame import Frame
from packetlab.capture.rewrite import built
from tests.conftest import amount

OLD, NEW = "10.0.0.1", "10.9.7.9"
CHANGES: dict[str, Any] = {"ip": {OLD: NEW}, "ports": {80: 8080}}


class BitItem(Header):
    sport: U16 = 80
    kind: U3 = 1
    check: U5 = auto(crc("CRC-5/USB", span("sport", "kind")))


class OverBits(Header):
    version: U4 = 1
    flags: U4 = 5
    sport: U16 = 80
    dport: U16 = 1000
    check: U16 = auto(crc("CRC-16/MODBUS", span("flags", "dport")))
    items: tuple[BitItem, ...] = many()


class Unsent(Header):
    kind: U8 = 0
    extra: U16 = computed(choose(field("kind") == 0, 0x1234, 0xFEDC))
    size: U8 = auto(size_of("payload"))
    sender: IPv4Address = default(OLD)
    body: Payload
    check: U16le = auto(crc("CRC-16/MCRF4XX", "kind", "sender", "payload", "extra"))


class InDigits(Header):
    number: U8 = 7
    sender: IPv4Address = default(OLD)
    check: Annotated[int, digits(16, width=2, upper=True)] = auto(xor8("number", "sender", "payload"))
    body: Payload


class Wide(Header):
    sender: IPv4Address = default(OLD)
    check: Annotated[int, bits(88)] = auto(crc("CRC-82/DARC", "sender", "payload"))
    body: Payload


ALL = (OverBits, Unsent, InDigits, Wide)


@pytest.fixture(autouse=True, scope="module")
def _bound() -> Iterator[None]:
    with pl.bindings():
        for port, cls in enumerate(ALL, 7001):
            pl.bind(cls, under=UDP, port=port)
        pl.bind(IPv4, under=Unsent, when={"kind": 4})
        pl.bind(IPv4, under=InDigits, when={"number": 4})
        yield


def reflected(stream: list[int], width: int, poly: int, register: int, xor: int = 0) -> int:
    """A CRC as its definition has it: a register of `width` bits, and of the message a bit at a time; the result mirrored."""
    for bit in stream:
        top = register >> (width - 1) ^ bit
        register = (register << 1 & (1 << width) - 1) ^ (poly if top else 0)
    return int(f"{register:0{width}b}"[::-1], 2) ^ xor


def lowest_first(data: bytes) -> list[int]:
    return [byte >> place & 1 for byte in data for place in range(8)]


def over_bits(head: bytes) -> bytes:
    """What is right in the bytes of `OverBits`."""
    checked = reflected(lowest_first(head[:1])[:4] + lowest_first(head[1:5]), 16, 0x8005, 0xFFFF)
    items = b""
    for at in range(7, len(head), 3):
        kind = head[at + 2] >> 5
        stream = lowest_first(head[at : at + 2]) + [kind >> place & 1 for place in range(3)]
        items += head[at : at + 2] + bytes([kind << 5 | reflected(stream, 5, 0x05, 0x1F, 0x1F)])
    return head[:5] + checked.to_bytes(2, "big") + items


def unsent(data: bytes) -> bytes:
    covered = data[:1] + data[2:-2] + (b"\x12\x34" if data[0] == 0 else b"\xfe\xdc")
    return data[:-2] + reflected(lowest_first(covered), 16, 0x1021, 0xFFFF).to_bytes(2, "little")


def in_digits(data: bytes) -> bytes:
    return data[:5] + b"%02X" % reduce(int.__xor__, data[:5] + data[7:]) + data[7:]


def wide(data: bytes) -> bytes:
    return data[:4] + reflected(lowest_first(data[:4] + data[15:]), 82, 0x0308C0111011401440411, 0).to_bytes(11, "big") + data[15:]


RIGHT: dict[type[Header], Callable[[bytes], bytes]] = {OverBits: over_bits, Unsent: unsent, InDigits: in_digits, Wide: wide}


def stack(*above: Any) -> Packet:
    return reduce(lambda packet, one: packet / one, above, Ether() / IPv4(src=OLD, dst="10.0.0.2") / UDP(sport=9, dport=7001 + ALL.index(type(above[0]))))


def rewritten(*packets: Any, **options: Any) -> list[bytes]:
    """Return the frames rewritten; nothing was left."""
    new = Capture.of(packets).rewrite(**options)
    found = [frame.data for frame in new]
    assert not new.left
    return found


ITEMS = (BitItem(), BitItem(kind=6))
SOME = [OverBits(items=ITEMS), Unsent() / b"abc", Unsent(kind=1) / b"", InDigits() / b"abc", Wide() / b"abcd"]


@pytest.mark.parametrize("above", SOME, ids=lambda one: repr(one)[:12])
def test_they_are_what_their_definitions_say_of_the_bytes_that_are_there_then(above: Any, tshark: Any, tmp_path: Path) -> None:
    cls = type(above) if isinstance(above, Header) else type(above.layers[0])
    parts = [above] if isinstance(above, Header) else [above.layers[0], above.payload]
    packet = stack(*parts)
    assert RIGHT[cls](bytes(packet)[42:]) == bytes(packet)[42:]
    for options in (CHANGES, {"anonymise": 5}, {"anonymise": 5, "ports": {80: 8080}, "vlan_push": 3}):
        (data,) = rewritten(packet, **options)
        new = data[46 if "vlan_push" in options else 42 :]
        assert new != bytes(packet)[42:] or (cls is OverBits and "ports" not in options)
        assert RIGHT[cls](new) == new
        assert {*dissect(data).verdicts().values()} == {Verdict.GOOD}
    Capture.of([packet]).rewrite(**CHANGES).write(tmp_path / "new.pcap")
    check = ("-o", "udp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE")
    assert tshark(tmp_path / "new.pcap", "ip.checksum.status", "udp.checksum.status", options=check) == [["1", "1"]]


@given(
    which=st.lists(st.sampled_from([Unsent, InDigits]), max_size=3), last=st.sampled_from([OverBits, Unsent, InDigits, Wide, None]),
    body=st.binary(max_size=8), more=st.binary(max_size=2),
)  # fmt: skip
@settings(max_examples=amount(40, 1000), deadline=None)
def test_a_packet_comes_out_as_one_that_is_built_with_the_new_values(which: list[Any], last: Any, body: bytes, more: bytes) -> None:
    """Sums in each other, the innermost first: those of IP and UDP between them too."""

    def made(address: str, port: int) -> bytes:
        layers: list[Any] = [Ether()]
        for cls in which:
            layers += [IPv4(src=address, dst="10.0.0.2"), UDP(sport=port, dport=7001 + ALL.index(cls))]
            layers.append(cls(sender=address, **{"kind" if cls is Unsent else "number": 4}))
        layers += [IPv4(src=address, dst="10.0.0.2"), UDP(sport=port, dport=7001 + ALL.index(last) if last else 9)]
        if last is OverBits:
            layers.append(OverBits(sport=port, items=[BitItem(sport=port, kind=one % 8) for one in body]))
        elif last is not None:
            layers.append(last(sender=address))
        packet = reduce(lambda packet, one: packet / one, layers[1:], layers[0] / b"") if last is OverBits else reduce(lambda packet, one: packet / one, [*layers[1:], body], layers[0] / b"")
        return bytes(packet) + more

    (data,) = rewritten(made(OLD, 80), **CHANGES)
    assert data == made(NEW, 8080)


def test_one_that_was_wrong_stays_as_it_is_unless_all_are_put_right() -> None:
    right = [stack(OverBits(items=ITEMS)), stack(Unsent(), b"abc"), stack(InDigits(), b"abc"), stack(Wide(), b"abc")]
    items = (BitItem(check=3), BitItem(kind=6))
    wrong = [stack(OverBits(check=1, items=items)), stack(Unsent(check=1), b"abc"), stack(InDigits(check=1), b"abc"), stack(Wide(check=1), b"abc")]
    for packet, was in zip(rewritten(*wrong, **CHANGES), wrong, strict=True):
        new, last = dissect(packet), type(was.layers[-1])
        assert new[last].check == 1 and new.verdict(last, "check") is Verdict.BAD and new.verdict(UDP) is Verdict.GOOD
    (first, *_) = rewritten(*wrong, **CHANGES)
    assert [item.check == was.check for item, was in zip(dissect(first)[OverBits].items, items, strict=True)] == [True, False]
    assert dissect(first).verdict(OverBits, "items[1].check") is Verdict.GOOD
    assert rewritten(*wrong, **CHANGES, fixcsum=True) == rewritten(*right, **CHANGES)
    assert rewritten(*wrong, fixcsum=True) == [bytes(one) for one in right]
    assert rewritten(*wrong, ttl=9) == [bytes(one.replace(IPv4, ttl=9)) for one in wrong]


def test_ports_that_say_which_header_follows_may_change_too() -> None:
    """Those under the checksum count as they are now, others only say where its header is."""
    inner = [IPv4(src=OLD, dst="10.0.0.2"), UDP(sport=80, dport=7004), Wide(), b"abc"]
    for above in ([InDigits(number=4), *inner], [Unsent(kind=4), *inner], [OverBits(sport=7001, items=ITEMS)]):
        (data,) = rewritten(stack(*above), ip={OLD: NEW}, ports={9: 19, 80: 8080, **{port: port + 10 for port in range(7001, 7005)}})
        packet = dissect(data)
        assert packet[UDP].dport >= 7011 and packet.verdict(UDP) is Verdict.GOOD and len(packet.layers) == 3
        cls = type(above[0])
        assert RIGHT[cls](packet.payload) == packet.payload
        if cls is not OverBits:
            deep = dissect(packet.payload[{InDigits: 7, Unsent: 6}[cls] : {InDigits: None, Unsent: -2}[cls]], IPv4)
            assert {*deep.verdicts().values()} == {Verdict.GOOD} and deep[UDP].dport == 7014
            assert wide(deep.payload) == deep.payload


def test_frames_that_are_cut_keep_what_cannot_be_worked_out() -> None:
    """What a cut checksum covers is not all here; one that is here, before the cut, is right afterwards."""
    packet = bytes(stack(Unsent(), b"abcdef"))
    frame = Frame(packet[:-3], wire_length=len(packet))
    capture = Capture.of([frame]).rewrite(**CHANGES)
    (new,) = capture
    assert str(new.packet()[Unsent].sender) == NEW and new.data[-3:] == packet[:-3][-3:]
    assert capture.left == {"Unsent.check, which is cut off or faulty": 1}
    bits_of = bytes(stack(OverBits(items=ITEMS)))
    for size in (len(bits_of) - 1, len(bits_of) - 4, len(bits_of) - 6):
        short = Capture.of([Frame(bits_of[:size], wire_length=len(bits_of))]).rewrite(**CHANGES)
        (new,) = short
        due = bytes(stack(OverBits(sport=8080, items=(BitItem(sport=8080), BitItem(sport=8080, kind=6)))))
        whole = 42 + 7 + (size - 42 - 7) // 3 * 3
        assert new.data[42:whole] == due[42:whole]
    cut = bytes(stack(InDigits(), b"abc"))
    capture = Capture.of([Frame(cut[:-1], wire_length=len(cut))]).rewrite(**CHANGES)
    assert [frame.data[47:] for frame in capture] == [cut[47:-1]]
    assert capture.left == {"InDigits.check, which is over what is cut off or faulty": 1}
    digits_of = bytes(stack(InDigits(), bytes(100)))
    (new,) = Capture.of([digits_of]).rewrite(**CHANGES, mtu=80)
    assert {*new.packet().verdicts().values()} == {Verdict.GOOD} and str(new.packet()[InDigits].sender) == NEW


def test_one_in_what_is_not_a_layer_of_the_packet_is_counted() -> None:
    """A header that is read out of another's bytes by itself is not found again among the packet's."""
    with pl.bindings():

        class Holder(Header, under=Ether, when={"type": 0x7D77}):
            size: U8 = auto(size_of("inner"))
            inner: Bytes = b""
            after: U16 = 0

        pl.capture.rewrite.roles.INSIDE[Holder._declaration] = (pl.bulk.scan_places.Part("inner", InDigits._declaration),)  # type: ignore[attr-defined]
        try:
            new = Capture.of([Ether() / Holder(inner=bytes(InDigits() / b"abc"))]).rewrite(**CHANGES)
            assert [frame.packet()[Holder].inner[1:5] for frame in new] == [bytes([10, 9, 7, 9])]
            assert new.left == {"InDigits.check, which stands where its header cannot be built again": 1}
        finally:
            del pl.capture.rewrite.roles.INSIDE[Holder._declaration]  # type: ignore[attr-defined]


def test_only_frames_that_changed_are_dissected_and_each_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many of them a frame has."""
    times = []
    plain = built.judged

    def counted(packet: Packet) -> Any:
        times.append(packet)
        return plain(packet)

    monkeypatch.setattr(built, "judged", counted)
    many_items = stack(OverBits(items=[BitItem(kind=one % 8) for one in range(200)]))
    others = [stack(OverBits(sport=3, items=[])) for _ in range(5)]
    assert len(rewritten(many_items, *others, ports={80: 8080})) == 6
    assert len(times) == 2  # as it was, and as it is


@pytest.mark.slow
def test_sums_in_each_other_are_worked_out_up_to_a_depth() -> None:
    with pl.bindings():
        pl.bind(InDigits, under=InDigits, when={"number": 9})
        for depth in (built.MOST, built.MOST + 2, 700):
            packet = stack(*[InDigits(number=9)] * (depth - 1), InDigits())
            capture = Capture.of([packet]).rewrite(ip={OLD: NEW})
            (new,) = (frame.packet() for frame in capture)
            left = max(depth - built.MOST, 0)
            assert capture.left == ({f"InDigits.check, which has {built.MOST} such sums inside": left} if left else {})
            inside = dissect(bytes(new)[42 + 7 * left :], InDigits)
            assert [str(one.sender) for one in inside.layers] == [NEW] * min(depth, built.MOST)  # type: ignore[attr-defined]
            assert {*inside.verdicts().values()} == {Verdict.GOOD} and new.verdict(UDP) is Verdict.GOOD


@pytest.mark.slow
def test_memory_does_not_grow_with_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "CHUNK", 1 << 15)
    parts: list[list[Any]] = [[OverBits(items=ITEMS)], [Unsent(), bytes(255)], [InDigits(), bytes(300)]]
    some = FrameBatch.of(Frame(bytes(stack(*one)), n) for n in range(50) for one in parts)  # 39 kilobytes
    peaks = []
    for times in (2, 6):
        with Writer(tmp_path / "many.pcap") as writer:
            for _ in range(times):
                writer.write_batch(some)
        tracemalloc.start()
        try:
            assert Capture(tmp_path / "many.pcap").rewrite(**CHANGES).write(tmp_path / "new.pcap") == times * 150
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    assert peaks[1] < peaks[0] * 1.3
