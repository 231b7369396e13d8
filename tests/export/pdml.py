"""What tshark says of frames when it has a dissector that packetlab wrote, and in which points packetlab says otherwise."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from packetlab import Capture, Frame, Header, Packet, Writer
from packetlab.codec.refinement.class_bodies import plain as plain_class
from packetlab.codec.refinement.views import viewed
from packetlab.declare.bits.kinds import BitList
from packetlab.declare.expressions import Checksum
from packetlab.declare.items import Items
from packetlab.declare.kinds import Address, PayloadMark
from packetlab.declare.values.identifiers import BCD, MOST_DIGITS, NoDigits
from packetlab.declare.values.names import Labels, Unnamed
from packetlab.declare.values.scaled import Scaled
from packetlab.export.wireshark.places import is_known
from packetlab.export.wireshark.rules import digits
from packetlab.export.wireshark.wireshark import wireshark
from tests.answers import tshark

OPTIONS = (
    "-o",
    "ip.defragment:FALSE",
    "-o",
    "tcp.desegment_tcp_streams:FALSE",
    "-o",
    "tcp.analyze_sequence_numbers:FALSE",
)


NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters of text that tshark writes all the same."""


class Tshark:
    """tshark with the Lua of some headers.

    Attributes: prefixes: header class -> the name its fields begin with.
    """

    def __init__(self, folder: Path, *headers: type[Header], lua: str | None = None) -> None:
        self.folder = folder
        self.script = folder / "declared.lua"
        self.script.write_text(lua if lua is not None else wireshark(*headers), encoding="ascii")

    def run(self, capture: Path, *options: str) -> str:
        """Return what tshark prints; anything it says of Lua, and every error, fails the test."""
        done = tshark("-n", "-X", f"lua_script:{self.script}", "-r", capture, *OPTIONS, *options, check=False)
        assert done.returncode == 0 and not done.stderr, done.stderr
        assert "Lua Error" not in done.stdout and "Dissector bug" not in done.stdout
        return done.stdout

    def dissected(self, capture: Path) -> list[list[ET.Element]]:
        """Return for each frame the layers, as elements of PDML."""
        written = NO_XML.sub("\ufffd", self.run(capture, "-T", "pdml"))
        said = ET.fromstring(written)  # noqa: S314  tshark wrote it
        return [packet.findall("proto") for packet in said.findall("packet")]

    def ask(self, frames: Sequence[Any], linktype: int = 1) -> list[list[ET.Element]]:
        """The same for bytes, frames or packets."""
        path = self.folder / "query.pcapng"
        with Writer(path) as writer:
            for number, frame in enumerate(frames):
                writer.write(frame if isinstance(frame, Frame) else Frame(bytes(frame), number * 1000, linktype))
        answers = self.dissected(path)
        assert len(answers) == len(frames)
        return answers


def prefix(header: type[Header]) -> str:
    """Return the name of a header in Wireshark."""
    own = header.__module__.startswith("packetlab.")
    return f"{header.__module__.rpartition('.')[2]}_{header.__name__}".lower() if own else header.__name__.lower()


def plain(header: Any) -> type[Header]:
    """Return the class whose fields a header has: of one that takes a field apart, that of its base."""
    return plain_class(header)  # type: ignore[return-value]


def differences(packet: Packet, layers: list[ET.Element]) -> list[str]:
    """Return in which points two readings of one frame differ: layers, fields, verdicts, faults, payload."""
    declared = [header for header in packet.layers if not is_known(header._declaration)]
    names = {prefix(plain(header)) for header in declared}
    protocols = [one.get("name", "") for one in layers]
    theirs = [one for one in layers if one.get("name") in names]
    expected = [prefix(plain(header)) for header in declared]
    if [one.get("name") for one in theirs] != expected:
        return [f"layers: {expected}, tshark {protocols}"]
    found: list[str] = []
    verdicts = packet.verdicts()
    for header, layer in zip(declared, theirs, strict=True):
        found += _fields(header, layer)
        found += _verdicts(packet, header, layer, verdicts)
    others = {type(header).__name__ for header in packet.layers} - {type(header).__name__ for header in declared}
    mine = {str(fault) for fault in packet.faults if declared and fault.layer not in others}
    said = {text for layer in theirs for text in experts(layer, (".fault", ".cut"))}
    if mine != said:
        found.append(f"faults: {sorted(mine)}, tshark {sorted(said)}")
    if declared and packet.layers[-1] is declared[-1]:
        data = [f.get("value") for one in layers for f in one.iter("field") if f.get("name") == "data.data"]
        if packet.payload and data and data != [packet.payload.hex()]:
            found.append(f"payload: {packet.payload.hex()}, tshark {data}")
        if packet.payload and not data and not _taken(protocols, expected[-1]):
            found.append(f"payload: {packet.payload.hex()}, tshark none in {protocols}")
    return found


def _taken(protocols: list[str], last: str) -> bool:
    """Whether Wireshark dissected what follows our last header."""
    return protocols[-1] not in (last, "_ws.expert", "")


def experts(layer: ET.Element, endings: tuple[str, ...]) -> list[str]:
    """Return the texts of expert infos of ours on a layer."""
    found = []
    for one in layer.iter("field"):
        if one.get("name") == "_ws.expert":
            kinds = [f.get("name", "") for f in one.findall("field")]
            if any(kind.endswith(endings) and not kind.startswith("_ws") for kind in kinds):
                found += [f.get("show", "") for f in one.findall("field") if f.get("name") == "_ws.expert.message"]
    return found


def _fields(header: Header, layer: ET.Element) -> list[str]:
    name = layer.get("name", "")
    found: list[str] = []
    if name not in (prefix(type(header)), prefix(plain(header))):
        return [f"{header!r}, tshark {name}"]
    for f in header._fields:
        if isinstance(f.kind, PayloadMark):
            continue
        raw = getattr(header, f.slot)
        theirs = [one for one in layer.findall("field") if one.get("name") == f"{name}.{f.name}"]
        where = f"{type(header).__name__}.{f.name}"
        no_digits = _no_digits(f.kind, raw)
        if no_digits is not None:
            in_bytes = [one.get("value") for one in layer.findall("field") if one.get("name") == f"{name}.{f.name}.raw"]
            if theirs or in_bytes != [no_digits.hex()]:
                found.append(f"{where}: {raw!r}, tshark has it {len(theirs)} times as a number, as bytes {in_bytes}")
        elif len(theirs) != (raw is not None):
            found.append(f"{where}: {raw!r}, tshark has it {len(theirs)} times")
        elif raw is not None and isinstance(f.kind, Items):
            items = [item for item in header._items_of(f) if isinstance(item, Header)]
            inner = [one for one in theirs[0] if one.get("name") and "." not in one.get("name", "") and "<" not in one.get("name", "")]
            if len(items) != len(inner):
                found.append(f"{where}: {len(items)} items, tshark {len(inner)}")
                continue
            for item, one in zip(items, inner, strict=True):
                found += _fields(item, one)
        elif raw is not None and isinstance(f.kind, Labels):
            text = raw.hex() if isinstance(raw, Unnamed) else f.kind.value(raw)
            if theirs[0].get("show") != text:
                found.append(f"{where}: {text}, tshark {theirs[0].attrib}")
        elif raw is not None and _value(f.kind, theirs[0]) != raw:
            found.append(f"{where}: {raw!r}, tshark {theirs[0].attrib}")
        elif raw is not None:
            found += _inside(header, f, theirs[0])
    return found


def _inside(header: Header, f: Any, one: ET.Element) -> list[str]:
    """What differs in what a class takes a field apart into; where no class does, nothing may be there."""
    view = header._declaration.view
    names = {prefix(plain(viewed(header)))} if view is not None and view[0] == f.name else set()
    parts = [part for part in one if part.get("name", "").count(".") == 0 and part.get("name")]
    if {part.get("name", "") for part in parts} != names or len(parts) != len(names):
        return [f"inside {type(header).__name__}.{f.name}: {names}, tshark {[part.attrib for part in parts]}"]
    return [said for part in parts for said in _fields(viewed(header), part)]  # type: ignore[arg-type]


def _no_digits(kind: Any, raw: Any) -> bytes | None:
    """Return packed digits that are no number, which tshark shows by another name; None for all other values."""
    if isinstance(raw, NoDigits):
        return raw.packed
    number = isinstance(kind, BCD) and kind.type is int and kind.digits <= MOST_DIGITS
    return raw if number and raw is not None and not isinstance(kind.value(raw), int) else None


def _value(kind: Any, one: ET.Element) -> Any:
    if isinstance(kind, BCD) and one.get("show") != str(kind.value(bytes.fromhex(one.get("value", "")))):
        return one.get("show")
    if kind.is_number and digits(kind) > 64:
        order = "little" if kind.wire == "number" and kind.little else "big"
        return int.from_bytes(bytes.fromhex(one.get("value", "")), order, signed=kind.low < 0)
    if kind.is_number:
        return int(one.get("show", ""), 0)
    if isinstance(kind, BitList):
        element: Any = kind.element
        shown = [part.get("show", "") for part in one.findall("field")]
        return tuple(element.raw(float(text), "") if isinstance(element, Scaled) else int(text) for text in shown)
    if isinstance(kind, Address) and kind.size == 12:
        parts = {part.get("name", "").rpartition(".")[2]: part.get("value", "") for part in one.findall("field")}
        if one.get("show") != kind.text(bytes.fromhex(one.get("value", ""))):
            return one.get("show")
        return bytes.fromhex(parts["net"] + parts["host"] + parts["socket"])
    return bytes.fromhex(one.get("value", ""))


def _verdicts(packet: Packet, header: Header, layer: ET.Element, verdicts: dict[str, Any]) -> list[str]:
    found = []
    name = type(header).__name__
    number = [type(h).__name__ for h in packet.layers].count(name)
    for f in header._fields:
        if isinstance(f.rule, Checksum) and getattr(header, f.slot) is not None and number == 1:
            theirs = [
                one.get("show")
                for one in layer.findall("field")
                if one.get("name") == f"{prefix(type(header))}.{f.name}.status"
            ]
            mine = verdicts[f"{name}.{f.name}"]
            if theirs != [str(int(mine))]:
                found.append(f"{name}.{f.name} is {mine.name}, tshark {theirs}")
            bad = any(f"{name}.{f.name}: bad checksum" == text for text in experts(layer, (".bad_checksum",)))
            if bad != (int(mine) == 0):
                found.append(f"{name}.{f.name} is {mine.name}, tshark marks it: {bad}")
    return found


def compare(tshark: Tshark, frames: Sequence[Any], linktype: int = 1) -> None:
    """Assert that packetlab and tshark read all frames alike."""
    answers = tshark.ask(frames, linktype)
    read = [frame.packet() for frame in Capture(tshark.folder / "query.pcapng")]
    wrong: Iterable[str] = [
        f"frame {number}: {bytes(packet).hex()}\n  {packet.layers}\n  " + "\n  ".join(said)
        for number, (packet, layers) in enumerate(zip(read, answers, strict=True), 1)
        if (said := differences(packet, layers))
    ]
    assert not wrong, f"{len(wrong)} of {len(read)} frames\n" + "\n".join(list(wrong)[:5])
