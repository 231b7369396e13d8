"""Headers that others become where a condition holds, as data: refinements take a field apart, choices go on after the fields.

    registered  which headers refine which
    checks      what such a class may not be
    heaps       lists whose items, and what refines these, have bytes in a field of what holds them

Begin with `registered`.

>>> from packetlab import U8, U16, Bytes, Header, auto, bindings, size_of
>>> from packetlab.declare.refinement.registered import refinements
>>> with bindings():
...     class Option(Header):
...         kind: U8
...         size: U8 = auto(size_of("data"))
...         data: Bytes = b""
...     class MSS(Option, inside="data", when={"kind": 2}):
...         value: U16
...     [one.name for one in refinements(Option._declaration)]
['MSS']
"""
