"""Options in short: ``port=69`` is a binding by either port, ``last=True`` a header that nothing follows, ``exact=True`` one after which no byte is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, TypeAlias, TypedDict

from packetlab.declare.classbody.slips import condition
from packetlab.declare.declaration import Declaration
from packetlab.declare.expressions import Const, Expr, Ref, Size, expression
from packetlab.declare.values.addresses import as_written
from packetlab.declare.values.said import letters_of, raw_of
from packetlab.errors import DeclareError

# The lower header, the numbers of its fields or a condition, and what is filled in.
Binding: TypeAlias = tuple[Declaration, dict[str, tuple[int, ...]] | Expr, dict[str, Expr]]


class HeaderOptions(TypedDict, total=False):
    """What a class statement may say of a header beside its bases, as type checkers know it (see `Header`).

    Pyright holds classes to it; mypy checks no such words of a class with a metaclass of its own.
    """

    under: type | Sequence[type] | None
    when: object
    sets: Mapping[str, object] | None
    port: int | Iterable[int] | None
    inside: str | None
    last: bool
    exact: bool | None
    label: str | None
    stream: bool | None
    payload_size: object
    opaque: object
    unsized: object
    partial: object
    quotes: object
    pseudo: tuple[str, str] | None
    answers: object
    bit_order: Literal["high", "low"] | None
    in_bits: bool | None
    through: object
    remembers: Mapping[Any, object] | None


def nothing_below(name: str, **said: object) -> None:
    """Refuse what a class says of the header below where it names none. DeclareError."""
    for word, one in said.items():
        if one is not None:
            raise DeclareError(f"{name}, {word}=", "under= too, as in under=UDP, port=69", f"{word}= alone")


def with_port(below: Declaration, when: object, port: object, where: str) -> object:
    """Return what a binding says with `when=` for what it says with `port=`, a number or several."""
    if port is None:
        return condition(when, f"{where}, when=")
    if when is not None:
        hint = 'when={"dport": 69, ...} goes by the destination and by what else it names'
        raise DeclareError(where, "port= alone, or when=", "both", hint)
    if "port" not in below.by_name and not {"sport", "dport"} <= below.by_name.keys():
        raise DeclareError(f"{where}, port=", "a header with sport and dport, such as UDP", below.name)
    if any(isinstance(one, bool) for one in (port if isinstance(port, (tuple, list, set)) else (port,))):
        raise DeclareError(f"{where}, port=", "a port, or several", repr(port))
    return {"port": port}


def number_field(under: Declaration, name: str) -> str:
    """Return the field whose numbers a binding names: "dport" for "port" where a header has two of them."""
    return "dport" if name == "port" and name not in under.by_name and "sport" in under.by_name else name


def with_ports(found: list[Binding]) -> list[Binding]:
    """Put the two bindings of one {"port": number} together again."""
    rules = {(lower, str(rule)) for lower, rule, sets in found if isinstance(rule, Expr) and not sets}
    folded: list[Binding] = []
    twins = set()
    for lower, when, sets in found:
        if not (isinstance(when, dict) and "dport" in when and number_field(lower, "port") == "dport"):
            folded.append((lower, when, sets))
            continue
        either = tuple(n for n in when["dport"] if (lower, str(Ref("sport") == n)) in rules)
        twins |= {(lower, str(Ref("sport") == n)) for n in either}
        alone = tuple(n for n in when["dport"] if n not in either)
        folded += [(lower, {"port": either}, sets)] if either else []
        folded += [(lower, {"dport": alone}, sets)] if alone else []
    return [one for one in folded if not (isinstance(one[1], Expr) and (one[0], str(one[1])) in twins)]


def in_texts(below: Declaration, when: object, where: str) -> tuple[object, dict[str, Expr]]:
    """Return what a binding says as a table, {field: number or text, or several}, and what it fills in where that has texts.

    With a text it is a condition, in letters of any case, and the first text of a field is filled in, as one number is. Of an enum of
    numbers a name is its number. DeclareError for a table that says nothing of a field.
    """
    if not isinstance(when, dict):
        return when, {}
    given: dict[str, object] = {}
    filled: dict[str, Expr] = {}
    for name, some in when.items():
        several = isinstance(some, (tuple, list, set, frozenset, range))
        if several and not some:
            raise DeclareError(f"{where}.{name}", "a number at least, or a text", repr(some))
        if isinstance(name, str) and "." in name and name.partition(".")[0] in below.by_name:
            hint = f"when=field({name!r}) == {some!r} says where it stands, and whoever builds gives {name.partition('.')[0]}"
            raise DeclareError(f"{where}.{name}", "a field of its own, which is filled in where it is built", name, hint)
        values = [as_written(one) for one in (some if several else [some])]
        f = below.by_name.get(name)
        words = [one for one in values if isinstance(one, str | bytes)]
        if f is not None and words and f.kind.is_number:
            values = [raw_of(f, one, f"{where}.{name}") if isinstance(one, str) and f.kind.as_raw is None else one for one in values]
        elif f is not None and words:
            filled[name] = letters_of(f, words[0], f"{where}.{name}")
        given[name] = tuple(values) if several else values[0]
    if not filled:
        return given, {}
    filled |= {name: expression(one) for name, one in given.items() if name not in filled and isinstance(one, int)}
    return expression(given), filled


def size_above(payload_size: object, last: object, header: str) -> Expr | None:
    """Return the size of what stands above a header as its class says it, by `payload_size=` or by `last=`; None where it says nothing."""
    if last is not False:
        if last is not True or payload_size is not None:
            got = f"last={last!r}" if last is not True else "payload_size= too"
            raise DeclareError(f"{header}, last=", "True, and no other size of a payload", got)
        return Const(0)
    if payload_size is None:
        return None
    size = expression(payload_size)
    if payload_size is True or payload_size is False or (isinstance(size, Const) and size.number < 0):
        hint = "choose(condition, size, -1) is unknown where the condition fails"
        raise DeclareError(f"{header}, payload_size", "a number of bytes or an expression", payload_size, hint)
    return size


def _check_exact(header: Declaration) -> None:
    """Refuse ``exact=True`` where what a header stands in goes on by right: in a stream of messages, among the items of a list."""
    where = f"{header.name}, exact="
    if header.exact not in (None, False, True):
        raise DeclareError(where, "True or False", repr(header.exact))
    if header.exact and header.stream:
        raise DeclareError(where, "a header that is alone in its packet", "stream=True, after which the next message stands")
    for f in header.fields:
        if f.kind.has_headers and f.kind.item.exact:
            hint = "of one in a field that is sized(...) bytes left over are a fault without it"
            raise DeclareError(f"{header.name}.{f.name}", "headers without exact=True in a field", f.kind.item.name, hint)


def check_last(header: Declaration) -> None:
    """Refuse a payload, and rules of its size, in a header that nothing follows (``last=True``, ``payload_size=0``)."""
    _check_exact(header)
    if header.payload_size is None or not header.plan.bare:
        return
    where = f"{header.name}, last="
    mark = next((f for f in header.fields if f.kind.wire == "payload"), None)
    if mark is not None:
        hint = "without last=True it has one, and without that field the others end it"
        raise DeclareError(where, "a header without payload", f"{mark.name}, where its payload stands", hint)
    for f in header.fields:
        if f.rule is not None and any(isinstance(leaf, Size) and leaf.name == "payload" for leaf in f.rule.leaves()):
            hint = "a field of Bytes or Rest holds what follows, and size_of that field is its size"
            raise DeclareError(where, "no size of a payload, since there is none", f"{f.name} = auto({f.rule})", hint)
