"""What a medium drives (see `medium`): a protocol, and the ports that it speaks through."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol


class Pollable(Protocol):
    """What a medium waits for on behalf of a driver: a `Port`, or something as simple."""

    @property
    def name(self) -> str:
        """For messages."""

    @property
    def mask(self) -> int:
        """What the descriptor is waited for (select.POLLIN, select.POLLOUT)."""

    def fileno(self) -> int:
        """The descriptor; -1 where there is none."""

    def take(self) -> list[bytes]:
        """Return the frames that have come, without waiting."""


class Driver(Protocol):
    """What a medium drives."""

    due: int | None  # when `poll` is wanted, by the medium's clock
    served: bool  # whether it lives while the program computes, too

    @property
    def ports(self) -> Sequence[Pollable]:
        """Where frames come from."""

    def take(self, port: Any, data: bytes, now: int) -> None:
        """Take in a frame."""

    def poll(self, now: int) -> None:
        """Do what is due, send what is to be sent, and say in `due` when to come back."""

    def failed(self, port: Any, error: OSError) -> None:
        """A port is gone."""
