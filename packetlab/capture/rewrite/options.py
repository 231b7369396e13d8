"""Which types the options of a rewriting have; what values may be is checked where they are used."""

from __future__ import annotations

from collections.abc import Mapping

from packetlab.errors import BuildError

MAPS = {
    "mac": '{old address: new address}, as {"02:00:00:00:00:01": "02:00:00:00:00:02"}',
    "ip": '{network: network}, as {"10.0.0.0/8": "192.168.0.0/16"}',
    "src_ip": '{network: network}, as {"10.0.0.0/8": "192.168.0.0/16"}',
    "dst_ip": '{network: network}, as {"10.0.0.0/8": "192.168.0.0/16"}',
    "ports": "{port: port}, as {80: 8080}",
    "vlan": '{"id", "priority" or "drop_eligible": number}, as {"id": 7}',
}
FLAGS = ("vlan_pop", "fcs", "fixcsum")


def check_types(given: Mapping[str, object]) -> None:
    """Refuse options of other types than they have. BuildError."""
    for name, value in given.items():
        if name in MAPS and not isinstance(value, Mapping | None):
            raise BuildError(f"rewrite: {name}", MAPS[name], repr(value))
        if name in FLAGS and not isinstance(value, bool):
            raise BuildError(f"rewrite: {name}", "True or False", repr(value))
        if name not in FLAGS and isinstance(value, bool):
            raise BuildError(f"rewrite: {name}", "a value, or None to leave it out", repr(value))
    push, link, seed, hdlc = (given.get(name) for name in ("vlan_push", "link", "anonymise", "hdlc"))
    if isinstance(push, Mapping) and not all(isinstance(name, str) for name in push):
        raise BuildError("rewrite: vlan_push", "a dict of fields of VLAN, by name", repr(push))
    if isinstance(link, tuple) and link[1:] and not isinstance(link[1], bytes | bytearray | memoryview):
        raise BuildError("rewrite: link", "(link type, bytes)", repr(link))
    if not isinstance(seed, int | str | bytes | None):
        raise BuildError("rewrite: anonymise", "a seed: a number, a text or bytes", repr(seed))
    if not is_pair(hdlc):
        raise BuildError("rewrite: hdlc", "(address, control), two numbers of 0..255", repr(hdlc))


def is_pair(value: object) -> bool:
    """Whether a value is two bytes, as numbers."""
    return isinstance(value, tuple | list) and len(value) == 2 and all(type(one) is int and 0 <= one <= 255 for one in value)
