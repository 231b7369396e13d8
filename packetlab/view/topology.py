"""Networks as pictures and text, and what single objects (hosts, sockets) say of themselves as small tables."""

from __future__ import annotations

from collections.abc import Sequence, Sized
from math import cos, pi, sin

from packetlab.escaping import printable, safe
from packetlab.link.topology import Joint, Topology, TopologyNode
from packetlab.view.captures import columns
from packetlab.view.markup import details, picture, scoped, table

HIGH, LETTER = 15, 6.7  # pixels of a line, and of a letter
STYLE = """
.p{fill:#fff}.x{fill:#1f2328}.t{fill:#57606a}.l{stroke:#8c959f}.h{fill:#ddebfb;stroke:#0a5cc4}.s{fill:#fdebd0;stroke:#b45f06}
@media(prefers-color-scheme:dark){.p{fill:#15181c}.x{fill:#e6edf3}.t{fill:#9aa4af}.l{stroke:#5b646e}
.h{fill:#12304f;stroke:#6cb0ff}.s{fill:#46310f;stroke:#f0a54a}}
text{font:11px ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;text-anchor:middle}.b{font-weight:bold}
.t{stroke-width:4px;stroke-linejoin:round;paint-order:stroke;stroke:#fff}@media(prefers-color-scheme:dark){.t{stroke:#15181c}}
"""


# Networks ------------------------------------------------------------------------------------------------------


def network_text(topology: Topology) -> str:
    """Return a network as text: a line a host, a line a link."""
    nodes = [[printable(node.name), node.kind, printable(", ".join(node.says))] for node in topology.nodes]
    joints = [[printable(" -- ".join(joint.ends)), printable("; ".join(joint.says))] for joint in topology.joints]
    head = f"{printable(topology.name)}: {_count(nodes, 'node')}, {_count(joints, 'link')}"
    return "\n".join(
        [head, *columns(("node", "kind", "addresses"), nodes, widest=200), *columns(("link", ""), joints, widest=200)]
    )


def _count(things: Sequence[Sized], what: str) -> str:
    return f"{len(things)} {what}{'s' * (len(things) != 1)}"


def network_html(topology: Topology) -> str:
    """Return a network as HTML: the picture, and the same in tables."""
    words = ", ".join(" to ".join(joint.ends) for joint in topology.joints) or "no links"
    nodes = [[safe(node.name), node.kind, "<br>".join(map(safe, node.says))] for node in topology.nodes]
    joints = [[safe(" -- ".join(joint.ends)), "<br>".join(map(safe, joint.says))] for joint in topology.joints]
    tables = table(("node", "kind", "addresses"), nodes, "nodes") + table(("link", "says"), joints, "links")
    drawn = picture(network_svg(topology), f"{topology.name}: {words}", scaled=False)
    return scoped(drawn + details("as tables", tables))


def network_svg(topology: Topology) -> str:
    """Return a network as SVG: hosts on a ring, switches and shared links within it."""
    hosts = [node for node in topology.nodes if node.kind == "host"]
    sizes = {
        n.name: (max([len(n.name), *map(len, n.says)]) * LETTER + 20, (1 + len(n.says)) * HIGH + 12)
        for n in topology.nodes
    }
    wide, tall = (max([size[i] for size in sizes.values()] or [60]) for i in (0, 1))
    said = max((len(line) for joint in topology.joints for line in joint.says), default=0) * LETTER
    lines = max((len(joint.says) for joint in topology.joints), default=0)
    places = _places(topology, hosts, wide + said + 30, tall + lines * HIGH + 40)
    corners = [*places.values(), *_middles(topology.joints, places)]
    left, right = min(x for x, _ in places.values()) - wide / 2 - 20, max(x for x, _ in places.values()) + wide / 2 + 20
    top, bottom = min(y for _, y in corners) - tall / 2 - 20, max(y for _, y in corners) + tall / 2 + 20
    width, height = round(max(right - left, said + 40)), round(bottom - top)
    left -= (width - (right - left)) / 2
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="{left:.0f} {top:.0f} {width} {height}" role="img">',
        f"<title>{safe(topology.name)}</title><style>{STYLE.strip()}</style>",
        f'<rect class="p" x="{left:.0f}" y="{top:.0f}" width="{width}" height="{height}"/>',
    ]
    labels = []
    for joint, (x, y) in zip(topology.joints, _middles(topology.joints, places), strict=True):
        for end in joint.ends:
            parts.append(
                f'<line class="l" x1="{places[end][0]:.0f}" y1="{places[end][1]:.0f}" x2="{x:.0f}" y2="{y:.0f}"/>'
            )
        several = len(joint.ends) > 2
        if several:
            labels.append(f'<circle class="s" cx="{x:.0f}" cy="{y:.0f}" r="5"/>')
        above = HIGH * (len(joint.says) - 1) / (1 if several else 2)
        labels += _lines(joint.says, x, y + (-10 if several else 4) - above, "t")
    for node in topology.nodes:
        (x, y), (w, h) = places[node.name], sizes[node.name]
        kind = "h" if node.kind == "host" else "s"
        parts.append(
            f'<rect class="{kind}" x="{x - w / 2:.0f}" y="{y - h / 2:.0f}" width="{w:.0f}" height="{h:.0f}" rx="5"/>'
        )
        labels += _lines([node.name], x, y - h / 2 + 17, "x b")
        labels += _lines(node.says, x, y - h / 2 + 17 + HIGH, "x")
    return "".join([*parts, *labels, "</svg>"])


def _middles(joints: Sequence[Joint], places: dict[str, tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the middle of each link; of several between the same nodes, below one another."""
    found: list[tuple[float, float]] = []
    below: dict[frozenset[str], float] = {}
    for joint in joints:
        ends = frozenset(joint.ends)
        shift = below.get(ends, 0.0)
        found.append(_centre([places[end] for end in joint.ends], shift))
        below[ends] = shift + (len(joint.says) + 1) * HIGH
    return found


def _lines(texts: Sequence[str], x: float, y: float, kind: str) -> list[str]:
    return [
        f'<text class="{kind}" x="{x:.0f}" y="{y + HIGH * n:.0f}">{safe(text)}</text>' for n, text in enumerate(texts)
    ]


def _places(
    topology: Topology, hosts: Sequence[TopologyNode], apart: float, below: float
) -> dict[str, tuple[float, float]]:
    """Return where each node stands."""
    if len(hosts) <= 2:
        places = {node.name: (apart * n, 0.0) for n, node in enumerate(hosts)}
    else:
        turn = 2 * pi / len(hosts)
        inside = len(hosts) < len(topology.nodes) or any(len(joint.ends) > 2 for joint in topology.joints)
        # Neighbours on the ring do not touch, nor does what stands within it.
        radius = [max(room / (2 * sin(turn / 2)), room if inside else 0) for room in (apart, below)]
        places = {
            node.name: (radius[0] * cos(turn * n - pi / 2), radius[1] * sin(turn * n - pi / 2))
            for n, node in enumerate(hosts)
        }
    inner = [node.name for node in topology.nodes if node.name not in places]
    for place, name in enumerate(inner):
        around = [places[end] for joint in topology.joints if name in joint.ends for end in joint.ends if end in places]
        shift = below * place if len(inner) > 1 else below if len(hosts) <= 2 else 0.0
        places[name] = _centre(around, shift)
    return places or {"": (0.0, 0.0)}


def _centre(points: Sequence[tuple[float, float]], shift: float) -> tuple[float, float]:
    count = max(1, len(points))
    return sum(x for x, _ in points) / count, sum(y for _, y in points) / count + shift


# What one thing says of itself ---------------------------------------------------------------------------------


def facts_text(facts: Sequence[tuple[str, str]]) -> str:
    """Return names and values as text."""
    return "\n".join(f"{printable(name):<18} {printable(value)}" for name, value in facts)


def facts_html(facts: Sequence[tuple[str, str]]) -> str:
    """Return names and values as HTML; the first of them is the title."""
    (_, title), *rest = facts
    return scoped(table(("", ""), [[safe(name), safe(value)] for name, value in rest], f"<b>{safe(title)}</b>"))
