"""NetFlow v9 (RFC 3954) and IPFIX (RFC 7011): templates, options templates, and records that lie as an earlier packet told."""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import Annotated, Any

import pytest

from packetlab import (
    U1,
    U16,
    U32,
    UDP,
    Capture,
    Context,
    Ether,
    Frame,
    Header,
    IPv4,
    IPv4Address,
    IPv6Address,
    Named,
    Packet,
    Records,
    Rest,
    TemplateRecord,
    auto,
    bits,
    count_of,
    dissect,
    field,
    laid_out,
    many,
    recalled,
    sender,
    size_of,
    when,
)
from tests.protocols.oracle import Ask, alike, cut, family, packets_of, spoilt
from tests.protocols.scope import Scope

with (scope := Scope()):

    class Element(IntEnum):
        """Of RFC 7012, whose first numbers are those of NetFlow v9."""

        OCTETS, PACKETS, PROTOCOL, SOURCE_PORT, SOURCE, DESTINATION_PORT, DESTINATION = 1, 2, 4, 7, 8, 11, 12
        SOURCE_V6, SAMPLING_INTERVAL, INTERFACE_NAME = 27, 34, 82

    KINDS: dict[Any, Any] = {
        Element.SOURCE: IPv4Address, Element.DESTINATION: IPv4Address, Element.SOURCE_V6: IPv6Address,
        Element.INTERFACE_NAME: str,
    }  # fmt: skip

    class FlowSet(Header):
        id: U16 = 0
        length: U16 = auto(size_of("self"))

    class Unknown(FlowSet, when={"id": range(2, 256)}):
        data: Rest = b""

    # NetFlow v9 ----------------------------------------------------------------------------------------------

    class Specifier(Header):
        type: Annotated[Named[Element], bits(16)]
        length: U16

    V9 = "netflow9", sender(), field("NetFlow9.source_id"), field("id")

    class Template(Header, remembers={V9: field("fields")}):
        id: U16 = 256
        count: U16 = auto(count_of("fields"))
        fields: tuple[Specifier, ...] = many(count=field("count"))

    class Templates(FlowSet, when={"id": 0}):
        templates: tuple[Template, ...] = many()

    class OptionsTemplate(Header, remembers={V9: (field("scopes"), field("options"))}):
        id: U16 = 257
        scope_length: U16 = auto(size_of("scopes"))
        option_length: U16 = auto(size_of("options"))
        scopes: tuple[Specifier, ...] = many(size=field("scope_length"))
        options: tuple[Specifier, ...] = many(size=field("option_length"))

    class OptionsTemplates(FlowSet, when={"id": 1}):
        templates: tuple[OptionsTemplate, ...] = many(align=4)

    class Data(FlowSet, when=field("id") > 255):
        records: Records = laid_out(recalled(*V9), size="length", kinds=KINDS, align=4)

    class NetFlow9(Header, under=UDP, when={"dport": 2055}):
        version: U16 = 9
        count: U16 = auto(count_of("sets.templates") + count_of("sets.records"))  # all records of all sets, RFC 3954 section 5.1
        uptime_ms: U32 = 0
        time: U32 = 0
        sequence: U32 = 0
        source_id: U32 = 0
        sets: tuple[FlowSet, ...] = many()

    # IPFIX ---------------------------------------------------------------------------------------------------

    class Information(Header):
        own: U1 = 0
        type: Annotated[Named[Element], bits(15)]
        length: U16
        enterprise: U32 | None = when(field("own"))

    FIX = "ipfix", sender(), field("IPFIX.domain"), field("id")

    class FixTemplate(Header, remembers={FIX: field("fields")}):
        id: U16 = 256
        count: U16 = auto(count_of("fields"))
        fields: tuple[Information, ...] = many(count=field("count"))

    class FixSet(Header):
        id: U16 = 0
        length: U16 = auto(size_of("self"))

    class FixTemplates(FixSet, when={"id": 2}):
        templates: tuple[FixTemplate, ...] = many()

    class FixOptions(Header, remembers={FIX: (field("scopes"), field("options"))}):
        """RFC 7011 section 3.4.2.2: the count is that of all fields, the first of which are the scope."""

        id: U16 = 257
        count: U16 = auto(count_of("scopes") + count_of("options"))
        scope_count: U16 = auto(count_of("scopes"))
        scopes: tuple[Information, ...] = many(count=field("scope_count"))
        options: tuple[Information, ...] = many(count=field("count") - field("scope_count"))

    class FixOptionsTemplates(FixSet, when={"id": 3}):
        templates: tuple[FixOptions, ...] = many(align=4)

    class FixUnknown(FixSet, when={"id": (0, 1, *range(4, 256))}):
        data: Rest = b""

    class FixData(FixSet, when=field("id") > 255):
        records: Records = laid_out(recalled(*FIX), size="length", enterprise="enterprise", kinds=KINDS, align=4)

    class IPFIX(Header, under=UDP, when={"dport": 4739}):
        version: U16 = 10
        length: U16 = auto(size_of("self"))
        time: U32 = 0
        sequence: U32 = 0
        domain: U32 = 0
        sets: tuple[FixSet, ...] = many()


def sent(message: Header, port: int, source: str = "10.0.0.1") -> Packet:
    return Ether() / IPv4(src=source, dst="10.0.0.2") / UDP(sport=40000, dport=port) / message


SPECIFIERS = (Specifier(type=Element.SOURCE, length=4), Specifier(type=Element.DESTINATION, length=4),
              Specifier(type=Element.SOURCE_PORT, length=2), Specifier(type=Element.OCTETS, length=4),
              Specifier(type=Element.PROTOCOL, length=1))  # fmt: skip
FLOWS = (
    TemplateRecord({"SOURCE": "10.1.1.1", "DESTINATION": "10.1.1.2", "SOURCE_PORT": 1024, "OCTETS": 44_000, "PROTOCOL": 6}),
    TemplateRecord({Element.SOURCE: "10.1.1.3", 12: "10.1.1.4", 7: 53, 1: 99, 4: 17}),
)


def netflow() -> list[Packet]:
    """Built in one context: records of a template sent before, with it, and after it was replaced; options."""
    with Context():
        found = [
            sent(NetFlow9(source_id=7, sets=(Templates(templates=(Template(fields=SPECIFIERS),)),)), 2055),
            sent(NetFlow9(source_id=7, sequence=1, sets=(Data(id=256, records=FLOWS),)), 2055),
            sent(NetFlow9(source_id=7, sequence=2, sets=(
                OptionsTemplates(templates=(OptionsTemplate(
                    scopes=(Specifier(type=1, length=4),), options=(Specifier(type=Element.SAMPLING_INTERVAL, length=4),)),)),
                Data(id=257, records=(TemplateRecord({1: 1, Element.SAMPLING_INTERVAL: 100}),)),
            )), 2055),
            sent(NetFlow9(source_id=7, sequence=3, sets=(
                Templates(templates=(Template(fields=(Specifier(type=Element.PACKETS, length=8),)),)),
                Data(id=256, records=(TemplateRecord({Element.PACKETS: 5}),)),
            )), 2055),
        ]  # fmt: skip
        return [dissect(bytes(one)) and one for one in found]


def ipfix() -> list[Packet]:
    fields = (Information(type=Element.SOURCE_V6, length=16), Information(type=Element.INTERFACE_NAME, length=0xFFFF),
              Information(own=1, type=1, length=4, enterprise=29305), Information(type=Element.OCTETS, length=3))  # fmt: skip
    sizes = {"eth0": 70_000, "": 1, "x" * 300: 2}
    flows = tuple([TemplateRecord({"SOURCE_V6": "2001:db8::1", "INTERFACE_NAME": name, (29305, 1): 8, "OCTETS": size}) for name, size in sizes.items()])
    with Context():
        found = [sent(IPFIX(domain=3, sets=(FixTemplates(templates=(FixTemplate(fields=fields),)),)), 4739),
                 sent(IPFIX(domain=3, sequence=0, sets=(FixData(id=256, records=flows),)), 4739)]  # fmt: skip
        return [dissect(bytes(one)) and one for one in found]


def sets(packet: Packet, wanted: Any) -> list[Any]:
    message = packet.get(NetFlow9) or packet.get(IPFIX)
    return [one for one in message.sets if isinstance(one, wanted)] if message is not None else []


def records(packet: Packet) -> list[TemplateRecord]:
    return [record for one in sets(packet, (Data, FixData)) for record in one.records]


def of(element: int) -> Callable[[Packet], list[object]]:
    return lambda packet: [record[element] for record in records(packet) if element in record]


def octets(packet: Packet) -> list[object]:
    """Return octets, those of the other direction too (RFC 5103: enterprise 29305), as tshark lists them."""
    return [value for record in records(packet) for number, value in record.pairs if number in (1, (29305, 1))]


def test_templates_of_captures_read_like_tshark(tshark: Ask) -> None:
    found = alike(tshark, family("netflow-ipfix/arkime_synthetic.pcap"), {
        "cflow.flowset_id": lambda p: [one.id for one in sets(p, FlowSet)] + [one.id for one in sets(p, FixSet)],
        "cflow.template_id": lambda p: [t.id for one in sets(p, (Templates, FixTemplates)) for t in one.templates],
        "cflow.template_field_length": lambda p: [f.length for s in sets(p, (Templates, FixTemplates)) for t in s.templates for f in t.fields],
        "cflow.source_id": lambda p: p[NetFlow9].source_id if NetFlow9 in p and p[NetFlow9].version == 9 else None,
    })  # fmt: skip
    ours = [packet for packet in found if sets(packet, (Templates, FixTemplates))]
    assert len(ours) == 4
    for packet in ours:
        assert not packet.faults


def test_options_templates_of_ipfix_read_like_tshark(tshark: Ask) -> None:
    """One of two fields, a scope and an option; records of it; and a set of a number that is nobody's (RFC 7011 section 3.3.2)."""
    with Context():
        template = FixOptions(scopes=(Information(type=149, length=4),), options=(Information(type=Element.SAMPLING_INTERVAL, length=4),))
        packet = sent(IPFIX(sets=(
            FixOptionsTemplates(templates=(template,)),
            FixData(id=257, records=(TemplateRecord({149: b"\0\0\0\1", Element.SAMPLING_INTERVAL: 100}),)),
            FixUnknown(id=77, data=b"abcd"),
            FixData(id=257, records=(TemplateRecord({149: b"\0\0\0\2", Element.SAMPLING_INTERVAL: 200}),)),
        )), 4739)  # fmt: skip
        data = bytes(packet)
    (found,) = alike(tshark, [data], {
        "cflow.flowset_id": lambda p: [one.id for one in sets(p, FixSet)],
        "cflow.template_id": lambda p: [t.id for one in sets(p, FixOptionsTemplates) for t in one.templates],
        "cflow.sampling_interval": of(Element.SAMPLING_INTERVAL),
    })  # fmt: skip
    assert not found.faults
    (read,) = sets(found, FixOptionsTemplates)[0].templates
    assert (read.count, read.scope_count, read.scopes[0].type, read.options[0].type) == (2, 1, 149, Element.SAMPLING_INTERVAL)
    assert [record[Element.SAMPLING_INTERVAL] for record in records(found)] == [100, 200]


def test_records_that_we_send_read_like_tshark(tshark: Ask) -> None:
    readings = {
        "cflow.srcaddr": of(Element.SOURCE), "cflow.dstaddr": of(Element.DESTINATION), "cflow.srcport": of(Element.SOURCE_PORT),
        "cflow.octets": octets, "cflow.protocol": of(Element.PROTOCOL), "cflow.packets": of(Element.PACKETS),
        "cflow.sampling_interval": of(Element.SAMPLING_INTERVAL), "cflow.srcaddrv6": of(Element.SOURCE_V6),
        "cflow.if_name": lambda p: [r[82] for r in records(p) if r.get(82)],  # tshark has no empty ones
    }  # fmt: skip
    packets = [*netflow()[:2], *ipfix()]
    found = alike(tshark, packets, readings)
    assert [len(records(packet)) for packet in found] == [0, 2, 0, 3]
    alike(tshark, netflow()[3:], {"cflow.packets": of(Element.PACKETS)})
    alike(tshark, netflow()[2:3], {"cflow.sampling_interval": lambda p: [r[34] for r in records(p) if 34 in r]})


def test_records_come_back_as_they_were_sent_and_are_built_again() -> None:
    context, frames = Context(), [bytes(packet) for packet in [*netflow(), *ipfix()]]
    found = [dissect(data, context=context) for data in frames]
    assert [len(records(packet)) for packet in found] == [0, 2, 1, 1, 0, 3]
    assert [packet.faults for packet in found] == [()] * 6
    assert [packet.encode() for packet in found] == frames
    assert dict(records(found[1])[1]) == {8: IPv4Address_("10.1.1.3"), 12: IPv4Address_("10.1.1.4"), 7: 53, 1: 99, 4: 17}
    assert records(found[5])[2]["INTERFACE_NAME"] == "x" * 300
    assert records(found[5])[0][29305, 1] == 8
    again = found[1].replace({"netflow9.sets.data.records": [FLOWS[0]]})  # by the template that it was read with
    assert len(records(dissect(bytes(again), context=dissected(frames[:1])))) == 1


def IPv4Address_(text: str) -> object:  # noqa: N802  as the class is called
    return IPv4(src=text).src


def dissected(frames: list[bytes]) -> Context:
    context = Context()
    for data in frames:
        dissect(data, context=context)
    return context


def test_the_count_of_records_follows(tshark: Ask) -> None:
    packets = netflow()
    found = alike(tshark, [bytes(packet) for packet in packets], {"cflow.count": lambda p: p[NetFlow9].count})
    assert [packet[NetFlow9].count for packet in found] == [1, 2, 2, 2]
    both = NetFlow9(sets=(Templates(templates=(Template(fields=SPECIFIERS),) * 2), Data(id=256, records=FLOWS), Unknown(id=77, data=b"abcd")))
    with Context():
        data = bytes(both)
    read = dissect(data, NetFlow9, context=Context())
    assert (read[NetFlow9].count, read.faults) == (4, ())
    with Context():
        assert dissect(bytes(read.replace({"netflow9.sets.data.records": FLOWS[:1]})), NetFlow9, context=Context())[NetFlow9].count == 3
    (captured,) = {p[NetFlow9].count for p in packets_of("netflow-ipfix/arkime_synthetic.pcap") if sets(p, Templates)}
    assert captured == 1


def test_without_its_template_a_set_stays_bytes_with_a_fault() -> None:
    first, second = (bytes(packet) for packet in netflow()[:2])
    for context, got in ((None, "no context"), (Context(), "none")):
        packet = dissect(second, context=context)
        (fault,) = packet.faults
        assert (fault.layer, fault.field) == ("NetFlow9", "sets")
        assert "netflow9(sender() = 0a.00.00.01:40000, NetFlow9.source_id = 7, id = 256), remembered from an earlier packet" in fault.expected
        assert fault.got.startswith(got)
        assert (records(packet), bytes(packet), packet.encode()) == ([], second, second)
    other = bytes(sent(NetFlow9(source_id=8, sets=(Templates(templates=(Template(fields=SPECIFIERS),)),)), 2055))
    assert dissect(second, context=dissected([other])).faults  # the template of another source
    assert not dissect(second, context=dissected([first])).faults


def test_a_capture_reads_them_in_any_order() -> None:
    capture = Capture.of([Frame(bytes(packet), number * 10**9) for number, packet in enumerate([*netflow(), *ipfix()])])
    counts = {i: len(records(capture[i].packet())) for i in (5, 1, 3, 2, 1)}
    assert counts == {5: 3, 1: 2, 3: 1, 2: 1}
    assert [frame.number for frame in capture.where(lambda packet: bool(records(packet)))] == [2, 3, 4, 6]
    (data,) = sets(capture[1].packet(), Data)
    assert "remembered from packet 1 at 0.000000000 s" in str((data / b"").why(Data, "records"))


@pytest.mark.parametrize(("left", "faults"), [(b"", []), (b"\0\0", []), (b"\1", ["sets"]), (bytes(14), []), (bytes(13) + b"\1", ["sets"])])
def test_what_fills_up_is_zeros_and_less_than_a_record(left: bytes, faults: list[str]) -> None:
    head, body = bytes(netflow()[0]), bytes(15) * 2 + left
    message = bytes(NetFlow9(source_id=7, sets=(Unknown(id=255, data=body),))).replace(b"\0\xff", b"\1\0", 1)
    data = bytes(Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=40000, dport=2055) / message)
    packet = dissect(data, context=dissected([head]))
    assert len(records(packet)) == 2
    assert [fault.field for fault in packet.faults] == faults
    assert bytes(packet) == packet.encode() == data


@pytest.mark.parametrize("wanted", [NetFlow9, IPFIX])
def test_any_bytes(wanted: type[Header]) -> None:
    packets = [dissect(bytes(packet), context=Context()) for packet in (netflow() if wanted is NetFlow9 else ipfix())]
    assert f"{wanted.__name__}.sets" in cut(packets, wanted)
    spoilt(packets, wanted)
