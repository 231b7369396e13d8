"""What the commands share: exit statuses, and the kinds of arguments."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import Any, NoReturn, Protocol

from packetlab.escaping import printable

OK, DIFFERENT, WRONG = 0, 1, 2


class Command(Protocol):
    """Declares a command: its name, what it runs, its help; returns the parser that its options are added to."""

    def __call__(
        self, name: str, function: Callable[[argparse.Namespace], int], help: str
    ) -> argparse.ArgumentParser: ...


class Parser(argparse.ArgumentParser):
    """A parser whose complaints repeat nothing that a terminal would act on."""

    def error(self, message: str) -> NoReturn:
        super().error(printable(message))


def complain(text: object) -> None:
    """Print a line for people, which goes to standard error; whatever file name is in it, it stays one of text."""
    sys.stdout.flush()
    print(printable(text, "\n"), file=sys.stderr)


def missed(command: str, file: str, what: str) -> int:
    """Say that a file has nothing of what was requested; return the exit status of that."""
    complain(f"packetlab {command}: {file}: {what}")
    return DIFFERENT


def count(text: str) -> int:
    """Return a number from 1 on."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected a number from 1 on, got {text}")
    return number


def above_zero(text: str) -> float:
    """Return a number above 0."""
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a number above 0, got {text}")
    return number


def matcher(text: str | None) -> Any:
    """Return the test that a filter in words describes, None for none."""
    if text is None:
        return None
    from packetlab.pattern.filter import compile_filter
    from packetlab.protocols import linktypes as _all_headers  # noqa: F401  a filter may name any of them

    return compile_filter(text)


def pcap_filter(words: list[str]) -> str | None:
    """Return the filter for libpcap that the words at the end of a command make, None for none."""
    return " ".join(words) or None
