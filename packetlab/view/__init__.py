"""How all of it shows itself: HTML and text of packets, captures and networks, ladders, plots.

    display    what IPython, rich and `show` call; `packets`, `captures`, `topology` the HTML of each
    ladder     who sent what when, as text and as a picture (`ladder_svg`)

Everything from outside is escaped here.
"""
