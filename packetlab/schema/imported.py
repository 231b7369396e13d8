"""Headers that another language describes, yet to be declared; and Python source to keep of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from packetlab.declare.kinds import Kind
from packetlab.schema.load import Declarations, HeaderDescription, declare_up_to
from packetlab.schema.source import class_body

MOST = 512
"""Headers of one description."""


class ImportedHeaders(Declarations):
    """The headers of a description in another language, those that others need first. Nothing is declared before `declare` is called.

    ``str()`` is Python source for a module of its own, which makes the same classes.
    """

    place = 0  # of the one that was wanted

    @classmethod
    def of(cls, descriptions: list[dict[str, object]], wanted: str) -> ImportedHeaders:
        """Return headers by their descriptions; `wanted` is the name of the one that was."""
        made = cls(HeaderDescription(descriptions, place) for place in range(len(descriptions)))
        made.place = [one["name"] for one in descriptions].index(wanted)
        return made

    @property
    def name(self) -> str:
        """The class that was wanted: of a file, that of the file itself."""
        return str(self[self.place].name)

    def declare(self, kinds: Iterable[type[Kind]] = ()) -> list[type[Any]]:
        """Make the classes; return them, the one that was wanted first. DeclareError as for `HeaderDescription.declare`.

        What fields they have no type checker knows: `str` of this is a module that says it.
        """
        made = declare_up_to(MOST, [one.description for one in self], kinds)
        return [made[self.place], *made[: self.place], *made[self.place + 1 :]]

    def __str__(self) -> str:
        enums: dict[str, None] = {}
        bodies = [class_body(one.description, enums) for one in self]
        lines = ["from typing import Annotated, Self", "", " ".join(("from packetlab import", "*"))]
        bases = [base for base in ("IntEnum", "IntFlag") if any(f"({base})" in one.partition("\n")[0] for one in enums)]
        if any("expression(" in one for one in bodies):  # a number where a rule has to stand, which has no shorter spelling
            lines.append("from packetlab.declare.expressions import expression")
        lines[0:0] = [f"from enum import {', '.join(bases)}"] * bool(bases)
        return "\n\n\n".join(["\n".join(lines), *enums, *bodies]) + "\n"
