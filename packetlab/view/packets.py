"""Packets as HTML and in colour: a table of fields a layer, the bytes in the colours of the layers, shared bytes as bits.

Field and bytes find each other at three levels, the later for viewers that allow more: the offsets in the table, the
layer's colour, and highlighting where the mouse is (`:has()` in a style sheet).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from itertools import groupby
from typing import Any

from packetlab.declare.fields import Field
from packetlab.escaping import safe
from packetlab.packet.offsets import FieldOffsets, Span, field_offsets
from packetlab.packet.packet import Header, Packet
from packetlab.packet.results import Verdict
from packetlab.packet.text import ITEMS, Text, cut, item_lines, label_text, value_text
from packetlab.packet.verdicts.verdict import judged
from packetlab.packet.words.show import unbuildable
from packetlab.view.conversation import ends
from packetlab.view.hexdump import hexdump
from packetlab.view.markup import BAD, GOOD, NOTE, TINTS, chip, details, pre, scoped, table, tint

MOST = 4096  # bytes shown of one packet
LAYERS = 100  # layers shown of one packet, half of them from the outermost in, half from the innermost out
TITLE = 300  # letters in a title
LIT = "background:#ffd54a!important;color:#000!important"
WORDS = {Verdict.GOOD: GOOD, Verdict.BAD: BAD, Verdict.ILLEGAL: BAD}


def packet_html(packet: Packet) -> str:
    """Return a packet as HTML; one that cannot be built, such as a prototype, as the text of what it was given."""
    if unbuildable(packet) is not None:
        return pre(map(safe, str(packet.show()).split("\n")))
    where = field_offsets(packet)
    sums = [*judged(packet)]
    parts = [_summary(packet)]
    faults = packet.faults
    faulty = {fault.layer for fault in faults}
    folded = fold(len(packet.layers))
    numbers = {span: number for number, span in enumerate(where.spans)}
    of: dict[int, list[Span]] = {}
    for span in where.spans:
        of.setdefault(span.layer, []).append(span)
    for i, (header, (start, _)) in enumerate(zip(packet.layers, where.layers, strict=True)):
        name = type(header).__name__
        spans = of.get(i, [])
        checks = {one.path: one.verdict for one in sums if one.layer == i}
        if i in folded:
            if i == folded.start:
                parts.append(f"<div>{safe(_more(packet, folded))}</div>")
            continue
        size = sum(span.bits for span in spans) // 8
        wrong = name in faulty or any(WORDS.get(check) == BAD for check in checks.values())
        caption = f"{size} bytes at {start}" if size else "nothing of it is here"
        bad = [f"{path} {check.name.lower()}" for path, check in checks.items() if WORDS.get(check) == BAD]
        marks = "".join(chip(words, BAD) for words in bad[:ITEMS])
        body = _fields(packet, i, spans, checks, numbers, caption)
        words = label_text(header) or _ends(packet, i)
        title = f"{chip(safe(name), TINTS[i % len(TINTS)])} {safe(words)} {marks}"
        parts.append(details(title, body, shown=wrong or i == len(packet.layers) - 1))
    rests = [(rest_name(packet, i), place) for i, place in where.trailers.items()]
    for words, (start, end) in (("payload", where.payload), *rests):
        if end > start:
            parts.append(f"<div>{words}: {end - start} bytes at {start}</div>")
    if packet.truncated:
        parts.append(f"<div>{chip('the capture holds less than there was on the wire', NOTE)}</div>")
    parts += [f"<div>{chip('fault', BAD)} {safe(fault)}</div>" for fault in faults]
    parts.append(details("bytes", pre(hex_lines(packet, where)), shown=True))
    bits = bit_lines(packet, where)
    if bits:
        parts.append(details("bits of shared bytes", pre(bits)))
    shown = (number for span, number in numbers.items() if span.layer not in folded)
    lit = "".join(f".this:has(.f{n}:hover) .f{n}{{{LIT}}}" for n in shown)
    return scoped("".join(parts), lit)


def fold(count: int) -> range:
    """Return which layers are left out, since there are more than `LAYERS`."""
    return range(LAYERS // 2, count - LAYERS // 2) if count > LAYERS else range(0)


def _more(packet: Packet, folded: range) -> str:
    """Say which layers are left out: "... 1900 more layers: 1900 IPv4"."""
    names = Counter(type(packet.layers[i]).__name__ for i in folded)
    return f"... {len(folded)} more layers: {', '.join(f'{count} {name}' for name, count in names.most_common(5))}"


def _summary(packet: Packet) -> str:
    folded = fold(len(packet.layers))
    chips = [
        chip(safe(type(h).__name__), TINTS[i % len(TINTS)]) if i not in folded else "..."
        for i, h in enumerate(packet.layers)
        if i not in folded or i == folded.start
    ]
    return f'<div style="margin:2px 0"><b>{" / ".join(chips) or "Packet"}</b> {len(packet)} bytes</div>'


def _ends(packet: Packet, i: int) -> str:
    source, destination = ends(packet.layers[i : i + 1])
    return f"{source} → {destination}" if source != "?" else ""


def _fields(
    packet: Packet, i: int, spans: list[Span], checks: dict[str, Verdict], numbers: dict[Span, int], caption: str
) -> str:
    header, given = packet.layers[i], packet._headers[i]
    rows, classes = [], []
    shares = any(not span.whole for span in spans)
    placed = {span.field: span for span in spans}
    data = bytes(packet)
    for f in header._fields:
        if getattr(header, f.slot, None) is None:
            continue
        span = placed.get(f)
        state = Header.state(given, f.name)
        shown = "<br>".join(map(safe, lines_of(header, f)))
        if f.name in checks:
            check = checks[f.name]
            shown += " " + chip(check.name.lower().replace("_", " "), WORDS.get(check, NOTE))
        rule = f' title="{safe(f"rule: {f.rule}")}"' if f.rule is not None else ""
        row = [f"<span{rule}>{safe(f.name)}</span>", shown, offsets(span) if span else "", state]
        rows.append([*row[:3], bit_text(data, span) if span and not span.whole else "", state] if shares else row)
        classes.append(f"f{numbers[span]}" if span else "")
    names = ["field", "value", "bytes", *(["bits"] if shares else []), "state"]
    return table(names, rows, caption, classes=classes)


def lines_of(header: Header, f: Field) -> list[str]:
    """Return the value of a field that is there, an item a line. Long ones, and what is far down, are cut."""
    return item_lines(header, f) or [cut(value_text(f, getattr(header, f.slot), header))]


def offsets(span: Span) -> str:
    """Return the bytes of a field as "22..23"."""
    first, stop = span.byte_range
    return str(first) if stop == first + 1 else f"{first}..{stop - 1}"


def bit_text(data: bytes, span: Span) -> str:
    """Return the bytes that a field shares as bits, the others' as dots: "0100 ....".

    >>> from packetlab import IPv4, Packet
    >>> packet = IPv4(ttl=3) / b""
    >>> bit_text(bytes(packet), field_offsets(packet).spans[1])
    '.... 0101'
    """
    first, stop = span.byte_range
    bits, mask = (f"{int.from_bytes(some, 'big'):0{(stop - first) * 8}b}" for some in (data[first:stop], span.mask))
    own = "".join(bit if its == "1" else "." for bit, its in zip(bits, mask, strict=True))
    return " ".join(own[at : at + 4] for at in range(0, len(own), 4))


# Bytes --------------------------------------------------------------------------------------------------------


def rest_name(packet: Packet, i: int) -> str:
    """Return what the bytes after layer `i`, inside the one below, are called."""
    return "further messages" if packet.layers[i]._declaration.stream else "trailer"


def owners(packet: Packet, where: FieldOffsets) -> list[tuple[int, tuple[int, ...]]]:
    """Return for each byte its layer (-1 payload, -2 what stands after a layer) and the numbers of the spans that touch it."""
    size = len(packet)
    layers, touching = [-1] * size, [()] * size
    for start, end in where.trailers.values():
        layers[start:end] = [-2] * (end - start)
    for number, span in enumerate(where.spans):
        for at in range(*span.byte_range):
            layers[at], touching[at] = span.layer, (*touching[at], number)  # type: ignore[assignment]
    return list(zip(layers, touching, strict=True))


def hex_lines(packet: Packet, where: FieldOffsets) -> list[str]:
    """Return the bytes as lines of HTML, sixteen a line, in the colours of their layers."""
    data = bytes(packet)
    owned = owners(packet, where)
    lines = []
    for at in range(0, min(len(data), MOST), 16):
        piece = data[at : at + 16]
        numbers, texts = [], []
        for (layer, touching), run in groupby(range(at, at + len(piece)), key=owned.__getitem__):
            places_ = list(run)
            digits = " ".join(f"{data[place]:02x}" for place in places_)
            text = safe("".join(chr(data[p]) if 32 <= data[p] < 127 else "." for p in places_))
            numbers.append(_run(packet, where, layer, touching, digits))
            texts.append(_run(packet, where, layer, touching, text))
        pad = "   " * (16 - len(piece))
        lines.append(f"{at:04x}  {' '.join(numbers)}{pad}  {''.join(texts)}")
    if len(data) > MOST:
        lines.append(f"... {len(data) - MOST} bytes more")
    return lines


def _run(packet: Packet, where: FieldOffsets, layer: int, touching: tuple[int, ...], text: str) -> str:
    if layer < 0:
        rests = dict.fromkeys(rest_name(packet, i) for i in where.trailers)
        return f'<span title="{"payload" if layer == -1 else ", ".join(rests)}">{text}</span>'
    header = packet.layers[layer]
    fields = (where.spans[number].field for number in touching)
    names = ", ".join(f"{type(header).__name__}.{f.name} = {' '.join(lines_of(header, f))}" for f in fields)
    classes = " ".join(f"f{n}" for n in touching)
    return f'<span class="{classes}" style="background:{tint(layer)}" title="{safe(names[:TITLE])}">{text}</span>'


def bit_lines(packet: Packet, where: FieldOffsets) -> list[str]:
    """Return the bytes that several fields share as lines of HTML: offset, bits, names."""
    lines: list[str] = []
    folded = fold(len(packet.layers))
    numbers = {span: number for number, span in enumerate(where.spans)}
    for place, owner, cells in bit_rows(packet, where):
        if cells[0][0].layer in folded:
            continue
        bits, names = [], []
        for number, (span, text) in enumerate(cells):
            kind = f"f{numbers[span]}"
            bits.append(
                f'<span class="{kind}" style="background:{tint(span.layer, 0.42 if number % 2 else 0.22)}">{text}</span>'
            )
            names.append(f'<span class="{kind}">{safe(span.field.name)}</span>')
        lines.append(f"{place:>8}  {' '.join(bits)}  {safe(owner)}: {' | '.join(names)}")
    return lines


def bit_rows(packet: Packet, where: FieldOffsets) -> Iterator[tuple[str, str, list[tuple[Span, str]]]]:
    """Yield of each group of fields that share bytes: offsets, header, and the fields with their bits."""
    data = bytes(packet)
    for group in shared(where):
        first, stop = group[0].byte_range[0], group[-1].byte_range[1]
        cells = [(span, f"{span.number(data):0{span.bits}b}") for span in group]
        place = str(first) if stop == first + 1 else f"{first}..{stop - 1}"
        yield place, type(packet.layers[group[0].layer]).__name__, cells


def dump(packet: Packet) -> Text:
    """Return the bytes of a packet as text, and the bits of those that several fields share."""
    lines = [hexdump(bytes(packet))]
    for place, owner, cells in bit_rows(packet, field_offsets(packet)):
        bits = " ".join(text for _, text in cells)
        lines.append(f"{place:>8}  {bits:<24}  {owner}: {' | '.join(span.field.name for span, _ in cells)}")
    return Text("\n".join(lines))


def shared(where: FieldOffsets) -> list[list[Span]]:
    """Return the groups of fields that share bytes."""
    groups: list[list[Span]] = []
    for span in where.spans:
        if span.whole:
            continue
        if groups and groups[-1][-1].byte_range[1] > span.byte_range[0]:
            groups[-1].append(span)
        else:
            groups.append([span])
    return groups


# In a terminal -------------------------------------------------------------------------------------------------

WRONG = re.compile(r" 0x[0-9a-f]+  (bad|illegal) ")  # a checksum, as `show` writes it
STYLES = ("cyan", "yellow", "green", "magenta", "blue", "bright_yellow", "bright_cyan", "bright_red")


def packet_rich(packet: Packet) -> Any:
    """Return a packet as rich prints it: the table of fields, and the bytes in the colours of the layers."""
    from rich import text as rich

    text = rich.Text()
    if unbuildable(packet) is not None:
        return text.append(str(packet.show()))
    layer = -1
    for line in packet.show().splitlines():
        if not line.startswith(" ") and layer + 1 < len(packet.layers):
            layer += 1
            text.append(line + "\n", f"bold {STYLES[layer % len(STYLES)]}")
        elif line.startswith("fault:"):
            text.append(line + "\n", "red")
        else:
            text.append(line + "\n", "red" if WRONG.search(line) else "")
    data, where = bytes(packet), field_offsets(packet)
    owned = [layer for layer, _ in owners(packet, where)]
    for at in range(0, min(len(data), MOST), 16):
        row = range(at, min(at + 16, len(data)))
        text.append(f"{at:04x}  ", "dim")
        for place in row:
            text.append(f"{data[place]:02x}", STYLES[owned[place] % len(STYLES)] if owned[place] >= 0 else "")
            text.append(" ")
        text.append("   " * (16 - len(row)) + " ")
        for place in row:
            shown = chr(data[place]) if 32 <= data[place] < 127 else "."
            text.append(shown, STYLES[owned[place] % len(STYLES)] if owned[place] >= 0 else "")
        text.append("\n")
    text.rstrip()
    return text
