"""Values of another form than the packed one, as tshark shows them: what we say they are."""

from __future__ import annotations

import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Annotated

import pytest

import packetlab as pl
from packetlab import (
    F16,
    F64,
    GUID,
    U8,
    UUID,
    Ether,
    F32le,
    Header,
    NTPShort,
    NTPTime,
    Text,
    UnixTimeNs,
    Writer,
    auto,
    bindings,
    scaled,
    size_of,
    text,
    time,
)  # fmt: skip


@pytest.mark.skipif(shutil.which("tshark") is None, reason="no tshark")
def test_wireshark_shows_the_users_form(tmp_path: Path) -> None:
    with bindings():

        class Probe(Header, under=Ether, when={"type": 0x88B5}):
            half: F16 = -2.5
            level: F32le = 0.5
            exact: F64 = 1e300
            delay: Annotated[float, scaled(12, 1 / 256, unit="s")] = 1.5
            words: Annotated[int, scaled(4, 4)] = 20
            temp: Annotated[float, scaled(16, "0.01", offset=-40, signed=True)] = -40.25
            sent: NTPTime = "2024-01-01T00:00:00.123456789Z"  # type: ignore[assignment]
            late: NTPTime = datetime(2040, 1, 1, tzinfo=UTC)
            logged: UnixTimeNs = "2024-01-01T00:00:00.987654321Z"  # type: ignore[assignment]
            file: Annotated[datetime, time(64, epoch="1601-01-01", unit=Fraction(1, 10**7), little=True)] = datetime(2024, 1, 1, tzinfo=UTC)
            spread: NTPShort = timedelta(seconds=1.5)
            id: UUID = "6ba7b810-9dad-11d1-80b4-00c04fd430c8"  # type: ignore[assignment]
            guid: GUID = "6ba7b810-9dad-11d1-80b4-00c04fd430c8"  # type: ignore[assignment]
            host: Annotated[str, text("ascii", size=8, pad=b"\0")] = "box"
            size: U8 = auto(size_of("name"))
            name: Text = "h\u00e9llo"
            wide: Annotated[str, text("utf-16-le", size=8)] = "wide"

        (tmp_path / "probe.lua").write_text(str(pl.wireshark(Probe)))
        with Writer(tmp_path / "probe.pcap") as writer:
            writer.write(bytes(Ether() / Probe()))
    names = ["half", "level", "exact", "delay", "words", "temp", "sent", "late", "logged", "file", "spread", "id", "guid", "host", "name", "wide"]
    words = ["tshark", "-n", "-X", f"lua_script:{tmp_path / 'probe.lua'}", "-r", str(tmp_path / "probe.pcap"), "-T", "fields"]
    done = subprocess.run(
        [*words, *(word for name in names for word in ("-e", f"probe.{name}"))], capture_output=True, check=True, timeout=60,
        encoding="utf-8",
    )  # fmt: skip
    shown = dict(zip(names, done.stdout.rstrip("\n").split("\t"), strict=True))
    assert {name: float(shown[name]) for name in ("half", "level", "exact", "delay", "words", "temp", "spread")} == {
        "half": -2.5, "level": 0.5, "exact": 1e300, "delay": 1.5, "words": 20, "temp": -40.25, "spread": 1.5,
    }  # fmt: skip
    assert shown["sent"].startswith("Jan  1, 2024 00:00:00.123456789") and shown["late"].startswith("Jan  1, 2040 00:00:00.0")
    assert shown["logged"].startswith("Jan  1, 2024 00:00:00.987654321") and shown["file"].startswith("Jan  1, 2024 00:00:00.0")
    assert shown["id"] == shown["guid"] == "6ba7b810-9dad-11d1-80b4-00c04fd430c8"
    assert (shown["host"], shown["name"], shown["wide"]) == ("box", "h\u00e9llo", "wide")
