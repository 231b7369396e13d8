"""Compiled loops on disk: what is damaged or not ours is never loaded, and where nothing can be kept only the cache is lost."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from packetlab.capture import elf, loops

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
if not loops.available():
    pytest.skip("numba is not installed", allow_module_level=True)  # importing it would take every worker a while

SOURCE = """\
def doubled(given, count, found):
    for i in range(count):
        found[i] = given[i] * 2
"""
compile_once = cache(lambda source, kinds, numbers: loops_compile(source, kinds, list(numbers)))
loops_compile = loops._compile


class Cache:
    """A folder of compiled loops of the test's own."""

    def __init__(self) -> None:
        self.compiled = 0

    def compile(self, source: str, kinds: tuple[str, ...], numbers: list[bool]) -> tuple[str, bytes]:
        self.compiled += 1
        made: tuple[str, bytes] = compile_once(source, kinds, tuple(numbers))
        return made

    def run(self) -> int:
        """Run the loop as a program does that has not used it yet; return how often it was compiled for that."""
        before = self.compiled
        found = np.zeros(4, np.int64)
        loops.Loop(SOURCE)(np.arange(4), 4, found)
        assert found.tolist() == [0, 2, 4, 6]
        return self.compiled - before

    @property
    def files(self) -> list[Path]:
        folder = loops._folder()
        return sorted(folder.iterdir()) if folder is not None else []


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cache]:
    """Return a cache under `tmp_path`."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    made = Cache()
    monkeypatch.setattr(loops, "_compile", made.compile)
    loops._folder.cache_clear()
    yield made
    loops._folder.cache_clear()


def changed(how: Callable[[bytes], bytes]) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(how(path.read_bytes()))


DAMAGE: dict[str, Callable[[Path], object]] = {
    "cut to half": changed(lambda data: data[: len(data) // 2]),
    "cut to 200 bytes": changed(lambda data: data[:200]),
    "without its last byte": changed(lambda data: data[:-1]),
    "empty": changed(lambda data: b""),
    "zeros": changed(lambda data: bytes(len(data))),
    "a flipped bit": changed(lambda data: data[:-500] + bytes([data[-500] ^ 1]) + data[-499:]),
    "another symbol": changed(lambda data: data.replace(b"\n", b"\nanother", 1)),
    "another digest": changed(lambda data: b"0" * 64 + data[64:]),
    "no UTF-8": changed(lambda data: b"\xff\xfe" + data),
    "of the form before": changed(lambda data: data[65:]),
    "writable for others": lambda path: path.chmod(0o666),
    "a link": lambda path: (shutil.copy(path, path.with_suffix(".x")), path.unlink(), path.symlink_to(path.with_suffix(".x"))),
    "a pipe": lambda path: (path.unlink(), os.mkfifo(path)),
}  # fmt: skip


@pytest.mark.parametrize("how", DAMAGE)
def test_what_is_damaged_or_not_ours_alone_is_compiled_again_once(kept: Cache, how: str) -> None:
    assert [kept.run(), kept.run()] == [1, 0]
    (path,) = kept.files
    DAMAGE[how](path)
    assert [kept.run(), kept.run()] == [1, 0]


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a file away")
def test_a_file_of_another_owner_is_not_loaded(kept: Cache) -> None:
    kept.run()
    os.chown(kept.files[0], 12345, 12345)
    assert [kept.run(), kept.run()] == [1, 0]
    assert kept.files[0].stat().st_uid == 0


def test_a_folder_where_the_file_should_be_costs_only_the_cache(kept: Cache) -> None:
    kept.run()
    (path,) = kept.files
    path.unlink()
    path.mkdir()
    assert [kept.run(), kept.run()] == [1, 1]
    assert kept.files == [path]


def test_an_object_without_the_function_is_compiled_again(kept: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    kept.run()
    (path,) = kept.files
    _, _, code = path.read_bytes().split(b"\n", 2)
    loops._keep(path, "no_such_function", code)
    assert [kept.run(), kept.run()] == [1, 0]


@pytest.mark.parametrize(
    "code",
    [b"", b"no object file", b"\x7fELF" + bytes(100), b"\x7fELF\x02\x01" + b"\xff" * 200],
    ids=["nothing", "a text", "zeros", "ones"],
)
@pytest.mark.parametrize("symbol", ["", "doubled"])
def test_what_is_no_object_file_is_compiled_again_whatever_its_digest(kept: Cache, symbol: str, code: bytes) -> None:
    kept.run()
    (path,) = kept.files
    loops._keep(path, symbol, code)
    assert [kept.run(), kept.run()] == [1, 0]


def test_an_entry_of_another_loop_is_compiled_again(kept: Cache) -> None:
    other = SOURCE.replace("* 2", "* 3")
    loops.Loop(other)(np.arange(4), 4, np.zeros(4, np.int64))
    (foreign,) = kept.files
    kept.run()
    (path,) = set(kept.files) - {foreign}
    shutil.copy(foreign, path)
    assert [kept.run(), kept.run()] == [1, 0]  # `run` checks what the loop gives


def test_an_object_file_is_distinguished_from_its_beginnings_and_from_one_without_the_function(kept: Cache) -> None:
    kept.run()
    symbol, code = loops._read(kept.files[0]) or ("", b"")
    assert elf.defines(code, symbol.encode())
    assert not elf.defines(code, symbol.encode()[:-1])
    assert not elf.defines(code, b"")
    assert not any(elf.defines(code[:size], symbol.encode()) for size in range(len(code)))
    assert not elf.defines(Path("/proc/self/exe").read_bytes(), b"main")  # a program


# Where there can be no cache -------------------------------------------------------------------------------------


def test_a_full_disk_costs_only_the_cache_and_leaves_nothing(kept: Cache) -> None:
    loops._folder()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))  # a longer file is refused, as by a full disk
    try:
        assert [kept.run(), kept.run()] == [1, 1]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert kept.files == []


def test_a_folder_that_cannot_be_made_or_written_to_costs_only_the_cache(
    kept: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert [kept.run(), kept.run()] == [1, 1]
    assert not loops.kept(SOURCE)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    loops._folder.cache_clear()
    kept.run()
    folder = kept.files[0].parent
    for unfit in (lambda: folder.chmod(0o777), lambda: monkeypatch.setattr(os, "access", lambda *_: False)):
        unfit()
        loops._folder.cache_clear()
        assert loops._folder() is None
        assert [kept.run(), kept.run()] == [1, 1]
        folder.chmod(0o700)


def test_a_folder_that_is_gone_costs_only_the_cache(kept: Cache, tmp_path: Path) -> None:
    kept.run()
    shutil.rmtree(tmp_path / "cache")
    assert not loops.kept(SOURCE)
    assert kept.run() == 1


def test_a_relative_cache_folder_is_ignored(kept: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", "here")
    kept.run()
    assert kept.files[0].parent == tmp_path / "home" / ".cache" / "packetlab" / "loops"
    assert not (tmp_path / "here").exists()


def test_folders_are_ours_alone_whatever_the_umask(kept: Cache, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        kept.run()
    finally:
        os.umask(before)
    for path in (tmp_path / "cache", tmp_path / "cache" / "packetlab", kept.files[0].parent):
        assert path.stat().st_mode & 0o777 == 0o700
    assert kept.files[0].stat().st_mode & 0o777 == 0o600


# Many at once ----------------------------------------------------------------------------------------------------


def test_eight_threads_may_need_a_loop_at_once_that_is_not_there_yet(kept: Cache) -> None:
    begin = threading.Barrier(8)
    fine = []

    def one() -> None:
        begin.wait()
        kept.run()
        fine.append(True)

    threads = [threading.Thread(target=one) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(fine) == 8
    assert len(kept.files) == 1


def test_many_may_keep_and_read_one_loop_at_once(kept: Cache) -> None:
    kept.run()
    (path,) = kept.files
    symbol, code = loops._read(path) or ("", b"")
    begin = threading.Barrier(8)
    missed = []

    def one(number: int) -> None:
        begin.wait()
        for _ in range(50):
            if number % 2:
                loops._keep(path, symbol, code)
            elif loops._read(path) != (symbol, code):
                missed.append(number)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert missed == []
    assert kept.files == [path]


def test_a_child_forked_while_a_loop_is_compiled_compiles_its_own(tmp_path: Path) -> None:
    code = f"""
        import os, signal, threading
        import numpy as np
        from packetlab.capture import loops
        import logging

        source = {SOURCE!r}
        begun, compiled = threading.Event(), loops._compile

        def compile(*given):
            begun.set()
            for number in range(20_000):  # who compiles may log; a fork takes the lock of logging too
                logging.getLogger("a logger of the test").isEnabledFor(number)
            return compiled(*given)

        def run(source):
            found = np.zeros(4, np.int64)
            loops.Loop(source)(np.arange(4), 4, found)
            return found.tolist()

        loops._compile = compile
        thread = threading.Thread(target=run, args=(source,))
        thread.start()
        begun.wait()
        child = os.fork()
        if not child:
            signal.alarm(60)
            os._exit(run(source.replace("* 2", "* 3")) != [0, 3, 6, 9])
        thread.join()
        print(os.waitpid(child, 0)[1])
    """
    program = tmp_path / "program.py"
    program.write_text(textwrap.dedent(code))
    done = subprocess.run(
        [sys.executable, "-P", "-W", "ignore::DeprecationWarning", program],  # Python 3.12 and later warn of it
        capture_output=True, text=True, timeout=120, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(tmp_path)},
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("0\n", "")
