"""NTLM ([MS-NLMP]): values that lie where offsets say, in an order that each sender chooses.

The messages are those of three captures: `sasl-ntlm.pcap` and `dce_rpc_ntlm.pcapng` of Zeek's tests (BSD-3-Clause), and
`smb-smb1-ascii.pcap` of Arkime's (Apache-2.0).
"""

from __future__ import annotations

import random
from base64 import b64encode
from typing import Annotated, Any

import pytest

from packetlab import (
    TCP,
    Bytes,
    Ether,
    Header,
    IPv4,
    Packet,
    U16le,
    U32le,
    at,
    auto,
    const,
    dissect,
    field,
    fixed_bytes,
    many,
    offset_of,
    size_of,
    sized,
    text,
)
from packetlab.codec.faults import Dissection
from packetlab.codec.lenient import walk
from packetlab.packet.offsets import field_offsets
from tests.protocols.oracle import Ask, alike

UTF16 = Annotated[str, text("utf-16-le")]
Signature = Annotated[bytes, fixed_bytes(8)]


class NTLMNegotiate(Header):
    """NEGOTIATE_MESSAGE, section 2.2.1.1, with a version."""

    signature: Signature = const(b"NTLMSSP\0")
    type: U32le = const(1)
    flags: U32le = 0xE2888215
    domain_size: U16le = auto(size_of("domain"))
    domain_room: U16le = auto(size_of("domain"))
    domain_offset: U32le = auto(offset_of("domain"))
    host_size: U16le = auto(size_of("host"))
    host_room: U16le = auto(size_of("host"))
    host_offset: U32le = auto(offset_of("host"))
    domain: Annotated[str, text("latin-1")] = at(field("domain_offset"), sized(field("domain_size"), ""))
    host: Annotated[str, text("latin-1")] = at(field("host_offset"), sized(field("host_size"), ""))


class AVPair(Header):
    """AV_PAIR, section 2.2.2.1."""

    id: U16le = 0
    size: U16le = auto(size_of("value"))
    value: Bytes = b""


class NTLMChallenge(Header):
    """CHALLENGE_MESSAGE, section 2.2.1.2."""

    signature: Signature = const(b"NTLMSSP\0")
    type: U32le = const(2)
    name_size: U16le = auto(size_of("name"))
    name_room: U16le = auto(size_of("name"))
    name_offset: U32le = auto(offset_of("name"))
    flags: U32le = 0xE2898215
    challenge: Signature = bytes(8)
    reserved: Signature = bytes(8)
    info_size: U16le = auto(size_of("info"))
    info_room: U16le = auto(size_of("info"))
    info_offset: U32le = auto(offset_of("info"))
    version: Signature = bytes.fromhex("0a00ba470000000f")
    name: UTF16 = at(field("name_offset"), sized(field("name_size"), ""))
    info: tuple[AVPair, ...] = at(field("info_offset"), many(size=field("info_size")))


class NTLMAuthenticate(Header):
    """AUTHENTICATE_MESSAGE, section 2.2.1.3; version and MIC are bytes before the first value, or are not there."""

    signature: Signature = const(b"NTLMSSP\0")
    type: U32le = const(3)
    lm_size: U16le = auto(size_of("lm"))
    lm_room: U16le = auto(size_of("lm"))
    lm_offset: U32le = auto(offset_of("lm"))
    nt_size: U16le = auto(size_of("nt"))
    nt_room: U16le = auto(size_of("nt"))
    nt_offset: U32le = auto(offset_of("nt"))
    domain_size: U16le = auto(size_of("domain"))
    domain_room: U16le = auto(size_of("domain"))
    domain_offset: U32le = auto(offset_of("domain"))
    user_size: U16le = auto(size_of("user"))
    user_room: U16le = auto(size_of("user"))
    user_offset: U32le = auto(offset_of("user"))
    host_size: U16le = auto(size_of("host"))
    host_room: U16le = auto(size_of("host"))
    host_offset: U32le = auto(offset_of("host"))
    key_size: U16le = auto(size_of("key"))
    key_room: U16le = auto(size_of("key"))
    key_offset: U32le = auto(offset_of("key"))
    flags: U32le = 0xE2888215
    domain: UTF16 = at(field("domain_offset"), sized(field("domain_size"), ""))
    user: UTF16 = at(field("user_offset"), sized(field("user_size"), ""))
    host: UTF16 = at(field("host_offset"), sized(field("host_size"), ""))
    lm: Bytes = at(field("lm_offset"), sized(field("lm_size"), b""))
    nt: Bytes = at(field("nt_offset"), sized(field("nt_size"), b""))
    key: Bytes = at(field("key_offset"), sized(field("key_size"), b""))


NEGOTIATES = [
    "4e544c4d53535000010000000702000000000000200000000000000020000000",
    "4e544c4d535350000100000097b218e20b000b003100000009000900280000000a00ba470000000f434254482d57532d31424c41434b434c4f564552",
    "4e544c4d53535000010000001582" "88e2030003002000000010001000230000004c4142544845484f53544e414d454845524558",
]  # fmt: skip
CHALLENGE = (
    "4e544c4d53535000020000000600060038000000158289e200000000fbe2342200000000000000007e007e003e0000000601b11d0000000f4c00410042000200"
    "06004c00410042000100060044004300330004001a006c00610062002e0064006f006d00610069006e002e0065007800030022006400630033002e006c006100"
    "62002e0064006f006d00610069006e002e00650078000500120064006f006d00610069006e002e006500780007000800" "46fe95d1ad7dd00100000000"
)  # fmt: skip
# The order of the first is domain, user; of the second response to a challenge first, then domain, user, host, key.
AUTHENTICATES = [
    "4e544c4d5353500003000000000000004000000018001800400000001200120058000000280028006a0000000000000092000000000000009200000005020000"
    "b307b4721e6428222aeb80adc9b17a010848da0d601fdcd74c004f00430041004c0048004f00530054007300610073006c00610064006d0069006e0040007300"
    "6c006100700064002e006c00640061007000",
    "4e544c4d53535000030000001800180040000000b800b8005800000006000600100100001a001a001601000020002000300100001000100050010000158288e2"
    "00000000000508a0d5a6f2807ffcae10ff0cf8104930ac3d6ac098f60046204b42aa9909954e3595010100000000000046fe95d1ad7dd001ff0cf8104930ac3d"
    "00000000020006004c00410042000100060044004300330004001a006c00610062002e0064006f006d00610069006e002e006500780003002200640063003300"
    "2e006c00610062002e0064006f006d00610069006e002e00650078000700080046fe95d1ad7dd00109001c0063006900660073002f00310030002e0031003000"
    "2e0030002e00320000000000000000004c0041004200410064006d0069006e006900730074007200610074006f00720054004800450048004f00530054004e00"
    "41004d004500480045005200450058006fe32a38babeae5a47c1bab03afc7bd7",
]
MESSAGES: list[tuple[type[Header], str]] = [
    *((NTLMNegotiate, one) for one in NEGOTIATES),
    (NTLMChallenge, CHALLENGE),
    *((NTLMAuthenticate, one) for one in AUTHENTICATES),
]


def over_http(data: bytes, port: int) -> Packet:
    """Return a message as HTTP carries it (RFC 4559), which Wireshark looks into."""
    answer = b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: NTLM %s\r\nContent-Length: 0\r\n\r\n"
    ask = b"GET / HTTP/1.1\r\nHost: a\r\nAuthorization: NTLM %s\r\n\r\n"
    ports = {"sport": 80, "dport": port} if data[8] == 2 else {"sport": port, "dport": 80}
    carrier = Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2") / TCP(**ports, flags="PSH|ACK", seq=1, ack=1)  # type: ignore[arg-type]
    return carrier / ((answer if data[8] == 2 else ask) % b64encode(data))


def said(name: str) -> Any:
    def read(packet: Packet) -> object:
        return getattr(MADE[bytes(packet.payload)], name, None)

    return read


MADE: dict[bytes, Any] = {}


def check(tshark: Ask, messages: list[bytes], header: type[Header], fields: dict[str, str]) -> None:
    packets = [over_http(data, 40000 + number) for number, data in enumerate(messages)]
    MADE.update(
        {bytes(one.payload): dissect(data, header)[header] for one, data in zip(packets, messages, strict=True)}
    )
    alike(tshark, packets, {name: said(own) for name, own in fields.items()})


@pytest.mark.parametrize(
    ("header", "message"), MESSAGES, ids=lambda one: one[-8:] if isinstance(one, str) else one.__name__
)
def test_messages_of_captures_are_read_whole_and_built_back(header: type[Header], message: str) -> None:
    data = bytes.fromhex(message)
    packet = dissect(data, header)
    assert packet.faults == () and packet.payload == b"" and bytes(packet) == data
    assert bytes(packet.replace(header)) == data and bytes(packet.replace(header, flags=1))[64:] == data[64:]
    for span in field_offsets(packet).spans:
        value = getattr(packet[header], span.field.name)
        if isinstance(value, bytes):
            assert data[slice(*span.byte_range)] == value
    again = packet.replace(header, **{f.name: auto for f in header._fields if f.name.endswith(("_offset", "_gap"))})
    assert dissect(bytes(again), header).faults == ()


def test_who_signs_on() -> None:
    first, second = (dissect(bytes.fromhex(one), NTLMAuthenticate)[NTLMAuthenticate] for one in AUTHENTICATES)
    assert (first.domain, first.user, first.host) == ("LOCALHOST", "sasladmin@slapd.ldap", "")
    assert (second.domain, second.user, second.host) == ("LAB", "Administrator", "THEHOSTNAMEHEREX")
    assert (second.lm_offset, second.domain_offset, len(second.nt)) == (64, 272, 184)
    workstation = dissect(bytes.fromhex(NEGOTIATES[1]), NTLMNegotiate)[NTLMNegotiate]
    assert (workstation.domain, workstation.host) == ("BLACKCLOVER", "CBTH-WS-1")  # the later one first
    info = dissect(bytes.fromhex(CHALLENGE), NTLMChallenge)[NTLMChallenge].info
    assert [one.id for one in info] == [2, 1, 4, 3, 5, 7, 0]


def test_values_of_other_sizes_keep_the_order() -> None:
    packet = dissect(bytes.fromhex(AUTHENTICATES[1]), NTLMAuthenticate)
    shorter = packet.replace(NTLMAuthenticate, user="Bob")
    again = dissect(bytes(shorter), NTLMAuthenticate)
    assert again.faults == () and (again[NTLMAuthenticate].user, again[NTLMAuthenticate].host) == (
        "Bob",
        "THEHOSTNAMEHEREX",
    )
    anew = {f.name: auto for f in NTLMAuthenticate._fields if f.name.endswith("_offset")}
    longer = dissect(bytes(packet.replace(NTLMAuthenticate, user="Bob" * 20, **anew)), NTLMAuthenticate)
    assert (
        longer.faults == ()
        and longer[NTLMAuthenticate].user == "Bob" * 20
        and longer[NTLMAuthenticate].domain_offset == 64
    )


def test_spoilt_messages_come_back_and_both_readers_agree() -> None:
    draw = random.Random(3)
    for header, message in MESSAGES:
        sound = bytes.fromhex(message)
        for _ in range(150):
            data = bytearray(sound)
            for _ in range(draw.randint(1, 3)):
                data[draw.randrange(12, min(60, len(data)))] = draw.randrange(256)
            some = bytes(data[: draw.choice([len(data), draw.randrange(len(data))])])
            packet, careful = dissect(some, header), Dissection()
            read, start, end, _ = walk(header._declaration, some, 0, len(some), careful)
            assert bytes(packet) == some and bytes(packet.replace(header)) == some
            assert (packet.layers[0], packet.payload) == (read, some[start:end])
            assert {*careful.faults} <= {*packet.faults}  # items have more to say


def test_tshark_reads_the_same(tshark: Ask) -> None:
    made = NTLMAuthenticate(domain="DOMAIN", user="Ann", host="PC", lm=bytes(24), nt=bytes(24), key=bytes(range(16)))
    other = NTLMAuthenticate(
        domain="DOMAIN",
        user="Ann",
        host="PC",
        lm=bytes(24),
        nt=bytes(24),
        lm_offset=64,
        nt_offset=88,
        domain_offset=124,
        user_offset=112,
        host_offset=118,
        key_offset=0,
    )
    names = {"ntlmssp.auth.domain": "domain", "ntlmssp.auth.username": "user", "ntlmssp.auth.hostname": "host"}
    messages = [bytes(made), bytes(other), bytes.fromhex(AUTHENTICATES[1])]
    assert dissect(bytes(other), NTLMAuthenticate).faults == ()
    check(tshark, messages, NTLMAuthenticate, names)
    challenge = NTLMChallenge(name="LAB", info=(AVPair(id=2, value="LAB".encode("utf-16-le")), AVPair()))
    check(
        tshark, [bytes(challenge), bytes.fromhex(CHALLENGE)], NTLMChallenge, {"ntlmssp.challenge.target_name": "name"}
    )
    negotiates = [bytes(NTLMNegotiate(domain="LAB", host="PC")), *map(bytes.fromhex, NEGOTIATES[1:])]
    check(
        tshark,
        negotiates,
        NTLMNegotiate,
        {"ntlmssp.negotiate.domain": "domain", "ntlmssp.negotiate.callingworkstation": "host"},
    )
