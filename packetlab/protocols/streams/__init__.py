"""Messages of streams of bytes (``stream=True``), whatever the segments they come in.

    messages          where one begins, and where it ends; which stand in one packet
    plain             whole ones of one header each, many at once
    message_reader    a stream of bytes becomes messages, whatever the pieces it comes in

Begin with `look` in `messages`.

>>> from packetlab import Header, Text, ended
>>> from packetlab.protocols.streams.message_reader import MessageReader
>>> class Spoken(Header, stream=True):
...     text: Text = ended(b";")
>>> reader = MessageReader(Spoken, 100)
>>> reader.give(b"hello;wor")
>>> reader.read(), reader.read()
(b'hello;', None)
"""
