"""Text that shows itself in an interactive session."""

from __future__ import annotations


class Text(str):
    """A string whose repr is itself, so that a prompt or a notebook prints it as it is meant to be read."""

    def __repr__(self) -> str:
        return str(self)
