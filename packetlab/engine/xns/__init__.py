"""Xerox NS without input and output: IDP and its routing, packet exchange, sequenced packets (SPP).

    idp           a host's layer: receives, routes, answers echoes and errors; `rip` its routes
    datagram, pex plain and raw datagrams; packet exchange
    spp           one connection; its states are a table in `spp_states`, its timers in `spp_timing` and `spp_send`
    spp_receive, spp_listener     the receiving half; the passive side
    spp_events, spp_prototypes    what a connection reports; packets with fields of the user's
    sequence      numbers that wrap around, and queues in their order

They are run by `network.host`. Begin with `idp`.

>>> from packetlab.engine.xns.idp import Node
>>> node = Node(0x020000000001)
>>> via = node.attach(net=7)
>>> str(node.address(socket=9))
'7H.20000000001H.9H'
"""
