"""Which types become headers, which become part of the header that holds them, and which headers hold which.

A rule of packetlab names fields of its own header and of those around it, and none inside a header that it holds. So where an
expression asks for such a one, as in ``header.length``, what holds it takes the fields in: ``header_length``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from packetlab.declare import registry
from packetlab.errors import DeclareError, suggestion
from packetlab.schema.expressions import safe_repr
from packetlab.schema.ksy.expressions import LEFT, KsyNode
from packetlab.schema.ksy.model import Attr, Loaded, Type, camel
from packetlab.schema.ksy.reading import Map

BUILTIN = re.compile(r"[us]([1248])(le|be)?|f([48])(le|be)?|b([1-9][0-9]{0,3})(le|be)?|str|strz|", re.ASCII)
PLANS, INSIDE = 256, 1024


def target(attr: Attr, name: str) -> Type | None:
    """Return the type that a name stands for where a field has it; None for one of Kaitai's own. DeclareError where there is none."""
    if BUILTIN.fullmatch(name):
        return None
    path = tuple(part.strip() for part in name.split("::"))
    found = attr.owner.find(path, "types")
    if found is None:
        known = [*attr.owner.types, *attr.owner.root.types, *attr.owner.file.loaded.by_id]
        raise attr.refuse("type", "a type that is there", safe_repr(name), suggestion(name, known))
    made: Type = found
    return made


class Variant:
    """One of the types that a field may have.

    Attributes:
        type: that of the file, None for one of Kaitai's own, whose name is `builtin`. arguments: given to it. where: of the case.
        cases: expressions of which switch-on is one; None where there is no switch, [] for all other cases. `order`: "le" or "be"
            where another expression tells the order of bytes.
        plan: the header that it becomes; env: its names, where its fields become fields of what holds it.
    """

    def __init__(
        self,
        type: Type | None,
        builtin: str,
        arguments: tuple[KsyNode, ...],
        where: str,
        cases: list[KsyNode] | None,
        order: str = "",
    ) -> None:
        self.type, self.builtin, self.arguments, self.where = type, builtin, arguments, where
        self.cases, self.order = cases, order
        self.plan: KsyPlan | None = None
        self.env: Env | None = None

    @property
    def called(self) -> str:
        return self.order or (self.type.id if self.type is not None else self.builtin)


class Env:
    """The names that expressions of a type have, in the header that it becomes or is part of.

    Attributes:
        prefix: of its fields' names there. outer: of the type that holds it in the same header. endian: "le" or "be", where known.
        wraps: where it is one item of a list of others, the names around that.
        variants: the types that each of its fields may have. wrapped: fields that are lists of such items.
    """

    def __init__(
        self, type: Type, plan: KsyPlan, prefix: str, endian: object, outer: Env | None = None, wraps: Env | None = None
    ) -> None:
        self.type, self.plan, self.prefix, self.endian, self.outer, self.wraps = (
            type,
            plan,
            prefix,
            endian,
            outer,
            wraps,
        )
        self.variants: dict[str, list[Variant]] = {}
        self.wrapped: dict[str, KsyPlan] = {}
        self.via: Attr | None = None
        self.variant: Variant | None = None


class KsyPlan:
    """One header: a type in one order of bytes, or an item of a list that has no type of its own.

    `whole` is whether it has a size from outside, and keeps what it does not speak of: Kaitai passes over that.
    """

    def __init__(
        self,
        name: str,
        type: Type,
        endian: object,
        wraps: Env | None = None,
        attr: Attr | None = None,
        whole: bool = False,
    ) -> None:
        self.name, self.type, self.attr, self.whole = name, type, attr, whole
        self.env = Env(type, self, "", endian, wraps=wraps)
        self.holders: list[Env] = [] if wraps is None else [wraps]
        self.edges: list[tuple[KsyPlan, Attr, Variant | None]] = []


class Plans:
    """All headers that a file becomes; `first` is that of the file itself.

    Attributes:
        placed: type -> instances that lie at a place of it, and become fields there. Without `places` there are none.
    """

    def __init__(self, loaded: Loaded, places: bool = True) -> None:
        self.taken = {one.name.lower() for one in registry.declared() if one.is_own}
        self.names: set[str] = set()
        self.made: dict[tuple[Type, object, bool], KsyPlan] = {}
        self.all: list[KsyPlan] = []
        self.users: dict[Type, list[Attr]] = {}
        self.inline: dict[Attr, str] = {}
        self.inside = 0  # types that became part of what holds them
        self.placed: dict[Type, list[Attr]] = {}
        top = loaded.first.type
        self.users[top] = []
        self._walk(top)
        if places:
            for type in [*self.users]:
                if type is top or all(user.size is not None or user.to_end for user in self.users[type]):
                    self.placed[type] = [one for one in type.instances.values() if is_placed(one)]
                    self._walk(type, self.placed[type])
        for type in [*self.users]:
            self._ask(type)
        self.first = self.plan(top, top.endian if not isinstance(top.endian, Map) else None)

    # Types ---------------------------------------------------------------------------------------------------------

    def _walk(self, top: Type, some: list[Attr] | None = None) -> None:
        todo = [top.seq if some is None else some]
        while todo:
            for attr in todo.pop():
                for name in attr.types:
                    found = target(attr, name)
                    if found is None:
                        continue
                    if found not in self.users:
                        self.users[found] = []
                        todo.append(found.seq)
                    if attr not in self.users[found]:
                        self.users[found].append(attr)

    def _ask(self, type: Type) -> None:
        """Find which fields have to become part of what holds them, since expressions name what is inside."""
        for attr in (*type.seq, *self.placed.get(type, ()), *(one for one in type.instances.values() if one.value is not None)):
            for node, key in attr.nodes():
                for part in node.walk():
                    if part.word != "attribute":
                        continue
                    if part.parts[0] == KsyNode("name", "_io") and key == "size" and type.seq == [attr]:
                        self.inline.update(
                            {user: attr.said.at(key) for user in self.users[type]}
                        )  # it counts from what holds it
                    elif not str(part.value).startswith("_"):
                        for holder in self._held(part.parts[0], type, attr):
                            self.inline[holder] = attr.said.at(key)

    def _held(self, node: KsyNode, type: Type, attr: Attr) -> Iterable[Attr]:
        """Return the fields that a name with a dot after it stands for, of types of the file."""
        if node.word not in ("name", "attribute") or str(node.value).startswith("_"):
            return []
        owners = [type] if node.word == "name" else self._types(node.parts[0], type, attr)
        found = [owner.attrs[str(node.value)] for owner in owners if node.value in owner.attrs]
        return [one for one in found if any(target(one, name) is not None for name in one.types)]

    def _types(self, node: KsyNode, type: Type, attr: Attr) -> list[Type]:
        if node.word == "name" and node.value == "_root":
            return [type.root]
        if node.word == "name" and node.value == "_":
            return [found for name in attr.types if (found := target(attr, name)) is not None]
        if node.value == "_parent":
            below = [type] if node.word == "name" else self._types(node.parts[0], type, attr)
            return [user.owner for one in below for user in self.users.get(one, ())]
        return [
            found
            for one in self._held(node, type, attr)
            for name in one.types
            if (found := target(one, name)) is not None
        ]

    # Headers -------------------------------------------------------------------------------------------------------

    def name(self, wanted: str, where: str) -> str:
        """Return the name of a class: that of the type, unless packetlab has one so called."""
        name = f"Ksy{wanted}" if wanted.lower() in self.taken else wanted
        if name.lower() in self.names or len(name) > 64:
            raise DeclareError(
                where, "a name of up to 64 letters for each type", f"{name}, for two" if len(name) <= 64 else name
            )
        self.names.add(name.lower())
        return name

    def plan(self, type: Type, endian: object, whole: bool = False) -> KsyPlan:
        """Return the header that a type becomes."""
        key = type, endian, whole
        if key not in self.made:
            order = str(endian).title() if isinstance(type.endian, Map) and endian is not None else ""
            inside = [user for user in self.users.get(type, ()) if user.owner.root is type.root]
            alone = type.outer is not None and all(is_whole(user, type) for user in inside)
            name = f"{type.name}{order}{'Sized' if whole and not alone else ''}"
            self.made[key] = made = KsyPlan(self.name(name, type.said.at()), type, endian, whole=whole)
            self._add(made)
            self._fill(made.env)
        return self.made[key]

    def _add(self, plan: KsyPlan) -> None:
        self.all.append(plan)
        if len(self.all) > PLANS:
            raise DeclareError(plan.type.said.at(), f"{PLANS} headers at most", "more")

    def _fill(self, env: Env, depth: int = 0) -> None:
        for attr in (*env.type.seq, *(self.placed.get(env.type, ()) if env.outer is None else ())):
            inner = env
            if is_wrapped(attr):
                name = self.name(f"{env.plan.name}{camel(env.prefix + attr.name)}Item", attr.where)
                made = KsyPlan(name, env.type, env.endian, env, attr)
                self._add(made)
                env.wrapped[attr.name] = made
                env.plan.edges.append((made, attr, None))
                inner = made.env
            inner.variants[attr.name] = [*self._variants(attr, env)]
            for variant in inner.variants[attr.name]:
                if variant.type is None:
                    continue
                order = variant.order or (env.endian if isinstance(variant.type.endian, Map) else variant.type.endian)
                if attr in self.inline:
                    if attr.repeat is not None or attr.switch is not None or depth > 8:
                        raise DeclareError(
                            self.inline[attr],
                            f"values of one header, and {attr.name} is a list, or of many kinds",
                            "a value inside",
                        )
                    self.inside += 1
                    if self.inside > INSIDE:
                        raise DeclareError(
                            self.inline[attr], f"{INSIDE} types at most that become part of others", "more"
                        )
                    prefix = f"{env.prefix}{attr.name}_" + f"{variant.order}_" * bool(variant.order)
                    variant.env = Env(variant.type, env.plan, prefix, order, env)
                    variant.env.via, variant.env.variant = attr, variant
                    self._fill(variant.env, depth + 1)
                    continue
                variant.plan = self.plan(variant.type, order, is_whole(attr, variant.type))
                inner.plan.edges.append((variant.plan, attr, variant))
                if inner not in variant.plan.holders:
                    variant.plan.holders.append(inner)

    def _variants(self, attr: Attr, env: Env) -> Iterator[Variant]:
        if attr.switch is None:
            found = target(attr, attr.type)
            if found is not None and isinstance(found.endian, Map) and found.endian is not env.type.endian:
                for order in ("le", "be"):
                    yield Variant(found, attr.type, attr.arguments, attr.said.at("type"), None, order)
            else:
                yield Variant(found, attr.type, attr.arguments, attr.said.at("type"), None)
            return
        groups: dict[object, Variant] = {}
        for case, name, arguments, where in attr.switch.cases:
            found = target(attr, name)
            key = (found or name, arguments, case is None)
            if key not in groups:
                groups[key] = Variant(found, name, arguments, where, [])
            if case is not None and (cases := groups[key].cases) is not None:
                cases.append(case)
        yield from groups.values()
        if all(variant.cases for variant in groups.values()) and ("size" in attr.said or attr.to_end):
            yield Variant(None, "", (), attr.said.at("type"), [])


def is_wrapped(attr: Attr) -> bool:
    """Whether the items of a list are no headers or numbers by themselves."""
    if attr.repeat is None:
        return False
    if (
        attr.switch is not None
        or "size" in attr.said
        or "size-eos" in attr.said
        or "contents" in attr.said
        or "process" in attr.said
    ):
        return True
    number = re.fullmatch(r"[us][1248](le|be)?", attr.type)
    if number is not None:
        return attr.repeat == "until" or "enum" in attr.said
    return BUILTIN.fullmatch(attr.type) is not None


def is_placed(attr: Attr) -> bool:
    """Whether an instance lies at a place that a field says, or behind those of its type; not where it is said to be elsewhere."""
    if attr.pos is None or attr.value is not None or attr.io is not None or attr.switch is not None or attr.owner.seq == []:
        return False
    said = [node for node, _ in attr.nodes()]
    if attr.to_end or _fills(attr.owner, ()) or any(part == KsyNode("name", "_io") for node in said for part in node.walk()):
        return False
    size = bytes_of(attr.owner)
    return attr.pos.word != "number" or (size is not None and size <= int(str(attr.pos.value)))


def is_whole(attr: Attr, type: Type) -> bool:
    """Whether a field gives a type a size that its own fields need not fill."""
    if (attr.size is None and not attr.to_end) or not type.seq or _fills(type, ()):
        return False
    return attr.size is None or attr.size.word != "number" or bytes_of(type) != attr.size.value


def _fills(type: Type, inside: tuple[Type, ...]) -> bool:
    """Whether a type goes on to the end of what it is in."""
    last = type.seq[-1] if type.seq and type not in inside else None
    if any(LEFT in attr.size.walk() for attr in type.seq if attr.size is not None):
        return True
    if last is None or last.condition is not None:
        return False
    if last.repeat == "eos" or (last.repeat is None and last.to_end):
        return True
    found = target(last, last.type) if last.switch is None and last.repeat is None and last.size is None else None
    return found is not None and _fills(found, (*inside, type))


def bytes_of(type: Type) -> int | None:
    """Return how many bytes a type of plain numbers and bytes takes; None for others."""
    return _bytes(type, {})


def _bytes(type: Type, known: dict[Type, int | None]) -> int | None:
    if type in known:
        return known[type]
    known[type] = None  # of one that holds itself
    total = 0
    for attr in type.seq:
        if attr.condition is not None or attr.repeat is not None or attr.switch is not None:
            return None
        number = BUILTIN.fullmatch(attr.type) if attr.type else None
        inner = target(attr, attr.type) if attr.type else None
        if attr.size is not None and attr.size.word == "number":
            total += int(str(attr.size.value))
        elif number is not None and (number[1] or number[3]):
            total += int(number[1] or number[3])
        elif inner is None or (size := _bytes(inner, known)) is None:
            return None
        else:
            total += size
    known[type] = total
    return total
