"""Headers and packets as users have them: stacking, looking, editing, comparing, explaining.

    header, packet    the classes: `HeaderBase` makes a class body a header, `Header` and `Packet` add stacking
    held              what a packet holds: headers, or bytes and the path through them
    foreign, coerce   whatever is a packet becomes bytes or a `Packet`
    explain           how values come about
    verdicts          what is to be said of checksums
    words             the same in words: what `why` and `show` print
    diff, diff_sequences, diff_bytes, explain_difference    packets side by side
    offsets, results, anomalies, text    where fields lie; what questions are answered with

Begin with `header`.

>>> from packetlab import Ether, IPv4, UDP
>>> (Ether() / IPv4() / UDP() / b"hi").summary()
'Ether / IPv4 / UDP / 2 bytes'
"""
