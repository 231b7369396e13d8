"""Ways out, for the hints of misuse: what a caller can do instead. Some with what was expected, and what there was."""

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
