"""Checksums in declarations: over any ranges with parts left out, by any algorithm, through every output."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated, Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

import packetlab as pl
from packetlab import (
    U4,
    U8,
    U16,
    U24,
    U32,
    U64,
    Bytes,
    Capture,
    DeclareError,
    Ether,
    Header,
    IPv4Address,
    Payload,
    U16le,
    U24le,
    U32le,
    VarInt,
    Verdict,
    auto,
    bindings,
    but,
    choose,
    computed,
    count_of,
    crc,
    crc32,
    declare_from,
    describe,
    dissect,
    field,
    fixed_bytes,
    fletcher,
    internet_checksum,
    iso_fletcher,
    malformed,
    many,
    size_of,
    sized,
    span,
    sum8,
    sum16,
    when,
    xor8,
    zeroed,
)
from packetlab.codec.faults import Dissection
from packetlab.codec.lenient import walk
from packetlab.declare.checksums.catalogue import CRCS
from packetlab.declare.checksums.spelled import adler32, sum32
from packetlab.export import dpkt_class, scapy_class
from packetlab.schema.source import class_body
from tests.answers import tshark
from tests.conftest import amount, need
from tests.wire.test_vary import same


class RTU(Header):
    """Modbus RTU (Modbus over serial line 1.02, section 2.5.1)."""

    address: U8 = 1
    function: U8 = 3
    data: Payload
    crc: U16le = auto(crc("CRC-16/MODBUS", "self", "payload"))


class HDLC8(Header):
    """A frame of HDLC without its flags (RFC 1662 section 3.1)."""

    address: U8 = 0xFF
    control: U8 = 3
    protocol: U16 = 0xC021
    information: Payload
    fcs: U16le = auto(crc("X-25", "self", "payload"))


def test_frames_of_others_have_right_checksums() -> None:
    # A request for three registers, from the Modbus specification's example with address 17.
    for text in ("1103006b00037687", "0103006b00037417"):
        data = bytes.fromhex(text)
        assert dissect(data, RTU).verdict(RTU) is Verdict.GOOD and not dissect(data, RTU).faults
        assert bytes(RTU(address=data[0]) / data[2:-2]) == data
    # The frame check sequence of RFC 1662 leaves 0xF0B8 over the frame with itself, before it is inverted.
    data = bytes(HDLC8() / bytes.fromhex("01010004"))
    residue = 0xFFFF
    for byte in data:
        for bit in range(8):
            residue = residue >> 1 ^ (0x8408 if (residue ^ byte >> bit) & 1 else 0)
    assert residue == 0xF0B8


def test_a_wrong_checksum_is_told_and_explained() -> None:
    wrong = dissect(bytes.fromhex("0103006b00037418"), RTU)
    assert wrong.verdict(RTU) is wrong.verdicts()["RTU.crc"] is Verdict.BAD
    assert wrong.verdict(OSPF) is wrong.verdict((RTU, 1)) is Verdict.NOT_PRESENT
    why = str(wrong.why(RTU, "crc"))
    assert "CRC-16/MODBUS(self, payload)" in why and "differs from the rule, which gives 0x1774" in why
    assert "0x1774" in str(wrong.replace(RTU, crc=0x1774).show())
    assert {case.id for case in malformed(RTU() / b"abc")} >= {"rtu.crc.wrong"}
    for case in malformed(RTU() / b"abc"):
        assert not case.disagreements(), case


class OSPF(Header):
    """Version 2 (RFC 2328 appendix A.3.1): the checksum leaves out the 64 bits of authentication."""

    version: U8 = 2
    type: U8 = 1
    length: U16 = auto(size_of("self") + size_of("payload"))
    router: IPv4Address = "10.0.0.1"
    area: IPv4Address = "0.0.0.0"
    checksum: U16 = auto(internet_checksum("self", "payload", but("authentication")))
    autype: U16 = 0
    authentication: Annotated[bytes, fixed_bytes(8)] = bytes(8)
    body: Payload


class LSA(Header):
    """A router's link state advertisement (RFC 2328 appendix A.4.2): the checksum leaves out the age."""

    age: U16 = 1
    options: U8 = 2
    type: U8 = 1
    id: IPv4Address = "10.0.0.1"
    router: IPv4Address = "10.0.0.1"
    sequence: U32 = 0x80000001
    checksum: U16 = auto(iso_fletcher("self", "payload", but("age")))
    length: U16 = auto(size_of("self") + size_of("payload"))
    links: Payload


def tshark_of(tmp_path: Path, packets: list[bytes], link: int, *options: str) -> list[list[str]]:
    need("tshark")
    writer = pl.Writer(tmp_path / "made.pcap")
    for packet in packets:
        writer.write(pl.Frame(packet, 0, link))
    writer.close()
    done = tshark("-n", "-r", tmp_path / "made.pcap", "-T", "fields", "-E", "separator=|", *options)
    return [line.split("|") for line in done.stdout.splitlines()]


def test_tshark_finds_the_checksums_of_ospf_right(tmp_path: Path) -> None:
    made = []
    for key in (bytes(8), b"password"):
        lsa = LSA() / bytes.fromhex("0000000101020304ffffff0003000001")
        made.append(
            bytes(
                Ether() / pl.IPv4(src="10.0.0.1", dst="224.0.0.5", protocol=89, ttl=1)
                / OSPF(type=4, autype=int(any(key)), authentication=key) / (b"\0\0\0\1" + bytes(lsa))
            )
        )  # fmt: skip
    tshark_of(tmp_path, [*made, made[0][:-1] + b"\7"], 1, "-e", "frame.number")
    text = tshark("-n", "-r", tmp_path / "made.pcap", "-V").stdout
    assert [line.split()[-1] for line in text.splitlines() if "Checksum: 0x" in line and "orrect" in line][:2] == [
        "[correct]"
    ] * 2
    assert "[correct]" in text and "[incorrect" in text


class BLE(Header):
    """A packet of Bluetooth Low Energy on an advertising channel (Core 5.3, vol. 6 part B, 2.1)."""

    access: U32le = 0x8E89BED6
    kind: U8 = 0x02
    length: U8 = auto(size_of("payload"))
    data: Payload
    crc: U24le = auto(crc("CRC-24/BLE", span("kind", "payload")))


def test_tshark_finds_the_crc_of_bluetooth_right(tmp_path: Path) -> None:
    good, bad = BLE() / bytes.fromhex("0102030405060201060302aafe"), BLE(crc=0x123456) / bytes(6)
    seen = tshark_of(tmp_path, [bytes(good), bytes(bad)], 251, "-e", "btle.crc", "-e", "_ws.expert.message")
    assert "ncorrect" not in seen[0][1] and "ncorrect" in seen[1][1], seen


# Drawn ----------------------------------------------------------------------------------------------------------------

NAMES = ("a", "b", "c", "d", "e", "f")


def summing(draw: Any, size: int) -> Any:
    """Draw a function that makes a checksum of at most some bytes, given its parts."""
    bits = 8 * size
    numbers = st.integers(0, (1 << bits) - 1)
    named = [name for name in CRCS if int(name[4:].partition("/")[0]) <= bits]
    little = draw(st.booleans())
    made: list[Any] = [lambda *parts: crc(named[draw(st.integers(0, len(named) - 1))], *parts)]
    poly, init, low, out, xor = draw(numbers), draw(numbers), draw(st.booleans()), draw(st.booleans()), draw(numbers)
    made.append(lambda *parts: crc(bits, *parts, poly=poly, init=init, reflect_in=low, reflect_out=out, xor=xor))
    made.append(lambda *parts: sum8(*parts, negate=little))
    made.append(lambda *parts: sum8(*parts, invert=little, carry=True))
    made.append(xor8)
    if size >= 2:
        made.append(lambda *parts: sum16(*parts, little=little, invert=True))
        made.append(lambda *parts: fletcher(16, *parts))
        made.append(lambda *parts: fletcher(16, *parts, modulus=256))
        made.append(lambda *parts: sum16(*parts, unit=8 if little else 16, carry=True, invert=low))
        made.append(internet_checksum)
    if size >= 4:
        made += [lambda *parts: fletcher(32, *parts, little=little, modulus=1 << 16), lambda *parts: sum32(*parts, unit=16, carry=True)]
        made += [adler32, lambda *parts: fletcher(32, *parts, little=little), lambda *parts: sum32(*parts, unit=8)]
        made.append(crc32)
    return draw(st.sampled_from(made))


@st.composite
def shapes(draw: Any) -> tuple[type[Header], list[str]]:
    """Draw a header with one checksum; with it the names that the checksum goes over, with zeros as "-"."""
    size = draw(st.sampled_from([1, 2, 3, 4, 8]))
    kinds: dict[str, Any] = {name: draw(st.sampled_from([U8, U16, U24, U32le])) for name in NAMES}
    flag = draw(st.sampled_from(NAMES))
    order = list(NAMES)
    order.insert(draw(st.integers(0, 6)), "check")
    order.insert(draw(st.integers(0, 7)), "body")
    before = order[: order.index("body")]
    parts: list[Any] = []
    over: list[str] = []
    for _ in range(draw(st.integers(1, 3))):
        word = draw(st.sampled_from(["self", "payload", "span", "name"]))
        if word == "span":
            first, last = sorted(draw(st.lists(st.sampled_from(range(8)), min_size=2, max_size=2)))
            some = order[first : last + 1]
            parts.append(span(*("payload" if name == "body" else name for name in (some[0], some[-1]))))
        else:
            name = draw(st.sampled_from(NAMES))
            some = {"self": before, "payload": ["body"], "name": [name]}[word]
            parts.append(name if word == "name" else word)
        over += some
    for make in (but, zeroed):
        left = draw(st.lists(st.sampled_from(NAMES), max_size=2, unique=True))
        if left and len(set(over) - {"check"}) > 4:
            parts.append(make(*left))
            over = [(name if name not in left else "-" + name) for name in over] if make is zeroed else [
                name for name in over if name not in left]  # fmt: skip
    over = ["-check" if name == "check" else name for name in over]
    rule = summing(draw, size)(*parts)
    if draw(st.booleans()):
        rule = choose(field("a") & 1, rule, 7)
    wide = {1: U8, 2: draw(st.sampled_from([U16, U16le])), 3: draw(st.sampled_from([U24, U24le])), 4: U32le, 8: U64}
    body: dict[str, Any] = {"__annotations__": {}}
    for name in order:
        if name == "body":
            body["__annotations__"][name] = Payload
        elif name == "check":
            body["__annotations__"][name], body[name] = wide[size], auto(rule)
        elif name == flag and 0 < order.index(name) < order.index("body") and order[0] in NAMES:
            body["__annotations__"][name] = kinds[name] | None
            body[name] = when(field(order[0]) & 1, 5)
        else:
            body["__annotations__"][name], body[name] = kinds[name], 1
    return type("Drawn", (Header,), body), over


@settings(max_examples=amount(60, 600), deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.data())
def test_any_checksum_over_any_ranges(data: st.DataObject) -> None:
    with bindings():
        cls, over = data.draw(shapes())
        given_ = {name: data.draw(st.integers(0, 255)) for name in NAMES}
        payload = data.draw(st.binary(max_size=9))
        first = cls._fields[0].name
        maybe = [name for name in NAMES if cls._by_name[name].condition is not None]
        if maybe and not given_[first] & 1:
            del given_[maybe[0]]
        packet = cls(**given_) / payload
        wire = bytes(packet)
        read = dissect(wire, cls)
        rule: Any = cls._by_name["check"].rule
        due = rule.where is None or bool((read[cls].a or 0) & 1)
        assert not read.faults and bytes(read) == wire and read == packet
        assert read.verdict(cls) is (Verdict.GOOD if due else Verdict.NOT_PRESENT)
        # What it goes over, put together from the bytes of the fields.
        spans = {
            one.field.name: wire[one.byte_range[0] : one.byte_range[1]]
            for one in pl.packet.offsets.field_offsets(read).spans
        }
        spans["body"] = payload
        covered = b"".join(bytes(len(spans.get(n[1:], b""))) if n[0] == "-" else spans.get(n, b"") for n in over)
        assert read[cls].check == (rule.algorithm.sum(covered) if due else 7), (over, rule)
        assert "gives 0x" in str(read.why(cls, "check"))
        # Spoilt, it is what the bytes say; compiled and careful readers agree on any bytes.
        for cut in range(0, len(wire) + 1, 3):
            one, other = Dissection(), Dissection()
            assert cls._decode(wire[:cut], 0, cut, one) == walk(cls._declaration, wire[:cut], 0, cut, other)
            assert bytes(dissect(wire[:cut], cls)) == wire[:cut]
        noise = data.draw(st.binary(min_size=len(wire), max_size=len(wire)))
        damaged = dissect(noise, cls)
        assert bytes(damaged) == noise
        # Descriptions, source, and many at once.
        again = declare_from(describe(cls))
        assert dissect(wire, again[0]).encode() == bytes(again[0](**given_) / payload) == wire
        names: dict[str, Any] = dict(globals())
        exec(class_body(describe(cls)), names)
        assert describe(names["Drawn"]) == describe(cls)
        keys: dict[Any, Any] = {f"drawn.{name}": [3, 0, 255, 77] for name in given_ if name != first}
        if data.draw(st.booleans()):
            keys["payload"] = [b"1234", b"\xff\0\xff\0", bytes(4)]
        same(packet.vary(9, keys), vectorised=False)


# Through every output -----------------------------------------------------------------------------------------------


def declared(**options: Any) -> dict[str, Any]:
    class Meter(Header, under=Ether, when={"type": 0x88B5}):
        version: U4 = 1
        flags: U4 = 0
        size: U8 = auto(size_of("note"))
        station: IPv4Address = "10.0.0.1"
        head: U16 = auto(crc("CRC-16/IBM-3740", span("version", "station"), zeroed("size")))
        note: Bytes = sized(field("size"), b"")
        big: U64 = auto(crc("CRC-64/XZ", "self", zeroed("lrc"), but("secret")))
        secret: U32 = 7
        lrc: U8 = auto(sum8("head", "note", "payload", negate=True))
        body: Payload
        tail: U16 = 5
        check: U24le = auto(crc("CRC-24/OPENPGP", "self", "payload", "tail"))
        fold: U16 = auto(iso_fletcher(span("tail", "fold")))

    return {"Meter": Meter}


def test_a_header_with_many_checksums_through_every_output(tmp_path: Path) -> None:
    with bindings():
        meter: Any = declared()["Meter"]
        packets = [
            Ether() / meter(note=b"n" * n, station=f"10.0.0.{n + 1}", secret=n) / bytes(range(n * 3)) for n in range(5)
        ]
        wires = [bytes(packet) for packet in packets]
        read = [dissect(wire) for wire in wires]
        assert all(set(packet.verdicts().values()) == {Verdict.GOOD} and not packet.faults for packet in read)
        order = [f.name for f in meter._declaration.plan.sums]
        assert (
            order.index("head") < order.index("lrc")
            and order.index("big") < order.index("check") == order.index("fold") - 1
        )
        # Whatever changes, exactly the checksums over it follow.
        other = read[3].replace(meter, secret=99)
        changed = [name for name in order if getattr(other[meter], name) != getattr(read[3][meter], name)]
        assert changed == ["check", "fold"] and set(other.verdicts().values()) == {Verdict.GOOD}
        assert "but(secret): 4 bytes left out" in str(read[3].why(meter, "big"))
        assert "span(version, station): 6 bytes" in str(read[3].why(meter, "head"))
        captured = Capture.of(read)
        assert captured.table("meter.check")["meter.check"].tolist() == [packet[meter].check for packet in read]
        assert captured.where(f"meter.check == {read[2][meter].check}").count() >= 1
        same(read[3].vary(40, {"meter.station": pl.seeded(3), "meter.secret": range(40), "meter.tail": [1, 65535]}))
        same(read[3].vary(40, {"payload": [bytes(9), b"123456789", b"\xff" * 9], "meter.note": [b"abc", b"\0\0\0"]}))
        for case in [case for packet in read for case in malformed(packet)]:
            assert not case.disagreements(), case
        for made in (scapy_class(meter), dpkt_class(meter)):
            assert bytes(made(wires[2][14:])) == wires[2][14:]
            there = made(wires[2][14:])
            there.tail = 6
            assert bytes(there)[-7:-5] == b"\0\6"
        assert "CRC-24/OPENPGP(self, payload, tail)" in pl.diagram(meter).markdown()


def test_rewriting_mends_checksums_of_every_kind(tmp_path: Path) -> None:
    with bindings():
        meter: Any = declared()["Meter"]
        good = [Ether() / meter(note=b"n" * n, station=f"10.0.0.{n + 1}") / bytes(range(n * 3)) for n in range(5)]
        packets = [*good, Ether() / meter(big=1, check=2)]
        new = Capture.of([dissect(bytes(packet)) for packet in packets]).rewrite(ip={"10.0.0.0/24": "192.168.7.0/24"})
        found = [frame.packet() for frame in new]
        assert [str(packet[meter].station) for packet in found] == [f"192.168.7.{n + 1}" for n in range(5)] + [
            "192.168.7.1"
        ]
        for packet in found[:5]:
            assert set(packet.verdicts().values()) == {Verdict.GOOD}, packet.show()
        assert (found[5][meter].big, found[5][meter].check) == (1, 2)  # wrong before, and left so
        assert found[5].verdicts()["Meter.head"] is Verdict.GOOD


@pytest.mark.skipif(shutil.which("tshark") is None, reason="needs tshark")
def test_wireshark_says_the_same_of_every_checksum(tmp_path: Path) -> None:
    kinds: dict[str, Any] = {
        "a": (U8, auto(xor8("payload"))), "b": (U16, auto(sum16("payload", little=True, invert=True))),
        "c": (U32, auto(sum32("payload", unit=8, negate=True))), "d": (U32, auto(adler32("payload"))),
        "e": (U16, auto(fletcher(16, "payload"))), "f": (U32, auto(fletcher(32, "payload", little=True))),
        "g": (U64, auto(fletcher(64, "payload"))), "h": (U16, auto(iso_fletcher(span("g", "payload"), zeroed("g")))),
        "i": (U8, auto(sum8("payload", invert=True, carry=True))), "j": (U16, auto(sum16("payload", unit=8, carry=True))),
        "k": (U16, auto(fletcher(16, "payload", modulus=256))), "l": (U32, auto(fletcher(32, "payload", little=True, modulus=1 << 16))),
        "m": (U64, auto(fletcher(64, "payload", modulus=1 << 32))), "n": (U32, auto(sum32("payload", carry=True))),
    }  # fmt: skip
    kinds |= {
        f"n{number}": (
            {1: U8, 2: U16, 3: U24, 4: U32}.get(-(-int(name[4:].partition("/")[0]) // 8), U64),
            auto(crc(name, "payload")),
        )
        for number, name in enumerate(CRCS)
        if int(name[4:].partition("/")[0]) <= 64  # larger ones it refuses
    }
    with bindings():
        meter: Any = declared()["Meter"]
        many: Any = type(
            "Manifold", (Header,), {"__module__": __name__, "__annotations__": {name: kind for name, (kind, _) in kinds.items()} | {"body": Payload},
                                **{name: rule for name, (_, rule) in kinds.items()}}, under=Ether, when={"type": 0x88B6},
        )  # fmt: skip
        packets = [Ether() / meter(note=b"n" * n, secret=n) / bytes(range(n * 3)) for n in range(3)]
        packets += [Ether() / many() / (b"123456789" * n) for n in (1, 7)]
        wires = [bytes(packet) for packet in packets]
        for wire in list(wires):
            wires.append(wire[:-6] + bytes([wire[-6] ^ 0x41]) + wire[-5:])
        (tmp_path / "made.lua").write_text(str(pl.wireshark(meter, many)), encoding="ascii")
        names = [f"meter.{f.name}" for f in meter._declaration.plan.sums] + [f"manifold.{name}" for name in kinds]
        fields = [option for name in names for option in ("-e", f"{name}.status")]
        seen = tshark_of(tmp_path, wires, 1, "-X", f"lua_script:{tmp_path / 'made.lua'}", *fields)
        for wire, row in zip(wires, seen, strict=True):
            verdicts = {key.lower(): str(int(value)) for key, value in dissect(wire).verdicts().items()}
            assert {name: value for name, value in zip(names, row, strict=True) if value} == verdicts


# Refused ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "complaint"),
    [
        (crc("CRC-32", "self"), r"Made\.check: expected an unsigned field of 32 bits or more, in bytes, got 16 bits"),
        (sum8("sezf"), r"Made\.check: expected a field of Made, got sezf"),
        (sum8(span("a", "zz")), r"Made\.check: expected a field of Made, got zz"),
        (sum8("body"), r"Made\.check: expected the payload as \"payload\", got 'body'"),
        (sum8(span("a", "body")), r"Made\.check: expected the payload as \"payload\", got 'body'"),
        (sum8(span("d", "a")), r"Made\.check: expected the field that comes first, then the last one, got span\(d, a\)"),
        (sum8(span("n", "a")), r"Made\.check: expected a checksum over whole bytes, got one with a border at bit 4"),
        (sum8("self", but("n")), r"Made\.check: expected a checksum over whole bytes"),
        (sum8("a", but("a")), r"Made\.check: expected bytes that the checksum goes over, got .*leaves nothing"),
        (sum8(but("a")), r"Made\.check: expected \"self\", \"payload\", a span or a field"),
        (sum8("self", but()), r"Made\.check: expected names of fields in but\(...\), got none"),
        (sum8("self", but("payload")), r"Made\.check: expected fields in but\(...\)"),
        (iso_fletcher("payload"), r"Made\.check: expected check bytes among what they go over"),
        (crc("CRC-16/ARC", "pseudo", "self"), r'"pseudo" is for internet checksums'),
        (sum8("a", "plain"), r"Made\.check: expected fields that take bytes, got plain, which is computed and takes none .*the kind of a number"),
        (sum8(span("a", "more")), r"Made\.check: expected fields that take bytes, got more"),
        (sum8("self", but("more")), r"Made\.check: expected fields that take bytes, got more"),
        (crc("CRC-16/ARC", "self", zeroed("other")), None),
        (crc("CRC-16/ARC", "self"), r"Made\.other: .*none covers one that covers it, got check -> other -> check .*zeroed"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_at_the_class(rule: Any, complaint: str | None) -> None:
    def make() -> None:
        class Made(Header):
            m: U4 = 0
            n: U4 = 0
            a: U16 = 1
            d: U16 = 2
            more: U8 = computed(field("a") & 255)
            plain: int = computed(field("a") & 255)
            check: U16 = auto(rule)
            other: U16 = auto(sum16(span("a", "check")))
            body: Payload

    with bindings():
        if complaint is None:
            make()
        else:
            with pytest.raises(DeclareError, match=complaint):
                make()


def test_parts_are_names() -> None:
    for make in (lambda: span("a", 5), lambda: but(5), lambda: zeroed(None), lambda: sum8(5)):  # type: ignore[arg-type]
        with pytest.raises(DeclareError, match="expected .*name"):
            make()


@pytest.mark.parametrize(
    "data",
    [
        "CRC-99", "modbus", 5, None, [], ["crc"], ["crc", 16, 3], ["crc", 65, 3, 0, True, True, 0], ["crc", 16, 3, 0, 1, True, 0],
        ["crc", 16, 1 << 70, 0, True, True, 0], ["crc", 16, -3, 0, True, True, 0], ["sum", 8, 8, False, 3], ["sum", 12, 8, False, 0],
        ["sum", 8, True, False, 0], ["fletcher", 8, True], ["fletcher", 16, 1], ["fletcher", 16, True, 1], ["sum", 8, 8, False, 0, 1], ["fletcher", 16, True, True, True], ["iso"], {"crc": 1}, ["crc", "16", 3, 0, True, True, 0],
    ],
)  # fmt: skip
def test_algorithms_in_files_are_bounded(data: Any) -> None:
    described: Any = describe(RTU)
    rule = next(f["rule"] for f in described["fields"] if f["name"] == "crc")
    rule[1] = data
    with pytest.raises(DeclareError):
        declare_from(described)


@pytest.mark.parametrize(
    "part", [["span", "a"], ["but"], ["eval", "a"], [], 5, ["but", 5], ["span", "a", "b", "c"], "a b"]
)
def test_parts_in_files_are_bounded(part: Any) -> None:
    described: Any = describe(RTU)
    next(f["rule"] for f in described["fields"] if f["name"] == "crc")[2] = [part]
    with pytest.raises(DeclareError):
        declare_from(described)


def test_checksums_in_items_and_over_values_of_any_size() -> None:
    class Summed(Header):
        age: U16 = 1
        checksum: U16 = auto(iso_fletcher("self", but("age")))
        length: U8 = auto(size_of("self"))
        data: Bytes = b""

    class SummedList(Header):
        count: U8 = auto(count_of("pieces"))
        check: U32 = auto(crc("CRC-32/MPEG-2", "self", but("count")))
        size: VarInt = auto(size_of("note"))
        note: Bytes = sized(field("size"), b"")
        over: U16 = auto(crc("X-25", span("size", "note")))
        pieces: tuple[Summed, ...] = many()

    made = SummedList(note=b"n" * 200, pieces=[Summed(data=b"abc"), Summed(age=5, data=b"abc"), Summed(checksum=7)])
    read = dissect(bytes(made), SummedList)
    first, second, third = read[SummedList].pieces
    assert not read.faults and first.checksum == second.checksum != third.checksum == 7
    wrong = read.verdicts().pop("SummedList.pieces[2].checksum")
    assert wrong is Verdict.BAD and [*read.verdicts().values()].count(Verdict.GOOD) == len(read.verdicts()) - 1 == 4
    fewer = read.replace(SummedList, pieces=read[SummedList].pieces[:1], note=b"")
    assert set(fewer.verdicts().values()) == {Verdict.GOOD} and fewer[SummedList].check != read[SummedList].check


def test_a_checksum_may_be_there_or_not() -> None:
    class Kept(Header):
        flags: U8 = 1
        check: U32 | None = when(field("flags") & 1, auto(crc("CRC-32C", span("flags", "body"), "payload")))
        body: U16 = 7

    for flags in (0, 1):
        packet = dissect(bytes(Kept(flags=flags) / b"xyz"), Kept)
        assert packet.verdict(Kept) is (Verdict.GOOD if flags else Verdict.NOT_PRESENT)
        assert len(bytes(packet)) == 3 + 4 * flags + 3
    assert choose(1, 2, 3) is not None
