"""Generated source: becomes a function whose lines tracebacks, debuggers and `inspect` can show."""

from __future__ import annotations

import linecache
import weakref
from typing import Any


def function(lines: list[str], names: dict[str, Any], what: str) -> Any:
    """Compile a function from its lines (the first is its ``def``) and return it; `names` is what it may refer to."""
    text = "\n".join(lines) + "\n"
    place, number = f"<packetlab {what}>", 1
    while place in linecache.cache:
        number += 1
        place = f"<packetlab {what} {number}>"
    exec(compile(text, place, "exec"), names)
    made = names[lines[0].split("(")[0].removeprefix("def ")]
    linecache.cache[place] = len(text), None, text.splitlines(keepends=True), place
    weakref.finalize(made, linecache.cache.pop, place, None).atexit = False
    return made


class OneByOne:
    """How an emitter of functions that take one packet at a time says what is no operator of Python's."""

    def choose(self, condition: str, yes: str, no: str) -> str:
        """Return source for one of two values."""
        return f"({yes} if {condition} else {no})"

    def one_of(self, value: str, among: tuple[int, ...]) -> str:
        """Return source for whether a value is one of some numbers."""
        return f"({value} in {among!r})"
