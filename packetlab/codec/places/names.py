"""Names of DNS that end with a pointer: followed back through a message, each place once (RFC 1035 section 4.1.4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packetlab.codec.places.surroundings import Known, begins, here
from packetlab.declare.values.names import FURTHEST, LABEL, NAME, Compressed, Unnamed, pointer_of

if TYPE_CHECKING:
    from packetlab.codec.faults import Dissection
    from packetlab.declare.declaration import Declaration

Found = bytes | tuple[str, str]
"""A name, or what was expected and got in its place."""


def name_at(since: str, own: Declaration, written: bytes, data: bytes, at: int, start: int, ctx: Dissection, counted: int | None = None) -> bytes:
    """Return the name that was read at ``data[at]`` up to a pointer, with what this leads to: `Compressed`, or `Unnamed`.

    It stands in a header declared as `own`, which begins at `start`. Pointers count from the place `counted`, where that is known.
    """
    if type(written) is not Unnamed:
        return written
    pointer = int.from_bytes(written[-2:], "big") & FURTHEST if len(written) <= NAME else pointer_of(written)
    if pointer is None:
        return written
    place = here(ctx, data) if ctx is None or ctx.place is None else ctx.place
    origin = begins(since, own, start, place) if counted is None else place.shift + counted
    if origin is None:
        return Unnamed.of(written, f"a header {since} around it, where its pointer begins to count", "none")
    target, before = origin + pointer, place.shift + at
    rest = place.known.get((origin, target)) if target < before else None
    if rest is None:
        rest = followed(place.whole, origin, target, before, place.known)
    if isinstance(rest, bytes):
        name = written[:-2] + rest
        if len(name) <= NAME:
            made = Compressed(name)  # as `Compressed.of`
            made.written = written
            return made
        rest = f"a name of up to {NAME} bytes", f"{len(name)} bytes"
    return Unnamed.of(written, *rest)


def followed(data: bytes, origin: int, target: int, before: int, known: Known) -> Found:
    """Return the name at `target`, which has to stand before `before`. Each place is looked at once, and so is each pointer."""
    passed: list[tuple[tuple[int, int], bytes]] = []
    while True:
        key = origin, target
        if target >= before:
            found: Found = (
                "a pointer to what stands before it",
                f"one to byte {target - origin}, from {before - origin}",
            )
            break
        if key in known:
            found = known[key]
            break
        part = _part(data, target)
        if isinstance(part, tuple) or pointer_of(part) is None:
            known[key] = found = part
            break
        passed.append((key, part[:-2]))
        before, target = target, origin + (int.from_bytes(part[-2:], "big") & FURTHEST)
    for key, start in reversed(passed):
        if isinstance(found, bytes):
            found = start + found
            if len(found) > NAME:
                found = f"a name of up to {NAME} bytes", f"{len(found)} bytes"
        known[key] = found
    return found


def _part(data: bytes, pos: int) -> Found:
    """Return the labels at ``data[pos]``, with the zero or the pointer that ends them."""
    at = pos
    while at < len(data) and at - pos < NAME:
        size = data[at]
        if size == 0:
            return data[pos : at + 1]
        if size > LABEL:
            if size < 192:
                return f"a name where its pointer leads to, byte {pos}", f"a label of type 0x{size & 192:02x}"
            return data[pos : at + 2] if at + 2 <= len(data) else ("a whole pointer", "1 byte")
        at += size + 1
    return (
        (f"a name of up to {NAME} bytes", "more")
        if at - pos >= NAME
        else ("a whole name where its pointer leads to", "the end")
    )
