"""packetlab: declare a header once; build, dissect, send, capture and replay packets with it.

Folders are layers: each imports itself and those above it in this list (tests/test_layers.py holds it).

    declare/    the language, and one header as data: declaration and plan
    codec/      one packet, compiled from plans: bytes <-> headers
    packet/     headers and packets as users have them; pattern/ what they match
    protocols/  the protocols we declare
    bulk/       many packets at once: columns, scans, variations
    schema/     declarations as data, in files
    engine/     protocol rules without input and output: SPP, IDP, RIP, packet exchange, WebSocket
    capture/    captures: files, tables, filters, rewriting, flows, fleets, reassembly
    export/     one declaration, many forms: scapy, dpkt, Wireshark, diagrams, Hypothesis, malformed packets
    link/       moving frames and time: interfaces, a rootless lab, a simulated network, replay
    view/       how all of it shows itself: HTML, ladders, plots, dumps
    network/    hosts: engines on one side, ports on the other; sockets/ the eight verbs over them
    testing/    expectations, golden captures, replayed peers; pytest_plugin.py
    cli/        the command line, a file a command; demo.py what `packetlab demo` does
    errors, escaping, hooks, renamed    what all of them use

`__init__.pyi` lists what users meet, this file the functions of higher layers that lower ones call (`hooks`); everything else
is in its module.

>>> from packetlab import UDP, Ether, IPv4, dissect
>>> dissect(bytes(Ether() / IPv4() / UDP(dport=9) / b"hi"))[UDP].dport
9
"""

from packetlab.hooks import HOOKS as _HOOKS

__version__ = "0.1.0"

# The stub beside this file lists the public names, for type checkers and for us. A name is imported when it is first used: a
# program pays for what it names, and `packetlab --help` for nothing.
_WHERE = {
    name.split(" as ")[1].strip(): f"packetlab{module}"
    for line in __loader__.get_data(f"{__path__[0]}/__init__.pyi").decode().split("\nfrom packetlab")[1:]
    for module, names in [line.split(" import ", 1)]
    for name in (names[1 : names.index(")")] if names[0] == "(" else names.split("\n")[0]).split(",")
    if " as " in name
}

# What lower layers use of those above them (see `hooks`): methods written there, and the classes that generated readers make.
_HOOKS.update(
    Anomalies="packetlab.packet.anomalies",
    Packet="packetlab.packet.packet",
    around_writer="packetlab.codec.around.list_writing",
    as_packet="packetlab.packet.coerce",
    check="packetlab.bulk.verify",
    condition_on_text="packetlab.declare.values.said",
    class_pretty="packetlab.view.display",
    encode_items="packetlab.codec.encode",
    measured="packetlab.codec.bodies",
    settled="packetlab.codec.places.compressing",
    heaped="packetlab.codec.places.heaps",
    laying="packetlab.codec.places.laying",
    parse_inside="packetlab.codec.transforms.inside",
    reader_inside="packetlab.codec.transforms.inside",
    bytes_inside="packetlab.declare.transforms.raws",
    counterpart="packetlab.export.bridges.counterparts",
    declare_all="packetlab.protocols.linktypes",
    diff="packetlab.packet.diff",
    dissect="packetlab.protocols.dissect",
    dump="packetlab.view.packets",
    edited="packetlab.pattern.edits",
    edits="packetlab.pattern.edits",
    replaced_as_found="packetlab.pattern.edits",
    first_header="packetlab.protocols.linktypes",
    fragments="packetlab.protocols.pieces",
    further_headers="packetlab.protocols.streams.messages",
    further_summary="packetlab.protocols.streams.messages",
    headers="packetlab.export.strategies",
    is_end="packetlab.codec.readback",
    in_full="packetlab.export.diagram",
    deep="packetlab.export.bridges.decoders",
    messages_of="packetlab.protocols.streams.messages",
    mimebundle="packetlab.view.display",
    on_scapy="packetlab.export.bridges.scapy_bridge",
    reasons="packetlab.pattern.replies",
    field_offsets="packetlab.packet.offsets",
    respelled="packetlab.packet.explain",
    rest_lines="packetlab.protocols.streams.messages",
    rich_text="packetlab.view.display",
    segments="packetlab.protocols.pieces",
    show="packetlab.packet.words.show",
    signature="packetlab.export.diagram",
    to_dpkt="packetlab.export.bridges.dpkt_bridge",
    to_scapy="packetlab.export.bridges.scapy_bridge",
    vary="packetlab.bulk.vary",
    verdict="packetlab.packet.verdicts.verdict",
    verdicts="packetlab.packet.verdicts.verdict",
    why="packetlab.packet.words.why",
    why_not="packetlab.pattern.match",
)

# A program of the first edition may begin with a star import, and finds its own names there; `dir` has today's alone.
__all__ = [*_WHERE, "Octets", "octets"]  # noqa: PLE0604  names in a table


def __getattr__(name: str) -> object:
    from importlib import import_module

    if name not in _WHERE:
        from packetlab.renamed import NAMES, is_used, warn

        if name in NAMES:
            if is_used(2):
                warn(f"packetlab.{name}", f"packetlab.{NAMES[name]}")
            return getattr(import_module(_WHERE[NAMES[name]]), NAMES[name])
        raise AttributeError(f"packetlab has no {name!r}")
    module = import_module(_WHERE[name])
    if not hasattr(module, name):  # a module of its own, such as strategies
        import_module(f"{_WHERE[name]}.{name}")
    value = globals()[name] = getattr(module, name)
    return value


def __dir__() -> list[str]:
    return [*globals(), *_WHERE]
