"""Values that users see in another form than the one that is packed: what all such kinds share.

The raw value is what a packet holds, kept to the bit; the user's form is worked out when somebody looks. `raw(...)` gives
a field its raw value as it is, a path that ends in ``.raw`` asks for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum, IntFlag
from operator import index
from typing import TYPE_CHECKING, Any, TypeAlias

from packetlab.declare.kinds import ByteString, Int, Kind, Raw
from packetlab.errors import DeclareError
from packetlab.escaping import bytes_text, printable

if TYPE_CHECKING:
    from numpy.typing import NDArray

Array: TypeAlias = "NDArray[Any]"
UNTYPED: tuple[object, ...] = (Any, object)
"""What stands first in ``Annotated[..., kind]`` where no type is said."""


class RawValue:
    """A raw value, given in place of the user's form: see `raw`."""

    __slots__ = ("form",)

    def __init__(self, form: int | bytes) -> None:
        self.form = form

    def __eq__(self, other: object) -> bool:
        return type(other) is RawValue and other.form == self.form

    def __hash__(self) -> int:
        return hash((RawValue, self.form))

    def __repr__(self) -> str:
        return f"raw({self.form!r})"


def raw(form: int | bytes) -> Any:
    """A value by what is packed, for a field whose values have another form: ``Probe(delay=raw(384))``.

    A number for numbers (floats: their bits), bytes for bytes and text. TypeError for anything else.
    """
    if isinstance(form, (bytes, bytearray, memoryview)):
        return RawValue(bytes(form))
    return RawValue(index(form))


def member_of(names: type[IntEnum | IntFlag] | None, number: int) -> int:
    """Return the member of an enum that a number is; the number where there is none."""
    try:
        return number if names is None else names(number)
    except ValueError:
        return number


def number_of(names: type[IntEnum | IntFlag] | None, word: object) -> int | None:
    """Return the number of the member that a text names, in letters of any case; None for none."""
    member = names.__members__.get(word.upper()) if names is not None and isinstance(word, str) else None
    return None if member is None else int(member)


class View(Kind):
    """The base of kinds with two forms.

    Attributes:
        function: what makes it in a declaration. user: the type of its values, as an annotation has it.
        made_with: the arguments of `function` that are not its defaults, as numbers, texts and bytes.
        dtype: of numpy, for the user's form in columns of other libraries; "O" for what are no numbers.
    """

    function = ""
    dtype = "O"
    user: str = "object"
    made_with: Mapping[str, int | str | bytes]

    def annotation(self) -> str:
        return self.user

    def of(self, value: object, where: str) -> Raw:
        """Return the raw form of a value in the user's form. BuildError where it does not fit."""
        raise NotImplementedError

    def raw(self, value: object, where: str) -> Raw:
        if isinstance(value, RawValue):
            assert self.as_raw is not None
            return self.as_raw.raw(value.form, where)
        return self.of(value, where)


class NumberView(View, Int):
    """A number of some bits whose user's form is another. Rules see the raw number."""

    most = 64

    allows = "rule condition fixed"

    def __init__(self, bits: int, *, signed: bool = False, little: bool = False) -> None:
        Int.__init__(self, bits, signed=signed, little=little)
        self.as_raw = Int(bits, signed=signed, little=little)

    def typed(self, wanted: object, where: str) -> Kind:
        if wanted not in UNTYPED and _name(wanted) != self.user:
            raise DeclareError(where, f"Annotated[{self.user}, {self.function}(...)]", _name(wanted))
        return self

    def raw(self, value: object, where: str) -> int:
        number: int = View.raw(self, value, where)
        return number

    def value(self, raw: int) -> Raw:
        raise NotImplementedError

    def text(self, raw: int) -> str:
        return printable(f"{self.words_of(raw)} ({raw})")

    def words_of(self, raw: int) -> str:
        """Return the user's form in words, exact enough that `raw` gives the same number for it."""
        return str(self.value(raw))

    def unseen(self, raw: int) -> int:
        """Return the bits of a raw value that make no other value of it where filters compare."""
        return 0

    def array(self, numbers: Array) -> Array:
        """Return the user's form of an array of raw values."""
        import numpy as np

        some, places = np.unique(numbers, return_inverse=True)
        found = np.empty(len(some), "f8" if self.dtype == "f8" else "O")  # whole numbers stay Python's here
        for place, number in enumerate(some.tolist()):
            found[place] = self.value(number)
        shown: Array = found[places.reshape(-1)]
        return shown


class BytesView(View):
    """Bytes of a fixed number whose user's form is another. All bytes are raw values, and are taken as they are."""

    verbatim = True
    zero: bytes

    def __init__(self, size: int) -> None:
        self.bits, self.zero = size * 8, bytes(size)
        self.as_raw = ByteString(size)

    def text(self, raw: bytes) -> str:
        return printable(str(self.value(raw)))

    def raw(self, value: object, where: str) -> bytes:
        if isinstance(value, (bytes, bytearray, memoryview)):
            value = RawValue(bytes(value))
        found: bytes = super().raw(value, where)
        return found


def smallest(low: int, high: int) -> str:
    """Return numpy's name of the smallest whole numbers that hold both, "O" where they need more than 64 bits."""
    signed = low < 0
    bits = max(high.bit_length() + signed, (~low).bit_length() + 1 if signed else 0)
    return next((f"{'i' if signed else 'u'}{size}" for size in (1, 2, 4, 8) if bits <= size * 8), "O")


def _name(wanted: object) -> str:
    return str(getattr(wanted, "__name__", wanted))


def own_bytes(raw: bytes) -> str:
    """Return a value that is no good one as `raw` would be given it."""
    return f"raw({bytes_text(raw, 1 << 16)})"


def given(kind: Kind, raw: Raw) -> Raw:
    """Return a raw value as a header is given it: as it is, or by `raw` where users see another form."""
    return RawValue(raw) if kind.as_raw is not None and not kind.orders_raw and isinstance(raw, int | bytes) else raw
