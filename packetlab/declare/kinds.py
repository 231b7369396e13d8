"""Kinds of fields: how one value is checked, kept, shown, and how wide it is.

Owns the annotations a declaration writes (`U1` ... `U64`, `MAC`, `Bytes`, `Rest`, ...); the right-hand sides are in
`fields`. A value has two forms: *raw*, as headers keep and codecs pack it (int, bytes,
tuple of headers), and the user's, as attributes show it (an enum member, an address). Knows nothing of layers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import copy
from enum import Enum, IntEnum, IntFlag
from functools import wraps
from operator import index
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from packetlab.declare.values import addresses
from packetlab.errors import BuildError, DeclareError
from packetlab.escaping import bytes_text, printable

if TYPE_CHECKING:
    import netaddr

Raw: TypeAlias = Any
"""A field's raw value: an int, bytes, a tuple of headers, or whatever a kind of a user's own makes it; its `Kind` knows."""
Lines: TypeAlias = "tuple[str, list[str], dict[str, object]]"
Forms: TypeAlias = "tuple[list[tuple[str, str]], dict[str, object]]"
Declared: TypeAlias = Any
"""A `Declaration`, which is made of kinds."""
WIDEST = 4096  # bits of a number, as in the keys of RSA; scans and arrays hold 64

Wire = Literal["number", "bytes", "open", "items", "coded", "payload", "computed"]
"""A number of some bits | bytes of a fixed size | bytes that rules or their surroundings bound | headers one after the
other | a value that tells its own size | no field, but the place of the payload."""


class Kind:
    """How values of one sort of field behave: the base of kinds of your own.

    Attributes:
        bits: the fixed width, None where it varies. zero: the raw value of a field without a default.
        low, high: the least and the greatest value of a kind of numbers, which rules may speak of.
        names: an enum of names for numbers. parts: name of a part of the bytes -> where it begins and ends.
        is_address: whether it says who sends or receives; addresses of 4, 6 or 16 bytes are rewritten as those of IP and Ethernet.
        verbatim: whether all bytes (of the width) are raw values, which `raw` takes as they are. shows_bytes: whether users see plain bytes.
        counted: whether whole numbers are taken for its bytes, so that ranges, masks and networks speak of it.
        signed, little: how a number of `bits` bits is packed. rest: whether it takes all that is left.
        item: the declaration of headers that repeat. one: whether there is just one of them. element: the kind of the values that repeat.
        single: of a varying width, numbers from 0 that are less are one byte each, and that byte. unended: whether it has no end
        of its own: its size is that of `sized(...)` or of a rule, and `read` gets just so many bytes. form: how numbers of a varying
        width lie in bytes, for who reads them without `read`: "groups", "prefix", "length" or "sized_number" (see `values.varints`).
        as_raw: the kind of raw values, where users see another form and paths end in ``.raw``. judges: whether `wrong` may find faults.
        counted_from: of names that point back, the header at whose beginning pointers begin to count (see `values.names`).

    The raw form of a fixed width is bytes. A kind of a varying width says in `read` and `write` how a value is coded, and has
    any raw form that compares and hashes. `raw`, `value` and `text` change between it and what users write and see.
    """

    bits: int | None = None
    zero: Raw = None
    low: int = 0
    high: int = -1  # below `low`: no numbers
    names: type[IntEnum | IntFlag] | None = None
    parts: Mapping[str, tuple[int, int]] = {}
    is_address = verbatim = counted = one = signed = little = rest = shows_bytes = False
    letter, single, unended, form, counted_from = "", 0, False, "", ""  # letter: of struct, where that unpacks the very values
    element: Kind | None = None
    item: Declared
    as_raw: Kind | None = None
    # surely: source that is true of some values "{0}" in which `wrong` finds nothing; plain: whether numbers from `low` to `high` are raw values; always: bytes of every value of a coded number, 0 where they vary.
    judges, surely, plain, always = False, "", False, 0
    loose = False  # whether it begins and ends at any bit (see `declare.bits`)
    wide: Any = None  # the rule that tells how many bits a number has
    transforms: tuple[Any, ...] = ()  # between a packet and the value (see `transforms.carried`)
    allows = "condition fixed"  # which right-hand sides it takes in addition to a default, see `Spec`
    words = ""  # what it is, for messages; its class name unless given
    wants = ""  # the right-hand side without which it says nothing, as in `laid_out(...)`; "" for none

    @property
    def inside(self) -> Kind:
        """The kind of what is inside, of one whose bytes stand for others; else itself."""
        return self

    def __init_subclass__(cls, **options: object) -> None:
        """Whatever a kind's own `text` returns, nothing in it acts on a terminal."""
        super().__init_subclass__(**options)
        text = vars(cls).get("text")
        if text is not None and not cls.__module__.startswith("packetlab."):
            cls.text = wraps(text)(lambda self, raw: printable(text(self, raw)))  # type: ignore[method-assign]

    def read(self, data: bytes, pos: int, limit: int) -> tuple[Raw, int] | None:
        """Return the raw value at ``data[pos:limit]`` and where it ends; None where there is no whole value."""
        raise NotImplementedError

    def write(self, raw: Raw) -> bytes:
        """Return the bytes of a raw value; `read` gives the same value from them."""
        raise NotImplementedError

    def quick_value(self) -> Lines | None:
        """For compiled code: source for a type, and lines that set `made` to what `value` gives for a `raw` of it, with their names."""

    def usual_forms(self) -> Forms:
        """For compiled code: pairs of source that is true of usual values "{0}" and source for what `raw` gives for such a one, with the names in them."""
        size = "" if self.bits is None else f" and {{len}}({{0}}) == {self.bits // 8}"
        return ([("{0}.__class__ is {bytes}" + size, "{0}")] if self.verbatim else []), {"bytes": bytes, "len": len}

    def quick_raw(self) -> Callable[[object], Raw] | None:
        """For compiled code: what gives the raw form of usual values as `raw` does, and None for all others."""

    @property
    def written(self) -> str:
        """For compiled code: source for the bytes of a raw value "{0}", in which "{write}" is `write`."""
        return "{write}({0})"

    def unfinished(self, data: bytes, pos: int, limit: int) -> bool:
        """Whether what `read` refuses could be a value if more bytes came."""
        return True

    def refused(self, data: bytes, pos: int, limit: int) -> str:
        """Return in words what is at ``data[pos:limit]``, where `read` finds no value."""
        return f"{limit - pos} bytes that are none"

    def respelled(self, raw: Raw, like: Raw) -> Raw:
        """Return a raw value in the form that another one has, where forms of one value differ (see `values.varints`)."""
        return raw

    def kept(self, raw: Raw, like: Raw) -> Raw:
        """Return the raw value that a field is to have which had `like`: that one, where it says the same in a form of its own."""
        return raw

    def raws(self, raw: Raw) -> list[Raw]:
        """Return the raw values of a kind of several values (see `declare.items`)."""
        raise NotImplementedError

    def count(self, raw: Raw) -> int:
        """Return how many values there are, of a kind of several."""
        raise NotImplementedError

    def end(self, data: bytes, pos: int, limit: int, count: int) -> int | None:
        """Return where so many values end in ``data[pos:limit]``, of a kind of several; None where there are fewer."""
        raise NotImplementedError

    def raw(self, value: Any, where: str) -> Raw:
        """Return the raw form of what a user wrote. BuildError where it does not fit."""
        raise NotImplementedError

    def value(self, raw: Raw) -> Any:
        """Return the user's form."""
        return raw

    def typed(self, wanted: Any, where: str) -> Kind:
        """Return the kind for ``Annotated[wanted, self]``. DeclareError where it cannot give values of that type."""
        return self

    def edge(self, value: Any, where: str, up: bool) -> Raw:
        """Return the raw form of a bound that a user wrote, rounded up or down where no value is just there."""
        return self.raw(value, where)

    def wrong(self, raw: Raw) -> str:
        """Return what was expected in place of a raw value that was read, "" where it is good."""
        return ""

    def remark(self, raw: Raw) -> str:
        """Return what is to be said of how a value came about, after a comma; "" for nothing."""
        return ""

    def sound(self, raw: bytes) -> bytes:
        """Return good bytes in place of any."""
        return raw

    @property
    def orders_raw(self) -> bool:
        """Whether raw values are in the order of the user's, and have the same bits: `value` makes nothing else of them."""
        return type(self).value in (Kind.value, WholeNumber.value, Address.value)

    def compared(self, raw: Raw) -> Any:
        """Return what tells which of two values is greater, and whether one is zero or empty."""
        return raw if self.orders_raw else self.value(raw)

    def text(self, raw: Raw) -> str:
        """Return the value as a person reads it, with nothing in it that a terminal would act on."""
        return printable(str(self.value(raw)))

    @property
    def wire(self) -> Wire:
        """How it lies in a packet, see `Wire`. Code that walks a declaration goes by it, and by no class of kinds."""
        return "coded" if self.bits is None else "bytes"

    @property
    def has_headers(self) -> bool:
        """Whether its values are headers, of class `item`."""
        return self.wire == "items"

    @property
    def fixed_bits(self) -> int:
        """The bits of a fixed width, 0 where it varies."""
        return self.bits or 0

    @property
    def is_number(self) -> bool:
        """Whether rules may speak of its raw values."""
        return self.low <= self.high

    def in_words(self) -> str:
        """What it is, in full."""
        return self.words or type(self).__name__

    def annotation(self) -> str:
        """What to give for it, as an annotation of Python's or in words."""
        return self.in_words()


class WholeNumber(Kind):
    """A whole number; `names` gives the values names."""

    zero = 0
    allows = "rule condition fixed"
    words = "a number"

    def __init__(self, names: type[IntEnum | IntFlag] | None = None) -> None:
        self.names = names
        self.members: dict[int, int] = {}  # of `names`, those that were requested

    def typed(self, wanted: Any, where: str) -> Kind:
        if not (isinstance(wanted, type) and issubclass(wanted, int)) or wanted is int:
            return self
        if not issubclass(wanted, Enum):
            raise DeclareError(where, "an IntEnum or IntFlag with bits(...)", wanted.__name__)
        made = copy(self)
        made.names, made.members = wanted, {}  # type: ignore[assignment]
        return made

    def annotation(self) -> str:
        return "int" if self.names is None else self.names.__name__

    def raw(self, value: Any, where: str) -> int:
        if isinstance(value, str) and self.names is not None:
            try:
                return sum({int(self.names[name.strip().upper()]) for name in value.split("|") if name.strip()})
            except KeyError:
                raise BuildError(where, f"names of {self.names.__name__}", repr(value)) from None
        try:
            number = index(value)
        except TypeError:
            raise BuildError(where, f"{self.low}..{self.high}", repr(value)) from None
        if not self.low <= number <= self.high:
            ends = (self.low, self.high) if not self.high >> 256 else ("-2**n" if self.low else "0", f"2**n - 1, n = {self.high.bit_length()}")
            raise BuildError(where, "..".join(map(str, ends)), number)
        return number

    def value(self, raw: int) -> Any:
        if self.names is None:
            return raw
        named = self.members.get(raw)
        if named is None:
            try:
                named = self.names(raw)
            except ValueError:
                return raw  # a number without a name is still a number
            if len(self.members) < 1024:
                self.members[raw] = named
        return named

    def text(self, raw: int) -> str:
        width = -(-self.fixed_bits // 4)
        if self.names is not None:
            named = self.value(raw)
            name = printable(getattr(named, "name", None) or "")
            if name:
                return f"{name} (0x{raw:0{width}x})" if issubclass(self.names, IntFlag) else f"{name} ({raw})"
        return str(raw)


class Int(WholeNumber):
    """A number of `bits` bits, big-endian unless `little`."""

    wire: Wire = "number"
    bits: int
    most = WIDEST  # bits

    def __init__(self, bits: int, *, signed: bool = False, little: bool = False, names: type[IntEnum | IntFlag] | None = None) -> None:
        if type(bits) is not int or not 1 <= bits <= self.most or (little and bits % 8):
            raise DeclareError("bits(...)", f"1 to {self.most} bits, whole bytes if little-endian", bits)
        super().__init__(names)
        self.bits = bits
        self.signed, self.little = signed, little
        self.low = -(1 << bits - 1) if signed else 0
        self.high = (1 << bits - signed) - 1

    def in_words(self) -> str:
        words = f"{'signed ' if self.signed else ''}number of {self.bits} bit{'s' if self.bits > 1 else ''}"
        words += ", lowest byte first" if self.little else ""
        return words + (f", {self.names.__name__}" if self.names is not None else "")


class Address(Kind):
    """An address of a fixed number of bytes, kept raw and converted when looked at."""

    is_address = verbatim = counted = True

    def __init__(
        self, name: str, size: int, parse: Callable[[object], bytes], value: Callable[[bytes], object],
        text: Callable[[bytes], str], zero: bytes = b"", parts: Mapping[str, tuple[int, int]] | None = None,
    ) -> None:  # fmt: skip
        self.name, self.words, self.size, self.bits = name, name, size, size * 8
        self.parts = parts or {}  # name -> where it begins and ends
        self.parse, self.convert, self._text = parse, value, text
        self.zero = zero or bytes(size)

    def annotation(self) -> str:
        first, *more = self.name.split(" ")[1:]
        return first if first == "MAC" else "".join([first, *(word.capitalize() for word in more)])

    def raw(self, value: object, where: str) -> bytes:
        try:
            return self.parse(value)
        except ValueError:
            raise BuildError(where, f"{self.name} ({self.size} bytes)", repr(value)) from None

    def value(self, raw: bytes) -> object:
        return self.convert(raw)

    def text(self, raw: bytes) -> str:
        return self._text(raw)


class ByteString(Kind):
    """Bytes: `size` of them, or as many as the declaration's rules say; `rest` is all up to the end."""

    zero = b""
    allows = "size pad ended condition fixed"
    words = "bytes"
    verbatim = shows_bytes = True

    def __init__(self, size: int | None = None, rest: bool = False) -> None:
        if size is not None and (type(size) is not int or not 0 <= size <= 1 << 24):
            raise DeclareError("fixed_bytes(...)", "a number from 0 to 16777216", size)
        self.size, self.rest = size, rest
        if size is not None:
            self.bits, self.zero = size * 8, bytes(size)

    @property
    def wire(self) -> Wire:
        return "open" if self.bits is None else "bytes"

    def in_words(self) -> str:
        return "bytes" if self.bits is None else f"{self.size} bytes"

    def annotation(self) -> str:
        return "bytes"

    def raw(self, value: object, where: str) -> bytes:
        if isinstance(value, str):
            value = utf8(value, where)
        if not isinstance(value, (bytes, bytearray, memoryview)):
            raise BuildError(where, "bytes", repr(value))
        if self.size is not None and len(value) != self.size:
            raise BuildError(where, f"{self.size} bytes", f"{len(value)} bytes")
        return bytes(value)

    def text(self, raw: bytes) -> str:
        return bytes_text(raw)


class PayloadMark(Kind):
    """Stands where the payload goes, in a header that has fields after it."""

    wire: Wire = "payload"
    allows = ""
    words = "the payload"

    def in_words(self) -> str:
        return "payload"

    def annotation(self) -> str:
        return "bytes"


def utf8(text: str, where: str) -> bytes:
    """Return text as UTF-8. BuildError for a lone surrogate, which has none."""
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise BuildError(where, "text that UTF-8 can carry", ascii(error.object[error.start : error.end])) from None


def explained(words: dict[object, str]) -> None:
    """Give annotations a docstring of their own, which `help` shows; else they have that of `typing.Annotated`."""
    for annotation, text in words.items():
        annotation.__doc__ = text


# What stands right of the colon --------------------------------------------------------------------------------

if TYPE_CHECKING:
    from packetlab.declare.values.typed import (
        MAC as MAC,
        Converted as Converted,
        IPAddress as IPAddress,
        IPv4Address as IPv4Address,
        IPv6Address as IPv6Address,
        Named as Named,
    )  # fmt: skip

    AnyXNS: TypeAlias = addresses.XNSAddress | str | int | bytes | tuple[int, netaddr.EUI | str | int | bytes, int]
    XNSAddressField: TypeAlias = Converted[addresses.XNSAddress, AnyXNS]
else:

    class Named:
        """``Annotated[Named[SomeIntEnum], bits(8)]``: gives members, and takes numbers and names too.

        In lists, and where it may be None, write the enum itself: ``tuple[Annotated[SomeIntEnum, bits(8)], ...]``.
        """

        def __class_getitem__(cls, names: type[Enum]) -> type[Enum]:
            return names

    _mac = Address("a MAC address", 6, addresses.mac_bytes, addresses.mac_value, addresses.mac_text)
    _ip4 = Address("an IPv4 address", 4, lambda v: addresses.ip_bytes(v, 4), addresses.ip_value, addresses.ip_text)
    _ip6 = Address("an IPv6 address", 16, lambda v: addresses.ip_bytes(v, 16), addresses.ip_value, addresses.ip_text)
    _xns_text, _xns_parts = lambda raw: str(addresses.XNSAddress.of(raw)), {"net": (0, 4), "host": (4, 10), "socket": (10, 12)}
    _xns = Address("an XNS address", 12, addresses.xns_bytes, addresses.XNSAddress.of, _xns_text, parts=_xns_parts)

    def _value(kind: Address) -> Any:
        """Return what stands for a kind in an annotation; called with a value in any form it gives it as the field does."""
        return type(kind.name, (), {"__new__": lambda cls, value: kind.value(kind.raw(value, kind.name))})

    MAC = Annotated[_value(_mac), _mac]
    IPv4Address = Annotated[_value(_ip4), _ip4]
    IPv6Address = Annotated[_value(_ip6), _ip6]
    XNSAddressField = Annotated[addresses.XNSAddress, _xns]

Bytes: TypeAlias = Annotated[bytes, ByteString()]
Rest: TypeAlias = Annotated[bytes, ByteString(rest=True)]
Payload: TypeAlias = Annotated[bytes, PayloadMark()]

explained({
    MAC: "A hardware address, 6 bytes. Gives `netaddr.EUI`; takes that, text in any usual form, a number, or 6 bytes.",
    IPv4Address: "An IPv4 address, 4 bytes. Gives `netaddr.IPAddress`; takes that, one of `ipaddress`, text, or 4 bytes.",
    IPv6Address: "An IPv6 address, 16 bytes. Gives `netaddr.IPAddress`; takes that, one of `ipaddress`, text, or 16 bytes.",
    XNSAddressField: "A Xerox NS address, 12 bytes: network, host, socket. Gives `XNSAddress`; takes that, text, a triple, or 12 bytes.",
    Bytes: "Bytes of varying size: as many as a length field, `sized(...)` or the end of the header leaves for them.",
    Rest: "All bytes that are left in the header's surroundings; nothing can follow them.",
    Payload: "The place of what lies above, in a header that has fields after it (a trailer).",
})  # fmt: skip


def fixed_bytes(size: int) -> Kind:
    """The kind of exactly `size` bytes, for ``Annotated[bytes, fixed_bytes(16)]``."""
    return ByteString(size)
