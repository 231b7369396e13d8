"""scapy and dpkt: packets of theirs and ours, classes of theirs from declarations, their decoders of application data.

    scapy_bridge, dpkt_bridge        packets, there and back
    scapy_declared, dpkt_declared    a declared header as a class of theirs; `scapy_fields` a field of it
    scapy_import                     a class of scapy's as declared headers; `scapy_rules` its functions as rules
    decoders                         `deep`: application data, read by their decoders
    scapy_decoders, dpkt_decoders    how each is called for that; `decoder_tables` which fits
    scapy_classes, scapy_loaded      scapy's own classes, found and called; what of scapy is imported
    counterparts                     which of their classes stand for which of our headers; what both bridges share

Only files named scapy... import scapy. Begin with `dpkt_bridge`.

>>> from packetlab import UDP, IPv4
>>> from packetlab.export import to_dpkt
>>> to_dpkt(IPv4() / UDP(dport=9)).data.dport
9
"""
