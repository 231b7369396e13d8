"""Capture files: pcap and pcapng, read and written in one pass, packed or not, and headers declared in them.

    source, sink        where bytes come from and go: paths, pipes, file objects; gzip, zstd, lz4
    pcap, pcapng        frames of each format, one by one; `batches` the same, a stretch at a time
    blocks              what else pcapng says: section, names, statistics, secrets, custom data
    writer              `Writer`: frames into a file; `pcapng_write` its blocks, `records` many frames at once
    copy                how a capture goes into another file
    declarations        headers that travel in a file
    ending              what ends a wait for the next frame on behalf of who takes frames

Begin with `source`, then `pcap`.

>>> import io
>>> from packetlab import Capture, Writer
>>> with Writer(file := io.BytesIO()) as out:
...     out.write(b"a frame")
>>> Capture(io.BytesIO(file.getvalue()))[0].data
b'a frame'
"""
