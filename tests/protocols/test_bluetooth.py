"""Bluetooth (Core 5.4): HCI ACL with its 12 + 2 + 2 bits from the lowest on, L2CAP, attributes, signals of the link."""

from __future__ import annotations

from packetlab import (
    U2,
    U8,
    U12,
    Bytes,
    Header,
    Rest,
    U16le,
    auto,
    count_of,
    dissect,
    field,
    link_type,
    many,
    size_of,
)
from tests.protocols.oracle import Ask, alike, cut, sound, spoilt
from tests.protocols.reading import of
from tests.protocols.scope import Scope

H4 = 187  # the link type of captures

with (scope := Scope()):

    class HCI(Header):
        type: U8 = 2

    class ACL(Header, under=HCI, when={"type": 2}, bit_order="low"):
        """Volume 4, part E, 5.4.2."""

        handle: U12 = 0
        boundary: U2 = 2
        broadcast: U2 = 0
        length: U16le = auto(size_of("payload"))

    class L2CAP(Header, under=ACL, when=field("boundary") != 1, bit_order="low"):  # 1 is the middle of one
        length: U16le = auto(size_of("payload"))
        channel: U16le = 4

    class ATT(Header, under=L2CAP, when={"channel": 4}):
        opcode: U8 = 2

    class ExchangeMTU(ATT, when={"opcode": (2, 3)}):
        mtu: U16le = 23

    class ReadByType(ATT, when={"opcode": 8}):
        first: U16le = 1
        last: U16le = 0xFFFF
        kind: U16le = 0x2803

    class Handled(ATT, when={"opcode": (10, 18, 27, 82)}):
        """A read request has a handle alone, a write request, command and a notification a value too."""

        handle: U16le = 1
        value: Rest = b""

    class Signal(Header, under=L2CAP, when={"channel": (1, 5)}):
        code: U8 = 1
        identifier: U8 = 1
        length: U16le = auto(size_of("data"))
        data: Bytes = b""

    class Connect(Signal, inside="data", when={"code": 2}):
        service: U16le = 1
        source: U16le = 0x40

    class Event(Header, under=HCI, when={"type": 4}):
        code: U8 = 0
        length: U8 = auto(size_of("data"))
        data: Bytes = b""

    class Handles(Header):
        handle: U16le
        count: U16le = 1

    class Completed(Event, inside="data", when={"code": 0x13}):
        number: U8 = auto(count_of("handles"))
        handles: tuple[Handles, ...] = many()

    link_type(H4, HCI)

READINGS = {
    "hci_h4.type": of(HCI, lambda h: h.type),
    "bthci_acl.chandle": of(ACL, lambda h: h.handle),
    "bthci_acl.pb_flag": of(ACL, lambda h: h.boundary),
    "bthci_acl.bc_flag": of(ACL, lambda h: h.broadcast),
    "bthci_acl.length": of(ACL, lambda h: h.length),
    "btl2cap.length": of(L2CAP, lambda h: h.length),
    "btl2cap.cid": of(L2CAP, lambda h: h.channel),
    "btatt.opcode": of(ATT, lambda h: h.opcode),
    "btatt.starting_handle": of(ReadByType, lambda h: h.first),
    "btatt.uuid16": of(ReadByType, lambda h: h.kind),
    "btatt.handle": of(Handled, lambda h: h.handle),
    "btatt.value": of(Handled, lambda h: h.value or None),
    "btl2cap.cmd_code": of(Signal, lambda h: h.code),
    "btl2cap.psm": of(Connect, lambda h: h.service),
    "btl2cap.scid": of(Connect, lambda h: h.source),
    "bthci_evt.code": of(Event, lambda h: h.code),
    "bthci_evt.num_handles": of(Completed, lambda h: h.number),
    "bthci_evt.connection_handle": of(Completed, lambda h: [one.handle for one in h.handles]),
}
LOW = HCI() / ACL(handle=0xABC)
MADE = [
    LOW / L2CAP() / ExchangeMTU(mtu=247),
    HCI() / ACL(handle=1, boundary=0, broadcast=0) / L2CAP() / ReadByType(),
    LOW / L2CAP() / Handled(opcode=18, handle=3, value=b"\x01\x00"),
    LOW / L2CAP() / Handled(opcode=27, handle=0x1234, value=b"hello"),
    LOW / L2CAP(channel=1) / Connect(identifier=9, service=0x19),
    HCI() / Completed(handles=(Handles(handle=0xABC), Handles(handle=1, count=3))),
]


def test_tshark_reads_what_we_build(tshark: Ask) -> None:
    sound(alike(tshark, MADE, READINGS, linktype=H4), HCI)


def test_twelve_bits_and_two_and_two_stand_from_the_lowest_on() -> None:
    assert bytes(ACL(handle=0x123, boundary=2, broadcast=1) / b"")[:2] == (0x123 | 2 << 12 | 1 << 14).to_bytes(
        2, "little"
    )
    assert dissect(b"\x23\x61\0\0", ACL)[ACL].handle == 0x123


def test_a_fragment_that_goes_on_is_no_new_packet(tshark: Ask) -> None:
    first, more = (bytes(HCI() / ACL(boundary=boundary) / bytes.fromhex("0400040008010000")) for boundary in (2, 1))
    found = alike(tshark, [first, more], {name: READINGS[name] for name in ("bthci_acl.pb_flag", "btl2cap.cid", "btatt.opcode")}, linktype=H4)
    assert [L2CAP in packet for packet in found] == [True, False]
    assert not found[1].faults and found[1].payload == more[5:]


def test_what_is_cut_or_spoilt_is_a_fault() -> None:
    read = [dissect(bytes(one), HCI) for one in MADE]
    assert {"ACL.length", "L2CAP.length"} & cut(read, HCI)
    spoilt(read, HCI)
