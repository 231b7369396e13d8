"""The integer annotations: U1 to U64 (unsigned, big-endian), S.. (signed), ..le (little-endian).

Spelt out one by one because type checkers read them.
"""

from __future__ import annotations

from typing import Annotated, TypeAlias, get_args

from packetlab.declare.kinds import Int, explained

U1: TypeAlias = Annotated[int, Int(1)]
U2: TypeAlias = Annotated[int, Int(2)]
U3: TypeAlias = Annotated[int, Int(3)]
U4: TypeAlias = Annotated[int, Int(4)]
U5: TypeAlias = Annotated[int, Int(5)]
U6: TypeAlias = Annotated[int, Int(6)]
U7: TypeAlias = Annotated[int, Int(7)]
U8: TypeAlias = Annotated[int, Int(8)]
U9: TypeAlias = Annotated[int, Int(9)]
U10: TypeAlias = Annotated[int, Int(10)]
U11: TypeAlias = Annotated[int, Int(11)]
U12: TypeAlias = Annotated[int, Int(12)]
U13: TypeAlias = Annotated[int, Int(13)]
U14: TypeAlias = Annotated[int, Int(14)]
U15: TypeAlias = Annotated[int, Int(15)]
U16: TypeAlias = Annotated[int, Int(16)]
U17: TypeAlias = Annotated[int, Int(17)]
U18: TypeAlias = Annotated[int, Int(18)]
U19: TypeAlias = Annotated[int, Int(19)]
U20: TypeAlias = Annotated[int, Int(20)]
U21: TypeAlias = Annotated[int, Int(21)]
U22: TypeAlias = Annotated[int, Int(22)]
U23: TypeAlias = Annotated[int, Int(23)]
U24: TypeAlias = Annotated[int, Int(24)]
U25: TypeAlias = Annotated[int, Int(25)]
U26: TypeAlias = Annotated[int, Int(26)]
U27: TypeAlias = Annotated[int, Int(27)]
U28: TypeAlias = Annotated[int, Int(28)]
U29: TypeAlias = Annotated[int, Int(29)]
U30: TypeAlias = Annotated[int, Int(30)]
U31: TypeAlias = Annotated[int, Int(31)]
U32: TypeAlias = Annotated[int, Int(32)]
U33: TypeAlias = Annotated[int, Int(33)]
U34: TypeAlias = Annotated[int, Int(34)]
U35: TypeAlias = Annotated[int, Int(35)]
U36: TypeAlias = Annotated[int, Int(36)]
U37: TypeAlias = Annotated[int, Int(37)]
U38: TypeAlias = Annotated[int, Int(38)]
U39: TypeAlias = Annotated[int, Int(39)]
U40: TypeAlias = Annotated[int, Int(40)]
U41: TypeAlias = Annotated[int, Int(41)]
U42: TypeAlias = Annotated[int, Int(42)]
U43: TypeAlias = Annotated[int, Int(43)]
U44: TypeAlias = Annotated[int, Int(44)]
U45: TypeAlias = Annotated[int, Int(45)]
U46: TypeAlias = Annotated[int, Int(46)]
U47: TypeAlias = Annotated[int, Int(47)]
U48: TypeAlias = Annotated[int, Int(48)]
U49: TypeAlias = Annotated[int, Int(49)]
U50: TypeAlias = Annotated[int, Int(50)]
U51: TypeAlias = Annotated[int, Int(51)]
U52: TypeAlias = Annotated[int, Int(52)]
U53: TypeAlias = Annotated[int, Int(53)]
U54: TypeAlias = Annotated[int, Int(54)]
U55: TypeAlias = Annotated[int, Int(55)]
U56: TypeAlias = Annotated[int, Int(56)]
U57: TypeAlias = Annotated[int, Int(57)]
U58: TypeAlias = Annotated[int, Int(58)]
U59: TypeAlias = Annotated[int, Int(59)]
U60: TypeAlias = Annotated[int, Int(60)]
U61: TypeAlias = Annotated[int, Int(61)]
U62: TypeAlias = Annotated[int, Int(62)]
U63: TypeAlias = Annotated[int, Int(63)]
U64: TypeAlias = Annotated[int, Int(64)]
S8: TypeAlias = Annotated[int, Int(8, signed=True)]
S16: TypeAlias = Annotated[int, Int(16, signed=True)]
S24: TypeAlias = Annotated[int, Int(24, signed=True)]
S32: TypeAlias = Annotated[int, Int(32, signed=True)]
S64: TypeAlias = Annotated[int, Int(64, signed=True)]
U16le: TypeAlias = Annotated[int, Int(16, little=True)]
U24le: TypeAlias = Annotated[int, Int(24, little=True)]
U32le: TypeAlias = Annotated[int, Int(32, little=True)]
U48le: TypeAlias = Annotated[int, Int(48, little=True)]
U64le: TypeAlias = Annotated[int, Int(64, little=True)]
S16le: TypeAlias = Annotated[int, Int(16, signed=True, little=True)]
S24le: TypeAlias = Annotated[int, Int(24, signed=True, little=True)]
S32le: TypeAlias = Annotated[int, Int(32, signed=True, little=True)]
S64le: TypeAlias = Annotated[int, Int(64, signed=True, little=True)]


def _words(kind: Int) -> str:
    sign, order = ("signed" if kind.signed else "unsigned"), ("little-endian" if kind.little else "big-endian")
    low, high = (-(1 << kind.bits - 1), (1 << kind.bits - 1) - 1) if kind.signed else (0, (1 << kind.bits) - 1)
    return f"A whole number of {kind.bits} bit{'s' * (kind.bits > 1)}, {sign}, {order}: {low} to {high}."


explained({alias: _words(get_args(alias)[1]) for name, alias in [*globals().items()] if name[1:2].isdigit()})
