"""Rewriting addresses in lists, and those that nobody reaches because they stand in what a field's transforms give."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from packetlab import (
    MAC,
    U8,
    U16,
    Capture,
    Ether,
    Header,
    IPv4,
    IPv4Address,
    IPv6Address,
    Records,
    Rest,
    Verdict,
    XNSAddress,
    auto,
    bindings,
    count_of,
    field,
    internet_checksum,
    laid_out,
    many,
    raw,
    recalled,
    size_of,
    through,
    xor,
    zlib,
)

FREE = 0x7D81


@pytest.fixture(autouse=True)
def _scope() -> Iterator[None]:
    with bindings():
        yield


def left(*packets: object) -> dict[str, int]:
    new = Capture.of([*packets]).rewrite(anonymise=5)
    assert len(list(new)) == len(packets)
    return dict(new.left)


def test_lists_of_addresses_are_rewritten_and_their_sums_follow() -> None:
    class Hosts(Header, under=Ether, when={"type": FREE}):
        n: U8 = auto(count_of("four"))
        pad: U8 = 0
        sum: U16 = auto(internet_checksum("self"))
        four: tuple[IPv4Address, ...] = many(count=field("n"))
        six: tuple[IPv6Address, ...] = many(count=1)
        macs: tuple[MAC, ...] = many(count=2)
        far: tuple[XNSAddress, ...] = many()

    macs = ["02:00:00:00:00:01", "02:00:00:00:00:02"]
    header = Hosts(
        four=["10.0.0.7", "10.0.0.8"], six=["2001:db8::1"], macs=macs, far=[XNSAddress(7, one, 5) for one in macs]
    )
    frames = [bytes(Ether() / header), bytes(Ether() / Hosts(four=[], six=["2001:db8::2"], macs=macs))]
    plain = Ether() / IPv4(src="10.0.0.7", dst="10.0.0.8")
    new = Capture.of([*frames, plain]).rewrite(anonymise=5)
    first, second, addresses = (frame.packet() for frame in new)
    assert list(first[Hosts].four) == [addresses[IPv4].src, addresses[IPv4].dst] != ["10.0.0.7", "10.0.0.8"]
    assert first[Hosts].six != header.six and second[Hosts].four == ()
    assert first[Hosts].macs == second[Hosts].macs != header.macs
    assert first[Hosts].far == tuple(XNSAddress(7, one, 5) for one in first[Hosts].macs)
    assert [*first.verdicts().values(), *second.verdicts().values()] == [Verdict.GOOD] * 2 and not new.left
    cut = Capture.of([frames[0][:14] + frames[0][14:18] + b"\x0a\0\0\x07\x0a\0"]).rewrite(anonymise=5)
    (one,) = cut
    assert cut.left == {"Hosts.four, which is cut off or faulty": 1}
    assert bytes(one.packet()).endswith(first[Hosts].four[0].packed + b"\x0a\0")


def test_addresses_inside_a_transform_are_counted_as_left() -> None:
    class Host(Header):
        host: IPv4Address = "10.0.0.1"

    class Deep(Header):
        n: U8 = auto(size_of("hosts"))
        hosts: tuple[IPv4Address, ...] = through(xor(b"k"), many(size=field("n")))

    class Whole(Header, under=Ether, when={"type": FREE}):
        on: U8 = 1
        body: Host = through(zlib(), Host(), when=field("on"))

    class Items(Header, under=Ether, when={"type": FREE + 1}):
        items: tuple[Deep, ...] = many()

    class Plain(Header, under=Ether, when={"type": FREE + 2}):
        body: Rest = through(zlib(), b"")

    packets = [
        Ether() / Whole(body=Host(host="10.0.0.7")),
        Ether() / Whole(on=0),
        Ether() / Items(items=[Deep(hosts=["10.0.0.7"])]),
    ]
    why = "inside what is through a transform"
    assert left(*packets, Ether() / Plain(body=b"10.0.0.7")) == {f"Whole.body, {why}": 2, f"Deep.hosts, {why}": 1}
    assert left(Ether() / Items(items=[])) == {}


def test_addresses_in_records_are_counted_as_left() -> None:
    class Data(Header, under=Ether, when={"type": FREE}):
        id: U16 = 256
        n: U8 = auto(size_of("records"))
        records: Records = laid_out(recalled("flows", field("id")), size="length", kinds={8: IPv4Address})

    assert left(Ether() / Data(), Ether() / Data(records=raw(b"\x0a\0\0\x07"))) == {
        "Data.records, inside what is through a transform": 1
    }
