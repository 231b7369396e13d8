"""Locating frame after frame by a compiled loop (the extra `fast`): what `located` finds in plain frames, for the sums alone.

It goes over headers as `bulk.scan_places` does, those of a user as well as ours; here is what is put down of each.

A frame that has anything else (parts that hold headers, checksums of another kind, what cannot be read) is left to the scan
over rows, and so is all where the loop is not worth it. The state on the way is that of `found.State`, in variables.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from packetlab.bulk.queries import any_of
from packetlab.bulk.scan_loop import LoopScanner
from packetlab.bulk.scan_places import Part, PlaceScanner
from packetlab.bulk.scan_rows import DEPTH
from packetlab.capture import loops
from packetlab.capture.rewrite.inside import CookedSource, SourceRoute
from packetlab.capture.rewrite.roles import concerned, is_one, is_plain, known, roles, wants
from packetlab.codec.pseudo import protocol
from packetlab.declare.declaration import Declaration
from packetlab.declare.expressions import Checksum
from packetlab.protocols.icmp import ICMP, ICMPv6
from packetlab.protocols.ip import ARP, IPv4, IPv6, Routing
from packetlab.protocols.link import VLAN, Ether
from packetlab.protocols.transport import TCP, UDP

if TYPE_CHECKING:
    from packetlab.bulk.batch import Numbers, Truths
    from packetlab.capture.batch import FrameBatch

VERSIONS: dict[Declaration, int] = {IPv4._declaration: 4, IPv6._declaration: 6}
USUAL = [cls._declaration for cls in (Ether, VLAN, ARP, IPv4, IPv6, ICMP, ICMPv6, UDP, TCP)]
"""What nearly all frames are made of; numba would take minutes for all headers that packetlab knows."""
NOTES = {
    "sums": (
        "row", "sum", "begin", "stop if how & WHOLE else inner", "source", "target", "width if how & PSEUDO else 0",
        "number", "1 if how & OPTIONAL else 0", "1 if whole else 0", "around",
    ),
    "4": ("row", "at", "role", "head"),
    "16": ("row", "at", "role", "head"),
    "6": ("row", "at", "role", "head"),
    "networks": ("row", "begin", "version", "head"),
    "ports": ("at", "head"),
}  # fmt: skip
"""What is put down -> source for each number of it (see `found`), in the order in which the loop takes arrays of them."""
ROOM = 2  # notes of a kind that a header has at most
WHOLE, PSEUDO, OPTIONAL = 1, 2, 4  # what a checksum is of: the payload too, a pseudo-header; 0 says that there is none
HEADERS = 6  # headers that a frame has on average, more than any do


class Loops:
    """The loops of one rewriting. capture_size: bytes of the file, None where that is not known. room: see `link_layer.Room`."""

    def __init__(self, capture_size: int | None, room: Callable[..., Numbers] | None = None) -> None:
        self.capture_size, self.room = capture_size or 0, room

    def locate(
        self, batch: FrameBatch, first: Declaration, rows: Numbers, ends: Numbers, missing: Truths, base: int
    ) -> tuple[dict[str, list[Numbers]], Numbers]:
        """Return what is found in frames that begin with a header of a class, good until the next batch, and the rows that are
        left; `base`: number of the first checksum."""
        import numpy as np

        source = self._source(first)
        if not source:
            return {}, rows
        most = HEADERS * len(rows)
        sizes = [ROOM * most * len(values) for values in NOTES.values()]
        room = self.room if len(batch.interfaces) == 1 else None
        arrays = [
            room(name, size, np.int64) if room is not None else np.empty(size, np.int64)
            for name, size in zip(NOTES, sizes, strict=True)
        ]
        counts, unfit = np.zeros(len(NOTES), np.int64), np.zeros(len(ends), bool)
        starts, data = np.ascontiguousarray(batch.starts), np.ascontiguousarray(batch.data)
        loops.compiled(source)(len(rows), data, rows, starts, ends, missing, unfit, most, base, *arrays, counts)
        notes = {
            name: list(array.reshape(len(values), -1)[:, :count])
            for (name, values), array, count in zip(NOTES.items(), arrays, counts.tolist(), strict=True) if count
        }  # fmt: skip
        return notes, rows[unfit[rows]]

    def _source(self, first: Declaration) -> str:
        """Return the source of the loop, "" where it is not worth it."""
        size = self.capture_size // 4  # it takes some four times as long to compile as a loop for columns
        if not loops.worth_any(size):
            return ""
        if ("loop", first) not in known():
            known()["loop", first] = _written(first) if first in usual() else ""
        source: str = known()["loop", first]
        if not source or not loops.worth(source, size):
            return ""
        for more in (loops.RECORDS, loops.REGIONS, loops.CARRIED, loops.CHANGES):
            loops.compiled(more)
        return source


def usual() -> list[Declaration]:
    """Return the headers that the loop goes over: usual ones, and those that somebody declared for their own captures."""
    own = [cls for cls in concerned() if not cls.is_own]
    return [*USUAL, *own]


LOOP = """\
def locate(count, data, rows, starts, ends, missing, unfit, most, base, {arrays}, counts):
    n_headers = {counts} = int64(0)
    for i in range(count):
        row = int64(rows[i])
        begin = int64(starts[row])
        last = end = int64(ends[row])
        partial = False
        short = int64(missing[row])
        around = carrier = source = target = int64(-1)
        depth = width = reach = hops = int64(0)
        first = True
        framed = False
        {before} = {counts_of}
        now = int64(FIRST)
        while now > 0:
            hops += 1
            n_headers += 1
            if n_headers > most or hops > DEPTH:
                unfit[row] = True
                break
            cls = inner = stop = sum = ip0 = ip1 = mac0 = mac1 = port0 = port1 = new_source = new_target = int64(-1)
            number = how = size = version = carries = new_width = new_reach = int64(0)
            ip0_role = ip1_role = mac0_role = mac1_role = int64(2)
            whole = True
{branches}
            head = payload = around
            if sum >= 0:
                head = base + n_sums
                if how & WHOLE: payload = head
                {put_sums}
            for which in range(2):
                at = port1 if which else port0
                if at >= 0:
                    {put_ports}
                at = mac1 if which else mac0
                role = mac1_role if which else mac0_role
                if at >= 0:
                    {put_6}
                at = ip1 if which else ip0
                role = ip1_role if which else ip0_role
                if at >= 0 and size == 4:
                    {put_4}
                elif at >= 0:
                    {put_16}
            if version and depth == 0:
                {put_networks}
            if carries:
                carrier, source, target, width, reach = carries, new_source, new_target, new_width, new_reach
            if carries or version:
                depth += 1
            first = False
            around = payload
            begin = inner
            end = stop
            now = cls
        if unfit[row]:
            {counts_of} = {before}
    {given}
"""


def _put(name: str) -> str:
    """Return source that puts down one thing that was found."""
    puts = [f"notes_{name}[{place} * ROOM + n_{name}] = {value}" for place, value in enumerate(NOTES[name])]
    return "; ".join([*puts, f"n_{name} += 1"])


def _written(first: Declaration) -> str:
    """Return the source of the loop for frames that begin with a header of a class.

    `base`: number of the first checksum. `most`: headers in all; a frame for which there are no more is unfit. Each branch
    says of a header what is put down of it then.
    """
    numbers = concerned()
    lines: list[str] = []
    for cls in usual():
        writer = LocateScanner(cls, numbers)
        if not writer.refusal():
            lines.append(f"            {'elif' if lines else 'if'} now == {numbers[cls]}:  # {cls.name}")
            lines += ["                " + line for line in writer.source()]
    lines += [
        f"            {'else' if lines else 'if now'}:",
        "                unfit[row] = True",
        "                break",
    ]
    source = LOOP.format(
        arrays=", ".join(f"notes_{name}" for name in NOTES), counts=" = ".join(f"n_{name}" for name in NOTES),
        counts_of=", ".join(f"n_{name}" for name in NOTES), before=", ".join(f"b_{name}" for name in NOTES),
        given="; ".join(f"counts[{place}] = n_{name}" for place, name in enumerate(NOTES)),
        branches="\n".join(lines), **{f"put_{name}": _put(name) for name in NOTES},
    )  # fmt: skip
    words = {"FIRST": numbers.get(first, 0), "DEPTH": DEPTH, "ROOM": f"({ROOM} * most)", "WHOLE": WHOLE, "PSEUDO": PSEUDO, "OPTIONAL": OPTIONAL}  # fmt: skip
    return re.sub(rf"\b({'|'.join(words)})\b", lambda word: str(words[word[0]]), source)


class LocateScanner(PlaceScanner, LoopScanner):
    """Writes the branch of one header."""

    def __init__(self, cls: Declaration, numbers: dict[Declaration, int]) -> None:
        self.role = roles(cls)
        super().__init__(cls, numbers, wants(cls))

    def refusal(self) -> str:
        cls, role = self.cls, self.role
        sizes = [f.kind.fixed_bits // 8 for f in role.addresses]
        ips = [size for size in sizes if size in (4, 16)]
        if (
            role.wrong or role.built or role.lists or role.target in cls.by_name or is_one(cls, Routing, SourceRoute)
            or any(not is_plain(cls, f) for f in role.sums) or len(role.sums) > 1 or len(role.ports) > ROOM
            or sum(bits in (6, 12) for bits in sizes) > ROOM or len(ips) > ROOM or len(set(ips)) > 1
            or any(f in cls.after for f in (*role.addresses, *role.ports))
        ):  # fmt: skip
            return "more than plain frames have"
        return super().refusal()

    def conditional(self) -> bool:
        return self.depth > 0

    def away_if(self, *conditions: str) -> None:
        self.check(" and ".join(conditions))

    def found(self) -> None:
        self.sums()
        self.addresses()
        if self.cls.opaque is not None:
            self.away_if("i_opaque")
        for number, part in enumerate(self.wants.parts):
            if part.name != "payload":
                self.held(number, part)

    def onto(self, branches: list[tuple[list[str], int]]) -> None:
        self.begin_if("inner < stop")
        word = "if"
        for tests, which in branches:
            self.put(f"{word} {any_of(tests)}: cls = {which}")
            word = "elif"
        for number, part in enumerate(self.wants.parts):
            if part.name == "payload":
                self.away_if("cls < 0", "True" if part.condition is None else f"i_{number}")
        self.end_if()

    def held(self, number: int, part: Part) -> None:
        """Leave the frame where it has this part of the header, which may hold headers."""
        where = {"self": ("True", "begin < inner"), "rest": ("True", "stop < end")}.get(part.name)
        if where is None:
            if part.name not in self.at:
                return
            _, there, size = self.at[part.name]
            where = there, f"{size} > 0" if size else "True"
        self.away_if(*where, "True" if part.condition is None else f"i_{number}")

    def at_or_none(self, name: str) -> str:
        """Return source for where a field is, -1 where it is not there."""
        if name not in self.at:
            return "-1"
        at, there, _ = self.at[name]
        return at if self.cls.by_name[name].condition is None else f"({at} if {there} else -1)"

    def sums(self) -> None:
        for f in self.role.sums:
            rule = f.rule
            assert isinstance(rule, Checksum)
            if f.name not in self.at:
                continue
            at, there, _ = self.at[f.name]
            pseudo, covers = "pseudo" in rule.over, "payload" in rule.over
            self.begin_if(f"{there} and carrier >= 0" if pseudo else there)
            if pseudo:
                self.check("not (width == reach and (width == 4 or width == 16) and source >= 0 and target >= 0)")
            self.check(f"({at} - begin) & 1")
            self.put(f"sum = {at}")
            for lower, which in self.numbers.items() if pseudo else ():
                number = protocol(lower, self.cls) if roles(lower).carrier and roles(lower).ends is not None else 0
                if number:
                    self.put(f"if carrier == {which}: number = {number}")
            self.put(f"how = {WHOLE * covers + PSEUDO * pseudo + OPTIONAL * (rule.none is not None)}")
            if covers:
                self.put("whole = short == 0")
            self.end_if()

    def addresses(self) -> None:
        """Put down where addresses and ports are, and what pseudo-headers take from here."""
        role = self.role
        pseudo = (role.ends or ()) if role.carrier else ()
        if role.macs:
            self.put(f"own = not framed and depth == 0{'' if is_one(self.cls, Ether, CookedSource) else ' and first'}")
            self.put("framed = framed or own")
        ips = macs = 0
        for f in role.addresses:
            size = f.kind.fixed_bits // 8
            if f.name in self.at and size in (6, 12):  # the host of an XNS address is a MAC address
                self.put(f"mac{macs} = {self.at_or_none(f.name)}")
                if size == 12:
                    self.put(f"mac{macs} += 4 * (mac{macs} >= 0)")
                if f.name in ("src", "dst") and f.kind.bits == 48:
                    self.put(f"mac{macs}_role = {('src', 'dst').index(f.name)} if own else 2")
                macs += 1
            elif f.name in self.at and size in (4, 16):
                self.put(f"ip{ips} = {self.at_or_none(f.name)}")
                self.put(f"ip{ips}_role = {pseudo.index(f.name) if f.name in pseudo else 2}")
                self.put(f"size = {size}")
                ips += 1
        for place, f in enumerate(role.ports):
            self.put(f"port{place} = {self.at_or_none(f.name)}")
        if role.carrier and role.ends is not None:
            for name, into, many in zip(role.ends, ("source", "target"), ("width", "reach"), strict=True):
                self.put(f"new_{into} = {self.at_or_none(name)}")
                self.put(f"new_{many} = {self.cls.by_name[name].kind.fixed_bits // 8}")
            self.put(f"carries = {self.numbers[self.cls]}")
        if self.cls in VERSIONS:
            self.put(f"version = {VERSIONS[self.cls]}")
