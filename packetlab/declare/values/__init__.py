"""Values of fields, each sort in a file: how they are written, kept and shown. `declare.kinds` has what they share.

    integers    U1 ... U64, S8 ... S64, and those with the lowest byte first
    units       fixed fields as they are packed: those that share bytes make one number, in either order of bits
    addresses   MAC, IP and XNS addresses: bytes from any usual form, and the user's form from bytes
    typed       what type checkers see of addresses and enums: they take more forms than they give
    varints     numbers of a size that follows from their value: LEB128, QUIC's, MQTT's, lengths and integers of BER
    views       what kinds have in common whose values users see in another form than the raw one; `raw`
    scaled      floats; fixed point and scaled numbers
    times       times (Unix, NTP, any epoch) and durations, exact to the unit
    identifiers UUIDs, and digits packed two to a byte
    said        conditions on what a text says, and numbers out of items of a list
    text        text in any encoding, padded or not; enums of text
    digits      numbers written as text, which rules use as any number
    delimited   values up to a delimiter
    names       names of DNS, with the pointers that they were written with

Begin with `integers`, beside `Kind` of `declare.kinds`.

>>> from packetlab.declare.values.addresses import XNSAddress
>>> XNSAddress.of("401H.1000AA000077.4001H").socket == 0x4001
True
"""
