"""Moving frames, and time.

    port, interface, ring, memory, rawip    where frames go out and come in
    medium, waits, background    the clock, and whose turn it is: a timer fires in `medium`
    simnet, impairment, topology    a simulated network in virtual time; what its links do to frames
    lab/       hosts in namespaces of this machine's kernel, without root
    replay/    captures sent again; recording
    exchange    one packet out and its reply in

What a host is made of stands in `network`.
"""
