"""Descriptions (see `describe`) become header classes again: checked part by part, and built of objects, never of text.

What is read here may come from anybody. Names must be plain identifiers, since compiled codecs are written with them;
every number, text and list has a bound; rules are terms of a closed vocabulary (see `expressions`). All codecs that a set of
descriptions touches are compiled before it counts: where anything is wrong, no class and no binding stays behind.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from enum import IntEnum, IntFlag
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from packetlab.codec.decode import Decoding
from packetlab.codec.encode import Packing
from packetlab.codec.objects import classes as classes_of
from packetlab.codec.readback import prove
from packetlab.declare import registry
from packetlab.declare.classbody.answers import parse_answers
from packetlab.declare.classbody.label import LONGEST as LABEL
from packetlab.declare.classbody.options import number_field
from packetlab.declare.expressions import Const, Expr
from packetlab.declare.fields import REQUIRED, Spec
from packetlab.declare.intervals import bounds
from packetlab.declare.kinds import Kind
from packetlab.declare.places.offsets import lying_within
from packetlab.declare.validate import BOUND, Leaves, field_of, filled_in
from packetlab.errors import DeclareError, PacketlabError
from packetlab.packet.header import HeaderType
from packetlab.packet.packet import Header
from packetlab.protocols.linktypes import link_type
from packetlab.renamed import old_names
from packetlab.schema.dump import describe, named_by, needed_places
from packetlab.schema.expressions import (
    answer,
    dotted,
    expect_list,
    filling,
    load_expression,
    name,
    number,
    rule,
    safe_repr,
    table,
    text,
)  # fmt: skip
from packetlab.schema.kinds import ADDRESSES, MEMBERS, WORDS, classes, form_of
from packetlab.schema.own_kinds import import_name
from packetlab.schema.recalled import remembered_of_data
from packetlab.schema.source import class_body
from packetlab.schema.transforms import transforms_of
from packetlab.schema.values import LONGEST, value_of_data
from packetlab.schema.views import SAYS

if TYPE_CHECKING:  # at run time that is an old name of `HeaderDescription`
    from packetlab.declare.declaration import Declaration

K = TypeVar("K")
CLASSES, FIELDS, BINDINGS, CONDITIONS, ANSWERS, PADDING = 64, 256, 256, 64, 64, 1 << 12
LETTERS = 1 << 20  # of JSON
MODULE = "described"  # where classes made here are said to come from


class HeaderDescription:
    """A header class that a file offers. Nothing of it is declared before `declare` is called.

    Attributes:
        name: of the class. description: its plain data. ``str()`` is its class body, for a person to read.
    """

    def __init__(self, descriptions: list[Any], place: int) -> None:
        self._all, self._place = descriptions, place
        self.description: dict[str, object] = descriptions[place]
        self.name = name(table(self.description, "a declaration", _HEADER).get("name"), "the name of a header")

    def declare(self, kinds: Iterable[type[Kind]] = ()) -> type[Any]:
        """Make the class, and those it needs of the same file, and bind them; return it.

        `kinds` are classes of your own that fields of it may have. A class declared already in the same words is returned
        as it is. DeclareError where the description is no sound
        one, or where its name or a number is taken; then nothing was declared.
        """
        needed = needed_places(self._all, self._place)
        return declare_from([self._all[place] for place in sorted(needed)], kinds)[-1]

    def __str__(self) -> str:
        try:
            claims = [
                f"# Claims every payload of {lower} that no number gives to another header.\n"
                for lower in self._claims()
            ]
            return "".join(claims) + class_body(self.description)
        except DeclareError as error:
            return f"# {error}"

    def _claims(self) -> Iterator[str]:
        """Yield the names of headers below whose payloads this one takes whatever they are."""
        for entry in expect_list(self.description.get("under", []), self.name, BINDINGS):
            if type(entry) is not dict or "numbers" in entry:
                continue
            lower, when = name(entry.get("header"), self.name), load_expression(entry.get("when"), self.name)
            known = registry.header_named(lower)
            asks = any(not isinstance(leaf, Const) for leaf in when.leaves())
            if known is None and asks:
                continue  # a class of the same file, whose fields are not known yet
            with suppress(DeclareError):  # reported when it is declared
                low, high = bounds(when, Leaves(known or Header._declaration, self.name, BOUND), self.name)
                if low > 0 or high < 0:
                    yield lower

    def __repr__(self) -> str:
        return f"<HeaderDescription {self.name}>"


class Declarations(tuple[HeaderDescription, ...]):
    """All that a file offers, in order; `declare` takes the whole."""

    __slots__ = ()

    def declare(self, kinds: Iterable[type[Kind]] = ()) -> list[type[Any]]:
        """Make and bind every class; see `HeaderDescription.declare`."""
        return declare_from([one.description for one in self], kinds)

    def __str__(self) -> str:
        return "\n\n\n".join(map(str, self))


def declarations(descriptions: object) -> Declarations:
    """Return what is offered; declares nothing. DeclareError where the names alone make no sense."""
    some = [_current(one) for one in expect_list(descriptions, "declarations", CLASSES)]
    return Declarations(HeaderDescription(some, place) for place in range(len(some)))


def from_json(letters: str) -> Declarations:
    """Return what a text of JSON offers. DeclareError where it is none."""
    if len(letters) > LETTERS:
        raise DeclareError("declarations", f"{LETTERS} letters at most", len(letters))
    try:
        return declarations(json.loads(letters))
    except (ValueError, RecursionError) as error:
        raise DeclareError("declarations", "JSON", type(error).__name__) from None


def to_json(descriptions: list[dict[str, object]]) -> str:
    """Return descriptions as ASCII text. DeclareError where they are not sound, or too long, for `from_json`."""
    letters = json.dumps(descriptions, separators=(",", ":"))
    with registry.bindings():
        declare_from([one.description for one in from_json(letters)], _derived(Kind))
    return letters


def _derived(kind: type[Kind]) -> list[type[Kind]]:
    """Return the kinds that are derived from one; of several with one name the last."""
    found = [one for own in kind.__subclasses__() for one in (own, *_derived(own))]
    return list({import_name(one): one for one in found}.values())


def declare_from(descriptions: object, kinds: Iterable[type[Kind]] = ()) -> list[type[Any]]:
    """Make and bind the classes of some descriptions (a list of them, or one), in order; return them.

    `kinds` are the classes of your own that fields may have: a description names them, and imports nothing. Headers that
    it names are looked for among themselves first, then among the classes declared. A class that is declared already in the
    same words is taken as it is. DeclareError for anything not sound, or a name or number that is taken; then nothing
    was declared. TypeError for `kinds` that are none.
    """
    return declare_up_to(CLASSES, descriptions, kinds)


def declare_up_to(most: int, descriptions: object, kinds: Iterable[type[Kind]] = ()) -> list[type[Any]]:
    """Do that for so many descriptions at most."""
    some = expect_list([descriptions] if isinstance(descriptions, dict) else descriptions, "declarations", most)
    some = [_current(one) for one in some]
    made: dict[str, Declaration] = {}
    maker = _Maker(made, classes(kinds))
    try:
        with registry.all_or_none():
            for description in some:
                maker.make(description)
            maker.bind()
            maker.answer()
            maker.link()
            maker.compile_all()
    except PacketlabError:
        raise
    except Exception as error:  # whatever a description that passed every check still does to the compiler
        raise DeclareError("declarations", "classes that can be compiled", type(error).__name__) from None
    return [classes_of[one] for one in made.values()]


def _current(description: object) -> object:
    """Return a description in the words of today: what the first edition calls "octets" is "bytes"."""
    if type(description) is not dict or type(description.get("fields")) is not list:
        return description  # refused where it is read
    rows = []
    for row in description["fields"]:
        if type(row) is dict and "bytes" not in row:
            row = {"bytes" if word == "octets" else word: value for word, value in row.items()}
            if row.get("kind") == "octets":
                row["kind"] = "bytes"
        rows.append(row)
    return {**description, "fields": rows}


_HEADER = "name doc fields payload_size opaque unsized partial quotes pseudo stream through bit_order in_bits exact label remembers under linktypes answers refines when inside defaults rules"
_FIELD = "name end must kind bits signed little names bytes of given zigzag high_first most shortest prefix sizes indefinite width before default rule computed when size count until none align pad filling to since from_end const by within"


class _Maker:
    def __init__(self, made: dict[str, Declaration], kinds: tuple[type[Kind], ...]) -> None:
        self.made, self.kinds = made, kinds
        self.enums: dict[str, type[IntEnum | IntFlag]] = {}
        self.under: list[tuple[Declaration, object]] = []
        self.types: list[tuple[Declaration, object]] = []
        self.answers: list[tuple[Declaration, object, bool]] = []  # and whether it is new
        self.touched: dict[Declaration, None] = {}

    def known(self, called: object, where: str) -> Declaration:
        """Return a declaration by its name: one of the set, else one that is declared, packetlab's own first."""
        wanted = name(called, where)
        if wanted in self.made:
            return self.made[wanted]
        known = [header for header in registry.declared() if header.name == wanted]
        known = [header for header in known if header.is_own] or known
        if not known:
            raise DeclareError(where, "a header that is declared", wanted)
        if known[1:]:
            several = " and ".join(header.key for header in known)
            raise DeclareError(where, f"one header called {wanted}", several, "a list with its description before this one says which")
        return known[0]

    # A class ---------------------------------------------------------------------------------------------------

    def make(self, description: object) -> None:
        data = table(description, "a declaration", _HEADER)
        called = name(data.get("name"), "the name of a header")
        if called in self.made:
            raise DeclareError(called, "one declaration of each name", "two")
        namesakes = [h for h in registry.declared() if h.name.lower() == called.lower()]
        if not namesakes:
            cls = self.build(called, data)
            self.touched[cls] = None
        else:
            with registry.bindings():
                for one in namesakes:
                    if one.refines is not None:
                        registry.unregister(one)
                form = _form(self.build(called, data))
                same = [one for one in namesakes if _form(one) == form]
            if not same:
                raise DeclareError(called, "a free name, or the same declaration", f"another one, {namesakes[0].key}")
            cls = same[0]
        self.made[called] = cls
        self.under.append((cls, data.get("under", [])))
        self.types += [(cls, one) for one in expect_list(data.get("linktypes", []), f"{called}, linktypes", 16)]
        if "answers" in data:
            self.answers.append((cls, data["answers"], not namesakes))

    def build(self, called: str, data: dict[str, object]) -> Declaration:
        """Make the class, not yet bound to any other."""
        rows = [
            table(row, f"{called}, a field", {*_FIELD.split(), *" ".join(SAYS.values()).split()})
            for row in expect_list(data.get("fields"), f"{called}, fields", FIELDS)
        ]
        names = [name(row.get("name"), f"{called}, the name of a field") for row in rows]
        for one in names:
            if names.count(one) > 1:
                raise DeclareError(f"{called}.{one}", "a name that is free", one)
        kinds = {one: self.kind(row, f"{called}.{one}") for one, row in zip(names, rows, strict=True)}
        fixed = sum(kind.fixed_bits for kind in kinds.values()) // 8
        if fixed > LONGEST:
            raise DeclareError(called, f"fixed fields of {LONGEST} bytes at most", fixed)
        body: dict[str, Any] = {"__module__": MODULE, "__qualname__": called}
        if "doc" in data:
            body["__doc__"] = text(data["doc"], f"{called}, its text", WORDS)
        body["__annotations__"] = {one: Annotated[object, kinds[one]] for one in names}
        for one, row in zip(names, rows, strict=True):
            body[one] = self.spec(row, kinds[one], f"{called}.{one}")
        options = self.options(called, data, kinds)
        bases: tuple[type[Any], ...] = (Header,)
        if "refines" in data:
            base = self.known(data["refines"], f"{called}, refines")
            bases, options["when"] = (classes_of[base],), load_expression(data.get("when"), f"{called}, when")
            if "inside" in data:
                options["inside"] = name(data["inside"], f"{called}, inside")
            for one, value in table(data.get("defaults", {}), f"{called}, defaults", tuple(base.by_name)).items():
                body[one] = Spec(value_of_data(base.by_name[one].kind, value, f"{called}.{one}"))
            for one, value in table(data.get("rules", {}), f"{called}, rules", tuple(base.by_name)).items():
                body[one] = Spec(None, rule=rule(value, f"{called}.{one}"))
        return HeaderType(called, bases, body, **options)._declaration

    def options(self, called: str, data: dict[str, object], kinds: dict[str, Kind]) -> dict[str, Any]:
        """What the description says of the header as a whole."""
        options: dict[str, Any] = {
            word: load_expression(data[word], f"{called}, {word}")
            for word in ("payload_size", "opaque", "unsized", "partial", "quotes")
            if word in data
        }
        if "through" in data:
            options["through"] = transforms_of(data["through"], f"{called}, through")
        for word, most in (("bit_order", 4), ("label", LABEL)):
            if word in data:
                options[word] = text(data[word], f"{called}, {word}", most)
        options |= {word: True for word in ("in_bits", "exact") if number(data.get(word, 0), f"{called}, {word}", 0, 1)}
        if "remembers" in data:
            options["remembers"] = remembered_of_data(data["remembers"], f"{called}, remembers", load_expression)
        if "stream" in data:
            options["stream"] = number(data["stream"], f"{called}, stream", 0, 1) == 1
        if "pseudo" in data:
            parts = expect_list(data["pseudo"], f"{called}, pseudo", 2, 2)
            for part in parts[parts[0] == "" :]:
                if type(part) is not str or kinds.get(part) not in ADDRESSES.values():
                    raise DeclareError(f"{called}, pseudo", "fields of addresses", safe_repr(part))
            options["pseudo"] = tuple(parts)
        return options

    def kind(self, row: dict[str, object], where: str) -> Kind:
        form = form_of(row, where)
        table({key: value for key, value in row.items() if key not in ("name", "kind", "from_end", "must")}, where, form.says)
        return form.kind(row, where, self)

    def enum(self, data: object, where: str) -> type[IntEnum | IntFlag]:
        data = table(data, where, "name flags doc members")
        called = name(data.get("name"), where)
        members = data.get("members")
        if type(members) is not dict or not 1 <= len(members) <= MEMBERS:
            raise DeclareError(where, f"1 to {MEMBERS} names of values", safe_repr(members))
        for member, value in members.items():
            if hasattr(IntFlag, name(member, where)) or hasattr(IntEnum, member):
                raise DeclareError(where, "a name that is free", member)
            number(value, where)
        flags = number(data.get("flags", 0), where, 0, 1)
        dumped = json.dumps(data)
        if dumped not in self.enums:
            base: Any = IntFlag if flags else IntEnum
            made = base(called, members, module=MODULE)
            if "doc" in data:
                made.__doc__ = text(data["doc"], where, WORDS)
            self.enums[dumped] = made
        return self.enums[dumped]

    def spec(self, row: dict[str, object], kind: Kind, where: str) -> Spec:
        rules: dict[str, object] = {}
        if "rule" in row:
            rules["rule"] = rule(row["rule"], where)
        if kind.wire == "computed" and "computed" not in row:
            raise DeclareError(where, "what a computed value follows from", "nothing")
        for word, said in (("computed", "computed"), ("when", "condition"), ("size", "size"), ("count", "count"), ("until", "until"), ("must", "must"), ("to", "place")):
            if word in row:
                rules[said] = load_expression(row[word], where)
        rules |= {word: number(row[word], where, 1, PADDING) for word in ("align", "pad", "from_end") if word in row}
        if "end" in row:
            rules["end"] = [*value_of_data(kind, expect_list(row["end"], where, 1, 1), where)][0]
        if "filling" in row:
            rules["fill"] = bytes([number(row["filling"], where, 0, 255)])
        if "since" in row and ("pad" in row or "align" in row):  # kinds have words of that name too
            rules["since"], rules["leads"] = dotted(row["since"], where) if "within" in row else name(row["since"], where), "align" in row
        if "none" in row:
            rules["none"] = number(row["none"], where)
            if "default" in row:
                raise DeclareError(where, "no default beside none, which says that the field is absent", "one")
        if number(row.get("const", 0), where, 0, 1):
            if "default" not in row:
                raise DeclareError(where, "a value for a constant", "none")
            rules["fixed"] = True
        if "default" in row:
            default = value_of_data(kind, row["default"], where)
        else:
            default = None if "rule" in row or "pad" in row or kind.wire == "payload" else REQUIRED
        made = Spec(default, **rules)
        return made if "within" not in row else lying_within(made, name(row["within"], where))

    # Bindings --------------------------------------------------------------------------------------------------

    def bind(self) -> None:
        """Bind every class of the set as its description says."""
        conditions = 0
        for cls, under in self.under:
            where = f"{cls.name}, under"
            for entry in expect_list(under, where, BINDINGS):
                entry = table(entry, where, "header numbers when sets")
                lower = self.known(entry.get("header"), where)
                self.touched[lower] = None
                if "numbers" in entry:
                    numbers = table(entry["numbers"], where, ("port", *lower.by_name))
                    for one, some in numbers.items():
                        field = field_of(lower, number_field(lower, one), where)
                        if not field.kind.is_number:
                            raise DeclareError(where, "a number field", one)
                        values = [
                            number(v, where, field.kind.low, field.kind.high) for v in expect_list(some, where, MEMBERS)
                        ]
                        registry.bind(cls, lower, {one: tuple(values)})
                    continue
                conditions += 1
                if conditions > CONDITIONS:
                    raise DeclareError(where, f"{CONDITIONS} conditions at most", "more")
                when = load_expression(entry.get("when"), where)
                sets = table(entry.get("sets", {}), where, lower.by_name)
                filled = filled_in({one: filling(data, where) for one, data in sets.items()}, where, lower)
                placed = [(str(rule), _rule_texts(sets)) for at, rule, sets in registry.bindings_of(cls) if at is lower]
                if (str(when), _rule_texts(filled)) not in placed:
                    registry.bind(cls, lower, when, filled)

    def answer(self) -> None:
        """Let every class of the set answer what its description says; one that was there already has to say the same."""
        for cls, data, new in self.answers:
            where = f"{cls.name}, answers"
            rules: dict[Declaration | None, Expr] = {}
            for entry in expect_list(data, where, ANSWERS):
                entry = table(entry, where, "header rule")
                request = self.known(entry["header"], where) if "header" in entry else None
                if request in rules:
                    raise DeclareError(where, "one rule for each header", safe_repr(entry.get("header")))
                rules[request] = answer(entry.get("rule"), where)
            rules = parse_answers(cls, rules)
            if new:
                cls.answers = rules
                registry.answer(cls)
            elif _rule_texts(rules) != _rule_texts(cls.answers):
                raise DeclareError(where, f"what {cls.key} answers", "something else")

    def link(self) -> None:
        """Let frames of link types begin with the classes that say so, from now on, as `link_type` does."""
        for cls, data in self.types:
            link_type(number(data, f"{cls.name}, linktypes", 0, 65535), classes_of[cls])

    def compile_all(self) -> None:
        """Compile every codec that is new or changed, so that an error comes now and not with a packet."""
        for cls in self.touched:
            Packing(cls).compile()
            Packing(cls, fill=True).compile()
            Decoding(cls).compile()
        for cls in self.made.values():
            prove(cls)


def _form(header: Declaration) -> tuple[object, ...]:
    """Return what a class says of its bytes, and the headers that it names; where it is bound and what it answers is another matter."""
    said = {word: value for word, value in describe(header).items() if word not in ("under", "linktypes", "answers", "doc")}
    return said, [None if one is header else one for one in named_by(header)]


def _rule_texts(rules: Mapping[K, Expr]) -> dict[K, str]:
    return {key: str(rule) for key, rule in rules.items()}


if not TYPE_CHECKING:
    __getattr__ = old_names(__name__)
