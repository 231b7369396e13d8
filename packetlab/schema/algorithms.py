"""Algorithms of checksums as plain data.

"internet", "xns", "crc32", "crc32c", "sctp", "xor8", "adler32", "iso_fletcher"
"CRC-16/MODBUS"                                  every name of the catalogue
["crc", 16, poly, init, reflect_in, reflect_out, xor]
["sum", bits, unit, little, end]                 end: 0 as it is, 1 inverted, 2 negated; true after it: with the carry brought round
["fletcher", bits, little]                       true after it: modulo a power of 2
"""

from __future__ import annotations

from packetlab.declare.checksums.algorithms import INTERNET, XNS, Algorithm
from packetlab.declare.checksums.catalogue import CRC32, CRC32C, CRCS, SCTP, named_crc
from packetlab.declare.checksums.simple import ADLER32, ISO, XOR8
from packetlab.declare.checksums.spelled import crc_by_parameters, fletcher_by_parameters, sum_by_parameters
from packetlab.errors import DeclareError

NAMED = {one.name: one for one in (INTERNET, XNS, CRC32, CRC32C, SCTP, XOR8, ADLER32, ISO)}
_LENGTHS = {"crc": (7,), "sum": (5, 6), "fletcher": (3, 4)}


def algorithm_data(algorithm: Algorithm) -> object:
    """Return an algorithm as data."""
    if algorithm.name:
        return algorithm.name
    if algorithm.word == "crc":
        bits, poly, init, low, out, xor, _ = algorithm.parameters
        return ["crc", bits, poly, init, bool(low), bool(out), xor]
    if algorithm.word == "sum":
        bits, unit, little, end, carry = algorithm.parameters
        return ["sum", bits, unit, bool(little), end, *[True] * carry]
    bits, little, power = algorithm.parameters
    return ["fletcher", bits, bool(little), *[True] * power]


def algorithm_of(data: object, where: str) -> Algorithm:
    """Return the algorithm that data describes. DeclareError where it is none."""
    if type(data) is str and data in NAMED:
        return NAMED[data]
    if type(data) is str and data in CRCS:
        return named_crc(data, where)
    if type(data) is list and data and type(data[0]) is str and len(data) in _LENGTHS.get(data[0], ()):
        word, *parameters = data
        flags = {"crc": (3, 4), "sum": (2, 4), "fletcher": (1, 2)}[word]
        if all(type(one) is (bool if n in flags else int) and one < 1 << 64 for n, one in enumerate(parameters)):
            if word == "crc":
                return crc_by_parameters(where, *parameters)
            if word == "sum" and 0 <= parameters[3] <= 2:
                return sum_by_parameters(where, *parameters)
            if word == "fletcher":
                return fletcher_by_parameters(where, *parameters)
    raise DeclareError(where, "an algorithm of checksums by its name, or by its family and parameters", repr(data)[:99])
