"""Makes ``st.from_type(IPv4)`` work: declared headers are registered with Hypothesis, those still to come too.

This is the entry point that Hypothesis calls when it is imported, so nothing heavy is imported here.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from packetlab.codec.objects import classes
from packetlab.declare import registry
from packetlab.declare.declaration import Declaration
from packetlab.hooks import hook


def installed() -> bool:
    """Say whether Hypothesis is there, without importing it."""
    try:
        return find_spec("hypothesis") is not None
    except (ImportError, ValueError):  # what a blocked import gives
        return False


def needed(who: str) -> None:
    """Raise ImportError with what to install where Hypothesis is missing."""
    if not installed():
        raise ImportError(f"{who} needs Hypothesis: pip install 'packetlab[strategies]'")


def register() -> None:
    """Register every header class, now and as they are declared."""
    if _enter not in registry.listeners:
        registry.listeners.append(_enter)
        for header in registry.declared():
            _enter(header)


def _enter(header: Declaration) -> None:
    from hypothesis import strategies as st

    def strategy(cls: object) -> Any:
        return hook("headers")(cls)

    st.register_type_strategy(classes[header], strategy)
