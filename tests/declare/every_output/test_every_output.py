"""Every mechanism in every output: each cell of the page notebooks/mechanisms.md, tried."""

from __future__ import annotations

import pytest

from tests.declare.every_output.sample import Sample
from tests.declare.every_output.samples import SAMPLES
from tests.declare.every_output.table import OUTPUTS, PAGE, cell, declared, shown

STALE = f"{PAGE.name} is out of date: python -m tests.documents"
CODE = {"data and back", "source and back"}  # refuse functions of one's own, and nothing else
REFUSED = {
    "Wireshark": {
        "M10 a size from an earlier packet", "M10 records laid out by templates", "M10 compression that goes on",
    },
}  # fmt: skip


FIRST = {sample.mechanism: sample for sample in reversed(SAMPLES)}
"""Of each mechanism the one that quick tests look at."""


@pytest.mark.parametrize(
    "sample",
    [pytest.param(one, id=str(one), marks=[pytest.mark.slow] * (one is not FIRST[one.mechanism])) for one in SAMPLES],
)
def test_each_output_does_what_the_page_says(sample: Sample) -> None:
    expected = dict(zip(OUTPUTS, shown().get(f"{sample.mechanism} {sample.title}", []), strict=True))
    with declared():
        for output, wanted in expected.items():
            assert cell(sample, output) == wanted, f"{sample}, {output}: {STALE}, unless that is a mistake"


def test_the_page_has_all_samples() -> None:
    assert list(shown()) == [f"{sample.mechanism} {sample.title}" for sample in SAMPLES], STALE


def test_who_refuses_what() -> None:
    refused: dict[str, set[str]] = {}
    for title, cells in shown().items():
        for output, one in zip(OUTPUTS, cells, strict=True):
            if one.word == "no" and not (output in CODE and "which is code" in one.reason):
                refused.setdefault(output, set()).add(title)
    assert refused == REFUSED
    assert all(len({title.split()[0] for title in titles}) <= 2 for titles in refused.values()), "more than two mechanisms"
