"""Packets against patterns: prototypes, filter expressions, replies to requests.

    match                why a packet does not match a prototype
    paths, conditions    the one resolver of names such as "ip#2.src", and conditions on what they name
    filter               filter expressions in words
    edits                values given anew by path
    replies              which packet answers which
    align                expectations in order, against what arrived

All of it takes whatever is a packet. Begin with `paths`.

>>> from packetlab import TCP, IPv4
>>> TCP(dport=80).matches(IPv4() / TCP(dport=81))
no match: TCP.dport: expected 80, got 81
"""
