"""Kaitai Struct descriptions (.ksy files) become header classes.

    reading      YAML, with the line of each key; bounded
    expressions  Kaitai's expression language, as a tree
    model        files, types, fields, enums of a description; imports
    plans        which types become headers, which become part of the header that holds them; which hold which
    order        in which order headers are declared
    scopes       what a name in an expression stands for; expressions as rules of packetlab
    texts        what a field of text or bytes is compared with
    fields       one field of a type as a field of a header
    valid        what a field has to be
    instances    what is worked out, or read elsewhere
    ends         bytes up to an end, of which the last count the padding
    classes      types as descriptions of headers (see `schema.dump`)
    importing    what users call

A file may come from anybody: it is read as data, every number, text and list of it has a bound, and what cannot be said as
a header is refused with its file and line. Begin with `importing`.

>>> from packetlab.schema.ksy.expressions import parse
>>> parse("len > 2 ? len - 2 : 0", "some.ksy:1").word
'choose'
"""
