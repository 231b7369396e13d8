"""Which decoder fits data: by the number in the header below it, by ports, by what it looks like.

A port is only a guess, so each name here that a port leads to has a test of the data itself (`plausible`), by what its
specification demands of the first bytes. Numbers are IANA's and IEEE's. Knows nothing of scapy and dpkt.
"""

from __future__ import annotations

import re
from collections.abc import Callable

ByteTest = Callable[[bytes], bool]

_IP = {2: "igmp", 46: "rsvp", 50: "esp", 88: "eigrp", 89: "ospf", 103: "pim", 112: "vrrp"}
_ETHERTYPES = {
    0x888E: "eapol", 0x8808: "maccontrol", 0x8809: "slow", 0x8892: "profinet", 0x88A2: "aoe", 0x88A4: "ethercat", 0x88BE: "erspan",
    0x88CC: "lldp", 0x88E1: "homeplugav", 0x88E5: "macsec", 0x88F7: "ptp", 0x22EB: "erspan3", 0x8902: "oam", 0x894F: "nsh",
    0x8915: "roce.GRH",
}  # fmt: skip
_EXTENSIONS = ("IPv6", "HopByHop", "DestinationOptions", "Routing", "Fragment", "AuthenticationHeader")
BY_NUMBER: dict[str, tuple[str, dict[int, str]]] = {
    "IPv4": ("protocol", _IP),
    **dict.fromkeys(_EXTENSIONS, ("next_header", _IP)),
    **dict.fromkeys(("Ether", "VLAN", "LinuxSLL", "CiscoHDLC"), ("type", _ETHERTYPES)),
    "LinuxSLL2": ("type", _ETHERTYPES),
    "GRE": ("protocol", _ETHERTYPES),
    "SNAP": ("type", _ETHERTYPES),
    "LLC": ("dsap", {0x42: "stp", 0xFE: "isis"}),
}
"""Name of a header -> the field that says what follows, and the decoder of each number."""

CISCO = 0x00000C
CISCO_TYPES = {0x2000: "cdp", 0x2003: "vtp", 0x2004: "dtp"}
"""The types that SNAP has under Cisco's number of an organization, which are no ether types."""

BY_PORT: dict[str, dict[int, str]] = {
    "TCP": {
        22: "ssh", 49: "tacacs", 53: "dns", 80: "http", 88: "kerberos", 102: "tpkt", 139: "nbss", 179: "bgp", 323: "rtr", 389: "ldap",
        443: "tls", 445: "nbss", 502: "modbus", 554: "rtsp", 636: "tls", 646: "ldp", 853: "tls", 993: "tls", 995: "tls", 1080: "socks",
        1883: "mqtt", 2049: "rpc", 3128: "http", 3868: "diameter", 5060: "sip", 5061: "tls", 6633: "openflow", 6653: "openflow",
        8000: "http", 8080: "http", 8443: "tls", 8883: "tls", 44818: "enip",
    },
    "UDP": {
        53: "dns", 67: "dhcp", 68: "dhcp", 69: "tftp", 88: "kerberos", 123: "ntp", 137: "nbns", 138: "nbdgm", 161: "snmp", 162: "snmp",
        319: "ptp", 320: "ptp", 389: "ldap", 443: "quic", 500: "isakmp", 520: "rip", 521: "ripng", 546: "dhcp6", 547: "dhcp6", 646: "ldp",
        1812: "radius", 1813: "radius", 1900: "http", 1985: "hsrp", 2049: "rpc", 2055: "netflow", 2123: "gtp", 2152: "gtp",
        3478: "stun", 3671: "knx", 3784: "bfd", 3785: "bfd", 4784: "bfd", 5060: "sip", 5353: "dns", 5355: "llmnr", 5683: "coap",
        6081: "geneve", 8805: "pfcp", 51820: "wireguard",
    },
}  # fmt: skip
"""Transport -> port -> the name that IANA assigns to it."""


def _number(data: bytes, at: int, size: int = 2) -> int:
    return int.from_bytes(data[at : at + size], "big")


def tls_records(data: bytes) -> tuple[int, int]:
    """Return where the last whole TLS record ends, and how many bytes the one after it lacks (RFC 8446 section 5.1).

    -1 for both where something else than records stands there.
    """
    at = 0
    while at < len(data):
        head = data[at : at + 5]
        if not re.match(rb"[\x14-\x18](\Z|\x03(\Z|[\x00-\x04]))", head):
            return -1, -1
        size = _number(head, 3) if len(head) == 5 else 0
        if size > (1 << 14) + 2048:
            return -1, -1
        if len(head) < 5 or at + 5 + size > len(data):
            return at, at + 5 + size - len(data)
        at += 5 + size
    return at, 0


def _dns(data: bytes) -> bool:
    counts = [_number(data, at) for at in (4, 6, 8, 10)]
    # Each question takes 5 bytes at least, each record 11 (RFC 1035 section 4.1).
    return len(data) >= 12 and data[2] >> 3 & 15 <= 6 and 0 < counts[0] * 5 + sum(counts[1:]) * 11 <= len(data) - 12


def _dns_or_stream(data: bytes) -> bool:
    return _dns(data) or (len(data) > 14 and _number(data, 0) >= 12 and _dns(data[2 : 2 + _number(data, 0)]))


def _quic(data: bytes) -> bool:
    """A long header of a known version (RFC 9000 section 17.2); the bytes of a short one say nothing to a third party."""
    if len(data) < 21 or data[0] & 0xC0 != 0xC0:  # the long form, and the fixed bit
        return False
    version = _number(data, 1, 4)
    known = version in (0, 1, 0x6B3343CF) or version >> 8 == 0xFF0000 or version & 0x0F0F0F0F == 0x0A0A0A0A
    return known and data[5] <= 20


def _entries(data: bytes, at: int, code: int, size: int, more: int = 0) -> bool:
    """Whether options fill the rest: a code and a size of this many bytes each, the size as the value's, less `more`.

    Zeros at the end are filling: a capture may have cut the frame.
    """
    while at < len(data):
        length = _number(data, at + code, size) - more
        if length < 0 or at + code + size + length > len(data) or not 0 < _number(data, at, code) <= 255:
            return not any(data[at:])
        at += code + size + length
    return True


def _dhcp(data: bytes) -> bool:
    """RFC 2131 section 2: of the flags one bit is used, and an address of 6 bytes is filled up with zeros."""
    return (
        len(data) >= 28
        and data[0] in (1, 2)
        and data[2] <= 16
        and data[3] <= 16
        and data[10:12] in (b"\0\0", b"\x80\0")
        and not any(data[28 + data[2] : 44] if data[2] == 6 else b"")
        and data[236:240] in (b"", b"\x63\x82\x53\x63")
    )


def _dhcp6(data: bytes) -> bool:
    """RFC 8415 sections 8 and 9: messages of relays have 34 bytes before the options."""
    start = 34 if data[:1] in (b"\x0c", b"\x0d") else 4
    return len(data) >= start + 4 and 1 <= data[0] <= 35 and data[start] == 0 and _entries(data, start, 2, 2)


def _ntp(data: bytes) -> bool:
    """RFC 5905 section 7.3: a stratum up to 16, a precision below a second (32: unknown), delays below some minutes."""
    if len(data) < 48 or not 1 <= data[0] >> 3 & 7 <= 4 or not data[0] & 7:
        return False
    if data[0] & 7 == 6:  # control messages, RFC 9327 section 2
        return _number(data, 10) + 12 <= len(data) <= _number(data, 10) + 12 + 40
    if data[0] & 7 == 7:
        return data[2] in (0, 2, 3) and data[3] <= 45 and data[6] & 0xF0 == 0
    return (
        data[1] <= 16
        and data[2] <= 24
        and (data[3] >= 0xE0 or data[3] in (0, 32))
        and data[4] in (0, 255)
        and not data[8]
    )


def _bfd(data: bytes) -> bool:
    """RFC 5880 sections 4.1 and 6.8.6."""
    if len(data) < 24 or data[0] >> 5 != 1 or not data[2] or not any(data[4:8]) or data[1] & 1:
        return False
    if not data[1] & 4:
        return data[3] == 24
    return 26 <= data[3] <= len(data) and 1 <= data[24] <= 5 and data[3] == 24 + data[25]


_COAP_OPTIONS = {
    1, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15, 16, 17, 19, 20, 21, 23, 27, 28, 31, 35, 39, 60, 252, 258, 292,
}  # fmt: skip


def _coap(data: bytes) -> bool:
    """RFC 7252 section 3: a method or a code of an answer, and options of registered numbers up to the payload."""
    if len(data) < 4 or data[0] >> 6 != 1 or data[0] & 15 > 8 or data[1] >> 5 not in (0, 2, 4, 5) or 7 < data[1] < 32:
        return False
    if not data[1]:
        return len(data) == 4 and not data[0] & 15
    at, number = 4 + (data[0] & 15), 0
    while at < len(data) and data[at] != 0xFF:
        pair = [data[at] >> 4, data[at] & 15]  # the step to the option's number, and its size
        at += 1
        if 15 in pair:
            return False
        for place, nibble in enumerate(pair):
            if nibble >= 13:
                pair[place] = (13, 269)[nibble - 13] + _number(data, at, nibble - 12)
                at += nibble - 12
        number, at = number + pair[0], at + pair[1]
        if at > len(data) or (number not in _COAP_OPTIONS and number < 2048):
            return False
    return at <= len(data)


_ENIP = {0x0000, 0x0001, 0x0004, 0x0063, 0x0064, 0x0065, 0x0066, 0x006F, 0x0070, 0x0072, 0x0073}


def _enip(data: bytes) -> bool:
    """The encapsulation of CIP, volume 2: a command that is known, and options that are 0."""
    command, size = int.from_bytes(data[:2], "little"), int.from_bytes(data[2:4], "little")
    return len(data) >= 24 and command in _ENIP and size + 24 <= len(data) and not any(data[20:24])


def _hsrp(data: bytes) -> bool:
    """RFC 2281 section 5: version 0, a reserved byte that is 0, times in a hello, an address that is one."""
    hello = len(data) >= 20 and (data[1] != 0 or (data[3] > 0 and data[4] > 0))
    return (
        hello and data[0] == 0 and data[1] <= 3 and data[2] in (0, 1, 2, 4, 8, 16) and data[7] == 0 and any(data[16:20])
    )


def _kerberos(data: bytes) -> bool:
    """RFC 4120 section 5: a message of a known type is a sequence; over TCP its size stands first (section 7.2.2)."""
    if data[:1] == b"\0":
        data = data[4:]
    return _ber(data, b"\x30") and (0x6A <= data[0] <= 0x6F or 0x74 <= data[0] <= 0x7E)


def _rpc(data: bytes) -> bool:
    for at in (0, 4):  # over TCP a record mark stands first (RFC 5531 section 11)
        if at and not (data[0] & 0x80 and _number(data, 0, 4) & 0x7FFFFFFF >= 24 if len(data) >= 4 else False):
            continue
        kind = _number(data, at + 4, 4)
        if len(data) >= at + 24 and (
            (kind == 0 and _number(data, at + 8, 4) == 2)
            or (kind == 1 and data[at + 8 : at + 11] == bytes(3) and data[at + 11] < 2)
        ):
            return True
    return False


def _nbss(data: bytes) -> bool:
    """RFC 1002 section 4.3: SMB in a message, a request with two names, or an answer of its own size."""
    if len(data) >= 8 and data[0] == 0:
        return data[5:8] == b"SMB" and data[4] in b"\xff\xfe\xfd\xfc"
    if data[:1] == b"\x81":
        return len(data) > 4 and data[1] <= 1 and data[4] == 32
    return len(data) >= 4 and {0x82: 0, 0x83: 1, 0x84: 6, 0x85: 0}.get(data[0]) == _number(data, 1, 3)


def _nbdgm(data: bytes) -> bool:
    """RFC 1002 section 4.4: names of 32 bytes after a header of 14 or 10."""
    if len(data) < 11 or not 0x10 <= data[0] <= 0x16 or data[1] & 0xF0:
        return False
    if data[0] == 0x13:
        return 0x82 <= data[10] <= 0x84
    return data[14:15] == b" " and _number(data, 10) <= len(data) if data[0] < 0x13 else data[10] == 32


def _mqtt(data: bytes) -> bool:
    """MQTT 3.1.1 section 2.2: flags as each type has them, and the size and first words of its content."""
    size, at = 0, 1
    for byte in data[1:5]:
        size |= (byte & 127) << 7 * (at - 1)
        at += 1
        if not byte & 128:
            break
    else:
        return False
    kind, flags, body = data[0] >> 4, data[0] & 15, data[at : at + size]
    if len(body) < size:
        return False
    if kind == 3:
        text = body[2 : 2 + _number(body, 0)]
        return (
            flags & 6 != 6
            and 0 < len(text) == _number(body, 0)
            and min(text) >= 32
            and not any(b in text for b in b"#+")
        )
    if flags not in ((2, 10) if kind in (6, 8, 10) else (0,)):
        return False
    if kind == 1:
        return body[:6] == b"\0\4MQTT" or body[:8] == b"\0\6MQIsdp"
    if kind in (8, 10):
        return any(0 < 2 + _number(body, more) <= size - more for more in (2, 3))  # version 5 has properties between
    if kind in (12, 13):
        return size == 0
    return kind in (14, 15) or (kind > 0 and size >= 2 and (kind != 2 or body[0] <= 1))


def _ber(data: bytes, content: bytes) -> bool:
    """Whether data is one BER element of the size that it says, or begins one (X.690 section 8.1.3), with such content."""
    if len(data) < 2:
        return False
    long = data[1] & 127 if data[1] & 128 else 0
    sized = long <= 4 and (long > 0 or data[1] + 2 <= len(data))
    return sized and re.match(content, data[2 + long :]) is not None


def _size(at: int, more: int = 0, size: int = 2) -> ByteTest:
    return lambda data: len(data) >= at + size and _number(data, at, size) + more == len(data)


def _within(at: int, least: int, more: int = 0) -> ByteTest:
    return lambda data: len(data) >= at + 2 and least <= _number(data, at) + more <= len(data)


_TEXT = re.compile(
    rb"[A-Z][A-Z-]{2,19} [^\r\n ]+ (HTTP/1\.[01]|RTSP/1\.0|SIP/2\.0)\r?\n|(HTTP/1\.[01]|RTSP/1\.0|SIP/2\.0) \d{3}"
)
_DNS_NAMES = dict.fromkeys(("dns", "mdns", "llmnr", "nbns"), _dns_or_stream)
_PLAUSIBLE: dict[str, ByteTest] = {
    **_DNS_NAMES,
    "bfd": _bfd,
    "bgp": lambda d: d[:16] == b"\xff" * 16 and _within(16, 19)(d + bytes(4096)) and d[18:19] in (b"\1", b"\2", b"\3", b"\4", b"\5"),
    "coap": _coap,
    "dhcp": _dhcp,
    "dhcp6": _dhcp6,
    "diameter": lambda d: len(d) >= 20 and d[0] == 1 and _number(d, 1, 3) >= 20 and not d[3] & 3,
    "enip": _enip,
    "geneve": lambda d: len(d) >= 8 and d[0] >> 6 == 0 and _number(d, 2) >= 0x0600 and 8 + (d[0] & 63) * 4 <= len(d) and not d[1] & 63 and not d[7],
    "gtp": lambda d: len(d) >= 8 and d[0] >> 5 == 1 and d[0] & 0x10 > 0 and _number(d, 2) + 8 == len(d),
    "gtp2": lambda d: len(d) >= 8 and d[0] >> 5 == 2 and _number(d, 2) + 4 == len(d),
    "hsrp": _hsrp,
    "http": lambda d: _TEXT.match(d) is not None,
    "isakmp": lambda d: len(d) >= 28 and d[17] in (0x10, 0x20) and _number(d, 24, 4) == len(d),
    "kerberos": _kerberos,
    "knx": lambda d: d[:2] == b"\x06\x10" and _size(4)(d),
    "ldap": lambda d: d[:1] == b"\x30" and _ber(d, b"\x02"),
    "ldp": lambda d: d[:2] == b"\0\1" and _within(2, 6, 4)(d),
    "modbus": lambda d: len(d) >= 8 and d[2:4] == b"\0\0" and 6 + _number(d, 4) <= len(d) and _number(d, 4) >= 2,
    "mqtt": _mqtt,
    "nbdgm": _nbdgm,
    "nbss": _nbss,
    "netflow": lambda d: len(d) >= 16 and d[0] == 0 and d[1] in (1, 5, 7, 8, 9, 10),
    "ntp": _ntp,
    "openflow": lambda d: len(d) >= 8 and 1 <= d[0] <= 6 and d[1] <= 35 and _within(2, 8)(d),
    "pfcp": lambda d: len(d) >= 8 and d[0] >> 5 == 1 and _within(2, 4, 4)(d),
    "ptp": lambda d: len(d) >= 34 and d[1] & 15 == 2 and _within(2, 34)(d),
    "quic": _quic,
    "radius": lambda d: len(d) >= 20 and 1 <= d[0] <= 45 and _within(2, 20)(d) and _entries(d[: _number(d, 2)], 20, 1, 1, 2),
    "rip": lambda d: len(d) >= 4 and d[0] in (1, 2) and d[1] in (1, 2) and (len(d) - 4) % 20 == 0,
    "ripng": lambda d: len(d) >= 4 and d[0] in (1, 2) and d[1] == 1 and d[2:4] == b"\0\0" and (len(d) - 4) % 20 == 0,
    "rpc": _rpc,
    "rtr": lambda d: len(d) >= 8 and d[0] <= 2 and d[1] <= 11 and 8 <= _number(d, 4, 4) <= 65535,
    "rtsp": lambda d: _TEXT.match(d) is not None and b"RTSP/" in d,
    "sip": lambda d: _TEXT.match(d) is not None and b"SIP/2.0" in d,
    "snmp": lambda d: d[:1] == b"\x30" and _ber(d, rb"\x02\x01[\x00-\x03]"),
    "socks": lambda d: d[:1] == b"\x05" and (2 + d[1:2][0] == len(d) or d[2:3] == b"\0") if len(d) > 1 else False,
    "ssh": lambda d: d[:4] == b"SSH-" or (len(d) >= 16 and 12 <= _number(d, 0, 4) <= 35000 and 4 <= d[4] < _number(d, 0, 4) and 20 <= d[5] <= 41),
    "stun": lambda d: len(d) >= 20 and d[0] >> 6 == 0 and d[4:8] == b"\x21\x12\xa4\x42" and _number(d, 2) % 4 == 0 and _number(d, 2) + 20 <= len(d),
    "tacacs": lambda d: len(d) >= 12 and d[0] >> 4 == 12 and d[1] in (1, 2, 3),
    "tftp": lambda d: len(d) >= 4 and d[0] == 0 and 1 <= d[1] <= 6,
    "tls": lambda d: len(d) >= 5 and tls_records(d)[0] >= 0,
    "tpkt": lambda d: d[:2] == b"\x03\0" and _number(d, 2) >= 7,
    "wireguard": lambda d: len(d) >= 32 and 1 <= d[0] <= 4 and d[1:4] == bytes(3) and {1: 148, 2: 92, 3: 64}.get(d[0], len(d)) == len(d),
}  # fmt: skip


def plausible(name: str, data: bytes, missing: int = 0) -> bool:
    """Whether data, of which the capture cut this many bytes, may be what a port says; False for names without a test."""
    test = _PLAUSIBLE.get(name)
    if test is None or data == data[:1] * len(data):  # nobody says one byte over and over
        return False
    return test(data) or (missing > 0 and test(data + bytes(min(missing, 65536))))


# What no other protocol begins with. DTLS has no decoder: it is named all the same, so that nothing else is believed.
BEGINS: tuple[tuple[str, ByteTest], ...] = (
    ("http", lambda d: _TEXT.match(d) is not None and b"HTTP/" in d[:8192].split(b"\n", 1)[0]),
    ("sip", lambda d: _TEXT.match(d) is not None and b"SIP/2.0" in d.split(b"\n", 1)[0]),
    ("rtsp", lambda d: _TEXT.match(d) is not None),
    ("ssh", lambda d: d[:4] == b"SSH-" and d[4:5].isdigit()),
    ("bgp", lambda d: plausible("bgp", d)),
    ("tls", lambda d: plausible("tls", d)),
    ("dtls", lambda d: re.match(rb"[\x14-\x1a]\xfe[\xfd\xff]", d) is not None),
)
"""(name, whether data begins so), in the order they are tried."""
