"""Many captures, or parts of one, worked on side by side: processes of this machine, any executor, Dask.

    fleet     `scan` makes a `Fleet` of files; tables, batches and functions over all of them
    pool      processes of this machine, while there is room for them
    keys      the keys of `secrets`, which workers of this machine get in memory
    worker    what one of them does, for whole files or parts

Begin with `fleet`.

>>> from packetlab import scan
>>> scan("captures/corpus/web.pcap", workers=1).table("tcp.dport").read()
<Columns: 24 rows of tcp.dport>
"""
