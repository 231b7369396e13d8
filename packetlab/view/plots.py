"""Plots with matplotlib (``pip install 'packetlab[plot]'``): rates, sequence numbers, round trips, sizes, lateness.

Each is called with what it shows and, if one likes, the axes to draw on; it returns the axes. ``plot.data(...)`` gives
the numbers alone, and needs no matplotlib (see `series`).
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import cleandoc
from typing import TYPE_CHECKING

from packetlab.errors import PacketlabError
from packetlab.view import series
from packetlab.view.series import Columns

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class Plot:
    """A plot: ``plot(source, ax=None, **options)`` draws and returns the axes, ``plot.data(source, **options)`` the numbers."""

    def __init__(self, data: Callable[..., Columns], draw: Callable[[Axes, Columns], object]) -> None:
        self.data, self._draw = data, draw
        self.__name__ = f"plot_{data.__name__}"
        words = cleandoc(data.__doc__ or "")  # what the compiler leaves of the indentation varies with its version
        self.__doc__ = f"{words}\n\nCalled, it draws them: on the axes `ax` where given, and returns the axes."

    def __call__(self, source: object, ax: Axes | None = None, **options: object) -> Axes:
        columns = self.data(source, **options)
        ax = _axes(self.__name__) if ax is None else ax
        self._draw(ax, columns)
        return ax

    def __repr__(self) -> str:
        return f"<{self.__name__}(source, ax=None)>"


def _axes(name: str) -> Axes:
    try:
        from matplotlib import pyplot
    except ImportError:
        hint = "pip install 'packetlab[plot]'; or take the numbers: .data(...)"
        raise PacketlabError(name, "the package matplotlib", "none", hint) from None
    ax: Axes = pyplot.subplots(figsize=(8, 4.5), layout="constrained")[1]
    return ax


def _rate(ax: Axes, columns: Columns) -> None:
    unit, name = _scaled(columns["bits_per_second"].max() if len(columns["time"]) else 0)
    ax.step(columns["time"], columns["bits_per_second"] / unit, where="post", color="C0", label=f"{name}bit/s")
    ax.set(xlabel="time (s)", ylabel=f"{name}bit/s", title="rate")
    ax.set_ylim(bottom=0)
    frames = ax.twinx()
    frames.step(
        columns["time"], columns["frames_per_second"], where="post", color="C1", linestyle=":", label="frames/s"
    )
    frames.set_ylabel("frames/s")
    frames.set_ylim(bottom=0)
    lines = [*ax.get_lines(), *frames.get_lines()]
    frames.legend(lines, [str(line.get_label()) for line in lines], loc="upper right")


def _scaled(most: float) -> tuple[float, str]:
    return next(((unit, name) for unit, name in ((1e9, "G"), (1e6, "M"), (1e3, "k")) if most >= unit), (1.0, ""))


def _sequence(ax: Axes, columns: Columns) -> None:
    for what, colour, label in (("data", "C0", "data"), ("again", "C3", "sent again")):
        those = columns["what"] == what
        if those.any():
            time, low, high = (columns[name][those] for name in ("time", "low", "high"))
            ax.vlines(time, low, high, colors=colour, linewidth=2, label=label)
            ax.plot(time, high, linestyle="", marker=7 if what == "data" else "x", markersize=4, color=colour)
    for what, colour, label in (("ack", "C2", "acknowledged"), ("limit", "C1", "allowed")):
        those = columns["what"] == what
        if those.any():
            ax.step(columns["time"][those], columns["high"][those], where="post", color=colour, label=label)
    ax.set(xlabel="time (s)", ylabel="number since the first", title="sequence numbers")
    if len(columns["time"]):
        ax.legend(loc="upper left")


def _round_trips(ax: Axes, columns: Columns) -> None:
    for flow in sorted(set(columns["flow"].tolist())):
        those = columns["flow"] == flow
        milliseconds = columns["seconds"][those] * 1000
        ax.plot(columns["time"][those], milliseconds, marker=".", linewidth=0.8, label=f"direction {flow + 1}")
    ax.set(xlabel="time (s)", ylabel="round trip (ms)", title="round-trip times")
    ax.set_ylim(0, 1100 * max(columns["seconds"], default=0.001))
    if 0 < len(set(columns["flow"].tolist())) <= 8:
        ax.legend(loc="upper right")


def _sizes(ax: Axes, columns: Columns) -> None:
    ax.bar(columns["low"], columns["frames"], width=columns["high"] - columns["low"], align="edge", edgecolor="white")
    ax.set(xlabel="bytes on the wire", ylabel="frames", title="sizes")


def _lateness(ax: Axes, columns: Columns) -> None:
    import numpy as np

    late = np.sort(columns["seconds"]) * 1e6
    ax.step(late, np.arange(1, len(late) + 1) / max(1, len(late)) * 100, where="post")
    ax.set(xlabel="late by at most (us)", ylabel="frames (%)", title="lateness of a replay", ylim=(0, 101))


plot_rate = Plot(series.rate, _rate)
plot_sequence = Plot(series.sequence, _sequence)
plot_round_trips = Plot(series.round_trips, _round_trips)
plot_sizes = Plot(series.sizes, _sizes)
plot_lateness = Plot(series.lateness, _lateness)
