"""The keys that a program knows by their names (see `secrets`), in processes that work for it: in memory alone."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial
from typing import TypeVar

from packetlab.capture.fleet.pool import Pool
from packetlab.declare.transforms.transform import KnownKeys, known_here, known_keys
from packetlab.errors import BuildError

T = TypeVar("T")
J = TypeVar("J")

# By their names: who imports them registers what is called at exit, and a program that ends refuses that.
_LOCAL = {("concurrent.futures.process", "ProcessPoolExecutor"), ("concurrent.futures.thread", "ThreadPoolExecutor")}


def keyed(work: Callable[[J], T], executor: Executor | Pool, declarations: Callable[[], str]) -> Callable[[J], T]:
    """Return work that is done with the keys known here.

    Workers of this machine get them through their pipes. Others might pass them on by a network, or keep jobs in files: they are to
    know the keys already that declarations name.
    """
    keys = known_keys()
    if not keys:
        return work
    if isinstance(executor, Pool) or any((cls.__module__, cls.__name__) in _LOCAL for cls in type(executor).__mro__):
        return partial(_with_keys, work, keys)
    said = declarations()
    names = [name for name in keys if f'"{name}"' in said]
    return partial(_with_names, work, names) if names else work


def _with_keys(work: Callable[[J], T], keys: KnownKeys, job: J) -> T:
    with known_here(keys):
        return work(job)


def _with_names(work: Callable[[J], T], names: list[str], job: J) -> T:
    known = known_keys()
    for name in names:
        if name not in known:
            hint = "keys go along to processes of this machine alone; of others, each says pl.secrets(...) itself when it begins"
            raise BuildError("scan: executor", f"workers that know a key named {name!r}", "one that knows none of that name", hint)
    return work(job)
