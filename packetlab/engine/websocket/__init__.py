"""WebSocket (RFC 6455) without input and output: `connection` is one end, `handshake` its opening, `deflate` RFC 7692."""
