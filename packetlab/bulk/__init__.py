"""Many packets at once, with numpy: columns, scans, variations.

    batch                      many packets in one buffer
    columns, queries           what a table or filter asks of packets
    scan, scan_rows, scan_loop, scannable    the source that goes over a buffer, for numpy or for a compiler
    vary, generators, template, checksums    many packets made from one
    verify, report             how what was received compares with them

Nothing here makes objects of packets that a scan can read.
"""
