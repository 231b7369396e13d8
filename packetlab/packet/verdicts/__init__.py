"""Verdicts on checksums: good, bad, or why nobody can tell.

    verdict   the checksums of a packet, each with its name and what is to be said of it
    inside    the headers with checksums that fields of a layer hold: headers, items, what is taken apart or comes out of a transform

Begin with `verdict`.

>>> from packetlab import IPv4, UDP
>>> (IPv4() / UDP(checksum=1) / b"hi").verdicts()
{'IPv4.checksum': <Verdict.GOOD: 1>, 'UDP.checksum': <Verdict.BAD: 0>}
"""
