"""What shows itself in a notebook, and how it is reached: packets, headers, frames, captures, tables, differences."""

from __future__ import annotations

import io
import subprocess
import sys
from typing import Annotated, Any

import pytest
from hypothesis import given, strategies as st

import packetlab as pl
from packetlab.declare.kinds import Int
from packetlab.packet.offsets import field_offsets
from packetlab.view import display
from packetlab.view.display import text_of
from packetlab.view.packets import bit_text
from tests.conftest import CORPUS
from tests.view.cells import cell, html_of
from tests.view.hostile import ALL, HOSTILE, check_harmless, check_printable, read

TCP = pl.dissect(
    bytes(
        pl.Ether(dst="02:00:00:00:00:02")
        / pl.IPv4(src="10.0.0.1", dst="10.0.0.2", ttl=3)
        / pl.TCP(sport=40000, dport=80, options=(pl.TCPOption(kind=1), pl.TCPOption(kind=2, data=b"ab")))
        / HOSTILE.encode()
    )
    + b"<i>"
)


class Columns:
    """A table as the views know it: names, and the first rows of each column."""

    names = ("ip.src", "<b>note</b>")

    def __init__(self, size: int) -> None:
        self.size = size

    def head(self, rows: int) -> dict[str, list[Any]]:
        rows = min(rows, self.size)
        return {"ip.src": [f"10.0.0.{n}" for n in range(rows)], "<b>note</b>": [HOSTILE] * rows}

    def __len__(self) -> int:
        return self.size


FRAME = pl.Frame(
    bytes(TCP), 1_700_000_000_123_456_789, comment=(HOSTILE, "second"),
    interface=pl.capture.InterfaceDescription(1, 0, HOSTILE, HOSTILE), number=7,
)  # fmt: skip
THINGS: dict[str, Any] = {
    "packet": TCP,
    "header": pl.IPv4(ttl=3),
    "frame": FRAME,
    "capture": pl.Capture.of([FRAME] * 3),
    "difference": TCP.diff(TCP.replace(payload=b"other").replace(pl.IPv4, ttl=9)),
    "table": Columns(3),
    "nothing": pl.Packet(),
    "faulty": pl.dissect(bytes(TCP)[:40]),
}


@pytest.mark.parametrize("name", THINGS)
def test_each_is_text_and_html_with_nothing_hostile_in_it(name: str) -> None:
    thing = THINGS[name]
    check_printable(text_of(thing))
    check_harmless(display.html_of(thing))  # of a table too, which shows itself in its library's own way
    assert text_of(thing)


@pytest.mark.parametrize("name", [name for name in THINGS if name != "table"])
def test_notebooks_find_both_on_the_object_itself(name: str) -> None:
    thing = THINGS[name]
    assert cell(thing) == {
        "text/plain": text_of(thing), "text/html": display.html_of(thing),
    }  # fmt: skip


@pytest.mark.parametrize("name", [name for name in THINGS if name != "table"])
def test_rich_prints_each_in_colour(name: str) -> None:
    from rich.console import Console

    out = io.StringIO()
    Console(file=out, force_terminal=True, width=200).print(THINGS[name])
    plain = io.StringIO()
    Console(file=plain, width=200).print(THINGS[name])
    check_printable(plain.getvalue())
    assert ("\x1b[" in out.getvalue()) == (name in ("packet", "header", "faulty", "difference"))
    assert "\x1b[2J" not in out.getvalue()


def test_a_wrong_checksum_is_red_in_a_terminal() -> None:
    text = TCP.replace(pl.TCP, checksum=1).__rich__()
    red = [text.plain[span.start : span.end].split() for span in text.spans if span.style == "red"]
    assert red == [["checksum", "0x0001", "bad", "given"]]


def test_views_are_loaded_when_something_is_shown_and_not_before() -> None:
    program = (
        "import sys, packetlab as pl; p = pl.Ether() / pl.IPv4() / b''; before = 'packetlab.view.display' in sys.modules;"
        "p._repr_mimebundle_(); print(before, 'packetlab.view.display' in sys.modules, 'rich' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True", "False"]


# Packets ------------------------------------------------------------------------------------------------------


def test_a_packet_says_every_field_its_bytes_its_bits_and_its_state() -> None:
    words = read(html_of(TCP)).words
    for said in ("IPv4", "10.0.0.1", "ttl", "22", "0111 ....", ".... 0000", "captured", "good"):
        assert said in words, said
    assert "40000" in words
    assert words.index("34..35") > words.index("sport")


def test_a_row_and_its_bytes_and_bits_share_a_class_by_which_they_light_up() -> None:
    html = html_of(TCP)
    number = next(i for i, span in enumerate(field_offsets(TCP).spans) if span.field.name == "data_offset")
    users = [tag for tag, name, value in read(html).attributes if name == "class" and f"f{number}" in value.split()]
    assert users.count("tr") == 1
    assert users.count("span") == 4  # hexadecimal, text, bits, and the name beside the bits
    assert f":has(.f{number}:hover) .f{number}{{" in html


def test_two_packets_do_not_light_up_in_each_other() -> None:
    one, other = (html_of(packet).split("{")[0] for packet in (TCP, TCP.replace(pl.IPv4, ttl=4)))
    assert one != other
    assert html_of(TCP) == html_of(TCP)


def test_a_wrong_checksum_and_a_fault_stand_out() -> None:
    assert "checksum bad" in read(html_of(TCP.replace(pl.TCP, checksum=1))).words
    faulty = pl.dissect(bytes(TCP)[:40])
    assert "fault" in read(html_of(faulty)).words
    assert str(faulty.faults[0]) in " ".join(read(html_of(faulty)).words)


def test_a_long_packet_ends_somewhere() -> None:
    html = html_of(pl.IPv4() / bytes(60_000))
    assert "bytes more" in html
    assert len(html) < 120_000


def test_tables_have_captions_and_headings_for_those_who_hear_them() -> None:
    reader = read(html_of(TCP))
    assert reader.tags.count("caption") == reader.tags.count("table") > 0
    scopes = [value for tag, name, value in reader.attributes if tag == "th" and name == "scope"]
    assert len(scopes) == reader.tags.count("th")
    assert {"col", "row"} == set(scopes)


def test_what_is_left_without_style_is_still_a_dump() -> None:
    words = "".join(read(html_of(TCP)).words)
    assert "0020  00 02 9c 40 00 50" in words


def test_many_items_and_long_ones_end_somewhere() -> None:
    many = pl.IDP() / pl.RIP(entries=tuple(pl.RIPEntry(net=n) for n in range(5000)))
    assert "... 4968 more" in read(html_of(many)).words
    assert len(html_of(many)) < 300_000


def test_the_dump_has_bytes_and_the_bits_of_shared_ones() -> None:
    lines = repr(TCP.dump()).splitlines()
    assert lines[2].startswith("0020  0002 9c40 0050")
    assert [line.split() for line in lines if "IPv4: version" in line] == [
        ["14", "0100", "0101", "IPv4:", "version", "|", "ihl"]
    ]
    check_printable(TCP.dump())


def test_show_takes_what_shows_itself_and_foreign_packets(capsys: pytest.CaptureFixture[str]) -> None:
    from dpkt.ethernet import Ethernet
    from scapy.layers.inet import IP

    for thing in (TCP, Ethernet(bytes(TCP)), IP(bytes(TCP)[14:-3]), bytes(TCP)):
        pl.show(thing)
        out = capsys.readouterr().out
        assert "10.0.0.1" in out
        assert "40000" in out
        check_printable(out)


@pytest.mark.slow
@pytest.mark.parametrize("path", sorted(CORPUS.glob("*.pcap*")), ids=lambda path: path.name)
def test_any_packet_is_shown(path: Any) -> None:
    for frame in pl.Capture(path, strict=False)[:6]:
        check_harmless(html_of(frame))
        check_printable(text_of(frame))


# Where fields stand -------------------------------------------------------------------------------------------


def _raw_bits(packet: pl.Packet, span: Any) -> int:
    data = bytes(packet)
    return int.from_bytes(data, "big") >> len(data) * 8 - span.bit - span.bits & (1 << span.bits) - 1


@pytest.mark.slow
@pytest.mark.parametrize("path", sorted(CORPUS.glob("*.pcap*")), ids=lambda path: path.name)
def test_the_bits_of_each_field_are_where_it_is_said_to_stand(path: Any) -> None:
    for frame in pl.Capture(path, strict=False)[:60]:
        packet = frame.packet()
        where = field_offsets(packet)
        start, end = where.payload
        assert bytes(packet)[start:end] == packet.payload
        filled = sum(span.bits for span in where.spans) // 8 + end - start
        assert filled + sum(b - a for a, b in where.trailers.values()) == len(packet)
        for span in where.spans:
            raw = getattr(packet.layers[span.layer], span.field.slot)
            kind = span.field.kind
            if isinstance(kind, Int):
                number = raw & (1 << span.bits) - 1
                order: Any = "little" if kind.little else "big"
                expected = int.from_bytes(number.to_bytes(-(-span.bits // 8), order), "big")
            elif isinstance(raw, bytes):
                expected = int.from_bytes(raw, "big")
            else:
                continue
            assert _raw_bits(packet, span) == expected, span


class Odd(pl.Header):
    """Fields of odd widths, a part that comes and goes, a payload in the middle."""

    a: pl.U3 = 0
    b: pl.U13 = 0
    has_more: pl.U8 = 0
    more: pl.U24 = pl.when({"has_more": 1}, 0)
    payload: pl.Payload = b""
    check: Annotated[int, Int(16, little=True)] = 0


@pytest.mark.slow
@given(st.integers(0, 7), st.integers(0, 8191), st.booleans(), st.binary(max_size=40), st.integers(0, 65535))
def test_any_values_are_found_where_they_are_said_to_stand(a: int, b: int, more: bool, data: bytes, check: int) -> None:
    packet = (
        Odd(a=a, b=b, has_more=more, more=0x123456, check=check) / data if more else Odd(a=a, b=b, check=check) / data
    )
    found = {span.field.name: _raw_bits(packet, span) for span in field_offsets(packet).spans}
    swapped = int.from_bytes(check.to_bytes(2, "little"), "big")
    expected = {"a": a, "b": b, "has_more": int(more), "check": swapped} | ({"more": 0x123456} if more else {})
    assert found == expected


def test_bits_of_a_field_with_the_others_as_dots() -> None:
    packet = Odd(a=5, b=1) / b""
    a, b = field_offsets(packet).spans[:2]
    assert bit_text(bytes(packet), a) == "101. .... .... ...."[:9]
    assert bit_text(bytes(packet), b) == "...0 0000 0000 0001"


# Frames, captures, tables -------------------------------------------------------------------------------------


def test_a_frame_says_when_where_and_what_was_remarked() -> None:
    text = text_of(FRAME)
    assert "2023-11-14 22:13:20.123456789" in text
    assert "second" in text
    assert "\\x1b[2J" in text
    strange = text_of(pl.Frame(b"", 10**21))
    assert "1000000000000.000000000" in strange
    assert "time         -" in text_of(pl.Frame(b"", None))


def test_a_capture_comes_in_pages_and_ends() -> None:
    capture = pl.Capture.of(pl.Frame(bytes(TCP), n) for n in range(5000))
    reader = read(html_of(capture))
    assert reader.tags.count("table") == 5
    assert reader.tags.count("details") == 4
    assert reader.tags.count("tr") == 5 * 21
    assert "5000 frames" in text_of(capture)
    assert len(text_of(capture).splitlines()) == 23


def test_a_damaged_file_shows_what_is_whole_and_what_is_wrong(tmp_path: Any) -> None:
    path = tmp_path / "cut.pcap"
    whole = CORPUS.joinpath("web.pcap").read_bytes()
    path.write_bytes(whole[:400])
    assert "expected" in text_of(pl.Capture(path))
    check_harmless(html_of(pl.Capture(path)))
    assert "TCP" in html_of(pl.Capture(path))


class Pipe(io.BytesIO):
    """A file that cannot go back."""

    def seekable(self) -> bool:
        return False

    def seek(self, *_: Any) -> int:
        raise io.UnsupportedOperation("seek")

    def tell(self) -> int:
        raise io.UnsupportedOperation("tell")


def test_looking_at_a_pipe_takes_nothing_from_it() -> None:
    capture = pl.Capture(Pipe(CORPUS.joinpath("web.pcap").read_bytes()))
    assert "only once" in text_of(capture)
    assert capture.count() == 24


def test_a_table_shows_its_first_rows() -> None:
    assert text_of(Columns(3)).splitlines()[0].split() == ["ip.src", "<b>note</b>"]
    assert text_of(Columns(5000)).splitlines()[-1] == "the first 20 of 5000 rows"
    assert read(display.html_of(Columns(5000))).tags.count("tr") == 5 * 21


def test_a_table_of_a_capture_shows_values_as_people_read_them() -> None:
    table = pl.Capture(CORPUS / "web.pcap").table("ip.src", "tcp.flags", "udp.dport", "tcp.payload")
    for thing in (table, table.read()):
        lines = text_of(thing).splitlines()
        assert lines[1].split() == ["141.42.64.125", "SYN", "(0x02)", "b''"]
        check_harmless(html_of(thing))
        assert "125.190.109.199" in html_of(thing)
    assert text_of(table).endswith("the first 20 of more rows")
    assert text_of(table.read()).endswith("the first 20 of 24 rows")


def test_a_table_of_a_pipe_or_of_damage_is_no_error(tmp_path: Any) -> None:
    whole = CORPUS.joinpath("web.pcap").read_bytes()
    path = tmp_path / "cut.pcap"
    path.write_bytes(whole[:400])
    assert "expected" in text_of(pl.Capture(path).table("ip.src"))
    check_harmless(html_of(pl.Capture(path).table("ip.src")))
    pipe = pl.Capture(Pipe(whole))
    assert "only once" in text_of(pipe.table("ip.src"))
    assert pipe.count() == 24


def test_a_difference_says_both_sides_and_what_follows() -> None:
    words = read(html_of(TCP.diff(TCP.replace(pl.IPv4, ttl=9)))).words
    assert words[words.index("IPv4.ttl") : words.index("IPv4.ttl") + 3] == ["IPv4.ttl", "3", "9"]
    assert "follows from IPv4.ttl" in words
    assert read(html_of(TCP.diff(TCP))).words == ["no difference"]


@pytest.mark.slow
@given(st.sampled_from(ALL), st.binary(max_size=200))
def test_any_bytes_and_any_comment_are_harmless(comment: str, data: bytes) -> None:
    frame = pl.Frame(data, 0, comment=comment)
    check_harmless(html_of(frame))
    check_printable(text_of(frame))
