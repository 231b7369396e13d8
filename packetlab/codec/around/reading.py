"""What the source that reads a header says where its rules name values from elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING

from packetlab.codec.around.outer import handed, is_around, is_lain, look, read_outer, read_with, within
from packetlab.codec.context.recalling import recall_reader
from packetlab.codec.objects import restored
from packetlab.codec.places.names import name_at
from packetlab.codec.places.surroundings import begun, counted_since, is_placed
from packetlab.codec.source import ReadSoFar
from packetlab.codec.transforms.direct import given, opened_at_once
from packetlab.declare.declaration import outer_leaves
from packetlab.declare.expressions import Elsewhere, Expr
from packetlab.declare.places.origins import OwnPlace
from packetlab.declare.plan import Follows
from packetlab.declare.refinement.registered import refinements
from packetlab.declare.remembering.recalled import Recalled
from packetlab.declare.values.names import Unnamed

if TYPE_CHECKING:
    from packetlab.declare.fields import Field


class Hearing(ReadSoFar):
    """The part of `decode.Decoding` that is about what stands around a header.

    `outer_values` has source for each outer value, once that is looked up; of a list, `operands` are those that it may be given.
    """

    outer_values: dict[str, str]
    operands: list[str]
    name_starts: Mapping[str, str] = MappingProxyType({})  # what names count from -> the variable that has where that is, for all items of a list
    outer_tuple = ""  # the variable that has what all items of a list remember
    away: str

    def elsewhere(self, leaf: Elsewhere) -> str:
        """Source for a value from elsewhere."""
        if isinstance(leaf, Recalled):
            return self.recalled(leaf)
        if str(leaf) in self.outer_values:
            return self.outer_values[str(leaf)]
        key = f"L{len(self.names)}{self.tag}"
        self.names.update({key: leaf, "look": look})
        return f"(look({key}, ctx.layers, ctx.before) or 0)"

    def pointed(self, f: Field, pos: str, lines: list[str]) -> list[str]:
        """Return lines that read a name, and what its pointer leads to."""
        var, key = self.v(f.name), f"N_{f.name}{self.tag}"
        self.names.update({key: partial(name_at, f.kind.counted_from, self.cls), "Unnamed": Unnamed})
        more = f"if type({var}) is Unnamed: {var} = {key}({var}, data, b_{var}, {self.start}, ctx{self.name_starts.get(f.kind.counted_from, '')})"
        return [f"b_{var} = {pos}", *lines, more]

    def float(self) -> str:
        """Let the place be a variable from here on; returns its name."""
        raise NotImplementedError

    def coded(self, f: Field, limit: str, sized: bool = False) -> None:
        """Have a kind read its value, up to `limit` at the most, or just so far where that is `sized`."""
        var, pos, key = self.v(f.name), self.float(), f"K_{f.name}{self.tag}"
        self.names[key], far = f.kind.read, f" or {var}[1] != {limit}" if sized else ""
        lines = [f"{var} = {key}(data, {pos}, {limit})", f"if {var} is None{far}: {self.away}", f"{var}, {pos} = {var}"]
        if f.kind.counted_from:
            lines = self.pointed(f, pos, lines)
        elif hasattr(f.kind, "quick_read") and (quick := f.kind.quick_read()) is not None:
            own = {word: f"{word}_{f.name}{self.tag}" for word in quick[1]}
            self.names.update({own[word]: one for word, one in quick[1].items()})
            lines = [line.format(v=var, pos=pos, limit=limit, away=self.away, **own) for line in quick[0]]
            lines += [f"if {pos} != {limit}: {self.away}"] if sized else []
        if f.kind.single:  # most of them are one byte
            one = f"if {pos} < {limit} and data[{pos}] < {f.kind.single}:", f"    {var} = data[{pos}]", f"    {pos} += 1"
            lines = [*one, "else:", *("    " + line for line in lines)]
        size = f"z_{f.name}{self.tag}"
        self.lines += [f"{size} = {pos}", *lines, f"{size} = {pos} - {size}"] if f.name in self.plan.measured else lines

    def read_around(self) -> None:
        """Look up the outer values."""
        if self.cls.outer_leaves and not self.outer_values:
            if not all(isinstance(leaf, Recalled) for leaf in self.cls.outer_leaves):  # these are recalled where they are needed
                self.names.update({"read_outer": read_outer, f"A{self.tag}": self.cls.outer_leaves})
                self.lines.append(f"outer{self.tag} = read_outer(A{self.tag}, ctx, declaration{self.tag}, data, {self.start})")
            self.outer_values = {str(leaf): f"outer{self.tag}[{k}]" for k, leaf in enumerate(self.cls.outer_leaves)}

        for place, leaf in enumerate(self.cls.outer_leaves):
            if isinstance(leaf, Recalled):
                self.outer_values[str(leaf)] = f"r{place}{self.tag}"
                self.lines.append(f"{self.outer_values[str(leaf)]} = None")

    def mark(self) -> str:
        """The line that notes how much was remembered so far, where something may be in what is read here."""
        return "m = marked()" if any(one.remembers for one in read_with(self.cls)) else "m = None"

    def recalled(self, leaf: Recalled) -> str:
        """Look up what was remembered from an earlier packet, just here: the key is of fields read so far."""
        var, key = self.outer_values[str(leaf)], f"L{len(self.names)}{self.tag}"
        self.names[key] = recall_reader(leaf)
        values = "".join(f"{self.v(name)}, " for name in leaf.own)
        self.lines.append(f"if {var} is None: {var} = {key}(ctx, ({values}))")
        if leaf.is_number:
            self.lines.append(f"if {var} is None: {self.away}")
        return var

    def read_around_in_list(self, until: Expr | None) -> tuple[list[str], list[str], list[str]]:
        """The same for the items of a list: return lines that stand before all of them, lines at the end of each, and of one of another class."""
        first, each, other, self.operands = [], [], [], []
        more = outer_leaves([until, *(one.when for one in refinements(self.cls))])
        leaves = {str(leaf): leaf for leaf in (*self.cls.outer_leaves, *more)}
        for k, (text, leaf) in enumerate(leaves.items()):
            self.outer_values[text] = f"x_{k}{self.tag}"
            if isinstance(leaf, OwnPlace):
                self.names.update(begun=begun, counted_since=counted_since)
                where = f"({leaf.name!r}, declaration{self.tag}, data, pos, ctx)"
                first.append(f"if g_{k}{self.tag} is None: g_{k}{self.tag} = counted_since{where}")
                self.operands.append(f"g_{k}{self.tag}")
                self.lines.append(f"{self.outer_values[text]} = begun{where} if g_{k}{self.tag} is None else pos - g_{k}{self.tag}")
            elif is_lain(leaf):
                first.append(f"{self.outer_values[text]} = 0")
            elif leaf.path:
                self.names.update({f"L_{k}{self.tag}": leaf, "look": look})
                self.operands.append(self.outer_values[text])
                first.append(f"if {self.outer_values[text]} is None: {self.outer_values[text]} = look(L_{k}{self.tag}, ctx.layers, None) or 0")
            else:
                first.append(f"{self.outer_values[text]} = 0")
                each.append(f"{self.outer_values[text]} = {self.v(leaf.name)} or 0")
                self.names.update({f"L_{k}{self.tag}": leaf, "look": look})
                other.append(f"{self.outer_values[text]} = look(L_{k}{self.tag}, (), h{self.tag}) or 0")
        self.name_starts = {since: f", c_{k}{self.tag}" for k, since in enumerate(dict.fromkeys(f.kind.counted_from for f in self.cls.fields if f.kind.counted_from))}
        self.names.update(counted_since=counted_since)
        first += [f"{var[2:]} = counted_since({since!r}, declaration{self.tag}, data, pos, ctx)" for since, var in self.name_starts.items()]
        known = [self.outer_values[text] for text, leaf in leaves.items() if not is_lain(leaf)]
        if leaves and self.operands == known and len(known) == len(self.cls.outer_leaves):  # the same for all items
            first.append(f"outer{self.tag} = {self.remembered()}")
            self.outer_tuple = f"outer{self.tag}"
        return first, each, other

    def remembered(self) -> str:
        """Source for the outer values that the header remembers, "" for none."""
        outer = "".join(f"{self.outer_values[str(leaf)]}, " for leaf in self.cls.outer_leaves)
        return self.outer_tuple or (outer and f"({outer})")

    def handed(self, f: Field) -> str:
        """Source for the operands of what reads a list whose items ask for numbers of this header alone, "" where they ask for more."""
        leaves = handed(f, self.cls) if is_around(f) else None
        if leaves is None:
            return ""
        self.names.setdefault("ctx", None)
        values = [self.start if isinstance(leaf, OwnPlace) else self.value(leaf.name) if leaf.name in self.read else 0 for leaf in leaves]
        return ", None" + "".join(f", {value}" for value in values)

    def opened(self, f: Field) -> None:
        """Look into a field whose bytes stand for others."""
        var, key, codes, held = self.v(f.name), f"T_{f.name}{self.tag}", self.arguments(f), self.held(f)
        self.names[key] = f.kind.opened  # type: ignore[attr-defined]
        careful = [f"{var} = {key}({var}, {given(codes)}{held})", f"if {var}.expected: {self.away}"]
        handed = self.handed(f) if held and not is_placed(f.kind.item) else ""  # places in what is inside are counted there
        lines = opened_at_once(self, f, var, codes, careful, held, self.away, handed)
        may_be_none = f.condition is not None or f.none is not None
        self.lines += [f"if {var} is not None:", *("    " + line for line in lines)] if may_be_none else lines

    def held(self, f: Field) -> str:
        """Source for one more operand of what reads a list: the header as far as it was read, where its items ask for that."""
        if not is_around(f):
            return ""
        self.names.update(within=within, restored=restored)
        self.names.setdefault("ctx", None)
        values = "".join(f"{self.v(g.name) if g.name in self.read else None}, " for g in self.cls.fields)
        return f", within(ctx, restored(of{self.tag}[0], {self.cls.captured_state:#x}, ({values})), data, {self.start})"

    def follows_from(self, step: Follows) -> None:
        """Work out a value that is not in the bytes."""
        self.lines.append(f"{self.v(step.field.name)} = {'int' * step.rule.is_truth}({step.rule.code(self)})")
