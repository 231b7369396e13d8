"""Fields that are headers of their own where a condition holds (`inside=`), as tables of Lua (see inside.lua)."""

from __future__ import annotations

from collections.abc import Mapping

from packetlab.codec.refinement.reading import deeper, views_of
from packetlab.declare.declaration import Declaration
from packetlab.declare.plan import needs
from packetlab.declare.refinement.heaps import is_late
from packetlab.escaping import lua
from packetlab.export.wireshark.rules import condition


def classes_inside(header: Declaration) -> dict[Declaration, Declaration]:
    """Return what stands in fields of a header, and who takes these apart: {header inside: the class that has it}."""
    views = [header] if header.view is not None else views_of(header)
    return {one.view[1]: one for one in views if one.view is not None} | deeper(views)


def inside(header: Declaration, numbers: Mapping[Declaration, int]) -> list[str]:
    """Return the lines on what stands inside fields of a header, and on what it has to be itself where it refines another."""
    views = [header] if header.view is not None else views_of(header)
    parts: list[str] = []
    late: list[str] = []  # of bytes that lie elsewhere
    for one in views:
        assert one.view is not None and one.when is not None
        name, inner = one.view
        holds = "own = true" if one is header else f"holds = {condition(one.when, header)}"
        (late if is_late(one) else parts).append(f"{{{holds}, field = {lua(name)}, name = {lua(inner.name)}, header = {numbers[inner]}}}")
    lines = [f"  views = {{{', '.join(parts)}}},", *([f"  late = {{{', '.join(late)}}},"] if late else [])]
    if header.when is not None and header.refines is not None:
        names = ", ".join(lua(name) for name in sorted(needs(header.when)))
        lines.append(f"  only = {{holds = {condition(header.when, header)}, words = {lua(str(header.when))}, names = {{{names}}}}},")
    return lines
