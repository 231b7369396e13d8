"""The way out that a refusal names, tried: classes and values as the message says they are to be."""

from __future__ import annotations

from typing import Annotated

import pytest

from packetlab import (
    U1,
    U4,
    U8,
    U12,
    U16,
    BuildError,
    Bytes,
    DeclareError,
    Header,
    Payload,
    Records,
    Rest,
    auto,
    dissect,
    field,
    fixed_bytes,
    from_end,
    has,
    laid_out,
    many,
    recalled,
    size_of,
    sized,
    spare_bits,
    through,
    when,
    xor,
)


def test_what_goes_on_in_a_byte_by_kind() -> None:
    with pytest.raises(DeclareError, match=r"bits that go on in that byte by kind are fields here: x: U12 \| None = when"):

        class Short(Header):
            kind: U4 = 0

    class Whole(Header):
        kind: U4 = 0
        x: U12 | None = when(field("kind") == 1, 0)
        y: U4 | None = when(field("kind") != 1, 0)

    assert bytes(Whole(kind=1, x=5)) == b"\x10\5" and bytes(Whole(y=3)) == b"\3"
    assert dissect(b"\x10\5\3", Whole)[Whole].x == 5


def test_what_stands_after_a_payload_of_a_size_told_before_it() -> None:
    with pytest.raises(DeclareError, match=r'body: Rest in place of Payload .* inside="body"'):

        class Closed(Header):
            n: U8 = auto(size_of("mic"))
            body: Payload = b""
            mic: Bytes = sized(field("n"), b"")

    with pytest.raises(DeclareError, match=r"got n \(.*body: Rest, and then the field as sized"):

        class Ended(Header):
            n: U8 = 4
            body: Rest = b""
            mic: Bytes = from_end(field("n"), b"")  # type: ignore[arg-type]

    class Tagged(Header):
        kind: U8 = 0
        n: U8 = auto(size_of("mic"))
        body: Rest = b""
        mic: Bytes = sized(field("n"), b"")

    class Media(Tagged, inside="body", when={"kind": 7}):
        number: U16 = 1

    assert bytes(Media(number=2, mic=b"tag")) == b"\7\3\0\2tag"
    found = dissect(b"\7\3\0\2tag", Tagged)
    assert found.faults == () and found[Media].number == 2 and found[Tagged].mic == b"tag"


def test_flags_that_lead_to_flags() -> None:
    class Circled(Header):
        fx: U1 = auto(has("more"))
        spare: int = spare_bits()
        more: U8 | None = when(field("fx"), auto(has("track")))
        track: U16 | None = when(field("more"))

    with pytest.raises(DeclareError, match=r'each flag before that leads there, follows from what it leads to: auto\(has\("track"\)\)'):
        bytes(Circled())

    class Straight(Header):
        fx: U1 = auto(has("track"))
        spare: int = spare_bits()
        more: U8 | None = when(field("fx"), auto(has("track")))
        track: U16 | None = when(field("more"))

    assert bytes(Straight()) == b"\0" and bytes(Straight(track=3)) == b"\x80\1\0\3"


def test_transforms_of_fixed_sizes() -> None:
    with pytest.raises(DeclareError, match=r"through\(\.\.\., sized\(4\)\)"):

        class Masked(Header):
            key: U8 = 7
            value: Annotated[bytes, fixed_bytes(2)] = through(xor(field("key")), b"ab")
            end: U8 = 0

    class Sized(Header):
        key: U8 = 7
        value: Bytes = through(xor(field("key")), sized(2, b"ab"))
        end: U8 = 0

    assert bytes(Sized()) == b"\7fe\0" and dissect(b"\7fe\0", Sized)[Sized].value == b"ab"

    with pytest.raises(DeclareError, match=r"auto\(size_of\(\"records\"\)\) before it tells it, or records: Rest") as error:

        class Recording(Header):
            id: U8 = 1
            records: Records = laid_out(recalled("rows", field("id")))
            end: U8 = 0

    assert "through" not in str(error.value)


def test_lists_of_a_constant_count() -> None:
    class Coils(Header):
        states: tuple[U1, ...] = many(count=8)

    with pytest.raises(BuildError, match=r"expected 8 items, as 8 says, got 0 items \(give as many; value=\(\.\.\.\) in many"):
        bytes(Coils())

    class Usual(Header):
        states: tuple[U1, ...] = many(count=8, value=(1,) * 8)

    assert bytes(Usual()) == b"\xff"
