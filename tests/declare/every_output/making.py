"""Outputs that make something else of a declaration: files, source, pictures, classes of other tools, scans."""

from __future__ import annotations

import json
from typing import Annotated, Any, Self

import numpy as np

import packetlab as pl
from packetlab import declare_from, diagram
from packetlab.bulk.columns import column
from packetlab.bulk.queries import array_names
from packetlab.bulk.scan_rows import row_scan
from packetlab.declare.checksums.bitwise import is_sum
from packetlab.declare.expressions import Checksum
from packetlab.export import dpkt_class, scapy_class
from packetlab.schema.dump import described
from packetlab.schema.source import class_body
from tests.declare.every_output.reading import Reading, frames, held, own
from tests.declare.every_output.sample import Sample
from tests.declare.every_output.undeclared import undeclared

OBJECTS = "objects"


def rewriting(sample: Sample) -> None:
    """What is rewritten is read without a fault, and differs in addresses and checksums alone."""
    for options in ({"fixcsum": True}, {"anonymise": 5, "fixcsum": True}):
        rewritten = frames(sample).rewrite(**options)
        found = [frame.data for frame in rewritten][len(sample.told) :]
        sums = [f"{sample.header.__name__}.{f.name}," for f in sample.header._fields if is_sum(f)]
        assert not [what for what in rewritten.left if what.startswith(tuple(sums))], rewritten.left
        assert options.keys() != {"fixcsum"} or found == sample.wires()
        for wire, other in zip(sample.wires(), found, strict=True):
            read = sample.read(other)
            assert not read.faults and not any(verdict.name == "BAD" for verdict in read.verdicts().values())
            for f in own(sample):
                if (
                    not f.kind.is_address
                    and not f.kind.has_headers
                    and f.kind.element is None
                    and not isinstance(f.rule, Checksum)
                ):
                    assert getattr(read[sample.header], f.name) == getattr(held(sample, wire), f.name), f.name


def again(sample: Sample, header: Any, wires: list[bytes], told: list[bytes]) -> list[str]:
    """Return what a class of that name says of bytes."""
    said = []
    for wire in wires:
        for data in (wire, wire[:-1]):
            packet = pl.dissect(data, header if sample.first is sample.header else sample.first, context=_told(told))
            said.append(f"{packet!r} {packet.faults}")
    return said


def _told(wires: list[bytes]) -> pl.Context | None:
    if not wires:
        return None
    context = pl.Context()
    for wire in wires:
        pl.dissect(wire, context=context)
    return context


def files(sample: Sample) -> None:
    """A declaration that was written as data and read again describes itself alike and reads alike."""
    told, told_wires = [type(one) for one in sample.told], sample.told_wires()
    data = json.loads(json.dumps(described([*told, sample.header])))
    wires = sample.wires()
    before = again(sample, sample.header, wires, told_wires)
    with undeclared():
        made = {one.__name__: one for one in declare_from(data)}
        assert described([made[type(one).__name__] for one in sample.told] + [made[sample.header.__name__]]) == data
        assert again(sample, made[sample.header.__name__], wires, told_wires) == before


def source(sample: Sample) -> None:
    """Source that is printed and run again is the same class."""
    told, told_wires = [type(one) for one in sample.told], sample.told_wires()
    data = described([*told, sample.header])
    wires = sample.wires()
    before = again(sample, sample.header, wires, told_wires)
    shared: dict[str, None] = {}
    bodies = [class_body(one, shared) for one in data]
    names: dict[str, Any] = {name: getattr(pl, name) for name in dir(pl)} | {
        "Self": Self,
        "Annotated": Annotated,
        "__name__": "pasted",
    }
    names |= {name: __import__(module, fromlist=[name]).__dict__[name] for module, name in IMPORTS}
    with undeclared():
        exec("\n\n".join([*shared, *bodies]), names)
        assert again(sample, names[sample.header.__name__], wires, told_wires) == before
        assert described([*[names[one.__name__] for one in told], names[sample.header.__name__]]) == data


IMPORTS = [
    ("datetime", "datetime"),
    ("datetime", "timedelta"),
    ("fractions", "Fraction"),
    ("enum", "IntEnum"),
    ("enum", "StrEnum"),
    ("typing", "Any"),
]


def pictures(sample: Sample) -> None:
    text, table = str(diagram(sample.header)), diagram(sample.header).markdown()
    assert text.strip()
    for f in sample.header._fields:
        assert f.name in table, f.name


def scapy(sample: Sample) -> None:
    foreign(sample, scapy_class(sample.header), "scapy")


def dpkt(sample: Sample) -> None:
    foreign(sample, dpkt_class(sample.header), "dpkt")


def foreign(sample: Sample, made: Any, output: str) -> None:
    for wire in sample.wires():
        read = sample.read(wire)
        assert bytes(getattr(read, f"to_{output}")()) == wire
        if sample.alone:
            there = made(wire[sample.start :])
            assert bytes(there) == wire[sample.start :]
            for f in own(sample):
                value = getattr(read[sample.header], f.name)
                if f.kind.wire == "number" and f.kind.as_raw is None and value is not None:
                    name = f.name if hasattr(there, f.name) else f"{f.name}_"
                    assert int(getattr(there, name)) == int(value), f.name
                if f.kind.has_headers and not f.kind.transforms and value is not None:
                    ours = value if isinstance(value, tuple) else [value]
                    theirs = getattr(there, f.name)
                    for mine, one in zip(ours, theirs, strict=True):
                        assert type(one).__name__ == type(mine).__name__
                        numbers = [
                            g for g in mine._fields if g.kind.wire == "number" and getattr(mine, g.slot) is not None
                        ]
                        assert [getattr(mine, g.slot) for g in numbers] == [
                            getattr(one, f"{g.name}_" if g.name == "name" and output == "scapy" else g.name)
                            for g in numbers
                        ], f.name
    for header in sample.values:
        fields = [sample.header._by_name[name] for name in header.given]
        if sample.alone and all(f.kind.wire in ("number", "bytes") and f.kind.as_raw is None for f in fields):
            there = made(**{f.name: getattr(header, f.slot) for f in fields})
            assert bytes(there) == bytes(header)


def scans(sample: Sample) -> str:
    """A scan and the objects say the same; the answer is whether the scan did it itself, or left all packets to objects."""
    columns = [column(f) for f in own(sample)]
    wires = [*sample.told_wires(), *sample.wires()]
    numbers = [one for one in columns if one.form == "number"]
    data = np.frombuffer(b"".join(wires) + bytes(8), np.uint8)
    sizes = np.array([len(wire) for wire in wires])
    starts = np.cumsum(sizes) - sizes
    arrays = {name: np.zeros(len(wires), bool if name[0] == "k" else np.int64) for name in array_names(numbers)}
    unfit, missing = np.zeros(len(wires), bool), np.zeros(len(wires), bool)
    row_scan(sample.first._declaration, numbers)(data, starts, sizes, missing, unfit, *arrays.values())
    for number, one in enumerate(numbers):
        for row, wire in enumerate(wires):
            if not unfit[row]:
                assert (int(arrays[f"a_{number}"][row]) - int(one.value(sample.read(wire)) or 0)) % (1 << 64) == 0, (
                    one.name
                )
    table = frames(sample).table(*columns, engine="rows").read()
    for one in columns:
        wanted = [one.value(sample.read(wire)) for wire in sample.wires()]
        found = table.masked(one.name).tolist()[len(sample.told) :]
        assert [value is None for value in found] == [value is None for value in wanted], one.name
    return OBJECTS if unfit.any() or not numbers else ""


MAKING: dict[str, Reading] = {
    "rewrite": rewriting,
    "data and back": files,
    "source and back": source,
    "diagram": pictures,
    "scapy": scapy,
    "dpkt": dpkt,
    "scan": scans,
}
