"""Values of two forms in columns, filters, patterns, variations, descriptions, source, bridges and malformed packets: either form."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import IntEnum, StrEnum
from fractions import Fraction
from typing import Annotated, Any

import numpy as np
import pytest

import packetlab as pl
from packetlab import (
    F32,
    GUID,
    U8,
    UUID,
    BuildError,
    Capture,
    DeclareError,
    Digits,
    Ether,
    F32le,
    Frame,
    Header,
    Named,
    NTPShort,
    NTPTime,
    Text,
    UnixTimeMs,
    auto,
    bcd,
    bindings,
    declare_from,
    describe,
    digits,
    dissect,
    ended,
    field,
    raw,
    scaled,
    size_of,
    text,
)  # fmt: skip
from packetlab.schema.source import class_body
from packetlab.testing.volatile import Volatile


class Method(StrEnum):
    GET = "GET"
    POST = "POST"


class Status(IntEnum):
    OK = 200
    NOT_FOUND = 404


def probe() -> Any:
    class Probe(Header, under=Ether, when={"type": 0x88B5}):
        level: F32le = 0.5
        delay: Annotated[float, scaled(12, 1 / 256, unit="s")] = 1.5
        words: Annotated[int, scaled(4, 4, unit="bytes")] = 20
        temp: Annotated[float, scaled(16, "0.01", offset=-40, signed=True)] = 21.37
        sent: NTPTime = "2024-01-01T00:00:00.123456789Z"  # type: ignore[assignment]
        logged: UnixTimeMs = datetime(2020, 1, 1, tzinfo=UTC)
        spread: NTPShort = timedelta(seconds=1.5)
        id: UUID = "6ba7b810-9dad-11d1-80b4-00c04fd430c8"  # type: ignore[assignment]
        guid: GUID = "6ba7b810-9dad-11d1-80b4-00c04fd430c8"  # type: ignore[assignment]
        meter: Annotated[int, bcd(8)] = 42
        host: Annotated[str, text("ascii", size=8, pad=b"\0")] = "box"
        size: U8 = auto(size_of("name"))
        name: Text = "héllo"
        wide: Annotated[str, text("utf-16-le")] = ended(b"\0\0", "wide")

    return Probe


def request() -> Any:
    class Ask(Header, under=Ether, when={"type": 0x88B6}, payload_size=field("length")):
        method: Annotated[Named[Method], text("ascii")] = ended(b" ", Method.GET)
        target: Text = ended(b"\r\n", "/")
        status: Annotated[Named[Status], digits(width=3)] = Status.OK
        spelled: Digits = ended(b";", "007")
        length: Digits = ended(b"\r\n", auto(size_of("payload")))

    return Ask


def captured(header: Any) -> Capture:
    rows = [(0.1, "a"), (1.5, "bb"), (15.0, "c")]
    return Capture.of([
        Frame(bytes(Ether() / header(delay=delay, level=delay / 2, name=name, sent=f"2024-01-0{day}")))
        for day, (delay, name) in enumerate(rows, 1)
    ])  # fmt: skip


def test_a_column_is_in_the_users_form_and_its_raw_one_in_the_packed_one() -> None:
    with bindings():
        capture = captured(probe())
        for name, expected, dtype in (
            ("probe.delay", [26 / 256, 1.5, 15.0], "f8"), ("probe.delay.raw", [26, 384, 3840], "u2"),
            ("probe.level", [float(np.float32(0.05)), 0.75, 7.5], "f8"), ("probe.level.raw", [0x3D4CCCCD, 0x3F400000, 0x40F00000], "u4"),
            ("probe.words", [20] * 3, "O"), ("probe.meter", [42] * 3, "O"), ("probe.name", ["a", "bb", "c"], "O"),
            ("probe.name.raw", [b"a", b"bb", b"c"], "O"), ("probe.host", ["box"] * 3, "O"), ("probe.wide", ["wide"] * 3, "O"),
            ("probe.wide.raw", [b"w\0i\0d\0e\0"] * 3, "O"), ("probe.sent", [datetime(2024, 1, day, tzinfo=UTC) for day in (1, 2, 3)], "O"),
            ("probe.spread", [timedelta(seconds=1.5)] * 3, "O"), ("probe.spread.raw", [0x18000] * 3, "u4"),
        ):  # fmt: skip
            table = capture.table(name).read()
            assert table[name].tolist() == expected and table[name].dtype == np.dtype(dtype), name
        assert capture.table("probe.delay").read().text("probe.delay") == ["0.1015625 s (26)", "1.5 s (384)", "15 s (3840)"]
        import polars

        frame = polars.DataFrame(capture.table("probe.delay", "probe.sent", "probe.name", "probe.id"))
        assert frame["probe.delay"].to_list() == [26 / 256, 1.5, 15.0] and frame["probe.name"].to_list() == ["a", "bb", "c"]
        assert frame["probe.sent"][1] == "2024-01-02T00:00:00Z" and frame["probe.id"][0].startswith("6ba7b810-")
        none = Capture.of([Frame(bytes(Ether() / b"x"))]).table("probe.delay", "probe.name").read()
        assert none["probe.delay"].tolist() == [0.0] and none["probe.name"].tolist() == [None]


@pytest.mark.parametrize(
    "question, count",
    [
        ("probe.delay == 0.1015625", 1), ("probe.delay == 1.5", 1), ("probe.delay != 1.5", 2), ("probe.delay.raw == 384", 1),
        ("probe.delay > 0.1", 3), ("probe.delay > 0.1015625", 2), ("probe.delay >= 1.5", 2), ("probe.delay < 1.501", 2),
        ("probe.delay <= 1.499", 1), ("probe.delay in {1.5, 15}", 2), ("probe.delay.raw & 0x80", 1), ("probe.level > 0.5", 2),
        ("probe.level == 0.75", 1), ("probe.level.raw == 0x3F400000", 1), ('probe.name == "bb"', 1), ("probe.name == bb", 1),
        ('probe.name contains "b"', 1), ("probe.name.raw == 61", 1), ('probe.wide contains "id"', 3), ('probe.wide == "wide"', 3),
        ("probe.sent > 2024-01-01T12:00:00Z", 2), ("probe.sent == 2024-01-02", 1), ("probe.spread < 2", 3), ("probe.host == box", 3),
        ("probe.id == 6ba7b810-9dad-11d1-80b4-00c04fd430c8", 3), ("probe.temp > 20", 3), ("probe.meter == 42", 3), ("probe.delay", 3),
        ("probe.words.raw == 5", 3),
    ],
)  # fmt: skip
def test_filters_take_either_form(question: str, count: int) -> None:
    with bindings():
        assert captured(probe()).where(question).count() == count


def test_filters_say_what_a_value_may_be() -> None:
    with bindings():
        capture = captured(probe())
        for question, complaint in (
            ("probe.delay == 0.1", r"0\.09765625 s \(25\) or 0\.1015625 s \(26\)"), ("probe.delay == fast", "a number of s"),
            ("probe.delay == 99", "0 s to"), ("probe.sent > soon", "a datetime"),
            ("probe.id == 7", "a UUID"), ("probe.delay.bits == 1", "no part of Probe.delay"), ("probe.size.raw == 1", "no part"),
        ):  # fmt: skip
            with pytest.raises(BuildError, match=complaint):
                capture.where(question).count()


def test_patterns_and_prototypes_take_either_form() -> None:
    with bindings():
        header = probe()
        capture, packet = captured(header), Ether() / header()
        assert capture.where(header(delay=1.5)).count() == capture.where(header(delay=raw(384))).count() == 1
        assert capture.where(header(delay=pl.between(0.2, 1.501))).count() == 1
        assert capture.where(header(sent=pl.between("2024-01-02", "2024-01-09"))).count() == 2
        assert header(delay=pl.one_of(1.5, 2)).matches(packet) and not header(delay=2).matches(packet)
        assert "Probe.delay: expected 2 s (512), got 1.5 s (384)" in str(header(delay=2).why_not(packet))
        assert str(packet.diff(packet.replace(header, delay=3))) == "Probe.delay: 1.5 s (384) != 3 s (768)"


def test_variations_take_values_raw_ones_and_draw_from_all() -> None:
    with bindings():
        header = probe()
        changes = {
            "probe.delay": [0.5, 1, raw(3)], "probe.level": np.array([0.5, 1, 2]), "probe.name": ["x", "yy"],
            "probe.id": pl.seeded(3), "probe.sent": ["2024-01-01"], "probe.temp.raw": [0, 1, 2], "probe.words": range(0, 12, 4),
        }  # fmt: skip
        varied = (Ether() / header()).vary(3, changes)
        rows = [dissect(row)[header] for row in varied.batch()]
        assert [row.delay for row in rows] == [0.5, 1.0, 3 / 256] and [row.level for row in rows] == [0.5, 1.0, 2.0]
        assert [row.name for row in rows] == ["x", "yy", "x"] and [row.temp for row in rows] == [-40.0, -39.99, -39.98]
        assert [row.words for row in rows] == [0, 4, 8] and len({row.id for row in rows}) == 3
        assert [bytes(varied[row]) for row in range(3)] == [bytes(row) for row in varied.batch()]
        with pytest.raises(BuildError, match=r"Probe\.delay"):
            (Ether() / header()).vary(3, {"probe.delay": [99]}).batch()


@pytest.mark.parametrize("declared", [probe, request])
def test_a_description_is_the_same_class_again_and_so_is_its_source(declared: Any) -> None:
    with bindings():
        header = declared()
        data, wire = describe(header), bytes(header())
        assert json.loads(json.dumps(data)) == data
    with bindings():
        (again,) = declare_from(data)
        assert describe(again) == data and bytes(again()) == wire
    source = class_body(data)
    words = ["F32", "F32le", "UUID", "GUID", "U8", "Header", "Text", "Digits", "NTPTime", "NTPShort", "UnixTimeMs", "Named", "Ether", "scaled", "bcd", "text", "digits", "ended", "auto", "size_of", "field", "default", "const", "raw", "timestamp", "duration"]
    names: dict[str, Any] = {word: getattr(pl, word) for word in words} | {"Annotated": Annotated, "__name__": __name__}
    names |= {"datetime": datetime, "timedelta": timedelta, "IntEnum": IntEnum, "StrEnum": StrEnum, "Fraction": Fraction}
    with bindings():
        exec(source, names)
        assert bytes(names[data["name"]]()) == wire  # type: ignore[index]
    if declared is probe:
        assert "delay: Annotated[float, scaled(12, '1/256', unit='s')] = 1.5" in source
        assert "sent: NTPTime = raw(16806447547946818871)" in source
    else:
        assert "method: Annotated[Named[Method], text('ascii')] = ended(b' ', 'GET')" in source


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "scaled", "bits": 16, "scale": "0"}, {"kind": "scaled", "bits": 16, "scale": "x"}, {"kind": "scaled", "bits": 16},
        {"kind": "scaled", "bits": 16, "scale": "1", "user": "complex"}, {"kind": "float", "bits": 8}, {"kind": "timestamp"},
        {"kind": "text", "encoding": "no such"}, {"kind": "text", "fill": "zz", "taken": 4}, {"kind": "text", "taken": 1 << 40},
        {"kind": "bcd", "digits": 7}, {"kind": "ended", "of": {"kind": "ended"}, "by": "00"}, {"kind": "ended", "of": 7, "by": "00"},
        {"kind": "ended", "of": {"kind": "bytes", "bytes": 4}, "by": "00"}, {"kind": "ended", "of": {"kind": "bytes"}, "by": "xy"},
        {"kind": "text", "names": {"name": "A", "members": {"x": 1}}}, {"kind": "digits", "base": 99, "width": 3},
        {"kind": "float", "bits": 32, "default": {"raw": 1 << 32}}, {"kind": "uuid", "default": {"raw": "00"}},
        {"kind": "text", "taken": 4, "default": {"raw": "zz"}}, {"kind": "float", "bits": 32, "default": {"raw": []}},
        {"kind": "float", "bits": 32, "default": 1 << 80}, {"kind": "timestamp", "bits": 32, "epoch": "soon"},
    ],
)  # fmt: skip
def test_what_makes_no_sense_in_a_description_is_a_clear_error(change: dict[str, Any]) -> None:
    with pytest.raises(DeclareError), bindings():
        declare_from({"name": "Wrong", "fields": [{"name": "x", **change}]})


@pytest.mark.parametrize("declared", [probe, request])
def test_bridges_diagrams_and_malformed_packets_have_them(declared: Any) -> None:
    with bindings():
        header = declared()
        packet = Ether() / header()
        wire = bytes(header())
        assert bytes(packet.to_scapy()) == bytes(packet) == bytes(packet.to_dpkt())
        for made in (pl.export.scapy_class(header), pl.export.dpkt_class(header)):
            assert bytes(made()) == wire == bytes(made(wire))
        assert [case.id for case in pl.malformed(dissect(bytes(packet))) if case.disagreements()] == []
        assert "delay" in str(pl.diagram(header)) or declared is request
        assert f"{packet.summary()}" and packet._repr_mimebundle_()["text/html"]


def test_volatile_values_have_one_form() -> None:
    with bindings():
        header = probe()
        forms = [
            [frame.data for frame in Volatile({"probe.delay"}).canonical([Frame(bytes(Ether() / header(delay=n))) for n in some])]
            for some in ((1, 2), (3, 0.5))
        ]
        assert forms[0] == forms[1]


def test_a_float_and_a_scaled_number_are_scanned() -> None:
    """Nothing of them makes packets to objects: the scan reads the raw number, and the column changes it."""
    from packetlab.bulk.queries import can_scan
    from packetlab.pattern.filter import compile_filter

    with bindings():

        class Sample(Header, under=Ether, when={"type": 0x88B5}):
            a: F32 = 0.0
            b: Annotated[float, scaled(16, "0.1")] = 0

        assert all(can_scan(compile_filter(one)) for one in ("sample.a == 1.5", "sample.b == 0.3", "sample.b.raw > 3"))
        assert Capture.of([Frame(bytes(Ether() / Sample(a=1.5, b=0.3)))]).table("sample.b")["sample.b"].tolist() == [0.3]


def test_what_is_shown_of_a_value_is_the_value_and_a_filter_that_finds_it_alone() -> None:
    with bindings():

        class Steps(Header, under=Ether, when={"type": 0x88B7}):
            quarter: Annotated[float, scaled(8, 0.25, unit="s")] = 0
            eighth: Annotated[Decimal, scaled(8, 0.125, offset=-1)] = 0
            down: Annotated[float, scaled(8, -0.25)] = 0
            third: Annotated[Fraction, scaled(8, "1/3")] = 0
            fixed: Annotated[float, scaled(16, "1/256")] = 0
            short: NTPShort = 0
            sent: NTPTime = raw(0)
            clock: Annotated[datetime, pl.timestamp(32, unit="1/90000")] = raw(0)
            waited: Annotated[timedelta, pl.duration(16, unit="1/4", signed=True)] = 0

        header: Any = Steps
        names = [f.name for f in header._declaration.fields]
        numbers = [1, 2, 3, 7, 77, 90]
        made = [header(**{name: raw(n) for name in names}) for n in numbers]
        capture = Capture.of([Frame(bytes(Ether() / one)) for one in made])
        for name in names:
            texts = capture.table(f"steps.{name}").read().text(f"steps.{name}")
            for n, shown in zip(numbers, texts, strict=True):
                word = shown.partition(" (")[0]
                found = [capture.where(f'steps.{name} {sign} "{word}"').count() for sign in ("==", "<", ">", "!=")]
                order = numbers[::-1] if name == "down" else numbers
                assert found == [1, order.index(n), 5 - order.index(n), 5], (name, n, word)
        assert [capture.table("steps.quarter").read().text("steps.quarter")[2], str(made[2].waited)] == ["0.75 s (3)", "0.75 s"]
        assert str(made[0].eighth) == "-0.875" and capture.table("steps.eighth").read().text("steps.eighth")[0] == "-0.875 (1)"
        for question in ("steps.quarter == 0.8", "steps.quarter != 0.7", "steps.waited in {0.8}", "steps.third == 0.3", "steps.eighth == -0.9"):
            with pytest.raises(BuildError, match="between which it has none"):
                capture.where(question).count()
        assert capture.where("steps.quarter < 0.8").count() == 3 and capture.where("steps.quarter > 0.8").count() == 3
        assert eval(repr(made[2]), {"Steps": header, "raw": raw, "Decimal": Decimal, "Fraction": Fraction}) == made[2]  # noqa: S307


def test_patterns_are_built_as_headers_are_and_go_by_the_bits() -> None:
    with bindings():

        class BitsProbe(Header, under=Ether, when={"type": 0x88B7}):
            level: F32 = 0.0
            depth: Annotated[float, scaled(16, 0.25)] = 0

        nan, other = float("nan"), raw(0x7FC00001)
        levels = [0.0, -0.0, nan, other, 0.1]
        capture = Capture.of([Ether() / BitsProbe(level=level, depth=0.75) for level in levels])  # type: ignore[arg-type]

        def found(by: Any) -> list[int]:
            return [frame.number for frame in capture.where(by)]

        assert [found(BitsProbe(level=level)) for level in levels] == [[1], [2], [3], [4], [5]]  # type: ignore[arg-type]
        assert [found(f"bitsprobe.level == {text}") for text in ("0", "-0.0", "nan", "0.1")] == [[1, 2], [1, 2], [3], [5]]
        assert BitsProbe(depth=0.8).depth == 0.75 and found(BitsProbe(depth=0.8)) == [1, 2, 3, 4, 5] and found(BitsProbe(depth=0.9)) == []
        with pytest.raises(BuildError, match=r"0.75 \(3\) or 1 \(4\), between which it has none"):
            found("bitsprobe.depth == 0.8")


def test_the_name_of_a_text_stands_for_it_in_filters() -> None:
    class Level(StrEnum):
        INFO = "I"
        WARN = "W"
        I = "X"  # noqa: E741  the name of one is the text of another

    with bindings():

        class Log(Header, under=Ether, when={"type": 0x88B5}):
            level: Annotated[Named[Level], text("ascii")] = ended(b" ", Level.INFO)
            old: Annotated[Named[Level], text("ascii", size=1)] = Level.INFO

        capture = Capture.of([Ether() / Log(level=Level.WARN), Ether() / Log(old=Level.I)])
        counts = {
            filter: capture.where(filter).count()
            for filter in ("log.level == WARN", 'log.level == "W"', "log.level == W", 'log.level == "WARN"', "log.level != WARN",
                           "log.level in {WARN, INFO}", "log.old == I", 'log.old == "I"', "log.old == INFO")
        }  # fmt: skip
    assert counts == {
        "log.level == WARN": 1, 'log.level == "W"': 1, "log.level == W": 1, 'log.level == "WARN"': 0, "log.level != WARN": 1,
        "log.level in {WARN, INFO}": 2, "log.old == I": 1, 'log.old == "I"': 1, "log.old == INFO": 1,
    }  # fmt: skip
