"""Kaitai descriptions as objects: files and what they import, types in types, their fields and enums.

Everything has the file and line it stands at. Names are checked here: they are Kaitai's, small letters, digits and _.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable
from enum import IntEnum
from pathlib import Path

from packetlab.errors import DeclareError, suggestion
from packetlab.schema.expressions import safe_repr
from packetlab.schema.ksy.expressions import LEFT, KsyNode, parse, parse_type
from packetlab.schema.ksy.reading import LETTERS, List, Map, Said, nothing, read_yaml

FILES, TYPES, NESTED = 64, 256, 8
CALLED = ("self", "payload", "field", "size_of", "count_of", "has", "before", "ahead", "choose", "expression", "auto", "computed", "const",
          "default", "ended", "many", "pad", "sized", "when", "through", "raw", "bits", "fixed_bytes", "text", "zlib", "xor", "bind")  # fmt: skip
"""What class bodies call, and parts of headers in rules: fields that are called so have a _ at the end."""
_NAME = re.compile(r"[a-z][a-z0-9_]{0,47}", re.ASCII)
_IMPORT = re.compile(r"/?[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+){0,15}", re.ASCII)
_SEQ = ("id", "type", "size", "size-eos", "contents", "if", "repeat", "repeat-expr", "repeat-until", "enum", "encoding", "terminator",
        "consume", "include", "eos-error", "pad-right", "process", "valid", "doc", "doc-ref", "parent", "io", "pos", "value")  # fmt: skip


def checked_name(value: object, where: str) -> str:
    """Return a name of Kaitai's. DeclareError for anything else."""
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise DeclareError(where, "a name of up to 48 small letters, digits and _", safe_repr(value))
    return value


def plain_name(name: str, taken: object = None) -> str:
    """Return a name as it may stand in Python, and hides nothing: functions that class bodies call, and members of `taken`."""
    hides = keyword.iskeyword(name) or (name in CALLED if taken is None else hasattr(taken, name))
    return f"{name}_" if hides else name


def camel(name: str) -> str:
    """Return a name as classes have them."""
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))


class KsySwitch:
    """A type that depends: on an expression, by cases in order; None for all others."""

    def __init__(self, on: KsyNode, cases: list[tuple[KsyNode | None, str, tuple[KsyNode, ...], str]]) -> None:
        self.on, self.cases = on, cases


class Attr:
    """A field, or an instance, which is worked out or read when it is asked for.

    `said` is what the file says of it; `where` is "file:line".
    """

    def __init__(self, said: Map, owner: Type, name: str, instance: bool = False) -> None:
        self.said, self.owner, self.name, self.instance = said, owner, name, instance
        self.where = said.at("id")
        for key in said:
            if key not in _SEQ and not str(key).startswith("-"):
                raise DeclareError(said.at(key), "a key of Kaitai fields", safe_repr(key), suggestion(str(key), _SEQ))
        self.type: str = ""
        self.arguments: tuple[KsyNode, ...] = ()
        self.switch: KsySwitch | None = None
        kind = said.get("type")
        if isinstance(kind, Map):
            self.switch = self._switch(kind)
        elif isinstance(kind, str):
            self.type, self.arguments = parse_type(kind, said.at("type"))
        elif kind is not None:
            raise DeclareError(said.at("type"), "the name of a type, or switch-on", safe_repr(kind))
        self.condition = self.expression("if")
        self.size = self.expression("size")
        self.to_end = self.flag("size-eos") or self.size == LEFT
        self.size = None if self.size == LEFT else self.size
        self.value = self.expression("value")
        self.pos = self.expression("pos")
        self.io = self.expression("io")
        self.repeat = said.get("repeat")
        if self.repeat not in (None, "expr", "eos", "until"):
            raise DeclareError(said.at("repeat"), "expr, eos or until", safe_repr(self.repeat))
        self.count = self.expression("repeat-expr")
        self.until = self.expression("repeat-until")
        for sort, given, key in (("expr", self.count, "repeat-expr"), ("until", self.until, "repeat-until")):
            if (self.repeat == sort) is not (given is not None):
                raise DeclareError(said.at("repeat"), f"repeat: {sort} together with {key}", "one of them")

    def expression(self, key: str) -> KsyNode | None:
        return parse(self.said[key], self.said.at(key)) if key in self.said else None

    def flag(self, key: str, usual: bool = False) -> bool:
        found = self.said.get(key, usual)
        if not isinstance(found, bool):
            raise DeclareError(self.said.at(key), "true or false", safe_repr(found))
        return found

    def refuse(self, key: str, expected: str, got: object, hint: str = "") -> DeclareError:
        return DeclareError(f"{self.said.at(key)}: {self.owner.id}.{self.name}", expected, got, hint)

    def _switch(self, kind: Map) -> KsySwitch:
        cases = kind.get("cases")
        if "switch-on" not in kind or not isinstance(cases, Map):
            raise DeclareError(kind.at(), "switch-on and cases", safe_repr(kind))
        found: list[tuple[KsyNode | None, str, tuple[KsyNode, ...], str]] = []
        for case, said in cases.items():
            if not isinstance(said, str):
                raise DeclareError(cases.at(case), "the name of a type", safe_repr(said))
            name, arguments = parse_type(said, cases.at(case))
            found.append((None if case == "_" else parse(case, cases.at(case)), name, arguments, cases.at(case)))
        return KsySwitch(parse(kind["switch-on"], kind.at("switch-on")), found)

    @property
    def types(self) -> Iterable[str]:
        """Names of all types it may have."""
        return (
            [name for _, name, _, _ in self.switch.cases] if self.switch is not None else [self.type] * bool(self.type)
        )

    def nodes(self) -> Iterable[tuple[KsyNode, str]]:
        """All expressions of it, with the key each stands at."""
        for key, one in (("if", self.condition), ("size", self.size), ("value", self.value), ("pos", self.pos),
                         ("repeat-expr", self.count), ("repeat-until", self.until)):  # fmt: skip
            if one is not None:
                yield one, key
        if self.switch is not None:
            yield self.switch.on, "type"
            for case, _, arguments, _ in self.switch.cases:
                yield from ((one, "type") for one in (*arguments, *([] if case is None else [case])))
        yield from ((one, "type") for one in self.arguments)


class Type:
    """A type: its fields, instances, parameters, enums, and the types in it."""

    def __init__(self, id: str, said: Map, file: Ksy, outer: Type | None, depth: int = 0) -> None:
        if depth > NESTED:
            raise DeclareError(said.at(), f"types inside types, {NESTED} deep at most", "more")
        self.id, self.said, self.file, self.outer = id, said, file, outer
        meta = said.get("meta") if isinstance(said.get("meta"), Map) else None
        self.meta: Map = meta if isinstance(meta, Map) else nothing(said)
        self.endian: object = self.meta.get("endian", outer.endian if outer is not None else None)
        self.bit_endian: object = self.meta.get("bit-endian", outer.bit_endian if outer is not None else "be")
        if self.bit_endian not in ("be", "le"):
            raise DeclareError(self.meta.at("bit-endian"), "be or le", safe_repr(self.bit_endian))
        self.encoding: object = self.meta.get("encoding", outer.encoding if outer is not None else None)
        doc = said.get("doc")
        self.doc = doc.strip() if isinstance(doc, str) else ""
        self.path: tuple[str, ...] = (*(outer.path if outer is not None else ()), id)
        self.name = "".join(map(camel, self.path))
        file.count += 1
        if file.count > TYPES:
            raise DeclareError(said.at(), f"{TYPES} types at most", "more")
        self.params = [self._param(one) for one in self._list("params")]
        self.seq: list[Attr] = []
        for place, one in enumerate(self._list("seq")):
            if not isinstance(one, Map):
                raise DeclareError(said.at("seq"), "fields", safe_repr(one))
            name = checked_name(one["id"], one.at("id")) if "id" in one else f"unnamed_{place}"
            self.seq.append(Attr(one, self, name))
        self.instances: dict[str, Attr] = {}
        for name, one in self._map("instances").items():
            if not isinstance(one, Map):
                raise DeclareError(self._map("instances").at(name), "an instance", safe_repr(one))
            at = self._map("instances").at(name)
            self.instances[checked_name(name, at)] = attr = Attr(one, self, name, True)
            attr.where = at
        self.attrs = {one.name: one for one in self.seq} | self.instances
        if len(self.attrs) < len(self.seq) + len(self.instances):
            raise DeclareError(said.at("seq"), "each name once", f"one twice in {id}")
        self.enums = {checked_name(name, self._map("enums").at(name)): self._enum(name) for name in self._map("enums")}
        self.types: dict[str, Type] = {}
        for name, one in self._map("types").items():
            at = self._map("types").at(name)
            if one is None:
                one = nothing(said, int(at.rpartition(":")[2]))
            if not isinstance(one, Map):
                raise DeclareError(at, "a type", safe_repr(one))
            self.types[checked_name(name, at)] = Type(name, one, file, self, depth + 1)

    def _list(self, key: str) -> list[Said]:
        found = self.said.get(key)
        if found is not None and not isinstance(found, list):
            raise DeclareError(self.said.at(key), "a list", safe_repr(found))
        return found or []

    def _map(self, key: str) -> Map:
        found = self.said.get(key)
        if found is not None and not isinstance(found, Map):
            raise DeclareError(self.said.at(key), "names with what they stand for", safe_repr(found))
        return nothing(self.said) if found is None else found

    def _param(self, one: object) -> str:
        if not isinstance(one, Map) or "id" not in one:
            raise DeclareError(self.said.at("params"), "a parameter with an id", safe_repr(one))
        kind = one.get("type", "")
        if not isinstance(kind, str) or not re.fullmatch(r"[us][1248](be|le)?|b[0-9]+|bool", kind):
            raise DeclareError(one.at("type"), "a parameter that is a number", safe_repr(kind))
        return checked_name(one["id"], one.at("id"))

    def _enum(self, name: str) -> dict[str, int]:
        """Return the members of an enum, as they may stand in Python, with their numbers."""
        said = self._map("enums")[name]
        if not isinstance(said, Map) or not said:
            raise DeclareError(self._map("enums").at(name), "numbers with their names", safe_repr(said))
        found: dict[str, int] = {}
        for number, one in said.items():
            word = one.get("id") if isinstance(one, Map) else one
            if not isinstance(number, int) or isinstance(number, bool) or abs(number) >= 1 << 64:
                raise DeclareError(said.at(number), "a number of up to 64 bits", safe_repr(number))
            word = (
                str(word).lower()
                if isinstance(word, bool)
                else "null"
                if word is None and not isinstance(one, Map)
                else word
            )
            word = plain_name(checked_name(word, said.at(number)), IntEnum)
            if word in found:
                raise DeclareError(said.at(number), "each name once", word)
            found[word] = number
        return found

    def find(self, path: tuple[str, ...], what: str) -> Said:
        """Return the type or enum (`what`: "types", "enums") that a path names from here out, then among the files; None for none."""
        one: Type | None = self
        while one is not None:
            found = _inside(one, path, what)
            if found is None and one.outer is None and what == "types" and path == (one.id,):
                return one
            if found is not None:
                return found
            one = one.outer
        top = self.file.loaded.by_id.get(path[0])
        if top is None:
            return None
        return top if len(path) == 1 and what == "types" else _inside(top, path[1:], what)

    @property
    def root(self) -> Type:
        return self if self.outer is None else self.outer.root

    def member(self, path: tuple[str, ...], where: str) -> int:
        """Return the number of a member of an enum."""
        enum = self.find(path[:-1], "enums")
        if enum is None:
            raise DeclareError(where, "an enum that is there", "::".join(path[:-1]))
        word = plain_name(path[-1], IntEnum)
        if word not in enum:
            raise DeclareError(where, f"a name in {'::'.join(path[:-1])}", path[-1], suggestion(path[-1], enum))
        number: int = enum[word]
        return number


def _inside(one: Type, path: tuple[str, ...], what: str) -> Said:
    for name in path[:-1]:
        if name not in one.types:
            return None
        one = one.types[name]
    return getattr(one, what).get(path[-1]) if path else None


class Ksy:
    """One file."""

    def __init__(self, path: Path, loaded: Loaded) -> None:
        self.path, self.loaded, self.count = path, loaded, 0
        with open(path, "rb") as file:
            data = file.read(4 * LETTERS + 1)
        try:
            said = read_yaml(data.decode("utf-8-sig"), str(path))
        except UnicodeDecodeError:
            raise DeclareError(str(path), "text in UTF-8", "other bytes") from None
        except RecursionError:
            raise DeclareError(str(path), "fewer levels", "more") from None
        meta = said.get("meta")
        if not isinstance(meta, Map) or "id" not in meta:
            raise DeclareError(said.at("meta"), "meta with an id", safe_repr(meta))
        self.type = Type(checked_name(meta["id"], meta.at("id")), said, self, None)
        self.imports: list[tuple[str, str]] = []
        some = meta.get("imports", List())
        if not isinstance(some, List):
            raise DeclareError(meta.at("imports"), "a list of files", safe_repr(some))
        for name, line in zip(some, some.lines, strict=True) if some else ():
            if not isinstance(name, str) or not _IMPORT.fullmatch(name):
                raise DeclareError(f"{path}:{line}", 'a file, as in "/network/udp_datagram"', safe_repr(name))
            self.imports.append((name, f"{path}:{line}"))


class Loaded:
    """A file with all that it imports, directly and by way of others."""

    def __init__(self, path: Path, folders: Iterable[Path]) -> None:
        self.by_path: dict[Path, Ksy] = {}
        self.by_id: dict[str, Type] = {}
        self.folders = [*folders]
        self.first = self._load(path)
        todo = [self.first]
        while todo:
            one = todo.pop()
            for name, where in one.imports:
                found = self._found(name, where, one.path)
                if found.resolve() not in self.by_path:
                    todo.append(self._load(found, where))

    def _load(self, path: Path, where: str = "") -> Ksy:
        if len(self.by_path) >= FILES:
            raise DeclareError(where, f"{FILES} files at most", "more")
        made = self.by_path[path.resolve()] = Ksy(path, self)
        if made.type.id in self.by_id:
            raise DeclareError(made.type.meta.at("id"), "an id that no other file has", made.type.id)
        self.by_id[made.type.id] = made.type
        return made

    def _found(self, name: str, where: str, importer: Path) -> Path:
        """Return the file of an import: from the folder of the one that imports it, or of one of those above it if the name begins with /."""
        folders = [importer.absolute().parent] if name[0] != "/" else [*self.folders, *importer.absolute().parents]
        for folder in (*folders, *self.folders):
            found = folder / f"{name.lstrip('/')}.ksy"
            if found.is_file():
                return found
        beside = importer.parent / f"{name.lstrip('/')}.ksy" if name[0] != "/" else f"{name}.ksy in a folder above"
        raise DeclareError(
            where,
            f"the file that is imported, {name}",
            f"no {beside}",
            "folders= (-I on the command line) says where else to look",
        )
