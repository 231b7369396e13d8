"""Topology: who is joined to whom, as plain data that can be drawn."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol, runtime_checkable

from packetlab.link.impairment import PERFECT


class TopologyNode(NamedTuple):
    """A host or a switch. `says`: its addresses and the like, a line each."""

    name: str
    kind: str
    says: tuple[str, ...] = ()


class Joint(NamedTuple):
    """A link of two ends or more, by the names of its nodes. `says`: what there is to be said of it, a line each."""

    ends: tuple[str, ...]
    says: tuple[str, ...] = ()


class Topology(NamedTuple):
    """All of a network: its name, nodes and links."""

    name: str
    nodes: tuple[TopologyNode, ...]
    joints: tuple[Joint, ...]


@runtime_checkable
class Drawn(Protocol):
    """A network, as those who draw it need it."""

    def topology(self) -> Topology: ...


def shape_words(shape: dict[str, Any]) -> tuple[str, ...]:
    """Return in words how a link treats frames, none for a perfect one (see `Impairment`).

    >>> shape_words({"delay": 0.05, "loss": 0.1, "jitter": 0})
    ('delay 50 ms', 'loss 10%')
    """
    words = []
    for name, perfect in PERFECT.items():
        value = shape.get(name, perfect)
        if value in (perfect, None) or (isinstance(value, (frozenset, set, list, tuple)) and not value):
            continue
        if name in ("delay", "jitter"):
            words.append(f"{name} {value * 1000:g} ms")
        elif isinstance(value, bool):
            words.append(name)
        elif name in ("loss", "duplicate", "reorder", "corrupt") and isinstance(value, (int, float)):
            words.append(f"{name} {value * 100:.4g}%")
        elif isinstance(value, (frozenset, set, list, tuple)):
            words.append(f"{name} of frames {', '.join(map(str, sorted(value)))}")
        else:
            words.append(f"{name} {value:,} bit/s" if name == "rate" else f"{name} {value}")
    return tuple(words)
