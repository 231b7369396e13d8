"""Values that are worked out, declared between fields of one byte."""

from __future__ import annotations

import pytest

from packetlab import (
    U1,
    U3,
    U4,
    U7,
    U8,
    UDP,
    Capture,
    DeclareError,
    Ether,
    Header,
    IPv4,
    computed,
    dissect,
    field,
    spare_bits,
    when,
)


def test_a_value_worked_out_between_bits_reads_what_it_builds() -> None:
    class Split(Header, under=UDP, when={"dport": 4242}):
        flag: U1 = 0
        twice: int = computed(field("flag") * 2)
        rest: U7 = 3
        extra: U8 | None = when(field("twice") == 2, 7)

    frame = bytes(Ether() / IPv4() / UDP(dport=4242) / Split(flag=1))
    assert frame.endswith(b"\x83\x07")
    found = dissect(frame)[Split]
    assert (found.flag, found.twice, found.rest, found.extra) == (1, 2, 3, 7)
    assert dissect(bytes(Ether() / IPv4() / UDP(dport=4242) / Split(twice=0)))[Split].extra is None
    columns = Capture.of([frame]).table("split.twice", "split.rest").read()
    assert [list(columns[name]) for name in ("split.twice", "split.rest")] == [[2], [3]]


def test_from_the_lowest_bit_and_beside_optional_bits() -> None:
    class Low(Header, bit_order="low"):
        flag: U1 = 0
        one: int = computed(field("flag") + 1)
        three: U3 = 3
        four: int = computed(field("three") + 1)
        last: U4 = 0

    class Loose(Header):
        flag: U1 = 0
        one: int = computed(field("flag") + 1)
        three: U3 | None = when(field("flag") == 1, 3)
        spare: int = spare_bits()
        after: U8 | None = when(field("one") == 2, 7)

    low = dissect(b"\x83", Low)[Low]
    assert (low.flag, low.one, low.three, low.four, low.last) == (1, 2, 1, 2, 8)
    assert bytes(Loose(flag=1)) == b"\xb0\x07" and bytes(Loose()) == b"\0"
    assert [dissect(bytes(Loose(flag=flag)), Loose)[Loose].after for flag in (0, 1)] == [None, 7]


def test_bits_that_go_by_such_a_value_are_refused_with_the_form_that_works() -> None:
    with pytest.raises(DeclareError, match=r"Wrong.y: .* got x, .* \(its own rule here: f \+ 1\)"):

        class Wrong(Header):
            f: U1 = 0
            x: int = computed(field("f") + 1)
            y: U3 | None = when(field("x") == 2, 3)
            spare: int = spare_bits()
