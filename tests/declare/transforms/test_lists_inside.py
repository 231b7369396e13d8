"""Lists through a transform answer paths, filters, patterns and edits as the same lists without it do."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from packetlab import (
    U8,
    U16,
    BuildError,
    Bytes,
    Capture,
    Ether,
    Header,
    IPv4Address,
    auto,
    between,
    bindings,
    contains,
    declare_from,
    describe,
    dissect,
    field,
    many,
    raw,
    size_of,
    through,
    zlib,
)
from tests.conftest import amount


class Part(Header):
    host: IPv4Address = "10.0.0.1"
    size: U8 = auto(size_of("data"))
    data: Bytes = b""


class Bare(Header, under=Ether, when={"type": 0x7DB1}):
    n: U16 = auto(size_of("numbers"))
    numbers: tuple[U16, ...] = many(size=field("n"))
    m: U16 = auto(size_of("hosts"))
    hosts: tuple[IPv4Address, ...] = many(size=field("m"))
    parts: tuple[Part, ...] = many()


class Packed(Header, under=Ether, when={"type": 0x7DB2}):
    n: U16 = auto(size_of("numbers"))
    numbers: tuple[U16, ...] = through(zlib(), many(size=field("n")))
    m: U16 = auto(size_of("hosts"))
    hosts: tuple[IPv4Address, ...] = through(zlib(), many(size=field("m")))
    parts: tuple[Part, ...] = through(zlib(), many())


class Tail(Header, under=Ether, when={"type": 0x7DB3}):
    numbers: tuple[U16, ...] = through(zlib(), many())


PATHS = (
    "numbers", "numbers[0]", "numbers[-1]", "numbers[all]", "numbers.count", "hosts[1]", "hosts.count",
    "parts.count", "parts[0].host", "parts[all].data", "parts[-1].size", "parts.host",
)  # fmt: skip
TESTS = (
    "{}.numbers == 7", "{}.numbers[0] == 7", "{}.numbers[all] < 9", "{}.numbers in {{7, 8}}", "{}.numbers.count == 2", "{}.numbers",
    "{}.hosts == 10.0.0.7", "{}.hosts == 10.0.0.0/8", "{}.hosts[0] != 10.0.0.7", "{}.parts.count > 1", "{}.parts[1].data == 61",
    "{}.parts[all].host == 10.0.0.1", "{}.parts.data contains 61", "{}.parts",
)  # fmt: skip
PATTERNS: tuple[dict[str, Any], ...] = (
    {"numbers": contains(7)}, {"numbers": contains(7, between(8, 9))}, {"numbers": [7, 8]}, {"hosts": contains("10.0.0.7")},
    {"parts": contains(Part(data=b"a"))}, {"parts": contains(Part)}, {"numbers": contains(9, 9)},
)  # fmt: skip
HOSTS = st.sampled_from(["10.0.0.7", "192.0.2.1"])
VALUES = st.fixed_dictionaries({
    "numbers": st.lists(st.integers(6, 9), max_size=3),
    "hosts": st.lists(HOSTS, max_size=2),
    "parts": st.lists(st.builds(lambda host, data: Part(host=host, data=data), st.sampled_from(["10.0.0.1", "10.0.0.2"]), st.sampled_from([b"a", b"bcd"])), max_size=3),
})  # fmt: skip


@pytest.mark.slow
@given(values=VALUES)
@settings(max_examples=amount(60, 600))
def test_they_answer_as_lists_without_a_transform(values: dict[str, Any]) -> None:
    bare, packed = dissect(bytes(Ether() / Bare(**values))), dissect(bytes(Ether() / Packed(**values)))
    one, other = Capture.of([bare]), Capture.of([packed])
    for path in PATHS:
        names = f"bare.{path}", f"packed.{path}"
        assert one.table(names[0]).read().text(names[0]) == other.table(names[1]).read().text(names[1]), path
        assert (
            list(one.table(names[0]).read()[names[0]]) == list(other.table(names[1]).read()[names[1]])
            or path == "parts[0].host"
        ), path
    for test in TESTS:
        assert one.where(test.format("bare")).count() == other.where(test.format("packed")).count(), test
    for pattern in PATTERNS:
        assert one.where(Bare(**pattern)).count() == other.where(Packed(**pattern)).count(), pattern
        assert Bare(**pattern).matches(bare) == Packed(**pattern).matches(packed), pattern
    lines = [
        [line.strip() for line in str(packet.show()).splitlines() if line.startswith("    [")]
        for packet in (bare, packed)
    ]
    assert lines[0] == lines[1] and len(lines[0]) == len(values["parts"])
    for path, value in (
        ("numbers[0]", 600),
        ("numbers[all]", 1),
        ("hosts[-1]", "192.0.2.9"),
        ("parts[0].data", b"longer"),
        ("parts[all].host", "192.0.2.1"),
    ):
        if values[path.partition("[")[0]]:
            edits = [
                dissect(bytes(packet.replace({f"{name}.{path}": value})))
                for packet, name in ((bare, "bare"), (packed, "packed"))
            ]
            assert not edits[1].faults
            for name in ("numbers", "hosts", "parts"):
                assert getattr(edits[0][Bare], name) == getattr(edits[1][Packed], name)


def test_a_list_of_values_may_end_the_header_through_a_transform() -> None:
    wire = bytes(Tail(numbers=[1, 2]))
    assert dissect(wire, Tail)[Tail].numbers == (1, 2)
    with bindings():
        (again,) = declare_from({**describe(Tail), "name": "Again", "under": []})
        assert dissect(wire, again)[again].numbers == (1, 2)
    assert dissect(bytes(Tail()), Tail)[Tail].numbers == ()


def test_the_bytes_of_such_a_list_are_its_raw_part() -> None:
    header = Packed(numbers=[1, 2], parts=[Part()])
    capture = Capture.of([Ether() / header])
    assert (
        capture.where("packed.parts.raw contains 78:9c").count()
        == capture.where("packed.numbers.raw contains 78:9c").count()
        == 1
    )
    assert capture.table("packed.parts.raw").read()["packed.parts.raw"][0] == zlib().encode(bytes(Part()))


def test_bytes_that_are_none_of_it_are_no_values() -> None:
    broken = Capture.of([Ether() / Tail(numbers=raw(b"none"))])
    assert broken.where("tail.numbers == 1").count() == broken.where(Tail(numbers=contains(1))).count() == 0
    assert list(broken.table("tail.numbers.count").read()["tail.numbers.count"]) == [0]
    with pytest.raises(BuildError, match="how many there are"):
        dissect(bytes(Tail(numbers=[1])), Tail).replace({"tail.numbers.count": 2})
