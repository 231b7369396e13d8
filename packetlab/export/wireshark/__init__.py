"""A Wireshark dissector in Lua from declarations.

    wireshark     `wireshark(...)` writes declarations as Lua tables
    rules         rules of declarations as Lua expressions
    views         values of another form than the packed one, as Wireshark's floats, times, texts and GUIDs
    numbers       coded numbers, constants and flags as Lua tables
    among         fields at any bit, and as wide as values say
    inside        fields that are headers of their own where a condition holds
    links         frames that a link carries as other bytes
    checksums     checksums as Lua tables
    around        values from elsewhere, and values that are not in the bytes
    places        the dissectors and tables that Wireshark has for our headers already
    reader.lua, tree.lua, numbers.lua, coded.lua, sums.lua    what reads those tables: `codec.lenient` in Lua
    ends.lua, scattered.lua, heaps.lua, bits.lua, judges.lua, inside.lua, lists.lua, names.lua, links.lua    the same for what is counted from an end, items' bytes elsewhere, free bits, bytes that are no value, what stands in
                  fields, lists of values, names of DNS, links: written where headers have such
    xns.lua       XNS over UDP and over a NetHub's line

Begin with `wireshark`.

>>> from packetlab import RIP, wireshark
>>> wireshark(RIP).splitlines()[0]
'-- A Wireshark dissector, written by packetlab from the declarations of:'
"""
