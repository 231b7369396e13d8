"""Declarations out of files cost what their size says, and tell what they would take over."""

from __future__ import annotations

import sys
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest

from packetlab import DeclareError, bindings
from packetlab.schema.load import declarations, declare_from


class Key(str):
    """A name that counts how often it is compared."""

    compared = 0
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        Key.compared += 1
        return str.__eq__(self, other)


def enum_of(members: dict[str, int], name: str = "T") -> dict[str, Any]:
    return {
        "name": name,
        "fields": [{"name": "a", "kind": "int", "bits": 32, "names": {"name": "E", "members": members}}],
    }


def calls(do: Callable[[], object]) -> int:
    count = 0

    def counted(frame: object, event: str, arg: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(counted)
    try:
        do()
    finally:
        sys.setprofile(None)
    return count


def test_a_table_of_names_that_is_too_long_is_refused_before_it_is_looked_through() -> None:
    members = {Key(f"m{i}"): i for i in range(4097)}
    before = Key.compared
    with bindings(), pytest.raises(DeclareError, match="1 to 4096 names of values, got a dict of 4097"):
        declare_from(enum_of(members))
    assert Key.compared == before


@pytest.mark.slow
def test_tables_of_names_cost_what_their_length_says() -> None:
    with bindings():
        steps = [
            calls(lambda n=n: declare_from(enum_of({f"m{i}": i for i in range(n)}, f"T{n}")))
            for n in (1000, 2000, 4000)
        ]
    assert steps[2] - steps[1] < 2.5 * (steps[1] - steps[0])


def test_a_large_header_is_refused_before_its_bytes_are_made() -> None:
    fields = [{"name": f"f{i}", "kind": "bytes", "bytes": 65536} for i in range(256)]
    some = [{"name": f"T{i}", "fields": fields} for i in range(64)]
    tracemalloc.start()
    try:
        with (
            bindings(),
            pytest.raises(DeclareError, match="T0: expected fixed fields of 65536 bytes at most, got 16777216"),
        ):
            declare_from(some)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 40 << 20  # the zeros of one header, not of sixty-four


def test_powers_are_refused_however_they_are_written() -> None:
    power: Any = ["field", "a"]
    for _ in range(8):
        power = ["*", power, power]
    wide = [{"name": "a", "kind": "int", "bits": 64}, {"name": "d", "kind": "bytes", "size": power}]
    with bindings(), pytest.raises(DeclareError, match=r"T\.d: expected numbers of up to 256 bits"):
        declare_from({"name": "T", "fields": wide})
    steps = [{"name": f"a{i}", "kind": "int", "bits": 64, **({"rule": ["*", ["field", f"a{i - 1}"], ["field", f"a{i - 1}"]]} if i else {})} for i in range(20)]  # fmt: skip
    with bindings(), pytest.raises(DeclareError, match=r"T\.a3: expected numbers of up to 256 bits"):
        declare_from({"name": "T", "fields": steps})


@pytest.mark.parametrize(
    ("when", "claims"),
    [
        (1, True), (-3, True), (["==", 1, 1], True), ([">=", ["field", "sport"], 0], True), (["<=", ["ahead", 8], 255], True),
        (["|", ["field", "sport"], 1], False), (0, False), (["==", ["field", "sport"], 5], False), ([">", ["ahead", 4], -1], True), ([">", ["ahead", 9], -1], False), (["field", "nosuch"], False),
    ],
)  # fmt: skip
def test_a_header_that_would_take_every_payload_says_so(when: Any, claims: bool) -> None:
    (offered,) = declarations([{"name": "Greedy", "fields": [], "under": [{"header": "UDP", "when": when}]}])
    first, *_ = str(offered).splitlines()
    assert first.startswith("# Claims every payload of UDP") is claims
    assert "class Greedy(Header" in str(offered)
