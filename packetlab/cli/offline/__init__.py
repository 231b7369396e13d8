"""Commands that read a capture file and send nothing.

    show, table, ladder    packets as text, fields as columns, who sent what when
    follow                 what was sent, put together: streams, messages, datagrams
    rewrite                a capture with other addresses, ports or link layers

Begin with `ladder`, a short one.

>>> from packetlab.cli import main
>>> main(["table", "captures/corpus/web.pcap", "-e", "ip.src", "-c", "1"])
141.42.64.125
0
"""
