"""Captures onto a wire and off it.

    send, replay    frames at a rate; frames as they were recorded, by their own times
    replay_sides    one side of a capture, against a peer that answers
    record          what an interface receives, into a file; pipes     those that it is written to
    interrupts      noted by a recording, and looked at where nothing is half done
    report          how sending went; vectors    many frames a call of the kernel

Begin with `send`.

>>> from packetlab import Ether, memory_wire, send
>>> here, there = memory_wire()
>>> send([Ether() / b"a frame"] * 3, here).sent
3
"""
