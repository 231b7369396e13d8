"""Headers whose texts and members of enums are hostile go through every output: nothing acts, nothing is run."""

from __future__ import annotations

import base64
import re
from enum import IntEnum, IntFlag
from pathlib import Path
from typing import Annotated, Any
from xml.etree import ElementTree

import pytest

import packetlab as pl
from packetlab import U8, U16, BuildError, Capture, Ether, Header, Rest, Writer, bindings, bits, const, diagram, dissect
from packetlab.cli import main
from packetlab.declare.kinds import Named
from packetlab.export import dpkt_class, scapy_class
from packetlab.schema.dump import describe
from packetlab.schema.load import HeaderDescription, to_json
from tests.view.cells import cell
from tests.view.hostile import HOSTILE, check_harmless, check_printable

RUN = "__import__('pathlib').Path('pwned').touch()"
NASTY = [HOSTILE, f"'+{RUN}+'", f'"+{RUN}+"', f"]] {RUN} --[[", f"\n{RUN}\n", f"{{{RUN}}}", "a|b`c", "&lt;"]


def hostile() -> type[Header]:
    """A header as somebody makes it of a table that somebody else wrote."""
    kinds: Any = IntEnum("Kinds " + HOSTILE.replace("\0", ""), {name: number for number, name in enumerate(NASTY)})  # type: ignore[misc]
    flags: Any = IntFlag(f"Flags '+{RUN}+'", {name: 1 << number for number, name in enumerate(NASTY)})  # type: ignore[misc]
    body = {
        "__module__": f"mod'+{RUN}+'", "__qualname__": f"q'+{RUN}+'.Evil", "__doc__": "\n".join(NASTY),
        "__annotations__": {"kind": Annotated[Named[kinds], bits(8)], "flags": Annotated[Named[flags], bits(8)], "fixed": Annotated[Named[kinds], bits(8)], "rest": Rest},
        "kind": 1, "flags": 3, "fixed": const(2), "rest": b"\x1b[2J<b>",
    }  # fmt: skip
    return type(Header)("Evil", (Header,), body, under=Ether, when={"type": 0xB1B1})


@pytest.fixture
def evil(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)
    with bindings():
        yield hostile()
    assert not list(tmp_path.rglob("pwned"))


def frames(evil: type[Header]) -> list[Any]:
    broken = bytearray(bytes(Ether() / evil()))
    broken[16] = 0  # the constant is another
    return [
        Ether() / evil(),
        *(Ether() / evil(kind=n, flags=1 << n) for n in range(len(NASTY))),
        dissect(bytes(broken)),
    ]


def test_it_is_built_read_and_shown(evil: type[Header]) -> None:
    for packet in frames(evil):
        for _ in range(40):  # often enough for functions of its own
            read = dissect(bytes(packet))
            assert bytes(read) == bytes(packet) and read[evil].rest == b"\x1b[2J<b>"
        for one in (packet, read, read[evil]):
            check_printable(str(one.show()))
            check_printable(repr(one))
        check_printable("\n".join(str(read.why(evil, name)) for name in ("kind", "flags", "rest")))
        check_printable("\n".join(map(str, read.faults)))
        check_harmless(cell(read)["text/html"])
    with pytest.raises(BuildError) as caught:
        evil(kind="\x1b[2J")
    check_printable(str(caught.value))
    with pytest.raises(BuildError) as caught:
        evil(kind=999)
    check_printable(str(caught.value))


def test_its_diagram_and_help_are_only_text(evil: type[Header]) -> None:
    drawn = diagram(evil)
    check_printable(str(drawn))
    check_printable(drawn.markdown())
    assert len({len(re.findall(r"(?<!\\)\|", line)) for line in drawn.markdown().splitlines()}) == 1
    ElementTree.fromstring(drawn.svg())  # noqa: S314  our own
    check_printable(drawn.svg())
    assert not re.search(r"<(script|img|a|foreignObject)\b|\son\w+=", drawn.svg())
    html = cell(drawn)["text/html"]
    check_harmless(html)
    picture = re.search(r"base64,([^\"]*)", html)
    assert picture and base64.b64decode(picture[1]).decode() == drawn.svg()
    check_printable(evil.__doc__ or "")


def test_it_becomes_classes_of_other_libraries(evil: type[Header]) -> None:
    data = bytes(evil())
    check_printable(scapy_class(evil)(data).show(dump=True))
    assert bytes(scapy_class(evil)(data)) == data == bytes(dpkt_class(evil)(data))
    check_printable(repr(dpkt_class(evil)(data)))
    check_printable(f"{scapy_class(evil).__doc__} {dpkt_class(evil).__doc__}")


def test_it_travels_as_text_or_is_refused(evil: type[Header]) -> None:
    text = str(HeaderDescription([describe(evil)], 0))
    check_printable(text)
    assert text.startswith("# ") and "expected a name" in text  # its members are no names
    assert to_json([{"name": "Fine", "fields": [], "doc": "\n".join(NASTY)}]).isascii()
    check_printable(str(HeaderDescription([{"name": "Fine", "fields": [], "doc": "\n".join(NASTY)}], 0)))


def test_it_is_printed_by_the_command_line(
    evil: type[Header], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Writer(tmp_path / "a.pcapng") as writer:
        for packet in frames(evil):
            writer.write(packet)
    for words in (
        ["show", "-V", "a.pcapng"],
        ["show", "a.pcapng"],
        ["table", "-e", "evil.kind", "-e", "evil.rest", "a.pcapng"],
        ["ladder", "a.pcapng"],
    ):
        main(words)
        out, err = capsys.readouterr()
        check_printable((out + err).replace("\t", " "))
        assert out
    check_harmless(cell(Capture("a.pcapng").table("evil.kind", "evil.flags", "evil.rest"))["text/html"])


def test_a_described_text_is_escaped_in_help_and_in_the_diagram() -> None:
    with bindings():
        (made,) = pl.declare_from(
            {"name": "Fine", "fields": [{"name": "a", "kind": "int", "bits": 16}], "doc": "\n".join(NASTY)}
        )
        check_printable(made.__doc__ or "")
        check_printable(str(diagram(made)))
        assert issubclass(made, Header) and U16 is not U8
