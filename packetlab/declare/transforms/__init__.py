"""Transforms between the bytes of a packet and what a field is made of: compressed, masked, stuffed, encrypted.

    transform   `Transform`: a name, parameters, and both directions; secrets, and functions of somebody's own
    packed      zlib, deflate, gzip, zstd
    stuffing    HDLC, SLIP, COBS: bytes made free of those that mark the ends of frames
    letters     base64, base16
    masks       xor with a key, whitening
    ciphers     AEAD and block ciphers, by way of the package cryptography
    arguments   the parameters of them that follow from fields, and which a class body may say
    raws        raw values of fields through transforms: captured bytes with what is inside, or that alone
    carried     `through(...)` and the kind of such a field

A transform is data. What it gives is bounded (`LIMIT`), and bytes that it cannot take are a fault at the field. Begin with `transform`.

>>> from packetlab import cobs
>>> cobs().encode(b"a\\0b").hex(" ")
'02 61 02 62 00'
>>> cobs().decode(bytes.fromhex("02 61 02 62 00"))
b'a\\x00b'
"""
