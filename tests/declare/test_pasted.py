"""What headers print can be pasted into a program that begins with ``from packetlab import *``."""

from __future__ import annotations

import copy
import pickle
import sys
import uuid
from typing import Any

import pytest

from packetlab import GUID, MAC, UUID, Header, IPv4Address, IPv6Address, dissect
from tests.declare.every_output.sample import Sample
from tests.declare.every_output.samples import SAMPLES, declared

NAMES: dict[str, Any] = {}
exec("from packetlab import *", NAMES)  # what stands first in such a program


@pytest.mark.parametrize("sample", SAMPLES, ids=str)
def test_what_a_header_prints_is_that_header(sample: Sample) -> None:
    with declared(), sample.known():
        classes = vars(sys.modules[sample.header.__module__])
        for wire, made in zip(sample.wires(), sample.values, strict=True):
            read = dissect(wire, context=sample.context() if sample.told or sample.stateful else None)
            for header in (made, *(one for one in read.layers if isinstance(one, sample.header))):
                pasted = eval(repr(header), {**classes, **NAMES})
                assert repr(pasted) == repr(header)
                assert sample.stateful or pasted == header, repr(header)  # what is compressed anew goes on from the last


class Identified(Header):
    id: UUID = "6ba7b810-9dad-11d1-80b4-00c04fd430c8"  # type: ignore[assignment]
    other: GUID = "6ba7b810-9dad-11d1-80b4-00c04fd430c8"  # type: ignore[assignment]
    card: MAC = "02:00:00:00:00:01"  # type: ignore[assignment]
    host: IPv4Address = "10.0.0.1"  # type: ignore[assignment]
    far: IPv6Address = "::1"  # type: ignore[assignment]


def test_kinds_of_identifiers_and_addresses_make_values() -> None:
    made = UUID("6ba7b810-9dad-11d1-80b4-00c04fd430c8")
    plain = uuid.UUID("6ba7b810-9dad-11d1-80b4-00c04fd430c8")
    assert made == plain and hash(made) == hash(plain) and repr(made) == repr(plain) and isinstance(made, uuid.UUID)
    assert pickle.loads(pickle.dumps(made)) == copy.deepcopy(made) == plain
    header = Identified(id=made, other=made, card=MAC("02-00-00-00-00-07"), host=IPv4Address("10.0.0.9"), far=IPv6Address("fe80::1"))
    assert header == Identified(id=plain, other=GUID(str(plain)), card="02:00:00:00:00:07", host="10.0.0.9", far="fe80::1")
    assert [str(one) for one in (header.card, header.host, header.far)] == ["02:00:00:00:00:07", "10.0.0.9", "fe80::1"]
