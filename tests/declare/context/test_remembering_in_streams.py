"""Items that remember something, in messages of which only the first part is there."""

from __future__ import annotations

import pytest

from packetlab import TCP, U8, U16, Ether, Header, IPv4, auto, const, dissect, field, many, size_of


class Announced(Header, remembers={"announced": field("t")}):
    t: U16 = 256


class Group(Header):
    id: U8 = 0
    length: U8 = auto(size_of("self"))


class Announcing(Group, when={"id": 2}):
    ones: tuple[Announced, ...] = many()


class Announcements(Header, under=TCP, port=4741, stream=True):
    version: U16 = const(10)
    length: U16 = auto(size_of("self"))
    groups: tuple[Group, ...] = many()


MESSAGE = bytes(Announcements(groups=[Announcing(ones=[Announced(), Announced()])]))


@pytest.mark.parametrize("size", range(1, len(MESSAGE)))
def test_the_first_part_of_a_message_is_no_fault(size: int) -> None:
    packet = dissect(bytes(Ether() / IPv4() / TCP(dport=4741, flags="ACK") / MESSAGE[:size]))
    assert packet.faults == () and bytes(packet).endswith(MESSAGE[:size])


def test_a_wrong_item_is_a_fault_in_the_whole_message() -> None:
    data = MESSAGE[:3] + bytes([len(MESSAGE) - 1]) + MESSAGE[4:5] + bytes([MESSAGE[5] - 1]) + MESSAGE[6:-1]
    packet = dissect(bytes(Ether() / IPv4() / TCP(dport=4741, flags="ACK") / data))
    assert [(fault.field, fault.cut) for fault in packet.faults] == [("groups", False)]


def test_a_message_cut_by_the_capture_has_cut_faults_alone() -> None:
    whole = bytes(Ether() / IPv4() / TCP(dport=4741, flags="ACK") / MESSAGE)
    for missing in range(1, 6):
        faults = dissect(whole[:-missing], wire_length=len(whole)).faults
        assert faults and all(fault.cut for fault in faults)
