"""IGMP, all three versions (RFC 1112, 2236, 3376): lists of addresses, and of records that have some."""

from __future__ import annotations

import pytest

from packetlab import (
    U1,
    U3,
    U4,
    U8,
    U16,
    Bytes,
    Ether,
    Header,
    IPv4,
    IPv4Address,
    Rest,
    auto,
    count_of,
    default,
    internet_checksum,
    many,
    size_of,
)
from tests.protocols.oracle import Ask, alike, cut, family, packets_of, sound, spoilt
from tests.protocols.reading import of
from tests.protocols.scope import Scope

with (scope := Scope()):

    class IGMP(Header, under=IPv4, when={"protocol": 2}):
        type: U8 = 0x16
        code: U8 = 0
        checksum: U16 = auto(internet_checksum("self", "payload"))

    class Group(Header, under=IGMP, when={"type": (0x12, 0x16, 0x17)}):
        """A report of version 1 or 2, or a leave."""

        group: IPv4Address = default("0.0.0.0")
        padding: Rest = b""

    class Query(Header, under=IGMP, when={"type": 0x11}):
        """A query of any version: those of version 3 go on where the others end."""

        group: IPv4Address = default("0.0.0.0")

    class Query3(Header, under=Query, when=size_of("payload") > 0):
        reserved: U4 = 0
        suppress: U1 = 0
        robustness: U3 = 2
        interval: U8 = 125
        count: U16 = auto(count_of("sources"))
        sources: tuple[IPv4Address, ...] = many()
        more: Rest = b""

    class Record(Header):
        type: U8 = 4
        auxiliary_words: U8 = auto(size_of("auxiliary") // 4)
        count: U16 = auto(count_of("sources"))
        group: IPv4Address = default("0.0.0.0")
        sources: tuple[IPv4Address, ...] = many()
        auxiliary: Bytes = b""

    class Report3(Header, under=IGMP, when={"type": 0x22}):
        reserved: U16 = 0
        count: U16 = auto(count_of("records"))
        records: tuple[Record, ...] = many()
        more: Rest = b""


READINGS = {
    "igmp.type": of(IGMP, lambda h: h.type),
    "igmp.checksum": of(IGMP, lambda h: h.checksum),
    "igmp.maddr": lambda p: [
        *[str(p[Group].group) for _ in range(Group in p)],
        *[str(p[Query].group) for _ in range(Query in p)],
        *[str(record.group) for one in (Report3,) if one in p for record in p[one].records],
    ],
    "igmp.saddr": lambda p: [
        *[str(host) for one in (Query3,) if one in p for host in p[one].sources],
        *[str(host) for one in (Report3,) if one in p for record in p[one].records for host in record.sources],
    ],
    "igmp.num_src": lambda p: [
        *[p[one].count for one in (Query3,) if one in p],
        *[record.count for one in (Report3,) if one in p for record in p[one].records],
    ],
    "igmp.num_grp_recs": of(Report3, lambda h: h.count),
    "igmp.record_type": of(Report3, lambda h: [one.type for one in h.records]),
    "igmp.qrv": of(Query3, lambda h: h.robustness),
    "igmp.s": of(Query3, lambda h: h.suppress),
    "igmp.qqic": of(Query3, lambda h: h.interval),
}
CAPTURES = ["igmp/igmp.pcap", "igmp/igmpv3_query2.pcap", "igmp/igmpv3_report2.pcap", "igmp/IGMP_V1.pcap"]


@pytest.mark.parametrize("name", CAPTURES)
def test_captures_are_read_as_tshark_reads_them(tshark: Ask, name: str) -> None:
    sound(alike(tshark, family(name), READINGS), IGMP)


def test_tshark_reads_what_we_build(tshark: Ask) -> None:
    below = Ether() / IPv4(src="10.0.0.1", dst="224.0.0.22", ttl=1)
    hosts = tuple(IPv4Address(f"10.0.0.{n}") for n in range(1, 8))
    made = [
        below / IGMP() / Group(group="239.1.1.1"),
        below / IGMP(code=100) / Query(),
        below / IGMP(code=100) / Query(group="239.1.1.1") / Query3(sources=hosts, suppress=1),
        below
        / IGMP()
        / Report3(
            records=(Record(group="239.1.1.1", sources=hosts), Record(group="239.1.1.2", type=3, auxiliary=b"aux."))
        ),
        below / IGMP() / Report3(),
    ]
    sound(alike(tshark, made, READINGS), IGMP)


def test_cut_and_spoilt() -> None:
    packets = packets_of("igmp/igmpv3_report2.pcap") + packets_of("igmp/igmpv3_query2.pcap")
    assert {"Report3.records", "Query3.sources"} <= cut(packets, IGMP)
    assert {"Report3.records", "Query3.sources"} <= spoilt(packets, IGMP, times=200)
