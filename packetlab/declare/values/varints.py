"""Coded numbers: whole numbers that take as many bytes as they need, in the forms that protocols have for that.

A number may be written in more bytes than it needs. One that was read so is a `Spelled`: the number, and the bytes that it
takes. Everywhere else it is the number; who writes it writes as many bytes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, TypeAlias

from packetlab.declare.kinds import Kind, WholeNumber, explained
from packetlab.errors import BuildError, DeclareError

WIDEST = 64
"""Bits of the numbers that are read: what is larger is a fault."""


WIDEST_SIZED = 2048
"""Bytes of a number whose size something else tells: the modulus of a key of RSA has 512, with its sign 513."""


SHORTEST = "the shortest form"


class Spelled(int):
    """A whole number that is written in `size` bytes, more than it needs.

    It is read as such, and may be given to a field of coded numbers: ``Note(length=Spelled(5, 2))``. It compares and
    hashes as the number.

    >>> Spelled(5, 2) == 5, Spelled(5, 2) + 1, Spelled(5, 2)
    (True, 6, Spelled(5, 2))
    """

    size: int

    def __new__(cls, number: int, size: int) -> Spelled:
        made = super().__new__(cls, number)
        made.size = size
        return made

    def __repr__(self) -> str:
        return f"Spelled({int(self)}, {self.size})"

    def __str__(self) -> str:
        return int.__repr__(self)

    def __getnewargs__(self) -> tuple[int, int]:  # type: ignore[override]
        return int(self), self.size


class CodedNumber(WholeNumber):
    """A whole number whose size follows from its value; the base of the kinds here.

    Each says how long the shortest form of a number is (`least`), whether one fits into a size (`fits`), and how it is
    packed and unpacked.
    """

    words = "a coded number"
    plain = True
    shortest = False  # whether more bytes than it needs are a fault

    def only_shortest(self, shortest: bool) -> None:
        """Let a longer spelling be a fault, or not."""
        self.shortest = self.judges = bool(shortest)
        self.surely = "{0}.__class__ is int" if shortest else ""

    def wrong(self, raw: int) -> str:
        return SHORTEST if self.shortest and type(raw) is Spelled else ""

    def least(self, number: int) -> int:
        """Return the least number of bytes that a number takes."""
        raise NotImplementedError

    def fits(self, number: int, size: int) -> bool:
        """Say whether a number can be written in `size` bytes."""
        return self.least(number) <= size

    def packed(self, number: int, size: int) -> bytes:
        """Return a number in `size` bytes."""
        raise NotImplementedError

    def unpacked(self, data: bytes, pos: int, limit: int) -> tuple[int, int] | None:
        """Return the number at ``data[pos:limit]`` and where it ends; None where there is none."""
        found = self.read(data, pos, limit)
        return None if found is None else (int(found[0]), found[1])

    def read(self, data: bytes, pos: int, limit: int) -> tuple[int, int] | None:
        found = self.unpacked(data, pos, limit)
        if found is None or not self.low <= found[0] <= self.high:
            return None
        number, end = found
        return found if end - pos == self.least(number) else (Spelled(number, end - pos), end)

    def write(self, raw: int) -> bytes:
        return self.packed(raw, raw.size if type(raw) is Spelled else self.least(raw))

    def raw(self, value: Any, where: str) -> int:
        number = super().raw(value, where)
        if type(value) is not Spelled:
            return number
        if not self.fits(number, value.size):
            raise BuildError(where, f"a size that {self.in_words()} can have for {number}", f"{value.size} bytes")
        return number if value.size == self.least(number) else value

    def respelled(self, number: int, like: int) -> int:
        """Return a number in as many bytes as another one takes where it fits, else in its shortest form."""
        longer = type(like) is Spelled and self.least(number) < like.size and self.fits(number, like.size) and (not self.shortest or number == like)
        return Spelled(number, like.size) if longer and type(like) is Spelled else int(number)

    def refused(self, data: bytes, pos: int, limit: int) -> str:
        if limit - pos < self.longest and self.unpacked(data, pos, limit) is None:
            return f"{limit - pos} byte{'s' * (limit - pos != 1)}"
        return f"0x{data[pos : min(limit, pos + self.longest)].hex()}"

    @property
    def longest(self) -> int:
        """The greatest number of bytes that one takes."""
        raise NotImplementedError

    def text(self, raw: int) -> str:
        text = super().text(raw)
        return f"{text} (in {raw.size} bytes)" if type(raw) is Spelled else text

    def in_words(self) -> str:
        return self.words + self._short_in_words + (f", {self.names.__name__}" if self.names is not None else "")

    @property
    def _short_in_words(self) -> str:
        return f", {SHORTEST}" if self.shortest else ""


class Varint(CodedNumber):
    """Groups of seven bits, with a bit on top that says whether more follow."""

    words = "a varint"
    form = "groups"

    def __init__(self, signed: bool = False, zigzag: bool = False, high_first: bool = False, most: int = 10, shortest: bool = False) -> None:
        super().__init__()
        if type(most) is not int or not 1 <= most <= 10:
            raise DeclareError("varint(most=...)", "1 to 10 bytes", repr(most))
        if signed and zigzag:
            raise DeclareError("varint(...)", "signed or zigzag", "both")
        self.signed, self.zigzag, self.high_first, self.most = signed, zigzag, high_first, most
        self.only_shortest(shortest)
        bits = min(7 * most, WIDEST)
        self.low = -(1 << bits - 1) if signed or zigzag else 0
        self.high = (1 << bits - (signed or zigzag)) - 1
        self.single = 0 if signed or zigzag else 128

    @property
    def longest(self) -> int:
        return self.most

    def least(self, number: int) -> int:
        if self.zigzag:
            number = number << 1 if number >= 0 else ~(number << 1)
        bits = (number if number >= 0 else ~number).bit_length() + self.signed
        return -(-bits // 7) or 1

    def fits(self, number: int, size: int) -> bool:
        return self.least(number) <= size <= self.most

    def packed(self, number: int, size: int) -> bytes:
        if self.zigzag:
            number = number << 1 if number >= 0 else ~(number << 1)
        if size == 2 and not self.high_first:
            return bytes((number & 127 | 128, number >> 7 & 127))
        groups = [number >> shift & 127 | 128 for shift in range(0, 7 * size, 7)]
        if self.high_first:
            groups.reverse()
        groups[-1] &= 127
        return bytes(groups)

    def read(self, data: bytes, pos: int, limit: int) -> tuple[int, int] | None:
        number, shift, end, high_first = 0, 0, pos, self.high_first
        stop = pos + self.most
        if stop > limit:
            stop = limit
        while end < stop:
            byte = data[end]
            end += 1
            number = number << 7 | byte & 127 if high_first else number | (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
        else:
            return None
        if self.zigzag:
            number = number >> 1 ^ -(number & 1)
        elif self.signed and number >> shift - 1:
            number -= 1 << shift
        if not self.low <= number <= self.high:
            return None
        # In more bytes than it takes the highest group says nothing.
        if shift > 7 and (byte < 2 or byte > 126 or high_first) and end - pos != self.least(number):
            return Spelled(number, end - pos), end
        return number, end

    def quick_read(self) -> tuple[list[str], dict[str, object]] | None:
        """Return lines that do what `read` does where the first byte is none of a `single` one (see `DigitsKind.quick_read`): mostly there are two."""
        if not self.single or self.most < 2:
            return None
        low, high = "data[{pos}] & 127 | data[{pos} + 1] << 7", "(data[{pos}] & 127) << 7 | data[{pos} + 1]"
        shortest, groups = ("data[{pos} + 1] < 128 < data[{pos}]", high) if self.high_first else ("0 < data[{pos} + 1] < 128", low)
        return _or_read([f"if {{pos}} + 1 < {{limit}} and {shortest}:", f"    {{v}} = {groups}", "    {pos} += 2"]), {"read": self.read}

    @property
    def written(self) -> str:
        two = "(bytes(({0} & 127 | 128, {0} >> 7)) if {0}.__class__ is int and 127 < {0} < 16384 else {write}({0}))"
        return two if self.single and self.most > 1 and not self.high_first else super().written

    def write(self, raw: int) -> bytes:
        if type(raw) is Spelled or self.high_first:
            return CodedNumber.write(self, raw)
        number, found = raw, bytearray()
        if self.zigzag:
            number = number << 1 if number >= 0 else ~(number << 1)
        if self.signed:
            while not -64 <= number < 64:
                found.append(number & 127 | 128)
                number >>= 7
        else:
            while number > 127:
                found.append(number & 127 | 128)
                number >>= 7
        found.append(number & 127)
        return bytes(found)

    def in_words(self) -> str:
        sort = "signed " if self.signed else "zigzag " if self.zigzag else ""
        order = ", the highest group first" if self.high_first else ""
        return f"{sort}varint of up to {self.most} bytes{order}{self._short_in_words}" + (f", {self.names.__name__}" if self.names else "")


class Prefixed(CodedNumber):
    """A number, highest byte first, whose first bits say in how many bytes it is."""

    words = "a number that begins with its size"
    form = "prefix"

    def __init__(self, bits: int = 2, sizes: tuple[int, ...] = (1, 2, 4, 8), shortest: bool = False) -> None:
        super().__init__()
        sizes = tuple(sizes) if isinstance(sizes, Iterable) else ()
        if type(bits) is not int or not 1 <= bits <= 7:
            raise DeclareError("prefixed(bits=...)", "1 to 7 bits", repr(bits))
        plain = all(type(size) is int and 1 <= size <= 8 for size in sizes)
        if not plain or [*sizes] != sorted({*sizes}) or not 1 <= len(sizes) <= 1 << bits:
            raise DeclareError("prefixed(sizes=...)", f"1 to {1 << bits} sizes of 1 to 8 bytes, rising", repr(sizes))
        self.prefix, self.sizes = bits, sizes
        self.only_shortest(shortest)
        self.marks = {size: number << 8 * size - bits for number, size in enumerate(sizes)}
        self.high = (1 << 8 * sizes[-1] - bits) - 1
        self.single = 1 << 8 - bits if sizes[0] == 1 else 0
        greatest = [(1 << 8 * size - bits) - 1 for size in sizes]
        self._ways = [*zip(sizes, greatest, [-1, *greatest], strict=False)]  # each size, what it holds, and what is in fewer bytes

    @property
    def longest(self) -> int:
        return self.sizes[-1]

    def least(self, number: int) -> int:
        bits = number.bit_length() + self.prefix
        for size in self.sizes:
            if bits <= 8 * size:
                break
        return size

    def fits(self, number: int, size: int) -> bool:
        return size in self.sizes and self.least(number) <= size

    def packed(self, number: int, size: int) -> bytes:
        return (number | self.marks[size]).to_bytes(size, "big")

    def read(self, data: bytes, pos: int, limit: int) -> tuple[int, int] | None:
        if pos >= limit:
            return None
        which = data[pos] >> 8 - self.prefix
        if which >= len(self.sizes):
            return None
        size, mask, less = self._ways[which]
        end = pos + size
        if end > limit:
            return None
        number = int.from_bytes(data[pos:end], "big") & mask
        return (number if number > less else Spelled(number, size)), end

    @property
    def written(self) -> str:
        way = "{write}({0})"
        for size, most, _ in reversed(self._ways):
            way = f"({{0}} | {self.marks[size]:#x}).to_bytes({size}, 'big') if {{0}} <= {most:#x} else {way}"
        return f"(({way}) if {{0}}.__class__ is int and {{0}} >= 0 else {{write}}({{0}}))"


class LengthOfBER(CodedNumber):
    """A length of BER: one byte up to 127, else a byte that says in how many bytes it follows."""

    words = "a length as in BER"
    form = "length"
    longest = 127

    def __init__(self, indefinite: bool = False, shortest: bool = False) -> None:
        super().__init__()
        self.indefinite = indefinite
        self.only_shortest(shortest)
        self.low, self.high = -indefinite, (1 << WIDEST - indefinite) - 1
        self.single = 0 if indefinite else 128

    def least(self, number: int) -> int:
        return 1 if number < 128 else 1 - -number.bit_length() // 8

    def fits(self, number: int, size: int) -> bool:
        return size == 1 if number < 0 else self.least(number) <= size < 128

    def packed(self, number: int, size: int) -> bytes:
        if size == 1:
            return bytes([number if number >= 0 else 128])
        return bytes([127 + size]) + number.to_bytes(size - 1, "big")

    def unpacked(self, data: bytes, pos: int, limit: int) -> tuple[int, int] | None:
        if pos >= limit or data[pos] == 255:
            return None
        first, end = data[pos], pos + 1
        if first < 128:
            return first, end
        end += first & 127
        if first == 128:
            return -1, end
        return (int.from_bytes(data[pos + 1 : end], "big"), end) if end <= limit else None

    def refused(self, data: bytes, pos: int, limit: int) -> str:
        if data[pos:limit][:1] == b"\x80":
            return "0x80, the indefinite form, which ber_length(indefinite=True) reads as -1"
        return super().refused(data, pos, limit)


class SizedInt(CodedNumber):
    """A whole number in as many bytes as something else counts, highest byte first, two's complement."""

    words = "a number of a size that is given"
    allows = "rule size condition fixed"
    form = "sized_number"
    unended = True

    def __init__(self, signed: bool = True, most: int = 8, shortest: bool = False) -> None:
        super().__init__()
        if type(most) is not int or not 1 <= most <= WIDEST_SIZED:
            raise DeclareError("most=", f"1 to {WIDEST_SIZED} bytes", repr(most))
        self.signed, self.most = signed, most
        self.only_shortest(shortest)
        self.low = -(1 << 8 * most - 1) if signed else 0
        self.high = (1 << 8 * most - signed) - 1

    @property
    def longest(self) -> int:
        return self.most

    def least(self, number: int) -> int:
        bits = (number if number >= 0 else ~number).bit_length()
        return bits // 8 + 1 if self.signed else -(-bits // 8)

    def packed(self, number: int, size: int) -> bytes:
        return number.to_bytes(size, "big", signed=self.signed)

    def unpacked(self, data: bytes, pos: int, limit: int) -> tuple[int, int] | None:
        if pos >= limit and self.signed:
            return None
        return int.from_bytes(data[pos:limit], "big", signed=self.signed), limit

    def quick_read(self) -> tuple[list[str], dict[str, object]]:
        """Return lines that do what `read` does (see `DigitsKind.quick_read`): mostly it takes no more bytes than it needs."""
        needed = "q == 1 or (q > 1 and not -2 < {v} >> 8 * q - 9 < 1)" if self.signed else "q > 0 and {v} >> 8 * q - 8"
        number = f"int.from_bytes(data[{{pos}}:{{limit}}], 'big', signed={self.signed}) if 0 < q <= {self.most} else 0"
        return ["q = {limit} - {pos}", f"{{v}} = {number}", *_or_read([f"if q <= {self.most} and ({needed}):", "    {pos} = {limit}"])], {"read": self.read}


def _or_read(lines: list[str]) -> list[str]:
    """Return lines that read a value where it is the usual one, with a call of `read` for the others."""
    return [*lines, "else:", "    {v} = {read}(data, {pos}, {limit})", "    if {v} is None: {away}", "    {v}, {pos} = {v}"]


# What stands right of the colon --------------------------------------------------------------------------------


def varint(*, signed: bool = False, zigzag: bool = False, high_first: bool = False, most: int = 10, shortest: bool = False) -> Kind:
    """The kind of a number in groups of seven bits, the lowest group first: LEB128, for ``Annotated[int, varint()]``.

    `signed` is two's complement (SLEB128); with `zigzag` 0, -1, 1, -2, ... are sent as 0, 1, 2, 3, ... (protobuf's sint64).
    `high_first` puts the highest group first, as in MIDI and in tags of BER (X.690 section 8.1.2.4.2). A number takes up to
    `most` bytes, 1 to 10, and has up to 64 bits; more are a fault. With 4 it is that of MQTT 5 section 1.5.5.
    With `shortest` a number in more bytes than it needs is a fault too, and is read and kept all the same.
    """
    return Varint(signed, zigzag, high_first, most, shortest)


def prefixed(bits: int = 2, sizes: tuple[int, ...] = (1, 2, 4, 8), *, shortest: bool = False) -> Kind:
    """The kind of a number, highest byte first, whose first `bits` bits say which of `sizes` it has in bytes (RFC 9000 section 16).

    With `shortest` more bytes than the number needs are a fault.
    """
    return Prefixed(bits, sizes, shortest)


def ber_length(*, indefinite: bool = False, shortest: bool = False) -> Kind:
    """The kind of a length in BER (X.690 section 8.1.3): one byte up to 127, else as many as the first one says, up to 64 bits.

    The indefinite form, 0x80, is a fault, or with `indefinite` the number -1, as in ``sized(field("length"), none=-1)``.
    With `shortest` more bytes than the number needs are a fault, as in DER (X.690 section 10.1).
    """
    return LengthOfBER(indefinite, shortest)


def ber_integer(most: int = 8, *, shortest: bool = False) -> Kind:
    """The kind of the contents of an INTEGER in BER (X.690 section 8.3): two's complement, in as few bytes as can be.

    More bytes than that are read too, and with `shortest` they are a fault (section 8.3.2).

    Its size, up to `most` bytes, stands elsewhere: ``value: Annotated[int, ber_integer()] = sized(field("length"), 0)``.
    """
    return SizedInt(True, most, shortest)


def sized_int(most: int = 8, *, shortest: bool = False) -> Kind:
    """The kind of a number from 0, highest byte first, whose size stands elsewhere; 0 takes no byte (uint of RFC 7252 section 3.2).

    With `shortest` zeros in front are a fault.
    """
    return SizedInt(False, most, shortest)


VarInt: TypeAlias = Annotated[int, Varint()]
SignedVarInt: TypeAlias = Annotated[int, Varint(signed=True)]
ZigZagInt: TypeAlias = Annotated[int, Varint(zigzag=True)]
QuicInt: TypeAlias = Annotated[int, Prefixed()]
MQTTInt: TypeAlias = Annotated[int, Varint(most=4)]
BERLength: TypeAlias = Annotated[int, LengthOfBER()]

explained(
    {
        VarInt: "A whole number from 0 in 1 to 10 bytes, seven bits in each, the lowest first: LEB128, as in protobuf and WebAssembly.",
        SignedVarInt: "A whole number in 1 to 10 bytes, seven bits in each, the lowest first, two's complement: SLEB128, as in WebAssembly.",
        ZigZagInt: "A whole number in 1 to 10 bytes, 0, -1, 1, -2, ... being sent as 0, 1, 2, 3, ...: sint64 of protobuf, and Kafka's.",
        QuicInt: "A whole number from 0 to 2**62 - 1 in 1, 2, 4 or 8 bytes, as its first two bits say (RFC 9000 section 16).",
        MQTTInt: "A whole number from 0 to 268435455 in 1 to 4 bytes, seven bits in each, the lowest first (MQTT 5 section 1.5.5).",
        BERLength: "A length in BER, definite: one byte up to 127, else as many as the first one says (X.690 section 8.1.3).",
    }
)
