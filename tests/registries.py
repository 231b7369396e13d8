"""Test modules declare headers without meeting each other: what one has bound is bound while it is read and while its tests run.

When a module has been collected, the bindings are put back as they were, but for what modules shared by tests (and those
of packetlab) declared meanwhile: these are read once, and stand for all. Any order of tests will do.
"""

from __future__ import annotations

from collections.abc import Generator

import pytest

from packetlab.declare.declaration import Declaration
from packetlab.declare.registry import AllBindings
from packetlab.hooks import hook

OWN = pytest.StashKey[AllBindings]()
SHARED = pytest.StashKey[AllBindings]()


def pytest_configure(config: pytest.Config) -> None:
    hook("declare_all")()
    config.stash[SHARED] = AllBindings()


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    if isinstance(collector, pytest.Module):
        own = collector.stash[OWN] = AllBindings()
        shared = with_shared(collector.config.stash[SHARED], own, collector.path.stem)
        shared.restore()
    return report


@pytest.fixture(scope="module", autouse=True)
def own_bindings(request: pytest.FixtureRequest) -> Generator[None]:
    """What the module declares is bound while its tests run, and what others declare is not."""
    if OWN in request.node.stash:
        request.node.stash[OWN].restore()
    yield
    request.config.stash[SHARED].restore()


def with_shared(before: AllBindings, now: AllBindings, module: str) -> AllBindings:
    """Return the bindings as they were before a test module was read, and those of modules that it read for all."""

    def of_all(header: Declaration) -> bool:
        return (
            now.declared.get(header.key) is header and header.module.rpartition(".")[2] != module and header not in old
        )

    old = {*before.declared.values()}
    for name, (headers, numbers) in now.spaces.items():
        kept = before.spaces.setdefault(name, ({}, {}))
        kept[0].update({number: header for number, header in headers.items() if of_all(header)})
        kept[1].update({header: number for header, number in numbers.items() if header is not None and of_all(header)})
    for lower, entries in now.conditions.items():
        before.conditions.setdefault(lower, []).extend(entry for entry in entries if of_all(entry[2]))
    more = {key: header for key, header in now.declared.items() if of_all(header)}
    before.declared.update(more)
    known = {*before.declared.values()}
    before.answered = [
        (one, tuple(by for by in answered if by in known)) for one, answered in now.answered if one in known
    ]
    before.classes.update({one: cls for one, cls in now.classes.items() if one in more.values()})
    for (_, kept), (_, there) in zip(before.scoped, now.scoped, strict=True):
        kept.update({number: first for number, first in there.items() if number not in kept and of_all(first._declaration)})
    before.refined += [header for header in now.refined if of_all(header)]
    before.numbered.update({f: rule for f, rule in now.numbered.items() if before.spaces.get(rule.space, ({}, {}))[0]})
    return before
