"""Labs: hosts, links, switches, programs; nothing crosses but what is sent, and nothing is left behind."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from pathlib import Path

import pytest

from packetlab import (
    ARP,
    ICMP,
    UDP,
    VLAN,
    Ether,
    Interface,
    IPv4,
    Lab,
    NeedsPrivilege,
    PacketlabError,
    RawIPSocket,
    dissect,
)
from tests.conftest import need

ROOT = Path(__file__).parent.parent.parent
FRAME = (
    Ether(dst="02:00:00:00:00:02", src="02:00:00:00:00:01")
    / IPv4(src="10.0.0.1", dst="10.0.0.2")
    / UDP(dport=9)
    / b"hello"
)


def children(pid: int) -> set[int]:
    """All processes that descend from `pid`."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except (OSError, IndexError):
                continue
    found, todo = set(), {pid}
    while todo:
        todo = {child for child, parent in parents.items() if parent in todo} - found
        found |= todo
    return found


def gone(pids: set[int], within: float = 60.0) -> bool:
    """Wait until none of these processes is left (a zombie holds nothing any more)."""
    deadline = time.monotonic() + within
    while any(map(lives, pids)):
        if time.monotonic() > deadline:
            return False
        threading.Event().wait(0.01)
    return True


def lives(pid: int) -> bool:
    """Whether there is such a process; a zombie is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_a_frame_arrives_as_it_was_sent_and_nothing_else_does(lab: Lab) -> None:
    a, b = lab.host("a"), lab.host("b")
    lab.link(a, b)
    before = time.time_ns()
    a.interface.send(FRAME)
    frame = b.interface.receive_frame(timeout=5)
    assert frame.data == bytes(FRAME) and before - 10**9 < frame.time_ns < time.time_ns() + 10**9
    with pytest.raises(TimeoutError, match="no frame in 0.3 s"):
        b.interface.receive(timeout=0.3)


def test_what_does_not_match_is_passed_over(lab: Lab) -> None:
    a, b = lab.host("a"), lab.host("b")
    lab.link(a, b)
    for port in (7, 8, 9):
        a.interface.send(FRAME.replace(UDP, dport=port))
    assert b.interface.receive(timeout=5, where=UDP(dport=9))[UDP].dport == 9
    with pytest.raises(TimeoutError, match=r"no frame that matches .*0 others came"):
        b.interface.receive(timeout=0.1, where=ARP)


def test_hosts_ping_over_a_link_and_through_a_switch(lab: Lab) -> None:
    need("ping")
    hosts = [lab.host(name) for name in "abcd"]
    switch = lab.switch("s")
    for host in hosts[:3]:
        lab.link(host, switch)
    lab.link(hosts[2], hosts[3])
    for one, other in ((0, 1), (1, 2), (2, 0)):
        assert hosts[one].run("ping", "-c1", "-W5", str(hosts[other].address), timeout=20).returncode == 0
    assert hosts[2].run("ping", "-c1", "-W5", "10.0.1.2", timeout=20).returncode == 0


def test_a_ping_is_seen_with_good_checksums(lab: Lab) -> None:
    need("ping")
    a, b = lab.host("a"), lab.host("b")
    lab.link(a, b)
    assert a.run("ping", "-c1", "-W5", str(b.address), check=True).returncode == 0
    request = b.interface.receive(timeout=5, where=ICMP(type=8))
    assert set(request.verdicts().values()) == {1} and str(request[IPv4].src) == str(a.address)


def test_programs_give_output_and_status_and_end_in_time(lab: Lab) -> None:
    host = lab.host("a")
    done = host.run("sh", "-c", "echo out; echo err >&2; exit 3")
    assert (done.stdout, done.stderr, done.returncode) == ("out\n", "err\n", 3)
    with pytest.raises(subprocess.CalledProcessError):
        host.run("false", check=True)
    with pytest.raises(FileNotFoundError, match="no-such-program"):
        host.run("no-such-program")
    with pytest.raises(subprocess.TimeoutExpired):
        host.run("sleep", "60", timeout=0.2)
    with host.popen("sleep", "60") as program:
        program.kill(signal.SIGTERM)
        assert program.wait(timeout=10) == -signal.SIGTERM


def test_any_socket_of_the_kernel_can_be_opened_inside(lab: Lab) -> None:
    a, b = lab.host("a"), lab.host("b")
    lab.link(a, b)
    with (
        b.kernel_socket(socket.AF_INET, socket.SOCK_DGRAM) as server,
        a.kernel_socket(socket.AF_INET, socket.SOCK_DGRAM) as client,
    ):
        server.bind((str(b.address), 4000))
        server.settimeout(5)
        client.sendto(b"hi", (str(b.address), 4000))
        data, (source, _) = server.recvfrom(100)
        assert data == b"hi" and source == str(a.address)


def test_raw_ip_sockets_send_and_receive(lab: Lab) -> None:
    a, b = lab.host("a"), lab.host("b")
    lab.link(a, b)
    with RawIPSocket(17, host=a) as sender, RawIPSocket(17, host=b) as receiver:
        sender.send(IPv4(src=a.address, dst=b.address) / UDP(sport=5, dport=4001) / b"raw")
        packet = receiver.receive(timeout=5)
        assert packet[UDP].dport == 4001 and packet.payload == b"raw" and packet.verdict(UDP) == 1


def test_a_vlan_tag_that_the_kernel_takes_out_is_put_back(lab: Lab) -> None:
    a, b = lab.host("a"), lab.host("b")
    lab.link(a, b)
    tagged = Ether(dst=b.mac, src=a.mac) / VLAN(id=5, priority=3) / IPv4() / UDP() / b"x"
    a.interface.send(tagged)
    assert b.interface.receive_frame(timeout=5).data == bytes(tagged)


def test_a_frame_too_long_for_the_link_is_refused(lab: Lab) -> None:
    a, b = lab.host("a"), lab.host("b")
    lab.link(a, b, mtu=600)
    with pytest.raises(OSError, match="eth0: a frame of 1014 bytes is longer than its MTU allows"):
        a.interface.send(Ether() / bytes(1000))


def test_a_capture_ends_by_count_and_by_time(lab: Lab) -> None:
    a, b = lab.host("a"), lab.host("b")
    lab.link(a, b)
    assert a.interface.send_all([FRAME] * 5) == 5
    assert [f.number for f in b.interface.capture(count=3, timeout=5)] == [1, 2, 3]
    assert len(list(b.interface.capture(timeout=0.1))) == 2
    assert b.interface.statistics() == (5, 0)


def test_two_labs_do_not_see_each_other_and_threads_do_not_matter(lab: Lab) -> None:
    results: list[bytes] = []

    def another() -> None:
        with Lab() as other:
            a, b = other.host("a"), other.host("b")
            other.link(a, b)
            a.interface.send(FRAME)
            results.append(b.interface.receive_frame(timeout=5).data)

    a, b = lab.host("a"), lab.host("b")
    lab.link(a, b)
    thread = threading.Thread(target=another)
    thread.start()
    thread.join()
    assert results == [bytes(FRAME)]
    with pytest.raises(TimeoutError):
        b.interface.receive(timeout=0.1)


def test_our_own_namespaces_stay_as_they_are(lab: Lab) -> None:
    assert lab.host("a").run("readlink", "/proc/self/ns/net").stdout.strip() != os.readlink("/proc/self/ns/net")
    assert "eth0" not in [name for _, name in socket.if_nameindex()] or Path("/sys/class/net/eth0").exists()


def test_leaving_leaves_nothing_behind(lab: Lab) -> None:
    before = children(os.getpid())
    with pytest.raises(ZeroDivisionError), Lab() as mine:
        a, b = mine.host("a"), mine.host("b")
        mine.link(a, b)
        a.popen("sleep", "100")
        started = children(os.getpid()) - before
        assert len(started) >= 3
        1 / 0  # noqa: B018
    assert gone(started)


def test_a_killed_process_leaves_nothing_behind(lab: Lab) -> None:
    program = textwrap.dedent("""
        from packetlab import Lab
        lab = Lab().open()
        a, b = lab.host("a"), lab.host("b")
        lab.link(a, b)
        a.popen("sh", "-c", "trap '' TERM HUP INT; sleep 100 & sleep 100")
        print("ready", flush=True)
        import threading; threading.Event().wait()
    """)
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, cwd=ROOT) as victim:
        assert victim.stdout is not None and victim.stdout.readline() == b"ready\n"
        started = children(victim.pid)
        assert len(started) >= 3
        victim.kill()
    assert gone(started)


@pytest.mark.slow
def test_a_fresh_link_carries_its_first_frame(lab: Lab) -> None:
    """Sent in the moment the link is there, it met a queue that the kernel had not set up yet, in one lab of seven."""
    for _ in range(20):
        with Lab() as fresh:
            a, b = fresh.host("a"), fresh.host("b")
            fresh.link(a, b)
            a.interface.send(b"\xff" * 6 + bytes(a.mac.packed) + b"\x88\xb5" + bytes(46))
            assert len(b.interface.receive_frame(timeout=5.0).data) == 60


def test_a_killed_process_with_a_forked_child_leaves_nothing_behind(lab: Lab) -> None:
    program = textwrap.dedent("""
        import os, signal
        from packetlab import Lab
        lab = Lab().open()
        lab.host("a").popen("sleep", "100")
        child = os.fork()
        if child == 0:
            signal.pause()  # holds the socket to the namespace helper
        print(child, lab._helper.pid, flush=True)
        signal.pause()
    """)
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, cwd=ROOT) as victim:
        assert victim.stdout is not None
        child, helper = map(int, victim.stdout.readline().split())
        started = {helper} | children(helper)
        assert len(started) >= 2
        victim.kill()
    try:
        assert gone(started)
    finally:
        os.kill(child, signal.SIGKILL)


@pytest.mark.slow
def test_an_interrupt_of_the_process_group_does_not_end_the_lab(lab: Lab) -> None:
    program = textwrap.dedent("""
        import os, signal
        from packetlab import Lab
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job ignores it
        with Lab() as lab:
            a = lab.host("a")
            try:
                os.killpg(0, signal.SIGINT)
                signal.pause()
            except KeyboardInterrupt:
                pass
            print([a.run("true").returncode for _ in range(20)] == [0] * 20)
    """)
    command = [sys.executable, "-c", program]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, start_new_session=True, timeout=60, check=False
    )
    assert (done.stdout, done.stderr) == ("True\n", "")


def test_a_folder_that_may_not_be_searched_does_not_hide_that_there_is_no_command(lab: Lab, tmp_path: Path) -> None:
    if os.geteuid() == 0:
        os.chown(tmp_path, 65534, 65534)  # a lab's root has no rights over what is others'
    tmp_path.chmod(0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{os.environ['PATH']}:{tmp_path}")
        with Lab() as fresh, pytest.raises(FileNotFoundError):
            fresh.host("a").run("no-such-command")
    tmp_path.chmod(0o700)


def test_misuse_is_reported(lab: Lab) -> None:
    with pytest.raises(PacketlabError, match=r"host a: expected a link, got none yet"):
        _ = lab.host("a").interface
    lab.close()
    with pytest.raises(PacketlabError, match="expected an open lab, got a closed one"):
        lab.host("b")


def test_an_interface_must_exist() -> None:
    if os.geteuid() != 0:
        pytest.skip("needs CAP_NET_RAW to get as far")
    with pytest.raises(PacketlabError, match=r"expected one of .*lo.*, got no such interface"):
        Interface("nonesuch0")


UNPRIVILEGED = """
import os, sys
assert os.geteuid() != 0
from packetlab import *
try:
    Interface("lo")
except NeedsPrivilege as error:
    print(error)
with Lab() as lab:
    a, b = lab.host("a"), lab.host("b")
    lab.link(a, b)
    a.interface.send(Ether() / b"from nobody")
    print(b.interface.receive(timeout=5).payload.decode())
"""


def interpreter_for_everybody() -> list[str]:
    """A command for a Python that an ordinary user may run: as root, the system's may be the only one."""
    if os.geteuid() != 0:
        return [sys.executable]
    drop = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "env", "-i", "PYTHONDONTWRITEBYTECODE=1"]
    for python in (sys.executable, "/usr/bin/python3"):
        done = subprocess.run(
            [*drop, python, "-c", "import sys; assert sys.version_info >= (3, 11)"], capture_output=True, cwd="/"
        )
        if done.returncode == 0:
            return [*drop, python]
    pytest.skip("no Python here that an ordinary user may run")


@pytest.mark.slow
def test_an_ordinary_user_has_a_lab_and_hears_what_an_interface_needs(lab: Lab) -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        shutil.copytree(ROOT / "packetlab", Path(folder, "packetlab"))
        script = f"import sys; sys.path.insert(0, {folder!r})\n" + UNPRIVILEGED
        done = subprocess.run([*interpreter_for_everybody(), "-c", script], capture_output=True, text=True, cwd="/")
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert first.startswith("Interface('lo'): expected the capability CAP_NET_RAW, got Operation not permitted")
    assert "a Lab() needs none" in first and second == "from nobody"


REFUSED = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
uid = os.geteuid()
assert libc.unshare(0x10000000) == 0
open("/proc/self/uid_map", "w").write(f"0 {uid} 1")
open("/proc/sys/user/max_user_namespaces", "w").write("0")
libc.prctl(24, 21)  # without CAP_SYS_ADMIN in the bounding set
os.execv(os.sys.executable, [os.sys.executable, "-c", '''
from packetlab import Lab, NeedsPrivilege
try:
    Lab().open()
except NeedsPrivilege as error:
    print(error)
'''])
"""


@pytest.mark.slow
def test_a_refusal_says_which_setting_refuses_and_what_to_do(lab: Lab) -> None:
    done = subprocess.run([sys.executable, "-c", REFUSED], capture_output=True, text=True, cwd=ROOT)
    assert "Lab: expected user.max_user_namespaces above 0, got" in done.stdout, done.stderr
    assert "sysctl -w user.max_user_namespaces" in done.stdout


def test_the_refusals_for_other_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    from packetlab.link.lab import lab as module

    reply = {"errno": 1, "error": "Operation not permitted"}
    for name, value, word in (
        ("kernel/unprivileged_userns_clone", "0", "unprivileged_userns_clone=1"),
        ("kernel/apparmor_restrict_unprivileged_userns", "1", "apparmor_restrict_unprivileged_userns=0"),
        ("none", "", "seccomp=unconfined"),
    ):
        monkeypatch.setattr(module, "setting", lambda query, name=name, value=value: value if query == name else None)
        assert word in str(module._refused(reply)) and isinstance(module._refused(reply), NeedsPrivilege)


def test_the_in_memory_wire_is_the_same_to_use() -> None:
    from packetlab import memory_wire

    moments = iter(range(100, 200))
    a, b = memory_wire(clock=lambda: next(moments))
    with a, b:
        a.send(FRAME)
        a.send_all([FRAME, bytes(FRAME)])
        assert [f.time_ns for f in b.capture(count=3, timeout=1)] == [100, 101, 102]
        b.send(FRAME.replace(UDP, dport=7))
        assert a.receive(timeout=1, where=UDP(dport=7))[UDP].dport == 7
        with pytest.raises(TimeoutError):
            a.receive(timeout=0.01)
    with pytest.raises(OSError, match="expected an open port, got one that has been closed"):
        a.send(FRAME)


def test_dissecting_what_arrived_gives_what_was_built() -> None:
    assert not FRAME.diff(dissect(bytes(FRAME)))
