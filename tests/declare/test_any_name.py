"""A field may have any name: what headers have for themselves makes way, and the library finds it anyway."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

import packetlab as pl
from packetlab import (
    U8,
    U16,
    UDP,
    Bytes,
    Capture,
    DeclareError,
    Ether,
    Header,
    IPv4,
    Writer,
    auto,
    bindings,
    contains,
    count_of,
    dissect,
    field,
    internet_checksum,
    many,
    size_of,
    wireshark,
)
from packetlab.declare import registry
from packetlab.declare.fields import PRIVATE
from packetlab.packet.header import HeaderType
from packetlab.schema.dump import described
from packetlab.schema.load import declare_from
from packetlab.schema.source import class_body
from tests.answers import tshark
from tests.conftest import need

PUBLIC = ["captured", "given", "matches", "replace", "show", "state", "why_not"]
NAMES = [
    *PUBLIC, *sorted(PRIVATE - {*PUBLIC}), "answers", "partial", "opaque", "quotes", "parsed", "reset", "names", "layers", "layer", "packet", "paths",
    "count", "all", "any", "raw", "data", "name", "facts", "topology", "header", "value", "summary", "cls", "h", "pos", "end", "auto",
]  # fmt: skip


@pytest.fixture(autouse=True)
def scoped() -> Iterator[None]:
    with bindings():
        yield


def named() -> Any:
    """A header with a field of every such name, each worth its place."""
    body = {"__annotations__": dict.fromkeys(NAMES, U8), "__module__": __name__, "__qualname__": "AnyName"}
    return HeaderType("AnyName", (Header,), {**body, **{name: place + 1 for place, name in enumerate(NAMES)}}, under=Ether, when={"type": 0x7AE7})


def test_the_list_of_what_headers_have_for_themselves_is_whole() -> None:
    roots = [*Header.__mro__[:-1], HeaderType]
    assert {word[1:] for root in roots for word in vars(root) if word.startswith("_") and not word.startswith("__")} == PRIVATE
    assert sorted({word for root in Header.__mro__[:-1] for word in vars(root) if not word.startswith("_")}) == PUBLIC


def test_fields_of_any_name_are_built_read_and_shown() -> None:
    header = named()
    packet = Ether() / header()
    data = bytes(range(1, len(NAMES) + 1))
    assert bytes(packet)[14:] == data
    read = dissect(bytes(packet))
    assert read == packet and hash(read) == hash(packet) and not read.faults
    one = read[header]
    assert [getattr(one, name) for name in NAMES] == [*data] and pickle.loads(pickle.dumps(one._raw_values())) == tuple(data)
    assert one == header() and hash(one) == hash(header()) and repr(header(state=9, show=8)) == "AnyName(show=8, state=9)"
    lines = read.show().splitlines()
    for place, name in enumerate(NAMES, 1):
        assert f"  {name:<18} {place:<36} captured" in lines
        assert f"AnyName.{name} = {place}  (captured)" in read.why(header, name)
    assert "AnyName" in read._repr_mimebundle_()["text/html"] and len(read.dump()) > 200
    assert dissect(bytes(packet)[:20]).faults and bytes(dissect(bytes(packet)[:20])) == bytes(packet)[:20]


def test_the_methods_stay_reachable_on_the_class() -> None:
    one = named()(state=9)
    assert Header.state(one, "state") == "given" and Header.state(one, "show") == "auto"
    assert Header.replace(one, state=3).state == 3 and Header.replace(one, {"show": 4}).show == 4
    assert Header.matches(one, Ether() / one) and not Header.matches(one, Ether())
    assert "AnyName" in Header.show(one) and Header.why_not(one, Ether() / one) == ""
    assert Header.given.__get__(one) == {"state"} and Header.captured.__get__(one) == frozenset()


@given(st.sampled_from(NAMES), st.integers(0, 255))
def test_they_are_replaced_compared_and_asked_for(name: str, value: int) -> None:
    with bindings():
        header = named()
        packet = dissect(bytes(Ether() / header()))
        for other in (packet.replace(header, **{name: value}), packet.replace({f"anyname.{name}": value})):
            assert getattr(other[header], name) == value and len(bytes(other)) == len(bytes(packet))
        assert packet.diff(other) if value != NAMES.index(name) + 1 else not packet.diff(other)
        pattern = header(**{name: value})
        fits = value == NAMES.index(name) + 1
        assert bool(Header.matches(pattern, packet)) == (pattern in packet) == (not (Ether() / pattern).why_not(packet)) == fits
        capture = Capture.of([packet])
        assert capture.where(pattern).count() == capture.where(f"anyname.{name} == {value}").count() == fits
        assert capture.table(f"anyname.{name}").read()[f"anyname.{name}"].tolist() == [NAMES.index(name) + 1]
        rows = packet.vary(2, {f"anyname.{name}": [value, 1]})
        assert [getattr(dissect(bytes(row))[header], name) for row in rows] == [value, 1]


def test_they_travel_as_data_source_and_diagram() -> None:
    header = named()
    descriptions = described([header])
    assert "why_not" in str(header.__doc__) and "state" in str(header.__signature__)
    with bindings():
        registry.unregister(header._declaration)
        (again,) = declare_from(descriptions)
        assert described([again]) == descriptions and bytes(again()) == bytes(header())
    names: dict[str, Any] = {name: getattr(pl, name) for name in dir(pl)}
    with bindings():
        registry.unregister(header._declaration)
        exec(class_body(descriptions[0]), names)
        assert described([names["AnyName"]]) == descriptions


def test_rules_and_lists_speak_of_them() -> None:
    class Entry(Header):
        state: U8 = 0
        replace: U8 = auto(size_of("show"))
        show: Bytes = b""

    class Held(Header, under=Ether, when={"type": 0x7AE8}):
        fields: U8 = auto(count_of("given"))
        declaration: U16 = auto(internet_checksum("self"))
        partial: U8 = pl.when(field("fields") > 1, 7)
        given: tuple[Entry, ...] = many()

    packet = Ether() / Held(given=[Entry(state=1, show=b"xyz"), Entry(state=2)])
    read = dissect(bytes(packet))
    assert read == packet and not read.faults and read[Held].partial == 7 and read[Held].given[0].replace == 3
    other = read.replace({"held.given[0].show": b"longer", "held.given[1].state": 7})
    assert (other[Held].given[0].replace, other[Held].given[1].state) == (6, 7) and dissect(bytes(other)).verdicts() == {"Held.declaration": pl.Verdict.GOOD}
    capture = Capture.of([packet])
    assert capture.where(Held(given=contains(Entry(state=2)))).count() == capture.where("held.given.state == 2").count() == 1
    assert "[1] Entry(state=2, replace=0, show=b'')" in read.show()


def test_what_takes_a_field_apart_and_bridges_have_them_too() -> None:
    class Wrapped(Header, under=UDP, when={"dport": 7467}):
        kind: U8 = 0
        items: pl.Rest = b""

    class Inner(Wrapped, inside="items", when={"kind": 3}):
        state: U8 = 1
        matches: U16 = 2

    packet = IPv4() / UDP() / Inner(state=5)
    read = dissect(bytes(packet), IPv4)
    assert (read[Inner].state, read[Inner].matches) == (5, 2) and Inner(state=5) in read and Inner(state=6) not in read
    assert read.replace(Inner, matches=9)[Inner].matches == 9


def test_wireshark_and_other_libraries_have_fields_of_any_name(tmp_path: Path) -> None:
    need("tshark")
    header = named()
    script, file = tmp_path / "names.lua", tmp_path / "names.pcap"
    script.write_text(str(wireshark(header)), encoding="ascii")
    with Writer(file) as writer:
        writer.write(bytes(Ether() / header()))
    said = tshark("-n", "-X", f"lua_script:{script}", "-r", file, "-T", "fields", *(word for name in NAMES for word in ("-e", f"anyname.{name}")))
    assert said.stdout.split() == [str(place + 1) for place in range(len(NAMES))] and "Lua" not in said.stderr


def test_words_of_rules_and_private_names_stay_refused() -> None:
    for name, complaint in {"self": "a part of the packet", "pseudo": "a part of the packet", "payload": "a part of the packet", "_state": "starts with _"}.items():
        with pytest.raises(DeclareError, match=complaint):
            HeaderType("Refused", (Header,), {"__annotations__": {name: U8}, "__module__": __name__})


def test_a_name_that_ends_with_that_of_another_field_is_free() -> None:
    class Wrapped(Header, under=UDP, when={"dport": 7468}):
        id: U8 = 0
        port: U8 = auto(size_of("data"))
        data: Bytes = b""

        def sid(self) -> int:
            return self.id + 1

    class Inner(Wrapped, inside="data", when={"id": 2}):
        cid: U16 = 0
        sport: U16 = 1

    read = dissect(bytes(IPv4() / UDP() / Inner(cid=5)), IPv4)
    assert (read[Inner].cid, read[Inner].sport, read[Inner].id, read[Inner].port) == (5, 1, 2, 4)
    assert read[Wrapped].sid() == 3
    with pytest.raises(DeclareError, match="a name that is free, for _id is where id is kept"):
        HeaderType("Refused", (Header,), {"__annotations__": {"id": U8}, "_id": 1, "__module__": __name__})
