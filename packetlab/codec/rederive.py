"""The compiler for editing: which derived fields of a header hold what their rules give, all others as they are.

`explain` says the same of one field in the open; the tests hold both to the same results.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from packetlab.codec.around.freeing import freed, holds_others
from packetlab.codec.around.outer import remembered
from packetlab.codec.around.presence import by_value, is_derived
from packetlab.codec.bodies import measured
from packetlab.codec.derive import Deriving
from packetlab.codec.encode import encode_items
from packetlab.codec.objects import AnyHeader, off_link
from packetlab.codec.places.inner import without_numbers
from packetlab.codec.pseudo import pseudo_sum
from packetlab.codec.source import Compiled, PackedPiece, function
from packetlab.codec.stacks import rebuilder
from packetlab.declare import registry
from packetlab.declare.checksums.algorithms import internet
from packetlab.declare.checksums.ranges import regions
from packetlab.declare.declaration import Declaration
from packetlab.declare.expressions import Checksum
from packetlab.errors import BuildError

if TYPE_CHECKING:
    from packetlab.declare.fields import Field

H = TypeVar("H", bound=AnyHeader)


class Rederiving(Deriving):
    """Writes ``rederive(o, h, data, start, end, stack, i, above) -> (header, start, end)``.

    `o` is the header as it was given, `h` the same with derived fields filled in, ``data[start:end]`` the bytes of its
    layer (`end` -1: there is no payload; the bytes are looked at for checksums alone). What comes back is `o` with each captured field that is consistent made derived again (one whose bytes ended
    early as it is), and where its payload lies.
    """

    def __init__(self, cls: Declaration) -> None:
        super().__init__(cls, (PackedPiece(("body",), "stop - at"),))
        self.lines += ["outer = remembered(h, cls.outer_leaves)"] if cls.outer_leaves else []
        self.direct = {f.name: f"h.{f.slot}" for f in cls.fields}
        self.names.update(remembered=remembered, internet=internet, whole=_whole, encode_items=encode_items, pseudo_sum=pseudo_sum)

    def compile(self) -> Compiled:
        """Return the function."""
        count = len(self.cls.fields)
        derived = [f for f in self.cls.fields if is_derived(f)]
        captured = sum(f.bit for f in derived) << count
        lines = [f"if o._state >> {2 * count}: return whole(o, h, start, end)"]
        self.lines += [f"at = start + {self.sizes(self.before)}", f"stop = end - ({self.sizes(self.after)}) if end >= 0 else at"]
        size, self.lines = self.lines, []
        for f in derived:
            self.compare(f)
        if not self.cls.fills and not holds_others(self.cls):
            size += [f"if not o._state & {captured}: return o, at, stop"]
        lines += size
        if derived:
            lines += ["head, body, m = data[start:at], data[at:stop], 0", *self.lines, f"m &= o._state >> {count}"]
        lines += ["r = new(*of)", f"r._state = o._state & ~(m | m << {count})" if derived else "r._state = o._state"]
        for f in self.cls.fields:
            anew = f in derived and not by_value(self.cls, f) and not f.is_filler  # else its value, derived again, says that it is there, or is kept
            lines.append(f"r.{f.slot} = {f'None if m & {f.bit:#x} else ' if anew else ''}o.{f.slot}")
            if follows := self.cls.fills.get(f.name):
                self.names["without_numbers"] = without_numbers
                numbers = ", ".join(f"{name!r}: {self.unless_scattered(f.name, name, rule.code(self))}" for name, rule in follows.items())
                lines.append(f"r.{f.slot} = without_numbers(o.{f.slot}, {{{numbers}}})")
        lines += ["r.__outer__ = getattr(o, '__outer__', None)"] if self.cls.outer_leaves else []
        if holds_others(self.cls):
            self.names["freed"] = freed
            lines.append("freed(r, o, h, stack, i)")
        head = "def rederive(o, h, data, start, end, stack, i, above):"
        lines = [head, *("    " + line for line in [*lines, "return r, at, stop"])]
        return function(lines, self.names, f"{self.cls.name}.rederive")

    def compile_extent(self) -> Compiled:
        """Return ``extent(h, start, end)`` -> where the payload of a header with derived fields filled in begins and ends."""
        own, tail = self.sizes(self.before), self.sizes(self.after)
        cut = f"if h._state >> {2 * len(self.cls.fields)}: return whole(h, h, start, end)[1:]"
        lines = [cut, *self.lines, f"return start + {own}, end - ({tail})"]
        return function(
            ["def extent(h, start, end):", *("    " + line for line in lines)], self.names, f"{self.cls.name}.extent"
        )

    def compare(self, f: Field) -> None:
        """Note whether a field holds what follows for it."""
        own, rule = f"h.{f.slot}", f.rule
        if isinstance(rule, Checksum):
            due = self.summed(f, rule)
            test = f"k == {own}"
            if rule.algorithm.is_loose(rule.none):
                self.names["same_" + f.name] = rule.algorithm.same
                test = f"(k == {own} or {due}same_{f.name}(k, {own}))"
        else:
            rule = f.computed if f.computed is not None and f.rule is None else rule
            derived = self.gap_again(f, self.filler(f) if f.size is not None else self.filled_up(f, settled=True)) if rule is None else rule.code(self)
            test = f"{own} == {derived}"
        there = f"{own} is None or" if f.left else f"{own} is not None and"
        self.lines.append(f"if {there} {test}{self.as_declared(f)}: m |= {f.bit:#x}")

    def summed(self, f: Field, rule: Checksum) -> str:
        """Work out a checksum over the bytes as they are, its own field as zeros; return source for whether there is to be one, with "and"."""
        some = regions(rule, self.before, self.after, f)
        lines = ["tail = data[stop:end]"] if any(region.part == "tail" for region in some) else []
        lines += [f"d = {self.covered(some, 'head', 'body', 'tail')}"]
        also = [] if rule.none is None else [f"if k == {rule.none}: k = {rule.instead}"]
        if "pseudo" in rule.over:
            lines += ["k = pseudo_sum(stack, i, cls, len(d))", "if k is None: k = 0", "else:"]
            lines += ["    " + line for line in ["k = internet(d, k)", *also]]
        else:
            lines += [f"k = {self.summing(f, rule)}", *also]
        if rule.where is None:
            self.lines += lines
            return ""
        self.lines += [f"due, k = {rule.where.code(self)}, {rule.otherwise}", "if due:", *("    " + line for line in lines)]
        return "due and "

    # What expressions ask for: every value as it is ----------------------------------------------------------

    def value(self, name: str) -> str:
        own = f"h.{self.fields[name].slot}"
        return own if self.fields[name].condition is None else f"({own} or 0)"

    def present(self, f: Field) -> str:
        return f"(h.{f.slot} is not None)"

    def packed_items(self, f: Field, value: str) -> str:
        return f"(encode_items({value}, 0) if {value} else b'')"

    def count(self, name: str) -> str:
        f = self.fields[name]
        if f.kind.wide is not None:
            self.names[f"E_{name}"] = f.kind.count
            return f"E_{name}(h.{f.slot} or 0)"
        return self.unless_none(name, f"len(h.{name} or ())")


def _whole(o: AnyHeader, h: AnyHeader, start: int, end: int) -> tuple[AnyHeader, int, int]:
    return o, start + measured(h, o._declaration.before), end - measured(h, o._declaration.after)


_followers: dict[Declaration, tuple[int, bool]] = {}  # state of captured fields that follow from others (-1: values in it may too), whether checksums do
registry.caches.append(_followers)


def rederived_alone(header: H) -> H | None:
    """Return a header as `rederived` has it in a packet of nothing else, None where that is to be asked."""
    own = header._declaration
    if not header._state >> len(own.fields) or header._state > own.captured_state:
        return header  # nothing is captured, its bytes ended early, or it is a pattern
    known = _followers.get(own)
    if known is None:
        others = own.fills or own.view or own.through is not None or own.remembers or own.outer_leaves or holds_others(own)
        derived = [f for f in own.fields if is_derived(f)]
        captured = -1 if others else sum(f.bit for f in derived) << len(own.fields)
        captured, sums = _followers[own] = captured, any(isinstance(f.rule, Checksum) for f in derived)
    else:
        captured, sums = known
    if captured < 0:
        return None
    if not header._state & captured:
        return header
    data = bytes(header) if sums else b""
    whole: AnyHeader = header if header._state >= own.captured_state else header._resolve(header, b"", (header,), 0, None)
    again: Any = header._rederive
    return again(header, whole, data, 0, len(data) if sums else -1, (whole,), 0, None)[0]  # type: ignore[no-any-return]


def rederived(packet: Any) -> tuple[AnyHeader, ...]:
    """Return the headers of a packet with each captured field that is consistent made derived again."""
    path, gaps, whole = packet._path, packet._trailing_bytes, None
    if path is not None and not gaps:
        again = rebuilder(path.classes, path)
        whole = again(packet) if again is not None else None
    if whole is None:
        headers, layers = packet._headers, packet.layers
        again = rebuilder(tuple(map(type, headers))) if layers is headers and not gaps else None
        try:
            whole = again(headers, packet.payload) if again is not None else None
        except BuildError:
            pass
    if whole is not None:
        return whole
    found: list[AnyHeader] = []
    data = off_link(headers[0]._declaration if headers else None, bytes(packet))
    start, end = 0, len(data)
    for i, header in enumerate(headers):
        end -= len(gaps.get(i, b""))
        above = layers[i + 1]._declaration if i + 1 < len(layers) else None
        anew, start, end = header._rederive(header, layers[i], data, start, end, layers, i, above)
        found.append(anew)
    return tuple(found)
