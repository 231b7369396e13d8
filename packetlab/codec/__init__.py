"""One packet, compiled from plans: bytes to headers and headers to bytes.

    encode, decode    write the source that packs or reads one header; `compiler` puts it in place when first called
    derive, rederive  the values that follow from others, as source: for building, and for editing what was captured
    lenient           the careful reader: keeps what can be understood, notes `faults`; it is the meaning of a plan
    bits              stretches of fields that begin and end at any bit
    around            headers whose rules name values of what stands around them
    context           what packets tell those after them
    places            names that point back, by where they stand in a message
    readback          what would not be read back is refused when it is built
    stacks, way       one function for whole packets of a stack that keeps coming; the way through a header, not made yet
    bodies, pseudo    what each layer carries; the pseudo-header of transport checksums
    transforms        fields whose bytes stand for others
    refinement        headers that others become where a condition holds
    objects           what codecs know of headers, and the class that a declaration has
    source            generated source becomes a function that tracebacks and debuggers can show; what emitters have in common

Begin with `decode`, beside `declare.plan`.

>>> import inspect
>>> from packetlab import UDP, dissect
>>> dissect(bytes(UDP(dport=9)), UDP)[UDP].dport
9
>>> "def decode" in inspect.getsource(UDP._decode)
True
"""
