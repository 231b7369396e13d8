"""An option whose kind is edited is of the class that its kind says, as whoever reads the bytes has it."""

from packetlab import U8, Bytes, Header, auto, bindings, count_of, dissect, many, size_of


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
