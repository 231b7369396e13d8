"""Bytes and headers, and nothing else: no socket, clock, file or randomness."""
