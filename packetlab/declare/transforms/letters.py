"""Bytes as letters: base64 and base16 (hexadecimal), RFC 4648."""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable
from functools import partial

from packetlab.declare.transforms.transform import Transform, UnfitError, flag
from packetlab.errors import DeclareError


class Base64(Transform):
    name, usual = "base64", {"url": False, "pad": True}

    def check(self, where: str) -> None:
        for word in ("url", "pad"):
            if type(self.given[word]) is not bool:
                raise DeclareError(where, f"{word}=True or False", repr(self.given[word]))

    def decoded(self, data: bytes, url: bool = False, pad: bool = True) -> bytes:
        letters = data.translate(bytes.maketrans(b"-_+/", b"+/\0\0")) if url else data
        try:
            return binascii.a2b_base64(letters if pad else letters + b"=" * (-len(letters) % 4), strict_mode=True)
        except ValueError as error:
            raise UnfitError("base64", f"{error}") from None

    def encoded(self, data: bytes, url: bool = False, pad: bool = True) -> bytes:
        letters = binascii.b2a_base64(data, newline=False)
        letters = letters.translate(bytes.maketrans(b"+/", b"-_")) if url else letters
        return letters if pad else letters.rstrip(b"=")

    def quick(self, which: int) -> Callable[[bytes], bytes] | None:
        if self.parameters:
            return None
        return partial(binascii.b2a_base64, newline=False) if which else partial(binascii.a2b_base64, strict_mode=True)

    def size(self, size: int) -> int:
        return -(-size // 3) * 4 if self.given["pad"] else -(-size * 4 // 3)


class Base16(Transform):
    name, usual = "base16", {"upper": False}

    def check(self, where: str) -> None:
        if type(self.given["upper"]) is not bool:
            raise DeclareError(where, "upper=True or False", repr(self.given["upper"]))

    def decoded(self, data: bytes, upper: bool = False) -> bytes:
        if len(data) % 2 or not re.fullmatch(rb"[0-9A-Fa-f]*", data):
            raise UnfitError("two hexadecimal digits for each byte", f"{len(data)} bytes that are not so")
        return binascii.unhexlify(data)

    def encoded(self, data: bytes, upper: bool = False) -> bytes:
        letters = binascii.hexlify(data)
        return letters.upper() if upper else letters

    def quick(self, which: int) -> Callable[[bytes], bytes] | None:
        return (binascii.unhexlify, None if self.given["upper"] else binascii.hexlify)[which]

    def size(self, size: int) -> int:
        return size * 2


def base64(*, url: bool = False, pad: bool = True) -> Transform:
    """Bytes as letters of base64 (RFC 4648 section 4), with `url` those of section 5; `pad` is whether ``=`` fills them up."""
    return Base64(url=flag(url), pad=flag(pad))


def base16(*, upper: bool = False) -> Transform:
    """Bytes as hexadecimal digits (RFC 4648 section 8). Both cases are read, `upper` is what is written."""
    return Base16(upper=flag(upper))
