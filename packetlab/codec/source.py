"""Generated source: becomes a function whose lines tracebacks, debuggers and `inspect` can show."""

from __future__ import annotations

import linecache
import weakref
from collections.abc import Callable
from itertools import count
from typing import Any, ClassVar, TypeAlias

Compiled: TypeAlias = Callable[..., Any]
"""A function made of generated source."""
_numbers = count(2)


def function(lines: list[str], names: dict[str, object], what: str) -> Compiled:
    """Compile a function from its lines (the first is its ``def``) and return it; `names` is what it may refer to."""
    text = "\n".join(lines) + "\n"
    place = f"<packetlab {what}>"
    if place in linecache.cache:
        place = f"<packetlab {what} {next(_numbers)}>"
    found: dict[str, Compiled] = {}
    exec(compile(text, place, "exec"), names, found)
    (made,) = found.values()
    linecache.cache[place] = len(text), None, text.splitlines(keepends=True), place
    weakref.finalize(made, linecache.cache.pop, place, None).atexit = False
    return made


def added(terms: list[str], none: str = "0", many: str = "sum") -> str:
    """Return source for a sum; of many terms one that is not nested as deep as they are many, by a call of `many`."""
    return f"{many}(({', '.join(terms)}))" if len(terms) > 50 else " + ".join(terms) or none


class OneByOne:
    """How an emitter of functions that take one packet at a time says what is no operator of Python's."""

    lines: list[str]
    tag: str
    kept = 0
    joins: ClassVar[dict[str, str]] = {"&": "and", "|": "or"}  # conditions: no more is worked out than has to be

    def keep(self, code: str) -> str:
        """Write a statement that holds a value; return its name."""
        self.kept += 1
        name = f"k{self.kept}{self.tag}"
        self.lines.append(f"{name} = {code}")
        return name

    def choose(self, condition: str, yes: str, no: str) -> str:
        """Return source for one of two values."""
        return f"({yes} if {condition} else {no})"

    def one_of(self, value: str, among: tuple[int, ...]) -> str:
        """Return source for whether a value is one of some numbers."""
        return f"({value} in {among!r})"
