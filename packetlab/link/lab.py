"""Lab: hosts on links, made of kernel namespaces, without root; nothing of it outlives its `with`.

Owns names, addresses and the talk with the keeper process (see `keeper`, which alone knows namespaces).
"""

from __future__ import annotations

import errno
import json
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packetlab.errors import NeedsPrivilege, PacketlabError
from packetlab.link import keeper as _keeper
from packetlab.link.interface import Interface

if TYPE_CHECKING:
    from types import TracebackType

    import netaddr

_KEEPER = Path(__file__).with_name("keeper.py")


class Lab:
    """Hosts and links in namespaces of their own.

    Raises on opening:
        NeedsPrivilege: the kernel refuses namespaces; the message says which setting does, and what to do.
    """

    def __init__(self) -> None:
        self.hosts: dict[str, Host] = {}
        self._subnets = 0
        self._macs = 0
        self._lock = threading.Lock()
        self._keeper: subprocess.Popen[bytes] | None = None
        self._control: socket.socket

    def open(self) -> Lab:
        """Start the keeper; `with` does it by itself."""
        if self._keeper is not None:
            return self
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            # By path and isolated: it starts in milliseconds and imports nothing but the standard library.
            # In a session of its own: an interrupt at the terminal or of a notebook's cell does not end the lab.
            self._keeper = subprocess.Popen(
                [sys.executable, "-I", "-S", str(_KEEPER), str(theirs.fileno()), str(os.getpid())],
                pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, cwd="/", start_new_session=True,
            )  # fmt: skip
        self._control = ours
        answer = ours.recv(_keeper.LARGEST)
        reply = json.loads(answer) if answer else {"errno": 0, "error": "the keeper ended"}
        if "ok" not in reply:
            self.close()
            raise _refused(reply)
        return self

    def close(self) -> None:
        """End every program inside and give all namespaces back."""
        if self._keeper is None:
            return
        for host in self.hosts.values():
            for interface in host.interfaces:
                interface.close()
            for program in host.programs:
                program.close()
        self._control.close()
        self._keeper.wait()
        self._keeper = None
        self.hosts = {}

    def __enter__(self) -> Lab:
        return self.open()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_keeper", None) is not None:
            self.close()

    @staticmethod
    def refusal() -> str | None:
        """Return why this machine refuses a lab, or None where it does not."""
        try:
            with Lab():
                return None
        except NeedsPrivilege as error:
            return str(error)

    # Building ----------------------------------------------------------------------------------------------

    def host(self, name: str) -> Host:
        """Return the host of that name; a new one comes to be where there was none."""
        if name not in self.hosts:
            self._ask("host", name=name)
            self.hosts[name] = Host(self, name)
        return self.hosts[name]

    def switch(self, name: str) -> Switch:
        """Make a switch: hosts linked to it share one subnet."""
        if name in self.hosts:
            raise PacketlabError(f"Lab.switch({name!r})", "a free name", "one that is taken")
        self._ask("host", name=name)
        switch = Switch(self, name, self._subnet())
        self._ask("bridge", host=name, name="bridge")
        return switch

    def link(self, one: Host, other: Host | Switch, *, mtu: int = 1500) -> Link:
        """Join two hosts, or a host and a switch, by a pair of virtual Ethernet interfaces.

        Each host gets an address in the link's subnet, and permanent neighbour entries for who else is on it, so that
        nothing crosses the link but what is sent.
        """
        if isinstance(one, Switch):
            raise PacketlabError("Lab.link", "a host first", f"switch {one.name}")
        subnet = other.subnet if isinstance(other, Switch) else self._subnet()
        members: list[_End] = other.members if isinstance(other, Switch) else []
        ends = []
        for node in (one, other):
            name = f"eth{len(node.ends)}"
            end = _End(node, name, self._mac())
            node.ends.append(end)
            if isinstance(node, Host):
                members.append(end)
                end.address = f"{subnet}.{len(members)}"
            ends.append(end)
        self._ask("pair", ends=[end.request() for end in ends], mtu=mtu)
        for end in ends:
            if isinstance(end.node, Host):
                for peer in members:
                    if peer is not end and (end is ends[0] or peer is not ends[0]):
                        self._neighbours(end, peer)
                end.node._attach(end)
        return Link(tuple(end.node.name for end in ends), mtu)

    def _neighbours(self, one: _End, other: _End) -> None:
        for end, peer in ((one, other), (other, one)):
            self._ask("neighbour", host=end.node.name, name=end.name, address=peer.address, mac=peer.mac.hex())

    def _subnet(self) -> str:
        self._subnets += 1
        return f"10.{self._subnets - 1 >> 8}.{self._subnets - 1 & 255}"

    def _mac(self) -> bytes:
        self._macs += 1
        return b"\x02" + self._macs.to_bytes(5, "big")  # locally administered, the same in every run

    def _ask(self, do: str, *, fds: tuple[int, ...] = (), want: int = 0, **request: Any) -> Any:
        """Have the keeper do something. With `want`, return that many file descriptors."""
        if self._keeper is None:
            raise PacketlabError(f"Lab: {do}", "an open lab", "a closed one", "use it in a `with`")
        with self._lock:
            socket.send_fds(self._control, [json.dumps({"do": do, **request}).encode()], fds)
            answer, got, _, _ = socket.recv_fds(self._control, _keeper.LARGEST, max(want, 1))
        if not answer:
            raise PacketlabError(f"Lab: {do}", "an answer of the keeper", "none: it has ended")
        reply = json.loads(answer)
        if "errno" in reply:
            raise OSError(reply["errno"], reply["error"])
        return got if want else reply["ok"]


class _End:
    """One end of a link."""

    def __init__(self, node: Host | Switch, name: str, mac: bytes) -> None:
        self.node, self.name, self.mac = node, name, mac
        self.address = ""

    def request(self) -> dict[str, str]:
        found = {"host": self.node.name, "name": self.name, "mac": self.mac.hex()}
        if self.address:
            found["address"] = self.address
        else:
            found["bridge"] = "bridge"
        return found


class Link:
    """A link: the names of what it joins, and its MTU in bytes."""

    def __init__(self, names: tuple[str, ...], mtu: int) -> None:
        self.names, self.mtu = names, mtu

    def __repr__(self) -> str:
        return f"<Link {' -- '.join(self.names)}>"


class Switch:
    """A kernel bridge in a namespace of its own."""

    def __init__(self, lab: Lab, name: str, subnet: str) -> None:
        self.lab, self.name, self.subnet = lab, name, subnet
        self.ends: list[_End] = []
        self.members: list[_End] = []

    def __repr__(self) -> str:
        return f"<Switch {self.name}>"


class Host:
    """A host of a lab: a network of its own, with an interface for each link."""

    def __init__(self, lab: Lab, name: str) -> None:
        self.lab, self.name = lab, name
        self.ends: list[_End] = []
        self.interfaces: list[Interface] = []
        self.programs: list[Program] = []

    def _attach(self, end: _End) -> None:
        sock = self.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self.interfaces.append(Interface(end.name, socket=sock))

    def _first(self) -> _End:
        if not self.ends:
            raise PacketlabError(f"host {self.name}", "a link", "none yet", "lab.link(...) makes one")
        return self.ends[0]

    @property
    def interface(self) -> Interface:
        """The interface of the first link."""
        self._first()
        return self.interfaces[0]

    @property
    def address(self) -> netaddr.IPAddress:
        """The IPv4 address on the first link."""
        import netaddr

        return netaddr.IPAddress(self._first().address)

    @property
    def mac(self) -> netaddr.EUI:
        """The MAC address on the first link."""
        from packetlab.wire.addresses import mac_value

        return mac_value(self._first().mac)

    def socket(self, family: int = socket.AF_INET, type: int = socket.SOCK_STREAM, protocol: int = 0) -> socket.socket:
        """Open any socket of the kernel inside this host; it stays there wherever it is used."""
        (fd,) = self.lab._ask("socket", host=self.name, family=int(family), type=int(type), protocol=protocol, want=1)
        return socket.socket(fileno=fd)

    def popen(self, *argv: str, stdin: int | None = None) -> Program:
        """Start a program inside this host; it ends with the lab at the latest.

        Raises FileNotFoundError, PermissionError: it cannot be started.
        """
        outputs = [os.pipe() for _ in range(3)]
        source = os.open(os.devnull, os.O_RDONLY) if stdin is None else os.dup(stdin)
        theirs = [source, *(write for _, write in outputs)]
        try:
            pid = self.lab._ask(
                "run", host=self.name, argv=[str(word) for word in argv], cwd=os.getcwd(), fds=tuple(theirs)
            )
        except OSError as error:
            for read, _ in outputs:
                os.close(read)
            raise OSError(error.errno, error.strerror, argv[0] if argv else None) from None
        finally:
            for fd in theirs:
                os.close(fd)
        program = Program(self, argv, pid, *(read for read, _ in outputs))
        self.programs.append(program)
        return program

    def run(self, *argv: str, timeout: float | None = 60.0, check: bool = False) -> subprocess.CompletedProcess[str]:
        """Run a program inside this host to its end; output is text.

        Raises:
            FileNotFoundError: no such program. subprocess.TimeoutExpired: it took longer than `timeout` seconds and was
            ended. subprocess.CalledProcessError: with `check`, its exit status was not 0.
        """
        with self.popen(*argv) as program:
            out, err = program.communicate(timeout)
            status = program.wait()
        if check and status:
            raise subprocess.CalledProcessError(status, argv, out, err)
        return subprocess.CompletedProcess(argv, status, out, err)

    def __repr__(self) -> str:
        return f"<Host {self.name}>"


class Program:
    """A program running inside a host."""

    def __init__(self, host: Host, argv: tuple[str, ...], pid: int, out: int, err: int, status: int) -> None:
        self.host, self.argv, self._pid = host, argv, pid
        self.stdout, self.stderr = open(out, "rb"), open(err, "rb")
        self._status = open(status, "rb", buffering=0)
        self.returncode: int | None = None

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end; return the exit status, negative for a signal. subprocess.TimeoutExpired in time."""
        if self.returncode is None:
            self._ready([self._status], timeout)
            self.returncode = int(self._status.read() or -9)
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Read standard output and error to their ends; end the program where that takes longer than `timeout`."""
        deadline = None if timeout is None else time.monotonic() + timeout
        found: dict[Any, list[bytes]] = {self.stdout: [], self.stderr: []}
        waiting = list(found)
        while waiting:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            for stream in self._ready(waiting, left):
                piece = os.read(stream.fileno(), 65536)
                found[stream].append(piece)
                if not piece:
                    waiting.remove(stream)
        out, err = (b"".join(pieces).decode(errors="replace") for pieces in found.values())
        return out, err

    def _ready(self, streams: list[Any], timeout: float | None) -> list[Any]:
        import select

        ready, _, _ = select.select(streams, [], [], timeout)
        if not ready:
            self.kill()
            raise subprocess.TimeoutExpired(self.argv, timeout or 0.0)
        return ready

    def kill(self, number: int = 9) -> None:
        """Send a signal to the program and what it has started."""
        if self.returncode is None:
            self.host.lab._ask("kill", pid=self._pid, number=int(number))

    def __enter__(self) -> Program:
        return self

    def close(self) -> None:
        """Let go of its output."""
        for stream in (self.stdout, self.stderr, self._status):
            stream.close()

    def __exit__(self, *_: object) -> None:
        if self.returncode is None:
            self.kill()
        self.close()
        self.host.programs.remove(self)


def setting(name: str) -> str | None:
    """Return a setting of the kernel, None where it has none of that name."""
    try:
        return Path("/proc/sys", name).read_text().strip()
    except OSError:
        return None


def _refused(reply: dict[str, Any]) -> NeedsPrivilege:
    """Say which setting refuses namespaces, and what to do."""

    got = f"{reply['error']}"
    if setting("user/max_user_namespaces") == "0" or reply["errno"] == errno.ENOSPC:
        what, do = "user.max_user_namespaces above 0", "sysctl -w user.max_user_namespaces=10000"
    elif setting("kernel/unprivileged_userns_clone") == "0":
        what, do = "kernel.unprivileged_userns_clone = 1", "sysctl -w kernel.unprivileged_userns_clone=1"
    elif setting("kernel/apparmor_restrict_unprivileged_userns") == "1":
        what = "kernel.apparmor_restrict_unprivileged_userns = 0"
        do = "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, or an AppArmor profile with `userns,`"
    else:
        what = "leave to make user namespaces"
        do = "in a container: --security-opt seccomp=unconfined --cap-add SYS_ADMIN; the in-memory wire needs none"
    return NeedsPrivilege("Lab", what, got, f"as root: {do}")
