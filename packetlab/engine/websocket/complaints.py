"""What wsproto finds wrong in a frame, as what was expected and what was received (RFC 6455 sections 5.1 to 5.5)."""

from __future__ import annotations

import re

_KNOWN = (
    (
        r"expected CONTINUATION, got <Opcode\.(\w+): \d+>",
        "a continuation frame of the message that was begun",
        "a new {0} frame",
    ),
    (r"unexpected CONTINUATION", "a text or binary frame", "a continuation frame of no message"),
    (r"Invalid attempt to fragment control frame", "a control frame in one piece", "one in fragments"),
    (r"server received unexpected unmasked frame", "masked frames from a client", "one without a mask"),
    (r"client received unexpected masked frame", "frames without a mask from a server", "a masked one"),
    (r"Control frame with payload len > 125", "at most 125 bytes in a control frame", "more"),
    (
        r"Payload length used 2 bytes when 1 would have sufficed",
        "the shortest form of the length",
        "2 bytes for what 1 can say",
    ),
    (
        r"Payload length used 8 bytes when 2 would have sufficed",
        "the shortest form of the length",
        "8 bytes for what 2 can say",
    ),
    (r"8-byte payload length with non-zero MSB", "a length below 2**63", "one with its highest bit set"),
    (r"CLOSE with 1 byte payload", "a close frame that is empty or begins with a code of 2 bytes", "1 byte"),
    (r"CLOSE with invalid code", "a close code from 1000 to 4999", "another"),
    (
        r"remote CLOSE with local-only reason",
        "a close code that may be sent",
        "one that only says what was not received",
    ),
    (r"CLOSE with unknown reserved code", "a close code that is defined, or from 3000 to 4999", "a reserved one"),
    (r"Error decoding CLOSE reason: (.*)", "a close reason in UTF-8", "{0}"),
    (r"'utf-8' codec can't decode (.*)", "text in UTF-8", "{0}"),
    (r"Reserved bit set unexpectedly", "reserved bits of 0", "one that is set"),
    (r"Invalid opcode (.*)", "an opcode that is defined", "{0}"),
)


def complaint(text: str) -> tuple[str, str]:
    """Return (expected, got) for the text of a ``ParseFailed``.

    >>> complaint("expected CONTINUATION, got <Opcode.TEXT: 1>")
    ('a continuation frame of the message that was begun', 'a new TEXT frame')
    """
    for pattern, expected, got in _KNOWN:
        found = re.fullmatch(pattern, text, re.DOTALL)
        if found:
            return expected, got.format(*found.groups())
    return "a frame by the rules of RFC 6455", text
