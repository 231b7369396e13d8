"""What others say of the same bytes: tshark on captures and on what we build; and what holds for every sound packet."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

from packetlab import Capture, Context, Frame, Header, Packet, Spelled, Writer, dissect
from packetlab.declare.expressions import Checksum, Next
from packetlab.declare.kinds import PayloadMark
from packetlab.declare.registry import space
from packetlab.declare.remembering.recalled import Recalled
from tests.conftest import ROOT, amount

FAMILIES = ROOT / "captures" / "families"
AS_IT_STANDS = (
    *("-o", "tcp.desegment_tcp_streams:FALSE", "-o", "ip.defragment:FALSE", "-o", "ipv6.defragment:FALSE"),
    *("-o", "tcp.check_checksum:FALSE"),
)
"""Options of tshark with which it looks at each frame alone, as packetlab does."""

Ask: TypeAlias = Callable[..., list[list[str]]]
"""The fixture `tshark` of tests/conftest.py."""
Readings: TypeAlias = Mapping[str, Callable[[Packet], object]]
"""A field of tshark's -> what it is of a packet: a value, a list of them, or None where there is none."""


def family(name: str) -> Path:
    """Return a capture, by its family and file name: "dhcp/dhcp.pcap"."""
    return FAMILIES / name


def alike(
    tshark: Ask,
    source: Path | Sequence[Packet | bytes],
    readings: Readings,
    *options: str,
    linktype: int = 1,
    given_up: Collection[int] = (),
    context: Context | None = None,
    in_capture: bool = False,
) -> list[Packet]:
    """Assert that tshark has, in every frame, just the values that packetlab reads there; return the packets.

    source: a capture, or packets, which are written to one. A value is compared by its own type: numbers as numbers (tshark
    writes them in many ways), bytes as hex, all else as text. given_up: numbers of frames that tshark does not read to the end.
    context: what was agreed on before. in_capture: each is read as a frame of the capture, which knows what stands before it.
    """
    if isinstance(source, Path):
        return _alike(tshark, source, readings, options, given_up, context, in_capture)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "made.pcap"
        with Writer(path) as writer:
            for number, one in enumerate(source):
                writer.write(Frame(bytes(one), number * 1000, linktype))
        return _alike(tshark, path, readings, options, given_up, context, in_capture)


def _alike(
    tshark: Ask,
    path: Path,
    readings: Readings,
    options: Sequence[str],
    given_up: Collection[int],
    context: Context | None,
    in_capture: bool,
) -> list[Packet]:
    rows = tshark(path, *readings, "frame.number", options=("-E", "aggregator=\x1f", *AS_IT_STANDS, *options))
    packets, wrong, seen = [], [], set()
    with context or Context():
        for frame, row in zip(Capture(path), rows, strict=True):
            packets.append(packet := frame.packet() if in_capture else dissect(frame))
            for (name, read), said in zip(readings.items(), row[:-1], strict=True) if frame.number not in given_up else ():
                theirs = said.split("\x1f") if said else []
                ours = _as_list(read(packet))
                seen |= {name} if ours or theirs else set()
                if len(ours) != len(theirs) or not all(map(_same, ours, theirs)):
                    wrong.append(f"frame {frame.number}, {name}: {ours}, tshark {theirs}\n    {packet.summary()}")
    assert not wrong, f"{len(wrong)} values differ\n" + "\n".join(wrong[:8])
    assert seen, f"none of {list(readings)} is in any frame of {path.name}"
    return packets


def _as_list(found: object) -> list[Any]:
    if found is None:
        return []
    return list(found) if isinstance(found, list | tuple) else [found]


def _same(ours: object, theirs: str) -> bool:
    theirs = "" if theirs == "<MISSING>" else theirs
    try:
        if isinstance(ours, int):
            return int({"True": "1", "False": "0"}.get(theirs, theirs), 0) == ours
        if isinstance(ours, float):
            return abs(float(theirs) - ours) <= abs(ours) * 1e-6
    except ValueError:
        return False
    if isinstance(ours, bytes):
        return theirs.replace(":", "") == ours.hex()
    return str(ours) == theirs


def every(packets: Iterable[Packet], wanted: type[Header]) -> list[Packet]:
    """Return the packets with a header of that class; there is one at least."""
    found = [packet for packet in packets if wanted in packet]
    assert found, f"no {wanted.__name__} in any packet"
    return found


def sound(packets: Iterable[Packet], wanted: type[Header], *, anew: bool = True) -> None:
    """Assert of packets with such a header that nothing in it is wrong, and that the same values make the same bytes.

    Built anew is each header of the module of that class from the values that follow from no rule: lengths, counts, sums and
    the numbers of what follows come out as others have sent them.
    """
    packets = list(packets)
    every(packets, wanted)
    with Context():
        for packet in packets:
            dissect(bytes(packet), type(packet.layers[0]))  # what it tells those after it
            if wanted in packet:
                _sound(packet, wanted, anew)


def _sound(packet: Packet, wanted: type[Header], anew: bool) -> None:
    place = next(i for i, one in enumerate(packet.layers) if isinstance(one, wanted))
    low, ours = packet.layers[:place], packet.layers[place:]
    names = {type(one).__name__ for one in ours}
    assert not [fault for fault in packet.faults if fault.layer.partition(".")[0] in names], packet.faults
    if anew:
        made = [
            built(one, above) if type(one).__module__ == wanted.__module__ else one
            for one, above in zip(ours, [*ours[1:], None], strict=True)
        ]
        expected, got = (bytes(stacked([*low, *some], packet.payload)) for some in (ours, made))
        assert got == expected, f"built from values:\n{got.hex()}\n{made}\nsent:\n{expected.hex()}\n{ours}"


def stacked(headers: Sequence[Header], payload: bytes = b"") -> Packet:
    """Return headers as one packet."""
    packet: Any = headers[0]
    for one in [*headers[1:], payload]:
        packet = packet / one
    return packet  # type: ignore[no-any-return]


def built(header: Header, above: Header | None = None) -> Header:
    """Return a header made from the values of another that follow from no rule, nor from the header above."""
    declaration, fields = header._declaration, list(header._declaration.fields)
    if declaration.view is not None:
        name, inner = declaration.view
        fields = [f for f in fields if f.name != name] + list(inner.fields)
    given = {}
    for f in fields:
        follows = f.rule is not None
        if isinstance(f.rule, Next):  # a header may stand above several numbers
            follows = above is not None and space(f.rule.space).numbers.get(above._declaration) == getattr(header, f.name)
        follows |= f.computed is not None and any(isinstance(leaf, Recalled) for leaf in f.computed.leaves())
        value = None if f.fixed or isinstance(f.kind, PayloadMark) or f.pad else getattr(header, f.name)
        chosen = isinstance(value, Spelled) or (isinstance(f.rule, Checksum) and value == f.rule.none)
        if follows and not chosen:  # a longer spelling, or no checksum, is the sender's choice
            value = None
        if isinstance(value, Header):
            value = built(value)
        elif isinstance(value, tuple):
            value = tuple(built(one) if isinstance(one, Header) else one for one in value)
        if value is not None:
            given[f.name] = value
    return type(header)(**given)


def packets_of(name: str) -> list[Packet]:
    """Return what is in a capture of a family."""
    return [frame.packet() for frame in Capture(family(name))]


def cut(packets: Iterable[Packet], wanted: type[Header], step: int = 1) -> set[str]:
    """Assert that packets cut anywhere are read without an exception, and the same bytes again; return where faults were.

    Cut are the frames (in quick tests at two fifths of the places), and what begins with the header that is wanted. Returned are headers and fields of the latter:
    {"DHCP", "DHCP.options"}; in a frame the first fault may be that of IP, which says how long it is.
    """
    tried = dict[tuple[type[Header], bytes], set[str]]()  # packets begin alike

    def once(data: bytes, first: type[Header]) -> set[str]:
        if (first, data) not in tried:
            tried[first, data] = _same_again(data, first)
        return tried[first, data]

    found, chance = set(), random.Random(step)
    for packet in every(packets, wanted):
        data, inner = bytes(packet), _from(packet, wanted)
        sizes = range(0, len(data), step)
        for size in chance.sample(sizes, amount(len(sizes), len(sizes))):
            once(data[:size], type(packet.layers[0]))
        for size in range(0, len(inner), step):
            found |= once(inner[:size], wanted)
    return found


def spoilt(packets: Iterable[Packet], wanted: type[Header], times: int = 20) -> set[str]:
    """The same for packets in which some bytes, behind where the header begins, are others."""
    found = set()
    for number, packet in enumerate(every(packets, wanted)):
        chance = random.Random(number)
        data = _from(packet, wanted)
        for _ in range(amount(times, times)):
            other = bytearray(data)
            for _ in range(chance.randrange(1, 4)):
                other[chance.randrange(len(data))] = chance.choice((0, 1, 127, 128, 255, chance.randrange(256)))
            found |= _same_again(bytes(other), wanted)
            _same_again(bytes(packet).replace(data, bytes(other)), type(packet.layers[0]))
    return found


def _from(packet: Packet, wanted: type[Header]) -> bytes:
    """Return the bytes from a header on, without what stands after what it is in."""
    place = next(i for i, one in enumerate(packet.layers) if isinstance(one, wanted))
    return bytes(stacked(packet.layers[place:], packet.payload))


def _same_again(data: bytes, first: type[Header]) -> set[str]:
    packet = dissect(data, first)
    packet.show()  # all that is read only when it is looked at
    assert bytes(packet) == data
    return {fault.layer for fault in packet.faults} | {f"{fault.layer}.{fault.field}" for fault in packet.faults}
