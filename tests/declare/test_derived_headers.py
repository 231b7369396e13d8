"""A header class derived from another is a header of its own: its numbers, its options, its name in faults."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import packetlab as pl
from packetlab import U8, UDP, Ether, Header, IPv4, bind, bindings, field


@pytest.fixture(autouse=True)
def scoped() -> Iterator[None]:
    with bindings():
        yield


class Parent(Header):
    a: U8 = 0


class Child(Parent):
    b: U8 = 0


class Floor(Header):
    number: U8 = 0
    other: U8 = 0


def names(packet: Any) -> list[str]:
    return [type(layer).__name__ for layer in pl.dissect(bytes(packet)).layers]


def test_a_derived_class_is_sent_with_its_own_number_and_reads_back_as_itself() -> None:
    class First(Header, under=UDP, when={"dport": 7001}):
        a: U8 = 0

    class Second(First, under=UDP, when={"dport": (7002, 7003)}):
        b: U8 = 0

    class Third(Second):
        pass

    below = Ether() / IPv4() / UDP()
    assert [(below / one())[UDP].dport for one in (First, Second, Third)] == [7001, 7002, 7002]
    assert names(below / Second(a=1, b=2)) == ["Ether", "IPv4", "UDP", "Second"]
    assert pl.dissect(bytes(below / Second(a=1, b=2)))[Second] == Second(a=1, b=2)


def test_either_port_of_a_derived_class_is_its_own() -> None:
    class Asked(Header, under=UDP, when={"port": 7001}):
        a: U8 = 0

    class Other(Asked, under=UDP, when={"port": 7002}):
        pass

    assert names(Ether() / IPv4() / UDP() / Other()) == ["Ether", "IPv4", "UDP", "Other"]
    assert names(Ether() / IPv4() / UDP(sport=7002, dport=9) / Other())[-1] == "Other"


def test_a_number_reaches_derived_classes_without_one_in_any_order_and_leaves_with_its_scope() -> None:
    below = Ether() / IPv4() / UDP()
    bind(Parent, under=UDP, when={"dport": 7001})
    assert (below / Child())[UDP].dport == 7001
    with bindings():
        bind(Child, under=UDP, when={"dport": 7002})
        for _ in range(100):  # whole packets are compiled after a while
            assert ((below / Parent())[UDP].dport, (below / Child())[UDP].dport) == (7001, 7002)
        assert names(below / Child())[-1] == "Child"
    assert (below / Child())[UDP].dport == 7001


def test_a_derived_class_declared_again_has_its_new_number() -> None:
    bind(Parent, under=UDP, when={"dport": 7001})

    def declared(number: int) -> type[Parent]:
        class Again(Parent, under=UDP, when={"dport": number}):
            pass

        return Again

    declared(7002)
    again = declared(7003)
    assert names(Ether() / IPv4() / UDP() / again()) == ["Ether", "IPv4", "UDP", "Again"]
    assert (Ether() / IPv4() / UDP() / again())[UDP].dport == 7003


def test_what_a_conditional_binding_fills_in_is_filled_in_for_derived_classes_too() -> None:
    bind(Floor, under=Ether, when={"type": 0x88B5})
    bind(Parent, under=Floor, when={"number": 1, "other": 2})
    low = Ether() / Floor()

    def both(header: Header) -> tuple[int, int]:
        lower = pl.dissect(bytes(low / header))[Floor]
        return lower.number, lower.other

    assert both(Parent()) == both(Child()) == (1, 2)

    class C(Child):
        pass

    assert both(C()) == (1, 2)
    bind(Child, under=Floor, when={"number": 3, "other": 4})
    for _ in range(100):
        assert (both(Parent()), both(Child()), both(C())) == ((1, 2), (3, 4), (3, 4))
    assert names(low / Child()) == ["Ether", "Floor", "Child"]


def test_a_derived_class_bound_by_a_condition_is_not_sent_with_the_number_of_its_base() -> None:
    bind(Floor, under=Ether, when={"type": 0x88B5})
    bind(Parent, under=Floor, when={"number": 1})

    class Conditional(Parent, under=Floor, when=field("other") == 2):
        pass

    low = Ether() / Floor(other=2)
    for _ in range(100):
        assert names(low / Conditional()) == ["Ether", "Floor", "Conditional"]
        assert names(low / Parent()) == ["Ether", "Floor", "Parent"]


def test_the_first_of_several_bindings_is_filled_in_however_often_a_packet_is_built() -> None:
    bind(Floor, under=Ether, when={"type": 0x88B5})
    bind(Parent, under=Floor, when=field("other") == 1, sets={"number": 1})
    bind(Parent, under=Floor, when=field("other") == 2, sets={"number": 2})
    assert {bytes(Ether() / Floor() / Parent()) for _ in range(200)} == {bytes(Ether() / Floor(number=1) / Parent())}
