"""The public names of packetlab, each with the module it stands in: the one place where they are listed.

Type checkers and editors read this file as it is; `packetlab/__init__.py` reads it to import a name when it is first used.
"""
# ruff: isort: skip_file
# fmt: off

from typing import TypeAlias

from packetlab.bulk.generators import filling as filling, seeded as seeded, sequence as sequence
from packetlab.capture import Capture as Capture, Frame as Frame, Writer as Writer
from packetlab.capture.filters.bpf import PcapFilter as PcapFilter
from packetlab.capture.fleet.fleet import Fleet as Fleet, scan as scan
from packetlab.capture.flows.exchanges import Exchanges as Exchanges, exchanges as exchanges
from packetlab.capture.reassembly import (
    Conversation as Conversation, Conversations as Conversations, Datagram as Datagram, Fragments as Fragments,
    Stream as Stream, StreamMessage as StreamMessage, StreamMessages as StreamMessages,
    Streams as Streams, WebSocketMessage as WebSocketMessage, WebSockets as WebSockets,
)
from packetlab.capture.tables.columns import Columns as Columns
from packetlab.capture.tables.table import Table as Table
from packetlab.codec.context.context import Context as Context
from packetlab.codec.faults import Fault as Fault
from packetlab.declare.checksums.parts import but as but, span as span, value_of as value_of, zeroed as zeroed
from packetlab.declare.checksums.spelled import (
    adler32 as adler32, crc as crc, fletcher as fletcher, iso_fletcher as iso_fletcher, sum8 as sum8, sum16 as sum16,
    sum32 as sum32, xor8 as xor8,
)
from packetlab.declare.values.addresses import XNSAddress as XNSAddress
from packetlab.declare.values.digits import Digits as Digits, HexDigits as HexDigits, digits as digits
from packetlab.declare.values.identifiers import GUID as GUID, UUID as UUID, bcd as bcd
from packetlab.declare.fields import (
    auto as auto, computed as computed, const as const, must as must, default as default, ended as ended, from_end as from_end, many as many, pad as pad, sized as sized,
    when as when,
)
from packetlab.declare.values.integers import (
    S8 as S8, S16 as S16, S24 as S24, S32 as S32, S64 as S64, U1 as U1, U2 as U2, U3 as U3, U4 as U4, U5 as U5,
    U6 as U6, U7 as U7, U8 as U8, U9 as U9, U10 as U10, U11 as U11, U12 as U12, U13 as U13, U14 as U14, U15 as U15,
    U16 as U16, U17 as U17, U18 as U18, U19 as U19, U20 as U20, U21 as U21, U22 as U22, U23 as U23, U24 as U24,
    U25 as U25, U26 as U26, U27 as U27, U28 as U28, U29 as U29, U30 as U30, U31 as U31, U32 as U32, U33 as U33,
    U34 as U34, U35 as U35, U36 as U36, U37 as U37, U38 as U38, U39 as U39, U40 as U40, U41 as U41, U42 as U42,
    U43 as U43, U44 as U44, U45 as U45, U46 as U46, U47 as U47, U48 as U48, U49 as U49, U50 as U50, U51 as U51,
    U52 as U52, U53 as U53, U54 as U54, U55 as U55, U56 as U56, U57 as U57, U58 as U58, U59 as U59, U60 as U60,
    U61 as U61, U62 as U62, U63 as U63, U64 as U64, S16le as S16le, S24le as S24le, S32le as S32le, S64le as S64le,
    U16le as U16le, U24le as U24le, U32le as U32le, U48le as U48le, U64le as U64le,
)
from packetlab.declare.bits.kinds import bits as bits, spare_bits as spare_bits, width_of as width_of
from packetlab.declare.values.scaled import (
    F16 as F16, F32 as F32, F64 as F64, F16le as F16le, F32le as F32le, F64le as F64le, scaled as scaled,
)
from packetlab.declare.values.text import Text as Text, text as text
from packetlab.declare.values.times import (
    NTPShort as NTPShort, NTPTime as NTPTime, UnixTime as UnixTime, UnixTime64 as UnixTime64, UnixTimeMs as UnixTimeMs,
    UnixTimeNs as UnixTimeNs, UnixTimeUs as UnixTimeUs, duration as duration, timestamp as timestamp,
)
from packetlab.declare.values.views import raw as raw
from packetlab.declare.transforms.carried import through as through
from packetlab.declare.transforms.ciphers import aead as aead, cipher as cipher
from packetlab.declare.transforms.letters import base16 as base16, base64 as base64
from packetlab.declare.transforms.masks import ble_whitened as ble_whitened, whitened as whitened, xor as xor
from packetlab.declare.transforms.packed import deflate as deflate, gzip as gzip, zlib as zlib, zstd as zstd
from packetlab.declare.transforms.stuffing import cobs as cobs, hdlc as hdlc, slip as slip
from packetlab.declare.transforms.transform import (
    Transform as Transform, UnfitError as UnfitError, named as named, secret as secret, secrets as secrets,
)
from packetlab.declare.kinds import (
    MAC as MAC, Bytes as Bytes, IPv4Address as IPv4Address, IPv6Address as IPv6Address, Kind as Kind,
    Named as Named, Payload as Payload, Rest as Rest, XNSAddressField as XNSAddressField, fixed_bytes as fixed_bytes,
)
from packetlab.declare.places.left import left as left
from packetlab.declare.places.offsets import at as at, offset_of as offset_of
from packetlab.declare.registry import bindings as bindings
from packetlab.declare.remembering.recalled import recalled as recalled, receiver as receiver, sender as sender
from packetlab.declare.remembering.layouts import TemplateRecord as TemplateRecord
from packetlab.declare.remembering.records import Records as Records, laid_out as laid_out
from packetlab.declare.rules import (
    ahead as ahead, before as before, choose as choose, count_of as count_of, crc32 as crc32, crc32c as crc32c, field as field,
    has as has, internet_checksum as internet_checksum, next_protocol as next_protocol, reply as reply,
    request as request, sctp_checksum as sctp_checksum, size_inside as size_inside, size_of as size_of, xns_checksum as xns_checksum,
)
from packetlab.declare.values.delimited import EndedBytes as EndedBytes, EndedText as EndedText
from packetlab.declare.values.names import labels as labels
from packetlab.declare.values.varints import (
    BERLength as BERLength, MQTTInt as MQTTInt, QuicInt as QuicInt, SignedVarInt as SignedVarInt, Spelled as Spelled,
    VarInt as VarInt, ZigZagInt as ZigZagInt, ber_integer as ber_integer, ber_length as ber_length,
    prefixed as prefixed, sized_int as sized_int, varint as varint,
)
from packetlab.declare.wildcards import (
    any_value as any_value, between as between, contains as contains, masked as masked, one_of as one_of, same_as as same_as,
)
from packetlab.engine.contract import Endpoint as Endpoint, Engine as Engine, Event as Event, Ignored as Ignored
from packetlab.engine.xns.idp import Node as Node
from packetlab.engine.xns.spp import Connection as Connection
from packetlab.engine.xns.spp_listener import Listener as Listener
from packetlab.engine.xns.spp_timing import Timing as Timing
from packetlab.errors import (
    BuildError as BuildError, CaptureError as CaptureError, DeclareError as DeclareError, DissectError as DissectError,
    LocalProtocolError as LocalProtocolError, Mismatch as Mismatch, NeedsPrivilege as NeedsPrivilege,
    PacketlabError as PacketlabError, RemoteProtocolError as RemoteProtocolError, Stalled as Stalled,
)
from packetlab.export import strategies as strategies
from packetlab.export.bridges.decoders import deep as deep, deep_names as deep_names
from packetlab.export.bridges.dpkt_bridge import from_dpkt as from_dpkt
from packetlab.export.bridges.scapy_bridge import from_scapy as from_scapy
from packetlab.export.bridges.scapy_import import import_scapy as import_scapy
from packetlab.export.diagram import diagram as diagram
from packetlab.export.malformed import Malformed as Malformed, malformed as malformed
from packetlab.export.wireshark.wireshark import wireshark as wireshark
from packetlab.link.exchange import Exchanged as Exchanged, exchange as exchange
from packetlab.link.impairment import Impairment as Impairment
from packetlab.link.interface import Interface as Interface
from packetlab.link.memory import memory_wire as memory_wire
from packetlab.link.socket_port import RawIPSocket as RawIPSocket
from packetlab.link.replay.record import record as record
from packetlab.link.replay.replay import replay as replay
from packetlab.link.replay.send import send as send
from packetlab.packet.explain_difference import explain as explain
from packetlab.packet.packet import Header as Header, Packet as Packet
from packetlab.packet.results import Deep as Deep, Verdict as Verdict
from packetlab.pattern.filter import compile_filter as compile_filter
from packetlab.pattern.match import explain_match as explain_match
from packetlab.protocols.dissect import dissect as dissect
from packetlab.protocols.icmp import (
    ICMP as ICMP, ICMPType as ICMPType, ICMPv6 as ICMPv6, ICMPv6Echo as ICMPv6Echo, ICMPv6Error as ICMPv6Error,
    ICMPv6Type as ICMPv6Type, ListenerMessage as ListenerMessage, ListenerRecord as ListenerRecord,
    ListenerReport as ListenerReport, NDOption as NDOption, NeighborAdvertisement as NeighborAdvertisement,
    NeighborSolicitation as NeighborSolicitation, Redirect as Redirect, RouterAdvertisement as RouterAdvertisement,
    RouterSolicitation as RouterSolicitation,
)
from packetlab.protocols.ip import (
    ARP as ARP, SLARP as SLARP, ARPOperation as ARPOperation, AuthenticationHeader as AuthenticationHeader,
    DestinationOptions as DestinationOptions, Fragment as Fragment, HopByHop as HopByHop, IPOption as IPOption,
    IPv4 as IPv4, IPv4Flags as IPv4Flags, IPv6 as IPv6, IPv6Option as IPv6Option, Routing as Routing,
    SLARPCode as SLARPCode,
)
from packetlab.protocols.ipx import IPX as IPX, IPXType as IPXType
from packetlab.protocols.link import (
    HDLC as HDLC, LLC as LLC, MPLS as MPLS, PPP as PPP, PPPD as PPPD, SNAP as SNAP, VLAN as VLAN, BSDLoop as BSDLoop,
    BSDNull as BSDNull, CiscoHDLC as CiscoHDLC, Ether as Ether, LinuxSLL as LinuxSLL, LinuxSLL2 as LinuxSLL2,
    Novell as Novell, PPPDirection as PPPDirection, PPPLink as PPPLink, PPPoE as PPPoE, RawIP as RawIP,
    ShortPPP as ShortPPP,
)
from packetlab.protocols.linktypes import link_type as link_type
from packetlab.protocols.transport import (
    SCTP as SCTP, TCP as TCP, UDP as UDP, VXLAN as VXLAN, TCPFlags as TCPFlags, TCPOption as TCPOption,
)
from packetlab.protocols.tunnels import GRE as GRE, L2TP as L2TP, EtherIP as EtherIP
from packetlab.protocols.websocket import Opcode as Opcode, WebSocketFrame as WebSocketFrame, mask as mask
from packetlab.protocols.xns import (
    IDP as IDP, PEX as PEX, RIP as RIP, SPP as SPP, Control as Control, Echo as Echo, Error as Error,
    ErrorNumber as ErrorNumber, PacketType as PacketType, RIPEntry as RIPEntry,
)
from packetlab.schema.dump import describe as describe
from packetlab.schema.ksy.importing import import_ksy as import_ksy
from packetlab.schema.load import declare_from as declare_from
from packetlab.sockets import (
    accept as accept, bind as bind, close as close, connect as connect, create as create, listen as listen,
    read as read, write as write,
)
from packetlab.sockets.networks import Lab as Lab, LocalHost as LocalHost, SimNetwork as SimNetwork
from packetlab.testing import Golden as Golden, Programs as Programs, Replay as Replay, Tape as Tape
from packetlab.view.display import show as show
from packetlab.view.ladder import ladder as ladder
from packetlab.view.plots import (
    plot_lateness as plot_lateness, plot_rate as plot_rate, plot_round_trips as plot_round_trips,
    plot_sequence as plot_sequence, plot_sizes as plot_sizes,
)

# Names of the first edition, see `renamed`.
Octets: TypeAlias = Bytes
octets = fixed_bytes

__version__: str
