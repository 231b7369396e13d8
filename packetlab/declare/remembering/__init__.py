"""What packets say for those after them, as data: what a header remembers, under which key, and where rules recall it.

    recalled  values that were remembered from earlier packets, as leaves of rules; keys; ``remembers=`` of a class
    layouts   records, and how a template says that they lie
    records   fields that lie as a template of an earlier packet says

Begin with `recalled`.

>>> from packetlab import field, receiver, recalled
>>> print(recalled("quic.cid", receiver(), field("id"), default=8))
recalled('quic.cid', receiver(), id, default=8)
"""
