"""Many packets at once, with numpy: columns, scans, variations.

    batch                      many packets in one buffer
    columns, queries           what a table or filter asks of packets
    scan, scan_rows, scan_loop, scannable    the source that goes over a buffer, for numpy or for a compiler
    scan_places                where the fields of every header lie, by a scan
    vary, generators, template, checksums    many packets made from one
    verify, report             how what was received compares with them

Nothing here makes objects of packets that a scan can read. Begin with `columns`, then `scan`.

>>> from packetlab import UDP, Ether, IPv4
>>> batch = (Ether() / IPv4() / UDP()).vary(3, {"udp.dport": range(9, 12)})
>>> len(batch), batch.packet(2)[UDP].dport
(3, 11)
"""
