"""Rewriting captures: addresses, ports, link layers; where they lie, and how checksums follow.

    rewrite               what `capture.rewrite` takes, and the order in which it is done
    options               which types those have
    roles                 what of a header is an address, a port, a checksum, a length, as its declaration says
    located, found        where those lie in many frames, by a scan, and as arrays
    inside                addresses in options and messages that declarations leave as bytes
    careful               the same for frames that do not fit, one by one
    maps, anonymise       what an address or a port becomes
    link_layer            tags, sizes, another link header
    checksums             how sums follow what was changed
    built                 those that only header objects work out
    loop                  plain frames of large files by a compiled loop (the extra `fast`)

Begin with `rewrite`, then `roles`.

>>> from packetlab import TCP, Capture
>>> Capture("captures/corpus/web.pcap").rewrite(ports={12345: 80})[0].packet()[TCP].dport
80
"""
