"""A context: tables of what was remembered from packets, bounded, in packet order, and the moment of reading one packet in it."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter, deque
from collections.abc import Callable, Hashable, Iterator
from contextvars import ContextVar, Token
from copy import copy, deepcopy
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeAlias

from packetlab.declare.transforms.transform import UnfitError

Key: TypeAlias = "tuple[str, tuple[Hashable, ...]]"
MOST = 1 << 16


class ContextEntry:
    """What was remembered from a packet: a value, and which packet that was.

    Attributes:
        value: a number, bytes, or headers. number: of the packet, or of the last one before. time_ns: its time, None where it has none.
        by: what it is from, where that was no packet that was read.
    """

    __slots__ = ("as_number", "by", "number", "time_ns", "value")
    as_number: RecalledNumber | None  # once it was recalled as one

    def __init__(self, value: Any, number: int, time_ns: int | None = None, by: str = "") -> None:
        self.value, self.number, self.time_ns, self.by, self.as_number = value, number, time_ns, by, None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ContextEntry) and bool(other.value == self.value)

    def __hash__(self) -> int:
        return hash(self.value)

    @property
    def origin(self) -> str:
        """Which packet it is from, in words."""
        if self.by:
            return f"remembered from {self.by}"
        time = "" if self.time_ns is None else f" at {self.time_ns // 10**9}.{self.time_ns % 10**9:09d} s"
        return f"remembered from packet {self.number}{time}"

    def __repr__(self) -> str:
        return f"<{self.value!r}, {self.origin}>"


class RecalledNumber(int):
    """A number that was recalled, and its entry."""

    entry: ContextEntry

    @classmethod
    def of(cls, entry: ContextEntry) -> RecalledNumber:
        """Return the number of an entry."""
        if entry.as_number is None:
            entry.as_number = made = cls(entry.value)
            made.entry = entry
        return entry.as_number


class Context:
    """What is remembered from packets for those after them: ``dissect(data, NetFlow9, context=context)`` reads each with what those before it said.

    Give the packets of one conversation, or of one capture, in their order. ``with context:`` has all that is built and read
    inside use it, so that a template which is sent is known for the records after it. Captures make a context of their own.
    It can be copied and pickled; each thread or process wants one of its own.

    Args:
        most: values that are kept, and states of transforms; where there are more, the oldest go, which `dropped` counts by table. A transform
            whose state went is not begun anew, nor is any new one once more than `most` went.

    Attributes:
        number: packets read so far. dropped: values that were dropped, by table.
    """

    link: int | None = None  # the interface of a capture, but for the first, by which packets come that have no addresses

    def __init__(self, most: int = MOST) -> None:
        if type(most) is not int or most < 1:
            raise ValueError(f"expected a number from 1 as most, got {most!r}")
        self.most, self.number = most, 0
        self.dropped: Counter[str] = Counter()
        self._tables: dict[Key, list[ContextEntry]] = {}
        self._order: deque[Key] = deque()
        self._states: dict[Key, KeptState] = {}  # of transforms; the one used last at the end
        self._gone: set[Key] = set()  # states that were dropped
        self._results: dict[Hashable, tuple[Any, int, int]] = {}  # what these gave in packets of a capture, which are read again
        self._tokens: list[Token[Context | Moment | None]] = []

    def recall(self, table: str, *key: Hashable) -> Any:
        """Return what `table` has under a key of raw values (numbers, bytes, pairs of address and port), None for nothing."""
        found = self._tables.get((table, key))
        return found[-1].value if found else None

    def remember(self, table: str, *key: Hashable, value: object) -> None:
        """Remember something that is in no packet: ``context.remember("quic.cid", value=8)`` for a length that was agreed on elsewhere.

        What headers recall are whole numbers, and templates: headers, in a list or tuple. Bytes are for `recall` alone. Keys
        are raw values, as at `recall`. TypeError for others.
        """
        words = [one for part in key for one in (part if isinstance(part, tuple) else (part,)) if isinstance(one, str | float)]
        if words:  # which no field has as its raw value: nothing would ever be found under them
            raise TypeError(f"expected raw values as key (numbers, bytes, pairs of address and port), got {words[0]!r:.60} (those that items() yields)")
        if isinstance(value, int):
            value = int(value)
        elif not isinstance(value, bytes):
            value = tuple(value) if isinstance(value, list) else value
            some = value if isinstance(value, tuple) else (value,)
            if not all(hasattr(type(one), "_declaration") for one in some):
                raise TypeError(f"expected a whole number, headers or bytes as value, got {value!r:.60}")
        self._put((table, key), ContextEntry(value, self.number, by="a call of remember()"))

    def items(self) -> Iterator[tuple[str, tuple[Hashable, ...], Any]]:
        """Yield (table, key, value) of all that is known now."""
        for (table, key), entry in self._tables.items():
            yield table, key, entry[-1].value

    def _put(self, key: Key, entry: ContextEntry) -> None:
        known = self._tables.setdefault(key, [])
        if known and known[-1] == entry:
            return
        insort(known, entry, key=lambda one: one.number)  # what is put together from packets may come later than its number
        self._order.append(key)
        while len(self._order) > self.most:
            oldest = self._order.popleft()
            self.dropped[oldest[0]] += 1
            del self._tables[oldest][0]
            if not self._tables[oldest]:
                del self._tables[oldest]

    def _find(self, key: Key, before: int | None = None) -> ContextEntry | None:
        """Return what is remembered under a key, by packets before a number."""
        known = self._tables.get(key)
        if not known:
            return None
        if before is None:
            return known[-1]
        place = bisect_left(known, before, key=lambda entry: entry.number)
        return known[place - 1] if place else None

    def copy(self) -> Context:
        """Return a context that knows the same, and goes on by itself."""
        made = copy(self)  # what is remembered does not change
        made._tables, made._order = {key: [*entries] for key, entries in self._tables.items()}, self._order.copy()
        made.dropped, made._results, made._tokens = self.dropped.copy(), {**self._results}, []
        made._states, made._gone = deepcopy(self._states), {*self._gone}
        return made

    def as_before(self) -> Context:
        """Return a copy in which all that is known now was remembered before the first packet."""
        made = self.copy()
        made.number, made._results = 0, {}
        known = {key: entry[-1] for key, entry in made._tables.items()}
        made._tables = {key: [ContextEntry(entry.value, 0, by=entry.by or "a packet before the capture")] for key, entry in known.items()}
        made._order = deque(made._tables)
        return made

    def before(self, number: int) -> Context:
        """Return what was remembered before packet `number` of a capture. States of transforms that go on are not kept for each packet."""
        made = Context(self.most)
        made.number, made.dropped = number - 1, self.dropped.copy()
        found = {key: [entry for entry in entries if entry.number < number] for key, entries in self._tables.items()}
        made._tables = {key: entries for key, entries in found.items() if entries}
        made._order.extend(key for key, entries in made._tables.items() for _ in entries)
        unknown = UnfitError("the state that the packets before left", "a context of one moment, which has none")
        made._states = {key: KeptState(unknown, number) for key in self._states}
        return made

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_tokens": []}

    def __enter__(self) -> Context:
        self._tokens.append(current.set(self))
        return self

    def __exit__(self, *error: object) -> None:
        current.reset(self._tokens.pop())

    def __len__(self) -> int:
        return len(self._order)

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        dropped = f", {self.dropped.total()} dropped" if self.dropped else ""
        return f"<Context of {self.number} packets: {len(self)} values{dropped}>"


class Moment:
    """One packet being read: what is remembered from packets before it is known, and what is remembered from it from there on.

    Attributes:
        number, time_ns: of the packet. entries: what is remembered from it. results: what transforms with a state gave in it. is_look: whether nobody
            keeps these, since where it stands in its stream is not known. is_placed: whether it is read as packet `number` of a capture,
            maybe once more, and `before` is called first when something is recalled, so that packets before it are read.
            is_behind_gap: whether something before it in its stream was not captured, so that no state is known.
        beside: gives another context, of the frames before that number, which a message of a stream came in, or of messages, for a frame; what
            is remembered later counts.
        is_again: whether a packet that was read is read again, as `is_look`: what is not known then will not be later.
        link: the interface of the frame, as of a context.
        undecided: tables of which nothing is known here, nor that there is nothing: messages before in the stream may have said it.
    """

    def __init__(
        self,
        context: Context,
        number: int,
        time_ns: int | None = None,
        *,
        before: Callable[[], None] | None = None,
        is_look: bool = False,
        is_placed: bool = False,
        is_behind_gap: bool = False,
        beside: Callable[[int], Context] | None = None,
        undecided: frozenset[str] = frozenset(),
        link: int | None = None,
    ) -> None:
        self.context, self.number, self.time_ns, self.link = context, number, time_ns, link
        self.before, self.is_look, self.is_placed, self.is_behind_gap = before, is_look, is_placed, is_behind_gap
        self.beside, self.undecided = beside, undecided
        if is_placed:
            self.results = context._results

    entries: dict[Key, ContextEntry] = MappingProxyType({})  # type: ignore[assignment]  # `put` makes one
    results: dict[Hashable, tuple[Any, int, int]] | None = None
    _log: list[tuple[Key, ContextEntry | None]] = ()  # type: ignore[assignment]  # what each entry took the place of
    is_empty = False  # whether it is one of `next_in`, in which nothing was noted yet
    link: int | None = None
    time_ns: int | None = None
    before: Callable[[], None] | None = None
    beside: Callable[[int], Context] | None = None
    undecided: frozenset[str] = frozenset()
    is_again = is_look = is_placed = is_behind_gap = False

    @classmethod
    def next_in(cls, context: Context) -> Moment:
        """Return the moment in which the next packet of a context is read."""
        made = cls.__new__(cls)  # most packets that recall something are read in such a one
        made.context, made.number, made.link, made.is_empty = context, context.number + 1, context.link, True
        return made

    @classmethod
    def again(cls, now: Context | Moment, undecided: frozenset[str]) -> Moment:
        """Return the moment in which messages of a packet are read again, from the first one on, that was read in another one, or in a context."""
        if isinstance(now, Context):
            moment = cls(now, now.number, is_look=True)
        else:
            moment = cls(now.context, now.number, now.time_ns, before=now.catch_up, is_look=True, is_placed=True, is_behind_gap=now.is_behind_gap)
            moment.beside, moment.undecided = now.beside, undecided if now.beside is None else frozenset()
        moment.link = now.link
        moment.is_again = True
        return moment

    def find(self, key: Key) -> ContextEntry | None:
        """Return what is remembered under a key, by this packet or one before it."""
        if self.is_empty:
            known = self.context._tables.get(key)
            return known[-1] if known else None
        if self.entries and key in self.entries:
            return self.entries[key]
        if self.before is not None:
            self.catch_up()
        if not self.is_placed and self.beside is None:
            known = self.context._tables.get(key)
            return known[-1] if known else None
        found = self.context._find(key, self.number if self.is_placed else None)
        if self.beside is None:
            return found
        other = self.beside(self.number)._find(key, self.number)
        return other if found is None or (other is not None and other.number > found.number) else found

    def catch_up(self) -> None:
        """Have the packets before this one read, as far as they were not."""
        if self.before is not None:
            before, self.before = self.before, None
            before()

    def put(self, key: Key, value: object) -> None:
        """Note what is remembered from this packet."""
        if not self._log:
            self.entries, self._log, self.is_empty = {**self.entries}, [], False
        self._log.append((key, self.entries.get(key)))
        self.entries[key] = ContextEntry(value, self.number, self.time_ns)

    def mark(self) -> int:
        """Return how much was noted."""
        return len(self._log)

    def rewind(self, mark: int) -> None:
        """Forget what was noted since, of what is read anew."""
        while len(self._log) > mark:
            key, before = self._log.pop()
            if before is None:
                del self.entries[key]
            else:
                self.entries[key] = before

    def keep(self) -> None:
        """Have the context know what is remembered from the packet."""
        if self.number > self.context.number:
            self.context.number = self.number
        for key, entry in () if self.is_empty else self.entries.items():
            self.context._put(key, entry)


@dataclass(slots=True)
class KeptState:
    """The state of a transform, the packet that left it (0 for none), and how many values were read and built in it."""

    state: Any
    after: int = 0
    read: int = 0
    built: int = 0


class RunningState:
    """The state of a transform, at one packet: `step` goes on with it.

    Attributes:
        place: of a value that was read in it, how many were read before, -1 where that is not known; None of one that was not read.
    """

    def __init__(self, now: Context | Moment | None, key: Key, make: Callable[[], Any] | None) -> None:
        self.now, self.key, self.make = now, key, make
        self.after: int | None = None  # the packet that left it, 0 for none
        self.place: int | None = None
        self.context = now.context if isinstance(now, Moment) else now

    def step(self, which: int, function: Callable[[Any, bytes], Any], data: bytes) -> Any:
        """Return what a function gives for bytes in the state, which goes on; for bytes of one packet read twice the same.

        `which` is 0 for reading, 1 for building. UnfitError where the state is not known, and where what is built
        would not be read: it goes on from what was built in the state, and not from what was read.
        """
        if which:
            kept = self._kept()
            self._check_order(kept)
            found = function(kept.state, data)
            kept.built += 1
            return found
        if self.context is None or not isinstance(self.now, Moment):
            raise UnfitError("a packet that is read with dissect(..., context=context), which goes on in order", "one read without")
        known = (self.now.number, self.key, data)
        if (results := self.now.results) is None:
            results = self.now.results = {}
        result = results.get(known)
        if result is None:
            if self.now.is_placed and self.now.number <= self.context.number:
                raise UnfitError("what the packets before left", "a context that went on and dropped it: Context(most=...) keeps more")
            try:
                kept = self._kept()
                after, kept.after = kept.after, self.now.number
                result = function(kept.state, data), after, kept.read
                kept.read += 1
            except Exception as error:
                result = error, 0, -1
                if self.key in self.context._states:
                    unknown = UnfitError("what the packets before left", f"packet {self.now.number}, which could not be read")
                    self.context._states[self.key] = KeptState(unknown, self.now.number)
            results[known] = result
            if len(results) > self.context.most:
                del results[next(iter(results))]
        found, self.after, self.place = result
        if isinstance(found, Exception):
            raise found
        return found

    def _check_order(self, kept: KeptState) -> None:
        """Refuse to build what would not be read after what was sent before."""
        if self.place is None and kept.built >= kept.read:
            return
        if self.place != kept.built:
            counted = "an unknown number of" if self.place == -1 else kept.read if self.place is None else self.place
            raise UnfitError(
                "a value that goes on from those built before it in this context",
                f"one that follows {counted} that were read, where {kept.built} were built",
                "with Context(): build all messages of the connection anew, in order, each as Header(field=packet[Header].field); "
                "for another direction, key=(sender(), receiver()) or a context of its own",
            )

    @property
    def origin(self) -> str:
        """Which packet left the state, in words."""
        return "" if self.after is None else f"in the state that packet {self.after} left" if self.after else "in a new state"

    def _kept(self) -> KeptState:
        assert self.context is not None and self.make is not None
        states, gone, most = self.context._states, self.context._gone, self.context.most
        kept = states.pop(self.key, None)
        if kept is None:
            if self.key in gone or len(gone) >= most:
                dropped = self.context.dropped[self.key[0]]
                raise UnfitError("what the packets before left", f"a context that dropped {dropped} states: Context(most=...) keeps more")
            kept = KeptState(self.make())
        if isinstance(self.now, Moment) and self.now.is_behind_gap:
            kept.state = UnfitError("what the messages before left", "a stream of which not all was captured")
        states[self.key] = kept
        if len(states) > most:
            oldest = next(iter(states))
            del states[oldest]
            gone.add(oldest)
            self.context.dropped[oldest[0]] += 1
        if isinstance(kept.state, UnfitError):
            raise kept.state
        return kept

    def __eq__(self, other: object) -> bool:
        return True  # bytes that were captured do not change with it

    def __hash__(self) -> int:
        return 0

    def __reduce__(self) -> tuple[object, ...]:
        return _ended, (self.key, self.after, self.place)


def _ended(key: Key, after: int | None, place: int | None) -> RunningState:
    """Return what is kept of a state where the context is no more."""
    made = RunningState(None, key, None)
    made.after, made.place = after, place
    return made


current: ContextVar[Context | Moment | None] = ContextVar("current", default=None)
"""What packets are read and built in now."""


def here() -> Context | None:
    """Return the context of a ``with context:`` around, None where there is none."""
    now = current.get()
    return now if isinstance(now, Context) else None


def read_in(context: Context | Moment, read: Callable[..., Any], *given: Any) -> Any:
    """Return what `read` gives (for what is given) in a moment, or in the next one of a context, which keeps what is remembered from it."""
    moment = context if isinstance(context, Moment) else Moment.next_in(context)
    token = current.set(moment)
    try:
        found = read(*given)
    finally:
        current.reset(token)
    if moment is not context:
        moment.keep()
    return found
