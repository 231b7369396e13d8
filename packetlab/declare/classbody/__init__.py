"""What a class body of a header says besides its fields, as data and checked.

    namespace  the names of a class body while it is read: fields once each, and names that are not defined
    label      ``label="{op} {name}"``, what a header is in one line
    answers    which packet answers which
    options    ``port=69`` and ``last=True``
    obeyed     what values of fields have to obey
    slips      what is often written and means something else

Begin with `label`.

>>> from packetlab.declare.classbody.label import parse
>>> parse("{op} at {id:#x}")
(LabelPart(before='', path=('op',), form=''), LabelPart(before=' at ', path=('id',), form='#x'))
"""
