"""What a pcapng file says in addition to its frames, one class a kind of block: section, names, statistics, secrets, custom data.

Section numbers are those of draft-ietf-opsawg-pcapng. `read_block` reads a block's body; what it does not understand stays a
`Block`. Numbers inside options that are kept as bytes are little-endian, whatever the file's order is. Writing them is
`pcapng_write`'s. Texts come from files and are not to be trusted: what shows them escapes them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from struct import Struct, error as struct_error
from typing import NamedTuple

from packetlab.capture.frame import InterfaceDescription
from packetlab.declare.values.addresses import ip_text, mac_bytes
from packetlab.errors import CaptureError

NANOSECONDS = 1_000_000_000
MOST_OPTIONS = 4096  # of a block; more is taken for damage
MOST_NAMES = 65_536  # records and names of a block; one with more is kept as a `Block`
NAMES, STATISTICS, JOURNAL, SECRETS = 4, 5, 9, 10
CUSTOM, CUSTOM_HERE = 0x00000BAD, 0x40000BAD  # may be copied to another file; holds for this file only (4.9)
NOT_TO_BE_COPIED = (19372, 19373)  # custom options that hold for the file they were written to only (3.5.1)
_PENS = {2988: 4, 2989: 4, 19372: 4, 19373: 4}  # custom options begin with a number (3.5.1)
_COUNTERS = dict.fromkeys((4, 5, 6, 7, 8), 8)
_SIZES = {1: 4, 2: 16, 3: 6, 4: 8}  # bytes of an address by kind of name record (4.5)

Options = tuple[tuple[int, bytes], ...]


class Block(NamedTuple):
    """One block of a pcapng file as it stands there (section 3.1). ``bytes(block)`` is the whole of it.

    Attributes:
        kind: block type. body: what is between the two lengths. big_endian: byte order. section: from 0.
    """

    kind: int
    body: bytes
    big_endian: bool = False
    section: int = 0

    def __bytes__(self) -> bytes:
        order = ">I" if self.big_endian else "<I"
        size = Struct(order).pack(len(self.body) + 12)
        return Struct(order).pack(self.kind) + size + self.body + size


class Section(NamedTuple):
    """The head of a section (4.1): on what and with what it was captured, and comments on the whole.

    `options` are others (code, value).
    """

    comments: tuple[str, ...] = ()
    hardware: str = ""
    os: str = ""
    application: str = ""
    options: Options = ()


class Names(NamedTuple):
    """Names of addresses (4.5): `entries` are (address in words, its names), `server` who said so, `others` records kept as they are."""

    entries: tuple[tuple[str, tuple[str, ...]], ...] = ()
    comments: tuple[str, ...] = ()
    server: str = ""
    options: Options = ()
    others: Options = ()

    @classmethod
    def of(cls, names: Mapping[str, str | Iterable[str]]) -> Names:
        """Return names of addresses, from {address: name or names}. ValueError where an address is none."""
        entries = []
        for address, some in names.items():
            address_bytes(address)
            entries.append((address, (some,) if isinstance(some, str) else tuple(some)))
        return cls(tuple(entries))


class Statistics(NamedTuple):
    """What the capture on one interface came to (4.6). Counts are None where nobody counted.

    Attributes:
        time_ns: when this was counted. start_ns, end_ns: when the capture began and ended.
        received, dropped: frames that the interface received, and lost for want of room. accepted: that passed the filter.
        os_dropped: lost by the system. delivered: handed to the one who captured.
    """

    interface: InterfaceDescription
    time_ns: int = 0
    start_ns: int | None = None
    end_ns: int | None = None
    received: int | None = None
    dropped: int | None = None
    accepted: int | None = None
    os_dropped: int | None = None
    delivered: int | None = None
    comments: tuple[str, ...] = ()
    options: Options = ()


class Secrets(NamedTuple):
    """Keys with which what was captured can be read (4.8): `kind` is "tls" (an NSS key log), "ssh", "wireguard", ... or a number."""

    kind: str | int
    data: bytes
    comments: tuple[str, ...] = ()
    options: Options = ()


class Custom(NamedTuple):
    """Somebody's own data (4.9): `pen` is their number at IANA; `copy` whether it may go to another file."""

    pen: int
    data: bytes
    copy: bool = True


MetadataBlock = Section | InterfaceDescription | Names | Statistics | Secrets | Custom | Block

SECRETS_KINDS = {
    "tls": 0x544C534B, "ssh": 0x5353484B, "wireguard": 0x57474B4C, "zigbee nwk": 0x5A4E574B, "zigbee aps": 0x5A415053,
}  # fmt: skip


def address_bytes(address: str) -> bytes:
    """Return the bytes of an address in words: IPv4, IPv6, EUI-48 or EUI-64. ValueError for any other.

    An EUI-64 has dashes: with colons it would be an IPv6 address.
    """
    import ipaddress

    try:
        return ipaddress.ip_address(address).packed
    except ValueError:
        pass
    parts = address.split("-")
    if len(parts) == 8 and all(len(part) == 2 for part in parts):
        return bytes.fromhex("".join(parts))
    return mac_bytes(address)


def options_of(body: bytes, at: int, sign: str, where: str) -> list[tuple[int, bytes]]:
    """Return the options (3.5) from `at` on. CaptureError where one reaches beyond its block, or there are too many."""
    found: list[tuple[int, bytes]] = []
    unpack = Struct(sign + "HH").unpack_from
    while at + 4 <= len(body):
        code, size = unpack(body, at)
        if code == 0:
            break
        if at + 4 + size > len(body):
            raise CaptureError(where, f"an option of {len(body) - at - 4} bytes at most", size)
        if len(found) == MOST_OPTIONS:
            raise CaptureError(where, f"{MOST_OPTIONS} options of a block at most", "more")
        found.append((code, body[at + 4 : at + 4 + size]))
        at += 4 + size + -size % 4
    return found


def kept(code: int, value: bytes, sign: str, numbers: Mapping[int, int]) -> tuple[int, bytes]:
    """Return an option to be kept as it is, the number in front of it (`numbers`: its width) little-endian."""
    width = numbers.get(code, _PENS.get(code, 0)) if sign == ">" else 0
    return (code, value[:width][::-1] + value[width:]) if len(value) >= width else (code, value)


def words(value: bytes) -> str:
    """Return a text of the file: UTF-8 without a terminator (3.5); some writers add one, and then what lay after it."""
    return value.split(b"\0")[0].decode("utf-8", "backslashreplace")


def read_block(
    kind: int, body: bytes, sign: str, section: int, interfaces: list[InterfaceDescription]
) -> MetadataBlock:
    """Return what a block says that holds no frame and is neither a section nor an interface."""
    block = Block(kind, body, sign == ">", section)
    reader = _READERS.get(kind)
    try:
        return block if reader is None else reader(kind, body, sign, interfaces)
    except (CaptureError, struct_error, IndexError):
        return block  # not what it says it is: kept as it stands


def section(body: bytes, sign: str, where: str) -> Section:
    """Return the head of a section. CaptureError where its options are damaged."""
    texts, comments, others = _sorted_options(options_of(body, 16, sign, where), (2, 3, 4), sign, {})
    hardware, os, application = (words(texts.get(code, b"")) for code in (2, 3, 4))
    return Section(comments, hardware, os, application, others)


def _sorted_options(
    options: list[tuple[int, bytes]], known: Iterable[int], sign: str, numbers: Mapping[int, int]
) -> tuple[dict[int, bytes], tuple[str, ...], Options]:
    """Sort options: known ones by code, comments, others."""
    values: dict[int, bytes] = {}
    comments, others = [], []
    for code, value in options:
        if code == 1:
            comments.append(words(value))
        elif code in known and code not in values:
            values[code] = value
        else:
            others.append(kept(code, value, sign, numbers))
    return values, tuple(comments), tuple(others)


def _names(kind: int, body: bytes, sign: str, interfaces: list[InterfaceDescription]) -> Names:
    at, room, entries, others = 0, MOST_NAMES, [], []
    unpack = Struct(sign + "HH").unpack_from
    while at + 4 <= len(body):
        what, size = unpack(body, at)
        value = body[at + 4 : at + 4 + size]
        at += 4 + size + -size % 4
        if what == 0:
            break
        room -= 1 + value.count(0)
        if len(value) < size or room < 0:
            raise IndexError(size)
        if what not in _SIZES or size < _SIZES[what]:
            others.append((what, value))
            continue
        raw = value[: _SIZES[what]]
        names = tuple(part.decode("utf-8", "backslashreplace") for part in value[len(raw) :].split(b"\0") if part)
        entries.append((ip_text(raw) if what < 3 else raw.hex(":" if what == 3 else "-"), names))
    known, comments, more = _sorted_options(options_of(body, at, sign, "names"), (2,), sign, {})
    return Names(tuple(entries), comments, words(known.get(2, b"")), more, tuple(others))


def _statistics(kind: int, body: bytes, sign: str, interfaces: list[InterfaceDescription]) -> Statistics:
    which, high, low = Struct(sign + "III").unpack_from(body)
    interface = interfaces[which]
    known, comments, others = _sorted_options(options_of(body, 12, sign, "statistics"), range(2, 9), sign, _COUNTERS)

    def time(high: int, low: int) -> int:
        moment: int = (high << 32 | low) * NANOSECONDS // interface.resolution + interface.offset * NANOSECONDS
        return moment

    start, end = (time(*Struct(sign + "II").unpack(known[code])) if code in known else None for code in (2, 3))
    counts = (Struct(sign + "Q").unpack(known[code])[0] if code in known else None for code in range(4, 9))
    received, dropped, accepted, os_dropped, delivered = counts
    return Statistics(
        interface, time(high, low), start, end, received, dropped, accepted, os_dropped, delivered, comments, others
    )


def _secrets(kind: int, body: bytes, sign: str, interfaces: list[InterfaceDescription]) -> Secrets:
    number, size = Struct(sign + "II").unpack_from(body)
    if 8 + size > len(body):
        raise IndexError(size)
    _, comments, others = _sorted_options(options_of(body, 8 + size + -size % 4, sign, "secrets"), (), sign, {})
    name = next((name for name, known in SECRETS_KINDS.items() if known == number), number)
    return Secrets(name, body[8 : 8 + size], comments, others)


def _custom(kind: int, body: bytes, sign: str, interfaces: list[InterfaceDescription]) -> Custom:
    # Where the data ends and options begin, if there are any, only the owner of the number knows.
    (pen,) = Struct(sign + "I").unpack_from(body)
    return Custom(pen, body[4:], kind == CUSTOM)


_READERS: dict[int, Callable[[int, bytes, str, list[InterfaceDescription]], MetadataBlock]] = {
    NAMES: _names,
    STATISTICS: _statistics,
    SECRETS: _secrets,
    CUSTOM: _custom,
    CUSTOM_HERE: _custom,
}
