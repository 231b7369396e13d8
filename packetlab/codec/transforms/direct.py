"""Source that calls the one transform of a field at once: what `Through.opened` and `Through.packed` do with any number of them.

Where that one refuses, or something else is unusual, the careful way is gone, which says what is wrong.
"""

from __future__ import annotations

from functools import partial
from inspect import signature
from typing import TYPE_CHECKING

from packetlab.codec.around.outer import is_around
from packetlab.codec.source import OneByOne
from packetlab.declare.expressions import Ref
from packetlab.declare.transforms import carried as limits
from packetlab.declare.transforms.carried import Through, room
from packetlab.declare.transforms.raws import Carried, InnerValue
from packetlab.declare.transforms.transform import PER_BYTE, SMALL, OwnTransform, Secret, holds, key_of
from packetlab.hooks import hook

if TYPE_CHECKING:
    from packetlab.declare.fields import Field

_UNFIT = ValueError, ArithmeticError, LookupError, TypeError  # `UnfitError` among them; parameters of a packet may be anything


def is_direct(kind: Through, which: int) -> bool:
    """Whether a field has one transform, which decodes (`which` is 0) or encodes (1) by its bytes and what follows from fields of the header; to decode, by a state too."""
    outer = any(is_outer for _, words in kind.steps for _, _, is_outer in words) or (which == 1 and kind.has_state)
    return type(kind) is Through and not (kind.transforms[1:] or outer or kind.transforms[0].using)


def given(codes: list[str]) -> str:
    """Source for all parameters of a field, as they are kept beside its bytes."""
    return f"({''.join(f'{code}, ' for code in codes)})"


def _called(to: OneByOne, f: Field, kind: Through, which: int, data: str, codes: list[str], more: str = "") -> str:
    """Return source for what the transform gives, of bytes of a packet (`which` is 0) or of others (1); `codes` are its parameters."""
    (one, words), key = kind.steps[0], f"{'DE'[which]}_{f.name}{to.tag}"
    function = one.quick(which)
    if isinstance(one, OwnTransform):
        function = one.decoded if kind.has_state else one.functions[which]
    elif function is None:
        function, usual = (one.decoded, one.encoded)[which], signature(one.decoded).parameters
        known = {word: value for word, value in one.given.items() if word not in one.late and not isinstance(value, Secret)}
        known = {word: value for word, value in known.items() if value is not usual[word].default}
        function = partial(function, **known) if known else function
    for word in (word for word, value in one.given.items() if isinstance(value, Secret)):
        to.names.update({f"{key}_{word}": one.given[word], "key_of": key_of})
        more += f", {word}=key_of({key}_{word})"
    to.names[key] = function
    call = f"{key}({data}{''.join(f', {word}={codes[n]}' for n, word, _ in words if word != 'when')}{more})"
    for n, word, _ in words:
        if word == "when":
            rule = kind.late[n][2]
            of = to.cls.by_name[rule.name] if isinstance(rule, Ref) else None
            to.names["holds"] = holds
            is_number = of is not None and of.kind.wire == "number" and of.condition is None
            call += f" if {to.raw_of(rule.name) if is_number else f'holds({codes[n]})'} else {data}"
    return call


def _tried(to: OneByOne, f: Field, kind: Through, var: str, call: str, away: str) -> list[str]:
    """Return lines that call the transform, and go another way where it refuses."""
    one, lines = kind.transforms[0], [f"try: {var} = {call}"]
    to.names[f"U_{f.name}{to.tag}"] = _UNFIT
    if isinstance(one, OwnTransform) and not kind.has_state:
        to.names.update({f"U_{f.name}{to.tag}": Exception, f"O_{f.name}{to.tag}": one.as_result})
        lines = ["try:", f"    {var} = {call}", f"    if {var}.__class__ is not bytes: {var} = O_{f.name}{to.tag}({var})"]
    return [*lines, f"except U_{f.name}{to.tag}: {away}"]


def opened_at_once(to: OneByOne, f: Field, var: str, codes: list[str], careful: list[str], held: str, away: str, handed: str) -> list[str]:
    """Return the lines that look into a field, of which `var` has the bytes; `careful` are those of `Through.opened`, `handed` is what headers inside are read with in place of `held`."""
    kind = f.kind
    assert isinstance(kind, Through)
    if not is_direct(kind, 0):
        return careful
    inner = kind.inner
    most = f", most=min({SMALL} + {PER_BYTE} * len({var}), limits.{'HEADERS' if kind.is_list else 'LIMIT'})" if kind.spreads else ""
    call, lines = _called(to, f, kind, 0, var, [f"g[{n}]" for n in range(len(codes))], most), list[str]()
    if "most" not in kind.transforms[0].usual and kind.transforms[0].size(0) is None:
        lines.append(f"if len(w) > limits.LIMIT: {away}")
    kept = "x.__dict__ = {'given': g, 'inner': %s, 'opened': True}"  # in half the time that three attributes take
    found = [kept % "w"]
    if inner.wire == "items":
        to.names[f"H_{f.name}{to.tag}"], reader = kind.entered, None if (held or is_around(kind.field)) and not handed else hook("reader_inside")(kind.field)
        found = ["x.given = g", f"H_{f.name}{to.tag}(x, w{held})", f"if x.expected: {away}"]
        if reader is not None:
            to.names[f"R_{f.name}{to.tag}"] = reader
            read = [f"r = R_{f.name}{to.tag}(w, 0, len(w), None{handed})", "if r is not None and r[1] == len(w):", "    " + kept % "r[0]"]
            found = [*read, "else:", *("    " + line for line in found)]
    elif inner.bits is not None:
        lines.append(f"if len(w) != {inner.bits // 8}: {away}")
    if inner.wire != "items" and inner.judges:
        to.names[f"J_{f.name}{to.tag}"] = inner.wrong
        surely = f"not {inner.surely.format('w')} and " if inner.surely else ""
        lines.append(f"if {surely}J_{f.name}{to.tag}(w): {away}")
    to.names.update(Carried=Carried, room=room.get, limits=limits)
    lines += [f"x = Carried({var})", *found, f"{var} = x"]
    if kind.has_state:  # it may be unknown here, which is no fault
        lines = ["if w is None:", *("    " + line for line in careful), "else:", *("    " + line for line in lines)]
    lines = [f"g = {given(codes)}", *_tried(to, f, kind, "w", call, "w = None" if kind.has_state else away), *lines]
    return ["if room() is None:", *("    " + line for line in lines), "else:", *("    " + line for line in careful)]


def closed_at_once(to: OneByOne, f: Field, value: str, codes: list[str], careful: str, present: str) -> str:
    """Write the lines that pack a value where it is what was given, and return source for its bytes; `careful` is what `Through.packed` gives."""
    kind, var = f.kind, f"x_{f.name}{to.tag}"
    assert isinstance(kind, Through)
    if not is_direct(kind, 1):
        return careful
    test, inner = f"type({value}) is InnerValue", f"{value}.inner"
    if kind.has_headers:
        inner = f"encode_items({inner}, 0) if {value}.data is None else {value}.data"
        to.names["encode_items"] = hook("encode_items")
    lines = [f"inside = {inner}", *_tried(to, f, kind, var, _called(to, f, kind, 1, "inside", codes), f"{var} = {careful}")]
    if kind.spreads:  # so few bytes any number of them may stand for
        lines.append(f"if len(inside) > {SMALL}: {var} = {careful}")
    to.names["InnerValue"] = InnerValue
    to.lines += [f"if {test}{f' and {present}' if present else ''}:", *("    " + line for line in lines)]
    to.lines += [f"else: {var} = {careful}{f' if {present} else None' if present else ''}"]
    return var
