"""CAN: frames as SocketCAN has them, and signals as a DBC file describes them, of either order of bits and scaled."""

from __future__ import annotations

from typing import Annotated

from packetlab import (
    U1,
    U2,
    U8,
    U24,
    U29,
    Bytes,
    Header,
    auto,
    dissect,
    link_type,
    scaled,
    size_of,
)
from tests.protocols.oracle import Ask, alike, cut, sound, spoilt
from tests.protocols.reading import of
from tests.protocols.scope import Scope

SOCKETCAN = 227

with (scope := Scope()):

    class CAN(Header):
        extended: U1 = 0
        remote: U1 = 0
        error: U1 = 0
        id: U29 = 0
        length: U8 = auto(size_of("data"))
        reserved: U24 = 0
        data: Bytes = b""

    class Motor(CAN, inside="data", when={"id": 0x123}, bit_order="low"):
        """DBC: SG_ Speed : 0|12@1+ (0.25,0) "rpm"; Torque : 12|10@1- (0.5,-100) "Nm"; Gear : 22|2@1+; Heat : 24|8@1+ (1,-40) "C"."""

        speed: Annotated[float, scaled(12, 0.25, unit="rpm")] = 0.0
        torque: Annotated[float, scaled(10, 0.5, offset=-100, signed=True, unit="Nm")] = -100.0
        gear: U2 = 0
        heat: Annotated[float, scaled(8, 1, offset=-40, unit="C")] = -40.0

    class Body(CAN, inside="data", when={"id": 0x18F00400}):
        """The other order, as in SG_ Angle : 7|14@0- (0.1,0) "deg"; Lights : 9|2@0+."""

        extended = 1
        angle: Annotated[float, scaled(14, 0.1, signed=True, unit="deg")] = 0.0
        lights: U2 = 0

    link_type(SOCKETCAN, CAN)


READINGS = {
    "can.id": of(CAN, lambda h: h.id),
    "can.flags.xtd": of(CAN, lambda h: h.extended),
    "can.flags.rtr": of(CAN, lambda h: h.remote),
    "can.flags.err": of(CAN, lambda h: h.error),
    "can.len": of(CAN, lambda h: h.length),
    "data.data": of(CAN, lambda h: h.data or None),
}

# What cantools (43.3) makes of these signals.
SIGNALS = {
    "cd7cfe7d": Motor(speed=819.25, torque=-112.5, gear=3, heat=85.0),
    "00000000": Motor(speed=0.0, torque=-100.0, gear=0, heat=-40.0),
    "ffff5f28": Motor(speed=1023.75, torque=155.5, gear=1, heat=0.0),
    "f786": Body(angle=-54.3, lights=2),
    "7ffd": Body(angle=819.1, lights=1),
}


def test_tshark_reads_what_we_build(tshark: Ask) -> None:
    made: list[Header] = [*SIGNALS.values(), CAN(id=7, data=b"12345678"), CAN(id=8, remote=1)]
    sound(alike(tshark, [one / b"" for one in made], READINGS, linktype=SOCKETCAN), CAN)


def test_signals_are_those_of_another_program() -> None:
    for data, made in SIGNALS.items():
        assert made.data.hex() == data
        read = dissect(bytes(made), CAN)[CAN]
        assert type(read) is type(made) and read == made
    speed = dissect(bytes(SIGNALS["cd7cfe7d"]), CAN)[Motor]
    assert (speed.speed, speed.torque, speed.gear, speed.heat) == (819.25, -112.5, 3, 85)
    assert speed.replace(gear=1).data.hex() == "cd7c7e7d"


def test_what_is_cut_or_spoilt_is_a_fault() -> None:
    read = [dissect(bytes(one), CAN) for one in SIGNALS.values()]
    assert "CAN.length" in cut(read, CAN)
    spoilt(read, CAN)
