"""Whatever the bytes, tshark reads them with the dissectors that are written, and no error of Lua's comes of it."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from packetlab import Frame
from tests.conftest import amount, need
from tests.declare.every_output.sample import Sample
from tests.declare.every_output.samples import SAMPLES, declared
from tests.declare.every_output.test_every_output import REFUSED
from tests.export.pdml import Tshark, compare


def spoilt(sample: Sample, chance: random.Random) -> bytes:
    """Return a packet with other bytes after what carries the header, cut, or with bytes changed and more of them."""
    data = bytearray(chance.choice(sample.wires()))
    sort = chance.randrange(3)
    if sort == 0:
        return bytes(data[: sample.start]) + chance.randbytes(chance.randrange(1, 300))
    if sort == 1:
        return bytes(data[: chance.randrange(sample.start, len(data)) + 1])
    for _ in range(chance.randrange(1, 5)):
        data[chance.randrange(sample.start, len(data))] = chance.randrange(256)
    return bytes(data) + chance.randbytes(chance.choice((0, 1, 40)))


@pytest.mark.slow
def test_no_bytes_lead_to_an_error_of_lua(tmp_path: Path) -> None:
    need("tshark")
    chance = random.Random(9)
    with declared():
        fit = [sample for sample in SAMPLES if f"{sample.mechanism} {sample.title}" not in REFUSED["Wireshark"]]
        tshark = Tshark(tmp_path, *[sample.header for sample in fit])
        frames = list[Frame]()
        for sample in fit:
            for data in [spoilt(sample, chance) for _ in range(amount(20, 500))]:
                frames.append(Frame(data, linktype=sample.linktype, wire_length=len(data) + chance.choice((0, 0, 7))))
        assert len(tshark.ask(frames)) == len(frames)


def test_messages_that_the_capture_cut_are_read_as_far_as_they_are_there(tmp_path: Path) -> None:
    need("tshark")
    with declared():
        (stream,) = (sample for sample in SAMPLES if sample.header._declaration.stream)
        frames = list[Frame]()
        for wire in stream.wires():
            twice = wire + wire[stream.start :]
            frames += [Frame(twice[:size], wire_length=len(twice)) for size in range(stream.start, len(twice))]
        compare(Tshark(tmp_path, stream.header), frames)
