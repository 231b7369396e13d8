"""What conversations look like on the wire, packet by packet and nanosecond by nanosecond: as they did when recorded.

A change of the protocol shows here; where it is meant, ``--packetlab-record=all`` records anew.
"""

from __future__ import annotations

import pytest

from .scripts import packets_keep_their_boundaries_and_headers, requests_are_answered, two_ends_meet


@pytest.mark.packetlab(seed=4, delay=0.05)
@pytest.mark.parametrize("talk", [packets_keep_their_boundaries_and_headers, requests_are_answered, two_ends_meet])
def test_a_conversation_is_what_it_was(pair, golden, talk) -> None:
    talk(*pair)
    golden.check(pair[0].net.capture)
