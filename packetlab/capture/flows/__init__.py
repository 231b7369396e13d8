"""Conversations in captures: who talks with whom.

    numbers      each packet's flow as a number, equal in both directions
    sides        which side of it is the client's
    exchanges    requests with their replies, by the rules of headers (`answers=`)

Begin with `exchanges`.

>>> from packetlab import Capture, exchanges
>>> len(exchanges(Capture("captures/xns-tour.pcapng")).answered)
9
"""
