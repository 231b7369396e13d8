"""Ways out, for the hints of misuse: what a caller can do instead. Some with what was expected, and what there was."""

import errno

ANOTHER = "make another: host.socket(kind, family)"
CONNECT = "connect() it first, or take one from accept()"
NO_LISTENER = "a socket that does not listen", "a listener", ANOTHER
UNCONNECTED = "a socket that is not connected", "one that is", ANOTHER
ONE_LISTEN = "one listen", "a second", "close it and make another for another backlog"
OURS = "a number alone is one of this host"
THEIRS = "host.at(number) has both"
INSTEAD = {
    "bind": "it takes what comes for every socket number as it is",
    "connect": "what it writes says in its header where it goes",
    "listen": "kinds that connect can: stream, seqpacket, websocket",
    "accept": "kinds that connect can: stream, seqpacket, websocket; here read() gives what comes, from any sender",
}

# What the kernel says of a call that makes no sense: what would have, what there was, and the way out.
MISUSES = {
    errno.EINVAL: ("a call that the kernel takes in this state", "one that it refuses", ANOTHER),
    errno.EISCONN: ("a fresh socket", "one that is connected", ANOTHER),
    errno.ENOTCONN: ("a connected socket", "one that is not", CONNECT),
    errno.EADDRINUSE: ("a free address", "one in use", "0 takes any free port"),
    errno.EACCES: (
        "a port that this user may take",
        "one that is root's (those below 1024 are)",
        "take another (sysctl net.ipv4.ip_unprivileged_port_start), or run as root",
    ),
    errno.EADDRNOTAVAIL: ("an address that this host has, or can reach", "one of elsewhere", "'' is any of its own"),
    errno.EDESTADDRREQ: ("a destination: write(data, to=...)", "none", "or connect() it to one first"),
    errno.EMSGSIZE: ("a datagram of 65507 bytes at most", "a longer one", "write it in parts, or use a stream"),
    errno.EOPNOTSUPP: (
        "a kind of socket that can do this",
        "one that cannot",
        "a stream connects, listens and accepts",
    ),
    errno.EBADF: ("an open socket", "one that was closed", ANOTHER),
}
