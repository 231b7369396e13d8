"""Compression: zlib (RFC 1950), deflate (RFC 1951), gzip (RFC 1952), zstd (RFC 8878). What comes out is bounded."""

from __future__ import annotations

import sys
import zlib as _zlib

from packetlab.declare.transforms.transform import LIMIT, Transform, UnfitError, Value
from packetlab.errors import DeclareError


class _Packed(Transform):
    wbits = 0

    def check(self, where: str) -> None:
        most, level = self.given["most"], self.given["level"]
        if most is not None and (type(most) is not int or not 0 < most <= LIMIT):
            raise DeclareError(where, f"most= from 1 to {LIMIT} bytes", repr(most))
        if type(level) is not int or not -1 <= level <= 9:
            raise DeclareError(where, "level= from 0 to 9", repr(level))

    def bounded(self, stream: Value, data: bytes, most: int) -> bytes:
        """Return what a stream gives, to its end and no more than `most` bytes."""
        try:
            found: bytes = stream.decompress(data, most + 1)
        except Exception as error:  # each library has its own
            raise UnfitError(f"a {self.name} stream", f"{error}") from None
        if len(found) > most:
            raise UnfitError(f"{most} bytes at most", "a stream of more")
        if not stream.eof:
            raise UnfitError(f"a whole {self.name} stream", "one without its end")
        if stream.unused_data:
            raise UnfitError(f"a {self.name} stream alone", f"{len(stream.unused_data)} bytes after it")
        return found


class ZlibStream(_Packed):
    name, usual, wbits = "zlib", {"level": -1, "most": None}, 15

    def decoded(self, data: bytes, level: int = -1, most: int | None = None) -> bytes:
        stream, most = _zlib.decompressobj(self.wbits), most or LIMIT
        try:
            found = stream.decompress(data, most + 1)
            if stream.eof and not stream.unused_data and len(found) <= most:
                return found
        except _zlib.error:
            pass
        return self.bounded(_zlib.decompressobj(self.wbits), data, most)  # which says what is wrong

    def encoded(self, data: bytes, level: int = -1, most: int | None = None) -> bytes:
        if len(data) > (most := most or LIMIT):
            raise UnfitError(f"{most} bytes at most", f"{len(data)} bytes")
        stream = _zlib.compressobj(level, _zlib.DEFLATED, self.wbits)
        return stream.compress(data) + stream.flush()


class DeflateStream(ZlibStream):
    name, wbits = "deflate", -15


class GzipStream(ZlibStream):
    name, wbits = "gzip", 31


class ZstdFrame(_Packed):
    name, usual = "zstd", {"level": 3, "most": None}

    def check(self, where: str) -> None:
        super().check(where)
        _zstd()

    def decoded(self, data: bytes, level: int = 3, most: int | None = None) -> bytes:
        return self.bounded(_zstd().ZstdDecompressor(), data, most or LIMIT)

    def encoded(self, data: bytes, level: int = 3, most: int | None = None) -> bytes:
        if len(data) > (most := most or LIMIT):
            raise UnfitError(f"{most} bytes at most", f"{len(data)} bytes")
        found: bytes = _zstd().compress(data, level)
        return found


def _zstd() -> Value:
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    return zstd


def zlib(*, level: int = -1, most: int | None = None) -> Transform:
    """A zlib stream (RFC 1950), whole and alone. `level` is that of what is built, `most` how many bytes may be inside.

    Without `most` a field may have 16 MB inside, a list of headers 1 MB, and 1,032 times the bytes of the packet and 4,096 more.
    """
    return ZlibStream(level=level, most=most)


def deflate(*, level: int = -1, most: int | None = None) -> Transform:
    """A deflate stream without a header (RFC 1951). `level` and `most` are as for `zlib`."""
    return DeflateStream(level=level, most=most)


def gzip(*, level: int = -1, most: int | None = None) -> Transform:
    """A gzip member (RFC 1952); what is built has no name and no time. `level` and `most` are as for `zlib`."""
    return GzipStream(level=level, most=most)


def zstd(*, level: int = 3, most: int | None = None) -> Transform:
    """A Zstandard frame (RFC 8878). `level` and `most` are as for `zlib`."""
    return ZstdFrame(level=level, most=most)
