"""Whose packet is whose: the verdict is that of a regular expression, and what is complained of is the least there can be."""

from __future__ import annotations

import re
from itertools import permutations
from math import inf

import pytest
from hypothesis import given, strategies as st

from packetlab.pattern.align import Alignment, How, Member, align

Spec = tuple[str, int, float]  # letter, least, most

counts = st.sampled_from([(1, 1), (0, 1), (2, 2), (0, 3), (1, inf), (0, inf), (2, 3)])
members = st.builds(lambda letter, count: (letter, *count), st.sampled_from("abc"), counts)
groups = st.lists(st.sampled_from("abc"), min_size=2, max_size=3).map(lambda letters: [(x, 1, 1) for x in letters])
timelines = st.lists(st.one_of(members.map(lambda one: [one]), groups), max_size=5)
words = st.text("abcx", max_size=9)


def read(timeline: list[list[Spec]], word: str, allowed: str = "", lenient: bool = False) -> Alignment:
    letters: dict[Member, str] = {}
    blocks = []
    for block in timeline:
        made = [Member(least, most) for _, least, most in block]
        letters.update(zip(made, (letter for letter, _, _ in block), strict=True))
        blocks.append(made)
    return align(
        blocks,
        len(word),
        lambda member, i: How.FITS if letters[member] == word[i] else None,
        lambda i: word[i] in allowed,
        lenient,
    )


def expression(timeline: list[list[Spec]]) -> str:
    parts = []
    for block in timeline:
        if len(block) == 1:
            ((letter, least, most),) = block
            parts.append(f"{letter}{{{least},{'' if most == inf else int(most)}}}")
        else:
            parts.append("(?:" + "|".join({"".join(order) for order in permutations(x for x, _, _ in block)}) + ")")
    return "".join(parts)


@pytest.mark.slow
@given(timelines, words)
def test_a_recording_passes_where_the_regular_expression_matches(timeline, word) -> None:
    reading = read(timeline, word)
    assert (not reading.missing and not reading.unexpected) == bool(re.fullmatch(expression(timeline), word))


@pytest.mark.slow
@given(timelines, words)
def test_allowed_packets_may_stand_anywhere(timeline, word) -> None:
    reading = read(timeline, word, allowed="x")
    fits = re.fullmatch(expression(timeline), word.replace("x", ""))
    wrong = [i for i in reading.unexpected if word[i] != "x"]
    assert (not reading.missing and not wrong) == bool(fits)


@pytest.mark.slow
@given(timelines, words)
def test_every_packet_is_somebodys_or_unexpected_and_in_order(timeline, word) -> None:
    reading = read(timeline, word)
    taken = [i for took in reading.taken.values() for i, _ in took]
    assert sorted([*taken, *reading.unexpected]) == [*range(len(word))]
    for member, took in reading.taken.items():
        assert len(took) <= member.most
        assert member in reading.missing or len(took) >= member.least


@pytest.mark.slow
@given(st.lists(st.sampled_from("abc"), max_size=7), words)
def test_as_few_as_can_be_are_missing_and_unexpected(wanted, word) -> None:
    """For plain expectations that is the distance by insertions and deletions, by the longest common subsequence."""
    reading = read([[(letter, 1, 1)] for letter in wanted], word)
    row = [0] * (len(word) + 1)
    for letter in wanted:
        before, row = row, [0]
        for j, found in enumerate(word):
            row.append(before[j] + 1 if letter == found else max(before[j + 1], row[j]))
    assert len(reading.missing) + len(reading.unexpected) == len(wanted) + len(word) - 2 * row[-1]
