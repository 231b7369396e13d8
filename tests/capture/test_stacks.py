"""Columns and filters over stacks of declarations drawn at random hold what the packets made to objects hold."""

from __future__ import annotations

import io
import pickle
import random

import pytest
from hypothesis import given, settings, strategies as st

from packetlab import Capture, bindings, compile_filter
from packetlab.capture import traces
from tests.capture.stacks import Stack
from tests.capture.test_table import agree, plainly


@pytest.mark.parametrize("engine", ["rows", "loops"])
@settings(max_examples=40)
@given(st.integers(0, 2**40))
def test_columns_of_any_stack_of_declarations(engine: str, seed: int) -> None:
    with bindings(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(traces.loops, "compiled", plainly)
        patch.setattr(traces.loops, "available", lambda: True)
        stack = Stack(random.Random(seed))
        agree(Capture.of(stack.frames(25)), tuple(stack.names()), engine)


@settings(max_examples=30)
@given(st.integers(0, 2**40))
def test_filters_of_any_stack_of_declarations(seed: int) -> None:
    agreed(seed, ["rows", "loops"])


def agreed(seed: int, engines: list[str]) -> None:
    """Compare filters in words with what they mean: of packets, and told from buffers."""
    with bindings(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(traces.loops, "compiled", plainly)
        patch.setattr(traces.loops, "available", lambda: True)
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
                patch.setattr(traces.Traces, "_in_loops", lambda traces, source, engine=engine: engine == "loops")
                assert [frame.number for frame in capture.where(words)] == wanted, words
