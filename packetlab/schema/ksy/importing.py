"""`import_ksy`: a Kaitai Struct description as header classes, and as Python source to keep."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from packetlab.declare import registry
from packetlab.errors import DeclareError
from packetlab.schema.imported import MOST, ImportedHeaders
from packetlab.schema.ksy.classes import KsyHeader, headers_of
from packetlab.schema.ksy.fields import Row
from packetlab.schema.ksy.model import Loaded
from packetlab.schema.ksy.plans import Plans
from packetlab.schema.load import declare_up_to


def import_ksy(path: str | Path, folders: Iterable[str | Path] = ()) -> ImportedHeaders:
    """Read a Kaitai Struct description (.ksy) and what it imports; return its headers, yet to be declared.

    An import that begins with / is looked for in `folders`, then in the folders above the file. Needs PyYAML (the extra
    `ksy`). DeclareError, with file and line, for what cannot be said as a header, and for an import that is not there;
    OSError where the file cannot be read, TypeError for what is no path.
    """
    if not isinstance(path, (str, Path)):
        raise TypeError(f"import_ksy takes the path of a .ksy file, not {path!r:.60}")
    loaded = Loaded(Path(path), [Path(folder) for folder in folders])
    plans = Plans(loaded)
    if any(plans.placed.values()):
        try:
            return _imported(plans, path)
        except DeclareError:  # what lies at a place is left out then, as what is read elsewhere in a file
            plans = Plans(loaded, places=False)
    return _imported(plans, path)


def _imported(plans: Plans, path: str | Path) -> ImportedHeaders:
    headers = headers_of(plans)
    while True:
        found, owners = _descriptions(headers, plans)
        try:
            with registry.bindings():
                declare_up_to(MOST, found)
            break
        except DeclareError as error:
            if not _mended(error, owners):
                raise _located(error, owners, path) from None
    return ImportedHeaders.of(found, plans.first.name)


def _descriptions(headers: list[KsyHeader], plans: Plans) -> tuple[list[Row], dict[str, KsyHeader]]:
    """Return what is declared, in order, that of the file itself last; and of which header each is."""
    found: list[Row] = []
    owners: dict[str, KsyHeader] = {}
    for header in headers:
        found.append(header.description())
        owners[header.plan.name] = header
    for header in headers:
        found += header.choices
        owners.update({choice["name"]: header for choice in header.choices})
    return found, owners


def _mended(error: DeclareError, owners: dict[str, KsyHeader]) -> bool:
    """Leave out what the file does not need to say, if that is what is wrong: a length that follows, what is valid."""
    called, _, name = str(error.where).partition(",")[0].partition(".")
    header = owners.get(called)
    if header is None:
        return False
    for row in header.rows:
        if row["name"] == name and name in header.follow:
            header.follow.discard(name)
            del row["rule"]
            return True
        if row["name"] == name and row.pop("must", None) is not None:
            header.unchecked(name, error, header.lines[name])
            return True
    return False


def _located(error: DeclareError, owners: dict[str, KsyHeader], path: str | Path) -> DeclareError:
    """Return an error with the line of the file that it is about."""
    called, _, name = str(error.where).partition(",")[0].partition(".")
    header = owners.get(called)
    if header is None:
        return DeclareError(f"{path}: {error.where}", error.expected, error.got, error.hint)
    where = header.lines.get(name, header.plan.type.said.at())
    return DeclareError(f"{where}: {error.where}", error.expected, error.got, error.hint)
