"""Plain classes of scapy's become headers; both build the same bytes, and what holds code is refused by name."""

from __future__ import annotations

import pkgutil
import random
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module
from typing import Any

import pytest

from packetlab import BuildError, DeclareError, bindings, describe, dissect, import_scapy
from packetlab.export.bridges.scapy_loaded import load
from packetlab.export.bridges.scapy_rules import plain

load()

from scapy import fields as sf  # noqa: E402
from scapy.config import conf  # noqa: E402
from scapy.packet import Packet  # noqa: E402


class Entry(Packet):
    name = "entry"
    fields_desc = (sf.ShortField("number", 1), sf.ByteField("flag", 2))

    def extract_padding(self, s: bytes) -> tuple[bytes, bytes]:
        return b"", s


class Offer(Packet):
    name = "offer"
    fields_desc = (
        sf.BitField("version", 2, 4),
        sf.FlagsField("flags", 1, 4, ["first", "last-one", "x", "y"]),
        sf.ByteEnumField("kind", 3, {1: "request", 3: "answer!", 5: "class"}),
        sf.LEIntField("stamp", 7),
        sf.FieldLenField("size", None, fmt="B", length_of="text", adjust=lambda pkt, x: x + 1),
        sf.StrLenField("text", b"hi", length_from=lambda pkt: pkt.size - 1),
        sf.ConditionalField(sf.ShortField("more", 9), lambda pkt: (pkt.kind & 2) != 0),
        sf.IPField("address", "10.0.0.1"),
        sf.MACField("station", "02:00:00:00:00:01"),
        sf.FieldLenField("count", None, fmt="!H", count_of="entries"),
        sf.PacketListField("entries", [], Entry, count_from=lambda pkt: pkt.count),
        sf.FieldListField("numbers", [], sf.ShortField("", 0), length_from=lambda pkt: pkt.version * 2),
        sf.StrFixedLenField("label", b"ab", 4),
        sf.StrField("rest", b""),
    )


class Forms(Packet):
    name = "forms"
    fields_desc = (
        sf.UUIDField("id", "6ba7b810-9dad-11d1-80b4-00c04fd430c8"),
        sf.UUIDField("guid", "6ba7b810-9dad-11d1-80b4-00c04fd430c8", uuid_fmt=sf.UUIDField.FORMAT_LE),
        sf.IEEEFloatField("single", 1.5),
        sf.IEEEDoubleField("double", -0.25),
        sf.OUIField("maker", 0x00C04F),
        sf.NBytesField("five", 0x0102030405, 5),
        sf.XNBytesField("three", 0x010203, 3),
        sf.UTCTimeField("time", 1700000000),
        sf.UTCTimeField("wide", 1700000000, fmt="<Q"),
        sf.SecondsIntField("age", 60),
        sf.ScalingField("volts", 2.5, scaling=0.1, offset=-1, fmt="H"),
        sf.ScalingField("cold", -4, scaling=0.5, fmt="<h"),
        sf.FixedPointField("fixed", 1.5, 32),
        sf.StrStopField("line", b"ab\r\n", b"\r\n"),
        sf.LEMACField("station", "02:00:00:00:00:01"),
        sf.StrFixedLenEnumField("word", b"ab", {b"ab": "one"}, length=4),
        sf.ByteField("size", 4),
        sf.StrLenFieldUtf16("wide_text", "hi", length_from=lambda pkt: pkt.size),
    )


def test_fields_of_another_form_are_views_or_the_bytes() -> None:
    with bindings():
        names: dict[str, Any] = {}
        exec(str(import_scapy(Forms)), names)
        assert bytes(names["Forms"]()) == bytes(Forms())
    with bindings():
        (ours,) = import_scapy(Forms).declare()
        assert bytes(ours()) == bytes(Forms())
        other = Forms(id="00000000-0000-0000-0000-000000000001", single=0.5, double=3, five=5, time=7, wide=9, volts=20.1, cold=-9.5, line=b"x\r\n", station="02:00:00:00:00:02", size=2, wide_text="x")
        read: Any = dissect(bytes(other), ours)[ours]
        assert not dissect(bytes(other), ours).faults and bytes(read) == bytes(other)
        assert (str(read.id), read.single, read.double, read.five, read.time, read.wide) == (str(other.id), 0.5, 3, 5, 7, 9)
        assert (read.volts, read.cold, read.line, read.station) == (20.1, -9.5, b"x", bytes.fromhex("020000000002")[::-1])
        assert Forms(bytes(ours(volts=20.1, fixed=2.25, guid=read.id))).volts == 20.1
        assert Forms(bytes(ours(fixed=2.25, guid=read.id))).fixed == 2.25
        assert Forms(bytes(ours(guid=read.id))).guid == other.id


@pytest.mark.parametrize(
    ("field", "words"),
    [
        (sf.UUIDField("id", None, uuid_fmt=sf.UUIDField.FORMAT_REV), "the bytes in reverse"),
        (sf.StrStopField("line", b"ab", b"\n"), "a default that ends with the delimiter"),
        (sf.ScalingField("volts", 1.0, scaling=0.1, fmt="f"), "a scaled float"),
    ],
    ids=lambda one: one if isinstance(one, str) else type(one).__name__,
)
def test_forms_that_are_not_ours_are_refused_by_name(field: Any, words: str) -> None:
    made = type(Packet)("Refused", (Packet,), {"name": "refused", "fields_desc": (field,)})
    with pytest.raises(DeclareError, match=f"Refused.{field.name}.*{words}"):
        import_scapy(made)


def test_a_plain_class_is_a_header_and_source_to_keep() -> None:
    found = import_scapy(Offer)
    with bindings():
        ours, entry = found.declare()
        values: dict[str, Any] = {"kind": 1, "stamp": 5, "text": b"hello", "rest": b"end"}
        numbers = [1, 2]
        theirs = Offer(**values, entries=[Entry(number=4), Entry(flag=1)], numbers=numbers)
        made: Any = ours(**values, entries=[entry(number=4), entry(flag=1)], numbers=numbers)  # type: ignore[call-arg]
        assert bytes(made) == bytes(theirs)
        read: Any = dissect(bytes(theirs), ours)[ours]
        assert (read.size, read.count, read.more, str(read.address), int(read.flags)) == (6, 2, None, "10.0.0.1", 1)
        assert bytes(ours(kind=3, more=4, numbers=numbers)) == bytes(Offer(kind=3, more=4, numbers=numbers))
        described = {cls.__name__: describe(cls) for cls in (ours, entry)}
    with bindings():
        names: dict[str, Any] = {"__name__": "described"}
        exec(compile(str(found), "offer", "exec"), names)
        assert {name: describe(names[name]) for name in described} == described


class Odd(sf.ShortField):  # type: ignore[misc]
    pass


@pytest.mark.parametrize(
    ("fields", "body", "error"),
    [
        ((Odd("a", 1),), {}, r"Bad\.a: expected a field class of scapy's own, got Odd, which is code"),
        ((sf.ByteField("a", 1),), {"post_build": lambda self, pkt, pay: pkt}, r"Bad: expected a class without code .*, got post_build, of Bad"),
        ((sf.ByteField("a", 1),), {"guess_payload_class": lambda self, pay: Entry}, r"got guess_payload_class, of Bad"),
        ((sf.ByteField("a", 1),), {"guess_payload_class": lambda self, pay: conf.padding_layer if self.a else Entry}, r"got guess_payload_class, of Bad"),
        ((sf.ByteField("a", 1),), {"extract_padding": lambda self, s: (s[:1], s[1:])}, r"got extract_padding, of Bad"),
        ((sf.ByteField("a", 1), sf.StrLenField("b", b"", length_from=lambda pkt: len(pkt.a))), {}, r"Bad\.b: expected length_from that is arithmetic"),
        ((sf.ByteField("a", 1), sf.StrLenField("b", b"", length_from=lambda pkt: {1: 2}.get(pkt.a, 3))), {}, r"Bad\.b: expected length_from"),
        ((sf.ByteField("a", 1), sf.StrLenField("b", b"", length_from=lambda pkt: next(n for n in range(999) if pkt.a == n))), {}, r"Bad\.b: expected length_from"),
        ((sf.ByteField("a", 1), sf.StrLenField("b", b"", length_from=lambda pkt: pkt.underlayer.x)), {}, r"Bad\.b: expected length_from"),
        ((sf.ByteField("a", 1), sf.ConditionalField(sf.ByteField("b", 1), lambda pkt: pkt.a.x)), {}, r"Bad\.b: expected the condition"),
        ((sf.MultipleTypeField([(Odd("a", 1), lambda pkt: True)], sf.ByteField("a", 1)),), {}, r"Bad\.a: expected a field class of scapy's own, got Odd"),
        ((sf.PadField(sf.StrField("a", b""), 4, padwith=b"ab"),), {}, r"Bad\.a: expected a filler of one byte"),
        ((sf.PacketListField("a", [Offer(entries=[Entry()])], Offer),), {}, r"Bad\.a: expected a default of packets with numbers, .*, got entries"),
        ((sf.PacketListField("a", [Entry() / Entry()], Entry),), {}, r"Bad\.a: expected packets of Entry with nothing behind"),
        ((sf.BitField("a", 1, 3),), {}, r"Bad: expected fields that fill whole bytes, got 3 bits"),
    ],
)  # fmt: skip
def test_what_holds_code_is_refused_by_name(fields: Any, body: dict[str, Any], error: str) -> None:
    bad = type("Bad", (Packet,), {"name": "bad", "fields_desc": list(fields), **body})
    with pytest.raises(DeclareError, match=error):
        import_scapy(bad)


def test_only_classes_of_packets_are_taken() -> None:
    for what in (Offer(), int, "Offer", None):
        with pytest.raises(TypeError, match="import_scapy takes a class"):
            import_scapy(what)


def layers() -> Iterator[Any]:
    """Yield all classes of scapy.layers, of those modules that can be imported."""
    import scapy.layers

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for module in pkgutil.iter_modules(scapy.layers.__path__):
            with suppress(Exception):  # it may want something that is not installed
                import_module(f"scapy.layers.{module.name}")
    todo, seen = [Packet], set()
    while todo:
        for cls in todo.pop().__subclasses__():
            if cls not in seen:
                seen.add(cls)
                todo.append(cls)
    yield from sorted(
        (cls for cls in seen if cls.__module__.startswith("scapy.layers.")),
        key=lambda cls: (cls.__module__, cls.__name__),
    )


@pytest.mark.slow
def test_classes_of_scapys_layers_build_the_same_bytes_or_are_refused_for_a_reason() -> None:
    chance, counts, differ = random.Random(5), Counter[str](), []
    for cls in layers():
        try:
            found = import_scapy(cls)
        except DeclareError as error:
            counts[str(error.got).partition(",")[0] if "code for" in str(error.expected) else str(error.expected)] += 1
            continue
        counts["imported"] += 1
        with bindings():
            ours = found.declare()[0]
            numbers = [
                f
                for f in ours._declaration.fields
                if f.kind.wire == "number" and f.rule is None and f.condition is None
            ]
            for _ in range(2):
                values = {f.name: chance.randint(f.kind.low, f.kind.high) for f in numbers if chance.random() < 0.5}
                try:
                    built = bytes(ours(**values))
                except BuildError:
                    continue  # sizes that are not those of the fields they tell: scapy sends them as they are
                called = {plain(f.name): f.name for f in cls.fields_desc}
                theirs = bytes(cls(**{called[name]: one for name, one in values.items()}))
                if built != theirs:
                    differ.append((cls.__name__, values, built.hex(), theirs.hex()))
    assert not differ, differ[:3]
    assert counts["imported"] >= 480
    assert {
        "__init__",
        "do_dissect",
        "dispatch_hook",
        "guess_payload_class",
        "post_build",
        "a field class of scapy's own",
    } <= counts.keys()


def test_conditions_that_are_numbers_stand_in_the_module_too() -> None:
    functions = [lambda p: True, lambda p: 16, lambda p: 16 & 3, lambda p: -3, lambda p: 1 == 1, lambda p: p.first > 2]
    fields = [sf.ByteField("first", 9), *(sf.ConditionalField(sf.ByteField(f"f{n}", n), one) for n, one in enumerate(functions))]
    theirs = type(Packet)("Sometimes", (Packet,), {"name": "sometimes", "fields_desc": fields})
    found = import_scapy(theirs)
    with bindings():
        (ours,) = found.declare()
        described = describe(ours)
    with bindings():
        names: dict[str, Any] = {"__name__": "described"}
        exec(compile(str(found), "sometimes", "exec"), names)
        assert describe(names["Sometimes"]) == described
        assert bytes(names["Sometimes"](f0=7, f1=8)) == bytes(theirs(f0=7, f1=8)) == bytes([9, 7, 8, 3, 4, 5])


class Unit(Packet):
    name = "unit"
    fields_desc = (sf.ShortField("number", 1),)

    def guess_payload_class(self, payload: bytes) -> Any:
        return conf.padding_layer


def test_a_class_whose_payload_is_always_padding_is_one_that_nothing_follows() -> None:
    theirs = type(Packet)("Units", (Packet,), {"name": "units", "fields_desc": [sf.FieldLenField("count", None, fmt="B", count_of="units"), sf.PacketListField("units", [], Unit, count_from=lambda p: p.count), sf.ByteField("end", 9)]})
    with bindings():
        ours, unit = import_scapy(theirs).declare()
        there = theirs(units=[Unit(number=3), Unit(number=4)])
        made = ours(units=[unit(number=3), unit(number=4)])  # type: ignore[call-arg]
        assert bytes(made) == bytes(there)
        assert [one.number for one in theirs(bytes(made)).units] == [one.number for one in dissect(bytes(there), ours)[ours].units] == [3, 4]  # type: ignore[attr-defined]


class Several(Packet):
    name = "several"
    fields_desc = (
        sf.ByteField("kind", 1),
        sf.FlagsField("flags", 1, 8, ["more", "last"]),
        sf.FieldLenField("size", None, fmt="B", length_of="value"),
        sf.MultipleTypeField(
            [
                (sf.IPField("value", "1.2.3.4"), lambda pkt: pkt.kind in (1, 7)),
                (sf.ShortField("value", 5), (lambda pkt: pkt.kind == 2 and pkt.flags.last, lambda pkt, val: pkt.kind == 2)),
            ],
            sf.StrLenField("value", b"", length_from=lambda pkt: pkt.size if pkt.kind != 9 else 1),
        ),
        sf.ConditionalField(sf.ByteField("a", 3), lambda pkt: not pkt.flags.last or pkt.kind == 3),
        sf.ConditionalField(sf.ByteField("b", 4), lambda pkt: pkt.flags.more and pkt.flags.last),
        sf.PadField(sf.StrLenField("word", b"ab", length_from=lambda pkt: pkt.kind), 4, padwith=b"x"),
        sf.ByteField("_end", 9),
    )


@pytest.mark.parametrize(
    "data",
    ["01 00 04 01020304 05 61 787878 09", "07 00 04 01020304 05 61626364616263 78 09", "02 03 02 0007 04 6162 7878 09", "02 01 03 616263 05 6162 7878 09",
     "03 02 01 61 05 616263 78 09", "09 02 05 61 616263646566676869 787878 09"],
)  # fmt: skip
def test_decisions_several_types_and_fillers_are_read_and_built_as_scapy_does(data: str) -> None:
    raw = bytes.fromhex(data)
    theirs = Several(raw)
    with bindings():
        names: dict[str, Any] = {"__name__": "described"}
        exec(compile(str(import_scapy(Several)), "several", "exec"), names)
    with bindings():
        (ours,) = import_scapy(Several).declare()
        assert describe(names["Several"]) == describe(ours)
        packet = dissect(raw, ours)
        read: Any = packet[ours]
        assert not packet.faults and bytes(packet) == raw == bytes(theirs)
        there = [one for one in (read.value_1, read.value_2, read.value) if one is not None]
        assert [str(one) for one in there] == [str(theirs.value)]
        assert (read.a, read.b, read.word, read.end_) == (theirs.a, theirs.b, theirs.word, theirs._end)
        made: Any = ours(kind=read.kind, flags=read.flags, a=read.a, b=read.b, word=read.word, value=read.value, value_1=read.value_1, value_2=read.value_2)  # type: ignore[call-arg]
        assert bytes(made) == raw or (read.kind == 9 and bytes(made)[:2] == raw[:2])


def test_lists_and_headers_have_the_values_that_scapy_gives_them() -> None:
    theirs = type(Packet)("Usual", (Packet,), {"name": "usual", "fields_desc": [
        sf.PacketListField("entries", [Entry(number=7), Entry()], Entry, count_from=lambda pkt: 2), sf.PacketField("one", Entry(flag=9), Entry),
        sf.FieldListField("numbers", [1, 2], sf.ShortField("", 0), count_from=lambda pkt: 2), sf.FieldListField("there", ["10.0.0.1"], sf.IPField("", None), count_from=lambda pkt: 1),
        sf.StrFixedLenField("word", 0, 4)]})  # fmt: skip
    with bindings():
        names: dict[str, Any] = {"__name__": "described"}
        exec(compile(str(import_scapy(theirs)), "usual", "exec"), names)
        assert bytes(names["Usual"]()) == bytes(theirs()) == bytes.fromhex("0007 02 0001 02 0001 09 0001 0002 0a000001 00000000")
