"""Declarations that travel in a capture file: the section header carries them as custom options, and nobody runs them.

Each is a piece of one text of JSON (see `packetlab.schema.dump`) in options 2988: words of one's own that may be
copied (pcapng section 3.5.1). As options of the section they stand before the first frame, are no block that other
tools would show as a frame or refuse to rewrite, and stay when editcap, mergecap or tshark write the file anew. The
enterprise number is the one for examples (RFC 5612), so the words before each piece say whose they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from struct import Struct
from typing import TYPE_CHECKING

from packetlab.errors import CaptureError, DeclareError

if TYPE_CHECKING:
    from packetlab.capture.files.blocks import Section
    from packetlab.packet.packet import Header
    from packetlab.schema.load import Declarations

OPTION, PEN = 2988, 32473
LARGEST = 1 << 24  # bytes of all declarations in a file
PIECE = 60_000  # letters of an option, which holds 65535 bytes
_BEGINNING = Struct("<I").pack(PEN) + b"packetlab declarations 1, "
_PIECE = re.compile(rb"piece (\d{1,3}) of (\d{1,3}): ")


def encode_declarations(headers: Iterable[type[Header]]) -> tuple[tuple[int, bytes], ...]:
    """Return the options that carry the declarations of `headers`, and of those they need; DeclareError where one cannot travel."""
    some = list(headers)
    if not some:
        return ()
    from packetlab.schema.dump import described
    from packetlab.schema.load import to_json

    letters = to_json(described(some)).encode("ascii")
    pieces = [letters[at : at + PIECE] for at in range(0, len(letters), PIECE)]
    return tuple(
        (OPTION, _BEGINNING + b"piece %d of %d: " % (number, len(pieces)) + piece)
        for number, piece in enumerate(pieces, 1)
    )


def is_offer(option: tuple[int, bytes]) -> bool:
    """Whether an option carries a piece of declarations."""
    return option[0] == OPTION and option[1].startswith(_BEGINNING)


class Offers:
    """The sections of a file that offer declarations, as far as they are to be kept."""

    def __init__(self) -> None:
        self.sections: list[Section] = []
        self._size = 0

    def hear(self, section: Section) -> None:
        """Keep a section if it offers any. CaptureError once all take more than LARGEST bytes."""
        if any(map(is_offer, section.options)):
            self._size += sum(len(value) for _, value in section.options)
            if self._size > LARGEST:
                raise CaptureError("sections", f"declarations of {LARGEST} bytes at most", self._size)
            self.sections.append(section)


def decode_declarations(sections: Iterable[Section], name: str) -> Declarations:
    """Return what the sections of a file offer; declares nothing. CaptureError where that is damaged or makes no sense."""
    from packetlab.schema.load import declarations, from_json

    found: dict[str, None] = {}
    for section in sections:
        pieces: list[bytes] = []
        for option in filter(is_offer, section.options):
            head = _PIECE.match(option[1], len(_BEGINNING))
            if head is None or not len(pieces) + 1 == int(head[1]) <= int(head[2]):
                raise CaptureError(name, "declarations in whole pieces, one after the other", "others")
            pieces.append(option[1][head.end() :])
            if int(head[1]) == int(head[2]):
                found[b"".join(pieces).decode("ascii", "replace")] = None
                pieces = []
        if pieces:
            raise CaptureError(name, "all pieces of a declaration", f"{len(pieces)}")
    try:
        # Several sections, as of merged files, may offer the same.
        sets = [from_json(letters) for letters in found]
        if len(sets) == 1:
            return sets[0]
        known: dict[str, object] = {}
        for one in (declaration for some in sets for declaration in some):
            if known.setdefault(one.name, one.description) != one.description:
                raise DeclareError(one.name, "one declaration of each name", "two that differ")
        return declarations(list(known.values()))
    except DeclareError as error:
        raise CaptureError(f"{name}, {error.where}", error.expected, error.got, error.hint) from None
