"""Generated source becomes a function."""

from __future__ import annotations

from typing import Any


def function(lines: list[str], names: dict[str, Any], what: str) -> Any:
    """Compile a function from its lines (the first is its ``def``) and return it; `names` is what it may refer to."""
    exec(compile("\n".join(lines), f"<packetlab {what}>", "exec"), names)
    return names[lines[0].split("(")[0].removeprefix("def ")]
