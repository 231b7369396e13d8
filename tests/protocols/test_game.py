"""A packet of a game: bits packed tightly, some of them there only where a flag says so, widths from a field, floats, scales."""

from __future__ import annotations

import math
from struct import pack  # the oracle, for floats
from typing import Annotated

import pytest
from hypothesis import given, strategies as st

from packetlab import (
    F16,
    F32,
    U1,
    U2,
    U5,
    U8,
    U10,
    U12,
    U16,
    BuildError,
    Header,
    Text,
    auto,
    bits,
    count_of,
    dissect,
    ended,
    field,
    has,
    many,
    scaled,
    spare_bits,
    when,
)
from tests.protocols.oracle import cut, sound, spoilt
from tests.protocols.scope import Scope

with (scope := Scope()):

    class Position(Header):
        """Three numbers of 21 bits and a bit, a centimetre each: eight bytes."""

        x: Annotated[float, scaled(21, 0.01, signed=True, unit="m")] = 0.0
        y: Annotated[float, scaled(21, 0.01, signed=True, unit="m")] = 0.0
        z: Annotated[float, scaled(21, 0.01, signed=True, unit="m")] = 0.0
        grounded: U1 = 1

    class Entity(Header):
        id: U10 = 0
        moves: U1 = auto(has("speed"))
        hurt: U1 = auto(has("health"))
        speed: U12 | None = when(field("moves"))
        health: Annotated[int, bits(7)] | None = when(field("hurt"))
        width: U5 = 4
        score: Annotated[int, bits(field("width"))] = 0
        spare: int = spare_bits()
        position: Position = Position()
        heading: F16 = 0.0

    class Snapshot(Header):
        tick: U16 = 0
        time: F32 = 0.0
        name: Text = ended(b"\0", "")
        weapons: U8 = auto(count_of("loaded"))
        loaded: tuple[U2, ...] = many()
        fill: int = spare_bits()
        count: U8 = auto(count_of("entities"))
        entities: tuple[Entity, ...] = many()


def as_bits(*numbers: tuple[int, int]) -> bytes:
    """Return numbers, each of so many bits, one after the other from the highest bit on, filled up with zeros."""
    text = "".join(format(number % (1 << width), f"0{width}b") for number, width in numbers)
    return int(text.ljust(-(-len(text) // 8) * 8, "0"), 2).to_bytes(-(-len(text) // 8))


def by_hand(one: Entity) -> bytes:
    """Return the bytes of an entity as text of bits has them."""
    numbers = [(one.id, 10), (one.speed is not None, 1), (one.health is not None, 1)]
    numbers += [(one.speed, 12)] if one.speed is not None else []
    numbers += [(one.health, 7)] if one.health is not None else []
    at = one.position
    place = [(round(value * 100), 21) for value in (at.x, at.y, at.z)]
    return (
        as_bits(*numbers, (one.width, 5), (one.score, one.width))
        + as_bits(*place, (at.grounded, 1))
        + pack(">e", one.heading)
    )


entities = st.builds(
    Entity,
    id=st.integers(0, 1023),
    speed=st.none() | st.integers(0, 4095),
    health=st.none() | st.integers(0, 127),
    width=st.just(9),
    score=st.integers(0, 511),
    position=st.builds(Position, x=st.integers(-(2**20), 2**20 - 1).map(lambda n: n / 100), grounded=st.integers(0, 1)),
    heading=st.sampled_from([0.0, 1.5, -0.0, 359.5, math.inf]),
)


@given(st.lists(entities, max_size=4), st.lists(st.integers(0, 3), max_size=9), st.text("abcé", max_size=5))
def test_bytes_are_those_made_by_hand(some: list[Entity], loaded: list[int], name: str) -> None:
    made = Snapshot(tick=7, time=0.25, name=name, loaded=tuple(loaded), entities=tuple(some))
    head = (
        pack(">Hf", 7, 0.25) + name.encode() + b"\0" + bytes([len(loaded)]) + as_bits(*((one, 2) for one in loaded))
        if loaded
        else b""
    )
    head = head or pack(">Hf", 7, 0.25) + name.encode() + b"\0\0"
    assert bytes(made) == head + bytes([len(some)]) + b"".join(map(by_hand, some))
    read = dissect(bytes(made), Snapshot)
    assert not read.faults and read[Snapshot] == made
    sound([read], Snapshot)


def test_values_are_near_what_was_given() -> None:
    made = Entity(speed=5, position=Position(x=1.234, y=-3.0, z=1e4), heading=math.pi)
    read = dissect(bytes(made), Entity)[Entity]
    assert (read.position.x, read.position.y, read.position.z, read.heading) == (1.23, -3.0, 10000.0, 3.140625)
    assert (read.speed, read.health, read.moves, read.hurt) == (5, None, 1, 0)
    assert math.isnan(dissect(bytes(Entity(heading=math.nan)), Entity)[Entity].heading)


def test_widths_that_do_not_suffice_are_refused() -> None:
    with pytest.raises(BuildError, match="score"):
        bytes(Entity(width=3, score=8))


def test_what_is_cut_or_spoilt_is_a_fault() -> None:
    one = Entity(id=5, speed=9, health=3, score=7)
    read = [dissect(bytes(Snapshot(name="me", loaded=(1, 2, 3), entities=(one, Entity(), one))), Snapshot)]
    assert "Snapshot.entities" in cut(read, Snapshot)
    spoilt(read, Snapshot)
