"""Reference: every public name with its signature, its docstring and its methods, as one page of Markdown.

Made from the package as it is imported; what the docstrings say is the page, so that is where to write.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from enum import Enum
from importlib import import_module
from typing import Any

import packetlab
from packetlab import DeclareError, Header
from packetlab.schema.dump import described
from packetlab.schema.load import declarations

SUBJECTS = {
    "Packets": "packet protocols.dissect codec.faults codec.context pattern",
    "Declaring a header": "declare schema",
    "Patterns that admit several values": "declare.wildcards",
    "Headers that are declared": "protocols declare.values.addresses",
    "Many packets from one": "bulk",
    "Captures": "capture",
    "What travelled in pieces": "capture.reassembly",
    "Networks and hosts": "sockets.networks network link",
    "Sockets": "sockets",
    "Engines": "engine",
    "Testing": "testing",
    "See it": "view",
    "Other forms and other tools": "export",
    "Errors": "errors",
}
"""Heading -> modules whose public names stand below it; the longest that fits counts."""

BESIDES = {
    "packetlab.bulk.vary": "Variation",
    "packetlab.bulk.report": "VariationReport Damage",
    "packetlab.bulk.batch": "Batch",
    "packetlab.packet.results": "Difference",
    "packetlab.capture.batch": "FrameBatch",
    "packetlab.capture.index": "Index",
    "packetlab.capture.fleet.fleet": "Manifest",
    "packetlab.capture.frame": "InterfaceDescription Extras",
    "packetlab.capture.files.blocks": "Block Section Names Statistics Secrets Custom",
    "packetlab.capture.flows.sides": "Sides",
    "packetlab.sockets.networks": "LabHost SimHost",
    "packetlab.network.host": "Place",
    "packetlab.link.lab.lab": "Link Switch",
    "packetlab.link.simnet": "SimLink SimPort",
    "packetlab.link.lab.program": "Program",
    "packetlab.link.replay.record": "Recording",
    "packetlab.link.replay.replay_sides": "SidesReport",
    "packetlab.link.replay.report": "SendReport",
    "packetlab.link.ring": "Ring",
    "packetlab.sockets.socket": "Socket",
    "packetlab.sockets.seqpacket": "SeqpacketSocket",
    "packetlab.sockets.stream": "StreamSocket",
    "packetlab.sockets.idp": "DatagramSocket RawSocket",
    "packetlab.sockets.inet": "InetStream InetDatagram InetRaw",
    "packetlab.sockets.websocket": "WebSocketSocket",
    "packetlab.testing": "Expected Volatile",
    "packetlab.export": "scapy_class dpkt_class",
    "packetlab.view.ladder": "Ladder",
}
"""Module -> what is not named by the package but is met on the way: what public names return."""

OPENING = """# Reference

Every public name, from the docstrings: `from packetlab import ...`, or `packetlab.NAME`. What is met on the way stands there too,
with its module. Times are whole nanoseconds where a name ends in `_ns` and in engines, else seconds.

"""


def reference() -> str:
    """Return the page."""
    found: dict[str, list[tuple[str, str, Any]]] = {subject: [] for subject in SUBJECTS}
    for name, module in packetlab._WHERE.items():
        found[subject_of(module)].append((name, "", getattr(packetlab, name)))
    for module, names in BESIDES.items():
        for name in names.split():
            found[subject_of(module)].append((name, module, getattr(import_module(module), name)))
    parts = [OPENING + "".join(f"- [{subject}](#{subject.lower().replace(' ', '-')})\n" for subject in SUBJECTS)]
    for subject, things in found.items():
        parts.append(f"\n## {subject}\n")
        numbers = [name for name, _, thing in things if _is_number(name)]
        if numbers:
            parts.append(f"\n### `{numbers[0]}` ... `{numbers[-1]}`\n\n{_numbers(numbers)}\n")
        for name, module, thing in sorted(things, key=lambda one: one[0].lower()):
            if not _is_number(name):
                parts.append("\n" + entry(name, module, thing))
    return "".join(parts)


def subject_of(module: str) -> str:
    """Return the heading that the names of a module stand under. KeyError for a module that none is for."""
    fits = [
        (len(start), subject)
        for subject, starts in SUBJECTS.items()
        for start in starts.split()
        if f"{module}.".startswith(f"packetlab.{start}.")
    ]
    if not fits:
        raise KeyError(f"tests/reference.py has no subject for {module}")
    return max(fits)[1]


def _is_number(name: str) -> bool:
    return re.fullmatch(r"[US]\d+(le)?", name) is not None


def _numbers(names: list[str]) -> str:
    return (
        "Whole numbers of this many bits: `U` unsigned, `S` signed, `le` little-endian. "
        + ", ".join(
            f"`{name}`"
            for name in sorted(names, key=lambda name: (name[0], "le" in name, int(re.sub(r"\D", "", name))))
        )
        + "."
    )


def entry(name: str, module: str, thing: Any) -> str:
    """Return what there is to be said of a name."""
    place = f"\n\nOf `{module}`." if module else ""
    title = f"### `{name}`{place}\n"
    if isinstance(thing, type):
        return title + (_header(thing) if issubclass(thing, Header) and thing is not Header else _class(thing))
    if inspect.isfunction(thing):
        return f"{title}\n{_call(name, thing)}\n{markdown(thing.__doc__)}"
    if inspect.ismodule(thing):
        inside = [
            value for key, value in vars(thing).items() if _own(key, value) and value.__module__ == thing.__name__
        ]
        return f"{title}\n{markdown(thing.__doc__)}" + "".join(_item(f.__name__, f) for f in inside)
    return f"{title}\n{markdown(_said_of(name, thing))}"


def _said_of(name: str, thing: Any) -> str:
    """Return the docstring of a value: what stands below it in its module, or what it was given of its own."""
    module = import_module(packetlab._WHERE[name])
    found = re.search(
        rf'^{name}\b[^\n]*(?:\n[ )\]][^\n]*)*\n"""(.*?)"""', inspect.getsource(module), re.DOTALL | re.MULTILINE
    )
    own = getattr(thing, "__doc__", None) or ""
    borrowed = own == type(thing).__doc__ and not type(thing).__module__.startswith(
        "packetlab"
    )  # another library's words
    return found[1] if found else "" if borrowed else own


def _header(thing: type[Header]) -> str:
    try:
        text = str(declarations(described([thing]))[-1])
    except DeclareError:  # some of it is code
        return _class(thing)
    start = text.rindex("\nclass ") + 1 if "\nclass " in text else 0
    return f"\n```python\n{text[start:].partition(chr(10) * 3)[0].rstrip()}\n```\n" + _members(thing)


def _class(thing: type) -> str:
    parts = []
    made = thing.__dict__.get("__init__") or next(
        (k.__dict__["__init__"] for k in thing.__mro__ if "__init__" in k.__dict__), None
    )
    enum, plain = issubclass(thing, Enum), not issubclass(thing, (Exception, Header))
    if plain and not enum and inspect.isfunction(made) and made.__module__.startswith("packetlab"):
        parts.append(f"\n{_call(thing.__name__, made)}")
    parts.append(f"\n{markdown(thing.__doc__)}")
    if enum:
        parts.append("\n" + ", ".join(f"`{member.name}` {member.value}" for member in thing) + "\n")
    return "".join(parts) + _members(thing)


def _members(thing: type) -> str:
    return "".join(_item(name, member) for name, member in members(thing))


def members(thing: type) -> Iterator[tuple[str, Any]]:
    """Yield the public methods and properties of a class as (name, function or property), its own before inherited ones."""
    seen: set[str] = set()
    for kind in thing.__mro__:
        ours = kind.__module__.startswith("packetlab") and kind.__name__ != "Shown"
        if not ours or (issubclass(Header, kind) and thing is not Header):
            continue
        for name, member in vars(kind).items():
            if _own(name, member) and name not in seen and not _overloaded(thing, name):
                seen.add(name)
                yield name, member


def _overloaded(thing: type, name: str) -> bool:
    return getattr(thing, name, None) is None


SPELT = ("__getitem__", "__truediv__", "__contains__", "__arrow_c_stream__")
"""Methods that are called by signs, listed where they have something to say."""


def _own(name: str, member: Any) -> bool:
    if name.startswith("_"):
        return name in SPELT and bool(member.__doc__)
    if isinstance(member, property):
        return type(member) is property
    return isinstance(member, (staticmethod, classmethod)) or inspect.isfunction(member)


def _item(name: str, member: Any) -> str:
    if isinstance(member, property):
        said, call = member.__doc__, f"`.{name}`"
    else:
        function = getattr(member, "__func__", member)
        said, call = function.__doc__, f"`.{_signature(name, function)}`"
    lines = markdown(said).rstrip().split("\n")
    return f"\n- {call}: {lines[0]}\n" + "".join(f"  {line}\n" if line else "\n" for line in lines[1:])


def _call(name: str, function: Any) -> str:
    return f"```python\n{_signature(name, function)}\n```\n"


def _signature(name: str, function: Any) -> str:
    signature = inspect.signature(function)
    given = [p for p in signature.parameters.values() if p.name not in ("self", "cls", "mcls")]
    text = str(signature.replace(parameters=given))
    text = re.sub(r"<class '(?:\w+\.)*(\w+)'>", r"\1", text)
    text = re.sub(r"<object object at 0x[0-9a-f]+>|<factory>", "...", text)
    text = re.sub(r"<(\w+\.\w+): [^>]*>", r"\1", text).replace(" -> 'None'", "").replace(" -> None", "")
    return name + re.sub(r"(?<=[:>|] )'([^']*)'|(?<=-> )'([^']*)'", lambda found: found[1] or found[2], text)


def markdown(docstring: str | None) -> str:
    """Return a docstring as Markdown: its sections as lists, what could be taken for marks as it stands."""
    lines = inspect.cleandoc(docstring or "").split("\n")
    out: list[str] = []
    listing = False
    for line in lines:
        if re.fullmatch(r"(Args|Attributes|Raises|Returns|Yields):", line):
            out += ["", f"{line[:-1]}:", ""] if out and out[-1] else [f"{line[:-1]}:", ""]
            listing = True
        elif listing and re.match(r" {4}\S", line):
            name, colon, rest = line.strip().partition(": ")
            plain = colon and re.fullmatch(r"[\w*, ]+", name)
            out.append(f"- `{name}`: {_escaped(rest)}" if plain else f"- {_escaped(line.strip())}")
        elif listing and line.startswith("     "):
            out.append("  " + _escaped(line.strip()))
        elif not listing and line.startswith("    "):
            out.append(line)
        else:
            if listing and line:
                out += [""] if out[-1] else []
                listing = False
            out.append(_escaped(line))
    return "\n".join(out).rstrip() + "\n"


def _escaped(text: str) -> str:
    pieces = re.split(r"(``.*?``|`[^`]*`)", text)
    return "".join(p if p.startswith("`") else re.sub(r"([<>*\[\]|\\])", r"\\\1", p) for p in pieces)
