"""Headers whose rules name values from elsewhere, as in `field("^.flags")`: what stands around them while they are read and written.

    outer     the values that such a header takes from what stands around it; which fields hold such headers
    lists     lists of such headers, read from bytes that are all theirs
    alike     headers that are compared with others, as if they stood where those do
    reading   what the source that reads a header says of it
    bodiless  headers of no bytes, which a number below says are there
    following values that are not in the bytes, while a header is built
    required  what fields require of numbers of others: of sizes, counts and conditions
    solving   numbers that say how large others are, solved from what those were given
    freeing   the same while a packet is edited: what follows from what stands around follows again
    presence  fields that are there because they have a value
    writing   what the source that writes one does; lists written, each item with the one before it
    list_writing  a function that writes all items of a list, where each is packed by itself but for these values

Begin with `outer`.

>>> from packetlab import U8, U16, Header, bindings, dissect, field, many, when
>>> with bindings():
...     class Row(Header):
...         number: U8 = 1
...         more: U16 | None = when(field("^.long") == 1, 0)
...     class Sheet(Header):
...         long: U8 = 0
...         rows: tuple[Row, ...] = many()
...     dissect(bytes(Sheet(long=1, rows=[Row(more=7)])), Sheet)[Sheet].rows
(Row(number=1, more=7),)
"""
