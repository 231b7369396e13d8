"""The language: one header as data. Nothing here reads or writes a byte.

    expressions, rules    what a class body writes (`field`, `size_of`, `next_protocol`, ...), and solving it backwards
    kinds, values         kinds of fields and the annotations for them; a class of your own derived from `Kind` is one too
    bits                  fields that begin and end at any bit: optional, repeated, as wide as another field says
    items                 kinds of fields that hold several values: headers, or values of any kind
    transforms            what lies between the bytes of a packet and a field: compression, masks, stuffing, encryption
    checksums             the algorithms of checksums
    fields, declaration   a field and a header as plain data
    classbody             what a class body says besides fields: labels, ports, names that are not defined
    places                fields that say where they lie
    plan                  how a header is read and written, step by step: everything that walks a header goes by it
    refinement            headers that others become where a condition holds
    registry              which header follows which
    validate, intervals   what a declaration may not be, reported when the class is made
    elsewhere, computed   names of what stands around a header, checked; values that are not in the bytes
    remembering           what a header remembers, for rules of later packets
    wildcards             values of prototypes that several values fit

Begin with `declaration`, then `plan`.

>>> from packetlab import IPv4
>>> [type(step).__name__ for step in IPv4._declaration.plan.head]
['Fixed', 'Bound', 'Bound', 'Open']
"""
