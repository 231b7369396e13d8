"""Lab: hosts on links, made of kernel namespaces, without root; nothing of it outlives its `with`.

Owns names, addresses and the talk with the namespace helper process (see `namespaces`, which alone knows namespaces).
"""

from __future__ import annotations

import errno
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packetlab.declare.values.addresses import mac_text
from packetlab.errors import NeedsPrivilege, PacketlabError
from packetlab.escaping import printable
from packetlab.hooks import Shown
from packetlab.link.event_loop import RealTime
from packetlab.link.impairment import Impairment
from packetlab.link.lab import namespaces as _namespaces
from packetlab.link.lab.lab_host import Host, LinkEnd
from packetlab.link.port import Port
from packetlab.link.topology import Joint, Topology, TopologyNode, shape_words
from packetlab.link.waits import NO_ROOM, explained, of_parent

if TYPE_CHECKING:
    from types import TracebackType

    from packetlab.link.lab.relay import Relay

FIRST_NETWORK = 0x401  # XNS network number of the first link
_HELPER = Path(__file__).with_name("namespaces.py")


class Lab(Shown):
    """Hosts and links in namespaces of their own.

    A lab is that of the process that opened it. A forked child has of it the ports and the kernel's sockets that it inherits;
    what else it wants of the lab is an OSError (EBADF), and `close` there lets go of the child's share alone.

    Raises on opening:
        NeedsPrivilege: the kernel refuses namespaces; the message says which setting does, and what to do.
    """

    def __init__(self) -> None:
        self.hosts: dict[str, Host] = {}
        self.switches: dict[str, Switch] = {}
        self.links: list[Link] = []
        self.loop = RealTime()
        self._relays: list[Relay] = []
        self._subnets = 0
        self._macs = 0
        self._ghosts: set[str] = set()  # addresses that no kernel has
        self._environment: dict[str, str] = {}  # that the namespace helper was started in
        self._lock = threading.RLock()  # a handler of a signal may close the lab in the midst of a request
        self._serial, self._asking = 0, False
        self._process = os.getpid()
        self._helper: subprocess.Popen[bytes] | None = None
        self._control: socket.socket

    def open(self) -> Lab:
        """Start the namespace helper; `with` does it by itself."""
        if self._helper is not None:
            self._need_own("open")
            return self
        self.loop.closed, self._process = False, os.getpid()
        self._environment = dict(os.environ)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            with theirs:
                # By path and isolated: it starts in milliseconds and imports nothing but the standard library.
                # In a session of its own: an interrupt at the terminal or of a notebook's cell does not end the lab.
                try:
                    self._helper = subprocess.Popen(
                        [sys.executable, "-I", "-S", str(_HELPER), str(theirs.fileno()), str(os.getpid())],
                        pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, cwd="/", start_new_session=True,
                    )  # fmt: skip
                except OSError as error:
                    raise explained("Lab, its namespace helper", error.errno, error.strerror) from None
            self._control = ours
            answer = ours.recv(_namespaces.LARGEST)
            reply = _reply(answer, "open") if answer else {"errno": 0, "error": "the namespace helper ended"}
            if "ok" not in reply:
                if reply["errno"] in NO_ROOM:
                    raise explained("Lab, its namespace helper", reply["errno"], reply["error"])
                raise _refused(reply)
        except BaseException:  # an interrupt too: a caller not in the `with` yet cannot close it
            ours.close()
            self.close()
            raise
        return self

    def close(self) -> None:
        """End every program inside and give all namespaces back."""
        helper = self._helper  # two threads may close it at once
        if helper is None:
            return
        for host in self.hosts.values():
            for interface in host.interfaces:
                interface.close()
        with self.loop.lock:
            for driver in self.loop.drivers:
                for port in driver.ports:
                    if isinstance(port, Port):
                        port.close()
            self.loop.drivers.clear()
            self.loop.closed = True
            self.loop.poke()
        for host in self.hosts.values():  # after the drivers, which would be told of a closed port
            host._opened.close()
        self.loop.background.stop()
        for relay in self._relays:
            relay.close()
        self._relays = []
        if self._process != os.getpid():  # whoever had a request is not here
            self._lock, self._asking = threading.RLock(), False
        with self._lock:  # whoever has a request gets the answer
            if self._process == os.getpid():
                with suppress(OSError):
                    self._control.shutdown(socket.SHUT_RDWR)  # a forked child has it open too
            self._control.close()
        if self._process == os.getpid():
            helper.wait()
        self._helper = None
        for host in self.hosts.values():
            for program in [*host.programs]:  # they are dead; what they wrote last is read before
                program._pipes.close(gone=True)
        self.hosts, self.switches, self.links = {}, {}, []

    def __enter__(self) -> Lab:
        return self.open()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        trouble = self.trouble()  # what happened in here may be owed to it
        self.close()
        if trouble and error is None:
            raise trouble
        if trouble and error is not None and str(error) != str(trouble):
            error.add_note(str(trouble))

    def __del__(self) -> None:
        if getattr(self, "_helper", None) is not None:
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
            self.hosts[name] = self._new_host(name)
        return self.hosts[name]

    def _new_host(self, name: str) -> Host:
        return Host(self, name)

    def switch(self, name: str) -> Switch:
        """Make a switch: hosts linked to it share one subnet."""
        if name in self.hosts:
            raise PacketlabError(f"Lab.switch({name!r})", "a free name", "one that is taken")
        self._ask("host", name=name)
        subnet = self._subnet()
        switch = Switch(self, name, subnet, FIRST_NETWORK + self._subnets - 1)
        self._ask("bridge", host=name, name="bridge")
        self.switches[name] = switch
        return switch

    def link(
        self, one: Host, other: Host | Switch, *, mtu: int = 1500,
        network: int | None = None, carrier: str = "ethernet", seed: int | str = 0, **shape: object,
    ) -> Link:  # fmt: skip
        """Join two hosts, or a host and a switch, by a pair of virtual Ethernet interfaces.

        Each host gets an address in the link's subnet, and permanent neighbour entries for who else is on it, so that
        nothing crosses the link but what is sent.

        Args:
            mtu: bytes. network: XNS network number, from 0x401 upwards where it is not given.
            carrier: how XNS packets go, "ethernet" (type 0x0600) or "snap".
            seed, shape: delay, jitter, loss, drop, duplicate, reorder, corrupt, rate, queue (see `Impairment`): frames
                of whatever origin are shaped in user space, by a process that stands in the middle of the link.
        """
        if isinstance(one, Switch):
            raise PacketlabError("Lab.link", "a host first", f"switch {one.name}")
        if not isinstance(mtu, int) or not 68 <= mtu <= 65535:  # what the kernel's virtual interfaces take
            raise PacketlabError("link mtu", "68 to 65535 bytes", f"{mtu!r}")
        subnet = other.subnet if isinstance(other, Switch) else self._subnet()
        if network is None:
            network = other.network if isinstance(other, Switch) else FIRST_NETWORK + self._subnets - 1
        members: list[LinkEnd] = other.members if isinstance(other, Switch) else []
        ends = []
        for node in (one, other):
            name = f"eth{len(node.ends)}"
            end = LinkEnd(node, name, self._mac(), network, carrier)
            node.ends.append(end)
            if isinstance(node, Host):
                members.append(end)
                end.address = f"{subnet}.{len(members)}"
            ends.append(end)
        relay = self._impaired(ends, mtu, seed, shape) if shape else None
        if relay is None:
            self._ask("pair", ends=[end.request() for end in ends], mtu=mtu)
        for end in ends:
            if isinstance(end.node, Host):
                for peer in members:
                    if peer is not end and (end is ends[0] or peer is not ends[0]):
                        self._neighbours(end, peer)
                end.node._attach(end)
                if end.node.on_link is not None:
                    end.node.on_link()
        made = Link(tuple(end.node.name for end in ends), mtu, relay, network, shape)
        self.links.append(made)
        return made

    def trouble(self) -> PacketlabError | None:
        """Return what is wrong with a link that no longer carries frames, because its relay has ended; None: nothing is."""
        return next((trouble for link in self.links if (trouble := link.trouble()) is not None), None)

    def topology(self) -> Topology:
        """Return who is joined to whom, and how each link treats frames now."""
        hosts = [
            TopologyNode(host.name, "host", tuple(f"{end.name} {end.address} {mac_text(end.mac)}" for end in host.ends))
            for host in self.hosts.values()
        ]
        switches = [
            TopologyNode(switch.name, "switch", (f"{switch.subnet}.0/24", f"network {switch.network:X}H"))
            for switch in self.switches.values()
        ]
        return Topology("Lab", (*hosts, *switches), tuple(link.joint(self.switches) for link in self.links))

    def _impaired(self, ends: list[LinkEnd], mtu: int, seed: int | str, shape: dict[str, Any]) -> Relay:
        """Put a relay between two ends: a host of its own, with an interface towards each."""
        from packetlab.link.lab.relay import Relay

        names = (ends[0].node.name, ends[1].node.name)
        Impairment(**shape)  # what is wrong with it is said here
        between = f"link {len(self._relays)} ({' -- '.join(names)})"
        self._ask("host", name=between)
        for i, end in enumerate(ends):
            middle = {"host": between, "name": f"eth{i}", "mac": self._mac().hex()}
            self._ask("pair", ends=[end.request(), middle], mtu=mtu)
        sockets = tuple(self._socket(between, socket.AF_PACKET, socket.SOCK_RAW, 0) for _ in ends)
        relay = Relay(names, (sockets[0], sockets[1]), f"{seed}/{len(self._relays)}", shape)
        self._relays.append(relay)
        return relay

    def _changed(self, more: Mapping[str, str | None]) -> dict[str, str | None]:
        """Return what is to be changed in the environment that the namespace helper was started in."""
        now: dict[str, str | None] = {**os.environ, **more}
        before = self._environment
        return {name: now.get(name) for name in {*now, *before} if now.get(name) != before.get(name)}

    def _socket(self, host: str, family: int, type: int, protocol: int) -> socket.socket:
        (fd,) = self._ask("socket", host=host, family=int(family), type=int(type), protocol=protocol, want=1)
        return socket.socket(fileno=fd)

    def _neighbours(self, one: LinkEnd, other: LinkEnd) -> None:
        for end, peer in ((one, other), (other, one)):
            self._ask("neighbour", host=end.node.name, name=end.name, address=peer.address, mac=peer.mac.hex())

    def _new_unanswered_address(self, subnet: str) -> tuple[str, bytes] | None:
        """Choose a free address of a subnet, and a MAC address, and tell the hosts there. None: all addresses are taken."""
        taken = {known.address for host in self.hosts.values() for known in host.ends} | self._ghosts
        address = next((f"{subnet}.{last}" for last in range(254, 0, -1) if f"{subnet}.{last}" not in taken), None)
        if address is None:
            return None
        self._ghosts.add(address)
        mac = self._mac()
        for host in self.hosts.values():
            for near in host.ends:
                if near.address.rpartition(".")[0] == subnet:
                    self._ask("neighbour", host=host.name, name=near.name, address=address, mac=mac.hex())
        return address, mac

    def _subnet(self) -> str:
        self._subnets += 1
        return f"10.{self._subnets - 1 >> 8}.{self._subnets - 1 & 255}"

    def _mac(self) -> bytes:
        self._macs += 1
        return b"\x02" + self._macs.to_bytes(5, "big")  # locally administered, the same in every run

    def _need_own(self, do: str) -> None:
        """Refuse what a forked child wants: it and its parent would take each other's answers."""
        if self._process != os.getpid():
            raise of_parent(f"Lab: {do}", "a lab", "open a Lab() of its own")

    def _ask(self, do: str, *, fds: tuple[int, ...] = (), want: int = 0, **request: object) -> Any:
        """Have the namespace helper do something. With `want`, return that many file descriptors."""
        if self._helper is None:
            raise _closed(do)
        self._need_own(do)
        if do != "kill" and (trouble := self.trouble()) is not None:
            raise trouble
        with self._lock:
            if self._asking:
                within, hint = "one within it, as a signal's handler makes", "let the handler note it, and do it after"
                raise PacketlabError(f"Lab: {do}", "a request after the one under way in this thread", within, hint)
            reply, got, serial = {"serial": 0}, list[int](), 0
            try:
                self._asking = True  # first: from here on a handler's request is refused
                serial = self._serial = self._serial + 1
                message = json.dumps({"do": do, "serial": serial, **request}).encode()
                if len(message) > _namespaces.LARGEST:
                    raise PacketlabError(f"Lab: {do}", f"{_namespaces.LARGEST} bytes of arguments at most", len(message))
                with suppress(BrokenPipeError, ConnectionResetError):
                    socket.send_fds(self._control, [message], fds)
                    # A request from before an interrupt may be answered first; None: the namespace helper could not read the request.
                    while reply["serial"] not in (serial, None):
                        for fd in got:
                            os.close(fd)
                        answer, got, _ = _namespaces.receive(self._control, max(want, 1))
                        if not answer:
                            break
                        reply = _reply(answer, do)
            except OSError:
                if self._control.fileno() < 0:
                    raise _closed(do) from None
                raise
            finally:
                self._asking = False
        if reply["serial"] not in (serial, None):
            raise PacketlabError(f"Lab: {do}", "an answer of the namespace helper", "none: it has ended")
        if "ok" not in reply:
            if reply["errno"] and reply["errno"] not in NO_ROOM:
                raise OSError(reply["errno"], reply["error"])
            raise explained(f"Lab: {do}", reply["errno"] or None, reply["error"])
        if want and len(got) < want:  # the kernel drops those that there is no room for
            for fd in got:
                os.close(fd)
            raise explained(f"Lab: {do}", errno.EMFILE, os.strerror(errno.EMFILE))
        return got if want else reply["ok"]


class Link:
    """A link: the names of what it joins, and its MTU in bytes."""

    def __init__(
        self,
        names: tuple[str, ...],
        mtu: int,
        relay: Relay | None = None,
        network: int = 0,
        shape: dict[str, object] | None = None,
    ) -> None:
        self.names, self.mtu, self._relay, self.network = names, mtu, relay, network
        self._shape = shape or {}

    def joint(self, switches: Collection[str] = ()) -> Joint:
        """Return whom it joins, and how it treats frames now; its network too, unless a switch says that."""
        network = "" if self.names[-1] in switches else f"network {self.network:X}H"
        mtu = "" if self.mtu == 1500 else f"mtu {self.mtu}"
        broken = "broken: its relay has ended" if self.trouble() else ""
        return Joint(self.names, tuple(filter(None, (network, mtu, broken, *shape_words(self._shape)))))

    def trouble(self) -> PacketlabError | None:
        """Return why the link carries no frames any more, None while it does."""
        return None if self._relay is None else self._relay.trouble()

    def change(self, **shape: Any) -> None:
        """Change how an impaired link treats frames from now on, both ways: loss=0.5, delay=0.1 ...

        PacketlabError where the link was made without impairments (``delay=0`` is enough to have them).
        """
        if self._relay is None:
            hint = "make it with lab.link(a, b, delay=0)"
            raise PacketlabError(f"{self}", "an impaired link", "a plain one", hint)
        Impairment(**shape)  # what is wrong with it is said here
        self._relay.tell(**shape)
        self._shape = {**self._shape, **shape}

    def partition(self) -> None:
        """Lose every frame from now on."""
        self.change(partitioned=True)

    def heal(self) -> None:
        """End a partition."""
        self.change(partitioned=False)

    def __repr__(self) -> str:
        return f"<Link {printable(' -- '.join(self.names))}{', broken' if self.trouble() else ''}>"


class Switch:
    """A kernel bridge in a namespace of its own."""

    def __init__(self, lab: Lab, name: str, subnet: str, network: int) -> None:
        self.lab, self.name, self.subnet, self.network = lab, name, subnet, network
        self.ends: list[LinkEnd] = []
        self.members: list[LinkEnd] = []

    def __repr__(self) -> str:
        return f"<Switch {printable(self.name)}>"


def _closed(do: str) -> PacketlabError:
    return PacketlabError(f"Lab: {do}", "an open lab", "a closed one", "use it in a `with`")


def _reply(answer: bytes, do: str) -> dict[str, Any]:
    try:
        reply = json.loads(answer)
    except ValueError:
        reply = None
    if not isinstance(reply, dict) or not ("ok" in reply or {"errno", "error"} <= reply.keys()):
        raise PacketlabError(f"Lab: {do}", "an answer of the namespace helper", repr(answer[:60]))
    return {"serial": None, **reply}


def setting(name: str) -> str | None:
    """Return a setting of the kernel, None where it has none of that name."""
    try:
        return Path("/proc/sys", name).read_text().strip()
    except OSError:
        return None


def _refused(reply: dict[str, object]) -> NeedsPrivilege:
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
