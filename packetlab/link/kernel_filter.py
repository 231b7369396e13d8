"""A packet filter in the kernel: packets that do not pass never reach the socket (socket(7), SO_ATTACH_FILTER).

Owns putting a program onto a socket; what a program is stands in `capture.filters.bpf`.
"""

from __future__ import annotations

import ctypes
import re
import socket
import struct
from contextlib import suppress

from packetlab.capture.filters.bpf import NOTHING, PcapFilter
from packetlab.capture.filters.bpf_interpreter import Instructions

ATTACH, DETACH = 26, 27  # SO_ATTACH_FILTER, SO_DETACH_FILTER


def filter_socket(sock: socket.socket, expression: str | None, linktype: int) -> PcapFilter | None:
    """Let only what passes reach a packet socket, from the next packet fetched on. None: everything.

    Return the filter where the kernel cannot do it and the reader has to: it takes VLAN tags out of frames before it
    filters, so that an expression about tags is true of none; and it has no loops ("protochain").
    """
    test = None if expression is None else PcapFilter(expression, linktype)
    # What came before, under another filter or none, must not be taken for what passed: nothing gets in, then all
    # that is there is thrown away.
    _attach(sock, NOTHING.instructions)
    with suppress(BlockingIOError):
        while True:
            sock.recv(1, socket.MSG_DONTWAIT)
    if test is not None and not re.search(r"\b(vlan|protochain)\b", test.expression):
        with suppress(OSError):  # longer than this kernel takes
            _attach(sock, test.program(linktype))
            return None
    sock.setsockopt(socket.SOL_SOCKET, DETACH, 0)
    return test


def _attach(sock: socket.socket, program: Instructions) -> None:
    instructions = b"".join(struct.pack("HBBI", *instruction) for instruction in program)
    held = ctypes.create_string_buffer(instructions, len(instructions))
    sock.setsockopt(socket.SOL_SOCKET, ATTACH, struct.pack("HP", len(program), ctypes.addressof(held)))
