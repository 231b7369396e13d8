"""Options in short: ``port=69`` is a binding by either port, ``last=True`` a header that nothing follows."""

from __future__ import annotations

from packetlab.declare.classbody.slips import condition
from packetlab.declare.declaration import Declaration
from packetlab.declare.expressions import Const, Expr, expression
from packetlab.errors import DeclareError


def with_port(below: Declaration, when: object, port: object, where: str) -> object:
    """Return what a binding says with `when=` for what it says with `port=`, a number or several."""
    if port is None:
        return condition(when, f"{where}, when=")
    if when is not None:
        hint = 'when={"dport": 69, ...} goes by the destination and by what else it names'
        raise DeclareError(where, "port= alone, or when=", "both", hint)
    if "port" not in below.by_name and not {"sport", "dport"} <= below.by_name.keys():
        raise DeclareError(f"{where}, port=", "a header with sport and dport, such as UDP", below.name)
    return {"port": port}


def check_numbers(below: Declaration, when: object, where: str) -> None:
    """Refuse what is no number in what a binding says as a table: {field: number or numbers}."""
    for name, some in when.items() if isinstance(when, dict) else ():
        several = isinstance(some, (tuple, list, set, frozenset, range))
        if several and not some:
            raise DeclareError(f"{where}.{name}", "a number at least", repr(some))
        if isinstance(name, str) and "." in name and name.partition(".")[0] in below.by_name:
            hint = f"when=field({name!r}) == {some!r} says where it stands, and whoever builds gives {name.partition('.')[0]}"
            raise DeclareError(f"{where}.{name}", "a field of its own, which is filled in where it is built", name, hint)
        text = next((one for one in (some if several else (some,)) if isinstance(one, str | bytes)), None)
        if text is not None and name in below.by_name and not below.by_name[name].kind.is_number:
            word = str(text) if isinstance(text, str) else text
            hint = f"when=field({name!r}) == {word!r} says where it stands, and whoever builds gives {name}"
            if "size" in getattr(kind := below.by_name[name].kind, "inner", kind).allows:  # bytes or text
                numbers = f"{name}: Annotated[Named[Words], bits({8 * len(text)})], Words an IntEnum of int.from_bytes(b'...')"
                hint = f"texts that are all as long are numbers too: {numbers}; or {hint}"
            raise DeclareError(
                f"{where}.{name}", "a number or numbers, which are filled in where it is built", f"{word!r}", hint
            )


def size_above(payload_size: object, last: object, header: str) -> Expr | None:
    """Return the size of what stands above a header as its class says it, by `payload_size=` or by `last=`; None where it says nothing."""
    if last is not False:
        if last is not True or payload_size is not None:
            got = f"last={last!r}" if last is not True else "payload_size= too"
            raise DeclareError(f"{header}, last=", "True, and no other size of a payload", got)
        return Const(0)
    if payload_size is None:
        return None
    size = expression(payload_size)
    if payload_size is True or payload_size is False or (isinstance(size, Const) and size.number < 0):
        hint = "choose(condition, size, -1) is unknown where the condition fails"
        raise DeclareError(f"{header}, payload_size", "a number of bytes or an expression", payload_size, hint)
    return size
