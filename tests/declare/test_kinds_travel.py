"""A kind of one's own in declarations as data: named, never imported, and made by whoever passes its class in."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any

import pytest

from packetlab import (
    U8,
    BuildError,
    Bytes,
    Capture,
    DeclareError,
    Ether,
    Header,
    Kind,
    auto,
    bindings,
    declare_from,
    describe,
    dissect,
    field,
    size_of,
    sized,
)


class Groups(Kind):
    """A whole number in groups of some bits, the lowest first."""

    zero = 0
    low = 0

    def __init__(self, most: int, width: int = 7) -> None:
        self.most, self.width, self.high = most, width, most

    def raw(self, value: Any, where: str) -> int:
        if not isinstance(value, int) or not 0 <= value <= self.most:
            raise BuildError(where, f"0..{self.most}", repr(value))
        return int(value)

    def read(self, data: bytes, pos: int, limit: int) -> tuple[int, int] | None:
        number, place = 0, pos
        while place < limit and place < pos + 10:
            number |= (data[place] & (1 << self.width) - 1) << self.width * (place - pos)
            place += 1
            if not data[place - 1] >> self.width:
                good = number <= self.most and self.write(number) == data[pos:place]
                return (number, place) if good else None
        return None

    def write(self, raw: int) -> bytes:
        mask, groups = (1 << self.width) - 1, bytearray()
        while raw > mask:
            groups.append(raw & mask | mask + 1)
            raw >>= self.width
        return bytes([*groups, raw])


class Tag(Kind):
    """Four letters."""

    bits = 32
    zero = b"none"

    def raw(self, value: Any, where: str) -> bytes:
        if not isinstance(value, str) or len(value) != 4:
            raise BuildError(where, "four letters", repr(value))
        return value.encode("ascii")

    def value(self, raw: bytes) -> str:
        return raw.decode("ascii", "replace")


def declared() -> type[Header]:
    class Parcel(Header, under=Ether, when={"type": 0x88B5}):
        tag: Annotated[str, Tag()] = "abcd"
        size: Annotated[int, Groups(1 << 20)] = auto(size_of("text"))
        least: Annotated[int, Groups(100, 3)] = 9
        text: Bytes = sized(field("size"), b"")
        end: U8 = 0

    return Parcel


def test_what_is_dumped_is_loaded_by_who_has_the_kinds() -> None:
    with bindings():
        mine = declared()
        data = json.loads(json.dumps(describe(mine)))
        wire = bytes(Ether() / mine(text=b"x" * 300, tag="wxyz"))
    assert [row.get("given") for row in data["fields"]] == [
        None,
        {"most": 1 << 20},
        {"most": 100, "width": 3},
        None,
        None,
    ]
    with bindings():
        (theirs,) = declare_from(data, kinds=[Groups, Tag])
        read = dissect(wire)[theirs]
        assert (read.tag, read.size, read.least, read.text) == ("wxyz", 300, 9, b"x" * 300)
        assert describe(theirs) == data
        assert theirs().tag == "abcd"


def test_a_kind_that_was_not_passed_in_is_named_and_its_module_stays_unread() -> None:
    with bindings():
        data = describe(declared())
    data["fields"][0]["of"] = "antigravity.Tag"
    with pytest.raises(DeclareError, match=r"antigravity\.Tag.*kinds=\[") as caught, bindings():
        declare_from(data, kinds=[Groups])
    assert "antigravity" not in sys.modules and "Parcel.tag" in str(caught.value)


@pytest.mark.parametrize(
    ("place", "changes"),
    [
        (1, {"given": {"most": [1]}}),
        (1, {"given": {"no such": 1}}),
        (1, {"given": {"other": 1}}),
        (1, {"given": "most"}),
        (1, {"given": {}}),
        (0, {"default": "0011"}),
        (2, {"default": 101}),
        (2, {"default": "ff"}),
        (0, {"bits": 3}),
        (0, {"of": 3}),
    ],
)
def test_what_makes_no_sense_of_a_kind_is_a_clear_error(place: int, changes: dict[str, Any]) -> None:
    with bindings():
        data = describe(declared())
    data["fields"][place].update(changes)
    with pytest.raises(DeclareError), bindings():
        declare_from(data, kinds=[Groups, Tag])


@pytest.mark.parametrize("kinds", [[Tag()], [int], ["Tag"]])
def test_what_is_passed_in_are_classes_of_kinds(kinds: Any) -> None:
    with bindings():
        data = describe(declared())
    with pytest.raises(TypeError, match="classes derived from packetlab.Kind"), bindings():
        declare_from(data, kinds=kinds)


def test_a_kind_made_with_code_says_so() -> None:
    class Coded(Tag):
        def __init__(self, how: Any) -> None:
            self.how = how

    with bindings():

        class Letters(Header):
            a: Annotated[str, Coded(len)] = "abcd"

        with pytest.raises(DeclareError, match=r"Letters\.a: .*how of builtin.*which is code"):
            describe(Letters)


def test_a_capture_carries_them(tmp_path: Any) -> None:
    path = tmp_path / "parcels.pcapng"
    with bindings():
        mine = declared()
        Capture.of([Ether() / mine(text=b"hello")]).write(path, declare=[mine])
    with bindings():
        offered = Capture(path).declarations
        assert "Annotated[Any, Groups(most=100, width=3)]" in str(offered)
        with pytest.raises(DeclareError, match="Tag"):
            offered.declare()
        (theirs,) = offered.declare(kinds=[Groups, Tag])
        assert Capture(path)[0].packet()[theirs].text == b"hello"
