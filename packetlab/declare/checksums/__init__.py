"""Checksums: the algorithms, and the ranges of bytes that they are taken over. Pure functions of bytes and of declarations.

algorithms    what an algorithm is; the checksums of the Internet and of XNS
crc           any CRC of 1 to 128 bits by its parameters
catalogue     the known CRCs by name
simple        sums, exclusive or, Fletcher, Adler
checks        what is refused when a class is made
bitwise       CRCs over parts of bytes, or in one, which are rules of fields
parts         what a class body writes of ranges: `span`, `but`, `zeroed`
ranges        what a checksum goes over, as stretches of the header, the payload and the trailer
spelled       what a class body writes: `crc`, `sum8`, `fletcher`, ...

Begin with `ranges`, then `crc`.

>>> from packetlab.declare.checksums.catalogue import named_crc
>>> hex(named_crc("CRC-16/MODBUS", "").sum(b"123456789"))
'0x4b37'
"""
