r"""Fields that say where they lie: what they have to be, when a class is made.

    from_end fields whose place is counted from an end
    offsets  fields that lie at an offset, and rules that say where a field lies
    origins  where offsets and multiples begin to count
    heaps    bytes of items that lie in another field of what holds them
    left     fields that are there if bytes are left
    inner    fields of headers that fields hold, in the rules around them
    leaves   rules with other leaves

Begin with `from_end`.

>>> from packetlab import U8, Bytes, Header, Payload, auto, from_end, size_of
>>> class Padded(Header):
...     body: Payload
...     filler: Bytes = b""
...     filled: U8 = from_end(1, auto(size_of("filler") + 1))
>>> bytes(Padded(filler=b"..") / b"abc")
b'abc..\x03'
"""
