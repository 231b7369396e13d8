"""What is found in a batch of frames: arrays of addresses, IP headers and checksums, positions in the batch's buffer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from packetlab.capture.rewrite.roles import is_whole

if TYPE_CHECKING:
    from packetlab.bulk.batch import Numbers
    from packetlab.bulk.scan_places import Visit
    from packetlab.declare.checksums.algorithms import Algorithm
    from packetlab.declare.checksums.ranges import Region


class Sums(NamedTuple):
    """Internet checksums: their row, place, what they cover, and how they lie in each other.

    `at`: where each stands; it covers [first, end). `source`, `target`: addresses of the pseudo-header, `width` bytes
    each (0: none), with `protocol`. `optional`: 0 says none. `whole`: whether all it covers is here. `parent`: the sum that
    covers it, -1 for none; parents come before their children.
    """

    row: Numbers
    at: Numbers
    first: Numbers
    end: Numbers
    source: Numbers
    target: Numbers
    width: Numbers
    protocol: Numbers
    optional: Numbers
    whole: Numbers
    parent: Numbers


class Addresses(NamedTuple):
    """Addresses of one width: their row and place, whether source, destination or neither (0, 1, 2), and the innermost
    checksum that covers them, -1 for none. `role` of a MAC address is that in the frame's own header, of an IP address that in
    a network header."""

    row: Numbers
    at: Numbers
    role: Numbers
    around: Numbers


class Networks(NamedTuple):
    """The outermost IP header of frames: row, place, version, and the sums that cover it and what is in it."""

    row: Numbers
    at: Numbers
    version: Numbers
    around: Numbers


class Lengths(NamedTuple):
    """Fields that say how long a packet is: row, place, where what they count begins, and the sum that covers them."""

    row: Numbers
    at: Numbers
    base: Numbers
    around: Numbers


class Rule(NamedTuple):
    """How a checksum that is no plain Internet one comes about.

    It stands in `size` bytes at `at` and is `algorithm` over `regions` (first, end), with `pseudo` (place, bytes) and `more`
    added to the sum. `none` says that there is no checksum; `instead` is stored where the sum is that. `whole`: whether
    all it covers is here. `around`: the sum that covers it, -1 for none. `blank`: stretches that count as zeros besides its own. `name`: that of
    the class and the field.
    """

    at: int
    size: int
    little: bool
    algorithm: Algorithm
    regions: tuple[tuple[int, int], ...]
    pseudo: tuple[tuple[int, int], ...]
    more: int
    none: int | None
    instead: int
    whole: bool
    around: int
    blank: tuple[tuple[int, int], ...]
    name: str


class Built(NamedTuple):
    """Checksums in one field of some headers that header objects work out (see `built`): the field's name, that of its class before a dot, the
    numbers of the sums, the rows, where the headers begin, where their payloads end (where those count for it, else where they begin), and what
    follows these."""

    name: str
    numbers: Numbers
    rows: Numbers
    begin: Numbers
    stop: Numbers
    end: Numbers


class Ends:
    """Who speaks to whom, by the outermost declared addresses of each frame: where they stand (-1: nowhere) and how many
    bytes they have; ports as numbers (-1: none). `piece`: whether the ports are of a first fragment; the others have none.
    `kind`: which class has the ports."""

    def __init__(self, count: int) -> None:
        import numpy as np

        self.source, self.target, self.sport, self.dport = (np.full(count, -1, np.int64) for _ in range(4))
        self.width, self.kind = np.zeros(count, np.int64), np.zeros(count, np.int64)
        self.piece = np.zeros(count, bool)


class State:
    """What is known of packets where a header begins: of each value an array, or one for all of them.

    Attributes:
        around: the innermost checksum that covers what comes. carrier: which class the pseudo-header is of (-1: none), source,
        target, width, reach: where its addresses stand and how many bytes they have. depth: network headers so far.
        first: whether nothing has come yet. framed: whether the frame's own MAC addresses have. ends_seen: 0 until the header
        with the ends has come, 1 until ports have, then 2. piece: whether what comes is of a first fragment of that.
        quoted: whether it is quoted in an error. part: whether it is of a fragment. root, index: of headers inside others,
        the state of those that stand on each other in the packet, and which of them they are in.
    """

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...
        def __setattr__(self, name: str, value: object) -> None: ...

    def __init__(self, values: dict[str, Any], root: State | None = None, index: Numbers | None = None) -> None:
        self.__dict__.update(values)
        self.root, self.index = root, index  # None: this is one; a circle would keep its arrays for long

    @classmethod
    def new(cls) -> State:
        import numpy as np

        values: dict[str, object] = dict.fromkeys(("around", "carrier", "source", "target"), -1)
        values |= dict.fromkeys(("depth", "ends_seen", "reach", "width"), 0)
        return cls({**values, **dict.fromkeys(("framed", "part", "piece", "quoted"), np.False_), "first": np.True_})

    def taken(self, which: Any) -> State:
        """Return the state of some of these packets, for the header that follows."""
        values = {name: of(one, which) for name, one in self.__dict__.items() if name not in ("root", "index")}
        return State(values, self.root, None if self.index is None else self.index[which])

    def inside(self, which: Numbers, around: object, payload: bool) -> State:
        """Return the state for parts of headers: `which` of these, and the sums that cover them. `payload`: they are that."""
        state = self.taken(which)
        state.around = of(around, which)
        if payload:
            state.root = state.index = None
        else:
            state.ends_seen = 2
            state.root, state.index = self.root or self, which if self.index is None else state.index
        return state


def stretch(visit: Visit, region: Region) -> tuple[Numbers, Numbers]:
    """Return where what a checksum goes over begins and ends, in the headers of a visit."""
    import numpy as np

    def each(value: object) -> Any:
        return np.broadcast_to(value, len(visit.rows))  # type: ignore[call-overload]

    if is_whole(region):
        begin, end, _ = visit.region("self" if region.fields else "payload")
        return each(begin), each(end)
    first, last = each(visit.end), each(visit.begin)
    for f in region.fields:
        begin, end, there = visit.region(f.name)
        first, last = np.where(there, np.minimum(first, begin), first), np.where(there, np.maximum(last, end), last)
    if region.cut is not None:
        end = last if region.cut[1] is None else np.minimum(last, first + region.cut[1])
        return np.minimum(first + region.cut[0], end), end
    return first, last - region.less


def of(value: Any, which: Any) -> Any:
    """Return some of the values that an array has, or the one that counts for all."""
    return value[which] if getattr(value, "ndim", 0) else value
