"""YAML as plain data that knows its lines. Only what a description needs: mappings, lists, and scalars of the core schema.

PyYAML gives events, one after the other, and nothing else of it is used: no tags, no constructors, no merge keys.
"""

from __future__ import annotations

import re
from typing import Any, TypeAlias

from packetlab.errors import DeclareError
from packetlab.schema.expressions import safe_repr

Said: TypeAlias = Any
"""What a file says, or PyYAML of it."""
LETTERS = 1 << 18  # of a file
NODES = 1 << 16  # of a file, each repetition of an alias counted
DEPTH = 64  # levels of mappings and lists

_INT = re.compile(r"[-+]?(0x[0-9a-fA-F_]+|0o[0-7_]+|0b[01_]+|[0-9][0-9_]*)", re.ASCII)
_WORDS: dict[str, object] = {"": None, "~": None, "null": None, "true": True, "false": False}


class Map(dict[Said, Said]):
    """A mapping; `file` it stands in, `line` it begins at, `lines` of its keys."""

    file: str
    line: int
    lines: dict[Said, int]

    def at(self, key: object = None) -> str:
        """Return where a key stands: "file:line"."""
        return f"{self.file}:{self.lines.get(key, self.line)}"


def nothing(within: Map, line: int = 0) -> Map:
    """Return a mapping without keys, which stands in another one."""
    made = Map()
    made.file, made.line, made.lines = within.file, line or within.line, {}
    return made


class List(list[Said]):
    """A list; `line` it begins at, `lines` of what is in it."""

    line: int
    lines: list[int]


def read_yaml(text: str, file: str) -> Map:
    """Return the mapping that a text is. DeclareError, with the line, where it is none, or too much."""
    try:
        import yaml
    except ImportError:
        hint = "pip install 'packetlab[ksy]'"
        raise DeclareError(file, "PyYAML, to read Kaitai descriptions", "no such module", hint) from None
    if len(text) > LETTERS:
        raise DeclareError(file, f"{LETTERS} letters at most", len(text))
    loader: Said = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        found = _Events(yaml, yaml.parse(text, Loader=loader), file).document()
    except yaml.YAMLError as error:
        mark: Said = getattr(error, "problem_mark", None)
        where = f"{file}:{mark.line + 1}" if mark is not None else file
        raise DeclareError(where, "YAML", str(getattr(error, "problem", None) or "something else")) from None
    if not isinstance(found, Map):
        raise DeclareError(file, "a mapping with the keys of a Kaitai description", safe_repr(found))
    return found


class _Events:
    def __init__(self, yaml: Said, events: Said, file: str) -> None:
        self.yaml, self.events, self.file = yaml, events, file
        self.anchors: dict[str, tuple[object, int]] = {}  # and how many nodes each is
        self.nodes = 0

    def refuse(self, event: Said, expected: str, got: object) -> DeclareError:
        return DeclareError(f"{self.file}:{event.start_mark.line + 1}", expected, got)

    def document(self) -> object:
        kinds = self.yaml.StreamStartEvent, self.yaml.DocumentStartEvent
        for event in self.events:
            if not isinstance(event, kinds):
                return None if isinstance(event, self.yaml.StreamEndEvent) else self.node(event, 0)
        return None

    def node(self, event: Said, depth: int) -> object:
        yaml = self.yaml
        before = self.nodes
        self.nodes += 1
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self.anchors:
                raise self.refuse(event, "an alias of something before it", safe_repr(event.anchor))
            found, size = self.anchors[event.anchor]
            self.nodes += size
            self.bound(event, depth)
            return found
        self.bound(event, depth)
        if isinstance(event, yaml.ScalarEvent):
            found = self.scalar(event)
        elif isinstance(event, yaml.SequenceStartEvent):
            some = List()
            some.line, some.lines = event.start_mark.line + 1, []
            while not isinstance(inner := next(self.events), yaml.SequenceEndEvent):
                some.lines.append(inner.start_mark.line + 1)
                some.append(self.node(inner, depth + 1))
            found = some
        else:
            found = self.mapping(event, depth)
        if event.anchor is not None:
            self.anchors[event.anchor] = found, self.nodes - before
        return found

    def bound(self, event: Said, depth: int) -> None:
        if self.nodes > NODES:
            raise self.refuse(event, f"{NODES} keys and values at most, those of aliases counted each time", "more")
        if depth > DEPTH:
            raise self.refuse(event, f"{DEPTH} levels at most", "more")

    def mapping(self, event: Said, depth: int) -> Map:
        made = Map()
        made.file, made.line, made.lines = self.file, event.start_mark.line + 1, {}
        while not isinstance(key := next(self.events), self.yaml.MappingEndEvent):
            if not isinstance(key, self.yaml.ScalarEvent):
                raise self.refuse(key, "a name or a number for a key", "a list or a mapping")
            name = self.scalar(key)
            self.nodes += 1
            if name is None or isinstance(name, bool):
                name = key.value
            if name in made:
                raise self.refuse(key, "each key once", safe_repr(name))
            made.lines[name] = key.start_mark.line + 1
            made[name] = self.node(next(self.events), depth + 1)
        return made

    def scalar(self, event: Said) -> object:
        text: str = event.value
        if event.tag is not None and not (event.tag == "!" or event.tag == "tag:yaml.org,2002:str"):
            raise self.refuse(event, "a value without a tag", safe_repr(event.tag))
        if event.tag is not None or event.style:  # plain ones have "" or None
            return text
        if text.lower() in _WORDS and text in (text.lower(), text.title(), text.upper()):
            return _WORDS[text.lower()]
        if len(text) <= 200 and _INT.fullmatch(text):
            return whole(text)
        return text


def whole(text: str) -> int:
    """Return the number that digits of Kaitai's mean: 10, 0x1f, 0b1000_0001, 0o17."""
    digits = text.replace("_", "")
    sign, digits = (-1, digits[1:]) if digits[:1] == "-" else (1, digits.lstrip("+"))
    try:
        return sign * int(digits, {"0x": 16, "0o": 8, "0b": 2}.get(digits[:2].lower(), 10))
    except ValueError:
        raise DeclareError("a number", "digits", safe_repr(text)) from None
