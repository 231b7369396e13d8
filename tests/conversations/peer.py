"""The other end, as a process of its own inside a host of a lab: it listens, or connects, and echoes or talks."""

from __future__ import annotations

import json
import sys

from packetlab import SPP, LocalHost, Timing

IMPATIENT = Timing(give_up=1.5, keep_alive=0.4)
SOCKET = 3000


def say(**what: object) -> None:
    """Tell the test something."""
    print(json.dumps(what), flush=True)


def echo(kind: str) -> None:
    """Give every packet back with its datastream, until the end."""
    host = LocalHost("eth0", network=0x401)
    host.timing = IMPATIENT
    server = host.socket(kind)
    server.bind(SOCKET)
    server.listen()
    say(ready=str(server.address))
    count = 0
    try:
        conn = server.accept()
        while (packet := conn.read_packet()) is not None:
            if kind == "stream":
                conn.write(packet.payload)
            else:
                conn.write(packet.payload, header=SPP(datastream=packet[SPP].datastream))
            count += 1
        conn.close()
    except OSError as error:
        say(error=type(error).__name__, text=str(error), count=count)
    else:
        say(count=count)


def talk(address: str) -> None:
    """Connect, and write and read for ever."""
    host = LocalHost("eth0", network=0x401)
    host.timing = IMPATIENT
    client = host.socket("seqpacket")
    client.connect(address)
    say(ready=str(client.address))
    while True:
        client.write(b"still here")
        client.read()


if __name__ == "__main__":
    {"echo": echo, "talk": talk}[sys.argv[1]](sys.argv[2])
