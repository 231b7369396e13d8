"""Classes of headers that take a field of their base apart: the class inside, and the attributes that look into the bytes.

``class MSS(TCPOption, inside="data", when={"kind": 2}): value: U16``: its fields are those of its base, so that bytes,
places, `==` and `hash` are the base's; `value` is a field of a header of its own, which stands in `data`.
"""

from __future__ import annotations

from enum import Enum, IntEnum, IntFlag
from struct import Struct
from typing import TYPE_CHECKING, Any

from packetlab.codec.compiler import replaced
from packetlab.codec.objects import AnyHeader, classes
from packetlab.codec.refinement.reading import plain_size
from packetlab.codec.refinement.standing import Unwritten
from packetlab.codec.refinement.views import shown, viewed
from packetlab.codec.source import function
from packetlab.declare.expressions import expression
from packetlab.declare.fields import Spec
from packetlab.declare.places.origins import OwnPlace
from packetlab.declare.plan import Fixed
from packetlab.declare.refinement.checks import check_base, restated, wanted_in_held
from packetlab.errors import DeclareError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from packetlab.declare.declaration import Declaration
    from packetlab.declare.expressions import Expr
    from packetlab.declare.fields import Field
    from packetlab.declare.kinds import Kind
    from packetlab.declare.wildcards import Known


LEVELS = 64
"""How many classes may each take apart a field of the one before: each has a class inside for all of them, which is as many times as many."""


class ViewProperty(property):
    """What ``MSS.value`` is on the class: a field of the header inside. On a header it is that field's value."""

    def __init__(self, field: Field) -> None:
        self.field = field
        super().__init__(self._read_first)

    def _read_first(self, header: AnyHeader) -> object:
        if vars(type(header)).get(self.field.name) is not self:  # a class derived from it, which may be laid out otherwise
            return getattr(shown(header), self.field.name)
        property.__init__(self, _getter(type(header), self.field))
        return self.__get__(header)

    def __repr__(self) -> str:
        return f"<field {self.field.owner.name}.{self.field.name}>"


def _getter(cls: type[AnyHeader], f: Field) -> Callable[[Any], object]:
    """Return what reads a field of the header inside: a plain number from the bytes, where these were captured and it lies at one place."""
    declaration, kind, at = cls._declaration, f.kind, 0
    assert declaration.view is not None
    plain = kind.wire == "number" and kind.names is None and kind.orders_raw
    size = plain_size(declaration) if plain else None
    units = [(unit, step.run.order) for step in declaration.view[1].plan.head if isinstance(step, Fixed) for unit in step.run.units]
    names: dict[str, object] = {"shown": shown, "C": cls}
    lines = ["def get(h):"]
    for unit, order in units if size is not None else ():
        if unit.fields == [f] and not unit.by_bytes:
            names["unpack"] = Struct(f"{order}{at}x{unit.code}").unpack_from
            known = f"h._state == {declaration.captured_state:#x} and h.__class__ is C and type(raw := h.{cls._by_name[declaration.view[0]].slot}) is bytes"
            lines.append(f"    if {known} and len(raw) == {size}: return {f'raw[{at}]' if unit.code == 'B' else 'unpack(raw)[0]'}")
        at += unit.bits // 8
    return function([*lines, f"    return shown(h).{f.name}"], names, f"{cls.__name__}.{f.name}")


def taken_apart(
    meta: Any, name: str, base: type[AnyHeader] | None, body: dict[str, Any], annotations: dict[str, object], options: Mapping[str, Any]
) -> dict[str, object]:  # fmt: skip
    """Put what a refinement's own fields say into a class inside, and in their place what looks into that; return what is left.

    `annotations` are those of the body, none as text any more. The bits inside have an order of their own, that of the base
    where none is said. Where the base has a class inside already, this one refines it.
    """
    inside, when, bit_order = options.get("inside"), options.get("when"), options.get("bit_order")
    if inside is not None:
        check_base(name, None if base is None else base._declaration, inside, when)
    elif base is None or when is None or options.get("under") is not None:
        return annotations
    assert base is not None
    if inside is not None or base._declaration.view is not None:
        _put_inside(meta, name, base, body, annotations, inside, when, bit_order)
        annotations = {}
    if options.get("under") is None:
        for word, number in restated(base._declaration, expression(when)).items():
            if not isinstance(body.get(word), Spec):
                body.setdefault(word, number)
        for word, header in restated_held(base._declaration, expression(when)).items():
            body.setdefault(word, header)
    return annotations


def restated_held(base: Declaration, rule: Expr) -> dict[str, AnyHeader]:
    """Return other defaults for fields of a base that hold a header: with the numbers for which a condition holds, where it was given others."""
    found: dict[str, AnyHeader] = {}
    for (name, inner), number in wanted_in_held(base, rule).items():
        default = base.by_name[name].default
        one = found.get(name, default[0] if isinstance(default, tuple) and default else None)
        if isinstance(one, AnyHeader) and one._state & one._by_name[inner].bit:
            found[name] = replaced(one, {inner: number})
    return found


def _put_inside(
    meta: Any, name: str, base: type[AnyHeader], body: dict[str, Any], annotations: Mapping[str, object],
    inside: object, when: object, bit_order: object,
) -> None:  # fmt: skip
    """Make the class inside, and have the body look into it."""
    root = next(one for one in base.__mro__ if "_root" in vars(one))
    said = base._declaration
    if inside is not None and (levels := _levels(said) + 1) > LEVELS:
        way = f"a class of its own as a field: {inside}: Next = Next()"
        raise DeclareError(f"{name}, inside=", f"{LEVELS} classes at most that each take apart a field of the one before", levels, way)
    taken = {f.name for f in said.inside}
    for word in (*annotations, *(word for word in body if word in taken)):
        if word in said.by_name or word in taken or (hasattr(base, word) and not hasattr(root, word)):
            whose = f"{word!r}, which {said.name} has, a base of this class"
            raise DeclareError(f"{name}.{word}", "a name that is free", whose)
    own = {word: body.pop(word) for word in annotations if word in body}
    qualname = f"{body.get('__qualname__', name)}.__inside__"
    own.update(__annotations__=dict(annotations), __module__=body["__module__"], __qualname__=qualname, __hidden__=True)
    try:
        if said.view is not None:
            inner = meta(name, (classes[said.view[1]],), own, inside=inside, when=when, bit_order=bit_order)
        else:
            inner = meta(name, (root,), own, payload_size=0, bit_order=bit_order or said.bit_order)
    except DeclareError as error:
        if error.expected != f"a field of {name}" or error.got not in said.by_name:
            raise
        raise DeclareError(error.where, error.expected, error.got, f'field("^.{error.got}") is that of {said.name}') from None
    body["__inside__"] = inner
    if any(f.kind.item is inner._declaration for f in inner._fields if f.kind.wire == "items"):
        raise DeclareError(name, f"tuple[{said.name}, ...] in a class that takes {inside} of {said.name} apart", "Self")
    for leaf in inner._declaration.outer_leaves:
        if not isinstance(leaf, OwnPlace) and (leaf.path != "^" or leaf.name not in said.by_name):
            hint = f'a field of {said.name} can have it: outer: int = computed(field("{leaf}")), and here field("^.outer")'
            wanted = f'fields of {said.name} in rules of what {inside} holds, as in field("^.{next(iter(said.by_name))}")'
            raise DeclareError(name, wanted, str(leaf), hint if leaf.path.isidentifier() else "")
    body["__annotations__"] = {}
    body.update({f.name: ViewProperty(f) for f in (*inner._fields, *inner._declaration.inside) if f.name in annotations})
    body.update(__eq__=_equal, __hash__=_hashed, __repr__=_shown, _is_among=_is_among)


def _levels(declaration: Declaration) -> int:
    """Return how many times a field is taken apart, one inside the other."""
    found, one = 0, declaration
    while one.view is not None:
        found, one = found + 1, one.view[1]
    return found


def owner_of(name: str, kind: Kind, inherited: Mapping[str, Field], bases: tuple[type, ...]) -> str:
    """Say who has the name of a field already, "" for nobody."""
    if name in inherited:
        return f"{inherited[name].owner.name} has, a base of this class"
    # In rules these words are parts of the packet.
    if name in ("self", "pseudo") or (name == "payload" and kind.wire != "payload"):
        return "is a part of the packet in rules"
    return "starts with _" if name.startswith("_") else ""


def other_name(name: str) -> str:
    """Return what a field may be called instead of a word that is taken."""
    free = name.strip("_") or "value"
    return f"another name, such as {free}_" + ("; payload: Payload says where the payload stands" if name == "payload" else "")


def plain(header: AnyHeader) -> type[AnyHeader]:
    """Return the class whose headers a refinement's are, as far as bytes go."""
    return plain_class(type(header))


def plain_class(cls: Any) -> type[AnyHeader]:
    """Return the class that `plain` returns for headers of a class."""
    while cls._declaration.view is not None:
        cls = next(base for base in cls.__mro__ if base.__dict__.get("_declaration") is cls._declaration.refines)
    return cls  # type: ignore[no-any-return]


def _equal(self: Any, other: object) -> Any:
    if not isinstance(other, AnyHeader) or plain(self) is not plain(other):
        return NotImplemented
    return bool(_values(self) == _values(other))


def _hashed(self: Any) -> int:
    return hash((plain(self), _values(self)))


def _values(header: Any) -> tuple[object, ...]:
    """Return what a header is compared by: its values, or where they cannot be worked out yet those that it was given."""
    raw = getattr(header, header._by_name[header._declaration.view[0]].slot) if header._declaration.view is not None else None
    alone = isinstance(raw, Unwritten)
    return tuple(getattr(header, f.slot) for f in header._fields) if alone else header._raw_values()


def _is_among(self: Any, headers: tuple[Any, ...], known: Known | None) -> bool:
    """Whether the given fields fit one of `headers`: of those inside, each by itself."""
    name = self._declaration.view[0]
    f = self._by_name[name]
    inner = getattr(self, "__viewed__", None) if self._state & f.bit else None
    wanted = [one for one in self._fields if self._state & one.bit and (inner is None or one is not f)]
    for header in headers:
        if isinstance(header, type(self)):
            names = dict(known) if known else {}
            fits = all(self._same(header, one, names) for one in wanted)
            if fits and (inner is None or inner._is_among((viewed(header),), names)):
                if known is not None:
                    known.update(names)
                return True
    return False


def names_with(header: Any, bits: int, what: str) -> frozenset[str]:
    """Return the names of fields with these bits; where the one that is taken apart is among them, those inside that are `what` too."""
    found = frozenset(f.name for f in header._fields if bits & f.bit)
    view = header._declaration.view
    return found if view is None or view[0] not in found else found | getattr(viewed(header), what)


def literal(value: object) -> str:
    """Return a field's value as a class's repr has it."""
    if type(value) is int or type(value) is bytes:
        return repr(value)
    name = type(value).__name__
    if name in ("EUI", "IPAddress", "Instant", "Elapsed", "UUID"):
        return repr(str(value))
    if type(value) is tuple:
        return f"({', '.join(map(literal, value))}{',' * (len(value) == 1)})"
    if isinstance(value, Enum) and isinstance(value, str):
        return repr(str(value.value))
    return str(int(value)) if isinstance(value, IntEnum | IntFlag) else repr(value)


def _shown(self: Any) -> str:
    given = self._by_name[self._declaration.view[0]]
    parts = []
    for f in self._fields:
        raw = getattr(self, f.slot)
        if self._state & f.bit and raw is not None and f is not given and raw != f.default:
            parts.append(f"{f.name}={literal(getattr(self, f.name))}")
    if self._state & given.bit:
        parts += [repr(viewed(self)).partition("(")[2][:-1]]
    return f"{type(self).__name__}({', '.join(filter(None, parts))})"
