r"""Fields that begin and end at any bit: optional ones of some bits, numbers as wide as another field says, lists of values
narrower than a byte, and what fills up to the next byte.

kinds      the kinds of such fields
stretches  Loose: the step of a plan in which they are read, from one byte boundary to another
checks     what is refused when a class is made
shares     which fields share bytes, and what size each of them has
sizes      rules with such sizes that are refused

Begin with `stretches`. Only headers with such fields have such a step; all else is packed by `struct`, as ever.

>>> from packetlab import U1, U12, Header, dissect, field, spare_bits, when
>>> class Shot(Header):
...     aimed: U1 = 0
...     angle: U12 = when(field("aimed"), 0)
...     spare: int = spare_bits()
>>> bytes(Shot(aimed=1, angle=0xABC)).hex(), bytes(Shot()).hex()
('d5e0', '00')
>>> dissect(b"\xd5\xe0", first=Shot)[Shot].angle == 0xABC
True
"""
