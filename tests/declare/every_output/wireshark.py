"""The Wireshark export: tshark reads the samples with one script for all that it can have, and says what headers say."""

from __future__ import annotations

import shutil
import tempfile
import xml.etree.ElementTree as ET
from functools import cache
from pathlib import Path
from typing import Any

from packetlab import BuildError, Frame, Header, IPv4, wireshark
from packetlab.codec.faults import InnerFault
from packetlab.declare.values.identifiers import PackedNumber
from packetlab.packet.offsets import field_offsets
from tests.declare.every_output.reading import own
from tests.declare.every_output.sample import Sample
from tests.declare.every_output.samples import SAMPLES
from tests.export.pdml import Tshark, experts, prefix

HERE = shutil.which("tshark") is not None


def wires_of(sample: Sample) -> list[bytes]:
    """Return what tshark is shown: the packets, each cut once, and the bad ones."""
    wires = sample.wires()
    bad = [wires[0][: sample.start] + bytes.fromhex(text) for text, _ in sample.bad]
    # Of a stream that goes on tshark wants the rest, which these tests do not have it ask for.
    return [*wires, *(wire[:-1] for wire in wires if not sample.header._declaration.stream), *bad]


@cache
def answers() -> dict[tuple[str, bytes], list[ET.Element]]:
    """Return the layers that tshark finds in every frame of every sample that a script can have."""
    fit = []
    for sample in SAMPLES:
        try:
            wireshark(sample.header)
        except BuildError:
            continue
        fit.append(sample)
    frames = [(sample, wire) for sample in fit for wire in wires_of(sample)]
    with tempfile.TemporaryDirectory() as folder:
        tshark = Tshark(Path(folder), *[sample.header for sample in fit])
        said = tshark.ask([Frame(wire, linktype=sample.linktype) for sample, wire in frames])
    return {(sample.name, wire): layers for (sample, wire), layers in zip(frames, said, strict=True)}


def script(sample: Sample) -> str:
    """Compare with tshark; where it says no fault of what is inside a value, the answer is that it has the bytes."""
    wireshark(sample.header)  # refuses
    if not HERE:
        return ""
    inside = bool(sample.header._declaration.transformed)
    for number, wire in enumerate(wires_of(sample)):
        read = sample.read(wire)
        layers = answers()[sample.name, wire]
        if number < len(sample.values):
            fields(sample, wire, layers)
        if sample.header in read and IPv4 not in read:  # of segments tshark takes what is missing to come in others
            mine = {str(fault): fault for fault in read.faults if fault.layer.startswith("Row")}
            named = [layer for layer in layers if layer.get("name", "").startswith("row")]
            theirs = {text for layer in named for text in experts(layer, (".fault", ".cut"))}
            assert theirs <= set(mine), f"{wire.hex()}: {theirs}, not {mine}"
            unsaid = [fault for text, fault in mine.items() if text not in theirs]
            carried = [f.name for f in sample.header._fields if f.kind.transforms]
            assert all(isinstance(fault, InnerFault) or fault.field in carried for fault in unsaid), (
                f"{wire.hex()}: not {unsaid}"
            )
            inside |= bool(unsaid)
    return BYTES if inside else ""


BYTES = "bytes"


def fields(sample: Sample, wire: bytes, layers: list[ET.Element]) -> None:
    """Hold the fields that tshark shows against those of the header: numbers by number, all others by their bytes."""
    read = sample.read(wire)
    header = read[sample.header]
    (layer,) = [one for one in layers if one.get("name") == prefix(sample.header)]
    there = {span.field.name: span for span in field_offsets(read).spans if read.layers[span.layer] is header}
    for f in own(sample):
        value = getattr(header, f.name)
        shown = [one for one in layer.iter("field") if one.get("name") == f"{prefix(sample.header)}.{f.name}"]
        assert len(shown) == (value is not None), (f.name, [one.attrib for one in shown])
        if value is None:
            continue
        if f.kind.has_headers and not f.kind.transforms:
            items(value if isinstance(value, tuple) else (value,), shown[0])
        elif f.kind.is_number and (f.kind.as_raw is None or isinstance(f.kind, PackedNumber)) and f.kind.fixed_bits <= 64:
            assert int(shown[0].get("show", ""), 0) == int(value), f.name
        elif f.name in there and there[f.name].whole:
            first, stop = there[f.name].byte_range
            there_too = shown[0].get("value", "")  # without what ends it
            assert wire[first:stop].hex().startswith(there_too) and (there_too or not value), (f.name, shown[0].attrib)
            assert not f.kind.counted_from or shown[0].get("show") == value, (f.name, shown[0].attrib)


def items(headers: tuple[Any, ...], shown: ET.Element) -> None:
    for header in headers:
        if isinstance(header, Header):
            for f in (*header._fields, *header._declaration.inside):
                if f.kind.wire == "number" and f.kind.as_raw is None and (value := getattr(header, f.name)) is not None:
                    texts = [
                        one.get("show") for one in shown.iter("field") if one.get("name", "").endswith(f".{f.name}")
                    ]
                    assert str(int(value)) in texts, (f.name, texts)


WIRESHARK = {"Wireshark": script}
