"""Types as descriptions of headers, those that others need first.

Values that are worked out (instances with `value`) become computed fields, which stand where all is known that they follow from.
A length that only says how long one other field is follows from that field: it need not be given.
"""

from __future__ import annotations

from packetlab.declare.computed import inverse
from packetlab.declare.expressions import Op, Ref
from packetlab.declare.rules import apart
from packetlab.errors import DeclareError
from packetlab.schema.expressions import dump_expression, load_expression
from packetlab.schema.ksy import ends, instances
from packetlab.schema.ksy.expressions import EOF
from packetlab.schema.ksy.fields import (
    Row,
    check_end,
    contents,
    enum_data,
    is_bits,
    number_row,
    open_row,
    static_bits,
    transforms,
)  # fmt: skip
from packetlab.schema.ksy.model import Attr, camel, plain_name
from packetlab.schema.ksy.order import KsyOrder
from packetlab.schema.ksy.plans import Env, KsyPlan, Plans, Variant
from packetlab.schema.ksy.scopes import KsyPlace, Rules, Term, joined, none_of, one_of, order, parameter
from packetlab.schema.ksy.texts import is_word
from packetlab.schema.ksy.valid import validated


class KsyHeader:
    """One header in the making.

    Attributes:
        rows: its fields. lines: field -> where the file says it. follow: lengths that were given a rule here. choices: headers
            that go on after its fields. notes: what of the type is not in the header, and why.
    """

    def __init__(self, plan: KsyPlan, types: KsyOrder) -> None:
        self.plan, self.types = plan, types
        self.rows: list[Row] = []
        self.lines: dict[str, str] = {}
        self.follow: set[str] = set()
        self.choices: list[dict[str, Term]] = []
        self.notes: list[str] = []
        self.done: dict[tuple[Env, str], str] = {}  # instances: their name, or why there is none
        self.bits = 0
        self.low: bool | None = None
        if plan.attr is None:
            self._fill(plan.env, [])
        else:
            self._field(plan.env, plan.attr, [], item=True)
        self._align()
        self._lengths()
        if plan.whole:
            self._unread()
        if any("when" in row and (row["kind"] == "rest" or row.get("rest")) for row in self.rows):
            for choice in self.choices:
                choice["fields"][0]["when"] = choice["when"]  # so it is seen not to stand after all the rest

    def description(self) -> dict[str, Term]:
        """Return it as data."""
        said: dict[str, Term] = {"name": self.plan.name, "fields": self.rows}
        if self.low:
            said["bit_order"] = "low"
        said["doc"] = self._doc()
        return said

    def _doc(self) -> str:
        type, lines = self.plan.type, []
        if self.plan.attr is None:
            title, license = type.meta.get("title"), type.meta.get("license")
            lines += [title, ""] if isinstance(title, str) else []
            lines += [type.doc, ""] if type.doc else []
            at = type.said.at().rpartition("/")[2]
            lines.append(
                f"Kaitai Struct: {'/'.join(type.path)}, {at}" + (f" ({license})" if isinstance(license, str) else "")
            )
            lines += [
                f"{plain_name(a.name)}: {' '.join(str(a.said['doc']).split())}"
                for a in type.seq
                if isinstance(a.said.get("doc"), str)
            ]
        else:
            lines.append(f"Kaitai Struct: an item of {self.plan.attr.name}")
        lines += self.notes
        return "\n".join(lines).strip()[: 1 << 15].replace('"', "'")

    def _unread(self) -> None:
        """Keep what a type does not speak of."""
        row: Row = {"name": plain_name("unread"), "kind": "rest", "default": ""}
        while row["name"] in self.lines:
            row["name"] += "_"
        for choice in self.choices:
            choice["fields"].append(
                {
                    "name": f"{choice['fields'][-1]['name']}_unread",
                    "kind": "rest",
                    "default": "",
                    "when": choice["when"],
                }
            )
        if self.choices:
            row["when"] = none_of([choice["when"] for choice in self.choices])
        self.lines[row["name"]] = self.plan.type.said.at()
        self.rows.append(row)

    # Fields ------------------------------------------------------------------------------------------------------

    def _fill(self, env: Env, conditions: list[Term]) -> None:
        end = ends.counted(env) if env.outer is None else None
        for attr in env.type.seq[:-2] if end is not None else env.type.seq:
            self._field(env, attr, conditions)
        if end is not None:
            self._counted(env, end)
        for attr in env.type.instances.values():
            if attr.name in env.variants or attr.name in env.wrapped:
                self._placed(env, attr)
            else:
                self.computed(env, attr, late=True)

    def _placed(self, env: Env, attr: Attr) -> None:
        """A field at a place, after what fills up to it. Another number that says the place follows from it (see `_lengths`)."""
        assert attr.pos is not None
        there = [] if attr.condition is None else [self.rules(env, attr, "if").truth(attr.condition)]
        name = f"{plain_name(attr.name)}_gap"
        self._align()
        self._add({"name": name, "kind": "bytes", "to": self.rules(env, attr, "pos").number(attr.pos), "pad": 1}, there, attr)
        self.done[env, attr.name] = "one that lies elsewhere"
        self._field(env, attr, [])

    def _counted(self, env: Env, end: ends.KsyCounted) -> None:
        """Fields up to the end, the last of which says how many of them are padding."""
        check_end(end.data)
        check_end(end.padding)
        names = [plain_name(attr.name) for attr in (end.data, end.padding, end.number)]
        there = [] if end.condition is None else [self.rules(env, end.number, "if").truth(end.condition)]
        self._add({"name": names[0], "kind": "rest"}, [], end.data)
        said = self._number(env, end.number)
        self._add(
            {"name": names[1], "kind": "bytes", "size": ["-", ["field", names[2]], end.bytes]}, there, end.padding
        )
        self._add({"name": names[2], **said, "from_end": end.bytes}, there, end.number)
        self.done[env, end.number.name] = ""
        self.notes.append(f"{names[1]}: without the {end.bytes} bytes of {names[2]}, which it ends with ({end.padding.where.rpartition('/')[2]})")

    def _number(self, env: Env, attr: Attr) -> Row:
        row = number_row(attr, attr.type, env.endian)
        assert row is not None
        return {**row, **({"names": enum_data(attr)} if "enum" in attr.said else {})}

    def rules(self, env: Env, attr: Attr, key: str, item: KsyPlace | None = None) -> Rules:
        return Rules(KsyPlace("", env), f"{attr.said.at(key)}: {attr.owner.id}.{attr.name}, {key}", self.computed, item)

    def _field(self, env: Env, attr: Attr, conditions: list[Term], item: bool = False) -> None:
        check_end(attr)
        name = plain_name(env.prefix + attr.name)
        if not item and attr.condition is not None:
            rules = self.rules(env, attr, "if")
            rules.can_end = True
            conditions = [*conditions, rules.truth(attr.condition)]
        if not item and attr.name in env.wrapped:
            plan = env.wrapped[attr.name]
            self._add(
                {"name": name, "kind": "items", "of": plan.name, **self._list(env, attr, plan.env)}, conditions, attr
            )
            return
        name = "value" if item else name
        variants = env.variants[attr.name]
        for variant in variants:
            said = [*conditions, *self._case(env, attr, variant, variants)]
            called = name
            if len(variants) > 1 and (variant.type is not None or variant.builtin):
                called = plain_name(f"{'value' if item else env.prefix + attr.name}_{variant.called}")
            if self.types.is_choice(env.plan, attr, variant):
                self._choice(env, attr, variant, called, said)
            elif variant.env is not None:
                self._inside(variant.env, attr, variant, said)
            else:
                row = {"name": called, **self._kind(env, attr, variant, item)}
                self._pass_on(env, attr, variant, said)
                self._add(row, said, attr)

    def _case(self, env: Env, attr: Attr, variant: Variant, variants: list[Variant]) -> list[Term]:
        """Return what has to hold for one of the types of a field."""
        if variant.order:
            own, either = order(KsyPlace("", env), variant, attr.where, self.computed)
            if isinstance(either, list) and attr.condition is None:  # a field that says the order says one of the two
                for row in self.rows:
                    if ["field", row["name"]] == either[1] and row["kind"] == "int" and not row.keys() & {"must", "const"}:
                        row["must"] = either
            return [own]
        if variant.cases is None or attr.switch is None:
            return []
        rules = self.rules(env, attr, "type")
        cases = variant.cases or [case for other in variants for case in other.cases or ()]
        if any(map(is_word, cases)):
            found = rules.among(attr.switch.on, cases, variant.where)
        else:
            found = one_of(self._switch(env, attr, rules), [rules.number(case) for case in cases], variant.where) if cases else 0
        return [found] if variant.cases else [none_of([found])] if cases else []

    def _switch(self, env: Env, attr: Attr, rules: Rules) -> Term:
        """Return what a field's type goes by; where others go on after this header, as a field of its own."""
        assert attr.switch is not None
        value = rules.number(attr.switch.on)
        own = isinstance(value, list) and value[0] == "field" and "." not in value[1]
        if own or not self.types.has_choices(env.plan, attr):
            return value
        name = plain_name(f"{env.prefix}{attr.name}_switch")
        if name not in self.lines:
            self._add({"name": name, "kind": "computed", "computed": value}, [], attr)
        return ["field", name]

    def _inside(self, env: Env, attr: Attr, variant: Variant, conditions: list[Term]) -> None:
        """Take in the fields of a type, since expressions name them."""
        if "valid" in attr.said:
            self.unchecked(plain_name(env.prefix + attr.name), DeclareError("", "a number", f"the type {attr.type}"), attr.where)
        if attr.size is not None or attr.to_end:
            bits = static_bits(env)
            if attr.size is None or attr.size.word != "number" or bits is None or bits != int(attr.size.value) * 8:  # type: ignore[arg-type]
                at = self.types.plans.inline[attr]
                raise attr.refuse(
                    "size", f"no size, or just that of its fields, since {at} names what is inside", "another size"
                )
        if attr.condition is not None and EOF in attr.condition.walk():
            at = self.types.plans.inline[attr]
            raise attr.refuse("if", f"no condition on _io.eof, since {at} names what is inside", "one")
        self._align()
        self._fill(env, conditions)
        self._align()

    def _kind(self, env: Env, attr: Attr, variant: Variant, item: bool) -> Row:
        row = self._of_type(env, attr, variant, item)
        if "valid" in attr.said:
            try:
                row.update(validated(attr, row, self.rules(env, attr, "valid")))
            except DeclareError as error:
                self.unchecked(plain_name(env.prefix + attr.name), error, attr.where)
        return row

    def unchecked(self, name: str, error: DeclareError, where: str, lost: str = "what is valid is not checked") -> None:
        """Say in the docstring that a field is not checked, or left out, why, and in which line the file says it."""
        self.notes.append(f"{name}: {lost}, expected {error.expected}, got {error.got} ({where.rpartition('/')[2]})")

    def _of_type(self, env: Env, attr: Attr, variant: Variant, item: bool) -> Row:
        rules = self.rules(env, attr, "size" if attr.size is not None else "type")
        if "contents" in attr.said:
            data = contents(attr)
            return {"kind": "bytes", "bytes": len(data), "const": 1, "default": data.hex()}
        by = transforms(attr, self.rules(env, attr, "process"))
        row = self._plain(env, attr, variant, rules, item)
        if by:
            row = {word: value for word, value in row.items() if word != "fill"}
            sizes = [row.pop(word) for word in ("size", "bytes", "taken") if word in row]
            row = {"kind": "through", "of": row, "by": by, **({"size": sizes[0]} if sizes else {})}
        return row

    def _plain(self, env: Env, attr: Attr, variant: Variant, rules: Rules, item: bool) -> Row:
        several = attr.repeat is not None and not item
        if variant.plan is not None:
            row: Row = {"kind": "items" if several else "header", "of": variant.plan.name}
            if several:
                return {**row, **self._list(env, attr, variant.plan.env)}
            if attr.size is not None:
                row["size"] = rules.number(attr.size)
                if not variant.plan.type.seq:  # Kaitai passes over what a type does not speak of
                    return open_row(attr, "", rules)
            return row
        row_or_none = number_row(attr, variant.builtin, env.endian)
        if row_or_none is None:
            return open_row(attr, variant.builtin, rules)
        row = row_or_none
        if "enum" in attr.said:
            row["names"] = enum_data(attr)
        if several:
            if is_bits(variant.builtin):
                raise attr.refuse("repeat", "a list of whole bytes", "bits")
            return {"kind": "values", "of": row, **self._list(env, attr, None)}
        if is_bits(variant.builtin):
            low = (variant.builtin[-2:] if variant.builtin[-2:] in ("le", "be") else attr.owner.bit_endian) == "le"
            if self.low not in (None, low):
                raise attr.refuse("type", "bits in one order in a type", "both orders")
            self.low = low
        return row

    def _list(self, env: Env, attr: Attr, item: Env | None) -> Row:
        """Return what tells where a list ends."""
        if attr.count is not None:
            return {"count": self.rules(env, attr, "repeat-expr").number(attr.count), "default": []}
        until = instances.end_of(attr.until)
        if until is None:
            return {"default": []}
        assert item is not None
        inside = Rules(
            KsyPlace("", item),
            f"{attr.said.at('repeat-until')}: {attr.owner.id}.{attr.name}, repeat-until",
            self.computed,
            KsyPlace("", item),
        )
        return {"until": inside.truth(until), "default": []}

    def _pass_on(self, env: Env, attr: Attr, variant: Variant | None, conditions: list[Term]) -> None:
        """Have values for the parameters of a header that is held."""
        if variant is None or variant.type is None:
            return
        if len(variant.arguments) != len(variant.type.params):
            raise DeclareError(
                variant.where, f"{len(variant.type.params)} arguments of {variant.type.id}", len(variant.arguments)
            )
        for name, given in zip(variant.type.params, variant.arguments, strict=True):
            called, rule = parameter(variant.type.id, name), self.rules(env, attr, "type").number(given)
            known = [row for row in self.rows if row["name"] == called]
            if known and known[0].get("computed") != rule:
                raise DeclareError(
                    variant.where, f"one value of {name} for each {variant.type.id} that a type holds", "two"
                )
            if not known:
                self._add({"name": called, "kind": "computed", "computed": rule}, [], attr)

    def _choice(self, env: Env, attr: Attr, variant: Variant, called: str, conditions: list[Term]) -> None:
        """A header that goes on after the fields of this one, since it holds one that holds this."""
        assert variant.plan is not None
        before, self.rows = self.rows, []
        self._pass_on(env, attr, variant, [])
        rows, self.rows = [*self.rows, {"name": called, **self._kind(env, attr, variant, False)}], before
        name = self.types.plans.name(f"{self.plan.name}With{camel(variant.called)}", variant.where)
        self.lines[called] = variant.where
        self.choices.append({"name": name, "refines": self.plan.name, "when": joined("&", conditions), "fields": rows})

    # Rows --------------------------------------------------------------------------------------------------------

    def _add(self, row: Row, conditions: list[Term], attr: Attr) -> None:
        name = row["name"]
        if name in self.lines:
            raise attr.refuse("id", "a name that is free in its header", name)
        shares = row["kind"] == "int" and row["bits"] % 8 != 0
        if row["kind"] != "computed":
            if not (row["kind"] == "int" and is_bits(attr.type)) and not shares:
                self._align()
            if conditions:
                row["when"] = joined("&", conditions)
            if row["kind"] == "int" and is_bits(attr.type) and not self._is_other(row):
                self.bits += row["bits"]
        self.lines[name] = attr.where
        self.rows.append(row)

    def _is_other(self, row: Row) -> bool:
        """Whether bits stand where those before them do, since the two are never there together."""
        before = self.rows[-1] if self.rows else {}
        if "when" not in before or "when" not in row or before.get("bits") != row["bits"]:
            return False
        return apart(load_expression(before["when"], ""), load_expression(row["when"], ""))

    def _align(self) -> None:
        """Fill up to a whole byte."""
        if self.bits % 8:
            name = f"unused_{len(self.rows)}"
            self.lines[name] = self.plan.type.said.at()
            self.rows.append({"name": name, "kind": "int", "bits": 8 - self.bits % 8, "default": 0})
        self.bits = 0

    def computed(self, env: Env, attr: Attr, late: bool = False) -> None:
        """Have a value that is worked out, if that is not there yet; `late` for those that nothing asks for."""
        name = plain_name(env.prefix + attr.name)
        if (env, attr.name) in self.done:
            if self.done[env, attr.name] and not late:
                raise DeclareError(attr.where, "a value that can be worked out", self.done[env, attr.name])
            return
        self.done[env, attr.name] = "one that follows from itself"
        try:
            row = instances.row_of(self.rules(env, attr, "value"), env, attr, name)
            self._known(row, attr)
        except DeclareError as error:
            self.done[env, attr.name] = f"one of {attr.owner.id} that expects {error.expected}, got {error.got}"
            if not late:
                raise
            self.unchecked(name, error, attr.where, "left out")
            return
        self.done[env, attr.name] = ""
        if "valid" in attr.said:
            self.unchecked(name, DeclareError("", "a field", "a value that is worked out"), attr.where)
        self._add(row, [], attr)

    def _known(self, row: Row, attr: Attr) -> None:
        """Refuse a value that follows from what stands after it."""
        for leaf in load_expression(row["computed"], attr.where).leaves() if "computed" in row else ():
            if isinstance(leaf, Ref) and leaf.name not in self.lines:
                raise DeclareError(attr.where, "a value that follows from fields before it", leaf.name)

    def _lengths(self) -> None:
        """Let numbers follow from the one field whose size or count they tell."""
        later = [row for choice in self.choices for row in choice["fields"]]
        asked = {name for row in self.rows if "when" in row for name in _names(row["when"])}
        self._offsets(asked)
        for row in self.rows:
            name = row["name"]
            if row["kind"] != "int" or {*row} & {"names", "default", "rule"} or name in asked:
                continue
            sizes = [
                (other, key)
                for other in (*self.rows, *later)
                for key in ("size", "count")
                if key in other and name in _names(other[key])
            ]
            if not sizes or any(other in later for other, _ in sizes):
                continue
            first, key = sizes[0]
            if "when" in row and first.get("when") != row["when"]:
                continue
            same = [
                other["name"] for other, word in sizes if word == key and other[key] == first[key] and "when" in other
            ]
            measure = joined("+", [[f"{key}_of", one] for one in (same if "when" in first else [first["name"]])])
            told = load_expression(first[key], "")
            solved = inverse(told, name, load_expression(measure, ""))
            masked = any(isinstance(part, Op) and part.sign in "&%" for part in told.parts())  # its other bits are for who builds it to give
            if solved is not None and not masked:
                row["rule"] = dump_expression(solved)
                self.follow.add(name)

    def _offsets(self, asked: set[str]) -> None:
        """Let numbers follow from the place of the one field that they tell."""
        places = [row["to"] for row in self.rows if "to" in row]
        for number in self.rows if not any("when" in row for row in self.rows) else ():
            said = ["field", number["name"]]
            if number["kind"] != "int" or {*number} & {"names", "default"} or number["name"] in asked or places.count(said) != 1:
                continue
            before = self.rows[: next(at for at, row in enumerate(self.rows) if row.get("to") == said) + 1]
            fixed = [0 if row["kind"] == "values" else int(row.get("bits") or 8 * int(row.get("bytes") or row.get("taken") or 0)) for row in before]
            others = [["size_of", row["name"]] for row, bits in zip(before, fixed, strict=True) if not bits and row["kind"] != "computed"]
            number["rule"] = joined("+", [sum(fixed) // 8, *others])
            self.follow.add(number["name"])


def _names(rule: Term) -> set[str]:
    return {leaf.name for leaf in load_expression(rule, "").leaves() if isinstance(leaf, Ref)}


def headers_of(plans: Plans) -> list[KsyHeader]:
    """Return all headers, those that others need first."""
    types = KsyOrder(plans)
    return [KsyHeader(plan, types) for plan in types.sorted]
