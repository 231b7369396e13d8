"""Fleets: many captures as one, whoever does the work; a broken one ends nothing."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from functools import cache
from itertools import product
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest

from packetlab import U16, U32, UDP, BuildError, Capture, CaptureError, Ether, Frame, Header, IPv4, bindings, scan
from packetlab.capture import InterfaceDescription
from packetlab.capture.fleet import worker
from packetlab.capture.fleet.pool import Pool
from packetlab.capture.index import part, splits
from packetlab.capture.tables.columns import Columns
from packetlab.capture.tables.table import Table
from packetlab.declare.registry import bind
from tests.capture import fleet_jobs
from tests.capture.fleet_jobs import count_and_process, divide, leave
from tests.conftest import CORPUS, ROOT
from tests.growth import steps

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


@pytest.mark.slow
def test_a_folder_in_processes_of_its_own(folder: Path) -> None:
    fleet = scan(folder, batch_bytes=4000)
    assert len(fleet) == COUNT + 3 and len(fleet.batches()) > 3
    check(fleet, folder)


@pytest.fixture(params=["alone", "beside a thread"])
def beside(request: pytest.FixtureRequest) -> Iterator[None]:
    """Workers are forks of a program without threads, and fresh processes of one with them."""
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    if request.param != "alone":
        thread.start()
    yield
    done.set()
    if thread.ident:
        thread.join()


@pytest.mark.slow
@pytest.mark.usefixtures("beside")
def test_where_a_worker_cannot_be_started_the_work_is_done_all_the_same(monkeypatch) -> None:
    fleet = scan([CORPUS / name for name in ("web.pcap", "dns53.pcap", "pppoe.pcap")], workers=2, batch_bytes=1)
    alone = rows(scan([file.path for file in fleet.files], workers=1).table("file", "wire_length").batches())
    start, children = BaseProcess.start, multiprocessing.active_children()

    def mapped() -> None:
        with closing(fleet.map(count_and_process)) as results:
            next(results)

    def tabled() -> None:
        assert rows(fleet.table("file", "wire_length").batches()) == alone

    for refused, work in product((1, 2), (tabled, mapped)):  # the first of two workers, or the second
        started = 0

        def refusing(process: BaseProcess, refused: int = refused) -> None:
            nonlocal started
            started += 1
            if started == refused:
                raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
            start(process)

        with monkeypatch.context() as patch:
            patch.setattr(BaseProcess, "start", refusing)
            patch.setattr(threading.Thread, "start", lambda thread: pytest.fail("a thread"))  # there may be no room
            work()
        assert started == refused and {*multiprocessing.active_children()} <= {*children}


ROOM = """
import os, resource, sys, threading
import packetlab as pl

def rows(workers):
    return sum(block.rows for block in pl.scan(sys.argv[1], workers=workers, batch_bytes=1).table("wire_length"))

rows(1)  # all is loaded: another user may not read it
if sys.argv[2] != "alone":
    threading.Thread(target=threading.Event().wait, daemon=True).start()
if not os.getuid():  # root has room for all
    os.setuid(50_000 + os.getpid() % 10_000)
tasks = [(f"/proc/{p}/task", os.stat(f"/proc/{p}").st_uid) for p in os.listdir("/proc") if p.isdigit()]
used = sum(len(os.listdir(task)) for task, user in tasks if user == os.getuid())
for room in (0, 1, 2, 3, 5, 8, 10, 12):
    resource.setrlimit(resource.RLIMIT_NPROC, (used + room, resource.getrlimit(resource.RLIMIT_NPROC)[1]))
    print(rows(3))
"""


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("beside", ["alone", "beside a thread"])
def test_where_there_is_room_for_few_processes_the_work_is_done_all_the_same(beside: str) -> None:
    """As under ``ulimit -u``: workers that start and cannot load what they need are as good as none."""
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o755)
        for capture in ("web.pcap", "dns53.pcap"):
            shutil.copy(CORPUS / capture, name)
        command = [sys.executable, "-c", ROOM, name, beside]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.stdout.split() == ["25"] * 8, done.stderr


@pytest.mark.slow
@pytest.mark.usefixtures("beside")
@pytest.mark.parametrize("code", [0, 3, -signal.SIGKILL, -40])
def test_a_job_that_ends_its_worker_is_an_error_and_is_not_done_again_here(code: int) -> None:
    children = multiprocessing.active_children()
    with Pool(2) as pool:
        fine = pool.submit(abs, -1)
        assert fine.result() == 1
        ending = [pool.submit(leave, code) for _ in range(3)]
        how = {-signal.SIGKILL: "by SIGKILL", -40: "by signal 40"}.get(code, f"with exit code {code}")
        for promise in (*ending, pool.submit(leave, code)):
            with pytest.raises(BrokenProcessPool, match=how):
                promise.result()
        assert fine.result() == 1
    assert {*multiprocessing.active_children()} <= {*children}  # those of earlier tests may end meanwhile


@pytest.mark.slow
@pytest.mark.usefixtures("beside")
def test_what_cannot_go_to_a_worker_or_come_from_it_is_an_error_of_its_job() -> None:
    with Pool(2) as pool:
        no_task = pool.submit(bool, threading.Lock())
        no_result = pool.submit(eval, "lambda: 1")
        no_error = pool.submit(eval, "__import__('tests.capture.fleet_jobs', fromlist='unread').unread()")
        no_note = pool.submit(eval, "__import__('tests.capture.fleet_jobs', fromlist='noteless').noteless()")
        leaving = pool.submit(sys.exit, 3)
        raising = pool.submit(divmod, "1")
        for promise, error in (
            (no_task, TypeError),
            (no_result, Exception),
            (no_error, TypeError),
            (no_note, fleet_jobs.Noteless),
            (leaving, SystemExit),
        ):
            with pytest.raises(error):
                promise.result()
        with pytest.raises(TypeError) as found:
            raising.result()
        assert "in _done" in found.value.__notes__[0]  # where it was raised
        assert pool.submit(abs, -1).result() == 1


UNGUARDED = """
import os, sys, threading
import packetlab as pl

def end(capture):
    os.kill(os.getpid(), 9)

os.write(1, b"from the top\\n")  # in one piece: workers write as well
if sys.argv[3] != "alone":
    threading.Thread(target=threading.Event().wait, daemon=True).start()
elif __name__ == "__main__":  # each worker is alone when it imports this
    threading.Thread(target=threading.Event().wait, daemon=True).start()
try:
    fleet = pl.scan(sys.argv[1], workers=2, batch_bytes=1)
    print(list(fleet.map(end)) if sys.argv[2] == "end" else sum(block.rows for block in fleet.table("file")))
except Exception as error:
    if sys.argv[3] == "raise":
        raise
    os.write(1, type(error).__name__.encode() + b"\\n")
"""


@pytest.mark.slow
def test_a_program_that_works_when_it_is_imported_does_no_job_twice(tmp_path: Path) -> None:
    """Each worker imports it: what it does there is an error, and no job of a worker."""
    program = tmp_path / "program.py"
    program.write_text(UNGUARDED)

    def run(*what: str) -> tuple[list[str], str, int]:
        command = [sys.executable, "-P", str(program), str(CORPUS / "d*.pcap"), *what]
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
        return sorted(done.stdout.splitlines()), done.stderr, done.returncode

    rows = sum(Capture(path).count() for path in CORPUS.glob("d*.pcap"))
    again = ["from the top"] * 3
    words, errors, code = run("count", "raise")
    assert (words, code) == (sorted([*again, str(rows)]), 0) and errors.count(
        "RuntimeError: a worker imports the program"
    ) == 2
    for threads in ("beside", "alone"):
        words, errors, code = run("end", threads)  # these workers begin, and are ended by their first job
        assert (words[0], code) == ("BrokenProcessPool", 0) and set(words[1:]) == {"RuntimeError", "from the top"}, (
            errors
        )


@pytest.mark.slow
@pytest.mark.parametrize("flags", [(), ("-E",), ("-P",), ("-I",)])
def test_no_worker_imports_from_the_current_folder(tmp_path: Path, flags: tuple[str, ...]) -> None:
    """Beside a thread a worker is a ``python -c``, which would; with -E no environment keeps it from that."""
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    for trap in ("glob", "json", "multiprocessing", "pickle", "random"):
        (here / f"{trap}.py").write_text("print('imported', flush=True)")
    program = there / "program.py"
    program.write_text(f"import sys\nsys.path[:] = {[str(ROOT), *filter(None, sys.path)]!r}\n{UNGUARDED}")
    command = [sys.executable, *flags, str(program), str(CORPUS / "d*.pcap"), "count", "raise"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=here)
    assert "imported" not in done.stdout and done.returncode == 0, done.stderr
    assert ("RuntimeError: a worker imports the program" in done.stderr) == (
        flags != ("-E",)
    )  # where workers are started at all


ENDS = """
import os, sys, threading, time
from packetlab.capture.fleet.pool import Pool

if sys.argv[1] != "alone":
    threading.Thread(target=threading.Event().wait, daemon=True).start()
pool, another = Pool(2), Pool(2)
jobs = [one.submit(time.sleep, 0) for one in (pool, another) for _ in range(2)]
print(*(job.result() for job in jobs), *(one.process.pid for one in (*pool._workers.values(), *another._workers.values())))
jobs = [one.submit(time.sleep, 60) for one in (pool, another) for _ in range(3)]
sys.stdout.flush()
if sys.argv[2] == "killed":
    os.kill(os.getpid(), 9)
"""


@pytest.mark.slow
@pytest.mark.parametrize("beside", ["alone", "beside a thread"])
@pytest.mark.parametrize("how", ["ends", "killed"])
def test_no_worker_outlives_its_program(beside: str, how: str) -> None:
    """It ends where the program leaves in the middle, and as soon as its job is done where the program is killed."""
    script = ENDS if how == "ends" else ENDS.replace("60)", "0.1)")
    done = subprocess.run(
        [sys.executable, "-c", script, beside, how], capture_output=True, text=True, cwd=ROOT, check=False
    )  # its output ends when the last worker does
    words = done.stdout.split()
    assert words[:4] == ["None"] * 4 and len(words) == 8, done.stderr


def test_any_executor_does(folder: Path) -> None:
    with ThreadPoolExecutor(3) as executor:
        check(scan(folder, executor=executor, batch_bytes=4000), folder)
    check(scan(folder, workers=1), folder)


@pytest.mark.slow
def test_a_cluster_does(folder: Path, large: Path, tmp_path: Path) -> None:
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
        fleet = scan(folder, executor=executor, batch_bytes=4000)
        check(fleet, folder)
        assert set(fleet.map(count_and_process).__next__()[1:][0]) == {"frames", "process"}
        processes = {result["process"] for _, result in fleet.map(count_and_process)}
        assert os.getpid() not in processes and len(processes) == 2
        same_as_one_reader([large / "cut-a.pcap"], client)
        check_table(scan(large / "cut-a.pcap", executor=client, batch_bytes=1 << 19), [large / "cut-a.pcap"])


@pytest.mark.slow
def test_functions_of_captures_and_their_failures(folder: Path) -> None:
    fleet = scan(folder, workers=2, batch_bytes=4000)
    counts = {Path(path).name: result["frames"] for path, result in fleet.map(count_and_process)}
    assert counts["c03.pcapng.zst"] == 3 and len(counts) == COUNT
    assert [Path(f.path).name for f in fleet.failures] == ["zz-cut.pcap", "zz-empty.pcap", "zz-text.pcapng"]
    assert list(fleet.map(divide)) == [] and "ZeroDivisionError" in fleet.failures[0].error
    assert "of divide" in str(fleet.failures[0])


@pytest.mark.slow
def test_shards_and_a_manifest(folder: Path, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    out = tmp_path / "out"
    fleet = scan(folder, workers=2, batch_bytes=4000)
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


@pytest.mark.slow
def test_a_header_of_ones_own_goes_along(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        """
import sys
import threading
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from packetlab import Capture, Ether, Frame, Header, U16, U32, scan

if __name__ == "__main__":
    class Tick(Header, under=Ether, when={"type": 0x88B5}):
        station: U32 = 0
        number: U16 = 0

    for i in range(3):
        Capture.of([Frame(bytes(Ether() / Tick(station=i, number=n))) for n in range(4)]).write(f"{sys.argv[1]}/t{i}.pcap")
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as executor:
        fleet = scan(sys.argv[1] + "/t*.pcap", executor=executor, batch_bytes=1)
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


def test_what_is_not_there_or_cannot_go_is_reported_at_once(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="a readable file"):
        scan(tmp_path / "none.pcap")
    assert len(scan(str(tmp_path / "*.pcap"))) == 0 and list(scan(str(tmp_path / "*.pcap")).table("ip")) == []
    with pytest.raises(BuildError, match="did you mean"):
        next(scan(CORPUS / "web.pcap").table("ipp"))
    with pytest.raises(BuildError, match="a filter in words"):
        next(scan(CORPUS / "web.pcap").table("ip", where=lambda packet: True))


def test_what_is_written_on_the_way_is_whole(tmp_path: Path) -> None:
    fleet = scan([CORPUS / "web.pcap", CORPUS / "dns53.pcap"], workers=1)
    assert fleet.total_bytes == sum(os.path.getsize(file.path) for file in fleet.files)
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


# One large file, and the table of all ----------------------------------------------------------------------------------

COLUMNS = ("number", "time_ns", "linktype", "interface", "comment", "ip.src", "udp.payload")


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with large files: pcap, pcapng of two sections with interfaces that come late, and both cut short."""
    place = tmp_path_factory.mktemp("large")
    inner = [bytes(Ether() / IPv4(src=n) / UDP(dport=9) / bytes(n % 1400)) for n in range(1000)]
    frames = [
        Frame(
            inner[n % 1000],
            n,
            comment="here" if n % 97 == 0 else None,
            interface=InterfaceDescription(1, name=f"i{n // 2000}"),
        )
        for n in range(6000)
    ]
    Capture.of(frames).write(place / "a.pcap")
    Capture.of(frames).write(place / "b.pcapng")
    with open(place / "b.pcapng", "ab") as file:
        file.write((CORPUS / "be_test102.pcapng").read_bytes() + (place / "b.pcapng").read_bytes())
    for name in ("a.pcap", "b.pcapng"):
        (place / f"cut-{name}").write_bytes((place / name).read_bytes()[:-100])
    Capture(place / "a.pcap").write(place / "z.pcap.gz")
    return place


@cache
def by_one_reader(path: Path, **how: Any) -> tuple[dict[str, list[Any]], int]:
    """Return the columns of one file as a `Table` of its capture has them, and the faults."""
    blocks = list(Capture(path, strict=False).where(**how).table(*COLUMNS).batches())
    return rows(iter(blocks)), sum(block.faults for block in blocks)


def same_as_one_reader(paths: list[Path], executor: Any = None, workers: int = 2) -> None:
    for path in paths:
        fleet = scan(path, executor=executor, workers=workers, batch_bytes=1 << 19)
        for how in ({}, {"pattern": "frame.number > 3000 and udp"}):
            blocks = list(fleet.table(*COLUMNS, where=how.get("pattern")))
            expected, faults = by_one_reader(path, **how)
            assert rows(iter(blocks)) == expected and sum(block.faults for block in blocks) == faults
            assert len(blocks) > 2 or how or path.suffix == ".gz"
            assert [f.rows for f in fleet.failures] == ([len(expected["number"])] if "cut" in path.name else [])
            assert all(f"{path}, " in f.error for f in fleet.failures)


@pytest.mark.slow
def test_a_large_file_read_by_many_is_the_same_as_by_one(large: Path) -> None:
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as processes, ThreadPoolExecutor(3) as threads:
        same_as_one_reader(sorted(large.iterdir()), processes)
        same_as_one_reader([large / "a.pcap", large / "cut-b.pcapng"], threads)


@pytest.mark.slow
def test_shards_of_a_large_file(large: Path, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    fleet = scan([large / "a.pcap", large / "cut-b.pcapng"], workers=2, batch_bytes=1 << 19)
    manifest = fleet.write_parquet(tmp_path / "out", "file", "number")
    whole = Capture(large / "cut-b.pcapng", strict=False).count()
    assert manifest.rows == 6000 + whole and [failure.rows for failure in manifest.failures] == [whole]
    reported = manifest.files[str(large / "a.pcap")]
    assert reported["rows"] == 6000 and len(reported["shards"]) > 2 and reported["shard"] == reported["shards"][0]
    read = [parquet.read_table(tmp_path / "out" / name)["number"].to_pylist() for name in reported["shards"]]
    assert [number for some in read for number in some] == [*range(1, 6001)]


@pytest.mark.slow
def test_a_part_takes_the_work_of_a_part(large: Path) -> None:
    capture = Capture(large / "a.pcap")
    parts = list(splits(capture, 1 << 19))
    assert len(parts) > 2
    list(capture.batches())
    whole = steps(lambda: [part(capture, *one).count() for one in parts])
    assert max(steps(lambda one=one: part(capture, *one).count()) for one in parts) < 2 * whole / len(parts)  # type: ignore[misc]


def check_table(fleet: Any, paths: list[Path]) -> None:
    """A fleet's table is what a table of each capture is, one after the other."""
    pyarrow = pytest.importorskip("pyarrow")
    table = fleet.table("file", "number", "ip.src", "udp.payload")
    assert isinstance(table, Table) and table.again and table.names == ("file", "number", "ip.src", "udp.payload")
    alone = [Capture(path, strict=False).table("file", "number", "ip.src", "udp.payload").read() for path in paths]
    expected = {name: [value for one in alone for value in one[name].tolist()] for name in table.names}
    assert rows(iter([table.read()])) == expected == pyarrow.table(alone[0]).to_pydict() | expected
    assert max(block.rows for block in table.batches(100)) == 100 and rows(table.batches(100)) == expected
    assert table["ip.src"].tolist() == expected["ip.src"] and set(table.to_numpy()) == set(table.names)
    numbers = pyarrow.table(table).column("number").to_pylist()  # through Arrow
    assert numbers == expected["number"]
    head = table.head(7)
    assert {name: head[name].tolist() for name in head.names} == {name: values[:7] for name, values in expected.items()}
    with pytest.raises(KeyError):
        table["udp.dport"]


@pytest.mark.slow
def test_a_fleets_table_is_a_table(large: Path, tmp_path: Path) -> None:
    paths = sorted(path for path in large.iterdir() if path.name.startswith(("a", "cut-a")))
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as processes, ThreadPoolExecutor(2) as threads:
        check_table(scan(paths, executor=processes, batch_bytes=1 << 19), paths)
        check_table(scan(paths, executor=threads, batch_bytes=1 << 19), paths)
    empty = scan(str(tmp_path / "*.pcap")).table("number")
    assert empty.read().rows == empty.head().rows == 0


@pytest.mark.slow
def test_the_head_of_a_fleet_reads_no_more_files_than_it_needs(large: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr(worker, "Capture", lambda path: opened.append(path) or Capture(path))
    head = scan([large / "a.pcap", large / "b.pcapng"], batch_bytes=1).table("file", "number").head(3)
    assert head["number"].tolist() == [1, 2, 3] and opened == [str(large / "a.pcap")]
