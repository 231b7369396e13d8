"""What of scapy is imported, and which of its bindings count while one of our calls reads with its classes.

scapy binds layers when a module is imported, anywhere in the process. An answer of ours must not depend on what was
imported or read before, so the bindings that count are chosen anew for each call.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from functools import cache
from importlib import import_module
from io import StringIO
from threading import RLock
from types import ModuleType
from typing import Any

from packetlab.export.bridges.counterparts import DECLARED
from packetlab.packet.foreign import Foreign

_brought: set[str] = set()  # modules that came with a decoder of ours, which nobody else imported
_guessing = RLock()


@cache
def load() -> None:
    """Import all of scapy's ordinary layers, with their bindings. What scapy's import warns of is not ours to fix."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for module in ("scapy.layers.all", "scapy.layers.http", "scapy.contrib.mpls"):
            import_module(module)


def bring(module: str) -> ModuleType:
    """Import a module of scapy's for a decoder of ours; its bindings count for that decoder alone."""
    load()
    before = set(sys.modules)
    try:
        with quiet():
            return import_module(module)
    finally:
        _brought.update(set(sys.modules) - before)


@cache
def _ordinary() -> frozenset[str]:
    from scapy.config import conf

    return frozenset(name.partition(".")[0] for name in (*conf.load_layers, "http"))


def always(module: str) -> bool:
    """Whether a module is there whenever scapy decodes: its ordinary layers, and whatever is not scapy's."""
    if not module.startswith(("scapy.layers.", "scapy.contrib.")):
        return True
    return module == "scapy.contrib.mpls" or (module.split(".")[1] == "layers" and module.split(".")[2] in _ordinary())


def was_imported(module: str) -> bool:
    """Whether somebody other than a decoder of ours has imported a module."""
    return module not in _brought


@contextmanager
def quiet() -> Iterator[None]:
    """Keep what scapy prints, logs and warns of, while it reads or imports a module, off the terminal."""
    from scapy.error import log_loading, log_runtime

    loggers = log_loading, log_runtime
    before = [one.disabled for one in loggers]
    for one in loggers:
        one.disabled = True
    try:
        with warnings.catch_warnings(), redirect_stdout(StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for one, disabled in zip(loggers, before, strict=True):
            one.disabled = disabled


def bound_above(below: Foreign, payload: bytes, counts: Callable[[str], bool] = lambda module: True) -> Any:
    """Return the class that scapy's own bindings have for what follows (as `Packet.guess_payload_class`), no declared one.

    `counts`: whether the bindings of a module do.
    """
    for kind in below.aliastypes:
        for fields, upper in kind.payload_guess:
            if hasattr(upper, DECLARED) or not counts(upper.__module__):
                continue
            try:
                if all(value == below.getfieldval(name) for name, value in fields.items()):
                    return upper
            except AttributeError:
                pass
    return below.default_payload_class(payload)


@contextmanager
def guessing(counts: Callable[[str], bool], silent: bool = True) -> Iterator[None]:
    """Let scapy guess what follows by the bindings alone whose module counts, and never a declared header.

    Declared headers are put where the packet at hand has them. Inner decoders that fail raise, or are `silent` about it.
    One thread at a time: the guess is scapy's, for the whole process.
    """
    from scapy.config import conf
    from scapy.packet import Packet as ScapyPacket

    def guess(self: Foreign, payload: bytes) -> Any:
        return bound_above(self, payload, counts)

    with _guessing:
        before = conf.debug_dissector, ScapyPacket.guess_payload_class
        conf.debug_dissector, ScapyPacket.guess_payload_class = not silent, guess
        try:
            yield
        finally:
            conf.debug_dissector, ScapyPacket.guess_payload_class = before
