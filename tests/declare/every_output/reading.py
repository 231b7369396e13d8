"""Outputs that read, compare and change packets: each does it, and holds it against what headers themselves say."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterator
from typing import Any

from hypothesis import given, settings

from packetlab import BuildError, Capture, Frame, Header, Packet, contains, malformed, strategies
from packetlab.codec.faults import Dissection
from packetlab.codec.lenient import walk
from packetlab.declare.fields import Field
from tests.conftest import amount
from tests.declare.every_output.sample import Sample


def own(sample: Sample) -> list[Field]:
    """Return the fields that have a value."""
    return [f for f in sample.header._fields if f.kind.wire != "payload"]


def held(sample: Sample, wire: bytes) -> Any:
    return sample.read(wire)[sample.header]


def frames(sample: Sample) -> Capture:
    """Return the packets as a capture, after those that tell them something."""
    return Capture.of([Frame(wire, linktype=sample.linktype) for wire in [*sample.told_wires(), *sample.wires()]])


def damaged(sample: Sample) -> Iterator[bytes]:
    """Yield the bytes cut anywhere in the header, and with each byte changed."""
    for wire in sample.wires():
        for place in range(sample.start, len(wire)):
            yield wire[:place]
            for mask in (0x01, 0x80, 0xFF):
                yield wire[:place] + bytes([wire[place] ^ mask]) + wire[place + 1 :]


def built_and_read(sample: Sample) -> None:
    for header, wire in zip(sample.values, sample.wires(), strict=True):
        read = sample.read(wire)
        assert not read.faults
        assert bytes(read) == wire == sample.again(wire)
        with sample.known():
            assert read == sample.below(header)
        for name in header.given:
            assert getattr(read[sample.header], name) == getattr(header, name), name


def careful_reading(sample: Sample) -> None:
    for wire in [*sample.wires(), *damaged(sample)]:
        if sample.header._declaration.through:
            return  # what is inside is read as any other header is
        below = [one for one in sample.read(sample.wires()[0]).layers if not isinstance(one, sample.header)]
        found = []
        for read in (sample.header._decode, lambda *args: walk(sample.header._declaration, *args)):
            ctx = Dissection()
            ctx.layers = below
            with sample.known():
                found.append((read(wire, sample.start, len(wire), ctx), ctx.faults))
        assert found[0] == found[1], wire.hex()


def faults(sample: Sample) -> None:
    for wire in damaged(sample):
        read = sample.read(wire)
        assert bytes(read) == wire
    for wire in sample.wires():
        whole = sample.read(wire)[sample.header]
        for place in range(sample.start + 1, len(wire)):
            read = sample.read(wire[:place])
            there = read.get(sample.header)
            assert read.faults or read.truncated or there is None or there == whole or sample.open, place
    below = sample.wires()[0][: sample.start]
    for text, name in sample.bad:
        read = sample.read(below + bytes.fromhex(text))
        said = [f"{fault.layer}.{fault.field}" for fault in read.faults]
        assert said[:1] == [f"{sample.header.__name__}.{name}"], (text, said)
        fault = read.faults[0]
        assert fault.expected and fault.got and fault.expected != fault.got and fault.offset >= sample.start


def columns(sample: Sample) -> None:
    names = [f"{sample.name}.{f.name}" for f in own(sample)]
    table = frames(sample).table(*names).read()
    skipped = len(sample.told)
    for f, name in zip(own(sample), names, strict=True):
        found = table.masked(name).tolist()[skipped:]
        wanted = [getattr(held(sample, wire), f.name) for wire in sample.wires()]
        assert found == [_in_columns(f, one) for one in wanted], name


def _in_columns(f: Field, value: Any) -> Any:
    """Return a value as columns have it: items as their bytes, with what fills them up, addresses of IPv4 as numbers."""
    if f.kind.has_headers and not f.kind.transforms and value is not None:
        data = b"".join(map(bytes, value if isinstance(value, tuple) else [value]))
        return data + f.fill * (-(f.lead + len(data)) % f.align if f.align else 0)
    return int(value) if f.kind.words == "an IPv4 address" else value


def where(sample: Sample) -> None:
    capture = frames(sample)
    rows = [held(sample, wire) for wire in sample.wires()]
    assert capture.where(sample.header).count() == len(rows) + sum(type(one) is sample.header for one in sample.told)
    for f in own(sample):
        for row in rows:
            value = getattr(row, f.name)
            if value is None or (isinstance(value, tuple) and not value):
                continue
            wanted = sum(getattr(one, f.name) == value for one in rows)
            wanted += sum(getattr(one, f.name) == value for one in sample.told if isinstance(one, sample.header))
            assert capture.where(sample.header(**{f.name: value})).count() == wanted, f.name
            if isinstance(value, int) and not isinstance(value, bool):
                assert capture.where(f"{sample.name}.{f.name} == {int(value)}").count() == wanted, f.name


def patterns(sample: Sample) -> None:
    for wire in sample.wires():
        read = sample.read(wire)
        header = read[sample.header]
        for f in own(sample):
            value = getattr(header, f.name)
            if value is None:
                continue
            assert sample.header(**{f.name: value}).matches(read), f.name
            if (isinstance(value, tuple | bytes) or (isinstance(value, str) and hasattr(f.kind, "piece"))) and value:
                assert sample.header(**{f.name: contains(value[0] if isinstance(value, tuple) else value)}).matches(
                    read
                ), f.name
        for other in sample.values:
            mine = all(getattr(header, name) == getattr(other, name) for name in other.given)
            assert bool(other.matches(read)) is mine
            assert (not other.why_not(read)) is mine


def replace(sample: Sample) -> None:
    for wire in sample.wires():
        for header, other in zip(sample.values, sample.wires(), strict=True):
            changes = {name: getattr(header, name) for name in header.given}
            for packet in [sample.read(wire), *([] if sample.stateful else [sample.below(held(sample, wire))])]:
                with sample.known():
                    made = packet.replace(sample.header, **changes)
                    read = sample.read(bytes(made))
                assert not read.faults and made == read
                for name, value in changes.items():
                    assert getattr(read[sample.header], name) == value, name
                if bytes(packet) == wire and set(changes) == set(sample.values[1].given) == set(sample.values[0].given):
                    assert bytes(made) == other or sample.stateful
            for name, value in changes.items():
                if not _fits(sample, sample.read(wire), name, value):
                    continue
                by_path = sample.read(wire).replace({f"{sample.name}.{name}": value})
                assert sample.stateful or by_path == sample.read(wire).replace(sample.header, **{name: value}), name


def equality(sample: Sample) -> None:
    wires = sample.wires()
    for wire in wires:
        for other in wires:
            same = wire == other
            one, two = sample.read(wire), sample.read(other)
            assert (one == two) is same
            assert (one[sample.header] == two[sample.header]) is same
            assert not same or (hash(one) == hash(two) and hash(one[sample.header]) == hash(two[sample.header]))


def why(sample: Sample) -> None:
    for wire in sample.wires():
        read = sample.read(wire)
        for f in own(sample):
            text = str(read.why(sample.header, f.name))
            assert text.startswith(f"{sample.header.__name__}.{f.name}"), text
            if f.rule is not None:
                assert "rule: " in text and "differs" not in text, text
            if getattr(read[sample.header], f.name) is not None:
                assert "captured" in text or "computed" in text or "follows" in text, text


def diff(sample: Sample) -> None:
    wires = sample.wires()
    one, other = sample.read(wires[0]), sample.read(wires[1])
    assert not one.diff(sample.read(wires[0]))
    text = str(one.diff(other))
    for f in own(sample):
        differs = getattr(one[sample.header], f.name) != getattr(other[sample.header], f.name)
        assert (f"{sample.header.__name__}.{f.name}" in text) is differs, (f.name, text)


def shown(sample: Sample) -> None:
    for wire in sample.wires():
        read = sample.read(wire)
        text = str(read.show())
        assert sample.header.__name__ in text and sample.header.__name__ in read.summary()
        for f in own(sample):
            value = getattr(read[sample.header], f.name)
            lines = [line for line in text.splitlines() if line.split()[:1] == [f.name]]
            assert bool(lines) is (value is not None), (f.name, text)
        assert read.dump()


def html(sample: Sample) -> None:
    for wire in sample.wires():
        read = sample.read(wire)
        text = read._repr_mimebundle_()["text/html"]
        for f in own(sample):
            if getattr(read[sample.header], f.name) is not None:
                assert f.name in text, f.name


def drawn(sample: Sample) -> None:
    @settings(max_examples=amount(12, 120), deadline=None, database=None)
    @given(strategies.headers(sample.header))
    def reads_back(header: Header) -> None:
        wire = sample.wire(header)
        with sample.known():
            read = sample.read(wire)
            assert not read.faults and bytes(read) == wire
            assert read == sample.below(header)

    with sample.known():
        reads_back()


def malformed_packets(sample: Sample) -> None:
    for header in sample.values:
        with sample.known():
            cases = malformed(sample.below(header))
            assert cases
            wrong = [(case.id, said) for case in cases if (said := case.disagreements())]
        assert not wrong, wrong


def vary(sample: Sample) -> None:
    names = list(dict.fromkeys(name for one in sample.values for name in one.given))
    with sample.known():
        packet = sample.below(sample.values[0])
        for name in names:
            values = [
                value
                for value in (getattr(one, name) for one in sample.values if name in one.given)
                if _fits(sample, packet, name, value)
            ]
            if not values:
                continue
            changes = {f"{sample.name}.{name}": values}
            varied = packet.vary(len(values), changes)
            rows = [bytes(row) for row in varied.batch()]
            made = [bytes(packet.replace(sample.header, **{name: value})) for value in values]
            assert rows == made or sample.stateful, name
            report = varied.check(rows)
            assert (report and report.matched == len(rows)) or sample.stateful, str(report)


def _fits(sample: Sample, packet: Packet, name: str, value: object) -> bool:
    """Whether a value can stand with all others of a packet."""
    try:
        return bool(bytes(packet.replace(sample.header, **{name: value})))
    except BuildError:
        return False


def copies(sample: Sample) -> None:
    for wire in sample.wires():
        read = sample.read(wire)
        with sample.known():
            for other in (pickle.loads(pickle.dumps(read)), copy.copy(read), copy.deepcopy(read)):
                assert other == read and bytes(other) == wire and other[sample.header] == read[sample.header]
        with sample.known():
            built = sample.below(sample.values[0])
            assert sample.stateful or pickle.loads(pickle.dumps(built)) == built


Reading = Callable[[Sample], object]
READING: dict[str, Reading] = {
    "build, read": built_and_read,
    "careful reader": careful_reading,
    "faults": faults,
    "columns": columns,
    "where": where,
    "patterns": patterns,
    "replace": replace,
    "==": equality,
    "why": why,
    "diff": diff,
    "show": shown,
    "HTML": html,
    "strategies": drawn,
    "malformed": malformed_packets,
    "vary, check": vary,
    "pickle, copy": copies,
}
