"""Encryption, by way of the package cryptography, which is imported when a key is first used. Keys are named (see `secret`)."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from importlib import import_module

from packetlab.declare.checksums.parts import SumPart
from packetlab.declare.expressions import Expr
from packetlab.declare.transforms.transform import (
    SELF,
    Secret,
    Transform,
    UnfitError,
    Value,
    as_bytes,
    forgetting,
    key_parameter,
)
from packetlab.errors import DeclareError

AEADS = {
    "AES-GCM": ("AESGCM", (16, 24, 32), 16), "AES-CCM": ("AESCCM", (16, 24, 32), 16), "AES-CCM-8": ("AESCCM", (16, 24, 32), 8),
    "AES-GCM-SIV": ("AESGCMSIV", (16, 32), 16), "AES-OCB": ("AESOCB3", (16, 24, 32), 16),
    "CHACHA20-POLY1305": ("ChaCha20Poly1305", (32,), 16),
}  # fmt: skip
"""Name -> class of that package, sizes of keys and of the tag."""
TAGS = {"AES-CCM": (4, 6, 8, 10, 12, 14, 16), "AES-GCM": (4, 8, 12, 13, 14, 15, 16)}
"""Name -> the other sizes that its tag may have (NIST SP 800-38C section A.1, SP 800-38D section 5.2.1.2)."""
_AES, _CAMELLIA, _DES = ("AES", (16, 24, 32)), ("Camellia", (16, 24, 32)), ("TripleDES", (8, 16, 24))
CIPHERS = {
    "AES-CTR": (*_AES, "CTR", 16, 0), "AES-CFB": (*_AES, "CFB", 16, 0), "AES-CFB8": (*_AES, "CFB8", 16, 0), "AES-OFB": (*_AES, "OFB", 16, 0),
    "AES-CBC": (*_AES, "CBC", 16, 16), "AES-ECB": (*_AES, "ECB", 0, 16), "CAMELLIA-CBC": (*_CAMELLIA, "CBC", 16, 16),
    "3DES-CBC": (*_DES, "CBC", 8, 8), "3DES-ECB": (*_DES, "ECB", 0, 8), "CHACHA20": ("ChaCha20", (32,), "", 16, 0),
}  # fmt: skip
"""Name -> class of that package, sizes of keys, mode, bytes of the nonce, and of a block that has to be full, 0 where none has to be."""


def _library(module: str) -> Value:
    try:
        import cryptography.hazmat.primitives.ciphers as ciphers
        import cryptography.hazmat.primitives.ciphers.aead as aead
    except ImportError as error:
        raise UnfitError("the package cryptography: pip install 'packetlab[crypto]'", str(error)) from None
    return aead if module == "aead" else ciphers


def _old(called: str, where: Value) -> Value:
    """Return a cipher or mode of that package, which moves those that are out of use to a place of their own."""
    try:
        old: Value = import_module(where.__name__.replace("primitives", "decrepit"))
    except ImportError:  # older versions have none
        return getattr(where, called)
    return getattr(old, called, None) or getattr(where, called)


@lru_cache(64)
def _classes(algorithm: str) -> tuple[Value, Value, Value]:
    """Return what that package has for a cipher, an algorithm and a mode."""
    library, (called, _, mode, _, _) = _library("ciphers"), CIPHERS[algorithm]
    of = _old(called, library.algorithms) if mode else getattr(library.algorithms, called)
    return library.Cipher, of, _old(mode, library.modes) if mode else None


@lru_cache(64)
def _sealing(algorithm: str, key: bytes, tag: int) -> Value:
    called, sizes, _ = AEADS[algorithm]
    _check_size(key, sizes, algorithm)
    if called == "AESGCM" and tag < 16:
        return _ShortGCM(key, tag)
    of = getattr(_library("aead"), called)
    return of(key, tag) if called == "AESCCM" else of(key)


class _ShortGCM:
    """AES-GCM with the first bytes of its tag alone, which the class of that package does not have."""

    def __init__(self, key: bytes, tag: int) -> None:
        self.key, self.tag, self.library = key, tag, _library("ciphers")

    def _cipher(self, nonce: bytes, tag: bytes | None) -> Value:
        modes = self.library.modes
        return self.library.Cipher(self.library.algorithms.AES(self.key), modes.GCM(nonce, tag, self.tag))

    def encrypt(self, nonce: bytes, data: bytes, aad: bytes) -> bytes:
        work = self._cipher(nonce, None).encryptor()
        work.authenticate_additional_data(aad)
        sealed: bytes = work.update(data) + work.finalize()
        return sealed + bytes(work.tag)[: self.tag]

    def decrypt(self, nonce: bytes, data: bytes, aad: bytes) -> bytes:
        work = self._cipher(nonce, data[-self.tag :]).decryptor()
        work.authenticate_additional_data(aad)
        found: bytes = work.update(data[: -self.tag]) + work.finalize()
        return found


forgetting.append(_sealing.cache_clear)


def _check_size(key: bytes, sizes: tuple[int, ...], algorithm: str) -> None:
    """Refuse a key of another size. UnfitError."""
    if len(key) not in sizes:
        raise UnfitError(f"a key of {' or '.join(map(str, sizes))} bytes for {algorithm}", f"{len(key)} bytes")


class _Keyed(Transform):
    def nonce(self, nonce: Value, iv: Value, size: int) -> bytes:
        """Return a nonce of so many bytes: one that is shorter has zeros before it, and `iv` is xored over all of it."""
        if nonce.__class__ is bytes and not iv and (len(nonce) == size or (len(nonce) < size and isinstance(self.given["nonce"], Expr))):
            return nonce.rjust(size, b"\0")
        if nonce is None:
            raise UnfitError("a nonce", "none: the field is absent")
        nonce, iv = as_bytes(nonce), as_bytes(iv)
        if len(iv) > size or len(nonce) > size or (not iv and 0 < len(nonce) != size and not isinstance(self.given["nonce"], Expr)):
            raise UnfitError(f"a nonce of {size} bytes", f"{len(nonce)} bytes")
        if not iv:
            filled: bytes = nonce.rjust(size, b"\0")
            return filled
        return (int.from_bytes(nonce, "big") ^ int.from_bytes(iv, "big")).to_bytes(size, "big")


def _check_keys(given: dict[str, Value], where: str) -> None:
    for word in ("key", "nonce", "iv"):
        if not (word == "nonce" and isinstance(given[word], SumPart) and given[word].word == "span"):
            hint = 'span("a", "b") is the bytes of the header from a to b' if word == "nonce" else ""
            key_parameter(given[word], where, word, hint)


class AEAD(_Keyed):
    """See `aead`; `tag` is how many bytes the tag has."""

    tag: int
    name, usual = "aead", {"algorithm": "", "key": None, "nonce": None, "iv": b"", "aad": b"", "tag": None}

    def check(self, where: str) -> None:
        if self.given["algorithm"] not in AEADS:
            raise DeclareError(where, f"one of {', '.join(AEADS)}", f"{self.given['algorithm']!r:.60}")
        tag, algorithm = self.given["tag"], self.given["algorithm"]
        if tag is not None and (type(tag) is not int or tag not in TAGS.get(algorithm, (AEADS[algorithm][2],))):
            sizes = TAGS.get(algorithm, (AEADS[algorithm][2],))
            raise DeclareError(f"{where}, tag", f"{' or '.join(map(str, sizes))} bytes for {algorithm}", f"{tag!r:.60}")
        self.tag = tag or AEADS[algorithm][2]
        _check_keys(self.given, where)
        aad = self.given["aad"]
        if isinstance(aad, Expr) or not (aad == SELF or (isinstance(aad, SumPart) and aad.word == "span")):
            key_parameter(aad, where, "aad", '"self" is all of the header before the field, span("a", "b") the part of it from a to b')

    def _sealed(self, opening: bool, algorithm: str, data: bytes, key: Value = b"", nonce: Value = b"", iv: Value = b"", aad: Value = b"") -> bytes:
        tag = self.tag
        if opening and len(data) < tag:
            raise UnfitError(f"{tag} bytes of a tag", f"{len(data)} bytes")
        made = _sealing(algorithm, key if key.__class__ is bytes else as_bytes(key), tag)
        size = 13 if AEADS[algorithm][0] == "AESCCM" and len(as_bytes(nonce)) == 13 else 12
        nonce, aad = self.nonce(nonce, iv, size), aad if aad.__class__ is bytes else as_bytes(aad)
        try:
            found: bytes = (made.decrypt if opening else made.encrypt)(nonce, data, aad)
        except Exception as error:  # InvalidTag, or what the system's library lacks
            got = "another one" if type(error).__name__ == "InvalidTag" else f"{type(error).__name__} {error}".strip()
            raise UnfitError(f"the tag of {algorithm} for this key, nonce and data", got) from None
        return found

    def quick(self, which: int) -> Callable[[bytes], bytes]:
        known = {word: value for word, value in self._known.items() if word not in ("algorithm", "tag") and not isinstance(value, Secret)}
        return partial(self._sealed, not which, self.given["algorithm"], **known)

    def decoded(
        self, data: bytes, algorithm: str = "", key: Value = b"", nonce: Value = b"", iv: Value = b"", aad: Value = b"", tag: Value = None
    ) -> bytes:  # fmt: skip
        return self._sealed(True, algorithm, data, key, nonce, iv, aad)

    def encoded(
        self, data: bytes, algorithm: str = "", key: Value = b"", nonce: Value = b"", iv: Value = b"", aad: Value = b"", tag: Value = None
    ) -> bytes:  # fmt: skip
        return self._sealed(False, algorithm, data, key, nonce, iv, aad)

    def size(self, size: int) -> int:
        return size + self.tag


class Cipher(_Keyed):
    name, usual = "cipher", {"algorithm": "", "key": None, "nonce": b"", "iv": b"", "padding": "pkcs7"}

    def check(self, where: str) -> None:
        if self.given["algorithm"] not in CIPHERS:
            raise DeclareError(where, f"one of {', '.join(CIPHERS)}", f"{self.given['algorithm']!r:.60}")
        _check_keys(self.given, where)
        if self.given["padding"] not in ("pkcs7", "none"):
            raise DeclareError(f"{where}, padding", '"pkcs7", or "none" where what is inside fills whole blocks', f"{self.given['padding']!r:.60}")

    @property
    def block(self) -> int:
        """Bytes of a block that has to be full, 0 where none has to be."""
        return CIPHERS[self.given["algorithm"]][4]

    def _made(self, algorithm: str, key: Value, nonce: Value, iv: Value) -> Value:
        (_, sizes, mode, size, _), (whole, of, how), key = CIPHERS[algorithm], _classes(algorithm), as_bytes(key)
        _check_size(key, sizes, algorithm)
        nonce = self.nonce(nonce, iv, size) if size else b""
        if not mode:
            return whole(of(key, nonce), mode=None)
        return whole(of(key), how(nonce) if size else how())

    def decoded(
        self, data: bytes, algorithm: str = "", key: Value = b"", nonce: Value = b"", iv: Value = b"", padding: str = "pkcs7"
    ) -> bytes:  # fmt: skip
        if self.block and (len(data) % self.block or not (data or padding == "none")):
            raise UnfitError(f"whole blocks of {self.block} bytes", f"{len(data)} bytes")
        work = self._made(algorithm, key, nonce, iv).decryptor()
        found: bytes = work.update(data) + work.finalize()
        if self.block and padding == "pkcs7":  # RFC 5652 section 6.3
            fill = found[-1]
            if not 1 <= fill <= self.block or found[-fill:] != bytes((fill,)) * fill:
                raise UnfitError("a last block that is filled up as in PKCS #7", "another: a wrong key?")
            found = found[:-fill]
        return found

    def encoded(
        self, data: bytes, algorithm: str = "", key: Value = b"", nonce: Value = b"", iv: Value = b"", padding: str = "pkcs7"
    ) -> bytes:  # fmt: skip
        fill = self.block - len(data) % self.block if self.block else 0
        if self.block and padding == "none" and fill < self.block:
            raise UnfitError(f"whole blocks of {self.block} bytes inside, as padding is none", f"{len(data)} bytes")
        data += bytes((fill,)) * fill if padding == "pkcs7" else b""
        work = self._made(algorithm, key, nonce, iv).encryptor()
        found: bytes = work.update(data) + work.finalize()
        return found

    def size(self, size: int) -> int:
        return size // self.block * self.block + self.block if self.block and self.given["padding"] == "pkcs7" else size


def aead(algorithm: str, *, key: Value, nonce: Value, iv: Value = b"", aad: Value = b"", tag: int | None = None) -> Transform:
    """Encrypted and authenticated bytes, with the tag after them: "AES-GCM", "AES-CCM", "AES-CCM-8", "AES-GCM-SIV", "AES-OCB" or
    "CHACHA20-POLY1305" (RFC 5116, 5297, 6655, 7253, 8439, 8452).

    `key` is ``secret("name")``, or bytes where it is no secret. `aad` is what is authenticated too: "self" is all of the header
    that stands before the field, ``span("a", "b")`` the part of it from a to b, which have fixed sizes. Of a field these are its bytes as they are sent. A rule of fields has as many bytes as the greatest number
    it comes to, and as the widest of them: ``aad=(field("a") << 16) | field("b")`` is all bytes of both, b having 16 bits.

    `nonce` is ``field("nonce")`` or bytes: of a number of a fixed width, and of bytes, those that are sent; of digits, packed digits and
    varints, and of a rule of fields, the number, highest byte first. One that is shorter has zeros before it. One that comes to less than 0,
    or to more than there is room for, is a fault, and a BuildError. It may be ``span("a", "b")`` too. `iv` is xored over it, as TLS 1.3 and QUIC do.

    `tag` is how many bytes the tag has, where that is not the usual 16 (8 of "AES-CCM-8"): of "AES-CCM" 4 to 16, even ones, as Bluetooth LE and
    IEEE 802.15.4 have them, of "AES-GCM" 4, 8 or 12 to 16. Needs the extra `crypto`.
    """
    return AEAD(algorithm=algorithm, key=key, nonce=nonce, iv=iv, aad=aad, tag=tag)


def cipher(algorithm: str, *, key: Value, nonce: Value = b"", iv: Value = b"", padding: str = "pkcs7") -> Transform:
    """Encrypted bytes: "AES-CTR", "AES-CFB" (of 128 bits, as in RFC 3826), "AES-CFB8", "AES-OFB", "CHACHA20", or whole blocks: "AES-CBC", "AES-ECB",
    "CAMELLIA-CBC", "3DES-CBC", "3DES-ECB" (with a key of 8 bytes they are DES).

    `key`, `nonce` and `iv` are as for `aead`. Blocks are filled up as in PKCS #7; with ``padding="none"`` by what is inside, as in ESP,
    whose trailer is fields of a header there.
    """
    return Cipher(algorithm=algorithm, key=key, nonce=nonce, iv=iv, padding=padding)
