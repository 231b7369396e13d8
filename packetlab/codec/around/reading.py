"""What the source that reads a header says where its rules name values from elsewhere."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from packetlab.codec.around.told import heard, is_around, look, within
from packetlab.codec.context.recalling import recall_read
from packetlab.codec.objects import restored
from packetlab.codec.places.names import name_at
from packetlab.codec.places.surroundings import begun
from packetlab.codec.source import ReadSoFar
from packetlab.declare.expressions import Elsewhere, Expr
from packetlab.declare.places.origins import OwnPlace
from packetlab.declare.plan import Follows
from packetlab.declare.remembering.recalled import Recalled
from packetlab.declare.values.names import Unnamed

if TYPE_CHECKING:
    from packetlab.declare.fields import Field


class Hearing(ReadSoFar):
    """The part of `decode.Decoding` that is about what stands around a header.

    `told` has source for each value that the header is told, once that is looked up.
    """

    told: dict[str, str]
    away: str

    def elsewhere(self, leaf: Elsewhere) -> str:
        """Source for a value from elsewhere."""
        if isinstance(leaf, Recalled):
            return self.recalled(leaf)
        if str(leaf) in self.told:
            return self.told[str(leaf)]
        key = f"L{len(self.names)}{self.tag}"
        self.names.update({key: leaf, "look": look})
        return f"(look({key}, ctx.layers, ctx.before) or 0)"

    def pointed(self, f: Field, pos: str, lines: list[str]) -> list[str]:
        """Return lines that read a name, and what its pointer leads to."""
        var, key = self.v(f.name), f"N_{f.name}{self.tag}"
        self.names.update({key: partial(name_at, f.kind.counted_from, self.cls), "Unnamed": Unnamed})
        more = f"if type({var}) is Unnamed: {var} = {key}({var}, data, b_{var}, {self.start}, ctx)"
        return [f"b_{var} = {pos}", *lines, more]

    def hear(self) -> None:
        """Look up what the header is told."""
        if self.cls.asks and not self.told:
            self.names.update({"heard": heard, f"A{self.tag}": self.cls.asks})
            self.lines.append(f"told{self.tag} = heard(A{self.tag}, ctx, declaration{self.tag}, data, {self.start})")
            self.told = {str(leaf): f"told{self.tag}[{k}]" for k, leaf in enumerate(self.cls.asks)}

        for place, leaf in enumerate(self.cls.asks):
            if isinstance(leaf, Recalled):
                self.told[str(leaf)] = f"r{place}{self.tag}"
                self.lines.append(f"{self.told[str(leaf)]} = None")

    def recalled(self, leaf: Recalled) -> str:
        """Look up what an earlier packet told, just here: the key is of fields read so far."""
        var, key = self.told[str(leaf)], f"L{len(self.names)}{self.tag}"
        self.names.update({key: leaf, "recall_read": recall_read})
        values = "".join(f"{self.v(name)}, " for name in leaf.own)
        self.lines.append(f"{var} = recall_read({key}, ctx, ({values}))")
        if leaf.is_number:
            self.lines.append(f"if {var} is None: {self.away}")
        return var

    def hear_in_list(self, until: Expr | None) -> tuple[list[str], list[str]]:
        """The same for the items of a list: return lines that stand before all of them, and lines at the end of each."""
        first, each = [], []
        more = [leaf for leaf in until.leaves() if isinstance(leaf, Elsewhere)] if until is not None else []
        leaves = {str(leaf): leaf for leaf in (*self.cls.asks, *more)}
        for k, (text, leaf) in enumerate(leaves.items()):
            self.told[text] = f"x_{k}{self.tag}"
            if isinstance(leaf, OwnPlace):
                self.names["begun"] = begun
                self.lines.append(f"{self.told[text]} = begun({leaf.name!r}, declaration{self.tag}, data, pos, ctx)")
            elif leaf.path:
                self.names.update({f"L_{k}{self.tag}": leaf, "look": look})
                first.append(f"{self.told[text]} = look(L_{k}{self.tag}, ctx.layers, None) or 0")
            else:
                first.append(f"{self.told[text]} = 0")
                each.append(f"{self.told[text]} = {self.v(leaf.name)} or 0")
        return first, each

    def remembered(self, header: str) -> list[str]:
        """Return lines that have a header remember what it was told."""
        told = "".join(f"{self.told[str(leaf)]}, " for leaf in self.cls.asks)
        return [f"{header}.__told__ = ({told})"] if told else []

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
