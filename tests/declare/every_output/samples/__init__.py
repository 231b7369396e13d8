"""The samples, all declared side by side where nobody else sees them: `declared` binds them for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from packetlab import bindings, link_type, secrets
from packetlab.declare.registry import AllBindings
from packetlab.protocols.linktypes import FIRST
from tests.declare.every_output.undeclared import undeclared as undeclared  # before any of them is declared

with bindings(), secrets({"row": bytes(16)}):
    from tests.declare.every_output.samples import bits, by_name, headers, places, transforms, values

    SAMPLES = sorted(
        [*headers.ROWS, *values.ROWS, *bits.ROWS, *transforms.ROWS, *places.ROWS, *by_name.ROWS],
        key=lambda sample: (
            not sample.mechanism[1:].isdigit(),
            int(sample.mechanism[1:]) if sample.mechanism[1:].isdigit() else 0,
        ),
    )
    _STATE = AllBindings()


@contextmanager
def declared() -> Iterator[None]:
    """Have the samples bound, and their key known, inside the `with`."""
    with bindings(), secrets({"row": bytes(16)}):
        _STATE.restore()
        before = FIRST.get(147)
        link_type(147, transforms.RowSerial)
        try:
            yield
        finally:
            del FIRST[147]
            if before is not None:
                link_type(147, before)
