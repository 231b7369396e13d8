"""Declarations as data: written to files and captures, and read back from them without running code.

    dump, load        a header to plain data, and plain data to a header
    expressions       rules as plain data
    algorithms        algorithms of checksums as plain data
    kinds, views      kinds of fields as plain data
    own_kinds         kinds of a user's own as plain data
    recalled          what is remembered from packets for those after them, as plain data
    transforms        transforms of fields as plain data
    values            values of fields as plain data
    source, literal   a class body and a packet as text
    imported          headers that another language describes, as source to keep
    ksy/              Kaitai Struct descriptions, as such data

A file of somebody else is hostile: everything in it is checked and bounded. Begin with `dump`.

>>> from packetlab import UDP, describe
>>> describe(UDP)["fields"][0]
{'name': 'sport', 'kind': 'int', 'bits': 16, 'default': 0}
"""
