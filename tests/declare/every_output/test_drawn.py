"""Drawn values of every sample, cut and spoilt too, through scans and Wireshark: no mechanism meets these with a few values alone."""

from __future__ import annotations

import random
from copy import copy
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from packetlab import Frame, Header, strategies
from tests.conftest import amount, need
from tests.declare.every_output.making import scans
from tests.declare.every_output.sample import Sample
from tests.declare.every_output.samples import SAMPLES, declared
from tests.declare.every_output.test_every_output import REFUSED
from tests.declare.every_output.wireshark import fields
from tests.export.pdml import Tshark, experts

AT_ONCE = [sample for sample in SAMPLES if not sample.stateful]
"""What is drawn for a header whose bytes hang on those before it is no packet by itself."""


def with_packets(sample: Sample, packets: tuple[bytes, ...]) -> Sample:
    """Return a sample with other packets than those of its values."""
    with sample.known():
        sample.first, sample.start  # noqa: B018  which are found by the values
    made = copy(sample)
    made.wires = lambda: [*packets]  # type: ignore[method-assign]
    return made


def drawn(sample: Sample) -> list[bytes]:
    """Return packets of drawn values."""
    found: list[bytes] = []
    draw = settings(
        max_examples=max(15, amount(15, 150)), derandomize=True, database=None, deadline=None, phases=[Phase.generate],
        suppress_health_check=[*HealthCheck],
    )  # fmt: skip

    @draw
    @given(strategies.headers(sample.header))
    def take(header: Header) -> None:
        found.append(sample.wire(header))

    with sample.known():
        take()
    return found


@cache
def packets(name: str) -> tuple[tuple[bytes, ...], tuple[bytes, ...]]:
    """Return drawn packets of a sample, and as many that are cut or spoilt."""
    sample, chance = next(one for one in SAMPLES if one.name == name), random.Random(name)
    with declared():
        good, start = tuple(drawn(sample)), sample.start
    wrong = list[bytes]()
    for wire in good:
        data = bytearray(wire)
        if chance.randrange(2) and len(data) > start:
            data[chance.randrange(start, len(data))] = chance.randrange(256)
        else:
            del data[chance.randrange(start, len(data) + 1) :]
        wrong.append(bytes(data))
    return good, tuple(wrong)


FIRST = {sample.mechanism: sample for sample in reversed(AT_ONCE)}
"""The first of each mechanism, whose test is quick; what the values of all samples come to in scans is quick to try (see `making.scans`)."""


@pytest.mark.parametrize(
    "sample", [pytest.param(one, marks=[pytest.mark.slow] * (FIRST[one.mechanism] is not one)) for one in AT_ONCE], ids=str
)
def test_scans_say_what_objects_do(sample: Sample) -> None:
    good, wrong = packets(sample.name)
    with declared():
        scans(with_packets(sample, good))
        # Of streams a capture knows more than a packet by itself; headers of a broken stream are none in a column, and bytes in an object.
        opaque = any(f.kind.has_headers for f in sample.header._declaration.transformed)
        if not sample.header._declaration.stream and not opaque:
            scans(with_packets(sample, wrong))


@pytest.mark.slow
def test_wireshark_shows_what_is_drawn(tmp_path: Path) -> None:
    need("tshark")
    fit = [sample for sample in AT_ONCE if f"{sample.mechanism} {sample.title}" not in REFUSED["Wireshark"]]
    frames = [(sample, wire, place < 1) for sample in fit for place, some in enumerate(packets(sample.name)) for wire in some]
    with declared():
        tshark = Tshark(tmp_path, *[sample.header for sample in fit])
        said = tshark.ask([Frame(wire, linktype=sample.linktype) for sample, wire, _ in frames])
        for (sample, wire, is_good), layers in zip(frames, said, strict=True):
            read = sample.read(wire)
            if is_good:
                fields(sample, wire, layers)
            mine = {str(fault) for fault in read.faults if fault.layer.startswith("Row")}
            named = [layer for layer in layers if layer.get("name", "").startswith("row")]
            theirs = {text for layer in named for text in experts(layer, (".fault", ".cut"))}
            assert theirs <= mine or sample.header._declaration.stream, f"{sample}: {wire.hex()}: {theirs}, not {mine}"


@pytest.mark.slow
def test_what_is_spoilt_differs() -> None:
    """The packets are not all as they were, or the tests above would see sound ones alone."""
    for sample in AT_ONCE[:20]:
        good, wrong = packets(sample.name)
        assert len({*good}) > 3 and sum(one != other for one, other in zip(good, wrong, strict=True)) > len(good) // 2, sample
