"""What a name in an expression stands for in the header that a type becomes, and expressions as rules of packetlab, as data.

A rule knows numbers, and whether a field is one of some texts or bytes: other texts, floats and lists are refused, and so is what is
found out by looking elsewhere in a file.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeAlias

from packetlab.declare.expressions import SIGNS
from packetlab.errors import DeclareError
from packetlab.schema.expressions import DEPTH
from packetlab.schema.ksy.expressions import EOF, LEFT, KsyNode, parse
from packetlab.schema.ksy.model import Attr, plain_name
from packetlab.schema.ksy.plans import Env, Variant, bytes_of
from packetlab.schema.ksy.reading import Map
from packetlab.schema.ksy.texts import is_word, says

Term: TypeAlias = Any
"""A rule as plain data (see `schema.expressions`)."""
_NONE_LEFT: Term = ["==", ["left", "self"], 0]
_MIRRORED = {"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
_TRUE = frozenset(("==", "!=", "<", "<=", ">", ">=", "and", "or", "not"))


def compared(sign: str, left: Term, right: Term) -> Term:
    """Return the rule that compares two; of numbers alone what it comes to, and a number stands behind, as where Python compares."""
    if isinstance(left, int) and isinstance(right, int):
        return int(SIGNS[sign](left, right))
    if left == _NONE_LEFT and (sign, right) in (("==", 0), ("!=", 1)):
        return [">", *_NONE_LEFT[1:]]
    return [_MIRRORED[sign], right, left] if isinstance(left, int) else [sign, left, right]


def joined(sign: str, parts: list[Term]) -> Term:
    """Return some rules with a sign between them."""
    found = parts[0]
    for part in parts[1:]:
        found = [sign, found, part]
    return found


class KsyPlace:
    """Where names stand: the way there ("", "^.", "^.^.", "SomeHeader."), and what they are."""

    def __init__(self, way: str, env: Env) -> None:
        self.way, self.env = way, env


class Rules:
    """Rules of one field; `where` begins their errors, `computed` is called for each computed value of the header itself.

    `item` has the names of `_` in the condition that ends a list. `can_end`: they may go by whether bytes are left (``_io.eof``).
    """

    def __init__(
        self,
        place: KsyPlace,
        where: str,
        computed: Callable[[Env, Attr], None],
        item: KsyPlace | None = None,
        depth: int = 0,
    ) -> None:
        self.place, self.where, self.computed, self.item = place, where, computed, item
        self.depth, self.can_end = depth, False

    def refuse(self, expected: str, got: object) -> DeclareError:
        return DeclareError(self.where, expected, got)

    def truth(self, node: KsyNode) -> Term:
        """Return the rule that is 1 where an expression is true."""
        found = self.number(node)
        return found if _is_truth(node) or node == EOF or self._is_bit(node) else compared("!=", found, 0)

    def number(self, node: KsyNode) -> Term:
        """Return an expression as a rule. DeclareError where it is more than numbers of fields."""
        self.depth += 1
        if self.depth > DEPTH:
            raise self.refuse(f"{DEPTH} levels at most", "more")
        try:
            return self._number(node)
        finally:
            self.depth -= 1

    def _number(self, node: KsyNode) -> Term:
        word, parts = node.word, node.parts
        if word == "number":
            return node.value
        if self.can_end and node in (EOF, LEFT):
            return _NONE_LEFT if node == EOF else _NONE_LEFT[1]
        if word == "enum":
            assert isinstance(node.value, tuple)
            return self.place.env.type.member(node.value, self.where)
        if word in ("sizeof", "bitsizeof"):
            return self._size_of(node)
        if word in ("and", "or"):
            return ["&" if word == "and" else "|", self.truth(parts[0]), self.truth(parts[1])]
        if word == "not":
            return compared("==", self.number(parts[0]), 0)
        if word == "choose":
            return ["choose", self.truth(parts[0]), self.number(parts[1]), self.number(parts[2])]
        if word in ("-", "~") and len(parts) == 1:
            inner = self.number(parts[0])
            base = 0 if word == "-" else -1
            return base - inner if isinstance(inner, int) else ["-", base, inner]
        if word in ("==", "!=") and (is_word(parts[0]) or is_word(parts[1])):
            found = self.among(*((parts[1], [parts[0]]) if is_word(parts[0]) else (parts[0], [parts[1]])), self.where)
            return found if word == "==" else compared("==", found, 0)
        if len(parts) == 2 and word not in ("index", "call"):
            left, right, sign = self.number(parts[0]), self.number(parts[1]), "//" if word == "/" else word
            if (
                isinstance(left, int)
                and isinstance(right, int)
                and (sign in "+-*&|^" or (sign in ("<<", ">>") and 0 <= right < 64))
            ):
                return int(SIGNS[sign](left, right))
            return compared(sign, left, right) if sign in _MIRRORED else [sign, left, right]
        if word == "attribute" and node.value == "to_i":
            return self.number(parts[0])
        if (
            word == "attribute"
            and node.value in ("size", "length")
            and (said := self._measure(parts[0], str(node.value))) is not None
        ):
            return said
        if word in ("name", "attribute"):
            return self._field(node)
        raise self.refuse("numbers of fields, since rules know nothing else", what_is(node))

    def among(self, node: KsyNode, cases: list[KsyNode], where: str) -> Term:
        """Return the rule that a value is one of some, which are all numbers, or all texts or bytes."""
        if not any(map(is_word, cases)):
            return one_of(self.number(node), [self.number(case) for case in cases], where)
        if node == KsyNode("name", "_") and self.item is not None:
            env = self.item.env
            attr = env.plan.attr
        elif node.word in ("name", "attribute") and not str(node.value).startswith("_"):
            places = [self._unwrapped(place, str(node.value)) for place in self._places(node)]
            env = places[0].env
            attr = env.type.attrs.get(str(node.value))
        else:
            raise self.refuse("a field to compare with text or bytes", what_is(node))
        value = self.number(node)
        if attr is None or attr.instance:
            raise self.refuse("a field to compare with text or bytes", what_is(node))
        (variant,) = env.variants[attr.name]
        if variant.type is not None:
            raise self.refuse("a field to compare with text or bytes", f"one of the type {variant.type.id}")
        return says(value[1], attr, variant.builtin, cases, where, node.value == "_")

    # Names -------------------------------------------------------------------------------------------------------

    def _field(self, node: KsyNode) -> Term:
        name = str(node.value)
        if name.startswith("_"):
            if node == KsyNode("name", "_") and self.item is not None:
                return ["field", "value"]
            raise self.refuse("numbers of fields, since rules know nothing else", shown(node))
        places, found = self._places(node), list[Term]()
        for place in places:
            one = self._named(place, name)
            if one not in found:
                found.append(one)
        if len(found) > 1 and all(map(_is_ordered, places)):
            return joined("+", found)  # of two orders of bytes one is there, the other one is 0
        if len(found) != 1:
            raise self.refuse(
                f"{shown(node)} to be the same field for all that hold this type", f"{len(found)} of them"
            )
        return found[0]

    def _places(self, node: KsyNode) -> list[KsyPlace]:
        """Return where the last name of some stands."""
        return [self.place] if node.word == "name" else self._at(node.parts[0])

    def _at(self, node: KsyNode) -> list[KsyPlace]:
        """Return the places inside what some names stand for."""
        name = str(node.value)
        if node.word not in ("name", "attribute"):
            raise self.refuse("names with dots between them", node.word)
        if name == "_root" and node.word == "name":
            return [root(self.place)]
        if name == "_" and node.word == "name" and self.item is not None:
            return [self.item]
        before = self._places(node)
        if name == "_parent":
            return [found for one in before for found in self._parents(one)]
        if name.startswith("_"):
            raise self.refuse("numbers of fields, since rules know nothing else", shown(node))
        places = []
        for place in before:
            place = self._unwrapped(place, name)
            for variant in place.env.variants.get(name, ()):
                if variant.env is None:
                    raise self.refuse("names of what has fields", shown(node))
                places.append(KsyPlace(place.way, variant.env))
        if not places:
            raise self.refuse("a field that is there", shown(node))
        return places

    def _unwrapped(self, place: KsyPlace, name: str) -> KsyPlace:
        """Return the place of a name that an item of a list has from around it."""
        while place.env.wraps is not None and not (
            place.env.plan.attr is not None and place.env.plan.attr.name == name and self.item is not None
        ):
            place = KsyPlace(self._out(place), place.env.wraps)
        return place

    def _out(self, place: KsyPlace) -> str:
        if place.way and place.way[0] != "^":
            raise self.refuse("names of what stands around this type", f"{place.way}_parent")
        return place.way + "^."

    def _parents(self, place: KsyPlace) -> list[KsyPlace]:
        place = self._unwrapped(place, "")
        if place.env.outer is not None:
            return [KsyPlace(place.way, place.env.outer)]
        found = [self._unwrapped(KsyPlace(self._out(place), one), "") for one in place.env.plan.holders]
        if not found:
            raise self.refuse("a type that holds this one", "none")
        return found

    def _named(self, place: KsyPlace, name: str) -> Term:
        """Return the rule that is the number of a name at a place."""
        place = self._unwrapped(place, name)
        env = place.env
        if name in env.type.params:
            return self._parameter(place, name)
        attr = env.type.attrs.get(name)
        if attr is None:
            raise self.refuse("a field that is there", name)
        if attr.instance:
            if not place.way:
                self.computed(env, attr)
        elif name in env.wrapped or any(
            variant.type is not None or attr.repeat is not None for variant in env.variants[name]
        ):
            raise self.refuse("a number", f"{name}, which is none")
        elif len(env.variants[name]) > 1:
            raise self.refuse("a field of one type", f"{name}, which depends")
        return ["field", place.way + plain_name(env.prefix + name)]

    def _parameter(self, place: KsyPlace, name: str) -> Term:
        env = place.env
        if env.variant is not None and env.outer is not None:  # part of what holds it: the argument itself
            given = dict(zip(env.type.params, env.variant.arguments, strict=True))
            return Rules(KsyPlace(place.way, env.outer), self.where, self.computed, None, self.depth).number(
                given[name]
            )
        return ["field", f"{self._out(place)}{parameter(env.type.id, name)}"]

    def _is_bit(self, node: KsyNode) -> bool:
        """Whether a name is a field of one bit."""
        if node.word == "attribute" and node.value == "to_i":
            return self._is_bit(node.parts[0])
        if node.word not in ("name", "attribute") or str(node.value).startswith("_"):
            return False
        places = [self._unwrapped(place, str(node.value)) for place in self._places(node)]
        attrs = [place.env.type.attrs.get(str(node.value)) for place in places]
        return all(
            attr is not None and (attr.type == "b1" or (attr.value is not None and _is_truth(attr.value)))
            for attr in attrs
        )

    def _size_of(self, node: KsyNode) -> int:
        """Return how many bytes or bits all values of a type take."""
        assert isinstance(node.value, tuple)
        path, unit = node.value, 8 if node.word == "sizeof" else 1
        plain = re.fullmatch(r"[usf]([1248])(?:le|be)?|b([0-9]{1,4})(?:le|be)?", path[0], re.ASCII) if len(path) == 1 else None
        if plain is not None:
            return -(-(8 * int(plain[1]) if plain[1] else int(plain[2])) // unit)  # in whole bytes
        found = self.place.env.type.find(path, "types")
        size = None if found is None else bytes_of(found)
        if size is None:
            raise self.refuse("a type that always takes as many bytes", f"{node.word}<{'::'.join(path)}>")
        return size * 8 // unit

    def _measure(self, node: KsyNode, word: str) -> Term:
        """Return the size or the number of items of a field, where the file says one; None where it is a name of the file's."""
        if node.word not in ("name", "attribute") or str(node.value).startswith("_"):
            return None
        try:
            places = [self._unwrapped(place, str(node.value)) for place in self._places(node)]
        except DeclareError:
            return None
        found = []
        for place in places:
            attr = place.env.type.attrs.get(str(node.value))
            if attr is None:
                return None
            if any(variant.env is not None for variant in place.env.variants.get(attr.name, ())):
                return None  # a field of that name
            said = (
                attr.count if word == "size" and attr.repeat == "expr" else attr.size if attr.repeat is None else None
            )
            if said is None:
                raise self.refuse("numbers of fields, since rules know nothing else", f"{shown(node)}.{word}")
            found.append(Rules(place, self.where, self.computed, None, self.depth).number(said))
        return found[0] if found else None


def _is_ordered(place: KsyPlace) -> bool:
    env: Env | None = place.env
    while env is not None and not (env.variant is not None and env.variant.order):
        env = env.outer
    return env is not None


def order(place: KsyPlace, variant: Variant, where: str, computed: Callable[[Env, Attr], None]) -> tuple[Term, Term]:
    """Return the rule that holds where a type has the order of bytes of a variant, and that of either order; 1 where it is always one of them."""
    assert variant.type is not None
    said = variant.type.endian
    assert isinstance(said, Map)
    inside = KsyPlace(place.way, variant.env if variant.env is not None else place.env)
    cases = said.get("cases")
    if "switch-on" not in said or not isinstance(cases, Map) or {*cases.values()} != {"le", "be"}:
        raise DeclareError(said.at(), "switch-on, and cases that are le or be", "something else")
    rules = Rules(inside, said.at("switch-on"), computed)
    value = rules.number(parse(said["switch-on"], said.at("switch-on")))
    among = {case: rules.number(parse(case, cases.at(case))) for case in cases if case != "_"}
    if cases.get("_") == variant.order:
        return none_of([one_of(value, [among[case] for case in among if cases[case] != variant.order], said.at("cases"))]), 1
    own = one_of(value, [among[case] for case in among if cases[case] == variant.order], said.at("cases"))
    return own, 1 if "_" in cases else one_of(value, [*among.values()], said.at("cases"))


def one_of(value: Term, among: list[Term], where: str) -> Term:
    """Return the rule that a value is one of some numbers."""
    if not among or any(type(one) is not int for one in among):
        raise DeclareError(where, "cases that are numbers", "others")
    if isinstance(value, int):
        return int(value in among)
    return ["==", value, among[0]] if len(among) == 1 else ["one_of", value, sorted({*among})]


def none_of(rules: list[Term]) -> Term:
    """Return the rule that none of some hold; where these are of one value, so that it can be seen that they are apart."""
    if all(isinstance(rule, int) for rule in rules):
        return int(not any(rules))
    if all(isinstance(rule, list) and rule[0] == "says" and rule[1] == rules[0][1] for rule in rules):
        return ["==", ["says", rules[0][1], [word for rule in rules for word in rule[2]]], 0]
    among = [
        number
        for sign, _, said in (rule for rule in rules if isinstance(rule, list) and rule[0] in ("==", "one_of"))
        for number in (said if sign == "one_of" else [said])
    ]
    if all(isinstance(rule, list) and rule[0] in ("==", "one_of") for rule in rules) and len({str(rule[1]) for rule in rules}) == 1:
        value = rules[0][1]
        return ["!=", value, among[0]] if len(among) == 1 else ["==", ["one_of", value, sorted({*among})], 0]
    return joined("&", [compared("==", rule, 0) for rule in rules])


def parameter(type: str, name: str) -> str:
    """Return the name of the value that a header has for a parameter of one that it holds."""
    return f"{type}_{name}"


def root(place: KsyPlace) -> KsyPlace:
    """Return the place of the names of a file's own type."""
    env = place.env
    top, one = env.type.root, env
    way = ""
    while one is not None and not place.way:
        if one.type is top and one.wraps is None:
            return KsyPlace(way, one)
        if one.outer is not None:
            one = one.outer
        elif one.wraps is not None:
            one, way = one.wraps, way + "^."
        else:
            break
    names = [plan for plan in _all(env) if plan.type is top and plan.attr is None]
    return KsyPlace(f"{names[0].name}.", names[0].env) if names else place


def _all(env: Env) -> list[Term]:
    found: list[Term] = []
    todo: list[Term] = [env.plan]
    while todo:
        one = todo.pop()
        if one not in found:
            found.append(one)
            todo += [holder.plan for holder in one.holders]
    return found


def what_is(node: KsyNode) -> str:
    """Return what an expression is, in words."""
    what = {"text": "a text", "list": "a list", "index": "an item of a list", "call": f"{node.value}(...)"}
    return shown(node) if node.word in ("name", "attribute") else what.get(node.word, node.word)


def shown(node: KsyNode) -> str:
    """Return names with their dots."""
    return str(node.value) if node.word == "name" else f"{shown(node.parts[0]) if node.parts else ''}.{node.value}"


def _is_truth(node: KsyNode) -> bool:
    return node.word in _TRUE or (node.word == "choose" and all(map(_is_truth, node.parts[1:])))
