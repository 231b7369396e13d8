"""What packets say for those after them, as data: what a header remembers, under which key, and where rules recall it.

    recalled  values that earlier packets told, as leaves of rules; keys; ``remembers=`` of a class
    records   fields that lie as a template says which an earlier packet told

Begin with `recalled`.

>>> from packetlab import field, receiver, recalled
>>> print(recalled("quic.cid", receiver(), field("id"), default=8))
recalled('quic.cid', receiver(), id, default=8)
"""
