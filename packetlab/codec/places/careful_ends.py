"""What the careful reader does about fields whose place is counted from an end; the oracle for `from_end`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packetlab.codec.faults import Fault, InnerFault, Values
from packetlab.declare.expressions import Expr
from packetlab.declare.plan import Gap, Padded, Step

if TYPE_CHECKING:
    from packetlab.declare.declaration import Declaration
    from packetlab.declare.fields import Field
    from packetlab.declare.kinds import Raw
    from packetlab.declare.plan import Plan


class CutShort(Exception):  # noqa: N818
    """The bytes ended inside the header."""


class EndsWalking:
    """The part of the careful reader that is about ends. `lost`: whether the fields after the payload could not be found."""

    cls: Declaration
    plan: Plan
    scope: Values
    values: dict[str, Raw]
    data: bytes
    end: int
    trusted: bool
    bit: int
    stop: int | None
    total: int | None
    lost = False
    known: set[str]
    places: dict[str, int]

    start: int

    def room(self) -> int:
        """How many bytes are left for a field that is there if some are."""
        end = max(self.bit // 8, self.end - self.plan.trailing) if self.total is None else self.total
        return max(0, (end if self.stop is None else self.stop) - self.bit // 8)

    def step(self, step: Step) -> None:
        raise NotImplementedError

    def fault(self, field: str, offset: int, expected: str, got: object, sort: type[Fault] = Fault) -> None:
        raise NotImplementedError

    def judge_whole(self) -> None:
        """Note what is wrong that only all of a header tells: bytes left over, and numbers that have to obey what stands after them."""
        over = self.end - self.bit // 8  # after the trailer, or where there is none the payload
        if self.cls.exact and self.trusted and over:
            self.fault("", self.bit // 8, f"{self.cls.name} to end here", f"{over} bytes more", InnerFault)
        for f in self.cls.late:
            there = self.values[f.name] is not None and not (f.name in self.scope.after and self.is_part(self.end))
            if there and (wrong := f.broken(self.scope)):
                self.fault(f.name, self.places[f.name], wrong, f.got(self.values[f.name]), InnerFault)

    def truncated_field(self, field: str, offset: int, expected: int, got: int, what: str = "bytes") -> None:
        raise NotImplementedError

    def is_part(self, end: int) -> bool:
        raise NotImplementedError

    def fixed(self, f: Field) -> int | bytes:
        raise NotImplementedError

    def read_from_end(self, end: int, pos: int) -> Field | None:
        """Read the fields that stand so many bytes before an end; return the first that would begin before `pos`."""
        for f in self.plan.from_end:
            if f.condition is not None and not f.condition.evaluate(self.scope):
                continue
            if end - f.from_end < pos:
                return f
            (self.bit, self.stop), held = ((end - f.from_end) * 8, None), (self.bit, self.stop)
            self.values[f.name] = self.fixed(f)
            self.bit, self.stop = held
        return None

    def forgotten(self) -> bool:
        """Leave out what was read of the end where the bytes end before it."""
        for f in self.plan.from_end:
            if f.name not in self.known:
                self.values[f.name] = None
        return True

    def filling(self, step: Padded | Gap, pos: int) -> int:
        """Return how many bytes fill up the header, from `pos` on."""
        here, f = pos - self.start, step.field
        if f.mark is not None:
            here = pos - self.places[f.mark.name]
        elif f.origin is not None:
            here += f.origin.evaluate(self.scope)
        if isinstance(step, Padded):
            return -here % step.multiple
        there = step.size is None or step.size.evaluate(self.scope)
        return step.place.evaluate(self.scope) - here if there else 0

    def pointing_back(self, step: Gap, size: int) -> tuple[str, int]:
        """Return what was expected, and got, of an offset that lies `size` bytes, less than 0, from what was read before it."""
        there = step.place.evaluate(self.scope)
        return f"an offset of {there - size} or more, where the fields before it end", there

    def tail_begins(self, pos: int, tail: Expr) -> int:
        """Return where the payload ends, by the size of what stands after it; where that is none, it has all bytes."""
        room = self.end - pos
        if self.is_part(self.end):
            self.truncated_field("", self.end, 1, 0, "bytes after the payload, or more")
            self.lost = True
        elif (missing := self.read_from_end(self.end, pos)) is not None:
            self.truncated_field(missing.name, pos, missing.from_end, room)
            self.lost = True
        else:
            whole = tail.evaluate(self.scope)
            for f in self.cls.after:
                there = f.condition is None or bool(f.condition.evaluate(self.scope))
                size = self.plan.sizes[f.name].evaluate(self.scope) if f.name in self.plan.sizes and there else 0
                if size < 0:
                    self.fault(f.name, pos, "a size of 0 or more", size)
                elif size and whole > room:
                    self.fault(f.name, pos, f"{size} bytes", max(0, room - (whole - size)))
                self.lost = self.lost or size < 0 or whole > room
            if whole > room and all(f.name not in self.plan.sizes for f in self.cls.after):
                self.truncated_field("", pos, whole, room, "bytes after the payload")
        if not self.lost:
            return self.end - tail.evaluate(self.scope)
        self.trusted = False
        self.forgotten()
        return self.end

    def trailer(self, at: int) -> bool:
        """Read the fields after the payload; say whether the bytes ended before them."""
        self.bit, self.stop = at * 8, None
        for step in [] if self.lost else self.plan.trailer:
            pos = self.bit // 8
            if isinstance(step, Padded):
                size = self.filling(step, pos)
                if pos + size > self.end:
                    self.truncated_field(step.field.name, pos, size, self.end - pos)
                    size = self.end - pos
                self.values[step.field.name] = self.data[pos : pos + size]
                self.bit += size * 8
                continue
            try:
                self.step(step)
            except CutShort:
                return True
        return self.lost
