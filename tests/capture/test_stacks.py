"""Columns and filters over stacks of declarations drawn at random hold what the packets made to objects hold."""

from __future__ import annotations

import io
import pickle
import random
from enum import IntFlag
from typing import Annotated, Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from packetlab import (
    U4,
    U8,
    U64,
    Bytes,
    Capture,
    Ether,
    Frame,
    Header,
    auto,
    bindings,
    bits,
    choose,
    compile_filter,
    default,
    field,
    has,
    next_protocol,
    sized,
    when,
)
from packetlab.capture.tables import engines as scan_engines
from packetlab.declare.kinds import Named
from packetlab.protocols.linktypes import FIRST
from tests.capture.stacks import Stack
from tests.capture.test_table import agree
from tests.conftest import amount


def wrapping(source: str) -> Any:
    """Stand in for the compiler: the same loop, run by Python with whole numbers of 64 bits."""
    names: dict[str, Any] = {"int64": np.int64}
    exec(source, names)
    return names[source.split("(")[0].removeprefix("def ")]


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["rows", "loops"])
@settings(max_examples=amount(8, 200))
@given(st.integers(0, 2**40))
def test_columns_of_any_stack_of_declarations(engine: str, seed: int) -> None:
    with bindings(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(scan_engines.loops, "compiled", wrapping)
        patch.setattr(scan_engines.loops, "worth_any", lambda size: True)
        stack = Stack(random.Random(seed))
        agree(Capture.of(stack.frames(25)), tuple(stack.names()), engine)


@pytest.mark.slow
@settings(max_examples=amount(6, 200))
@given(st.integers(0, 2**40))
def test_filters_of_any_stack_of_declarations(seed: int) -> None:
    agreed(seed, ["rows", "loops"])


def agreed(seed: int, engines: list[str]) -> None:
    """Compare filters in words with what they mean: of packets, and decided from buffers."""
    with bindings(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(scan_engines.loops, "compiled", wrapping)
        patch.setattr(scan_engines.loops, "worth_any", lambda size: True)
        stack = Stack(random.Random(seed))
        file = io.BytesIO()
        Capture.of(stack.frames(25)).write(file, "pcapng")
        file.seek(0)
        capture = Capture(file)
        frames = [(frame, frame.packet()) for frame in capture]
        for _ in range(6):
            words, means = stack.question()
            wanted = [frame.number for frame, packet in frames if means(frame, packet)]
            test = compile_filter(words)
            assert [frame.number for frame, packet in frames if test(packet, frame)] == wanted, words
            assert pickle.loads(pickle.dumps(test)).matches() == test.matches()
            for engine in engines:
                patch.setattr(
                    scan_engines.ScanEngines, "_in_loops", lambda self, source, engine=engine: engine == "loops"
                )
                assert [frame.number for frame in capture.where(words)] == wanted, words


class Marked(IntFlag):
    """Flags at the ends of a number of 64 bits."""

    FIRST = 1 << 63
    LAST = 1


@pytest.mark.parametrize("engine", ["rows", "loops"])
def test_numbers_at_the_ends_of_64_bits(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan_engines.loops, "compiled", wrapping)
    monkeypatch.setattr(scan_engines.loops, "available", lambda: True)
    with bindings():

        class Ends(Header, under=Ether, when={"type": 0x88B5}):
            kind: U64 = 0
            high: Annotated[int, bits(60)] = 0
            low: U4 = 0
            marks: Annotated[Named[Marked], bits(64)] = default(Marked.LAST)

        class Far(Header, under=Ends, when={"kind": (1 << 64) - 1}):
            x: U8 = 3

        frames = [
            Frame(bytes(Ether() / Ends(kind=kind, high=high, low=5, marks=marks)) + b"\3")
            for kind, high, marks in (
                ((1 << 64) - 1, (1 << 60) - 1, 1 << 63),
                (1 << 63, 1 << 59, 0),
                (0, 0, (1 << 63) + 1),
            )
        ]
        names = (
            "ends.kind",
            "ends.high",
            "ends.low",
            "ends.marks",
            "ends.marks.first",
            "ends.marks.last",
            "far",
            "far.x",
        )
        whole = agree(Capture.of(frames), names, engine)
        assert whole["far.x"].tolist() == [3, 0, 0] and whole["ends.high"].tolist() == [(1 << 60) - 1, 1 << 59, 0]
        assert whole["ends.marks.first"].tolist() == [1, 0, 1] and whole.faults == 0


COUNTED = {  # arithmetic on conditions, which are 0 or 1
    "sum": lambda a, b: (a == 1) + (b == 2),
    "difference": lambda a, b: (a == 1) - (b == 2) + 1,
    "one_of": lambda a, b: a.one_of(1, 2) - b.one_of(2) + 1,
    "product": lambda a, b: (a == 1) * (b == 2) + (a == 1),
    "shift": lambda a, b: ((a == 1) << (b == 2)) << 9 >> 9,
    "both": lambda a, b: ((a == 1) & (b == 2)) + ((a > 0) ^ (b > 0)),
    "choose": lambda a, b: choose(a > 0, b > 0, b == 0) + (a == 2),
    "has": lambda a, b: has("first") + (b == 2),
}


@pytest.mark.parametrize("engine", ["rows", "loops"])
@pytest.mark.parametrize("name", COUNTED)
def test_rules_count_conditions(name: str, engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan_engines.loops, "compiled", wrapping)
    monkeypatch.setattr(scan_engines.loops, "worth_any", lambda size: True)
    monkeypatch.setattr(scan_engines.ScanEngines, "_in_loops", lambda self, source: engine == "loops")
    number = COUNTED[name](field("a"), field("b"))
    with bindings():

        class Lower(Header, under=Ether, when={"type": 0x88B5}):
            a: U8 = 0
            first: U8 | None = when(field("a") > 1, 7)
            b: U8 = 0
            second: U8 | None = when(number == 2, 8)
            note: Bytes = sized(number, b"")

        class Upper(Header, under=Lower, when=(field("a") == 1) + (field("b") == 2) == 2):
            x: U8 = 3

        head = bytes(Ether(type=0x88B5))
        frames = [
            Frame(head + bytes([a, *([7] if a > 1 else []), b]) + bytes(range(9, 15)), number=1 + 3 * a + b)
            for a in range(3)
            for b in range(3)
        ]
        names = ("lower.first", "lower.b", "lower.second", "lower.note", "upper.x")
        assert agree(Capture.of(frames), names, engine).valid("upper.x").tolist() == [False] * 5 + [True] + [False] * 3
        file = io.BytesIO()
        Capture.of(frames).write(file)
        file.seek(0)
        assert [frame.number for frame in Capture(file).where("upper")] == [6]


@pytest.mark.parametrize("engine", ["rows", "loops"])
def test_a_field_that_is_absent_names_no_header_and_a_subclass_counts_as_its_base(
    engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan_engines.loops, "compiled", wrapping)
    monkeypatch.setattr(scan_engines.loops, "available", lambda: True)
    with bindings():

        class Lower(Header, under=Ether, when={"type": 0x88B5}):
            has: U8 = 0
            kind: U8 = when(field("has"), auto(next_protocol("lower.kind", otherwise=9)))

        class Upper(Header, under=Lower, when={"kind": 0}):
            x: U8 = 3

        class More(Upper, under=Upper, when={"x": 5}):
            pass

        head = bytes(Ether(type=0x88B5))
        frames = [Frame(head + raw) for raw in (b"\0\0\5\6", b"\1\0\5\6", b"\1\1\5\6")]
        whole = agree(Capture.of(frames), ("upper", "upper.x", "upper#2.x", "more.x", "lower.kind"), engine)
        assert (
            whole["upper.x"].tolist() == [0, 5, 0]
            and whole["upper#2.x"].tolist() == [0, 6, 0] == whole["more.x"].tolist()
        )


@pytest.mark.slow
def test_numba_compiles_what_stacks_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("numba")
    with bindings():

        class Lower(Header):
            kind: U64 = 0
            marks: Annotated[Named[Marked], bits(64)] = default(Marked.LAST)

        class Upper(Header, under=Lower, when={"kind": (1 << 64) - 1}):
            x: U8 = 3

        class More(
            Header, under=Upper, when=(field("x") == 3) - (field("x") > 3) + (field("x").one_of(2, 3) << 1) == 3
        ):
            y: U8 = 4

        monkeypatch.setattr(scan_engines.loops, "_ready", {})  # none is in use afterwards, in tests of small captures
        monkeypatch.setitem(FIRST, 147, Lower)  # no other header is on the way, and none has to be compiled
        frames = [
            Frame(bytes(Lower(kind=kind, marks=marks)) + b"\3\4", linktype=147)
            for kind, marks in (((1 << 64) - 1, 1 << 63), (1 << 63, 1), (0, (1 << 63) + 1))
        ]
        agree(Capture.of(frames), ("lower.kind", "lower.marks.first", "upper.x", "more.y"), "loops")
