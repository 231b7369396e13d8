"""How all of it shows itself: HTML and text of packets, captures and networks, ladders, plots.

    display            what IPython, rich and `show` call; `packets`, `captures`, `topology` the HTML of each
    ladder, ladder_row, ladder_svg    who sent what when, as text and as a picture
    conversation, flows    who speaks in a packet; what it says of its connection: sent again, out of order
    plots, series      plots, and the arrays they show
    hexdump, markup    bytes as text; HTML and SVG by hand

Everything from outside is escaped here. Begin with `ladder`.

>>> from packetlab import Capture, ladder
>>> print(ladder(Capture("captures/tcp-http.pcapng"), fields=["flags"]).part(0, 2))
time (s)      10.0.0.1                                                        10.0.0.2
0.000000      |----------------------- TCP flags=SYN ------------------------>|
0.001000      |<--------------------- TCP flags=SYN|ACK ----------------------|
"""
