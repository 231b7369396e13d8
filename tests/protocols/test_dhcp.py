"""DHCP for IPv4 (RFC 2131), its options typed by refinement (RFC 2132, 3046, 6926, 8925)."""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated

import pytest

from packetlab import (
    MAC,
    U8,
    U16,
    U32,
    UDP,
    Bytes,
    Ether,
    Header,
    IPv4,
    IPv4Address,
    Packet,
    Rest,
    Text,
    auto,
    bits,
    const,
    contains,
    default,
    field,
    fixed_bytes,
    many,
    size_of,
    sized,
    text,
    when,
)
from tests.protocols.oracle import Ask, alike, cut, family, packets_of, sound, spoilt
from tests.protocols.reading import of
from tests.protocols.scope import Scope

with (scope := Scope()):

    class Kind(IntEnum):
        DISCOVER, OFFER, REQUEST, DECLINE, ACK, NAK, RELEASE, INFORM = range(1, 9)

    class Option(Header):
        kind: U8 = 255
        length: U8 | None = when((field("kind") != 0) & (field("kind") != 255), auto(size_of("data")))
        data: Bytes | None = when((field("kind") != 0) & (field("kind") != 255), sized(field("length"), b""))

    class MessageType(Option, inside="data", when={"kind": 53}):
        message: Annotated[Kind, bits(8)] = Kind.DISCOVER

    class Address(Option, inside="data", when={"kind": (1, 50, 54, 28, 32)}):
        address: IPv4Address = default("0.0.0.0")

    class Addresses(Option, inside="data", when={"kind": (3, 4, 5, 6, 7, 42, 44)}):
        addresses: tuple[IPv4Address, ...] = many()

    class Seconds(Option, inside="data", when={"kind": (51, 58, 59, 91, 108)}):
        seconds: U32 = 3600

    class Words(Option, inside="data", when={"kind": (12, 15, 56, 60, 66)}):
        words: Text = ""

    class Size(Option, inside="data", when={"kind": (22, 26, 57)}):
        size: U16 = 576

    class Wanted(Option, inside="data", when={"kind": 55}):
        kinds: tuple[U8, ...] = many()

    class Identifier(Header):
        type: U8 = 0
        id: Rest = b""

    class EthernetIdentifier(Identifier, inside="id", when={"type": 1}):
        mac: MAC = default("00:00:00:00:00:00")

    class ClientID(Option, inside="data", when={"kind": 61}):
        client: Identifier

    class AgentOption(Header):
        kind: U8 = 1
        length: U8 = auto(size_of("data"))
        data: Bytes = b""

    class LinkSelection(AgentOption, inside="data", when={"kind": 5}):
        subnet: IPv4Address = default("0.0.0.0")

    class Agent(Option, inside="data", when={"kind": 82}):
        options: tuple[AgentOption, ...] = many()

    class DHCP(Header, under=UDP, when={"port": (67, 68)}):
        op: U8 = 1
        hardware: U8 = 1
        hardware_size: U8 = 6
        hops: U8 = 0
        id: U32 = 0
        seconds: U16 = 0
        flags: U16 = 0
        client: IPv4Address = default("0.0.0.0")
        yours: IPv4Address = default("0.0.0.0")
        server: IPv4Address = default("0.0.0.0")
        relay: IPv4Address = default("0.0.0.0")
        mac: MAC = default("00:00:00:00:00:00")
        mac_padding: Annotated[bytes, fixed_bytes(10)] = bytes(10)
        server_name: Annotated[str, text("ascii", size=64, pad=b"\0")] = ""
        file: Annotated[str, text("ascii", size=128, pad=b"\0")] = ""
        cookie: U32 = const(0x63825363)
        options: tuple[Option, ...] = many(until=field("kind") == 255, end=Option())
        padding: Rest = b""


CAPTURES = [
    "dhcp/dhcp.pcap",
    "dhcp/dhcp_inform.pcap",
    "dhcp/dhcp-option-108.pcapng",
    "dhcp/dhcp_ack_subscriber_id_and_agent_remote_id.pcap",
]


def options(packet: Packet) -> list[Option]:
    return [one for one in packet[DHCP].options if one.kind != 0] if DHCP in packet else []


READINGS = {
    "dhcp.type": of(DHCP, lambda h: h.op),
    "dhcp.id": of(DHCP, lambda h: h.id),
    "dhcp.ip.your": of(DHCP, lambda h: h.yours),
    "dhcp.hw.mac_addr": lambda p: [
        *[p[one].mac for one in (DHCP,) if one in p],
        *[
            one.client.mac
            for one in options(p)
            if isinstance(one, ClientID) and isinstance(one.client, EthernetIdentifier)
        ],
    ],
    "dhcp.option.type": lambda p: (
        [one.kind % 255 for one in p[DHCP].options] if DHCP in p else None
    ),  # it calls the end 0
    "dhcp.option.dhcp": lambda p: [one.message for one in options(p) if isinstance(one, MessageType)],
    "dhcp.option.ip_address_lease_time": lambda p: [
        one.seconds for one in options(p) if isinstance(one, Seconds) and one.kind == 51
    ],
    "dhcp.option.router": lambda p: [
        str(host) for one in options(p) if isinstance(one, Addresses) and one.kind == 3 for host in one.addresses
    ],
    "dhcp.option.request_list_item": lambda p: [
        kind for one in options(p) if isinstance(one, Wanted) for kind in one.kinds
    ],
    "dhcp.option.hostname": lambda p: [one.words for one in options(p) if isinstance(one, Words) and one.kind == 12],
    "dhcp.option.agent_information_option.suboption": lambda p: [
        sub.kind for one in options(p) if isinstance(one, Agent) for sub in one.options
    ],
}


@pytest.mark.parametrize("name", CAPTURES)
def test_captures_are_read_as_tshark_reads_them(tshark: Ask, name: str) -> None:
    sound(alike(tshark, family(name), READINGS), DHCP)


def test_tshark_reads_what_we_build(tshark: Ask) -> None:
    made = [
        Ether()
        / IPv4(src="0.0.0.0", dst="255.255.255.255")
        / UDP(sport=68, dport=67)
        / DHCP(
            id=7,
            mac="02:00:00:00:00:07",
            options=(
                MessageType(message=message),
                ClientID(client=EthernetIdentifier(mac="02:00:00:00:00:07")),
                Words(kind=12, words="lab"),
                Wanted(kinds=(1, 3, 6, 15)),
                Seconds(kind=51, seconds=60),
                Addresses(kind=3, addresses=(IPv4Address("10.0.0.1"), IPv4Address("10.0.0.2"))),
                Agent(options=(AgentOption(data=b"port 7"), LinkSelection(subnet="10.0.0.0"))),
            ),
        )
        for message in Kind
    ]
    packets = alike(tshark, made, READINGS)
    sound(packets, DHCP)
    assert all(one[DHCP].options[-1] == Option(kind=255) for one in packets)


def test_options_are_found_by_their_fields() -> None:
    packets = packets_of("dhcp/dhcp.pcap")
    offers = DHCP(options=contains(MessageType(message=Kind.OFFER)))
    acks = DHCP(options=contains(MessageType(message=Kind.ACK), Address(kind=54)))
    assert [len([one for one in packets if wanted.matches(one)]) for wanted in (offers, acks)] == [1, 1]


@pytest.mark.slow
def test_cut_and_spoilt() -> None:
    packets = packets_of("dhcp/dhcp.pcap")[:3]
    assert {"DHCP.options", "DHCP.mac"} <= cut(packets, DHCP, step=3)
    assert {"DHCP.options", "DHCP.cookie"} <= spoilt(packets, DHCP, times=200)
