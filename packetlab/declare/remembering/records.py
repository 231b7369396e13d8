"""Records that lie as a template of an earlier packet says: ``records: Records = laid_out(recalled("netflow", ...))``.

A template is a list of headers, each with the number and the size of a field (RFC 3954 section 5.2, RFC 7011 section 3.4). A size
of 65,535 says that each value begins with its own size: one byte, or 255 and two more (RFC 7011 section 7).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, TypeAlias, get_origin

from packetlab.declare.annotations import kind_of
from packetlab.declare.declaration import Declaration
from packetlab.declare.fields import REQUIRED, spec_of
from packetlab.declare.kinds import Kind, Raw, Wire
from packetlab.declare.remembering.layouts import PLAIN, Number, RecordLayout, RecordPlace, TemplateRecord, number_of
from packetlab.declare.remembering.recalled import NoEntry, Recalled
from packetlab.declare.transforms.carried import Through
from packetlab.declare.transforms.raws import Carried, InnerValue
from packetlab.declare.transforms.transform import Transform
from packetlab.declare.values.addresses import XNSAddress
from packetlab.declare.values.views import RawValue
from packetlab.errors import BuildError, DeclareError
from packetlab.escaping import bytes_text


class RecordsKind(Kind):
    """Records one after the other. Raw: the tuple of them."""

    zero: Raw = ()
    wire: Wire = "open"
    allows = "size condition"
    words = "records as a template says"
    wants = 'Records = laid_out(recalled("table", key...)), which says where the template is from'

    def annotation(self) -> str:
        return "tuple[TemplateRecord, ...]"

    def raw(self, value: Any, where: str) -> tuple[TemplateRecord, ...]:
        some = (value,) if isinstance(value, Mapping) else value
        try:
            found = tuple([one if type(one) is not dict and isinstance(one, TemplateRecord) else TemplateRecord(one) for one in some])
        except (TypeError, ValueError):
            raise BuildError(where, "records: mappings of the template's numbers to values", repr(value)) from None
        return found

    def text(self, raw: Raw) -> str:
        return ", ".join(map(repr, raw)) or "none"


Records: TypeAlias = Annotated[tuple[TemplateRecord, ...], RecordsKind()]
"""Records whose layout an earlier packet gave (see `laid_out`)."""


class LaidOutBy(Transform):
    """What `laid_out` says: where the layout is recalled from, and which fields of a template say what."""

    name = "laid_out"
    usual = {"layout": None, "size": "size", "number": "type", "enterprise": "", "align": 0, "kinds": None}

    def check(self, where: str) -> None:
        if not isinstance(self.given["layout"], Recalled):
            raise DeclareError(where, 'recalled("table", key...), which is a template', repr(self.given["layout"]))
        for word in ("size", "number", "enterprise"):
            if not isinstance(self.given[word], str) or not (self.given[word] or word == "enterprise"):
                raise DeclareError(where, f"the name of a template's field as {word}=", repr(self.given[word]))
        if type(self.given["align"]) is not int or not 0 <= self.given["align"] <= 256:
            raise DeclareError(where, "a number of bytes from 0 as align=", repr(self.given["align"]))
        said = {} if self.given["kinds"] is None else self.given["kinds"]
        if not isinstance(said, Mapping):
            raise DeclareError(where, "kinds={number: kind}", repr(said))
        self.kinds = {number_of(number): _kind(one, f"{where}, kinds") for number, one in said.items()}

    def carry(self, inner: Kind, where: str) -> Through:
        """Return the kind of the field."""
        return LaidOut(inner, (self,), where)

    def misnamed(self, item: Declaration | None) -> tuple[str, str] | None:
        """Return the argument that names what no number of a template's field is, and its name; None where all are."""
        for word in ("size", "number", "enterprise"):
            name = self.given[word]
            f = item.by_name.get(name) if item is not None else None
            if name and not (f is not None and f.kind.is_number) and not (item is not None and name in item.properties):
                return word, name
        return None

    def layout(self, template: object) -> RecordLayout | str:
        """Return the layout that a template says, or what is wrong with it."""
        found, given = [], self.given
        for one in template if isinstance(template, tuple) else (template,):
            size, number = (getattr(one, given[word], None) for word in ("size", "number"))
            if not isinstance(size, int) or not isinstance(number, int) or size < 0:
                return f"{type(one).__name__} without numbers {given['size']} and {given['number']}"
            other = getattr(one, given["enterprise"], None) if given["enterprise"] else None
            plain = int(number)
            key: Number = (int(other), plain) if isinstance(other, int) and other else plain
            name = getattr(number, "name", None) if key == plain else None
            name = name if isinstance(name, str) else f"{key[0]}/{key[1]}" if isinstance(key, tuple) else str(key)
            usual = int if size <= 8 else bytes
            found.append(RecordPlace(key, name, int(size), self.kinds.get(key, usual)))
        made = RecordLayout(found)
        return made if made.least else "a template of no bytes"


def _kind(said: object, where: str) -> Any:
    if said in PLAIN:
        return said
    found = kind_of(said, where) if get_origin(said) is Annotated or said is XNSAddress else said
    if isinstance(found, type) or getattr(found, "wire", "") not in ("number", "bytes"):
        raise DeclareError(where, "int, bytes, str, or a kind of field such as IPv4Address", f"{said!r:.60}")
    return found


class LaidOut(Through):
    """Records in the bytes of a packet, and the layout that they have."""

    transforms: tuple[LaidOutBy, ...]

    def __init__(self, inner: Kind, transforms: tuple[Transform, ...], where: str = "laid_out(...)") -> None:
        if not isinstance(inner, RecordsKind):
            raise DeclareError(where, "Records for laid_out(...)", inner.in_words())
        super().__init__(inner, transforms, where)
        self._layouts: dict[int, tuple[object, RecordLayout | str]] = {}

    def in_words(self) -> str:
        return self.inner.in_words()

    def value(self, raw: Raw) -> Raw:
        return raw.inner if isinstance(raw, Carried | InnerValue) and raw.opened else ()

    def raws(self, raw: Raw) -> list[Raw]:
        return [*raw.inner] if isinstance(raw, Carried | InnerValue) and raw.opened else []

    def record(self, values: Mapping[Any, Any], where: str) -> TemplateRecord:
        """Return some values of a record, as what is looked for."""
        return self.inner.raw(values, where)[0]  # type: ignore[no-any-return]

    def remark(self, raw: Raw) -> str:
        given = raw.given[0] if isinstance(raw, Carried) and raw.given else None
        origin = getattr(given, "origin", "")
        return f", laid out as {self.late[0][2]} says" + (f", {origin}" if origin else "")

    def layout_of(self, entry: Any) -> RecordLayout | str:
        """Return the layout that was remembered, or why there is none."""
        template = entry.value
        key = id(template)
        if key not in self._layouts or self._layouts[key][0] is not template:
            if len(self._layouts) > 1000:
                self._layouts.clear()
            self._layouts[key] = template, self.transforms[0].layout(template)
        return self._layouts[key][1]

    def opened(self, data: bytes, given: tuple[object, ...], around: object = None) -> Carried:
        found, (entry,) = Carried(data), given
        found.given = given
        if not data:
            found.inner, found.opened = (), True
            return found
        if isinstance(entry, NoEntry) and entry.is_elsewhere:
            found.note = f"{entry.expected}: {entry.got}"
            return found
        if not hasattr(entry, "value"):
            found.expected, found.got = (entry.expected, entry.got) if isinstance(entry, NoEntry) else ("a layout", "none")
            return found
        layout = self.layout_of(entry)
        if isinstance(layout, str):
            found.expected, found.got = "a template of numbers and sizes", layout
            return found
        found.inner, pos = layout.read_all(data)
        found.opened = True
        left = data[pos:]
        if len(left) >= layout.least or any(left):
            found.expected, found.got = (
                f"whole records of {layout.least} bytes or more, and zeros",
                f"{len(left)} bytes: {bytes_text(left)}",
            )
        return found

    def packed(self, raw: Raw, given: tuple[object, ...]) -> bytes:
        (entry,) = given
        if isinstance(raw, Carried) and (not raw.opened or not hasattr(entry, "value") or raw.given == given):
            return raw
        if not isinstance(raw, Carried | InnerValue):
            return bytes(raw)
        layout: Any = self.layout_of(entry) if hasattr(entry, "value") else None
        if layout is None and len(layouts := {id(one._layout): one._layout for one in raw.inner}) == 1:
            (layout,) = layouts.values()  # records that were read have theirs
        if layout is None and not raw.inner:
            return b""
        if not isinstance(layout, RecordLayout):
            expected = entry.expected if isinstance(entry, NoEntry) else f"{self.late[0][2]}, remembered from an earlier packet"
            hint = "build it inside `with context:`, in which the template was built or read"
            raise BuildError(self.where, expected, layout or (entry.got if isinstance(entry, NoEntry) else "none"), hint)
        data = b"".join([layout.packed(one) or layout.write(one, f"{self.where}[{i}]") for i, one in enumerate(raw.inner)])
        fill = -len(data) % self.transforms[0].given["align"] if self.transforms[0].given["align"] else 0
        data += bytes(fill if fill < layout.least else 0)
        return data

    def closed(self, raw: Raw, given: tuple[object, ...]) -> Carried:
        (entry,) = given
        data = self.packed(raw, given)
        if isinstance(data, Carried):
            return data
        if not isinstance(raw, Carried | InnerValue) or not (raw.inner or hasattr(entry, "value")):
            return Carried(data)
        made = self.opened(data, given) if hasattr(entry, "value") else Carried(data)
        if not made.opened:
            made.inner, made.opened, made.given = raw.inner, True, given
        return made

    def raw(self, value: Raw, where: str) -> Raw:
        return (
            value
            if isinstance(value, Carried | InnerValue | RawValue) and not isinstance(value, RawValue)
            else super().raw(value, where)
        )


def laid_out(
    layout: object, *, size: str = "size", number: str = "type", enterprise: str = "", align: int = 0,
    kinds: Mapping[Any, Any] | None = None, value: Raw = REQUIRED,
) -> Any:  # fmt: skip
    """Records one after the other, each laid out as a template of an earlier packet says (NetFlow v9, IPFIX).

    ``records: Records = laid_out(recalled("netflow", field("id")), size="length")``. Up to where the field ends, what is less than
    a record being zeros that fill up.

    Args:
        layout: `recalled` from a table whose values are lists of headers. size, number, enterprise: the fields of these that say how
            many bytes a value has (65,535: it says so itself, RFC 7011 section 7), what it is called, and by whom, where not 0.
        align: records that are built are filled up with zeros to a multiple of this.
        kinds: number -> int, bytes, str, or a kind such as IPv4Address; otherwise values of up to 8 bytes are numbers, others bytes.
        value: ``sized(...)`` or ``when(...)``.

    Where no packet gave the template, the field is a fault, has no records, and keeps its bytes. Built they are in a context
    in which the template was built or read, or from records that were read.
    """
    if isinstance(layout, Recalled):
        layout = Recalled(layout.table, layout.key, None, is_number=False)
    spec = spec_of(() if value is REQUIRED else value)
    spec.through = (
        LaidOutBy(layout=layout, size=size, number=number, enterprise=enterprise, align=align, kinds=kinds),
        *spec.through,
    )
    return spec
