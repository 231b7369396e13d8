"""What is done to frames as a whole: room before them, their ends, tags, and another link header.

Only link headers and sizes are known here; what stands after them is moved or cut as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from typing import TYPE_CHECKING, Any

from packetlab.bulk.scan_rows import number_at
from packetlab.capture.batch import FrameBatch
from packetlab.errors import BuildError, CaptureError
from packetlab.protocols.linktypes import ETHERNET, RAW

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from packetlab.bulk.batch import Numbers, Truths
    from packetlab.capture.rewrite.located import Located

TAGS = (0x8100, 0x88A8, 0x9100)


class Room:
    """Arrays that are used again for the next batch: fresh memory costs more than what is done with it."""

    def __init__(self) -> None:
        self._kept: dict[str, NDArray[Any]] = {}

    def __call__(self, name: str, size: int, kind: type[np.generic]) -> Any:
        """Return an array of that size, with anything in it."""
        import numpy as np

        if name not in self._kept or len(self._kept[name]) < size:
            self._kept[name] = np.empty(size + size // 4, kind)
        return self._kept[name][:size]


def roomy(batch: FrameBatch, before: int, sizes: Numbers | None = None, room: Room | None = None) -> FrameBatch:
    """Return a copy of a batch that may be changed, with `before` bytes free in front of each frame.

    `sizes`: bytes each frame gets, filled up with zeros where it has fewer (by default what it has). `room`: where the
    buffer is to lie, which has a multiple of 4 bytes and some more than the frames take.
    """
    import numpy as np

    grown = batch.sizes if sizes is None else sizes
    ends = batch.starts + batch.sizes
    free = np.diff(batch.starts, prepend=0) - np.concatenate([[0], batch.sizes[:-1]]) if len(batch) else np.zeros(0)
    whole, starts = batch.data, batch.starts.copy()
    if len(batch) and (sizes is not None or int(free.min()) < before):
        flat = memoryview(np.ascontiguousarray(batch.data))  # type: ignore[arg-type]
        gap = bytes(before)
        pieces: list[bytes | memoryview] = []
        for start, end, size in zip(batch.starts.tolist(), ends.tolist(), grown.tolist(), strict=True):
            pieces += (gap, flat[start:end], bytes(size - (end - start)))
        whole = np.frombuffer(b"".join(pieces), np.uint8)
        starts = np.cumsum(grown + before) - grown
    data = (room or Room())("data", len(whole) // 4 * 4 + 8, np.uint8)
    data[: len(whole)] = whole
    data[len(whole) :] = 0
    new = copy(batch)
    new.data, new.starts, new.sizes = data, starts, grown.copy()
    new.wire_sizes, new.spent = batch.wire_sizes.copy(), room is not None
    return new


def pushed(batch: FrameBatch, tag: bytes) -> None:
    """Put a VLAN tag (4 bytes) after the MAC addresses of every Ethernet frame; needs 4 bytes of room."""
    import numpy as np

    rows = np.flatnonzero(_ethernet(batch) & (batch.sizes >= 14))
    _shifted(batch, rows, 4)
    batch.data[batch.starts[rows][:, None] + np.arange(12, 16)] = np.frombuffer(tag, np.uint8)


def popped(batch: FrameBatch) -> None:
    """Take the outermost VLAN tag from every Ethernet frame that has one."""
    _shifted(batch, _with_tag(batch), -4)


def tagged(batch: FrameBatch, id: int | None, priority: int | None, drop_eligible: int | None) -> None:
    """Change the outermost VLAN tag of every Ethernet frame that has one; None leaves a field as it is."""
    at = batch.starts[_with_tag(batch)]
    control = number_at(batch.data, at, 14, 2, False)
    for value, shift, mask in ((id, 0, 0xFFF), (drop_eligible, 12, 1), (priority, 13, 7)):
        if value is not None:
            control = control & ~(mask << shift) | value << shift
    batch.data[at + 14], batch.data[at + 15] = control >> 8, control & 255


def _with_tag(batch: FrameBatch) -> Numbers:
    """Return the rows of Ethernet frames that have a VLAN tag."""
    import numpy as np

    rows = np.flatnonzero(_ethernet(batch) & (batch.sizes >= 18))
    found: Numbers = rows[np.isin(number_at(batch.data, batch.starts[rows], 12, 2, False), TAGS)]
    return found


def _ethernet(batch: FrameBatch) -> Truths:
    import numpy as np

    return np.array([one.linktype == ETHERNET for one in batch.interfaces] or [False])[batch.which]


def _shifted(batch: FrameBatch, rows: Numbers, by: int) -> None:
    """Let the two MAC addresses begin `by` bytes earlier."""
    import numpy as np

    at = batch.starts[rows]
    twelve = np.arange(12)
    batch.data[(at - by)[:, None] + twelve] = batch.data[at[:, None] + twelve]
    batch.starts[rows] -= by
    batch.sizes[rows] += by
    batch.wire_sizes[rows] += by


class LinkLayer:
    """Another link header for all frames.

    `what`: "ethernet" ("enet"), "hdlc" (Cisco's), "raw", or (link type, bytes) for any other.
    """

    def __init__(self, what: object, macs: tuple[bytes, bytes], hdlc: tuple[int, int] = (0x0F, 0)) -> None:
        known = {"ethernet": ETHERNET, "enet": ETHERNET, "hdlc": 104, "raw": RAW}
        self.kind = what if isinstance(what, str) else "user"
        if isinstance(what, str) and what in known:
            self.linktype, raw = known[what], b""
        elif isinstance(what, tuple) and len(what) == 2 and isinstance(what[0], int) and 0 <= what[0] <= 0xFFFF:
            self.linktype, raw = what[0], bytes(what[1])
        else:
            raise BuildError("rewrite: link", "ethernet, hdlc, raw, or (link type, bytes)", repr(what))
        self.head = {"ethernet": macs[0] + macs[1], "enet": macs[0] + macs[1], "hdlc": bytes(hdlc)}.get(self.kind, raw)
        self.typed = self.kind in ("ethernet", "enet", "hdlc")  # an ether type follows
        self.room = len(self.head) + 2 * self.typed

    def put(self, batch: FrameBatch, sites: Located) -> None:
        """Write the header before each frame's network header. CaptureError where a frame has none that is known."""
        import numpy as np

        rows = np.arange(len(batch))
        if self.linktype == ETHERNET:
            rows = rows[~_ethernet(batch)]  # what is Ethernet stays as it is
        kinds, ends = sites.link_type[rows], sites.link_end[rows]
        if (unknown := rows[kinds < 0]).size:
            row = int(unknown[0])
            linktype = batch.interfaces[int(batch.which[row])].linktype
            raise CaptureError(
                f"frame {int(batch.numbers[row])}",
                "a network header to put a link header before",
                f"link type {linktype}",
            )
        starts = ends - self.room
        if self.typed:
            batch.data[ends - 2], batch.data[ends - 1] = kinds >> 8, kinds & 255
        head = np.frombuffer(self.head, np.uint8)
        batch.data[starts[:, None] + np.arange(len(head))] = head
        change = batch.starts[rows] - starts
        batch.starts[rows] = starts
        batch.sizes[rows] += change
        batch.wire_sizes[rows] += change
        batch.interfaces = tuple(one._replace(linktype=self.linktype) for one in batch.interfaces)


def vlan_tag(what: object) -> bytes:
    """Return the 4 bytes of a tag: from an id, a `VLAN` header, or a dict of its fields with `type` for the tag's own."""
    from packetlab.protocols.link import VLAN

    own = 0x8100
    if isinstance(what, int):
        header = VLAN(id=what)
    elif isinstance(what, Mapping):
        own = what.get("type", own)
        header = VLAN(**{name: value for name, value in what.items() if name != "type"})
    elif isinstance(what, VLAN):
        header = what
    else:
        raise BuildError("rewrite: vlan_push", "an id, a VLAN header, or a dict of its fields", repr(what))
    if own not in TAGS:
        raise BuildError("rewrite: vlan_push", "tag type 0x8100, 0x88a8 or 0x9100", hex(own) if isinstance(own, int) else repr(own))
    return own.to_bytes(2, "big") + bytes(header)[:2]
