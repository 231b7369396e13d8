"""The namespace helper: the process that owns a lab's namespaces, and the only code that knows of namespaces.

Run as a program of its own (by path, so nothing of the package is imported), since a process with threads cannot enter
a user namespace. It makes a user namespace, a process namespace and one network namespace per host, wires them with
veth pairs and bridges over rtnetlink, starts programs inside, opens sockets inside and hands them out over
SCM_RIGHTS. It obeys JSON requests on the one socket it is given, and when that closes, whatever the reason, it exits:
as the first process of its process namespace it takes everything in there along, and the kernel frees the rest.

Follows user_namespaces(7), pid_namespaces(7), rtnetlink(7), veth(4), packet(7) and include/uapi/linux/ethtool.h.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import json
import os
import select
import signal
import socket
import struct
import sys
import time

NEWNS, NEWUSER, NEWPID, NEWNET = 0x00020000, 0x10000000, 0x20000000, 0x40000000
LARGEST = 65536  # bytes of a request or an answer
SYSTEM = ("/usr/local/sbin", "/usr/sbin", "/sbin")
SOCKETS = 1000  # of a host that are listed

libc = ctypes.CDLL(None, use_errno=True)


def check(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def receive(control: socket.socket, most: int) -> tuple[bytes, list[int], bool]:
    """Return a message, the descriptors that came along, and whether there was room for all of these.

    They are closed on exec, so that a program gets those alone that it is given (socket.recv_fds takes no flags in 3.11).
    """
    message, extra, flags, _ = control.recvmsg(LARGEST, socket.CMSG_LEN(most * 4), socket.MSG_CMSG_CLOEXEC)
    fds = [fd for level, kind, data in extra if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS)
           for fd in struct.unpack(f"{len(data) // 4}i", data[: len(data) // 4 * 4])]  # fmt: skip
    return message, fds, not flags & socket.MSG_CTRUNC


# rtnetlink -----------------------------------------------------------------------------------------------------

NEWLINK, SETLINK, NEWADDR, NEWROUTE, NEWNEIGH = 16, 19, 20, 24, 28
REQUEST, ACK, CREATE, EXCL = 1, 4, 0x400, 0x200
IFF_UP, IFF_RUNNING = 0x1, 0x40


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("HH", len(value) + 4, kind) + value + bytes(-len(value) % 4)


class Netlink:
    """Requests to the network namespace that this process is in."""

    def __enter__(self) -> Netlink:
        self.socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
        self.socket.bind((0, 0))
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def ask(self, kind: int, body: bytes, flags: int = 0, what: str = "") -> None:
        head = struct.pack("IHHII", 16 + len(body), kind, REQUEST | ACK | flags, 1, 0)
        self.socket.send(head + body)
        answer = self.socket.recv(LARGEST)
        (code,) = struct.unpack_from("i", answer, 16)
        if code:
            raise OSError(-code, f"{what}: {os.strerror(-code)}")

    def link(self, index: int, attributes: bytes, *, kind: int = SETLINK, up: bool = False, flags: int = 0) -> None:
        state = IFF_UP if up else 0
        self.ask(kind, struct.pack("BxHiII", 0, 0, index, state, state) + attributes, flags, "link")

    def pair(self, name: str, mac: bytes, mtu: int, peer: str, peer_mac: bytes, peer_namespace: int) -> None:
        """Make a veth pair: one end here, the other in `peer_namespace`."""
        ends = []
        for end, address in ((name, mac), (peer, peer_mac)):
            ends.append(
                attribute(3, end.encode() + b"\0") + attribute(1, address) + attribute(4, struct.pack("I", mtu))
            )
        far = struct.pack("BxHiII", 0, 0, 0, 0, 0) + ends[1] + attribute(28, struct.pack("I", peer_namespace))
        info = attribute(1, b"veth\0") + attribute(2, attribute(1, far))
        self.link(0, ends[0] + attribute(18, info), kind=NEWLINK, flags=CREATE | EXCL)

    def bridge(self, name: str) -> None:
        info = attribute(1, b"bridge\0")
        self.link(0, attribute(3, name.encode() + b"\0") + attribute(18, info), kind=NEWLINK, flags=CREATE | EXCL)
        self.link(index_of(name), b"", up=True)

    def address(self, index: int, address: str, prefix: int) -> None:
        raw = socket.inet_aton(address)
        body = struct.pack("BBBBi", socket.AF_INET, prefix, 0, 0, index) + attribute(2, raw) + attribute(1, raw)
        self.ask(NEWADDR, body, CREATE | EXCL, "address")

    def neighbour(self, index: int, address: str, mac: bytes) -> None:
        body = struct.pack("BxHiHBB", socket.AF_INET, 0, index, 0x80, 0, 0)  # NUD_PERMANENT
        self.ask(NEWNEIGH, body + attribute(1, socket.inet_aton(address)) + attribute(2, mac), CREATE, "neighbour")


def index_of(name: str) -> int:
    """Return the number of an interface (if_nametoindex(3) says that there is none where descriptors run out)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        found = fcntl.ioctl(probe, 0x8933, struct.pack("16s24x", name.encode()))  # SIOCGIFINDEX
        return int(struct.unpack_from("i", found, 16)[0])


def without_offloads(name: str) -> None:
    """Have the kernel finish checksums and segments itself, so that what a capture sees is what a wire would carry."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for command in (0x17, 0x1F, 0x24, 0x2C, 0x15):  # transmit sums, TSO, GSO, GRO, receive sums
            value = ctypes.create_string_buffer(struct.pack("II", command, 0))
            request = struct.pack("16sP", name.encode(), ctypes.addressof(value)).ljust(40, b"\0")
            try:
                fcntl.ioctl(probe, 0x8946, request)
            except OSError as error:
                if error.errno != errno.EOPNOTSUPP:
                    raise


def until_carrying(name: str) -> None:
    """Return when frames sent on an interface go out.

    A link that comes up gets its transmit queue a little later, from the kernel's link watch; until then frames are
    dropped and sending them succeeds. ETHTOOL_GLINK makes the watch catch up (on kernels before 5.15: look again).
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        value = ctypes.create_string_buffer(8)
        request = struct.pack("16sP", name.encode(), ctypes.addressof(value)).ljust(40, b"\0")
        for _ in range(1000):
            struct.pack_into("II", value, 0, 0x0A, 0)
            fcntl.ioctl(probe, 0x8946, request)
            flags = struct.unpack_from("H", fcntl.ioctl(probe, 0x8913, request), 16)[0]  # SIOCGIFFLAGS
            if struct.unpack_from("I", value, 4)[0] and flags & IFF_RUNNING:
                return
            time.sleep(0.001)
    raise OSError(errno.ETIMEDOUT, f"link {name} does not come up")


# Namespaces ----------------------------------------------------------------------------------------------------


class Inside:
    """Be in a network namespace for the length of a `with`."""

    home = -1

    def __init__(self, namespace: int) -> None:
        self.namespace = namespace

    def __enter__(self) -> None:
        check(libc.setns(self.namespace, NEWNET), "setns")

    def __exit__(self, *_: object) -> None:
        check(libc.setns(Inside.home, NEWNET), "setns")


def enter_namespaces() -> None:
    """Take this process into namespaces of its own, as their root."""
    uid, gid = os.geteuid(), os.getegid()
    try:
        check(libc.unshare(NEWUSER | NEWNET | NEWPID | NEWNS), "unshare")
    except OSError:
        if uid != 0:
            raise
        # Root without the right to user namespaces (some containers) may still have the others.
        check(libc.unshare(NEWNET | NEWPID | NEWNS), "unshare")
        return
    with open("/proc/self/setgroups", "w") as file:
        file.write("deny")
    for name, outside in (("uid_map", uid), ("gid_map", gid)):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(f"0 {outside} 1")


def execute(argv: list[str], environment: dict[str, str]) -> None:
    """Become a program, or OSError. A folder of PATH that may not be searched is as one that does not hold it.

    Inside we are root, so after PATH the folders of root's programs are searched, which an ordinary user's lacks.
    """
    trouble = OSError(errno.ENOENT, os.strerror(errno.ENOENT))
    for folder in [""] if "/" in argv[0] else [*os.get_exec_path(environment), *SYSTEM]:
        path = os.path.join(folder, argv[0])
        try:
            os.execve(path, argv, environment)
        except (FileNotFoundError, NotADirectoryError):
            pass
        except OSError as error:
            if error.errno != errno.EACCES or os.path.exists(path):
                trouble = error
    raise trouble


class NamespaceHelper:
    """Answers requests until the other side is gone."""

    def __init__(self, control: socket.socket, owner: int) -> None:
        self.control, self.owner = control, owner
        self.namespaces: dict[str, int] = {}
        self.programs: dict[int, int] = {}  # pid -> where to write its exit status

    def serve(self) -> None:
        Inside.home = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        waker, wake = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.set_wakeup_fd(wake)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's interrupt is for the one who started us
        poll = select.poll()  # select takes no descriptor above 1023, and ours has the number it had where we come from
        for source in (self.control.fileno(), waker, *([self.owner] if self.owner >= 0 else [])):
            poll.register(source, select.POLLIN)
        while True:
            ready = [source for source, _ in poll.poll()]
            if self.owner in ready:
                return
            if waker in ready:
                os.read(waker, 4096)
                self.reap()
            if self.control.fileno() in ready:
                request, fds, whole = receive(self.control, 8)
                if not request:
                    return
                self.answer(request, fds, whole)

    def answer(self, request: bytes, fds: list[int], whole: bool) -> None:
        out: list[int] = []
        serial = None
        try:
            said = json.loads(request)
            serial = said.pop("serial")
            if not whole:
                raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
            result = getattr(self, "do_" + said.pop("do"))(fds, out, **said)
            reply = {"ok": result}
        except OSError as error:
            reply = {"errno": error.errno, "error": error.strerror or str(error)}
        except Exception as error:  # whatever is wrong with a request, the next one is served
            reply = {"errno": None, "error": f"{type(error).__name__}: {error}"}
        socket.send_fds(self.control, [json.dumps({**reply, "serial": serial}).encode()], out)
        for fd in [*fds, *out]:
            os.close(fd)

    def do_host(self, fds: list[int], out: list[int], name: str) -> None:
        check(libc.unshare(NEWNET), "unshare")
        made = -1
        try:
            made = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
            # IPv6 speaks up by itself on a fresh link; a lab's wire carries what was sent and no more.
            for scope in ("all", "default"):
                path = f"/proc/sys/net/ipv6/conf/{scope}/disable_ipv6"
                if os.path.exists(path):
                    with open(path, "w") as file:
                        file.write("1")
            with Netlink() as netlink:
                netlink.link(index_of("lo"), b"", up=True)
        except OSError:
            if made >= 0:
                os.close(made)
            raise
        finally:
            check(libc.setns(Inside.home, NEWNET), "setns")
        self.namespaces[name] = made

    def do_bridge(self, fds: list[int], out: list[int], host: str, name: str) -> None:
        with Inside(self.namespaces[host]), Netlink() as netlink:
            netlink.bridge(name)

    def do_pair(self, fds: list[int], out: list[int], ends: list[dict[str, str]], mtu: int) -> None:
        near, far = ends
        with Inside(self.namespaces[near["host"]]), Netlink() as netlink:
            netlink.pair(
                near["name"], bytes.fromhex(near["mac"]), mtu, far["name"], bytes.fromhex(far["mac"]),
                self.namespaces[far["host"]],
            )  # fmt: skip
        for end in ends:
            with Inside(self.namespaces[end["host"]]), Netlink() as netlink:
                index = index_of(end["name"])
                without_offloads(end["name"])
                if "bridge" in end:
                    netlink.link(index, attribute(10, struct.pack("I", index_of(end["bridge"]))))
                if "address" in end:
                    netlink.address(index, end["address"], 24)
                netlink.link(index, b"", up=True)
        for end in ends:
            with Inside(self.namespaces[end["host"]]):
                until_carrying(end["name"])

    def do_neighbour(self, fds: list[int], out: list[int], host: str, name: str, address: str, mac: str) -> None:
        with Inside(self.namespaces[host]), Netlink() as netlink:
            netlink.neighbour(index_of(name), address, bytes.fromhex(mac))

    def do_socket(self, fds: list[int], out: list[int], host: str, family: int, type: int, protocol: int) -> None:
        with Inside(self.namespaces[host]):
            out.append(socket.socket(family, type, protocol).detach())

    def do_listening(self, fds: list[int], out: list[int], host: str) -> list[tuple[str, str, int]]:
        """Tell which sockets wait for others, as (protocol, address, port), from /proc/net (proc(5))."""
        found = []
        for kind, waiting in (("tcp", "0A"), ("tcp6", "0A"), ("udp", "07"), ("udp6", "07")):
            with Inside(self.namespaces[host]):
                try:
                    with open(f"/proc/self/net/{kind}") as file:
                        lines = file.read().splitlines()[1:]
                except FileNotFoundError:  # a kernel without IPv6
                    continue
            for line in lines:
                _, local, remote, state, *_ = line.split()
                if state == waiting and remote.endswith(":0000"):
                    # The address is printed as numbers of 32 bits, each as this machine stores it.
                    raw, port = local.split(":")
                    words = struct.unpack(f">{len(raw) // 8}I", bytes.fromhex(raw))
                    packed = struct.pack(f"={len(words)}I", *words)
                    family = socket.AF_INET if len(words) == 1 else socket.AF_INET6
                    found.append((kind[:3], socket.inet_ntop(family, packed), int(port, 16)))
        return found[:SOCKETS]

    def do_run(
        self, fds: list[int], out: list[int], host: str, argv: list[str], cwd: str, env: dict[str, str | None]
    ) -> int:
        """Start a program; fds are its standard input, output, error, and where its status goes.

        env: what is different from our own environment, None where a variable is not to be.
        """
        where = os.dup(fds[3])
        report, failed = os.pipe2(os.O_CLOEXEC)
        try:
            pid = os.fork()
        except OSError:  # no more processes for this user
            for fd in (where, report, failed):
                os.close(fd)
            raise
        if pid == 0:
            try:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGINT, signal.SIG_DFL)
                os.setpgid(0, 0)
                check(libc.setns(self.namespaces[host], NEWNET), "setns")
                os.chdir(cwd)
                for number in range(3):
                    os.dup2(fds[number], number)
                execute(argv, {name: text for name, text in {**os.environ, **env}.items() if text is not None})
            except OSError as error:
                os.write(failed, json.dumps([error.errno, error.strerror or str(error)]).encode())
            finally:
                os._exit(127)
        os.close(failed)
        trouble = os.read(report, LARGEST)
        os.close(report)
        if trouble:
            os.close(where)
            number, text = json.loads(trouble)
            raise OSError(number, text)
        self.programs[pid] = where
        return pid

    def do_kill(self, fds: list[int], out: list[int], pid: int, number: int) -> None:
        if pid in self.programs:
            os.killpg(pid, number)

    def reap(self) -> None:
        """Collect ended programs, and orphans that fell to us as the first process."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            where = self.programs.pop(pid, None)
            if where is not None:
                try:
                    os.write(where, str(os.waitstatus_to_exitcode(status)).encode())
                except BrokenPipeError:
                    pass  # nobody waits for it any more
                os.close(where)


def main() -> None:
    """Enter the namespaces, say so, and serve."""
    control = socket.socket(fileno=int(sys.argv[1]))
    control.set_inheritable(False)
    while (lowest := os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)) <= 2:
        pass  # started by a program that has closed its own: what comes later is not to be taken for one of these
    os.close(lowest)
    # A process forked from the owner keeps the socket open, so its closing alone does not say that the owner is gone.
    try:
        owner = os.pidfd_open(int(sys.argv[2]))
    except OSError:  # a kernel before 5.3
        owner = -1
    if os.getppid() != int(sys.argv[2]):
        return
    try:
        enter_namespaces()
        # The first child is the first process of the new process namespace.
        pid = os.fork()
    except OSError as error:
        where = error.filename or ""
        control.send(json.dumps({"errno": error.errno, "error": error.strerror, "file": where}).encode())
        return
    if pid:
        control.close()
        os.waitpid(pid, 0)
        return
    libc.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    try:
        libc.mount(b"none", b"/", None, 0x44000, None)  # MS_REC | MS_PRIVATE
        libc.mount(b"proc", b"/proc", b"proc", 0, None)  # may be refused; programs then see the outer one
        libc.prctl(4, 0)  # PR_SET_DUMPABLE: programs do not get at our descriptors by /proc either
        control.send(b'{"ok": null}')
        NamespaceHelper(control, owner).serve()
    except BrokenPipeError:
        pass  # the other side is gone
    finally:
        os._exit(0)


if __name__ == "__main__":
    main()
