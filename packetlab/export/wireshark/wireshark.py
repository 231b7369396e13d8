"""A Wireshark dissector in Lua from declarations.

The file that comes out holds the declarations as Lua tables, their rules as Lua functions (`rules`), and the reader of
the Lua files beside this one, which does in Lua what `codec.lenient` does. Headers that Wireshark lacks are brought
along where they carry or follow the ones requested. Names and texts of declarations are hostile: they go in as quoted
ASCII or not at all.
"""

from __future__ import annotations

import re
from enum import IntFlag
from importlib.resources import files

from packetlab.bulk.scan import following
from packetlab.codec.around.outer import is_read_now
from packetlab.codec.compiler import prove_once
from packetlab.codec.places.scattered import runs
from packetlab.codec.pseudo import protocol
from packetlab.codec.refinement.depth import is_recursive
from packetlab.codec.refinement.reading import choices_of
from packetlab.declare import registry
from packetlab.declare.bits.stretches import Loose
from packetlab.declare.checksums.bitwise import is_sum
from packetlab.declare.declaration import Declaration, declaration_of
from packetlab.declare.expressions import Checksum, Next, Size
from packetlab.declare.fields import Field
from packetlab.declare.kinds import Kind
from packetlab.declare.places.left import goes_by_left
from packetlab.declare.plan import Coded, Counted, Open, Plan, Sized, Step, When, needs
from packetlab.declare.refinement.heaps import heaps_of
from packetlab.errors import BuildError
from packetlab.escaping import lua
from packetlab.export.wireshark.among import among
from packetlab.export.wireshark.around import check_around, filling, following_value, values_there
from packetlab.export.wireshark.checksums import checksum
from packetlab.export.wireshark.inside import classes_inside, inside
from packetlab.export.wireshark.links import through
from packetlab.export.wireshark.numbers import (
    MASKED,
    WIDE,
    ascii_name,
    coding,
    element,
    fixed,
    flag,
    is_long,
    long_number,
)
from packetlab.export.wireshark.places import (
    FIELDS,
    KNOWN,
    LENGTHS,
    PORTS,
    TABLES,
    TableEntry,
    is_known,
    refs,
    table_entries,
)
from packetlab.export.wireshark.rules import condition, in_bytes, is_wide, number
from packetlab.export.wireshark.views import base_of, each, judged, label, name_of, view, written
from packetlab.packet.text import Text
from packetlab.protocols.ip import IPv4
from packetlab.protocols.linktypes import FIRST
from packetlab.protocols.xns import IDP

ADDRESSES = {"a MAC address": "ether", "an IPv4 address": "ipv4", "an IPv6 address": "ipv6", "an XNS address": "xns"}
CANNOT: dict[type[object], str] = {
    Coded: "a value that tells its own size is read by Python code of a kind of your own",
    Counted: "values that tell their own size are read by Python code of a kind of your own",
}  # step of a plan -> why the file has none
PARTS = ("numbers", "coded", "reader", "ends", "scattered", "bits", "judges", "inside", "heaps", "lists", "names", "links", "sums", "tree")
USER_LINKS = range(147, 163)  # link types that are anybody's: USER0 to USER15
REFUSED = re.compile(
    r"[^_]|le|lt|ge|gt|eq|ne|and|or|xor|not|in|is|contains|matches|mod|true|false|bitwise_\w+|(all|any)(_\w+)?"
)
"""Names that Wireshark takes for no protocol: single letters and words of display filters, in one version or another."""


def wireshark(*headers: object) -> Text:
    """Return a Wireshark dissector in Lua for header classes, and for those that carry and follow them.

    Save it and load it with ``tshark -X lua_script:FILE``, or put it into Wireshark's folder of personal plugins. Fields are
    named "class.field" in small letters, as in ``beacon.station``; checksums have a ``.status``, faults are expert infos.
    A class whose name Wireshark has or refuses (``Data``, ``In``, ``E``) gets packetlab_ in front: ``packetlab_in.field``.
    Headers of packetlab that Wireshark lacks have the name of their file in front: ``xns_idp.length``. Of two ports
    Wireshark asks the lower one first: where it knows that itself, choose the dissector under "Decode As". Rules may ask for
    ports, types, lengths and such of headers that Wireshark dissects itself: ``field("TCP.dport")``.

    Raises:
        BuildError: nothing given, or only headers that Wireshark dissects itself; what a script cannot say, by name.
    """
    return Text(_Script([declaration_of(header, "export wireshark") for header in headers]).source())


def collect(headers: list[Declaration]) -> list[Declaration]:
    """Return headers with all that are needed to reach them and to read what follows, but for those Wireshark has."""
    found: dict[Declaration, None] = dict.fromkeys(header for header in headers if not is_known(header))
    queue = list(found)
    for header in queue:
        near = [f.kind.item for f in header.fields if f.kind.wire == "items"] + choices_of(header) + [*classes_inside(header)]
        near += [header.refines] if header.refines is not None else []
        upper = [one for one in following(header) if not is_known(one)]
        near += [one for one in upper if not _elsewhere(header, one)]
        near += [lower for lower, _, _ in registry.bindings_of(header) if not is_known(lower)]
        fresh = [one for one in dict.fromkeys(near) if one not in found]
        found.update(dict.fromkeys(fresh))
        queue += fresh
    return list(found)


def _elsewhere(header: Declaration, upper: Declaration) -> bool:
    """Whether a header of packetlab follows only by a number that Wireshark's own tables have too."""
    spaces = [f.rule.space for f in header.fields if isinstance(f.rule, Next)]
    own = [space for space in spaces if space not in TABLES and upper in registry.space(space).headers.values()]
    always = [one for _, _, one in registry.conditions(header) if one is upper]
    return upper.is_own and not own and not always


class _Script:
    def __init__(self, headers: list[Declaration]) -> None:
        self.headers = collect(headers)
        if not self.headers:
            got = ", ".join(header.name for header in headers) or "none"
            raise BuildError("export wireshark", "a header that Wireshark does not dissect itself", got)
        for header in self.headers:
            prove_once(header)
            check_around(header)
        self.numbers = {header: i for i, header in enumerate(self.headers, 1)}
        self.names: dict[Declaration, str] = {}
        for header in self.headers:
            self.names[header] = _free(_prefix(header), set(self.names.values()))
        self.inside = {inner: one for header in self.headers for inner, one in classes_inside(header).items()}
        self.left: list[str] = []

    def source(self) -> str:
        """Return the whole file."""
        lines = ["-- A Wireshark dissector, written by packetlab from the declarations of:"]
        for header in self.headers:
            refused = REFUSED.fullmatch(ascii_name(header.name.lower()).lower())
            why = f" (Wireshark takes no protocol called {lua(header.name.lower())})" if refused else ""
            lines.append(f"--   {self.names[header]}{why}")
        lines += ["", "local declared, base, expert = {}, base, expert", ""]
        parts = files("packetlab.export.wireshark")
        plans, fields = [header.plan for header in self.headers], [f for header in self.headers for f in header.fields]
        wanted = {
            "ends": any(plan.from_end for plan in plans),
            "bits": any(plan.loose for plan in plans) or any(map(is_long, fields)),
            "lists": any("element" in part for f in fields for part in element(f)),
            "links": any(header.through for header in self.headers),
            "inside": bool(self.inside) or any(header.refines is not None for header in self.headers),
            "judges": any(judged(kind) for f in fields for kind in (f.kind, f.kind.element) if kind is not None),
            "scattered": any(map(runs, self.headers)),
            "heaps": any(map(heaps_of, self.headers)),
            "names": any(name_of(kind) for f in fields for kind in (f.kind, f.kind.element) if kind is not None),
        }
        for part in PARTS:
            if wanted.get(part, True):
                lines.append((parts / f"{part}.lua").read_text(encoding="ascii"))
        lines += ["-- Declarations " + "-" * 99, ""]
        for header in self.headers:
            lines += self.declaration(header)
        lines += ["for _, h in ipairs(declared) do register(h) end", ""]
        lines += [f"there[{lua(name)}] = extractor({lua(name)})" for name in values_there(self.headers)]
        lines += self.placed()
        if IDP._declaration in self.numbers:
            text = (parts / "xns.lua").read_text(encoding="ascii")
            lines.append(text.replace("@IDP@", str(self.numbers[IDP._declaration])))
        notes = [f"-- Not said here, since Wireshark has no place for it: {lua(text)}" for text in self.left]
        return "\n".join(lines + notes) + "\n"

    # One header -----------------------------------------------------------------------------------------------

    def declaration(self, header: Declaration) -> list[str]:
        plan = header.plan
        doc = header.doc.split("\n")[0].split(". ")[0].rstrip(".")
        lines = [f"declared[{self.numbers[header]}] = {{"]
        lines += [f"  name = {lua(header.name)}, abbr = {lua(self.names[header])}, index = {self.numbers[header]},"]
        lines += [f"  called = {{{', '.join(f'[{lua(one.name)}] = true' for one in (header, *header.bases))}}},"]
        lines += [f"  title = {lua(f'{header.name}: {doc}' if doc else header.name)},"]
        units, taken = _units(plan), set[str]()
        for word, steps in (("before", plan.head), ("after", plan.trailer)):
            lines.append(f"  {word} = {{")
            for step in steps:
                lines += [f"    {{{', '.join(self.field(header, f, step, units, taken))}}}," for f in step.fields]
            lines.append("  },")
        for word, said in (("stop", plan.own), ("total", plan.total), ("payload", plan.payload)):
            if said is not None:
                rule, by = said
                wanted = ", ".join(f"[{lua(name)}] = true" for name in sorted(needs(rule)))
                field = f"field = {lua(by.name)}, " if by is not None else ""
                lines.append(f"  {word} = {{{field}needs = {{{wanted}}}, rule = {number(rule, header)}}},")
        lines += [] if plan.tail is None else [f"  behind = {number(plan.tail, header)},"]
        bare = ", bare = true" * plan.bare + ", exact = true" * bool(header.exact)
        lines.append(f"  least = {plan.least}, tail = {plan.trailing}{', stream = true' if header.stream else ''}{bare},")
        for word, rule_ in (
            ("opaque", header.opaque),
            ("unsized", header.unsized),
            ("partial", header.partial),
        ):
            if rule_ is not None:
                lines.append(f"  {word} = {condition(rule_, header)},")
        short = [condition(rule_, header) for rule_ in (header.partial, header.quotes) if rule_ is not None]
        lines.append(f"  short = {{{', '.join(short)}}},")
        lines += ["  sizes = {", *(f"    {one}," for one in self.sizes(header)), "  },"]
        choices = [f"{{holds = {condition(one.when, header)}, header = {self.numbers[one]}}}" for one in choices_of(header) if one.when is not None]
        lines += inside(header, self.numbers)
        if far := [f"{{{lua(f.name)}, {lua(g.name)}}}" for f, g in heaps_of(header)]:
            lines.append(f"  heaps = {{{', '.join(far)}}},")
        if self.inside.get(header) in self.numbers:
            lines.append(f"  of = {self.numbers[self.inside[header]]},")
        lines += [*label(self.inside.get(header, header)), *through(header), f"  choices = {{{', '.join(choices)}}},"]
        if header.pseudo is not None and header.pseudo[0]:
            lines.append(f"  pseudo = {{{', '.join(lua(name) for name in header.pseudo)}}},")
        lines.append(f"  numbers = {{{self.protocol_numbers(header)}}},")
        lines += self.onward(header)
        return [*lines, "}", ""]

    def field(
        self, header: Declaration, f: Field, step: Step, units: dict[str, tuple[int, int]], taken: set[str]
    ) -> list[str]:
        plan = header.plan
        abbr = _free(ascii_name(f.name), taken)
        taken.add(abbr)
        parts = [f"name = {lua(f.name)}", f"abbr = {lua(abbr)}", f"kind = {lua(_kind(f, step))}"]
        kind = f.kind
        if kind.bits is not None:
            parts.append(f"bits = {kind.bits or 64}")
        if f.computed is not None:
            parts += following_value(f, f.computed, header)
        if kind.form and not in_bytes(kind):
            parts += coding(f, kind)
        parts += view(kind) + judged(kind) + name_of(kind) + each(kind, ADDRESSES)
        if not kind.form and (isinstance(step.step if isinstance(step, When) else step, Coded | Loose) or base_of(kind)):
            parts += written(kind)
        if kind.wire == "number" and kind.fixed_bits <= WIDE:
            parts += self.whole_number(f, kind, plan, units.get(f.name))
        parts += checksum(f) + element(f) + long_number(f) + among(f, step, header)
        if kind.wire == "items":
            parts += [f"{word} = true" for word, holds in (("now", is_read_now(f)), ("deep", is_recursive(kind.item))) if holds]
            parts += [f"item = {self.numbers[kind.item]}", *([f"align = {f.align}, lead = {f.lead}, fill = '\\{f.fill[0]:03d}'"] if f.align else []), *(["one = true"] if kind.one else [])]
        if isinstance(step, When):
            parts.append(f"when = {condition(step.condition, header)}")
            step = step.step
        if f.until is not None and kind.wire == "items":
            parts.append(f"['until'] = {condition(f.until, kind.item)}")
        elif isinstance(step, Open):
            parts.append("open = true")
            if step.after is not None:
                parts.append(f"after = {number(step.after, header)}")
        if isinstance(step, Sized):
            parts.append(f"size = {number(step.size, header)}")
        if f.name in plan.counts and not isinstance(step, Loose):  # of items that have a size too
            parts.append(f"count = {number(plan.counts[f.name], header)}")
        parts += filling(f, step, header)
        parts += [f"from_end = {f.from_end}"] * bool(f.from_end)
        if f.must is not None:
            parts += [f"must = {condition(f.must, header)}", f"obeys = {lua(str(f.must))}"]
            parts += (["late = true"] if f in header.late else []) + (["by_left = true"] if goes_by_left(f.must) else [])
        if f.fixed:
            parts += [f"fixed = {fixed(f)}", f"expected = {lua(kind.text(f.default))}"]
        return parts

    def whole_number(self, f: Field, kind: Kind, plan: Plan, unit: tuple[int, int] | None) -> list[str]:
        parts = [f"{word} = true" for word in ("signed", "little") if getattr(kind, word)]
        if is_wide(kind.fixed_bits):
            parts.append("wide = true")
        if f in (one for shared in plan.units if shared.little and len(shared.fields) > 1 for one in shared.fields):
            parts.append("low = true")
        bits, shift = (unit[0], unit[1]) if unit is not None else (kind.fixed_bits, 0)
        if unit is not None:
            parts += [f"unit = {bits // 8}", f"mask = {((1 << kind.fixed_bits) - 1) << shift}"]
        width = next(w for w in (8, 16, 24, 32, 64) if w >= bits)
        parts.append(f"type = {lua(('int' if kind.signed else 'uint') + str(width))}")
        names, flags = kind.names, kind.names is not None and issubclass(kind.names, IntFlag)
        parts.append(f"base = {lua('HEX' if (flags or is_sum(f)) and not kind.signed else 'DEC')}")
        if names is not None and not flags:
            entries = ", ".join(f"[{int(m)}] = {lua(m.name or str(int(m)))}" for m in names if abs(int(m)) < 1 << 53)
            # Wireshark's tables of names hold 32 bits; the names of larger numbers are put after the value.
            small = kind.fixed_bits <= MASKED and all(abs(int(m)) < 1 << 31 for m in names)
            parts.append(f"names = {{{entries}}}")
            if small:
                parts.append(f"values = {{{entries}}}")
        if names is not None and flags:
            entries = ", ".join(flag(m, shift, bits, kind) for m in names if int(m) and not int(m) & (int(m) - 1))
            parts.append(f"flags = {{{entries}}}")
        return parts

    def sizes(self, header: Declaration) -> list[str]:
        """Fields that follow from the size of the payload, as tables."""
        found = []
        for f in header.fields:
            rule = f.rule
            if rule is None or isinstance(rule, Checksum):
                continue
            if any(isinstance(leaf, Size) and leaf.name == "payload" for leaf in rule.leaves()):
                code = "" if isinstance(rule, Next) else f", rule = {number(rule, header)}"
                found.append(f"{{field = {lua(f.name)}{code}}}")
        return found

    def protocol_numbers(self, header: Declaration) -> str:
        """The number of a header in the space of each that lends it addresses; 0 stands for those of Wireshark."""
        found = {0: protocol(IPv4._declaration, header)}
        found.update({self.numbers[lower]: protocol(lower, header) for lower in self.headers if lower.pseudo})
        return ", ".join(f"[{carrier}] = {n}" for carrier, n in found.items() if n)

    def onward(self, header: Declaration) -> list[str]:
        lines = ["  next = {"]
        for f, switch in header.plan.numbered:
            uppers = [*registry.space(switch.space).headers.items()]
            entries = ", ".join(f"[{n}] = {self.upper(one)}" for n, one in uppers if self.upper(one))
            tables = ", ".join(lua(name) for name in TABLES.get(switch.space, ())[:1])
            lines.append(f"    {{field = {lua(f.name)}, tables = {{{tables}}}, upper = {{{entries}}}}},")
        lines += ["  },", "  conditions = {"]
        for rule, _, upper in registry.conditions(header):
            lines.append(f"    {{holds = {condition(rule, header)}, upper = {self.upper(upper) or '{tables = {}}'}}},")
        return [*lines, "  },"]

    def upper(self, header: Declaration) -> str:
        """What reads a header that follows; "" for nothing here."""
        if header in self.numbers:
            return str(self.numbers[header])
        name = KNOWN.get(header.name, "") if is_known(header) else ""
        return f"{{dissector = {lua(name)}}}" if name else ""

    # Where they stand -----------------------------------------------------------------------------------------

    def placed(self) -> list[str]:
        by_table: dict[str, list[TableEntry]] = {}
        guesses: list[TableEntry] = []
        for header in self.headers:
            found, left = table_entries(header)
            self.left += left
            for place in found:
                (guesses if place.number is None else by_table.setdefault(place.table, [])).append(place)
        lines = self.getters([place for group in by_table.values() for place in group] + guesses)
        kinds: dict[Declaration, set[str]] = {}
        for table, group in by_table.items():
            for place in group:
                kinds.setdefault(place.header, set()).add(next(s for s, names in TABLES.items() if table in names))
        for table, group in by_table.items():
            only = {place.header for place in group}
            alone = len(only) == 1 and len(kinds[group[0].header]) == 1
            own = str(self.numbers[group[0].header]) if alone else "nil"
            lines.append(f"put({lua(table)}, {str(table in LENGTHS).lower()}, {own}, {{")
            # A number that is bound comes before a condition, as when packetlab dissects.
            lines += [f"  {self.place(place)}," for place in sorted(group, key=lambda p: p.condition is not None)]
            lines.append("})")
        for place in guesses:
            assert place.condition is not None
            lines.append(
                f"guess({lua(place.table)}, {self.numbers[place.header]}, true, {_getters(place)}, "
                f"{condition(place.condition, place.lower)})"
            )
        items = {f.kind.item for header in self.headers for f in header.fields if f.kind.wire == "items"}
        for header in self.headers:
            links = [n for n, first in FIRST.items() if first._declaration is header and n in USER_LINKS]
            entry = f"alone({self.numbers[header]})"
            for link in links:
                lines.append(f'DissectorTable.get("wtap_encap"):add((wtap_encaps or wtap).USER{link - 147}, {entry})')
            if not links and header not in items and header not in self.inside and not registry.bindings_of(header):
                tables = ", ".join(lua(name) for name in ("udp.port", "tcp.port", "ethertype", "ip.proto"))
                lines.append(f"for _, name in ipairs({{{tables}}}) do")
                lines += [f"  pcall(function() DissectorTable.get(name):add_for_decode_as({entry}) end)", "end"]
        return lines

    def getters(self, found: list[TableEntry]) -> list[str]:
        names = sorted({
            FIELDS[place.lower.name, name]
            for place in found if place.condition is not None
            for name in refs(place.condition) if name not in PORTS.get(place.lower.name, {})
        })  # fmt: skip
        return [f"local {_local(name)} = extractor({lua(name)})" for name in names]

    def place(self, place: TableEntry) -> str:
        parts = [f"number = {place.number}", f"header = {self.numbers[place.header]}"]
        if place.port is not None:
            parts.append(f"port = {lua(place.port)}")
        if place.condition is not None:
            parts += [f"getters = {_getters(place)}", f"holds = {condition(place.condition, place.lower)}"]
        return "{" + ", ".join(parts) + "}"


def _getters(place: TableEntry) -> str:
    assert place.condition is not None
    found = []
    for name in sorted(refs(place.condition)):
        port = PORTS.get(place.lower.name, {}).get(name)
        code = f"pinfo.{port}" if port else f"{_local(FIELDS[place.lower.name, name])}()"
        found.append(f"[{lua(name)}] = function(pinfo) return {code} end")
    return "{" + ", ".join(found) + "}"


def _local(name: str) -> str:
    return "field_" + re.sub("[. ]", "_", name)


def _units(plan: Plan) -> dict[str, tuple[int, int]]:
    """Return for fields that share bytes how many bits these have and how far from their end the field ends."""
    found = {}
    for unit in plan.units:
        for f, shift in unit.places:
            if len(unit.fields) > 1 and unit.bits <= MASKED and not f.kind.signed:
                found[f.name] = (unit.bits, shift)
    return found


def _kind(f: Field, step: Step) -> str:
    kind, inner = f.kind, step.step if isinstance(step, When) else step
    reason = CANNOT.get(type(inner), "")
    if reason and not (kind.form or base_of(kind) or written(kind) or name_of(kind) or (kind.element is not None and element(f))):
        raise BuildError(f"{f.owner.name}.{f.name}", f"a field that Lua reads: {reason}", type(kind).__name__)
    if isinstance(inner, Loose):
        number = kind.wire == "number" or (kind.is_number and (not written(kind) or bool(base_of(kind))))
        return ("bytes" if is_long(f) else "int") if number else "items" if kind.wire == "items" else ADDRESSES.get(kind.words, "bytes")
    if kind.wire == "number" and kind.fixed_bits > WIDE:
        return "bytes"
    if in_bytes(kind):
        return "bytes"
    if kind.form or base_of(kind) or f.computed is not None:
        return "int"
    if isinstance(inner, Coded) and written(kind):
        return "bytes"
    return {"number": "int", "items": "items"}.get(kind.wire) or ADDRESSES.get(kind.words, "bytes")


def _prefix(header: Declaration) -> str:
    own = header.is_own
    name = f"{header.module.rpartition('.')[2]}_{header.name}" if own else header.name
    name = ascii_name(name.lower()).lower()
    return f"packetlab_{name}" if REFUSED.fullmatch(name) else name


def _free(name: str, taken: set[str]) -> str:
    number = 2
    free = name
    while free in taken:
        free, number = f"{name}_{number}", number + 1
    return free
