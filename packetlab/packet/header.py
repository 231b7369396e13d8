"""Headers: a class body with annotated fields becomes a codec, a typed constructor and a prototype.

Owns what one header is: its fields, which of them are given, captured or derived, and how it compares. Packing and
unpacking are compiled by `codec` when first needed. Knows nothing of the layers around it: that is `packet`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from inspect import Signature, cleandoc
from operator import attrgetter
from types import MemberDescriptorType
from typing import Any, ClassVar, TypeVar, Unpack, cast, get_origin

from packetlab.codec import compiler
from packetlab.codec.around.alike import same_held
from packetlab.codec.around.outer import Alone, fills_in, follows_inside, is_around, is_whole, items_alone
from packetlab.codec.context.lending import alike, fits, hashed
from packetlab.codec.decode import items_reader
from packetlab.codec.faults import Fault
from packetlab.codec.objects import AnyHeader, classes, restored
from packetlab.codec.places.inner import said_count
from packetlab.codec.rederive import rederived_alone
from packetlab.codec.refinement.class_bodies import literal, names_with, other_name, owner_of, taken_apart
from packetlab.codec.refinement.standing import parts
from packetlab.codec.refinement.views import viewed
from packetlab.codec.source import function
from packetlab.declare import registry as _bindings
from packetlab.declare.annotations import checked, is_optional, kind_with, resolved, with_gap
from packetlab.declare.classbody.answers import parse_answers
from packetlab.declare.classbody.namespace import Namespace
from packetlab.declare.classbody.options import HeaderOptions, nothing_below, size_above
from packetlab.declare.classbody.slips import NotARule, condition, uninverted
from packetlab.declare.computed import own_fields
from packetlab.declare.declaration import OPTIONS, Declaration, outer_leaves, rules_of
from packetlab.declare.elsewhere import check_around, check_held
from packetlab.declare.expressions import Expr, Next, expression
from packetlab.declare.fields import REQUIRED, Field, Spec, slot_of, words_for
from packetlab.declare.kinds import Address, Kind, WholeNumber, utf8
from packetlab.declare.refinement.checks import check_refinement, settled
from packetlab.declare.refinement.heaps import heap_of
from packetlab.declare.validate import check_class_name, check_declaration, check_name
from packetlab.declare.values.addresses import ip_value, mac_value, value_source
from packetlab.declare.values.said import constant
from packetlab.declare.wildcards import Known, Tolerance
from packetlab.errors import BuildError, DeclareError, suggestion
from packetlab.hooks import Shown, hook

H = TypeVar("H", bound="HeaderBase")
ABOVE = ("under", "when", "sets", "port", "inside", "last", "answers")  # options of a class that say where it stands


class FieldProperty(NotARule, property, Field):
    """What ``Beacon.station`` is on the class: the declared field. On a header it is the field's value."""

    @property
    def header(self) -> type[Any]:
        """The class that declared it."""
        return cast("type[Any]", classes[self.owner])

    def __init__(self, name: str, kind: Kind, spec: Spec) -> None:
        Field.__init__(self, name, kind, spec)
        property.__init__(self, self._getter())

    def _getter(self) -> Callable[[HeaderBase], object]:
        kind, always = self.kind, self.rule is self.condition is None and not self.pad
        plain = type(kind).value is Kind.value or (type(kind).value is WholeNumber.value and kind.names is None)
        plain = plain and kind.wire != "items" and None is not self.default is not REQUIRED
        plain = plain or (kind.wire == "number" and kind.names is None and kind.orders_raw)
        return attrgetter(self.slot) if plain and always else self._read_first

    def _read_first(self, header: HeaderBase) -> object:
        """Write the function that reads the field from a header, and read it."""
        kind, wire = cast("Any", self.kind), self.kind.wire
        names, code = dict[str, object](shown=self._shown, value=kind.value), f"value(raw) if type(raw) is {'int' if wire == 'number' else 'bytes'}"
        if wire == "coded" and not (kind.transforms or kind.has_headers):  # those that tell how they were spelled, too
            code = f"value(raw) if isinstance(raw, {'int' if kind.is_number else 'bytes'})"
        if wire == "items":
            code = "raw[0] if type(raw) is tuple and raw" if kind.one else "raw if type(raw) is tuple"  # of others around it may follow yet
            code += " and h._state == h._declaration.captured_state" * (is_around(self) or self.filled or self.name in self.owner.fills)
        elif type(kind).value is Kind.value or (type(kind).value is WholeNumber.value and kind.names is None):
            code = "raw if raw is not None"
        elif type(kind).value is WholeNumber.value:
            names["member"], code = kind.members.get, "made if (made := member(raw)) is not None"
        elif type(kind).value is Address.value:
            names["value"] = kind.convert
        lines = ["def get(h):", f"    raw = h.{self.slot}", f"    return {code} else shown(h, raw)"]
        is_known = type(kind).value is Address.value and kind.convert in (mac_value, ip_value)
        if quick := ("bytes", *value_source(kind.size)) if is_known else kind.quick_value():
            of, made, parts = quick
            names.update(parts)
            lines[2:] = [f"    if type(raw) is not {of}: return shown(h, raw)", *("    " + line for line in made), "    return made"]
        if wire == "items" and not is_around(self) and self.name not in self.owner.fills and not (self.align and self.name in self.owner.plan.counts):
            names.update(reader=items_reader, field=self)  # as `_items_of` does; looked up each time, for what items become may change
            lines[2:2] = [*["    if type(raw) is tuple: return raw"] * (code == "raw if type(raw) is tuple"),
                          "    if type(raw) is bytes:", "        found = reader(field, False)(raw, 0, len(raw), None)",
                          f"        if found is not None and found[1] == len(raw): raw = h.{self.slot} = found[0]"]  # fmt: skip
        if self.condition is not None:  # of a header that was read whole it is known that the field is absent
            absent = "    if raw is None and h._state == h._declaration.captured_state: return None"
            lines[2:2] = ["    if raw is not None: return raw", absent] if lines[2].startswith("    return raw if raw is not None") else [absent]
        property.__init__(self, function(lines, names, f"{self.owner.name}.{self.name}"))
        return self.__get__(header)

    def _shown(self, header: HeaderBase, raw: object) -> object:
        """The user's form of any raw value: derived where it is None, looked into where it is items."""
        if raw is None and (raw := getattr(header := header._resolved_alone(), self.slot)) is None:
            return None
        if self.kind.transforms:
            raw = items_alone(header, self) if follows_inside(self, raw) else raw
        elif self.kind.has_headers and ((self.kind.wire == "items" and type(raw) is bytes) or is_around(self) or fills_in(header, self)):
            raw = header._items_of(self)
        try:
            return self.kind.value(raw)
        except (TypeError, ValueError, AttributeError):
            if isinstance(raw, Tolerance):
                return raw
            raise

    def derive(self, rule: Expr | None) -> None:
        super().derive(rule)
        property.__init__(self, self._getter())

    def with_default(self, value: object, where: str) -> FieldProperty:
        """Return the field as a derived class has it that gives it another default, or a rule. DeclareError where it has none."""
        if isinstance(value, Spec) and value.written == "default(...)":
            value = value.default
        of = f"{self.owner.name}.{self.name}"
        if isinstance(value, Spec) and value.written == "auto(...)" and self.declared_rule is None and not self.fixed:
            return self._with(Spec(None, rule=value.rule, condition=self.condition, size=self.size), where)
        absent = self.kind.wire == "payload" or self.none is not None or self.pad
        if absent or (self.declared_rule is not None and self.default is None):
            raise DeclareError(where, f"a name that is free, for {of} has no default", words_for(value))
        if isinstance(value, Spec | Expr) or callable(value) or hasattr(type(value), "__get__"):
            hint = f"{self.name} = value, or auto(...) where it has no rule; others stand with the class that declares the field"
            raise DeclareError(where, f"a plain value, as another default of {of}", words_for(value), hint)
        own = ("default", "ended", "gap", "kind", "many", "through", *(["count"] if self.kind.one else []))
        rules = {word: None if word == "rule" and (self.solved or isinstance(self.rule, Next)) else getattr(self, word) for word in Spec.__slots__ if word not in own}
        spec = Spec(value, many=self.kind.wire == "items" and not self.kind.one, **rules)
        made = self._with(spec, where)
        if isinstance(self.rule, Next):
            made.derive(Next(self.rule.space, constant(made.default)))
        return made

    def _with(self, spec: Spec, where: str) -> FieldProperty:
        made = FieldProperty(self.name, self.kind, checked(spec, self.kind, where))
        made.owner = self.owner
        return made

    def __set__(self, header: object, value: object) -> None:
        raise AttributeError(f"{type(header).__name__}.{self.name}: headers do not change; replace({self.name}=...) returns a new one")

    def __repr__(self) -> str:
        return f"<field {self.owner.name}.{self.name}>"


class HeaderType(type):
    """Makes a header class from its body."""

    _fields: tuple[Field, ...]
    _declaration: Declaration
    __item_classes__: list[type[AnyHeader]]  # the classes of its items, which live as long as it

    @property
    def __doc__(cls) -> str | None:
        """What `help` shows: the header's own words, its diagram and its fields (see `export.diagram`), made when needed."""
        return hook("in_full")(cls) if getattr(cls, "_fields", ()) else cls._declaration.doc

    @__doc__.setter
    def __doc__(cls, words: str | None) -> None:
        type.__dict__["__doc__"].__set__(cls, words)
        cls._declaration.doc = cleandoc(words or "")

    @property
    def __signature__(cls) -> Signature:
        """How a header is called, for help and completion: every field with what it has unless given."""
        made: Signature = hook("signature")(cls)
        return made

    def _repr_pretty_(cls, printer: object, cycle: bool) -> None:
        """Show the class as its diagram where IPython ends a cell with it (IPython.lib.pretty)."""
        hook("class_pretty")(cls, printer)

    @classmethod
    def __prepare__(cls, name: str, bases: tuple[type, ...], /, **options: object) -> dict[str, object]:
        return Namespace(name)

    def __new__(mcls, name: str, bases: tuple[type, ...], body: dict[str, Any], **options: Unpack[HeaderOptions]) -> HeaderType:  # noqa: C901
        if "_root" in body:
            return super().__new__(mcls, name, bases, body)
        check_name(name, "the name of a header")
        frame = sys._getframe(1)
        for word, usual in (("__qualname__", name), ("__module__", frame.f_globals.get("__name__", name))):
            check_class_name(word, body.setdefault(word, usual), f"{name}.{word}")
        try:
            utf8(body.get("__doc__") or "", name)
        except BuildError as error:
            raise DeclareError(f"{name}.__doc__", error.expected, error.got) from None
        body["__annotations__"] = annotations = dict[str, object](body.get("__annotations__", {}))
        families = [cast("type[AnyHeader]", base) for base in bases if getattr(base, "_fields", ())]
        if families[1:]:
            raise DeclareError(name, "one base with fields", ", ".join(base.__name__ for base in families))
        inherited = {f.name: f for base in families for f in base._fields if isinstance(f, FieldProperty)}
        fields: list[Field] = list(inherited.values())
        for field_name, annotation in [*annotations.items()]:
            where = f"{name}.{field_name}"
            annotation = annotations[field_name] = resolved(annotation, frame.f_globals, frame.f_locals, where)
            if get_origin(annotation) is ClassVar:
                del annotations[field_name]
                continue
            check_name(field_name, where)
        annotations = taken_apart(mcls, name, next(iter(families), None), body, annotations, options)
        for field_name, annotation in annotations.items():
            where = f"{name}.{field_name}"
            kind = kind_with(annotation, body.get(field_name), where)
            owner = owner_of(field_name, kind, inherited, bases)
            if owner:
                hint = f"{field_name} = value is another default for it" if field_name in inherited else other_name(field_name)
                raise DeclareError(where, "a name that is free", f"{field_name!r}, which {owner}", hint)
            spec = checked(body.pop(field_name, REQUIRED), kind, where)
            if is_optional(annotation) and spec.condition is None and spec.none is None:
                raise DeclareError(where, "when(...) for a field that may be None", "one that is always there")
            fields += with_gap(FieldProperty, field_name, spec.kind or kind, spec, {*annotations, *inherited})
        new_names = [f.name for f in fields if f.name not in inherited]
        for word, value in [*body.items()]:
            where = f"{name}.{word}"
            if word in inherited:
                body[word] = inherited[word].with_default(value, where)
            elif isinstance(value, Spec):
                raise DeclareError(where, f"the kind of the field too ({word}: U8 = ...)", words_for(value))
            elif word[:1] == "_" and (word[1:] in inherited or word[1:] in new_names):
                raise DeclareError(where, f"a name that is free, for {word} is where {word[1:]} is kept", words_for(value))
        body |= own_fields([one if isinstance(one := body.get(f.name), FieldProperty) else f for f in fields], inherited)
        outer = outer_leaves([*rules_of(fields), *(one for one in options.values() if isinstance(one, Expr))])
        more = ["__viewed__"] * ("__inside__" in body and not any(hasattr(b, "__viewed__") for b in bases)) + ["__outer__"] * (outer != () and not any(hasattr(b, "__outer__") for b in bases))
        body["__slots__"] = (*map(slot_of, new_names), *more)
        body.update({f.name: f for f in fields if f.name not in inherited})
        cls = super().__new__(mcls, name, bases, body)
        for f in fields:
            for word, kept in ((f.name, Field), (f.slot, MemberDescriptorType)):
                one = next(one for one in cls.__mro__ if word in vars(one))
                if not isinstance(vars(one)[word], kept):
                    raise DeclareError(f"{name}.{word}", f"the field {f.name} under that name", f"what {one.__name__} has")
        return cls

    def __setattr__(cls, word: str, value: object) -> None:
        if word in getattr(cls, "_by_name", {}):
            raise DeclareError(f"{cls.__name__}.{word}", "a class body, where fields are declared", "a value set later")
        renamed = word in ("__name__", "__qualname__", "__module__")
        if renamed:
            check_class_name(word, value, f"{cls.__name__}.{word}")
        super().__setattr__(word, value)
        if renamed:
            (said := cls._declaration).name, said.qualname, said.module = cls.__name__, cls.__qualname__, cls.__module__
            compiler.reset(said)  # the compiled code names the class in its errors

    def __init__(
        cls,
        name: str,
        bases: tuple[type, ...],
        body: dict[str, Any],
        *,
        under: type[AnyHeader] | Sequence[type[AnyHeader]] | None = None,
        when: object = None,
        sets: dict[str, object] | None = None,
        payload_size: object = None,
        opaque: object = None,
        unsized: object = None, partial: object = None, quotes: object = None,
        pseudo: tuple[str, str] | None = None, answers: object = None,
        stream: bool | None = None,
        bit_order: str | None = None,
        label: str | None = None,
        port: object = None,
        in_bits: bool | None = None,
        last: bool = False, exact: bool | None = None,
        inside: str | None = None,
        through: Any = None, remembers: Any = None,
        **wrong: object,
    ) -> None:  # fmt: skip
        for word in wrong:
            raise DeclareError(f"{name}, {word}=", "an option of a header class", "no such", suggestion(word, (*OPTIONS, *ABOVE)))
        super().__init__(name, bases, body)
        theirs = {*(inherited := {f.name: body.get(f.name, f) for base in bases for f in getattr(base, "_fields", ())}).values()}
        cls._fields = (*inherited.values(), *(f for f in body.values() if isinstance(f, Field) and f not in theirs))
        header = cast("type[HeaderBase]", cls)
        header._by_name = {f.name: f for f in cls._fields}
        written = {"opaque": opaque, "unsized": unsized, "partial": partial, "quotes": quotes}
        said: dict[str, Any] = {word: expression(uninverted(rule, f"{name}, {word}=")) for word, rule in written.items() if rule is not None}
        said |= {} if (size := size_above(payload_size, last, name)) is None else {"payload_size": size}
        above = tuple(vars(base)["_declaration"] for base in cls.__mro__[1:] if "_declaration" in vars(base))
        own = frozenset(word for base in cls.__mro__ for word, one in vars(base).items() if type(one) is property)
        doc, called = cleandoc(body.get("__doc__") or ""), (name, cls.__qualname__, cls.__module__)
        declaration = header._declaration = Declaration(*called, cls._fields, doc, above, own, pseudo=pseudo, stream=stream, through=through, bit_order=bit_order if inside is None else None, label=label, in_bits=in_bits, exact=exact, remembers=remembers, **said)
        for number, one in enumerate(cls._fields):
            one.bit = 1 << number
            if one not in theirs:
                one.owner = declaration
                getattr(one.kind, "field", one).owner = declaration  # that of what is inside, too
                if one.kind.wire == "items" and one.kind.item is None:  # typing.Self
                    one.kind.item = declaration
        classes.known[declaration] = header
        cls.__item_classes__ = [classes[f.kind.item] for f in cls._fields if f.kind.has_headers]
        if "_root" in body:
            compiler.reset(declaration)
            return
        if under is None and when is not None:
            base = next((one for one in above if one.fields), None)
            if base is None:
                raise DeclareError(name, "under= with when=, or a base with fields, which it refines", "when= alone")
            declaration.refines = base
            declaration.when = settled(declaration, expression(condition(when, f"{name}, when=")))
            within = base.view[0] if base.view else inside
            declaration.view = None if within is None else (within, body["__inside__"]._declaration)
            check_refinement(declaration)
        elif inside is not None:
            raise DeclareError(f"{name}, inside=", "when= of fields of its base, and no under=", "under=")
        if under is None:
            nothing_below(name, port=port, sets=sets or None)
        declaration.answers = parse_answers(declaration, answers)
        check_declaration(declaration)
        check_held(declaration)
        compiler.reset(declaration)
        if "__hidden__" in body:
            return
        with _bindings.all_or_none():
            _bindings.declare(declaration, header)
            _bindings.answer(declaration)
            for lower in under if isinstance(under, (tuple, list)) else (under,) if under is not None else ():
                _bindings.bind(header, lower, when, sets, port)
            check_around(declaration)


class HeaderBase(AnyHeader, metaclass=HeaderType):
    """A header by itself: its values, their states, and how it compares. `Header` adds what wants packets."""

    _root: ClassVar[bool] = True

    __slots__ = ()

    @classmethod
    def _field(cls, name: str) -> Field:
        if name not in cls._by_name:
            raise DeclareError(f"{cls.__name__}.{name}", "a field", "no such name", suggestion(name, cls._by_name))
        return cls._by_name[name]

    # States ------------------------------------------------------------------------------------------------

    @property
    def given(self) -> frozenset[str]:
        """Names of the fields that the user set."""
        return names_with(self, self._state & ~(self._state >> len(self._fields)), "given")

    @property
    def captured(self) -> frozenset[str]:
        """Names of the fields whose values came off the wire."""
        return names_with(self, self._state >> len(self._fields), "captured")

    def state(self, name: str) -> str:
        """Return "given", "captured" or "auto" (derived by a rule, or the default)."""
        if self._declaration.view is not None and name not in self._by_name:
            return cast("HeaderBase", viewed(self)).state(name)
        bit = self._field(name).bit
        if self._state >> len(self._fields) & bit:
            return "captured"
        return "given" if self._state & bit else "auto"

    def replace(self: H, paths: Mapping[str, object] | None = None, /, **changes: object) -> H:
        """Return a copy with some fields given anew, or values in them: ``{"options[1].kind": 5}``; see `Packet.replace`. `auto` derives again."""
        free = None if paths else rederived_alone(self)
        return hook("edits")(self, paths or {}, changes) if free is None else compiler.replaced(free, changes)

    # Values ------------------------------------------------------------------------------------------------

    def _resolved_alone(self: H) -> H:
        """Return this header with derived fields filled in, as if it were the whole packet."""
        if self._is_partial:
            return self
        return type(self)._resolve(self, b"", Alone((self,)), 0, None)

    def _items_of(self, field: Field, faults: list[Fault] | None = None) -> tuple[HeaderBase, ...]:
        """Return the items of a repeated field, kept for the next time; where they are read now their faults are added to those given."""
        raw = getattr(self, field.slot)
        if type(raw) is bytes:
            count, noted = said_count(self, field), [] if faults is None else faults
            raw = compiler.parse_items(field, raw, noted, count=count, around=(self,)) if raw or field.kind.one else ()
            object.__setattr__(self, field.slot, raw)
        elif isinstance(raw, tuple) and (fills_in(self, field) or (is_around(field) and not (self._is_partial or all(map(is_whole, raw))))):
            raw = items_alone(self, field)
        return raw  # type: ignore[no-any-return]

    def _raw_values(self) -> tuple[object, ...]:
        follows = heap_of(self._declaration) is not None or any(follows_inside(f, getattr(self, f.slot)) for f in self._declaration.transformed)
        header = self._resolved_alone() if follows or any(getattr(self, f.slot) is None for f in self._fields) else self
        return tuple(  # what follows, and is there, was worked out with its payload
            header._items_of(f) if f.kind.wire == "items" and getattr(header, f.slot) is not None
            else getattr(self if (f.rule is not None or f.computed is not None or f.pad) and getattr(self, f.slot) is not None else header, f.slot)
            for f in self._fields
        )  # fmt: skip

    def _is_among(self, headers: tuple[HeaderBase, ...], known: Known | None) -> bool:
        """Whether the given fields fit one of `headers`; `known` has then what `same_as` names stand for."""
        wanted = [f for f in self._fields if self._state & f.bit]
        for header in headers:
            if isinstance(header, type(self)):
                names = dict(known) if known else {}
                if fits(self, header, wanted, names):
                    if known is not None:
                        known.update(names)
                    return True
        return False

    def _same(self, other: HeaderBase, field: Field, known: Known) -> bool:
        mine, theirs = getattr(self, field.slot), getattr(other, field.slot)
        if isinstance(mine, Tolerance):
            other = other._resolved_alone() if theirs is None else other
            raw = other._items_of(field) if field.kind.wire == "items" else getattr(other, field.slot)
            return mine.accepts(raw, known, field.kind)
        if field.kind.has_headers and mine is not None and (found := same_held(self, other, field, known)) is not None:
            return found
        if field.kind.wire == "items" or theirs is None or is_around(field):
            return bool(getattr(self, field.name) == getattr(other, field.name))
        return bool(mine == theirs)

    def __eq__(self, other: object) -> bool:
        return alike(self, other) if type(other) is type(self) else NotImplemented

    def __hash__(self) -> int:
        return hashed(self)

    def __repr__(self) -> str:
        shown = []
        for f in self._fields:
            if self._state & f.bit and getattr(self, f.slot) is not None:
                shown.append(f"{f.name}={literal(getattr(self, f.name))}")
        return f"{type(self).__name__}({', '.join(shown)})"

    # By hand: a base class would have to be made by HeaderType too.
    _repr_mimebundle_ = Shown._repr_mimebundle_
    __rich__ = Shown.__rich__

    # No __getattr__ here: it would take every read of a field off the interpreter's fast path.

    def __copy__(self: H) -> H:
        return self

    def __deepcopy__(self: H, memo: object) -> H:
        return self

    def __reduce__(self) -> tuple[object, ...]:
        return restored, parts(self)
