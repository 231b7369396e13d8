"""Moving frames, and time.

    port, interface, socket_port, ring, memory    where frames go out and come in; `kernel_filter` which come in
    event_loop, waits, background    the clock, and whose turn it is: a timer fires in `event_loop`
    nesting      handlers of signals while a thread waits
    simnet, impairment, topology    a simulated network in virtual time; what its links do to frames
    lab/       hosts in namespaces of this machine's kernel, without root
    replay/    captures sent again; recording
    exchange    one packet out and its reply in

What a host is made of stands in `network`. Begin with `event_loop`.

>>> from packetlab import Ether, memory_wire
>>> here, there = memory_wire()
>>> here.send(Ether() / b"hi")
>>> there.receive(timeout=1).summary()
'Ether / 2 bytes'
"""
