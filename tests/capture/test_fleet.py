"""Fleets: many captures as one, whoever does the work; a broken one ends nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from packetlab import U16, U32, UDP, BuildError, Capture, CaptureError, Ether, Frame, Header, IPv4, bindings, scan
from packetlab.capture.tables.columns import Columns
from packetlab.declare.registry import bind
from tests.conftest import CORPUS, ROOT

COUNT = 30


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder of captures of several kinds, three of them broken."""
    place = tmp_path / "captures"
    (place / "deep").mkdir(parents=True)
    for number in range(COUNT):
        frames = [
            Frame(bytes(Ether() / IPv4(src=number, dst=i) / UDP(sport=number, dport=i) / b"x"), i)
            for i in range(number)
        ]
        kind = ("pcap", "pcapng", "pcap.gz", "pcapng.zst")[number % 4]
        Capture.of(frames).write(place / ("deep" if number % 2 else "") / f"c{number:02}.{kind}")
    (place / "zz-cut.pcap").write_bytes((CORPUS / "web.pcap").read_bytes()[:-3])
    (place / "zz-empty.pcap").write_bytes(b"")
    (place / "zz-text.pcapng").write_text("no capture at all")
    (place / "notes.txt").write_text("not looked at")
    return place


def rows(blocks: Iterator[Columns]) -> dict[str, list[Any]]:
    found = list(blocks)
    return {name: [value for block in found for value in block[name].tolist()] for name in found[0].names}


def check(fleet: Any, folder: Path) -> None:
    got = rows(fleet.table("file", "udp.sport", "udp.dport"))
    whole = sum(range(COUNT)) + 23
    assert len(got["file"]) == whole
    ours = [
        pair
        for pair, name in zip(zip(got["udp.sport"], got["udp.dport"], strict=True), got["file"], strict=True)
        if "zz" not in name
    ]
    assert sorted(ours) == [(number, i) for number in range(COUNT) for i in range(number)]
    of_files = [name for name in got["file"] if "zz" not in name]
    assert of_files == sorted(of_files) and len(of_files) == sum(range(COUNT))
    for name, sport in zip(got["file"], got["udp.sport"], strict=True):
        if "zz" not in name:
            assert f"c{sport:02}." in name
    assert [(Path(f.path).name, f.rows) for f in fleet.failures] == [
        ("zz-cut.pcap", 23), ("zz-empty.pcap", 0), ("zz-text.pcapng", 0),
    ]  # fmt: skip
    assert "expected a record" in fleet.failures[0].error


def test_a_folder_in_processes_of_its_own(folder: Path) -> None:
    fleet = scan(folder, batch_octets=4000)
    assert len(fleet) == COUNT + 3 and len(fleet.batches()) > 3
    check(fleet, folder)


def test_any_executor_does(folder: Path) -> None:
    with ThreadPoolExecutor(3) as executor:
        check(scan(folder, executor=executor, batch_octets=4000), folder)
    check(scan(folder, workers=1), folder)


def test_a_cluster_does(folder: Path, tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed")
    options = {
        "n_workers": 2,
        "processes": True,
        "threads_per_worker": 1,
        "dashboard_address": None,
        "host": "127.0.0.1",
    }
    with (
        distributed.LocalCluster(**options, local_directory=str(tmp_path)) as cluster,
        distributed.Client(cluster) as client,
    ):
        executor = client.get_executor()
        fleet = scan(folder, executor=executor, batch_octets=4000)
        check(fleet, folder)
        assert set(fleet.map(count_and_process).__next__()[1:][0]) == {"frames", "process"}
        processes = {result["process"] for _, result in fleet.map(count_and_process)}
        assert os.getpid() not in processes and len(processes) == 2


def count_and_process(capture: Capture) -> dict[str, int]:
    return {"frames": capture.count(), "process": os.getpid()}


def test_functions_of_captures_and_their_failures(folder: Path) -> None:
    fleet = scan(folder, workers=2, batch_octets=4000)
    counts = {Path(path).name: result["frames"] for path, result in fleet.map(count_and_process)}
    assert counts["c03.pcapng.zst"] == 3 and len(counts) == COUNT
    assert [Path(f.path).name for f in fleet.failures] == ["zz-cut.pcap", "zz-empty.pcap", "zz-text.pcapng"]
    assert list(fleet.map(divide)) == [] and "ZeroDivisionError" in fleet.failures[0].error
    assert "of divide" in str(fleet.failures[0])


def divide(capture: Capture) -> float:
    return 1 / 0


def test_shards_and_a_manifest(folder: Path, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    out = tmp_path / "out"
    fleet = scan(folder, workers=2, batch_octets=4000)
    manifest = fleet.write_parquet(out, "file", "time_ns", "ip.src", "udp.dport", where="udp.dport >= 5")
    expected = sum(max(0, number - 5) for number in range(COUNT))
    assert manifest.rows == expected and len(manifest.failures) == 3
    assert sorted(os.listdir(out)) == sorted([*manifest.shards, "manifest.json"])
    tables = [parquet.read_table(out / name) for name in manifest.shards]
    assert sum(table.num_rows for table in tables) == expected
    assert all(min(table["udp.dport"].to_pylist()) >= 5 for table in tables)
    kept = json.loads((out / "manifest.json").read_text())
    assert kept["failures"][0]["rows"] == 0 and len(kept["files"]) == COUNT + 3
    assert "3 failures" in str(manifest)


class Tick(Header):
    """Declared by the program; workers of another kind learn of it as data."""

    station: U32 = 0
    number: U16 = 0


def test_a_header_of_ones_own_goes_along(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        """
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from packetlab import Capture, Ether, Frame, Header, U16, U32, scan

if __name__ == "__main__":
    class Tick(Header, under=Ether, when={"type": 0x88B5}):
        station: U32 = 0
        number: U16 = 0

    for i in range(3):
        Capture.of([Frame(bytes(Ether() / Tick(station=i, number=n))) for n in range(4)]).write(f"{sys.argv[1]}/t{i}.pcap")
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as executor:
        fleet = scan(sys.argv[1] + "/t*.pcap", executor=executor, batch_octets=1)
        print([block[name].tolist() for block in fleet.table("tick.station", Tick.number, where=Tick(number=3)) for name in block])
"""
    )
    done = subprocess.run(
        [sys.executable, str(program), str(tmp_path)], capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.stdout.strip() == "[[0], [3], [1], [3], [2], [3]]", done.stderr


def test_prototypes_of_ones_own_in_threads(tmp_path: Path) -> None:
    with bindings():
        bind(Tick, Ether, {"type": 0x88B6})
        Capture.of([Frame(bytes(Ether() / Tick(number=n))) for n in range(4)]).write(tmp_path / "t.pcap")
        (block,) = scan(tmp_path, workers=1).table(Tick.number, where=Tick(number=2))
        assert block["tick.number"].tolist() == [2]


def test_files_elsewhere_go_through_fsspec() -> None:
    fsspec = pytest.importorskip("fsspec")
    memory = fsspec.filesystem("memory")
    for name in ("web.pcap", "dns53.pcap"):
        memory.pipe(f"/fleet/{name}", (CORPUS / name).read_bytes())
    fleet = scan("memory://fleet/*.pcap", workers=1)
    assert [file.path for file in fleet.files] == ["memory:///fleet/dns53.pcap", "memory:///fleet/web.pcap"]
    got = rows(fleet.table("file", "ip.src"))
    assert len(got["ip.src"]) == 25 and got["file"][0] == "memory:///fleet/dns53.pcap"
    memory.rm("/fleet", recursive=True)
    with pytest.raises(CaptureError, match="an address that fsspec knows"):
        scan("nowhere://a/b.pcap")


def test_what_is_not_there_or_cannot_go_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="a readable file"):
        scan(tmp_path / "none.pcap")
    assert len(scan(str(tmp_path / "*.pcap"))) == 0 and list(scan(str(tmp_path / "*.pcap")).table("ip")) == []
    with pytest.raises(BuildError, match="did you mean"):
        next(scan(CORPUS / "web.pcap").table("ipp"))
    with pytest.raises(BuildError, match="a filter in words"):
        next(scan(CORPUS / "web.pcap").table("ip", where=lambda packet: True))


def test_what_is_written_on_the_way_is_whole(tmp_path: Path) -> None:
    fleet = scan([CORPUS / "web.pcap", CORPUS / "dns53.pcap"], workers=1)
    assert fleet.octets == sum(os.path.getsize(file.path) for file in fleet.files)
    (block,) = fleet.table("ip.src", "time_ns", pcap="tcp")
    assert block.rows == 24 and fleet.failures == []


def test_two_headers_of_one_name_are_no_hindrance(tmp_path: Path) -> None:
    with bindings():
        made = [
            type(Header)("Twin", (Header,), {"__annotations__": {"a": U16}, "__module__": f"part{i}"}) for i in range(2)
        ]
        assert len(made) == 2
        (block,) = scan(CORPUS / "web.pcap", workers=1).table("ip.src")
        assert block.rows == 24
