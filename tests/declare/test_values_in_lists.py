"""Values in a list that are none of their kind: packed digits, text of a fixed size."""

from typing import Annotated

from hypothesis import given, settings

from packetlab import U8, Header, auto, bcd, count_of, dissect, field, many, strategies, text
from tests.careful import careful
from tests.conftest import amount


class ListedDigits(Header):
    n: U8 = auto(count_of("digits"))
    digits: tuple[Annotated[str, bcd(2)], ...] = many(count=field("n"))
    words: tuple[Annotated[str, text("ascii", size=2)], ...] = many()


def test_values_in_a_list_that_are_none_of_their_kind_are_a_fault() -> None:
    sound = ListedDigits(digits=("12", "99"), words=("ab", "cd"))
    assert bytes(sound) == b"\2\x12\x99abcd" and not dissect(bytes(sound), ListedDigits).faults
    data = b"\2\x12\x9aab\xffd"
    packet = dissect(data, ListedDigits)
    assert bytes(packet) == data and packet[ListedDigits].digits == ("12", "9a")
    assert [(fault.field, fault.offset, fault.expected) for fault in packet.faults] == [
        ("digits", 1, "2 decimal digits, two to a byte"),
        ("words", 3, "text, ascii"),
    ]
    assert careful(ListedDigits, data) == (packet[ListedDigits], list(packet.faults))
    made = ListedDigits(digits=b"\x9a", words=("ab",))
    assert bytes(made) == b"\1\x9aab"  # as one value that is none can be given


@settings(max_examples=amount(25, 1000))
@given(strategies.headers(ListedDigits))
def test_drawn_lists_hold_values_of_their_kind(header: ListedDigits) -> None:
    assert not dissect(bytes(header), ListedDigits).faults
