"""ELF object files, as far as it takes to know that one can be loaded (System V ABI, chapter 4, for 64 bits)."""

from __future__ import annotations

import sys
from functools import cache
from struct import Struct, error as struct_error

OBJECT = 1  # e_type ET_REL
SYMBOLS, NO_BITS = 2, 8  # sh_type SHT_SYMTAB, SHT_NOBITS
EXECUTABLE = 4  # sh_flags SHF_EXECINSTR
FUNCTION = 2  # the type in st_info, STT_FUNC
_SIGN = "<" if sys.byteorder == "little" else ">"
_HEADER, _SECTION, _SYMBOL = Struct(_SIGN + "16sHHIQQQIHHHHHH"), Struct(_SIGN + "IIQQQQIIQQ"), Struct(_SIGN + "IBBHQQ")


def defines(code: bytes, symbol: bytes) -> bool:
    """Whether `code` is a whole object file for this machine that has the function `symbol`."""
    try:
        ident, kind, machine, _, _, _, at, _, _, _, _, size, count, _ = _HEADER.unpack_from(code)
        if kind != OBJECT or (ident[:6], machine) != _interpreter() or size != _SECTION.size:
            return False
        sections = [_SECTION.unpack_from(code, at + i * size) for i in range(count)]
        whole = all(kind == NO_BITS or start + size <= len(code) for _, kind, _, _, start, size, *_ in sections)
        return whole and any(_has(code, symbol, table, sections) for table in sections if table[1] == SYMBOLS)
    except (struct_error, IndexError, OverflowError):
        return False


def _has(code: bytes, symbol: bytes, table: tuple[int, ...], sections: list[tuple[int, ...]]) -> bool:
    _, _, _, _, start, size, link, *_ = table
    _, _, _, _, names, names_size, *_ = sections[link]
    texts = code[names : names + names_size]
    for name, info, _, where, value, length in _SYMBOL.iter_unpack(code[start : start + size]):
        if info & 0xF == FUNCTION and texts.startswith(symbol + b"\0", name):
            return (
                0 < where < len(sections)
                and bool(sections[where][2] & EXECUTABLE)
                and value + length <= sections[where][5]
            )
    return False


@cache
def _interpreter() -> tuple[bytes, int]:
    """Return what the running interpreter's own file says of the machine: the ident's begin, and e_machine."""
    with open("/proc/self/exe", "rb") as file:
        ident, _, machine, *_ = _HEADER.unpack(file.read(_HEADER.size))
    return ident[:6], machine
