"""A stretch of bits read field by field, from bytes that need not fit it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packetlab.codec.bits.numbers import LONGEST, bytes_at, coded_at, number_at, numbers_at
from packetlab.codec.faults import Values
from packetlab.codec.objects import AnyHeader, classes, restored
from packetlab.declare.kinds import WIDEST, Raw

if TYPE_CHECKING:
    from collections.abc import Callable

    from packetlab.codec.faults import Dissection
    from packetlab.declare.bits.stretches import BitPart, Loose
    from packetlab.declare.declaration import Declaration
    from packetlab.declare.fields import Field
    from packetlab.declare.plan import Plan


class StopError(Exception):
    """The bits do not fit: the field, the byte where it begins, what was expected, and what there is.

    `more`: bytes from there that would do, where only bytes are missing; 0 where it is something else.
    """

    unfinished = False  # whether more bytes could make a value of what there is

    def __init__(self, name: str, at: int, expected: str, got: object, more: int = 0) -> None:
        super().__init__(name)
        self.name, self.at, self.expected, self.got, self.more = name, at, expected, got, more


class Stretch:
    """Reads a stretch from the bit `at` on; what it finds goes into the values of `scope`.

    `limit` and `open_limit` are the bytes where the header ends at the latest, and what goes on to an end. Afterwards `at` is
    where it has come to, `places` has where each field begins.
    """

    def __init__(self, step: Loose, scope: Values, at: int, limit: int, open_limit: int) -> None:
        self.step, self.scope, self.at, self.limit, self.open_limit = step, scope, at, limit * 8, open_limit * 8
        self.begin = at
        self.data = scope.data
        self.places: dict[str, int] = {}

    def part(self, part: BitPart) -> bool:
        """Read one field; say whether it is there. StopError where it does not fit: all of it is left then, whole items too."""
        f = part.field
        if f.condition is not None and not f.condition.evaluate(self.scope):
            return False
        self.places[f.name] = begin = self.at
        try:
            self.scope.values[f.name] = self.read(part)
        except StopError:
            self.at = begin
            raise
        return True

    def room(self, part: BitPart, bits: int) -> int:
        """Return where so many bits begin, and go on after them. StopError where there are not so many."""
        at, left = self.at, max(0, self.limit - self.at)
        if bits > left:
            raise StopError(part.field.name, at // 8, "", left // 8, -(-(at % 8 + bits) // 8))
        self.at += bits
        return at

    def read(self, part: BitPart) -> Raw:
        f, low, name, data = part.field, self.step.low, part.field.name, self.data
        measure = 0 if part.measure is None else part.measure.evaluate(self.scope)
        if measure < 0 or (part.sort == "wide" and measure > WIDEST):
            what = f"a width of 0 to {WIDEST} bits" if part.sort == "wide" else f"a {part.by} of 0 or more"
            raise StopError(name, self.at // 8, what, measure)
        if part.sort == "spare":
            bits = -self.at % 8
            return number_at(data, self.room(part, bits), bits, low)
        if part.sort == "number":
            return number_at(data, self.room(part, part.each), part.each, low, f.kind.signed)
        if part.sort == "wide":
            return number_at(data, self.room(part, measure), measure, low, f.kind.signed)
        if part.sort == "coded":
            return self.coded(part)
        if part.sort == "bytes":
            return bytes_at(data, self.room(part, part.each), part.each // 8, low)
        if part.sort == "sized":
            return bytes_at(data, self.room(part, measure * 8), measure, low)
        return self.several(part, measure)

    def coded(self, part: BitPart) -> Raw:
        """Read a value that tells its own size."""
        kind = part.field.kind
        found = coded_at(self.data, self.at, self.limit, self.step.low, kind, getattr(kind, "longest", LONGEST))
        if found is None:
            left = bytes_at(self.data, self.at, max(0, self.limit - self.at >> 3), self.step.low)
            error = StopError(part.field.name, self.at // 8, kind.in_words(), kind.refused(left, 0, len(left)))
            error.unfinished = kind.unfinished(left, 0, len(left))
            raise error
        self.at = found[1]
        return found[0]

    def several(self, part: BitPart, measure: int) -> Raw:
        """Read values, or headers, side by side."""
        name, each, count = part.field.name, part.each, measure if part.counted else None
        bits = self.open_limit - self.at if not part.by else measure * 8
        if not part.by and bits < 0:
            raise StopError(name, self.at // 8, "values up to the end", "none")
        place = self.step.parts.index(part) + 1
        spare = not part.by and place < len(self.step.parts) and self.step.parts[place].sort == "spare"
        if count is None and each:
            count = bits // each
            if bits % each and not spare:
                if bits > self.limit - self.at:
                    self.room(part, bits)
                raise StopError(
                    name, self.at // 8, f"values of {each} bits that fill {bits} bits", f"{bits % each} bits more"
                )
        if count is not None and each:
            at = self.room(part, count * each)
            element = part.field.kind.element
            if element is not None:
                return numbers_at(self.data, at, count, each, self.step.low, element.signed)
            self.at = at
        elif count is None:
            self.room(part, bits)
            self.at -= bits
        return self.items(part, count, self.limit if count is not None else self.at + bits)

    def items(self, part: BitPart, count: int | None, limit: int) -> tuple[AnyHeader, ...]:
        """Read headers that are items of bits."""
        found: list[AnyHeader] = []
        while self.at < limit if count is None else len(found) < count:
            begin = self.at
            found.append(self.item(part))
            if self.at > limit or (count is None and self.at == begin):
                name = part.field.name
                raise StopError(
                    name, begin // 8, f"{part.field.kind.item.name} up to the end", f"one of {self.at - begin} bits"
                )
        return tuple(found)

    def item(self, part: BitPart) -> AnyHeader:
        item = part.field.kind.item
        values: dict[str, Raw] = {f.name: None for f in item.fields}
        inner = Values(values, self.data, self.scope.end)
        for step in item.plan.loose:
            one = Stretch(step, inner, self.at, self.limit // 8, self.limit // 8)
            one.limit = one.open_limit = self.limit
            for each in step.parts:
                f = each.field
                try:
                    there = one.part(each)
                except StopError as error:
                    error.expected += f"{' ' * bool(error.expected)}for {item.name}.{error.name}"
                    error.name = part.field.name
                    raise
                raw = values[f.name]
                wrong = (
                    f.kind.wrong(raw)
                    if there and f.kind.judges
                    else f.kind.text(f.default)
                    if there and f.fixed and raw != f.default
                    else f.broken(inner)
                    if there
                    else ""
                )
                if wrong:
                    raise StopError(
                        part.field.name, one.places[f.name] // 8, f"{wrong} for {item.name}.{f.name}", f.got(raw)
                    )
            self.at = one.at
        made: AnyHeader = restored(classes[item], item.captured_state, tuple(values[f.name] for f in item.fields))
        return made

    def give_back(self) -> list[str]:
        """Go back to the last byte boundary at which a field begins; return the names of those that are given back."""
        given: list[str] = []
        while self.at % 8 and self.places:
            name, self.at = self.places.popitem()
            self.scope.values[name] = None
            given.append(name)
        return given


class BitWalking:
    """The part of the careful reader that reads stretches of bits."""

    cls: Declaration
    plan: Plan
    scope: Values
    bit: int
    start: int
    end: int
    stop: int | None
    total: int | None
    known: set[str]
    places: dict[str, int]
    ctx: Dissection
    limit: Callable[[], int]
    is_part: Callable[[int], bool]
    fault: Callable[[str, int, str, object], None]
    truncated_field: Callable[[str, int, int, int], None]
    noted: Callable[[Field, int, int], None]

    def loose(self, step: Loose) -> bool:
        """Read a stretch; say whether it is whole. What is not is left to the payload from a byte boundary on."""
        reading = Stretch(step, self.scope, self.bit, 0, 0)
        part = step.parts[0]
        try:
            for part in step.parts:
                reading.limit = self.limit() * 8
                end = self.end - self.plan.trailing if self.total is None else self.total
                after = self.plan.after.get(part.field.name) if part.field in step.open else None
                reading.open_limit = (
                    (end if self.stop is None else self.stop) - (after.evaluate(self.scope) if after is not None else 0)
                ) * 8
                at, noted = reading.at // 8, len(self.ctx.faults)
                if reading.part(part):
                    self.bit = reading.at
                    self.noted(part.field, at, noted)
            if reading.at % 8:
                raise StopError(
                    part.field.name, reading.at // 8, "fields that fill whole bytes", f"{reading.at % 8} bits more"
                )
        except StopError as error:
            if error.unfinished and self.is_part(self.end):
                left = max(0, self.limit() - error.at)
                self.truncated_field(error.name, error.at, left + 1, left)
            elif not error.more:
                self.fault(error.name, error.at, error.expected, error.got)
            elif error.expected:
                self.fault(error.name, error.at, f"{error.more} bytes {error.expected}", error.got)
            else:
                self.truncated_field(error.name, error.at, error.more, error.got)  # type: ignore[arg-type]
            for name in reading.give_back():
                self.known.discard(name)
            self.bit = reading.at
            return False
        self.bit = reading.at
        return True

    def give_back(self) -> None:
        """Go back to the last byte boundary at which a field begins: what is left is left to the payload."""
        for f in reversed(self.cls.before):
            if self.bit % 8 == 0:
                return
            if f.name in self.known:
                self.scope.values[f.name] = None
                self.known.discard(f.name)
                self.bit -= f.kind.fixed_bits
