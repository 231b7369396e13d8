"""WebSocket (RFC 6455) without input and output.

    connection    one end: bytes and times in, bytes and events out
    handshake     its opening, both sides; deflate    RFC 7692
    events        what it reports; complaints    what is wrong in a frame, in words

Begin with `connection`.

>>> from packetlab.engine.websocket.connection import WebSocket
>>> client, server = WebSocket("client"), WebSocket("server")
>>> client.start(0)
>>> server.receive(client.bytes_to_send(0), 0)
>>> [type(event).__name__ for event in server.events()]
['HandshakeCompleted']
"""
