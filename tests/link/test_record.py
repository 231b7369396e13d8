"""Receiving in bulk: a ring gives what single reads give; recordings are whole, counted, and survive being killed."""

from __future__ import annotations

import io
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from packetlab import UDP, VLAN, Capture, Ether, Frame, IPv4, Lab, Writer, record, send
from packetlab.bulk.batch import Batch
from packetlab.capture import Statistics
from packetlab.capture.batch import FrameBatch
from tests.capture.test_moving_files import room
from tests.conftest import CORPUS, need

ROOT = Path(__file__).parent.parent.parent
TO = Ether(dst="02:00:00:00:00:02", src="02:00:00:00:00:01")


def frame(number: int, size: int = 20) -> bytes:
    return bytes(
        TO / IPv4(src="10.9.0.1", dst="10.9.0.2") / UDP(sport=7, dport=9) / (number.to_bytes(4, "big") + bytes(size))
    )


def numbers(frames) -> list[int]:
    return [int.from_bytes(frame.data[42:46], "big") for frame in frames]


def linked(lab: Lab):
    a, b = lab.host("a"), lab.host("b")
    lab.link(a, b)
    return a.interface, b.interface


# The ring ------------------------------------------------------------------------------------------------------


def test_a_ring_gives_what_single_reads_give(lab: Lab) -> None:
    port, other = linked(lab)
    inner = IPv4(src="1.2.3.4", dst="4.3.2.1") / UDP() / b"in a tag"
    frames = [frame(i, i) for i in range(0, 1400, 7)]
    frames[::3] = [bytes(TO / VLAN(id=i + 1, priority=i % 8) / inner) for i in range(len(frames[::3]))]
    frames += [bytes(TO / VLAN(id=9) / VLAN(id=10) / inner), bytes(TO.replace(type=0x88A8) / VLAN(id=3) / inner)]
    send(Batch.of(frames), onto=port, workers=1)
    one_by_one = list(other.capture(count=len(frames), timeout=5))
    with other.ring() as ring:
        send(Batch.of(frames), onto=port, workers=1)
        at_once = [got for batch in ring.batches(5, len(frames)) for got in batch]
        assert ring.received == len(frames)
    assert [got.data for got in at_once] == [got.data for got in one_by_one] == frames
    assert [got.wire_length for got in at_once] == [got.wire_length for got in one_by_one]
    assert [got.interface for got in at_once] == [got.interface for got in one_by_one]
    assert [got.number for got in at_once] == list(range(1, len(frames) + 1))
    times = [got.time_ns for got in [*one_by_one, *at_once]]
    assert times == sorted(times)
    send(frames[1], onto=port)
    assert other.receive_frame(timeout=5).data == frames[1]  # closed: single reads again


def test_a_ring_ends_by_count_and_by_time_and_goes_round_and_round(lab: Lab) -> None:
    port, other = linked(lab)
    with other.ring(2 << 20) as ring:
        assert list(ring.batches(0.01)) == []
        for start in range(0, 6000, 500):  # 9 MB through 2 MiB
            send([frame(i, 1400) for i in range(start, start + 500)], onto=port, workers=1)
            assert numbers(got for batch in ring.batches(5, 500) for got in batch) == list(range(start, start + 500))
        send([frame(i) for i in range(10)], onto=port, workers=1)
        assert numbers(got for batch in ring.batches(5, 4) for got in batch) == [0, 1, 2, 3]
    assert other.statistics() == (6010, 0)


def test_what_a_full_ring_has_no_room_for_is_counted(lab: Lab) -> None:
    port, other = linked(lab)
    with other.ring(2 << 20) as ring:
        send(Batch.of([frame(0, 1400)] * 3000), onto=port, workers=1)
        counts = other.statistics()
        kept = sum(len(batch) for batch in ring.batches(0.2))
    assert counts.received + counts.dropped == 3000 and counts.dropped > 0 and kept == counts.received


@pytest.mark.parametrize("expression", ["udp and ether[45] & 1 == 1", "vlan 5 or ether[45] & 1 == 1"])
def test_a_filter_holds_for_a_ring_too(lab: Lab, expression: str) -> None:
    port, other = linked(lab)
    other.filter(expression)
    with other.ring() as ring:
        send([frame(i) for i in range(20)], onto=port, workers=1)
        assert numbers(got for batch in ring.batches(5, 10) for got in batch) == list(range(1, 20, 2))


def test_a_link_that_goes_down_is_reported(lab: Lab) -> None:
    _, other = linked(lab)
    with other.ring() as ring:
        lab.host("b").run("ip", "link", "set", "eth0", "down", check=True)
        with pytest.raises(OSError, match="eth0: Network is down"):
            list(ring.batches(5))


# Batches into files --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", ["pcap", "pcapng"])
def test_a_batch_is_written_as_its_frames_are(format: str) -> None:
    for path in sorted(CORPUS.iterdir()):
        if path.suffix not in (".pcap", ".pcapng"):
            continue
        one, all_at_once = io.BytesIO(), io.BytesIO()
        frames = list(Capture(path, strict=False))
        if format == "pcap" and len({frame.linktype for frame in frames}) > 1:
            continue
        with Writer(one, format) as writer:
            for each in frames:
                writer.write(each)
        with Writer(all_at_once, format) as writer:
            for batch in Capture(path, strict=False).batches():
                writer.write_batch(batch)
        assert writer.count == len(frames) and len(all_at_once.getvalue()) == len(one.getvalue()), path.name
        again, expected = (list(Capture(io.BytesIO(stream.getvalue()))) for stream in (all_at_once, one))
        assert again == expected, path.name


def test_batches_of_several_interfaces_comments_and_no_time_are_written_too() -> None:
    frames = [Frame(bytes([i] * i), i * 10**9, linktype=[1, 101, 9][i % 3]) for i in range(60)]
    for extra in (frames, [*frames, Frame(b"c", 5, comment="said")], [*frames, Frame(b"n", None)]):
        stream = io.BytesIO()
        with Writer(stream) as writer:
            writer.write_batch(FrameBatch.of(extra))
        assert list(Capture(io.BytesIO(stream.getvalue()))) == extra


# Recordings ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["pcap", "pcapng", "pcapng.gz"])
def test_a_recording_holds_all_that_came(lab: Lab, tmp_path: Path, ending: str) -> None:
    port, other = linked(lab)
    path = tmp_path / f"some.{ending}"
    sender = threading.Thread(
        target=lambda: until(path, lambda: send([frame(i) for i in range(500)], onto=port, workers=1))
    )
    sender.start()
    done = record(other, path, count=500, seconds=20)
    sender.join()
    assert (done.frames, done.dropped) == (500, 0) and str(done) == "500 frames captured, 0 dropped by the kernel"
    kept = list(Capture(path))
    assert numbers(kept) == list(range(500)) and done.bytes == sum(len(got.data) for got in kept)


def until(path: Path, then) -> None:
    while not path.exists():  # the file is there when the ring listens
        pass
    then()


def test_a_recording_ends_when_stopped_and_after_its_time(lab: Lab, tmp_path: Path) -> None:
    port, other = linked(lab)
    stop, path = threading.Event(), tmp_path / "a.pcapng"

    def talk() -> None:
        send([frame(i) for i in range(7)], onto=port, workers=1)
        stop.set()

    sender = threading.Thread(target=until, args=(path, talk))
    sender.start()
    done = record(other, path, stop=stop)
    sender.join()
    assert done.frames <= 7 and len(list(Capture(path))) == done.frames
    assert record(other, tmp_path / "b.pcapng", seconds=0.02).frames == 0
    assert list(Capture(tmp_path / "b.pcapng")) == []


def test_a_recording_keeps_what_matches(lab: Lab, tmp_path: Path) -> None:
    port, other = linked(lab)
    path = tmp_path / "some.pcap"
    sender = threading.Thread(
        target=until, args=(path, lambda: send([frame(i) for i in range(90)], onto=port, workers=1))
    )
    sender.start()
    done = record(other, path, count=20, seconds=20, pattern=lambda packet: packet.payload[3] % 3 == 0)
    sender.join()
    assert done.frames == 20 and numbers(Capture(path)) == list(range(0, 60, 3))


class After:
    """A `stop` that is set once something was done."""

    def __init__(self, then) -> None:
        self.then = then

    def is_set(self) -> bool:
        then, self.then = self.then, lambda: None
        then()
        return True


def test_what_came_before_the_end_is_in_the_file(lab: Lab, tmp_path: Path) -> None:
    port, other = linked(lab)
    tagged = bytes(TO / VLAN(id=5) / IPv4() / UDP() / b"in a tag")

    def talk() -> None:
        send(Batch.of([frame(i, 1400) for i in range(3000)]), onto=port, workers=1)
        send([tagged], onto=port, workers=1)

    done = record(other, tmp_path / "a.pcapng", stop=After(talk))
    kept = list(Capture(tmp_path / "a.pcapng"))
    assert (done.frames, done.dropped) == (3001, 0) and kept[-1].data == tagged
    assert numbers(kept[:-1]) == list(range(3000))
    send(tagged, onto=port)
    assert other.receive_frame(timeout=5).data == tagged  # single reads again


class Slow(io.BytesIO):
    """A file that takes a while: more comes meanwhile than the ring holds."""

    def __init__(self, then) -> None:
        super().__init__()
        self.then = then

    def flush(self) -> None:
        then, self.then = self.then, lambda: None
        then()


def test_what_came_while_the_file_was_slow_is_kept_or_counted(lab: Lab) -> None:
    port, other = linked(lab)
    many = Batch.of([frame(i, 1400) for i in range(3000)])
    over = threading.Event()

    def slow() -> None:
        send(many, onto=port, workers=1)
        over.set()

    file, first = Slow(slow), After(lambda: send([frame(0)], onto=port, workers=1))
    stop = SimpleNamespace(is_set=lambda: first.is_set() and over.is_set())
    done = record(other, file, stop=stop, ring=2 << 20)
    kept = list(Capture(io.BytesIO(file.getvalue())))
    assert done.frames == len(kept) > 500 and done.dropped > 500 and done.frames + done.dropped == 3001
    (counts,) = [block for block in Capture(io.BytesIO(file.getvalue())).metadata() if isinstance(block, Statistics)]
    assert (counts.received, counts.dropped, counts.delivered) == (3001, done.dropped, done.frames)


def test_a_recording_that_fails_gives_the_interface_back(lab: Lab, tmp_path: Path) -> None:
    port, other = linked(lab)
    many = Batch.of([frame(i, 1400) for i in range(1000)])
    with room(100_000), pytest.raises(OSError, match="what was written whole stays"):
        record(other, tmp_path / "a.pcap", stop=After(lambda: send(many, onto=port, workers=1)))
    assert numbers(Capture(tmp_path / "a.pcap")) == list(range(68))
    send([frame(7)], onto=port, workers=1)
    assert numbers([other.receive_frame(timeout=5)]) == [7]


def test_a_filter_of_fields_makes_no_packets(lab: Lab, tmp_path: Path, monkeypatch) -> None:
    port, other = linked(lab)
    made: list[Frame] = []
    packet = Frame.packet
    monkeypatch.setattr(Frame, "packet", lambda frame: made.append(frame) or packet(frame))
    frames = [bytes(TO / IPv4() / UDP(dport=i % 3) / i.to_bytes(4, "big")) for i in range(90)]
    done = record(
        other, tmp_path / "a.pcap", count=20, pattern="udp.dport == 1", seconds=20,
        stop=After(lambda: send(frames, onto=port, workers=1)),
    )  # fmt: skip
    assert done.frames == 20 and numbers(Capture(tmp_path / "a.pcap")) == list(range(1, 60, 3)) and not made


def started(lab: Lab, path: Path, *words: str):
    """Start `packetlab capture` in host b, and return when it listens."""
    program = lab.host("b").popen(sys.executable, "-m", "packetlab", "capture", "-i", "eth0", "-w", str(path), *words)
    while not path.exists():
        assert program.host.lab is lab
        time.sleep(0.005)  # which leaves the processor to what is waited for
    return program


@pytest.mark.slow
def test_a_killed_capture_leaves_a_file_that_reads(lab: Lab, tmp_path: Path, monkeypatch) -> None:
    need("tcpdump")
    monkeypatch.chdir(ROOT)
    port, _ = linked(lab)
    path = tmp_path / "killed.pcapng"
    with started(lab, path) as program:
        sent = 0
        while path.stat().st_size < 1_000_000:
            send([frame(i) for i in range(sent, sent + 2000)], onto=port, workers=1)
            sent += 2000
            time.sleep(0.005)
        program.kill(signal.SIGKILL)
        assert program.wait(timeout=10) == -9
    capture = Capture(path, strict=False)
    kept = numbers(capture)
    # At the most the one record that was being written when it was killed is cut short.
    assert len(kept) > 5000 and kept == list(range(len(kept))) and len(capture.faults) <= 1
    done = subprocess.run(["tcpdump", "-n", "-r", str(path), "--count"], capture_output=True, text=True)
    assert f"{len(kept)} packets" in done.stdout + done.stderr or capture.faults


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_capture_that_is_signalled_to_end_finishes_its_file(
    lab: Lab, tmp_path: Path, monkeypatch, number: int
) -> None:
    monkeypatch.chdir(ROOT)
    port, _ = linked(lab)
    path = tmp_path / "ended.pcapng"
    with started(lab, path, "udp", "port", "9") as program:
        size = path.stat().st_size
        while path.stat().st_size == size:
            send([frame(0), bytes(TO / b"other")], onto=port, workers=1)
            time.sleep(0.005)
        program.kill(number)
        _, said = program.communicate(timeout=20)
        assert program.wait() == 0
    kept = list(Capture(path))
    assert f"{len(kept)} frames captured, 0 dropped" in said and set(numbers(kept)) == {0}
    assert dict(kept[0].interface.options)[11] == b"\0udp port 9"
    (counts,) = [block for block in Capture(path).metadata() if isinstance(block, Statistics)]
    assert counts.interface == kept[0].interface and counts.delivered == len(kept) and counts.dropped == 0
    assert counts.received is not None and counts.received >= len(kept)  # what came last may not have been fetched
    assert counts.start_ns <= kept[0].time_ns <= kept[-1].time_ns <= counts.end_ns == counts.time_ns


@pytest.mark.slow
def test_tshark_reads_a_recording_and_its_counts(lab: Lab, tmp_path: Path, tshark) -> None:
    need("capinfos")
    port, other = linked(lab)
    path = tmp_path / "some.pcapng"
    sender = threading.Thread(
        target=until, args=(path, lambda: send([frame(i) for i in range(40)], onto=port, workers=1))
    )
    sender.start()
    record(other, path, count=40, seconds=20)
    sender.join()
    assert [row[0] for row in tshark(path, "udp.dstport")] == ["9"] * 40
    said = subprocess.run(["capinfos", str(path)], capture_output=True, text=True, check=True).stdout
    assert "Number of packets:   40" in said and "Number of stat entries = 1" in said
