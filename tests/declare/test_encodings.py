"""Text in every encoding of Python's: also in those that cannot write all that they read, or write some letters in two."""

from __future__ import annotations

import encodings.aliases
import re
from typing import Annotated

import pytest

from packetlab import (
    BuildError,
    Bytes,
    Capture,
    DeclareError,
    Ether,
    Header,
    Rest,
    bindings,
    contains,
    dissect,
    ended,
    text,
)

ACCEPTED = []
for name in sorted({*encodings.aliases.aliases.values()}):
    try:
        text(name)
        ACCEPTED.append(name)
    except DeclareError:
        pass


@pytest.mark.parametrize("encoding", ACCEPTED)
def test_all_that_ascii_has_is_written_and_read_or_refused(encoding: str) -> None:
    end = b"\n".ljust(text(encoding).unit, b"\0") if not encoding.endswith("be") else b"\n".rjust(text(encoding).unit, b"\0")
    with bindings():

        class Note(Header, under=Ether, when={"type": 0x7DA4}):
            line: Annotated[str, text(encoding)] = ended(end, "")
            words: Annotated[str, text(encoding, rest=True)] = ""

        assert "line" in str(dissect(bytes(Ether() / Note()), Ether).show())
        capture = Capture.of([Ether() / Note(words="ab")])
        for letter in map(chr, range(32, 127)):
            try:
                written = letter.encode(encoding)
            except UnicodeEncodeError:
                refused = re.escape(f"expected text that {encoding.replace('_', '-')} can carry, got {letter!a}").replace("\\-", "[-_]")
                for given in ({"words": letter}, {"line": letter}, {"words": contains(letter)}):
                    with pytest.raises(BuildError, match=f"Note.(words|line): {refused}"):
                        Note(**given)
                with pytest.raises(BuildError, match="filter, column 21: expected a value for Note.words, text that"):
                    capture.where(f'note.words contains "{letter}"')
                continue
            packet = Ether() / Note(words=letter)
            assert bytes(packet)[14:] == end + written and bytes(dissect(bytes(packet), Ether)) == bytes(packet)
            assert dissect(bytes(packet), Ether)[Note].words == written.decode(encoding)
            assert Capture.of([packet]).where(Note(words=contains(letter))).count() == 1


def test_half_a_letter_is_refused_as_a_piece_of_bytes_too() -> None:
    class Blob(Header, under=Ether, when={"type": 0x7DA5}):
        line: Bytes = ended(b"\0", b"")
        rest: Rest = b""

    for pattern in ({"line": contains("\ud800")}, {"rest": contains("\ud800")}):
        with pytest.raises(BuildError, match="expected text that UTF-8 can carry"):
            Blob(**pattern)
