"""Floats that are signalling NaNs, as any bytes may be: they are NaNs without a word."""

from __future__ import annotations

import warnings
from math import isnan

from packetlab import F32, U4, Capture, Ether, Header


class Float(Header, under=Ether, when={"type": 0x88B6}):
    f: F32 = 1.5


class Askew(Header, under=Ether, when={"type": 0x88B7}):
    z: U4 = 0
    f: F32 = 1.5
    y: U4 = 0


def test_a_column_of_signalling_nans_warns_of_nothing() -> None:
    frames = [(Float, "float.f", 0x88B6, "7fa00000"), (Askew, "askew.f", 0x88B7, "07fa000000")]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for header, name, number, data in frames:
            capture = Capture.of([bytes(Ether(type=number)) + bytes.fromhex(data)] * 3)
            assert all(map(isnan, capture.table(header.f).read()[name]))
