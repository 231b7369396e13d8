"""Byte stuffing: bytes are made free of those that mark the ends of frames on a serial link."""

from __future__ import annotations

import re

from packetlab.declare.transforms.transform import Transform, UnfitError, flag
from packetlab.errors import DeclareError


def _flag(transform: Transform, word: str, where: str) -> None:
    if type(transform.given[word]) is not bool:
        raise DeclareError(where, f"{word}=True or False", repr(transform.given[word]))


class HDLCStuffing(Transform):
    """RFC 1662 section 4: 0x7E ends, 0x7D escapes, an escaped byte has its bit 0x20 turned."""

    name, usual = "hdlc", {"flags": True, "accm": 0}

    def check(self, where: str) -> None:
        _flag(self, "flags", where)
        if type(self.given["accm"]) is not int or not 0 <= self.given["accm"] < 1 << 32:
            raise DeclareError(where, "accm= from 0 to 0xFFFFFFFF, a bit for each control character", repr(self.given["accm"]))

    def decoded(self, data: bytes, flags: bool = True, accm: int = 0) -> bytes:
        inside = data.strip(b"\x7e") if flags else data
        if b"\x7e" in inside:
            raise UnfitError("one frame", f"a flag (7E) at byte {inside.index(0x7E)} of it")
        if accm:  # what a modem put in is no part of the frame (section 4.2)
            inside = bytes(byte for byte in inside if byte > 31 or not accm >> byte & 1)
        first, *rest = inside.split(b"\x7d")
        if b"" in rest:
            raise UnfitError("a byte after each escape (7D)", "none")
        return first + b"".join([bytes((part[0] ^ 0x20,)) + part[1:] for part in rest]) if rest else first

    def encoded(self, data: bytes, flags: bool = True, accm: int = 0) -> bytes:
        special = {0x7D, 0x7E, *(byte for byte in range(32) if accm >> byte & 1)}
        pattern = b"[" + b"".join(re.escape(bytes((byte,))) for byte in sorted(special)) + b"]"
        stuffed = re.sub(pattern, lambda found: bytes((0x7D, found[0][0] ^ 0x20)), data)
        return b"\x7e" + stuffed + b"\x7e" if flags else stuffed


class SLIPStuffing(Transform):
    """RFC 1055: 0xC0 ends; it stands as DB DC, and DB as DB DD."""

    name, usual = "slip", {"ends": True}

    def check(self, where: str) -> None:
        _flag(self, "ends", where)

    def decoded(self, data: bytes, ends: bool = True) -> bytes:
        inside = data.strip(b"\xc0") if ends else data
        if b"\xc0" in inside:
            raise UnfitError("one frame", f"an end (C0) at byte {inside.index(0xC0)} of it")
        first, *rest = inside.split(b"\xdb")
        for part in rest:
            if part[:1] not in (b"\xdc", b"\xdd"):
                raise UnfitError("DC or DD after each escape (DB)", part[:1].hex().upper() or "none")
        return first + b"".join((b"\xc0" if part[0] == 0xDC else b"\xdb") + part[1:] for part in rest)

    def encoded(self, data: bytes, ends: bool = True) -> bytes:
        stuffed = data.replace(b"\xdb", b"\xdb\xdd").replace(b"\xc0", b"\xdb\xdc")
        return b"\xc0" + stuffed + b"\xc0" if ends else stuffed


class COBSStuffing(Transform):
    """Cheshire and Baker, "Consistent Overhead Byte Stuffing" (1997): no zeros but the one that ends."""

    name, usual = "cobs", {"ends": True}

    def check(self, where: str) -> None:
        _flag(self, "ends", where)

    def decoded(self, data: bytes, ends: bool = True) -> bytes:
        if ends and data[-1:] != b"\0":
            raise UnfitError("a zero at the end", data[-1:].hex() or "nothing")
        end = len(data) - ends
        if (zero := data.find(0, 0, end)) >= 0:
            raise UnfitError("no zero but the last", f"one at byte {zero}")
        if not end:
            raise UnfitError("a frame", "nothing")
        parts, at = [], 0
        while at < end:
            code, last = data[at], at + data[at]
            if last > end:
                raise UnfitError(f"{code - 1} bytes after the code {code}", f"{end - at - 1} bytes")
            parts.append(data[at + 1 : last])
            if code < 255 and last < end:
                parts.append(b"\0")
            at = last
        return b"".join(parts)

    def encoded(self, data: bytes, ends: bool = True) -> bytes:
        found, blocks = bytearray(), data.split(b"\0")
        for number, block in enumerate(blocks):
            at, size = 0, len(block)
            if size >= 254:
                at = size // 254 * 254
                found += b"".join([b"\xff" + block[n : n + 254] for n in range(0, at, 254)])
                if at == size and number == len(blocks) - 1:  # a full block has no zero after it, and ends what ends there
                    break
            found.append(size - at + 1)
            found += block[at:] if at else block
        return bytes(found + b"\0" if ends else found)


def hdlc(*, flags: bool = True, accm: int = 0) -> Transform:
    """A frame stuffed as in HDLC with bytes (RFC 1662 section 4). `accm` has a bit for each control character that is escaped too.

    With `flags` a 0x7E stands before it and after it; of what is read any number of them, and control characters of `accm` that
    are not escaped are left out, as section 4.2 says. The check sequence is a field.
    """
    return HDLCStuffing(flags=flag(flags), accm=accm)


def slip(*, ends: bool = True) -> Transform:
    """A frame stuffed as in SLIP (RFC 1055); with `ends` 0xC0 stands before it and after it."""
    return SLIPStuffing(ends=flag(ends))


def cobs(*, ends: bool = True) -> Transform:
    """A frame without zeros, by consistent overhead byte stuffing; with `ends` a zero stands after it."""
    return COBSStuffing(ends=flag(ends))
