"""What compiled readers do about fields whose place is counted from an end, and about all that stands after the payload."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packetlab.codec.source import Extents
from packetlab.declare.plan import Fixed, Gap, Padded, Sized, Step, When
from packetlab.declare.values.units import Run, Unit

if TYPE_CHECKING:
    from packetlab.declare.fields import Field


class FromEnd(Extents):
    """The part of `decode.Decoding` that is about ends. `outer` is where the trailer ends."""

    outer: str

    def unpack(self, piece: Run, at: str) -> None:
        raise NotImplementedError

    def constants(self, fields: list[Field]) -> None:
        raise NotImplementedError

    def read_from_end(self, end: str, here: str) -> None:
        """Read the fields that stand so many bytes before an end, which others go by that stand before them."""
        for f in self.plan.from_end:
            if f.name in self.read:
                continue
            held, self.lines = self.lines, []
            self.check(f"{end} - {f.from_end} < {here}")
            self.unpack(Run([Unit([f])]), f"{end} - {f.from_end}")
            lines, self.lines = self.lines, held
            if f.condition is not None:
                condition = f.condition.code(self)
                lines = [f"{self.v(f.name)} = None", f"if {condition}:", *("    " + line for line in lines)]
            self.lines += lines

    def filling(self, step: Padded | Gap, at: str) -> str:
        """Source for how many bytes fill up a header, from `at` on."""
        f = step.field
        here = f"{at} - {self.start if f.mark is None else f'o_{f.mark.name}{self.tag}'}"
        here += "" if f.origin is None else f" + {f.origin.code(self)}"
        if isinstance(step, Padded):
            return f"-({here}) % {step.multiple}"
        size = f"{step.place.code(self)} - ({here})"
        return size if step.size is None else f"({size} if {step.size.code(self)} else 0)"

    def payload_end(self) -> str:
        """Source for where the payload ends: of a header whose trailer tells its size, so many bytes before the end."""
        if self.plan.tail is None:
            return super().payload_end()
        if not self.tag:  # else all bytes are there
            self.lines.append(f"if ctx.partial or ctx.missing: {self.away}")  # the end is not at hand
        self.read_from_end(self.end, self.pos)
        end, self.bounded = f"e{self.tag}", True
        self.lines.append(f"{end} = {self.end} - ({self.plan.tail.code(self)})")
        self.check(f"not {self.pos} <= {end} <= {self.end}")
        return end

    def trailer(self, end: str) -> None:
        """Read what stands after the payload; `outer` is where that ends."""
        self.outer = end
        if self.plan.trailer:
            self.outer = at = f"t{self.tag}"
            self.lines.append(f"{at} = {end}")
            for step in self.plan.trailer:
                self.after_payload(step, at)
                self.read.update(f.name for f in step.fields)
        if self.cls.exact:
            self.check(f"{self.outer} != {self.end}")

    def after_payload(self, step: Step, at: str) -> None:
        """Read a step after the payload."""
        if isinstance(step, When):
            condition, held = step.condition.code(self), self.lines
            self.lines = []
            self.after_payload(step.step, at)
            lines, self.lines = self.lines, held
            self.lines += [f"{self.v(step.field.name)} = None", f"if {condition}:", *("    " + line for line in lines)]
        elif isinstance(step, Fixed):
            self.check(f"{at} + {step.run.size} > {self.end}")
            self.unpack(step.run, at)
            self.lines.append(f"{at} += {step.run.size}")
        else:
            assert isinstance(step, Padded | Sized)  # see `validate`
            size = self.filling(step, at) if isinstance(step, Padded) else step.size.code(self)
            self.lines.append(f"w = {size}")
            self.check(f"{at} + w > {self.end}" if isinstance(step, Padded) else f"w < 0 or {at} + w > {self.end}")
            self.lines += [f"{self.v(step.field.name)} = data[{at}:{at} + w]", f"{at} += w"]
            self.constants([step.field])
