"""A host of a lab: a network of its own, with real interfaces, real programs, and the kernel's sockets.

Owns what is inside one host; the links between them are the lab's (see `lab`), the namespaces its namespace helper's.
"""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, Protocol

from packetlab.errors import PacketlabError, SocketMisuse
from packetlab.escaping import printable
from packetlab.link.event_loop import EventLoop, RealTime
from packetlab.link.interface import EVERY_PROTOCOL, Interface
from packetlab.link.lab.program import KEPT, NamespaceRequests, Pipes, Program
from packetlab.link.lab.unanswered import UnansweredAddress
from packetlab.link.port import Attachment, OpenedPorts, place
from packetlab.renamed import renamed

if TYPE_CHECKING:
    import netaddr


class Listening(NamedTuple):
    """A socket that waits for others: protocol ("tcp" or "udp"), address ("0.0.0.0": any), port."""

    protocol: str
    address: str
    port: int


class Attachable(Protocol):
    """What a link ends at: a `Host`, or a lab's switch."""

    name: str


class LinkEnd:
    """One end of a link."""

    def __init__(self, node: Attachable, name: str, mac: bytes, network: int, carrier: str) -> None:
        self.node, self.name, self.mac, self.network, self.carrier = node, name, mac, network, carrier
        self.address = ""

    def request(self) -> dict[str, str]:
        found = {"host": self.node.name, "name": self.name, "mac": self.mac.hex()}
        if self.address:
            found["address"] = self.address
        else:
            found["bridge"] = "bridge"
        return found


class Surroundings(NamespaceRequests, Protocol):
    """What a host needs of its lab; `Lab` is one."""

    loop: RealTime

    def _socket(self, host: str, family: int, type: int, protocol: int) -> socket.socket:
        """Open a socket of the kernel inside a host."""

    def _changed(self, more: Mapping[str, str | None]) -> dict[str, str | None]:
        """Return what is to be changed in the environment that the namespace helper was started in."""

    def _new_unanswered_address(self, subnet: str) -> tuple[str, bytes] | None:
        """Choose a free address of a subnet, and a MAC address, and tell the hosts there. None: all addresses are taken."""


class Host:
    """A host of a lab: a network of its own, with an interface for each link."""

    def __init__(self, lab: Surroundings, name: str) -> None:
        self.lab, self.name = lab, name
        self.loop: EventLoop = lab.loop
        self.on_link: Callable[[], object] | None = None
        self.ends: list[LinkEnd] = []
        self.interfaces: list[Interface] = []
        self.programs: list[Program] = []
        self._opened = OpenedPorts()  # beside `interfaces`: by attachments, and raw IP sockets

    def _attach(self, end: LinkEnd) -> None:
        sock = self.kernel_socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self.interfaces.append(Interface(end.name, socket=sock))

    @property
    def attachments(self) -> list[Attachment]:
        """The networks this host is on."""
        return [Attachment(end.network, end.carrier, end.mac, partial(self._open, end)) for end in self.ends]

    def _open(self, end: LinkEnd, protocol: int | None = None, promiscuous: bool = False) -> Interface:
        sock = self.kernel_socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        every = EVERY_PROTOCOL if protocol is None else protocol
        port = Interface(end.name, promiscuous=promiscuous, protocol=every, socket=sock)
        self._opened.add(port)
        return port

    def _first(self) -> LinkEnd:
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
        from packetlab.declare.values.addresses import mac_value

        return mac_value(self._first().mac)

    def kernel_socket(
        self, family: int = socket.AF_INET, type: int = socket.SOCK_STREAM, protocol: int = 0
    ) -> socket.socket:
        """Open any socket of the kernel inside this host; it stays there wherever it is used."""
        return self.lab._socket(self.name, family, type, protocol)

    def popen(
        self, *argv: object, stdin: int | None = None, input: str | bytes | None = None,
        env: Mapping[str, str | None] | None = None, cwd: str | os.PathLike[str] | None = None, keep: int | None = KEPT,
    ) -> Program:  # fmt: skip
        """Start a program inside this host; it ends with the lab at the latest.

        Args:
            stdin: a descriptor to read from; None: `input`, or nothing. env: variables to change in the environment,
                which else is ours; None takes one away. cwd: the folder to run in, ours unless given.
            keep: bytes to keep of each of its outputs, the last ones; None: all.

        Inside, one is root: programs are looked for in the folders of PATH, and then in those of root's.

        Raises FileNotFoundError, PermissionError: it cannot be started.
        """
        place = os.path.join(os.getcwd(), cwd or "")
        os.stat(place)  # else what is missing would seem to be the program
        words = tuple(str(word) for word in argv)
        data = input.encode() if isinstance(input, str) else input or b""
        with ExitStack() as ours, ExitStack() as theirs:  # descriptors, closed unless the program has taken them

            def held(stack: ExitStack, fd: int) -> int:
                stack.callback(os.close, fd)
                return fd

            def pipe() -> tuple[int, int]:
                read, write = os.pipe()
                return held(ours, read), held(theirs, write)

            feed = None
            if stdin is not None or input is None:
                source = held(theirs, os.open(os.devnull, os.O_RDONLY) if stdin is None else os.dup(stdin))
            else:
                source, feed = os.pipe()
                held(theirs, source)
                held(ours, feed)
            (out, to_out), (err, to_err), (status, to_status) = pipe(), pipe(), pipe()
            fds = (source, to_out, to_err, to_status)
            try:
                pid = self.lab._ask(
                    "run", host=self.name, argv=words, cwd=place, env=self.lab._changed(env or {}), fds=fds
                )
            except SocketMisuse:  # it is about the lab, not the program
                raise
            except OSError as error:
                raise OSError(error.errno, error.strerror or str(error), words[0] if words else None) from None
            try:
                pipes = Pipes(out, err, status, feed, data, keep)
            except OSError:
                self.lab._ask("kill", pid=pid, number=9)
                raise
            ours.pop_all()
        program = Program(self, words, pid, pipes)
        self.programs.append(program)
        return program

    def run(
        self, *argv: object, timeout: float | None = 60.0, check: bool = False, input: str | bytes | None = None,
        env: Mapping[str, str | None] | None = None, cwd: str | os.PathLike[str] | None = None,
    ) -> subprocess.CompletedProcess[str]:  # fmt: skip
        """Run a program inside this host to its end; output is text. The arguments are those of `popen`.

        Raises:
            FileNotFoundError: no such program. subprocess.TimeoutExpired: it took longer than `timeout` seconds and was
            ended. subprocess.CalledProcessError: with `check`, its exit status was not 0.
        """
        with self.popen(*argv, input=input, env=env, cwd=cwd, keep=None) as program:
            out, err = program.communicate(timeout)
            status = program.wait()
        if check and status:
            raise subprocess.CalledProcessError(status, program.argv, out, err)
        return subprocess.CompletedProcess(program.argv, status, out, err)

    def listening(self) -> list[Listening]:
        """Return the TCP and UDP sockets inside this host that wait for others, of whatever program."""
        return [Listening(*row) for row in self.lab._ask("listening", host=self.name)]

    def unanswered_address(self, link: int = 0) -> UnansweredAddress:
        """Return a new address on one of this host's links (0 the first), for which no kernel answers; see `UnansweredAddress`.

        Make it when all hosts are on the link: those know its MAC address without asking for it.
        """
        place(self, link, "unanswered_address")
        end = self.ends[link]
        subnet = end.address.rpartition(".")[0]
        given = self.lab._new_unanswered_address(subnet)
        if given is None:
            raise PacketlabError(
                f"{self.name}: unanswered_address on {subnet}.0/24", "an address that nobody has", "all 254 taken"
            )
        address, mac = given
        made = UnansweredAddress(end.name, self.kernel_socket(socket.AF_PACKET, socket.SOCK_RAW, 0), address, mac)
        self.interfaces.append(made)
        return made

    ghost = renamed("ghost", "unanswered_address")

    def __repr__(self) -> str:
        return f"<Host {printable(self.name)}>"
