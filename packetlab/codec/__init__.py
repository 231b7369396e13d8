"""One packet, compiled from plans: bytes to headers and headers to bytes.

    encode, decode    write the source that packs or reads one header; `compiler` puts it in place when first called
    lenient           the careful reader: keeps what can be understood, notes `faults`; it is the meaning of a plan
    stacks, way       one function for whole packets of a stack that keeps coming; the way through a header, not made yet
    bodies, pseudo    what each layer carries; the pseudo-header of transport checksums
    source            generated source becomes a function that tracebacks and debuggers can show

Begin with `decode`, beside `declare.plan`.
"""
