"""Descriptions (see `describe`) as the class bodies they came from, for a person to read, and to copy into a program.

A description may come from anybody: what is no name, number or rule is refused with `DeclareError`, and no text of it
is spelled with anything that a terminal would act on.
"""

from __future__ import annotations

from typing import Any, cast

from packetlab.declare.expressions import COMPARISONS, SIGNS
from packetlab.declare.values.said import CountInside, OuterSays, Says
from packetlab.errors import DeclareError
from packetlab.schema.algorithms import algorithm_of
from packetlab.schema.expressions import (
    DEPTH,
    NUMBERS,
    dotted,
    expect_list,
    filling,
    load_expression,
    name,
    number,
    path_of_names,
    safe_repr,
    space,
    text,
)
from packetlab.schema.kinds import ADDRESSES, annotation, docstring, form_of
from packetlab.schema.recalled import layout_spelled, recalled_spelled, remembered_spelled
from packetlab.schema.transforms import link_spelled, spelled_transforms
from packetlab.schema.values import REFINED, written_of_data
from packetlab.schema.views import view_of_data, written_view

_REFLECTED = SIGNS.keys() - COMPARISONS  # signs that may have a plain number on their left
_MOST = 1 << 16
_NOBODY: Any = None  # who reads a description knows headers and enums; values are spelled without


def class_body(description: dict[str, object], shared: dict[str, None] | None = None) -> str:
    """Return the source of a class, its enums before it (or added to those `shared`) and further bindings after it."""
    called = name(description.get("name"), "a declaration")
    bound = expect_list(description.get("under", []), called, NUMBERS)
    under = [_binding(entry, called) for entry in bound]
    # A class that follows itself first has to be there.
    options = [under.pop(0)] if under and bound[0]["header"] != called else []
    for word in ("payload_size", "opaque", "unsized", "partial", "quotes"):
        if word == "payload_size" and description.get(word) == 0:
            options.append("last=True")
        elif word in description:
            options.append(f"{word}={spelled(description[word], called)}")
    if "through" in description:
        options.append(f"through={link_spelled(description['through'], called, spelled)}")
    options += [f"{word}=True" for word in ("in_bits", "exact") if description.get(word)]
    if "bit_order" in description:
        options.append(f"bit_order={text(description['bit_order'], called, 4)!a}")
    if "label" in description:
        options.append(f"label={text(description['label'], called, _MOST)!a}")
    options += remembered_spelled(description.get("remembers"), called, spelled)
    if description.get("stream"):
        options.append("stream=True")
    base = "Header"
    if "refines" in description:
        base = name(description["refines"], called)
        options += [f"inside={_quoted(description['inside'])}"] if "inside" in description else []
        options.append(f"when={_condition(description.get('when'), called)}")
    if "pseudo" in description:
        parts = expect_list(description["pseudo"], called, 2, 2)
        options.append(f"pseudo=({', '.join(_quoted(part) if part else repr('') for part in parts)})")
    if "answers" in description:
        options.append(f"answers={_answers(description['answers'], called)}")
    enums: dict[str, None] = {} if shared is None else shared
    lines = [f"class {called}({', '.join([base, *options])}):"]
    if description.get("doc"):
        lines += [f"    {line}".rstrip() for line in docstring(text(description["doc"], called, _MOST))]
        lines.append("")
    defaults = description.get("defaults", {})
    if type(defaults) is not dict:
        raise DeclareError(called, "other defaults", safe_repr(defaults))
    given = [f"{name(word, called)} = {_value(value, {}, called)}" for word, value in defaults.items()]
    rules = description.get("rules", {})
    if type(rules) is not dict:
        raise DeclareError(called, "rules of fields", safe_repr(rules))
    given += [f"{name(word, called)} = auto({spelled(rule, called)})" for word, rule in rules.items()]
    body = given + [_field(row, called, enums) for row in expect_list(description.get("fields"), called, NUMBERS)]
    lines += ["    " + line for line in body or ["pass"]]
    after = [f"bind({called}, {one})" for one in under]
    after += [f"link_type({number(one, called, 0, 65535)}, {called})" for one in expect_list(description.get("linktypes", []), called, 16)]
    lines += ["", ""][: 2 * bool(after)] + after
    return "\n".join([*("\n".join([one, "", ""]) for one in enums if shared is None), *lines])


def _binding(entry: object, where: str) -> str:
    if type(entry) is not dict:
        raise DeclareError(where, "a binding", safe_repr(entry))
    words = [f"under={name(entry.get('header'), where)}"]
    if "numbers" in entry:
        if type(entry["numbers"]) is not dict:
            raise DeclareError(where, "numbers of a field", safe_repr(entry["numbers"]))
        for field, some in entry["numbers"].items():
            values = [
                f"{one:#x}" if number(one, where) > 255 and field != "port" else str(one)
                for one in expect_list(some, where, NUMBERS, 1)
            ]
            some = values[0] if len(values) == 1 else f"({', '.join(values)})"
            words.append(f"port={some}" if field == "port" else f"when={{{_quoted(field)}: {some}}}")
    elif entry.get("when") != 1:
        words.append(f"when={_condition(entry.get('when'), where)}")
    sets = entry.get("sets", {})
    if type(sets) is not dict:
        raise DeclareError(where, "values of fields", safe_repr(sets))
    if sets:
        words.append(f"sets={{{', '.join(f'{_quoted(key)}: {_filling(value, where)}' for key, value in sets.items())}}}")
    return ", ".join(words)


def _filling(data: object, where: str) -> str:
    made = filling(data, where)
    return ascii(made) if isinstance(made, str | bytes) else spelled(data, where)


def _answers(data: object, where: str) -> str:
    rules = []
    for entry in expect_list(data, where, NUMBERS):
        if type(entry) is not dict:
            raise DeclareError(where, "a rule of a reply", safe_repr(entry))
        rules.append((name(entry["header"], where) if "header" in entry else "None", spelled(entry.get("rule"), where)))
    if [request for request, _ in rules] == ["None"]:
        return rules[0][1]  # of a header of its own class
    return f"{{{', '.join(f'{request}: {rule}' for request, rule in rules)}}}"


def _field(row: object, where: str, enums: dict[str, None]) -> str:
    if type(row) is not dict:
        raise DeclareError(where, "a field", safe_repr(row))
    called = name(row.get("name"), where)
    where = f"{where}.{called}"
    right = _right(row, where)
    if row.get("kind") == "wide":
        width = f"bits({spelled(row.get('width'), where)}{', signed=True' if row.get('signed') == 1 else ''})"
        kind = annotation(row, where, enums, width, "")
    else:
        kind = form_of(row, where).spelled(row, where, enums)
    absent = " | None" if ("when" in row or "none" in row) and not kind.endswith("| None") else ""
    return f"{called}: {kind}{absent}{f' = {right}' if right else ''}"


def _right(row: dict[str, object], where: str) -> str:
    """What stands after the equals sign, or nothing."""
    if row.get("kind") == "through" and type(row.get("of")) is dict:
        said: Any = {word: row[word] for word in ("size", "none", "default") if word in row}
        right = spelled_transforms(row.get("by"), _right({**cast("Any", row["of"]), **said}, where), where, spelled)
        return f"when({_condition(row['when'], where)}, {right})" if "when" in row else right
    if row.get("kind") == "laid_out":
        right = _right({word: value for word, value in row.items() if word in ("size",)}, where)
        right = layout_spelled(row.get("by"), right, where, spelled, lambda said: form_of(said, where).spelled(said, where, {}))
        return f"when({_condition(row['when'], where)}, {right})" if "when" in row else right
    value = _value(row["default"], row, where) if "default" in row else ""
    if row.get("kind") in ("spare", "payload"):  # without the latter type checkers want a value for the mark
        return "spare_bits()" if row["kind"] == "spare" else 'b""'
    if "rule" in row:
        right = f"auto({spelled(row['rule'], where)})"
    elif "computed" in row:
        right = f"computed({spelled(row['computed'], where)})"
    elif "pad" in row:
        fill = f", fill={bytes([number(row['filling'], where)])!r}" if "filling" in row else ""
        since = f", since={_quoted(row['since'])}" if "since" in row else ""
        how = f"size={spelled(row['size'], where)}" if "size" in row else f"{number(row['pad'], where)}{', to=' + spelled(row['to'], where) if 'to' in row else ''}"
        right = f"pad({how}{since}{fill})"
    elif row.get("kind") in ("items", "values"):
        words = [f"{word}={spelled(row[word], where)}" for word in ("size", "count", "until") if word in row]
        words += [f"{word}={number(row[word], where)}" for word in ("align", "none") if word in row]
        words += ['since="self"'] if "align" in row and "since" in row else []
        words += [f"fill={bytes([number(row['filling'], where)])!r}"] if "filling" in row else []
        words += [f"end={_value(row['end'], row, where)[1:-2]}"] if "end" in row else []
        right = f"many({', '.join(words + ([f'value={value}'] if value and value != '()' else []))})"
    elif "size" in row:
        right = _sized(row, where, value)
    elif row.get("const") == 1:
        right = f"const({value})"
    elif value and (str(row.get("kind")) in ADDRESSES or "names" in row) and "when" not in row:
        right = f"default({value})"
    else:
        right = value
    if row.get("kind") == "ended":
        by = row.get("by")
        ends = tuple(bytes.fromhex(text(one, where, _MOST)) for one in (by if isinstance(by, list) else [by]))
        delimiter = ends if ends[1:] else ends[0]
        right = f"ended({delimiter!r}{f', {right}' if right else ''})"
    if "from_end" in row:
        right = f"from_end({number(row['from_end'], where)}{f', {right}' if right else ''})"
    if "must" in row:
        right = f"must({_condition(row['must'], where)}{f', {right}' if right else ''})"
    if "when" in row:
        return f"when({_condition(row['when'], where)}{f', {right}' if right else ''})"
    return right


def _sized(row: dict[str, object], where: str, value: str) -> str:
    none = f", none={number(row['none'], where)}" if "none" in row else ""
    right = f"sized({spelled(row['size'], where)}{f', {value}' if value else ''}{none})"
    if "within" not in row:
        return right
    since = "".join(f", {word}={_of_header(row.get(word))}" for word in ("since", "within"))
    fill = f", fill={bytes([number(row['filling'], where)])!r}" if "filling" in row else ""
    return f"at({spelled(row.get('to'), where)}, {right}{since}, align={number(row.get('align'), where)}{fill})"


def _value(data: object, row: dict[str, object], where: str) -> str:
    given = view_of_data(data, where)
    if given is not None:
        return repr(given) if "kind" not in row else written_view(form_of(row, where).kind(row, where, _NOBODY), given, where)
    written = written_of_data(data, where)
    if written is not None:
        return ascii(written)
    if type(data) is dict:
        raise DeclareError(where, "a default that is a number, a text or bytes", "one that only its kind can spell")
    if type(data) is list:
        of = row.get("of")
        if type(of) is dict:
            items = [_value(one, of, where) for one in expect_list(data, where, NUMBERS)]
        else:
            items = [_header(of, one, where) for one in expect_list(data, where, NUMBERS)]
        if row.get("kind") == "header":
            return items[0] if items else ""
        return f"({', '.join(items)}{',' if len(items) == 1 else ''})"
    try:
        raw = bytes.fromhex(text(data, where, _MOST))
        kind = ADDRESSES.get(str(row.get("kind")))
        return f'"{kind.text(raw)}"' if kind is not None and len(raw) == kind.size else repr(raw)
    except ValueError:
        raise DeclareError(where, "bytes in hexadecimal", safe_repr(data)) from None


def _header(of: object, item: object, where: str) -> str:
    if type(item) is dict and REFINED in item:
        of, item = item[REFINED], {key: value for key, value in item.items() if key != REFINED}
    return f"{name(of, where)}({_given(item, where)})"


def _given(item: object, where: str) -> str:
    if type(item) is not dict or any(type(value) is list for value in item.values()):
        # Headers inside headers inside a default: described, not spelled, since their class is not at hand.
        raise DeclareError(where, "a default of one level", safe_repr(item))
    return ", ".join(f"{name(key, where)}={_value(value, {}, where)}" for key, value in item.items())


def _quoted(value: object) -> str:
    return f'"{name(value, "a name")}"'


def _of_header(value: object) -> str:
    return f'"{dotted(value, "a name")}"'


def _letters(words: str) -> str:
    return f'"{words}"' if '"' not in words and "\\" not in words else ascii(words)


# Rules ---------------------------------------------------------------------------------------------------------


def _condition(data: object, where: str) -> str:
    """Return a condition as Python; numbers but 0 and 1, which rules of numbers alone come to, are slips in a class body."""
    said = spelled(data, where)
    return said if type(data) is not int or data in (0, 1) else f"expression({said})"


def spelled(data: object, where: str, depth: int = 0) -> str:  # noqa: C901
    """Return a term (see `expressions`) as the Python that makes it."""
    if depth > DEPTH:
        raise DeclareError(where, f"{DEPTH} levels at most", "more")
    if type(data) is int:
        return str(number(data, where))
    word, *parts = expect_list(data, where, 7, 2)
    if word == "recalled":
        return recalled_spelled(data, where, spelled)

    def inner(at: int) -> str:
        return spelled(parts[at], where, depth + 1)

    if type(word) is str and word in SIGNS and len(parts) == 2:
        left, right = inner(0), inner(1)
        if type(parts[0]) is int and (word not in _REFLECTED or type(parts[1]) is int):
            left = f"expression({left})"
        return " ".join([_grouped(left, parts[0]), word, _grouped(right, parts[1])])
    if word in ("says", "first") and len(parts) == 2:
        made = load_expression(data, where)
        if isinstance(made, OuterSays):
            return f"field({made.path + '.' + made.name!r}).one_of({', '.join(map(ascii, made.words))})"
        if isinstance(made, Says):
            return f"field({_quoted(made.name)}).one_of({', '.join(map(ascii, made.words))})"
        return f'field("{made}"{f", default={parts[1]}" if parts[1] else ""})'
    if word in ("field", "count_of") and len(parts) == 1 and "." in str(parts[0]):
        made = load_expression(data, where)
        return f'count_of("{made.name}.{made.part}")' if isinstance(made, CountInside) else f'field("{made}")'
    if word in ("field", "size_inside", "size_of", "count_of", "has", "before", "begins") and len(parts) == 1:
        return f'offset_of("self", since={_quoted(parts[0])})' if word == "begins" else f"{word}({_quoted(parts[0])})"
    if word == "offset_of" and len(parts) == 2:
        return f"offset_of({_of_header(parts[0])}, since={_of_header(parts[1])})"
    if word in ("request", "reply") and len(parts) == 1:
        return f"{word}.{name(parts[0], where)}"
    if word == "one_of" and len(parts) == 2:
        among = ", ".join(str(number(one, where)) for one in expect_list(parts[1], where, NUMBERS))
        value = f"expression({inner(0)})" if type(parts[0]) is int else _grouped(inner(0), parts[0])
        return f"{value}.one_of({among})"
    if word == "choose" and len(parts) == 3:
        return f"choose({inner(0)}, {inner(1)}, {inner(2)})"
    if word in ("ahead", "left") and len(parts) == 1:
        return "left()" if word == "left" else f"ahead({number(parts[0], where)})"
    if word == "next_protocol" and len(parts) == 2:
        return f"next_protocol({_letters(space(parts[0], where))}, {inner(1)})"
    if word == "checksum" and len(parts) == 6:
        return f"choose({inner(4)}, {_checksum(parts[:4], where)}, {number(parts[5], where)})"
    if word == "checksum" and len(parts) == 4:
        return _checksum(parts, where)
    raise DeclareError(where, "a word of rules with its operands", safe_repr(word))


def _grouped(code: str, data: object) -> str:
    return f"({code})" if type(data) is list and data[0] in SIGNS else code


def _part(part: object, where: str) -> str:
    if type(part) is not list:
        return _path(part, where)
    word, *names = expect_list(part, where, NUMBERS, 2)
    return f"{name(word, where)}({', '.join(_path(one, where) for one in names)})"


def _path(data: object, where: str) -> str:
    return f'"{path_of_names(data, where)}"'


def _checksum(parts: list[object], where: str) -> str:
    algorithm, over, none, instead = parts
    names = [_part(part, where) for part in expect_list(over, where, NUMBERS)]
    made = algorithm_of(algorithm, where)
    if (algorithm, none, instead) == ("internet", 0, 0xFFFF):
        return f"internet_checksum({', '.join([*names, 'zero_is_none=True'])})"
    if {"internet": (None, 0xFFFF), "xns": (0xFFFF, 0)}.get(made.name, (None, 0)) == (none, instead):
        called, first, last = made.call
        return f"{called}({', '.join([*first, *names, *last])})"
    raise DeclareError(where, "a checksum as packetlab writes them", safe_repr(algorithm))
