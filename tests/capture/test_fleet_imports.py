"""A worker imports the program it works for: what the import leaves running does no job again, and keeps no worker."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import CORPUS, ROOT

HEAD = """
import atexit, os, sys, threading
from multiprocessing import current_process
import packetlab as pl
from packetlab.capture.fleet.pool import Pool

LOG = sys.argv[1]

def note(*words):
    with open(LOG, "a") as log:  # in one piece: workers write as well
        log.write(" ".join(map(str, words)) + "\\n")

def count(capture):
    note("job")
    return capture.count()

def scans():
    try:
        return len(list(pl.scan(sys.argv[2], workers=2, batch_bytes=1).map(count)))
    except RuntimeError as error:
        return f"refused: {error}"

note("import")
"""

# Beside a thread, so that workers import the program.
TWO_JOBS = """
if __name__ == "__main__":
    threading.Thread(target=threading.Event().wait, daemon=True).start()
    with Pool(2) as pool:
        promises = [pool.submit(job, number) for number in range(2)]
        note("results", *(promise.result() for promise in promises))
"""

# Threads of the import that scan when a job tells them to, while it runs: themselves, and in a thread that they begin.
LEFT = """
BEGIN, DONE = threading.Event(), threading.Event()

def later():
    if __name__ == "__main__":
        return
    BEGIN.wait()
    note("left", scans())
    inner = threading.Thread(target=lambda: note("left, in turn", scans()))
    inner.start()
    inner.join()
    DONE.set()

threading.Thread(target=later, daemon=True).start()

def job(number):
    BEGIN.set()
    DONE.wait()
    return number
"""

# Before the first job, and after the last: no job runs.
BETWEEN = """
SCANNED = threading.Event()

def early():
    if __name__ != "__main__":
        while hasattr(current_process(), "_inheriting"):
            pass
        note("left", scans())
        SCANNED.set()

threading.Thread(target=early, daemon=True).start()

def job(number):
    SCANNED.wait()
    return number

@atexit.register
def at_exit():
    if __name__ != "__main__":
        note("at exit", scans())
"""

# The program is guarded; the module that its jobs' function stands in scans when it is imported, as a worker does for a job.
MODULE = """
if __name__ == "__main__":
    threading.Thread(target=threading.Event().wait, daemon=True).start()
    sys.path.insert(0, os.path.dirname(__file__))
    with open(os.path.join(os.path.dirname(__file__), "analysis.py"), "w") as file:
        file.write(open(__file__).read().partition("# The program")[0] + 'note("results", scans())')
    import analysis
"""

# What a job does itself goes on as it did.
JOBS = """
def job(number):
    found = [scans()]
    thread = threading.Thread(target=lambda: found.append(scans()))
    thread.start()
    thread.join()
    return found

if __name__ == "__main__":
    threading.Thread(target=threading.Event().wait, daemon=True).start()
    with Pool(2) as pool:
        note("results", pool.submit(job, 0).result())
"""

# Threads that never end: of the import, and of a job.
ENDLESS = """
threading.Thread(target=threading.Event().wait, daemon=__name__ == "__main__").start()
atexit.register(lambda: note("at exit"))

def job(number):
    if sys.argv[3] == "of a job":
        threading.Thread(target=threading.Event().wait).start()
    return number

if __name__ == "__main__":
    pool = Pool(2)
    promises = [pool.submit(job, number) for number in range(2)]
    note("results", *(promise.result() for promise in promises))
    os.kill(os.getpid(), 9)
"""


def run(tmp_path: Path, program: str, *more: str) -> list[str]:
    """Return what a program and its workers noted. All of them end: its output is read until the last did."""
    path, log = tmp_path / "program.py", tmp_path / "log"
    path.write_text(HEAD + program)
    process = subprocess.Popen(
        [sys.executable, str(path), str(log), str(CORPUS / "d*.pcap"), *more],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    try:
        process.communicate(timeout=100)
    except subprocess.TimeoutExpired:
        pytest.fail(f"workers are left, {log.read_text()}")
    finally:
        try:
            os.killpg(process.pid, 9)  # the group of all that it started
        except ProcessLookupError:
            pass
        process.wait()
    return log.read_text().splitlines()


REFUSED = "refused: a worker imports the program"


@pytest.mark.slow
def test_a_thread_that_the_import_left_starts_no_workers_while_a_job_runs(tmp_path: Path) -> None:
    """It would be in every worker, and in those that these start."""
    noted = run(tmp_path, LEFT + TWO_JOBS)
    assert noted.count("import") <= 3 and noted.count("results 0 1") == 1 and "job" not in noted
    refused = [line for line in noted if REFUSED in line]
    assert refused and len(refused) == len([line for line in noted if line.startswith("left")])
    assert any(line.startswith("left, in turn") for line in refused)
    assert all('`if __name__ == "__main__":`' in line for line in refused)


def test_a_program_that_ends_may_scan_for_the_first_time(tmp_path: Path) -> None:
    """What only an executor of the program's own needs was imported for it, and registers what CPython refuses then."""
    noted = run(tmp_path, '\n@atexit.register\ndef at_exit():\n    note("at exit", scans())\n')
    assert noted[1:] == ["job"] * (len(noted) - 2) + [f"at exit {len(noted) - 2}"] and len(noted) > 2


@pytest.mark.slow
def test_nothing_starts_workers_in_a_worker_that_has_no_job(tmp_path: Path) -> None:
    """From the moment on at which multiprocessing allows it, and at its exit."""
    noted = run(tmp_path, BETWEEN + TWO_JOBS)
    assert noted.count("import") <= 3 and noted.count("results 0 1") == 1 and "job" not in noted
    for what in ("left", "at exit"):
        said = [line for line in noted if line.startswith(what)]
        assert said and all(REFUSED in line for line in said)


@pytest.mark.slow
def test_a_module_that_scans_when_a_worker_imports_it_for_a_job_does_no_job_again(tmp_path: Path) -> None:
    files = len(list(CORPUS.glob("d*.pcap")))
    noted = run(tmp_path, "# The program" + MODULE)
    results = [line for line in noted if line.startswith("results")]
    assert noted.count("job") == files and results.count(f"results {files}") == 1
    assert len(results) > 1 and all(REFUSED in line for line in results if line != f"results {files}")


@pytest.mark.slow
def test_jobs_and_the_threads_they_begin_scan_as_programs_do(tmp_path: Path) -> None:
    files = len(list(CORPUS.glob("d*.pcap")))
    noted = run(tmp_path, JOBS)
    assert f"results [{files}, {files}]" in noted and noted.count("job") == 2 * files


@pytest.mark.slow
@pytest.mark.parametrize("whose", ["of the import", "of a job"])
def test_no_thread_keeps_the_worker_of_a_program_that_was_killed(tmp_path: Path, whose: str) -> None:
    """It goes without the thread, when its results are sent and its exit functions have run."""
    noted = run(tmp_path, ENDLESS, whose)
    assert noted.count("results 0 1") == 1 and noted.count("at exit") == noted.count("import") - 1 == 2
