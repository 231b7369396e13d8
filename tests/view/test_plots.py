"""What plots show, held against tshark's own figures; that they are drawn, and that the numbers need no matplotlib."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, strategies as st

import packetlab as pl
from packetlab.view import plots
from packetlab.view.series import _Line
from tests.conftest import CORPUS
from tests.view.test_ladder import frames, spp, talked, tcp

Tshark = Callable[..., list[list[str]]]
HTTP = CORPUS / "4KHttpRequests.pcap"
TCPS = [
    CORPUS / name for name in ("retransmit-fast009.pcap", "web.pcap", "one_http_stream_fin.pcap", "4KHttpRequests.pcap")
]
PLOTS = [pl.plot_rate, pl.plot_sequence, pl.plot_round_trips, pl.plot_sizes]


@pytest.fixture(autouse=True)
def no_window() -> Any:
    import matplotlib

    matplotlib.use("Agg")
    yield
    from matplotlib import pyplot

    pyplot.close("all")


def whole(table: dict[str, Any]) -> list[tuple[Any, ...]]:
    return list(zip(*(column.tolist() for column in table.values()), strict=True))


# Numbers ------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("every", [0.1, 7.0, None])
def test_a_rate_is_what_was_captured_in_each_interval(every: float | None, tshark: Tshark) -> None:
    rows = [(float(time), int(size)) for time, size in tshark(HTTP, "frame.time_relative", "frame.len")]
    table = pl.plot_rate.data(pl.Capture(HTTP), every=every)
    width = table["time"][1]
    assert every in (None, width)
    assert every or 40 <= len(table["time"]) <= 101
    counted = Counter[int]()
    for time, size in rows:
        counted[int(time / width + 1e-9)] += size
    assert {n: round(bits * width / 8) for n, bits in enumerate(table["bits_per_second"].tolist()) if bits} == counted
    assert round(table["frames_per_second"].sum() * width) == len(rows)


def test_sizes_are_those_of_the_wire(tshark: Tshark) -> None:
    expected = Counter(int(size) // 50 * 50 for (size,) in tshark(HTTP, "frame.len"))
    table = pl.plot_sizes.data(pl.Capture(HTTP), width=50)
    assert {low: count for low, high, count in whole(table) if count} == expected
    assert (table["high"] - table["low"] == 50).all()


def test_frames_without_a_time_have_a_size_but_no_rate() -> None:
    timeless = [pl.Frame(bytes(100), None)] * 3
    assert len(pl.plot_rate.data(timeless)["time"]) == 0
    assert pl.plot_sizes.data(timeless)["frames"].sum() == 3


@pytest.mark.slow
@pytest.mark.parametrize("path", TCPS, ids=lambda path: path.name)
def test_sequence_numbers_are_tsharks(path: Any, tshark: Tshark) -> None:
    names = (
        "tcp.stream",
        "ip.src",
        "frame.time_relative",
        "tcp.seq",
        "tcp.len",
        "tcp.ack",
        "tcp.window_size_value",
        "tcp.flags",
    )
    rows = [row for row in tshark(path, *names, options=("-o", "tcp.relative_sequence_numbers:FALSE")) if row[0]]
    carried = Counter[tuple[str, str]]()
    for stream, source, _, _, size, *_ in rows:
        carried[stream, source] += int(size)
    (stream, source), _ = carried.most_common(1)[0]
    expected: dict[str, list[tuple[float, int, int]]] = {"data": [], "ack": [], "limit": []}
    first: int | None = None
    for each, ip, time, seq, size, ack, window, flags in rows:
        kinds = int(flags, 16)
        if each != stream or kinds & 4:
            continue
        if ip == source:
            if first is None or kinds & 2:
                first = int(seq)
            low = int(seq) - first
            high = low + int(size) + bool(kinds & 1) + bool(kinds & 2)
            if high > low:
                expected["data"].append((float(time), low, high))
        elif first is not None and kinds & 16:
            number = int(ack) - first
            expected["ack"].append((float(time), number, number))
            expected["limit"].append((float(time), number + int(window), number + int(window)))
    table = whole(pl.plot_sequence.data(pl.Capture(path)))
    for what, wanted in expected.items():
        found = [
            (time, low, high) for time, kind, low, high in table if kind == what or (kind, what) == ("again", "data")
        ]
        assert [row[1:] for row in found] == [row[1:] for row in wanted], what
        assert [row[0] for row in found] == pytest.approx([row[0] for row in wanted], abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("path", TCPS[:3], ids=lambda path: path.name)
def test_round_trips_are_among_tsharks(path: Any, tshark: Tshark) -> None:
    rows = tshark(path, "frame.time_relative", "tcp.analysis.ack_rtt")
    theirs = {round(float(time), 6): float(rtt) for time, rtt in (row for row in rows if len(row) == 2 and row[1])}
    ours = {round(time, 6): seconds for time, seconds, _ in whole(pl.plot_round_trips.data(pl.Capture(path)))}
    both = theirs.keys() & ours.keys()
    assert len(both) >= 0.75 * len(theirs) > 0  # the rest answers what was sent twice
    assert {time: ours[time] for time in both} == pytest.approx({time: theirs[time] for time in both}, abs=2e-6)


def test_what_was_sent_twice_is_timed_by_nobody() -> None:
    captured = frames(tcp(0), tcp(0), tcp(0, 0, back=True, ack=100), tcp(100), tcp(0, 0, back=True, ack=200))
    assert whole(pl.plot_round_trips.data(captured)) == [(0.004, pytest.approx(0.001), 0)]


def test_spp_counts_packets_and_shows_what_is_allocated() -> None:
    answer = spp(0, control="SYSTEM", ack=2, alloc=5)
    back = answer.replace(pl.IDP, src=answer[pl.IDP].dst, dst=answer[pl.IDP].src).replace(
        pl.SPP, source_id=2, destination_id=1
    )
    table = pl.plot_sequence.data(frames(spp(0), spp(1), spp(1), back))
    assert [row[1:] for row in whole(table)] == [
        ("data", 0, 1),
        ("data", 1, 2),
        ("again", 1, 2),
        ("ack", 2, 2),
        ("limit", 6, 6),
    ]


def test_the_reader_chooses_the_direction() -> None:
    captured = frames(tcp(0, 500), tcp(0, 7, back=True, ack=0))
    assert [row[1:] for row in whole(pl.plot_sequence.data(captured, of=pl.TCP(sport=80)))] == [("data", 0, 7)]


@given(st.integers(0, 65535), st.lists(st.integers(-300, 300)))
def test_numbers_run_on_where_they_wrap(first: int, steps: list[int]) -> None:
    line, true, highest = _Line(1 << 16, first), 0, 0
    for step in steps:
        true = max(highest - 30_000, true + step)
        highest = max(highest, true)
        assert line.at((first + true) & 0xFFFF) == true


# Drawings -----------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("plot", PLOTS, ids=repr)
@pytest.mark.parametrize(
    "source", [pl.Capture(CORPUS / "web.pcap"), [], talked()], ids=["capture", "nothing", "network"]
)
def test_each_is_drawn_on_axes_of_its_own_or_those_given(plot: plots.Plot, source: Any) -> None:
    from matplotlib import pyplot

    mine = pyplot.subplots()[1]
    assert plot(source, mine) is mine
    other = plot(source, ax=None)
    assert other is not mine
    assert other.get_title()
    assert other.get_xlabel()
    assert other.get_ylabel()
    drawn = [*other.get_lines(), *other.patches, *other.collections]
    assert bool(drawn) or source == []
    other.figure.canvas.draw()


def test_the_lateness_of_a_replay() -> None:
    here, _ = pl.memory_wire()
    report = pl.replay(pl.Capture(CORPUS / "web.pcap"), onto=here, speed=1000.0, progress=False)
    table = pl.plot_lateness.data(report)
    assert table["frame"].tolist() == [*range(1, 25)]
    assert max(table["seconds"]) == report.lateness_ns["max"] / 1e9
    assert pl.plot_lateness(report).get_lines()
    pl.plot_lateness(pl.replay([], onto=here, topspeed=True, progress=False))


def test_wrong_options_are_refused() -> None:
    for wrong in (lambda: pl.plot_rate.data([], every=0), lambda: pl.plot_sizes.data([], width=0)):
        with pytest.raises(pl.BuildError, match="expected"):
            wrong()
    with pytest.raises(pl.BuildError, match="intervals at most"):
        pl.plot_rate.data([pl.Frame(b"", 0), pl.Frame(b"", 10**18)], every=1e-3)


def test_without_matplotlib_the_error_names_the_extra_and_the_numbers_are_there() -> None:
    program = (
        "import sys; sys.modules['matplotlib'] = None; import packetlab as pl;"
        "print(pl.plot_sizes.data([pl.Frame(bytes(70))])['frames'].tolist()); pl.plot_sizes([])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "[0, 1]\n"
    assert "packetlab[plot]" in done.stderr.splitlines()[-1]
