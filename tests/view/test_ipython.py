"""Everything at the end of a notebook's cell, through IPython's own formatter: it shows itself, and nothing raises there."""

from __future__ import annotations

import subprocess
import sys

import pytest

import packetlab as pl
from packetlab import TCP, UDP, Ether, IPv4
from tests.view.cells import cell
from tests.view.hostile import check_harmless

PACKET = Ether() / IPv4() / UDP() / b"<script>alert(1)</script>"


def network() -> pl.SimNetwork:
    net = pl.SimNetwork()
    net.link(net.host("a"), net.host("b"))
    return net


MEMORY = pl.Capture.of([PACKET])
THINGS = {
    "packet": PACKET,
    "header": PACKET[UDP],
    "frame": pl.Frame(bytes(PACKET)),
    "capture": MEMORY,
    "table": MEMORY.table("ip.src"),
    "difference": PACKET.diff(PACKET.replace(IPv4, ttl=3)),
    "ladder": pl.ladder(MEMORY),
    "diagram": pl.diagram(UDP),
    "network": network(),
    "host": network().host("c"),
    "header class": TCP,
}


@pytest.mark.parametrize("name", THINGS)
def test_it_shows_itself_as_text_and_html(name: str) -> None:
    shown = cell(THINGS[name])
    assert shown["text/plain"]
    check_harmless(shown["text/html"])


def test_a_header_class_shows_its_diagram_and_a_class_without_fields_its_name() -> None:
    assert cell(UDP)["text/plain"] == str(pl.diagram(UDP))
    assert "svg" in cell(UDP)["text/html"]
    assert cell(pl.Header)["text/plain"] == repr(pl.Header)
    assert cell([UDP])["text/plain"] == f"[{UDP!r}]"


@pytest.mark.slow
@pytest.mark.parametrize("first", ["packetlab", "IPython"])
def test_it_does_whichever_of_the_two_was_imported_first(first: str) -> None:
    second = {"packetlab": "IPython", "IPython": "packetlab"}[first]
    program = (
        f"import {first}, {second}; from IPython.core.interactiveshell import InteractiveShell;"
        "print(sorted(InteractiveShell.instance().display_formatter.format(packetlab.UDP)[0]))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['text/html', 'text/plain']"


PATTERNS = {
    "dport              between(1, 2)": UDP(dport=pl.between(1, 2)),
    "ttl                any_value": IPv4(ttl=pl.any_value) / UDP(),
    "dport              one_of(80, 443)": Ether() / TCP(dport=pl.one_of(80, 443)),
    "src                same_as('client')": IPv4(src=pl.same_as("client")),
    "id                 masked(": IPv4(id=pl.masked(7, 3)),
    "options            any_value": IPv4(options=pl.any_value) / b"data",
}


@pytest.mark.parametrize("line", PATTERNS)
def test_a_pattern_shows_what_it_wants_and_that_it_has_no_bytes(line: str, capsys) -> None:
    pattern = PATTERNS[line]
    assert line in cell(pattern)["text/plain"] and "cannot be built: " in str(pattern.show())
    check_harmless(cell(pattern)["text/html"])
    pl.show(pattern)
    assert line in capsys.readouterr().out


def test_a_packet_whose_values_do_not_fit_shows_why() -> None:
    shown = cell(UDP() / bytes(70000))["text/plain"]
    assert shown.endswith("cannot be built: UDP.length: expected 0..65535, got 70008")


def test_a_capture_whose_file_is_gone_says_so(tmp_path) -> None:
    path = tmp_path / "gone.pcap"
    with pl.Writer(path) as writer:
        writer.write(PACKET)
    capture = pl.Capture(path)
    path.unlink()
    shown = cell(capture)
    assert "No such file" in shown["text/plain"] and "No such file" in shown["text/html"]
