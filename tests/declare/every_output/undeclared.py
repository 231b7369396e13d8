"""Bindings as they are without the samples; to be imported before these."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from packetlab import bindings
from packetlab.declare.registry import AllBindings

with bindings():
    _CLEAN = AllBindings()


@contextmanager
def undeclared() -> Iterator[None]:
    """Have none of the samples bound inside the `with`."""
    with bindings():
        _CLEAN.restore()
        yield
