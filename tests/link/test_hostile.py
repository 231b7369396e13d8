"""Unfriendly surroundings: a HOME that cannot be written, no shared memory, other people's files, too few processes."""

from __future__ import annotations

import errno
import os
import re
import resource
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

from packetlab import Ether, Lab, SimNetwork, scan, send
from packetlab.link.waits import start
from tests.conftest import CORPUS, ROOT
from tests.descriptors import none_stays_open

PACKAGE = ROOT / "packetlab"
WORK = f"""
    import sys, packetlab as pl
    from packetlab.demo import run
    corpus = {str(CORPUS)!r}
    if __name__ == "__main__":
        assert run() == 0
        assert sum(columns.rows for columns in pl.scan(corpus + "/d*.pcap", workers=2, batch_bytes=1).table("wire_length")) > 2
        for engine in (None, "rows"):
            assert pl.Capture(corpus + "/web.pcap").table("tcp.sport", engine=engine).head(3).rows == 3
        pl.Capture(corpus + "/web.pcap")[0].packet().deep()
        print("all done")
"""
NO_SHARED_MEMORY = """
    mount -t tmpfs tmpfs "$1"
    for name in null zero random urandom; do touch "$1/$name"; mount --bind "/dev/$name" "$1/$name"; done
    mount --rbind "$1" /dev
"""
READ_ONLY = """
    mount -t tmpfs -o ro,mode=555 tmpfs "$1"
    mount -t tmpfs -o ro,mode=1777 tmpfs /var/tmp
"""


def inside(lab: Lab, setup: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Do some of everything in a mount namespace of its own, after `setup` has done its worst."""
    program, place = folder / "program.py", folder / "place"
    program.write_text(textwrap.dedent(WORK))
    place.mkdir()
    script = f"set -e{textwrap.dedent(setup)}\nexec {sys.executable} -P {program}"
    return lab.host("a").run(
        "unshare", "-m", "sh", "-c", script, "sh", str(place), env={"PYTHONPATH": str(ROOT), **environment}, timeout=100,
        cwd=folder,
    )  # fmt: skip


@pytest.mark.slow
def test_a_home_and_temporary_folders_that_cannot_be_written(lab: Lab, tmp_path: Path) -> None:
    place = str(tmp_path / "place")
    done = inside(lab, READ_ONLY, tmp_path, HOME=place, TMPDIR=place, XDG_CACHE_HOME=f"{place}/cache")
    assert done.stdout.endswith("all done\n"), done.stderr
    assert done.stdout.count("PASS") == 2


@pytest.mark.slow
def test_no_shared_memory(lab: Lab, tmp_path: Path) -> None:
    done = inside(lab, NO_SHARED_MEMORY, tmp_path)
    assert done.stdout.endswith("all done\n"), done.stderr


@pytest.mark.slow
def test_what_others_left_in_the_temporary_folder_is_not_touched(lab: Lab, tmp_path: Path) -> None:
    shared, victim = tmp_path / "tmp", tmp_path / "victim"
    shared.mkdir()
    victim.write_text("mine")
    # Whatever a name made by hand might be: links to somebody's file, and folders that are not ours.
    for name in {"packetlab", "packetlab-0", f"packetlab-{os.getuid()}", "demo.pcapng", "packetlab-demo", "demo"}:
        (shared / name).symlink_to(victim)
        (shared / f"{name}.lock").symlink_to(tmp_path / "nowhere")
    before = sorted(os.listdir(shared))
    done = inside(lab, "", tmp_path, TMPDIR=str(shared))
    assert done.stdout.endswith("all done\n"), done.stderr
    assert victim.read_text() == "mine" and not (tmp_path / "nowhere").exists()
    assert sorted(os.listdir(shared)) == before


def test_names_of_temporary_files_are_made_by_tempfile_alone() -> None:
    by_hand = re.compile(r"gettempdir|mktemp\(|['\"]/(var/)?tmp\b|TMPDIR")
    assert [path.name for path in PACKAGE.rglob("*.py") if by_hand.search(path.read_text(encoding="utf-8"))] == []


def no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)


def test_too_few_threads_are_reported_as_such(monkeypatch: pytest.MonkeyPatch, lab: Lab) -> None:
    a, b = lab.host("a"), lab.host("b")
    lab.link(a, b)
    no_threads(monkeypatch)
    for call in (
        lambda: start(threading.Thread()),
        lambda: a.popen("sleep", "100"),
        lambda: send([Ether() / b"x"] * 10, a.interface, workers=2),
    ):
        with none_stays_open(), pytest.raises(OSError, match="can't start new thread") as caught:
            call()
        assert caught.value.errno == errno.EAGAIN


@pytest.mark.parametrize("number, out", [(errno.EAGAIN, "ulimit -u"), (errno.EMFILE, "ulimit -n")])
def test_what_cannot_be_started_is_named_with_the_way_out(
    monkeypatch: pytest.MonkeyPatch, lab: Lab, number: int, out: str
) -> None:
    class Refused(subprocess.Popen[bytes]):
        def __init__(self, *given: object, **more: object) -> None:
            raise OSError(number, os.strerror(number))

    a, b = lab.host("a"), lab.host("b")
    monkeypatch.setattr(subprocess, "Popen", Refused)
    for call, what in (
        (Lab().open, "Lab, its namespace helper"),
        (lambda: lab.link(a, b, loss=0.1), "link a -- b, its relay"),
    ):
        said = rf"{what}: {os.strerror(number)} \(.*: {out}\)"
        with none_stays_open(), pytest.raises(OSError, match=said) as caught:
            call()
        assert caught.value.errno == number


def test_the_namespace_helper_is_named_where_it_can_start_nothing(lab: Lab) -> None:
    a, _ = lab.host("a"), lab.host("b")
    assert lab._helper is not None
    inside = Path(f"/proc/{lab._helper.pid}/task/{lab._helper.pid}/children").read_text().split()
    for pid in (lab._helper.pid, *map(int, inside)):
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, 3))
    with pytest.raises(OSError, match=r"Too many open files \(.*: ulimit -n\)"):
        a.run("true")


@pytest.mark.slow
def test_a_fleet_does_its_work_here_where_no_workers_can_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    no_threads(monkeypatch)
    fleet = scan(CORPUS / "d*.pcap", workers=4, batch_bytes=1)
    assert len(list(fleet.table("wire_length"))) == len(fleet.files) > 1


def test_a_simulated_network_needs_no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    no_threads(monkeypatch)
    net = SimNetwork()
    a, b = net.host("a"), net.host("b")
    net.link(a, b)
    a.interface.send(Ether(dst=b.mac) / b"x")
    assert b.interface.receive(timeout=1).payload == b"x"


def test_processes_that_run_out_are_no_matter_of_privilege(tmp_path: Path) -> None:
    code = """
        import os, resource
        import packetlab as pl
        with pl.Lab() as lab:  # with all that this needs it works
            host = lab.host("a")
            resource.prlimit(lab._helper.pid, resource.RLIMIT_NPROC, (0, 0))
        if os.geteuid():  # root's processes are not counted
            resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))
            try:
                pl.Lab().open()
            except pl.NeedsPrivilege as error:
                raise SystemExit(f"blamed on privilege: {error}")
            except OSError as error:
                assert "Lab, its namespace helper: Resource temporarily unavailable" in str(error), error
                assert "ulimit -u" in str(error), error
        print("reported")
    """
    program = tmp_path / "program.py"
    program.write_text(textwrap.dedent(code))
    done = subprocess.run(
        [sys.executable, "-P", program], capture_output=True, text=True, timeout=100, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.stdout == "reported\n", done.stderr
