"""Two byte strings as rows of hex, one under the other, only around what differs."""

from __future__ import annotations

WIDTH = 16  # bytes a row
ALIGNED = 600  # bytes between common beginning and end that are aligned, not only put side by side
MOST = 8  # pairs of rows shown
GAP = None

BytePair = tuple[int | None, int | None]


def hex_rows(left: bytes, right: bytes, most: int = MOST) -> list[str]:
    """Return rows of hex in which the differing bytes are marked from below; nothing where there are none.

    Bytes that one side lacks are shown as --. Offsets are each side's own.
    """
    columns = _columns(left, right)
    lines: list[str] = []
    at = [0, 0]
    shown = skipped = 0
    for start in range(0, len(columns), WIDTH):
        row = columns[start : start + WIDTH]
        if any(a != b for a, b in row):
            shown += 1
            if shown > most:
                skipped += 1
            else:
                for side, name in enumerate(("left ", "right")):
                    digits = " ".join("--" if column[side] is None else f"{column[side]:02x}" for column in row)
                    lines.append(f"  {name} {at[side]:04x}  {digits}")
                lines.append((" " * 14 + " ".join("  " if a == b else "^^" for a, b in row)).rstrip())
        for side in (0, 1):
            at[side] += sum(column[side] is not None for column in row)
    if skipped:
        lines.append(f"  ... and {skipped} more row{'s' * (skipped != 1)} with differences")
    return lines


def _columns(left: bytes, right: bytes) -> list[BytePair]:
    """Return the bytes in pairs, with None where a side has none."""
    if len(left) == len(right):
        return list(zip(left, right, strict=True))
    same = 0
    while same < min(len(left), len(right)) and left[same] == right[same]:
        same += 1
    after = 0
    while after < min(len(left), len(right)) - same and left[-1 - after] == right[-1 - after]:
        after += 1
    middle = left[same : len(left) - after], right[same : len(right) - after]
    tail: list[BytePair] = [(byte, byte) for byte in left[len(left) - after :]]
    return [*((byte, byte) for byte in left[:same]), *_middle(*middle), *tail]


def _middle(left: bytes, right: bytes) -> list[BytePair]:
    if not left or not right or len(left) + len(right) > ALIGNED:
        return _side_by_side(left, right)
    import difflib

    found: list[BytePair] = []
    for _, a, b, c, d in difflib.SequenceMatcher(None, left, right, autojunk=False).get_opcodes():
        found += _side_by_side(left[a:b], right[c:d])
    return found


def _side_by_side(left: bytes, right: bytes) -> list[BytePair]:
    size = max(len(left), len(right))
    return [(left[i] if i < len(left) else GAP, right[i] if i < len(right) else GAP) for i in range(size)]
