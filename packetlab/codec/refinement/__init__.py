"""Headers that others become (see `declare.refinement`): their classes, and what reads and writes them.

    class_bodies  what a class body says becomes a header inside a field of the base, and attributes that look into it
    views         the bytes of that field as the header inside, and values for it put into the bytes
    standing      what asks what stands around it, written where it stands
    depth         how deep headers hold headers of their own sort
    found_by      what a class is found by, and what is refused since it would be read as its base
    unsettled     what an item with a fault might have been
    defaults      headers held by default that would be read as what they are not
    reading       what compiled readers do; `careful` is what the careful one does, and the oracle

Begin with `class_bodies`.

>>> from packetlab import U8, U16, Bytes, Header, auto, bindings, dissect, size_of
>>> with bindings():
...     class Option(Header):
...         kind: U8
...         size: U8 = auto(size_of("data"))
...         data: Bytes = b""
...     class MSS(Option, inside="data", when={"kind": 2}):
...         value: U16
...     dissect(bytes.fromhex("020205b4"), Option)[Option]
MSS(size=2, value=1460)
"""
