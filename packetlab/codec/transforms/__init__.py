"""Fields whose bytes stand for others (see `declare.transforms`), read and written.

    direct     the source that calls the one transform of a field at once
    opening    the careful reader looks into them
    inside     headers in what transforms give, read

Begin with `direct`.

>>> from packetlab import Bytes, Header, U8, auto, bindings, dissect, field, size_of, sized, through, xor
>>> with bindings():
...     class Masked(Header):
...         size: U8 = auto(size_of("body"))
...         body: Bytes = through(xor(0x20), sized(field("size"), b""))
...     bytes(Masked(body=b"hello")), dissect(b"\\x02HI", Masked)[Masked].body
(b'\\x05HELLO', b'hi')
"""
