"""Which frames of a capture: filters of the pcap language, and whatever else `where` takes.

    patterns           what `where` takes (a filter, a prototype, a function), as one test of frames
    bpf                `PcapFilter`: the language of tcpdump, compiled by libpcap
    bpf_interpreter    the machine such a program runs on, as a loop over whole captures

Begin with `patterns`. Filters in the words of declarations are compiled in `packetlab.pattern.filter`.

>>> from packetlab import Capture
>>> Capture("captures/corpus/web.pcap").where("tcp.dport == 80").count()
12
"""
