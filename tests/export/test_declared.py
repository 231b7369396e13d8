"""A declared header as a scapy class and as a dpkt class: the same bytes from the same values, the same values from bytes."""

from __future__ import annotations

import dpkt
import pytest
from hypothesis import given, settings, strategies as st

from packetlab import BuildError, Header, IPv4, IPv6, dissect
from packetlab.declare.items import Items
from packetlab.declare.kinds import Int
from packetlab.export import dpkt_class, scapy_class
from packetlab.export.bridges.dpkt_declared import names_of as dpkt_names
from packetlab.export.bridges.scapy_declared import names_of as scapy_names
from packetlab.packet.packet import Header as AnyHeader
from tests.conftest import amount
from tests.export.declared import ALL, MINE, Buoy, Chosen, Everything, Label, Trailing, bytes_of, header, stacked

FEW = settings(max_examples=amount(6, 200))


def names(cls: type[Header]) -> dict[str, tuple[str, str]]:
    """Our name -> (scapy's, dpkt's)."""
    theirs = {f.name: name for name, f in scapy_names(cls).items()}
    others = {f.name: name for name, f in dpkt_names(cls).items()}
    return {name: (theirs[name], others[name]) for name in theirs}


def plain(value: object) -> object:
    """A value of either library as numbers, bytes and lists of bytes."""
    if isinstance(value, list):
        return [bytes(one) for one in value]
    return int(value) if hasattr(value, "__int__") else value


def ours(read: AnyHeader, name: str) -> object:
    f = read._by_name[name]
    raw = getattr(read, f.slot)
    if isinstance(f.kind, Items) and raw is not None:
        return [bytes(one) for one in read._items_of(f)]
    return raw


@pytest.mark.slow
@pytest.mark.parametrize("cls", ALL, ids=lambda c: c.__name__)
@FEW
@given(st.data())
def test_the_same_values_build_the_same_bytes(cls: type[Header], data: st.DataObject) -> None:
    given = data.draw(header(cls, scapy_class, dpkt_class, names))
    payload = data.draw(st.binary(max_size=20))
    try:
        expected = bytes(cls(**given.ours) / payload)
    except BuildError:
        with pytest.raises(BuildError):
            bytes(scapy_class(cls)(**given.scapy) / payload)
        with pytest.raises(BuildError):
            bytes(dpkt_class(cls)(**given.dpkt, data=payload))
        return
    assert bytes(scapy_class(cls)(**given.scapy) / payload) == expected
    assert bytes(dpkt_class(cls)(**given.dpkt, data=payload)) == expected


@pytest.mark.slow
@pytest.mark.parametrize("cls", ALL, ids=lambda c: c.__name__)
@FEW
@given(st.data())
def test_the_same_bytes_give_the_same_values_and_come_back(cls: type[Header], data: st.DataObject) -> None:
    raw = data.draw(bytes_of(cls))
    read = dissect(raw, cls).layers[0]
    if type(read) is not cls:  # PPP whose first byte is odd is read as ShortPPP (RFC 1661 section 6.5)
        return
    theirs = scapy_class(cls)(raw)
    assert bytes(theirs) == raw and bytes(theirs.copy()) == raw
    for name, f in scapy_names(cls).items():
        value = theirs.fields.get(name)
        expected = ours(read, f.name)
        if type(f.kind).__name__ == "Address" and expected is not None:
            expected = f.kind.text(expected)
        assert plain(value) == expected, name
    try:
        other = dpkt_class(cls)(raw)
    except dpkt.NeedData:
        assert read._state >> 2 * len(cls._fields)  # ours is cut as well
        return
    assert bytes(other) == raw
    for name, f in dpkt_names(cls).items():
        assert plain(getattr(other, name)) == ours(read, f.name), name


@pytest.mark.slow
@pytest.mark.parametrize(
    "cls", [c for c in ALL if c._fields and all(f.kind.bits and f.condition is None for f in c._fields)],
    ids=lambda c: c.__name__,
)  # fmt: skip
@FEW
@given(st.data())
def test_scapys_own_reading_by_fields_desc_gives_the_same_values(cls: type[Header], data: st.DataObject) -> None:
    from scapy.packet import Packet

    size = sum(f.kind.bits for f in cls._fields) // 8
    raw = data.draw(st.binary(min_size=size, max_size=size))
    by_ours, by_scapy = scapy_class(cls)(raw), scapy_class(cls)()
    assert Packet.do_dissect(by_scapy, raw) == b""
    assert by_scapy.fields == by_ours.fields
    packed = b""
    for f in by_scapy.fields_desc:
        packed = f.addfield(by_scapy, packed, by_scapy.fields[f.name])
    assert packed == raw


@pytest.mark.slow
@pytest.mark.parametrize(("lower", "upper"), stacked(), ids=lambda c: c.__name__)
def test_what_stands_above_is_named_and_found(lower: type[Header], upper: type[Header]) -> None:
    values = {"station": 1} if Buoy in (lower, upper) else {}
    mine = {c: c(**(values if c is Buoy else {})) for c in (lower, upper)}
    body = b"" if upper._declaration.endless else b"1234"
    expected = bytes(mine[lower] / mine[upper] / body)
    theirs = scapy_class(lower)() / scapy_class(upper)() / body
    if Buoy in (lower, upper):
        theirs[scapy_class(Buoy)].station = 1
    assert bytes(theirs) == expected
    again = scapy_class(lower)(expected)
    assert bytes(again) == expected
    above = dissect(expected, lower).layers[1:2]
    assert getattr(type(again.payload), "declared_header", None) in (*map(type, above), None)
    top = dpkt_class(upper)(**({"station": 1} if upper is Buoy else {}), data=body)
    bottom = dpkt_class(lower)(**({"station": 1} if lower is Buoy else {}), data=top)
    assert bytes(bottom) == expected


def test_a_condition_on_the_payload_finds_the_next_class() -> None:
    raw = bytes(Buoy(station=1) / Chosen(body=b"xyz"))
    assert scapy_class(Buoy)(raw)[scapy_class(Chosen)].body == b"xyz"
    read = scapy_class(Chosen)(bytes(Chosen(body=b"xyz")) + b"more")
    assert read.body == b"xyz" and read.payload.load == b"more"


def test_fields_desc_is_made_of_scapys_own_fields() -> None:
    from scapy import fields

    kinds = {
        f.name: type(f.fld if isinstance(f, fields.ConditionalField) else f)
        for f in scapy_class(Everything).fields_desc
    }
    assert kinds["time_"] is fields.BitField and kinds["signed"] is fields.SignedShortField
    assert kinds["little"] is fields.LEShortField and kinds["colour"] is fields.ByteEnumField
    assert kinds["marks"] is fields.FlagsField and kinds["some"] is fields.BitEnumField
    assert kinds["mac"] is fields.MACField and kinds["v4"] is fields.IPField and kinds["v6"] is fields.IP6Field
    assert kinds["data"] is fields.StrFixedLenField and kinds["tags"] is fields.PacketListField
    assert any(isinstance(f, fields.ConditionalField) for f in scapy_class(Everything).fields_desc)


def test_show_names_enums_flags_and_absent_fields() -> None:
    made = scapy_class(Everything)(key=7, marks="FIRST+LAST", colour=2, tags=[scapy_class(Label)(value=b"v")])
    shown = made.show(dump=True)
    assert "BLUE" in shown and "FIRST+LAST" in shown and "key " in shown and " crc " not in shown
    assert "###[ Label ]###" in made.show2(dump=True)
    read = scapy_class(Everything)(bytes(made))
    assert read.key == 7 and read.crc is None and read.count == 1 and read.tags[0].value == b"v"


def test_scapys_habits_hold() -> None:
    from scapy.layers.l2 import Ether as ScapyEther
    from scapy.packet import fuzz

    theirs = scapy_class(Buoy)
    packet = ScapyEther(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / theirs(station=7, note=b"hello")
    assert packet.type == 0xB0B0
    read = ScapyEther(bytes(packet))
    assert theirs in read and read[theirs].station == 7 and read.haslayer("Buoy")
    read[theirs].note = b"hello again"
    assert bytes(read)[15:17] == b"\x00\x0c"  # captured lengths stay, as everywhere in scapy ...
    del read[theirs].length
    assert bytes(read)[15:17] == b"\x00\x12"  # ... until they are deleted
    assert [p.station for p in theirs(station=[1, 2, 3])] == [1, 2, 3]
    assert {bytes(fuzz(theirs()))[3:7] for _ in range(20)} != {bytes(4)}
    with pytest.raises(AttributeError):
        theirs(statoin=7)


def test_a_checksum_covers_the_addresses_of_scapys_own_layers_below() -> None:
    from scapy.layers.inet import IP
    from scapy.layers.inet6 import IPv6 as ScapyIPv6

    expected = bytes(IPv4(src="10.0.0.1", dst="10.0.0.2", id=1) / Trailing() / b"abc")
    assert bytes(IP(src="10.0.0.1", dst="10.0.0.2") / scapy_class(Trailing)() / b"abc") == expected
    assert IP(expected)[scapy_class(Trailing)].payload.load == b"abc"
    six = bytes(ScapyIPv6(src="fe80::1", dst="fe80::2", nh=250) / scapy_class(Trailing)() / b"abc")
    assert dissect(six, IPv6).verdict(Trailing).name == "GOOD"


def test_a_class_declared_again_takes_the_place_of_its_namesake() -> None:
    from scapy.layers.l2 import Ether as ScapyEther

    from packetlab import U8, Ether, bindings

    with bindings():
        for width in (1, 2):
            body = {
                "__annotations__": {f"f{n}": U8 for n in range(width)},
                "__module__": __name__,
                "__qualname__": "Again",
            }
            again = type(Header)("Again", (Header,), body, under=Ether, when={"type": 0xB0B2})
            theirs = scapy_class(again)
            assert theirs is scapy_class(again)
            assert bytes(ScapyEther(bytes(12) + b"\xb0\xb2" + bytes(width)))[14:] == bytes(width)
            assert type(ScapyEther(bytes(12) + b"\xb0\xb2" + bytes(width)).payload) is theirs


def test_dpkt_says_what_it_can_of_the_header_itself() -> None:
    theirs = dpkt_class(Buoy)
    assert theirs.__hdr__ == (("_version_urgency", "B", 0x10), ("length", "H", 0), ("station", "I", 0))
    made = theirs(station=7, note=b"hi")
    made.urgency = 3
    assert bytes(made) == bytes(Buoy(station=7, note=b"hi", urgency=3)) and len(made) == 9
    assert made.pack_hdr() == bytes(made)
    made.length = 4
    assert bytes(made)[1:3] == b"\x00\x04"
    del made.length
    assert bytes(made)[1:3] == b"\x00\x09"
    with pytest.raises(AttributeError, match="statoin"):
        theirs(statoin=1)
    with pytest.raises(dpkt.NeedData):
        theirs(b"\x10\x00")
    assert dpkt.ethernet.Ethernet(bytes(12) + b"\xb0\xb0" + bytes(made)).data.station == 7


def test_mine_are_all_tried() -> None:
    kinds = {type(f.kind) for c in MINE for f in c._fields}
    assert {Int, Items} < kinds and any(f.kind.bits is None for c in MINE for f in c._fields)
