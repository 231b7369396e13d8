"""How stretches of bits are read and written (see `declare.bits`).

numbers   bits of bytes as numbers, and numbers as bits: what compiled functions call
reading   source that reads a stretch
careful   a stretch read field by field, from bytes that need not fit
writing   source that packs one
measured  how many bits a field of a header takes

Begin with `careful`, which says what `reading` compiles.

>>> from packetlab.codec.bits.numbers import numbers_at
>>> numbers_at(b"\x12\x34\x56", 4, 3, 4), numbers_at(b"\x21\x43\x65", 4, 3, 4, low=True)
((2, 3, 4), (2, 3, 4))
"""
