"""Bytes as hexadecimal and text, sixteen a line."""

from __future__ import annotations


def hexdump(data: bytes, indent: str = "") -> str:
    """Return offset, bytes and printable ASCII; everything else as a dot, so nothing in it acts on a terminal."""
    lines = []
    for at in range(0, len(data), 16):
        piece = data[at : at + 16]
        pairs = " ".join(piece[i : i + 2].hex() for i in range(0, len(piece), 2))
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in piece)
        lines.append(f"{indent}{at:04x}  {pairs:<39}  {text}")
    return "\n".join(lines)
