"""What transforms give is bounded for a packet as a whole: its size, not the number of its fields, says what it may take."""

from __future__ import annotations

import subprocess
import sys

import pytest

from packetlab import (
    U8,
    U16,
    BuildError,
    Bytes,
    Header,
    Rest,
    auto,
    dissect,
    field,
    many,
    raw,
    size_of,
    sized,
    through,
    zlib,
    zstd,
)
from packetlab.declare.transforms import carried
from packetlab.declare.transforms.transform import ample


class Bomb(Header):
    n: U16 = auto(size_of("data"))
    data: Bytes = through(zstd(), sized(field("n"), b""))


class Bombs(Header):
    items: tuple[Bomb, ...] = many()


class Said(Header):
    n: U16 = auto(size_of("data"))
    data: Bytes = through(zstd(most=1 << 24), sized(field("n"), b""))


class Small(Header):
    value: U8 = 0


class Many(Header):
    items: tuple[Small, ...] = through(zlib(), many())


class ManySaid(Header):
    items: tuple[Small, ...] = through(zlib(most=1 << 21), many())


class Double(Header):
    data: Rest = through(zlib(), through(zlib(), b""))


class Outer(Header):
    bombs: tuple[Bomb, ...] = through(zlib(), many())


MEMORY = """
import resource
from tests.declare.transforms.test_bombs import Bombs, packed
from packetlab import dissect
data = packed(1 << 24) * 110
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
found = dissect(data, Bombs)
items = found[Bombs].items
print(len(data), len(found.faults), (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024, sum(len(one.data) for one in items))
"""


def packed(size: int) -> bytes:
    data = zstd().encode(bytes(size))
    return len(data).to_bytes(2, "big") + data


def test_many_bombs_in_a_frame_take_no_more_than_its_bytes_allow() -> None:
    done = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True, timeout=100)
    size, faults, megabytes, inside = map(int, done.stdout.split())
    assert size > 50_000 and faults == 110 and inside <= ample(size)
    assert megabytes < 200  # it would be 1,760 with all that is in them


def test_one_is_a_fault_that_says_so_and_most_is_the_way_out() -> None:
    (fault,) = dissect(packed(1 << 24), Bomb).faults
    assert fault.field == "data" and fault.expected.startswith(f"{ample(len(packed(1 << 24)) - 2)} bytes at most in ")
    assert fault.got == "a stream of more" and "zstd() has no most=" in fault.expected
    assert dissect(packed(1 << 24), Said)[Said].data == bytes(1 << 24)
    with pytest.raises(
        BuildError, match=r"Bomb.data: expected \d+ bytes at most in \d+ bytes, as zstd\(\) has no most="
    ):
        bytes(Bomb(data=bytes(1 << 24)))
    assert dissect(bytes(Said(data=bytes(1 << 24))), Said)[Said].data == bytes(1 << 24)
    assert dissect(bytes(Bomb(data=raw(zstd().encode(bytes(4096))))), Bomb)[Bomb].data == bytes(4096)


def test_what_deflate_can_do_is_never_too_much() -> None:
    for size in (1, 1 << 12, 1 << 20, 1 << 24):
        assert size <= ample(len(zlib().encode(bytes(size))))


def test_lists_of_headers_end_earlier() -> None:
    (fault,) = dissect(zlib().encode(bytes((1 << 20) + 1)), Many).faults
    assert (
        fault.expected.startswith("1048576 bytes of headers at most")
        and dissect(zlib().encode(bytes((1 << 20) + 1)), Many)[Many].items == ()
    )
    assert len(dissect(zlib().encode(bytes(1 << 16)), Many)[Many].items) == 1 << 16


def test_most_is_the_way_out_for_lists_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(carried, "HEADERS", 1000)
    wire = zlib().encode(bytes(1001))
    assert dissect(wire, Many).faults[0].expected.startswith("1000 bytes of headers at most")
    assert len(dissect(wire, ManySaid)[ManySaid].items) == 1001


def test_a_stream_in_a_stream_counts_by_the_bytes_of_the_packet() -> None:
    wire = zlib().encode(zlib().encode(bytes(1 << 24)))
    (fault,) = dissect(wire, Double).faults
    assert (
        len(wire) < 200 and fault.got == "a stream of more" and fault.expected.startswith(f"{ample(len(wire))} bytes")
    )


def test_all_that_stands_in_what_another_gives_is_bounded_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(carried, "LIMIT", 10_000)
    assert not dissect(bytes(Outer(bombs=[Bomb(data=bytes(4000))] * 2)), Outer).faults
    packet = dissect(zlib().encode(packed(4000) * 4), Outer)
    assert [len(one.data) for one in packet[Outer].bombs[:2]] == [4000, 4000] and len(packet.faults) == 2
    assert all("10000 bytes at most in what another transform gives" in fault.expected for fault in packet.faults)
