"""The protocols that packetlab declares, a file a family, and what frames of each link type begin with.

    link, tunnels, ip, icmp, transport, xns, ipx, websocket    headers
    numbers      names of numbers that no header here has
    linktypes    link type of a capture file -> first header; write a new link type here
    dissect      bytes become a packet, along the bindings
    pieces       packets cut into IP fragments and TCP segments
    streams      streams of bytes become messages: where one begins, and where it ends

A new protocol is a class in one of these files, or in one of its own. Begin with `transport`.

>>> from packetlab import Ether, dissect
>>> dissect(bytes(Ether(type=0x88B5) / b"hi")).payload
b'hi'
"""
