"""`replace` takes back whatever a capture gave, and refuses everything else with one kind of error."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from packetlab import ARP, TCP, UDP, BuildError, Ether, Header, IPOption, IPv4, Packet, dissect
from packetlab.wire.fields import PayloadMark
from packetlab.wire.linktypes import first_header
from tests.capture.test_corpus import NAMES, frames_of


def own_values(packet: Packet) -> list[tuple[tuple[type[Header], int], str, Any]]:
    times: Counter[type[Header]] = Counter()
    found = []
    for header in packet.layers:
        place = type(header), times[type(header)]
        times[type(header)] += 1
        found += [(place, f.name, getattr(header, f.name)) for f in header._fields if not isinstance(f.kind, PayloadMark)]
    return found


@pytest.mark.parametrize("name", NAMES)
def test_every_captured_value_may_be_given_back(name: str) -> None:
    for frame in frames_of(name)[:60]:
        for size in {len(frame.data), min(len(frame.data), 50), min(len(frame.data), 67)}:
            packet = dissect(frame.data[:size], first_header(frame.linktype), wire_length=frame.wire_length)
            for layer, field, value in own_values(packet):
                assert bytes(packet.replace(layer, **{field: value})) == frame.data[:size], (frame.number, layer, field)


WHOLE = dissect(bytes(Ether() / IPv4(options=[IPOption(kind=7, data=b"x")]) / UDP() / b"data"))
ANYTHING = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary(), st.just(object()), st.just(print),
    st.lists(st.one_of(st.none(), st.integers(), st.binary(), st.just(IPOption()), st.just(TCP))), st.just(range(3)),
    st.dictionaries(st.text(), st.integers()), st.complex_numbers(), st.just(Ether), st.just(IPv4()), st.just(WHOLE),
)  # fmt: skip


@settings(max_examples=400)
@given(st.sampled_from([(layer, name) for layer, name, _ in own_values(WHOLE)] + [(UDP, "payload")]), ANYTHING)
def test_whatever_does_not_fit_is_a_build_error(place: Any, value: Any) -> None:
    with suppress(BuildError):
        assert bytes(WHOLE.replace(place[0], **{place[1]: value}))


@pytest.mark.parametrize("value", [5, None, 2.5, object()])
def test_items_and_payloads_want_what_they_are_made_of(value: Any) -> None:
    with pytest.raises(BuildError, match=r"IPv4.options: expected headers \(IPOption\)"):
        WHOLE.replace(IPv4, options=value)
    with pytest.raises(BuildError, match="payload: expected octets"):
        WHOLE.replace(payload=value)
    with pytest.raises(BuildError, match="expected headers"):
        IPv4(options=value) if value is not None else WHOLE[IPv4].replace(options=value)


@pytest.mark.parametrize(
    "make",
    [
        lambda text: UDP() / text,
        lambda text: (UDP() / b"x").replace(payload=text),
        lambda text: ARP(addresses=text),
        lambda text: (Ether() / ARP()).replace(ARP, addresses=text),
    ],
)
def test_text_that_utf8_cannot_carry_is_a_build_error(make) -> None:
    with pytest.raises(BuildError, match="text that UTF-8 can carry"):
        make("a\ud800b")
