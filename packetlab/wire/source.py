"""Generated source becomes a function whose lines tracebacks, debuggers and `inspect` can show."""

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
