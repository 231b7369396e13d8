"""Hosts: engines on one side, ports on the other, for every kind of network.

    host        `NetworkHost`: what all hosts can do
    xns_driver  the XNS layers on a host's interfaces; `runner`: an engine of your own
    outgoing    frames that wait for room in a port
    carriers    what XNS travels in: Ethernet, SNAP, IP, NetHub, UDP

Begin with `host`. Hosts as users have them are in `sockets.networks`.

>>> from packetlab import SimNetwork
>>> net = SimNetwork()
>>> a, b = net.host("a"), net.host("b")
>>> link = net.link(a, b, delay=0.05)
>>> str(a.at(9))
'a:9'
"""
