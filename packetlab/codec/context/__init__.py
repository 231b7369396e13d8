"""What is remembered from packets for those after them, while they are read and built.

    context    the tables: `Context`, and a `Moment` of reading one packet
    recalling  keys and values, as the readers and writers of headers find and note them
    lending    what the headers of a packet recalled, for what is compared with them or put in their place

Begin with `context`.

>>> from packetlab import Bytes, Context, Header, U8, bindings, dissect, field, recalled, sized
>>> with bindings():
...     class Hello(Header, remembers={("size", field("id")): field("size")}):
...         id: U8
...         size: U8
...     class Data(Header):
...         id: U8
...         body: Bytes = sized(recalled("size", field("id")))
...     context = Context()
...     hello = dissect(bytes.fromhex("0702"), Hello, context=context)
...     dissect(bytes.fromhex("07414243"), Data, context=context)
Data(id=7, body=b'AB') / b'C'
"""
