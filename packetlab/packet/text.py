"""Values of fields in words, and text that shows itself in an interactive session."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from packetlab.codec.around.outer import is_around
from packetlab.codec.compiler import parse_items
from packetlab.codec.objects import AnyHeader
from packetlab.codec.refinement.views import viewed
from packetlab.declare import registry
from packetlab.declare.checksums.bitwise import is_sum
from packetlab.declare.classbody.label import field_in, parse
from packetlab.declare.expressions import Next
from packetlab.declare.fields import Field
from packetlab.declare.kinds import Raw
from packetlab.declare.refinement.registered import refinements
from packetlab.declare.wildcards import Known, SameAs, Tolerance
from packetlab.errors import BuildError
from packetlab.escaping import bytes_text, printable

ITEMS, LONGEST = 32, 200  # items of a field that are shown, letters of one


class Text(str):
    """A string whose repr is itself, so that a prompt or a notebook prints it as it is meant to be read."""

    def __repr__(self) -> str:
        return str(self)


def expected(header: AnyHeader, f: Field, known: Known) -> str:
    """Return what a prototype wants in a field, in words."""
    wanted = getattr(header, f.slot)
    if not isinstance(wanted, Tolerance):
        return value_text(f, wanted, header)
    if isinstance(wanted, SameAs) and wanted.written[0] in known:
        return f"{wanted!r}, which is {value_text(f, known[wanted.written[0]], header)}"
    return repr(wanted)


def value_text(f: Field, raw: Raw, header: AnyHeader | None = None) -> str:
    """Return the raw value of a field as a person reads it, "absent" for none; safe to print.

    A number that names the header that follows is shown with that name: "0x0800 (IPv4)", "89 (OSPF)".
    """
    if raw is None:
        return "absent"
    if f.kind.wire == "items":
        items = header._items_of(f) if header is not None and type(raw) is bytes else raw
        return ", ".join(bytes_text(i) if isinstance(i, bytes) else item_text(i) for i in items) or "none"
    if is_sum(f) and f.kind.wire == "number":
        return f"0x{raw:0{f.kind.fixed_bits // 4}x}"
    try:
        text = f.kind.text(int(raw) if isinstance(raw, bool) else raw)
        if not isinstance(f.rule, Next) or text != str(raw):
            return text
        space = registry.space(f.rule.space)
        if space.hexadecimal and raw >= space.least:
            text = f"0x{raw:0{f.kind.fixed_bits // 4}x}"
        return f"{text} ({name})" if (name := bound_name(f, raw)) else text
    except (TypeError, ValueError):  # a value met under a name in a field of another kind
        return bytes_text(raw) if isinstance(raw, bytes) else repr(raw)


def bound_name(f: Field, raw: Raw) -> str:
    """Return the name of what a number in a field says follows, "" for none: of a header, or one that is known by name alone."""
    if not isinstance(f.rule, Next) or type(raw) is not int:
        return ""
    space = registry.space(f.rule.space)
    return space.headers[raw].name if raw in space.headers else space.known.get(raw, "")


def item_lines(header: AnyHeader, f: Field) -> list[str]:
    """Return the items of a field, one a line, as they are numbered in paths; long ones, and what is far down, are cut.

    Of a field that is taken apart, the fields inside.
    """
    view = header._declaration.view
    if view is not None and view[0] == f.name and isinstance(getattr(header, f.slot), bytes):
        inner = viewed(header)
        lines = []
        for one in inner._fields:
            lines += [cut(f"{one.name} = {value_text(one, getattr(inner, one.slot), inner)}")]
            lines += item_lines(inner, one) if inner._declaration.view is not None else []
        return lines
    items = listed_headers(header, f)
    lines = [
        "no whole item: " + bytes_text(item) if isinstance(item, bytes) else f"[{place}] {item_text(item)}"
        for place, item in enumerate(items[:ITEMS])
    ]
    return [cut(line) for line in lines] + [f"... {len(items) - ITEMS} more"] * (len(items) > ITEMS)


def listed_headers(header: AnyHeader, f: Field) -> Sequence[AnyHeader | bytes]:
    """Return the headers that a field lists, through a transform too; none of other fields."""
    raw, kind = getattr(header, f.slot), f.kind.inside
    if kind.wire != "items" or kind.one or raw is None:
        return ()
    found: Any = f.kind.raws(raw) if f.kind.transforms else header._items_of(f)
    return found  # type: ignore[no-any-return]


def items_text(header: AnyHeader, f: Field) -> str:
    """Return how many items a field has, which `item_lines` shows; the header itself where it is one."""
    if f.kind.transforms:
        return f"{count} item{'s' * (count != 1)}" if (count := len(listed_headers(header, f))) else value_text(f, getattr(header, f.slot), header)
    items = header._items_of(f)
    count = sum(not isinstance(item, bytes) for item in items)
    return value_text(f, items, header) if f.kind.one else f"{count} item{'s' * (count != 1)}" if items else "-"


def cut(text: str) -> str:
    """Return a text, or the beginning of a long one."""
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


# Labels --------------------------------------------------------------------------------------------------------


def item_text(item: Any) -> str:
    """Return an item in one line: with what its label says, else with all its fields."""
    return headline(item) if item._declaration.label else repr(item)


def labelled_items(f: Field, raw: Any) -> str:
    """Return the bytes of items in one line: with what their labels say, where their class or one that it becomes has such."""
    kinds = [f.kind.item]
    for one in kinds:
        kinds += refinements(one)
    if not any(one.label for one in kinds) or is_around(f) or not isinstance(raw, bytes):
        return bytes_text(raw) if isinstance(raw, bytes) else repr(raw)
    items = parse_items(f, raw, []) if raw else ()
    shown = [bytes_text(one) if isinstance(one, bytes) else item_text(one) for one in items[:ITEMS]]
    return printable(", ".join(shown)) + f", {len(items) - ITEMS} more" * (len(items) > ITEMS) if items else "none"


def headlines(packet: Any) -> list[str]:
    """Return the names of the layers of a packet, each with what its label says."""
    names = []
    for cls in packet._classes:
        if cls._declaration.label:
            break
        names.append(cls.__name__)
    else:
        return names
    try:
        headers = packet.layers
    except BuildError:  # a prototype
        headers = packet._headers
    return [headline(header) for header in headers]


def headline(header: AnyHeader) -> str:
    """Return the name of a header and what its label says; safe to print."""
    name = type(header).__name__
    return f"{name} {said}" if header._declaration.label and (said := label_text(header)) else name


def label_text(header: AnyHeader) -> str:
    """Return what the label of a header says, in one line; fields that are absent say nothing. "" without a label."""
    words = []
    for before, path, form in parse(header._declaration.label or ""):
        words += [before, _said(header, path, form) if path else ""]
    return printable(" ".join("".join(words).split()))


def _said(header: Any, path: tuple[str, ...], form: str) -> str:
    """Return the value of a field for a label: of an enum its name, of bytes that are text the text."""
    f = field_in(header._declaration, path[0])
    if f is None:
        return ""
    holder: Any = header if path[0] in header._by_name else viewed(header)
    raw = getattr(holder, f.slot)
    if raw is None and not holder._is_partial:
        try:
            raw = getattr(holder := holder._resolved_alone(), f.slot)
        except BuildError:
            return "?"
    if isinstance(raw, Tolerance):
        return repr(raw)
    if len(path) > 1:
        held = holder._items_of(f) if raw is not None else ()
        return _said(held[0], path[1:], form) if held and not isinstance(held[0], bytes) else ""
    if raw is None:
        return ""
    if isinstance(raw, bytes) and f.kind.words == "bytes" and raw.isascii() and raw.decode().isprintable():
        return cut(raw.decode())
    if isinstance(raw, int):
        return format(int(raw), form) if form else bound_name(f, raw) or value_text(f, raw, holder).split(" (")[0]
    value = getattr(holder, f.name) if f.kind.wire != "items" else None
    return cut(value if isinstance(value, str) else value_text(f, raw, holder))
