"""Protocol rules without input and output: packets, calls of its user and the time go in, packets and events come out.

    contract      `Engine`: the five methods of each, and `Endpoint`, what sits at a socket number of XNS
    xns/          Xerox NS: datagrams, routes, packet exchange, sequenced packets
    websocket/    one end of a WebSocket, over any stream of bytes

Begin with `contract`. `packetlab.network` runs engines on ports.

>>> from packetlab.engine.contract import Engine
>>> [name for name in vars(Engine) if name[0] != "_"]
['receive', 'packets_to_send', 'next_timeout', 'on_time', 'events']
"""
