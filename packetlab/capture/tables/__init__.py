"""Tables: columns of whole captures, by a scan in numpy or compiled.

    table      `Table`: the names resolved, blocks of rows as they are needed
    columns    `Columns`: arrays by name, which rows have a value; columns of what the file says
    engines    which scan goes over which frames
    arrow      the same columns for other libraries, by the Arrow C stream interface

Begin with `table`.

>>> from packetlab import Capture
>>> Capture("captures/corpus/web.pcap").table("ip.ttl").read()["ip.ttl"][:3].tolist()
[58, 44, 58]
"""
