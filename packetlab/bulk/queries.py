"""Queries over many packets at once: columns, and matches of which every condition can be decided from a buffer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from packetlab.bulk.columns import Column
from packetlab.declare.declaration import Declaration
from packetlab.declare.kinds import Kind
from packetlab.pattern.conditions import About, Condition, Every, Match, Some, Test

Query: TypeAlias = Column | Match


def array_names(columns: Sequence[Query]) -> list[str]:
    """Return the names of the arrays that a scan fills in.

    Of a column two: values, and whether there is one; of bytes of any size three: where they lie, how many they are, and
    whether there are any. Of a match one: whether it is met.
    """
    names = []
    for number, column in enumerate(columns):
        names += [f"c_{number}"] if column.form == "bytes" else []
        names += [f"a_{number}"] if column.form != "match" else []
        names.append(f"k_{number}")
    return names


def counters(columns: Sequence[Query]) -> dict[Declaration, int]:
    """Return the declarations whose headers in a packet are counted, with a number for each from 0."""
    counted = dict.fromkeys(column.declaration for column in columns if column.occurrence)
    return {header: number for number, header in enumerate(counted)}


def can_scan(query: Match | About) -> bool:
    """Whether a question can be answered without making packets to objects."""
    if isinstance(query, About):
        return query.name != "faults"
    if query.declaration.refines is not None:
        return False  # only who makes objects knows which headers take a field apart
    for path, condition in zip(query.paths, query.conditions, strict=True):
        kind = path.kind
        if not path.fields or path.deep or kind.wire == "items":
            return False
        if not kind.orders_raw and condition.sign not in ("==", "!=", "in"):
            return False
        if kind.wire == "number":
            if not _numbers(condition) or (kind.bits == 64 and condition.sign not in _OF_BITS):
                return False
        elif (
            kind.bits is None
            or (
                condition.sign not in ("==", "!=", "in", "masked", "unmasked")
                and not (kind.bits == 32 and condition.sign in ("<", "<=", ">", ">="))
            )
            or not all(type(value) is bytes and len(value) * 8 == kind.bits for value in wanted(condition))
        ):
            return False
    return True


def prefilter(test: Test) -> Test | None:
    """Return a test that everything passes that passes `test`, and that can be decided from a buffer; None where it is none."""
    if isinstance(test, Match):
        if test.declaration.refines is not None:
            return None
        kept = tuple(one for one in test.conditions if can_scan(Match(test.header, (one,))))
        return Match(test.header, kept, test.occurrence)
    if isinstance(test, Every):
        some = [prefilter(part) for part in test.tests]
        parts = [part for part in some if part is not None]
        if isinstance(test, Some):
            return Some(parts) if len(parts) == len(some) else None
        return Every(parts) if parts else None
    return test if all(can_scan(match) for match in test.matches()) else None


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
    # Scans know numbers of 64 bits with a sign alone.
    return number - (1 << 64) if number >> 63 else number


_OF_BITS = ("==", "!=", "in", "true", "&", "masked", "unmasked")  # what does not ask which of two numbers is greater


def compared(value: str, sign: str, kind: Kind, values: Sequence[int]) -> str:
    """Return source for whether a number of a kind compares so with the values wanted."""
    wide = kind.wire == "number" and kind.bits == 64 and not kind.signed
    numbers = [signed(int(number)) if wide else int(number) for number in values]
    if sign == "true":
        return f"({value}) != 0"
    if sign == "&":
        return f"(({value}) & {numbers[0]}) != 0"
    if sign in ("masked", "unmasked"):
        return f"(({value}) & {numbers[0]}) {'==' if sign == 'masked' else '!='} {numbers[1]}"
    if sign == "in":
        return any_of([f"(({value}) == {number})" for number in numbers])
    return f"({value}) {sign} {numbers[0]}"


def any_of(conditions: Sequence[str]) -> str:
    """Return source for whether any of some conditions, each in parentheses, holds."""
    # In halves: a chain of thousands is more than Python's own compiler takes.
    if len(conditions) < 2:
        return f"({conditions[0] if conditions else False})"
    half = len(conditions) // 2
    return f"({any_of(conditions[:half])} | {any_of(conditions[half:])})"
