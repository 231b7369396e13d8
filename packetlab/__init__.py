"""packetlab: declare a header once; build, dissect, send, capture and replay packets with it.

    wire/     bytes <-> headers: declarations, packets, dissection; pure
    capture/  frames in files: pcap and pcapng, streaming
    engine/   protocol rules without input and output: SPP, IDP, RIP, packet exchange, WebSocket
    link/     moving frames and time: interfaces, a rootless lab, a simulated network, wires in memory, replay
    view/     ladders and dumps
    host.py   engines on one side, interfaces on the other; sockets/ the eight verbs over them;
    networks.py  where hosts come from
    cli.py    the command line; demo.py what `packetlab demo` does

This file names what users meet; everything else is in its module.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from packetlab.capture import (
        Capture as Capture,
    )
    from packetlab.capture import (
        Frame as Frame,
    )
    from packetlab.capture import (
        Writer as Writer,
    )
    from packetlab.engine.contract import Endpoint as Endpoint
    from packetlab.engine.contract import Engine as Engine
    from packetlab.engine.contract import Event as Event
    from packetlab.engine.contract import Ignored as Ignored
    from packetlab.engine.idp import Node as Node
    from packetlab.engine.spp import Connection as Connection
    from packetlab.engine.spp_listener import Listener as Listener
    from packetlab.engine.spp_timing import Timing as Timing
    from packetlab.errors import (
        BuildError as BuildError,
    )
    from packetlab.errors import (
        CaptureError as CaptureError,
    )
    from packetlab.errors import (
        DeclareError as DeclareError,
    )
    from packetlab.errors import (
        DissectError as DissectError,
    )
    from packetlab.errors import (
        LocalProtocolError as LocalProtocolError,
    )
    from packetlab.errors import (
        NeedsPrivilege as NeedsPrivilege,
    )
    from packetlab.errors import (
        PacketlabError as PacketlabError,
    )
    from packetlab.errors import (
        RemoteProtocolError as RemoteProtocolError,
    )
    from packetlab.errors import (
        Stalled as Stalled,
    )
    from packetlab.link.impairment import Impairment as Impairment
    from packetlab.link.interface import (
        Interface as Interface,
    )
    from packetlab.link.memory import (
        memory_wire as memory_wire,
    )
    from packetlab.link.rawip import (
        RawIPSocket as RawIPSocket,
    )
    from packetlab.link.replay import (
        replay as replay,
    )
    from packetlab.networks import Lab as Lab
    from packetlab.networks import LocalHost as LocalHost
    from packetlab.networks import SimNetwork as SimNetwork
    from packetlab.sockets import accept as accept
    from packetlab.sockets import bind as bind
    from packetlab.sockets import close as close
    from packetlab.sockets import connect as connect
    from packetlab.sockets import create as create
    from packetlab.sockets import listen as listen
    from packetlab.sockets import read as read
    from packetlab.sockets import write as write
    from packetlab.view.ladder import (
        ladder as ladder,
    )
    from packetlab.wire.addresses import (
        XNSAddress as XNSAddress,
    )
    from packetlab.wire.bindings import (
        bindings as bindings,
    )
    from packetlab.wire.dissect import (
        dissect as dissect,
    )
    from packetlab.wire.ethernet import (
        HDLC as HDLC,
    )
    from packetlab.wire.ethernet import (
        LLC as LLC,
    )
    from packetlab.wire.ethernet import (
        MPLS as MPLS,
    )
    from packetlab.wire.ethernet import (
        PPP as PPP,
    )
    from packetlab.wire.ethernet import (
        SNAP as SNAP,
    )
    from packetlab.wire.ethernet import (
        VLAN as VLAN,
    )
    from packetlab.wire.ethernet import (
        BSDLoop as BSDLoop,
    )
    from packetlab.wire.ethernet import (
        BSDNull as BSDNull,
    )
    from packetlab.wire.ethernet import (
        CiscoHDLC as CiscoHDLC,
    )
    from packetlab.wire.ethernet import (
        Ether as Ether,
    )
    from packetlab.wire.ethernet import (
        LinuxSLL as LinuxSLL,
    )
    from packetlab.wire.ethernet import (
        LinuxSLL2 as LinuxSLL2,
    )
    from packetlab.wire.ethernet import (
        PPPLink as PPPLink,
    )
    from packetlab.wire.ethernet import (
        PPPoE as PPPoE,
    )
    from packetlab.wire.ethernet import (
        RawIP as RawIP,
    )
    from packetlab.wire.explain import (
        Verdict as Verdict,
    )
    from packetlab.wire.fields import (
        MAC as MAC,
    )
    from packetlab.wire.fields import (
        IPv4Address as IPv4Address,
    )
    from packetlab.wire.fields import (
        IPv6Address as IPv6Address,
    )
    from packetlab.wire.fields import (
        Octets as Octets,
    )
    from packetlab.wire.fields import (
        Payload as Payload,
    )
    from packetlab.wire.fields import (
        Rest as Rest,
    )
    from packetlab.wire.fields import (
        XNSAddressField as XNSAddressField,
    )
    from packetlab.wire.fields import (
        auto as auto,
    )
    from packetlab.wire.fields import (
        bits as bits,
    )
    from packetlab.wire.fields import (
        const as const,
    )
    from packetlab.wire.fields import (
        default as default,
    )
    from packetlab.wire.fields import (
        many as many,
    )
    from packetlab.wire.fields import (
        octets as octets,
    )
    from packetlab.wire.fields import (
        pad as pad,
    )
    from packetlab.wire.fields import (
        sized as sized,
    )
    from packetlab.wire.fields import (
        when as when,
    )
    from packetlab.wire.filter import (
        compile_filter as compile_filter,
    )
    from packetlab.wire.header import (
        Header as Header,
    )
    from packetlab.wire.ip import (
        ARP as ARP,
    )
    from packetlab.wire.ip import (
        GRE as GRE,
    )
    from packetlab.wire.ip import (
        ICMP as ICMP,
    )
    from packetlab.wire.ip import (
        ARPOperation as ARPOperation,
    )
    from packetlab.wire.ip import (
        AuthenticationHeader as AuthenticationHeader,
    )
    from packetlab.wire.ip import (
        DestinationOptions as DestinationOptions,
    )
    from packetlab.wire.ip import (
        Fragment as Fragment,
    )
    from packetlab.wire.ip import (
        HopByHop as HopByHop,
    )
    from packetlab.wire.ip import (
        ICMPType as ICMPType,
    )
    from packetlab.wire.ip import (
        ICMPv6 as ICMPv6,
    )
    from packetlab.wire.ip import (
        ICMPv6Echo as ICMPv6Echo,
    )
    from packetlab.wire.ip import (
        ICMPv6Error as ICMPv6Error,
    )
    from packetlab.wire.ip import (
        ICMPv6Type as ICMPv6Type,
    )
    from packetlab.wire.ip import (
        IPOption as IPOption,
    )
    from packetlab.wire.ip import (
        IPv4 as IPv4,
    )
    from packetlab.wire.ip import (
        IPv4Flags as IPv4Flags,
    )
    from packetlab.wire.ip import (
        IPv6 as IPv6,
    )
    from packetlab.wire.ip import (
        IPv6Option as IPv6Option,
    )
    from packetlab.wire.ip import (
        ListenerMessage as ListenerMessage,
    )
    from packetlab.wire.ip import (
        ListenerRecord as ListenerRecord,
    )
    from packetlab.wire.ip import (
        ListenerReport as ListenerReport,
    )
    from packetlab.wire.ip import (
        NDOption as NDOption,
    )
    from packetlab.wire.ip import (
        NeighborAdvertisement as NeighborAdvertisement,
    )
    from packetlab.wire.ip import (
        NeighborSolicitation as NeighborSolicitation,
    )
    from packetlab.wire.ip import (
        Redirect as Redirect,
    )
    from packetlab.wire.ip import (
        RouterAdvertisement as RouterAdvertisement,
    )
    from packetlab.wire.ip import (
        RouterSolicitation as RouterSolicitation,
    )
    from packetlab.wire.ip import (
        Routing as Routing,
    )
    from packetlab.wire.numbers import (
        S8 as S8,
    )
    from packetlab.wire.numbers import (
        S16 as S16,
    )
    from packetlab.wire.numbers import (
        S24 as S24,
    )
    from packetlab.wire.numbers import (
        S32 as S32,
    )
    from packetlab.wire.numbers import (
        S64 as S64,
    )
    from packetlab.wire.numbers import (
        U1 as U1,
    )
    from packetlab.wire.numbers import (
        U2 as U2,
    )
    from packetlab.wire.numbers import (
        U3 as U3,
    )
    from packetlab.wire.numbers import (
        U4 as U4,
    )
    from packetlab.wire.numbers import (
        U5 as U5,
    )
    from packetlab.wire.numbers import (
        U6 as U6,
    )
    from packetlab.wire.numbers import (
        U7 as U7,
    )
    from packetlab.wire.numbers import (
        U8 as U8,
    )
    from packetlab.wire.numbers import (
        U9 as U9,
    )
    from packetlab.wire.numbers import (
        U10 as U10,
    )
    from packetlab.wire.numbers import (
        U11 as U11,
    )
    from packetlab.wire.numbers import (
        U12 as U12,
    )
    from packetlab.wire.numbers import (
        U13 as U13,
    )
    from packetlab.wire.numbers import (
        U14 as U14,
    )
    from packetlab.wire.numbers import (
        U15 as U15,
    )
    from packetlab.wire.numbers import (
        U16 as U16,
    )
    from packetlab.wire.numbers import (
        U17 as U17,
    )
    from packetlab.wire.numbers import (
        U18 as U18,
    )
    from packetlab.wire.numbers import (
        U19 as U19,
    )
    from packetlab.wire.numbers import (
        U20 as U20,
    )
    from packetlab.wire.numbers import (
        U21 as U21,
    )
    from packetlab.wire.numbers import (
        U22 as U22,
    )
    from packetlab.wire.numbers import (
        U23 as U23,
    )
    from packetlab.wire.numbers import (
        U24 as U24,
    )
    from packetlab.wire.numbers import (
        U25 as U25,
    )
    from packetlab.wire.numbers import (
        U26 as U26,
    )
    from packetlab.wire.numbers import (
        U27 as U27,
    )
    from packetlab.wire.numbers import (
        U28 as U28,
    )
    from packetlab.wire.numbers import (
        U29 as U29,
    )
    from packetlab.wire.numbers import (
        U30 as U30,
    )
    from packetlab.wire.numbers import (
        U31 as U31,
    )
    from packetlab.wire.numbers import (
        U32 as U32,
    )
    from packetlab.wire.numbers import (
        U33 as U33,
    )
    from packetlab.wire.numbers import (
        U34 as U34,
    )
    from packetlab.wire.numbers import (
        U35 as U35,
    )
    from packetlab.wire.numbers import (
        U36 as U36,
    )
    from packetlab.wire.numbers import (
        U37 as U37,
    )
    from packetlab.wire.numbers import (
        U38 as U38,
    )
    from packetlab.wire.numbers import (
        U39 as U39,
    )
    from packetlab.wire.numbers import (
        U40 as U40,
    )
    from packetlab.wire.numbers import (
        U41 as U41,
    )
    from packetlab.wire.numbers import (
        U42 as U42,
    )
    from packetlab.wire.numbers import (
        U43 as U43,
    )
    from packetlab.wire.numbers import (
        U44 as U44,
    )
    from packetlab.wire.numbers import (
        U45 as U45,
    )
    from packetlab.wire.numbers import (
        U46 as U46,
    )
    from packetlab.wire.numbers import (
        U47 as U47,
    )
    from packetlab.wire.numbers import (
        U48 as U48,
    )
    from packetlab.wire.numbers import (
        U49 as U49,
    )
    from packetlab.wire.numbers import (
        U50 as U50,
    )
    from packetlab.wire.numbers import (
        U51 as U51,
    )
    from packetlab.wire.numbers import (
        U52 as U52,
    )
    from packetlab.wire.numbers import (
        U53 as U53,
    )
    from packetlab.wire.numbers import (
        U54 as U54,
    )
    from packetlab.wire.numbers import (
        U55 as U55,
    )
    from packetlab.wire.numbers import (
        U56 as U56,
    )
    from packetlab.wire.numbers import (
        U57 as U57,
    )
    from packetlab.wire.numbers import (
        U58 as U58,
    )
    from packetlab.wire.numbers import (
        U59 as U59,
    )
    from packetlab.wire.numbers import (
        U60 as U60,
    )
    from packetlab.wire.numbers import (
        U61 as U61,
    )
    from packetlab.wire.numbers import (
        U62 as U62,
    )
    from packetlab.wire.numbers import (
        U63 as U63,
    )
    from packetlab.wire.numbers import (
        U64 as U64,
    )
    from packetlab.wire.numbers import (
        S16le as S16le,
    )
    from packetlab.wire.numbers import (
        S24le as S24le,
    )
    from packetlab.wire.numbers import (
        S32le as S32le,
    )
    from packetlab.wire.numbers import (
        S64le as S64le,
    )
    from packetlab.wire.numbers import (
        U16le as U16le,
    )
    from packetlab.wire.numbers import (
        U24le as U24le,
    )
    from packetlab.wire.numbers import (
        U32le as U32le,
    )
    from packetlab.wire.numbers import (
        U48le as U48le,
    )
    from packetlab.wire.numbers import (
        U64le as U64le,
    )
    from packetlab.wire.packet import (
        Packet as Packet,
    )
    from packetlab.wire.rules import (
        ahead as ahead,
    )
    from packetlab.wire.rules import (
        choose as choose,
    )
    from packetlab.wire.rules import (
        count_of as count_of,
    )
    from packetlab.wire.rules import (
        crc32 as crc32,
    )
    from packetlab.wire.rules import (
        crc32c as crc32c,
    )
    from packetlab.wire.rules import (
        field as field,
    )
    from packetlab.wire.rules import (
        has as has,
    )
    from packetlab.wire.rules import (
        internet_checksum as internet_checksum,
    )
    from packetlab.wire.rules import (
        next_protocol as next_protocol,
    )
    from packetlab.wire.rules import (
        size_of as size_of,
    )
    from packetlab.wire.rules import (
        xns_checksum as xns_checksum,
    )
    from packetlab.wire.transport import (
        SCTP as SCTP,
    )
    from packetlab.wire.transport import (
        TCP as TCP,
    )
    from packetlab.wire.transport import (
        UDP as UDP,
    )
    from packetlab.wire.transport import (
        VXLAN as VXLAN,
    )
    from packetlab.wire.transport import (
        TCPFlags as TCPFlags,
    )
    from packetlab.wire.transport import (
        TCPOption as TCPOption,
    )
    from packetlab.wire.walk import (
        Fault as Fault,
    )
    from packetlab.wire.websocket import (
        Opcode as Opcode,
    )
    from packetlab.wire.websocket import (
        WebSocketFrame as WebSocketFrame,
    )
    from packetlab.wire.websocket import (
        mask as mask,
    )
    from packetlab.wire.xns import (
        IDP as IDP,
    )
    from packetlab.wire.xns import (
        PEX as PEX,
    )
    from packetlab.wire.xns import (
        RIP as RIP,
    )
    from packetlab.wire.xns import (
        SPP as SPP,
    )
    from packetlab.wire.xns import (
        Control as Control,
    )
    from packetlab.wire.xns import (
        Echo as Echo,
    )
    from packetlab.wire.xns import (
        Error as Error,
    )
    from packetlab.wire.xns import (
        ErrorNumber as ErrorNumber,
    )
    from packetlab.wire.xns import (
        PacketType as PacketType,
    )
    from packetlab.wire.xns import (
        RIPEntry as RIPEntry,
    )

__version__ = "0.1.0"

# Names are imported when they are first used: a program pays for what it names, and `packetlab --help` for nothing.
_WHERE = {
    name: module
    for module, names in {
        "packetlab.capture": ("Capture Frame Writer "),
        "packetlab.engine.contract": ("Endpoint Engine Event Ignored "),
        "packetlab.engine.idp": ("Node "),
        "packetlab.engine.spp": ("Connection "),
        "packetlab.engine.spp_listener": ("Listener "),
        "packetlab.engine.spp_timing": ("Timing "),
        "packetlab.errors": (
            "BuildError CaptureError DeclareError DissectError LocalProtocolError NeedsPrivilege "
            "PacketlabError RemoteProtocolError Stalled "
        ),
        "packetlab.link.impairment": ("Impairment "),
        "packetlab.link.interface": ("Interface "),
        "packetlab.networks": ("Lab LocalHost SimNetwork "),
        "packetlab.sockets": ("accept bind close connect create listen read write "),
        "packetlab.link.memory": ("memory_wire "),
        "packetlab.link.rawip": ("RawIPSocket "),
        "packetlab.link.replay": ("replay "),
        "packetlab.view.ladder": ("ladder "),
        "packetlab.wire.addresses": ("XNSAddress "),
        "packetlab.wire.bindings": ("bindings "),
        "packetlab.wire.dissect": ("dissect "),
        "packetlab.wire.ethernet": (
            "HDLC CiscoHDLC PPPLink BSDLoop BSDNull Ether LLC LinuxSLL LinuxSLL2 MPLS PPP PPPoE RawIP SNAP VLAN "
        ),
        "packetlab.wire.explain": ("Verdict "),
        "packetlab.wire.fields": (
            "IPv4Address IPv6Address MAC Octets Payload Rest XNSAddressField auto bits const default many "
            "octets pad sized when "
        ),
        "packetlab.wire.filter": ("compile_filter "),
        "packetlab.wire.header": ("Header "),
        "packetlab.wire.ip": (
            "ARP ARPOperation AuthenticationHeader DestinationOptions Fragment GRE HopByHop ICMP ICMPType "
            "ICMPv6 ICMPv6Echo ICMPv6Error ICMPv6Type IPOption IPv4 IPv4Flags IPv6 IPv6Option ListenerMessage "
            "ListenerRecord ListenerReport NDOption NeighborAdvertisement NeighborSolicitation Redirect "
            "RouterAdvertisement RouterSolicitation Routing "
        ),
        "packetlab.wire.numbers": (
            "S16 S16le S24 S24le S32 S32le S64 S64le S8 U1 U10 U11 U12 U13 U14 U15 U16 U16le U17 U18 U19 U2 "
            "U20 U21 U22 U23 U24 U24le U25 U26 U27 U28 U29 U3 U30 U31 U32 U32le U33 U34 U35 U36 U37 U38 U39 "
            "U4 U40 U41 U42 U43 U44 U45 U46 U47 U48 U48le U49 U5 U50 U51 U52 U53 U54 U55 U56 U57 U58 U59 U6 "
            "U60 U61 U62 U63 U64 U64le U7 U8 U9 "
        ),
        "packetlab.wire.packet": ("Packet "),
        "packetlab.wire.rules": (
            "ahead choose count_of crc32 crc32c field has internet_checksum next_protocol size_of xns_checksum "
        ),
        "packetlab.wire.transport": ("SCTP TCP TCPFlags TCPOption UDP VXLAN "),
        "packetlab.wire.walk": ("Fault "),
        "packetlab.wire.websocket": ("Opcode WebSocketFrame mask "),
        "packetlab.wire.xns": ("Control Echo Error ErrorNumber IDP PEX PacketType RIP RIPEntry SPP "),
    }.items()
    for name in names.split()
}

__all__ = [*_WHERE]  # noqa: PLE0605


def __getattr__(name: str) -> object:
    from importlib import import_module

    if name not in _WHERE:
        raise AttributeError(f"packetlab has no {name!r}")
    value = globals()[name] = getattr(import_module(_WHERE[name]), name)
    return value


def __dir__() -> list[str]:
    return [*globals(), *_WHERE]
