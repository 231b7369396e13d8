"""A header that holds another, below one whose bytes go by what is around it, as classes of scapy and dpkt."""

from __future__ import annotations

import pytest

from packetlab import (
    U8,
    U32,
    UDP,
    Ether,
    Header,
    IPv4,
    Payload,
    auto,
    bindings,
    crc32,
    dissect,
    field,
    has,
    many,
    size_of,
    when,
)


@pytest.mark.parametrize("sort", ["one", "one that may be there", "one that is not there", "a list"])
@pytest.mark.parametrize("above", ["a trailer", "a value of another"])
def test_a_header_in_a_field_below_what_looks_around(sort: str, above: str) -> None:
    with bindings():

        class Held(Header):
            a: U8 = 3

        class Lower(Header, under=UDP, when={"dport": 7}):
            flag: U8 = auto(has("held")) if "there" in sort else 9  # type: ignore[assignment]
            size: U8 = auto(size_of("held"))
            if "there" in sort:
                held: Held | None = when(field("flag"))
            elif sort == "a list":
                held: tuple[Held, ...] = many()  # type: ignore[no-redef]
            else:
                held: Held = Held()  # type: ignore[no-redef]

        class Upper(Header, under=Lower):
            n: U8 = 0
            if above == "a value of another":
                more: U8 | None = when(field("Lower.size") < 9, 5)
            body: Payload
            if above != "a value of another":
                sum: U32 = auto(crc32("self", "payload"))

        value = {"one": {"held": Held(a=7)}, "a list": {"held": [Held(a=1), Held(a=2)]}, "one that may be there": {"held": Held()}}
        packet = dissect(bytes(Ether() / IPv4() / UDP(dport=7) / Lower(**value.get(sort, {})) / Upper() / b"x"))
        assert not packet.faults and Upper in packet
        assert bytes(packet.to_scapy()) == bytes(packet)
        assert bytes(packet.to_dpkt()) == bytes(packet)
