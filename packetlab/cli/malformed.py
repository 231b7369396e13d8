"""`packetlab malformed`: the catalogue of malformed packets of one given in words."""

from __future__ import annotations

from argparse import Namespace

from packetlab.cli.arguments import OK, Command, complain


def add(command: Command) -> None:
    """Declare the command and its options."""
    malformed = command("malformed", _run, "list what may be wrong with a packet, and write such packets to a file")
    malformed.add_argument(
        "packet", metavar="PACKET", help="""a sound one, such as 'Ether() / IPv4(dst="10.0.0.2") / UDP(dport=9)'"""
    )
    malformed.add_argument(
        "-w", metavar="FILE", dest="write", help="write them, each with its name as comment (pcapng)"
    )
    malformed.add_argument("--list", action="store_true", dest="names", help="print the names alone, one a line")


def _run(args: Namespace) -> int:
    from packetlab.capture import Frame, Writer
    from packetlab.errors import BuildError
    from packetlab.export.malformed import malformed
    from packetlab.protocols.linktypes import linktype_of
    from packetlab.schema.literal import read_packet

    cases = malformed(read_packet(args.packet))
    if args.names:
        print("\n".join(case.id for case in cases))
    elif not args.write:
        for case in cases:
            print(f"{case.id:<36} {case.what}")
            said = [str(fault) for fault in case.faults] + [f"{name} is {v.name.lower()}" for name, v in case.verdicts]
            for line in said or (["nothing: the wire permits it"] if case.exact else []):
                print(f"{'':<36}   to be reported: {line}")
            if not case.exact:
                print(f"{'':<36}   what lies above is read from other bytes, which may report more")
    if args.write and cases:
        linktype = linktype_of(cases[0].first)
        if linktype is None:
            name = cases[0].first.__name__ if cases[0].first else "nothing"
            raise BuildError("malformed -w", "a first header that has a link type, such as Ether", name)
        with Writer(args.write) as writer:
            for number, case in enumerate(cases):
                writer.write(Frame(case.data, number * 1_000_000, linktype, comment=case.id))
        complain(f"wrote {len(cases)} packets to {args.write}")
    return OK
