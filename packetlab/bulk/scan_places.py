"""Where things lie: the scan, for the places of fields in every header of many packets.

What is wanted of a header is a `Wants`: fields whose place counts, fields whose value does, and parts that hold headers
themselves: items, and bytes that another declaration describes. A walk gives `Visit`s, one for all packets that come to a
header by the same way. A packet that does not fit its declarations is marked as unfit, and left to `dissect`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from packetlab.bulk.queries import any_of
from packetlab.bulk.scan import Place, Scanner
from packetlab.bulk.scan_rows import DEPTH, RowScanner, bytes_at, filled, number_at
from packetlab.codec.source import function
from packetlab.declare.expressions import Checksum, Expr, Next

if TYPE_CHECKING:
    from packetlab.bulk.batch import ByteArray, Numbers, Truths
    from packetlab.declare.declaration import Declaration
    from packetlab.declare.fields import Field

SHORT = 2  # in `Visit.short`: bytes are missing. 1: nothing said how many there are, and the capture cut the frame


class Part(NamedTuple):
    """A part of a header that holds headers.

    `name`: a field of items or bytes, "payload" (where no header is bound), "rest" (what is left after the payload), or
    "self". It is read as `header` where `condition` holds and none before it in the list was; None: nobody can, and `why` is
    what is said of it. `repeated` is the field, where one header stands after the other.
    """

    name: str
    header: Declaration | None
    condition: Expr | None = None
    why: str = ""
    repeated: Field | None = None


class Wants(NamedTuple):
    """What is wanted of a header: places and values of fields, parts. `never`: only of objects."""

    fields: frozenset[str]
    values: frozenset[str]
    parts: tuple[Part, ...] = ()
    never: bool = False


class Visit:
    """Headers of one class in many packets: arrays, an element a header; places count bytes in the buffer.

    Attributes:
        lower: the visit of the headers below, None for the lowest. ids: which of its headers, or else of the walk's packets.
        rows: the packets. begin, inner: where the headers begin, and their payloads. stop: where
            those end. end: what the header may fill. short: see `SHORT`. partial: whether a lower header says that this is
            no whole packet. bound: whether a header is bound there.
        places: field -> (where, whether it is there, size: None for fixed ones). values: field -> number. holds: part -> where
            its condition holds. children: part, visits, and which headers of this one they are in.
        wholes: checksum -> whether all it covers is here, where that is known by another way than `short`.
    """

    __slots__ = (
        "begin", "bound", "children", "cls", "end", "holds", "ids", "inner", "lower", "partial", "places", "rows", "short",
        "stop", "values", "wholes",
    )  # fmt: skip

    def __init__(
        self, cls: Declaration, lower: Visit | None, rows: Numbers, ids: Numbers, begin: Numbers, inner: Numbers, stop: Numbers, end: Numbers,
        short: Numbers, partial: Truths, bound: Truths, places: dict[str, tuple[Numbers, Any, Any]], values: dict[str, Numbers],
        holds: dict[object, Truths],
    ) -> None:  # fmt: skip
        self.cls, self.lower, self.rows, self.ids = cls, lower, rows, ids
        self.begin, self.inner, self.stop, self.end = begin, inner, stop, end
        self.short, self.partial, self.bound = short, partial, bound
        self.places, self.values, self.holds = places, values, holds
        self.children: list[tuple[Part, list[Visit], Numbers]] = []
        self.wholes: dict[str, Truths] = {}

    def region(self, name: str) -> tuple[Numbers, Numbers, Any]:
        """Return where a part begins and ends, and where it is there (True: everywhere)."""
        if name == "self":
            return self.begin, self.inner, True
        if name == "payload":
            return self.inner, self.stop, True
        if name == "rest":
            return self.stop, self.end, True
        if name not in self.places:
            return self.end, self.end, False
        at, there, size = self.places[name]
        return at, at + (self.cls.by_name[name].kind.fixed_bits + 7) // 8 if size is None else at + size, there

    def parts(self, parts: tuple[Part, ...]) -> Iterator[tuple[Part, Numbers, Numbers, Numbers]]:
        """Yield the parts that are there and not empty: which headers have them, where they begin and end."""
        taken: dict[str, Truths] = {"payload": self.bound}
        for number, part in enumerate(parts):
            holds = self.holds.get(number)
            if holds is not None and not holds.any():
                continue
            at, end, there = self.region(part.name)
            here = (at < end) & there
            if holds is not None:
                here = here & holds
            if part.name in taken:
                here = here & ~taken[part.name]
            taken[part.name] = here | taken.get(part.name, False)
            if here.any():
                some = here.nonzero()[0]
                yield part, some, at[some], end[some]


class PlaceScanner(Scanner):
    """What the writers of places share: those for numpy (`RowPlaces`) and for compiled loops (`rewrite.loop`)."""

    def __init__(
        self, cls: Declaration, numbers: dict[Declaration, int], wants: Wants, until: Expr | None = None
    ) -> None:
        self.wants, self.until = wants, until
        # Field -> where it is, whether it is there, its bytes ("": what its kind says).
        self.at: dict[str, tuple[str, str, str]] = {}
        super().__init__(cls, numbers, ())
        self.needed |= wants.values

    def _rules(self) -> list[Expr]:
        return [*super()._rules(), *(rule for rule in self.holding().values() if rule is not None)]

    def holding(self) -> dict[object, Expr | None]:
        """Return the rules that decide what is done with the header: by the number of a part, or by name."""
        said = self.cls
        rules: dict[object, Expr | None] = {number: part.condition for number, part in enumerate(self.wants.parts)}
        rules |= {f"sum_{f.name}": f.rule.where for f in said.plan.sums if isinstance(f.rule, Checksum) and f.name in self.wants.fields}
        return {**rules, "partial": said.partial, "quotes": said.quotes, "opaque": said.opaque, "until": self.until}

    def refusal(self) -> str:
        return "wanted of objects alone" if self.wants.never else super().refusal()

    def conditional(self) -> bool:
        """Whether what is read now is there only in some packets."""
        raise NotImplementedError

    def give(self, name: str, at: Place, size: int | str = 0, value: str = "") -> None:
        if name in self.wants.fields:
            there, place = f"p_{name}" if self.conditional() else "True", f"{at[0]} + {at[1]}"
            if self.offset is None or self.conditional():
                self.let(f"x_{name}", place)
                place = f"x_{name}"
            if isinstance(size, str):
                self.let(f"w_{name}", size)
            self.at[name] = place, there, f"w_{name}" if isinstance(size, str) else ""

    def clip(self, name: str) -> None:
        self.put(f"short = short | ({name} > end) * {SHORT}")
        super().clip(name)

    def leave(self, end: str) -> None:
        if any(f.condition is None and not isinstance(f.rule, Next) for f in self.plan.lengths):
            self.put(f"short = short & {SHORT}")
        self.let("inner", self.pos)
        self.let("stop", end)
        for key, rule in self.holding().items():
            if rule is not None:
                more = " & (inner < stop)" if key == "opaque" else ""
                self.let(f"i_{key}", f"(({rule.code(self)}) != 0){more}")
        self.found()
        if self.cls.partial is not None:
            self.put(f"short = short | i_partial * {SHORT}")
        self.onto(self.branches(any(part.name == "payload" for part in self.wants.parts)))

    def found(self) -> None:
        """Put down what was found."""
        raise NotImplementedError

    def onto(self, branches: list[tuple[list[str], int]]) -> None:
        """Go on to the header that follows."""
        raise NotImplementedError


class RowPlaces(PlaceScanner, RowScanner):
    """Writes the function of one header, which appends a `Visit`."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.live += ["ids", "short"]

    def conditional(self) -> bool:
        return bool(self.where)

    def found(self) -> None:
        holds = [f"{key!r}: i_{key}" for key, rule in self.holding().items() if rule is not None]
        values = [name for name in sorted(self.wants.values) if name in self.read]
        holds += [f"{name!r}: p_{name}" for name in values if self.cls.by_name[name].condition is not None]
        places = ", ".join(
            f"{name!r}: ({at}, {there}, {f'np.maximum({size}, 0)' if size else 'None'})"
            for name, (at, there, size) in self.at.items()
        )
        numbers = ", ".join(f"{name!r}: v_{name}" for name in values)
        self.put(
            "visit = Visit(cls, lower, rows, ids, begin, inner, stop, end, short, partial, True, "
            f"{{{places}}}, {{{numbers}}}, {{{', '.join(holds)}}})"
        )
        self.put("found.append(visit)")

    def onto(self, branches: list[tuple[list[str], int]]) -> None:
        self.put("go = inner < stop")
        if self.cls.opaque is not None:
            self.put("go = go & ~i_opaque")
        if branches:
            self.put("while True:")  # left when all are on their way
        for tests, which in branches:
            self.put(f"    hit = go & {any_of(tests)}")
            self.put("    if hit.any():")
            if which:
                self.put(f"        onward(work, visit, {which}, hit, rows, inner, stop, partial, short)")
            self.put("        go = go & ~hit")
            self.put("        if not go.any(): break")
        if branches:
            self.put("    break")
        self.put("visit.bound = ~go")


def onward(work: list[Any], visit: Visit, which: int, hit: Truths, *arrays: Numbers | Truths) -> None:
    """Put down as work that those headers go on to class `which` that are `hit`: rows first, then what is known of them."""
    here = hit.nonzero()[0]
    rows, *more = arrays if len(here) == len(hit) else [one[here] for one in arrays]
    work.append((which, visit, rows, here, *more))


class PlacesScan:
    """Walks over packets in one buffer.

    `last`: where each ends. `missing`: whether the capture cut it. `wants` says what is wanted of a class, `leading` which
    classes lead to anything. `unfit` is, for each packet, whether it has to be looked at as objects.
    """

    def __init__(
        self, data: ByteArray, last: Numbers, missing: Truths, wants: Callable[[Declaration], Wants],
        leading: dict[Declaration, int], known: dict[object, Any],
    ) -> None:  # fmt: skip
        import numpy as np

        self.np, self.data, self.last, self.missing = np, data, last, missing
        self.wants, self.leading, self.known = wants, leading, known
        self.unfit = np.zeros(len(last), bool)

    def _step(self, cls: Declaration, until: Expr | None, work: list[Any], found: list[Visit], *known: object) -> None:
        """Go over headers of a class: the visit below, their rows, and what is known of them."""
        key = "step", cls, until
        if key not in self.known:
            writer = RowPlaces(cls, self.leading, self.wants(cls), until)
            head = "def step(work, found, last, missing, unfit, data, lower, rows, ids, begin, end, partial, short):"
            names = {
                "np": self.np, "number_at": number_at, "bytes_at": bytes_at, "filled": filled, "Visit": Visit, "cls": cls,
                "onward": onward,
            }  # fmt: skip
            lines = [head, *("    " + line for line in writer.source())]
            self.known[key] = function(lines, names, f"places in {cls.name}")
        self.known[key](work, found, self.last, self.missing, self.unfit, self.data, *known)

    def walk(
        self, first: Declaration, rows: Numbers, begin: Numbers, end: Numbers, partial: Truths | None = None
    ) -> list[Visit]:
        """Return the visits of packets, or parts of them, that begin with a header of a class."""
        np = self.np
        none = np.zeros(len(rows), bool) if partial is None else partial
        found: list[Visit] = []
        work: list[Any] = [(first, None, rows, np.arange(len(rows)), begin, end, none, self.missing[rows] * 1)]
        classes = {number: cls for cls, number in self.leading.items()}
        for _ in range(DEPTH):
            if not work:
                break
            now, work = work, []
            for which, *arrays in now:
                self._step(classes.get(which, which), None, work, found, *arrays)
        for _, _, mine, *_ in work:
            self.unfit[mine] = True
        for visit in found:
            self._inside(visit)
        return found

    def _inside(self, visit: Visit) -> None:
        """Walk into the parts of headers."""
        for part, some, at, end in visit.parts(self.wants(visit.cls).parts):
            if part.repeated is not None:
                self._items(part, part.repeated, visit, some, at, end)
            else:
                visits = []
                if part.header is not None:
                    visits = self.walk(part.header, visit.rows[some], at, end, visit.partial[some])
                visit.children.append((part, visits, some))

    def _items(self, part: Part, f: Field, visit: Visit, index: Numbers, at: Numbers, end: Numbers) -> None:
        np = self.np
        while len(index):
            found: list[Visit] = []
            rows, none = visit.rows[index], np.zeros(len(index), bool)
            self._step(f.kind.item, f.until, [], found, None, rows, np.arange(len(index)), at, end, none, none * 1)
            if not found:
                return
            item = found[0]
            which = index[item.ids]
            item.ids = np.arange(len(which))
            self.unfit[item.rows[item.inner <= item.begin]] = True
            self._inside(item)
            visit.children.append((part, [item], which))
            on = (item.inner > item.begin) & (item.inner < item.end)
            if f.until is not None:
                ended = on & item.holds["until"]
                self._filled(f, item.rows[ended], item.inner[ended], item.end[ended])
                on &= ~ended
            index, at, end = which[on], item.inner[on], item.end[on]

    def _filled(self, f: Field, rows: Numbers, at: Numbers, end: Numbers) -> None:
        """Mark as unfit where more than the bytes that fill up to a multiple stands after the last item."""
        bad = end - at >= max(f.align, 1)
        for more in range(max(f.align, 1) - 1):
            here = at + more < end
            bad |= here & (self.data[self.np.where(here, at + more, 0)] != f.fill[0])
        self.unfit[rows[bad]] = True
