"""Ladders: who sent what to whom, a line a packet, time running down. As text here, as a picture in `ladder_svg`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from packetlab.capture import Frame
from packetlab.declare.fields import Field
from packetlab.declare.values.addresses import XNSAddress
from packetlab.errors import BuildError
from packetlab.escaping import printable, safe
from packetlab.link.topology import Drawn
from packetlab.packet.coerce import as_packet
from packetlab.packet.packet import Packet
from packetlab.packet.text import Text
from packetlab.pattern.paths import FieldPath
from packetlab.protocols.transport import TCP, TCPFlags
from packetlab.protocols.xns import SPP
from packetlab.view import ladder_svg
from packetlab.view.conversation import chosen, ends, field_paths, hosts, label, spoken
from packetlab.view.flows import Remarks
from packetlab.view.ladder_row import LadderRow
from packetlab.view.markup import details, picture, pre, scoped
from packetlab.view.series import frames_of

WIDTH = 60  # characters of a label between two columns
PAGE = 60  # rows of a picture
PAGES = 10  # pictures in a notebook
MANY = 200  # rows above which what is ordinary is folded, and a prompt shows no more
LANES = 12  # columns of their own; what other ends say stands in one more
RUN = 5  # ordinary packets in a row that are worth folding
REMARKABLE = TCPFlags.SYN | TCPFlags.FIN | TCPFlags.RST | TCPFlags.URG
CLOSING = 254  # SPP datastreams from here on end a connection


class Ladder(Text):
    """A ladder: a string, a line a packet, that is a picture in a notebook.

    Attributes:
        rows: the packets. columns: names of who speaks, in the order of their first packets; of more than `lanes` the
        busiest, and "9 others" for the rest of them. time: "even", "compressed" or "scale", start: of times; see
        `ladder`.
    """

    rows: tuple[LadderRow, ...]
    columns: tuple[str, ...]
    time: str
    lanes: int
    start: int | None
    _drawn: tuple[LadderRow, ...]

    def __new__(
        cls, rows: Sequence[LadderRow], time: str = "compressed", lanes: int = LANES, start: int | None = None
    ) -> Ladder:
        columns, drawn = _laned(rows, lanes)
        made = super().__new__(cls, "\n".join(_lines(drawn, columns, start)))
        made.rows, made.columns, made.time, made.lanes = tuple(rows), columns, time, lanes
        made.start, made._drawn = start, drawn
        return made

    def part(self, first: int, end: int | None = None) -> Ladder:
        """Return a ladder of the rows from `first` (0 is the first) to before `end`; its own busiest ends have lanes."""
        return Ladder(self.rows[first:end], self.time, self.lanes, self.start)

    def folded(self) -> Ladder:
        """Return a ladder with every run of ordinary packets between two ends as one row."""
        return Ladder(tuple(_folded(self.rows)), self.time, self.lanes, self.start)

    def svg(self) -> str:
        """Return the whole ladder as SVG: a document of its own, readable on light and dark."""
        return ladder_svg.draw(self._drawn, self.columns, self.time, self._start)

    def save(self, path: str | Path) -> None:
        """Write the ladder to a file, by its ending: .svg, .html, .md or .mmd (Mermaid), .txt. BuildError for others."""
        forms: dict[str, Callable[[], str]] = {
            ".svg": self.svg, ".html": lambda: _page(self._html()), ".mmd": self.mermaid, ".txt": lambda: f"{self}\n",
            ".md": lambda: f"```mermaid\n{self.mermaid()}\n```\n",
        }  # fmt: skip
        suffix = Path(path).suffix
        if suffix not in forms:
            raise BuildError("Ladder.save", f"a name that ends in {', '.join(forms)}", str(path))
        Path(path).write_text(forms[suffix](), encoding="utf-8")

    def mermaid(self) -> str:
        """Return a Mermaid sequence diagram, as Markdown on many pages draws it."""
        number = {column: f"p{place}" for place, column in enumerate(self.columns)}
        lines = ["sequenceDiagram", *(f"    participant {number[c]} as {_coded(c)}" for c in self.columns)]
        for row in self._drawn:
            arrow = "-x" if ladder_svg.style(row.notes) == "lost" else "-->>" if row.folded else "->>"
            said = _coded("; ".join((row.text, *row.notes)))
            lines.append(f"    {number[row.source]}{arrow}{number[row.destination]}: {said}")
        return "\n".join(lines)

    @property
    def _start(self) -> int:
        if self.start is not None:
            return self.start
        return next((row.time_ns for row in self.rows if row.time_ns is not None), 0)

    def __repr__(self) -> str:
        if len(self.rows) <= MANY:
            return str(self)
        return f"{self.part(0, MANY)}\n... {len(self.rows) - MANY} rows more: print() shows all, folded() fewer"

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        return {"text/plain": repr(self), "text/html": self._html()}

    def __rich__(self) -> Any:
        from rich.text import Text as Rich

        colours = {"lost": "red", "again": "yellow", "bad": "magenta", "twice": "cyan"}
        text = Rich(no_wrap=True)
        lines = repr(self).split("\n")
        text.append(lines[0] + "\n", "bold")
        for number, line in enumerate(lines[1:]):
            kind = ladder_svg.style(self.rows[number].notes) if number < len(self.rows) else ""
            text.append(line + "\n", colours.get(kind, ""))
        text.rstrip()
        return text

    def _html(self) -> str:
        shown = self.folded() if len(self.rows) > MANY else self
        parts = []
        for at in range(0, min(max(len(shown.rows), 1), PAGE * PAGES), PAGE):
            rows = shown._drawn[at : at + PAGE]
            drawn = ladder_svg.draw(rows, shown.columns, self.time, self._start)
            alt = f"Ladder of {len(rows)} rows between {', '.join(shown.columns)}; the same as text stands below it."
            text = pre(map(safe, _lines(rows, shown.columns, self._start)))
            both = picture(drawn, alt, scaled=False) + details("as text", text)
            parts.append(details(f"rows {at + 1} to {at + len(rows)}", both) if at else both)
        if len(shown.rows) > PAGE * PAGES:
            parts.append(f"<div>… {len(shown.rows) - PAGE * PAGES} rows more: part({PAGE * PAGES}) shows them</div>")
        if len(shown.rows) < len(self.rows):
            parts.append(f"<div>{len(self.rows)} packets; ordinary ones are folded, print() shows each</div>")
        return scoped("".join(parts))


def ladder(
    frames: Iterable[object] | Drawn,
    names: Mapping[str, str] | Mapping[XNSAddress, str] | Drawn | None = None,
    *,
    fields: Sequence[str | Field] = (),
    time: str = "compressed",
    fold: bool = False,
    lanes: int = LANES,
    also: Sequence[Field] = (),
    start: int | None = None,
) -> Ladder:
    """Return a ladder of captured frames: text anywhere, a picture in notebooks, `svg`, `save`, `mermaid`.

    Each end that speaks is a column; an arrow goes from source to destination with the topmost headers' fields. FromEnd
    it stand what the frame's comments say (a simulated link says there what it did) and what sequence numbers of TCP
    and SPP tell: retransmission, gap, duplicate. Times are seconds since the first frame.

    Args:
        frames: a capture, frames, packets, or a simulated network with all it has carried so far.
        names: address, as text or not -> name of its column. A MAC address names an XNS host with all its sockets too.
            Or a network, whose hosts have names: a lab, a simulated one.
        fields: what to say of each packet instead: names ("seq", "ip.ttl", "tcp.flags.syn") or fields (`SPP.seq`).
            BuildError for a name that no header has.
        time: how the picture runs down: "even", "compressed" (a long pause is longer, but not by as much) or "scale".
        also: fields to say as well, where a packet has them. start: the nanosecond from which times count, by default
            that of the first frame.
        fold: whether runs of ordinary packets become one row, as a long ladder's do in a notebook anyway.
        lanes: how many ends have a column of their own: the busiest. All others share one, and each packet says whose.
    """
    if lanes < 1:
        raise BuildError("ladder: lanes", "1 or more", lanes)
    if time not in ladder_svg.TIMES:
        raise BuildError("ladder: time", ", ".join(ladder_svg.TIMES), time)
    known = _hosts(names) if isinstance(names, Drawn) else {str(end): name for end, name in (names or {}).items()}
    if isinstance(frames, Drawn):
        known = {**_hosts(frames), **known}
    rows = tuple(_rows(frames_of(frames), known, field_paths(fields), also))
    made = Ladder(rows, time, lanes, start)
    return made.folded() if fold else made


def _hosts(net: Drawn) -> dict[str, str]:
    """Return the addresses of a network's hosts, with their names."""
    return {word: node.name for node in net.topology().nodes for line in node.says for word in line.split()}


def _rows(
    frames: Iterable[object], names: dict[str, str], fields: Sequence[str | FieldPath], also: Sequence[Field] = ()
) -> Iterator[LadderRow]:
    remarks = Remarks()
    seen: set[frozenset[str]] = set()
    for frame in frames:
        packet = as_packet(frame)
        comments = tuple(printable(comment) for comment in frame.comments) if isinstance(frame, Frame) else ()
        source, destination = (
            printable(names.get(end) or names.get(host) or end)
            for end, host in zip(ends(packet), hosts(packet), strict=True)
        )
        notes = (*remarks.of(packet), *comments)
        pair = frozenset((source, destination))
        plain = pair in seen and not notes and not packet.faults and _ordinary(packet)
        seen.add(pair)
        text = chosen(packet, fields) if fields else label(packet, also=also)
        time_ns = frame.time_ns if isinstance(frame, Frame) else None
        yield LadderRow(time_ns, source, destination, text, notes, plain, len(packet.payload))


def _ordinary(packet: Packet) -> bool:
    """Whether a packet neither begins nor ends a connection."""
    for header in spoken(packet):
        if isinstance(header, TCP):
            return not (header.flags or 0) & REMARKABLE
        if isinstance(header, SPP):
            return (header.datastream or 0) < CLOSING
    return True


def _folded(rows: Iterable[LadderRow]) -> Iterator[LadderRow]:
    def run(row: LadderRow) -> frozenset[str] | None:
        return frozenset((row.source, row.destination)) if row.plain else None

    for pair, group in groupby(rows, key=run):
        same = list(group)
        if pair is None or len(same) < RUN:
            yield from same
            continue
        first = same[0]
        there = [row.size for row in same if row.source == first.source]
        back = [row.size for row in same if row.source != first.source]
        text = f"{len(same)} packets: {len(there)} there ({sum(there)} B), {len(back)} back ({sum(back)} B)"
        yield first._replace(text=text, folded=len(same))


def _laned(rows: Sequence[LadderRow], lanes: int) -> tuple[tuple[str, ...], tuple[LadderRow, ...]]:
    """Return the columns, and the rows as they are drawn: what is of no lane of its own moves to that of the others."""
    busy = Counter(end for row in rows for end in (row.source, row.destination))
    columns = tuple(busy)
    if len(columns) <= lanes:
        return columns, tuple(rows)
    own = {end for end, _ in busy.most_common(lanes)}
    others = f"{len(columns) - lanes} others"
    while others in own:
        others += " more"

    def moved(row: LadderRow) -> LadderRow:
        source, destination = (end if end in own else others for end in (row.source, row.destination))
        if others not in (source, destination):
            return row
        text = f"{row.source} > {row.destination}: {row.text}"
        return row._replace(source=source, destination=destination, text=text)

    return (*(end for end in columns if end in own), others), tuple(map(moved, rows))


# Text ----------------------------------------------------------------------------------------------------------


def _lines(rows: Sequence[LadderRow], ends: Sequence[str], start: int | None = None) -> Iterator[str]:
    if not rows:
        yield "no frames"
        return
    if start is None:
        start = next((row.time_ns for row in rows if row.time_ns is not None), 0)
    columns = {end: i * (WIDTH + 4) for i, end in enumerate(ends)}
    yield "time (s)".ljust(14) + "".join(end[: WIDTH + 2].ljust(WIDTH + 4) for end in ends).rstrip()
    for row in rows:
        moment = "" if row.time_ns is None else f"{(row.time_ns - start) / 1e9:.6f}"
        arrow = _arrow(columns[row.source], columns[row.destination], row.text, bool(row.folded))
        yield moment.ljust(14) + arrow + (f"  {'; '.join(row.notes)}" if row.notes else "")


def _arrow(source: int, destination: int, text: str, folded: bool) -> str:
    left, right = sorted((source, destination))
    if left == right:
        return " " * left + "(" + text[:WIDTH] + ")"
    body = f" {text[: right - left - 6]} ".center(right - left - 2, "." if folded else "-")
    if folded:
        return " " * left + "|" + body + ".|"
    return " " * left + "|" + (f"{body}>" if destination > source else f"<{body}") + "|"


def _coded(text: str) -> str:
    """Return text for Mermaid, where #, ; and much else mean something."""
    return "".join(c if c.isalnum() or c in " .,-+=()/|" else f"#{ord(c)};" for c in text)


def _page(body: str) -> str:
    head = '<meta charset="utf-8"><meta name="color-scheme" content="light dark"><title>ladder</title>'
    return f'<!doctype html>\n<html lang="en"><head>{head}</head><body>{body}</body></html>\n'
