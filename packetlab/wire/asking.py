"""What can be asked of many packets at once: columns, and matches of which every condition can be told from a buffer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from packetlab.wire.columns import Column
from packetlab.wire.fields import Int, PayloadMark
from packetlab.wire.filter import Condition, Every, Match, Some, Test

Asked: TypeAlias = Column | Match


def parameters(columns: Sequence[Asked]) -> list[str]:
    """Return the names of the arrays that a trace fills in.

    Of a column two: values, and whether there is one; of octets of any size three: where they lie, how many they are, and
    whether there are any. Of a match one: whether it is met.
    """
    names = []
    for number, column in enumerate(columns):
        names += [f"c_{number}"] if column.form == "bytes" else []
        names += [f"a_{number}"] if column.form != "match" else []
        names.append(f"k_{number}")
    return names


def traceable(match: Match) -> bool:
    """Whether all that a match asks can be told from a buffer."""
    for condition in match.conditions:
        kind = match.header._by_name[condition.path[0]].kind
        if len(condition.path) > 1:
            if kind.bits != 96 or condition.path[1] not in ("net", "socket") or not _numbers(condition):
                return False
        elif isinstance(kind, Int):
            if not _numbers(condition) or (kind.bits == 64 and condition.sign not in _OF_BITS):
                return False
        elif (
            kind.bits is None
            or isinstance(kind, PayloadMark)
            or (
                condition.sign not in ("==", "!=", "in", "masked", "unmasked")
                and not (kind.bits == 32 and condition.sign in ("<", "<=", ">", ">="))
            )
            or not all(type(value) is bytes and len(value) * 8 == kind.bits for value in wanted(condition))
        ):
            return False
    return True


def tellable(test: Test) -> Test | None:
    """Return a test that everything passes that passes `test`, and that can be told from a buffer; None where it is none."""
    if isinstance(test, Match):
        return Match(test.header, tuple(c for c in test.conditions if traceable(Match(test.header, (c,)))))
    if isinstance(test, Every):
        some = [tellable(part) for part in test.tests]
        kept = [part for part in some if part is not None]
        if isinstance(test, Some):
            return Some(kept) if len(kept) == len(some) else None
        return Every(kept) if kept else None
    return test if all(traceable(match) for match in test.matches()) else None


def wanted(condition: Condition) -> tuple[Any, ...]:
    """Return the values that a condition compares with."""
    if condition.sign in ("in", "masked", "unmasked"):
        return tuple(condition.value)
    return () if condition.sign == "true" else (condition.value,)


def _numbers(condition: Condition) -> bool:
    # More than 64 bits no array holds.
    return condition.sign != "contains" and all(
        isinstance(value, int) and -(1 << 63) <= value < 1 << 64 for value in wanted(condition)
    )


def signed(number: int) -> int:
    """Return an unsigned number of 64 bits as the signed one with these bits."""
    # Traces know numbers of 64 bits with a sign alone.
    return number - (1 << 64) if number >> 63 else number


_OF_BITS = ("==", "!=", "in", "true", "&", "masked", "unmasked")  # what does not ask which of two numbers is greater


def compared(value: str, sign: str, wanted: list[int]) -> str:
    """Return source for whether a value compares so with what is wanted."""
    if sign == "true":
        return f"({value}) != 0"
    if sign == "&":
        return f"(({value}) & {wanted[0]}) != 0"
    if sign in ("masked", "unmasked"):
        return f"(({value}) & {wanted[0]}) {'==' if sign == 'masked' else '!='} {wanted[1]}"
    if sign == "in":
        return f"({' | '.join(f'(({value}) == {number})' for number in wanted) or False})"
    return f"({value}) {sign} {wanted[0]}"
