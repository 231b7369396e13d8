"""A packet in words: what `packet.why(...)` and `packet.show()` say.

    why     the rule of one field, what it was worked out from, and whether the value agrees with it
    layout  how wide a field is, where it lies, what it fills up to
    show    the packet as a table

Begin with `why`.

>>> from packetlab import UDP
>>> print((UDP() / b"hi").why(UDP, "length"))
UDP.length = 10  (auto)
  rule: size_of(self) + size_of(payload) = 10
    size_of(self) = 8
    size_of(payload) = 2
"""
