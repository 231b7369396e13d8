r"""Where in a message something stands: what names that point back need to know of it.

    surroundings   where the headers begin that are read, and those around them
    names          names of DNS: pointers followed when a message is read
    compressing    ... and kept, or made anew, when one is written
    held           bytes of a field with the header inside them, which points to what is outside
    from_end       fields whose place is counted from an end, and what stands after the payload
    item_values    the values of a header that was read, as rules see them
    scattered      fields at offsets that lie in another order than they are declared in
    inner          numbers of headers that fields hold, for the rules around them
    held_writing   ... and fields that are there if bytes are left, when a header is packed
    heaps          bytes of items that lie in another field of what holds them
    laying         ... by generated functions, where nothing but place and size decides them
    gaps           bytes up to an offset, as they follow
    careful_ends   the same by the careful reader

Begin with `surroundings`.

>>> from packetlab.codec.places.names import followed
>>> followed(b"\x03com\x00\x01a\xc0\x00", 0, 5, 9, {})
b'\x01a\x03com\x00'
"""
