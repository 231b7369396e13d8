"""Bodies of no bytes: what a number below says is there although nothing is left."""

import pytest

from packetlab import (
    TCP,
    U8,
    U16,
    UDP,
    Capture,
    Digits,
    Ether,
    Header,
    IPv4,
    Rest,
    auto,
    bindings,
    dissect,
    ended,
    field,
    many,
    size_of,
)


class Said(Header, under=UDP, port=31816):
    verb: U8 = 0
    length: U8 = auto(size_of("payload"))


class Bye(Header, under=Said, when={"verb": 1}):
    pass


class Names(Header, under=Said, when={"verb": 2}):
    numbers: tuple[U16, ...] = many()


class Note(Header, under=Said, when=field("verb") > 200, sets={"verb": 201}):
    text: Rest = b""


class Point(Header, under=Said, when={"verb": 3}):
    x: U8 = 0


class Answer(Header, under=Bye):
    pass


class Dated(Header, under=Said, when={"verb": 4}):
    year: Digits = ended(b" ", 0)


BELOW = Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=9, dport=31816)


@pytest.mark.parametrize("body", [Bye(), Names(), Note()], ids=repr)
@pytest.mark.parametrize("times", [1, 70])
def test_what_is_built_reads_back(body: Header, times: int) -> None:
    for number in range(times):
        packet = BELOW.replace(IPv4, id=number) / Said() / body
        found = dissect(bytes(packet))
        assert found == packet
        assert type(found.layers[-1]) is type(body)
        assert found.faults == ()
        assert bytes(found.replace(IPv4, ttl=3)) == bytes(packet.replace(IPv4, ttl=3))


def test_it_is_so_without_layers_below() -> None:
    assert dissect(bytes(Said() / Bye()), Said) == Said() / Bye()
    assert dissect(bytes(Said() / Names(numbers=[1])), Said)[Names].numbers == (1,)
    assert dissect(b"\xf0\0", Said) == Said(verb=240) / Note()


@pytest.mark.parametrize("verb", [0, 3, 4, 9])
def test_what_needs_bytes_stays_absent_without_a_fault(verb: int) -> None:
    for _ in range(40):
        found = dissect(bytes(BELOW / Said(verb=verb)))
        assert type(found.layers[-1]) is Said
        assert found.faults == ()


def test_what_is_always_above_is_not_there_in_no_bytes() -> None:
    assert Answer not in dissect(bytes(Said() / Bye()), Said)


def test_what_the_capture_cut_off_is_not_taken_for_nothing() -> None:
    whole = bytes(BELOW / Said() / Names(numbers=[1, 2]))
    found = dissect(whole[:-4], wire_length=len(whole))
    assert Names not in found
    assert found.truncated


def test_a_port_says_nothing_of_what_follows() -> None:
    with bindings():

        class Line(Header, under=(TCP, UDP), port=31817):
            text: Rest = b""

        for lower in (TCP(dport=31817), UDP(dport=31817)):
            for _ in range(40):
                assert Line not in dissect(bytes(Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2") / lower))


def test_bindings_come_and_go() -> None:
    data = bytes(BELOW / Said(verb=77))
    for _ in range(3):
        assert len(dissect(data).layers) == 4
        with bindings():

            class Late(Header, under=Said, when={"verb": 77}):
                pass

            for _ in range(40):
                assert Late in dissect(data)


def test_columns_filters_and_lists_of_messages_have_them() -> None:
    frames = [bytes(BELOW / Said() / body) for body in (Bye(), Names(), Names(numbers=[5]), Point(x=1))] * 3
    capture = Capture.of(frames)
    assert capture.where(Bye).count() == 3
    assert capture.where(Names).count() == 6
    assert capture.where(Point).count() == 3
    assert capture.where(Said).count() == 12
    assert capture.where("names").count() == 6
    assert list(capture.table(Said.verb, Names.numbers)["said.verb"]) == [1, 2, 2, 3] * 3


def test_a_stream_has_them() -> None:
    with bindings():

        class Told(Header, under=TCP, port=31818, stream=True):
            verb: U8 = 0
            length: U8 = auto(size_of("payload"))

        class End(Header, under=Told, when={"verb": 1}):
            pass

        data = bytes(Told() / End()) * 3
        below = Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2") / TCP(sport=5, dport=31818)
        packet = dissect(bytes(below / data))
        assert End in packet
        assert [End in message for message in packet.messages(Told)] == [True] * 3


def test_above_one_of_packetlab_too() -> None:
    with bindings():

        class Memo(Header, under=IPv4, when={"protocol": 253}):
            text: Rest = b""

        packets = [Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2", id=n) / Memo(text=b"x" * (n % 2)) for n in range(80)]
        frames = [bytes(packet) for packet in packets]
        assert [dissect(data) for data in frames] == packets
        assert Capture.of(frames).where(Memo).count() == 80
        assert all(
            Memo not in dissect(bytes(Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2", protocol=n)))
            for n in (0, 6, 17, 41, 254)
        )
