"""SPP's speed: ``python tests/benchmarks/bench_spp.py``.

Through the simulated network, in packets (data and acknowledgements) per second of real time; and over a veth of a lab
between two processes, beside the same transfer by a stop-and-wait sender and receiver written with scapy (its L2 socket, the
fastest way it has). Same packet size, same run, one after the other, the best of three rounds each.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import pstats
import sys
import time

from packetlab import Lab, LocalHost, SimNetwork

SIZE = 534  # bytes of data a packet
SOCKET = 3000
PARTS = ("wire", "engine", "link", "sockets", "host")


def simulated(count: int, size: int) -> float:
    """Return packets a second through the simulated network."""
    net = SimNetwork(seed=1)
    a, b = net.host("a"), net.host("b")
    net.link(a, b, delay=0.001)
    server = b.socket("seqpacket")
    server.bind(SOCKET)
    server.listen()
    client = a.socket("seqpacket")
    client.connect(b.at(SOCKET))
    connection = server.accept()
    data, before, start = bytes(size), net.capture.count(), time.perf_counter()
    for _ in range(count // 16):
        for _ in range(16):
            client.write(data)
        for _ in range(16):
            assert len(connection.read()) == size
    taken = time.perf_counter() - start
    return (net.capture.count() - before) / taken


def receive() -> None:
    """In host b: take what comes, and say how long it took from the first packet to the last."""
    host = LocalHost("eth0", network=0x401)
    server = host.socket("seqpacket")
    server.bind(SOCKET)
    server.listen()
    print("ready", flush=True)
    connection = server.accept()
    size, start = len(connection.read()), time.perf_counter()
    while data := connection.read():
        size += len(data)
    print(json.dumps({"bytes": size, "seconds": time.perf_counter() - start}), flush=True)
    connection.close()


def send(address: str, count: int, profiled: bool) -> None:
    """In host a: send `count` packets; with `profiled`, say where the time went."""
    host = LocalHost("eth0", network=0x401)
    client = host.socket("seqpacket")
    client.connect(address)
    profile = cProfile.Profile()
    if profiled:
        profile.enable()
    data = bytes(SIZE - 1)
    for _ in range(count):
        client.write(b"x" + data)
    client.close()
    profile.disable()
    if profiled:
        print(json.dumps(parts(profile)), flush=True)


def parts(profile: cProfile.Profile) -> dict[str, float]:
    """Return the share of time by layer; the kernel's calls count apart."""
    shares = dict.fromkeys((*PARTS, "waiting", "system calls", "other"), 0.0)
    for (file, _, name), (_, _, own, _, _) in pstats.Stats(profile).stats.items():  # type: ignore[attr-defined]
        layer = file.split("packetlab/")[-1].split("/")[0].removesuffix(".py") if "packetlab/" in file else ""
        if "<packetlab" in file:
            layer = "wire"  # compiled from declarations
        elif file == "~":
            layer = "waiting" if "poll" in name else "system calls" if "socket" in name else "other"
        shares[layer if layer in shares else "other"] += own
    whole = sum(shares.values())
    return {name: own / whole for name, own in shares.items()}


def scapy_receive(count: int) -> None:
    """In host b: acknowledge each packet by its number."""
    ether, raw, conf = _scapy()
    wire = conf.L2socket(iface="eth0", filter=None)
    print("ready", flush=True)
    expected, start = 0, 0.0
    while expected < count:
        packet = wire.recv()
        if packet is None or packet.type != 0x88B5 or packet.src == wire_mac("eth0"):
            continue
        number = int.from_bytes(bytes(packet.payload)[:4], "big")
        if number == expected:
            start = start or time.perf_counter()
            expected += 1
        wire.send(ether(dst=packet.src, type=0x88B6) / raw(number.to_bytes(4, "big")))
    print(json.dumps({"bytes": count * SIZE, "seconds": time.perf_counter() - start}), flush=True)


def scapy_send(mac: str, count: int) -> None:
    """In host a: send the next packet when the last one is acknowledged."""
    ether, raw, conf = _scapy()
    wire = conf.L2socket(iface="eth0", filter=None)
    for number in range(count):
        wire.send(ether(dst=mac, type=0x88B5) / raw(number.to_bytes(4, "big") + bytes(SIZE - 4)))
        while True:
            packet = wire.recv()
            if packet is not None and packet.type == 0x88B6:
                if bytes(packet.payload)[:4] == number.to_bytes(4, "big"):
                    break


def wire_mac(name: str) -> str:
    """Return an interface's MAC address."""
    with open(f"/sys/class/net/{name}/address") as file:
        return file.read().strip()


def _scapy():
    import warnings

    warnings.simplefilter("ignore")
    from scapy.config import conf
    from scapy.layers.l2 import Ether
    from scapy.packet import Raw

    return Ether, Raw, conf


def transfer(*, scapy: bool, count: int, profiled: bool = False) -> tuple[float, dict[str, float]]:
    """Run one transfer in a fresh lab; return bytes a second, and shares of time."""
    run = (sys.executable, __file__)
    with Lab() as lab:
        a, b = lab.host("a"), lab.host("b")
        lab.link(a, b)
        address = f"401H#{b.mac.value:X}H#{SOCKET}"
        left = ("scapy-send", str(b.mac), str(count)) if scapy else ("send", address, str(count), str(int(profiled)))
        with b.popen(*run, *(("scapy-receive", str(count)) if scapy else ("receive",))) as receiver:
            assert receiver.stdout.readline() == b"ready\n", receiver.stderr.read()
            sent = a.run(*run, *left)
            assert not sent.returncode, sent.stderr
            out, err = receiver.communicate(30)
            result = json.loads(out) if out else sys.exit(err)
    return result["bytes"] / result["seconds"], json.loads(sent.stdout) if profiled else {}


def main(scale: float, rounds: int) -> None:
    """Print the table."""

    def sized(count: int) -> int:
        return max(16, round(count * scale))

    print("SPP through SimNetwork, packets a second of real time (data and acknowledgements)")
    for size in (20, 100, SIZE):
        print(f"  {size:4} bytes a packet  {max(simulated(sized(8000), size) for _ in range(rounds)) / 1000:6.1f} k")
    ours = max(transfer(scapy=False, count=sized(20000))[0] for _ in range(rounds))
    theirs = max(transfer(scapy=True, count=sized(1000))[0] for _ in range(rounds))
    print(f"goodput over a veth, {SIZE} bytes a packet, two processes")
    print(f"  packetlab SPP         {ours / 1e6:8.2f} MB/s")
    print(f"  scapy stop-and-wait   {theirs / 1e6:8.2f} MB/s   ratio {ours / theirs:.1f}")
    shares = transfer(scapy=False, count=sized(5000), profiled=True)[1]
    print("share of the sender's time: " + ", ".join(f"{name} {share:.0%}" for name, share in shares.items()))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="?", default="main")
    parser.add_argument("rest", nargs="*")
    parser.add_argument("--scale", type=float, default=1.0, help="times the usual number of packets")
    parser.add_argument("--rounds", type=int, default=3)
    said = parser.parse_args()
    if said.what == "send":
        send(said.rest[0], int(said.rest[1]), said.rest[2] == "1")
    elif said.what == "scapy-send":
        scapy_send(said.rest[0], int(said.rest[1]))
    elif said.what == "scapy-receive":
        scapy_receive(int(said.rest[0]))
    elif said.what == "receive":
        receive()
    else:
        main(said.scale, said.rounds)
