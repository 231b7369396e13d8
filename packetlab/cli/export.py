"""`packetlab export`: a declaration in other forms: a dissector for Wireshark, a diagram."""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path

from packetlab.cli.arguments import OK, Command
from packetlab.codec.objects import AnyHeader
from packetlab.errors import DeclareError, PacketlabError, suggestion


def add(command: Command) -> None:
    """Declare the command and its options."""
    export = command("export", _none, "write declarations in another form: a dissector for Wireshark, a diagram")
    forms = export.add_subparsers(metavar="FORM", dest="form", required=True, help="what to write")
    for form, function, help in (
        (
            "wireshark",
            _wireshark,
            "a Wireshark dissector in Lua, for tshark -X lua_script:FILE or the folder of plugins",
        ),
        (
            "diagram",
            _diagram,
            "the bit ruler of headers as text, as a picture (-o FILE.svg), or a table of the fields (-o FILE.md)",
        ),
    ):
        sub = forms.add_parser(form, help=help, description=help)
        sub.set_defaults(function=function)
        sub.add_argument(
            "what", nargs="*", metavar="FILE.py|HEADER", help="a file that declares headers (it is run), or a name"
        )
        sub.add_argument(
            "--header",
            action="append",
            default=[],
            metavar="NAME",
            help="this header alone; 'xns' is that whole family",
        )
        sub.add_argument("-o", metavar="FILE", dest="output", help="where it goes, instead of standard output")


def _none(args: object) -> int:
    raise AssertionError("argparse asks for a form")


def chosen(what: list[str], names: list[str]) -> list[type[AnyHeader]]:
    """Return the header classes that files declare and names name; with names, the files only say where to find them.

    PacketlabError for a name of no header, or a file that declares none or cannot be run.
    """
    from packetlab.codec.objects import class_named, declared_classes
    from packetlab.protocols import dissect as _all, websocket as _websocket  # noqa: F401  every header is declared

    files = [word for word in what if word.endswith(".py")]
    names = [*names, *(word for word in what if not word.endswith(".py"))]
    found = [header for file in files for header in headers_of(file)]
    if not names:
        if not found:
            raise PacketlabError("export", "a file that declares headers, or the name of one", "nothing")
        return found
    picked: list[type[AnyHeader]] = []
    for name in names:
        if name.lower() == "xns":
            picked += [header for header in declared_classes() if header.__module__ == "packetlab.protocols.xns"]
            continue
        header = class_named(name)
        if header is None:
            known = [one.__name__ for one in declared_classes()]
            raise PacketlabError("export", "the name of a header", name, suggestion(name, known))
        picked.append(header)
    return list(dict.fromkeys(picked))


def headers_of(file: str) -> list[type[AnyHeader]]:
    """Run a file of Python's, which its user named, and return the header classes it declares, in order."""
    import runpy

    from packetlab.codec.objects import declared_classes

    path = Path(file)
    try:
        path.read_bytes()
    except OSError as error:
        raise DeclareError(file, "a readable file", error.strerror or error) from None
    before = set(declared_classes())
    sys.path.insert(0, str(path.resolve().parent))
    try:
        runpy.run_path(str(path), run_name=path.stem)
    except PacketlabError:
        raise
    except (Exception, SystemExit) as error:
        raise DeclareError(file, "a file that runs", f"{type(error).__name__}: {error}") from error
    finally:
        sys.path.pop(0)
    found = [
        header
        for header in declared_classes()
        if header not in before and not header.__module__.startswith("packetlab.")
    ]
    if not found:
        raise DeclareError(file, "headers declared in it", "none")
    return found


def _wireshark(args: Namespace) -> int:
    from packetlab.export.wireshark.wireshark import wireshark

    _write(wireshark(*chosen(args.what, args.header)), args.output)
    return OK


def _diagram(args: Namespace) -> int:
    from packetlab.export.diagram import diagram

    headers = chosen(args.what, args.header)
    drawn = [diagram(header) for header in headers]
    ending = Path(args.output or "").suffix
    if ending == ".svg":
        if len(drawn) > 1:
            names = ", ".join(header.__name__ for header in headers)
            raise PacketlabError("export diagram", "one header for a picture", names, "--header NAME")
        _write(drawn[0].svg(), args.output)
    elif ending == ".md":
        pairs = zip(headers, drawn, strict=True)
        _write("\n".join(f"## {header.__name__}\n\n{one.markdown()}" for header, one in pairs), args.output)
    else:
        pairs = zip(headers, drawn, strict=True)
        _write("\n\n".join(f"{header.__name__}\n{one}" for header, one in pairs) + "\n", args.output)
    return OK


def _write(text: str, output: str | None) -> None:
    if output:
        Path(output).write_text(text, encoding="utf-8")
    else:
        sys.stdout.write(text)
