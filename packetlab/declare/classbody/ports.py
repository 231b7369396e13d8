"""``port=69``: a binding by either port, built as the destination's, so that replies are found too."""

from __future__ import annotations

from packetlab.declare.declaration import Declaration
from packetlab.errors import DeclareError


def with_port(below: Declaration, when: object, port: object, where: str) -> object:
    """Return what a binding says with `when=` for what it says with `port=`, a number or several."""
    if port is None:
        return when
    if when is not None:
        hint = 'when={"dport": 69, ...} goes by the destination and by what else it names'
        raise DeclareError(where, "port= alone, or when=", "both", hint)
    if "port" not in below.by_name and not {"sport", "dport"} <= below.by_name.keys():
        raise DeclareError(f"{where}, port=", "a header with sport and dport, such as UDP", below.name)
    return {"port": port}
