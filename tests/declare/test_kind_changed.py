"""An option whose kind is edited is of the class that its kind says, as whoever reads the bytes has it."""

import pytest

from packetlab import U8, U16, UDP, Bytes, Ether, Header, IPv4, Packet, auto, bindings, count_of, dissect, many, size_of


class Kinded(Header, under=UDP, port=7999):
    kind: U8 = 0
    size: U8 = auto(size_of("body"))
    body: Bytes = b""


class Worded(Kinded, inside="body", when={"kind": 1}):
    value: U16 = 0


class Brief(Header, under=UDP, port=7998):
    kind: U8 = 0
    size: U8 = auto(size_of("self") + size_of("payload"))


class Lasting(Brief, when={"kind": 2}):
    more: U8 = 0


LOW = Ether() / IPv4() / UDP()


def test_a_kind_that_is_edited_is_another_class() -> None:
    with bindings():

        class Turned(Header):
            kind: U8 = 0
            length: U8 = auto(size_of("self"))
            data: Bytes = b""

        class Ten(Turned, inside="data", when={"kind": 10}):
            one: U8 = 1

        class Eleven(Turned, inside="data", when={"kind": 11}):
            other: U8 = 1

        class Turnings(Header):
            n: U8 = auto(count_of("turned"))
            turned: tuple[Turned, ...] = many()

        for packet in (dissect(bytes(Turnings(turned=[Ten(one=7), Ten()])), Turnings), Turnings(turned=[Ten(one=7), Ten()]) / b""):
            for kind, wanted in ((77, Turned), (11, Eleven), (10, Ten)):
                edited = packet.replace({"turnings.turned[0].kind": kind})
                read = dissect(bytes(edited), Turnings)
                assert edited == read
                assert [type(one) for one in edited[Turnings].turned] == [type(one) for one in read[Turnings].turned] == [wanted, Ten]
            assert packet.replace({"turnings.turned[0].kind": 11})[Turnings].turned[0].other == 7


@pytest.mark.parametrize(
    ("packet", "kind", "wanted"),
    [
        (LOW / Kinded(kind=9, body=b"\0\5"), 1, Worded),
        (LOW / Kinded(kind=9, body=b"abc"), 1, Kinded),  # which is a fault
        (LOW / Worded(value=5), 9, Kinded),
        (LOW / Brief(kind=9) / b"abc", 2, Lasting),
        (LOW / Brief(kind=9) / b"abc", 3, Brief),
        (LOW / Lasting(more=5) / b"abc", 9, Brief),
        (LOW / Lasting(more=5), 9, Brief),
    ],
)
def test_a_layer_is_of_the_class_that_its_kind_says(packet: Packet, kind: int, wanted: type[Header]) -> None:
    said = type(packet.layers[-1])
    for one in (packet, dissect(bytes(packet))):
        for edited in (one.replace(said, kind=kind), one.replace({f"{said.__name__.lower()}.kind": kind})):
            read = dissect(bytes(edited))
            assert type(edited.layers[-1]) is type(read.layers[-1]) is wanted
            assert edited == read
            assert bytes(edited.replace(wanted, kind=packet[said].kind)) == bytes(packet)


def test_what_follows_in_it_goes_on_to_follow() -> None:
    edited = dissect(bytes(LOW / Brief(kind=9) / b"abc")).replace(Brief, kind=2)
    assert edited[Lasting].more == ord("a")
    longer = edited.replace(Lasting, payload=b"12345")
    assert (longer[Lasting].size, longer[UDP].length) == (8, 16)
