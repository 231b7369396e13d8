"""The command line: what it prints, its exit status, and that it is quick, quiet and safe."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from packetlab import TCP, UDP, Capture, Ether, Frame, IPv4, NeedsPrivilege
from packetlab.cli import main
from packetlab.link.replay.report import SendReport
from tests.conftest import CORPUS, need
from tests.growth import steps

ROOT = Path(__file__).parent.parent
HEAVY = (
    "netaddr",
    "scapy",
    "dpkt",
    "lz4",
    "backports.zstd",
    "ctypes",
    "packetlab.packet.header",
    "packetlab.link",
    "packetlab.capture",
)


def command(*words: str, **options) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-m", "packetlab", *words], capture_output=True, cwd=ROOT, **options)


@pytest.fixture
def nasty(tmp_path: Path) -> Path:
    path = tmp_path / "nasty.pcapng"
    packet = Ether() / IPv4(options=b"\x83\x04\x1b[") / UDP(dport=9) / b"\x1b]0;owned\x07<script>"
    Capture.of([Frame(bytes(packet), 5, comment="\x1b[31mred\x07\n")]).write(path)
    return path


def test_help_imports_nothing_heavy_and_names_the_commands() -> None:
    script = f"import sys; sys.argv=['packetlab', '--help']\nfrom packetlab.cli import main\ntry: main()\nexcept SystemExit: pass\nprint([m for m in {HEAVY!r} if m in sys.modules], file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT)
    assert done.stderr.strip() == "[]"
    assert all(word in done.stdout for word in ("demo", "show", "replay", "send", "capture", "completion"))


def test_show_prints_a_line_a_packet(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", str(CORPUS / "dodo_checksums.pcap"), "-c", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 and "41A.1000AA000001.3FFF > 41A.FFFFFFFFFFFF.8H" in lines[0] and "PEX" in lines[0]


def test_show_filters_details_and_dumps(capsys: pytest.CaptureFixture[str]) -> None:
    web = str(CORPUS / "web.pcap")
    assert main(["show", "-r", web, "-Y", "tcp.flags == SYN", "-V", "-x"]) == 0
    out = capsys.readouterr().out
    assert "flags              SYN (0x02)" in out and "0000  00b0 c286" in out
    assert main(["show", web, "-Y", "arp"]) == 1 and main(["show", web, "-q"]) == 0
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["show", "none.pcap"], "none.pcap: expected a readable file"),
        (["show"], "expected a FILE"),
        (["show", str(CORPUS / "web.pcap"), "-Y", "upd"], "did you mean 'udp'"),
        (["show", str(CORPUS / "shb-option-too-long.pcapng")], "block"),
        (["send", "Ethre()"], "did you mean 'Ether'"),
        (["replay", "none.pcap", "--lab"], "a readable file"),
        (["capture", "-i", "nonesuch0", "-w", "x"], "nonesuch0"),
    ],
)
def test_what_cannot_be_done_is_reported_with_status_2(
    words: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    assert complaint in capsys.readouterr().err


@pytest.mark.parametrize(
    "words", [["show", "f", "-c", "0"], ["nonsense"], ["replay", "f"], ["replay", "f", "-i", "lo", "--pps", "-1"]]
)
def test_wrong_calls_have_status_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == 2


def test_a_cut_file_is_shown_as_far_as_it_goes_with_status_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", str(CORPUS / "truncated_dns_2.pcap")]) == 1
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 1 and "expected a record header of 16 bytes" in err


def test_nothing_from_the_wire_reaches_the_terminal_as_it_is(nasty: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", str(nasty), "-V", "-x"]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out and "\x07" not in out and "comment: \\x1b[31mred\\x07\\n" in out


HOSTILE = "\x1b]0;owned\x07\u202ex\x1b[31m"


@pytest.mark.parametrize(
    "words",
    [
        ["show", "IN"], ["show", "NONE"], ["show", "CUT"], ["show", "IN", "-Y", HOSTILE], ["ladder", "IN"],
        ["ladder", "CUT"], ["ladder", "IN", "--name", f"10.0.0.1={HOSTILE}"], ["ladder", "IN", "-o", "NONE/x.svg"],
        ["follow", "IN"], ["follow", "CUT"], ["follow", "NONE"], ["follow", "IN", "-w", "IN"],
        ["table", "IN", "CUT", "NONE", "-e", "file"], ["table", "IN", "-e", HOSTILE], ["table", "CUT", "-e", "file"],
        ["table", "IN", "-e", "file", "-E", HOSTILE], ["rewrite", "IN", "OUT"], ["rewrite", "NONE", "OUT"],
        ["rewrite", "CUT", "OUT"], ["export", "wireshark", "NONE"], ["export", "wireshark", HOSTILE],
        ["replay", "IN", "-i", HOSTILE[-5:]], ["capture", "-i", HOSTILE[-5:]], ["send", "-i", HOSTILE[-5:], "Ether()"],
        ["malformed", HOSTILE], [HOSTILE], ["show", "IN", HOSTILE], ["demo", "-w", "OUT"], ["demo", "-w", "NONE/x"],
    ],
)  # fmt: skip
def test_no_name_reaches_the_terminal_as_it_is(words: list[str], tmp_path: Path, monkeypatch, capsys) -> None:
    whole = (CORPUS / "web.pcap").read_bytes()
    places = {name: tmp_path / f"{name}{HOSTILE}.pcap" for name in ("IN", "CUT", "OUT", "NONE")}
    places["IN"].write_bytes(whole)
    places["CUT"].write_bytes(whole[:-1])
    if words[0] == "demo":
        monkeypatch.setattr("packetlab.sockets.networks.Lab.open", refuse)
    with contextlib.suppress(SystemExit):
        main(
            [
                word.replace(name, str(places[name])) if (name := word.partition("/")[0]) in places else word
                for word in words
            ]
        )
    said = "".join(capsys.readouterr())
    assert all(c.isprintable() or c in "\n\t" for c in said), said


def refuse(self: object) -> object:
    raise NeedsPrivilege("Lab", "user.max_user_namespaces above 0", "no")


def test_a_report_shows_reasons_as_text() -> None:
    report = SendReport(0, 0, 2, HOSTILE, 1, {}, failures={HOSTILE: 1, "else": 1})
    assert "\x1b" not in str(report) and "\\x1b[31m" in str(report)


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "packetlab", "show", str(CORPUS / "4KHttpRequests.pcap"), "-V"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT,
    ) as process:  # fmt: skip
        assert process.stdout is not None and process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b"" and process.wait() == 0


def test_standard_input_is_a_file_too() -> None:
    done = command("show", "-", "-c", "1", input=(CORPUS / "web.pcap").read_bytes())
    assert done.returncode == 0 and b"TCP" in done.stdout


def test_send_without_an_interface_only_shows(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["send", 'Ether() / IPv4(dst="10.0.0.2") / UDP(dport=9) / b"hi"', "-x"]) == 0
    out = capsys.readouterr().out
    assert "dport              9" in out and "17 (UDP)" in out and "0020  0002 0000 0009 000a" in out


@pytest.mark.slow
def test_send_and_capture_on_loopback(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs CAP_NET_RAW")
    path = tmp_path / "lo.pcapng"
    words = ["capture", "-i", "lo", "-w", str(path), "-c", "2", "-Y", "udp.dport == 40123", "--seconds", "20"]
    with subprocess.Popen([sys.executable, "-m", "packetlab", *words], stderr=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stderr is not None
        while process.poll() is None and not path.exists():
            pass
        while process.poll() is None:
            assert (
                main(
                    ["send", 'Ether() / IPv4(src="127.0.0.1", dst="127.0.0.1") / UDP(dport=40123) / b"hi"', "-i", "lo"]
                )
                == 0
            )
        assert process.returncode == 0 and b"2 frames captured" in process.stderr.read()
    assert [f.packet().payload for f in Capture(path)] == [b"hi", b"hi"]


@pytest.mark.usefixtures("lab")  # the command makes one of its own: skipped where there can be none
def test_replay_in_a_lab_counts_what_arrives(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", str(CORPUS / "web.pcap"), "--lab", "--pps", "5000", "-L", "10", "--loop", "2"]) == 0
    out = capsys.readouterr().out
    assert "arrived   20 frames" in out and "sent      20 frames" in out and "lateness" in out


def test_the_demo_passes_and_keeps_a_file_that_tshark_reads(tmp_path: Path, tshark) -> None:
    path = tmp_path / "demo.pcapng"
    done = command("demo", "-w", str(path), text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("PASS") == 2 and "FAIL" not in done.stdout and "\x1b" not in done.stdout
    assert tshark(path, "spp.seq", "spp.type", "_ws.malformed") == [[str(i), "0x07", ""] for i in range(4)] or [
        row[:2] for row in tshark(path, "spp.seq", "spp.type")
    ] == [[str(i), "0x07"] for i in range(4)]


@pytest.mark.slow
def test_the_demo_leaves_nothing_behind(tmp_path: Path) -> None:
    places = {name: tmp_path / name for name in ("TMPDIR", "HOME", "XDG_CACHE_HOME", "here")}
    for place in places.values():
        place.mkdir()
    environment = {name: str(place) for name, place in places.items() if name != "here"}
    done = subprocess.run(
        [sys.executable, "-P", "-m", "packetlab", "demo"], capture_output=True, text=True, timeout=100, check=False,
        cwd=places["here"], env={**os.environ, **environment, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0 and done.stdout.count("PASS") == 2, done.stderr
    assert "to a file in memory (-w FILE keeps it)" in done.stdout
    assert [path for path in tmp_path.rglob("*") if path not in places.values()] == []


@pytest.mark.parametrize(
    "words", [("capture", "-w", "x.pcap"), ("send", "Ether()"), ("replay", str(CORPUS / "web.pcap"))]
)
def test_an_interface_that_does_not_exist_is_named_before_any_privilege(words, monkeypatch, capsys) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("packetlab.link.interface._socket.socket", refuse)
    command, *rest = words
    assert main([command, "-i", "eth9nope", *rest]) == 2
    error = capsys.readouterr().err
    assert "Interface('eth9nope'): expected one of lo" in error and "got no such interface" in error
    assert main([command, "-i", "lo", *rest]) == 2
    assert "expected the capability CAP_NET_RAW" in capsys.readouterr().err


def test_files_that_cannot_be_read_or_written_are_reported_alike(capsys, tmp_path: Path) -> None:
    missing = tmp_path / "nofile.py"
    for form in ("wireshark", "diagram"):
        assert main(["export", form, str(missing)]) == 2
        reported = f"packetlab export: {missing}: expected a readable file, got No such file or directory\n"
        assert capsys.readouterr().err == reported
    assert main(["export", "diagram", "IPv4", "-o", str(tmp_path / "no" / "x.md")]) == 2
    assert capsys.readouterr().err == f"packetlab export: {tmp_path / 'no' / 'x.md'}: No such file or directory\n"
    leaves = tmp_path / "leaves.py"
    leaves.write_text("raise SystemExit(0)")
    assert main(["export", "wireshark", str(leaves)]) == 2
    assert "expected a file that runs, got SystemExit: 0" in capsys.readouterr().err


def test_the_demo_runs_in_memory_where_the_kernel_refuses(monkeypatch, capsys, tmp_path: Path) -> None:
    from packetlab import Lab
    from packetlab.demo import run

    monkeypatch.setattr(Lab, "open", refuse)
    assert run(str(tmp_path / "x.pcapng")) == 0
    out = capsys.readouterr().out
    assert (
        "No lab here: Lab: expected user.max_user_namespaces above 0" in out
        and "a wire in memory" in out
        and out.count("PASS") == 2
    )


def test_the_demo_fails_with_the_first_difference(monkeypatch, capsys, tmp_path: Path) -> None:
    import packetlab.demo as demo
    from packetlab import Lab, NeedsPrivilege
    from packetlab.link.memory import MemoryPort

    def refuse(self: Lab) -> Lab:
        raise NeedsPrivilege("Lab", "x", "no")

    honest = MemoryPort._send
    monkeypatch.setattr(Lab, "open", refuse)
    monkeypatch.setattr(MemoryPort, "_send", lambda self, data: honest(self, data[:-1] + bytes([data[-1] ^ 1])))
    assert demo.run(str(tmp_path / "x.pcapng")) == 1
    assert "FAIL  packet 1: sent != received" in capsys.readouterr().out
    monkeypatch.setattr(demo, "WAIT", 0.01)
    monkeypatch.setattr(MemoryPort, "_send", lambda self, data: None)
    assert demo.run(str(tmp_path / "x.pcapng")) == 1
    assert "packet 1 of 4 never arrived" in capsys.readouterr().out


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_know_the_commands(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    assert "replay" in capsys.readouterr().out


def test_version_and_no_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0 and capsys.readouterr().out.startswith("packetlab 0.")
    assert main([]) == 2


def test_tcpdump_reads_what_capture_writes_to_a_pipe(tmp_path: Path) -> None:
    need("tcpdump")
    out = io.BytesIO()
    Capture.of([Frame(bytes(Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2") / TCP(dport=80)), 10**9)]).write(
        out, format="pcap"
    )
    done = subprocess.run(["tcpdump", "-nn", "-tt", "-r", "-"], input=out.getvalue(), capture_output=True)
    assert b"10.0.0.1.0 > 10.0.0.2.80: Flags [S]" in done.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["show", "-Y", "arp"], "no packet passes"),
        (["ladder", "-Y", "arp"], "no packet passes"),
        (["table", "-e", "ip.src", "-Y", "arp"], "no packet passes"),
        (["follow"], "no tcp stream"),
        (["follow", "-n", "7"], "expected tcp stream 7, got none"),
        (["declarations"], "no declarations"),
    ],
)
def test_where_there_is_nothing_one_line_says_so(
    words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "udp.pcapng"
    Capture.of([Ether() / IPv4() / UDP(dport=9) / b"x"]).write(path)
    assert main([words[0], str(path), *words[1:]]) == 1
    assert capsys.readouterr().err == f"packetlab {words[0]}: {path}: {said}\n"
    assert main(["show", str(path), "-Y", "arp", "-q"]) == 1 and capsys.readouterr().err == ""


def test_show_makes_objects_of_what_passes_alone_and_counts_times_from_the_first_frame(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "many.pcap"
    Capture.of([Frame(bytes(Ether() / IPv4() / UDP(dport=i)), 10**9 * i) for i in range(1, 300)]).write(path)
    made: list[int] = []
    packet = Frame.packet
    monkeypatch.setattr(Frame, "packet", lambda frame: made.append(frame.number) or packet(frame))
    assert main(["show", str(path), "-Y", "udp.dport == 77"]) == 0
    assert made == [77] and " 76.000000000 " in capsys.readouterr().out
    with path.open("rb") as file:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(_Pipe(file.read()))))
        assert main(["show", "-", "-Y", "udp.dport == 77"]) == 0
    assert " 76.000000000 " in capsys.readouterr().out


@pytest.mark.slow
def test_show_takes_as_many_steps_a_packet_shown_and_few_for_those_that_do_not_pass(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def shown(packets: int, passing: int) -> int:
        path = tmp_path / "many.pcap"
        frames = [bytes(Ether() / IPv4(ttl=9 if n < passing else 64) / UDP(dport=n) / b"data") for n in range(packets)]
        Capture.of(frames).write(path)
        for _ in range(3):  # a reader of these packets may be written only when many have come
            main(["show", str(path), "-Y", "ip.ttl == 9"])
        taken = steps(lambda: main(["show", str(path), "-Y", "ip.ttl == 9"]))
        assert len(capsys.readouterr().out.splitlines()) == 4 * passing
        return taken

    few, more, many = shown(300, 50), shown(300, 100), shown(3000, 50)
    assert (more - few) / 50 < 520  # a packet shown
    assert (many - few) / 2700 < (more - few) / 50 / 50  # one that does not pass


class _Pipe(io.RawIOBase):
    """Bytes that can be read once."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        part, self.data = self.data[: len(buffer)], self.data[len(buffer) :]
        buffer[: len(part)] = part
        return len(part)
